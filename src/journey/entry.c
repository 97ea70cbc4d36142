/* entry.c - who may begin a journey, and when again. Whoever is refused is counted with a reason.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "journey/appointment.h"
#include "journey/journey_int.h"
#include "profile/ask.h"

void entry_keep(struct person *who, const struct plan_journey *j, struct blob *entry)
{
    struct buf *b = who->bytes;
    b->len = 0;
    for (uint32_t i = 0; i < j->kept_count; i++) {
        struct body_field field;
        bool is_there = body_find(who->event->clear, j->kept[i], &field) ||
                        body_find(record_personal(who->event), j->kept[i], &field);
        if (is_there)
            buf_add(b, field.value + field.value_bytes - field.whole_bytes, field.whole_bytes);
    }
    if (b->len > SPACE_OBJECT_MAX) /* an event has 32 KB at most: cannot be, but is bounded */
        b->len = 0;
    blob_set(who->space, entry, b->at, (uint32_t)b->len);
}

static void refuse_named(struct person *who, uint32_t journey, enum refusal why, int64_t number)
{
    person_result(who, (struct result){.kind = RESULT_REFUSED,
                                       .how = (uint8_t)why,
                                       .journey = journey,
                                       .version = who->plans->newest,
                                       .number = number});
    explain_refusal(who, journey, why, number);
}

void entry_refuse(struct person *who, const struct plan_journey *j, enum refusal why,
                  int64_t number)
{
    refuse_named(who, j->name, why, number);
}

/* Does the instance count where entries are counted? Not if it has not begun, belongs to another's run
 * step, or is the one that leaves for this entry. */
static bool counts(const struct person *who, const struct instance *in, uint64_t leaver)
{
    return in->state != INSTANCE_QUEUED && person_more(who, in)->caller == 0 && in->id != leaver;
}

/* The moment from which the journey may be entered again; INT64_MIN = at once, FOREVER_MS = never. */
static int64_t again_at(const struct person *who, const struct plan_journey *j, uint64_t key,
                        uint64_t leaver)
{
    int64_t at_ms = INT64_MIN;
    if (j->again == AGAIN_ALWAYS || planted("enters-again"))
        return at_ms;
    for (uint32_t i = 0; i < who->profile->pasts.count; i++) {
        const struct past *p = person_past(who, i);
        if (p->journey != j->name || (j->again_per_key && p->key != key))
            continue;
        if (j->again == AGAIN_NEVER)
            return FOREVER_MS;
        at_ms = max_of(at_ms, (j->again_of_end ? p->ended_ms : p->entered_ms) + j->again_ms);
    }
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        if (in->journey != j->name || (j->again_per_key && person_more(who, in)->key != key) ||
            !counts(who, in, leaver))
            continue;
        if (j->again == AGAIN_NEVER)
            return FOREVER_MS;
        if (!j->again_of_end)
            at_ms = max_of(at_ms, in->entered_ms + j->again_ms);
    }
    return at_ms;
}

static uint32_t count_live(const struct person *who, const struct plan_journey *j, uint64_t key,
                           uint64_t leaver, uint64_t *oldest)
{
    uint32_t live = 0;
    *oldest = 0;
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        if (in->journey != j->name || (j->at_once_per_key && person_more(who, in)->key != key) ||
            !counts(who, in, leaver))
            continue;
        if (live++ == 0)
            *oldest = in->id;
    }
    return live;
}

/* Does entering the journey end the instance? Held-out instances pre-empt nobody. */
static bool preempts(const struct person *who, const struct plan_journey *j, bool is_ghost,
                     const struct instance *in)
{
    if ((is_ghost && !planted("ghost-preempts")) || in->journey == j->name ||
        planted("preempts-nobody"))
        return false;
    for (uint32_t i = 0; i < j->preempt_count; i++)
        if (j->preempts[i] == in->journey)
            return true;
    uint16_t other = plan_journey_find(who->plan, in->journey);
    uint16_t group = other == PLAN_NO_INDEX ? PLAN_NO_INDEX : who->plan->journeys[other].group;
    return j->group != PLAN_NO_INDEX && group != PLAN_NO_INDEX &&
           who->plan->groups[j->group].preempts >> group & 1;
}

