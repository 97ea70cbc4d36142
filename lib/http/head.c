/* head.c - what of HTTP/1.1 is read byte by byte: a request's head, and the chunks of a body.
 *
 *     GET /a?b HTTP/1.1 CR LF          request line: method SP target SP version
 *     Host: h CR LF                    any number of fields: name ":" blanks value blanks
 *     CR LF                            the empty line
 *
 *     5 ;x=y CR LF hello CR LF         chunks: size in hexadecimal, extensions, so many bytes
 *     0 CR LF Name: value CR LF CR LF  the last one, trailing fields, the empty line
 *
 * There is one way to read a message, RFC 9112's narrowest: each line ends with CR LF, one blank stands
 * between the words of the first, none before a colon, no line is folded, no control characters but
 * tabs in a value. Whatever is lax here could be read in another way by a proxy before us, and then a
 * client would get a request past it that it never saw.
 *
 * Both readers go on where they stopped when more bytes have come, so that each byte is looked at once
 * however slowly it comes. The head's gives places instead of addresses, since its bytes may move
 * meanwhile. Neither keeps, copies or allocates anything.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/http_int.h"

enum { TOKEN = 1, VALUE = 2, TARGET = 4, HEX = 8 };

static const uint8_t classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TOKEN | VALUE | TARGET,
    ['"'] = VALUE | TARGET,
    ['#' ... '\''] = TOKEN | VALUE | TARGET,
    ['(' ... ')'] = VALUE | TARGET,
    ['*' ... '+'] = TOKEN | VALUE | TARGET,
    [','] = VALUE | TARGET,
    ['-' ... '.'] = TOKEN | VALUE | TARGET,
    ['/'] = VALUE | TARGET,
    ['0' ... '9'] = TOKEN | VALUE | TARGET | HEX,
    [':' ... '@'] = VALUE | TARGET,
    ['A' ... 'F'] = TOKEN | VALUE | TARGET | HEX,
    ['G' ... 'Z'] = TOKEN | VALUE | TARGET,
    ['[' ... ']'] = VALUE | TARGET,
    ['^' ... '`'] = TOKEN | VALUE | TARGET,
    ['a' ... 'f'] = TOKEN | VALUE | TARGET | HEX,
    ['g' ... 'z'] = TOKEN | VALUE | TARGET,
    ['{'] = VALUE | TARGET,
    ['|'] = TOKEN | VALUE | TARGET,
    ['}'] = VALUE | TARGET,
    ['~'] = TOKEN | VALUE | TARGET,
    [0x80 ... 0xff] = VALUE | TARGET,
};

static bool is_a(uint8_t class, char c)
{
    return (classes[(uint8_t)c] & class) != 0;
}

/* How many bytes from the beginning are of the class. */
static size_t run_of(uint8_t class, struct str text)
{
    size_t len = 0;
    while (len < text.len && is_a(class, text.at[len]))
        len++;
    return len;
}

/* --- The head ------------------------------------------------------------------------------------ */

void http_head_begin(struct http_head *head)
{
    head->scanned = 0;
    head->line_at = 0;
    head->field_count = 0;
    head->method = (struct http_place){0, 0};
    head->target = (struct http_place){0, 0};
}

