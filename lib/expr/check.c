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

#include "expr/expr_int.h"

#define FOLD_COST_MAX    200000  /* of all folding in one compilation */
#define TYPE_STEPS_MAX   2000000 /* of unification in one compilation */
#define NAMES_MAX        4096    /* names looked through for a suggestion */
#define WORK_BLOCK_BYTES 16384
#define BINDER_DEPTH_MAX 4

struct binder_use {
    struct expr_binder binder;
    struct expr_call call;
};

/* Numbers, each once, in order. */
struct numbers {
    uint32_t *at;
    uint32_t count;
    uint32_t room;
};

struct checker {
    struct arena *plan; /* what the program keeps */
    struct arena *work; /* forgotten once it is compiled */
    struct str text;
    const struct expr_scope *scope;
    struct fault *fault;
    enum expr_mode mode;
    struct bounds *bounds;
    int64_t *fold_cost;

    /* variables in sight, innermost last */
    struct variable *variables[EXPR_DEPTH_MAX * 4];
    uint32_t variable_count;
    uint32_t variable_base; /* a predicate does not see those before */

    struct expr_slot_use *slots;
    uint32_t slot_count, slot_room;
    struct numbers bindings;
    struct numbers read_slots, read_bindings; /* the host's numbers */
    const struct binder_use *item;            /* inside a predicate */
    uint32_t binder_depth;
    bool is_timed;
};

static bool check(struct checker *c, struct node *node);
static bool check_call(struct checker *c, struct node *node, const struct str *fields,
                       uint32_t field_count, uint32_t *fields_used);

/* Notes what is wrong at byte `at`. */
static bool refuse(struct checker *c, uint32_t at, const char *format, ...) printf_like(3, 4);
static bool refuse(struct checker *c, uint32_t at, const char *format, ...)
{
    char sentence[FAULT_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    expr_fault_at(c->fault, c->text, at, "%s", sentence);
    return false;
}

static struct str text_of(const struct checker *c, const struct node *node)
{
    return str_part(c->text, node->from, node->to - node->from);
}

/* At most 60 bytes of a node's text, for messages. */
#define TEXT_ARG(c, node) (int)min_of(text_of(c, node).len, (size_t)60), text_of(c, node).at

static struct str type_text(struct checker *c, const struct expr_type *type)
{
    return expr_type_print(c->work, bounds_final(c->bounds, type));
}

static bool is_unchecked(const struct checker *c)
{
    return c->mode == EXPR_UNCHECKED;
}

static void numbers_add(struct checker *c, struct numbers *list, uint32_t number)
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

/* Suggestions ------------------------------------------------------------------------------------- */

/* `; did you mean "event.value" (double)?` or an empty text. */
static struct str suggestion(struct checker *c, enum expr_name_kind kind, struct str wanted,
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
                                STR_ARG(type_text(c, types[i])));
    return arena_printf(c->work, "; did you mean \"%.*s\"?", STR_ARG(best));
}

static bool is_scope_function(struct checker *c, struct str wanted)
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

/* Time ------------------------------------------------------------------------------------------ */

/* Refuses an affine value where its moment of change could not be solved. */
static bool steady(struct checker *c, const struct node *node, const char *hint)
{
    if (!node->is_affine)
        return true;
    return refuse(c, node->from,
                  "\"%.*s\" changes with every moment and cannot be used here; compare it with a "
                  "time or a duration, or ask it for a calendar field%s%s",
                  TEXT_ARG(c, node), hint[0] ? "; " : "", hint);
}

/* Constants ------------------------------------------------------------------------------------- */

static bool are_constant(const struct node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (node->arguments[i]->kind != NODE_CONST)
            return false;
    return true;
}

/* Replaces a node over constants by its value, unless that is an error or costs too much. */
static bool fold(struct checker *c, struct node *node)
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
    if (value.type > VALUE_TYPE || value.type == VALUE_NONE)
        return true;
    node->kind = NODE_CONST;
    node->constant = value;
    node->count = 0;
    return true;
}

