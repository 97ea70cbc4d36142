/* What people say, as rules: each line of words gives the same moments as the rule beside it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/recur.h"

#include "test.h"
#include "when/span.h"
#include "when/zone.h"

#define WALL_MS INT64_C(1767225600000) /* 2026-01-01T00:00 */

static void expect_same(const char *words, const char *rule, int32_t clock_ms)
{
    struct recur said, meant;
    int32_t clock = 0;
    struct fault f = {0};
    enum status status = recur_words_parse(str_of(words), &said, &clock, &f);
    if (status != OK)
        print_message("%s: %s\n", words, f.text);
    assert_int_equal(status, OK);
    assert_int_equal(clock, clock_ms);
    assert_int_equal(recur_parse(str_of(rule), &meant, &f), OK);
    struct recur_start start = {.wall_ms = WALL_MS + max_of(clock_ms, 0)};
    int64_t a_ms = WALL_MS - 1, b_ms = WALL_MS - 1;
    for (int i = 0; i < 40; i++) {
        a_ms = recur_next_ms(&said, start, zone_of_utc(), a_ms);
        b_ms = recur_next_ms(&meant, start, zone_of_utc(), b_ms);
        if (a_ms != b_ms)
            print_message("%s, occurrence %d\n", words, i);
        assert_int_equal(a_ms, b_ms);
        if (a_ms == FOREVER_MS)
            break;
    }
}

static void words_give_the_moments_of_their_rule(void **state)
{
    (void)state;
    int32_t nine = 9 * 3600000;
    expect_same("every day at 09:00", "FREQ=DAILY", nine);
    expect_same("daily", "FREQ=DAILY", -1);
    expect_same("Every Day", "FREQ=DAILY", -1);
    expect_same("every weekday at 9:00", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", nine);
    expect_same("every weekend", "FREQ=WEEKLY;BYDAY=SA,SU", -1);
    expect_same("every monday at 09:00", "FREQ=WEEKLY;BYDAY=MO", nine);
    expect_same("every mon, wed and fri", "FREQ=WEEKLY;BYDAY=MO,WE,FR", -1);
    expect_same("every mon-wed", "FREQ=WEEKLY;BYDAY=MO,TU,WE", -1);
    expect_same("every 2 weeks on tuesday at 09:00", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", nine);
    expect_same("every other week on tue and thu", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH", -1);
    expect_same("every week", "FREQ=WEEKLY;BYDAY=MO", -1);
    expect_same("every 3 days", "FREQ=DAILY;INTERVAL=3", -1);
    expect_same("every month", "FREQ=MONTHLY;BYMONTHDAY=1", -1);
    expect_same("monthly", "FREQ=MONTHLY;BYMONTHDAY=1", -1);
    expect_same("every month on the 1st and 15th at 09:00", "FREQ=MONTHLY;BYMONTHDAY=1,15", nine);
    expect_same("every month on the 31st", "FREQ=MONTHLY;BYMONTHDAY=31", -1);
    expect_same("every month on the last day", "FREQ=MONTHLY;BYMONTHDAY=-1", -1);
    expect_same("every month on the second tuesday at 09:00", "FREQ=MONTHLY;BYDAY=2TU", nine);
    expect_same("every month on the last friday", "FREQ=MONTHLY;BYDAY=-1FR", -1);
    expect_same("every 3 months on the 5th", "FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=5", -1);
    expect_same("every year on 24 december", "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", -1);
    expect_same("every year on Dec 24th", "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", -1);
    expect_same("every year on the 1st of may", "FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=1", -1);
    expect_same("every 15 minutes", "FREQ=MINUTELY;INTERVAL=15", -1);
    expect_same("hourly", "FREQ=HOURLY", -1);
}

static void words_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "every",
        "monday",
        "every monday at",
        "every monday at 25:00",
        "every monday at 24:00",
        "every 0 days",
        "every month on",
        "every month on the 32nd",
        "every month on the first and second tuesday",
        "every year",
        "every year on 31 april",
        "every year on december",
        "every year on 1 2",
        "every day on monday",
        "every fortnight",
        "every monday at 09:00 please",
        "every a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p",
        "every averyverylongwordindeed",
    };
    for (size_t i = 0; i < array_count(bad); i++) {
        struct recur rule;
        int32_t clock_ms = 7;
        struct fault f = {0};
        enum status status = recur_words_parse(str_of(bad[i]), &rule, &clock_ms, &f);
        if (status != FIX_INPUT)
            print_message("taken: %s\n", bad[i]);
        assert_int_equal(status, FIX_INPUT);
        assert_true(f.text[0] != 0);
        assert_int_equal(clock_ms, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("words give the moments of their rule", words_give_the_moments_of_their_rule),
        TEST("words that mean nothing are refused", words_that_mean_nothing_are_refused),
    };
    return cmocka_run_group_tests_name("when/recur_words", tests, NULL, NULL);
}
