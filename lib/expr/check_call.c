/* check_call.c - what a call is: a function of the language, one of the host, or a slip.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/check_int.h"

#define BINDER_DEPTH_MAX 4 /* predicates inside predicates */

/* Functions ------------------------------------------------------------------------------------- */

/* Reads one type from a signature; *variables by letter. */
static const struct expr_type *read_type(struct checker *c, const char **at,
                                         const struct expr_type **variables)
{
    static const struct {
        const char *name;
        const struct expr_type *type;
    } plain[] = {
        {"dyn", &expr_dyn},           {"null", &expr_null},      {"bool", &expr_bool},
        {"int", &expr_int},           {"uint", &expr_uint},      {"double", &expr_double},
        {"string", &expr_text},       {"bytes", &expr_bytes},    {"timestamp", &expr_time},
        {"duration", &expr_duration}, {"type", &expr_type_type},
    };
    const char *from = *at;
    while ((**at >= 'a' && **at <= 'z') || (**at >= 'A' && **at <= 'Z'))
        ++*at;
    struct str name = {from, (size_t)(*at - from)};
    must(name.len > 0);
    if (name.len == 1) {
        const struct expr_type **variable = &variables[name.at[0] - 'A'];
        if (*variable == NULL)
            *variable = bounds_new(c->bounds);
        return *variable;
    }
    for (size_t i = 0; i < array_count(plain); i++)
        if (str_is(name, plain[i].name))
            return plain[i].type;
    must(**at == '(');
    const struct expr_type *arguments[2] = {&expr_dyn, &expr_dyn};
    for (uint32_t i = 0; **at != ')'; i++) {
        ++*at;
        while (**at == ' ')
            ++*at;
        arguments[i] = read_type(c, at, variables);
    }
    ++*at;
    if (str_is(name, "list"))
        return expr_list_of(c->work, arguments[0]);
    if (str_is(name, "map"))
        return expr_map_of(c->work, arguments[0], arguments[1]);
    must(str_is(name, "optional"));
    return expr_optional_of(c->work, arguments[0]);
}

/* How many arguments a signature has. */
static uint32_t signature_count(struct str signature)
{
    uint32_t count = signature.len > 0, depth = 0;
    for (size_t i = 0; i < signature.len; i++) {
        depth += signature.at[i] == '(';
        depth -= signature.at[i] == ')';
        count += signature.at[i] == ',' && depth == 0;
    }
    return count;
}

static bool is_variadic(const struct function *f)
{
    return str_is(f->public.arguments, "number, ...");
}

/* Numbers, as many as there are, or one list of them: the type they share, or dyn. */
static const struct expr_type *fit_numbers(struct checker *c, struct node *const *arguments,
                                           uint32_t count)
{
    const struct expr_type *shared = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct expr_type *type = bounds_look(c->bounds, arguments[i]->type);
        if (count == 1 && type->kind == EXPR_LIST)
            type = bounds_look(c->bounds, expr_type_argument(type, 0));
        if (type->kind != EXPR_INT && type->kind != EXPR_UINT && type->kind != EXPR_DOUBLE &&
            type->kind != EXPR_DYN && type->kind != EXPR_VARIABLE)
            return NULL;
        if (shared == NULL)
            shared = type;
        else if (shared->kind != type->kind)
            shared = &expr_dyn;
    }
    return shared;
}

/* Do the arguments fit the signature? If so, its result. */
static const struct expr_type *fit(struct checker *c, const struct function *f,
                                   struct node *const *arguments, uint32_t count)
{
    const struct expr_type *variables[26] = {0};
    if (is_variadic(f))
        return fit_numbers(c, arguments, count);
    if (signature_count(f->public.arguments) != count)
        return NULL;
    const char *at = f->public.arguments.at;
    for (uint32_t i = 0; i < count; i++) {
        const struct expr_type *wanted = read_type(c, &at, variables);
        if (!bounds_assign(c->bounds, wanted, arguments[i]->type))
            return NULL;
        while (*at == ',' || *at == ' ')
            at++;
    }
    at = f->public.result.at;
    return read_type(c, &at, variables);
}

