/* The desk, where a scenario file is not enough: merges, races, other programmes, full lists. Each test
 * is named after what a person or a marketer would notice. */
#include "support/house.h"

/* ---- the programme ------------------------------------------------------------------------------
 *
 *   hello     on Signed Up: send hello, wait a day, send more
 *   cart      on Cart Updated (key cart_id): wait an hour, reminder; goal Order Completed
 *   sale      on Sale Seen: send sale (offer, low)
 *   order     on Order Completed: send receipt (service) */

#define MESSAGE(name, category)                          \
    "=== messages/" name "/message.yaml\n"               \
    "category: " category "\n"                           \
    "email: {subject: 'Hi {{ person.first_name }}'}\n"   \
    "=== messages/" name "/email.txt.liquid\n" name "\n" \
    "=== messages/" name "/sms.liquid\nHi {{ person.first_name }}\n"

#define REST                                                                                   \
    "=== journeys/hello.yaml\n"                                                                \
    "journey: hello\n"                                                                         \
    "enter: {event: Signed Up, again: never}\n"                                                \
    "steps:\n"                                                                                 \
    "  - {send: hello, channels: [email]}\n"                                                   \
    "  - wait: {for: 1d}\n"                                                                    \
    "  - {send: more, channels: [email]}\n"                                                    \
    "=== journeys/cart.yaml\n"                                                                 \
    "journey: cart\n"                                                                          \
    "priority: 200\n"                                                                          \
    "goal: {event: Order Completed, when: 'event.cart_id == entry.cart_id', within: 7d}\n"     \
    "enter: {event: Cart Updated, key: event.cart_id, at_once: {max: 64, per: key}}\n"         \
    "steps:\n"                                                                                 \
    "  - wait: {for: 1h}\n"                                                                    \
    "  - {send: reminder, channels: [email]}\n"                                                \
    "=== journeys/sale.yaml\n"                                                                 \
    "journey: sale\n"                                                                          \
    "enter: {event: Sale Seen, at_once: {max: 64}}\n"                                          \
    "steps:\n"                                                                                 \
    "  - {send: sale, channels: [email]}\n"                                                    \
    "=== journeys/order.yaml\n"                                                                \
    "journey: order\n"                                                                         \
    "enter: {event: Order Completed, at_once: {max: 64}}\n"                                    \
    "steps:\n"                                                                                 \
    "  - {send: receipt, channels: [email]}\n" MESSAGE("hello", "lifecycle")                   \
        MESSAGE("more", "lifecycle") MESSAGE("reminder", "lifecycle") MESSAGE("sale", "offer") \
            MESSAGE("receipt", "order-update")

#define SETTINGS                                                     \
    "=== programme.yaml\n"                                           \
    "name: House\n"                                                  \
    "traits:\n"                                                      \
    "  first_name: {type: string}\n"                                 \
    "categories:\n"                                                  \
    "  order-update: {lane: service}\n"                              \
    "  lifecycle: {lane: marketing, valid_for: 2d, priority: 500}\n" \
    "  offer: {lane: marketing, valid_for: 2d, priority: 300}\n"

#define PROVIDERS(slots)                                                                \
    "=== providers/mail.yaml\n"                                                         \
    "kind: smtp\n"                                                                      \
    "slots: " slots "\n"                                                                \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n" \
    "=== providers/text.yaml\n"                                                         \
    "kind: webhook\n"                                                                   \
    "channel: sms\n"                                                                    \
    "slots: 1\n"                                                                        \
    "settings: {url: 'https://sms.example/send', secret: '${ENV:SMS_SECRET}'}\n"

static struct house *house_of(const char *programme)
{
    struct house *h = house_new();
    house_activate(h, programme);
    house_run(h, at("12:00"));
    return h;
}

#define PLAIN SETTINGS "caps: []\nquiet_hours: []\n" PROVIDERS("4") REST

static void it_works(void **state)
{
    (void)state;
    struct house *h = house_of(PLAIN);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Signed Up", "");
    house_apply(h, at("12:00"));
    house_run(h, at("5 12:00"));
    assert_int_equal(house_when(h, "ann", "hello"), at("12:01"));
    assert_int_equal(house_when(h, "ann", "more"), at("1 12:02"));
    assert_int_equal(house_last(h, RESULT_ENDED, "hello"), JOURNEY_COMPLETED);
    house_free(h);
}

static enum receipt_kind never(struct house *h, const struct house_attempt *a, int64_t *delay_ms)
{
    (void)h;
    (void)a;
    (void)delay_ms;
    return HOUSE_LATER;
}

static struct house *busy_of(const char *programme)
{
    struct house *h = house_of(programme);
    h->answer = never;
    return h;
}

#define ONE_SLOT SETTINGS "caps: []\nquiet_hours: []\n" PROVIDERS("1") REST

/* Somebody else takes one of the provider's connections. */
static uint32_t occupy(struct house *h)
{
    uint32_t before = h->attempt_count;
    house_meet(h, "zoe", "email sms");
    house_event(h, "zoe", "Order Completed", "");
    house_apply(h, h->now_ms);
    house_run(h, h->now_ms);
    assert_int_equal(h->attempt_count, before + 1);
    return before;
}

static uint32_t pending(const struct house *h, const char *who)
{
    struct person person;
    house_look((struct house *)(uintptr_t)h, who, &person);
    return person.profile->intents.count;
}

/* ---- merges ------------------------------------------------------------------------------------- */

static void a_merge_wakes_what_waits_for_a_trait(void **state)
{
    (void)state;
    struct house *h = house_of(SETTINGS "caps: []\nquiet_hours: []\n" PROVIDERS("4") REST
                               "=== journeys/vip.yaml\n"
                               "journey: vip\n"
                               "enter: {event: Lounge Seen}\n"
                               "steps:\n"
                               "  - wait: {until: {if: 'traits.first_name == \"Ann\"'}}\n"
                               "  - {send: sale, channels: [email]}\n");
    house_meet(h, "~tablet", "email");
    house_event(h, "~tablet", "Lounge Seen", "");
    house_apply(h, at("12:00"));
    house_identify(h, "ann", "first_name=Ann");
    house_apply(h, at("12:10"));
    house_run(h, at("13:00"));
    assert_int_equal(house_sent(h, NULL, "sale"), 0);
    house_event(h, "ann~tablet", "Nothing", "");
    house_apply(h, at("13:00"));
    house_run(h, at("14:00"));
    assert_int_equal(house_when(h, "ann", "sale"), at("13:01"));
    house_free(h);
}

