/* gate.h - the last gate, keyed by address: it holds even while two profiles share one. Rule 14.
 *
 *     bad           a provider says that there is no such mailbox          stops every lane
 *     stopped       STOP, or a block, on a phone or chat address           every lane but otp
 *     unsubscribed  no marketing to this address, whoever has it           lanes that obey consent
 *     duplicate     the same message went here within ADDRESS_WINDOW_MS,   lanes that obey caps
 *                   for somebody else who shares the address
 *     caps          attempts: marketing `limits.address` (4) in 24 h;      lanes that obey caps,
 *                   confirmations 1 in 24 h and 3 in 30 d                  opt_in
 *
 * "The same message" is one content key; in a journey with a key, about one key: two people with one
 * address get one newsletter, but each the reminder of their own cart. An attempt counts whatever
 * became of it. Attempts of lanes that obey caps are kept with their content for ADDRESS_WINDOW_MS,
 * which serves both questions; those of confirmations for 30 days.
 *
 * Ghosts look (gate_look_on) and leave no trace.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/identity.h"
#include "profile/person.h"
#include "store/before.h"

#define ADDRESS_WINDOW_MS DAY_MS

#define OPT_IN_DAY_MS    DAY_MS /* confirmations: one in this time ... */
#define OPT_IN_MONTH_MS  (30 * DAY_MS)
#define OPT_IN_MONTH_MAX 3 /* ... and so many in this one */

struct gate {
    struct index addresses[PARTITIONS]; /* address hash -> reference of a struct address */
    struct space spaces[PARTITIONS];
    const struct identity_host
        *host;                   /* who a merged profile is now; NULL: profiles are never merged */
    const struct keeper *keeper; /* NULL = none */
};

struct address_attempt {
    int64_t at_ms;
    uint64_t content; /* what it said: stage_message.content */
    uint64_t profile; /* for whom */
};

struct address {
    uint8_t is_bad;
    uint8_t is_unsubscribed;
    uint8_t is_stopped;
    int64_t no_ms;       /* when the latest "no" was said, whoever said it; 0 = there is none */
    struct vec attempts; /* struct address_attempt, ascending: PLAN_ADDRESS_LIMIT_MAX at most */
    struct vec opt_ins;  /* int64_t times of confirmations, ascending: OPT_IN_MONTH_MAX at most */
};

void gate_init(struct gate *g);
void gate_fini(struct gate *g);

/* What is known of the address; zeros if nothing is. Its lists are in the space of the address. */
struct address gate_look(const struct gate *g, struct id128 address);
void gate_put(struct gate *g, struct id128 address, const struct address *a);

/* Where the lists of an address are. */
struct space *gate_space(struct gate *g, struct id128 address);

/* May the attempt start now? 0 = yes; else the reason (enum suppression), and *at_ms is when to ask
 * again (FOREVER_MS: not before something changes). */
uint8_t gate_look_on(const struct gate *g, const struct plan *plan, const struct stage_message *m,
                     int64_t now_ms, int64_t *at_ms);

/* The same, and if it may start it is noted. */
uint8_t gate_ask(struct gate *g, const struct plan *plan, const struct stage_message *m,
                 int64_t now_ms, int64_t *at_ms);

/* TO_ADDRESS_SUPPRESS and TO_ADDRESS_CLEAR, the latter of a "yes" that was said after every "no", else it is passed
 * over: they come in any order. */
void gate_apply(struct gate *g, const struct stage_message *m);
