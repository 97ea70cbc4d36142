/* world.h - providers, as they are: slow, failing, lying, out, too busy; and what they truly did.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "server/held.h"
#include "simulator/sim.h"

/* An attempt, as the provider saw it. */
struct delivery {
    uint64_t profile, decision;
    uint32_t attempt;
    bool is_at_least_once; /* by its lane, or because the provider knows what it has seen */
    bool is_idempotent;
    uint8_t lane, channel;
    int64_t granted_ms;
    char address[96];
    char provider[64];
    uint32_t starts;  /* transmissions of it */
    uint32_t taken;   /* of these, how many the provider took */
    bool is_open;     /* it was taken, or may have been, as far as the house can know */
    bool has_bounced; /* the provider said so */
};

struct world *world_new(struct sim *s);
void world_free(struct world *w);

/* A transmission begins, under the run and ticket; its result comes by machine_result(). Of each set of connections, which
 * the outbox has one of for each settings of a provider, no more than `slots` may be under way. */
void world_send(struct world *w, struct str provider, const struct held *held, uint32_t connections,
                uint32_t slots, bool is_idempotent, uint64_t ticket);

/* Does one thing that is due. */
bool world_turn(struct world *w);
int64_t world_wake_ms(const struct world *w);

/* The server has ended: nobody hears results any more. With `waits`, what is answered within so long still
 * is, and the rest is in doubt. */
void world_hang_up(struct world *w);
void world_grace(struct world *w, int64_t grace_ms);

void world_trouble(struct world *w);
void world_calm(struct world *w);

/* A report is durable (or refused). */
void world_report_answer(struct world *w, uint32_t report, bool is_durable);

uint32_t world_count(const struct world *w);
const struct delivery *world_delivery(const struct world *w, uint32_t place);
uint64_t world_digest(const struct world *w);
uint64_t world_transmissions(const struct world *w);
uint32_t world_flights(const struct world *w);
bool world_is_idle(const struct world *w);
