/* journey_int.h - for this room alone: what a step gets and what it answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "journey/journey.h"

enum step_answer {
    STEP_GO,    /* goes on at `next` at once */
    STEP_STAYS, /* waits: due_ms, ask_ms or decision are set */
    STEP_ENDS,  /* the instance is over: `end` says how */
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

#define STEP(symbol, name, doc) enum step_answer step_##name##_run(struct step *s);
#include "journey/steps.def"
#undef STEP

/* The name of the step's kind. */
struct str step_kind_name(enum step_kind kind);

/* Asks the wait's condition; sets ask_ms. True if it holds. (step_wait.c) */
bool wait_condition(struct step *s);

/* The time of the wait is over at who->at_ms, unless holds froze it: then due_ms is moved and false
 * comes back. (step_wait.c) */
bool wait_is_over(struct step *s);

/* When a wait that begins now is over. (step_wait.c) */
int64_t wait_end(struct person *who, const struct plan_wait *w, int64_t from_ms);

/* Sets up `s` for the instance at `place`. */
void step_at(struct person *who, uint32_t place, struct step *s);

/* Runs steps from the instance's step on until it stands or ends. */
void instance_run(struct person *who, uint32_t place);

/* Ends the instance at `place`; later ones move down. */
void instance_end(struct person *who, uint32_t place, enum journey_end end);

/* Takes the instance to `step` and runs it from there. */
void instance_go(struct person *who, uint32_t place, uint16_t step);

/* Tries to enter the journey with the event at hand. (entry.c) */
void entry_try(struct person *who, uint16_t journey_index, bool is_consumed);

/* The hash of the event's key value for the journey; 0 = it has none. */
uint64_t entry_key(const struct plan_journey *j, const struct record *event);

/* Copies the properties that entry.* and templates read from the event at hand. */
void entry_keep(struct person *who, const struct plan_journey *j, struct blob *entry);
