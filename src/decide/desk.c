/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/rule.h"

#include "profile/ask.h"
#include "profile/consent.h"
#include "profile/traits.h"

#define LOOK_AHEADS_MAX   64               /* candidates for T before we call it unknown */
#define IN_DOUBT_LASTS_MS (72 * HOUR_MS)   /* then nobody will tell us any more: unknown */
#define AGAIN_MS          (30 * SECOND_MS) /* before an attempt in doubt is made again */
#define AGAIN_DOUBLINGS   7u

/* ---- the ledger -------------------------------------------------------------------------------- */

static uint32_t find_line(const struct person *who, uint64_t decision)
{
    for (uint32_t i = who->profile->ledger.count; i-- > 0;)
        if (person_sent(who, i)->decision == decision)
            return i;
    return UINT32_MAX;
}

static void note_slot(struct person *who, enum result_kind kind, const struct intent *in)
{
    person_result(who, (struct result){.kind = (uint8_t)kind,
                                       .how = in->channel,
                                       .journey = in->journey,
                                       .message = in->message,
                                       .id = in->decision});
}

static void take_slot(struct person *who, struct intent *in, enum sent_state state)
{
    const struct plan *plan = person_plan(who, in->plan);
    const struct plan_message *m = &plan->messages[in->message_index];
    const struct plan_journey *j = &plan->journeys[in->journey_index];
    if (in->has_slot) { /* an earlier attempt's: it only moves to the new channel */
        uint32_t place = find_line(who, in->decision);
        must(place != UINT32_MAX);
        person_touch_sent(who, place)->channel = in->channel;
        return;
    }
    if (who->profile->ledger.count >= PROFILE_LEDGER_MAX) {
        uint32_t oldest = 0; /* of those that are over */
        while (oldest + 1u < who->profile->ledger.count &&
               person_sent(who, oldest)->state == SENT_RESERVED)
            oldest++;
        person_drop_sent(who, oldest);
    }
    struct sent *line = person_push_sent(who);
    must(line != NULL);
    *line = (struct sent){
        .decision = in->decision,
        .instance = in->instance,
        .at_ms = who->now_ms,
        .message = in->message,
        .content_key = m->content_key,
        .category = plan->categories[m->category].name,
        .group = j->group == PLAN_NO_INDEX ? NAME_NONE : plan->groups[j->group].name,
        .journey = in->journey,
        .channel = in->channel,
        .lane = in->lane,
        .state = (uint8_t)state,
    };
    in->has_slot = state == SENT_RESERVED;
    if (state == SENT_RESERVED)
        note_slot(who, RESULT_RESERVED, in);
}

static void return_slot(struct person *who, struct intent *in)
{
    if (!in->has_slot)
        return;
    uint32_t place = find_line(who, in->decision);
    must(place != UINT32_MAX);
    person_drop_sent(who, place);
    in->has_slot = false;
    note_slot(who, RESULT_RETURNED, in);
    who->is_desk_due = true;
}

static void mark_line(struct person *who, uint64_t decision, enum sent_flag flag)
{
    uint32_t place = find_line(who, decision);
    if (place != UINT32_MAX)
        person_touch_sent(who, place)->flags |= (uint8_t)flag;
}

void desk_forget(struct person *who)
{
    int64_t oldest_ms = who->now_ms - who->plan->ledger_ms;
    for (uint32_t i = 0; i < who->profile->ledger.count;) {
        const struct sent *s = person_sent(who, i);
        if (s->at_ms < oldest_ms && s->state != SENT_RESERVED)
            person_drop_sent(who, i);
        else
            i++;
    }
}

/* ---- how intents come and end ------------------------------------------------------------------ */

static uint32_t find_intent(const struct person *who, uint64_t decision)
{
    for (uint32_t i = 0; i < who->profile->intents.count; i++)
        if (person_intent(who, i)->decision == decision)
            return i;
    return UINT32_MAX;
}

static void note_decision(struct person *who, const struct intent *in, enum outcome outcome,
                          uint32_t rule, int64_t number)
{
    person_result(who, (struct result){.kind = RESULT_DECIDED,
                                       .how = (uint8_t)outcome,
                                       .step = (uint16_t)rule,
                                       .journey = in->journey,
                                       .message = in->message,
                                       .id = in->decision,
                                       .number = number});
}

