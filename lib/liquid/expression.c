/* Expressions: paths, literals, ranges, comparisons, filters; compiled to operations on a stack.
 *
 * `and` and `or` bind from the right without precedence, as in Liquid: a and b or c is a and (b or c).
 * So each of them, once its left side is known to decide, jumps to the very end.
 *
 * The only recursion is a path in brackets inside a path, and it is bounded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/compile.h"

#include <stdlib.h>

#define BRACKETS_MAX 16

void compile_push(struct compiler *c, struct value x, size_t at)
{
    uint32_t number = table_count(&c->constants, struct value);
    buf_add(&c->constants, &x, sizeof(x));
    compile_op(c, OP_PUSH, number, at);
}

/* --- paths ----------------------------------------------------------------------------------- */

static bool is_loop_word(struct str name)
{
    return str_is(name, "forloop") || str_is(name, "tablerowloop");
}

/* Is `name` the variable of a loop around here? */
static bool is_loop_variable(const struct compiler *c, uint32_t name)
{
    for (uint32_t i = 0; i < c->block_count; i++)
        if ((c->blocks[i].kind == BLOCK_FOR || c->blocks[i].kind == BLOCK_TABLEROW) &&
            c->blocks[i].name == name)
            return true;
    return false;
}

static bool is_command(struct str part)
{
    return str_is(part, "size") || str_is(part, "first") || str_is(part, "last");
}

static bool same_path(const struct liquid_read *read, const struct part *parts, uint32_t count)
{
    if (read->part_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!str_equal(read->parts[i], parts[i].name))
            return false;
    return true;
}

/* The number of the read for a path's leading names (size, first and last are never a host's). */
static uint32_t find_read(struct compiler *c, const struct part *parts, uint32_t part_count,
                          size_t at)
{
    uint32_t count = 0;
    while (count < part_count && !parts[count].is_computed &&
           (count == 0 || !is_command(parts[count].name)))
        count++;
    uint32_t read_count = table_count(&c->reads, struct liquid_read);
    for (uint32_t i = 0; i < read_count && !c->is_over; i++)
        if (same_path(table_at(&c->reads, struct liquid_read, i), parts, count))
            return i;
    c->is_over |= read_count == READS_MAX;
    if (c->is_over)
        return 0;
    struct str *names = arena_array(c->plan, struct str, max_of(count, 1u));
    for (uint32_t i = 0; i < count; i++)
        names[i] = parts[i].name;
    uint32_t line, column;
    compile_place(c, at, &line, &column);
    struct liquid_read read = {
        .parts = names,
        .part_count = count,
        .index = read_count,
        .is_maybe_local = true,
        .source = table_at(&c->units, struct unit, c->unit)->name,
        .line = line,
        .column = column,
    };
    buf_add(&c->reads, &read, sizeof(read));
    return read_count;
}

static bool compile_value_at(struct compiler *c, struct lexer *lx, uint32_t depth);

/* [key]: a literal text is a name like any other, anything else is computed. */
static bool bracket_part(struct compiler *c, struct lexer *lx, struct part *part, uint32_t depth)
{
    liquid_lexer_next(lx);
    struct lexer ahead = *lx;
    liquid_lexer_next(&ahead);
    if (lx->token.kind == TOKEN_STRING && lexer_is_sign(&ahead, ']')) {
        part->name = lx->token.text;
        liquid_lexer_next(lx);
    } else {
        part->is_computed = true;
        if (!compile_value_at(c, lx, depth + 1))
            return false;
    }
    if (!lexer_take(lx, ']'))
        return compile_expected(c, lx, "]");
    return true;
}

static bool next_part(struct compiler *c, struct lexer *lx, struct part *part, uint32_t depth,
                      bool is_first)
{
    *part = (struct part){0};
    if (lexer_is_sign(lx, '['))
        return bracket_part(c, lx, part, depth);
    if (!is_first)
        liquid_lexer_next(lx); /* the point */
    if (lx->token.kind != TOKEN_NAME)
        return compile_expected(c, lx, "a name");
    part->name = lx->token.text;
    liquid_lexer_next(lx);
    return true;
}

/* Knows whether a path may be the host's, and which read it is then. */
static void resolve_path(struct compiler *c, struct variable *v, const struct part *parts,
                         size_t at)
{
    v->name = LIQUID_NONE;
    v->read = LIQUID_NONE;
    if (parts[0].is_computed) {
        v->read = find_read(c, parts, 0, at);
        return;
    }
    if (is_loop_word(parts[0].name)) {
        v->name = compile_name(c, parts[0].name);
        return;
    }
    v->name = compile_name(c, parts[0].name);
    if (is_loop_variable(c, v->name))
        return;
    v->read = find_read(c, parts, v->part_count, at);
    const struct name_use *use = table_at(&c->name_uses, struct name_use, v->name);
    struct path_use path_use = {
        .read = v->read,
        .name = v->name,
        .unit = c->unit,
        .is_after_assign = use->visible_in == c->unit + 1,
    };
    buf_add(&c->path_uses, &path_use, sizeof(path_use));
}

