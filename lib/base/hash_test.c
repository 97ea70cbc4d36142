/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <string.h>

#include "test.h"

/* RFC 3720, appendix B.4, and the check value of the catalogues of CRCs. */
static void crc_vectors(void **state)
{
    (void)state;
    uint8_t bytes[48];
    memset(bytes, 0, 32);
    assert_int_equal(hash_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(hash_crc32c(0, bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(hash_crc32c(0, bytes, 32), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(hash_crc32c(0, bytes, 32), 0x113fdb5c);
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0, 0, 0, 0, 0,    0, 0,    0, 0, 0,    0, 0, 0, 0,
        0x14, 0,    0, 0, 0, 0, 0x04, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
        0x28, 0,    0, 0, 0, 0, 0,    0, 0x02, 0, 0, 0,    0, 0, 0, 0};
    assert_int_equal(hash_crc32c(0, read_command, 48), 0xd9963a56);
    assert_int_equal(hash_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(hash_crc32c(0, "", 0), 0);
}

/* The definition, a bit at a time. */
static uint32_t crc_slowly(const uint8_t *at, size_t bytes)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < bytes * 8; i++) {
        uint32_t bit = (at[i / 8] >> (i % 8)) & 1;
        crc = (crc >> 1) ^ ((crc ^ bit) & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void crc_agrees(void **state)
{
    (void)state;
    uint8_t bytes[300];
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(seed = hash_pair(seed, i));
    for (size_t from = 0; from < 9; from++)
        for (size_t len = 0; len + from <= sizeof(bytes); len++) {
            uint32_t whole = crc_slowly(bytes + from, len);
            assert_int_equal(hash_crc32c(0, bytes + from, len), whole);
            size_t cut = len / 3;
            uint32_t first = hash_crc32c(0, bytes + from, cut);
            assert_int_equal(hash_crc32c(first, bytes + from + cut, len - cut), whole);
        }
}

/* Known results of XXH3: state hashes, chance and experiment arms stand on them, so a library that
 * changed them must be noticed here first. */
static void xxh3_is_stable(void **state)
{
    (void)state;
    assert_true(hash_bytes("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hash_pair(1, 2) == hash_pair(1, 2));
    assert_true(hash_pair(1, 2) != hash_pair(2, 1));
    assert_true(hash_str(STR("abc"), 0) == UINT64_C(0x78af5f94892f3950));
    assert_true(hash_str(STR("abc"), 1) != hash_str(STR("abc"), 0));
}

static void ids(void **state)
{
    (void)state;
    uint8_t secret[192], other[192];
    for (size_t i = 0; i < sizeof(secret); i++) {
        secret[i] = (uint8_t)hash_pair(i, 5);
        other[i] = (uint8_t)hash_pair(i, 6);
    }
    struct id128 ann = hash_id(STR("ann"), secret, sizeof(secret));
    assert_true(id128_is_set(ann));
    assert_true(id128_equal(ann, hash_id(STR("ann"), secret, sizeof(secret))));
    assert_false(id128_equal(ann, hash_id(STR("bob"), secret, sizeof(secret))));
    assert_false(id128_equal(ann, hash_id(STR("ann"), other, sizeof(other))));
    assert_true(id128_is_set(hash_id(STR(""), secret, sizeof(secret))));
    assert_false(id128_is_set((struct id128){0}));
}

/* 100,000 people in 100 cells of 1 %: each cell within 5 standard deviations (31.5) of 1,000, and a
 * second salt deals them anew. */
static void chance_is_fair(void **state)
{
    (void)state;
    uint32_t cells[100] = {0}, in_both = 0;
    for (uint64_t id = 0; id < 100000; id++) {
        uint32_t x = hash_chance(77, id);
        assert_true(x < 10000);
        cells[x / 100]++;
        in_both += x < 500 && hash_chance(78, id) < 500;
    }
    for (int i = 0; i < 100; i++)
        assert_in_range(cells[i], 1000 - 158, 1000 + 158);
    assert_in_range(in_both, 250 - 79, 250 + 79);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("CRC-32C gives the results of RFC 3720", crc_vectors),
        TEST("CRC-32C agrees with its definition, at any alignment and cut anywhere", crc_agrees),
        TEST("XXH3 is the one that data directories were written with", xxh3_is_stable),
        TEST("an identifier's hash depends on the key and is never nothing", ids),
        TEST("chance is fair, and independent between salts", chance_is_fair),
    };
    return cmocka_run_group_tests_name("base/hash", tests, NULL, NULL);
}
