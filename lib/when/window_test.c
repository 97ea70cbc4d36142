/* What window.h promises, against a walk that reads the clock every minute.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/window.h"

#include "base/hash.h"
#include "when/span.h"
#include "when/zones_for_tests.h"

/* --- The oracle ------------------------------------------------------------------------------- */

/* Written the other way round than the room's: a window is a list of minutes of the week. */
static bool is_inside(const struct window *w, const struct zone *zone, int64_t at_ms)
{
    struct local l = zone_local(zone, at_ms);
    int64_t day_minutes = 24 * 60;
    int64_t minute = l.weekday * day_minutes + l.hour * 60 + l.minute;
    int64_t from = w->from_ms / MINUTE_MS;
    int64_t length = floor_mod(w->to_ms / MINUTE_MS - from, day_minutes);

    if (length == 0)
        length = day_minutes;
    for (int day = 0; day < 7; day++) {
        int64_t since = floor_mod(minute - (day * day_minutes + from), 7 * day_minutes);
        if (weekdays_has(w->weekdays, (enum weekday)day) && since < length)
            return true;
    }
    return false;
}

/* A window of whole minutes; narrow and wide ones, all sets of weekdays. */
static struct window some_window(uint64_t seed)
{
    static const uint8_t sets[] = {WEEKDAYS_ALL, WEEKDAYS_ALL, WEEKDAYS_WORK, WEEKDAYS_WEEKEND};
    uint64_t r = hash_pair(seed, 1);
    int32_t step = r % 2 ? 30 : 1;
    struct window w = {
        .from_ms = (int32_t)(r / 2 % 1440 / (uint64_t)step) * step * (int32_t)MINUTE_MS,
        .to_ms = (int32_t)(r / 4096 % 1441 / (uint64_t)step) * step * (int32_t)MINUTE_MS,
        .weekdays = sets[r / 10000000 % 4],
    };
    if (r % 5 == 0)
        w.weekdays = (uint8_t)(r / 100000000 % 128);
    if (r % 7 == 0)
        w.to_ms = w.from_ms;
    window_check(&w);
    return w;
}

typedef bool (*inside_fn)(const struct window *w, const void *zones, int64_t at_ms);

/* The answer holds at each minute before its end, and changes there. */
static void holds(const struct window *w, inside_fn inside, const void *zones, int64_t at_ms,
                  struct window_answer got)
{
    int64_t minute_ms = at_ms;
    int64_t limit_ms = at_ms + 9 * DAY_MS;

    assert_int_equal(got.is_inside, inside(w, zones, at_ms));
    assert_true(got.until_ms > at_ms);
    minute_ms = floor_div(at_ms, MINUTE_MS) * MINUTE_MS + MINUTE_MS;
    for (; minute_ms < min_of(got.until_ms, limit_ms); minute_ms += MINUTE_MS)
        assert_int_equal(inside(w, zones, minute_ms), got.is_inside);
    if (got.until_ms < limit_ms)
        assert_int_equal(inside(w, zones, got.until_ms), !got.is_inside);
}

static bool inside_one(const struct window *w, const void *zones, int64_t at_ms)
{
    return is_inside(w, zones, at_ms);
}

/* An instant near one of the two clock changes of 2026, or anywhere in it. */
static int64_t some_instant(const struct zone *zone, uint64_t seed)
{
    uint64_t r = hash_pair(seed, 2);
    int64_t at_ms = ms_of("2026-01-01") + (int64_t)(r / 8 % (365 * 1440)) * MINUTE_MS;
    struct zone_stretch s = zone_stretch(zone, at_ms);

    if (r % 4 == 0 && s.until_ms != FOREVER_MS)
        at_ms = s.until_ms + ((int64_t)(r / 8 % 4000) - 2000) * MINUTE_MS;
    return r % 3 == 0 ? at_ms + (int64_t)(r / 64 % 60000) : at_ms;
}

