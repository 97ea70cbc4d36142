/* check.c - what names mean and whether types fit; constants are folded on the way.
 *
 * One walk, children first. A node that passed has its type, what it resolved to, and two marks:
 * is_affine (its value is a constant plus or minus now) and is_timed (it reads now somewhere
 * inside). An affine value may be added to, subtracted from, compared, chosen, bound to a name and
 * asked for calendar fields; everything else is refused here, because nobody could say until when
 * its value holds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>

#include "expr/check_int.h"

#define FOLD_COST_MAX    200000  /* of all folding in one compilation */
#define TYPE_STEPS_MAX   2000000 /* of unification in one compilation */
#define WORK_BLOCK_BYTES 16384

bool check_refuse(struct checker *c, uint32_t at, const char *format, ...)
{
    char sentence[FAULT_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    expr_fault_at(c->fault, c->text, at, "%s", sentence);
    return false;
}

struct str check_type_text(struct checker *c, const struct expr_type *type)
{
    return expr_type_print(c->work, bounds_final(c->bounds, type));
}

void check_note(struct checker *c, struct numbers *list, uint32_t number)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->at[i] == number)
            return;
    if (list->count == list->room) {
        uint32_t room = list->room ? list->room * 2 : 8;
        uint32_t *at = arena_array(c->work, uint32_t, room);
        if (list->count)
            memcpy(at, list->at, list->count * sizeof(*at));
        list->at = at;
        list->room = room;
    }
    list->at[list->count++] = number;
}

/* Time ------------------------------------------------------------------------------------------ */

bool check_steady(struct checker *c, const struct node *node, const char *hint)
{
    if (!node->is_affine)
        return true;
    return check_refuse(
        c, node->from,
        "\"%.*s\" changes with every moment and cannot be used here; compare it with a "
        "time or a duration, or ask it for a calendar field%s%s",
        STR_ARG(node_text(c, node)), hint[0] ? "; " : "", hint);
}

/* Constants ------------------------------------------------------------------------------------- */

static bool are_constant(const struct node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (node->arguments[i]->kind != NODE_CONST)
            return false;
    return true;
}

/* What to write instead of a literal that no function reads. */
static const char *failure_hint(const struct node *node)
{
    if (node->kind != NODE_FUNCTION)
        return "";
    struct str name = function_table[node->number].public.name;
    return str_is(name, "duration") ? "; write duration(\"3d\"), or \"2h30m\" or \"90s\" in it"
           : str_is(name, "timestamp")
               ? "; write timestamp(\"2026-12-24T18:00:00Z\"), or now with a duration"
               : "";
}

bool check_fold(struct checker *c, struct node *node)
{
    if (node->is_test || !are_constant(node) || *c->fold_cost <= 0)
        return true;
    struct build build = {.plan = c->work, .work = c->work, .text = c->text, .is_once = true};
    struct expr *expr = NULL;
    if (expr_emit(&build, node, &expr, c->fault) != OK)
        return false;
    expr->keeps_optional = true;
    struct expr_host host = {.cost_max =
                                 (uint64_t)min_of(*c->fold_cost, (int64_t)FOLD_COST_MAX / 10)};
    struct expr_result result;
    expr_run(expr, &host, c->plan, &result); /* what it builds is the constant */
    *c->fold_cost -= (int64_t)result.cost + 1;
    struct value value = result.value;
    if (value.type == VALUE_ERROR && c->refuses_failures && result.cost < host.cost_max)
        return check_refuse(c, node->from, "\"%.*s\" always fails: %.*s%s",
                            STR_ARG(node_text(c, node)), STR_ARG(value.text), failure_hint(node));
    if (value.type > VALUE_TYPE || value.type == VALUE_NONE)
        return true;
    node->kind = NODE_CONST;
    node->constant = value;
    node->count = 0;
    return true;
}

static const uint32_t *keep_numbers(struct checker *c, const struct numbers *list)
{
    uint32_t *kept = arena_array(c->plan, uint32_t, list->count);
    if (list->count)
        memcpy(kept, list->at, list->count * sizeof(*kept));
    return kept;
}

