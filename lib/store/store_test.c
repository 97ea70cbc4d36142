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

#define WALK_KEYS 40000

struct walk {
    uint8_t visits[WALK_KEYS];
    uint32_t visited; /* by the last call */
};

static void note_visit(void *self, const struct index_entry *entry)
{
    struct walk *w = self;
    w->visits[entry->key.high - 1]++;
    w->visited++;
}

/* An entry that changes before its turn is noted by hand, as the one who walks would keep it. */
static void a_walk_in_pieces_meets_everybody_once(void **state)
{
    (void)state;
    struct walk *w = mem_new(sizeof(*w));
    uint8_t *is_in = mem_new(WALK_KEYS), *was_in = mem_new(WALK_KEYS),
            *is_kept = mem_new(WALK_KEYS);
    struct index x;
    uint64_t seed = 5, place = INDEX_END;
    uint32_t walks = 0, grew = 0, most = 0;
    index_init(&x);
    for (uint32_t step = 0; step < 400000; step++) {
        if (place == INDEX_END) {
            for (uint32_t k = 0; k < WALK_KEYS && walks > 0; k++)
                assert_true(is_kept[k] ? w->visits[k] <= 1 : w->visits[k] == was_in[k]);
            memset(w, 0, sizeof(*w));
            memset(is_kept, 0, WALK_KEYS);
            memcpy(was_in, is_in, WALK_KEYS);
            place = 0;
            walks++;
        }
        /* ever more, some of them going again: the table grows under way */
        uint32_t k = (uint32_t)(next(&seed) % min_of(step / 4 + 10, (uint32_t)WALK_KEYS));
        struct id128 key = {k + 1, hash_pair(k, 1)};
        bool is_add = next(&seed) % 4 != 0;
        if (is_add != is_in[k] && index_place(key) >= place)
            is_kept[k] = 1;
        if (is_add)
            index_add(&x, key)->first = k;
        else
            assert_int_equal(index_drop(&x, key), is_in[k]);
        is_in[k] = is_add;
        grew += x.moved > 0;
        w->visited = 0;
        for (uint32_t i = 0; i < 2 && place < INDEX_END; i++) {
            uint64_t before = place;
            index_visit(&x, &place, w, note_visit);
            assert_true(place > before);
            assert_non_null(index_ahead(&x, before, 16));
        }
        most = max_of(most, w->visited);
    }
    assert_true(walks > 5);
    assert_true(grew > 1000); /* also while the table was growing */
    assert_in_range(most, 1, 64);
    uint32_t count = 0;
    for (uint32_t i = 0; i < index_slot_count(&x); i++)
        count += id128_is_set(index_slot(&x, i)->key);
    assert_int_equal(count, x.count);
    index_fini(&x);
    mem_free(w);
    mem_free(is_in);
    mem_free(was_in);
    mem_free(is_kept);
}

/* What index.h says of where entries stand. */
static void check_index(const struct index *x)
{
    uint64_t rank = 0;
    uint32_t count = 0, last_empty = 0;
    if (x->slot_count == 0)
        return;
    assert_in_range(x->homes, x->homes_before, x->slot_count - 1);
    assert_false(id128_is_set(index_slot(x, x->slot_count - 1)->key));
    for (uint32_t i = 0; i < x->slot_count; i++) {
        const struct index_entry *e = index_slot(x, i);
        if (!id128_is_set(e->key)) {
            last_empty = i + 1;
            continue;
        }
        assert_true(index_rank(e->key) >= rank);
        rank = index_rank(e->key);
        uint64_t home = index_home(x, index_place(e->key));
        assert_true(home <= i);
        assert_true(home >= last_empty); /* it is looked for from there on */
        count++;
    }
    assert_int_equal(count, x->count);
}

#define MODEL_KEYS 60000

/* How the keys of a model are spread: over all places, over few, or as many to each as a page has slots. */
static struct id128 model_key(uint32_t k, int spread)
{
    switch (spread) {
    case 0: return (struct id128){k + 1, hash_pair(k, 3)};
    case 1: return (struct id128){k + 1, k};
    case 2: return (struct id128){k + 1, k / 4};
    default: return (struct id128){k + 1, hash_pair(k / 700, 5)};
    }
}

