/* lifecycle.c - an operator's word comes to everybody whom it concerns.
 *
 *     command ──► controls: from the beginning of its batch on, for everybody
 *         │
 *         ├─────► what is at a provider's pool: taken back in the same batch
 *         └─────► a walk over all people, a slice in each batch: what stood still goes on, at a pace;
 *                 what was stopped ends
 *
 * Nothing of a paused journey comes due, so a walk is all that is needed when it goes on. Its pace is
 * not how fast the walk is, which takes seconds, but when it lets each of those go for whom something is
 * overdue: the k-th, k paces later. Those whose waits are not over yet are not touched by it.
 *
 * Walks are state; a restart goes on where they were. A newer word about the same takes the place of
 * what is left of an older walk. When two become one and the walk has been to only one of them, it comes
 * to that one again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "base/mem.h"
#include "engine/engine_int.h"

#define WALK_LOOKS 4096 /* people that a batch looks at, at most by a partition's more */

enum control_news { NEWS_KILLED = 16, NEWS_TAKEN_BACK };

static const struct plan *newest_plan(const struct engine *e)
{
    return e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
}

static void tell_phase(struct engine *e, uint32_t journey, uint32_t by)
{
    results_add(&e->results,
                (struct result){.kind = RESULT_CONTROL,
                                .how = (uint8_t)(controls_phase(&e->controls, journey) + 1),
                                .journey = journey,
                                .message = by,
                                .at_ms = e->now_ms});
}

static void tell_kill(struct engine *e, const struct kill *k, enum control_news news)
{
    results_add(&e->results, (struct result){.kind = RESULT_CONTROL,
                                             .how = (uint8_t)news,
                                             .step = k->channel,
                                             .journey = k->scope == KILL_JOURNEY ? k->name : 0,
                                             .message = k->scope == KILL_MESSAGE ? k->name : 0,
                                             .at_ms = e->now_ms,
                                             .number = k->number});
}

/* ---- touching ------------------------------------------------------------------------------------- */

static void touch(struct engine *e, uint64_t profile, const struct control_touch *touch)
{
    if (e->touch_count == e->touch_room) {
        e->touch_room = e->touch_room ? e->touch_room * 2 : 64;
        e->touches = mem_resize(e->touches, e->touch_room * sizeof(e->touches[0]));
    }
    must(e->touch_count < e->touch_room);
    e->touches[e->touch_count] = *touch;
    engine_add_item(e, profile, ITEM_CONTROL, e->touch_count++);
}

void lifecycle_touch(struct person *who, uint32_t place)
{
    struct engine *e = who->engine;
    must(place < e->touch_count);
    const struct control_touch t = e->touches[place];
    if (who->plan == NULL)
        return;
    if (t.is_phase)
        journey_controlled(who, t.what.name, t.release_ms);
    desk_controlled(who, &t.what, t.release_ms);
    if (who->profile->errands.count)
        errands_controlled(who, &t.what, t.release_ms);
    if (t.takes_existing)
        engine_take_existing(e, who, t.what.name);
}

/* Whose message is at a pool that the word is about: they are worked on in this batch, so that it is
 * taken back before anything is granted. */
static void touch_pools(struct engine *e, const struct kill *what, bool is_phase)
{
    for (uint32_t i = 0; i < e->pools.count; i++) {
        const struct pool *pool = &e->pools.at[i];
        for (uint32_t k = 0; k < pool->count; k++) {
            const struct stage_message *m = &pool->heap[k].message;
            must(m->plan < e->plans.count);
            struct kill_subject x = {
                .journey = m->journey,
                .message = m->message,
                .category = plan_category_of(e->plans.at[m->plan], m->message_index),
                .channel = (enum channel)m->channel,
                .lane = (enum lane)m->lane,
            };
            if (kill_meets(what, &x))
                touch(e, m->profile,
                      &(struct control_touch){
                          .what = *what, .is_phase = is_phase, .release_ms = e->now_ms});
        }
    }
}

/* ---- walks ---------------------------------------------------------------------------------------- */

static bool is_same(const struct control_walk *a, const struct control_walk *b)
{
    return a->is_phase == b->is_phase && a->what.scope == b->what.scope &&
           a->what.name == b->what.name && a->what.channel == b->what.channel;
}

static void begin(struct engine *e, const struct control_walk *walk)
{
    uint32_t place = 0;
    while (place < e->walk_count && !is_same(&e->walks[place], walk))
        place++;
    if (place == e->walk_count) {
        e->walks = mem_resize(e->walks, (e->walk_count + 1) * sizeof(e->walks[0]));
        e->walk_count++;
    }
    must(place < e->walk_count);
    e->walks[place] = *walk;
    e->walks[place].began_ms = e->now_ms;
}

