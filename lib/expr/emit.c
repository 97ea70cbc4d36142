/* emit.c - a checked tree to flat code.
 *
 * Registers are handed out like a stack: what an expression needs while it is computed lies above
 * what is already there. An operand is a register, a constant or a slot, so that a comparison of a
 * slot with a constant is one instruction; in a chain of && or || it also is the jump.
 *
 *     event.value >= 30.0 && traits.plan == "free"
 *
 *     0  COMPARE  r0  event.value >= 30.0   stop at false: 2
 *     1  COMPARE  r0  traits.plan == "free" stop at false: 2
 *     2  END      r0
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "expr/expr_int.h"

#define NAMES_MAX 256

struct emitter {
    const struct build *build;
    struct fault *fault;
    struct op *ops;
    uint32_t op_count, op_room;
    struct value *constants;
    uint32_t constant_count, constant_room;
    struct regex **patterns;
    uint32_t pattern_count, pattern_room;
    struct {
        const struct variable *variable;
        uint16_t at;
    } names[NAMES_MAX]; /* where the variables in sight are, innermost last */
    uint32_t name_count;
    uint32_t next;     /* free register */
    uint32_t most;     /* registers ever in use */
    bool is_too_large; /* more registers or constants than an operand can name */
};

static void emit(struct emitter *e, const struct node *node, uint16_t to);

#define GROW(e, array, count, room, type)                             \
    do {                                                              \
        if ((e)->count == (e)->room) {                                \
            uint32_t more = (e)->room ? (e)->room * 2 : 16;           \
            type *grown = arena_array((e)->build->work, type, more);  \
            if ((e)->count)                                           \
                memcpy(grown, (e)->array, (e)->count * sizeof(type)); \
            (e)->array = grown;                                       \
            (e)->room = more;                                         \
        }                                                             \
    } while (0)

static uint32_t put(struct emitter *e, struct op op)
{
    GROW(e, ops, op_count, op_room, struct op);
    e->ops[e->op_count] = op;
    return e->op_count++;
}

static uint16_t add_constant(struct emitter *e, struct value value)
{
    GROW(e, constants, constant_count, constant_room, struct value);
    if (e->constant_count > OPERAND_INDEX) {
        e->is_too_large = true;
        return OPERAND_CONST;
    }
    e->constants[e->constant_count] = value;
    return (uint16_t)(OPERAND_CONST | e->constant_count++);
}

static uint16_t take_register(struct emitter *e)
{
    if (e->next == REGISTERS_MAX) {
        e->is_too_large = true;
        return 0;
    }
    uint16_t taken = (uint16_t)e->next++;
    e->most = max_of(e->most, e->next);
    return taken;
}

/* Puts a variable in sight, in a register. */
static void name_register(struct emitter *e, const struct variable *variable, uint16_t at)
{
    if (e->name_count == NAMES_MAX) {
        e->is_too_large = true;
        return;
    }
    e->names[e->name_count].variable = variable;
    e->names[e->name_count++].at = at;
}

static uint16_t find_register(const struct emitter *e, const struct variable *variable)
{
    for (uint32_t i = e->name_count; i > 0; i--)
        if (e->names[i - 1].variable == variable)
            return e->names[i - 1].at;
    must(e->is_too_large);
    return 0;
}

/* Where the node's value is, computing it into a new register if need be. */
static uint16_t operand(struct emitter *e, const struct node *node)
{
    if (node->kind == NODE_CONST || node->kind == NODE_ERROR)
        return add_constant(e, node->constant);
    if (node->kind == NODE_SLOT && !node->is_test && node->number <= OPERAND_INDEX)
        return (uint16_t)(OPERAND_SLOT | node->number);
    if (node->kind == NODE_LOCAL)
        return find_register(e, node->variables[0]);
    uint16_t to = take_register(e);
    emit(e, node, to);
    return to;
}

/* Jumps whose target comes later. */
struct jumps {
    uint32_t *at;
    uint32_t count, room;
};

