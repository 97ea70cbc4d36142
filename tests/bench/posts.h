/* posts.h - a client for benches that posts events over HTTP: one thread, many keep-alive connections,
 * requests made beforehand.
 *
 *     closed loop   every connection asks again as soon as it has its answer: how much the server can do
 *     open loop     requests are due at moments fixed beforehand, whatever became of those before, and
 *                   the time of each counts from when it was due, also where no connection was free: a
 *                   server that stands still for a second cannot hide that nobody was let in meanwhile
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/thread.h"

#define POSTS_A_CONNECTION 900                             /* the server closes one after 1,000 */
#define POSTS_IDLE_NS      INT64_C(4000000000)             /* and who says nothing for longer */
#define POSTS_AUTH         "Authorization: Basic c2s6\r\n" /* sk: */

struct post_connection {
    int fd;
    uint32_t asked;  /* requests on this socket so far */
    int64_t due_ns;  /* when the one under way should have been sent */
    int64_t used_ns; /* when it was connected or gave its last answer */
    size_t head_len; /* of the request: everything but the body */
    size_t len;
    char *request;
    size_t heard;
    char answer[1024];
};

struct posts {
    struct os_thread thread;
    uint16_t port;
    uint32_t batch;       /* events in a request; 1 = a single post */
    uint32_t count;       /* connections */
    uint64_t left;        /* requests to be sent */
    uint64_t next;        /* number of the next event */
    const char *answered; /* how an answer begins: "HTTP/1.1 200" */
    int64_t interval_ns;  /* open loop: between two requests; 0 = closed loop */
    int64_t
        *times_ns; /* gets the time of each answer, in the order of answers; NULL: nobody asks */
    int core;      /* processor to stay on; -1 = any */

    int epoll;
    uint64_t answers;
    int64_t spent_ns; /* processor time of the client */
    struct post_connection *connections;
};

static inline void posts_fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

/* Keeps the calling thread, and all that it starts from then on, on one processor. */
static inline void posts_stay_on(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        posts_fail("a thread cannot be kept on a processor");
}

/* Each request is made once; of those that follow only the digits are written over. */
#define POSTS_FORM                                                                              \
    "{\"type\":\"track\",\"event\":\"Looked\",\"userId\":\"user-%05lu\","                       \
    "\"messageId\":\"bench-%016lx\","                                                           \
    "\"properties\":{\"order\":\"o-%016lu\",\"total\":49.5,\"currency\":\"EUR\",\"items\":3,"   \
    "\"path\":\"/products/tents/ultralight-2-person\"},"                                        \
    "\"context\":{\"library\":{\"name\":\"bench\",\"version\":\"1.0.0\"},\"locale\":\"en-GB\"," \
    "\"page\":{\"url\":\"https://shop.example/products/tents\",\"title\":\"Tents\"}}}"
#define POSTS_PERSON_AT  (sizeof("{\"type\":\"track\",\"event\":\"Looked\",\"userId\":\"user-") - 1)
#define POSTS_MESSAGE_AT (POSTS_PERSON_AT + 5 + sizeof("\",\"messageId\":\"bench-") - 1)
#define POSTS_ORDER_AT   (POSTS_MESSAGE_AT + 16 + sizeof("\",\"properties\":{\"order\":\"o-") - 1)

static inline void posts_lost(const struct post_connection *c)
{
    fprintf(stderr, "bench: request %u of a connection: the server hung up: %s, after \"%.*s\"\n",
            c->asked, strerror(errno), (int)c->heard, c->answer);
    exit(1);
}