static struct kill all_of_journey(uint32_t journey)
{
    return (struct kill){.scope = KILL_JOURNEY, .name = journey, .flags = KILL_ALL_LANES};
}

void lifecycle_restore(struct engine *e, const struct control_walk *walk)
{
    e->walks = mem_resize(e->walks, (e->walk_count + 1) * sizeof(e->walks[0]));
    e->walks[e->walk_count++] = *walk;
}

static int64_t release_ms(const struct engine *e, const struct control_walk *w)
{
    if (w->pace_count == 0 || planted("resume-floods"))
        return e->now_ms;
    must(w->pace_ms >= 0);
    int64_t after_ms = (int64_t)(w->let_go * (uint64_t)w->pace_ms / w->pace_count);
    must(after_ms >= 0);
    return max_of(w->began_ms + after_ms, e->now_ms);
}

/* Does the walk concern the person; does something of theirs wait for it? */
static bool concerns(struct person *who, const struct control_walk *w, bool *is_overdue)
{
    bool has = desk_has(who, &w->what, is_overdue);
    has |= errands_have(who, &w->what, is_overdue);
    if (!w->is_phase)
        return has;
    if (w->takes_existing && engine_is_existing(who, w->what.name))
        has = true;
    if (!journey_has(who, w->what.name))
        return has;
    *is_overdue = *is_overdue || journey_is_overdue(who, w->what.name);
    return true;
}

static void look(struct engine *e, struct control_walk *w, uint64_t number)
{
    struct person who = engine_person(e, number);
    bool is_overdue;
    who.at_ms = e->now_ms;
    who.witness = NULL;
    if (!concerns(&who, w, &is_overdue))
        return;
    touch(e, number,
          &(struct control_touch){.what = w->what,
                                  .is_phase = w->is_phase,
                                  .takes_existing = w->takes_existing,
                                  .release_ms = release_ms(e, w)});
    w->let_go += is_overdue;
}

static void walk(struct engine *e, struct control_walk *w)
{
    uint64_t seen = 0;
    must(w->partition <= PARTITIONS);
    for (; w->partition < PARTITIONS && seen < WALK_LOOKS; w->partition++) {
        const struct partition *p = &e->partitions[w->partition];
        for (uint32_t local = 1; local < p->count; local++) {
            const struct profile *profile = space_at(&p->space, p->profiles[local]);
            bool has_any = profile->instances.count || profile->intents.count ||
                           profile->appointments.count || w->takes_existing;
            if (profile_forward(profile) == 0 && has_any)
                look(e, w, profile_number(w->partition, local));
        }
        seen += p->count;
    }
}

void lifecycle_step(struct engine *e)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < e->walk_count; i++) {
        struct control_walk *w = &e->walks[i];
        walk(e, w);
        if (w->partition < PARTITIONS)
            e->walks[kept++] = *w;
    }
    must(kept <= e->walk_count);
    e->walk_count = kept;
}

void lifecycle_merge(struct engine *e, uint64_t loser, uint64_t winner)
{
    must(loser != winner);
    for (uint32_t i = 0; i < e->walk_count; i++) {
        const struct control_walk *w = &e->walks[i];
        if (profile_partition(winner) >= w->partition || profile_partition(loser) < w->partition)
            continue;
        touch(e, winner,
              &(struct control_touch){
                  .what = w->what, .is_phase = w->is_phase, .release_ms = release_ms(e, w)});
    }
}

void lifecycle_fini(struct engine *e)
{
    mem_free(e->walks);
    mem_free(e->touches);
    controls_fini(&e->controls);
}

/* ---- words ---------------------------------------------------------------------------------------- */

/* The journey has come into another phase than it was in. */
static void phase_changed(struct engine *e, uint32_t journey, enum journey_phase before,
                          uint32_t by, uint32_t pace_count, int64_t pace_ms)
{
    must(journey != NAME_NONE);
    struct kill what = all_of_journey(journey);
    enum journey_phase phase = controls_phase(&e->controls, journey);
    tell_phase(e, journey, by);
    if (controls_is_still(&e->controls, journey))
        touch_pools(e, &what, true);
    begin(e, &(struct control_walk){
                 .what = what,
                 .is_phase = true,
                 .takes_existing = before == PHASE_DRAFT && phase == PHASE_ACTIVE,
                 .pace_count = pace_count,
                 .pace_ms = pace_ms,
             });
    if (before == PHASE_DRAFT && phase == PHASE_ACTIVE)
        sweeps_journey_opens(e, journey);
}

