/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/identity.h"

#include "base/canary.h"

static uint32_t partition_of(struct id128 identifier)
{
    return (uint32_t)(identifier.high & (PARTITIONS - 1));
}

/* Which user an entry is bound to: 64 bits of the user id's hash, never 0. */
static uint64_t fingerprint(struct id128 user)
{
    return id128_is_set(user) ? user.high | 1 : 0;
}

void identity_init(struct identity *id, uint32_t messages_max, struct pages *pages)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        index_init_in(&id->ids[i], pages);
        seen_init_in(&id->messages[i], max_of(messages_max / PARTITIONS, 64u), pages);
    }
}

void identity_fini(struct identity *id)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        index_fini(&id->ids[i]);
        seen_fini(&id->messages[i]);
    }
}

bool identity_is_duplicate(struct identity *id, const struct record *r)
{
    if (r->message_hash == 0 || planted("dedupe-forgotten"))
        return false;
    return seen_note(&id->messages[r->message_hash & (PARTITIONS - 1)], r->message_hash, r->at_ms);
}

bool identity_knows_message(const struct identity *id, uint64_t message_hash, int64_t now_ms)
{
    return message_hash != 0 &&
           seen_has(&id->messages[message_hash & (PARTITIONS - 1)], message_hash, now_ms);
}

void identity_prefetch(const struct identity *id, const struct record *r)
{
    struct id128 first = id128_is_set(r->user) ? r->user : r->anonymous;
    index_prefetch(&id->ids[partition_of(first)], first);
    if (id128_is_set(r->user) && id128_is_set(r->anonymous))
        index_prefetch(&id->ids[partition_of(r->anonymous)], r->anonymous);
    seen_prefetch(&id->messages[r->message_hash & (PARTITIONS - 1)], r->message_hash);
}

uint64_t identity_guess(const struct identity *id, const struct record *r)
{
    struct id128 first = id128_is_set(r->user) ? r->user : r->anonymous;
    const struct index_entry *e = index_find(&id->ids[partition_of(first)], first);
    return e ? e->first : 0;
}

uint64_t identity_follow(const struct identity_host *host, uint64_t number)
{
    for (;;) {
        const struct profile *p = host->profile(host->self, number);
        uint64_t forward = profile_forward(p);
        if (forward == 0 || forward == PROFILE_ERASED)
            return number;
        must(forward != number);
        number = forward;
    }
}

uint64_t identity_find(const struct identity *id, const struct identity_host *host,
                       struct id128 identifier)
{
    const struct index_entry *e = index_find(&id->ids[partition_of(identifier)], identifier);
    return e ? identity_follow(host, e->first) : 0;
}

static bool has_room(const struct identity_host *host, uint64_t profile)
{
    struct profile *p = host->profile(host->self, profile);
    if (p->identifier_count >= PROFILE_IDENTIFIERS_MAX)
        return false;
    p->identifier_count++;
    return true;
}

/* Whose lots are kept, in control groups and splits: who was a known user before this record, else who was
 * seen first, else the lower number. */
static bool goes_before(const struct identity_host *host, uint64_t p, uint64_t q, uint64_t created)
{
    const struct profile *a = host->profile(host->self, p), *b = host->profile(host->self, q);
    bool is_a_known = id128_is_set(a->user) && p != created;
    bool is_b_known = id128_is_set(b->user) && q != created;
    if (is_a_known != is_b_known && !planted("merge-takes-a-visitors-lot"))
        return is_a_known;
    if (a->first_seen_ms != b->first_seen_ms)
        return a->first_seen_ms < b->first_seen_ms;
    return p < q;
}

/* Makes p and q one if they may be; returns the profile that is alive afterwards and contains p, or 0.
 * `created`: the profile that this record made, or 0. */
