/* loop.c - one thread's connections: accepted, read, answered, closed. See server.c for the whole.
 *
 * A connection is put into its loop's epoll once, edge-triggered for both directions, and taken out by
 * closing it. So the kernel says once that something has come; `may_read` remembers it until a read
 * has found less than it had room for. A read goes to the loop's one scratch buffer: what of it makes
 * whole requests is copied into them, and only what is left over (the beginning of a head, or
 * requests that must wait for the one before) costs the connection memory of its own.
 *
 *     READING ──whole request──► handler ──keeps it──► PARKED
 *        ^                          │                     │ http_answer(), any thread
 *        │                          └──answers──┐         v
 *        │                                      └─────► WRITING ──last answer──► LEAVING ──► closed
 *        └──────────────────all of it is sent──────────────┘
 *
 * One request at a time is in the hands of the handler; those that the client has sent behind it wait,
 * in `in` or in the socket, so answers leave in their order. A connection that has more to do than its
 * turn allows comes again after all others.
 *
 * LEAVING: closing a socket with unread bytes resets the connection, and then the client may never see
 * an answer that says why. So what still comes is read and dropped, for a while.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "http/loop_int.h"
#include "os/clock.h"

#define EVENTS_AT_ONCE  256
#define ACCEPTS_AT_ONCE 32
#define STEPS_IN_A_TURN 32  /* of a connection, before the others have their turn */
#define ACCEPT_PAUSE_MS 100 /* after the system could not give a descriptor */
#define UNEVEN_MAX      16  /* connections that a loop may have more than another */
#define LEAVING_MS      2000
#define DRAIN_FACTOR    8    /* a body too large is read on to this many times the limit */
#define ROOM_FOR_MORE   4096 /* for the rest of a head */
#define MS_IN_NS        INT64_C(1000000)

static const struct http_limits *limits_of(const struct http_loop *loop)
{
    return &loop->server->options.limits;
}

/* --- Deadlines ----------------------------------------------------------------------------------- */

static void set_deadline(struct connection *c, enum http_wait wait, int64_t deadline_ns)
{
    atomic_store_explicit(&c->wait, wait, memory_order_relaxed);
    atomic_store_explicit(&c->deadline_ns, deadline_ns, memory_order_relaxed);
}

static void set_deadline_in(struct connection *c, enum http_wait wait, uint32_t ms)
{
    set_deadline(c, wait, http_limit_now_ns(c->loop->server) + (int64_t)ms * MS_IN_NS);
}

/* We are the slow side now. */
static void clear_deadline(struct connection *c)
{
    atomic_store_explicit(&c->deadline_ns, 0, memory_order_relaxed);
}

/* When a transfer of `bytes` that began at `began_ns` has taken too long. */
static int64_t transfer_deadline(const struct http_limits *limits, int64_t began_ns, uint64_t bytes)
{
    int64_t ms = (int64_t)limits->body_ms;
    if (limits->body_bytes_per_s != 0)
        ms += (int64_t)(bytes * 1000 / limits->body_bytes_per_s);
    return began_ns + ms * MS_IN_NS;
}

static int64_t stood_still_ns(struct http_server *s)
{
    return atomic_load_explicit(&s->stood_still_ns, memory_order_relaxed);
}

/* There is nothing more to read for now: what the client is waited for. Between two requests, and for
 * the first of a connection, that was said when the waiting began. */
static void wait_for_client(struct connection *c)
{
    struct http_request *r = c->request;
    struct http_server *s = c->loop->server;
    if (r == NULL)
        return;
    if (!r->has_head) {
        if (!r->is_timed && c->request_count > 0)
            set_deadline_in(c, HTTP_WAIT_HEADERS, s->options.limits.header_ms);
        r->is_timed = true;
        return;
    }
    /* each piece asks anew, so a standstill counts here too */
    if (r->body_began_ns == 0)
        r->body_began_ns = http_limit_now_ns(s) - stood_still_ns(s);
    set_deadline(c, HTTP_WAIT_BODY,
                 transfer_deadline(&s->options.limits, r->body_began_ns + stood_still_ns(s),
                                   r->body_received));
}

/* --- Requests: made, used again ------------------------------------------------------------------ */

