/* bench.h - figures: one line each, `name value unit`, and nothing else on standard output.
 *
 *     int64_t start_ns = os_clock_thread_ns();
 *     ... a million times ...
 *     bench_rate("map_str_find", 1000000, os_clock_thread_ns() - start_ns);
 *
 * A bench is a program of its own under tests/bench/; `make bench` builds them with VARIANT=release
 * and runs them one after the other. BENCH_SCALE=10 (a number in the environment) makes them run ten
 * times as long, 0.1 a tenth. What they write goes under BENCH_DIR (build/ unless given), which should be
 * on a real disk. docs/BENCH.md says what the figures count and what they were.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* One figure. */
static inline void bench_print(const char *name, double value, const char *unit)
{
    printf("%s %.6g %s\n", name, value, unit);
    fflush(stdout);
}

/* `count` things in `spent_ns` nanoseconds, as things per second. */
static inline void bench_rate(const char *name, uint64_t count, int64_t spent_ns)
{
    bench_print(name, spent_ns > 0 ? (double)count * 1e9 / (double)spent_ns : 0, "per_second");
}

/* `count` times BENCH_SCALE, at least 1. */
static inline uint64_t bench_count(uint64_t count)
{
    const char *scale = getenv("BENCH_SCALE");
    double scaled = (double)count * (scale ? strtod(scale, NULL) : 1.0);
    return scaled >= 1 ? (uint64_t)scaled : 1;
}

/* Keeps the compiler from leaving out what it computes. */
static inline void bench_keep(uint64_t x)
{
    __asm__ volatile("" : : "r"(x) : "memory");
}
