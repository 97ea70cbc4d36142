/* mime_body.c - bodies: quoted-printable, base64, and text made from HTML.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "channel/base64.h"
#include "channel/mime_int.h"

#define LINE_COLUMNS 76

/* --- quoted-printable ------------------------------------------------------------------------- */

/* How many bytes of the input the next line break takes: 0 = there is none here. */
static size_t line_break(struct str text, size_t at)
{
    if (text.at[at] == '\n')
        return 1;
    if (text.at[at] != '\r')
        return 0;
    return at + 1 < text.len && text.at[at + 1] == '\n' ? 2 : 1;
}

static bool is_at_line_end(struct str text, size_t at)
{
    return at == text.len || line_break(text, at) > 0;
}

/* Must the byte at `at` be escaped, `column` bytes into an encoded line? A dot that begins a line
 * would be stuffed by SMTP, "From " mangled by mailboxes of old; white space that ends one is lost. */
static bool is_escaped(struct str text, size_t at, size_t column)
{
    uint8_t c = (uint8_t)text.at[at];
    if (c == ' ' || c == '\t')
        return is_at_line_end(text, at + 1);
    if (c < ' ' || c > '~' || c == '=')
        return true;
    if (column > 0)
        return false;
    return c == '.' || (c == 'F' && str_starts(str_part(text, at, 5), STR("From ")));
}

void mime_write_quoted_printable(struct buf *out, struct str text)
{
    size_t column = 0;
    for (size_t i = 0; i < text.len;) {
        size_t eol = line_break(text, i);
        if (eol > 0) {
            buf_add_str(out, STR("\r\n"));
            column = 0;
            i += eol;
            continue;
        }
        /* A code point stays on one line; the last column is for the "=" of a soft break, unless the
         * line ends here by itself. */
        size_t bytes = (uint8_t)text.at[i] < 0x80 ? 1 : code_point_bytes(text, i);
        size_t columns = 3 * bytes;
        if (bytes == 1 && !is_escaped(text, i, column))
            columns = 1;
        size_t limit = is_at_line_end(text, i + bytes) ? LINE_COLUMNS : LINE_COLUMNS - 1;
        if (column + columns > limit) {
            buf_add_str(out, STR("=\r\n"));
            column = 0;
            continue;
        }
        if (columns == 1) {
            buf_add_byte(out, (uint8_t)text.at[i]);
        } else {
            for (size_t k = 0; k < bytes; k++)
                add_escaped(out, (uint8_t)text.at[i + k]);
        }
        column += columns;
        i += bytes;
    }
    if (column > 0)
        buf_add_str(out, STR("\r\n"));
}

/* --- base64 ----------------------------------------------------------------------------------- */

void mime_write_base64(struct buf *out, struct str text)
{
    struct buf lines;
    buf_init(&lines);
    for (size_t i = 0; i < text.len;) {
        size_t eol = line_break(text, i);
        if (eol > 0)
            buf_add_str(&lines, STR("\r\n"));
        else
            buf_add_byte(&lines, (uint8_t)text.at[i]);
        i += eol > 0 ? eol : 1;
    }
    for (size_t i = 0; i < lines.len; i += LINE_COLUMNS / 4 * 3) {
        base64_write(out, str_part(buf_str(&lines), i, LINE_COLUMNS / 4 * 3));
        buf_add_str(out, STR("\r\n"));
    }
    buf_fini(&lines);
}

/* --- text from HTML --------------------------------------------------------------------------- */

/* Writes words with single spaces and at most one empty line, whatever the HTML's own layout. */
struct text_writer {
    struct buf *out;
    size_t start;
    uint32_t breaks; /* line breaks owed before the next word: 0, 1 or 2 */
    bool has_space;  /* a space is owed */
};

static void put_byte(struct text_writer *w, uint8_t c)
{
    bool is_first = w->out->len == w->start;
    if (!is_first && w->breaks > 0)
        buf_add(w->out, "\n\n", w->breaks);
    else if (!is_first && w->has_space)
        buf_add_byte(w->out, ' ');
    w->breaks = 0;
    w->has_space = false;
    buf_add_byte(w->out, c);
}

