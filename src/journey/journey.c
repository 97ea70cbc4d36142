/* SPDX-License-Identifier: Apache-2.0 */
#include "base/canary.h"
#include "journey/journey_int.h"

#include "profile/ask.h"
#include "profile/holds.h"

static enum step_answer (*const runs[])(struct step *) = {
    NULL,
#define STEP(symbol, name, doc) step_##name##_run,
#include "journey/steps.def"
#undef STEP
};

struct str step_kind_name(enum step_kind kind)
{
    static const struct str names[] = {
        {"", 0},
#define STEP(symbol, name, doc) {#name, sizeof(#name) - 1},
#include "journey/steps.def"
#undef STEP
    };
    must((size_t)kind < array_count(names));
    return names[kind];
}

#define STEP(symbol, name, doc) _Static_assert(STEP_##symbol >= 1, "steps.def and plan.h agree");
#include "journey/steps.def"
#undef STEP

static const struct plan_journey *journey_of(const struct person *who, const struct instance *in)
{
    const struct plan *plan = person_plan(who, in->plan);
    must(in->journey_index < plan->journey_count);
    return &plan->journeys[in->journey_index];
}

void step_at(struct person *who, uint32_t place, struct step *s)
{
    struct instance *in = person_touch_instance(who, place);
    *s = (struct step){
        .who = who,
        .plan = person_plan(who, in->plan),
        .journey = journey_of(who, in),
        .at = in,
        .place = place,
        .end = JOURNEY_COMPLETED,
    };
    if (in->step != PLAN_END) {
        must(in->step < s->journey->step_count);
        s->means = &s->journey->steps[in->step];
        s->next = s->means->next;
    }
}

/* Could the past still keep anybody from entering, or become a conversion? */
static bool past_matters(const struct person *who, uint32_t place)
{
    const struct past *p = person_past(who, place);
    uint16_t index = who->plan ? plan_journey_find(who->plan, p->journey) : PLAN_NO_INDEX;
    const struct plan_journey *j = index == PLAN_NO_INDEX ? NULL : &who->plan->journeys[index];
    if (p->goal_until_ms > who->at_ms)
        return true;
    if (j == NULL || j->again == AGAIN_ALWAYS)
        return false;
    if (j->again == AGAIN_AFTER)
        return (j->again_of_end ? p->ended_ms : p->entered_ms) + j->again_ms > who->at_ms;
    /* Of several that say never, the latest is enough. */
    for (uint32_t i = place + 1; i < who->profile->pasts.count; i++) {
        const struct past *later = person_past(who, i);
        if (later->journey == p->journey && (!j->again_per_key || later->key == p->key))
            return false;
    }
    return true;
}

/* Makes room for one more: the first that no longer matters goes, else the oldest. */
static void forget_past(struct person *who)
{
    uint32_t place = 0;
    while (place < who->profile->pasts.count && past_matters(who, place))
        place++;
    if (place == who->profile->pasts.count)
        place = 0;
    struct blob entry = person_past(who, place)->entry;
    blob_set(who->space, &entry, NULL, 0);
    person_drop_past(who, place);
}

/* Keeps what re-entry and late goals need; of one that another ran only the latter. Ends the rest of it. */
static void remember(struct person *who, struct instance *in, enum journey_end end)
{
    const struct plan_journey *j = journey_of(who, in);
    int64_t goal_until_ms = 0;
    if (j->goal.event != NAME_NONE && j->goal.within_ms && !(in->flags & INSTANCE_CONVERTED))
        goal_until_ms = in->entered_ms + j->goal.within_ms;
    if (goal_until_ms <= who->at_ms)
        goal_until_ms = 0;
    struct instance_more more = *person_more(who, in);
    if (goal_until_ms != 0)
        instance_set_entry(who->space, in, (struct blob){0}); /* it is the past's */
    instance_forget(who->space, in);
    if (more.caller != 0 && goal_until_ms == 0)
        return;
    if (who->profile->pasts.count >= PROFILE_PASTS_MAX)
        forget_past(who);
    struct past *past = person_push_past(who);
    must(past != NULL);
    *past = (struct past){
        .id = in->id,
        .journey = in->journey,
        .plan = in->plan,
        .journey_index = in->journey_index,
        .end = (uint8_t)end,
        .flags = in->flags,
        .key = more.key,
        .entered_ms = in->entered_ms,
        .ended_ms = who->at_ms,
        .goal_until_ms = goal_until_ms,
        .splits = more.splits,
        .entry = goal_until_ms ? more.entry : (struct blob){0},
    };
}

