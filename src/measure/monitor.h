/* monitor.h - is what comes in, and what goes out, as it should be? Counts of a monitor's window, and what
 * they say.
 *
 *     facts ──► count, of ──► cells of a ring ──► judged at the head of the next batch ──► raised, cleared
 *
 *            against_ms (before)                   over_ms (the window)
 *     |------|------|-- ... --|------|------|------|-- 16 parts --|--▓▓--|
 *                                                                    now
 *
 * A window is counted in sixteen parts: it reaches back between fifteen and sixteen of them. Cells are
 * numbered by time (now / width), so that two hosts of one log agree. A share of less than `at_least` says
 * nothing: a monitor that was raised by it is cleared, which also lets messages that it made wait go out
 * again after a window's time, as many as tell whether it was right.
 *
 * Monitors are state of the house: snapshots have them, and the state hash.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/watch.h"

struct plan;

struct monitor_cell {
    uint64_t count;
    uint64_t of;
};

struct monitor {
    uint32_t name;
    uint64_t hash;    /* plan_monitor.hash */
    int64_t since_ms; /* it counts since then */
    int64_t heard_ms; /* SILENCE: the last one */
    int64_t newest;   /* number of the newest cell */
    uint32_t cell_count;
    struct monitor_cell *cells; /* by number % cell_count; owned */
    bool is_raised;
    int64_t changed_ms; /* when it was raised or cleared last; 0 = never */
    int64_t value;      /* what it said then; millionths, a number, or ms of silence */
    uint64_t raised_times;
};

struct monitors {
    struct monitor *at; /* as the newest plan's */
    uint32_t count;
};

/* What the counts say at a moment. */
struct monitor_view {
    bool is_known; /* there is enough to say anything */
    bool is_bad;
    int64_t value; /* SHARE, or against a time before: millionths; COUNT: so many; SILENCE: ms */
    int64_t limit; /* in the same measure */
    uint64_t count;
    uint64_t of;
};

void monitors_init(struct monitors *m);
void monitors_fini(struct monitors *m);

/* Those of the plan (NULL: none): what counts as it did goes on, others begin now. */
void monitors_set(struct monitors *m, const struct plan *plan, int64_t now_ms);

/* So many more, of so many more. */
void monitor_add(struct monitor *m, const struct plan_monitor *means, int64_t now_ms,
                 uint64_t count, uint64_t of);

/* One came in at that moment (SILENCE). */
void monitor_hear(struct monitor *m, int64_t now_ms);

struct monitor_view monitor_view(const struct monitor *m, const struct plan_monitor *means,
                                 int64_t now_ms);

/* When time alone may change what it says; FOREVER_MS = never. */
int64_t monitor_next(const struct monitor *m, const struct plan_monitor *means, int64_t now_ms);

/* Width of a cell, and how many there are. */
int64_t monitor_width(const struct plan_monitor *means);
uint32_t monitor_cells(const struct plan_monitor *means);