/* A line without its end, which stands at `at`. */
static bool request_line(struct http_head *head, struct str line, uint32_t at)
{
    size_t method = run_of(TOKEN, line);
    struct str rest = str_part(line, method, SIZE_MAX);
    if (method == 0 || !str_starts(rest, STR(" ")))
        return false;
    rest = str_part(rest, 1, SIZE_MAX);
    size_t target = run_of(TARGET, rest);
    struct str version = str_part(rest, target, SIZE_MAX);
    head->method = (struct http_place){at, (uint32_t)method};
    head->target = (struct http_place){at + (uint32_t)method + 1, (uint32_t)target};
    head->is_http_11 = str_equal(version, STR(" HTTP/1.1"));
    return target != 0 && (head->is_http_11 || str_equal(version, STR(" HTTP/1.0")));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool field_line(struct http_head *head, struct str line, uint32_t at)
{
    size_t name = run_of(TOKEN, line);
    if (name == 0 || name == line.len || line.at[name] != ':')
        return false;
    size_t from = name + 1;
    size_t to = line.len;
    while (from < to && is_blank(line.at[from]))
        from++;
    while (to > from && is_blank(line.at[to - 1]))
        to--;
    struct str value = str_part(line, from, to - from);
    struct http_place *places = head->fields[head->field_count++];
    places[0] = (struct http_place){at, (uint32_t)name};
    places[1] = (struct http_place){at + (uint32_t)from, (uint32_t)value.len};
    return run_of(VALUE, value) == value.len;
}

static bool is_begun(const struct http_head *head)
{
    return head->method.len != 0;
}

/* What is wrong with a head of so many bytes, read or not. */
static enum http_error size_check(const struct http_head *head, const struct http_limits *limits,
                                  size_t bytes)
{
    if (is_begun(head) && head->target.len > limits->target_bytes_max)
        return HTTP_ERROR_TARGET_TOO_LONG;
    if (bytes > limits->header_bytes_max)
        return is_begun(head) ? HTTP_ERROR_HEADERS_TOO_LARGE : HTTP_ERROR_TARGET_TOO_LONG;
    return HTTP_FINE;
}

/* One whole line, without its LF. */
static enum http_error take_line(struct http_head *head, struct str line, bool *is_last)
{
    if (!str_ends(line, STR("\r")))
        return HTTP_ERROR_BAD_HEADER;
    line.len--;
    *is_last = line.len == 0 && is_begun(head);
    if (line.len == 0)
        return HTTP_FINE; /* the end, or an empty line before a request, which may stand there */
    if (!is_begun(head))
        return request_line(head, line, head->line_at) ? HTTP_FINE : HTTP_ERROR_BAD_HEADER;
    if (head->field_count == HTTP_HEADER_FIELDS_MAX)
        return HTTP_ERROR_HEADERS_TOO_LARGE;
    return field_line(head, line, head->line_at) ? HTTP_FINE : HTTP_ERROR_BAD_HEADER;
}

enum http_error http_head_read(struct http_head *head, struct str bytes,
                               const struct http_limits *limits, size_t *head_bytes)
{
    *head_bytes = 0;
    struct str known = str_part(bytes, 0, (size_t)limits->header_bytes_max + 1);
    while (head->scanned < known.len) {
        const char *end = memchr(known.at + head->scanned, '\n', known.len - head->scanned);
        if (end == NULL) {
            head->scanned = (uint32_t)known.len;
            break;
        }
        bool is_last = false;
        size_t next = (size_t)(end - known.at) + 1;
        struct str line = str_part(known, head->line_at, next - 1 - head->line_at);
        enum http_error error = take_line(head, line, &is_last);
        if (error == HTTP_FINE)
            error = size_check(head, limits, next);
        if (error != HTTP_FINE)
            return error;
        head->line_at = head->scanned = (uint32_t)next;
        if (is_last) {
            *head_bytes = next;
            return HTTP_FINE;
        }
    }
    return size_check(head, limits, known.len);
}

/* --- Chunks -------------------------------------------------------------------------------------- */

#define CHUNK_LINE_MAX   4096 /* a size with its extensions, or a trailing field */
#define CHUNK_DIGITS_MAX 15   /* of a size: no sum of two passes 64 bits */

enum chunk_state {
    AT_SIZE, /* the first digit must come */
    IN_SIZE,
    AT_EXTENSION, /* behind ";": a name must come */
    IN_EXTENSION,
    AT_EXTENSION_VALUE, /* behind "=" */
    IN_EXTENSION_VALUE,
    IN_QUOTES,
    IN_QUOTES_ESCAPED,
    BEHIND_QUOTES,
    AT_SIZE_LF,
    IN_DATA,
    AT_DATA_CR,
    AT_DATA_LF,
    AT_TRAILER, /* a field, or the empty line */
    IN_TRAILER_NAME,
    IN_TRAILER_VALUE,
    AT_TRAILER_LF,
    AT_LAST_LF,
    IS_OVER,
    IS_BAD,
};

/* Behind a size or an extension: what may follow. */
static enum chunk_state after_word(char c)
{
    return c == ';' ? AT_EXTENSION : c == '\r' ? AT_SIZE_LF : IS_BAD;
}

static enum chunk_state in_extension(char c, enum chunk_state state)
{
    switch ((int)state) {
    case AT_EXTENSION: return is_a(TOKEN, c) ? IN_EXTENSION : IS_BAD;
    case IN_EXTENSION:
        return is_a(TOKEN, c) ? IN_EXTENSION : c == '=' ? AT_EXTENSION_VALUE : after_word(c);
    case AT_EXTENSION_VALUE:
        return c == '"' ? IN_QUOTES : is_a(TOKEN, c) ? IN_EXTENSION_VALUE : IS_BAD;
    case IN_EXTENSION_VALUE: return is_a(TOKEN, c) ? IN_EXTENSION_VALUE : after_word(c);
    case IN_QUOTES:
        return c == '"'    ? BEHIND_QUOTES
               : c == '\\' ? IN_QUOTES_ESCAPED
                           : (is_a(VALUE, c) ? IN_QUOTES : IS_BAD);
    case IN_QUOTES_ESCAPED: return is_a(VALUE, c) ? IN_QUOTES : IS_BAD;
    default: return after_word(c); /* BEHIND_QUOTES */
    }
}

static enum chunk_state in_trailer(char c, enum chunk_state state)
{
    switch ((int)state) {
    case AT_TRAILER: return c == '\r' ? AT_LAST_LF : is_a(TOKEN, c) ? IN_TRAILER_NAME : IS_BAD;
    case IN_TRAILER_NAME:
        return c == ':' ? IN_TRAILER_VALUE : is_a(TOKEN, c) ? IN_TRAILER_NAME : IS_BAD;
    default: return c == '\r' ? AT_TRAILER_LF : is_a(VALUE, c) ? IN_TRAILER_VALUE : IS_BAD;
    }
}

static enum chunk_state in_size(struct http_chunks *chunks, char c, enum chunk_state state)
{
    if (!is_a(HEX, c))
        return state == AT_SIZE ? IS_BAD : after_word(c);
    uint8_t digit = (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    if (state == AT_SIZE)
        chunks->left = chunks->digits = 0;
    chunks->left = chunks->left << 4 | digit;
    return ++chunks->digits <= CHUNK_DIGITS_MAX ? IN_SIZE : IS_BAD;
}

/* A byte that is none of the body's. */
static enum chunk_state take_byte(struct http_chunks *chunks, char c)
{
    enum chunk_state state = (enum chunk_state)chunks->state;
    switch (state) {
    case AT_SIZE:
    case IN_SIZE: return in_size(chunks, c, state);
    case AT_EXTENSION:
    case IN_EXTENSION:
    case AT_EXTENSION_VALUE:
    case IN_EXTENSION_VALUE:
    case IN_QUOTES:
    case IN_QUOTES_ESCAPED:
    case BEHIND_QUOTES: return in_extension(c, state);
    case AT_SIZE_LF: return c != '\n' ? IS_BAD : chunks->left != 0 ? IN_DATA : AT_TRAILER;
    case AT_DATA_CR: return c == '\r' ? AT_DATA_LF : IS_BAD;
    case AT_DATA_LF: return c == '\n' ? AT_SIZE : IS_BAD;
    case AT_TRAILER:
    case IN_TRAILER_NAME:
    case IN_TRAILER_VALUE: return in_trailer(c, state);
    case AT_TRAILER_LF: return c == '\n' ? AT_TRAILER : IS_BAD;
    case AT_LAST_LF: return c == '\n' ? IS_OVER : IS_BAD;
    case IN_DATA:
    case IS_OVER:
    case IS_BAD: break;
    }
    return IS_BAD;
}

enum http_chunk http_chunks_read(struct http_chunks *chunks, struct str in, size_t *used,
                                 struct str *piece)
{
    *piece = STR("");
    for (*used = 0; *used < in.len && chunks->state != IS_OVER && chunks->state != IS_BAD;) {
        if (chunks->state == IN_DATA) {
            size_t bytes = (size_t)min_of(chunks->left, (uint64_t)(in.len - *used));
            *piece = str_part(in, *used, bytes);
            *used += bytes;
            chunks->left -= bytes;
            if (chunks->left == 0)
                chunks->state = AT_DATA_CR;
            return HTTP_CHUNK_PIECE;
        }
        enum chunk_state next = take_byte(chunks, in.at[(*used)++]);
        chunks->line_bytes = next == IN_DATA || next == AT_TRAILER ? 0 : chunks->line_bytes + 1;
        chunks->state = chunks->line_bytes > CHUNK_LINE_MAX ? IS_BAD : next;
    }
    return chunks->state == IS_OVER  ? HTTP_CHUNK_END
           : chunks->state == IS_BAD ? HTTP_CHUNK_BAD
                                     : HTTP_CHUNK_MORE;
}
