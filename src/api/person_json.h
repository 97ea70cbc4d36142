/* person_json.h - all that is known about a person, as JSON: what `wend person` prints and
 * GET /v1/person answers.
 *
 *     {"profile": "1f", "first_seen": ..., "last_seen": ..., "as_of": ...,
 *      "traits": {...}, "consents": [...], "journeys": [...], "past_journeys": [...],
 *      "pending": [...], "messages": [...], "holds": [...], "appointments": [...],
 *      "scheduled": [...], "next": {...}}
 *
 * Of a pending message "attempt" is the one under way, "tries", "last_code" and "next_try" are of its
 * transmissions that failed for now. "scheduled" are the lines of why_json.h about what is pending: what holds it back, and when it goes on; "next"
 * is the earliest of them, null if nothing comes by time alone. Of a journey's "next" and a pending message's "not_before" null means that no time is known: something has to
 * happen first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"

/* Appends the document, indented and without a line end. Requires a living profile. Between batches,
 * as engine_look(). */
void person_json(struct engine *e, uint64_t profile, struct buf *out);
