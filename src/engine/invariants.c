/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/invariants.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "decide/check.h"
#include "engine/invariants_int.h"

#define REMEMBERED_MS     (23 * HOUR_MS) /* a message id counts once in 24 h: no fault on the edge */
#define CHECKPOINT_MIN    16 /* batches between two checkpoints; more, with more people */
#define CHECKPOINT_PEOPLE 8

enum life { LIFE_UNKNOWN, LIFE_OPEN, LIFE_ENDED };
enum slot { SLOT_UNKNOWN, SLOT_RESERVED, SLOT_SPENT, SLOT_RETURNED };

/* What the rows have said of a decision. */
struct decision {
    uint64_t id;
    uint64_t profile;
    uint8_t life; /* enum life */
    uint8_t slot; /* enum slot */
    uint8_t last; /* enum outcome that it came to */
    uint8_t was_spent;
    uint64_t seen; /* the checkpoint that found it among somebody's intents */
};

/* And of an instance. */
struct trip {
    uint64_t id;
    uint16_t steps[2]; /* that it is in: while it waits, a reaction may do others aside */
    uint8_t step_count;
    uint8_t life;
    bool has_moved;
};

struct past_attempt {
    int64_t at_ms;
    uint32_t older; /* place + 1 of the one before to this address */
    uint8_t lane;
};

struct invariants {
    struct engine *engine;
    void *self;
    void (*note)(void *self, struct str line);
    bool is_whole; /* it was there from the first batch on */
    uint64_t faults;
    uint64_t checkpoint; /* batch of the last one */
    uint64_t checkpoints;
    struct map_u64 decision_places, trip_places, address_places, message_places, code_places;
    struct decision *decisions;
    uint32_t decision_count, decision_room;
    struct trip *trips;
    uint32_t trip_count, trip_room;
    struct past_attempt *attempts;
    uint32_t attempt_count, attempt_room;
    int64_t *messages; /* when each id was applied last */
    uint32_t message_count, message_room;
    uint64_t *codes; /* the decision that has the code */
    uint32_t code_count, code_room;

    struct person *who; /* at work on a grant */
    const struct intent *intent;
};

static const struct {
    const char *name, *doc;
} terms[] = {
    {"", ""},
#define INVARIANT(symbol, name, bug, doc) {#name, doc},
#include "engine/invariants.def"
#undef INVARIANT
};

const char *invariant_name(enum invariant invariant)
{
    return invariant < INVARIANT_END ? terms[invariant].name : "";
}

const char *invariant_doc(enum invariant invariant)
{
    return invariant < INVARIANT_END ? terms[invariant].doc : "";
}

void invariant_say(void *self, void (*note)(void *self, struct str line), enum invariant broken,
                   uint64_t profile, const char *format, va_list args)
{
    char text[500];
    int used = snprintf(text, sizeof(text), "%s: profile %lx: ", invariant_name(broken), profile);
    must(used > 0);
    int more = vsnprintf(text + used, sizeof(text) - (size_t)used, format, args);
    must(more > 0);
    if (note != NULL)
        note(self, (struct str){text, strlen(text)});
}

static void fault(struct invariants *v, enum invariant broken, uint64_t profile, const char *format,
                  ...) printf_like(4, 5);

static void fault(struct invariants *v, enum invariant broken, uint64_t profile, const char *format,
                  ...)
{
    va_list args;
    va_start(args, format);
    invariant_say(v->self, v->note, broken, profile, format, args);
    va_end(args);
    v->faults++;
}

struct invariants *invariants_new(struct engine *e, void *self,
                                  void (*note)(void *self, struct str line))
{
    must(e != NULL);
    struct invariants *v = mem_new(sizeof(*v));
    v->engine = e;
    v->self = self;
    v->note = note;
    v->is_whole = engine_batch(e) == 0;
    v->checkpoint = engine_batch(e);
    map_u64_init(&v->decision_places);
    map_u64_init(&v->trip_places);
    map_u64_init(&v->address_places);
    map_u64_init(&v->message_places);
    map_u64_init(&v->code_places);
    return v;
}

