/* journey_int.h - for this room alone: what a step gets and what it answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "journey/journey.h"

#define HANDED_MAX 16 /* handoffs of one person in a batch: a circle of journeys ends there */

enum step_answer {
    STEP_GO,    /* goes on at `next` at once */
    STEP_STAYS, /* waits: due_ms, ask_ms or decision are set */
    STEP_ENDS,  /* the instance is over: `end` says how */
    STEP_GONE,  /* the instance has ended already */
};

/* A step about to run. */
struct step {
    struct person *who;
    const struct plan *plan;
    const struct plan_journey *journey;
    const struct plan_step *means;
    struct instance *at; /* good until the person's lists change */
    uint32_t place;      /* of the instance in the list */
    uint16_t next;       /* where STEP_GO leads; preset to means->next */
    enum journey_end end;
};

static inline const struct instance_more *step_more(const struct step *s)
{
    return person_more(s->who, s->at);
}

#define STEP(symbol, name, doc) enum step_answer step_##name##_run(struct step *s);
#include "journey/steps.def"
#undef STEP

/* The name of the step's kind. */
struct str step_kind_name(enum step_kind kind);

/* Asks whether something other than time ends the wait that the instance stands at: STEP_GO (`next` is
 * set) or STEP_STAYS (due_ms and ask_ms are set). (step_wait.c) */
enum step_answer wait_ask(struct step *s);

/* The same for time, behind wait_ask(): what happens in a moment goes before its end. STEP_ENDS: a date
 * is missing or past, and the wait says `exit` (`end` is set). (step_wait.c) */
enum step_answer wait_time(struct step *s);

/* When the next of the wait's moments comes as things stand, conditions aside; FOREVER_MS if none is
 * known to. Lowers ask_ms where an expression must be asked again before. (step_wait.c) */
int64_t wait_due(struct step *s);

/* Notes that the instance takes the arm of that name, and sets `next`. (step_split.c) */
void arm_take(struct step *s, uint32_t name, uint16_t target);

/* The wait is over by `what`: notes its label and sets `next`. (step_wait.c) */
void wait_take(struct step *s, const struct plan_ending *what);

/* The place of the instance with that id, or UINT32_MAX. */
uint32_t instance_find(const struct person *who, uint64_t id);

/* The instances of the moment, by id: who comes later is not among them, and who ends meanwhile is
 * passed over. */
struct roll {
    uint64_t ids[PROFILE_INSTANCES_MAX];
    uint32_t count;
    uint32_t next;
};

struct roll roll_of(const struct person *who);
/* The place of the next one that still lives; UINT32_MAX: that was all. */
uint32_t roll_next(const struct person *who, struct roll *roll);

/* Sets up `s` for the instance at `place`. */
void step_at(struct person *who, uint32_t place, struct step *s);

/* Runs steps from the instance's step on until it stands or ends. */
void instance_run(struct person *who, uint32_t place);

/* Remembers what became of the send, if an expression asks for it. (outcome.c) */
void outcome_store(struct person *who, uint32_t place, uint16_t step, enum outcome outcome);

/* Another event becomes entry.*: what became of sends so far, which stands in `from`, goes on to hold. */
void outcomes_keep(struct person *who, uint32_t plan, const struct plan_journey *j,
                   struct blob from, struct blob *entry);

/* Ends the instance at `place`; later ones move down. */
void instance_end(struct person *who, uint32_t place, enum journey_end end);

/* Ends what a run step of the instance `caller` began. Places change. */
void instance_end_called(struct person *who, uint64_t caller, enum journey_end end);

/* Takes the instance to `step` and runs it from there. */
void instance_go(struct person *who, uint32_t place, uint16_t step);

/* Notes that the step begins, and does it. */
enum step_answer step_do(struct step *s);

/* Is the condition of something that the instance at `place` listens to true? Errors are counted. */
bool instance_holds(struct person *who, uint32_t place, const struct plan_expr *when);

enum reacted {
    REACTED_NOT,
    REACTED_STAYS, /* the instance stands where it stood */
    REACTED_MOVED, /* it is elsewhere, or over */
};

/* Does what the instance at `place` has for the event at hand. (reaction.c) */
enum reacted reactions_meet(struct person *who, uint32_t place);

/* Is the milestone at which the instance stands reached? True: it has gone on, or ended. Else lowers ask_ms
 * to when time may change that. (milestone.c) */
bool milestones_ask(struct step *s);
/* plan_wake_bit of what the milestones read that still lie ahead. (milestone.c) */
uint64_t milestones_wake(const struct plan_journey *j, const struct instance *in);