/* Names ----------------------------------------------------------------------------------------- */

static struct variable *find_variable(struct checker *c, struct str name)
{
    for (uint32_t i = c->variable_count; i > c->variable_base; i--)
        if (str_equal(c->variables[i - 1]->name, name))
            return c->variables[i - 1];
    return NULL;
}

static bool push_variable(struct checker *c, struct variable *variable, uint32_t at)
{
    if (c->variable_count == array_count(c->variables))
        return refuse(c, at, "more than %zu names are in use at once", array_count(c->variables));
    c->variables[c->variable_count++] = variable;
    return true;
}

static struct str join_parts(struct checker *c, const struct str *parts, uint32_t count)
{
    struct str all = parts[0];
    for (uint32_t i = 1; i < count; i++)
        all = arena_printf(c->work, "%.*s.%.*s", STR_ARG(all), STR_ARG(parts[i]));
    return all;
}

static uint32_t use_slot(struct checker *c, uint32_t slot, struct str name)
{
    numbers_add(c, &c->read_slots, slot);
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
        slot, value_error(arena_printf(c->plan, "no such attribute: %.*s", STR_ARG(name)))};
    return c->slot_count++;
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

static void become_error(struct checker *c, struct node *node, struct str text)
{
    node->kind = NODE_ERROR;
    node->constant = value_error(arena_copy(c->plan, text));
    node->type = &expr_dyn;
    node->count = 0;
    node->is_checked = true;
}

/* The chain of selections from the name at its root to `node`, root first. */
struct chain {
    struct node *nodes[EXPR_DEPTH_MAX + 2];
    struct str parts[EXPR_DEPTH_MAX + 2];
    uint32_t count;
    struct node *root;
};

static void follow_chain(struct chain *chain, struct node *node)
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
        refuse(c, chain->root->from, "%s",
               host_fault.text[0] ? host_fault.text : "this name cannot be used here");
        return -1;
    }
    must(slot.parts <= path.count);
    must(slot.parts + skip >= 1);
    uint32_t taken = slot.parts + skip;
    struct node *node = chain->nodes[taken - 1];
    struct str name = join_parts(c, chain->parts, taken);
    bool is_test = node->is_test;
    node->kind = NODE_SLOT;
    node->number = use_slot(c, slot.slot, name);
    node->type = is_test ? &expr_bool : slot.type && !is_unchecked(c) ? slot.type : &expr_dyn;
    node->count = 0;
    node->from = chain->root->from;
    node->is_checked = true;
    return (int)taken;
}

/* A name, or a chain of selections that begins with one. Returns whether `node` is done; a chain
 * that is resolved in part leaves the rest to be checked as selections. */
static bool check_name(struct checker *c, struct node *node, bool *is_done)
{
    struct chain chain;
    follow_chain(&chain, node);
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
    struct variable *variable = root->is_absolute ? NULL : find_variable(c, root->name);
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
        if (parts <= chain.count && str_equal(join_parts(c, chain.parts, parts), name)) {
            struct node *reached = chain.nodes[parts - 1];
            become_constant(reached, value_type_of(str_of(type_names[i].value)), &expr_type_type);
            *is_done = node->is_checked;
            return true;
        }
    }
    struct str name = join_parts(c, chain.parts, chain.count);
    if (is_unchecked(c)) {
        become_error(c, root,
                     arena_printf(c->work, "undeclared reference to '%.*s'", STR_ARG(root->name)));
        *is_done = node->is_checked;
        return true;
    }
    if (c->binder_depth > 0)
        for (uint32_t i = 0; i < c->variable_base; i++)
            if (str_equal(c->variables[i]->name, root->name))
                return refuse(c, root->from,
                              "\"%.*s\" belongs to the expression around and cannot be used in "
                              "the predicate of a past event",
                              STR_ARG(root->name));
    if (chain.count == 1 && is_scope_function(c, name))
        return refuse(c, root->from, "\"%.*s\" is a function; write %.*s(...)", STR_ARG(name),
                      STR_ARG(name));
    struct str hint = suggestion(c, EXPR_NAME_PATH, name, false);
    if (hint.len == 0 && chain.count > 1)
        hint = suggestion(c, EXPR_NAME_PATH, root->name, false);
    return refuse(c, root->from, "unknown name \"%.*s\"%.*s", STR_ARG(name), STR_ARG(hint));
}

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