/* Of up to `most` keys, some of them going: whatever is there at each size, and while the table grows. */
static void live_in_index(struct pages *pages, uint32_t most, int spread, uint64_t seed)
{
    uint64_t *model = mem_new(most * sizeof(model[0]));
    uint32_t top = 0, checked = 0;
    struct index x;
    index_init_in(&x, pages);
    for (uint32_t step = 0; top < most; step++) {
        /* waves: mostly additions, then mostly removals */
        bool is_add = next(&seed) % 16 < (step / 3000 % 4 == 3 ? 5u : 13u);
        uint32_t k = is_add && next(&seed) % 2 ? top++ : (uint32_t)(next(&seed) % (top + 1u));
        k = min_of(k, most - 1);
        struct id128 key = model_key(k, spread);
        if (is_add) {
            struct index_entry *e = index_add(&x, key);
            assert_true(id128_equal(e->key, key));
            assert_int_equal(e->first, model[k]);
            e->first = model[k] = next(&seed) | 1;
        } else {
            assert_int_equal(index_drop(&x, key), model[k] != 0);
            model[k] = 0;
        }
        uint32_t probe = (uint32_t)(next(&seed) % (top + 1u));
        probe = min_of(probe, most - 1);
        const struct index_entry *e = index_find(&x, model_key(probe, spread));
        assert_int_equal(e ? e->first : 0, model[probe]);
        if (x.count < 100 || next(&seed) % (x.count / 16 + 1) == 0) {
            check_index(&x);
            checked++;
        }
    }
    for (uint32_t k = 0; k < most; k++) {
        const struct index_entry *e = index_find(&x, model_key(k, spread));
        assert_int_equal(e ? e->first : 0, model[k]);
    }
    for (uint32_t k = 0; k < most; k++)
        assert_int_equal(index_drop(&x, model_key(k, spread)), model[k] != 0);
    assert_int_equal(x.count, 0);
    check_index(&x);
    assert_true(checked > 10);
    index_fini(&x);
    mem_free(model);
}

static void an_index_keeps_its_order_at_every_size(void **state)
{
    (void)state;
    struct pages p;
    pages_init(&p);
    for (int spread = 0; spread < 3; spread++) {
        live_in_index(&p, MODEL_KEYS, spread, 31 + (uint64_t)spread);
        for (uint32_t most = 1; most < 600; most += 7)
            live_in_index(most % 2 ? &p : NULL, most + 100, spread, most);
    }
    live_in_index(NULL, 3000, 3, 7); /* hundreds at one place */
    pages_fini(&p);
}

/* Whatever there is: what an addition moves is counted by how far the growth goes on with it. */
static void a_large_table_grows_a_little_at_a_time(void **state)
{
    (void)state;
    struct index x;
    uint32_t growing = 0;
    index_init(&x);
    for (uint64_t i = 1; i <= 200000; i++) {
        uint64_t moved = x.moved ? x.moved : INDEX_END;
        uint32_t slot_count = x.slot_count;
        index_add(&x, (struct id128){i, hash_pair(i, 2)})->first = i;
        if (slot_count >= 4096) /* by an eighth, never to less than two thirds */
            assert_true(x.slot_count <= slot_count + slot_count / 8);
        if (slot_count >= 4096)
            assert_true(x.count * 3ull > x.slot_count * 2ull);
        if (x.moved == 0)
            continue;
        growing++;
        assert_true((moved - x.moved) / (INDEX_END / x.homes_before) <= 33);
        if (i % 64 == 0)
            for (uint64_t k = 1; k <= i; k += 97)
                assert_int_equal(index_find(&x, (struct id128){k, hash_pair(k, 2)})->first, k);
    }
    assert_true(growing > 20000);
    check_index(&x);
    index_fini(&x);
}

/* As many keys by ascending ranks, but for some that come too early, some twice; with room for all, for some, for none. */
static void fill(uint32_t count, uint32_t room, uint32_t late, int spread, uint64_t seed)
{
    struct index walked, x;
    struct index_filling filling = {0};
    uint32_t filled = 0;
    index_init(&walked);
    index_init(&x);
    for (uint32_t k = 0; k < count; k++)
        index_add(&walked, model_key(k, spread))->first = k + 1;
    index_reserve(&x, room);
    for (uint32_t i = 0; i < index_slot_count(&walked); i++) {
        const struct index_entry *e = index_slot(&walked, i);
        if (!id128_is_set(e->key))
            continue;
        for (uint32_t n = late ? (uint32_t)(next(&seed) % (late + 1)) : 0; n > 0; n--) {
            uint32_t k = (uint32_t)(next(&seed) % count); /* smaller, larger, or there already */
            index_fill(&x, &filling, model_key(k, spread))->first = k + 1;
        }
        index_fill(&x, &filling, e->key)->first = e->first;
        filled++;
        if (filled % 50 == 0)
            check_index(&x);
    }
    assert_int_equal(x.count, count);
    check_index(&x);
    for (uint32_t k = 0; k < count; k++)
        assert_int_equal(index_find(&x, model_key(k, spread))->first, k + 1);
    index_fini(&walked);
    index_fini(&x);
}

