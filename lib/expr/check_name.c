/* check_name.c - what a name is: a variable of the expression, an attribute of the host, a type.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/check_int.h"

#define NAMES_MAX 4096 /* looked through for a suggestion */

/* Suggestions ------------------------------------------------------------------------------------- */

struct str check_suggestion(struct checker *c, enum expr_name_kind kind, struct str wanted,
                            bool is_method)
{
    struct str *names = arena_array(c->work, struct str, NAMES_MAX);
    const struct expr_type **types = arena_array(c->work, const struct expr_type *, NAMES_MAX);
    uint32_t count = 0;
    if (c->scope->name != NULL)
        while (count < NAMES_MAX &&
               c->scope->name(c->scope->self, kind, count, &names[count], &types[count]))
            count++;
    if (kind == EXPR_NAME_FUNCTION) {
        for (uint32_t i = 0; i < function_count && count < NAMES_MAX; i++)
            if (function_table[i].public.is_method == is_method &&
                function_table[i].kind != FUNCTION_OPERATOR)
                names[count++] = function_table[i].public.name;
    } else {
        for (uint32_t i = c->variable_base; i < c->variable_count && count < NAMES_MAX; i++) {
            if (c->variables[i]->is_item)
                continue;
            types[count] = c->variables[i]->type;
            names[count++] = c->variables[i]->name;
        }
        if (count == NAMES_MAX)
            count--;
        types[count] = &expr_time;
        names[count++] = STR("now");
    }
    struct str best = str_nearest(wanted, names, count);
    if (best.len == 0)
        return (struct str){"", 0};
    for (uint32_t i = 0; i < count; i++)
        if (str_equal(names[i], best) && types[i] != NULL)
            return arena_printf(c->work, "; did you mean \"%.*s\" (%.*s)?", STR_ARG(best),
                                STR_ARG(check_type_text(c, types[i])));
    return arena_printf(c->work, "; did you mean \"%.*s\"?", STR_ARG(best));
}

bool check_knows_function(struct checker *c, struct str wanted)
{
    struct str name;
    const struct expr_type *type;
    if (c->scope->name != NULL)
        for (uint32_t i = 0;
             i < NAMES_MAX && c->scope->name(c->scope->self, EXPR_NAME_FUNCTION, i, &name, &type);
             i++)
            if (str_equal(name, wanted))
                return true;
    for (uint32_t i = 0; i < function_count; i++)
        if (!function_table[i].public.is_method && str_equal(function_table[i].public.name, wanted))
            return true;
    return false;
}

/* Names ----------------------------------------------------------------------------------------- */

struct variable *check_find_variable(struct checker *c, struct str name)
{
    for (uint32_t i = c->variable_count; i > c->variable_base; i--)
        if (str_equal(c->variables[i - 1]->name, name))
            return c->variables[i - 1];
    return NULL;
}

bool check_push(struct checker *c, struct variable *variable, uint32_t at)
{
    if (c->variable_count == array_count(c->variables))
        return check_refuse(c, at, "more than %zu names are in use at once",
                            array_count(c->variables));
    c->variables[c->variable_count++] = variable;
    return true;
}

struct str check_join(struct checker *c, const struct str *parts, uint32_t count)
{
    struct str all = parts[0];
    for (uint32_t i = 1; i < count; i++)
        all = arena_printf(c->work, "%.*s.%.*s", STR_ARG(all), STR_ARG(parts[i]));
    return all;
}

static uint32_t use_slot(struct checker *c, uint32_t slot, uint32_t number, struct str name)
{
    for (uint32_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].slot == slot)
            return i;
    if (c->slot_count == c->slot_room) {
        uint32_t room = c->slot_room ? c->slot_room * 2 : 8;
        struct expr_slot_use *slots = arena_array(c->work, struct expr_slot_use, room);
        if (c->slot_count)
            memcpy(slots, c->slots, c->slot_count * sizeof(*slots));
        c->slots = slots;
        c->slot_room = room;
    }
    c->slots[c->slot_count] = (struct expr_slot_use){
        slot, number, value_error(arena_printf(c->plan, "no such attribute: %.*s", STR_ARG(name)))};
    return c->slot_count++;
}

