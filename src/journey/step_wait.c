/* step_wait.c - waits for a time, an event or a condition, whichever comes first.
 *
 * A relative wait that a hold freezes is longer by what the freezing holds covered together
 * (holds_thawed). Holds keep their intervals, so the end can be reckoned anew at any time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"
#include "profile/ask.h"
#include "profile/holds.h"

int64_t wait_end(const struct step *s)
{
    const struct plan_wait *w = &s->means->wait;
    int64_t from_ms = s->at->step_ms, end_ms = from_ms + w->for_ms;
    if (w->for_days)
        end_ms = zone_add_days(person_zone(s->who), from_ms, (int32_t)w->for_days);
    else if (w->for_ms < 0)
        return FOREVER_MS;
    if (w->at_most_ms)
        end_ms = max_of(min_of(end_ms, s->at->wait_ms + w->at_most_ms), from_ms);
    return holds_thawed(s->who, from_ms, end_ms - from_ms);
}

bool wait_condition(struct step *s)
{
    const struct plan_wait *w = &s->means->wait;
    s->at->ask_ms = FOREVER_MS;
    if (w->until_if.code == NULL)
        return false;
    struct asked asked = ask(s->who, s->plan, &w->until_if, s->at->entry);
    s->at->ask_ms = asked.until_ms;
    if (asked.is_error)
        person_result(s->who, (struct result){.kind = RESULT_ERROR,
                                              .step = s->at->step,
                                              .journey = s->at->journey,
                                              .id = s->at->id});
    return asked.is_true;
}

enum step_answer step_wait_run(struct step *s)
{
    const struct plan_wait *w = &s->means->wait;
    struct instance *in = s->at;
    in->state = INSTANCE_WAITING;
    in->step_ms = in->wait_ms = s->who->at_ms;
    in->due_ms = wait_end(s);
    if (wait_condition(s))
        return STEP_GO;
    if (w->engaged_message != PLAN_NO_INDEX && in->flags & INSTANCE_IS_ENGAGED &&
        in->last_message == s->plan->messages[w->engaged_message].name)
        return STEP_GO;
    if (in->due_ms <= s->who->at_ms) {
        if (w->on_timeout != PLAN_NO_INDEX)
            s->next = w->on_timeout;
        return STEP_GO;
    }
    return STEP_STAYS;
}
