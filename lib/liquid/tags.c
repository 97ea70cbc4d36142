/* The tags: one function for each word that may stand behind {%.
 *
 * Blocks become jumps. An `if`, with the chains of jumps that are patched when their target is known:
 *
 *         a                             OP_CASE pushes two counters above the subject:
 *         JUMP_FALSE ──┐ next
 *         ...          │                    subject                        subject | runs | any
 *         JUMP ────────┼─┐ end              CASE                   when 1, 2:
 *     ◄────────────────┘ │                  1, WHEN, 2, WHEN       runs += 1 for each that is equal
 *         ...            │             ┌──► WHEN_RUN ──► next      runs = 0: on to the next branch
 *     ◄──────────────────┘             │    ...                    else runs -= 1, any = true
 *                                      └─── JUMP
 *
 * (A branch that names the value twice runs twice; that is how Liquid is.)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/compile.h"

static uint32_t here(const struct compiler *c)
{
    return table_count(&c->ops, struct op);
}

/* --- blocks ---------------------------------------------------------------------------------- */

static struct block *open_block(struct compiler *c, enum block_kind kind, size_t at)
{
    if (c->block_count == LIQUID_BLOCKS_MAX) {
        compile_fail(c, at, "blocks are nested more than %d deep", LIQUID_BLOCKS_MAX);
        return NULL;
    }
    struct block *block = &c->blocks[c->block_count++];
    *block = (struct block){
        .kind = kind,
        .at = (uint32_t)at,
        .op_first = here(c),
        .end_jump = LIQUID_NONE,
        .next_jump = LIQUID_NONE,
        .run_op = LIQUID_NONE,
        .name = LIQUID_NONE,
        .is_blank = true,
    };
    return block;
}

static struct block *top_block(struct compiler *c)
{
    return c->block_count > c->block_floor ? &c->blocks[c->block_count - 1] : NULL;
}

/* White space directly inside of a block that writes nothing is not written either. */
static void drop_white_space(struct compiler *c, const struct block *block)
{
    for (uint32_t i = block->op_first; i < here(c); i++) {
        struct op *op = compile_op_at(c, i);
        if (op->code == OP_TEXT && !op->flag)
            op->b = 0;
    }
}

static void keep_white_space(struct compiler *c, const struct block *block)
{
    for (uint32_t i = block->op_first; i < here(c); i++)
        compile_op_at(c, i)->flag |= compile_op_at(c, i)->code == OP_TEXT;
}

/* Whatever the kind: a captured text writes nothing here, and all else is as blank as its inside. */
static void close_block(struct compiler *c)
{
    struct block block = c->blocks[--c->block_count];
    switch (block.kind) {
    case BLOCK_CAPTURE: keep_white_space(c, &block); return;
    case BLOCK_TABLEROW: compile_writes(c); return;
    case BLOCK_IF:
    case BLOCK_UNLESS:
    case BLOCK_CASE:
    case BLOCK_FOR:
    case BLOCK_IFCHANGED: break;
    }
    if (block.is_blank)
        drop_white_space(c, &block);
    else
        compile_writes(c);
}

static void patch(struct compiler *c, uint32_t *jump)
{
    if (*jump != LIQUID_NONE)
        compile_op_at(c, *jump)->a = here(c);
    *jump = LIQUID_NONE;
}

static void patch_chain(struct compiler *c, uint32_t *jump)
{
    while (*jump != LIQUID_NONE) {
        struct op *op = compile_op_at(c, *jump);
        *jump = op->a;
        op->a = here(c);
    }
}

/* A jump to the block's end, for now naming the one before. */
static void jump_to_end(struct compiler *c, struct block *block, size_t at)
{
    block->end_jump = compile_op(c, OP_JUMP, block->end_jump, at);
}

/* --- if, unless ------------------------------------------------------------------------------ */