struct expr *check_build(struct checker *c, const struct node *root, const struct expr_type *type)
{
    struct build build = {
        .plan = c->plan,
        .work = c->work,
        .text = c->text,
        .slots = c->slots,
        .slot_count = c->slot_count,
        .bindings = c->bindings.at,
        .binding_count = c->bindings.count,
        .is_once = c->mode != EXPR_RULE,
    };
    struct expr *expr = NULL;
    if (expr_emit(&build, root, &expr, c->fault) != OK)
        return NULL;
    expr->type = type;
    expr->root = root;
    expr->is_timed = c->is_timed;
    expr->read_slots = keep_numbers(c, &c->read_slots);
    expr->read_slot_count = c->read_slots.count;
    expr->read_bindings = keep_numbers(c, &c->read_bindings);
    expr->read_binding_count = c->read_bindings.count;
    return expr;
}

bool check_arguments(struct checker *c, struct node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (!check_node(c, node->arguments[i]))
            return false;
    return true;
}

/* The other nodes ------------------------------------------------------------------------------- */

static bool check_select(struct checker *c, struct node *node)
{
    struct node *target = node->arguments[0];
    if (!check_node(c, target) || !check_steady(c, target, ""))
        return false;
    const struct expr_type *type = bounds_look(c->bounds, target->type);
    bool is_optional = node->is_optional;
    if (type->kind == EXPR_OPTIONAL) {
        is_optional = true;
        type = bounds_look(c->bounds, expr_type_argument(type, 0));
    }
    const struct expr_type *field = &expr_dyn;
    if (type->kind == EXPR_MAP) {
        field = expr_type_argument(type, 1);
        if (!is_unchecked(c) && !bounds_assign(c->bounds, expr_type_argument(type, 0), &expr_text))
            return check_refuse(c, node->at,
                                "a field of \"%.*s\" is asked for by name, but its keys are "
                                "of type %.*s; write [...]",
                                STR_ARG(node_text(c, target)),
                                STR_ARG(check_type_text(c, expr_type_argument(type, 0))));
    } else if (type->kind != EXPR_DYN && type->kind != EXPR_VARIABLE && !is_unchecked(c)) {
        return check_refuse(c, node->at, "\"%.*s\" is of type %.*s and has no field \"%.*s\"",
                            STR_ARG(node_text(c, target)), STR_ARG(check_type_text(c, type)),
                            STR_ARG(node->name));
    }
    node->type = node->is_test ? &expr_bool
                 : is_optional ? expr_optional_of(c->work, field)
                               : field;
    if (is_unchecked(c))
        node->type = &expr_dyn;
    return true;
}

static bool check_index(struct checker *c, struct node *node)
{
    struct node *target = node->arguments[0], *key = node->arguments[1];
    if (!check_node(c, target) || !check_node(c, key) || !check_steady(c, target, "") ||
        !check_steady(c, key, ""))
        return false;
    node->type = &expr_dyn;
    if (is_unchecked(c))
        return true;
    const struct expr_type *type = bounds_look(c->bounds, target->type);
    bool is_optional = node->is_optional;
    if (type->kind == EXPR_OPTIONAL) {
        is_optional = true;
        type = bounds_look(c->bounds, expr_type_argument(type, 0));
    }
    const struct expr_type *item = &expr_dyn;
    if (type->kind == EXPR_MAP) {
        item = expr_type_argument(type, 1);
        if (!bounds_assign(c->bounds, expr_type_argument(type, 0), key->type))
            return check_refuse(c, key->from, "the keys of \"%.*s\" are of type %.*s, not %.*s",
                                STR_ARG(node_text(c, target)),
                                STR_ARG(check_type_text(c, expr_type_argument(type, 0))),
                                STR_ARG(check_type_text(c, key->type)));
    } else if (type->kind == EXPR_LIST) {
        item = expr_type_argument(type, 0);
        if (!bounds_assign(c->bounds, &expr_int, key->type))
            return check_refuse(c, key->from, "a list is indexed by an int, not by %.*s",
                                STR_ARG(check_type_text(c, key->type)));
    } else if (type->kind != EXPR_DYN && type->kind != EXPR_VARIABLE) {
        return check_refuse(c, node->at, "\"%.*s\" is of type %.*s and cannot be indexed",
                            STR_ARG(node_text(c, target)), STR_ARG(check_type_text(c, type)));
    }
    node->type = is_optional ? expr_optional_of(c->work, item) : item;
    return true;
}

