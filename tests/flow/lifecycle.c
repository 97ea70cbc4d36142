/* What scenario files cannot tell of operators and versions: snapshots in between, merges, the pool, pace over
 * many people, and people who go over to another version of their journey. */
#include <stdio.h>

#include "measure/report.h"
#include "model/control.h"
#include "support/house.h"

#define HEAD                                                                                     \
    "=== programme.yaml\nname: Test\ntimezone: UTC\ncaps: []\nquiet_hours: []\n"                 \
    "categories:\n  news: {lane: marketing, settle: 0s}\n"                                       \
    "=== providers/mail.yaml\nkind: smtp\nslots: 2\n"                                            \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n" MESSAGE( \
        "hello") MESSAGE("again")
#define MESSAGE(name)                                                                  \
    "=== messages/" name "/message.yaml\ncategory: news\nemail: {subject: " name "}\n" \
    "=== messages/" name "/email.txt.liquid\n" name "\n"
#define JOURNEY(more, steps) \
    "=== journeys/j.yaml\njourney: j\nenter: {event: Begun}\n" more "steps:\n" steps
#define FIRST                                                                        \
    HEAD JOURNEY("", "  - {id: rest, wait: {for: 4d}}\n  - {id: say, send: hello}\n" \
                     "  - {id: last, wait: {for: 2d}}\n")

static void order(struct house *h, const struct command_word *word)
{
    struct buf clear;
    buf_init(&clear);
    struct record *r = &h->records[h->record_count++];
    command_write(word, &clear, r);
    struct str kept = arena_copy(&h->bodies, buf_str(&clear));
    r->clear = (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
    buf_fini(&clear);
    house_apply(h, h->now_ms);
}

static void phase(struct house *h, enum journey_phase to, uint8_t flags, uint32_t pace)
{
    order(h, &(struct command_word){.kind = COMMAND_PHASE,
                                    .phase = (uint8_t)to,
                                    .flags = flags,
                                    .name = STR("j"),
                                    .pace_count = pace,
                                    .pace_ms = HOUR_MS});
}

static void begin(struct house *h, const char *who)
{
    house_meet(h, who, "email");
    house_event(h, who, "Begun", "");
    house_apply(h, h->now_ms);
}

static uint32_t in_flight(const struct house *h)
{
    return (uint32_t)report_in_flight(engine_funnel(h->engine), house_name(h, "j"));
}

/* ---- operators ----------------------------------------------------------------------------------- */

static void a_pause_survives_a_snapshot(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, FIRST);
    house_run(h, at("9:00"));
    begin(h, "ann");
    house_run(h, at("1 9:00"));
    phase(h, PHASE_PAUSED, 0, 0);
    house_hop(h);
    begin(h, "bob"); /* held */
    house_hop(h);
    house_run(h, at("8 9:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "j"), 1);
    phase(h, PHASE_ACTIVE, 0, 0);
    house_hop(h); /* in the middle of the walk */
    house_run(h, at("20 0:00"));
    assert_int_equal(house_when(h, "ann", "hello"), at("11 9:00"));
    assert_int_equal(house_when(h, "bob", "hello"), at("12 9:00"));
    house_free(h);
}

static void those_who_are_overdue_go_on_at_the_pace_and_others_when_it_is_their_time(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, FIRST);
    house_run(h, at("9:00"));
    for (int i = 0; i < 40; i++) {
        char who[16];
        snprintf(who, sizeof(who), "p%d", i);
        begin(h, who);
    }
    house_run(h, at("2 9:00"));
    begin(h, "late");
    house_run(h, at("3 9:00"));
    phase(h, PHASE_PAUSED, PHASE_TIMERS_RUN, 0);
    house_run(h, at("5 9:00"));
    assert_int_equal(house_sent(h, NULL, "hello"), 0);
    phase(h, PHASE_ACTIVE, 0, 20);
    house_hop(h);
    int64_t from_ms = h->now_ms;
    house_run(h, from_ms + 10 * HOUR_MS);
    uint32_t in_hour[10] = {0};
    for (uint32_t i = 0; i < h->attempt_count; i++)
        in_hour[(h->attempts[i].at_ms - from_ms) / HOUR_MS]++;
    assert_int_equal(in_hour[0], 20);
    assert_int_equal(in_hour[1], 20);
    assert_int_equal(house_sent(h, NULL, "hello"), 40);
    house_run(h, at("9 0:00"));
    assert_int_equal(house_when(h, "late", "hello"), at("6 9:00"));
    house_free(h);
}

static enum receipt_kind never(struct house *h, const struct house_attempt *a, int64_t *delay_ms)
{
    (void)h;
    (void)a;
    (void)delay_ms;
    return HOUSE_LATER;
}

static void what_is_at_the_pool_is_taken_back_in_the_batch_of_the_kill(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD JOURNEY("", "  - {send: hello}\n"));
    house_run(h, at("9:00"));
    h->answer = never; /* two connections, and nobody gives one back */
    for (int i = 0; i < 6; i++) {
        char who[16];
        snprintf(who, sizeof(who), "p%d", i);
        begin(h, who);
    }
    assert_int_equal(h->attempt_count, 2);
    struct command_word kill = {.kind = COMMAND_KILL, .scope = KILL_MESSAGE, .name = STR("hello")};
    order(h, &kill);
    house_hop(h);
    house_receipt(h, 0, RECEIPT_ACCEPTED, 0);
    house_receipt(h, 1, RECEIPT_ACCEPTED, 0);
    house_run(h, at("12:00"));
    assert_int_equal(h->attempt_count, 2);
    assert_int_equal(house_count(h, RESULT_RETURNED, NULL), 4);
    kill.kind = COMMAND_UNKILL;
    h->answer = NULL;
    order(h, &kill);
    house_run(h, at("13:00"));
    assert_int_equal(h->attempt_count, 6);
    house_free(h);
}