/* The intent at `place` has ended: its slot goes back unless the message went out, its journey goes
 * on. Later intents move down. */
static void finish(struct person *who, uint32_t place, enum outcome outcome, uint32_t rule)
{
    struct intent in = *person_intent(who, place);
    bool is_out = outcome == OUTCOME_SENT || outcome == OUTCOME_UNKNOWN;
    if (!is_out)
        return_slot(who, &in);
    bool was_told = in.state == INTENT_IN_DOUBT; /* the journey went on when the doubt began */
    note_decision(who, &in, outcome, rule, in.created_ms);
    person_note(who, "message %.*s: %.*s%s%s", STR_ARG(names_text(who->names, in.message)),
                STR_ARG(outcome_term(outcome)->name), rule ? ", rule " : "", rule_name(rule));
    blob_set(who->space, &in.entry, NULL, 0);
    person_drop_intent(who, place);
    who->changed |= plan_wake_bit(in.message);
    who->is_touched = true;
    if (!in.goes_on && !was_told)
        who->settled(who, in.instance, in.decision, in.step, outcome);
}

static bool is_held_out(const struct person *who)
{
    return who->plan->holdout != 0 &&
           hash_chance(who->plan->holdout_salt, who->id) < who->plan->holdout;
}

void desk_propose(struct person *who, const struct instance *from, uint16_t step)
{
    const struct plan *plan = person_plan(who, from->plan);
    const struct plan_journey *j = &plan->journeys[from->journey_index];
    const struct plan_send *send = &j->steps[step].send;
    const struct plan_message *m = &plan->messages[send->message];
    const struct plan_category *c = &plan->categories[m->category];
    uint32_t flags = lane_term((enum lane)c->lane)->flags;
    bool is_ghost = flags & LANE_HOLDOUT && (from->flags & INSTANCE_IS_GHOST || is_held_out(who));
    int64_t valid_ms = send->valid_for_ms ? send->valid_for_ms : m->valid_for_ms;
    struct intent *in =
        who->profile->intents.count < PROFILE_INTENTS_MAX ? person_push_intent(who) : NULL;
    if (in == NULL) {
        struct intent lost = {.decision = from->decision, .message = m->name, .journey = j->name};
        note_decision(who, &lost, OUTCOME_ABORTED, RULE_NONE, who->at_ms);
        who->settled(who, from->id, from->decision, step, OUTCOME_ABORTED);
        return;
    }
    *in = (struct intent){
        .decision = from->decision,
        .instance = from->id,
        .message = m->name,
        .journey = j->name,
        .plan = from->plan,
        .message_index = send->message,
        .journey_index = from->journey_index,
        .step = step,
        .state = INTENT_SETTLING,
        .lane = c->lane,
        .channel_count = send->channel_count,
        .is_ghost = is_ghost,
        .goes_on = send->goes_on,
        .journey_priority = j->priority,
        .priority = m->priority,
        .created_ms = who->at_ms,
        .settle_ms = who->at_ms + (flags & LANE_SETTLE ? m->settle_ms : 0),
        .deadline_ms = who->at_ms + valid_ms,
        .not_before_ms = FOREVER_MS,
    };
    memcpy(in->channels, send->channels, sizeof(in->channels));
    struct blob entry = {0};
    blob_set(who->space, &entry, blob_at(who->space, from->entry), from->entry.bytes);
    person_touch_intent(who, who->profile->intents.count - 1u)->entry = entry;
    who->is_desk_due = true;
    who->is_touched = true;
}

/* Takes an intent back that is on its way to the provider; it ends with `ending`, or comes back to
 * the desk (OUTCOME_NONE), when the pool has answered. */
