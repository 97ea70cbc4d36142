/* json_tree.c - from where things begin to cells.
 *
 * simdjson's first pass says where each brace, bracket, colon, comma, text, number and word begins
 * ("heads"), and vouches for three things: the bytes are UTF-8, every text is closed, no text holds a raw
 * control character. All else of the grammar is checked here, in one walk from head to head:
 *
 *     {"a": [1, "x"], "b": true}
 *     ^^  ^ ^^^ ^  ^^ ^  ^ ^   ^         heads
 *
 * Where a text ends, no head says, but the next one does: before it come white space and the quote that
 * closes. Behind a number or a word there must be white space, punctuation or the end. simdjson's own second
 * pass is not used: it copies every text and writes a tape in words of varying number, and what is read
 * from it is first written twice.
 *
 * Texts are unescaped where they stand, for they only shrink. Whether a text has an escape is seen by one
 * comparison: the place of the next backslash of the document is always known, and looked for only when
 * one has been passed.
 *
 * Two things that we accept and simdjson's second pass does not are what real clients send: JavaScript
 * prints 1e20 as an integer of 21 digits, and a text cut through an emoji is serialised with half of a
 * surrogate pair. A browser's whole batch would be lost with them. Integers that no int64 holds become
 * doubles, lone surrogates U+FFFD.
 *
 * How many cells there can be: each key has a colon behind it, each value in a container a comma or, the
 * last, the end of the container. So a document of n heads has at most (n + 1) / 2 cells; one that is
 * wrong is given up at its first wrong head, when at most `depth_max` containers lack their ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "json/json_int.h"
#include "json/json_shim.h"

#define DIGITS_MAX         19 /* that a uint64 holds, whatever they are */
#define EXACT_DIGITS_BOUND (UINT64_C(1) << 53)
#define EXACT_TENS         22 /* the largest power of ten that is a double */
#define EXPONENT_MAX       100000

_Static_assert(JSON_TREE_PADDING >= JSON_TEXT_PADDING, "more is promised than there is");
_Static_assert(JSON_TREE_PADDING >= JSON_SHIM_PADDING, "simdjson reads further than we pad");

/* What is around the value at hand. */
struct open_container {
    struct json_cell *cell;
    char close; /* what ends it; 0 around the document */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Whether a number or word may end before `c`. The document is followed by spaces. */
static inline bool is_end(char c)
{
    return c == ',' || c == '}' || c == ']' || is_space(c) || c == '[' || c == '{' || c == ':';
}

static inline bool is_digit(char c)
{
    return (uint8_t)(c - '0') <= 9;
}

/* --- Escapes ---------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four digits at `at`, or -1. Whatever stands there may be read: the document is padded. */
static int escape_code(const char *at)
{
    int code = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *to++ = (char)(0xe0 | code >> 12);
        } else {
            *to++ = (char)(0xf0 | code >> 18);
            *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (code & 0x3f));
    return to;
}

/* Reads the \uXXXX whose digits are at *from, with the other half if it is a surrogate, and moves on. */
static bool read_code(const char **from, uint32_t *out)
{
    int code = escape_code(*from);
    if (code < 0)
        return false;
    *from += 4;
    *out = (uint32_t)code;
    if (code < 0xd800 || code > 0xdfff)
        return true;
    const char *at = *from;
    int low = code < 0xdc00 && at[0] == '\\' && at[1] == 'u' ? escape_code(at + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff) {
        *out = 0xfffd;
        return true;
    }
    *out = 0x10000 + (((uint32_t)code - 0xd800) << 10 | ((uint32_t)low - 0xdc00));
    *from += 6;
    return true;
}

/* What the letter behind a backslash means; 0 if it means nothing. */
static char escape_letter(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    }
    return 0;
}

static uint32_t next_escape(const struct json_source *source, uint32_t from)
{
    const char *found = memchr(source->text + from, '\\', source->bytes - from);
    return found ? (uint32_t)(found - source->text) : source->bytes;
}

/* Unescapes the text of the cell, which ends at `end` and whose first backslash is at `escape`. The next
 * one behind it, 0 where an escape is none. */
static __attribute__((noinline)) uint32_t unescape(struct json_source *source, uint32_t escape,
                                                   uint32_t end, struct json_cell *cell)
{
    const char *from = source->text + escape, *stop = source->text + end;
    char *to = source->text + escape;
    while (from < stop) {
        if (*from != '\\') {
            const char *next = memchr(from, '\\', (size_t)(stop - from));
            size_t plain = (size_t)((next ? next : stop) - from);
            memmove(to, from, plain);
            to += plain;
            from += plain;
            continue;
        }
        char letter = from[1];
        from += 2;
        if (letter == 'u') {
            uint32_t code;
            if (!read_code(&from, &code))
                return 0;
            to = put_utf8(to, code);
        } else {
            *to = escape_letter(letter);
            if (*to++ == 0)
                return 0;
        }
    }
    cell->count = (uint32_t)(to - cell->text);
    return next_escape(source, end);
}

/* --- Scalars ---------------------------------------------------------------------------------------- */

/* The text whose quote is at `head`, before the thing at `next`. Where it closes. */
static inline uint32_t text_cell(const char *text, uint32_t head, uint32_t next,
                                 struct json_cell *cell)
{
    uint32_t end = next - 1;
    if (unlikely(text[end] != '"')) {
        while (text[end] != '"') /* white space */
            end--;
        must(end > head); /* it is closed, simdjson says */
    }
    cell->type = JSON_TEXT;
    cell->count = end - head - 1;
    cell->text = text + head + 1;
    return end;
}

