/* value.h - one dynamic value, as events, traits, expressions and templates see it.
 *
 * 24 bytes, passed by pointer or by value. Texts, lists and maps are borrowed: whoever made the
 * value says until when they are good (an arena, a record, the plan).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

enum value_type {
    VALUE_NONE = 0, /* absent: no such trait, no such property */
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_UINT,
    VALUE_DOUBLE,
    VALUE_TEXT,
    VALUE_BYTES,
    VALUE_TIME,     /* integer: UTC ms; sub_ns: 0..999999 within the millisecond */
    VALUE_DURATION, /* integer: ms; sub_ns: 0..999999, added (so -1 ns is {-1 ms, 999999}) */
    VALUE_LIST,
    VALUE_MAP,
    VALUE_TYPE,  /* a CEL type name, in text */
    VALUE_ERROR, /* an evaluation error; text says which */
};

struct value_list;
struct value_map;

struct value {
    uint8_t type; /* enum value_type */
    uint8_t pad[3];
    uint32_t sub_ns;
    union {
        bool boolean;
        int64_t integer;
        uint64_t uinteger;
        double number;
        struct str text; /* VALUE_TEXT (UTF-8), VALUE_BYTES, VALUE_TYPE, VALUE_ERROR */
        const struct value_list *list;
        const struct value_map *map;
    };
};

struct value_list {
    uint32_t count;
    struct value items[];
};

struct value_pair {
    struct value key;
    struct value value;
};

struct value_map {
    uint32_t count;
    struct value_pair pairs[]; /* in the order in which they were written */
};

_Static_assert(sizeof(struct value) == 24, "values are small");

static inline struct value value_none(void)
{
    return (struct value){.type = VALUE_NONE};
}

static inline struct value value_bool(bool x)
{
    return (struct value){.type = VALUE_BOOL, .boolean = x};
}

static inline struct value value_int(int64_t x)
{
    return (struct value){.type = VALUE_INT, .integer = x};
}

static inline struct value value_double(double x)
{
    return (struct value){.type = VALUE_DOUBLE, .number = x};
}

static inline struct value value_text(struct str x)
{
    return (struct value){.type = VALUE_TEXT, .text = x};
}

static inline struct value value_time(int64_t at_ms)
{
    return (struct value){.type = VALUE_TIME, .integer = at_ms};
}

static inline struct value value_duration(int64_t ms)
{
    return (struct value){.type = VALUE_DURATION, .integer = ms};
}

/* "int", "text", ...: the type's name as error messages show it. */
const char *value_type_name(enum value_type type);
