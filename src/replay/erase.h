/* erase.h - erasing a person from a data directory, so that a crash at any place of it is gone on from.
 *
 *     erasing written ──► RECORD_ERASE, batch e ──► segment closed ──► snapshot ──► older snapshots and backfills removed
 *                         state dropped             (what is durable   at or        ──► closed segments sealed ──► keys
 *                                                    is in it)         after e          destroyed ──► RECORD_ERASE, done ──►
 *                                                                                       snapshot ──► erased, erasing removed
 *
 * erasure_run() does these in this order, by the hands of whoever runs the engine: the server (server/erase.h),
 * the command of a directory that nobody serves, the simulator. Each can be done twice. A start that finds
 * `erasing` begins it again; where keys may be destroyed by then, with those: one that is torn would keep its
 * segments from being read.
 *
 * `erased` is the list of all who were erased, as hashes with this directory's secret. It is not part of a
 * backup: it is applied to what is restored.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "evlog/seal.h"
#include "replay/directory.h"

/* Places at which a test may end the process (take_over_stop()): behind each of the steps above. */
enum erasure_stop {
    ERASURE_IS_NOTED = 21,
    ERASURE_HAS_DROPPED,
    ERASURE_HAS_CLOSED,
    ERASURE_HAS_SNAPSHOT,
    ERASURE_HAS_REMOVED,
    ERASURE_HAS_DESTROYED,
    ERASURE_IS_PROVEN,
    ERASURE_HAS_FALLBACK,
};

struct erasure {
    uint64_t profile;
    uint64_t batch; /* at or after the one in which the person was dropped; 0 = not known yet */
    int64_t at_ms;
    uint32_t keys; /* destroyed; in `erasing` 1: they may be by now */
    struct engine_ids ids;
};

void erasure_fini(struct erasure *x);

/* Adds what means the person, as far as the engine knows; before and after the record is applied. */
void erasure_learn(struct erasure *x, struct engine *e);

/* Is the event theirs, by an identifier or by an address? */
bool erasure_concerns(const struct directory *d, const struct engine_ids *ids,
                      const struct record *r);

/* Adds the addresses that the person's own events in the log have named: those that they had before, too. */
enum status erasure_look_back(const struct directory *d, struct erasure *x,
                              struct fault *f) mustuse;

/* Fills `r`, whose body is written to `clear`. */
void erasure_record(const struct erasure *x, enum erase_kind kind, struct buf *clear,
                    struct record *r);

/* The file `erasing`; *is_there says whether there is one. */
enum status erasing_write(const struct directory *d, const struct erasure *x,
                          struct fault *f) mustuse;
enum status erasing_read(const struct directory *d, struct erasure *x, bool *is_there,
                         struct fault *f) mustuse;

/* Removes snapshots of states before the batch, unfinished ones too, and backfills. One of the batch or a
 * later one may be being written. */
enum status erasure_drop_old(const struct directory *d, uint64_t batch, struct fault *f) mustuse;

/* Seals what is closed up to the batch, and destroys the person's keys. */
enum status erasure_destroy(const struct directory *d, struct keystore *keys, struct erasure *x,
                            struct fault *f) mustuse;

/* Notes that it is done: `erased` gets a line, `erasing` goes. */
enum status erasure_finish(const struct directory *d, const struct erasure *x,
                           struct fault *f) mustuse;

/* What only who runs the engine can do. Whatever is not OK ends the erasure where it is. */
struct erasure_hands {
    void *self;
    int64_t (*now_ms)(void *self);
    /* The engine has dropped the person, by RECORD_ERASE if it had not: sets x->batch, and erasure_learn(). */
    enum status (*drop)(void *self, struct erasure *x, struct fault *f);
    /* Every batch that is durable is in a closed segment. */
    enum status (*roll)(void *self, struct fault *f);
    /* There is a durable snapshot of that batch, or of a later one. */
    enum status (*snapshot)(void *self, uint64_t batch, struct fault *f);
    /* erasure_destroy(), while nobody else seals. */
    enum status (*destroy)(void *self, struct erasure *x, struct fault *f);
    /* The proof is in the log. *batch: one behind that of the newest snapshot, and applied. */
    enum status (*prove)(void *self, const struct erasure *x, uint64_t *batch, struct fault *f);
};

/* Erases x->profile, from the beginning or from where an end of the process left it; the rest of *x is what is
 * known of it by now. */
enum status erasure_run(const struct directory *d, const struct erasure_hands *hands,
                        struct erasure *x, struct fault *f) mustuse;

/* The newest batch of an erasure that was completed; 0 = nobody was erased. */
enum status erased_batch(const struct directory *d, uint64_t *batch, struct fault *f) mustuse;

/* Every identifier that was ever erased: added to `ids`. What is restored from a backup loses their keys. */
enum status erased_ids(const struct directory *d, struct engine_ids *ids, struct fault *f) mustuse;
