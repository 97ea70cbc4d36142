/* bytes_int.h - numbers and ids as bytes, on plain pointers: for what is read millions of times a second.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "evlog/evlog_int.h"

static inline uint8_t *put_varint(uint8_t *out, uint64_t x)
{
    while (x >= 0x80) {
        *out++ = (uint8_t)(x | 0x80);
        x >>= 7;
    }
    *out++ = (uint8_t)x;
    return out;
}

static inline uint64_t fold(int64_t x)
{
    return ((uint64_t)x << 1) ^ (uint64_t)(x >> 63);
}

static inline int64_t unfold(uint64_t x)
{
    return (int64_t)(x >> 1) ^ -(int64_t)(x & 1);
}

/* Differences wrap, so that every pair of times survives the way there and back. */
static inline int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline uint8_t *put_bytes(uint8_t *out, const void *at, size_t bytes)
{
    if (bytes > 0)
        memcpy(out, at, bytes);
    return out + bytes;
}

static inline uint8_t *put_id(uint8_t *out, struct id128 id)
{
    return put_bytes(put_bytes(out, &id.high, 8), &id.low, 8);
}

/* Reading: `at` moves, and becomes NULL where the bytes end too early. */
static inline uint64_t get_varint(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    if (likely(p != NULL && p < end && *p < 0x80)) {
        *at = p + 1;
        return *p;
    }
    uint64_t x = 0;
    for (unsigned shift = 0; p != NULL && p < end && shift < 64; shift += 7) {
        uint8_t byte = *p++;
        x |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *at = p;
            return x;
        }
    }
    *at = NULL;
    return 0;
}

static inline const uint8_t *get_bytes(const uint8_t **at, const uint8_t *end, uint64_t bytes)
{
    const uint8_t *p = *at;
    if (unlikely(p == NULL || (uint64_t)(end - p) < bytes)) {
        *at = NULL;
        return NULL;
    }
    *at = p + bytes;
    return p;
}

static inline uint64_t get_u64(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = get_bytes(at, end, 8);
    uint64_t x = 0;
    if (p != NULL)
        memcpy(&x, p, 8);
    return x;
}

static inline struct id128 get_id(const uint8_t **at, const uint8_t *end)
{
    uint64_t high = get_u64(at, end);
    return (struct id128){high, get_u64(at, end)};
}

static inline struct body get_body(const uint8_t **at, const uint8_t *end)
{
    uint64_t bytes = get_varint(at, end);
    const uint8_t *p = get_bytes(at, end, bytes);
    return (struct body){p, p != NULL ? (uint32_t)bytes : 0};
}
