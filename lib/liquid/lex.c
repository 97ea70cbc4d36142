/* SPDX-License-Identifier: Apache-2.0 */
#include "liquid/lex.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static char peek(const struct lexer *lx, size_t ahead)
{
    return lx->at + ahead < lx->end ? lx->text.at[lx->at + ahead] : '\0';
}

static enum token_kind take_name(struct lexer *lx)
{
    while (is_name_start(peek(lx, 0)) || is_digit(peek(lx, 0)) || peek(lx, 0) == '-')
        lx->at++;
    if (peek(lx, 0) == '?')
        lx->at++;
    return TOKEN_NAME;
}

static enum token_kind take_number(struct lexer *lx)
{
    lx->at++;
    while (is_digit(peek(lx, 0)))
        lx->at++;
    if (peek(lx, 0) == '.' && is_digit(peek(lx, 1))) {
        lx->at++;
        while (is_digit(peek(lx, 0)))
            lx->at++;
    }
    return TOKEN_NUMBER;
}

static enum token_kind take_string(struct lexer *lx)
{
    char quote = peek(lx, 0);
    size_t close = min_of(str_find(lx->text, (struct str){&quote, 1}, lx->at + 1), lx->end);
    bool is_closed = close < lx->end;
    lx->at = close + is_closed;
    return is_closed ? TOKEN_STRING : TOKEN_BAD;
}

static enum token_kind take_compare(struct lexer *lx)
{
    static const char *const doubles[] = {"==", "!=", "<>", "<=", ">="};
    struct str two = str_part(lx->text, lx->at, min_of(lx->end - lx->at, (size_t)2));
    for (size_t i = 0; i < array_count(doubles); i++)
        if (str_is(two, doubles[i])) {
            lx->at += 2;
            return TOKEN_COMPARE;
        }
    char c = peek(lx, 0);
    lx->at++;
    if (c == '<' || c == '>')
        return TOKEN_COMPARE;
    return c == '=' ? TOKEN_SIGN : TOKEN_BAD;
}

static enum token_kind take(struct lexer *lx)
{
    char c = peek(lx, 0);
    if (lx->at >= lx->end)
        return TOKEN_END;
    if (is_name_start(c))
        return take_name(lx);
    if (is_digit(c) || (c == '-' && is_digit(peek(lx, 1))))
        return take_number(lx);
    if (c == '\'' || c == '"')
        return take_string(lx);
    if (c == '=' || c == '!' || c == '<' || c == '>')
        return take_compare(lx);
    if (c == '.' && peek(lx, 1) == '.') {
        lx->at += 2;
        return TOKEN_DOTS;
    }
    lx->at++;
    return c && strchr(".,:|[]()", c) ? TOKEN_SIGN : TOKEN_BAD;
}

void liquid_lexer_next(struct lexer *lx)
{
    while (lx->at < lx->end && is_space(lx->text.at[lx->at]))
        lx->at++;
    size_t from = lx->at;
    enum token_kind kind = take(lx);
    lx->token = (struct token){kind, str_part(lx->text, from, lx->at - from), from, lx->at};
    if (kind == TOKEN_STRING)
        lx->token.text = str_part(lx->text, from + 1, lx->at - from - 2);
}

struct lexer lexer_of(struct str text, size_t from, size_t end)
{
    struct lexer lx = {.text = text, .at = from, .end = end};
    liquid_lexer_next(&lx);
    return lx;
}
