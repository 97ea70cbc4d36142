/* entry.c - who may begin a journey, and when again. Whoever is refused is counted with a reason.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
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
                        body_find(who->event->personal, j->kept[i], &field);
        if (is_there)
            buf_add(b, field.value + field.value_bytes - field.whole_bytes, field.whole_bytes);
    }
    if (b->len > SPACE_OBJECT_MAX) /* an event has 32 KB at most: cannot be, but is bounded */
        b->len = 0;
    blob_set(who->space, entry, b->at, (uint32_t)b->len);
}

void entry_refuse(struct person *who, const struct plan_journey *j, enum refusal why,
                  int64_t number)
{
    person_result(who, (struct result){.kind = RESULT_REFUSED,
                                       .how = (uint8_t)why,
                                       .journey = j->name,
                                       .number = number});
    person_note_about(who, j->name, NAME_NONE, "entry into %.*s refused: %s",
                      STR_ARG(names_text(who->names, j->name)), refusal_name(why));
}

/* The moment from which the journey may be entered again; INT64_MIN = at once, FOREVER_MS = never. */
static int64_t again_at(const struct person *who, const struct plan_journey *j, uint64_t key)
{
    int64_t at_ms = INT64_MIN;
    if (j->again == AGAIN_ALWAYS)
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
        if (in->journey != j->name || (j->again_per_key && in->key != key))
            continue;
        if (j->again == AGAIN_NEVER)
            return FOREVER_MS;
        if (!j->again_of_end)
            at_ms = max_of(at_ms, in->entered_ms + j->again_ms);
    }
    return at_ms;
}

static uint32_t count_live(const struct person *who, const struct plan_journey *j, uint64_t key,
                           uint32_t *oldest)
{
    uint32_t live = 0;
    *oldest = UINT32_MAX;
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        if (in->journey != j->name || (j->at_once_per_key && in->key != key))
            continue;
        if (live++ == 0)
            *oldest = i;
    }
    return live;
}

/* Live instances of the group, as a ghost sees them or as others do: ghosts stand in nobody's way but
 * each other's. */
static uint32_t count_group(const struct person *who, uint16_t group, bool is_ghost)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        uint16_t other = plan_journey_find(who->plan, in->journey);
        bool counts = is_ghost || !(in->flags & INSTANCE_IS_GHOST);
        if (counts && other != PLAN_NO_INDEX && who->plan->journeys[other].group == group)
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

static void enter(struct person *who, uint16_t journey_index, uint64_t key)
{
    const struct plan_journey *j = &who->plan->journeys[journey_index];
    struct instance *in = person_push_instance(who);
    must(in != NULL);
    who->profile->instance_count++;
    *in = (struct instance){
        .id = hash_pair(hash_pair(who->id, j->name), who->profile->instance_count) | 1,
        .journey = j->name,
        .plan = who->plans->newest,
        .journey_index = journey_index,
        .state = INSTANCE_READY,
        .flags = entry_is_held_out(who, j) ? INSTANCE_IS_GHOST : 0,
        .key = key,
        .entered_ms = who->at_ms,
        .step_ms = who->at_ms,
        .due_ms = FOREVER_MS,
        .ask_ms = FOREVER_MS,
    };
    uint32_t place = who->profile->instances.count - 1u;
    struct blob entry = {0};
    entry_keep(who, j, &entry);
    person_touch_instance(who, place)->entry = entry;
    person_result(who, (struct result){.kind = RESULT_ENTERED,
                                       .journey = j->name,
                                       .id = in->id,
                                       .number = (in->flags & INSTANCE_IS_GHOST) != 0});
    person_note_about(who, j->name, NAME_NONE, "enters %.*s%s",
                      STR_ARG(names_text(who->names, j->name)),
                      in->flags & INSTANCE_IS_GHOST ? " (control group)" : "");
    /* Group precedence and in_journey() may have changed for everything pending. */
    person_changed_name(who, j->name);
    who->is_desk_due |= who->profile->intents.count != 0;
    instance_run(who, place);
}

/* Is the event at hand one that the entry is about? One that came by a way is for that way alone. */
static bool is_about(const struct person *who, const struct plan_listen *entry)
{
    if (who->way != NULL)
        return entry->way == who->way;
    return entry->event == who->event->name &&
           (entry->way == NULL || entry->way->kind == WAY_EVENT);
}