void invariants_free(struct invariants *v)
{
    if (v == NULL)
        return;
    map_u64_fini(&v->decision_places);
    map_u64_fini(&v->trip_places);
    map_u64_fini(&v->address_places);
    map_u64_fini(&v->message_places);
    map_u64_fini(&v->code_places);
    mem_free(v->decisions);
    mem_free(v->trips);
    mem_free(v->attempts);
    mem_free(v->messages);
    mem_free(v->codes);
    mem_free(v);
}

/* Room for one more in a list that doubles. */
#define ADD(list, count, room)                                                          \
    ((count) == (room)                                                                  \
         ? ((room) = (room) ? (room)*2 : 64,                                            \
            (list) = mem_resize((list), (size_t)(room) * sizeof((list)[0])), (count)++) \
         : (count)++)

static struct decision *decision_of(struct invariants *v, uint64_t id)
{
    uint32_t place = map_u64_find(&v->decision_places, id);
    if (place == MAP_NONE) {
        place = ADD(v->decisions, v->decision_count, v->decision_room);
        v->decisions[place] = (struct decision){.id = id};
        map_u64_set(&v->decision_places, id, place);
    }
    must(v->decisions[place].id == id);
    return &v->decisions[place];
}

static struct trip *trip_of(struct invariants *v, uint64_t id)
{
    uint32_t place = map_u64_find(&v->trip_places, id);
    if (place == MAP_NONE) {
        place = ADD(v->trips, v->trip_count, v->trip_room);
        v->trips[place] = (struct trip){.id = id};
        map_u64_set(&v->trip_places, id, place);
    }
    must(v->trips[place].id == id);
    return &v->trips[place];
}

/* ---- records ------------------------------------------------------------------------------------- */

static bool says_duplicate(const struct engine *e, uint64_t message)
{
    for (uint32_t i = 0; i < e->results.count; i++)
        if (e->results.rows[i].kind == RESULT_DUPLICATE && e->results.rows[i].id == message)
            return true;
    return false;
}

/* A message id that was applied is a duplicate for a day; one that never was is none. */
static void check_once(struct invariants *v, const struct batch *b)
{
    bool has_duplicates = false;
    for (uint32_t i = 0; i < v->engine->results.count; i++)
        has_duplicates |= v->engine->results.rows[i].kind == RESULT_DUPLICATE;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct record *r = &b->records[i];
        if (r->type != RECORD_EVENT || r->message_hash == 0)
            continue;
        uint32_t place = map_u64_find(&v->message_places, r->message_hash);
        bool was_told = has_duplicates && says_duplicate(v->engine, r->message_hash);
        if (place != MAP_NONE && !was_told && r->at_ms - v->messages[place] < REMEMBERED_MS)
            fault(v, INVARIANT_ONCE, 0, "message %lx is applied again after %ld ms",
                  r->message_hash, r->at_ms - v->messages[place]);
        if (place == MAP_NONE && was_told && v->is_whole) {
            bool is_second = false; /* in this very batch */
            for (uint32_t k = 0; k < b->count; k++)
                is_second |= k != i && b->records[k].message_hash == r->message_hash;
            if (!is_second)
                fault(v, INVARIANT_ONCE, 0, "message %lx was never applied", r->message_hash);
        }
        if (place == MAP_NONE) {
            place = ADD(v->messages, v->message_count, v->message_room);
            map_u64_set(&v->message_places, r->message_hash, place);
            v->messages[place] = r->at_ms;
        } else if (!was_told) {
            v->messages[place] = r->at_ms;
        }
    }
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static bool is_waiting(uint8_t outcome)
{
    return outcome_term((enum outcome)outcome)->class == OUTCOME_WAITING;
}

static void on_proposed(struct invariants *v, const struct result *row)
{
    struct decision *d = decision_of(v, row->id);
    if (d->life != LIFE_UNKNOWN)
        fault(v, INVARIANT_OUTCOME, row->profile, "decision %lx is proposed twice", row->id);
    *d = (struct decision){.id = row->id, .profile = row->profile, .life = LIFE_OPEN};
}

static void on_decided(struct invariants *v, const struct result *row)
{
    struct decision *d = decision_of(v, row->id);
    d->profile = row->profile;
    if (d->life == LIFE_UNKNOWN && v->is_whole)
        fault(v, INVARIANT_OUTCOME, row->profile, "decision %lx was never proposed", row->id);
    if (d->life == LIFE_ENDED)
        fault(v, INVARIANT_OUTCOME, row->profile,
              "decision %lx came to %.*s, and to %.*s after that", row->id,
              STR_ARG(outcome_term((enum outcome)d->last)->name),
              STR_ARG(outcome_term((enum outcome)row->how)->name));
    d->life = is_waiting(row->how) ? LIFE_OPEN : LIFE_ENDED;
    d->last = row->how;
}

