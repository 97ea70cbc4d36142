/* explain.c - which clause made an expression come out as it did.
 *
 * The tree is kept beside the code. A clause is found by running parts of it: where "&&" came out
 * false, its first false part; where "||" came out true, its first true part; and so on inwards,
 * until there is no part that alone made the difference.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/expr_int.h"

#define BINDS_MAX        16  /* names around a clause; one further in is not looked into */
#define ITEMS_MAX        256 /* items of a list that are looked at one by one */
#define CLAUSE_BYTES_MAX 300 /* of a clause in a sentence */
#define CHAIN_MAX        64  /* parts of a chain of "&&" that wait to be looked at */
#define RUNS_MAX         8 /* times the cost of running the whole expression; then the search ends */

struct explainer {
    const struct expr *expr;
    const struct expr_host *host;
    struct arena *scratch;
    const struct node *binds[BINDS_MAX];
    uint32_t bind_count;
    struct expr_explanation *out;
    uint64_t cost_left; /* of all runs together */
    bool is_over;       /* it is used up: what was found so far is the answer */
};

/* The value of a part, under the names around it. */
static struct value value_of(struct explainer *x, const struct node *part)
{
    if (x->is_over)
        return ERROR("this would take too long to be explained");
    struct node wraps[BINDS_MAX];
    struct node *arguments[BINDS_MAX][2];
    union {
        const struct node *read;
        struct node *write; /* for a list of arguments; nothing is written */
    } inner = {part};
    for (uint32_t i = x->bind_count; i > 0; i--) {
        wraps[i - 1] = *x->binds[i - 1];
        arguments[i - 1][0] = x->binds[i - 1]->arguments[0];
        arguments[i - 1][1] = inner.write;
        wraps[i - 1].arguments = arguments[i - 1];
        inner.read = &wraps[i - 1];
    }
    struct build build = {
        .plan = x->scratch,
        .work = x->scratch,
        .text = x->expr->text,
        .slots = x->expr->slots,
        .slot_count = x->expr->slot_count,
        .bindings = x->expr->bindings,
        .binding_count = x->expr->binding_count,
        .is_once = x->expr->is_once,
        .is_part = true,
    };
    struct expr *expr = NULL;
    if (expr_emit(&build, inner.read, &expr, NULL) != OK)
        return ERROR("this part is too large to be explained");
    struct expr_result result;
    expr_run(expr, x->host, x->scratch, &result);
    uint64_t cost = result.cost + expr->op_count + 8;
    x->is_over = cost >= x->cost_left;
    x->cost_left -= min_of(cost, x->cost_left);
    return result.value;
}

/* Does it come out the same? Errors are alike. */
static bool is_alike(const struct value *a, const struct value *b)
{
    if (a->type != VALUE_BOOL || b->type != VALUE_BOOL)
        return is_failed(a) && is_failed(b);
    return a->boolean == b->boolean;
}

static void see(struct explainer *x, const struct node *node)
{
    struct expr_explanation *out = x->out;
    if (node->kind == NODE_CONST || out->seen_count == EXPR_SEEN_MAX)
        return;
    for (uint32_t i = 0; i < out->seen_count; i++)
        if (out->seen[i].from == node->from && out->seen[i].to == node->to)
            return;
    out->seen[out->seen_count++] = (struct expr_seen){node->from, node->to, value_of(x, node)};
}

/* What a clause looks at. */
static void see_operands(struct explainer *x, const struct node *node)
{
    switch ((enum node_kind)node->kind) {
    case NODE_AND:
    case NODE_OR:
    case NODE_NOT:
        for (uint32_t i = 0; i < node->count; i++)
            see_operands(x, node->arguments[i]);
        return;
    case NODE_COMPARE:
    case NODE_IN:
    case NODE_FUNCTION:
        for (uint32_t i = 0; i < node->count; i++)
            see(x, node->arguments[i]);
        return;
    case NODE_LOOP: see(x, node->arguments[0]); return;
    case NODE_CONST:
    case NODE_NAME:
    case NODE_SELECT:
    case NODE_INDEX:
    case NODE_CALL:
    case NODE_STRUCT:
    case NODE_LIST:
    case NODE_MAP:
    case NODE_MAYBE:
    case NODE_NEGATE:
    case NODE_CHOOSE:
    case NODE_SUM:
    case NODE_BIND:
    case NODE_BLOCK:
    case NODE_OPT_MAP:
    case NODE_SLOT:
    case NODE_LOCAL:
    case NODE_NOW:
    case NODE_HOST:
    case NODE_OPT_OR:
    case NODE_ERROR: see(x, node); return;
    }
}