static void revoke(struct person *who, struct intent *in, enum outcome ending)
{
    if (in->state == INTENT_REVOKING) {
        if (ending != OUTCOME_NONE)
            in->ending = (uint8_t)ending;
        return;
    }
    must(in->state == INTENT_QUEUED);
    const struct plan *plan = person_plan(who, in->plan);
    uint16_t provider = plan->messages[in->message_index].providers[in->channel];
    in->state = INTENT_REVOKING;
    in->ending = (uint8_t)ending;
    person_send(who, (struct stage_message){
                         .kind = TO_POOL_REVOKE,
                         .channel = in->channel,
                         .provider = plan->providers[provider].name,
                         .decision = in->decision,
                     });
}

/* Ends an intent that nobody wants any more, wherever it is; true if it is out of the list. */
static bool end_pending(struct person *who, uint32_t place, enum outcome outcome)
{
    struct intent *in = person_touch_intent(who, place);
    switch ((enum intent_state)in->state) {
    case INTENT_SETTLING:
    case INTENT_DEFERRED: finish(who, place, outcome, RULE_WANTED); return true;
    case INTENT_QUEUED:
    case INTENT_REVOKING: revoke(who, in, outcome); return false;
    case INTENT_GRANTED:
    case INTENT_IN_DOUBT: return false;
    }
    return false;
}

void desk_cancel(struct person *who, uint64_t instance, enum outcome outcome)
{
    for (uint32_t i = 0; i < who->profile->intents.count;) {
        const struct intent *in = person_intent(who, i);
        bool is_meant =
            in->instance == instance && lane_term((enum lane)in->lane)->flags & LANE_EXITS;
        if (!is_meant || !end_pending(who, i, outcome))
            i++;
    }
}

/* ---- asking the rules -------------------------------------------------------------------------- */

enum verdict_kind { VERDICT_GO, VERDICT_WAIT, VERDICT_END };

struct verdict {
    uint8_t kind;
    uint8_t channel;
    uint8_t rule;
    uint8_t outcome;
    bool is_crowded; /* waits only because reserved slots of lower intents fill a cap */
    int64_t at_ms;   /* GO: until; WAIT: T, FOREVER_MS = unknown */
};

static uint16_t category_now(const struct person *who, uint32_t name)
{
    for (uint32_t i = 0; i < who->plan->category_count; i++)
        if (who->plan->categories[i].name == name)
            return (uint16_t)i;
    return PLAN_NO_INDEX;
}

static struct question question_of(struct person *who, const struct intent *in)
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

/* The first instant from now on at which every rule allows `q`'s channel. */
static struct verdict ask_channel(struct question *q)
{
    struct verdict v = {.kind = VERDICT_WAIT, .channel = (uint8_t)q->channel};
    int64_t known_ms;
    uint8_t rule;
    q->at_ms = q->who->now_ms;
    for (uint32_t i = 0; i < LOOK_AHEADS_MAX; i++) {
        struct answer a = rules_ask(q, &rule, &known_ms);
        if (v.rule == RULE_NONE)
            v.rule = rule;
        switch ((enum answer_kind)a.kind) {
        case ALLOW:
            if (q->at_ms == q->who->now_ms)
                v.kind = VERDICT_GO;
            v.at_ms = v.kind == VERDICT_GO ? a.at_ms : q->at_ms;
            return v;
        case NEVER_HERE:
        case NEVER:
            /* A condition may say never of an instant that lies ahead; it is asked again there. */
            if (q->at_ms > q->who->now_ms) {
                v.at_ms = q->at_ms;
                return v;
            }
            v.kind = VERDICT_END;
            v.outcome = a.outcome;
            v.at_ms = a.kind == NEVER ? 0 : 1; /* 1: another channel may be tried */
            return v;
        case NOT_BEFORE: break;
        }
        if (known_ms > q->intent->deadline_ms) {
            v.kind = VERDICT_END;
            v.outcome = OUTCOME_EXPIRED;
            v.at_ms = 1;
            return v;
        }
        if (a.at_ms == FOREVER_MS) {
            v.at_ms = FOREVER_MS;
            return v;
        }
        must(a.at_ms > q->at_ms);
        q->at_ms = a.at_ms;
    }
    v.at_ms = q->at_ms;
    return v;
}

