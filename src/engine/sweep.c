/* sweep.c - what happens to nobody in particular comes to everybody whom it concerns.
 *
 * A business event (a price has dropped, a flight is cancelled) or a schedule that is the same moment for
 * all begins a *walk*: over the partitions, and in each over the profiles by number.
 *
 *     record ──► walk ──► a slice of people in each batch ──► those for whom `people` and `when` hold
 *                 │                                              │ an item each, like a record
 *                 └── pace: only so many are let in by now       └──► work(): asked again, and entered
 *
 * A batch looks at SWEEP_LOOKS people at most, so that a million of them do not stop the world; while a
 * walk may go on the engine asks for an empty batch at once (engine_has_inbox). A walk begins to move in
 * the batch after its own: what happens to people at the very same moment has been applied by then. It
 * concerns people as they are when it comes to them; somebody who appears after it began it passes by.
 *
 * A pace of n in a time lets in 1 + n * seconds / time people so far: one at once, then evenly, by whole
 * seconds. Only who is let in counts.
 *
 * When two people become one while a walk is between them, the walk comes to the one at once, unless they
 * are in the journey since it began: what was known of the other alone would be missed otherwise.
 *
 * Where an index knows whom the event may concern (selector.c), the walk goes along its list instead.
 *
 * Walks are state: a restart goes on where they were. Another programme may change the way that a walk
 * enters by; if it has none of that journey, number and kind any more, the walk is dropped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "engine/engine_int.h"
#include "journey/appointment.h"
#include "profile/ask.h"

#define SWEEP_LOOKS    4096 /* people that a batch looks at, in all walks together */
#define SWEEPS_AT_ONCE 16   /* walks that share a batch; others wait their turn */
#define SWEEPS_MAX     1024 /* more are refused */
#define CATCH_UP_MAX   4096 /* occurrences in 36 hours: one a minute, and some */
#define SWEEP_STEP_MS  SECOND_MS

static const struct plan *newest_plan(const struct engine *e)
{
    return e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
}

static struct record record_of(const struct sweep *s, int64_t at_ms)
{
    return (struct record){
        .type = RECORD_EVENT,
        .kind = s->kind == WAY_BUSINESS   ? EVENT_BUSINESS
                : s->kind == WAY_EXISTING ? EVENT_TRACK
                                          : EVENT_SCHEDULE,
        .flags = s->flags,
        .schema = RECORD_SCHEMA,
        .source = s->source,
        .name = s->name,
        .at_ms = at_ms,
        .event_ms = s->event_ms,
        .arrival_ms = s->arrival_ms,
        .clear = {(const uint8_t *)s->clear.at, (uint32_t)s->clear.len},
        .personal = {(const uint8_t *)s->personal.at, (uint32_t)s->personal.len},
    };
}

/* ---- beginning and ending ------------------------------------------------------------------------ */

enum sweep_news { SWEEP_BEGAN = 1, SWEEP_IS_OVER, SWEEP_WAS_DROPPED, SWEEP_WAS_REFUSED };

static void tell(struct engine *e, const struct sweep *s, enum sweep_news news)
{
    results_add(&e->results, (struct result){.kind = RESULT_SWEEP,
                                             .how = (uint8_t)news,
                                             .journey = s->journey,
                                             .id = s->id,
                                             .at_ms = e->now_ms,
                                             .number = (int64_t)s->entered});
}

static struct str copy_of(struct str bytes)
{
    if (bytes.len == 0)
        return (struct str){NULL, 0};
    char *copy = mem_new(bytes.len);
    memcpy(copy, bytes.at, bytes.len);
    return (struct str){copy, bytes.len};
}

static void sweep_fini(struct sweep *s)
{
    mem_free((void *)(uintptr_t)s->clear.at);
    mem_free((void *)(uintptr_t)s->personal.at);
    mem_free(s->people);
}

void sweeps_restore(struct engine *e, const struct sweep *sweep)
{
    if (e->sweep_count == e->sweep_room) {
        e->sweep_room = e->sweep_room ? e->sweep_room * 2 : 8;
        e->sweeps = mem_resize(e->sweeps, e->sweep_room * sizeof(e->sweeps[0]));
    }
    must(e->sweep_count < e->sweep_room);
    struct sweep *s = &e->sweeps[e->sweep_count++];
    *s = *sweep;
    s->clear = copy_of(sweep->clear);
    s->personal = copy_of(sweep->personal);
}

