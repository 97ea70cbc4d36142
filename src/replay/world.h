/* world.h - virtual time: an engine, its ticks, and a provider that answers at once. A month takes
 * seconds, and the same facts give the same month.
 *
 *     world_apply(record at t) ──► ticks due before t, in order ──► the batch with the record
 *                                        │                               │
 *                                        └──► actions ──► host ──► receipts ──► batches at once
 *
 * The one host loop for scenario tests, `wend run`, backtests and the synthetic shop. With a log, each
 * batch and its result block are written, so that the directory can be served afterwards.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "evlog/evlog.h"
#include "model/receipt.h"
#include "replay/backfill.h"
#include "replay/shelf.h"

struct world_host {
    void *self;
    /* An attempt was granted. The host answers with world_receipt(), now or later. NULL: every attempt
     * is accepted at once. */
    void (*act)(void *self, const struct action *action, int64_t now_ms);
    /* An attempt that was granted is not to be tried again. May be NULL. */
    void (*recall)(void *self, const struct recall *recall);
    /* A batch was applied. May be NULL. */
    void (*results)(void *self, uint64_t batch, int64_t now_ms, const struct result *rows,
                    uint32_t count);
};

struct world_options {
    const uint8_t *secret;
    const struct witness *witness;
    struct evlog *log; /* NULL = nothing is written */
    struct world_host host;
    bool is_hasty; /* a record does not wait until what goes on by itself has come to an end */
};

struct world;

/* A world without anybody in it, at `start_ms`; `shelf` (kept) has the names. Ends with world_free(). */
struct world *world_new(struct shelf *shelf, const struct world_options *options,
                        int64_t start_ms) mustuse;

/* Goes on with the engine (taken over) of a directory that was recovered. */
struct world *world_of(struct shelf *shelf, struct engine *engine,
                       const struct world_options *options) mustuse;

/* Ends the engine too; the log stays the caller's. NULL is fine. */
void world_free(struct world *w);

/* The plan (compiled with shelf->names) is live from now on; its features begin now. */
enum status world_activate(struct world *w, const struct plan *plan, struct fault *f) mustuse;

/* Goes over to the plan without a gap: prepares it, makes the backfill of what its features lack from the
 * log (which is committed), and activates it. The programme is stored in the directory; where the same
 * one is prepared already, it goes on with that. The plan is compiled with shelf->names. */
enum status world_change(struct world *w, const struct directory *d, const struct plan *plan,
                         const struct backfill_host *host, struct fault *f) mustuse;

/* Its parts: the first; up to where each batch unites a piece of the backfill; and all that is left. */
enum status world_prepare(struct world *w, const struct plan *plan, struct fault *f) mustuse;
enum status world_unite(struct world *w, const struct directory *d,
                        const struct backfill_host *host, struct fault *f) mustuse;
enum status world_finish(struct world *w, const struct directory *d,
                         const struct backfill_host *host, struct fault *f) mustuse;

/* Undoes what is prepared. */
enum status world_abandon(struct world *w, struct fault *f) mustuse;

/* Lets time pass to the record's at_ms (not before the world's now), then applies it. New names in
 * shelf->names are told to the engine first. The record and its bodies are borrowed. */
enum status world_apply(struct world *w, const struct record *record, struct fault *f) mustuse;

/* The same for several records of one moment. */
enum status world_apply_all(struct world *w, const struct record *records, uint32_t count,
                            struct fault *f) mustuse;

/* Lets time pass: everything due up to and including until_ms happens. */
enum status world_wait(struct world *w, int64_t until_ms, struct fault *f) mustuse;

/* What became of an attempt; applied in the next batch. May be called from act(). */
void world_receipt(struct world *w, const struct receipt *receipt);

/* The same, at that moment and no earlier. */
void world_receipt_at(struct world *w, const struct receipt *receipt, int64_t at_ms);

/* The attempt is accepted; a call is answered as its stub says. May be called from act(). */
void world_accept(struct world *w, const struct action *action);

/* Makes what was written so far durable. */
enum status world_commit(struct world *w, struct fault *f) mustuse;

int64_t world_now(const struct world *w);
struct engine *world_engine(struct world *w);