/* The overloads of `name` that fit. Sets *function to the first, and returns the result's type, dyn
 * where several fit with different results, NULL if none fits. */
static const struct expr_type *resolve(struct checker *c, struct str name, bool is_method,
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
            if (signature_count(f->public.arguments) != count && !is_variadic(f))
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
                           STR_ARG(type_text(c, arguments[i]->type)));
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
    return refuse(c, node->at, "%s%.*s() does not take (%.*s); it takes %.*s", is_method ? "." : "",
                  STR_ARG(name), STR_ARG(types_text(c, node->arguments, node->count)),
                  STR_ARG(known));
}

static bool refuse_affine_call(struct checker *c, const struct node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (!steady(c, node->arguments[i], "a function of the host knows the time without it"))
            return false;
    return true;
}

/* A function of the language, its arguments checked. */
static bool check_standard(struct checker *c, struct node *node, struct str name, bool is_method)
{
    uint32_t function = 0;
    const struct expr_type *result =
        resolve(c, name, is_method, node->arguments, node->count, &function);
    if (result == NULL) {
        if (is_unchecked(c)) {
            become_error(c, node, STR("no such overload"));
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
        if (!steady(c, node->arguments[i], hint))
            return false;
    }
    if (f->kind == FUNCTION_GETTER && node->count == 2 && node->arguments[1]->kind == NODE_CONST &&
        node->arguments[1]->constant.type == VALUE_TEXT && !is_unchecked(c)) {
        struct str zone = node->arguments[1]->constant.text;
        int64_t offset_ms;
        if (!zone_fixed(zone, &offset_ms) && c->scope->zone_is_known != NULL &&
            !c->scope->zone_is_known(c->scope->self, zone))
            return refuse(c, node->arguments[1]->from, "unknown time zone \"%.*s\"", STR_ARG(zone));
    }
    node->kind = NODE_FUNCTION;
    node->number = function;
    node->type = result;
    /* A folded call of a getter would need a zone of the host. */
    return f->kind == FUNCTION_GETTER && node->count == 2 ? true : fold(c, node);
}

static const uint32_t *keep_numbers(struct checker *c, const struct numbers *list)
{
    uint32_t *kept = arena_array(c->plan, uint32_t, list->count);
    if (list->count)
        memcpy(kept, list->at, list->count * sizeof(*kept));
    return kept;
}

/* The program of a checked tree, in the plan; NULL with the fault if it is too large. */
static struct expr *build_program(struct checker *c, const struct node *root,
                                  const struct expr_type *type)
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

/* Compiles the predicate of a binder into a program of its own. */
static bool check_predicate(struct checker *c, struct node *node, const struct binder_use *use,
                            struct variable *variable, const struct expr **out)
{
    if (c->binder_depth == BINDER_DEPTH_MAX)
        return refuse(c, node->from, "predicates are nested more than %d deep", BINDER_DEPTH_MAX);
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
        .item = use,
        .binder_depth = c->binder_depth + 1,
    };
    memcpy(inner->variables, c->variables, c->variable_count * sizeof(c->variables[0]));
    inner->variable_count = inner->variable_base = c->variable_count;
    if (!push_variable(inner, variable, node->from) || !check(inner, node))
        return false;
    const struct expr_type *type = bounds_final(c->bounds, node->type);
    if (type->kind != EXPR_BOOL && type->kind != EXPR_DYN)
        return refuse(c, node->from, "a predicate is true or false; \"%.*s\" is of type %.*s",
                      TEXT_ARG(c, node), STR_ARG(type_text(c, type)));
    if (inner->is_timed && c->mode == EXPR_RULE)
        return refuse(c, node->from,
                      "past events cannot be filtered by now; give the function a window instead, "
                      "as in count(\"Login\", \"3d\")");
    struct expr *expr = build_program(inner, node, &expr_bool);
    if (expr == NULL)
        return false;
    c->is_timed |= inner->is_timed;
    for (uint32_t i = 0; i < expr->read_slot_count; i++)
        numbers_add(c, &c->read_slots, expr->read_slots[i]);
    for (uint32_t i = 0; i < expr->read_binding_count; i++)
        numbers_add(c, &c->read_bindings, expr->read_bindings[i]);
    *out = expr;
    return true;
}