static void jump_later(struct emitter *e, struct jumps *jumps, uint32_t op)
{
    if (jumps->count == jumps->room) {
        uint32_t room = jumps->room ? jumps->room * 2 : 8;
        uint32_t *at = arena_array(e->build->work, uint32_t, room);
        if (jumps->count)
            memcpy(at, jumps->at, jumps->count * sizeof(*at));
        jumps->at = at;
        jumps->room = room;
    }
    jumps->at[jumps->count++] = op;
}

static void land(struct emitter *e, const struct jumps *jumps)
{
    for (uint32_t i = 0; i < jumps->count; i++)
        e->ops[jumps->at[i]].jump = e->op_count;
}

static bool is_affine_pair(const struct node *node)
{
    return node->arguments[0]->is_affine || node->arguments[1]->is_affine;
}

/* A condition, with what is done about its outcome. Returns the instruction that may jump. */
static uint32_t emit_condition(struct emitter *e, const struct node *node, uint16_t to,
                               uint8_t outcome)
{
    uint32_t mark = e->next;
    uint8_t turn = 0;
    while (node->kind == NODE_NOT) {
        turn ^= 1;
        node = node->arguments[0];
    }
    uint32_t at;
    if (node->kind == NODE_COMPARE || node->kind == NODE_IN) {
        bool is_in = node->kind == NODE_IN;
        uint16_t a = operand(e, node->arguments[0]);
        uint16_t b = operand(e, node->arguments[1]);
        enum op_code code = is_in ? OP_IN : is_affine_pair(node) ? OP_COMPARE_AFFINE : OP_COMPARE;
        uint8_t mask = (uint8_t)((is_in ? COMPARE_EQ : node->sign) ^ (turn ? OUTCOME_MASK : 0));
        at = put(
            e,
            (struct op){
                .code = (uint8_t)code, .how = (uint8_t)(mask | outcome), .to = to, .a = a, .b = b});
    } else {
        uint16_t a = operand(e, node);
        at = put(e, (struct op){.code = OP_TEST,
                                .how = (uint8_t)(outcome | (turn ? OUTCOME_NEGATE : 0)),
                                .to = to,
                                .a = a});
    }
    e->next = mark;
    return at;
}

static void emit_chain(struct emitter *e, const struct node *const *parts, uint32_t count,
                       uint8_t outcome, uint16_t to)
{
    struct jumps ends = {0};
    for (uint32_t i = 0; i < count; i++)
        jump_later(
            e, &ends,
            emit_condition(e, parts[i], to, (uint8_t)(outcome | (i == 0 ? OUTCOME_WRITE : 0))));
    land(e, &ends);
}

static void emit_logic(struct emitter *e, const struct node *node, uint16_t to)
{
    uint8_t outcome = OUTCOME_JUMP | (node->kind == NODE_OR ? OUTCOME_OR : 0);
    emit_chain(e, (const struct node *const *)node->arguments, node->count, outcome, to);
}

static void emit_binary(struct emitter *e, enum op_code code, const struct node *node, uint16_t to)
{
    uint32_t mark = e->next;
    uint16_t a = operand(e, node->arguments[0]);
    uint16_t b = operand(e, node->arguments[1]);
    put(e, (struct op){.code = (uint8_t)code, .to = to, .a = a, .b = b});
    e->next = mark;
}

static void emit_unary(struct emitter *e, enum op_code code, const struct node *node, uint16_t to)
{
    uint32_t mark = e->next;
    uint16_t a = operand(e, node->arguments[0]);
    put(e, (struct op){.code = (uint8_t)code, .to = to, .a = a});
    e->next = mark;
}

static enum op_code sum_code(const struct node *node)
{
    bool is_affine = is_affine_pair(node);
    switch (node->sign) {
    case '+': return is_affine ? OP_ADD_AFFINE : OP_ADD;
    case '-': return is_affine ? OP_SUBTRACT_AFFINE : OP_SUBTRACT;
    case '*': return OP_MULTIPLY;
    case '/': return OP_DIVIDE;
    default: return OP_MODULO;
    }
}

