/* check.h - what `wend check` says beyond what programme_compile() finds by itself: events that have
 * never been seen, and what a person costs in memory.
 *
 * programme_compile() already ends with the checks that need nothing but the programme: unreachable
 * steps, ties, chains that caps cannot satisfy, missing goals and owners (check.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"

struct findings;
struct names;
struct plan;

/* Has an event of that name ever come in? */
typedef bool programme_event_seen(void *context, uint32_t name);

/* Adds advice for each event that the plan waits for and that `seen` denies. */
void programme_check_events(const struct plan *plan, const struct names *names,
                            programme_event_seen *seen, void *context, struct findings *findings);

/* What is kept of one thing: for a person who has all of it, and for one as most are who have any (eight
 * items of a feature, one live instance). */
struct programme_cost {
    struct str what; /* `up to 256 "Product Viewed" of 7d` */
    uint32_t items;  /* at most; 0 where there are none */
    uint64_t bytes;
    uint64_t typical_bytes;
};

/* The costs, the dearest first, and their sums in *total; memory is the arena's. */
const struct programme_cost *programme_cost(const struct plan *plan, const struct names *names,
                                            struct arena *arena, uint32_t *count,
                                            struct programme_cost *total) mustuse;