/* Live instances of the group, as a ghost sees them or as others do: ghosts stand in nobody's way but
 * each other's. Those that entering `j` would end are not counted. */
static uint32_t count_group(const struct person *who, const struct plan_journey *j, bool is_ghost,
                            uint64_t leaver)
{
    uint32_t live = 0;
    const uint16_t group = j->group;
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        uint16_t other = plan_journey_find(who->plan, in->journey);
        bool is_seen = counts(who, in, leaver) && (is_ghost || !(in->flags & INSTANCE_IS_GHOST)) &&
                       !preempts(who, j, is_ghost, in);
        if (is_seen && other != PLAN_NO_INDEX && who->plan->journeys[other].group == group)
            live++;
    }
    return live;
}

int64_t entry_lateness(const struct plan_journey *j, const struct record *event)
{
    return j->max_lateness_ms               ? j->max_lateness_ms
           : event->flags & RECORD_IS_BATCH ? BATCH_LATENESS_MS
                                            : MAX_LATENESS_MS;
}

bool entry_is_held_out(const struct person *who, const struct plan_journey *j)
{
    return j->holdout != 0 && hash_chance(j->salt, who->id) < j->holdout;
}

/* What a journey is entered with. */
struct entrant {
    uint16_t journey_index; /* in the plan with the number: */
    uint32_t plan;
    uint64_t key;
    uint64_t leaver; /* the instance that hands over, which ends before; 0 = none */
    uint64_t caller; /* the instance whose run step it is; 0 = none */
    bool is_ghost;   /* whatever its own control group says */
    uint32_t
        waived; /* refusals (bit per number) that are passed over, to see what else would refuse */
};

static const struct plan_journey *journey_of(const struct person *who, const struct entrant *e)
{
    return &person_plan(who, e->plan)->journeys[e->journey_index];
}

static struct instance *push(struct person *who, const struct entrant *e)
{
    const struct plan_journey *j = journey_of(who, e);
    struct instance *in = person_push_instance(who);
    must(in != NULL);
    who->profile->instance_count++;
    *in = (struct instance){
        .id = hash_pair(hash_pair(who->id, j->name), who->profile->instance_count) | 1,
        .journey = j->name,
        .plan = e->plan,
        .journey_index = e->journey_index,
        .state = INSTANCE_READY,
        .flags = e->is_ghost || entry_is_held_out(who, j) ? INSTANCE_IS_GHOST : 0,
        .entered_ms = who->at_ms,
        .step_ms = who->at_ms,
        .due_ms = FOREVER_MS,
    };
    uint32_t place = who->profile->instances.count - 1u;
    struct instance_more more = {.key = e->key, .ask_ms = FOREVER_MS, .caller = e->caller};
    entry_keep(who, j, &more.entry);
    in = person_touch_instance(who, place);
    instance_set_more(who->space, in, &more);
    return in;
}

/* Ends what the instance, which begins, pre-empts: whatever it would still say ends `preempted` too. */
static void end_preempted(struct person *who, uint64_t id)
{
    const struct instance *in = person_instance(who, instance_find(who, id));
    const struct plan_journey *j = &person_plan(who, in->plan)->journeys[in->journey_index];
    bool is_ghost = (in->flags & INSTANCE_IS_GHOST) != 0;
    if (in->plan != who->plans->newest)
        return;
    for (uint32_t i = 0; i < who->profile->instances.count;) {
        const struct instance *other = person_instance(who, i);
        struct str name = names_text(who->names, other->journey);
        if (!preempts(who, j, is_ghost, other)) {
            i++;
            continue;
        }
        person_note_about(who, other->journey, NAME_NONE, "%.*s gives way to %.*s", STR_ARG(name),
                          STR_ARG(names_text(who->names, j->name)));
        instance_end(who, i, JOURNEY_PREEMPTED);
        i = 0; /* what it called may have ended with it */
    }
}

