/* answer.c - what pool, address gate, providers and people answer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/desk_int.h"

#include "profile/consent.h"
#include "profile/habits.h"
#include "profile/holds.h"

#define AGAIN_MS         (30 * SECOND_MS) /* before an attempt in doubt is made again */
#define VOUCHER_AGAIN_MS (15 * MINUTE_MS) /* an empty pool is asked again */
#define AGAIN_DOUBLINGS  7u

/* A later stage sends it back, to come again: what it said of the channel stands until that moment. */
static void come_again(struct person *who, uint32_t place, enum put_off_why why, int64_t until_ms)
{
    struct intent *in = person_touch_intent(who, place);
    struct put_off said = {.until_ms = until_ms, .channel = in->channel, .why = (uint8_t)why};
    if (why == PUT_OFF_ADDRESS)
        said.about = (uint32_t)in->address.low;
    must(in->state == INTENT_DEFERRED);
    must(in->channel != CHANNEL_NONE);
    put_off_until(who, place, said);
    in->rule = put_off_rule(&said);
    in->not_before_ms = until_ms;
    explain_put_off(who, in, &said);
}

/* The channel that it waits for is of no use: on to the next, or the end. */
static void refuse_channel(struct person *who, uint32_t place, enum outcome reason, uint32_t rule)
{
    struct intent *in = person_touch_intent(who, place);
    bool has_more = false;
    if (intent_is_called_off(in)) {
        intent_finish(who, place, (enum outcome)in->ending, RULE_WANTED);
        return;
    }
    must(reason != OUTCOME_NONE);
    must(in->state != INTENT_QUEUED);
    must(in->state != INTENT_WATCHED);
    must(in->channel_count <= PLAN_CHANNELS_MAX);
    for (uint32_t i = 0; i < in->channel_count; i++) {
        if (in->channels[i] == in->channel)
            in->refused |= (uint8_t)(1u << i);
        else if (!(in->refused >> i & 1))
            has_more = true;
    }
    if (in->reason == OUTCOME_NONE)
        in->reason = (uint8_t)reason;
    if (rule == RULE_NONE && in->fallback == 0) /* an attempt failed */
        ledger_leave_channel(who, in);
    must(in->reason != OUTCOME_NONE);
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
    must(how != 0);
    explain_gate(who, in, how);
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
        must(answer->attempt > 0);
        in->state = INTENT_GRANTED;
        in->attempt = answer->attempt;
        in->granted_ms = answer->at_ms;
        if (intent_is_called_off(in)) /* while it was taken back from the pool */
            intent_send_recall(who, in);
        uint32_t line = ledger_find(who, in->decision);
        must(line != UINT32_MAX);
        must(in->has_slot);
        must(person_sent(who, line)->state != SENT_GHOST);
        if (person_sent(who, line)->state == SENT_RESERVED) {
            struct sent *s = person_touch_sent(who, line);
            s->state = SENT_SPENT;
            s->at_ms = answer->at_ms;
            ledger_note(who, RESULT_SPENT, in);
        }
        if (in->fallback == FALLBACK_TRIES)
            in->fallback = FALLBACK_TRIED;
        return;
    }
    case BACK_REVOKED:
    case BACK_LAPSED: {
        must(in->state == INTENT_QUEUED || in->state == INTENT_REVOKING);
        ledger_back(who, in);
        in->state = INTENT_DEFERRED;
        in->not_before_ms = in->until_ms = FOREVER_MS;
        in->rule = RULE_POOL;
        const struct keep *kept = keep_find(who, in->decision);
        if (in->ending == OUTCOME_IN_DOUBT && kept != NULL)
            keep_now(who, place, kept);
        else if (in->ending != OUTCOME_NONE)
            intent_finish(who, place, (enum outcome)in->ending, RULE_WANTED);
        return;
    }
    case BACK_REFUSED: {
        must(in->state == INTENT_QUEUED || in->state == INTENT_REVOKING);
        ledger_back(who, in);
        in->state = INTENT_DEFERRED;
        if (answer->how == SUPPRESSED_CAP && in->ending == OUTCOME_NONE) {
            if (answer->at_ms >= in->deadline_ms) {
                explain_put_off(who, in,
                                &(struct put_off){.until_ms = answer->at_ms,
                                                  .channel = in->channel,
                                                  .why = PUT_OFF_ADDRESS});
                refuse_channel(who, place, OUTCOME_EXPIRED, RULE_ADDRESS);
                return;
            }
            come_again(who, place, PUT_OFF_ADDRESS, answer->at_ms);
            intent_note(who, in, OUTCOME_DEFERRED, RULE_ADDRESS, answer->at_ms);
            return;
        }
        intent_suppress(who, place, (enum suppression)answer->how);
        return;
    }
    case BACK_EMPTY:
        must(in->state == INTENT_QUEUED || in->state == INTENT_REVOKING);
        ledger_back(who, in);
        in->state = INTENT_DEFERRED;
        if (in->ending != OUTCOME_NONE) {
            intent_finish(who, place, (enum outcome)in->ending, RULE_WANTED);
        } else if (answer->empty == VOUCHER_SKIP) {
            explain_empty(who, in);
            intent_finish(who, place, OUTCOME_NO_VOUCHER, RULE_POOL);
        } else {
            come_again(who, place, PUT_OFF_VOUCHER, who->now_ms + VOUCHER_AGAIN_MS);
            intent_note(who, in, OUTCOME_DEFERRED, RULE_POOL, in->not_before_ms);
        }
        return;
    case TO_VOUCHER_RETURN:
    case TO_VOUCHER_SPEND:
    case TO_BUDGET_RETURN:
    case TO_BUDGET_SPEND:
    case TO_BUDGET_TAKE:
    case TO_HOURS:
    case TO_RECALL:
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
                                       .bar = BAR_BAD,
                                       .address = address,
                                       .at_ms = who->now_ms});
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
    bool is_called_off = intent_is_called_off(in);
    intent_finish(who, place, is_called_off ? (enum outcome)in->ending : outcome,
                  is_called_off ? (uint32_t)RULE_WANTED : rule);
}