uint32_t check_binding(struct checker *c, uint32_t binding)
{
    check_note(c, &c->bindings, binding);
    uint32_t i = 0;
    while (c->bindings.at[i] != binding)
        i++;
    return i;
}

void check_want_number(struct checker *c, struct node *node)
{
    if (node->kind == NODE_HOST && node->as_number && !node->is_test)
        node->number = check_binding(c, node->as_number - 1);
    if (node->kind != NODE_SLOT || node->is_test || node->type->kind != EXPR_DYN)
        return;
    struct expr_slot_use use = c->slots[node->number];
    if (use.number == use.slot)
        return;
    for (uint32_t i = 0; i < c->slot_count; i++) {
        if (c->slots[i].slot == use.number) {
            node->number = i;
            return;
        }
    }
    node->number = use_slot(c, use.number, use.number, STR(""));
    c->slots[node->number].absent = use.absent;
}

static const struct {
    const char *name;
    const char *value;
} type_names[] = {
    {"bool", "bool"},
    {"int", "int"},
    {"uint", "uint"},
    {"double", "double"},
    {"string", "string"},
    {"bytes", "bytes"},
    {"list", "list"},
    {"map", "map"},
    {"null_type", "null_type"},
    {"type", "type"},
    {"optional_type", "optional_type"},
    {"google.protobuf.Timestamp", "google.protobuf.Timestamp"},
    {"google.protobuf.Duration", "google.protobuf.Duration"},
};

static void become_constant(struct node *node, struct value value, const struct expr_type *type)
{
    node->kind = NODE_CONST;
    node->constant = value;
    node->type = type;
    node->count = 0;
    node->is_checked = true;
}

void check_become_error(struct checker *c, struct node *node, struct str text)
{
    node->kind = NODE_ERROR;
    node->constant = value_error(arena_copy(c->plan, text));
    node->type = &expr_dyn;
    node->count = 0;
    node->is_checked = true;
}

void check_chain(struct chain *chain, struct node *node)
{
    uint32_t length = 1;
    struct node *root = node;
    while (root->kind == NODE_SELECT && !root->is_checked && !root->is_optional &&
           (root == node || !root->is_test)) {
        root = root->arguments[0];
        length++;
    }
    chain->root = root;
    chain->count = length;
    for (uint32_t i = length; i > 0; i--) {
        chain->nodes[i - 1] = node;
        chain->parts[i - 1] = node->name;
        if (i > 1)
            node = node->arguments[0];
    }
}

/* Resolves the names of a chain, as far as they reach; the node they reach becomes their slot.
 * Returns how many parts it took, 0 if none, -1 after a refusal. */
static int resolve_path(struct checker *c, struct chain *chain, uint32_t skip,
                        const struct binder_use *item)
{
    struct expr_path path = {
        .parts = chain->parts + skip,
        .count = min_of(chain->count - skip, (uint32_t)EXPR_PARTS_MAX),
        .is_absolute = chain->root->is_absolute,
    };
    struct expr_slot slot = {.parts = path.count};
    enum expr_found found = EXPR_UNKNOWN;
    struct fault host_fault = {0};
    if (item != NULL && item->binder.item != NULL)
        found = item->binder.item(c->scope->self, &item->call, &path, &slot, &host_fault);
    else if (item == NULL && c->scope->path != NULL)
        found = c->scope->path(c->scope->self, &path, &slot, &host_fault);
    if (found == EXPR_UNKNOWN)
        return 0;
    if (found == EXPR_REFUSED) {
        check_refuse(c, chain->root->from, "%s",
                     host_fault.text[0] ? host_fault.text : "this name cannot be used here");
        return -1;
    }
    must(slot.parts <= path.count);
    must(slot.parts + skip >= 1);
    uint32_t taken = slot.parts + skip;
    struct node *node = chain->nodes[taken - 1];
    struct str name = check_join(c, chain->parts, taken);
    bool is_test = node->is_test;
    node->kind = NODE_SLOT;
    node->number = use_slot(c, slot.slot, slot.has_number ? slot.number : slot.slot, name);
    check_note(c, &c->read_slots, slot.slot);
    node->type = is_test ? &expr_bool : slot.type && !is_unchecked(c) ? slot.type : &expr_dyn;
    node->count = 0;
    if (!is_test)
        node->from = chain->root->from;
    node->is_checked = true;
    return (int)taken;
}

