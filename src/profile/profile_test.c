/* What is known of a person: traits, consent, histories and holds, against plain models. */
#include "base/mem.h"
#include "model/identifier.h"
#include "profile/choices.h"
#include "profile/consent.h"
#include "profile/holds.h"
#include "profile/traits.h"
#include "test.h"

struct fixture {
    struct space space;
    struct profile profile;
    struct plan plan;
    struct plan_trait traits[4];
    struct plan_hold holds[2];
    const struct plan *plans[2];
    struct plans versions;
    struct names *names;
    struct results results;
    struct messages messages;
    struct arena scratch;
    struct buf bytes;
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    struct person who;
    uint32_t age, joined, vip;
};

static struct fixture *fixture_new(void)
{
    struct fixture *f = mem_new(sizeof(*f));
    space_init(&f->space);
    arena_init(&f->scratch, 4096);
    buf_init(&f->bytes);
    f->names = names_new();
    f->age = names_add(f->names, STR("age"));
    f->joined = names_add(f->names, STR("joined"));
    f->vip = names_add(f->names, STR("vip"));
    f->traits[1] = (struct plan_trait){.name = f->age, .type = VALUE_INT, .missing = value_int(18)};
    f->traits[2] = (struct plan_trait){.name = f->joined, .type = VALUE_TIME};
    f->traits[3] = (struct plan_trait){.name = f->vip, .type = VALUE_BOOL};
    f->traits[0] = (struct plan_trait){.name = NAME_PHONE, .type = VALUE_TEXT};
    f->plan.traits = f->traits; /* by ascending name */
    f->plan.trait_count = 4;
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
        .names_end = UINT32_MAX,
        .secret = f->secret,
        .scratch = &f->scratch,
        .bytes = &f->bytes,
        .results = &f->results,
        .messages = &f->messages,
    };
    return f;
}

