/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_write.h"
#include "json/json_shim.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define BIT(depth) (UINT64_C(1) << ((depth)-1))

_Static_assert(JSON_DOUBLE_BYTES == JSON_SHIM_DOUBLE_BYTES, "one size for both");
_Static_assert(JSON_WRITE_DEPTH_MAX <= 64, "a bit for each open container");

void json_write_init(struct json_writer *w, struct buf *out, enum json_layout layout)
{
    *w = (struct json_writer){.out = out, .layout = layout};
}

static void new_line(struct json_writer *w)
{
    if (w->layout != JSON_PRETTY)
        return;
    buf_add_byte(w->out, '\n');
    for (uint32_t i = 0; i < w->depth; i++)
        buf_add(w->out, "  ", 2);
}

/* The comma and the line before the next key or item. */
static void next_item(struct json_writer *w)
{
    if (w->has_items & BIT(w->depth))
        buf_add_byte(w->out, ',');
    w->has_items |= BIT(w->depth);
    new_line(w);
}

static bool is_in_map(const struct json_writer *w)
{
    return w->depth && w->is_map & BIT(w->depth);
}

/* Before each value. */
static void begin_value(struct json_writer *w)
{
    if (is_in_map(w)) {
        must(w->is_after_key);
        w->is_after_key = false;
    } else if (w->depth) {
        next_item(w);
    }
}

static void open_container(struct json_writer *w, bool is_map)
{
    must(w->depth < JSON_WRITE_DEPTH_MAX);
    begin_value(w);
    w->depth++;
    w->has_items &= ~BIT(w->depth);
    w->is_map = is_map ? w->is_map | BIT(w->depth) : w->is_map & ~BIT(w->depth);
    buf_add_byte(w->out, is_map ? '{' : '[');
}

void json_write_map(struct json_writer *w)
{
    open_container(w, true);
}

void json_write_list(struct json_writer *w)
{
    open_container(w, false);
}

void json_write_end(struct json_writer *w)
{
    must(w->depth > 0);
    must(!w->is_after_key);
    bool is_map = is_in_map(w);
    bool has_items = w->has_items & BIT(w->depth);
    w->depth--;
    if (has_items)
        new_line(w);
    buf_add_byte(w->out, is_map ? '}' : ']');
}

void json_write_key(struct json_writer *w, struct str key)
{
    must(is_in_map(w));
    must(!w->is_after_key);
    next_item(w);
    json_add_text(w->out, key);
    buf_add_byte(w->out, ':');
    if (w->layout == JSON_PRETTY)
        buf_add_byte(w->out, ' ');
    w->is_after_key = true;
}

void json_write_raw(struct json_writer *w, struct str json)
{
    must(json.len > 0);
    begin_value(w);
    buf_add_str(w->out, json);
}

void json_write_null(struct json_writer *w)
{
    json_write_raw(w, STR("null"));
}

void json_write_bool(struct json_writer *w, bool x)
{
    json_write_raw(w, x ? STR("true") : STR("false"));
}

void json_write_uint(struct json_writer *w, uint64_t x)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + x % 10);
        x /= 10;
    } while (x);
    json_write_raw(w, (struct str){digits + at, sizeof(digits) - at});
}

void json_write_int(struct json_writer *w, int64_t x)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRId64, x);
    json_write_raw(w, (struct str){digits, (size_t)len});
}

size_t json_print_scientific(double x, char out[JSON_DOUBLE_BYTES])
{
    must(isfinite(x));
    return json_shim_scientific(x, out);
}

void json_add_double(struct buf *out, double x)
{
    if (!isfinite(x)) {
        buf_add_str(out, STR("null"));
        return;
    }
    char digits[JSON_SHIM_DOUBLE_BYTES];
    size_t len = json_shim_double(x, digits);
    buf_add(out, digits, len);
    if (!memchr(digits, '.', len) && !memchr(digits, 'e', len))
        buf_add(out, ".0", 2);
}

void json_write_double(struct json_writer *w, double x)
{
    begin_value(w);
    json_add_double(w->out, x);
}

void json_write_text(struct json_writer *w, struct str text)
{
    begin_value(w);
    json_add_text(w->out, text);
}

/* --- texts ---------------------------------------------------------------------------------- */

