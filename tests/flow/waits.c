/* Waits, where a scenario file is not enough: people who become one while they wait, programmes that
 * change, and states that are saved and loaded meanwhile. */
#include "support/house.h"

#define MESSAGE(name)                                \
    "=== messages/" name "/message.yaml\n"           \
    "category: order-update\nemail: {subject: Hi}\n" \
    "=== messages/" name "/email.txt.liquid\nhello\n"

#define JOURNEY(name, event, key, wait)                   \
    "=== journeys/" name ".yaml\n"                        \
    "journey: " name "\n"                                 \
    "enter: {event: " event key ", at_once: {max: 64}}\n" \
    "steps:\n"                                            \
    "  - wait: {" wait "}\n"                              \
    "  - {send: " name ", channels: [email]}\n" MESSAGE(name)

#define PROGRAMME                                                                                 \
    "=== programme.yaml\n"                                                                        \
    "name: House\n"                                                                               \
    "timezone: UTC\n"                                                                             \
    "traits:\n"                                                                                   \
    "  is_member: {type: bool, default: false}\n"                                                 \
    "  renewal: {type: time}\n"                                                                   \
    "categories: {order-update: {lane: service}}\n"                                               \
    "holds: [{name: t, from: Ticket Opened, until: Ticket Solved, linger: 0s, waits: freeze}]\n"  \
    "=== providers/mail.yaml\n"                                                                   \
    "kind: smtp\n"                                                                                \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n" JOURNEY(  \
        "member", "Joining", "", "until: {when: 'traits.is_member'}")                             \
        JOURNEY("renewal", "Subscribed", "", "date: traits.renewal, missing: stay, at_most: 20d") \
            JOURNEY("clock", "Asleep", "", "at: '09:00'")                                         \
                JOURNEY("paid", "Ordered", ", key: event.cart", "until: Paid")                    \
                    JOURNEY("silent", "Silent", "", "until: {if: 'idle(\"Login\", \"3d\")'}")     \
                        JOURNEY("length", "Begun", "", "for: 2h")

static struct house *house_of(const char *programme)
{
    struct house *h = house_new();
    house_activate(h, programme);
    house_run(h, at("12:00"));
    house_meet(h, "~tablet", "email");
    house_meet(h, "ann", "email");
    house_apply(h, at("12:00"));
    return h;
}

/* From here on they are one person. */
static void become_one(struct house *h, const char *when)
{
    house_run(h, at(when));
    house_event(h, "ann~tablet", "Nothing", "");
    house_apply(h, at(when));
}

static void enters(struct house *h, const char *who, const char *event, const char *fields)
{
    house_event(h, who, event, fields);
    house_apply(h, at("12:00"));
}

static void a_merge_ends_a_wait_for_what_the_other_is(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    enters(h, "~tablet", "Joining", "");
    house_identify(h, "ann", "is_member=true");
    house_apply(h, at("12:10"));
    house_run(h, at("13:00"));
    assert_int_equal(house_sent(h, NULL, "member"), 0);
    become_one(h, "13:00");
    house_run(h, at("14:00"));
    assert_int_equal(house_when(h, "ann", "member"), at("13:00"));
    house_free(h);
}

static void a_merge_brings_the_date(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    enters(h, "~tablet", "Subscribed", "");
    house_identify(h, "ann", "renewal=2026-03-05T15:00:00Z");
    house_apply(h, at("12:10"));
    become_one(h, "1 13:00");
    house_run(h, at("10 00:00"));
    assert_int_equal(house_when(h, "ann", "renewal"), at("3 15:00"));
    assert_int_equal(house_sent(h, NULL, "renewal"), 1);
    house_free(h);
}

static void a_merge_brings_a_date_that_is_over(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    enters(h, "~tablet", "Subscribed", "");
    house_identify(h, "ann", "renewal=2026-03-02T15:00:00Z");
    house_apply(h, at("12:10"));
    become_one(h, "1 13:00");
    house_run(h, at("10 00:00"));
    assert_int_equal(house_when(h, "ann", "renewal"), at("1 13:00"));
    house_free(h);
}

static void a_merge_brings_the_clock(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    enters(h, "~tablet", "Asleep", "");
    house_identify(h, "ann", "timezone=America/New_York");
    house_apply(h, at("12:10"));
    become_one(h, "12:30");
    house_run(h, at("3 00:00"));
    assert_int_equal(house_when(h, "ann", "clock"), at("14:00")); /* nine in New York */
    house_free(h);
}