static void fixture_free(struct fixture *f)
{
    space_fini(&f->space);
    arena_fini(&f->scratch);
    buf_fini(&f->bytes);
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

static void saying_it_again_renews_it(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint32_t plan = names_add(f->names, STR("plan"));
    const int64_t day_ms = INT64_C(1772409600000);
    assert_true(set(f, plan, value_text(STR("pro")), day_ms));
    assert_false(set(f, plan, value_text(STR("pro")), day_ms + 200));  /* nothing new, but said */
    assert_false(set(f, plan, value_text(STR("free")), day_ms + 100)); /* comes late */
    assert_true(str_is(traits_get(&f->who, plan, NULL).text, "pro"));
    assert_false(set(f, plan, value_text(STR("pro")), INT64_MAX / 4)); /* a longer time */
    assert_false(set(f, plan, value_text(STR("free")), INT64_MAX / 4 - 1));
    assert_true(str_is(traits_get(&f->who, plan, NULL).text, "pro"));
    fixture_free(f);
}

static void what_was_forgotten_stays_forgotten(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint32_t plan = names_add(f->names, STR("plan"));
    struct body_field field;
    int64_t at_ms;
    uint32_t place = 0;
    assert_true(set(f, plan, value_text(STR("pro")), 100));
    assert_true(set(f, f->age, value_int(42), 100));
    assert_true(set(f, plan, (struct value){.type = VALUE_NULL}, 300));
    assert_true(set(f, f->age, (struct value){.type = VALUE_NULL}, 300));
    assert_false(set(f, plan, value_text(STR("free")), 200)); /* older news */
    assert_int_equal(traits_get(&f->who, plan, NULL).type, VALUE_NONE);
    assert_int_equal(traits_get(&f->who, f->age, NULL).integer, 18); /* the default again */
    assert_false(traits_next(&f->who, &place, &field, &at_ms));
    assert_true(set(f, plan, value_text(STR("free")), 400));
    assert_true(str_is(traits_get(&f->who, plan, NULL).text, "free"));
    fixture_free(f);
}

static void traits_equal_a_model(void **state)
{
    (void)state;
    uint64_t seed = 77;
    struct fixture *f = fixture_new();
    uint32_t names[5];
    struct {
        int64_t at_ms;
        int64_t value; /* 0 = none */
    } model[5];
    for (uint32_t i = 0; i < 5; i++) {
        char text[8];
        snprintf(text, sizeof(text), "t%u", i);
        names[i] = names_add(f->names, str_of(text));
        model[i].at_ms = INT64_MIN;
        model[i].value = 0;
    }
    for (int step = 0; step < 20000; step++) {
        uint32_t i = (uint32_t)(next(&seed) % 5);
        int64_t at_ms = (int64_t)(next(&seed) % 1000) << next(&seed) % 30;
        if (step % 5000 == 0) /* from anew: another moment is the first */
            for (uint32_t k = 0; k < 5; k++)
                model[k].at_ms = INT64_MIN, model[k].value = 0, traits_forget(&f->who);
        at_ms -= step < 5000 ? 0 : INT64_C(1) << 31;       /* also before 1970 */
        int64_t value = (int64_t)(next(&seed) % 4) * 1000; /* 0 forgets */
        struct value x = value ? value_int(value) : (struct value){.type = VALUE_NULL};
        f->who.changed = f->who.stirred = 0;
        bool has_changed = set(f, names[i], x, at_ms);
        bool is_newer = at_ms >= model[i].at_ms && (value || model[i].at_ms != INT64_MIN);
        bool is_new = is_newer && value != model[i].value;
        assert_int_equal(has_changed, is_new);
        assert_int_equal(f->who.stirred != 0, is_new);
        if (is_newer) {
            model[i].at_ms = at_ms;
            model[i].value = value;
        }
        struct value y = traits_get(&f->who, names[i], NULL);
        assert_int_equal(y.type, model[i].value ? VALUE_INT : VALUE_NONE);
        if (model[i].value)
            assert_int_equal(y.integer, model[i].value);
        for (uint32_t k = 0; k < 5; k++)
            assert_true(traits_said_ms(&f->who, names[k]) == model[k].at_ms);
    }
    fixture_free(f);
}

static void what_is_said_together_takes_a_byte_for_its_time(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    for (uint32_t i = 0; i < 8; i++) {
        char text[8];
        snprintf(text, sizeof(text), "t%u", i);
        uint32_t before = f->profile.traits.bytes;
        assert_true(
            set(f, names_add(f->names, str_of(text)), value_bool(true), INT64_C(1772409600000)));
        assert_in_range(f->profile.traits.bytes - before, 1, i ? 4 : 10);
    }
    fixture_free(f);
}

static void a_trait_said_before_it_was_declared_is_converted(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    const struct plan *declares = f->who.plan;
    f->who.plan = NULL;
    assert_true(set(f, f->age, value_text(STR("42")), 1));
    assert_true(set(f, f->joined, value_text(STR("never")), 1));
    f->who.plan = declares;
    assert_int_equal(traits_get(&f->who, f->age, NULL).integer, 42);
    assert_int_equal(traits_get(&f->who, f->joined, NULL).type, VALUE_NONE);
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
    assert_true(set(f, NAME_PHONE, value_int(442071234567), 6));
    assert_true(str_is(traits_get(&f->who, NAME_PHONE, NULL).text, "442071234567"));
    assert_false(set(f, NAME_PHONE, value_bool(true), 7));
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

/* A statement as an event. */
static void tell_consent(struct fixture *f, const char *purpose, bool is_given, int64_t at_ms)
{
    struct buf b;
    struct record r = {.type = RECORD_EVENT,
                       .kind = EVENT_TRACK,
                       .name = NAME_CONSENT_CHANGED,
                       .flags = RECORD_IS_SERVER,
                       .event_ms = at_ms};
    buf_init(&b);
    body_put_text(&b, NAME_CHANNEL, STR("email"));
    body_put_text(&b, NAME_PURPOSE, str_of(purpose));
    body_put_text(&b, NAME_STATUS, is_given ? STR("granted") : STR("denied"));
    r.clear = (struct body){b.at, (uint32_t)b.len};
    f->who.event = &r;
    consent_event(&f->who);
    f->who.event = NULL;
    buf_fini(&b);
}

static void a_yes_to_an_unknown_purpose_means_nothing(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    tell_consent(f, "raffles", true, 10);
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, 0), CONSENT_NONE);
    tell_consent(f, "marketing", true, 20);
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, 0), CONSENT_GIVEN);
    tell_consent(f, "raffles", false, 30); /* a no is taken for all */
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, 0), CONSENT_REFUSED);
    fixture_free(f);
}