static enum outcome outcome_of(enum journey_end end)
{
    switch (end) {
    case JOURNEY_GOAL_REACHED: return OUTCOME_GOAL_REACHED;
    case JOURNEY_EXITED: return OUTCOME_EXITED;
    case JOURNEY_NO_LONGER_ELIGIBLE: return OUTCOME_NOT_RELEVANT;
    case JOURNEY_OPTED_OUT: return OUTCOME_OPTED_OUT;
    case JOURNEY_REPLACED: return OUTCOME_SUPERSEDED;
    case JOURNEY_PREEMPTED: return OUTCOME_PREEMPTED;
    case JOURNEY_MERGED: return OUTCOME_MERGED;
    case JOURNEY_WITHDRAWN: return OUTCOME_WITHDRAWN;
    case JOURNEY_ERASED: return OUTCOME_ERASED;
    case JOURNEY_COMPLETED: /* what it still has pending (go_on) may go out */
    case JOURNEY_HANDED_OFF:
    case JOURNEY_ERROR:
    case JOURNEY_RUNNING:
    case JOURNEY_END_END: break;
    }
    return OUTCOME_NONE;
}

uint32_t instance_find(const struct person *who, uint64_t id)
{
    for (uint32_t i = 0; i < who->profile->instances.count; i++)
        if (person_instance(who, i)->id == id)
            return i;
    return UINT32_MAX;
}

struct roll roll_of(const struct person *who)
{
    struct roll roll;
    roll.count = who->profile->instances.count;
    roll.next = 0;
    must(roll.count <= PROFILE_INSTANCES_MAX);
    for (uint32_t i = 0; i < roll.count; i++)
        roll.ids[i] = person_instance(who, i)->id;
    return roll;
}

uint32_t roll_next(const struct person *who, struct roll *roll)
{
    while (roll->next < roll->count) {
        uint32_t place = roll->next;
        uint64_t id = roll->ids[roll->next++];
        bool is_there =
            place < who->profile->instances.count && person_instance(who, place)->id == id;
        if (!is_there)
            place = instance_find(who, id);
        if (place != UINT32_MAX)
            return place;
    }
    return UINT32_MAX;
}

/* Who ran the instance that has ended goes on. */
static void give_back(struct person *who, uint64_t caller)
{
    uint32_t place = instance_find(who, caller);
    if (place == UINT32_MAX)
        return; /* it has ended, and this one with it */
    struct step s;
    step_at(who, place, &s);
    if (s.at->state != INSTANCE_AWAY)
        return; /* it has gone elsewhere meanwhile */
    step_left(who, s.at, LEFT_FOR_NEXT);
    s.at->state = INSTANCE_READY;
    s.at->step = s.means->next;
    s.at->due_ms = who->at_ms;
    who->has_ready = true;
}

void instance_end_called(struct person *who, uint64_t caller, enum journey_end end)
{
    struct roll roll = roll_of(who);
    for (uint32_t i; (i = roll_next(who, &roll)) != UINT32_MAX;)
        if (person_more(who, person_instance(who, i))->caller == caller)
            instance_end(who, i, end);
}

void instance_end(struct person *who, uint32_t place, enum journey_end end)
{
    struct instance in = *person_instance(who, place);
    if (in.state == INSTANCE_QUEUED) {
        entry_drop(who, place, REFUSAL_QUEUED);
        return;
    }
    uint64_t caller = person_more(who, &in)->caller;
    step_left(who, &in, LEFT_FOR_END);
    person_result(who, (struct result){.kind = RESULT_ENDED,
                                       .how = (uint8_t)end,
                                       .step = in.step,
                                       .journey = in.journey,
                                       .version = in.plan,
                                       .id = in.id,
                                       .number = who->at_ms - in.entered_ms});
    arms_note(who, &in, person_more(who, &in)->splits,
              end_term(end)->is_by_design ? ARM_ENDED : ARM_ABANDONED);
    person_note_about(who, in.journey, NAME_NONE, "%.*s ends: %.*s",
                      STR_ARG(names_text(who->names, in.journey)), STR_ARG(end_term(end)->name));
    person_drop_instance(who, place);
    remember(who, &in, end);
    if (who->count_live != NULL)
        (void)who->count_live(who, in.journey, -1);
    if (in.state == INSTANCE_AWAY)
        instance_end_called(who, in.id, end);
    if (caller != 0)
        give_back(who, caller);
    who->has_ready = true; /* somebody may wait for the place */
    enum outcome outcome = outcome_of(end);
    if (outcome != OUTCOME_NONE)
        who->cancel(who, in.id, outcome);
    person_changed_name(who, in.journey);
    who->is_desk_due |= who->profile->intents.count != 0;
    who->is_touched = true;
}

