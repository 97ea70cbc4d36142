/* parse.c - the parts of a request that are read without a socket: target, query, authorization,
 * header fields, gzip.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <zlib.h>

#include "http/http_int.h"

const struct http_error_row *http_error_row(enum http_error error)
{
    static const struct http_error_row rows[] = {
        {0, "", ""},
#define HTTP_ERROR(symbol, status, code, sentence) {status, code, sentence},
#include "http/http_errors.def"
#undef HTTP_ERROR
    };
    must(error > HTTP_FINE);
    must(error < HTTP_ERROR_END);
    return &rows[error];
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte behind a '%' at in.at[i]; -1 where there is none. */
static int percent_byte(struct str in, size_t i)
{
    if (in.len - i < 3)
        return -1;
    int high = hex_digit(in.at[i + 1]);
    int low = hex_digit(in.at[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_dots(struct str segment)
{
    return str_equal(segment, STR(".")) || str_equal(segment, STR(".."));
}

enum http_error http_target_parse(struct str target, struct arena *arena, struct str *path,
                                  struct str *query)
{
    *path = STR("/");
    *query = STR("");
    size_t mark = str_find(target, STR("?"), 0);
    if (mark != SIZE_MAX) {
        *query = str_part(target, mark + 1, SIZE_MAX);
        target.len = mark;
    }
    if (str_equal(target, STR("*"))) {
        *path = STR("*");
        return HTTP_FINE;
    }
    /* absolute form: a proxy's way to say it */
    struct str scheme = str_part(target, 0, 8);
    size_t skip = str_equal_nocase(str_part(scheme, 0, 7), STR("http://")) ? 7
                  : str_equal_nocase(scheme, STR("https://"))              ? 8
                                                                           : 0;
    if (skip != 0) {
        size_t slash = str_find(target, STR("/"), skip);
        if (slash == skip || target.len == skip)
            return HTTP_ERROR_BAD_PATH; /* of no host */
        target = slash == SIZE_MAX ? STR("/") : str_part(target, slash, SIZE_MAX);
    }
    if (target.len == 0 || target.at[0] != '/')
        return HTTP_ERROR_BAD_PATH;

    char *out = arena_alloc(arena, target.len);
    size_t len = 0;
    size_t segment = 1; /* where the current segment begins in `out` */
    for (size_t i = 0; i < target.len; i++) {
        int byte = (uint8_t)target.at[i];
        bool is_encoded = byte == '%';
        if (is_encoded) {
            byte = percent_byte(target, i);
            i += 2;
        }
        if (byte < 0x20 || byte == 0x7f || (is_encoded && byte == '/') || byte == '\\')
            return HTTP_ERROR_BAD_PATH;
        out[len++] = (char)byte;
        if (byte != '/' || len == 1)
            continue;
        struct str done = {out + segment, len - 1 - segment};
        if (done.len == 0 || is_dots(done))
            return HTTP_ERROR_BAD_PATH;
        segment = len;
    }
    if (is_dots((struct str){out + segment, len - segment}))
        return HTTP_ERROR_BAD_PATH;
    *path = (struct str){out, len};
    return str_is_utf8(*path) ? HTTP_FINE : HTTP_ERROR_BAD_PATH;
}

/* Decodes one side of a parameter; false where a '%' is followed by no byte or a NUL. */
static bool form_decode(struct str in, struct arena *arena, struct str *out)
{
    char *to = arena_alloc(arena, in.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        int byte = in.at[i] == '+' ? ' ' : (uint8_t)in.at[i];
        if (byte == '%') {
            byte = percent_byte(in, i);
            i += 2;
        }
        if (byte <= 0)
            return false;
        to[len++] = (char)byte;
    }
    *out = (struct str){to, len};
    return str_is_utf8(*out);
}

bool http_query_find(struct str query, struct str name, struct arena *arena, struct str *out)
{
    for (size_t at = 0; at <= query.len;) {
        size_t end = str_find(query, STR("&"), at);
        if (end == SIZE_MAX)
            end = query.len;
        struct str pair = str_part(query, at, end - at);
        size_t equals = str_find(pair, STR("="), 0);
        struct str key = equals == SIZE_MAX ? pair : str_part(pair, 0, equals);
        struct str value = equals == SIZE_MAX ? STR("") : str_part(pair, equals + 1, SIZE_MAX);
        struct str plain;
        if (form_decode(key, arena, &plain) && str_equal(plain, name))
            return form_decode(value, arena, out);
        at = end + 1;
    }
    return false;
}

bool http_base64_decode(struct str text, struct arena *arena, struct str *out)
{
    bool is_padded = text.len % 4 == 0;
    for (int i = 0; is_padded && i < 2 && text.len > 0 && text.at[text.len - 1] == '='; i++)
        text.len--;
    if (text.len % 4 == 1)
        return false;
    char *to = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        int digit = c >= 'A' && c <= 'Z'   ? c - 'A'
                    : c >= 'a' && c <= 'z' ? c - 'a' + 26
                    : c >= '0' && c <= '9' ? c - '0' + 52
                    : c == '+'             ? 62
                    : c == '/'             ? 63
                                           : -1;
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            to[len++] = (char)(bits >> bit_count & 0xff);
        }
    }
    *out = (struct str){to, len};
    return true;
}

enum http_auth http_auth_parse(struct str field, struct arena *arena, struct str *user,
                               struct str *password)
{
    *user = STR("");
    *password = STR("");
    field = str_trim(field);
    if (field.len == 0)
        return HTTP_AUTH_NONE;
    size_t blank = str_find(field, STR(" "), 0);
    if (blank == SIZE_MAX)
        return HTTP_AUTH_BAD;
    struct str scheme = str_part(field, 0, blank);
    struct str rest = str_trim(str_part(field, blank, SIZE_MAX));
    if (rest.len == 0)
        return HTTP_AUTH_BAD;
    if (str_equal_nocase(scheme, STR("Bearer"))) {
        for (size_t i = 0; i < rest.len; i++)
            if (rest.at[i] <= ' ' || rest.at[i] > '~')
                return HTTP_AUTH_BAD;
        *user = rest;
        return HTTP_AUTH_BEARER;
    }
    struct str plain;
    if (!str_equal_nocase(scheme, STR("Basic")) || !http_base64_decode(rest, arena, &plain))
        return HTTP_AUTH_BAD;
    size_t colon = str_find(plain, STR(":"), 0);
    if (colon == SIZE_MAX || str_find(plain, (struct str){"", 1}, 0) != SIZE_MAX ||
        !str_is_utf8(plain))
        return HTTP_AUTH_BAD;
    *user = str_part(plain, 0, colon);
    *password = str_part(plain, colon + 1, SIZE_MAX);
    return HTTP_AUTH_BASIC;
}

enum http_error http_unzip(struct str in, size_t out_bytes_max, struct buf *out)
{
    z_stream z = {0};
    must(in.len <= UINT32_MAX);
    out->len = 0;
    if (inflateInit2(&z, 15 + 16) != Z_OK) /* 16: gzip's header and trailer, nothing else */
        return HTTP_ERROR_BAD_GZIP;
    /* zlib reads through a pointer that is not const, but does not write */
    z.next_in = (Bytef *)(uintptr_t)in.at;
    z.avail_in = (uInt)in.len;
    enum http_error error = HTTP_FINE;
    for (;;) {
        /* one byte more than allowed: that it is needed is how a body is found to be too large */
        size_t room = min_of(out_bytes_max + 1 - out->len, (size_t)64 * 1024);
        z.next_out = buf_reserve(out, room);
        z.avail_out = (uInt)room;
        int result = inflate(&z, Z_NO_FLUSH);
        out->len += room - z.avail_out;
        if (out->len > out_bytes_max) {
            error = HTTP_ERROR_UNZIPPED_TOO_LARGE;
            break;
        }
        if (result == Z_STREAM_END) {
            if (z.avail_in == 0)
                break;
            result = inflateReset(&z); /* members may follow one another */
        }
        bool is_stuck = result == Z_BUF_ERROR || (z.avail_in == 0 && z.avail_out != 0);
        if (result != Z_OK || is_stuck) {
            error = HTTP_ERROR_BAD_GZIP;
            break;
        }
    }
    inflateEnd(&z);
    return error;
}

void http_error_print(const char *code, struct str message, struct buf *out)
{
    buf_printf(out, "{\"code\":\"%s\",\"message\":\"", code);
    bool is_text = str_is_utf8(message);
    for (size_t i = 0; i < message.len; i++) {
        uint8_t c = (uint8_t)message.at[i];
        if (c == '"' || c == '\\')
            buf_add_byte(out, '\\');
        if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_add_byte(out, c >= 0x80 && !is_text ? '?' : c);
    }
    buf_add_str(out, STR("\"}"));
}

struct str http_header_find(const struct http_header *headers, uint32_t count, struct str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_equal_nocase(headers[i].name, name))
            return headers[i].value;
    return STR("");
}

