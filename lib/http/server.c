/* server.c - the exchange itself: libmicrohttpd's callbacks on one side, the handler on the other.
 *
 * libmicrohttpd runs an epoll loop on each of a few threads. Per request it calls:
 *
 *     target_cb        the request line is read: a struct http_request is made
 *     access_cb        1  the headers are complete: limits and framing are checked
 *                      2  once per piece of body: it is kept
 *                      3  the body is complete: unzip, normalise, call the handler
 *                      4  again after a resume: the answer is queued
 *     completed_cb     the answer is on its way, or the connection is gone
 *
 * and per connection opened_cb/closed_cb in one function. When the handler keeps the request, the
 * connection is suspended (park()), and http_answer() resumes it from whatever thread it is on.
 *
 * Time limits are kept by one thread of ours, because libmicrohttpd only knows how long a connection
 * was silent, and a client that sends a byte now and then is never silent. Each connection has one
 * deadline; four times a second those that have passed are shut down, which their loop then notices
 * as an end of the connection. A connection leaves the list, under the lock, before its descriptor
 * is closed, so a shutdown never meets a descriptor that belongs to somebody else. Setting a deadline
 * takes no lock: it happens several times in a request, on every thread.
 *
 * A limit measures the client, so time in which we were the slow side does not count. There is none
 * while the handler has the request. Where bytes of the client lie unread, its loop is behind (held
 * up by another connection's handler, or without a processor): the connection is given more time, if
 * not without end. And where the watcher itself comes late, the whole process stood still, or the
 * machine did: all deadlines move by as much.
 *
 * Locks: server->lock guards the two lists. Nothing of libmicrohttpd is called while it is held but the
 * resuming of those that are parked when the server stops.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/http_int.h"
#include "os/clock.h"
#include "os/thread.h"

#define WATCH_EVERY_MS  250
#define STANDSTILL_MS   500         /* the watcher came this late: nobody can have been served */
#define MORE_TIME_MS    1000        /* for a connection whose loop is behind ... */
#define MORE_TIME_MAX   60          /* ... this often in a row */
#define KEPT_BODY_BYTES (64 * 1024) /* a larger buffer is given back after its request */
#define DRAIN_FACTOR    8           /* a body too large is read on to this many times the limit */
#define CONNECTION_ROOM \
    (8 * 1024)                   /* of libmicrohttpd's memory for a connection, beside the header */
#define USUAL_ANSWERS_MAX    8   /* short answers to success that are made once */
#define USUAL_KEY_BYTES      256 /* type, headers and body of one */
#define DESCRIPTORS_FOR_REST 128 /* of the process's limit, not used for connections */

struct connection {
    struct http_server *server;
    struct connection *previous;
    struct connection *next;
    int fd;
    atomic_int_fast64_t deadline_ns; /* shut down after this; 0 = none */
    atomic_int wait;                 /* enum http_wait, for what the deadline is */
    int64_t given_ns;                /* watcher's: the deadline it set as more time, and how */
    uint32_t given_count;            /* often in a row */
    uint32_t request_count;          /* on this connection, with the current one */
    struct http_request *spare;      /* of the last request, to be used again */
    char client[INET6_ADDRSTRLEN];   /* its address as text */
};

/* An answer that many requests get, made once: {"success":true}, say. Never changed. */
struct usual_answer {
    uint8_t key[USUAL_KEY_BYTES]; /* what it says: answer_key() */
    size_t key_bytes;
    struct MHD_Response *stays;
    struct MHD_Response *closes; /* the same with "Connection: close" */
};

struct http_server {
    atomic_int owners; /* http_server_stop(), and each request */
    struct MHD_Daemon *daemon;
    struct http_server_options options;
    uint16_t port;
    struct os_thread watcher;

    struct os_mutex lock;
    struct usual_answer usual[USUAL_ANSWERS_MAX]; /* made under the lock, read without it */
    atomic_uint usual_count;
    struct os_cond ended;  /* a request has ended while the server stops */
    struct os_cond ending; /* the watcher shall look at is_ending */
    struct connection *connections;
    struct http_request *in_flight;
    uint32_t in_flight_count;
    bool is_ending;        /* the watcher shall end */
    int64_t watched_ns;    /* when the watcher last looked, or was started */
    atomic_bool is_forced; /* the grace is over: nothing is parked any more */
    atomic_bool is_stopping;
    atomic_int answering; /* http_answer() calls that may still touch the daemon */

