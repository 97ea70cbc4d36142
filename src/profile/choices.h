/* choices.h - what a person chose for themselves, beyond yes and no to a channel.
 *
 *     not to be contacted   stops all lanes but those that must (otp, legal)
 *     a topic is off        messages on it never go, on whatever channel
 *     snooze until D        marketing waits until then
 *     at most n a week      their own cap on marketing
 *
 * They come as `Preferences Changed`, with any of these properties:
 *
 *     do_not_contact: true | false
 *     topic: NAME, status: off | on
 *     snooze_until: a date or moment; one that has passed ends the snooze     [channel, topic]
 *     at_most: 2, per: day | week | 3d ... 31d; "any" lifts it                [channel]
 *
 * Everybody's ledger reaches back as far as the programme's caps need, and CHOICE_BACK_MS at least: so much is known
 * when somebody states a cap of their own, whose window may be longer. From then on the ledger is kept for
 * that window. A cap that takes the place of another goes on from what that one knew.
 *
 * The latest statement about the same thing holds, of two of one moment the stricter. As with consent,
 * anybody may ask for less; only a server key may ask for more than was asked for before.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

#define CHOICE_WINDOW_MAX_MS (31 * DAY_MS) /* of a person's own cap */
#define CHOICE_BACK_MS       (7 * DAY_MS) /* it counts what went out so long before it was stated */

/* Reads the `Preferences Changed` at hand. */
void choices_event(struct person *who);

/* Are they not to be contacted at all? */
bool choices_no_contact(const struct person *who);

/* Have they turned the topic off? NAME_NONE never is. */
bool choices_topic_is_off(const struct person *who, uint32_t topic);

/* The end of the snooze that holds for the channel and topic at at_ms; INT64_MIN if none does. */
int64_t choices_snoozed_until(const struct person *who, enum channel channel, uint32_t topic,
                              int64_t at_ms);

/* Their own caps on messages of the channel, as caps of the plan; how many. */
uint32_t choices_caps(const struct person *who, enum channel channel, struct plan_cap *caps,
                      uint32_t room);

/* How long what was sent matters to their own caps; 0 = they have none. */
int64_t choices_ledger_ms(const struct person *who);

/* Takes over the choices of `from`, as of a merge: the later holds, unless it asks for more without a server's
 * word. */
void choices_unite(struct person *who, const struct person *from);

/* "snoozed until ..." and so on: what a choice says, in scratch. */
struct str choice_words(const struct person *who, const struct choice *x);
