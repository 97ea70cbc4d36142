/* What people read when an expression does not compile: the sentence, and where it points.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/host_for_tests.h"
#include "test.h"

static struct attribute attributes[] = {
    {.name = "event.value", .type = &expr_double},
    {.name = "event.count", .type = &expr_int},
    {.name = "traits.plan", .type = &expr_text},
    {.name = "traits.tags", .type = &expr_list_dyn},
    {.name = "event.at", .type = &expr_time},
    {.name = "event.any", .type = &expr_dyn},
    {.name = "traits.beta", .type = &expr_bool},
    {.name = "traits.age", .type = &expr_duration},
    {.name = "event.items", .type = &expr_list_dyn},
};

struct golden {
    const char *text;
    uint32_t column; /* 0: compiles */
    const char *sentence;
};

static void compare(const struct golden *cases, size_t count, struct expr_options options)
{
    for (size_t i = 0; i < count; i++) {
        struct arena plan;
        arena_init(&plan, 4096);
        struct world world = {.attributes = attributes, .count = array_count(attributes)};
        struct expr_scope scope = world_scope(&world);
        const struct expr *expr = NULL;
        struct fault f = {0};
        enum status status = expr_compile(&plan, str_of(cases[i].text), &scope, options, &expr, &f);
        if (cases[i].column == 0) {
            if (status != OK)
                fail_msg("%s\n    %u: %s", cases[i].text, f.column, f.text);
        } else {
            if (status == OK)
                fail_msg("%s compiles", cases[i].text);
            if (strcmp(f.text, cases[i].sentence) != 0 || f.column != cases[i].column)
                fail_msg("%s\n    %u: %s\n    %u: %s", cases[i].text, f.column, f.text,
                         cases[i].column, cases[i].sentence);
            assert_int_equal(status, FIX_INPUT);
        }
        arena_fini(&plan);
    }
}

static void syntax(void **state)
{
    (void)state;
    static const struct golden cases[] = {
        {"", 1, "the expression is empty"},
        {"event.count = 3", 13, "unexpected \"=\"; write == to compare"},
        {"event.count == 3 & traits.beta", 18, "unexpected \"&\"; write && for \"and\""},
        {"event.count == 3 and traits.beta", 18,
         "unexpected \"and\" after the expression; write &&"},
        {"traits.beta or true", 13, "unexpected \"or\" after the expression; write ||"},
        {"event.count is 3", 13, "unexpected \"is\" after the expression; write =="},
        {"(event.count", 13, "the text ends before the \")\" after the expression in parentheses"},
        {"[1, 2", 6, "the text ends before the \",\" between the items of the list"},
        {"[1 2]", 4, "expected \",\" between the items of the list, found \"2\""},
        {"{'a' 1}", 6, "expected \":\" between key and value, found \"1\""},
        {"event.", 7, "expected a field name after the dot"},
        {"event.count ==", 15, "the text ends where a value is missing"},
        {"event.count == 'abc", 16, "this text has no closing '"},
        {"'a\\qb'", 3, "unknown escape \"\\q\"; write \\\\ for a backslash"},
        {"event.count > 3x", 15, "this is no number; put a blank between number and name"},
        {"9223372036854775808", 1,
         "this number is too large for an int; write 9223372036854775808u"},
        {"1e999", 1, "this number is too large for a double"},
        {"if", 1, "\"if\" is a reserved word, not a name; write condition ? one : other"},
        {"has(event)", 5, "has() takes a field, as in has(event.coupon)"},
        {"traits.tags.all(x)", 13,
         "all() takes (list or map, name, test), as in [1, 2].all(x, x > 0)"},
        {"traits.tags.all(x.y, true)", 17, "expected a simple name for the variable"},
        {"Foo{a: 1}", 4, "messages cannot be built here; write a map: {\"name\": value}"},
        {"event.`x", 7, "this field name has no closing `"},
        {"a ? b", 6, "the text ends before the \":\" of the choice"},
        {"event.count > 3 // a comment", 0, ""},
        {"\"\xff\"", 1, "this text is no valid UTF-8"},
        {"event.count \xe2\x82\xac 3", 13, "unexpected \"\xe2\x82\xac\""},
    };
    compare(cases, array_count(cases), (struct expr_options){0});
}