static bool word_cell(const char *at, struct json_cell *cell)
{
    size_t bytes = *at == 'f' ? 5 : 4;
    const char *word = *at == 't' ? "true" : *at == 'f' ? "false" : "null";
    *cell = (struct json_cell){.type = *at == 'n' ? JSON_NULL : JSON_BOOL};
    cell->integer = *at == 't';
    return memcmp(at, word, bytes) == 0 && is_end(at[bytes]);
}

/* The digits at `at`, appended to *x while they fit; returns where they end. */
static inline const char *read_digits(const char *at, uint64_t *x)
{
    for (; is_digit(*at); at++)
        *x = *x * 10 + (uint64_t)(*at - '0');
    return at;
}

static const char *read_exponent(const char *at, int32_t *exponent)
{
    bool is_negative = *at == '-';
    int32_t read = 0;
    if (*at == '-' || *at == '+')
        at++;
    if (!is_digit(*at))
        return NULL;
    for (; is_digit(*at); at++)
        if (read < EXPONENT_MAX)
            read = read * 10 + (*at - '0');
    *exponent += is_negative ? -read : read;
    return at;
}

/* An integer of `count` digits, whose value is `digits` if they are at most DIGITS_MAX. */
static inline bool integer_fits(uint64_t digits, size_t count, bool is_negative)
{
    return likely(count < DIGITS_MAX) ||
           (count == DIGITS_MAX && digits <= (uint64_t)INT64_MAX + is_negative);
}

/* Whether the number that stands at `at` and is `digits` times ten to the power of `exponent` is a double;
 * exactly so for what products of two doubles give exactly, else by the standard library. */
static bool read_double(const char *at, uint64_t digits, size_t count, int32_t exponent,
                        double *out)
{
    static const double tens[EXACT_TENS + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    bool is_exact = count <= DIGITS_MAX && digits <= EXACT_DIGITS_BOUND &&
                    exponent >= -EXACT_TENS && exponent <= EXACT_TENS;
    if (unlikely(!is_exact))
        return json_shim_number(at, out);
    double number =
        exponent < 0 ? (double)digits / tens[-exponent] : (double)digits * tens[exponent];
    *out = *at == '-' ? -number : number;
    return true;
}

static bool number_cell(const char *at, struct json_cell *cell)
{
    bool is_negative = *at == '-';
    const char *whole = at + is_negative;
    uint64_t digits = 0;
    const char *end = read_digits(whole, &digits);
    size_t count = (size_t)(end - whole);
    int32_t exponent = 0;
    if (unlikely(count == 0 || (*whole == '0' && count > 1)))
        return false;
    if (is_end(*end) && integer_fits(digits, count, is_negative)) {
        cell->type = JSON_INT;
        cell->integer = (int64_t)(is_negative ? -digits : digits);
        return true;
    }
    if (*end == '.') {
        const char *fraction = end + 1;
        end = read_digits(fraction, &digits);
        if (end == fraction)
            return false;
        count += (size_t)(end - fraction);
        exponent -= (int32_t)(end - fraction);
    }
    if ((*end | 0x20) == 'e') {
        end = read_exponent(end + 1, &exponent);
        if (!end)
            return false;
    }
    cell->type = JSON_DOUBLE;
    return is_end(*end) && read_double(at, digits, count, exponent, &cell->number);
}

/* Anything but a text or a container. */
static inline bool scalar_cell(const char *at, struct json_cell *cell)
{
    return *at == 't' || *at == 'f' || *at == 'n' ? word_cell(at, cell) : number_cell(at, cell);
}

/* --- The walk --------------------------------------------------------------------------------------- */

bool json_tree(struct json_source *source, uint32_t depth_max, struct json_cell *cells)
{
    struct open_container stack[JSON_DEPTH_MAX + 1];
    struct open_container *top = stack;
    const char *text = source->text;
    const uint32_t *head = source->heads, *last = head + source->head_count;
    struct json_cell *cell = cells;
    uint32_t escape = next_escape(source, 0); /* the next backslash of the document, or its end */
    uint32_t end;
    char close = 0; /* top->close */
    *top = (struct open_container){0};
    for (;;) {
        if (likely(close == '}')) {
            if (unlikely(text[head[0]] != '"' || text[head[1]] != ':'))
                return false;
            end = text_cell(text, head[0], head[1], cell);
            if (unlikely(escape < end) && (escape = unescape(source, escape, end, cell)) == 0)
                return false;
            cell++;
            head += 2;
        }
        char first = text[*head];
        if (first == '"') {
            end = text_cell(text, head[0], head[1], cell);
            if (unlikely(escape < end) && (escape = unescape(source, escape, end, cell)) == 0)
                return false;
        } else if (first == '{' || first == '[') {
            if (unlikely(top == stack + depth_max))
                return false;
            close = (char)(first + 2);
            *++top = (struct open_container){cell, close};
            if (likely(text[head[1]] != close)) {
                head++;
                cell++;
                continue;
            }
        } else if (unlikely(!scalar_cell(text + *head, cell))) {
            return false;
        }
        head++;
        cell++;
        /* what has ended: the value just read, or an empty container's inside */
        while (text[*head] != ',') {
            if (top == stack)
                return head == last;
            if (unlikely(text[*head] != close))
                return false;
            top->cell->type = close == '}' ? JSON_MAP : JSON_LIST;
            top->cell->cells = (uint64_t)(cell - top->cell);
            head++;
            top--;
            close = top->close;
        }
        if (unlikely(close == 0))
            return false;
        head++;
    }
}
