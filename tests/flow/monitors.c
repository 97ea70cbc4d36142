/* monitors.c - what a scenario cannot show of monitors: what stands at a provider's pool, snapshots between
 * two batches, another programme, and events that pretend.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support/house.h"

#define HEAD(more)                                                                                                \
    "=== programme.yaml\nname: Test\ncaps: []\nquiet_hours: []\n"                                                 \
    "categories:\n  offer: {lane: marketing, settle: 0s, valid_for: 9d}\n"                                        \
    "  ops: {lane: alert, settle: 0s, valid_for: 1d}\n" more                                                      \
    "=== providers/mail.yaml\nkind: smtp\nslots: 2\nsettings: {url: 'smtp://h:25', from: 'a <a@b.example>', "     \
    "security: none}\n"                                                                                           \
    "=== journeys/sale.yaml\njourney: sale\nowner: t\nenter: {event: Sale}\nsteps: [{send: sale}]\n"              \
    "=== messages/sale/message.yaml\ncategory: offer\nemail: {subject: Sale}\n"                                   \
    "=== messages/sale/email.txt.liquid\nSale.\n"                                                                 \
    "=== journeys/alarm.yaml\njourney: alarm\nowner: t\nenter: {event: Monitor Raised}\nsteps: [{send: alarm}]\n" \
    "=== messages/alarm/message.yaml\ncategory: ops\nemail: {subject: '{{ entry.monitor }} {{ entry.value }}'}\n" \
    "=== messages/alarm/email.txt.liquid\nAlarm.\n"

#define SILENT                                                                         \
    "monitors:\n  - {name: silent, watch: silence, event: Pulse, for: 1h, tell: ops, " \
    "pause: {categories: offer}}\n"

static enum receipt_kind never(struct house *h, const struct house_attempt *a, int64_t *delay_ms)
{
    (void)h;
    (void)delay_ms;
    return a->lane == LANE_ALERT ? RECEIPT_ACCEPTED : HOUSE_LATER;
}

static void sale(struct house *h, const char *who)
{
    house_meet(h, who, "email");
    house_event(h, who, "Sale", "");
    house_apply(h, h->now_ms);
}

static void what_is_at_the_pool_is_taken_back_when_a_monitor_is_raised(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD(SILENT));
    house_run(h, at("9:00"));
    house_event(h, "ops", "Pulse", "");
    house_apply(h, at("9:00"));
    house_run(h, at("9:30"));
    h->answer = never; /* two connections, and nobody gives one back */
    sale(h, "p1");
    sale(h, "p2");
    sale(h, "p3");
    sale(h, "p4");
    assert_int_equal(h->attempt_count, 2);
    house_run(h, at("10:00"));
    assert_int_equal(house_last(h, RESULT_MONITOR, "silent"), 1);
    assert_int_equal(engine_controls(h->engine)->kill_count, 1);
    house_hop(h);
    house_receipt(h, 0, RECEIPT_ACCEPTED, 0);
    house_receipt(h, 1, RECEIPT_ACCEPTED, 0);
    house_run(h, at("12:00"));
    assert_int_equal(h->attempt_count, 2); /* the other two wait */
    assert_int_equal(house_count(h, RESULT_RETURNED, "sale"), 2);
    h->answer = NULL;
    house_event(h, "ops", "Pulse", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:20"));
    assert_int_equal(h->attempt_count, 4);
    assert_int_equal(house_last(h, RESULT_MONITOR, "silent"), 0);
    house_free(h);
}