/* `require` and bare exit conditions: what may end the instance without an event of its own. True if
 * it ended. Sets ask_ms to the earliest moment at which to ask again. */
static bool no_longer_eligible(struct step *s)
{
    const struct plan_journey *j = s->journey;
    if (j->require.code != NULL) {
        struct asked asked = ask(s->who, s->plan, &j->require, step_more(s)->entry);
        if (asked.is_error)
            person_result(s->who, (struct result){.kind = RESULT_ERROR,
                                                  .how = ERROR_REQUIRE,
                                                  .step = s->at->step,
                                                  .journey = s->at->journey,
                                                  .id = s->at->id});
        if (!asked.is_true) {
            instance_end(s->who, s->place, JOURNEY_NO_LONGER_ELIGIBLE);
            return true;
        }
        instance_ask_by(s->who->space, s->at, asked.until_ms);
    }
    for (uint32_t i = 0; i < j->exit_count; i++) {
        if (j->exits[i].event != NAME_NONE)
            continue;
        struct asked asked = ask(s->who, s->plan, &j->exits[i].when, step_more(s)->entry);
        if (asked.is_true) {
            instance_end(s->who, s->place, JOURNEY_EXITED);
            return true;
        }
        instance_ask_by(s->who->space, s->at, asked.until_ms);
    }
    return false;
}

/* The name of what the step sends; NAME_NONE if it sends nothing. */
static uint32_t message_of(const struct step *s)
{
    return s->means->kind == STEP_SEND ? s->plan->messages[s->means->send.message].name : NAME_NONE;
}

enum step_answer step_do(struct step *s)
{
    struct person *who = s->who;
    step_begun(who, s->at);
    if (who->witness != NULL)
        person_note_about(who, s->at->journey, message_of(s), "%.*s: step %.*s (%.*s)",
                          STR_ARG(names_text(who->names, s->at->journey)),
                          STR_ARG(names_text(who->names, s->means->id)),
                          STR_ARG(step_kind_name((enum step_kind)s->means->kind)));
    instance_begin_step(who->space, s->at, who->at_ms);
    s->at->due_ms = FOREVER_MS;
    must(s->means->kind >= STEP_SEND);
    must(s->means->kind < array_count(runs));
    return runs[s->means->kind](s);
}

/* What else than its step may end or move the instance that has just come to stand. */
static bool is_moved(struct step *s)
{
    return no_longer_eligible(s) || (s->journey->milestone_count != 0 && milestones_ask(s));
}

void instance_run(struct person *who, uint32_t place)
{
    uint64_t id = person_instance(who, place)->id;
    who->is_touched = true;
    if (instance_is_parked(who, place))
        return;
    /* Steps lead forward only, so a journey's steps bound the cascade. */
    for (uint32_t steps = 0; steps <= PLAN_STEPS_MAX; steps++) {
        struct step s;
        step_at(who, place, &s);
        if (s.means == NULL) {
            instance_end(who, place, JOURNEY_COMPLETED);
            return;
        }
        enum step_answer answer = step_do(&s);
        if (answer == STEP_GONE)
            return;
        if (place >= who->profile->instances.count || person_instance(who, place)->id != id)
            place = instance_find(who, id); /* others have ended by what the step did */
        if (place == UINT32_MAX)
            return;
        if (answer == STEP_STAYS) {
            step_at(who, place, &s);
            (void)is_moved(&s);
            return;
        }
        if (answer == STEP_ENDS) {
            instance_end(who, place, s.end);
            return;
        }
        s.at = person_touch_instance(who, place);
        step_left(who, s.at, LEFT_FOR_NEXT);
        s.at->step = s.next;
        s.at->state = INSTANCE_READY;
    }
    must(!"a loop in a plan");
}

void instance_go(struct person *who, uint32_t place, uint16_t step)
{
    struct instance *in = person_touch_instance(who, place);
    uint64_t id = in->id;
    bool was_away = in->state == INSTANCE_AWAY;
    step_left(who, in, LEFT_FOR_NEXT);
    in->step = step;
    in->state = INSTANCE_READY;
    instance_set_decision(who->space, in, 0);
    if (was_away)
        instance_end_called(who, id, JOURNEY_EXITED);
    instance_run(who, was_away ? instance_find(who, id) : place);
}

