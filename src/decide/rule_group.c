/* rule_group.c - a journey of one group pauses another group while the person is in it. Held-out
 * instances pause nobody.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/rule.h"

struct answer rule_group_ask(const struct question *q)
{
    struct answer answer = ANSWER_ALLOW;
    if (q->group == PLAN_NO_INDEX || !(q->lane_flags & LANE_CAPS))
        return ANSWER_ALLOW;
    for (uint32_t i = 0; i < q->who->profile->instances.count; i++) {
        const struct instance *in = person_instance(q->who, i);
        if ((in->flags & INSTANCE_IS_GHOST && !planted("ghost-pauses")) ||
            in->journey == q->intent->journey)
            continue;
        uint16_t other = plan_journey_find(q->plan, in->journey);
        if (other == PLAN_NO_INDEX || q->plan->journeys[other].group == PLAN_NO_INDEX)
            continue;
        uint16_t group = q->plan->journeys[other].group;
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
