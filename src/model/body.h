/* body.h - the fields of a record as typed bytes: what an event says, compactly, and readable
 * without decoding the whole.
 *
 *     field   = name varint, type byte, payload
 *     null, false, true      no payload
 *     int                    zigzag varint
 *     double                 8 bytes, IEEE 754, little-endian
 *     text                   varint length, UTF-8 bytes
 *     time                   zigzag varint, UTC milliseconds
 *     list                   varint payload bytes, varint count, then (type byte, payload) each
 *     map                    varint payload bytes, varint count, then (varint key length, key bytes,
 *                            type byte, payload) each; only inside lists and for what exceeds the
 *                            bound on names
 *
 * Nested objects are flattened to dotted names (names.h), so a field is found by one number. The
 * first field with a name counts; writers do not write one twice. A record has two bodies: `clear`
 * (numbers, booleans, times, and strings declared public) and `personal` (everything else), so that
 * the second can be sealed; lists and maps are personal as a whole unless all their leaves are clear.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/value.h"

#define BODY_DEPTH_MAX 32 /* lists and maps inside each other */

enum body_type {
    BODY_NULL = 1,
    BODY_FALSE,
    BODY_TRUE,
    BODY_INT,
    BODY_DOUBLE,
    BODY_TEXT,
    BODY_TIME,
    BODY_LIST,
    BODY_MAP,
};

struct body {
    const uint8_t *at;
    uint32_t bytes;
};

struct body_field {
    uint32_t name;
    uint8_t type;         /* enum body_type */
    const uint8_t *value; /* payload */
    uint32_t value_bytes;
    uint32_t whole_bytes; /* name, type and payload together */
};

static inline struct body body_of(const struct buf *b)
{
    return (struct body){b->at, (uint32_t)b->len};
}

/* Appends one field. `name` is not NAME_NONE. */
void body_put_null(struct buf *b, uint32_t name);
void body_put_bool(struct buf *b, uint32_t name, bool x);
void body_put_int(struct buf *b, uint32_t name, int64_t x);
void body_put_double(struct buf *b, uint32_t name, double x);
void body_put_text(struct buf *b, uint32_t name, struct str x);
void body_put_time(struct buf *b, uint32_t name, int64_t at_ms);

/* Appends a value of any kind that a body can hold (unsigned beyond int64 become doubles; durations
 * become ints of ms; bytes become text). VALUE_NONE and errors append nothing. Returns false, and
 * appends nothing, beyond BODY_DEPTH_MAX. */
bool body_put(struct buf *b, uint32_t name, const struct value *x);

/* Takes the next field off the front of `rest`; false at the end or where the bytes are damaged
 * (rest->bytes is then not 0). */
bool body_next(struct body *rest, struct body_field *out);

/* The first field with that name; false (and *out untouched) if there is none. */
bool body_find(struct body body, uint32_t name, struct body_field *out);

/* The field as a value. Texts are borrowed from the body; lists and maps are built in `scratch`
 * (may be NULL: then they become VALUE_NONE). */
struct value body_value(const struct body_field *field, struct arena *scratch);

/* body_find and body_value in one; VALUE_NONE if absent. */
struct value body_get(struct body body, uint32_t name, struct arena *scratch);

/* An int field's number; `missing` if absent or not an int. */
int64_t body_get_int(struct body body, uint32_t name, int64_t missing);

/* A text field's text; empty if absent or not a text. */
struct str body_get_text(struct body body, uint32_t name);

/* True if every byte belongs to a well-formed field: for input that this process did not write. */
bool body_check(struct body body);
