/* rule_role.c - a channel that is not used in the person's stage (`stages: [{name, suppress: [sms]}]`).
 * What must arrive goes out all the same: only lanes that obey consent are asked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/rule.h"
#include "profile/stage.h"

struct answer rule_role_ask(const struct question *q)
{
    const struct plan_stage *stage =
        q->lane_flags & LANE_CONSENT ? stage_find(q->plan, stage_of(q->who)) : NULL;
    if (stage == NULL || !(stage->suppressed >> q->channel & 1))
        return ANSWER_ALLOW;
    struct str name = names_text(q->who->names, stage->name);
    say(q, "%.*s is not used in the stage %.*s, in which they are since %s",
        STR_ARG(channel_name(q->channel)), STR_ARG(name),
        moment(q, profile_standing(q->who->space, q->who->profile).since_ms));
    blame(q, "the stage %.*s", STR_ARG(name));
    return (struct answer){.kind = NEVER_HERE, .outcome = OUTCOME_CHANNEL_SUPPRESSED};
}
