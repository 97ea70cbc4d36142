/* ops.c - what the operators of CEL do with two values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "expr/expr_int.h"

#define VALUE_DEPTH_MAX 200 /* nesting of compared values */

struct value value_error(struct str text)
{
    return (struct value){.type = VALUE_ERROR, .text = text};
}

struct value no_such_overload(void)
{
    return ERROR("no such overload");
}

struct value over_budget(void)
{
    return ERROR("cost limit exceeded");
}

void *machine_alloc(struct machine *m, uint64_t bytes)
{
    if (!machine_pay(m, bytes / 16 + 1))
        return NULL;
    return arena_alloc(m->scratch, bytes);
}

struct value machine_error(struct machine *m, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    must(len >= 0);
    size_t bytes = min_of((size_t)len, sizeof(text) - 1);
    char *at = machine_alloc(m, bytes + 1);
    if (at == NULL)
        return over_budget();
    memcpy(at, text, bytes);
    return value_error((struct str){at, bytes});
}

struct str value_cel_type(const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL: return STR("null_type");
    case VALUE_BOOL: return STR("bool");
    case VALUE_INT: return STR("int");
    case VALUE_UINT: return STR("uint");
    case VALUE_DOUBLE: return STR("double");
    case VALUE_TEXT: return STR("string");
    case VALUE_BYTES: return STR("bytes");
    case VALUE_TIME: return STR("google.protobuf.Timestamp");
    case VALUE_DURATION: return STR("google.protobuf.Duration");
    case VALUE_LIST: return STR("list");
    case VALUE_MAP: return STR("map");
    case VALUE_TYPE: return STR("type");
    case VALUE_OPTIONAL: return STR("optional_type");
    default: return STR("error");
    }
}

/* Order and equality ---------------------------------------------------------------------------- */

static bool is_numeric(const struct value *v)
{
    return v->type == VALUE_INT || v->type == VALUE_UINT || v->type == VALUE_DOUBLE;
}

static double as_double(const struct value *v)
{
    if (v->type == VALUE_INT)
        return (double)v->integer;
    return v->type == VALUE_UINT ? (double)v->uinteger : v->number;
}

#define ORDER(x, y) (1 + ((x) > (y)) - ((x) < (y)))

static int number_order(const struct value *a, const struct value *b)
{
    if (a->type == VALUE_DOUBLE || b->type == VALUE_DOUBLE) {
        double x = as_double(a), y = as_double(b);
        if (isnan(x) || isnan(y))
            return 3;
        return ORDER(x, y);
    }
    if (a->type == VALUE_UINT && b->type == VALUE_UINT)
        return ORDER(a->uinteger, b->uinteger);
    if (a->type == VALUE_INT && b->type == VALUE_INT)
        return ORDER(a->integer, b->integer);
    if (a->type == VALUE_INT)
        return a->integer < 0 ? 0 : ORDER((uint64_t)a->integer, b->uinteger);
    return b->integer < 0 ? 2 : ORDER(a->uinteger, (uint64_t)b->integer);
}

int value_order(const struct value *a, const struct value *b)
{
    if (is_numeric(a) && is_numeric(b))
        return number_order(a, b);
    if (a->type != b->type)
        return -1;
    switch (a->type) {
    case VALUE_BOOL: return ORDER(a->boolean, b->boolean);
    case VALUE_TEXT:
    case VALUE_BYTES: {
        int order = str_order(a->text, b->text);
        return ORDER(order, 0);
    }
    case VALUE_TIME:
    case VALUE_DURATION:
        if (a->integer != b->integer)
            return ORDER(a->integer, b->integer);
        return ORDER(a->sub_ns, b->sub_ns);
    default: return -1;
    }
}

static int equal_at(struct machine *m, const struct value *a, const struct value *b, int depth);

