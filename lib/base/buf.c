/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

void buf_fini(struct buf *b)
{
    mem_free(b->at);
    *b = (struct buf){0};
}

void buf_grow(struct buf *b, size_t more)
{
    size_t room = b->room ? b->room : 64;
    while (room - b->len < more)
        room *= 2;
    b->at = mem_resize(b->at, room);
    b->room = room;
}

void buf_add(struct buf *b, const void *at, size_t bytes)
{
    if (bytes == 0)
        return;
    memcpy(buf_reserve(b, bytes), at, bytes);
    b->len += bytes;
}

void buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.at, s.len);
}

/* x86-64 and arm64 are little-endian; the assertion refuses anything else. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "formats on disk are little-endian");

void buf_add_u16(struct buf *b, uint16_t x)
{
    buf_add(b, &x, sizeof(x));
}

void buf_add_u32(struct buf *b, uint32_t x)
{
    buf_add(b, &x, sizeof(x));
}

void buf_add_varint_long(struct buf *b, uint64_t x)
{
    uint8_t *out = buf_reserve(b, 10);
    size_t n = 0;
    while (x >= 0x80) {
        out[n++] = (uint8_t)(x | 0x80);
        x >>= 7;
    }
    out[n++] = (uint8_t)x;
    b->len += n;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    must(len >= 0);
    vsnprintf((char *)buf_reserve(b, (size_t)len + 1), (size_t)len + 1, format, again);
    va_end(again);
    b->len += (size_t)len;
}

static bool take(struct cursor *c, void *out, size_t bytes)
{
    if (cursor_left(c) < bytes) {
        c->is_bad = true;
        c->at = c->end;
        memset(out, 0, bytes);
        return false;
    }
    memcpy(out, c->at, bytes);
    c->at += bytes;
    return true;
}

uint8_t cursor_byte_behind(struct cursor *c)
{
    c->is_bad = true;
    return 0;
}

uint16_t cursor_u16(struct cursor *c)
{
    uint16_t x;
    take(c, &x, sizeof(x));
    return x;
}

uint32_t cursor_u32(struct cursor *c)
{
    uint32_t x;
    take(c, &x, sizeof(x));
    return x;
}

uint64_t cursor_u64(struct cursor *c)
{
    uint64_t x;
    take(c, &x, sizeof(x));
    return x;
}

/* Up to eight bytes at once: which of them is the last says the first whose top bit is clear; then sevens of
 * bits are moved together, in pairs, fours and eights. */
static uint64_t join_sevens(uint64_t x)
{
    x = (x & UINT64_C(0x007f007f007f007f)) | (x & UINT64_C(0x7f007f007f007f00)) >> 1;
    x = (x & UINT64_C(0x00003fff00003fff)) | (x & UINT64_C(0x3fff00003fff0000)) >> 2;
    return (x & UINT64_C(0x000000000fffffff)) | (x & UINT64_C(0x0fffffff00000000)) >> 4;
}

uint64_t cursor_varint_long(struct cursor *c)
{
    uint64_t x = 0;
    unsigned shift = 0;
    if (likely(cursor_left(c) >= sizeof(x))) {
        memcpy(&x, c->at, sizeof(x));
        uint64_t ends = ~x & UINT64_C(0x8080808080808080);
        if (likely(ends != 0)) {
            c->at += (unsigned)__builtin_ctzll(ends) / 8 + 1;
            return join_sevens(x & (ends ^ (ends - 1)));
        }
        x = join_sevens(x);
        c->at += sizeof(x);
        shift = 7 * sizeof(x);
    }
    for (; shift < 64; shift += 7) {
        if (c->at == c->end)
            break;
        uint8_t byte = *c->at++;
        x |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return x;
    }
    c->is_bad = true;
    c->at = c->end;
    return 0;
}

struct str cursor_take(struct cursor *c, size_t bytes)
{
    if (cursor_left(c) < bytes) {
        c->is_bad = true;
        c->at = c->end;
        return (struct str){NULL, 0};
    }
    struct str s = {(const char *)c->at, bytes};
    c->at += bytes;
    return s;
}