static void names(void **state)
{
    (void)state;
    static const struct golden cases[] = {
        {"event.vlaue > 3.0", 1,
         "unknown name \"event.vlaue\"; did you mean \"event.value\" (double)?"},
        {"trait.plan == 'a'", 1,
         "unknown name \"trait.plan\"; did you mean \"traits.plan\" (string)?"},
        {"nwo > event.at", 1, "unknown name \"nwo\"; did you mean \"now\" (timestamp)?"},
        {"quite.different", 1, "unknown name \"quite.different\""},
        {"traits.tags.exists(tag, tga == 'x')", 25,
         "unknown name \"tga\"; did you mean \"tag\" (dyn)?"},
        {"did", 1, "\"did\" is a function; write did(...)"},
        {"dod('Login', '3d')", 1, "unknown function \"dod\"; did you mean \"did\"?"},
        {"siez(traits.plan)", 1, "unknown function \"siez\"; did you mean \"size\"?"},
        {"traits.plan.startWith('a')", 13,
         "unknown function \"startWith\"; did you mean \"startsWith\"?"},
        {"startsWith(traits.plan, 'a')", 1,
         "startsWith() is called with a dot: text.startsWith(...)"},
        {"event.at.timestamp()", 10, "timestamp() is called without a dot: timestamp(event.at)"},
        {"math.abz(1)", 1, "unknown function \"math.abz\"; did you mean \"math.abs\"?"},
        {"secret.thing", 1, "\"secret\" is not available in conditions"},
        {"refused()", 1, "refused() needs a programme with refusals"},
        {"did(traits.plan, '3d')", 1, "did() takes an event and a window: did(\"Login\", \"3d\")"},
        {"past('A', e, e.skuu == 'x')", 14, "unknown name \"e.skuu\""},
        {"past('A', e.x, true)", 11, "expected a simple name for the past event"},
        {"past('A', e, e.price)", 14, "a predicate is true or false; \"e.price\" is of type int"},
        {"[1].all(x, past('A', e, e.price == x))", 36,
         "\"x\" belongs to the expression around and cannot be used in the predicate of a past event"},
        {"event.at.getHours('Europe/Lodnon') > 1", 19, "unknown time zone \"Europe/Lodnon\""},
        {"event.at.getHours('Test/Summer') > 1 && event.at.getHours('+01:00') > 1", 0, ""},
    };
    compare(cases, array_count(cases), (struct expr_options){0});
}

