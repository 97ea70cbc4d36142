/* moment.h - when a wait is over: a moment as it is written (struct plan_moment) made an instant.
 *
 *     for: 2 days          base = the wait's beginning and two days ─┐
 *     date: traits.x       base = what the trait says, and offset   ─┼─► bent by `at`, `on`, hours
 *     at, on, from to      base = the wait's beginning              ─┘
 *
 * A moment is *of a day* where the calendar made it: calendar days, and dates that `at` gives a clock.
 * Then `at` is the clock of that day; else it is the next such clock.
 *
 * Nothing here knows the person: expressions are asked, and holds are reckoned, by the caller.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/plan.h"
#include "when/zone.h"

/* A date as it was said. */
struct moment_date {
    int64_t at_ms; /* UTC; on the wall if is_wall */
    bool is_wall;  /* said without an offset: on the clock of whoever it is about */
    bool is_day;   /* a day alone, or midnight in UTC: may mean a day */
};

/* Reads a date from what an expression gives: a time; a text in ISO 8601; a number, or a text of
 * digits, of unix seconds or milliseconds. False if it is none. */
bool moment_read(const struct value *value, struct moment_date *out) mustuse;

/* The literal date of `m`. */
struct moment_date moment_literal(const struct plan_moment *m);

/* Reads a length: a duration, or a text such as 3d or 2 days. False if it is none. A negative one is
 * none at all: 0. */
bool moment_length(const struct value *value, struct span *out) mustuse;

/* The instant of a MOMENT_DATE on the wall of `zone`: with its offset, and `at` and `on` where it has a
 * clock; hours are left to moment_bend(). */
int64_t moment_of_date(const struct plan_moment *m, struct moment_date date,
                       const struct zone *zone);

/* The same for `base_ms`, which is so long after the wait's beginning, or the beginning itself; is_of_day
 * if calendar days led there. */
int64_t moment_of_base(const struct plan_moment *m, const struct zone *zone, int64_t base_ms,
                       bool is_of_day);

/* at_ms moved to the next moment inside the hours of `m`, if it has any; FOREVER_MS stays what it is. */
int64_t moment_bend(const struct plan_moment *m, const struct zone *zone, int64_t at_ms);