/* It went out. As long as a bounce may try the next channel it stays, told. */
static void accept(struct person *who, uint32_t place)
{
    ledger_accept(who, person_intent(who, place)->decision);
    follow_plan(who, person_intent(who, place));
    struct intent *in = person_touch_intent(who, place);
    must(in->state == INTENT_GRANTED || in->state == INTENT_IN_DOUBT);
    int64_t watch_ms =
        min_of(in->deadline_ms, who->now_ms + intent_send(who, in)->fallback_within_ms);
    bool has_more = false;
    for (uint32_t i = 0; i < in->channel_count; i++)
        has_more |= in->channels[i] != in->channel && !(in->refused >> i & 1);
    if (!has_more || watch_ms <= who->now_ms) {
        intent_finish(who, place, OUTCOME_SENT, RULE_NONE);
        return;
    }
    bool was_told = in->state == INTENT_IN_DOUBT || in->fallback != 0;
    in->state = INTENT_WATCHED;
    in->watch_ms = watch_ms;
    in->ending = OUTCOME_NONE;
    intent_note(who, in, OUTCOME_SENT, RULE_NONE, in->created_ms);
    person_note_about(who, in->journey, in->message,
                      "message %.*s: sent; a bounce within the next minutes tries another channel",
                      STR_ARG(names_text(who->names, in->message)));
    person_changed_name(who, in->message);
    who->is_touched = true;
    if (!was_told)
        intent_tell(who, in, OUTCOME_SENT);
}

/* It came back after it was accepted: the next channel, while there is time. */
static void fall_back(struct person *who, uint32_t place)
{
    struct intent *in = person_touch_intent(who, place);
    must(in->state == INTENT_WATCHED);
    if (in->watch_ms <= who->now_ms) {
        intent_forget(who, place);
        return;
    }
    for (uint32_t i = 0; i < in->channel_count; i++)
        if (in->channels[i] == in->channel)
            in->refused |= (uint8_t)(1u << i);
    person_result(who, (struct result){.kind = RESULT_REOPENED,
                                       .journey = in->journey,
                                       .message = in->message,
                                       .version = in->plan,
                                       .channel = in->channel,
                                       .id = in->decision});
    in->state = INTENT_DEFERRED;
    in->fallback = FALLBACK_TRIES;
    in->goes_on = true;
    in->reason = OUTCOME_BOUNCED;
    in->rule = RULE_NONE;
    in->not_before_ms = FOREVER_MS;
    intent_note(who, in, OUTCOME_DEFERRED, RULE_NONE, who->now_ms);
    person_note_about(who, in->journey, in->message,
                      "message %.*s: it bounced, the next channel is asked about",
                      STR_ARG(names_text(who->names, in->message)));
    who->is_desk_due = true;
    who->is_touched = true;
}

