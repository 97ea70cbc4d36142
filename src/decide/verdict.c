/* verdict.c - what the rules say of an intent, over all its channels, and from when on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
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
    must(in->message_index < own->message_count);
    const struct plan_message *m = &own->messages[in->message_index];
    must(m->category < own->category_count);
    bool is_newest = in->plan == who->plans->newest;
    uint16_t journey = is_newest ? in->journey_index : plan_journey_find(who->plan, in->journey);
    must(journey == PLAN_NO_INDEX || journey < who->plan->journey_count);
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
        .put_off_ms = INT64_MIN,
    };
}

void verdict_set_channel(struct question *q, enum channel channel)
{
    const struct put_off *said = put_off_find(q->who, q->intent, channel);
    q->channel = channel;
    q->put_off_ms = said == NULL ? INT64_MIN : said->until_ms;
    q->put_off_rule = said == NULL ? (uint8_t)RULE_NONE : put_off_rule(said);
}

/* What the rules say now, if that needs no look ahead. */
static bool is_clear(const struct answers *now, struct verdict *v)
{
    const struct answer *a = &now->gravest;
    v->rule = now->rule;
    if (a->kind == ALLOW) {
        v->kind = VERDICT_GO;
        v->at_ms = a->at_ms;
        return true;
    }
    if (a->kind == NOT_BEFORE)
        return false;
    v->kind = VERDICT_END;
    v->outcome = a->outcome;
    v->is_last = a->kind == NEVER;
    return true;
}

struct verdict verdict_of_channel(const struct question *asked)
{
    struct agreed agreed = {0};
    struct question question = *asked, *q = &question;
    struct verdict v = {
        .channel = (uint8_t)q->channel, .at_ms = FOREVER_MS, .again_ms = FOREVER_MS};
    bool is_unknown = false;
    q->at_ms = q->who->now_ms;
    q->agreed = &agreed;
    for (uint32_t i = 0; i < LOOK_AHEADS_MAX; i++) {
        struct answers all = rules_ask(q);
        must(all.until_ms > q->at_ms);
        if (i == 0) {
            if (is_clear(&all, &v))
                return v;
            is_unknown = all.gravest.at_ms == FOREVER_MS;
        }
        /* A condition may say never of an instant that lies ahead; it is asked again there. */
        if (all.gravest.kind != NOT_BEFORE || all.known_ms == q->at_ms) {
            /* What is known allows from here until there: then another moment must be found. */
            v.again_ms = all.gravest.kind == ALLOW ? q->at_ms : all.until_ms;
            break;
        }
        must(all.known_ms > q->at_ms);
        q->at_ms = v.again_ms = all.known_ms;
        if (q->at_ms >= q->intent->deadline_ms && !planted("no-slot-waits")) {
            v.kind = VERDICT_END;
            v.outcome = OUTCOME_EXPIRED;
            return v;
        }
    }
    v.kind = VERDICT_WAIT;
    if (!is_unknown)
        v.at_ms = q->at_ms;
    must(v.at_ms > q->who->now_ms);
    return v;
}

struct verdict verdict_of_intent(struct person *who, const struct intent *in)
{
    struct question q = verdict_question(who, in);
    struct verdict first_end = {.kind = VERDICT_END};
    if (q.category == PLAN_NO_INDEX || q.journey == PLAN_NO_INDEX)
        return (struct verdict){.kind = VERDICT_END,
                                .outcome = OUTCOME_WITHDRAWN,
                                .rule = RULE_WANTED,
                                .is_last = true};
    must(in->channel_count <= PLAN_CHANNELS_MAX);
    if (in->deadline_ms <= who->now_ms &&
        !planted("deadline-passes")) /* its time ran out while an attempt was under way */
        return (struct verdict){
            .kind = VERDICT_END, .outcome = OUTCOME_EXPIRED, .rule = RULE_POOL, .is_last = true};
    for (uint32_t i = 0; i < in->channel_count; i++) {
        if (in->refused >> i & 1) {
            if (first_end.outcome == OUTCOME_NONE) {
                first_end.outcome = in->reason;
                first_end.rule = in->rule;
            }
            continue;
        }
        verdict_set_channel(&q, (enum channel)in->channels[i]);
        if (planted("put-off-overruled") && q.put_off_rule != in->rule)
            q.put_off_ms = INT64_MIN;
        struct verdict v = verdict_of_channel(&q);
        must(v.kind != VERDICT_GO || v.at_ms > who->now_ms);
        if (v.kind != VERDICT_END || v.is_last)
            return v;
        if (first_end.outcome == OUTCOME_NONE)
            first_end = v;
    }
    if (first_end.outcome == OUTCOME_NONE)
        first_end.outcome = OUTCOME_UNREACHABLE; /* no channel was named */
    return first_end;
}
