/* SPDX-License-Identifier: Apache-2.0 */
#include "base/canary.h"
#include "engine/engine_int.h"

#include "base/canary.h"
#include "base/mem.h"
#include "journey/appointment.h"
#include "profile/choices.h"
#include "profile/consent.h"
#include "profile/feature.h"
#include "profile/holds.h"
#include "profile/stage.h"
#include "profile/traits.h"

#define SETTLE_ROUNDS_MAX 32   /* journeys that go on at once propose again; bounded */
#define WAKE_MANY         1024 /* timers that are taken at once */
#define MOMENTS_MAX       4096 /* moments of one person's timers in one batch; then all at once */
#define SWEEP_WORK        4096 /* people that a batch looks at */
#define SWEEP_TOLD        15   /* who is told counts for so many more */
#define MESSAGES_DEFAULT  (64u << 20)

/* ---- profiles ---------------------------------------------------------------------------------- */

void engine_expect_profiles(struct engine *e, uint32_t partition, uint32_t count)
{
    must(partition < PARTITIONS);
    struct partition *p = &e->partitions[partition];
    if (count <= p->room)
        return;
    p->room = count;
    p->profiles = mem_resize(p->profiles, p->room * sizeof(p->profiles[0]));
}

uint64_t engine_add_profile(struct engine *e, uint32_t partition)
{
    must(partition < PARTITIONS);
    struct partition *p = &e->partitions[partition];
    if (p->count == p->room) {
        p->room = p->room + p->room / 4 + 4;
        p->profiles = mem_resize(p->profiles, p->room * sizeof(p->profiles[0]));
    }
    must(p->count < TIMERS_NODE_END >> 8);
    p->profiles[p->count] = space_alloc(&p->space, sizeof(struct profile));
    must(profile_local(profile_number(partition, p->count)) == p->count);
    return profile_number(partition, p->count++);
}

void engine_arm(struct engine *e, uint64_t number, int64_t due_ms)
{
    must(profile_local(number) >= 1);
    must(profile_local(number) < e->partitions[profile_partition(number)].count);
    timers_set(engine_timers(e, number), (uint32_t)number, due_ms);
}

static uint64_t create_profile(void *self, uint32_t partition, int64_t at_ms)
{
    struct engine *e = self;
    uint64_t number = engine_add_profile(e, partition);
    struct profile *profile = engine_profile(e, number);
    must(profile_forward(profile) == 0);
    profile->first_seen_ms = profile->last_seen_ms = at_ms;
    profile->appointed_plan = APPOINTED_NEVER;
    audience_created(profile, e->plans.newest);
    results_add(&e->results,
                (struct result){.kind = RESULT_CREATED, .profile = number, .at_ms = e->now_ms});
    return number;
}

static struct profile *find_profile(void *self, uint64_t number)
{
    return engine_profile(self, number);
}

static void note_shared(void *self, uint64_t profile, uint64_t other)
{
    struct engine *e = self;
    must(profile != other);
    results_add(&e->results,
                (struct result){
                    .kind = RESULT_SHARED, .profile = profile, .id = other, .at_ms = e->now_ms});
}

void engine_count_members(struct engine *e, uint32_t segment, int32_t more)
{
    uint32_t count = map_u64_find(&e->members, segment);
    int64_t now = (int64_t)(count == MAP_NONE ? 0 : count) + more;
    must(now >= 0);
    map_u64_set(&e->members, segment, (uint32_t)now);
}

uint32_t engine_count_live(struct engine *e, uint32_t journey, int32_t more)
{
    uint32_t count = map_u64_find(&e->live, journey);
    int64_t now = (int64_t)(count == MAP_NONE ? 0 : count) + more;
    must(now >= 0);
    if (more != 0)
        map_u64_set(&e->live, journey, (uint32_t)now);
    return (uint32_t)now;
}

uint64_t engine_members(const struct engine *e, uint32_t segment)
{
    uint32_t count = map_u64_find(&e->members, segment);
    return count == MAP_NONE ? 0 : count;
}

/* Each named segment's transitions of the batch have rows. */
static void count_transitions(struct engine *e)
{
    for (uint32_t i = 0; i < e->results.count; i++) {
        const struct result *row = &e->results.rows[i];
        if (row->kind == RESULT_MEMBERSHIP)
            engine_count_members(e, (uint32_t)row->number, row->how & 1 ? 1 : -1);
    }
}

/* ---- where the rooms meet ---------------------------------------------------------------------- */

static void on_settled(struct person *who, uint64_t instance, uint64_t decision, uint16_t step,
                       enum outcome outcome)
{
    struct engine *e = who->engine;
    must(e->settled_merged <= e->settled_count);
    if (e->settled_count == e->settled_room) {
        e->settled_room = e->settled_room ? e->settled_room * 2 : 64;
        e->settled = mem_resize(e->settled, e->settled_room * sizeof(e->settled[0]));
    }
    must(e->settled_count < e->settled_room);
    must(outcome != OUTCOME_NONE);
    e->settled[e->settled_count++] =
        (struct settled){who->id, instance, decision, e->resolving, step, (uint8_t)outcome};
}

static void on_entered(struct person *who, uint32_t event, uint32_t segment)
{
    struct engine *e = who->engine;
    must(event != NAME_NONE);
    must(e->told_count <= TOLD_MAX);
    if (e->told_count < TOLD_MAX)
        e->told[e->told_count++] = (struct told){event, segment};
    else
        results_add(&e->results, (struct result){.kind = RESULT_ERROR,
                                                 .profile = who->id,
                                                 .at_ms = who->at_ms,
                                                 .number = segment});
}

static uint32_t count_live(const struct person *who, uint32_t journey, int32_t more)
{
    return engine_count_live(who->engine, journey, more);
}

static uint8_t look_on(const struct person *who, const struct stage_message *attempt)
{
    const struct engine *e = who->engine;
    int64_t at_ms;
    must(who->plan != NULL);
    return gate_look_on(&e->gate, who->plan, attempt, who->now_ms, &at_ms);
}

struct person engine_person(struct engine *e, uint64_t number)
{
    must(e->plans.newest < e->plans.count);
    return (struct person){
        .space = &e->partitions[profile_partition(number)].space,
        .addresses = &e->addresses,
        .profile = engine_profile(e, number),
        .id = number,
        .plans = &e->plans,
        .plan = e->plans.newest ? e->plans.at[e->plans.newest] : NULL,
        .controls = &e->controls,
        .budgets = &e->budgets,
        .hours = &e->hours,
        .names = e->names,
        .names_end = e->names_told,
        .secret = e->secret,
        .scratch = &e->scratch,
        .bytes = &e->bytes,
        .now_ms = e->now_ms,
        .at_ms = e->before_ms,
        .results = &e->results,
        .messages = &e->messages,
        .witness = e->watched == number ? e->witness : NULL,
        .kept = e->kept_grants,
        .kept_count = e->kept_grant_count,
        .engine = e,
        .propose = desk_propose,
        .cancel = desk_cancel,
        .call_off = desk_call_off,
        .replaced = journey_replaced,
        .settled = on_settled,
        .engaged = journey_engaged,
        .feature_of = change_feature,
        .entered = on_entered,
        .look_on = look_on,
        .count_live = count_live,
        .refresh = audience_changed,
    };
}

void engine_add_item(struct engine *e, uint64_t profile, enum item_kind kind, uint32_t place)
{
    if (e->item_count == e->item_room) {
        e->item_room = e->item_room ? e->item_room * 2 : 1024;
        e->items = mem_resize(e->items, e->item_room * sizeof(e->items[0]));
        e->keys = mem_resize(e->keys, e->item_room * sizeof(e->keys[0]));
        e->spare_keys = mem_resize(e->spare_keys, e->item_room * sizeof(e->spare_keys[0]));
    }
    must(e->item_count < e->item_room);
    must(profile_local(profile) >= 1);
    must(kind <= ITEM_ALARM);
    e->items[e->item_count++] = (struct item){profile, kind, place};
}

