/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/help.h"
#include "programme/function.h"
#include "json/json_write.h"

/* The functions of expressions: `wanted` alone where it is given. False if there is none of that name. */
static bool help_functions(struct cli *c, const char *wanted)
{
    struct function_row row;
    struct buf json;
    struct json_writer w;
    bool is_found = false, is_json = cli_flag(c, "json");
    buf_init(&json);
    json_write_init(&w, &json, JSON_PRETTY);
    json_write_list(&w);
    for (uint32_t i = 0; function_row_at(i, &row); i++) {
        if (wanted != NULL && !str_is(row.name, wanted))
            continue;
        is_found = true;
        if (is_json) {
            json_write_map(&w);
            json_write_key_text(&w, "name", row.name);
            json_write_key_text(&w, "about", row.is_about_person ? STR("person") : STR("language"));
            json_write_key_bool(&w, "method", row.is_method);
            json_write_key_text(&w, "arguments", row.arguments);
            json_write_key_text(&w, "result", row.result);
            json_write_key_text(&w, "doc", row.doc);
            json_write_key_text(&w, "example", row.example);
            if (row.same.len > 0)
                json_write_key_text(&w, "example_is", row.same);
            json_write_end(&w);
            continue;
        }
        term_print(&c->out, TERM_BOLD, "%s%.*s", row.is_method ? "." : "", STR_ARG(row.name));
        term_text(&c->out, "(%.*s): %.*s\n    %.*s\n    %.*s", STR_ARG(row.arguments),
                  STR_ARG(row.result), STR_ARG(row.doc), STR_ARG(row.example));
        if (row.same.len > 0)
            term_text(&c->out, " is %.*s", STR_ARG(row.same));
        term_text(&c->out, "\n");
    }
    json_write_end(&w);
    if (is_json && is_found)
        term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&json)));
    buf_fini(&json);
    return is_found;
}

int cmd_help(struct cli *c)
{
    if (cli_flag(c, "markdown")) {
        help_markdown(&c->out);
        return CLI_OK;
    }
    if (cli_is_given(c, "completion")) {
        help_completion(&c->out, cli_text(c, "completion"));
        return CLI_OK;
    }
    if (c->argument_count == 0) {
        help_commands(&c->out);
        return CLI_OK;
    }
    if (str_is(str_of(c->arguments[0]), "functions")) {
        if (help_functions(c, c->argument_count > 1 ? c->arguments[1] : NULL))
            return CLI_OK;
        return cli_usage(c, "there is no function \"%s\"", c->arguments[1]);
    }
    if (c->argument_count > 1)
        return cli_usage(c, "one command at a time, please");
    const struct command *command = command_find(c->arguments[0]);
    if (command == NULL)
        return cli_unknown_command(c, c->arguments[0]);
    help_command(&c->out, command);
    return CLI_OK;
}
