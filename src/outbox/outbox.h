/* outbox.h - from a granted attempt to its one receipt: which transmission starts when, on which slot.
 *
 *                  outbox_take()                          outbox_result()
 *     granted ──────► due ──START slot──► in flight ───────────┬─ accepted, rejected ──► REPORT, gone
 *                      ▲                                       │
 *                      └──── waiting until its retry time ◄────┴─ temporary: REPORT temporary
 *                                    │
 *                                    └─ deadline ──► REPORT gave_up (or in_doubt), gone
 *
 * The engine has granted the attempt, and that is durable, before the outbox sees it. The outbox
 * decides timing only; it moves no bytes and reads no clock. The server calls outbox_take() and
 * outbox_result() as things happen, then outbox_next() until it answers OUTBOX_IDLE, carries out each
 * order, and calls again at outbox_wake_ms() at the latest. The same calls give the same orders.
 *
 * What it promises, whatever the calls:
 *   - never more transmissions in flight at a provider than it has slots;
 *   - each attempt ends in exactly one final receipt, after any number of RECEIPT_TEMPORARY;
 *   - no transmission starts at or after the attempt's deadline;
 *   - an attempt whose lane is at-most-once is never transmitted again after a transmission in doubt.
 *
 * How it chooses. Back-off is "full jitter": after try k, a hash of (attempt, k) picks a point in
 * 0 .. first * 2^(k-1), so that what failed together does not come back together; a provider's
 * Retry-After is the least. Retries cost from a budget that first transmissions fill, so that a
 * provider in trouble gets a fifth more work from us and not twice as much. A breaker per provider
 * (a provider has one credential): five failures of the provider itself in a row open it, a refused
 * credential at once, a webhook's 410 for good; while it is open messages are kept, then one probe at
 * a time tries. Of what may start, the lowest priority number goes first, then the earliest deadline,
 * then the oldest. Slots are taken from the lowest number up, so that few connections stay warm.
 *
 * Once a transmission was in doubt, the attempt can no longer end as "known not accepted": it ends
 * accepted, rejected for its address, or in doubt.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/fault.h"
#include "model/receipt.h"
#include "model/transmission.h"

#define OUTBOX_PROVIDERS_MAX 64
#define OUTBOX_SLOTS_MAX     256   /* of one provider */
#define OUTBOX_HELD_MAX      65536 /* attempts held at once, all providers */

/* When to try again, and when to leave a provider alone. outbox_retry_standard() fills it. */
struct outbox_retry {
    int64_t first_ms;         /* the first back-off is a random part of this ... */
    int64_t most_ms;          /* ... which doubles with each try up to this */
    const int64_t *delays_ms; /* or a fixed plan, each +- 10 %; NULL = exponential */
    uint32_t delays_count;    /* after the last of them the attempt is given up */
    uint32_t
        budget_percent; /* retries are at most this part of first transmissions, 1 .. 100 ... */
    uint32_t budget_reserve;   /* ... and this many saved up, at least 1 */
    int64_t budget_refill_ms;  /* one more is saved up each so often, traffic or not */
    uint32_t breaker_failures; /* so many failures of the provider in a row open its breaker */
    int64_t breaker_first_ms;  /* it stays open this long at first ... */
    int64_t breaker_most_ms;   /* ... doubling up to this while probes fail */
    int64_t
        pause_first_ms;    /* "too fast" and "refused by policy" pause the provider this long ... */
    int64_t pause_most_ms; /* ... doubling up to this until something is accepted */
};

/* 5 s doubling to 30 min; 20 % beyond 100, one more a second; 5 failures for 10 s doubling to 5 min;
 * pauses of 1 s doubling to 5 min. */
void outbox_retry_standard(struct outbox_retry *out);

enum outbox_lane {
    OUTBOX_AT_MOST_ONCE = 0, /* in doubt ends it */
    OUTBOX_AT_LEAST_ONCE,    /* in doubt is tried again */
};

struct outbox_attempt {
    uint64_t profile;
    uint64_t
        decision; /* decision and attempt together are its id, whoever is whose profile by now */
    uint32_t attempt;  /* k of the decision: 1, 2, ... */
    uint32_t provider; /* index from outbox_add_provider() */
    void *context;     /* only carried through to the orders */
    enum outbox_lane lane;
    uint32_t priority;   /* lower goes first */
    int64_t deadline_ms; /* no transmission starts at it or after it */
};