static void merging_many_keeps_a_person_bounded(void **state)
{
    (void)state;
    struct house *h = house_of(
        SETTINGS "caps: []\nquiet_hours: []\n"
                 "holds: [{name: t, from: Ticket Opened, until: Ticket Solved}]\n" PROVIDERS("4")
                     REST);
    static const char *const devices[] = {"~d1", "~d2", "~d3", "~d4"};
    for (uint32_t d = 0; d < 4; d++) {
        house_meet(h, devices[d], "email");
        house_event(h, devices[d], "Ticket Opened", "");
        house_apply(h, h->now_ms);
        for (int i = 0; i < 60; i++)
            house_event(h, devices[d], "Sale Seen", "");
        house_apply(h, h->now_ms);
    }
    for (uint32_t d = 0; d < 4; d++) {
        char both[16];
        snprintf(both, sizeof(both), "ann%s", devices[d]);
        house_event(h, both, "Nothing", "");
        house_apply(h, h->now_ms);
        assert_true(pending(h, "ann") <= PROFILE_UNITED_MAX);
    }
    house_run(h, at("5 12:00"));
    assert_int_equal(pending(h, "ann"), 0);
    assert_int_equal(house_count(h, RESULT_ENTERED, "sale"), house_count(h, RESULT_ENDED, "sale"));
    house_free(h);
}

static void a_merge_that_would_be_too_large_is_refused(void **state)
{
    (void)state;
    struct house *h = busy_of(ONE_SLOT);
    static const char *const devices[] = {"~d1", "~d2", "~d3"};
    uint32_t first = occupy(h);
    for (uint32_t d = 0; d < 3; d++) {
        house_meet(h, devices[d], "email");
        for (int i = 0; i < 60; i++)
            house_event(h, devices[d], "Order Completed", "");
        house_apply(h, h->now_ms);
        house_run(h, h->now_ms);
    }
    for (uint32_t d = 0; d < 3; d++) {
        char both[16];
        snprintf(both, sizeof(both), "ann%s", devices[d]);
        house_event(h, both, "Nothing", "");
        house_apply(h, h->now_ms);
    }
    assert_int_equal(house_count(h, RESULT_MERGED, NULL), 2);
    assert_int_equal(house_count(h, RESULT_SHARED, NULL), 1); /* the third stays by itself */
    assert_int_equal(pending(h, "ann"), 120);
    h->answer = NULL;
    house_receipt(h, first, RECEIPT_ACCEPTED, 0);
    house_run(h, at("5 12:00"));
    assert_int_equal(pending(h, "ann"), 0);
    assert_int_equal(house_sent(h, NULL, "receipt"), 181);
    house_free(h);
}

static void two_carts_stay_two_when_people_merge(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        struct house *h = house_of(PLAIN);
        house_meet(h, "ann", "email");
        house_meet(h, "~tablet", "");
        house_event(h, "ann", "Cart Updated", "cart_id=1");
        house_event(h, "~tablet", "Cart Updated", same ? "cart_id=1" : "cart_id=2");
        house_apply(h, at("12:00"));
        house_run(h, at("13:00"));
        assert_int_equal(pending(h, "ann"), 1); /* both settle for a minute */
        assert_int_equal(pending(h, "~tablet"), 1);
        house_event(h, "ann~tablet", "Nothing", "");
        house_apply(h, at("13:00"));
        house_run(h, at("2 12:00"));
        assert_int_equal(house_sent(h, "ann", "reminder"), same ? 1 : 2);
        assert_int_equal(pending(h, "ann"), 0);
        house_free(h);
    }
}

static void what_is_at_the_pool_survives_a_merge(void **state)
{
    (void)state;
    for (int granted = 0; granted < 2; granted++) {
        struct house *h = busy_of(ONE_SLOT);
        uint32_t first = granted ? 0 : occupy(h);
        house_meet(h, "~tablet", "email");
        house_event(h, "~tablet", "Order Completed", "");
        house_apply(h, at("12:00"));
        house_meet(h, "ann", "email");
        house_event(h, "ann~tablet", "Nothing", "");
        house_apply(h, at("12:00")); /* before the pool's answer was heard */
        if (!granted)
            house_receipt(h, first, RECEIPT_ACCEPTED, 0);
        house_run(h, at("12:10"));
        assert_int_equal(house_sent(h, "ann", "receipt"), 1);
        house_receipt(h, h->attempt_count - 1, RECEIPT_ACCEPTED, 0);
        assert_int_equal(pending(h, "ann"), 0);
        assert_int_equal(house_count(h, RESULT_ENDED, "order"), granted ? 1 : 2);
        house_free(h);
    }
}

static bool is_held_out(const struct house *h, const char *who)
{
    const struct plan *plan = h->plans[h->plan_count - 1];
    return hash_chance(plan->holdout_salt, house_person(h, who)) < plan->holdout;
}

static void a_merged_person_is_of_the_known_users_control_group(void **state)
{
    (void)state;
    uint32_t tried[2] = {0};
    for (uint32_t i = 0; i < 200 && !(tried[0] && tried[1]); i++) {
        struct house *h = house_of(SETTINGS "caps: []\nquiet_hours: []\n"
                                            "holdout: {percent: 50}\n" PROVIDERS("4") REST);
        char user[16], device[16], both[40];
        snprintf(user, sizeof(user), "u%u", i);
        snprintf(device, sizeof(device), "~d%u", i);
        snprintf(both, sizeof(both), "%s%s", user, device);
        house_meet(h, user, "email");
        house_meet(h, device, "email");
        bool winner = is_held_out(h, user);
        if (winner != is_held_out(h, device) && !tried[winner]++) {
            house_event(h, device, "Sale Seen", "");
            house_apply(h, at("12:00"));
            house_event(h, both, "Nothing", "");
            house_apply(h, at("12:00"));
            house_run(h, at("13:00"));
            assert_int_equal(house_sent(h, NULL, "sale"), winner ? 0 : 1);
            assert_int_equal(house_last(h, RESULT_DECIDED, "sale"),
                             winner ? OUTCOME_HELD_OUT : OUTCOME_SENT);
            assert_int_equal(house_count(h, RESULT_CROSSED, NULL), 1);
            assert_int_equal(house_last(h, RESULT_CROSSED, NULL), winner);
        }
        house_free(h);
    }
    assert_true(tried[0] && tried[1]);
}

static void everybody_keeps_their_control_group(void **state)
{
    (void)state;
    struct house *h = house_of(SETTINGS "caps: []\nquiet_hours: []\n"
                                        "holdout: {percent: 50}\n" PROVIDERS("4") REST);
    uint32_t held = 0;
    enum { PEOPLE = 64 };
    for (uint32_t i = 0; i < PEOPLE; i++) {
        char user[16], first[32], second[32], device[16], tablet[16];
        snprintf(user, sizeof(user), "u%u", i);
        snprintf(device, sizeof(device), "~d%u", i);
        snprintf(tablet, sizeof(tablet), "~t%u", i);
        snprintf(first, sizeof(first), "%s%s", user, device);
        snprintf(second, sizeof(second), "%s%s", user, tablet);
        house_event(h, device, "Nothing", "");
        house_event(h, tablet, "Nothing", "");
        house_apply(h, at("12:00"));
        bool was = is_held_out(h, device);
        house_event(h, first, "Nothing", ""); /* a visitor signs up */
        house_apply(h, at("12:10"));
        assert_int_equal(is_held_out(h, user), was);
        house_event(h, second, "Nothing", ""); /* and was there on another device before */
        house_apply(h, at("12:20"));
        assert_int_equal(is_held_out(h, user), was);
        assert_true(house_person(h, tablet) == house_person(h, user));
        house_free(h);
        held += was;
        h = house_of(SETTINGS "caps: []\nquiet_hours: []\n"
                              "holdout: {percent: 50}\n" PROVIDERS("4") REST);
    }
    assert_in_range(held, PEOPLE / 4, PEOPLE * 3 / 4);
    house_free(h);
}

