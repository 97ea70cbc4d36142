/* fn_convert.c - from one type to another.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "expr/fn.h"
#include "when/civil.h"

#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

static struct value range(void)
{
    return ERROR("range error");
}

static struct value no_number(struct machine *m, const struct value *a)
{
    return machine_error(m, "Type conversion error: \"%.*s\" is no such value",
                         (int)min_of(a->text.len, (size_t)100), a->text.at);
}

struct value fn_bool(struct machine *m, const struct value *a, uint32_t count)
{
    static const char *const yes[] = {"1", "t", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "false", "FALSE", "False"};
    must(count == 1);
    if (a->type == VALUE_BOOL)
        return *a;
    if (a->type != VALUE_TEXT)
        return no_such_overload();
    for (size_t i = 0; i < array_count(yes); i++) {
        if (str_is(a->text, yes[i]))
            return value_bool(true);
        if (str_is(a->text, no[i]))
            return value_bool(false);
    }
    return no_number(m, a);
}

struct value fn_int(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    int64_t number;
    switch (a->type) {
    case VALUE_INT: return *a;
    case VALUE_UINT: return a->uinteger > INT64_MAX ? range() : value_int((int64_t)a->uinteger);
    case VALUE_DOUBLE:
        if (!(a->number > -TWO_63 && a->number < TWO_63))
            return range();
        return value_int((int64_t)a->number);
    case VALUE_TEXT: return str_to_int(a->text, &number) ? value_int(number) : no_number(m, a);
    case VALUE_TIME: return value_int(a->integer / 1000 - (a->integer % 1000 < 0));
    default: return no_such_overload();
    }
}

struct value fn_uint(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    switch (a->type) {
    case VALUE_UINT: return *a;
    case VALUE_INT: return a->integer < 0 ? range() : value_uint((uint64_t)a->integer);
    case VALUE_DOUBLE:
        if (!(a->number > -1.0 && a->number < TWO_64))
            return range();
        return value_uint(a->number < 0 ? 0 : (uint64_t)a->number);
    case VALUE_TEXT: {
        uint64_t number = 0;
        for (size_t i = 0; i < a->text.len; i++) {
            char c = a->text.at[i];
            if (c < '0' || c > '9' || __builtin_mul_overflow(number, UINT64_C(10), &number) ||
                __builtin_add_overflow(number, (uint64_t)(c - '0'), &number))
                return no_number(m, a);
        }
        return a->text.len ? value_uint(number) : no_number(m, a);
    }
    default: return no_such_overload();
    }
}

static bool named_double(struct str s, double *out)
{
    bool is_negative = str_starts(s, STR("-"));
    if (is_negative || str_starts(s, STR("+")))
        s = str_part(s, 1, s.len);
    if (str_equal_nocase(s, STR("nan")))
        *out = (double)NAN;
    else if (str_equal_nocase(s, STR("inf")) || str_equal_nocase(s, STR("infinity")))
        *out = is_negative ? -(double)INFINITY : (double)INFINITY;
    else
        return false;
    return true;
}

struct value fn_double(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    double number;
    switch (a->type) {
    case VALUE_DOUBLE: return *a;
    case VALUE_INT: return value_double((double)a->integer);
    case VALUE_UINT: return value_double((double)a->uinteger);
    case VALUE_TEXT:
        if (named_double(a->text, &number) || str_to_double(a->text, &number))
            return value_double(number);
        return no_number(m, a);
    default: return no_such_overload();
    }
}

/* Text of numbers and times ---------------------------------------------------------------------- */

struct str double_print(double number, char *out)
{
    if (isnan(number))
        return STR("NaN");
    if (isinf(number))
        return number < 0 ? STR("-Infinity") : STR("Infinity");
    char digits[40];
    if (number == floor(number) && fabs(number) < 1e15) {
        snprintf(out, 32, "%s%.0f", number == 0 && signbit(number) ? "-" : "",
                 fabs(number) == 0 ? 0.0 : number);
        return str_of(out);
    }
    int precision = 0;
    do
        snprintf(digits, sizeof(digits), "%.*e", precision, number);
    while (strtod(digits, NULL) != number && ++precision < 17);
    /* d.ddde±xx to plain digits, unless very small or large. */
    const char *e = strchr(digits, 'e');
    must(e != NULL);
    long exponent = strtol(e + 1, NULL, 10);
    if (exponent < -7 || exponent >= 21) {
        struct str whole = {digits, strlen(digits)};
        memcpy(out, whole.at, whole.len + 1);
        return (struct str){out, whole.len};
    }
    snprintf(out, 32, "%.*f", precision > exponent ? (int)(precision - exponent) : 0, number);
    return str_of(out);
}