/* A log that is applied again knows names that came into it later. */
static void a_purpose_is_known_from_its_name_on(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint32_t ads = names_add(f->names, STR("ads"));
    f->who.names_end = ads;
    tell_consent(f, "ads", true, 10);
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, ads, 0), CONSENT_NONE);
    f->who.names_end = ads + 1;
    tell_consent(f, "ads", true, 20);
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, ads, 0), CONSENT_GIVEN);
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, NAME_MARKETING, 0), CONSENT_NONE);
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

/* `Preferences Changed` at at_ms with one property or two. */
static void prefer(struct fixture *f, bool is_server, int64_t at_ms, uint32_t name, struct value x,
                   uint32_t name_2, struct value x_2)
{
    struct buf b;
    struct record r = {.type = RECORD_EVENT,
                       .kind = EVENT_TRACK,
                       .flags = is_server ? RECORD_IS_SERVER : 0,
                       .name = NAME_PREFERENCES_CHANGED,
                       .at_ms = at_ms,
                       .event_ms = at_ms};
    buf_init(&b);
    body_put(&b, name, &x);
    if (name_2 != NAME_NONE)
        body_put(&b, name_2, &x_2);
    r.clear = body_of(&b);
    f->who.event = &r;
    f->who.at_ms = at_ms;
    choices_event(&f->who);
    f->who.event = NULL;
    buf_fini(&b);
}

static void anybody_may_ask_for_less(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct plan_cap caps[4];
    struct value none = value_none();
    prefer(f, false, 10, NAME_DO_NOT_CONTACT, value_bool(true), NAME_NONE, none);
    assert_true(choices_no_contact(&f->who));
    prefer(f, false, 20, NAME_DO_NOT_CONTACT, value_bool(false), NAME_NONE, none);
    assert_true(choices_no_contact(&f->who)); /* a stranger's key may not lift it */
    assert_int_equal(f->results.rows[f->results.count - 1].kind, RESULT_ERROR);
    prefer(f, true, 5, NAME_DO_NOT_CONTACT, value_bool(false), NAME_NONE, none);
    assert_true(choices_no_contact(&f->who)); /* older news */
    prefer(f, true, 10, NAME_DO_NOT_CONTACT, value_bool(false), NAME_NONE, none);
    assert_true(choices_no_contact(&f->who)); /* of the same moment: the stricter */
    prefer(f, true, 20, NAME_DO_NOT_CONTACT, value_bool(false), NAME_NONE, none);
    assert_false(choices_no_contact(&f->who));

    prefer(f, false, 30, NAME_SNOOZE_UNTIL, value_time(1000), NAME_NONE, none);
    assert_int_equal(choices_snoozed_until(&f->who, CHANNEL_SMS, 0, 999), 1000);
    assert_int_equal(choices_snoozed_until(&f->who, CHANNEL_SMS, 0, 1000), INT64_MIN);
    prefer(f, false, 40, NAME_SNOOZE_UNTIL, value_time(900), NAME_NONE, none);
    assert_int_equal(choices_snoozed_until(&f->who, CHANNEL_SMS, 0, 50), 1000);
    prefer(f, false, 40, NAME_SNOOZE_UNTIL, value_time(1100), NAME_NONE, none);
    assert_int_equal(choices_snoozed_until(&f->who, CHANNEL_SMS, 0, 50), 1100);
    prefer(f, true, 41, NAME_SNOOZE_UNTIL, value_time(0), NAME_NONE, none);
    assert_int_equal(choices_snoozed_until(&f->who, CHANNEL_SMS, 0, 50), INT64_MIN);

    prefer(f, false, 50, NAME_AT_MOST, value_int(2), NAME_PER, value_text(STR("week")));
    prefer(f, false, 51, NAME_AT_MOST, value_int(2), NAME_PER, value_text(STR("day")));
    assert_int_equal(choices_caps(&f->who, CHANNEL_EMAIL, caps, 4), 1);
    assert_int_equal(caps[0].kind, CAP_WEEK); /* two a day are more than two a week */
    prefer(f, false, 52, NAME_AT_MOST, value_int(2), NAME_PER, value_text(STR("30d")));
    assert_int_equal(choices_caps(&f->who, CHANNEL_EMAIL, caps, 4), 1);
    assert_int_equal(caps[0].window_ms, 30 * DAY_MS);
    assert_int_equal(choices_ledger_ms(&f->who), 30 * DAY_MS);
    prefer(f, true, 53, NAME_AT_MOST, value_int(2), NAME_PER, value_text(STR("1 month")));
    prefer(f, true, 53, NAME_AT_MOST, value_int(-1), NAME_PER, value_text(STR("day")));
    prefer(f, true, 53, NAME_AT_MOST, value_int(1), NAME_PER, value_text(STR("32d")));
    assert_int_equal(choices_ledger_ms(&f->who), 30 * DAY_MS); /* none of these can be */
    prefer(f, true, 54, NAME_AT_MOST, value_text(STR("any")), NAME_NONE, none);
    assert_int_equal(choices_caps(&f->who, CHANNEL_EMAIL, caps, 4), 0);
    fixture_free(f);
}