static void put_break(struct text_writer *w, uint32_t breaks)
{
    w->breaks = max_of(w->breaks, breaks);
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static void put_code_point(struct text_writer *w, uint32_t c)
{
    if (c == 0xa0 || (c < 0x80 && is_white((char)c))) {
        w->has_space = true;
    } else if (c < 0x80) {
        if (c >= ' ')
            put_byte(w, (uint8_t)c);
    } else if (c < 0x800) {
        put_byte(w, (uint8_t)(0xc0 | c >> 6));
        buf_add_byte(w->out, (uint8_t)(0x80 | (c & 63)));
    } else if (c < 0x10000) {
        if (c >= 0xd800 && c < 0xe000)
            return;
        put_byte(w, (uint8_t)(0xe0 | c >> 12));
        buf_add_byte(w->out, (uint8_t)(0x80 | (c >> 6 & 63)));
        buf_add_byte(w->out, (uint8_t)(0x80 | (c & 63)));
    } else if (c < 0x110000) {
        put_byte(w, (uint8_t)(0xf0 | c >> 18));
        buf_add_byte(w->out, (uint8_t)(0x80 | (c >> 12 & 63)));
        buf_add_byte(w->out, (uint8_t)(0x80 | (c >> 6 & 63)));
        buf_add_byte(w->out, (uint8_t)(0x80 | (c & 63)));
    }
}

static const struct {
    const char *name;
    uint32_t code_point;
} entities[] = {
    {"amp", '&'},      {"lt", '<'},       {"gt", '>'},       {"quot", '"'},      {"apos", '\''},
    {"nbsp", 0xa0},    {"ndash", 0x2013}, {"mdash", 0x2014}, {"hellip", 0x2026}, {"lsquo", 0x2018},
    {"rsquo", 0x2019}, {"ldquo", 0x201c}, {"rdquo", 0x201d}, {"bull", 0x2022},   {"middot", 0xb7},
    {"euro", 0x20ac},  {"pound", 0xa3},   {"copy", 0xa9},    {"reg", 0xae},      {"trade", 0x2122},
    {"laquo", 0xab},   {"raquo", 0xbb},   {"times", 0xd7},   {"auml", 0xe4},     {"ouml", 0xf6},
    {"uuml", 0xfc},    {"Auml", 0xc4},    {"Ouml", 0xd6},    {"Uuml", 0xdc},     {"szlig", 0xdf},
    {"eacute", 0xe9},  {"egrave", 0xe8},  {"agrave", 0xe0},  {"ccedil", 0xe7},   {"ntilde", 0xf1},
    {"oslash", 0xf8},  {"aring", 0xe5},   {"aelig", 0xe6},   {"shy", 0xad},      {"zwnj", 0x200c},
};

/* Writes what the entity at `at` ("&...;") stands for; returns the bytes it takes, 0 if it is none. */
static size_t put_entity(struct text_writer *w, struct str html, size_t at)
{
    size_t end = str_find(str_part(html, at, 12), STR(";"), 0);
    if (end == SIZE_MAX)
        return 0;
    struct str name = str_part(html, at + 1, end - 1);
    if (name.len > 1 && name.at[0] == '#') {
        bool is_hex = name.at[1] == 'x' || name.at[1] == 'X';
        uint32_t x = 0;
        for (size_t i = is_hex ? 2 : 1; i < name.len; i++) {
            char c = name.at[i] >= 'A' && name.at[i] <= 'F' ? (char)(name.at[i] + 32) : name.at[i];
            if (c >= '0' && c <= '9')
                x = x * (is_hex ? 16 : 10) + (uint32_t)(c - '0');
            else if (is_hex && c >= 'a' && c <= 'f')
                x = x * 16 + (uint32_t)(c - 'a') + 10;
            else
                return 0;
            if (x >= 0x110000)
                return end + 1;
        }
        put_code_point(w, x);
        return end + 1;
    }
    for (size_t i = 0; i < array_count(entities); i++) {
        if (str_is(name, entities[i].name)) {
            if (entities[i].code_point != 0xad && entities[i].code_point != 0x200c)
                put_code_point(w, entities[i].code_point);
            return end + 1;
        }
    }
    return 0;
}

static bool is_one_of(struct str name, const char *words)
{
    struct str rest = str_of(words);
    while (rest.len > 0) {
        size_t end = str_find(rest, STR(" "), 0);
        if (str_equal_nocase(name, str_part(rest, 0, end)))
            return true;
        rest = end == SIZE_MAX ? STR("") : str_part(rest, end + 1, SIZE_MAX);
    }
    return false;
}

/* The end of the tag that begins at `at` ('<'): the position behind its '>', which may stand inside
 * quotes; the end of the text if it never ends. */
static size_t tag_end(struct str html, size_t at)
{
    char quote = 0;
    for (size_t i = at + 1; i < html.len; i++) {
        char c = html.at[i];
        if (quote != 0)
            quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == '>')
            return i + 1;
    }
    return html.len;
}

