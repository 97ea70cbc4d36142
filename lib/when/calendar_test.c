/* SPDX-License-Identifier: Apache-2.0 */
#include "when/calendar.h"

#include "base/hash.h"
#include "test.h"
#include "when/civil.h"
#include "when/zone.h"
#include "when/zones_for_tests.h"

static struct calendar_days read(const char *text)
{
    struct calendar_days days;
    struct fault f = {0};
    if (calendar_days_parse(str_of(text), &days, &f) != OK)
        fail_msg("%s: %s", text, f.text);
    return days;
}

static bool has_on(const char *text, int32_t year, uint8_t month, uint8_t day)
{
    struct calendar_days days = read(text);
    return calendar_has(&days, 1, civil_day((struct date){year, month, day}));
}

static void reads(void **state)
{
    (void)state;
    assert_true(has_on("2026-12-25", 2026, 12, 25));
    assert_false(has_on("2026-12-25", 2027, 12, 25));
    assert_false(has_on("2026-12-25", 2026, 12, 24));
    assert_true(has_on("12-25", 2031, 12, 25));
    assert_true(has_on(" 2026-11-23 to 2026-11-30 ", 2026, 11, 23));
    assert_true(has_on("2026-11-23 to 2026-11-30", 2026, 11, 30));
    assert_false(has_on("2026-11-23 to 2026-11-30", 2026, 12, 1));
    assert_true(has_on("12-24 to 01-02", 2026, 12, 31));
    assert_true(has_on("12-24 to 01-02", 2027, 1, 2));
    assert_false(has_on("12-24 to 01-02", 2027, 1, 3));
    assert_false(has_on("12-24 to 01-02", 2026, 12, 23));
    assert_true(has_on("02-29", 2028, 2, 29));
    assert_false(has_on("02-29", 2027, 3, 1));
    assert_false(has_on("02-29", 2027, 2, 28));
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "is no day"},
        {"christmas", "is no day"},
        {"2026-13-01", "is no day"},
        {"2026-02-29", "is no day"},
        {"2-29", "is no day"},
        {"26-12-25", "is no day"},
        {"25.12.2026", "is no day"},
        {"2026-12-25 to ", "is no day"},
        {"2026-12-25 to 12-27", "both days need a year, or neither"},
        {"2026-12-27 to 2026-12-25", "ends before it begins"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct calendar_days days;
        struct fault f = {0};
        assert_int_equal(calendar_days_parse(str_of(cases[i].text), &days, &f), FIX_INPUT);
        assert_non_null(strstr(f.text, cases[i].says));
    }
}

/* Random calendars around every kind of clock change, walked through in steps of 15 minutes. */
static void walks(void **state)
{
    (void)state;
    static const char *const rules[] = {
        "UTC0",
        "GMT0BST,M3.5.0/1,M10.5.0",
        "XXX-5:45",
        "CLT4CLST,M9.1.6/24,M4.1.6/24", /* over midnight, both ways */
        "AAA3BBB,M10.3.0/0,M2.3.0/0",   /* at midnight */
        "LHST-10:30LHDT-11,M10.1.0,M4.1.0",
    };
    uint32_t changes = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct zone_file file = {STR("Test/Zone"), str_of(rules[seed % array_count(rules)])};
        struct zoneset *set;
        assert_int_equal(zoneset_build(STR("test"), &file, 1, &set, NULL), OK);
        const struct zone *zone = zoneset_zone(set, 0);
        struct calendar_days days[4];
        size_t count = hash_pair(seed, 1) % 5;
        int64_t first = civil_day((struct date){2026, 1, 1}) + (int64_t)(hash_pair(seed, 2) % 330);
        for (size_t i = 0; i < count; i++) {
            int64_t from = first + (int64_t)(hash_pair(seed, 10 + i) % 30);
            int64_t to = from + (int64_t)(hash_pair(seed, 20 + i) % 4);
            days[i] = (struct calendar_days){false, from, to};
            if (hash_pair(seed, 30 + i) % 2) {
                struct date a = civil_date(from), b = civil_date(to);
                days[i] = (struct calendar_days){true, a.month * 32 + a.day, b.month * 32 + b.day};
            }
        }
        int64_t from_ms = first * DAY_MS, until_ms = from_ms;
        bool before = false;
        for (int64_t at_ms = from_ms; at_ms < from_ms + 32 * DAY_MS; at_ms += 15 * MINUTE_MS) {
            struct window_answer got = calendar_ask(days, count, zone, at_ms);
            /* The wall says which day it is. */
            struct local local = zone_local(zone, at_ms);
            int64_t day = civil_day((struct date){local.year, local.month, local.day});
            bool wanted = false;
            for (size_t i = 0; i < count; i++) {
                int64_t of_year = local.month * 32 + local.day;
                wanted |= days[i].is_yearly
                              ? (days[i].from <= days[i].to
                                     ? of_year >= days[i].from && of_year <= days[i].to
                                     : of_year >= days[i].from || of_year <= days[i].to)
                              : day >= days[i].from && day <= days[i].to;
            }
            assert_int_equal(got.is_inside, wanted);
            assert_true(got.until_ms > at_ms);
            if (at_ms < until_ms && at_ms > from_ms)
                assert_int_equal(wanted, before);
            changes += at_ms > from_ms && wanted != before;
            if (at_ms >= until_ms)
                until_ms = got.until_ms;
            before = wanted;
        }
        zoneset_free(set);
    }
    assert_true(changes > 300);
}

static void ends(void **state)
{
    (void)state;
    struct calendar_days past = read("2020-01-01"), yearly = read("12-25");
    int64_t now_ms = INT64_C(1767225600000); /* 2026-01-01 */
    struct window_answer got = calendar_ask(&past, 1, zone_of_utc(), now_ms);
    assert_false(got.is_inside);
    assert_true(got.until_ms == FOREVER_MS);
    got = calendar_ask(NULL, 0, zone_of_utc(), now_ms);
    assert_true(!got.is_inside && got.until_ms == FOREVER_MS);
    got = calendar_ask(&yearly, 1, zone_of_utc(), now_ms + 340 * DAY_MS);
    assert_true(got.until_ms == now_ms + 358 * DAY_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a day, a date of every year and stretches of both are read", reads),
        TEST("what is no day is refused with what to write", refuses),
        TEST("what the wall says decides, and nothing changes before it was announced", walks),
        TEST("a calendar that is over never changes again", ends),
    };
    return cmocka_run_group_tests_name("when/calendar", tests, NULL, NULL);
}