    atomic_uint_fast64_t connection_count;
    atomic_uint_fast64_t request_count;
    atomic_uint_fast64_t refused_count;
    atomic_uint_fast64_t timeout_count[HTTP_WAIT_END];
    atomic_uint_fast64_t broken_count;
    atomic_uint_fast64_t behind_count;
    atomic_uint_fast64_t standstill_count;
    atomic_int_fast64_t stood_still_ns; /* in all */
    atomic_uint_fast64_t open_count;
};

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

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void server_release(struct http_server *s)
{
    if (atomic_fetch_sub(&s->owners, 1) != 1)
        return;
    for (uint32_t i = 0; i < atomic_load(&s->usual_count); i++) {
        MHD_destroy_response(s->usual[i].stays);
        MHD_destroy_response(s->usual[i].closes);
    }
    os_cond_fini(&s->ended);
    os_cond_fini(&s->ending);
    os_mutex_fini(&s->lock);
    mem_free(s);
}

/* --- Requests: made, shared, ended ------------------------------------------------------------- */

static struct http_request *request_new(struct connection *c)
{
    struct http_request *r = c->spare;
    c->spare = NULL;
    if (r == NULL) {
        r = mem_new(sizeof(*r));
        arena_init(&r->arena, 4096);
        buf_init(&r->body);
        buf_init(&r->unzipped);
    }
    atomic_init(&r->owners, 1);
    atomic_init(&r->state, REQUEST_HANDLING);
    r->server = c->server;
    r->connection = c;
    atomic_fetch_add(&c->server->owners, 1);
    return r;
}

static void request_free(struct http_request *r)
{
    arena_fini(&r->arena);
    buf_fini(&r->body);
    buf_fini(&r->unzipped);
    mem_free(r);
}

static void buf_recycle(struct buf *b)
{
    if (b->room > KEPT_BODY_BYTES)
        buf_fini(b);
    b->len = 0;
}

/* Lets one owner go. The connection, if it is the last, keeps the memory for its next request. */
static void request_release(struct http_request *r, struct connection *keeper)
{
    if (atomic_fetch_sub(&r->owners, 1) != 1)
        return;
    struct http_server *s = r->server;
    if (r->response != NULL)
        MHD_destroy_response(r->response);
    r->response = NULL;
    if (keeper != NULL && keeper->spare == NULL) {
        struct http_request fresh = {.arena = r->arena, .body = r->body, .unzipped = r->unzipped};
        arena_reset(&fresh.arena);
        buf_recycle(&fresh.body);
        buf_recycle(&fresh.unzipped);
        *r = fresh;
        keeper->spare = r;
    } else {
        request_free(r);
    }
    server_release(s);
}

static void set_deadline(struct connection *c, enum http_wait wait, int64_t deadline_ns)
{
    atomic_store_explicit(&c->wait, wait, memory_order_relaxed);
    atomic_store_explicit(&c->deadline_ns, deadline_ns, memory_order_relaxed);
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
    return began_ns + ms * 1000000;
}

/* Now, by the clock of time limits. */
static int64_t limit_now_ns(const struct http_server *s)
{
    const struct http_clock *clock = &s->options.clock;
    return clock->now_ns != NULL ? clock->now_ns(clock->context) : os_clock_monotonic_ns();
}

static int64_t stood_still_ns(struct http_server *s)
{
    return atomic_load_explicit(&s->stood_still_ns, memory_order_relaxed);
}

/* When the body has taken too long. Each piece asks anew, so a standstill counts here too. */
static int64_t body_deadline(const struct http_request *r)
{
    return transfer_deadline(&r->server->options.limits,
                             r->body_began_ns + stood_still_ns(r->server), r->body_received);
}

static void enter_flight(struct http_request *r)
{
    struct http_server *s = r->server;
    os_mutex_lock(&s->lock);
    r->next = s->in_flight;
    r->previous = NULL;
    if (s->in_flight != NULL)
        s->in_flight->previous = r;
    s->in_flight = r;
    s->in_flight_count++;
    r->is_in_flight = true;
    os_mutex_unlock(&s->lock);
}

