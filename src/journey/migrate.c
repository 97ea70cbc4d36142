/* migrate.c - people in flight go over to the newest version of their journey, if its file says where.
 *
 *     stands at a step ──► moves[] of the newest version, else `others` ──► another step, the end, or stays
 *
 * A wait that goes over to a wait keeps what was left of it: its beginning is moved so that it ends when it
 * would have. A date is a date: it is reckoned by the new version. A message that the instance waits for
 * stays its message if it goes over to a send step; else it is withdrawn as a goal would withdraw it. What
 * a run step began goes on if the instance goes over to a run of the same journey; else it ends. Any other
 * step begins anew where it goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"

static void note_moved(struct person *who, const struct instance *in, bool is_in)
{
    person_result(who, (struct result){.kind = RESULT_MOVED,
                                       .how = is_in,
                                       .step = in->step,
                                       .journey = in->journey,
                                       .version = in->plan,
                                       .id = in->id});
}

/* Arms of splits that both versions have stay taken. */
static uint64_t splits_of(const struct plan_journey *from, const struct plan_journey *to,
                          uint64_t splits)
{
    uint64_t kept = 0;
    for (uint16_t i = 0; splits != 0 && i < from->step_count; i++) {
        if (from->steps[i].kind != STEP_SPLIT || !(splits & arms_bit(from, i)))
            continue;
        for (uint16_t k = 0; k < to->step_count; k++)
            if (to->steps[k].kind == STEP_SPLIT &&
                to->steps[k].split.salt == from->steps[i].split.salt)
                kept |= arms_bit(to, k);
    }
    return kept;
}

/* Does the wait end a time after it began, and by nothing else that time brings? */
static bool is_relative(const struct plan_wait *w)
{
    bool is_length = w->for_ms >= 0 || w->for_days != 0;
    for (uint32_t i = 0; i < w->ending_count; i++)
        is_length |= w->endings[i].moment.kind == MOMENT_AFTER;
    return is_length;
}

/* The instance stands at a wait of the new version, which it has begun: it ends when the old one would. */
static void keep_rest(struct person *who, uint32_t place, int64_t old_due_ms)
{
    struct step s;
    step_at(who, place, &s);
    instance_set_ask(who->space, s.at, FOREVER_MS);
    int64_t due_ms = wait_due(&s);
    if (is_relative(&s.means->wait) && old_due_ms != FOREVER_MS && due_ms != FOREVER_MS) {
        instance_reset_wait(who->space, s.at, s.at->step_ms + old_due_ms - due_ms);
        due_ms = wait_due(&s);
    }
    s.at->due_ms = due_ms;
}

static void move(struct person *who, uint32_t place, uint16_t journey_index, uint16_t target)
{
    struct step s;
    step_at(who, place, &s);
    const struct plan_journey *to = &who->plan->journeys[journey_index];
    uint8_t kind = s.means->kind, state = s.at->state;
    bool has_begun = (s.at->flags & INSTANCE_IN_STEP) != 0;
    bool stays = has_begun && kind == to->steps[target].kind &&
                 ((kind == STEP_WAIT && state == INSTANCE_WAITING) ||
                  (kind == STEP_SEND && state == INSTANCE_SENDING) ||
                  ((kind == STEP_CALL || kind == STEP_TASK) && state == INSTANCE_ASKING) ||
                  (kind == STEP_RUN && state == INSTANCE_AWAY &&
                   s.means->other.journey == to->steps[target].other.journey));
    int64_t old_due_ms = state == INSTANCE_WAITING ? wait_due(&s) : FOREVER_MS;
    person_note_about(who, s.at->journey, NAME_NONE,
                      "%.*s: goes over to the newest version, step %.*s",
                      STR_ARG(names_text(who->names, s.at->journey)),
                      STR_ARG(names_text(who->names, to->steps[target].id)));
    step_left(who, s.at, LEFT_FOR_VERSION);
    note_moved(who, s.at, false);
    instance_set_splits(who->space, s.at, splits_of(s.journey, to, step_more(&s)->splits));
    s.at->plan = who->plans->newest;
    s.at->journey_index = journey_index;
    s.at->step = target;
    s.at->flags |= INSTANCE_HAS_MOVED;
    note_moved(who, s.at, true);
    who->is_touched = true;
    if (stays) {
        step_begun(who, s.at);
        if (kind == STEP_WAIT)
            keep_rest(who, place, old_due_ms);
        return;
    }
    uint64_t id = s.at->id;
    s.at->state = INSTANCE_READY;
    s.at->due_ms = who->at_ms;
    instance_set_ask(who->space, s.at, FOREVER_MS);
    instance_set_decision(who->space, s.at, 0);
    who->has_ready = true;
    if (state == INSTANCE_SENDING)
        who->cancel(who, id, OUTCOME_WITHDRAWN);
    if (state == INSTANCE_AWAY)
        instance_end_called(who, id, JOURNEY_WITHDRAWN);
}

void instance_migrate(struct person *who, uint32_t place)
{
    const struct instance *in = person_instance(who, place);
    uint16_t index = plan_journey_find(who->plan, in->journey);
    if (in->plan == who->plans->newest || index == PLAN_NO_INDEX || in->step == PLAN_END ||
        in->state == INSTANCE_QUEUED)
        return;
    const struct plan_journey *from = &person_plan(who, in->plan)->journeys[in->journey_index];
    const struct plan_journey *to = &who->plan->journeys[index];
    if (from->hash == to->hash)
        return; /* it is the same version */
    uint16_t target = plan_move_of(to, from->steps[in->step].id);
    if (target == PLAN_END)
        instance_end(who, place, JOURNEY_EXITED);
    else if (target != PLAN_NO_MOVE)
        move(who, place, index, target);
}