static bool tag_if(struct compiler *c, struct lexer *lx, size_t at)
{
    struct block *block = open_block(c, BLOCK_IF, at);
    if (!block || !compile_condition(c, lx))
        return false;
    block->next_jump = compile_op(c, OP_JUMP_FALSE, LIQUID_NONE, at);
    return true;
}

static bool tag_unless(struct compiler *c, struct lexer *lx, size_t at)
{
    struct block *block = open_block(c, BLOCK_UNLESS, at);
    if (!block || !compile_condition(c, lx))
        return false;
    block->next_jump = compile_op(c, OP_JUMP_TRUE, LIQUID_NONE, at);
    return true;
}

static bool tag_elsif(struct compiler *c, struct lexer *lx, size_t at)
{
    struct block *block = top_block(c);
    if (!block || (block->kind != BLOCK_IF && block->kind != BLOCK_UNLESS))
        return compile_fail(c, at, "\"elsif\" without an \"if\" before it");
    jump_to_end(c, block, at);
    patch(c, &block->next_jump);
    if (!compile_condition(c, lx))
        return false;
    block->next_jump = compile_op(c, OP_JUMP_FALSE, LIQUID_NONE, at);
    return true;
}

/* --- case ------------------------------------------------------------------------------------ */

static bool tag_case(struct compiler *c, struct lexer *lx, size_t at)
{
    struct block *block = open_block(c, BLOCK_CASE, at);
    if (!block || !compile_value(c, lx) || !compile_end(c, lx))
        return false;
    compile_op(c, OP_CASE, 0, at);
    /* What stands before the first `when` is never reached. */
    block->next_jump = compile_op(c, OP_JUMP, LIQUID_NONE, at);
    return true;
}

/* The end of a branch: again while there are matches to run. */
static void close_branch(struct compiler *c, struct block *block, size_t at)
{
    if (block->run_op != LIQUID_NONE)
        compile_op(c, OP_JUMP, block->run_op, at);
    block->run_op = LIQUID_NONE;
    patch(c, &block->next_jump);
}

static bool tag_when(struct compiler *c, struct lexer *lx, size_t at)
{
    struct block *block = top_block(c);
    if (!block || block->kind != BLOCK_CASE)
        return compile_fail(c, at, "\"when\" without a \"case\" before it");
    close_branch(c, block, at);
    do {
        size_t value_at = lx->token.at;
        if (!compile_value(c, lx))
            return false;
        compile_op(c, OP_WHEN, 0, value_at);
        if (lexer_is_name(lx, "or")) {
            liquid_lexer_next(lx);
            continue;
        }
        if (!lexer_take(lx, ','))
            break;
    } while (true); /* what follows is not looked at, as in Liquid */
    block->run_op = compile_op(c, OP_WHEN_RUN, LIQUID_NONE, at);
    block->next_jump = block->run_op;
    return true;
}

/* --- loops ----------------------------------------------------------------------------------- */

/* limit: 2, offset: continue, cols: 3, range: (1..2): each into its own operations, which are put in
 * the order in which they are popped. */
struct loop_args {
    struct buf limit;
    struct buf offset;
    struct buf columns;
};

static bool loop_arg(struct compiler *c, struct lexer *lx, struct buf *out)
{
    size_t from = c->ops.len;
    if (out->len)
        return compile_fail(c, lx->token.at, "this is given twice");
    if (!compile_value(c, lx))
        return false;
    buf_add(out, c->ops.at + from, c->ops.len - from);
    c->ops.len = from;
    return true;
}

