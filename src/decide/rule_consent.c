/* rule_consent.c - (address, channel, purpose, topic) as last stated; addresses known to be bad.
 *
 * A bad address stops every lane; consent is asked only where the lane obeys it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/rule.h"
#include "profile/consent.h"

struct answer rule_consent_ask(const struct question *q)
{
    const struct plan_category *c =
        q->category != PLAN_NO_INDEX ? &q->plan->categories[q->category] : NULL;
    uint32_t purpose = c && c->purpose ? c->purpose : NAME_MARKETING;
    uint32_t topic = q->message->topic ? q->message->topic : c ? c->topic : NAME_NONE;
    switch (consent_ask(q->who, q->channel, purpose, topic)) {
    case CONSENT_SUPPRESSED:
        say(q, "the address is on the suppression list: a provider said that it is bad");
        return (struct answer){.kind = NEVER_HERE, .outcome = OUTCOME_SUPPRESSED};
    case CONSENT_GIVEN: return ANSWER_ALLOW;
    case CONSENT_NONE:
        if (!(q->lane_flags & LANE_CONSENT))
            return ANSWER_ALLOW;
        say(q, "they never agreed to %.*s messages on this channel",
            STR_ARG(names_text(q->who->names, purpose)));
        return (struct answer){.kind = NEVER_HERE, .outcome = OUTCOME_NO_CONSENT};
    case CONSENT_REFUSED:
        if (!(q->lane_flags & LANE_CONSENT))
            return ANSWER_ALLOW;
        say(q, "they said no to %.*s messages on this channel",
            STR_ARG(names_text(q->who->names, purpose)));
        return (struct answer){.kind = NEVER_HERE, .outcome = OUTCOME_NO_CONSENT};
    }
    return ANSWER_ALLOW;
}
