/* rare.h - lists that few people have something in, or have for a while: what somebody chose, holds that stop
 * messages, journeys that are over, wishes for ad audiences.
 *
 * Of such a list a profile keeps the count, two bytes; where the elements are stands in a struct rares of its own,
 * which is there as long as one of the lists is not empty. Otherwise it is as a struct vec.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/state.h"

/* Where they are, by enum rare_list; each has the count that the profile has. */
struct rares {
    struct vec lists[RARE_END];
};

static inline const struct vec *rare_list(const struct space *s, const struct profile *p,
                                          enum rare_list which)
{
    return &((const struct rares *)space_at(s, p->rares))->lists[which];
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

/* Drops all and gives the memory back. */
void rare_clear(struct space *s, struct profile *p, enum rare_list which, uint32_t element_bytes);
