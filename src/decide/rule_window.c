/* rule_window.c - quiet hours in the person's zone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/rule.h"
#include "when/window.h"

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
        struct window window = {
            .from_ms = (int32_t)(w->from_minute * MINUTE_MS),
            .to_ms = (int32_t)(w->until_minute * MINUTE_MS),
            .weekdays = w->weekdays ? w->weekdays : 0x7f,
        };
        struct window_answer quiet = window_ask(&window, person_zone(q->who), q->at_ms);
        if (!quiet.is_inside) {
            if (answer.kind == ALLOW)
                answer.at_ms = min_of(answer.at_ms, quiet.until_ms);
            continue;
        }
        say(q, "quiet hours %.*s until %s", STR_ARG(w->text), moment(q, quiet.until_ms));
        int64_t until_ms = quiet.until_ms;
        if (answer.kind == NOT_BEFORE)
            until_ms = max_of(until_ms, answer.at_ms);
        answer = (struct answer){.kind = NOT_BEFORE, .at_ms = until_ms};
    }
    return answer;
}
