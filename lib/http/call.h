/* call.h - one question to an HTTP server, and its answer: for commands, not for the daemon (channel/transport.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/fault.h"

struct http_call {
    const char *url;  /* "http://127.0.0.1:8080" */
    const char *path; /* "/v1/programme" */
    const char *key;  /* the user of Basic authorization, without a password */
    const char *body; /* NULL: GET, else POST */
};

/* Asks and waits. The answer's body is appended to `out`, its status is *http_status. GIVE_UP: nobody
 * answers there, or what comes is too long. */
enum status http_call(const struct http_call *call, struct buf *out, long *http_status,
                      struct fault *f) mustuse;