static void describe_arguments(struct node *node, struct expr_argument *arguments)
{
    for (uint32_t i = 0; i < node->count; i++) {
        const struct node *n = node->arguments[i];
        struct expr_argument *a = &arguments[i];
        a->from = n->from;
        a->to = n->to;
        a->is_constant = n->kind == NODE_CONST;
        if (a->is_constant)
            a->value = n->constant;
        if (a->type == NULL)
            a->type = &expr_dyn;
    }
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
    describe_arguments(node, arguments);
    struct binder_use *use = arena_new(c->work, struct binder_use);
    use->call = (struct expr_call){
        .name = name,
        .is_method = is_method,
        .arguments = arguments,
        .count = node->count,
        .fields = fields,
        .field_count = field_count,
    };
    struct fault host_fault = {0};
    uint32_t variable = UINT32_MAX, predicate = UINT32_MAX;
    if (c->scope->binder != NULL) {
        enum expr_found found =
            c->scope->binder(c->scope->self, &use->call, &use->binder, &host_fault);
        if (found == EXPR_REFUSED)
            return refuse(c, node->at, "%s", host_fault.text);
        if (found == EXPR_FOUND) {
            variable = use->binder.variable;
            predicate = use->binder.predicate;
            must(variable < node->count && predicate < node->count && variable != predicate);
        }
    }
    for (uint32_t i = 0; i < node->count; i++) {
        if (i == variable || i == predicate)
            continue;
        if (!check(c, node->arguments[i]))
            return false;
        if (!steady(c, node->arguments[i], "the function knows the time without it"))
            return false;
        arguments[i].type = bounds_final(c->bounds, node->arguments[i]->type);
    }
    describe_arguments(node, arguments);
    if (variable != UINT32_MAX) {
        const struct node *named = node->arguments[variable];
        if (named->kind != NODE_NAME || named->is_absolute)
            return refuse(c, named->from, "expected a simple name for the past event");
        struct variable *item = arena_new(c->work, struct variable);
        item->name = named->name;
        item->is_item = true;
        item->type = &expr_dyn;
        arguments[variable].variable = named->name;
        if (!check_predicate(c, node->arguments[predicate], use, item,
                             &arguments[predicate].predicate))
            return false;
        arguments[predicate].type = &expr_bool;
    }
    struct expr_binding binding = {0};
    enum expr_found found = c->scope->function(c->scope->self, &use->call, &binding, &host_fault);
    if (found == EXPR_UNKNOWN)
        return true;
    if (found == EXPR_REFUSED)
        return refuse(c, node->at, "%s",
                      host_fault.text[0] ? host_fault.text : "this call is not possible here");
    must(binding.fields <= field_count);
    *is_known = true;
    *fields_used = binding.fields;
    /* What is passed at run time: neither constants nor the binder's two. */
    uint32_t passed = 0;
    for (uint32_t i = 0; i < node->count; i++)
        if (i != variable && i != predicate && node->arguments[i]->kind != NODE_CONST)
            node->arguments[passed++] = node->arguments[i];
    node->count = passed;
    node->kind = NODE_HOST;
    numbers_add(c, &c->read_bindings, binding.binding);
    numbers_add(c, &c->bindings, binding.binding);
    for (uint32_t i = 0; i < c->bindings.count; i++)
        if (c->bindings.at[i] == binding.binding)
            node->number = i;
    node->type = binding.type && !is_unchecked(c) ? binding.type : &expr_dyn;
    return true;
}