static void leave_flight(struct http_request *r)
{
    struct http_server *s = r->server;
    if (!r->is_in_flight)
        return;
    os_mutex_lock(&s->lock);
    if (r->previous != NULL)
        r->previous->next = r->next;
    else
        s->in_flight = r->next;
    if (r->next != NULL)
        r->next->previous = r->previous;
    s->in_flight_count--;
    r->is_in_flight = false;
    if (atomic_load(&s->is_stopping))
        os_cond_wake_all(&s->ended);
    os_mutex_unlock(&s->lock);
}

/* --- Answers ------------------------------------------------------------------------------------ */

static bool is_header_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] == '\r' || s.at[i] == '\n' || s.at[i] == '\0')
            return false;
    return true;
}

static void add_header(struct MHD_Response *response, struct str name, struct str value)
{
    char name_z[128];
    char value_z[2048];
    must(is_header_text(value));
    must(str_to_z(name, name_z, sizeof(name_z)));
    must(str_to_z(value, value_z, sizeof(value_z)));
    must(MHD_add_response_header(response, name_z, value_z) == MHD_YES);
}

static struct MHD_Response *response_new(const struct http_reply *reply)
{
    must(reply->status >= 200);
    must(reply->status <= 599);
    must(reply->header_count <= HTTP_EXTRA_HEADERS_MAX);
    /* the buffer is copied, so the const is kept in spirit */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply->body.len, (void *)(uintptr_t)reply->body.at, MHD_RESPMEM_MUST_COPY);
    must(response != NULL);
    if (reply->content_type.len != 0)
        add_header(response, STR("Content-Type"), reply->content_type);
    for (size_t i = 0; i < reply->header_count; i++)
        if (reply->headers[i].value.len != 0) /* the library takes no empty ones */
            add_header(response, reply->headers[i].name, reply->headers[i].value);
    return response;
}

static bool key_add(uint8_t *key, size_t *bytes, struct str part)
{
    if (part.len > UINT8_MAX || part.len + 1 > USUAL_KEY_BYTES - *bytes)
        return false;
    key[(*bytes)++] = (uint8_t)part.len;
    if (part.len > 0)
        memcpy(key + *bytes, part.at, part.len);
    *bytes += part.len;
    return true;
}

/* All that a 200 says, as bytes; 0: it is none that others will get too. */
static size_t answer_key(const struct http_reply *reply, uint8_t key[USUAL_KEY_BYTES])
{
    size_t bytes = 0;
    bool fits = reply->status == 200 && key_add(key, &bytes, reply->content_type);
    for (size_t i = 0; i < reply->header_count && fits; i++)
        fits = key_add(key, &bytes, reply->headers[i].name) &&
               key_add(key, &bytes, reply->headers[i].value);
    return fits && key_add(key, &bytes, reply->body) ? bytes : 0;
}

static const struct usual_answer *usual_find(const struct http_server *s, const uint8_t *key,
                                             size_t bytes)
{
    uint32_t known = atomic_load_explicit(&s->usual_count, memory_order_acquire);
    for (uint32_t i = 0; i < known; i++)
        if (s->usual[i].key_bytes == bytes && memcmp(s->usual[i].key, key, bytes) == 0)
            return &s->usual[i];
    return NULL;
}

/* The answer as it was made before, if it was; the first few are kept. NULL: it is made for one. */
static const struct usual_answer *usual_answer(struct http_server *s,
                                               const struct http_reply *reply)
{
    uint8_t key[USUAL_KEY_BYTES];
    size_t bytes = answer_key(reply, key);
    const struct usual_answer *found = bytes != 0 ? usual_find(s, key, bytes) : NULL;
    if (bytes == 0 || found != NULL || atomic_load(&s->usual_count) == USUAL_ANSWERS_MAX)
        return found;
    os_mutex_lock(&s->lock);
    found = usual_find(s, key, bytes);
    uint32_t place = atomic_load(&s->usual_count);
    if (found == NULL && place < USUAL_ANSWERS_MAX) {
        struct usual_answer *fresh = &s->usual[place];
        memcpy(fresh->key, key, bytes);
        fresh->key_bytes = bytes;
        fresh->stays = response_new(reply);
        fresh->closes = response_new(reply);
        must(MHD_add_response_header(fresh->closes, "Connection", "close") == MHD_YES);
        atomic_store_explicit(&s->usual_count, place + 1, memory_order_release);
        found = fresh;
    }
    os_mutex_unlock(&s->lock);
    return found;
}

