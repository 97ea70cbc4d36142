/* fuzz_json.c - any bytes: parsed or refused with a place; what is accepted goes through a value, the
 * writer and back unchanged; the walk from head to head and the one by bytes agree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "json/json.h"
#include "json/json_write.h"

#define BYTES_MAX ((size_t)1 << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_node(struct buf *out, struct json_node node, struct arena *arena,
                       enum json_layout layout)
{
    struct json_writer w;
    json_write_init(&w, out, layout);
    json_write_value(&w, json_to_value(node, arena));
    must(json_write_is_done(&w));
}

static void check_round_trip(struct json_node node)
{
    struct arena arena;
    struct buf first, second;
    arena_init(&arena, 4096);
    buf_init(&first);
    buf_init(&second);
    write_node(&first, node, &arena, JSON_PRETTY);
    write_node(&second, node, &arena, JSON_COMPACT);
    struct buf third;
    buf_init(&third);
    struct json_parser *again = json_parser_new(first.len + second.len + 1);
    must(json_parse(again, buf_str(&first), JSON_DEPTH, &node, NULL) == OK);
    write_node(&third, node, &arena, JSON_COMPACT);
    must(str_equal(buf_str(&second), buf_str(&third)));
    json_parser_free(again);
    buf_fini(&third);
    buf_fini(&second);
    buf_fini(&first);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    if (size > BYTES_MAX)
        return 0;
    struct json_parser *p = json_parser_new(BYTES_MAX);
    struct json_node node;
    struct fault f = {0};
    size_t offset;
    enum status located = json_locate(text, JSON_DEPTH, &offset, NULL);
    enum status status = json_parse(p, text, JSON_DEPTH, &node, &f);
    must(status == located);
    if (status) {
        must(offset <= size);
        must(f.line >= 1);
        must(f.text[0] != '\0');
    } else {
        check_round_trip(node);
    }
    json_parser_free(p);
    return 0;
}
