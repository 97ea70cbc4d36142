/* fuzz_liquid.c - any bytes as a template, which is also its own partial: compiled or refused with a
 * place, rendered twice to the same outcome within its budgets. Input: kind of output (one byte), the
 * template, a NUL, the data as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/liquid.h"
#include "json/json.h"

#define BYTES_MAX  ((size_t)1 << 14)
#define OUTPUT_MAX ((size_t)1 << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct value load(void *self, const struct liquid_read *read)
{
    struct value x = *(const struct value *)self;
    must(read->line >= 1);
    for (uint32_t i = 0; i < read->part_count; i++) {
        struct value found = value_none();
        for (uint32_t j = 0; x.type == VALUE_MAP && j < x.map->count; j++)
            if (str_equal(x.map->pairs[j].key.text, read->parts[i]))
                found = x.map->pairs[j].value;
        x = found;
    }
    return x;
}

static enum liquid_outcome render(const struct liquid_template *t, struct value *data,
                                  struct buf *out)
{
    struct arena scratch;
    struct fault f = {0};
    arena_init(&scratch, 1 << 14);
    struct liquid_run run = {
        .host = {data, load},
        .scratch = &scratch,
        .now_ms = 1772452800000,
        .limits = {.steps_max = 20000,
                   .iterations_max = 2000,
                   .depth_max = 20,
                   .output_bytes_max = OUTPUT_MAX,
                   .memory_bytes_max = (size_t)1 << 20},
    };
    enum liquid_outcome outcome = liquid_render(t, &run, out, &f);
    must(out->len <= OUTPUT_MAX);
    must(outcome == LIQUID_DONE || out->len == 0);
    must(outcome == LIQUID_DONE || f.line >= 1);
    arena_fini(&scratch);
    return outcome;
}

static void check_header(struct str out)
{
    for (size_t i = 0; i < out.len; i++) {
        must(out.at[i] != '\r');
        must(out.at[i] != '\n');
        must(out.at[i] != '\0');
    }
}

static void run_template(struct arena *arena, struct str text, struct str json,
                         enum liquid_kind kind)
{
    struct liquid_source source = {STR("main"), text};
    struct liquid_source partials[] = {{STR("p"), text}, {STR("a/q"), STR("{{ q }}{% break %}")}};
    const struct liquid_template *t = NULL;
    struct fault f = {0};
    if (liquid_compile(arena, &source, partials, array_count(partials), kind, &t, &f)) {
        must(f.line >= 1);
        must(f.text[0] != '\0');
        return;
    }
    struct json_parser *p = json_parser_new(BYTES_MAX);
    struct json_node root;
    struct value data = value_none();
    if (json_parse(p, json, JSON_DEPTH, &root, NULL) == OK)
        data = json_to_value(root, arena);
    struct buf first, second;
    buf_init(&first);
    buf_init(&second);
    enum liquid_outcome outcome = render(t, &data, &first);
    must(render(t, &data, &second) == outcome);
    must(str_equal(buf_str(&first), buf_str(&second)));
    if (kind == LIQUID_HEADER)
        check_header(buf_str(&first));
    buf_fini(&second);
    buf_fini(&first);
    json_parser_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > BYTES_MAX)
        return 0;
    struct str input = {(const char *)data + 1, size - 1};
    size_t split = min_of(str_find(input, (struct str){"", 1}, 0), input.len);
    struct arena arena;
    arena_init(&arena, 1 << 14);
    run_template(&arena, str_part(input, 0, split), str_part(input, split + 1, input.len),
                 (enum liquid_kind)(data[0] % 4));
    arena_fini(&arena);
    return 0;
}
