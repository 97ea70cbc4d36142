/* print.c - for people: code, and values as CEL would write them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>

#include "expr/expr_int.h"

#define PRINT_DEPTH_MAX 20

static void print_text(struct buf *out, struct str s, size_t bytes_max)
{
    buf_add_byte(out, '"');
    for (size_t i = 0; i < s.len && out->len < bytes_max; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_add_str(out, STR("\\n"));
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", c);
        else
            buf_add_byte(out, c);
    }
    buf_add_byte(out, '"');
}

static void print_value(struct buf *out, const struct value *v, size_t bytes_max, int depth)
{
    char text[64];
    if (depth > PRINT_DEPTH_MAX || out->len > bytes_max) {
        buf_add_str(out, STR("..."));
        return;
    }
    switch (v->type) {
    case VALUE_NONE: buf_add_str(out, STR("nothing")); break;
    case VALUE_NULL: buf_add_str(out, STR("null")); break;
    case VALUE_BOOL: buf_add_str(out, v->boolean ? STR("true") : STR("false")); break;
    case VALUE_INT: buf_printf(out, "%" PRId64, v->integer); break;
    case VALUE_UINT: buf_printf(out, "%" PRIu64 "u", v->uinteger); break;
    case VALUE_DOUBLE: {
        struct str number = double_print(v->number, text);
        buf_add_str(out, number);
        if (strcspn(text, ".eNI") == strlen(text) && number.at == text)
            buf_add_str(out, STR(".0"));
        break;
    }
    case VALUE_TEXT: print_text(out, v->text, bytes_max); break;
    case VALUE_BYTES:
        buf_add_byte(out, 'b');
        print_text(out, v->text, bytes_max);
        break;
    case VALUE_TIME:
        buf_add_str(out, STR("timestamp(\""));
        buf_add_str(out, time_print(v, text, sizeof(text)));
        buf_add_str(out, STR("\")"));
        break;
    case VALUE_DURATION:
        buf_add_str(out, STR("duration(\""));
        buf_add_str(out, duration_print(v, text, sizeof(text)));
        buf_add_str(out, STR("\")"));
        break;
    case VALUE_LIST:
        buf_add_byte(out, '[');
        for (uint32_t i = 0; i < v->list->count && out->len <= bytes_max; i++) {
            if (i)
                buf_add_str(out, STR(", "));
            print_value(out, &v->list->items[i], bytes_max, depth + 1);
        }
        buf_add_byte(out, ']');
        break;
    case VALUE_MAP:
        buf_add_byte(out, '{');
        for (uint32_t i = 0; i < v->map->count && out->len <= bytes_max; i++) {
            if (i)
                buf_add_str(out, STR(", "));
            print_value(out, &v->map->pairs[i].key, bytes_max, depth + 1);
            buf_add_str(out, STR(": "));
            print_value(out, &v->map->pairs[i].value, bytes_max, depth + 1);
        }
        buf_add_byte(out, '}');
        break;
    case VALUE_TYPE: buf_add_str(out, v->text); break;
    case VALUE_ERROR:
        buf_add_str(out, STR("error: "));
        buf_add_str(out, v->text);
        break;
    default: buf_add_str(out, STR("?")); break;
    }
}

struct str expr_value_print(struct arena *scratch, const struct value *value, size_t bytes_max)
{
    struct buf out;
    buf_init(&out);
    print_value(&out, value, bytes_max, 0);
    if (out.len > bytes_max) {
        /* Not within a code point. */
        size_t len = bytes_max > 3 ? bytes_max - 3 : 0;
        while (len > 0 && (out.at[len] & 0xc0) == 0x80)
            len--;
        out.len = len;
        buf_add_str(&out, str_part(STR("..."), 0, bytes_max));
    }
    struct str text = arena_copy(scratch, buf_str(&out));
    buf_fini(&out);
    return text;
}

/* Code ------------------------------------------------------------------------------------------ */

static const char *const op_names[] = {
#define X(name, doc) [OP_##name] = #name,
    OPS(X)
#undef X
};

static void print_operand(struct buf *out, const struct expr *expr, uint16_t o)
{
    uint32_t index = o & OPERAND_INDEX;
    if (o & OPERAND_CONST)
        print_value(out, &expr->constants[index], out->len + 60, 0);
    else if (o & OPERAND_SLOT)
        buf_printf(out, "slot %u", expr->slots[index].slot);
    else
        buf_printf(out, "r%u", o);
}

static bool reads_two(enum op_code code)
{
    return (code >= OP_COMPARE && code <= OP_IN) || (code >= OP_ADD && code <= OP_INDEX) ||
           code == OP_MAP_ADD || code == OP_SORT;
}

static bool jumps(const struct op *op)
{
    switch (op->code) {
    case OP_COMPARE:
    case OP_COMPARE_AFFINE:
    case OP_IN:
    case OP_TEST: return op->how & OUTCOME_JUMP;
    case OP_JUMP:
    case OP_CHOOSE:
    case OP_ITERATE:
    case OP_NEXT:
    case OP_LOOP_TEST:
    case OP_COUNT_ONE:
    case OP_OPT_START:
    case OP_OPT_OR: return true;
    default: return false;
    }
}

void expr_dump(const struct expr *expr, struct buf *out)
{
    for (uint32_t i = 0; i < expr->op_count; i++) {
        const struct op *op = &expr->ops[i];
        bool is_call =
            op->code == OP_CALL || op->code == OP_CALL_AFFINE || op->code == OP_CALL_HOST;
        buf_printf(out, "%4u  %-16s r%u", i, op_names[op->code], op->to);
        if (op->code != OP_NOW && op->code != OP_JUMP && !is_call) {
            buf_add_str(out, STR("  "));
            print_operand(out, expr, op->a);
        }
        if (reads_two((enum op_code)op->code)) {
            buf_add_str(out, STR("  "));
            print_operand(out, expr, op->b);
        }
        if (op->code == OP_CALL_HOST)
            buf_printf(out, "  binding %u of %u from r%u", expr->bindings[op->extra], op->b, op->a);
        else if (is_call)
            buf_printf(out, "  %.*s of %u from r%u", STR_ARG(function_table[op->extra].public.name),
                       op->b, op->a);
        if (op->how)
            buf_printf(out, "  how %#x", op->how);
        if (jumps(op))
            buf_printf(out, "  jump %u", op->jump);
        buf_add_byte(out, '\n');
    }
}
