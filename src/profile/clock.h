/* clock.h - what the clock and the calendar on a person's wall say.
 *
 * Who has told no time zone may live in any of those that the programme names for that, and where a
 * calendar goes by regions, who has told no region may live in any of them: the strictest decides.
 * Quiet hours and days of a calendar hold while they do in any zone and region; hours in which
 * something is allowed hold while they do in every one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"
#include "when/window.h"

/* Are they quiet at `at_ms`: is the window inside in any zone? */
struct window_answer clock_quiet(struct person *who, const struct window *window, int64_t at_ms);

/* Is it allowed at `at_ms`: is the window inside in every zone? */
struct window_answer clock_open(struct person *who, const struct window *window, int64_t at_ms);

/* Is `at_ms` on a day of the calendar, in any zone and any region that may be theirs? */
struct window_answer clock_on_calendar(struct person *who, const struct plan_calendar *calendar,
                                       int64_t at_ms);