/* Puts the arguments into registers in a row; returns the first. */
static uint16_t emit_row(struct emitter *e, const struct node *node)
{
    uint16_t base = (uint16_t)e->next;
    for (uint32_t i = 0; i < node->count; i++)
        (void)take_register(e);
    if (e->is_too_large)
        return 0;
    for (uint32_t i = 0; i < node->count; i++)
        emit(e, node->arguments[i], (uint16_t)(base + i));
    return base;
}

static bool is_pattern(const struct node *node)
{
    return node->kind == NODE_CONST && node->constant.type == VALUE_TEXT;
}

static void emit_matches(struct emitter *e, const struct node *node, uint16_t to)
{
    const struct node *pattern = node->arguments[1];
    char why[120];
    struct regex *regex =
        regex_new(pattern->constant.text.at, pattern->constant.text.len, why, sizeof(why));
    if (regex == NULL) {
        expr_fault_at(e->fault, e->build->text, pattern->from, "this is no pattern: %s", why);
        e->is_too_large = true;
        return;
    }
    arena_at_end(e->build->plan, regex_free, regex);
    GROW(e, patterns, pattern_count, pattern_room, struct regex *);
    e->patterns[e->pattern_count] = regex;
    uint32_t mark = e->next;
    uint16_t a = operand(e, node->arguments[0]);
    put(e, (struct op){.code = OP_MATCHES, .to = to, .a = a, .extra = e->pattern_count++});
    e->next = mark;
}

static void emit_function(struct emitter *e, const struct node *node, uint16_t to)
{
    const struct function *f = &function_table[node->number];
    if (str_is(f->public.name, "matches") && is_pattern(node->arguments[1])) {
        emit_matches(e, node, to);
        return;
    }
    uint32_t mark = e->next;
    uint16_t base = emit_row(e, node);
    bool is_affine = node->count > 0 && node->arguments[0]->is_affine;
    put(e, (struct op){.code = is_affine ? OP_CALL_AFFINE : OP_CALL,
                       .to = to,
                       .a = base,
                       .b = (uint16_t)node->count,
                       .extra = node->number});
    e->next = mark;
}

static void emit_host(struct emitter *e, const struct node *node, uint16_t to)
{
    uint32_t mark = e->next;
    uint16_t base = emit_row(e, node);
    put(e, (struct op){.code = OP_CALL_HOST,
                       .to = to,
                       .a = base,
                       .b = (uint16_t)node->count,
                       .extra = node->number});
    if (node->is_test)
        put(e, (struct op){.code = OP_HAS, .to = to, .a = to});
    e->next = mark;
}

static void emit_select(struct emitter *e, const struct node *node, uint16_t to)
{
    uint32_t mark = e->next;
    uint16_t a = operand(e, node->arguments[0]);
    struct str text = arena_printf(e->build->plan, "no such key: %.*s", STR_ARG(node->name));
    uint16_t b = add_constant(e, value_error(text));
    put(e, (struct op){.code = OP_SELECT,
                       .how = (uint8_t)(node->is_test | node->is_optional << 1),
                       .to = to,
                       .a = a,
                       .b = b});
    e->next = mark;
}

static void emit_index(struct emitter *e, const struct node *node, uint16_t to)
{
    uint32_t mark = e->next;
    uint16_t a = operand(e, node->arguments[0]);
    uint16_t b = operand(e, node->arguments[1]);
    put(e,
        (struct op){
            .code = OP_INDEX, .how = (uint8_t)(node->is_optional << 1), .to = to, .a = a, .b = b});
    e->next = mark;
}

