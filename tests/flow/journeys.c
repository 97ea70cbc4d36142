/* What scenario files cannot tell of journeys that lead into each other, of milestones and of what goes
 * instead: snapshots in the middle, merges, circles, and waits of years. */
#include "support/house.h"

#define HEAD                                                                                    \
    "=== programme.yaml\nname: Test\ntimezone: Europe/London\ntraits: {plan: {type: string}}\n" \
    "categories: {service: {lane: service, settle: 0s}}\ncaps: []\nquiet_hours: []\n"
#define MESSAGE(name)                                                                  \
    "=== messages/" name "/message.yaml\ncategory: service\nemail: {subject: Hello}\n" \
    "=== messages/" name "/email.txt.liquid\nHello {{ entry.why }} {{ entry.order }}\n"
#define MAIL                                          \
    "=== providers/mail.yaml\nkind: smtp\nslots: 2\n" \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n"
#define ORDERS                                                                                          \
    HEAD MAIL MESSAGE("verify") MESSAGE(                                                                \
        "order") "=== journeys/order.yaml\njourney: order\nenter: {event: Ordered, key: event.order}\n" \
                 "exits: [{event: Cancelled}]\nsteps:\n"                                                \
                 "  - run: verify\n    with: {why: '\"for \" + entry.order'}\n  - send: order\n"        \
                 "=== journeys/verify.yaml\njourney: verify\nenter: {run: true}\n"                      \
                 "exits: [{event: Verified, when: 'event.why == entry.why'}]\n"                         \
                 "steps: [{wait: 1h}, {send: verify}, {wait: 1h}]\n"

static uint32_t live(struct house *h, const char *who, const char *journey)
{
    struct person at;
    uint32_t count = 0;
    house_look(h, who, &at);
    for (uint32_t i = 0; i < at.profile->instances.count; i++)
        count += person_instance(&at, i)->journey == house_name(h, journey);
    return count;
}

static void a_run_goes_on_behind_a_snapshot(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, ORDERS);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Ordered", "order=o1");
    house_apply(h, at("10:00"));
    for (const char *const *t = (const char *const[]){"10:30", "11:30", "12:30", NULL}; *t; t++) {
        house_hop(h);
        house_run(h, at(*t));
    }
    assert_int_equal(house_sent(h, "ann", "verify"), 1);
    assert_int_equal(house_when(h, "ann", "order"), at("12:00"));
    assert_int_equal(live(h, "ann", "order") + live(h, "ann", "verify"), 0);
    house_free(h);
}

static void a_run_moves_with_its_caller_in_a_merge(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, ORDERS);
    house_meet(h, "ann", "email");
    house_event(h, "~tablet", "Ordered", "order=o1");
    house_event(h, "~tablet", "Ordered", "order=o2");
    house_apply(h, at("10:00"));
    house_run(h, at("10:30"));
    house_event(h, "ann~tablet", "Seen", "");
    house_apply(h, at("10:40"));
    house_hop(h);
    assert_int_equal(live(h, "ann", "order"), 2);
    assert_int_equal(live(h, "ann", "verify"), 2);
    house_event(h, "ann", "Cancelled", "order=o2");
    house_apply(h, at("10:50"));
    house_run(h, at("20:00"));
    assert_int_equal(house_sent(h, "ann", "verify"), 1);
    assert_int_equal(house_sent(h, "ann", "order"), 1);
    assert_int_equal(live(h, "ann", "order") + live(h, "ann", "verify"), 0);
    house_free(h);
}

static void of_twins_in_a_merge_the_one_that_ends_takes_its_run_along(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, ORDERS);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Ordered", "order=o1");
    house_event(h, "~tablet", "Ordered", "order=o1");
    house_apply(h, at("10:00"));
    house_event(h, "ann~tablet", "Seen", "");
    house_apply(h, at("10:30"));
    assert_int_equal(live(h, "ann", "order"), 1);
    assert_int_equal(live(h, "ann", "verify"), 1);
    house_run(h, at("20:00"));
    assert_int_equal(house_sent(h, "ann", "verify"), 1);
    assert_int_equal(house_sent(h, "ann", "order"), 1);
    house_free(h);
}

