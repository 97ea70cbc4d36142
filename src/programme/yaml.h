/* yaml.h - YAML 1.2 (core schema, by libfyaml) as a small tree in which every node knows its place,
 * and the slips that people make in it, recognised.
 *
 * YAML was not made for expressions. Four things go wrong again and again:
 *
 *     when: !consent("email")                a tag, because of the !
 *     if: a ? "b: c" : d                     a map inside a text, because of ": "
 *     when: "vip" in traits.tags             a quoted text with something behind it
 *     subject: {{ entry.name }} waits        a map in a map, because of the braces
 *
 * Where the text does not parse, or parses into something that cannot be meant, the line is looked at
 * again with these in mind. If quotes around the value help, the finding shows the line as it should
 * be, and reading goes on with that line, so that one slip does not hide the next.
 *
 * Bounds: bytes, depth, nodes (those that aliases repeat included).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"
#include "programme/finding.h"

#define YAML_DEPTH_MAX   32
#define YAML_NODES_MAX   200000 /* in one file, with what aliases repeat */
#define YAML_ANCHORS_MAX 256
#define YAML_PAIRS_MAX   4096 /* in one map */
#define YAML_SLIPS_MAX   64   /* lines that are mended in one file */

enum yaml_type {
    YAML_NULL = 0,
    YAML_BOOL,
    YAML_INT,
    YAML_DOUBLE,
    YAML_TEXT,
    YAML_LIST,
    YAML_MAP,
};

enum yaml_style {
    YAML_PLAIN = 0,
    YAML_SINGLE, /* 'quoted' */
    YAML_DOUBLE_QUOTED,
    YAML_LITERAL, /* | */
    YAML_FOLDED,  /* > */
    YAML_FLOW,    /* [..] or {..} */
    YAML_BLOCK,
};

struct yaml_pair;

struct yaml_node {
    uint8_t type;  /* enum yaml_type */
    uint8_t style; /* enum yaml_style */
    bool is_bad;   /* a checker has found fault with it and said so: others need not again */
    uint32_t line; /* from 1 */
    uint32_t column;
    uint32_t at;     /* byte in the file's text where it begins */
    struct str text; /* scalars: as a text, without quotes */
    union {
        bool boolean;
        int64_t integer;
        double number;
    };
    uint32_t count;           /* items or pairs */
    struct yaml_node **items; /* YAML_LIST */
    struct yaml_pair *pairs;  /* YAML_MAP, in the order of the file; no key twice */
};

struct yaml_pair {
    struct yaml_node *key; /* a scalar */
    struct yaml_node *value;
};

struct yaml_file {
    struct str path;
    struct str text; /* what the nodes' places refer to: with slips mended */
    uint32_t line_count;
    const uint32_t *lines;  /* where each begins */
    struct yaml_node *root; /* NULL: nothing in it, or not YAML at all */
};

/* Reads `text` into *out; everything lives in `arena`, into which path and text are copied. False if
 * there were errors, which are in `findings`; *out may still have a root (of what could be read after
 * mending). A file has one document. */
bool yaml_read(struct str path, struct str text, struct arena *arena, struct yaml_file *out,
               struct findings *findings) mustuse;

/* The value of `key`, or NULL if `map` is NULL, no map, or has no such key. */
struct yaml_node *yaml_find(const struct yaml_node *map, const char *key);

/* The key's own node, or NULL. */
struct yaml_node *yaml_find_key(const struct yaml_node *map, const char *key);

/* "a text", "a number", "a list", ...: for sentences. */
const char *yaml_type_words(const struct yaml_node *node);

struct place yaml_place(const struct yaml_file *file, const struct yaml_node *node);

/* Where byte `offset` of a scalar's text stands in the file; the node's beginning where that cannot be
 * told (folded and escaped texts). */
struct place yaml_place_in(const struct yaml_file *file, const struct yaml_node *node,
                           size_t offset);

/* The line `line` of the file without its line break; empty if there is none. */
struct str yaml_line(const struct yaml_file *file, uint32_t line);

/* The node's line with the plain scalar `node` in it replaced by `with`; empty where that is not
 * simple (not plain, over several lines). In `arena`. */
struct str yaml_line_with(const struct yaml_file *file, const struct yaml_node *node,
                          struct str with, struct arena *arena);

/* `text` in single quotes as YAML writes it. */
struct str yaml_quote(struct str text, struct arena *arena);

/* The line as it should be if it holds one of the slips above; empty if it does not. `code` says which
 * (FINDING_YAML_TAG or FINDING_YAML_QUOTES), `what` names it. Pure; for tests and the reader. */
struct str yaml_mend(struct str line, struct arena *arena, enum finding_code *code,
                     const char **what, uint32_t *column);

/* Appends the tree as one line of normal text: keys by bytewise order, no comments, no styles. Equal
 * texts = the same meaning. Keys named in `skip` (NULL-terminated; only of the outermost map) are left
 * out. */
void yaml_normal(const struct yaml_node *node, const char *const *skip, struct buf *out);