static bool loop_option(struct compiler *c, struct lexer *lx, enum block_kind kind,
                        struct loop_spec *loop, struct loop_args *args)
{
    bool is_limit = lexer_is_name(lx, "limit");
    bool is_offset = lexer_is_name(lx, "offset");
    bool is_columns = lexer_is_name(lx, "cols") && kind == BLOCK_TABLEROW;
    if (lexer_is_name(lx, "reversed") && kind == BLOCK_FOR) {
        loop->is_reversed = true;
        liquid_lexer_next(lx);
        return true;
    }
    if (!is_limit && !is_offset && !is_columns)
        return compile_expected(
            c, lx, kind == BLOCK_FOR ? "reversed, limit or offset" : "cols, limit or offset");
    liquid_lexer_next(lx);
    if (!lexer_take(lx, ':'))
        return compile_expected(c, lx, ":");
    if (is_offset && lexer_is_name(lx, "continue") && kind == BLOCK_FOR) {
        loop->is_continued = true;
        liquid_lexer_next(lx);
        return true;
    }
    return loop_arg(c, lx, is_limit ? &args->limit : is_offset ? &args->offset : &args->columns);
}

static bool loop_options(struct compiler *c, struct lexer *lx, enum block_kind kind,
                         struct loop_spec *loop)
{
    struct loop_args args;
    buf_init(&args.limit);
    buf_init(&args.offset);
    buf_init(&args.columns);
    bool is_fine = true;
    while (is_fine && lx->token.kind != TOKEN_END)
        is_fine = lexer_take(lx, ',') || loop_option(c, lx, kind, loop, &args);
    loop->has_limit = args.limit.len > 0;
    loop->has_offset = args.offset.len > 0;
    loop->has_columns = args.columns.len > 0;
    buf_add(&c->ops, args.limit.at, args.limit.len);
    buf_add(&c->ops, args.offset.at, args.offset.len);
    buf_add(&c->ops, args.columns.at, args.columns.len);
    buf_fini(&args.limit);
    buf_fini(&args.offset);
    buf_fini(&args.columns);
    return is_fine;
}

/* item in collection, with what follows; "item-collection" is the loop's name. */
static bool loop_head(struct compiler *c, struct lexer *lx, enum block_kind kind,
                      struct loop_spec *loop)
{
    if (lx->token.kind != TOKEN_NAME)
        return compile_expected(c, lx, "a name for the item");
    struct str item = lx->token.text;
    loop->variable = compile_name(c, item);
    liquid_lexer_next(lx);
    if (!lexer_is_name(lx, "in"))
        return compile_expected(c, lx, "in");
    liquid_lexer_next(lx);
    size_t from = lx->token.at, end;
    struct lexer before = *lx;
    if (!compile_value(c, lx))
        return false;
    for (end = from; before.token.at < lx->token.at; liquid_lexer_next(&before))
        end = before.token.end;
    loop->key = compile_name(
        c, arena_printf(c->plan, "%.*s-%.*s", STR_ARG(item), (int)(end - from), c->text.at + from));
    return loop_options(c, lx, kind, loop);
}

static bool open_loop(struct compiler *c, struct lexer *lx, size_t at, enum block_kind kind)
{
    struct loop_spec loop = {0};
    struct block *block = open_block(c, kind, at);
    if (!block || !loop_head(c, lx, kind, &loop))
        return false;
    block->loop = table_count(&c->loops, struct loop_spec);
    block->name = loop.variable;
    compile_defines(c, loop.variable, false);
    block->next_jump = compile_op(c, kind == BLOCK_FOR ? OP_FOR : OP_TABLEROW, block->loop, at);
    loop.body = here(c);
    buf_add(&c->loops, &loop, sizeof(loop));
    return true;
}

static bool tag_for(struct compiler *c, struct lexer *lx, size_t at)
{
    return open_loop(c, lx, at, BLOCK_FOR);
}

static bool tag_tablerow(struct compiler *c, struct lexer *lx, size_t at)
{
    return open_loop(c, lx, at, BLOCK_TABLEROW);
}

/* The loop's round ends here; where there is nothing to loop over, it goes on here. */
static void close_rounds(struct compiler *c, struct block *block, size_t at)
{
    struct loop_spec *loop = table_at(&c->loops, struct loop_spec, block->loop);
    loop->next =
        compile_op(c, block->kind == BLOCK_FOR ? OP_FOR_NEXT : OP_TABLEROW_NEXT, block->loop, at);
    block->name = LIQUID_NONE;
}

