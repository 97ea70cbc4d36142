/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/wishes.h"
#include "base/canary.h"
#include "profile/stage.h"

static uint32_t find(const struct person *who, uint64_t instance, uint32_t audience)
{
    for (uint32_t i = 0; i < who->profile->wishes.count; i++)
        if (person_wish(who, i)->instance == instance && person_wish(who, i)->audience == audience)
            return i;
    return UINT32_MAX;
}

bool wishes_add(struct person *who, const struct instance *from, uint32_t audience,
                enum wish_until until)
{
    uint32_t place = find(who, from->id, audience);
    struct wish made = {
        .audience = audience,
        .until = (uint8_t)until,
        .is_ghost = (from->flags & INSTANCE_IS_GHOST) != 0,
        .journey = from->journey,
        .stage = until == WISH_STAGE ? stage_of(who) : NAME_NONE,
        .instance = from->id,
        .at_ms = who->at_ms,
        .ask_ms = FOREVER_MS,
    };
    who->is_touched = true;
    if (place != UINT32_MAX) {
        struct wish *x = person_touch_wish(who, place);
        made.is_in = x->is_in;
        made.at_ms = x->at_ms;
        *x = made;
        return true;
    }
    if (who->profile->wishes.count >= PROFILE_WISHES_MAX)
        return false;
    *person_push_wish(who) = made;
    return true;
}

void wishes_remove(struct person *who, uint64_t instance, uint32_t audience)
{
    for (uint32_t i = who->profile->wishes.count; i-- > 0;) {
        const struct wish *x = person_wish(who, i);
        if (x->audience == audience && (x->instance == instance || x->until != WISH_INSTANCE))
            person_drop_wish(who, i);
    }
    who->is_touched = true;
}

static bool lives(const struct person *who, uint64_t instance)
{
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        if (in->id == instance)
            return !(in->flags & INSTANCE_OPTED_OUT);
    }
    return false;
}

static bool is_over(const struct person *who, const struct wish *x)
{
    switch ((enum wish_until)x->until) {
    case WISH_INSTANCE: return !lives(who, x->instance) && !planted("audience-stays");
    case WISH_STAGE: return stage_of(who) != x->stage && !planted("audience-outlives-stage");
    case WISH_EVER: return false;
    }
    return true;
}

void wishes_prune(struct person *who)
{
    for (uint32_t i = who->profile->wishes.count; i-- > 0;)
        if (is_over(who, person_wish(who, i)))
            person_drop_wish(who, i);
}

void wishes_unite(struct person *who, const struct person *from)
{
    for (uint32_t i = 0; i < from->profile->wishes.count; i++) {
        struct wish x = *person_wish(from, i);
        uint32_t place = find(who, x.instance, x.audience);
        if (place == UINT32_MAX && who->profile->wishes.count < PROFILE_WISHES_MAX)
            *person_push_wish(who) = x;
        else if (place != UINT32_MAX && x.at_ms < person_wish(who, place)->at_ms)
            *person_touch_wish(who, place) = x;
    }
}
