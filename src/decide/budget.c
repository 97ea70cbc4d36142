/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/budget.h"

#include "base/canary.h"
#include "base/mem.h"
#include "when/zone.h"

void budgets_init(struct budgets *b)
{
    *b = (struct budgets){0};
    index_init(&b->charges);
}

void budgets_fini(struct budgets *b)
{
    mem_free(b->at);
    index_fini(&b->charges);
    *b = (struct budgets){0};
}

static struct budget_account *find(const struct budgets *b, uint32_t name)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (b->at[i].name == name)
            return &b->at[i];
    return NULL;
}

struct budget_account *budgets_account(struct budgets *b, uint32_t name)
{
    struct budget_account *known = find(b, name);
    if (known != NULL)
        return known;
    if (b->count == b->room) {
        b->room = b->room ? b->room * 2 : 8;
        b->at = mem_resize(b->at, b->room * sizeof(b->at[0]));
    }
    must(b->count < b->room);
    b->at[b->count] = (struct budget_account){.name = name, .from_ms = INT64_MIN};
    return &b->at[b->count++];
}

struct budget_period budget_period(const struct plan *plan, const struct plan_budget *budget,
                                   int64_t at_ms)
{
    const struct zone *zone = zoneset_zone(plan->zones, budget->zone);
    switch ((enum budget_per)budget->per) {
    case BUDGET_DAY:
        return (struct budget_period){zone_day_start(zone, at_ms),
                                      zone_next_day_start(zone, at_ms)};
    case BUDGET_WEEK:
        return (struct budget_period){zone_week_start(zone, at_ms),
                                      zone_next_week_start(zone, at_ms)};
    case BUDGET_MONTH:
        return (struct budget_period){zone_month_start(zone, at_ms),
                                      zone_next_month_start(zone, at_ms)};
    case BUDGET_EVER: break;
    }
    return (struct budget_period){INT64_MIN, FOREVER_MS};
}

struct budget_account budget_look(const struct budgets *b, const struct plan_budget *budget,
                                  struct budget_period period)
{
    const struct budget_account *known = b == NULL ? NULL : find(b, budget->name);
    if (known != NULL && known->from_ms == period.from_ms)
        return *known;
    return (struct budget_account){.name = budget->name, .from_ms = period.from_ms};
}

int64_t budget_cost(const struct question *q, const struct plan_budget *budget, uint16_t provider)
{
    int64_t cost = q->plan->costs[q->channel];
    if (!budget->is_money)
        return 1;
    must(provider == PLAN_NO_INDEX || provider < q->plan->provider_count);
    if (provider != PLAN_NO_INDEX && q->plan->providers[provider].cost != MONEY_NOT_SAID)
        cost = q->plan->providers[provider].cost;
    return cost == MONEY_NOT_SAID ? 0 : cost;
}

struct question budgets_question(const struct plans *plans, const struct stage_message *attempt,
                                 int64_t at_ms, uint16_t *provider)
{
    const struct plan *plan = plans->at[plans->newest], *own = plans->at[attempt->plan];
    must(attempt->message_index < own->message_count);
    const struct plan_message *m = &own->messages[attempt->message_index];
    uint16_t journey = plan_journey_find(plan, attempt->journey), category = PLAN_NO_INDEX;
    for (uint32_t i = 0; i < plan->category_count; i++)
        if (plan->categories[i].name == own->categories[m->category].name)
            category = (uint16_t)i;
    *provider = plan_provider_find(plan, attempt->provider);
    return (struct question){
        .plan = plan,
        .message = m,
        .category = category,
        .journey = journey,
        .group = journey == PLAN_NO_INDEX ? PLAN_NO_INDEX : plan->journeys[journey].group,
        .channel = (enum channel)attempt->channel,
        .lane_flags = lane_term((enum lane)attempt->lane)->flags,
        .is_listing = attempt->about == ABOUT_LISTING,
        .at_ms = at_ms,
    };
}

/* Decisions are hashes: good home slots. */
static struct id128 charge_key(uint32_t budget, uint64_t decision)
{
    return (struct id128){budget, decision};
}

