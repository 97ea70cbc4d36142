/* What scenario files cannot tell of segments: what an event costs, what another programme changes for
 * people who are there, merges, circles, snapshots. */
#include <string.h>

#include "audience/audience.h"
#include "support/house.h"

#define HEAD                                                                                    \
    "=== programme.yaml\nname: Test\ntimezone: Europe/London\ntraits: {plan: {type: string}}\n" \
    "categories: {service: {lane: service, settle: 0s}}\ncaps: []\nquiet_hours: []\n"
#define MESSAGES                                                                    \
    "=== messages/hello/message.yaml\ncategory: service\nemail: {subject: Hello}\n" \
    "=== messages/hello/email.txt.liquid\nHello\n"                                  \
    "=== providers/mail.yaml\nkind: smtp\nslots: 2\n"                               \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n"
#define BUYERS(n) \
    "=== segments/buyers.yaml\nsegment: buyers\nowner: us\nwhen: 'count(\"Bought\") >= " n "'\n"
#define GREET(existing)                                                               \
    "=== journeys/greet.yaml\njourney: greet\nenter: {segment: buyers" existing "}\n" \
    "steps: [{send: hello}]\n" MESSAGES

static bool is_in(struct house *h, const char *who, const char *segment)
{
    struct person at;
    house_look(h, who, &at);
    return audience_is_in(&at, house_name(h, segment));
}

static uint32_t rows_of(const struct house *h, const char *segment, uint32_t how)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < h->row_count; i++) {
        const struct result *row = &h->rows[i].result;
        count += row->kind == RESULT_MEMBERSHIP && row->how == how &&
                 row->number == house_name(h, segment);
    }
    return count;
}

static uint64_t asked(const struct house *h)
{
    return engine_counts(h->engine)->segments;
}

static void an_event_asks_only_the_segments_that_read_it(void **state)
{
    (void)state;
    struct house *h = house_new();
    struct buf text;
    buf_init(&text);
    buf_printf(&text, HEAD);
    for (uint32_t i = 0; i < 300; i++)
        buf_printf(&text, "=== segments/s%u.yaml\nsegment: s%u\nwhen: 'did(\"E%u\", \"3d\")'\n", i,
                   i, i);
    buf_printf(&text, "=== segments/both.yaml\nsegment: both\n"
                      "when: 'in_segment(\"s7\") && in_segment(\"s8\")'\n"
                      "=== segments/pros.yaml\nsegment: pros\nwhen: 'traits.plan == \"pro\"'\n");
    buf_add_byte(&text, 0);
    house_activate(h, (const char *)text.at);
    buf_fini(&text);
    house_event(h, "ann", "Seen", "");
    house_apply(h, at("10:00"));
    assert_int_equal(asked(h), 302); /* somebody new: all of them, once */
    house_event(h, "ann", "Seen", "");
    house_apply(h, at("10:01"));
    assert_int_equal(asked(h), 302);
    house_event(h, "ann", "E9", "");
    house_apply(h, at("10:02"));
    assert_int_equal(asked(h), 303);
    house_event(h, "ann", "E7", ""); /* s7, and both, which reads s7 */
    house_apply(h, at("10:03"));
    assert_int_equal(asked(h), 305);
    house_event(h, "ann", "E7", ""); /* s7 stays as it is: both is not asked */
    house_apply(h, at("10:04"));
    assert_int_equal(asked(h), 306);
    house_identify(h, "ann", "plan=pro");
    house_apply(h, at("10:05"));
    assert_int_equal(asked(h), 307);
    assert_true(is_in(h, "ann", "pros") && is_in(h, "ann", "s7") && !is_in(h, "ann", "both"));
    /* Time ends s9 and s7; both is asked when s7 ends, and when it would have without its second event. */
    house_run(h, at("4 00:00"));
    assert_int_equal(asked(h), 311);
    assert_false(is_in(h, "ann", "s7") || is_in(h, "ann", "s9"));
    house_free(h);
}

