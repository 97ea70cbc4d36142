/* SPDX-License-Identifier: Apache-2.0 */
#include "model/control.h"

#include "test.h"

static void a_command_is_read_as_it_was_written(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5 * 4 + 2 * 5 * 4; i++) {
        struct command_word word = {0}, back;
        struct record r;
        struct buf clear;
        if (i < 20) {
            word.kind = COMMAND_PHASE;
            word.phase = (uint8_t)(i / 4);
            word.flags = word.phase == PHASE_PAUSED ? i % 4 : 0;
            word.name = STR("cart");
        } else {
            uint32_t k = i - 20;
            word.kind = k < 20 ? COMMAND_KILL : COMMAND_UNKILL;
            word.flags = word.kind == COMMAND_KILL ? k % 4 : 0;
            word.scope = (uint8_t)(KILL_JOURNEY + k / 4 % 5);
            word.channel = word.scope == KILL_CHANNEL ? CHANNEL_EMAIL : CHANNEL_NONE;
            word.name = word.scope != KILL_CHANNEL && word.scope != KILL_ALL ? STR("cart")
                                                                             : (struct str){0};
        }
        if (word.kind != COMMAND_KILL && i % 3 == 0) {
            word.pace_count = i + 1;
            word.pace_ms = HOUR_MS;
        }
        buf_init(&clear);
        command_write(&word, &clear, &r);
        assert_true(command_read(&r, &back));
        assert_true(back.kind == word.kind && back.phase == word.phase &&
                    back.flags == word.flags && back.scope == word.scope &&
                    back.channel == word.channel && str_equal(back.name, word.name) &&
                    back.pace_count == word.pace_count && back.pace_ms == word.pace_ms);
        r.kind = COMMAND_KIND_END;
        assert_false(command_read(&r, &back));
        buf_fini(&clear);
    }
}

static void the_word_that_came_last_counts(void **state)
{
    (void)state;
    struct controls c;
    controls_init(&c);
    assert_true(controls_set_phase(&c, 7, PHASE_PAUSED, 0, 9, 100));
    assert_false(controls_set_phase(&c, 7, PHASE_PAUSED, 0, 9, 150));
    assert_false(controls_file_says(&c, 7, PHASE_ACTIVE, 160)); /* as before */
    assert_true(controls_set_phase(&c, 7, PHASE_PAUSED, PHASE_TIMERS_RUN, 9, 170));
    const struct journey_control *x = controls_find(&c, 7);
    assert_int_equal(x->pause_count, 1);
    assert_true(x->pauses[0].from_ms == 100 && x->pauses[0].until_ms == 170);
    assert_true(controls_file_says(&c, 7, PHASE_DRAFT, 200));
    assert_int_equal(controls_phase(&c, 7), PHASE_DRAFT);
    assert_int_equal(controls_phase(&c, 6), PHASE_ACTIVE);
    assert_int_equal(controls_not_active(&c), 1);
    for (int64_t i = 0; i < PAUSES_MAX + 3; i++) {
        assert_true(controls_set_phase(&c, 5, PHASE_PAUSED, 0, 0, 1000 + 10 * i));
        assert_true(controls_set_phase(&c, 5, PHASE_ACTIVE, 0, 0, 1005 + 10 * i));
    }
    assert_int_equal(controls_find(&c, 5)->pause_count, PAUSES_MAX);
    assert_true(controls_find(&c, 5)->pauses[0].from_ms == 1030); /* the oldest are forgotten */
    controls_forget(&c, 7);
    assert_null(controls_find(&c, 7));
    assert_non_null(controls_find(&c, 5));
    controls_fini(&c);
}

/* Of a message of category 9 in journey 1. */
static const struct kill *found(const struct controls *c, uint32_t message, enum channel channel,
                                enum lane lane)
{
    return controls_kill_of(
        c, &(struct kill_subject){
               .journey = 1, .message = message, .category = 9, .channel = channel, .lane = lane});
}

