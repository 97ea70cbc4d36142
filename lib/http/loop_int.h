/* loop_int.h - for lib/http alone: a server, its loops, and their connections.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <netinet/in.h>

#include "base/mem.h"
#include "http/http_int.h"
#include "os/thread.h"

#define HTTP_CACHE_LINE  64
#define HTTP_DATE_BYTES  29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */
#define HTTP_PEER_SLOTS  1024
#define HTTP_SCRATCH     (64 * 1024) /* most bytes that one read takes */
#define HTTP_SPARES_MAX  64          /* requests that a loop keeps for the next ones */
#define HTTP_CHAIN_BYTES (64 * 1024) /* what is larger is given back after its request */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* One more of what the server's figures tell. */
static inline void http_count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

enum connection_phase {
    PHASE_READING, /* a request, or nothing yet */
    PHASE_PARKED,  /* whoever has to answer has the request */
    PHASE_WRITING, /* its answer */
    PHASE_LEAVING, /* nothing more is sent; what still comes is not looked at */
};

struct connection {
    struct http_loop *loop;
    struct connection *previous; /* of the loop, under its lock */
    struct connection *next;
    struct connection *next_again; /* of those that have more to do at once */
    int fd;                        /* -1: closed, and still in that list */
    uint8_t phase;                 /* enum connection_phase */
    bool may_read;                 /* the last read took all its room, or more has come since */
    bool reads_to_end;             /* a read that found less is no sign that there is no more */
    bool is_starved;               /* what is in `in` is no whole head */
    bool is_again;
    bool closes;            /* after the answer that is being written */
    uint32_t request_count; /* whole heads */
    struct http_request *request;
    struct buf in;     /* bytes that came and were not used yet; nothing while it is idle */
    size_t in_at;      /* used of them */
    uint64_t left_out; /* bytes read while it leaves */
    atomic_int_fast64_t deadline_ns; /* shut down after this; 0 = none */
    atomic_int wait;                 /* enum http_wait, for what; HTTP_WAIT_END: for its leaving */
    int64_t given_ns;                /* watcher's: the deadline it set as more time, and how */
    uint32_t given_count;            /* often in a row */
    char client[INET6_ADDRSTRLEN];   /* its address as text */
};

struct http_loop {
    /* written by any thread */
    _Alignas(HTTP_CACHE_LINE) atomic_bool is_asleep;
    _Atomic(struct http_request *) answered; /* the latest first */
    _Atomic(struct connection *) arrived;    /* taken in by another loop, the latest first */
    atomic_int answering;                    /* http_answer() calls that may touch this loop */

    /* written by its own thread */
    _Alignas(HTTP_CACHE_LINE) struct http_server *server;
    struct os_thread thread;
    struct os_mutex lock; /* over the list: changed by its thread, walked by the watcher */
    struct connection *connections;
    struct connection *again;
    struct connection **again_end;
    struct http_request *spares;
    uint32_t spare_count;
    uint32_t parked_count;
    int epoll_fd;
    int wake_fd;
    bool is_forced;    /* parks nothing any more */
    bool is_accepting; /* the listener is in its epoll */
    bool has_thread;
    int64_t accept_at_ns; /* look for new clients again, if not accepting */
    int64_t date_s;       /* what `date` says */
    char date[HTTP_DATE_BYTES + 1];
    uint8_t *scratch;
    atomic_uint in_flight;
    atomic_uint open;
    atomic_uint_fast64_t connection_count;
    atomic_uint_fast64_t request_count;
    atomic_uint_fast64_t refused_count;
    atomic_uint_fast64_t broken_count;
    atomic_uint_fast64_t accept_failures;
};

/* How many connections one client has, where that is limited. */
struct http_peer {
    struct http_peer *next;
    uint32_t count;
    char client[INET6_ADDRSTRLEN];
};

struct http_server {
    atomic_int owners; /* http_server_stop(), and each request that it did not wait for */
    struct http_server_options options;
    uint16_t port;
    uint32_t connections_max; /* within what the process may have */
    int listener;
    struct os_thread watcher;
    atomic_uint open;
    atomic_bool is_stopping;
    atomic_bool is_forced; /* the grace is over: nothing is parked any more */
    atomic_bool is_over;   /* the loops shall end */

    struct os_mutex lock;
    struct os_cond ended;  /* a request has ended while the server stops */
    struct os_cond ending; /* the watcher shall look at is_ending */
    bool is_ending;        /* the watcher shall end */
    int64_t watched_ns;    /* when the watcher last looked, or was started */
    struct http_peer *peers[HTTP_PEER_SLOTS];

    atomic_uint_fast64_t timeout_count[HTTP_WAIT_END];
    atomic_uint_fast64_t behind_count;
    atomic_uint_fast64_t standstill_count;
    atomic_int_fast64_t stood_still_ns; /* in all */

    struct http_loop loops[HTTP_THREADS_MAX];
};

/* --- server.c --- */

void http_server_release(struct http_server *s);

/* Now, by the clock of time limits. */
int64_t http_limit_now_ns(const struct http_server *s);

/* --- loop.c --- */

/* Makes a loop of what is all zero; http_loop_fini() ends it. */
void http_loop_init(struct http_loop *loop, struct http_server *s);

/* Starts its thread; the server listens already. */
enum status http_loop_start(struct http_loop *loop, struct fault *f) mustuse;

/* Its thread has ended, or was never started. */
void http_loop_fini(struct http_loop *loop);

/* Runs on its thread until the server is over. */
void http_loop_run(void *loop);

/* Wakes it, asleep or not: the server has something to say. */
void http_loop_call(struct http_loop *loop);

/* Any thread: a parked request has its answer. It is the loop's from here on. */
void http_loop_answered(struct http_loop *loop, struct http_request *r);

/* --- answer.c --- */

/* Makes the first lines: r->answer is whole. */
void http_answer_begin(struct http_request *r, struct str date, bool closes);