static bool merge_profiles(void *self, uint64_t loser, uint64_t winner)
{
    struct engine *e = self;
    must(loser != winner);
    struct person from = engine_person(e, loser);
    struct person who = engine_person(e, winner);
    struct profile *l = from.profile, *w = who.profile;
    must(profile_forward(l) == 0);
    must(profile_forward(w) == 0);
    if (desk_under_way(&who) + desk_under_way(&from) > PROFILE_UNITED_MAX)
        return false;
    e->counts.late_merges += l->ledger.count > 0;
    change_note_merge(e, loser);
    saving_note_merge(e, loser);
    sweeps_merge(e, loser, winner);
    lifecycle_merge(e, loser, winner);
    from.at_ms = who.at_ms = e->now_ms;
    from.witness = who.witness = NULL;
    if (audience_is_stale(&from))
        audience_activated(&from);
    if (audience_is_stale(&who))
        audience_activated(&who);
    traits_unite(&who, &from);
    consent_unite(&who, &from);
    choices_unite(&who, &from);
    features_unite(&who, &from);
    holds_unite(&who, &from);
    audience_unite(&who, &from);
    stage_unite(&who, &from);
    appointments_unite(&who, &from);
    appointments_forget(&from);
    if (who.plan != NULL) {
        journey_unite(&who, &from);
        desk_unite(&who, &from);
    }
    listings_unite(&who, &from);
    habits_unite(&who, &from);
    errands_unite(&who, &from);
    w->first_seen_ms = min_of(w->first_seen_ms, l->first_seen_ms);
    w->last_seen_ms = max_of(w->last_seen_ms, l->last_seen_ms);
    w->known |= l->known;
    w->identifier_count =
        (uint8_t)min_of(w->identifier_count + l->identifier_count, PROFILE_IDENTIFIERS_MAX);
    w->zone_plan = 0;
    features_clear(from.space, l);
    for (uint32_t i = 0; i < l->pasts.count; i++) {
        struct blob entry = person_past(&from, i)->entry;
        blob_set(from.space, &entry, NULL, 0);
    }
    traits_forget(&from);
    claims_merge(e, loser, winner);
    vec_clear(from.space, &l->consents, sizeof(struct consent));
    rare_clear(from.space, l, RARE_CHOICES, sizeof(struct choice));
    rare_clear(from.space, l, RARE_WISHES, sizeof(struct wish));
    rare_clear(from.space, l, RARE_LISTINGS, sizeof(struct listing));
    rare_clear(from.space, l, RARE_ERRANDS, sizeof(struct errand));
    vec_clear(from.space, &l->instances, sizeof(struct instance));
    rare_clear(from.space, l, RARE_PASTS, sizeof(struct past));
    vec_clear(from.space, &l->intents, sizeof(struct intent));
    sent_clear(from.space, &l->ledger);
    rare_clear(from.space, l, RARE_HOLDS, sizeof(struct hold));
    for (uint32_t i = 0; i < l->memberships.count; i++) {
        const struct membership *m = person_membership(&from, i);
        if (m->flags & MEMBERSHIP_IS_IN && names_text(e->names, m->segment).at[0] != '$')
            engine_count_members(e, m->segment, -1);
    }
    vec_clear(from.space, &l->memberships, sizeof(struct membership));
    must(w->intents.count <= PROFILE_UNITED_MAX);
    must(w->ledger.count <= PROFILE_LEDGER_MAX);
    rare_clear(from.space, l, RARE_STANDINGS, sizeof(struct standing));
    profile_set_forward(l, winner);
    engine_arm(e, loser, FOREVER_MS);
    results_add(
        &e->results,
        (struct result){.kind = RESULT_MERGED, .profile = loser, .id = winner, .at_ms = e->now_ms});
    e->counts.merges++;
    for (uint32_t i = 0; i < e->settled_count; i++)
        if (e->settled[i].profile == loser)
            e->settled[i].profile = winner;
    engine_add_item(e, winner, ITEM_TOUCH, e->resolving);
    return true;
}

/* ---- life -------------------------------------------------------------------------------------- */

struct engine *engine_new(const struct engine_options *options)
{
    struct engine *e = mem_new(sizeof(*e));
    pages_init(&e->pages);
    for (uint32_t half = 0; half < 2; half++)
        e->timers[half] = timers_new();
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        struct partition *p = &e->partitions[i];
        space_init_in(&p->space, &e->pages);
        p->count = 1;
        p->room = 4;
        p->profiles = mem_new(p->room * sizeof(p->profiles[0]));
    }
    identity_init(&e->identity,
                  options->messages_remembered ? options->messages_remembered : MESSAGES_DEFAULT,
                  &e->pages);
    e->host = (struct identity_host){
        .self = e,
        .create = create_profile,
        .profile = find_profile,
        .merge = merge_profiles,
        .shared = note_shared,
    };
    addresses_init(&e->addresses, &e->host);
    pools_init(&e->pools);
    vouchers_init(&e->vouchers);
    budgets_init(&e->budgets);
    gate_init(&e->gate);
    e->gate.host = &e->host;
    controls_init(&e->controls);
    funnel_init(&e->funnel);
    monitors_init(&e->monitors);
    e->names = names_new();
    e->names_told = NAME_FIXED_END;
    e->plans.at = mem_new(sizeof(e->plans.at[0]));
    e->plans.count = 1;
    memcpy(e->secret, options->secret, sizeof(e->secret));
    e->shelf = options->shelf;
    e->plan_of = options->plan_of;
    e->is_shadow = options->is_shadow;
    e->split = split_new(&options->split);
    e->tidy = PARTITIONS;
    arena_init(&e->scratch, 256 * 1024);
    buf_init(&e->bytes);
    map_u64_init(&e->members);
    map_u64_init(&e->live);
    e->sweep = PARTITIONS;
    must(e->names_told <= names_count(e->names));
    return e;
}

void engine_free(struct engine *e)
{
    if (e == NULL)
        return;
    saving_fini(e);
    for (uint32_t half = 0; half < 2; half++)
        timers_free(e->timers[half]);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        struct partition *p = &e->partitions[i];
        space_fini(&p->space);
        mem_free(p->profiles);
        mem_free(p->inbox.at);
    }
    identity_fini(&e->identity);
    addresses_fini(&e->addresses);
    claims_fini(&e->claims);
    pools_fini(&e->pools);
    vouchers_fini(&e->vouchers);
    budgets_fini(&e->budgets);
    sweeps_fini(e);
    selectors_fini(e);
    lifecycle_fini(e);
    funnel_fini(&e->funnel);
    monitors_engine_fini(e);
    gate_fini(&e->gate);
    names_free(e->names);
    mem_free(e->erased);
    mem_free(e->plans.at);
    mem_free(e->prepared);
    mem_free(e->kept_grants);
    change_fini(e);
    mem_free(e->split);
    arena_fini(&e->scratch);
    mem_free(e->results.rows);
    mem_free(e->messages.at);
    mem_free(e->inbox.at);
    mem_free(e->items);
    mem_free(e->keys);
    mem_free(e->spare_keys);
    mem_free(e->settled);
    mem_free(e->actions);
    mem_free(e->recalls);
    buf_fini(&e->bytes);
    map_u64_fini(&e->members);
    map_u64_fini(&e->live);
    pages_fini(&e->pages);
    mem_free(e);
}

void engine_prepare(struct engine *e, const struct plan *plan)
{
    must(plan != NULL);
    e->prepared = mem_resize(e->prepared, (e->prepared_count + 1) * sizeof(e->prepared[0]));
    e->prepared[e->prepared_count++] = plan;
}

void engine_learn(struct engine *e, const struct names *names)
{
    for (uint32_t i = names_count(e->names); i < names_count(names); i++)
        must(names_add(e->names, names_text(names, i)) == i);
}

static const struct plan *prepared_plan(const struct engine *e, struct str hash)
{
    for (uint32_t i = e->prepared_count; i-- > 0;)
        if (str_is(hash, e->prepared[i]->hash))
            return e->prepared[i];
    return NULL;
}

bool engine_knows(const struct engine *e, struct str hash)
{
    return prepared_plan(e, hash) != NULL;
}

/* ---- records that every partition applies ------------------------------------------------------ */

static void apply_broadcasts(struct engine *e, const struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const struct record *r = &b->records[i];
        if (r->type == RECORD_NAME) {
            uint32_t name = names_add(e->names, body_get_text(r->clear, NAME_TEXT));
            must(name == r->name);
            e->names_told = max_of(e->names_told, name + 1);
        } else if (r->type == RECORD_PROGRAMME) {
            saving_lose(e);
            change_apply(e, r);
        } else if (r->type == RECORD_COMMAND) {
            lifecycle_command(e, r);
        }
    }
}

/* ---- the identity stage ------------------------------------------------------------------------ */

/* Records of strangers stand anywhere in memory: waiting for each in turn would cost more than all the
 * work. So what a record needs is asked for while those before it are at work, one hop at a time:
 *
 *     3 strides ahead   slots of its identifiers and of its message id
 *     2                 whom the first identifier means: the reference of that profile
 *     1                 the profile
 */
#define STRIDE 12
#define NEAR   4 /* people between those whose lists are fetched and the one at work */

static const char *profile_of(const struct engine *e, uint64_t number)
{
    const struct partition *p = &e->partitions[profile_partition(number)];
    return space_at(&p->space, p->profiles[profile_local(number)]);
}

static void fetch_profile(const struct engine *e, uint64_t number)
{
    const char *at = profile_of(e, number);
    for (size_t i = 0; i < sizeof(struct profile); i += 64)
        prefetch(at + i);
    prefetch(at + sizeof(struct profile) - 1);
}

/* What nearly every event looks at; the profile has been fetched. */
static void fetch_lists(const struct engine *e, uint64_t number)
{
    const struct partition *p = &e->partitions[profile_partition(number)];
    const struct profile *profile = space_at(&p->space, p->profiles[profile_local(number)]);
    if (profile->histories.ref != 0)
        prefetch(space_at(&p->space, profile->histories.ref));
    if (profile->instances.ref != 0)
        prefetch(space_at(&p->space, profile->instances.ref));
}