static bool tag_break(struct compiler *c, struct lexer *lx, size_t at)
{
    compile_op(c, OP_BREAK, 0, at);
    compile_writes(c);
    return compile_end(c, lx);
}

static bool tag_continue(struct compiler *c, struct lexer *lx, size_t at)
{
    compile_op(c, OP_CONTINUE, 0, at);
    compile_writes(c);
    return compile_end(c, lx);
}

/* --- else, end ------------------------------------------------------------------------------- */

static bool else_of_loop(struct compiler *c, struct block *block, size_t at)
{
    if (block->has_else)
        return compile_fail(c, at, "a loop has one \"else\"");
    block->has_else = true;
    close_rounds(c, block, at);
    jump_to_end(c, block, at);
    compile_op_at(c, block->next_jump)->b = here(c);
    return true;
}

/* What follows the word is not looked at, as in Liquid. */
static bool tag_else(struct compiler *c, struct lexer *lx, size_t at)
{
    (void)lx;
    struct block *block = top_block(c);
    if (block && (block->kind == BLOCK_IF || block->kind == BLOCK_UNLESS)) {
        jump_to_end(c, block, at);
        patch(c, &block->next_jump);
        return true;
    }
    if (block && block->kind == BLOCK_CASE) {
        close_branch(c, block, at);
        block->next_jump = compile_op(c, OP_CASE_ELSE, LIQUID_NONE, at);
        return true;
    }
    if (block && block->kind == BLOCK_FOR)
        return else_of_loop(c, block, at);
    return compile_fail(c, at, "\"else\" without an \"if\", \"case\" or \"for\" before it");
}

static void end_loop(struct compiler *c, struct block *block, size_t at)
{
    if (!block->has_else) {
        close_rounds(c, block, at);
        compile_op_at(c, block->next_jump)->b = here(c);
    }
    patch_chain(c, &block->end_jump);
    table_at(&c->loops, struct loop_spec, block->loop)->end = here(c);
}

static void end_of(struct compiler *c, struct block *block, size_t at)
{
    switch (block->kind) {
    case BLOCK_IF:
    case BLOCK_UNLESS:
        patch(c, &block->next_jump);
        patch_chain(c, &block->end_jump);
        break;
    case BLOCK_CASE:
        close_branch(c, block, at);
        compile_op(c, OP_CASE_END, 0, at);
        break;
    case BLOCK_FOR:
    case BLOCK_TABLEROW: end_loop(c, block, at); break;
    case BLOCK_CAPTURE:
        compile_op(c, OP_CAPTURE_END, block->name, at);
        compile_defines(c, block->name, true);
        break;
    case BLOCK_IFCHANGED: compile_op(c, OP_CHANGED_END, 0, at); break;
    }
    close_block(c);
}

static const char *const block_words[] = {
    [BLOCK_IF] = "if",
    [BLOCK_UNLESS] = "unless",
    [BLOCK_CASE] = "case",
    [BLOCK_FOR] = "for",
    [BLOCK_TABLEROW] = "tablerow",
    [BLOCK_CAPTURE] = "capture",
    [BLOCK_IFCHANGED] = "ifchanged",
};

static bool tag_end(struct compiler *c, struct str word, size_t at)
{
    struct block *block = top_block(c);
    if (!block)
        return compile_fail(c, at, "\"%.*s\" without a block to end", STR_ARG(word));
    if (!str_is(str_part(word, 3, word.len), block_words[block->kind]))
        return compile_fail(c, at, "expected \"end%s\", found \"%.*s\"", block_words[block->kind],
                            STR_ARG(word));
    end_of(c, block, at);
    return true;
}

/* --- names ----------------------------------------------------------------------------------- */

