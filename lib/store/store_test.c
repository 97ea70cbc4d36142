/* What spaces, lists, blobs, the index and the set of seen ids promise, against plain models. */
#include "base/mem.h"
#include "store/index.h"
#include "store/pages.h"
#include "store/seen.h"
#include "store/space.h"
#include "test.h"

static uint64_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 11;
}

static void objects_do_not_overlap(void **state)
{
    (void)state;
    enum { OBJECTS = 2000, STEPS = 40000 };
    struct space s;
    struct {
        uint32_t ref, bytes;
        uint8_t fill;
    } *model = mem_new(OBJECTS * sizeof(*model));
    uint64_t seed = 7;
    space_init(&s);
    for (int step = 0; step < STEPS; step++) {
        uint32_t i = (uint32_t)(next(&seed) % OBJECTS);
        if (model[i].ref) {
            const uint8_t *at = space_at(&s, model[i].ref);
            for (uint32_t k = 0; k < model[i].bytes; k++)
                assert_int_equal(at[k], model[i].fill);
            space_free(&s, model[i].ref, model[i].bytes);
            model[i].ref = 0;
            continue;
        }
        uint32_t most = next(&seed) % 16 == 0 ? SPACE_OBJECT_MAX : 300;
        model[i].bytes = 1 + (uint32_t)(next(&seed) % most);
        model[i].fill = (uint8_t)next(&seed);
        model[i].ref = space_alloc(&s, model[i].bytes);
        assert_int_not_equal(model[i].ref, 0);
        uint8_t *at = space_touch(&s, model[i].ref);
        for (uint32_t k = 0; k < model[i].bytes; k++)
            assert_int_equal(at[k], 0);
        memset(at, model[i].fill, model[i].bytes);
    }
    for (uint32_t i = 0; i < OBJECTS; i++)
        space_free(&s, model[i].ref, model[i].bytes ? model[i].bytes : 1);
    assert_int_equal(s.live_bytes, 0);
    space_fini(&s);
    mem_free(model);
}

static void sizes_round_up_by_a_quarter_at_most(void **state)
{
    (void)state;
    for (uint32_t bytes = 1; bytes <= SPACE_OBJECT_MAX; bytes++) {
        uint32_t rounded = space_rounded(bytes);
        assert_true(rounded >= bytes);
        assert_true(rounded <= bytes + bytes / 4 + 15);
        assert_int_equal(space_rounded(rounded), rounded);
    }
}

static void a_list_keeps_its_order(void **state)
{
    (void)state;
    struct space s;
    struct vec v = {0};
    uint32_t model[400], count = 0;
    uint64_t seed = 3;
    space_init(&s);
    for (int step = 0; step < 20000; step++) {
        if (count < 400 && (count == 0 || next(&seed) % 5 < 3)) {
            uint32_t *at = vec_push(&s, &v, sizeof(*at));
            assert_non_null(at);
            *at = model[count++] = (uint32_t)next(&seed);
        } else {
            uint32_t i = (uint32_t)(next(&seed) % count);
            vec_drop(&s, &v, i, sizeof(uint32_t));
            memmove(&model[i], &model[i + 1], (count - i - 1) * sizeof(model[0]));
            count--;
        }
        assert_int_equal(v.count, count);
    }
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(*(const uint32_t *)vec_at(&s, &v, i, sizeof(uint32_t)), model[i]);
    vec_clear(&s, &v, sizeof(uint32_t));
    assert_int_equal(s.live_bytes, 0);
    space_fini(&s);
}

static void a_list_is_full_at_its_limit(void **state)
{
    (void)state;
    struct space s;
    struct vec v = {0};
    space_init(&s);
    for (uint32_t i = 0; i < SPACE_OBJECT_MAX / 64; i++)
        assert_non_null(vec_push(&s, &v, 64));
    assert_null(vec_push(&s, &v, 64));
    vec_clear(&s, &v, 64);
    space_fini(&s);
}

static void an_index_agrees_with_a_plain_list(void **state)
{
    (void)state;
    enum { KEYS = 500 };
    struct index x;
    uint64_t model[KEYS] = {0};
    uint64_t seed = 11;
    index_init(&x);
    for (int step = 0; step < 60000; step++) {
        uint32_t k = (uint32_t)(next(&seed) % KEYS);
        struct id128 key = {k + 1, (k * 37u) % 64}; /* many share a home */
        if (next(&seed) % 2) {
            index_add(&x, key)->first = model[k] = next(&seed) | 1;
        } else {
            assert_int_equal(index_drop(&x, key), model[k] != 0);
            model[k] = 0;
        }
        uint32_t probe = (uint32_t)(next(&seed) % KEYS);
        struct index_entry *e = index_find(&x, (struct id128){probe + 1, (probe * 37u) % 64});
        assert_int_equal(e ? e->first : 0, model[probe]);
    }
    index_fini(&x);
}

