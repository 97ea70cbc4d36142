/* server.c - starting, watching over time limits, stopping. Requests live in loop.c.
 *
 * The life of a request:
 *
 *     a client connects    one of a few threads, each with its own epoll (struct http_loop), accepts it; the
 *                          connection stays in that epoll until it is closed
 *     bytes come           one recv() for all of them; head.c reads the head, or the chunks, where they
 *                          are; a head that is whole is copied into a struct http_request and checked
 *     the body is in       it is unzipped, and the handler is called, on the loop's thread
 *     the handler answers  at once: the loop sends the answer when the handler returns; or it keeps the
 *                          request: the connection is parked, and its loop serves the others
 *     http_answer()        on any thread: writes the answer's bytes, puts the request on its loop's list,
 *                          and wakes the loop if it sleeps: all answers of one commit cost one wake
 *     the loop             sends each with one sendmsg(), and reads on: what the client has sent behind it
 *                          is already there, or the kernel will say when it comes
 *
 * So a request that is answered later costs two calls to the system, recv() and sendmsg(), and its share
 * of the one epoll_wait() and the one wake that many have together. Nothing locks: what passes between
 * threads is a request's state (who has it), its loop's list of answered ones, and whether the loop sleeps.
 *
 * Time limits are absolute, because a client that sends a byte now and then is never silent. Each
 * connection has one deadline; four times a second one thread looks at all of them, and those that have
 * passed are shut down, which their loop then notices as an end of the connection. Setting one takes no
 * lock.
 *
 * A limit measures the client, so time in which we were the slow side does not count. There is none
 * while the handler has the request. Where bytes of the client lie unread, its loop is behind (held
 * up by another connection's handler, or without a processor): the connection is given more time, if
 * not without end. And where the watcher itself comes late, the whole process stood still, or the
 * machine did: all deadlines move by as much.
 *
 * Stopping: whoever comes is hung up on, and what is asked is refused; requests in flight have the grace
 * to be answered. Then each loop takes those that are still parked away from whoever should have answered
 * (their state becomes FORCED) and refuses them. A loop ends when nothing is parked any more: then
 * every answer has either reached it or found that it is not wanted.
 *
 * Locks: loop->lock guards the list of a loop's connections, which only its thread changes; server->lock
 * the counting of clients and the waiting while the server stops. Neither is taken for a request.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/loop_int.h"
#include "os/clock.h"

#define WATCH_EVERY_MS       250
#define STANDSTILL_MS        500  /* the watcher came this late: nobody can have been served */
#define MORE_TIME_MS         1000 /* for a connection whose loop is behind ... */
#define MORE_TIME_MAX        60   /* ... this often in a row */
#define BACKLOG              1024
#define DESCRIPTORS_FOR_REST 128 /* of the process's limit, not used for connections */

struct http_limits http_limits_default(void)
{
    return (struct http_limits){
        .header_bytes_max = 16 * 1024,
        .target_bytes_max = 8 * 1024,
        .body_bytes_max = 500 * 1024,
        .unzip_ratio_max = 10,
        .unzip_free_bytes = 128 * 1024,
        .header_ms = 10000,
        .body_ms = 10000,
        .body_bytes_per_s = 1024,
        .idle_ms = 30000,
        .connections_max = 16384,
        .connections_per_ip_max = 0,
        .requests_per_connection_max = 1000,
    };
}

int64_t http_limit_now_ns(const struct http_server *s)
{
    const struct http_clock *clock = &s->options.clock;
    return clock->now_ns != NULL ? clock->now_ns(clock->context) : os_clock_monotonic_ns();
}

void http_server_release(struct http_server *s)
{
    if (atomic_fetch_sub(&s->owners, 1) != 1)
        return;
    os_cond_fini(&s->ended);
    os_cond_fini(&s->ending);
    os_mutex_fini(&s->lock);
    mem_free(s);
}

/* --- Deadlines ----------------------------------------------------------------------------------- */

/* Whether bytes of the client wait for us to read them. While an answer leaves, nobody reads, and
 * the client is the slow side all the same. */
