/* Who is in which segment, with a plan made by hand: traits, segments that read others, time, lists.
 * Incremental membership against recomputation of whole programmes: src/replay, tests/sim. */
#include "audience/audience.h"

#include "base/mem.h"
#include "profile/ask.h"
#include "profile/traits.h"
#include "test.h"

#define START INT64_C(1774569600000)

enum { AGE = 2000, VIP, SEEN, COUNTRY, SEGMENTS_FROM = 2100 };
enum { ADULT, IS_VIP, LATELY, LISTED, BOTH, NOT_BOTH, BROKEN, SEGMENTS };

static const struct {
    const char *text;
    uint32_t reads[3]; /* names */
    bool is_list;
} definitions[SEGMENTS] = {
    [ADULT] = {"traits.age >= 18", {AGE}, false},
    [IS_VIP] = {"traits.vip", {VIP}, false},
    [LATELY] = {"now - traits.seen < duration('3d')", {SEEN}, false},
    [LISTED] = {"traits.country == 'de'", {COUNTRY}, true},
    [BOTH] = {"member0() && member1()", {SEGMENTS_FROM + ADULT, SEGMENTS_FROM + IS_VIP}, false},
    [NOT_BOTH] = {"!member4() && traits.age > 3", {SEGMENTS_FROM + BOTH, AGE}, false},
    [BROKEN] = {"traits.country.size() / traits.age > 0", {COUNTRY, AGE}, false},
};

struct fixture {
    struct space space;
    struct profile profile;
    struct arena plan_arena;
    struct plan plan;
    struct plan_trait traits[4];
    struct plan_segment segments[SEGMENTS];
    struct plan_binding bindings[SEGMENTS];
    uint16_t by_name[SEGMENTS];
    struct plan_readers readers[16];
    uint16_t reading[16][SEGMENTS];
    const struct plan *plans[2];
    struct plans versions;
    struct names *names;
    struct results results;
    struct arena scratch;
    struct buf bytes;
    uint8_t secret[192];
    struct person who;
};

static enum expr_found path(void *self, const struct expr_path *path, struct expr_slot *out,
                            struct fault *f)
{
    static const struct {
        const char *name;
        uint32_t number;
        const struct expr_type *type;
    } traits[] = {{"age", AGE, &expr_int},
                  {"vip", VIP, &expr_bool},
                  {"seen", SEEN, &expr_time},
                  {"country", COUNTRY, &expr_text}};
    (void)self;
    (void)f;
    for (size_t i = 0; i < array_count(traits) && path->count >= 2; i++) {
        if (str_is(path->parts[1], traits[i].name)) {
            *out = (struct expr_slot){
                .slot = SLOT(SLOT_TRAIT, traits[i].number), .parts = 2, .type = traits[i].type};
            return EXPR_FOUND;
        }
    }
    return EXPR_UNKNOWN;
}

/* member3(): in the segment of that index. */
static enum expr_found function(void *self, const struct expr_call *call, struct expr_binding *out,
                                struct fault *f)
{
    (void)self;
    (void)f;
    if (!str_starts(call->name, STR("member")))
        return EXPR_UNKNOWN;
    *out = (struct expr_binding){.binding = (uint32_t)(call->name.at[6] - '0'), .type = &expr_bool};
    return EXPR_FOUND;
}

static void reads(struct fixture *f, uint32_t name, uint16_t segment)
{
    uint32_t i = 0;
    while (i < f->plan.reader_count && f->readers[i].name < name)
        i++;
    if (i == f->plan.reader_count || f->readers[i].name != name) {
        for (uint32_t k = f->plan.reader_count; k > i; k--) {
            f->readers[k] = f->readers[k - 1];
            memcpy(f->reading[k], f->reading[k - 1], sizeof(f->reading[k]));
            f->readers[k].segments = f->reading[k];
        }
        f->plan.reader_count++;
        f->readers[i] = (struct plan_readers){name, 0, f->reading[i]};
    }
    f->reading[i][f->readers[i].count++] = segment;
}

