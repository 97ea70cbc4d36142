/* reaction.c - events that act at their time, whatever step the instance stands at.
 *
 * A reaction either stays: its steps are done on the side in no time, and the instance stands where it
 * stood; or it moves: the instance goes to its steps, and on to where they lead. Inside those it does not
 * act again. What it calls off ends `cancelled`, as far as the lane lets an exit do that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"

/* Does the steps from `first` on beside what the instance does. False: it has ended. */
static bool do_aside(struct person *who, uint64_t id, uint16_t first)
{
    uint32_t place = instance_find(who, id);
    struct instance before = *person_instance(who, place);
    const struct instance_more more = *person_more(who, &before);
    struct instance left = before; /* as it stood, for when it has ended meanwhile */
    if (before.state == INSTANCE_WAITING)
        left.step_ms = instance_wait_ms(who->space, &before);
    left.more = 0;
    for (uint16_t at = first; at != PLAN_END;) {
        struct step s;
        person_touch_instance(who, place)->step = at;
        step_at(who, place, &s);
        enum step_answer answer = step_do(&s);
        if (answer == STEP_GONE) {
            step_left(who, &left, LEFT_FOR_END);
            return false;
        }
        place = instance_find(who, id); /* others may have ended by what the step did */
        if (place == UINT32_MAX)
            return false;
        if (answer == STEP_ENDS) {
            step_left(who, &left, LEFT_FOR_END);
            instance_end(who, place, s.end);
            return false;
        }
        must(answer == STEP_GO);
        step_left(who, person_touch_instance(who, place), LEFT_FOR_NEXT);
        at = s.next;
    }
    struct instance *in = person_touch_instance(who, place);
    in->step = before.step;
    in->state = before.state;
    const uint8_t own = INSTANCE_IS_ENGAGED | INSTANCE_IN_STEP;
    in->flags = (uint8_t)((in->flags & ~own) | (before.flags & own));
    in->step_ms = before.step_ms;
    in->due_ms = before.due_ms;
    in->last_message = before.last_message;
    struct instance_more now = *person_more(who, in);
    now.wait_ms = more.wait_ms;
    now.ask_ms = more.ask_ms;
    now.decision = more.decision;
    instance_set_more(who->space, in, &now);
    return true;
}

static bool is_meant(struct step *s, const struct plan_reaction *r)
{
    if (r->then == REACTION_MOVES && s->at->step >= r->first && s->at->step < r->behind)
        return false; /* it is inside */
    for (uint32_t i = 0; i < r->listen_count; i++)
        if (r->listens[i].event == s->who->event->name &&
            instance_holds(s->who, s->place, &r->listens[i].when))
            return true;
    return false;
}

static void note(struct step *s)
{
    struct person *who = s->who;
    person_note_about(who, s->at->journey, NAME_NONE, "%.*s: reacts to %.*s",
                      STR_ARG(names_text(who->names, s->at->journey)),
                      STR_ARG(names_text(who->names, who->event->name)));
}

enum reacted reactions_meet(struct person *who, uint32_t place)
{
    struct step s;
    step_at(who, place, &s);
    enum reacted reacted = REACTED_NOT;
    uint64_t id = s.at->id;
    for (uint32_t i = 0; i < s.journey->reaction_count; i++) {
        const struct plan_reaction *r = &s.journey->reactions[i];
        if (!is_meant(&s, r))
            continue;
        note(&s);
        who->is_touched = true;
        reacted = REACTED_STAYS;
        if (r->cancels)
            who->cancel(who, id, OUTCOME_CANCELLED);
        if (r->then == REACTION_MOVES) {
            instance_go(who, s.place, r->first);
            return REACTED_MOVED;
        }
        if (!do_aside(who, id, r->first))
            return REACTED_MOVED;
        step_at(who, instance_find(who, id), &s);
    }
    return reacted;
}
