/* reserve.c - a slot that waits for a higher intent which is known to come.
 *
 *     now                       T            a cap of one a day: if the lower one took the slot now,
 *      |------------------------|--------►   the higher one, which may go at T (quiet hours are over
 *      lower: may go            higher        then), would find none
 *
 * With `reserve: 12h` the lower one waits until T, if T is no further ahead than that (24 h at most) and
 * the higher one would go at T without it, and not with it. What has no known T keeps nothing from
 * anybody. At T both are asked again, the higher one first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/desk_int.h"

/* May `higher` go at the instant that it waits for? */
static bool goes_then(struct person *who, const struct intent *higher)
{
    struct question q = verdict_question(who, higher);
    if (q.category == PLAN_NO_INDEX || q.journey == PLAN_NO_INDEX)
        return false;
    q.channel = (enum channel)higher->channel;
    must(higher->not_before_ms > who->now_ms);
    q.at_ms = higher->not_before_ms;
    return rules_ask(&q).gravest.kind == ALLOW;
}

/* The same if `lower` went now. */
static bool goes_beside(struct person *who, const struct intent *higher, const struct intent *lower,
                        enum channel channel)
{
    struct sent *line = ledger_push(who, lower, lower->is_ghost ? SENT_GHOST : SENT_SPENT);
    if (line == NULL)
        return true;
    line->channel = (uint8_t)channel;
    must(line->state != SENT_RESERVED);
    bool goes = goes_then(who, higher);
    person_drop_sent(who, who->profile->ledger.count - 1u);
    return goes;
}

/* Is it a higher one that waits for a known instant not too far ahead? */
static bool is_expected(const struct person *who, const struct intent *higher,
                        const struct intent *lower)
{
    bool is_known = higher->state == INTENT_DEFERRED && higher->not_before_ms > who->now_ms &&
                    higher->not_before_ms <= who->now_ms + who->plan->reserve_ms +
                                                 (planted("reserve-too-far") ? HOUR_MS : 0) &&
                    higher->not_before_ms < higher->deadline_ms;
    return is_known && higher->channel != CHANNEL_NONE && (lower->is_ghost || !higher->is_ghost) &&
           lane_term((enum lane)higher->lane)->flags & LANE_CAPS &&
           (intent_order(who, higher, lower) < 0 || planted("reserve-for-lower"));
}

bool reserve_keeps(struct person *who, uint32_t place, struct verdict *v)
{
    const struct intent *in = person_intent(who, place);
    int64_t until_ms = INT64_MIN;
    uint32_t for_whom = UINT32_MAX;
    if (who->plan->reserve_ms == 0 || planted("reserve-nothing") || in->has_slot ||
        !(lane_term((enum lane)in->lane)->flags & LANE_CAPS) ||
        who->profile->ledger.count >= PROFILE_LEDGER_MAX)
        return false;
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *other = person_intent(who, i);
        if (i == place || !is_expected(who, other, in) || !goes_then(who, other) ||
            (goes_beside(who, other, in, (enum channel)v->channel) &&
             !planted("reserve-for-nothing")))
            continue;
        if (other->not_before_ms > until_ms) {
            until_ms = other->not_before_ms;
            for_whom = i;
        }
    }
    if (for_whom == UINT32_MAX)
        return false;
    must(until_ms > who->now_ms);
    const struct intent *higher = person_intent(who, for_whom);
    struct question q = verdict_question(who, in);
    person_note_about(who, in->journey, in->message,
                      "message %.*s: the slot is kept for %.*s (journey %.*s), which may go at %s",
                      STR_ARG(names_text(who->names, in->message)),
                      STR_ARG(names_text(who->names, higher->message)),
                      STR_ARG(names_text(who->names, higher->journey)), moment(&q, until_ms));
    v->kind = VERDICT_WAIT;
    v->rule = RULE_COMPETITION;
    /* Its own rules allow no longer than that. */
    v->again_ms = planted("kept-past-hours") ? until_ms : min_of(until_ms, v->at_ms);
    v->at_ms = until_ms;
    return true;
}
