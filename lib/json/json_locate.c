/* Finding a mistake: a plain walk over the grammar of RFC 8259, a byte at a time, with the open
 * containers as bits on a stack. simdjson says only that a text is wrong; people need the place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "json/json.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#define WORD_BITS 64

struct walk {
    struct str text;
    size_t at;
    struct fault *fault;
    uint64_t is_map[JSON_DEPTH_MAX / WORD_BITS]; /* bit d: the container at depth d + 1 is a map */
    uint32_t depth;
    uint32_t depth_max;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte at `at`, or NUL past the end (a NUL in the text is an error wherever this asks). */
static char peek(const struct walk *w)
{
    return w->at < w->text.len ? w->text.at[w->at] : '\0';
}

static void skip_space(struct walk *w)
{
    while (w->at < w->text.len && is_space(w->text.at[w->at]))
        w->at++;
}

/* "expected ..., found ...": false, so that a walk may return it. */
static bool expected(struct walk *w, const char *what)
{
    if (w->at >= w->text.len) {
        fault_set(w->fault, "expected %s, but the text ends", what);
        return false;
    }
    unsigned char c = (unsigned char)w->text.at[w->at];
    if (c > ' ' && c < 0x7f)
        fault_set(w->fault, "expected %s, found '%c'", what, c);
    else
        fault_set(w->fault, "expected %s, found the byte 0x%02x", what, c);
    return false;
}

