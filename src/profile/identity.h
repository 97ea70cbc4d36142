/* identity.h - which profile an identifier belongs to, and when two profiles are one person.
 *
 * Only user id and anonymous id merge profiles. Two different user ids never merge, except by `alias`
 * from a server key, which is the only one that may alias user ids at all. The owner of a record's first identifier r (user id before anonymous id) says
 * which profile p it is (and makes one if it is unknown); then every other identifier s is linked:
 *
 *     s unknown                              s now means p
 *     s means p                              nothing, but s may learn the user
 *     s means q, without a user or the same  one of p and q absorbs the other
 *     s means q of another user              s means p from here on; its past stays (shared device)
 *
 * The winner of a merge is who was a known user before, else who was seen first, else the lower number:
 * control groups and arms are drawn by the profile's number, and so they stay what they were for whom we
 * know (docs/decisions/0010). The loser keeps a forward, which later finds follow; it never wins again,
 * so forwards end.
 *
 * An entry is (profile, fingerprint of the user that it is bound to, or 0). Entries live in 256
 * partitions by the identifier's hash.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/record.h"
#include "model/state.h"
#include "store/index.h"
#include "store/seen.h"

#define PARTITIONS 256

struct identity {
    struct index ids[PARTITIONS];     /* by the identifier's hash */
    struct seen messages[PARTITIONS]; /* by the message id's hash */
    const struct keeper *keeper;      /* of identifiers; NULL = none */
};

/* What identity needs of whoever keeps the profiles. */
struct identity_host {
    void *self;
    /* A new profile in the partition, first seen at `at_ms`. */
    uint64_t (*create)(void *self, uint32_t partition, int64_t at_ms);
    /* The profile, not following forwards; never NULL for a number that create() gave. */
    struct profile *(*profile)(void *self, uint64_t number);
    /* `loser` becomes part of `winner`; both are alive and differ. False, and nothing has changed, if
     * together they would be too large: they stay two. */
    bool (*merge)(void *self, uint64_t loser, uint64_t winner);
    /* s moved from one user's profile to another's. */
    void (*shared)(void *self, uint64_t profile, uint64_t other);
};

/* Remembers `messages_max` message ids, in all. Large tables come out of `pages` (kept until
 * identity_fini; may be NULL). */
void identity_init(struct identity *id, uint32_t messages_max, struct pages *pages);
void identity_fini(struct identity *id);

/* Was the record's message id applied within the last 24 hours? If not it is noted now. Records
 * without one (message_hash 0) are never duplicates. */
bool identity_is_duplicate(struct identity *id, const struct record *r) mustuse;

/* The same question at `now_ms`, without noting anything. */
bool identity_knows_message(const struct identity *id, uint64_t message_hash,
                            int64_t now_ms) mustuse;

/* The profile that the record is about, after its links were applied; 0 if it has no identifier.
 * Later records of the batch may merge it: follow forwards before use. */
uint64_t identity_resolve(struct identity *id, const struct identity_host *host,
                          const struct record *r) mustuse;

/* The profile that `number` forwards to in the end (itself if it is alive, or erased). */
uint64_t identity_follow(const struct identity_host *host, uint64_t number);

/* The profile that the identifier means, following forwards; 0 if unknown. */
uint64_t identity_find(const struct identity *id, const struct identity_host *host,
                       struct id128 identifier);

/* The identifiers that mean `number` in the end, forgotten if `forgets`: calls `note` for each. Looks at all
 * of them. */
void identity_of(struct identity *id, const struct identity_host *host, uint64_t number,
                 bool forgets, void *self, void (*note)(void *self, struct id128 identifier));

/* Brings the index and dedupe slots of the record into the cache. */
void identity_prefetch(const struct identity *id, const struct record *r);

/* The profile that the record's first identifier was bound to when last resolved, 0 if unknown: only
 * good for bringing it into the cache. */
uint64_t identity_guess(const struct identity *id, const struct record *r);
