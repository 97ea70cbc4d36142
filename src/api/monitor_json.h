/* monitor_json.h - monitors for the outside: as JSON, in words, and as metrics.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"

/* The monitors of the newest programme: what they watch, what their counts say now, and since when they are
 * raised or cleared. */
void monitors_json(const struct engine *e, struct buf *out);

/* A value of the monitor in words: "0.52 %", "17", "2h 5m". */
void monitor_value_print(const struct plan_monitor *means, int64_t value, struct buf *out);

/* The same for GET /metrics: wend_monitor_raised{monitor="..."} and so on. */
void monitors_metrics(const struct engine *e, struct buf *out);
