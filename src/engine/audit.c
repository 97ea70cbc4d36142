/* audit.c - what must hold of the state, recounted from scratch: the checkpoints of invariants.h, tests,
 * the simulator, and `wend replay --verify`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/invariants_int.h"

#include <stdarg.h>

#include "base/mem.h"
#include "profile/ask.h"
#include "profile/traits.h"

struct audit {
    struct engine *engine;
    void *self;
    void (*note)(void *self, struct str line);
    uint64_t faults;
};

static void fault(struct audit *a, enum invariant broken, uint64_t profile, const char *format, ...)
    printf_like(4, 5);

static void fault(struct audit *a, enum invariant broken, uint64_t profile, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    invariant_say(a->self, a->note, broken, profile, format, args);
    va_end(args);
    a->faults++;
}

/* Does the line count in the cap, as the cap rule sees it for an intent that the cap means? */
static bool counts(const struct person *who, const struct plan_cap *c, const struct sent *s)
{
    const struct plan *plan = who->plan;
    const struct sent_more *more = person_sent_more(who, s);
    if (!(lane_term((enum lane)s->lane)->flags & LANE_CAPS))
        return false;
    if (c->channels && !(c->channels >> s->channel & 1))
        return false;
    bool is_of_category = c->categories == 0, is_of_group = c->groups == 0;
    for (uint32_t i = 0; i < plan->category_count && !is_of_category; i++)
        is_of_category = plan->categories[i].name == s->category && c->categories >> i & 1;
    for (uint32_t i = 0; i < plan->group_count && !is_of_group; i++)
        is_of_group = plan->groups[i].name == more->group && c->groups >> i & 1;
    bool has_tag = c->messages == NULL;
    for (uint32_t i = 0; i < c->message_count && !has_tag; i++)
        has_tag = c->messages[i] == s->message;
    return is_of_category && is_of_group && has_tag &&
           (c->journey == PLAN_NO_INDEX || plan->journeys[c->journey].name == more->journey);
}

/* Did the batch change what the person's earlier sends are measured by: another programme, a merge? A
 * cap that is over-full by that only blocks. */
static bool is_measured_anew(const struct engine *e, uint64_t profile)
{
    for (uint32_t i = 0; i < e->results.count; i++) {
        const struct result *row = &e->results.rows[i];
        if (row->kind == RESULT_ACTIVATED || (row->kind == RESULT_MERGED && row->id == profile))
            return true;
    }
    return false;
}

/* Is a later line of the same all_of the one that counts in the cap? */
static bool is_companion(const struct person *who, const struct plan_cap *c, uint32_t place)
{
    must(place < who->profile->ledger.count);
    const struct sent *s = person_sent(who, place);
    uint64_t together = person_sent_more(who, s)->together;
    for (uint32_t i = 0; together != 0 && c->channels == 0 && i < who->profile->ledger.count; i++) {
        const struct sent *other = person_sent(who, i);
        if (i != place && person_sent_more(who, other)->together == together &&
            other->state == SENT_SPENT && counts(who, c, other) &&
            (other->at_ms > s->at_ms || (other->at_ms == s->at_ms && i > place)))
            return true;
    }
    return false;
}

/* Did another release grant it? A cap that is over-full by that only blocks. */
static bool is_kept(const struct person *who, uint64_t decision)
{
    return keep_among(who->kept, who->kept_count, &(struct keep){.decision = decision}) != NULL;
}

/* Did the batch spend its slot? Time may stand still, so that of sends at its moment some are older. */
static bool is_new(const struct engine *e, const struct sent *s)
{
    for (uint32_t i = 0; s->at_ms >= e->before_ms && i < e->results.count; i++)
        if (e->results.rows[i].kind == RESULT_SPENT && e->results.rows[i].id == s->decision)
            return true;
    return false;
}

