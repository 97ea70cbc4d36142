/* answer.c - what an answer says, as bytes, and how it reaches the loop of its connection.
 *
 * Whoever answers writes all lines but the first two or three itself, on its own thread, so that a loop
 * only has to send: the status, the date and whether the connection ends are the loop's to say.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/loop_int.h"

static bool is_header_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] == '\r' || s.at[i] == '\n' || s.at[i] == '\0')
            return false;
    return true;
}

static void add_field(struct buf *out, struct str name, struct str value)
{
    must(is_header_text(name));
    must(is_header_text(value));
    buf_add_str(out, name);
    buf_add_str(out, STR(": "));
    buf_add_str(out, value);
    buf_add_str(out, STR("\r\n"));
}

static void add_number(struct buf *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    buf_add(out, digits + at, sizeof(digits) - at);
}

void http_answer_print(struct http_request *r, const struct http_reply *reply)
{
    must(reply->status >= 200);
    must(reply->status <= 599);
    must(reply->header_count <= HTTP_EXTRA_HEADERS_MAX);
    struct buf *out = &r->answer;
    bool has_body = reply->status != 204 && reply->status != 304;
    out->len = 0;
    r->answer_status = reply->status;
    if (has_body) {
        buf_add_str(out, STR("Content-Length: "));
        add_number(out, reply->body.len);
        buf_add_str(out, STR("\r\n"));
    }
    if (reply->content_type.len != 0)
        add_field(out, STR("Content-Type"), reply->content_type);
    for (size_t i = 0; i < reply->header_count; i++)
        if (reply->headers[i].value.len != 0)
            add_field(out, reply->headers[i].name, reply->headers[i].value);
    buf_add_str(out, STR("\r\n"));
    if (has_body && r->method != HTTP_HEAD)
        buf_add_str(out, reply->body);
    r->answer_bytes = out->len;
}

void http_request_free(struct http_request *r)
{
    arena_fini(&r->arena);
    buf_fini(&r->body);
    buf_fini(&r->unzipped);
    buf_fini(&r->answer);
    mem_free(r);
}

/* What nobody has answered when the server stops belongs to whoever should have. */
static void forget(struct http_request *r)
{
    struct http_server *s = r->loop->server;
    atomic_fetch_sub(&r->loop->answering, 1);
    http_request_free(r);
    http_server_release(s);
}

void http_answer(struct http_request *r, const struct http_reply *reply)
{
    struct http_loop *loop = r->loop;
    http_answer_print(r, reply);
    atomic_fetch_add(&loop->answering, 1); /* it stays while we touch it */
    int before = atomic_exchange(&r->state, REQUEST_ANSWERED);
    must(before != REQUEST_ANSWERED); /* once per request */
    if (before == REQUEST_FORCED) {
        forget(r);
        return;
    }
    /* in HANDLING its loop looks by itself once the handler returns, and the request may be gone */
    if (before == REQUEST_PARKED)
        http_loop_answered(loop, r);
    atomic_fetch_sub(&loop->answering, 1);
}

struct reason {
    uint32_t status;
    const char *text;
};

static struct str reason_of(uint32_t status)
{
    static const struct reason reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {207, "Multi-Status"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < array_count(reasons); i++)
        if (reasons[i].status == status)
            return str_of(reasons[i].text);
    return STR(""); /* RFC 9112 section 4: it may be empty, and nobody reads it */
}

static void add_first(struct http_request *r, struct str text)
{
    must(text.len <= sizeof(r->first) - r->first_bytes);
    memcpy(r->first + r->first_bytes, text.at, text.len);
    r->first_bytes += (uint32_t)text.len;
}

void http_answer_begin(struct http_request *r, struct str date, bool closes)
{
    char status[4] = {(char)('0' + r->answer_status / 100),
                      (char)('0' + r->answer_status / 10 % 10), (char)('0' + r->answer_status % 10),
                      ' '};
    r->first_bytes = 0;
    r->sent = 0;
    add_first(r, STR("HTTP/1.1 "));
    add_first(r, (struct str){status, sizeof(status)});
    add_first(r, reason_of(r->answer_status));
    add_first(r, STR("\r\nDate: "));
    add_first(r, date);
    if (closes)
        add_first(r, STR("\r\nConnection: close"));
    else if (!r->head.is_http_11)
        add_first(r, STR("\r\nConnection: Keep-Alive"));
    add_first(r, STR("\r\n"));
}