static void an_index_is_filled_by_ascending_ranks_or_not(void **state)
{
    (void)state;
    for (int spread = 0; spread < 3; spread++)
        for (uint32_t count = 1; count < 3000; count = count * 3 + 1)
            for (uint32_t late = 0; late < 3; late++) {
                fill(count, count, late, spread, count);
                fill(count, count / 2, late, spread, count);
                fill(count, 0, late, spread, count);
            }
}

static void room_is_made_for_as_many_as_come(void **state)
{
    (void)state;
    struct index x;
    struct seen s;
    index_init(&x);
    index_reserve(&x, 3000);
    seen_init(&s, 100000);
    seen_reserve(&s, 3000);
    uint32_t slots = index_slot_count(&x), seen_slots = s.slot_count;
    assert_int_equal(slots, 4096);
    assert_int_equal(seen_slots, 4096);
    for (uint64_t i = 1; i <= 3000; i++) {
        index_add(&x, (struct id128){i, i})->first = i;
        assert_false(seen_note(&s, hash_pair(i, 0), 0));
    }
    assert_int_equal(index_slot_count(&x), slots);
    assert_int_equal(s.slot_count, seen_slots);
    for (uint64_t i = 1; i <= 3000; i++)
        assert_int_equal(index_find(&x, (struct id128){i, i})->first, i);
    index_fini(&x);
    seen_fini(&s);
}

static void note_slot(void *self, uint64_t slot)
{
    uint8_t *visits = self;
    visits[slot >> 16]++;
}

static void a_walk_over_seen_ids_goes_on_in_a_larger_table(void **state)
{
    (void)state;
    enum { IDS = 5000 };
    uint8_t visits[IDS + 1] = {0};
    bool is_late[IDS + 1] = {0};
    struct seen s;
    uint64_t place = 0;
    seen_init(&s, 1u << 20);
    for (uint64_t i = 1; i <= IDS; i++) {
        is_late[i] = i > 100 && seen_place(i << 16) < place;
        assert_false(seen_note(&s, i << 16, 0));
        if (i > 100 && i % 50 == 0 && place < INDEX_END)
            seen_visit(&s, &place, visits, note_slot);
    }
    assert_true(s.slot_count > 4096);
    while (place < INDEX_END)
        seen_visit(&s, &place, visits, note_slot);
    for (uint64_t i = 1; i <= IDS; i++)
        assert_int_equal(visits[i], !is_late[i]);
    seen_fini(&s);
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
    assert_int_equal(p.free_bytes, PAGES_REGION);
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

static void a_list_is_made_in_one_piece(void **state)
{
    (void)state;
    struct space s;
    space_init(&s);
    for (uint32_t count = 1; count <= SPACE_OBJECT_MAX / 24; count += 1 + count / 3) {
        struct vec made = {0};
        uint32_t stale = space_alloc(&s, count * 24);
        memset(space_touch(&s, stale), 0xff, count * 24);
        space_free(&s, stale, count * 24);
        vec_make(&s, &made, count, 24);
        assert_int_equal(made.count, count);
        assert_in_range(made.room, count, SPACE_OBJECT_MAX / 24);
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t k = 0; k < 24; k++)
                assert_int_equal(((const uint8_t *)vec_at(&s, &made, i, 24))[k], 0);
        uint64_t live_bytes = s.live_bytes;
        if (count < SPACE_OBJECT_MAX / 24)
            assert_non_null(vec_push(&s, &made, 24)); /* it goes on as any other */
        vec_clear(&s, &made, 24);
        assert_true(s.live_bytes < live_bytes);
    }
    assert_int_equal(s.live_bytes, 0);
    space_fini(&s);
}

static void pages_of_two_are_joined(void **state)
{
    (void)state;
    struct pages one, two;
    uint8_t *blocks[40];
    pages_init(&one);
    pages_init(&two);
    for (uint32_t i = 0; i < array_count(blocks); i++) {
        blocks[i] = pages_take(i % 2 ? &two : &one, PAGES_BLOCK_MIN << i % 3);
        memset(blocks[i], 0xff, PAGES_BLOCK_MIN << i % 3);
    }
    pages_give(&two, blocks[1], PAGES_BLOCK_MIN << 1);
    uint64_t free_bytes = one.free_bytes + two.free_bytes;
    uint32_t region_count = one.region_count + two.region_count;
    pages_join(&one, &two);
    assert_int_equal(one.free_bytes, free_bytes);
    assert_int_equal(one.region_count, region_count);
    assert_int_equal(two.free_bytes, 0);
    assert_int_equal(two.region_count, 0);
    for (uint32_t i = 2; i < array_count(blocks); i++) {
        assert_int_equal(blocks[i][0], 0xff);
        pages_give(&one, blocks[i], PAGES_BLOCK_MIN << i % 3);
    }
    while (one.free_bytes >= PAGES_REGION) { /* all that is there again is zeros, used or not */
        const uint8_t *again = pages_take(&one, PAGES_BLOCK_MIN);
        for (size_t k = 0; k < PAGES_BLOCK_MIN; k++)
            assert_int_equal(again[k], 0);
    }
    pages_fini(&two);
    pages_fini(&one);
}

