/* Budgets against a plain list of what was charged: never exceeded, exactly what is left, whatever comes back
 * and whenever, across periods and snapshots. */
#include "decide/budget.h"

#include "test.h"
#include "when/zone.h"

#define BUDGETS   4
#define DECISIONS 12

struct paid {
    uint64_t decision;
    int64_t at_ms;
    int64_t cost;
    uint32_t channel;
    bool is_open;
    bool is_back;
};

struct world {
    struct plan plan;
    struct plan_budget budgets[BUDGETS];
    struct plan_provider providers[2];
    struct plan_message message;
    struct budgets all;
    struct paid paid[4000];
    uint32_t count;
};

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

static struct zoneset *zones(void)
{
    static const struct zone_file files[] = {
        {{"UTC", 3}, {"UTC0", 4}},
        {{"Europe/London", 13}, {"GMT0BST,M3.5.0/1,M10.5.0", 24}},
    };
    struct zoneset *set;
    assert_int_equal(zoneset_build(STR("test"), files, array_count(files), &set, NULL), OK);
    return set;
}

static void build(struct world *w, struct zoneset *set)
{
    static const struct plan_cap all = {.journey = PLAN_NO_INDEX};
    *w = (struct world){.message = {.name = 40}};
    w->budgets[0] = (struct plan_budget){
        .name = 50, .per = BUDGET_DAY, .limit = 5, .zone = 1, .scope = all, .text = STR("a")};
    w->budgets[1] = (struct plan_budget){.name = 51,
                                         .per = BUDGET_MONTH,
                                         .is_money = true,
                                         .limit = 3 * MONEY_ONE,
                                         .zone = 1,
                                         .scope = all,
                                         .text = STR("b")};
    w->budgets[1].scope.channels = 1u << CHANNEL_SMS;
    w->budgets[2] = (struct plan_budget){
        .name = 52, .per = BUDGET_WEEK, .limit = 20, .scope = all, .text = STR("c")};
    w->budgets[3] = (struct plan_budget){.name = 53,
                                         .per = BUDGET_EVER,
                                         .is_money = true,
                                         .limit = 40 * MONEY_ONE,
                                         .scope = all,
                                         .text = STR("d")};
    w->providers[0] = (struct plan_provider){.channel = CHANNEL_SMS, .cost = MONEY_NOT_SAID};
    w->providers[1] = (struct plan_provider){.channel = CHANNEL_SMS, .cost = MONEY_ONE / 2};
    w->plan = (struct plan){.zones = set,
                            .budget_count = BUDGETS,
                            .budgets = w->budgets,
                            .provider_count = 2,
                            .providers = w->providers};
    for (uint32_t i = 0; i < CHANNEL_END; i++)
        w->plan.costs[i] = MONEY_NOT_SAID;
    w->plan.costs[CHANNEL_SMS] = MONEY_ONE / 4;
    budgets_init(&w->all);
}

static struct question question_of(const struct world *w, enum channel channel, int64_t at_ms)
{
    return (struct question){.plan = &w->plan,
                             .message = &w->message,
                             .category = PLAN_NO_INDEX,
                             .journey = PLAN_NO_INDEX,
                             .group = PLAN_NO_INDEX,
                             .channel = channel,
                             .lane_flags = LANE_CAPS,
                             .at_ms = at_ms};
}

/* What one message costs in the budget: 0 messages where it is not for it. */
static bool plain_cost(const struct world *w, uint32_t budget, enum channel channel,
                       uint16_t provider, int64_t *cost)
{
    if (budget == 1 && channel != CHANNEL_SMS)
        return false;
    *cost = !w->budgets[budget].is_money ? 1
            : channel == CHANNEL_EMAIL   ? 0
            : provider == 1              ? MONEY_ONE / 2
                                         : MONEY_ONE / 4;
    return true;
}

/* By looking at every payment ever made, but for one decision's open one. */
static int64_t plain_used(const struct world *w, uint32_t budget, int64_t at_ms, uint64_t but)
{
    struct budget_period period = budget_period(&w->plan, &w->budgets[budget], at_ms);
    int64_t used = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct paid *p = &w->paid[i];
        int64_t cost;
        uint16_t provider = (uint16_t)(p->cost == MONEY_ONE / 2);
        if (p->is_back || (p->is_open && p->decision == but) || p->at_ms < period.from_ms ||
            !plain_cost(w, budget, (enum channel)p->channel, provider, &cost))
            continue;
        used += cost;
    }
    return used;
}

/* What is kept, put into an empty table. */
static void restore(struct budgets *b)
{
    struct budgets copy;
    struct index_entry charge;
    budgets_init(&copy);
    for (uint32_t i = b->count; i-- > 0;)
        *budgets_account(&copy, b->at[i].name) = b->at[i];
    for (uint32_t place = 0; budgets_next(b, &place, &charge);)
        budgets_restore(&copy, &charge);
    budgets_fini(b);
    *b = copy;
}

static void settle(struct world *w, uint64_t decision, bool is_sent)
{
    bool is_open = false;
    for (uint32_t i = 0; i < w->count; i++)
        if (w->paid[i].decision == decision && w->paid[i].is_open) {
            is_open = true;
            w->paid[i].is_open = false;
            w->paid[i].is_back = !is_sent;
        }
    assert_int_equal(budgets_hold(&w->all, decision), is_open);
    budgets_settle(&w->all, decision, is_sent);
    assert_false(budgets_hold(&w->all, decision));
}

