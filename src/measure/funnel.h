/* funnel.h - how far people come in journeys, and what becomes of messages: counts folded over result
 * rows, by journey, version, step, arm, message, channel and reason. Exact, from the same engine that
 * decided, and equal to a recount of the log.
 *
 *     rows of a batch ──► counts ──► reports (api/funnel_json.h)
 *
 * Each row is worth one count; nothing is remembered of people or instances, so the memory is bounded by
 * the programme's steps and messages and their versions. Who waits now is the difference of two counts:
 *
 *     at a step   began - left             in a journey   entered - ended
 *     a message   proposed - ended for good
 *
 * The time in a step is a sum, exact, and a histogram of 4 cells for each doubling, so that a quantile
 * is known to lie in a cell whose upper end is at most a quarter above its lower one.
 *
 * Counts are state of the engine: snapshots have them, and the state hash.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/map.h"
#include "model/result.h"

/* What is counted. Numbers are written to disk: append only. */
enum funnel_what {
    FUNNEL_ENTERED = 1, /* how: 1 = as a ghost */
    FUNNEL_REFUSED,     /* how: enum refusal */
    FUNNEL_HELD_ENTRY,
    FUNNEL_BEGAN,     /* step */
    FUNNEL_LEFT,      /* step; how: enum step_left; sum: ms in it */
    FUNNEL_ENDED,     /* step; how: enum journey_end */
    FUNNEL_CONVERTED, /* how: enum convert_group; sum: ms since entry */
    FUNNEL_ARM,       /* step: the split; name: arm; how: enum arm_news, 0 = took it */
    FUNNEL_WAITED,    /* step; name: label of what ended the wait */
    FUNNEL_PROPOSED,  /* name: message; how: lane; step: 1 = a ghost */
    FUNNEL_OUTCOME,   /* name: message; how: enum outcome; step: rule; channel */
    FUNNEL_DEFERRED,  /* name: message; step: rule: how often it made one wait */
    FUNNEL_GRANTED,   /* name: message; channel */
    FUNNEL_ENGAGED,   /* name: message; how: enum engagement; of all versions */
    FUNNEL_MOVED,     /* how: 0 out of the version, 1 into it */
    FUNNEL_REOPENED,  /* name: message; channel: sent there, and asked about again */
    FUNNEL_RECEIPT,   /* name: message; how: enum receipt_kind; of all versions */
    FUNNEL_CROSSED,   /* how: 1 = held out from there on, 0 = no more */
    FUNNEL_LISTED, /* name: ad audience; how: enum listed_news; step as in its row; of no journey */
};

#define FUNNEL_CELLS 176

struct funnel_row {
    uint8_t what; /* enum funnel_what; the others as it says */
    uint8_t how;
    uint8_t channel;
    uint16_t step;
    uint32_t journey; /* names */
    uint32_t name;
    uint32_t version; /* number of the plan; 0 = not known */
    uint64_t count;
    int64_t sum;
};

struct funnel_times {
    uint32_t row; /* the LEFT row whose times they are */
    uint64_t cells[FUNNEL_CELLS];
};

struct funnel {
    struct funnel_row *rows; /* in the order of their first appearance */
    uint32_t count, room;
    struct funnel_times *times;
    uint32_t times_count, times_room;
    struct map_u64 places;       /* by hash of the row's key */
    struct map_u64 times_places; /* by row */
};

void funnel_init(struct funnel *f);
void funnel_fini(struct funnel *f);

/* Adds a batch's rows. */
void funnel_add(struct funnel *f, const struct result *rows, uint32_t count);

/* The same of those that happened at since_ms or later. */
void funnel_add_since(struct funnel *f, const struct result *rows, uint32_t count,
                      int64_t since_ms);

/* The cell of a length of time, and its bounds: [low, high). */
uint32_t funnel_cell(int64_t ms);
void funnel_bounds(uint32_t cell, int64_t *low_ms, int64_t *high_ms);

/* The histogram of a LEFT row, or NULL: nobody was there for any time. */
const struct funnel_times *funnel_times_of(const struct funnel *f, uint32_t row);

/* Puts back a row of a snapshot; its place. `cells` may be NULL. */
uint32_t funnel_restore(struct funnel *f, const struct funnel_row *row);
struct funnel_times *funnel_restore_times(struct funnel *f, uint32_t row);
