/* json_write.h - writing JSON into a buffer, one call for each thing.
 *
 *     struct json_writer w;
 *     json_write_init(&w, &out, JSON_COMPACT);
 *     json_write_map(&w);
 *     json_write_key(&w, STR("success"));
 *     json_write_bool(&w, true);
 *     json_write_end(&w);                      {"success":true}
 *
 * Commas, colons and indentation come by themselves; what does not nest is a must(). What was written
 * is always well-formed UTF-8: bytes that are not are replaced by U+FFFD. Doubles are written with the
 * fewest digits that read back as the same double, and always with a point or an exponent, so that
 * they stay doubles; NaN and infinities, which JSON has not, are null.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/value.h"

#define JSON_WRITE_DEPTH_MAX 64
#define JSON_DOUBLE_BYTES    32

enum json_layout {
    JSON_COMPACT = 0, /* no white space */
    JSON_PRETTY,      /* two spaces a level, one member a line */
};

struct json_writer {
    struct buf *out; /* borrowed until the document is complete */
    enum json_layout layout;
    uint32_t depth;     /* open maps and lists */
    uint64_t is_map;    /* bit d: is the container at depth d + 1 a map? */
    uint64_t has_items; /* bit d: does it have items already? */
    bool is_after_key;
};

/* A writer that appends to `out`. Several documents may be written one after the other. */
void json_write_init(struct json_writer *w, struct buf *out, enum json_layout layout);

void json_write_map(struct json_writer *w);  /* opens { */
void json_write_list(struct json_writer *w); /* opens [ */
void json_write_end(struct json_writer *w);  /* closes whichever is open */

/* The next member's key. Requires an open map. */
void json_write_key(struct json_writer *w, struct str key);

void json_write_null(struct json_writer *w);
void json_write_bool(struct json_writer *w, bool x);
void json_write_int(struct json_writer *w, int64_t x);
void json_write_uint(struct json_writer *w, uint64_t x);
void json_write_double(struct json_writer *w, double x);
void json_write_text(struct json_writer *w, struct str text);

/* `json` as it is. Requires it to be one well-formed JSON document. */
void json_write_raw(struct json_writer *w, struct str json);

/* A dynamic value: times as "2026-03-02T12:00:00.000Z", durations as "1.5s", bytes as base64, a type
 * as its name, absence as null, an error as {"error": "..."}. Requires it to nest no deeper than
 * JSON_WRITE_DEPTH_MAX together with what is open. */
void json_write_value(struct json_writer *w, struct value x);

/* A key and its value in one call: the usual way to write a member. */
void json_write_key_null(struct json_writer *w, const char *key);
void json_write_key_bool(struct json_writer *w, const char *key, bool x);
void json_write_key_int(struct json_writer *w, const char *key, int64_t x);
void json_write_key_double(struct json_writer *w, const char *key, double x);
void json_write_key_text(struct json_writer *w, const char *key, struct str text);

/* The document is complete: nothing is open. */
bool json_write_is_done(const struct json_writer *w);

/* `text` as a JSON string with its quotes, appended to `out`. */
void json_add_text(struct buf *out, struct str text);

/* The fewest digits (1 to 17) that read back as the finite `x`, as "1e-01" or "-1.25e+300", not
 * terminated; returns how many bytes of `out` they take. */
size_t json_print_scientific(double x, char out[JSON_DOUBLE_BYTES]);

/* `x` as this writer writes it ("0.1", "1e+300", "5.0"), appended to `out`; "null" if not finite. */
void json_add_double(struct buf *out, double x);
