/* What civil.h promises, against a calendar that walks from day to day.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/civil.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/hash.h"
#include "test.h"

/* The next day, as one turns the leaves of a calendar. */
static struct date turn(struct date d)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = d.year % 400 == 0 || (d.year % 4 == 0 && d.year % 100 != 0);
    uint32_t last = days[d.month - 1] + (d.month == 2 && is_leap);

    if (d.day < last)
        return (struct date){d.year, d.month, (uint8_t)(d.day + 1)};
    if (d.month < 12)
        return (struct date){d.year, (uint8_t)(d.month + 1), 1};
    return (struct date){d.year + 1, 1, 1};
}

static void walks_all_days(void **state)
{
    (void)state;
    struct date d = {-1, 12, 31};
    int64_t day = civil_day(d);
    uint32_t weekday = civil_weekday(day);
    uint32_t day_of_year = 365;

    while (d.year < 10001) {
        struct date next = turn(d);
        day++;
        weekday = (weekday + 1) % 7;
        day_of_year = next.year == d.year ? day_of_year + 1 : 1;
        d = next;

        struct date got = civil_date(day);
        if (got.year != d.year || got.month != d.month || got.day != d.day)
            fail_msg("day %ld is %d-%d-%d, got %d-%d-%d", (long)day, d.year, d.month, d.day,
                     got.year, got.month, got.day);
        assert_true(civil_day(d) == day);
        assert_true(civil_weekday(day) == weekday);
        assert_true(civil_day_of_year(d) == day_of_year);
        assert_true(civil_is_date(d));
    }
}

static void knows_first_day(void **state)
{
    (void)state;
    assert_int_equal(civil_day((struct date){1970, 1, 1}), 0);
    assert_int_equal(civil_weekday(0), THURSDAY);
    assert_int_equal(civil_weekday(-1), WEDNESDAY);
    assert_int_equal(civil_day((struct date){2026, 3, 2}), 20514);
    assert_int_equal(civil_weekday(20514), MONDAY);
}

static void goes_far(void **state)
{
    (void)state;
    /* The calendar repeats every 400 years; so it must do a million years away, too. */
    for (int64_t day = -800000; day < 800000; day += 97) {
        struct date near = civil_date(day);
        struct date far = civil_date(day + 2500 * INT64_C(146097));
        struct date before = civil_date(day - 2500 * INT64_C(146097));
        assert_int_equal(far.year, near.year + 1000000);
        assert_int_equal(far.month, near.month);
        assert_int_equal(far.day, near.day);
        assert_int_equal(before.year, near.year - 1000000);
        assert_true(civil_day(far) == day + 2500 * INT64_C(146097));
        assert_true(civil_day(before) == day - 2500 * INT64_C(146097));
    }
    /* Where words of 32 bits end (400,000 years before 1970 and 2 million after) and beyond, each day
     * follows the one before. */
    const int64_t edges[] = {-146816468, 926925356, -(INT64_C(1) << 37), INT64_C(1) << 37};
    for (size_t i = 0; i < array_count(edges); i++) {
        for (int64_t day = edges[i] - 1000; day < edges[i] + 1000; day++) {
            struct date date = civil_date(day), next = civil_date(day + 1);
            bool is_last = !civil_is_date((struct date){date.year, date.month, date.day + 1});
            assert_true(civil_day(date) == day);
            assert_int_equal(next.day, is_last ? 1 : date.day + 1);
        }
    }
}

static void counts_on(void **state)
{
    (void)state;
    assert_true(civil_day((struct date){2026, 1, 32}) == civil_day((struct date){2026, 2, 1}));
    assert_true(civil_day((struct date){2026, 3, 0}) == civil_day((struct date){2026, 2, 28}));
    assert_true(civil_day((struct date){2024, 3, 0}) == civil_day((struct date){2024, 2, 29}));
    assert_false(civil_is_date((struct date){2026, 2, 29}));
    assert_true(civil_is_date((struct date){2024, 2, 29}));
    assert_false(civil_is_date((struct date){1900, 2, 29}));
    assert_true(civil_is_date((struct date){2000, 2, 29}));
    assert_false(civil_is_date((struct date){2026, 0, 1}));
    assert_false(civil_is_date((struct date){2026, 13, 1}));
    assert_false(civil_is_date((struct date){2026, 4, 31}));
    assert_false(civil_is_date((struct date){2026, 4, 0}));
}

