/* addresses.h - who holds an e-mail address, a phone number or a push token.
 *
 * Holding is having the address as the trait of its channel, now: `email`, `phone`, `push_token`, in
 * whatever case, trimmed. traits.c keeps this index true whenever such a trait changes; a merge takes
 * the loser out and gives the winner what it inherits.
 *
 *     address ──► one holder                        the usual
 *             ──► a list, by number, and a count    a family's address, a shop's info@
 *
 * Several may hold one address: addresses never merge profiles. Whom it finds is the same whoever spoke
 * last: a profile with a user id before one without, then the lower number. An address that more than
 * ADDRESS_HOLDERS_MAX hold is a placeholder rather than a person's: of its holders the first in that
 * order are listed, as they were when each came, and the others are counted. So no event costs more than
 * the list is long.
 *
 * The lists depend on the order in which holders came and went, so they are state: in snapshots, in the
 * state hash. docs/decisions/0007 says why an address that nobody holds makes no profile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/identifier.h"
#include "profile/identity.h"
#include "store/before.h"
#include "store/space.h"

#define ADDRESS_HOLDERS_MAX 32

struct addresses {
    /* By the address' hash: first = the only holder; or, with its upper bit, how many are not listed, and
     * second = a struct vec of numbers, ascending. */
    struct index index[PARTITIONS];
    struct space spaces[PARTITIONS];
    const struct identity_host *host;
    const struct keeper *keeper; /* NULL = none */
};

/* `host` is kept. */
void addresses_init(struct addresses *a, const struct identity_host *host);
void addresses_fini(struct addresses *a);

/* The profile holds the address from here on. Requires that it did not. */
void addresses_hold(struct addresses *a, struct id128 address, uint64_t profile);

/* The profile no longer holds the address. Requires that it did. */
void addresses_leave(struct addresses *a, struct id128 address, uint64_t profile);

/* Who holds the address, ascending; *others more hold it than are listed. */
uint32_t addresses_list(const struct addresses *a, struct id128 address,
                        uint64_t list[ADDRESS_HOLDERS_MAX], uint32_t *others);

/* Which of two holders an address finds; 0 is nobody. */
uint64_t addresses_choose(const struct addresses *a, uint64_t p, uint64_t q);

/* Whom the address finds; 0 = nobody. */
uint64_t addresses_find(const struct addresses *a, struct id128 address);

/* Goes through the addresses of a partition, in the table's order: *place starts at 0; false at the
 * end. */
bool addresses_next(const struct addresses *a, uint32_t partition, uint32_t *place,
                    struct id128 *address);

/* Puts an address back as addresses_list() gave it. False if that cannot have been. */
bool addresses_restore(struct addresses *a, struct id128 address, const uint64_t *list,
                       uint32_t count, uint32_t others) mustuse;
