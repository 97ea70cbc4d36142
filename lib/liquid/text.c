/* Texts as characters: how many, where, and in which case. UTF-8 throughout.
 *
 * Upper and lower case come from a table of stretches rather than from a library: the scripts that
 * have two cases and in which marketing is written. What the table does not know stays as it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/liquid_int.h"

size_t text_character(struct str text, size_t at)
{
    unsigned char c = (unsigned char)text.at[at];
    size_t bytes = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 1;
    if (bytes > text.len - at)
        return 1;
    for (size_t i = 1; i < bytes; i++)
        if (((unsigned char)text.at[at + i] & 0xc0) != 0x80)
            return 1;
    return bytes;
}

size_t liquid_text_length(struct str text)
{
    size_t length = 0;
    for (size_t at = 0; at < text.len; at += text_character(text, at))
        length++;
    return length;
}

size_t text_offset(struct str text, size_t index)
{
    size_t at = 0;
    while (at < text.len && index--)
        at += text_character(text, at);
    return at;
}

bool text_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool text_is_blank(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!text_is_space(text.at[i]))
            return false;
    return true;
}

/* How the letters of a stretch of code points are paired. */
enum pairing {
    PAIR_OFFSET, /* large + offset = small, for every one of the stretch (of large ones) */
    PAIR_EVEN,   /* an even one is large, the next is its small one */
    PAIR_ODD,    /* an odd one is large, the next is its small one */
};

static const struct stretch {
    uint32_t from;
    uint32_t to;
    enum pairing pairing;
    int32_t offset;
} stretches[] = {
    {'A', 'Z', PAIR_OFFSET, 32},
    {0xc0, 0xd6, PAIR_OFFSET, 32}, /* Latin-1 */
    {0xd8, 0xde, PAIR_OFFSET, 32},
    {0x100, 0x12f, PAIR_EVEN, 1}, /* Latin Extended-A */
    {0x132, 0x137, PAIR_EVEN, 1},
    {0x139, 0x148, PAIR_ODD, 1},
    {0x14a, 0x177, PAIR_EVEN, 1},
    {0x178, 0x178, PAIR_OFFSET, 0xff - 0x178},
    {0x179, 0x17e, PAIR_ODD, 1},
    {0x1a0, 0x1a5, PAIR_EVEN, 1}, /* Vietnamese o and u with horn, and neighbours */
    {0x1af, 0x1b0, PAIR_ODD, 1},
    {0x1cd, 0x1dc, PAIR_ODD, 1}, /* pinyin */
    {0x1de, 0x1ef, PAIR_EVEN, 1},
    {0x1f8, 0x21f, PAIR_EVEN, 1},
    {0x386, 0x386, PAIR_OFFSET, 0x3ac - 0x386}, /* Greek */
    {0x388, 0x38a, PAIR_OFFSET, 37},
    {0x38c, 0x38c, PAIR_OFFSET, 64},
    {0x38e, 0x38f, PAIR_OFFSET, 63},
    {0x391, 0x3a1, PAIR_OFFSET, 32},
    {0x3a3, 0x3ab, PAIR_OFFSET, 32},
    {0x400, 0x40f, PAIR_OFFSET, 80}, /* Cyrillic */
    {0x410, 0x42f, PAIR_OFFSET, 32},
    {0x460, 0x481, PAIR_EVEN, 1},
    {0x48a, 0x4bf, PAIR_EVEN, 1},
    {0x4d0, 0x52f, PAIR_EVEN, 1},
    {0x531, 0x556, PAIR_OFFSET, 48}, /* Armenian */
    {0x1e00, 0x1e95, PAIR_EVEN, 1},  /* Latin Extended Additional: Vietnamese, Welsh */
    {0x1ea0, 0x1eff, PAIR_EVEN, 1},
    {0xff21, 0xff3a, PAIR_OFFSET, 32}, /* full width */
};

static uint32_t letter_down(uint32_t code)
{
    for (size_t i = 0; i < array_count(stretches); i++) {
        const struct stretch *s = &stretches[i];
        if (code < s->from || code > s->to)
            continue;
        switch (s->pairing) {
        case PAIR_OFFSET: return code + (uint32_t)s->offset;
        case PAIR_EVEN: return code | 1;
        case PAIR_ODD: return code + (code & 1);
        }
    }
    return code;
}

static uint32_t letter_up(uint32_t code)
{
    if (code == 0x3c2) /* final sigma */
        return 0x3a3;
    if (code == 0x131) /* i without a dot: its pair in the table would be another letter's */
        return 'I';
    for (size_t i = 0; i < array_count(stretches); i++) {
        const struct stretch *s = &stretches[i];
        uint32_t large = code - (uint32_t)s->offset;
        switch (s->pairing) {
        case PAIR_OFFSET:
            if (large >= s->from && large <= s->to)
                return large;
            break;
        case PAIR_EVEN:
            if (code >= s->from && code <= s->to)
                return code & ~1u;
            break;
        case PAIR_ODD:
            if (code >= s->from && code <= s->to)
                return code - !(code & 1);
            break;
        }
    }
    return code;
}

