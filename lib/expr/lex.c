/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/lex.h"

#include <math.h>
#include <stdlib.h>

#include "expr/expr_int.h"

#define NUMBER_BYTES_MAX 400 /* digits of one literal */

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

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static char look(const struct lexer *lexer, uint32_t ahead)
{
    size_t at = (size_t)lexer->at + ahead;
    return at < lexer->text.len ? lexer->text.at[at] : '\0';
}

/* A quotation mark as word processors set it. */
static bool starts_quote(const struct lexer *lexer)
{
    return look(lexer, 0) == '\xe2' && look(lexer, 1) == '\x80' && look(lexer, 2) >= '\x98' &&
           look(lexer, 2) <= '\x9f';
}

static bool is_at_end(const struct lexer *lexer)
{
    return lexer->at >= lexer->text.len;
}

bool lexer_is_reserved(struct str name)
{
    static const char *const reserved[] = {
        "as",  "break",  "const", "continue", "else",    "for",       "function",
        "if",  "import", "let",   "loop",     "package", "namespace", "return",
        "var", "void",   "while", "true",     "false",   "null",      "in",
    };
    for (size_t i = 0; i < array_count(reserved); i++)
        if (str_is(name, reserved[i]))
            return true;
    return false;
}

static void skip_blanks(struct lexer *lexer)
{
    while (!is_at_end(lexer)) {
        char c = look(lexer, 0);
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
            lexer->at++;
        } else if (c == '/' && look(lexer, 1) == '/') {
            while (!is_at_end(lexer) && look(lexer, 0) != '\n')
                lexer->at++;
        } else {
            return;
        }
    }
}

