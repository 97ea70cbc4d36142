/* json.h - reading JSON: bytes in, a tree to walk out, at more than a gigabyte a second.
 *
 * simdjson does the parsing (json_shim.cc is the only file that knows it). It writes a *tape*: one
 * 64-bit word for each thing it met, in order, and a buffer with all texts unescaped. A node is a
 * place on that tape; walking is arithmetic, so nearly everything here is inline:
 *
 *     {"a": [1, "x"], "b": true}
 *
 *       0    1    2     3   4  5    6    7    8    9
 *     [ { | "a" | [ | int 1 | "x" | ] | "b" | true | } ]     words; a number takes two
 *       └──────────── "after me" ────────────────────► 10    containers know what follows them
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

/* What one parse left behind; inside the parser. */
struct json_doc {
    const uint64_t *tape;
    const uint8_t *texts;
};

/* A place in a parsed document; good until its parser parses again or is freed. Zeroed = absent:
 * every function below takes an absent node and answers as for a node of another type. */
struct json_node {
    const struct json_doc *doc;
    uint64_t at; /* word on the tape; as wide as a register, or handing it on would cost a stall */
};

struct json_parser;

/* A parser for documents of at most `bytes_max` bytes (1 .. JSON_BYTES_MAX). Its buffers grow with
 * the documents it meets to about 14 times the largest, and stay. For one thread at a time. The
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

/* --- the tape ------------------------------------------------------------------------------- */

#define JSON_TAPE_PAYLOAD UINT64_C(0x00ffffffffffffff)

static inline uint64_t json_word(struct json_node n)
{
    return n.doc->tape[n.at];
}

static inline enum json_type json_type(struct json_node n)
{
    if (!n.doc)
        return JSON_NONE;
    switch (json_word(n) >> 56) {
    case '"': return JSON_TEXT;
    case '{': return JSON_MAP;
    case '[': return JSON_LIST;
    case 'l': return JSON_INT;
    case 'u': return JSON_DOUBLE;
    case 'd': return JSON_DOUBLE;
    case 't': return JSON_BOOL;
    case 'f': return JSON_BOOL;
    }
    return JSON_NULL;
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
    const uint8_t *at = n.doc->texts + (json_word(n) & JSON_TAPE_PAYLOAD);
    uint32_t len;
    memcpy(&len, at, sizeof(len));
    return (struct str){(const char *)at + sizeof(len), len};
}

/* True only for the JSON word true. */
static inline bool json_is_true(struct json_node n)
{
    return n.doc && json_word(n) >> 56 == 't';
}

/* The integer; false (and *out untouched) if the node is not a JSON_INT. */
static inline bool json_int(struct json_node n, int64_t *out)
{
    if (json_type(n) != JSON_INT)
        return false;
    *out = (int64_t)n.doc->tape[n.at + 1];
    return true;
}

/* The number, integer or not, as a double; false (and *out untouched) if it is not a number. */
static inline bool json_double(struct json_node n, double *out)
{
    if (!n.doc)
        return false;
    uint64_t bits = 0;
    switch (json_word(n) >> 56) {
    case 'l': *out = (double)(int64_t)n.doc->tape[n.at + 1]; return true;
    case 'u': *out = (double)n.doc->tape[n.at + 1]; return true;
    case 'd':
        bits = n.doc->tape[n.at + 1];
        memcpy(out, &bits, sizeof(*out));
        return true;
    }
    return false;
}

/* The word on the tape behind the node and all that is in it. */
static inline uint32_t json_after(struct json_node n)
{
    uint64_t word = json_word(n);
    switch (word >> 56) {
    case '{':
    case '[': return (uint32_t)word;
    case 'l':
    case 'u':
    case 'd': return n.at + 2;
    }
    return n.at + 1;
}

/* A walk over a map's members or a list's items; over anything else it yields nothing. */
struct json_each {
    struct str key;        /* empty in a list */
    struct json_node node; /* the current member or item */
    uint32_t next;
    uint32_t end;
    bool is_map;
};

static inline struct json_each json_each(struct json_node n)
{
    struct json_each each = {.key = {"", 0}, .node = {n.doc, 0}};
    enum json_type type = json_type(n);
    if (type == JSON_MAP || type == JSON_LIST) {
        each.next = n.at + 1;
        each.end = json_after(n) - 1;
        each.is_map = type == JSON_MAP;
    }
    return each;
}

/* Moves on; false at the end. Keys are borrowed from the parser, like texts. */
static inline bool json_next(struct json_each *each)
{
    if (each->next >= each->end)
        return false;
    each->node.at = each->next;
    if (each->is_map) {
        each->key = json_text(each->node);
        each->node.at++;
    }
    each->next = json_after(each->node);
    return true;
}

/* The member named `key` (the last, if it is there twice), or an absent node. Walks the map: for more
 * than two or three keys, one json_each is cheaper. */
struct json_node json_find(struct json_node map, struct str key);

/* The item at `index` from 0, or an absent node. Walks the list. */
struct json_node json_at(struct json_node list, size_t index);

/* Members or items; 0 for anything else. */
size_t json_count(struct json_node n);