struct str time_print(const struct value *v, char *out, size_t bytes)
{
    must(bytes >= TIMESTAMP_BYTES);
    return timestamp_print_exact(v->integer, v->sub_ns, 0, out);
}

struct str duration_print(const struct value *v, char *out, size_t bytes)
{
    __int128 ns = value_ns(v);
    bool is_negative = ns < 0;
    if (is_negative)
        ns = -ns;
    uint64_t seconds = (uint64_t)(ns / 1000000000);
    uint64_t rest = (uint64_t)(ns % 1000000000);
    int len = snprintf(out, bytes, "%s%" PRIu64, is_negative ? "-" : "", seconds);
    if (rest != 0) {
        len += snprintf(out + len, bytes - (size_t)len, ".%09" PRIu64, rest);
        while (out[len - 1] == '0')
            len--;
    }
    must((size_t)len + 1 < bytes);
    out[len++] = 's';
    return (struct str){out, (size_t)len};
}

bool time_parse(struct str s, struct value *out)
{
    struct timestamp t;
    if (timestamp_parse(s, TIMESTAMP_RFC3339, &t, NULL) != OK)
        return false;
    *out = value_time(t.at_ms);
    out->sub_ns = t.sub_ns;
    return true;
}

static const struct {
    const char *name;
    int64_t ns;
} units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000}, /* micro sign */
    {"\xce\xbcs", 1000}, /* Greek mu */
    {"ms", 1000000},
    {"s", INT64_C(1000000000)},
    {"m", INT64_C(60) * 1000000000},
    {"h", INT64_C(3600) * 1000000000},
    {"d", INT64_C(86400) * 1000000000},
    {"w", INT64_C(604800) * 1000000000},
};

/* One number with its unit, off the front of *s. */
static bool parse_part(struct str *s, __int128 *ns)
{
    size_t i = 0;
    uint64_t whole = 0, fraction = 0;
    int64_t scale = 1;
    size_t digits = 0;
    for (; i < s->len && s->at[i] >= '0' && s->at[i] <= '9'; i++, digits++)
        if (__builtin_mul_overflow(whole, UINT64_C(10), &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(s->at[i] - '0'), &whole))
            return false;
    if (i < s->len && s->at[i] == '.') {
        for (i++; i < s->len && s->at[i] >= '0' && s->at[i] <= '9'; i++, digits++) {
            if (scale < INT64_C(1000000000000000)) {
                fraction = fraction * 10 + (uint64_t)(s->at[i] - '0');
                scale *= 10;
            }
        }
    }
    if (digits == 0)
        return false;
    struct str rest = str_part(*s, i, s->len);
    size_t length = 0;
    while (length < rest.len && !(rest.at[length] >= '0' && rest.at[length] <= '9') &&
           rest.at[length] != '.')
        length++;
    struct str name = str_part(rest, 0, length);
    for (size_t u = 0; u < array_count(units); u++) {
        if (!str_is(name, units[u].name))
            continue;
        *ns = (__int128)whole * units[u].ns + (__int128)fraction * units[u].ns / scale;
        *s = str_part(rest, length, rest.len);
        return true;
    }
    return false;
}

bool duration_parse(struct str s, struct value *out)
{
    bool is_negative = str_starts(s, STR("-"));
    if (is_negative || str_starts(s, STR("+")))
        s = str_part(s, 1, s.len);
    __int128 sum = 0;
    if (s.len == 0)
        return false;
    while (s.len && !str_is(s, "0")) {
        __int128 ns;
        if (!parse_part(&s, &ns))
            return false;
        sum += ns;
        if (sum > (__int128)INT64_MAX * 4)
            return false;
    }
    struct value v = value_duration_ns(is_negative ? -sum : sum);
    if (v.type == VALUE_ERROR)
        return false;
    *out = v;
    return true;
}

struct value fn_timestamp(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    struct value v;
    switch (a->type) {
    case VALUE_TIME: return *a;
    case VALUE_INT: return value_time_ns((__int128)a->integer * 1000000000);
    case VALUE_TEXT:
        if (time_parse(a->text, &v))
            return v;
        return machine_error(m, "range: \"%.*s\" is no timestamp, or outside the years 1 to 9999",
                             (int)min_of(a->text.len, (size_t)100), a->text.at);
    default: return no_such_overload();
    }
}

struct value fn_duration(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    struct value v;
    if (a->type == VALUE_DURATION)
        return *a;
    if (a->type != VALUE_TEXT)
        return no_such_overload();
    if (duration_parse(a->text, &v))
        return v;
    return machine_error(m, "range: \"%.*s\" is no duration, or longer than 292 years",
                         (int)min_of(a->text.len, (size_t)100), a->text.at);
}

struct value fn_dyn(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 1);
    return *a;
}

struct value fn_type(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 1);
    return value_type_of(value_cel_type(a));
}

