/* desk_int.h - for the desk's own files.
 *
 *     desk.c      one settle: who goes first, who waits, who makes room
 *     intent.c    how an intent comes, goes to the provider, is taken back, and ends
 *     verdict.c   what the rules say of it
 *     put_off.c   what later stages said of it on one channel: not before
 *     reserve.c   a slot that waits for a higher one
 *     ledger.c    its line: the slot that it takes in every cap, and the memory of it
 *     explain.c   the same for people: who refuses and why, and what one change would have let it go
 *     answer.c    what later stages, providers and people answer
 *     supersede.c a newer one of its kind
 *     instead.c   another message in the place of one that waits
 *     recall.c    an attempt that nobody wants any more
 *     follow.c    what belongs together: sets of all_of, follow-ups, engagement
 *     unite.c     merges, another programme
 *     keep.c      another release
 *     rule_best_time.c  the hour in which they read
 *     budget.h    what all messages together may cost (rule_budget.c asks it)
 *
 * Intents and lines are named by their place in the person's lists: it is good until one ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "decide/rule.h"

/* ---- intents ------------------------------------------------------------------------------------ */

/* Its place, or UINT32_MAX. */
uint32_t intent_find(const struct person *who, uint64_t decision);

/* Notes a decision about it in the batch's results. */
void intent_note(struct person *who, const struct intent *in, enum outcome outcome, uint32_t rule,
                 int64_t number);

/* The intent at `place` has ended: its slot goes back unless the message went out or may have, its
 * journey goes on. Later intents move down. */
void intent_finish(struct person *who, uint32_t place, enum outcome outcome, uint32_t rule);

/* Rule 5: does a holdout cover what an instance with these flags says in the lane? */
bool intent_is_ghost(const struct person *who, enum lane lane, uint8_t instance_flags);

/* Rule 12: lane, group, journey priority, category priority, deadline, age, id. Total: < 0 if `a` goes
 * first. */
int intent_order(const struct person *who, const struct intent *a, const struct intent *b);

/* The priority of the journey, asked anew where it is an expression; one that fails is 0. */
int32_t intent_journey_priority(struct person *who, const struct intent *in);

/* The group's place among groups as they are now: lower goes first, none comes last. */
uint16_t intent_group(const struct person *who, const struct intent *in);

struct verdict;

/* The address gate refuses its channel for good: on to the next, or the end. */
void intent_suppress(struct person *who, uint32_t place, enum suppression how);

/* An attempt of it is in doubt: the lane says whether there will be another. */
void intent_doubt(struct person *who, uint32_t place);

/* The hash of the person's address on the channel as it is now. */
struct id128 intent_address(const struct person *who, enum channel channel);

/* Another release's attempt of that decision that is to be kept, or NULL. */
const struct keep *keep_find(const struct person *who, uint64_t decision);

/* The same of a call or task. */
const struct keep *keep_find_errand(const struct person *who, const struct errand *x);
const struct keep *keep_find_listing(const struct person *who, uint64_t decision);

/* The intent, which is not with a pool, stands as granted and in doubt. */
void keep_now(struct person *who, uint32_t place, const struct keep *k);

/* What is known of the intent's instance, which may have ended: its flags and key. */
void intent_instance(const struct person *who, uint64_t instance, uint8_t *flags, uint64_t *key);

/* Every rule allows it: takes its slot and sends it to the provider's pool; a ghost ends. False: it is
 * to be asked again, for the address gate would refuse the ghost this channel. */
bool intent_hand_over(struct person *who, uint32_t place, const struct verdict *v);

/* When a deferred intent is asked again though nothing has happened: at T, and before it where its slot is
 * kept for another and its own rules allow for less long. Of an unknown T: when what is known ends. */
int64_t intent_asked_again_ms(const struct intent *in);

/* Has anything changed that was frozen when it was handed over? */
bool intent_is_stale(const struct person *who, const struct intent *in);

/* Takes it back from the provider's pool; it ends with `ending`, or comes back to the desk
 * (OUTCOME_NONE), when the pool has answered. Requires that it is queued, or being taken back already. */
void intent_revoke(struct person *who, struct intent *in, enum outcome ending);

/* The attempt is over, or was never handed over: its provider's pool has a free connection. */
void pool_free(struct person *who, uint8_t channel, uint32_t provider, uint64_t decision);