/* An item of a list or map that may be left out: what it holds. */
static const struct expr_type *check_maybe(struct checker *c, struct node *node)
{
    if (node->kind != NODE_MAYBE)
        return check_node(c, node) && check_steady(c, node, "") ? node->type : NULL;
    node->is_checked = true;
    struct node *held = node->arguments[0];
    if (!check_node(c, held) || !check_steady(c, held, ""))
        return NULL;
    const struct expr_type *inside = bounds_new(c->bounds);
    node->type = held->type;
    node->is_timed = held->is_timed;
    if (!is_unchecked(c) &&
        !bounds_assign(c->bounds, expr_optional_of(c->work, inside), held->type)) {
        check_refuse(c, held->from, "expected an optional after \"?\", found %.*s",
                     STR_ARG(check_type_text(c, held->type)));
        return NULL;
    }
    return is_unchecked(c) ? &expr_dyn : inside;
}

static bool check_list(struct checker *c, struct node *node)
{
    const struct expr_type *items = NULL;
    for (uint32_t i = 0; i < node->count; i++) {
        const struct expr_type *type = check_maybe(c, node->arguments[i]);
        if (type == NULL)
            return false;
        items = items == NULL ? type : bounds_join(c->bounds, items, type);
    }
    node->type = expr_list_of(c->work, items ? items : bounds_new(c->bounds));
    return check_fold(c, node);
}

static bool check_map(struct checker *c, struct node *node)
{
    const struct expr_type *keys = NULL, *values = NULL;
    for (uint32_t i = 0; i < node->count; i += 2) {
        struct node *key = node->arguments[i];
        if (!check_node(c, key) || !check_steady(c, key, ""))
            return false;
        const struct expr_type *type = bounds_look(c->bounds, key->type);
        if (!is_unchecked(c) && type->kind != EXPR_BOOL && type->kind != EXPR_INT &&
            type->kind != EXPR_UINT && type->kind != EXPR_TEXT && type->kind != EXPR_DYN &&
            type->kind != EXPR_VARIABLE)
            return check_refuse(c, key->from,
                                "a key is a string, an int, a uint or a bool, not %.*s",
                                STR_ARG(check_type_text(c, type)));
        keys = keys == NULL ? type : bounds_join(c->bounds, keys, type);
        type = check_maybe(c, node->arguments[i + 1]);
        if (type == NULL)
            return false;
        values = values == NULL ? type : bounds_join(c->bounds, values, type);
    }
    node->type = expr_map_of(c->work, keys ? keys : bounds_new(c->bounds),
                             values ? values : bounds_new(c->bounds));
    return check_fold(c, node);
}

/* Requires a bool (or dyn) of `node`, as part of `what`. */
static bool want_bool(struct checker *c, const struct node *node, const char *what)
{
    if (!check_steady(c, node, ""))
        return false;
    if (is_unchecked(c) || bounds_assign(c->bounds, &expr_bool, node->type))
        return true;
    return check_refuse(c, node->from, "%s needs true or false; \"%.*s\" is of type %.*s", what,
                        STR_ARG(node_text(c, node)), STR_ARG(check_type_text(c, node->type)));
}

static bool is_number(const struct expr_type *type)
{
    return type->kind == EXPR_INT || type->kind == EXPR_UINT || type->kind == EXPR_DOUBLE;
}

static const char *compare_text(uint8_t mask)
{
    switch (mask) {
    case COMPARE_LT: return "<";
    case COMPARE_LE: return "<=";
    case COMPARE_GT: return ">";
    case COMPARE_GE: return ">=";
    case COMPARE_EQ: return "==";
    default: return "!=";
    }
}

static bool is_equality(uint8_t mask)
{
    return mask == COMPARE_EQ || mask == COMPARE_NE;
}

/* Tells a call what it is compared with. */
static void note_compared(struct node *node)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct node *call = node->arguments[i], *other = node->arguments[1 - i];
        if (call->kind == NODE_CALL && other->kind == NODE_CONST)
            call->compared = &other->constant;
    }
}