/* The name that is defined: also digits alone, which nothing can ever ask for. */
static bool defined_name(struct compiler *c, struct lexer *lx, uint32_t *name)
{
    bool is_name = lx->token.kind == TOKEN_NAME || lx->token.kind == TOKEN_NUMBER ||
                   (lx->token.kind == TOKEN_STRING && lx->token.text.len);
    if (!is_name || str_ends(lx->token.text, STR("?")))
        return compile_expected(c, lx, "a name");
    *name = compile_name(c, lx->token.text);
    liquid_lexer_next(lx);
    return true;
}

static bool tag_assign(struct compiler *c, struct lexer *lx, size_t at)
{
    uint32_t name;
    if (!defined_name(c, lx, &name))
        return false;
    if (!lexer_take(lx, '='))
        return compile_expected(c, lx, "=");
    if (!compile_filtered(c, lx) || !compile_end(c, lx))
        return false;
    compile_op(c, OP_ASSIGN, name, at);
    compile_defines(c, name, true);
    return true;
}

static bool tag_capture(struct compiler *c, struct lexer *lx, size_t at)
{
    uint32_t name;
    struct block *block = open_block(c, BLOCK_CAPTURE, at);
    if (!block || !defined_name(c, lx, &name) || !compile_end(c, lx))
        return false;
    block->name = name;
    compile_op(c, OP_CAPTURE, name, at);
    return true;
}

static bool counter(struct compiler *c, struct lexer *lx, size_t at, enum op_code code)
{
    uint32_t name;
    if (!defined_name(c, lx, &name) || !compile_end(c, lx))
        return false;
    compile_op(c, code, name, at);
    compile_defines(c, name, true);
    compile_writes(c);
    return true;
}

static bool tag_increment(struct compiler *c, struct lexer *lx, size_t at)
{
    return counter(c, lx, at, OP_INCREMENT);
}

static bool tag_decrement(struct compiler *c, struct lexer *lx, size_t at)
{
    return counter(c, lx, at, OP_DECREMENT);
}

/* --- output ---------------------------------------------------------------------------------- */

static bool tag_echo(struct compiler *c, struct lexer *lx, size_t at)
{
    if (!compile_filtered(c, lx) || !compile_end(c, lx))
        return false;
    compile_op(c, OP_EMIT, 0, at);
    compile_writes(c);
    return true;
}

static bool tag_ifchanged(struct compiler *c, struct lexer *lx, size_t at)
{
    if (!open_block(c, BLOCK_IFCHANGED, at) || !compile_end(c, lx))
        return false;
    compile_op(c, OP_CHANGED, 0, at);
    return true;
}

/* cycle 'a', 'b' or cycle 'name': 'a', 'b'. Without a name it is its values, as they are written. */
static bool tag_cycle(struct compiler *c, struct lexer *lx, size_t at)
{
    uint32_t count = 0;
    bool is_named = false;
    size_t from = lx->token.at, last = from;
    size_t ops_before = c->ops.len;
    do {
        if (lx->token.kind == TOKEN_END)
            break;
        if (!compile_value(c, lx))
            return false;
        if (count == 0 && lexer_take(lx, ':')) {
            is_named = true;
            if (!compile_value(c, lx))
                return false;
        }
        count++;
        last = lx->token.kind == TOKEN_END ? lx->token.at : lx->token.end;
    } while (lexer_take(lx, ','));
    if (count == 0)
        return compile_expected(c, lx, "a value");
    if (count > UINT8_MAX)
        return compile_fail(c, at, "a cycle has at most %d values", UINT8_MAX);
    if (!compile_end(c, lx))
        return false;
    if (!is_named) {
        /* Its key goes below the values. */
        struct buf values;
        buf_init(&values);
        buf_add(&values, c->ops.at + ops_before, c->ops.len - ops_before);
        c->ops.len = ops_before;
        compile_push(c, value_text(str_trim(str_part(c->text, from, last - from))), at);
        buf_add(&c->ops, values.at, values.len);
        buf_fini(&values);
    }
    uint32_t op = compile_op(c, OP_CYCLE, 0, at);
    compile_op_at(c, op)->count = (uint16_t)count;
    compile_op_at(c, op)->flag = is_named;
    compile_writes(c);
    return true;
}

