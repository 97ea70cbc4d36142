/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/yaml.h"

#include "base/map.h"
#include "base/mem.h"

#include <errno.h>
#include <libfyaml.h>
#include <math.h>
#include <stdlib.h>

#define PARSER_INPUT_BYTES ((size_t)16 << 10)

/* ---- places ---------------------------------------------------------------------------------- */

static void lines_find(struct yaml_file *file, struct arena *arena)
{
    uint32_t count = 1;
    for (size_t i = 0; i < file->text.len; i++)
        count += file->text.at[i] == '\n';
    uint32_t *lines = arena_array(arena, uint32_t, count);
    uint32_t n = 1;
    for (size_t i = 0; i < file->text.len; i++)
        if (file->text.at[i] == '\n')
            lines[n++] = (uint32_t)i + 1;
    file->lines = lines;
    file->line_count = count;
}

struct str yaml_line(const struct yaml_file *file, uint32_t line)
{
    if (line == 0 || line > file->line_count)
        return STR("");
    size_t from = file->lines[line - 1];
    size_t to = line < file->line_count ? file->lines[line] : file->text.len;
    while (to > from && (file->text.at[to - 1] == '\n' || file->text.at[to - 1] == '\r'))
        to--;
    return str_part(file->text, from, to - from);
}

struct place yaml_place(const struct yaml_file *file, const struct yaml_node *node)
{
    if (!node)
        return (struct place){file->path, 0, 0};
    return (struct place){file->path, node->line, node->column};
}

static struct place place_at(const struct yaml_file *file, size_t at)
{
    uint32_t line = 1;
    uint32_t above = file->line_count + 1;
    while (above - line > 1) { /* lines[line - 1] <= at < lines[above - 1] */
        uint32_t middle = line + (above - line) / 2;
        if (file->lines[middle - 1] <= at)
            line = middle;
        else
            above = middle;
    }
    return (struct place){file->path, line, (uint32_t)(at - file->lines[line - 1]) + 1};
}

/* A plain or quoted scalar on one line: byte `offset` of its text, counted in the file. */
static struct place place_in_line(const struct yaml_file *file, const struct yaml_node *node,
                                  size_t offset)
{
    size_t at = node->at;
    struct str source = str_part(file->text, at, file->text.len - at);
    if (node->style == YAML_PLAIN && str_starts(source, node->text))
        return place_at(file, at + offset);
    if (node->style == YAML_PLAIN || source.len == 0)
        return yaml_place(file, node);
    size_t i = 1; /* behind the quote */
    for (size_t n = 0; n < node->text.len; n++, i++) {
        if (i >= source.len)
            return yaml_place(file, node);
        if (node->style == YAML_SINGLE && source.at[i] == '\'')
            i++; /* '' is one */
        if (i >= source.len || source.at[i] != node->text.at[n])
            return yaml_place(file, node);
        if (n == offset)
            return place_at(file, at + i);
    }
    return place_at(file, at + i);
}

/* A literal block: line n of the text is line n of the block, behind the indentation. */
static struct place place_in_block(const struct yaml_file *file, const struct yaml_node *node,
                                   size_t offset)
{
    uint32_t line = 0;
    size_t begin = 0;
    for (size_t i = 0; i < offset && i < node->text.len; i++) {
        if (node->text.at[i] == '\n') {
            line++;
            begin = i + 1;
        }
    }
    size_t end = begin;
    while (end < node->text.len && node->text.at[end] != '\n')
        end++;
    struct str wanted = str_part(node->text, begin, end - begin);
    struct str source = yaml_line(file, node->line + line);
    size_t indent = 0;
    while (indent < source.len && source.at[indent] == ' ')
        indent++;
    while (indent > 0 && source.len - indent < wanted.len)
        indent--; /* further spaces belong to the text */
    if (!str_ends(source, wanted))
        return yaml_place(file, node);
    return (struct place){file->path, node->line + line,
                          (uint32_t)(source.len - wanted.len + (offset - begin)) + 1};
}

struct place yaml_place_in(const struct yaml_file *file, const struct yaml_node *node,
                           size_t offset)
{
    if (!node || node->at >= file->text.len)
        return yaml_place(file, node);
    switch ((enum yaml_style)node->style) {
    case YAML_PLAIN:
    case YAML_SINGLE:
    case YAML_DOUBLE_QUOTED: return place_in_line(file, node, offset);
    case YAML_LITERAL: return place_in_block(file, node, offset);
    case YAML_FOLDED:
    case YAML_FLOW:
    case YAML_BLOCK: break;
    }
    return yaml_place(file, node);
}