/* The provider refuses it for its own reasons: the one that it names as its fallback, in the same slot. */
static bool take_detour(struct person *who, uint32_t place)
{
    struct intent *in = person_touch_intent(who, place);
    must(in->state == INTENT_GRANTED || in->state == INTENT_IN_DOUBT);
    if (intent_is_called_off(in) || in->detours == PLAN_PROVIDERS_MAX)
        return false;
    in->detours++;
    if (intent_provider_on(who, in, (enum channel)in->channel) == PLAN_NO_INDEX) {
        in->detours--;
        return false;
    }
    in->state = INTENT_DEFERRED;
    in->rule = RULE_NONE;
    in->not_before_ms = FOREVER_MS;
    person_note_about(who, in->journey, in->message,
                      "message %.*s: refused by policy, goes to provider %.*s",
                      STR_ARG(names_text(who->names, in->message)),
                      STR_ARG(names_text(who->names, intent_provider(who, in))));
    who->is_desk_due = true;
    who->is_touched = true;
    return true;
}

/* It was recalled, and was not accepted: all rules are asked again, in the same slot. */
static void come_back(struct person *who, uint32_t place)
{
    struct intent *in = person_touch_intent(who, place);
    must(in->state == INTENT_GRANTED || in->state == INTENT_IN_DOUBT);
    must(in->deadline_ms > who->now_ms);
    in->state = INTENT_DEFERRED;
    in->ending = OUTCOME_NONE;
    in->rule = RULE_NONE;
    in->not_before_ms = in->until_ms = FOREVER_MS;
    who->is_desk_due = true;
    who->is_touched = true;
}

/* It turns out that an attempt in doubt was accepted: if the next one is not under way, it is not made. */
static void accept_late(struct person *who, uint32_t place)
{
    struct intent *in = person_touch_intent(who, place);
    switch ((enum intent_state)in->state) {
    case INTENT_SETTLING:
    case INTENT_DEFERRED:
        if (in->fallback != 0) /* that it was accepted is no news */
            return;
        ledger_accept(who, in->decision);
        follow_plan(who, in);
        intent_finish(who, place, OUTCOME_SENT, RULE_NONE);
        return;
    case INTENT_QUEUED:
    case INTENT_REVOKING:
        if (in->fallback != 0)
            return;
        ledger_accept(who, in->decision);
        follow_plan(who, in);
        in = person_touch_intent(who, place);
        in->ending = OUTCOME_NONE; /* whatever else it was to come to */
        intent_revoke(who, in, OUTCOME_SENT);
        in->ending = OUTCOME_SENT;
        return;
    case INTENT_GRANTED:
    case INTENT_IN_DOUBT:
    case INTENT_PLANNED:
    case INTENT_WATCHED: return;
    }
}

