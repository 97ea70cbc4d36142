/* budget.c - budgets and costs of programme.yaml: what may be spent on messages to all people together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "when/zone.h"

static const struct yaml_node *root_value(struct compile *c, const char *key)
{
    return shape_value(c->settings->yaml.root, "", key);
}

static enum budget_per per_of(struct str word)
{
    if (str_is(word, "day"))
        return BUDGET_DAY;
    if (str_is(word, "week"))
        return BUDGET_WEEK;
    return str_is(word, "month") ? BUDGET_MONTH : BUDGET_EVER;
}

static uint16_t zone_of(struct compile *c, const struct yaml_node *node)
{
    uint16_t zone =
        node && !node->is_bad ? zoneset_find(c->plan->zones, node->text) : c->plan->zone;
    if (zone != ZONE_NONE)
        return zone;
    build_unknown_zone(c, node);
    return c->plan->zone;
}

static struct plan_budget budget_of(struct compile *c, const struct yaml_node *node)
{
    const struct yaml_node *name = shape_value(node, "", "name");
    const struct yaml_node *money = shape_value(node, "", "money");
    struct str per = shape_text(shape_value(node, "", "per"), STR("all"));
    struct plan_budget budget = {
        .name = name && !name->is_bad ? build_name(c, name->text) : NAME_NONE,
        .per = (uint8_t)per_of(per),
        .is_money = money != NULL,
        .refuses = str_is(shape_text(shape_value(node, "", "then"), STR("wait")), "refuse"),
        .zone = zone_of(c, shape_value(node, "", "timezone")),
        .limit = shape_int(shape_value(node, "", "messages"), 0),
    };
    if (money && !money->is_bad && (!money_parse(money->text, &budget.limit) || budget.limit == 0))
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(&c->settings->yaml, money),
                     "a budget of nothing lets no message go");
    struct buf text;
    char amount[MONEY_BYTES];
    buf_init(&text);
    if (budget.is_money)
        buf_add_str(&text, money_print(budget.limit, amount));
    else
        buf_printf(&text, "%ld messages", budget.limit);
    if (budget.per == BUDGET_EVER)
        buf_printf(&text, " in all");
    else
        buf_printf(&text, " per %.*s", STR_ARG(per));
    build_scope(c, node, "budgets", &budget.scope, &text);
    budget.text = arena_copy(c->arena, buf_str(&text));
    buf_fini(&text);
    return budget;
}

static void costs_compile(struct compile *c)
{
    const struct yaml_node *map = root_value(c, "costs");
    for (uint32_t i = 0; i < CHANNEL_END; i++)
        c->plan->costs[i] = MONEY_NOT_SAID;
    for (uint32_t i = 0; map && map->type == YAML_MAP && i < map->count; i++) {
        const struct yaml_node *key = map->pairs[i].key;
        const struct yaml_node *value = map->pairs[i].value;
        struct str known[CHANNEL_END];
        size_t count = 0;
        enum channel channel;
        if (channel_find(key->text, &channel)) {
            if (!value->is_bad && !money_parse(value->text, &c->plan->costs[channel]))
                c->plan->costs[channel] = MONEY_NOT_SAID; /* said already */
            continue;
        }
        for (uint32_t k = CHANNEL_NONE + 1; k < CHANNEL_END; k++)
            known[count++] = channel_name((enum channel)k);
        build_unknown(c, &c->settings->yaml, key, "channel", known, count);
    }
}

void budgets_compile(struct compile *c)
{
    const struct yaml_node *list = root_value(c, "budgets");
    uint32_t count = list && list->type == YAML_LIST ? list->count : 0;
    costs_compile(c);
    if (count > PLAN_BUDGETS_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(&c->settings->yaml, list),
                     "a programme has at most %u budgets", PLAN_BUDGETS_MAX);
        count = PLAN_BUDGETS_MAX;
    }
    struct plan_budget *budgets = arena_array(c->arena, struct plan_budget, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        budgets[i] = budget_of(c, list->items[i]);
        for (uint32_t k = 0; k < i; k++)
            if (budgets[k].name == budgets[i].name && budgets[i].name != NAME_NONE)
                findings_add(c->findings, FINDING_NAME_TWICE,
                             yaml_place(&c->settings->yaml, list->items[i]),
                             "there are two budgets \"%.*s\"",
                             STR_ARG(names_text(c->names, budgets[i].name)));
    }
    c->plan->budgets = budgets;
    c->plan->budget_count = count;
}

/* What one message costs with the provider; MONEY_NOT_SAID if nothing says so. */
static int64_t cost_of(const struct compile *c, const struct plan_provider *provider)
{
    return provider->cost != MONEY_NOT_SAID ? provider->cost : c->plan->costs[provider->channel];
}

void budgets_look(struct compile *c)
{
    const struct yaml_node *list = root_value(c, "budgets");
    for (uint32_t i = 0; i < c->plan->budget_count; i++) {
        const struct plan_budget *budget = &c->plan->budgets[i];
        struct place place = yaml_place(&c->settings->yaml, list->items[i]);
        for (uint32_t k = 0; k < c->plan->provider_count && budget->is_money; k++) {
            const struct plan_provider *provider = &c->providers[k];
            int64_t cost = cost_of(c, provider);
            if (budget->scope.channels && !(budget->scope.channels >> provider->channel & 1))
                continue;
            struct str channel = channel_name((enum channel)provider->channel);
            if (cost == MONEY_NOT_SAID) {
                findings_add(c->findings, FINDING_NO_COST, place,
                             "the budget \"%.*s\" counts no money for messages by %.*s: nothing "
                             "says what one costs",
                             STR_ARG(names_text(c->names, budget->name)), STR_ARG(channel));
                finding_advise(c->findings, "add costs: {%.*s: 0.045} to programme.yaml",
                               STR_ARG(channel));
                break;
            }
            if (cost > budget->limit && budget->limit > 0) {
                char one[MONEY_BYTES];
                findings_add(c->findings, FINDING_UNDELIVERABLE, place,
                             "one message by %.*s costs %.*s, more than the whole budget \"%.*s\"",
                             STR_ARG(channel), STR_ARG(money_print(cost, one)),
                             STR_ARG(names_text(c->names, budget->name)));
                break;
            }
        }
    }
}