static bool is_behind(const struct connection *c)
{
    int unread = 0;
    return atomic_load_explicit(&c->wait, memory_order_relaxed) != HTTP_WAIT_READER &&
           ioctl(c->fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* Moves a deadline, unless the connection has set another one meanwhile. */
static bool move_deadline(struct connection *c, int64_t from_ns, int64_t to_ns)
{
    int_fast64_t expected = from_ns;
    return atomic_compare_exchange_strong(&c->deadline_ns, &expected, to_ns);
}

/* Under the loop's lock; late_ns is how much later than it should this comes. */
static void watch_connection(struct connection *c, int64_t now_ns, int64_t late_ns)
{
    struct http_server *s = c->loop->server;
    int64_t deadline_ns = atomic_load_explicit(&c->deadline_ns, memory_order_relaxed);
    if (deadline_ns == 0 || c->fd < 0)
        return;
    if (late_ns != 0) {
        move_deadline(c, deadline_ns, deadline_ns + late_ns);
        return;
    }
    if (deadline_ns > now_ns)
        return;
    if (deadline_ns != c->given_ns)
        c->given_count = 0;
    if (c->given_count < MORE_TIME_MAX && is_behind(c)) {
        c->given_ns = now_ns + MORE_TIME_MS * INT64_C(1000000);
        c->given_count++;
        if (move_deadline(c, deadline_ns, c->given_ns))
            http_count(&s->behind_count);
        return;
    }
    int wait = atomic_load_explicit(&c->wait, memory_order_relaxed);
    if (!move_deadline(c, deadline_ns, 0))
        return;
    if (wait != HTTP_WAIT_END) /* that one has its answer */
        http_count(&s->timeout_count[wait]);
    shutdown(c->fd, SHUT_RDWR);
}

static void watch_loop(struct http_loop *loop, int64_t now_ns, int64_t late_ns)
{
    os_mutex_lock(&loop->lock);
    for (struct connection *c = loop->connections; c != NULL; c = c->next)
        watch_connection(c, now_ns, late_ns);
    os_mutex_unlock(&loop->lock);
}

static void count_standstill(struct http_server *s, int64_t late_ns)
{
    http_count(&s->standstill_count);
    atomic_fetch_add_explicit(&s->stood_still_ns, late_ns, memory_order_relaxed);
}

static void watch(void *context)
{
    struct http_server *s = context;
    os_mutex_lock(&s->lock);
    while (!s->is_ending) {
        os_cond_wait_for(&s->ending, &s->lock, WATCH_EVERY_MS);
        int64_t now_ns = http_limit_now_ns(s);
        int64_t late_ns = now_ns - s->watched_ns - WATCH_EVERY_MS * INT64_C(1000000);
        s->watched_ns = now_ns;
        if (late_ns < STANDSTILL_MS * INT64_C(1000000))
            late_ns = 0;
        else
            count_standstill(s, late_ns);
        for (uint32_t i = 0; i < s->options.threads; i++)
            watch_loop(&s->loops[i], now_ns, late_ns);
    }
    os_mutex_unlock(&s->lock);
}

/* --- Start and stop ------------------------------------------------------------------------------ */

static enum status address_parse(struct str text, uint16_t port, union address *out,
                                 socklen_t *bytes, struct fault *f)
{
    char z[INET6_ADDRSTRLEN];
    memset(out, 0, sizeof(*out));
    if (str_to_z(text, z, sizeof(z)) && inet_pton(AF_INET, z, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        *bytes = sizeof(out->v4);
        return OK;
    }
    if (str_to_z(text, z, sizeof(z)) && inet_pton(AF_INET6, z, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        *bytes = sizeof(out->v6);
        return OK;
    }
    fault_set(f, "\"%.*s\" is not an address to listen on; write one like 127.0.0.1 or ::",
              STR_ARG(text));
    return GIVE_UP;
}

/* Connections need descriptors; what the process may have bounds them. */
static uint32_t connections_within_limits(uint32_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    uint64_t most = limit.rlim_cur > DESCRIPTORS_FOR_REST * 2
                        ? limit.rlim_cur - DESCRIPTORS_FOR_REST
                        : limit.rlim_cur / 2;
    return (uint32_t)min_of((uint64_t)wanted, most);
}

/* Options that accepted sockets inherit: answers are sent whole, so nothing is gained by waiting for
 * more; no byte is taken out of the stream, urgent or not (RFC 6093). A port is not shared with another server, which would get some of its clients. */
static bool set_options(int fd, const union address *address)
{
    int on = 1;
    int only_v6 = !IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
           setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0 &&
           (address->any.sa_family != AF_INET6 ||
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6)) == 0);
}

static enum status listen_at(struct http_server *s, const struct http_server_options *options,
                             const union address *address, socklen_t bytes, struct fault *f)
{
    union address bound = *address;
    s->listener = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->listener < 0 || !set_options(s->listener, address) ||
        bind(s->listener, &address->any, bytes) != 0 || listen(s->listener, BACKLOG) != 0 ||
        getsockname(s->listener, &bound.any, &bytes) != 0) {
        fault_set(f, "cannot listen on %.*s port %u: %s", STR_ARG(options->address), options->port,
                  strerror(errno));
        return GIVE_UP;
    }
    /* in both families the port stands at one place */
    s->port = ntohs(address->any.sa_family == AF_INET ? bound.v4.sin_port : bound.v6.sin6_port);
    return OK;
}

/* Ends the loops that were started, and what they hold. */
static void end_loops(struct http_server *s)
{
    atomic_store(&s->is_forced,
                 true); /* who could answer may not even run, if this is a failed start */
    atomic_store(&s->is_over, true);
    for (uint32_t i = 0; i < s->options.threads; i++)
        if (s->loops[i].has_thread)
            http_loop_call(&s->loops[i]);
    for (uint32_t i = 0; i < s->options.threads; i++) {
        struct http_loop *loop = &s->loops[i];
        if (loop->has_thread)
            os_thread_join(&loop->thread);
        while (atomic_load(&loop->answering) != 0)
            os_clock_sleep_ms(1); /* an answer is at its last instructions */
    }
    /* one may have handed a connection to another to its end */
    for (uint32_t i = 0; i < s->options.threads; i++)
        http_loop_fini(&s->loops[i]);
    if (s->listener >= 0)
        close(s->listener);
    http_server_release(s);
}

enum status http_server_start(const struct http_server_options *options, struct http_server **out,
                              struct fault *f)
{
    must(options->threads >= 1);
    must(options->threads <= HTTP_THREADS_MAX);
    must(options->handler != NULL);
    must(options->limits.connections_max >= 1);

    union address address;
    socklen_t bytes = 0;
    enum status status = address_parse(options->address, options->port, &address, &bytes, f);
    if (status != OK)
        return status;

    struct http_server *s = mem_new_aligned(HTTP_CACHE_LINE, sizeof(*s));
    s->options = *options;
    s->options.address = STR(""); /* borrowed, and not needed any more */
    s->connections_max = connections_within_limits(options->limits.connections_max);
    atomic_init(&s->owners, 1);
    os_mutex_init(&s->lock);
    os_cond_init(&s->ended);
    os_cond_init(&s->ending);
    for (uint32_t i = 0; i < options->threads; i++)
        http_loop_init(&s->loops[i], s);

    status = listen_at(s, options, &address, bytes, f);
    for (uint32_t i = 0; i < options->threads && status == OK; i++)
        status = http_loop_start(&s->loops[i], f);
    s->watched_ns = http_limit_now_ns(s);
    if (status == OK)
        status = os_thread_start(&s->watcher, "http-watch", watch, s, f);
    if (status != OK) {
        end_loops(s);
        return status;
    }
    *out = s;
    return OK;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

static uint32_t in_flight(struct http_server *s)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < s->options.threads; i++)
        sum += atomic_load(&s->loops[i].in_flight);
    return sum;
}

