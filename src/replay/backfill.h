/* backfill.h - the past of a programme's features: made from the log, kept as a file, handed to the
 * engine before the programme is activated.
 *
 *     log ──► shadow engine ──► DIR/backfills/HASH ──► unite {programme, HASH} ──► removed behind snapshots
 *             batches before `prepare`
 *
 * A shadow applies the log's batches but runs no journeys, no desk and no timers: who somebody is and
 * what they did depend on neither. Should the log's own result blocks say otherwise at any batch (a
 * merge that was refused because too much was under way), or could a journey have changed an address
 * by which people are found, the whole engine replays it instead: slower, and the same by definition.
 *
 * Of a log whose older segments were dropped (retention.h), the whole engine applies what is left, from the oldest
 * snapshot on: what was before is not in the backfill. Nothing is dropped while a programme is prepared.
 *
 * The same log and programme give the same file, byte for byte, so one that is lost is made again.
 * docs/formats/backfill.md has the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "replay/directory.h"

#define BACKFILL_FORMAT 1        /* docs/formats/backfill.md */
#define BACKFILL_MAKING "making" /* folder in which a file is written */

struct loaded_backfill;

/* How far it is. */
struct backfill_progress {
    uint64_t batches; /* applied, of batch_count */
    uint64_t batch_count;
    uint64_t records;
};

struct backfill_host {
    void *self;
    /* Told now and then; false ends it with TRY_AGAIN. NULL: it is not asked. */
    bool (*go_on)(void *self, const struct backfill_progress *progress);
};

/* Makes the backfill of what is prepared (count > 0) and stores it durably; nothing to do where it is
 * stored already. On OK the caller ends *out with backfill_free(). TRY_AGAIN: the host said so, or the
 * disk is full. GIVE_UP: the log is damaged. May run beside a server that writes the log. */
enum status backfill_make(const struct directory *d, const struct engine_change *change,
                          const struct backfill_host *host, struct loaded_backfill **out,
                          struct fault *f) mustuse;

/* The stored backfill with that hash; where it is not there or damaged it is made again, and not stored.
 * GIVE_UP also where what is made has another hash. */
enum status backfill_restore(const struct directory *d, const struct engine_change *change,
                             struct str hash, struct loaded_backfill **out,
                             struct fault *f) mustuse;

/* Removes the stored ones, if no snapshot is of a state before batch `since`: recovery then begins behind all
 * that was united with them; what goes further back makes them again, in memory. *dropped: how many; *left: how
 * many stay. From `since` on no programme may be prepared, and none is while this goes on. */
enum status backfill_drop(const struct directory *d, uint64_t since, uint32_t *dropped,
                          uint32_t *left, struct fault *f) mustuse;

/* What the engine takes; good until backfill_free(). */
const struct backfill *backfill_of(const struct loaded_backfill *b);

/* Its file's size on disk. */
uint64_t backfill_bytes(const struct loaded_backfill *b);

/* NULL is fine. The file stays. */
void backfill_free(struct loaded_backfill *b);
