/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/check.h"

#include "model/state.h"
#include "programme/test_programme.h"

static bool seen_begun(void *context, uint32_t name)
{
    return str_is(names_text(context, name), "Begun");
}

static void unseen_events(void **state)
{
    (void)state;
    struct trial t;
    trial_begin(&t);
    assert_int_equal(trial_compile(&t), OK);
    programme_check_events(t.plan, t.names, seen_begun, t.names, &t.findings);
    trial_say(&t);
    assert_string_equal((const char *)t.said.at,
                        "programme.yaml: advice: the event \"Done\" has never come in "
                        "[event-unseen]\n"
                        "    is it spelt as the source spells it?\n");
    trial_end(&t);
}

/* What is said of a message with this condition. */
static void says(const char *only_if, const char *said)
{
    struct trial t;
    char message[512];
    trial_begin(&t);
    snprintf(message, sizeof(message), "category: lifecycle\n%semail: {subject: Hello}\n", only_if);
    trial_put(&t, STR("messages/m/message.yaml"), str_of(message));
    assert_int_equal(trial_compile(&t), OK);
    trial_say(&t);
    assert_string_equal((const char *)t.said.at, said);
    trial_end(&t);
}

static void sent_without_a_time(void **state)
{
    (void)state;
    says("only_if: '!sent(\"m\", \"90d\")'\n", "");
    says("only_if: '!engaged(\"m\")'\n", "");
    says("only_if: '!sent(\"m\")'\n",
         "messages/m/message.yaml:2:10: warning: sent(\"m\") looks back 90 days, not for ever "
         "[no-window]\n"
         "    say how far: sent(\"message\", \"7d\")\n");
}

static uint64_t cost_with(const char *only_if, uint32_t *count, struct arena *arena)
{
    struct trial t;
    trial_begin(&t);
    char message[512];
    snprintf(message, sizeof(message), "category: lifecycle\n%semail: {subject: Hello}\n", only_if);
    trial_put(&t, STR("messages/m/message.yaml"), str_of(message));
    assert_int_equal(trial_compile(&t), OK);
    struct programme_cost total;
    const struct programme_cost *costs = programme_cost(t.plan, t.names, arena, count, &total);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < *count; i++) {
        sum += costs[i].bytes;
        if (i)
            assert_true(costs[i - 1].bytes >= costs[i].bytes);
    }
    assert_int_equal(sum, total.bytes);
    assert_true(total.typical_bytes <= total.bytes);
    trial_end(&t);
    return total.bytes;
}

static void costs(void **state)
{
    (void)state;
    struct arena arena;
    uint32_t plain, with_did, with_count;
    arena_init(&arena, 1024);
    uint64_t none = cost_with("", &plain, &arena);
    uint64_t last = cost_with("only_if: 'did(\"A\", \"3d\")'\n", &with_did, &arena);
    uint64_t all = cost_with("only_if: 'count(\"A\", \"3d\") > 200'\n", &with_count, &arena);
    assert_int_equal(with_did, plain + 1);
    assert_int_equal(with_count, plain + 1);
    assert_true(last > none);
    assert_int_equal(last - none, sizeof(struct history));
    assert_int_equal(all - last, sizeof(struct history_items) + 201 * 8);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("events that never came in are named", unseen_events),
        TEST("sent() without a time is not for ever", sent_without_a_time),
        TEST("a count costs what it remembers, a did() one moment", costs),
    };
    return cmocka_run_group_tests_name("programme/check", tests, NULL, NULL);
}