#define ORDERS_MOVE(moves, steps)                                                                       \
    HEAD MAIL MESSAGE("verify") MESSAGE(                                                                \
        "order") "=== journeys/order.yaml\njourney: order\nenter: {event: Ordered, key: event.order}\n" \
                 "migrate: " moves "\nsteps:\n" steps                                                   \
                 "=== journeys/verify.yaml\njourney: verify\nenter: {run: true}\n"                      \
                 "steps: [{wait: 1h}, {send: verify}, {wait: 1h}]\n"

static void a_run_goes_over_to_another_version(void **state)
{
    (void)state;
    for (uint32_t stays = 0; stays < 2; stays++) {
        struct house *h = house_new();
        house_activate(h, ORDERS);
        house_meet(h, "ann", "email");
        house_event(h, "ann", "Ordered", "order=o1");
        house_apply(h, at("10:00"));
        house_run(h, at("10:30"));
        if (stays)
            house_activate(h, ORDERS_MOVE("{others: same}", "  - {run: verify, id: run-1}\n"
                                                            "  - wait: 1h\n  - send: order\n"));
        else
            house_activate(h, ORDERS_MOVE("{steps: {run-1: order}}", "  - send: order\n"));
        house_run(h, at("20:00"));
        assert_int_equal(house_sent(h, "ann", "verify"), stays);
        assert_int_equal(house_sent(h, "ann", "order"), 1);
        if (stays)
            assert_int_equal(house_when(h, "ann", "order"), at("13:00"));
        assert_int_equal(live(h, "ann", "order") + live(h, "ann", "verify"), 0);
        house_free(h);
    }
}

static void who_waits_for_a_turn_is_there_behind_snapshot_and_merge(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h,
                   HEAD MAIL MESSAGE("hello") "=== journeys/j.yaml\njourney: j\n"
                                              "enter: {event: Go, at_once: {max: 1, then: queue}}\n"
                                              "steps: [{wait: 1h}, {send: hello}]\n");
    house_meet(h, "ann", "email");
    for (uint32_t i = 0; i < 3; i++)
        house_event(h, "ann", "Go", "");
    house_event(h, "~tablet", "Go", "");
    house_event(h, "~tablet", "Go", "");
    house_apply(h, at("10:00"));
    assert_int_equal(house_count(h, RESULT_WAITS_TURN, "j"), 3);
    house_hop(h);
    house_event(h, "ann~tablet", "Seen", "");
    house_apply(h, at("10:30"));
    house_hop(h);
    house_run(h, at("23:00"));
    /* One of the two that were live is over by the merge, and one of two that waited with the same key. */
    assert_int_equal(house_count(h, RESULT_WAITS_TURN, "j"), 3);
    assert_int_equal(live(h, "ann", "j"), 0);
    uint32_t sent = house_sent(h, "ann", "hello");
    assert_true(sent >= 3 && sent <= 4);
    house_free(h);
}

static void journeys_that_hand_over_in_a_circle_stop(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD "=== journeys/a.yaml\njourney: a\nenter: {event: Go, handoff: true}\n"
                           "steps: [{handoff: b}]\n"
                           "=== journeys/b.yaml\njourney: b\nenter: {handoff: true}\n"
                           "steps: [{handoff: a}]\n");
    house_event(h, "ann", "Go", "");
    house_apply(h, at("10:00"));
    uint32_t entered = house_count(h, RESULT_ENTERED, "a") + house_count(h, RESULT_ENTERED, "b");
    assert_int_equal(entered, 17);
    assert_int_equal(house_count(h, RESULT_REFUSED, NULL), 1);
    assert_int_equal(house_last(h, RESULT_REFUSED, NULL), REFUSAL_LOOP);
    house_run(h, at("3 10:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "a") + house_count(h, RESULT_ENTERED, "b"),
                     entered);
    house_free(h);
}

static void a_wait_of_two_years_is_a_timer(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD MAIL MESSAGE("hello") "=== journeys/j.yaml\njourney: j\nenter: Go\n"
                                                 "steps: [{wait: 730d}, {send: hello}]\n");
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Go", "");
    house_apply(h, at("10:00"));
    house_hop(h);
    uint64_t timers = engine_counts(h->engine)->timers;
    house_run(h, at("729 10:00"));
    assert_int_equal(house_sent(h, "ann", "hello"), 0);
    assert_true(engine_counts(h->engine)->timers <= timers + 1); /* nothing wakes them in between */
    house_run(h, at("730 10:00"));
    assert_int_equal(house_when(h, "ann", "hello"), at("730 10:00"));
    house_free(h);
}

