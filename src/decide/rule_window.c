/* rule_window.c - quiet hours in the person's zone, and days of a calendar.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/memory.h"
#include "profile/clock.h"

/* Quiet is where both the hours and the calendar's days are. */
static struct window_answer ask_quiet(const struct question *q, const struct plan_window *w)
{
    struct window window = {
        .from_ms = (int32_t)(w->from_minute * MINUTE_MS) + (planted("window-late") ? 1 : 0),
        .to_ms = (int32_t)(w->until_minute * MINUTE_MS) - (planted("window-early") ? 1 : 0),
        .weekdays = w->weekdays ? w->weekdays : 0x7f,
    };
    struct window_answer hours = clock_quiet(q->who, &window, q->at_ms);
    if (w->calendar == 0)
        return hours;
    must(w->calendar <= q->plan->calendar_count);
    struct window_answer days =
        clock_on_calendar(q->who, &q->plan->calendars[w->calendar - 1], q->at_ms);
    if (hours.is_inside && days.is_inside)
        return (struct window_answer){true, min_of(hours.until_ms, days.until_ms)};
    /* It cannot turn quiet before the last of those that are not has turned. */
    int64_t until_ms = hours.is_inside  ? days.until_ms
                       : days.is_inside ? hours.until_ms
                                        : max_of(hours.until_ms, days.until_ms);
    return (struct window_answer){false, until_ms};
}

struct answer rule_window_ask(const struct question *q)
{
    struct answer answer = ANSWER_ALLOW;
    for (uint32_t i = 0; i < q->plan->window_count; i++) {
        const struct plan_window *w = &q->plan->windows[i];
        if (w->channels && !(w->channels >> q->channel & 1))
            continue;
        bool is_meant = w->categories
                            ? q->category != PLAN_NO_INDEX && w->categories >> q->category & 1
                            : (q->lane_flags & LANE_WINDOWS) != 0;
        if (!is_meant)
            continue;
        const struct window_answer *kept = memory_window(q, w);
        struct window_answer quiet = kept != NULL ? *kept : ask_quiet(q, w);
        if (kept == NULL) {
            must(quiet.until_ms > q->at_ms); /* else the desk would ask about one moment for ever */
            memory_keep_window(q, w, quiet);
        }
        if (!quiet.is_inside) {
            if (answer.kind == ALLOW)
                answer.at_ms = min_of(answer.at_ms, quiet.until_ms);
            continue;
        }
        say(q, "quiet hours %.*s, where it is %s now, until %s", STR_ARG(w->text),
            moment(q, q->at_ms), moment(q, quiet.until_ms));
        blame(q, "the quiet hours %.*s", STR_ARG(w->text));
        int64_t until_ms = quiet.until_ms;
        if (answer.kind == NOT_BEFORE)
            until_ms = max_of(until_ms, answer.at_ms);
        answer = (struct answer){.kind = NOT_BEFORE, .at_ms = until_ms};
    }
    return answer;
}
