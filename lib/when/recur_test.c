/* What recur.h promises: against libical's cases, and against oracles that look at every second or
 * walk from the start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/recur.h"

#include <stdio.h>

#include "base/hash.h"
#include "when/span.h"
#include "when/zones_for_tests.h"

static struct recur rule_of(const char *text)
{
    struct recur rule;
    struct fault f = {0};

    if (recur_parse(str_of(text), &rule, &f) != OK)
        fail_msg("%s: %s", text, f.text);
    return rule;
}

static struct recur_start start_of(const char *text)
{
    struct recur_start start;

    if (!recur_start_parse(str_of(text), &start))
        fail_msg("no start: %s", text);
    return start;
}

/* The first occurrences, "2026-03-02T09:00:00 ...", as a list like libical's. */
static void list(const char *rule_text, const char *start_text, size_t most, char *out,
                 size_t out_bytes)
{
    struct recur rule = rule_of(rule_text);
    struct recur_start start = start_of(start_text);
    struct recur_walk w;
    int64_t wall_ms;
    size_t len = 0;
    bool is_utc = str_ends(str_of(start_text), STR("Z"));

    out[0] = '\0';
    recur_walk_init(&w, &rule, start);
    for (size_t n = 0; n < most && recur_walk_next(&w, &wall_ms); n++) {
        struct local l = local_at(wall_ms, 0);
        len += (size_t)snprintf(out + len, out_bytes - len, "%s%04d%02d%02d", n ? "," : "", l.year,
                                l.month, l.day);
        if (!start.is_date_only)
            len += (size_t)snprintf(out + len, out_bytes - len, "T%02d%02d%02d%s", l.hour, l.minute,
                                    l.second, is_utc ? "Z" : "");
        assert_true(len + 32 < out_bytes);
    }
}

/* --- libical's cases -------------------------------------------------------------------------- */

struct libical_case {
    char rule[1024];
    char start[32];
    char start_at[32];
    char instances[65536];
};

/* The case that libical itself does not do; the dates were counted by hand. */
static const char *instances_of(const struct libical_case *c)
{
    if (strstr(c->rule, "BYMONTH=12;BYMONTHDAY=30;BYWEEKNO=1"))
        return "20241230,20251230,20301230,20311230";
    return c->instances;
}

static void check_case(const struct libical_case *c)
{
    static char got[65536];
    const char *wanted = instances_of(c);

    list(c->rule, c->start, 2000, got, sizeof(got));
    if (strcmp(got, wanted) != 0)
        fail_msg("%s from %s:\n wanted %s\n got    %s", c->rule, c->start, wanted, got);
    if (c->start_at[0] == '\0')
        return;
    /* Asked for what comes at or after START-AT, the answer is in the list. */
    struct recur rule = rule_of(c->rule);
    int64_t from_ms = start_of(c->start_at).wall_ms;
    int64_t next_ms = recur_next_ms(&rule, start_of(c->start), zone_of_utc(), from_ms - 1);
    struct recur_walk w;
    int64_t wall_ms;
    recur_walk_init(&w, &rule, start_of(c->start));
    do
        assert_true(recur_walk_next(&w, &wall_ms));
    while (wall_ms < from_ms);
    assert_true(next_ms == wall_ms);
}

static bool take_line(const char *line, const char *name, char *out, size_t out_bytes)
{
    size_t len = strlen(name);

    if (strncmp(line, name, len) != 0)
        return false;
    snprintf(out, out_bytes, "%s", line + len);
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}

static void agrees_with_libical(void **state)
{
    (void)state;
    static struct libical_case c;
    static char line[65536];
    char command[1200];
    int cases = 0;

    snprintf(command, sizeof(command), "gzip -dc '%s/icalrecur_test.txt.gz'",
             test_data("rrule-libical"));
    FILE *file = popen(command, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (take_line(line, "RRULE:", c.rule, sizeof(c.rule)))
            c.start_at[0] = '\0';
        take_line(line, "DTSTART:", c.start, sizeof(c.start));
        take_line(line, "START-AT:", c.start_at, sizeof(c.start_at));
        if (take_line(line, "INSTANCES:", c.instances, sizeof(c.instances))) {
            check_case(&c);
            cases++;
        }
    }
    pclose(file);
    assert_int_equal(cases, 146);
}

/* --- Our own ---------------------------------------------------------------------------------- */