static void agrees(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(odd_rules); i++) {
        struct zoneset *set = one_zone(odd_rules[i]);
        const struct zone *zone = zoneset_zone(set, 0);
        for (uint64_t n = 0; n < 700; n++) {
            struct window w = some_window(hash_pair(i, n));
            int64_t at_ms = some_instant(zone, hash_pair(i, n));
            struct window_answer got = window_ask(&w, zone, at_ms);
            holds(&w, inside_one, zone, at_ms, got);
            assert_true(window_next_inside(&w, zone, at_ms) ==
                        (got.is_inside ? at_ms : got.until_ms));
            assert_true(window_next_outside(&w, zone, at_ms) ==
                        (got.is_inside ? got.until_ms : at_ms));
        }
        zoneset_free(set);
    }
}

/* --- Several zones ---------------------------------------------------------------------------- */

struct some_zones {
    const struct zone *at[4];
    size_t count;
};

static bool inside_any(const struct window *w, const void *zones, int64_t at_ms)
{
    const struct some_zones *z = zones;
    bool any = false;

    for (size_t i = 0; i < z->count; i++)
        any = any || is_inside(w, z->at[i], at_ms);
    return any;
}

static bool inside_every(const struct window *w, const void *zones, int64_t at_ms)
{
    const struct some_zones *z = zones;
    bool every = true;

    for (size_t i = 0; i < z->count; i++)
        every = every && is_inside(w, z->at[i], at_ms);
    return every;
}

static void asks_the_strictest(void **state)
{
    (void)state;
    static const char *const rules[] = {
        "GMT0BST,M3.5.0/1,M10.5.0",
        "EST5EDT,M3.2.0,M11.1.0",
        "JST-9",
        "<-03>3<-02>,M3.4.0/0,M10.4.0/0:30",
    };
    struct zoneset *sets[array_count(rules)];
    struct some_zones all = {.count = array_count(rules)};

    for (size_t i = 0; i < array_count(rules); i++) {
        sets[i] = one_zone(rules[i]);
        all.at[i] = zoneset_zone(sets[i], 0);
    }
    for (uint64_t n = 0; n < 1200; n++) {
        struct window w = some_window(n);
        struct some_zones some = all;
        some.count = 1 + n % 4;
        int64_t at_ms = some_instant(some.at[n / 4 % some.count], n);
        /* Where the answer stays the same for long, it may end early, but never late. */
        struct window_answer any = window_ask_any(&w, some.at, some.count, at_ms);
        struct window_answer every = window_ask_every(&w, some.at, some.count, at_ms);
        if (any.until_ms < at_ms + 9 * DAY_MS &&
            inside_any(&w, &some, any.until_ms) == any.is_inside)
            any.until_ms = at_ms + 10 * DAY_MS;
        if (every.until_ms < at_ms + 9 * DAY_MS &&
            inside_every(&w, &some, every.until_ms) == every.is_inside)
            every.until_ms = at_ms + 10 * DAY_MS;
        holds(&w, inside_any, &some, at_ms, any);
        holds(&w, inside_every, &some, at_ms, every);
    }
    for (size_t i = 0; i < array_count(rules); i++)
        zoneset_free(sets[i]);
}

static void is_strict_without_zones(void **state)
{
    (void)state;
    struct window quiet = {21 * (int32_t)HOUR_MS, 8 * (int32_t)HOUR_MS, WEEKDAYS_ALL};

    assert_true(window_ask_any(&quiet, NULL, 0, 0).is_inside);
    assert_true(window_ask_any(&quiet, NULL, 0, 0).until_ms == FOREVER_MS);
    assert_false(window_ask_every(&quiet, NULL, 0, 0).is_inside);
    assert_true(window_ask_every(&quiet, NULL, 0, 0).until_ms == FOREVER_MS);
}

