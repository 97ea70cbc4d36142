/* golden_test.c - the cases of "golden liquid", which were made with Shopify's own implementation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/liquid.h"

#include "base/mem.h"
#include "json/json.h"

#include "test.h"

#define GOLDEN_BYTES_MAX ((size_t)4 << 20)
#define GOLDEN_CASES     642

static struct value load(void *self, const struct liquid_read *read)
{
    struct value x = *(const struct value *)self;
    for (uint32_t i = 0; i < read->part_count; i++) {
        struct value found = value_none();
        for (uint32_t j = 0; x.type == VALUE_MAP && j < x.map->count; j++)
            if (str_equal(x.map->pairs[j].key.text, read->parts[i]))
                found = x.map->pairs[j].value;
        x = found;
    }
    return x;
}

static bool is_wanted(struct json_node test, struct str output)
{
    struct json_node result = json_find(test, STR("result"));
    if (json_is(result, JSON_TEXT))
        return str_equal(json_text(result), output);
    struct json_each each = json_each(json_find(test, STR("results")));
    while (json_next(&each))
        if (str_equal(json_text(each.node), output))
            return true;
    return false;
}

static bool run_case(struct json_node test, struct arena *arena, struct buf *out, struct fault *f)
{
    struct liquid_source partials[16];
    size_t partial_count = 0;
    struct json_each each = json_each(json_find(test, STR("templates")));
    while (json_next(&each)) {
        assert_true(partial_count < array_count(partials));
        partials[partial_count++] = (struct liquid_source){each.key, json_text(each.node)};
    }
    struct liquid_source source = {STR("main"), json_text(json_find(test, STR("template")))};
    const struct liquid_template *t = NULL;
    if (liquid_compile(arena, &source, partials, partial_count, LIQUID_TEXT, &t, f))
        return false;
    struct value data = json_to_value(json_find(test, STR("data")), arena);
    struct liquid_run run = {.host = {&data, load}, .scratch = arena};
    return liquid_render(t, &run, out, f) == LIQUID_DONE;
}

static void golden(void **state)
{
    (void)state;
    char command[1200];
    snprintf(command, sizeof(command), "gzip -dc '%s/golden_liquid.json.gz'",
             test_data("golden-liquid"));
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    char *bytes = mem_new(GOLDEN_BYTES_MAX);
    size_t len = fread(bytes, 1, GOLDEN_BYTES_MAX, pipe);
    assert_int_equal(pclose(pipe), 0);

    struct json_parser *parser = json_parser_new(GOLDEN_BYTES_MAX);
    struct json_node root;
    struct fault f = {0};
    assert_int_equal(json_parse(parser, (struct str){bytes, len}, JSON_DEPTH, &root, &f), OK);
    struct arena arena;
    struct buf out;
    arena_init(&arena, 1 << 16);
    buf_init(&out);
    unsigned count = 0, failed = 0;
    struct json_each each = json_each(json_find(root, STR("tests")));
    while (json_next(&each)) {
        struct str name = json_text(json_find(each.node, STR("name")));
        struct fault fault = {0};
        out.len = 0;
        count++;
        bool is_rendered = run_case(each.node, &arena, &out, &fault);
        bool is_invalid = json_is_true(json_find(each.node, STR("invalid")));
        bool is_right =
            is_invalid ? !is_rendered : is_rendered && is_wanted(each.node, buf_str(&out));
        if (!is_rendered && (!fault.line || !fault.text[0]))
            fail_msg("%.*s: a mistake without place or sentence", STR_ARG(name));
        arena_reset(&arena);
        if (is_right)
            continue;
        failed++;
        print_message("%.*s:\n   template %.*s\n   wanted   %.*s\n   got      %.*s%s\n",
                      STR_ARG(name), STR_ARG(json_text(json_find(each.node, STR("template")))),
                      STR_ARG(json_text(json_find(each.node, STR("result")))),
                      STR_ARG(buf_str(&out)), fault.text);
    }
    assert_int_equal(failed, 0);
    assert_int_equal(count, GOLDEN_CASES);
    buf_fini(&out);
    arena_fini(&arena);
    json_parser_free(parser);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("templates say what Shopify's implementation makes them say", golden),
    };
    return cmocka_run_group_tests_name("liquid/golden", tests, NULL, NULL);
}
