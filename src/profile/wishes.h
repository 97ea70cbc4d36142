/* wishes.h - which journeys would have the person in which ad audience, and for how long.
 *
 * A wish belongs to the instance that made it. It ends with the instance, with the stage in which the
 * person was then, or when a step removes it, whichever it says. Whether they are let in is the desk's
 * to say (decide/listing.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

/* The instance's step says so: a wish of its own for the audience is renewed. False: the person has too
 * many. */
bool wishes_add(struct person *who, const struct instance *from, uint32_t audience,
                enum wish_until until) mustuse;

/* The instance's own wish for the audience is over, and those for a stage or for ever, whoever made them.
 * What other live instances wish for stays. */
void wishes_remove(struct person *who, uint64_t instance, uint32_t audience);

/* Drops those whose instance has ended, or whose stage the person has left. */
void wishes_prune(struct person *who);

/* As of a merge, behind instances and stages: those of `from` go on; of two equal ones the older. */
void wishes_unite(struct person *who, const struct person *from);
