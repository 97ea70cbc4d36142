/* follow.c - intents that belong to another: the set of an `all_of`, the follow-up of a message.
 *
 *     all_of      one intent per channel     all name the set by the first one's decision (`together`)
 *     follow_up   PLANNED when the message went out; SETTLING when its time has come; `follows` names
 *                 the decision or the set whose message it follows
 *
 * A set is one send for the journey: it has settled when each of its intents has, and went out if one
 * of them did. In caps over all channels its lines are one slot (rule_cap.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/desk_int.h"

#define FOLLOW_SEED    UINT64_C(0x666f6c6c6f77)
#define IGNORED_MIN_MS (15 * MINUTE_MS) /* whoever is here when it comes in has not ignored it */

const struct plan_send *intent_send(const struct person *who, const struct intent *in)
{
    const struct plan *plan = person_plan(who, in->plan);
    const struct plan_send *send = &plan->journeys[in->journey_index].steps[in->step].send;
    if (in->instead != 0) {
        must(in->instead <= send->instead_count);
        return &send->insteads[in->instead - 1].send;
    }
    if (in->follows == 0)
        return send;
    must(send->follow_up != NULL);
    return &send->follow_up->send;
}

/* Does somebody still wait for what becomes of it? */
static bool is_open(const struct intent *in)
{
    return in->state != INTENT_IN_DOUBT && in->state != INTENT_WATCHED && in->fallback == 0;
}

/* What the set came to, when the last of it has come to `last`. */
static enum outcome outcome_of_set(const struct person *who, uint64_t together, enum outcome last)
{
    enum outcome outcome = last;
    for (uint32_t i = 0; i < who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(who, i);
        if (person_sent_more(who, s)->together != together)
            continue;
        if (s->flags & SENT_ACCEPTED)
            return OUTCOME_SENT;
        if (s->state == SENT_GHOST)
            outcome = OUTCOME_HELD_OUT;
    }
    return outcome;
}

void intent_tell(struct person *who, const struct intent *in, enum outcome outcome)
{
    uint64_t decision = in->decision;
    if (in->follows != 0)
        return;
    if (in->together != 0) {
        for (uint32_t i = 0; i < who->profile->intents.count; i++) {
            const struct intent *other = person_intent(who, i);
            if (other->together == in->together && other->decision != in->decision &&
                is_open(other))
                return;
        }
        decision = in->together;
        outcome = outcome_of_set(who, in->together, outcome);
    }
    who->settled(who, in->instance, decision, in->step, outcome);
}

/* ---- follow-ups --------------------------------------------------------------------------------- */

/* Has the person engaged with a message of the decision or set? */
static bool is_engaged(const struct person *who, uint64_t follows)
{
    for (uint32_t i = 0; i < who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(who, i);
        if ((s->decision == follows || person_sent_more(who, s)->together == follows) &&
            s->flags & (SENT_OPENED | SENT_CLICKED))
            return true;
    }
    return false;
}

void follow_plan(struct person *who, const struct intent *of)
{
    struct intent parent = *of;
    const struct plan_send *send = intent_send(who, &parent);
    const struct plan_follow_up *follow = send->follow_up;
    if (follow == NULL || parent.follows != 0)
        return;
    const struct plan *plan = person_plan(who, parent.plan);
    must(follow->send.message < plan->message_count);
    const struct plan_message *m = &plan->messages[follow->send.message];
    must(m->category < plan->category_count);
    const struct plan_category *c = &plan->categories[m->category];
    uint64_t follows = parent.together != 0 ? parent.together : parent.decision;
    uint64_t decision = hash_pair(follows, FOLLOW_SEED) | 1;
    bool is_known = intent_find(who, decision) != UINT32_MAX;
    uint8_t flags = parent.is_ghost ? INSTANCE_IS_GHOST : 0;
    if (is_known || ledger_find(who, decision) != UINT32_MAX || is_engaged(who, follows))
        return;
    struct intent *in =
        who->profile->intents.count < PROFILE_INTENTS_MAX ? person_push_intent(who) : NULL;
    struct intent made = {
        .decision = decision,
        .instance = parent.instance,
        .message = m->name,
        .journey = parent.journey,
        .plan = parent.plan,
        .message_index = follow->send.message,
        .journey_index = parent.journey_index,
        .step = parent.step,
        .state = INTENT_PLANNED,
        .lane = c->lane,
        .is_ghost = intent_is_ghost(who, (enum lane)c->lane, flags),
        .goes_on = true,
        .journey_priority = parent.journey_priority,
        .priority = m->priority,
        .created_ms = who->at_ms,
        .settle_ms = who->at_ms + follow->after_ms,
        .not_before_ms = FOREVER_MS,
        .follows = follows,
    };
    made.deadline_ms = made.settle_ms + intent_valid_ms(&follow->send, m);
    made.reach_ms = made.settle_ms + follow->send.wait_address_ms;
    must(made.settle_ms >= made.created_ms);
    must(made.deadline_ms >= made.settle_ms);
    intent_say_proposed(who, &made);
    if (in == NULL) {
        intent_note(who, &made, OUTCOME_ABORTED, RULE_NONE, who->at_ms);
        return;
    }
    intent_set_channels(who, &made, &follow->send);
    *in = made;
    struct blob entry = {0};
    blob_set(who->space, &entry, blob_at(who->space, parent.entry), parent.entry.bytes);
    person_touch_intent(who, who->profile->intents.count - 1u)->entry = entry;
    intent_note(who, &made, OUTCOME_DEFERRED, RULE_NONE, made.settle_ms);
    person_note_about(who, made.journey, made.message,
                      "message %.*s: planned as a follow-up, unless they engage first",
                      STR_ARG(names_text(who->names, made.message)));
    who->is_touched = true;
}

