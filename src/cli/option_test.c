/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/option.h"

#include "base/arena.h"
#include "base/str.h"
#include "test.h"

static const struct option_row rows[] = {
    {"fast", OPTION_FLAG, NULL, NULL, 0, 0, "go fast"},
    {"days", OPTION_INT, "30", "N", 1, 3660, "how many days"},
    {"seed", OPTION_INT, NULL, "N", INT64_MIN, INT64_MAX, "where chance begins"},
    {"name", OPTION_TEXT, NULL, "NAME", 0, 0, "what it is called"},
    {"set", OPTION_TEXTS, NULL, "KEY=VALUE", 0, 0, "a setting"},
    {"level", OPTION_CHOICE, "info", "debug|info|error", 0, 0, "how much is said"},
    {"wait", OPTION_SPAN, "1h30m", "TIME", 0, 0, "how long"},
    {.name = NULL},
};

static const struct command command = {
    .name = "try",
    .arguments = "FOLDER [FILE]",
    .arguments_min = 1,
    .arguments_max = 2,
    .options = rows,
};

#define WORDS_MAX 16

/* One parsed line, or its fault. Words are separated by single spaces. */
struct line {
    struct arena arena;
    struct option_values values;
    const char **arguments;
    uint32_t argument_count;
    struct fault fault;
    enum status status;
};

static void parse(struct line *l, const char *words)
{
    const char *argv[WORDS_MAX];
    int argc = 0;
    *l = (struct line){0};
    arena_init(&l->arena, 4096);
    char *at = (char *)(uintptr_t)arena_copy(&l->arena, str_of(words)).at;
    while (*at) {
        assert_true(argc < WORDS_MAX);
        argv[argc++] = at;
        while (*at && *at != ' ')
            at++;
        if (*at)
            *at++ = '\0';
    }
    l->status = option_parse(&command, argc, argv, &l->arena, &l->values, &l->arguments,
                             &l->argument_count, &l->fault);
}

static void refuses(const char *words, const char *sentence)
{
    struct line l;
    parse(&l, words);
    assert_int_equal(l.status, FIX_INPUT);
    assert_string_equal(l.fault.text, sentence);
    arena_fini(&l.arena);
}

static void fallbacks(void **state)
{
    (void)state;
    struct line l;
    parse(&l, "shop");
    assert_int_equal(l.status, OK);
    assert_int_equal(l.argument_count, 1);
    assert_string_equal(l.arguments[0], "shop");
    assert_int_equal(option_get(&l.values, "days")->number, 30);
    assert_int_equal(option_get(&l.values, "days")->count, 0);
    assert_int_equal(option_get(&l.values, "wait")->number, 5400000);
    assert_string_equal(option_get(&l.values, "level")->text, "info");
    assert_null(option_get(&l.values, "name")->text);
    assert_null(option_get(&l.values, "seed")->text);
    assert_int_equal(option_get(&l.values, "fast")->count, 0);
    arena_fini(&l.arena);
}

static void anywhere(void **state)
{
    (void)state;
    struct line l;
    parse(&l, "--fast shop --days=7 --seed -5 other --name=a=b --level debug --wait 2h --json");
    assert_int_equal(l.status, OK);
    assert_int_equal(l.argument_count, 2);
    assert_string_equal(l.arguments[1], "other");
    assert_int_equal(option_get(&l.values, "fast")->count, 1);
    assert_int_equal(option_get(&l.values, "days")->number, 7);
    assert_int_equal(option_get(&l.values, "seed")->number, -5);
    assert_string_equal(option_get(&l.values, "name")->text, "a=b");
    assert_string_equal(option_get(&l.values, "level")->text, "debug");
    assert_int_equal(option_get(&l.values, "wait")->number, 2 * HOUR_MS);
    assert_int_equal(option_get(&l.values, "json")->count, 1);
    arena_fini(&l.arena);
}