/* What made the person enter, in words: "Cart Updated", "the schedule", "being in vip". */
static struct str cause_of(const struct person *who)
{
    const struct record *r = who->event;
    if (r == NULL)
        return STR("its turn");
    if (r->kind == EVENT_ENTER)
        return STR("a call of the API");
    switch (r->name) {
    case NAME_SCHEDULE: return STR("its schedule");
    case NAME_DATE: return STR("a date of theirs");
    case NAME_API: return STR("a call of the API");
    case NAME_HANDOFF: return STR("a handoff");
    case NAME_RUN: return STR("a run of another journey");
    default: break;
    }
    struct str name = names_text(who->names, r->name);
    struct value segment = record_get(r, NAME_SEGMENT, NULL);
    if (name.len > 0 && name.at[0] != '$')
        return name;
    bool has_name = segment.type == VALUE_TEXT && segment.text.len > 0 && segment.text.at[0] != '$';
    return has_name ? segment.text : STR("a condition that has turned true");
}

/* The instance at `place` begins. */
static void begin(struct person *who, uint32_t place)
{
    const struct instance *in = person_instance(who, place);
    person_result(who, (struct result){.kind = RESULT_ENTERED,
                                       .journey = in->journey,
                                       .version = in->plan,
                                       .id = in->id,
                                       .number = (in->flags & INSTANCE_IS_GHOST) != 0});
    person_tell(who, &(struct note){.kind = NOTE_ENTRY, .journey = in->journey},
                "enters %.*s%s, because of %.*s", STR_ARG(names_text(who->names, in->journey)),
                in->flags & INSTANCE_IS_GHOST ? " (control group)" : "", STR_ARG(cause_of(who)));
    /* Group precedence and in_journey() may have changed for everything pending. */
    person_changed_name(who, in->journey);
    who->is_desk_due |= who->profile->intents.count != 0;
    if (who->count_live != NULL)
        (void)who->count_live(who, in->journey, 1 + planted("entry-counted-twice"));
    uint64_t id = in->id;
    end_preempted(who, id);
    place = instance_find(who, id);
    if (place != UINT32_MAX)
        instance_run(who, place);
}

static void enter(struct person *who, const struct entrant *e)
{
    (void)push(who, e);
    begin(who, who->profile->instances.count - 1u);
}

/* The entry waits behind those that are live. */
static void queue(struct person *who, const struct entrant *e)
{
    struct instance *in = push(who, e);
    in->state = INSTANCE_QUEUED;
    person_result(who, (struct result){.kind = RESULT_WAITS_TURN,
                                       .journey = in->journey,
                                       .version = in->plan,
                                       .id = in->id});
    person_tell(who, &(struct note){.kind = NOTE_ENTRY, .journey = in->journey},
                "entry into %.*s waits for its turn", STR_ARG(names_text(who->names, in->journey)));
    who->is_touched = true;
}

bool entry_is_about(const struct person *who, const struct plan_listen *entry)
{
    if (who->way != NULL)
        return entry->way == who->way;
    return entry->event == who->event->name &&
           (entry->way == NULL || entry->way->kind == WAY_EVENT);
}

/* The entry of the journey that is about the event at hand and whose condition is true, or NULL. */
static const struct plan_listen *entry_find(struct person *who, const struct plan *plan,
                                            const struct plan_journey *j, bool *is_error)
{
    *is_error = false;
    for (uint32_t i = 0; i < j->entry_count; i++) {
        if (!entry_is_about(who, &j->entries[i]))
            continue;
        struct asked asked = ask(who, plan, &j->entries[i].when, (struct blob){0});
        *is_error |= asked.is_error;
        if (asked.is_true)
            return &j->entries[i];
    }
    return NULL;
}

