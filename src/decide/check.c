/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/check.h"
#include "decide/desk_int.h"

void desk_check_grant(struct person *who, const struct intent *in, void *self,
                      void (*note)(void *self, uint32_t rule, struct str facts))
{
    struct question q = verdict_question(who, in);
    struct answer answer;
    struct buf words;
    uint8_t rule;
    if (q.category == PLAN_NO_INDEX || q.journey == PLAN_NO_INDEX)
        return; /* the programme has changed, and they have not been told yet */
    buf_init(&words);
    verdict_set_channel(&q, (enum channel)in->channel);
    q.words = &words;
    for (uint32_t place = 0; rule_ask(place, &q, &rule, &answer); place++) {
        if (answer.kind != ALLOW)
            note(self, rule, buf_str(&words));
        words.len = 0;
    }
    if (q.put_off_ms != INT64_MIN)
        note(self, q.put_off_rule,
             STR("a later stage put it off until a moment that has not come"));
    buf_fini(&words);
}

static bool goes(struct person *who, const struct intent *in, const uint64_t *yields,
                 uint32_t count)
{
    struct question q = verdict_question(who, in);
    if (q.category == PLAN_NO_INDEX || q.journey == PLAN_NO_INDEX)
        return false;
    verdict_set_channel(&q, (enum channel)in->channel);
    q.yields = yields;
    q.yield_count = count;
    return verdict_of_channel(&q).kind == VERDICT_GO;
}

uint32_t desk_check_order(struct person *who)
{
    uint64_t yields[PROFILE_UNITED_MAX];
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        if (in->state != INTENT_DEFERRED || in->rule != RULE_CAP || in->is_ghost ||
            in->not_before_ms != FOREVER_MS || in->deadline_ms <= who->now_ms)
            continue;
        uint32_t coming = 0; /* slots that are being given back already */
        for (uint32_t k = 0; k < who->profile->intents.count; k++)
            if (person_intent(who, k)->state == INTENT_REVOKING)
                yields[coming++] = person_intent(who, k)->decision;
        must(coming <= PROFILE_UNITED_MAX);
        uint32_t count = coming;
        for (uint32_t k = 0; k < who->profile->intents.count; k++) {
            const struct intent *lower = person_intent(who, k);
            if (lower->state == INTENT_QUEUED && intent_order(who, in, lower) < 0)
                yields[count++] = lower->decision;
        }
        if (count > coming && !goes(who, in, yields, coming) && goes(who, in, yields, count))
            return i;
    }
    return UINT32_MAX;
}

bool desk_check_held_out(const struct person *who, const struct intent *in)
{
    uint8_t flags;
    uint64_t key;
    intent_instance(who, in->instance, &flags, &key);
    return lane_term((enum lane)in->lane)->flags & LANE_HOLDOUT &&
           (flags & INSTANCE_IS_GHOST || person_is_held_out(who));
}
