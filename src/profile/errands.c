/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/errands.h"

#include "base/canary.h"

const struct plan_errand *errand_means(const struct person *who, const struct errand *x)
{
    const struct plan *plan = person_plan(who, x->plan);
    must(x->errand < plan->errand_count);
    return &plan->errands[x->errand];
}

bool errand_add(struct person *who, const struct instance *from, uint32_t step_name,
                uint16_t errand, struct str says)
{
    if (who->profile->errands.count >= PROFILE_ERRANDS_MAX)
        return false;
    struct errand made = {
        .decision = person_more(who, from)->decision,
        .key_profile = who->id,
        .profile = who->id,
        .instance = from->id,
        .journey = from->journey,
        .name = step_name,
        .plan = from->plan,
        .errand = errand,
        .step = from->step,
        .state = ERRAND_WAITING,
        .is_ghost = (from->flags & INSTANCE_IS_GHOST) != 0,
        .began_ms = who->at_ms,
        .ask_ms = FOREVER_MS,
    };
    const struct plan_errand *means = errand_means(who, &made);
    made.kind = means->kind;
    made.deadline_ms = means->within_ms == FOREVER_MS ? FOREVER_MS : who->at_ms + means->within_ms;
    blob_set(who->space, &made.says, says.at, (uint32_t)says.len);
    *person_push_errand(who) = made;
    who->is_touched = true;
    return true;
}

uint32_t errand_find(const struct person *who, uint64_t decision)
{
    for (uint32_t i = 0; i < who->profile->errands.count; i++)
        if (person_errand(who, i)->decision == decision)
            return i;
    return UINT32_MAX;
}

bool errand_is_wanted(const struct person *who, const struct errand *x)
{
    if (x->ending != ERRAND_PENDING)
        return false;
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        if (in->id == x->instance)
            return in->state == INSTANCE_ASKING && person_more(who, in)->decision == x->decision;
    }
    return planted("errand-outlives-instance");
}

void errand_end(struct person *who, uint32_t place, enum errand_ending ending, struct body saved)
{
    struct errand *x = person_touch_errand(who, place);
    struct blob says = x->says;
    must(x->ending == ERRAND_PENDING);
    must(ending != ERRAND_PENDING);
    blob_set(who->space, &says, saved.at, saved.bytes);
    x = person_touch_errand(who, place);
    x->says = says;
    x->ending = (uint8_t)ending;
    who->has_ready = true;
    who->is_touched = true;
}

void errand_drop(struct person *who, uint32_t place)
{
    struct blob says = person_errand(who, place)->says;
    blob_set(who->space, &says, NULL, 0);
    person_drop_errand(who, place);
}
