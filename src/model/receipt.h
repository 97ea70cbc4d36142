/* receipt.h - what became of an attempt, as a record says it.
 *
 * The outbox writes accepted, temporary, rejected_*, in_doubt and gave_up; channels write the rest
 * when a provider reports later. `record.cause` is the decision.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/record.h"

/* Numbers are written to disk: append only. */
enum receipt_kind {
    RECEIPT_ACCEPTED = 1,     /* the provider took it: sent */
    RECEIPT_TEMPORARY,        /* not accepted for now; the outbox tries again within the grant */
    RECEIPT_REJECTED_ADDRESS, /* never to this address: suppress it */
    RECEIPT_REJECTED_MESSAGE, /* never this message; the address is fine */
    RECEIPT_REJECTED_POLICY,  /* reputation or policy: the stream pauses, nobody is suppressed */
    RECEIPT_IN_DOUBT,         /* the answer was lost: it may or may not have been accepted */
    RECEIPT_GAVE_UP,          /* known not accepted, and no time is left to try again */
    RECEIPT_ABORTED,          /* the template aborted or could not be rendered */
    RECEIPT_DELIVERED,
    RECEIPT_BOUNCED,   /* after acceptance; code says whether the address is bad (5xx of class 1) */
    RECEIPT_TASK_DONE, /* by people, through the API; `by` in detail */
    RECEIPT_TASK_DECLINED,
    RECEIPT_KIND_END,
};

struct receipt {
    enum receipt_kind kind;
    uint64_t profile;
    uint64_t decision;
    uint32_t attempt;  /* k: 1, 2, ... */
    uint32_t provider; /* name */
    int32_t code;      /* SMTP or HTTP status; 0 = none */
    uint32_t tries;    /* transmissions of the attempt so far; 0 = not said */
    int64_t again_ms;  /* TEMPORARY: when the next one is made; 0 = not said */
    struct str detail; /* the provider's words; personal; may be empty */
    struct body saved; /* of a call's answer, by plan_save.name; read: all personal fields */
};

/* Fills `out`, whose bodies are written to the buffers and borrowed from them. The caller sets
 * out->at_ms and arrival later (the committer does). */
void receipt_write(const struct receipt *in, int64_t now_ms, struct buf *clear,
                   struct buf *personal, struct record *out);

/* Reads a RECORD_RECEIPT; false if fields are missing or out of range. */
bool receipt_read(const struct record *in, struct receipt *out) mustuse;

/* "accepted", "in_doubt", ... */
const char *receipt_name(enum receipt_kind kind);
