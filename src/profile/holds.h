/* holds.h - stretches of time in which a person is left alone: an open ticket, a complaint.
 *
 * A hold is made by a pair of events, told apart by a key (two open tickets are two pairs, and one that
 * is opened twice is one); without a key pairs are counted. A close without an open is ignored. It goes on for `linger` after it closed, and lifts by itself after
 * `at_most`. Holds act at the event's time. Intervals are kept, nothing is rewritten: a wait that a
 * hold freezes adds up what it missed when it fires.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

#define HOLD_COMPLAINT (PLAN_NO_INDEX - 1) /* holds_ask: no hold of the programme, but this */

/* At least; the programme may say longer. */
#define COMPLAINT_RESTS_MS (30 * DAY_MS)

/* Opens and closes what the event at hand opens and closes. */
void holds_event(struct person *who, const struct plan_event *means);

/* The person complained about a message at at_ms: what obeys holds rests for COMPLAINT_RESTS_MS,
 * or as long as the programme says. */
void holds_complaint(struct person *who, int64_t at_ms);

/* Is an intent of the category held at at_ms? Then the hold's index in the plan, else PLAN_NO_INDEX.
 * *until_ms: of a hold that is over at a known time, that time; else FOREVER_MS. Without a hold: the
 * earliest moment at which that may change without a new event (FOREVER_MS). */
uint16_t holds_ask(const struct person *who, uint16_t category, enum lane lane, int64_t at_ms,
                   int64_t *until_ms);

/* The same, one by one: the next hold in force from `*place` on (0 begins) that means the intent; its
 * hold in the person's list is the one before `*place` then. PLAN_NO_INDEX: there are no more. */
uint16_t holds_next(const struct person *who, uint16_t category, enum lane lane, int64_t at_ms,
                    uint32_t *place);

/* The moment by which `length_ms` have passed since from_ms that neither a freezing hold nor a pause of
 * the journey covered; FOREVER_MS if an open one stands in the way (or length_ms is FOREVER_MS): ask
 * again when it is closed. */
int64_t holds_thawed(const struct person *who, uint32_t journey, int64_t from_ms,
                     int64_t length_ms);

/* The next moment at which a hold lifts by itself; FOREVER_MS if there is none. */
int64_t holds_deadline(const struct person *who);

/* Notes the holds that are over at who->at_ms, and forgets those that nothing refers to any more. */
void holds_timer(struct person *who);

void holds_unite(struct person *who, const struct person *from);
