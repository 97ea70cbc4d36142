/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <stdarg.h>
#include <stdlib.h>

#include "os/process.h"

static bool wants_color(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool is_dumb = term == NULL || strcmp(term, "dumb") == 0;
    return !is_dumb && (no_color == NULL || no_color[0] == '\0');
}

void term_init(struct term *t, FILE *file, enum term_color color)
{
    int descriptor = fileno(file); /* -1 for a file in memory */
    bool is_terminal = descriptor >= 0 && os_is_terminal(descriptor);
    *t = (struct term){
        .file = file,
        .is_terminal = is_terminal,
        .has_color = color == TERM_COLOR_ALWAYS ||
                     (color == TERM_COLOR_AUTO && is_terminal && wants_color()),
        .columns = is_terminal ? os_terminal_columns(descriptor) : 80,
    };
}

static const char *style_code(enum term_style style)
{
    switch (style) {
    case TERM_PLAIN: return "";
    case TERM_BOLD: return "\033[1m";
    case TERM_DIM: return "\033[2m";
    case TERM_RED: return "\033[31m";
    case TERM_GREEN: return "\033[32m";
    case TERM_YELLOW: return "\033[33m";
    case TERM_BLUE: return "\033[34m";
    }
    return "";
}

void term_print(struct term *t, enum term_style style, const char *format, ...)
{
    bool is_styled = t->has_color && style != TERM_PLAIN;
    if (is_styled)
        fputs(style_code(style), t->file);
    va_list args;
    va_start(args, format);
    vfprintf(t->file, format, args);
    va_end(args);
    if (is_styled)
        fputs("\033[0m", t->file);
}

void term_text(struct term *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(t->file, format, args);
    va_end(args);
}

void term_wrap(struct term *t, struct str text, uint32_t indent, uint32_t columns)
{
    uint32_t room = columns > indent + 20 ? columns - indent : 20;
    uint32_t at = 0;
    for (size_t i = 0; i < text.len;) {
        size_t end = i;
        while (end < text.len && text.at[end] != ' ' && text.at[end] != '\n')
            end++;
        struct str word = str_part(text, i, end - i);
        uint32_t width = term_width(word);
        if (at > 0 && at + 1 + width > room) {
            fprintf(t->file, "\n%*s", (int)indent, "");
            at = 0;
        }
        fprintf(t->file, "%s%.*s", at > 0 && width > 0 ? " " : "", STR_ARG(word));
        at += width + (at > 0 && width > 0);
        if (end < text.len && text.at[end] == '\n') {
            fprintf(t->file, "\n%*s", (int)indent, "");
            at = 0;
        }
        i = end + 1;
    }
    fputc('\n', t->file);
}

/* Ranges of characters that take no or two columns; the rest take one. */
struct width_range {
    uint32_t first;
    uint32_t last;
    uint32_t columns;
};

static const struct width_range widths[] = {
    {0x0300, 0x036f, 0},   /* combining marks */
    {0x1100, 0x115f, 2},   /* Hangul initials */
    {0x200b, 0x200f, 0},   /* zero width space, joiners, direction marks */
    {0x20d0, 0x20ff, 0},   /* combining marks for symbols */
    {0x2e80, 0xa4cf, 2},   /* CJK, kana, Yi */
    {0xac00, 0xd7a3, 2},   /* Hangul syllables */
    {0xf900, 0xfaff, 2},   /* CJK compatibility */
    {0xfe00, 0xfe0f, 0},   /* variation selectors */
    {0xfe30, 0xfe6f, 2},   /* CJK forms */
    {0xff00, 0xff60, 2},   /* full-width forms */
    {0xffe0, 0xffe6, 2},   /* full-width signs */
    {0x1f300, 0x1f64f, 2}, /* pictures, faces */
    {0x1f680, 0x1f6ff, 2}, /* transport */
    {0x1f900, 0x1f9ff, 2}, /* more pictures */
    {0x20000, 0x3fffd, 2}, /* rarer CJK */
};

static uint32_t width_of(uint32_t character)
{
    for (size_t i = 0; i < array_count(widths); i++)
        if (character >= widths[i].first && character <= widths[i].last)
            return widths[i].columns;
    return 1;
}

uint32_t term_width(struct str text)
{
    if (!str_is_utf8(text))
        return (uint32_t)text.len;
    uint32_t columns = 0;
    for (size_t i = 0; i < text.len;) {
        uint8_t lead = (uint8_t)text.at[i];
        size_t bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        uint32_t character = bytes == 1 ? lead : lead & (0x7fu >> bytes);
        for (size_t k = 1; k < bytes; k++)
            character = character << 6 | ((uint8_t)text.at[i + k] & 0x3f);
        columns += width_of(character);
        i += bytes;
    }
    return columns;
}

const char *term_number(int64_t number, char *out)
{
    char digits[TERM_NUMBER_BYTES];
    uint64_t size = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)size);
    char *at = out;
    if (number < 0)
        *at++ = '-';
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return out;
}