void http_answer(struct http_request *r, const struct http_reply *reply)
{
    struct http_server *s = r->server;
    atomic_fetch_add(&s->answering, 1);
    r->usual = usual_answer(s, reply);
    if (r->usual == NULL)
        r->response = response_new(reply);
    r->response_status = reply->status;
    r->response_bytes = reply->body.len;
    int before = atomic_exchange(&r->state, REQUEST_ANSWERED);
    must(before != REQUEST_ANSWERED); /* once per request */
    if (before == REQUEST_PARKED)
        MHD_resume_connection(r->mhd);
    /* while it is ours, the request keeps the server's memory; afterwards both may be gone */
    atomic_fetch_sub(&s->answering, 1);
    request_release(r, NULL);
}

/* `response` is the request's own, or NULL: then its answer is a usual one. */
static enum MHD_Result queue_response(struct http_request *r, struct MHD_Response *response,
                                      uint32_t status, size_t bytes)
{
    struct http_server *s = r->server;
    const struct http_limits *limits = &s->options.limits;
    bool closes = r->must_close || atomic_load(&s->is_stopping) ||
                  r->connection->request_count >= limits->requests_per_connection_max;
    if (response == NULL)
        response = closes ? r->usual->closes : r->usual->stays;
    else if (closes)
        must(MHD_add_response_header(response, "Connection", "close") == MHD_YES);
    set_deadline(r->connection, HTTP_WAIT_READER,
                 transfer_deadline(limits, limit_now_ns(s), bytes));
    return MHD_queue_response(r->mhd, status, response);
}

/* The server's own refusal, at once. */
static enum MHD_Result refuse(struct http_request *r, enum http_error error)
{
    const struct http_error_row *row = http_error_row(error);
    struct buf body;
    buf_init(&body);
    http_error_print(row->code, str_of(row->sentence), &body);
    struct http_header gzip = {STR("Accept-Encoding"), STR("gzip")};
    struct MHD_Response *response = response_new(&(struct http_reply){
        .status = row->status,
        .content_type = STR("application/json"),
        .headers = &gzip,
        .header_count = error == HTTP_ERROR_UNKNOWN_CODING ? 1 : 0,
        .body = buf_str(&body),
    });
    buf_fini(&body);
    count(&r->server->refused_count);
    enum MHD_Result result = queue_response(r, response, row->status, 0);
    MHD_destroy_response(response);
    return result;
}

/* The handler has returned and may or may not have answered. */
static enum MHD_Result park(struct http_request *r)
{
    struct http_server *s = r->server;
    if (atomic_load(&r->state) == REQUEST_ANSWERED)
        return queue_response(r, r->response, r->response_status, r->response_bytes);
    if (atomic_load(&s->is_forced)) {
        atomic_store(&r->state, REQUEST_FORCED);
        return refuse(r, HTTP_ERROR_STOPPING);
    }
    MHD_suspend_connection(r->mhd);
    int expected = REQUEST_HANDLING;
    bool is_late = !atomic_compare_exchange_strong(&r->state, &expected, REQUEST_PARKED);
    /* http_server_stop() says so first and looks for the parked then: one of us sees the other */
    if (!is_late && atomic_load(&s->is_forced)) {
        expected = REQUEST_PARKED;
        is_late = atomic_compare_exchange_strong(&r->state, &expected, REQUEST_FORCED);
    }
    if (is_late)
        MHD_resume_connection(r->mhd); /* answered, or stopped, between the two looks */
    return MHD_YES;
}

/* --- libmicrohttpd's callbacks ------------------------------------------------------------------ */

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    must(info != NULL);
    return info->socket_context;
}