/* What becomes of an entry. */
struct admission {
    enum { REFUSED, QUEUES, ENTERS } answer;
    enum refusal why; /* REFUSED */
    int64_t number;
    uint64_t replaces; /* ENTERS: this instance ends for it; 0 = none */
};

static struct admission no(enum refusal why, int64_t number)
{
    return (struct admission){.answer = REFUSED, .why = why, .number = number};
}

static bool is_waived(const struct entrant *e, enum refusal why)
{
    return e->waived >> why & 1;
}

static bool is_group_full(const struct person *who, const struct plan_journey *j, bool is_ghost,
                          uint64_t leaver)
{
    if (j->group == PLAN_NO_INDEX)
        return false;
    const struct plan_group *g = &who->plan->groups[j->group];
    return g->at_most && !g->waits &&
           count_group(who, j, is_ghost, leaver) >= g->at_most + planted("group-one-more");
}

/* Are as many people in it as it takes? */
static bool is_at_capacity(const struct person *who, const struct plan_journey *j)
{
    return j->capacity && who->count_live != NULL &&
           who->count_live(who, j->name, 0) >= j->capacity + planted("capacity-one-more");
}

/* What re-entry, the group and `require` say of it, with the event at hand. */
static struct admission admission_of(struct person *who, const struct entrant *e)
{
    const struct plan_journey *j = journey_of(who, e);
    struct admission a = {.answer = ENTERS};
    uint64_t oldest;
    uint32_t live = count_live(who, j, e->key, e->leaver, &oldest);
    int64_t again_ms = again_at(who, j, e->key, e->leaver);
    bool is_full = live >= j->at_once_max;
    if (is_full && j->at_once_then == AT_ONCE_IGNORE && !is_waived(e, REFUSAL_AT_ONCE))
        return no(REFUSAL_AT_ONCE, live);
    bool waits = is_full && j->at_once_then == AT_ONCE_QUEUE;
    if (is_full && j->at_once_then == AT_ONCE_RESTART)
        a.replaces = oldest;
    if ((waits ? again_ms == FOREVER_MS : again_ms > who->at_ms) && !is_waived(e, REFUSAL_AGAIN))
        return no(REFUSAL_AGAIN, again_ms);
    uint32_t count = who->profile->instances.count - (e->leaver != 0);
    if (count >= PROFILE_INSTANCES_MAX && a.replaces == 0 && !is_waived(e, REFUSAL_LIMIT))
        return no(REFUSAL_LIMIT, PROFILE_INSTANCES_MAX);
    if (waits)
        return (struct admission){.answer = QUEUES};
    if (a.replaces == 0 && !is_waived(e, REFUSAL_GROUP) &&
        is_group_full(who, j, e->is_ghost || entry_is_held_out(who, j), e->leaver))
        return no(REFUSAL_GROUP, who->plan->groups[j->group].at_most);
    if (j->capacity && e->leaver == 0 && a.replaces == 0 && !is_waived(e, REFUSAL_FULL) &&
        is_at_capacity(who, j))
        return no(REFUSAL_FULL, j->capacity);
    if (j->require.code != NULL && !is_waived(e, REFUSAL_REQUIRE)) {
        struct blob entry = {0};
        entry_keep(who, j, &entry);
        struct asked required = ask(who, who->plan, &j->require, entry);
        blob_set(who->space, &entry, NULL, 0);
        if (!required.is_true)
            return no(REFUSAL_REQUIRE, 0);
    }
    return a;
}