/* No window that ends with a send of the last batch holds more than the cap allows. Older ones were
 * looked at when they were new: since then the programme, the person's clock or who they are may have
 * changed. Calendar windows depend on that clock and are left to the simulator. */
static void check_caps(struct audit *a, struct person *who)
{
    if (is_measured_anew(a->engine, who->id))
        return;
    for (uint32_t i = 0; i < who->plan->cap_count; i++) {
        const struct plan_cap *c = &who->plan->caps[i];
        uint32_t limit = c->kind == CAP_GAP ? 1 : c->limit;
        if (c->kind != CAP_SLIDING && c->kind != CAP_GAP)
            continue;
        for (uint32_t k = 0; k < who->profile->ledger.count; k++) {
            const struct sent *end = person_sent(who, k);
            if (end->state != SENT_SPENT || !is_new(a->engine, end) || !counts(who, c, end))
                continue;
            uint32_t inside = 0, kept = 0;
            for (uint32_t m = 0; m < who->profile->ledger.count; m++) {
                const struct sent *s = person_sent(who, m);
                if (s->state == SENT_SPENT && counts(who, c, s) && !is_companion(who, c, m) &&
                    s->at_ms > end->at_ms - c->window_ms && s->at_ms <= end->at_ms) {
                    inside++;
                    kept += is_kept(who, s->decision);
                }
            }
            if (inside > limit && kept == 0)
                fault(a, INVARIANT_CAP, who->id, "cap \"%.*s\" holds %u of %u at %ld",
                      STR_ARG(c->text), inside, limit, end->at_ms);
        }
    }
}

/* Every reserved line belongs to an intent at the pool, every intent there has its line. */
static void check_slots(struct audit *a, struct person *who)
{
    for (uint32_t i = 0; i < who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(who, i);
        uint32_t owners = 0;
        for (uint32_t k = 0; k < who->profile->intents.count; k++) {
            const struct intent *in = person_intent(who, k);
            owners += in->decision == s->decision && in->has_slot;
        }
        if (s->state == SENT_RESERVED && owners != 1)
            fault(a, INVARIANT_SLOT, who->id, "a reserved slot has %u owners", owners);
        for (uint32_t k = i + 1; k < who->profile->ledger.count; k++)
            if (person_sent(who, k)->decision == s->decision)
                fault(a, INVARIANT_SLOT, who->id, "decision %lx has two lines", s->decision);
    }
    for (uint32_t k = 0; k < who->profile->intents.count; k++) {
        const struct intent *in = person_intent(who, k);
        bool is_at_pool = in->state == INTENT_QUEUED || in->state == INTENT_GRANTED;
        if (is_at_pool && !in->has_slot)
            fault(a, INVARIANT_SLOT, who->id, "intent %lx is under way without a slot",
                  in->decision);
        if (in->deadline_ms < in->created_ms)
            fault(a, INVARIANT_SLOT, who->id, "intent %lx ends before it begins", in->decision);
    }
}

/* Every membership is what its condition says now. */
static void check_memberships(struct audit *a, struct person *who)
{
    if (audience_is_stale(who) || who->profile->known & PROFILE_IS_FRESH)
        return;
    for (uint32_t i = 0; i < who->plan->segment_count; i++) {
        const struct plan_segment *s = &who->plan->segments[i];
        struct audience_reason reason = audience_explain(who, (uint16_t)i);
        bool is_in = audience_is_in(who, s->name);
        if (is_in != reason.is_in)
            fault(a, INVARIANT_MEMBER, who->id, "stored as %s segment \"%.*s\", but is %s: %.*s",
                  is_in ? "in" : "not in", STR_ARG(names_text(who->names, s->name)),
                  reason.is_in ? "in" : "not in", STR_ARG(reason.clause));
    }
    for (uint32_t i = 0; i < who->profile->memberships.count; i++)
        if (person_membership(who, i)->ask_ms < who->profile->audience_ms)
            fault(a, INVARIANT_MEMBER, who->id, "a membership is to be asked before anybody looks");
    for (uint32_t i = 1; i < who->profile->memberships.count; i++)
        if (person_membership(who, i - 1)->segment >= person_membership(who, i)->segment)
            fault(a, INVARIANT_MEMBER, who->id, "memberships are not in order");
}

