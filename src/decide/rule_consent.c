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
    const struct consent *said;
    struct str about = names_text(q->who->names, purpose);
    switch (consent_look(q->who, q->channel, purpose, topic, &said)) {
    case CONSENT_SUPPRESSED:
        say(q, "the address is on the suppression list: a provider said on %s that it is bad",
            moment(q, said->at_ms));
        blame(q, "the bad address");
        return (struct answer){.kind = NEVER_HERE, .outcome = OUTCOME_SUPPRESSED};
    case CONSENT_GIVEN: return ANSWER_ALLOW;
    case CONSENT_NONE:
        if (!(q->lane_flags & LANE_CONSENT))
            return ANSWER_ALLOW;
        say(q, "they never agreed to %.*s messages on this channel", STR_ARG(about));
        blame(q, "the missing agreement to %.*s messages", STR_ARG(about));
        return (struct answer){.kind = NEVER_HERE, .outcome = OUTCOME_NO_CONSENT};
    case CONSENT_REFUSED:
        if (!(q->lane_flags & LANE_CONSENT))
            return ANSWER_ALLOW;
        say(q, "they said no to %.*s messages%s%.*s on this channel on %s%s%.*s", STR_ARG(about),
            said->topic ? " about " : "", STR_ARG(names_text(q->who->names, said->topic)),
            moment(q, said->at_ms), said->source ? ", as told by " : "",
            STR_ARG(names_text(q->who->names, said->source)));
        blame(q, "their no to %.*s messages", STR_ARG(about));
        return (struct answer){.kind = NEVER_HERE, .outcome = OUTCOME_NO_CONSENT};
    }
    return ANSWER_ALLOW;
}