struct str yaml_quote(struct str text, struct arena *arena)
{
    size_t quotes = 0;
    for (size_t i = 0; i < text.len; i++)
        quotes += text.at[i] == '\'';
    char *out = arena_alloc(arena, text.len + quotes + 2);
    size_t n = 0;
    out[n++] = '\'';
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\'')
            out[n++] = '\'';
        out[n++] = text.at[i];
    }
    out[n++] = '\'';
    return (struct str){out, n};
}

static struct str line_splice(struct str line, size_t from, size_t to, struct str with,
                              struct arena *arena)
{
    return arena_printf(arena, "%.*s%.*s%.*s", (int)from, line.at, STR_ARG(with),
                        (int)(line.len - to), line.at + to);
}

struct str yaml_line_with(const struct yaml_file *file, const struct yaml_node *node,
                          struct str with, struct arena *arena)
{
    struct str line = yaml_line(file, node->line);
    size_t from = node->column - 1;
    if (node->style != YAML_PLAIN || node->type > YAML_TEXT || node->text.len == 0 ||
        !str_equal(str_part(line, from, node->text.len), node->text))
        return STR("");
    return line_splice(line, from, from + node->text.len, with, arena);
}

/* ---- slips ----------------------------------------------------------------------------------- *
 *
 * A line is `  - key: value` or holds a flow map with `{key: value, ...}` in it. slip_walk() goes over
 * the values of a line and asks each whether it can stand without quotes. */

struct slip {
    size_t from; /* of the value in the line */
    size_t to;
    bool is_flow;
    struct str key;
};

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* `key: ` at byte `at`: the byte behind it, or 0. */
static size_t key_skip(struct str line, size_t at, struct str *key)
{
    size_t i = at;
    while (i < line.len && is_key_byte(line.at[i]))
        i++;
    if (i == at || i >= line.len || line.at[i] != ':')
        return 0;
    if (i + 1 < line.len && line.at[i + 1] != ' ')
        return 0;
    *key = str_part(line, at, i - at);
    i++;
    while (i < line.len && line.at[i] == ' ')
        i++;
    return i;
}

/* The end of a value in a flow map: the comma or bracket that ends it, where parentheses, brackets and
 * quotes of an expression are respected. Where the comma is followed by something that is no key, it
 * belongs to the value. */
static size_t flow_value_end(struct str line, size_t at)
{
    int depth = 0;
    char quote = 0;
    for (size_t i = at; i < line.len; i++) {
        char c = line.at[i];
        if (quote) {
            if (c == '\\' && quote == '"')
                i++;
            else if (c == quote)
                quote = 0;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '(' || c == '[' || c == '{') {
            depth++;
        } else if (c == ')' || c == ']' || c == '}') {
            if (depth == 0)
                return i;
            depth--;
        } else if (c == ',' && depth == 0) {
            return i;
        }
    }
    return quote ? 0 : line.len;
}

/* Behind the quoted text that begins at `at`; 0 if it does not end in `s`. */
static size_t quoted_end(struct str s, size_t at)
{
    char quote = s.at[at];
    for (size_t i = at + 1; i < s.len; i++) {
        if (s.at[i] == '\\' && quote == '"')
            i++;
        else if (s.at[i] == quote && quote == '\'' && i + 1 < s.len && s.at[i + 1] == '\'')
            i++;
        else if (s.at[i] == quote)
            return i + 1;
    }
    return 0;
}

static bool key_takes_expression(struct str key)
{
    return str_is(key, "when") || str_is(key, "unless") || str_is(key, "if") ||
           str_is(key, "require") || str_is(key, "only_if") || str_is(key, "needs");
}