static void emit_list(struct emitter *e, const struct node *node, uint16_t to)
{
    put(e, (struct op){.code = OP_LIST_START, .to = to, .extra = node->count});
    for (uint32_t i = 0; i < node->count; i++) {
        const struct node *item = node->arguments[i];
        bool is_maybe = item->kind == NODE_MAYBE;
        uint32_t mark = e->next;
        uint16_t a = operand(e, is_maybe ? item->arguments[0] : item);
        put(e, (struct op){.code = OP_LIST_ADD, .how = is_maybe, .to = to, .a = a});
        e->next = mark;
    }
    put(e, (struct op){.code = OP_LIST_END, .to = to});
}

static void emit_map(struct emitter *e, const struct node *node, uint16_t to)
{
    put(e, (struct op){.code = OP_MAP_START, .to = to, .extra = node->count / 2});
    for (uint32_t i = 0; i < node->count; i += 2) {
        const struct node *value = node->arguments[i + 1];
        bool is_maybe = value->kind == NODE_MAYBE;
        uint32_t mark = e->next;
        uint16_t a = operand(e, node->arguments[i]);
        uint16_t b = operand(e, is_maybe ? value->arguments[0] : value);
        put(e, (struct op){.code = OP_MAP_ADD, .how = is_maybe, .to = to, .a = a, .b = b});
        e->next = mark;
    }
    put(e, (struct op){.code = OP_MAP_END, .to = to});
}

static void emit_choose(struct emitter *e, const struct node *node, uint16_t to)
{
    uint32_t mark = e->next;
    uint16_t a = operand(e, node->arguments[0]);
    uint32_t choose = put(e, (struct op){.code = OP_CHOOSE, .to = to, .a = a});
    e->next = mark;
    emit(e, node->arguments[1], to);
    uint32_t jump = put(e, (struct op){.code = OP_JUMP});
    e->ops[choose].jump = e->op_count;
    emit(e, node->arguments[2], to);
    e->ops[choose].extra = e->op_count;
    e->ops[jump].jump = e->op_count;
}

/* The body of a loop: what happens with each `item`. `out` collects what the loop yields. Returns the
 * jumps that leave the loop at once. */
static void emit_body(struct emitter *e, const struct node *node, uint16_t item, uint16_t out,
                      uint32_t next, struct jumps *ends)
{
    enum loop_kind kind = (enum loop_kind)node->sign;
    const struct node *body = node->arguments[1];
    const struct node *filter = node->count > 2 ? node->arguments[2] : NULL;
    if (kind == LOOP_FILTER)
        filter = body;
    uint32_t mark = e->next;
    struct jumps leave = {0};
    if (filter != NULL) {
        uint16_t a = operand(e, filter);
        /* `extra` is where an error goes: patched with the others. */
        jump_later(e, &leave,
                   put(e, (struct op){.code = OP_LOOP_TEST, .to = out, .a = a, .jump = next}));
        e->next = mark;
    }
    switch (kind) {
    case LOOP_ALL: jump_later(e, ends, emit_condition(e, body, out, OUTCOME_JUMP)); break;
    case LOOP_EXISTS:
        jump_later(e, ends, emit_condition(e, body, out, OUTCOME_JUMP | OUTCOME_OR));
        break;
    case LOOP_EXISTS_ONE: {
        uint16_t a = operand(e, body);
        jump_later(e, ends, put(e, (struct op){.code = OP_COUNT_ONE, .to = out, .a = a}));
        break;
    }
    case LOOP_FILTER: put(e, (struct op){.code = OP_LIST_ADD, .to = out, .a = item}); break;
    case LOOP_MAP:
    case LOOP_SORT_BY: {
        uint16_t a = operand(e, body);
        put(e, (struct op){.code = OP_LIST_ADD, .to = out, .a = a});
        break;
    }
    case LOOP_TRANSFORM_MAP: {
        uint16_t a = operand(e, body);
        put(e, (struct op){.code = OP_MAP_ADD, .to = out, .a = item, .b = a});
        break;
    }
    case LOOP_TRANSFORM_ENTRY: {
        uint16_t a = operand(e, body);
        put(e, (struct op){.code = OP_MAP_MERGE, .to = out, .a = a});
        break;
    }
    }
    e->next = mark;
    put(e, (struct op){.code = OP_JUMP, .jump = next});
    for (uint32_t i = 0; i < leave.count; i++)
        e->ops[leave.at[i]].extra = e->op_count;
}

