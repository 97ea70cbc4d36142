/* change.c - from one programme to the next, without a gap in what is remembered.
 *
 * Histories are kept for the features of every plan that somebody may ask: the newest, the one that is
 * prepared, and older ones under which people are still in flight. Each of them is a *feed*; a feature
 * has the same name in every plan that defines it alike, and is fed by the first feed that has it.
 *
 *     feeds:   newest │ prepared │ older versions from `plans_from` on
 *
 * A prepared plan's features that no feed had before are *fresh*: nothing is known of their past. The
 * backfill is their past up to the batch before `prepare`, made by a shadow engine that applies the same
 * log; what is kept since is the rest. Both are split by the log and not by time, so that uniting them
 * is the same as having kept the feature from the start, late events and equal moments included: what
 * the log has first stands first among items of one moment. A profile in the backfill that was merged
 * into another since is united with that one; who was erased since is left out. (Only there, where two
 * people did something in the very same millisecond and were found to be one between `prepare` and
 * `activate`, may these two items stand the other way round than if nothing had been prepared.)
 *
 * `unite` hands the backfill over. From its batch on each batch unites a piece of it, as much as a number of
 * people and bytes say and not as a clock does, in the order of the file:
 *
 *     partitions:  united │ here: `local`, `offset` │ to come       a batch: ├─ UNITE_WORK ─┤
 *
 * Nobody asks for a fresh feature before `activate`, so it does not matter who has been united already:
 * events and merges add to whatever half there is, and the other half is united with what came of it. The
 * place is state, the file is not: it is found by the hash in the state, or made again from the log.
 * `activate` comes when all is united; it would unite the rest at once.
 *
 * Features that no feed has any more are *leftovers*. They are dropped before anything may start to be
 * kept under their name again: by a pass over all people, some in each batch, that also finds the oldest
 * plan under which anybody is in flight. Numbers of plans only get older, so one pass is enough to know
 * that nobody is under an older one; who is merged meanwhile is looked at then. Where that takes feeds
 * away, the pass begins again. If a `prepare` comes before it is over, that takes effect at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "engine/engine_int.h"
#include "profile/feature.h"

#define TIDY_PROFILES 4096 /* that a batch looks at */

/* What a batch unites of a backfill: its bytes, and so many more for each person and partition; one person
 * at least. */
#define UNITE_PERSON    256
#define UNITE_PARTITION 4096
#define UNITE_WORK      (128 * 1024)

/* ---- features of a plan -------------------------------------------------------------------------- */

static uint32_t feature_count(const struct plan *plan)
{
    return plan->feature_count;
}

static uint32_t feature_name(const struct plan *plan, uint32_t i)
{
    must(i < plan->feature_count);
    return plan->features[i].name;
}

/* ---- feeds --------------------------------------------------------------------------------------- */

/* Where the name stands, or would, in a list of ascending ones. */
static uint32_t place_of(const uint32_t *names, uint32_t count, uint32_t name)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (names[middle] < name)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_name(const uint32_t *names, uint32_t count, uint32_t name)
{
    uint32_t place = place_of(names, count, name);
    return place < count && names[place] == name;
}

/* Is that history fed by anything? */
static bool is_fed(const struct engine *e, uint32_t name)
{
    return has_name(e->fed, e->fed_count, name);
}

static void add_name(uint32_t *names, uint32_t *count, uint32_t name)
{
    uint32_t place = place_of(names, *count, name);
    must(place == *count || names[place] != name);
    memmove(names + place + 1, names + place, (*count - place) * sizeof(names[0]));
    names[place] = name;
    ++*count;
}

static void add_feed(struct engine *e, const struct plan *plan, uint32_t names_from)
{
    uint32_t count = feature_count(plan);
    uint32_t added = 0;
    bool *skips = mem_new((count + 1) * sizeof(bool));
    e->fed = mem_resize(e->fed, (e->fed_count + count + 1) * sizeof(e->fed[0]));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t name = feature_name(plan, i);
        skips[i] = is_fed(e, name + names_from);
        if (skips[i])
            continue;
        add_name(e->fed, &e->fed_count, name + names_from);
        added++;
    }
    if (added == 0) {
        mem_free(skips);
        return;
    }
    must(added <= count);
    e->feeds = mem_resize(e->feeds, (e->feed_count + 1) * sizeof(e->feeds[0]));
    e->feeds[e->feed_count++] = (struct feed){plan, skips, names_from};
}