/* The value of an attribute inside a tag; empty if it has none. */
static struct str attribute(struct str tag, struct str name)
{
    for (size_t at = str_find(tag, name, 0); at != SIZE_MAX; at = str_find(tag, name, at + 1)) {
        size_t i = at + name.len;
        if (at == 0 || !is_white(tag.at[at - 1]))
            continue;
        while (i < tag.len && is_white(tag.at[i]))
            i++;
        if (i == tag.len || tag.at[i] != '=')
            continue;
        i++;
        while (i < tag.len && is_white(tag.at[i]))
            i++;
        if (i < tag.len && (tag.at[i] == '"' || tag.at[i] == '\'')) {
            size_t end = str_find(tag, (struct str){&tag.at[i], 1}, i + 1);
            return end == SIZE_MAX ? STR("") : str_part(tag, i + 1, end - i - 1);
        }
        size_t end = i;
        while (end < tag.len && !is_white(tag.at[end]) && tag.at[end] != '>')
            end++;
        return str_part(tag, i, end - i);
    }
    return STR("");
}

/* Writes text with its entities decoded, white space as single spaces. */
static void put_text(struct text_writer *w, struct str text)
{
    for (size_t i = 0; i < text.len;) {
        size_t bytes = text.at[i] == '&' ? put_entity(w, text, i) : 0;
        if (bytes > 0) {
            i += bytes;
        } else if (is_white(text.at[i])) {
            w->has_space = true;
            i++;
        } else if (str_starts(str_part(text, i, 2), STR("\xc2\xa0"))) {
            w->has_space = true;
            i += 2;
        } else {
            put_byte(w, (uint8_t)text.at[i]);
            i++;
        }
    }
}

/* Where what stands between <name ...> and </name> ends: behind the closing tag. */
static size_t element_end(struct str html, size_t at, struct str name)
{
    for (size_t i = at; i + 2 < html.len; i++)
        if (html.at[i] == '<' && html.at[i + 1] == '/' &&
            str_equal_nocase(str_part(html, i + 2, name.len), name))
            return tag_end(html, i);
    return html.len;
}

void mime_write_text_of_html(struct buf *out, struct str html)
{
    struct text_writer w = {.out = out, .start = out->len};
    struct str link = STR(""); /* the URL of the <a> that is open */
    size_t link_start = 0;
    for (size_t i = 0; i < html.len;) {
        if (html.at[i] != '<') {
            size_t end = str_find(html, STR("<"), i);
            put_text(&w, str_part(html, i, end == SIZE_MAX ? SIZE_MAX : end - i));
            i = end == SIZE_MAX ? html.len : end;
            continue;
        }
        if (str_starts(str_part(html, i, 4), STR("<!--"))) {
            size_t end = str_find(html, STR("-->"), i + 4);
            i = end == SIZE_MAX ? html.len : end + 3;
            continue;
        }
        size_t end = tag_end(html, i);
        struct str tag = str_part(html, i, end - i);
        bool is_closing = tag.len > 1 && tag.at[1] == '/';
        size_t name_start = is_closing ? 2 : 1, name_end = name_start;
        while (name_end < tag.len && !is_white(tag.at[name_end]) && tag.at[name_end] != '>' &&
               tag.at[name_end] != '/')
            name_end++;
        struct str name = str_part(tag, name_start, name_end - name_start);
        i = end;
        if (is_one_of(name, "head style script title") && !is_closing) {
            i = element_end(html, end, name);
        } else if (is_one_of(name, "a") && !is_closing) {
            link = attribute(tag, STR("href"));
            link_start = out->len;
        } else if (is_one_of(name, "a") && link.len > 0) {
            struct str shown = str_trim(str_part(buf_str(out), link_start, SIZE_MAX));
            bool is_shown = str_equal(shown, link);
            bool is_url = str_starts(link, STR("http")) && !is_shown;
            if (is_url && shown.len > 0) {
                w.has_space = true;
                put_byte(&w, '(');
            }
            if (is_url)
                put_text(&w, link);
            if (is_url && shown.len > 0)
                put_byte(&w, ')');
            link = STR("");
        } else if (is_one_of(name, "br")) {
            put_break(&w, w.breaks + 1 > 2 ? 2 : w.breaks + 1);
        } else if (is_one_of(name, "p h1 h2 h3 h4 h5 h6 ul ol table blockquote hr")) {
            put_break(&w, 2);
        } else if (is_one_of(name, "div tr section article header footer dl dt dd pre")) {
            put_break(&w, 1);
        } else if (is_one_of(name, "li") && !is_closing) {
            put_break(&w, 1);
            put_byte(&w, '-');
            w.has_space = true;
        } else if (is_one_of(name, "td th")) {
            w.has_space = true;
        } else if (is_one_of(name, "img") && attribute(tag, STR("alt")).len > 0) {
            put_text(&w, attribute(tag, STR("alt")));
        }
    }
    if (out->len > w.start)
        buf_add_byte(out, '\n');
}
