/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "os/file.h"
#include "test.h"

/* What one run of `wend` said. */
struct said {
    char *out;
    char *err;
    int code;
};

#define wend(...) run((const char *const[]){"wend", __VA_ARGS__, NULL})
static struct said run(const char *const *argv)
{
    struct said said = {0};
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    size_t out_bytes, err_bytes;
    FILE *out = open_memstream(&said.out, &out_bytes);
    FILE *err = open_memstream(&said.err, &err_bytes);
    assert_non_null(out);
    assert_non_null(err);
    said.code = cli_run(argc, argv, out, err);
    fclose(out);
    fclose(err);
    return said;
}

static void forget(struct said *said)
{
    free(said->out);
    free(said->err);
}

static void version_is_told(void **state)
{
    (void)state;
    struct said said = wend("version", NULL, NULL);
    assert_int_equal(said.code, CLI_OK);
    assert_string_equal(said.err, "");
    assert_true(strncmp(said.out, "wend 0.", 7) == 0);
    assert_non_null(strstr(said.out, "format record"));
    struct said same = wend("--version", NULL, NULL);
    assert_string_equal(same.out, said.out);
    forget(&said);
    forget(&same);
}

static void version_for_machines(void **state)
{
    (void)state;
    struct said said = wend("version", "--json", NULL);
    assert_int_equal(said.code, CLI_OK);
    assert_true(said.out[0] == '{');
    assert_non_null(strstr(said.out, "\"version\": \"0."));
    forget(&said);
}

static void help_names_everything(void **state)
{
    (void)state;
    struct said list = wend("--help", NULL, NULL);
    assert_int_equal(list.code, CLI_OK);
    for (uint32_t i = 0; i < command_count; i++) {
        assert_non_null(strstr(list.out, commands[i].name));
        struct said one = wend(commands[i].name, "--help", NULL);
        struct said same = wend("help", commands[i].name, NULL);
        assert_int_equal(one.code, CLI_OK);
        assert_string_equal(one.out, same.out);
        for (const struct option_row *row = commands[i].options; row->name != NULL; row++)
            assert_non_null(strstr(one.out, row->name));
        assert_non_null(strstr(one.out, "Exit codes:"));
        forget(&one);
        forget(&same);
    }
    forget(&list);
}

static void usage_errors(void **state)
{
    (void)state;
    struct said none = wend(NULL, NULL, NULL);
    assert_int_equal(none.code, CLI_USAGE);
    assert_string_equal(none.out, "");
    assert_non_null(strstr(none.err, "Usage: wend COMMAND"));

    struct said slip = wend("vresion", NULL, NULL);
    assert_int_equal(slip.code, CLI_USAGE);
    assert_non_null(strstr(slip.err, "unknown command \"vresion\"; did you mean \"version\"?"));

    struct said option = wend("version", "--jsn", NULL);
    assert_int_equal(option.code, CLI_USAGE);
    assert_string_equal(option.err,
                        "wend version: unknown option \"--jsn\"; did you mean \"--json\"?\n"
                        "`wend version --help` lists what it takes\n");

    struct said topic = wend("help", "srve", NULL);
    assert_int_equal(topic.code, CLI_USAGE);
    assert_non_null(strstr(topic.err, "did you mean \"serve\"?"));
    struct said listen = wend("serve", "p", "--listen=foo");
    assert_int_equal(listen.code, CLI_USAGE);
    assert_non_null(strstr(listen.err, "--listen wants an address and a port"));
    forget(&topic);
    forget(&listen);

    struct said extra = wend("version", "please", NULL);
    assert_int_equal(extra.code, CLI_USAGE);
    forget(&none);
    forget(&slip);
    forget(&option);
    forget(&extra);
}

static void errors_for_machines(void **state)
{
    (void)state;
    struct said said = wend("version", "--json", "please");
    assert_int_equal(said.code, CLI_USAGE);
    assert_string_equal(said.out, "");
    assert_string_equal(
        said.err, "{\"code\":\"usage\",\"message\":\"wend version takes no argument, but there "
                  "is \\\"please\\\"\"}\n");
    forget(&said);
}

static void color_on_request(void **state)
{
    (void)state;
    struct said plain = wend("version", NULL, NULL);
    struct said color = wend("version", "--color=always", NULL);
    assert_null(strchr(plain.out, '\033'));
    assert_non_null(strchr(color.out, '\033'));
    forget(&plain);
    forget(&color);
}

