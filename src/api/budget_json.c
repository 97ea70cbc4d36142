/* SPDX-License-Identifier: Apache-2.0 */
#include "api/budget_json.h"

#include "decide/budget.h"
#include "when/civil.h"
#include "json/json_write.h"

static void write_moment(struct json_writer *w, const char *key, int64_t at_ms)
{
    char text[TIMESTAMP_BYTES];
    if (at_ms == INT64_MIN || at_ms == FOREVER_MS)
        json_write_key_null(w, key);
    else
        json_write_key_text(w, key, timestamp_print(at_ms, text));
}

static void write_amount(struct json_writer *w, const char *key, const struct plan_budget *budget,
                         int64_t amount)
{
    char text[MONEY_BYTES];
    if (budget->is_money)
        json_write_key_text(w, key, money_print(amount, text));
    else
        json_write_key_int(w, key, amount);
}

void budgets_json(const struct engine *e, struct buf *out)
{
    const struct plan *plan = engine_plan(e);
    struct json_writer w;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    write_moment(&w, "as_of", engine_now(e));
    json_write_key(&w, STR("budgets"));
    json_write_list(&w);
    for (uint32_t i = 0; plan != NULL && i < plan->budget_count; i++) {
        const struct plan_budget *budget = &plan->budgets[i];
        struct budget_period period = budget_period(plan, budget, engine_now(e));
        struct budget_account account = budget_look(engine_budgets(e), budget, period);
        json_write_map(&w);
        json_write_key_text(&w, "budget", names_text(engine_names(e), budget->name));
        json_write_key_text(&w, "is", budget->text);
        json_write_key_text(&w, "counts", budget->is_money ? STR("money") : STR("messages"));
        write_moment(&w, "from", period.from_ms);
        write_moment(&w, "until", period.until_ms);
        write_amount(&w, "limit", budget, budget->limit);
        write_amount(&w, "used", budget, account.used);
        write_amount(&w, "left", budget, max_of(budget->limit - account.used, INT64_C(0)));
        json_write_key_int(&w, "messages", (int64_t)account.messages);
        json_write_key_text(&w, "then", budget->refuses ? STR("refuse") : STR("wait"));
        json_write_end(&w);
    }
    json_write_end(&w);
    json_write_end(&w);
}