/* Why the value needs quotes; NULL if it does not. */
static const char *value_slip(struct str value, bool is_flow, enum finding_code *code)
{
    *code = FINDING_YAML_QUOTES;
    if (value.len == 0)
        return NULL;
    char c = value.at[0];
    if (c == '!') {
        *code = FINDING_YAML_TAG;
        return "a word that begins with ! is a tag to YAML";
    }
    if (str_starts(value, STR("{{")) || str_starts(value, STR("{%")))
        return "a value that begins with { is a map to YAML";
    if (c == '"' || c == '\'') {
        size_t end = quoted_end(value, 0);
        if (end == 0)
            return NULL; /* may go on in the next line */
        struct str rest = str_trim(str_part(value, end, value.len - end));
        bool is_over = rest.len == 0 || (rest.at[0] == '#' && value.at[end] == ' ');
        return is_over ? NULL : "a value that begins with a quote ends with it";
    }
    if (c == '@' || c == '`' || c == '%')
        return "a value cannot begin with this sign";
    if (c == '|' || c == '>' || c == '&' || c == '*' || c == '[' || c == '{' || c == '#')
        return NULL;
    size_t comment = str_find(value, STR(" #"), 0);
    struct str said = str_part(value, 0, comment == SIZE_MAX ? value.len : comment);
    if (str_find(said, STR(": "), 0) != SIZE_MAX || str_ends(str_trim(said), STR(":")))
        return "\": \" makes a map of what should be one text";
    if (!is_flow)
        return NULL;
    for (size_t i = 0; i < value.len; i++)
        if (strchr(",[]{}", value.at[i]) != NULL)
            return "commas and brackets end a value inside { }";
    return NULL;
}

/* What the value was meant to be, in quotes. */
static struct str value_mended(const struct slip *slip, struct str value, struct arena *arena)
{
    char c = value.at[0];
    bool has_own = value.len > 1 && (c == '"' || c == '\'') && value.at[value.len - 1] == c;
    if (!has_own)
        return yaml_quote(value, arena);
    if (key_takes_expression(slip->key) && c == '"')
        return yaml_quote(value, arena); /* "vip" in x || y == "z": the quotes are the language's */
    return yaml_quote(str_part(value, 1, value.len - 2), arena);
}

static struct str slip_try(struct str line, const struct slip *slip, struct arena *arena,
                           enum finding_code *code, const char **what, uint32_t *column)
{
    struct str value = str_trim(str_part(line, slip->from, slip->to - slip->from));
    const char *why = value_slip(value, slip->is_flow, code);
    if (!why)
        return STR("");
    size_t from = (size_t)(value.at - line.at);
    *what = why;
    *column = (uint32_t)from + 1;
    return line_splice(line, from, from + value.len, value_mended(slip, value, arena), arena);
}

struct str yaml_mend(struct str line, struct arena *arena, enum finding_code *code,
                     const char **what, uint32_t *column)
{
    size_t i = 0;
    while (i < line.len &&
           (line.at[i] == ' ' || (line.at[i] == '-' && i + 1 < line.len && line.at[i + 1] == ' ')))
        i++;
    struct slip slip = {.to = line.len, .key = STR("")};
    size_t value = key_skip(line, i, &slip.key);
    slip.from = value ? value : i;
    bool opens_flow =
        slip.from < line.len && (line.at[slip.from] == '{' || line.at[slip.from] == '[');
    bool is_liquid = opens_flow && slip.from + 1 < line.len && line.at[slip.from] == '{' &&
                     (line.at[slip.from + 1] == '{' || line.at[slip.from + 1] == '%');
    if (!opens_flow || is_liquid) {
        if (!value) /* an item of a list, or the rest of a text: only what cannot be anything else */
            return STR("");
        return slip_try(line, &slip, arena, code, what, column);
    }
    slip.is_flow = true;
    for (i = slip.from; i < line.len; i++) {
        char before = i ? line.at[i - 1] : ' ';
        if (line.at[i] == '"' || line.at[i] == '\'') {
            size_t end = quoted_end(line, i);
            if (!end)
                return STR("");
            i = end - 1;
            continue;
        }
        if (!is_key_byte(line.at[i]) || (before != '{' && before != ' ' && before != ','))
            continue;
        value = key_skip(line, i, &slip.key);
        if (!value || value >= line.len)
            continue;
        bool is_nested = (line.at[value] == '{' || line.at[value] == '[') &&
                         !str_starts(str_part(line, value, 2), STR("{{")) &&
                         !str_starts(str_part(line, value, 2), STR("{%"));
        if (is_nested) {
            i = value - 1;
            continue;
        }
        slip.from = value;
        slip.to = flow_value_end(line, value);
        if (slip.to <= slip.from)
            return STR("");
        struct str mended = slip_try(line, &slip, arena, code, what, column);
        if (mended.len)
            return mended;
        i = slip.to - 1;
    }
    return STR("");
}

/* ---- scalars: the core schema ------------------------------------------------------------------ */

static bool is_one_of(struct str s, const char *const *words)
{
    for (; *words; words++)
        if (str_is(s, *words))
            return true;
    return false;
}

static bool digits_only(struct str s, bool (*is_digit)(char))
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.at[i]))
            return false;
    return s.len > 0;
}