void follow_begin(struct person *who, uint32_t place)
{
    struct intent *in = person_touch_intent(who, place);
    must(in->state == INTENT_PLANNED);
    must(in->follows != 0);
    const struct plan *plan = person_plan(who, in->plan);
    const struct plan_message *m = &plan->messages[in->message_index];
    const struct plan_send *send = intent_send(who, in);
    bool settles = lane_term((enum lane)in->lane)->flags & LANE_SETTLE;
    in->state = INTENT_SETTLING;
    in->settle_ms = who->at_ms + (settles ? m->settle_ms : 0);
    in->deadline_ms = who->at_ms + intent_valid_ms(send, m);
    in->reach_ms = who->at_ms + send->wait_address_ms;
    who->is_desk_due = true;
    who->is_touched = true;
}

/* When the message that a follow-up follows was accepted; INT64_MAX: it was not. */
static int64_t accepted_ms(const struct person *who, uint64_t follows)
{
    int64_t first_ms = INT64_MAX;
    for (uint32_t i = 0; i < who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(who, i);
        const struct sent_more *more = person_sent_more(who, s);
        int64_t at_ms = brief_ms(more->accepted);
        if ((s->decision == follows || more->together == follows) && at_ms != 0)
            first_ms = min_of(first_ms, at_ms);
    }
    return first_ms;
}

void desk_seen(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        if (in->state != INTENT_PLANNED)
            continue;
        const struct plan *plan = person_plan(who, in->plan);
        const struct plan_step *step = &plan->journeys[in->journey_index].steps[in->step];
        must(in->follows != 0);
        int64_t from_ms = accepted_ms(who, in->follows);
        must(step->send.follow_up != NULL);
        if (!step->send.follow_up->is_sooner || from_ms == INT64_MAX ||
            who->event->event_ms < from_ms + IGNORED_MIN_MS)
            continue;
        person_note_about(who, in->journey, in->message,
                          "message %.*s: sooner, they came by and passed the first one over",
                          STR_ARG(names_text(who->names, in->message)));
        follow_begin(who, i);
    }
}

/* ---- engagement --------------------------------------------------------------------------------- */

void engaged_cancel(struct person *who, const struct sent *with)
{
    const struct sent_more more = *person_sent_more(who, with);
    uint64_t follows = more.together != 0 ? more.together : with->decision;
    must(with->decision != 0);
    bool has_key = more.content_key != with->message;
    for (uint32_t i = 0; i < who->profile->intents.count;) {
        const struct intent *in = person_intent(who, i);
        const struct plan_message *m = &person_plan(who, in->plan)->messages[in->message_index];
        const struct plan_send *send = intent_send(who, in);
        bool is_meant = (has_key || m->has_content_key) && m->content_key == more.content_key;
        is_meant |= in->follows != 0 && in->follows == follows;
        for (uint32_t k = 0; k < send->engaged_count && in->instance == more.instance; k++)
            is_meant |= send->engaged[k] == with->message;
        if (in->decision == with->decision || !is_meant || !intent_end(who, i, OUTCOME_CANCELLED))
            i++;
    }
}
