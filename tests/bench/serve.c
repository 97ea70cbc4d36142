/* serve.c - the whole server over real sockets, its clients beside it in this process.
 *
 *     serve_single_durable      SINGLE_CLIENTS keep-alive connections, one event a request
 *     serve_batch_durable       BATCH_CLIENTS connections, 100 events a request
 *     serve_..._cpu             what a request costs, in microseconds of all threads together: server,
 *                               clients and the kernel for both
 *     serve_..._cpu_client      the clients' part of it
 *
 * All connections are one thread's, which takes its share of the same cores. 100,000 people; the events
 * start no journey. How long a mail takes is in event_to_smtp.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <time.h>

#include "posts.h"
#include "served.h"

#define SINGLE_CLIENTS 256
#define BATCH_CLIENTS  32
#define BATCH_EVENTS   100

static int64_t process_ns(void)
{
    struct timespec t;
    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void measure_rate(uint16_t port, const char *name, uint32_t batch, uint32_t connections,
                         uint64_t requests)
{
    char text[64];
    struct fault f = {0};
    struct posts posts = {.port = port,
                          .batch = batch,
                          .count = connections,
                          .left = requests,
                          .next = (uint64_t)batch << 40,
                          .answered = "HTTP/1.1 200",
                          .core = -1};
    int64_t began_ns = os_clock_monotonic_ns(), began_cpu_ns = process_ns();
    served_need(os_thread_start(&posts.thread, "client", posts_run, &posts, &f), &f);
    os_thread_join(&posts.thread);
    int64_t wall_ns = os_clock_monotonic_ns() - began_ns, cpu_ns = process_ns() - began_cpu_ns;
    snprintf(text, sizeof(text), "%s_durable", name);
    bench_rate(text, requests * batch, wall_ns);
    snprintf(text, sizeof(text), "%s_cpu", name);
    bench_print(text, (double)cpu_ns / 1e3 / (double)requests, "us");
    snprintf(text, sizeof(text), "%s_cpu_client", name);
    bench_print(text, (double)posts.spent_ns / 1e3 / (double)requests, "us");
}

int main(void)
{
    struct served served;
    served_start(&served, "bench-serve");
    measure_rate(served.port, "serve_single", 1, SINGLE_CLIENTS, bench_count(100000));
    measure_rate(served.port, "serve_batch", BATCH_EVENTS, BATCH_CLIENTS, bench_count(6400));
    served_stop(&served);
    return 0;
}
