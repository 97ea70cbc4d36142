/* supersede.c - a newer message of its kind takes the place of one that still waits (`supersedes`).
 *
 * What it takes the place of ends `superseded`, at the pool too; what is under way stays, and is not tried
 * again. The newer one has its age, and does not begin to settle again: a stream of news is sent at last.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/desk_int.h"

static bool is_older(const struct person *who, const struct intent *in, const struct intent *made,
                     enum supersede how)
{
    uint8_t flags;
    uint64_t mine, theirs;
    if (in->message != made->message || in->follows != 0 || in->state == INTENT_WATCHED ||
        in->state == INTENT_IN_DOUBT)
        return false;
    if (how == SUPERSEDE_PERSON)
        return true;
    intent_instance(who, in->instance, &flags, &theirs);
    intent_instance(who, made->instance, &flags, &mine);
    return mine == theirs;
}

void supersede_older(struct person *who, struct intent *made)
{
    const struct plan *plan = person_plan(who, made->plan);
    must(made->message_index < plan->message_count);
    must(made->state == INTENT_SETTLING);
    enum supersede how = (enum supersede)plan->messages[made->message_index].supersedes;
    if (how == SUPERSEDE_NONE || planted("supersedes-nothing") ||
        !(lane_term((enum lane)made->lane)->flags & LANE_SUPERSEDES))
        return;
    for (uint32_t i = 0; i < who->profile->intents.count;) {
        const struct intent *in = person_intent(who, i);
        if (!is_older(who, in, made, how)) {
            i++;
            continue;
        }
        if (in->state <= INTENT_QUEUED && in->ending == OUTCOME_NONE) {
            made->created_ms = min_of(made->created_ms, in->created_ms);
            made->settle_ms = min_of(made->settle_ms, max_of(in->settle_ms, who->at_ms));
        }
        if (!intent_end(who, i, OUTCOME_SUPERSEDED))
            i++;
    }
}
