/* journey.h - where a person is in each journey, and what the next step would like to say.
 *
 * An instance is one person's way through one journey. It stands at a step: waiting for a time, an
 * event or a condition, or for a message to settle. A record or a timer moves it; then it runs
 * through steps that take no time until it stands again or ends (a cascade, bounded).
 *
 *     event ──► goal? ──► exit? ──► reset or end of a wait ──► entry
 *                 │         │             │                      │
 *                 └── end ◄─┘          cascade ◄─────────────────┘
 *
 * Goal is asked before exit; both act during waits, at the event's time. An event that a live
 * instance with the same key consumes (a reset, the end of a wait) is not also an entry there.
 *
 * People in flight stay under the plan version with which they began.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

/* The event at hand meets the person's instances, then the journeys that it enters. */
void journey_event(struct person *who);

/* Tries to enter the journey by the way, with the record that the engine made for it. */
void journey_enter(struct person *who, uint16_t journey_index, const struct plan_way *way,
                   const struct record *event);

/* How long after it happened the event may still enter the journey. */
int64_t entry_lateness(const struct plan_journey *j, const struct record *event);

/* The record (EVENT_ENTER) calls for a journey by name: enters it, or notes why not. */
void journey_called(struct person *who, const struct record *event);

/* Tries to enter that journey, and no other, with the event at hand. */
void journey_take_in(struct person *who, uint16_t journey_index);

/* Asks again the conditions that read what changed since they were asked (who->stirred). */
void journey_changed(struct person *who);

/* Runs what is due at who->at_ms, in order of (instance, kind). */
void journey_timer(struct person *who);

/* Runs what has come to be ready at who->at_ms (who->has_ready): the run step is over, or an entry has
 * waited for its turn. */
void journey_ready(struct person *who);

/* The earliest moment at which journey_timer() has something to do; FOREVER_MS if none. */
int64_t journey_deadline(const struct person *who);

/* The message that an instance's send step waits for has settled: the instance goes on from here.
 * Does nothing if the instance has ended or stands elsewhere. */
void journey_settled(struct person *who, uint64_t instance, uint64_t decision, uint16_t step,
                     enum outcome outcome);

/* The message that an instance's send step waits for has given its place to another: that of the decision
 * `by`. */
void journey_replaced(struct person *who, uint64_t instance, uint64_t decision, uint64_t by);

/* The person engaged with a message of the instance: waits `unless: engaged` end. */
void journey_engaged(struct person *who, uint64_t instance, uint32_t message);

/* Marketing in the instance is over: the person unsubscribed in answer to its message. */
void journey_opted_out(struct person *who, uint64_t instance);

/* Unites with the instances and pasts of `from`, as of a merge: of two with the same journey and key
 * the further one stays, the other ends `merged`. Ended ones' intents are cancelled. */
void journey_unite(struct person *who, struct person *from);

/* Holds or the person's clock have changed: the ends of waits are reckoned anew. */
void journey_thaw(struct person *who);

/* Calls and tasks that have ended (profile/errands.h): their instances go on. */
void errands_hear(struct person *who);

/* Where the person is in each journey, and until when: lines to the witness. */
void journey_explain(struct person *who);

/* Another programme is live: instances of journeys that it does not have end `withdrawn`. */
void journey_activated(struct person *who);

/* The person is erased: every instance ends. */
void journey_erase(struct person *who);

/* Is anybody's way through the journey, or entry into it, waiting for it to go on? */
bool journey_has(const struct person *who, uint32_t journey);

/* The same, of what would have come by now if the journey had been active. */
bool journey_is_overdue(struct person *who, uint32_t journey);

/* The journey has come into its phase: what the person has of it goes on (what is overdue at
 * release_ms), ends or stands still. */
void journey_controlled(struct person *who, uint32_t journey, int64_t release_ms);
