/* buf.h - bytes that grow: for output, encoding and reading whole files.
 *
 * Integers are little-endian; varints are LEB128 (7 bits a byte, low bits first), signed ones
 * zigzag-folded first, as in Protocol Buffers' encoding guide.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <string.h>

#include "base/base.h"
#include "base/str.h"

struct buf {
    uint8_t *at;
    size_t len;  /* bytes in use */
    size_t room; /* bytes allocated */
};

void buf_init(struct buf *b);
void buf_fini(struct buf *b);

/* Makes room for `more` bytes beyond len and returns where they go; len is not moved. */
void buf_grow(struct buf *b, size_t more); /* buf_reserve(), where there is none yet */

static inline mustuse uint8_t *buf_reserve(struct buf *b, size_t more)
{
    if (unlikely(b->room - b->len < more))
        buf_grow(b, more);
    return b->at + b->len;
}

void buf_add(struct buf *b, const void *at, size_t bytes);
void buf_add_str(struct buf *b, struct str s);
void buf_add_u16(struct buf *b, uint16_t x);
void buf_add_u32(struct buf *b, uint32_t x);
void buf_add_varint_long(struct buf *b, uint64_t x); /* buf_add_varint() of more than a byte */

static inline void buf_add_byte(struct buf *b, uint8_t byte)
{
    if (unlikely(b->len == b->room))
        (void)!buf_reserve(b, 1);
    b->at[b->len++] = byte;
}

static inline void buf_add_u64(struct buf *b, uint64_t x)
{
    memcpy(buf_reserve(b, sizeof(x)), &x, sizeof(x));
    b->len += sizeof(x);
}

static inline void buf_add_varint(struct buf *b, uint64_t x)
{
    if (x < 0x80)
        buf_add_byte(b, (uint8_t)x);
    else
        buf_add_varint_long(b, x);
}

static inline void buf_add_zigzag(struct buf *b, int64_t x)
{
    buf_add_varint(b, ((uint64_t)x << 1) ^ (uint64_t)(x >> 63));
}

void buf_printf(struct buf *b, const char *format, ...) printf_like(2, 3);

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){(const char *)b->at, b->len};
}

/* Reading: a cursor over bytes. Reading past the end sets `is_bad` and yields zeros, so that a
 * decoder may check once at its end. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};

static inline struct cursor cursor_of(const void *at, size_t bytes)
{
    return (struct cursor){(const uint8_t *)at, (const uint8_t *)at + bytes, false};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);

uint8_t cursor_byte_behind(struct cursor *c);  /* cursor_byte() at the end */
uint64_t cursor_varint_long(struct cursor *c); /* cursor_varint() of more than a byte, or of none */

static inline uint8_t cursor_byte(struct cursor *c)
{
    return likely(c->at != c->end) ? *c->at++ : cursor_byte_behind(c);
}

static inline uint64_t cursor_varint(struct cursor *c)
{
    return c->at != c->end && *c->at < 0x80 ? *c->at++ : cursor_varint_long(c);
}

static inline int64_t cursor_zigzag(struct cursor *c)
{
    uint64_t x = cursor_varint(c);
    return (int64_t)(x >> 1) ^ -(int64_t)(x & 1);
}

/* The next `bytes` bytes, borrowed from the input; an empty str and is_bad if there are fewer. */
struct str cursor_take(struct cursor *c, size_t bytes);
