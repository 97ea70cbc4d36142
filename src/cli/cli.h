/* cli.h - the frame around every command: what the command line said, where output goes, how a
 * command ends.
 *
 * A command is one file, cmd_NAME.c, and one row in commands.def. It is handed a `struct cli` with
 * everything parsed and checked, and answers with an exit code:
 *
 *     int cmd_check(struct cli *c)
 *     {
 *         const char *folder = c->arguments[0];
 *         int64_t people_max = cli_int(c, "people");
 *         struct fault fault = {0};
 *         enum status status = programme_load(folder, ..., &fault);
 *         if (status != OK)
 *             return cli_fail(c, status, &fault);
 *         ...
 *         return CLI_OK;
 *     }
 *
 * What a command finds goes to standard output; what went wrong and how far it is, to standard
 * error. With --json, standard output is JSON only: one document, or for what never ends one object
 * a line; an error is one object {"code","message","file","line","column"} on standard error.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>

#include "base/arena.h"
#include "base/base.h"
#include "base/fault.h"
#include "cli/option.h"
#include "cli/term.h"

/* How a command ends. Scripts rely on these: they never change their meaning. */
enum cli_exit {
    CLI_OK = 0,     /* done */
    CLI_FAILED = 1, /* done, and an expectation did not hold: a scenario, a check, a verification */
    CLI_USAGE = 2,  /* the command line is wrong */
    CLI_INPUT = 3,  /* a file or a record is wrong: somebody has to change it */
    CLI_WORLD = 4,  /* the world is broken or busy: disk, network, a data directory in use */
};

struct cli {
    const struct command *command;
    uint32_t argument_count;
    const char *const *arguments; /* what stands on the line besides options */
    struct option_values options;
    struct term out;    /* standard output */
    struct term err;    /* standard error */
    bool is_json;       /* --json */
    bool is_quiet;      /* --quiet, or --json: no progress, no remarks */
    struct arena arena; /* lives as long as the command */
};

/* Runs `wend` with these words (argv[0] is the program) and answers its exit code. Writes to `out`
 * and `err` only. */
int cli_run(int argc, const char *const *argv, FILE *out, FILE *err);

/* The option's value: as given, else its fallback. The option must be declared, with that type, for
 * the command that runs. */
bool cli_flag(const struct cli *c, const char *name) mustuse;
int64_t cli_int(const struct cli *c, const char *name) mustuse;      /* OPT_INT with a fallback */
int64_t cli_span_ms(const struct cli *c, const char *name) mustuse;  /* OPT_SPAN with a fallback */
const char *cli_text(const struct cli *c, const char *name) mustuse; /* NULL: none, no fallback */

/* True if the option stands on the command line. */
bool cli_is_given(const struct cli *c, const char *name) mustuse;

/* OPT_TEXTS: how often it was given, and what the i-th time said. */
uint32_t cli_text_count(const struct cli *c, const char *name) mustuse;
const char *cli_text_at(const struct cli *c, const char *name, uint32_t i) mustuse;

/* Says what went wrong and answers the exit code for the status (FIX_INPUT: CLI_INPUT, TRY_AGAIN and
 * GIVE_UP: CLI_WORLD). Requires status != OK and a fault with a sentence. */
int cli_fail(struct cli *c, enum status status, const struct fault *f) mustuse;

/* The command line is wrong in a way that only the command can know: says so, answers CLI_USAGE. */
int cli_usage(struct cli *c, const char *format, ...) printf_like(2, 3) mustuse;

/* There is no command of that name: says so, with the nearest one; answers CLI_USAGE. */
int cli_unknown_command(struct cli *c, const char *word) mustuse;

/* A remark to the person at the terminal ("reading 3 files"), on standard error; not with --quiet. */
void cli_say(struct cli *c, const char *format, ...) printf_like(2, 3);

/* One function a row of the table. */
#define COMMAND(name, arguments, low, high, summary, about, options) int cmd_##name(struct cli *c);
#include "cli/commands.def"
#undef COMMAND