static struct str bytes_of(struct body body)
{
    return (struct str){(const char *)body.at, body.bytes};
}

static void begin(struct engine *e, const struct plan_way *way, const struct record *r)
{
    must(newest_plan(e) != NULL);
    must(way->journey < newest_plan(e)->journey_count);
    struct sweep s = {
        .id = ++e->sweeps_begun,
        .journey = newest_plan(e)->journeys[way->journey].name,
        .way = way->number,
        .kind = way->kind,
        .flags = r->flags,
        .began_ms = e->now_ms,
        .clear = bytes_of(r->clear),
        .personal = bytes_of(record_personal(r)),
        .name = r->name,
        .source = r->source,
        .event_ms = r->event_ms,
        .arrival_ms = r->arrival_ms,
        .began_batch = e->batch,
    };
    bool is_too_many = e->sweep_count >= SWEEPS_MAX;
    tell(e, &s, is_too_many ? SWEEP_WAS_REFUSED : SWEEP_BEGAN);
    if (is_too_many)
        return;
    if (way->kind == WAY_BUSINESS)
        s.has_people = selectors_ask(e, way, r, &s.people, &s.people_count);
    sweeps_restore(e, &s);
}

static void refuse(struct engine *e, const struct plan_way *way, enum refusal why, int64_t number)
{
    must(way->journey < newest_plan(e)->journey_count);
    results_add(&e->results, (struct result){.kind = RESULT_REFUSED,
                                             .how = (uint8_t)why,
                                             .version = e->plans.newest,
                                             .journey = newest_plan(e)->journeys[way->journey].name,
                                             .at_ms = e->now_ms,
                                             .number = number});
}

/* Begins unless the record is history or too late for the journey. */
static void try_begin(struct engine *e, const struct plan_way *way, const struct record *r)
{
    must(r->type == RECORD_EVENT);
    must(way->journey < newest_plan(e)->journey_count);
    const struct plan_journey *j = &newest_plan(e)->journeys[way->journey];
    int64_t late_ms = r->arrival_ms - r->event_ms;
    if (r->flags & RECORD_IS_HISTORY)
        refuse(e, way, REFUSAL_HISTORY, 0);
    else if (late_ms > entry_lateness(j, r))
        refuse(e, way, REFUSAL_LATE, late_ms);
    else
        begin(e, way, r);
}

void sweeps_business(struct engine *e, const struct record *r)
{
    const struct plan *plan = newest_plan(e);
    for (uint32_t i = 0; plan != NULL && !e->is_shadow && i < plan->journey_count; i++)
        for (uint32_t k = 0; k < plan->journeys[i].way_count; k++) {
            const struct plan_way *way = &plan->journeys[i].ways[k];
            if (way->kind == WAY_BUSINESS && way->event == r->name)
                try_begin(e, way, r);
        }
}

/* Who is in the segment whose event the way listens to. */
static void begin_existing(struct engine *e, const struct plan_way *way)
{
    must(way->kind == WAY_EXISTING);
    struct str text = names_text(e->names, way->event);
    size_t prefix = str_starts(text, STR("$entered:")) ? STR("$entered:").len : 0;
    struct buf clear;
    buf_init(&clear);
    body_put_text(&clear, NAME_SEGMENT, str_part(text, prefix, text.len));
    begin(e, way,
          &(struct record){.type = RECORD_EVENT,
                           .name = way->event,
                           .event_ms = e->now_ms,
                           .arrival_ms = e->now_ms,
                           .clear = body_of(&clear)});
    buf_fini(&clear);
}

void sweeps_existing(struct engine *e, const struct plan *old)
{
    const struct plan *plan = newest_plan(e);
    must(plan != NULL);
    for (uint32_t i = 0; !e->is_shadow && i < plan->journey_count; i++) {
        const struct plan_journey *j = &plan->journeys[i];
        if (controls_phase(&e->controls, j->name) == PHASE_DRAFT)
            continue;
        for (uint32_t k = 0; k < j->way_count; k++) {
            const struct plan_way *way = &j->ways[k];
            if (way->kind == WAY_EXISTING && !plan_journey_listens(old, j->name, way->event))
                begin_existing(e, way);
        }
    }
}