/* Two messages are under way when their people leave the journey; the provider has put both off. */
static void what_is_under_way_is_not_tried_again_when_its_person_leaves_the_journey(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD JOURNEY("exits: [Left]\n", "  - {send: hello}\n"));
    house_run(h, at("9:00"));
    h->answer = never;
    begin(h, "ann");
    begin(h, "bob");
    house_run(h, at("9:05"));
    house_receipt(h, 0, RECEIPT_TEMPORARY, 451);
    house_event(h, "ann", "Left", "");
    house_event(h, "bob", "Left", "");
    house_apply(h, at("10:00"));
    assert_int_equal(h->recall_count, 2);
    assert_true(h->recalls[0].decision == h->attempts[0].decision);
    house_hop(h);
    house_receipt(h, 0, RECEIPT_GAVE_UP, 0);
    assert_int_equal(house_last(h, RESULT_DECIDED, "hello"), OUTCOME_EXITED);
    house_receipt(h, 1, RECEIPT_ACCEPTED, 0); /* it was on its way */
    assert_int_equal(house_last(h, RESULT_DECIDED, "hello"), OUTCOME_SENT);
    assert_int_equal(house_count(h, RESULT_RETURNED, NULL), 1);
    house_free(h);
}

/* Their profiles have become one since it was granted: the outbox knows it by its decision. */
static void what_is_under_way_is_taken_back_also_after_a_merge(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD JOURNEY("", "  - {send: hello}\n"));
    house_run(h, at("9:00"));
    h->answer = never;
    house_meet(h, "ann", "email");
    begin(h, "?b");
    assert_int_equal(h->attempt_count, 1);
    house_alias(h, "ann", "?b");
    house_apply(h, at("10:00"));
    order(h, &(struct command_word){.kind = COMMAND_KILL, .scope = KILL_ALL, .flags = KILL_DROPS});
    house_run(h, at("10:05"));
    assert_int_equal(h->recall_count, 1);
    assert_true(h->recalls[0].decision == h->attempts[0].decision);
    house_receipt(h, 0, RECEIPT_GAVE_UP, 0);
    assert_int_equal(house_last(h, RESULT_DECIDED, "hello"), OUTCOME_WITHDRAWN);
    house_free(h);
}