static void adds_months(void **state)
{
    (void)state;
    static const struct {
        struct date from;
        int32_t months;
        struct date to;
    } rows[] = {
        {{2026, 1, 31}, 1, {2026, 2, 28}},   {{2024, 1, 31}, 1, {2024, 2, 29}},
        {{2026, 1, 31}, 2, {2026, 3, 31}},   {{2026, 3, 31}, -1, {2026, 2, 28}},
        {{2026, 12, 15}, 1, {2027, 1, 15}},  {{2026, 1, 15}, -1, {2025, 12, 15}},
        {{2024, 2, 29}, 12, {2025, 2, 28}},  {{2024, 2, 29}, 48, {2028, 2, 29}},
        {{2026, 5, 31}, -25, {2024, 4, 30}}, {{2026, 5, 31}, 0, {2026, 5, 31}},
        {{0, 1, 31}, -1, {-1, 12, 31}},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct date got = civil_add_months(rows[i].from, rows[i].months);
        assert_int_equal(got.year, rows[i].to.year);
        assert_int_equal(got.month, rows[i].to.month);
        assert_int_equal(got.day, rows[i].to.day);
    }
}

static void numbers_weeks(void **state)
{
    (void)state;
    for (int64_t day = -40000; day < 60000; day++) {
        struct iso_week got = civil_iso_week(day);
        time_t second = day * 86400;
        struct tm tm;
        char text[32];
        char expected[32];
        gmtime_r(&second, &tm);
        strftime(expected, sizeof(expected), "%G-%V", &tm);
        snprintf(text, sizeof(text), "%04d-%02u", got.year, got.week);
        assert_string_equal(text, expected);
    }
}

static int64_t parsed(const char *text, enum timestamp_form form)
{
    struct timestamp t;
    struct fault f = {0};

    if (timestamp_parse(str_of(text), form, &t, &f) != OK)
        fail_msg("%s", f.text);
    return t.at_ms;
}

#define NOON INT64_C(1772452800000) /* 2026-03-02T12:00:00Z */

static void reads_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t at_ms;
    } rows[] = {
        {"2026-03-02T12:00:00Z", NOON},
        {"2026-03-02t12:00:00z", NOON},
        {"2026-03-02T12:00:00.000Z", NOON},
        {"2026-03-02T12:00:00.5Z", NOON + 500},
        {"2026-03-02T12:00:00.123456789Z", NOON + 123},
        {"2026-03-02T13:30:00+01:30", NOON},
        {"2026-03-02T02:00:00-10:00", NOON},
        {"2026-03-03T02:00:00+14:00", NOON},
        {"2026-03-02T12:00:00-00:00", NOON},
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59.999Z", -1},
        {"0001-01-01T00:00:00Z", TIMESTAMP_MIN_MS},
        {"9999-12-31T23:59:59.999999999Z", TIMESTAMP_MAX_MS},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
        {"2016-12-31T23:59:60.25Z", INT64_C(1483228800250)},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        assert_true(parsed(rows[i].text, TIMESTAMP_RFC3339) == rows[i].at_ms);
        assert_true(parsed(rows[i].text, TIMESTAMP_LOOSE) == rows[i].at_ms);
    }
}