/* Waits, under the lock, until nothing is in flight or the time has passed. */
static void wait_for_flight(struct http_server *s, int64_t grace_ms)
{
    int64_t until_ns = os_clock_monotonic_ns() + grace_ms * 1000000;
    while (in_flight(s) != 0) {
        int64_t left_ms = (until_ns - os_clock_monotonic_ns()) / 1000000;
        if (left_ms <= 0)
            return;
        os_cond_wait_for(&s->ended, &s->lock, left_ms);
    }
}

void http_server_stop(struct http_server *s, uint32_t grace_ms)
{
    if (s == NULL)
        return;
    atomic_store(&s->is_stopping, true);
    os_mutex_lock(&s->lock);
    wait_for_flight(s, grace_ms);
    atomic_store(&s->is_forced, true);
    for (uint32_t i = 0; i < s->options.threads; i++)
        http_loop_call(&s->loops[i]);
    wait_for_flight(s, min_of(grace_ms, 1000u)); /* for those answers to leave */
    s->is_ending = true;
    os_cond_wake_all(&s->ending);
    os_mutex_unlock(&s->lock);

    os_thread_join(&s->watcher);
    end_loops(s);
}

struct http_counters http_server_counters(struct http_server *s)
{
    struct http_counters counters = {
        .behind = atomic_load(&s->behind_count),
        .standstills = atomic_load(&s->standstill_count),
        .in_flight = in_flight(s),
        .open = atomic_load(&s->open),
    };
    for (uint32_t i = 0; i < s->options.threads; i++) {
        struct http_loop *loop = &s->loops[i];
        counters.connections += atomic_load(&loop->connection_count);
        counters.requests += atomic_load(&loop->request_count);
        counters.refused += atomic_load(&loop->refused_count);
        counters.broken += atomic_load(&loop->broken_count);
        counters.accept_failures += atomic_load(&loop->accept_failures);
    }
    for (size_t i = 0; i < HTTP_WAIT_END; i++)
        counters.timeouts[i] = atomic_load(&s->timeout_count[i]);
    return counters;
}