/* Puts the loop's variables for one round around what is looked at next. */
static void bind_round(struct explainer *x, const struct node *loop, const struct value *values)
{
    for (uint32_t i = 0; i < loop->variable_count; i++) {
        struct node *constant = arena_new(x->scratch, struct node);
        constant->kind = NODE_CONST;
        constant->constant = values[i];
        struct node *bind = arena_new(x->scratch, struct node);
        bind->kind = NODE_BIND;
        bind->variables = &loop->variables[i];
        bind->variable_count = 1;
        bind->arguments = arena_array(x->scratch, struct node *, 2);
        bind->arguments[0] = constant;
        bind->count = 2;
        x->binds[x->bind_count++] = bind;
    }
}

/* The body of all() or exists() with the item that decided bound to its name, or NULL. */
static const struct node *decisive_item(struct explainer *x, const struct node *loop,
                                        const struct value *outcome)
{
    bool is_wanted = loop->sign == LOOP_ALL      ? outcome->type != VALUE_BOOL || !outcome->boolean
                     : loop->sign == LOOP_EXISTS ? outcome->type != VALUE_BOOL || outcome->boolean
                                                 : false;
    if (!is_wanted || x->bind_count + loop->variable_count > BINDS_MAX)
        return NULL;
    struct value range = value_of(x, loop->arguments[0]);
    bool is_map = range.type == VALUE_MAP;
    if (!is_map && range.type != VALUE_LIST)
        return NULL;
    uint32_t count = is_map ? range.map->count : range.list->count;
    for (uint32_t i = 0; i < min_of(count, (uint32_t)ITEMS_MAX); i++) {
        bool has_two = loop->variable_count == 2;
        struct value values[2] = {
            is_map    ? range.map->pairs[i].key
            : has_two ? value_int(i)
                      : range.list->items[i],
            is_map ? range.map->pairs[i].value : range.list->items[i],
        };
        uint32_t before = x->bind_count;
        bind_round(x, loop, values);
        struct value part = value_of(x, loop->arguments[1]);
        if (x->is_over)
            return NULL;
        if (is_alike(&part, outcome))
            return loop->arguments[1];
        x->bind_count = before;
    }
    return NULL;
}

/* The part of `node` that alone decides, or NULL; *value is the node's, then the part's. */
static const struct node *decisive(struct explainer *x, const struct node *node,
                                   struct value *value)
{
    struct value part;
    switch ((enum node_kind)node->kind) {
    case NODE_NOT: *value = value_of(x, node->arguments[0]); return node->arguments[0];
    case NODE_AND:
    case NODE_OR:
        /* All parts of a true "&&" and of a false "||" are needed. */
        if (value->type == VALUE_BOOL && value->boolean == (node->kind == NODE_AND))
            return NULL;
        for (uint32_t i = 0; i < node->count; i++) {
            part = value_of(x, node->arguments[i]);
            if (x->is_over)
                return NULL;
            if (is_alike(&part, value)) {
                *value = part;
                return node->arguments[i];
            }
        }
        return NULL;
    case NODE_CHOOSE:
        part = value_of(x, node->arguments[0]);
        if (part.type != VALUE_BOOL) {
            *value = part;
            return node->arguments[0];
        }
        see(x, node->arguments[0]);
        return node->arguments[part.boolean ? 1 : 2];
    case NODE_LOOP: return decisive_item(x, node, value);
    case NODE_BIND:
        if (x->bind_count == BINDS_MAX)
            return NULL;
        x->binds[x->bind_count++] = node;
        return node->arguments[1];
    case NODE_CONST:
    case NODE_NAME:
    case NODE_SELECT:
    case NODE_INDEX:
    case NODE_CALL:
    case NODE_STRUCT:
    case NODE_LIST:
    case NODE_MAP:
    case NODE_MAYBE:
    case NODE_NEGATE:
    case NODE_COMPARE:
    case NODE_IN:
    case NODE_SUM:
    case NODE_BLOCK:
    case NODE_OPT_MAP:
    case NODE_SLOT:
    case NODE_LOCAL:
    case NODE_NOW:
    case NODE_HOST:
    case NODE_FUNCTION:
    case NODE_OPT_OR:
    case NODE_ERROR: return NULL;
    }
    return NULL;
}