/* At step `step` of a walk over records; `guesses` has 2 * STRIDE places. */
static void fetch_ahead(const struct engine *e, const struct batch *b, uint32_t step,
                        uint64_t *guesses)
{
    if (step < b->count && b->records[step].type == RECORD_EVENT)
        identity_prefetch(&e->identity, &b->records[step]);
    if (step >= STRIDE && step - STRIDE < b->count) {
        const struct record *r = &b->records[step - STRIDE];
        uint64_t guess = r->type == RECORD_EVENT ? identity_guess(&e->identity, r) : 0;
        const struct partition *p = &e->partitions[profile_partition(guess)];
        prefetch(&p->profiles[profile_local(guess)]);
        guesses[(step - STRIDE) % (2 * STRIDE)] = guess;
    }
    if (step >= 2 * STRIDE && step - 2 * STRIDE < b->count) {
        uint64_t guess = guesses[(step - 2 * STRIDE) % (2 * STRIDE)];
        if (guess != 0) /* whether it was merged, and whose it is, is all that is asked here */
            prefetch(profile_of(e, guess));
    }
}

void engine_add_record(struct engine *e, uint64_t profile, uint32_t place)
{
    engine_add_item(e, identity_follow(&e->host, profile), ITEM_RECORD, place);
}

/* The number, if there is such a profile; else 0. */
static uint64_t if_there(const struct engine *e, uint64_t profile)
{
    uint32_t local = profile_local(profile);
    return local == 0 || local >= e->partitions[profile_partition(profile)].count ? 0 : profile;
}

void engine_keep_grant(struct engine *e, const struct keep *k)
{
    const struct keep *known = keep_among(e->kept_grants, e->kept_grant_count, k);
    if (known != NULL) {
        if (known->attempt < k->attempt)
            e->kept_grants[known - e->kept_grants] = *k;
        return;
    }
    e->kept_grants =
        mem_resize(e->kept_grants, (e->kept_grant_count + 1) * sizeof(e->kept_grants[0]));
    e->kept_grants[e->kept_grant_count++] = *k;
}

/* Is it known whose event it is? A visitor's is not: what they did may be somebody's whom we know. */
static void note_match(struct engine *e, const struct record *r, uint64_t profile, bool is_found)
{
    bool is_matched = id128_is_set(r->user) || (is_found && profile == 0);
    if (!is_matched && profile != 0)
        is_matched = (engine_profile(e, identity_follow(&e->host, profile))->known &
                      PROFILE_KNOWS_USER) != 0;
    e->counts.matched += is_matched;
    if (unlikely(e->monitors.count > 0))
        monitors_event(e, r, is_matched ? EVENT_IS_NEW : EVENT_IS_UNMATCHED);
}

static void resolve_record(struct engine *e, const struct batch *b, uint32_t place)
{
    must(place < b->count);
    const struct record *r = &b->records[place];
    uint64_t profile = 0;
    e->resolving = place;
    if (r->type == RECORD_EVENT) {
        e->counts.events++;
        if (identity_is_duplicate(&e->identity, r)) {
            e->counts.duplicates++;
            if (unlikely(e->monitors.count > 0))
                monitors_event(e, r, EVENT_IS_DUPLICATE);
            results_add(&e->results, (struct result){.kind = RESULT_DUPLICATE,
                                                     .id = r->message_hash,
                                                     .at_ms = r->at_ms});
            return;
        }
        if (unlikely(r->kind == EVENT_BUSINESS)) {
            if (e->monitors.count > 0)
                monitors_event(e, r, EVENT_IS_NEW);
            sweeps_business(e, r);
            return;
        }
        profile = identity_resolve(&e->identity, &e->host, r);
        bool is_found = profile != 0;
        if (unlikely(!is_found))
            is_found = engine_find_record(e, b, r, place);
        note_match(e, r, profile, is_found);
    } else if (r->type == RECORD_RECEIPT) {
        struct receipt receipt;
        if (receipt_read(r, &receipt))
            profile = if_there(e, receipt.profile);
    } else if (unlikely(r->type == RECORD_ERASE)) {
        profile = if_there(e, (uint64_t)body_get_int(r->clear, NAME_PROFILE, 0));
    } else if (unlikely(r->type == RECORD_RELEASE)) {
        struct keep k;
        if (keep_read(r, &k)) {
            profile = if_there(e, k.profile);
            if (k.kind == RELEASE_KEPT)
                engine_keep_grant(e, &k);
        }
    }
    if (profile != 0)
        engine_add_record(e, profile, place);
}

static void resolve_records(struct engine *e, const struct batch *b)
{
    uint64_t guesses[2 * STRIDE];
    for (uint32_t step = 0; step < b->count + 3 * STRIDE; step++) {
        fetch_ahead(e, b, step, guesses);
        if (step >= 3 * STRIDE)
            resolve_record(e, b, step - 3 * STRIDE);
    }
}

/* ---- the profile stage ------------------------------------------------------------------------- */

/* Traits that are not the customer's: message ids, what stood in the context. */
static bool is_trait(const struct person *who, uint32_t name)
{
    struct str text = names_text(who->names, name);
    return text.len > 0 && text.at[0] != '$' && !str_starts(text, STR("context."));
}

static void set_traits(struct person *who, struct body body, int64_t at_ms)
{
    struct body_field field;
    while (body_next(&body, &field)) {
        if (!is_trait(who, field.name))
            continue;
        struct value x = body_value(&field, who->scratch);
        traits_set(who, field.name, &x, at_ms);
    }
}

/* The texts of the ids, kept once so that people can be shown by them. */
static void learn_ids(struct person *who, const struct record *r)
{
    struct profile *p = who->profile;
    if (!(p->known & PROFILE_KNOWS_USER) && id128_is_set(r->user)) {
        struct value id = record_get(r, NAME_USER_ID, NULL);
        if (id.type == VALUE_TEXT && traits_set(who, NAME_USER_ID, &id, r->event_ms))
            p->known |= PROFILE_KNOWS_USER;
    }
    if (!(p->known & PROFILE_KNOWS_ANONYMOUS) && id128_is_set(r->anonymous)) {
        struct value id = record_get(r, NAME_ANONYMOUS_ID, NULL);
        if (id.type == VALUE_TEXT && traits_set(who, NAME_ANONYMOUS_ID, &id, r->event_ms))
            p->known |= PROFILE_KNOWS_ANONYMOUS;
    }
}

static uint64_t decision_of(const struct record *r)
{
    uint64_t profile, decision;
    uint32_t attempt;
    if (r->cause != 0)
        return r->cause;
    struct value id = record_get(r, NAME_ATTEMPT_ID, NULL);
    if (id.type == VALUE_TEXT && attempt_id_parse(id.text, &profile, &decision, &attempt))
        return decision;
    return 0;
}

/* In answer to a message: marketing in its instance is over. */
static void opt_out(struct person *who, uint64_t decision)
{
    for (uint32_t i = 0; decision != 0 && i < who->profile->ledger.count; i++) {
        if (person_sent(who, i)->decision != decision)
            continue;
        journey_opted_out(who, person_sent_more(who, person_sent(who, i))->instance);
        return;
    }
}

static void apply_own_event(struct person *who, const struct record *r)
{
    uint64_t decision;
    must(r->name < NAME_FIXED_END);
    must(who->event == r);
    switch (r->name) {
    case NAME_CONSENT_CHANGED:
        consent_event(who);
        if (consent_stops(r)) {
            struct message_before before = monitors_before(who, decision_of(r));
            opt_out(who, before.decision);
            monitors_answer(who, &before, WATCH_UNSUBSCRIBED, (uint8_t)consent_channel(r));
        }
        return;
    case NAME_PREFERENCES_CHANGED: choices_event(who); return;
    case NAME_TASK_DONE:
    case NAME_TASK_DECLINED: errands_event(who); return;
    case NAME_MEMBER_ADDED:
    case NAME_MEMBER_REMOVED: audience_event(who); return;
    case NAME_UNSUBSCRIBED: {
        struct message_before before = monitors_before(who, decision_of(r));
        consent_event(who);
        opt_out(who, before.decision);
        monitors_answer(who, &before, WATCH_UNSUBSCRIBED, (uint8_t)consent_channel(r));
        return;
    }
    case NAME_MESSAGE_OPENED:
    case NAME_MESSAGE_CLICKED:
    case NAME_MESSAGE_COMPLAINED: {
        struct value is_machine = record_get(r, NAME_IS_MACHINE, NULL);
        decision = decision_of(r);
        if (is_machine.type == VALUE_BOOL && is_machine.boolean)
            return;
        if (decision == 0 && r->name == NAME_MESSAGE_COMPLAINED)
            consent_event(who); /* about what is not said: it counts as a no to all */
        if (decision == 0)
            return;
        struct message_before before = monitors_before(who, decision);
        desk_engaged(who, decision,
                     r->name == NAME_MESSAGE_OPENED    ? ENGAGED_OPENED
                     : r->name == NAME_MESSAGE_CLICKED ? ENGAGED_CLICKED
                                                       : ENGAGED_COMPLAINED);
        monitors_answer(who, &before,
                        r->name == NAME_MESSAGE_COMPLAINED ? WATCH_COMPLAINED : WATCH_ENGAGED,
                        CHANNEL_EMAIL);
        if (r->name == NAME_MESSAGE_COMPLAINED)
            opt_out(who, decision);
        return;
    }
    }
}

