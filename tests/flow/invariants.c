/* What must always hold (engine/invariants.def), and that it is seen where it does not: a state is spoiled by hand, one
 * place at a time, and the invariant that speaks is the right one. tests/canaries/invariants.py plants bugs instead. */
#include "engine/engine_int.h"
#include "support/house.h"

#define PROGRAMME                                                                                    \
    "=== programme.yaml\nname: Test\ntimezone: UTC\nquiet_hours: []\ncaps: [{limit: 3, per: 24h}]\n" \
    "categories: {news: {lane: marketing, settle: 0s}}\n"                                            \
    "=== providers/mail.yaml\nkind: smtp\nslots: 2\n"                                                \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n"              \
    "=== segments/busy.yaml\nsegment: busy\nwhen: count(\"Begun\", \"7d\") > 0\n"                    \
    "=== messages/hello/message.yaml\ncategory: news\nemail: {subject: hello}\n"                     \
    "=== messages/hello/email.txt.liquid\nhello\n"                                                   \
    "=== journeys/j.yaml\njourney: j\nenter: {event: Begun, at_once: {max: 9}}\n"                    \
    "steps: [{send: hello}, {wait: {for: 2d}}]\n"

static void collect(void *self, struct str line)
{
    buf_add_str(self, line);
    buf_add_byte(self, '\n');
}

struct spoiled {
    struct house *house;
    struct buf said;
    struct person who;
};

/* Ann is in the journey, the message under way or sent. */
static void begin(struct spoiled *s, bool is_sent)
{
    struct house *h = s->house = house_new();
    buf_init(&s->said);
    h->invariants = invariants_new(h->engine, &s->said, collect);
    house_activate(h, PROGRAMME);
    house_run(h, at("9:00"));
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Begun", "");
    house_apply(h, h->now_ms);
    if (is_sent)
        house_run(h, at("9:05"));
    house_look(h, "ann", &s->who);
    assert_int_equal(s->said.len, 0);
}

static void end(struct spoiled *s, const char *wanted)
{
    assert_true(invariants_checkpoint(s->house->invariants) > 0);
    char start[32];
    snprintf(start, sizeof(start), "%s: ", wanted);
    if (str_find(buf_str(&s->said), str_of(start), 0) == SIZE_MAX)
        fail_msg("no word of %s in %.*s", wanted, STR_ARG(buf_str(&s->said)));
    buf_fini(&s->said);
    house_free(s->house);
}

static void a_slot_that_nothing_told_of_is_seen(void **state)
{
    (void)state;
    struct spoiled s;
    begin(&s, true);
    person_touch_sent(&s.who, 0)->state = SENT_RESERVED;
    end(&s, "slot");
}

static void an_intent_that_vanished_is_seen(void **state)
{
    (void)state;
    struct spoiled s;
    begin(&s, false);
    assert_int_equal(s.who.profile->intents.count, 1);
    person_drop_intent(&s.who, 0);
    end(&s, "outcome");
}

static void an_instance_that_vanished_is_seen(void **state)
{
    (void)state;
    struct spoiled s;
    begin(&s, true);
    person_drop_instance(&s.who, 0);
    end(&s, "count");
}

static void a_timer_that_is_set_to_another_time_is_seen(void **state)
{
    (void)state;
    struct spoiled s;
    begin(&s, true);
    engine_arm(s.house->engine, s.who.id, at("20 9:00"));
    end(&s, "timer");
}

static void a_membership_that_does_not_hold_is_seen(void **state)
{
    (void)state;
    struct spoiled s;
    begin(&s, true);
    assert_int_equal(s.who.profile->memberships.count, 1);
    person_touch_membership(&s.who, 0)->flags = 0;
    end(&s, "member");
}

static void a_cap_that_is_over_full_is_seen(void **state)
{
    (void)state;
    struct spoiled s;
    begin(&s, true);
    for (int i = 0; i < 3; i++) {
        struct sent line = *person_sent(&s.who, 0);
        line.at_ms = s.house->engine->now_ms;
        line.decision += 2u * (unsigned)(i + 1);
        struct sent_more more = *person_sent_more(&s.who, &line);
        line.more = 0;
        sent_set_more(s.who.space, &line, &more);
        *person_push_sent(&s.who) = line;
    }
    end(&s, "cap");
}

static void a_connection_that_nobody_uses_is_seen(void **state)
{
    (void)state;
    struct spoiled s;
    begin(&s, true);
    s.house->engine->pools.at[0].in_flight++;
    end(&s, "flight");
}

/* In the same batch, in the next one, within a day: once. After a day it is another one. */
static void what_comes_again_is_applied_once(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, PROGRAMME);
    house_run(h, at("9:00"));
    house_meet(h, "ann", "email");
    const char *const times[] = {"9:10", "9:10", "9:11", "1 8:00", "1 10:00"};
    static const uint32_t entered[] = {1, 1, 1, 1, 2};
    for (size_t i = 0; i < array_count(times); i++) {
        struct record *r = house_event(h, "ann", "Begun", "");
        r->message_hash = 4711;
        if (i == 0) {
            r = house_event(h, "ann", "Begun", "");
            r->message_hash = 4711;
        }
        house_run(h, at(times[i]) - 1);
        house_apply(h, at(times[i]));
        assert_int_equal(house_count(h, RESULT_ENTERED, "j"), entered[i]);
    }
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a slot that nothing told of is seen", a_slot_that_nothing_told_of_is_seen),
        TEST("an intent that vanished is seen", an_intent_that_vanished_is_seen),
        TEST("an instance that vanished is seen", an_instance_that_vanished_is_seen),
        TEST("a timer that is set to another time is seen",
             a_timer_that_is_set_to_another_time_is_seen),
        TEST("a membership that does not hold is seen", a_membership_that_does_not_hold_is_seen),
        TEST("a cap that is over-full is seen", a_cap_that_is_over_full_is_seen),
        TEST("a connection that nobody uses is seen", a_connection_that_nobody_uses_is_seen),
        TEST("what comes again is applied once", what_comes_again_is_applied_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
