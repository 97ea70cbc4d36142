/* desk.c - one settle: who goes first, who waits, who makes room.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/desk_int.h"
#include "decide/memory.h"

#define RIVALS_TOLD_MAX 6

int intent_order(const struct person *who, const struct intent *a, const struct intent *b)
{
    uint16_t group_a = intent_group(who, a);
    uint16_t group_b = intent_group(who, b);
    if (a->lane != b->lane)
        return a->lane < b->lane ? -1 : 1;
    if (group_a != group_b && !planted("rank-without-group"))
        return group_a < group_b ? -1 : 1; /* PLAN_NO_INDEX is the greatest */
    if (a->journey_priority != b->journey_priority && !planted("rank-without-journey"))
        return a->journey_priority > b->journey_priority ? -1 : 1;
    if (a->priority != b->priority && !planted("rank-without-priority"))
        return a->priority > b->priority ? -1 : 1;
    if (a->deadline_ms != b->deadline_ms && !planted("rank-without-deadline"))
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
        must(up->count < PROFILE_UNITED_MAX);
        uint32_t k = up->count++;
        while (k > 0) {
            const struct intent *other = person_intent(who, intent_find(who, up->decisions[k - 1]));
            if (intent_order(who, other, in) <= 0)
                break;
            up->decisions[k] = up->decisions[k - 1];
            k--;
        }
        up->decisions[k] = in->decision;
    }
}

/* Would the intent go now if the slots of `yields` were free? Only those of the rules are asked that
 * `agreed` has no bit of. If not, nobody asks when. */
static bool would_go(struct person *who, const struct intent *in, const uint64_t *yields,
                     uint32_t count, struct agreed agreed)
{
    struct question q = verdict_question(who, in);
    verdict_set_channel(&q, (enum channel)in->channel);
    q.agreed = &agreed;
    q.yields = yields;
    q.yield_count = count;
    return rules_ask(&q).gravest.kind == ALLOW;
}

/* The rival gives back its slot to `in`. */
static void take_back(struct person *who, const struct intent *in, uint64_t decision)
{
    struct intent *rival = person_touch_intent(who, intent_find(who, decision));
    must(rival != in);
    must(rival->state == INTENT_QUEUED);
    if (who->witness != NULL)
        person_tell(
            who,
            &(struct note){
                .kind = NOTE_RIVALS, .journey = rival->journey, .message = rival->message},
            "message %.*s: gives its slot back to %.*s (journey %.*s), which goes before it %s",
            STR_ARG(names_text(who->names, rival->message)),
            STR_ARG(names_text(who->names, in->message)),
            STR_ARG(names_text(who->names, in->journey)), explain_order(who, in, rival));
    intent_revoke(who, rival, OUTCOME_NONE);
}

/* The intent at `place` waits for a cap that reserved slots fill. Lower ones give theirs back if that
 * lets it go: as few as it takes, the lowest first. Those that are being taken back already come
 * before. */
static void make_room(struct person *who, uint32_t place)
{
    const struct intent *in = person_intent(who, place);
    must(in->state == INTENT_DEFERRED);
    uint64_t yields[PROFILE_UNITED_MAX];
    uint32_t count = 0, revoking, lower;
    if (in->is_ghost || planted("room-not-made")) /* a ghost stands in nobody's way */
        return;
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *other = person_intent(who, i);
        if (other->state == INTENT_REVOKING)
            yields[count++] = other->decision;
    }
    revoking = count;
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *other = person_intent(who, i);
        if (other->state != INTENT_QUEUED || intent_order(who, in, other) >= 0)
            continue;
        must(count < PROFILE_UNITED_MAX);
        uint32_t k = count++;
        for (; k > revoking; k--) { /* lowest first */
            const struct intent *before = person_intent(who, intent_find(who, yields[k - 1]));
            if (intent_order(who, before, other) > 0)
                break;
            yields[k] = yields[k - 1];
        }
        yields[k] = other->decision;
    }
    if (count == 0)
        return; /* nobody to take one from: it waits, as it was just found to */
    const struct agreed of_slots = {.rules = rules_of_slots()}, others = {.rules = ~of_slots.rules};
    if (!would_go(who, in, NULL, 0, of_slots))
        return; /* it is not for slots alone that it waits */
    for (lower = max_of(revoking, 1u); !would_go(who, in, yields, lower, others); lower++)
        if (lower == count)
            return; /* not theirs to give */
    must(lower <= count);
    for (uint32_t i = lower;
         i-- > revoking;) { /* the highest of them first: may it keep its slot? */
        uint64_t kept = yields[i];
        yields[i] = yields[lower - 1];
        if (would_go(who, in, yields, lower - 1, others))
            lower--;
        else
            yields[i] = kept;
    }
    must(lower >= revoking);
    for (uint32_t i = revoking; i < lower; i++)
        take_back(who, in, yields[i]);
}