/* Tries to enter the journey with the event at hand. (entry.c) */
void entry_try(struct person *who, uint16_t journey_index, bool is_consumed);

/* The event at hand is refused entry, for that reason. (entry.c) */
void entry_refuse(struct person *who, const struct plan_journey *j, enum refusal why,
                  int64_t number);

/* Is the event at hand one that the entry is about? One that came by a way is for that way alone.
 * (entry.c) */
bool entry_is_about(const struct person *who, const struct plan_listen *entry);

#define OBJECTIONS_MAX 16

/* What keeps somebody out of a journey, in order: the first gives the reason. */
struct objections {
    uint32_t count;
    struct {
        enum refusal why;
        int64_t number; /* as in the result's row */
    } at[OBJECTIONS_MAX];
};

/* Tells a witness that the entry was refused, with the facts. (explain_entry.c) */
void explain_refusal(struct person *who, uint32_t journey, enum refusal why, int64_t number);

/* Tells a witness why nobody enters by the condition (NULL: it is not the condition), and the one change that
 * would have let them in, if there is one. (explain_entry.c) */
void explain_entry(struct person *who, const struct plan_journey *j, const struct plan_expr *when,
                   const struct objections *all);

/* Enters the journey with the event at hand, unless its phase, what re-entry says or `require` are
 * against it; its condition and lateness have been asked. (entry.c) */
void entry_admit(struct person *who, uint16_t journey_index, uint64_t key);

/* May the journey be entered in its phase? If not, the event at hand is held or refused.
 * (lifecycle.c) */
bool entry_is_open(struct person *who, const struct plan_journey *j, uint64_t key);

/* Why the journey of that name lets nobody in at the moment; 0: it does. (lifecycle.c) */
enum refusal entry_bar(const struct person *who, uint32_t journey);

/* The entry that is held at `place` of the appointments enters now. (lifecycle.c) */
void entry_release(struct person *who, uint32_t place);

/* Takes the instance at `place` over to the newest version of its journey, if that says where to. It may
 * end. (migrate.c) */
void instance_migrate(struct person *who, uint32_t place);

/* Does the journey stand still? Then the step of the instance at `place`, which would begin, does not
 * before it goes on. (lifecycle.c) */
bool instance_is_parked(struct person *who, uint32_t place);

/* What was collected enters the journey as one event: asked for all but its condition and lateness,
 * which each item has passed. (entry.c) */
void entry_collected(struct person *who, uint16_t journey_index, const struct record *event);

/* The instance at `place` wants to go on in the journey with that name, which begins with `event`: true
 * if it has ended for it, false (and counted) if the journey refuses. (entry.c) */
bool entry_hand_over(struct person *who, uint32_t place, uint32_t journey,
                     const struct record *event);

/* One of the journey (of the same plan) begins for the run step at which the instance at `place` stands.
 * False: refused, counted. (entry.c) */
bool entry_run(struct person *who, uint32_t place, uint16_t journey_index,
               const struct record *event);

/* Has the turn of the queued entry at `place` come? Begins it, drops it, or leaves it there. (entry.c) */
void entry_turn(struct person *who, uint32_t place);
/* The queued entry at `place` is not to begin any more. (entry.c) */
void entry_drop(struct person *who, uint32_t place, enum refusal why);

/* Is the person in the journey's own control group? (entry.c) */
bool entry_is_held_out(const struct person *who, const struct plan_journey *j);

/* Notes that the goal of the instance, which took those arms, was reached at at_ms. (journey.c) */
void journey_convert(struct person *who, const struct instance *in, uint64_t splits, int64_t at_ms);

/* Notes that the step at which the instance stands begins, and that it is over, if it had begun.
 * (count.c) */
void step_begun(struct person *who, struct instance *in);
void step_left(struct person *who, struct instance *in, enum step_left how);

/* The bit of an instance's splits that stands for the split; 0 if the journey has too many. (count.c) */
uint64_t arms_bit(const struct plan_journey *j, uint16_t split);

/* Notes what became of the instance for each arm that it took: those of `splits`. (count.c) */
void arms_note(struct person *who, const struct instance *in, uint64_t splits, enum arm_news news);

/* The instance was `from`'s and is `who`'s now: who takes other arms is out of the analysis. (count.c) */
void arms_crossed(struct person *who, struct person *from, struct instance *in);

/* Copies the properties that entry.* and templates read from the event at hand. */
void entry_keep(struct person *who, const struct plan_journey *j, struct blob *entry);