static void reads_loose(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool has_offset;
    } rows[] = {
        {"2026-03-02T12:00", false},        {"2026-03-02 12:00", false},
        {"2026-03-02 12:00:00", false},     {"2026-03-02T12:00:00.000", false},
        {"2026-03-02 12:00:00 UTC", true},  {"2026-03-02 12:00:00 +0000", true},
        {"2026-03-02T13:00:00+0100", true}, {"2026-03-02T13:00:00+01", true},
        {"2026-03-02T13:00+01:00", true},   {"2026-03-02T12:00Z", true},
        {"2026-03-02 07:00:00-05", true},
    };
    struct timestamp t;

    for (size_t i = 0; i < array_count(rows); i++) {
        assert_int_equal(timestamp_parse(str_of(rows[i].text), TIMESTAMP_LOOSE, &t, NULL), OK);
        assert_true(t.at_ms == NOON);
        assert_int_equal(t.has_offset, rows[i].has_offset);
        assert_true(t.has_time);
        assert_int_equal(timestamp_parse(str_of(rows[i].text), TIMESTAMP_RFC3339, &t, NULL),
                         FIX_INPUT);
    }
    assert_int_equal(timestamp_parse(STR("2026-03-02"), TIMESTAMP_LOOSE, &t, NULL), OK);
    assert_true(t.at_ms == NOON - 12 * HOUR_MS);
    assert_false(t.has_time);
    assert_false(t.has_offset);
    assert_int_equal(
        timestamp_parse(STR("2026-03-02T13:00:00.0000025+01:00"), TIMESTAMP_LOOSE, &t, NULL), OK);
    assert_int_equal(t.sub_ns, 2500);
    assert_int_equal(t.offset_ms, HOUR_MS);
}

static void refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "Z",
        "2026",
        "2026-03",
        "2026-3-2",
        "2026-02-29",
        "2026-13-01",
        "2026-00-01",
        "2026-03-00",
        "20260302",
        "2026-03-02T",
        "2026-03-02T1",
        "2026-03-02T12",
        "2026-03-02 ",
        "2026-03-02T24:00:00Z",
        "2026-03-02T12:60:00Z",
        "2026-03-02T12:00:61Z",
        "2026-03-02T12:00:00.Z",
        "2026-03-02T12:00:00.1234567890Z",
        "2026-03-02T12:00:00+24:00",
        "2026-03-02T12:00:00+01:60",
        "2026-03-02T12:00:00+1:00",
        "2026-03-02T12:00:00+01:",
        "2026-03-02T12:00:00+01:0",
        "2026-03-02T12:00:00ZZ",
        "2026-03-02T12:00:00Z ",
        " 2026-03-02T12:00:00Z",
        "2026-03-02X12:00:00Z",
        "2026-03-02T12:00:00 CET",
        "2026-03-02T12:00:00,5Z",
        "0000-12-31T23:00:00Z",
        "9999-12-31T23:59:59-00:01",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:60Z",
        "2026-03-02T12:00:00  +01:00",
        "-026-03-02T12:00:00Z",
        "tomorrow",
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct timestamp t = {.at_ms = 77};
        struct fault f = {0};
        if (timestamp_parse(str_of(rows[i]), TIMESTAMP_LOOSE, &t, &f) != FIX_INPUT)
            fail_msg("took \"%s\"", rows[i]);
        assert_int_equal(timestamp_parse(str_of(rows[i]), TIMESTAMP_RFC3339, &t, NULL), FIX_INPUT);
        assert_true(t.at_ms == 77);
        assert_true(f.text[0] != '\0');
    }
}

static void names_the_mistake(void **state)
{
    (void)state;
    struct timestamp t;
    struct fault f = {0};

    assert_int_equal(timestamp_parse(STR("2026-02-30T12:00"), TIMESTAMP_LOOSE, &t, &f), FIX_INPUT);
    assert_string_equal(f.text, "\"2026-02-30T12:00\" is no timestamp: there is no such date; "
                                "write it like 2026-03-02T12:00:00Z");
}

