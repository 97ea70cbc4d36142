/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/score.h"

#include <math.h>

#include "profile/ask.h"

#define SCORE_MAX (INT64_C(1) << 62) /* millionths; what is beyond counts as much */

static int64_t millionths(double x)
{
    double scaled = x * SCORE_ONE;
    if (scaled >= (double)SCORE_MAX)
        return SCORE_MAX;
    if (scaled <= -(double)SCORE_MAX)
        return -SCORE_MAX;
    return llround(scaled);
}

static int64_t millionths_of_int(int64_t x)
{
    if (x >= SCORE_MAX / SCORE_ONE)
        return SCORE_MAX;
    if (x <= -SCORE_MAX / SCORE_ONE)
        return -SCORE_MAX;
    return x * SCORE_ONE;
}

bool score_ask(struct person *who, const struct plan *plan, const struct plan_expr *formula,
               int32_t priority, struct blob entry, int64_t *out)
{
    if (formula->code == NULL) {
        *out = millionths_of_int(priority);
        return true;
    }
    struct value value = ask_value(who, plan, formula, entry);
    switch (value.type) {
    case VALUE_INT: *out = millionths_of_int(value.integer); return true;
    case VALUE_UINT:
        *out = millionths_of_int((int64_t)min_of(value.uinteger, (uint64_t)INT64_MAX));
        return true;
    case VALUE_DOUBLE:
        if (isnan(value.number))
            return false;
        *out = millionths(value.number);
        return true;
    default: return false;
    }
}