static void keeps_both_coasts_asleep(void **state)
{
    (void)state;
    struct zoneset *east = one_zone("EST5EDT,M3.2.0,M11.1.0");
    struct zoneset *west = one_zone("PST8PDT,M3.2.0,M11.1.0");
    const struct zone *zones[] = {zoneset_zone(east, 0), zoneset_zone(west, 0)};
    struct window quiet;

    assert_int_equal(window_parse(STR("21:00"), STR("08:00"), STR(""), &quiet, NULL), OK);
    /* From nine at night in New York until eight in the morning in Los Angeles. */
    struct window_answer got = window_ask_any(&quiet, zones, 2, ms_of("2026-01-15T02:30Z"));
    assert_true(got.is_inside);
    assert_true(got.until_ms == ms_of("2026-01-15T16:00Z"));
    got = window_ask_any(&quiet, zones, 2, ms_of("2026-01-15T17:00Z"));
    assert_false(got.is_inside);
    assert_true(got.until_ms == ms_of("2026-01-16T02:00Z"));
    zoneset_free(east);
    zoneset_free(west);
}

/* --- Examples --------------------------------------------------------------------------------- */

static void asks(const char *window, const struct zone *zone, const char *at, bool is_in,
                 const char *until)
{
    char from[16];
    char to[16];
    char days[32] = "";
    struct window w;
    struct fault f = {0};
    char text[TIMESTAMP_BYTES];

    assert_true(sscanf(window, "%15[0-9:]-%15[0-9:] %31[^\n]", from, to, days) >= 2);
    if (window_parse(str_of(from), str_of(to), str_of(days), &w, &f) != OK)
        fail_msg("%s", f.text);
    struct window_answer got = window_ask(&w, zone, ms_of(at));
    assert_int_equal(got.is_inside, is_in);
    if (got.until_ms != ms_of(until))
        fail_msg("%s at %s: until %s, wanted %s", window, at,
                 timestamp_print(got.until_ms, text).at, until);
}

static void tells_examples(void **state)
{
    (void)state;
    struct zoneset *set = one_zone("GMT0BST,M3.5.0/1,M10.5.0");
    const struct zone *london = zoneset_zone(set, 0);

    asks("21:00-08:00", london, "2026-01-15T20:59:59.999Z", false, "2026-01-15T21:00Z");
    asks("21:00-08:00", london, "2026-01-15T21:00Z", true, "2026-01-16T08:00Z");
    asks("21:00-08:00", london, "2026-01-16T08:00Z", false, "2026-01-16T21:00Z");
    asks("21:00-08:00", london, "2026-07-15T20:00Z", true, "2026-07-16T07:00Z");
    /* The night in spring is an hour shorter, the one in autumn an hour longer. */
    asks("21:00-08:00", london, "2026-03-28T21:00Z", true, "2026-03-29T07:00Z");
    asks("21:00-08:00", london, "2026-10-24T20:00Z", true, "2026-10-25T08:00Z");
    /* What ends inside the gap ends with it; what lies in it does not happen. */
    asks("21:00-01:30", london, "2026-03-28T22:00Z", true, "2026-03-29T01:00Z");
    asks("01:00-02:00", london, "2026-03-29T00:30Z", false, "2026-03-30T00:00Z");
    /* What the clock shows twice counts twice. */
    asks("00:00-01:30", london, "2026-10-25T00:00Z", true, "2026-10-25T00:30Z");
    asks("00:00-01:30", london, "2026-10-25T00:30Z", false, "2026-10-25T01:00Z");
    asks("00:00-01:30", london, "2026-10-25T01:00Z", true, "2026-10-25T01:30Z");
    /* Weekdays are those on which a window starts. */
    asks("10:00-18:00 weekday", london, "2026-03-06T18:00Z", false, "2026-03-09T10:00Z");
    asks("10:00-18:00 mon, wed, fri", london, "2026-03-04T17:00Z", true, "2026-03-04T18:00Z");
    asks("10:00-18:00 mon, wed, fri", london, "2026-03-04T18:00Z", false, "2026-03-06T10:00Z");
    asks("10:00-18:00 mon", london, "2026-03-03T00:00Z", false, "2026-03-09T10:00Z");
    asks("22:00-06:00 fri", london, "2026-03-07T05:00Z", true, "2026-03-07T06:00Z");
    asks("22:00-06:00 fri", london, "2026-03-06T05:00Z", false, "2026-03-06T22:00Z");
    asks("18:00-24:00", london, "2026-03-06T19:00Z", true, "2026-03-07T00:00Z");
    asks("00:00-24:00 sat", london, "2026-03-07T00:00Z", true, "2026-03-08T00:00Z");
    asks("09:00-09:00 sat", london, "2026-03-08T08:59Z", true, "2026-03-08T09:00Z");
    zoneset_free(set);
}

