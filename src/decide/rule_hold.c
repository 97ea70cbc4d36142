/* rule_hold.c - is the person left alone just now: an open ticket, a complaint?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/rule.h"
#include "profile/holds.h"

struct answer rule_hold_ask(const struct question *q)
{
    if (q->who->profile->holds.count == 0 || q->category == PLAN_NO_INDEX)
        return ANSWER_ALLOW;
    int64_t until_ms;
    uint16_t hold = holds_ask(q->who, q->category, (enum lane)q->intent->lane, q->at_ms, &until_ms);
    if (hold == PLAN_NO_INDEX)
        return ANSWER_ALLOW;
    if (hold == HOLD_COMPLAINT) {
        say(q, "they complained about a message; marketing rests until %s", moment(q, until_ms));
        return (struct answer){.kind = NOT_BEFORE, .at_ms = until_ms};
    }
    const struct plan_hold *h = &q->plan->holds[hold];
    if (h->drops) {
        say(q, "hold %.*s drops it", STR_ARG(names_text(q->who->names, h->name)));
        return (struct answer){.kind = NEVER, .outcome = OUTCOME_HELD};
    }
    if (until_ms == FOREVER_MS)
        say(q, "hold %.*s is in force until it is lifted",
            STR_ARG(names_text(q->who->names, h->name)));
    else
        say(q, "hold %.*s lingers until %s", STR_ARG(names_text(q->who->names, h->name)),
            moment(q, until_ms));
    return (struct answer){.kind = NOT_BEFORE, .at_ms = until_ms};
}
