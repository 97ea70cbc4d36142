/* sink.h - a mail server for benches: one thread of this process that speaks as much SMTP as Wend
 * needs, takes commands that come together, answers at once, and keeps nothing but the moment at which the
 * last mail's final dot came.
 *
 * It takes the processors that Wend would have if the mail server were elsewhere, as it is, so it takes as
 * little as it can: one thread looks after all calls, and is woken once for all that have spoken.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/clock.h"
#include "os/thread.h"

#define SINK_CALLS_MAX 64
#define SINK_CALL_ROOM 65536

struct sink_call {
    struct sink *sink;
    int socket;
    bool is_data;
    size_t len;
    char at[SINK_CALL_ROOM];
};

struct sink {
    int listener;
    int watch; /* epoll; NULL stands for the listener there */
    uint16_t port;
    struct os_thread thread;
    struct sink_call *calls[SINK_CALLS_MAX];
    uint32_t count;
    atomic_llong last_ns;   /* when the last final dot was read */
    struct os_queue *mails; /* gets that moment of each mail; NULL: nobody waits for them */
};

static inline void sink_say(int socket, const char *text)
{
    if (send(socket, text, strlen(text), MSG_NOSIGNAL) < 0)
        shutdown(socket, SHUT_RDWR);
}

static inline void sink_note(struct sink *s)
{
    int64_t now_ns = os_clock_monotonic_ns();
    atomic_store(&s->last_ns, now_ns);
    if (s->mails != NULL)
        must(os_queue_push(s->mails, &now_ns) == OK);
}

/* What one command is answered with. */
static inline const char *sink_reply(const char *line)
{
    return memcmp(line, "EHLO", 4) == 0   ? "250-sink\r\n250-PIPELINING\r\n250 SIZE 50000000\r\n"
           : memcmp(line, "DATA", 4) == 0 ? "354 go on\r\n"
                                          : "250 Ok\r\n";
}

/* Answers what is whole in `at`, all at once; returns how much of it is to be kept. */
static inline size_t sink_answer(struct sink_call *call, char *at, size_t len)
{
    static const char dot[] = "\r\n.\r\n";
    char out[1024] = "";
    size_t done = 0, bytes = 0;
    while (done < len && bytes < sizeof(out) - 128) {
        const char *reply = "250 Ok\r\n";
        if (call->is_data) {
            const char *end = memmem(at + done, len - done, dot, 5);
            if (end == NULL) {
                done = max_of(done, len - min_of(len, (size_t)4)); /* a dot's beginning, perhaps */
                break;
            }
            done = (size_t)(end - at) + 5;
            sink_note(call->sink);
            call->is_data = false;
        } else {
            const char *end = memchr(at + done, '\n', len - done);
            if (end == NULL)
                break;
            reply = sink_reply(at + done);
            call->is_data = reply[0] == '3';
            done = (size_t)(end - at) + 1;
        }
        bytes += (size_t)snprintf(out + bytes, sizeof(out) - bytes, "%s", reply);
    }
    if (bytes > 0)
        sink_say(call->socket, out);
    memmove(at, at + done, len - done);
    return len - done;
}

static inline void sink_listen(struct sink_call *call)
{
    ssize_t got = recv(call->socket, call->at + call->len, sizeof(call->at) - call->len, 0);
    if (got > 0) {
        call->len = sink_answer(call, call->at, call->len + (size_t)got);
        return;
    }
    close(call->socket);
    call->socket = -1;
}

/* False: the end. */
static inline bool sink_take_call(struct sink *s)
{
    int socket = accept(s->listener, NULL, NULL), on = 1;
    if (socket < 0 || s->count == SINK_CALLS_MAX)
        return false;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct sink_call *call = mem_new(sizeof(*call));
    *call = (struct sink_call){.sink = s, .socket = socket};
    s->calls[s->count++] = call;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = call};
    must(epoll_ctl(s->watch, EPOLL_CTL_ADD, socket, &event) == 0);
    sink_say(socket, "220 sink\r\n");
    return true;
}

static inline void sink_work(void *context)
{
    struct sink *s = context;
    struct epoll_event events[SINK_CALLS_MAX];
    for (;;) {
        int count = epoll_wait(s->watch, events, array_count(events), -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr != NULL)
                sink_listen(events[i].data.ptr);
            else if (!sink_take_call(s))
                return;
        }
    }
}

/* Listens on a port of this machine that the system picks. */
static inline void sink_start(struct sink *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(to);
    struct epoll_event event = {.events = EPOLLIN};
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    s->watch = epoll_create1(EPOLL_CLOEXEC);
    must(bind(s->listener, (struct sockaddr *)&to, sizeof(to)) == 0);
    must(listen(s->listener, 64) == 0);
    must(getsockname(s->listener, (struct sockaddr *)&to, &bytes) == 0);
    must(epoll_ctl(s->watch, EPOLL_CTL_ADD, s->listener, &event) == 0);
    s->port = ntohs(to.sin_port);
    must(os_thread_start(&s->thread, "sink", sink_work, s, NULL) == OK);
}

/* The other sides have hung up, or do so meanwhile. */
static inline void sink_stop(struct sink *s)
{
    shutdown(s->listener, SHUT_RDWR);
    os_thread_join(&s->thread);
    close(s->listener);
    close(s->watch);
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->calls[i]->socket >= 0)
            close(s->calls[i]->socket);
        mem_free(s->calls[i]);
    }
}