static void after_dashes(void **state)
{
    (void)state;
    struct line l;
    parse(&l, "--fast -- --days -");
    assert_int_equal(l.status, OK);
    assert_int_equal(l.argument_count, 2);
    assert_string_equal(l.arguments[0], "--days");
    assert_string_equal(l.arguments[1], "-");
    arena_fini(&l.arena);
}

static void repeated(void **state)
{
    (void)state;
    struct line l;
    parse(&l, "shop --set a=1 --set=b=2 --set c=3");
    const struct option_value *set = option_get(&l.values, "set");
    assert_int_equal(l.status, OK);
    assert_int_equal(set->count, 3);
    assert_string_equal(set->list[0], "a=1");
    assert_string_equal(set->list[1], "b=2");
    assert_string_equal(set->list[2], "c=3");
    arena_fini(&l.arena);
}

static void wrong_lines(void **state)
{
    (void)state;
    refuses("shop --dys 3", "unknown option \"--dys\"; did you mean \"--days\"?");
    refuses("shop --bananas", "unknown option \"--bananas\"");
    refuses("shop -x", "unknown option \"-x\": options have two dashes and whole names");
    refuses("shop --days", "--days wants a value: --days N");
    refuses("shop --days=ten", "--days takes a whole number, not \"ten\"");
    refuses("shop --days=0", "--days takes a number from 1 to 3660, not 0");
    refuses("shop --days 3661", "--days takes a number from 1 to 3660, not 3661");
    refuses("shop --days 1 --days 2", "--days is given twice");
    refuses("shop --fast=yes", "--fast takes no value");
    refuses("shop --level=inf", "--level takes one of debug|info|error, not \"inf\"");
    refuses("shop --level=debug|info", "--level takes one of debug|info|error, not \"debug|info\"");
    refuses("shop --wait=day", "--wait takes a stretch of time like 90s, 2h or 30d, not \"day\"");
    refuses("", "wants FOLDER [FILE]");
    refuses("a b c", "wend try takes FOLDER [FILE], but there is also \"c\"");
}

static void help_needs_no_arguments(void **state)
{
    (void)state;
    struct line l;
    parse(&l, "-h");
    assert_int_equal(l.status, OK);
    assert_int_equal(option_get(&l.values, "help")->count, 1);
    arena_fini(&l.arena);
}

/* The table itself: whatever a row says must hold together. */
static void table_is_sound(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        assert_ptr_equal(command_find(c->name), c);
        assert_true(c->arguments_min <= c->arguments_max);
        assert_true((c->arguments_max == 0) == (c->arguments[0] == '\0'));
        assert_true(c->summary[0] != '\0' && c->about[0] != '\0');
        for (const struct option_row *row = c->options; row->name != NULL; row++) {
            assert_true((row->argument == NULL) == (row->type == OPTION_FLAG));
            for (const struct option_row *other = row + 1; other->name != NULL; other++)
                assert_string_not_equal(row->name, other->name);
            for (const struct option_row *other = options_everywhere; other->name != NULL; other++)
                assert_string_not_equal(row->name, other->name);
        }
        /* Parsing reads every fallback and insists that it is a value of its type. */
        struct arena arena;
        struct option_values values;
        const char **arguments;
        const char *argv[] = {"--help"};
        uint32_t argument_count;
        arena_init(&arena, 4096);
        assert_int_equal(
            option_parse(c, 1, argv, &arena, &values, &arguments, &argument_count, NULL), OK);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what is not given has its fallback, or nothing", fallbacks),
        TEST("options stand anywhere, with = or a word of their own", anywhere),
        TEST("after two dashes everything is an argument", after_dashes),
        TEST("an option that repeats keeps what was said, in order", repeated),
        TEST("a wrong line is refused with a sentence that says how to mend it", wrong_lines),
        TEST("help may be asked for without the arguments", help_needs_no_arguments),
        TEST("every command of the table is complete and its fallbacks are values", table_is_sound),
    };
    return cmocka_run_group_tests_name("cli/option", tests, NULL, NULL);
}
