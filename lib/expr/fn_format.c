/* fn_format.c - "%s has %d".format([...]).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "expr/fn.h"

#define PRECISION_MAX 100

static struct value refused(struct machine *m, const char *why, const struct value *v)
{
    struct str type = value_cel_type(v);
    return machine_error(m, "error during formatting: %s, was given %.*s", why, STR_ARG(type));
}

/* NaN and Infinity are written as words whatever the clause. */
static bool add_special(struct writer *w, const struct value *v)
{
    if (v->type != VALUE_DOUBLE || isfinite(v->number))
        return false;
    char text[32];
    writer_add(w, double_print(v->number, text));
    return true;
}

static bool add_hex(struct writer *w, const struct value *v, bool is_upper, struct value *error)
{
    const char *digits = is_upper ? "0123456789ABCDEF" : "0123456789abcdef";
    if (v->type == VALUE_INT && v->integer < 0)
        writer_printf(w, is_upper ? "-%" PRIX64 : "-%" PRIx64, 0 - v->uinteger);
    else if (v->type == VALUE_INT || v->type == VALUE_UINT)
        writer_printf(w, is_upper ? "%" PRIX64 : "%" PRIx64, v->uinteger);
    else if (v->type == VALUE_TEXT || v->type == VALUE_BYTES) {
        for (size_t i = 0; i < v->text.len && !w->is_over; i++) {
            unsigned char c = (unsigned char)v->text.at[i];
            char pair[2] = {digits[c >> 4], digits[c & 15]};
            writer_add(w, (struct str){pair, 2});
        }
    } else {
        *error =
            refused(w->m, "only integers, byte buffers, and strings can be formatted as hex", v);
        return false;
    }
    return true;
}

static bool add_binary(struct writer *w, const struct value *v, struct value *error)
{
    uint64_t bits;
    bool is_negative = v->type == VALUE_INT && v->integer < 0;
    if (v->type == VALUE_BOOL)
        bits = v->boolean;
    else if (v->type == VALUE_INT || v->type == VALUE_UINT)
        bits = is_negative ? 0 - v->uinteger : v->uinteger;
    else {
        *error = refused(w->m, "only integers and bools can be formatted as binary", v);
        return false;
    }
    char digits[65];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + (bits & 1));
    while (bits >>= 1);
    if (is_negative)
        writer_add(w, STR("-"));
    writer_add(w, (struct str){digits + at, sizeof(digits) - at});
    return true;
}

static bool add_number(struct writer *w, const struct value *v, char clause, int precision,
                       struct value *error)
{
    if (add_special(w, v))
        return true;
    double number = v->type == VALUE_INT    ? (double)v->integer
                    : v->type == VALUE_UINT ? (double)v->uinteger
                                            : v->number;
    if (v->type != VALUE_DOUBLE && v->type != VALUE_INT && v->type != VALUE_UINT) {
        *error = refused(w->m,
                         clause == 'e' ? "scientific clause can only be used on doubles"
                                       : "fixed-point clause can only be used on doubles",
                         v);
        return false;
    }
    if (precision < 0)
        precision = 6;
    /* A double has at most 309 digits before its point. */
    if (clause == 'e')
        writer_printf(w, "%.*e", precision, number);
    else
        writer_printf(w, "%.*f", precision, number);
    return true;
}

/* One clause for one value. */
static bool add_clause(struct writer *w, char clause, int precision, const struct value *v,
                       struct value *error)
{
    switch (clause) {
    case 's': return writer_add_value(w, v, error);
    case 'd':
        if (add_special(w, v))
            return true;
        if (v->type != VALUE_INT && v->type != VALUE_UINT) {
            *error = refused(w->m, "decimal clause can only be used on integers", v);
            return false;
        }
        return writer_add_value(w, v, error);
    case 'e':
    case 'f': return add_number(w, v, clause, precision, error);
    case 'b': return add_binary(w, v, error);
    case 'x': return add_hex(w, v, false, error);
    case 'X': return add_hex(w, v, true, error);
    case 'o':
        if (v->type != VALUE_INT && v->type != VALUE_UINT) {
            *error = refused(w->m, "octal clause can only be used on integers", v);
            return false;
        }
        if (v->type == VALUE_INT && v->integer < 0)
            writer_printf(w, "-%" PRIo64, 0 - v->uinteger);
        else
            writer_printf(w, "%" PRIo64, v->uinteger);
        return true;
    default:
        *error = machine_error(w->m,
                               "could not parse formatting clause: unrecognized formatting clause "
                               "\"%c\"",
                               clause);
        return false;
    }
}

struct value fn_format(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 2);
    if (a[0].type != VALUE_TEXT || a[1].type != VALUE_LIST)
        return no_such_overload();
    struct str s = a[0].text;
    const struct value_list *list = a[1].list;
    struct writer w = {.m = m};
    uint32_t used = 0;
    for (size_t i = 0; i < s.len && !w.is_over;) {
        size_t percent = i;
        while (percent < s.len && s.at[percent] != '%')
            percent++;
        writer_add(&w, str_part(s, i, percent - i));
        if (percent == s.len)
            break;
        i = percent + 1;
        if (i < s.len && s.at[i] == '%') {
            writer_add(&w, STR("%"));
            i++;
            continue;
        }
        int precision = -1;
        if (i < s.len && s.at[i] == '.') {
            precision = 0;
            for (i++; i < s.len && s.at[i] >= '0' && s.at[i] <= '9'; i++) {
                precision = precision * 10 + (s.at[i] - '0');
                if (precision > PRECISION_MAX)
                    return ERROR("could not parse formatting clause: the precision is too large");
            }
        }
        if (i == s.len)
            return ERROR("could not parse formatting clause: it is cut off");
        if (used == list->count)
            return machine_error(m, "index %u out of range", used);
        struct value error = over_budget();
        if (!machine_pay(m, 2) || !add_clause(&w, s.at[i], precision, &list->items[used++], &error))
            return error;
        i++;
    }
    return writer_value(&w);
}