static void a_merge_keeps_the_latest_choice(void **state)
{
    (void)state;
    struct fixture *a = fixture_new(), *b = fixture_new();
    struct value none = value_none();
    prefer(a, true, 10, NAME_SNOOZE_UNTIL, value_time(1000), NAME_NONE, none);
    prefer(b, true, 20, NAME_SNOOZE_UNTIL, value_time(500), NAME_NONE, none);
    prefer(a, true, 10, NAME_DO_NOT_CONTACT, value_bool(true), NAME_NONE, none);
    prefer(a, true, 15, NAME_DO_NOT_CONTACT, value_bool(false), NAME_NONE, none);
    prefer(b, true, 15, NAME_DO_NOT_CONTACT, value_bool(true), NAME_NONE, none);
    prefer(b, true, 30, NAME_AT_MOST, value_int(1), NAME_PER, value_text(STR("day")));
    choices_unite(&a->who, &b->who);
    assert_int_equal(choices_snoozed_until(&a->who, CHANNEL_EMAIL, 0, 100), 500);
    assert_true(choices_no_contact(&a->who)); /* of one moment: the stricter */
    assert_int_equal(choices_ledger_ms(&a->who), DAY_MS + HOUR_MS); /* clocks may be put back */
    fixture_free(a);
    fixture_free(b);
}

static void a_merge_lifts_only_what_a_server_lifts(void **state)
{
    (void)state;
    for (int round = 0; round < 4;
         round++) { /* the lift is the winner's or the loser's, a server's or not */
        bool is_winners = round & 1, is_servers = round & 2;
        struct fixture *who = fixture_new(), *from = fixture_new();
        struct fixture *strict = is_winners ? from : who, *loose = is_winners ? who : from;
        prefer(strict, false, 10, NAME_DO_NOT_CONTACT, value_bool(true), NAME_NONE, value_none());
        prefer(strict, false, 10, NAME_AT_MOST, value_int(1), NAME_PER, value_text(STR("31d")));
        prefer(loose, is_servers, 20, NAME_DO_NOT_CONTACT, value_bool(false), NAME_NONE,
               value_none());
        prefer(loose, is_servers, 20, NAME_AT_MOST, value_int(9), NAME_PER, value_text(STR("1d")));
        choices_unite(&who->who, &from->who);
        struct plan_cap cap;
        assert_int_equal(choices_no_contact(&who->who), !is_servers);
        assert_int_equal(choices_caps(&who->who, CHANNEL_EMAIL, &cap, 1), 1);
        assert_int_equal(cap.limit, is_servers ? 9 : 1);
        fixture_free(who);
        fixture_free(from);
    }
}

