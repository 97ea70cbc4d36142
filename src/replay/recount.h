/* recount.h - the counts of journeys and messages, from the log's result blocks alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "measure/funnel.h"
#include "replay/directory.h"

/* Adds what happened at since_ms or later (INT64_MIN: all), up to the batch batch_last (0: the log's
 * end), to `out`, which the caller made; *newest is the last batch whose block was there. Reads the log,
 * also beside a server that writes it: blocks come behind their batches, the last with the next one. */
enum status funnel_recount(const struct directory *d, int64_t since_ms, uint64_t batch_last,
                           struct funnel *out, uint64_t *newest, struct fault *f) mustuse;
