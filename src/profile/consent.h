/* consent.h - what a person agreed to and refused, as statements.
 *
 * A statement is about (address, channel, purpose, topic), with source and time. The latest wins; of
 * two of the same moment the restrictive one. Absence is no statement, and without a statement there
 * is no consent. A topic's own statement beats the one about all topics, except that a later refusal
 * of everything beats it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

/* The keyed hash under which the address gate knows an address on a channel: trimmed, in lower case.
 * An empty address (webhooks: the person is the address) is hashed from the profile's number. */
struct id128 address_hash(const uint8_t *secret, enum channel channel, struct str address,
                          uint64_t profile);

/* The person's address on the channel (borrowed from the traits), or an empty text. */
struct str person_address(const struct person *who, enum channel channel);

/* Notes a statement. True if it changed anything. A refusal of all marketing also goes to the address
 * gate, so that it holds while two profiles share an address. */
bool consent_note(struct person *who, struct consent statement);

/* Reads a `Consent Changed` or `Unsubscribed` event: channel (default email), purpose (default
 * marketing), topic, status ("granted", "denied", true, false), address (default: the current one). */
void consent_event(struct person *who);

enum consent_answer {
    CONSENT_NONE, /* nothing was ever said */
    CONSENT_GIVEN,
    CONSENT_REFUSED,
    CONSENT_SUPPRESSED, /* the address is known to be bad */
};

/* What holds for the current address on the channel. */
enum consent_answer consent_ask(const struct person *who, enum channel channel, uint32_t purpose,
                                uint32_t topic);

/* Takes over the statements of `from`, as of a merge. */
void consent_unite(struct person *who, const struct person *from);