static void what_was_lifted_stays_so_when_older_news_comes(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    prefer(f, true, 20, NAME_DO_NOT_CONTACT, value_bool(false), NAME_NONE, value_none());
    prefer(f, true, 10, NAME_DO_NOT_CONTACT, value_bool(true), NAME_NONE, value_none());
    assert_false(choices_no_contact(&f->who));
    prefer(f, true, 30, NAME_DO_NOT_CONTACT, value_bool(true), NAME_NONE, value_none());
    assert_true(choices_no_contact(&f->who));
    fixture_free(f);
}

/* As if they stated it on day `day`. */
static int64_t since_of_own_cap(struct fixture *f, int64_t day, int64_t most, struct str per)
{
    struct plan_cap caps[4];
    f->who.now_ms = day * DAY_MS;
    prefer(f, true, day * DAY_MS, NAME_AT_MOST, value_int(most), NAME_PER, value_text(per));
    assert_int_equal(choices_caps(&f->who, CHANNEL_EMAIL, caps, 4), 1);
    return caps[0].since_ms / DAY_MS;
}

static void an_own_cap_counts_from_a_week_before_it_was_first_stated(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    assert_int_equal(since_of_own_cap(f, 100, 3, STR("10d")), 93);
    assert_int_equal(since_of_own_cap(f, 101, 3, STR("10d")), 93); /* said again: nothing is lost */
    assert_int_equal(since_of_own_cap(f, 104, 1, STR("31d")), 94); /* ten days are known, no more */
    assert_int_equal(since_of_own_cap(f, 130, 2, STR("7d")), 99);
    f->who.now_ms = 131 * DAY_MS;
    prefer(f, true, 131 * DAY_MS, NAME_AT_MOST, value_text(STR("any")), NAME_NONE, value_none());
    assert_int_equal(since_of_own_cap(f, 132, 1, STR("31d")), 125); /* it was lifted between */
    fixture_free(f);
}

static void choices_are_bounded(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    prefer(f, true, 1, NAME_DO_NOT_CONTACT, value_bool(true), NAME_NONE, value_none());
    for (uint32_t i = 0; i < 3 * PROFILE_CHOICES_MAX; i++) {
        char name[32];
        snprintf(name, sizeof(name), "topic-%u", i);
        uint32_t topic = names_add(f->names, str_of(name));
        prefer(f, true, 2 + i, NAME_TOPIC, value_text(str_of(name)), NAME_STATUS,
               value_text(STR("off")));
        assert_int_equal(choices_topic_is_off(&f->who, topic), i + 1 < PROFILE_CHOICES_MAX);
    }
    assert_int_equal(f->profile.choices.count, PROFILE_CHOICES_MAX);
    assert_true(choices_no_contact(&f->who));
    fixture_free(f);
}

static void a_stop_lasts_until_they_agree_again(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct consent stop = {.channel = CHANNEL_SMS, .bar = BAR_STOPPED, .at_ms = 10};
    struct consent yes = {
        .channel = CHANNEL_SMS, .purpose = NAME_MARKETING, .is_given = true, .at_ms = 10};
    assert_true(consent_note(&f->who, stop));
    assert_int_equal(consent_ask(&f->who, CHANNEL_SMS, 99, 0), CONSENT_STOPPED);
    assert_int_equal(consent_ask(&f->who, CHANNEL_EMAIL, 99, 0), CONSENT_NONE);
    assert_true(consent_note(&f->who, yes)); /* of one moment: the stricter */
    assert_int_equal(consent_ask(&f->who, CHANNEL_SMS, NAME_MARKETING, 0), CONSENT_STOPPED);
    yes.at_ms = 11;
    assert_true(consent_note(&f->who, yes));
    assert_int_equal(consent_ask(&f->who, CHANNEL_SMS, NAME_MARKETING, 0), CONSENT_GIVEN);
    assert_int_equal(consent_ask(&f->who, CHANNEL_SMS, 99, 0), CONSENT_NONE);
    stop.at_ms = 12;
    assert_true(consent_note(&f->who, stop));
    assert_int_equal(consent_ask(&f->who, CHANNEL_SMS, NAME_MARKETING, 0), CONSENT_STOPPED);
    fixture_free(f);
}