static void clear_feeds(struct engine *e)
{
    for (uint32_t i = 0; i < e->feed_count; i++)
        mem_free(e->feeds[i].skips);
    e->feed_count = e->fed_count = 0;
}

void change_set_feeds(struct engine *e)
{
    must(e->plans_from <= e->plans.newest);
    clear_feeds(e);
    if (!e->is_shadow) {
        if (e->plans.newest)
            add_feed(e, e->plans.at[e->plans.newest], 0);
        if (e->change.plan && e->change.batch != 0)
            add_feed(e, e->change.plan, 0);
        for (uint32_t i = e->plans.newest; i-- > e->plans_from;)
            add_feed(e, e->plans.at[i], 0);
    }
    if (e->kept)
        add_feed(e, e->kept, e->kept_from);
}

void engine_keep(struct engine *e, const struct plan *plan, uint32_t features_from)
{
    must(e->batch == 0);
    must(features_from > NAMES_MAX);
    e->kept = plan;
    e->kept_from = features_from;
    change_set_feeds(e);
}

void change_note_event(struct engine *e, struct person *who)
{
    for (uint32_t i = 0; i < e->feed_count; i++)
        features_note(who, e->feeds[i].plan, e->feeds[i].skips, e->feeds[i].names_from);
}

const struct plan_feature *change_feature(const struct person *who, uint32_t name)
{
    const struct engine *e = who->engine;
    for (uint32_t i = 0; i < e->feed_count; i++) {
        const struct feed *feed = &e->feeds[i];
        uint16_t index = name < feed->names_from
                             ? PLAN_NO_INDEX
                             : plan_feature_find(feed->plan, name - feed->names_from);
        must(index == PLAN_NO_INDEX || index < feed->plan->feature_count);
        if (index != PLAN_NO_INDEX)
            return &feed->plan->features[index];
    }
    return NULL;
}

/* ---- leftovers ----------------------------------------------------------------------------------- */

static void drop_leftovers(struct engine *e, uint64_t number)
{
    must(profile_local(number) >= 1);
    struct profile *profile = engine_profile(e, number);
    struct space *space = &e->partitions[profile_partition(number)].space;
    for (uint32_t i = profile->histories.count; i-- > 0;) {
        const struct history *h = vec_at(space, &profile->histories, i, sizeof(struct history));
        if (!is_fed(e, h->feature))
            features_drop(space, profile, i);
    }
}

static uint32_t oldest_plan(const struct engine *e, uint64_t number)
{
    const struct space *space = &e->partitions[profile_partition(number)].space;
    const struct partition *p = &e->partitions[profile_partition(number)];
    must(profile_local(number) < p->count);
    const struct profile *profile = space_at(space, p->profiles[profile_local(number)]);
    uint32_t oldest = UINT32_MAX;
    for (uint32_t i = 0; i < profile->instances.count; i++) {
        const struct instance *x = vec_at(space, &profile->instances, i, sizeof(*x));
        oldest = min_of(oldest, x->plan);
    }
    for (uint32_t i = 0; i < profile->intents.count; i++) {
        const struct intent *x = vec_at(space, &profile->intents, i, sizeof(*x));
        oldest = min_of(oldest, x->plan);
    }
    for (uint32_t i = 0; i < profile->listings.count; i++) {
        const struct listing *x = rare_at(space, profile, RARE_LISTINGS, i, sizeof(*x));
        if (x->state != LISTING_IDLE)
            oldest = min_of(oldest, x->plan);
    }
    for (uint32_t i = 0; i < profile->errands.count; i++) {
        const struct errand *x = rare_at(space, profile, RARE_ERRANDS, i, sizeof(*x));
        oldest = min_of(oldest, x->plan);
    }
    for (uint32_t i = 0; i < profile->pasts.count; i++) {
        const struct past *x = rare_at(space, profile, RARE_PASTS, i, sizeof(*x));
        if (x->goal_until_ms != 0)
            oldest = min_of(oldest, x->plan);
    }
    return oldest;
}

void change_note_merge(struct engine *e, uint64_t loser)
{
    if (e->tidy < PARTITIONS)
        e->tidy_oldest = min_of(e->tidy_oldest, oldest_plan(e, loser));
}

static void begin_pass(struct engine *e)
{
    must(e->plans.newest < e->plans.count);
    e->tidy = e->tidy_local = 0;
    e->tidy_oldest = e->plans.newest;
}

