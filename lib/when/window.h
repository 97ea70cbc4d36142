/* window.h - hours of the day in which something holds: quiet hours, send windows, contact hours.
 *
 * A window is a reading of the clock on the wall, nothing else: an instant is inside if the clock
 * of the zone shows a time inside. So where the clock is put back, what it shows twice counts
 * twice, and where it is put forward, what it never shows does not happen; quiet hours are never
 * shorter than the person's own clock says.
 *
 *     from 21:00 to 08:00, starting on mon and tue
 *
 *       mon          tue          wed          thu
 *     --|--------[===|====)---[===|====)-------|-----
 *              21:00    08:00 21:00  08:00
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/fault.h"
#include "base/str.h"

struct zone;

struct window {
    int32_t from_ms;  /* time of day, 0 <= from_ms < DAY_MS; belongs to it */
    int32_t to_ms;    /* time of day, 0 <= to_ms <= DAY_MS; the first that no longer belongs to it.
                       * Not above from_ms: it is the next day's (equal: 24 hours on the clock) */
    uint8_t weekdays; /* on which it starts (span.h); WEEKDAYS_NONE: never */
};

/* The answer, and how long it holds. */
struct window_answer {
    bool is_inside;
    int64_t until_ms; /* later than the instant asked about; the answer is the same until then. At
                       * it the answer changes, or, in rare cases, it has to be asked again.
                       * FOREVER_MS: never changes */
};

/* Reads `from` and `to` (clock_parse) and `weekdays` (weekdays_parse; empty: daily) into *out.
 * FIX_INPUT with the sentence of the part that is wrong, or where the window starts at 24:00. */
enum status window_parse(struct str from, struct str to, struct str weekdays, struct window *out,
                         struct fault *f) mustuse;

/* Faults a window that breaks the rules of its fields (a programmer's error: must()). */
void window_check(const struct window *window);

/* Whether `at_ms` is inside `window` on the wall of `zone`, and until when that stays so. */
struct window_answer window_ask(const struct window *window, const struct zone *zone,
                                int64_t at_ms);

/* The first instant not before `at_ms` that is inside, or outside; FOREVER_MS if there is none. */
int64_t window_next_inside(const struct window *window, const struct zone *zone, int64_t at_ms);
int64_t window_next_outside(const struct window *window, const struct zone *zone, int64_t at_ms);

/* --- A person whose zone is not known --------------------------------------------------------- *
 *
 * We do not guess. The caller names the zones in which the person may live (those of the country,
 * of the programme's customers; not of the whole world, which is always asleep somewhere), and the
 * strictest of them decides: quiet hours hold as long as they hold in *any* of the zones, a send
 * window is open only while it is open in *every* one. With no zones at all, quiet hours always
 * hold and no send window is ever open. */

/* Inside if `window` is inside in at least one of the zones (quiet hours). */
struct window_answer window_ask_any(const struct window *window, const struct zone *const *zones,
                                    size_t count, int64_t at_ms);

/* Inside if `window` is inside in every one of the zones (send windows). */
struct window_answer window_ask_every(const struct window *window, const struct zone *const *zones,
                                      size_t count, int64_t at_ms);