static void frozen_time_is_the_union(void **state)
{
    (void)state;
    uint64_t seed = 12;
    for (int round = 0; round < 600; round++) {
        struct fixture *f = fixture_new();
        enum frost { THAWED, FROZEN, OPEN } frost[1200] = {THAWED};
        f->holds[0] = (struct plan_hold){.name = 60, .freezes = true};
        f->holds[1] = (struct plan_hold){.name = 61, .freezes = false};
        f->plan.hold_count = 2;
        for (uint64_t k = next(&seed) % 6; k-- > 0;) {
            struct hold *h = person_push_hold(&f->who);
            h->name = next(&seed) % 4 ? 60 : 61;
            h->from_ms = (int64_t)(next(&seed) % 300);
            h->is_open = next(&seed) % 8 == 0;
            h->until_ms = h->from_ms + 1 + (int64_t)(next(&seed) % 90);
            for (int64_t t = h->from_ms; t < h->until_ms && h->name == 60; t++)
                frost[t] = h->is_open && frost[t] != FROZEN ? OPEN : FROZEN;
        }
        int64_t from_ms = (int64_t)(next(&seed) % 200);
        int64_t length_ms = (int64_t)(next(&seed) % 199), left_ms = length_ms, model = from_ms;
        for (; left_ms > 0 && frost[model] != OPEN; model++)
            left_ms -= frost[model] == THAWED;
        int64_t end_ms = holds_thawed(&f->who, NAME_NONE, from_ms, length_ms);
        if (left_ms > 0)
            assert_true(end_ms == FOREVER_MS);
        else
            assert_int_equal(end_ms, model);
        fixture_free(f);
    }
}

/* ---- holds -------------------------------------------------------------------------------------- */

static void hold_event(struct fixture *f, bool opens, int64_t ticket, int64_t event_ms,
                       int64_t at_ms)
{
    struct buf b;
    struct plan_event means = {.holds_from = opens, .holds_until = !opens};
    buf_init(&b);
    if (ticket)
        body_put_int(&b, f->age, ticket);
    struct record r = {.event_ms = event_ms, .clear = body_of(&b)};
    f->who.event = &r;
    f->who.at_ms = f->who.now_ms = at_ms;
    holds_event(&f->who, &means);
    f->who.event = NULL;
    buf_fini(&b);
}

static bool is_held(const struct fixture *f, int64_t at_ms)
{
    int64_t until_ms;
    return holds_ask(&f->who, 0, LANE_MARKETING, at_ms, &until_ms) != PLAN_NO_INDEX;
}

static void pairs_without_a_key_are_counted(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->holds[0] = (struct plan_hold){.name = 60, .linger_ms = 10};
    f->plan.hold_count = 1;
    hold_event(f, false, 0, 50, 50); /* a close without an open */
    assert_false(is_held(f, 50));
    hold_event(f, true, 0, 100, 100);
    hold_event(f, true, 0, 110, 110);
    hold_event(f, false, 0, 120, 120);
    assert_true(is_held(f, 1000)); /* the second is still open */
    hold_event(f, false, 0, 1000, 1000);
    assert_true(is_held(f, 1009));
    assert_false(is_held(f, 1010));
    fixture_free(f);
}

static void a_key_makes_one_pair(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->holds[0] = (struct plan_hold){.name = 60, .key = f->age};
    f->plan.hold_count = 1;
    hold_event(f, true, 7, 100, 100);
    hold_event(f, true, 7, 105, 105); /* the same ticket, told again */
    hold_event(f, true, 8, 110, 110);
    hold_event(f, false, 7, 120, 120);
    assert_true(is_held(f, 121));
    hold_event(f, false, 8, 130, 130);
    assert_false(is_held(f, 130));
    fixture_free(f);
}

