/* tally.h - counts of what happened, folded over result rows: by journey, message, kind and how. Exact,
 * from the same engine that decided, and equal to a recount of the log.
 *
 * A message's outcome is the last that was decided about it: an intent that was deferred three times
 * and then sent is one sent; `deferrals` counts the times.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/map.h"
#include "model/result.h"

struct tally_row {
    uint8_t kind; /* enum result_kind */
    uint8_t how;
    uint16_t rule;    /* DECIDED: the rule that spoke; ERROR: the step */
    uint32_t journey; /* names; 0 = none */
    uint32_t message; /* ERROR of a segment's condition: the segment */
    uint64_t count;
};

struct tally {
    struct tally_row *rows; /* in the order of their first appearance */
    uint32_t count;
    uint32_t room;
    struct map_u64 places; /* by hash of the row's key */
    uint64_t result_count;
};

void tally_init(struct tally *t);
void tally_fini(struct tally *t);

/* Adds a batch's rows. */
void tally_add(struct tally *t, const struct result *rows, uint32_t count);

/* The sum over rows of the kind that match; 0 for journey or message and TALLY_ANY for how match all. */
#define TALLY_ANY 256
uint64_t tally_sum(const struct tally *t, enum result_kind kind, uint32_t how, uint32_t journey,
                   uint32_t message);