static bool compile_path(struct compiler *c, struct lexer *lx, uint32_t depth)
{
    struct part parts[LIQUID_PATH_PARTS_MAX];
    struct variable v = {0};
    size_t at = lx->token.at;
    do {
        if (v.part_count == LIQUID_PATH_PARTS_MAX)
            return compile_fail(c, lx->token.at, "a path has at most %d parts",
                                LIQUID_PATH_PARTS_MAX);
        struct part *part = &parts[v.part_count];
        if (!next_part(c, lx, part, depth, v.part_count == 0))
            return false;
        v.part_count++;
        v.computed_count += part->is_computed;
    } while (lexer_is_sign(lx, '.') || lexer_is_sign(lx, '['));
    v.parts_first = table_count(&c->parts, struct part);
    buf_add(&c->parts, parts, v.part_count * sizeof(parts[0]));
    resolve_path(c, &v, parts, at);
    uint32_t number = table_count(&c->variables, struct variable);
    buf_add(&c->variables, &v, sizeof(v));
    compile_op(c, OP_VAR, number, at);
    return true;
}

/* --- literals -------------------------------------------------------------------------------- */

static bool compile_number(struct compiler *c, struct lexer *lx)
{
    int64_t whole;
    double number;
    struct str text = lx->token.text;
    if (str_to_int(text, &whole))
        compile_push(c, value_int(whole), lx->token.at);
    else if (str_to_double(text, &number))
        compile_push(c, value_double(number), lx->token.at);
    else
        return compile_fail(c, lx->token.at, "number is too long");
    liquid_lexer_next(lx);
    return true;
}

/* nil, true, empty ...: false if the name is none of these. */
static bool word_value(struct str name, struct value *out)
{
    if (str_is(name, "nil") || str_is(name, "null"))
        *out = liquid_nil();
    else if (str_is(name, "true") || str_is(name, "false"))
        *out = value_bool(str_is(name, "true"));
    else if (str_is(name, "empty"))
        *out = (struct value){.type = VALUE_TYPE, .text = STR("empty")};
    else if (str_is(name, "blank"))
        *out = (struct value){.type = VALUE_TYPE, .text = STR("blank")};
    else
        return false;
    return true;
}

static bool compile_range(struct compiler *c, struct lexer *lx, uint32_t depth)
{
    size_t at = lx->token.at;
    liquid_lexer_next(lx);
    if (!compile_value_at(c, lx, depth + 1))
        return false;
    if (lx->token.kind != TOKEN_DOTS)
        return compile_expected(c, lx, "..");
    liquid_lexer_next(lx);
    if (!compile_value_at(c, lx, depth + 1))
        return false;
    if (!lexer_take(lx, ')'))
        return compile_expected(c, lx, ")");
    compile_op(c, OP_RANGE, 0, at);
    return true;
}

static bool compile_value_at(struct compiler *c, struct lexer *lx, uint32_t depth)
{
    struct value word;
    if (depth == BRACKETS_MAX)
        return compile_fail(c, lx->token.at, "brackets are nested more than %d deep", BRACKETS_MAX);
    if (lx->token.kind == TOKEN_NUMBER)
        return compile_number(c, lx);
    if (lx->token.kind == TOKEN_STRING) {
        compile_push(c, value_text(lx->token.text), lx->token.at);
        liquid_lexer_next(lx);
        return true;
    }
    if (lexer_is_sign(lx, '('))
        return compile_range(c, lx, depth);
    if (lx->token.kind == TOKEN_NAME && word_value(lx->token.text, &word)) {
        compile_push(c, word, lx->token.at);
        liquid_lexer_next(lx);
        return true;
    }
    if (lx->token.kind == TOKEN_NAME || lexer_is_sign(lx, '['))
        return compile_path(c, lx, depth);
    return compile_expected(c, lx, "a value");
}

bool compile_value(struct compiler *c, struct lexer *lx)
{
    return compile_value_at(c, lx, 0);
}

bool compile_end(struct compiler *c, const struct lexer *lx)
{
    return lx->token.kind == TOKEN_END || compile_expected(c, lx, "the end of the tag");
}

/* --- filters --------------------------------------------------------------------------------- */

static bool unknown_filter(struct compiler *c, const struct lexer *lx)
{
    struct str name = lx->token.text;
    struct str near = liquid_filter_nearest(name);
    if (near.len)
        return compile_fail(c, lx->token.at, "unknown filter \"%.*s\"; did you mean \"%.*s\"?",
                            STR_ARG(name), STR_ARG(near));
    return compile_fail(c, lx->token.at, "unknown filter \"%.*s\"", STR_ARG(name));
}

/* key: value for the filter's one keyword. Its operations are cut off and kept until all positional
 * arguments are known, because it is the last of them. */
