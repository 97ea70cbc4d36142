/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/monitor.h"

#include "model/plan.h"
#include "test.h"

#define FACTS 4000

/* A small generator of chance: the same numbers in each run. */
static uint64_t chance(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static struct monitor only(struct monitors *m, struct plan *plan, struct plan_monitor *means,
                           int64_t now_ms)
{
    monitors_init(m);
    means->name = 7;
    plan->monitors = means;
    plan->monitor_count = 1;
    monitors_set(m, plan, now_ms);
    return m->at[0];
}

/* Every fact is kept, and counted from the beginning each time. */
static void a_window_counts_what_a_list_of_all_facts_does(void **state)
{
    (void)state;
    static const struct {
        int64_t over_ms, against_ms;
    } shapes[] = {{HOUR_MS, 0}, {HOUR_MS, HOUR_MS}, {DAY_MS, 7 * DAY_MS}, {1000003, 3777777}};
    uint64_t seed = 5;
    for (size_t shape = 0; shape < array_count(shapes); shape++) {
        struct plan plan = {0};
        struct monitors m;
        struct plan_monitor means = {.watch = WATCH_BOUNCED,
                                     .over_ms = shapes[shape].over_ms,
                                     .against_ms = shapes[shape].against_ms,
                                     .limit = 500000,
                                     .at_least = 1};
        struct {
            int64_t at_ms;
            uint64_t count, of;
        } facts[FACTS];
        int64_t now_ms = 1772409600000;
        (void)only(&m, &plan, &means, now_ms);
        int64_t width = monitor_width(&means);
        assert_true(width * MONITOR_PARTS >= means.over_ms);
        for (uint32_t i = 0; i < FACTS; i++) {
            now_ms += (int64_t)(chance(&seed) % (uint64_t)(means.over_ms / 20));
            if (chance(&seed) % 97 == 0)
                now_ms += means.over_ms * 3;
            facts[i].at_ms = now_ms;
            facts[i].count = chance(&seed) % 3;
            facts[i].of = facts[i].count + chance(&seed) % 5;
            monitor_add(&m.at[0], &means, now_ms, facts[i].count, facts[i].of);
            int64_t cell = now_ms / width, cells = m.at[0].cell_count;
            uint64_t is[2] = {0}, was[2] = {0};
            for (uint32_t k = 0; k <= i; k++) {
                int64_t of = facts[k].at_ms / width;
                uint64_t *sum = of > cell - MONITOR_PARTS ? is : of > cell - cells ? was : NULL;
                if (sum == NULL)
                    continue;
                sum[0] += facts[k].count;
                sum[1] += facts[k].of;
            }
            struct monitor_view view = monitor_view(&m.at[0], &means, now_ms);
            assert_int_equal(view.count, is[0]);
            assert_int_equal(view.of, is[1]);
            bool is_known = is[1] > 0 && (means.against_ms == 0 || was[1] > 0);
            assert_int_equal(view.is_known, is_known);
            if (!is_known)
                continue;
            int64_t share = (int64_t)(is[0] * 1000000 / is[1]);
            int64_t limit = means.against_ms == 0
                                ? means.limit
                                : (int64_t)(was[0] * 1000000 / was[1]) * means.limit / 1000000;
            assert_int_equal(view.value, share);
            assert_int_equal(view.limit, limit);
            assert_int_equal(view.is_bad, share > limit);
        }
        monitors_fini(&m);
    }
}

static void fewer_than_at_least_say_nothing(void **state)
{
    (void)state;
    struct plan plan = {0};
    struct monitors m;
    struct plan_monitor means = {
        .watch = WATCH_COMPLAINED, .over_ms = DAY_MS, .limit = 1000, .at_least = 10};
    (void)only(&m, &plan, &means, 0);
    monitor_add(&m.at[0], &means, 5, 9, 9);
    assert_false(monitor_view(&m.at[0], &means, 5).is_known);
    assert_false(monitor_view(&m.at[0], &means, 5).is_bad);
    monitor_add(&m.at[0], &means, 6, 0, 1);
    assert_true(monitor_view(&m.at[0], &means, 6).is_bad);
    /* and what has left the window says nothing either */
    assert_false(monitor_view(&m.at[0], &means, 2 * DAY_MS).is_known);
    monitors_fini(&m);
}

static void silence_is_raised_at_its_very_moment(void **state)
{
    (void)state;
    struct plan plan = {0};
    struct monitors m;
    struct plan_monitor means = {.watch = WATCH_SILENCE, .over_ms = HOUR_MS};
    (void)only(&m, &plan, &means, 1000);
    assert_int_equal(monitor_next(&m.at[0], &means, 1000), HOUR_MS + 1000);
    monitor_hear(&m.at[0], 5000);
    assert_int_equal(monitor_next(&m.at[0], &means, 5000), HOUR_MS + 5000);
    assert_false(monitor_view(&m.at[0], &means, HOUR_MS + 4999).is_bad);
    assert_true(monitor_view(&m.at[0], &means, HOUR_MS + 5000).is_bad);
    monitors_fini(&m);
}

static void a_small_number_says_nothing_before_its_time_has_passed(void **state)
{
    (void)state;
    struct plan plan = {0};
    struct monitors m;
    struct plan_monitor means = {
        .watch = WATCH_ENTRIES, .over_ms = HOUR_MS, .limit = 3, .is_below = true};
    (void)only(&m, &plan, &means, 0);
    monitor_add(&m.at[0], &means, 10, 2, 2);
    assert_false(monitor_view(&m.at[0], &means, HOUR_MS - 1).is_bad);
    assert_true(monitor_view(&m.at[0], &means, HOUR_MS).is_bad);
    assert_true(monitor_next(&m.at[0], &means, 20) >= HOUR_MS);
    means.is_below = false;
    means.limit = 1;
    assert_true(monitor_view(&m.at[0], &means, 20).is_bad);
    assert_int_equal(monitor_next(&m.at[0], &means, 20), FOREVER_MS);
    monitors_fini(&m);
}

static void what_is_at_the_limit_is_neither_below_nor_above_it(void **state)
{
    (void)state;
    struct plan plan = {0};
    struct monitors m;
    struct plan_monitor means = {
        .watch = WATCH_ENTRIES, .over_ms = HOUR_MS, .limit = 3, .is_below = true};
    (void)only(&m, &plan, &means, 0);
    monitor_add(&m.at[0], &means, HOUR_MS, 2, 2);
    assert_true(monitor_view(&m.at[0], &means, HOUR_MS).is_bad);
    monitor_add(&m.at[0], &means, HOUR_MS, 1, 1);
    assert_false(monitor_view(&m.at[0], &means, HOUR_MS).is_bad);
    means.is_below = false;
    assert_false(monitor_view(&m.at[0], &means, HOUR_MS).is_bad);
    monitor_add(&m.at[0], &means, HOUR_MS, 1, 1);
    assert_true(monitor_view(&m.at[0], &means, HOUR_MS).is_bad);
    monitors_fini(&m);
}

static void a_raised_one_is_looked_at_again_at_each_part(void **state)
{
    (void)state;
    struct plan plan = {0};
    struct monitors m;
    struct plan_monitor means = {
        .watch = WATCH_FAILED, .over_ms = 16 * MINUTE_MS, .limit = 1, .at_least = 1};
    (void)only(&m, &plan, &means, 0);
    assert_int_equal(monitor_next(&m.at[0], &means, 90000), FOREVER_MS);
    m.at[0].is_raised = true;
    assert_int_equal(monitor_next(&m.at[0], &means, 90000), 120000);
    monitors_fini(&m);
}

static void another_definition_begins_anew_and_the_same_goes_on(void **state)
{
    (void)state;
    struct plan plan = {0};
    struct monitors m;
    struct plan_monitor means[2] = {
        {.name = 7, .watch = WATCH_SENT, .over_ms = HOUR_MS, .hash = 1},
        {.name = 8, .watch = WATCH_SENT, .over_ms = HOUR_MS, .hash = 2},
    };
    monitors_init(&m);
    plan.monitors = means;
    plan.monitor_count = 2;
    monitors_set(&m, &plan, 0);
    monitor_add(&m.at[0], &means[0], 10, 5, 5);
    monitor_add(&m.at[1], &means[1], 10, 6, 6);
    struct plan_monitor others[2] = {means[1], means[0]};
    others[1].hash = 3;
    plan.monitors = others;
    monitors_set(&m, &plan, 20);
    assert_int_equal(monitor_view(&m.at[0], &others[0], 20).count, 6);
    assert_int_equal(monitor_view(&m.at[1], &others[1], 20).count, 0);
    assert_int_equal(m.at[1].since_ms, 20);
    monitors_set(&m, NULL, 30);
    assert_int_equal(m.count, 0);
    monitors_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a window counts what a list of all facts does",
             a_window_counts_what_a_list_of_all_facts_does),
        TEST("fewer than at_least say nothing", fewer_than_at_least_say_nothing),
        TEST("silence is raised at its very moment", silence_is_raised_at_its_very_moment),
        TEST("a small number says nothing before its time has passed",
             a_small_number_says_nothing_before_its_time_has_passed),
        TEST("what is at the limit is neither below nor above it",
             what_is_at_the_limit_is_neither_below_nor_above_it),
        TEST("a raised one is looked at again at each part",
             a_raised_one_is_looked_at_again_at_each_part),
        TEST("another definition begins anew, and the same goes on",
             another_definition_begins_anew_and_the_same_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
