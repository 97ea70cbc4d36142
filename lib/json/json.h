/* json.h - reading JSON: bytes in, a tree to walk out, at more than a gigabyte a second.
 *
 * simdjson finds where things begin (json_shim.cc is the only file that knows it), json_tree.c makes a
 * list of *cells* of that: 16 bytes for each key and value, in order. A node is the place of a cell;
 * walking is arithmetic, so nearly everything here is inline:
 *
 *     {"a": [1, "x"], "b": true}
 *
 *       0    1    2    3    4    5    6
 *     [ map | a | list | 1 | "x" | b | true ]         a key is a text, its value the cell behind it;
 *       │         └── 3 cells ──┘                     containers know how many cells they are
 *       └────────────── 7 cells ────────────┘
 *
 * Texts are not copied: they lie in the parser's own copy of the document, unescaped where they stand.
 *
 * The walk:
 *
 *     struct json_each each = json_each(event);
 *     while (json_next(&each))
 *         if (str_is(each.key, "userId"))
 *             user = json_text(each.node);
 *
 * What is accepted: RFC 8259, one document, UTF-8 checked, at most `depth_max` containers deep; a
 * UTF-8 byte order mark before it is skipped. Integers that fit an int64 are JSON_INT; all other
 * numbers are JSON_DOUBLE, also an integer that is too large (JavaScript prints 1e20 as one, and one
 * such property must not cost a client its batch). Numbers beyond a double's range are refused.
 * A text may contain NUL bytes ("\u0000").
 *
 * Keys given twice: json_next yields both in order; json_find answers the last, and so does
 * json_to_value (at the place of the first).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/fault.h"
#include "base/str.h"
#include "base/value.h"

#define JSON_DEPTH        32  /* containers within containers, unless a caller says otherwise */
#define JSON_DEPTH_MAX    128 /* more than this cannot be asked for */
#define JSON_TEXT_PADDING 16  /* bytes behind a text or key that may be read, whatever they are */
#define JSON_BYTES_MAX    ((size_t)1 << 30)

enum json_type {
    JSON_NONE = 0, /* absent: what json_find answers where there is no such key */
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_DOUBLE,
    JSON_TEXT,
    JSON_LIST,
    JSON_MAP,
};

/* One key or value. */
struct json_cell {
    uint32_t type;  /* enum json_type; a key's is JSON_TEXT */
    uint32_t count; /* a text's bytes */
    union {
        const char *text; /* JSON_TEXT: borrowed from the parser, not terminated */
        int64_t integer;  /* JSON_INT; of JSON_BOOL 0 or 1 */
        double number;    /* JSON_DOUBLE */
        uint64_t cells;   /* containers: itself and all that is in it */
    };
};
_Static_assert(sizeof(struct json_cell) == 16, "a cell is a quarter of a line");

/* A place in a parsed document; good until its parser parses again or is freed. Zeroed = absent:
 * every function below takes an absent node and answers as for a node of another type. */
struct json_node {
    const struct json_cell *cell;
};

struct json_parser;

/* A parser for documents of at most `bytes_max` bytes (1 .. JSON_BYTES_MAX). Its buffers grow with
 * the documents it meets, to about 9 times the largest of the usual kind and at most 13 times, rounded
 * up to a power of two, and stay. For one thread at a time. The
 * caller owns it. */
struct json_parser *json_parser_new(size_t bytes_max) mustuse;

/* Ends the parser and all its nodes; NULL is fine. */
void json_parser_free(struct json_parser *p);

/* Parses `text` (borrowed, only during the call) and gives its outermost node in *out.
 * `depth_max` (1 .. JSON_DEPTH_MAX) bounds containers within containers; [] is one deep.
 * FIX_INPUT: not JSON, too long or too deep; the fault has the sentence, line and column (in bytes),
 * *out is absent. Ends the nodes of the parser's previous document either way. */
enum status json_parse(struct json_parser *p, struct str text, uint32_t depth_max,
                       struct json_node *out, struct fault *f) mustuse;