static void another_definition_moves_people_without_events(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD BUYERS("1") GREET(""));
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Bought", "");
    house_apply(h, at("10:00"));
    house_run(h, at("11:00"));
    assert_true(is_in(h, "ann", "buyers"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), 1);
    house_activate(h, HEAD BUYERS("2") GREET(""));
    house_run(h, at("12:00"));
    assert_false(is_in(h, "ann", "buyers"));
    assert_int_equal(rows_of(h, "buyers", 2), 1); /* left, quietly */
    house_activate(h, HEAD BUYERS("1") GREET(""));
    house_run(h, at("13:00"));
    assert_true(is_in(h, "ann", "buyers"));
    assert_int_equal(rows_of(h, "buyers", 3), 1); /* in again, quietly */
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), 1);
    house_event(h, "ann", "Bought", "");
    house_activate(h, HEAD BUYERS("2") GREET(""));
    house_run(h, at("14:00"));
    assert_true(is_in(h, "ann", "buyers"));
    house_free(h);
}

static void an_edit_that_changes_no_meaning_asks_nobody(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD BUYERS("1"));
    for (uint32_t i = 0; i < 20; i++) {
        char who[16];
        snprintf(who, sizeof(who), "p%u", i);
        house_event(h, who, i % 2 ? "Bought" : "Seen", "");
    }
    house_apply(h, at("10:00"));
    uint64_t before = asked(h);
    uint32_t rows = h->row_count;
    house_activate(h, HEAD "=== segments/buyers.yaml\n# who bought\nsegment: buyers\nowner: them\n"
                           "when: 'count( \"Bought\")>=1 // once'\n");
    house_run(h, at("11:00"));
    assert_int_equal(asked(h), before);
    for (uint32_t i = rows; i < h->row_count; i++)
        assert_int_not_equal(h->rows[i].result.kind, RESULT_MEMBERSHIP);
    house_free(h);
}

static void who_is_there_already_enters_only_where_the_journey_says_so(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD BUYERS("1") MESSAGES "=== journeys/x.yaml\njourney: x\nenter: X\nsteps: "
                                                "[{send: hello}]\n");
    for (uint32_t i = 0; i < 30; i++) {
        char who[16];
        snprintf(who, sizeof(who), "p%u", i);
        house_event(h, who, i % 3 ? "Bought" : "Seen", "");
    }
    house_apply(h, at("10:00"));
    house_activate(h, HEAD BUYERS("1") GREET(""));
    house_run(h, at("11:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), 0);
    house_activate(h, HEAD BUYERS("1") MESSAGES); /* away with it */
    house_run(h, at("12:00"));
    house_activate(h, HEAD BUYERS("1") GREET(", existing: enter"));
    house_run(h, at("13:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), 20);
    house_event(h, "p0", "Bought", "");
    house_apply(h, at("13:30"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), 21);
    house_activate(h, HEAD BUYERS("1") GREET(", existing: enter, again: {after: 1d}"));
    house_run(h, at("14:00")); /* it listened before */
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), 21);
    assert_int_equal(house_count(h, RESULT_REFUSED, "greet"), 0);
    house_free(h);
}

static void who_is_there_already_enters_at_a_pace(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD BUYERS("1"));
    for (uint32_t i = 0; i < 30; i++) {
        char who[16];
        snprintf(who, sizeof(who), "p%u", i);
        house_event(h, who, i % 3 ? "Bought" : "Seen", "");
    }
    house_apply(h, at("10:00"));
    house_activate(h, HEAD BUYERS("1") GREET(", existing: {pace: 6/h}"));
    house_run(h, at("11:01"));
    uint32_t first = house_count(h, RESULT_ENTERED, "greet");
    assert_true(first >= 6 && first <= 7);
    house_event(h, "p0", "Bought", ""); /* comes to be in it anew: that is no matter of pace */
    house_apply(h, at("11:02"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), first + 1);
    house_hop(h);
    house_run(h, at("15:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), 21);
    house_activate(h, HEAD BUYERS("1") GREET(", existing: {pace: 6/h}, again: {after: 1d}"));
    house_run(h, at("20:00")); /* it listened before */
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), 21);
    house_free(h);
}

