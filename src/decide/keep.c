/* keep.c - attempts of which two releases say different things: model/keep.h.
 *
 * What was granted may be with the customer, whatever this release would have done. Its intent stands as if
 * it had been granted here, under the same id, and in doubt: the lane says what follows. Where the intent is
 * with a provider's pool it is taken back first, and is in doubt when the pool has answered. Where there is
 * none, a line of the ledger remembers the message for caps, and the engine the decision: should the intent
 * come later, it is in doubt from the start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/desk_int.h"
#include "decide/errand.h"
#include "decide/listing.h"

#include "profile/identity.h"

const struct keep *keep_find(const struct person *who, uint64_t decision)
{
    return keep_among(who->kept, who->kept_count, &(struct keep){.decision = decision});
}

const struct keep *keep_find_errand(const struct person *who, const struct errand *x)
{
    return keep_among(
        who->kept, who->kept_count,
        &(struct keep){.decision = x->instance, .message = x->name, .is_errand = true});
}

const struct keep *keep_find_listing(const struct person *who, uint64_t decision)
{
    return keep_among(who->kept, who->kept_count,
                      &(struct keep){.decision = decision, .is_listing = true});
}

void keep_now(struct person *who, uint32_t place, const struct keep *k)
{
    struct intent *in = person_touch_intent(who, place);
    must(in->decision == k->decision);
    must(in->state != INTENT_QUEUED);
    uint32_t line = in->has_slot ? UINT32_MAX : ledger_find(who, in->decision);
    if (line != UINT32_MAX)
        person_drop_sent(who, line); /* the memory of it: it gets a slot of its own */
    in->attempt = (uint16_t)max_of(k->attempt, in->attempt);
    in->channel = k->channel;
    in->address = intent_address(who, (enum channel)k->channel);
    in->is_ghost = false;
    in->ending = OUTCOME_NONE;
    in->granted_ms = who->now_ms;
    in->state = INTENT_GRANTED;
    ledger_take(who, in, SENT_RESERVED);
    must(in->has_slot);
    struct sent *own = person_touch_sent(who, ledger_find(who, in->decision));
    must(own->state != SENT_GHOST);
    if (own->state == SENT_RESERVED) {
        own->state = SENT_SPENT;
        own->at_ms = min_of(k->granted_ms, who->now_ms);
        ledger_note(who, RESULT_SPENT, in);
    }
    if (who->plan->budget_count > 0)
        person_send(who, (struct stage_message){.kind = TO_BUDGET_TAKE,
                                                .channel = in->channel,
                                                .lane = in->lane,
                                                .plan = in->plan,
                                                .message_index = in->message_index,
                                                .journey = in->journey,
                                                .provider = intent_provider(who, in),
                                                .decision = in->decision});
    person_note_about(who, in->journey, in->message,
                      "message %.*s: another release granted attempt %u; it is in doubt",
                      STR_ARG(names_text(who->names, in->message)), in->attempt);
    intent_doubt(who, place);
}

/* Nobody wants it here, or not yet: caps count it all the same. */
static void remember(struct person *who, const struct keep *k)
{
    const struct plan *plan = who->plan;
    uint16_t message = plan_message_find(plan, k->message);
    uint16_t journey = plan_journey_find(plan, k->journey);
    if (message == PLAN_NO_INDEX || ledger_find(who, k->decision) != UINT32_MAX)
        return;
    must(message < plan->message_count);
    const struct plan_message *m = &plan->messages[message];
    uint16_t group = journey == PLAN_NO_INDEX ? PLAN_NO_INDEX : plan->journeys[journey].group;
    if (who->profile->ledger.count >= PROFILE_LEDGER_MAX)
        ledger_make_room(who);
    must(who->profile->ledger.count < PROFILE_LEDGER_MAX);
    struct sent *line = person_push_sent(who);
    must(line != NULL);
    *line = (struct sent){
        .decision = k->decision,
        .at_ms = min_of(k->granted_ms, who->now_ms),
        .message = k->message,
        .category = plan->categories[m->category].name,
        .channel = k->channel,
        .lane = plan->categories[m->category].lane,
        .state = SENT_SPENT,
        .flags = SENT_DOUBTED | SENT_ACCEPTED,
    };
    sent_set_more(who->space, line,
                  &(struct sent_more){
                      .address = intent_address(who, (enum channel)k->channel),
                      .content_key = m->content_key,
                      .group = group == PLAN_NO_INDEX ? NAME_NONE : plan->groups[group].name,
                      .journey = k->journey,
                  });
    person_changed_name(who, k->message);
    who->is_desk_due = true;
    person_note_about(
        who, k->journey, k->message,
        "message %.*s: another release granted attempt %u; it is in doubt, and counts",
        STR_ARG(names_text(who->names, k->message)), k->attempt);
    person_result(who, (struct result){.kind = RESULT_DECIDED,
                                       .how = OUTCOME_IN_DOUBT,
                                       .journey = k->journey,
                                       .message = k->message,
                                       .id = k->decision,
                                       .number = k->granted_ms});
}

static void keep(struct person *who, const struct keep *k)
{
    uint32_t place = intent_find(who, k->decision);
    if (place == UINT32_MAX) {
        remember(who, k);
        return;
    }
    struct intent *in = person_touch_intent(who, place);
    switch ((enum intent_state)in->state) {
    case INTENT_SETTLING:
    case INTENT_PLANNED:
    case INTENT_DEFERRED: keep_now(who, place, k); return;
    case INTENT_QUEUED:
    case INTENT_REVOKING:
        intent_revoke(who, in, OUTCOME_IN_DOUBT);
        in->ending = OUTCOME_IN_DOUBT;
        return;
    case INTENT_GRANTED: /* under the same id or a later one: what becomes of it is still to come */
    case INTENT_WATCHED:
    case INTENT_IN_DOUBT: return;
    }
}

/* It was never given to a provider: the slot is free, the connection too, and it is asked again. */
static void undo(struct person *who, const struct keep *k)
{
    uint32_t place = intent_find(who, k->decision);
    struct intent *in = place == UINT32_MAX ? NULL : person_touch_intent(who, place);
    if (in == NULL || in->state != INTENT_GRANTED || in->attempt != k->attempt)
        return;
    pool_free(who, in->channel, intent_provider(who, in), in->decision);
    must(in->has_slot);
    ledger_return(who, in);
    intent_settle_charge(who, in->decision, false);
    in->state = INTENT_DEFERRED;
    in->rule = RULE_POOL;
    in->not_before_ms = FOREVER_MS;
    who->is_desk_due = true;
    if (in->ending != OUTCOME_NONE)
        intent_finish(who, place, (enum outcome)in->ending, RULE_WANTED);
}

void desk_keep(struct person *who, const struct keep *k)
{
    who->is_touched = true;
    if (k->is_listing)
        listings_keep(who, k);
    else if (k->is_errand)
        errands_keep(who, k);
    else if (k->kind == RELEASE_KEPT)
        keep(who, k);
    else
        undo(who, k);
}