static bool check_compare(struct checker *c, struct node *node)
{
    node->type = &expr_bool;
    if (is_unchecked(c))
        return check_fold(c, node);
    struct node *left = node->arguments[0], *right = node->arguments[1];
    const struct expr_type *a = bounds_look(c->bounds, left->type);
    const struct expr_type *b = bounds_look(c->bounds, right->type);
    bool fits = (is_number(a) && is_number(b)) || bounds_assign(c->bounds, a, b);
    if (fits && !is_equality(node->sign)) {
        a = bounds_look(c->bounds, a);
        b = bounds_look(c->bounds, b);
        const struct expr_type *known = a->kind == EXPR_DYN || a->kind == EXPR_VARIABLE ? b : a;
        fits = a->kind != EXPR_NULL && b->kind != EXPR_NULL && known->kind != EXPR_LIST &&
               known->kind != EXPR_MAP && known->kind != EXPR_OPTIONAL &&
               known->kind != EXPR_TYPE && known->kind != EXPR_OPAQUE;
    }
    if (!fits) {
        const char *hint = "";
        bool is_time = a->kind == EXPR_TIME || b->kind == EXPR_TIME;
        bool is_duration = a->kind == EXPR_DURATION || b->kind == EXPR_DURATION;
        bool is_text = a->kind == EXPR_TEXT || b->kind == EXPR_TEXT;
        bool is_any_number = is_number(a) || is_number(b);
        if (a->kind == EXPR_NULL || b->kind == EXPR_NULL)
            hint = "; what is missing is asked for with has(event.coupon)";
        else if (is_time && (is_text || is_any_number))
            hint = "; write timestamp(\"2026-03-01T00:00:00Z\")";
        else if (left->kind == NODE_COMPARE && a->kind == EXPR_BOOL)
            hint = "; write 30 < x && x < 50";
        else if (a->kind == EXPR_BOOL && is_text)
            hint = "; write true or false without quotes";
        else if (is_duration && (is_text || is_any_number))
            hint = "; write duration(\"3d\")";
        else if (is_number(a) && b->kind == EXPR_TEXT && right->kind == NODE_CONST)
            hint = "; write the number without quotes";
        else if (a->kind == EXPR_TEXT && is_number(b) && right->kind == NODE_CONST)
            hint = "; write the text in quotes";
        return check_refuse(c, node->at,
                            "\"%.*s\" is of type %.*s and cannot be compared by %s with %.*s%s",
                            STR_ARG(node_text(c, left)), STR_ARG(check_type_text(c, a)),
                            compare_text(node->sign), STR_ARG(check_type_text(c, b)), hint);
    }
    if (left->is_affine || right->is_affine)
        return true;
    if (is_number(a))
        check_want_number(c, right);
    if (is_number(b))
        check_want_number(c, left);
    return check_fold(c, node);
}

static bool check_in(struct checker *c, struct node *node)
{
    node->type = &expr_bool;
    struct node *item = node->arguments[0], *in = node->arguments[1];
    if (!check_steady(c, item, "") || !check_steady(c, in, ""))
        return false;
    if (is_unchecked(c))
        return check_fold(c, node);
    const struct expr_type *type = bounds_look(c->bounds, in->type);
    if (type->kind == EXPR_LIST || type->kind == EXPR_MAP) {
        const struct expr_type *held = bounds_look(c->bounds, expr_type_argument(type, 0));
        const struct expr_type *sought = bounds_look(c->bounds, item->type);
        if (!(is_number(held) && is_number(sought)) && !bounds_assign(c->bounds, held, sought))
            return check_refuse(c, item->from, "\"%.*s\" is of type %.*s, but \"%.*s\" holds %.*s",
                                STR_ARG(node_text(c, item)), STR_ARG(check_type_text(c, sought)),
                                STR_ARG(node_text(c, in)), STR_ARG(check_type_text(c, held)));
    } else if (type->kind != EXPR_DYN && type->kind != EXPR_VARIABLE) {
        return check_refuse(c, in->from, "\"in\" looks into a list or a map, not into %.*s%s",
                            STR_ARG(check_type_text(c, type)),
                            type->kind == EXPR_TEXT ? "; write text.contains(...)" : "");
    }
    return check_fold(c, node);
}

