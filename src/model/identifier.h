/* identifier.h - an identifier as the hash by which the world inside knows it.
 *
 * The identity index, the log's routing and the shred keys hold keyed hashes only; the text itself
 * stands in an event's personal part. The same text as a user id and as an anonymous id are two
 * identifiers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/hash.h"
#include "base/str.h"
#include "model/terms.h"

#define IDENTIFIER_SECRET_BYTES 192 /* key material, made once for each data directory */
#define IDENTIFIER_BYTES_MAX    256 /* longest user or anonymous id */
#define ADDRESS_BYTES_MAX       320 /* of an address that are looked at */

enum identifier_kind {
    IDENTIFIER_USER = 1,
    IDENTIFIER_ANONYMOUS,
};

/* The keyed hash of `id`; never all zero. `secret` is IDENTIFIER_SECRET_BYTES long. */
struct id128 identifier_hash(enum identifier_kind kind, struct str id, const uint8_t *secret);

/* The 64 bits by which a record is routed: those of its user id if it has one, else of its anonymous
 * id; 0 if it has neither. */
uint64_t identifier_route(struct id128 user, struct id128 anonymous);

/* The keyed hash by which an address on a channel is known: trimmed, in lower case.
 * An empty address (webhooks: the person is the address) is hashed from the profile's number. */
struct id128 address_hash(const uint8_t *secret, enum channel channel, struct str address,
                          uint64_t profile);