static void never_changes(void **state)
{
    (void)state;
    struct window w = {.from_ms = 0, .to_ms = (int32_t)DAY_MS, .weekdays = WEEKDAYS_ALL};
    const struct zone *utc = zone_of_utc();

    assert_true(window_ask(&w, utc, 0).is_inside);
    assert_true(window_ask(&w, utc, 0).until_ms == FOREVER_MS);
    assert_true(window_next_inside(&w, utc, 5) == 5);
    assert_true(window_next_outside(&w, utc, 5) == FOREVER_MS);
    w = (struct window){.from_ms = 9, .to_ms = 9, .weekdays = WEEKDAYS_ALL};
    assert_true(window_next_outside(&w, utc, 5) == FOREVER_MS);
    w.weekdays = WEEKDAYS_NONE;
    assert_false(window_ask(&w, utc, 0).is_inside);
    assert_true(window_next_inside(&w, utc, 5) == FOREVER_MS);
    assert_true(window_next_outside(&w, utc, 5) == 5);
}

static void stands_the_edge_of_time(void **state)
{
    (void)state;
    static const int64_t far[] = {INT64_MIN,        INT64_MIN + 1,  -(INT64_C(1) << 58),
                                  INT64_C(1) << 58, FOREVER_MS - 1, FOREVER_MS};
    struct zoneset *set = one_zone(odd_rules[5]);

    for (size_t i = 0; i < array_count(far); i++) {
        struct window w = some_window(i * 35 + 1);
        struct window_answer got = window_ask(&w, zoneset_zone(set, 0), far[i]);
        assert_true(got.until_ms > far[i] || got.until_ms == FOREVER_MS);
        assert_true(window_next_inside(&w, zoneset_zone(set, 0), far[i]) >= far[i]);
        assert_true(window_next_outside(&w, zoneset_zone(set, 0), far[i]) >= far[i]);
    }
    zoneset_free(set);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *weekdays;
        const char *says;
    } rows[] = {
        {"24:00", "08:00", "", "cannot start at 24:00"},
        {"21", "08:00", "", "\"21\" is no time of day"},
        {"21:00", "25:00", "", "\"25:00\" is no time of day"},
        {"21:00", "08:00", "monday, tusday", "did you mean \"tuesday\""},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct window w = {.from_ms = 7};
        struct fault f = {0};
        assert_int_equal(window_parse(str_of(rows[i].from), str_of(rows[i].to),
                                      str_of(rows[i].weekdays), &w, &f),
                         FIX_INPUT);
        assert_int_equal(w.from_ms, 7);
        if (!strstr(f.text, rows[i].says))
            fail_msg("row %zu: %s", i, f.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("quiet hours and send windows begin and end as the page says", tells_examples),
        TEST("a window that is always or never open says so", never_changes),
        TEST("inside, and until when, agrees with a clock read every minute", agrees),
        TEST("of several zones the strictest decides", asks_the_strictest),
        TEST("with coasts three hours apart, the night lasts three hours longer",
             keeps_both_coasts_asleep),
        TEST("with no zones at all nothing is sent", is_strict_without_zones),
        TEST("at the edge of time nothing breaks", stands_the_edge_of_time),
        TEST("a window with a wrong part is refused with a sentence", refuses),
    };

    return cmocka_run_group_tests_name("when/window", tests, NULL, NULL);
}