/* The four digits of \uXXXX at `at`, or -1. */
static int escape_code(struct str text, size_t at)
{
    int code = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = at + i < text.len ? hex_digit(text.at[at + i]) : -1;
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

static bool walk_escape(struct walk *w)
{
    size_t start = w->at++;
    char c = peek(w);
    if (c == 'u') {
        if (escape_code(w->text, w->at + 1) < 0) {
            w->at = start;
            fault_set(w->fault, "\\u needs four hexadecimal digits");
            return false;
        }
        w->at += 5;
        return true;
    }
    if (c == '\0' || !strchr("\"\\/bfnrt", c)) {
        w->at = start;
        fault_set(w->fault, "unknown escape in a text; a backslash is written \\\\");
        return false;
    }
    w->at++;
    return true;
}

static bool walk_text(struct walk *w)
{
    size_t start = w->at++;
    while (w->at < w->text.len) {
        unsigned char c = (unsigned char)w->text.at[w->at];
        if (c == '"') {
            w->at++;
            return true;
        }
        if (c == '\\') {
            if (!walk_escape(w))
                return false;
        } else if (c < ' ') {
            fault_set(w->fault, "control character 0x%02x in a text; write it as \\u%04x", c, c);
            return false;
        } else {
            w->at++;
        }
    }
    w->at = start;
    fault_set(w->fault, "this text is not closed");
    return false;
}

static void walk_digits(struct walk *w)
{
    while (is_digit(peek(w)))
        w->at++;
}

static bool is_finite(struct str number)
{
    char near_text[64];
    bool is_long = number.len >= sizeof(near_text);
    char *z = is_long ? mem_new(number.len + 1) : near_text;
    memcpy(z, number.at, number.len);
    z[number.len] = '\0';
    bool answer = isfinite(strtod(z, NULL));
    if (is_long)
        mem_free(z);
    return answer;
}

static bool walk_number(struct walk *w)
{
    size_t start = w->at;
    if (peek(w) == '-')
        w->at++;
    if (!is_digit(peek(w)))
        return expected(w, "a digit");
    if (peek(w) == '0')
        w->at++;
    else
        walk_digits(w);
    if (is_digit(peek(w))) {
        w->at = start;
        fault_set(w->fault, "number with a leading zero");
        return false;
    }
    if (peek(w) == '.') {
        w->at++;
        if (!is_digit(peek(w)))
            return expected(w, "a digit after the decimal point");
        walk_digits(w);
    }
    if (peek(w) == 'e' || peek(w) == 'E') {
        w->at++;
        if (peek(w) == '+' || peek(w) == '-')
            w->at++;
        if (!is_digit(peek(w)))
            return expected(w, "a digit in the exponent");
        walk_digits(w);
    }
    if (!is_finite(str_part(w->text, start, w->at - start))) {
        w->at = start;
        fault_set(w->fault, "number is too large");
        return false;
    }
    return true;
}

static bool walk_word(struct walk *w, struct str word)
{
    if (!str_equal(str_part(w->text, w->at, word.len), word))
        return expected(w, "a value");
    w->at += word.len;
    return true;
}

static bool walk_scalar(struct walk *w)
{
    char c = peek(w);
    switch (c) {
    case '"': return walk_text(w);
    case 't': return walk_word(w, STR("true"));
    case 'f': return walk_word(w, STR("false"));
    case 'n': return walk_word(w, STR("null"));
    }
    return c == '-' || is_digit(c) ? walk_number(w) : expected(w, "a value");
}

static bool in_map(const struct walk *w)
{
    uint32_t bit = w->depth - 1;
    return w->is_map[bit / WORD_BITS] >> (bit % WORD_BITS) & 1;
}

static bool walk_open(struct walk *w)
{
    if (w->depth == w->depth_max) {
        fault_set(w->fault, "nested more than %u deep", w->depth_max);
        return false;
    }
    uint64_t bit = UINT64_C(1) << (w->depth % WORD_BITS);
    uint64_t *word = &w->is_map[w->depth / WORD_BITS];
    *word = peek(w) == '{' ? *word | bit : *word & ~bit;
    w->depth++;
    w->at++;
    return true;
}

static bool walk_key(struct walk *w)
{
    skip_space(w);
    if (peek(w) != '"')
        return expected(w, "a key in quotes");
    if (!walk_text(w))
        return false;
    skip_space(w);
    if (peek(w) != ':')
        return expected(w, "':' after the key");
    w->at++;
    return true;
}

/* Behind a value: closes what closes and stands before the next value, or at the end (*is_done). */
static bool walk_behind(struct walk *w, bool *is_done)
{
    for (;;) {
        skip_space(w);
        if (w->depth == 0) {
            *is_done = true;
            return true;
        }
        char close = in_map(w) ? '}' : ']';
        if (peek(w) == ',') {
            w->at++;
            return !in_map(w) || walk_key(w);
        }
        if (peek(w) != close)
            return expected(w, in_map(w) ? "',' or '}'" : "',' or ']'");
        w->at++;
        w->depth--;
    }
}

static bool walk_document(struct walk *w)
{
    bool is_done = false;
    while (!is_done) {
        skip_space(w);
        char c = peek(w);
        if (c != '{' && c != '[') {
            if (!walk_scalar(w) || !walk_behind(w, &is_done))
                return false;
            continue;
        }
        if (!walk_open(w))
            return false;
        skip_space(w);
        bool is_empty = peek(w) == (c == '{' ? '}' : ']');
        if (is_empty ? !walk_behind(w, &is_done) : c == '{' && !walk_key(w))
            return false;
    }
    return w->at == w->text.len || expected(w, "the end of the text");
}

/* Where the first byte stands that is not UTF-8, or text.len. */
static size_t first_bad_byte(struct str text)
{
    size_t at = 0;
    while (at < text.len) {
        unsigned char c = (unsigned char)text.at[at];
        size_t bytes = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        if (bytes > 1 && !str_is_utf8(str_part(text, at, bytes)))
            break;
        at += bytes;
    }
    return at;
}

static void place(struct fault *f, struct str text, size_t offset)
{
    uint32_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < offset; i++)
        if (text.at[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    fault_place(f, NULL, line, (uint32_t)(offset - line_start + 1));
}

enum status json_locate(struct str text, uint32_t depth_max, size_t *offset, struct fault *f)
{
    must(depth_max >= 1);
    must(depth_max <= JSON_DEPTH_MAX);
    struct fault walk_fault = {0};
    struct walk w = {.text = text, .fault = &walk_fault, .depth_max = depth_max};
    if (str_starts(text, STR("\xef\xbb\xbf")))
        w.at = 3;
    *offset = 0;
    size_t bad_byte = first_bad_byte(text);
    bool is_good = walk_document(&w);
    if (!is_good && w.at <= bad_byte) {
        *offset = w.at;
        fault_set(f, "%s", walk_fault.text);
    } else if (bad_byte < text.len) {
        *offset = bad_byte;
        fault_set(f, "byte 0x%02x is not UTF-8", (unsigned char)text.at[bad_byte]);
    } else {
        return OK;
    }
    place(f, text, *offset);
    return FIX_INPUT;
}
