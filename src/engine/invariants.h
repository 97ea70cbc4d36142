/* invariants.h - what must always hold, looked after while an engine works.
 *
 *     engine_apply() ──► invariants_batch()        what the batch's rows say, and those whom it concerned
 *                            │ now and then
 *                            └──► engine_audit()   everybody, recounted from scratch
 *
 * invariants.def lists them. It keeps a small history of its own (which decisions are open, whose slot is
 * where, who was at which step), made of the rows of results alone: so the state is compared with what
 * was told of it. It grows with the run, about 100 bytes a message: it is for tests, the simulator, and
 * whoever hunts something; hosts switch it on where WEND_INVARIANTS is set (replay/watch.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"

enum invariant {
    INVARIANT_NONE,
#define INVARIANT(symbol, name, bug, doc) INVARIANT_##symbol,
#include "engine/invariants.def"
#undef INVARIANT
    INVARIANT_END,
};

const char *invariant_name(enum invariant invariant);
const char *invariant_doc(enum invariant invariant);

struct invariants;

/* Looks after the engine (kept) from its next batch on. Where that is not its first one, what is not known
 * of the time before is taken as it is found. `note` gets a line for each fault: "slot: profile 3f2: ...".
 * Ends with invariants_free(). */
struct invariants *invariants_new(struct engine *e, void *self,
                                  void (*note)(void *self, struct str line)) mustuse;
void invariants_free(struct invariants *v);

/* To be called right after engine_apply() of that batch; the number of faults that it found. Every now and
 * then it is a checkpoint too: the more people there are, the rarer. */
uint64_t invariants_batch(struct invariants *v, const struct batch *batch);

/* Recounts everything now; the number of faults. */
uint64_t invariants_checkpoint(struct invariants *v);
