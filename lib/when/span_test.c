/* What span.h promises.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/span.h"

#include "base/hash.h"
#include "when/zones_for_tests.h"

static void reads_fixed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"0", 0},
        {"0s", 0},
        {"1ms", 1},
        {"500ms", 500},
        {"90s", 90 * SECOND_MS},
        {"15m", 15 * MINUTE_MS},
        {"2h", 2 * HOUR_MS},
        {"3d", 72 * HOUR_MS},
        {"2w", 14 * DAY_MS},
        {"1d12h", 36 * HOUR_MS},
        {"1d 12h", 36 * HOUR_MS},
        {"1w2d3h4m5s6ms", 9 * DAY_MS + 3 * HOUR_MS + 4 * MINUTE_MS + 5006},
        {"36500d", SPAN_MAX_MS},
        {"0090s", 90 * SECOND_MS},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct span span = {0};
        struct fault f = {0};
        if (span_parse(str_of(rows[i].text), &span, &f) != OK)
            fail_msg("%s", f.text);
        assert_true(span_equal(span, span_of_ms(rows[i].ms)));
    }
}

static void reads_calendar(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t count;
        enum span_unit unit;
    } rows[] = {
        {"day", 1, SPAN_DAY},        {"week", 1, SPAN_WEEK},
        {"month", 1, SPAN_MONTH},    {"1 day", 1, SPAN_DAY},
        {"2 days", 2, SPAN_DAY},     {"3weeks", 3, SPAN_WEEK},
        {"6 months", 6, SPAN_MONTH}, {"1200 months", 1200, SPAN_MONTH},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct span span = {0};
        struct fault f = {0};
        if (span_parse(str_of(rows[i].text), &span, &f) != OK)
            fail_msg("%s", f.text);
        assert_true(span_equal(span, span_of_calendar(rows[i].count, rows[i].unit)));
    }
}

static void advises(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"", "it is empty"},
        {" ", "write it like"},
        {"90", "it has no unit"},
        {"12h1d", "write \"1d12h\""},
        {"90m30m", "write \"2h\""},
        {"1.5d", "write \"1d12h\""},
        {"0.25h", "write \"15m\""},
        {"90 s", "write \"1m30s\""},
        {"1d ", "write \"1d\""},
        {"1.2345d", "write it like"},
        {"1.h", "write it like"},
        {".5h", "write it like"},
        {"1.5ms", "finer than 1ms"},
        {"15min", "did you mean \"15m\"?"},
        {"2 Hours", "did you mean \"2h\"?"},
        {"2H", "did you mean \"2h\"?"},
        {"3mo", "did you mean \"3 months\"?"},
        {"3 dayz", "did you mean \"days\"?"},
        {"dya", "did you mean \"day\"?"},
        {"days", "did you mean \"day\"?"},
        {"fortnight", "units are"},
        {"3 fortnights", "units are"},
        {"0 days", "from 1"},
        {"1.5 months", "counted whole"},
        {"1201 days", "at most 1200"},
        {"1 month 2 days", "stand alone"},
        {"1d 2 weeks", "stand alone"},
        {"36501d", "longer than a hundred years"},
        {"99999999999999w", "longer than a hundred years"},
        {"999999999999999w", "write it like"},
        {"-3d", "has a sign"},
        {"+3d", "has a sign"},
        {"3d-1h", "write it like"},
        {"1d  2h", "write it like"},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct span span = span_of_ms(77);
        struct fault f = {0};
        if (span_parse(str_of(rows[i].text), &span, &f) != FIX_INPUT)
            fail_msg("took \"%s\"", rows[i].text);
        if (!strstr(f.text, rows[i].says))
            fail_msg("\"%s\": %s", rows[i].text, f.text);
        assert_true(span_equal(span, span_of_ms(77)));
    }
}

static void reads_signs(void **state)
{
    (void)state;
    struct span span;

    assert_int_equal(span_parse_signed(STR("-3d"), &span, NULL), OK);
    assert_true(span_equal(span, span_of_ms(-3 * DAY_MS)));
    assert_int_equal(span_parse_signed(STR("+2h"), &span, NULL), OK);
    assert_true(span_equal(span, span_of_ms(2 * HOUR_MS)));
    assert_int_equal(span_parse_signed(STR("-1 month"), &span, NULL), OK);
    assert_true(span_equal(span, span_of_calendar(-1, SPAN_MONTH)));
    assert_int_equal(span_parse_signed(STR("--1d"), &span, NULL), FIX_INPUT);
    assert_int_equal(span_parse_signed(STR("-"), &span, NULL), FIX_INPUT);
}

static void prints_back(void **state)
{
    (void)state;
    char text[SPAN_BYTES];
    struct span again;

    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t r = hash_pair(i, 1);
        struct span span = span_of_ms((int64_t)(r % (uint64_t)SPAN_MAX_MS));
        if (i % 3 == 0)
            span.ms -= span.ms % HOUR_MS;
        if (i % 5 == 0)
            span = span_of_calendar((int32_t)(1 + r % SPAN_MAX_COUNT), (enum span_unit)(i % 3));
        if (i % 7 == 0) {
            span.ms = -span.ms;
            span.count = -span.count;
        }
        if (span_parse_signed(span_print(span, text), &again, NULL) != OK)
            fail_msg("cannot read back \"%s\"", text);
        assert_true(span_equal(span, again));
    }
    assert_string_equal(span_print(span_of_ms(36 * HOUR_MS), text).at, "1d12h");
    assert_string_equal(span_print(span_of_ms(14 * DAY_MS), text).at, "2w");
    assert_string_equal(span_print(span_of_ms(10 * DAY_MS), text).at, "10d");
    assert_string_equal(span_print(span_of_ms(0), text).at, "0s");
    assert_string_equal(span_print(span_of_ms(-90500), text).at, "-1m30s500ms");
    assert_string_equal(span_print(span_of_calendar(1, SPAN_DAY), text).at, "day");
    assert_string_equal(span_print(span_of_calendar(2, SPAN_WEEK), text).at, "2 weeks");
    assert_string_equal(span_print(span_of_calendar(-1, SPAN_MONTH), text).at, "-1 month");
    assert_string_equal(span_print(span_of_ms(INT64_MIN), text).at, "-106751991167d7h12m55s808ms");
}

static void adds(void **state)
{
    (void)state;
    struct zoneset *set = one_zone("GMT0BST,M3.5.0/1,M10.5.0");
    const struct zone *london = zoneset_zone(set, 0);
    int64_t at_ms = ms_of("2026-03-28T12:00Z");

    assert_true(span_add(span_of_ms(DAY_MS), NULL, at_ms) == at_ms + DAY_MS);
    assert_true(span_add(span_of_calendar(1, SPAN_DAY), london, at_ms) ==
                ms_of("2026-03-29T11:00Z"));
    assert_true(span_add(span_of_calendar(-1, SPAN_DAY), london, at_ms) ==
                ms_of("2026-03-27T12:00Z"));
    assert_true(span_add(span_of_calendar(1, SPAN_WEEK), london, at_ms) ==
                ms_of("2026-04-04T11:00Z"));
    assert_true(span_add(span_of_calendar(1, SPAN_MONTH), london, at_ms) ==
                ms_of("2026-04-28T11:00Z"));
    assert_true(span_add(span_of_ms(-5), NULL, FOREVER_MS) == FOREVER_MS);
    assert_true(span_add(span_of_ms(5), NULL, FOREVER_MS - 4) == FOREVER_MS);
    assert_true(span_add(span_of_ms(-5), NULL, INT64_MIN + 4) == INT64_MIN);
    zoneset_free(set);
}

/* The oracle: the days, weeks or months since year 0 that a local day belongs to. */
static int64_t number_of(enum span_unit unit, int64_t day)
{
    struct date date = civil_date(day);

    switch (unit) {
    case SPAN_DAY: return day;
    case SPAN_WEEK: return floor_div(day + 3, 7); /* day 0 was a Thursday */
    case SPAN_MONTH: return date.year * 12 + date.month;
    }
    return 0;
}

