/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/smtp_wire.h"

#include <poll.h>

#include "os/clock.h"

#define LOOK_MS INT64_C(250) /* how often a wait looks whether it should end */

CURLcode smtp_wire_open(struct smtp_wire *w, CURL *easy, bool is_plain,
                        const struct channel_stop *stop)
{
    w->easy = easy;
    w->is_plain = is_plain;
    w->stop = stop;
    w->at = w->end = 0;
    w->socket = CURL_SOCKET_BAD;
    CURLcode code = curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &w->socket);
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
    if (w->is_plain) /* it has only just been asked: most often there is no answer yet */
        code = wait_for(w, POLLIN);
    while (code == CURLE_AGAIN) {
        code = curl_easy_recv(w->easy, w->in + w->end, sizeof(w->in) - w->end, &bytes);
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