static void tidy_one(struct engine *e, uint64_t number)
{
    const struct partition *p = &e->partitions[profile_partition(number)];
    const struct profile *profile = space_at(&p->space, p->profiles[profile_local(number)]);
    if (profile->histories.count)
        drop_leftovers(e, number);
    if (profile->instances.count || profile->intents.count || profile->pasts.count)
        e->tidy_oldest = min_of(e->tidy_oldest, oldest_plan(e, number));
}

/* The pass goes on by a slice. */
static void tidy_some(struct engine *e)
{
    for (uint32_t seen = 0; e->tidy < PARTITIONS && seen < TIDY_PROFILES; seen++) {
        if (e->tidy_local + 1 < e->partitions[e->tidy].count) {
            tidy_one(e, profile_number(e->tidy, ++e->tidy_local));
        } else {
            e->tidy++;
            e->tidy_local = 0;
        }
    }
    if (e->tidy < PARTITIONS || e->tidy_oldest <= e->plans_from)
        return;
    must(e->tidy == PARTITIONS);
    must(e->tidy_oldest <= e->plans.newest);
    e->plans_from = e->tidy_oldest;
    change_set_feeds(e);
    begin_pass(e);
}

static void drop_all_leftovers(struct engine *e)
{
    for (uint32_t partition = e->tidy; partition < PARTITIONS; partition++)
        for (uint32_t local = 1; local < e->partitions[partition].count; local++)
            drop_leftovers(e, profile_number(partition, local));
}

/* ---- prepare, activate, abandon ------------------------------------------------------------------ */

static const struct plan *plan_named(const struct engine *e, const struct record *r)
{
    struct value hash = record_get(r, NAME_PROGRAMME, NULL);
    must(hash.type == VALUE_TEXT);
    for (uint32_t i = e->prepared_count; i-- > 0;)
        if (str_is(hash.text, e->prepared[i]->hash))
            return e->prepared[i];
    return NULL;
}

static void forget_change(struct engine *e)
{
    mem_free(e->change.fresh);
    e->change = (struct change){0};
}

static void abandon(struct engine *e)
{
    if (e->change.plan == NULL)
        return;
    if (change_is_uniting(e))
        e->backfill = NULL;
    forget_change(e);
    change_set_feeds(e);
    begin_pass(e);
}

/* Nothing is left under the names of its features: they are kept from here on. */
static void begin_change(struct engine *e)
{
    struct change *c = &e->change;
    must(c->batch == 0);
    c->batch = e->batch;
    c->fresh = mem_new((feature_count(c->plan) + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < feature_count(c->plan); i++) {
        uint32_t name = feature_name(c->plan, i);
        if (!is_fed(e, name))
            add_name(c->fresh, &c->fresh_count, name);
    }
    must(c->fresh_count <= feature_count(c->plan));
    must(c->fresh != NULL);
    change_set_feeds(e);
    results_add(
        &e->results,
        (struct result){.kind = RESULT_PREPARED, .at_ms = e->now_ms, .number = c->fresh_count});
}

static void prepare(struct engine *e, const struct record *r)
{
    const struct plan *plan = plan_named(e, r);
    must(plan != NULL);
    if (plan == e->change.plan)
        return;
    abandon(e);
    must(e->change.plan == NULL);
    e->change = (struct change){.plan = plan};
    if (e->tidy == PARTITIONS)
        begin_change(e);
}

void change_tidy(struct engine *e)
{
    if (e->tidy == PARTITIONS)
        return;
    tidy_some(e);
    if (e->tidy == PARTITIONS && e->change.plan != NULL && e->change.batch == 0)
        begin_change(e);
}

/* ---- uniting ------------------------------------------------------------------------------------- */

/* Takes the person's history of the feature, if there is one, over into the other list. */
static void take_history(const struct person *who, uint32_t feature, struct profile *to)
{
    struct vec *list = &who->profile->histories;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct history *h = vec_at(who->space, list, i, sizeof(*h));
        if (h->feature != feature)
            continue;
        struct history *slot = vec_push(who->space, &to->histories, sizeof(*h));
        must(slot != NULL);
        *slot = *h;
        vec_drop(who->space, list, i, sizeof(*h));
        return;
    }
}

/* What the bytes tell of fresh features becomes the beginning of the profile's histories of them: what was
 * kept since stands behind it. */
