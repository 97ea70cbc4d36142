/* answer.c - what pool, address gate, providers and people answer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/desk_int.h"

#include "profile/consent.h"
#include "profile/holds.h"

#define AGAIN_MS        (30 * SECOND_MS) /* before an attempt in doubt is made again */
#define AGAIN_DOUBLINGS 7u

/* The channel that it waits for is of no use: on to the next, or the end. */
static void refuse_channel(struct person *who, uint32_t place, enum outcome reason, uint32_t rule)
{
    struct intent *in = person_touch_intent(who, place);
    bool has_more = false;
    if (in->ending != OUTCOME_NONE) { /* it was called off meanwhile */
        intent_finish(who, place, (enum outcome)in->ending, RULE_WANTED);
        return;
    }
    for (uint32_t i = 0; i < in->channel_count; i++) {
        if (in->channels[i] == in->channel)
            in->refused |= (uint8_t)(1u << i);
        else if (!(in->refused >> i & 1))
            has_more = true;
    }
    if (in->reason == OUTCOME_NONE)
        in->reason = (uint8_t)reason;
    if (!has_more) {
        intent_finish(who, place, (enum outcome)in->reason, rule);
        return;
    }
    in->state = INTENT_DEFERRED;
    in->rule = (uint8_t)rule;
    in->not_before_ms = in->until_ms = FOREVER_MS;
    who->is_desk_due = true;
}

void intent_suppress(struct person *who, uint32_t place, enum suppression how)
{
    const struct intent *in = person_intent(who, place);
    explain_gate(who, in, how, FOREVER_MS);
    if (how == SUPPRESSED_DUPLICATE) {
        intent_finish(who, place, in->ending ? (enum outcome)in->ending : OUTCOME_DUPLICATE,
                      RULE_ADDRESS);
        return;
    }
    bool is_no = how == SUPPRESSED_UNSUBSCRIBED || how == SUPPRESSED_COMPLAINT;
    refuse_channel(who, place, is_no ? OUTCOME_NO_CONSENT : OUTCOME_SUPPRESSED, RULE_ADDRESS);
}

void desk_answer(struct person *who, const struct stage_message *answer)
{
    uint32_t place = intent_find(who, answer->decision);
    if (place == UINT32_MAX)
        return;
    struct intent *in = person_touch_intent(who, place);
    who->is_touched = true;
    who->is_desk_due = true;
    switch ((enum stage_message_kind)answer->kind) {
    case BACK_GRANTED: {
        must(in->state == INTENT_QUEUED || in->state == INTENT_REVOKING);
        in->state = INTENT_GRANTED;
        in->attempt = answer->attempt;
        in->granted_ms = answer->at_ms;
        uint32_t line = ledger_find(who, in->decision);
        must(line != UINT32_MAX);
        if (person_sent(who, line)->state == SENT_RESERVED) {
            struct sent *s = person_touch_sent(who, line);
            s->state = SENT_SPENT;
            s->at_ms = answer->at_ms;
            ledger_note(who, RESULT_SPENT, in);
        }
        return;
    }
    case BACK_REVOKED:
    case BACK_LAPSED: {
        uint32_t line = ledger_find(who, in->decision);
        if (line != UINT32_MAX && person_sent(who, line)->state == SENT_RESERVED)
            ledger_return(who, in);
        in->state = INTENT_DEFERRED;
        in->not_before_ms = in->until_ms = FOREVER_MS;
        in->rule = RULE_POOL;
        if (in->ending != OUTCOME_NONE)
            intent_finish(who, place, (enum outcome)in->ending, RULE_WANTED);
        return;
    }
    case BACK_REFUSED: {
        uint32_t line = ledger_find(who, in->decision);
        if (line != UINT32_MAX && person_sent(who, line)->state == SENT_RESERVED)
            ledger_return(who, in);
        in->state = INTENT_DEFERRED;
        if (answer->how == SUPPRESSED_CAP && in->ending == OUTCOME_NONE) {
            if (answer->at_ms >= in->deadline_ms) {
                refuse_channel(who, place, OUTCOME_EXPIRED, RULE_ADDRESS);
                return;
            }
            in->rule = RULE_ADDRESS;
            in->not_before_ms = answer->at_ms;
            intent_note(who, in, OUTCOME_DEFERRED, RULE_ADDRESS, answer->at_ms);
            explain_gate(who, in, SUPPRESSED_CAP, answer->at_ms);
            return;
        }
        intent_suppress(who, place, (enum suppression)answer->how);
        return;
    }
    case TO_POOL_QUEUE:
    case TO_POOL_REVOKE:
    case TO_POOL_DONE:
    case TO_ADDRESS_SUPPRESS:
    case TO_ADDRESS_CLEAR: break;
    }
    must(!"an answer that is none");
}