/* Digits only: no sign, no blank, no "0x". */
static bool length_parse(struct str text, uint64_t *out)
{
    if (text.len == 0 || text.len > 18)
        return false;
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(text.at[i] - '0');
    }
    return true;
}

/* Whether all of it may stand in a host with its port (RFC 3986 section 3.2), which may be empty. */
static bool is_host(struct str text)
{
    static const char marks[] = "-._~!$&'()*+,;=:[]%";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && memchr(marks, c, sizeof(marks) - 1) == NULL)
            return false;
    }
    return true;
}

enum http_error http_headers_check(const struct http_header *headers, uint32_t count,
                                   bool is_http_11, uint64_t *body_bytes, bool *is_zipped)
{
    static const struct str single[] = {STR("content-length"),
                                        STR("transfer-encoding"),
                                        STR("content-encoding"),
                                        STR("authorization"),
                                        STR("host"),
                                        STR("content-type")};
    uint32_t seen[array_count(single)] = {0};
    for (uint32_t i = 0; i < count; i++)
        for (size_t k = 0; k < array_count(single); k++)
            if (headers[i].name.len == single[k].len &&
                str_equal_nocase(headers[i].name, single[k]))
                seen[k]++;
    *body_bytes = UINT64_MAX;
    *is_zipped = false;
    if (seen[0] > 1 || seen[1] > 1 || (seen[0] && seen[1]))
        return HTTP_ERROR_BAD_FRAMING;
    if (seen[0] &&
        !length_parse(http_header_find(headers, count, STR("content-length")), body_bytes))
        return HTTP_ERROR_BAD_FRAMING;
    /* HTTP/1.0 knows no transfer codings: RFC 9112 section 6.1 */
    if (seen[1] && (!is_http_11 ||
                    !str_equal_nocase(http_header_find(headers, count, STR("transfer-encoding")),
                                      STR("chunked"))))
        return HTTP_ERROR_BAD_FRAMING;
    if ((is_http_11 && seen[4] == 0) || !is_host(http_header_find(headers, count, STR("host"))))
        return HTTP_ERROR_NO_HOST;
    for (size_t k = 2; k < array_count(single); k++)
        if (seen[k] > 1)
            return HTTP_ERROR_REPEATED_FIELD;
    struct str coding = http_header_find(headers, count, STR("content-encoding"));
    *is_zipped = str_equal_nocase(coding, STR("gzip")) || str_equal_nocase(coding, STR("x-gzip"));
    if (coding.len != 0 && !*is_zipped && !str_equal_nocase(coding, STR("identity")))
        return HTTP_ERROR_UNKNOWN_CODING;
    return HTTP_FINE;
}

/* Whether a list ("keep-alive, TE") names it. */
static bool list_has(struct str list, struct str name)
{
    for (size_t at = 0; at <= list.len;) {
        size_t end = str_find(list, STR(","), at);
        if (end == SIZE_MAX)
            end = list.len;
        if (str_equal_nocase(str_trim(str_part(list, at, end - at)), name))
            return true;
        at = end + 1;
    }
    return false;
}

bool http_keeps_alive(const struct http_header *headers, uint32_t count, bool is_http_11)
{
    bool stays = is_http_11;
    for (uint32_t i = 0; i < count; i++) {
        if (!str_equal_nocase(headers[i].name, STR("connection")))
            continue;
        if (list_has(headers[i].value, STR("close")))
            return false;
        stays |= list_has(headers[i].value, STR("keep-alive"));
    }
    return stays;
}
