/* find.c - whom an event of a server key means that carries no id, but an address.
 *
 * The identity stage asks this for every record without a user id or anonymous id. Ingest has written
 * the addresses that such an event names as $find.email, $find.phone and $find.push_token, and only
 * where the key was a server's; here that is looked at again, because a public key could otherwise
 * act for strangers. Whom an address finds stands in profile/addresses.h; nothing is merged, and
 * nobody is made.
 *
 * The index knows what traits were when the batch began: this batch's traits are set in a later stage.
 * So what the batch's own `identify` events before this one say about addresses (claims) is laid over
 * it, and how events fall into batches does not decide whom they reach:
 *
 *     index     ann@ ──► 7        bob@ ──► 9
 *     claims    7: ann2@          so ann@ finds nobody any more, and ann2@ finds 7
 *
 * Claims are collected only in batches that hold such a record, at the first one.
 *
 * A refusal (unsubscribed, consent denied, a complaint) is for everybody with the address. What cannot be
 * kept with a profile, because none holds the address or more do than are listed, is kept by the
 * address gate as "no marketing to this address": the side that does not send.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/engine_int.h"

#include "base/mem.h"
#include "profile/consent.h"
#include "profile/traits.h"

#define FOUND_MAX (2 * ADDRESS_HOLDERS_MAX) /* profiles that one refusal reaches */

/* What an identify event of this batch says: the profile holds `address` (not set: none) from now on. */
struct claim {
    uint64_t profile;
    struct id128 address;
    int64_t said_ms;
    uint32_t channel;
    uint32_t before;    /* the claim before it to the same address + 1; 0 = none */
    bool is_superseded; /* the same profile has said otherwise since */
};

static struct id128 holder_key(uint64_t profile, uint32_t channel)
{
    return (struct id128){channel, profile};
}

void claims_reset(struct claims *c)
{
    if (c->count > 0) {
        index_fini(&c->by_holder);
        index_fini(&c->by_address);
    }
    c->count = c->items_seen = 0;
}

void claims_fini(struct claims *c)
{
    claims_reset(c);
    mem_free(c->at);
}

static struct claim *claim_of(const struct claims *c, uint64_t profile, uint32_t channel)
{
    const struct index_entry *e = index_find(&c->by_holder, holder_key(profile, channel));
    must(e == NULL || e->first < c->count);
    return e ? &c->at[e->first] : NULL;
}

static void add_claim(struct claims *c, struct claim claim)
{
    struct claim *older = claim_of(c, claim.profile, claim.channel);
    if (older != NULL && older->said_ms > claim.said_ms)
        return;
    if (older != NULL)
        older->is_superseded = true;
    if (c->count == c->room) {
        c->room = c->room ? c->room * 2 : 64;
        c->at = mem_resize(c->at, c->room * sizeof(c->at[0]));
    }
    must(c->count < c->room);
    index_add(&c->by_holder, holder_key(claim.profile, claim.channel))->first = c->count;
    if (id128_is_set(claim.address)) {
        struct index_entry *e = index_add(&c->by_address, claim.address);
        claim.before = (uint32_t)e->first;
        must(claim.before <= c->count);
        e->first = c->count + 1;
    }
    c->at[c->count++] = claim;
}

void claims_merge(struct engine *e, uint64_t loser, uint64_t winner)
{
    must(loser != winner);
    struct person who = engine_person(e, winner);
    for (uint32_t channel = CHANNEL_NONE + 1; e->claims.count > 0 && channel < CHANNEL_END;
         channel++) {
        struct claim *claim = claim_of(&e->claims, loser, channel);
        if (claim == NULL)
            continue;
        claim->is_superseded = true;
        struct claim inherited = *claim;
        inherited.profile = winner;
        inherited.is_superseded = false;
        inherited.before = 0;
        if (traits_said_ms(&who, channel_trait((enum channel)channel)) <= inherited.said_ms)
            add_claim(&e->claims, inherited);
    }
}

/* What the identify events that were resolved so far say about addresses. */
static void collect_claims(struct engine *e, const struct batch *b)
{
    for (; e->claims.items_seen < e->item_count; e->claims.items_seen++) {
        const struct item *item = &e->items[e->claims.items_seen];
        if (item->kind != ITEM_RECORD)
            continue;
        must(item->place < b->count);
        const struct record *r = &b->records[item->place];
        if (r->type != RECORD_EVENT || r->kind != EVENT_IDENTIFY)
            continue;
        struct person who = engine_person(e, identity_follow(&e->host, item->profile));
        for (uint32_t channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++) {
            uint32_t trait = channel_trait((enum channel)channel);
            struct value x = trait ? record_get(r, trait, NULL) : value_none();
            if (x.type == VALUE_NONE || traits_said_ms(&who, trait) > r->event_ms)
                continue;
            add_claim(&e->claims,
                      (struct claim){
                          .profile = who.id,
                          .channel = channel,
                          .said_ms = r->event_ms,
                          .address = traits_address(e->secret, (enum channel)channel, &x),
                      });
        }
    }
}

struct found {
    uint64_t at[FOUND_MAX];
    uint32_t count;
    uint32_t others; /* more hold the address than stand here */
};

static void add_found(struct found *f, uint64_t profile)
{
    must(profile != 0);
    for (uint32_t i = 0; i < f->count; i++)
        if (f->at[i] == profile)
            return;
    if (f->count < FOUND_MAX)
        f->at[f->count++] = profile;
    else
        f->others++;
}