/* A goal counts for the group that the person was in all the time. */
static void who_was_held_out_otherwise_before_converts_for_neither_group(void **state)
{
    (void)state;
    uint32_t seen[3] = {0};
    for (uint32_t i = 0; i < 60; i++) {
        struct house *h = house_of(SETTINGS "caps: []\nquiet_hours: []\n" PROVIDERS("4") REST
                                   "=== journeys/trial.yaml\njourney: trial\n"
                                   "enter: {event: Trial Begun}\nholdout: {percent: 50}\n"
                                   "goal: Trial Bought\nsteps: [{wait: {for: 9d}}]\n");
        char user[16], device[16], both[40];
        snprintf(user, sizeof(user), "u%u", i);
        snprintf(device, sizeof(device), "~d%u", i);
        snprintf(both, sizeof(both), "%s%s", user, device);
        house_meet(h, user, "email");
        house_event(h, device, "Trial Begun", "");
        house_apply(h, at("12:00"));
        const struct plan *plan = engine_plan(h->engine);
        const struct plan_journey *j =
            &plan->journeys[plan_journey_find(plan, house_name(h, "trial"))];
        bool was = hash_chance(j->salt, house_person(h, device)) < j->holdout;
        bool is = hash_chance(j->salt, house_person(h, user)) < j->holdout;
        house_event(h, both, "Nothing", "");
        house_apply(h, at("13:00"));
        assert_int_equal(house_count(h, RESULT_CROSSED, "trial"), was != is);
        house_hop(h);
        house_event(h, user, "Trial Bought", "");
        house_apply(h, at("14:00"));
        int group = was != is ? CONVERTED_CROSSED : is ? CONVERTED_GHOST : CONVERTED_TREATED;
        assert_int_equal(house_last(h, RESULT_CONVERTED, "trial"), group);
        seen[group]++;
        house_free(h);
    }
    for (uint32_t i = 0; i < array_count(seen); i++)
        assert_true(seen[i] > 4);
}

/* ---- the pool ----------------------------------------------------------------------------------- */

static void a_queued_message_goes_to_the_address_of_now(void **state)
{
    (void)state;
    struct house *h = busy_of(ONE_SLOT);
    uint32_t first = occupy(h);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Order Completed", "");
    house_apply(h, at("12:00"));
    house_identify(h, "ann", "email=ann@new.example first_name=Ann");
    house_apply(h, at("12:05"));
    house_run(h, at("12:06"));
    house_receipt(h, first, RECEIPT_ACCEPTED, 0);
    house_run(h, at("12:10"));
    assert_int_equal(house_sent(h, "ann", "receipt"), 1);
    assert_string_equal(h->attempts[h->attempt_count - 1].address, "ann@new.example");
    assert_string_equal(h->attempts[h->attempt_count - 1].fields, "Ann");
    house_free(h);
}

static void a_queued_message_says_what_is_true_when_it_is_granted(void **state)
{
    (void)state;
    struct house *h = busy_of(ONE_SLOT);
    uint32_t first = occupy(h);
    house_meet(h, "ann", "email");
    house_identify(h, "ann", "first_name=Anne");
    house_event(h, "ann", "Order Completed", "");
    house_apply(h, at("12:00"));
    house_identify(h, "ann", "first_name=Ann");
    house_apply(h, at("12:05"));
    house_run(h, at("12:06"));
    house_receipt(h, first, RECEIPT_ACCEPTED, 0);
    house_run(h, at("12:10"));
    assert_string_equal(h->attempts[h->attempt_count - 1].fields, "Ann");
    house_free(h);
}

static void an_allow_that_ends_in_the_queue_gives_its_slot_back(void **state)
{
    (void)state;
    struct house *h = busy_of(
        SETTINGS "caps: [{limit: 1, per: day}]\n"
                 "quiet_hours: [{from: '21:00', to: '08:00', channels: [email]}]\n" PROVIDERS("1")
                     REST);
    uint32_t first = occupy(h);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Sale Seen", "");
    house_apply(h, at("20:00"));
    house_run(h, at("20:59"));
    assert_int_equal(house_count(h, RESULT_RESERVED, "sale"), 1);
    assert_int_equal(house_count(h, RESULT_RETURNED, "sale"), 0);
    house_run(h, at("21:01")); /* nobody asked the pool, which is full */
    assert_int_equal(house_count(h, RESULT_RETURNED, "sale"), 1);
    assert_int_equal(house_last(h, RESULT_DECIDED, "sale"), OUTCOME_DEFERRED);
    h->answer = NULL;
    house_receipt(h, first, RECEIPT_ACCEPTED, 0);
    house_run(h, at("1 12:00"));
    assert_int_equal(house_when(h, "ann", "sale"), at("1 08:00"));
    house_free(h);
}

static void what_is_cancelled_in_the_batch_of_its_hand_over_is_not_sent(void **state)
{
    (void)state;
    /* b's message is handed over in the first round of the settle; a, whose message is refused in the
     * same round, then sets the trait that b requires not to have. */
    struct house *h =
        house_of(SETTINGS "  instant: {lane: marketing, settle: 0s}\n"
                          "caps: []\nquiet_hours: []\n" PROVIDERS("4") REST
                 "=== journeys/a.yaml\n"
                 "journey: a\n"
                 "enter: {event: Begun}\n"
                 "steps:\n"
                 "  - {send: first, channels: [sms]}\n"
                 "  - set: {first_name: '\"gone\"'}\n"
                 "  - wait: {for: 1d}\n"
                 "=== journeys/b.yaml\n"
                 "journey: b\n"
                 "enter: {event: Begun}\n"
                 "require: '!has(traits.first_name) || traits.first_name != \"gone\"'\n"
                 "steps:\n"
                 "  - {send: second, channels: [email]}\n" MESSAGE("first", "instant")
                     MESSAGE("second", "instant"));
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Begun", "");
    house_apply(h, at("12:00"));
    house_run(h, at("13:00"));
    assert_int_equal(house_last(h, RESULT_ENDED, "b"), JOURNEY_NO_LONGER_ELIGIBLE);
    assert_int_equal(house_sent(h, "ann", "second"), 0);
    assert_int_equal(house_last(h, RESULT_DECIDED, "second"), OUTCOME_NOT_RELEVANT);
    house_free(h);
}

/* ---- competition -------------------------------------------------------------------------------- */