static void apply_event(struct person *who, const struct record *r)
{
    struct profile *p = who->profile;
    struct engine *e = who->engine;
    must(r->type == RECORD_EVENT);
    must(who->event == NULL);
    who->event = r;
    e->told_flags = r->flags & RECORD_IS_HISTORY;
    if (r->kind != EVENT_ENTER) /* it is somebody else's doing */
        p->last_seen_ms = max_of(p->last_seen_ms, r->event_ms);
    if (unlikely(r->event_ms < p->first_seen_ms)) {
        p->first_seen_ms = r->event_ms; /* idle() and since() count from here */
        person_changed(who, UINT64_MAX);
    }
    if (unlikely((p->known & (PROFILE_KNOWS_USER | PROFILE_KNOWS_ANONYMOUS)) !=
                 (PROFILE_KNOWS_USER | PROFILE_KNOWS_ANONYMOUS)))
        learn_ids(who, r);
    if (r->kind == EVENT_IDENTIFY) {
        set_traits(who, r->clear, r->event_ms);
        set_traits(who, record_personal(r), r->event_ms);
        if (who->changed & plan_wake_bit(NAME_TIMEZONE) && p->instances.count)
            journey_thaw(who);
    }
    if (r->kind <= EVENT_SCREEN) {
        const struct plan_event *means =
            who->plan != NULL ? plan_event_find(who->plan, r->name) : NULL;
        change_note_event(who->engine, who);
        if (unlikely(e->selector_count > 0))
            selectors_note(e, who, r);
        if (means != NULL && (means->holds_from | means->holds_until)) {
            holds_event(who, means);
            journey_thaw(who);
        }
        if (unlikely(means != NULL && means->is_touch))
            desk_touch(who);
        if (r->name < NAME_FIXED_END)
            apply_own_event(who, r);
        if (p->intents.count && !(r->flags & RECORD_IS_HISTORY) &&
            (r->name >= NAME_FIXED_END || r->kind != EVENT_TRACK))
            desk_seen(who);
        if (r->kind != EVENT_IDENTIFY && r->name >= NAME_FIXED_END &&
            (r->kind != EVENT_TRACK || !(r->flags & RECORD_IS_SERVER)))
            habits_note(who, HABIT_VISIT, CHANNEL_NONE, r->event_ms);
        audience_changed(who);
        bool is_forged = means != NULL && means->is_ours;
        if (!is_forged &&
            (p->instances.count || p->pasts.count || (means != NULL && means->entry_count)))
            journey_event(who);
    } else if (r->kind == EVENT_ENTER && who->plan != NULL) {
        journey_called(who, r);
    }
    must(who->event == r || r->kind == EVENT_ENTER);
    who->event = NULL;
}

/* A shadow knows who somebody is and what they did. */
static void shadow_event(struct person *who, const struct record *r)
{
    struct profile *p = who->profile;
    who->event = r;
    who->at_ms = max_of(r->at_ms, who->at_ms);
    p->last_seen_ms = max_of(p->last_seen_ms, r->event_ms);
    p->first_seen_ms = min_of(p->first_seen_ms, r->event_ms);
    if (r->kind == EVENT_IDENTIFY) {
        set_traits(who, r->clear, r->event_ms);
        set_traits(who, record_personal(r), r->event_ms);
    }
    if (r->kind <= EVENT_SCREEN)
        change_note_event(who->engine, who);
    who->event = NULL;
}

static void shadow_work(struct engine *e, const struct batch *b, uint32_t first, uint32_t last)
{
    bool is_erased = false;
    must(first < last);
    must(last <= e->item_count);
    struct person who = engine_person(e, e->items[e->keys[first] & 0xffffff].profile);
    for (uint32_t at = first; at < last; at++) {
        const struct item *item = &e->items[e->keys[at] & 0xffffff];
        if (item->kind == ITEM_RECORD && b->records[item->place].type == RECORD_EVENT)
            shadow_event(&who, &b->records[item->place]);
        else if (item->kind == ITEM_RECORD && b->records[item->place].type == RECORD_ERASE)
            is_erased = b->records[item->place].kind == ERASE_PERSON;
    }
    if (is_erased && profile_forward(who.profile) == 0)
        engine_erase(e, &who);
}

static void apply_record(struct person *who, const struct record *r)
{
    if (r->type == RECORD_EVENT) {
        apply_event(who, r);
        return;
    }
    struct receipt receipt;
    if (r->type == RECORD_RECEIPT && who->plan != NULL && receipt_read(r, &receipt))
        if (!listings_receipt(who, &receipt) && !errands_receipt(who, &receipt)) {
            struct message_before before = monitors_before(who, receipt.decision);
            desk_receipt(who, &receipt);
            monitors_receipt(who, &before, receipt.kind);
        }
    struct keep k;
    if (unlikely(r->type == RECORD_RELEASE) && who->plan != NULL && keep_read(r, &k))
        desk_keep(who, &k);
}

/* The next moment before or at now at which something changes by time alone, the desk's own waiting
 * aside: that is looked at once, when it settles. */
static int64_t next_moment(const struct person *who)
{
    const struct profile *p = who->profile;
    int64_t next_ms = FOREVER_MS;
    if (p->instances.count)
        next_ms = journey_deadline(who);
    if (p->holds.count)
        next_ms = min_of(next_ms, holds_deadline(who));
    if (p->memberships.count)
        next_ms = min_of(next_ms, audience_deadline(who));
    if (p->appointments.count)
        next_ms = min_of(next_ms, appointments_deadline(who));
    if (p->errands.count)
        next_ms = min_of(next_ms, errands_due(who));
    for (uint32_t i = 0; i < p->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        if (in->state <= INTENT_QUEUED && in->deadline_ms > who->at_ms)
            next_ms = min_of(next_ms, in->deadline_ms);
    }
    return next_ms;
}

int64_t engine_deadline(const struct person *who)
{
    int64_t next_ms = FOREVER_MS;
    if (who->profile->instances.count)
        next_ms = journey_deadline(who);
    if (who->profile->holds.count)
        next_ms = min_of(next_ms, holds_deadline(who));
    if (who->profile->memberships.count)
        next_ms = min_of(next_ms, audience_deadline(who));
    if (who->profile->appointments.count)
        next_ms = min_of(next_ms, appointments_deadline(who));
    if (who->profile->intents.count)
        next_ms = min_of(next_ms, desk_deadline(who));
    if (who->profile->wishes.count || who->profile->listings.count)
        next_ms = min_of(next_ms, listings_deadline(who));
    if (who->profile->errands.count)
        next_ms = min_of(next_ms, errands_deadline(who));
    return next_ms;
}

static void run_timers(struct person *who, int64_t at_ms)
{
    who->at_ms = max_of(at_ms, who->at_ms);
    must(who->at_ms <= who->now_ms);
    if (who->profile->memberships.count)
        audience_timer(who);
    if (who->profile->holds.count) {
        holds_timer(who);
        journey_thaw(who);
    }
    if (who->profile->errands.count)
        errands_timer(who);
    journey_timer(who);
    if (who->profile->appointments.count)
        appointments_timer(who);
    desk_timer(who);
}

/* Dates and schedules follow what they are made of. Whoever was there before the programme gets what has
 * come since it is live; a newcomer, what is to come. */
static void keep_appointments(struct engine *e, struct person *who)
{
    struct profile *p = who->profile;
    if (who->plan == NULL) {
        p->appointed_plan = 0;
        return;
    }
    if (likely(p->appointed_plan == e->plans.newest)) {
        if (unlikely(who->stirred & who->plan->appointment_wake))
            appointments_renew(who, who->stirred, who->at_ms);
        return;
    }
    must(e->plans.newest < e->plans.count);
    int64_t from_ms = p->appointed_plan == APPOINTED_NEVER ? who->at_ms : e->activated_ms;
    p->appointed_plan = e->plans.newest;
    if (who->plan->appointment_count || p->appointments.count)
        appointments_renew(who, UINT64_MAX, from_ms);
}

/* That the person has entered or left the segment or stage, as an event; `clear` takes its property. */
static struct record record_of(const struct engine *e, const struct person *who, struct told told,
                               struct buf *clear)
{
    must(told.event != NAME_NONE);
    must(told.segment != NAME_NONE);
    bool is_stage = told.event == NAME_STAGE_ENTERED || told.event == NAME_STAGE_LEFT;
    body_put_text(clear, is_stage ? NAME_STAGE : NAME_SEGMENT, names_text(e->names, told.segment));
    return (struct record){
        .type = RECORD_EVENT,
        .kind = EVENT_TRACK,
        .flags = e->told_flags,
        .schema = RECORD_SCHEMA,
        .name = told.event,
        .at_ms = who->at_ms,
        .event_ms = who->at_ms,
        .arrival_ms = who->at_ms,
        .clear = body_of(clear),
    };
}

/* The person, who is in the segment already, enters the journey as if they had just come into it. */
static void take_in(struct engine *e, struct person *who, uint16_t journey,
                    const struct plan_existing *x)
{
    struct buf clear;
    must(journey < who->plan->journey_count);
    buf_init(&clear);
    who->at_ms = e->now_ms;
    struct record record = record_of(e, who, (struct told){x->event, x->segment}, &clear);
    who->event = &record;
    journey_take_in(who, journey);
    who->event = NULL;
    buf_fini(&clear);
}

/* Memberships of the newest programme; and journeys that have begun to listen to a segment take in the
 * person, who is in it already, if they say so. */
