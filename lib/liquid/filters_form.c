/* Filters that put text into another form and back: HTML, URLs, base64, JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/liquid_int.h"

#define NOT_A_DIGIT 0xff

static bool input_text(struct call *c, struct str *s)
{
    return liquid_to_text(c->r, c->input, s) && liquid_step(c->r, s->len / 64);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* --- HTML ------------------------------------------------------------------------------------ */

bool filter_raw(struct call *c)
{
    struct str s;
    if (!input_text(c, &s))
        return false;
    c->result = value_text(s);
    c->result.pad[0] = c->r->t->kind == LIQUID_JSON ? MARK_JSON : MARK_SAFE;
    return true;
}

bool filter_escape(struct call *c)
{
    struct str s;
    if (!input_text(c, &s))
        return false;
    struct build b = liquid_build(c->r);
    text_add_escaped(&b, s);
    if (!build_done(&b, &c->result))
        return false;
    c->result.pad[0] = MARK_SAFE;
    return true;
}

/* The bytes of the entity that begins at s.at[at] (&name; or &#digits;), or 0. */
static size_t entity_bytes(struct str s, size_t at)
{
    size_t end = at + 1;
    bool is_number = end < s.len && s.at[end] == '#';
    end += is_number;
    size_t from = end;
    while (end < s.len && (is_number ? is_digit(s.at[end]) : is_letter(s.at[end])))
        end++;
    return end > from && end < s.len && s.at[end] == ';' ? end + 1 - at : 0;
}

bool filter_escape_once(struct call *c)
{
    struct str s;
    if (!input_text(c, &s))
        return false;
    struct build b = liquid_build(c->r);
    size_t from = 0;
    for (size_t at = 0; at < s.len;) {
        size_t entity = s.at[at] == '&' ? entity_bytes(s, at) : 0;
        if (entity) {
            text_add_escaped(&b, str_part(s, from, at - from));
            build_add(&b, str_part(s, at, entity));
            from = at + entity;
        }
        at += max_of(entity, (size_t)1);
    }
    text_add_escaped(&b, str_part(s, from, s.len));
    if (!build_done(&b, &c->result))
        return false;
    c->result.pad[0] = MARK_SAFE;
    return true;
}

/* What is dropped whole, with what is in it. `is_gone`: no further end was found. */
struct hidden {
    struct str begin;
    struct str end;
    bool is_gone;
};

/* The bytes of a hidden stretch or a tag that begins with the `<` at s.at[at], or 0. */
static size_t markup_bytes(struct str s, size_t at, struct hidden *kinds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (kinds[i].is_gone || !str_starts(str_part(s, at, s.len), kinds[i].begin))
            continue;
        size_t end = str_find(s, kinds[i].end, at + kinds[i].begin.len);
        if (end != SIZE_MAX)
            return end + kinds[i].end.len - at;
        kinds[i].is_gone = true;
    }
    return 0;
}

static void add_without(struct build *b, struct str s, struct hidden *kinds, size_t count)
{
    for (size_t at = 0; at < s.len && !b->is_bad;) {
        size_t open = min_of(str_find(s, STR("<"), at), s.len);
        build_add(b, str_part(s, at, open - at));
        at = open;
        if (at == s.len)
            return;
        size_t bytes = markup_bytes(s, at, kinds, count);
        if (bytes == 0)
            build_add_byte(b, '<');
        at += max_of(bytes, (size_t)1);
    }
}

bool filter_strip_html(struct call *c)
{
    struct str s;
    struct hidden blocks[] = {
        {STR("<script"), STR("</script>"), false},
        {STR("<!--"), STR("-->"), false},
        {STR("<style"), STR("</style>"), false},
    };
    struct hidden tags[] = {{STR("<"), STR(">"), false}};
    if (!input_text(c, &s))
        return false;
    struct build without_blocks = liquid_build(c->r), without_tags = liquid_build(c->r);
    struct value text;
    add_without(&without_blocks, s, blocks, array_count(blocks));
    if (!build_done(&without_blocks, &text))
        return false;
    add_without(&without_tags, text.text, tags, array_count(tags));
    return build_done(&without_tags, &c->result);
}

/* --- URLs ------------------------------------------------------------------------------------ */

