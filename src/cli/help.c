/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <string.h>

#define HELP_COLUMNS_MAX 96
#define OPTION_INDENT    26

static const char *const exit_codes[][2] = {
    {"0", "done"},
    {"1", "done, and an expectation did not hold"},
    {"2", "the command line is wrong"},
    {"3", "a file or a record is wrong"},
    {"4", "the disk, the network or a data directory is broken or busy"},
};

static uint32_t columns_of(const struct term *t)
{
    return min_of(t->columns, (uint32_t)HELP_COLUMNS_MAX);
}

void help_commands(struct term *t)
{
    term_print(t, TERM_BOLD, "wend");
    term_text(t, " decides who gets which message, when and on which channel, and says why.\n\n");
    term_text(t, "Usage: wend COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n");
    for (uint32_t i = 0; i < command_count; i++) {
        term_text(t, "  ");
        term_print(t, TERM_BOLD, "%-10s", commands[i].name);
        term_text(t, "  ");
        term_wrap(t, str_of(commands[i].summary), 14, columns_of(t));
    }
    term_text(t, "\n`wend COMMAND --help` tells more; `wend --version` says which wend this is.\n");
}

/* "--port N" into out. */
static void option_usage(const struct option_row *row, char *out, size_t out_bytes)
{
    if (row->argument != NULL)
        snprintf(out, out_bytes, "--%s %s", row->name, row->argument);
    else
        snprintf(out, out_bytes, "--%s", row->name);
}

/* The doc with what the table knows besides: " (1 to 65,535; 8080 if not given)". */
static void option_doc(const struct option_row *row, char *out, size_t out_bytes)
{
    char low[TERM_NUMBER_BYTES], high[TERM_NUMBER_BYTES], range[96] = "";
    bool has_range = row->type == OPTION_INT && (row->low > INT64_MIN || row->high < INT64_MAX);
    if (has_range && row->high == INT64_MAX)
        snprintf(range, sizeof(range), "at least %s", term_number(row->low, low));
    else if (has_range)
        snprintf(range, sizeof(range), "%s to %s", term_number(row->low, low),
                 term_number(row->high, high));
    bool is_repeated = row->type == OPTION_TEXTS;
    bool has_more = range[0] || row->fallback || is_repeated;
    snprintf(out, out_bytes, "%s%s%s%s%s%s%s%s", row->doc, has_more ? " (" : "", range,
             range[0] && row->fallback ? "; " : "", row->fallback ? row->fallback : "",
             row->fallback ? " if not given" : "", is_repeated ? "may be given again" : "",
             has_more ? ")" : "");
}

static void print_options(struct term *t, const struct option_row *rows)
{
    for (; rows->name != NULL; rows++) {
        char usage[128], doc[1024];
        option_usage(rows, usage, sizeof(usage));
        option_doc(rows, doc, sizeof(doc));
        term_text(t, "  ");
        term_print(t, TERM_BOLD, "%-22s", usage);
        if (strlen(usage) > 22)
            term_text(t, "\n%*s", OPTION_INDENT, "");
        else
            term_text(t, "  ");
        term_wrap(t, str_of(doc), OPTION_INDENT, columns_of(t));
    }
}

static void print_usage(struct term *t, const struct command *command)
{
    bool has_options = command->options[0].name != NULL;
    term_text(t, "wend %s%s%s%s", command->name, has_options ? " [OPTION...]" : "",
              command->arguments[0] ? " " : "", command->arguments);
}

void help_command(struct term *t, const struct command *command)
{
    term_print(t, TERM_BOLD, "wend %s", command->name);
    term_text(t, " - ");
    term_wrap(t, str_of(command->summary), 0, columns_of(t));
    term_text(t, "\nUsage: ");
    print_usage(t, command);
    term_text(t, "\n\n");
    term_wrap(t, str_of(command->about), 0, columns_of(t));
    if (command->options[0].name != NULL) {
        term_text(t, "\nOptions:\n");
        print_options(t, command->options);
    }
    term_text(t, "\nOptions of every command:\n");
    print_options(t, options_everywhere);
    term_text(t, "\nExit codes:\n");
    for (size_t i = 0; i < array_count(exit_codes); i++)
        term_text(t, "  %s  %s\n", exit_codes[i][0], exit_codes[i][1]);
}

/* A Markdown cell: a bar inside it would end it. */
static void print_cell(struct term *t, const char *text)
{
    for (; *text; text++)
        term_text(t, *text == '|' ? "\\|" : "%c", *text);
}

static void markdown_options(struct term *t, const struct option_row *rows)
{
    term_text(t, "| option | meaning |\n|---|---|\n");
    for (; rows->name != NULL; rows++) {
        char usage[128], doc[1024];
        option_usage(rows, usage, sizeof(usage));
        option_doc(rows, doc, sizeof(doc));
        term_text(t, "| `");
        print_cell(t, usage);
        term_text(t, "` | ");
        print_cell(t, doc);
        term_text(t, " |\n");
    }
}

