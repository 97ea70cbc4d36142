/* recall.c - an attempt that is under way, and that nobody wants any more.
 *
 *     GRANTED ── called off ──► GRANTED, `ending` says to what it comes ── TO_RECALL ──► outbox
 *                                  │
 *                                  ├─ accepted all the same ──► sent: it was on its way
 *                                  ├─ known not to be ────────► ends as `ending` says
 *                                  └─ given up, `ending` is DEFERRED ──► back to the desk, same slot
 *
 * The outbox makes no other try; one that is in flight is the last. The desk does not know whether one is:
 * what a provider has refused for now waits there as well.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/desk_int.h"
#include "decide/operator.h"

bool intent_is_called_off(const struct intent *in)
{
    return in->ending != OUTCOME_NONE && in->ending != OUTCOME_DEFERRED;
}

void intent_recall(struct person *who, struct intent *in, enum outcome ending)
{
    must(in->state == INTENT_GRANTED);
    if (intent_is_called_off(in) || in->ending == ending)
        return;
    bool is_told = in->ending != OUTCOME_NONE;
    in->ending = (uint8_t)ending;
    who->is_touched = true;
    if (!is_told && !planted("recall-nothing"))
        intent_send_recall(who, in);
}

void intent_send_recall(struct person *who, const struct intent *in)
{
    must(in->state == INTENT_GRANTED);
    must(in->attempt > 0);
    person_send(who, (struct stage_message){
                         .kind = TO_RECALL, .decision = in->decision, .attempt = in->attempt});
}

/* What has changed its mind about an attempt that waits for its next try: the person, an address, or an
 * operator. Hours and caps were asked when it was let go. */
void recall_refused(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        if (in->state != INTENT_GRANTED || in->ending != OUTCOME_NONE)
            continue;
        struct question q = verdict_question(who, in);
        q.channel = (enum channel)in->channel;
        enum outcome ending = OUTCOME_NONE;
        struct answer wants = operator_wants(&q);
        if (wants.kind == NEVER)
            ending = OUTCOME_WITHDRAWN;
        else if (wants.kind != ALLOW || operator_holds(&q).kind != ALLOW ||
                 rule_consent_ask(&q).kind >= NEVER_HERE)
            ending = OUTCOME_DEFERRED;
        if (ending == OUTCOME_NONE)
            continue;
        person_note_about(who, in->journey, in->message,
                          "message %.*s: is under way; no other try is made",
                          STR_ARG(names_text(who->names, in->message)));
        intent_recall(who, person_touch_intent(who, i), ending);
    }
}