static inline void posts_connect(const struct posts *p, struct post_connection *c)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(p->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event listen = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(c->fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        posts_fail("no connection");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    must(epoll_ctl(p->epoll, EPOLL_CTL_ADD, c->fd, &listen) == 0);
    c->asked = 0;
    c->used_ns = os_clock_monotonic_ns();
}

static inline void posts_digits(char *at, uint32_t digits, uint64_t number, uint32_t base)
{
    while (digits-- > 0) {
        at[digits] = "0123456789abcdef"[number % base];
        number /= base;
    }
}

static inline void posts_event(char *at, uint64_t number)
{
    posts_digits(at + POSTS_PERSON_AT, 5, number * 7919 % 100000, 10);
    posts_digits(at + POSTS_MESSAGE_AT, 16, number, 16);
    posts_digits(at + POSTS_ORDER_AT, 16, number, 10);
}

/* The request, with events that the numbers are yet to be written into. */
static inline void posts_make(const struct posts *p, struct post_connection *c)
{
    struct buf body, whole;
    buf_init(&body);
    buf_init(&whole);
    if (p->batch > 1)
        buf_add_str(&body, STR("{\"batch\":["));
    for (uint32_t i = 0; i < p->batch; i++) {
        if (i > 0)
            buf_add_byte(&body, ',');
        buf_printf(&body, POSTS_FORM, 0ul, 0ul, 0ul);
    }
    if (p->batch > 1)
        buf_add_str(&body, STR("]}"));
    buf_printf(&whole,
               "POST /v1/%s HTTP/1.1\r\nHost: bench\r\n" POSTS_AUTH
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               p->batch > 1 ? "batch" : "track", body.len);
    c->head_len = whole.len;
    buf_add_str(&whole, buf_str(&body));
    buf_fini(&body);
    c->len = whole.len;
    c->request = (char *)whole.at;
}

static inline void posts_ask(struct posts *p, struct post_connection *c, int64_t due_ns)
{
    char form[512];
    size_t event_len = (size_t)snprintf(form, sizeof(form), POSTS_FORM, 0ul, 0ul, 0ul);
    char *at = c->request + c->head_len + (p->batch > 1 ? sizeof("{\"batch\":[") - 1 : 0);
    bool is_old = os_clock_monotonic_ns() - c->used_ns > POSTS_IDLE_NS;
    if (c->asked++ == POSTS_A_CONNECTION || is_old) {
        close(c->fd);
        posts_connect(p, c);
    }
    for (uint32_t i = 0; i < p->batch; i++)
        posts_event(at + i * (event_len + 1), p->next++);
    p->left--;
    c->due_ns = due_ns;
    c->heard = 0;
    for (size_t sent = 0; sent < c->len;) {
        ssize_t some = send(c->fd, c->request + sent, c->len - sent, MSG_NOSIGNAL);
        if (some <= 0)
            posts_lost(c);
        sent += (size_t)some;
    }
}

/* Takes what has come; true once it is the whole answer. An answer of ours ends with a brace, one
 * without a body with its headers. */
static inline bool posts_hear(struct posts *p, struct post_connection *c)
{
    ssize_t got = recv(c->fd, c->answer + c->heard, sizeof(c->answer) - 1 - c->heard, 0);
    if (got <= 0)
        posts_lost(c);
    c->heard += (size_t)got;
    c->answer[c->heard] = 0;
    char last = c->answer[c->heard - 1];
    if (last != '}' && (last != '\n' || strstr(c->answer, "\r\n\r\n") == NULL ||
                        strstr(c->answer, "Content-Length") != NULL))
        return false;
    if (strncmp(c->answer, p->answered, strlen(p->answered)) != 0)
        posts_fail(c->answer);
    if (p->times_ns != NULL)
        p->times_ns[p->answers] = os_clock_monotonic_ns() - c->due_ns;
    p->answers++;
    c->used_ns = os_clock_monotonic_ns();
    return true;
}

static inline void posts_closed_loop(struct posts *p)
{
    struct epoll_event events[64];
    uint32_t waiting = 0;
    for (; waiting < p->count && p->left > 0; waiting++)
        posts_ask(p, &p->connections[waiting], os_clock_monotonic_ns());
    while (waiting > 0) {
        int count = epoll_wait(p->epoll, events, array_count(events), -1);
        for (int i = 0; i < count; i++) {
            struct post_connection *c = events[i].data.ptr;
            if (!posts_hear(p, c))
                continue;
            if (p->left > 0)
                posts_ask(p, c, os_clock_monotonic_ns());
            else
                waiting--;
        }
    }
}

/* Looks at the clock and at the sockets in turn, without ever sleeping: it has its own processor. */
static inline void posts_open_loop(struct posts *p)
{
    struct epoll_event events[64];
    struct post_connection **idle = mem_new(p->count * sizeof(struct post_connection *));
    uint32_t idle_count = 0;
    int64_t due_ns = os_clock_monotonic_ns() + p->interval_ns;
    for (uint32_t i = 0; i < p->count; i++)
        idle[idle_count++] = &p->connections[i];
    while (p->left > 0 || idle_count < p->count) {
        while (p->left > 0 && idle_count > 0 && due_ns <= os_clock_monotonic_ns()) {
            posts_ask(p, idle[--idle_count], due_ns);
            due_ns += p->interval_ns;
        }
        int count = epoll_wait(p->epoll, events, array_count(events), 0);
        for (int i = 0; i < count; i++)
            if (posts_hear(p, events[i].data.ptr))
                idle[idle_count++] = events[i].data.ptr;
    }
    mem_free(idle);
}

/* A thread's function: sends p->left requests and hears their answers. */
static inline void posts_run(void *context)
{
    struct posts *p = context;
    if (p->core >= 0)
        posts_stay_on(p->core);
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->connections = mem_new(p->count * sizeof(p->connections[0]));
    for (uint32_t i = 0; i < p->count; i++) {
        posts_make(p, &p->connections[i]);
        posts_connect(p, &p->connections[i]);
    }
    if (p->interval_ns > 0)
        posts_open_loop(p);
    else
        posts_closed_loop(p);
    for (uint32_t i = 0; i < p->count; i++) {
        close(p->connections[i].fd);
        mem_free(p->connections[i].request);
    }
    close(p->epoll);
    mem_free(p->connections);
    p->spent_ns = os_clock_thread_ns();
}