/* Does the event concern an instance of this key? Only events of its key, or without one. */
static bool sees(const struct plan_journey *j, uint64_t own, const struct record *event)
{
    if (own == 0)
        return true;
    uint64_t key = record_key(event, j->key);
    return key == 0 || key == own;
}

/* The same for the goal: with a condition of its own that alone says which events count (an order of
 * anything may be the goal of a cart's reminder); without one it is the key's. */
static bool goal_sees(const struct plan_journey *j, uint64_t own, const struct record *event)
{
    return j->goal.event == event->name && (j->goal.when.code != NULL || sees(j, own, event));
}

static bool is_true(struct person *who, const struct instance *in, const struct plan *plan,
                    const struct plan_expr *when)
{
    struct asked asked = ask(who, plan, when, person_more(who, in)->entry);
    if (asked.is_error)
        person_result(who, (struct result){.kind = RESULT_ERROR,
                                           .how = ERROR_LISTEN,
                                           .step = in->step,
                                           .journey = in->journey,
                                           .id = in->id});
    return asked.is_true;
}

bool instance_holds(struct person *who, uint32_t place, const struct plan_expr *when)
{
    const struct instance *in = person_instance(who, place);
    return is_true(who, in, person_plan(who, in->plan), when);
}

void journey_convert(struct person *who, const struct instance *in, uint64_t splits, int64_t at_ms)
{
    enum convert_group group = in->flags & INSTANCE_HAS_CROSSED ? CONVERTED_CROSSED
                               : in->flags & INSTANCE_IS_GHOST  ? CONVERTED_GHOST
                                                                : CONVERTED_TREATED;
    person_result(who, (struct result){.kind = RESULT_CONVERTED,
                                       .how = (uint8_t)group,
                                       .journey = in->journey,
                                       .version = in->plan,
                                       .id = in->id,
                                       .number = at_ms - in->entered_ms});
    arms_note(who, in, splits, ARM_CONVERTED);
    person_note_about(who, in->journey, NAME_NONE, "%.*s: goal reached",
                      STR_ARG(names_text(who->names, in->journey)));
}

enum met { MET_NOTHING, MET_CONSUMED, MET_ENDED };

/* What the event means to the wait at which the instance stands, if it does. */
static enum met waits_meet(struct person *who, uint32_t place)
{
    struct step s;
    step_at(who, place, &s);
    const struct record *event = who->event;
    if (s.at->state != INSTANCE_WAITING || s.means == NULL)
        return MET_NOTHING;
    const struct plan_wait *w = &s.means->wait;
    for (uint32_t i = 0; i < w->until_count; i++) {
        if (w->until[i].event != event->name || !is_true(who, s.at, s.plan, &w->until[i].when))
            continue;
        instance_go(who, place, s.means->next);
        return MET_CONSUMED;
    }
    for (uint32_t i = 0; i < w->ending_count; i++) {
        const struct plan_ending *what = &w->endings[i];
        for (uint32_t k = 0; k < what->listen_count; k++) {
            const struct plan_listen *listen = &what->listens[k];
            if (listen->event != event->name || !is_true(who, s.at, s.plan, &listen->when))
                continue;
            s.at = person_touch_instance(who, place);
            wait_take(&s, what);
            instance_go(who, place, s.next);
            return MET_CONSUMED;
        }
    }
    if (w->reset_by == event->name && w->reset_by != NAME_NONE) {
        if (w->refreshes_entry) {
            struct blob old = step_more(&s)->entry, entry = {0};
            entry_keep(who, s.journey, &entry);
            outcomes_keep(who, s.at->plan, s.journey, old, &entry);
            blob_set(who->space, &old, NULL, 0);
            s.at = person_touch_instance(who, place);
            instance_set_entry(who->space, s.at, entry);
        }
        instance_reset_wait(who->space, s.at, who->at_ms);
        int64_t due_ms = wait_due(&s);
        s.at->due_ms = due_ms;
        who->is_touched = true;
        return MET_CONSUMED;
    }
    return MET_NOTHING;
}

