/* Value and until: no change strictly before it.
 *
 * Random expressions over a small world are run at every millisecond of a short stretch of time. Two
 * oracles: the same text compiled for one moment (`now` is a plain value, so nothing is solved) says
 * what the value is at each instant; and walking through all instants says when it really changes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/hash.h"
#include "expr/host_for_tests.h"
#include "test.h"

#define SPAN_MS 240 /* of each walk */

/* How many expressions: WEND_LONG=1 in the environment makes it fifty times as many, some minutes. */
static uint64_t rounds(uint64_t count)
{
    return getenv("WEND_LONG") ? 50 * count : count;
}

/* Chance that can be replayed. */
struct chance {
    uint64_t seed, drawn;
};

static uint32_t draw(struct chance *c, uint32_t below)
{
    return (uint32_t)(hash_pair(c->seed, ++c->drawn) % below);
}

struct maker {
    struct chance chance;
    struct arena *arena;
    int64_t base_ms; /* the walk is [base_ms, base_ms + SPAN_MS) */
    int depth;
};

static const char *make_bool(struct maker *m);
static const char *make_time(struct maker *m);
static const char *make_duration(struct maker *m);

static const char *text(struct maker *m, const char *format, ...) printf_like(2, 3);
static const char *text(struct maker *m, const char *format, ...)
{
    char made[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(made, sizeof(made), format, args);
    va_end(args);
    return arena_copy(m->arena, str_of(made)).at;
}

static const char *time_literal(struct maker *m)
{
    struct value v = value_time(m->base_ms - 100 + (int64_t)draw(&m->chance, SPAN_MS + 200));
    if (draw(&m->chance, 3) == 0)
        v.sub_ns = draw(&m->chance, 1000000);
    return expr_value_print(m->arena, &v, 200).at;
}

static const char *duration_literal(struct maker *m)
{
    static const int64_t whole[] = {0, 1, 100, SECOND_MS, HOUR_MS, -100, -1, DAY_MS};
    struct value v =
        value_duration(draw(&m->chance, 2) ? whole[draw(&m->chance, array_count(whole))]
                                           : (int64_t)draw(&m->chance, 300) - 150);
    if (draw(&m->chance, 3) == 0)
        v.sub_ns = draw(&m->chance, 1000000);
    return expr_value_print(m->arena, &v, 200).at;
}

static const char *make_time(struct maker *m)
{
    if (m->depth <= 0)
        return draw(&m->chance, 2) ? "now" : time_literal(m);
    m->depth--;
    const char *made;
    switch (draw(&m->chance, 9)) {
    case 0:
    case 1: made = "now"; break;
    case 2: made = time_literal(m); break;
    case 3: made = draw(&m->chance, 2) ? "event.at" : "event.gone"; break;
    case 4: made = text(m, "(%s + %s)", make_time(m), make_duration(m)); break;
    case 5: made = text(m, "(%s - %s)", make_time(m), make_duration(m)); break;
    case 6: made = text(m, "(%s + %s)", make_duration(m), make_time(m)); break;
    case 7: made = text(m, "(%s ? %s : %s)", make_bool(m), make_time(m), make_time(m)); break;
    default: made = text(m, "cel.bind(t%d, %s, t%d)", m->depth, make_time(m), m->depth); break;
    }
    m->depth++;
    return made;
}

static const char *make_duration(struct maker *m)
{
    if (m->depth <= 0)
        return duration_literal(m);
    m->depth--;
    const char *made;
    switch (draw(&m->chance, 6)) {
    case 0:
    case 1: made = duration_literal(m); break;
    case 2:
    case 3: made = text(m, "(%s - %s)", make_time(m), make_time(m)); break;
    case 4: made = text(m, "(%s + %s)", make_duration(m), make_duration(m)); break;
    default: made = text(m, "(%s - %s)", make_duration(m), make_duration(m)); break;
    }
    m->depth++;
    return made;
}

static const char *make_int(struct maker *m)
{
    static const char *const getters[] = {
        "getFullYear",  "getMonth", "getDate",    "getDayOfMonth", "getDayOfWeek",
        "getDayOfYear", "getHours", "getMinutes", "getSeconds",    "getMilliseconds",
    };
    static const char *const zones[] = {"", "", "'+05:30'", "'-02:30'", "'Test/Summer'"};
    if (m->depth <= 0)
        return text(m, "%u", draw(&m->chance, 5));
    m->depth--;
    const char *made;
    switch (draw(&m->chance, 6)) {
    case 0: made = "event.count"; break;
    case 1: made = text(m, "%u", draw(&m->chance, 25)); break;
    case 2: made = text(m, "(%s).%s()", make_duration(m), getters[6 + draw(&m->chance, 4)]); break;
    case 3: made = text(m, "(%s + %s)", make_int(m), make_int(m)); break;
    default:
        made = text(m, "(%s).%s(%s)", make_time(m), getters[draw(&m->chance, 10)],
                    zones[draw(&m->chance, 5)]);
        break;
    }
    m->depth++;
    return made;
}

static const char *make_bool(struct maker *m)
{
    static const char *const signs[] = {"<", "<=", ">", ">=", "==", "!="};
    const char *sign = signs[draw(&m->chance, 6)];
    if (m->depth <= 0)
        return text(m, "now %s %s", sign, time_literal(m));
    m->depth--;
    const char *made;
    switch (draw(&m->chance, 13)) {
    case 0:
    case 1:
    case 2: made = text(m, "%s %s %s", make_time(m), sign, make_time(m)); break;
    case 3:
    case 4: made = text(m, "%s %s %s", make_duration(m), sign, make_duration(m)); break;
    case 5:
    case 6: made = text(m, "%s %s %s", make_int(m), sign, make_int(m)); break;
    case 7: made = text(m, "(%s && %s)", make_bool(m), make_bool(m)); break;
    case 8: made = text(m, "(%s || %s)", make_bool(m), make_bool(m)); break;
    case 9: made = text(m, "!(%s)", make_bool(m)); break;
    case 10: made = text(m, "(%s ? %s : %s)", make_bool(m), make_bool(m), make_bool(m)); break;
    case 11: made = "event.flag"; break;
    default:
        made = text(m, "[%s, %s].%s(x%d, x%d %s %s)", time_literal(m), time_literal(m),
                    draw(&m->chance, 2) ? "all" : "exists", m->depth, m->depth, sign, make_time(m));
        break;
    }
    m->depth++;
    return made;
}

static bool is_same(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == VALUE_BOOL)
        return a->boolean == b->boolean;
    /* Errors are alike; which one comes first may differ between the two ways to compute it. */
    return a->type == VALUE_ERROR;
}

