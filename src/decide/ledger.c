/* ledger.c - what a person was sent or will be: one line a message, which is its slot in every cap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/desk_int.h"

#include "profile/choices.h"

uint32_t ledger_find(const struct person *who, uint64_t decision)
{
    for (uint32_t i = who->profile->ledger.count; i-- > 0;)
        if (person_sent(who, i)->decision == decision)
            return i;
    return UINT32_MAX;
}

void ledger_note(struct person *who, enum result_kind kind, const struct intent *in)
{
    must(in->decision != 0);
    person_result(who, (struct result){.kind = (uint8_t)kind,
                                       .how = in->channel,
                                       .journey = in->journey,
                                       .message = in->message,
                                       .id = in->decision});
}

void ledger_make_room(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->ledger.count; i++) {
        if (intent_find(who, person_sent(who, i)->decision) != UINT32_MAX)
            continue;
        person_drop_sent(who, i);
        return;
    }
    must(!"a ledger of pending intents only: PROFILE_LEDGER_MAX > PROFILE_UNITED_MAX");
}

_Static_assert(PROFILE_LEDGER_MAX > PROFILE_UNITED_MAX, "a line without an intent can go");

struct sent *ledger_push(struct person *who, const struct intent *in, enum sent_state state)
{
    const struct plan *plan = person_plan(who, in->plan);
    must(in->message_index < plan->message_count);
    const struct plan_message *m = &plan->messages[in->message_index];
    must(in->journey_index < plan->journey_count);
    const struct plan_journey *j = &plan->journeys[in->journey_index];
    must(m->category < plan->category_count);
    struct sent *line = person_push_sent(who);
    if (line == NULL)
        return NULL;
    *line = (struct sent){
        .decision = in->decision,
        .at_ms = who->now_ms,
        .message = in->message,
        .category = plan->categories[m->category].name,
        .channel = in->channel,
        .lane = in->lane,
        .state = (uint8_t)state,
    };
    sent_set_more(who->space, line,
                  &(struct sent_more){
                      .instance = in->instance,
                      .together = in->together,
                      .address = in->address,
                      .content_key = m->content_key,
                      .group = j->group == PLAN_NO_INDEX ? NAME_NONE : plan->groups[j->group].name,
                      .journey = in->journey,
                  });
    return line;
}

void ledger_take(struct person *who, struct intent *in, enum sent_state state)
{
    must(state == SENT_RESERVED || state == SENT_GHOST);
    must((state == SENT_GHOST) == (in->is_ghost != 0));
    if (in->has_slot) { /* an earlier attempt's: it only moves to the new channel */
        uint32_t place = ledger_find(who, in->decision);
        must(place != UINT32_MAX);
        struct sent *own = person_touch_sent(who, place);
        must(own->state == SENT_RESERVED || own->state == SENT_SPENT);
        bool is_other = own->channel != in->channel;
        own->channel = in->channel;
        struct sent_more more = *person_sent_more(who, own);
        more.address = in->address;
        sent_set_more(who->space, own, &more);
        if (is_other && own->state == SENT_SPENT) { /* its caps see it from now on */
            own->state = SENT_RESERVED;
            ledger_note(who, RESULT_RESERVED, in);
        }
        return;
    }
    if (who->profile->ledger.count >= PROFILE_LEDGER_MAX)
        ledger_make_room(who);
    must(who->profile->ledger.count < PROFILE_LEDGER_MAX);
    struct sent *line = ledger_push(who, in, state);
    must(line != NULL);
    in->has_slot = state == SENT_RESERVED;
    if (state == SENT_RESERVED)
        ledger_note(who, RESULT_RESERVED, in);
}

void ledger_return(struct person *who, struct intent *in)
{
    if (!in->has_slot)
        return;
    uint32_t place = ledger_find(who, in->decision);
    must(place != UINT32_MAX);
    must(person_sent(who, place)->state == SENT_RESERVED ||
         person_sent(who, place)->state == SENT_SPENT);
    if (!planted("slot-kept"))
        person_drop_sent(who, place);
    in->has_slot = false;
    ledger_note(who, RESULT_RETURNED, in);
    who->is_desk_due = true;
}

