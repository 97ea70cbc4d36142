/* sink.h - a mail server for benches: a few threads of this process that speak as much SMTP as Wend
 * needs, take commands that come together, answer at once, and keep nothing but the moment at which the
 * last mail's final dot came.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/clock.h"
#include "os/thread.h"

#define SINK_CALLS_MAX 64

struct sink {
    int listener;
    uint16_t port;
    struct os_thread acceptor;
    struct os_thread talkers[SINK_CALLS_MAX];
    uint32_t count;
    atomic_llong last_ns;   /* when the last final dot was read */
    struct os_queue *mails; /* gets that moment of each mail; NULL: nobody waits for them */
};

struct sink_call {
    struct sink *sink;
    int socket;
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
static inline size_t sink_answer(struct sink_call *call, char *at, size_t len, bool *is_data)
{
    static const char dot[] = "\r\n.\r\n";
    char out[1024] = "";
    size_t done = 0, bytes = 0;
    while (done < len && bytes < sizeof(out) - 128) {
        const char *reply = "250 Ok\r\n";
        if (*is_data) {
            const char *end = memmem(at + done, len - done, dot, 5);
            if (end == NULL) {
                done = max_of(done, len - min_of(len, (size_t)4)); /* a dot's beginning, perhaps */
                break;
            }
            done = (size_t)(end - at) + 5;
            sink_note(call->sink);
            *is_data = false;
        } else {
            const char *end = memchr(at + done, '\n', len - done);
            if (end == NULL)
                break;
            reply = sink_reply(at + done);
            *is_data = reply[0] == '3';
            done = (size_t)(end - at) + 1;
        }
        bytes += (size_t)snprintf(out + bytes, sizeof(out) - bytes, "%s", reply);
    }
    if (bytes > 0)
        sink_say(call->socket, out);
    memmove(at, at + done, len - done);
    return len - done;
}

static inline void sink_talk(void *context)
{
    struct sink_call *call = context;
    char at[65536];
    size_t len = 0;
    bool is_data = false;
    sink_say(call->socket, "220 sink\r\n");
    for (;;) {
        ssize_t got = recv(call->socket, at + len, sizeof(at) - len, 0);
        if (got <= 0)
            break;
        len = sink_answer(call, at, len + (size_t)got, &is_data);
    }
    close(call->socket);
    mem_free(call);
}

static inline void sink_take_calls(void *context)
{
    struct sink *s = context;
    for (;;) {
        int socket = accept(s->listener, NULL, NULL);
        if (socket < 0 || s->count == SINK_CALLS_MAX)
            return;
        int on = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        struct sink_call *call = mem_new(sizeof(*call));
        *call = (struct sink_call){s, socket};
        must(os_thread_start(&s->talkers[s->count], "sink", sink_talk, call, NULL) == OK);
        s->count++;
    }
}

/* Listens on a port of this machine that the system picks. */
static inline void sink_start(struct sink *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(to);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(s->listener, (struct sockaddr *)&to, sizeof(to)) == 0);
    must(listen(s->listener, 64) == 0);
    must(getsockname(s->listener, (struct sockaddr *)&to, &bytes) == 0);
    s->port = ntohs(to.sin_port);
    must(os_thread_start(&s->acceptor, "accept", sink_take_calls, s, NULL) == OK);
}

/* The other sides have hung up, or do so meanwhile. */
static inline void sink_stop(struct sink *s)
{
    shutdown(s->listener, SHUT_RDWR);
    os_thread_join(&s->acceptor);
    close(s->listener);
    for (uint32_t i = 0; i < s->count; i++)
        os_thread_join(&s->talkers[i]);
}