static struct http_request *request_new(struct connection *c)
{
    struct http_loop *loop = c->loop;
    struct http_request *r = loop->spares;
    if (r != NULL) {
        loop->spares = r->next;
        loop->spare_count--;
    } else {
        r = mem_new(sizeof(*r));
        arena_init(&r->arena, 4096);
        buf_init(&r->body);
        buf_init(&r->unzipped);
        buf_init(&r->answer);
    }
    atomic_init(&r->state, REQUEST_HANDLING);
    r->loop = loop;
    r->connection = c;
    http_head_begin(&r->head);
    return r;
}

static void buf_recycle(struct buf *b)
{
    if (b->room > HTTP_CHAIN_BYTES)
        buf_fini(b);
    b->len = 0;
}

static void enter_flight(struct http_request *r)
{
    if (r->is_in_flight)
        return;
    r->is_in_flight = true;
    atomic_fetch_add(&r->loop->in_flight, 1);
}

/* http_server_stop() says that it stops and then looks how many there are: one of us sees the other. */
static void leave_flight(struct http_request *r)
{
    struct http_server *s = r->loop->server;
    if (!r->is_in_flight)
        return;
    r->is_in_flight = false;
    atomic_fetch_sub(&r->loop->in_flight, 1);
    if (!atomic_load(&s->is_stopping))
        return;
    os_mutex_lock(&s->lock);
    os_cond_wake_all(&s->ended);
    os_mutex_unlock(&s->lock);
}

/* Nobody has it any more: its memory is for the next request of the loop, all but its head cleared. */
static void request_end(struct http_request *r)
{
    struct http_loop *loop = r->loop;
    leave_flight(r);
    if (loop->spare_count == HTTP_SPARES_MAX) {
        http_request_free(r);
        return;
    }
    struct http_request kept;
    memset(&kept, 0, offsetof(struct http_request, head));
    kept.arena = r->arena;
    kept.body = r->body;
    kept.unzipped = r->unzipped;
    kept.answer = r->answer;
    if (kept.arena.total_bytes > HTTP_CHAIN_BYTES)
        arena_fini(&kept.arena);
    arena_reset(&kept.arena);
    buf_recycle(&kept.body);
    buf_recycle(&kept.unzipped);
    buf_recycle(&kept.answer);
    kept.next = loop->spares;
    memcpy(r, &kept, offsetof(struct http_request, head));
    loop->spares = r;
    loop->spare_count++;
}

/* --- Connections: taken in, closed --------------------------------------------------------------- */

static struct http_peer **peer_of(struct http_server *s, const char *client)
{
    uint64_t hash = hash_str(str_of(client), 0);
    struct http_peer **at = &s->peers[hash % HTTP_PEER_SLOTS];
    while (*at != NULL && strcmp((*at)->client, client) != 0)
        at = &(*at)->next;
    return at;
}

/* Whether this client may have one more connection; counts it. */
static bool peer_enter(struct http_server *s, const char *client)
{
    if (s->options.limits.connections_per_ip_max == 0)
        return true;
    os_mutex_lock(&s->lock);
    struct http_peer **at = peer_of(s, client);
    if (*at == NULL) {
        *at = mem_new(sizeof(**at));
        must(str_to_z(str_of(client), (*at)->client, sizeof((*at)->client)));
    }
    bool may = (*at)->count < s->options.limits.connections_per_ip_max;
    (*at)->count += may;
    os_mutex_unlock(&s->lock);
    return may;
}

static void peer_leave(struct http_server *s, const char *client)
{
    if (s->options.limits.connections_per_ip_max == 0)
        return;
    os_mutex_lock(&s->lock);
    struct http_peer **at = peer_of(s, client);
    struct http_peer *peer = *at;
    must(peer != NULL);
    if (--peer->count == 0) {
        *at = peer->next;
        mem_free(peer);
    }
    os_mutex_unlock(&s->lock);
}

/* The peer's address as text; "" where it has none. */
static void print_client(const union address *address, char text[INET6_ADDRSTRLEN])
{
    text[0] = 0;
    if (address->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->v4.sin_addr, text, INET6_ADDRSTRLEN);
    } else if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, text, INET6_ADDRSTRLEN);
        if (strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.') != NULL)
            memmove(text, text + 7, strlen(text + 7) + 1); /* a v4 client of a v6 socket */
    }
}

static void free_connection(struct connection *c)
{
    buf_fini(&c->in);
    mem_free(c);
}

/* It leaves the list, under the lock, before its descriptor is closed, so the watcher never meets a
 * descriptor that belongs to somebody else. Nobody but the loop knows it: it is not parked. */
