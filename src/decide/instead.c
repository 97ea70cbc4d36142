/* instead.c - another message in the place of one that waits (`instead`).
 *
 * Asked with rule 4, so at the decision and at every release. The intent becomes another one where it
 * stands: the first ends `replaced` and gives its slot back, the other has its age and its instance, does
 * not settle again, and is asked by every rule before anything below it is. It is not replaced again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/desk_int.h"

#include "profile/ask.h"

#define INSTEAD_SEED UINT64_C(0x696e7374656164)

uint32_t instead_ask(struct person *who, const struct intent *in, int64_t at_ms, int64_t *until_ms)
{
    *until_ms = FOREVER_MS;
    if (in->instead != 0 || in->follows != 0 || planted("instead-never"))
        return 0;
    const struct plan *plan = person_plan(who, in->plan);
    const struct plan_send *send = intent_send(who, in);
    for (uint32_t i = 0; i < send->instead_count; i++) {
        struct asked asked = ask_at(who, plan, &send->insteads[i].when, in->entry, at_ms);
        *until_ms = min_of(*until_ms, asked.until_ms);
        if (asked.is_true)
            return i + 1;
    }
    return 0;
}

bool instead_take(struct person *who, uint32_t place, uint32_t rule)
{
    struct intent *in = person_touch_intent(who, place);
    struct intent old = *in;
    int64_t until_ms;
    must(old.decision != 0);
    uint32_t number = instead_ask(who, &old, who->now_ms, &until_ms);
    who->is_desk_due = true;
    who->is_touched = true;
    if (old.instead != 0 || old.follows != 0 || old.fallback != 0)
        return false;
    in = person_touch_intent(who, place);
    if (number == 0) { /* no longer: it was being taken back meanwhile, and is wanted again */
        in->state = INTENT_DEFERRED;
        in->ending = OUTCOME_NONE;
        in->not_before_ms = FOREVER_MS;
        in->until_ms = FOREVER_MS;
        return true;
    }
    must(number <= intent_send(who, &old)->instead_count);
    const struct plan *plan = person_plan(who, old.plan);
    const struct plan_send *send = &intent_send(who, &old)->insteads[number - 1].send;
    must(send->message < plan->message_count);
    const struct plan_message *m = &plan->messages[send->message];
    must(m->category < plan->category_count);
    const struct plan_category *c = &plan->categories[m->category];
    uint8_t flags;
    uint64_t key;
    intent_instance(who, old.instance, &flags, &key);
    intent_settle_slot(who, &old, OUTCOME_REPLACED);
    intent_say_end(who, &old, OUTCOME_REPLACED, rule);
    in = person_touch_intent(who, place);
    put_off_forget(who->space, in);
    *in = (struct intent){
        .decision = hash_pair(old.decision, INSTEAD_SEED + number) | 1,
        .instance = old.instance,
        .message = m->name,
        .journey = old.journey,
        .plan = old.plan,
        .message_index = send->message,
        .journey_index = old.journey_index,
        .step = old.step,
        .state = INTENT_SETTLING,
        .lane = c->lane,
        .is_ghost = intent_is_ghost(who, (enum lane)c->lane, flags),
        .goes_on = old.goes_on,
        .journey_priority = old.journey_priority,
        .priority = m->priority,
        .created_ms = old.created_ms,
        .settle_ms = who->now_ms,
        .deadline_ms = who->now_ms + intent_valid_ms(send, m),
        .not_before_ms = FOREVER_MS,
        .until_ms = FOREVER_MS,
        .reach_ms = who->now_ms + send->wait_address_ms,
        .entry = old.entry,
        .instead = (uint8_t)number,
    };
    must(in->deadline_ms >= who->now_ms);
    must(in->decision != old.decision);
    intent_set_channels(who, in, send);
    intent_say_proposed(who, in);
    person_note_about(who, in->journey, in->message, "message %.*s: takes the place of %.*s",
                      STR_ARG(names_text(who->names, in->message)),
                      STR_ARG(names_text(who->names, old.message)));
    uint64_t decision = in->decision;
    person_changed_name(who, old.message);
    who->replaced(who, old.instance, old.decision, decision);
    return true;
}
