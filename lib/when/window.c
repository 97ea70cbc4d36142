/* Inside, and until when.
 *
 * The wall is read in stretches of constant offset. Within one, the clock runs evenly, so the next
 * moment at which the answer can change is the next beginning or end of the window on the wall; and
 * where a stretch ends, the clock jumps and everything is read anew. Walking from one such moment
 * to the next until the answer differs gives its exact end. Two moments a day, at most eight days
 * until some weekday matters: a walk takes a handful of steps. A window that is always or never
 * inside is recognised beforehand; for anything else that stays the same for 32 steps (it takes a
 * clock that jumps over the window week after week), the walk stops and says "ask again then".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/window.h"

#include "when/span.h"
#include "when/zone_int.h"

#define STEPS_MAX 32 /* more than two a day for two weeks */

enum status window_parse(struct str from, struct str to, struct str weekdays, struct window *out,
                         struct fault *f)
{
    struct window w = {.weekdays = WEEKDAYS_ALL};

    if (clock_parse(from, &w.from_ms, f) != OK || clock_parse(to, &w.to_ms, f) != OK)
        return FIX_INPUT;
    if (weekdays.len > 0 && weekdays_parse(weekdays, &w.weekdays, f) != OK)
        return FIX_INPUT;
    if (w.from_ms == DAY_MS) {
        fault_set(f, "a window cannot start at 24:00, which is the end of a day; write 00:00");
        return FIX_INPUT;
    }
    *out = w;
    return OK;
}

void window_check(const struct window *window)
{
    must(window->from_ms >= 0);
    must(window->from_ms < DAY_MS);
    must(window->to_ms >= 0);
    must(window->to_ms <= DAY_MS);
    must((window->weekdays & ~WEEKDAYS_ALL) == 0);
}

/* --- One window, one zone --------------------------------------------------------------------- */

static bool passes_midnight(const struct window *window)
{
    return window->to_ms <= window->from_ms;
}

static bool starts_on(const struct window *window, int64_t day)
{
    return weekdays_has(window->weekdays, civil_weekday(day));
}

static bool is_inside_at(const struct window *window, int64_t wall_ms)
{
    int64_t day = floor_div(wall_ms, DAY_MS);
    int64_t clock_ms = wall_ms - day * DAY_MS;

    if (!passes_midnight(window))
        return starts_on(window, day) && clock_ms >= window->from_ms && clock_ms < window->to_ms;
    return (starts_on(window, day) && clock_ms >= window->from_ms) ||
           (starts_on(window, day - 1) && clock_ms < window->to_ms);
}

/* Whether the answer is the same at all times. */
static bool is_constant(const struct window *window)
{
    bool is_whole_day =
        window->from_ms == window->to_ms || (window->from_ms == 0 && window->to_ms == DAY_MS);

    return window->weekdays == WEEKDAYS_NONE || (window->weekdays == WEEKDAYS_ALL && is_whole_day);
}

/* The next moment on the wall after `wall_ms` at which a window may begin or end. */
static int64_t next_bound(const struct window *window, int64_t wall_ms)
{
    int64_t day = floor_div(wall_ms, DAY_MS);
    int64_t clock_ms = wall_ms - day * DAY_MS;
    int32_t first = min_of(window->from_ms, window->to_ms);
    int32_t second = max_of(window->from_ms, window->to_ms);

    if (clock_ms < first)
        return day * DAY_MS + first;
    if (clock_ms < second)
        return day * DAY_MS + second;
    return (day + 1) * DAY_MS + first;
}

struct window_answer window_ask(const struct window *window, const struct zone *zone, int64_t at_ms)
{
    int64_t next_ms = max_of(-ZONE_EDGE_MS, min_of(at_ms, ZONE_EDGE_MS));
    struct zone_stretch s = zone_stretch(zone, next_ms);
    struct window_answer out = {is_inside_at(window, next_ms + s.offset_ms), FOREVER_MS};

    if (is_constant(window) || at_ms > ZONE_EDGE_MS)
        return out;
    for (int step = 0; step < STEPS_MAX; step++) {
        int64_t bound_ms = next_bound(window, next_ms + s.offset_ms) - s.offset_ms;
        if (bound_ms >= s.until_ms) {
            bound_ms = s.until_ms;
            s = zone_stretch(zone, bound_ms);
        }
        next_ms = bound_ms;
        if (is_inside_at(window, next_ms + s.offset_ms) != out.is_inside)
            break;
    }
    out.until_ms = next_ms;
    return out;
}

static int64_t next_with(const struct window *window, const struct zone *zone, int64_t at_ms,
                         bool is_inside)
{
    struct window_answer answer = window_ask(window, zone, at_ms);

    while (answer.is_inside != is_inside) {
        if (answer.until_ms == FOREVER_MS)
            return FOREVER_MS;
        at_ms = answer.until_ms;
        answer = window_ask(window, zone, at_ms);
    }
    return at_ms;
}

int64_t window_next_inside(const struct window *window, const struct zone *zone, int64_t at_ms)
{
    return next_with(window, zone, at_ms, true);
}

int64_t window_next_outside(const struct window *window, const struct zone *zone, int64_t at_ms)
{
    return next_with(window, zone, at_ms, false);
}

/* --- Several zones ---------------------------------------------------------------------------- *
 *
 * Both questions are one. "Is any zone at X?" with X = inside, or with X = outside for "every": all
 * are inside unless any is outside. While some zone is at X it stays so until its own answer ends;
 * the latest of these ends is a safe one. While none is, the earliest end is where one may turn. */

/* Whether any of the zones is at `wanted`, and a moment before which that cannot change. */
static struct window_answer ask_once(const struct window *window, const struct zone *const *zones,
                                     size_t count, int64_t at_ms, bool wanted)
{
    int64_t until_found_ms = INT64_MIN;
    int64_t until_none_ms = FOREVER_MS;

    for (size_t i = 0; i < count; i++) {
        struct window_answer answer = window_ask(window, zones[i], at_ms);
        if (answer.is_inside == wanted)
            until_found_ms = max_of(until_found_ms, answer.until_ms);
        else
            until_none_ms = min_of(until_none_ms, answer.until_ms);
    }
    if (until_found_ms != INT64_MIN)
        return (struct window_answer){true, until_found_ms};
    return (struct window_answer){false, until_none_ms};
}

/* The same, followed to where the answer really changes, as far as that is found in a few steps. */
static struct window_answer ask_any(const struct window *window, const struct zone *const *zones,
                                    size_t count, int64_t at_ms, bool wanted)
{
    struct window_answer first = ask_once(window, zones, count, at_ms, wanted);
    struct window_answer next = first;

    for (int step = 0; step < STEPS_MAX; step++) {
        if (next.until_ms == FOREVER_MS)
            return (struct window_answer){first.is_inside, FOREVER_MS};
        at_ms = next.until_ms;
        next = ask_once(window, zones, count, at_ms, wanted);
        if (next.is_inside != first.is_inside)
            break;
    }
    return (struct window_answer){first.is_inside, at_ms};
}

struct window_answer window_ask_any(const struct window *window, const struct zone *const *zones,
                                    size_t count, int64_t at_ms)
{
    if (count == 0)
        return (struct window_answer){true, FOREVER_MS};
    return ask_any(window, zones, count, at_ms, true);
}

struct window_answer window_ask_every(const struct window *window, const struct zone *const *zones,
                                      size_t count, int64_t at_ms)
{
    if (count == 0)
        return (struct window_answer){false, FOREVER_MS};
    struct window_answer outside = ask_any(window, zones, count, at_ms, false);
    return (struct window_answer){!outside.is_inside, outside.until_ms};
}
