/* recover.h - recovery is replay: the newest whole snapshot, then the log's tail, each batch compared
 * with the result block that was written when it was first applied.
 *
 * The same loop serves `wend serve` (from the snapshot), `wend replay --verify` (from the beginning,
 * comparing every result block and the state hash at every snapshot that it passes) and `wend why`
 * (from the beginning, with a witness).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "evlog/evlog.h"
#include "replay/directory.h"
#include "replay/shelf.h"

struct recovered;

struct recover_options {
    bool from_beginning;      /* no snapshot to start from */
    int64_t snapshot_ms_max;  /* a snapshot to start from is not of a later moment; 0 = no bound */
    bool checks_hashes;       /* compare the state hash at every snapshot on the way */
    uint64_t batch_last;      /* stop after this batch; 0 = at the log's end */
    int64_t until_ms;         /* stop before a batch later than this; 0 = no such bound */
    bool is_shadow;           /* only who people are, and what `keeps` asks for (engine_options) */
    const struct plan *keeps; /* engine_keep() it from the first batch on; NULL = none */
    uint32_t keeps_from;
    void *self;
    /* Asked now and then; false ends it with TRY_AGAIN. May be NULL. */
    bool (*go_on)(void *self, const struct recovered *so_far);
    /* Before and after each batch; may be NULL. */
    void (*before)(void *self, struct engine *engine, const struct batch *batch);
    void (*after)(void *self, struct engine *engine, const struct batch *batch,
                  const struct engine_output *out);
};

struct recovered {
    struct shelf shelf;
    struct engine *engine;
    uint64_t snapshot_batch; /* where it started; 0 = the beginning */
    uint64_t batches;        /* applied again */
    uint64_t records;
    uint64_t results_compared; /* result blocks that agreed */
    uint64_t results_newest;   /* of which batch the newest was */
    uint64_t results_missing;  /* newest batches without a durable block */
    uint64_t hashes_compared;
    uint64_t snapshots_refused;
    struct fault snapshot_fault; /* what was wrong with the last one that was refused */
    uint64_t log_bytes;
    bool is_astray; /* a shadow met other people than the log: it cannot be relied on */
    struct loaded_backfill *backfill; /* for the `activate` at hand */
};

/* Rebuilds the state of the directory's log into *out, which the caller ends with recovered_fini(),
 * also on failure. GIVE_UP: damage, or a result block that does not agree (the fault names the batch).
 * An empty directory gives an empty engine. */
enum status recover(const struct directory *d, const struct recover_options *options,
                    struct recovered *out, struct fault *f) mustuse;

/* The same for who goes on writing: `log` is the directory's, open. Result blocks that did not reach it
 * before a crash are made again and appended, durably. GIVE_UP also where log and state do not end with
 * the same batch. */
enum status recover_to_write(const struct directory *d, struct evlog *log, struct recovered *out,
                             struct fault *f) mustuse;

void recovered_fini(struct recovered *r);

/* Writes a snapshot of the engine into the directory and drops all but the two newest. */
enum status snapshot_engine(const struct directory *d, const struct engine *engine,
                            struct fault *f) mustuse;
