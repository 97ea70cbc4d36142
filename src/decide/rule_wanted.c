/* rule_wanted.c - the message's own condition (`only_if`). Goals and exits end intents as they happen
 * (desk_cancel), so there is nothing to ask about them here; what operators stopped is asked first. A condition that fails to evaluate is
 * false: in doubt the message is not relevant.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/operator.h"
#include "profile/ask.h"

struct answer rule_wanted_ask(const struct question *q)
{
    struct answer operator= operator_wants(q);
    if (operator.kind != ALLOW || q->message->only_if.code == NULL)
        return operator;
    const struct plan *plan = person_plan(q->who, q->intent->plan);
    struct asked asked = ask_at(q->who, plan, &q->message->only_if, q->intent->entry, q->at_ms);
    if (asked.is_true)
        return (struct answer){.kind = ALLOW, .at_ms = asked.until_ms};
    if (q->words != NULL)
        say(q, "its only_if %s: %.*s", asked.is_error ? "fails" : "does not hold",
            STR_ARG(ask_explain(q->who, plan, &q->message->only_if, q->intent->entry)));
    blame(q, "its only_if, %.*s", STR_ARG(q->message->only_if.text));
    return (struct answer){.kind = NEVER, .outcome = OUTCOME_NOT_RELEVANT};
}
