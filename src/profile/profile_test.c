/* What is known of a person: traits, consent, histories and holds, against plain models. */
#include "base/mem.h"
#include "model/identifier.h"
#include "profile/consent.h"
#include "profile/history.h"
#include "profile/holds.h"
#include "profile/traits.h"
#include "test.h"

struct fixture {
    struct space space;
    struct profile profile;
    struct plan plan;
    struct plan_trait traits[3];
    struct plan_hold holds[2];
    const struct plan *plans[2];
    struct plans versions;
    struct names *names;
    struct results results;
    struct messages messages;
    struct arena scratch;
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    struct person who;
    uint32_t age, joined, vip;
};

static struct fixture *fixture_new(void)
{
    struct fixture *f = mem_new(sizeof(*f));
    space_init(&f->space);
    arena_init(&f->scratch, 4096);
    f->names = names_new();
    f->age = names_add(f->names, STR("age"));
    f->joined = names_add(f->names, STR("joined"));
    f->vip = names_add(f->names, STR("vip"));
    f->traits[0] = (struct plan_trait){.name = f->age, .type = VALUE_INT, .missing = value_int(18)};
    f->traits[1] = (struct plan_trait){.name = f->joined, .type = VALUE_TIME};
    f->traits[2] = (struct plan_trait){.name = f->vip, .type = VALUE_BOOL};
    f->plan.traits = f->traits;
    f->plan.trait_count = 3;
    f->plan.holds = f->holds;
    f->plans[1] = &f->plan;
    f->versions = (struct plans){.at = f->plans, .count = 2, .newest = 1};
    for (uint32_t i = 0; i < sizeof(f->secret); i++)
        f->secret[i] = (uint8_t)(i * 3 + 1);
    f->who = (struct person){
        .space = &f->space,
        .profile = &f->profile,
        .id = profile_number(7, 1),
        .plans = &f->versions,
        .plan = &f->plan,
        .names = f->names,
        .secret = f->secret,
        .scratch = &f->scratch,
        .results = &f->results,
        .messages = &f->messages,
    };
    return f;
}

static void fixture_free(struct fixture *f)
{
    space_fini(&f->space);
    arena_fini(&f->scratch);
    names_free(f->names);
    mem_free(f->results.rows);
    mem_free(f->messages.at);
    mem_free(f);
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 11;
}

static bool set(struct fixture *f, uint32_t name, struct value x, int64_t at_ms)
{
    return traits_set(&f->who, name, &x, at_ms);
}

static void latest_statement_wins(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint32_t plan = names_add(f->names, STR("plan"));
    assert_int_equal(traits_get(&f->who, f->age, NULL).integer, 18); /* the declared default */
    assert_true(set(f, plan, value_text(STR("free")), 100));
    assert_true(set(f, plan, value_text(STR("pro")), 200));
    assert_false(set(f, plan, value_text(STR("old news")), 150));
    assert_true(str_is(traits_get(&f->who, plan, NULL).text, "pro"));
    assert_false(set(f, plan, value_text(STR("pro")), 300)); /* nothing changed */
    assert_true(set(f, plan, (struct value){.type = VALUE_NULL}, 400));
    assert_int_equal(traits_get(&f->who, plan, NULL).type, VALUE_NONE);
    fixture_free(f);
}

static void declared_traits_are_converted(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    assert_true(set(f, f->age, value_text(STR(" 42 ")), 1));
    assert_int_equal(traits_get(&f->who, f->age, NULL).integer, 42);
    assert_true(set(f, f->age, value_double(43.0), 2));
    assert_int_equal(traits_get(&f->who, f->age, NULL).integer, 43);
    uint32_t errors = f->results.count;
    assert_false(set(f, f->age, value_text(STR("many")), 3));
    assert_false(set(f, f->age, value_double(43.5), 3));
    assert_int_equal(f->results.count, errors + 2); /* refused and counted */
    assert_int_equal(traits_get(&f->who, f->age, NULL).integer, 43);
    assert_true(set(f, f->joined, value_text(STR("2026-03-02T12:00:00Z")), 4));
    assert_int_equal(traits_get(&f->who, f->joined, NULL).integer, INT64_C(1772452800000));
    assert_true(set(f, f->vip, value_text(STR("true")), 5));
    assert_true(traits_get(&f->who, f->vip, NULL).boolean);
    fixture_free(f);
}

static void traits_are_bounded(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    char name[32], text[1001];
    uint32_t taken = 0;
    memset(text, 'x', 1000);
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "trait-%u", i);
        taken += set(f, names_add(f->names, str_of(name)), value_text((struct str){text, 1000}), 1);
    }
    assert_true(taken > 10);
    assert_true(taken < 17); /* PROFILE_TRAITS_BYTES */
    assert_true(f->profile.traits.bytes <= PROFILE_TRAITS_BYTES);
    assert_int_equal(f->results.count, 100 - taken); /* each refusal is counted */
    fixture_free(f);
}

static void consent_is_as_last_stated(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint32_t news = names_add(f->names, STR("news"));
    struct consent yes = {.channel = CHANNEL_EMAIL, .purpose = NAME_MARKETING, .is_given = true};
    struct consent no = yes;
    no.is_given = false;
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, 0), CONSENT_NONE);
    yes.at_ms = 10;
    assert_true(consent_note(&f->who, yes));
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, news), CONSENT_GIVEN);
    assert_int_equal(consent_ask(&f->who, CHANNEL_SMS, NAME_MARKETING, 0), CONSENT_NONE);
    no.at_ms = 10; /* of the same moment: the restrictive one */
    assert_true(consent_note(&f->who, no));
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, 0), CONSENT_REFUSED);
    yes.at_ms = 9; /* older news */
    assert_false(consent_note(&f->who, yes));
    yes.at_ms = 20;
    yes.topic = news; /* one topic again */
    assert_true(consent_note(&f->who, yes));
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, news), CONSENT_GIVEN);
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, 0), CONSENT_REFUSED);
    no.at_ms = 30; /* everything off again */
    assert_true(consent_note(&f->who, no));
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, news), CONSENT_REFUSED);
    fixture_free(f);
}