static void types(void **state)
{
    (void)state;
    static const struct golden cases[] = {
        {"event.value == '12'", 13,
         "\"event.value\" is of type double and cannot be compared by == with string; write the "
         "number without quotes"},
        {"traits.plan > 3", 13,
         "\"traits.plan\" is of type string and cannot be compared by > with int; write the text in "
         "quotes"},
        {"event.at > '2026-03-01'", 10,
         "\"event.at\" is of type timestamp and cannot be compared by > with string; write "
         "timestamp(\"2026-03-01T00:00:00Z\")"},
        {"traits.age > '3d'", 12,
         "\"traits.age\" is of type duration and cannot be compared by > with string; write "
         "duration(\"3d\")"},
        {"event.value > 12", 0, ""},
        {"event.value == 12", 0, ""},
        {"event.count + 1.5 > 2.0", 13,
         "there is no int + double; write double(...) around the other"},
        {"traits.plan + event.count", 13,
         "there is no string + int; write string(...) around the other"},
        {"event.at - 3", 10,
         "there is no timestamp - int; write duration(\"3d\") for a length of time"},
        {"event.count && traits.beta", 1,
         "\"&&\" needs true or false; \"event.count\" is of type int"},
        {"!traits.plan", 2, "\"!\" needs true or false; \"traits.plan\" is of type string"},
        {"traits.beta ? 1 : 'a'", 13,
         "both sides of a choice need the same type; \"1\" is int, \"'a'\" is string"},
        {"size(event.count)", 1,
         "size() does not take (int); it takes (string) or (bytes) or (list(A)) or (map(A, B))"},
        {"traits.plan.size(1)", 13,
         ".size() does not take (string, int); it takes (string) or (bytes) or (list(A)) or (map(A, "
         "B))"},
        {"event.count.x", 13, "\"event.count\" is of type int and has no field \"x\""},
        {"event.count[0]", 12, "\"event.count\" is of type int and cannot be indexed"},
        {"traits.tags['a']", 13, "a list is indexed by an int, not by string"},
        {"{'a': 1}[1]", 10, "the keys of \"{'a': 1}\" are of type string, not int"},
        {"'a' in traits.plan", 8,
         "\"in\" looks into a list or a map, not into string; write text.contains(...)"},
        {"1 in ['a']", 1, "\"1\" is of type int, but \"['a']\" holds string"},
        {"event.count.all(x, true)", 1,
         "\"event.count\" is of type int; only a list or a map has items"},
        {"[1].all(x, x + 1)", 12,
         "the test of each item needs true or false; \"x + 1\" is of type int"},
        {"[1].exists(x, y == 'a')", 15, "unknown name \"y\"; did you mean \"x\" (int)?"},
        {"{1.5: 2}", 2, "a key is a string, an int, a uint or a bool, not double"},
        {"traits.plan.matches('[')", 21, "this is no pattern: missing ]: ["},
        {"[?1]", 3, "expected an optional after \"?\", found int"},
        {"event.any == 1 && event.any.x.y == 'a' && event.any[0] < 3", 0, ""},
    };
    compare(cases, array_count(cases), (struct expr_options){0});
    static const struct golden conditions[] = {
        {"event.count", 1, "expected true or false, but this is of type int"},
        {"event.any", 0, ""},
        {"event.count > 1", 0, ""},
    };
    compare(conditions, array_count(conditions), (struct expr_options){.wanted = EXPR_WANT_BOOL});
    static const struct golden dates[] = {
        {"event.count", 1, "expected a timestamp, but this is of type int"},
        {"event.at + duration('3d')", 0, ""},
        {"now + duration('3d')", 0, ""},
        {"string(now)", 1, "expected a timestamp, but this is of type string"},
    };
    compare(dates, array_count(dates),
            (struct expr_options){.wanted = EXPR_WANT_TIME, .mode = EXPR_ONCE});
}