static void tells_examples(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        const char *start;
        const char *first;
    } rows[] = {
        {"FREQ=DAILY", "20260302T090000", "20260302T090000,20260303T090000,20260304T090000"},
        {"FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", "20260306", "20260306,20260309,20260310"},
        {"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "20260101", "20260130,20260227,20260331"},
        {"FREQ=MONTHLY", "20260131", "20260131,20260331,20260531"},
        {"FREQ=YEARLY", "20240229", "20240229,20280229,20320229"},
        {"FREQ=WEEKLY;BYDAY=MO,TH", "20260304T080000",
         "20260305T080000,20260309T080000,20260312T080000"},
        {"freq=daily;interval=2;", "20260101", "20260101,20260103,20260105"},
        {"RRULE:FREQ=DAILY;UNTIL=20260102", "20260101T230000", "20260101T230000,20260102T230000"},
        {"FREQ=DAILY;UNTIL=20260101T225959", "20260101T230000", ""},
        {"FREQ=HOURLY;BYMINUTE=30", "20260101T230000",
         "20260101T233000,20260102T003000,20260102T013000"},
        {"FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2", "20260101", ""},
        {"FREQ=MINUTELY;INTERVAL=60;BYMINUTE=5", "20260101T000000", ""},
        {"FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "20260101T000000", ""},
        {"FREQ=SECONDLY;BYMONTH=12;BYMONTHDAY=31;BYHOUR=23;BYMINUTE=59;BYSECOND=58,59",
         "20260101T000000", "20261231T235958,20261231T235959,20271231T235958"},
        {"FREQ=YEARLY;INTERVAL=5000", "20260101", "20260101,70260101"},
        {"FREQ=DAILY", "99991230", "99991230,99991231"},
        {"FREQ=HOURLY", "99991231T220000", "99991231T220000,99991231T230000"},
        {"FREQ=HOURLY;INTERVAL=12", "20260101", "20260101,20260101,20260102"},
    };
    char got[256];

    for (size_t i = 0; i < array_count(rows); i++) {
        list(rows[i].rule, rows[i].start, 3, got, sizeof(got));
        if (strcmp(got, rows[i].first) != 0)
            fail_msg("%s from %s:\n wanted %s\n got    %s", rows[i].rule, rows[i].start,
                     rows[i].first, got);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"", "FREQ is missing"},
        {"BYDAY=MO", "FREQ is missing"},
        {"FREQ=OFTEN", "it should be one of SECONDLY"},
        {"FREQ", "it should be one of SECONDLY"},
        {"FREQ=DAILY;FREQ=DAILY", "FREQ is there twice"},
        {"FREQ=DAILY;BYDAYS=MO", "did you mean \"BYDAY\"?"},
        {"FREQ=DAILY;WHATEVER=1", "it is like FREQ=WEEKLY"},
        {"FREQ=DAILY;COUNT=0", "a number from 1"},
        {"FREQ=DAILY;COUNT=100001", "a number from 1"},
        {"FREQ=DAILY;INTERVAL=0", "a number from 1"},
        {"FREQ=DAILY;INTERVAL=-1", "a number from 1"},
        {"FREQ=DAILY;COUNT=2;UNTIL=20260101", "do not go together"},
        {"FREQ=DAILY;UNTIL=20260230", "a date or time like"},
        {"FREQ=DAILY;UNTIL=2026-02-03", "a date or time like"},
        {"FREQ=DAILY;UNTIL=20260203T2500", "a date or time like"},
        {"FREQ=DAILY;BYHOUR=24", "numbers from 0 to 23"},
        {"FREQ=DAILY;BYHOUR=1,", "numbers from 0 to 23"},
        {"FREQ=DAILY;BYHOUR=", "numbers from 0 to 23"},
        {"FREQ=DAILY;BYHOUR=,1", "numbers from 0 to 23"},
        {"FREQ=DAILY;BYMINUTE=60", "numbers from 0 to 59"},
        {"FREQ=DAILY;BYSECOND=61", "numbers from 0 to 60"},
        {"FREQ=MONTHLY;BYMONTHDAY=0", "numbers from 1 to 31"},
        {"FREQ=MONTHLY;BYMONTHDAY=-32", "numbers from 1 to 31"},
        {"FREQ=YEARLY;BYYEARDAY=367", "numbers from 1 to 366"},
        {"FREQ=YEARLY;BYWEEKNO=54", "numbers from 1 to 53"},
        {"FREQ=YEARLY;BYMONTH=13", "numbers from 1 to 12"},
        {"FREQ=MONTHLY;BYDAY=XX", "weekdays like MO"},
        {"FREQ=MONTHLY;BYDAY=0MO", "weekdays like MO"},
        {"FREQ=MONTHLY;BYDAY=54MO", "weekdays like MO"},
        {"FREQ=MONTHLY;BYDAY=M", "weekdays like MO"},
        {"FREQ=MONTHLY;BYSETPOS=0;BYDAY=MO", "at most 64 numbers"},
        {"FREQ=WEEKLY;WKST=8", "one of MO"},
        {"FREQ=WEEKLY;BYMONTHDAY=1", "does not go with FREQ=WEEKLY"},
        {"FREQ=WEEKLY;BYDAY=1MO", "with FREQ=MONTHLY or YEARLY only"},
        {"FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "without BYWEEKNO"},
        {"FREQ=MONTHLY;BYWEEKNO=1", "with FREQ=YEARLY only"},
        {"FREQ=DAILY;BYYEARDAY=1", "does not go with FREQ=DAILY"},
    };
    static const char *const starts[] = {"",
                                         "2026",
                                         "20260230",
                                         "20260101T",
                                         "20260101T0900",
                                         "20260101 090000",
                                         "20260101T250000",
                                         "2026-01-01"};
    struct recur_start start;

    for (size_t i = 0; i < array_count(rows); i++) {
        struct recur rule = {.interval = 77};
        struct fault f = {0};
        if (recur_parse(str_of(rows[i].text), &rule, &f) != FIX_INPUT)
            fail_msg("took \"%s\"", rows[i].text);
        assert_int_equal(rule.interval, 77);
        if (!strstr(f.text, rows[i].says))
            fail_msg("\"%s\": %s", rows[i].text, f.text);
    }
    for (size_t i = 0; i < array_count(starts); i++)
        assert_false(recur_start_parse(str_of(starts[i]), &start));
}

static void takes_as_many_positions_as_stated(void **state)
{
    (void)state;
    char text[1024];
    size_t len = (size_t)snprintf(text, sizeof(text), "FREQ=YEARLY;BYDAY=MO,TU;BYSETPOS=1");
    struct recur rule;

    for (int n = 2; n <= RECUR_POSITIONS_MAX; n++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, ",%d", n);
    assert_int_equal(recur_parse(str_of(text), &rule, NULL), OK);
    snprintf(text + len, sizeof(text) - len, ",99");
    assert_int_equal(recur_parse(str_of(text), &rule, NULL), FIX_INPUT);
}

/* Appends one of `values` under `name`, sometimes. */
static void maybe(char *text, size_t bytes, uint64_t *seed, const char *name,
                  const char *const *values, size_t count)
{
    uint64_t r = hash_pair(++*seed, count);
    size_t len = strlen(text);

    if (r % 3 == 0)
        snprintf(text + len, bytes - len, ";%s=%s", name, values[r / 3 % count]);
}

#define MAYBE(name, ...)                                               \
    maybe(text, bytes, seed, name, (const char *const[]){__VA_ARGS__}, \
          array_count(((const char *const[]){__VA_ARGS__})))

static void some_rule(char *text, size_t bytes, uint64_t *seed)
{
    static const char *const units[] = {"HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"};
    const char *unit = units[hash_pair(++*seed, 3) % array_count(units)];

    snprintf(text, bytes, "FREQ=%s", unit);
    MAYBE("INTERVAL", "2", "3", "7", "25");
    MAYBE("BYMONTH", "1", "2,11", "3,10");
    MAYBE("BYHOUR", "0", "9,17", "1,2,3");
    MAYBE("BYMINUTE", "30", "0,20,40");
    MAYBE("WKST", "SU", "WE");
    if (strcmp(unit, "MONTHLY") == 0 || strcmp(unit, "YEARLY") == 0)
        MAYBE("BYDAY", "MO", "1FR", "-1SU,2MO", "SA,SU");
    else
        MAYBE("BYDAY", "MO", "TU,TH", "SA,SU");
    if (strcmp(unit, "WEEKLY") != 0)
        MAYBE("BYMONTHDAY", "1", "-1", "13,14,15,16");
    if (strcmp(unit, "HOURLY") == 0 || strcmp(unit, "YEARLY") == 0)
        MAYBE("BYYEARDAY", "1,100,-1", "59,60,61");
    MAYBE("BYSETPOS", "1", "-1", "2,-2");
}

/* Asked from anywhere, the next occurrence is that of a walk from the start. */
static void seeks(void **state)
{
    (void)state;
    uint64_t seed = 7;
    size_t found = 0;

    for (int n = 0; n < 600; n++) {
        char text[256];
        some_rule(text, sizeof(text), &seed);
        if (n % 20 == 0) /* weeks, days of which lie in the year before or after theirs */
            snprintf(text, sizeof(text), "FREQ=YEARLY;BYWEEKNO=1,52,53;BYDAY=MO,TU,SA,SU");
        struct recur rule = rule_of(text);
        struct recur_start start = {ms_of("2026-01-03T01:30"), false};
        start.wall_ms += (int64_t)(hash_pair(++seed, 1) % 700) * DAY_MS;
        struct recur_walk w;
        int64_t wall_ms;
        int64_t before_ms = start.wall_ms - 1;
        recur_walk_init(&w, &rule, start);
        for (int i = 0; i < 40 && recur_walk_next(&w, &wall_ms); i++) {
            assert_true(wall_ms > before_ms);
            int64_t between_ms =
                before_ms + (int64_t)(hash_pair(++seed, 2) % (uint64_t)(wall_ms - before_ms));
            const int64_t after[] = {before_ms, between_ms, wall_ms - 1};
            for (size_t k = 0; k < array_count(after); k++)
                if (recur_next_ms(&rule, start, zone_of_utc(), after[k]) != wall_ms)
                    fail_msg("%s: the occurrence after %lld", text, (long long)after[k]);
            before_ms = wall_ms;
            found++;
        }
    }
    assert_true(found > 10000);
}

/* Rules of hours, minutes and seconds, asked at each second of three days. */
static void agrees_each_second(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        int64_t unit_s;
        int64_t interval;
        int hour; /* -1: any */
        int minute;
        int second;
        uint8_t weekdays;
    } rows[] = {
        {"FREQ=SECONDLY;INTERVAL=7", 1, 7, -1, -1, -1, WEEKDAYS_ALL},
        {"FREQ=SECONDLY;INTERVAL=13;BYSECOND=5;BYDAY=SU", 1, 13, -1, -1, 5, 64},
        {"FREQ=SECONDLY;INTERVAL=61;BYHOUR=3;BYSECOND=17", 1, 61, 3, -1, 17, WEEKDAYS_ALL},
        {"FREQ=MINUTELY;INTERVAL=11", 60, 11, -1, -1, -2, WEEKDAYS_ALL},
        {"FREQ=MINUTELY;INTERVAL=7;BYHOUR=23;BYDAY=SA,SU", 60, 7, 23, -1, -2, WEEKDAYS_WEEKEND},
        {"FREQ=MINUTELY;BYMINUTE=0;BYSECOND=30", 60, 1, -1, 0, 30, WEEKDAYS_ALL},
        {"FREQ=HOURLY;INTERVAL=5", 3600, 5, -1, -2, -2, WEEKDAYS_ALL},
        {"FREQ=HOURLY;INTERVAL=5;BYMINUTE=15", 3600, 5, -1, 15, -2, WEEKDAYS_ALL},
    };
    int64_t start_s = ms_of("2026-03-07T10:20:41") / 1000; /* a Saturday */

    for (size_t i = 0; i < array_count(rows); i++) {
        struct recur rule = rule_of(rows[i].rule);
        struct recur_walk w;
        int64_t wall_ms;
        recur_walk_init(&w, &rule, (struct recur_start){start_s * 1000, false});
        for (int64_t s = start_s; s < start_s + 3 * 86400; s++) {
            struct local l = local_at(s * 1000, 0);
            int64_t periods = floor_div(s, rows[i].unit_s) - floor_div(start_s, rows[i].unit_s);
            int minute = rows[i].minute == -2 ? 20 : rows[i].minute;
            int second = rows[i].second == -2 ? 41 : rows[i].second;
            bool is_one =
                periods % rows[i].interval == 0 && (rows[i].hour == -1 || l.hour == rows[i].hour) &&
                (minute == -1 || l.minute == minute) && (second == -1 || l.second == second) &&
                weekdays_has(rows[i].weekdays, (enum weekday)l.weekday);
            if (!is_one)
                continue;
            assert_true(recur_walk_next(&w, &wall_ms));
            if (wall_ms != s * 1000)
                fail_msg("%s: wanted %lld, got %lld", rows[i].rule, (long long)s,
                         (long long)wall_ms / 1000);
        }
    }
}