static void an_alarm_that_is_due_survives_a_snapshot(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD("monitors:\n  - {name: many, watch: events, event: Sale, over: 1h, "
                           "above: 2, tell: ops}\n"));
    house_run(h, at("9:00"));
    house_meet(h, "ops", "email");
    house_meet(h, "ann", "email");
    house_apply(h, at("9:00"));
    house_run(h, at("9:01"));
    for (int i = 0; i < 3; i++)
        house_event(h, "ann", "Sale", "");
    house_apply(h, at("9:01"));
    assert_int_equal(house_count(h, RESULT_MONITOR, "many"), 0);
    assert_true(engine_has_inbox(h->engine)); /* the next batch is wanted at once */
    house_hop(h);
    assert_true(engine_has_inbox(h->engine));
    house_run(h, at("9:01"));
    assert_int_equal(house_count(h, RESULT_MONITOR, "many"), 1);
    assert_int_equal(house_sent(h, "ops", "alarm"), 1);
    house_hop(h);
    house_run(h, at("12:00"));
    assert_int_equal(house_count(h, RESULT_MONITOR, "many"), 2);
    assert_int_equal(house_last(h, RESULT_MONITOR, "many"), 0);
    house_free(h);
}

static void nobody_can_say_that_a_monitor_is_raised(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD(SILENT));
    house_run(h, at("9:00"));
    house_meet(h, "ops", "email");
    house_event(h, "ops", "Pulse", "");
    house_event(h, "ops", "Monitor Raised", "monitor=silent");
    house_apply(h, at("9:00"));
    house_run(h, at("9:30"));
    assert_int_equal(house_sent(h, "ops", "alarm"), 0);
    house_run(h, at("10:30"));
    assert_int_equal(house_sent(h, "ops", "alarm"), 1);
    house_free(h);
}

static void a_programme_without_the_monitor_lets_go_what_waits(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD(SILENT));
    house_run(h, at("11:00"));
    sale(h, "ann");
    house_run(h, at("11:30"));
    assert_int_equal(house_sent(h, "ann", "sale"), 0);
    house_activate(h, HEAD(SILENT "  - {name: other, watch: sent, over: 1h, above: 5}\n"));
    house_run(h, at("12:00"));
    assert_int_equal(house_sent(h, "ann", "sale"), 0); /* it still is raised */
    house_hop(h);
    house_activate(h, HEAD(""));
    house_run(h, at("12:30"));
    assert_int_equal(house_sent(h, "ann", "sale"), 1);
    assert_int_equal(engine_controls(h->engine)->kill_count, 0);
    house_free(h);
}

static void an_operators_kill_of_the_same_is_another_one(void **state)
{
    (void)state;
    struct house *h = house_new();
    struct buf clear;
    struct command_word kill = {.kind = COMMAND_KILL, .scope = KILL_CATEGORY, .name = STR("offer")};
    house_activate(h, HEAD(SILENT));
    house_run(h, at("9:00"));
    buf_init(&clear);
    for (int i = 0; i < 2; i++) {
        struct record record;
        command_write(&kill, &clear, &record);
        record.at_ms = record.event_ms = record.arrival_ms = h->now_ms;
        h->records[h->record_count++] = record;
        house_apply(h, h->now_ms);
        if (i == 1)
            break;
        house_run(h, at("11:00")); /* and the monitor's */
        assert_int_equal(engine_controls(h->engine)->kill_count, 2);
        sale(h, "ann");
        house_event(h, "ops", "Pulse", "");
        house_apply(h, at("11:00"));
        house_run(h, at("11:30"));
        assert_int_equal(engine_controls(h->engine)->kill_count, 1);
        assert_int_equal(house_sent(h, "ann", "sale"), 0);
        kill.kind = COMMAND_UNKILL;
    }
    house_run(h, at("11:40"));
    assert_int_equal(house_sent(h, "ann", "sale"), 1);
    buf_fini(&clear);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what is at the pool is taken back when a monitor is raised",
             what_is_at_the_pool_is_taken_back_when_a_monitor_is_raised),
        TEST("an alarm that is due survives a snapshot", an_alarm_that_is_due_survives_a_snapshot),
        TEST("nobody can say that a monitor is raised", nobody_can_say_that_a_monitor_is_raised),
        TEST("a programme without the monitor lets go what waits",
             a_programme_without_the_monitor_lets_go_what_waits),
        TEST("an operator's kill of the same is another one",
             an_operators_kill_of_the_same_is_another_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