void ledger_keep(struct person *who, const struct intent *in)
{
    uint32_t place = ledger_find(who, in->decision);
    must(place != UINT32_MAX);
    struct sent *line = person_touch_sent(who, place);
    if (line->state != SENT_RESERVED)
        return;
    line->state = SENT_SPENT;
    line->channel = CHANNEL_NONE;
    ledger_note(who, RESULT_SPENT, in);
}

void ledger_leave_channel(struct person *who, const struct intent *in)
{
    uint32_t place = in->has_slot ? ledger_find(who, in->decision) : UINT32_MAX;
    if (place == UINT32_MAX)
        return;
    person_touch_sent(who, place)->channel = CHANNEL_NONE;
    who->is_desk_due = true;
}

void ledger_back(struct person *who, struct intent *in)
{
    uint32_t line = ledger_find(who, in->decision);
    if (line == UINT32_MAX || person_sent(who, line)->state != SENT_RESERVED)
        return;
    if (in->fallback != 0)
        ledger_keep(who, in);
    else
        ledger_return(who, in);
}

void ledger_accept(struct person *who, uint64_t decision)
{
    uint32_t place = ledger_find(who, decision);
    if (place == UINT32_MAX)
        return;
    struct sent *line = person_touch_sent(who, place);
    must(line->state != SENT_GHOST); /* nothing of those who are held out went out */
    line->flags |= SENT_ACCEPTED;
    struct sent_more more = *person_sent_more(who, line);
    if (brief_ms(more.accepted) == 0)
        more.accepted = brief_of(who->now_ms);
    sent_set_more(who->space, line, &more);
}

void ledger_deliver(struct person *who, uint32_t place)
{
    must(place < who->profile->ledger.count);
    struct sent *line = person_touch_sent(who, place);
    line->flags |= SENT_DELIVERED;
    struct sent_more more = *person_sent_more(who, line);
    if (brief_ms(more.delivered) == 0)
        more.delivered = brief_of(who->now_ms);
    sent_set_more(who->space, line, &more);
}

void ledger_mark(struct person *who, uint64_t decision, enum sent_flag flag)
{
    uint32_t place = ledger_find(who, decision);
    if (place != UINT32_MAX)
        person_touch_sent(who, place)->flags |= (uint8_t)flag;
}

void desk_touch(struct person *who)
{
    const struct record *r = who->event;
    must(r != NULL);
    uint64_t id = hash_pair(hash_pair(r->message_hash, (uint64_t)r->event_ms),
                            hash_pair(r->name, who->profile->ledger.count)) |
                  1;
    if (r->event_ms < who->now_ms - who->plan->ledger_ms || ledger_find(who, id) != UINT32_MAX)
        return;
    if (who->profile->ledger.count >= PROFILE_LEDGER_MAX)
        ledger_make_room(who);
    must(who->profile->ledger.count < PROFILE_LEDGER_MAX);
    struct sent *line = person_push_sent(who);
    must(line != NULL);
    *line = (struct sent){.decision = id,
                          .at_ms = min_of(r->event_ms, who->now_ms),
                          .message = r->name,
                          .lane = LANE_MARKETING,
                          .state = SENT_TOUCH};
    who->is_desk_due = true;
    person_changed_name(who, r->name);
}

void desk_forget(struct person *who)
{
    int64_t oldest_ms = who->now_ms - max_of(who->plan->ledger_ms, choices_ledger_ms(who));
    must(oldest_ms <= who->now_ms);
    for (uint32_t i = 0; i < who->profile->ledger.count;) {
        const struct sent *s = person_sent(who, i);
        if (s->at_ms < oldest_ms && intent_find(who, s->decision) == UINT32_MAX)
            person_drop_sent(who, i);
        else
            i++;
    }
}