/* How the rival stands, in a word or two. */
static const char *standing(const struct intent *rival)
{
    switch ((enum intent_state)rival->state) {
    case INTENT_SETTLING: return "still waits for rivals";
    case INTENT_DEFERRED: return "is held back itself";
    case INTENT_QUEUED: return "goes";
    case INTENT_REVOKING: return "is taken back";
    case INTENT_GRANTED: return "is under way";
    case INTENT_IN_DOUBT: return "is in doubt";
    case INTENT_PLANNED: return "is planned";
    case INTENT_WATCHED: return "went out";
    }
    return "";
}

/* Tells a witness who competes with the intent that has that rank: those before it, how they stand and
 * what decided, and how many come after it. */
static void tell_rivals(struct person *who, const struct line_up *up, uint32_t rank)
{
    must(rank < up->count);
    uint32_t place = intent_find(who, up->decisions[rank]);
    must(place != UINT32_MAX);
    const struct intent *in = person_intent(who, place);
    struct buf text;
    uint32_t told = 0, after = 0;
    buf_init(&text);
    for (uint32_t i = 0; i < up->count; i++) {
        uint32_t other = i == rank ? UINT32_MAX : intent_find(who, up->decisions[i]);
        if (other == UINT32_MAX)
            continue; /* it has ended: no rival any more */
        const struct intent *rival = person_intent(who, other);
        if (i > rank && told < RIVALS_TOLD_MAX) {
            buf_printf(&text, "%sbefore %.*s (journey %.*s) %s", text.len ? "; " : "",
                       STR_ARG(names_text(who->names, rival->message)),
                       STR_ARG(names_text(who->names, rival->journey)),
                       explain_order(who, in, rival));
        } else if (i < rank && told < RIVALS_TOLD_MAX) {
            buf_printf(&text, "%safter %.*s (journey %.*s), which %s, %s", text.len ? "; " : "",
                       STR_ARG(names_text(who->names, rival->message)),
                       STR_ARG(names_text(who->names, rival->journey)), standing(rival),
                       explain_order(who, rival, in));
        } else {
            after++;
        }
        told++;
    }
    if (after > 0)
        buf_printf(&text, "; and %u more", after);
    if (told > 0)
        person_tell(
            who,
            &(struct note){.kind = NOTE_RIVALS, .journey = in->journey, .message = in->message},
            "message %.*s: number %u of %u that compete: %.*s",
            STR_ARG(names_text(who->names, in->message)), rank + 1, up->count,
            STR_ARG(buf_str(&text)));
    buf_fini(&text);
}