/* The dotted name of math.abs, if the target is a plain chain of names; else an empty str. */
static struct str dotted_name(struct checker *c, struct node *target, struct str name)
{
    struct chain chain;
    follow_chain(&chain, target);
    if (chain.root->kind != NODE_NAME || chain.root->is_checked || target->is_test ||
        find_variable(c, chain.root->name) != NULL)
        return (struct str){0};
    return arena_printf(c->plan, "%.*s.%.*s", STR_ARG(join_parts(c, chain.parts, chain.count)),
                        STR_ARG(name));
}

/* Drops the target of a call that turned out to be a dotted name. */
static void drop_target(struct node *node)
{
    node->arguments++;
    node->count--;
    node->is_method = false;
}

static bool check_arguments(struct checker *c, struct node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (!check(c, node->arguments[i]))
            return false;
    return true;
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
        return refuse(c, node->at, ".%s() does not take (%.*s); it takes (optional(A), %s)",
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
            return refuse(c, node->at, "%.*s() takes (%.*s), as in %.*s", STR_ARG(name),
                          STR_ARG(f->arguments), STR_ARG(f->example));
    }
    size_t dot = str_find(name, STR("."), 0);
    for (uint32_t i = 0; i < function_count && dot != SIZE_MAX; i++) {
        struct str known = function_table[i].public.name;
        if (str_starts(known, str_part(name, 0, dot + 1))) {
            struct str hint = suggestion(c, EXPR_NAME_FUNCTION, name, false);
            return refuse(c, node->from, "unknown function \"%.*s\"%.*s", STR_ARG(name),
                          STR_ARG(hint));
        }
    }
    return true;
}

static bool check_call(struct checker *c, struct node *node, const struct str *fields,
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
        become_error(c, node, arena_printf(c->work, "unbound function: %.*s", STR_ARG(name)));
        return true;
    }
    if (node->is_method) {
        if (!check(c, node->arguments[0]))
            return false;
        if (is_function_name(name, false) || is_scope_function(c, name))
            return refuse(c, node->at, "%.*s() is called without a dot: %.*s(%.*s)", STR_ARG(name),
                          STR_ARG(name), TEXT_ARG(c, node->arguments[0]));
    } else if (is_function_name(name, true)) {
        return refuse(c, node->at, "%.*s() is called with a dot: text.%.*s(...)", STR_ARG(name),
                      STR_ARG(name));
    }
    struct str hint = suggestion(c, EXPR_NAME_FUNCTION, name, node->is_method);
    return refuse(c, node->at, "unknown function \"%.*s\"%.*s", STR_ARG(name), STR_ARG(hint));
}

/* The other nodes ------------------------------------------------------------------------------- */

static bool check_select(struct checker *c, struct node *node)
{
    struct node *target = node->arguments[0];
    if (!check(c, target) || !steady(c, target, ""))
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
            return refuse(c, node->at,
                          "a field of \"%.*s\" is asked for by name, but its keys are "
                          "of type %.*s; write [...]",
                          TEXT_ARG(c, target), STR_ARG(type_text(c, expr_type_argument(type, 0))));
    } else if (type->kind != EXPR_DYN && type->kind != EXPR_VARIABLE && !is_unchecked(c)) {
        return refuse(c, node->at, "\"%.*s\" is of type %.*s and has no field \"%.*s\"",
                      TEXT_ARG(c, target), STR_ARG(type_text(c, type)), STR_ARG(node->name));
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
    if (!check(c, target) || !check(c, key) || !steady(c, target, "") || !steady(c, key, ""))
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
            return refuse(c, key->from, "the keys of \"%.*s\" are of type %.*s, not %.*s",
                          TEXT_ARG(c, target), STR_ARG(type_text(c, expr_type_argument(type, 0))),
                          STR_ARG(type_text(c, key->type)));
    } else if (type->kind == EXPR_LIST) {
        item = expr_type_argument(type, 0);
        if (!bounds_assign(c->bounds, &expr_int, key->type))
            return refuse(c, key->from, "a list is indexed by an int, not by %.*s",
                          STR_ARG(type_text(c, key->type)));
    } else if (type->kind != EXPR_DYN && type->kind != EXPR_VARIABLE) {
        return refuse(c, node->at, "\"%.*s\" is of type %.*s and cannot be indexed",
                      TEXT_ARG(c, target), STR_ARG(type_text(c, type)));
    }
    node->type = is_optional ? expr_optional_of(c->work, item) : item;
    return true;
}

