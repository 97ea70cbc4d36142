/* lifecycle.c - what a journey's phase (model/control.h) means to one person.
 *
 *     paused    a step that would begin is parked: the instance is READY, and its moment has come.
 *               Goals and exits still act; conditions and events still end waits, into a parked step.
 *               Who would enter is held: an appointment without a moment.
 *     goes on   whoever has something that is overdue is let go at `release_ms`, which the walk over
 *               people (engine/lifecycle.c) spreads out; whoever does something before goes on at once.
 *     stopped   every instance ends `withdrawn`, and who was held is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "journey/journey_int.h"

static enum refusal refusal_of(enum journey_phase phase)
{
    switch (phase) {
    case PHASE_DRAFT: return REFUSAL_DRAFT;
    case PHASE_PAUSED: return REFUSAL_PAUSED;
    case PHASE_DRAINING: return REFUSAL_DRAINING;
    case PHASE_STOPPED: return REFUSAL_STOPPED;
    case PHASE_ACTIVE:
    case PHASE_END: break;
    }
    must(!"an open journey refuses nobody");
    return REFUSAL_END;
}

/* The entry of that key which is held already, and how many are held in all. */
static uint32_t find_held(const struct person *who, uint32_t journey, uint64_t key, uint16_t *count)
{
    uint32_t found = UINT32_MAX;
    *count = 0;
    for (uint32_t i = 0; i < who->profile->appointments.count; i++) {
        const struct appointment *a = person_appointment(who, i);
        if (a->kind != APPOINTMENT_HELD || a->journey != journey)
            continue;
        ++*count;
        if (a->key == key)
            found = i;
    }
    return found;
}

/* The event at hand enters when the journey goes on. Of several with one key the newest does. */
static void hold_entry(struct person *who, const struct plan_journey *j, uint64_t key)
{
    uint16_t count;
    struct blob items = {0};
    uint32_t place = find_held(who, j->name, key, &count);
    if (place == UINT32_MAX && who->profile->appointments.count >= PROFILE_APPOINTMENTS_MAX) {
        entry_refuse(who, j, REFUSAL_LIMIT, PROFILE_APPOINTMENTS_MAX);
        return;
    }
    if (place == UINT32_MAX) {
        struct appointment *fresh = person_push_appointment(who);
        must(fresh != NULL);
        *fresh = (struct appointment){.journey = j->name,
                                      .kind = APPOINTMENT_HELD,
                                      .at_ms = FOREVER_MS,
                                      .done_ms = INT64_MIN,
                                      .key = key};
        place = who->profile->appointments.count - 1u;
        count++;
    }
    items = person_appointment(who, place)->items;
    entry_keep(who, j, &items);
    struct appointment *a = person_touch_appointment(who, place);
    a->items = items;
    a->count = count;
    who->is_touched = true;
    person_result(who,
                  (struct result){.kind = RESULT_HELD_ENTRY, .journey = j->name, .number = count});
    person_note_about(who, j->name, NAME_NONE,
                      "entry into %.*s: held, because the journey is paused",
                      STR_ARG(names_text(who->names, j->name)));
}

enum refusal entry_bar(const struct person *who, uint32_t journey)
{
    enum journey_phase phase = controls_phase(who->controls, journey);
    return phase == PHASE_ACTIVE ? (enum refusal)0 : refusal_of(phase);
}

bool entry_is_open(struct person *who, const struct plan_journey *j, uint64_t key)
{
    const struct journey_control *control = controls_find(who->controls, j->name);
    if (control == NULL || control->phase == PHASE_ACTIVE || planted("pause-lets-in"))
        return true;
    if (control->phase == PHASE_PAUSED && !(control->flags & PHASE_REFUSES))
        hold_entry(who, j, key);
    else
        entry_refuse(who, j, refusal_of((enum journey_phase)control->phase), 0);
    return false;
}

bool instance_is_parked(struct person *who, uint32_t place)
{
    struct instance *in = person_touch_instance(who, place);
    if (!controls_is_still(who->controls, in->journey) || planted("pause-goes-on"))
        return false;
    in->state = INSTANCE_READY;
    in->due_ms = who->at_ms;
    instance_set_ask(who->space, in, FOREVER_MS);
    person_note_about(who, in->journey, NAME_NONE, "%.*s: stands still, because it is %.*s",
                      STR_ARG(names_text(who->names, in->journey)),
                      STR_ARG(phase_name(controls_phase(who->controls, in->journey))));
    return true;
}

