/* adopt.h - what this release makes of a log that another one (or this one, wrongly) wrote, and how an operator
 * takes it.
 *
 *     trial:    recover, going on over differences ──► counts, the first difference, two lists
 *     adopting: one batch ──► [ADOPTED from batch D] [KEPT]... [UNDONE]... ──► take_over()
 *
 * *Kept*: attempts that a stored result block granted and this release did not. *Undone*: attempts that
 * this release granted in a batch whose stored result block does not have them. Batches without a stored
 * block count as this release makes them. From the batch of the record on everything is as this
 * release says; the log's older result blocks stay, they tell what was done then. An end of the process before
 * that batch is durable leaves nothing behind; after it, take_over() at the next start does the rest, since
 * recovery finds the record (recover.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/keep.h"
#include "replay/takeover.h"

struct trial {
    struct recovered recovered;
    uint64_t snapshot_batch; /* where it began; 0 = with the first */
    uint64_t adopted_before; /* differences before this batch were adopted already; 0 = none were */
    uint64_t first_batch; /* of the first result block that differs and was not adopted; 0 = none */
    int64_t first_ms;
    char first[DIFFERENCE_BYTES]; /* and how */
    uint64_t batches;             /* how many such there are */
    uint64_t unstored;            /* newest batches without a result block */
    struct keep *keeps;           /* kept and undone, by decision and attempt */
    uint32_t keep_count;
    uint32_t kept_count; /* how many of them are kept */
    /* while it runs */
    struct keep *stored, *made;
    uint32_t stored_count, made_count, stored_room, made_room;
};

/* Applies the log's tail again, whatever comes of it. `log`: the directory's, open, which gets result
 * blocks that are missing; NULL: nothing is written. The caller ends *t with trial_fini(), also on failure. */
enum status trial_run(const struct directory *d, struct evlog *log, struct trial *t,
                      struct fault *f) mustuse;
void trial_fini(struct trial *t);

/* Must anybody agree before this release goes on? */
bool trial_differs(const struct trial *t);

/* Writes the operator's record with what follows from it, if there is a difference. `words`: the
 * operator's reason, may be empty. take_over() is to follow. */
enum status trial_adopt(const struct takeover *takeover, const struct trial *t, struct str words,
                        struct fault *f) mustuse;
