/* fn_math.c - numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "expr/fn.h"

/* The extreme of several numbers, or of one list of them: the first where two are equal. */
static struct value extreme(const struct value *a, uint32_t count, int wanted)
{
    must(count >= 1);
    if (count == 1 && a->type == VALUE_LIST) {
        count = a->list->count;
        a = a->list->items;
        if (count == 0)
            return ERROR("no such overload: an empty list has no greatest and no least number");
    }
    const struct value *best = a;
    for (uint32_t i = 0; i < count; i++) {
        if (a[i].type != VALUE_INT && a[i].type != VALUE_UINT && a[i].type != VALUE_DOUBLE)
            return no_such_overload();
        if (value_order(&a[i], best) == wanted)
            best = &a[i];
    }
    return *best;
}

struct value fn_greatest(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    return extreme(a, count, 2);
}

struct value fn_least(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    return extreme(a, count, 0);
}

#define OF_DOUBLE(name, expression)                                             \
    struct value name(struct machine *m, const struct value *a, uint32_t count) \
    {                                                                           \
        (void)m;                                                                \
        must(count == 1);                                                       \
        double x = a->number;                                                   \
        return a->type == VALUE_DOUBLE ? (expression) : no_such_overload();     \
    }

OF_DOUBLE(fn_ceil, value_double(ceil(x)))
OF_DOUBLE(fn_floor, value_double(floor(x)))
OF_DOUBLE(fn_round, value_double(round(x)))
OF_DOUBLE(fn_trunc, value_double(trunc(x)))
OF_DOUBLE(fn_is_nan, value_bool(isnan(x)))
OF_DOUBLE(fn_is_inf, value_bool(isinf(x)))
OF_DOUBLE(fn_is_finite, value_bool(isfinite(x)))

struct value fn_sqrt(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 1);
    switch (a->type) {
    case VALUE_DOUBLE: return value_double(sqrt(a->number));
    case VALUE_INT: return value_double(sqrt((double)a->integer));
    case VALUE_UINT: return value_double(sqrt((double)a->uinteger));
    default: return no_such_overload();
    }
}

struct value fn_abs(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 1);
    switch (a->type) {
    case VALUE_DOUBLE: return value_double(fabs(a->number));
    case VALUE_UINT: return *a;
    case VALUE_INT:
        if (a->integer == INT64_MIN)
            return ERROR("integer overflow");
        return value_int(a->integer < 0 ? -a->integer : a->integer);
    default: return no_such_overload();
    }
}

struct value fn_sign(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 1);
    switch (a->type) {
    case VALUE_DOUBLE:
        return isnan(a->number) ? *a : value_double((a->number > 0) - (a->number < 0));
    case VALUE_UINT: return value_uint(a->uinteger > 0);
    case VALUE_INT: return value_int((a->integer > 0) - (a->integer < 0));
    default: return no_such_overload();
    }
}

#define OF_BITS(name, operation)                                                       \
    struct value name(struct machine *m, const struct value *a, uint32_t count)        \
    {                                                                                  \
        (void)m;                                                                       \
        must(count == 2);                                                              \
        if (a[0].type != a[1].type || (a->type != VALUE_INT && a->type != VALUE_UINT)) \
            return no_such_overload();                                                 \
        struct value v = a[0];                                                         \
        v.uinteger = a[0].uinteger operation a[1].uinteger;                            \
        return v;                                                                      \
    }

OF_BITS(fn_bit_and, &)
OF_BITS(fn_bit_or, |)
OF_BITS(fn_bit_xor, ^)

struct value fn_bit_not(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 1);
    if (a->type != VALUE_INT && a->type != VALUE_UINT)
        return no_such_overload();
    struct value v = *a;
    v.uinteger = ~v.uinteger;
    return v;
}

static struct value shift(const struct value *a, bool is_left)
{
    if ((a[0].type != VALUE_INT && a[0].type != VALUE_UINT) || a[1].type != VALUE_INT)
        return no_such_overload();
    if (a[1].integer < 0)
        return ERROR("negative offset");
    struct value v = a[0];
    if (a[1].integer >= 64)
        v.uinteger = 0;
    else
        v.uinteger = is_left ? v.uinteger << a[1].integer : v.uinteger >> a[1].integer;
    return v;
}

struct value fn_shift_left(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 2);
    return shift(a, true);
}

struct value fn_shift_right(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 2);
    return shift(a, false);
}
