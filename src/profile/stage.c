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
    uint32_t set = profile_standing(who->space, who->profile).set;
    for (uint32_t i = who->plan->stage_count; i-- > 0;) {
        const struct plan_stage *stage = &who->plan->stages[i];
        const struct membership *m =
            stage->segment != NAME_NONE ? person_membership_find(who, stage->segment) : NULL;
        bool holds = m != NULL && m->flags & MEMBERSHIP_IS_IN;
        if (holds || (stage->name == set && !planted("stage-not-set")))
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

uint32_t stage_of(const struct person *who)
{
    return profile_standing(who->space, who->profile).stage;
}

bool stages_are_due(const struct person *who)
{
    if (likely(who->plan == NULL ||
               (who->plan->stage_count == 0 && who->profile->standings.count == 0)))
        return false;
    return stage_reckon(who) != stage_of(who) && !planted("stage-stays");
}

void stages_keep(struct person *who, bool is_quiet)
{
    if (!stages_are_due(who))
        return;
    struct standing standing = profile_standing(who->space, who->profile);
    uint32_t left = standing.stage, entered = stage_reckon(who);
    note(who, left, false);
    note(who, entered, true);
    standing.stage = entered;
    standing.since_ms = who->at_ms;
    profile_set_standing(who->space, who->profile, standing);
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
    struct standing standing = profile_standing(who->space, who->profile);
    standing.set = name;
    profile_set_standing(who->space, who->profile, standing);
    who->is_touched = true;
    stages_keep(who, false);
}

void stage_unite(struct person *who, const struct person *from)
{
    struct standing mine = profile_standing(who->space, who->profile);
    struct standing theirs = profile_standing(from->space, from->profile);
    if (mine.set == NAME_NONE)
        mine.set = theirs.set;
    if (mine.stage == NAME_NONE) { /* it is no news to whom it is said of */
        mine.stage = theirs.stage;
        mine.since_ms = theirs.since_ms;
    }
    profile_set_standing(who->space, who->profile, mine);
}
