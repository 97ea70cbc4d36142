/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/help.h"

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
    const struct command *command = command_find(c->arguments[0]);
    if (command == NULL)
        return cli_usage(c, "there is no command \"%s\"", c->arguments[0]);
    help_command(&c->out, command);
    return CLI_OK;
}