/* A chunk's whole size, as the first object and as a later one; reference 0 still means nothing. */
static void an_object_may_be_as_large_as_a_chunk(void **state)
{
    (void)state;
    for (uint32_t before = 0; before < 6; before++) {
        struct space s;
        uint32_t refs[6 + 2];
        space_init(&s);
        for (uint32_t i = 0; i < before; i++)
            refs[i] = space_alloc(&s, 1 + i * 700);
        for (uint32_t i = before; i < before + 2; i++) {
            refs[i] = space_alloc(&s, SPACE_OBJECT_MAX);
            assert_true(refs[i] != 0);
            memset(space_touch(&s, refs[i]), (int)(i + 1), SPACE_OBJECT_MAX);
        }
        for (uint32_t i = before; i < before + 2; i++) {
            const uint8_t *at = space_at(&s, refs[i]);
            for (uint32_t k = 0; k < SPACE_OBJECT_MAX; k++)
                assert_int_equal(at[k], i + 1);
        }
        for (uint32_t i = 0; i < 400; i++) { /* what was left over is used, and overlaps nothing */
            uint8_t *at = space_touch(&s, space_alloc(&s, 64));
            for (uint32_t k = 0; k < 64; k++)
                assert_int_equal(at[k], 0);
            memset(at, 0xff, 64);
        }
        for (uint32_t i = before; i < before + 2; i++)
            assert_int_equal(((const uint8_t *)space_at(&s, refs[i]))[SPACE_OBJECT_MAX - 1], i + 1);
        space_fini(&s);
    }
}

static void puts_what_is_there(void **state)
{
    (void)state;
    struct space s;
    space_init(&s);
    uint64_t what[7] = {1, 2, 3, 4, 5, 6, 7};
    uint32_t ref = 0;
    space_put(&s, &ref, NULL, sizeof(what)); /* nothing was there */
    assert_int_equal(ref, 0);
    space_put(&s, &ref, what, sizeof(what));
    uint32_t first = ref;
    uint64_t live = s.live_bytes;
    what[6] = 8;
    space_put(&s, &ref, what, sizeof(what));
    space_put(&s, &ref, space_at(&s, ref), sizeof(what));
    assert_int_equal(ref, first);
    assert_int_equal(s.live_bytes, live);
    assert_memory_equal(space_at(&s, ref), what, sizeof(what));
    space_put(&s, &ref, NULL, sizeof(what));
    assert_int_equal(ref, 0);
    assert_int_equal(s.live_bytes, 0);
    space_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("an object is put, changed and ended where its reference stands", puts_what_is_there),
        TEST("objects of all sizes never overlap and start as zeros", objects_do_not_overlap),
        TEST("a size is rounded up by a quarter at most", sizes_round_up_by_a_quarter_at_most),
        TEST("an object may be as large as a chunk", an_object_may_be_as_large_as_a_chunk),
        TEST("a list keeps its order", a_list_keeps_its_order),
        TEST("a list says when it is full", a_list_is_full_at_its_limit),
        TEST("an index agrees with a plain list", an_index_agrees_with_a_plain_list),
        TEST("an index keeps its order at every size", an_index_keeps_its_order_at_every_size),
        TEST("a walk in pieces meets everybody once", a_walk_in_pieces_meets_everybody_once),
        TEST("a large table grows a little at a time", a_large_table_grows_a_little_at_a_time),
        TEST("an index is filled by ascending ranks, or not",
             an_index_is_filled_by_ascending_ranks_or_not),
        TEST("room is made for as many as come", room_is_made_for_as_many_as_come),
        TEST("a walk over seen ids goes on in a larger table",
             a_walk_over_seen_ids_goes_on_in_a_larger_table),
        TEST("a message id is known for a day", a_message_id_is_known_for_a_day),
        TEST("a message id does not come back after weeks", a_message_id_does_not_come_back),
        TEST("seen ids agree with a plain list", seen_ids_agree_with_a_plain_list),
        TEST("the set of seen ids is bounded", the_set_of_seen_ids_is_bounded),
        TEST("blocks never overlap and start as zeros", blocks_do_not_overlap),
        TEST("what is given back is taken again", what_is_given_back_is_taken_again),
        TEST("stores may share pages", stores_may_share_pages),
        TEST("a list is made in one piece", a_list_is_made_in_one_piece),
        TEST("pages of two are joined", pages_of_two_are_joined),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
