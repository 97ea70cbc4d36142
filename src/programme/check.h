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

/* What one feature costs for a person who has all of it. */
struct programme_cost {
    struct str what; /* "count of Product Viewed: up to 256 moments" */
    uint32_t bytes;
};

/* The costs, the dearest first, and their sum in *total_bytes; memory is the arena's. */
const struct programme_cost *programme_cost(const struct plan *plan, const struct names *names,
                                            struct arena *arena, uint32_t *count,
                                            uint64_t *total_bytes) mustuse;