static void unite(struct engine *e, struct space *space, uint64_t number, struct str bytes)
{
    struct cursor in = cursor_of(bytes.at, bytes.len);
    struct profile past = {0}, since = {0};
    must(persist_take_histories(space, &in, &past.histories));
    must(cursor_left(&in) == 0);
    struct person who = engine_person(e, number);
    who.at_ms = e->now_ms;
    struct person before = who, after = who;
    before.space = space;
    before.profile = &past;
    after.profile = &since;
    for (uint32_t i = past.histories.count; i-- > 0;) {
        uint32_t feature = person_history(&before, i)->feature;
        if (has_name(e->change.fresh, e->change.fresh_count, feature))
            take_history(&who, feature, &since);
        else
            features_drop(space, &past, i);
    }
    features_unite(&who, &before);
    features_unite(&who, &after);
    features_clear(after.space, &since);
    features_clear(space, &past);
}

/* The next of the partition's bytes; false: that was the last one. */
static bool unite_next(struct engine *e, struct space *space, uint64_t *work)
{
    struct change *c = &e->change;
    struct str part = e->backfill->parts[c->partition];
    must(c->offset <= part.len);
    struct cursor in = cursor_of(part.at + c->offset, part.len - c->offset);
    if (c->offset == 0 && part.len > 0)
        (void)cursor_varint(&in); /* how many there are */
    if (cursor_left(&in) == 0)
        return false;
    c->local += (uint32_t)cursor_varint(&in);
    struct str bytes = cursor_take(&in, cursor_varint(&in));
    must(!in.is_bad);
    must(c->local < e->partitions[c->partition].count);
    uint64_t alive = identity_follow(&e->host, profile_number(c->partition, c->local));
    if (profile_forward(engine_profile(e, alive)) != PROFILE_ERASED)
        unite(e, space, alive, bytes);
    c->offset = part.len - cursor_left(&in);
    *work += UNITE_PERSON + bytes.len;
    return true;
}

static void unite_some(struct engine *e, uint64_t work_max)
{
    struct change *c = &e->change;
    struct space space; /* of one person's past at a time */
    must(e->backfill != NULL);
    must(str_is(str_of(c->backfill), e->backfill->hash));
    space_init(&space);
    for (uint64_t work = 0; c->partition < PARTITIONS && work < work_max;) {
        if (unite_next(e, &space, &work))
            continue;
        c->partition++;
        c->local = 0;
        c->offset = 0;
        work += UNITE_PARTITION;
    }
    space_fini(&space);
    if (c->partition == PARTITIONS)
        e->backfill = NULL;
}

bool change_is_uniting(const struct engine *e)
{
    return e->change.backfill[0] != 0 && e->change.partition < PARTITIONS;
}

void change_unite(struct engine *e)
{
    if (change_is_uniting(e))
        unite_some(e, UNITE_WORK);
}

static void begin_uniting(struct engine *e, struct str hash)
{
    struct change *c = &e->change;
    if (c->fresh_count == 0 || c->backfill[0] != 0)
        return;
    must(e->backfill != NULL);
    must(str_is(hash, e->backfill->hash));
    memcpy(c->backfill, e->backfill->hash, sizeof(c->backfill));
    c->partition = c->local = 0;
    c->offset = 0;
}

/* A record that comes behind `abandon` is too late. */
static void start_uniting(struct engine *e, const struct record *r)
{
    const struct plan *plan = plan_named(e, r);
    struct value backfill = record_get(r, NAME_BACKFILL, NULL);
    if (plan != NULL && plan == e->change.plan && backfill.type == VALUE_TEXT)
        begin_uniting(e, backfill.text);
}

static void activate(struct engine *e, const struct record *r)
{
    const struct plan *plan = plan_named(e, r);
    struct value backfill = record_get(r, NAME_BACKFILL, NULL);
    must(plan != NULL);
    if (e->plans.newest && e->plans.at[e->plans.newest] == plan) {
        abandon(e);
        return;
    }
    if (e->change.plan != plan)
        abandon(e);
    else if (e->change.batch == 0)
        drop_all_leftovers(e);
    else if (backfill.type == VALUE_TEXT)
        begin_uniting(e, backfill.text);
    if (change_is_uniting(e))
        unite_some(e, UINT64_MAX); /* what is left; nothing where it waited */
    e->backfill = NULL;
    must(e->plans.count < UINT16_MAX);
    e->plans.at = mem_resize(e->plans.at, (e->plans.count + 1) * sizeof(e->plans.at[0]));
    e->plans.at[e->plans.count] = plan;
    e->sweep = e->sweep_local = 0;
    const struct plan *old = e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
    e->plans.newest = e->plans.count++;
    must(e->plans.newest + 1 == e->plans.count);
    e->activated_ms = e->now_ms;
    sweeps_renew(e, e->now_ms);
    selectors_activate(e, false);
    lifecycle_activated(e);
    monitors_activated(e);
    sweeps_existing(e, old);
    if (e->plans_from == 0)
        e->plans_from = e->plans.newest;
    must(e->plans_from > 0);
    must(e->plans_from <= e->plans.newest);
    forget_change(e);
    change_set_feeds(e);
    begin_pass(e);
    must(e->change.plan == NULL);
    results_add(
        &e->results,
        (struct result){.kind = RESULT_ACTIVATED, .at_ms = e->now_ms, .number = e->plans.newest});
}

