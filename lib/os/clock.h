/* clock.h - the real clock. Pure rooms are handed times and never come here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

/* The time of day in UTC milliseconds. It jumps when somebody sets the clock. */
int64_t os_clock_utc_ms(void);

/* Nanoseconds since some moment before the process began; never goes back. */
int64_t os_clock_monotonic_ns(void);

/* CPU time that the calling thread has used, in nanoseconds: for benchmarks. */
int64_t os_clock_thread_ns(void);

/* Sleeps for at least `ms` milliseconds (0 or less: not at all). */
void os_clock_sleep_ms(int64_t ms);