static struct str operator_name(char sign)
{
    switch (sign) {
    case '+': return STR("_+_");
    case '-': return STR("_-_");
    case '*': return STR("_*_");
    case '/': return STR("_/_");
    default: return STR("_%_");
    }
}

static bool check_sum(struct checker *c, struct node *node)
{
    struct node *left = node->arguments[0], *right = node->arguments[1];
    if (is_unchecked(c)) {
        node->type = &expr_dyn;
        return check_fold(c, node);
    }
    uint32_t function = 0;
    const struct expr_type *result =
        check_resolve(c, operator_name((char)node->sign), false, node->arguments, 2, &function);
    if (result == NULL) {
        const struct expr_type *a = bounds_look(c->bounds, left->type);
        const struct expr_type *b = bounds_look(c->bounds, right->type);
        const char *hint = "";
        if (is_number(a) && is_number(b) && node->sign != '%')
            hint = a->kind == EXPR_DOUBLE || b->kind == EXPR_DOUBLE
                       ? "; write double(...) around the other"
                       : "; write int(...) around the uint";
        else if (node->sign == '%' && (a->kind == EXPR_DOUBLE || b->kind == EXPR_DOUBLE))
            hint = "; remainders are of whole numbers: int(x) % 2";
        else if (node->sign == '+' && a->kind != EXPR_TIME && b->kind != EXPR_TIME &&
                 (a->kind == EXPR_TEXT || b->kind == EXPR_TEXT))
            hint = "; write string(...) around the other";
        else if (a->kind == EXPR_TIME || b->kind == EXPR_TIME)
            hint = "; write duration(\"3d\") for a length of time";
        return check_refuse(c, node->at, "there is no %.*s %c %.*s%s",
                            STR_ARG(check_type_text(c, a)), node->sign,
                            STR_ARG(check_type_text(c, b)), hint);
    }
    node->type = result;
    bool is_numeric = node->sign == '*' || node->sign == '/';
    if (is_numeric || is_number(bounds_look(c->bounds, right->type)))
        check_want_number(c, left);
    if (is_numeric || is_number(bounds_look(c->bounds, left->type)))
        check_want_number(c, right);
    if (left->is_affine || right->is_affine) {
        if (node->sign != '+' && node->sign != '-')
            return check_steady(c, left->is_affine ? left : right, "");
        node->is_affine = true;
        return true;
    }
    return check_fold(c, node);
}

static bool check_negate(struct checker *c, struct node *node)
{
    if (!check_steady(c, node->arguments[0], "turn the difference round instead"))
        return false;
    node->type = &expr_dyn;
    if (is_unchecked(c))
        return check_fold(c, node);
    uint32_t function = 0;
    const struct expr_type *result =
        check_resolve(c, STR("-_"), false, node->arguments, 1, &function);
    if (result == NULL)
        return check_refuse(c, node->at, "there is no -%.*s",
                            STR_ARG(check_type_text(c, node->arguments[0]->type)));
    node->type = result;
    return check_fold(c, node);
}

static bool check_choose(struct checker *c, struct node *node)
{
    struct node *then = node->arguments[1], *otherwise = node->arguments[2];
    if (!want_bool(c, node->arguments[0], "a choice by \"?\""))
        return false;
    node->is_affine = then->is_affine || otherwise->is_affine;
    node->type = &expr_dyn;
    if (is_unchecked(c))
        return true;
    struct bounds_mark mark = bounds_mark(c->bounds);
    if (!bounds_assign(c->bounds, then->type, otherwise->type)) {
        bounds_back(c->bounds, mark);
        return check_refuse(
            c, node->at,
            "both sides of a choice need the same type; \"%.*s\" is %.*s, \"%.*s\" is "
            "%.*s",
            STR_ARG(node_text(c, then)), STR_ARG(check_type_text(c, then->type)),
            STR_ARG(node_text(c, otherwise)), STR_ARG(check_type_text(c, otherwise->type)));
    }
    node->type = bounds_join(c->bounds, then->type, otherwise->type);
    return true;
}