static void connection_close(struct connection *c)
{
    struct http_loop *loop = c->loop;
    struct http_request *r = c->request;
    must(c->phase != PHASE_PARKED);
    if (r != NULL) {
        if (r->is_in_flight)
            http_count(&loop->broken_count);
        c->request = NULL;
        request_end(r);
    }
    os_mutex_lock(&loop->lock);
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        loop->connections = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    os_mutex_unlock(&loop->lock);
    close(c->fd);
    c->fd = -1;
    atomic_fetch_sub(&loop->open, 1);
    atomic_fetch_sub(&loop->server->open, 1);
    peer_leave(loop->server, c->client);
    if (!c->is_again)
        free_connection(c);
}

/* The loop's own from here on. */
static void connection_enter(struct http_loop *loop, struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data = {.ptr = c}};
    os_mutex_lock(&loop->lock);
    c->previous = NULL;
    c->next = loop->connections;
    if (c->next != NULL)
        c->next->previous = c;
    loop->connections = c;
    os_mutex_unlock(&loop->lock);
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
        connection_close(c); /* the system has no memory for one more */
}

static void wake(struct http_loop *loop)
{
    if (atomic_load(&loop->is_asleep) && atomic_exchange(&loop->is_asleep, false))
        http_loop_call(loop);
}

/* The loop that shall have a new connection: the one that took it in, unless it has far more than
 * another. */
static struct http_loop *loop_for(struct http_loop *loop)
{
    struct http_server *s = loop->server;
    struct http_loop *least = loop;
    for (uint32_t i = 0; i < s->options.threads; i++)
        if (atomic_load_explicit(&s->loops[i].open, memory_order_relaxed) <
            atomic_load_explicit(&least->open, memory_order_relaxed))
            least = &s->loops[i];
    bool is_even = atomic_load_explicit(&loop->open, memory_order_relaxed) <=
                   atomic_load_explicit(&least->open, memory_order_relaxed) + UNEVEN_MAX;
    return is_even ? loop : least;
}

static void take_in(struct http_loop *loop, int fd, const union address *address)
{
    struct http_server *s = loop->server;
    char client[INET6_ADDRSTRLEN];
    print_client(address, client);
    /* a server that stops hangs up on whoever comes */
    bool is_full = atomic_load(&s->is_stopping) ||
                   atomic_load_explicit(&s->open, memory_order_relaxed) >= s->connections_max;
    if (is_full || !peer_enter(s, client)) {
        close(fd);
        return;
    }
    struct connection *c = mem_new(sizeof(*c));
    struct http_loop *home = loop_for(loop);
    c->loop = home;
    c->fd = fd;
    buf_init(&c->in);
    memcpy(c->client, client, sizeof(client));
    set_deadline_in(c, HTTP_WAIT_HEADERS, s->options.limits.header_ms);
    http_count(&loop->connection_count);
    atomic_fetch_add(&home->open, 1);
    atomic_fetch_add(&s->open, 1);
    if (home == loop) {
        connection_enter(loop, c);
        return;
    }
    c->next = atomic_load(&home->arrived);
    while (!atomic_compare_exchange_weak(&home->arrived, &c->next, c))
        ;
    wake(home);
}

/* Each waiting client wakes one loop, not all. */
static void listen_on(struct http_loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data = {.ptr = loop->server}};
    loop->is_accepting =
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->server->listener, &event) == 0;
}

static void accept_some(struct http_loop *loop)
{
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        union address address = {.any = {.sa_family = AF_UNSPEC}};
        socklen_t bytes = sizeof(address);
        int fd =
            accept4(loop->server->listener, &address.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_in(loop, fd, &address);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
            continue; /* that client has gone again */
        /* who waits would be announced again and again: look away for a while */
        http_count(&loop->accept_failures);
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, loop->server->listener, NULL);
        loop->is_accepting = false;
        loop->accept_at_ns = os_clock_monotonic_ns() + ACCEPT_PAUSE_MS * MS_IN_NS;
        return;
    }
}

/* --- Answers ------------------------------------------------------------------------------------- */