static struct verdict ask_intent(struct person *who, const struct intent *in)
{
    struct question q = question_of(who, in);
    struct verdict first_end = {.kind = VERDICT_END, .outcome = in->reason, .rule = in->rule};
    if (q.category == PLAN_NO_INDEX || q.journey == PLAN_NO_INDEX)
        return (struct verdict){
            .kind = VERDICT_END, .outcome = OUTCOME_WITHDRAWN, .rule = RULE_WANTED};
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
        struct verdict v = ask_channel(&q);
        if (v.kind == VERDICT_WAIT && v.at_ms == FOREVER_MS && v.rule == RULE_CAP) {
            q.ignores_reserved = true;
            q.at_ms = who->now_ms;
            v.is_crowded = ask_channel(&q).kind == VERDICT_GO;
            q.ignores_reserved = false;
        }
        if (v.kind != VERDICT_END || v.at_ms == 0)
            return v;
        if (first_end.outcome == OUTCOME_NONE)
            first_end = v;
    }
    if (first_end.outcome == OUTCOME_NONE)
        first_end.outcome = OUTCOME_UNREACHABLE; /* no channel was named */
    return first_end;
}

/* What the templates read, as it is now: the address, then the fields by place. */
static struct str freeze(struct person *who, const struct intent *in)
{
    const struct plan *plan = person_plan(who, in->plan);
    const struct plan_message *m = &plan->messages[in->message_index];
    struct str address = person_address(who, (enum channel)in->channel);
    struct buf b;
    buf_init(&b);
    buf_add_varint(&b, address.len);
    buf_add_str(&b, address);
    for (uint32_t i = 0; i < m->field_count; i++) {
        struct value x = ask_slot(who, m->fields[i], in->entry, in->journey, in->message,
                                  in->decision, in->attempt + 1u);
        if (b.len < SPACE_OBJECT_MAX / 2)
            body_put(&b, i + 1, &x);
    }
    if (b.len > SPACE_OBJECT_MAX)
        b.len = 0;
    struct str frozen = arena_copy(who->scratch, buf_str(&b));
    buf_fini(&b);
    return frozen;
}

static void hand_over(struct person *who, uint32_t place, const struct verdict *v)
{
    struct intent *in = person_touch_intent(who, place);
    const struct plan *plan = person_plan(who, in->plan);
    const struct plan_message *m = &plan->messages[in->message_index];
    uint16_t group = plan->journeys[in->journey_index].group;
    uint16_t provider = m->providers[v->channel];
    must(provider != PLAN_NO_INDEX);
    in->channel = v->channel;
    in->rule = RULE_NONE;
    in->not_before_ms = FOREVER_MS;
    if (in->is_ghost) {
        take_slot(who, in, SENT_GHOST);
        finish(who, place, OUTCOME_HELD_OUT, RULE_HOLDOUT);
        return;
    }
    take_slot(who, in, SENT_RESERVED);
    in->state = INTENT_QUEUED;
    in->ending = OUTCOME_NONE;
    in->until_ms = min_of(v->at_ms, in->deadline_ms);
    person_note(who, "message %.*s: allowed by every rule, handed to provider %.*s",
                STR_ARG(names_text(who->names, in->message)),
                STR_ARG(names_text(who->names, plan->providers[provider].name)));
    person_send(
        who, (struct stage_message){
                 .kind = TO_POOL_QUEUE,
                 .channel = in->channel,
                 .lane = in->lane,
                 .attempt = (uint16_t)(in->attempt + 1),
                 .group_rank = group,
                 .provider = plan->providers[provider].name,
                 .plan = in->plan,
                 .message_index = in->message_index,
                 .provider_index = provider,
                 .message = in->message,
                 .journey = in->journey,
                 .journey_priority = in->journey_priority,
                 .priority = in->priority,
                 .decision = in->decision,
                 .created_ms = in->created_ms,
                 .deadline_ms = in->deadline_ms,
                 .until_ms = in->until_ms,
                 .address = address_hash(who->secret, (enum channel)in->channel,
                                         person_address(who, (enum channel)in->channel), who->id),
                 .fields = freeze(who, in),
             });
}

/* ---- competition ------------------------------------------------------------------------------- */

