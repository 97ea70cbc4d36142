/* decide.h - POST /v1/decide: what does this place show this person now?
 *
 * The request is read by the thread that has it, and answered by the engine's, between two batches. Nothing is
 * written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "http/server.h"

struct vocabulary;

/* Lives in the request's arena. */
struct decide_question {
    struct str placement;
    struct id128 user;      /* keyed hashes; not set = not said */
    struct id128 anonymous; /* where the user id is not known, or is not there */
    struct body page;       /* what is known of the page, by names that the programme may know */
    bool explains;
};

/* Reads the body of a POST, or the parameters of a GET; NULL: it has been answered 400. */
struct decide_question *decide_read(struct http_request *request, struct vocabulary *vocabulary,
                                    const uint8_t *secret);

/* Appends the answer; false: there is no such placement. */
bool decide_answer(struct engine *e, const struct decide_question *q, int64_t now_ms,
                   struct buf *out);