static uint64_t unite(const struct identity_host *host, uint64_t p, uint64_t q, bool is_alias,
                      uint64_t created)
{
    must(p != q);
    bool is_first = goes_before(host, p, q, created);
    uint64_t winner = is_first ? p : q, loser = is_first ? q : p;
    struct profile *w = host->profile(host->self, winner);
    const struct profile *l = host->profile(host->self, loser);
    bool is_stranger =
        id128_is_set(w->user) && id128_is_set(l->user) && !id128_equal(w->user, l->user);
    if (is_stranger && !is_alias)
        return 0;
    struct id128 user = l->user;
    if (!host->merge(host->self, loser, winner))
        return 0;
    if (!id128_is_set(w->user))
        w->user = user;
    return winner;
}

/* s belongs to p from here on; returns the profile that p is part of afterwards. */
static uint64_t link(struct identity *id, const struct identity_host *host, struct id128 s,
                     uint64_t p, bool is_alias, uint64_t created)
{
    struct index *ids = &id->ids[partition_of(s)];
    struct index_entry *e = index_find(ids, s);
    /* Of the profile, not of the record: after an alias one profile has several user ids. */
    uint64_t mark = fingerprint(host->profile(host->self, p)->user);
    if (e == NULL) {
        if (!has_room(host, p))
            return p;
        keep_before(id->keeper, partition_of(s), s);
        e = index_add(ids, s);
        e->first = p;
        e->second = mark;
        return p;
    }
    uint64_t q = identity_follow(host, e->first);
    if (q == p) {
        if (e->second == 0) {
            keep_before(id->keeper, partition_of(s), s);
            e->second = mark;
        }
        return p;
    }
    bool may_merge = is_alias || e->second == 0 || mark == 0 || e->second == mark;
    uint64_t whole = may_merge ? unite(host, p, q, is_alias, created) : 0;
    if (whole == 0) {
        host->shared(host->self, p, q);
        whole = p;
    }
    uint64_t whole_mark = fingerprint(host->profile(host->self, whole)->user);
    keep_before(id->keeper, partition_of(s), s);
    e->first = whole;
    e->second = whole_mark ? whole_mark : e->second;
    return whole;
}

uint64_t identity_resolve(struct identity *id, const struct identity_host *host,
                          const struct record *r)
{
    bool has_user = id128_is_set(r->user);
    struct id128 first = has_user ? r->user : r->anonymous;
    if (!id128_is_set(first))
        return 0;
    uint32_t partition = partition_of(first);
    struct index_entry *e = index_find(&id->ids[partition], first);
    uint64_t p, created = 0;
    if (e == NULL) {
        p = created = host->create(host->self, partition, r->event_ms);
        host->profile(host->self, p)->identifier_count = 1;
        keep_before(id->keeper, partition, first);
        e = index_add(&id->ids[partition], first);
        e->first = p;
        e->second = fingerprint(r->user);
    } else {
        p = identity_follow(host, e->first);
        if (unlikely(p != e->first)) {
            keep_before(id->keeper, partition, first);
            e->first = p;
        }
    }
    if (has_user) {
        struct profile *profile = host->profile(host->self, p);
        if (!id128_is_set(profile->user))
            profile->user = r->user;
        if (id128_is_set(r->anonymous))
            p = link(id, host, r->anonymous, p, false, created);
    }
    /* A public key may not take a user id for its own, known or not. */
    bool is_server = (r->flags & RECORD_IS_SERVER) != 0;
    if (r->kind == EVENT_ALIAS && is_server && id128_is_set(r->previous))
        p = link(id, host, r->previous, p, true, created);
    return p;
}

void identity_of(struct identity *id, const struct identity_host *host, uint64_t number,
                 bool forgets, void *self, void (*note)(void *self, struct id128 identifier))
{
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        struct index *x = &id->ids[i];
        /* Dropping one moves others: what was there is looked at again. */
        for (uint32_t k = 0; k < index_slot_count(x); k++) {
            const struct index_entry *e = index_slot(x, k);
            while (id128_is_set(e->key) && identity_follow(host, e->first) == number) {
                struct id128 key = e->key;
                note(self, key);
                if (!forgets)
                    break;
                must(index_drop(x, key));
            }
        }
    }
}