static void emit_loop(struct emitter *e, const struct node *node, uint16_t to)
{
    enum loop_kind kind = (enum loop_kind)node->sign;
    uint32_t mark = e->next;
    uint16_t iterator = take_register(e);
    uint16_t out = to;
    uint16_t range = take_register(e);
    uint16_t first = take_register(e);
    uint16_t second = node->variable_count == 2 ? take_register(e) : 0;
    emit(e, node->arguments[0], range);
    name_register(e, node->variables[0], first);
    if (node->variable_count == 2)
        name_register(e, node->variables[1], second);
    uint32_t start = put(e, (struct op){.code = OP_ITERATE, .to = iterator, .a = range, .b = out});
    bool is_map = kind == LOOP_TRANSFORM_MAP || kind == LOOP_TRANSFORM_ENTRY;
    bool is_list = kind == LOOP_MAP || kind == LOOP_FILTER || kind == LOOP_SORT_BY;
    if (is_list || is_map)
        put(e, (struct op){.code = is_map ? OP_MAP_START : OP_LIST_START, .to = out});
    else
        put(e, (struct op){.code = OP_MOVE,
                           .to = out,
                           .a = add_constant(e, kind == LOOP_EXISTS_ONE
                                                    ? value_int(0)
                                                    : value_bool(kind == LOOP_ALL))});
    uint32_t next = put(e, (struct op){.code = OP_NEXT,
                                       .how = (uint8_t)node->variable_count,
                                       .to = iterator,
                                       .a = first,
                                       .b = second});
    struct jumps ends = {0};
    emit_body(e, node, first, out, next, &ends);
    e->name_count -= node->variable_count;
    e->ops[next].extra = e->op_count - next;
    /* Past the last item; what leaves early lands here too, with its answer in `out`. */
    e->ops[next].jump = e->op_count;
    land(e, &ends);
    if (is_list || is_map)
        put(e, (struct op){.code = is_map ? OP_MAP_END : OP_LIST_END, .to = out});
    if (kind == LOOP_EXISTS_ONE)
        put(e, (struct op){.code = OP_IS_ONE, .to = out});
    if (kind == LOOP_SORT_BY)
        put(e, (struct op){.code = OP_SORT, .to = out, .a = range, .b = out});
    e->ops[start].jump = e->op_count;
    e->next = mark;
}

static void emit_opt_map(struct emitter *e, const struct node *node, uint16_t to)
{
    uint32_t mark = e->next;
    uint16_t held = take_register(e);
    uint16_t a = operand(e, node->arguments[0]);
    uint32_t start = put(e, (struct op){.code = OP_OPT_START, .to = to, .a = a, .b = held});
    name_register(e, node->variables[0], held);
    uint16_t body = operand(e, node->arguments[1]);
    e->name_count--;
    put(e, (struct op){.code = node->sign ? OP_MOVE : OP_OPT_WRAP, .to = to, .a = body});
    e->ops[start].jump = e->op_count;
    e->next = mark;
}

static void emit_block(struct emitter *e, const struct node *node, uint16_t to)
{
    uint32_t mark = e->next, names = e->name_count;
    for (uint32_t i = 0; i < node->variable_count; i++) {
        uint16_t at = take_register(e);
        emit(e, node->arguments[i], at);
        name_register(e, node->variables[i], at);
    }
    emit(e, node->arguments[node->count - 1], to);
    e->name_count = names;
    e->next = mark;
}