/* The address is bad, whether or not it still is the person's. */
static void suppress_address(struct person *who, enum channel channel, struct id128 address)
{
    consent_note(who, (struct consent){.channel = (uint8_t)channel,
                                       .is_suppression = true,
                                       .address = address,
                                       .at_ms = who->now_ms});
    person_result(who, (struct result){.kind = RESULT_SUPPRESSED,
                                       .how = SUPPRESSED_BAD_ADDRESS,
                                       .step = (uint16_t)channel});
    person_send(who, (struct stage_message){.kind = TO_ADDRESS_SUPPRESS,
                                            .how = SUPPRESSED_BAD_ADDRESS,
                                            .channel = (uint8_t)channel,
                                            .address = address});
}

/* "5.1.1", "5.1.2", "5.1.10": the address is bad. Codes are three digits, or class*10000 + ... */
static bool is_hard_bounce(const struct receipt *r)
{
    return r->code == 550 || r->code == 511 || r->code == 521;
}

/* The attempt ended without acceptance, and no other will be made. */
static void fail(struct person *who, uint32_t place, enum outcome outcome, uint32_t rule)
{
    const struct intent *in = person_intent(who, place);
    bool is_called_off = in->ending != OUTCOME_NONE;
    intent_finish(who, place, is_called_off ? (enum outcome)in->ending : outcome,
                  is_called_off ? (uint32_t)RULE_WANTED : rule);
}

/* It turns out that an attempt in doubt was accepted: if the next one is not under way, it is not made. */
static void accept_late(struct person *who, uint32_t place)
{
    struct intent *in = person_touch_intent(who, place);
    switch ((enum intent_state)in->state) {
    case INTENT_SETTLING:
    case INTENT_DEFERRED:
        ledger_mark(who, in->decision, SENT_ACCEPTED);
        intent_finish(who, place, OUTCOME_SENT, RULE_NONE);
        return;
    case INTENT_QUEUED:
    case INTENT_REVOKING:
        ledger_mark(who, in->decision, SENT_ACCEPTED);
        in->ending = OUTCOME_NONE; /* whatever else it was to come to */
        intent_revoke(who, in, OUTCOME_SENT);
        in->ending = OUTCOME_SENT;
        return;
    case INTENT_GRANTED:
    case INTENT_IN_DOUBT: return;
    }
}

