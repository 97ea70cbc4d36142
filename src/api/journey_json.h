/* journey_json.h - journeys as JSON: how they stand, and how far people come in them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"
#include "measure/report.h"

/* The journeys of the newest programme: phase, who said so and when, versions, how many people are under
 * way; and the kills that are in force. */
void journeys_json(struct engine *e, struct buf *out);

/* The funnel; since_ms = INT64_MIN: of everything, and who is where now. */
void funnel_json(const struct report *report, const struct names *names, int64_t now_ms,
                 int64_t since_ms, struct buf *out);