void change_apply(struct engine *e, const struct record *r)
{
    switch ((enum programme_kind)r->kind) {
    case PROGRAMME_PREPARE:
        if (!e->is_shadow)
            prepare(e, r);
        return;
    case PROGRAMME_ACTIVATE: activate(e, r); return;
    case PROGRAMME_ABANDON: abandon(e); return;
    case PROGRAMME_UNITE: start_uniting(e, r); return;
    }
}

struct engine_change engine_change(const struct engine *e)
{
    return (struct engine_change){.plan = e->change.plan,
                                  .batch = e->change.batch,
                                  .count = e->change.fresh_count,
                                  .features = e->change.fresh,
                                  .backfill = e->change.backfill[0] ? e->change.backfill : NULL,
                                  .is_uniting = change_is_uniting(e),
                                  .split = split_how(e->split)};
}

void engine_offer_backfill(struct engine *e, const struct backfill *backfill)
{
    must(!change_is_uniting(e) ||
         (backfill != NULL && str_is(str_of(e->change.backfill), backfill->hash)));
    e->backfill = backfill;
}

/* ---- writing a backfill -------------------------------------------------------------------------- */

static uint32_t put_profile(const struct engine *e, const struct profile *profile,
                            struct space *space, const uint32_t *features, uint32_t count,
                            struct buf *out)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < profile->histories.count; i++) {
        struct history h =
            *(const struct history *)vec_at(space, &profile->histories, i, sizeof(h));
        uint32_t name = h.feature - e->kept_from;
        if (h.feature < e->kept_from || !has_name(features, count, name))
            continue;
        h.feature = name;
        persist_put_history(space, &h, out);
        found++;
    }
    return found;
}

void engine_write_backfill(const struct engine *e, const uint32_t *features, uint32_t count,
                           void *self,
                           void (*put)(void *self, uint32_t partition, struct str bytes))
{
    struct buf part, histories, head;
    buf_init(&part);
    buf_init(&histories);
    buf_init(&head);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        const struct partition *p = &e->partitions[i];
        struct space *space = (struct space *)(uintptr_t)&p->space; /* only read */
        uint32_t last = 0;
        uint64_t profiles = 0;
        part.len = 0;
        for (uint32_t local = 1; local < p->count; local++) {
            const struct profile *profile = space_at(space, p->profiles[local]);
            histories.len = 0;
            uint32_t found = put_profile(e, profile, space, features, count, &histories);
            if (found == 0)
                continue;
            head.len = 0;
            buf_add_varint(&head, found);
            must(local > last);
            buf_add_varint(&part, local - last);
            buf_add_varint(&part, head.len + histories.len);
            buf_add_str(&part, buf_str(&head));
            buf_add_str(&part, buf_str(&histories));
            last = local;
            profiles++;
        }
        head.len = 0;
        must(profiles < p->count);
        if (profiles > 0) {
            buf_add_varint(&head, profiles);
            buf_add_str(&head, buf_str(&part));
        }
        put(self, i, buf_str(&head));
    }
    buf_fini(&part);
    buf_fini(&histories);
    buf_fini(&head);
}

void engine_each_instance(const struct engine *e, uint32_t partition, void *self,
                          void (*note)(void *self, uint32_t plan, uint16_t journey_index,
                                       uint16_t step))
{
    must(partition < PARTITIONS);
    const struct partition *p = &e->partitions[partition];
    for (uint32_t local = 1; local < p->count; local++) {
        const struct profile *profile = space_at(&p->space, p->profiles[local]);
        for (uint32_t i = 0; i < profile->instances.count; i++) {
            const struct instance *x =
                vec_at(&p->space, &profile->instances, i, sizeof(struct instance));
            note(self, x->plan, x->journey_index, x->step);
        }
    }
}

void change_fini(struct engine *e)
{
    clear_feeds(e);
    mem_free(e->feeds);
    mem_free(e->fed);
    mem_free(e->change.fresh);
}
