/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/needs.h"

#include "decide/desk_int.h"
#include "profile/ask.h"

/* One condition; one that fails is not met: in doubt the message waits. */
static struct answer ask_one(const struct question *q, const struct plan *plan,
                             const struct plan_expr *needs, struct blob entry)
{
    if (needs->code == NULL)
        return ANSWER_ALLOW;
    struct asked asked = ask_at(q->who, plan, needs, entry, q->at_ms);
    if (asked.is_true)
        return (struct answer){.kind = ALLOW, .at_ms = asked.until_ms};
    if (q->words != NULL)
        say(q, "what it needs %s: %.*s", asked.is_error ? "fails" : "is not known yet",
            STR_ARG(ask_explain(q->who, plan, needs, entry)));
    blame(q, "what it needs, %.*s", STR_ARG(needs->text));
    return (struct answer){.kind = NOT_BEFORE, .at_ms = asked.until_ms};
}

struct answer needs_ask(const struct question *q)
{
    struct answer answer = ANSWER_ALLOW;
    if (q->category != PLAN_NO_INDEX)
        answer = ask_one(q, q->plan, &q->plan->categories[q->category].needs, (struct blob){0});
    if (!q->is_listing)
        answer_join(&answer, ask_one(q, person_plan(q->who, q->intent->plan), &q->message->needs,
                                     q->intent->entry));
    return answer;
}
