/* appointment.h - when a journey begins by the clock of one person: dates, schedules, and what is
 * being collected for them.
 *
 *     way ──► occurrences on the wall of the person's zone ──► the first that is not behind them
 *               birthday, 17 May of each year, 09:00            at_ms; a timer like any other
 *               renewal_date - 30d
 *               every monday at 09:00
 *
 * An appointment is reckoned anew whenever something that it is made of may have changed: the trait,
 * the zone, the programme, or two people who became one. So it moves with the date and goes with it.
 * What lies behind the moment of reckoning does not come. `done_ms` is the last occurrence that came,
 * on the wall: who flies west after their birthday letter has that birthday only once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

/* Reckons the appointments of every way that reads one of `bits` (plan_wake_bit of traits; UINT64_MAX:
 * of all ways of the newest programme, and forgets those of ways that it does not have). Occurrences
 * before from_ms do not come. */
void appointments_renew(struct person *who, uint64_t bits, int64_t from_ms);

/* The earliest moment at which appointments_timer() has something to do; FOREVER_MS if none. */
int64_t appointments_deadline(const struct person *who);

/* What is due at who->at_ms enters its journey, or is refused there; the next occurrence is reckoned. */
void appointments_timer(struct person *who);

/* Which journeys begin for the person, and when: lines to the witness. (explain.c) */
void appointments_explain(struct person *who);

/* Unites with the appointments of `from`, as of a merge; dates are to be renewed afterwards. */
void appointments_unite(struct person *who, const struct person *from);

/* The event at hand belongs to what is collected for the way and key: kept until the time is over or
 * there are enough, which then enter together. */
void appointment_collect(struct person *who, const struct plan_way *way, uint64_t key);

/* Drops all and gives the memory back. */
void appointments_forget(struct person *who);

/* ---- reckoning, for the engine and for tests ---------------------------------------------------- */

/* The first occurrence of the schedule on the wall of `zone` that is not before from_ms and, on the
 * wall, after done_ms (INT64_MIN: whatever). False if there is none. */
bool schedule_next(const struct plan_way *way, const struct zone *zone, int64_t from_ms,
                   int64_t done_ms, int64_t *at_ms, int64_t *wall_ms) mustuse;

/* The same for a date: `date` is the trait's value (a time, or a text with a date). */
bool date_next(const struct plan_way *way, const struct value *date, const struct zone *zone,
               int64_t from_ms, int64_t done_ms, int64_t *at_ms, int64_t *wall_ms) mustuse;
