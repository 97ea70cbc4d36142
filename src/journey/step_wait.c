/* step_wait.c - waits for a time, an event or a condition, whichever comes first.
 *
 * A relative wait that a hold freezes is longer by what the freezing holds covered together: nothing
 * is rewritten when a hold begins or ends, the sum is made when the wait would be over.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"
#include "profile/ask.h"
#include "profile/holds.h"

int64_t wait_end(struct person *who, const struct plan_wait *w, int64_t from_ms)
{
    if (w->for_days)
        return zone_add_days(person_zone(who), from_ms, (int32_t)w->for_days);
    if (w->for_ms < 0)
        return FOREVER_MS;
    return from_ms + w->for_ms;
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

bool wait_is_over(struct step *s)
{
    struct instance *in = s->at;
    int64_t end_ms = wait_end(s->who, &s->means->wait, in->step_ms);
    bool is_open;
    int64_t frozen_ms = holds_frozen(s->who, in->step_ms, s->who->at_ms, &is_open);
    if (frozen_ms == 0 && !is_open)
        return true;
    if (is_open) {
        in->due_ms = FOREVER_MS; /* journey_thaw() sets it when the hold is lifted */
        return false;
    }
    if (end_ms + frozen_ms <= s->who->at_ms)
        return true;
    in->due_ms = end_ms + frozen_ms;
    return false;
}

enum step_answer step_wait_run(struct step *s)
{
    const struct plan_wait *w = &s->means->wait;
    struct instance *in = s->at;
    in->state = INSTANCE_WAITING;
    in->step_ms = in->wait_ms = s->who->at_ms;
    in->due_ms = wait_end(s->who, w, s->who->at_ms);
    if (wait_condition(s))
        return STEP_GO;
    if (w->engaged_message != PLAN_NO_INDEX && in->flags & INSTANCE_IS_ENGAGED &&
        in->last_message == s->plan->messages[w->engaged_message].name)
        return STEP_GO;
    if (in->due_ms <= s->who->at_ms && wait_is_over(s)) {
        if (w->on_timeout != PLAN_NO_INDEX)
            s->next = w->on_timeout;
        return STEP_GO;
    }
    return STEP_STAYS;
}