static bool tag_raw(struct compiler *c, struct lexer *lx, size_t at)
{
    struct str body;
    bool trims = c->trims;
    if (!compile_end(c, lx) || !compile_skip_to(c, STR("endraw"), at, &body))
        return false;
    while (trims && body.len && text_is_space(body.at[0]))
        body = str_part(body, 1, body.len);
    size_t from = (size_t)(body.at - c->text.at);
    compile_text(c, from, from + body.len);
    if (body.len)
        compile_writes(c);
    return true;
}

static bool tag_comment(struct compiler *c, struct lexer *lx, size_t at)
{
    (void)lx;
    return compile_skip_comment(c, at);
}

static bool tag_doc(struct compiler *c, struct lexer *lx, size_t at)
{
    struct str body;
    return compile_end(c, lx) && compile_skip_to(c, STR("enddoc"), at, &body);
}

static bool tag_liquid(struct compiler *c, struct lexer *lx, size_t at)
{
    (void)at;
    bool trims = c->trims;
    bool is_fine = compile_lines(c, lx->token.at, lx->end);
    c->trims = trims;
    return is_fine;
}

/* Each line of an inline comment begins with #. */
static bool inline_comment(struct compiler *c, size_t from, size_t end)
{
    struct str rest = str_part(c->text, from, end - from);
    for (size_t at = 0; (at = str_find(rest, STR("\n"), at)) != SIZE_MAX;) {
        while (at < rest.len && text_is_space(rest.at[at]))
            at++;
        if (at < rest.len && rest.at[at] != '#')
            return compile_fail(c, from + at, "each line of this comment must begin with #");
    }
    return true;
}

/* --- partials -------------------------------------------------------------------------------- */

/* What a partial calls the bound value, if nothing is said: the last word of its name. */
static struct str own_name(struct str partial)
{
    for (size_t i = partial.len; i > 0; i--)
        if (partial.at[i - 1] == '/')
            return str_part(partial, i, partial.len);
    return partial;
}

/* with value [as name], for list [as name] */
static bool call_binding(struct compiler *c, struct lexer *lx, struct call_spec *call)
{
    bool is_for = lexer_is_name(lx, "for");
    if (!is_for && !lexer_is_name(lx, "with"))
        return true;
    call->binding = is_for ? CALL_FOR : CALL_WITH;
    liquid_lexer_next(lx);
    if (!compile_value(c, lx))
        return false;
    if (!lexer_is_name(lx, "as"))
        return true;
    liquid_lexer_next(lx);
    return defined_name(c, lx, &call->alias);
}

/* [,] name: value, ... */
static bool call_args(struct compiler *c, struct lexer *lx, struct call_spec *call)
{
    call->names_first = table_count(&c->arg_names, uint32_t);
    lexer_take(lx, ',');
    while (lx->token.kind != TOKEN_END) {
        uint32_t name;
        if (!defined_name(c, lx, &name))
            return false;
        if (!lexer_take(lx, ':'))
            return compile_expected(c, lx, ":");
        if (!compile_value(c, lx))
            return false;
        buf_add(&c->arg_names, &name, sizeof(name));
        compile_defines(c, name, false);
        call->arg_count++;
        lexer_take(lx, ',');
    }
    return true;
}