/* Computes the node into register `to`, which may be written on the way: no node reads it. */
static void emit(struct emitter *e, const struct node *node, uint16_t to)
{
    if (e->is_too_large)
        return;
    uint32_t mark = e->next;
    switch ((enum node_kind)node->kind) {
    case NODE_CONST:
    case NODE_ERROR:
    case NODE_LOCAL: put(e, (struct op){.code = OP_MOVE, .to = to, .a = operand(e, node)}); break;
    case NODE_SLOT:
        if (node->number > OPERAND_INDEX) {
            e->is_too_large = true;
            break;
        }
        put(e, (struct op){.code = node->is_test ? OP_HAS : OP_MOVE,
                           .to = to,
                           .a = (uint16_t)(OPERAND_SLOT | node->number)});
        break;
    case NODE_NOW: put(e, (struct op){.code = OP_NOW, .to = to}); break;
    case NODE_NOT:
    case NODE_COMPARE:
    case NODE_IN: emit_condition(e, node, to, OUTCOME_SET); break;
    case NODE_NEGATE: emit_unary(e, OP_NEGATE, node, to); break;
    case NODE_SUM: emit_binary(e, sum_code(node), node, to); break;
    case NODE_AND:
    case NODE_OR: emit_logic(e, node, to); break;
    case NODE_CHOOSE: emit_choose(e, node, to); break;
    case NODE_SELECT: emit_select(e, node, to); break;
    case NODE_INDEX: emit_index(e, node, to); break;
    case NODE_LIST: emit_list(e, node, to); break;
    case NODE_MAP: emit_map(e, node, to); break;
    case NODE_LOOP: emit_loop(e, node, to); break;
    case NODE_BIND:
    case NODE_BLOCK: emit_block(e, node, to); break;
    case NODE_OPT_MAP: emit_opt_map(e, node, to); break;
    case NODE_OPT_OR: {
        emit(e, node->arguments[0], to);
        uint32_t keep = put(e, (struct op){.code = OP_OPT_OR, .how = node->sign, .to = to});
        emit(e, node->arguments[1], to);
        e->ops[keep].jump = e->op_count;
        break;
    }
    case NODE_FUNCTION: emit_function(e, node, to); break;
    case NODE_HOST: emit_host(e, node, to); break;
    case NODE_NAME:
    case NODE_CALL:
    case NODE_STRUCT:
    case NODE_MAYBE: must(!"only checked trees become code");
    }
    e->next = mark;
}

/* Which ints a comparison holds for: a stretch, or what lies outside of it. */
static bool quick_int(struct quick *q, uint8_t mask, int64_t x, bool *is_outside)
{
    *is_outside = mask & 8;
    int64_t low = x, high = x;
    switch (*is_outside ? mask ^ OUTCOME_MASK : mask) {
    case COMPARE_EQ: break;
    case COMPARE_LT:
        if (x == INT64_MIN)
            return false;
        low = INT64_MIN;
        high = x - 1;
        break;
    case COMPARE_LE: low = INT64_MIN; break;
    case COMPARE_GT:
        if (x == INT64_MAX)
            return false;
        low = x + 1;
        high = INT64_MAX;
        break;
    case COMPARE_GE: high = INT64_MAX; break;
    default: return false;
    }
    q->low = (uint64_t)low;
    q->span = (uint64_t)high - (uint64_t)low;
    return true;
}

/* All 64 bits but for those inside; false where that would be none. */
static bool quick_turn(struct quick *q)
{
    if (q->span == UINT64_MAX)
        return false;
    q->low += q->span + 1;
    q->span = UINT64_MAX - 1 - q->span;
    return true;
}

static bool quick_double(struct quick *q, uint8_t mask, double x, bool *is_outside)
{
    *is_outside = mask & 8;
    q->least = q->most = x;
    if (!isfinite(x))
        return false;
    switch (*is_outside ? mask ^ OUTCOME_MASK : mask) {
    case COMPARE_EQ: return true;
    case COMPARE_LT: q->most = nextafter(x, -(double)INFINITY); break;
    case COMPARE_GT: q->least = nextafter(x, (double)INFINITY); break;
    case COMPARE_LE:
    case COMPARE_GE: break;
    default: return false;
    }
    if (mask & (*is_outside ? 4 : 1))
        q->least = -(double)INFINITY;
    else
        q->most = (double)INFINITY;
    return true;
}

