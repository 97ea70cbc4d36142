/* Rare lists of one person against plain lists. */
#include "model/rare.h"

#include "test.h"

#define STEPS    20000
#define MOST     40 /* elements of a list */
#define ELEMENTS 12 /* bytes of one */

struct element {
    uint32_t numbers[ELEMENTS / 4];
};

static uint64_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 11;
}

static void agrees(const struct space *s, const struct profile *p,
                   struct element model[RARE_END][MOST], const uint32_t *counts)
{
    uint32_t all = 0;
    for (uint32_t which = 0; which < RARE_END; which++) {
        all += counts[which];
        assert_int_equal(p->rare[which].count, counts[which]);
        for (uint32_t i = 0; i < counts[which]; i++)
            assert_memory_equal(rare_at(s, p, (enum rare_list)which, i, ELEMENTS), &model[which][i],
                                ELEMENTS);
    }
    assert_true((p->rares == 0) == (all == 0));
    if (all != 0) {
        uint64_t bytes = space_rounded(rare_place(p, RARE_END) * (uint32_t)sizeof(struct vec));
        for (uint32_t which = 0; which < RARE_END; which++)
            if (counts[which] != 0)
                bytes += space_rounded(rare_list(s, p, (enum rare_list)which)->room * ELEMENTS);
        assert_int_equal(s->live_bytes, bytes);
    }
}

static void rare_lists_agree_with_plain_ones(void **state)
{
    (void)state;
    struct space s;
    struct profile p = {0};
    struct element model[RARE_END][MOST];
    uint32_t counts[RARE_END] = {0};
    uint64_t seed = 5;
    space_init(&s);
    for (uint32_t step = 0; step < STEPS; step++) {
        enum rare_list which = (enum rare_list)(next(&seed) % RARE_END);
        uint32_t *count = &counts[which], i = *count ? (uint32_t)(next(&seed) % *count) : 0;
        struct element x = {{(uint32_t)next(&seed), step, which}};
        /* For a while lists rather grow, for a while rather shrink, often until all are empty. */
        bool grows = next(&seed) % 8 < (step / 500 % 2 ? 2u : 6u);
        if (grows && *count < MOST) {
            struct element *at = rare_push(&s, &p, which, ELEMENTS);
            assert_non_null(at);
            assert_int_equal(at->numbers[0] | at->numbers[1] | at->numbers[2], 0);
            *at = model[which][(*count)++] = x;
        } else if (*count > 0 && next(&seed) % 50 == 0) {
            rare_clear(&s, &p, which, ELEMENTS);
            *count = 0;
        } else if (*count > 0 && next(&seed) % 3 == 0) {
            *(struct element *)rare_touch(&s, &p, which, i, ELEMENTS) = model[which][i] = x;
        } else if (*count > 0) {
            rare_drop(&s, &p, which, i, ELEMENTS);
            (*count)--;
            memmove(&model[which][i], &model[which][i + 1], (*count - i) * sizeof(x));
        }
        if (step % 16 == 0)
            agrees(&s, &p, model, counts);
    }
    for (uint32_t which = 0; which < RARE_END; which++)
        rare_clear(&s, &p, (enum rare_list)which, ELEMENTS);
    assert_int_equal(p.rares, 0);
    assert_int_equal(s.live_bytes, 0);
    space_fini(&s);
}

static void a_standing_is_there_while_it_says_something(void **state)
{
    (void)state;
    struct space s;
    struct profile p = {0};
    uint64_t seed = 9;
    space_init(&s);
    for (uint32_t step = 0; step < 2000; step++) {
        uint64_t which = next(&seed);
        struct standing x = {which & 1 ? (uint32_t)step : 0, which & 2 ? 7 : 0, which & 4 ? -3 : 0};
        profile_set_standing(&s, &p, x);
        struct standing is = profile_standing(&s, &p);
        assert_memory_equal(&is, &x, sizeof(x));
        assert_int_equal(p.standings.count, x.stage || x.set || x.since_ms);
    }
    profile_set_standing(&s, &p, (struct standing){0});
    assert_int_equal(s.live_bytes, 0);
    space_fini(&s);
}

static void a_profile_goes_forward_to_any_other(void **state)
{
    (void)state;
    const uint32_t locals[] = {0, 1, 255, 256, UINT32_MAX};
    for (uint32_t partition = 0; partition < 256; partition++)
        for (uint32_t i = 0; i < array_count(locals); i++) {
            struct profile p = {.known = PROFILE_KNOWS_USER};
            uint64_t number = profile_number(partition, locals[i]);
            assert_int_equal(profile_forward(&p), 0);
            if (number == 0)
                continue;
            profile_set_forward(&p, number);
            assert_int_equal(profile_forward(&p), number);
            assert_true(p.known & PROFILE_KNOWS_USER);
        }
    struct profile p = {0};
    profile_set_forward(&p, PROFILE_ERASED);
    assert_true(profile_forward(&p) == PROFILE_ERASED);
}

/* Places in the union and names of lists are two ways to say the same. */
static void each_list_has_its_name(void **state)
{
    (void)state;
    struct profile p = {0};
    for (uint32_t i = 0; i < RARE_END; i++)
        p.rare[i].count = (uint16_t)(i + 1);
    assert_int_equal(p.pasts.count, RARE_PASTS + 1);
    assert_int_equal(p.holds.count, RARE_HOLDS + 1);
    assert_int_equal(p.appointments.count, RARE_APPOINTMENTS + 1);
    assert_int_equal(p.choices.count, RARE_CHOICES + 1);
    assert_int_equal(p.wishes.count, RARE_WISHES + 1);
    assert_int_equal(p.listings.count, RARE_LISTINGS + 1);
    assert_int_equal(p.errands.count, RARE_ERRANDS + 1);
    assert_int_equal(p.standings.count, RARE_STANDINGS + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("rare lists agree with plain ones", rare_lists_agree_with_plain_ones),
        TEST("a standing is there while it says something",
             a_standing_is_there_while_it_says_something),
        TEST("a profile goes forward to any other", a_profile_goes_forward_to_any_other),
        TEST("each list has its name", each_list_has_its_name),
    };
    return cmocka_run_group_tests_name("rare", tests, NULL, NULL);
}