static void keeps_the_wall(void **state)
{
    (void)state;
    struct zoneset *set = one_zone("GMT0BST,M3.5.0/1,M10.5.0");
    const struct zone *london = zoneset_zone(set, 0);
    struct recur daily = rule_of("FREQ=DAILY");
    struct recur_start nine = start_of("20260301T090000");
    struct recur_start night = start_of("20260301T013000");

    /* Nine is nine on both sides of a change. */
    assert_true(recur_next_ms(&daily, nine, london, ms_of("2026-03-28T09:00Z")) ==
                ms_of("2026-03-29T08:00Z"));
    assert_true(recur_next_ms(&daily, nine, london, ms_of("2026-10-24T08:00Z")) ==
                ms_of("2026-10-25T09:00Z"));
    /* What falls into the gap comes at its end; what comes twice counts once. */
    assert_true(recur_next_ms(&daily, night, london, ms_of("2026-03-28T01:30Z")) ==
                ms_of("2026-03-29T01:00Z"));
    assert_true(recur_next_ms(&daily, night, london, ms_of("2026-03-29T01:00Z")) ==
                ms_of("2026-03-30T00:30Z"));
    assert_true(recur_next_ms(&daily, night, london, ms_of("2026-10-25T00:30Z")) ==
                ms_of("2026-10-26T01:30Z"));
    /* UNTIL in UTC is an instant, without Z it is the wall's. */
    struct recur utc = rule_of("FREQ=DAILY;UNTIL=20260701T080000Z");
    struct recur wall = rule_of("FREQ=DAILY;UNTIL=20260701T080000");
    assert_true(recur_next_ms(&utc, nine, london, ms_of("2026-06-30T12:00Z")) ==
                ms_of("2026-07-01T08:00Z"));
    assert_true(recur_next_ms(&wall, nine, london, ms_of("2026-06-30T12:00Z")) == FOREVER_MS);
    assert_true(recur_next_ms(&utc, nine, london, ms_of("2026-07-01T08:00Z")) == FOREVER_MS);
    /* From before the start, and from the edges of time. */
    assert_true(recur_next_ms(&daily, nine, london, INT64_MIN) == ms_of("2026-03-01T09:00Z"));
    assert_true(recur_next_ms(&daily, nine, london, FOREVER_MS) == FOREVER_MS);
    assert_true(recur_next_ms(&daily, nine, london, TIMESTAMP_MAX_MS) == FOREVER_MS);
    struct recur thrice = rule_of("FREQ=DAILY;COUNT=3");
    assert_true(recur_next_ms(&thrice, nine, london, ms_of("2026-03-02T10:00Z")) ==
                ms_of("2026-03-03T09:00Z"));
    assert_true(recur_next_ms(&thrice, nine, london, ms_of("2026-03-03T10:00Z")) == FOREVER_MS);
    zoneset_free(set);
}

