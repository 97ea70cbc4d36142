/* journeys.h - the names of the active programme's journeys, for threads that are not the engine's: who
 * calls for a journey that there is not is told so at once.
 *
 * The engine's thread puts a new list up when another programme is active; old ones stay until the end, so
 * readers need no lock. Programmes change rarely.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"

struct journeys;

/* An empty board: until something is posted, every name counts as known. */
struct journeys *journeys_new(void) mustuse;
void journeys_free(struct journeys *j);

/* Puts up the newest programme's names if they are not up already. By one thread at a time. */
void journeys_post(struct journeys *j, const struct engine *e);

/* Is there a journey of that name? If not, *nearest is the name that is near enough to be meant, or empty;
 * good as long as the board. Any thread. */
bool journeys_know(struct journeys *j, struct str name, struct str *nearest);