static void prints_back(void **state)
{
    (void)state;
    uint64_t range = (uint64_t)(TIMESTAMP_MAX_MS - TIMESTAMP_MIN_MS);

    for (uint64_t i = 0; i < 200000; i++) {
        int64_t at_ms = TIMESTAMP_MIN_MS + (int64_t)(hash_pair(i, 1) % (range + 1));
        uint32_t sub_ns = i % 3 == 0 ? 0 : (uint32_t)(hash_pair(i, 2) % 1000000);
        int32_t offset_ms = ((int32_t)(hash_pair(i, 3) % 2879) - 1439) * (int32_t)MINUTE_MS;
        char text[TIMESTAMP_BYTES];
        struct timestamp t;

        assert_int_equal(timestamp_parse(timestamp_print(at_ms, text), TIMESTAMP_RFC3339, &t, NULL),
                         OK);
        assert_true(t.at_ms == at_ms);
        assert_int_equal(strlen(text), 24);
        if (at_ms - DAY_MS < TIMESTAMP_MIN_MS || at_ms + DAY_MS > TIMESTAMP_MAX_MS)
            continue;
        struct str s = timestamp_print_exact(at_ms, sub_ns, offset_ms, text);
        assert_int_equal(timestamp_parse(s, TIMESTAMP_RFC3339, &t, NULL), OK);
        assert_true(t.at_ms == at_ms);
        assert_int_equal(t.sub_ns, sub_ns);
        assert_int_equal(t.offset_ms, offset_ms);
    }
}

/* The form that nearly all clients write has a way of its own; "+00:00" for its "Z" goes the long way. */
static void the_usual_form_is_read_as_any_other(void **state)
{
    (void)state;
    uint64_t range = (uint64_t)(TIMESTAMP_MAX_MS - TIMESTAMP_MIN_MS);
    uint32_t good = 0;

    for (uint64_t i = 0; i < 400000; i++) {
        char text[TIMESTAMP_BYTES], same[TIMESTAMP_BYTES + 8];
        struct timestamp quick, slow;
        struct fault f = {0};
        timestamp_print(TIMESTAMP_MIN_MS + (int64_t)(hash_pair(i, 1) % (range + 1)), text);
        if (i % 8 != 0) { /* another digit, another sign or any byte, mostly at one place */
            uint64_t chance = hash_pair(i, 2);
            char any[] = {(char)('0' + (chance >> 8) % 10), ":-. TZtz/;@09"[(chance >> 8) % 13],
                          (char)(chance >> 8)};
            text[chance % 23] = any[(chance >> 20) % 3];
            text[(chance >> 30) % 23] = (char)('0' + (chance >> 40) % 10);
        }
        snprintf(same, sizeof(same), "%.23s+00:00", text);
        enum timestamp_form form = i & 1 ? TIMESTAMP_RFC3339 : TIMESTAMP_LOOSE;
        enum status status = timestamp_parse((struct str){text, 24}, form, &quick, &f);
        assert_int_equal(status, timestamp_parse((struct str){same, 29}, form, &slow, &f));
        if (status != OK)
            continue;
        good++;
        assert_true(quick.at_ms == slow.at_ms);
        assert_int_equal(quick.sub_ns, slow.sub_ns);
        assert_int_equal(quick.offset_ms, slow.offset_ms);
        assert_int_equal(quick.has_time, slow.has_time);
        assert_int_equal(quick.has_offset, slow.has_offset);
    }
    assert_true(good > 50000);
}

static void prints_as_expected(void **state)
{
    (void)state;
    char out[TIMESTAMP_BYTES];

    assert_string_equal(timestamp_print(NOON, out).at, "2026-03-02T12:00:00.000Z");
    assert_string_equal(timestamp_print(-1, out).at, "1969-12-31T23:59:59.999Z");
    assert_string_equal(timestamp_print(FOREVER_MS, out).at, "9999-12-31T23:59:59.999Z");
    assert_string_equal(timestamp_print(INT64_MIN, out).at, "0001-01-01T00:00:00.000Z");
    assert_string_equal(timestamp_print_exact(NOON, 0, 0, out).at, "2026-03-02T12:00:00Z");
    assert_string_equal(timestamp_print_exact(NOON + 500, 0, (int32_t)HOUR_MS, out).at,
                        "2026-03-02T13:00:00.5+01:00");
    assert_string_equal(timestamp_print_exact(NOON, 1, -(int32_t)(90 * MINUTE_MS), out).at,
                        "2026-03-02T10:30:00.000000001-01:30");
    assert_string_equal(date_print(20514, out).at, "2026-03-02");
    assert_string_equal(date_print(INT64_MAX, out).at, "9999-12-31");
}