/* As many are in each segment as are counted. */
static void check_members(struct audit *a)
{
    const struct plans *plans = &a->engine->plans;
    const struct plan *plan = plans->newest ? plans->at[plans->newest] : NULL;
    for (uint32_t i = 0; plan != NULL && i < plan->segment_count; i++) {
        uint64_t count = 0;
        if (plan->segments[i].kind != SEGMENT_NAMED)
            continue;
        for (uint64_t n = engine_each(a->engine, 0); n != 0; n = engine_each(a->engine, n)) {
            struct person who;
            engine_look(a->engine, n, &who);
            count += audience_is_in(&who, plan->segments[i].name);
        }
        if (count != engine_members(a->engine, plan->segments[i].name))
            fault(a, INVARIANT_MEMBER, 0, "segment \"%.*s\" has %lu members, but counts %lu",
                  STR_ARG(names_text(a->engine->names, plan->segments[i].name)), count,
                  engine_members(a->engine, plan->segments[i].name));
    }
}

/* The timer is set to the earliest deadline. */
static void check_timer(struct audit *a, struct person *who)
{
    int64_t due_ms = engine_deadline(who);
    int64_t set_ms = timers_due_ms(engine_timers(a->engine, who->id), (uint32_t)who->id);
    if (max_of(due_ms, who->now_ms + 1) != set_ms && due_ms != set_ms)
        fault(a, INVARIANT_TIMER, who->id, "timer at %ld, earliest deadline at %ld", set_ms,
              due_ms);
}

/* Who holds an address is listed or counted there; *held counts them. */
static void check_addresses(struct audit *a, struct person *who, uint64_t *held)
{
    uint64_t list[ADDRESS_HOLDERS_MAX];
    for (uint32_t i = CHANNEL_NONE + 1; i < CHANNEL_END; i++) {
        struct id128 address = traits_held(who, (enum channel)i);
        uint32_t others;
        if (!id128_is_set(address))
            continue;
        uint32_t count = addresses_list(&a->engine->addresses, address, list, &others);
        bool is_there = others > 0;
        for (uint32_t k = 0; k < count; k++)
            is_there |= list[k] == who->id;
        if (!is_there)
            fault(a, INVARIANT_HOLDER, who->id, "its address on channel %u does not find it", i);
        ++*held;
    }
}

/* Everybody who is listed at an address has it; *listed counts them and those who are only counted. */
static void check_holders(struct audit *a, uint64_t *listed)
{
    uint64_t list[ADDRESS_HOLDERS_MAX];
    struct engine *e = a->engine;
    struct id128 address;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        for (uint32_t place = 0; addresses_next(&e->addresses, i, &place, &address);) {
            uint32_t others, count = addresses_list(&e->addresses, address, list, &others);
            *listed += count + others;
            for (uint32_t k = 0; k < count; k++) {
                struct person who = engine_person(e, list[k]);
                bool has_it = false;
                for (uint32_t c = CHANNEL_NONE + 1; c < CHANNEL_END; c++)
                    has_it |= id128_equal(traits_held(&who, (enum channel)c), address);
                if (!has_it)
                    fault(a, INVARIANT_HOLDER, list[k],
                          "is listed at an address that it does not have");
            }
        }
    }
}