/* Which parts of the chain of "&&" are not true, each asked by itself. */
static void find_failing(struct explainer *x, const struct node *root)
{
    const struct node *stack[CHAIN_MAX];
    uint32_t depth = 0;
    stack[depth++] = root;
    while (depth > 0) {
        const struct node *node = stack[--depth];
        if (node->kind == NODE_AND && depth + node->count <= CHAIN_MAX) {
            for (uint32_t i = node->count; i > 0; i--)
                stack[depth++] = node->arguments[i - 1];
            continue;
        }
        struct value value = value_of(x, node);
        if (x->is_over || (value.type == VALUE_BOOL && value.boolean))
            continue;
        if (x->out->failing_count < EXPR_SEEN_MAX)
            x->out->failing[x->out->failing_count] = (struct expr_failing){node->from, node->to};
        x->out->failing_count++;
    }
}

void expr_explain(const struct expr *expr, const struct expr_host *host, struct arena *scratch,
                  struct expr_explanation *out)
{
    *out = (struct expr_explanation){0};
    const uint64_t cost_max = host->cost_max ? host->cost_max : EXPR_COST_DEFAULT;
    struct explainer x = {
        .expr = expr,
        .host = host,
        .scratch = scratch,
        .out = out,
        .cost_left = RUNS_MAX * min_of(cost_max, UINT64_MAX / RUNS_MAX),
    };
    const struct node *node = expr->root;
    out->value = value_of(&x, node);
    struct value value = out->value;
    for (;;) {
        struct value inner = value;
        const struct node *part = decisive(&x, node, &inner);
        if (part == NULL || x.is_over)
            break;
        node = part;
        value = inner;
    }
    out->from = node->from;
    out->to = node->to;
    out->clause = value;
    see_operands(&x, node);
    if (out->value.type != VALUE_BOOL || !out->value.boolean)
        find_failing(&x, expr->root);
}

/* A part of the text as a sentence shows it: not more than CLAUSE_BYTES_MAX of it. */
static struct str shown(struct arena *scratch, struct str text, uint32_t from, uint32_t to)
{
    struct str part = str_part(text, from, to - from);
    if (part.len <= CLAUSE_BYTES_MAX)
        return part;
    size_t len = CLAUSE_BYTES_MAX;
    while (len > 0 && ((uint8_t)part.at[len] & 0xc0) == 0x80)
        len--;
    return arena_printf(scratch, "%.*s...", STR_ARG(str_part(part, 0, len)));
}

struct str expr_explanation_print(const struct expr *expr, const struct expr_explanation *e,
                                  struct arena *scratch)
{
    struct str clause = shown(scratch, expr->text, e->from, e->to);
    struct str said = expr_value_print(scratch, &e->clause, 120);
    const struct str gone = STR("no such attribute: ");
    struct str missing = e->clause.type == VALUE_ERROR && str_starts(e->clause.text, gone)
                             ? str_part(e->clause.text, gone.len, SIZE_MAX)
                             : STR("");
    struct str all =
        missing.len > 0 ? arena_printf(scratch, "%.*s fails: there is no %.*s", STR_ARG(clause),
                                       STR_ARG(missing))
        : e->clause.type == VALUE_ERROR
            ? arena_printf(scratch, "%.*s fails: %.*s", STR_ARG(clause), STR_ARG(e->clause.text))
            : arena_printf(scratch, "%.*s is %.*s", STR_ARG(clause), STR_ARG(said));
    for (uint32_t i = 0; i < e->seen_count; i++) {
        struct str operand = shown(scratch, expr->text, e->seen[i].from, e->seen[i].to);
        if (str_equal(operand, clause) || str_equal(operand, missing))
            continue;
        struct str value = expr_value_print(scratch, &e->seen[i].value, 80);
        all = arena_printf(scratch, "%.*s; %.*s was %.*s", STR_ARG(all), STR_ARG(operand),
                           STR_ARG(value));
    }
    return all;
}

struct str expr_failing_print(const struct expr *expr, const struct expr_explanation *e,
                              uint32_t first, struct arena *scratch)
{
    struct str all = STR("");
    uint32_t named = min_of(e->failing_count, (uint32_t)EXPR_SEEN_MAX);
    for (uint32_t i = first; i < named; i++) {
        struct str part = shown(scratch, expr->text, e->failing[i].from, e->failing[i].to);
        all =
            arena_printf(scratch, "%.*s%s%.*s", STR_ARG(all), i > first ? ", " : "", STR_ARG(part));
    }
    if (e->failing_count > named)
        all = arena_printf(scratch, "%.*s and %u more", STR_ARG(all), e->failing_count - named);
    return all;
}
