/* How a text becomes a tree.
 *
 *     text ──copy, pad──► simdjson's first pass ──► heads ──► json_tree ──► cells
 *                                    │ refused                   │ refused
 *                                    └───────────┬───────────────┘
 *                                                ▼
 *                                           json_locate ──► a mistake: sentence, line, column
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "json/json.h"
#include "json/json_int.h"
#include "json/json_shim.h"

#include "base/mem.h"

struct json_parser {
    struct json_shim *shim;
    size_t bytes_max;
    char *copy; /* the text, padded */
    size_t copy_room;
    struct json_cell *cells;
    size_t cell_room;
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
    mem_free(p->cells);
    mem_free(p);
}

static size_t room_for(size_t room, size_t needed)
{
    room = max_of(room, (size_t)4096);
    while (room < needed)
        room *= 2;
    return room;
}

/* Copies the text into a place of its own, with spaces behind it. */
static void copy_text(struct json_parser *p, struct str text)
{
    size_t needed = text.len + JSON_TREE_PADDING;
    if (needed > p->copy_room) {
        mem_free(p->copy);
        p->copy_room = room_for(p->copy_room, needed);
        p->copy = mem_new(p->copy_room);
    }
    memcpy(p->copy, text.at, text.len);
    memset(p->copy + text.len, ' ', JSON_TREE_PADDING);
}

static bool parse_copy(struct json_parser *p, size_t bytes, uint32_t depth_max)
{
    struct json_source source = {.text = p->copy, .bytes = (uint32_t)bytes};
    if (!json_shim_heads(p->shim, p->copy, bytes, &source.heads, &source.head_count))
        return false;
    size_t needed = JSON_CELLS_MAX(source.head_count);
    if (needed > p->cell_room) {
        mem_free(p->cells);
        p->cell_room = room_for(p->cell_room, needed);
        p->cells = mem_new(p->cell_room * sizeof(p->cells[0]));
    }
    return json_tree(&source, depth_max, p->cells);
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
    copy_text(p, body);
    if (unlikely(body.len == 0 || !parse_copy(p, body.len, depth_max))) {
        size_t offset;
        enum status status = json_locate(text, depth_max, &offset, f);
        if (status == OK)
            fault_set(f, "not JSON"); /* the two judges agree, or a test would have told */
        return FIX_INPUT;
    }
    *out = (struct json_node){p->cells};
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