static void on_reopened(struct invariants *v, const struct result *row)
{
    struct decision *d = decision_of(v, row->id);
    if (d->life == LIFE_OPEN || (d->life == LIFE_ENDED && d->last != OUTCOME_SENT))
        fault(v, INVARIANT_OUTCOME, row->profile, "decision %lx is opened again, but was not sent",
              row->id);
    d->life = LIFE_OPEN;
}

static void on_slot(struct invariants *v, const struct result *row)
{
    static const char *const names[] = {"of nobody", "reserved", "spent", "returned"};
    struct decision *d = decision_of(v, row->id);
    uint8_t to = row->kind == RESULT_RESERVED ? SLOT_RESERVED
                 : row->kind == RESULT_SPENT  ? SLOT_SPENT
                                              : SLOT_RETURNED;
    bool is_fine = to == SLOT_RESERVED ? d->slot != SLOT_RESERVED || d->was_spent
                   : to == SLOT_SPENT  ? d->slot == SLOT_RESERVED
                                       : d->slot == SLOT_RESERVED || d->slot == SLOT_SPENT;
    if (!is_fine && !(d->slot == SLOT_UNKNOWN && !v->is_whole))
        fault(v, INVARIANT_SLOT, row->profile, "the slot of decision %lx is %s, and was %s",
              row->id, names[to], names[d->slot]);
    d->was_spent |= to == SLOT_SPENT || (d->slot == SLOT_UNKNOWN && !v->is_whole); /* who knows */
    d->slot = to;
}

static const struct plan_journey *journey_of_row(const struct invariants *v,
                                                 const struct result *row)
{
    const struct plan *plan =
        row->version < v->engine->plans.count ? v->engine->plans.at[row->version] : NULL;
    uint16_t index = plan != NULL ? plan_journey_find(plan, row->journey) : PLAN_NO_INDEX;
    return index == PLAN_NO_INDEX ? NULL : &plan->journeys[index];
}

static void on_entered(struct invariants *v, const struct result *row)
{
    struct trip *t = trip_of(v, row->id);
    const struct plan_journey *j = journey_of_row(v, row);
    if (t->life != LIFE_UNKNOWN)
        fault(v, INVARIANT_INSTANCE, row->profile, "instance %lx enters twice", row->id);
    *t = (struct trip){.id = row->id, .life = LIFE_OPEN};
    if (j != NULL && row->number == 0 && j->holdout != 0 &&
        hash_chance(j->salt, row->profile) < j->holdout)
        fault(v, INVARIANT_LOT, row->profile, "instance %lx is not held out, its person is",
              row->id);
}

static void on_ended(struct invariants *v, const struct result *row)
{
    struct trip *t = trip_of(v, row->id);
    bool is_known = t->life != LIFE_UNKNOWN;
    if (t->life == LIFE_ENDED || (v->is_whole && !is_known))
        fault(v, INVARIANT_INSTANCE, row->profile, "instance %lx ends, and %s", row->id,
              is_known ? "had ended" : "never entered");
    if (t->step_count > 0)
        fault(v, INVARIANT_INSTANCE, row->profile, "instance %lx ends, and never left step %u",
              row->id, t->steps[0]);
    t->life = LIFE_ENDED;
}

static void on_step(struct invariants *v, const struct result *row)
{
    struct trip *t = trip_of(v, row->id);
    bool is_again = t->step_count == 2 || (t->step_count == 1 && t->steps[0] == row->step);
    if (is_again || t->life == LIFE_ENDED)
        fault(v, INVARIANT_INSTANCE, row->profile, "step %u of instance %lx begins, and %s",
              row->step, row->id, is_again ? "it is in one" : "it has ended");
    if (t->step_count < 2)
        t->steps[t->step_count++] = row->step;
}

