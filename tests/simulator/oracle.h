/* oracle.h - what must hold, from outside: of what was promised, of what went out, of the rows that tell it.
 * What can be recounted from the state is asked of engine_audit().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "replay/directory.h"
#include "simulator/sim.h"

struct delivery;

struct oracle *oracle_new(struct sim *s);
void oracle_free(struct oracle *o);

/* A batch was applied: for the first time, or again in a recovery; once more is nothing new. */
void oracle_batch(struct oracle *o, struct engine *e, const struct batch *batch,
                  const struct engine_output *out);

/* The server has recovered: everything promised is there, and the state is what it was. */
void oracle_recovered(struct oracle *o, struct engine *e, const struct directory *d);

/* A snapshot of that batch is whole, and states that hash. */
void oracle_saved(const struct oracle *o, uint64_t batch, uint64_t hash);

/* An erasure is done: recovery and verification begin behind its batch. */
void oracle_erased(struct oracle *o, uint64_t batch);

/* Nothing of those who were erased is left on the disk: search.c. */
void oracle_search(const struct sim *s, const struct directory *d);

bool oracle_has_grant(const struct oracle *o, uint64_t profile, uint64_t decision,
                      uint32_t attempt);

/* The calm is over: nothing may be pending; the log applied from its beginning comes to the same. */
void oracle_end(struct oracle *o, struct engine *e, const struct directory *d,
                struct sim_digest *out);

uint64_t oracle_batches(const struct oracle *o);