enum outbox_order_kind {
    OUTBOX_IDLE = 0, /* nothing more to do now */
    OUTBOX_START,    /* transmit `attempt` on `slot`; answer with outbox_result(ticket) */
    OUTBOX_REPORT,   /* write a receipt; if it is final, the attempt is no longer held */
    OUTBOX_RETURN,   /* after outbox_stop(): no longer held, not in flight, and its grant stands */
    OUTBOX_ALARM, /* a provider's breaker opened or closed, or it was paused: tell the operator */
};

enum outbox_breaker {
    OUTBOX_CLOSED = 0, /* transmissions flow */
    OUTBOX_OPEN,       /* none starts */
    OUTBOX_HALF_OPEN,  /* one probe at a time */
};

struct outbox_order {
    enum outbox_order_kind kind;
    uint32_t provider;
    struct outbox_attempt attempt; /* START, REPORT, RETURN */
    uint32_t tries;                /* transmissions so far; START: with this one */
    bool was_in_doubt;             /* some transmission of it was in doubt */

    uint64_t ticket; /* START: for outbox_result() */
    uint32_t slot;   /* START */

    enum receipt_kind receipt;   /* REPORT */
    bool is_final;               /* REPORT: every receipt but RECEIPT_TEMPORARY */
    int32_t code;                /* REPORT, ALARM: of the last transmission; 0 = none */
    enum outbox_breaker breaker; /* ALARM: as it is now */
    int64_t until_ms; /* REPORT temporary: its next try. ALARM: nothing starts before (FOREVER_MS:
                       * until an operator acts) */
    char detail[TRANSMISSION_DETAIL_BYTES]; /* REPORT, ALARM: the provider's words, or ours */
};

struct outbox;

struct outbox *outbox_new(void);
void outbox_free(struct outbox *o);

/* Adds a provider of 1 .. OUTBOX_SLOTS_MAX slots and answers its index: 0, 1, 2, ... `retry` is copied,
 * its delays are borrowed for good. */
uint32_t outbox_add_provider(struct outbox *o, uint32_t slots, const struct outbox_retry *retry);

/* Takes a granted attempt. Requires that it is not held already, and room: outbox_held() less than
 * OUTBOX_HELD_MAX. An attempt that is past its deadline is reported, never transmitted. */
void outbox_take(struct outbox *o, const struct outbox_attempt *attempt, int64_t now_ms);

/* Takes an attempt that a run before this one had granted and may have transmitted: as if a
 * transmission had just ended in doubt. */
void outbox_take_in_doubt(struct outbox *o, const struct outbox_attempt *attempt, int64_t now_ms);

/* The transmission that order START named is over. Requires a ticket in flight. */
void outbox_result(struct outbox *o, uint64_t ticket, const struct transmission *result,
                   int64_t now_ms);

/* Nothing more is to be sent for this attempt (unsubscribe, erasure, kill switch). If it is not in
 * flight, it is reported GAVE_UP (or IN_DOUBT) by the next outbox_next(); if it is in flight, its
 * transmission is the last one. False if it is not held. */
bool outbox_revoke(struct outbox *o, uint64_t decision, uint32_t attempt);

/* An operator has mended a provider's credential, or wants to try: closes its breaker. */
void outbox_reset_breaker(struct outbox *o, uint32_t provider, int64_t now_ms);

/* Shutdown: after this no transmission starts. What is not in flight is handed back by orders RETURN,
 * the earliest deadline first; what is in flight still ends, and what would be tried again then
 * is reported TEMPORARY and handed back. */
void outbox_stop(struct outbox *o);

/* The next order, or OUTBOX_IDLE. */
enum outbox_order_kind outbox_next(struct outbox *o, int64_t now_ms, struct outbox_order *out);

/* When outbox_next() may have something new though nothing was called; FOREVER_MS if never. */
int64_t outbox_wake_ms(const struct outbox *o);

/* Attempts held; of them in flight at a provider. */
uint32_t outbox_held(const struct outbox *o);
uint32_t outbox_retrying(const struct outbox *o); /* held, and waiting for their next try */
uint32_t outbox_in_flight(const struct outbox *o, uint32_t provider);
enum outbox_breaker outbox_breaker_state(const struct outbox *o, uint32_t provider);

/* Walks everything and checks that it is consistent: tests, fuzzers, the simulator. */
void outbox_check(const struct outbox *o);