/* Ends an intent that nobody wants any more, wherever it is; true if it is out of the list. */
bool intent_end(struct person *who, uint32_t place, enum outcome outcome);

/* ---- an attempt that is under way (recall.c) ---------------------------------------------------- */

/* Has it been called off: does it end, unless the attempt is accepted? */
bool intent_is_called_off(const struct intent *in);

/* It is not to be tried again, and comes to `ending` unless it was accepted: DEFERRED = back to the desk.
 * Requires that it is granted. */
void intent_recall(struct person *who, struct intent *in, enum outcome ending);
void intent_send_recall(struct person *who, const struct intent *in);

/* Does so with those that the person, an address or an operator has come to refuse. */
void recall_refused(struct person *who);

/* Drops one that has been told of: WATCHED, and its time is over. */
void intent_forget(struct person *who, uint32_t place);

/* How long it may wait for its moment. */
int64_t intent_valid_ms(const struct plan_send *send, const struct plan_message *m);

/* Its channels are those of the send for which the message has content, the one that the person prefers
 * where the send says so. */
void intent_set_channels(const struct person *who, struct intent *in, const struct plan_send *send);

/* The slot of one that ends: given back, unless the message went out or may have. */
void intent_settle_slot(struct person *who, struct intent *in, enum outcome outcome);

/* What budgets were charged for the decision's attempt, if anything still is open: spent, or given back. */
void intent_settle_charge(struct person *who, uint64_t decision, bool is_out);

/* The best moment from now on for the question's channel; its send has a best time. (rule_best_time.c) */
int64_t best_time_choose(const struct question *q);

/* What is chosen for the channel is so from here on. */
void intent_keep_best_time(struct person *who, uint32_t place, enum channel channel);

/* Notes that the intent has ended so, for results and witnesses. */
void intent_say_end(struct person *who, const struct intent *in, enum outcome outcome,
                    uint32_t rule);

/* Notes that the intent has come. */
void intent_say_proposed(struct person *who, const struct intent *made);

/* ---- a newer one of its kind (supersede.c) ------------------------------------------------------ */

/* Ends those that the new intent takes the place of; it has their age from here on. */
void supersede_older(struct person *who, struct intent *made);

/* ---- another in its place (instead.c) ----------------------------------------------------------- */

/* Which alternative of its send takes the intent's place at that instant, plus one; 0 = none. *until_ms:
 * until when that holds. */
uint32_t instead_ask(struct person *who, const struct intent *in, int64_t at_ms, int64_t *until_ms);

/* The intent at `place` ends `replaced`, and another one stands there; or it is wanted again. False: it has
 * no alternative any more. */
bool instead_take(struct person *who, uint32_t place, uint32_t rule);

/* ---- what belongs together (follow.c) ----------------------------------------------------------- */

/* What its programme says of it: the send of its step, or the follow-up's. */
const struct plan_send *intent_send(const struct person *who, const struct intent *in);

/* Tells the journey, which may wait for it, that the intent has settled for good: of a set, when the last
 * one has. */
void intent_tell(struct person *who, const struct intent *in, enum outcome outcome);

/* The intent's message went out, or would have: plans what follows it for lack of engagement, once.
 * Places stay; pointers do not. */
void follow_plan(struct person *who, const struct intent *of);

/* The time of a follow-up has come: it competes from here on. */
void follow_begin(struct person *who, uint32_t place);

/* Engagement with the line's message: its follow-ups, what stands in a branch of the same instance that
 * asks for it, and the same content in any journey end `cancelled`. */
void engaged_cancel(struct person *who, const struct sent *with);

/* ---- what later stages said of a channel (put_off.c) -------------------------------------------- */

/* A later stage says of the intent: not on that channel before until_ms, which is known. Where that was said
 * before, the later moment stands. */
void put_off_until(struct person *who, uint32_t place, struct put_off said);

/* What stands of it now, or NULL. */
const struct put_off *put_off_find(const struct person *who, const struct intent *in,
                                   enum channel channel);

/* The rule whose number it goes by. */
uint8_t put_off_rule(const struct put_off *x);

/* Forgets all of it: the intent ends, or stands for another message from here on. */
void put_off_forget(struct space *space, struct intent *in);

