/* timers.c - deadlines of 10,000,000 people, who hold one each.
 *
 * What is counted as one timer: it is found to be due; the line of memory of its person that holds their deadline is read,
 * and the next one written there; and the person is due again then. No journey goes on and nothing is decided: what that
 * costs is the engine's and no part of these figures.
 *
 *     timers_per_s        deadlines over 30 days, and a tick for each minute: some 230 people at a time, each of whom waits
 *                         for another moment of the 30 days to come
 *     timers_crowd_per_s  everybody is due within one minute, as a day after a campaign, and then a day later
 *     timers_bare_per_s   as timers_per_s, without people: found and set anew
 *     timers_move_per_s   deadlines of anybody that are put elsewhere, earlier or later, as an event resets a wait
 *     timers_set_per_s    the first deadline of each, one partition after the other, as a restart sets them
 *     timer_bytes         for each person, when they are set; timer_bytes_peak: at the end
 *
 * Rates are by the thread's own time. BENCH_SCALE makes it more or fewer people.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/state.h"
#include "os/clock.h"
#include "profile/identity.h"
#include "when/timers.h"

#define START_MS INT64_C(1772409600000)
#define SPAN_MS  (30 * DAY_MS)
#define TAKE     4096
#define AHEAD    16

/* As much of somebody as is looked at. */
struct holder {
    int64_t due_ms;
    uint64_t seed;
    uint8_t more[48];
};
_Static_assert(sizeof(struct holder) == 64, "a cache line");

struct waiting {
    struct timers *timers;
    struct holder *holders; /* NULL: they are not looked at */
    uint32_t locals;        /* people of each partition are 1 to this */
};

static int64_t moment(uint64_t i, uint64_t seed)
{
    return (int64_t)(hash_pair(i, seed) % (uint64_t)SPAN_MS);
}

static struct holder *holder_of(const struct waiting *w, uint32_t node)
{
    return &w->holders[(uint64_t)(node % PARTITIONS) * w->locals + node / PARTITIONS - 1];
}

static void fetch(const struct waiting *w, uint32_t node)
{
    timers_fetch_place(w->timers, node);
    if (w->holders != NULL)
        prefetch(holder_of(w, node));
}

/* Everybody who is due at `now_ms`, and their next moment: `later_ms` later, or (0) any moment of the span. */
static uint64_t wake(struct waiting *w, int64_t now_ms, int64_t later_ms)
{
    uint32_t nodes[TAKE], count;
    uint64_t woken = 0;
    while ((count = timers_take(w->timers, now_ms, nodes, TAKE)) > 0) {
        for (uint32_t i = 0; i < min_of(AHEAD, count); i++)
            fetch(w, nodes[i]);
        for (uint32_t i = 0; i < count; i++) {
            if (i + AHEAD < count)
                fetch(w, nodes[i + AHEAD]);
            int64_t due_ms = now_ms + 1 + moment(nodes[i], woken + i);
            if (w->holders != NULL) {
                struct holder *holder = holder_of(w, nodes[i]);
                must(holder->due_ms <= now_ms);
                holder->due_ms = later_ms ? holder->due_ms + later_ms : due_ms;
                due_ms = holder->due_ms;
            }
            timers_set(w->timers, nodes[i], due_ms);
        }
        woken += count;
    }
    return woken;
}

static void set(struct waiting *w, uint32_t partition, uint32_t local, int64_t due_ms)
{
    uint32_t node = (uint32_t)profile_number(partition, local);
    if (w->holders != NULL)
        holder_of(w, node)->due_ms = due_ms;
    timers_set(w->timers, node, due_ms);
}

static void wake_for_minutes(struct waiting *w, const char *name, uint64_t people, int64_t *now_ms)
{
    uint64_t woken = 0;
    int64_t from_ns = os_clock_thread_ns();
    for (; woken < people / 2; *now_ms += MINUTE_MS) {
        woken += wake(w, *now_ms, 0);
        must(timers_next(w->timers) > *now_ms);
    }
    bench_rate(name, woken, os_clock_thread_ns() - from_ns);
}

int main(void)
{
    uint64_t people = bench_count(10000000);
    struct waiting w = {.timers = timers_new(), .locals = (uint32_t)(people / PARTITIONS) + 1};
    size_t bytes =
        ((uint64_t)PARTITIONS * w.locals * sizeof(struct holder) / MEM_REGION_BYTES + 1) *
        MEM_REGION_BYTES;
    struct holder *holders = mem_new_region(bytes); /* some 640 MB, as the engine's people are */
    int64_t now_ms = START_MS;

    memset(holders, 0, bytes);
    int64_t from_ns = os_clock_thread_ns();
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (uint32_t local = 1; local <= w.locals; local++)
            set(&w, p, local, START_MS + moment(local, p));
    bench_keep((uint64_t)timers_next(w.timers));
    bench_rate("timers_set_per_s", people, os_clock_thread_ns() - from_ns);
    bench_print("timer_bytes", (double)timers_bytes(w.timers) / (double)people, "bytes");

    from_ns = os_clock_thread_ns();
    for (uint64_t i = 0; i < people / 4; i++)
        set(&w, i % PARTITIONS, 1 + (uint32_t)(hash_pair(i, 1) % w.locals),
            START_MS + moment(i, 2));
    bench_rate("timers_move_per_s", people / 4, os_clock_thread_ns() - from_ns);
    wake_for_minutes(&w, "timers_bare_per_s", people, &now_ms);

    w.holders = holders;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (uint32_t local = 1; local <= w.locals; local++)
            set(&w, p, local, now_ms + moment(local, p));
    wake_for_minutes(&w, "timers_per_s", people, &now_ms);

    /* In the order in which they came by: of the time, not of partitions. */
    for (uint32_t local = 1; local <= w.locals; local++)
        for (uint32_t p = 0; p < PARTITIONS; p++)
            set(&w, p, local, now_ms + DAY_MS + moment(local, p) % MINUTE_MS);
    from_ns = os_clock_thread_ns();
    uint64_t woken = 0;
    for (int64_t at_ms = timers_next(w.timers); woken < (uint64_t)PARTITIONS * w.locals;) {
        woken += wake(&w, at_ms, DAY_MS);
        at_ms = max_of(timers_next(w.timers), at_ms + 5);
    }
    bench_rate("timers_crowd_per_s", woken, os_clock_thread_ns() - from_ns);
    bench_print("timer_bytes_peak", (double)timers_bytes(w.timers) / (double)people, "bytes");
    timers_check(w.timers);
    timers_free(w.timers);
    mem_free_region(holders, bytes);
    return 0;
}
