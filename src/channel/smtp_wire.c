/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/smtp_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "os/clock.h"

#define LOOK_MS INT64_C(250) /* how often a wait looks whether it should end */

/* From now on a call waits in the system, LOOK_MS at most, for what it reads or has no room for. */
static bool make_patient(int socket)
{
    const struct timeval most = {.tv_usec = LOOK_MS * 1000};
    int flags = fcntl(socket, F_GETFL);
    return flags >= 0 && setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)) == 0 &&
           setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most)) == 0 &&
           fcntl(socket, F_SETFL, flags & ~O_NONBLOCK) == 0;
}

CURLcode smtp_wire_open(struct smtp_wire *w, CURL *easy, bool is_plain,
                        const struct channel_stop *stop)
{
    w->easy = easy;
    w->stop = stop;
    w->at = w->end = 0;
    w->socket = CURL_SOCKET_BAD;
    CURLcode code = curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &w->socket);
    w->is_patient = is_plain && w->socket != CURL_SOCKET_BAD && make_patient(w->socket);
    return code == CURLE_OK && w->socket == CURL_SOCKET_BAD ? CURLE_COULDNT_CONNECT : code;
}

/* CURLE_AGAIN: it is worth another try. */
static CURLcode wait_for(const struct smtp_wire *w, short what)
{
    int64_t left_ms = (w->until_ns - os_clock_monotonic_ns() + 999999) / 1000000;
    if (channel_stop_is_asked(w->stop))
        return CURLE_ABORTED_BY_CALLBACK;
    if (left_ms <= 0)
        return CURLE_OPERATION_TIMEDOUT;
    struct pollfd p = {.fd = w->socket, .events = what};
    (void)poll(&p, 1, (int)min_of(left_ms, LOOK_MS));
    return CURLE_AGAIN;
}

CURLcode smtp_wire_write(struct smtp_wire *w, struct str text, size_t *taken)
{
    CURLcode code = CURLE_OK;
    *taken = 0;
    while (*taken < text.len && (code == CURLE_OK || code == CURLE_AGAIN)) {
        size_t bytes = 0;
        code = curl_easy_send(w->easy, text.at + *taken, text.len - *taken, &bytes);
        if (code == CURLE_OK)
            *taken += bytes;
        else if (code == CURLE_AGAIN)
            code = wait_for(w, POLLOUT);
    }
    return code;
}

/* Reads from the socket itself, and waits there: it has only just been asked, so that most often there is no
 * answer yet. */
static CURLcode read_patiently(struct smtp_wire *w, char *at, size_t room, size_t *bytes)
{
    if (channel_stop_is_asked(w->stop))
        return CURLE_ABORTED_BY_CALLBACK;
    bool is_long = w->until_ns - os_clock_monotonic_ns() >= LOOK_MS * 1000000;
    CURLcode code = is_long ? CURLE_AGAIN : wait_for(w, POLLIN);
    if (code != CURLE_AGAIN)
        return code;
    ssize_t got = recv(w->socket, at, room, is_long ? 0 : MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? CURLE_AGAIN : CURLE_RECV_ERROR;
    *bytes = (size_t)got;
    return CURLE_OK;
}

/* More of what the server says. */
static CURLcode fill(struct smtp_wire *w)
{
    size_t bytes = 0;
    CURLcode code = CURLE_AGAIN;
    memmove(w->in, w->in + w->at, w->end - w->at);
    w->end -= w->at;
    w->at = 0;
    if (w->end == sizeof(w->in)) /* no line is as long as that */
        w->end = 0;
    char *at = w->in + w->end;
    size_t room = sizeof(w->in) - w->end;
    while (code == CURLE_AGAIN) {
        if (w->is_patient) {
            code = read_patiently(w, at, room, &bytes);
            continue;
        }
        code = curl_easy_recv(w->easy, at, room, &bytes);
        if (code == CURLE_AGAIN)
            code = wait_for(w, POLLIN);
    }
    if (code == CURLE_OK && bytes == 0)
        return CURLE_RECV_ERROR; /* it has hung up */
    w->end += bytes;
    return code;
}

CURLcode smtp_wire_reply(struct smtp_wire *w, struct smtp_reply *out)
{
    *out = (struct smtp_reply){0};
    while (!out->is_complete) {
        const char *line = w->in + w->at;
        const char *end = memchr(line, '\n', w->end - w->at);
        if (end == NULL) {
            CURLcode code = fill(w);
            if (code != CURLE_OK)
                return code;
            continue;
        }
        w->at += (size_t)(end - line) + 1;
        smtp_reply_line(out, (struct str){line, (size_t)(end - line)});
    }
    return CURLE_OK;
}
