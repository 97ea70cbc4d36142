/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/expr.h"

#include "expr/expr_int.h"

const struct expr_type *expr_type_of(const struct expr *expr)
{
    return expr->type;
}

struct str expr_text_of(const struct expr *expr)
{
    return expr->text;
}

bool expr_is_constant(const struct expr *expr)
{
    return !expr->is_timed && expr->read_slot_count == 0 && expr->read_binding_count == 0;
}

struct expr_reads expr_reads(const struct expr *expr)
{
    return (struct expr_reads){
        .slots = expr->read_slots,
        .slot_count = expr->read_slot_count,
        .bindings = expr->read_bindings,
        .binding_count = expr->read_binding_count,
        .is_timed = expr->is_timed,
    };
}

struct str expr_part_text(const struct expr *expr)
{
    return str_part(expr->text, expr->root->from, expr->root->to - expr->root->from);
}