static void bring_up_to_date(struct engine *e, struct person *who)
{
    uint32_t before = who->profile->audience_plan;
    const struct plan *old = before != 0 ? e->plans.at[before] : NULL;
    audience_activated(who);
    stages_keep(who, before != 0);
    for (uint32_t i = 0; who->plan->has_existing && i < who->plan->journey_count; i++) {
        const struct plan_journey *j = &who->plan->journeys[i];
        if (j->existing_count && controls_phase(&e->controls, j->name) == PHASE_DRAFT)
            continue; /* when it is one no more */
        for (uint32_t k = 0; k < j->existing_count; k++) {
            const struct plan_existing *x = &j->existing[k];
            if (!plan_journey_listens(old, j->name, x->event) && audience_is_in(who, x->segment))
                take_in(e, who, (uint16_t)i, x);
        }
    }
}

static const struct plan_existing *existing_of(struct person *who, uint32_t journey,
                                               uint16_t *index)
{
    *index = plan_journey_find(who->plan, journey);
    const struct plan_journey *j = *index == PLAN_NO_INDEX ? NULL : &who->plan->journeys[*index];
    for (uint32_t k = 0; j != NULL && k < j->existing_count; k++)
        if (audience_is_in(who, j->existing[k].segment))
            return &j->existing[k];
    return NULL;
}

bool engine_is_existing(struct person *who, uint32_t journey)
{
    uint16_t index;
    return existing_of(who, journey, &index) != NULL;
}

void engine_take_existing(struct engine *e, struct person *who, uint32_t journey)
{
    uint16_t index;
    const struct plan_existing *x = existing_of(who, journey, &index);
    if (x != NULL)
        take_in(e, who, index, x);
}

/* Journeys hear what segments the person has entered and left, each as an event of its own. What comes
 * of it may be told in turn, within bounds. */
static void tell(struct engine *e, struct person *who, uint32_t *heard)
{
    must(*heard <= e->told_count);
    for (uint32_t i = *heard; i < e->told_count; i++) {
        struct buf clear;
        buf_init(&clear);
        struct record record = record_of(e, who, e->told[i], &clear);
        who->event = &record;
        journey_event(who);
        who->event = NULL;
        buf_fini(&clear);
        *heard = i + 1;
    }
}

/* Instances whose messages have settled go on, and what reads what has changed is asked again. */
static void go_on(struct engine *e, struct person *who)
{
    uint32_t heard = 0;
    do {
        must(e->settled_merged <= e->settled_count);
        for (uint32_t i = e->settled_merged; i < e->settled_count; i++) {
            struct settled s = e->settled[i];
            journey_settled(who, s.instance, s.decision, s.step, (enum outcome)s.outcome);
        }
        e->settled_count = e->settled_merged;
        if (unlikely(who->has_ready))
            journey_ready(who);
        audience_changed(who);
        stages_keep(who, false);
        keep_appointments(e, who);
        if (who->stirred && who->profile->instances.count)
            journey_changed(who);
        who->stirred = 0;
        tell(e, who, &heard);
    } while (e->settled_count > e->settled_merged || audience_is_woken(who) || who->stirred ||
             who->has_ready || stages_are_due(who) || heard < e->told_count);
    must(heard == e->told_count);
    e->told_count = 0;
    e->told_flags = 0;
}

/* The same for what settled when the person was merged, by this record or one before it: at the time of that
 * record, no earlier. */
static void go_on_merged(struct engine *e, struct person *who, uint32_t record)
{
    for (uint32_t i = 0; i < e->settled_merged; i++) {
        struct settled s = e->settled[i];
        if (s.profile != who->id || s.record > record)
            continue;
        e->settled[i].profile = 0; /* heard */
        journey_settled(who, s.instance, s.decision, s.step, (enum outcome)s.outcome);
    }
}

/* The person was merged by the record at `place`, or the programme has changed: everything is asked again. */
static void apply_touch(struct engine *e, struct person *who, uint32_t place)
{
    bool is_merge = place != ITEM_NOWHERE;
    if (is_merge)
        person_changed(who, UINT64_MAX);
    else /* segments are up to date: what means something else has been asked */
        who->changed = who->stirred = UINT64_MAX;
    who->is_desk_due = true;
    who->is_touched = true;
    if (who->plan == NULL)
        return;
    if (!is_merge) {
        journey_activated(who);
        desk_activated(who);
    }
    journey_thaw(who);
    if (is_merge && e->settled_merged > 0)
        go_on_merged(e, who, place);
}

static void take_answer(struct person *who, const struct stage_message *answer)
{
    switch ((enum message_about)answer->about) {
    case ABOUT_MESSAGE: desk_answer(who, answer); return;
    case ABOUT_LISTING: listings_answer(who, answer); return;
    case ABOUT_ERRAND: errands_answer(who, answer); return;
    }
}

/* What journeys ask of others is handed over; what ends by that leads on, perhaps to more of it. */
static void settle_errands(struct engine *e, struct person *who)
{
    for (uint32_t round = 0; round < SETTLE_ROUNDS_MAX && who->profile->errands.count; round++) {
        errands_settle(who);
        if (!who->has_ready)
            return;
        go_on(e, who);
    }
}

/* Applies the items [first, last) of one person: inbox, then timers and records by time, then one
 * settle of the desk. */
static void work(struct engine *e, const struct batch *b, uint32_t first, uint32_t last)
{
    must(first < last);
    must(last <= e->item_count);
    struct person who = engine_person(e, e->items[e->keys[first] & 0xffffff].profile);
    uint32_t at = first;
    bool had_timer = false;
    const struct record *erasure = NULL;
    if (profile_forward(who.profile) != 0)
        return;
    if (audience_is_stale(&who))
        bring_up_to_date(e, &who);
    for (; at < last; at++) {
        const struct item *item = &e->items[e->keys[at] & 0xffffff];
        if (item->kind > ITEM_TIMER)
            break;
        if (item->kind == ITEM_TIMER) {
            had_timer = true;
            continue;
        }
        who.at_ms = e->now_ms;
        if (item->kind == ITEM_CONTROL) {
            must(item->place < e->touch_count);
            lifecycle_touch(&who, item->place);
            continue;
        }
        must(item->place < e->inbox.count);
        take_answer(&who, &e->inbox.at[item->place]);
    }
    who.at_ms = e->before_ms;
    bool is_new = who.profile->appointed_plan == APPOINTED_NEVER;
    if (!(who.profile->known & PROFILE_IS_FRESH) && !is_new) /* what is known is still to come */
        go_on(e, &who);
    for (uint32_t moments = 0;; moments++) {
        const struct item *item = at < last ? &e->items[e->keys[at] & 0xffffff] : NULL;
        const struct record *r = item != NULL && item->place != ITEM_NOWHERE &&
                                         item->kind != ITEM_SWEEP && item->kind != ITEM_CONTROL &&
                                         item->kind != ITEM_ALARM
                                     ? &b->records[item->place]
                                     : NULL;
        int64_t item_ms = item == NULL ? FOREVER_MS : r == NULL ? e->now_ms : r->at_ms;
        int64_t timer_ms = who.plan != NULL ? next_moment(&who) : FOREVER_MS;
        if (moments > MOMENTS_MAX) /* after a long sleep: what is left is done as of now */
            timer_ms = timer_ms <= e->now_ms ? e->now_ms : timer_ms;
        if (item != NULL && item_ms <= timer_ms) {
            must(r == NULL || item->place < b->count);
            must(item_ms <= e->now_ms);
            who.at_ms = max_of(item_ms, who.at_ms);
            if (item->kind == ITEM_TOUCH)
                apply_touch(e, &who, item->place);
            else if (item->kind == ITEM_SWEEP)
                sweep_enter(&who, &e->sweeps[item->place]);
            else if (item->kind == ITEM_ALARM)
                monitors_hear(&who, item->place);
            else if (item->kind == ITEM_CONTROL) /* of a merge */
                lifecycle_touch(&who, item->place);
            else if (unlikely(r->type == RECORD_ERASE)) /* at the end: a "no" behind it is heard */
                erasure = r->kind == ERASE_PERSON ? r : erasure;
            else
                apply_record(&who, r);
            at++;
        } else if (timer_ms <= e->now_ms) {
            e->counts.timers++;
            run_timers(&who, timer_ms);
        } else {
            break;
        }
        go_on(e, &who);
    }
    must(who.at_ms <= e->now_ms);
    who.at_ms = e->now_ms;
    if (unlikely(erasure != NULL)) {
        engine_erase(e, &who);
        return;
    }
    if (had_timer) {
        desk_timer(&who);
        go_on(e, &who);
    }
    bool is_asking = who.profile->errands.count != 0;
    if (is_asking && who.plan != NULL)
        settle_errands(e, &who);
    for (uint32_t round = 0; round < SETTLE_ROUNDS_MAX && who.profile->intents.count; round++) {
        if (!who.is_desk_due && who.changed == 0)
            break;
        e->counts.settles++;
        who.is_desk_due = desk_settle(&who, round + 1 == SETTLE_ROUNDS_MAX);
        who.changed = 0;
        go_on(e, &who);
        if (who.profile->errands.count && who.plan != NULL)
            settle_errands(e, &who);
    }
    bool is_listed = who.profile->wishes.count || who.profile->listings.count;
    if (is_listed && who.plan != NULL)
        listings_settle(&who);
    if (who.profile->ledger.count && who.is_touched)
        desk_forget(&who);
    e->counts.segments += who.asked;
    e->counts.saturated += who.saturated;
    e->counts.errors += who.errors;
    if (had_timer || who.is_touched || is_listed || is_asking || who.profile->intents.count ||
        who.profile->instances.count) {
        int64_t due_ms = engine_deadline(&who);
        must(profile_forward(who.profile) == 0);
        if (timers_due_ms(engine_timers(e, who.id), (uint32_t)who.id) != due_ms)
            engine_arm(e, who.id, max_of(due_ms, e->now_ms + 1));
    }
}

