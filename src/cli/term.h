/* term.h - writing for a person at a terminal, and plainly for everything else.
 *
 * Colour comes only where the output is a terminal, NO_COLOR is not set (no-color.org) and TERM is
 * not "dumb", or where --color=always asks for it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "base/str.h"

enum term_color {
    TERM_COLOR_AUTO,
    TERM_COLOR_ALWAYS,
    TERM_COLOR_NEVER,
};

enum term_style {
    TERM_PLAIN = 0,
    TERM_BOLD,
    TERM_DIM,
    TERM_RED,    /* wrong, failed */
    TERM_GREEN,  /* right, sent */
    TERM_YELLOW, /* waits, doubtful */
    TERM_BLUE,   /* names */
};

struct term {
    FILE *file; /* borrowed */
    bool is_terminal;
    bool has_color;
    uint32_t columns; /* width of the terminal; 80 for what is none */
};

/* Looks at what `file` is. */
void term_init(struct term *t, FILE *file, enum term_color color);

/* printf in a style; the style ends with the text. */
void term_print(struct term *t, enum term_style style, const char *format, ...) printf_like(3, 4);

/* printf, plain. */
void term_text(struct term *t, const char *format, ...) printf_like(2, 3);

/* `text` in lines of at most `columns` columns, broken at spaces, each after `indent` spaces but the
 * first, which goes on where the cursor is. Ends with a line end. */
void term_wrap(struct term *t, struct str text, uint32_t indent, uint32_t columns);

/* Columns that a text takes on a terminal: combining characters none, wide East Asian letters and
 * most pictures two, all others one. Bytes that are not UTF-8 count one each. */
uint32_t term_width(struct str text) mustuse;

#define TERM_NUMBER_BYTES 32

/* -1234567 as "-1,234,567" into out (TERM_NUMBER_BYTES or more); returns out. */
const char *term_number(int64_t number, char *out) mustuse;
