/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/scenario.h"

#include "programme/test_programme.h"

struct read {
    struct trial trial;
    struct arena arena;
    const struct scenario *list;
    uint32_t count;
};

static void given(struct read *r, const char *tests)
{
    trial_begin(&r->trial);
    trial_put(&r->trial, STR("programme.yaml"),
              STR("name: T\ntimezone: Europe/London\n"
                  "traits: {age: {type: double}, born: {type: time}}\n"));
    trial_put(&r->trial, STR("tests/a.yaml"), str_of(tests));
    arena_init(&r->arena, 4096);
    if (trial_compile(&r->trial) != OK)
        fail_msg("%s", (const char *)r->trial.said.at);
    enum status status = scenarios_read(&r->trial.folder, r->trial.plan, r->trial.names, &r->arena,
                                        &r->list, &r->count, &r->trial.findings);
    assert_int_equal(status == OK, r->trial.findings.error_count == 0);
    trial_say(&r->trial);
}

static void done(struct read *r)
{
    arena_fini(&r->arena);
    trial_end(&r->trial);
}

#define NOON INT64_C(1772452800000) /* 2026-03-02T12:00Z, a day without summer time */

static void everything(void **state)
{
    (void)state;
    struct read r;
    given(&r, "- it: does it all\n"
              "  requirement: S1\n"
              "  given:\n"
              "    people:\n"
              "      - id: ann\n"
              "        traits: {email: a@b.org, age: 30, born: '1996-01-02', other: [1, 2]}\n"
              "        consent: {email: true, sms: false}\n"
              "        holdout: true\n"
              "        history:\n"
              "          - {at: 2026-03-01T12:00, event: Later}\n"
              "          - {at: 2026-02-01T12:00, event: Earlier, properties: {a: {b: 1}, c: x}}\n"
              "      - {id: bob, consent: [push]}\n"
              "    answers:\n"
              "      - {message: m, person: bob, answer: rejected_address, code: 550, times: 2}\n"
              "      - {answer: in_doubt}\n"
              "  when:\n"
              "    - {at: 2026-03-02T12:00, person: ann, event: Begun, properties: {a: {b: {c: "
              "2.5}}, d: [1], e: true, f: null}}\n"
              "    - {after: 90m, person: bob, identify: {age: 3}}\n"
              "    - {after: 1h, person: ann, click: m, machine: true}\n"
              "    - {at: '2026-03-02T12:00+02:00', person: ann, open: m}\n"
              "    - {at: 2026-07-02T12:00, person: ann, complain: m}\n"
              "    - {after: 0s, person: ann, unsubscribe: email, of: m}\n"
              "    - {after: 0s, person: ann, receipt: bounced, of: m, code: 511}\n"
              "    - {after: 0s, person: ann, consent: {email: true, sms: false}, topic: news}\n"
              "  until: 2026-08-01\n"
              "  expect:\n"
              "    - {person: ann, journey: j, entered: 2}\n"
              "    - {person: bob, journey: j, not_entered: true}\n"
              "    - {person: ann, journey: j, ends: goal_reached}\n"
              "    - {person: ann, journey: j, in_step: m}\n"
              "    - {person: ann, sent: m, times: 1, at: 2026-03-02T12:00, after: 2026-03-01, "
              "before: 2026-03-03, channel: email}\n"
              "    - {person: bob, not_sent: m, reason: no_consent}\n"
              "    - {person: bob, outcome: held, of: m}\n");
    assert_string_equal((const char *)r.trial.said.at, "");
    assert_int_equal(r.count, 1);
    const struct scenario *s = &r.list[0];
    assert_true(str_is(s->it, "does it all"));
    assert_true(str_is(s->requirement, "S1"));
    assert_int_equal(s->place.line, 1);
    assert_int_equal(s->until_ms, INT64_C(1785538800000)); /* summer time: 23:00Z the day before */

    assert_int_equal(s->person_count, 2);
    const struct scenario_person *ann = &s->people[0];
    assert_true(ann->is_held_out);
    assert_int_equal(ann->trait_count, 4);
    assert_int_equal(ann->traits[0].name, NAME_EMAIL);
    assert_int_equal(ann->traits[1].value.type, VALUE_DOUBLE);
    assert_int_equal(ann->traits[2].value.type, VALUE_TIME);
    assert_int_equal(ann->traits[2].value.integer, INT64_C(820540800000));
    assert_int_equal(ann->traits[3].value.type, VALUE_LIST);
    assert_int_equal(ann->traits[3].value.list->items[1].integer, 2);
    assert_int_equal(ann->consent_count, 2);
    assert_int_equal(ann->consents[1].channel, CHANNEL_SMS);
    assert_false(ann->consents[1].has_agreed);
    assert_int_equal(ann->history_count, 2);
    assert_true(str_is(names_text(r.trial.names, ann->history[0].event), "Earlier"));
    assert_int_equal(ann->history[0].field_count, 2);
    assert_true(str_is(names_text(r.trial.names, ann->history[0].fields[0].name), "a.b"));
    assert_int_equal(s->people[1].consents[0].channel, CHANNEL_PUSH);
    assert_true(s->people[1].consents[0].has_agreed);

    assert_int_equal(s->answer_count, 2);
    assert_int_equal(s->answers[0].person, 1);
    assert_int_equal(s->answers[0].receipt, RECEIPT_REJECTED_ADDRESS);
    assert_int_equal(s->answers[0].times, 2);
    assert_int_equal(s->answers[1].message, NAME_NONE);
    assert_int_equal(s->answers[1].person, UINT16_MAX);
    assert_int_equal(s->answers[1].times, UINT32_MAX);

    static const struct {
        enum scenario_fact_kind kind;
        int64_t at_ms;
    } facts[] = {
        {SCENARIO_OPEN, NOON - 2 * HOUR_MS},
        {SCENARIO_EVENT, NOON},
        {SCENARIO_IDENTIFY, NOON + 90 * MINUTE_MS},
        {SCENARIO_CLICK, NOON + 150 * MINUTE_MS},
        {SCENARIO_COMPLAIN, NOON + 122 * DAY_MS - HOUR_MS},
        {SCENARIO_UNSUBSCRIBE, NOON + 122 * DAY_MS - HOUR_MS},
        {SCENARIO_RECEIPT, NOON + 122 * DAY_MS - HOUR_MS},
        {SCENARIO_CONSENT, NOON + 122 * DAY_MS - HOUR_MS},
        {SCENARIO_CONSENT, NOON + 122 * DAY_MS - HOUR_MS},
    };
    assert_int_equal(s->fact_count, array_count(facts));
    for (size_t i = 0; i < array_count(facts); i++) {
        assert_int_equal(s->facts[i].kind, facts[i].kind);
        assert_int_equal(s->facts[i].at_ms, facts[i].at_ms);
    }
    const struct scenario_fact *begun = &s->facts[1];
    assert_int_equal(begun->field_count, 4);
    assert_true(str_is(names_text(r.trial.names, begun->fields[0].name), "a.b.c"));
    assert_true(begun->fields[0].value.number == 2.5);
    assert_int_equal(begun->fields[3].value.type, VALUE_NULL);
    assert_true(s->facts[3].is_machine);
    assert_int_equal(s->facts[5].consent.channel, CHANNEL_EMAIL);
    assert_int_equal(s->facts[6].receipt, RECEIPT_BOUNCED);
    assert_int_equal(s->facts[6].code, 511);
    assert_true(str_is(names_text(r.trial.names, s->facts[8].consent.topic), "news"));
    assert_false(s->facts[8].consent.has_agreed);

    assert_int_equal(s->expect_count, 7);
    assert_int_equal(s->expects[0].kind, EXPECT_ENTERED);
    assert_int_equal(s->expects[0].times, 2);
    assert_int_equal(s->expects[1].kind, EXPECT_NOT_ENTERED);
    assert_int_equal(s->expects[2].end, JOURNEY_GOAL_REACHED);
    assert_int_equal(s->expects[3].step, r.trial.plan->journeys[0].steps[0].id);
    assert_int_equal(s->expects[4].at_ms, NOON);
    assert_int_equal(s->expects[4].after_ms, NOON - 36 * HOUR_MS);
    assert_int_equal(s->expects[4].before_ms, NOON + 12 * HOUR_MS);
    assert_int_equal(s->expects[4].channel, CHANNEL_EMAIL);
    assert_int_equal(s->expects[5].outcome, OUTCOME_NO_CONSENT);
    assert_int_equal(s->expects[6].kind, EXPECT_OUTCOME);
    assert_int_equal(s->expects[6].outcome, OUTCOME_HELD);
    done(&r);
}