void help_markdown(struct term *t)
{
    term_text(t,
              "# Commands\n\n"
              "Written by `make docs` from `src/cli/commands.def`; `wend COMMAND --help` says the "
              "same.\n\n| command | what it does |\n|---|---|\n");
    for (uint32_t i = 0; i < command_count; i++)
        term_text(t, "| [`wend %s`](#wend-%s) | %s |\n", commands[i].name, commands[i].name,
                  commands[i].summary);
    term_text(t, "\n## Options of every command\n\n");
    markdown_options(t, options_everywhere);
    term_text(t, "\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (size_t i = 0; i < array_count(exit_codes); i++)
        term_text(t, "| %s | %s |\n", exit_codes[i][0], exit_codes[i][1]);
    for (uint32_t i = 0; i < command_count; i++) {
        term_text(t, "\n## wend %s\n\n    ", commands[i].name);
        print_usage(t, &commands[i]);
        term_text(t, "\n\n%s\n", commands[i].about);
        if (commands[i].options[0].name != NULL) {
            term_text(t, "\n");
            markdown_options(t, commands[i].options);
        }
    }
}

/* The words of one command's options, "--port --json ". */
static void print_option_words(struct term *t, const struct command *command)
{
    for (const struct option_row *row = command->options; row->name != NULL; row++)
        term_text(t, "--%s ", row->name);
    for (const struct option_row *row = options_everywhere; row->name != NULL; row++)
        term_text(t, "--%s ", row->name);
}

static void print_choices(struct term *t, const char *choices)
{
    for (; *choices; choices++)
        term_text(t, "%c", *choices == '|' ? ' ' : *choices);
}

/* Completion of the values of one table's choices: `case` arms of bash. */
static void bash_choices(struct term *t, const struct option_row *rows)
{
    for (; rows->name != NULL; rows++) {
        if (rows->type != OPTION_CHOICE)
            continue;
        term_text(t, "        --%s) words=\"", rows->name);
        print_choices(t, rows->argument);
        term_text(t, "\" ;;\n");
    }
}

static void completion_bash(struct term *t)
{
    term_text(t,
              "_wend() {\n"
              "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
              "    case $before in\n");
    bash_choices(t, options_everywhere);
    term_text(t, "    esac\n    if [ -z \"$words\" ]; then\n    case ${COMP_WORDS[1]} in\n");
    for (uint32_t i = 0; i < command_count; i++) {
        term_text(t, "    %s)\n        words=\"", commands[i].name);
        print_option_words(t, &commands[i]);
        term_text(t, "\"\n        case $before in\n");
        bash_choices(t, commands[i].options);
        term_text(t, "        esac ;;\n");
    }
    term_text(t, "    esac\n    fi\n"
                 "    if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"");
    for (uint32_t i = 0; i < command_count; i++)
        term_text(t, "%s ", commands[i].name);
    term_text(t, "\"; fi\n"
                 "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                 "}\n"
                 "complete -o default -F _wend wend\n");
}

static void completion_zsh(struct term *t)
{
    term_text(t, "#compdef wend\nautoload -U +X bashcompinit && bashcompinit\n");
    completion_bash(t);
}

/* Text inside single quotes of fish. */
static void print_fish(struct term *t, const char *text)
{
    for (; *text; text++)
        term_text(t, *text == '\'' ? "\\'" : "%c", *text);
}

static void fish_options(struct term *t, const char *command, const struct option_row *rows)
{
    for (; rows->name != NULL; rows++) {
        term_text(t, "complete -c wend -n '__fish_seen_subcommand_from %s' -l %s", command,
                  rows->name);
        if (rows->type == OPTION_CHOICE) {
            term_text(t, " -x -a '");
            print_choices(t, rows->argument);
            term_text(t, "'");
        } else if (rows->type == OPTION_PATH) {
            term_text(t, " -r -F");
        } else if (rows->type != OPTION_FLAG) {
            term_text(t, " -x");
        }
        term_text(t, " -d '");
        print_fish(t, rows->doc);
        term_text(t, "'\n");
    }
}

static void completion_fish(struct term *t)
{
    for (uint32_t i = 0; i < command_count; i++) {
        term_text(t, "complete -c wend -n __fish_use_subcommand -f -a %s -d '", commands[i].name);
        print_fish(t, commands[i].summary);
        term_text(t, "'\n");
        fish_options(t, commands[i].name, commands[i].options);
        fish_options(t, commands[i].name, options_everywhere);
    }
}

void help_completion(struct term *t, const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        completion_bash(t);
    else if (strcmp(shell, "zsh") == 0)
        completion_zsh(t);
    else
        completion_fish(t);
}