void sweeps_journey_opens(struct engine *e, uint32_t journey)
{
    const struct plan *plan = newest_plan(e);
    must(plan_journey_find(plan, journey) != PLAN_NO_INDEX);
    const struct plan_journey *j = &plan->journeys[plan_journey_find(plan, journey)];
    for (uint32_t k = 0; k < j->way_count; k++)
        if (j->ways[k].kind == WAY_EXISTING)
            begin_existing(e, &j->ways[k]);
}

void sweeps_end(struct engine *e)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < e->sweep_count; i++) {
        struct sweep *s = &e->sweeps[i];
        if (s->partition < PARTITIONS) {
            e->sweeps[kept++] = *s;
            continue;
        }
        sweep_fini(s);
    }
    must(kept <= e->sweep_count);
    e->sweep_count = kept;
}

void sweeps_fini(struct engine *e)
{
    for (uint32_t i = 0; i < e->sweep_count; i++)
        sweep_fini(&e->sweeps[i]);
    mem_free(e->sweeps);
    mem_free(e->schedules);
}

/* ---- schedules ----------------------------------------------------------------------------------- */

static int64_t occurrence(const struct engine *e, const struct plan_way *way, int64_t from_ms)
{
    int64_t at_ms, wall_ms;
    const struct zone *zone = zoneset_zone(newest_plan(e)->zones, way->zone);
    return schedule_next(way, zone, from_ms, INT64_MIN, &at_ms, &wall_ms) ? at_ms : FOREVER_MS;
}

void sweeps_renew(struct engine *e, int64_t from_ms)
{
    const struct plan *plan = newest_plan(e);
    e->schedule_count = 0;
    for (uint32_t i = 0; plan != NULL && !e->is_shadow && i < plan->journey_count; i++) {
        for (uint32_t k = 0; k < plan->journeys[i].way_count; k++) {
            const struct plan_way *way = &plan->journeys[i].ways[k];
            if (way->kind != WAY_SCHEDULE || way->is_personal)
                continue;
            e->schedules =
                mem_resize(e->schedules, (e->schedule_count + 1) * sizeof(e->schedules[0]));
            e->schedules[e->schedule_count++] =
                (struct due_schedule){way, occurrence(e, way, from_ms)};
        }
    }
}

/* Of the occurrences that are due by now, the latest: when the machine was down, one comes instead of
 * all. */
static int64_t latest_due(const struct engine *e, const struct due_schedule *due)
{
    int64_t at_ms = due->at_ms;
    if (at_ms < e->now_ms - BATCH_LATENESS_MS) {
        int64_t later_ms = occurrence(e, due->way, e->now_ms - BATCH_LATENESS_MS);
        at_ms = later_ms <= e->now_ms ? later_ms : at_ms;
    }
    for (uint32_t i = 0; i < CATCH_UP_MAX; i++) {
        int64_t later_ms = occurrence(e, due->way, at_ms + 1);
        if (later_ms > e->now_ms)
            break;
        at_ms = later_ms;
    }
    must(at_ms <= e->now_ms);
    must(at_ms >= due->at_ms);
    return at_ms;
}

void sweeps_schedules(struct engine *e)
{
    for (uint32_t i = 0; i < e->schedule_count; i++) {
        struct due_schedule *due = &e->schedules[i];
        if (due->at_ms > e->now_ms)
            continue;
        int64_t at_ms = latest_due(e, due);
        struct buf clear;
        buf_init(&clear);
        body_put_time(&clear, NAME_AT, at_ms);
        struct record record = {
            .type = RECORD_EVENT,
            .kind = EVENT_SCHEDULE,
            .flags = RECORD_IS_BATCH, /* 36 hours late, if the machine was down, are no harm */
            .schema = RECORD_SCHEMA,
            .name = due->way->event,
            .event_ms = at_ms,
            .arrival_ms = e->now_ms,
            .clear = body_of(&clear),
        };
        try_begin(e, due->way, &record);
        buf_fini(&clear);
        due->at_ms = occurrence(e, due->way, e->now_ms + 1);
        must(due->at_ms > e->now_ms);
    }
}

/* ---- pace ----------------------------------------------------------------------------------------- */

static const struct plan_way *way_of(const struct engine *e, const struct sweep *s)
{
    const struct plan *plan = newest_plan(e);
    uint16_t index = plan ? plan_journey_find(plan, s->journey) : PLAN_NO_INDEX;
    const struct plan_journey *j = index == PLAN_NO_INDEX ? NULL : &plan->journeys[index];
    if (j == NULL || s->way >= j->way_count || j->ways[s->way].kind != s->kind ||
        j->ways[s->way].is_personal)
        return NULL;
    return &j->ways[s->way];
}