/* A wait for a fixed time of a journey in which nothing but that time ends it. */
static bool is_plain_wait(const struct plan_journey *j, uint16_t step)
{
    if (j == NULL || step >= j->step_count || j->steps[step].kind != STEP_WAIT ||
        j->reaction_count > 0 || j->milestone_count > 0)
        return false;
    const struct plan_wait *w = &j->steps[step].wait;
    return w->for_ms > 0 && w->for_days == 0 && w->until_count == 0 && w->until_if.code == NULL &&
           w->ending_count == 0 && w->reset_by == NAME_NONE && w->after_message == NAME_NONE &&
           w->at_most_ms == 0 && w->engaged_message == PLAN_NO_INDEX;
}

static void on_left(struct invariants *v, const struct result *row)
{
    struct trip *t = trip_of(v, row->id);
    const struct plan_journey *j = journey_of_row(v, row);
    bool is_there = t->step_count > 0 && t->steps[t->step_count - 1] == row->step;
    if (!is_there && (t->step_count > 0 || t->life != LIFE_UNKNOWN))
        fault(v, INVARIANT_INSTANCE, row->profile, "instance %lx leaves step %u, and is not there",
              row->id, row->step);
    must(t->step_count <= 2);
    t->step_count -= t->step_count > 0;
    t->has_moved |= row->how == LEFT_FOR_VERSION;
    if (row->how == LEFT_FOR_NEXT && t->life == LIFE_OPEN && !t->has_moved &&
        is_plain_wait(j, row->step) && row->number < j->steps[row->step].wait.for_ms)
        fault(v, INVARIANT_TIMER, row->profile, "a wait of %ld ms is over after %ld ms",
              j->steps[row->step].wait.for_ms, row->number);
}

static void on_arm(struct invariants *v, const struct result *row)
{
    const struct plan_journey *j = journey_of_row(v, row);
    if (j == NULL || row->step >= j->step_count || j->steps[row->step].kind != STEP_SPLIT)
        return;
    const struct plan_arm *arm = plan_split_arm(&j->steps[row->step].split, row->profile);
    if (arm == NULL || arm->name != row->number)
        fault(v, INVARIANT_LOT, row->profile, "instance %lx takes another arm than its person does",
              row->id);
}

/* ---- grants --------------------------------------------------------------------------------------- */

static void on_refusal(void *self, uint32_t rule, struct str facts)
{
    static const uint8_t broken[] = {
        [RULE_REACHABLE] = INVARIANT_REACH,
        [RULE_CONSENT] = INVARIANT_CONSENT,
        [RULE_REGULATION] = INVARIANT_REGULATION,
        [RULE_WANTED] = INVARIANT_WANTED,
        [RULE_HOLD] = INVARIANT_HOLD,
        [RULE_GROUP] = INVARIANT_GROUP,
        [RULE_ROLE] = INVARIANT_ROLE,
        [RULE_DUPLICATE] = INVARIANT_DUPLICATE,
        [RULE_WINDOW] = INVARIANT_WINDOW,
        [RULE_CAP] = INVARIANT_LINE,
        [RULE_POOL] = INVARIANT_PUT_OFF,
        [RULE_ADDRESS] = INVARIANT_PUT_OFF,
    };
    struct invariants *v = self;
    if (rule >= array_count(broken) || broken[rule] == INVARIANT_NONE)
        return; /* a budget: this grant may have been what it had left */
    fault(v, (enum invariant)broken[rule], v->who->id, "message %.*s is granted, though %.*s",
          STR_ARG(names_text(v->who->names, v->intent->message)), STR_ARG(facts));
}

static uint32_t count_attempts(const struct invariants *v, uint32_t newest, bool is_opt_in,
                               int64_t after_ms)
{
    uint32_t count = 0;
    for (uint32_t place = newest; place != 0; place = v->attempts[place - 1].older) {
        must(place <= v->attempt_count);
        const struct past_attempt *a = &v->attempts[place - 1];
        if (a->at_ms <= after_ms)
            break;
        uint32_t flags = lane_term((enum lane)a->lane)->flags;
        count += is_opt_in ? (flags & LANE_RATIONED) != 0 : (flags & LANE_CAPS) != 0;
    }
    must(count <= v->attempt_count);
    return count;
}