/* Sorts keys by their upper 40 bits (partition, local number), keeping the order of equals: one pass
 * for each byte in which they differ. */
static void sort_keys(struct engine *e)
{
    uint64_t differs = 0;
    for (uint32_t i = 1; i < e->item_count; i++)
        differs |= e->keys[i] ^ e->keys[0];
    for (uint32_t shift = 24; shift < 64; shift += 8) {
        if (((differs >> shift) & 0xff) == 0)
            continue;
        uint32_t starts[256] = {0}, sum = 0;
        for (uint32_t i = 0; i < e->item_count; i++)
            starts[e->keys[i] >> shift & 0xff]++;
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t count = starts[i];
            starts[i] = sum;
            sum += count;
        }
        must(sum == e->item_count);
        for (uint32_t i = 0; i < e->item_count; i++)
            e->spare_keys[starts[e->keys[i] >> shift & 0xff]++] = e->keys[i];
        uint64_t *spare = e->keys;
        e->keys = e->spare_keys;
        e->spare_keys = spare;
    }
}

/* The people after the one whose items end before `last`, and what is told of them. */
static void fetch_near(const struct engine *e, const struct batch *b, uint32_t last)
{
    if (last + 2 * NEAR < e->item_count) {
        const struct item *item = &e->items[e->keys[last + 2 * NEAR] & 0xffffff];
        fetch_profile(e, item->profile);
        timers_fetch_place(engine_timers(e, item->profile), (uint32_t)item->profile);
        if (item->kind == ITEM_RECORD) {
            prefetch(&b->records[item->place]);
            prefetch(&b->records[item->place].clear);
        }
    }
    if (last + NEAR < e->item_count) {
        const struct item *item = &e->items[e->keys[last + NEAR] & 0xffffff];
        fetch_lists(e, item->profile);
        timers_fetch_entry(engine_timers(e, item->profile), (uint32_t)item->profile);
        if (item->kind == ITEM_RECORD) {
            struct body clear = b->records[item->place].clear;
            prefetch(clear.at);
            if (clear.bytes > 64)
                prefetch(clear.at + 64);
        }
    }
}

static void profile_stage(struct engine *e, const struct batch *b)
{
    must(e->item_count <= e->item_room);
    must(e->item_count < 1u << 24);
    if (unlikely(e->split != NULL))
        split_begin(e);
    /* Inbox before timers before records: the order of the item's place in the list decides among
     * equals, and that is how they were added. */
    for (uint32_t i = 0; i < e->item_count; i++) {
        uint64_t number = e->items[i].profile;
        /* records were added to those who lived: they still do if nobody was merged since */
        if (e->items[i].kind != ITEM_RECORD || e->counts.merges != e->merges_before)
            number = identity_follow(&e->host, number);
        e->items[i].profile = number;
        uint64_t place = profile_partition(number);
        if (unlikely(e->split != NULL))
            place = split_place(e->split, profile_partition(number));
        e->keys[i] = place << 56 | (uint64_t)profile_local(number) << 24 | i;
    }
    sort_keys(e);
    e->settled_merged = e->settled_count;
    for (uint32_t first = 0; first < e->item_count;) {
        uint32_t last = first + 1;
        while (last < e->item_count && e->keys[last] >> 24 == e->keys[first] >> 24)
            last++;
        fetch_near(e, b, last);
        if (unlikely(e->split != NULL))
            split_turn(e, profile_partition(e->items[e->keys[first] & 0xffffff].profile));
        if (e->is_shadow)
            shadow_work(e, b, first, last);
        else
            work(e, b, first, last);
        first = last;
    }
    if (unlikely(e->split != NULL))
        split_end(e);
}

/* ---- the pool and address stages --------------------------------------------------------------- */

static void answer(struct engine *e, const struct stage_message *m)
{
    uint64_t number = identity_follow(&e->host, m->profile);
    must(profile_local(number) >= 1);
    must(m->kind >= BACK_GRANTED);
    struct stage_message back = *m;
    back.profile = number;
    back.fields = (struct str){0};
    messages_add(&e->partitions[profile_partition(number)].inbox, back);
    e->inbox_count++;
}

static void act(struct engine *e, const struct stage_message *m, struct str code)
{
    must(m->plan < e->plans.count);
    must(m->attempt > 0);
    must(m->decision != 0);
    const struct plan *plan = e->plans.at[m->plan];
    const struct plan_message *message = plan_message_at(plan, m->message_index);
    must(message != NULL);
    struct cursor c = cursor_of(m->fields.at, m->fields.len);
    struct str address = cursor_take(&c, cursor_varint(&c));
    struct str zone = cursor_take(&c, cursor_varint(&c));
    must(!c.is_bad);
    struct body rest = {c.at, (uint32_t)cursor_left(&c)};
    struct value *fields = arena_array(&e->scratch, struct value, message->field_count + 1);
    struct body_field field;
    while (body_next(&rest, &field)) {
        must(field.name >= 1);
        must(field.name <= message->field_count);
        fields[field.name - 1] = body_value(&field, &e->scratch);
    }
    for (uint32_t i = 0; code.len > 0 && i < message->field_count; i++)
        if (message->fields[i] == SLOT(SLOT_META, META_VOUCHER))
            fields[i] = value_text(code);
    if (e->action_count == e->action_room) {
        e->action_room = e->action_room ? e->action_room * 2 : 64;
        e->actions = mem_resize(e->actions, e->action_room * sizeof(e->actions[0]));
    }
    must(e->action_count < e->action_room);
    e->actions[e->action_count++] = (struct action){
        .type = ACTION_ATTEMPT,
        .channel = m->channel,
        .lane = m->lane,
        .attempts =
            m->about == ABOUT_ERRAND ? m->how : (uint8_t)lane_term((enum lane)m->lane)->attempts,
        .attempt = m->attempt,
        .profile = m->profile,
        .decision = m->decision,
        .plan = m->plan,
        .message = m->message_index,
        .provider = m->provider_index,
        .message_name = m->message,
        .journey_name = m->journey,
        .granted_ms = e->now_ms,
        .deadline_ms = m->deadline_ms,
        .address = address,
        .zone = zone,
        .field_count = message->field_count,
        .fields = fields,
    };
    e->counts.actions++;
    if (m->about == ABOUT_LISTING)
        results_add(&e->results, (struct result){.kind = RESULT_LISTED,
                                                 .how = LISTED_IS_HANDED,
                                                 .step = m->attempt,
                                                 .profile = m->profile,
                                                 .id = m->decision,
                                                 .at_ms = e->now_ms,
                                                 .number = m->message});
    if (m->about != ABOUT_MESSAGE)
        return;
    results_add(&e->results, (struct result){.kind = RESULT_GRANTED,
                                             .how = m->channel,
                                             .step = m->attempt,
                                             .journey = m->journey,
                                             .message = m->message,
                                             .version = m->plan,
                                             .profile = m->profile,
                                             .id = m->decision,
                                             .at_ms = e->now_ms,
                                             .number = m->provider});
}

static void recall(struct engine *e, const struct stage_message *m)
{
    if (e->recall_count == e->recall_room) {
        e->recall_room = e->recall_room ? e->recall_room * 2 : 16;
        e->recalls = mem_resize(e->recalls, e->recall_room * sizeof(e->recalls[0]));
    }
    must(e->recall_count < e->recall_room);
    e->recalls[e->recall_count++] = (struct recall){m->profile, m->decision, m->attempt};
}

static const struct plan_voucher *voucher_of(const struct plan *plan, uint32_t name)
{
    for (uint32_t i = 0; name != NAME_NONE && i < plan->voucher_count; i++)
        if (plan->vouchers[i].name == name)
            return &plan->vouchers[i];
    return NULL;
}

/* How many messages of its queue the provider may have under way now. */
static uint32_t slots_of(const struct engine *e, const struct plan *plan, const struct pool *pool)
{
    uint16_t index = plan_provider_find(plan, pool->provider);
    if (index == PLAN_NO_INDEX || pool_rate_ms(pool, plan->providers[index].rate) > e->now_ms)
        return 0;
    return plan->providers[index].slots;
}

static bool can_move(const struct engine *e, const struct plan *plan, const struct pool *pool)
{
    return pool_can_move(pool, slots_of(e, plan, pool), e->now_ms);
}

/* The pool whose turn it is: one that can move, or NULL. What one provider grants is another's loss only where
 * they spend from one budget: then the best of all queues goes first. Else one provider's goes behind the other's
 * in the order of their names' numbers, whichever was the first to be asked for anything. */
