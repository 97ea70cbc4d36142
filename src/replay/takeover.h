/* takeover.h - who is about to write a log makes it this release's: behind a snapshot, with a record.
 *
 *     recover_to_write ──► [names that only this release's compiler makes] ──► snapshot ──► record
 *                          a batch of name records                            of the state  RECORD_RELEASE
 *
 * Nothing of that is done where the log is this release's already and has all names. The process may end
 * at any place of it: the next start does the rest. docs/decisions/0009 tells why in this order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "replay/recover.h"

struct takeover {
    struct evlog *log;
    struct recovered *recovered; /* as recover_to_write() left it */
    int64_t now_ms;              /* for a log that has no batch yet */
    bool is_forced;              /* also where the log is this release's */
    void *self;
    /* An attempt that was granted on the way; nothing has been transmitted. May be NULL: then it is in
     * doubt when the server starts. */
    void (*act)(void *self, const struct engine *e, const struct action *action);
};

/* For tests of what an end of the process leaves behind: at place n of a change of release it is killed, if a
 * test says so (base/hook.h). 1: nothing is written; 2: names, or an operator's record; 3: a snapshot; 4: the
 * record. */
void take_over_stop(uint64_t place);

/* *is_changed says whether anything was written. Batches have the time of the log's newest. */
enum status take_over(const struct directory *d, const struct takeover *t, bool *is_changed,
                      struct fault *f) mustuse;

/* Appends the records as one batch, applies it and commits it, with its results: what take_over() does with
 * its own. Their engine time is set. */
enum status take_over_batch(const struct takeover *t, struct record *records, uint32_t count,
                            struct fault *f) mustuse;
