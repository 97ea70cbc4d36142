/* verdict.c - what the rules say of an intent, over all its channels, and from when on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/desk_int.h"

#define LOOK_AHEADS_MAX 64 /* candidates for T before we call it unknown */

static uint16_t category_now(const struct person *who, uint32_t name)
{
    for (uint32_t i = 0; i < who->plan->category_count; i++)
        if (who->plan->categories[i].name == name)
            return (uint16_t)i;
    return PLAN_NO_INDEX;
}

struct question verdict_question(struct person *who, const struct intent *in)
{
    const struct plan *own = person_plan(who, in->plan);
    const struct plan_message *m = &own->messages[in->message_index];
    bool is_newest = in->plan == who->plans->newest;
    uint16_t journey = is_newest ? in->journey_index : plan_journey_find(who->plan, in->journey);
    return (struct question){
        .who = who,
        .intent = in,
        .plan = who->plan,
        .message = m,
        .category = is_newest ? m->category : category_now(who, own->categories[m->category].name),
        .journey = journey,
        .group = journey == PLAN_NO_INDEX ? PLAN_NO_INDEX : who->plan->journeys[journey].group,
        .lane_flags = lane_term((enum lane)in->lane)->flags,
        .at_ms = who->now_ms,
    };
}

struct verdict verdict_of_channel(struct question *q)
{
    struct verdict v = {.channel = (uint8_t)q->channel, .at_ms = FOREVER_MS};
    bool is_unknown = false;
    q->at_ms = q->who->now_ms;
    for (uint32_t i = 0; i < LOOK_AHEADS_MAX; i++) {
        int64_t known_ms;
        uint8_t rule;
        struct answer a = rules_ask(q, &rule, &known_ms);
        if (i == 0) {
            v.rule = rule;
            switch ((enum answer_kind)a.kind) {
            case ALLOW:
                v.kind = VERDICT_GO;
                v.at_ms = a.at_ms;
                return v;
            case NOT_BEFORE: is_unknown = a.at_ms == FOREVER_MS; break;
            case NEVER_HERE:
            case NEVER:
                v.kind = VERDICT_END;
                v.outcome = a.outcome;
                v.is_last = a.kind == NEVER;
                return v;
            }
        }
        /* A condition may say never of an instant that lies ahead; it is asked again there. */
        if (a.kind != NOT_BEFORE || known_ms == q->at_ms)
            break;
        must(known_ms > q->at_ms);
        q->at_ms = known_ms;
        if (known_ms >= q->intent->deadline_ms) {
            v.kind = VERDICT_END;
            v.outcome = OUTCOME_EXPIRED;
            return v;
        }
    }
    v.kind = VERDICT_WAIT;
    if (!is_unknown)
        v.at_ms = q->at_ms;
    return v;
}

struct verdict verdict_of_intent(struct person *who, const struct intent *in)
{
    struct question q = verdict_question(who, in);
    struct verdict first_end = {.kind = VERDICT_END, .outcome = in->reason, .rule = in->rule};
    if (q.category == PLAN_NO_INDEX || q.journey == PLAN_NO_INDEX)
        return (struct verdict){.kind = VERDICT_END,
                                .outcome = OUTCOME_WITHDRAWN,
                                .rule = RULE_WANTED,
                                .is_last = true};
    if (in->deadline_ms <= who->now_ms) /* its time ran out while an attempt was under way */
        return (struct verdict){
            .kind = VERDICT_END, .outcome = OUTCOME_EXPIRED, .rule = RULE_POOL, .is_last = true};
    /* What a later stage said stands until its time. */
    bool is_put_off = in->rule == RULE_ADDRESS || in->rule == RULE_POOL;
    if (is_put_off && in->not_before_ms > who->now_ms && in->not_before_ms != FOREVER_MS)
        return (struct verdict){.kind = VERDICT_WAIT,
                                .channel = in->channel,
                                .rule = in->rule,
                                .at_ms = in->not_before_ms};
    for (uint32_t i = 0; i < in->channel_count; i++) {
        if (in->refused >> i & 1)
            continue;
        q.channel = (enum channel)in->channels[i];
        struct verdict v = verdict_of_channel(&q);
        if (v.kind != VERDICT_END || v.is_last)
            return v;
        if (first_end.outcome == OUTCOME_NONE)
            first_end = v;
    }
    if (first_end.outcome == OUTCOME_NONE)
        first_end.outcome = OUTCOME_UNREACHABLE; /* no channel was named */
    return first_end;
}