#define MILES                                                                                \
    HEAD MAIL MESSAGE("one") MESSAGE(                                                        \
        "two") "=== journeys/j.yaml\njourney: j\nenter: Go\nmilestones:\n"                   \
               "  - {name: a, done: 'count(\"Did\") >= 2', do: [{wait: 1d}, {send: one}]}\n" \
               "  - {name: b, done: 'traits.plan == \"pro\"', do: [{send: two}, {wait: 9d}]}\n"

static void what_a_merge_makes_true_reaches_the_milestone(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, MILES);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Go", "");
    house_event(h, "ann", "Did", "");
    house_event(h, "~tablet", "Did", "");
    house_apply(h, at("10:00"));
    house_run(h, at("11:00"));
    house_hop(h);
    assert_int_equal(house_count(h, RESULT_REACHED, "j"), 0);
    house_event(h, "ann~tablet", "Seen", "");
    house_apply(h, at("12:00"));
    house_run(h, at("2 00:00"));
    house_hop(h);
    assert_int_equal(house_count(h, RESULT_REACHED, "j"), 1);
    assert_int_equal(house_sent(h, "ann", "one"), 0);
    assert_int_equal(house_when(h, "ann", "two"), at("12:00"));
    house_identify(h, "ann", "plan=pro");
    house_apply(h, at("3 12:00"));
    assert_int_equal(house_last(h, RESULT_ENDED, "j"), JOURNEY_GOAL_REACHED);
    assert_int_equal(house_count(h, RESULT_CONVERTED, "j"), 1);
    house_free(h);
}

/* Milestones in any order against a plain model: the person is where the model says, and never back. */
static void milestones_equal_a_plain_model(void **state)
{
    (void)state;
    enum { COUNT = 4 };
    uint32_t goals = 0, skips = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        bool furthest = seed % 2;
        struct house *h = house_new();
        struct buf text;
        uint64_t luck = hash_pair(seed, 77);
        buf_init(&text);
        buf_printf(&text,
                   HEAD "=== journeys/j.yaml\njourney: j\nenter: Go\nadvance: %s\nmilestones:\n",
                   furthest ? "furthest" : "first_unmet");
        for (uint32_t i = 0; i < COUNT; i++)
            buf_printf(&text, "  - {name: m%u, done: 'did(\"D%u\", \"2d\")', do: [{wait: %ud}]}\n",
                       i, i, 1 + i % 2);
        buf_add_byte(&text, 0);
        house_activate(h, (const char *)text.at);
        buf_fini(&text);
        int64_t done_ms[COUNT];
        for (uint32_t i = 0; i < COUNT; i++)
            done_ms[i] = INT64_MIN / 2;
        uint32_t place = 0;
        bool has_begun = false;
        for (uint32_t k = 0; k < 30 && place < COUNT; k++) {
            int64_t now_ms = HOUSE_START_MS + (int64_t)(k + 1) * 7 * HOUR_MS;
            luck = hash_pair(luck, k);
            uint32_t which = (uint32_t)(luck % COUNT);
            char name[8] = {'D', (char)('0' + which), 0};
            house_run(h, now_ms - 1);
            if (k == 3) {
                house_event(h, "ann", "Go", "");
                has_begun = true;
            } else {
                house_event(h, "ann", name, "");
                done_ms[which] = now_ms;
            }
            house_apply(h, now_ms);
            if (!has_begun)
                continue;
            uint32_t to = place;
            if (furthest) {
                for (uint32_t i = place; i < COUNT; i++)
                    if (now_ms - done_ms[i] < 2 * DAY_MS)
                        to = i + 1;
            } else {
                while (to < COUNT && now_ms - done_ms[to] < 2 * DAY_MS)
                    to++;
            }
            skips += to > place + 1;
            place = to;
            struct person who;
            house_look(h, "ann", &who);
            uint32_t count = who.profile->instances.count;
            if ((place == COUNT) != (count == 0))
                fail_msg("seed %lu: after %u events %u instances, at milestone %u", seed, k, count,
                         place);
            if (count == 0) {
                goals++;
                assert_int_equal(house_last(h, RESULT_ENDED, "j"), JOURNEY_GOAL_REACHED);
                break;
            }
            const struct instance *in = person_instance(&who, 0);
            const struct plan_milestone *m =
                &h->plans[h->plan_count - 1]->journeys[0].milestones[place];
            if (in->step < m->first || in->step > m->stand)
                fail_msg("seed %lu: after %u events at step %u, not in milestone %u", seed, k,
                         in->step, place);
        }
        house_free(h);
    }
    assert_true(goals > 10);
    assert_true(skips > 10);
}