/* The types of a loop's variables: items, or index and item; keys, or key and value. */
static bool loop_types(struct checker *c, struct node *node)
{
    struct node *range = node->arguments[0];
    const struct expr_type *type = bounds_look(c->bounds, range->type);
    const struct expr_type *first = &expr_dyn, *second = &expr_dyn;
    if (type->kind == EXPR_LIST) {
        first = node->variable_count == 1 ? expr_type_argument(type, 0) : &expr_int;
        second = expr_type_argument(type, 0);
    } else if (type->kind == EXPR_MAP) {
        first = expr_type_argument(type, 0);
        second = expr_type_argument(type, 1);
    } else if (type->kind != EXPR_DYN && type->kind != EXPR_VARIABLE && !is_unchecked(c)) {
        return check_refuse(c, range->from,
                            "\"%.*s\" is of type %.*s; only a list or a map has items",
                            STR_ARG(node_text(c, range)), STR_ARG(check_type_text(c, type)));
    }
    node->variables[0]->type = first;
    if (node->variable_count == 2)
        node->variables[1]->type = second;
    return true;
}

static bool check_loop(struct checker *c, struct node *node)
{
    struct node *range = node->arguments[0], *body = node->arguments[1];
    struct node *filter = node->count > 2 ? node->arguments[2] : NULL;
    if (!check_node(c, range) || !check_steady(c, range, "") || !loop_types(c, node))
        return false;
    uint32_t before = c->variable_count;
    for (uint32_t i = 0; i < node->variable_count; i++)
        if (!check_push(c, node->variables[i], node->at))
            return false;
    if ((filter != NULL && !check_node(c, filter)) || !check_node(c, body))
        return false;
    c->variable_count = before;
    enum loop_kind kind = (enum loop_kind)node->sign;
    const struct node *test = kind == LOOP_FILTER ? body : filter;
    if (test != NULL && test->is_timed && c->mode == EXPR_RULE)
        return check_refuse(
            c, test->from,
            "a list cannot be filtered by now; ask with all() or exists(), or give a "
            "function a window, as in count(\"Login\", \"3d\")");
    if (filter != NULL && !want_bool(c, filter, "a filter"))
        return false;
    const struct expr_type *held = body->type;
    switch (kind) {
    case LOOP_ALL:
    case LOOP_EXISTS:
    case LOOP_EXISTS_ONE:
        node->type = &expr_bool;
        return want_bool(c, body, "the test of each item");
    case LOOP_FILTER:
        node->type = is_unchecked(c) ? &expr_dyn : expr_list_of(c->work, node->variables[0]->type);
        return want_bool(c, body, "a filter");
    case LOOP_MAP: node->type = expr_list_of(c->work, held); break;
    case LOOP_TRANSFORM_MAP: {
        const struct expr_type *keys = node->variables[0]->type;
        node->type = expr_map_of(c->work, keys, held);
        break;
    }
    case LOOP_TRANSFORM_ENTRY:
        node->type = bounds_look(c->bounds, held);
        if (node->type->kind != EXPR_MAP && node->type->kind != EXPR_DYN && !is_unchecked(c))
            return check_refuse(c, body->from,
                                "transformMapEntry() needs a map of each item, not %.*s",
                                STR_ARG(check_type_text(c, held)));
        break;
    case LOOP_SORT_BY: node->type = range->type; break;
    }
    if (is_unchecked(c))
        node->type = &expr_dyn;
    return check_steady(c, body, "");
}

static bool check_bind(struct checker *c, struct node *node)
{
    struct node *init = node->arguments[0], *body = node->arguments[1];
    if (!check_node(c, init))
        return false;
    node->variables[0]->type = init->type;
    node->variables[0]->is_affine = init->is_affine;
    if (!check_push(c, node->variables[0], node->at) || !check_node(c, body))
        return false;
    c->variable_count--;
    node->type = body->type;
    node->is_affine = body->is_affine;
    return true;
}

static bool check_block(struct checker *c, struct node *node)
{
    uint32_t before = c->variable_count;
    for (uint32_t i = 0; i + 1 < node->count; i++) {
        struct node *init = node->arguments[i];
        if (!check_node(c, init) || !check_push(c, node->variables[i], init->from))
            return false;
        node->variables[i]->type = init->type;
        node->variables[i]->is_affine = init->is_affine;
    }
    struct node *body = node->arguments[node->count - 1];
    if (!check_node(c, body))
        return false;
    c->variable_count = before;
    node->type = body->type;
    node->is_affine = body->is_affine;
    return true;
}

