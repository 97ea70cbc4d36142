/* desk.h - who gets what, on which channel, and when: one desk above all journeys.
 *
 * Every message that a journey would like to send is an intent. The desk settles a person once per
 * batch, after all their records and timers: it takes what is new, what is woken and what waits,
 * orders it (lane, group, journey, category, deadline, age, id), and grants greedily.
 *
 *                       propose                          deadline: expired
 *                          │                                 ▲
 *                          ▼          not before T           │
 *     SETTLING ──────────► desk ───────────────────────► DEFERRED ──┐
 *                          │ ▲                               ▲      │ T, or something
 *             allow until U│ └───────────────────────────────┼──────┘ it reads changed
 *                          ▼          revoked, lapsed        │
 *                        QUEUED ─────────────────────────────┤
 *                          │ granted                         │ refused by the address gate,
 *                          ▼                                 │ rejected: next channel
 *                        GRANTED ────────────────────────────┘
 *                          │ accepted, in doubt, failed
 *                          ▼
 *                        settled for good ──► WATCHED while a bounce may try the next channel
 *
 * A follow-up is PLANNED until its time comes, then SETTLING.
 *
 * A rule (rules.def, one file each) answers allow until U, not before T (or unknown), never here
 * (this channel) or never. T is the least instant at which every rule with a known T allows, asked
 * again at each candidate until it is stable. At release everything is asked again. Counters change
 * in the same step as the decision, so a cap is never exceeded, whatever arrives together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/receipt.h"
#include "profile/person.h"

/* Takes up what the send step `step` of `from` would like to say. */
void desk_propose(struct person *who, const struct instance *from, uint16_t step);

/* Ends what is pending of the instance with `outcome`, as far as the lane lets an exit cancel it; what
 * is at the pool is taken back first, what is under way stays. */
void desk_cancel(struct person *who, uint64_t instance, enum outcome outcome);

/* The same for what its steps from `first` to `last` have pending, because what they were for is done: in
 * every lane that an `only_if` can end, which are all but otp and legal. */
void desk_call_off(struct person *who, uint64_t instance, uint16_t first, uint16_t last,
                   enum outcome outcome);

/* Asks the rules for all that waits, if anything that they read has changed or is due. Called once
 * per person and batch, after everything else; again after answers of later stages. True if it is to be
 * called again once the journeys have heard: something ended and something lower may go, which that end may
 * hold back, or let a higher one go; or a ghost has spent a slot. Not if it `is_last`. */
bool desk_settle(struct person *who, bool is_last);

/* The earliest moment at which the desk has something to do; FOREVER_MS if none. */
int64_t desk_deadline(const struct person *who);

/* What is due at who->at_ms: deadlines of intents; T and settle times make the desk due. */
void desk_timer(struct person *who);

/* An answer of the pool or the address gate (BACK_...). */
void desk_answer(struct person *who, const struct stage_message *answer);

/* What became of an attempt. */
void desk_receipt(struct person *who, const struct receipt *receipt);

/* Two releases say different things of an attempt: what was granted is in doubt, what was not is asked
 * again. */
void desk_keep(struct person *who, const struct keep *k);

/* A person opened (1), clicked (2) or complained (3) about the message of the decision: event at hand.
 * Machine opens and clicks are passed over. */
enum engagement { ENGAGED_OPENED = 1, ENGAGED_CLICKED, ENGAGED_COMPLAINED };
void desk_engaged(struct person *who, uint64_t decision, enum engagement how);

/* The person did something of their own, the event at hand: follow-ups that come sooner if the first was
 * passed over begin. */
void desk_seen(struct person *who);

/* The index, in the intent's plan, of the provider that would carry it on the channel, or PLAN_NO_INDEX. */
uint16_t intent_provider_on(const struct person *who, const struct intent *in,
                            enum channel channel);

/* The name of the provider that the intent, whose channel is chosen, is handed to. */
uint32_t intent_provider(const struct person *who, const struct intent *in);

/* Another programme is live: its control group is the one that counts, and everything is asked again. */
void desk_activated(struct person *who);

/* Has the person intents that the kill is about? *waits_for_it: one of them waits for it to be over. */
bool desk_has(const struct person *who, const struct kill *what, bool *waits_for_it);

/* An operator has said something new about these intents: they are asked again, and those that waited
 * go on at release_ms. */
void desk_controlled(struct person *who, const struct kill *what, int64_t release_ms);

/* The event at hand is one that a cap counts (plan_event.is_touch). */
void desk_touch(struct person *who);

/* How many intents are under way: at a pool, granted, or in doubt. */
uint32_t desk_under_way(const struct person *who);

/* Unites with the intents and ledger of `from`, as of a merge, after journeys did. Both together have at
 * most PROFILE_UNITED_MAX under way. */
void desk_unite(struct person *who, struct person *from);

/* Forgets lines of the ledger that no cap and no expression can read any more. */
void desk_forget(struct person *who);

/* The person is erased: whatever is pending is taken back and ends. */
void desk_erase(struct person *who);

/* How the desk stands to the intent at `place` now: every rule's answer with its facts, as lines to
 * the witness. */
void desk_explain(struct person *who, uint32_t place);
