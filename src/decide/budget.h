/* budget.h - what may be spent on messages to all people together. The shared half of rule 16.
 *
 * A budget is an amount of money or a number of messages per period: a day, week or month of a calendar,
 * or all time. It is charged in the same step as the grant, in the order of rule 12 over all people, so
 * that it is never exceeded and the highest go first when it is scarce:
 *
 *     left ──grant──► charged ──sent──► spent
 *       ▲                └──── not sent ────► back, if the period is still the same
 *
 * A charge stays open until it is known what became of the attempt; one in doubt is open as long as the
 * doubt. A budget is known by its name, so that another version of the programme goes on where the one
 * before it was. What one message costs is what its provider says, else what its channel costs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "decide/rule.h"
#include "store/index.h"

/* What a budget has come to in its period. */
struct budget_account {
    uint32_t name;
    int64_t from_ms;   /* the period's begin; INT64_MIN = all time */
    int64_t used;      /* millionths, or messages: spent and charged */
    uint64_t messages; /* that this is of */
};

struct budgets {
    struct budget_account *at;
    uint32_t count, room;
    struct index charges; /* of a budget and a decision: the amount, and the period's begin */
};

void budgets_init(struct budgets *b);
void budgets_fini(struct budgets *b);

struct budget_period {
    int64_t from_ms;  /* INT64_MIN: all time */
    int64_t until_ms; /* the first instant of the next one; FOREVER_MS */
};

/* The budget's period in which the instant lies. */
struct budget_period budget_period(const struct plan *plan, const struct plan_budget *budget,
                                   int64_t at_ms);

/* What it has come to in the period; zeros if nothing is known of it. `b` may be NULL: nobody counts. */
struct budget_account budget_look(const struct budgets *b, const struct plan_budget *budget,
                                  struct budget_period period);

/* What a message costs that goes on the question's channel with the provider (an index in q->plan, or
 * PLAN_NO_INDEX), in the budget's unit. */
int64_t budget_cost(const struct question *q, const struct plan_budget *budget, uint16_t provider);

/* What budgets are asked about an attempt at its provider, under the newest of the plans; *provider is the
 * provider's index there. */
struct question budgets_question(const struct plans *plans, const struct stage_message *attempt,
                                 int64_t at_ms, uint16_t *provider);

/* Is the budget for the message, and is too little left for it at q->at_ms? What the decision has charged
 * already counts as left. `who` of the question is not read. */
bool budget_is_short(const struct budgets *b, const struct question *q,
                     const struct plan_budget *budget, uint16_t provider, uint64_t decision);

/* The same of all budgets of q->plan: the first that is short, or NULL. */
const struct plan_budget *budgets_short(const struct budgets *b, const struct question *q,
                                        uint16_t provider, uint64_t decision);

/* The attempt starts at q->at_ms: charges every budget that is for it; what the decision had charged
 * before comes back first. */
void budgets_take(struct budgets *b, const struct question *q, uint16_t provider,
                  uint64_t decision);

/* Has the decision an open charge? */
bool budgets_hold(const struct budgets *b, uint64_t decision);

/* The decision's message went out, or may have (true): its charges are spent. Else they come back. */
void budgets_settle(struct budgets *b, uint64_t decision, bool is_sent);

/* For snapshots: open charges, in any order; and to put accounts and charges back. */
bool budgets_next(const struct budgets *b, uint32_t *place, struct index_entry *charge) mustuse;
struct budget_account *budgets_account(struct budgets *b,
                                       uint32_t name); /* made if there is none */
void budgets_restore(struct budgets *b, const struct index_entry *charge);
