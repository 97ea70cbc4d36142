/* erase.c - a person is forgotten: what is pending is taken back, journeys end, and nothing is left but the number of
 * the profile.
 *
 *     RECORD_ERASE ──► desk, lists and journeys end ──► addresses suppressed ──► identifiers and all else dropped
 *
 * It happens when all that the batch has for the person is applied, before the desk settles: so also a "no" that
 * they said behind the record outlives them, as a hash. Who comes back later is somebody new. The rows say which identifiers meant the
 * person: their keys are destroyed by whoever runs the engine (replay/erase.h), after a snapshot of this
 * state.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/engine_int.h"

#include "base/mem.h"
#include "decide/errand.h"
#include "journey/appointment.h"
#include "profile/feature.h"
#include "profile/traits.h"

enum { ERASED_IDENTIFIER, ERASED_ADDRESS };

struct erasing {
    struct engine *engine;
    uint64_t profile;
    uint8_t how;
};

/* The engine remembers whom it has erased since it was made: for whoever destroys the keys. */
static void remember(struct engine *e, uint64_t profile, struct id128 id)
{
    if (e->erased_count == e->erased_room) {
        e->erased_room = max_of(e->erased_room * 2, 16u);
        e->erased = mem_resize(e->erased, e->erased_room * sizeof(*e->erased));
    }
    must(e->erased_count < e->erased_room);
    e->erased[e->erased_count++] = (struct erased_id){profile, id};
}

static void note_id(void *self, struct id128 id)
{
    struct erasing *x = self;
    struct engine *e = x->engine;
    must(id128_is_set(id));
    remember(e, x->profile, id);
    results_add(&e->results, (struct result){.kind = RESULT_ERASED,
                                             .how = x->how,
                                             .profile = x->profile,
                                             .id = id.low,
                                             .number = (int64_t)id.high,
                                             .at_ms = e->now_ms});
}

static void suppress_one(struct engine *e, uint32_t channel, struct id128 address, bool is_stop)
{
    must(id128_is_set(address));
    messages_add(&e->messages, (struct stage_message){
                                   .kind = TO_ADDRESS_SUPPRESS,
                                   .how = is_stop ? SUPPRESSED_STOPPED : SUPPRESSED_UNSUBSCRIBED,
                                   .channel = (uint8_t)channel,
                                   .address = address,
                                   .at_ms = e->now_ms,
                               });
}

/* A keyed hash stays: nobody writes to their addresses for marketing until somebody agrees again, and a "no" that
 * they said about one outlives them. */
static void suppress(struct engine *e, struct person *who, struct erasing *x)
{
    x->how = ERASED_ADDRESS;
    for (uint32_t i = 0; i < who->profile->consents.count; i++) {
        const struct consent *c = person_consent(who, i);
        if (!c->is_given && id128_is_set(c->address))
            suppress_one(e, c->channel, c->address, c->bar == BAR_STOPPED);
    }
    for (uint32_t i = CHANNEL_NONE + 1; i < CHANNEL_END; i++) {
        struct id128 address = traits_held(who, (enum channel)i);
        if (!id128_is_set(address))
            continue;
        suppress_one(e, i, address, false);
        note_id(x, address);
    }
}

static void drop_all(struct engine *e, struct person *who)
{
    struct profile *p = who->profile;
    must(who->plan == NULL || p->intents.count == 0);
    must(who->plan == NULL || p->errands.count == 0);
    for (uint32_t i = 0; i < p->memberships.count; i++) {
        const struct membership *m = person_membership(who, i);
        if (m->flags & MEMBERSHIP_IS_IN && names_text(e->names, m->segment).at[0] != '$')
            engine_count_members(e, m->segment, -1);
    }
    features_clear(who->space, p);
    appointments_forget(who);
    for (uint32_t i = 0; i < p->pasts.count; i++) {
        struct blob entry = person_past(who, i)->entry;
        blob_set(who->space, &entry, NULL, 0);
    }
    for (uint32_t i = 0; i < p->instances.count;
         i++) { /* of a plan that cannot be asked any more */
        instance_forget(who->space, person_touch_instance(who, i));
        (void)engine_count_live(e, person_instance(who, i)->journey, -1);
    }
    traits_forget(who);
    vec_clear(who->space, &p->consents, sizeof(struct consent));
    rare_clear(who->space, p, RARE_CHOICES, sizeof(struct choice));
    rare_clear(who->space, p, RARE_WISHES, sizeof(struct wish));
    rare_clear(who->space, p, RARE_LISTINGS, sizeof(struct listing));
    vec_clear(who->space, &p->habits, sizeof(uint32_t));
    vec_clear(who->space, &p->instances, sizeof(struct instance));
    rare_clear(who->space, p, RARE_PASTS, sizeof(struct past));
    vec_clear(who->space, &p->intents, sizeof(struct intent));
    sent_clear(who->space, &p->ledger);
    rare_clear(who->space, p, RARE_HOLDS, sizeof(struct hold));
    vec_clear(who->space, &p->memberships, sizeof(struct membership));
    rare_clear(who->space, p, RARE_STANDINGS, sizeof(struct standing));
    must(p->rares == 0);
    *p = (struct profile){0};
    profile_set_forward(p, PROFILE_ERASED);
}

void engine_erase(struct engine *e, struct person *who)
{
    struct erasing x = {.engine = e, .profile = who->id};
    must(profile_forward(who->profile) == 0);
    saving_lose(e); /* a snapshot under way would have them */
    who->witness = NULL;
    if (who->plan != NULL) {
        desk_erase(who);
        listings_erase(who);
        journey_erase(who);
        desk_erase(who); /* what their ends have brought up */
        errands_erase(who);
    }
    suppress(e, who, &x);
    x.how = ERASED_IDENTIFIER;
    identity_of(&e->identity, &e->host, who->id, true, &x, note_id);
    drop_all(e, who);
    engine_arm(e, who->id, FOREVER_MS);
    must(e->settled_merged <= e->settled_count);
    e->settled_count = e->settled_merged;
    e->told_count = 0;
    must(profile_forward(who->profile) == PROFILE_ERASED);
    e->counts.merges++; /* one living profile less */
}

static void give_id(void *self, struct id128 id)
{
    struct engine_ids *ids = self;
    for (uint32_t i = 0; i < ids->count; i++)
        if (id128_equal(ids->at[i], id))
            return;
    if (ids->count == ids->room) {
        ids->room = max_of(ids->room * 2, 16u);
        ids->at = mem_resize(ids->at, ids->room * sizeof(*ids->at));
    }
    must(ids->count < ids->room);
    ids->at[ids->count++] = id;
}

void engine_ids_of(struct engine *e, uint64_t profile, struct engine_ids *ids)
{
    for (uint32_t i = 0; i < e->erased_count; i++)
        if (e->erased[i].profile == profile)
            give_id(ids, e->erased[i].id);
    if (engine_is_erased(e, profile))
        return;
    struct person who;
    engine_look(e, profile, &who);
    identity_of(&e->identity, &e->host, who.id, false, ids, give_id);
    for (uint32_t i = CHANNEL_NONE + 1; i < CHANNEL_END; i++) {
        struct id128 address = traits_held(&who, (enum channel)i);
        if (id128_is_set(address))
            give_id(ids, address);
    }
}

bool engine_is_erased(struct engine *e, uint64_t profile)
{
    struct partition *p = &e->partitions[profile_partition(profile)];
    uint32_t local = profile_local(profile);
    return local >= 1 && local < p->count &&
           profile_forward(engine_profile(e, identity_follow(&e->host, profile))) == PROFILE_ERASED;
}