static void the_wait_hears_events_of_the_one_they_became(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    enters(h, "~tablet", "Ordered", "cart=1");
    house_event(h, "ann", "Paid", "cart=1"); /* not the same person yet */
    house_apply(h, at("12:10"));
    become_one(h, "13:00");
    house_event(h, "ann", "Paid", "cart=2"); /* another order */
    house_apply(h, at("13:30"));
    house_run(h, at("14:00"));
    assert_int_equal(house_sent(h, NULL, "paid"), 0);
    house_event(h, "ann", "Paid", "cart=1");
    house_apply(h, at("14:00"));
    house_run(h, at("15:00"));
    assert_int_equal(house_when(h, "ann", "paid"), at("14:00"));
    house_free(h);
}

static void both_wait_on_for_their_own_orders(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    enters(h, "~tablet", "Ordered", "cart=1");
    enters(h, "ann", "Ordered", "cart=2");
    become_one(h, "13:00");
    house_event(h, "ann", "Paid", "cart=1");
    house_apply(h, at("14:00"));
    house_run(h, at("15:00"));
    assert_int_equal(house_sent(h, NULL, "paid"), 1);
    house_event(h, "~tablet", "Paid", "cart=2");
    house_apply(h, at("16:00"));
    house_run(h, at("17:00"));
    assert_int_equal(house_sent(h, NULL, "paid"), 2);
    house_free(h);
}

static void a_merge_puts_off_what_silence_would_end(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    enters(h, "~tablet", "Silent", "");
    house_event(h, "ann", "Login", "");
    house_apply(h, at("1 12:00"));
    become_one(h, "2 13:00");
    house_run(h, at("10 00:00"));
    assert_int_equal(house_when(h, "ann", "silent"), at("4 12:00"));
    house_free(h);
}

static void a_merge_brings_a_hold_that_freezes(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    enters(h, "~tablet", "Begun", "");
    house_event(h, "ann", "Ticket Opened", "");
    house_apply(h, at("12:10"));
    become_one(h, "13:00");
    house_event(h, "ann", "Ticket Solved", "");
    house_run(h, at("16:10"));
    house_apply(h, at("16:10"));
    house_run(h, at("1 00:00"));
    assert_int_equal(house_when(h, "ann", "length"), at("18:00")); /* four hours later */
    house_free(h);
}

static void of_two_waits_in_one_step_one_stays(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    enters(h, "~tablet", "Begun", "");
    house_event(h, "ann", "Begun", "");
    house_apply(h, at("12:30"));
    become_one(h, "13:00");
    house_run(h, at("1 00:00"));
    assert_int_equal(house_sent(h, NULL, "length"), 1);
    assert_int_equal(house_when(h, "ann", "length"), at("14:00")); /* of the older one */
    house_free(h);
}

/* Every kind of wait goes on from a saved state, and after a new version of the programme. */
static void waits_outlive_snapshots_and_versions(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        struct house *h = house_of(PROGRAMME);
        static const char *const events[] = {"Subscribed", "Asleep", "Ordered", "Silent", "Begun"};
        house_identify(h, "ann", "renewal=2026-03-05T15:00:00Z");
        for (size_t i = 0; i < array_count(events); i++)
            house_event(h, "ann", events[i], "cart=1");
        house_apply(h, at("12:00"));
        house_run(h, at("13:00"));
        if (way == 1)
            house_hop(h);
        else if (way == 2)
            house_activate(h, PROGRAMME "=== journeys/new.yaml\n"
                                        "journey: new\nenter: {event: New}\n"
                                        "steps: [{send: member}]\n");
        house_run(h, at("20:00"));
        house_event(h, "ann", "Paid", "cart=1");
        house_apply(h, at("20:00"));
        house_run(h, at("10 00:00"));
        assert_int_equal(house_when(h, "ann", "renewal"), at("3 15:00"));
        assert_int_equal(house_when(h, "ann", "clock"), at("1 09:00"));
        assert_int_equal(house_when(h, "ann", "paid"), at("20:00"));
        assert_int_equal(house_when(h, "ann", "silent"), at("3 12:00"));
        assert_int_equal(house_when(h, "ann", "length"), at("14:00"));
        house_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a merge ends a wait for what the other one is",
             a_merge_ends_a_wait_for_what_the_other_is),
        TEST("a merge brings the date that is waited for", a_merge_brings_the_date),
        TEST("a merge brings a date that is over, and the wait is",
             a_merge_brings_a_date_that_is_over),
        TEST("a merge brings the clock by which is waited", a_merge_brings_the_clock),
        TEST("a wait hears events of whom they became",
             the_wait_hears_events_of_the_one_they_became),
        TEST("both wait on for their own orders", both_wait_on_for_their_own_orders),
        TEST("a merge puts off what silence would end", a_merge_puts_off_what_silence_would_end),
        TEST("a merge brings a hold that freezes", a_merge_brings_a_hold_that_freezes),
        TEST("of two waits in one step the older stays", of_two_waits_in_one_step_one_stays),
        TEST("waits outlive snapshots and versions", waits_outlive_snapshots_and_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