static void what_goes_instead_is_there_behind_a_snapshot(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h,
                   "=== programme.yaml\nname: Test\ntimezone: Europe/London\n"
                   "categories: {m: {lane: marketing, settle: 10m}}\ncaps: [{limit: 5, per: day}]\n"
                   "quiet_hours: [{from: '21:00', to: '08:00'}]\n"
                   "=== messages/one/message.yaml\ncategory: m\nemail: {subject: Hello}\n"
                   "=== messages/one/email.txt.liquid\nHello\n"
                   "=== messages/two/message.yaml\ncategory: m\nemail: {subject: Hello}\n"
                   "=== messages/two/email.txt.liquid\nHello\n" MAIL
                   "=== journeys/j.yaml\njourney: j\nenter: Go\nsteps:\n"
                   "  - send: one\n    instead: [{if: 'did(\"Bought\")', do: [{send: two}]}]\n"
                   "  - wait: 1d\n");
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Go", "");
    house_apply(h, at("22:00"));
    house_run(h, at("23:00"));
    house_hop(h);
    house_event(h, "ann", "Bought", "");
    house_apply(h, at("23:30"));
    house_hop(h);
    house_run(h, at("1 07:00"));
    assert_int_equal(house_sent(h, NULL, "one") + house_sent(h, NULL, "two"), 0);
    house_hop(h);
    house_run(h, at("1 09:00"));
    assert_int_equal(house_sent(h, "ann", "one"), 0);
    assert_int_equal(house_when(h, "ann", "two"), at("1 08:00"));
    assert_int_equal(live(h, "ann", "j"), 1);
    house_run(h, at("2 09:00"));
    assert_int_equal(live(h, "ann", "j"), 0); /* the instance went on from what went instead */
    house_free(h);
}

/* Going to and fro between steps, ten thousand times: bounded work each time, and the instance lives. */
static void going_back_again_and_again_is_bounded(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD "=== journeys/j.yaml\njourney: j\nenter: Go\n"
                           "on: [{event: Again, then: go first}]\n"
                           "steps: [{wait: 1d, id: first}, {wait: 1d}]\n");
    house_event(h, "ann", "Go", "");
    house_apply(h, at("10:00"));
    for (uint32_t i = 0; i < 100; i++) {
        for (uint32_t k = 0; k < 10; k++)
            house_event(h, "ann", "Again", "");
        house_apply(h, at("11:00") + (int64_t)i * MINUTE_MS);
    }
    assert_int_equal(live(h, "ann", "j"), 1);
    assert_int_equal(house_count(h, RESULT_STEP, "j"), 1001);
    house_run(h, at("9 00:00"));
    assert_int_equal(house_last(h, RESULT_ENDED, "j"), JOURNEY_COMPLETED);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a run goes on behind a snapshot", a_run_goes_on_behind_a_snapshot),
        TEST("a run moves with its caller in a merge", a_run_moves_with_its_caller_in_a_merge),
        TEST("a run goes over to another version", a_run_goes_over_to_another_version),
        TEST("of twins in a merge the one that ends takes its run along",
             of_twins_in_a_merge_the_one_that_ends_takes_its_run_along),
        TEST("who waits for a turn is there behind snapshot and merge",
             who_waits_for_a_turn_is_there_behind_snapshot_and_merge),
        TEST("journeys that hand over in a circle stop", journeys_that_hand_over_in_a_circle_stop),
        TEST("a wait of two years is a timer", a_wait_of_two_years_is_a_timer),
        TEST("what a merge makes true reaches the milestone",
             what_a_merge_makes_true_reaches_the_milestone),
        TEST("milestones equal a plain model", milestones_equal_a_plain_model),
        TEST("what goes instead is there behind a snapshot",
             what_goes_instead_is_there_behind_a_snapshot),
        TEST("going back again and again is bounded", going_back_again_and_again_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
