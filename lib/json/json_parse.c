/* How a text becomes a tree.
 *
 *     text ──copy, pad──► simdjson ──► tape                        the way of nearly all texts
 *                            │ refused
 *                            ▼
 *                        json_locate ──► a mistake: sentence, line, column
 *                            │ nothing wrong by our rules
 *                            ▼
 *                         mend ──► simdjson ──► tape
 *
 * Two things that we accept and simdjson does not are what real clients send: JavaScript prints 1e20
 * as an integer of 21 digits, and a text cut through an emoji is serialised with half of a surrogate
 * pair. A browser's whole batch would be lost with them. Mending appends ".0" to integers that no
 * int64 holds and replaces lone surrogates by U+FFFD; it costs a second pass, for such texts only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "json/json.h"
#include "json/json_int.h"
#include "json/json_shim.h"

#include "base/mem.h"

_Static_assert(JSON_TEXT_PADDING <= JSON_SHIM_TEXT_PADDING, "more is promised than there is");

struct json_parser {
    struct json_doc doc;
    struct json_shim *shim;
    size_t bytes_max;
    char *copy; /* the text, padded */
    size_t copy_room;
};

struct json_parser *json_parser_new(size_t bytes_max)
{
    must(bytes_max >= 1);
    must(bytes_max <= JSON_BYTES_MAX);
    struct json_parser *p = mem_new(sizeof(*p));
    p->shim = json_shim_new();
    p->bytes_max = bytes_max;
    return p;
}

void json_parser_free(struct json_parser *p)
{
    if (!p)
        return;
    json_shim_free(p->shim);
    mem_free(p->copy);
    mem_free(p);
}

/* Room for `bytes` bytes and the padding behind them; what the copy held is lost. */
static void copy_reserve(struct json_parser *p, size_t bytes)
{
    size_t needed = bytes + JSON_SHIM_PADDING;
    if (needed <= p->copy_room)
        return;
    size_t room = p->copy_room ? p->copy_room : 4096;
    while (room < needed)
        room *= 2;
    mem_free(p->copy);
    p->copy = mem_new(room);
    p->copy_room = room;
}

static int copy_parse(struct json_parser *p, size_t bytes, uint32_t depth_max)
{
    memset(p->copy + bytes, 0, JSON_SHIM_PADDING);
    return json_shim_parse(p->shim, p->copy, bytes, depth_max, &p->doc.tape, &p->doc.texts);
}

/* A byte order mark says nothing in UTF-8, yet files from some systems begin with one. */
static struct str without_mark(struct str text)
{
    return str_starts(text, STR("\xef\xbb\xbf")) ? str_part(text, 3, text.len) : text;
}

enum status json_parse(struct json_parser *p, struct str text, uint32_t depth_max,
                       struct json_node *out, struct fault *f)
{
    must(depth_max >= 1);
    must(depth_max <= JSON_DEPTH_MAX);
    *out = (struct json_node){0};
    if (text.len > p->bytes_max) {
        fault_set(f, "JSON text of %zu bytes is longer than the %zu that are allowed here",
                  text.len, p->bytes_max);
        return FIX_INPUT;
    }
    struct str body = without_mark(text);
    int error = 1;
    if (body.len) {
        copy_reserve(p, body.len);
        memcpy(p->copy, body.at, body.len);
        error = copy_parse(p, body.len, depth_max);
    }
    if (error) {
        size_t offset;
        enum status status = json_locate(text, depth_max, &offset, f);
        if (status)
            return status;
        copy_reserve(p, json_mended_bytes_max(body.len));
        error = copy_parse(p, json_mend(body, p->copy), depth_max);
    }
    if (error) {
        fault_set(f, "not JSON (the parser answers %d)", error);
        return FIX_INPUT;
    }
    *out = (struct json_node){&p->doc,
                              1}; /* word 0 is the root, which only says how long the tape is */
    return OK;
}

struct json_node json_find(struct json_node map, struct str key)
{
    struct json_node found = {0};
    if (!json_is(map, JSON_MAP))
        return found;
    struct json_each each = json_each(map);
    while (json_next(&each))
        if (str_equal(each.key, key))
            found = each.node;
    return found;
}

struct json_node json_at(struct json_node list, size_t index)
{
    if (!json_is(list, JSON_LIST))
        return (struct json_node){0};
    struct json_each each = json_each(list);
    while (json_next(&each))
        if (index-- == 0)
            return each.node;
    return (struct json_node){0};
}

size_t json_count(struct json_node n)
{
    size_t count = 0;
    struct json_each each = json_each(n);
    while (json_next(&each))
        count++;
    return count;
}

const char *json_type_name(enum json_type type)
{
    switch (type) {
    case JSON_NONE: return "nothing";
    case JSON_NULL: return "null";
    case JSON_BOOL: return "bool";
    case JSON_INT: return "int";
    case JSON_DOUBLE: return "double";
    case JSON_TEXT: return "text";
    case JSON_LIST: return "list";
    case JSON_MAP: return "map";
    }
    return "?";
}