/* When the instance's time is over as things stand; FOREVER_MS = it waits for no time. */
static int64_t due_of(struct person *who, uint32_t place)
{
    struct step s;
    step_at(who, place, &s);
    if (s.at->state == INSTANCE_READY || s.at->state == INSTANCE_QUEUED)
        return s.at->due_ms;
    return s.at->state == INSTANCE_WAITING && s.means != NULL ? wait_due(&s) : FOREVER_MS;
}

bool journey_is_overdue(struct person *who, uint32_t journey)
{
    for (uint32_t i = 0; i < who->profile->appointments.count; i++) {
        const struct appointment *a = person_appointment(who, i);
        if (a->kind == APPOINTMENT_HELD && a->journey == journey)
            return true;
    }
    for (uint32_t i = 0; i < who->profile->instances.count; i++)
        if (person_instance(who, i)->journey == journey && due_of(who, i) <= who->now_ms)
            return true;
    return false;
}

bool journey_has(const struct person *who, uint32_t journey)
{
    for (uint32_t i = 0; i < who->profile->instances.count; i++)
        if (person_instance(who, i)->journey == journey)
            return true;
    for (uint32_t i = 0; i < who->profile->appointments.count; i++) {
        const struct appointment *a = person_appointment(who, i);
        if (a->kind == APPOINTMENT_HELD && a->journey == journey)
            return true;
    }
    return false;
}

/* What was held at `place` enters, or is refused; its place is another's then. */
void entry_release(struct person *who, uint32_t place)
{
    struct appointment a = *person_appointment(who, place);
    uint16_t journey = plan_journey_find(who->plan, a.journey);
    struct body body = {blob_at(who->space, a.items), a.items.bytes};
    struct str kept = arena_copy(who->scratch, (struct str){(const char *)body.at, body.bytes});
    blob_set(who->space, &a.items, NULL, 0);
    person_drop_appointment(who, place);
    who->is_touched = true;
    if (journey == PLAN_NO_INDEX)
        return;
    struct record record = {.type = RECORD_EVENT,
                            .kind = EVENT_TRACK,
                            .schema = RECORD_SCHEMA,
                            .at_ms = who->at_ms,
                            .event_ms = who->at_ms,
                            .arrival_ms = who->at_ms,
                            .clear = {(const uint8_t *)kept.at, (uint32_t)kept.len}};
    const struct record *before = who->event;
    who->event = &record;
    entry_admit(who, journey, a.key);
    who->event = before;
}

static void let_in(struct person *who, uint32_t journey, int64_t release_ms)
{
    for (uint32_t i = 0; i < who->profile->appointments.count; i++) {
        const struct appointment *a = person_appointment(who, i);
        if (a->kind == APPOINTMENT_HELD && a->journey == journey && a->at_ms == FOREVER_MS)
            person_touch_appointment(who, i)->at_ms = release_ms;
    }
}

static void go_on(struct person *who, uint32_t journey, int64_t release_ms)
{
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        if (person_instance(who, i)->journey != journey)
            continue;
        int64_t due_ms = due_of(who, i);
        struct instance *in = person_touch_instance(who, i);
        in->due_ms = due_ms <= who->now_ms ? release_ms : due_ms;
    }
}

void journey_controlled(struct person *who, uint32_t journey, int64_t release_ms)
{
    enum journey_phase phase = controls_phase(who->controls, journey);
    who->is_touched = true;
    switch (phase) {
    case PHASE_ACTIVE:
    case PHASE_DRAFT:
    case PHASE_DRAINING:
        go_on(who, journey, release_ms);
        let_in(who, journey, release_ms); /* entry_admit() refuses them if it is not active */
        return;
    case PHASE_STOPPED: {
        struct roll roll = roll_of(who);
        for (uint32_t i; (i = roll_next(who, &roll)) != UINT32_MAX;)
            if (person_instance(who, i)->journey == journey && !planted("stop-ends-nobody"))
                instance_end(who, i, JOURNEY_WITHDRAWN);
        let_in(who, journey, who->at_ms);
        return;
    }
    case PHASE_PAUSED: journey_thaw(who); return;
    case PHASE_END: break;
    }
}
