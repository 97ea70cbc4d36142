/* rule_wanted.c - the message's own condition (`only_if`). Goals and exits end intents as they happen
 * (desk_cancel), so there is nothing to ask about them here; what operators stopped is asked first. A condition that fails to evaluate is
 * false: in doubt the message is not relevant.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/desk_int.h"
#include "decide/operator.h"
#include "profile/ask.h"

struct answer rule_wanted_ask(const struct question *q)
{
    struct answer operator= operator_wants(q);
    int64_t until_ms;
    if (operator.kind != ALLOW)
        return operator;
    const struct plan *plan = person_plan(q->who, q->intent->plan);
    uint32_t other = instead_ask(q->who, q->intent, q->at_ms, &until_ms);
    if (other != 0) {
        must(other <= intent_send(q->who, q->intent)->instead_count);
        const struct plan_instead *x = &intent_send(q->who, q->intent)->insteads[other - 1];
        say(q, "%.*s goes instead: %.*s",
            STR_ARG(names_text(q->who->names, plan->messages[x->send.message].name)),
            STR_ARG(x->when.text));
        blame(q, "what goes instead, %.*s", STR_ARG(x->when.text));
        return (struct answer){.kind = NEVER, .outcome = OUTCOME_REPLACED};
    }
    if (q->message->only_if.code == NULL)
        return (struct answer){.kind = ALLOW, .at_ms = min_of(operator.at_ms, until_ms)};
    struct asked asked = ask_at(q->who, plan, &q->message->only_if, q->intent->entry, q->at_ms);
    if (asked.is_true)
        return (struct answer){.kind = ALLOW, .at_ms = min_of(asked.until_ms, until_ms)};
    if (q->words != NULL)
        say(q, "its only_if %s: %.*s", asked.is_error ? "fails" : "does not hold",
            STR_ARG(ask_explain(q->who, plan, &q->message->only_if, q->intent->entry)));
    blame(q, "its only_if, %.*s", STR_ARG(q->message->only_if.text));
    return (struct answer){.kind = NEVER, .outcome = OUTCOME_NOT_RELEVANT};
}