/* A number. `1.` is an int and a dot: 42.string() is a call. */
static enum status read_number(struct lexer *lexer, struct token *out, struct fault *f)
{
    uint32_t from = lexer->at;
    bool is_double = false;
    uint64_t whole = 0;
    bool is_too_large = false;
    if (look(lexer, 0) == '0' && (look(lexer, 1) == 'x' || look(lexer, 1) == 'X')) {
        lexer->at += 2;
        if (hex_digit(look(lexer, 0)) < 0)
            goto bad;
        for (int digit; (digit = hex_digit(look(lexer, 0))) >= 0; lexer->at++) {
            is_too_large |= whole >> 60 != 0;
            whole = whole << 4 | (uint64_t)digit;
        }
    } else {
        for (; is_digit(look(lexer, 0)); lexer->at++)
            is_too_large |= __builtin_mul_overflow(whole, UINT64_C(10), &whole) ||
                            __builtin_add_overflow(whole, (uint64_t)(look(lexer, 0) - '0'), &whole);
        if (look(lexer, 0) == '.' && is_digit(look(lexer, 1))) {
            is_double = true;
            lexer->at++;
            while (is_digit(look(lexer, 0)))
                lexer->at++;
        }
        char sign = look(lexer, 1);
        bool is_signed = sign == '+' || sign == '-';
        if ((look(lexer, 0) == 'e' || look(lexer, 0) == 'E') &&
            is_digit(look(lexer, is_signed ? 2 : 1))) {
            is_double = true;
            lexer->at += is_signed ? 2 : 1;
            while (is_digit(look(lexer, 0)))
                lexer->at++;
        }
    }
    if (lexer->at - from > NUMBER_BYTES_MAX) {
        expr_fault_at(f, lexer->text, from, "this number has more than %d digits",
                      NUMBER_BYTES_MAX);
        return FIX_INPUT;
    }
    out->kind = is_double ? TOKEN_DOUBLE : TOKEN_INT;
    if (!is_double && (look(lexer, 0) == 'u' || look(lexer, 0) == 'U')) {
        out->kind = TOKEN_UINT;
        lexer->at++;
    }
    if (is_name_start(look(lexer, 0)))
        goto bad;
    if (is_double) {
        char digits[NUMBER_BYTES_MAX + 1];
        memcpy(digits, lexer->text.at + from, lexer->at - from);
        digits[lexer->at - from] = '\0';
        out->value = value_double(strtod(digits, NULL));
        if (isinf(out->value.number)) {
            expr_fault_at(f, lexer->text, from, "this number is too large for a double");
            return FIX_INPUT;
        }
    } else {
        if (is_too_large) {
            expr_fault_at(f, lexer->text, from, "this number is too large for 64 bits");
            return FIX_INPUT;
        }
        out->value = value_uint(whole);
    }
    return OK;
bad:
    if (look(lexer, 0) != '\0' && strchr("smhdwSMHDW", look(lexer, 0)) != NULL)
        expr_fault_at(f, lexer->text, from,
                      "this is no number; a length of time is written duration(\"3d\")");
    else
        expr_fault_at(f, lexer->text, from,
                      "this is no number; put a blank between number and name");
    return FIX_INPUT;
}

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* One escape after its backslash: bytes written to `out` (at most 4), or 0 if it is none. */
static size_t read_escape(struct lexer *lexer, bool is_bytes, char *out)
{
    static const char plain[] = "abfnrtv\\?\"'`";
    static const char meant[] = "\a\b\f\n\r\t\v\\?\"'`";
    char c = look(lexer, 0);
    const char *hit = c ? strchr(plain, c) : NULL;
    if (hit != NULL) {
        lexer->at++;
        out[0] = meant[hit - plain];
        return 1;
    }
    uint32_t code = 0, digits = 0;
    if (c >= '0' && c <= '3') {
        for (; digits < 3; digits++, lexer->at++) {
            char d = look(lexer, 0);
            if (d < '0' || d > '7')
                return 0;
            code = code * 8 + (uint32_t)(d - '0');
        }
    } else {
        uint32_t wanted = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (wanted == 0 || (is_bytes && wanted != 2))
            return 0;
        lexer->at++;
        for (; digits < wanted; digits++, lexer->at++) {
            int d = hex_digit(look(lexer, 0));
            if (d < 0)
                return 0;
            code = code << 4 | (uint32_t)d;
        }
    }
    if (is_bytes) {
        out[0] = (char)code;
        return 1;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return put_utf8(out, code);
}

static enum status read_text(struct lexer *lexer, bool is_raw, bool is_bytes, uint32_t from,
                             struct token *out, struct fault *f)
{
    uint32_t from_quote = lexer->at;
    char quote = look(lexer, 0);
    bool is_long = look(lexer, 1) == quote && look(lexer, 2) == quote;
    lexer->at += is_long ? 3 : 1;
    /* What is read is never longer than what is written. */
    size_t room = 0;
    for (uint32_t i = lexer->at; i < lexer->text.len; i++, room++) {
        char c = lexer->text.at[i];
        if (c == quote && !is_long)
            break;
        if (c == quote &&
            str_starts(str_part(lexer->text, i, 3), str_part(lexer->text, from_quote, 3)))
            break;
        if (c == '\\' && !is_raw) {
            i++;
            room++;
        }
    }
    char *at = arena_alloc(lexer->plan, room + 4);
    size_t len = 0;
    for (;;) {
        if (is_at_end(lexer))
            goto unterminated;
        char c = look(lexer, 0);
        if (c == quote && (!is_long || (look(lexer, 1) == quote && look(lexer, 2) == quote)))
            break;
        if (!is_long && (c == '\n' || c == '\r'))
            goto unterminated;
        if (c == '\\' && !is_raw) {
            uint32_t escape = lexer->at++;
            size_t bytes = read_escape(lexer, is_bytes, at + len);
            if (bytes == 0) {
                expr_fault_at(f, lexer->text, escape,
                              "unknown escape \"\\%.1s\"; write \\\\ for a backslash",
                              lexer->text.at + min_of((size_t)escape + 1, lexer->text.len - 1));
                return FIX_INPUT;
            }
            len += bytes;
            continue;
        }
        at[len++] = c;
        lexer->at++;
    }
    lexer->at += is_long ? 3 : 1;
    out->kind = is_bytes ? TOKEN_BYTES : TOKEN_TEXT;
    out->value = is_bytes ? value_bytes((struct str){at, len}) : value_text((struct str){at, len});
    return OK;
unterminated:
    expr_fault_at(f, lexer->text, from, "this text has no closing %s%c", is_long ? "triple " : "",
                  quote);
    return FIX_INPUT;
}

static bool read_sign(struct lexer *lexer, struct token *out)
{
    static const struct {
        char at[3];
        uint16_t sign;
    } pairs[] = {{"&&", SIGN_AND}, {"||", SIGN_OR}, {"==", SIGN_EQ},
                 {"!=", SIGN_NE},  {"<=", SIGN_LE}, {">=", SIGN_GE}};
    char c = look(lexer, 0), next = look(lexer, 1);
    for (size_t i = 0; i < array_count(pairs); i++) {
        if (c == pairs[i].at[0] && next == pairs[i].at[1]) {
            out->sign = pairs[i].sign;
            lexer->at += 2;
            return true;
        }
    }
    if (c == '\0' || strchr("()[]{}.,:?+-*/%!<>", c) == NULL)
        return false;
    out->sign = (uint16_t)c;
    lexer->at++;
    return true;
}

/* The prefix of a text: r, b, br, rb in any case; -1 where no text follows. */
static int text_prefix(const struct lexer *lexer, bool *is_raw, bool *is_bytes)
{
    int letters = 0;
    *is_raw = *is_bytes = false;
    for (;; letters++) {
        char c = look(lexer, (uint32_t)letters);
        if (c == '"' || c == '\'')
            return letters;
        if ((c == 'r' || c == 'R') && !*is_raw)
            *is_raw = true;
        else if ((c == 'b' || c == 'B') && !*is_bytes)
            *is_bytes = true;
        else
            return -1;
    }
}

enum status lexer_next(struct lexer *lexer, struct token *out, struct fault *f)
{
    skip_blanks(lexer);
    *out = (struct token){.from = lexer->at, .to = lexer->at};
    if (is_at_end(lexer))
        return OK;
    char c = look(lexer, 0);
    bool is_raw, is_bytes;
    int prefix = text_prefix(lexer, &is_raw, &is_bytes);
    enum status status = OK;
    if (prefix >= 0) {
        lexer->at += (uint32_t)prefix;
        status = read_text(lexer, is_raw, is_bytes, out->from, out, f);
    } else if (is_digit(c) || (c == '.' && is_digit(look(lexer, 1)))) {
        status = read_number(lexer, out, f);
    } else if (is_name_start(c)) {
        while (is_name_start(look(lexer, 0)) || is_digit(look(lexer, 0)))
            lexer->at++;
        out->kind = TOKEN_NAME;
        out->text = str_part(lexer->text, out->from, lexer->at - out->from);
    } else if (c == '`') {
        lexer->at++;
        while (!is_at_end(lexer) && look(lexer, 0) != '`' && look(lexer, 0) != '\n')
            lexer->at++;
        if (look(lexer, 0) != '`' || lexer->at == out->from + 1) {
            expr_fault_at(f, lexer->text, out->from, "this field name has no closing `");
            return FIX_INPUT;
        }
        lexer->at++;
        out->kind = TOKEN_QUOTED;
        out->text = str_part(lexer->text, out->from + 1, lexer->at - out->from - 2);
    } else if (read_sign(lexer, out)) {
        out->kind = TOKEN_SIGN;
    } else {
        const char *hint = "";
        char before = lexer->at > 0 ? lexer->text.at[lexer->at - 1] : ' ';
        if (c == '=' && look(lexer, 1) == '>')
            hint = "; write >= for \"at least\"";
        else if (c == '=' && look(lexer, 1) == '<')
            hint = "; write <= for \"at most\"";
        else if (c == '=' && look(lexer, 1) == '~')
            hint = "; write text.matches(\"^a\")";
        else if (c == '=' && before == '=')
            hint = "; two are enough: ==";
        else if (c == '=')
            hint = "; write == to compare";
        else if (starts_quote(lexer))
            hint = "; write straight quotes: \"...\"";
        else if (c == ';')
            hint = "; an expression needs no end";
        else if (c == '$')
            hint = "; write the number alone";
        else if (c == '&')
            hint = "; write && for \"and\"";
        else if (c == '|')
            hint = "; write || for \"or\"";
        uint32_t bytes = 1;
        while (((unsigned char)look(lexer, bytes) & 0xc0) == 0x80 && bytes < 4)
            bytes++;
        expr_fault_at(f, lexer->text, out->from, "unexpected \"%.*s\"%s", (int)bytes,
                      lexer->text.at + out->from, hint);
        return FIX_INPUT;
    }
    out->to = lexer->at;
    return status;
}