static int lists_equal(struct machine *m, const struct value_list *a, const struct value_list *b,
                       int depth)
{
    if (a->count != b->count)
        return 0;
    if (!machine_pay(m, a->count))
        return -1;
    for (uint32_t i = 0; i < a->count; i++) {
        int is_equal = equal_at(m, &a->items[i], &b->items[i], depth + 1);
        if (is_equal != 1)
            return is_equal;
    }
    return 1;
}

static int maps_equal(struct machine *m, const struct value_map *a, const struct value_map *b,
                      int depth)
{
    if (a->count != b->count)
        return 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct value *other = map_find(m, b, &a->pairs[i].key);
        if (other == NULL)
            return m->is_over ? -1 : 0;
        int is_equal = equal_at(m, &a->pairs[i].value, other, depth + 1);
        if (is_equal != 1)
            return is_equal;
    }
    return 1;
}

static int equal_at(struct machine *m, const struct value *a, const struct value *b, int depth)
{
    if (depth > VALUE_DEPTH_MAX)
        return -1;
    if (is_numeric(a) && is_numeric(b))
        return number_order(a, b) == 1;
    if (a->type != b->type)
        return 0;
    switch (a->type) {
    case VALUE_NULL: return 1;
    case VALUE_BOOL: return a->boolean == b->boolean;
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_TYPE: return str_equal(a->text, b->text);
    case VALUE_TIME:
    case VALUE_DURATION: return a->integer == b->integer && a->sub_ns == b->sub_ns;
    case VALUE_LIST: return lists_equal(m, a->list, b->list, depth);
    case VALUE_MAP: return maps_equal(m, a->map, b->map, depth);
    case VALUE_OPTIONAL:
        if (!optional_holds(a) || !optional_holds(b))
            return optional_holds(a) == optional_holds(b);
        return equal_at(m, &a->list->items[0], &b->list->items[0], depth + 1);
    default: return -1;
    }
}

int value_equal(struct machine *m, const struct value *a, const struct value *b)
{
    return equal_at(m, a, b, 0);
}

const struct value *map_find(struct machine *m, const struct value_map *map,
                             const struct value *key)
{
    if (!machine_pay(m, map->count / 4 + 1))
        return NULL;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct value *k = &map->pairs[i].key;
        bool is_same;
        if (k->type == VALUE_TEXT)
            is_same = key->type == VALUE_TEXT && str_equal(k->text, key->text);
        else if (is_numeric(k))
            is_same = is_numeric(key) && number_order(k, key) == 1;
        else
            is_same =
                k->type == VALUE_BOOL && key->type == VALUE_BOOL && k->boolean == key->boolean;
        if (is_same)
            return &map->pairs[i].value;
    }
    return NULL;
}

struct value value_in(struct machine *m, const struct value *a, const struct value *b)
{
    if (b->type == VALUE_MAP) {
        bool is_in = map_find(m, b->map, a) != NULL;
        return m->is_over ? over_budget() : value_bool(is_in);
    }
    if (b->type != VALUE_LIST)
        return no_such_overload();
    if (!machine_pay(m, b->list->count / 4 + 1))
        return over_budget();
    const struct value *items = b->list->items;
    for (uint32_t i = 0; i < b->list->count; i++) {
        int is_equal;
        if (a->type == VALUE_TEXT && items[i].type == VALUE_TEXT)
            is_equal = str_equal(a->text, items[i].text);
        else
            is_equal = value_equal(m, a, &items[i]);
        if (is_equal < 0)
            return m->is_over ? over_budget() : ERROR("values are nested too deeply");
        if (is_equal)
            return value_bool(true);
    }
    return value_bool(false);
}

/* Arithmetic ------------------------------------------------------------------------------------ */

static struct value overflow(void)
{
    return ERROR("return error for overflow");
}

