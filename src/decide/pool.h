/* pool.h - what all people share: a provider's connections. Rule 13.
 *
 * Intents that every rule allows stand in the queue of their provider, in the order of rule 12 over
 * all people, and are granted when a connection is free, never after their `until` (then they go back
 * to the desk). A grant never exceeds the provider's connections, so what is in doubt after a crash
 * is bounded by them. Revokes are applied before grants.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"
#include "store/index.h"

struct pool_entry {
    struct stage_message message;
    struct blob fields;
    uint32_t mark; /* the pool's when it came, or was saved since */
};

/* A provider's queue: a heap in order of rule 12, and where each decision stands in it. */
struct pool {
    uint32_t provider;  /* name */
    uint32_t in_flight; /* attempts granted and not ended */
    int64_t busy_us;    /* the rate: grants so far are paid for by then, in microseconds */
    struct pool_entry *heap;
    uint32_t count;
    uint32_t room;
    struct index places; /* (decision, profile) -> place in the heap */
    struct space space;  /* the frozen fields */
    uint32_t mark;       /* counts snapshots: an entry with an earlier one is still to be saved */
    /* Told of such an entry before it is taken out; NULL = nobody wants to know. */
    void (*keep)(void *self, const struct pool *pool, const struct pool_entry *entry);
    void *keeper;
};

struct pools {
    struct pool *at;
    uint32_t count;
};

void pools_init(struct pools *p);
void pools_fini(struct pools *p);

/* The provider's pool, made if there is none. */
struct pool *pools_get(struct pools *p, uint32_t provider);

/* Puts an intent into the queue; its fields are copied. */
void pool_queue(struct pool *pool, const struct stage_message *m);

/* Takes an intent out of the queue: true. False if it is not there: it was granted, or has lapsed. */
bool pool_revoke(struct pool *pool, const struct stage_message *m);

/* A connection is free again. */
void pool_done(struct pool *pool);

/* The best intent of the queue, taken out, if a connection is free or its `until` has passed; false
 * if nothing can move. *out: BACK_LAPSED, or TO_POOL_QUEUE to be shown to the address gate. The
 * fields are copied to `scratch`. A granted one is counted by pool_granted(). */
bool pool_next(struct pool *pool, uint32_t slots, int64_t now_ms, struct arena *scratch,
               struct stage_message *out);
void pool_granted(struct pool *pool);

/* Does the best of `a` go before the best of `b`, in the order of rule 12? Requires that both have one. */
bool pool_is_before(const struct pool *a, const struct pool *b);

/* Can the pool's best move: is a connection free, or has its `until` passed? */
bool pool_can_move(const struct pool *pool, uint32_t slots, int64_t now_ms);

/* When the provider's rate lets the next message go; INT64_MIN: at once, there is none. In no stretch of
 * rate.per_ms more than rate.count go, and no more than a second's worth of them at once. */
int64_t pool_rate_ms(const struct pool *pool, struct plan_pace rate);

/* One has gone. */
void pool_rate_take(struct pool *pool, struct plan_pace rate, int64_t now_ms);