static void a_condition_that_is_true_already_enters_where_the_journey_says_so(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD MESSAGES);
    house_identify(h, "ann", "plan=pro");
    house_identify(h, "bob", "plan=free");
    house_apply(h, at("10:00"));
    house_activate(h, HEAD MESSAGES
                   "=== journeys/a.yaml\njourney: a\nenter: {if: 'traits.plan == \"pro\"'}\n"
                   "steps: [{send: hello}]\n"
                   "=== journeys/b.yaml\njourney: b\n"
                   "enter: {if: 'traits.plan == \"pro\"', existing: enter}\n"
                   "steps: [{send: hello}]\n");
    house_run(h, at("11:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "a"), 0);
    assert_int_equal(house_count(h, RESULT_ENTERED, "b"), 1);
    house_identify(h, "bob", "plan=pro");
    house_apply(h, at("12:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "a"), 1);
    assert_int_equal(house_count(h, RESULT_ENTERED, "b"), 2);
    house_free(h);
}

static void a_merge_unites_what_both_did_and_is_no_entry(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h,
                   HEAD BUYERS("2")
                       GREET("") "=== segments/list.yaml\nsegment: list\nlist: true\n"
                                 "=== segments/new.yaml\nsegment: new\nwhen: '!did(\"Bought\")'\n");
    house_event(h, "ann", "Bought", "");
    house_event(h, "~tab", "Bought", "");
    house_event(h, "~pad", "Segment Member Added", "segment=list");
    house_apply(h, at("10:00"));
    assert_false(is_in(h, "ann", "buyers") || is_in(h, "~tab", "buyers"));
    assert_true(is_in(h, "~pad", "list") && is_in(h, "~pad", "new"));
    house_event(h, "ann~tab", "Seen", "");
    house_apply(h, at("11:00"));
    assert_true(is_in(h, "ann", "buyers")); /* two together: that is an entry */
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), 1);
    house_event(h, "ann~pad", "Seen", "");
    house_apply(h, at("12:00"));
    assert_true(is_in(h, "ann", "list") && is_in(h, "ann", "buyers") && !is_in(h, "ann", "new"));
    assert_int_equal(rows_of(h, "list", 3), 1); /* the one who stays has it too: no event of it */
    assert_int_equal(house_count(h, RESULT_ENTERED, "greet"), 1);
    assert_int_equal(engine_members(h->engine, house_name(h, "list")), 1);
    house_hop(h);
    assert_int_equal(engine_members(h->engine, house_name(h, "list")), 1);
    house_free(h);
}

/* The journey changes a trait to and fro, and its own steps ask for the segment in between. */
static void a_circle_of_journey_and_segment_ends(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h,
                   HEAD "=== segments/on.yaml\nsegment: on\nwhen: 'traits.plan == \"on\"'\n"
                        "=== journeys/circle.yaml\njourney: circle\nenter: {segment: on}\nsteps:\n"
                        "  - set: {plan: '\"off\"'}\n"
                        "  - branch: [{if: 'in_segment(\"on\")', do: [{exit: }]}]\n"
                        "  - set: {plan: '\"on\"'}\n"
                        "  - branch: [{if: '!in_segment(\"on\")', do: [{exit: }]}]\n");
    house_identify(h, "ann", "plan=on");
    house_apply(h, at("10:00"));
    uint32_t entered = house_count(h, RESULT_ENTERED, "circle");
    assert_true(entered >= 2 && entered <= 64);
    assert_true(is_in(h, "ann", "on"));
    house_run(h, at("3 00:00"));
    assert_int_equal(house_count(h, RESULT_ENTERED, "circle"), entered);
    house_free(h);
}

static void in_segment_in_a_step_sees_what_the_step_before_has_set(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD MESSAGES
                   "=== segments/pro.yaml\nsegment: pro\nwhen: 'traits.plan == \"pro\"'\n"
                   "=== journeys/j.yaml\njourney: j\nenter: Go\nsteps:\n"
                   "  - set: {plan: '\"pro\"'}\n"
                   "  - branch: [{if: 'in_segment(\"pro\")', do: [{send: hello}]}]\n");
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Go", "");
    house_apply(h, at("10:00"));
    house_run(h, at("11:00"));
    assert_int_equal(house_sent(h, "ann", "hello"), 1);
    house_free(h);
}

/* People in flight keep the definitions that their version had. */
static void who_is_in_flight_keeps_the_segment_that_is_gone(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD MESSAGES
                   "=== segments/pro.yaml\nsegment: pro\nwhen: 'traits.plan == \"pro\"'\n"
                   "=== journeys/j.yaml\njourney: j\nenter: Go\nsteps:\n"
                   "  - wait: {until: {if: 'in_segment(\"pro\")'}}\n  - send: hello\n");
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Go", "");
    house_apply(h, at("10:00"));
    house_activate(h, HEAD MESSAGES
                   "=== journeys/j.yaml\njourney: j\nenter: Go\nsteps: [{send: hello}]\n");
    house_run(h, at("11:00"));
    assert_int_equal(house_sent(h, "ann", "hello"), 0);
    house_identify(h, "ann", "plan=pro");
    house_apply(h, at("12:00"));
    house_run(h, at("13:00"));
    assert_int_equal(house_sent(h, "ann", "hello"), 1);
    house_free(h);
}

