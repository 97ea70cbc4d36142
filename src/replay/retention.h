/* retention.h - what is older than the programme's `keep:` is dropped, as far as nobody needs it.
 *
 *     snapshots   S1        S2        S3        S4   S5 S6      S1: the base. What is kept can be applied again
 *     log      ───┴─────────┴─────────┴─────────┴────┴──┴──►    from it: verified, explained, filled in
 *                 └ dropped once S2 is older than `keep:` ┘     S5, S6: the two newest, for recovery
 *
 * Beside the two newest snapshots older ones stay, a RETENTION_PARTS-th of the time apart, as far as the log
 * reaches back. The newest that is older than `keep:` becomes the base: snapshots before it go, then the log's
 * segments that hold nothing behind it, the oldest first. So what is younger than `keep:` is always there,
 * and what is older goes a RETENTION_PARTS-th of it later at most, once segments end (the server ends one
 * that is as old as that).
 *
 * Nothing is dropped unless two whole snapshots of this release are at or behind the base, so that recovery has a
 * fallback; nor while a programme is prepared, whose backfill is made from the log.
 *
 * Each removal is durable before the next one, and what is left is a directory at any place of it. A log that was
 * cut says so itself: it does not begin with batch 1.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "replay/directory.h"

#define RETENTION_PARTS 8

/* Places at which a test may end the process (take_over_stop()). */
enum retention_stop {
    RETENTION_HAS_CLOSED = 31,
    RETENTION_HAS_SNAPSHOT,
    RETENTION_HAS_REMOVED, /* snapshots */
    RETENTION_HAS_DROPPED, /* segments */
};

/* How far back a directory reaches. */
struct reach {
    uint64_t log_first; /* the log's first batch: 1 unless it was cut; 0 = it is empty */
    uint64_t base;    /* of the state from which the rest can be applied; 0 = from the beginning */
    int64_t since_ms; /* of that state; INT64_MIN = from the beginning */
};

/* Of a log that was cut, base is the oldest snapshot that it goes on from, whole or not; 0 where there is none. */
enum status reach_of(const struct directory *d, struct reach *out, struct fault *f) mustuse;

/* How far apart snapshots are kept under `keep_ms`; 0 = not at all, as nothing is dropped. */
int64_t retention_step_ms(int64_t keep_ms);

/* Removes snapshots that nobody wants: not the two newest, not the base of a log that was cut, nor any that are
 * step_ms apart (0: none are). None may be being written. */
enum status retention_thin(const struct directory *d, int64_t step_ms, struct fault *f) mustuse;

/* What is to be made so that something can be dropped in time. */
struct retention_due {
    bool
        segment; /* the newest one is as old as a step: it is to be closed, and another one begun */
    bool snapshot; /* so is the newest snapshot, or there is none */
};

/* Beside the writer. */
enum status retention_look(const struct directory *d, int64_t keep_ms, int64_t now_ms,
                           struct retention_due *out, struct fault *f) mustuse;

struct retained {
    uint64_t base; /* the new one; 0 = nothing is old enough, or nothing may go */
    int64_t base_ms;
    uint32_t snapshots; /* removed */
    uint32_t segments;
};

/* Drops what is older than keep_ms (> 0) at now_ms, as said above. Nobody may be sealing, erasing, writing a
 * snapshot, or have a programme prepared. On failure the rest goes another time. */
enum status retention_drop(const struct directory *d, int64_t keep_ms, int64_t now_ms,
                           struct retained *out, struct fault *f) mustuse;
