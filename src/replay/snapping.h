/* snapping.h - the state into a snapshot's file: at once, or piece by piece while batches go on.
 *
 *     engine's thread:  engine_save_begin ─ step ─ batch ─ step ─ ... ─ whole: the hash
 *                                             │ pieces                     │
 *     any thread:       snapping_begin ─────► snapping_put ──────────────► snapping_commit
 *
 * The file holds, beside the engine's sections, two of this room: `release` says whose the log was, and
 * `hash`, at the end, what the state's hash is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "disk/snapshot.h"
#include "engine/engine.h"
#include "replay/directory.h"
#include "replay/release.h"

#define SNAPSHOTS_KEPT 2

struct snapping;

/* Begins the file for the state as of that batch in a log that is `owner`'s. On OK the caller owns *out, and
 * ends it with snapping_commit() or snapping_abandon(). One at a time in a directory. */
enum status snapping_begin(const struct directory *d, uint64_t batch, int64_t now_ms,
                           const struct release *owner, struct snapping **out,
                           struct fault *f) mustuse;

/* What the programme's `keep: {log}` says: older snapshots stay so that the log can be applied from them
 * (retention.h). Without it only the two newest do, and the oldest of a log that was cut. */
void snapping_keep(struct snapping *s, int64_t keep_ms);

/* What engine_save_step() gives, in its order. After a failure only snapping_abandon() may follow. */
enum status snapping_put(struct snapping *s, struct str section, uint32_t partition,
                         struct str bytes, struct fault *f) mustuse;

/* The snapshot is whole: it is durable under its name from here on; older ones are dropped (retention_thin()).
 * Ends `s`, also on failure. */
enum status snapping_commit(struct snapping *s, uint64_t state_hash, struct fault *f) mustuse;

/* NULL is fine. */
void snapping_abandon(struct snapping *s);

/* Writes a snapshot of the engine into the directory and drops older ones. None may be under way. */
enum status snapshot_engine(const struct directory *d, struct engine *engine,
                            struct fault *f) mustuse;

/* The same for who is about to take over the log, which is `owner`'s: if that is as far as it comes, the
 * next start knows. */
enum status snapshot_before_takeover(const struct directory *d, struct engine *engine,
                                     const struct release *owner, struct fault *f) mustuse;

/* The state's hash that the snapshot states; 0 = it states none. */
enum status snapping_hash(struct snapshot_reader *r, uint64_t *hash, struct fault *f) mustuse;

/* Whose the log was when the snapshot was written: not who wrote it, if that one was about to take over. */
enum status snapping_owner(struct snapshot_reader *r, struct release *owner,
                           struct fault *f) mustuse;

/* Is the section one of this room, and not the engine's? */
bool snapping_is_own(struct str section);
