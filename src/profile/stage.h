/* stage.h - where in a customer's life the person is, as the newest programme tells it.
 *
 * Stages stand in the programme in their order. The person is in the furthest whose condition holds (a
 * segment of its own, plan.h) or that a step has set. What is stored is the stage itself, since when,
 * and which one was set last by a step.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

/* The stage of that name in the plan, or NULL. */
const struct plan_stage *stage_find(const struct plan *plan, uint32_t name);

/* The one that is stored; NAME_NONE: none. */
uint32_t stage_of(const struct person *who);

/* Which one the person is in by what is known now; NAME_NONE: in none. */
uint32_t stage_reckon(const struct person *who);

/* Is the person in another stage than is stored? */
bool stages_are_due(const struct person *who);

/* Moves the person to the stage that they are in: what reads it is woken, and journeys hear of it unless it
 * `is_quiet`, because the definition is new. */
void stages_keep(struct person *who, bool is_quiet);

/* A step says that the person is in the stage; one that is further by its condition goes on to count. */
void stage_set(struct person *who, uint32_t name);

/* As of a merge: what was set for the one that is taken in holds where nothing was set for `who`. */
void stage_unite(struct person *who, const struct person *from);