/* A stretch of positive doubles as one of ints: their bits grow as they do. */
static bool quick_positive(struct quick *q)
{
    uint64_t low, high;
    if (!(q->least > 0))
        return false;
    memcpy(&low, &q->least, sizeof(low));
    memcpy(&high, &q->most, sizeof(high));
    q->low = low;
    q->span = high - low;
    return true;
}

static enum quick_test quick_text(struct quick *q, struct str text)
{
    size_t len = text.len;
    if (len > 16) {
        q->text = text;
        return QUICK_TEXT;
    }
    q->len = (uint8_t)len;
    switch (len) {
    case 0: return QUICK_TEXT_0;
    case 1: q->first = (uint8_t)text.at[0]; return QUICK_TEXT_1;
    case 2: q->first = load_uint16_t(text.at); return QUICK_TEXT_2;
    case 3:
        q->first = load_uint16_t(text.at);
        q->last = (uint8_t)text.at[2];
        return QUICK_TEXT_3;
    case 4: q->first = load_uint32_t(text.at); return QUICK_TEXT_4;
    case 8: q->first = load_uint64_t(text.at); return QUICK_TEXT_8;
    default: break;
    }
    if (len < 8) {
        q->first = load_uint32_t(text.at);
        q->last = load_uint32_t(text.at + len - 4);
        return QUICK_TEXT_TO_7;
    }
    q->first = load_uint64_t(text.at);
    q->last = load_uint64_t(text.at + len - 8);
    return QUICK_TEXT_TO_16;
}

/* The quick form of instruction `at`, if it has one. */
static bool quick_form(const struct emitter *e, uint32_t at, uint32_t end, struct quick *q)
{
    const struct op *op = &e->ops[at];
    if (op->to != 0 || op->jump != end || !(op->how & OUTCOME_JUMP) || at > UINT16_MAX ||
        (op->a & (OPERAND_SLOT | OPERAND_CONST)) != OPERAND_SLOT)
        return false;
    /* A slot too far for `at` is further than any array: it is asked for. */
    uint32_t slot = quick_slot(e->build->slots, op);
    *q = (struct quick){
        .slot = slot, .at = slot * (uint32_t)sizeof(struct value), .op = (uint16_t)at};
    bool is_outside = false;
    enum quick_test test = QUICK_BOOL;
    if (op->code == OP_TEST) {
        is_outside = op->how & OUTCOME_NEGATE;
    } else {
        if (op->code != OP_COMPARE || !(op->b & OPERAND_CONST))
            return false;
        const struct value *b = &e->constants[op->b & OPERAND_INDEX];
        uint8_t mask = op->how & OUTCOME_MASK;
        bool is_fine = false;
        if (b->type == VALUE_INT) {
            test = QUICK_INT;
            is_fine = quick_int(q, mask, b->integer, &is_outside);
        } else if (b->type == VALUE_DOUBLE) {
            is_fine = quick_double(q, mask, b->number, &is_outside);
            test = is_fine && quick_positive(q) ? QUICK_POSITIVE : QUICK_DOUBLE;
        } else if (b->type == VALUE_TEXT) {
            test = quick_text(q, b->text);
            is_outside = mask == COMPARE_NE;
            is_fine = is_outside || mask == COMPARE_EQ;
        }
        if (!is_fine)
            return false;
    }
    /* && goes on at true, || at false. */
    bool goes_on_outside = is_outside != ((op->how & OUTCOME_OR) != 0);
    if ((test == QUICK_INT || test == QUICK_POSITIVE) && goes_on_outside) {
        if (!quick_turn(q))
            return false;
        goes_on_outside = false;
    }
    q->code = (uint8_t)(2 * test + goes_on_outside);
    return true;
}

/* x > 3 && x < 100 is one test: narrows an earlier one of the same slot. Not where nothing is inside
 * both. It may answer before what stands between them is read, which then does not matter. */