static void *target_cb(void *context, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *s = context;
    struct connection *c = connection_of(mhd);
    struct http_request *r = request_new(c);
    r->mhd = mhd;
    r->target = arena_copy(&r->arena, str_of(target));
    c->request_count++;
    if (c->request_count > 1) /* the first one's time began when it connected */
        set_deadline(c, HTTP_WAIT_HEADERS,
                     limit_now_ns(s) + (int64_t)s->options.limits.header_ms * 1000000);
    return r;
}

/* Each line of a header must end with CR LF. libmicrohttpd takes CR alone and LF alone for an end too,
 * joins folded lines, and lets blanks stand before a colon; a proxy before us may read all of that in
 * another way, and then the two of us disagree on where a body begins. It does not say which it met, but
 * it works in place: name and value are parts of the bytes as they came, of which only their places are
 * looked at here. The next name begins two bytes behind a value, or else the line did not end as it must;
 * and the last one ends four bytes before the end of the header. */
static uintptr_t place(const char *at)
{
    return (uintptr_t)at;
}

static void line_check(struct http_request *r, const char *key, size_t key_size, const char *value,
                       size_t value_size)
{
    struct str name = {key, key_size};
    struct str text = {value, value_size};
    bool is_in_line = place(key) == r->line_at && place(value) > place(key) + key_size;
    if (!is_in_line || !http_field_is_plain(name, text))
        r->is_crooked = true;
    r->line_at = place(value) + value_size + 2;
}

static enum MHD_Result header_cb(void *context, enum MHD_ValueKind kind, const char *key,
                                 size_t key_size, const char *value, size_t value_size)
{
    struct http_request *r = context;
    (void)kind;
    line_check(r, key, key_size, value != NULL ? value : "", value_size);
    if (r->header_count <= HTTP_HEADER_FIELDS_MAX) {
        if (r->header_count < HTTP_HEADER_FIELDS_MAX)
            r->headers[r->header_count] = (struct http_header){
                arena_copy(&r->arena, (struct str){key, key_size}),
                arena_copy(&r->arena, (struct str){value ? value : "", value_size})};
        r->header_count++;
    }
    return MHD_YES;
}

static enum http_method method_of(const char *method)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
        [HTTP_OPTIONS] = "OPTIONS",
    };
    for (size_t i = 0; i < array_count(names); i++)
        if (strcmp(names[i], method) == 0)
            return (enum http_method)i;
    return HTTP_OTHER;
}

/* The first call: everything but the body is known. */
static enum MHD_Result begin(struct http_request *r, const char *method, const char *version)
{
    struct http_server *s = r->server;
    const struct http_limits *limits = &s->options.limits;
    uint64_t body_bytes = UINT64_MAX;

    count(&s->request_count);
    enter_flight(r);
    r->has_headers = true;
    r->arrived_ms = os_clock_utc_ms();
    r->body_began_ns = limit_now_ns(s) - stood_still_ns(s);
    r->method = method_of(method);
    r->client = arena_copy(&r->arena, str_of(r->connection->client));
    r->headers = arena_alloc(&r->arena, sizeof(struct http_header) * HTTP_HEADER_FIELDS_MAX);
    r->line_at = place(version) + strlen(version) + 2;
    r->is_crooked = place(version) != place(method) + strlen(method) + 1 + r->target.len + 1;
    MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, header_cb, r);
    set_deadline(r->connection, HTTP_WAIT_BODY, body_deadline(r));

    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    bool is_large = r->header_count > HTTP_HEADER_FIELDS_MAX ||
                    (size != NULL && size->header_size > limits->header_bytes_max);
    r->is_crooked |= size != NULL && r->line_at + 2 != place(method) + size->header_size;
    r->header_count = min_of(r->header_count, HTTP_HEADER_FIELDS_MAX);
    if (r->target.len > limits->target_bytes_max)
        r->error = HTTP_ERROR_TARGET_TOO_LONG;
    else if (is_large)
        r->error = HTTP_ERROR_HEADERS_TOO_LARGE;
    else if (r->is_crooked)
        r->error = HTTP_ERROR_BAD_HEADER;
    else
        r->error = http_headers_check(r->headers, r->header_count, &body_bytes, &r->is_zipped);
    if (r->error == HTTP_FINE)
        r->error = http_target_parse(r->target, &r->arena, &r->path, &r->query);
    if (atomic_load(&s->is_stopping))
        r->error = HTTP_ERROR_STOPPING;

    bool is_framed = !r->is_crooked && r->error != HTTP_ERROR_BAD_FRAMING;
    bool expects = http_header_find(r->headers, r->header_count, STR("expect")).len != 0;
    bool is_too_large = body_bytes != UINT64_MAX && body_bytes > limits->body_bytes_max;
    if (r->error == HTTP_FINE && is_too_large)
        r->error = HTTP_ERROR_BODY_TOO_LARGE;
    /* A client that is still sending when we close may never read our answer, so a body of bearable
     * size is read to its end before it is refused; not so if the client waits for our consent. */
    bool is_drained =
        !is_too_large || body_bytes <= (uint64_t)limits->body_bytes_max * DRAIN_FACTOR;
    /* libmicrohttpd is lax about the lines between chunks and hides them from us. What it may have
     * misread cannot become a request of its own if nothing is read behind a chunked one. */
    if (http_header_find(r->headers, r->header_count, STR("transfer-encoding")).len != 0)
        r->must_close = true;
    if (!is_framed || (r->error != HTTP_FINE && (expects || !is_drained))) {
        r->must_close = true;
        return refuse(r, r->error);
    }
    return MHD_YES;
}

