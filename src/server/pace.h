/* pace.h - the server's time: the real clock's, but never back, and never in leaps.
 *
 *     engine time = what the clock said at the start + what the monotonic clock has counted since
 *
 * Small differences to the real clock (it is disciplined by NTP) are slewed: at most a twentieth of the
 * time that has passed. A difference of more than a minute is not a correction, it is somebody who set
 * the clock, or a machine that was asleep. Which of the two clocks is right then is not for a program
 * to say: time goes on by the monotonic clock, nothing is sent (quiet hours would be wrong), and the
 * operator is told, until the clock is set right or pace_adopt() takes the real clock for true.
 *
 * Nothing here asks a clock: both readings are handed in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

#define PACE_JUMP_MS (60 * SECOND_MS) /* a larger difference between the clocks is a jump */

struct pace {
    _Atomic int64_t offset_ns; /* engine time minus monotonic time */
    _Atomic int64_t newest_ms; /* the latest time given out: there is no way back */
    int64_t checked_ns;        /* monotonic, of the last pace_check() */
    bool has_jumped;
};

/* Begins at the real time `utc_ms`, or at `least_ms` (the end of the log) where that is later. */
void pace_init(struct pace *p, int64_t utc_ms, int64_t monotonic_ns, int64_t least_ms);

/* The time now, UTC milliseconds; any thread, never before one that was given out. */
int64_t pace_now_ms(struct pace *p, int64_t monotonic_ns);

/* Real time minus ours, in milliseconds. */
int64_t pace_difference_ms(const struct pace *p, int64_t utc_ms, int64_t monotonic_ns);

/* Compares with the real clock and slews; to be called about once a second, by one thread. Returns
 * false while the clocks are more than PACE_JUMP_MS apart. */
bool pace_check(struct pace *p, int64_t utc_ms, int64_t monotonic_ns);

/* Takes the real clock for true. Where it is behind, time stands still until it has caught up. */
void pace_adopt(struct pace *p, int64_t utc_ms, int64_t monotonic_ns);
