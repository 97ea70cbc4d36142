/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdarg.h>
#include <string.h>

#include "base/buf.h"
#include "cli/help.h"
#include "json/json_write.h"

static const char *exit_name(enum cli_exit code)
{
    switch (code) {
    case CLI_OK: return "ok";
    case CLI_FAILED: return "failed";
    case CLI_USAGE: return "usage";
    case CLI_INPUT: return "input";
    case CLI_WORLD: return "world";
    }
    return "?";
}

/* {"code":"input","message":"...","file":"...","line":3,"column":7} and a line end. */
static void print_json_fault(FILE *err, enum cli_exit code, const struct fault *f)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out);
    json_write_init(&w, &out, JSON_COMPACT);
    json_write_map(&w);
    json_write_key_text(&w, "code", str_of(exit_name(code)));
    json_write_key_text(&w, "message", str_of(f->text));
    if (f->file[0])
        json_write_key_text(&w, "file", str_of(f->file));
    if (f->line)
        json_write_key_int(&w, "line", f->line);
    if (f->column)
        json_write_key_int(&w, "column", f->column);
    json_write_end(&w);
    fprintf(err, "%.*s\n", STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

static int say_fault(struct cli *c, enum cli_exit code, const struct fault *f)
{
    must(f->text[0] != '\0');
    if (c->is_json) {
        print_json_fault(c->err.file, code, f);
        return code;
    }
    char sentence[FAULT_TEXT_BYTES + FAULT_FILE_BYTES + 32];
    fault_print(f, sentence, sizeof(sentence));
    term_print(&c->err, TERM_RED, "wend%s%s: ", c->command ? " " : "",
               c->command ? c->command->name : "");
    term_text(&c->err, "%s\n", sentence);
    return code;
}

int cli_fail(struct cli *c, enum status status, const struct fault *f)
{
    must(status != OK);
    return say_fault(c, status == FIX_INPUT ? CLI_INPUT : CLI_WORLD, f);
}

int cli_usage(struct cli *c, const char *format, ...)
{
    struct fault f = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(f.text, sizeof(f.text), format, args);
    va_end(args);
    say_fault(c, CLI_USAGE, &f);
    if (!c->is_json && c->command != NULL)
        term_text(&c->err, "`wend %s --help` lists what it takes\n", c->command->name);
    return CLI_USAGE;
}

void cli_say(struct cli *c, const char *format, ...)
{
    if (c->is_quiet)
        return;
    va_list args;
    va_start(args, format);
    vfprintf(c->err.file, format, args);
    va_end(args);
    fputc('\n', c->err.file);
}

static const struct option_value *get(const struct cli *c, const char *name, enum option_type type)
{
    const struct option_value *value = option_get(&c->options, name);
    must(value->row->type == type);
    return value;
}

bool cli_flag(const struct cli *c, const char *name)
{
    return get(c, name, OPTION_FLAG)->count > 0;
}

int64_t cli_int(const struct cli *c, const char *name)
{
    const struct option_value *value = get(c, name, OPTION_INT);
    must(value->text != NULL);
    return value->number;
}

int64_t cli_span_ms(const struct cli *c, const char *name)
{
    const struct option_value *value = get(c, name, OPTION_SPAN);
    must(value->text != NULL);
    return value->number;
}

const char *cli_text(const struct cli *c, const char *name)
{
    const struct option_value *value = option_get(&c->options, name);
    must(value->row->type != OPTION_FLAG);
    must(value->row->type != OPTION_TEXTS);
    return value->text;
}

bool cli_is_given(const struct cli *c, const char *name)
{
    return option_get(&c->options, name)->count > 0;
}

uint32_t cli_text_count(const struct cli *c, const char *name)
{
    return get(c, name, OPTION_TEXTS)->count;
}

const char *cli_text_at(const struct cli *c, const char *name, uint32_t i)
{
    const struct option_value *value = get(c, name, OPTION_TEXTS);
    must(i < value->count);
    return value->list[i];
}

/* Before the command line is understood: a bare word says whether errors are wanted as JSON. */
static bool has_word(int argc, const char *const *argv, const char *word)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

int cli_unknown_command(struct cli *c, const char *word)
{
    struct str *names = arena_array(&c->arena, struct str, command_count);
    for (uint32_t i = 0; i < command_count; i++)
        names[i] = str_of(commands[i].name);
    struct str nearest = str_nearest(str_of(word), names, command_count);
    int code = nearest.len ? cli_usage(c, "unknown command \"%s\"; did you mean \"%.*s\"?", word,
                                       STR_ARG(nearest))
                           : cli_usage(c, "unknown command \"%s\"", word);
    if (!c->is_json)
        term_text(&c->err, "`wend --help` lists the commands\n");
    return code;
}

/* The command whose name stands first among the words that are no options, which is then taken out;
 * `wend --help` and `wend --version` are commands too. NULL: there is none. */
static const char *take_command(int *argc, const char **words)
{
    for (int i = 0; i < *argc; i++) {
        const char *word = words[i];
        if (strcmp(word, "--version") == 0)
            word = "version";
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            word = "help";
        else if (word[0] == '-')
            continue;
        memmove(&words[i], &words[i + 1], (size_t)(*argc - i - 1) * sizeof(words[0]));
        (*argc)--;
        return word;
    }
    return NULL;
}

static enum term_color color_wanted(const char *word)
{
    if (strcmp(word, "always") == 0)
        return TERM_COLOR_ALWAYS;
    return strcmp(word, "never") == 0 ? TERM_COLOR_NEVER : TERM_COLOR_AUTO;
}

static int run(struct cli *c, int argc, const char *const *argv)
{
    const char **words = arena_array(&c->arena, const char *, argc + 1);
    int count = 0;
    for (int i = 1; i < argc; i++)
        words[count++] = argv[i];
    const char *name = take_command(&count, words);
    if (name == NULL && count > 0)
        return cli_usage(c, "\"%s\" stands before any command", words[0]);
    if (name == NULL) {
        help_commands(&c->err);
        return CLI_USAGE;
    }
    const struct command *command = command_find(name);
    if (command == NULL)
        return cli_unknown_command(c, name);
    c->command = command;

    struct fault f = {0};
    const char **arguments;
    enum status status = option_parse(command, count, words, &c->arena, &c->options, &arguments,
                                      &c->argument_count, &f);
    if (status != OK)
        return cli_usage(c, "%s", f.text);
    c->arguments = arguments;
    c->is_quiet = c->is_json || cli_flag(c, "quiet");
    enum term_color color = color_wanted(cli_text(c, "color"));
    term_init(&c->out, c->out.file, color);
    term_init(&c->err, c->err.file, color);
    if (cli_flag(c, "help")) {
        help_command(&c->out, command);
        return CLI_OK;
    }
    return command->run(c);
}

int cli_run(int argc, const char *const *argv, FILE *out, FILE *err)
{
    struct cli c = {.is_json = has_word(argc, argv, "--json")};
    arena_init(&c.arena, 16 * 1024);
    term_init(&c.out, out, TERM_COLOR_AUTO);
    term_init(&c.err, err, TERM_COLOR_AUTO);
    int code = run(&c, argc, argv);
    if (fflush(out) != 0 && code == CLI_OK) {
        struct fault f = {.text = "standard output cannot be written"};
        code = cli_fail(&c, GIVE_UP, &f);
    }
    arena_fini(&c.arena);
    return code;
}