static void a_message_id_is_known_for_a_day(void **state)
{
    (void)state;
    struct seen s;
    seen_init(&s, 1000);
    assert_false(seen_note(&s, UINT64_C(0xabcdef0123456789), 0));
    assert_true(seen_note(&s, UINT64_C(0xabcdef0123456789), DAY_MS));
    assert_false(seen_note(&s, UINT64_C(0xabcdef0123456789), DAY_MS + 2 * MINUTE_MS));
    assert_true(seen_note(&s, UINT64_C(0xabcdef0123456789), DAY_MS + 3 * MINUTE_MS));
    seen_fini(&s);
}

/* Minutes wrap after 45 days: what is as old as that must not look young again. */
static void a_message_id_does_not_come_back(void **state)
{
    (void)state;
    const int64_t wrap_ms = 65536 * MINUTE_MS;
    for (uint32_t others = 0; others < 3; others++) {
        struct seen s;
        seen_init(&s, 1u << 20);
        for (uint64_t i = 1; i <= 40; i++)
            assert_false(seen_note(&s, i << 20, 0));
        /* nobody else; now and then somebody; at both ends only */
        for (int64_t day = 1; day < 45; day++)
            if (others == 1 || (others == 2 && (day < 2 || day > 43)))
                assert_false(seen_note(&s, (uint64_t)(1000 + day) << 20, day * DAY_MS - HOUR_MS));
        for (uint64_t i = 1; i <= 40; i++) {
            assert_false(seen_has(&s, i << 20, wrap_ms + MINUTE_MS));
            assert_false(seen_note(&s, i << 20, wrap_ms + MINUTE_MS));
            assert_true(seen_has(&s, i << 20, wrap_ms + MINUTE_MS));
        }
        seen_fini(&s);
    }
}

static void seen_ids_agree_with_a_plain_list(void **state)
{
    (void)state;
    enum { IDS = 3000 };
    struct seen s;
    int64_t noted[IDS];
    uint64_t seed = 5;
    int64_t now_ms = 0;
    uint32_t largest = 0;
    for (int i = 0; i < IDS; i++)
        noted[i] = -10 * DAY_MS;
    seen_init(&s, 100000);
    for (int step = 0; step < 100000; step++) {
        now_ms += (int64_t)(next(&seed) % (4 * MINUTE_MS));
        uint32_t i = (uint32_t)(next(&seed) % IDS);
        bool is_known = now_ms / MINUTE_MS - noted[i] / MINUTE_MS <= DAY_MS / MINUTE_MS;
        uint64_t hash = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        assert_int_equal(seen_has(&s, hash, now_ms), is_known);
        assert_int_equal(seen_note(&s, hash, now_ms), is_known);
        if (!is_known)
            noted[i] = now_ms;
        largest = max_of(largest, s.count);
    }
    assert_true(largest < IDS);
    seen_fini(&s);
}

static void the_set_of_seen_ids_is_bounded(void **state)
{
    (void)state;
    struct seen s;
    seen_init(&s, 64);
    for (uint64_t i = 1; i < 10000; i++) {
        assert_false(seen_note(&s, i * UINT64_C(0x9e3779b97f4a7c15), (int64_t)i));
        assert_true(s.count <= 64);
    }
    seen_fini(&s);
}

static bool is_all(const uint8_t *at, size_t bytes, uint8_t fill)
{
    return at[0] == fill && memcmp(at, at + 1, bytes - 1) == 0;
}