/* What the event means to the instance at `place`. */
static enum met meet(struct person *who, uint32_t place)
{
    struct step s;
    step_at(who, place, &s);
    uint64_t id = s.at->id;
    const struct record *event = who->event;
    const struct plan_journey *j = s.journey;
    if (!(j->event_wake & plan_wake_bit(event->name)))
        return MET_NOTHING;
    if (event->event_ms < s.at->entered_ms - MAX_LATENESS_MS)
        return MET_NOTHING; /* it happened long before the instance began */
    if (goal_sees(j, step_more(&s)->key, event) && !(s.at->flags & INSTANCE_CONVERTED) &&
        is_true(who, s.at, s.plan, &j->goal.when)) {
        if (s.at->state == INSTANCE_QUEUED) {
            entry_drop(who, place, REFUSAL_QUEUED);
            return MET_ENDED;
        }
        /* Later than `within` it still ends the instance, but is not its doing. */
        bool is_within =
            j->goal.within_ms == 0 || event->event_ms < s.at->entered_ms + j->goal.within_ms;
        if (is_within) {
            journey_convert(who, s.at, step_more(&s)->splits, event->event_ms);
            s.at->flags |= INSTANCE_CONVERTED;
        }
        if (!j->goal.stays) {
            instance_end(who, place, JOURNEY_GOAL_REACHED);
            return MET_ENDED;
        }
    }
    if (!sees(j, step_more(&s)->key, event))
        return MET_NOTHING;
    for (uint32_t i = 0; i < j->exit_count; i++) {
        if (j->exits[i].event != event->name || !is_true(who, s.at, s.plan, &j->exits[i].when))
            continue;
        instance_end(who, place, JOURNEY_EXITED);
        return MET_ENDED;
    }
    if (event->flags & RECORD_IS_HISTORY || s.at->state == INSTANCE_QUEUED)
        return MET_NOTHING; /* imported history may end what is pending, it moves nobody on */
    enum reacted reacted = j->reaction_count != 0 ? reactions_meet(who, place) : REACTED_NOT;
    if (reacted == REACTED_MOVED)
        return MET_CONSUMED;
    if (reacted == REACTED_STAYS)
        place = instance_find(who, id);
    enum met met = waits_meet(who, place);
    return reacted == REACTED_STAYS ? MET_CONSUMED : met;
}

static void convert_late(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->pasts.count; i++) {
        const struct past *p = person_past(who, i);
        if (p->goal_until_ms == 0)
            continue;
        struct blob entry = p->entry;
        bool is_over = p->goal_until_ms <= who->event->event_ms;
        if (!is_over) {
            const struct plan *plan = person_plan(who, p->plan);
            const struct plan_journey *j = &plan->journeys[p->journey_index];
            if (!goal_sees(j, p->key, who->event) ||
                who->event->event_ms < p->entered_ms - MAX_LATENESS_MS ||
                !ask(who, plan, &j->goal.when, p->entry).is_true)
                continue;
            journey_convert(who,
                            &(struct instance){.id = p->id,
                                               .journey = p->journey,
                                               .plan = p->plan,
                                               .journey_index = p->journey_index,
                                               .flags = p->flags,
                                               .entered_ms = p->entered_ms},
                            p->splits, who->event->event_ms);
        }
        blob_set(who->space, &entry, NULL, 0);
        struct past *past = person_touch_past(who, i);
        past->entry = entry;
        past->goal_until_ms = 0;
        past->flags |= is_over ? 0 : INSTANCE_CONVERTED;
    }
}

void journey_event(struct person *who)
{
    const struct plan_event *means = plan_event_find(who->plan, who->event->name);
    uint32_t consumed[PROFILE_INSTANCES_MAX];
    uint64_t consumed_key[PROFILE_INSTANCES_MAX];
    uint32_t consumed_count = 0;
    if (who->profile->pasts.count)
        convert_late(who);
    struct roll roll = roll_of(who);
    for (uint32_t i; (i = roll_next(who, &roll)) != UINT32_MAX;) {
        const struct instance *in = person_instance(who, i);
        uint32_t journey = in->journey;
        uint64_t key = person_more(who, in)->key;
        enum met met = meet(who, i);
        if (met == MET_CONSUMED && consumed_count < PROFILE_INSTANCES_MAX) {
            consumed[consumed_count] = journey;
            consumed_key[consumed_count++] = key;
        }
    }
    if (means == NULL)
        return;
    for (uint32_t i = 0; i < means->entry_count; i++) {
        const struct plan_journey *j = &who->plan->journeys[means->entries[i]];
        bool is_consumed = false;
        uint64_t key = consumed_count ? record_key(who->event, j->key) : 0;
        for (uint32_t k = 0; k < consumed_count; k++)
            is_consumed |= consumed[k] == j->name && consumed_key[k] == key;
        entry_try(who, means->entries[i], is_consumed);
    }
}

enum cause { BY_CHANGE, BY_TIME };