/* How many bytes from `at` on may be copied as they are. */
static size_t plain_bytes(const char *at, size_t bytes)
{
    size_t i = 0;
    while (i < bytes) {
        unsigned char c = (unsigned char)at[i];
        if (c < 0x20 || c == '"' || c == '\\' || c >= 0x7f)
            break;
        i++;
    }
    return i;
}

static void add_escape(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"': buf_add(out, "\\\"", 2); return;
    case '\\': buf_add(out, "\\\\", 2); return;
    case '\n': buf_add(out, "\\n", 2); return;
    case '\r': buf_add(out, "\\r", 2); return;
    case '\t': buf_add(out, "\\t", 2); return;
    case '\b': buf_add(out, "\\b", 2); return;
    case '\f': buf_add(out, "\\f", 2); return;
    }
    char code[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    buf_add(out, code, sizeof(code));
}

/* The bytes of one character that starts with a byte >= 0x80, or 0 if it is not UTF-8. */
static size_t character_bytes(struct str text, size_t at)
{
    unsigned char c = (unsigned char)text.at[at];
    size_t bytes = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    struct str part = str_part(text, at, bytes);
    return part.len == bytes && str_is_utf8(part) ? bytes : 0;
}

void json_add_text(struct buf *out, struct str text)
{
    buf_add_byte(out, '"');
    size_t at = 0;
    while (at < text.len) {
        size_t plain = plain_bytes(text.at + at, text.len - at);
        buf_add(out, text.at + at, plain);
        at += plain;
        if (at == text.len)
            break;
        unsigned char c = (unsigned char)text.at[at];
        if (c < 0x80) {
            add_escape(out, c);
            at++;
            continue;
        }
        size_t bytes = character_bytes(text, at);
        if (bytes)
            buf_add(out, text.at + at, bytes);
        else
            buf_add(out, "\xef\xbf\xbd", 3);
        at += max_of(bytes, (size_t)1);
    }
    buf_add_byte(out, '"');
}

/* --- dynamic values ------------------------------------------------------------------------- */

/* Year, month and day of a count of days since 1970-01-01 (civil_from_days of Howard Hinnant's
 * "chrono-compatible low-level date algorithms": years begin in March, 400 of them repeat). */
static void add_date(struct buf *out, int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    buf_printf(out, "%04" PRId64 "-%02" PRId64 "-%02" PRId64, year, month, day);
}

static void add_fraction(struct buf *out, uint32_t ns, size_t digits_min)
{
    char digits[10];
    snprintf(digits, sizeof(digits), "%09u", ns);
    size_t len = 9;
    while (len > digits_min && digits[len - 1] == '0')
        len--;
    if (len == 0)
        return;
    buf_add_byte(out, '.');
    buf_add(out, digits, len);
}

static void write_time(struct json_writer *w, struct value x)
{
    int64_t days = x.integer / DAY_MS - (x.integer % DAY_MS < 0);
    int64_t in_day_ms = (x.integer % DAY_MS + DAY_MS) % DAY_MS;
    begin_value(w);
    buf_add_byte(w->out, '"');
    add_date(w->out, days);
    buf_printf(w->out, "T%02d:%02d:%02d", (int)(in_day_ms / HOUR_MS),
               (int)(in_day_ms / MINUTE_MS % 60), (int)(in_day_ms / SECOND_MS % 60));
    add_fraction(w->out, (uint32_t)(in_day_ms % SECOND_MS) * 1000000 + x.sub_ns, 3);
    buf_add(w->out, "Z\"", 2);
}

static void write_duration(struct json_writer *w, struct value x)
{
    /* Seconds rounded down and a fraction above them; then both turned if it is negative. */
    int64_t seconds = x.integer / SECOND_MS - (x.integer % SECOND_MS < 0);
    int64_t ns = (x.integer % SECOND_MS + SECOND_MS) % SECOND_MS * 1000000 + x.sub_ns;
    bool is_negative = seconds < 0;
    if (is_negative && ns) {
        seconds++;
        ns = 1000000000 - ns;
    }
    begin_value(w);
    buf_printf(w->out, "\"%s%" PRIu64, is_negative ? "-" : "",
               is_negative ? UINT64_C(0) - (uint64_t)seconds : (uint64_t)seconds);
    add_fraction(w->out, (uint32_t)ns, 0);
    buf_add(w->out, "s\"", 2);
}

