/* Budgets over random days, with refusals, doubts, bounces and restarts: what has been spent is what a recount
 * of the attempts says, and never more than there is. */
#include "support/house.h"

#include "decide/budget.h"

#define MESSAGE(name)                              \
    "=== messages/" name "/message.yaml\n"         \
    "category: offer\n"                            \
    "email: {subject: Hi}\n"                       \
    "=== messages/" name "/email.txt.liquid\nHi\n" \
    "=== messages/" name "/sms.liquid\nHi\n"

#define PROGRAMME                                                                       \
    "=== programme.yaml\n"                                                              \
    "name: House\n"                                                                     \
    "categories: {offer: {lane: marketing, valid_for: 30h}}\n"                          \
    "quiet_hours: []\n"                                                                 \
    "caps: []\n"                                                                        \
    "costs: {sms: 0.50}\n"                                                              \
    "budgets:\n"                                                                        \
    "  - {name: texts, money: 3.20, per: day, channel: sms, then: refuse}\n"            \
    "  - {name: all, messages: 9, per: day}\n"                                          \
    "=== providers/mail.yaml\n"                                                         \
    "kind: smtp\n"                                                                      \
    "slots: 2\n"                                                                        \
    "cost: 0\n"                                                                         \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n" \
    "=== providers/text.yaml\n"                                                         \
    "kind: webhook\n"                                                                   \
    "channel: sms\n"                                                                    \
    "slots: 2\n"                                                                        \
    "settings: {url: 'https://sms.example/send', secret: '${ENV:SMS_SECRET}'}\n"        \
    "=== journeys/tip.yaml\n"                                                           \
    "journey: tip\n"                                                                    \
    "enter: {event: Tip Due, at_once: {max: 64}}\n"                                     \
    "steps: [{send: tip, channels: {first_of: [sms, email]}}]\n"                        \
    "=== journeys/mail.yaml\n"                                                          \
    "journey: mail\n"                                                                   \
    "enter: {event: Mail Due, at_once: {max: 64}}\n"                                    \
    "steps: [{send: mail, channels: [email]}]\n" MESSAGE("tip") MESSAGE("mail")

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

static enum receipt_kind by_chance(struct house *h, const struct house_attempt *a,
                                   int64_t *delay_ms)
{
    uint64_t *seed = h->self;
    uint64_t x = next(seed) % 12;
    (void)a;
    *delay_ms = (int64_t)(next(seed) % 4) * 20 * SECOND_MS;
    return x < 6    ? RECEIPT_ACCEPTED
           : x < 9  ? RECEIPT_REJECTED_MESSAGE
           : x < 10 ? RECEIPT_IN_DOUBT
           : x < 11 ? RECEIPT_GAVE_UP
                    : RECEIPT_BOUNCED;
}

/* Did the attempt end without having been taken? */
static bool came_back(const struct house *h, const struct house_attempt *a)
{
    for (uint32_t i = 0; i < h->row_count; i++) {
        const struct result *r = &h->rows[i].result;
        if (r->kind == RESULT_RECEIPT && r->id == a->decision && r->step == a->attempt)
            return r->how == RECEIPT_REJECTED_MESSAGE || r->how == RECEIPT_GAVE_UP;
    }
    return false; /* under way: it is paid for */
}

static void is_as_recounted(const struct house *h, uint32_t *most)
{
    int64_t day = h->now_ms / DAY_MS;
    int64_t texts = 0, all = 0;
    for (uint32_t i = 0; i < h->attempt_count; i++) {
        const struct house_attempt *a = &h->attempts[i];
        if (a->at_ms / DAY_MS != day || came_back(h, a))
            continue;
        all++;
        texts += a->channel == CHANNEL_SMS ? MONEY_ONE / 2 : 0;
    }
    const struct plan *plan = engine_plan(h->engine);
    for (uint32_t i = 0; i < 2; i++) {
        const struct plan_budget *budget = &plan->budgets[i];
        struct budget_period period = budget_period(plan, budget, h->now_ms);
        struct budget_account account = budget_look(engine_budgets(h->engine), budget, period);
        assert_true(account.used == (budget->is_money ? texts : all));
        assert_true(account.used <= budget->limit);
        *most += account.used + MONEY_ONE / 2 > budget->limit;
    }
}

static void what_is_spent_equals_a_recount(void **state)
{
    static const char *const people[] = {"ann", "bob", "cat", "dan", "eve"};
    (void)state;
    for (uint64_t round = 1; round <= 6; round++) {
        struct house *h = house_new();
        uint64_t seed = round * 1001;
        uint32_t most = 0, refused = 0;
        house_activate(h, PROGRAMME);
        house_run(h, at("12:00"));
        h->self = &seed;
        h->answer = by_chance;
        for (uint32_t i = 0; i < array_count(people); i++)
            house_meet(h, people[i], "email sms");
        house_apply(h, at("12:00"));
        for (uint32_t step = 0; step < 90; step++) {
            const char *who = people[next(&seed) % array_count(people)];
            house_event(h, who, next(&seed) % 3 ? "Tip Due" : "Mail Due", "");
            house_apply(h, h->now_ms + (int64_t)(next(&seed) % (40 * MINUTE_MS)));
            house_run(h, h->now_ms + (int64_t)(next(&seed) % (2 * HOUR_MS)));
            is_as_recounted(h, &most);
            if (step % 7 == 0)
                house_hop(h);
        }
        house_run(h, h->now_ms + 5 * DAY_MS);
        is_as_recounted(h, &most);
        for (uint32_t i = 0; i < h->row_count; i++)
            refused += h->rows[i].result.kind == RESULT_DECIDED &&
                       h->rows[i].result.how == OUTCOME_DEFERRED;
        assert_true(most > 0);    /* it came to the limit ... */
        assert_true(refused > 0); /* ... and somebody waited for the next day */
        house_check(h);
        house_free(h);
    }
}

static void who_is_merged_pays_once(void **state)
{
    (void)state;
    struct house *h = house_new();
    uint32_t most = 0;
    house_activate(h, PROGRAMME);
    house_run(h, at("12:00"));
    house_meet(h, "~tablet", "email sms");
    house_event(h, "~tablet", "Mail Due", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:10"));
    house_event(h, "ann~tablet", "Nothing", "");
    house_apply(h, at("12:20"));
    house_run(h, at("12:30"));
    house_hop(h);
    is_as_recounted(h, &most);
    assert_int_equal(house_sent(h, "ann", "mail"), 1);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"what is spent equals a recount of the attempts", what_is_spent_equals_a_recount, NULL,
         NULL, NULL},
        {"who is merged pays once", who_is_merged_pays_once, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
