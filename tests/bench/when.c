/* when.c - what the desk asks of time for every message: offsets, calendars, windows, timers.
 *
 * One zone with a summer, instants all over a year, so that the branch predictor has something to
 * do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include "base/hash.h"
#include "os/clock.h"
#include "when/recur.h"
#include "when/span.h"
#include "when/timers.h"
#include "when/window.h"
#include "when/zone.h"

#define INSTANTS 4096

static int64_t at_ms[INSTANTS];

#define LOOP(loops, expression, say)                        \
    do {                                                    \
        uint64_t count = bench_count(loops), sum = 0;       \
        int64_t start_ns = os_clock_thread_ns();            \
        for (uint64_t i = 0; i < count; i++) {              \
            int64_t at = at_ms[i % INSTANTS];               \
            sum += (uint64_t)(expression);                  \
        }                                                   \
        int64_t spent_ns = os_clock_thread_ns() - start_ns; \
        say;                                                \
        bench_keep(sum);                                    \
    } while (0)

#define MEASURE(name, loops, expression) LOOP(loops, expression, bench_rate(name, count, spent_ns))
#define MEASURE_NS(name, loops, expression) \
    LOOP(loops, expression, bench_print(name, (double)spent_ns / (double)count, "ns"))

static void zones(const struct zone *zone)
{
    const struct window night = {21 * (int32_t)HOUR_MS, 8 * (int32_t)HOUR_MS, WEEKDAYS_ALL};
    const struct window mondays = {10 * (int32_t)HOUR_MS, 18 * (int32_t)HOUR_MS, 1 << MONDAY};
    const struct recur_start start = {1767225600000, false};
    struct recur rule;

    must(recur_parse(STR("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"), &rule, NULL) == OK);
    /* From UTC to all that the wall shows; and back, which looks for gaps and folds. */
    MEASURE_NS("zone_convert_ns", 20000000, zone_local(zone, at).day);
    MEASURE_NS("zone_convert_back_ns", 20000000, zone_utc(zone, at));
    MEASURE("zone_offset", 50000000, zone_offset_ms(zone, at));
    MEASURE("window_ask_daily", 10000000, window_ask(&night, zone, at).until_ms);
    MEASURE("window_ask_weekly", 5000000, window_ask(&mondays, zone, at).until_ms);
    MEASURE("recur_next_monthly", 1000000, recur_next_ms(&rule, start, zone, at));
}

/* 4,000 profiles: the first fires and is armed anew. */
static void timers(void)
{
    struct timers *t = timers_new();
    uint64_t count = bench_count(5000000);

    for (uint32_t node = 0; node < 4000; node++)
        timers_set(t, node, at_ms[node]);
    int64_t start_ns = os_clock_thread_ns();
    for (uint64_t i = 0; i < count;) {
        uint32_t due[TIMERS_TAKE_MIN];
        int64_t now_ms = timers_next(t);
        uint32_t taken = timers_take(t, now_ms, due, TIMERS_TAKE_MIN);
        for (uint32_t k = 0; k < taken; k++, i++)
            timers_set(t, due[k], now_ms + at_ms[i % INSTANTS] % DAY_MS);
    }
    bench_rate("timers_fire_and_arm", count, os_clock_thread_ns() - start_ns);
    bench_keep(timers_count(t));
    timers_free(t);
}

int main(void)
{
    struct zone_file file = {STR("Europe/London"), STR("GMT0BST,M3.5.0/1,M10.5.0")};
    struct zoneset *set;

    must(zoneset_build(STR("bench"), &file, 1, &set, NULL) == OK);
    for (uint64_t i = 0; i < INSTANTS; i++)
        at_ms[i] = 1767225600000 + (int64_t)(hash_pair(i, 1) % (uint64_t)(365 * DAY_MS));
    zones(zoneset_zone(set, 0));
    timers();
    zoneset_free(set);
    return 0;
}