static struct pool *best_pool(struct engine *e, const struct plan *plan, struct pool *last)
{
    struct pool *best = NULL;
    bool has_budgets = plan->budget_count > 0;
    must(last == NULL || (last >= e->pools.at && last < e->pools.at + e->pools.count));
    if (last != NULL && !has_budgets && can_move(e, plan, last))
        return last;
    for (uint32_t i = 0; i < e->pools.count; i++) {
        struct pool *pool = &e->pools.at[i];
        bool was_asked = last != NULL && !has_budgets && pool->provider <= last->provider;
        if (was_asked || !can_move(e, plan, pool))
            continue;
        if (best == NULL ||
            (has_budgets ? pool_is_before(pool, best) : pool->provider < best->provider))
            best = pool;
    }
    return best;
}

/* Takes the best out of the queue, and grants it unless something is against it. */
static void grant_next(struct engine *e, const struct plan *plan, struct pool *pool)
{
    struct stage_message m;
    must(pool->count > 0);
    uint16_t index = plan_provider_find(plan, pool->provider);
    if (!pool_next(pool, slots_of(e, plan, pool), e->now_ms, &e->scratch, &m))
        return;
    if (m.kind == BACK_LAPSED) {
        answer(e, &m);
        return;
    }
    must(m.kind == TO_POOL_QUEUE);
    must(m.until_ms > e->now_ms);
    struct question q;
    uint16_t carrier;
    bool has_budgets = plan->budget_count > 0 && m.about == ABOUT_MESSAGE;
    if (has_budgets) {
        q = budgets_question(&e->plans, &m, e->now_ms, &carrier);
        bool is_off = planted_in("off-", "budget"); /* or the desk would ask for ever */
        if (budgets_short(&e->budgets, &q, carrier, m.decision) != NULL && !is_off) {
            m.kind = BACK_LAPSED; /* the desk asks again, and finds that nothing is left */
            answer(e, &m);
            return;
        }
    }
    const struct plan_voucher *codes = voucher_of(plan, m.voucher);
    struct str code = {0};
    bool has_code = codes != NULL && voucher_look(&e->vouchers, codes, m.decision, &code);
    if (m.voucher != NAME_NONE && !has_code && m.empty != VOUCHER_WITHOUT &&
        !planted("goes-without-code")) {
        m.kind = BACK_EMPTY;
        answer(e, &m);
        return;
    }
    uint8_t refusal = 0;
    if (m.about == ABOUT_MESSAGE)
        refusal = gate_ask(&e->gate, plan, &m, e->now_ms, &m.at_ms);
    if (refusal != 0) {
        m.how = refusal;
        m.kind = BACK_REFUSED;
        answer(e, &m);
        return;
    }
    must(index != PLAN_NO_INDEX);
    pool_granted(pool);
    if (index != PLAN_NO_INDEX)
        pool_rate_take(pool, plan->providers[index].rate, e->now_ms);
    m.kind = BACK_GRANTED;
    m.at_ms = e->now_ms;
    if (has_code)
        voucher_take(&e->vouchers, codes, m.decision, code);
    if (has_budgets)
        budgets_take(&e->budgets, &q, carrier, m.decision);
    act(e, &m, has_code ? code : STR(""));
    answer(e, &m);
}

/* What was granted elsewhere has cost what it costs. */
static void charge(struct engine *e, const struct stage_message *m)
{
    uint16_t carrier;
    must(m->plan < e->plans.count);
    struct question q = budgets_question(&e->plans, m, e->now_ms, &carrier);
    budgets_take(&e->budgets, &q, carrier, m->decision);
}

/* What people said of addresses in this batch. They come in the order of people, not of time: so every "no"
 * first, and then those a "yes" lifts that was said later. */
static void address_stage(struct engine *e)
{
    for (uint32_t i = 0; i < e->messages.count; i++)
        if (e->messages.at[i].kind == TO_ADDRESS_SUPPRESS)
            gate_apply(&e->gate, &e->messages.at[i]);
    for (uint32_t i = 0; i < e->messages.count; i++)
        if (e->messages.at[i].kind == TO_ADDRESS_CLEAR)
            gate_apply(&e->gate, &e->messages.at[i]);
}

static void pool_stage(struct engine *e)
{
    address_stage(e);
    for (uint32_t i = 0; i < e->messages.count; i++) {
        const struct stage_message *m = &e->messages.at[i];
        if (m->kind == TO_VOUCHER_RETURN || m->kind == TO_VOUCHER_SPEND)
            voucher_settle(&e->vouchers, m->voucher, m->decision, m->kind == TO_VOUCHER_SPEND);
        else if (m->kind == TO_BUDGET_RETURN || m->kind == TO_BUDGET_SPEND)
            budgets_settle(&e->budgets, m->decision, m->kind == TO_BUDGET_SPEND);
        else if (m->kind == TO_HOURS)
            hours_note(&e->hours, m, e->now_ms);
        else if (m->kind == TO_BUDGET_TAKE)
            charge(e, m);
        else if (m->kind == TO_POOL_DONE)
            pool_done(pools_get(&e->pools, m->provider));
        else if (m->kind == TO_POOL_QUEUE)
            pool_queue(pools_get(&e->pools, m->provider), m);
        else if (m->kind == TO_RECALL)
            recall(e, m);
    }
    /* Before grants: also what was handed over in this batch may be taken back in it. */
    for (uint32_t i = 0; i < e->messages.count; i++) {
        struct stage_message m = e->messages.at[i];
        if (m.kind != TO_POOL_REVOKE)
            continue;
        /* If it is not there any more, its grant (or lapse) is in the inbox already. */
        if (pool_revoke(pools_get(&e->pools, m.provider), &m)) {
            m.kind = BACK_REVOKED;
            answer(e, &m);
        }
    }
    must(e->plans.newest < e->plans.count);
    const struct plan *plan = e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
    struct pool *pool = plan == NULL ? NULL : best_pool(e, plan, NULL);
    while (pool != NULL) {
        grant_next(e, plan, pool);
        pool = best_pool(e, plan, pool);
    }
}

/* ---- a batch ----------------------------------------------------------------------------------- */

static void empty_inboxes(struct engine *e, const struct batch *b)
{
    uint32_t waiting = 0;
    e->inbox.count = 0;
    for (uint32_t i = 0; i < PARTITIONS && e->inbox_count > 0; i++) {
        struct messages *inbox = &e->partitions[i].inbox;
        if (unlikely(e->split != NULL) && split_waits(e, b, i)) {
            waiting += inbox->count;
            e->counts.waits += inbox->count > 0;
            continue;
        }
        for (uint32_t k = 0; k < inbox->count; k++) {
            must(e->inbox_count > 0);
            messages_add(&e->inbox, inbox->at[k]);
            engine_add_item(e, inbox->at[k].profile, ITEM_INBOX, e->inbox.count - 1);
            e->inbox_count--;
        }
        inbox->count = 0;
    }
    must(e->inbox_count == waiting);
}

/* In no order that matters: people are worked on one after the other, and each has one timer. */
static void wake_timers(struct engine *e)
{
    uint32_t numbers[WAKE_MANY], count;
    for (uint32_t half = 0; half < 2; half++)
        while ((count = timers_take(e->timers[half], e->now_ms, numbers, WAKE_MANY)) > 0)
            for (uint32_t i = 0; i < count; i++)
                engine_add_item(e, numbers[i], ITEM_TIMER, 0);
}

/* The person, if the new programme may change anything for them. */
static bool is_to_be_told(const struct engine *e, const struct plan *plan,
                          const struct profile *profile)
{
    bool is_behind = profile_forward(profile) == 0 && audience_is_behind(&e->plans, profile);
    bool is_owed = profile_forward(profile) == 0 && profile->appointed_plan != e->plans.newest &&
                   (profile->appointments.count || plan->appointment_count);
    return profile->intents.count || profile->instances.count || is_behind || is_owed ||
           profile->wishes.count || profile->errands.count;
}

/* Another programme is live since some batches: tells a few more people who have anything pending. */
static void sweep(struct engine *e)
{
    const struct plan *plan = e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
    for (uint32_t work = 0; e->sweep < PARTITIONS && work < SWEEP_WORK; work++) {
        must(plan != NULL);
        const struct partition *p = &e->partitions[e->sweep];
        if (e->sweep_local + 1 >= p->count) {
            e->sweep++;
            e->sweep_local = 0;
            continue;
        }
        uint32_t local = ++e->sweep_local;
        if (!is_to_be_told(e, plan, space_at(&p->space, p->profiles[local])))
            continue;
        engine_add_item(e, profile_number(e->sweep, local), ITEM_TOUCH, ITEM_NOWHERE);
        work += SWEEP_TOLD;
    }
}

/* Who is to be watched may have appeared, or been merged. */
static void watch_ids(struct engine *e)
{
    if (!id128_is_set(e->watched_ids[0]))
        return;
    e->watched = engine_find(e, e->watched_ids[0]);
    if (e->watched == 0)
        e->watched = engine_find(e, e->watched_ids[1]);
}