static struct str date_now(struct http_loop *loop)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t now_s = os_clock_utc_ms() / 1000;
    if (now_s != loop->date_s) {
        time_t seconds = (time_t)now_s;
        struct tm at;
        must(gmtime_r(&seconds, &at) != NULL);
        snprintf(loop->date, sizeof(loop->date), "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                 days + at.tm_wday * 3, (unsigned)at.tm_mday % 100, months + at.tm_mon * 3,
                 (unsigned)(at.tm_year + 1900) % 10000, (unsigned)at.tm_hour % 100,
                 (unsigned)at.tm_min % 100, (unsigned)at.tm_sec % 100);
        loop->date_s = now_s;
    }
    return (struct str){loop->date, HTTP_DATE_BYTES};
}

/* r->answer is made; it is sent by the next step. */
static void answer_is_made(struct connection *c, struct http_request *r)
{
    struct http_loop *loop = c->loop;
    c->closes = r->must_close || !r->keeps_alive || atomic_load(&loop->server->is_stopping) ||
                c->request_count >= limits_of(loop)->requests_per_connection_max;
    http_answer_begin(r, date_now(loop), c->closes);
    c->phase = PHASE_WRITING;
}

/* The server's own refusal. */
static void refuse(struct connection *c, struct http_request *r, enum http_error error)
{
    const struct http_error_row *row = http_error_row(error);
    struct buf body;
    buf_init(&body);
    http_error_print(row->code, str_of(row->sentence), &body);
    struct http_header gzip = {STR("Accept-Encoding"), STR("gzip")};
    http_answer_print(r, &(struct http_reply){
                             .status = row->status,
                             .content_type = STR("application/json"),
                             .headers = &gzip,
                             .header_count = error == HTTP_ERROR_UNKNOWN_CODING ? 1 : 0,
                             .body = buf_str(&body),
                         });
    buf_fini(&body);
    http_count(&c->loop->refused_count);
    enter_flight(r);
    answer_is_made(c, r);
}

/* What follows cannot be told apart, or shall not be read. */
static void refuse_and_close(struct connection *c, struct http_request *r, enum http_error error)
{
    r->must_close = true;
    refuse(c, r, error);
}

/* The grace of a stop is over and nobody has answered: the request is whose who should have, and
 * http_answer() frees it. The client gets its answer through another one. */
static void force(struct connection *c)
{
    struct http_request *r = c->request;
    struct http_server *s = c->loop->server;
    bool is_http_11 = r->head.is_http_11;
    enum http_method method = r->method;
    int expected = REQUEST_PARKED;
    atomic_fetch_add(&s->owners, 1);
    if (!atomic_compare_exchange_strong(&r->state, &expected, REQUEST_FORCED)) {
        atomic_fetch_sub(&s->owners, 1); /* its answer is on the way */
        return;
    }
    struct http_request *mine = request_new(c);
    mine->method = method;
    mine->head.is_http_11 = is_http_11;
    enter_flight(mine);
    atomic_fetch_sub(&c->loop->in_flight, 1);
    c->loop->parked_count--;
    c->request = mine;
    refuse_and_close(c, mine, HTTP_ERROR_STOPPING);
}

/* The request is whole: the handler has it, and answers at once or later. */
static void hand_on(struct connection *c, struct http_request *r)
{
    struct http_loop *loop = c->loop;
    const struct http_server_options *options = &loop->server->options;
    clear_deadline(c);
    if (r->error == HTTP_FINE && r->is_zipped && r->body.len != 0) {
        size_t most = max_of((size_t)options->limits.unzip_free_bytes,
                             r->body.len * options->limits.unzip_ratio_max);
        r->error = http_unzip(buf_str(&r->body),
                              min_of(most, (size_t)options->limits.body_bytes_max), &r->unzipped);
    }
    if (r->error != HTTP_FINE) {
        refuse(c, r, r->error);
        return;
    }
    options->handler(options->context, r);
    int expected = REQUEST_HANDLING;
    if (!atomic_compare_exchange_strong(&r->state, &expected, REQUEST_PARKED)) {
        answer_is_made(c, r);
        return;
    }
    c->phase = PHASE_PARKED;
    loop->parked_count++;
    if (loop->is_forced)
        force(c);
}

/* --- Reading ------------------------------------------------------------------------------------- */

static enum http_method method_of(struct str method)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
        [HTTP_OPTIONS] = "OPTIONS",
    };
    for (size_t i = 0; i < array_count(names); i++)
        if (str_is(method, names[i]))
            return (enum http_method)i;
    return HTTP_OTHER;
}

static struct str at_place(const char *head, struct http_place place)
{
    return (struct str){head + place.at, place.len};
}