/* For a witness: all that refuses the entry behind what refused it already. */
static void find_objections(struct person *who, const struct entrant *entrant,
                            struct objections *all)
{
    struct entrant e = *entrant;
    for (;;) {
        struct admission a = admission_of(who, &e);
        if (a.answer != REFUSED || all->count == OBJECTIONS_MAX || is_waived(&e, a.why))
            return;
        e.waived |= 1u << a.why;
        all->at[all->count].why = a.why;
        all->at[all->count++].number = a.number;
    }
}

/* The entry is refused, by admission_of(). */
static void refuse_entrant(struct person *who, const struct entrant *e, const struct admission *a)
{
    const struct plan_journey *j = journey_of(who, e);
    struct objections all = {.count = 0};
    entry_refuse(who, j, a->why, a->number);
    if (who->witness == NULL)
        return;
    find_objections(who, e, &all);
    for (uint32_t i = 1; i < all.count; i++)
        explain_refusal(who, j->name, all.at[i].why, all.at[i].number);
    explain_entry(who, j, NULL, &all);
}

/* The event itself refuses it, whatever re-entry says. */
static void refuse_event(struct person *who, uint16_t journey_index, enum refusal why,
                         int64_t number)
{
    const struct plan_journey *j = &who->plan->journeys[journey_index];
    struct objections all = {.count = 1};
    entry_refuse(who, j, why, number);
    if (who->witness == NULL)
        return;
    struct entrant e = {.journey_index = journey_index,
                        .plan = who->plans->newest,
                        .key = record_key(who->event, j->key)};
    all.at[0].why = why;
    all.at[0].number = number;
    if (why != REFUSAL_HISTORY)
        find_objections(who, &e, &all);
    for (uint32_t i = 1; i < all.count; i++)
        explain_refusal(who, j->name, all.at[i].why, all.at[i].number);
    explain_entry(who, j, NULL, &all);
}

/* For a witness: no condition of the entry is true. */
static void tell_untrue(struct person *who, uint16_t journey_index)
{
    const struct plan_journey *j = &who->plan->journeys[journey_index];
    struct objections all = {.count = 0};
    struct entrant e = {.journey_index = journey_index,
                        .plan = who->plans->newest,
                        .key = record_key(who->event, j->key)};
    find_objections(who, &e, &all);
    for (uint32_t i = 0; i < j->entry_count; i++)
        if (entry_is_about(who, &j->entries[i]))
            explain_entry(who, j, &j->entries[i].when, &all);
}

static void let_in(struct person *who, const struct entrant *e, const struct admission *a)
{
    switch (a->answer) {
    case REFUSED: refuse_entrant(who, e, a); return;
    case QUEUES: queue(who, e); return;
    case ENTERS: break;
    }
    uint32_t place = a->replaces != 0 ? instance_find(who, a->replaces) : UINT32_MAX;
    if (place != UINT32_MAX)
        instance_end(who, place, JOURNEY_REPLACED);
    enter(who, e);
}

void entry_admit(struct person *who, uint16_t journey_index, uint64_t key)
{
    if (!entry_is_open(who, &who->plan->journeys[journey_index], key))
        return;
    struct entrant e = {.journey_index = journey_index, .plan = who->plans->newest, .key = key};
    struct admission a = admission_of(who, &e);
    let_in(who, &e, &a);
}

void entry_try(struct person *who, uint16_t journey_index, bool is_consumed)
{
    const struct plan_journey *j = &who->plan->journeys[journey_index];
    const struct record *event = who->event;
    bool is_error;
    const struct plan_listen *listens = entry_find(who, who->plan, j, &is_error);
    if (listens == NULL) {
        if (is_error)
            refuse_event(who, journey_index, REFUSAL_ERROR, 0);
        else if (who->witness != NULL)
            tell_untrue(who, journey_index);
        return;
    }
    if (event->flags & RECORD_IS_HISTORY) {
        refuse_event(who, journey_index, REFUSAL_HISTORY, 0);
        return;
    }
    int64_t late_ms = event->arrival_ms - event->event_ms;
    if (late_ms > entry_lateness(j, event)) {
        refuse_event(who, journey_index, REFUSAL_LATE, late_ms);
        return;
    }
    if (is_consumed) {
        refuse_event(who, journey_index, REFUSAL_CONSUMED, 0);
        return;
    }
    uint64_t key = record_key(event, j->key);
    if (j->key != NAME_NONE && key == 0) {
        refuse_event(who, journey_index, REFUSAL_ERROR,
                     0); /* what would name the instance is missing */
        return;
    }
    if (listens->way != NULL && listens->way->collect_ms > 0)
        appointment_collect(who, listens->way, key);
    else
        entry_admit(who, journey_index, key);
}

