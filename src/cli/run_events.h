/* run_events.h - the events of a file, by time, through a world: what would this programme have done with
 * last year's customers?
 *
 * Time is the events' own. The file is read twice: once to see that it can be read, how much there is and
 * whether it goes by time, and once to run it. So a file that goes by time takes no memory however
 * long it is; for one that does not, the place of every event is kept (32 bytes each) and sorted, and
 * the rows are read in that order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/map.h"
#include "cli/event_file.h"
#include "replay/world.h"

struct run_events {
    struct cli *cli;
    struct event_file_options file; /* intake and report are kept */
    bool assumes_consent; /* everybody gets an e-mail address and agrees to mail when first seen */

    /* after run_events_look() */
    struct import_position position; /* rows, good, bad, left_out */
    int64_t first_ms;
    int64_t last_ms;
    uint64_t untimed; /* events without a time, which cannot be run */
    bool is_sorted;

    /* after run_events_go() */
    uint64_t people_assumed;
    struct map_u64 met; /* people by their routing hash, where something is assumed of them; the
                           caller's map_u64_init() */
};

/* Reads the file a first time. FIX_INPUT: it cannot be read, or has no event. */
enum status run_events_look(struct run_events *r, struct fault *f) mustuse;

/* Runs it through the world, which must not be later than first_ms, up to its last event. */
enum status run_events_go(struct run_events *r, struct world *world, struct fault *f) mustuse;

void run_events_fini(struct run_events *r);
