/* What is kept of the past, at its limits. src/replay/feature_test.c compares the answers with a recount. */
#include "profile/feature.h"

#include "base/mem.h"
#include "profile/ask_int.h"
#include "test.h"

#define A 2000 /* names: an event, its properties, and features from F on */
#define X 2001
#define Y 2002
#define F 3000

struct fixture {
    struct space space;
    struct profile profile;
    struct plan plan;
    struct plan_feature *features;
    uint16_t *feeds;
    struct plan_event event;
    uint16_t *index;
    const struct plan *plans[2];
    struct plans versions;
    struct names *names;
    struct arena scratch;
    struct buf bytes, record;
    struct person who;
};

/* A programme with `count` features alike, all fed by the event A. */
static struct fixture *fixture_new(uint32_t count, struct plan_feature like)
{
    struct fixture *f = mem_new(sizeof(*f));
    space_init(&f->space);
    arena_init(&f->scratch, 4096);
    buf_init(&f->bytes);
    buf_init(&f->record);
    f->names = names_new();
    f->features = mem_new(count * sizeof(*f->features));
    f->feeds = mem_new(count * sizeof(*f->feeds));
    f->index = mem_new((A + 1) * sizeof(*f->index));
    for (uint32_t i = 0; i < count; i++) {
        f->features[i] = like;
        f->features[i].name = F + i;
        f->features[i].event = A;
        f->feeds[i] = (uint16_t)i;
    }
    memset(f->index, 0xff, A * sizeof(*f->index));
    f->event = (struct plan_event){.name = A, .feature_count = count, .features = f->feeds};
    f->plan = (struct plan){.features = f->features,
                            .feature_count = count,
                            .events = &f->event,
                            .event_count = 1,
                            .event_index = f->index,
                            .event_index_count = A + 1};
    f->plans[1] = &f->plan;
    f->versions = (struct plans){.at = f->plans, .count = 2, .newest = 1};
    f->who = (struct person){.space = &f->space,
                             .profile = &f->profile,
                             .id = profile_number(7, 1),
                             .plans = &f->versions,
                             .plan = &f->plan,
                             .names = f->names,
                             .names_end = UINT32_MAX,
                             .scratch = &f->scratch,
                             .bytes = &f->bytes};
    return f;
}

static void fixture_free(struct fixture *f)
{
    features_clear(&f->space, &f->profile);
    assert_int_equal(f->space.live_bytes, 0);
    space_fini(&f->space);
    arena_fini(&f->scratch);
    buf_fini(&f->bytes);
    buf_fini(&f->record);
    names_free(f->names);
    mem_free(f->features);
    mem_free(f->feeds);
    mem_free(f->index);
    mem_free(f);
}

/* A happens at `at_ms`, with what has been put into f->record. */
static void happens(struct fixture *f, int64_t at_ms)
{
    struct record r = {.type = RECORD_EVENT,
                       .kind = EVENT_TRACK,
                       .name = A,
                       .event_ms = at_ms,
                       .clear = body_of(&f->record)};
    f->who.event = &r;
    f->who.at_ms = max_of(f->who.at_ms, at_ms);
    features_note(&f->who, &f->plan, NULL, 0);
    f->who.event = NULL;
    f->record.len = 0;
}

