/* load.c - the server on one processor, its clients on another: what one processor takes in over HTTP,
 * and how long an answer takes at half of that.
 *
 *     single_per_core       single posts a second, each answered once it is durable, 256 connections;
 *                           all of the server (HTTP, parsing, log, engine) has one processor
 *     nginx_204_per_core    the same posts by the same clients to nginx with one worker on that
 *                           processor, which answers 204 and does nothing else: what HTTP alone costs.
 *                           Left out where there is no nginx
 *     single_of_nginx       the first over the second
 *     batch_per_core        events a second in batches of 100, 32 connections
 *     load_p50, _p99, _max  milliseconds until the answer to a single post, at half of single_per_core,
 *                           in an open loop (posts.h), counted from when it was due
 *     load_disk_p99         what the disk alone takes for 4 KB and fdatasync, probed between the
 *                           slices of the same run: no durable answer can be faster
 *
 * With one processor there is no such division: then it prints nothing and says so.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <sys/wait.h>

#include "posts.h"
#include "served.h"

#define SERVER_CORE    0
#define CLIENT_CORE    1
#define SINGLE_CLIENTS 256
#define BATCH_CLIENTS  32
#define BATCH_EVENTS   100
#define SLICES         10
#define PROBES         40 /* of the disk, after each slice */

static int ascending(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double ms_at(const int64_t *times_ns, uint64_t count, double part)
{
    return (double)times_ns[min_of((uint64_t)((double)count * part), count - 1)] * 1e-6;
}

/* Runs the client to its end; the wall time in nanoseconds. */
static int64_t run(struct posts *posts)
{
    struct fault f = {0};
    int64_t began_ns = os_clock_monotonic_ns();
    posts->core = CLIENT_CORE;
    served_need(os_thread_start(&posts->thread, "client", posts_run, posts, &f), &f);
    os_thread_join(&posts->thread);
    return os_clock_monotonic_ns() - began_ns;
}

static double rate(uint16_t port, uint32_t batch, uint32_t connections, uint64_t requests,
                   const char *answered, uint64_t series)
{
    struct posts posts = {.port = port,
                          .batch = batch,
                          .count = connections,
                          .left = requests,
                          .next = series << 40,
                          .answered = answered};
    return (double)(requests * batch) * 1e9 / (double)run(&posts);
}

static void latency(const struct served *served, double per_second)
{
    uint64_t a_slice = bench_count((uint64_t)per_second / 2); /* half a second or so each */
    int64_t *times_ns = mem_new(SLICES * a_slice * sizeof(*times_ns));
    int64_t disk_ns[SLICES * PROBES];
    for (uint64_t i = 0; i < SLICES; i++) {
        struct posts posts = {.port = served->port,
                              .batch = 1,
                              .count = SINGLE_CLIENTS,
                              .left = a_slice,
                              .next = (UINT64_C(100) + i) << 40,
                              .answered = "HTTP/1.1 200",
                              .interval_ns = (int64_t)(1e9 / per_second),
                              .times_ns = times_ns + i * a_slice};
        (void)run(&posts);
        served_probe_disk(served->data, disk_ns + i * PROBES, PROBES);
    }
    qsort(times_ns, SLICES * a_slice, sizeof(*times_ns), ascending);
    qsort(disk_ns, array_count(disk_ns), sizeof(*disk_ns), ascending);
    bench_print("load_per_second", per_second, "per_second");
    bench_print("load_p50", ms_at(times_ns, SLICES * a_slice, 0.5), "ms");
    bench_print("load_p99", ms_at(times_ns, SLICES * a_slice, 0.99), "ms");
    bench_print("load_max", ms_at(times_ns, SLICES * a_slice, 1), "ms");
    bench_print("load_disk_p99", ms_at(disk_ns, array_count(disk_ns), 0.99), "ms");
    mem_free(times_ns);
}

/* ---- nginx -------------------------------------------------------------------------------------- */

/* Its configuration; its processes stay on the caller's processor. */
static void write_conf(const char *folder, uint16_t port)
{
    char path[OS_PATH_BYTES];
    must(os_path_join(path, sizeof(path), folder, "nginx.conf"));
    FILE *out = fopen(path, "w");
    must(out != NULL);
    fprintf(out,
            "worker_processes 1;\ndaemon off;\npid %s/pid;\nerror_log stderr crit;\n"
            "events { worker_connections 1024; }\n"
            "http {\n access_log off; keepalive_requests 100000;\n"
            " client_body_temp_path %s/body; proxy_temp_path %s/p; fastcgi_temp_path %s/f;\n"
            " uwsgi_temp_path %s/u; scgi_temp_path %s/s;\n"
            " server { listen 127.0.0.1:%u; location / { return 204; } }\n}\n",
            folder, folder, folder, folder, folder, folder, port);
    fclose(out);
}

static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(fd, (struct sockaddr *)&at, bytes) == 0);
    must(getsockname(fd, (struct sockaddr *)&at, &bytes) == 0);
    close(fd);
    return ntohs(at.sin_port);
}

static bool is_listening(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
    close(fd);
    return is;
}

/* Posts a second that nginx answers; 0 where there is none. */
static double nginx_rate(uint64_t requests)
{
    const char *dir = getenv("BENCH_DIR");
    char folder[OS_PATH_BYTES], conf[OS_PATH_BYTES], absolute[OS_PATH_BYTES];
    struct fault f = {0};
    double found = 0;
    int status = 0;
    uint16_t port = free_port();
    if (access("/usr/sbin/nginx", X_OK) != 0)
        return 0;
    must(os_path_join(folder, sizeof(folder), dir ? dir : "build", "bench-nginx"));
    served_need(os_remove_tree(os_disk_real(), folder, &f), &f);
    served_need(os_make_dirs(os_disk_real(), folder, &f), &f);
    must(realpath(folder, absolute) != NULL);
    write_conf(absolute, port);
    must(os_path_join(conf, sizeof(conf), absolute, "nginx.conf"));
    pid_t child = fork();
    if (child == 0) {
        execl("/usr/sbin/nginx", "nginx", "-p", absolute, "-c", conf, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 300 && !is_listening(port) && waitpid(child, &status, WNOHANG) == 0; i++)
        os_clock_sleep_ms(10);
    if (is_listening(port))
        found = rate(port, 1, SINGLE_CLIENTS, requests, "HTTP/1.1 204", 3);
    kill(child, SIGTERM);
    waitpid(child, &status, 0);
    served_need(os_remove_tree(os_disk_real(), folder, &f), &f);
    return found;
}

int main(void)
{
    struct served served;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        fprintf(stderr, "bench: load wants two processors\n");
        return 0;
    }
    posts_stay_on(SERVER_CORE);
    double nginx = nginx_rate(bench_count(200000));
    served_start(&served, "bench-load");
    double single = rate(served.port, 1, SINGLE_CLIENTS, bench_count(100000), "HTTP/1.1 200", 1);
    double batch =
        rate(served.port, BATCH_EVENTS, BATCH_CLIENTS, bench_count(6400), "HTTP/1.1 200", 2);
    bench_print("single_per_core", single, "per_second");
    if (nginx > 0) {
        bench_print("nginx_204_per_core", nginx, "per_second");
        bench_print("single_of_nginx", single / nginx, "ratio");
    }
    bench_print("batch_per_core", batch, "per_second");
    latency(&served, single / 2);
    served_stop(&served);
    return 0;
}