static void a_merge_takes_held_entries_along(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, FIRST);
    house_run(h, at("9:00"));
    phase(h, PHASE_PAUSED, 0, 0);
    house_event(h, "~tablet", "Begun", "");
    house_apply(h, h->now_ms);
    house_meet(h, "ann", "email");
    house_event(h, "ann~tablet", "Seen", "");
    house_apply(h, h->now_ms);
    house_hop(h);
    phase(h, PHASE_ACTIVE, 0, 0);
    house_run(h, at("10 0:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "j"), 1);
    assert_int_equal(house_sent(h, "ann", "hello"), 1);
    house_free(h);
}

static void another_programme_changes_a_state_only_where_its_file_does(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, FIRST);
    house_run(h, at("9:00"));
    phase(h, PHASE_DRAINING, 0, 0);
    house_activate(h, HEAD JOURNEY("owner: x\n", "  - {send: hello}\n"));
    assert_int_equal(controls_phase(engine_controls(h->engine), house_name(h, "j")),
                     PHASE_DRAINING);
    house_activate(h, HEAD JOURNEY("state: draft\n", "  - {send: hello}\n"));
    assert_int_equal(controls_phase(engine_controls(h->engine), house_name(h, "j")), PHASE_DRAFT);
    house_hop(h);
    house_activate(h, HEAD JOURNEY("", "  - {send: hello}\n"));
    assert_int_equal(controls_phase(engine_controls(h->engine), house_name(h, "j")), PHASE_ACTIVE);
    begin(h, "ann");
    house_run(h, at("10:00"));
    assert_int_equal(house_sent(h, "ann", "hello"), 1);
    house_free(h);
}

static void a_draft_that_begins_takes_in_who_is_in_its_segment(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h,
                   HEAD "=== segments/fans.yaml\nsegment: fans\nowner: x\nwhen: 'did(\"Liked\")'\n"
                        "=== journeys/j.yaml\njourney: j\nstate: draft\n"
                        "enter: {segment: fans, existing: enter}\nsteps: [{send: hello}]\n");
    house_run(h, at("9:00"));
    house_meet(h, "ann", "email");
    house_meet(h, "bob", "email");
    house_event(h, "ann", "Liked", "");
    house_apply(h, h->now_ms);
    house_run(h, at("10:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "j"), 0);
    phase(h, PHASE_ACTIVE, 0, 0);
    house_hop(h);
    house_run(h, at("11:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "j"), 1);
    assert_int_equal(house_sent(h, "ann", "hello"), 1);
    house_free(h);
}

/* ---- versions ------------------------------------------------------------------------------------ */

static void a_wait_that_goes_over_keeps_its_rest(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, FIRST);
    house_run(h, at("9:00"));
    begin(h, "ann");
    house_run(h, at("1 9:00")); /* three days are left */
    house_activate(h, HEAD JOURNEY("migrate: {steps: {rest: pause}}\n",
                                   "  - {id: other, wait: {for: 1h}}\n"
                                   "  - {id: pause, wait: {for: 20d}}\n  - {send: again}\n"));
    house_hop(h);
    house_run(h, at("10 0:00"));
    assert_int_equal(house_when(h, "ann", "again"), at("4 9:00"));
    assert_int_equal(house_sent(h, "ann", "hello"), 0);
    assert_int_equal(house_count(h, RESULT_MOVED, "j"), 2);
    assert_int_equal(in_flight(h), 0);
    house_free(h);
}

static void who_has_no_place_stays_in_their_version(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, FIRST);
    house_run(h, at("9:00"));
    begin(h, "ann");
    house_activate(h,
                   HEAD JOURNEY("migrate: {steps: {last: end}}\n", "  - {id: end, send: again}\n"));
    house_run(h, at("20 0:00"));
    assert_int_equal(house_when(h, "ann", "hello"), at("4 9:00"));
    assert_int_equal(house_sent(h, "ann", "again"), 0);
    assert_int_equal(house_count(h, RESULT_MOVED, "j"), 0);
    house_free(h);
}

static void exit_ends_those_at_the_step_and_same_takes_the_others_over(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, FIRST);
    house_run(h, at("9:00"));
    begin(h, "ann");
    house_run(h, at("4 10:00")); /* ann is in `last` */
    begin(h, "bob");             /* bob in `rest` */
    house_activate(h, HEAD JOURNEY("migrate: {steps: {last: exit}, others: same}\n",
                                   "  - {id: rest, wait: {for: 4d}}\n  - {send: again}\n"));
    house_hop(h);
    house_run(h, at("20 0:00"));
    assert_int_equal(house_count(h, RESULT_ENDED, "j"), 2);
    assert_int_equal(house_when(h, "bob", "again"), at("8 10:00"));
    uint32_t exited = 0;
    for (uint32_t i = 0; i < h->row_count; i++)
        exited += h->rows[i].result.kind == RESULT_ENDED && h->rows[i].result.how == JOURNEY_EXITED;
    assert_int_equal(exited, 1);
    assert_int_equal(in_flight(h), 0);
    house_free(h);
}

