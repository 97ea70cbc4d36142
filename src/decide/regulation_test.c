/* The table of laws is well formed, and people are where their traits and numbers say. */
#include "decide/regulation.h"
#include "base/mem.h"
#include "model/identifier.h"
#include "profile/traits.h"
#include "test.h"
#include "when/civil.h"
#include "when/span.h"

static const char *const codes[] = {
#define PHONE(code, countries) code,
#include "decide/phone_countries.def"
#undef PHONE
};

static void the_table_is_well_formed(void **state)
{
    (void)state;
    size_t count;
    const struct regulation_line *lines = regulation_lines(&count);
    assert_true(count > 10);
    for (size_t i = 0; i < count; i++) {
        const struct regulation_line *x = &lines[i];
        struct str place = str_of(x->place);
        struct date since = {.year = (int32_t)(x->since / 10000),
                             .month = (uint8_t)(x->since / 100 % 100),
                             .day = (uint8_t)(x->since % 100)};
        uint8_t days;
        assert_true(place.len == 2 || (place.len == 5 && place.at[2] == '-'));
        assert_true(civil_is_date(since));
        assert_true(strlen(x->law) > 20); /* says where it stands */
        if (x->kind != REGULATION_HOURS)
            continue;
        assert_true(x->from_hour < 24 && x->to_hour < 24 && x->from_hour != x->to_hour);
        assert_int_equal(weekdays_parse(str_of(x->starting_on), &days, NULL), OK);
        for (size_t k = 0; k < i && place.len > 2; k++) /* a state is no laxer than its country */
            if (str_is(str_part(place, 0, 2), lines[k].place) &&
                lines[k].kind == REGULATION_HOURS) {
                assert_true(x->from_hour <= lines[k].from_hour);
                assert_true(x->to_hour >= lines[k].to_hour);
            }
    }
}

static void no_calling_code_begins_with_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(codes); i++)
        for (size_t k = 0; k < array_count(codes); k++)
            assert_true(i == k || strncmp(codes[i], codes[k], strlen(codes[i])) != 0);
}

struct fixture {
    struct space space;
    struct profile profile;
    struct names *names;
    struct plan plan;
    struct plan_trait traits[3];
    const struct plan *plans[2];
    struct plans versions;
    struct arena scratch;
    struct buf bytes;
    struct results results;
    struct messages messages;
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    struct person who;
};

/* Does a row of the place speak about who has these? Empty texts: they have none. */
static bool concerns(struct str place, struct str country, struct str region, struct str phone,
                     enum channel channel, const char *unknown)
{
    struct fixture f = {0};
    struct str unknown_place = unknown ? str_of(unknown) : STR("");
    struct plan_regulation row = {
        .place_count = 1, .places = &place, .lanes = 1u << LANE_MARKETING};
    space_init(&f.space);
    arena_init(&f.scratch, 4096);
    buf_init(&f.bytes);
    f.names = names_new();
    f.plan.country = names_add(f.names, STR("country"));
    f.plan.region = names_add(f.names, STR("region"));
    f.plan.unknown_place_count = unknown != NULL;
    f.plan.unknown_places = &unknown_place;
    f.traits[0] = (struct plan_trait){.name = NAME_PHONE, .type = VALUE_TEXT};
    f.traits[1] = (struct plan_trait){.name = f.plan.country, .type = VALUE_TEXT};
    f.traits[2] = (struct plan_trait){.name = f.plan.region, .type = VALUE_TEXT};
    f.plan.traits = f.traits;
    f.plan.trait_count = 3;
    f.plans[1] = &f.plan;
    f.versions = (struct plans){.at = f.plans, .count = 2, .newest = 1};
    f.who = (struct person){.space = &f.space,
                            .profile = &f.profile,
                            .id = profile_number(1, 1),
                            .plans = &f.versions,
                            .plan = &f.plan,
                            .names = f.names,
                            .names_end = UINT32_MAX,
                            .secret = f.secret,
                            .scratch = &f.scratch,
                            .bytes = &f.bytes,
                            .results = &f.results,
                            .messages = &f.messages};
    struct {
        uint32_t name;
        struct str text;
    } said[] = {{NAME_PHONE, phone}, {f.plan.country, country}, {f.plan.region, region}};
    for (size_t i = 0; i < array_count(said); i++) {
        struct value x = value_text(said[i].text);
        if (said[i].text.len > 0)
            traits_set(&f.who, said[i].name, &x, 1);
    }
    struct intent intent = {.lane = LANE_MARKETING};
    struct question q = {.who = &f.who, .intent = &intent, .plan = &f.plan, .channel = channel};
    bool does = regulation_concerns(&q, &row);
    names_free(f.names);
    space_fini(&f.space);
    arena_fini(&f.scratch);
    buf_fini(&f.bytes);
    mem_free(f.results.rows);
    mem_free(f.messages.at);
    return does;
}

static void people_are_where_traits_and_numbers_say(void **state)
{
    (void)state;
    static const struct {
        const char *place, *country, *region, *phone, *unknown;
        bool by_mail, by_text;
    } rows[] = {
        {"US", "US", "", "", NULL, true, true},
        {"US", "us", "FL", "", NULL, true, true},
        {"US", "GB", "", "", NULL, false, false},
        {"US", "GB", "", "+1 212 555 0100", NULL, false, true}, /* the number counts too */
        {"US", "GB", "", "001 (212) 555", NULL, false, true},
        {"US", "GB", "", "0212 555", NULL, false, false}, /* a local number says nothing */
        {"US-FL", "US", "FL", "", NULL, true, true},
        {"US-FL", "US", "us-fl", "", NULL, true, true},
        {"US-FL", "US", "NY", "+1212", NULL, false, false},
        {"US-FL", "US", "", "", NULL, true, true},         /* any state */
        {"US-FL", "US", "Florida", "", NULL, true, true},  /* not a code: any */
        {"US-FL", "GB", "FL", "+1212", NULL, false, true}, /* the region is not of that country */
        {"EU", "DE", "", "", NULL, true, true},
        {"EU", "no", "", "", NULL, true, true}, /* the EEA */
        {"EU", "GB", "", "", NULL, false, false},
        {"EU", "GB", "", "+4930", NULL, false, true},
        {"IN", "", "", "+9198", NULL, true, true}, /* by mail nothing is known: everywhere */
        {"IN", "", "", "+3598", NULL, true, false},
        {"IN", "India", "", "", NULL, true, true},
        {"IN", "", "", "", "GB", false, false},
        {"US-FL", "", "", "", "US-NY", false, false},
        {"US-FL", "", "", "", "US-FL", true, true},
        {"US-FL", "", "", "", "US", true, true},
        {"US", "", "", "", "US-FL", true, true},
        {"*", "ZZ", "", "", "GB", true, true},
    };
    for (size_t i = 0; i < array_count(rows); i++)
        for (int by_text = 0; by_text < 2; by_text++)
            if (concerns(str_of(rows[i].place), str_of(rows[i].country), str_of(rows[i].region),
                         str_of(rows[i].phone), by_text ? CHANNEL_SMS : CHANNEL_EMAIL,
                         rows[i].unknown) != (by_text ? rows[i].by_text : rows[i].by_mail))
                fail_msg("row %zu, %s", i, by_text ? "text" : "mail");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the table of laws is well formed, and states are no laxer than their country",
             the_table_is_well_formed),
        TEST("no calling code begins with another", no_calling_code_begins_with_another),
        TEST("people are where their traits and numbers say",
             people_are_where_traits_and_numbers_say),
    };
    return cmocka_run_group_tests_name("regulation", tests, NULL, NULL);
}
