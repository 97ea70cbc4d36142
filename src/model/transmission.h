/* transmission.h - what came of one try to hand a message to a provider.
 *
 * A channel answers with one of these, the outbox decides what follows from it (try again, pause,
 * report). It is finer than a receipt (receipt.h), which is what the engine learns in the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

enum transmission_outcome {
    TRANSMISSION_ACCEPTED = 1, /* the provider took the message */
    TRANSMISSION_SOFT,      /* not now, and it is this recipient's matter: mailbox full, greylist */
    TRANSMISSION_SLOW_DOWN, /* not now: we are too fast for the provider */
    TRANSMISSION_UNREACHABLE, /* not now: no connection, or lost before acceptance was possible */
    TRANSMISSION_NO_ACCESS, /* our credential is refused: no message will pass until it is mended */
    TRANSMISSION_BAD_ADDRESS, /* never to this address */
    TRANSMISSION_BAD_MESSAGE, /* never this message; the address is fine */
    TRANSMISSION_POLICY,      /* refused by reputation or policy: the stream should pause */
    TRANSMISSION_GONE,        /* the provider's endpoint says it is gone for good (HTTP 410) */
    TRANSMISSION_IN_DOUBT,    /* sent whole, and the answer never came: may have been accepted */
    TRANSMISSION_ABORTED,     /* nothing was sent: the template aborted or could not be rendered */
    TRANSMISSION_OUTCOME_END,
};

#define TRANSMISSION_DETAIL_BYTES 240

struct transmission {
    enum transmission_outcome outcome;
    int32_t code;           /* SMTP or HTTP status; 0 = none came */
    uint8_t enhanced[3];    /* RFC 3463 status 5.1.1 as {5, 1, 1}; all 0 = none came */
    bool is_fresh;          /* a new connection was made for it */
    int64_t retry_after_ms; /* the provider asks for this much patience; 0 = it did not say */
    char detail
        [TRANSMISSION_DETAIL_BYTES]; /* the provider's words, or what went wrong; a NUL ends it */
    struct str
        answer; /* ACCEPTED, of a call: the answer's body, good until the connection sends again;
                        * not kept by whoever keeps the rest */
};

/* "accepted", "slow_down", ... */
const char *transmission_name(enum transmission_outcome outcome);

/* Nothing was accepted and the same message may be tried again. */
bool transmission_is_retriable(enum transmission_outcome outcome);