/* Everybody who holds the address at this place of the batch. */
static void find_holders(struct engine *e, uint32_t channel, struct id128 address, struct found *f)
{
    must(id128_is_set(address));
    uint64_t list[ADDRESS_HOLDERS_MAX];
    uint32_t count = addresses_list(&e->addresses, address, list, &f->others);
    must(count <= ADDRESS_HOLDERS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct claim *claim = claim_of(&e->claims, list[i], channel);
        if (claim == NULL || id128_equal(claim->address, address))
            add_found(f, list[i]);
    }
    const struct index_entry *entry = index_find(&e->claims.by_address, address);
    for (uint32_t next = entry ? (uint32_t)entry->first : 0; next != 0;) {
        must(next <= e->claims.count);
        const struct claim *claim = &e->claims.at[next - 1];
        if (!claim->is_superseded)
            add_found(f, identity_follow(&e->host, claim->profile));
        must(claim->before < next);
        next = claim->before;
    }
}

static struct id128 named_address(const struct engine *e, const struct record *r, uint32_t channel)
{
    struct value x = record_get(r, channel_find_name((enum channel)channel), NULL);
    return traits_address(e->secret, (enum channel)channel, &x);
}

/* Is the record somebody's "no", which is for all who have the address? */
static bool is_refusal(const struct record *r)
{
    return r->kind == EVENT_TRACK &&
           (r->name == NAME_UNSUBSCRIBED || r->name == NAME_MESSAGE_COMPLAINED ||
            (r->name == NAME_CONSENT_CHANGED && !consent_is_given(r)));
}

/* "No marketing to this address", whoever has it. */
static void refuse_address(struct engine *e, const struct record *r, uint32_t channel,
                           struct id128 address)
{
    struct value purpose = record_get(r, NAME_PURPOSE, NULL);
    bool stops = consent_stops(r);
    if (!stops && purpose.type == VALUE_TEXT && !str_is(purpose.text, "marketing"))
        return;
    messages_add(&e->messages, (struct stage_message){
                                   .kind = TO_ADDRESS_SUPPRESS,
                                   .how = stops ? SUPPRESSED_STOPPED : SUPPRESSED_UNSUBSCRIBED,
                                   .channel = (uint8_t)channel,
                                   .address = address,
                                   .at_ms = r->event_ms,
                               });
}

static uint32_t find_refusers(struct engine *e, const struct record *r, uint64_t *profiles)
{
    /* The address on the channel that the statement is about counts first. */
    uint32_t about = consent_channel(r);
    struct found f = {0};
    struct id128 address = named_address(e, r, about);
    if (id128_is_set(address)) {
        find_holders(e, about, address, &f);
        if (f.count == 0 || f.others > 0)
            refuse_address(e, r, about, address);
    }
    for (uint32_t channel = CHANNEL_NONE + 1; f.count == 0 && channel < CHANNEL_END; channel++) {
        address = named_address(e, r, channel);
        if (channel != about && id128_is_set(address))
            find_holders(e, channel, address, &f);
    }
    must(f.count <= FOUND_MAX);
    memcpy(profiles, f.at, f.count * sizeof(profiles[0]));
    return f.count;
}

static uint64_t find_one(struct engine *e, const struct record *r)
{
    uint64_t best = 0;
    for (uint32_t channel = CHANNEL_NONE + 1; best == 0 && channel < CHANNEL_END; channel++) {
        struct id128 address = named_address(e, r, channel);
        struct found f = {0};
        if (id128_is_set(address))
            find_holders(e, channel, address, &f);
        for (uint32_t i = 0; i < f.count; i++)
            best = addresses_choose(&e->addresses, best, f.at[i]);
    }
    return best;
}

bool engine_find_record(struct engine *e, const struct batch *b, const struct record *r,
                        uint32_t place)
{
    uint64_t profiles[FOUND_MAX];
    uint32_t count = 0;
    if (r->flags & RECORD_IS_SERVER) {
        collect_claims(e, b);
        if (is_refusal(r))
            count = find_refusers(e, r, profiles);
        else if ((profiles[0] = find_one(e, r)) != 0)
            count = 1;
    }
    must(count <= FOUND_MAX);
    for (uint32_t i = 0; i < count; i++)
        engine_add_record(e, profiles[i], place);
    if (count > 0)
        return true;
    e->counts.unfound++;
    results_add(&e->results,
                (struct result){.kind = RESULT_UNFOUND, .number = r->name, .at_ms = r->at_ms});
    return false;
}

struct str engine_person_id(struct engine *e, uint64_t profile)
{
    struct person who;
    engine_look(e, profile, &who);
    struct value id = traits_get(&who, NAME_USER_ID, NULL);
    if (id.type != VALUE_TEXT)
        id = traits_get(&who, NAME_ANONYMOUS_ID, NULL);
    return id.type == VALUE_TEXT ? id.text : STR("");
}

uint64_t engine_find_person(const struct engine *e, struct str text)
{
    uint64_t profile = engine_find(e, identifier_hash(IDENTIFIER_USER, text, e->secret));
    if (profile == 0)
        profile = engine_find(e, identifier_hash(IDENTIFIER_ANONYMOUS, text, e->secret));
    struct value x = value_text(text);
    for (uint32_t i = CHANNEL_NONE + 1; profile == 0 && i < CHANNEL_END; i++) {
        struct id128 address = traits_address(e->secret, (enum channel)i, &x);
        if (channel_trait((enum channel)i) != NAME_NONE && id128_is_set(address))
            profile = addresses_find(&e->addresses, address);
    }
    return profile;
}