/* Acts on what the rules say about the intent, which has that rank. */
static void act(struct person *who, const struct line_up *up, uint32_t rank,
                const struct verdict *v)
{
    must(rank < up->count);
    uint32_t place = intent_find(who, up->decisions[rank]);
    must(place != UINT32_MAX);
    struct intent *in = person_touch_intent(who, place);
    must(in->state <= INTENT_QUEUED);
    if (in->state == INTENT_QUEUED) {
        bool still_goes =
            v->kind == VERDICT_GO && v->channel == in->channel && in->until_ms > who->now_ms &&
            min_of(v->at_ms, in->deadline_ms) >= in->until_ms && !intent_is_stale(who, in);
        if (!still_goes && v->kind != VERDICT_GO)
            explain_refusals(who, in,
                             v->kind == VERDICT_END ? (enum outcome)v->outcome : OUTCOME_NONE);
        if (!still_goes)
            intent_revoke(who, in,
                          v->kind == VERDICT_END ? (enum outcome)v->outcome : OUTCOME_NONE);
        return;
    }
    bool is_news = v->kind != VERDICT_WAIT || in->state != INTENT_DEFERRED || in->rule != v->rule ||
                   in->not_before_ms != v->at_ms;
    if (who->witness != NULL && is_news && up->count > 1)
        tell_rivals(who, up, rank);
    if (who->witness != NULL && v->kind == VERDICT_END)
        explain_refusals(who, in, (enum outcome)v->outcome);
    switch ((enum verdict_kind)v->kind) {
    case VERDICT_GO: {
        uint64_t decision = in->decision;
        struct verdict next = *v;
        intent_keep_best_time(who, place, (enum channel)v->channel);
        while (next.kind == VERDICT_GO && !intent_hand_over(who, place, &next)) {
            place = intent_find(who, decision); /* one channel fewer */
            must(place != UINT32_MAX);
            next = verdict_of_intent(who, person_intent(who, place));
        }
        if (next.kind != VERDICT_GO)
            act(who, up, rank, &next);
        return;
    }
    case VERDICT_END: intent_finish(who, place, (enum outcome)v->outcome, v->rule); return;
    case VERDICT_WAIT: break;
    }
    must(v->at_ms > who->now_ms);
    intent_keep_best_time(who, place, (enum channel)v->channel);
    in->state = INTENT_DEFERRED;
    in->channel = v->channel;
    in->rule = v->rule;
    in->not_before_ms = v->at_ms;
    in->until_ms = v->again_ms;
    who->is_touched = true;
    if (is_news) {
        intent_note(who, in, OUTCOME_DEFERRED, v->rule, v->at_ms);
        if (who->witness != NULL)
            desk_explain(who, place);
    }
    if ((v->rule == RULE_CAP || v->rule == RULE_CONSENT) && v->at_ms == FOREVER_MS)
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

/* Priorities that are expressions, as they are now, of what is not handed over yet. */
static void rank_anew(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        if (in->state > INTENT_DEFERRED ||
            person_plan(who, in->plan)->journeys[in->journey_index].priority_by.code == NULL)
            continue;
        int32_t now = intent_journey_priority(who, in);
        if (now != in->journey_priority)
            person_touch_intent(who, i)->journey_priority = now;
    }
}

bool desk_settle(struct person *who, bool is_last)
{
    if (who->profile->intents.count == 0 || who->plan == NULL)
        return false;
    if (!who->is_desk_due && who->changed == 0)
        return false;
    bool has_ended = false, again = false;
    struct line_up up;
    struct memory memory;
    memory_init(&memory);
    who->memory = &memory;
    recall_refused(who);
    rank_anew(who);
    line_up(who, &up);
    must(up.count <= who->profile->intents.count);
    for (uint32_t rank = 0; rank < up.count; rank++) {
        uint32_t place = intent_find(who, up.decisions[rank]);
        if (place == UINT32_MAX || !is_due(who, person_intent(who, place)))
            continue;
        struct verdict v = verdict_of_intent(who, person_intent(who, place));
        bool goes = v.kind == VERDICT_GO && person_intent(who, place)->state != INTENT_QUEUED;
        if (goes && has_ended && !is_last && !planted("ends-not-told")) {
            again = true;
            break;
        }
        /* Before a lower intent goes, higher ones that still wait for rivals are asked: they are
         * rivals of this moment too. */
        if (goes && !planted("rivals-not-asked")) {
            bool has_granted = false;
            for (uint32_t above = 0; above < rank; above++) {
                uint32_t other = intent_find(who, up.decisions[above]);
                if (other == UINT32_MAX || !is_settling(who, person_intent(who, other)))
                    continue;
                struct verdict early = verdict_of_intent(who, person_intent(who, other));
                if (early.kind != VERDICT_GO || reserve_keeps(who, other, &early))
                    continue;
                again |= person_intent(who, other)->is_ghost;
                act(who, &up, above, &early);
                has_granted = true;
            }
            if (has_granted) {
                place = intent_find(who, up.decisions[rank]);
                must(place != UINT32_MAX);
                v = verdict_of_intent(who, person_intent(who, place));
            }
        }
        if (goes && v.kind == VERDICT_GO)
            (void)reserve_keeps(who, place, &v);
        must(v.kind != VERDICT_END || v.outcome != OUTCOME_NONE);
        /* A ghost's slot is spent at once: those before it may find no moment any more. */
        again |= goes && v.kind == VERDICT_GO && person_intent(who, place)->is_ghost &&
                 !planted("ghost-spends-late");
        uint32_t count = who->profile->intents.count;
        act(who, &up, rank, &v);
        has_ended |= who->profile->intents.count < count;
        if (v.kind == VERDICT_END && v.outcome == OUTCOME_REPLACED) {
            /* What took its place may stand elsewhere; nothing is replaced twice. */
            line_up(who, &up);
            rank = UINT32_MAX;
        }
    }
    who->memory = NULL;
    return again && !is_last;
}