static struct fixture *fixture_new(void)
{
    struct fixture *f = mem_new(sizeof(*f));
    const struct expr_scope scope = {.path = path, .function = function};
    space_init(&f->space);
    arena_init(&f->plan_arena, 4096);
    arena_init(&f->scratch, 4096);
    buf_init(&f->bytes);
    f->names = names_new();
    f->traits[0] = (struct plan_trait){.name = AGE, .type = VALUE_INT};
    f->traits[1] = (struct plan_trait){.name = VIP, .type = VALUE_BOOL};
    f->traits[2] = (struct plan_trait){.name = SEEN, .type = VALUE_TIME};
    f->traits[3] = (struct plan_trait){.name = COUNTRY, .type = VALUE_TEXT};
    for (uint16_t i = 0; i < SEGMENTS; i++) {
        struct fault fault = {0};
        struct plan_segment *s = &f->segments[i];
        *s = (struct plan_segment){.name = SEGMENTS_FROM + i,
                                   .kind = SEGMENT_NAMED,
                                   .is_list = definitions[i].is_list,
                                   .hash = i + 1u};
        if (expr_compile(&f->plan_arena, str_of(definitions[i].text), &scope,
                         (struct expr_options){.wanted = EXPR_WANT_BOOL}, &s->when.code,
                         &fault) != OK)
            fail_msg("%s: %s", definitions[i].text, fault.text);
        f->bindings[i] = (struct plan_binding){.kind = BINDING_IN_SEGMENT, .name = s->name};
        f->by_name[i] = i;
        for (size_t k = 0; k < array_count(definitions[i].reads) && definitions[i].reads[k]; k++)
            reads(f, definitions[i].reads[k], i);
    }
    uint32_t readers = f->plan.reader_count;
    f->plan = (struct plan){.traits = f->traits,
                            .trait_count = 4,
                            .bindings = f->bindings,
                            .binding_count = SEGMENTS,
                            .segments = f->segments,
                            .segment_count = SEGMENTS,
                            .segments_by_name = f->by_name,
                            .readers = f->readers,
                            .reader_count = readers};
    f->plans[1] = &f->plan;
    f->versions = (struct plans){.at = f->plans, .count = 2, .newest = 1};
    f->who = (struct person){.space = &f->space,
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
                             .now_ms = START,
                             .at_ms = START};
    audience_created(&f->profile, 1);
    return f;
}

static void fixture_free(struct fixture *f)
{
    vec_clear(&f->space, &f->profile.memberships, sizeof(struct membership));
    blob_set(&f->space, &f->profile.traits, NULL, 0);
    assert_int_equal(f->space.live_bytes, 0);
    space_fini(&f->space);
    arena_fini(&f->plan_arena);
    arena_fini(&f->scratch);
    buf_fini(&f->bytes);
    names_free(f->names);
    mem_free(f->results.rows);
    mem_free(f);
}

static bool is_in(const struct fixture *f, uint32_t segment)
{
    return audience_is_in(&f->who, SEGMENTS_FROM + segment);
}

static void says(struct fixture *f, uint32_t trait, struct value value)
{
    traits_set(&f->who, trait, &value, f->who.at_ms);
}

static uint32_t count_rows(const struct fixture *f, enum result_kind kind, uint32_t segment)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->results.count; i++)
        count +=
            f->results.rows[i].kind == kind && f->results.rows[i].number == SEGMENTS_FROM + segment;
    return count;
}

static void what_changed_asks_its_readers_once(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    audience_changed(&f->who); /* somebody new: all are asked */
    assert_int_equal(f->who.asked, SEGMENTS);
    says(f, VIP, value_bool(true));
    audience_changed(&f->who);
    /* The one that reads it, and the one that reads that; not those that read what did not change. */
    assert_int_equal(f->who.asked, SEGMENTS + 2);
    assert_true(is_in(f, IS_VIP) && !is_in(f, BOTH));
    says(f, AGE, value_int(20));
    audience_changed(&f->who);
    assert_true(is_in(f, ADULT) && is_in(f, BOTH) && !is_in(f, NOT_BOTH));
    /* Age wakes three, the first of which wakes the fourth, which wakes one that is wanted already. */
    assert_int_equal(f->who.asked, SEGMENTS + 2 + 4);
    says(f, AGE, value_int(20));
    audience_changed(&f->who);
    assert_int_equal(f->who.asked, SEGMENTS + 2 + 4);
    fixture_free(f);
}

static void memberships_equal_asking_all(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint64_t seed = 1;
    bool was[SEGMENTS] = {false};
    uint32_t turns[SEGMENTS] = {0};
    for (uint32_t round = 0; round < 3000; round++) {
        seed = hash_pair(seed, round);
        f->who.at_ms = f->who.now_ms += (int64_t)(seed % (9 * HOUR_MS));
        for (int64_t due_ms; (due_ms = audience_deadline(&f->who)) <= f->who.at_ms;) {
            int64_t at_ms = f->who.at_ms;
            f->who.at_ms = due_ms; /* in time, as the engine's timers are */
            audience_timer(&f->who);
            f->who.at_ms = at_ms;
        }
        switch (seed >> 8 & 3) {
        case 0: says(f, AGE, value_int((int64_t)(seed >> 16 & 31))); break;
        case 1: says(f, VIP, value_bool(seed >> 16 & 1)); break;
        case 2:
            says(f, SEEN, value_time(f->who.at_ms - (int64_t)(seed >> 16) % (4 * DAY_MS)));
            break;
        default: says(f, COUNTRY, value_text(seed >> 16 & 1 ? STR("de") : STR("at"))); break;
        }
        audience_changed(&f->who);
        for (uint32_t i = 0; i < SEGMENTS; i++) {
            bool both = is_in(f, ADULT) && is_in(f, IS_VIP);
            struct value age = traits_get(&f->who, AGE, NULL);
            bool wanted =
                i == BOTH ? both
                : i == NOT_BOTH
                    ? !both && age.type == VALUE_INT && age.integer > 3
                    : ask(&f->who, &f->plan, &f->segments[i].when, (struct blob){0}).is_true;
            if (is_in(f, i) != wanted)
                fail_msg("round %u, segment %u: %d", round, i, is_in(f, i));
            turns[i] += is_in(f, i) != was[i];
            was[i] = is_in(f, i);
        }
        arena_reset(&f->scratch);
    }
    /* A row for each turn: those between two rounds, by time, come in pairs at least. */
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        assert_true(count_rows(f, RESULT_MEMBERSHIP, i) >= turns[i]);
        assert_int_equal((count_rows(f, RESULT_MEMBERSHIP, i) - turns[i]) % 2, 0);
        assert_true(turns[i] > 20);
    }
    fixture_free(f);
}