void intent_doubt(struct person *who, uint32_t place)
{
    struct intent *in = person_touch_intent(who, place);
    must(in->state == INTENT_GRANTED);
    must(in->attempt > 0);
    ledger_mark(who, in->decision, SENT_DOUBTED);
    if (lane_term((enum lane)in->lane)->attempts == AT_LEAST_ONCE) {
        /* The same slot, the next attempt, after a pause that doubles. */
        in->state = INTENT_DEFERRED;
        come_again(who, place, PUT_OFF_DOUBT,
                   who->now_ms + (AGAIN_MS << min_of(in->attempt - 1u, AGAIN_DOUBLINGS)));
        who->is_desk_due = true;
        return;
    }
    in->state = INTENT_IN_DOUBT;
    ledger_accept(who, in->decision);
    person_changed_name(who, in->message);
    intent_note(who, in, OUTCOME_IN_DOUBT, RULE_NONE, in->granted_ms);
    follow_plan(who, in);
    intent_tell(who, person_intent(who, place), OUTCOME_IN_DOUBT);
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
                                                  : sent ? person_sent_more(who, sent)->journey
                                                         : 0,
                                       .message = known  ? known->message
                                                  : sent ? sent->message
                                                         : 0,
                                       .id = r->decision,
                                       .number = r->code});
    who->is_touched = true;
    explain_try(who, known, sent, r);
    if (r->kind == RECEIPT_DELIVERED && sent != NULL) {
        ledger_deliver(who, line);
        person_changed_name(who, sent->message); /* waits may count from it */
    }
    if (r->kind == RECEIPT_BOUNCED && sent != NULL && sent->channel != CHANNEL_NONE &&
        is_hard_bounce(r))
        suppress_address(who, (enum channel)sent->channel, person_sent_more(who, sent)->address);
    if (known == NULL || known->attempt != r->attempt || r->attempt == 0)
        return;
    if (known->state == INTENT_WATCHED) {
        if (r->kind == RECEIPT_BOUNCED)
            fall_back(who, place);
        return;
    }
    if (known->state != INTENT_GRANTED && known->state != INTENT_IN_DOUBT) {
        if (r->kind == RECEIPT_ACCEPTED || r->kind == RECEIPT_DELIVERED)
            accept_late(who, place);
        return;
    }
    struct intent *in = person_touch_intent(who, place);
    if (r->kind == RECEIPT_TEMPORARY) {
        in->tries = (uint16_t)min_of(r->tries, (uint32_t)UINT16_MAX);
        in->code = r->code;
        in->again_ms = r->again_ms;
        return;
    }
    in->tries = 0;
    in->code = 0;
    in->again_ms = 0;
    bool was_in_doubt = in->state == INTENT_IN_DOUBT;
    if (in->fallback != 0 && r->kind != RECEIPT_ACCEPTED)
        in->reason = OUTCOME_FAILED; /* the outcome is the last attempt's */
    bool is_taken =
        r->kind == RECEIPT_ACCEPTED || r->kind == RECEIPT_DELIVERED || r->kind == RECEIPT_BOUNCED;
    if (r->kind != RECEIPT_IN_DOUBT)
        intent_settle_charge(who, in->decision, is_taken);
    if (!was_in_doubt)
        pool_free(who, in->channel, intent_provider(who, in), in->decision);
    switch (r->kind) {
    case RECEIPT_ACCEPTED:
    case RECEIPT_DELIVERED: accept(who, place); return;
    case RECEIPT_BOUNCED:
        accept(who, place);
        place = intent_find(who, r->decision);
        if (place != UINT32_MAX)
            fall_back(who, place);
        return;
    case RECEIPT_IN_DOUBT:
        if (was_in_doubt)
            return;
        intent_doubt(who, place);
        return;
    case RECEIPT_REJECTED_ADDRESS:
        suppress_address(who, (enum channel)in->channel, in->address);
        refuse_channel(who, intent_find(who, r->decision), OUTCOME_FAILED, RULE_NONE);
        return;
    case RECEIPT_REJECTED_MESSAGE: refuse_channel(who, place, OUTCOME_FAILED, RULE_NONE); return;
    case RECEIPT_REJECTED_POLICY:
        if (take_detour(who, place))
            return;
        fail(who, place, OUTCOME_FAILED, RULE_NONE);
        return;
    case RECEIPT_ABORTED: fail(who, place, OUTCOME_ABORTED, RULE_NONE); return;
    case RECEIPT_GAVE_UP:
        if (in->ending == OUTCOME_DEFERRED && in->deadline_ms > who->now_ms) {
            come_back(who, place);
            return;
        }
        fail(who, place, in->deadline_ms <= who->now_ms ? OUTCOME_EXPIRED : OUTCOME_FAILED,
             RULE_POOL);
        return;
    case RECEIPT_TEMPORARY:
    case RECEIPT_TASK_DONE:
    case RECEIPT_TASK_DECLINED:
    case RECEIPT_KIND_END: break;
    }
}

void desk_engaged(struct person *who, uint64_t decision, enum engagement how)
{
    uint32_t line = ledger_find(who, decision);
    if (line == UINT32_MAX)
        return;
    const struct sent s = *person_sent(who, line);
    const struct sent_more more = *person_sent_more(who, &s);
    must(who->event != NULL);
    person_result(who, (struct result){.kind = RESULT_ENGAGED,
                                       .how = (uint8_t)how,
                                       .journey = more.journey,
                                       .message = s.message,
                                       .id = decision});
    if (how == ENGAGED_COMPLAINED) {
        if (s.channel != CHANNEL_NONE) /* between two channels the hold alone says it */
            consent_note(who, (struct consent){
                                  .channel = s.channel,
                                  .purpose = NAME_MARKETING,
                                  .source = who->event->source,
                                  .address = more.address,
                                  .at_ms = who->event->event_ms,
                              });
        holds_complaint(who, who->event->event_ms);
        return;
    }
    ledger_mark(who, decision, how == ENGAGED_CLICKED ? SENT_CLICKED : SENT_OPENED);
    habits_note(who, how == ENGAGED_CLICKED ? HABIT_CLICK : HABIT_OPEN, (enum channel)s.channel,
                who->event->event_ms);
    person_changed_name(who, s.message);
    engaged_cancel(who, &s);
    who->engaged(who, more.instance, s.message);
}
