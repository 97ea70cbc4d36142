/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/arena.h"
#include "base/hash.h"
#include "test.h"

/* The oracle: a list that is searched from its start. */
#define KEYS 700

struct oracle {
    uint32_t value[KEYS]; /* MAP_NONE = absent */
};

static uint64_t next_random(uint64_t *seed)
{
    return *seed = hash_pair(*seed, 7);
}

static struct str key_text(uint32_t k, char *out, size_t out_bytes)
{
    /* Short, long, empty, and with a NUL inside. */
    int len = 0;
    if (k == 0)
        return STR("");
    if (k % 3 == 0)
        len = snprintf(out, out_bytes, "k%u", k);
    else if (k % 3 == 1)
        len = snprintf(out, out_bytes, "a rather long name of a property, number %u", k);
    else
        len = snprintf(out, out_bytes, "nul%c%u", 0, k);
    return (struct str){out, (size_t)len};
}

static void str_agrees(void **state)
{
    (void)state;
    struct arena keys;
    arena_init(&keys, 4096);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t random = seed;
        struct map_str m;
        struct oracle o;
        char text[64];
        memset(&o, 0xff, sizeof(o));
        map_str_init(&m, &keys);
        assert_int_equal(map_str_find(&m, STR("")), MAP_NONE);
        for (int step = 0; step < 2000; step++) {
            uint32_t k = (uint32_t)(next_random(&random) % (seed * KEYS / 20));
            struct str key = key_text(k, text, sizeof(text));
            uint32_t value = (uint32_t)next_random(&random) & 0xffff;
            if (value % 2) {
                map_str_set(&m, key, value);
                o.value[k] = value;
            }
            assert_int_equal(map_str_find(&m, key), o.value[k]);
        }
        map_str_check(&m);
        uint32_t count = 0;
        for (uint32_t k = 0; k < KEYS; k++) {
            assert_int_equal(map_str_find(&m, key_text(k, text, sizeof(text))), o.value[k]);
            count += o.value[k] != MAP_NONE;
        }
        assert_int_equal(m.count, count);
        map_str_fini(&m);
    }
    arena_fini(&keys);
}

static void interning_counts(void **state)
{
    (void)state;
    struct arena keys;
    struct map_str m;
    arena_init(&keys, 4096);
    map_str_init(&m, &keys);
    char text[64];
    for (int round = 0; round < 2; round++)
        for (uint32_t k = 0; k < KEYS; k++)
            assert_int_equal(map_str_intern(&m, key_text(k, text, sizeof(text))), k);
    for (uint32_t k = 0; k < KEYS; k++)
        assert_true(str_equal(m.entries[k].key, key_text(k, text, sizeof(text))));
    map_str_check(&m);
    map_str_fini(&m);
    arena_fini(&keys);
}

static void keys_are_copied(void **state)
{
    (void)state;
    struct arena keys;
    struct map_str m;
    arena_init(&keys, 4096);
    map_str_init(&m, &keys);
    char text[8] = "cart_id";
    map_str_intern(&m, str_of(text));
    memcpy(text, "xxxxxxx", 7);
    assert_int_equal(map_str_find(&m, STR("cart_id")), 0);
    assert_int_equal(map_str_find(&m, str_of(text)), MAP_NONE);
    assert_string_equal(m.entries[0].key.at, "cart_id");
    map_str_fini(&m);
    arena_fini(&keys);
}

static void reset_forgets(void **state)
{
    (void)state;
    struct arena keys;
    struct map_str names;
    struct map_u64 ids;
    arena_init(&keys, 4096);
    map_str_init(&names, &keys);
    map_u64_init(&ids);
    for (uint32_t k = 0; k < 100; k++) {
        char text[64];
        map_str_intern(&names, key_text(k, text, sizeof(text)));
        map_u64_set(&ids, k, k);
    }
    map_str_reset(&names);
    map_u64_reset(&ids);
    assert_int_equal(map_str_find(&names, STR("k3")), MAP_NONE);
    assert_int_equal(map_u64_find(&ids, 3), MAP_NONE);
    assert_int_equal(map_str_intern(&names, STR("k3")), 0);
    map_u64_set(&ids, 3, 8);
    assert_int_equal(map_u64_find(&ids, 3), 8);
    map_str_check(&names);
    map_u64_check(&ids);
    map_str_fini(&names);
    map_u64_fini(&ids);
    arena_fini(&keys);
}

/* Keys that look alike in their low, in their high and in no bits. */
static uint64_t key_u64(uint32_t k, uint64_t seed)
{
    switch (seed % 4) {
    case 0: return k;
    case 1: return (uint64_t)k << 32;
    case 2: return (uint64_t)k << 56 | k;
    default: return hash_pair(k, seed);
    }
}

static void u64_agrees(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        uint64_t random = seed;
        uint32_t keys = 1 + (uint32_t)(next_random(&random) % 200);
        struct map_u64 m;
        struct oracle o;
        memset(&o, 0xff, sizeof(o));
        map_u64_init(&m);
        assert_int_equal(map_u64_drop(&m, 0), MAP_NONE);
        for (int step = 0; step < 4000; step++) {
            uint32_t k = (uint32_t)(next_random(&random) % keys);
            uint32_t value = (uint32_t)next_random(&random) & 0xffff;
            /* Fill in the first half, thin out in the second. */
            if (value % 8 < (step < 2000 ? 5u : 3u)) {
                map_u64_set(&m, key_u64(k, seed), value);
                o.value[k] = value;
            } else {
                assert_int_equal(map_u64_drop(&m, key_u64(k, seed)), o.value[k]);
                o.value[k] = MAP_NONE;
            }
            if (step % 16 == 0)
                map_u64_check(&m);
        }
        uint32_t count = 0;
        for (uint32_t k = 0; k < keys; k++) {
            assert_int_equal(map_u64_find(&m, key_u64(k, seed)), o.value[k]);
            count += o.value[k] != MAP_NONE;
        }
        assert_int_equal(m.count, count);
        map_u64_fini(&m);
    }
}

static void order_is_the_order_of_adding(void **state)
{
    (void)state;
    struct map_u64 m;
    map_u64_init(&m);
    for (uint32_t k = 0; k < 500; k++)
        map_u64_set(&m, key_u64(k, 3), k);
    for (uint32_t k = 0; k < 500; k++)
        assert_int_equal(m.entries[k].value, k);
    assert_int_equal(map_u64_drop(&m, key_u64(10, 3)), 10);
    assert_int_equal(m.entries[10].value, 499);
    assert_int_equal(m.count, 499);
    map_u64_check(&m);
    map_u64_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a map of texts agrees with a list, whatever is set in whatever order", str_agrees),
        TEST("interning gives each new text the next number and an old one its own",
             interning_counts),
        TEST("keys are copied: what the caller does to its own bytes changes nothing",
             keys_are_copied),
        TEST("a map that was reset is empty and usable", reset_forgets),
        TEST("a map of numbers agrees with a list through sets and drops", u64_agrees),
        TEST("entries stand in the order of adding, and the newest fills the gap of a drop",
             order_is_the_order_of_adding),
    };
    return cmocka_run_group_tests_name("base/map", tests, NULL, NULL);
}
