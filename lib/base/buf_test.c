/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <string.h>

#include "base/hash.h"
#include "test.h"

static const uint64_t numbers[] = {
    0,          1,          0x7f,       0x80,       0x3fff,         0x4000,     UINT16_MAX,
    UINT32_MAX, 1ull << 35, 1ull << 62, 1ull << 63, UINT64_MAX - 1, UINT64_MAX, 0x123456789abcdef,
};

static void numbers_come_back(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < array_count(numbers); i++) {
        buf_add_byte(&b, (uint8_t)numbers[i]);
        buf_add_u16(&b, (uint16_t)numbers[i]);
        buf_add_u32(&b, (uint32_t)numbers[i]);
        buf_add_u64(&b, numbers[i]);
        buf_add_varint(&b, numbers[i]);
        buf_add_zigzag(&b, (int64_t)numbers[i]);
        buf_add_zigzag(&b, -(int64_t)(numbers[i] >> 1));
    }
    struct cursor c = cursor_of(b.at, b.len);
    for (size_t i = 0; i < array_count(numbers); i++) {
        assert_int_equal(cursor_byte(&c), (uint8_t)numbers[i]);
        assert_int_equal(cursor_u16(&c), (uint16_t)numbers[i]);
        assert_int_equal(cursor_u32(&c), (uint32_t)numbers[i]);
        assert_int_equal(cursor_u64(&c), numbers[i]);
        assert_int_equal(cursor_varint(&c), numbers[i]);
        assert_int_equal(cursor_zigzag(&c), (int64_t)numbers[i]);
        assert_int_equal(cursor_zigzag(&c), -(int64_t)(numbers[i] >> 1));
    }
    assert_int_equal(cursor_left(&c), 0);
    assert_false(c.is_bad);
    buf_fini(&b);
}

static void bytes_are_as_stated(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_add_u32(&b, 0x01020304);
    buf_add_varint(&b, 300);
    buf_add_zigzag(&b, -1);
    buf_add_zigzag(&b, 1);
    assert_int_equal(b.len, 8);
    assert_memory_equal(b.at, "\x04\x03\x02\x01\xac\x02\x01\x02", 8);
    buf_fini(&b);
}

/* Every shorter input of a good one is refused, and is_bad stays. */
static void short_input(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_add_u64(&b, 5);
    buf_add_varint(&b, UINT64_MAX);
    buf_add_u32(&b, 3);
    buf_add_str(&b, STR("abc"));
    for (size_t len = 0; len <= b.len; len++) {
        struct cursor c = cursor_of(b.at, len);
        cursor_u64(&c);
        cursor_varint(&c);
        uint32_t bytes = cursor_u32(&c);
        struct str text = cursor_take(&c, bytes ? bytes : 3);
        assert_int_equal(c.is_bad, len < b.len);
        if (c.is_bad) {
            assert_int_equal(text.len, 0);
            assert_int_equal(cursor_left(&c), 0);
            assert_int_equal(cursor_byte(&c), 0);
        } else {
            assert_true(str_is(text, "abc"));
        }
    }
    buf_fini(&b);
}

static void endless_varint(void **state)
{
    (void)state;
    uint8_t bytes[16];
    memset(bytes, 0x80, sizeof(bytes));
    struct cursor c = cursor_of(bytes, sizeof(bytes));
    assert_int_equal(cursor_varint(&c), 0);
    assert_true(c.is_bad);
}

static void grows(void **state)
{
    (void)state;
    struct buf b;
    uint64_t sum = 0, seed = 9;
    buf_init(&b);
    for (int i = 0; i < 3000; i++) {
        uint8_t piece[200];
        seed = hash_pair(seed, 1);
        size_t bytes = seed % sizeof(piece);
        memset(piece, i & 0xff, bytes);
        buf_add(&b, piece, bytes);
        sum += bytes * (size_t)(i & 0xff);
        assert_true(b.len <= b.room);
    }
    for (size_t i = 0; i < b.len; i++)
        sum -= b.at[i];
    assert_int_equal(sum, 0);
    size_t len = b.len;
    memset(buf_reserve(&b, 10000), 0xee, 10000);
    assert_int_equal(b.len, len);
    buf_fini(&b);
    assert_int_equal(b.room, 0);
}

static void printing(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_printf(&b, "%s", "");
    assert_int_equal(b.len, 0);
    for (int i = 0; i < 100; i++)
        buf_printf(&b, "%d,", i);
    assert_true(str_starts(buf_str(&b), STR("0,1,2,")));
    assert_true(str_ends(buf_str(&b), STR("98,99,")));
    buf_fini(&b);
}

/* As the format says it, a byte at a time. */
static bool plain_varint(const uint8_t *at, size_t bytes, uint64_t *out, size_t *taken)
{
    *out = 0;
    for (*taken = 0; *taken < bytes && *taken < 10;) {
        uint8_t byte = at[*taken];
        *out |= (uint64_t)(byte & 0x7f) << 7 * (*taken)++;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static void varints_are_read_alike_wherever_they_end(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (uint32_t round = 0; round < 200000; round++) {
        uint8_t bytes[16], length = (uint8_t)(hash_pair(round, 1) % 17);
        for (uint32_t i = 0; i < sizeof(bytes); i++) {
            seed = hash_pair(seed, i);
            bytes[i] = (uint8_t)(seed >> 8);
            if (seed % 5 != 0)
                bytes[i] |= 0x80;
        }
        uint64_t expected;
        size_t taken;
        bool is_fine = plain_varint(bytes, length, &expected, &taken);
        struct cursor c = cursor_of(bytes, length);
        uint64_t x = cursor_varint(&c);
        assert_int_equal(c.is_bad, !is_fine);
        assert_true(x == (is_fine ? expected : 0));
        assert_ptr_equal(c.at, is_fine ? bytes + taken : bytes + length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("every number comes back as it was written", numbers_come_back),
        TEST("integers are little-endian, varints have their low bits first", bytes_are_as_stated),
        TEST("whatever is cut off is noticed, and reads as zeros", short_input),
        TEST("a varint that never ends is refused", endless_varint),
        TEST("varints are read alike wherever they end", varints_are_read_alike_wherever_they_end),
        TEST("a buffer grows and keeps what it has", grows),
        TEST("printing appends", printing),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