/* Instants around which something happens on the calendar. */
static const int64_t bases[] = {
    INT64_C(1767225600000) - 120,  /* 2026-01-01T00:00:00Z */
    INT64_C(1772323200000) - 100,  /* 2026-03-01T00:00:00Z */
    INT64_C(1772366400000) - 50,   /* noon */
    INT64_C(1772371800000) - 120,  /* 18:30 in India */
    1000000000 - 120,              /* the clocks of Test/Summer change */
    -120,                          /* 1970 */
    INT64_C(1772366400000) + 1234, /* nothing */
};

struct walk {
    struct arena arena;
    struct world world;
    const struct expr *rule, *once;
    struct value values[SPAN_MS + 1];
    int64_t until_ms[SPAN_MS + 1];
};

static struct attribute attributes[4];

static const struct expr *compile(struct walk *w, const char *text_, enum expr_mode mode)
{
    struct expr_scope scope = world_scope(&w->world);
    const struct expr *expr = NULL;
    struct fault f = {0};
    struct expr_options options = {.mode = mode};
    if (expr_compile(&w->arena, str_of(text_), &scope, options, &expr, &f) != OK)
        fail_msg("%s\n    %u: %s", text_, f.column, f.text);
    return expr;
}

/* Runs the rule at every millisecond of the walk, and compares each value with the oracle's. */
static void walk_through(struct walk *w, const char *made, int64_t base_ms)
{
    struct arena scratch;
    arena_init(&scratch, 4096);
    for (int64_t i = 0; i <= SPAN_MS; i++) {
        w->world.now_ms = base_ms + i;
        struct expr_host host = world_host(&w->world);
        struct expr_result rule, once;
        expr_run(w->rule, &host, &scratch, &rule);
        expr_run(w->once, &host, &scratch, &once);
        if (!is_same(&rule.value, &once.value))
            fail_msg("%s\n    at %lld: %s, but it is %s", made, (long long)w->world.now_ms,
                     expr_value_print(&scratch, &rule.value, 200).at,
                     expr_value_print(&scratch, &once.value, 200).at);
        assert_true(rule.until_ms > w->world.now_ms);
        w->values[i] = rule.value;
        w->until_ms[i] = rule.until_ms;
        arena_reset(&scratch);
    }
    arena_fini(&scratch);
}