void entry_try(struct person *who, uint16_t journey_index, bool is_consumed)
{
    const struct plan_journey *j = &who->plan->journeys[journey_index];
    const struct record *event = who->event;
    const struct plan_listen *listens = NULL;
    struct asked asked = {.until_ms = FOREVER_MS};
    bool is_error = false;
    for (uint32_t i = 0; i < j->entry_count; i++) {
        if (!is_about(who, &j->entries[i]))
            continue;
        asked = ask(who, who->plan, &j->entries[i].when, (struct blob){0});
        is_error |= asked.is_error;
        if (asked.is_true) {
            listens = &j->entries[i];
            break;
        }
    }
    if (listens == NULL) {
        if (is_error)
            entry_refuse(who, j, REFUSAL_ERROR, 0);
        if (who->witness != NULL)
            person_note_about(who, j->name, NAME_NONE, "does not enter %.*s: %.*s",
                              STR_ARG(names_text(who->names, j->name)),
                              STR_ARG(journey_explain_entry(who, journey_index)));
        return;
    }
    if (event->flags & RECORD_IS_HISTORY) {
        entry_refuse(who, j, REFUSAL_HISTORY, 0);
        return;
    }
    int64_t late_ms = event->arrival_ms - event->event_ms;
    if (late_ms > entry_lateness(j, event)) {
        entry_refuse(who, j, REFUSAL_LATE, late_ms);
        return;
    }
    if (is_consumed) {
        entry_refuse(who, j, REFUSAL_CONSUMED, 0);
        return;
    }
    uint64_t key = record_key(event, j->key);
    if (j->key != NAME_NONE && key == 0) {
        entry_refuse(who, j, REFUSAL_ERROR, 0); /* what would name the instance is missing */
        return;
    }
    if (listens->way != NULL && listens->way->collect_ms > 0)
        appointment_collect(who, listens->way, key);
    else
        entry_admit(who, journey_index, key);
}

void entry_admit(struct person *who, uint16_t journey_index, uint64_t key)
{
    const struct plan_journey *j = &who->plan->journeys[journey_index];
    if (!entry_is_open(who, j, key))
        return;
    uint32_t oldest;
    uint32_t live = count_live(who, j, key, &oldest);
    int64_t again_ms = again_at(who, j, key);
    bool restarts = live >= j->at_once_max && j->at_once_then == AT_ONCE_RESTART;
    if (live >= j->at_once_max && !restarts) {
        entry_refuse(who, j, REFUSAL_AT_ONCE, live);
        return;
    }
    if (again_ms > who->at_ms) {
        entry_refuse(who, j, REFUSAL_AGAIN, again_ms);
        return;
    }
    if (who->profile->instances.count >= PROFILE_INSTANCES_MAX && !restarts) {
        entry_refuse(who, j, REFUSAL_LIMIT, PROFILE_INSTANCES_MAX);
        return;
    }
    if (j->group != PLAN_NO_INDEX) {
        uint32_t at_most = who->plan->groups[j->group].at_most;
        bool is_ghost = entry_is_held_out(who, j);
        if (at_most && count_group(who, j->group, is_ghost) >= at_most && !restarts) {
            entry_refuse(who, j, REFUSAL_GROUP, at_most);
            return;
        }
    }
    if (j->require.code != NULL) {
        struct blob entry = {0};
        entry_keep(who, j, &entry);
        struct asked required = ask(who, who->plan, &j->require, entry);
        blob_set(who->space, &entry, NULL, 0);
        if (!required.is_true) {
            entry_refuse(who, j, REFUSAL_REQUIRE, 0);
            return;
        }
    }
    if (restarts)
        instance_end(who, oldest, JOURNEY_REPLACED);
    enter(who, journey_index, key);
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

struct str journey_explain_entry(struct person *who, uint16_t journey_index)
{
    const struct plan_journey *j = &who->plan->journeys[journey_index];
    for (uint32_t i = 0; i < j->entry_count; i++)
        if (who->event && is_about(who, &j->entries[i]))
            return ask_explain(who, who->plan, &j->entries[i].when, (struct blob){0});
    return STR("the event is not one that enters it");
}
