/* Business events through the whole engine: those whom they concern enter, against a plain table of who
 * viewed what; by an index and by looking at everybody, which must come to the same; under merges, pace,
 * and snapshots in the middle of a walk.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support/house.h"

#include "engine/engine_int.h"

#define PEOPLE   40
#define PRODUCTS 4
#define WINDOW   (2 * DAY_MS)

static const char programme[] =
    "=== programme.yaml\n"
    "name: T\n"
    "=== journeys/by-index.yaml\n"
    "journey: by-index\n"
    "owner: tests\n"
    "enter: {business_event: Drop, people: 'did(\"View\", \"2d\", e, e.sku == event.sku)'}\n"
    "steps: [{exit: }]\n"
    "=== journeys/by-look.yaml\n"
    "journey: by-look\n"
    "owner: tests\n"
    "enter: {business_event: Drop, people: '(did(\"View\", \"2d\", e, e.sku == event.sku))'}\n"
    "steps: [{exit: }]\n"
    "=== journeys/slowly.yaml\n"
    "journey: slowly\n"
    "owner: tests\n"
    "enter: {business_event: Drop, people: 'did(\"View\", \"2d\", e, event.sku == e.sku)', pace: 6/min}\n"
    "steps: [{exit: }]\n"
    "=== journeys/each-hour.yaml\n"
    "journey: each-hour\n"
    "owner: tests\n"
    "enter: {schedule: {every: 'every hour', zone: programme}, when: 'did(\"View\", \"1h\")', pace: 1000/h}\n"
    "steps: [{exit: }]\n"
    "=== journeys/at-nine.yaml\n"
    "journey: at-nine\n"
    "owner: tests\n"
    "enter: {schedule: 'every day at 09:00'}\n"
    "steps: [{exit: }]\n";

struct table {
    int64_t viewed_ms[PEOPLE][PRODUCTS];
    uint32_t person[PEOPLE]; /* whom they turned out to be */
};

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 11;
}

static struct record *drop(struct house *h, uint32_t product)
{
    char fields[16];
    snprintf(fields, sizeof(fields), "sku=s%u", product);
    struct record *r = house_event(h, "u0", "Drop", fields);
    r->kind = EVENT_BUSINESS;
    r->user = r->anonymous = (struct id128){0, 0};
    return r;
}

static void view(struct house *h, struct table *t, uint32_t person, uint32_t product, bool by_id)
{
    char who[16], fields[16];
    snprintf(who, sizeof(who), by_id ? "u%u" : "~a%u", person);
    snprintf(fields, sizeof(fields), "sku=s%u", product);
    house_event(h, who, "View", fields);
    t->viewed_ms[t->person[person]][product] = INT64_MAX; /* now, when it is applied */
}

static void settle(struct house *h, struct table *t, int64_t now_ms)
{
    house_apply(h, now_ms);
    for (uint32_t i = 0; i < PEOPLE; i++)
        for (uint32_t k = 0; k < PRODUCTS; k++)
            if (t->viewed_ms[i][k] == INT64_MAX)
                t->viewed_ms[i][k] = now_ms;
}

static uint32_t concerned(const struct table *t, uint32_t product, int64_t now_ms)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < PEOPLE; i++)
        count += t->person[i] == i && t->viewed_ms[i][product] > now_ms - WINDOW;
    return count;
}

static bool uses_index(const struct house *h, const char *journey)
{
    for (uint32_t i = 0; i < h->engine->sweep_count; i++)
        if (h->engine->sweeps[i].journey == house_name(h, journey))
            return h->engine->sweeps[i].has_people;
    fail_msg("no walk of %s", journey);
    return false;
}

/* Person b, so far only an anonymous id, turns out to be person a. */
static void meet(struct house *h, struct table *t, uint32_t a, uint32_t b)
{
    char who[32];
    snprintf(who, sizeof(who), "u%u~a%u", a, b);
    house_event(h, who, "Login", "");
    for (uint32_t k = 0; k < PRODUCTS; k++)
        t->viewed_ms[a][k] = max_of(t->viewed_ms[a][k], t->viewed_ms[b][k]);
    t->person[b] = a;
}

/* Even people have user ids, odd ones anonymous ids until they are met. */
static void those_whom_it_concerns_enter(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 8; round++) {
        uint64_t seed = round * 104729;
        struct house *h = house_new();
        struct table t;
        uint32_t expected = 0;
        int64_t now_ms = HOUSE_START_MS + HOUR_MS;
        house_activate(h, programme);
        h->audits_every = 50;
        for (uint32_t i = 0; i < PEOPLE; i++) {
            t.person[i] = i;
            for (uint32_t k = 0; k < PRODUCTS; k++)
                t.viewed_ms[i][k] = INT64_MIN;
        }
        for (int step = 0; step < 60; step++) {
            for (uint64_t n = next(&seed) % 6; n > 0; n--) {
                uint32_t person = (uint32_t)(next(&seed) % PEOPLE);
                view(h, &t, person, (uint32_t)(next(&seed) % PRODUCTS), person % 2 == 0);
            }
            if (h->record_count)
                settle(h, &t, now_ms);
            now_ms += (int64_t)(next(&seed) % 300) * MINUTE_MS;
            house_run(h, now_ms);
            uint32_t odd = (uint32_t)(next(&seed) % PEOPLE) | 1;
            if (step % 4 == 3 && t.person[odd] == odd) {
                meet(h, &t, (uint32_t)(next(&seed) % PEOPLE) & ~1u, odd);
                settle(h, &t, now_ms);
            }
            uint32_t product = (uint32_t)(next(&seed) % PRODUCTS);
            expected += concerned(&t, product, now_ms);
            drop(h, product);
            house_apply(h, now_ms);
            assert_true(uses_index(h, "by-index"));
            assert_true(uses_index(h, "slowly"));
            assert_false(uses_index(h, "by-look"));
            if (step % 3 == 0)
                house_hop(h); /* before the walk's first step */
            house_run(h, now_ms);
            if (step % 5 == 0)
                house_hop(h); /* in the middle of the slow one */
            assert_int_equal(house_count(h, RESULT_ENTERED, "by-index"), expected);
            assert_int_equal(house_count(h, RESULT_ENTERED, "by-look"), expected);
        }
        house_run(h, now_ms + HOUR_MS);
        assert_int_equal(h->engine->sweep_count, 0);
        assert_true(expected > 100);
        assert_true(house_count(h, RESULT_ENTERED, "slowly") > expected / 2);
        assert_true(house_count(h, RESULT_ENTERED, "each-hour") > 0);
        assert_true(house_count(h, RESULT_ENTERED, "at-nine") > PEOPLE);
        house_free(h);
    }
}

