/* hash.h - hashes. XXH3 (xxhash library, seedable, not for adversaries) for tables, chance and state
 * hashes; CRC-32C (Castagnoli, RFC 3720 appendix B.4) for bytes on disk. A result never depends on
 * the machine: chance is hash_chance(salt, stable id), never a generator.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

/* A 128-bit keyed hash of an identifier. All zero = absent. */
struct id128 {
    uint64_t high;
    uint64_t low;
};

static inline bool id128_equal(struct id128 a, struct id128 b)
{
    return a.high == b.high && a.low == b.low;
}

static inline bool id128_is_set(struct id128 a)
{
    return (a.high | a.low) != 0;
}

uint64_t hash_bytes(const void *at, size_t bytes, uint64_t seed);
uint64_t hash_str(struct str s, uint64_t seed);

/* Never all zero. `secret` is 192 bytes or more of key material (XXH3's secret), so that an
 * attacker cannot aim identifiers at one slot. */
struct id128 hash_id(struct str s, const uint8_t *secret, size_t secret_bytes);

/* Mixes two 64-bit words into one (order matters). */
uint64_t hash_pair(uint64_t a, uint64_t b);

/* Uniform in 0..9999, from a salt and a stable id: "5 %" is < 500. */
uint32_t hash_chance(uint64_t salt, uint64_t id);

/* CRC-32C over the bytes, continuing from `crc` (0 to start). Uses the CPU's instruction if it has one. */
uint32_t hash_crc32c(uint32_t crc, const void *at, size_t bytes);