static void check_address(struct invariants *v, const struct person *who, const struct intent *in)
{
    struct engine *e = v->engine;
    uint64_t key = hash_pair(in->address.high, in->address.low);
    uint32_t newest = map_u64_find(&v->address_places, key);
    uint32_t flags = lane_term((enum lane)in->lane)->flags;
    uint32_t limit = who->plan->address_limit ? who->plan->address_limit : PLAN_ADDRESS_LIMIT;
    uint32_t place = ADD(v->attempts, v->attempt_count, v->attempt_room);
    v->attempts[place] =
        (struct past_attempt){e->now_ms, newest == MAP_NONE ? 0 : newest, in->lane};
    map_u64_set(&v->address_places, key, place + 1);
    if (flags & LANE_CAPS && count_attempts(v, place + 1, false, e->now_ms - DAY_MS) > limit)
        fault(v, INVARIANT_ADDRESS, who->id, "an address gets %u in a day, of %u", limit + 1,
              limit);
    if (flags & LANE_RATIONED &&
        (count_attempts(v, place + 1, true, e->now_ms - OPT_IN_DAY_MS) > 1 ||
         count_attempts(v, place + 1, true, e->now_ms - OPT_IN_MONTH_MS) > OPT_IN_MONTH_MAX))
        fault(v, INVARIANT_ADDRESS, who->id, "an address gets more confirmations than it may");
    struct address a = gate_look(&e->gate, in->address);
    if (a.is_bad)
        fault(v, INVARIANT_ADDRESS, who->id, "a bad address gets an attempt");
}

static void check_code(struct invariants *v, const struct person *who, const struct intent *in)
{
    const struct plan *plan = who->plan;
    for (uint32_t i = 0; i < plan->voucher_count; i++) {
        const struct index_entry *own = index_find(
            &v->engine->vouchers.holders, (struct id128){plan->vouchers[i].name, in->decision});
        if (own == NULL)
            continue;
        uint64_t code = hash_pair(plan->vouchers[i].name, own->first);
        uint32_t place = map_u64_find(&v->code_places, code);
        if (place == MAP_NONE) {
            place = ADD(v->codes, v->code_count, v->code_room);
            map_u64_set(&v->code_places, code, place);
        } else if (v->codes[place] != in->decision) {
            const struct decision *d = decision_of(v, v->codes[place]);
            if (d->life == LIFE_OPEN || d->last == OUTCOME_SENT || d->last == OUTCOME_UNKNOWN ||
                d->last == OUTCOME_BOUNCED)
                fault(v, INVARIANT_VOUCHER, who->id, "a code goes to decision %lx and to %lx",
                      d->id, in->decision);
        }
        v->codes[place] = in->decision;
    }
}

static void on_granted(struct invariants *v, const struct result *row)
{
    struct engine *e = v->engine;
    struct person who;
    uint32_t place = 0;
    engine_look(e, row->profile, &who);
    while (place < who.profile->intents.count && person_intent(&who, place)->decision != row->id)
        place++;
    struct decision *d = decision_of(v, row->id);
    if (place == who.profile->intents.count || d->life == LIFE_ENDED) {
        fault(v, INVARIANT_OUTCOME, row->profile, "decision %lx is granted, and has ended",
              row->id);
        return;
    }
    /* The grant is still on its way back: the intent stands as it was handed over. */
    const struct intent *in = person_intent(&who, place);
    bool is_told = e->sweep == PARTITIONS && e->walk_count == 0;
    if (in->deadline_ms <= e->now_ms || (in->state == INTENT_QUEUED && in->until_ms <= e->now_ms))
        fault(v, INVARIANT_WANTED, row->profile, "decision %lx is granted after its time", row->id);
    if (is_told && desk_check_held_out(&who, in))
        fault(v, INVARIANT_HELD_OUT, row->profile, "message %.*s is granted",
              STR_ARG(names_text(who.names, in->message)));
    v->who = &who;
    v->intent = in;
    if (is_told && in->state == INTENT_QUEUED)
        desk_check_grant(&who, in, v, on_refusal);
    check_address(v, &who, in);
    check_code(v, &who, in);
}

