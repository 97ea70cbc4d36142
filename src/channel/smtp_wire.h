/* smtp_wire.h - text and replies over a connection that libcurl has opened (and secured, and logged in).
 *
 * libcurl hands such a connection over with CURLOPT_CONNECT_ONLY; curl_easy_send() and curl_easy_recv()
 * pass bytes through its TLS. What they cannot do they do not wait for: the waiting is here, up to a
 * moment, and ends early when somebody asks for it.
 *
 * Every function answers CURLE_OK, CURLE_OPERATION_TIMEDOUT, CURLE_ABORTED_BY_CALLBACK (a stop was
 * asked) or why the connection is of no use any more.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <curl/curl.h>

#include "base/str.h"
#include "channel/channel_int.h"
#include "channel/smtp_reply.h"

#define SMTP_WIRE_BYTES 4096

struct smtp_wire {
    CURL *easy;
    curl_socket_t socket;
    const struct channel_stop *stop;
    bool is_patient;  /* no TLS: what is not in the socket is nowhere, and reading it waits */
    int64_t until_ns; /* os_clock_monotonic_ns(); nothing is waited for after it */
    size_t at, end;   /* of `in`: came and was not read */
    char in[SMTP_WIRE_BYTES];
};

/* Takes over what `easy` has connected to. `is_plain`: certainly without TLS; then answers are waited for
 * while they are read, which is two calls to the system less for each. */
CURLcode smtp_wire_open(struct smtp_wire *w, CURL *easy, bool is_plain,
                        const struct channel_stop *stop);

/* Writes all of `text`. *taken: how many bytes the connection took, whatever the answer is. */
CURLcode smtp_wire_write(struct smtp_wire *w, struct str text, size_t *taken);

/* Reads lines until *out, which it empties first, is a whole reply. */
CURLcode smtp_wire_reply(struct smtp_wire *w, struct smtp_reply *out);

/* Has the server said more than was read? Then it is not known what it answers. */
static inline bool smtp_wire_has_rest(const struct smtp_wire *w)
{
    return w->at < w->end;
}
