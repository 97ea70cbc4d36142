/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/option.h"

#include "base/arena.h"
#include "base/str.h"
#include "cli/cli.h"
#include "when/span.h"

// clang-format off
#define NO_OPTIONS
#define OPT_FLAG(name, doc)                                {name, OPTION_FLAG, NULL, NULL, 0, 0, doc},
#define OPT_INT(name, fallback, argument, low, high, doc)  {name, OPTION_INT, fallback, argument, low, high, doc},
#define OPT_TEXT(name, fallback, argument, doc)            {name, OPTION_TEXT, fallback, argument, 0, 0, doc},
#define OPT_TEXTS(name, argument, doc)                     {name, OPTION_TEXTS, NULL, argument, 0, 0, doc},
#define OPT_PATH(name, fallback, argument, doc)            {name, OPTION_PATH, fallback, argument, 0, 0, doc},
#define OPT_CHOICE(name, fallback, choices, doc)           {name, OPTION_CHOICE, fallback, choices, 0, 0, doc},
#define OPT_SPAN(name, fallback, argument, doc)            {name, OPTION_SPAN, fallback, argument, 0, 0, doc},

#define COMMAND(id, arguments, low, high, summary, about, options) \
    static const struct option_row options_of_##id[] = {options {.name = NULL}};
#include "cli/commands.def"
#undef COMMAND