/* Rule 12: lane, group, journey priority, category priority, deadline, age, id. Total. */
static int order_intents(const struct person *who, const struct intent *a, const struct intent *b)
{
    uint16_t group_a = person_plan(who, a->plan)->journeys[a->journey_index].group;
    uint16_t group_b = person_plan(who, b->plan)->journeys[b->journey_index].group;
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
    uint64_t decisions[PROFILE_INTENTS_MAX]; /* best first: places change while we go on */
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
            const struct intent *other = person_intent(who, find_intent(who, up->decisions[k - 1]));
            if (order_intents(who, other, in) <= 0)
                break;
            up->decisions[k] = up->decisions[k - 1];
            k--;
        }
        up->decisions[k] = in->decision;
    }
}

/* The lowest intent at the pool that ranks below place `rank` gives its slot back. */
static void make_room(struct person *who, const struct line_up *up, uint32_t rank)
{
    for (uint32_t i = up->count; i-- > rank + 1;) {
        uint32_t place = find_intent(who, up->decisions[i]);
        if (place == UINT32_MAX || person_intent(who, place)->state != INTENT_QUEUED)
            continue;
        revoke(who, person_touch_intent(who, place), OUTCOME_NONE);
        return;
    }
}

/* Acts on what the rules say about the intent. */
static void act(struct person *who, const struct line_up *up, uint32_t rank, uint32_t place,
                const struct verdict *v)
{
    struct intent *in = person_touch_intent(who, place);
    if (in->state == INTENT_QUEUED) {
        bool still_goes = v->kind == VERDICT_GO && v->channel == in->channel &&
                          min_of(v->at_ms, in->deadline_ms) >= in->until_ms;
        if (!still_goes)
            revoke(who, in, v->kind == VERDICT_END ? (enum outcome)v->outcome : OUTCOME_NONE);
        return;
    }
    switch ((enum verdict_kind)v->kind) {
    case VERDICT_GO: hand_over(who, place, v); return;
    case VERDICT_END: finish(who, place, (enum outcome)v->outcome, v->rule); return;
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
        note_decision(who, in, OUTCOME_DEFERRED, v->rule, v->at_ms);
        if (who->witness != NULL)
            desk_explain(who, place);
    }
    if (v->is_crowded)
        make_room(who, up, rank);
}

static bool is_due(const struct person *who, const struct intent *in)
{
    return in->state != INTENT_SETTLING || in->settle_ms <= who->now_ms;
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
        uint32_t place = find_intent(who, up.decisions[rank]);
        if (place == UINT32_MAX || !is_due(who, person_intent(who, place)))
            continue;
        struct verdict v = ask_intent(who, person_intent(who, place));
        /* Before a lower intent goes, higher ones that still wait for rivals are asked: they are
         * rivals of this moment too. */
        if (v.kind == VERDICT_GO && person_intent(who, place)->state != INTENT_QUEUED) {
            bool has_granted = false;
            for (uint32_t above = 0; above < rank; above++) {
                uint32_t other = find_intent(who, up.decisions[above]);
                if (other == UINT32_MAX || is_due(who, person_intent(who, other)))
                    continue;
                struct verdict early = ask_intent(who, person_intent(who, other));
                if (early.kind != VERDICT_GO)
                    continue;
                act(who, &up, above, other, &early);
                has_granted = true;
            }
            if (has_granted) {
                place = find_intent(who, up.decisions[rank]);
                v = ask_intent(who, person_intent(who, place));
            }
        }
        act(who, &up, rank, place, &v);
    }
}