static void a_monitors_kill_is_about_marketing_and_beside_the_operators(void **state)
{
    (void)state;
    struct controls c;
    controls_init(&c);
    controls_kill(&c, &(struct kill){.scope = KILL_CATEGORY, .name = 9, .monitor = 5});
    assert_non_null(found(&c, 3, CHANNEL_EMAIL, LANE_MARKETING));
    assert_null(found(&c, 3, CHANNEL_EMAIL, LANE_ALERT));
    assert_int_equal(controls_kill_count(&c), 0);
    assert_int_equal(controls_kill_find(&c, KILL_CATEGORY, 9, 0), UINT32_MAX);
    controls_kill(&c, &(struct kill){.scope = KILL_CATEGORY, .name = 9});
    assert_int_equal(c.kill_count, 2);
    assert_int_equal(controls_kill_find(&c, KILL_CATEGORY, 9, 0), 1);
    controls_unkill(&c, 0);
    controls_unkill(&c, 0);
    controls_kill(&c, &(struct kill){.scope = KILL_CATEGORY, .name = 8});
    assert_null(found(&c, 3, CHANNEL_EMAIL, LANE_MARKETING));
    /* what a monitor pauses of a channel are not its codes and alerts */
    controls_kill(&c,
                  &(struct kill){.scope = KILL_CHANNEL, .channel = CHANNEL_EMAIL, .monitor = 5});
    assert_non_null(found(&c, 3, CHANNEL_EMAIL, LANE_MARKETING));
    assert_null(found(&c, 3, CHANNEL_EMAIL, LANE_OTP));
    controls_fini(&c);
}

static void a_kill_means_marketing_unless_it_says_more(void **state)
{
    (void)state;
    struct controls c;
    controls_init(&c);
    controls_kill(&c, &(struct kill){.scope = KILL_MESSAGE, .name = 3});
    assert_non_null(found(&c, 3, CHANNEL_EMAIL, LANE_MARKETING));
    assert_null(found(&c, 4, CHANNEL_EMAIL, LANE_MARKETING));
    assert_null(found(&c, 3, CHANNEL_EMAIL, LANE_SERVICE));
    controls_kill(&c, &(struct kill){.scope = KILL_CHANNEL, .channel = CHANNEL_SMS});
    assert_non_null(found(&c, 4, CHANNEL_SMS, LANE_OTP));
    assert_null(found(&c, 4, CHANNEL_EMAIL, LANE_OTP));
    controls_kill(&c, &(struct kill){.scope = KILL_ALL, .flags = KILL_DROPS | KILL_ALL_LANES});
    assert_int_equal(found(&c, 3, CHANNEL_EMAIL, LANE_MARKETING)->scope, KILL_ALL);
    controls_kill(&c, &(struct kill){.scope = KILL_ALL}); /* in place of the one before */
    assert_int_equal(c.kill_count, 3);
    assert_null(found(&c, 4, CHANNEL_EMAIL, LANE_OTP));
    controls_unkill(&c, controls_kill_find(&c, KILL_ALL, 0, CHANNEL_NONE));
    assert_int_equal(c.kill_count, 2);
    controls_fini(&c);
}

static void verbs_lead_to_phases(void **state)
{
    (void)state;
    enum journey_phase phase = PHASE_END;
    assert_true(phase_of_verb(STR("resume"), &phase));
    assert_int_equal(phase, PHASE_ACTIVE);
    assert_true(phase_of_verb(STR("stop"), &phase));
    assert_int_equal(phase, PHASE_STOPPED);
    assert_false(phase_of_verb(STR("pause/"), &phase));
    assert_int_equal(phase, PHASE_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what operators say leads to a phase, and nothing else does", verbs_lead_to_phases),
        TEST("a monitor's kill is about marketing, and beside the operators'",
             a_monitors_kill_is_about_marketing_and_beside_the_operators),
        TEST("a command is read as it was written", a_command_is_read_as_it_was_written),
        TEST("the word that came last counts", the_word_that_came_last_counts),
        TEST("a kill means marketing unless it says more",
             a_kill_means_marketing_unless_it_says_more),
    };
    return cmocka_run_group_tests_name("model/control", tests, NULL, NULL);
}
