/* desk.c - one settle: who goes first, who waits, who makes room.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/desk_int.h"

/* Rule 12: lane, group, journey priority, category priority, deadline, age, id. Total. */
static int order_intents(const struct person *who, const struct intent *a, const struct intent *b)
{
    uint16_t group_a = intent_group(who, a);
    uint16_t group_b = intent_group(who, b);
    if (a->lane != b->lane)
        return a->lane < b->lane ? -1 : 1;
    if (group_a != group_b)
        return group_a < group_b ? -1 : 1; /* PLAN_NO_INDEX is the greatest */
    if (a->journey_priority != b->journey_priority)
        return a->journey_priority > b->journey_priority ? -1 : 1;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    if (a->deadline_ms != b->deadline_ms)
        return a->deadline_ms < b->deadline_ms ? -1 : 1;
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms ? -1 : 1;
    return a->decision < b->decision ? -1 : a->decision > b->decision;
}

struct line_up {
    uint64_t decisions[PROFILE_UNITED_MAX]; /* best first: places change while we go on */
    uint32_t count;
};

static void line_up(const struct person *who, struct line_up *up)
{
    up->count = 0;
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        if (in->state > INTENT_QUEUED)
            continue;
        uint32_t k = up->count++;
        while (k > 0) {
            const struct intent *other = person_intent(who, intent_find(who, up->decisions[k - 1]));
            if (order_intents(who, other, in) <= 0)
                break;
            up->decisions[k] = up->decisions[k - 1];
            k--;
        }
        up->decisions[k] = in->decision;
    }
}

/* Would the intent go if the slots of `yields` were free? */
static bool would_go(struct person *who, const struct intent *in, const uint64_t *yields,
                     uint32_t count)
{
    struct question q = verdict_question(who, in);
    q.channel = (enum channel)in->channel;
    q.yields = yields;
    q.yield_count = count;
    return verdict_of_channel(&q).kind == VERDICT_GO;
}

/* The intent at `place` waits for a cap that reserved slots fill. Lower ones give theirs back if that
 * lets it go: as few as it takes, the lowest first. Those that are being taken back already come
 * before. */
static void make_room(struct person *who, uint32_t place)
{
    const struct intent *in = person_intent(who, place);
    uint64_t yields[PROFILE_UNITED_MAX];
    uint32_t count = 0, revoking, lower;
    if (in->is_ghost) /* stands in nobody's way */
        return;
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *other = person_intent(who, i);
        if (other->state == INTENT_REVOKING)
            yields[count++] = other->decision;
    }
    revoking = count;
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *other = person_intent(who, i);
        if (other->state != INTENT_QUEUED || order_intents(who, in, other) >= 0)
            continue;
        uint32_t k = count++;
        for (; k > revoking; k--) { /* lowest first */
            const struct intent *before = person_intent(who, intent_find(who, yields[k - 1]));
            if (order_intents(who, before, other) > 0)
                break;
            yields[k] = yields[k - 1];
        }
        yields[k] = other->decision;
    }
    for (lower = revoking; !would_go(who, in, yields, lower); lower++)
        if (lower == count)
            return; /* not theirs to give */
    for (uint32_t i = lower;
         i-- > revoking;) { /* the highest of them first: may it keep its slot? */
        uint64_t kept = yields[i];
        yields[i] = yields[lower - 1];
        if (would_go(who, in, yields, lower - 1))
            lower--;
        else
            yields[i] = kept;
    }
    for (uint32_t i = revoking; i < lower; i++)
        intent_revoke(who, person_touch_intent(who, intent_find(who, yields[i])), OUTCOME_NONE);
}

/* Acts on what the rules say about the intent. */
static void act(struct person *who, uint32_t place, const struct verdict *v)
{
    struct intent *in = person_touch_intent(who, place);
    if (in->state == INTENT_QUEUED) {
        bool still_goes =
            v->kind == VERDICT_GO && v->channel == in->channel && in->until_ms > who->now_ms &&
            min_of(v->at_ms, in->deadline_ms) >= in->until_ms && !intent_is_stale(who, in);
        if (!still_goes)
            intent_revoke(who, in,
                          v->kind == VERDICT_END ? (enum outcome)v->outcome : OUTCOME_NONE);
        return;
    }
    switch ((enum verdict_kind)v->kind) {
    case VERDICT_GO: {
        uint64_t decision = in->decision;
        struct verdict next = *v;
        while (next.kind == VERDICT_GO && !intent_hand_over(who, place, &next)) {
            place = intent_find(who, decision); /* one channel fewer */
            next = verdict_of_intent(who, person_intent(who, place));
        }
        if (next.kind != VERDICT_GO)
            act(who, place, &next);
        return;
    }
    case VERDICT_END: intent_finish(who, place, (enum outcome)v->outcome, v->rule); return;
    case VERDICT_WAIT: break;
    }
    bool is_news =
        in->state != INTENT_DEFERRED || in->rule != v->rule || in->not_before_ms != v->at_ms;
    in->state = INTENT_DEFERRED;
    in->channel = v->channel;
    in->rule = v->rule;
    in->not_before_ms = v->at_ms;
    who->is_touched = true;
    if (is_news) {
        intent_note(who, in, OUTCOME_DEFERRED, v->rule, v->at_ms);
        if (who->witness != NULL)
            desk_explain(who, place);
    }
    if (v->rule == RULE_CAP && v->at_ms == FOREVER_MS)
        make_room(who, place);
}

/* Is it to be asked about now? One that was just taken back is not, until the pool has answered. */
static bool is_due(const struct person *who, const struct intent *in)
{
    return in->state <= INTENT_QUEUED &&
           (in->state != INTENT_SETTLING || in->settle_ms <= who->now_ms);
}

/* Does it still wait for rivals of its moment? */
static bool is_settling(const struct person *who, const struct intent *in)
{
    return in->state == INTENT_SETTLING && in->settle_ms > who->now_ms;
}

void desk_settle(struct person *who)
{
    if (who->profile->intents.count == 0 || who->plan == NULL)
        return;
    if (!who->is_desk_due && who->changed == 0)
        return;
    struct line_up up;
    line_up(who, &up);
    for (uint32_t rank = 0; rank < up.count; rank++) {
        uint32_t place = intent_find(who, up.decisions[rank]);
        if (place == UINT32_MAX || !is_due(who, person_intent(who, place)))
            continue;
        struct verdict v = verdict_of_intent(who, person_intent(who, place));
        /* Before a lower intent goes, higher ones that still wait for rivals are asked: they are
         * rivals of this moment too. */
        if (v.kind == VERDICT_GO && person_intent(who, place)->state != INTENT_QUEUED) {
            bool has_granted = false;
            for (uint32_t above = 0; above < rank; above++) {
                uint32_t other = intent_find(who, up.decisions[above]);
                if (other == UINT32_MAX || !is_settling(who, person_intent(who, other)))
                    continue;
                struct verdict early = verdict_of_intent(who, person_intent(who, other));
                if (early.kind != VERDICT_GO)
                    continue;
                act(who, other, &early);
                has_granted = true;
            }
            if (has_granted) {
                place = intent_find(who, up.decisions[rank]);
                v = verdict_of_intent(who, person_intent(who, place));
            }
        }
        act(who, place, &v);
    }
}