static bool call_partial(struct compiler *c, struct lexer *lx, size_t at, struct call_spec *call)
{
    struct lexer ahead = *lx;
    liquid_lexer_next(&ahead);
    call->unit = LIQUID_NONE;
    call->alias = LIQUID_NONE;
    if (lx->token.kind == TOKEN_STRING) {
        call->unit = compile_unit(c, lx->token.text, lx->token.at);
        if (call->unit == LIQUID_NONE)
            return false;
        call->alias = compile_name(c, own_name(lx->token.text));
        liquid_lexer_next(lx);
    } else if (call->is_isolated) {
        return compile_expected(c, lx, "the partial's name in quotes");
    } else if (!compile_value(c, lx) || !compile_all_units(c, at)) {
        return false;
    }
    if (!call_binding(c, lx, call) || !call_args(c, lx, call))
        return false;
    /* Whatever the partial may be, its own name could be that of the value it is given. */
    if (call->binding != CALL_PLAIN && call->alias != LIQUID_NONE)
        compile_defines(c, call->alias, false);
    for (size_t i = 0;
         call->alias == LIQUID_NONE && call->binding != CALL_PLAIN && i < c->partial_count; i++)
        compile_defines(c, compile_name(c, arena_copy(c->plan, own_name(c->partials[i].name))),
                        false);
    uint32_t number = table_count(&c->calls, struct call_spec);
    buf_add(&c->calls, call, sizeof(*call));
    compile_op(c, OP_CALL, number, at);
    compile_writes(c);
    return true;
}

static bool tag_render(struct compiler *c, struct lexer *lx, size_t at)
{
    return call_partial(c, lx, at, &(struct call_spec){.is_isolated = true});
}

static bool tag_include(struct compiler *c, struct lexer *lx, size_t at)
{
    return call_partial(c, lx, at, &(struct call_spec){.is_isolated = false});
}

static bool tag_abort(struct compiler *c, struct lexer *lx, size_t at)
{
    if (!compile_filtered(c, lx) || !compile_end(c, lx))
        return false;
    compile_op(c, OP_ABORT, 0, at);
    compile_writes(c);
    return true;
}

/* --- which tag ------------------------------------------------------------------------------- */

typedef bool tag_run(struct compiler *c, struct lexer *lx, size_t at);

static const struct {
    const char *word;
    tag_run *run;
} tags[] = {
#define TAG(word, doc, example, result) {#word, tag_##word},
#include "liquid/tags.def"
#undef TAG
    {"elsif", tag_elsif},
    {"else", tag_else},
    {"when", tag_when},
};

static const struct liquid_word tag_words[] = {
#define TAG(word, doc, example, result) {#word, doc, example, result},
#include "liquid/tags.def"
#undef TAG
};

const struct liquid_word *liquid_tags(size_t *count)
{
    *count = array_count(tag_words);
    return tag_words;
}

static bool is_end_word(struct str word)
{
    for (size_t i = 0; i < array_count(block_words); i++)
        if (str_starts(word, STR("end")) && str_is(str_part(word, 3, word.len), block_words[i]))
            return true;
    return false;
}

struct str liquid_tag_nearest(struct str wanted)
{
    struct str names[array_count(tags)];
    for (size_t i = 0; i < array_count(tags); i++)
        names[i] = str_of(tags[i].word);
    return str_nearest(wanted, names, array_count(tags));
}

bool compile_tag(struct compiler *c, struct str word, size_t word_at, size_t end)
{
    if (str_is(word, "#"))
        return inline_comment(c, word_at + 1, end);
    if (is_end_word(word))
        return tag_end(c, word, word_at);
    struct lexer lx = lexer_of(c->text, word_at + word.len, end);
    for (size_t i = 0; i < array_count(tags); i++)
        if (str_is(word, tags[i].word))
            return tags[i].run(c, &lx, word_at);
    struct str near = liquid_tag_nearest(word);
    if (near.len)
        return compile_fail(c, word_at, "unknown tag \"%.*s\"; did you mean \"%.*s\"?",
                            STR_ARG(word), STR_ARG(near));
    return compile_fail(c, word_at, "unknown tag \"%.*s\"", STR_ARG(word));
}
