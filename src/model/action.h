/* action.h - effects leave the engine only as actions, after the batch that caused them is durable.
 *
 * A granted attempt in a durable batch *is* the start of the attempt: there is no second write. Its
 * id (profile, decision, k) is its idempotency key everywhere (Message-ID, webhook-id).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/hash.h"
#include "base/value.h"
#include "model/terms.h"

enum action_type {
    ACTION_ATTEMPT = 1, /* transmit this message now; answer with receipts */
};

#define ATTEMPT_ID_BYTES 48 /* "1f-9c0a1b2c3d4e5f60-1" and a NUL */

struct action {
    uint8_t type;     /* enum action_type */
    uint8_t channel;  /* enum channel */
    uint8_t lane;     /* enum lane */
    uint8_t attempts; /* enum attempts: what to do in doubt */
    uint32_t attempt; /* k */
    uint64_t profile;
    uint64_t decision;
    uint32_t plan;     /* number of the plan version whose template and provider are meant */
    uint16_t message;  /* index in that plan */
    uint16_t provider; /* index in that plan */
    uint32_t message_name;
    uint32_t journey_name;
    int64_t granted_ms;
    int64_t deadline_ms; /* no attempt may start after it */
    struct str address;  /* the person's address on the channel; empty for webhook */
    struct str zone; /* name of the zone on whose clock templates show times: the person's; empty =
                            the programme's */
    uint32_t field_count;
    const struct value *fields; /* parallel to plan_message.fields */
};

/* An attempt under way is not to be tried again; a receipt says what became of it, as ever. */
struct recall {
    uint64_t profile;
    uint64_t decision;
    uint32_t attempt;
};

/* "PROFILE-DECISION-K" in hex, NUL-terminated, into out. */
void attempt_id_print(uint64_t profile, uint64_t decision, uint32_t attempt,
                      char out[ATTEMPT_ID_BYTES]);

/* Reads what attempt_id_print wrote; false for anything else. */
bool attempt_id_parse(struct str text, uint64_t *profile, uint64_t *decision,
                      uint32_t *attempt) mustuse;