static void a_lower_message_keeps_a_slot_that_would_not_help(void **state)
{
    (void)state;
    /* top and middle want the one text of the day; low is an e-mail, which stands in nobody's way. No
     * provider has a connection to spare. */
    struct house *h = busy_of(
        SETTINGS "caps:\n  - {limit: 1, per: day, channel: sms}\nquiet_hours: []\n" PROVIDERS("1")
            REST "=== journeys/top.yaml\njourney: top\npriority: 9\n"
                 "enter: {event: Begun}\nsteps: [{send: top, channels: [sms]}]\n"
                 "=== journeys/middle.yaml\njourney: middle\npriority: 5\n"
                 "enter: {event: Begun}\nsteps: [{send: middle, channels: [sms]}]\n"
                 "=== journeys/low.yaml\njourney: low\npriority: 1\n"
                 "enter: {event: Begun}\nsteps: [{send: low, channels: [email]}]\n" MESSAGE(
                     "top", "lifecycle") MESSAGE("middle", "lifecycle")
                     MESSAGE("low", "lifecycle"));
    occupy(h);
    house_event(h, "zoe", "Begun", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:05"));
    assert_int_equal(house_sent(h, "zoe", "top"), 1);
    house_meet(h, "ann", "email sms");
    house_event(h, "ann", "Begun", "");
    house_apply(h, at("12:10"));
    uint64_t before = h->batch;
    house_run(h, at("12:20"));
    assert_true(h->batch - before < 20); /* not taken back again and again */
    assert_int_equal(house_count(h, RESULT_RESERVED, "top"), 2);
    assert_int_equal(house_sent(h, "ann", "top"), 0);
    assert_int_equal(house_count(h, RESULT_RESERVED, "low"), 2);
    assert_int_equal(house_count(h, RESULT_RETURNED, "low"), 0);
    assert_int_equal(house_count(h, RESULT_RESERVED, "middle"), 0);
    assert_int_equal(house_last(h, RESULT_DECIDED, "middle"), OUTCOME_DEFERRED);
    house_free(h);
}

static void a_higher_message_takes_the_slot_of_a_lower_one_that_waits(void **state)
{
    (void)state;
    struct house *h =
        busy_of(SETTINGS "caps: [{limit: 1, per: day}]\nquiet_hours: []\n" PROVIDERS("1") REST);
    uint32_t first = occupy(h);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Sale Seen", "");
    house_event(h, "ann", "Cart Updated", "cart_id=1");
    house_apply(h, at("12:00"));
    house_run(h, at("12:30"));
    assert_int_equal(house_count(h, RESULT_RESERVED, "sale"), 1);
    house_run(h, at("13:02")); /* the reminder is due */
    assert_int_equal(house_count(h, RESULT_RETURNED, "sale"), 1);
    assert_int_equal(house_count(h, RESULT_RESERVED, "reminder"), 1);
    h->answer = NULL;
    house_receipt(h, first, RECEIPT_ACCEPTED, 0);
    house_run(h, at("3 12:00"));
    assert_int_equal(house_when(h, "ann", "reminder"), at("13:02"));
    assert_int_equal(house_when(h, "ann", "sale"), at("1 00:00"));
    house_free(h);
}

static void a_message_without_a_moment_left_ends_at_once(void **state)
{
    (void)state;
    /* The cap frees a slot only behind the deadline; that a ticket is open proves nothing either way. */
    struct house *h = house_of(
        SETTINGS "caps: [{limit: 1, per: 7d}]\nquiet_hours: []\n"
                 "holds: [{name: t, from: Ticket Opened, until: Ticket Solved}]\n" PROVIDERS("4")
                     REST);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Sale Seen", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:10"));
    house_event(h, "ann", "Ticket Opened", "");
    house_event(h, "ann", "Sale Seen", "");
    house_apply(h, at("12:10"));
    house_run(h, at("12:20"));
    assert_int_equal(house_last(h, RESULT_DECIDED, "sale"), OUTCOME_EXPIRED);
    assert_int_equal(pending(h, "ann"), 0);
    house_free(h);
}

static void a_moment_that_is_the_deadline_is_too_late(void **state)
{
    (void)state;
    struct house *h =
        house_of(SETTINGS "caps: [{min_gap: 48h}]\nquiet_hours: []\n" PROVIDERS("4") REST);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Sale Seen", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:01"));
    assert_int_equal(house_sent(h, "ann", "sale"), 1);
    house_event(h, "ann", "Sale Seen", "");
    house_apply(h, at("12:01")); /* valid until the very moment at which the gap ends */
    house_run(h, at("12:02"));
    assert_int_equal(house_last(h, RESULT_DECIDED, "sale"), OUTCOME_EXPIRED);
    house_free(h);
}

/* ---- holds and clocks --------------------------------------------------------------------------- */

#define FREEZING                                                                                   \
    SETTINGS "caps: []\nquiet_hours: []\nholds:\n"                                                 \
             "  - {name: t, from: Ticket Opened, until: Ticket Solved, linger: 0s, at_most: 30m, " \
             "waits: freeze}\n" PROVIDERS("4") REST

static void a_hold_lifts_though_something_happens_at_that_very_moment(void **state)
{
    (void)state;
    struct house *h = house_of(FREEZING);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Cart Updated", "cart_id=1");
    house_apply(h, at("12:00"));
    house_event(h, "ann", "Ticket Opened", "");
    house_apply(h, at("12:45")); /* until 13:15: the hour is over when it is a quarter past one */
    house_run(h, at("13:15") - 1);
    house_event(h, "ann", "Nothing", "");
    house_apply(h, at("13:15"));
    house_run(h, at("20:00"));
    assert_int_equal(house_when(h, "ann", "reminder"), at("13:31"));
    house_free(h);
}

static void a_lingering_hold_is_not_waited_for_step_by_step(void **state)
{
    (void)state;
    struct house *h =
        house_of(SETTINGS "caps: []\nquiet_hours: []\nholds:\n"
                          "  - {name: t, from: Ticket Opened, until: Ticket Solved, linger: 2h, "
                          "waits: freeze}\n" PROVIDERS("4") REST);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Cart Updated", "cart_id=1");
    house_apply(h, at("12:00"));
    house_event(h, "ann", "Ticket Opened", "");
    house_event(h, "ann", "Ticket Solved", "");
    house_apply(h, at("13:00") - 1); /* a millisecond before the hour is over */
    uint64_t before = h->batch;
    house_run(h, at("20:00"));
    assert_true(h->batch - before < 20);
    assert_int_equal(house_when(h, "ann", "reminder"), at("15:01"));
    house_free(h);
}

