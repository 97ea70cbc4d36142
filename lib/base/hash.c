/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <xxhash.h>

uint64_t hash_bytes(const void *at, size_t bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(at, bytes, seed);
}

uint64_t hash_str(struct str s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.at, s.len, seed);
}

struct id128 hash_id(struct str s, const uint8_t *secret, size_t secret_bytes)
{
    must(secret_bytes >= 192);
    XXH128_hash_t h = XXH3_128bits_withSecret(s.at, s.len, secret, secret_bytes);
    if ((h.high64 | h.low64) == 0)
        h.low64 = 1;
    return (struct id128){h.high64, h.low64};
}

uint64_t hash_pair(uint64_t a, uint64_t b)
{
    uint64_t words[2] = {a, b};
    return XXH3_64bits(words, sizeof(words));
}

uint32_t hash_chance(uint64_t salt, uint64_t id)
{
    return (uint32_t)(((unsigned __int128)hash_pair(salt, id) * 10000u) >> 64);
}

#if defined(__x86_64__)
#    include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc_fast(uint32_t crc, const uint8_t *at,
                                                           size_t bytes)
{
    uint64_t sum = crc;
    while (bytes >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        sum = _mm_crc32_u64(sum, word);
        at += 8;
        bytes -= 8;
    }
    uint32_t tail = (uint32_t)sum;
    while (bytes--)
        tail = _mm_crc32_u8(tail, *at++);
    return tail;
}
#endif

static uint32_t crc_plain(uint32_t crc, const uint8_t *at, size_t bytes)
{
    while (bytes--) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
    }
    return crc;
}

uint32_t hash_crc32c(uint32_t crc, const void *at, size_t bytes)
{
    crc = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_fast(crc, at, bytes);
#endif
    return ~crc_plain(crc, at, bytes);
}
