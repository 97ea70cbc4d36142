/* From source to operations: finding {{ }} and {% %} in a text, white space control, the tables, and
 * what the template reads.
 *
 * White space between tags that write nothing is not written either: a block (if, for, case ...) in
 * which there is nothing but white space, assignments and the like loses that white space. So
 *
 *     {% if true %}
 *       {% assign a = 1 %}
 *     {% endif %}
 *
 * says nothing at all. This is what `is_blank` of a block is about: when a blank block ends, the
 * OP_TEXTs directly in it become empty. What is captured keeps its own.
 *
 * A path is the host's unless a loop around it defines its name. A name that the template assigns
 * somewhere may be either, so such a read is marked: its absence is no mistake. Partials are compiled
 * once each, after the source that names them; what any other source defines may be seen by them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/compile.h"

#include <stdarg.h>
#include <stdio.h>

/* --- mistakes -------------------------------------------------------------------------------- */

bool compile_fail(struct compiler *c, size_t at, const char *format, ...)
{
    char sentence[FAULT_TEXT_BYTES];
    char file[FAULT_FILE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    uint32_t line, column;
    compile_place(c, at, &line, &column);
    struct str name = table_at(&c->units, struct unit, c->unit)->name;
    snprintf(file, sizeof(file), "%.*s", STR_ARG(name));
    fault_set(c->fault, "%s", sentence);
    fault_place(c->fault, file, line, column);
    return false;
}

void compile_place(struct compiler *c, size_t at, uint32_t *line, uint32_t *column)
{
    if (c->placed.unit != c->unit || c->placed.line == 0 || at < c->placed.at) {
        c->placed.unit = c->unit;
        c->placed.line = 1;
        c->placed.at = 0;
        c->placed.line_start = 0;
    }
    for (; c->placed.at < at && c->placed.at < c->text.len; c->placed.at++)
        if (c->text.at[c->placed.at] == '\n') {
            c->placed.line++;
            c->placed.line_start = c->placed.at + 1;
        }
    *line = c->placed.line;
    *column = (uint32_t)(at - c->placed.line_start + 1);
}

bool compile_expected(struct compiler *c, const struct lexer *lx, const char *what)
{
    struct str found = lx->token.text;
    if (lx->token.kind == TOKEN_END)
        return compile_fail(c, lx->token.at, "expected %s, but the tag ends", what);
    if (lx->token.kind == TOKEN_BAD && found.len && (found.at[0] == '\'' || found.at[0] == '"'))
        return compile_fail(c, lx->token.at, "this text is not closed");
    return compile_fail(c, lx->token.at, "expected %s, found \"%.*s\"", what,
                        (int)min_of(found.len, (size_t)40), found.at);
}

/* --- tables ---------------------------------------------------------------------------------- */

uint32_t compile_op(struct compiler *c, enum op_code code, uint32_t a, size_t at)
{
    struct op op = {.code = (uint8_t)code, .a = a, .at = (uint32_t)at};
    buf_add(&c->ops, &op, sizeof(op));
    return table_count(&c->ops, struct op) - 1;
}

struct op *compile_op_at(struct compiler *c, uint32_t number)
{
    must(number < table_count(&c->ops, struct op));
    return table_at(&c->ops, struct op, number);
}

uint32_t compile_name(struct compiler *c, struct str name)
{
    uint32_t count = table_count(&c->names, struct str);
    for (uint32_t i = 0; i < count && !c->is_over; i++)
        if (str_equal(*table_at(&c->names, struct str, i), name))
            return i;
    c->is_over |= count == NAMES_MAX;
    if (c->is_over)
        return 0;
    struct name_use use = {.assigned_in = LIQUID_NONE};
    buf_add(&c->names, &name, sizeof(name));
    buf_add(&c->name_uses, &use, sizeof(use));
    return count;
}

void compile_defines(struct compiler *c, uint32_t name, bool is_from_here_on)
{
    struct name_use *use = table_at(&c->name_uses, struct name_use, name);
    bool is_first = use->assigned_in == LIQUID_NONE || use->assigned_in == c->unit;
    use->assigned_in = is_first ? c->unit : MANY_UNITS;
    if (is_from_here_on)
        use->visible_in = c->unit + 1;
}

void compile_writes(struct compiler *c)
{
    if (c->block_count)
        c->blocks[c->block_count - 1].is_blank = false;
}

static uint32_t add_unit(struct compiler *c, const struct liquid_source *source)
{
    struct unit unit = {
        .name = arena_copy(c->plan, source->name),
        .text = arena_copy(c->plan, source->text),
        .entry = LIQUID_NONE,
    };
    buf_add(&c->units, &unit, sizeof(unit));
    return table_count(&c->units, struct unit) - 1;
}

static struct str nearest_partial(const struct compiler *c, struct str name)
{
    struct str names[LIQUID_PARTIALS_MAX];
    for (size_t i = 0; i < c->partial_count; i++)
        names[i] = c->partials[i].name;
    return str_nearest(name, names, c->partial_count);
}

uint32_t compile_unit(struct compiler *c, struct str name, size_t at)
{
    /* The template itself is unit 0 and no partial, whatever it is called. */
    for (uint32_t i = 1; i < table_count(&c->units, struct unit); i++)
        if (str_equal(table_at(&c->units, struct unit, i)->name, name))
            return i;
    for (size_t i = 0; i < c->partial_count; i++)
        if (str_equal(c->partials[i].name, name))
            return add_unit(c, &c->partials[i]);
    struct str near = nearest_partial(c, name);
    if (near.len)
        compile_fail(c, at, "unknown partial \"%.*s\"; did you mean \"%.*s\"?", STR_ARG(name),
                     STR_ARG(near));
    else
        compile_fail(c, at, "unknown partial \"%.*s\"", STR_ARG(name));
    return LIQUID_NONE;
}

bool compile_all_units(struct compiler *c, size_t at)
{
    for (size_t i = 0; i < c->partial_count; i++)
        if (compile_unit(c, c->partials[i].name, at) == LIQUID_NONE)
            return false;
    return true;
}

/* --- texts ----------------------------------------------------------------------------------- */

void compile_text(struct compiler *c, size_t from, size_t end)
{
    struct str text = str_part(c->text, from, end - from);
    if (text.len == 0)
        return;
    uint32_t op = compile_op(c, OP_TEXT, (uint32_t)from, from);
    compile_op_at(c, op)->b = (uint32_t)text.len;
    if (!text_is_blank(text))
        compile_writes(c);
}

/* The text before the next {{ or {%, or before the end. */
static void text_before(struct compiler *c, size_t end)
{
    size_t from = c->at;
    bool trims_end = end + 2 < c->text.len && c->text.at[end + 2] == '-';
    if (c->trims)
        while (from < end && text_is_space(c->text.at[from]))
            from++;
    if (trims_end)
        while (end > from && text_is_space(c->text.at[end - 1]))
            end--;
    c->trims = false;
    compile_text(c, from, end);
}

/* Where the next {{ or {% is, or the text's end. */
static size_t next_opening(const struct compiler *c)
{
    for (size_t at = c->at;;) {
        at = str_find(c->text, STR("{"), at);
        if (at == SIZE_MAX || at + 1 >= c->text.len)
            return c->text.len;
        if (c->text.at[at + 1] == '{' || c->text.at[at + 1] == '%')
            return at;
        at++;
    }
}

/* What is between the brackets, without the dashes. */
struct inside {
    size_t from;
    size_t end;
};

/* Moves past the brackets that open here. */
static bool take_brackets(struct compiler *c, struct str close, struct inside *in)
{
    size_t open = c->at;
    size_t end = str_find(c->text, close, open + 2);
    if (end == SIZE_MAX)
        return compile_fail(c, open, "this %.2s is not closed", c->text.at + open);
    in->from = open + 2;
    in->end = end;
    if (in->from < in->end && c->text.at[in->from] == '-')
        in->from++;
    c->trims = in->end > in->from && c->text.at[in->end - 1] == '-';
    in->end -= c->trims;
    c->at = end + 2;
    return true;
}

static bool has_room(struct compiler *c, size_t at)
{
    return !c->is_over || compile_fail(c, at, "the template has more than %d names", NAMES_MAX);
}

static bool compile_output(struct compiler *c)
{
    struct inside in;
    size_t at = c->at;
    if (!take_brackets(c, STR("}}"), &in))
        return false;
    struct lexer lx = lexer_of(c->text, in.from, in.end);
    if (!compile_filtered(c, &lx) || !compile_end(c, &lx))
        return false;
    uint32_t op = compile_op(c, OP_EMIT, 0, at);
    compile_op_at(c, op)->flag = text_begins_link(c->text, at);
    compile_writes(c);
    return true;
}

/* The word that a tag begins with: letters and underscores, or # for a comment. */
static struct str tag_word(struct str text, size_t *from, size_t end)
{
    while (*from < end && text_is_space(text.at[*from]))
        ++*from;
    size_t word = *from;
    if (word < end && text.at[word] == '#') {
        ++*from;
        return str_part(text, word, 1);
    }
    while (*from < end &&
           ((text.at[*from] >= 'a' && text.at[*from] <= 'z') ||
            (text.at[*from] >= 'A' && text.at[*from] <= 'Z') ||
            (text.at[*from] >= '0' && text.at[*from] <= '9') || text.at[*from] == '_'))
        ++*from;
    return str_part(text, word, *from - word);
}

static bool compile_tag_brackets(struct compiler *c)
{
    struct inside in;
    if (!take_brackets(c, STR("%}"), &in))
        return false;
    struct str word = tag_word(c->text, &in.from, in.end);
    size_t word_at = in.from - word.len;
    if (word.len == 0)
        return compile_fail(c, word_at, "expected a tag");
    return compile_tag(c, word, word_at, in.end);
}

bool compile_skip_to(struct compiler *c, struct str end, size_t opened_at, struct str *body)
{
    size_t body_from = c->at;
    for (size_t at = c->at; (at = str_find(c->text, STR("{%"), at)) != SIZE_MAX; at += 2) {
        size_t from = at + 2;
        bool trims_body = from < c->text.len && c->text.at[from] == '-';
        from += trims_body;
        struct str word = tag_word(c->text, &from, c->text.len);
        if (!str_equal(word, end))
            continue;
        while (from < c->text.len && text_is_space(c->text.at[from]))
            from++;
        bool trims = from < c->text.len && c->text.at[from] == '-';
        from += trims;
        if (!str_equal(str_part(c->text, from, 2), STR("%}")))
            continue;
        *body = str_part(c->text, body_from, at - body_from);
        while (trims_body && body->len && text_is_space(body->at[body->len - 1]))
            body->len--;
        c->at = from + 2;
        c->trims = trims;
        return true;
    }
    return compile_fail(c, opened_at, "expected \"%.*s\", but the template ends", STR_ARG(end));
}

bool compile_skip_comment(struct compiler *c, size_t opened_at)
{
    uint32_t depth = 1;
    while (depth) {
        size_t at = str_find(c->text, STR("{%"), c->at);
        struct inside in;
        struct str ignored;
        c->at = at;
        if (at == SIZE_MAX || str_find(c->text, STR("%}"), at + 2) == SIZE_MAX)
            return compile_fail(c, opened_at, "expected \"endcomment\", but the template ends");
        if (!take_brackets(c, STR("%}"), &in))
            return false;
        struct str word = tag_word(c->text, &in.from, in.end);
        if (str_is(word, "comment"))
            depth++;
        else if (str_is(word, "endcomment"))
            depth--;
        else if (str_is(word, "raw") && !compile_skip_to(c, STR("endraw"), at, &ignored))
            return false;
    }
    return true;
}

/* --- {% liquid %} ---------------------------------------------------------------------------- */

/* The next line that is not empty: its word and where it ends. */
static bool next_line(struct compiler *c, struct str *word, size_t *word_at, size_t *end)
{
    while (c->lines.len) {
        size_t from = (size_t)(c->lines.at - c->text.at);
        size_t len = min_of(str_find(c->lines, STR("\n"), 0), c->lines.len);
        c->lines = str_part(c->lines, len + 1, c->lines.len);
        *end = from + len;
        while (from < *end && text_is_space(c->text.at[from]))
            from++;
        if (from == *end)
            continue;
        *word = tag_word(c->text, &from, *end);
        *word_at = from - word->len;
        return true;
    }
    return false;
}

static bool skip_comment_lines(struct compiler *c, size_t opened_at)
{
    uint32_t depth = 1;
    struct str word;
    size_t word_at, end;
    while (depth) {
        if (!next_line(c, &word, &word_at, &end))
            return compile_fail(c, opened_at, "expected \"endcomment\", but the tag ends");
        if (str_is(word, "comment"))
            depth++;
        else if (str_is(word, "endcomment"))
            depth--;
    }
    return true;
}

static bool compile_line(struct compiler *c, struct str word, size_t word_at, size_t end)
{
    if (word.len == 0)
        return compile_fail(c, word_at, "expected a tag");
    if (str_is(word, "comment"))
        return skip_comment_lines(c, word_at);
    if (str_is(word, "raw") || str_is(word, "doc") || str_is(word, "liquid"))
        return compile_fail(c, word_at, "\"%.*s\" cannot stand inside of \"liquid\"",
                            STR_ARG(word));
    return compile_tag(c, word, word_at, end);
}

bool compile_lines(struct compiler *c, size_t from, size_t end)
{
    struct str word;
    size_t word_at, line_end;
    uint32_t floor = c->block_floor;
    c->block_floor = c->block_count;
    c->lines = str_part(c->text, from, end - from);
    while (next_line(c, &word, &word_at, &line_end))
        if (!compile_line(c, word, word_at, line_end) || !has_room(c, word_at))
            return false;
    if (c->block_count > c->block_floor)
        return compile_fail(c, c->blocks[c->block_count - 1].at,
                            "this block is not ended inside of its \"liquid\" tag");
    c->block_floor = floor;
    return true;
}

/* --- sources --------------------------------------------------------------------------------- */

static const char *block_word(enum block_kind kind)
{
    switch (kind) {
    case BLOCK_IF: return "if";
    case BLOCK_UNLESS: return "unless";
    case BLOCK_CASE: return "case";
    case BLOCK_FOR: return "for";
    case BLOCK_TABLEROW: return "tablerow";
    case BLOCK_CAPTURE: return "capture";
    case BLOCK_IFCHANGED: return "ifchanged";
    }
    return "?";
}

static bool compile_source(struct compiler *c, uint32_t unit)
{
    struct unit *u = table_at(&c->units, struct unit, unit);
    c->unit = unit;
    c->text = u->text;
    c->at = 0;
    c->trims = false;
    u->entry = table_count(&c->ops, struct op);
    if (u->text.len > LIQUID_SOURCE_BYTES_MAX)
        return compile_fail(c, 0, "%zu bytes are more than the %zu a template may have",
                            u->text.len, LIQUID_SOURCE_BYTES_MAX);
    if (!str_is_utf8(u->text))
        return compile_fail(c, 0, "the template is not UTF-8");
    while (c->at < c->text.len) {
        size_t open = next_opening(c);
        text_before(c, open);
        c->at = open;
        if (open == c->text.len)
            break;
        if (!(c->text.at[open + 1] == '{' ? compile_output(c) : compile_tag_brackets(c)))
            return false;
        if (!has_room(c, open))
            return false;
    }
    if (c->block_count) {
        const struct block *open = &c->blocks[c->block_count - 1];
        return compile_fail(c, open->at, "\"%s\" is not ended; expected \"end%s\"",
                            block_word(open->kind), block_word(open->kind));
    }
    compile_op(c, OP_RETURN, 0, c->text.len);
    return true;
}

/* A read is the host's for sure if one place asks for it where no local can be meant. */
static void settle_reads(struct compiler *c)
{
    for (uint32_t i = 0; i < table_count(&c->path_uses, struct path_use); i++) {
        const struct path_use *use = table_at(&c->path_uses, struct path_use, i);
        uint32_t assigned_in = table_at(&c->name_uses, struct name_use, use->name)->assigned_in;
        bool is_others = assigned_in != LIQUID_NONE && assigned_in != use->unit;
        if (!use->is_after_assign && !is_others)
            table_at(&c->reads, struct liquid_read, use->read)->is_maybe_local = false;
    }
}

static const void *settled(struct compiler *c, const struct buf *table)
{
    void *copy = arena_alloc(c->plan, max_of(table->len, (size_t)1));
    if (table->len)
        memcpy(copy, table->at, table->len);
    return copy;
}

static const struct liquid_template *settle(struct compiler *c, enum liquid_kind kind)
{
    struct liquid_template *t = arena_new(c->plan, struct liquid_template);
    settle_reads(c);
    t->kind = kind;
    t->ops = settled(c, &c->ops);
    t->units = settled(c, &c->units);
    t->constants = settled(c, &c->constants);
    t->names = settled(c, &c->names);
    t->variables = settled(c, &c->variables);
    t->parts = settled(c, &c->parts);
    t->loops = settled(c, &c->loops);
    t->calls = settled(c, &c->calls);
    t->arg_names = settled(c, &c->arg_names);
    t->reads = settled(c, &c->reads);
    t->op_count = table_count(&c->ops, struct op);
    t->unit_count = table_count(&c->units, struct unit);
    t->name_count = table_count(&c->names, struct str);
    t->read_count = table_count(&c->reads, struct liquid_read);
    return t;
}

static bool compile_sources(struct compiler *c)
{
    for (uint32_t unit = 0; unit < table_count(&c->units, struct unit); unit++)
        if (!compile_source(c, unit))
            return false;
    return true;
}

enum status liquid_compile(struct arena *plan, const struct liquid_source *source,
                           const struct liquid_source *partials, size_t partial_count,
                           enum liquid_kind kind, const struct liquid_template **out,
                           struct fault *f)
{
    must(partial_count <= LIQUID_PARTIALS_MAX);
    struct compiler c = {
        .plan = plan,
        .fault = f,
        .partials = partials,
        .partial_count = partial_count,
    };
    struct buf *tables[] = {&c.ops,       &c.units,     &c.constants, &c.names,
                            &c.name_uses, &c.variables, &c.parts,     &c.loops,
                            &c.calls,     &c.arg_names, &c.reads,     &c.path_uses};
    for (size_t i = 0; i < array_count(tables); i++)
        buf_init(tables[i]);
    add_unit(&c, source);
    bool is_fine = compile_sources(&c);
    if (is_fine)
        *out = settle(&c, kind);
    for (size_t i = 0; i < array_count(tables); i++)
        buf_fini(tables[i]);
    return is_fine ? OK : FIX_INPUT;
}

const struct liquid_read *liquid_reads(const struct liquid_template *t, size_t *count)
{
    *count = t->read_count;
    return t->reads;
}