static void faults_have_exit_codes(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes;
    struct cli c = {0};
    FILE *file = open_memstream(&text, &bytes);
    term_init(&c.err, file, TERM_COLOR_NEVER);
    c.command = command_find("version");
    struct fault f = {.text = "unknown key \"emial\"", .file = "a.yaml", .line = 3, .column = 7};
    assert_int_equal(cli_fail(&c, FIX_INPUT, &f), CLI_INPUT);
    assert_int_equal(cli_fail(&c, GIVE_UP, &f), CLI_WORLD);
    assert_int_equal(cli_fail(&c, TRY_AGAIN, &f), CLI_WORLD);
    c.is_json = true;
    assert_int_equal(cli_fail(&c, FIX_INPUT, &f), CLI_INPUT);
    fclose(file);
    const char *line = "wend version: a.yaml:3:7: unknown key \"emial\"\n";
    assert_true(strncmp(text, line, strlen(line)) == 0);
    assert_non_null(strstr(text, "{\"code\":\"input\",\"message\":\"unknown key \\\"emial\\\"\","
                                 "\"file\":\"a.yaml\",\"line\":3,\"column\":7}\n"));
    free(text);
}

static void completions_name_commands(void **state)
{
    (void)state;
    const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t i = 0; i < array_count(shells); i++) {
        struct said said = wend("help", "--completion", shells[i]);
        assert_int_equal(said.code, CLI_OK);
        for (uint32_t k = 0; k < command_count; k++)
            assert_non_null(strstr(said.out, commands[k].name));
        forget(&said);
    }
}

static void costs_for_machines(void **state)
{
    (void)state;
    struct said said = wend("check", "examples/shop", "--cost", "--json");
    assert_int_equal(said.code, CLI_OK);
    assert_true(said.out[0] == '{');
    assert_non_null(strstr(said.out, "\"cost_of_all\": {"));
    assert_null(strstr(said.out, "bytes at most")); /* the table's header: one document, no more */
    forget(&said);
}

static void results_stand_in_the_log(void **state)
{
    (void)state;
    char root[64], dir[72];
    assert_non_null(mkdtemp(test_path(root, sizeof(root), "log")));
    snprintf(dir, sizeof(dir), "%s/data", root);
    struct said ran = wend("run", "examples/shop", "--people", "20", "--days", "10", "--seed", "2",
                           "--start", "2026-03-01", "--data", dir, "--quiet");
    assert_int_equal(ran.code, CLI_OK);
    struct said plain = wend("log", dir);
    assert_int_equal(plain.code, CLI_OK);
    assert_null(strstr(plain.out, "\"type\":\"result\""));
    struct said whole = wend("log", dir, "--results");
    assert_int_equal(whole.code, CLI_OK);
    assert_non_null(strstr(whole.out, "\"result\":\"activated\""));
    assert_non_null(strstr(whole.out, "\"result\":\"entered\",\"how\":0,\"step\":0,"
                                      "\"journey\":\"browse-recovery\""));
    assert_non_null(strstr(whole.out, "\"result\":\"decided\",\"what\":\"sent\""));
    struct said first = wend("log", dir, "--results", "--to", "1");
    assert_non_null(strstr(first.out, "\"result\":\"activated\""));
    assert_null(strstr(first.out, "\"batch\":2,"));
    forget(&ran);
    forget(&plain);
    forget(&whole);
    forget(&first);
    struct fault f = {0};
    assert_int_equal(os_remove_tree(os_disk_real(), root, &f), OK);
}

static void no_such_scenario(void **state)
{
    (void)state;
    struct said said = wend("test", "examples/shop", "--only", "does not exist");
    assert_int_equal(said.code, CLI_USAGE);
    assert_non_null(strstr(said.err, "no scenario's name contains \"does not exist\""));
    forget(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the version says what this is and which formats it knows", version_is_told),
        TEST("the version is JSON for machines", version_for_machines),
        TEST("help names every command and every option", help_names_everything),
        TEST("a wrong line ends with code 2 and a suggestion", usage_errors),
        TEST("with --json an error is one object on standard error", errors_for_machines),
        TEST("colour comes on request, and never into a file by itself", color_on_request),
        TEST("wrong input and a broken world have codes of their own", faults_have_exit_codes),
        TEST("costs stand in the one document of a check for machines", costs_for_machines),
        TEST("the log tells the results of each batch", results_stand_in_the_log),
        TEST("a test that runs no scenario because of a slip does not pass", no_such_scenario),
        TEST("the completion scripts of all shells name every command", completions_name_commands),
    };
    return cmocka_run_group_tests_name("cli/cli", tests, NULL, NULL);
}