static void a_new_clock_moves_quiet_hours_and_calendar_waits(void **state)
{
    (void)state;
    struct house *h =
        house_of(SETTINGS "timezone: UTC\ncaps: []\n"
                          "quiet_hours: [{from: '21:00', to: '08:00'}]\n" PROVIDERS("4") REST
                 "=== journeys/days.yaml\njourney: days\nenter: {event: Begun}\n"
                 "steps: [{wait: {for: 1 day}}, {send: receipt, channels: [email]}]\n");
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Begun", "");
    house_apply(h, at("12:00"));
    house_event(h, "ann", "Sale Seen", "");
    house_apply(h, at("22:00"));
    house_run(h, at("22:30"));
    assert_int_equal(house_sent(h, "ann", "sale"), 0);
    house_identify(h, "ann", "timezone=America/New_York"); /* where it is half past five */
    house_apply(h, at("22:30"));
    house_run(h, at("2 12:00"));
    assert_int_equal(house_when(h, "ann", "sale"), at("22:30"));
    assert_int_equal(house_when(h, "ann", "receipt"), at("1 12:00")); /* a day is a day here too */
    house_free(h);
}

static void older_news_wakes_who_waits_for_idleness(void **state)
{
    (void)state;
    struct house *h = house_of(SETTINGS "caps: []\nquiet_hours: []\n" PROVIDERS("4") REST
                               "=== journeys/idle.yaml\njourney: idle\nenter: {event: Begun}\n"
                               "steps:\n  - wait: {until: {if: 'idle(\"Login\", \"2d\")'}}\n"
                               "  - {send: receipt, channels: [email]}\n");
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Begun", "");
    house_apply(h, at("12:00"));
    house_run(h, at("1 12:00"));
    struct record *r = house_event(h, "ann", "Seen", ""); /* it is known now that she came before */
    r->event_ms = at("00:00") - DAY_MS;
    r->flags |= RECORD_IS_HISTORY;
    house_apply(h, at("1 12:00"));
    house_run(h, at("5 12:00"));
    assert_int_equal(house_when(h, "ann", "receipt"), at("1 12:00"));
    house_free(h);
}

/* ---- attempts ----------------------------------------------------------------------------------- */

#define BOTH_CHANNELS                                                    \
    SETTINGS "caps: []\nquiet_hours: []\n" PROVIDERS("4") REST           \
        "=== journeys/both.yaml\njourney: both\nenter: {event: Begun}\n" \
        "goal: {event: Done}\n"                                          \
        "steps: [{send: sale, channels: {first_of: [email, sms]}}]\n"

static void the_next_channel_is_tried_unless_it_was_called_off(void **state)
{
    (void)state;
    for (int called_off = 0; called_off < 2; called_off++) {
        struct house *h = busy_of(BOTH_CHANNELS);
        house_meet(h, "ann", "email sms");
        house_event(h, "ann", "Begun", "");
        house_apply(h, at("12:00"));
        house_run(h, at("12:05"));
        assert_int_equal(house_sent(h, "ann", "sale"), 1);
        if (called_off) {
            house_event(h, "ann", "Done", "");
            house_apply(h, at("12:05"));
        }
        h->answer = NULL;
        house_receipt(h, 0, RECEIPT_REJECTED_MESSAGE, 554);
        house_run(h, at("12:10"));
        assert_int_equal(house_sent(h, "ann", "sale"), called_off ? 1 : 2);
        assert_int_equal(house_last(h, RESULT_DECIDED, "sale"),
                         called_off ? OUTCOME_GOAL_REACHED : OUTCOME_SENT);
        assert_int_equal(h->attempts[h->attempt_count - 1].channel,
                         called_off ? CHANNEL_EMAIL : CHANNEL_SMS);
        house_free(h);
    }
}

static void a_message_whose_time_ran_out_while_it_was_tried_is_over(void **state)
{
    (void)state;
    struct house *h = busy_of(
        SETTINGS "  code: {lane: otp}\n"
                 "caps: []\nquiet_hours: []\n" PROVIDERS("4") REST
        "=== journeys/login.yaml\njourney: login\nenter: {event: Login Tried}\n"
        "steps: [{send: code, channels: {first_of: [email, sms]}}]\n" MESSAGE("code", "code"));
    house_meet(h, "ann", "email sms");
    house_event(h, "ann", "Login Tried", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:15")); /* a code is good for ten minutes */
    uint64_t before = h->batch;
    house_receipt(h, 0, RECEIPT_REJECTED_MESSAGE, 554);
    house_run(h, at("12:20"));
    assert_true(h->batch - before < 10); /* it does not go to and fro between desk and pool */
    assert_int_equal(house_sent(h, "ann", "code"), 1);
    assert_int_equal(pending(h, "ann"), 0);
    house_free(h);
}

static void a_bounce_means_the_address_that_was_written_to(void **state)
{
    (void)state;
    for (int after_acceptance = 0; after_acceptance < 2; after_acceptance++) {
        struct house *h = busy_of(PLAIN);
        house_meet(h, "ann", "email");
        house_event(h, "ann", "Order Completed", "");
        house_apply(h, at("12:00"));
        house_run(h, at("12:01"));
        if (after_acceptance)
            house_receipt(h, 0, RECEIPT_ACCEPTED, 250);
        house_identify(h, "ann", "email=ann@new.example");
        house_apply(h, at("12:02"));
        house_receipt(h, 0, after_acceptance ? RECEIPT_BOUNCED : RECEIPT_REJECTED_ADDRESS, 550);
        h->answer = NULL;
        house_event(h, "ann", "Order Completed", "");
        house_apply(h, at("12:03"));
        house_run(h, at("12:10"));
        assert_int_equal(house_sent(h, "ann", "receipt"), 2); /* the new one is fine */
        assert_string_equal(h->attempts[1].address, "ann@new.example");
        house_identify(h, "bob", "email=ann@example.org"); /* nobody is written to at the old one */
        house_event(h, "bob", "Order Completed", "");
        house_apply(h, at("12:10"));
        house_run(h, at("12:20"));
        assert_int_equal(house_sent(h, "bob", "receipt"), 0);
        house_free(h);
    }
}

static enum receipt_kind in_doubt(struct house *h, const struct house_attempt *a, int64_t *delay_ms)
{
    (void)h;
    (void)a;
    (void)delay_ms;
    return RECEIPT_IN_DOUBT;
}

static void a_service_message_in_doubt_to_the_end_counts_as_sent(void **state)
{
    (void)state;
    struct house *h = house_of(PLAIN);
    h->answer = in_doubt;
    h->audits_every = 50;
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Order Completed", "");
    house_apply(h, at("12:00"));
    house_run(h, at("4 12:00"));
    assert_true(house_sent(h, "ann", "receipt") > 10);
    assert_int_equal(house_last(h, RESULT_DECIDED, "receipt"), OUTCOME_UNKNOWN);
    assert_int_equal(house_count(h, RESULT_RETURNED, "receipt"), 0);
    assert_int_equal(house_last(h, RESULT_ENDED, "order"), JOURNEY_COMPLETED);
    house_free(h);
}

static void an_answer_that_comes_late_spares_the_next_attempt(void **state)
{
    (void)state;
    struct house *h = house_of(PLAIN);
    h->answer = in_doubt;
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Order Completed", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:00"));
    assert_int_equal(house_sent(h, "ann", "receipt"), 1);
    house_receipt(h, 0, RECEIPT_ACCEPTED, 250);
    house_run(h, at("2 12:00"));
    assert_int_equal(house_sent(h, "ann", "receipt"), 1);
    assert_int_equal(house_last(h, RESULT_DECIDED, "receipt"), OUTCOME_SENT);
    house_free(h);
}