static uint32_t code_of(struct str text, size_t at, size_t bytes)
{
    unsigned char c = (unsigned char)text.at[at];
    uint32_t code = bytes == 1 ? c : c & (0xffu >> (bytes + 1));
    for (size_t i = 1; i < bytes; i++)
        code = code << 6 | ((unsigned char)text.at[at + i] & 0x3f);
    return code;
}

void text_add_case(struct build *b, struct str text, enum letter_case letters)
{
    for (size_t at = 0; at < text.len && !b->is_bad;) {
        size_t bytes = text_character(text, at);
        uint32_t code = code_of(text, at, bytes);
        uint32_t other = letters == LETTERS_UP ? letter_up(code) : letter_down(code);
        if (letters == LETTERS_UP && code == 0xdf && bytes == 2) /* sharp s has no large one */
            build_add(b, STR("SS"));
        else if (other == code || (bytes == 1 && code >= 0x80))
            build_add(b, str_part(text, at, bytes));
        else
            build_add_code(b, other);
        at += bytes;
    }
}

/* --- links ----------------------------------------------------------------------------------- */

static struct str before(struct str text, bool (*is_skipped)(char))
{
    while (text.len && is_skipped(text.at[text.len - 1]))
        text.len--;
    return text;
}

bool text_begins_link(struct str text, size_t at)
{
    static const char *const attributes[] = {"href",       "src",        "action", "formaction",
                                             "background", "xlink:href", "poster", "cite"};
    text = before(str_part(text, 0, at), text_is_space);
    if (text.len && (text.at[text.len - 1] == '"' || text.at[text.len - 1] == '\''))
        text = before(str_part(text, 0, text.len - 1), text_is_space);
    if (!text.len || text.at[text.len - 1] != '=')
        return false;
    text = before(str_part(text, 0, text.len - 1), text_is_space);
    for (size_t i = 0; i < array_count(attributes); i++) {
        struct str name = str_of(attributes[i]);
        if (text.len > name.len && text_is_space(text.at[text.len - name.len - 1]) &&
            str_equal_nocase(str_part(text, text.len - name.len, name.len), name))
            return true;
    }
    return false;
}

struct str text_scheme(struct str link, char out[16])
{
    size_t len = 0;
    for (size_t i = 0; i < link.len; i++) {
        unsigned char c = (unsigned char)link.at[i];
        if (c == ':')
            return (struct str){out, len};
        if (c == '/' || c == '?' || c == '#')
            break;
        if (c <= ' ' || len == 16) /* browsers skip white space and controls */
            continue;
        out[len++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return (struct str){out, 0};
}

/* --- HTML ------------------------------------------------------------------------------------ */

static struct str entity_of(char c)
{
    switch (c) {
    case '&': return STR("&amp;");
    case '<': return STR("&lt;");
    case '>': return STR("&gt;");
    case '"': return STR("&quot;");
    case '\'': return STR("&#39;");
    }
    return (struct str){0};
}

void text_add_escaped(struct build *b, struct str text)
{
    size_t from = 0;
    for (size_t at = 0; at < text.len; at++) {
        struct str entity = entity_of(text.at[at]);
        if (!entity.len)
            continue;
        build_add(b, str_part(text, from, at - from));
        build_add(b, entity);
        from = at + 1;
    }
    build_add(b, str_part(text, from, text.len));
}

void build_add(struct build *b, struct str s)
{
    if (b->is_bad || s.len == 0)
        return;
    if (s.len > b->room - b->len) {
        size_t room = max_of(b->room * 2, b->len + s.len);
        char *more = liquid_alloc(b->r, room);
        if (!more) {
            b->is_bad = true;
            return;
        }
        if (b->len)
            memcpy(more, b->at, b->len);
        b->at = more;
        b->room = room;
    }
    memcpy(b->at + b->len, s.at, s.len);
    b->len += s.len;
}

void build_add_byte(struct build *b, char c)
{
    build_add(b, (struct str){&c, 1});
}

void build_add_code(struct build *b, uint32_t code)
{
    char bytes[4];
    size_t len;
    if (code < 0x80) {
        bytes[0] = (char)code;
        len = 1;
    } else if (code < 0x800) {
        bytes[0] = (char)(0xc0 | code >> 6);
        len = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xe0 | code >> 12);
        len = 3;
    } else {
        bytes[0] = (char)(0xf0 | code >> 18);
        len = 4;
    }
    for (size_t i = 1; i < len; i++)
        bytes[i] = (char)(0x80 | (code >> (6 * (len - 1 - i)) & 0x3f));
    build_add(b, (struct str){bytes, len});
}

bool build_done(struct build *b, struct value *out)
{
    if (b->is_bad)
        return false;
    *out = value_text((struct str){b->at ? b->at : "", b->len});
    return true;
}