/* Copies the head, which stood in a buffer that is used for others, and reads what its fields say. */
static void keep_head(struct connection *c, struct http_request *r, struct str bytes)
{
    const struct http_head *head = &r->head;
    const char *at = arena_copy(&r->arena, bytes).at;
    r->has_head = true;
    r->arrived_ms = os_clock_utc_ms();
    r->method = method_of(at_place(at, head->method));
    r->target = at_place(at, head->target);
    r->client = arena_copy(&r->arena, str_of(c->client));
    r->headers =
        arena_alloc(&r->arena, sizeof(struct http_header) * max_of(head->field_count, UINT32_C(1)));
    r->header_count = head->field_count;
    for (uint32_t i = 0; i < head->field_count; i++)
        r->headers[i] = (struct http_header){at_place(at, head->fields[i][0]),
                                             at_place(at, head->fields[i][1])};
}

/* The head is whole. Refuses what cannot be read on; remembers what is refused once the body is in. A
 * client that is still sending when it is refused may never read why, so a body of bearable size is
 * read to its end first; not so if the client waits for our consent. */
static void head_is_whole(struct connection *c, struct http_request *r)
{
    struct http_server *s = c->loop->server;
    const struct http_limits *limits = &s->options.limits;
    uint64_t body_bytes = UINT64_MAX;
    http_count(&c->loop->request_count);
    c->request_count++;
    enter_flight(r);
    r->error = http_headers_check(r->headers, r->header_count, r->head.is_http_11, &body_bytes,
                                  &r->is_zipped);
    r->is_chunked =
        http_header_find(r->headers, r->header_count, STR("transfer-encoding")).len != 0;
    r->keeps_alive = http_keeps_alive(r->headers, r->header_count, r->head.is_http_11);
    if (r->error == HTTP_ERROR_BAD_FRAMING || r->error == HTTP_ERROR_NO_HOST) {
        refuse_and_close(c, r, r->error);
        return;
    }
    if (r->error == HTTP_FINE)
        r->error = http_target_parse(r->target, &r->arena, &r->path, &r->query);
    if (atomic_load(&s->is_stopping))
        r->error = HTTP_ERROR_STOPPING;
    r->body_left = body_bytes == UINT64_MAX ? 0 : body_bytes;
    if (r->error == HTTP_FINE && r->body_left > limits->body_bytes_max)
        r->error = HTTP_ERROR_BODY_TOO_LARGE;
    struct str expected = http_header_find(r->headers, r->header_count, STR("expect"));
    bool is_drained = r->body_left <= (uint64_t)limits->body_bytes_max * DRAIN_FACTOR;
    if (r->error != HTTP_FINE && (expected.len != 0 || !is_drained)) {
        refuse_and_close(c, r, r->error);
        return;
    }
    if (!r->is_chunked && r->body_left == 0) {
        hand_on(c, r);
        return;
    }
    r->expects = r->head.is_http_11 && str_equal_nocase(expected, STR("100-continue"));
}

/* Bytes of the body. */
static void keep_piece(struct connection *c, struct http_request *r, struct str piece)
{
    r->body_received += piece.len;
    if (r->error == HTTP_FINE && r->body_received > limits_of(c->loop)->body_bytes_max)
        r->error = HTTP_ERROR_BODY_TOO_LARGE;
    if (r->error == HTTP_FINE)
        buf_add_str(&r->body, piece);
}

static size_t feed_plain(struct connection *c, struct http_request *r, struct str bytes)
{
    struct str piece = str_part(bytes, 0, (size_t)min_of(r->body_left, (uint64_t)SIZE_MAX));
    keep_piece(c, r, piece);
    r->body_left -= piece.len;
    if (r->body_left == 0)
        hand_on(c, r);
    return piece.len;
}

static size_t feed_chunked(struct connection *c, struct http_request *r, struct str bytes)
{
    struct str piece;
    size_t used;
    enum http_chunk chunk = http_chunks_read(&r->chunks, bytes, &used, &piece);
    r->wire_bytes += used;
    keep_piece(c, r, piece);
    if (chunk == HTTP_CHUNK_BAD)
        refuse_and_close(c, r, HTTP_ERROR_BAD_FRAMING);
    else if (chunk == HTTP_CHUNK_END)
        hand_on(c, r);
    else if (r->wire_bytes > (uint64_t)limits_of(c->loop)->body_bytes_max * DRAIN_FACTOR)
        refuse_and_close(c, r, HTTP_ERROR_BODY_TOO_LARGE);
    return used;
}