void entry_turn(struct person *who, uint32_t place)
{
    struct instance *in = person_touch_instance(who, place);
    uint16_t index = plan_journey_find(who->plan, in->journey);
    uint64_t oldest, key = person_more(who, in)->key;
    who->is_touched = true;
    in->due_ms = FOREVER_MS;
    if (index == PLAN_NO_INDEX) {
        instance_end(who, place, JOURNEY_WITHDRAWN);
        return;
    }
    const struct plan_journey *j = &who->plan->journeys[index];
    enum refusal barred = entry_bar(who, j->name);
    if (barred == REFUSAL_PAUSED) {
        in->due_ms = who->at_ms; /* asked again when the journey goes on */
        return;
    }
    if (barred != 0) {
        entry_drop(who, place, barred);
        return;
    }
    if (count_live(who, j, key, 0, &oldest) >= j->at_once_max)
        return;
    int64_t again_ms = again_at(who, j, key, 0);
    if (again_ms > who->at_ms) {
        in->due_ms = again_ms;
        if (again_ms == FOREVER_MS)
            entry_drop(who, place, REFUSAL_AGAIN);
        return;
    }
    if (is_group_full(who, j, in->flags & INSTANCE_IS_GHOST, 0))
        return;
    if (is_at_capacity(who, j)) {
        entry_drop(who, place, REFUSAL_FULL);
        return;
    }
    if (j->require.code != NULL &&
        !ask(who, who->plan, &j->require, person_more(who, in)->entry).is_true) {
        entry_drop(who, place, REFUSAL_REQUIRE);
        return;
    }
    in = person_touch_instance(who, place);
    in->plan = who->plans->newest;
    in->journey_index = index;
    in->state = INSTANCE_READY;
    in->entered_ms = in->step_ms = who->at_ms;
    begin(who, place);
}

void entry_drop(struct person *who, uint32_t place, enum refusal why)
{
    struct instance in = *person_instance(who, place);
    must(in.state == INSTANCE_QUEUED);
    instance_forget(who->space, &in);
    person_drop_instance(who, place);
    refuse_named(who, in.journey, why, who->at_ms - in.entered_ms);
    who->is_touched = true;
}

/* The way of that kind into the journey, or NULL. */
static const struct plan_way *way_of(const struct plan_journey *j, enum way_kind kind)
{
    for (uint32_t i = 0; i < j->way_count; i++)
        if (j->ways[i].kind == kind)
            return &j->ways[i];
    return NULL;
}

/* What the entry of the way says: false where it was refused. */
static bool is_let_in(struct person *who, const struct plan *plan, const struct plan_journey *j)
{
    bool is_error;
    if (entry_find(who, plan, j, &is_error) != NULL)
        return true;
    entry_refuse(who, j, is_error ? REFUSAL_ERROR : REFUSAL_WHEN, 0);
    return false;
}