/* Every budget has used at least what is charged to it in its period, and no more than its limit. */
static void check_budgets(struct audit *a)
{
    struct engine *e = a->engine;
    const struct plan *plan = e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
    for (uint32_t i = 0; plan != NULL && i < plan->budget_count; i++) {
        const struct plan_budget *budget = &plan->budgets[i];
        struct budget_period period = budget_period(plan, budget, e->now_ms);
        struct budget_account account = budget_look(&e->budgets, budget, period);
        struct str name = names_text(e->names, budget->name);
        struct index_entry charge;
        int64_t open = 0;
        for (uint32_t place = 0; budgets_next(&e->budgets, &place, &charge);)
            if (charge.key.high == budget->name && (int64_t)charge.second == account.from_ms)
                open += (int64_t)charge.first;
        if (open > account.used)
            fault(a, INVARIANT_BUDGET, 0, "budget \"%.*s\" has used %ld, but %ld are charged",
                  STR_ARG(name), account.used, open);
        if (account.used > budget->limit && e->kept_grant_count == 0 && e->plans.count == 2)
            fault(a, INVARIANT_BUDGET, 0, "budget \"%.*s\" has used %ld of %ld", STR_ARG(name),
                  account.used, budget->limit);
    }
}

enum counted { COUNTED_LIVE = 1, COUNTED_STEP, COUNTED_INTENT, COUNTED_HELD };

/* What the rows counted must be what is there: instances and where they stand, intents. */
struct recount {
    struct map_u64 nets; /* key -> place */
    struct net {
        uint32_t kind, name;
        int64_t more;
    } * net;
    uint32_t count, room;
};

static void add(struct recount *r, enum counted kind, uint64_t a, uint64_t b, int64_t more)
{
    uint64_t key = hash_pair(hash_pair(kind, a), b);
    uint32_t place = map_u64_find(&r->nets, key);
    if (place == MAP_NONE) {
        if (r->count == r->room) {
            r->room = r->room ? r->room * 2 : 64;
            r->net = mem_resize(r->net, r->room * sizeof(r->net[0]));
        }
        must(r->count < r->room);
        place = r->count++;
        r->net[place] = (struct net){kind, (uint32_t)a, 0};
        map_u64_set(&r->nets, key, place);
    }
    must(place < r->count);
    r->net[place].more += more;
}

static void recount_rows(struct recount *r, const struct funnel *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct funnel_row *row = &f->rows[i];
        int64_t n = (int64_t)row->count;
        uint64_t place = (uint64_t)row->version << 16 | row->step;
        switch (row->what) {
        case FUNNEL_ENTERED: add(r, COUNTED_LIVE, row->journey, 0, n); break;
        case FUNNEL_ENDED: add(r, COUNTED_LIVE, row->journey, 0, -n); break;
        case FUNNEL_BEGAN: add(r, COUNTED_STEP, row->journey, place, n); break;
        case FUNNEL_LEFT: add(r, COUNTED_STEP, row->journey, place, -n); break;
        case FUNNEL_PROPOSED:
        case FUNNEL_REOPENED: add(r, COUNTED_INTENT, row->journey, row->name, n); break;
        case FUNNEL_OUTCOME: add(r, COUNTED_INTENT, row->journey, row->name, -n); break;
        default: break;
        }
    }
}

static void recount_person(struct recount *r, const struct person *who)
{
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        uint64_t place = (uint64_t)in->plan << 16 | in->step;
        if (in->state == INSTANCE_QUEUED)
            continue; /* has not begun */
        add(r, COUNTED_LIVE, in->journey, 0, -1);
        add(r, COUNTED_HELD, in->journey, 0, 1);
        if (in->flags & INSTANCE_IN_STEP)
            add(r, COUNTED_STEP, in->journey, place, -1);
    }
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        if (in->state != INTENT_WATCHED)
            add(r, COUNTED_INTENT, in->journey, in->message, -1);
    }
}