void desk_explain(struct person *who, uint32_t place)
{
    static const char *const kinds[] = {"allows", "not before", "never here", "never"};
    const struct intent *in = person_intent(who, place);
    struct question q = question_of(who, in);
    struct buf words;
    if (who->witness == NULL || q.category == PLAN_NO_INDEX || q.journey == PLAN_NO_INDEX)
        return;
    buf_init(&words);
    for (uint32_t i = 0; i < in->channel_count; i++) {
        q.channel = (enum channel)in->channels[i];
        q.words = &words;
#define RULE(number, symbol, name, doc)                                                           \
    {                                                                                             \
        words.len = 0;                                                                            \
        struct answer a = rule_##name##_ask(&q);                                                  \
        if (a.kind != ALLOW)                                                                      \
            person_note(who, "message %.*s on %.*s: rule %u %s: %s: %.*s",                        \
                        STR_ARG(names_text(who->names, in->message)),                             \
                        STR_ARG(channel_name(q.channel)), (unsigned)number, #name, kinds[a.kind], \
                        STR_ARG(buf_str(&words)));                                                \
    }
#include "decide/rules.def"
#undef RULE
    }
    buf_fini(&words);
    const struct intent *now = person_intent(who, place);
    if (now->state == INTENT_DEFERRED && now->not_before_ms != FOREVER_MS)
        person_note(who, "message %.*s: asked again at %s; its deadline is %s",
                    STR_ARG(names_text(who->names, now->message)), moment(&q, now->not_before_ms),
                    moment(&q, now->deadline_ms));
    else if (now->state == INTENT_DEFERRED)
        person_note(who, "message %.*s: asked again when that changes; its deadline is %s",
                    STR_ARG(names_text(who->names, now->message)), moment(&q, now->deadline_ms));
}

/* ---- time -------------------------------------------------------------------------------------- */

int64_t desk_deadline(const struct person *who)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        switch ((enum intent_state)in->state) {
        case INTENT_SETTLING:
            next_ms = min_of(next_ms, min_of(in->settle_ms, in->deadline_ms));
            break;
        case INTENT_DEFERRED:
            next_ms = min_of(next_ms, min_of(in->not_before_ms, in->deadline_ms));
            break;
        case INTENT_QUEUED: next_ms = min_of(next_ms, in->deadline_ms); break;
        case INTENT_IN_DOUBT: next_ms = min_of(next_ms, in->granted_ms + IN_DOUBT_LASTS_MS); break;
        case INTENT_REVOKING:
        case INTENT_GRANTED: break;
        }
    }
    return next_ms;
}

void desk_timer(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->intents.count;) {
        const struct intent *in = person_intent(who, i);
        bool is_gone = false;
        switch ((enum intent_state)in->state) {
        case INTENT_SETTLING:
        case INTENT_DEFERRED:
            if (in->deadline_ms <= who->at_ms) {
                finish(who, i, OUTCOME_EXPIRED, in->rule);
                is_gone = true;
            } else if (in->settle_ms <= who->at_ms || in->not_before_ms <= who->at_ms) {
                who->is_desk_due = true;
            }
            break;
        case INTENT_QUEUED:
            if (in->deadline_ms <= who->at_ms)
                revoke(who, person_touch_intent(who, i), OUTCOME_EXPIRED);
            break;
        case INTENT_IN_DOUBT:
            if (in->granted_ms + IN_DOUBT_LASTS_MS <= who->at_ms) {
                finish(who, i, OUTCOME_UNKNOWN, RULE_NONE);
                is_gone = true;
            }
            break;
        case INTENT_REVOKING:
        case INTENT_GRANTED: break;
        }
        if (!is_gone)
            i++;
    }
}

/* ---- answers of later stages ------------------------------------------------------------------- */

/* The channel that it waits for is of no use: on to the next, or the end. */
static void refuse_channel(struct person *who, uint32_t place, enum outcome reason, uint32_t rule)
{
    struct intent *in = person_touch_intent(who, place);
    bool has_more = false;
    for (uint32_t i = 0; i < in->channel_count; i++) {
        if (in->channels[i] == in->channel)
            in->refused |= (uint8_t)(1u << i);
        else if (!(in->refused >> i & 1))
            has_more = true;
    }
    if (in->reason == OUTCOME_NONE)
        in->reason = (uint8_t)reason;
    if (!has_more) {
        finish(who, place, (enum outcome)in->reason, rule);
        return;
    }
    in->state = INTENT_DEFERRED;
    in->rule = (uint8_t)rule;
    in->not_before_ms = FOREVER_MS;
    who->is_desk_due = true;
}