/* Where and why `text` is not JSON, found by a plain walk from its start (json_parse asks this where
 * simdjson refused). FIX_INPUT with the byte in *offset and a placed fault, or OK. */
enum status json_locate(struct str text, uint32_t depth_max, size_t *offset,
                        struct fault *f) mustuse;

/* A copy as a dynamic value, all of it in `arena`: maps, lists, texts, ints, doubles, bools, null;
 * an absent node is VALUE_NONE. */
struct value json_to_value(struct json_node node, struct arena *arena);

/* "text", "map", ... for error messages. */
const char *json_type_name(enum json_type type);

/* --- cells ------------------------------------------------------------------------------------ */

static inline enum json_type json_type(struct json_node n)
{
    return n.cell ? (enum json_type)n.cell->type : JSON_NONE;
}

static inline bool json_is(struct json_node n, enum json_type type)
{
    return json_type(n) == type;
}

/* Is it there, and not null? */
static inline bool json_has_value(struct json_node n)
{
    return json_type(n) > JSON_NULL;
}

/* The text, borrowed from the parser; empty if the node is not one. */
static inline struct str json_text(struct json_node n)
{
    if (json_type(n) != JSON_TEXT)
        return (struct str){"", 0};
    return (struct str){n.cell->text, n.cell->count};
}

/* True only for the JSON word true. */
static inline bool json_is_true(struct json_node n)
{
    return json_type(n) == JSON_BOOL && n.cell->integer != 0;
}

/* The integer; false (and *out untouched) if the node is not a JSON_INT. */
static inline bool json_int(struct json_node n, int64_t *out)
{
    if (json_type(n) != JSON_INT)
        return false;
    *out = n.cell->integer;
    return true;
}

/* The number, integer or not, as a double; false (and *out untouched) if it is not a number. */
static inline bool json_double(struct json_node n, double *out)
{
    enum json_type type = json_type(n);
    if (type == JSON_INT)
        *out = (double)n.cell->integer;
    else if (type == JSON_DOUBLE)
        *out = n.cell->number;
    return type == JSON_INT || type == JSON_DOUBLE;
}

/* The cell behind a value and all that is in it. Requires a node that is there. */
static inline const struct json_cell *json_after(struct json_node n)
{
    return n.cell + (n.cell->type >= JSON_LIST ? n.cell->cells : 1);
}

/* A walk over a map's members or a list's items; over anything else it yields nothing. */
struct json_each {
    struct str key;        /* empty in a list */
    struct json_node node; /* the current member or item */
    const struct json_cell *next;
    const struct json_cell *end;
    bool is_map;
};

static inline struct json_each json_each(struct json_node n)
{
    struct json_each each = {.key = {"", 0}};
    if (json_type(n) >= JSON_LIST) {
        each.next = n.cell + 1;
        each.end = n.cell + n.cell->cells;
        each.is_map = n.cell->type == JSON_MAP;
    }
    return each;
}

/* Moves on; false at the end. Keys are borrowed from the parser, like texts. */
static inline bool json_next(struct json_each *each)
{
    if (each->next >= each->end)
        return false;
    if (each->is_map) {
        each->key = (struct str){each->next->text, each->next->count};
        each->next++;
    }
    each->node.cell = each->next;
    each->next = json_after(each->node);
    return true;
}

/* The member named `key` (the last, if it is there twice), or an absent node. Walks the map: for more
 * than two or three keys, one json_each is cheaper. */
struct json_node json_find(struct json_node map, struct str key);

/* The item at `index` from 0, or an absent node. Walks the list. */
struct json_node json_at(struct json_node list, size_t index);

/* Is it a container with something in it? */
static inline bool json_has_members(struct json_node n)
{
    return json_type(n) >= JSON_LIST && n.cell->cells > 1;
}

/* Members or items; 0 for anything else. Walks them. */
size_t json_count(struct json_node n);