static void a_hold_is_lifted_once_whenever_it_is_looked_at(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->holds[0] = (struct plan_hold){.name = 60, .at_most_ms = 100};
    f->plan.hold_count = 1;
    hold_event(f, true, 0, 100, 100);
    assert_int_equal(holds_deadline(&f->who), 200);
    f->who.at_ms = 200; /* a record of the very moment was applied first */
    assert_int_equal(holds_deadline(&f->who), 200);
    uint32_t rows = f->results.count;
    holds_timer(&f->who);
    assert_int_equal(f->results.count, rows + 1);
    assert_int_equal(f->results.rows[rows].kind, RESULT_HOLD);
    assert_int_equal(f->results.rows[rows].how, 0);
    assert_true(holds_deadline(&f->who) == FOREVER_MS);
    holds_timer(&f->who);
    assert_int_equal(f->results.count, rows + 1);
    assert_int_equal(f->profile.holds.count, 0); /* and forgotten */
    hold_event(f, true, 0, 50, 300);             /* told of it when it was over */
    assert_int_equal(f->profile.holds.count, 0);
    fixture_free(f);
}

static void a_full_list_of_holds_still_holds(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->holds[0] = (struct plan_hold){.name = 60, .key = f->age, .freezes = true};
    f->plan.hold_count = 1;
    struct instance *in = person_push_instance(&f->who); /* whose wait keeps all of them */
    *in = (struct instance){.state = INSTANCE_WAITING, .step_ms = 1};
    for (int64_t i = 1; i <= PROFILE_HOLDS_MAX; i++) {
        hold_event(f, true, i, i * 10, i * 10);
        hold_event(f, false, i, i * 10 + 5, i * 10 + 5);
    }
    assert_int_equal(f->profile.holds.count, PROFILE_HOLDS_MAX);
    hold_event(f, true, 1000, 1000, 1000);
    assert_true(is_held(f, 1000));
    for (int64_t i = 2000; i < 2000 + 2 * PROFILE_HOLDS_MAX; i++)
        hold_event(f, true, i, i, i);
    assert_int_equal(f->profile.holds.count, PROFILE_HOLDS_MAX);
    assert_true(is_held(f, 5000));
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the latest statement about a trait wins, by event time", latest_statement_wins),
        TEST("saying a trait again renews it, so that older news stays older",
             saying_it_again_renews_it),
        TEST("a trait that was forgotten is not brought back by older news",
             what_was_forgotten_stays_forgotten),
        TEST("traits equal a model, whatever comes late", traits_equal_a_model),
        TEST("what is said together takes a byte for its time",
             what_is_said_together_takes_a_byte_for_its_time),
        TEST("a trait said before it was declared is what it was declared to be",
             a_trait_said_before_it_was_declared_is_converted),
        TEST("declared traits are converted or refused", declared_traits_are_converted),
        TEST("all traits of a person together are bounded", traits_are_bounded),
        TEST("consent is as last stated, topic by topic", consent_is_as_last_stated),
        TEST("a yes to an unknown purpose means nothing",
             a_yes_to_an_unknown_purpose_means_nothing),
        TEST("a purpose is known from its name on", a_purpose_is_known_from_its_name_on),
        TEST("consent is about an address", consent_is_about_an_address),
        TEST("a stop lasts until they agree again", a_stop_lasts_until_they_agree_again),
        TEST("anybody may ask for less, only a server for more", anybody_may_ask_for_less),
        TEST("a merge keeps the latest choice, of one moment the stricter",
             a_merge_keeps_the_latest_choice),
        TEST("a merge lifts only what a server lifts", a_merge_lifts_only_what_a_server_lifts),
        TEST("what was lifted stays so when older news comes",
             what_was_lifted_stays_so_when_older_news_comes),
        TEST("an own cap counts from a week before it was first stated",
             an_own_cap_counts_from_a_week_before_it_was_first_stated),
        TEST("choices are bounded, and the strictest stay", choices_are_bounded),
        TEST("what holds freeze is the union of their intervals", frozen_time_is_the_union),
        TEST("holds without a key count their pairs", pairs_without_a_key_are_counted),
        TEST("holds with a key are one pair for each key", a_key_makes_one_pair),
        TEST("a hold is lifted once, whenever it is looked at",
             a_hold_is_lifted_once_whenever_it_is_looked_at),
        TEST("a person with many tickets is still held by the next",
             a_full_list_of_holds_still_holds),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