static struct value join_texts(struct machine *m, const struct value *a, const struct value *b)
{
    if (b->text.len == 0)
        return *a;
    if (a->text.len == 0)
        return *b;
    char *at = machine_alloc(m, (uint64_t)a->text.len + b->text.len);
    if (at == NULL)
        return over_budget();
    memcpy(at, a->text.at, a->text.len);
    memcpy(at + a->text.len, b->text.at, b->text.len);
    struct str all = {at, a->text.len + b->text.len};
    return a->type == VALUE_BYTES ? value_bytes(all) : value_text(all);
}

static struct value join_lists(struct machine *m, const struct value *a, const struct value *b)
{
    if (b->list->count == 0)
        return *a;
    if (a->list->count == 0)
        return *b;
    uint64_t count = (uint64_t)a->list->count + b->list->count;
    struct value_list *all =
        machine_alloc(m, sizeof(struct value_list) + count * sizeof(struct value));
    if (all == NULL)
        return over_budget();
    all->count = (uint32_t)count;
    memcpy(all->items, a->list->items, a->list->count * sizeof(struct value));
    memcpy(all->items + a->list->count, b->list->items, b->list->count * sizeof(struct value));
    return value_list_of(all);
}

struct value value_add(struct machine *m, const struct value *a, const struct value *b)
{
    if (a->type == VALUE_TIME || a->type == VALUE_DURATION)
        return time_sum(a, b, 1);
    if (a->type != b->type)
        return no_such_overload();
    struct value sum = *a;
    switch (a->type) {
    case VALUE_INT:
        if (__builtin_add_overflow(a->integer, b->integer, &sum.integer))
            return overflow();
        return sum;
    case VALUE_UINT:
        if (__builtin_add_overflow(a->uinteger, b->uinteger, &sum.uinteger))
            return overflow();
        return sum;
    case VALUE_DOUBLE: return value_double(a->number + b->number);
    case VALUE_TEXT:
    case VALUE_BYTES: return join_texts(m, a, b);
    case VALUE_LIST: return join_lists(m, a, b);
    default: return no_such_overload();
    }
}

struct value value_subtract(struct machine *m, const struct value *a, const struct value *b)
{
    (void)m;
    if (a->type == VALUE_TIME || a->type == VALUE_DURATION)
        return time_sum(a, b, -1);
    if (a->type != b->type)
        return no_such_overload();
    struct value rest = *a;
    switch (a->type) {
    case VALUE_INT:
        if (__builtin_sub_overflow(a->integer, b->integer, &rest.integer))
            return overflow();
        return rest;
    case VALUE_UINT:
        if (__builtin_sub_overflow(a->uinteger, b->uinteger, &rest.uinteger))
            return overflow();
        return rest;
    case VALUE_DOUBLE: return value_double(a->number - b->number);
    default: return no_such_overload();
    }
}

struct value value_multiply(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return no_such_overload();
    struct value product = *a;
    switch (a->type) {
    case VALUE_INT:
        if (__builtin_mul_overflow(a->integer, b->integer, &product.integer))
            return overflow();
        return product;
    case VALUE_UINT:
        if (__builtin_mul_overflow(a->uinteger, b->uinteger, &product.uinteger))
            return overflow();
        return product;
    case VALUE_DOUBLE: return value_double(a->number * b->number);
    default: return no_such_overload();
    }
}

struct value value_divide(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return no_such_overload();
    switch (a->type) {
    case VALUE_INT:
        if (b->integer == 0)
            return ERROR("divide by zero");
        if (a->integer == INT64_MIN && b->integer == -1)
            return overflow();
        return value_int(a->integer / b->integer);
    case VALUE_UINT:
        if (b->uinteger == 0)
            return ERROR("divide by zero");
        return value_uint(a->uinteger / b->uinteger);
    case VALUE_DOUBLE: {
        double quotient = a->number;
        if (b->number != 0)
            return value_double(quotient / b->number);
        /* IEEE 754, written out: the sanitizer takes x / 0.0 for a slip. */
        if (quotient == 0 || isnan(quotient))
            return value_double((double)NAN);
        bool is_negative = !signbit(quotient) != !signbit(b->number);
        return value_double(is_negative ? -(double)INFINITY : (double)INFINITY);
    }
    default: return no_such_overload();
    }
}

