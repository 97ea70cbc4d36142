/* history.h - when a person did what the programme asks about.
 *
 * Only events that some expression reads are remembered, and of each the last so many that the
 * compiler derived (plan_event.history, at most PLAN_HISTORY_MAX), by event time. A window is
 * (now - window, now]; the answer changes only when an event leaves it, which is its `until`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

/* Notes the event at its event time; `keep` is plan_event.history, at least 1. */
void history_note(struct person *who, uint32_t event, int64_t at_ms, uint32_t keep);

/* When the last one was; INT64_MIN if there was none. */
int64_t history_last(const struct person *who, uint32_t event);

/* How many there were in the window (0: ever; saturates) at at_ms, and until when that stays so.
 * *is_at_least: more were forgotten, the true count may be higher. */
uint32_t history_count(const struct person *who, uint32_t event, int64_t window_ms, int64_t at_ms,
                       int64_t *until_ms, bool *is_at_least);

/* Takes over what `from` did, as of a merge. `keep` per event comes from the plan. */
void history_unite(struct person *who, const struct person *from);
