/* progress.h - one line that says how far a long command is, and disappears when it ends.
 *
 *     importing  ███████████▌              46 %   248,906 of 541,909 lines   212,400/s   2 s left
 *
 * Drawn on standard error, only where that is a terminal and neither --quiet nor --json is given,
 * and at most ten times a second. Time is handed in, so that tests need no clock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "cli/term.h"

struct cli;

struct progress {
    struct term *term; /* NULL: draws nothing */
    const char *label; /* "importing" */
    const char *unit;  /* "lines" */
    uint64_t total;    /* 0 = unknown: counts without a bar */
    int64_t started_ms;
    int64_t drawn_ms; /* 0 = never */
};

/* Begins at now_ms, which is any clock that does not go back. Borrows the texts until the end. */
void progress_begin(struct progress *p, struct cli *c, const char *label, const char *unit,
                    uint64_t total, int64_t now_ms);

/* `done` of the total are done; draws if it is time to. Cheap enough to be called for each item. */
void progress_update(struct progress *p, uint64_t done, int64_t now_ms);

/* Takes the line away. */
void progress_end(struct progress *p);