/* No value changes before the until of an earlier one. */
static void check_untils(const struct walk *w, const char *made, int64_t base_ms)
{
    for (int64_t i = 0; i <= SPAN_MS; i++)
        for (int64_t k = i + 1; k <= SPAN_MS && base_ms + k < w->until_ms[i]; k++)
            if (!is_same(&w->values[i], &w->values[k]))
                fail_msg("%s\n    at %lld it holds until %lld, but at %lld it is another", made,
                         (long long)(base_ms + i), (long long)w->until_ms[i],
                         (long long)(base_ms + k));
}

/* A world whose attributes change in the middle of the walk. */
static void set_world(struct walk *w, struct chance *c, int64_t base_ms)
{
    int64_t change_ms = base_ms + 1 + (int64_t)draw(c, SPAN_MS);
    attributes[0] = (struct attribute){
        .name = "event.at",
        .type = &expr_time,
        .value = value_time(base_ms + (int64_t)draw(c, SPAN_MS)),
        .until_ms = draw(c, 2) ? change_ms : 0,
        .after = value_time(base_ms + (int64_t)draw(c, SPAN_MS)),
    };
    /* What stands in the padding of a host's value must not matter. */
    attributes[0].value.pad[0] = 1;
    attributes[0].value.sub_ns = draw(c, 2) ? 0 : draw(c, 1000000);
    attributes[1] = (struct attribute){.name = "event.gone",
                                       .type = &expr_time,
                                       .until_ms = draw(c, 3) ? 0 : change_ms,
                                       .after = value_time(base_ms + 50)};
    attributes[2] = (struct attribute){.name = "event.flag",
                                       .type = &expr_bool,
                                       .value = value_bool(true),
                                       .until_ms = change_ms,
                                       .after = value_bool(false)};
    attributes[3] = (struct attribute){.name = "event.count",
                                       .type = &expr_int,
                                       .value = value_int(draw(c, 25)),
                                       .until_ms = change_ms,
                                       .after = value_int(draw(c, 25))};
    w->world = (struct world){.attributes = attributes, .count = array_count(attributes)};
}

