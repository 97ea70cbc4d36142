/* type.c - types: what fits where, and what type variables stand for.
 *
 * `dyn` fits everywhere in both directions; that is what makes the checker gradual. A type variable
 * stands for one type in one use of a function; what it stands for is found by assigning.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/expr_int.h"

#define PLAIN(kind_)    \
    {                   \
        .kind = (kind_) \
    }

const struct expr_type expr_dyn = PLAIN(EXPR_DYN), expr_null = PLAIN(EXPR_NULL),
                       expr_bool = PLAIN(EXPR_BOOL), expr_int = PLAIN(EXPR_INT),
                       expr_uint = PLAIN(EXPR_UINT), expr_double = PLAIN(EXPR_DOUBLE),
                       expr_text = PLAIN(EXPR_TEXT), expr_bytes = PLAIN(EXPR_BYTES),
                       expr_time = PLAIN(EXPR_TIME), expr_duration = PLAIN(EXPR_DURATION),
                       expr_list_dyn = PLAIN(EXPR_LIST), expr_map_dyn = PLAIN(EXPR_MAP),
                       expr_type_type = PLAIN(EXPR_TYPE);

const struct expr_type *expr_list_of(struct arena *plan, const struct expr_type *items)
{
    struct expr_type *type = arena_new(plan, struct expr_type);
    *type = (struct expr_type){.kind = EXPR_LIST, .count = 1, .arguments = {items}};
    return type;
}

const struct expr_type *expr_map_of(struct arena *plan, const struct expr_type *keys,
                                    const struct expr_type *values)
{
    struct expr_type *type = arena_new(plan, struct expr_type);
    *type = (struct expr_type){.kind = EXPR_MAP, .count = 2, .arguments = {keys, values}};
    return type;
}

const struct expr_type *expr_optional_of(struct arena *plan, const struct expr_type *held)
{
    struct expr_type *type = arena_new(plan, struct expr_type);
    *type = (struct expr_type){.kind = EXPR_OPTIONAL, .count = 1, .arguments = {held}};
    return type;
}

const struct expr_type *expr_type_argument(const struct expr_type *type, uint32_t index)
{
    if (index >= type->count || type->arguments[index] == NULL)
        return &expr_dyn;
    return type->arguments[index];
}

#define PRINT_DEPTH_MAX 8

static void print_into(struct buf *out, const struct expr_type *type, int depth)
{
    static const char *const names[] = {
        [EXPR_DYN] = "dyn",           [EXPR_NULL] = "null",   [EXPR_BOOL] = "bool",
        [EXPR_INT] = "int",           [EXPR_UINT] = "uint",   [EXPR_DOUBLE] = "double",
        [EXPR_TEXT] = "string",       [EXPR_BYTES] = "bytes", [EXPR_TIME] = "timestamp",
        [EXPR_DURATION] = "duration", [EXPR_LIST] = "list",   [EXPR_MAP] = "map",
        [EXPR_OPTIONAL] = "optional", [EXPR_TYPE] = "type",   [EXPR_OPAQUE] = "",
        [EXPR_VARIABLE] = "dyn",
    };
    static const uint8_t arguments[EXPR_VARIABLE + 1] = {
        [EXPR_LIST] = 1, [EXPR_MAP] = 2, [EXPR_OPTIONAL] = 1};
    if (type->kind == EXPR_OPAQUE)
        buf_add_str(out, type->name);
    else
        buf_add_str(out, str_of(names[type->kind]));
    uint32_t count = max_of(arguments[type->kind], type->kind == EXPR_OPAQUE ? type->count : 0);
    if (count == 0)
        return;
    buf_add_byte(out, '(');
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            buf_add_str(out, STR(", "));
        if (depth < PRINT_DEPTH_MAX)
            print_into(out, expr_type_argument(type, i), depth + 1);
        else
            buf_add_str(out, STR("..."));
    }
    buf_add_byte(out, ')');
}

struct str expr_type_print(struct arena *scratch, const struct expr_type *type)
{
    struct buf out;
    buf_init(&out);
    print_into(&out, type, 0);
    struct str text = arena_copy(scratch, buf_str(&out));
    buf_fini(&out);
    return text;
}

/* Type variables -------------------------------------------------------------------------------- */

const struct expr_type *bounds_new(struct bounds *b)
{
    if (b->count == b->room) {
        uint32_t room = b->room ? b->room * 2 : 16;
        const struct expr_type **of = arena_array(b->work, const struct expr_type *, room);
        if (b->count)
            memcpy(of, b->of, b->count * sizeof(*of));
        b->of = of;
        b->room = room;
    }
    struct expr_type *type = arena_new(b->work, struct expr_type);
    *type = (struct expr_type){.kind = EXPR_VARIABLE, .number = b->count};
    b->of[b->count++] = NULL;
    return type;
}

/* Binds, remembering what was there for bounds_back(). */
static void bind(struct bounds *b, uint32_t number, const struct expr_type *type)
{
    if (b->trail_count == b->trail_room) {
        uint32_t room = b->trail_room ? b->trail_room * 2 : 32;
        struct bound_before *trail = arena_array(b->work, struct bound_before, room);
        if (b->trail_count)
            memcpy(trail, b->trail, b->trail_count * sizeof(*trail));
        b->trail = trail;
        b->trail_room = room;
    }
    b->trail[b->trail_count++] = (struct bound_before){number, b->of[number]};
    b->of[number] = type;
}