static struct value asks(struct fixture *f, struct plan_binding b, int64_t *until_ms)
{
    struct asker a = {.who = &f->who, .plan = &f->plan, .at_ms = f->who.at_ms};
    struct value out = value_none();
    *until_ms = FOREVER_MS;
    feature_ask(&a, &b, NULL, 0, &f->scratch, &out, until_ms);
    return out;
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum feature_number is;
        int64_t millionths;
    } cases[] = {
        {"12.50", FEATURE_IS_NUMBER, 12500000},
        {"-0.000001", FEATURE_IS_NUMBER, -1},
        {"+3", FEATURE_IS_NUMBER, 3000000},
        {" 7 ", FEATURE_IS_NUMBER, 7000000},
        {".5", FEATURE_IS_NUMBER, 500000},
        {"5.", FEATURE_IS_NUMBER, 5000000},
        {"0.0000005", FEATURE_IS_NUMBER, 1},
        {"0.00000049", FEATURE_IS_NUMBER, 0},
        {"007", FEATURE_IS_NUMBER, 7000000},
        {"9000000000000", FEATURE_IS_NUMBER, INT64_C(9000000000000000000)},
        {"-9300000000000", FEATURE_TOO_LARGE, HISTORY_TOO_LARGE},
        {"99999999999999999999999999", FEATURE_TOO_LARGE, HISTORY_TOO_LARGE},
        {"", FEATURE_NO_NUMBER, HISTORY_NO_NUMBER},
        {"-", FEATURE_NO_NUMBER, HISTORY_NO_NUMBER},
        {".", FEATURE_NO_NUMBER, HISTORY_NO_NUMBER},
        {"1e3", FEATURE_NO_NUMBER, HISTORY_NO_NUMBER},
        {"1 2", FEATURE_NO_NUMBER, HISTORY_NO_NUMBER},
        {"12 EUR", FEATURE_NO_NUMBER, HISTORY_NO_NUMBER},
        {"1.2.3", FEATURE_NO_NUMBER, HISTORY_NO_NUMBER},
    };
    int64_t out;
    for (size_t i = 0; i < array_count(cases); i++) {
        struct value x = value_text(str_of(cases[i].text));
        assert_int_equal(feature_number(&x, &out), cases[i].is);
        assert_int_equal(out, cases[i].millionths);
    }
    struct value x = value_double(-2.25);
    assert_int_equal(feature_number(&x, &out), FEATURE_IS_NUMBER);
    assert_int_equal(out, -2250000);
    x = value_double(0.0 / 0.0);
    assert_int_equal(feature_number(&x, &out), FEATURE_NO_NUMBER);
    x = value_int(INT64_MIN);
    assert_int_equal(feature_number(&x, &out), FEATURE_TOO_LARGE);
    x = value_bool(true);
    assert_int_equal(feature_number(&x, &out), FEATURE_NO_NUMBER);
    x = value_text(STR("12.50"));
    feature_read_number(&x);
    assert_true(x.type == VALUE_DOUBLE && x.number == 12.5);
    x = value_text(STR("-12"));
    feature_read_number(&x);
    assert_true(x.type == VALUE_INT && x.integer == -12);
}

static void equal_values(void **state)
{
    (void)state;
    struct buf b;
    uint64_t five, same, other;
    struct value x = value_int(5), y = value_double(5.0), text = value_text(STR("5"));
    buf_init(&b);
    assert_true(feature_value_hash(&x, &b, &five));
    assert_true(feature_value_hash(&y, &b, &same));
    assert_int_equal(five, same);
    assert_true(feature_value_hash(&text, &b, &other));
    assert_true(other != five);
    y = value_double(5.5);
    assert_true(feature_value_hash(&y, &b, &other));
    assert_true(other != five);
    x = (struct value){.type = VALUE_NULL};
    assert_false(feature_value_hash(&x, &b, &other));
    x = value_none();
    assert_false(feature_value_hash(&x, &b, &other));
    buf_fini(&b);
}

/* Sums are exact in whatever order, and an error where they do not fit in the end. */
static void large_sums(void **state)
{
    (void)state;
    struct plan_binding sum = {.kind = BINDING_SUM}, most = {.kind = BINDING_MOST};
    struct fixture *f = fixture_new(1, (struct plan_feature){.kind = FEATURE_TALLY, .property = X});
    int64_t until_ms;
    const int64_t large = INT64_C(9000000000000);
    for (int i = 0; i < 3; i++) {
        body_put_int(&f->record, X, large);
        happens(f, 10 + i);
    }
    assert_int_equal(asks(f, sum, &until_ms).type, VALUE_ERROR);
    for (int i = 0; i < 3; i++) {
        body_put_int(&f->record, X, -large);
        happens(f, 20 + i);
    }
    body_put_text(&f->record, X, STR("0.25"));
    happens(f, 30);
    assert_true(asks(f, sum, &until_ms).number == 0.25);
    assert_int_equal(until_ms, FOREVER_MS);
    body_put_double(&f->record, X, 1e18); /* cannot be added at all */
    happens(f, 31);
    assert_int_equal(asks(f, sum, &until_ms).type, VALUE_ERROR);
    assert_int_equal(asks(f, most, &until_ms).type, VALUE_ERROR);
    fixture_free(f);
}