static void write_bytes(struct json_writer *w, struct str bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    begin_value(w);
    buf_add_byte(w->out, '"');
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = min_of(bytes.len - i, (size_t)3);
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (j < have ? (unsigned char)bytes.at[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            buf_add_byte(w->out, (uint8_t)(j <= have ? letters[bits >> (18 - 6 * j) & 63] : '='));
    }
    buf_add_byte(w->out, '"');
}

/* Everything but lists and maps. */
static void write_scalar(struct json_writer *w, struct value x)
{
    switch ((enum value_type)x.type) {
    case VALUE_NONE:
    case VALUE_NULL: json_write_null(w); return;
    case VALUE_BOOL: json_write_bool(w, x.boolean); return;
    case VALUE_INT: json_write_int(w, x.integer); return;
    case VALUE_UINT: json_write_uint(w, x.uinteger); return;
    case VALUE_DOUBLE: json_write_double(w, x.number); return;
    case VALUE_TEXT:
    case VALUE_TYPE: json_write_text(w, x.text); return;
    case VALUE_BYTES: write_bytes(w, x.text); return;
    case VALUE_TIME: write_time(w, x); return;
    case VALUE_DURATION: write_duration(w, x); return;
    case VALUE_ERROR:
        json_write_map(w);
        json_write_key_text(w, "error", x.text);
        json_write_end(w);
        return;
    case VALUE_LIST:
    case VALUE_MAP: break;
    }
    must(false);
}

/* Keys are texts; a map of CEL may also have ints and bools as keys, which JSON writes as texts. */
static void write_key_value(struct json_writer *w, struct value key)
{
    if (key.type == VALUE_TEXT) {
        json_write_key(w, key.text);
        return;
    }
    char digits[24];
    int len = 0;
    if (key.type == VALUE_INT)
        len = snprintf(digits, sizeof(digits), "%" PRId64, key.integer);
    else if (key.type == VALUE_UINT)
        len = snprintf(digits, sizeof(digits), "%" PRIu64, key.uinteger);
    else if (key.type == VALUE_BOOL)
        len = snprintf(digits, sizeof(digits), "%s", key.boolean ? "true" : "false");
    must(len > 0);
    json_write_key(w, (struct str){digits, (size_t)len});
}

struct writing {
    struct value container;
    uint32_t next;
};

static bool is_container(struct value x)
{
    return x.type == VALUE_LIST || x.type == VALUE_MAP;
}

static void open_value(struct json_writer *w, struct value x)
{
    if (x.type == VALUE_LIST)
        json_write_list(w);
    else
        json_write_map(w);
}

void json_write_value(struct json_writer *w, struct value x)
{
    if (!is_container(x)) {
        write_scalar(w, x);
        return;
    }
    struct writing stack[JSON_WRITE_DEPTH_MAX];
    uint32_t depth = 0;
    open_value(w, x);
    stack[depth++] = (struct writing){x, 0};
    while (depth) {
        struct writing *top = &stack[depth - 1];
        bool is_list = top->container.type == VALUE_LIST;
        uint32_t count = is_list ? top->container.list->count : top->container.map->count;
        if (top->next == count) {
            json_write_end(w);
            depth--;
            continue;
        }
        struct value item;
        if (is_list) {
            item = top->container.list->items[top->next++];
        } else {
            const struct value_pair *pair = &top->container.map->pairs[top->next++];
            write_key_value(w, pair->key);
            item = pair->value;
        }
        if (is_container(item)) {
            must(depth < JSON_WRITE_DEPTH_MAX);
            open_value(w, item);
            stack[depth++] = (struct writing){item, 0};
        } else {
            write_scalar(w, item);
        }
    }
}

void json_write_key_null(struct json_writer *w, const char *key)
{
    json_write_key(w, str_of(key));
    json_write_null(w);
}

void json_write_key_bool(struct json_writer *w, const char *key, bool x)
{
    json_write_key(w, str_of(key));
    json_write_bool(w, x);
}

void json_write_key_int(struct json_writer *w, const char *key, int64_t x)
{
    json_write_key(w, str_of(key));
    json_write_int(w, x);
}

void json_write_key_double(struct json_writer *w, const char *key, double x)
{
    json_write_key(w, str_of(key));
    json_write_double(w, x);
}

void json_write_key_text(struct json_writer *w, const char *key, struct str text)
{
    json_write_key(w, str_of(key));
    json_write_text(w, text);
}

bool json_write_is_done(const struct json_writer *w)
{
    return w->depth == 0;
}
