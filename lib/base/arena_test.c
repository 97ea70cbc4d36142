/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <string.h>

#include "base/hash.h"
#include "test.h"

#define PIECES 400

static void pieces_are_apart(void **state)
{
    (void)state;
    struct arena a;
    uint8_t *at[PIECES];
    size_t bytes[PIECES];
    arena_init(&a, 1024);
    for (int round = 0; round < 3; round++) {
        /* Sizes up to three blocks; each piece is filled with its own byte. */
        for (int i = 0; i < PIECES; i++) {
            bytes[i] = hash_pair((uint64_t)i, (uint64_t)round) % (i % 10 == 0 ? 3000 : 90);
            at[i] = arena_alloc(&a, bytes[i]);
            assert_true(((uintptr_t)at[i] & 15) == 0);
            memset(at[i], i & 0xff, bytes[i]);
        }
        for (int i = 0; i < PIECES; i++)
            for (size_t k = 0; k < bytes[i]; k++)
                assert_int_equal(at[i][k], i & 0xff);
        arena_reset(&a);
    }
    arena_fini(&a);
    assert_int_equal(a.total_bytes, 0);
}

static void reset_keeps_the_largest(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 256);
    arena_reset(&a); /* of nothing */
    void *first = arena_alloc(&a, 200);
    void *large = arena_alloc(&a, 5000);
    void *small = arena_alloc(&a, 250);
    assert_true(first != large && large != small);
    arena_reset(&a);
    size_t held = a.total_bytes;
    assert_true(held >= 5000 && held < 5300);
    assert_ptr_equal(arena_alloc(&a, 4900), large); /* no new memory */
    assert_int_equal(a.total_bytes, held);
    arena_fini(&a);
    assert_ptr_equal(a.block, NULL);
}

static void zeroed(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1024);
    memset(arena_alloc(&a, 900), 0xff, 900);
    arena_reset(&a);
    const uint64_t *words = arena_array(&a, uint64_t, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(words[i], 0);
    arena_fini(&a);
}

static void texts(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 256);
    struct str copy = arena_copy(&a, STR("a\0b"));
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.at, "a\0b", 4); /* with a NUL behind it */
    assert_string_equal(arena_copy(&a, (struct str){NULL, 0}).at, "");
    struct str printed = arena_printf(&a, "%d of %s", 3, "seven");
    assert_string_equal(printed.at, "3 of seven");
    assert_int_equal(printed.len, 10);
    struct str longer = arena_printf(&a, "%2000d", 7);
    assert_int_equal(longer.len, 2000);
    assert_int_equal(longer.at[1999], '7');
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("pieces are aligned and never overlap, whatever their sizes", pieces_are_apart),
        TEST("a reset keeps the largest block for what comes next", reset_keeps_the_largest),
        TEST("zeroed memory is zero even where something else was", zeroed),
        TEST("texts are copied whole and end in a NUL", texts),
    };
    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