static void guesses_numbers(void **state)
{
    (void)state;
    int64_t at_ms = 0;

    assert_true(timestamp_from_number(1772452800, &at_ms));
    assert_true(at_ms == NOON);
    assert_true(timestamp_from_number(1772452800.123, &at_ms));
    assert_true(at_ms == NOON + 123);
    assert_true(timestamp_from_number(1772452800000, &at_ms));
    assert_true(at_ms == NOON);
    assert_true(timestamp_from_number(1772452800000999, &at_ms));
    assert_true(at_ms == NOON);
    assert_true(timestamp_from_number(1772452800000999000.0, &at_ms));
    assert_true(at_ms == NOON);
    assert_true(timestamp_from_number(0, &at_ms));
    assert_true(at_ms == 0);
    assert_true(timestamp_from_number(-86400, &at_ms));
    assert_true(at_ms == -DAY_MS);
    assert_true(timestamp_from_number(1e11, &at_ms));
    assert_true(at_ms == INT64_C(100000000000000));
    assert_true(timestamp_from_number(1e11 + 1, &at_ms));
    assert_true(at_ms == INT64_C(100000000001));
    at_ms = 77;
    assert_false(timestamp_from_number(1e300, &at_ms));
    assert_false(timestamp_from_number(-1e11, &at_ms));
    assert_false(timestamp_from_number((double)INFINITY, &at_ms));
    assert_false(timestamp_from_number((double)NAN, &at_ms));
    assert_true(at_ms == 77);
}

static void reads_offsets(void **state)
{
    (void)state;
    int32_t ms = 77;

    assert_true(offset_parse(STR("Z"), &ms));
    assert_int_equal(ms, 0);
    assert_true(offset_parse(STR("+05:30"), &ms));
    assert_int_equal(ms, 330 * MINUTE_MS);
    assert_true(offset_parse(STR("-0330"), &ms));
    assert_int_equal(ms, -210 * MINUTE_MS);
    assert_true(offset_parse(STR("+23:59"), &ms));
    assert_false(offset_parse(STR("+24:00"), &ms));
    assert_false(offset_parse(STR("05:30"), &ms));
    assert_false(offset_parse(STR("+05:30 "), &ms));
    assert_false(offset_parse(STR(""), &ms));
    assert_int_equal(ms, 1439 * MINUTE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("1970-01-01 is day 0 and a Thursday", knows_first_day),
        TEST("days and dates agree with a calendar turned leaf by leaf for 10,000 years",
             walks_all_days),
        TEST("the calendar repeats every 400 years, however far away", goes_far),
        TEST("a day outside its month counts on, and is not a date", counts_on),
        TEST("a month later is the same day, or the last of a shorter month", adds_months),
        TEST("weeks are numbered as ISO 8601 does", numbers_weeks),
        TEST("a timestamp to the letter of RFC 3339 is read", reads_strict),
        TEST("what people and databases write for a timestamp is read where that is asked for",
             reads_loose),
        TEST("what is no timestamp is refused, and nothing is written", refuses),
        TEST("a refused timestamp says what is wrong with it", names_the_mistake),
        TEST("a printed timestamp reads back as the same instant", prints_back),
        TEST("the usual form of a timestamp is read as any other",
             the_usual_form_is_read_as_any_other),
        TEST("timestamps are printed as the interfaces show them", prints_as_expected),
        TEST("a bare number is seconds, milliseconds, microseconds or nanoseconds by its size",
             guesses_numbers),
        TEST("an offset alone is read", reads_offsets),
    };

    return cmocka_run_group_tests_name("when/civil", tests, NULL, NULL);
}
