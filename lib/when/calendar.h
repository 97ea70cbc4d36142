/* calendar.h - days on which something holds: holidays, blackouts, the week of a sale.
 *
 * A calendar is a list of stretches of local days. A day is one on the wall of the zone that is asked
 * about: from its first instant to before the first of the next, so 23 or 25 hours where the clock is
 * changed, and two pieces where it is put back over midnight.
 *
 *     "2026-12-25"                  one day
 *     "2026-11-23 to 2026-11-30"    from one day to another, both of them
 *     "12-25"                       a date of every year; 02-29 of leap years only
 *     "12-24 to 01-02"              a stretch of every year, over New Year if the second is earlier
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/fault.h"
#include "base/str.h"
#include "when/window.h"

struct calendar_days {
    bool is_yearly;
    int64_t from; /* day number (civil.h); yearly: month * 32 + day */
    int64_t to;   /* the last of them; yearly: may be below `from` */
};

/* Reads one stretch into *out; FIX_INPUT with the sentence. */
enum status calendar_days_parse(struct str text, struct calendar_days *out,
                                struct fault *f) mustuse;

/* Is the local day number `day` in one of the `count` stretches? */
bool calendar_has(const struct calendar_days *days, size_t count, int64_t day);

/* Is the local day at `at_ms` on the wall of `zone` in one of them, and until when is that so? The
 * moment is later than `at_ms`; the answer is the same until then. At it the answer changes, or has
 * to be asked again; FOREVER_MS where it never changes. */
struct window_answer calendar_ask(const struct calendar_days *days, size_t count,
                                  const struct zone *zone, int64_t at_ms);