/* When the walk may let in one more; not later than now: it may. */
static int64_t ready_ms(const struct engine *e, const struct sweep *s)
{
    const struct plan_way *way = way_of(e, s);
    if (way == NULL || way->pace.count == 0)
        return e->now_ms;
    /* The least whole number of seconds t with 1 + count * t / per > entered. */
    must(way->pace.per_ms > 0);
    uint64_t span_ms = s->entered * (uint64_t)way->pace.per_ms;
    uint64_t wait_ms = (span_ms + way->pace.count - 1) / way->pace.count;
    wait_ms = (wait_ms + SWEEP_STEP_MS - 1) / SWEEP_STEP_MS * SWEEP_STEP_MS;
    return s->began_ms + (int64_t)wait_ms;
}

/* How many more may be let in by now. */
static uint64_t allowance(const struct engine *e, const struct sweep *s)
{
    must(s->means != NULL);
    const struct plan_pace *pace = &s->means->pace;
    if (pace->count == 0)
        return UINT64_MAX;
    must(pace->per_ms > 0);
    must(e->now_ms >= s->began_ms);
    uint64_t passed_ms = (uint64_t)(e->now_ms - s->began_ms) / SWEEP_STEP_MS * SWEEP_STEP_MS;
    uint64_t so_far = 1 + passed_ms * pace->count / (uint64_t)pace->per_ms;
    return so_far > s->entered ? so_far - s->entered : 0;
}

bool sweeps_are_ready(const struct engine *e)
{
    for (uint32_t i = 0; i < e->sweep_count; i++)
        if (ready_ms(e, &e->sweeps[i]) <= e->now_ms)
            return true;
    return false;
}

int64_t sweeps_next(const struct engine *e)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < e->schedule_count; i++)
        next_ms = min_of(next_ms, e->schedules[i].at_ms);
    for (uint32_t i = 0; i < e->sweep_count; i++)
        next_ms = min_of(next_ms, max_of(ready_ms(e, &e->sweeps[i]), e->now_ms));
    return next_ms;
}

/* ---- walking -------------------------------------------------------------------------------------- */

static bool was_entered(struct engine *e, uint64_t number, const struct sweep *s)
{
    struct person who = engine_person(e, number);
    for (uint32_t i = 0; i < who.profile->instances.count; i++)
        if (person_instance(&who, i)->journey == s->journey &&
            person_instance(&who, i)->entered_ms >= s->began_ms)
            return true;
    for (uint32_t i = 0; i < who.profile->pasts.count; i++)
        if (person_past(&who, i)->journey == s->journey &&
            person_past(&who, i)->entered_ms >= s->began_ms)
            return true;
    return false;
}

/* Does it concern the person, as they are? */
static bool concerns(struct person *who, const struct sweep *s, const struct record *r)
{
    must(who->event == NULL);
    must(who->way == NULL);
    who->event = r;
    who->way = s->means;
    bool does = ask(who, who->plan, &s->means->people, (struct blob){0}).is_true;
    who->event = NULL;
    who->way = NULL;
    return does;
}

static bool lets_in(struct person *who, const struct sweep *s, const struct record *r)
{
    if (audience_is_behind(who->plans, who->profile))
        return true; /* it is asked when segments are up to date */
    if (!concerns(who, s, r))
        return false;
    must(who->event == NULL);
    who->event = r;
    bool does = ask(who, who->plan, &s->entry->when, (struct blob){0}).is_true;
    who->event = NULL;
    return does;
}

/* Resolves the walk in the newest programme; false if it is not in it any more. */
static bool resolve(const struct engine *e, struct sweep *s)
{
    s->entry = NULL;
    s->means = way_of(e, s);
    if (s->means == NULL)
        return false;
    must(s->means->journey < newest_plan(e)->journey_count);
    const struct plan_journey *j = &newest_plan(e)->journeys[s->means->journey];
    for (uint32_t i = 0; i < j->entry_count; i++)
        if (j->entries[i].way == s->means)
            s->entry = &j->entries[i];
    return s->entry != NULL;
}