/* Bytes that begin where the head begins; how many of them it took, 0 if it needs more. */
static size_t feed_head(struct connection *c, struct http_request *r, struct str bytes)
{
    size_t head_bytes;
    enum http_error error = http_head_read(&r->head, bytes, limits_of(c->loop), &head_bytes);
    if (error != HTTP_FINE) {
        refuse_and_close(c, r, error);
        return bytes.len;
    }
    if (head_bytes != 0) {
        keep_head(c, r, str_part(bytes, 0, head_bytes));
        head_is_whole(c, r);
    }
    return head_bytes;
}

/* Uses of the bytes what makes requests, as long as the connection reads; how many. */
static size_t feed(struct connection *c, struct str bytes)
{
    size_t used = 0;
    while (used < bytes.len && c->phase == PHASE_READING) {
        if (c->request == NULL)
            c->request = request_new(c);
        struct http_request *r = c->request;
        struct str rest = str_part(bytes, used, SIZE_MAX);
        bool is_head = !r->has_head;
        size_t step = is_head         ? feed_head(c, r, rest)
                      : r->is_chunked ? feed_chunked(c, r, rest)
                                      : feed_plain(c, r, rest);
        used += step;
        if (is_head && step == 0)
            break; /* there must come more of it */
    }
    return used;
}

/* A client that waits for our consent gets it, if it has not sent its body all the same. It does not
 * wait for ever (RFC 9110 section 10.1.1): where nothing can be sent now, nothing is. */
