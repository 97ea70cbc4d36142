/* server_call.h - a question to a `wend serve` that runs, over HTTP.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/fault.h"

struct server_call {
    const char *url;  /* "http://127.0.0.1:8080" */
    const char *path; /* "/v1/programme" */
    const char *key;  /* a server key */
    const char *body; /* NULL: GET, else POST */
};

/* Asks and waits. The answer's body is appended to `out`, its status is *http_status. GIVE_UP: nobody
 * answers there, or what comes is too long. */
enum status server_call(const struct server_call *call, struct buf *out, long *http_status,
                        struct fault *f) mustuse;
