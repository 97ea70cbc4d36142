/* errand.h - what journeys ask of somebody outside: calls of web services, tasks for people.
 *
 *     step ──► errand ──rules──► provider's pool ──► attempt ──► receipt ──► ended: the instance goes on
 *                │                                                  ▲
 *                └──── task without a provider: open at once ──► people: done, declined
 *
 *     WAITING ──► QUEUED ──► GRANTED ──► ended                      (call)
 *        │                      │
 *        └──────────────────────┴──────► OPEN ──► ended ──► QUEUED, which withdraws it   (task)
 *
 * An errand is no message: no consent for a channel, hours, caps or slots, and no address gate. What is asked,
 * also again while it waits at a provider's pool: 4 wanted (a stopped journey, a kill that drops: it ends
 * `withdrawn`), 5 holdout (it ends `held_out`; a call that only reads is made for everybody), 6 operators'
 * pauses and kills; of a task also 2 not to be contacted, 6 holds, 7 groups. As operators see it, it goes on the
 * channel webhook, in the lane of its category (marketing if it names none).
 *
 * Attempts of a call carry one key, the errand's, so that a service can tell a repetition. `retry: never` is
 * transmitted once; what is in doubt then has timed out. An errand whose instance has ended or gone
 * elsewhere is taken back: from the pool, from the outbox, or, a task that people have, by telling the
 * provider that it is withdrawn.
 *
 * The answer comes as a receipt, with the values that are to be saved, so that applying the log again asks
 * nobody anything.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/control.h"
#include "model/receipt.h"
#include "profile/person.h"

/* Asks what is to be asked, hands over, takes back. Requires a programme. May end errands
 * (who->has_ready). */
void errands_settle(struct person *who);

/* Those whose time is over at who->at_ms end. */
void errands_timer(struct person *who);

/* The earliest moment at which errands_timer() has something to do; FOREVER_MS if none. */
int64_t errands_due(const struct person *who);

/* The same for errands_settle(), or errands_timer(). */
int64_t errands_deadline(const struct person *who);

/* An answer of the pool (BACK_...) about an errand. */
void errands_answer(struct person *who, const struct stage_message *answer);

/* What became of an attempt, or what people did. False: it is none of an errand. */
bool errands_receipt(struct person *who, const struct receipt *receipt) mustuse;

/* The event at hand says that a task is done or declined. */
void errands_event(struct person *who);

/* Is anything of the person's what the operator's word is about; does it wait for it to end? */
bool errands_have(const struct person *who, const struct kill *what, bool *waits_for_it);

/* The word is over, or has come: what waits is asked again, no earlier than release_ms. */
void errands_controlled(struct person *who, const struct kill *what, int64_t release_ms);

/* Another release handed an attempt over, or this one alone would have: model/keep.h. Requires k->is_errand. */
void errands_keep(struct person *who, const struct keep *k);

/* As of a merge, behind instances. */
void errands_unite(struct person *who, struct person *from);

/* Lines to the witness: what is asked for, and what is against it. */
void errands_explain(struct person *who);

/* The person is erased: what is at a pool or with a provider is taken back, all is dropped. */
void errands_erase(struct person *who);