/* An item of a list or map that may be left out: what it holds. */
static const struct expr_type *check_maybe(struct checker *c, struct node *node)
{
    if (node->kind != NODE_MAYBE)
        return check(c, node) && steady(c, node, "") ? node->type : NULL;
    node->is_checked = true;
    struct node *held = node->arguments[0];
    if (!check(c, held) || !steady(c, held, ""))
        return NULL;
    const struct expr_type *inside = bounds_new(c->bounds);
    node->type = held->type;
    node->is_timed = held->is_timed;
    if (!is_unchecked(c) &&
        !bounds_assign(c->bounds, expr_optional_of(c->work, inside), held->type)) {
        refuse(c, held->from, "expected an optional after \"?\", found %.*s",
               STR_ARG(type_text(c, held->type)));
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
    return fold(c, node);
}

static bool check_map(struct checker *c, struct node *node)
{
    const struct expr_type *keys = NULL, *values = NULL;
    for (uint32_t i = 0; i < node->count; i += 2) {
        struct node *key = node->arguments[i];
        if (!check(c, key) || !steady(c, key, ""))
            return false;
        const struct expr_type *type = bounds_look(c->bounds, key->type);
        if (!is_unchecked(c) && type->kind != EXPR_BOOL && type->kind != EXPR_INT &&
            type->kind != EXPR_UINT && type->kind != EXPR_TEXT && type->kind != EXPR_DYN &&
            type->kind != EXPR_VARIABLE)
            return refuse(c, key->from, "a key is a string, an int, a uint or a bool, not %.*s",
                          STR_ARG(type_text(c, type)));
        keys = keys == NULL ? type : bounds_join(c->bounds, keys, type);
        type = check_maybe(c, node->arguments[i + 1]);
        if (type == NULL)
            return false;
        values = values == NULL ? type : bounds_join(c->bounds, values, type);
    }
    node->type = expr_map_of(c->work, keys ? keys : bounds_new(c->bounds),
                             values ? values : bounds_new(c->bounds));
    return fold(c, node);
}

/* Requires a bool (or dyn) of `node`, as part of `what`. */
static bool want_bool(struct checker *c, const struct node *node, const char *what)
{
    if (!steady(c, node, ""))
        return false;
    if (is_unchecked(c) || bounds_assign(c->bounds, &expr_bool, node->type))
        return true;
    return refuse(c, node->from, "%s needs true or false; \"%.*s\" is of type %.*s", what,
                  TEXT_ARG(c, node), STR_ARG(type_text(c, node->type)));
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

static bool check_compare(struct checker *c, struct node *node)
{
    node->type = &expr_bool;
    if (is_unchecked(c))
        return fold(c, node);
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
        if ((a->kind == EXPR_TIME && b->kind == EXPR_TEXT) ||
            (b->kind == EXPR_TIME && a->kind == EXPR_TEXT))
            hint = "; write timestamp(\"2026-03-01T00:00:00Z\")";
        else if ((a->kind == EXPR_DURATION && b->kind == EXPR_TEXT) ||
                 (b->kind == EXPR_DURATION && a->kind == EXPR_TEXT))
            hint = "; write duration(\"3d\")";
        else if (is_number(a) && b->kind == EXPR_TEXT && right->kind == NODE_CONST)
            hint = "; write the number without quotes";
        else if (a->kind == EXPR_TEXT && is_number(b) && right->kind == NODE_CONST)
            hint = "; write the text in quotes";
        return refuse(c, node->at,
                      "\"%.*s\" is of type %.*s and cannot be compared by %s with %.*s%s",
                      TEXT_ARG(c, left), STR_ARG(type_text(c, a)), compare_text(node->sign),
                      STR_ARG(type_text(c, b)), hint);
    }
    if (left->is_affine || right->is_affine)
        return true;
    return fold(c, node);
}

static bool check_in(struct checker *c, struct node *node)
{
    node->type = &expr_bool;
    struct node *item = node->arguments[0], *in = node->arguments[1];
    if (!steady(c, item, "") || !steady(c, in, ""))
        return false;
    if (is_unchecked(c))
        return fold(c, node);
    const struct expr_type *type = bounds_look(c->bounds, in->type);
    if (type->kind == EXPR_LIST || type->kind == EXPR_MAP) {
        const struct expr_type *held = bounds_look(c->bounds, expr_type_argument(type, 0));
        const struct expr_type *sought = bounds_look(c->bounds, item->type);
        if (!(is_number(held) && is_number(sought)) && !bounds_assign(c->bounds, held, sought))
            return refuse(c, item->from, "\"%.*s\" is of type %.*s, but \"%.*s\" holds %.*s",
                          TEXT_ARG(c, item), STR_ARG(type_text(c, sought)), TEXT_ARG(c, in),
                          STR_ARG(type_text(c, held)));
    } else if (type->kind != EXPR_DYN && type->kind != EXPR_VARIABLE) {
        return refuse(c, in->from, "\"in\" looks into a list or a map, not into %.*s%s",
                      STR_ARG(type_text(c, type)),
                      type->kind == EXPR_TEXT ? "; write text.contains(...)" : "");
    }
    return fold(c, node);
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
        return fold(c, node);
    }
    uint32_t function = 0;
    const struct expr_type *result =
        resolve(c, operator_name((char)node->sign), false, node->arguments, 2, &function);
    if (result == NULL) {
        const struct expr_type *a = bounds_look(c->bounds, left->type);
        const struct expr_type *b = bounds_look(c->bounds, right->type);
        const char *hint = "";
        if (is_number(a) && is_number(b) && node->sign != '%')
            hint = a->kind == EXPR_DOUBLE || b->kind == EXPR_DOUBLE
                       ? "; write double(...) around the other"
                       : "; write int(...) around the uint";
        else if (node->sign == '+' && (a->kind == EXPR_TEXT || b->kind == EXPR_TEXT))
            hint = "; write string(...) around the other";
        else if (a->kind == EXPR_TIME || b->kind == EXPR_TIME)
            hint = "; write duration(\"3d\") for a length of time";
        return refuse(c, node->at, "there is no %.*s %c %.*s%s", STR_ARG(type_text(c, a)),
                      node->sign, STR_ARG(type_text(c, b)), hint);
    }
    node->type = result;
    if (left->is_affine || right->is_affine) {
        if (node->sign != '+' && node->sign != '-')
            return steady(c, left->is_affine ? left : right, "");
        node->is_affine = true;
        return true;
    }
    return fold(c, node);
}

