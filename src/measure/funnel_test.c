/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/funnel.h"

#include "test.h"

/* A small generator of chance: the same numbers in each run. */
static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void every_length_of_time_lies_in_its_cell(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (uint32_t i = 0; i < 200000; i++) {
        int64_t ms = i < 5000 ? (int64_t)i : (int64_t)(next(&seed) * next(&seed) >> (i % 60));
        int64_t low, high;
        uint32_t cell = funnel_cell(ms);
        funnel_bounds(cell, &low, &high);
        assert_true(low <= ms && ms < high);
        assert_true(cell == FUNNEL_CELLS - 1 || low < 4 || high - low <= low / 4);
    }
}

static void cells_join_without_a_gap(void **state)
{
    (void)state;
    int64_t low, high, before = 0;
    for (uint32_t i = 0; i < FUNNEL_CELLS; i++) {
        funnel_bounds(i, &low, &high);
        assert_true(low == before);
        assert_true(funnel_cell(low) == i && funnel_cell(high - 1) == i);
        before = high;
    }
    assert_int_equal(funnel_cell(-5), 0);
    assert_int_equal(funnel_cell(INT64_MAX), FUNNEL_CELLS - 1);
}

/* The oracle: goes over all rows again for each question. */
static uint64_t recount(const struct result *rows, uint32_t count, enum result_kind kind,
                        uint32_t journey, uint32_t version, uint32_t step, uint32_t how,
                        int64_t since_ms, int64_t *sum)
{
    uint64_t found = 0;
    *sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct result *r = &rows[i];
        if (r->kind != kind || r->journey != journey || r->version != version || r->step != step ||
            r->how != how || r->at_ms < since_ms)
            continue;
        found++;
        *sum += r->number;
    }
    return found;
}

static void counts_are_those_of_a_recount(void **state)
{
    (void)state;
    static const enum result_kind kinds[] = {RESULT_STEP, RESULT_LEFT, RESULT_ENDED};
    static const enum funnel_what whats[] = {FUNNEL_BEGAN, FUNNEL_LEFT, FUNNEL_ENDED};
    struct result rows[3000];
    uint64_t seed = 7;
    for (uint32_t i = 0; i < array_count(rows); i++) {
        uint32_t k = (uint32_t)(next(&seed) % 3);
        rows[i] = (struct result){.kind = (uint8_t)kinds[k],
                                  .how = k == 0 ? 0 : (uint8_t)(next(&seed) % 3 + (k == 2)),
                                  .step = (uint16_t)(next(&seed) % 5),
                                  .journey = (uint32_t)(next(&seed) % 3 + 1),
                                  .version = (uint32_t)(next(&seed) % 2 + 1),
                                  .id = next(&seed),
                                  .at_ms = (int64_t)(next(&seed) % 1000),
                                  .number = k == 1 ? (int64_t)(next(&seed) % 100000) : 0};
    }
    for (int64_t since_ms = 0; since_ms < 1000; since_ms += 400) {
        struct funnel f;
        uint64_t total = 0, timed = 0, in_cells = 0, in_all = 0;
        funnel_init(&f);
        for (uint32_t i = 0; i < array_count(rows); i += 100) /* as batches come */
            funnel_add_since(&f, rows + i, 100, since_ms);
        for (uint32_t i = 0; i < f.count; i++) {
            const struct funnel_row *row = &f.rows[i];
            uint32_t k = 0;
            int64_t sum;
            while (whats[k] != (enum funnel_what)row->what)
                k++;
            assert_int_equal(row->count,
                             recount(rows, array_count(rows), kinds[k], row->journey, row->version,
                                     row->step, row->how, since_ms, &sum));
            /* Who goes over to another version is in the same step there: their time counts there. */
            bool is_timed = k == 1 && row->how != LEFT_FOR_VERSION;
            assert_true(row->sum == (is_timed ? sum : 0));
            total += row->count;
            const struct funnel_times *times = funnel_times_of(&f, i);
            for (uint32_t c = 0; times != NULL && c < FUNNEL_CELLS; c++)
                in_cells += times->cells[c];
        }
        for (uint32_t i = 0; i < array_count(rows); i++) {
            in_all += rows[i].at_ms >= since_ms;
            timed += rows[i].at_ms >= since_ms && rows[i].kind == RESULT_LEFT &&
                     rows[i].how != LEFT_FOR_VERSION && rows[i].number > 0;
        }
        assert_int_equal(total, in_all);
        assert_int_equal(in_cells, timed);
        funnel_fini(&f);
    }
}

static void a_message_that_waits_and_goes_is_one_outcome_and_as_many_waits(void **state)
{
    (void)state;
    const struct result rows[] = {
        {.kind = RESULT_PROPOSED, .how = LANE_MARKETING, .journey = 1, .message = 2, .version = 1},
        {.kind = RESULT_DECIDED,
         .how = OUTCOME_DEFERRED,
         .step = 11,
         .journey = 1,
         .message = 2,
         .version = 1,
         .channel = CHANNEL_EMAIL},
        {.kind = RESULT_DECIDED,
         .how = OUTCOME_DEFERRED,
         .step = 11,
         .journey = 1,
         .message = 2,
         .version = 1,
         .channel = CHANNEL_EMAIL},
        {.kind = RESULT_DECIDED,
         .how = OUTCOME_IN_DOUBT,
         .journey = 1,
         .message = 2,
         .version = 1,
         .channel = CHANNEL_EMAIL},
        {.kind = RESULT_DECIDED,
         .how = OUTCOME_SENT,
         .journey = 1,
         .message = 2,
         .version = 1,
         .channel = CHANNEL_EMAIL},
    };
    struct funnel f;
    funnel_init(&f);
    funnel_add(&f, rows, array_count(rows));
    assert_int_equal(f.count, 3);
    assert_int_equal(f.rows[0].what, FUNNEL_PROPOSED);
    assert_int_equal(f.rows[1].what, FUNNEL_DEFERRED);
    assert_int_equal(f.rows[1].count, 2);
    assert_int_equal(f.rows[1].step, 11);
    assert_int_equal(f.rows[2].what, FUNNEL_OUTCOME);
    assert_int_equal(f.rows[2].how, OUTCOME_SENT);
    assert_int_equal(f.rows[2].channel, CHANNEL_EMAIL);
    funnel_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("every length of time lies in its cell", every_length_of_time_lies_in_its_cell),
        TEST("cells join without a gap", cells_join_without_a_gap),
        TEST("counts are those of a recount, since any moment", counts_are_those_of_a_recount),
        TEST("a message that waits and goes is one outcome, and as many waits",
             a_message_that_waits_and_goes_is_one_outcome_and_as_many_waits),
    };
    return cmocka_run_group_tests_name("measure/funnel", tests, NULL, NULL);
}
