/* soak.c - a server under half of what it can do, for an hour: does it stay as it is?
 *
 * `make night` runs this; `make bench` does not. SOAK_SECONDS says how long (3,600). The server has one processor, the clients
 * the other, as in load.c: first it is asked how many single posts it answers, then it gets half of that, in an
 * open loop, in SLICES slices. The first tenth warms up. Then its memory and the hundredth of its answers
 * are compared: the middle of the first quarter of what is left with that of the last. On the disk an event takes some
 * 300 bytes until its segment is sealed: 20 GB for an hour at 20,000 a second.
 *
 *     soak_per_second        posts a second; soak_events: all of them
 *     soak_p99_first, _last  ms until an answer, from when its post was due; soak_p99: the second over the first
 *     soak_memory_first, _last  MB of the whole process, its clients included
 *     soak_bytes_per_event   by how much that grows for each event. 8 bytes of each are kept for a day, in tables that are half full
 *                            at the least: an id, by which a repeat is known; anything else should not grow
 *     soak_memory            the last over the first, without 16 bytes for each event between
 *
 * It fails if an answer is anything but 200. With LOUD=1 each slice is told on standard error.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include "os/process.h"
#include "posts.h"
#include "served.h"

#define SERVER_CORE    0
#define CLIENT_CORE    1
#define CLIENTS        256
#define SLICES         60
#define ID_BYTES       16
#define RATE_SHARE     20 /* of the time: to find the rate */
#define WARM           (SLICES / 10)
#define QUARTER        ((SLICES - WARM) / 4)
#define SECONDS_MIN    10
#define FIND_SECONDS   10
#define RATE_POSTS_MIN 2000
#define PEOPLE         100000 /* of posts.h */

struct slice {
    double p99_ms, megabytes;
};

static int ascending(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void run(struct posts *posts)
{
    struct fault f = {0};
    posts->core = CLIENT_CORE;
    served_need(os_thread_start(&posts->thread, "client", posts_run, posts, &f), &f);
    os_thread_join(&posts->thread);
}

/* Everybody whom posts.h knows is there before anything is measured. */
static void make_known(const struct served *served, uint64_t *next)
{
    struct posts posts = {.port = served->port,
                          .batch = 1,
                          .count = CLIENTS,
                          .left = PEOPLE,
                          .next = *next,
                          .answered = "HTTP/1.1 200"};
    run(&posts);
    *next = posts.next;
}

/* Posts a second that it answers, as fast as it can. */
static double find_rate(const struct served *served, double seconds, uint64_t *next)
{
    uint64_t answered = 0;
    int64_t began_ns = os_clock_monotonic_ns();
    while ((double)(os_clock_monotonic_ns() - began_ns) < seconds * 1e9) {
        struct posts posts = {.port = served->port,
                              .batch = 1,
                              .count = CLIENTS,
                              .left = RATE_POSTS_MIN,
                              .next = *next,
                              .answered = "HTTP/1.1 200"};
        run(&posts);
        *next = posts.next;
        answered += RATE_POSTS_MIN;
    }
    return (double)answered * 1e9 / (double)(os_clock_monotonic_ns() - began_ns);
}

static void lead(const struct served *served, double per_second, double seconds, uint64_t *next,
                 struct slice *slice)
{
    uint64_t count = max_of((uint64_t)(per_second * seconds), UINT64_C(100));
    int64_t *times_ns = mem_new(count * sizeof(*times_ns));
    struct posts posts = {.port = served->port,
                          .batch = 1,
                          .count = CLIENTS,
                          .left = count,
                          .next = *next,
                          .answered = "HTTP/1.1 200",
                          .interval_ns = (int64_t)(1e9 / per_second),
                          .times_ns = times_ns};
    run(&posts);
    *next = posts.next;
    qsort(times_ns, count, sizeof(*times_ns), ascending);
    slice->p99_ms = (double)times_ns[count * 99 / 100] * 1e-6;
    mem_free(times_ns);
    slice->megabytes = (double)os_process_resident_bytes() / 1e6;
}

/* The middle of a quarter of the slices. */
static double middle(const struct slice *slices, uint32_t first, bool is_memory)
{
    double list[QUARTER];
    for (uint32_t i = 0; i < QUARTER; i++)
        list[i] = is_memory ? slices[first + i].megabytes : slices[first + i].p99_ms;
    qsort(list, QUARTER, sizeof(list[0]), by_value);
    return list[QUARTER / 2];
}

int main(void)
{
    struct served served;
    struct slice slices[SLICES] = {0};
    const char *given = getenv("SOAK_SECONDS");
    double seconds = max_of(given ? strtod(given, NULL) : 3600.0, (double)SECONDS_MIN);
    uint64_t next = 0;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        fprintf(stderr, "bench: soak wants two processors\n");
        return 0;
    }
    posts_stay_on(SERVER_CORE);
    served_start(&served, "bench-soak");
    make_known(&served, &next);
    double rate = find_rate(&served, min_of((double)FIND_SECONDS, seconds / RATE_SHARE), &next) / 2;
    for (uint32_t i = 0; i < SLICES; i++) {
        lead(&served, rate, seconds / SLICES, &next, &slices[i]);
        if (getenv("LOUD") != NULL)
            fprintf(stderr, "soak: slice %u: p99 %.2f ms, %.1f MB\n", i, slices[i].p99_ms,
                    slices[i].megabytes);
    }
    uint32_t last = SLICES - QUARTER;
    double p99 = middle(slices, WARM, false), p99_last = middle(slices, last, false);
    double memory = middle(slices, WARM, true), memory_last = middle(slices, last, true);
    double between = rate * seconds / SLICES * (last - WARM);
    bench_print("soak_per_second", rate, "per_second");
    bench_print("soak_events", (double)next - PEOPLE, "events");
    bench_print("soak_p99_first", p99, "ms");
    bench_print("soak_p99_last", p99_last, "ms");
    bench_print("soak_p99", p99_last / p99, "ratio");
    bench_print("soak_memory_first", memory, "MB");
    bench_print("soak_memory_last", memory_last, "MB");
    bench_print("soak_bytes_per_event", (memory_last - memory) * 1e6 / between, "bytes");
    bench_print("soak_memory", (memory_last - between * ID_BYTES * 1e-6) / memory, "ratio");
    served_stop(&served);
    return 0;
}
