/* Filters on numbers. Whatever is not a number counts as 0, as everywhere in Liquid.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/liquid_int.h"

#include <math.h>

static bool arithmetic(struct call *c, enum arithmetic op)
{
    struct value a = liquid_to_number(c->input);
    struct value b = liquid_to_number(c->args[0]);
    bool is_zero = b.type == VALUE_INT ? b.integer == 0 : b.number == 0;
    if (is_zero && (op == DIVIDE || op == MODULO))
        return liquid_fail(c->r, "division by zero");
    c->result = liquid_arithmetic(op, a, b);
    return true;
}

bool filter_plus(struct call *c)
{
    return arithmetic(c, ADD);
}

bool filter_minus(struct call *c)
{
    return arithmetic(c, SUBTRACT);
}

bool filter_times(struct call *c)
{
    return arithmetic(c, MULTIPLY);
}

bool filter_divided_by(struct call *c)
{
    return arithmetic(c, DIVIDE);
}

bool filter_modulo(struct call *c)
{
    return arithmetic(c, MODULO);
}

bool filter_abs(struct call *c)
{
    struct value x = liquid_to_number(c->input);
    if (x.type == VALUE_DOUBLE)
        c->result = value_double(fabs(x.number));
    else
        c->result = x.integer < 0 ? liquid_arithmetic(SUBTRACT, value_int(0), x) : x;
    return true;
}

bool filter_ceil(struct call *c)
{
    c->result = liquid_round(liquid_to_number(c->input), ROUND_UP, 0);
    return true;
}

bool filter_floor(struct call *c)
{
    c->result = liquid_round(liquid_to_number(c->input), ROUND_DOWN, 0);
    return true;
}

bool filter_round(struct call *c)
{
    int64_t digits = liquid_to_whole(c->args[0]);
    c->result = liquid_round(liquid_to_number(c->input), ROUND_NEAREST, digits);
    return true;
}

bool filter_at_least(struct call *c)
{
    struct value x = liquid_to_number(c->input), least = liquid_to_number(c->args[0]);
    int order = 0;
    must(liquid_order(x, least, &order));
    c->result = order < 0 ? least : x;
    return true;
}

bool filter_at_most(struct call *c)
{
    struct value x = liquid_to_number(c->input), most = liquid_to_number(c->args[0]);
    int order = 0;
    must(liquid_order(x, most, &order));
    c->result = order > 0 ? most : x;
    return true;
}
