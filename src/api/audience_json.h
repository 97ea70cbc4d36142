/* audience_json.h - what became of people in ad audiences: `wend report audiences --json`, GET
 * /v1/report/audiences, and what GET /metrics says of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"

/* Appends {"as_of": ..., "since": ..., "audiences": [...]}. `counts`: the engine's own, or those of what
 * happened since since_ms (INT64_MIN: from the beginning on); of the latter nobody knows how many are in now. */
void audiences_json(const struct engine *e, const struct funnel *counts, int64_t since_ms,
                    struct buf *out);

/* Appends lines in Prometheus' text format; nothing where there is no audience. */
void audiences_metrics(const struct engine *e, struct buf *out);