/* The next person that the walk comes to, 0 if it passes somebody by; it is over: false. */
static bool next_person(const struct engine *e, struct sweep *s, uint64_t *number)
{
    *number = 0;
    must(s->partition < PARTITIONS);
    if (s->has_people) {
        must(s->local <= s->people_count);
        if (s->local == s->people_count) {
            s->partition = PARTITIONS;
            return false;
        }
        /* Who has become part of somebody else that the list has is met there. */
        uint64_t listed = s->people[s->local++];
        uint64_t alive = identity_follow(&e->host, listed);
        bool is_met = false;
        for (uint32_t i = 0; alive != listed && i < s->people_count; i++)
            is_met |= s->people[i] == alive;
        *number = is_met ? 0 : alive;
        return true;
    }
    const struct partition *p = &e->partitions[s->partition];
    while (++s->local >= p->count) {
        s->local = 0;
        if (++s->partition == PARTITIONS)
            return false;
        p = &e->partitions[s->partition];
    }
    const struct profile *profile = space_at(&p->space, p->profiles[s->local]);
    if (profile_forward(profile) == 0 && profile->first_seen_ms <= s->began_ms)
        *number = profile_number(s->partition, s->local);
    return true;
}

/* Looks at `most` people at most; how many it did. */
static uint32_t walk(struct engine *e, uint32_t place, uint32_t most)
{
    must(place < e->sweep_count);
    struct sweep *s = &e->sweeps[place];
    must(s->means != NULL);
    must(s->entry != NULL);
    struct record r = record_of(s, e->now_ms);
    uint64_t rest = allowance(e, s);
    uint32_t looked = 0;
    uint64_t number;
    for (; looked < most && rest > 0 && next_person(e, s, &number); looked++) {
        if (number == 0)
            continue;
        struct person who = engine_person(e, number);
        who.at_ms = e->now_ms;
        who.witness = NULL;
        if (s->kind == WAY_EXISTING && was_entered(e, number, s))
            continue; /* came to be in it anew meanwhile */
        if (!lets_in(&who, s, &r))
            continue;
        engine_add_item(e, number, ITEM_SWEEP, place);
        s->entered++;
        rest--;
    }
    must(looked <= most);
    if (s->partition == PARTITIONS)
        tell(e, s, SWEEP_IS_OVER);
    return looked;
}

void sweeps_step(struct engine *e)
{
    uint32_t at_once = 0, looked = 0, walked = 0;
    for (uint32_t i = 0; i < e->sweep_count; i++) {
        struct sweep *s = &e->sweeps[i];
        if (s->partition == PARTITIONS)
            continue;
        if (!resolve(e, s)) {
            s->partition = PARTITIONS;
            tell(e, s, SWEEP_WAS_DROPPED);
        } else if (ready_ms(e, s) <= e->now_ms && s->began_batch != e->batch) {
            at_once++;
        }
    }
    at_once = min_of(at_once, (uint32_t)SWEEPS_AT_ONCE);
    for (uint32_t i = 0; i < e->sweep_count && walked < at_once; i++) {
        struct sweep *s = &e->sweeps[i];
        if (s->partition == PARTITIONS || ready_ms(e, s) > e->now_ms || s->began_batch == e->batch)
            continue;
        /* What those before did not use is for those behind. */
        must(at_once > 0);
        uint32_t share = SWEEP_LOOKS * ++walked / at_once;
        must(share >= looked);
        looked += walk(e, i, share - looked);
    }
}

void sweep_enter(struct person *who, const struct sweep *sweep)
{
    if (sweep->means == NULL || who->plan == NULL)
        return;
    struct record r = record_of(sweep, who->at_ms);
    if (concerns(who, sweep, &r))
        journey_enter(who, sweep->means->journey, sweep->means, &r);
}

/* ---- merges ---------------------------------------------------------------------------------------- */

static bool has_passed(const struct sweep *s, uint64_t number)
{
    uint32_t partition = profile_partition(number);
    return partition < s->partition ||
           (partition == s->partition && profile_local(number) <= s->local);
}

void sweeps_merge(struct engine *e, uint64_t loser, uint64_t winner)
{
    must(loser != winner);
    for (uint32_t i = 0; i < e->sweep_count; i++) {
        struct sweep *s = &e->sweeps[i];
        if (s->partition == PARTITIONS || s->has_people || !has_passed(s, winner) ||
            has_passed(s, loser) || was_entered(e, winner, s) || !resolve(e, s))
            continue;
        must(s->means != NULL);
        s->entered++;
        engine_add_item(e, winner, ITEM_SWEEP, i);
    }
}
