/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/rule.h"

#include "profile/ask.h"
#include "profile/consent.h"
#include "profile/holds.h"
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

static uint32_t find_intent(const struct person *who, uint64_t decision)
{
    for (uint32_t i = 0; i < who->profile->intents.count; i++)
        if (person_intent(who, i)->decision == decision)
            return i;
    return UINT32_MAX;
}

/* Makes room for one more line: the oldest goes whose intent has ended. */
static void forget_line(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->ledger.count; i++) {
        if (find_intent(who, person_sent(who, i)->decision) != UINT32_MAX)
            continue;
        person_drop_sent(who, i);
        return;
    }
    must(!"a ledger of pending intents only: PROFILE_LEDGER_MAX > PROFILE_UNITED_MAX");
}

_Static_assert(PROFILE_LEDGER_MAX > PROFILE_UNITED_MAX, "a line without an intent can go");

static void take_slot(struct person *who, struct intent *in, enum sent_state state)
{
    const struct plan *plan = person_plan(who, in->plan);
    const struct plan_message *m = &plan->messages[in->message_index];
    const struct plan_journey *j = &plan->journeys[in->journey_index];
    if (in->has_slot) { /* an earlier attempt's: it only moves to the new channel */
        uint32_t place = find_line(who, in->decision);
        must(place != UINT32_MAX);
        struct sent *own = person_touch_sent(who, place);
        own->channel = in->channel;
        own->address = in->address;
        return;
    }
    if (who->profile->ledger.count >= PROFILE_LEDGER_MAX)
        forget_line(who);
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
        .address = in->address,
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
        if (s->at_ms < oldest_ms && find_intent(who, s->decision) == UINT32_MAX)
            person_drop_sent(who, i);
        else
            i++;
    }
}

/* ---- how intents come and end ------------------------------------------------------------------ */

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

static bool was_doubted(const struct person *who, const struct intent *in)
{
    uint32_t line = in->has_slot ? find_line(who, in->decision) : UINT32_MAX;
    return line != UINT32_MAX && (person_sent(who, line)->flags & SENT_DOUBTED);
}

/* The intent at `place` has ended: its slot goes back unless the message went out or may have, its
 * journey goes on. Later intents move down. */
static void finish(struct person *who, uint32_t place, enum outcome outcome, uint32_t rule)
{
    struct intent in = *person_intent(who, place);
    bool is_doubted = was_doubted(who, &in);
    if (is_doubted && outcome == OUTCOME_EXPIRED)
        outcome = OUTCOME_UNKNOWN;
    bool is_out = outcome == OUTCOME_SENT || outcome == OUTCOME_UNKNOWN;
    if (!is_out && !is_doubted)
        return_slot(who, &in);
    bool was_told = in.state == INTENT_IN_DOUBT; /* the journey went on when the doubt began */
    note_decision(who, &in, outcome, rule, in.created_ms);
    person_note(who, "message %.*s: %.*s%s%s", STR_ARG(names_text(who->names, in.message)),
                STR_ARG(outcome_term(outcome)->name), rule ? ", rule " : "", rule_name(rule));
    blob_set(who->space, &in.entry, NULL, 0);
    person_drop_intent(who, place);
    person_changed_name(who, in.message);
    who->is_touched = true;
    if (!in.goes_on && !was_told)
        who->settled(who, in.instance, in.decision, in.step, outcome);
}

static bool is_held_out(const struct person *who)
{
    return who->plan->holdout != 0 &&
           hash_chance(who->plan->holdout_salt, who->id) < who->plan->holdout;
}

/* Rule 5: does a holdout cover what an instance with these flags says in the lane? */
static bool is_ghost(const struct person *who, enum lane lane, uint8_t instance_flags)
{
    return lane_term(lane)->flags & LANE_HOLDOUT &&
           (instance_flags & INSTANCE_IS_GHOST || is_held_out(who));
}