void journey_take_in(struct person *who, uint16_t journey_index)
{
    entry_try(who, journey_index, false);
}

/* Asks again what the instance at `place` waits for, and whether it still belongs here; BY_TIME: a
 * moment that it waits for may have come. */
static void ask_again(struct person *who, uint32_t place, enum cause cause)
{
    struct step s;
    step_at(who, place, &s);
    enum step_answer answer = STEP_STAYS;
    if (s.at->state == INSTANCE_QUEUED)
        return;
    instance_set_ask(who->space, s.at, FOREVER_MS);
    if (s.at->state == INSTANCE_WAITING && s.means != NULL) {
        answer = wait_ask(&s);
        if (answer == STEP_STAYS && cause == BY_TIME)
            answer = wait_time(&s);
    }
    if (is_moved(&s))
        return;
    if (answer == STEP_GO)
        instance_go(who, place, s.next);
    else if (answer == STEP_ENDS)
        instance_end(who, place, s.end);
}

static uint64_t conditions_wake(const struct plan_listen *list, uint32_t count)
{
    uint64_t wake = 0;
    for (uint32_t i = 0; i < count; i++)
        if (list[i].event == NAME_NONE)
            wake |= list[i].when.wake;
    return wake;
}

static uint64_t wake_of(const struct plan_journey *j, const struct instance *in)
{
    uint64_t wake = j->require.wake;
    for (uint32_t i = 0; i < j->exit_count; i++)
        if (j->exits[i].event == NAME_NONE)
            wake |= j->exits[i].when.wake;
    if (j->milestone_count != 0)
        wake |= milestones_wake(j, in);
    if (in->state == INSTANCE_WAITING && in->step < j->step_count) {
        const struct plan_wait *w = &j->steps[in->step].wait;
        wake |= w->after_message != NAME_NONE ? plan_wake_bit(w->after_message) : 0;
        wake |= w->until_if.wake | conditions_wake(w->until, w->until_count);
        for (uint32_t i = 0; i < w->ending_count; i++)
            wake |= w->endings[i].condition.wake | w->endings[i].moment.value.wake |
                    conditions_wake(w->endings[i].listens, w->endings[i].listen_count);
    }
    return wake;
}

void journey_changed(struct person *who)
{
    /* A cascade may change what another waits for: go on until nothing moves. Each round that stirs
     * anything has moved an instance forward or ended it, so there is a last one. */
    while (who->stirred != 0) {
        uint64_t stirred = who->stirred;
        who->stirred = 0;
        struct roll roll = roll_of(who);
        for (uint32_t i; (i = roll_next(who, &roll)) != UINT32_MAX;) {
            const struct instance *in = person_instance(who, i);
            if (!(wake_of(journey_of(who, in), in) & stirred))
                continue;
            who->is_touched = true;
            ask_again(who, i, BY_CHANGE);
        }
    }
}

int64_t journey_deadline(const struct person *who)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        next_ms = min_of(next_ms, person_more(who, in)->ask_ms);
        if (likely(!controls_is_still(who->controls, in->journey)))
            next_ms = min_of(next_ms, in->due_ms);
    }
    return next_ms;
}

static void fire(struct person *who, uint32_t place)
{
    struct step s;
    if (person_instance(who, place)->state == INSTANCE_QUEUED) {
        entry_turn(who, place);
        return;
    }
    step_at(who, place, &s);
    s.at->due_ms = FOREVER_MS;
    if (s.at->state == INSTANCE_READY) {
        instance_run(who, place);
        return;
    }
    if (s.at->state == INSTANCE_WAITING)
        ask_again(who, place, BY_TIME); /* if no hold froze it meanwhile, and no date moved */
}

void journey_timer(struct person *who)
{
    struct roll roll = roll_of(who);
    for (uint32_t i; (i = roll_next(who, &roll)) != UINT32_MAX;) {
        const struct instance *in = person_instance(who, i);
        if (in->due_ms <= who->at_ms && !controls_is_still(who->controls, in->journey)) {
            who->is_touched = true;
            fire(who, i);
        } else if (person_more(who, in)->ask_ms <= who->at_ms) {
            who->is_touched = true;
            ask_again(who, i, BY_CHANGE);
        }
    }
}