static void goes_on_for_a_month(void **state)
{
    (void)state;
    struct read r;
    given(&r, "- it: a\n"
              "  given: {people: [{id: ann}]}\n"
              "  when: [{at: '2026-03-02T12:00Z', person: ann, event: Begun}]\n"
              "  expect: [{person: ann, sent: m}]\n");
    assert_int_equal(r.list[0].until_ms, NOON + SCENARIO_RUN_MS);
    assert_int_equal(r.list[0].expects[0].times, -1);
    assert_int_equal(r.list[0].expects[0].at_ms, SCENARIO_NO_TIME);
    done(&r);
}

static void the_others_are_kept(void **state)
{
    (void)state;
    struct read r;
    given(&r, "- it: a\n"
              "  given: {people: [{id: ann}]}\n"
              "  expect: [{person: ann, sent: m}]\n"
              "- it: b\n"
              "  given: {people: [{id: ann}]}\n"
              "  expect: [{person: ann, sent: mm}]\n"
              "- it: c\n"
              "  givven: {people: [{id: ann}]}\n"
              "  expect: [{person: ann, sent: }]\n"
              "- it: d\n"
              "  given: {people: [{id: ann}]}\n"
              "  expect: [{person: ann, sent: m}]\n");
    assert_int_equal(r.count, 2);
    assert_true(str_is(r.list[0].it, "a"));
    assert_true(str_is(r.list[1].it, "d"));
    assert_true(r.trial.findings.error_count >= 2);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a scenario with everything in it is what was written", everything),
        TEST("virtual time goes on for a month unless the scenario says otherwise",
             goes_on_for_a_month),
        TEST("a scenario with an error does not take the others with it", the_others_are_kept),
    };
    return cmocka_run_group_tests_name("programme/scenario", tests, NULL, NULL);
}
