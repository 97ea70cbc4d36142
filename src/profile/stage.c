/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/stage.h"
#include "base/canary.h"

const struct plan_stage *stage_find(const struct plan *plan, uint32_t name)
{
    for (uint32_t i = 0; i < plan->stage_count; i++)
        if (plan->stages[i].name == name)
            return &plan->stages[i];
    return NULL;
}

uint32_t stage_reckon(const struct person *who)
{
    for (uint32_t i = who->plan->stage_count; i-- > 0;) {
        const struct plan_stage *stage = &who->plan->stages[i];
        const struct membership *m =
            stage->segment != NAME_NONE ? person_membership_find(who, stage->segment) : NULL;
        bool holds = m != NULL && m->flags & MEMBERSHIP_IS_IN;
        if (holds || (stage->name == who->profile->stage_set && !planted("stage-not-set")))
            return stage->name;
    }
    return NAME_NONE;
}

static void note(struct person *who, uint32_t name, bool is_entered)
{
    if (name == NAME_NONE)
        return;
    person_result(
        who, (struct result){.kind = RESULT_STAGE, .how = is_entered, .number = (int64_t)name});
    person_note(who, "%s stage %.*s", is_entered ? "enters" : "leaves",
                STR_ARG(names_text(who->names, name)));
}

bool stages_are_due(const struct person *who)
{
    if (likely(who->plan == NULL || (who->plan->stage_count == 0 && who->profile->stage == 0)))
        return false;
    return stage_reckon(who) != who->profile->stage && !planted("stage-stays");
}

void stages_keep(struct person *who, bool is_quiet)
{
    struct profile *p = who->profile;
    if (!stages_are_due(who))
        return;
    uint32_t left = p->stage, entered = stage_reckon(who);
    note(who, left, false);
    note(who, entered, true);
    p->stage = entered;
    p->stage_ms = who->at_ms;
    person_changed_name(who, NAME_IN_STAGE);
    who->is_touched = true;
    if (is_quiet || who->entered == NULL)
        return;
    if (left != NAME_NONE)
        who->entered(who, NAME_STAGE_LEFT, left);
    if (entered != NAME_NONE)
        who->entered(who, NAME_STAGE_ENTERED, entered);
}

void stage_set(struct person *who, uint32_t name)
{
    who->profile->stage_set = name;
    who->is_touched = true;
    stages_keep(who, false);
}

void stage_unite(struct person *who, const struct person *from)
{
    if (who->profile->stage_set == NAME_NONE)
        who->profile->stage_set = from->profile->stage_set;
    if (who->profile->stage == NAME_NONE) { /* it is no news to whom it is said of */
        who->profile->stage = from->profile->stage;
        who->profile->stage_ms = from->profile->stage_ms;
    }
}
