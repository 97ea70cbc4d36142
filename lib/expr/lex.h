/* lex.h - text to tokens, one at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "expr/expr.h"

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,   /* text */
    TOKEN_QUOTED, /* `a field name`; text without the quotes */
    TOKEN_INT,    /* value: VALUE_UINT, the sign is the parser's */
    TOKEN_UINT,
    TOKEN_DOUBLE,
    TOKEN_TEXT,
    TOKEN_BYTES,
    TOKEN_SIGN, /* sign: one character, or two as a multi-character constant */
};

/* Two-character signs. */
enum { SIGN_AND = 256, SIGN_OR, SIGN_EQ, SIGN_NE, SIGN_LE, SIGN_GE };

struct token {
    uint8_t kind;
    uint16_t sign;
    uint32_t from, to;
    struct str text;
    struct value value;
};

struct lexer {
    struct arena *plan;
    struct str text;
    uint32_t at;
};

/* Reads the next token. FIX_INPUT with the place if there is none. */
enum status lexer_next(struct lexer *lexer, struct token *out, struct fault *f) mustuse;

/* Is `name` a word that CEL reserves? */
bool lexer_is_reserved(struct str name);
