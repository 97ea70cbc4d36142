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

#include "model/identifier.h"
#include "profile/person.h"

/* The person's address on the channel (borrowed from the traits), or an empty text. */
struct str person_address(const struct person *who, enum channel channel);

/* Notes a statement. True if it changed anything. A refusal of all marketing also goes to the address
 * gate, so that it holds while two profiles share an address. */
bool consent_note(struct person *who, struct consent statement);

/* Reads a `Consent Changed` or `Unsubscribed` event: channel (default email), purpose (default
 * marketing), topic, status ("granted", "denied", true, false), address (default: the current one). */
void consent_event(struct person *who);

/* What the record's `Consent Changed` says: only a plain yes is one. */
bool consent_is_given(const struct record *r);

/* Does the record stop every lane on its address? An `Unsubscribed` from a phone is STOP; `Consent
 * Changed` says it with the status "stopped", or "blocked", on any channel. */
bool consent_stops(const struct record *r);

/* The channel that such a record is about; e-mail if it names none (or one that is not known). */
enum channel consent_channel(const struct record *r);

enum consent_answer {
    CONSENT_NONE, /* nothing was ever said */
    CONSENT_GIVEN,
    CONSENT_REFUSED,
    CONSENT_SUPPRESSED, /* the address is known to be bad */
    CONSENT_STOPPED,    /* STOP was said, or they blocked us, and did not agree again since */
};

/* What holds for the current address on the channel. */
enum consent_answer consent_ask(const struct person *who, enum channel channel, uint32_t purpose,
                                uint32_t topic);

/* The same for the hash of an address (address_hash()), and the statement that decided (NULL: none was ever
 * made); good until the list changes. */
enum consent_answer consent_look(const struct person *who, enum channel channel,
                                 struct id128 address, uint32_t purpose, uint32_t topic,
                                 const struct consent **decided);

/* Takes over the statements of `from`, as of a merge. */
void consent_unite(struct person *who, const struct person *from);
