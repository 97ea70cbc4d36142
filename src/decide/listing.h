/* listing.h - who is in which ad audience, and what its provider is told.
 *
 *     steps ──► wishes ──rules──► let in? ──┐                    ┌──► provider's pool ──► attempt
 *               (profile/wishes.h)          ├──► one listing for ┤
 *               address of the person ──────┘    each address    └◄── receipt
 *
 * A person is to be in an audience under an address as long as one wish for it is let in and the address
 * is theirs. To be let in a wish is asked what a message would be: 2 consent, 4 wanted (operators), 5
 * holdout, 6 holds, 7 groups, 8 role, 9 duplicate; never hours or caps. Asked again whenever something
 * happens to the person, and when the answer said. Once in, only a missing agreement takes them out.
 *
 * A listing is what the provider knows of one address, and the attempt under way that is to change it.
 * One attempt of a listing is under way at a time, so that "remove" cannot overtake "add": an attempt
 * that says what is no longer meant is taken back from the pool or recalled from the outbox, and what is
 * meant goes out when its receipt is there. What is in doubt or has failed is made again, for ever, with
 * longer pauses. Removing asks no rule.
 *
 * Networks know people by SHA-256 of their e-mail address, trimmed and in lower case, or of their phone
 * number in E.164 with its plus sign. The listing keeps that hash, so that who changes their address, or
 * loses it, is removed under the old one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/sha256.h"
#include "model/keep.h"
#include "model/receipt.h"
#include "profile/person.h"

/* Asks what is to be asked and tells providers what has changed. Once per person and batch, after the desk.
 * Requires a programme. */
void listings_settle(struct person *who);

/* The earliest moment at which listings_settle() has something to do; FOREVER_MS if none. */
int64_t listings_deadline(const struct person *who);

/* An answer of the pool (BACK_...) about a listing. */
void listings_answer(struct person *who, const struct stage_message *answer);

/* What became of an attempt. False: it is none of a listing. */
bool listings_receipt(struct person *who, const struct receipt *receipt) mustuse;

/* Another release and this one say different things of an attempt. What it has told a provider is in doubt, and what is meant
 * is told again under a new id; what only this one has granted is asked again. */
void listings_keep(struct person *who, const struct keep *k);

/* As of a merge, behind instances and stages. */
void listings_unite(struct person *who, const struct person *from);

/* Lines to the witness: in which audiences the person is and why, or what is against it. */
void listings_explain(struct person *who);

/* The person is erased: what is at a pool or with a provider is taken back. */
void listings_erase(struct person *who);

/* What the network knows the person by on that channel; false: they have no address that could be it. */
bool listing_member(const struct person *who, enum channel channel,
                    uint8_t out[SHA256_BYTES]) mustuse;