/* What people write who know other languages (slips.def, and hints where types meet). */
static void slips(void **state)
{
    (void)state;
    static const struct golden cases[] = {
        {"event.value => 30", 13, "unexpected \"=\"; write >= for \"at least\""},
        {"event.value =< 30", 13, "unexpected \"=\"; write <= for \"at most\""},
        {"event.value <> 30", 14, "expected a value, found \">\"; write != for \"not equal\""},
        {"traits.plan = 'free'", 13, "unexpected \"=\"; write == to compare"},
        {"traits.plan === 'free'", 15, "unexpected \"=\"; two are enough: =="},
        {"traits.plan == free", 16, "unknown name \"free\"; if it is a text, write it in quotes"},
        {"traits.plan == \xe2\x80\x9c"
         "free\xe2\x80\x9d",
         16,
         "unexpected \"\xe2\x80\x9c"
         "\"; write straight quotes: \"...\""},
        {"traits.plan equals 'free'", 13, "unexpected \"equals\" after the expression; write =="},
        {"not traits.beta", 5, "unexpected \"traits\" after the expression; write ! for \"not\""},
        {"traits.beta AND event.value > 3", 13,
         "unexpected \"AND\" after the expression; write &&"},
        {"event.value > 1,000", 16,
         "unexpected \",\" after the expression; a decimal point is a dot, thousands are written without a sign, several values stand in [..]"},
        {"event.value > $30", 15, "unexpected \"$\"; write the number alone"},
        {"30 < event.value < 50", 18,
         "\"30 < event.value\" is of type bool and cannot be compared by < with int; write 30 < x && x < 50"},
        {"event.value between 30 and 50", 13,
         "unexpected \"between\" after the expression; write x >= 30 && x <= 50"},
        {"traits.plan not in ['free']", 13,
         "unexpected \"not\" after the expression; write !(x in list)"},
        {"traits.plan != null", 13,
         "\"traits.plan\" is of type string and cannot be compared by != with null; what is missing is asked for with has(event.coupon)"},
        {"traits.plan == nil", 16,
         "unknown name \"nil\"; what is missing is asked for with has(event.coupon)"},
        {"traits.beta == 'true'", 13,
         "\"traits.beta\" is of type bool and cannot be compared by == with string; write true or false without quotes"},
        {"traits.beta == TRUE", 16, "unknown name \"TRUE\"; write true, in small letters"},
        {"traits.plan contains 'a'", 13,
         "unexpected \"contains\" after the expression; write text.contains(\"a\"), or \"a\" in list"},
        {"traits.plan.length() > 3", 13, "unknown function \"length\"; write size(...)"},
        {"traits.plan.toLowerCase() == 'free'", 13,
         "unknown function \"toLowerCase\"; write text.lowerAscii()"},
        {"lower(traits.plan) == 'free'", 1, "unknown function \"lower\"; write text.lowerAscii()"},
        {"traits.plan like 'f%'", 13,
         "unexpected \"like\" after the expression; write text.matches(\"^f\"), or startsWith, endsWith, contains"},
        {"traits.plan =~ 'f.*'", 13, "unexpected \"=\"; write text.matches(\"^a\")"},
        {"traits.tags has 'vip'", 13,
         "unexpected \"has\" after the expression; write \"a\" in list"},
        {"now() - event.at > duration('3d')", 1,
         "unknown function \"now\"; now is a name: write it without parentheses"},
        {"today() > event.at", 1,
         "unknown function \"today\"; now is the moment; compare it, or ask it for a field: now.getDate(\"Europe/London\")"},
        {"now - event.at > 3d", 18,
         "this is no number; a length of time is written duration(\"3d\")"},
        {"now - event.at > 3", 16,
         "\"now - event.at\" is of type duration and cannot be compared by > with int; write duration(\"3d\")"},
        {"now - event.at > 3 days", 20,
         "unexpected \"days\" after the expression; write duration(\"3d\")"},
        {"event.at + '3d' > now", 10,
         "there is no timestamp + string; write duration(\"3d\") for a length of time"},
        {"event.at > 2026-01-01", 10,
         "\"event.at\" is of type timestamp and cannot be compared by > with int; write timestamp(\"2026-03-01T00:00:00Z\")"},
        {"event.at.hour() > 3", 10, "unknown function \"hour\"; write time.getHours()"},
        {"hour(event.at) > 3", 1, "unknown function \"hour\"; write time.getHours()"},
        {"if(traits.beta, 1, 2) == 1", 1,
         "\"if\" is a reserved word, not a name; write condition ? one : other"},
        {"did 'Login'", 5,
         "unexpected \"'Login'\" after the expression; a function is written name(...)"},
        {"date('2026-01-01') > event.at", 1,
         "unknown function \"date\"; write timestamp(\"2026-03-01T00:00:00Z\")"},
        {"round(event.value) > 3", 1, "unknown function \"round\"; write math.round(...)"},
        {"event.value % 2 == 0", 13,
         "there is no double % int; remainders are of whole numbers: int(x) % 2"},
        {"event.value > 30;", 17, "unexpected \";\"; an expression needs no end"},
        {"isset(event.any)", 1, "unknown function \"isset\"; write has(event.coupon)"},
        {"coalesce(event.any, 1) == 1", 1,
         "unknown function \"coalesce\"; write has(x.y) ? x.y : other"},
        {"max(event.value, 3) > 2", 1, "unknown function \"max\"; write math.greatest(...)"},
    };
    compare(cases, array_count(cases), (struct expr_options){.wanted = EXPR_WANT_BOOL});
}