static void agrees_on_walls(void **state)
{
    (void)state;
    /* In zones with every oddity: the next instant is the least that the wall's list gives. */
    static const char *const texts[] = {"FREQ=DAILY", "FREQ=HOURLY", "FREQ=DAILY;BYHOUR=0,2,23",
                                        "FREQ=WEEKLY;BYDAY=SU;BYHOUR=0,1,2,3;BYMINUTE=0,30"};
    struct recur_start start = start_of("20260101T001500");

    for (size_t i = 0; i < array_count(odd_rules); i++) {
        struct zoneset *set = one_zone(odd_rules[i]);
        const struct zone *zone = zoneset_zone(set, 0);
        struct zone_stretch s = zone_stretch(zone, ms_of("2026-01-02"));
        for (int change = 0; change < 2 && s.until_ms != FOREVER_MS; change++) {
            for (int64_t more_ms = -30 * HOUR_MS; more_ms < 30 * HOUR_MS; more_ms += HOUR_MS / 3) {
                int64_t after_ms = s.until_ms + more_ms;
                struct recur rule = rule_of(texts[(size_t)(more_ms / (HOUR_MS / 3) + 90) % 4]);
                struct recur_walk w;
                int64_t wall_ms;
                recur_walk_init(&w, &rule, start);
                do
                    assert_true(recur_walk_next(&w, &wall_ms));
                while (zone_utc(zone, wall_ms) <= after_ms);
                assert_true(recur_next_ms(&rule, start, zone, after_ms) == zone_utc(zone, wall_ms));
            }
            s = zone_stretch(zone, s.until_ms);
        }
        zoneset_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("rules mean what the page says", tells_examples),
        TEST("all 146 of libical's rules give libical's occurrences", agrees_with_libical),
        TEST("a wrong rule is refused with a sentence", refuses),
        TEST("BYSETPOS takes as many numbers as stated and not one more",
             takes_as_many_positions_as_stated),
        TEST("asked from anywhere, the next occurrence is that of a walk from the start", seeks),
        TEST("hours, minutes and seconds agree with a look at every second", agrees_each_second),
        TEST("occurrences keep to the wall where the clock is changed", keeps_the_wall),
        TEST("and so they do around every kind of change", agrees_on_walls),
    };

    return cmocka_run_group_tests_name("when/recur", tests, NULL, NULL);
}