static bool hand_over(struct person *who, uint32_t place, uint16_t journey_index)
{
    const struct plan_journey *j = &who->plan->journeys[journey_index];
    const struct instance *in = person_instance(who, place);
    struct entrant e = {.journey_index = journey_index,
                        .plan = who->plans->newest,
                        .key = record_key(who->event, j->key),
                        .leaver = in->id,
                        .is_ghost = in->flags & INSTANCE_IS_GHOST};
    if (j->key != NAME_NONE && e.key == 0) {
        entry_refuse(who, j, REFUSAL_ERROR, 0);
        return false;
    }
    enum refusal barred = entry_bar(who, j->name);
    if (barred != 0) {
        entry_refuse(who, j, barred, 0);
        return false;
    }
    if (!is_let_in(who, who->plan, j))
        return false;
    struct admission a = admission_of(who, &e);
    if (a.answer == REFUSED) {
        refuse_entrant(who, &e, &a);
        return false;
    }
    instance_end(who, instance_find(who, e.leaver), JOURNEY_HANDED_OFF);
    let_in(who, &e, &a);
    return true;
}

bool entry_hand_over(struct person *who, uint32_t place, uint32_t journey,
                     const struct record *event)
{
    uint16_t index = plan_journey_find(who->plan, journey);
    const struct plan_way *way =
        index == PLAN_NO_INDEX ? NULL : way_of(&who->plan->journeys[index], WAY_HANDOFF);
    if (way == NULL || who->handed++ >= HANDED_MAX) {
        refuse_named(who, journey, way == NULL ? REFUSAL_NO_WAY : REFUSAL_LOOP, 0);
        return false;
    }
    const struct record *event_before = who->event;
    const struct plan_way *way_before = who->way;
    who->event = event;
    who->way = way;
    bool is_done = hand_over(who, place, index);
    who->event = event_before;
    who->way = way_before;
    return is_done;
}

bool entry_run(struct person *who, uint32_t place, uint16_t journey_index,
               const struct record *event)
{
    const struct instance *in = person_instance(who, place);
    struct entrant e = {.journey_index = journey_index,
                        .plan = in->plan,
                        .caller = in->id,
                        .is_ghost = in->flags & INSTANCE_IS_GHOST};
    const struct plan_journey *j = journey_of(who, &e);
    if (who->profile->instances.count >= PROFILE_INSTANCES_MAX) {
        entry_refuse(who, j, REFUSAL_LIMIT, PROFILE_INSTANCES_MAX);
        return false;
    }
    enum refusal barred = entry_bar(who, j->name);
    if (barred != 0 && barred != REFUSAL_PAUSED) { /* paused: it stands at its first step */
        entry_refuse(who, j, barred, 0);
        return false;
    }
    const struct record *event_before = who->event;
    const struct plan_way *way_before = who->way;
    who->event = event;
    who->way = way_of(j, WAY_RUN);
    must(who->way != NULL);
    e.key = record_key(event, j->key);
    bool is_fine = is_let_in(who, person_plan(who, e.plan), j);
    if (is_fine)
        enter(who, &e);
    who->event = event_before;
    who->way = way_before;
    return is_fine;
}

void journey_enter(struct person *who, uint16_t journey_index, const struct plan_way *way,
                   const struct record *event)
{
    who->event = event;
    who->way = way;
    entry_try(who, journey_index, false);
    who->event = NULL;
    who->way = NULL;
}

void entry_collected(struct person *who, uint16_t journey_index, const struct record *event)
{
    const struct record *before = who->event; /* the one that made them enough */
    who->event = event;
    entry_admit(who, journey_index, record_key(event, who->plan->journeys[journey_index].key));
    who->event = before;
}

void journey_called(struct person *who, const struct record *event)
{
    uint16_t index = plan_journey_find(who->plan, event->name);
    const struct plan_journey *j = index == PLAN_NO_INDEX ? NULL : &who->plan->journeys[index];
    for (uint32_t i = 0; j != NULL && i < j->way_count; i++) {
        if (j->ways[i].kind != WAY_API)
            continue;
        journey_enter(who, index, &j->ways[i], event);
        return;
    }
    struct plan_journey nobody = {.name = event->name};
    entry_refuse(who, j != NULL ? j : &nobody, REFUSAL_NO_WAY, 0);
}