static void ask(struct world *w, uint64_t *chance, int64_t now_ms)
{
    uint64_t decision = 1 + next(chance) % DECISIONS;
    enum channel channel = next(chance) % 3 ? CHANNEL_SMS : CHANNEL_EMAIL;
    uint16_t provider = (uint16_t)(channel == CHANNEL_SMS ? next(chance) % 2 : 0);
    struct question q = question_of(w, channel, now_ms);
    uint16_t carrier = channel == CHANNEL_SMS ? provider : PLAN_NO_INDEX;
    bool is_short = false;
    for (uint32_t i = 0; i < BUDGETS; i++) {
        int64_t cost, used = plain_used(w, i, now_ms, decision);
        bool is_one = plain_cost(w, i, channel, provider, &cost) && cost > 0 &&
                      used + cost > w->budgets[i].limit;
        assert_int_equal(budget_is_short(&w->all, &q, &w->budgets[i], carrier, decision), is_one);
        is_short |= is_one;
    }
    assert_int_equal(budgets_short(&w->all, &q, carrier, decision) != NULL, is_short);
    if (is_short)
        return;
    for (uint32_t i = 0; i < w->count; i++) /* the earlier attempt's comes back first */
        if (w->paid[i].decision == decision && w->paid[i].is_open) {
            w->paid[i].is_open = false;
            w->paid[i].is_back = true;
        }
    budgets_take(&w->all, &q, carrier, decision);
    w->paid[w->count++] = (struct paid){.decision = decision,
                                        .at_ms = now_ms,
                                        .cost = provider ? MONEY_ONE / 2 : MONEY_ONE / 4,
                                        .channel = channel,
                                        .is_open = true};
}

static void is_what_a_plain_list_says(void **state)
{
    (void)state;
    struct zoneset *set = zones();
    struct world *w = malloc(sizeof(*w));
    for (uint64_t seed = 1; seed <= 30; seed++) {
        uint64_t chance = seed;
        int64_t now_ms =
            INT64_C(1772323200000) + (int64_t)(seed % 4) * 7 * HOUR_MS; /* 2026-03-01 */
        build(w, set);
        for (uint32_t step = 0; step < 500; step++) {
            now_ms += (int64_t)(next(&chance) % (uint64_t)(5 * HOUR_MS));
            uint64_t what = next(&chance) % 10;
            if (what < 6)
                ask(w, &chance, now_ms);
            else if (what < 9)
                settle(w, 1 + next(&chance) % DECISIONS, next(&chance) % 2);
            else
                restore(&w->all);
            for (uint32_t i = 0; i < BUDGETS; i++) {
                struct budget_period period = budget_period(&w->plan, &w->budgets[i], now_ms);
                int64_t used = budget_look(&w->all, &w->budgets[i], period).used;
                assert_true(used == plain_used(w, i, now_ms, 0));
                assert_true(used <= w->budgets[i].limit);
                assert_true(period.from_ms <= now_ms && now_ms < period.until_ms);
            }
        }
        assert_true(w->count > 100);
        budgets_fini(&w->all);
    }
    free(w);
    zoneset_free(set);
}

static void one_that_comes_back_late_does_not_open_the_next_period(void **state)
{
    (void)state;
    struct zoneset *set = zones();
    struct world *w = malloc(sizeof(*w));
    int64_t day_ms = INT64_C(1772323200000);
    build(w, set);
    struct question q = question_of(w, CHANNEL_EMAIL, day_ms + 23 * HOUR_MS);
    budgets_take(&w->all, &q, PLAN_NO_INDEX, 7);
    q.at_ms = day_ms + 25 * HOUR_MS;
    budgets_take(&w->all, &q, PLAN_NO_INDEX, 8);
    budgets_settle(&w->all, 7, false);
    struct budget_period today = budget_period(&w->plan, &w->budgets[0], q.at_ms);
    assert_int_equal(budget_look(&w->all, &w->budgets[0], today).used, 1);
    budgets_fini(&w->all);
    free(w);
    zoneset_free(set);
}

static void another_version_goes_on_counting_by_name(void **state)
{
    (void)state;
    struct zoneset *set = zones();
    struct world *w = malloc(sizeof(*w));
    build(w, set);
    struct question q = question_of(w, CHANNEL_EMAIL, INT64_C(1772323200000));
    budgets_take(&w->all, &q, PLAN_NO_INDEX, 7);
    budgets_settle(&w->all, 7, true);
    struct budget_period ever = {INT64_MIN, FOREVER_MS};
    struct plan_budget renamed = w->budgets[3];
    renamed.limit = 2;
    assert_int_equal(budget_look(&w->all, &renamed, ever).messages, 1);
    renamed.name = 99;
    assert_int_equal(budget_look(&w->all, &renamed, ever).messages, 0);
    struct plan_budget fresh = {.name = 99, .per = BUDGET_DAY, .limit = 9};
    fresh.scope.journey = PLAN_NO_INDEX;
    w->plan.budgets = &fresh;
    w->plan.budget_count = 1;
    budgets_take(&w->all, &q, PLAN_NO_INDEX, 8); /* what the programme lacks is forgotten */
    assert_int_equal(w->all.count, 1);
    budgets_fini(&w->all);
    free(w);
    zoneset_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"what is left is what a plain list of payments says", is_what_a_plain_list_says, NULL,
         NULL, NULL},
        {"what comes back late does not open the next period",
         one_that_comes_back_late_does_not_open_the_next_period, NULL, NULL, NULL},
        {"another version of the programme goes on counting by name",
         another_version_goes_on_counting_by_name, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