const struct expr_type *check_resolve(struct checker *c, struct str name, bool is_method,
                                      struct node *const *arguments, uint32_t count,
                                      uint32_t *function)
{
    const struct expr_type *result = NULL;
    for (uint32_t i = 0; i < function_count; i++) {
        const struct function *f = &function_table[i];
        if (f->public.is_method != is_method || !str_equal(f->public.name, name) ||
            f->kind == FUNCTION_MACRO)
            continue;
        if (is_unchecked(c)) {
            if (is_variadic(f) ? count == 0 : signature_count(f->public.arguments) != count)
                continue;
            *function = i;
            return &expr_dyn;
        }
        struct bounds_mark mark = bounds_mark(c->bounds);
        const struct expr_type *fits = fit(c, f, arguments, count);
        if (fits == NULL) {
            bounds_back(c->bounds, mark);
            continue;
        }
        if (result == NULL) {
            result = fits;
            *function = i;
        } else if (result != &expr_dyn) {
            const struct expr_type *a = bounds_look(c->bounds, result);
            const struct expr_type *b = bounds_look(c->bounds, fits);
            if (a->kind != b->kind)
                result = &expr_dyn;
            bounds_back(c->bounds, mark);
        } else {
            bounds_back(c->bounds, mark);
        }
    }
    return result;
}

static bool is_function_name(struct str name, bool is_method)
{
    for (uint32_t i = 0; i < function_count; i++)
        if (function_table[i].public.is_method == is_method && function_table[i].code != NULL &&
            str_equal(function_table[i].public.name, name))
            return true;
    return false;
}

static struct str types_text(struct checker *c, struct node *const *arguments, uint32_t count)
{
    struct str all = STR("");
    for (uint32_t i = 0; i < count; i++)
        all = arena_printf(c->work, "%.*s%s%.*s", STR_ARG(all), i ? ", " : "",
                           STR_ARG(check_type_text(c, arguments[i]->type)));
    return all;
}

/* Says which overloads there are. */
static bool refuse_overload(struct checker *c, struct node *node, struct str name, bool is_method)
{
    struct str known = STR("");
    for (uint32_t i = 0; i < function_count && known.len < 200; i++) {
        const struct expr_function *f = &function_table[i].public;
        if (f->is_method == is_method && str_equal(f->name, name))
            known = arena_printf(c->work, "%.*s%s(%.*s)", STR_ARG(known), known.len ? " or " : "",
                                 STR_ARG(f->arguments));
    }
    return check_refuse(c, node->at, "%s%.*s() does not take (%.*s); it takes %.*s",
                        is_method ? "." : "", STR_ARG(name),
                        STR_ARG(types_text(c, node->arguments, node->count)), STR_ARG(known));
}

static bool refuse_affine_call(struct checker *c, const struct node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (!check_steady(c, node->arguments[i],
                          "a function of the host knows the time without it"))
            return false;
    return true;
}

/* A function of the language, its arguments checked. */
static bool check_standard(struct checker *c, struct node *node, struct str name, bool is_method)
{
    uint32_t function = 0;
    const struct expr_type *result =
        check_resolve(c, name, is_method, node->arguments, node->count, &function);
    if (result == NULL) {
        if (is_unchecked(c)) {
            check_become_error(c, node, STR("no such overload"));
            return true;
        }
        return refuse_overload(c, node, name, is_method);
    }
    const struct function *f = &function_table[function];
    for (uint32_t i = 0; i < node->count; i++) {
        if (i == 0 && f->kind == FUNCTION_GETTER)
            continue;
        const char *hint = str_is(name, "string") || str_is(name, "format")
                               ? "a text of it would be out of date at once"
                           : str_is(name, "int") || str_is(name, "double")
                               ? "compare times, not numbers: now > timestamp(...)"
                               : "";
        if (!check_steady(c, node->arguments[i], hint))
            return false;
    }
    if (f->kind == FUNCTION_GETTER && node->count == 2 && node->arguments[1]->kind == NODE_CONST &&
        node->arguments[1]->constant.type == VALUE_TEXT && !is_unchecked(c)) {
        struct str zone = node->arguments[1]->constant.text;
        int64_t offset_ms;
        if (!zone_fixed(zone, &offset_ms) && c->scope->zone_is_known != NULL &&
            !c->scope->zone_is_known(c->scope->self, zone))
            return check_refuse(c, node->arguments[1]->from, "unknown time zone \"%.*s\"",
                                STR_ARG(zone));
    }
    node->kind = NODE_FUNCTION;
    node->number = function;
    node->type = result;
    /* A folded call of a getter would need a zone of the host. */
    return f->kind == FUNCTION_GETTER && node->count == 2 ? true : check_fold(c, node);
}