static bool check_negate(struct checker *c, struct node *node)
{
    if (!steady(c, node->arguments[0], "turn the difference round instead"))
        return false;
    node->type = &expr_dyn;
    if (is_unchecked(c))
        return fold(c, node);
    uint32_t function = 0;
    const struct expr_type *result = resolve(c, STR("-_"), false, node->arguments, 1, &function);
    if (result == NULL)
        return refuse(c, node->at, "there is no -%.*s",
                      STR_ARG(type_text(c, node->arguments[0]->type)));
    node->type = result;
    return fold(c, node);
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
        return refuse(c, node->at,
                      "both sides of a choice need the same type; \"%.*s\" is %.*s, \"%.*s\" is "
                      "%.*s",
                      TEXT_ARG(c, then), STR_ARG(type_text(c, then->type)), TEXT_ARG(c, otherwise),
                      STR_ARG(type_text(c, otherwise->type)));
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
        return refuse(c, range->from, "\"%.*s\" is of type %.*s; only a list or a map has items",
                      TEXT_ARG(c, range), STR_ARG(type_text(c, type)));
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
    if (!check(c, range) || !steady(c, range, "") || !loop_types(c, node))
        return false;
    uint32_t before = c->variable_count;
    for (uint32_t i = 0; i < node->variable_count; i++)
        if (!push_variable(c, node->variables[i], node->at))
            return false;
    if ((filter != NULL && !check(c, filter)) || !check(c, body))
        return false;
    c->variable_count = before;
    enum loop_kind kind = (enum loop_kind)node->sign;
    const struct node *test = kind == LOOP_FILTER ? body : filter;
    if (test != NULL && test->is_timed && c->mode == EXPR_RULE)
        return refuse(c, test->from,
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
            return refuse(c, body->from, "transformMapEntry() needs a map of each item, not %.*s",
                          STR_ARG(type_text(c, held)));
        break;
    case LOOP_SORT_BY: node->type = range->type; break;
    }
    if (is_unchecked(c))
        node->type = &expr_dyn;
    return steady(c, body, "");
}