/* A journey with a message of its own: the same one goes to an address once only. */
#define BRIEF(n)                                                                 \
    "=== journeys/brief" n ".yaml\njourney: brief" n "\nenter: {event: Begun}\n" \
    "steps: [{send: brief" n ", channels: [email]}]\n" MESSAGE("brief" n, "brief")

static void a_full_address_ends_what_cannot_wait_for_it(void **state)
{
    (void)state;
    struct house *h = house_of(SETTINGS "  brief: {lane: marketing, valid_for: 3h, settle: 0s}\n"
                                        "caps: []\nquiet_hours: []\n" PROVIDERS("4") REST BRIEF("1")
                                            BRIEF("2") BRIEF("3") BRIEF("4") BRIEF("5"));
    static const char *const messages[] = {"brief1", "brief2", "brief3", "brief4", "brief5"};
    house_identify(h, "ann", "email=ann@example.org");
    house_consent(h, "ann", "email", true);
    house_apply(h, at("12:00"));
    house_event(h, "ann", "Begun", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:01"));
    uint32_t sent = 0;
    for (uint32_t i = 0; i < array_count(messages); i++)
        sent += house_sent(h, NULL, messages[i]);
    assert_int_equal(sent, 4);
    uint32_t expired = 0;
    for (uint32_t i = 0; i < h->row_count; i++)
        expired += h->rows[i].result.kind == RESULT_DECIDED &&
                   h->rows[i].result.how == OUTCOME_EXPIRED && h->rows[i].result.step == 14;
    assert_int_equal(expired, 1);
    house_free(h);
}

static void a_complaint_lets_marketing_rest(void **state)
{
    (void)state;
    struct house *h = house_of(PLAIN);
    house_meet(h, "ann", "email sms");
    house_event(h, "ann", "Signed Up", "");
    house_apply(h, at("12:00"));
    house_run(h, at("13:00"));
    struct record *r = house_event(h, "ann", "Message Complained", "");
    r->cause = h->attempts[0].decision;
    house_apply(h, at("13:00"));
    assert_int_equal(house_last(h, RESULT_ENDED, "hello"), JOURNEY_OPTED_OUT);
    house_consent(h, "ann", "email", true); /* a yes again does not end the rest */
    house_event(h, "ann", "Order Completed", "");
    house_event(h, "ann", "Sale Seen", "");
    house_apply(h, at("13:10"));
    house_run(h, at("20:00"));
    assert_int_equal(house_sent(h, "ann", "receipt"), 1);
    assert_int_equal(house_sent(h, "ann", "sale"), 0);
    assert_int_equal(house_last(h, RESULT_DECIDED, "sale"), OUTCOME_EXPIRED);
    house_event(h, "ann", "Sale Seen", "");
    house_apply(h, at("30 12:00"));
    house_run(h, at("31 12:00"));
    assert_int_equal(house_when(h, "ann", "sale"), at("30 13:00"));
    house_free(h);
}

/* ---- what was said before, and much of it -------------------------------------------------------- */

static void a_no_before_the_first_programme_counts(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_run(h, at("10:00"));
    house_meet(h, "ann", "email");
    house_meet(h, "bob", "email");
    house_event(h, "ann", "Unsubscribed", "");
    house_apply(h, at("11:00"));
    house_activate(h, PLAIN);
    house_event(h, "ann", "Sale Seen", "");
    house_event(h, "bob", "Sale Seen", "");
    house_apply(h, at("12:00"));
    house_run(h, at("13:00"));
    assert_int_equal(house_sent(h, "ann", "sale"), 0);
    assert_int_equal(house_sent(h, "bob", "sale"), 1);
    house_free(h);
}

static void once_means_once_after_many_journeys(void **state)
{
    (void)state;
    struct house *h = house_of(PLAIN);
    h->audits_every = 20;
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Signed Up", "");
    house_apply(h, at("12:00"));
    house_run(h, at("3 12:00"));
    for (int i = 0; i < 2 * PROFILE_PASTS_MAX; i++) {
        house_event(h, "ann", "Order Completed", "");
        house_apply(h, at("3 12:00") + i * MINUTE_MS);
        house_run(h, h->now_ms);
    }
    house_event(h, "ann", "Signed Up", "");
    house_apply(h, at("10 12:00"));
    house_run(h, at("12 12:00"));
    assert_int_equal(house_sent(h, "ann", "hello"), 1);
    assert_int_equal(house_last(h, RESULT_REFUSED, "hello"), REFUSAL_AGAIN);
    house_free(h);
}

static void a_message_that_was_sent_wakes_who_waits_for_it(void **state)
{
    (void)state;
    struct house *h = house_of(SETTINGS "caps: []\nquiet_hours: []\n" PROVIDERS("4") REST
                               "=== journeys/a.yaml\njourney: a\nenter: {event: Begun}\nsteps:\n"
                               "  - {send: sale, channels: [email], go_on: true}\n"
                               "  - wait: {for: 10d}\n"
                               "=== journeys/b.yaml\njourney: b\nenter: {event: Begun}\nsteps:\n"
                               "  - wait: {until: {if: 'sent(\"sale\", \"7d\")'}}\n"
                               "  - {send: receipt, channels: [email]}\n");
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Begun", "");
    house_apply(h, at("12:00"));
    house_run(h, at("1 12:00"));
    assert_int_equal(house_when(h, "ann", "sale"), at("12:01"));
    assert_int_equal(house_when(h, "ann", "receipt"), at("12:01"));
    house_free(h);
}

static void another_cart_is_no_late_conversion(void **state)
{
    (void)state;
    struct house *h = house_of(SETTINGS "caps: []\nquiet_hours: []\n" PROVIDERS("4") REST
                               "=== journeys/box.yaml\njourney: box\n"
                               "goal: {event: Bought, within: 7d}\n"
                               "enter: {event: Begun, key: event.cart_id}\n"
                               "steps: [{send: receipt, channels: [email]}]\n");
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Begun", "cart_id=1");
    house_event(h, "ann", "Begun", "cart_id=2");
    house_apply(h, at("12:00"));
    house_run(h, at("13:00"));
    house_event(h, "ann", "Bought", "cart_id=2.0"); /* the same number, written otherwise */
    house_apply(h, at("13:00"));
    assert_int_equal(house_count(h, RESULT_CONVERTED, "box"), 1);
    house_event(h, "ann", "Bought", "cart_id=3");
    house_apply(h, at("14:00"));
    assert_int_equal(house_count(h, RESULT_CONVERTED, "box"), 1);
    house_event(h, "ann", "Bought", "cart_id=1");
    house_apply(h, at("15:00"));
    assert_int_equal(house_count(h, RESULT_CONVERTED, "box"), 2);
    house_free(h);
}

static void a_public_key_cannot_take_a_user_id(void **state)
{
    (void)state;
    for (int is_server = 0; is_server < 2; is_server++) {
        struct house *h = house_of(PLAIN);
        house_meet(h, "ann", "email");
        house_meet(h, "eve", "email");
        h->flags = is_server ? RECORD_IS_SERVER : 0;
        house_alias(h, "eve", "ann");
        house_alias(h, "eve", "later"); /* not known yet */
        house_apply(h, at("12:00"));
        assert_int_equal(house_person(h, "ann") == house_person(h, "eve"), is_server);
        h->flags = RECORD_IS_SERVER;
        house_event(h, "later", "Nothing", "");
        house_event(h, "ann", "Order Completed", "");
        house_apply(h, at("12:10"));
        house_run(h, at("12:20"));
        assert_int_equal(house_person(h, "later") == house_person(h, "eve"), is_server);
        if (!is_server)
            assert_string_equal(h->attempts[0].address, "ann@example.org");
        house_free(h);
    }
}

static void a_message_carries_the_zone_of_its_person(void **state)
{
    (void)state;
    struct house *h = house_of(PLAIN);
    house_meet(h, "ann", "email");
    house_meet(h, "bob", "email");
    house_meet(h, "eve", "email");
    house_identify(h, "ann", "timezone=Asia/Tokyo");
    house_identify(h, "eve", "timezone=Mars/Olympus");
    house_event(h, "ann", "Order Completed", "");
    house_event(h, "bob", "Order Completed", "");
    house_event(h, "eve", "Order Completed", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:10"));
    assert_int_equal(h->attempt_count, 3);
    for (uint32_t i = 0; i < h->attempt_count; i++)
        assert_string_equal(h->attempts[i].zone,
                            strncmp(h->attempts[i].address, "ann", 3) == 0 ? "Asia/Tokyo" : "");
    house_identify(h, "ann", "timezone=America/New_York"); /* later: the new one */
    house_event(h, "ann", "Order Completed", "");
    house_apply(h, at("13:00"));
    house_run(h, at("13:10"));
    assert_string_equal(h->attempts[3].zone, "America/New_York");
    house_free(h);
}

/* ---- another programme -------------------------------------------------------------------------- */

#define HELD                                                   \
    SETTINGS "caps: [{limit: 1, per: day}]\nquiet_hours: []\n" \
             "holds: [{name: t, from: Ticket Opened, until: Ticket Solved}]\n" PROVIDERS("4") REST

static void a_new_programme_reaches_who_waits(void **state)
{
    (void)state;
    struct house *h = house_of(HELD);
    house_meet(h, "ann", "email"); /* waits for the ticket */
    house_meet(h, "bob", "email"); /* waits for the next day */
    house_event(h, "ann", "Ticket Opened", "");
    house_event(h, "ann", "Sale Seen", "");
    house_event(h, "bob", "Sale Seen", "");
    house_event(h, "bob", "Cart Updated", "cart_id=1");
    house_apply(h, at("12:00"));
    house_run(h, at("14:00"));
    assert_int_equal(house_sent(h, NULL, "sale"), 1);
    assert_int_equal(house_sent(h, NULL, "reminder"), 0);
    house_activate(h, PLAIN); /* neither holds nor caps */
    house_run(h, at("14:10"));
    assert_int_equal(house_when(h, "ann", "sale"), at("14:00"));
    assert_int_equal(house_when(h, "bob", "reminder"), at("14:00"));
    house_free(h);
}

static void a_new_cap_counts_for_what_is_in_the_queue(void **state)
{
    (void)state;
    struct house *h = busy_of(ONE_SLOT);
    uint32_t first = occupy(h);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Sale Seen", "");
    house_event(h, "ann", "Sale Seen", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:10"));
    assert_int_equal(house_count(h, RESULT_RESERVED, "sale"), 2);
    house_activate(h,
                   SETTINGS "caps: [{limit: 1, per: day}]\nquiet_hours: []\n" PROVIDERS("1") REST);
    house_run(h, at("12:20"));
    h->answer = NULL;
    house_receipt(h, first, RECEIPT_ACCEPTED, 0);
    house_run(h, at("12:30"));
    assert_int_equal(house_sent(h, "ann", "sale"), 1);
    house_run(h, at("2 12:00"));
    assert_int_equal(house_sent(h, "ann", "sale"), 2);
    house_free(h);
}

static void a_journey_that_is_gone_is_withdrawn(void **state)
{
    (void)state;
    struct house *h = house_of(PLAIN);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Cart Updated", "cart_id=1");
    house_event(h, "ann", "Signed Up", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:30"));
    house_activate(
        h,
        SETTINGS "caps: []\nquiet_hours: []\n" PROVIDERS(
            "4") "=== journeys/hello.yaml\njourney: hello\n"
                 "enter: {event: Signed Up}\nsteps: [{send: hello, channels: [email]}]\n" MESSAGE(
                     "hello", "lifecycle"));
    house_run(h, at("5 12:00"));
    assert_int_equal(house_last(h, RESULT_ENDED, "cart"), JOURNEY_WITHDRAWN);
    assert_int_equal(house_sent(h, "ann", "reminder"), 0);
    /* People in flight keep the steps with which they began. */
    assert_int_equal(house_sent(h, "ann", "more"), 1);
    assert_int_equal(house_last(h, RESULT_ENDED, "hello"), JOURNEY_COMPLETED);
    house_free(h);
}

static void a_provider_that_is_gone_is_passed_over(void **state)
{
    (void)state;
    struct house *h = busy_of(BOTH_CHANNELS);
    house_meet(h, "ann", "email sms");
    for (int i = 0; i < 4; i++) /* all connections of mail are taken */
        occupy(h);
    house_event(h, "ann", "Begun", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:10"));
    assert_int_equal(house_count(h, RESULT_RESERVED, "sale"), 1);
    house_activate(h, SETTINGS
                   "caps: []\nquiet_hours: []\n"
                   "=== providers/text.yaml\nkind: webhook\nchannel: sms\n"
                   "settings: {url: 'https://sms.example/send', secret: '${ENV:SMS_SECRET}'}\n"
                   "=== journeys/both.yaml\njourney: both\nenter: {event: Begun}\n"
                   "steps: [{send: sale, channels: [sms]}]\n"
                   "=== messages/sale/message.yaml\ncategory: offer\n"
                   "=== messages/sale/sms.liquid\nsale\n");
    house_run(h, at("12:20"));
    assert_int_equal(house_sent(h, "ann", "sale"), 1);
    assert_int_equal(h->attempts[h->attempt_count - 1].channel, CHANNEL_SMS);
    house_free(h);
}

static void a_category_that_is_gone_withdraws_its_messages(void **state)
{
    (void)state;
    struct house *h = house_of(HELD);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Ticket Opened", "");
    house_event(h, "ann", "Sale Seen", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:30"));
    house_activate(h,
                   "=== programme.yaml\nname: House\ncategories: {news: {lane: marketing}}\n"
                   "traits: {first_name: {type: string}}\n"
                   "caps: []\nquiet_hours: []\n" PROVIDERS(
                       "4") "=== journeys/sale.yaml\njourney: sale\nenter: {event: Sale Seen}\n"
                            "steps: [{send: sale, channels: [email]}]\n" MESSAGE("sale", "news"));
    house_run(h, at("12:31"));
    assert_int_equal(house_last(h, RESULT_DECIDED, "sale"), OUTCOME_WITHDRAWN);
    assert_int_equal(pending(h, "ann"), 0);
    house_free(h);
}

static void a_new_programme_is_told_slice_by_slice_and_over_snapshots(void **state)
{
    (void)state;
    struct house *h = house_of(HELD);
    h->audits_every = 100;
    for (int i = 0; i < 9000; i++) {
        char who[16];
        snprintf(who, sizeof(who), "p%d", i);
        char traits[48];
        snprintf(traits, sizeof(traits), "x=1 email=p%d@example.org", i);
        house_identify(h, who, i % 1000 ? "x=1" : traits);
        if (i % 1000 == 0) {
            house_consent(h, who, "email", true);
            house_event(h, who, "Ticket Opened", "");
            house_event(h, who, "Sale Seen", "");
        }
        if (h->record_count > 200)
            house_apply(h, at("12:00"));
    }
    house_apply(h, at("12:00"));
    house_run(h, at("13:00"));
    assert_int_equal(house_sent(h, NULL, "sale"), 0);
    house_activate(h, PLAIN);
    assert_true(engine_has_inbox(h->engine));
    house_hop(h);
    house_run(h, at("13:00"));
    assert_int_equal(house_sent(h, NULL, "sale"), 9);
    assert_false(engine_has_inbox(h->engine));
    house_free(h);
}

/* What people say before there is a programme is heard, dates without a zone included. */
static void a_snooze_before_any_programme_is_heard(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_identify(h, "ann", "email=ann@example.org timezone=Asia/Tokyo");
    house_event(h, "ann", "Preferences Changed", "snooze_until=2026-03-05");
    house_event(h, "ann", "Preferences Changed", "snooze_until=2026-03-05T12:00");
    house_apply(h, at("12:00"));
    assert_int_equal(house_count(h, RESULT_ERROR, NULL), 0);
    assert_int_equal(house_count(h, RESULT_CHOICE, NULL), 2);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a snooze before any programme is heard", a_snooze_before_any_programme_is_heard),
        TEST("a journey sends and goes on", it_works),
        TEST("a merge wakes what waits for a trait", a_merge_wakes_what_waits_for_a_trait),
        TEST("merging many keeps a person bounded", merging_many_keeps_a_person_bounded),
        TEST("a merge that would be too large is refused",
             a_merge_that_would_be_too_large_is_refused),
        TEST("two carts stay two when people merge, one cart is one",
             two_carts_stay_two_when_people_merge),
        TEST("what is at the pool survives a merge", what_is_at_the_pool_survives_a_merge),
        TEST("a merged person is of the known user's control group",
             a_merged_person_is_of_the_known_users_control_group),
        TEST("everybody keeps their control group, whatever device they turn up on",
             everybody_keeps_their_control_group),
        TEST("who was held out otherwise before converts for neither group",
             who_was_held_out_otherwise_before_converts_for_neither_group),
        TEST("a queued message goes to the address of now",
             a_queued_message_goes_to_the_address_of_now),
        TEST("a queued message says what is true when it is granted",
             a_queued_message_says_what_is_true_when_it_is_granted),
        TEST("an allow that ends in the queue gives its slot back",
             an_allow_that_ends_in_the_queue_gives_its_slot_back),
        TEST("what is cancelled in the batch of its hand-over is not sent",
             what_is_cancelled_in_the_batch_of_its_hand_over_is_not_sent),
        TEST("a lower message keeps a slot that would not help",
             a_lower_message_keeps_a_slot_that_would_not_help),
        TEST("a higher message takes the slot of a lower one that waits",
             a_higher_message_takes_the_slot_of_a_lower_one_that_waits),
        TEST("a message without a moment left ends at once, whatever holds it",
             a_message_without_a_moment_left_ends_at_once),
        TEST("a moment that is the deadline is too late",
             a_moment_that_is_the_deadline_is_too_late),
        TEST("a hold lifts though something happens at that very moment",
             a_hold_lifts_though_something_happens_at_that_very_moment),
        TEST("a lingering hold is not waited for step by step",
             a_lingering_hold_is_not_waited_for_step_by_step),
        TEST("a new clock moves quiet hours and calendar waits",
             a_new_clock_moves_quiet_hours_and_calendar_waits),
        TEST("older news wakes who waits for idleness", older_news_wakes_who_waits_for_idleness),
        TEST("the next channel is tried, unless the message was called off",
             the_next_channel_is_tried_unless_it_was_called_off),
        TEST("a message whose time ran out while it was tried is over",
             a_message_whose_time_ran_out_while_it_was_tried_is_over),
        TEST("a bounce means the address that was written to",
             a_bounce_means_the_address_that_was_written_to),
        TEST("a service message in doubt to the end counts as sent",
             a_service_message_in_doubt_to_the_end_counts_as_sent),
        TEST("an answer that comes late spares the next attempt",
             an_answer_that_comes_late_spares_the_next_attempt),
        TEST("a full address ends what cannot wait for it",
             a_full_address_ends_what_cannot_wait_for_it),
        TEST("a complaint lets marketing rest for 30 days", a_complaint_lets_marketing_rest),
        TEST("a no before the first programme counts", a_no_before_the_first_programme_counts),
        TEST("once means once, after many journeys", once_means_once_after_many_journeys),
        TEST("a message that was sent wakes who waits for it",
             a_message_that_was_sent_wakes_who_waits_for_it),
        TEST("another cart is no late conversion", another_cart_is_no_late_conversion),
        TEST("a public key cannot take a user id", a_public_key_cannot_take_a_user_id),
        TEST("a message carries the zone of its person", a_message_carries_the_zone_of_its_person),
        TEST("a new programme reaches who waits", a_new_programme_reaches_who_waits),
        TEST("a new cap counts for what is in the queue",
             a_new_cap_counts_for_what_is_in_the_queue),
        TEST("a journey that is gone is withdrawn", a_journey_that_is_gone_is_withdrawn),
        TEST("a provider that is gone is passed over", a_provider_that_is_gone_is_passed_over),
        TEST("a category that is gone withdraws its messages",
             a_category_that_is_gone_withdraws_its_messages),
        TEST("a new programme is told slice by slice, and over snapshots",
             a_new_programme_is_told_slice_by_slice_and_over_snapshots),
    };
    return cmocka_run_group_tests_name("flow/desk", tests, NULL, NULL);
}
