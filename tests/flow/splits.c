/* Splits over many people, and when one arm has won. */
#include "support/house.h"

#define MESSAGE(name)                                \
    "=== messages/" name "/message.yaml\n"           \
    "category: order-update\nemail: {subject: Hi}\n" \
    "=== messages/" name "/email.txt.liquid\nhello\n"

#define PROGRAMME(first, second)                                                        \
    "=== programme.yaml\n"                                                              \
    "name: House\n"                                                                     \
    "categories: {order-update: {lane: service}}\n"                                     \
    "=== providers/mail.yaml\n"                                                         \
    "kind: smtp\nslots: 64\n"                                                           \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n" \
    "=== journeys/test.yaml\n"                                                          \
    "journey: test\n"                                                                   \
    "enter: {event: Begun, at_once: {max: 9}}\n"                                        \
    "steps:\n"                                                                          \
    "  - split:\n"                                                                      \
    "      name: test\n"                                                                \
    "      arms:\n"                                                                     \
    "        - {arm: a, weight: " first ", do: [{send: a}]}\n"                          \
    "        - {arm: b, weight: " second ", do: [{send: b}]}\n" MESSAGE("a") MESSAGE("b")

enum { PEOPLE = 400 };

static const char *name_of(uint32_t i)
{
    static char text[16];
    snprintf(text, sizeof(text), "p%u", i);
    return text;
}

static void all_begin(struct house *h, const char *when)
{
    for (uint32_t i = 0; i < PEOPLE; i++) {
        house_event(h, name_of(i), "Begun", "");
        if (i % 100 == 99)
            house_apply(h, at(when));
    }
    house_run(h, at(when) + HOUR_MS);
}

static struct house *house_of(const char *programme)
{
    struct house *h = house_new();
    h->audits_every = 50;
    house_activate(h, programme);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        house_meet(h, name_of(i), "email");
        if (i % 50 == 49)
            house_apply(h, at("10:00"));
    }
    return h;
}

static void people_go_by_the_weights_and_stay(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME("70", "30"));
    uint32_t first[PEOPLE], count = 0;
    all_begin(h, "11:00");
    for (uint32_t i = 0; i < PEOPLE; i++)
        count += first[i] = house_sent(h, name_of(i), "a");
    assert_in_range(count, PEOPLE * 7 / 10 - 37, PEOPLE * 7 / 10 + 37); /* four deviations */
    all_begin(h, "13:00");
    for (uint32_t i = 0; i < PEOPLE; i++) {
        assert_int_equal(house_sent(h, name_of(i), "a"), 2 * first[i]);
        assert_int_equal(house_sent(h, name_of(i), "b"), 2 - 2 * first[i]);
    }
    house_free(h);
}

static void a_promoted_winner_takes_everybody(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME("50", "50"));
    all_begin(h, "11:00");
    uint32_t before = house_sent(h, NULL, "a");
    assert_in_range(before, PEOPLE / 2 - 40, PEOPLE / 2 + 40);
    house_activate(h, PROGRAMME("0", "100"));
    house_run(h, at("12:30"));
    all_begin(h, "13:00");
    assert_int_equal(house_sent(h, NULL, "a"), before);
    assert_int_equal(house_sent(h, NULL, "b"), 2 * PEOPLE - before);
    house_free(h);
}

static void new_weights_move_nobody_who_need_not(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME("50", "50"));
    uint32_t first[PEOPLE], moved = 0;
    all_begin(h, "11:00");
    for (uint32_t i = 0; i < PEOPLE; i++)
        first[i] = house_sent(h, name_of(i), "a");
    house_activate(h, PROGRAMME("80", "20"));
    house_run(h, at("12:30"));
    all_begin(h, "13:00");
    for (uint32_t i = 0; i < PEOPLE; i++) {
        uint32_t now = house_sent(h, name_of(i), "a") - first[i];
        if (first[i])
            assert_int_equal(now, 1); /* the arm that grew loses nobody */
        moved += now && !first[i];
    }
    assert_in_range(moved, PEOPLE * 3 / 10 - 40, PEOPLE * 3 / 10 + 40);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("people go by the weights, and always the same way",
             people_go_by_the_weights_and_stay),
        TEST("a promoted winner takes everybody", a_promoted_winner_takes_everybody),
        TEST("new weights move nobody who need not move", new_weights_move_nobody_who_need_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