static void never_too_late(void **state)
{
    (void)state;
    uint32_t changes = 0, errors = 0;
    struct walk *w = test_malloc(sizeof(*w));
    for (uint64_t seed = 1; seed <= rounds(4000); seed++) {
        *w = (struct walk){0};
        arena_init(&w->arena, 16384);
        struct maker m = {.chance = {.seed = seed}, .arena = &w->arena};
        m.base_ms = bases[draw(&m.chance, array_count(bases))];
        m.depth = 1 + (int)draw(&m.chance, 4);
        set_world(w, &m.chance, m.base_ms);
        const char *made = make_bool(&m);
        w->rule = compile(w, made, EXPR_RULE);
        w->once = compile(w, made, EXPR_ONCE);
        walk_through(w, made, m.base_ms);
        check_untils(w, made, m.base_ms);
        for (int i = 0; i < SPAN_MS; i++)
            changes += !is_same(&w->values[i], &w->values[i + 1]);
        errors += w->values[0].type == VALUE_ERROR;
        arena_fini(&w->arena);
    }
    test_free(w);
    /* The walks see something: most expressions change in them, few are errors. */
    assert_true(changes > 1000);
    assert_true(errors < rounds(4000) / 5);
}

/* The same with nothing but calendar fields, of times that move forwards and backwards. */
static void calendar(void **state)
{
    (void)state;
    static const char *const times[] = {
        "now",
        "now + duration('13.5ms')",
        "%1$s - (now - %2$s)",
        "%1$s - (now - %2$s) + duration('0.000001ms')",
        "now + (now - %2$s)",
    };
    static const char *const fields[] = {
        "getHours('Test/Summer')",   "getDate('Test/Summer')", "getMinutes()", "getHours('+05:30')",
        "getFullYear('-01:00')",     "getDayOfYear()",         "getSeconds()", "getMonth()",
        "getMilliseconds('+00:30')",
    };
    struct walk *w = test_malloc(sizeof(*w));
    for (uint64_t seed = 1; seed <= rounds(1500); seed++) {
        *w = (struct walk){0};
        arena_init(&w->arena, 16384);
        struct maker m = {.chance = {.seed = seed}, .arena = &w->arena};
        m.base_ms = bases[draw(&m.chance, array_count(bases))];
        set_world(w, &m.chance, m.base_ms);
        char moving[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(moving, sizeof(moving), times[draw(&m.chance, array_count(times))],
                 time_literal(&m), time_literal(&m));
#pragma GCC diagnostic pop
        const char *field = fields[draw(&m.chance, array_count(fields))];
        /* What it is at one moment of the walk, so that the answer changes somewhere. */
        w->world.now_ms = m.base_ms + (int64_t)draw(&m.chance, SPAN_MS);
        const struct expr *expr = compile(w, text(&m, "(%s).%s", moving, field), EXPR_ONCE);
        struct expr_host host = world_host(&w->world);
        struct expr_result result;
        expr_run(expr, &host, &w->arena, &result);
        assert_int_equal(result.value.type, VALUE_INT);
        const char *made =
            text(&m, "(%s).%s == %lld", moving, field, (long long)result.value.integer);
        w->rule = compile(w, made, EXPR_RULE);
        w->once = compile(w, made, EXPR_ONCE);
        walk_through(w, made, m.base_ms);
        check_untils(w, made, m.base_ms);
        arena_fini(&w->arena);
    }
    test_free(w);
}

static void never_too_early(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        "now %s %s",
        "%2$s %1$s now",
        "now - duration('30ms') %s %s",
        "now + duration('7.000001ms') %s %s",
        "now - %2$s %1$s duration('10ms')",
        "%2$s - now %1$s duration('-3.5ms')",
        "(now - %2$s) + (now - %2$s) %1$s duration('9ms')",
    };
    static const char *const signs[] = {"<", "<=", ">", ">=", "==", "!="};
    struct walk *w = test_malloc(sizeof(*w));
    for (uint64_t seed = 1; seed <= rounds(400); seed++) {
        *w = (struct walk){0};
        arena_init(&w->arena, 16384);
        struct maker m = {.chance = {.seed = seed}, .arena = &w->arena};
        m.base_ms = bases[draw(&m.chance, array_count(bases))];
        set_world(w, &m.chance, m.base_ms);
        const char *shape = shapes[draw(&m.chance, array_count(shapes))];
        const char *sign = signs[draw(&m.chance, 6)];
        char made[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(made, sizeof(made), shape, sign, time_literal(&m));
#pragma GCC diagnostic pop
        w->rule = compile(w, made, EXPR_RULE);
        w->once = compile(w, made, EXPR_ONCE);
        walk_through(w, made, m.base_ms);
        check_untils(w, made, m.base_ms);
        /* A single comparison is solved exactly: at its until it is another. */
        for (int64_t i = 0; i < SPAN_MS; i++) {
            if (w->until_ms[i] == FOREVER_MS)
                continue;
            int64_t at = w->until_ms[i] - m.base_ms;
            if (at <= SPAN_MS && is_same(&w->values[i], &w->values[at]))
                fail_msg("%s\n    at %lld it holds until %lld, but there it is the same", made,
                         (long long)(m.base_ms + i), (long long)w->until_ms[i]);
        }
        arena_fini(&w->arena);
    }
    test_free(w);
}

struct moment {
    const char *text;
    int64_t now_ms;
    const char *value;
    int64_t until_ms;
};

static void examples(void **state)
{
    (void)state;
    static const struct moment cases[] = {
        /* event.at is 5000; a boundary between two milliseconds is rounded up */
        {"now > event.at", 4000, "false", 5001},
        {"now >= event.at", 4000, "false", 5000},
        {"now < event.at", 4999, "true", 5000},
        {"now <= event.at", 5000, "true", 5001},
        {"now == event.at", 4990, "false", 5000},
        {"now == event.at", 5000, "true", 5001},
        {"now == event.at", 5001, "false", FOREVER_MS},
        {"now > event.at + duration('1.5ms')", 5001, "false", 5002},
        {"now - event.at > duration('3d')", 5000, "false", 5000 + 3 * DAY_MS + 1},
        {"now - event.at >= duration('3d')", 5000, "false", 5000 + 3 * DAY_MS},
        {"now - event.at >= duration('3d')", 5000 + 3 * DAY_MS, "true", FOREVER_MS},
        {"event.at - now < duration('1s')", 1000, "false", 4001},
        {"now - now == duration('0s')", 1000, "true", FOREVER_MS},
        {"now < now + duration('1ms')", 1000, "true", FOREVER_MS},
        /* only what was read counts */
        {"now > timestamp(9) || now > timestamp(3)", 8000, "true", 9001},
        {"now > timestamp(9) && now > timestamp(3)", 8000, "false", 9001},
        {"now > timestamp(3) || now > timestamp(9)", 8000, "true", FOREVER_MS},
        {"event.flag || now > timestamp(20)", 8000, "true", 10000},
        {"!event.flag && now > timestamp(20)", 8000, "false", 10000},
        {"event.gone > now || now > timestamp(9)", 8000, "error: no such attribute: event.gone",
         9001},
        {"has(event.gone)", 8000, "false", FOREVER_MS},
        /* calendar fields are steps */
        {"now.getHours() == 0", 1000, "true", HOUR_MS},
        {"now.getHours('+05:30') == 5", 1000, "true", 30 * MINUTE_MS},
        {"now.getDayOfWeek() == 4", 1000, "true", DAY_MS},
        {"now.getMonth() == 0", 1000, "true", 31 * DAY_MS},
        {"now.getFullYear() == 1970", 1000, "true", 365 * DAY_MS},
        {"now.getMinutes() == 0", 1000, "true", MINUTE_MS},
        {"now.getSeconds() == 1", 1000, "true", 2000},
        {"now.getMilliseconds() == 7", 1007, "true", 1008},
        {"(now + duration('30m')).getHours() == 0", 1000, "true", 30 * MINUTE_MS},
        {"(now - event.at).getHours() == 0", 5000, "true", 5000 + HOUR_MS},
        {"(event.at - now).getSeconds() == 4", 1000, "true", 1001},
        {"(event.at - now).getSeconds() == 0", 4500, "true", 6000},
        /* the clocks change at 1,000,000 s: the hour jumps */
        {"now.getHours('Test/Summer') == 13", 999999000, "true", 1000000000},
        {"event.at.getHours() == 0", 1000, "true", FOREVER_MS},
        /* host functions say until when */
        {"did('Login', '3d')", 1000, "true", 1500},
        {"did('Login', '3d') && now < timestamp(1)", 900, "true", 1000},
        {"[timestamp(3), timestamp(9)].exists(t, t > now)", 1000, "true", 3000},
        {"[timestamp(3), timestamp(9)].exists(t, t > now)", 3000, "true", 9000},
        {"[timestamp(3), timestamp(9)].all(t, t < now)", 8000, "false", 9001},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct walk *w = test_malloc(sizeof(*w));
        *w = (struct walk){0};
        arena_init(&w->arena, 16384);
        attributes[0] =
            (struct attribute){.name = "event.at", .type = &expr_time, .value = value_time(5000)};
        attributes[1] = (struct attribute){.name = "event.gone", .type = &expr_time};
        attributes[2] = (struct attribute){.name = "event.flag",
                                           .type = &expr_bool,
                                           .value = value_bool(true),
                                           .until_ms = 10000,
                                           .after = value_bool(false)};
        attributes[3] =
            (struct attribute){.name = "event.count", .type = &expr_int, .value = value_int(1)};
        w->world = (struct world){
            .attributes = attributes, .count = array_count(attributes), .now_ms = cases[i].now_ms};
        const struct expr *expr = compile(w, cases[i].text, EXPR_RULE);
        struct expr_host host = world_host(&w->world);
        struct expr_result result;
        expr_run(expr, &host, &w->arena, &result);
        const char *said = expr_value_print(&w->arena, &result.value, 200).at;
        if (strcmp(said, cases[i].value) != 0 || result.until_ms != cases[i].until_ms)
            fail_msg("%s at %lld\n    is %s until %lld, not %s until %lld", cases[i].text,
                     (long long)cases[i].now_ms, said, (long long)result.until_ms, cases[i].value,
                     (long long)cases[i].until_ms);
        arena_fini(&w->arena);
        test_free(w);
    }
}

static void far_away(void **state)
{
    (void)state;
    /* Beyond what a duration can be, a moving one still answers; beyond all, it is an error. */
    static const struct moment cases[] = {
        {"now - timestamp('0001-01-01T00:00:00Z') > duration('3d')", 0, "true", FOREVER_MS},
        {"timestamp('9999-12-31T23:59:59Z') - now > duration('106000d')", 0, "true",
         INT64_C(253402300799000) - 106000 * DAY_MS},
        {"now + duration('100000d') < timestamp('9999-12-31T23:59:59Z')", 0, "true",
         INT64_C(253402300799000) - 100000 * DAY_MS},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct walk *w = test_malloc(sizeof(*w));
        *w = (struct walk){0};
        arena_init(&w->arena, 16384);
        w->world.now_ms = cases[i].now_ms;
        const struct expr *expr = compile(w, cases[i].text, EXPR_RULE);
        struct expr_host host = world_host(&w->world);
        struct expr_result result;
        expr_run(expr, &host, &w->arena, &result);
        assert_string_equal(expr_value_print(&w->arena, &result.value, 200).at, cases[i].value);
        assert_int_equal(result.until_ms, cases[i].until_ms);
        arena_fini(&w->arena);
        test_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a value and until when it holds, by example", examples),
        TEST("nothing changes before its until, whatever the expression", never_too_late),
        TEST("calendar fields hold until the boundary, forwards and backwards", calendar),
        TEST("a comparison holds exactly until it changes", never_too_early),
        TEST("times that are far away are compared all the same", far_away),
    };
    return cmocka_run_group_tests_name("expr/affine", tests, NULL, NULL);
}