void desk_answer(struct person *who, const struct stage_message *answer)
{
    uint32_t place = find_intent(who, answer->decision);
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
        uint32_t line = find_line(who, in->decision);
        must(line != UINT32_MAX);
        if (person_sent(who, line)->state == SENT_RESERVED) {
            struct sent *s = person_touch_sent(who, line);
            s->state = SENT_SPENT;
            s->at_ms = answer->at_ms;
            note_slot(who, RESULT_SPENT, in);
        }
        return;
    }
    case BACK_REVOKED:
    case BACK_LAPSED: {
        uint32_t line = find_line(who, in->decision);
        if (line != UINT32_MAX && person_sent(who, line)->state == SENT_RESERVED)
            return_slot(who, in);
        in->state = INTENT_DEFERRED;
        in->not_before_ms = FOREVER_MS;
        in->rule = RULE_POOL;
        if (in->ending != OUTCOME_NONE)
            finish(who, place, (enum outcome)in->ending, RULE_WANTED);
        return;
    }
    case BACK_REFUSED: {
        uint32_t line = find_line(who, in->decision);
        if (line != UINT32_MAX && person_sent(who, line)->state == SENT_RESERVED)
            return_slot(who, in);
        in->state = INTENT_DEFERRED;
        if (in->ending != OUTCOME_NONE) {
            finish(who, place, (enum outcome)in->ending, RULE_WANTED);
            return;
        }
        if (answer->how == SUPPRESSED_CAP) {
            in->rule = RULE_ADDRESS;
            in->not_before_ms = answer->at_ms;
            note_decision(who, in, OUTCOME_DEFERRED, RULE_ADDRESS, answer->at_ms);
            person_note(who, "message %.*s: the address has had enough for now",
                        STR_ARG(names_text(who->names, in->message)));
            return;
        }
        refuse_channel(who, place,
                       answer->how == SUPPRESSED_BAD_ADDRESS ? OUTCOME_SUPPRESSED
                                                             : OUTCOME_NO_CONSENT,
                       RULE_ADDRESS);
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

static void suppress_address(struct person *who, enum channel channel)
{
    struct id128 address =
        address_hash(who->secret, channel, person_address(who, channel), who->id);
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

void desk_receipt(struct person *who, const struct receipt *r)
{
    uint32_t place = find_intent(who, r->decision);
    const struct intent *known = place == UINT32_MAX ? NULL : person_intent(who, place);
    uint32_t line = find_line(who, r->decision);
    person_result(who, (struct result){.kind = RESULT_RECEIPT,
                                       .how = (uint8_t)r->kind,
                                       .step = (uint16_t)r->attempt,
                                       .journey = known ? known->journey : 0,
                                       .message = known ? known->message : 0,
                                       .id = r->decision,
                                       .number = r->code});
    who->is_touched = true;
    if (r->kind == RECEIPT_DELIVERED)
        mark_line(who, r->decision, SENT_DELIVERED);
    if (r->kind == RECEIPT_BOUNCED && line != UINT32_MAX && is_hard_bounce(r))
        suppress_address(who, (enum channel)person_sent(who, line)->channel);
    bool is_under_way = known != NULL && known->attempt == r->attempt &&
                        (known->state == INTENT_GRANTED || known->state == INTENT_IN_DOUBT);
    if (!is_under_way || r->kind == RECEIPT_TEMPORARY)
        return;
    struct intent *in = person_touch_intent(who, place);
    bool was_in_doubt = in->state == INTENT_IN_DOUBT;
    if (!was_in_doubt)
        person_send(who, (struct stage_message){.kind = TO_POOL_DONE,
                                                .channel = in->channel,
                                                .provider = r->provider,
                                                .decision = in->decision});
    switch (r->kind) {
    case RECEIPT_ACCEPTED:
    case RECEIPT_DELIVERED:
    case RECEIPT_BOUNCED:
        mark_line(who, r->decision, SENT_ACCEPTED);
        finish(who, place, OUTCOME_SENT, RULE_NONE);
        return;
    case RECEIPT_IN_DOUBT:
        if (was_in_doubt)
            return;
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
        mark_line(who, r->decision, SENT_ACCEPTED);
        who->changed |= plan_wake_bit(in->message);
        note_decision(who, in, OUTCOME_IN_DOUBT, RULE_NONE, in->granted_ms);
        if (!in->goes_on)
            who->settled(who, in->instance, in->decision, in->step, OUTCOME_IN_DOUBT);
        return;
    case RECEIPT_REJECTED_ADDRESS:
        suppress_address(who, (enum channel)in->channel);
        refuse_channel(who, find_intent(who, r->decision), OUTCOME_FAILED, RULE_NONE);
        return;
    case RECEIPT_REJECTED_MESSAGE: refuse_channel(who, place, OUTCOME_FAILED, RULE_NONE); return;
    case RECEIPT_REJECTED_POLICY: finish(who, place, OUTCOME_FAILED, RULE_NONE); return;
    case RECEIPT_ABORTED: finish(who, place, OUTCOME_ABORTED, RULE_NONE); return;
    case RECEIPT_GAVE_UP:
        finish(who, place, in->deadline_ms <= who->now_ms ? OUTCOME_EXPIRED : OUTCOME_FAILED,
               RULE_POOL);
        return;
    case RECEIPT_TEMPORARY:
    case RECEIPT_KIND_END: break;
    }
}

void desk_engaged(struct person *who, uint64_t decision, enum engagement how)
{
    uint32_t line = find_line(who, decision);
    if (line == UINT32_MAX)
        return;
    struct sent s = *person_sent(who, line);
    person_result(who, (struct result){.kind = RESULT_ENGAGED,
                                       .how = (uint8_t)how,
                                       .journey = s.journey,
                                       .message = s.message,
                                       .id = decision});
    if (how == ENGAGED_COMPLAINED) {
        consent_note(
            who, (struct consent){
                     .channel = s.channel,
                     .purpose = NAME_MARKETING,
                     .source = who->event->source,
                     .address = address_hash(who->secret, (enum channel)s.channel,
                                             person_address(who, (enum channel)s.channel), who->id),
                     .at_ms = who->event->event_ms,
                 });
        return;
    }
    mark_line(who, decision, how == ENGAGED_CLICKED ? SENT_CLICKED : SENT_OPENED);
    who->changed |= plan_wake_bit(s.message);
    if (s.content_key != s.message) {
        for (uint32_t i = 0; i < who->profile->intents.count;) {
            const struct intent *in = person_intent(who, i);
            const struct plan_message *m = &person_plan(who, in->plan)->messages[in->message_index];
            bool is_same = m->content_key == s.content_key && in->decision != decision;
            if (!is_same || !end_pending(who, i, OUTCOME_CANCELLED))
                i++;
        }
    }
    who->engaged(who, s.instance, s.message);
}

/* ---- merges ------------------------------------------------------------------------------------ */

void desk_unite(struct person *who, struct person *from)
{
    for (uint32_t i = 0; i < from->profile->ledger.count; i++) {
        const struct sent *theirs = person_sent(from, i);
        if (find_line(who, theirs->decision) != UINT32_MAX)
            continue;
        if (who->profile->ledger.count >= PROFILE_LEDGER_MAX)
            person_drop_sent(who, 0);
        struct sent *line = person_push_sent(who);
        must(line != NULL);
        *line = *theirs;
    }
    for (uint32_t i = 0; i < from->profile->intents.count; i++) {
        struct intent theirs = *person_intent(from, i);
        struct blob entry = {0};
        blob_set(who->space, &entry, blob_at(from->space, theirs.entry), theirs.entry.bytes);
        blob_set(from->space, &theirs.entry, NULL, 0);
        struct intent *in = person_push_intent(who);
        must(in != NULL); /* twice PROFILE_INTENTS_MAX still fit into an object */
        *in = theirs;
        in->entry = entry;
    }
    vec_clear(from->space, &from->profile->intents, sizeof(struct intent));
    /* The same message of both, still waiting: the earlier one stays. */
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *mine = person_intent(who, i);
        for (uint32_t k = i + 1; k < who->profile->intents.count; k++) {
            const struct intent *other = person_intent(who, k);
            bool waits = other->state == INTENT_SETTLING || other->state == INTENT_DEFERRED;
            if (waits && other->message == mine->message && other->journey == mine->journey &&
                other->instance != mine->instance) {
                finish(who, k, OUTCOME_MERGED, RULE_NONE);
                k--;
                mine = person_intent(who, i);
            }
        }
    }
    who->is_desk_due = true;
    who->is_touched = true;
}
