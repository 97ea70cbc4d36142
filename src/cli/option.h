/* option.h - what may stand on a command line, as a table, and reading one by it.
 *
 *     wend run examples/shop --days=30 --people 10000 -- --odd-name
 *          ^   ^             ^         ^                 ^
 *          |   argument      --name=value or --name value
 *          command                                       after -- everything is an argument
 *
 * Options may stand before, between and after the arguments. Names are never abbreviated: a script
 * that works keeps working when an option is added. An option given twice is an error unless it is
 * declared to repeat.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/fault.h"

struct arena;
struct cli;

enum option_type {
    OPTION_FLAG,
    OPTION_INT,
    OPTION_TEXT,
    OPTION_TEXTS,
    OPTION_PATH,
    OPTION_CHOICE,
    OPTION_SPAN,
};

struct option_row {
    const char *name; /* without dashes; NULL ends a table */
    enum option_type type;
    const char *fallback; /* as one would write it; NULL = none */
    const char
        *argument; /* how help names the value; the choices, with | between; NULL for flags */
    int64_t low;   /* OPTION_INT: least and greatest value */
    int64_t high;
    const char *doc;
};

struct command {
    const char *name;
    const char *arguments; /* for the usage line: "FOLDER [FILE...]" */
    uint32_t arguments_min;
    uint32_t arguments_max;
    const char *summary;
    const char *about;
    const struct option_row *options;
    int (*run)(struct cli *c);
};

/* All commands, in the order of commands.def. */
extern const struct command commands[];
extern const uint32_t command_count;

/* The options of every command; ends with a NULL name. */
extern const struct option_row options_everywhere[];

/* The command of that name, or NULL. */
const struct command *command_find(const char *name) mustuse;

/* What one option was given. */
struct option_value {
    const struct option_row *row;
    const char *text;  /* as given or fallback; NULL = neither */
    int64_t number;    /* OPTION_INT: the number; OPTION_SPAN: milliseconds */
    const char **list; /* OPTION_TEXTS: `count` of them */
    uint32_t count;    /* how often it stands on the line */
};

struct option_values {
    struct option_value *list; /* the command's rows, then those of every command */
    uint32_t count;
};

/* Reads `argc` words (the command's name is not among them) by the command's table. Everything is
 * allocated from the arena; texts are borrowed from argv. FIX_INPUT with a sentence that names the
 * word, and the nearest known option, for what the table does not allow. The number of arguments is
 * not checked where --help was given. */
enum status option_parse(const struct command *command, int argc, const char *const *argv,
                         struct arena *arena, struct option_values *values, const char ***arguments,
                         uint32_t *argument_count, struct fault *f) mustuse;

/* The value of a declared option. Requires it to be declared. */
const struct option_value *option_get(const struct option_values *values, const char *name) mustuse;