static void consent_is_about_an_address(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    assert_true(set(f, NAME_EMAIL, value_text(STR("ann@example.org")), 1));
    struct consent yes = {
        .channel = CHANNEL_EMAIL,
        .purpose = NAME_MARKETING,
        .is_given = true,
        .at_ms = 1,
        .address = address_hash(f->secret, CHANNEL_EMAIL, STR(" ANN@Example.org "), f->who.id)};
    assert_true(consent_note(&f->who, yes));
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, 0), CONSENT_GIVEN);
    assert_true(set(f, NAME_EMAIL, value_text(STR("ann@work.example")), 2));
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, 0), CONSENT_NONE);
    fixture_free(f);
}

static void windows_equal_a_recount(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (int round = 0; round < 60; round++) {
        struct fixture *f = fixture_new();
        int64_t times[64];
        uint32_t count = 1 + (uint32_t)(next(&seed) % 60);
        for (uint32_t i = 0; i < count; i++) {
            times[i] = (int64_t)(next(&seed) % 1000); /* in any order */
            history_note(&f->who, 50, times[i], 64);
        }
        for (int64_t at_ms = 0; at_ms < 1400; at_ms += 7) {
            int64_t window_ms = 1 + (int64_t)(next(&seed) % 400);
            int64_t until_ms;
            bool is_at_least;
            uint32_t seen = history_count(&f->who, 50, window_ms, at_ms, &until_ms, &is_at_least);
            uint32_t model = 0, later = 0;
            /* An event ahead of `at_ms` counts at once: event time is never after arrival. */
            for (uint32_t i = 0; i < count; i++)
                model += times[i] > at_ms - window_ms;
            assert_int_equal(seen, model);
            assert_false(is_at_least);
            if (until_ms == FOREVER_MS) {
                assert_int_equal(seen, 0);
                continue;
            }
            assert_true(until_ms > at_ms);
            for (uint32_t i = 0; i < count; i++)
                later += times[i] > until_ms - 1 - window_ms;
            assert_int_equal(later, model); /* no change before it */
            later = 0;
            for (uint32_t i = 0; i < count; i++)
                later += times[i] > until_ms - window_ms;
            assert_true(later < model); /* and one at it */
        }
        fixture_free(f);
    }
}

static void a_full_history_says_at_least(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    int64_t until_ms;
    bool is_at_least;
    for (int64_t t = 1; t <= 10; t++)
        history_note(&f->who, 50, t, 4);
    assert_int_equal(history_count(&f->who, 50, 100, 10, &until_ms, &is_at_least), 4);
    assert_true(is_at_least);
    assert_int_equal(history_count(&f->who, 50, 3, 10, &until_ms, &is_at_least), 3);
    assert_false(is_at_least); /* the window lies within what is remembered */
    assert_int_equal(history_count(&f->who, 50, 0, 10, &until_ms, &is_at_least), 10);
    assert_int_equal(history_last(&f->who, 50), 10);
    assert_int_equal(history_last(&f->who, 51), INT64_MIN);
    fixture_free(f);
}

static void frozen_time_is_the_union(void **state)
{
    (void)state;
    uint64_t seed = 12;
    for (int round = 0; round < 300; round++) {
        struct fixture *f = fixture_new();
        bool covered[400] = {false};
        f->holds[0] = (struct plan_hold){.name = 60, .freezes = true};
        f->holds[1] = (struct plan_hold){.name = 61, .freezes = false};
        f->plan.hold_count = 2;
        for (uint64_t k = next(&seed) % 6; k-- > 0;) {
            struct hold *h = person_push_hold(&f->who);
            h->name = next(&seed) % 4 ? 60 : 61;
            h->from_ms = (int64_t)(next(&seed) % 300);
            h->until_ms = h->from_ms + 1 + (int64_t)(next(&seed) % 90);
            for (int64_t t = h->from_ms; t < h->until_ms; t++)
                covered[t] |= h->name == 60;
        }
        int64_t from_ms = (int64_t)(next(&seed) % 200);
        int64_t to_ms = from_ms + (int64_t)(next(&seed) % 199);
        int64_t model = 0;
        bool is_open;
        for (int64_t t = from_ms; t < to_ms; t++)
            model += covered[t];
        assert_int_equal(holds_frozen(&f->who, from_ms, to_ms, &is_open), model);
        assert_false(is_open);
        fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the latest statement about a trait wins, by event time", latest_statement_wins),
        TEST("declared traits are converted or refused", declared_traits_are_converted),
        TEST("all traits of a person together are bounded", traits_are_bounded),
        TEST("consent is as last stated, topic by topic", consent_is_as_last_stated),
        TEST("consent is about an address", consent_is_about_an_address),
        TEST("counts in windows equal a recount, and hold until they change",
             windows_equal_a_recount),
        TEST("a count beyond what is remembered says at least", a_full_history_says_at_least),
        TEST("what holds freeze is the union of their intervals", frozen_time_is_the_union),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
