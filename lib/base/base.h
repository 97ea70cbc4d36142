/* base.h - the few words that every room uses: must(), status, units of memory.
 *
 * Two kinds of error, never mixed. An operating error (bad input, a full disk, a provider that
 * refuses) is returned as an `enum status`; where a person will read about it, a `struct fault`
 * (base/fault.h) carries the sentence. A programmer's error is must(): it stays in release builds,
 * because what this program emits is a message to a human being, and wrong is worse than down.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define mustuse           __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define likely(x)         __builtin_expect(!!(x), 1)
#define unlikely(x)       __builtin_expect(!!(x), 0)
#define array_count(a)    (sizeof(a) / sizeof((a)[0]))
#define min_of(a, b)      ((a) < (b) ? (a) : (b))
#define max_of(a, b)      ((a) > (b) ? (a) : (b))

/* What a caller does next with an operating error. */
enum status {
    OK = 0,    /* done */
    TRY_AGAIN, /* not now: a queue is full, a peer is busy */
    FIX_INPUT, /* what came in is wrong; the fault says what, where, and what to do */
    GIVE_UP,   /* the world is broken here: damaged file, failed disk, missing permission */
};

/* Ends the process with a message that names the claim and its place. */
_Noreturn void must_fail(const char *claim, const char *file, int line);

/* A claim that holds in every build. One condition per line. */
#define must(x) (likely(x) ? (void)0 : must_fail(#x, __FILE__, __LINE__))

/* Asks the memory for what stands at `at` (anywhere, also nowhere), so that a later reading does not
 * wait. The empty assembly is needed: a function that does nothing else would count as one without an
 * effect, and the compiler would leave its calls out. */
static inline void prefetch(const void *at)
{
    __builtin_prefetch(at);
    __asm__ volatile("");
}

/* A claim whose check costs a walk: only in debug builds, fuzzers and the simulator. */
#ifdef MUST_SLOW
#    define must_slow(x) must(x)
#else
#    define must_slow(x) ((void)0)
#endif

#define DAY_MS    INT64_C(86400000)
#define HOUR_MS   INT64_C(3600000)
#define MINUTE_MS INT64_C(60000)
#define SECOND_MS INT64_C(1000)

/* A moment after every other: "until something new happens". Times are int64 UTC milliseconds. */
#define FOREVER_MS INT64_MAX