void engine_apply(struct engine *e, const struct batch *batch, struct engine_output *out)
{
    must(batch->number == e->batch + 1);
    must(batch->now_ms >= e->now_ms);
    arena_reset(&e->scratch);
    e->before_ms = e->now_ms;
    e->now_ms = batch->now_ms;
    e->batch = batch->number;
    e->results.count = e->messages.count = e->item_count = e->action_count = 0;
    e->recall_count = 0;
    e->settled_count = e->settled_merged = e->touch_count = 0;
    e->merges_before = e->counts.merges;
    claims_reset(&e->claims);

    must(e->told_count == 0);
    must(e->sweep <= PARTITIONS);
    must(e->tidy <= PARTITIONS);
    apply_broadcasts(e, batch);
    monitors_step(e);
    empty_inboxes(e, batch);
    lifecycle_step(e);
    if (e->plans.newest)
        wake_timers(e);
    sweep(e);
    change_tidy(e);
    change_unite(e);
    resolve_records(e, batch);
    sweeps_step(e);
    sweeps_schedules(e);
    monitors_tell(e);
    watch_ids(e);
    profile_stage(e, batch);
    must(e->settled_merged <= e->settled_count);
    sweeps_end(e);
    pool_stage(e);
    count_transitions(e);
    if (!e->is_shadow)
        funnel_add(&e->funnel, e->results.rows, e->results.count);
    monitors_results(e);
    e->monitor_is_due = monitors_are_due(e);

    e->counts.batches++;
    e->counts.records += batch->count;
    must(e->action_count <= e->action_room);
    must(e->recall_count <= e->recall_room);
    *out = (struct engine_output){
        .actions = e->actions,
        .action_count = e->action_count,
        .recalls = e->recalls,
        .recall_count = e->recall_count,
        .results = e->results.rows,
        .result_count = e->results.count,
        .next_ms = engine_next(e),
        .has_inbox = engine_has_inbox(e),
    };
}

/* ---- looking in -------------------------------------------------------------------------------- */

uint64_t engine_batch(const struct engine *e)
{
    return e->batch;
}

int64_t engine_now(const struct engine *e)
{
    return e->now_ms;
}

/* When a provider's rate lets the next message of its queue go. */
static int64_t rates_next(const struct engine *e)
{
    const struct plan *plan = e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; plan != NULL && i < e->pools.count; i++) {
        const struct pool *pool = &e->pools.at[i];
        uint16_t index = pool->count ? plan_provider_find(plan, pool->provider) : PLAN_NO_INDEX;
        if (index == PLAN_NO_INDEX || pool->in_flight >= plan->providers[index].slots)
            continue;
        int64_t free_ms = pool_rate_ms(pool, plan->providers[index].rate);
        if (free_ms > e->now_ms)
            next_ms = min_of(next_ms, free_ms);
    }
    return next_ms;
}

int64_t engine_next(const struct engine *e)
{
    int64_t next_ms = rates_next(e);
    for (uint32_t half = 0; half < 2; half++)
        next_ms = min_of(next_ms, timers_next(e->timers[half]));
    next_ms = min_of(next_ms, monitors_next(e));
    return min_of(next_ms, sweeps_next(e));
}

bool engine_has_work(const struct engine *e)
{
    return e->sweep < PARTITIONS || e->tidy < PARTITIONS || e->walk_count > 0 ||
           e->monitor_is_due || change_is_uniting(e) || sweeps_are_ready(e);
}

bool engine_has_inbox(const struct engine *e)
{
    return e->inbox_count > 0 || engine_has_work(e);
}

const struct names *engine_names(const struct engine *e)
{
    return e->names;
}

const struct plans *engine_plans(const struct engine *e)
{
    return &e->plans;
}

const struct plan *engine_plan(const struct engine *e)
{
    return e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
}

const struct funnel *engine_funnel(const struct engine *e)
{
    return &e->funnel;
}

const struct vouchers *engine_vouchers(const struct engine *e)
{
    return &e->vouchers;
}

const struct budgets *engine_budgets(const struct engine *e)
{
    return &e->budgets;
}

const struct engine_counts *engine_counts(const struct engine *e)
{
    return &e->counts;
}

uint64_t engine_profile_count(const struct engine *e)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < PARTITIONS; i++)
        count += e->partitions[i].count - 1u;
    must(count >= e->counts.merges);
    return count - e->counts.merges;
}

uint64_t engine_bytes(const struct engine *e)
{
    uint64_t bytes = e->pages.free_bytes + timers_bytes(e->timers[0]) + timers_bytes(e->timers[1]);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        const struct partition *p = &e->partitions[i];
        bytes += space_bytes(&p->space) + p->room * sizeof(p->profiles[0]);
        bytes += index_bytes(&e->identity.ids[i]);
        bytes += (uint64_t)e->identity.messages[i].slot_count * sizeof(uint64_t);
        bytes += space_bytes(&e->addresses.spaces[i]) + index_bytes(&e->addresses.index[i]);
        bytes += space_bytes(&e->gate.spaces[i]) + index_bytes(&e->gate.addresses[i]);
    }
    return bytes;
}

uint64_t engine_find(const struct engine *e, struct id128 identifier)
{
    return identity_find(&e->identity, &e->host, identifier);
}

bool engine_has_seen(const struct engine *e, uint64_t message_hash, int64_t now_ms)
{
    return identity_knows_message(&e->identity, message_hash, now_ms);
}

bool engine_has(const struct engine *e, uint64_t profile)
{
    uint64_t local = profile_local(profile);
    return local > 0 && local < e->partitions[profile_partition(profile)].count &&
           profile_number(profile_partition(profile), (uint32_t)local) == profile;
}

uint64_t engine_each(const struct engine *e, uint64_t profile)
{
    uint32_t partition = profile_partition(profile), local = profile_local(profile) + 1;
    for (; partition < PARTITIONS; partition++, local = 1) {
        const struct partition *p = &e->partitions[partition];
        for (; local < p->count; local++) {
            const struct profile *at = space_at(&p->space, p->profiles[local]);
            if (profile_forward(at) == 0)
                return profile_number(partition, local);
        }
    }
    return 0;
}

void engine_look(struct engine *e, uint64_t profile, struct person *out)
{
    bool keeps = e->keeps_profiles; /* nobody is changed */
    e->keeps_profiles = false;
    *out = engine_person(e, identity_follow(&e->host, profile));
    e->keeps_profiles = keeps;
    out->at_ms = e->now_ms;
    out->witness = NULL;
}

void engine_watch(struct engine *e, uint64_t profile, const struct witness *witness)
{
    e->watched = profile;
    e->watched_ids[0] = e->watched_ids[1] = (struct id128){0, 0};
    e->witness = witness;
}

void engine_watch_for(struct engine *e, struct id128 user, struct id128 anonymous,
                      const struct witness *witness)
{
    engine_watch(e, 0, witness);
    e->watched_ids[0] = user;
    e->watched_ids[1] = anonymous;
    watch_ids(e);
}

void engine_explain(struct engine *e, uint64_t profile, const struct witness *witness)
{
    struct person who;
    engine_look(e, profile, &who);
    who.witness = witness;
    if (who.plan == NULL || witness == NULL)
        return;
    for (uint32_t i = 0; i < who.profile->intents.count; i++)
        desk_explain(&who, i);
    listings_explain(&who);
    errands_explain(&who);
    journey_explain(&who);
    appointments_explain(&who);
}

int64_t engine_due(struct engine *e, uint64_t profile)
{
    struct person who;
    engine_look(e, profile, &who);
    return min_of(engine_deadline(&who), sweeps_next(e));
}

void engine_pending(struct engine *e, void *self, void (*note)(void *self, struct pending p))
{
    for (uint64_t number = engine_each(e, 0); number != 0; number = engine_each(e, number)) {
        struct person who;
        engine_look(e, number, &who);
        for (uint32_t i = 0; i < who.profile->intents.count; i++) {
            const struct intent *in = person_intent(&who, i);
            if (in->state != INTENT_GRANTED)
                continue;
            must(in->attempt > 0);
            note(self, (struct pending){.profile = number,
                                        .decision = in->decision,
                                        .attempt = in->attempt,
                                        .provider = intent_provider(&who, in),
                                        .is_called_off = in->ending != OUTCOME_NONE});
        }
        for (uint32_t i = 0; i < who.profile->listings.count; i++) {
            const struct listing *x = person_listing(&who, i);
            if (x->state == LISTING_GRANTED || x->state == LISTING_RECALLED)
                note(self, (struct pending){.profile = number,
                                            .decision = x->decision,
                                            .attempt = x->attempt,
                                            .provider = x->provider,
                                            .is_called_off = x->state == LISTING_RECALLED});
        }
        for (uint32_t i = 0; i < who.profile->errands.count; i++) {
            const struct errand *x = person_errand(&who, i);
            if (x->state == ERRAND_GRANTED || x->state == ERRAND_RECALLED)
                note(self, (struct pending){.profile = number,
                                            .decision = x->decision,
                                            .attempt = x->attempt,
                                            .provider = x->provider,
                                            .is_called_off = x->state == ERRAND_RECALLED});
        }
    }
    /* Granted by the last batch: the answer is on its way to the person. */
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        const struct messages *inbox = &e->partitions[i].inbox;
        for (uint32_t k = 0; k < inbox->count; k++)
            if (inbox->at[k].kind == BACK_GRANTED && !planted("store-pending-forgotten"))
                note(self, (struct pending){.profile = inbox->at[k].profile,
                                            .decision = inbox->at[k].decision,
                                            .attempt = inbox->at[k].attempt,
                                            .provider = inbox->at[k].provider});
    }
}