static void check_counts(struct audit *a)
{
    static const char *const names[] = {"", "live instances", "people at a step",
                                        "pending messages", "live instances that are counted"};
    struct engine *e = a->engine;
    struct recount r = {0};
    map_u64_init(&r.nets);
    recount_rows(&r, &e->funnel);
    for (uint64_t number = engine_each(e, 0); number != 0; number = engine_each(e, number)) {
        struct person who;
        engine_look(e, number, &who);
        recount_person(&r, &who);
    }
    for (uint32_t i = 0; i < e->live.count; i++)
        add(&r, COUNTED_HELD, e->live.entries[i].key, 0, -(int64_t)e->live.entries[i].value);
    for (uint32_t i = 0; i < r.count; i++)
        if (r.net[i].more != 0)
            fault(a, INVARIANT_COUNT, 0, "%s of journey %.*s: %ld more are counted than are there",
                  names[r.net[i].kind], STR_ARG(names_text(e->names, r.net[i].name)),
                  r.net[i].more);
    map_u64_fini(&r.nets);
    mem_free(r.net);
}

uint64_t audit_person(struct engine *e, struct person *who, void *self,
                      void (*note)(void *self, struct str line))
{
    struct audit a = {.engine = e, .self = self, .note = note};
    if (who->plan == NULL)
        return 0;
    check_caps(&a, who);
    check_slots(&a, who);
    check_timer(&a, who);
    check_memberships(&a, who);
    return a.faults;
}

/* Attempts that people know of, those whose grant is still on its way to them too, against the pools. */
static void check_pools(struct audit *a, uint64_t in_flight)
{
    struct engine *e = a->engine;
    const struct plan *plan = e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
    uint64_t at_providers = 0, waiting = 0;
    for (uint32_t i = 0; i < e->pools.count; i++) {
        const struct pool *pool = &e->pools.at[i];
        uint16_t index = plan != NULL ? plan_provider_find(plan, pool->provider) : PLAN_NO_INDEX;
        at_providers += pool->in_flight;
        if (index != PLAN_NO_INDEX && e->batch > 0 &&
            pool->in_flight > plan->providers[index].slots && e->plans.newest == 1)
            fault(a, INVARIANT_FLIGHT, 0, "%u attempts at a provider of %u connections",
                  pool->in_flight, plan->providers[index].slots);
    }
    for (uint32_t i = 0; i < PARTITIONS; i++)
        for (uint32_t k = 0; k < e->partitions[i].inbox.count; k++)
            waiting += e->partitions[i].inbox.at[k].kind == BACK_GRANTED;
    if (at_providers != in_flight + waiting)
        fault(a, INVARIANT_FLIGHT, 0, "%lu attempts at providers, %lu known to people",
              at_providers, in_flight + waiting);
}

uint64_t engine_audit(struct engine *e, void *self, void (*note)(void *self, struct str line))
{
    struct audit a = {.engine = e, .self = self, .note = note};
    uint64_t in_flight = 0, held = 0, listed = 0;
    bool keeps = e->keeps_profiles; /* nobody is changed */
    e->keeps_profiles = false;
    for (uint64_t number = engine_each(e, 0); number != 0; number = engine_each(e, number)) {
        struct person who;
        engine_look(e, number, &who);
        check_addresses(&a, &who, &held);
        a.faults += audit_person(e, &who, self, note);
        for (uint32_t i = 0; i < who.profile->intents.count; i++)
            in_flight += person_intent(&who, i)->state == INTENT_GRANTED;
        for (uint32_t i = 0; i < who.profile->listings.count; i++)
            in_flight += person_listing(&who, i)->state >= LISTING_GRANTED;
        for (uint32_t i = 0; i < who.profile->errands.count; i++) {
            uint8_t state = person_errand(&who, i)->state;
            in_flight += state == ERRAND_GRANTED || state == ERRAND_RECALLED;
        }
    }
    check_holders(&a, &listed);
    if (held != listed)
        fault(&a, INVARIANT_HOLDER, 0, "%lu addresses are held, %lu are known", held, listed);
    check_members(&a);
    check_budgets(&a);
    if (!e->is_shadow)
        check_counts(&a);
    check_pools(&a, in_flight);
    e->keeps_profiles = keeps;
    return a.faults;
}
