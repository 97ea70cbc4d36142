/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_int.h"

#include <stdio.h>

enum http_method http_request_method(const struct http_request *request)
{
    return request->method;
}

struct str http_request_path(const struct http_request *request)
{
    return request->path;
}

struct str http_request_query(const struct http_request *request)
{
    return request->query;
}

bool http_request_parameter(struct http_request *request, struct str name, struct str *out)
{
    return http_query_find(request->query, name, &request->arena, out);
}

struct str http_request_header(const struct http_request *request, const char *name)
{
    return http_header_find(request->headers, request->header_count, str_of(name));
}

struct str http_request_body(const struct http_request *request)
{
    return buf_str(request->is_zipped ? &request->unzipped : &request->body);
}

size_t http_request_body_bytes_sent(const struct http_request *request)
{
    return request->body.len;
}

struct str http_request_client(const struct http_request *request)
{
    return request->client;
}

int64_t http_request_arrived_ms(const struct http_request *request)
{
    return request->arrived_ms;
}

struct arena *http_request_arena(struct http_request *request)
{
    return &request->arena;
}

enum http_auth http_request_auth(struct http_request *request, struct str *user,
                                 struct str *password)
{
    return http_auth_parse(http_request_header(request, "authorization"), &request->arena, user,
                           password);
}

void http_answer_error(struct http_request *request, uint32_t status, const char *code,
                       struct str message)
{
    struct buf body;
    buf_init(&body);
    http_error_print(code, message, &body);
    http_answer(request, &(struct http_reply){
                             .status = status,
                             .content_type = STR("application/json"),
                             .body = buf_str(&body),
                         });
    buf_fini(&body);
}

/* An Origin is scheme://host[:port] or "null": nothing that could end a header line. */
static bool is_origin(struct str origin)
{
    if (origin.len == 0 || origin.len > 512)
        return false;
    for (size_t i = 0; i < origin.len; i++)
        if (origin.at[i] <= ' ' || origin.at[i] > '~')
            return false;
    return true;
}

size_t http_cors_headers(const struct http_request *request, const struct http_cors *cors,
                         struct http_header out[HTTP_CORS_HEADERS])
{
    struct str origin = http_request_header(request, "origin");
    bool is_allowed = is_origin(origin) && cors->origins == NULL;
    for (size_t i = 0; is_origin(origin) && cors->origins != NULL && i < cors->origin_count; i++)
        is_allowed |= str_equal(cors->origins[i], origin);
    if (!is_allowed)
        return 0;
    out[0] = (struct http_header){STR("Access-Control-Allow-Origin"), origin};
    out[1] = (struct http_header){STR("Vary"), STR("Origin")};
    out[2] = (struct http_header){STR("Access-Control-Expose-Headers"), cors->exposed};
    return HTTP_CORS_HEADERS;
}

/* Names of headers with commas between them, and nothing else. */
static bool is_name_list(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != ',' && c != ' ')
            return false;
    }
    return text.len <= 1024;
}

void http_answer_preflight(struct http_request *request, const struct http_cors *cors)
{
    char age[16];
    int age_len = snprintf(age, sizeof(age), "%u", cors->max_age_s);
    struct http_header headers[HTTP_CORS_HEADERS + 4];
    struct str asked = http_request_header(request, "access-control-request-headers");
    struct str allowed = cors->headers.len != 0 || !is_name_list(asked) ? cors->headers : asked;
    size_t count = http_cors_headers(request, cors, headers);
    if (count != 0) {
        headers[count++] = (struct http_header){STR("Access-Control-Allow-Methods"), cors->methods};
        headers[count++] = (struct http_header){STR("Access-Control-Allow-Headers"), allowed};
        headers[count++] =
            (struct http_header){STR("Access-Control-Max-Age"), {age, (size_t)age_len}};
    }
    headers[count++] = (struct http_header){STR("Allow"), cors->methods};
    http_answer(request,
                &(struct http_reply){.status = 204, .headers = headers, .header_count = count});
}
