/* recount.h - the counts of journeys and messages, from the log's result blocks alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "measure/funnel.h"
#include "replay/directory.h"

struct recount {
    uint64_t newest; /* the last batch whose block was there */
    int64_t
        from_ms; /* older segments were dropped (retention.h): from when on it counts; INT64_MIN: from the start */
};

/* Adds what happened at since_ms or later (INT64_MIN: all), up to the batch batch_last (0: the log's
 * end), to `out`, which the caller made. Reads the log,
 * also beside a server that writes it: blocks come behind their batches, the last with the next one. */
enum status funnel_recount(const struct directory *d, int64_t since_ms, uint64_t batch_last,
                           struct funnel *out, struct recount *about, struct fault *f) mustuse;
