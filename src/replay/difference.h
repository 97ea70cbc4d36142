/* difference.h - where the results of a batch, made again, are not those that the log has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/names.h"
#include "model/result.h"

#define DIFFERENCE_BYTES 320

struct difference {
    uint64_t batch;
    int64_t now_ms;    /* the batch's time */
    struct str stored; /* the log's result block; not set: it has none of this batch */
    struct str made;   /* what this release made of the batch */
    uint64_t segment;  /* where the block is in the log */
    uint64_t offset;
};

/* Calls `note` for each row of a block. */
void difference_rows(struct str block, int64_t now_ms, void *self,
                     void (*note)(void *self, const struct result *row));

/* The first row that differs, in the words of a person: "row 3 is X in the log, Y here". */
void difference_tell(const struct difference *d, const struct names *names,
                     char out[DIFFERENCE_BYTES]);