bool budget_is_short(const struct budgets *b, const struct question *q,
                     const struct plan_budget *budget, uint16_t provider, uint64_t decision)
{
    if (!cap_is_meant(q, &budget->scope))
        return false;
    struct budget_period period = budget_period(q->plan, budget, q->at_ms);
    must(period.from_ms <= q->at_ms);
    must(period.until_ms > q->at_ms);
    int64_t used = budget_look(b, budget, period).used;
    const struct index_entry *own =
        b == NULL ? NULL : index_find(&b->charges, charge_key(budget->name, decision));
    if (own != NULL && (int64_t)own->second == period.from_ms)
        used -= (int64_t)own->first;
    int64_t cost = budget_cost(q, budget, provider);
    return cost > 0 && used + cost > budget->limit + (planted("budget-one-more") ? cost : 0);
}

const struct plan_budget *budgets_short(const struct budgets *b, const struct question *q,
                                        uint16_t provider, uint64_t decision)
{
    for (uint32_t i = 0; i < q->plan->budget_count; i++)
        if (budget_is_short(b, q, &q->plan->budgets[i], provider, decision))
            return &q->plan->budgets[i];
    return NULL;
}

/* Forgets what no budget of the plan is called any more. */
static void forget(struct budgets *b, const struct plan *plan)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        bool is_known = false;
        for (uint32_t k = 0; k < plan->budget_count; k++)
            is_known |= plan->budgets[k].name == b->at[i].name;
        if (is_known)
            b->at[kept++] = b->at[i];
    }
    b->count = kept;
}

void budgets_take(struct budgets *b, const struct question *q, uint16_t provider, uint64_t decision)
{
    budgets_settle(b, decision, false);
    for (uint32_t i = 0; i < q->plan->budget_count; i++) {
        const struct plan_budget *budget = &q->plan->budgets[i];
        if (!cap_is_meant(q, &budget->scope))
            continue;
        struct budget_period period = budget_period(q->plan, budget, q->at_ms);
        int64_t cost = budget_cost(q, budget, provider);
        must(cost >= 0);
        if (find(b, budget->name) == NULL && b->charges.count == 0)
            forget(b, q->plan);
        struct budget_account *account = budgets_account(b, budget->name);
        if (account->from_ms != period.from_ms)
            *account = (struct budget_account){.name = budget->name, .from_ms = period.from_ms};
        account->used += cost;
        account->messages++;
        struct index_entry *charge = index_add(&b->charges, charge_key(budget->name, decision));
        charge->first = (uint64_t)cost;
        charge->second = (uint64_t)period.from_ms;
    }
}

bool budgets_hold(const struct budgets *b, uint64_t decision)
{
    for (uint32_t i = 0; b != NULL && b->charges.count > 0 && i < b->count; i++)
        if (index_find(&b->charges, charge_key(b->at[i].name, decision)) != NULL)
            return true;
    return false;
}

void budgets_settle(struct budgets *b, uint64_t decision, bool is_sent)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct budget_account *account = &b->at[i];
        const struct index_entry *charge =
            index_find(&b->charges, charge_key(account->name, decision));
        if (charge == NULL)
            continue;
        bool is_of_now = (int64_t)charge->second == account->from_ms;
        if (is_of_now && !is_sent && !planted("budget-keeps")) {
            must(account->used >= (int64_t)charge->first);
            must(account->messages > 0);
            account->used -= (int64_t)charge->first;
            account->messages--;
        }
        (void)index_drop(&b->charges, charge_key(account->name, decision));
    }
}

bool budgets_next(const struct budgets *b, uint32_t *place, struct index_entry *charge)
{
    for (; *place < index_slot_count(&b->charges); (*place)++) {
        if (!id128_is_set(index_slot(&b->charges, *place)->key))
            continue;
        *charge = *index_slot(&b->charges, (*place)++);
        return true;
    }
    return false;
}

void budgets_restore(struct budgets *b, const struct index_entry *charge)
{
    struct index_entry *made = index_add(&b->charges, charge->key);
    made->first = charge->first;
    made->second = charge->second;
}