/* One piece of the body. */
static enum MHD_Result keep_piece(struct http_request *r, const char *piece, size_t bytes)
{
    const struct http_limits *limits = &r->server->options.limits;
    r->body_received += bytes;
    if (r->error == HTTP_FINE && r->body_received > limits->body_bytes_max)
        r->error = HTTP_ERROR_BODY_TOO_LARGE;
    if (r->error == HTTP_FINE)
        buf_add(&r->body, piece, bytes);
    set_deadline(r->connection, HTTP_WAIT_BODY, body_deadline(r));
    bool is_drained = r->body_received <= (uint64_t)limits->body_bytes_max * DRAIN_FACTOR;
    return is_drained ? MHD_YES : MHD_NO;
}

static enum MHD_Result hand_on(struct http_request *r)
{
    struct http_server *s = r->server;
    const struct http_limits *limits = &s->options.limits;
    clear_deadline(r->connection);
    if (r->error == HTTP_FINE && r->is_zipped && r->body.len != 0) {
        size_t most =
            max_of((size_t)limits->unzip_free_bytes, r->body.len * limits->unzip_ratio_max);
        r->error = http_unzip(buf_str(&r->body), min_of(most, (size_t)limits->body_bytes_max),
                              &r->unzipped);
    }
    if (r->error != HTTP_FINE)
        return refuse(r, r->error);
    r->is_handed_on = true;
    atomic_fetch_add(&r->owners, 1);
    s->options.handler(s->options.context, r);
    return park(r);
}

static enum MHD_Result access_cb(void *context, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *piece,
                                 size_t *piece_bytes, void **request)
{
    (void)context;
    (void)mhd;
    (void)url;
    struct http_request *r = *request;
    must(r != NULL);
    if (!r->has_headers)
        return begin(r, method, version);
    if (*piece_bytes != 0) {
        size_t bytes = *piece_bytes;
        *piece_bytes = 0;
        return keep_piece(r, piece, bytes);
    }
    if (!r->is_handed_on)
        return hand_on(r);
    switch ((enum request_state)atomic_load(&r->state)) {
    case REQUEST_ANSWERED:
        return queue_response(r, r->response, r->response_status, r->response_bytes);
    case REQUEST_FORCED: return refuse(r, HTTP_ERROR_STOPPING);
    case REQUEST_HANDLING:
    case REQUEST_PARKED: break;
    }
    return MHD_YES; /* called for no reason: wait on */
}

static void completed_cb(void *context, struct MHD_Connection *mhd, void **request,
                         enum MHD_RequestTerminationCode why)
{
    struct http_server *s = context;
    struct http_request *r = *request;
    (void)mhd;
    if (r == NULL)
        return;
    *request = NULL;
    struct connection *c = r->connection;
    if (why != MHD_REQUEST_TERMINATED_COMPLETED_OK && why != MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN)
        count(&s->broken_count);
    set_deadline(c, HTTP_WAIT_IDLE, limit_now_ns(s) + (int64_t)s->options.limits.idle_ms * 1000000);
    leave_flight(r);
    request_release(r, c);
}

