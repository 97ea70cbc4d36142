/* fn_text.c - text: indices count code points, as CEL has it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/fn.h"

static size_t step(struct str s, size_t at)
{
    at++;
    while (at < s.len && ((unsigned char)s.at[at] & 0xc0) == 0x80)
        at++;
    return at;
}

uint64_t text_length(struct str s)
{
    uint64_t length = 0;
    for (size_t i = 0; i < s.len; i++)
        length += ((unsigned char)s.at[i] & 0xc0) != 0x80;
    return length;
}

/* The byte at which code point `index` begins; SIZE_MAX past the end. */
static size_t byte_of(struct str s, int64_t index)
{
    size_t at = 0;
    for (; index > 0 && at < s.len; index--)
        at = step(s, at);
    return index == 0 ? at : SIZE_MAX;
}

static struct value out_of_range(struct machine *m, int64_t index)
{
    return machine_error(m, "index out of range: %lld", (long long)index);
}

/* Are the arguments of these types? One letter each: s text, i int. */
static bool are(const struct value *a, uint32_t count, const char *types)
{
    for (uint32_t i = 0; i < count; i++)
        if (a[i].type != (types[i] == 's' ? VALUE_TEXT : VALUE_INT))
            return false;
    return true;
}

static bool pay_text(struct machine *m, const struct value *a)
{
    return machine_pay(m, a->text.len / 16 + 1);
}

struct value fn_starts_with(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 2);
    return are(a, 2, "ss") ? value_bool(str_starts(a[0].text, a[1].text)) : no_such_overload();
}

struct value fn_ends_with(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 2);
    return are(a, 2, "ss") ? value_bool(str_ends(a[0].text, a[1].text)) : no_such_overload();
}

struct value fn_contains(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 2);
    if (!are(a, 2, "ss"))
        return no_such_overload();
    if (!pay_text(m, a))
        return over_budget();
    return value_bool(str_find(a[0].text, a[1].text, 0) != SIZE_MAX);
}

struct value fn_matches(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 2);
    if (!are(a, 2, "ss"))
        return no_such_overload();
    /* Compiling a pattern is dear: a constant one is compiled once and does not come here. */
    if (!machine_pay(m, a[0].text.len / 16 + a[1].text.len * 8 + 100))
        return over_budget();
    char why[100];
    struct regex *regex = regex_new(a[1].text.at, a[1].text.len, why, sizeof(why));
    if (regex == NULL)
        return machine_error(m, "invalid pattern: %s", why);
    bool is_found = regex_finds(regex, a[0].text.at, a[0].text.len);
    regex_free(regex);
    return value_bool(is_found);
}

struct value fn_char_at(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 2);
    if (!are(a, 2, "si"))
        return no_such_overload();
    if (!pay_text(m, a))
        return over_budget();
    struct str s = a[0].text;
    size_t at = a[1].integer < 0 ? SIZE_MAX : byte_of(s, a[1].integer);
    if (at == SIZE_MAX)
        return out_of_range(m, a[1].integer);
    return value_text(str_part(s, at, at < s.len ? step(s, at) - at : 0));
}

struct value fn_index_of(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 2 || count == 3);
    if (!are(a, count, "ssi"))
        return no_such_overload();
    if (!pay_text(m, a))
        return over_budget();
    int64_t from = count == 3 ? a[2].integer : 0;
    size_t at = from < 0 ? SIZE_MAX : byte_of(a[0].text, from);
    if (at == SIZE_MAX)
        return out_of_range(m, from);
    size_t found = str_find(a[0].text, a[1].text, at);
    if (found == SIZE_MAX)
        return value_int(-1);
    return value_int((int64_t)text_length(str_part(a[0].text, 0, found)));
}

struct value fn_last_index_of(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 2 || count == 3);
    if (!are(a, count, "ssi"))
        return no_such_overload();
    struct str s = a[0].text, sought = a[1].text;
    if (!machine_pay(m, s.len / 4 + 1))
        return over_budget();
    size_t last = s.len;
    if (count == 3) {
        last = a[2].integer < 0 ? SIZE_MAX : byte_of(s, a[2].integer);
        if (last == SIZE_MAX)
            return out_of_range(m, a[2].integer);
    }
    if (sought.len > s.len)
        return value_int(-1);
    for (size_t at = min_of(last, s.len - sought.len) + 1; at > 0; at--) {
        if (sought.len == 0 ||
            (s.at[at - 1] == sought.at[0] && memcmp(s.at + at - 1, sought.at, sought.len) == 0))
            return value_int((int64_t)text_length(str_part(s, 0, at - 1)));
    }
    return value_int(-1);
}