static bool check_opt_map(struct checker *c, struct node *node)
{
    struct node *target = node->arguments[0], *body = node->arguments[1];
    if (!check_node(c, target) || !check_steady(c, target, ""))
        return false;
    const struct expr_type *held = bounds_new(c->bounds);
    if (!is_unchecked(c) &&
        !bounds_assign(c->bounds, expr_optional_of(c->work, held), target->type))
        return check_refuse(c, node->at, "expected an optional before %s(), found %.*s",
                            node->sign ? "optFlatMap" : "optMap",
                            STR_ARG(check_type_text(c, target->type)));
    node->variables[0]->type = is_unchecked(c) ? &expr_dyn : held;
    if (!check_push(c, node->variables[0], node->at) || !check_node(c, body) ||
        !check_steady(c, body, ""))
        return false;
    c->variable_count--;
    node->type = &expr_dyn;
    if (is_unchecked(c))
        return true;
    if (node->sign == 0) {
        node->type = expr_optional_of(c->work, body->type);
        return true;
    }
    node->type = expr_optional_of(c->work, bounds_new(c->bounds));
    if (!bounds_assign(c->bounds, node->type, body->type))
        return check_refuse(c, body->from, "optFlatMap() needs an optional, not %.*s",
                            STR_ARG(check_type_text(c, body->type)));
    return true;
}

static const struct expr_type *constant_type(const struct value *v)
{
    switch ((enum value_type)v->type) {
    case VALUE_NULL: return &expr_null;
    case VALUE_BOOL: return &expr_bool;
    case VALUE_INT: return &expr_int;
    case VALUE_UINT: return &expr_uint;
    case VALUE_DOUBLE: return &expr_double;
    case VALUE_TEXT: return &expr_text;
    case VALUE_BYTES: return &expr_bytes;
    case VALUE_TIME: return &expr_time;
    case VALUE_DURATION: return &expr_duration;
    case VALUE_TYPE: return &expr_type_type;
    case VALUE_LIST: return &expr_list_dyn;
    case VALUE_MAP: return &expr_map_dyn;
    case VALUE_NONE:
    case VALUE_ERROR: return &expr_dyn;
    }
    return &expr_dyn;
}

static bool check_kind(struct checker *c, struct node *node)
{
    uint32_t fields_used;
    bool is_done = false;
    switch ((enum node_kind)node->kind) {
    case NODE_CONST: node->type = constant_type(&node->constant); return true;
    case NODE_NAME:
    case NODE_SELECT:
        node->is_checked = false;
        if (!check_name(c, node, &is_done))
            return false;
        if (is_done)
            return true;
        node->is_checked = true;
        return check_select(c, node);
    case NODE_CALL: return check_call(c, node, NULL, 0, &fields_used);
    case NODE_INDEX: return check_index(c, node);
    case NODE_LIST: return check_list(c, node);
    case NODE_MAP: return check_map(c, node);
    case NODE_MAYBE: return check_maybe(c, node) != NULL;
    case NODE_LOOP: return check_loop(c, node);
    case NODE_BIND: return check_bind(c, node);
    case NODE_BLOCK: return check_block(c, node);
    case NODE_OPT_MAP: return check_opt_map(c, node);
    case NODE_NOT:
    case NODE_AND:
    case NODE_OR:
        if (!check_arguments(c, node))
            return false;
        node->type = &expr_bool;
        for (uint32_t i = 0; i < node->count; i++)
            if (!want_bool(c, node->arguments[i],
                           node->kind == NODE_NOT   ? "\"!\""
                           : node->kind == NODE_AND ? "\"&&\""
                                                    : "\"||\""))
                return false;
        return check_fold(c, node);
    case NODE_NEGATE: return check_arguments(c, node) && check_negate(c, node);
    case NODE_COMPARE:
        note_compared(node);
        return check_arguments(c, node) && check_compare(c, node);
    case NODE_IN: return check_arguments(c, node) && check_in(c, node);
    case NODE_SUM: return check_arguments(c, node) && check_sum(c, node);
    case NODE_CHOOSE: return check_arguments(c, node) && check_choose(c, node);
    case NODE_STRUCT:
    case NODE_SLOT:
    case NODE_LOCAL:
    case NODE_NOW:
    case NODE_HOST:
    case NODE_FUNCTION:
    case NODE_OPT_OR:
    case NODE_ERROR: break;
    }
    must(!"a node to be checked is as the parser made it");
    return false;
}