/* The peer's address as text; "" where it has none. */
static void print_client(struct MHD_Connection *mhd, char text[INET6_ADDRSTRLEN])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info != NULL ? info->client_addr : NULL;
    text[0] = 0;
    if (address != NULL && address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        inet_ntop(AF_INET, &v4->sin_addr, text, INET6_ADDRSTRLEN);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, INET6_ADDRSTRLEN);
        if (strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.') != NULL)
            memmove(text, text + 7, strlen(text + 7) + 1); /* a v4 client of a v6 socket */
    }
}

static void connection_cb(void *context, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        struct connection *c = mem_new(sizeof(*c));
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        c->server = s;
        c->fd = info != NULL ? info->connect_fd : -1;
        print_client(mhd, c->client);
        set_deadline(c, HTTP_WAIT_HEADERS,
                     limit_now_ns(s) + (int64_t)s->options.limits.header_ms * 1000000);
        os_mutex_lock(&s->lock);
        c->next = s->connections;
        if (s->connections != NULL)
            s->connections->previous = c;
        s->connections = c;
        os_mutex_unlock(&s->lock);
        count(&s->connection_count);
        count(&s->open_count);
        *socket_context = c;
        return;
    }
    struct connection *c = *socket_context;
    os_mutex_lock(&s->lock);
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        s->connections = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    os_mutex_unlock(&s->lock);
    atomic_fetch_sub(&s->open_count, 1);
    if (c->spare != NULL)
        request_free(c->spare);
    mem_free(c);
    *socket_context = NULL;
}

/* Whether somebody who has just connected may stay. A server that stops hangs up here and keeps its
 * socket to the end: MHD_quiesce_daemon() takes it away from under the threads that wait on it, and
 * where one of them is about to do the same the library aborts the process (seen in 0.9.75). */
static enum MHD_Result accept_cb(void *context, const struct sockaddr *client, socklen_t bytes)
{
    (void)client, (void)bytes;
    const struct http_server *s = context;
    return atomic_load_explicit(&s->is_stopping, memory_order_relaxed) ? MHD_NO : MHD_YES;
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

/* Under the lock; late_ns is how much later than it should this comes. */
static void watch_connection(struct connection *c, int64_t now_ns, int64_t late_ns)
{
    struct http_server *s = c->server;
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
            count(&s->behind_count);
        return;
    }
    int wait = atomic_load_explicit(&c->wait, memory_order_relaxed);
    if (!move_deadline(c, deadline_ns, 0))
        return;
    shutdown(c->fd, SHUT_RDWR);
    count(&s->timeout_count[wait]);
}

static void count_standstill(struct http_server *s, int64_t late_ns)
{
    count(&s->standstill_count);
    atomic_fetch_add_explicit(&s->stood_still_ns, late_ns, memory_order_relaxed);
}

static void watch(void *context)
{
    struct http_server *s = context;
    os_mutex_lock(&s->lock);
    while (!s->is_ending) {
        os_cond_wait_for(&s->ending, &s->lock, WATCH_EVERY_MS);
        int64_t now_ns = limit_now_ns(s);
        int64_t late_ns = now_ns - s->watched_ns - WATCH_EVERY_MS * INT64_C(1000000);
        s->watched_ns = now_ns;
        if (late_ns < STANDSTILL_MS * INT64_C(1000000))
            late_ns = 0;
        else
            count_standstill(s, late_ns);
        for (struct connection *c = s->connections; c != NULL; c = c->next)
            watch_connection(c, now_ns, late_ns);
    }
    os_mutex_unlock(&s->lock);
}