void desk_receipt(struct person *who, const struct receipt *r)
{
    uint32_t place = intent_find(who, r->decision);
    const struct intent *known = place == UINT32_MAX ? NULL : person_intent(who, place);
    uint32_t line = ledger_find(who, r->decision);
    const struct sent *sent = line == UINT32_MAX ? NULL : person_sent(who, line);
    person_result(who, (struct result){.kind = RESULT_RECEIPT,
                                       .how = (uint8_t)r->kind,
                                       .step = (uint16_t)r->attempt,
                                       .journey = known  ? known->journey
                                                  : sent ? sent->journey
                                                         : 0,
                                       .message = known  ? known->message
                                                  : sent ? sent->message
                                                         : 0,
                                       .id = r->decision,
                                       .number = r->code});
    who->is_touched = true;
    if (r->kind == RECEIPT_DELIVERED)
        ledger_mark(who, r->decision, SENT_DELIVERED);
    if (r->kind == RECEIPT_BOUNCED && sent != NULL && is_hard_bounce(r))
        suppress_address(who, (enum channel)sent->channel, sent->address);
    if (known == NULL || known->attempt != r->attempt || r->attempt == 0)
        return;
    if (known->state != INTENT_GRANTED && known->state != INTENT_IN_DOUBT) {
        if (r->kind == RECEIPT_ACCEPTED || r->kind == RECEIPT_DELIVERED)
            accept_late(who, place);
        return;
    }
    if (r->kind == RECEIPT_TEMPORARY)
        return;
    struct intent *in = person_touch_intent(who, place);
    bool was_in_doubt = in->state == INTENT_IN_DOUBT;
    if (!was_in_doubt)
        person_send(who, (struct stage_message){.kind = TO_POOL_DONE,
                                                .channel = in->channel,
                                                .provider = intent_provider(who, in),
                                                .decision = in->decision});
    switch (r->kind) {
    case RECEIPT_ACCEPTED:
    case RECEIPT_DELIVERED:
    case RECEIPT_BOUNCED:
        ledger_mark(who, r->decision, SENT_ACCEPTED);
        intent_finish(who, place, OUTCOME_SENT, RULE_NONE);
        return;
    case RECEIPT_IN_DOUBT:
        if (was_in_doubt)
            return;
        ledger_mark(who, r->decision, SENT_DOUBTED);
        if (lane_term((enum lane)in->lane)->attempts == AT_LEAST_ONCE) {
            /* The same slot, the next attempt, after a pause that doubles. */
            in->state = INTENT_DEFERRED;
            in->not_before_ms =
                who->now_ms + (AGAIN_MS << min_of(in->attempt - 1u, AGAIN_DOUBLINGS));
            in->rule = RULE_POOL;
            who->is_desk_due = true;
            return;
        }
        in->state = INTENT_IN_DOUBT;
        ledger_mark(who, r->decision, SENT_ACCEPTED);
        person_changed_name(who, in->message);
        intent_note(who, in, OUTCOME_IN_DOUBT, RULE_NONE, in->granted_ms);
        if (!in->goes_on)
            who->settled(who, in->instance, in->decision, in->step, OUTCOME_IN_DOUBT);
        return;
    case RECEIPT_REJECTED_ADDRESS:
        suppress_address(who, (enum channel)in->channel, in->address);
        refuse_channel(who, intent_find(who, r->decision), OUTCOME_FAILED, RULE_NONE);
        return;
    case RECEIPT_REJECTED_MESSAGE: refuse_channel(who, place, OUTCOME_FAILED, RULE_NONE); return;
    case RECEIPT_REJECTED_POLICY: fail(who, place, OUTCOME_FAILED, RULE_NONE); return;
    case RECEIPT_ABORTED: fail(who, place, OUTCOME_ABORTED, RULE_NONE); return;
    case RECEIPT_GAVE_UP:
        fail(who, place, in->deadline_ms <= who->now_ms ? OUTCOME_EXPIRED : OUTCOME_FAILED,
             RULE_POOL);
        return;
    case RECEIPT_TEMPORARY:
    case RECEIPT_KIND_END: break;
    }
}

void desk_engaged(struct person *who, uint64_t decision, enum engagement how)
{
    uint32_t line = ledger_find(who, decision);
    if (line == UINT32_MAX)
        return;
    struct sent s = *person_sent(who, line);
    person_result(who, (struct result){.kind = RESULT_ENGAGED,
                                       .how = (uint8_t)how,
                                       .journey = s.journey,
                                       .message = s.message,
                                       .id = decision});
    if (how == ENGAGED_COMPLAINED) {
        consent_note(who, (struct consent){
                              .channel = s.channel,
                              .purpose = NAME_MARKETING,
                              .source = who->event->source,
                              .address = s.address,
                              .at_ms = who->event->event_ms,
                          });
        holds_complaint(who, who->event->event_ms);
        return;
    }
    ledger_mark(who, decision, how == ENGAGED_CLICKED ? SENT_CLICKED : SENT_OPENED);
    person_changed_name(who, s.message);
    if (s.content_key != s.message) {
        for (uint32_t i = 0; i < who->profile->intents.count;) {
            const struct intent *in = person_intent(who, i);
            const struct plan_message *m = &person_plan(who, in->plan)->messages[in->message_index];
            bool is_same = m->content_key == s.content_key && in->decision != decision;
            if (!is_same || !intent_end(who, i, OUTCOME_CANCELLED))
                i++;
        }
    }
    who->engaged(who, s.instance, s.message);
}
