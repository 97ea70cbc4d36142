/* rare.h - lists that few people have something in, or have for a while: what somebody chose, holds that stop
 * messages, journeys that are over, wishes for ad audiences.
 *
 * Of such a list a profile keeps the count, two bytes; where the elements are stands in an object of its own, which
 * has a struct vec for each list that is not empty, in the order of enum rare_list:
 *
 *     counts   pasts 3 | holds 0 | appointments 0 | choices 1 | ...
 *     rares    [ pasts | choices ]
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/state.h"

/* How many of the lists before it are not empty. */
static inline uint32_t rare_place(const struct profile *p, enum rare_list which)
{
    uint32_t place = 0;
    for (uint32_t i = 0; i < (uint32_t)which; i++)
        place += p->rare[i].count != 0;
    return place;
}

/* The list, which is not empty. */
static inline const struct vec *rare_list(const struct space *s, const struct profile *p,
                                          enum rare_list which)
{
    must(p->rare[which].count > 0);
    return (const struct vec *)space_at(s, p->rares) + rare_place(p, which);
}

/* Element i, which exists. */
static inline const void *rare_at(const struct space *s, const struct profile *p,
                                  enum rare_list which, uint32_t i, uint32_t element_bytes)
{
    must(i < p->rare[which].count);
    return vec_at(s, rare_list(s, p, which), i, element_bytes);
}

static inline void *rare_touch(struct space *s, const struct profile *p, enum rare_list which,
                               uint32_t i, uint32_t element_bytes)
{
    must(i < p->rare[which].count);
    return vec_touch(s, rare_list(s, p, which), i, element_bytes);
}

/* A new zeroed element at the end; addresses of others are no longer good. NULL if the list would exceed
 * SPACE_OBJECT_MAX bytes. */
void *rare_push(struct space *s, struct profile *p, enum rare_list which,
                uint32_t element_bytes) mustuse;

/* Drops element i; later ones move down. */
void rare_drop(struct space *s, struct profile *p, enum rare_list which, uint32_t i,
               uint32_t element_bytes);

/* The stage that they are in: all zero if nothing was ever said of one. */
struct standing profile_standing(const struct space *s, const struct profile *p);
void profile_set_standing(struct space *s, struct profile *p, struct standing standing);

/* Drops all and gives the memory back. */
void rare_clear(struct space *s, struct profile *p, enum rare_list which, uint32_t element_bytes);