/* --- Start and stop ------------------------------------------------------------------------------ */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static enum status address_parse(struct str text, uint16_t port, union address *out,
                                 unsigned *flags, struct fault *f)
{
    char z[INET6_ADDRSTRLEN];
    memset(out, 0, sizeof(*out));
    if (str_to_z(text, z, sizeof(z)) && inet_pton(AF_INET, z, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return OK;
    }
    if (str_to_z(text, z, sizeof(z)) && inet_pton(AF_INET6, z, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        *flags |= IN6_IS_ADDR_UNSPECIFIED(&out->v6.sin6_addr) ? MHD_USE_DUAL_STACK : MHD_USE_IPv6;
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

enum status http_server_start(const struct http_server_options *options, struct http_server **out,
                              struct fault *f)
{
    must(options->threads >= 1);
    must(options->threads <= HTTP_THREADS_MAX);
    must(options->handler != NULL);
    must(options->limits.connections_max >= 1);

    union address address;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    enum status status = address_parse(options->address, options->port, &address, &flags, f);
    if (status != OK)
        return status;

    struct http_server *s = mem_new(sizeof(*s));
    s->options = *options;
    s->options.address = STR(""); /* borrowed, and not needed any more */
    atomic_init(&s->owners, 1);
    os_mutex_init(&s->lock);
    os_cond_init(&s->ended);
    os_cond_init(&s->ending);

    uint32_t connections = connections_within_limits(options->limits.connections_max);
    /* a pool of one is refused; one thread is no pool */
    unsigned pool = options->threads > 1 ? options->threads : 0;
    errno = 0;
    s->daemon = MHD_start_daemon(
        flags, options->port, accept_cb, s, access_cb, s, MHD_OPTION_SOCK_ADDR, &address.any,
        MHD_OPTION_THREAD_POOL_SIZE, pool, MHD_OPTION_CONNECTION_LIMIT,
        max_of(connections, options->threads), MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        options->limits.connections_per_ip_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        /* it clears all of it after each request: no more than must be */
        (size_t)options->limits.header_bytes_max + CONNECTION_ROOM, MHD_OPTION_CONNECTION_TIMEOUT,
        0u, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u,
        MHD_OPTION_URI_LOG_CALLBACK, target_cb, s, MHD_OPTION_NOTIFY_COMPLETED, completed_cb, s,
        MHD_OPTION_NOTIFY_CONNECTION, connection_cb, s, MHD_OPTION_END);
    if (s->daemon == NULL) {
        fault_set(f, "cannot listen on %.*s port %u: %s", STR_ARG(options->address), options->port,
                  errno != 0 ? strerror(errno) : "the HTTP library refused");
        server_release(s);
        return GIVE_UP;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    s->port = info != NULL ? info->port : options->port;
    s->watched_ns = limit_now_ns(s);
    status = os_thread_start(&s->watcher, "http-watch", watch, s, f);
    if (status != OK) {
        MHD_stop_daemon(s->daemon);
        server_release(s);
        return status;
    }
    *out = s;
    return OK;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

/* Waits, under the lock, until nothing is in flight or the time has passed. */
static void wait_for_flight(struct http_server *s, int64_t grace_ms)
{
    int64_t until_ns = os_clock_monotonic_ns() + grace_ms * 1000000;
    while (s->in_flight_count != 0) {
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
    for (struct http_request *r = s->in_flight; r != NULL; r = r->next) {
        int expected = REQUEST_PARKED;
        if (atomic_compare_exchange_strong(&r->state, &expected, REQUEST_FORCED))
            MHD_resume_connection(r->mhd);
    }
    wait_for_flight(s, min_of(grace_ms, 1000u)); /* for those answers to leave */
    s->is_ending = true;
    os_cond_wake_all(&s->ending);
    os_mutex_unlock(&s->lock);

    os_thread_join(&s->watcher);
    while (atomic_load(&s->answering) != 0)
        os_clock_sleep_ms(1); /* a resume is at its last instructions */
    MHD_stop_daemon(s->daemon);
    server_release(s);
}

struct http_counters http_server_counters(struct http_server *s)
{
    os_mutex_lock(&s->lock);
    uint64_t in_flight = s->in_flight_count;
    os_mutex_unlock(&s->lock);
    struct http_counters counters = {
        .connections = atomic_load(&s->connection_count),
        .requests = atomic_load(&s->request_count),
        .refused = atomic_load(&s->refused_count),
        .broken = atomic_load(&s->broken_count),
        .behind = atomic_load(&s->behind_count),
        .standstills = atomic_load(&s->standstill_count),
        .in_flight = in_flight,
        .open = atomic_load(&s->open_count),
    };
    for (size_t i = 0; i < HTTP_WAIT_END; i++)
        counters.timeouts[i] = atomic_load(&s->timeout_count[i]);
    return counters;
}