static void time_alone_ends_it(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    says(f, SEEN, value_time(START));
    audience_changed(&f->who);
    assert_true(is_in(f, LATELY));
    assert_int_equal(audience_deadline(&f->who), START + 3 * DAY_MS);
    f->who.at_ms = START + 3 * DAY_MS - 1;
    audience_timer(&f->who);
    assert_true(is_in(f, LATELY));
    f->who.at_ms = START + 3 * DAY_MS;
    audience_timer(&f->who);
    assert_false(is_in(f, LATELY));
    assert_true(audience_deadline(&f->who) == FOREVER_MS);
    fixture_free(f);
}

static void the_hand_overrules_the_condition(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    /* A list goes by its name's text, so it has a real one. */
    uint32_t name = names_add(f->names, STR("listed"));
    struct buf body;
    buf_init(&body);
    body_put_text(&body, NAME_SEGMENT, STR("listed"));
    f->segments[0].name = name; /* the least of the names stays first */
    f->segments[0].is_list = true;
    assert_true(name < SEGMENTS_FROM);
    struct record r = {.type = RECORD_EVENT, .name = NAME_MEMBER_ADDED, .clear = body_of(&body)};
    f->who.event = &r;
    audience_event(&f->who);
    assert_false(audience_is_in(&f->who, name)); /* of no server key */
    r.flags = RECORD_IS_SERVER;
    audience_event(&f->who);
    assert_true(audience_is_in(&f->who, name));
    says(f, AGE, value_int(3));
    audience_changed(&f->who);
    assert_true(audience_is_in(&f->who, name)); /* whatever the condition says */
    r.name = NAME_MEMBER_REMOVED;
    audience_event(&f->who);
    says(f, AGE, value_int(30));
    audience_changed(&f->who);
    assert_false(audience_is_in(&f->who, name));
    buf_fini(&body);
    fixture_free(f);
}

static void failures_are_noted_where_something_woke_them(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    audience_changed(&f->who); /* nothing is known yet, and nothing said so */
    assert_int_equal(count_rows(f, RESULT_ERROR, BROKEN), 0);
    says(f, COUNTRY, value_text(STR("de")));
    says(f, AGE, value_int(0));
    audience_changed(&f->who);
    assert_false(is_in(f, BROKEN));
    assert_int_equal(count_rows(f, RESULT_ERROR, BROKEN), 1);
    assert_int_equal(f->results.rows[f->results.count - 1].how, ERROR_SEGMENT);
    assert_int_equal(f->who.errors, 1);
    says(f, AGE, value_int(1));
    audience_changed(&f->who);
    assert_true(is_in(f, BROKEN));
    assert_int_equal(count_rows(f, RESULT_ERROR, BROKEN), 1);
    fixture_free(f);

    f = fixture_new(); /* of a first event only what the event wakes */
    says(f, AGE, value_int(0));
    audience_changed(&f->who);
    assert_int_equal(count_rows(f, RESULT_ERROR, BROKEN), 1);
    assert_int_equal(count_rows(f, RESULT_ERROR, IS_VIP), 0);
    fixture_free(f);
}

static void a_merge_keeps_the_longer_stay(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(), *g = fixture_new();
    says(f, AGE, value_int(30));
    audience_changed(&f->who);
    g->who.at_ms = START - DAY_MS;
    says(g, AGE, value_int(30));
    says(g, VIP, value_bool(true));
    audience_changed(&g->who);
    audience_unite(&f->who, &g->who);
    assert_true(is_in(f, ADULT) && is_in(f, IS_VIP) && is_in(f, BOTH));
    assert_true(person_membership_find(&f->who, SEGMENTS_FROM + ADULT)->since_ms == START - DAY_MS);
    fixture_free(f);
    fixture_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what changed asks those that read it, and each of them once",
             what_changed_asks_its_readers_once),
        TEST("memberships kept up to date equal those asked anew", memberships_equal_asking_all),
        TEST("time alone ends a membership, at its moment", time_alone_ends_it),
        TEST("the hand overrules the condition", the_hand_overrules_the_condition),
        TEST("failures are noted where something woke them",
             failures_are_noted_where_something_woke_them),
        TEST("a merge keeps the longer stay", a_merge_keeps_the_longer_stay),
    };
    return cmocka_run_group_tests_name("audience/audience", tests, NULL, NULL);
}
