/* rule_budget.c - is there money, or a message, left for this one?
 *
 * What is left is counted where messages are granted, for all people together (budget.h): a rule sees it as
 * the batch before left it, and the grant asks once more. A message for which nothing is left waits for the
 * next period of the budget, or, where the budget refuses, tries its next channel. The control group spends
 * nothing, and is not asked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/budget.h"
#include "decide/desk_int.h"

static const char *period_word(enum budget_per per)
{
    switch (per) {
    case BUDGET_DAY: return "this day";
    case BUDGET_WEEK: return "this week";
    case BUDGET_MONTH: return "this month";
    case BUDGET_EVER: break;
    }
    return "in all";
}

/* "budget texts (500.00 per month on sms): 499.98 used this month by 11111 messages, this one costs 0.045". */
static void say_short(const struct question *q, const struct plan_budget *budget, int64_t cost)
{
    if (q->words == NULL)
        return;
    char used[MONEY_BYTES], one[MONEY_BYTES];
    struct str name = names_text(q->who->names, budget->name);
    struct budget_period period = budget_period(q->plan, budget, q->at_ms);
    struct budget_account account = budget_look(q->who->budgets, budget, period);
    const char *when = period_word((enum budget_per)budget->per);
    if (budget->is_money)
        say(q, "budget %.*s (%.*s): %.*s used %s, by %lu messages; this one costs %.*s",
            STR_ARG(name), STR_ARG(budget->text), STR_ARG(money_print(account.used, used)), when,
            account.messages, STR_ARG(money_print(cost, one)));
    else
        say(q, "budget %.*s (%.*s): %ld used %s", STR_ARG(name), STR_ARG(budget->text),
            account.used, when);
}

struct answer rule_budget_ask(const struct question *q)
{
    struct answer answer = ANSWER_ALLOW;
    if (q->plan->budget_count == 0 || q->intent->is_ghost || q->is_listing)
        return answer;
    uint16_t provider = intent_provider_on(q->who, q->intent, q->channel);
    if (provider != PLAN_NO_INDEX && q->intent->plan != q->who->plans->newest)
        provider = plan_provider_find(
            q->plan, person_plan(q->who, q->intent->plan)->providers[provider].name);
    must(provider == PLAN_NO_INDEX || provider < q->plan->provider_count);
    for (uint32_t i = 0; i < q->plan->budget_count; i++) {
        const struct plan_budget *budget = &q->plan->budgets[i];
        if (!budget_is_short(q->who->budgets, q, budget, provider, q->intent->decision))
            continue;
        say_short(q, budget, budget_cost(q, budget, provider));
        blame(q, "the budget %.*s", STR_ARG(names_text(q->who->names, budget->name)));
        if (budget->refuses)
            answer = (struct answer){.kind = NEVER_HERE, .outcome = OUTCOME_NO_BUDGET};
        if (answer.kind == NEVER_HERE)
            continue;
        int64_t until_ms = budget_period(q->plan, budget, q->at_ms).until_ms;
        if (answer.kind == NOT_BEFORE)
            until_ms = max_of(until_ms, answer.at_ms);
        must(until_ms > q->at_ms);
        answer = (struct answer){.kind = NOT_BEFORE, .at_ms = until_ms};
    }
    return answer;
}