static struct value with_case(struct machine *m, const struct value *a, char first, char last)
{
    if (a->type != VALUE_TEXT)
        return no_such_overload();
    char *at = machine_alloc(m, a->text.len + 1);
    if (at == NULL)
        return over_budget();
    for (size_t i = 0; i < a->text.len; i++) {
        char c = a->text.at[i];
        at[i] = c >= first && c <= last ? (char)(c ^ 0x20) : c;
    }
    return value_text((struct str){at, a->text.len});
}

struct value fn_lower_ascii(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    return with_case(m, a, 'A', 'Z');
}

struct value fn_upper_ascii(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    return with_case(m, a, 'a', 'z');
}

struct value fn_replace(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 3 || count == 4);
    if (!are(a, count, "sssi"))
        return no_such_overload();
    struct str s = a[0].text, old = a[1].text, new = a[2].text;
    int64_t left = count == 4 ? a[3].integer : -1;
    struct writer w = {.m = m};
    size_t at = 0;
    while (left != 0 && !w.is_over) {
        size_t hit = str_find(s, old, at);
        if (hit == SIZE_MAX)
            break;
        writer_add(&w, str_part(s, at, hit - at));
        writer_add(&w, new);
        left -= left > 0;
        if (old.len == 0) {
            /* Nothing is found before each code point, and at the end. */
            if (hit == s.len) {
                at = hit;
                break;
            }
            size_t next = step(s, hit);
            writer_add(&w, str_part(s, hit, next - hit));
            at = next;
        } else {
            at = hit + old.len;
        }
        if (!machine_pay(m, 1))
            return over_budget();
    }
    writer_add(&w, str_part(s, at, s.len));
    return writer_value(&w);
}

/* How many parts a split has, at most `most`. */
static uint64_t count_parts(struct str s, struct str separator, uint64_t most)
{
    if (separator.len == 0)
        return min_of(text_length(s), most);
    uint64_t parts = 1;
    for (size_t at = 0; parts < most; parts++) {
        size_t hit = str_find(s, separator, at);
        if (hit == SIZE_MAX)
            break;
        at = hit + separator.len;
    }
    return parts;
}

struct value fn_split(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 2 || count == 3);
    if (!are(a, count, "ssi"))
        return no_such_overload();
    if (!pay_text(m, a))
        return over_budget();
    struct str s = a[0].text, separator = a[1].text;
    uint64_t most = count == 3 && a[2].integer >= 0 ? (uint64_t)a[2].integer : UINT32_MAX;
    uint64_t parts = most == 0 ? 0 : count_parts(s, separator, most);
    struct value_list *list = machine_alloc(m, sizeof(*list) + parts * sizeof(struct value));
    if (list == NULL)
        return over_budget();
    list->count = (uint32_t)parts;
    size_t at = 0;
    for (uint64_t i = 0; i < parts; i++) {
        size_t end, next;
        if (i + 1 == parts) {
            end = next = s.len;
        } else if (separator.len == 0) {
            end = next = step(s, at);
        } else {
            end = str_find(s, separator, at);
            next = end + separator.len;
        }
        list->items[i] = value_text(str_part(s, at, end - at));
        at = next;
    }
    return value_list_of(list);
}

struct value fn_substring(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 2 || count == 3);
    if (!are(a, count, "sii"))
        return no_such_overload();
    if (!pay_text(m, a))
        return over_budget();
    struct str s = a[0].text;
    size_t from = a[1].integer < 0 ? SIZE_MAX : byte_of(s, a[1].integer);
    if (from == SIZE_MAX)
        return out_of_range(m, a[1].integer);
    size_t to = s.len;
    if (count == 3) {
        to = a[2].integer < 0 ? SIZE_MAX : byte_of(s, a[2].integer);
        if (to == SIZE_MAX)
            return out_of_range(m, a[2].integer);
        if (to < from)
            return machine_error(m, "invalid substring range. start: %lld, end: %lld",
                                 (long long)a[1].integer, (long long)a[2].integer);
    }
    return value_text(str_part(s, from, to - from));
}