/* No more than 1 + 6 a minute are let in, and all of them in the end. */
static void pace_spreads(void **state)
{
    (void)state;
    struct house *h = house_new();
    struct table t = {0};
    house_activate(h, programme);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        t.person[i] = i;
        view(h, &t, i, 1, true);
    }
    int64_t start_ms = HOUSE_START_MS + HOUR_MS + 5 * MINUTE_MS;
    house_apply(h, start_ms);
    drop(h, 1);
    house_apply(h, start_ms);
    for (uint32_t minute = 0; minute <= 7; minute++) {
        house_run(h, start_ms + minute * MINUTE_MS);
        assert_int_equal(house_count(h, RESULT_ENTERED, "slowly"),
                         min_of(1 + 6 * minute, (uint32_t)PEOPLE));
        house_hop(h);
    }
    assert_int_equal(h->engine->sweep_count, 0);
    house_free(h);
}

/* A batch looks at a bounded number of people: many need many batches, and each is come to once. */
static void slices_are_bounded(void **state)
{
    (void)state;
    struct house *h = house_new();
    uint32_t many = 6000;
    char who[16];
    house_activate(h, programme);
    h->audits_every = 1000;
    for (uint32_t i = 0; i < many; i++) {
        snprintf(who, sizeof(who), "p%u", i);
        house_event(h, who, "View", "sku=s1");
        if (h->record_count == 1500)
            house_apply(h, HOUSE_START_MS + HOUR_MS + MINUTE_MS);
    }
    drop(h, 1);
    house_apply(h, HOUSE_START_MS + HOUR_MS + MINUTE_MS);
    uint64_t batch = h->batch;
    assert_true(engine_has_inbox(h->engine));
    house_apply(h, HOUSE_START_MS + HOUR_MS + MINUTE_MS);
    uint32_t first = house_count(h, RESULT_ENTERED, "by-look");
    assert_true(first > 0);
    assert_true(first < many);
    house_hop(h);
    house_run(h, HOUSE_START_MS + HOUR_MS + MINUTE_MS);
    assert_int_equal(house_count(h, RESULT_ENTERED, "by-look"), many);
    assert_int_equal(house_count(h, RESULT_ENTERED, "by-index"), many);
    assert_true(h->batch - batch >= 3);
    house_free(h);
}

/* Another programme drops walks of journeys that it does not have; an index that has not seen a whole
 * window of events is not asked. */
static void programmes_change_in_the_middle(void **state)
{
    (void)state;
    static const char other[] =
        "=== programme.yaml\n"
        "name: T\n"
        "=== journeys/later.yaml\n"
        "journey: later\n"
        "owner: tests\n"
        "enter: {business_event: Drop, people: 'did(\"View\", \"2d\", e, e.kind == event.kind)'}\n"
        "steps: [{exit: }]\n";
    struct house *h = house_new();
    struct table t = {0};
    house_activate(h, programme);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        t.person[i] = i;
        view(h, &t, i, 1, true);
    }
    house_apply(h, HOUSE_START_MS + HOUR_MS);
    drop(h, 1);
    house_apply(h, HOUSE_START_MS + HOUR_MS);
    house_run(h, HOUSE_START_MS + HOUR_MS + MINUTE_MS);
    assert_in_range(h->engine->sweep_count, 1, 2); /* and perhaps the schedule's */
    house_activate(h, other);
    house_run(h, HOUSE_START_MS + 2 * HOUR_MS);
    assert_int_equal(h->engine->sweep_count, 0);
    assert_int_equal(house_last(h, RESULT_SWEEP, "slowly"), 3);
    drop(h, 1);
    house_apply(h, HOUSE_START_MS + 2 * HOUR_MS);
    assert_false(uses_index(h, "later"));
    house_hop(h);
    house_run(h, HOUSE_START_MS + 3 * DAY_MS);
    drop(h, 1);
    house_apply(h, HOUSE_START_MS + 3 * DAY_MS);
    assert_true(uses_index(h, "later"));
    house_hop(h);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("those whom a business event concerns enter, by index or by look, once each",
             those_whom_it_concerns_enter),
        TEST("a pace lets in only so many", pace_spreads),
        TEST("a batch looks at a bounded number of people", slices_are_bounded),
        TEST("another programme drops walks, and new indices wait until they know",
             programmes_change_in_the_middle),
    };
    return cmocka_run_group_tests_name("flow/triggers", tests, NULL, NULL);
}