bool check_node(struct checker *c, struct node *node)
{
    if (node->is_checked)
        return true;
    node->is_checked = true;
    if (!check_kind(c, node))
        return false;
    must(node->type != NULL);
    for (uint32_t i = 0; i < node->count; i++)
        node->is_timed |= node->arguments[i]->is_timed;
    if (c->bounds->steps_left == 0)
        return check_refuse(c, node->at, "the types of this expression are too large to check");
    return true;
}

/* Compiling ------------------------------------------------------------------------------------- */

static const char *wanted_text(enum expr_wanted wanted)
{
    switch (wanted) {
    case EXPR_WANT_ANY: return "anything";
    case EXPR_WANT_BOOL: return "true or false";
    case EXPR_WANT_INT: return "an int";
    case EXPR_WANT_NUMBER: return "a number";
    case EXPR_WANT_TEXT: return "a string";
    case EXPR_WANT_TIME: return "a timestamp";
    case EXPR_WANT_DURATION: return "a duration";
    case EXPR_WANT_LIST: return "a list";
    }
    return "";
}

static bool is_wanted(const struct expr_type *type, enum expr_wanted wanted)
{
    if (type->kind == EXPR_DYN)
        return true;
    switch (wanted) {
    case EXPR_WANT_ANY: return true;
    case EXPR_WANT_BOOL: return type->kind == EXPR_BOOL;
    case EXPR_WANT_INT: return type->kind == EXPR_INT;
    case EXPR_WANT_NUMBER: return is_number(type);
    case EXPR_WANT_TEXT: return type->kind == EXPR_TEXT;
    case EXPR_WANT_TIME: return type->kind == EXPR_TIME;
    case EXPR_WANT_DURATION: return type->kind == EXPR_DURATION;
    case EXPR_WANT_LIST: return type->kind == EXPR_LIST;
    }
    return false;
}

static enum status compile(struct arena *plan, struct arena *work, struct str text,
                           const struct expr_scope *scope, struct expr_options options,
                           const struct expr **out, struct fault *f)
{
    struct node *root = NULL;
    enum status status = expr_parse(plan, text, &root, f);
    if (status != OK)
        return status;
    struct bounds bounds = {.plan = plan, .work = work, .steps_left = TYPE_STEPS_MAX};
    int64_t fold_cost = FOLD_COST_MAX;
    struct checker *c = arena_new(work, struct checker);
    *c = (struct checker){
        .plan = plan,
        .work = work,
        .text = text,
        .scope = scope,
        .fault = f,
        .mode = options.mode,
        .bounds = &bounds,
        .fold_cost = &fold_cost,
        .refuses_failures = options.refuses_failures,
    };
    if (!check_node(c, root) || !check_strays(c))
        return FIX_INPUT;
    const struct expr_type *type = bounds_final(&bounds, root->type);
    if (options.mode != EXPR_UNCHECKED && !is_wanted(type, options.wanted)) {
        expr_fault_at(f, text, root->from, "expected %s, but this is of type %.*s",
                      wanted_text(options.wanted), STR_ARG(expr_type_print(work, type)));
        return FIX_INPUT;
    }
    if (!check_steady(c, root, ""))
        return FIX_INPUT;
    *out = check_build(c, root, type);
    return *out ? OK : FIX_INPUT;
}

enum status expr_compile(struct arena *plan, struct str text, const struct expr_scope *scope,
                         struct expr_options options, const struct expr **out, struct fault *f)
{
    struct fault unread = {0};
    struct arena work;
    arena_init(&work, WORK_BLOCK_BYTES);
    enum status status =
        compile(plan, &work, arena_copy(plan, text), scope, options, out, f ? f : &unread);
    arena_fini(&work);
    return status;
}