struct bounds_mark bounds_mark(const struct bounds *b)
{
    return (struct bounds_mark){b->count, b->trail_count};
}

void bounds_back(struct bounds *b, struct bounds_mark mark)
{
    while (b->trail_count > mark.trail_count) {
        b->trail_count--;
        b->of[b->trail[b->trail_count].number] = b->trail[b->trail_count].type;
    }
    b->count = mark.count;
}

const struct expr_type *bounds_look(const struct bounds *b, const struct expr_type *type)
{
    while (type->kind == EXPR_VARIABLE && b->of[type->number] != NULL)
        type = b->of[type->number];
    return type;
}

const struct expr_type *bounds_final(struct bounds *b, const struct expr_type *type)
{
    type = bounds_look(b, type);
    if (type->kind == EXPR_VARIABLE)
        return &expr_dyn;
    if (type->count == 0)
        return type;
    if (b->steps_left == 0)
        return &expr_dyn;
    b->steps_left--;
    const struct expr_type *arguments[3] = {0};
    for (uint32_t i = 0; i < type->count; i++)
        arguments[i] = bounds_final(b, expr_type_argument(type, i));
    struct expr_type *made = arena_new(b->plan, struct expr_type);
    *made = *type;
    memcpy(made->arguments, arguments, sizeof(arguments));
    return made;
}

/* Does the variable occur in the type? It must not stand for a part of itself. */
static bool occurs(struct bounds *b, uint32_t number, const struct expr_type *type)
{
    type = bounds_look(b, type);
    if (type->kind == EXPR_VARIABLE)
        return type->number == number;
    for (uint32_t i = 0; i < type->count; i++)
        if (b->steps_left == 0 || (b->steps_left--, occurs(b, number, expr_type_argument(type, i))))
            return true;
    return false;
}

/* null fits where a thing may be absent. */
static bool takes_null(const struct expr_type *type)
{
    return type->kind == EXPR_TIME || type->kind == EXPR_DURATION || type->kind == EXPR_OPTIONAL ||
           type->kind == EXPR_OPAQUE;
}

/* Is `x` the same as `y` or more general? */
static bool is_general(struct bounds *b, const struct expr_type *x, const struct expr_type *y)
{
    x = bounds_look(b, x);
    y = bounds_look(b, y);
    if (x->kind == EXPR_DYN || x->kind == EXPR_VARIABLE)
        return true;
    if (y->kind == EXPR_DYN || y->kind == EXPR_VARIABLE || x->kind != y->kind ||
        (x->kind == EXPR_OPAQUE && !str_equal(x->name, y->name)))
        return false;
    if (b->steps_left == 0)
        return false;
    b->steps_left--;
    for (uint32_t i = 0; i < max_of(x->count, y->count); i++)
        if (!is_general(b, expr_type_argument(x, i), expr_type_argument(y, i)))
            return false;
    return true;
}

static bool assign(struct bounds *b, const struct expr_type *to, const struct expr_type *from);

static bool assign_known(struct bounds *b, const struct expr_type *to, const struct expr_type *from)
{
    if (to == from)
        return true;
    if (b->steps_left == 0)
        return false;
    b->steps_left--;
    if (to->kind == EXPR_VARIABLE && from->kind == EXPR_VARIABLE && to->number == from->number)
        return true;
    if (to->kind == EXPR_VARIABLE || from->kind == EXPR_VARIABLE) {
        const struct expr_type *variable = to->kind == EXPR_VARIABLE ? to : from;
        const struct expr_type *other = variable == to ? from : to;
        if (occurs(b, variable->number, other))
            return false;
        bind(b, variable->number, other);
        return true;
    }
    if (to->kind == EXPR_DYN || from->kind == EXPR_DYN)
        return true;
    if (to->kind == EXPR_NULL && takes_null(from))
        return true;
    if (from->kind == EXPR_NULL && takes_null(to))
        return true;
    if (to->kind != from->kind || (to->kind == EXPR_OPAQUE && !str_equal(to->name, from->name)))
        return false;
    if (to->kind == EXPR_TYPE)
        return true;
    for (uint32_t i = 0; i < max_of(to->count, from->count); i++)
        if (!assign(b, expr_type_argument(to, i), expr_type_argument(from, i)))
            return false;
    return true;
}

static bool assign(struct bounds *b, const struct expr_type *to, const struct expr_type *from)
{
    while (to->kind == EXPR_VARIABLE && b->of[to->number] != NULL &&
           b->of[to->number]->kind == EXPR_VARIABLE)
        to = b->of[to->number];
    const struct expr_type *known = bounds_look(b, to);
    from = bounds_look(b, from);
    if (!assign_known(b, known, from))
        return false;
    /* A variable that stands for less than what comes is widened: f(T, T) of int and dyn. */
    if (to != known && from != known && from->kind != EXPR_VARIABLE && is_general(b, from, known) &&
        !occurs(b, to->number, from))
        bind(b, to->number, from);
    return true;
}

bool bounds_assign(struct bounds *b, const struct expr_type *to, const struct expr_type *from)
{
    return assign(b, to, from);
}

const struct expr_type *bounds_join(struct bounds *b, const struct expr_type *x,
                                    const struct expr_type *y)
{
    if (!assign(b, x, y))
        return &expr_dyn;
    if (bounds_look(b, x)->kind == EXPR_NULL)
        return y;
    return is_general(b, x, y) || bounds_look(b, y)->kind == EXPR_NULL ? x : y;
}