static bool quick_join(struct quick *all, uint32_t count, const struct quick *q)
{
    int64_t low = (int64_t)q->low, high = (int64_t)(q->low + q->span);
    if ((q->code != 2 * QUICK_INT && q->code != 2 * QUICK_POSITIVE) || low > high)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        int64_t own_low = (int64_t)all[i].low, own_high = (int64_t)(all[i].low + all[i].span);
        if (all[i].slot != q->slot || all[i].code != q->code || own_low > own_high)
            continue;
        low = max_of(low, own_low);
        high = min_of(high, own_high);
        if (low > high)
            return false;
        all[i].low = (uint64_t)low;
        all[i].span = (uint64_t)high - (uint64_t)low;
        return true;
    }
    return false;
}

static void add_quick(struct emitter *e, struct expr *expr)
{
    uint32_t end = e->op_count - 1, covered = 0, count = 0;
    struct quick q;
    while (covered < end && quick_form(e, covered, end, &q))
        covered++;
    struct quick *all = arena_array(e->build->plan, struct quick, covered + 1);
    for (uint32_t i = 0; i < covered; i++) {
        (void)quick_form(e, i, end, &q);
        expr->quick_slots = max_of(expr->quick_slots, q.slot < UINT32_MAX ? q.slot + 1 : q.slot);
        if (!quick_join(all, count, &q))
            all[count++] = q;
    }
    all[count] = (struct quick){
        .op = (uint16_t)covered,
        .code = covered > 0 && covered == end ? QUICK_END : QUICK_MACHINE,
    };
    for (uint32_t i = 0; i <= count; i++)
        all[i].run = quick_choose(&all[i]);
    expr->quick = all;
    expr->quick_stop = e->ops[0].how & OUTCOME_OR;
    expr->quick_end = !expr->quick_stop;
}

/* A copy in the plan of what was put together at work. */
static void *keep(const struct build *build, const void *at, size_t bytes)
{
    if (bytes == 0)
        return NULL;
    return memcpy(arena_alloc(build->plan, bytes), at, bytes);
}

enum status expr_emit(const struct build *build, const struct node *root, struct expr **out,
                      struct fault *f)
{
    struct emitter e = {.build = build, .fault = f};
    uint16_t to = take_register(&e);
    if (root->kind == NODE_AND || root->kind == NODE_OR)
        emit_logic(&e, root, to);
    else if (root->kind == NODE_COMPARE || root->kind == NODE_IN || root->kind == NODE_NOT)
        emit_chain(&e, &root, 1, OUTCOME_JUMP, to); /* a chain of one, for the quick front */
    else
        to = operand(&e, root);
    put(&e, (struct op){.code = OP_END, .a = to});
    if (e.is_too_large) {
        expr_fault_at(f, build->text, root->from,
                      "this expression is too large; name parts of it instead");
        return FIX_INPUT;
    }
    struct expr *expr = arena_new(build->plan, struct expr);
    *expr = (struct expr){
        .ops = keep(build, e.ops, e.op_count * sizeof(*e.ops)),
        .constants = keep(build, e.constants, e.constant_count * sizeof(*e.constants)),
        .slots = build->slots,
        .bindings = build->bindings,
        .op_count = e.op_count,
        .constant_count = e.constant_count,
        .slot_count = build->slot_count,
        .binding_count = build->binding_count,
        .register_count = e.most,
        .is_once = build->is_once,
        .patterns = keep(build, e.patterns, e.pattern_count * sizeof(struct regex *)),
        .pattern_count = e.pattern_count,
        .type = &expr_dyn,
        .text = build->text,
    };
    if (!build->is_part) {
        expr->slots = keep(build, build->slots, build->slot_count * sizeof(*build->slots));
        expr->bindings =
            keep(build, build->bindings, build->binding_count * sizeof(*build->bindings));
    }
    add_quick(&e, expr);
    *out = expr;
    return OK;
}