static void check_rows(struct invariants *v)
{
    for (uint32_t i = 0; i < v->engine->results.count; i++) {
        const struct result *row = &v->engine->results.rows[i];
        switch (row->kind) {
        case RESULT_PROPOSED: on_proposed(v, row); break;
        case RESULT_DECIDED: on_decided(v, row); break;
        case RESULT_REOPENED: on_reopened(v, row); break;
        case RESULT_RESERVED:
        case RESULT_SPENT:
        case RESULT_RETURNED: on_slot(v, row); break;
        case RESULT_ENTERED: on_entered(v, row); break;
        case RESULT_ENDED: on_ended(v, row); break;
        case RESULT_STEP: on_step(v, row); break;
        case RESULT_LEFT: on_left(v, row); break;
        case RESULT_ARM: on_arm(v, row); break;
        case RESULT_GRANTED: on_granted(v, row); break;
        default: break;
        }
    }
}

/* ---- people ---------------------------------------------------------------------------------------- */

/* The ledger and the intents against what the rows have said of them. */
static void check_told(struct invariants *v, struct person *who)
{
    for (uint32_t i = 0; i < who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(who, i);
        if (s->state != SENT_RESERVED && s->state != SENT_SPENT)
            continue;
        const struct decision *d = decision_of(v, s->decision);
        bool is_fine = d->slot == SLOT_UNKNOWN ? !v->is_whole
                       : s->state == SENT_RESERVED
                           ? d->slot == SLOT_RESERVED
                           : d->slot == SLOT_SPENT || (d->slot == SLOT_RESERVED && d->was_spent);
        if (!is_fine)
            fault(v, INVARIANT_SLOT, who->id, "a line of decision %lx is not what was told of it",
                  s->decision);
    }
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        struct decision *d = decision_of(v, in->decision);
        bool is_over = in->state == INTENT_WATCHED;
        d->seen = v->checkpoints;
        if (d->life == (is_over ? LIFE_OPEN : LIFE_ENDED))
            fault(v, INVARIANT_OUTCOME, who->id, "decision %lx is %s, and that was %s",
                  in->decision, is_over ? "over" : "open",
                  is_over ? "not told" : "told to be over");
    }
}

static void check_people(struct invariants *v)
{
    struct engine *e = v->engine;
    uint64_t last = 0;
    if (e->is_shadow || e->plans.newest == 0)
        return;
    for (uint32_t i = 0; i < e->item_count; i++) {
        must((e->keys[i] & 0xffffff) < e->item_count);
        uint64_t number = e->items[e->keys[i] & 0xffffff].profile;
        struct person who;
        if (number == last || profile_forward(engine_profile(e, number)) != 0)
            continue;
        last = number;
        engine_look(e, number, &who);
        check_told(v, &who);
        v->faults += audit_person(e, &who, v->self, v->note);
        if (desk_check_order(&who) != UINT32_MAX && e->sweep == PARTITIONS)
            fault(v, INVARIANT_HIGHER, number, "message %.*s waits for a slot that a lower one has",
                  STR_ARG(
                      names_text(who.names, person_intent(&who, desk_check_order(&who))->message)));
    }
}

/* ---- from outside ---------------------------------------------------------------------------------- */

uint64_t invariants_checkpoint(struct invariants *v)
{
    struct engine *e = v->engine;
    uint64_t before = v->faults;
    v->checkpoint = e->batch;
    v->checkpoints++;
    for (uint64_t number = engine_each(e, 0); number != 0; number = engine_each(e, number)) {
        struct person who;
        engine_look(e, number, &who);
        check_told(v, &who);
    }
    for (uint32_t i = 0; i < v->decision_count; i++) {
        const struct decision *d = &v->decisions[i];
        if (d->life == LIFE_OPEN && d->seen != v->checkpoints)
            fault(v, INVARIANT_OUTCOME, d->profile, "decision %lx is open, and nobody's", d->id);
    }
    v->faults += engine_audit(e, v->self, v->note);
    return v->faults - before;
}

uint64_t invariants_batch(struct invariants *v, const struct batch *batch)
{
    uint64_t before = v->faults;
    if (v->engine->is_shadow)
        return 0;
    check_once(v, batch);
    check_rows(v);
    check_people(v);
    uint64_t people = engine_profile_count(v->engine);
    if (v->engine->batch - v->checkpoint >= max_of(people / CHECKPOINT_PEOPLE, CHECKPOINT_MIN))
        (void)invariants_checkpoint(v);
    must(v->faults >= before);
    return v->faults - before;
}