const struct command commands[] = {
#define COMMAND(id, arguments, low, high, summary, about, options) \
    {#id, arguments, low, high, summary, about, options_of_##id, cmd_##id},
#include "cli/commands.def"
#undef COMMAND
};

const struct option_row options_everywhere[] = {
    OPT_FLAG("json", "print JSON, for machines; errors too")
    OPT_FLAG("quiet", "no progress and no remarks")
    OPT_CHOICE("color", "auto", "auto|always|never", "colour the output; auto: on a terminal, unless NO_COLOR is set")
    OPT_FLAG("help", "print this and end")
    {.name = NULL},
};
// clang-format on

const uint32_t command_count = array_count(commands);

const struct command *command_find(const char *name)
{
    for (uint32_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static uint32_t row_count(const struct option_row *rows)
{
    uint32_t count = 0;
    while (rows[count].name != NULL)
        count++;
    return count;
}

static struct option_value *find(const struct option_values *values, struct str name)
{
    for (uint32_t i = 0; i < values->count; i++)
        if (str_is(name, values->list[i].row->name))
            return &values->list[i];
    return NULL;
}

const struct option_value *option_get(const struct option_values *values, const char *name)
{
    const struct option_value *value = find(values, str_of(name));
    must(value != NULL);
    return value;
}

static enum status unknown_option(const struct option_values *values, struct str name,
                                  struct arena *arena, struct fault *f)
{
    struct str *names = arena_array(arena, struct str, values->count);
    for (uint32_t i = 0; i < values->count; i++)
        names[i] = str_of(values->list[i].row->name);
    struct str nearest = str_nearest(name, names, values->count);
    if (nearest.len)
        fault_set(f, "unknown option \"--%.*s\"; did you mean \"--%.*s\"?", STR_ARG(name),
                  STR_ARG(nearest));
    else
        fault_set(f, "unknown option \"--%.*s\"", STR_ARG(name));
    return FIX_INPUT;
}

static bool is_choice(const char *choices, struct str wanted)
{
    struct str left = str_of(choices);
    for (;;) {
        size_t bar = str_find(left, STR("|"), 0);
        struct str choice = str_part(left, 0, bar);
        if (str_equal(choice, wanted))
            return true;
        if (bar == SIZE_MAX)
            return false;
        left = str_part(left, bar + 1, SIZE_MAX);
    }
}

/* Reads `text` as a value of the row's type. */
static enum status read_value(struct option_value *value, const char *text, struct arena *arena,
                              struct fault *f)
{
    const struct option_row *row = value->row;
    struct fault inner = {0};
    struct span span;
    switch (row->type) {
    case OPTION_FLAG: break;
    case OPTION_TEXT: break;
    case OPTION_PATH: break;
    case OPTION_INT:
        if (!str_to_int(str_of(text), &value->number)) {
            fault_set(f, "--%s takes a whole number, not \"%s\"", row->name, text);
            return FIX_INPUT;
        }
        if (value->number < row->low || value->number > row->high) {
            fault_set(f, "--%s takes a number from %lld to %lld, not %s", row->name,
                      (long long)row->low, (long long)row->high, text);
            return FIX_INPUT;
        }
        break;
    case OPTION_CHOICE:
        if (!is_choice(row->argument, str_of(text))) {
            fault_set(f, "--%s takes one of %s, not \"%s\"", row->name, row->argument, text);
            return FIX_INPUT;
        }
        break;
    case OPTION_SPAN:
        if (span_parse(str_of(text), &span, &inner) != OK || span.kind != SPAN_FIXED) {
            fault_set(f, "--%s takes a stretch of time like 90s, 2h or 30d, not \"%s\"", row->name,
                      text);
            return FIX_INPUT;
        }
        value->number = span.ms;
        break;
    case OPTION_TEXTS: {
        const char **longer = arena_array(arena, const char *, value->count + 1);
        if (value->count)
            memcpy(longer, value->list, value->count * sizeof(longer[0]));
        longer[value->count] = text;
        value->list = longer;
        break;
    }
    }
    value->text = text;
    return OK;
}

/* One word that begins with two dashes; *next is the word after it, which it may take. */
static enum status read_option(struct option_values *values, const char *word, const char *next,
                               bool *took_next, struct arena *arena, struct fault *f)
{
    struct str all = str_of(word + 2);
    size_t equals = str_find(all, STR("="), 0);
    struct str name = str_part(all, 0, equals);
    struct option_value *value = find(values, name);
    if (value == NULL)
        return unknown_option(values, name, arena, f);
    const char *text = equals == SIZE_MAX ? NULL : word + 2 + equals + 1;
    bool is_flag = value->row->type == OPTION_FLAG;
    if (is_flag && text != NULL) {
        fault_set(f, "--%s takes no value", value->row->name);
        return FIX_INPUT;
    }
    if (!is_flag && text == NULL) {
        if (next == NULL) {
            fault_set(f, "--%s wants a value: --%s %s", value->row->name, value->row->name,
                      value->row->argument);
            return FIX_INPUT;
        }
        text = next;
        *took_next = true;
    }
    if (value->count > 0 && value->row->type != OPTION_TEXTS && !is_flag) {
        fault_set(f, "--%s is given twice", value->row->name);
        return FIX_INPUT;
    }
    enum status status = read_value(value, text, arena, f);
    value->count++;
    return status;
}

static void add_rows(struct option_values *values, const struct option_row *rows)
{
    for (; rows->name != NULL; rows++)
        values->list[values->count++] = (struct option_value){.row = rows};
}

static enum status check_argument_count(const struct command *command, const char **arguments,
                                        uint32_t count, struct fault *f)
{
    if (count < command->arguments_min) {
        fault_set(f, "wants %s", command->arguments);
        return FIX_INPUT;
    }
    if (count > command->arguments_max) {
        const char *extra = arguments[command->arguments_max];
        if (command->arguments_max == 0)
            fault_set(f, "wend %s takes no argument, but there is \"%s\"", command->name, extra);
        else
            fault_set(f, "wend %s takes %s, but there is also \"%s\"", command->name,
                      command->arguments, extra);
        return FIX_INPUT;
    }
    return OK;
}

enum status option_parse(const struct command *command, int argc, const char *const *argv,
                         struct arena *arena, struct option_values *values, const char ***arguments,
                         uint32_t *argument_count, struct fault *f)
{
    uint32_t rows = row_count(command->options) + row_count(options_everywhere);
    *values = (struct option_values){.list = arena_array(arena, struct option_value, rows)};
    add_rows(values, command->options);
    add_rows(values, options_everywhere);
    *arguments = arena_array(arena, const char *, argc + 1);
    *argument_count = 0;

    bool is_past_dashes = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (is_past_dashes || word[0] != '-' || word[1] == '\0') {
            (*arguments)[(*argument_count)++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            is_past_dashes = true;
            continue;
        }
        if (strcmp(word, "-h") == 0)
            word = "--help";
        if (word[1] != '-') {
            fault_set(f, "unknown option \"%s\": options have two dashes and whole names", word);
            return FIX_INPUT;
        }
        bool took_next = false;
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        enum status status = read_option(values, word, next, &took_next, arena, f);
        if (status != OK)
            return status;
        i += took_next;
    }
    for (uint32_t i = 0; i < values->count; i++) {
        struct option_value *value = &values->list[i];
        if (value->count == 0 && value->row->fallback != NULL)
            must(read_value(value, value->row->fallback, arena, f) == OK);
    }
    if (option_get(values, "help")->count)
        return OK;
    return check_argument_count(command, *arguments, *argument_count, f);
}