/* Bytes of white space at the front of `s` (Unicode's White_Space), or 0. */
static size_t blank_at(struct str s)
{
    static const char *const blanks[] = {
        " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\xc2\x85", "\u00a0", "\u1680",
        "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",   "\u2007", "\u2008",
        "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000",
    };
    for (size_t i = 0; i < array_count(blanks); i++)
        if (str_starts(s, str_of(blanks[i])))
            return strlen(blanks[i]);
    return 0;
}

struct value fn_trim(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type != VALUE_TEXT)
        return no_such_overload();
    if (!pay_text(m, a))
        return over_budget();
    struct str s = a->text;
    for (size_t bytes; (bytes = blank_at(s)) > 0;)
        s = str_part(s, bytes, s.len);
    while (s.len > 0) {
        size_t last = s.len - 1;
        while (last > 0 && ((unsigned char)s.at[last] & 0xc0) == 0x80)
            last--;
        if (blank_at(str_part(s, last, s.len)) == 0)
            break;
        s.len = last;
    }
    return value_text(s);
}

struct value fn_join(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1 || count == 2);
    if (a[0].type != VALUE_LIST || (count == 2 && a[1].type != VALUE_TEXT))
        return no_such_overload();
    struct writer w = {.m = m};
    for (uint32_t i = 0; i < a->list->count && !w.is_over; i++) {
        if (a->list->items[i].type != VALUE_TEXT)
            return no_such_overload();
        if (i && count == 2)
            writer_add(&w, a[1].text);
        writer_add(&w, a->list->items[i].text);
        if (!machine_pay(m, 1))
            return over_budget();
    }
    return writer_value(&w);
}

struct value fn_quote(struct machine *m, const struct value *a, uint32_t count)
{
    static const char plain[] = "\a\b\f\n\r\t\v\\\"";
    static const char names[] = "abfnrtv\\\"";
    must(count == 1);
    if (a->type != VALUE_TEXT)
        return no_such_overload();
    struct writer w = {.m = m};
    writer_add(&w, STR("\""));
    size_t from = 0;
    for (size_t i = 0; i < a->text.len; i++) {
        const char *hit = a->text.at[i] ? strchr(plain, a->text.at[i]) : NULL;
        if (hit == NULL)
            continue;
        writer_add(&w, str_part(a->text, from, i - from));
        char escape[2] = {'\\', names[hit - plain]};
        writer_add(&w, (struct str){escape, 2});
        from = i + 1;
    }
    writer_add(&w, str_part(a->text, from, a->text.len));
    writer_add(&w, STR("\""));
    return writer_value(&w);
}

/* Base64 (RFC 4648 section 4) -------------------------------------------------------------------- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct value fn_base64_encode(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type != VALUE_BYTES)
        return no_such_overload();
    struct str s = a->text;
    size_t len = (s.len + 2) / 3 * 4;
    char *at = machine_alloc(m, len + 1);
    if (at == NULL)
        return over_budget();
    for (size_t i = 0, o = 0; i < s.len; i += 3, o += 4) {
        size_t left = s.len - i;
        uint32_t bits = (uint32_t)(unsigned char)s.at[i] << 16;
        if (left > 1)
            bits |= (uint32_t)(unsigned char)s.at[i + 1] << 8;
        if (left > 2)
            bits |= (unsigned char)s.at[i + 2];
        at[o] = base64_digits[bits >> 18];
        at[o + 1] = base64_digits[bits >> 12 & 63];
        at[o + 2] = left > 1 ? base64_digits[bits >> 6 & 63] : '=';
        at[o + 3] = left > 2 ? base64_digits[bits & 63] : '=';
    }
    return value_text((struct str){at, len});
}

struct value fn_base64_decode(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type != VALUE_TEXT)
        return no_such_overload();
    struct str s = a->text;
    if (s.len % 4 == 0 && str_ends(s, STR("==")))
        s.len -= 2;
    else if (s.len % 4 == 0 && str_ends(s, STR("=")))
        s.len -= 1;
    char *at = machine_alloc(m, s.len + 1);
    if (at == NULL)
        return over_budget();
    uint32_t bits = 0, held = 0;
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        const char *hit = s.at[i] ? strchr(base64_digits, s.at[i]) : NULL;
        if (hit == NULL)
            return machine_error(m, "illegal base64 data at byte %zu", i);
        bits = bits << 6 | (uint32_t)(hit - base64_digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            at[len++] = (char)(bits >> held & 0xff);
        }
    }
    if (s.len % 4 == 1 || (bits & ((1u << held) - 1)) != 0)
        return ERROR("illegal base64 data at its end");
    return value_bytes((struct str){at, len});
}