static bool keyword_arg(struct compiler *c, struct lexer *lx, const struct filter *filter,
                        struct buf *kept)
{
    struct str key = lx->token.text;
    size_t at = lx->token.at;
    if (!filter->keyword || !str_is(key, filter->keyword))
        return compile_fail(c, at, "filter \"%s\" has no argument \"%.*s\"", filter->name,
                            STR_ARG(key));
    if (kept->len)
        return compile_fail(c, at, "\"%.*s\" is given twice", STR_ARG(key));
    liquid_lexer_next(lx);
    liquid_lexer_next(lx);
    size_t from = c->ops.len;
    if (!compile_value(c, lx))
        return false;
    buf_add(kept, c->ops.at + from, c->ops.len - from);
    c->ops.len = from;
    return true;
}

static bool is_keyword_arg(const struct lexer *lx)
{
    struct lexer ahead = *lx;
    liquid_lexer_next(&ahead);
    return lx->token.kind == TOKEN_NAME && lexer_is_sign(&ahead, ':');
}

static bool filter_args(struct compiler *c, struct lexer *lx, const struct filter *filter,
                        uint32_t *count, struct buf *kept)
{
    if (!lexer_take(lx, ':'))
        return true;
    do {
        if (is_keyword_arg(lx)) {
            if (!keyword_arg(c, lx, filter, kept))
                return false;
            continue;
        }
        if (!compile_value(c, lx))
            return false;
        ++*count;
    } while (lexer_take(lx, ','));
    return true;
}

static bool compile_filter(struct compiler *c, struct lexer *lx)
{
    if (lx->token.kind != TOKEN_NAME)
        return compile_expected(c, lx, "a filter");
    size_t at = lx->token.at;
    uint32_t number = liquid_filter_find(lx->token.text);
    if (number == LIQUID_NONE)
        return unknown_filter(c, lx);
    const struct filter *filter = &liquid_filter_table[number];
    uint32_t count = 0, most = filter->arg_max - (filter->keyword != NULL);
    struct buf kept;
    buf_init(&kept);
    liquid_lexer_next(lx);
    bool is_fine = filter_args(c, lx, filter, &count, &kept);
    if (is_fine && (count < filter->arg_min || count > most))
        is_fine = compile_fail(c, at, "filter \"%s\" takes %s%u argument%s, not %u", filter->name,
                               filter->arg_min == most ? "" : "at most ", most,
                               most == 1 ? "" : "s", count);
    if (is_fine && kept.len) {
        for (; count < most; count++)
            compile_push(c, value_none(), at);
        buf_add(&c->ops, kept.at, kept.len);
        count++;
    }
    buf_fini(&kept);
    if (!is_fine)
        return false;
    uint32_t op = compile_op(c, OP_FILTER, number, at);
    compile_op_at(c, op)->count = (uint16_t)count;
    return true;
}

bool compile_filtered(struct compiler *c, struct lexer *lx)
{
    if (lx->token.kind == TOKEN_END)
        compile_push(c, liquid_nil(), lx->token.at);
    else if (!compile_value(c, lx))
        return false;
    while (lexer_take(lx, '|'))
        if (!compile_filter(c, lx))
            return false;
    return true;
}

/* --- conditions ------------------------------------------------------------------------------ */

/* The operation of a comparing token, or false. */
static bool compare_code(const struct lexer *lx, enum op_code *code)
{
    static const struct {
        const char *sign;
        enum op_code code;
    } signs[] = {{"==", OP_EQ}, {"!=", OP_NE}, {"<>", OP_NE}, {"<", OP_LT},
                 {">", OP_GT},  {"<=", OP_LE}, {">=", OP_GE}, {"contains", OP_CONTAINS}};
    if (lx->token.kind != TOKEN_COMPARE && !lexer_is_name(lx, "contains"))
        return false;
    for (size_t i = 0; i < array_count(signs); i++)
        if (str_is(lx->token.text, signs[i].sign)) {
            *code = signs[i].code;
            return true;
        }
    return false;
}

static bool compile_comparison(struct compiler *c, struct lexer *lx)
{
    enum op_code code;
    if (!compile_value(c, lx))
        return false;
    if (!compare_code(lx, &code))
        return true;
    size_t at = lx->token.at;
    liquid_lexer_next(lx);
    if (!compile_value(c, lx))
        return false;
    compile_op(c, code, 0, at);
    return true;
}

bool compile_condition(struct compiler *c, struct lexer *lx)
{
    uint32_t last_jump = LIQUID_NONE; /* each names the one before */
    for (;;) {
        if (!compile_comparison(c, lx))
            return false;
        bool is_and = lexer_is_name(lx, "and");
        if (!is_and && !lexer_is_name(lx, "or"))
            break;
        last_jump = compile_op(c, is_and ? OP_AND : OP_OR, last_jump, lx->token.at);
        liquid_lexer_next(lx);
    }
    uint32_t end = table_count(&c->ops, struct op);
    while (last_jump != LIQUID_NONE) {
        struct op *op = compile_op_at(c, last_jump);
        last_jump = op->a;
        op->a = end;
    }
    return compile_end(c, lx);
}
