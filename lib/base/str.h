/* str.h - text as a value: where it is and how long it is. Never NUL-terminated, never owned.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <string.h>

#include "base/base.h"

struct str {
    const char *at;
    size_t len; /* bytes */
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* For printf: printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).len, (s).at

static inline struct str str_of(const char *z)
{
    return (struct str){z, z ? strlen(z) : 0};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool str_is(struct str a, const char *z)
{
    return str_equal(a, str_of(z));
}

static inline bool str_starts(struct str a, struct str prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.at, prefix.at, prefix.len) == 0);
}

static inline bool str_ends(struct str a, struct str suffix)
{
    return a.len >= suffix.len &&
           (suffix.len == 0 || memcmp(a.at + a.len - suffix.len, suffix.at, suffix.len) == 0);
}

/* The part of `a` from byte `from`, at most `len` bytes; both are clipped to what there is. */
static inline struct str str_part(struct str a, size_t from, size_t len)
{
    if (from > a.len)
        from = a.len;
    if (len > a.len - from)
        len = a.len - from;
    return (struct str){from == 0 ? a.at : a.at + from, len}; /* of nothing, nowhere: no step */
}

/* Bytewise order: negative, 0 or positive, a shorter prefix first. */
int str_order(struct str a, struct str b);

/* Equal without regard to the case of ASCII letters. */
bool str_equal_nocase(struct str a, struct str b);

/* Without leading and trailing ASCII white space. */
struct str str_trim(struct str a);

/* Position of `needle` in `a` from byte `from` on, or SIZE_MAX. An empty needle is found at `from`. */
size_t str_find(struct str a, struct str needle, size_t from);

/* Whole decimal integer with optional sign; false (and *out untouched) for anything else. */
bool str_to_int(struct str a, int64_t *out) mustuse;

/* Whole decimal number (strtod's grammar without hex, inf, nan); false for anything else. */
bool str_to_double(struct str a, double *out) mustuse;

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(struct str a);

/* Copies `a` and a final NUL into `out`; false (out is empty then) where it does not fit or `a`
 * contains a NUL. */
bool str_to_z(struct str a, char *out, size_t out_bytes);

/* How many single-character edits lead from a to b (Damerau-Levenshtein, restricted), or
 * `most` + 1 if more than `most`. Texts over 64 bytes answer `most` + 1. */
uint32_t str_distance(struct str a, struct str b, uint32_t most);

/* Of `count` names the one nearest to `wanted` and near enough to be a slip of the hand
 * (a third of its letters, at most 3); an empty str if there is none. */
struct str str_nearest(struct str wanted, const struct str *names, size_t count);