static void windows_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(odd_rules); i++) {
        struct zoneset *set = one_zone(odd_rules[i]);
        const struct zone *zone = zoneset_zone(set, 0);
        for (uint64_t n = 0; n < 300; n++) {
            uint64_t r = hash_pair(n, i);
            struct span span = span_of_calendar((int32_t)(1 + r / 8 % 3), (enum span_unit)(r % 3));
            int64_t at_ms = ms_of("2026-01-01") + (int64_t)(r / 64 % (365 * 1440)) * MINUTE_MS;
            struct zone_stretch s = zone_stretch(zone, at_ms);
            if (n % 3 == 0 && s.until_ms != FOREVER_MS)
                at_ms = s.until_ms + ((int64_t)(n % 64) - 32) * 15 * MINUTE_MS;

            struct span_window got = span_window(span, zone, at_ms);
            int64_t number = number_of(span.unit, zone_day(zone, at_ms));
            assert_true(got.from_ms <= at_ms);
            assert_true(got.until_ms > at_ms);
            /* It begins where the unit count - 1 before this one does. */
            assert_true(number_of(span.unit, zone_day(zone, got.from_ms)) >=
                        number - span.count + 1);
            assert_true(number_of(span.unit, zone_day(zone, got.from_ms - 1)) <
                        number - span.count + 1);
            /* It ends at the first instant of a later one. */
            assert_true(number_of(span.unit, zone_day(zone, got.until_ms)) > number);
            for (int64_t t = at_ms; t < got.until_ms; t += 15 * MINUTE_MS)
                assert_true(number_of(span.unit, zone_day(zone, t)) <= number);
            assert_true(number_of(span.unit, zone_day(zone, got.until_ms - 1)) <= number);
        }
        zoneset_free(set);
    }
}

