/* http_int.h - for lib/http alone: what a request is made of, and the parts that need no socket.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/server.h"

struct MHD_Connection;
struct MHD_Response;
struct connection;
struct usual_answer;

enum http_error {
    HTTP_FINE = 0,
#define HTTP_ERROR(symbol, status, code, sentence) HTTP_ERROR_##symbol,
#include "http/http_errors.def"
#undef HTTP_ERROR
    HTTP_ERROR_END,
};

struct http_error_row {
    uint32_t status;
    const char *code;
    const char *sentence;
};

const struct http_error_row *http_error_row(enum http_error error);

/* Who moves a request on. The thread of the connection begins in HANDLING; see park() in server.c.
 *
 *     HANDLING ──handler keeps it──► PARKED ──http_answer()──► ANSWERED
 *         └───────────http_answer()──────────────────────────────^
 *     PARKED ──server stops──► FORCED (the 503 is on its way; http_answer() has no effect)
 */
enum request_state {
    REQUEST_HANDLING,
    REQUEST_PARKED,
    REQUEST_ANSWERED,
    REQUEST_FORCED,
};

struct http_request {
    /* two owners: the connection, and whoever has to answer */
    atomic_int owners;
    atomic_int state; /* enum request_state */
    struct http_server *server;
    struct connection *connection;
    struct MHD_Connection *mhd;
    struct http_request *previous; /* in flight, under the server's lock */
    struct http_request *next;
    bool is_in_flight;
    bool has_headers;  /* the first call of the access handler is done */
    bool is_handed_on; /* the handler has been called */
    bool must_close;
    enum http_error error;            /* the server answers with it once the body is in */
    struct MHD_Response *response;    /* its own, or */
    const struct usual_answer *usual; /* one that others get as well; the server's */
    uint32_t response_status;
    size_t response_bytes;

    struct arena arena;
    enum http_method method;
    struct str target; /* as sent */
    struct str path;
    struct str query;
    struct str client;
    struct http_header *headers;
    uint32_t header_count;
    uintptr_t line_at; /* where the header's next line must begin, while they are read */
    bool is_crooked;   /* a line began elsewhere, or is no header line */
    int64_t arrived_ms;
    int64_t body_began_ns;  /* without the server's standstills until then */
    uint64_t body_received; /* bytes on the wire, kept or not */
    struct buf body;        /* as sent */
    struct buf unzipped;    /* used instead if is_zipped */
    bool is_zipped;
};

/* Splits `target` (origin or absolute form, or "*") into its path in normal form (in `arena`) and its
 * query. HTTP_FINE or HTTP_ERROR_BAD_PATH. */
enum http_error http_target_parse(struct str target, struct arena *arena, struct str *path,
                                  struct str *query);

/* Finds a parameter in a query string and decodes it into `arena`. */
bool http_query_find(struct str query, struct str name, struct arena *arena, struct str *out);

/* Decodes base64 (RFC 4648 section 4; padding may be missing) into `arena`. */
bool http_base64_decode(struct str text, struct arena *arena, struct str *out);

/* What the Authorization field says. */
enum http_auth http_auth_parse(struct str field, struct arena *arena, struct str *user,
                               struct str *password);

/* Unzips gzip (RFC 1952, one member or several) into `out`, at most `out_bytes_max` bytes. HTTP_FINE,
 * HTTP_ERROR_BAD_GZIP or HTTP_ERROR_UNZIPPED_TOO_LARGE. */
enum http_error http_unzip(struct str in, size_t out_bytes_max, struct buf *out);

/* {"code":…,"message":…} */
void http_error_print(const char *code, struct str message, struct buf *out);

/* What is wrong with the header fields, or HTTP_FINE. Sets *body_bytes to the announced length
 * (UINT64_MAX: not announced) and *is_zipped. */
enum http_error http_headers_check(const struct http_header *headers, uint32_t count,
                                   uint64_t *body_bytes, bool *is_zipped);

/* Whether a header field is written as RFC 9110 section 5 says: a name of one or more token characters,
 * a value without control characters but tabs. */
bool http_field_is_plain(struct str name, struct str value);

/* The value of the named field, or an empty str. */
struct str http_header_find(const struct http_header *headers, uint32_t count, struct str name);
