/* gate.h - the last gate, keyed by address: it holds even while two profiles share one. Rule 14.
 *
 * Suppressed addresses (a provider says they are bad) stop every lane; unsubscribed ones stop lanes
 * that obey consent; and an address gets at most ADDRESS_CAP attempts of such lanes in ADDRESS_CAP_MS,
 * whoever they are meant for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/identity.h"
#include "profile/person.h"

#define ADDRESS_CAP    4
#define ADDRESS_CAP_MS DAY_MS

struct gate {
    struct index addresses[PARTITIONS]; /* address hash -> reference of a struct address */
    struct space spaces[PARTITIONS];
};

struct address {
    uint8_t is_bad;
    uint8_t is_unsubscribed;
    uint8_t attempt_count;
    int64_t attempts_ms[ADDRESS_CAP]; /* the latest, ascending */
};

void gate_init(struct gate *g);
void gate_fini(struct gate *g);

/* What is known of the address; zeros if nothing is. */
struct address gate_look(const struct gate *g, struct id128 address);
void gate_put(struct gate *g, struct id128 address, const struct address *a);

/* May the attempt start now? 0 = yes, and it is noted; else the reason, and *at_ms is when to ask
 * again (FOREVER_MS: not before something changes). */
uint8_t gate_ask(struct gate *g, const struct stage_message *m, int64_t now_ms, int64_t *at_ms);

/* TO_ADDRESS_SUPPRESS and TO_ADDRESS_CLEAR. */
void gate_apply(struct gate *g, const struct stage_message *m);