/* Compiles a body of a binder, or a part of one, into a program of its own; NULL with the fault. */
static const struct expr *check_part(struct checker *c, struct node *node,
                                     const struct binder_use *use, struct variable *variable,
                                     bool is_value)
{
    struct checker *inner = arena_new(c->work, struct checker);
    *inner = (struct checker){
        .plan = c->plan,
        .work = c->work,
        .text = c->text,
        .scope = c->scope,
        .fault = c->fault,
        .mode = c->mode,
        .bounds = c->bounds,
        .fold_cost = c->fold_cost,
        .refuses_failures = c->refuses_failures,
        .item = use,
        .binder_depth = c->binder_depth + 1,
    };
    memcpy(inner->variables, c->variables, c->variable_count * sizeof(c->variables[0]));
    inner->variable_count = inner->variable_base = c->variable_count;
    if (!check_push(inner, variable, node->from) || !check_node(inner, node) ||
        !check_strays(inner))
        return NULL;
    const struct expr_type *type = bounds_final(c->bounds, node->type);
    if (!is_value && type->kind != EXPR_BOOL && type->kind != EXPR_DYN) {
        check_refuse(c, node->from, "a predicate is true or false; \"%.*s\" is of type %.*s",
                     STR_ARG(node_text(c, node)), STR_ARG(check_type_text(c, type)));
        return NULL;
    }
    if (inner->is_timed && c->mode == EXPR_RULE) {
        check_refuse(c, node->from,
                     "past events cannot be filtered by now; give the function a window instead, "
                     "as in count(\"Login\", \"3d\")");
        return NULL;
    }
    struct expr *expr = check_build(inner, node, is_value ? type : &expr_bool);
    if (expr == NULL)
        return NULL;
    c->is_timed |= inner->is_timed;
    for (uint32_t i = 0; i < expr->read_slot_count; i++)
        check_note(c, &c->read_slots, expr->read_slots[i]);
    for (uint32_t i = 0; i < expr->read_binding_count; i++)
        check_note(c, &c->read_bindings, expr->read_bindings[i]);
    return expr;
}

/* Compiles a body of a binder: a chain of && member by member. */
static bool check_body(struct checker *c, struct node *node, const struct binder_use *use,
                       struct variable *variable, bool is_value, struct expr_argument *out)
{
    if (c->binder_depth == BINDER_DEPTH_MAX)
        return check_refuse(c, node->from, "predicates are nested more than %d deep",
                            BINDER_DEPTH_MAX);
    bool is_chain = !is_value && node->kind == NODE_AND;
    uint32_t count = is_chain ? node->count : 1;
    const struct expr **parts = arena_array(c->plan, const struct expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = check_part(c, is_chain ? node->arguments[i] : node, use, variable, is_value);
        if (parts[i] == NULL)
            return false;
    }
    out->type = is_value ? expr_type_of(parts[0]) : &expr_bool;
    out->parts = parts;
    out->part_count = count;
    return true;
}

bool check_strays(struct checker *c)
{
    if (c->stray_count == 0)
        return true;
    return check_refuse(c, c->stray->at,
                        "%.*s() has no value of its own; write it into the list of "
                        "a function that takes it",
                        STR_ARG(c->stray->name));
}

