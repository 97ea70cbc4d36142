/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/expr_int.h"

static const struct {
    enum slip_kind kind;
    const char *written, *advice;
} slips[] = {
#define SLIP(kind, written, advice) {SLIP_##kind, written, advice},
#include "expr/slips.def"
#undef SLIP
};

const char *slip_advice(enum slip_kind kind, struct str written)
{
    for (size_t i = 0; i < array_count(slips); i++)
        if (slips[i].kind == kind && str_equal_nocase(written, str_of(slips[i].written)))
            return slips[i].advice;
    return NULL;
}
