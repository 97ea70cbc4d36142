/* rule_group.c - a journey of one group pauses another group while the person is in it. Held-out
 * instances pause nobody. And a group that takes at most n of its journeys at once may let more be
 * entered, whose messages wait until there is room (`then: wait`).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/rule.h"

/* at_most of its group, where one more may enter and waits: those who were there before go first. Ghosts
 * stand in nobody's way but each other's. */
static struct answer ask_room(const struct question *q)
{
    must(q->group < q->plan->group_count);
    const struct plan_group *g = &q->plan->groups[q->group];
    const struct instance *own = NULL;
    uint32_t before = 0;
    for (uint32_t i = 0; i < q->who->profile->instances.count; i++)
        if (person_instance(q->who, i)->id == q->intent->instance)
            own = person_instance(q->who, i);
    if (!g->waits || g->at_most == 0 || own == NULL)
        return ANSWER_ALLOW;
    for (uint32_t i = 0; i < q->who->profile->instances.count; i++) {
        const struct instance *in = person_instance(q->who, i);
        uint16_t other = plan_journey_find(q->plan, in->journey);
        bool is_seen = in->state != INSTANCE_QUEUED &&
                       (q->intent->is_ghost || !(in->flags & INSTANCE_IS_GHOST));
        bool is_before = in->entered_ms < own->entered_ms ||
                         (in->entered_ms == own->entered_ms && in->id < own->id);
        if (in != own && is_seen && is_before && other != PLAN_NO_INDEX &&
            q->plan->journeys[other].group == q->group)
            before++;
    }
    must(before < q->who->profile->instances.count);
    if (before < g->at_most + planted("group-waits-for-none"))
        return ANSWER_ALLOW;
    say(q, "group %.*s takes %u at once, and they were in %u before",
        STR_ARG(names_text(q->who->names, g->name)), g->at_most, before);
    blame(q, "the other journeys of the group %.*s", STR_ARG(names_text(q->who->names, g->name)));
    return (struct answer){.kind = NOT_BEFORE, .at_ms = FOREVER_MS};
}

/* Does any group pause the intent's? */
static bool is_ever_paused(const struct question *q)
{
    for (uint32_t i = 0; i < q->plan->group_count; i++)
        if (q->plan->groups[i].pauses >> q->group & 1)
            return true;
    return false;
}

struct answer rule_group_ask(const struct question *q)
{
    if (q->group == PLAN_NO_INDEX || !(q->lane_flags & LANE_CAPS))
        return ANSWER_ALLOW;
    struct answer answer = ask_room(q);
    if (!is_ever_paused(q))
        return answer;
    for (uint32_t i = 0; i < q->who->profile->instances.count; i++) {
        const struct instance *in = person_instance(q->who, i);
        if (in->state == INSTANCE_QUEUED ||
            (in->flags & INSTANCE_IS_GHOST && !planted("ghost-pauses")) ||
            in->journey == q->intent->journey)
            continue;
        uint16_t other = plan_journey_find(q->plan, in->journey);
        if (other == PLAN_NO_INDEX || q->plan->journeys[other].group == PLAN_NO_INDEX)
            continue;
        uint16_t group = q->plan->journeys[other].group;
        must(group < q->plan->group_count);
        if (!(q->plan->groups[group].pauses >> q->group & 1))
            continue;
        say(q, "group %.*s is paused while the person is in journey %.*s (since %s)",
            STR_ARG(names_text(q->who->names, q->plan->groups[q->group].name)),
            STR_ARG(names_text(q->who->names, in->journey)), moment(q, in->entered_ms));
        blame(q, "journey %.*s, which pauses its group",
              STR_ARG(names_text(q->who->names, in->journey)));
        answer = (struct answer){.kind = NOT_BEFORE, .at_ms = FOREVER_MS};
        if (q->words == NULL && q->blamed == NULL)
            break; /* nobody asks who else does */
    }
    return answer;
}