#define MOVES                                                                                    \
    " changes with every moment and cannot be used here; compare it with a time or a duration, " \
    "or ask it for a calendar field"

static void time_uses(void **state)
{
    (void)state;
    static const struct golden cases[] = {
        {"now", 1, "\"now\"" MOVES},
        {"now - event.at", 1, "\"now - event.at\"" MOVES},
        {"string(now) == 'x'", 8, "\"now\"" MOVES "; a text of it would be out of date at once"},
        {"'%s'.format([now]) == 'x'", 14, "\"now\"" MOVES},
        {"int(now) > 5", 5, "\"now\"" MOVES "; compare times, not numbers: now > timestamp(...)"},
        {"[now].size() > 0", 2, "\"now\"" MOVES},
        {"{'a': now}.size() > 0", 7, "\"now\"" MOVES},
        {"now in [event.at]", 1, "\"now\"" MOVES},
        {"dyn(now) > event.at", 5, "\"now\"" MOVES},
        {"event.any[now] == 1", 11, "\"now\"" MOVES},
        {"traits.tags.map(x, now).size() > 0", 20, "\"now\"" MOVES},
        {"cel.bind(t, now, string(t)) == ''", 25,
         "\"t\"" MOVES "; a text of it would be out of date at once"},
        {"twice(now)", 7, "\"now\"" MOVES "; the function knows the time without it"},
        {"event.items.filter(i, i.at > now).size() > 0", 23,
         "a list cannot be filtered by now; ask with all() or exists(), or give a function a "
         "window, as in count(\"Login\", \"3d\")"},
        {"event.items.map(i, i.at > now, i).size() > 0", 20,
         "a list cannot be filtered by now; ask with all() or exists(), or give a function a "
         "window, as in count(\"Login\", \"3d\")"},
        {"past('A', e, e.price > 1 && now > event.at)", 29,
         "past events cannot be filtered by now; give the function a window instead, as in "
         "count(\"Login\", \"3d\")"},
        {"event.items.exists(i, i.at > now)", 0, ""},
        {"event.items.all(i, now - i.at < duration('3d'))", 0, ""},
        {"now.getHours() >= 9 && now.getHours('Test/Summer') < 21", 0, ""},
        {"(now - event.at).getHours() > 3", 0, ""},
        {"(traits.beta ? now : event.at) + duration('1h') > event.at", 0, ""},
        {"cel.bind(age, now - event.at, age > duration('1h') && age < duration('2h'))", 0, ""},
    };
    compare(cases, array_count(cases), (struct expr_options){0});
}

static void lines(void **state)
{
    (void)state;
    struct arena plan;
    arena_init(&plan, 4096);
    struct expr_scope scope = {0};
    const struct expr *expr = NULL;
    struct fault f = {0};
    assert_int_equal(expr_compile(&plan, STR("1 == 1 &&\n  // still\n  x > 2"), &scope,
                                  (struct expr_options){0}, &expr, &f),
                     FIX_INPUT);
    assert_int_equal(f.line, 3);
    assert_int_equal(f.column, 3);
    arena_fini(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a slip in the writing is named where it is", syntax),
        TEST("an unknown name brings the nearest known one", names),
        TEST("types that do not fit are named with what to write", types),
        TEST("what is written as in other languages is answered with what to write here", slips),
        TEST("a use of now that cannot be solved is refused with a hint", time_uses),
        TEST("places are lines and columns of the text", lines),
    };
    return cmocka_run_group_tests_name("expr/check", tests, NULL, NULL);
}
