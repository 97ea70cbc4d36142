/* snapshots.h - the state is saved while the server serves: by the engine's thread in pieces between batches
 * (engine_save_step()), compressed and written by a thread of its own.
 *
 *     engine's thread:  mark ─ batch ─ piece ─ batch ─ piece ─ ... ─ the last piece, and the hash
 *                                        │ parcels, bounded
 *     snapshot's thread:                 └──► compress, write, ... sync, rename; older ones are dropped
 *
 * A piece takes about SNAPSHOT_PIECE_US; where that thread is behind, none is made. So nothing waits for a
 * snapshot: not a batch for the disk, nor the disk for a batch.
 *
 * One is due after so many batches as the operator says (--snapshot-every), or when reading the log from the
 * last one on would take long: after SNAPSHOT_RECORDS events and SNAPSHOT_SHARE for each person.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"

#define SNAPSHOT_PIECE_US 800
#define SNAPSHOT_RECORDS  UINT64_C(4000000)
#define SNAPSHOT_SHARE    4
#define SNAPSHOT_AGAIN_MS 1000 /* after one that met a fault of the disk */

struct server;
struct engine;
struct snapshots;

/* Starts the thread. `engine` is the caller's, and only its thread calls the functions below. */
enum status snapshots_start(struct server *s, struct engine *engine, struct snapshots **out,
                            struct fault *f) mustuse;

/* Between two batches: begins a snapshot if one is due, or takes the one under way a piece further. True if
 * it wants to be called again soon. */
bool snapshots_work(struct snapshots *x);

/* How many did not become whole because the disk failed or is full. Any thread. */
uint64_t snapshots_failures(const struct snapshots *x);

/* A snapshot of that batch or a later one is wanted, as soon as may be, again and again until there is one; 0:
 * none is. Any thread. */
void snapshots_want(struct snapshots *x, uint64_t batch);

/* The batch of the newest one that is durable; 0 = none of this run. Any thread. */
uint64_t snapshots_newest(const struct snapshots *x);

/* Breaks off the one under way, and ends the thread. NULL is fine. */
void snapshots_stop(struct snapshots *x);
