/* watch.h - invariants (engine/invariants.h) in any host of an engine, switched on from outside:
 *
 *     WEND_INVARIANTS=1 wend test examples/shop
 *
 * A fault ends the process with a line for each: a test that goes on has seen none. With `tell` it only
 * says so and goes on, which shows all that is broken.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/invariants.h"

/* NULL, which the others take, unless WEND_INVARIANTS is set to something but 0. The engine is kept. */
struct invariants *watch_new(struct engine *e) mustuse;

/* Right after engine_apply() of the batch. */
void watch_batch(struct invariants *v, const struct batch *batch);

/* A last checkpoint, and the end; before the engine's. */
void watch_end(struct invariants *v);
