/* rule_reachable.c - has the person an address on this channel, and does anything carry it?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/memory.h"

struct answer rule_reachable_ask(const struct question *q)
{
    struct answer never = {.kind = NEVER_HERE, .outcome = OUTCOME_UNREACHABLE};
    uint16_t carrier = intent_provider_on(q->who, q->intent, q->channel);
    if (!(q->message->channel_mask >> q->channel & 1) || carrier == PLAN_NO_INDEX) {
        say(q, "the message has no content or no provider for this channel");
        blame(q, "the missing content or provider");
        return never;
    }
    const struct plan *own = person_plan(q->who, q->intent->plan);
    if (own != q->plan) { /* people in flight need a provider that is still there */
        must(carrier < own->provider_count);
        uint32_t provider = own->providers[carrier].name;
        if (plan_provider_find(q->plan, provider) == PLAN_NO_INDEX) {
            say(q, "the programme no longer has the provider %.*s",
                STR_ARG(names_text(q->who->names, provider)));
            blame(q, "the provider that is gone");
            return never;
        }
    }
    if (channel_trait(q->channel) == NAME_NONE)
        return ANSWER_ALLOW;
    struct memory_address room;
    const struct memory_address *address = memory_address(q, &room);
    if (!address->is_there && q->at_ms < q->intent->reach_ms - planted("reach-early")) {
        say(q, "no address is known; it is waited for until %s", moment(q, q->intent->reach_ms));
        blame(q, "the missing address");
        return (struct answer){.kind = NOT_BEFORE, .at_ms = q->intent->reach_ms};
    }
    if (!address->is_there) {
        say(q, "no address is known");
        blame(q, "the missing address");
        return never;
    }
    if (q->channel == CHANNEL_EMAIL && !address->is_mail) {
        say(q, "what is known is not an e-mail address");
        blame(q, "an address that is none");
        return never;
    }
    return ANSWER_ALLOW;
}