/* `in`, which is `who`'s now, has been another's: what stands in the other's space comes along. */
void put_off_move(struct space *to, struct space *from, struct intent *in);

/* ---- what the rules say ------------------------------------------------------------------------- */

enum verdict_kind { VERDICT_GO, VERDICT_WAIT, VERDICT_END };

struct verdict {
    uint8_t kind; /* enum verdict_kind */
    uint8_t channel;
    uint8_t rule;
    uint8_t outcome;
    bool is_last;     /* END: no other channel may be tried */
    int64_t at_ms;    /* GO: until; WAIT: T, FOREVER_MS = unknown */
    int64_t again_ms; /* WAIT: when to ask again though nothing has happened: T, or before it */
};

/* The intent as rules are asked about it; the caller sets the channel. Its category or journey is
 * PLAN_NO_INDEX if the newest programme lacks it. */
struct question verdict_question(struct person *who, const struct intent *in);

/* Sets the channel, and what a later stage said of it. */
void verdict_set_channel(struct question *q, enum channel channel);

/* The first instant from now on at which every rule with a known end allows the question's channel. Rules
 * whose end is unknown wait for their wake-up and prove nothing. */
struct verdict verdict_of_channel(const struct question *asked);

/* The same for the intent: its first channel that is not refused. */
struct verdict verdict_of_intent(struct person *who, const struct intent *in);

/* ---- for `why`: nothing of it changes anything, and nobody calls it unless a witness listens ----- */

/* Every rule that refuses the intent at this moment, with its facts and until when; and the one change
 * that would have let it go, if there is one. `ended`: it is about to end with that outcome
 * (OUTCOME_NONE: it waits). */
void explain_refusals(struct person *who, const struct intent *in, enum outcome ended);

/* The address gate says no to what every rule of the desk has allowed. */
void explain_gate(struct person *who, const struct intent *in, enum suppression how);

/* A later stage sends the intent back, to come again. */
void explain_put_off(struct person *who, const struct intent *in, const struct put_off *said);

/* The same, and it is not to come again: its pool of vouchers has no code left. */
void explain_empty(struct person *who, const struct intent *in);

/* What became of a try at a provider, in its words; of `in`, or if that has ended, of its line (either may
 * be NULL). */
void explain_try(struct person *who, const struct intent *in, const struct sent *line,
                 const struct receipt *r);

/* Rule 12: why `a` goes before `b` (`b` after `a`), as words in scratch: "its lane, service before
 * marketing". Requires that it does. */
const char *explain_order(struct person *who, const struct intent *a, const struct intent *b);

/* The intent at `place` may go (*v): does it have to leave its slot to a higher one that is known to come?
 * Then *v says until when it waits. (reserve.c) */
bool reserve_keeps(struct person *who, uint32_t place, struct verdict *v);

/* ---- the ledger --------------------------------------------------------------------------------- */

/* The line's place, or UINT32_MAX. */
uint32_t ledger_find(const struct person *who, uint64_t decision);

/* Notes what became of the intent's slot. */
void ledger_note(struct person *who, enum result_kind kind, const struct intent *in);

/* Makes room for one more line: the oldest goes whose intent has ended. */
void ledger_make_room(struct person *who);

/* What the intent's line is if it goes now, on its channel: a new one. NULL: there is no room. */
struct sent *ledger_push(struct person *who, const struct intent *in, enum sent_state state);

/* The intent's slot, in every cap that counts it: SENT_RESERVED or SENT_GHOST. An earlier attempt's
 * moves to the new channel. */
void ledger_take(struct person *who, struct intent *in, enum sent_state state);

/* Gives the intent's slot back, if it has one. */
void ledger_return(struct person *who, struct intent *in);

/* A slot that was spent on an earlier attempt is so still; it is of no channel. */
void ledger_keep(struct person *who, const struct intent *in);

/* The attempt's channel is refused: what only that channel's caps held is free. */
void ledger_leave_channel(struct person *who, const struct intent *in);

/* It will not be granted: the slot that was reserved for it goes back, or to what it was. */
void ledger_back(struct person *who, struct intent *in);

/* It was accepted, or may have been. */
void ledger_accept(struct person *who, uint64_t decision);

/* The provider reports that it was delivered. */
void ledger_deliver(struct person *who, uint32_t place);

void ledger_mark(struct person *who, uint64_t decision, enum sent_flag flag);
