/* milestone.c - what a person is led to, one after the other.
 *
 *     steps ──► gate ──► first milestone's steps ──► stand ··· ──► second's ──► stand ··· ──► goal
 *                 └──────── whichever is the first that is not reached ────────┘
 *
 * The moment a milestone's condition is true it is behind the person, whatever they stand at inside it and
 * whether that was before they came: what its steps have pending ends `not_relevant`, and they go on to the
 * first milestone from there whose condition is false. With `advance: furthest` they go on behind the last one whose condition
 * is true, past others that are not reached. Never back. The last one is the goal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "journey/journey_int.h"
#include "profile/ask.h"

/* The milestone among whose steps that one is, or PLAN_NO_INDEX. */
static uint32_t milestone_at(const struct plan_journey *j, uint16_t step)
{
    for (uint32_t i = 0; i < j->milestone_count; i++)
        if (step >= j->milestones[i].first && step <= j->milestones[i].stand)
            return i;
    return PLAN_NO_INDEX;
}

static bool is_done(struct step *s, uint32_t i, int64_t *ask_ms)
{
    const struct plan_milestone *m = &s->journey->milestones[i];
    struct asked asked = ask(s->who, s->plan, &m->done, step_more(s)->entry);
    s->at = person_touch_instance(s->who, s->place); /* expressions may have moved the list */
    *ask_ms = min_of(*ask_ms, asked.until_ms);
    if (asked.is_error)
        person_result(s->who, (struct result){.kind = RESULT_ERROR,
                                              .how = ERROR_MILESTONE,
                                              .step = s->at->step,
                                              .journey = s->at->journey,
                                              .version = s->at->plan,
                                              .id = s->at->id});
    return asked.is_true;
}

static void note_reached(struct step *s, uint32_t i)
{
    const struct plan_milestone *m = &s->journey->milestones[i];
    person_result(s->who, (struct result){.kind = RESULT_REACHED,
                                          .step = s->at->step,
                                          .journey = s->at->journey,
                                          .version = s->at->plan,
                                          .id = s->at->id,
                                          .number = m->name});
    person_note_about(s->who, s->at->journey, NAME_NONE, "%.*s: milestone %.*s is reached",
                      STR_ARG(names_text(s->who->names, s->at->journey)),
                      STR_ARG(names_text(s->who->names, m->name)));
}

/* Where the person belongs who is in milestone i or comes to it; milestone_count: behind all of them. Notes
 * those that are reached. */
static uint32_t advance(struct step *s, uint32_t i, int64_t *ask_ms)
{
    uint32_t count = s->journey->milestone_count;
    bool is_reached[PLAN_MILESTONES_MAX] = {false};
    uint32_t from = i, to = i;
    must(count <= PLAN_MILESTONES_MAX);
    if (s->journey->advances_furthest && !planted("milestone-not-furthest")) {
        for (uint32_t k = from; k < count; k++) {
            is_reached[k] = is_done(s, k, ask_ms);
            if (is_reached[k])
                to = k + 1;
        }
    } else {
        while (to < count && (to == from || !planted("milestone-one-at-a-time")) &&
               (is_reached[to] = is_done(s, to, ask_ms)))
            to++;
    }
    for (uint32_t k = from; k < to; k++)
        if (is_reached[k])
            note_reached(s, k);
    return to;
}

static void reach_goal(struct step *s)
{
    if (!(s->at->flags & INSTANCE_CONVERTED))
        journey_convert(s->who, s->at, step_more(s)->splits, s->who->at_ms);
    s->at->flags |= INSTANCE_CONVERTED;
}

enum step_answer step_milestone_run(struct step *s)
{
    if (s->means->stand.milestone != PLAN_NO_INDEX) {
        s->at->state = INSTANCE_STANDING;
        return STEP_STAYS;
    }
    int64_t ask_ms = FOREVER_MS; /* what they come to is asked again there */
    uint32_t to = advance(s, 0, &ask_ms);
    if (to < s->journey->milestone_count) {
        s->next = s->journey->milestones[to].first;
        return STEP_GO;
    }
    reach_goal(s);
    s->end = JOURNEY_GOAL_REACHED;
    return STEP_ENDS;
}

bool milestones_ask(struct step *s)
{
    uint32_t i = milestone_at(s->journey, s->at->step);
    int64_t ask_ms = FOREVER_MS;
    if (i == PLAN_NO_INDEX)
        return false;
    uint32_t to = advance(s, i, &ask_ms);
    instance_ask_by(s->who->space, s->at, ask_ms);
    if (to == i)
        return false;
    const struct plan_milestone *left = &s->journey->milestones[i];
    if (!planted("milestone-keeps-pending"))
        s->who->call_off(s->who, s->at->id, left->first, left->stand, OUTCOME_NOT_RELEVANT);
    if (to < s->journey->milestone_count) {
        instance_go(s->who, s->place, s->journey->milestones[to].first);
        return true;
    }
    reach_goal(s);
    instance_end(s->who, s->place, JOURNEY_GOAL_REACHED);
    return true;
}

uint64_t milestones_wake(const struct plan_journey *j, const struct instance *in)
{
    uint64_t wake = 0;
    uint32_t i = milestone_at(j, in->step);
    for (uint32_t k = i; k < j->milestone_count; k++)
        wake |= j->milestones[k].done.wake;
    return wake;
}