static bool check_bind(struct checker *c, struct node *node)
{
    struct node *init = node->arguments[0], *body = node->arguments[1];
    if (!check(c, init))
        return false;
    node->variables[0]->type = init->type;
    node->variables[0]->is_affine = init->is_affine;
    if (!push_variable(c, node->variables[0], node->at) || !check(c, body))
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
        if (!check(c, init) || !push_variable(c, node->variables[i], init->from))
            return false;
        node->variables[i]->type = init->type;
        node->variables[i]->is_affine = init->is_affine;
    }
    struct node *body = node->arguments[node->count - 1];
    if (!check(c, body))
        return false;
    c->variable_count = before;
    node->type = body->type;
    node->is_affine = body->is_affine;
    return true;
}

static bool check_opt_map(struct checker *c, struct node *node)
{
    struct node *target = node->arguments[0], *body = node->arguments[1];
    if (!check(c, target) || !steady(c, target, ""))
        return false;
    const struct expr_type *held = bounds_new(c->bounds);
    if (!is_unchecked(c) &&
        !bounds_assign(c->bounds, expr_optional_of(c->work, held), target->type))
        return refuse(c, node->at, "expected an optional before %s(), found %.*s",
                      node->sign ? "optFlatMap" : "optMap", STR_ARG(type_text(c, target->type)));
    node->variables[0]->type = is_unchecked(c) ? &expr_dyn : held;
    if (!push_variable(c, node->variables[0], node->at) || !check(c, body) || !steady(c, body, ""))
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
        return refuse(c, body->from, "optFlatMap() needs an optional, not %.*s",
                      STR_ARG(type_text(c, body->type)));
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
        return fold(c, node);
    case NODE_NEGATE: return check_arguments(c, node) && check_negate(c, node);
    case NODE_COMPARE: return check_arguments(c, node) && check_compare(c, node);
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

static bool check(struct checker *c, struct node *node)
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
        return refuse(c, node->at, "the types of this expression are too large to check");
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
    };
    if (!check(c, root))
        return FIX_INPUT;
    const struct expr_type *type = bounds_final(&bounds, root->type);
    if (options.mode != EXPR_UNCHECKED && !is_wanted(type, options.wanted)) {
        expr_fault_at(f, text, root->from, "expected %s, but this is of type %.*s",
                      wanted_text(options.wanted), STR_ARG(expr_type_print(work, type)));
        return FIX_INPUT;
    }
    if (!steady(c, root, ""))
        return FIX_INPUT;
    *out = build_program(c, root, type);
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
