/* Counting, against a recount. */
#include "measure/tally.h"

#include "test.h"

static void counts_equal_a_recount(void **state)
{
    (void)state;
    struct tally t;
    static struct result rows[5000];
    uint64_t seed = 9;
    tally_init(&t);
    for (uint32_t i = 0; i < array_count(rows); i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        rows[i] = (struct result){.kind = (uint8_t)(1 + (seed >> 40) % (RESULT_KIND_END - 1)),
                                  .how = (uint8_t)((seed >> 50) % 3),
                                  .step = (uint16_t)((seed >> 33) % 4),
                                  .journey = (uint32_t)((seed >> 20) % 5),
                                  .message = (uint32_t)((seed >> 25) % 6)};
    }
    for (uint32_t i = 0; i < array_count(rows); i += 50)
        tally_add(&t, &rows[i], 50);
    for (uint32_t kind = 1; kind < RESULT_KIND_END; kind++)
        for (uint32_t how = 0; how < 3; how++)
            for (uint32_t journey = 1; journey < 5; journey++) {
                uint64_t all = 0, some = 0;
                for (uint32_t i = 0; i < array_count(rows); i++) {
                    all += rows[i].kind == kind && rows[i].journey == journey;
                    some += rows[i].kind == kind && rows[i].journey == journey &&
                            rows[i].how == how && rows[i].message == 3;
                }
                assert_int_equal(tally_sum(&t, kind, TALLY_ANY, journey, 0), all);
                assert_int_equal(tally_sum(&t, kind, how, journey, 3), some);
            }
    tally_fini(&t);
}

/* How often the row is there that has just these. */
static uint64_t count_of(const struct tally *t, enum result_kind kind, uint8_t how, uint16_t rule)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->rows[i].kind == kind && t->rows[i].how == how && t->rows[i].rule == rule)
            count += t->rows[i].count;
    return count;
}

static void errors_by_place(void **state)
{
    (void)state;
    const struct result rows[] = {
        {.kind = RESULT_ERROR, .how = ERROR_STEP, .step = 1, .journey = 7},
        {.kind = RESULT_ERROR, .how = ERROR_STEP, .step = 2, .journey = 7},
        {.kind = RESULT_ERROR, .how = ERROR_REQUIRE, .step = 2, .journey = 7},
        {.kind = RESULT_ERROR, .how = ERROR_STEP, .step = 2, .journey = 7},
        {.kind = RESULT_REFUSED, .how = REFUSAL_ERROR, .journey = 7},
        {.kind = RESULT_STEP, .step = 3, .journey = 7},
        {.kind = RESULT_ERROR, .how = ERROR_SEGMENT, .number = 9},
        {.kind = RESULT_ERROR, .how = ERROR_SEGMENT, .number = 8},
        {.kind = RESULT_ERROR, .how = ERROR_SEGMENT, .number = 9},
    };
    struct tally t;
    uint32_t errors = 0;
    tally_init(&t);
    tally_add(&t, rows, array_count(rows));
    assert_int_equal(count_of(&t, RESULT_ERROR, ERROR_STEP, 1), 1);
    assert_int_equal(count_of(&t, RESULT_ERROR, ERROR_STEP, 2), 2);
    assert_int_equal(count_of(&t, RESULT_ERROR, ERROR_REQUIRE, 2), 1);
    for (size_t i = 0; i < array_count(rows); i++)
        errors += result_is_error(&rows[i]);
    assert_int_equal(errors, 8);
    assert_int_equal(tally_sum(&t, RESULT_ERROR, ERROR_SEGMENT, 0, 9), 2); /* by segment */
    assert_int_equal(tally_sum(&t, RESULT_ERROR, ERROR_SEGMENT, 0, 8), 1);
    tally_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("counts equal a recount of the rows", counts_equal_a_recount),
        TEST("expressions that fail are told apart by journey, place and step", errors_by_place),
    };
    return cmocka_run_group_tests_name("measure/tally", tests, NULL, NULL);
}