bool check_name(struct checker *c, struct node *node, bool *is_done)
{
    struct chain chain;
    check_chain(&chain, node);
    struct node *root = chain.root;
    *is_done = true;
    if (root->kind == NODE_CALL && !root->is_checked && chain.count > 1) {
        /* f(...).a.b: a host's function may take the fields too. */
        uint32_t used = 0;
        if (!check_call(c, root, chain.parts + 1, chain.count - 1, &used))
            return false;
        if (used > 0) {
            struct node *reached = chain.nodes[used];
            bool is_test = reached->is_test;
            struct node copy = *root;
            copy.to = reached->to;
            copy.depth = reached->depth;
            if (reached->is_test)
                copy.from = reached->from; /* has(...) */
            *reached = copy;
            reached->is_test = is_test;
            if (is_test)
                reached->type = &expr_bool;
        }
        *is_done = node->is_checked;
        return true;
    }
    if (root->kind != NODE_NAME || root->is_checked) {
        *is_done = node->is_checked;
        return true;
    }
    struct variable *variable = root->is_absolute ? NULL : check_find_variable(c, root->name);
    if (variable != NULL && !variable->is_item) {
        root->kind = NODE_LOCAL;
        root->variables = arena_array(c->plan, struct variable *, 1);
        root->variables[0] = variable;
        root->type = variable->type;
        root->is_affine = variable->is_affine;
        root->is_timed = variable->is_affine;
        root->is_checked = true;
        *is_done = node->is_checked;
        return true;
    }
    if (!root->is_absolute && str_is(root->name, "now") && !is_unchecked(c) && variable == NULL) {
        root->kind = NODE_NOW;
        root->type = &expr_time;
        root->is_affine = c->mode == EXPR_RULE;
        root->is_timed = true;
        root->is_checked = true;
        c->is_timed = true;
        *is_done = node->is_checked;
        return true;
    }
    int taken = resolve_path(c, &chain, variable ? 1 : 0, variable ? c->item : NULL);
    if (taken < 0)
        return false;
    if (taken > 0) {
        *is_done = node->is_checked;
        return true;
    }
    for (size_t i = 0; i < array_count(type_names) && variable == NULL; i++) {
        struct str name = str_of(type_names[i].name);
        uint32_t parts = 1;
        for (size_t k = 0; k < name.len; k++)
            parts += name.at[k] == '.';
        if (parts <= chain.count && str_equal(check_join(c, chain.parts, parts), name)) {
            struct node *reached = chain.nodes[parts - 1];
            become_constant(reached, value_type_of(str_of(type_names[i].value)), &expr_type_type);
            *is_done = node->is_checked;
            return true;
        }
    }
    struct str name = check_join(c, chain.parts, chain.count);
    if (is_unchecked(c)) {
        check_become_error(
            c, root, arena_printf(c->work, "undeclared reference to '%.*s'", STR_ARG(root->name)));
        *is_done = node->is_checked;
        return true;
    }
    if (c->binder_depth > 0)
        for (uint32_t i = 0; i < c->variable_base; i++)
            if (str_equal(c->variables[i]->name, root->name))
                return check_refuse(
                    c, root->from,
                    "\"%.*s\" belongs to the expression around and cannot be used in "
                    "the predicate of a past event",
                    STR_ARG(root->name));
    if (chain.count == 1 && check_knows_function(c, name))
        return check_refuse(c, root->from, "\"%.*s\" is a function; write %.*s(...)", STR_ARG(name),
                            STR_ARG(name));
    const char *advice = slip_advice(SLIP_NAME, name);
    if (advice != NULL)
        return check_refuse(c, root->from, "unknown name \"%.*s\"; %s", STR_ARG(name), advice);
    struct str hint = check_suggestion(c, EXPR_NAME_PATH, name, false);
    if (hint.len == 0 && chain.count == 1)
        return check_refuse(c, root->from,
                            "unknown name \"%.*s\"; if it is a text, write it in quotes",
                            STR_ARG(name));
    if (hint.len == 0 && chain.count > 1)
        hint = check_suggestion(c, EXPR_NAME_PATH, root->name, false);
    return check_refuse(c, root->from, "unknown name \"%.*s\"%.*s", STR_ARG(name), STR_ARG(hint));
}