static bool consent(struct connection *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct http_request *r = c->request;
    if (r == NULL || !r->expects)
        return true;
    r->expects = false;
    if (r->body_received != 0 || r->wire_bytes != 0)
        return true;
    ssize_t sent = send(c->fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == (ssize_t)sizeof(text) - 1 || (sent < 0 && errno == EAGAIN);
}

/* What was left over. */
static void feed_kept(struct connection *c)
{
    c->in_at += feed(c, str_part(buf_str(&c->in), c->in_at, SIZE_MAX));
    c->is_starved = c->in_at < c->in.len && c->phase == PHASE_READING;
    if (c->in_at < c->in.len)
        return;
    buf_fini(&c->in); /* who is idle has no memory for it */
    c->in_at = 0;
}

enum step {
    STEP_MORE,   /* there may be more to do */
    STEP_WAIT,   /* until something comes */
    STEP_CLOSED, /* the connection is gone, or must go */
};

/* What one read finds; *got is 0 where it found nothing, for now. */
static enum step pull(struct connection *c, void *to, size_t room, size_t *got)
{
    ssize_t found = recv(c->fd, to, room, MSG_DONTWAIT);
    *got = found > 0 ? (size_t)found : 0;
    if (found > 0 || (found < 0 && errno == EINTR))
        return STEP_MORE;
    if (found == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        return STEP_CLOSED;
    c->may_read = false;
    return STEP_MORE;
}

static enum step receive(struct connection *c)
{
    struct http_loop *loop = c->loop;
    bool has_kept = c->in.len != 0;
    uint8_t *to = loop->scratch;
    size_t room = HTTP_SCRATCH;
    if (has_kept) {
        if (c->in_at != 0) {
            c->in.len -= c->in_at;
            memmove(c->in.at, c->in.at + c->in_at, c->in.len);
            c->in_at = 0;
        }
        room = ROOM_FOR_MORE;
        to = buf_reserve(&c->in, room);
    }
    size_t got;
    enum step step = pull(c, to, room, &got);
    if (got == 0)
        return step;
    c->may_read = c->reads_to_end || got == room;
    if (has_kept) {
        c->in.len += got;
        feed_kept(c);
        return STEP_MORE;
    }
    struct str bytes = {(const char *)to, got};
    size_t used = feed(c, bytes);
    buf_add_str(&c->in, str_part(bytes, used, SIZE_MAX));
    c->is_starved = used < bytes.len && c->phase == PHASE_READING;
    return STEP_MORE;
}

static enum step read_step(struct connection *c)
{
    if (c->in.len != 0 && !c->is_starved) {
        feed_kept(c);
        return STEP_MORE;
    }
    if (!consent(c))
        return STEP_CLOSED;
    if (c->may_read)
        return receive(c);
    wait_for_client(c);
    return STEP_WAIT;
}

/* --- Writing and leaving ------------------------------------------------------------------------- */

static enum step leave(struct connection *c)
{
    c->phase = PHASE_LEAVING;
    buf_fini(&c->in);
    c->in_at = 0;
    if (shutdown(c->fd, SHUT_WR) != 0)
        return STEP_CLOSED;
    set_deadline_in(c, HTTP_WAIT_END, LEAVING_MS);
    c->may_read = true;
    return STEP_MORE;
}

static enum step leave_step(struct connection *c)
{
    if (!c->may_read)
        return STEP_WAIT;
    size_t got;
    enum step step = pull(c, c->loop->scratch, HTTP_SCRATCH, &got);
    if (got == 0)
        return step;
    c->left_out += got;
    bool is_bearable =
        c->left_out <= (uint64_t)limits_of(c->loop)->body_bytes_max * DRAIN_FACTOR + HTTP_SCRATCH;
    return is_bearable ? STEP_MORE : STEP_CLOSED;
}

/* All of the answer has left. */
static enum step answer_has_left(struct connection *c)
{
    struct http_request *r = c->request;
    c->request = NULL;
    request_end(r);
    if (c->closes)
        return leave(c);
    c->phase = PHASE_READING;
    set_deadline_in(c, HTTP_WAIT_IDLE, limits_of(c->loop)->idle_ms);
    return STEP_MORE;
}

static enum step write_step(struct connection *c)
{
    struct http_request *r = c->request;
    size_t whole = r->first_bytes + r->answer_bytes;
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts};
    if (r->sent < r->first_bytes)
        parts[message.msg_iovlen++] = (struct iovec){r->first + r->sent, r->first_bytes - r->sent};
    size_t rest = r->sent > r->first_bytes ? r->sent - r->first_bytes : 0;
    parts[message.msg_iovlen++] = (struct iovec){r->answer.at + rest, r->answer_bytes - rest};
    ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        r->sent += (size_t)sent;
    if (r->sent == whole)
        return answer_has_left(c);
    if (sent >= 0 || errno == EINTR)
        return STEP_MORE;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return STEP_CLOSED;
    if (!r->is_late) {
        struct http_server *s = c->loop->server;
        r->is_late = true;
        set_deadline(c, HTTP_WAIT_READER,
                     transfer_deadline(&s->options.limits, http_limit_now_ns(s), whole));
    }
    return STEP_WAIT;
}

/* --- A connection's turn ------------------------------------------------------------------------- */

static void come_again(struct connection *c)
{
    struct http_loop *loop = c->loop;
    if (c->is_again)
        return;
    c->is_again = true;
    c->next_again = NULL;
    *loop->again_end = c;
    loop->again_end = &c->next_again;
}

/* Does what can be done now. The connection may be gone afterwards. */
static void serve(struct connection *c)
{
    for (int steps = 0; c->phase != PHASE_PARKED; steps++) {
        enum step step = STEP_WAIT;
        if (steps == STEPS_IN_A_TURN) {
            come_again(c);
            return;
        }
        switch ((enum connection_phase)c->phase) {
        case PHASE_READING: step = read_step(c); break;
        case PHASE_WRITING: step = write_step(c); break;
        case PHASE_LEAVING: step = leave_step(c); break;
        case PHASE_PARKED: break;
        }
        if (step == STEP_CLOSED)
            connection_close(c);
        if (step != STEP_MORE)
            return;
    }
}

static void serve_again(struct http_loop *loop)
{
    struct connection *c = loop->again;
    loop->again = NULL;
    loop->again_end = &loop->again;
    for (struct connection *next; c != NULL; c = next) {
        next = c->next_again;
        c->is_again = false;
        if (c->fd < 0)
            free_connection(c);
        else
            serve(c);
    }
}

static void on_event(struct connection *c, uint32_t events)
{
    /* a read stops at urgent data and at the end, though there is more to be heard */
    uint32_t stops = events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    c->reads_to_end |= stops != 0;
    c->may_read |= stops != 0 || (events & EPOLLIN) != 0;
    serve(c);
}

/* --- What other threads hand over ---------------------------------------------------------------- */

void http_loop_call(struct http_loop *loop)
{
    uint64_t one = 1;
    ssize_t written = write(loop->wake_fd, &one, sizeof(one));
    must(written == (ssize_t)sizeof(one));
}

void http_loop_answered(struct http_loop *loop, struct http_request *r)
{
    r->next = atomic_load(&loop->answered);
    while (!atomic_compare_exchange_weak(&loop->answered, &r->next, r))
        ;
    wake(loop);
}

static void take_answered(struct http_loop *loop)
{
    struct http_request *latest = atomic_exchange(&loop->answered, NULL);
    struct http_request *r = NULL;
    while (latest != NULL) { /* the other way round: who came first is answered first */
        struct http_request *before = latest->next;
        latest->next = r;
        r = latest;
        latest = before;
    }
    for (struct http_request *next; r != NULL; r = next) {
        struct connection *c = r->connection;
        next = r->next;
        loop->parked_count--;
        answer_is_made(c, r);
        serve(c);
    }
}

static void take_arrived(struct http_loop *loop)
{
    struct connection *c = atomic_exchange(&loop->arrived, NULL);
    for (struct connection *next; c != NULL; c = next) {
        next = c->next;
        connection_enter(loop, c);
    }
}

static bool has_inbox(struct http_loop *loop)
{
    return atomic_load(&loop->answered) != NULL || atomic_load(&loop->arrived) != NULL;
}

/* The grace is over: who waits for an answer gets the 503. */
static void force_all(struct http_loop *loop)
{
    loop->is_forced = true;
    for (struct connection *c = loop->connections, *next; c != NULL; c = next) {
        next = c->next;
        if (c->phase != PHASE_PARKED)
            continue;
        force(c);
        serve(c);
    }
}

/* --- The loop ------------------------------------------------------------------------------------ */

/* Sleeps until something comes, unless there is something already. Who hands over looks at is_asleep
 * afterwards, and we look at what was handed over after setting it: one of us sees the other. */
static int sleep_for_events(struct http_loop *loop, struct epoll_event *events)
{
    int timeout_ms = loop->is_accepting ? -1 : ACCEPT_PAUSE_MS;
    atomic_store(&loop->is_asleep, true);
    if (loop->again != NULL || has_inbox(loop))
        timeout_ms = 0;
    int ready = epoll_wait(loop->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);
    atomic_store(&loop->is_asleep, false);
    return ready;
}

static bool must_go_on(struct http_loop *loop)
{
    return !atomic_load(&loop->server->is_over) || loop->parked_count != 0;
}

void http_loop_run(void *context)
{
    struct http_loop *loop = context;
    struct epoll_event events[EVENTS_AT_ONCE];
    while (must_go_on(loop)) {
        int ready = sleep_for_events(loop, events);
        bool has_clients = false;
        for (int i = 0; i < ready; i++) {
            void *who = events[i].data.ptr;
            if (who == loop->server)
                has_clients = true;
            else if (who != loop)
                on_event(who, events[i].events);
        }
        take_answered(loop);
        take_arrived(loop);
        serve_again(loop);
        if (atomic_load(&loop->server->is_forced) && !loop->is_forced)
            force_all(loop);
        if (has_clients && loop->is_accepting)
            accept_some(loop);
        else if (!loop->is_accepting && os_clock_monotonic_ns() >= loop->accept_at_ns)
            listen_on(loop);
    }
}

/* Closes all that is still open. */
static void close_all(struct http_loop *loop)
{
    take_arrived(loop);
    while (loop->connections != NULL)
        connection_close(loop->connections);
    serve_again(loop);
}

void http_loop_init(struct http_loop *loop, struct http_server *s)
{
    loop->server = s;
    loop->again_end = &loop->again;
    loop->date_s = INT64_MIN;
    loop->epoll_fd = -1;
    loop->wake_fd = -1;
    loop->scratch = mem_new(HTTP_SCRATCH);
    os_mutex_init(&loop->lock);
}

enum status http_loop_start(struct http_loop *loop, struct fault *f)
{
    /* edge-triggered and never read: it only has to move */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.ptr = loop}};
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0) {
        fault_set(f, "cannot wait for clients: %s", strerror(errno));
        return GIVE_UP;
    }
    listen_on(loop);
    enum status status = os_thread_start(&loop->thread, "http", http_loop_run, loop, f);
    loop->has_thread = status == OK;
    return status;
}

void http_loop_fini(struct http_loop *loop)
{
    close_all(loop);
    while (loop->spares != NULL) {
        struct http_request *r = loop->spares;
        loop->spares = r->next;
        http_request_free(r);
    }
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    os_mutex_fini(&loop->lock);
    mem_free(loop->scratch);
}
