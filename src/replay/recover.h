/* recover.h - recovery is replay: the newest whole snapshot, then the log's tail, each batch compared
 * with the result block that was written when it was first applied.
 *
 * The same loop serves `wend serve` (from the snapshot), `wend replay --verify` (from the beginning,
 * comparing every result block and the state hash at every snapshot that it passes) and `wend why`
 * (from the beginning, with a witness).
 *
 * Where older segments were dropped (retention.h), the beginning is the oldest snapshot behind which the log
 * goes on. What is asked about a moment before is refused with FIX_INPUT.
 *
 * The log is the truth also about names: they are read from it, to its end, before anything is compiled,
 * so that it does not matter which names a release's compiler makes and in which order. Names that it
 * makes and the log does not have stand behind the log's; who writes (takeover.h) writes them first.
 *
 * A snapshot of a later batch than the log's last means that the log has lost its end: nobody starts then, and the
 * fault says what can be done.
 *
 * Where another release wrote, its results and this release's must be the same, or somebody has to say that
 * they may differ (adopt.h): then a record in the log says so, and results are not compared up to that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "evlog/evlog.h"
#include "replay/difference.h"
#include "replay/directory.h"
#include "replay/release.h"
#include "replay/shelf.h"
#include "replay/snapping.h"

struct recovered;

struct recover_options {
    bool from_beginning; /* no snapshot to start from; the oldest where the log does not have all */
    int64_t snapshot_ms_max; /* a snapshot to start from is not of a later moment; 0 = no bound */
    /* A snapshot to start from is not of a later batch than results_newest: it may be durable before the results of
     * its batch are, and who writes the log makes them again, from an older one, else from the log's
     * beginning. Only where the log does not have that any more a later one serves, and results are lost. */
    bool heeds_results;
    uint64_t results_newest;
    bool checks_hashes;       /* compare the state hash at every snapshot on the way */
    uint64_t batch_last;      /* stop after this batch; 0 = at the log's end */
    int64_t until_ms;         /* stop before a batch later than this; 0 = no such bound */
    bool is_shadow;           /* only who people are, and what `keeps` asks for (engine_options) */
    const struct plan *keeps; /* engine_keep() it from the first batch on; NULL = none */
    uint32_t keeps_from;
    struct engine_split split; /* how the batches were applied, in tests */
    /* Results that differ do not end it: each is told to `differs`. So are batches that have no result block
     * in the log, at the end. It also goes over records of another release. */
    bool is_tolerant;
    void (*differs)(void *self, const struct recovered *so_far, const struct difference *what);
    /* A change of release is behind a snapshot, or it ends with GIVE_UP. The hash of a snapshot that this release wrote is
     * not found out again (checks_hashes: it is all the same). */
    bool is_to_write;
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
    uint64_t log_batch;      /* the log's newest when it began */
    uint64_t
        log_first; /* its first: 1 unless older ones were dropped (retention.h); 0 = it is empty */
    int64_t kept_since_ms;  /* if they were: of the state where it started */
    struct release release; /* whose the log is by now: of the snapshot, or of a record behind it */
    uint64_t differences;   /* result blocks that did not agree */
    uint64_t differs_from;  /* the first one's batch, and what was the difference */
    char difference[DIFFERENCE_BYTES];
    uint64_t adopted_batch; /* 0, or that of the record by which differences before it are right */
    uint64_t
        taken_over_batch;   /* 0, or the first behind a difference with which a release took over */
    bool has_no_adoption;   /* it was looked for */
    uint64_t crossed_batch; /* 0, or of a change of release whose snapshot was not to be had */
    uint64_t batches;       /* applied again */
    uint64_t records;
    uint64_t results_compared; /* result blocks that agreed */
    uint64_t results_newest;   /* of which batch the newest was */
    uint64_t results_missing;  /* newest batches without a durable block */
    uint64_t results_lost;     /* batches before the snapshot whose block was not durable */
    uint64_t hashes_compared;
    uint64_t erased_batch; /* of the newest erasure; 0 = nobody was erased */
    uint64_t snapshots_refused;
    struct fault snapshot_fault; /* what was wrong with the last one that was refused */
    uint64_t log_bytes;
    bool is_astray; /* a shadow met other people than the log: it cannot be relied on */
    struct loaded_backfill *backfill; /* what the engine borrows while it unites it; else NULL */
};

/* Rebuilds the state of the directory's log into *out, which the caller ends with recovered_fini(),
 * also on failure. GIVE_UP: damage, or a result block that does not agree (the fault names the batch).
 * An empty directory gives an empty engine. Batches that come into the log meanwhile are left out. The
 * state of a snapshot is hashed by two threads; nobody is asked or told anything by the second. */
enum status recover(const struct directory *d, const struct recover_options *options,
                    struct recovered *out, struct fault *f) mustuse;

/* The same for who goes on writing: `log` is the directory's, open. Result blocks that did not reach it
 * before a crash are made again and appended, durably. GIVE_UP also where log and state do not end with
 * the same batch. Damaged snapshots are removed: whoever writes takes another one soon (snapshots_refused). Before
 * anything else is written, take_over() is to be called (takeover.h). `options` are
 * those of who wants more than that, or NULL. */
enum status recover_to_write(const struct directory *d, struct evlog *log,
                             const struct recover_options *options, struct recovered *out,
                             struct fault *f) mustuse;

/* Do both say the same of who is who? Requires a stored block. */
bool recover_same_people(const struct difference *what);

void recovered_fini(struct recovered *r);
