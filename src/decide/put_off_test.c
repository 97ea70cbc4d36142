/* What later stages said, against a plain model: for each channel the latest moment that has not come. */
#include "decide/desk_int.h"
#include "model/identifier.h"
#include "test.h"

#define CHANNELS 5 /* of those that there are, more than one send may have */
#define INTENTS  3

struct fixture {
    struct space space;
    struct profile profile;
    struct person who;
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    struct put_off model[INTENTS][CHANNELS]; /* until_ms 0 = nothing was said */
};

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

static enum channel channel_of(uint32_t place)
{
    return (enum channel)(CHANNEL_NONE + 1 + place);
}

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){0};
    space_init(&f->space);
    f->who = (struct person){
        .space = &f->space, .profile = &f->profile, .now_ms = 1000, .secret = f->secret};
    for (uint32_t i = 0; i < INTENTS; i++)
        person_push_intent(&f->who)->decision = i + 1;
}

static void fixture_fini(struct fixture *f)
{
    for (uint32_t i = 0; i < f->profile.intents.count; i++)
        put_off_forget(&f->space, person_touch_intent(&f->who, i));
    vec_clear(&f->space, &f->profile.intents, sizeof(struct intent));
    assert_int_equal(f->space.live_bytes, 0);
    space_fini(&f->space);
}

static bool stands(const struct fixture *f, const struct put_off *x)
{
    uint32_t own = (uint32_t)intent_address(&f->who, (enum channel)x->channel).low;
    return x->until_ms > f->who.now_ms && (x->why != PUT_OFF_ADDRESS || x->about == own);
}

static void agrees(const struct fixture *f)
{
    for (uint32_t i = 0; i < INTENTS; i++) {
        const struct intent *in = person_intent(&f->who, i);
        assert_true(in->put_offs.count <= CHANNELS);
        for (uint32_t k = 0; k < CHANNELS; k++) {
            const struct put_off *want = &f->model[i][k];
            const struct put_off *got = put_off_find(&f->who, in, channel_of(k));
            assert_int_equal(got != NULL, stands(f, want));
            if (got == NULL)
                continue;
            assert_int_equal(got->until_ms, want->until_ms);
            assert_int_equal(got->why, want->why);
        }
    }
}

static void the_latest_word_about_each_channel_stands_until_its_moment(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t seed = 7;
    uint32_t stood = 0, passed = 0;
    fixture_init(&f);
    for (int step = 0; step < 20000; step++) {
        uint32_t place = (uint32_t)(next(&seed) % INTENTS), k = (uint32_t)(next(&seed) % CHANNELS);
        struct put_off said = {.until_ms = f.who.now_ms + (int64_t)(next(&seed) % 100) - 10,
                               .channel = (uint8_t)channel_of(k),
                               .why = (uint8_t)(PUT_OFF_ADDRESS + next(&seed) % 4)};
        if (said.why == PUT_OFF_ADDRESS) /* one time in three of another one */
            said.about =
                (uint32_t)intent_address(&f.who, channel_of(k)).low + (next(&seed) % 3 == 0);
        switch (next(&seed) % 16) {
        case 0:
            put_off_forget(&f.space, person_touch_intent(&f.who, place));
            for (uint32_t i = 0; i < CHANNELS; i++)
                f.model[place][i].until_ms = 0;
            break;
        case 1:
        case 2:
        case 3: f.who.now_ms += (int64_t)(next(&seed) % 60); break;
        default: {
            struct put_off *old = &f.model[place][k];
            bool is_standing = stands(&f, old);
            put_off_until(&f.who, place, said);
            stood += is_standing && said.until_ms <= old->until_ms;
            passed += !is_standing && old->until_ms != 0;
            if (stands(&f, &said) && (!is_standing || said.until_ms > old->until_ms))
                *old = said;
        }
        }
        agrees(&f);
    }
    assert_true(stood > 1000);
    assert_true(passed > 1000);
    fixture_fini(&f);
}

static void it_comes_along_into_another_space(void **state)
{
    (void)state;
    struct fixture from, to;
    fixture_init(&from);
    fixture_init(&to);
    for (uint32_t k = 0; k < CHANNELS; k++)
        put_off_until(&from.who, 0,
                      (struct put_off){.until_ms = 2000 + k,
                                       .channel = (uint8_t)channel_of(k),
                                       .why = PUT_OFF_VOUCHER});
    for (uint32_t i = 0; i < 2; i++) { /* the second has nothing to bring */
        struct intent *in = person_touch_intent(&to.who, i);
        *in = *person_intent(&from.who, i);
        put_off_move(&to.space, &from.space, in);
        person_touch_intent(&from.who, i)->put_offs = (struct vec){0};
    }
    for (uint32_t k = 0; k < CHANNELS; k++) {
        const struct put_off *x = put_off_find(&to.who, person_intent(&to.who, 0), channel_of(k));
        assert_non_null(x);
        assert_int_equal(x->until_ms, 2000 + k);
        assert_null(put_off_find(&to.who, person_intent(&to.who, 1), channel_of(k)));
    }
    fixture_fini(&from); /* nothing of it is left there */
    fixture_fini(&to);
}

static void each_reason_goes_by_the_rule_of_its_stage(void **state)
{
    (void)state;
    for (uint8_t why = PUT_OFF_ADDRESS; why <= PUT_OFF_DOUBT; why++)
        assert_int_equal(put_off_rule(&(struct put_off){.why = why}),
                         why == PUT_OFF_ADDRESS ? RULE_ADDRESS : RULE_POOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the latest word about each channel stands until its moment",
             the_latest_word_about_each_channel_stands_until_its_moment),
        TEST("it comes along into another space", it_comes_along_into_another_space),
        TEST("each reason goes by the rule of its stage",
             each_reason_goes_by_the_rule_of_its_stage),
    };
    return cmocka_run_group_tests_name("put off", tests, NULL, NULL);
}