static bool is_decimal(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

static bool is_hexadecimal(char c)
{
    return is_decimal(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(struct str s)
{
    size_t i = 0;
    size_t digits = 0;
    if (i < s.len && (s.at[i] == '-' || s.at[i] == '+'))
        i++;
    for (; i < s.len && is_decimal(s.at[i]); i++)
        digits++;
    if (i < s.len && s.at[i] == '.')
        for (i++; i < s.len && is_decimal(s.at[i]); i++)
            digits++;
    if (digits == 0)
        return false;
    if (i < s.len && (s.at[i] == 'e' || s.at[i] == 'E')) {
        i++;
        if (i < s.len && (s.at[i] == '-' || s.at[i] == '+'))
            i++;
        size_t from = i;
        while (i < s.len && is_decimal(s.at[i]))
            i++;
        if (i == from)
            return false;
    }
    return i == s.len;
}

static void plain_resolve(struct yaml_node *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const infinities[] = {".inf",  ".Inf",  ".INF", "+.inf",
                                             "+.Inf", "+.INF", NULL};
    static const char *const minuses[] = {"-.inf", "-.Inf", "-.INF", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    struct str s = node->text;
    node->type = YAML_TEXT;
    if (is_one_of(s, nulls)) {
        node->type = YAML_NULL;
    } else if (is_one_of(s, trues) || is_one_of(s, falses)) {
        node->type = YAML_BOOL;
        node->boolean = is_one_of(s, trues);
    } else if (is_one_of(s, infinities) || is_one_of(s, minuses) || is_one_of(s, nans)) {
        node->type = YAML_DOUBLE;
        node->number = is_one_of(s, nans) ? NAN : is_one_of(s, minuses) ? -INFINITY : INFINITY;
    } else if (s.len > 2 && s.at[0] == '0' && (s.at[1] == 'o' || s.at[1] == 'x') &&
               digits_only(str_part(s, 2, s.len), s.at[1] == 'o' ? is_octal : is_hexadecimal)) {
        char digits[32];
        if (str_to_z(str_part(s, 2, s.len), digits, sizeof(digits))) {
            errno = 0;
            long long x = strtoll(digits, NULL, s.at[1] == 'o' ? 8 : 16);
            if (errno == 0) {
                node->type = YAML_INT;
                node->integer = x;
            }
        }
    } else if (is_float(s)) {
        struct str unsigned_part = s.at[0] == '+' ? str_part(s, 1, s.len) : s;
        if (str_to_int(unsigned_part, &node->integer))
            node->type = YAML_INT;
        else if (str_to_double(unsigned_part, &node->number))
            node->type = YAML_DOUBLE;
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

struct frame {
    struct yaml_node *node;
    struct yaml_node *key; /* a map's key that waits for its value */
    uint32_t room;
    struct str anchor;
    uint64_t weight; /* nodes below, with what aliases repeat */
};

struct anchor {
    struct str name;
    struct yaml_node *node;
    uint64_t weight;
};

struct reader {
    struct yaml_file *file;
    struct arena *arena;
    struct findings *findings;
    struct frame stack[YAML_DEPTH_MAX];
    uint32_t depth;
    struct anchor anchors[YAML_ANCHORS_MAX];
    uint32_t anchor_count;
    uint64_t weight;
    uint32_t documents;
    uint32_t slip_line; /* a line on which something cannot be meant; 0 = none */
    struct yaml_node *slip_node;
    bool is_over; /* a limit was reached: no more of this file */
};

static void limit_say(struct reader *r, const struct yaml_node *node, const char *what)
{
    if (!r->is_over)
        findings_add(r->findings, FINDING_YAML_LIMIT, yaml_place(r->file, node), "%s", what);
    r->is_over = true;
}

static struct str token_text(struct reader *r, struct fy_token *token)
{
    size_t len = 0;
    const char *at = token ? fy_token_get_text(token, &len) : NULL;
    return at ? arena_copy(r->arena, (struct str){at, len}) : STR("");
}

static struct yaml_node *node_new(struct reader *r, struct fy_event *event)
{
    struct yaml_node *node = arena_new(r->arena, struct yaml_node);
    enum fy_scalar_style style = event->type == FYET_SCALAR && event->scalar.value
                                     ? fy_token_scalar_style(event->scalar.value)
                                     : FYSS_PLAIN;
    bool is_marked =
        event->type == FYET_ALIAS || style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (mark && mark->line >= 0) {
        node->at = (uint32_t)min_of(mark->input_pos, r->file->text.len);
        /* NOTE: libfyaml's marks of quoted texts and aliases stand behind the quote and the star. */
        char before = node->at ? r->file->text.at[node->at - 1] : ' ';
        if (is_marked && (before == '\'' || before == '"' || before == '*'))
            node->at--;
        struct place place = place_at(r->file, node->at);
        node->line = place.line;
        node->column = place.column;
    } else if (r->depth) { /* nothing is written: the key stands for it */
        const struct frame *top = &r->stack[r->depth - 1];
        const struct yaml_node *near = top->key ? top->key : top->node;
        node->line = near->line;
        node->column = near->column;
        node->at = near->at;
    }
    return node;
}

static void slip_note(struct reader *r, struct yaml_node *node)
{
    if (!r->slip_line) {
        r->slip_line = node->line;
        r->slip_node = node;
    }
}

static bool is_key_of(const struct yaml_node *map, struct str key)
{
    for (uint32_t i = 0; i < map->count; i++)
        if (str_equal(map->pairs[i].key->text, key))
            return true;
    return false;
}

static void *grown(struct reader *r, void *old, uint32_t count, uint32_t *room, size_t bytes)
{
    if (count < *room)
        return old;
    uint32_t wanted = *room ? *room * 2 : 4;
    char *new = arena_alloc(r->arena, wanted * bytes);
    if (count)
        memcpy(new, old, count * bytes);
    *room = wanted;
    return new;
}

/* Puts a finished node where it belongs. */
static void node_place(struct reader *r, struct yaml_node *node, uint64_t weight)
{
    r->weight += weight;
    if (r->weight > YAML_NODES_MAX)
        limit_say(r, node, "the file has too many values, those that aliases repeat included");
    if (r->depth == 0) {
        if (!r->file->root)
            r->file->root = node;
        return;
    }
    struct frame *top = &r->stack[r->depth - 1];
    top->weight += weight;
    struct yaml_node *parent = top->node;
    if (parent->type == YAML_LIST) {
        parent->items = grown(r, parent->items, parent->count, &top->room, sizeof(*parent->items));
        parent->items[parent->count++] = node;
    } else if (!top->key) {
        top->key = node;
        if (node->type > YAML_TEXT)
            slip_note(r, node);
    } else {
        struct yaml_node *key = top->key;
        top->key = NULL;
        if (key->type > YAML_TEXT) {
            return;
        }
        if (parent->count == YAML_PAIRS_MAX) {
            limit_say(r, key, "a map has too many keys");
            return;
        }
        if (is_key_of(parent, key->text)) {
            findings_add(r->findings, FINDING_YAML_KEY_TWICE, yaml_place(r->file, key),
                         "the key \"%.*s\" stands here twice", STR_ARG(key->text));
            return;
        }
        parent->pairs = grown(r, parent->pairs, parent->count, &top->room, sizeof(*parent->pairs));
        parent->pairs[parent->count++] = (struct yaml_pair){key, node};
    }
}

static void anchor_keep(struct reader *r, struct str name, struct yaml_node *node, uint64_t weight)
{
    if (!name.len)
        return;
    for (uint32_t i = 0; i < r->anchor_count; i++) {
        if (str_equal(r->anchors[i].name, name)) {
            r->anchors[i] = (struct anchor){name, node, weight};
            return;
        }
    }
    if (r->anchor_count == YAML_ANCHORS_MAX) {
        limit_say(r, node, "the file has too many anchors");
        return;
    }
    r->anchors[r->anchor_count++] = (struct anchor){name, node, weight};
}

static void tag_look(struct reader *r, struct fy_token *tag, struct yaml_node *node)
{
    struct str text = token_text(r, tag);
    if (!text.len || str_starts(text, STR("tag:yaml.org,2002:")) || str_is(text, "!"))
        return;
    slip_note(r, node);
}

static void scalar_take(struct reader *r, struct fy_event *event)
{
    struct yaml_node *node = node_new(r, event);
    struct fy_token *value = event->scalar.value;
    node->text = token_text(r, value);
    switch (value ? fy_token_scalar_style(value) : FYSS_PLAIN) {
    case FYSS_ANY:
    case FYSS_MAX:
    case FYSS_PLAIN: node->style = YAML_PLAIN; break;
    case FYSS_SINGLE_QUOTED: node->style = YAML_SINGLE; break;
    case FYSS_DOUBLE_QUOTED: node->style = YAML_DOUBLE_QUOTED; break;
    case FYSS_LITERAL: node->style = YAML_LITERAL; break;
    case FYSS_FOLDED: node->style = YAML_FOLDED; break;
    }
    if (node->style == YAML_PLAIN && !event->scalar.tag)
        plain_resolve(node);
    else
        node->type = YAML_TEXT;
    tag_look(r, event->scalar.tag, node);
    node_place(r, node, 1);
    anchor_keep(r, token_text(r, event->scalar.anchor), node, 1);
}

static void alias_take(struct reader *r, struct fy_event *event)
{
    struct yaml_node *here = node_new(r, event);
    struct str name = token_text(r, event->alias.anchor);
    for (uint32_t i = 0; i < r->anchor_count; i++) {
        if (str_equal(r->anchors[i].name, name)) {
            node_place(r, r->anchors[i].node, r->anchors[i].weight);
            return;
        }
    }
    findings_add(r->findings, FINDING_NOT_YAML, yaml_place(r->file, here),
                 "the alias *%.*s has no anchor before it", STR_ARG(name));
    here->is_bad = true;
    here->type = YAML_NULL;
    node_place(r, here, 1);
}

static void container_begin(struct reader *r, struct fy_event *event, enum yaml_type type,
                            struct fy_token *tag, struct fy_token *anchor)
{
    struct yaml_node *node = node_new(r, event);
    node->type = (uint8_t)type;
    if (r->depth == YAML_DEPTH_MAX) {
        limit_say(r, node, "maps and lists are nested too deeply");
        return;
    }
    char first = node->at < r->file->text.len ? r->file->text.at[node->at] : ' ';
    node->style = first == '{' || first == '[' ? YAML_FLOW : YAML_BLOCK;
    tag_look(r, tag, node);
    r->stack[r->depth++] =
        (struct frame){.node = node, .anchor = token_text(r, anchor), .weight = 1};
}

static void container_end(struct reader *r)
{
    must(r->depth > 0);
    struct frame frame = r->stack[--r->depth];
    r->weight -= frame.weight - 1; /* counted once below, again here as a whole */
    node_place(r, frame.node, frame.weight);
    anchor_keep(r, frame.anchor, frame.node, frame.weight);
}

static void event_take(struct reader *r, struct fy_event *event)
{
    switch (event->type) {
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END: return;
    case FYET_DOCUMENT_START:
        if (++r->documents == 2) {
            const struct fy_mark *mark = fy_event_start_mark(event);
            struct place place = {r->file->path, mark ? (uint32_t)mark->line + 1 : 0, 1};
            findings_add(r->findings, FINDING_NOT_YAML, place,
                         "a second document begins here; a file has one");
            finding_advise(r->findings, "put it into a file of its own");
            r->is_over = true;
        }
        return;
    case FYET_SCALAR: scalar_take(r, event); return;
    case FYET_ALIAS: alias_take(r, event); return;
    case FYET_SEQUENCE_START:
        container_begin(r, event, YAML_LIST, event->sequence_start.tag,
                        event->sequence_start.anchor);
        return;
    case FYET_MAPPING_START:
        container_begin(r, event, YAML_MAP, event->mapping_start.tag, event->mapping_start.anchor);
        return;
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END: container_end(r); return;
    }
}

/* The text with line `line` replaced. */
static struct str text_with_line(const struct yaml_file *file, uint32_t line, struct str with,
                                 struct arena *arena)
{
    struct str old = yaml_line(file, line);
    size_t from = (size_t)(old.at - file->text.at);
    size_t after = from + old.len;
    char *out = arena_alloc(arena, file->text.len + with.len + 1);
    size_t n = 0;
    memcpy(out, file->text.at, from);
    n += from;
    if (with.len)
        memcpy(out + n, with.at, with.len);
    n += with.len;
    memcpy(out + n, file->text.at + after, file->text.len - after);
    n += file->text.len - after;
    out[n] = 0;
    return (struct str){out, n};
}

/* Mends the slip on `line`, if there is one: says so and changes the text. */
static bool line_mend(struct yaml_file *file, uint32_t line, struct arena *arena,
                      struct findings *findings)
{
    enum finding_code code;
    const char *what;
    uint32_t column;
    struct str old = yaml_line(file, line);
    if (old.len == 0 || old.len > 4096)
        return false;
    struct str mended = yaml_mend(old, arena, &code, &what, &column);
    if (!mended.len)
        return false;
    findings_add(findings, code, (struct place){file->path, line, column}, "%s", what);
    finding_advise(findings, "put the value in quotes");
    finding_fix(findings, "%.*s", STR_ARG(str_trim(mended)));
    file->text = text_with_line(file, line, mended, arena);
    lines_find(file, arena);
    return true;
}

static void syntax_say(struct yaml_file *file, struct fy_diag *diag, struct findings *findings,
                       uint32_t *line)
{
    void *each = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &each);
    if (!error || error->line <= 0) {
        findings_add(findings, FINDING_NOT_YAML, (struct place){file->path, 0, 0},
                     "this is not YAML: %s", error && error->msg ? error->msg : "unknown fault");
        return;
    }
    *line = (uint32_t)error->line;
    findings_add(findings, FINDING_NOT_YAML,
                 (struct place){file->path, *line, (uint32_t)max_of(error->column, 0)},
                 "this is not YAML: %s", error->msg ? error->msg : "");
    if (error->msg && strstr(error->msg, "tab"))
        finding_advise(findings, "YAML is indented with spaces");
}

static uint32_t syntax_line(struct fy_diag *diag)
{
    void *each = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &each);
    return error && error->line > 0 ? (uint32_t)error->line : 0;
}

enum pass {
    PASS_DONE,
    PASS_AGAIN, /* a slip was mended */
    PASS_FAILED,
};

/* Looks at what libfyaml refused, or what cannot be meant. */
static enum pass pass_judge(struct reader *r, bool has_failed, struct fy_diag *diag, bool may_mend)
{
    uint32_t line = has_failed ? syntax_line(diag) : r->slip_line;
    if (!has_failed && !r->slip_line)
        return r->is_over ? PASS_FAILED : PASS_DONE;
    if (may_mend && line) {
        if (line_mend(r->file, line, r->arena, r->findings))
            return PASS_AGAIN;
        if (has_failed && line > 1 && line_mend(r->file, line - 1, r->arena, r->findings))
            return PASS_AGAIN;
        if (has_failed && r->slip_line && line_mend(r->file, r->slip_line, r->arena, r->findings))
            return PASS_AGAIN;
    }
    if (has_failed) {
        syntax_say(r->file, diag, r->findings, &line);
        r->file->root = NULL;
        return PASS_FAILED;
    }
    findings_add(r->findings, FINDING_NOT_YAML, yaml_place(r->file, r->slip_node),
                 "a key must be a word, and tags (!word) have no meaning here");
    finding_advise(r->findings, "put it in quotes");
    return PASS_FAILED;
}

/* Where there is no memory the process stops (base/mem.h). libfyaml does not: it goes on with an input that it
 * could not make. So as much as it will ask for is had, and given back, before it asks. */
static void parser_take_text(struct fy_parser *parser, struct str text)
{
    mem_free(mem_new(PARSER_INPUT_BYTES));
    must(fy_parser_set_string(parser, text.at, text.len) == 0);
}

/* One pass over the text. */
static enum pass file_pass(struct yaml_file *file, struct arena *arena, struct findings *findings,
                           bool may_mend)
{
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    diag_config.colorize = false;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    must(diag != NULL);
    fy_diag_set_collect_errors(diag, true);
    const struct fy_parse_cfg config = {
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
        .diag = diag,
    };
    struct fy_parser *parser = fy_parser_create(&config);
    must(parser != NULL);
    parser_take_text(parser, file->text);

    /* What a pass says about keys and aliases counts only if it is the last. */
    struct findings said;
    findings_init(&said);
    struct reader *r = mem_new(sizeof(*r));
    *r = (struct reader){.file = file, .arena = arena, .findings = &said};
    file->root = NULL;
    bool has_ended =
        false; /* else what was read may be a part of the file, even where no error is noted */
    while (!has_ended && !r->is_over) {
        struct fy_event *event = fy_parser_parse(parser);
        if (!event)
            break;
        has_ended = event->type == FYET_STREAM_END;
        event_take(r, event);
        fy_parser_event_free(parser, event);
    }
    bool has_failed = fy_parser_get_stream_error(parser) || (!has_ended && !r->is_over);
    if (r->is_over || has_failed)
        file->root = NULL;
    r->findings = findings;
    enum pass pass = pass_judge(r, has_failed, diag, may_mend);
    if (pass != PASS_AGAIN) {
        for (uint32_t i = 0; i < said.count; i++) {
            const struct finding *one = &said.list[i];
            findings_add(findings, one->code, one->place, "%.*s", STR_ARG(one->text));
            finding_advise(findings, "%.*s", STR_ARG(one->advice));
        }
    }
    mem_free(r);
    findings_fini(&said);
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return pass;
}

/* Text that no editor would write: NUL and other control characters, broken UTF-8. */
static bool text_is_clean(struct yaml_file *file, struct findings *findings)
{
    if (!str_is_utf8(file->text)) {
        findings_add(findings, FINDING_NOT_YAML, (struct place){file->path, 0, 0},
                     "the file is not UTF-8 text");
        return false;
    }
    for (size_t i = 0; i < file->text.len; i++) {
        uint8_t c = (uint8_t)file->text.at[i];
        if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f) {
            findings_add(findings, FINDING_NOT_YAML, place_at(file, i),
                         "a control character (byte %02x) stands here", c);
            return false;
        }
    }
    return true;
}

bool yaml_read(struct str path, struct str text, struct arena *arena, struct yaml_file *out,
               struct findings *findings)
{
    uint32_t errors = findings->error_count;
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_part(text, 3, text.len); /* a byte order mark */
    *out = (struct yaml_file){.path = arena_copy(arena, path), .text = arena_copy(arena, text)};
    lines_find(out, arena);
    if (!text_is_clean(out, findings))
        return false;
    if (str_trim(out->text).len == 0)
        return true;
    uint32_t mended = 0;
    while (file_pass(out, arena, findings, mended < YAML_SLIPS_MAX) == PASS_AGAIN)
        mended++;
    return findings->error_count == errors;
}

/* ---- walking --------------------------------------------------------------------------------- */

static const struct yaml_pair *pair_find(const struct yaml_node *map, const char *key)
{
    if (!map || map->type != YAML_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->count; i++)
        if (str_is(map->pairs[i].key->text, key))
            return &map->pairs[i];
    return NULL;
}

struct yaml_node *yaml_find(const struct yaml_node *map, const char *key)
{
    const struct yaml_pair *pair = pair_find(map, key);
    return pair ? pair->value : NULL;
}

struct yaml_node *yaml_find_key(const struct yaml_node *map, const char *key)
{
    const struct yaml_pair *pair = pair_find(map, key);
    return pair ? pair->key : NULL;
}

const char *yaml_type_words(const struct yaml_node *node)
{
    switch ((enum yaml_type)node->type) {
    case YAML_NULL: return "nothing";
    case YAML_BOOL: return node->boolean ? "the word true" : "the word false";
    case YAML_INT: return "a whole number";
    case YAML_DOUBLE: return "a number";
    case YAML_TEXT: return "a text";
    case YAML_LIST: return "a list";
    case YAML_MAP: return "a map";
    }
    return "something";
}

static int pair_order(const void *a_, const void *b_)
{
    const struct yaml_pair *a = *(const struct yaml_pair *const *)a_;
    const struct yaml_pair *b = *(const struct yaml_pair *const *)b_;
    return str_order(a->key->text, b->key->text);
}

static void normal_text(struct str text, struct buf *out)
{
    buf_add_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, (uint8_t)text.at[i]);
    }
    buf_add_byte(out, '"');
}

/* Recursion is bounded by YAML_DEPTH_MAX, and by YAML_NODES_MAX where aliases repeat. */
void yaml_normal(const struct yaml_node *node, const char *const *skip, struct buf *out)
{
    switch ((enum yaml_type)node->type) {
    case YAML_NULL: buf_add_str(out, STR("null")); return;
    case YAML_BOOL: buf_add_str(out, node->boolean ? STR("true") : STR("false")); return;
    case YAML_INT: buf_printf(out, "%lld", (long long)node->integer); return;
    case YAML_DOUBLE: buf_printf(out, "%.17g", node->number); return;
    case YAML_TEXT: normal_text(node->text, out); return;
    case YAML_LIST:
        buf_add_byte(out, '[');
        for (uint32_t i = 0; i < node->count; i++) {
            if (i)
                buf_add_byte(out, ',');
            yaml_normal(node->items[i], NULL, out);
        }
        buf_add_byte(out, ']');
        return;
    case YAML_MAP: break;
    }
    const struct yaml_pair **order = mem_new((node->count + 1) * sizeof(const struct yaml_pair *));
    for (uint32_t i = 0; i < node->count; i++)
        order[i] = &node->pairs[i];
    qsort(order, node->count, sizeof(const struct yaml_pair *), pair_order);
    buf_add_byte(out, '{');
    bool is_first = true;
    for (uint32_t i = 0; i < node->count; i++) {
        if (skip && is_one_of(order[i]->key->text, skip))
            continue;
        if (!is_first)
            buf_add_byte(out, ',');
        is_first = false;
        normal_text(order[i]->key->text, out);
        buf_add_byte(out, ':');
        yaml_normal(order[i]->value, NULL, out);
    }
    buf_add_byte(out, '}');
    mem_free(order);
}