static void too_many_features(void **state)
{
    (void)state;
    struct plan_binding did = {.kind = BINDING_DID};
    struct fixture *f =
        fixture_new(PROFILE_HISTORIES_MAX + 1, (struct plan_feature){.kind = FEATURE_MARK});
    int64_t until_ms;
    assert_false(asks(f, did, &until_ms).boolean);
    happens(f, 10);
    assert_int_equal(f->profile.histories.count, PROFILE_HISTORIES_MAX);
    did.feature = PROFILE_HISTORIES_MAX - 1;
    assert_true(asks(f, did, &until_ms).boolean);
    did.feature = PROFILE_HISTORIES_MAX; /* there was no room for it: nobody knows */
    assert_int_equal(asks(f, did, &until_ms).type, VALUE_ERROR);
    fixture_free(f);
}

static void large_properties(void **state)
{
    (void)state;
    static const uint32_t kept[] = {X, Y};
    char text[FEATURE_BODY_BYTES_MAX];
    struct plan_binding last = {.kind = BINDING_LAST, .name = X};
    struct fixture *f = fixture_new(
        1, (struct plan_feature){
               .kind = FEATURE_LAST, .keep = 1, .kept = kept, .kept_count = array_count(kept)});
    int64_t until_ms;
    memset(text, 'x', sizeof(text));
    body_put_text(&f->record, X, (struct str){text, sizeof(text)});
    body_put_int(&f->record, Y, 5);
    happens(f, 10);
    assert_int_equal(asks(f, last, &until_ms).type, VALUE_NONE);
    last.name = Y; /* what fits is kept all the same */
    assert_int_equal(asks(f, last, &until_ms).integer, 5);
    body_put_text(&f->record, X, (struct str){text, sizeof(text) - 10});
    happens(f, 11);
    assert_int_equal(asks(f, last, &until_ms).type, VALUE_NONE);
    last.name = X;
    assert_int_equal(asks(f, last, &until_ms).text.len, sizeof(text) - 10);
    fixture_free(f);
}

/* The longest list that there may be, both sides of its limit. */
static void most_items(void **state)
{
    (void)state;
    struct plan_binding count = {.kind = BINDING_COUNT, .window_ms = DAY_MS};
    struct plan_binding sum = {.kind = BINDING_SUM, .window_ms = DAY_MS};
    struct fixture *f = fixture_new(
        1, (struct plan_feature){
               .kind = FEATURE_ITEMS, .keep = PLAN_ITEMS_MAX, .property = X, .keep_ms = DAY_MS});
    int64_t until_ms;
    for (int i = 1; i <= PLAN_ITEMS_MAX; i++) {
        body_put_int(&f->record, X, 2);
        happens(f, i);
    }
    assert_int_equal(asks(f, count, &until_ms).integer, PLAN_ITEMS_MAX);
    assert_true(asks(f, sum, &until_ms).number == 2.0 * PLAN_ITEMS_MAX);
    assert_int_equal(until_ms, 1 + DAY_MS);
    assert_int_equal(f->who.saturated, 0);
    body_put_int(&f->record, X, 2);
    happens(f, PLAN_ITEMS_MAX + 1);
    assert_int_equal(f->who.saturated, 1);
    assert_int_equal(asks(f, count, &until_ms).integer, PLAN_ITEMS_MAX);
    assert_int_equal(asks(f, sum, &until_ms).type, VALUE_ERROR);
    assert_int_equal(until_ms,
                     1 + DAY_MS); /* then the one that is forgotten is too old to matter */
    f->who.at_ms = until_ms;
    assert_true(asks(f, sum, &until_ms).number == 2.0 * PLAN_ITEMS_MAX);
    happens(f, 3 * DAY_MS); /* all others are dropped, and their memory given back */
    assert_true(f->space.live_bytes < 256);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("numbers are read as people write them", numbers),
        TEST("equal values are one value", equal_values),
        TEST("sums are exact, and errors where they do not fit", large_sums),
        TEST("what there was no room for is unknown, not absent", too_many_features),
        TEST("properties that are too long are missing", large_properties),
        TEST("a full list says what it does not know", most_items),
    };
    return cmocka_run_group_tests_name("profile/feature", tests, NULL, NULL);
}