bool filter_url_encode(struct call *c)
{
    static const char hex[] = "0123456789ABCDEF";
    struct str s;
    if (!input_text(c, &s))
        return false;
    struct build b = liquid_build(c->r);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char byte = (unsigned char)s.at[i];
        if (is_letter(s.at[i]) || is_digit(s.at[i]) || (byte && strchr("-._~", byte))) {
            build_add_byte(&b, s.at[i]);
        } else if (byte == ' ') {
            build_add_byte(&b, '+');
        } else {
            build_add_byte(&b, '%');
            build_add_byte(&b, hex[byte >> 4]);
            build_add_byte(&b, hex[byte & 15]);
        }
    }
    return build_done(&b, &c->result);
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    char small = (char)(c | 0x20);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

/* Bytes that came out of a decoder: a text only if they are UTF-8. */
static bool give_decoded(struct call *c, struct build *b)
{
    if (!build_done(b, &c->result))
        return false;
    return str_is_utf8(c->result.text) || liquid_fail(c->r, "what was decoded is not UTF-8");
}

bool filter_url_decode(struct call *c)
{
    struct str s;
    if (!input_text(c, &s))
        return false;
    struct build b = liquid_build(c->r);
    for (size_t i = 0; i < s.len; i++) {
        int high = s.at[i] == '%' && i + 2 < s.len ? hex_value(s.at[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s.at[i + 2]) : -1;
        if (low >= 0) {
            build_add_byte(&b, (char)(high << 4 | low));
            i += 2;
        } else {
            build_add_byte(&b, s.at[i] == '+' ? ' ' : s.at[i]);
        }
    }
    return give_decoded(c, &b);
}

/* --- base64 ---------------------------------------------------------------------------------- */

enum alphabet { ALPHABET_PLAIN, ALPHABET_URL };

static char digit_of(uint32_t bits, enum alphabet alphabet)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if (bits < 62)
        return digits[bits];
    if (alphabet == ALPHABET_URL)
        return bits == 62 ? '-' : '_';
    return bits == 62 ? '+' : '/';
}

static uint32_t bits_of(char c, enum alphabet alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (is_digit(c))
        return (uint32_t)(c - '0') + 52;
    if (c == digit_of(62, alphabet))
        return 62;
    return c == digit_of(63, alphabet) ? 63 : NOT_A_DIGIT;
}

static bool encode(struct call *c, enum alphabet alphabet)
{
    struct str s;
    if (!input_text(c, &s))
        return false;
    struct build b = liquid_build(c->r);
    for (size_t i = 0; i < s.len; i += 3) {
        size_t have = min_of(s.len - i, (size_t)3);
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (j < have ? (unsigned char)s.at[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            build_add_byte(&b, j <= have ? digit_of(bits >> (18 - 6 * j) & 63, alphabet) : '=');
    }
    return build_done(&b, &c->result);
}

/* Padding is required in the plain alphabet and may be left out in that for URLs. */
static bool decode(struct call *c, enum alphabet alphabet)
{
    struct str s;
    if (!input_text(c, &s))
        return false;
    size_t len = s.len;
    while (len && s.len - len < 2 && s.at[len - 1] == '=')
        len--;
    bool has_padding = s.len % 4 == 0;
    bool is_fine = len % 4 != 1 && (has_padding || (alphabet == ALPHABET_URL && len == s.len));
    struct build b = liquid_build(c->r);
    uint32_t bits = 0, bit_count = 0;
    for (size_t i = 0; i < len && is_fine; i++) {
        uint32_t six = bits_of(s.at[i], alphabet);
        is_fine = six != NOT_A_DIGIT;
        bits = bits << 6 | (six & 63);
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            build_add_byte(&b, (char)(bits >> bit_count));
            bits &= (1u << bit_count) - 1;
        }
    }
    if (!is_fine)
        return liquid_fail(c->r, "not base64");
    return give_decoded(c, &b);
}

bool filter_base64_encode(struct call *c)
{
    return encode(c, ALPHABET_PLAIN);
}

bool filter_base64_url_safe_encode(struct call *c)
{
    return encode(c, ALPHABET_URL);
}

bool filter_base64_decode(struct call *c)
{
    return decode(c, ALPHABET_PLAIN);
}

bool filter_base64_url_safe_decode(struct call *c)
{
    return decode(c, ALPHABET_URL);
}

bool filter_json(struct call *c)
{
    struct build b = liquid_build(c->r);
    if (!liquid_add_json(&b, c->input) || !build_done(&b, &c->result))
        return false;
    if (c->r->t->kind == LIQUID_JSON)
        c->result.pad[0] = MARK_JSON;
    return true;
}
