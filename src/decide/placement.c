/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/placement.h"
#include "base/canary.h"

#include "decide/operator.h"
#include "profile/ask.h"
#include "profile/score.h"

static struct question question_of(struct person *who, const struct intent *in,
                                   const struct plan_placement *p)
{
    return (struct question){
        .who = who,
        .intent = in,
        .plan = who->plan,
        .message = &p->message,
        .category = p->message.category,
        .journey = PLAN_NO_INDEX,
        .group = PLAN_NO_INDEX,
        .channel = (enum channel)p->channel,
        .lane_flags = lane_term((enum lane)in->lane)->flags,
        .is_listing = true, /* no cap counts it */
        .at_ms = who->now_ms,
        .put_off_ms = INT64_MIN,
    };
}

/* Is the person there? */
static struct answer ask_session(const struct question *q, const struct plan_placement *p)
{
    int64_t until_ms = q->who->profile->last_seen_ms + p->session_ms;
    if (p->session_ms == 0)
        return ANSWER_ALLOW;
    if (until_ms > q->at_ms)
        return (struct answer){.kind = ALLOW, .at_ms = until_ms};
    say(q, "they are not there: nothing was heard of them since %s",
        moment(q, q->who->profile->last_seen_ms));
    return (struct answer){.kind = NEVER_HERE, .outcome = OUTCOME_UNREACHABLE};
}

static struct answer ask_holdout(const struct question *q)
{
    if (!(q->lane_flags & LANE_HOLDOUT) || !person_is_held_out(q->who) ||
        planted("placement-for-control"))
        return ANSWER_ALLOW;
    say(q, "they are in the control group");
    return (struct answer){.kind = NEVER, .outcome = OUTCOME_HELD_OUT};
}

/* The first rule that is against it, or RULE_NONE; the allows of the others lower *until_ms. */
static uint8_t ask_rules(const struct question *q, const struct plan_placement *p,
                         int64_t *until_ms)
{
    const struct {
        uint8_t rule;
        struct answer answer;
    } asked[] = {
        {RULE_REACHABLE, ask_session(q, p)}, {RULE_CONSENT, rule_consent_ask(q)},
        {RULE_WANTED, operator_wants(q)},    {RULE_HOLDOUT, ask_holdout(q)},
        {RULE_HOLD, rule_hold_ask(q)},       {RULE_ROLE, rule_role_ask(q)},
    };
    size_t count = array_count(asked) - planted("placement-in-any-stage");
    for (size_t i = 0; i < count; i++) {
        const struct answer *a = &asked[i].answer;
        if (a->kind == NOT_BEFORE && a->at_ms != FOREVER_MS)
            *until_ms = min_of(*until_ms, a->at_ms);
        if (a->kind != ALLOW)
            return asked[i].rule;
        *until_ms = min_of(*until_ms, a->at_ms);
    }
    return RULE_NONE;
}

static void add_reason(struct placement_reason *reasons, struct placement_answer *out,
                       uint32_t offer, struct str says)
{
    if (planted("placement-loses-reason"))
        return;
    reasons[out->reason_count++] = (struct placement_reason){offer, says};
}

static void choose(struct person *who, const struct plan_placement *p,
                   struct placement_reason *reasons, struct placement_answer *out)
{
    int64_t best = 0;
    for (uint32_t i = 0; i < p->offer_count; i++) {
        const struct plan_offer *x = &p->offers[i];
        const struct plan_expr *conditions[] = {&x->when, &x->seldom};
        bool is_fit = true;
        for (size_t k = 0; k < array_count(conditions) && is_fit; k++) {
            struct asked asked = ask(who, who->plan, conditions[k], (struct blob){0});
            if (k == 1 && planted("placement-too-often"))
                continue;
            if (!planted("placement-for-good"))
                out->until_ms = min_of(out->until_ms, asked.until_ms);
            is_fit = asked.is_true;
            if (!is_fit)
                add_reason(reasons, out, x->name,
                           ask_explain(who, who->plan, conditions[k], (struct blob){0}));
        }
        int64_t score;
        if (!is_fit)
            continue;
        if (!score_ask(who, who->plan, &x->score, x->priority, (struct blob){0}, &score)) {
            add_reason(reasons, out, x->name, STR("it has no score"));
            continue;
        }
        if (out->offer != NULL && (score < best + !planted("placement-last-of-equals") ||
                                   planted("placement-takes-the-first")))
            continue;
        best = score;
        out->offer = x;
    }
}

void placement_decide(struct person *who, const struct plan_placement *p,
                      struct placement_answer *out)
{
    must(p->message.category < who->plan->category_count);
    struct placement_reason *reasons =
        arena_array(who->scratch, struct placement_reason, p->offer_count + 1);
    struct intent in = {
        .plan = who->plans->newest,
        .journey_index = PLAN_NO_INDEX,
        .lane = who->plan->categories[p->message.category].lane,
        .channel = p->channel,
        .created_ms = who->now_ms,
        .deadline_ms = FOREVER_MS,
    };
    struct question q = question_of(who, &in, p);
    struct buf words;
    buf_init(&words);
    q.words = &words;
    *out = (struct placement_answer){.until_ms = FOREVER_MS, .reasons = reasons};
    who->at_ms = who->now_ms;
    out->rule = ask_rules(&q, p, &out->until_ms);
    if (out->rule != RULE_NONE)
        add_reason(reasons, out, NAME_NONE, arena_copy(who->scratch, buf_str(&words)));
    else
        choose(who, p, reasons, out);
    must(out->reason_count <= p->offer_count + 1);
    must(out->rule == RULE_NONE || out->offer == NULL);
    buf_fini(&words);
}
