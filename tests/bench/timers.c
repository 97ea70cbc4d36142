/* timers.c - deadlines of 10,000,000 people, who hold one each, in as many heaps as there are partitions.
 *
 *     timers_per_s      deadlines that come due, in order, each of whose people waits for another one then, up to 30
 *                       days later; per second of the thread's own time
 *     timers_move_per_s deadlines of anybody that are put elsewhere, as an event resets a wait
 *     timer_bytes       for each person
 *
 * BENCH_SCALE makes it more or fewer people.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include "base/hash.h"
#include "base/mem.h"
#include "os/clock.h"
#include "profile/identity.h"
#include "when/timers.h"

#define START_MS INT64_C(1772409600000)
#define SPAN_MS  (30 * DAY_MS)

static int64_t moment(uint64_t i, uint64_t seed)
{
    return (int64_t)(hash_pair(i, seed) % (uint64_t)SPAN_MS);
}

int main(void)
{
    struct timers *heaps = mem_new(PARTITIONS * sizeof(heaps[0]));
    uint64_t people = bench_count(10000000), fired = 0, bytes = 0;
    uint32_t nodes = (uint32_t)(people / PARTITIONS) + 1;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        timers_init(&heaps[p]);
        for (uint32_t node = 1; node <= nodes; node++)
            timers_set(&heaps[p], node, START_MS + moment(node, p));
        bytes += heaps[p].heap_room * sizeof(struct timer) + heaps[p].node_room * sizeof(uint32_t);
    }
    bench_print("timer_bytes", (double)bytes / (double)people, "bytes");

    int64_t from_ns = os_clock_thread_ns();
    for (uint64_t i = 0; i < people / 4; i++)
        timers_set(&heaps[i % PARTITIONS], 1 + (uint32_t)(hash_pair(i, 1) % nodes),
                   START_MS + moment(i, 2));
    bench_rate("timers_move_per_s", people / 4, os_clock_thread_ns() - from_ns);

    from_ns = os_clock_thread_ns();
    for (int64_t now_ms = START_MS; fired < people / 2; now_ms += MINUTE_MS) {
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            struct timer due;
            while (timers_pop(&heaps[p], now_ms, &due)) {
                timers_set(&heaps[p], due.node, now_ms + 1 + moment(due.node, fired));
                fired++;
            }
        }
    }
    bench_rate("timers_per_s", fired, os_clock_thread_ns() - from_ns);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        timers_check(&heaps[p]);
        timers_fini(&heaps[p]);
    }
    mem_free(heaps);
    return 0;
}