void desk_propose(struct person *who, const struct instance *from, uint16_t step)
{
    const struct plan *plan = person_plan(who, from->plan);
    const struct plan_journey *j = &plan->journeys[from->journey_index];
    const struct plan_send *send = &j->steps[step].send;
    const struct plan_message *m = &plan->messages[send->message];
    const struct plan_category *c = &plan->categories[m->category];
    uint32_t flags = lane_term((enum lane)c->lane)->flags;
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
        .is_ghost = is_ghost(who, (enum lane)c->lane, from->flags),
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

/* The name of the provider that it is handed to. */
static uint32_t provider_of(const struct person *who, const struct intent *in)
{
    const struct plan *plan = person_plan(who, in->plan);
    uint16_t provider = plan->messages[in->message_index].providers[in->channel];
    must(provider != PLAN_NO_INDEX);
    return plan->providers[provider].name;
}

/* Takes an intent back that is on its way to the provider; it ends with `ending`, or comes back to
 * the desk (OUTCOME_NONE), when the pool has answered. */
static void revoke(struct person *who, struct intent *in, enum outcome ending)
{
    if (in->state == INTENT_REVOKING) {
        if (in->ending == OUTCOME_NONE)
            in->ending = (uint8_t)ending;
        return;
    }
    must(in->state == INTENT_QUEUED);
    in->state = INTENT_REVOKING;
    in->ending = (uint8_t)ending;
    person_send(who, (struct stage_message){
                         .kind = TO_POOL_REVOKE,
                         .channel = in->channel,
                         .provider = provider_of(who, in),
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
    case INTENT_GRANTED: /* what is under way may still arrive; if it does not, it is over */
        if (in->ending == OUTCOME_NONE)
            in->ending = (uint8_t)outcome;
        return false;
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
    bool is_last;  /* END: no other channel may be tried */
    int64_t at_ms; /* GO: until; WAIT: T, FOREVER_MS = unknown */
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

/* The first instant from now on at which every rule with a known end allows `q`'s channel. Rules whose
 * end is unknown wait for their wake-up and prove nothing. */
static struct verdict ask_channel(struct question *q)
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

static struct verdict ask_intent(struct person *who, const struct intent *in)
{
    struct question q = question_of(who, in);
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
        struct verdict v = ask_channel(&q);
        if (v.kind != VERDICT_END || v.is_last)
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
    struct buf *b = who->bytes;
    b->len = 0;
    buf_add_varint(b, address.len);
    buf_add_str(b, address);
    for (uint32_t i = 0; i < m->field_count; i++) {
        struct value x = ask_slot(who, m->fields[i], in->entry, in->journey, in->message,
                                  in->decision, in->attempt + 1u);
        size_t before = b->len;
        body_put(b, i + 1, &x);
        if (b->len > SPACE_OBJECT_MAX)
            b->len = before; /* it would not fit into the queue: rendered as if it were missing */
    }
    return arena_copy(who->scratch, buf_str(b));
}

static struct id128 address_now(const struct person *who, enum channel channel)
{
    return address_hash(who->secret, channel, person_address(who, channel), who->id);
}

/* Has anything changed that was frozen when the intent was handed over? What a message says is what is
 * true when it is granted. */
static bool is_stale(const struct person *who, const struct intent *in)
{
    const struct plan_message *m = &person_plan(who, in->plan)->messages[in->message_index];
    for (uint32_t i = 0; i < m->field_count; i++)
        if (SLOT_SPACE(m->fields[i]) == SLOT_TRAIT &&
            who->changed & plan_wake_bit(SLOT_NAME(m->fields[i])))
            return true;
    return !id128_equal(in->address, address_now(who, (enum channel)in->channel));
}

/* The group's place among groups as they are now: lower goes first, none comes last. */
static uint16_t group_now(const struct person *who, const struct intent *in)
{
    uint16_t journey = in->plan == who->plans->newest ? in->journey_index
                                                      : plan_journey_find(who->plan, in->journey);
    return journey == PLAN_NO_INDEX ? PLAN_NO_INDEX : who->plan->journeys[journey].group;
}

static void hand_over(struct person *who, uint32_t place, const struct verdict *v)
{
    struct intent *in = person_touch_intent(who, place);
    const struct plan *plan = person_plan(who, in->plan);
    const struct plan_message *m = &plan->messages[in->message_index];
    uint16_t provider = m->providers[v->channel];
    must(provider != PLAN_NO_INDEX);
    in->channel = v->channel;
    in->address = address_now(who, (enum channel)v->channel);
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
    must(in->until_ms > who->now_ms); /* else the pool would send it straight back */
    person_note(who, "message %.*s: allowed by every rule, handed to provider %.*s",
                STR_ARG(names_text(who->names, in->message)),
                STR_ARG(names_text(who->names, plan->providers[provider].name)));
    person_send(who, (struct stage_message){
                         .kind = TO_POOL_QUEUE,
                         .channel = in->channel,
                         .lane = in->lane,
                         .attempt = (uint16_t)(in->attempt + 1),
                         .group_rank = group_now(who, in),
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
                         .address = in->address,
                         .fields = freeze(who, in),
                     });
}

/* ---- competition ------------------------------------------------------------------------------- */

/* Rule 12: lane, group, journey priority, category priority, deadline, age, id. Total. */
static int order_intents(const struct person *who, const struct intent *a, const struct intent *b)
{
    uint16_t group_a = group_now(who, a);
    uint16_t group_b = group_now(who, b);
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
            const struct intent *other = person_intent(who, find_intent(who, up->decisions[k - 1]));
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
    struct question q = question_of(who, in);
    q.channel = (enum channel)in->channel;
    q.yields = yields;
    q.yield_count = count;
    return ask_channel(&q).kind == VERDICT_GO;
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
            const struct intent *before = person_intent(who, find_intent(who, yields[k - 1]));
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
        revoke(who, person_touch_intent(who, find_intent(who, yields[i])), OUTCOME_NONE);
}

/* Acts on what the rules say about the intent. */
static void act(struct person *who, uint32_t place, const struct verdict *v)
{
    struct intent *in = person_touch_intent(who, place);
    if (in->state == INTENT_QUEUED) {
        bool still_goes = v->kind == VERDICT_GO && v->channel == in->channel &&
                          in->until_ms > who->now_ms &&
                          min_of(v->at_ms, in->deadline_ms) >= in->until_ms && !is_stale(who, in);
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
                if (other == UINT32_MAX || !is_settling(who, person_intent(who, other)))
                    continue;
                struct verdict early = ask_intent(who, person_intent(who, other));
                if (early.kind != VERDICT_GO)
                    continue;
                act(who, other, &early);
                has_granted = true;
            }
            if (has_granted) {
                place = find_intent(who, up.decisions[rank]);
                v = ask_intent(who, person_intent(who, place));
            }
        }
        act(who, place, &v);
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
        case INTENT_QUEUED: next_ms = min_of(next_ms, min_of(in->until_ms, in->deadline_ms)); break;
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
            else if (in->until_ms <= who->at_ms)
                who->is_desk_due = true;
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
    if (in->ending != OUTCOME_NONE) { /* it was called off meanwhile */
        finish(who, place, (enum outcome)in->ending, RULE_WANTED);
        return;
    }
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
        if (answer->how == SUPPRESSED_CAP && in->ending == OUTCOME_NONE) {
            if (answer->at_ms >= in->deadline_ms) {
                refuse_channel(who, place, OUTCOME_EXPIRED, RULE_ADDRESS);
                return;
            }
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

/* The address is bad, whether or not it still is the person's. */
static void suppress_address(struct person *who, enum channel channel, struct id128 address)
{
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

/* The attempt ended without acceptance, and no other will be made. */
static void fail(struct person *who, uint32_t place, enum outcome outcome, uint32_t rule)
{
    const struct intent *in = person_intent(who, place);
    bool is_called_off = in->ending != OUTCOME_NONE;
    finish(who, place, is_called_off ? (enum outcome)in->ending : outcome,
           is_called_off ? (uint32_t)RULE_WANTED : rule);
}

/* It turns out that an attempt in doubt was accepted: if the next one is not under way, it is not made. */
static void accept_late(struct person *who, uint32_t place)
{
    struct intent *in = person_touch_intent(who, place);
    switch ((enum intent_state)in->state) {
    case INTENT_SETTLING:
    case INTENT_DEFERRED:
        mark_line(who, in->decision, SENT_ACCEPTED);
        finish(who, place, OUTCOME_SENT, RULE_NONE);
        return;
    case INTENT_QUEUED:
    case INTENT_REVOKING:
        mark_line(who, in->decision, SENT_ACCEPTED);
        in->ending = OUTCOME_NONE; /* whatever else it was to come to */
        revoke(who, in, OUTCOME_SENT);
        in->ending = OUTCOME_SENT;
        return;
    case INTENT_GRANTED:
    case INTENT_IN_DOUBT: return;
    }
}

void desk_receipt(struct person *who, const struct receipt *r)
{
    uint32_t place = find_intent(who, r->decision);
    const struct intent *known = place == UINT32_MAX ? NULL : person_intent(who, place);
    uint32_t line = find_line(who, r->decision);
    const struct sent *sent = line == UINT32_MAX ? NULL : person_sent(who, line);
    person_result(who, (struct result){.kind = RESULT_RECEIPT,
                                       .how = (uint8_t)r->kind,
                                       .step = (uint16_t)r->attempt,
                                       .journey = known  ? known->journey
                                                  : sent ? sent->journey
                                                         : 0,
                                       .message = known  ? known->message
                                                  : sent ? sent->message
                                                         : 0,
                                       .id = r->decision,
                                       .number = r->code});
    who->is_touched = true;
    if (r->kind == RECEIPT_DELIVERED)
        mark_line(who, r->decision, SENT_DELIVERED);
    if (r->kind == RECEIPT_BOUNCED && sent != NULL && is_hard_bounce(r))
        suppress_address(who, (enum channel)sent->channel, sent->address);
    if (known == NULL || known->attempt != r->attempt || r->attempt == 0)
        return;
    if (known->state != INTENT_GRANTED && known->state != INTENT_IN_DOUBT) {
        if (r->kind == RECEIPT_ACCEPTED || r->kind == RECEIPT_DELIVERED)
            accept_late(who, place);
        return;
    }
    if (r->kind == RECEIPT_TEMPORARY)
        return;
    struct intent *in = person_touch_intent(who, place);
    bool was_in_doubt = in->state == INTENT_IN_DOUBT;
    if (!was_in_doubt)
        person_send(who, (struct stage_message){.kind = TO_POOL_DONE,
                                                .channel = in->channel,
                                                .provider = provider_of(who, in),
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
        mark_line(who, r->decision, SENT_DOUBTED);
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
        person_changed_name(who, in->message);
        note_decision(who, in, OUTCOME_IN_DOUBT, RULE_NONE, in->granted_ms);
        if (!in->goes_on)
            who->settled(who, in->instance, in->decision, in->step, OUTCOME_IN_DOUBT);
        return;
    case RECEIPT_REJECTED_ADDRESS:
        suppress_address(who, (enum channel)in->channel, in->address);
        refuse_channel(who, find_intent(who, r->decision), OUTCOME_FAILED, RULE_NONE);
        return;
    case RECEIPT_REJECTED_MESSAGE: refuse_channel(who, place, OUTCOME_FAILED, RULE_NONE); return;
    case RECEIPT_REJECTED_POLICY: fail(who, place, OUTCOME_FAILED, RULE_NONE); return;
    case RECEIPT_ABORTED: fail(who, place, OUTCOME_ABORTED, RULE_NONE); return;
    case RECEIPT_GAVE_UP:
        fail(who, place, in->deadline_ms <= who->now_ms ? OUTCOME_EXPIRED : OUTCOME_FAILED,
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
        consent_note(who, (struct consent){
                              .channel = s.channel,
                              .purpose = NAME_MARKETING,
                              .source = who->event->source,
                              .address = s.address,
                              .at_ms = who->event->event_ms,
                          });
        holds_complaint(who, who->event->event_ms);
        return;
    }
    mark_line(who, decision, how == ENGAGED_CLICKED ? SENT_CLICKED : SENT_OPENED);
    person_changed_name(who, s.message);
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

static bool is_waiting(const struct intent *in)
{
    return in->state == INTENT_SETTLING || in->state == INTENT_DEFERRED;
}

/* What is known of the instance of an intent, which may have ended: its flags and key. */
static void look_up_instance(const struct person *who, uint64_t instance, uint8_t *flags,
                             uint64_t *key)
{
    *flags = 0;
    *key = 0;
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        if (in->id != instance)
            continue;
        *flags = in->flags;
        *key = in->key;
        return;
    }
    for (uint32_t i = 0; i < who->profile->pasts.count; i++) {
        const struct past *p = person_past(who, i);
        if (p->id != instance)
            continue;
        *flags = p->flags;
        *key = p->key;
        return;
    }
}

/* Do both say the same to the same end: one message of one journey, about one cart? */
static bool is_twin(const struct person *who, const struct intent *a, const struct intent *b)
{
    uint8_t flags;
    uint64_t key_a, key_b;
    if (a->message != b->message || a->journey != b->journey || a->instance == b->instance)
        return false;
    look_up_instance(who, a->instance, &flags, &key_a);
    look_up_instance(who, b->instance, &flags, &key_b);
    return key_a == key_b;
}

/* Pending intents with the same message and key become one: a waiting one gives way to one that is
 * under way, or was there before it. */
static void drop_twins(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->intents.count;) {
        const struct intent *in = person_intent(who, i);
        bool gives_way = false;
        for (uint32_t k = 0; k < who->profile->intents.count && is_waiting(in); k++) {
            const struct intent *other = person_intent(who, k);
            if (k != i && (k < i || !is_waiting(other)) && is_twin(who, in, other))
                gives_way = true;
        }
        if (gives_way)
            finish(who, i, OUTCOME_MERGED, RULE_NONE);
        else
            i++;
    }
}

/* The control group of now covers what was not tried yet, and nothing else. */
static void mark_ghosts(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        struct intent *in = person_touch_intent(who, i);
        bool is_untried = in->attempt == 0 && (is_waiting(in) || in->state == INTENT_QUEUED ||
                                               in->state == INTENT_REVOKING);
        uint8_t flags;
        uint64_t key;
        look_up_instance(who, in->instance, &flags, &key);
        bool is_one = is_ghost(who, (enum lane)in->lane, flags);
        if (!is_untried || in->is_ghost == is_one)
            continue;
        in->is_ghost = is_one;
        if (in->state == INTENT_QUEUED)
            revoke(who, in, OUTCOME_NONE);
    }
}

void desk_activated(struct person *who)
{
    mark_ghosts(who);
    who->is_desk_due = true;
    who->is_touched = true;
}

uint32_t desk_under_way(const struct person *who)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < who->profile->intents.count; i++)
        count += !is_waiting(person_intent(who, i));
    return count;
}

/* Ends the last waiting intent; false if there is none. */
static bool drop_waiting(struct person *who)
{
    for (uint32_t i = who->profile->intents.count; i-- > 0;) {
        if (!is_waiting(person_intent(who, i)))
            continue;
        finish(who, i, OUTCOME_MERGED, RULE_NONE);
        return true;
    }
    return false;
}

void desk_unite(struct person *who, struct person *from)
{
    must(desk_under_way(who) + desk_under_way(from) <= PROFILE_UNITED_MAX);
    while (who->profile->intents.count + from->profile->intents.count > PROFILE_UNITED_MAX) {
        bool has_dropped = drop_waiting(from) || drop_waiting(who);
        must(has_dropped);
    }
    for (uint32_t i = 0; i < from->profile->intents.count; i++) {
        struct intent theirs = *person_intent(from, i);
        struct blob entry = {0};
        blob_set(who->space, &entry, blob_at(from->space, theirs.entry), theirs.entry.bytes);
        blob_set(from->space, &theirs.entry, NULL, 0);
        struct intent *in = person_push_intent(who);
        must(in != NULL);
        *in = theirs;
        in->entry = entry;
    }
    for (uint32_t i = 0; i < from->profile->ledger.count; i++) {
        const struct sent *theirs = person_sent(from, i);
        if (find_line(who, theirs->decision) != UINT32_MAX)
            continue;
        if (who->profile->ledger.count >= PROFILE_LEDGER_MAX)
            forget_line(who);
        struct sent *line = person_push_sent(who);
        must(line != NULL);
        *line = *theirs;
    }
    vec_clear(from->space, &from->profile->intents, sizeof(struct intent));
    vec_clear(from->space, &from->profile->ledger, sizeof(struct sent));
    drop_twins(who);
    mark_ghosts(who);
    who->is_desk_due = true;
    who->is_touched = true;
}
