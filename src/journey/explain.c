/* explain.c - where somebody is in their journeys, and what is to come there: for `why` and `wend person`.
 * Nothing of it changes anything.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/appointment.h"
#include "journey/journey_int.h"

/* The events that go on with the wait: "Ordered, Cart Emptied". */
static struct str awaited(struct person *who, const struct plan_wait *w)
{
    struct str list = STR("");
    for (uint32_t i = 0; i < w->until_count; i++)
        list = arena_printf(who->scratch, "%.*s%s%.*s", STR_ARG(list), list.len ? ", " : "",
                            STR_ARG(w->until[i].event ? names_text(who->names, w->until[i].event)
                                                      : w->until[i].when.text));
    for (uint32_t i = 0; i < w->ending_count; i++) {
        const struct plan_ending *e = &w->endings[i];
        for (uint32_t k = 0; k < e->listen_count; k++)
            list = arena_printf(who->scratch, "%.*s%s%.*s", STR_ARG(list), list.len ? ", " : "",
                                STR_ARG(e->listens[k].event
                                            ? names_text(who->names, e->listens[k].event)
                                            : e->listens[k].when.text));
        if (e->condition.code != NULL)
            list = arena_printf(who->scratch, "%.*s%s%.*s", STR_ARG(list), list.len ? ", " : "",
                                STR_ARG(e->condition.text));
    }
    if (w->until_if.code != NULL)
        list = arena_printf(who->scratch, "%.*s%s%.*s", STR_ARG(list), list.len ? ", " : "",
                            STR_ARG(w->until_if.text));
    if (w->engaged_message != PLAN_NO_INDEX)
        list = arena_printf(who->scratch, "%.*s%san open or click", STR_ARG(list),
                            list.len ? ", " : "");
    return list;
}

static void explain_wait(struct person *who, const struct instance *in,
                         const struct plan_step *step, const struct note *about)
{
    struct str name = names_text(who->names, in->journey);
    struct str id = names_text(who->names, step->id);
    struct str events = step->kind == STEP_WAIT ? awaited(who, &step->wait) : STR("");
    if (in->due_ms == FOREVER_MS)
        person_tell(who, about, "%.*s: at step %.*s since %s, until something happens%s%.*s",
                    STR_ARG(name), STR_ARG(id), person_moment(who, in->step_ms),
                    events.len ? ": " : "", STR_ARG(events));
    else
        person_tell(who, about, "%.*s: at step %.*s since %s, goes on at %s%s%.*s", STR_ARG(name),
                    STR_ARG(id), person_moment(who, in->step_ms), person_moment(who, in->due_ms),
                    events.len ? ", or before on: " : "", STR_ARG(events));
}

void journey_explain(struct person *who)
{
    for (uint32_t i = 0; who->witness != NULL && i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        const struct plan *plan = person_plan(who, in->plan);
        const struct plan_journey *j = &plan->journeys[in->journey_index];
        struct note about = {.kind = NOTE_SCHEDULE, .journey = in->journey, .until_ms = in->due_ms};
        struct str name = names_text(who->names, in->journey);
        if (in->step == PLAN_END)
            continue;
        const struct plan_step *step = &j->steps[in->step];
        switch ((enum instance_state)in->state) {
        case INSTANCE_WAITING: explain_wait(who, in, step, &about); break;
        case INSTANCE_SENDING:
            about.message = plan->messages[step->send.message].name;
            about.until_ms = FOREVER_MS;
            person_tell(who, &about,
                        "%.*s: at step %.*s since %s, until its message has gone or ended",
                        STR_ARG(name), STR_ARG(names_text(who->names, step->id)),
                        person_moment(who, in->step_ms));
            break;
        case INSTANCE_ASKING:
            about.until_ms = FOREVER_MS;
            person_tell(who, &about, "%.*s: at step %.*s since %s, until its %.*s has ended",
                        STR_ARG(name), STR_ARG(names_text(who->names, step->id)),
                        person_moment(who, in->step_ms),
                        STR_ARG(step_kind_name((enum step_kind)step->kind)));
            break;
        case INSTANCE_AWAY:
            about.until_ms = FOREVER_MS;
            person_tell(who, &about,
                        "%.*s: at step %.*s since %s, until the journey that it runs has ended",
                        STR_ARG(name), STR_ARG(names_text(who->names, step->id)),
                        person_moment(who, in->step_ms));
            break;
        case INSTANCE_STANDING:
            about.until_ms = FOREVER_MS;
            person_tell(who, &about, "%.*s: at step %.*s since %s, until its milestone is reached",
                        STR_ARG(name), STR_ARG(names_text(who->names, step->id)),
                        person_moment(who, in->step_ms));
            break;
        case INSTANCE_QUEUED:
            person_tell(who, &about, "%.*s: waits for its turn since %s", STR_ARG(name),
                        person_moment(who, in->step_ms));
            break;
        case INSTANCE_READY:
            person_tell(who, &about, "%.*s: goes on with step %.*s", STR_ARG(name),
                        STR_ARG(names_text(who->names, step->id)));
            break;
        }
    }
}

void appointments_explain(struct person *who)
{
    for (uint32_t i = 0; who->witness != NULL && i < who->profile->appointments.count; i++) {
        const struct appointment *x = person_appointment(who, i);
        struct note about = {.kind = NOTE_SCHEDULE, .journey = x->journey, .until_ms = x->at_ms};
        struct str name = names_text(who->names, x->journey);
        if (x->at_ms == FOREVER_MS)
            continue;
        const char *at = person_moment(who, x->at_ms);
        switch ((enum appointment_kind)x->kind) {
        case APPOINTMENT_SCHEDULE:
            person_tell(who, &about, "%.*s: begins at %s, by its schedule", STR_ARG(name), at);
            break;
        case APPOINTMENT_DATE:
            person_tell(who, &about, "%.*s: begins at %s, by a date of theirs", STR_ARG(name), at);
            break;
        case APPOINTMENT_HELD:
            about.until_ms = FOREVER_MS;
            person_tell(who, &about, "%.*s: begins when the journey goes on: it is paused",
                        STR_ARG(name));
            break;
        case APPOINTMENT_COLLECT:
            person_tell(who, &about, "%.*s: begins at %s with what is collected (%u so far)",
                        STR_ARG(name), at, x->count);
            break;
        }
    }
}
