/* shape.h - keys.def as data, and a checker over it: has every map the keys that it may have, and has
 * every key the kind of value that it takes?
 *
 * After shape_check() a reader may take what it needs without asking again: nodes that are wrong are
 * marked `is_bad` and have been reported.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "programme/yaml.h"

enum key_type {
    KEY_TEXT,
    KEY_NAME,     /* letters, digits, _ - . */
    KEY_EVENT,    /* an event's name: any text */
    KEY_PROPERTY, /* cart_id, event.cart_id, cart.id */
    KEY_BOOL,
    KEY_INT,
    KEY_RANK, /* a whole number, or an expression */
    KEY_PERCENT,
    KEY_MONEY,  /* 500, 0.045 */
    KEY_SPAN,   /* 90s, 2h, 3d */
    KEY_DAYS,   /* a span, or calendar days: 2 days, day, week */
    KEY_LENGTH, /* the same, months too, or an expression */
    KEY_OFFSET, /* the same with a sign, and no expression: -30d */
    KEY_DATE,   /* 2026-12-24, 2026-12-24T18:00, or an expression */
    KEY_PER,    /* a span, or day or week */
    KEY_AGAIN,
    KEY_CLOCK,
    KEY_WEEKDAYS,
    KEY_EXPRESSION,
    KEY_ZONE,
    KEY_CHANNEL,
    KEY_TIME,
    KEY_PACE,    /* 5000/h */
    KEY_COUNT,   /* true, or a number from 1 */
    KEY_NOTHING, /* empty, or true */
    KEY_ANY,
    KEY_CONSENT, /* channels, or a map of channels to true and false */
    KEY_PARTS,   /* the parts of a message on a channel that are keys */
    KEY_SETTING, /* any scalar, kept as text */
    KEY_CHOICE,
    KEY_SHAPE,
    KEY_UNION,
    KEY_TYPE_END,
};

enum key_form {
    FORM_ONE,
    FORM_LIST,
    FORM_SOME, /* one, or a list */
    FORM_MAP,  /* values of the type under free keys */
};

struct key {
    const char *name;
    enum key_type type;
    enum key_form form;
    const char *of;
    bool is_must;
    bool is_later; /* of the design, refused by this release */
    const char *standard;
    const char *doc;
};

struct shape {
    const char *symbol;
    const char *name;
    const char *short_key; /* "" = none */
    const char *doc;
    const struct key *keys;
    uint32_t key_count;
};

struct member {
    const char *key;
    const char *shape; /* NULL: refused by this release */
    const char *doc;
};

struct shape_union {
    const char *symbol;
    const char *name;
    const char *short_key;
    const char *doc;
    const struct member *members;
    uint32_t member_count;
};

/* By symbol ("PROGRAMME"); must be there. */
const struct shape *shape_get(const char *symbol);
const struct shape_union *shape_union_get(const char *symbol);

/* All of them in the order of keys.def. */
const struct shape *shapes(uint32_t *count);
const struct shape_union *shape_unions(uint32_t *count);

struct shape_check {
    const struct yaml_file *file;
    struct findings *findings;
    struct arena *scratch;
};

/* Reports all that is wrong with `node` as that shape, in what is below too. */
void shape_check(struct shape_check *c, const struct shape *shape, struct yaml_node *node);
void shape_check_union(struct shape_check *c, const struct shape_union *u, struct yaml_node *node);

/* A list of the shape (tests/) or union. */
void shape_check_list(struct shape_check *c, const struct shape *shape, struct yaml_node *node);

/* The value of `key` in a node of a shape whose short key is `short_key` ("" = none); NULL where it is
 * absent, bad, or null. */
const struct yaml_node *shape_value(const struct yaml_node *node, const char *short_key,
                                    const char *key);

/* Which of the union's keys the node has; NULL if it is bad. */
const char *shape_member(const struct yaml_node *node, const struct shape_union *u);

/* FORM_SOME: how many, and the index-th. FORM_LIST alike. */
uint32_t shape_count(const struct yaml_node *node);
const struct yaml_node *shape_item(const struct yaml_node *node, uint32_t index);

/* Does the text of a key that takes a value or an expression look like an expression? It begins with a
 * letter, a quote or a parenthesis, and has a dot, a quote or a parenthesis. */
bool shape_is_expression(struct str text);

/* Reads of checked values. */
bool shape_bool(const struct yaml_node *node, bool standard);
int64_t shape_int(const struct yaml_node *node, int64_t standard);
int64_t shape_span_ms(const struct yaml_node *node, int64_t standard_ms);
struct str shape_text(const struct yaml_node *node, struct str standard);

/* The outcomes' names, separated by |: what "=outcomes" in keys.def means. */
struct str shape_choices(const struct key *key, struct arena *scratch);

/* Appends the reference of all files as Markdown: docs/reference/programme.md. */
void shape_reference(struct buf *out);