/* The items of a list that is written out, if calls of part functions are among them: they are taken. */
static void describe_items(struct checker *c, const struct node *list, struct expr_argument *out)
{
    uint32_t parts = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct node *n = list->arguments[i];
        bool is_part = n->kind == NODE_HOST && n->is_part;
        if (!is_part && n->kind != NODE_CONST)
            return;
        parts += is_part;
    }
    if (parts == 0)
        return;
    struct expr_item *items = arena_array(c->work, struct expr_item, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        struct node *n = list->arguments[i];
        n->is_part = false;
        items[i] = (struct expr_item){.from = n->from, .to = n->to};
        items[i].is_constant = n->kind == NODE_CONST;
        if (items[i].is_constant)
            items[i].value = n->constant;
        else
            items[i].binding = c->bindings.at[n->number];
    }
    must(c->stray_count >= parts);
    c->stray_count -= parts;
    out->items = items;
    out->item_count = list->count;
}

static void describe_arguments(const struct checker *c, struct node *node,
                               struct expr_argument *arguments)
{
    for (uint32_t i = 0; i < node->count; i++) {
        const struct node *n = node->arguments[i];
        struct expr_argument *a = &arguments[i];
        a->from = n->from;
        a->to = n->to;
        a->is_constant = n->kind == NODE_CONST;
        a->is_name = n->kind == NODE_NAME && !n->is_absolute;
        a->is_condition = n->kind == NODE_COMPARE || n->kind == NODE_AND || n->kind == NODE_OR ||
                          n->kind == NODE_NOT || n->kind == NODE_IN;
        const struct node *root = n;
        while (root->kind == NODE_SELECT && !root->is_checked)
            root = root->arguments[0];
        a->root = root != n && root->kind == NODE_NAME && !root->is_absolute ? root->name
                                                                             : (struct str){0};
        if (a->is_constant)
            a->value = n->constant;
        a->is_slot = n->kind == NODE_SLOT && !n->is_test;
        if (a->is_slot)
            a->slot = c->slots[n->number].slot;
        if (a->type == NULL)
            a->type = &expr_dyn;
    }
}

/* Is argument i the variable of the binder or one of its bodies? */
static bool is_bound(const struct expr_binder *binder, uint32_t i)
{
    if (binder == NULL)
        return false;
    for (uint32_t k = 0; k < binder->body_count; k++)
        if (binder->bodies[k].argument == i)
            return true;
    return binder->variable == i;
}