/* Chi-square over ten parts: beyond 27.9 with 9 degrees of freedom is one chance in a thousand. */
static void buckets_are_uniform_and_stay(void **state)
{
    (void)state;
    uint32_t counts[10] = {0}, halves = 0, same = 0;
    uint64_t salt = hash_str(STR("bucket:half"), 0), other = hash_str(STR("bucket:other"), 0);
    for (uint32_t i = 1; i <= 100000; i++) {
        uint64_t profile = profile_number(i % 256, i / 256 + 1);
        counts[hash_chance(salt, profile) / 1000]++;
        same += (hash_chance(salt, profile) < 5000) == (hash_chance(other, profile) < 5000);
    }
    double chi = 0;
    for (uint32_t i = 0; i < 10; i++)
        chi += ((double)counts[i] - 10000) * ((double)counts[i] - 10000) / 10000;
    assert_true(chi < 27.9);
    assert_true(same > 49000 && same < 51000); /* another salt draws other people */

    struct house *h = house_new();
    house_activate(h,
                   HEAD "=== segments/half.yaml\nsegment: half\nwhen: 'bucket(\"half\") < 5000'\n");
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 1000; i++) {
            char who[16];
            snprintf(who, sizeof(who), "p%u", i);
            house_event(h, who, "Seen", "");
        }
        house_apply(h, at(round ? "12:00" : "10:00"));
        uint32_t now = (uint32_t)engine_members(h->engine, house_name(h, "half"));
        assert_true(now > 400 && now < 600);
        assert_true(round == 0 || now == halves);
        halves = now;
    }
    assert_int_equal(rows_of(h, "half", 1), halves);
    assert_int_equal(rows_of(h, "half", 0), 0);
    house_free(h);
}

static void a_list_that_comes_back_has_its_people(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, HEAD "=== segments/vips.yaml\nsegment: vips\nlist: true\n");
    house_event(h, "ann", "Segment Member Added", "segment=vips");
    house_apply(h, at("10:00"));
    assert_true(is_in(h, "ann", "vips"));
    house_activate(h, HEAD);
    house_run(h, at("11:00"));
    assert_false(is_in(h, "ann", "vips"));
    assert_int_equal(rows_of(h, "vips", 2), 1);
    house_activate(h, HEAD "=== segments/vips.yaml\nsegment: vips\nlist: true\n");
    house_run(h, at("12:00"));
    assert_true(is_in(h, "ann", "vips"));
    h->flags = 0; /* a public key */
    house_event(h, "ann", "Segment Member Removed", "segment=vips");
    house_apply(h, at("13:00"));
    assert_true(is_in(h, "ann", "vips"));
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("an event asks only the segments that read it",
             an_event_asks_only_the_segments_that_read_it),
        TEST("another definition moves people without events",
             another_definition_moves_people_without_events),
        TEST("an edit that changes no meaning asks nobody",
             an_edit_that_changes_no_meaning_asks_nobody),
        TEST("who is there already enters only where the journey says so",
             who_is_there_already_enters_only_where_the_journey_says_so),
        TEST("who is there already enters at a pace", who_is_there_already_enters_at_a_pace),
        TEST("a condition that is true already enters where the journey says so",
             a_condition_that_is_true_already_enters_where_the_journey_says_so),
        TEST("a merge unites what both did", a_merge_unites_what_both_did_and_is_no_entry),
        TEST("a circle of journey and segment ends", a_circle_of_journey_and_segment_ends),
        TEST("in_segment() in a step sees what the step before has set",
             in_segment_in_a_step_sees_what_the_step_before_has_set),
        TEST("who is in flight keeps the segment that is gone",
             who_is_in_flight_keeps_the_segment_that_is_gone),
        TEST("buckets are uniform and stay", buckets_are_uniform_and_stay),
        TEST("a list that comes back has its people", a_list_that_comes_back_has_its_people),
    };
    return cmocka_run_group_tests_name("flow/segments", tests, NULL, NULL);
}