static void set_phase(struct engine *e, const struct command_word *word, uint32_t by)
{
    const struct plan *plan = newest_plan(e);
    uint32_t journey = names_find_below(e->names, word->name, e->names_told);
    if (plan == NULL || journey == NAME_NONE || plan_journey_find(plan, journey) == PLAN_NO_INDEX)
        return;
    enum journey_phase before = controls_phase(&e->controls, journey);
    if (controls_set_phase(&e->controls, journey, (enum journey_phase)word->phase, word->flags, by,
                           e->now_ms))
        phase_changed(e, journey, before, by, word->pace_count, word->pace_ms);
}

static bool kill_of(const struct engine *e, const struct command_word *word, uint32_t by,
                    struct kill *out)
{
    *out = (struct kill){.scope = word->scope,
                         .channel = word->channel,
                         .flags = word->flags,
                         .by = by,
                         .since_ms = e->now_ms};
    if (word->scope != KILL_CHANNEL && word->scope != KILL_ALL) {
        out->name = names_find_below(e->names, word->name, e->names_told);
        return out->name != NAME_NONE;
    }
    return true;
}

static void set_kill(struct engine *e, const struct command_word *word, uint32_t by)
{
    struct kill wanted;
    if (!kill_of(e, word, by, &wanted))
        return;
    const struct kill *k = controls_kill(&e->controls, &wanted);
    if (k == NULL)
        return;
    must(k->scope == wanted.scope);
    tell_kill(e, k, NEWS_KILLED);
    touch_pools(e, k, false);
    begin(e, &(struct control_walk){.what = *k}); /* to what is under way, too */
}

void lifecycle_wait(struct engine *e, const struct kill *kill)
{
    const struct kill *k = controls_kill(&e->controls, kill);
    must(k != NULL);
    touch_pools(e, k, false);
    begin(e, &(struct control_walk){.what = *k}); /* to what is under way, too */
}

void lifecycle_go_on(struct engine *e, uint32_t place, uint32_t pace_count, int64_t pace_ms)
{
    must(place < e->controls.kill_count);
    struct kill k = e->controls.kills[place];
    controls_unkill(&e->controls, place);
    begin(e, &(struct control_walk){.what = k, .pace_count = pace_count, .pace_ms = pace_ms});
}

static void take_back(struct engine *e, const struct command_word *word, uint32_t by)
{
    struct kill wanted;
    if (!kill_of(e, word, by, &wanted))
        return;
    uint32_t place = controls_kill_find(&e->controls, (enum kill_scope)wanted.scope, wanted.name,
                                        wanted.channel);
    if (place == UINT32_MAX)
        return;
    must(place < e->controls.kill_count);
    tell_kill(e, &e->controls.kills[place], NEWS_TAKEN_BACK);
    lifecycle_go_on(e, place, word->pace_count, word->pace_ms);
}

/* Codes come into a pool. */
static void load_codes(struct engine *e, const struct command_word *word)
{
    const struct plan *plan = engine_plan(e);
    uint32_t name = names_find(e->names, word->name);
    const struct plan_voucher *pool = NULL;
    for (uint32_t i = 0; plan != NULL && i < plan->voucher_count; i++)
        if (plan->vouchers[i].name == name)
            pool = &plan->vouchers[i];
    if (name != NAME_NONE)
        vouchers_load(&e->vouchers, name, pool, word->codes);
}

void lifecycle_command(struct engine *e, const struct record *r)
{
    struct command_word word;
    if (e->is_shadow || !command_read(r, &word))
        return;
    switch (word.kind) {
    case COMMAND_PHASE: set_phase(e, &word, r->source); return;
    case COMMAND_KILL: set_kill(e, &word, r->source); return;
    case COMMAND_UNKILL: take_back(e, &word, r->source); return;
    case COMMAND_VOUCHERS: load_codes(e, &word); return;
    case COMMAND_KIND_END: break;
    }
}

void lifecycle_activated(struct engine *e)
{
    const struct plan *plan = newest_plan(e);
    if (e->is_shadow)
        return;
    must(plan != NULL);
    for (uint32_t i = e->controls.journey_count; i-- > 0;)
        if (plan_journey_find(plan, e->controls.journeys[i].journey) == PLAN_NO_INDEX)
            controls_forget(&e->controls, e->controls.journeys[i].journey);
    for (uint32_t i = 0; i < plan->journey_count; i++) {
        const struct plan_journey *j = &plan->journeys[i];
        enum journey_phase before = controls_phase(&e->controls, j->name);
        if (controls_file_says(&e->controls, j->name, (enum journey_phase)j->phase, e->now_ms))
            phase_changed(e, j->name, before, NAME_NONE, COMMAND_PACE_COUNT, COMMAND_PACE_MS);
    }
}

const struct controls *engine_controls(const struct engine *e)
{
    return &e->controls;
}