struct value fn_bytes(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 1);
    if (a->type == VALUE_TEXT || a->type == VALUE_BYTES)
        return value_bytes(a->text);
    return no_such_overload();
}

struct value fn_string(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type == VALUE_TEXT)
        return *a;
    if (a->type == VALUE_BYTES) {
        if (!machine_pay(m, a->text.len / 16 + 1))
            return over_budget();
        return str_is_utf8(a->text) ? value_text(a->text) : ERROR("invalid UTF-8");
    }
    if (a->type == VALUE_LIST || a->type == VALUE_MAP || a->type == VALUE_NULL ||
        a->type == VALUE_TYPE)
        return no_such_overload();
    struct writer w = {.m = m};
    struct value error;
    return writer_add_value(&w, a, &error) ? writer_value(&w) : error;
}

/* Text that grows -------------------------------------------------------------------------------- */

void writer_add(struct writer *w, struct str s)
{
    if (w->is_over || s.len == 0)
        return;
    if (w->room - w->len < s.len) {
        size_t room = max_of(w->room * 2, w->len + s.len + 16);
        char *at = machine_alloc(w->m, room);
        if (at == NULL) {
            w->is_over = true;
            return;
        }
        if (w->len)
            memcpy(at, w->at, w->len);
        w->at = at;
        w->room = room;
    }
    memcpy(w->at + w->len, s.at, s.len);
    w->len += s.len;
}

void writer_printf(struct writer *w, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    must(len >= 0 && (size_t)len < sizeof(text));
    writer_add(w, (struct str){text, (size_t)len});
}

struct value writer_value(const struct writer *w)
{
    return w->is_over ? over_budget() : value_text((struct str){w->len ? w->at : "", w->len});
}

#define WRITE_DEPTH_MAX 64

static bool add_value(struct writer *w, const struct value *v, struct value *error, int depth);

static bool add_list(struct writer *w, const struct value_list *list, struct value *error,
                     int depth)
{
    writer_add(w, STR("["));
    for (uint32_t i = 0; i < list->count && !w->is_over; i++) {
        if (i)
            writer_add(w, STR(", "));
        if (!add_value(w, &list->items[i], error, depth + 1))
            return false;
    }
    writer_add(w, STR("]"));
    return true;
}

/* Maps are written in the order of their keys' texts, so that equal maps have equal texts. */
static bool add_map(struct writer *w, const struct value_map *map, struct value *error, int depth)
{
    struct str *keys = machine_alloc(w->m, (uint64_t)map->count * sizeof(*keys) + 1);
    uint32_t *order = machine_alloc(w->m, (uint64_t)map->count * sizeof(*order) + 1);
    if (keys == NULL || order == NULL ||
        !machine_pay(w->m, (uint64_t)map->count * map->count / 8)) {
        w->is_over = true;
        return true;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        struct writer key = {.m = w->m};
        if (!add_value(&key, &map->pairs[i].key, error, depth + 1))
            return false;
        keys[i] = (struct str){key.at, key.len};
        uint32_t at = i;
        for (; at > 0 && str_order(keys[order[at - 1]], keys[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    writer_add(w, STR("{"));
    for (uint32_t i = 0; i < map->count && !w->is_over; i++) {
        if (i)
            writer_add(w, STR(", "));
        writer_add(w, keys[order[i]]);
        writer_add(w, STR(": "));
        if (!add_value(w, &map->pairs[order[i]].value, error, depth + 1))
            return false;
    }
    writer_add(w, STR("}"));
    return true;
}

static bool add_value(struct writer *w, const struct value *v, struct value *error, int depth)
{
    char text[64];
    if (depth > WRITE_DEPTH_MAX) {
        *error = ERROR("values are nested too deeply");
        return false;
    }
    switch (v->type) {
    case VALUE_NULL: writer_add(w, STR("null")); return true;
    case VALUE_BOOL: writer_add(w, v->boolean ? STR("true") : STR("false")); return true;
    case VALUE_INT: writer_printf(w, "%" PRId64, v->integer); return true;
    case VALUE_UINT: writer_printf(w, "%" PRIu64, v->uinteger); return true;
    case VALUE_DOUBLE: writer_add(w, double_print(v->number, text)); return true;
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_TYPE: writer_add(w, v->text); return true;
    case VALUE_TIME: writer_add(w, time_print(v, text, sizeof(text))); return true;
    case VALUE_DURATION: writer_add(w, duration_print(v, text, sizeof(text))); return true;
    case VALUE_LIST: return add_list(w, v->list, error, depth);
    case VALUE_MAP: return add_map(w, v->map, error, depth);
    default:
        *error = ERROR("error during formatting: string clause cannot be used on this type");
        return false;
    }
}

bool writer_add_value(struct writer *w, const struct value *v, struct value *error)
{
    return add_value(w, v, error, 0);
}