struct value value_modulo(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return no_such_overload();
    switch (a->type) {
    case VALUE_INT:
        if (b->integer == 0)
            return ERROR("modulus by zero");
        if (b->integer == -1)
            return a->integer == INT64_MIN ? overflow() : value_int(0);
        return value_int(a->integer % b->integer);
    case VALUE_UINT:
        if (b->uinteger == 0)
            return ERROR("modulus by zero");
        return value_uint(a->uinteger % b->uinteger);
    default: return no_such_overload();
    }
}

struct value value_negate(const struct value *a)
{
    if (a->type == VALUE_DOUBLE)
        return value_double(-a->number);
    if (a->type != VALUE_INT)
        return no_such_overload();
    return a->integer == INT64_MIN ? overflow() : value_int(-a->integer);
}

/* Items and optionals --------------------------------------------------------------------------- */

struct value optional_none(void)
{
    return (struct value){.type = VALUE_OPTIONAL};
}

struct value optional_of(struct machine *m, const struct value *held)
{
    struct value_list *list = machine_alloc(m, sizeof(*list) + sizeof(struct value));
    if (list == NULL)
        return over_budget();
    list->count = 1;
    list->items[0] = *held;
    return (struct value){.type = VALUE_OPTIONAL, .list = list};
}

/* The index that `key` names, or -1 if it is no whole number. */
static int64_t index_of(const struct value *key)
{
    if (key->type == VALUE_INT)
        return key->integer < 0 ? INT64_MAX : key->integer;
    if (key->type == VALUE_UINT)
        return key->uinteger > INT64_MAX ? INT64_MAX : (int64_t)key->uinteger;
    if (key->type == VALUE_DOUBLE && key->number >= 0 && key->number < 9e15 &&
        key->number == floor(key->number))
        return (int64_t)key->number;
    return -1;
}

struct value value_index(struct machine *m, const struct value *a, const struct value *key,
                         bool is_optional)
{
    if (a->type == VALUE_OPTIONAL) {
        if (!optional_holds(a))
            return *a;
        return value_index(m, &a->list->items[0], key, true);
    }
    const struct value *found = NULL;
    struct value missing;
    if (a->type == VALUE_MAP) {
        found = map_find(m, a->map, key);
        missing = m->is_over ? over_budget() : ERROR("no such key");
    } else if (a->type == VALUE_LIST) {
        int64_t at = index_of(key);
        if (at >= 0 && at < a->list->count)
            found = &a->list->items[at];
        missing = at < 0 ? ERROR("invalid_argument: a list is indexed by whole numbers")
                         : ERROR("invalid_argument: index out of range");
        if (at < 0)
            is_optional = false;
    } else {
        return no_such_overload();
    }
    if (!is_optional)
        return found ? *found : missing;
    return found ? optional_of(m, found) : optional_none();
}

struct value value_select(struct machine *m, const struct value *a, const struct value *absent,
                          int how)
{
    static const size_t prefix = sizeof("no such key: ") - 1;
    bool is_test = how & 1, is_optional = how & 2;
    if (a->type == VALUE_OPTIONAL) {
        if (!optional_holds(a))
            return is_test ? value_bool(false) : *a;
        a = &a->list->items[0];
        is_optional = true;
    }
    if (a->type != VALUE_MAP)
        return machine_error(m, "type '%.*s' does not support field selection",
                             STR_ARG(value_cel_type(a)));
    struct value key = value_text(str_part(absent->text, prefix, absent->text.len));
    const struct value *found = map_find(m, a->map, &key);
    if (is_test)
        return value_bool(found != NULL);
    if (is_optional)
        return found ? optional_of(m, found) : optional_none();
    return found ? *found : *absent;
}