static void blocks_do_not_overlap(void **state)
{
    (void)state;
    enum { BLOCKS = 24, STEPS = 600 };
    struct pages p;
    struct {
        uint8_t *at;
        size_t bytes;
        uint8_t fill;
    } model[BLOCKS] = {0};
    uint64_t seed = 3;
    pages_init(&p);
    for (int step = 0; step < STEPS; step++) {
        uint32_t i = (uint32_t)(next(&seed) % BLOCKS);
        if (model[i].at != NULL) {
            assert_true(is_all(model[i].at, model[i].bytes, model[i].fill));
            pages_give(&p, model[i].at, model[i].bytes);
            model[i].at = NULL;
            continue;
        }
        size_t bytes = PAGES_BLOCK_MIN << next(&seed) % 7; /* up to 4 MiB */
        bytes -= next(&seed) % (PAGES_BLOCK_MIN / 2);
        uint8_t *at = pages_take(&p, bytes);
        assert_true(is_all(at, bytes, 0));
        assert_int_equal((uintptr_t)at % PAGES_BLOCK_MIN, 0);
        assert_true(bytes <= PAGES_REGION / 2 || (uintptr_t)at % PAGES_REGION == 0);
        model[i].at = at;
        model[i].bytes = bytes;
        model[i].fill = (uint8_t)(1 + step % 255);
        memset(at, model[i].fill, bytes);
    }
    for (uint32_t i = 0; i < BLOCKS; i++)
        if (model[i].at != NULL)
            pages_give(&p, model[i].at, model[i].bytes);
    pages_fini(&p);
}

static void what_is_given_back_is_taken_again(void **state)
{
    (void)state;
    struct pages p;
    pages_init(&p);
    for (int round = 0; round < 100; round++) {
        void *small = pages_take(&p, PAGES_BLOCK_MIN), *large = pages_take(&p, PAGES_REGION / 2);
        pages_give(&p, small, PAGES_BLOCK_MIN);
        pages_give(&p, large, PAGES_REGION / 2);
    }
    assert_int_equal(p.region_count, 1);
    pages_fini(&p);
}

/* Large enough that chunks and tables are cut out of regions, side by side. */
static void stores_may_share_pages(void **state)
{
    (void)state;
    enum { STORES = 3, KEYS = 9000, DAY = 1000 };
    struct pages p;
    struct space spaces[STORES];
    struct index indexes[STORES];
    struct seen seen[STORES];
    pages_init(&p);
    for (uint64_t k = 0; k < STORES; k++) {
        space_init_in(&spaces[k], &p);
        index_init_in(&indexes[k], &p);
        seen_init_in(&seen[k], 1u << 20, &p);
    }
    for (uint64_t i = 1; i <= KEYS; i++) {
        for (uint64_t k = 0; k < STORES; k++) {
            uint32_t ref = space_alloc(&spaces[k], 40);
            uint64_t *object = space_touch(&spaces[k], ref);
            object[0] = object[4] = i * 10 + k;
            struct index_entry *e = index_add(&indexes[k], (struct id128){i, i * 7});
            e->first = ref;
            assert_false(seen_note(&seen[k], (i * STORES + k) << 20, DAY));
        }
    }
    assert_true(p.region_count > 0);
    for (uint64_t i = 1; i <= KEYS; i++) {
        for (uint64_t k = 0; k < STORES; k++) {
            const struct index_entry *e = index_find(&indexes[k], (struct id128){i, i * 7});
            const uint64_t *object = space_at(&spaces[k], (uint32_t)e->first);
            assert_int_equal(object[0], i * 10 + k);
            assert_int_equal(object[4], i * 10 + k);
            for (uint64_t of = 0; of < STORES; of++)
                assert_int_equal(seen_has(&seen[k], (i * STORES + of) << 20, DAY), of == k);
        }
    }
    for (uint64_t k = 0; k < STORES; k++) {
        space_fini(&spaces[k]);
        index_fini(&indexes[k]);
        seen_fini(&seen[k]);
    }
    pages_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("objects of all sizes never overlap and start as zeros", objects_do_not_overlap),
        TEST("a size is rounded up by a quarter at most", sizes_round_up_by_a_quarter_at_most),
        TEST("a list keeps its order", a_list_keeps_its_order),
        TEST("a list says when it is full", a_list_is_full_at_its_limit),
        TEST("an index agrees with a plain list", an_index_agrees_with_a_plain_list),
        TEST("a message id is known for a day", a_message_id_is_known_for_a_day),
        TEST("a message id does not come back after weeks", a_message_id_does_not_come_back),
        TEST("seen ids agree with a plain list", seen_ids_agree_with_a_plain_list),
        TEST("the set of seen ids is bounded", the_set_of_seen_ids_is_bounded),
        TEST("blocks never overlap and start as zeros", blocks_do_not_overlap),
        TEST("what is given back is taken again", what_is_given_back_is_taken_again),
        TEST("stores may share pages", stores_may_share_pages),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