static void a_message_that_is_under_way_goes_over_with_its_step(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD JOURNEY("", "  - {id: say, send: hello}\n  - {send: hello}\n"));
    house_run(h, at("9:00"));
    h->answer = never;
    begin(h, "ann");
    assert_int_equal(h->attempt_count, 1);
    house_activate(h, HEAD JOURNEY("migrate: {others: same}\n",
                                   "  - {id: first, wait: {for: 1h}}\n  - {id: say, send: hello}\n"
                                   "  - {send: again}\n"));
    house_hop(h);
    h->answer = NULL;
    house_receipt(h, 0, RECEIPT_ACCEPTED, 0);
    house_run(h, at("12:00"));
    assert_int_equal(house_sent(h, "ann", "hello"), 1);
    assert_int_equal(house_sent(h, "ann", "again"), 1);
    house_free(h);
}

static void a_message_that_waits_is_withdrawn_where_its_step_becomes_another(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD JOURNEY("", "  - {id: say, send: hello}\n"));
    house_run(h, at("9:00"));
    order(h, &(struct command_word){.kind = COMMAND_KILL, .scope = KILL_ALL});
    begin(h, "ann");
    house_activate(h, HEAD JOURNEY("migrate: {steps: {say: rest}}\n",
                                   "  - {id: rest, wait: {for: 1d}}\n  - {send: again}\n"));
    order(h, &(struct command_word){.kind = COMMAND_UNKILL, .scope = KILL_ALL});
    house_run(h, at("5 0:00"));
    assert_int_equal(house_sent(h, "ann", "hello"), 0);
    assert_int_equal(house_when(h, "ann", "again"), at("1 9:00"));
    house_free(h);
}

static void thousands_go_over_slice_by_slice_and_nobody_is_lost(void **state)
{
    (void)state;
    struct house *h = house_new();
    h->audits_every = 1000;
    house_activate(h, FIRST);
    house_run(h, at("9:00"));
    for (int i = 0; i < 9000; i++) {
        char who[16];
        snprintf(who, sizeof(who), "p%d", i);
        house_identify(h, who, "x=1");
        if (i % 3 == 0)
            house_event(h, who, "Begun", "");
        if (h->record_count > 1000)
            house_apply(h, h->now_ms);
    }
    house_apply(h, h->now_ms);
    house_run(h, at("10:00"));
    house_activate(h, HEAD JOURNEY("migrate: {others: same}\n",
                                   "  - {id: rest, wait: {for: 4d}}\n  - {send: again}\n"));
    assert_true(engine_has_inbox(h->engine));
    house_hop(h);
    house_run(h, at("11:00"));
    assert_int_equal(house_count(h, RESULT_MOVED, "j"), 6000);
    assert_int_equal(in_flight(h), 3000);
    house_run(h, at("9 0:00"));
    assert_int_equal(in_flight(h), 0);
    house_free(h);
}

