/* forecast.h - what comes next for a person if nothing happens: the engine goes on by itself.
 *
 *     state ──► their next deadline ──► a batch of that moment ──► actions ──► accepted at once ──┐
 *                       ▲                                                                         │
 *                       └─────────────────────────────────────────────────────────────────────────┘
 *
 * Everything is what would really be done: rules, rivals, pools. No events come, nobody opens anything,
 * and providers accept. Other people's time passes too, in the steps of this person's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"

#define FORECAST_BATCHES_MAX 2000
#define FORECAST_SPAN_MS     (400 * DAY_MS) /* from the state's own time on */
#define FORECAST_LINES_MAX   40

/* Tells the witness what happens to the person from the engine's time on, until nothing more is due, or
 * `lines` lines were told, or `span_ms` have passed. The engine is of no use for anything else
 * afterwards: it has gone on. True: there is more to come. */
bool forecast(struct engine *e, uint64_t profile, int64_t span_ms, uint32_t lines,
              const struct witness *witness);
