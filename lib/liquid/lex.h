/* lex.h - the words inside {{ }} and {% %}.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

enum token_kind {
    TOKEN_END,
    TOKEN_NAME, /* letters, digits, _ and -, not beginning with a digit or -; perhaps a ? behind */
    TOKEN_NUMBER,  /* 12, -3, 1.5 */
    TOKEN_STRING,  /* 'x' or "x", nothing escaped; `text` is what is between the quotes */
    TOKEN_COMPARE, /* == != <> < > <= >= */
    TOKEN_DOTS,    /* .. */
    TOKEN_SIGN,    /* one of . , : | [ ] ( ) = */
    TOKEN_BAD,     /* anything else; an unclosed string */
};

struct token {
    enum token_kind kind;
    struct str text;
    size_t at;  /* in the text that is read */
    size_t end; /* behind it */
};

/* Reads `text` from `from` to `end`; `token` is the current one. */
struct lexer {
    struct str text;
    size_t at;
    size_t end;
    struct token token;
};

/* A lexer that stands on the first token. */
struct lexer lexer_of(struct str text, size_t from, size_t end);

void liquid_lexer_next(struct lexer *lx);

static inline bool lexer_is_sign(const struct lexer *lx, char sign)
{
    return lx->token.kind == TOKEN_SIGN && lx->token.text.at[0] == sign;
}

static inline bool lexer_is_name(const struct lexer *lx, const char *name)
{
    return lx->token.kind == TOKEN_NAME && str_is(lx->token.text, name);
}

/* Goes past the sign if the lexer stands on it. */
static inline bool lexer_take(struct lexer *lx, char sign)
{
    bool is_there = lexer_is_sign(lx, sign);
    if (is_there)
        liquid_lexer_next(lx);
    return is_there;
}