void journey_ready(struct person *who)
{
    /* Each has moved forward, begun or ended before it is ready again. */
    while (who->has_ready) {
        who->has_ready = false;
        if (who->profile->errands.count)
            errands_hear(who);
        struct roll roll = roll_of(who);
        for (uint32_t i; (i = roll_next(who, &roll)) != UINT32_MAX;) {
            const struct instance *in = person_instance(who, i);
            if (controls_is_still(who->controls, in->journey))
                continue;
            if (in->state == INSTANCE_QUEUED)
                entry_turn(who, i);
            else if (in->state == INSTANCE_READY && in->due_ms <= who->at_ms)
                instance_run(who, i);
        }
    }
}

void journey_settled(struct person *who, uint64_t instance, uint64_t decision, uint16_t step,
                     enum outcome outcome)
{
    uint32_t place = instance_find(who, instance);
    if (place == UINT32_MAX)
        return;
    struct step s;
    step_at(who, place, &s);
    if (s.at->flags & INSTANCE_HAS_MOVED && step_more(&s)->decision == decision)
        step = s.at->step; /* it asked for it in another version */
    outcome_store(who, place, step, outcome);
    step_at(who, place, &s);
    if (s.at->state != INSTANCE_SENDING || step_more(&s)->decision != decision ||
        s.at->step != step)
        return;
    instance_set_decision(who->space, s.at, 0);
    enum outcome_class class = outcome_term(outcome)->class;
    bool was_sent =
        class == OUTCOME_OUT || outcome == OUTCOME_IN_DOUBT || outcome == OUTCOME_HELD_OUT;
    if (outcome == OUTCOME_FAILED || outcome == OUTCOME_BOUNCED)
        was_sent = false;
    arms_note(who, s.at, step_more(&s)->splits, was_sent ? ARM_SENT : ARM_NOT_SENT);
    uint16_t next = s.means->next;
    if (!was_sent && s.means->send.if_not_sent != PLAN_NO_INDEX)
        next = s.means->send.if_not_sent;
    instance_go(who, place, next);
}

void journey_replaced(struct person *who, uint64_t instance, uint64_t decision, uint64_t by)
{
    uint32_t place = instance_find(who, instance);
    if (place != UINT32_MAX && person_more(who, person_instance(who, place))->decision == decision)
        instance_set_decision(who->space, person_touch_instance(who, place), by);
}

void journey_engaged(struct person *who, uint64_t instance, uint32_t message)
{
    uint32_t place = instance_find(who, instance);
    if (place == UINT32_MAX)
        return;
    struct step s;
    step_at(who, place, &s);
    if (s.at->last_message == message)
        s.at->flags |= INSTANCE_IS_ENGAGED;
    if (s.at->state != INSTANCE_WAITING || s.means == NULL)
        return;
    uint16_t waits_for = s.means->wait.engaged_message;
    if (waits_for != PLAN_NO_INDEX && s.plan->messages[waits_for].name == message)
        instance_go(who, place, s.means->next);
}

void journey_opted_out(struct person *who, uint64_t instance)
{
    uint32_t place = instance_find(who, instance);
    while (place != UINT32_MAX && person_more(who, person_instance(who, place))->caller != 0)
        place = instance_find(who, person_more(who, person_instance(who, place))->caller);
    if (place != UINT32_MAX)
        instance_end(who, place, JOURNEY_OPTED_OUT);
}

void journey_thaw(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        struct step s;
        step_at(who, i, &s);
        if (s.at->state != INSTANCE_WAITING || s.means == NULL)
            continue;
        int64_t due_ms = wait_due(&s);
        if (due_ms == s.at->due_ms)
            continue;
        s.at->due_ms = due_ms;
        who->is_touched = true;
    }
}

void journey_activated(struct person *who)
{
    struct roll roll = roll_of(who);
    for (uint32_t i; (i = roll_next(who, &roll)) != UINT32_MAX;) {
        if (plan_journey_find(who->plan, person_instance(who, i)->journey) == PLAN_NO_INDEX)
            instance_end(who, i, JOURNEY_WITHDRAWN);
        else
            instance_migrate(who, i);
    }
}

void journey_erase(struct person *who)
{
    /* One that waits for its turn is dropped without an end; nothing enters instead. */
    for (uint32_t left = who->profile->instances.count; left > 0; left--)
        if (who->profile->instances.count > 0)
            instance_end(who, who->profile->instances.count - 1, JOURNEY_ERASED);
}

/* The one that is there already of the same journey and key, or UINT32_MAX. */
static uint32_t twin_of(const struct person *who, const struct instance *theirs,
                        const struct instance_more *more)
{
    uint32_t twin = UINT32_MAX;
    for (uint32_t i = 0; i < who->profile->instances.count && more->caller == 0; i++) {
        const struct instance *mine = person_instance(who, i);
        const struct instance_more *own = person_more(who, mine);
        if (mine->journey == theirs->journey && own->key == more->key && own->caller == 0 &&
            (mine->state == INSTANCE_QUEUED) == (theirs->state == INSTANCE_QUEUED))
            twin = i;
    }
    return twin;
}

