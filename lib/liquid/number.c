/* Numbers as people expect them in a message: 10.1 - 2.2 is 7.9, not 7.8999999999999995.
 *
 * A double stands for the shortest decimal number that reads back as it (17 digits at most). Sums,
 * products, quotients and rests are those of the decimal numbers, in 128 bit integers, and become the
 * nearest double at the end. Where the digits do not fit, which is far outside of prices and counts,
 * the machine's own arithmetic answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/liquid_int.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json/json_write.h"

__extension__ typedef __int128 wide;

#define SHIFT_MAX  20 /* powers of ten that may be multiplied to a coefficient of 17 digits */
#define DIGITS_MAX 30 /* what round: may be asked for, either way */

/* coefficient * 10^exponent */
struct decimal {
    wide coefficient;
    int exponent;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static wide power_of_ten(int exponent)
{
    wide power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

/* Reads "-1.25e-07", which is all that json_print_scientific() writes. */
static struct decimal decimal_of_text(const char *at, const char *end)
{
    struct decimal d = {0};
    bool is_negative = at < end && *at == '-';
    bool is_behind_point = false;
    at += is_negative;
    for (; at < end && *at != 'e'; at++) {
        if (*at == '.') {
            is_behind_point = true;
            continue;
        }
        d.coefficient = d.coefficient * 10 + (*at - '0');
        d.exponent -= is_behind_point;
    }
    if (at < end) {
        bool is_small = at[1] == '-';
        int exponent = 0;
        for (at += 2; at < end; at++)
            exponent = exponent * 10 + (*at - '0');
        d.exponent += is_small ? -exponent : exponent;
    }
    if (is_negative)
        d.coefficient = -d.coefficient;
    return d;
}

static struct decimal decimal_of(struct value x)
{
    if (x.type == VALUE_INT)
        return (struct decimal){x.integer, 0};
    char text[JSON_DOUBLE_BYTES];
    size_t len = json_print_scientific(x.number, text);
    return decimal_of_text(text, text + len);
}

static double as_double(struct value x)
{
    return x.type == VALUE_INT ? (double)x.integer : x.number;
}

static size_t print_wide(wide x, char *out)
{
    char reversed[48];
    size_t count = 0, len = 0;
    bool is_negative = x < 0;
    do {
        int digit = (int)(x % 10);
        reversed[count++] = (char)('0' + (digit < 0 ? -digit : digit));
        x /= 10;
    } while (x);
    if (is_negative)
        out[len++] = '-';
    while (count)
        out[len++] = reversed[--count];
    return len;
}

static struct value decimal_value(struct decimal d)
{
    char text[80];
    size_t len = print_wide(d.coefficient, text);
    snprintf(text + len, sizeof(text) - len, "e%d", d.exponent);
    double x = strtod(text, NULL);
    return value_double(isfinite(x) ? x : 0);
}

/* An int where it fits into one. */
static struct value decimal_int(struct decimal d)
{
    if (d.coefficient == 0)
        return value_int(0);
    if (d.exponent <= 18) {
        wide whole = d.coefficient * power_of_ten(max_of(d.exponent, 0));
        if (whole >= INT64_MIN && whole <= INT64_MAX)
            return value_int((int64_t)whole);
    }
    return decimal_value(d);
}

/* Both with the exponent of the smaller one; false if the digits would not fit. */
static bool align(struct decimal *a, struct decimal *b)
{
    int difference = a->exponent - b->exponent;
    if (a->coefficient == 0 || b->coefficient == 0) {
        struct decimal *zero = a->coefficient == 0 ? a : b;
        zero->exponent = a->coefficient == 0 ? b->exponent : a->exponent;
        return true;
    }
    struct decimal *larger = difference > 0 ? a : b;
    int shift = abs(difference);
    if (shift > SHIFT_MAX - 2)
        return false;
    larger->coefficient *= power_of_ten(shift);
    larger->exponent -= shift;
    return true;
}

static wide floor_rest(wide a, wide b)
{
    wide rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static bool fits_more(wide x)
{
    wide most = power_of_ten(36);
    return x != 0 && x < most && x > -most;
}

static double by_machine(enum arithmetic op, double a, double b)
{
    switch (op) {
    case ADD: return a + b;
    case SUBTRACT: return a - b;
    case MULTIPLY: return a * b;
    case DIVIDE: return a / b;
    case MODULO: return a - floor(a / b) * b;
    }
    must(false);
    return 0;
}

static struct value arithmetic_double(enum arithmetic op, struct value a, struct value b)
{
    struct decimal x = decimal_of(a), y = decimal_of(b);
    switch (op) {
    case SUBTRACT:
        y.coefficient = -y.coefficient;
        if (align(&x, &y))
            return decimal_value((struct decimal){x.coefficient + y.coefficient, x.exponent});
        break;
    case ADD:
        if (align(&x, &y))
            return decimal_value((struct decimal){x.coefficient + y.coefficient, x.exponent});
        break;
    case MULTIPLY:
        return decimal_value(
            (struct decimal){x.coefficient * y.coefficient, x.exponent + y.exponent});
    case DIVIDE:
        /* As many digits as there is room for, so that at least 18 come out. */
        while (fits_more(x.coefficient)) {
            x.coefficient *= 10;
            x.exponent--;
        }
        return decimal_value(
            (struct decimal){x.coefficient / y.coefficient, x.exponent - y.exponent});
    case MODULO:
        if (align(&x, &y))
            return decimal_value(
                (struct decimal){floor_rest(x.coefficient, y.coefficient), x.exponent});
        break;
    }
    double result = by_machine(op, as_double(a), as_double(b));
    return value_double(isfinite(result) ? result : 0);
}

/* False where the result is no int64. */
static bool arithmetic_int(enum arithmetic op, int64_t a, int64_t b, int64_t *out)
{
    switch (op) {
    case ADD: return !__builtin_add_overflow(a, b, out);
    case SUBTRACT: return !__builtin_sub_overflow(a, b, out);
    case MULTIPLY: return !__builtin_mul_overflow(a, b, out);
    case DIVIDE:
        if (a == INT64_MIN && b == -1)
            return false;
        *out = a / b - (a % b != 0 && (a % b < 0) != (b < 0));
        return true;
    case MODULO: *out = b == -1 ? 0 : (int64_t)floor_rest(a, b); return true;
    }
    must(false);
    return false;
}

struct value liquid_arithmetic(enum arithmetic op, struct value a, struct value b)
{
    must(a.type == VALUE_INT || a.type == VALUE_DOUBLE);
    must(b.type == VALUE_INT || b.type == VALUE_DOUBLE);
    if (op == DIVIDE || op == MODULO)
        must(as_double(b) != 0);
    int64_t whole;
    if (a.type == VALUE_INT && b.type == VALUE_INT &&
        arithmetic_int(op, a.integer, b.integer, &whole))
        return value_int(whole);
    return arithmetic_double(op, a, b);
}

/* coefficient / 10^shift, an integer. */
static wide divide_rounded(wide coefficient, int shift, enum rounding rounding)
{
    if (shift > 37)
        return rounding == ROUND_DOWN && coefficient < 0 ? -1
               : rounding == ROUND_UP && coefficient > 0 ? 1
                                                         : 0;
    wide by = power_of_ten(shift);
    wide whole = coefficient / by;
    wide rest = coefficient % by;
    switch (rounding) {
    case ROUND_DOWN: return whole - (rest < 0);
    case ROUND_UP: return whole + (rest > 0);
    case ROUND_NEAREST: break;
    }
    wide rest_size = rest < 0 ? -rest : rest;
    return rest_size >= by - rest_size ? whole + (coefficient < 0 ? -1 : 1) : whole;
}

struct value liquid_round(struct value x, enum rounding rounding, int64_t digits)
{
    must(x.type == VALUE_INT || x.type == VALUE_DOUBLE);
    digits = max_of(min_of(digits, DIGITS_MAX), -DIGITS_MAX);
    if (x.type == VALUE_INT && digits >= 0)
        return x;
    struct decimal d = decimal_of(x);
    if (d.exponent < -digits) {
        d.coefficient = divide_rounded(d.coefficient, (int)-digits - d.exponent, rounding);
        d.exponent = (int)-digits;
    }
    return digits <= 0 ? decimal_int(d) : decimal_value(d);
}

/* Ruby's String#to_i: the integer at the beginning, or 0. */
static struct value int_prefix(struct str text)
{
    size_t at = 0;
    bool is_negative = false;
    if (text.len && (text.at[0] == '-' || text.at[0] == '+'))
        is_negative = text.at[at++] == '-';
    int64_t sum = 0;
    for (; at < text.len && is_digit(text.at[at]); at++)
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, is_negative ? '0' - text.at[at] : text.at[at] - '0', &sum))
            return value_int(is_negative ? INT64_MIN : INT64_MAX);
    return value_int(sum);
}

/* -?digits.digits */
static bool is_plain_decimal(struct str text)
{
    size_t at = text.len && text.at[0] == '-';
    size_t whole_from = at;
    while (at < text.len && is_digit(text.at[at]))
        at++;
    if (at == whole_from || at == text.len || text.at[at] != '.')
        return false;
    size_t behind_from = ++at;
    while (at < text.len && is_digit(text.at[at]))
        at++;
    return at > behind_from && at == text.len;
}

static struct value number_of_text(struct str text)
{
    text = str_trim(text);
    double x;
    if (is_plain_decimal(text) && str_to_double(text, &x) && isfinite(x))
        return value_double(x);
    return int_prefix(text);
}

struct value liquid_to_number(struct value x)
{
    switch ((enum value_type)x.type) {
    case VALUE_INT: return value_int(x.integer);
    case VALUE_UINT:
        return x.uinteger <= INT64_MAX ? value_int((int64_t)x.uinteger)
                                       : value_double((double)x.uinteger);
    case VALUE_DOUBLE: return value_double(isfinite(x.number) ? x.number : 0);
    case VALUE_TEXT: return number_of_text(x.text);
    case VALUE_NONE:
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_BYTES:
    case VALUE_TIME:
    case VALUE_DURATION:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_TYPE:
    case VALUE_ERROR: break;
    }
    return value_int(0);
}

bool liquid_to_index(struct value x, int64_t *out)
{
    if (x.type == VALUE_TEXT)
        return str_to_int(str_trim(x.text), out);
    struct value number = liquid_to_number(x);
    if (x.type == VALUE_INT || (x.type == VALUE_UINT && number.type == VALUE_INT)) {
        *out = number.integer;
        return true;
    }
    if (x.type == VALUE_DOUBLE && number.number == floor(number.number) &&
        fabs(number.number) < 9e18) {
        *out = (int64_t)number.number;
        return true;
    }
    return false;
}

int64_t liquid_to_whole(struct value x)
{
    struct value number = liquid_to_number(x);
    if (number.type == VALUE_INT)
        return number.integer;
    if (number.number >= 9.2e18)
        return INT64_MAX;
    return number.number <= -9.2e18 ? INT64_MIN : (int64_t)number.number;
}

size_t liquid_print_number(struct value x, char out[NUMBER_TEXT_BYTES])
{
    if (x.type == VALUE_INT)
        return (size_t)snprintf(out, NUMBER_TEXT_BYTES, "%" PRId64, x.integer);
    must(x.type == VALUE_DOUBLE);
    struct decimal d = decimal_of(x);
    char digits[48];
    bool is_negative = d.coefficient < 0 || (d.coefficient == 0 && signbit(x.number));
    int count = (int)print_wide(d.coefficient < 0 ? -d.coefficient : d.coefficient, digits);
    while (count > 1 && digits[count - 1] == '0') {
        count--;
        d.exponent++;
    }
    int point = d.coefficient ? count + d.exponent : 1; /* digits before the point */
    const char *sign = is_negative ? "-" : "";
    int len;
    if (point > 16 || point < -3)
        len = snprintf(out, NUMBER_TEXT_BYTES, "%s%c.%.*se%c%02d", sign, digits[0],
                       count > 1 ? count - 1 : 1, count > 1 ? digits + 1 : "0",
                       point > 0 ? '+' : '-', abs(point - 1));
    else if (point <= 0)
        len = snprintf(out, NUMBER_TEXT_BYTES, "%s0.%.*s%.*s", sign, -point, "000", count, digits);
    else if (point < count)
        len = snprintf(out, NUMBER_TEXT_BYTES, "%s%.*s.%.*s", sign, point, digits, count - point,
                       digits + point);
    else
        len = snprintf(out, NUMBER_TEXT_BYTES, "%s%.*s%.*s.0", sign, count, digits, point - count,
                       "0000000000000000");
    must(len > 0);
    must(len < NUMBER_TEXT_BYTES);
    return (size_t)len;
}