/* A function that only the host knows. *is_known says whether it does. */
static bool check_host_call(struct checker *c, struct node *node, struct str name, bool is_method,
                            const struct str *fields, uint32_t field_count, uint32_t *fields_used,
                            bool *is_known)
{
    *is_known = false;
    if (c->scope->function == NULL)
        return true;
    struct expr_argument *arguments = arena_array(c->work, struct expr_argument, node->count + 1);
    describe_arguments(c, node, arguments);
    struct binder_use *use = arena_new(c->work, struct binder_use);
    use->call = (struct expr_call){
        .name = name,
        .is_method = is_method,
        .arguments = arguments,
        .count = node->count,
        .fields = fields,
        .field_count = field_count,
        .compared = field_count == 0 ? node->compared : NULL,
    };
    struct fault host_fault = {0};
    const struct expr_binder *binder = NULL;
    if (c->scope->binder != NULL) {
        enum expr_found found =
            c->scope->binder(c->scope->self, &use->call, &use->binder, &host_fault);
        if (found == EXPR_REFUSED)
            return check_refuse(c, node->at, "%s", host_fault.text);
        if (found == EXPR_FOUND)
            binder = &use->binder;
    }
    for (uint32_t i = 0; i < node->count; i++) {
        if (is_bound(binder, i))
            continue;
        if (!check_node(c, node->arguments[i]))
            return false;
        if (!check_steady(c, node->arguments[i], "the function knows the time without it"))
            return false;
        arguments[i].type = bounds_final(c->bounds, node->arguments[i]->type);
    }
    describe_arguments(c, node, arguments);
    for (uint32_t i = 0; i < node->count; i++)
        if (!is_bound(binder, i) && node->arguments[i]->kind == NODE_LIST)
            describe_items(c, node->arguments[i], &arguments[i]);
    if (binder != NULL) {
        must(binder->variable < node->count && binder->body_count <= EXPR_BODIES_MAX);
        const struct node *named = node->arguments[binder->variable];
        if (named->kind != NODE_NAME || named->is_absolute)
            return check_refuse(c, named->from, "expected a simple name for the past event");
        struct variable *item = arena_new(c->work, struct variable);
        item->name = named->name;
        item->is_item = true;
        item->type = &expr_dyn;
        arguments[binder->variable].variable = named->name;
        for (uint32_t i = 0; i < binder->body_count; i++) {
            uint32_t body = binder->bodies[i].argument;
            must(body < node->count && body != binder->variable);
            if (!check_body(c, node->arguments[body], use, item, binder->bodies[i].is_value,
                            &arguments[body]))
                return false;
        }
    }
    struct expr_binding binding = {0};
    enum expr_found found = c->scope->function(c->scope->self, &use->call, &binding, &host_fault);
    if (found == EXPR_UNKNOWN)
        return true;
    if (found == EXPR_REFUSED)
        return check_refuse(c, node->at, "%s",
                            host_fault.text[0] ? host_fault.text
                                               : "this call is not possible here");
    must(binding.fields <= field_count);
    *is_known = true;
    *fields_used = binding.fields;
    /* What is passed at run time: neither constants, nor what the binder binds, nor lists of parts. */
    uint32_t passed = 0;
    for (uint32_t i = 0; i < node->count; i++)
        if (!is_bound(binder, i) && node->arguments[i]->kind != NODE_CONST &&
            arguments[i].items == NULL)
            node->arguments[passed++] = node->arguments[i];
    node->count = passed;
    node->kind = NODE_HOST;
    node->is_part = binding.is_part;
    if (binding.is_part) {
        if (c->stray == NULL || !c->stray->is_part)
            c->stray = node;
        c->stray_count++;
    }
    check_note(c, &c->read_bindings, binding.binding);
    node->number = check_binding(c, binding.binding);
    node->as_number = binding.has_number ? binding.number + 1 : 0;
    node->type = binding.type && !is_unchecked(c) ? binding.type : &expr_dyn;
    return true;
}

/* The dotted name of math.abs, if the target is a plain chain of names; else an empty str. */
static struct str dotted_name(struct checker *c, struct node *target, struct str name)
{
    struct chain chain;
    check_chain(&chain, target);
    if (chain.root->kind != NODE_NAME || chain.root->is_checked || target->is_test ||
        check_find_variable(c, chain.root->name) != NULL)
        return (struct str){0};
    return arena_printf(c->plan, "%.*s.%.*s", STR_ARG(check_join(c, chain.parts, chain.count)),
                        STR_ARG(name));
}

/* Drops the target of a call that turned out to be a dotted name. */
static void drop_target(struct node *node)
{
    node->arguments++;
    node->count--;
    node->is_method = false;
}

static bool check_opt_or(struct checker *c, struct node *node, bool is_value)
{
    if (!check_arguments(c, node) || !refuse_affine_call(c, node))
        return false;
    const struct expr_type *held = bounds_new(c->bounds);
    const struct expr_type *optional = expr_optional_of(c->work, held);
    const struct node *target = node->arguments[0], *other = node->arguments[1];
    if (!is_unchecked(c) && (!bounds_assign(c->bounds, optional, target->type) ||
                             !bounds_assign(c->bounds, is_value ? held : optional, other->type)))
        return check_refuse(c, node->at, ".%s() does not take (%.*s); it takes (optional(A), %s)",
                            is_value ? "orValue" : "or", STR_ARG(types_text(c, node->arguments, 2)),
                            is_value ? "A" : "optional(A)");
    node->kind = NODE_OPT_OR;
    node->sign = is_value;
    node->type = is_unchecked(c) ? &expr_dyn : is_value ? held : optional;
    return true;
}