static void who_becomes_somebody_of_another_arm_is_out_of_the_analysis(void **state)
{
    (void)state;
    enum { PAIRS = 60 };
    struct house *h = house_new();
    h->audits_every = 50;
    house_activate(h,
                   HEAD JOURNEY("", "  - split:\n      name: try\n      arms:\n"
                                    "        - {arm: a, weight: 50, do: [{wait: {for: 1d}}]}\n"
                                    "        - {arm: b, weight: 50, do: [{wait: {for: 1d}}]}\n"));
    house_run(h, at("9:00"));
    for (uint32_t i = 0; i < PAIRS; i++) {
        char user[16], tablet[16], both[32];
        snprintf(user, sizeof(user), "u%u", i);
        snprintf(tablet, sizeof(tablet), "~t%u", i);
        snprintf(both, sizeof(both), "u%u~t%u", i, i);
        house_meet(h, user, "email");
        house_event(h, tablet, "Begun", "");
        house_apply(h, h->now_ms);
        house_event(h, both, "Seen", "");
        house_apply(h, h->now_ms);
    }
    const struct plan *plan = engine_plan(h->engine);
    const struct plan_journey *j = &plan->journeys[plan_journey_find(plan, house_name(h, "j"))];
    uint32_t pair = 0, crossed = 0, noted = 0, ended = 0;
    for (uint32_t i = 0; i < h->row_count; i++) {
        const struct result *row = &h->rows[i].result;
        char user[16];
        if (row->kind != RESULT_ARM)
            continue;
        snprintf(user, sizeof(user), "u%u", pair++);
        crossed +=
            plan_split_arm(&j->steps[row->step].split, house_person(h, user))->name != row->number;
    }
    assert_int_equal(pair, PAIRS);
    assert_in_range(crossed, 10, PAIRS - 10);
    house_hop(h);
    house_run(h, at("3 0:00"));
    for (uint32_t i = 0; i < h->row_count; i++) {
        const struct result *row = &h->rows[i].result;
        noted += row->kind == RESULT_OF_ARM && row->how == ARM_CROSSED;
        ended += row->kind == RESULT_OF_ARM && row->how == ARM_ENDED;
    }
    assert_int_equal(noted, crossed);
    assert_int_equal(ended, PAIRS - crossed);
    assert_int_equal(in_flight(h), 0);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a pause survives a snapshot", a_pause_survives_a_snapshot),
        TEST("those who are overdue go on at the pace, others when it is their time",
             those_who_are_overdue_go_on_at_the_pace_and_others_when_it_is_their_time),
        TEST("what is at the pool is taken back in the batch of the kill",
             what_is_at_the_pool_is_taken_back_in_the_batch_of_the_kill),
        TEST("what is under way is not tried again when its person leaves the journey",
             what_is_under_way_is_not_tried_again_when_its_person_leaves_the_journey),
        TEST("what is under way is taken back also after a merge",
             what_is_under_way_is_taken_back_also_after_a_merge),
        TEST("a merge takes held entries along", a_merge_takes_held_entries_along),
        TEST("another programme changes a state only where its file does",
             another_programme_changes_a_state_only_where_its_file_does),
        TEST("a draft that begins takes in who is in its segment",
             a_draft_that_begins_takes_in_who_is_in_its_segment),
        TEST("a wait that goes over keeps its rest", a_wait_that_goes_over_keeps_its_rest),
        TEST("who has no place stays in their version", who_has_no_place_stays_in_their_version),
        TEST("exit ends those at the step, same takes the others over",
             exit_ends_those_at_the_step_and_same_takes_the_others_over),
        TEST("a message that is under way goes over with its step",
             a_message_that_is_under_way_goes_over_with_its_step),
        TEST("a message that waits is withdrawn where its step becomes another",
             a_message_that_waits_is_withdrawn_where_its_step_becomes_another),
        TEST("who becomes somebody of another arm is out of the analysis",
             who_becomes_somebody_of_another_arm_is_out_of_the_analysis),
        TEST("thousands go over slice by slice, and nobody is lost",
             thousands_go_over_slice_by_slice_and_nobody_is_lost),
    };
    return cmocka_run_group_tests_name("flow/lifecycle", tests, NULL, NULL);
}