static void slides(void **state)
{
    (void)state;
    /* What happened at t has left the window of a day at t + 24 h, and not before. */
    struct span_window got = span_window(span_of_ms(DAY_MS), NULL, DAY_MS);

    assert_true(got.from_ms == 1);
    assert_true(got.until_ms == FOREVER_MS);
    assert_true(span_window(span_of_ms(1), NULL, 5).from_ms == 5);
}

static void reads_clocks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"00:00", 0},
        {"8:30", 8 * HOUR_MS + 30 * MINUTE_MS},
        {"08:30", 8 * HOUR_MS + 30 * MINUTE_MS},
        {"21:00", 21 * HOUR_MS},
        {"21:00:30", 21 * HOUR_MS + 30 * SECOND_MS},
        {"23:59:59", DAY_MS - SECOND_MS},
        {"24:00", DAY_MS},
    };
    static const char *const wrong[] = {"",       "8",      "8:5",      "24:01",    "25:00",
                                        "12:60",  "8am",    "12:00:60", "12:00:",   "-1:00",
                                        "100:00", "12:000", "12:00 ",   "24:00:01", "1260"};
    int32_t ms = 77;
    char text[CLOCK_BYTES];

    for (size_t i = 0; i < array_count(rows); i++) {
        assert_int_equal(clock_parse(str_of(rows[i].text), &ms, NULL), OK);
        assert_true(ms == rows[i].ms);
    }
    ms = 77;
    for (size_t i = 0; i < array_count(wrong); i++) {
        struct fault f = {0};
        if (clock_parse(str_of(wrong[i]), &ms, &f) != FIX_INPUT)
            fail_msg("took \"%s\"", wrong[i]);
        assert_int_equal(ms, 77);
        assert_non_null(strstr(f.text, "is no time of day"));
    }
    for (int32_t second = 0; second <= 86400; second++) {
        assert_int_equal(clock_parse(clock_print(second * 1000, text), &ms, NULL), OK);
        assert_int_equal(ms, second * 1000);
    }
    assert_string_equal(clock_print(21 * (int32_t)HOUR_MS, text).at, "21:00");
}

static void reads_weekdays(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t weekdays;
    } rows[] = {
        {"mon", 1},         {"Monday", 1},           {"sun", 64},
        {"[mon, wed]", 5},  {"mon,wed", 5},          {"weekday", WEEKDAYS_WORK},
        {"weekend", 96},    {"weekdays", 31},        {"daily", WEEKDAYS_ALL},
        {"mon-fri", 31},    {"fri-mon", 113},        {"sat - sun", 96},
        {"mon-mon", 1},     {"[weekend, wed]", 100}, {" tue , thursday ", 10},
        {"every day", 127},
    };
    static const struct {
        const char *text;
        const char *says;
    } wrong[] = {
        {"", "is empty"},
        {"[]", "is empty"},
        {"mon,", "unknown weekday \"\""},
        {",mon", "unknown weekday \"\""},
        {"tusday", "did you mean \"tuesday\"?"},
        {"feiertag", "write mon, tue"},
        {"weekend-mon", "from one day to another"},
        {"mon-", "unknown weekday"},
        {"mon wed", "unknown weekday \"mon wed\""},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        uint8_t got = 0;
        struct fault f = {0};
        if (weekdays_parse(str_of(rows[i].text), &got, &f) != OK)
            fail_msg("%s", f.text);
        assert_int_equal(got, rows[i].weekdays);
    }
    for (size_t i = 0; i < array_count(wrong); i++) {
        uint8_t got = 77;
        struct fault f = {0};
        assert_int_equal(weekdays_parse(str_of(wrong[i].text), &got, &f), FIX_INPUT);
        if (!strstr(f.text, wrong[i].says))
            fail_msg("\"%s\": %s", wrong[i].text, f.text);
        assert_int_equal(got, 77);
    }
    for (uint8_t weekdays = 1; weekdays <= WEEKDAYS_ALL; weekdays++) {
        char text[WEEKDAYS_BYTES];
        uint8_t got = 0;
        assert_int_equal(weekdays_parse(weekdays_print(weekdays, text), &got, NULL), OK);
        assert_int_equal(got, weekdays);
    }
    char text[WEEKDAYS_BYTES];
    assert_string_equal(weekdays_print(0x15, text).at, "mon, wed, fri");
    assert_string_equal(weekdays_print(0, text).at, "never");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("3d is 72 hours, and parts add up", reads_fixed),
        TEST("a day, a week and a month are the calendar's", reads_calendar),
        TEST("what is no span is refused with what to write instead", advises),
        TEST("an offset may have a sign", reads_signs),
        TEST("a printed span reads back as the same", prints_back),
        TEST("a day later is the same time on the wall, 24 hours later is not", adds),
        TEST("a sliding window forgets what is as old as it is long", slides),
        TEST("a calendar window begins and ends with days, weeks and months on the wall",
             windows_agree),
        TEST("times of day are read and print back", reads_clocks),
        TEST("weekdays are read by name, range and list, and print back", reads_weekdays),
    };

    return cmocka_run_group_tests_name("when/span", tests, NULL, NULL);
}