/* Of two assignments the winner's holds from here on: a new mark. Who was treated otherwise before is in no
 * comparison of that control group. */
static void mark_anew(struct person *who, const struct person *from, struct instance *in)
{
    bool was_ghost = in->flags & INSTANCE_IS_GHOST;
    bool is_ghost = entry_is_held_out(who, journey_of(who, in));
    uint64_t id = person_more(who, in)->caller;
    uint32_t caller = id ? instance_find(who, id) : UINT32_MAX;
    if (caller != UINT32_MAX) /* what a ghost begins is one */
        is_ghost |= (person_instance(who, caller)->flags & INSTANCE_IS_GHOST) != 0;
    in->flags = (uint8_t)((in->flags & ~INSTANCE_IS_GHOST) | (is_ghost ? INSTANCE_IS_GHOST : 0));
    bool is_all = person_is_held_out(who) != person_is_held_out(from);
    if (was_ghost == is_ghost && !is_all)
        return;
    in->flags |= INSTANCE_HAS_CROSSED;
    if (was_ghost != is_ghost)
        person_result(who, (struct result){.kind = RESULT_CROSSED,
                                           .how = is_ghost,
                                           .journey = in->journey,
                                           .version = in->plan,
                                           .id = in->id});
}

/* Instances that others' run steps began come behind those: who ends takes its own along. */
static void take_over(struct person *who, struct person *from, bool is_called)
{
    struct roll roll = roll_of(from);
    for (uint32_t place; (place = roll_next(from, &roll)) != UINT32_MAX;) {
        struct instance theirs = *person_instance(from, place);
        struct instance_more more = *person_more(from, &theirs);
        if ((more.caller != 0) != is_called)
            continue;
        uint32_t twin = twin_of(who, &theirs, &more);
        bool is_mine_further = false;
        if (twin != UINT32_MAX) {
            const struct instance *mine = person_instance(who, twin);
            is_mine_further = mine->step > theirs.step ||
                              (mine->step == theirs.step && mine->entered_ms <= theirs.entered_ms);
        }
        if (!is_mine_further && twin != UINT32_MAX) {
            instance_end(who, twin, JOURNEY_MERGED);
        } else if (is_mine_further || who->profile->instances.count == PROFILE_INSTANCES_MAX) {
            instance_end(from, place, JOURNEY_MERGED);
            if (more.caller != 0)
                give_back(who, more.caller);
            continue;
        }
        struct blob entry = {0};
        blob_set(who->space, &entry, blob_at(from->space, more.entry), more.entry.bytes);
        struct instance *in = person_push_instance(who);
        must(in != NULL);
        *in = theirs;
        in->more = 0;
        more.entry = entry;
        instance_set_more(who->space, in, &more);
        arms_crossed(who, from, in);
        if (!planted("merge-keeps-mark"))
            mark_anew(who, from, in);
        instance_forget(from->space, &theirs);
        person_drop_instance(from, place);
    }
}

/* Is the journey that is over, and may still convert, in another control group of the winner's? */
static bool is_marked_anew(const struct person *who, const struct person *from,
                           const struct past *p)
{
    const struct plan_journey *j = &person_plan(who, p->plan)->journeys[p->journey_index];
    return entry_is_held_out(who, j) != entry_is_held_out(from, j) ||
           person_is_held_out(who) != person_is_held_out(from);
}

void journey_unite(struct person *who, struct person *from)
{
    for (uint32_t i = 0; i < from->profile->pasts.count; i++) {
        struct past theirs = *person_past(from, i);
        if (who->profile->pasts.count >= PROFILE_PASTS_MAX)
            forget_past(who);
        struct blob entry = {0};
        blob_set(who->space, &entry, blob_at(from->space, theirs.entry), theirs.entry.bytes);
        struct past *past = person_push_past(who);
        must(past != NULL);
        *past = theirs;
        past->entry = entry;
        if (theirs.goal_until_ms != 0 && is_marked_anew(who, from, &theirs))
            past->flags |= INSTANCE_HAS_CROSSED;
    }
    take_over(who, from, false);
    take_over(who, from, true);
    must(from->profile->instances.count == 0);
    who->has_ready = true;
    who->is_touched = true;
}
