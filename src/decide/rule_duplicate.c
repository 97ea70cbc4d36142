/* rule_duplicate.c - the same content (content_key) already went out, or is on its way, on another
 * channel or in another message.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/rule.h"

struct answer rule_duplicate_ask(const struct question *q)
{
    if (!q->message->has_content_key)
        return ANSWER_ALLOW;
    for (uint32_t i = 0; i < q->who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(q->who, i);
        const struct sent_more *more = person_sent_more(q->who, s);
        if (more->content_key != q->message->content_key || s->decision == q->intent->decision)
            continue;
        if (s->state != SENT_RESERVED && s->at_ms <= q->at_ms - PLAN_CONTENT_MS)
            continue;
        if (more->together != 0 && more->together == q->intent->together &&
            !planted("duplicate-of-its-set"))
            continue; /* meant to come on each of its channels */
        if (s->state == SENT_GHOST && !q->intent->is_ghost && !planted("duplicate-of-ghost"))
            continue;
        say(q, "the same content %s as %.*s (%s)",
            s->state == SENT_RESERVED ? "is on its way" : "went out",
            STR_ARG(names_text(q->who->names, s->message)), moment(q, s->at_ms));
        blame(q, "%.*s with the same content", STR_ARG(names_text(q->who->names, s->message)));
        return (struct answer){.kind = NEVER, .outcome = OUTCOME_DUPLICATE};
    }
    return ANSWER_ALLOW;
}