/* Macros that the parser did not take for one, and functions of a room that does not exist. */
static bool refuse_misspelt(struct checker *c, struct node *node, struct str name)
{
    for (uint32_t i = 0; i < function_count; i++) {
        const struct expr_function *f = &function_table[i].public;
        if (function_table[i].kind == FUNCTION_MACRO && str_equal(f->name, name))
            return check_refuse(c, node->at, "%.*s() takes (%.*s), as in %.*s", STR_ARG(name),
                                STR_ARG(f->arguments), STR_ARG(f->example));
    }
    size_t dot = str_find(name, STR("."), 0);
    for (uint32_t i = 0; i < function_count && dot != SIZE_MAX; i++) {
        struct str known = function_table[i].public.name;
        if (str_starts(known, str_part(name, 0, dot + 1))) {
            struct str hint = check_suggestion(c, EXPR_NAME_FUNCTION, name, false);
            return check_refuse(c, node->from, "unknown function \"%.*s\"%.*s", STR_ARG(name),
                                STR_ARG(hint));
        }
    }
    return true;
}

bool check_call(struct checker *c, struct node *node, const struct str *fields,
                uint32_t field_count, uint32_t *fields_used)
{
    struct str name = node->name;
    bool is_known = false;
    *fields_used = 0;
    node->is_checked = true;
    bool is_value = str_is(name, "orValue");
    if (node->is_method && (is_value || str_is(name, "or")) && node->count == 2)
        return check_opt_or(c, node, is_value);
    if (!is_unchecked(c) && !refuse_misspelt(c, node, name))
        return false;
    if (node->is_method) {
        struct str dotted = dotted_name(c, node->arguments[0], name);
        if (dotted.len) {
            if (is_function_name(dotted, false)) {
                drop_target(node);
                if (!check_arguments(c, node))
                    return false;
                return check_standard(c, node, dotted, false);
            }
            struct node **arguments = node->arguments;
            struct node *target = node->arguments[0];
            drop_target(node);
            if (!check_host_call(c, node, dotted, false, fields, field_count, fields_used,
                                 &is_known))
                return false;
            if (is_known)
                return true;
            node->arguments = arguments;
            node->arguments[0] = target;
            node->count++;
            node->is_method = true;
            if (!is_unchecked(c) && !refuse_misspelt(c, node, dotted))
                return false;
        }
    }
    if (is_function_name(name, node->is_method)) {
        if (!check_arguments(c, node))
            return false;
        return check_standard(c, node, name, node->is_method);
    }
    if (!check_host_call(c, node, name, node->is_method, fields, field_count, fields_used,
                         &is_known))
        return false;
    if (is_known)
        return true;
    if (is_unchecked(c)) {
        check_become_error(c, node, arena_printf(c->work, "unbound function: %.*s", STR_ARG(name)));
        return true;
    }
    if (node->is_method) {
        if (!check_node(c, node->arguments[0]))
            return false;
        if (is_function_name(name, false) || check_knows_function(c, name))
            return check_refuse(c, node->at, "%.*s() is called without a dot: %.*s(%.*s)",
                                STR_ARG(name), STR_ARG(name),
                                STR_ARG(node_text(c, node->arguments[0])));
    } else if (is_function_name(name, true)) {
        return check_refuse(c, node->at, "%.*s() is called with a dot: text.%.*s(...)",
                            STR_ARG(name), STR_ARG(name));
    }
    const char *advice = slip_advice(SLIP_FUNCTION, name);
    if (advice != NULL)
        return check_refuse(c, node->at, "unknown function \"%.*s\"; %s", STR_ARG(name), advice);
    struct str hint = check_suggestion(c, EXPR_NAME_FUNCTION, name, node->is_method);
    return check_refuse(c, node->at, "unknown function \"%.*s\"%.*s", STR_ARG(name), STR_ARG(hint));
}
