/* http_int.h - for lib/http alone: what a request is made of, and the parts that need no socket.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/server.h"

struct connection;
struct http_loop;

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

/* --- Heads and chunks (head.c) --- */

/* A part of a head, counted from its first byte. */
struct http_place {
    uint32_t at;
    uint32_t len;
};

/* A head that is being read. */
struct http_head {
    uint32_t scanned; /* no line ends before here, but those that were read */
    uint32_t line_at; /* the first line that was not read */
    struct http_place method;
    struct http_place target;
    bool is_http_11; /* or 1.0 */
    uint32_t field_count;
    struct http_place fields[HTTP_HEADER_FIELDS_MAX][2]; /* name, value */
};

void http_head_begin(struct http_head *head);

/* Reads on: `bytes` is what there is of the head by now, from its first byte, which must be the same bytes
 * as before with more behind them. HTTP_FINE with the head's length in *head_bytes once it is whole, with
 * 0 while there must come more; or what is wrong (BAD_HEADER, TARGET_TOO_LONG, HEADERS_TOO_LARGE). Its
 * places are good when it is whole. */
enum http_error http_head_read(struct http_head *head, struct str bytes,
                               const struct http_limits *limits, size_t *head_bytes) mustuse;

/* A chunked body that is being read; all zero at its beginning. */
struct http_chunks {
    uint64_t left; /* of the chunk */
    uint32_t state;
    uint32_t digits;     /* of its size */
    uint32_t line_bytes; /* of the line that is being read */
};

enum http_chunk {
    HTTP_CHUNK_MORE,  /* `in` was used up */
    HTTP_CHUNK_PIECE, /* bytes of the body */
    HTTP_CHUNK_END,   /* the body is whole; what was not used is behind it */
    HTTP_CHUNK_BAD,   /* it is not what RFC 9112 section 7.1 says; for good */
};

/* Reads on, at most to the next piece of the body, which is part of `in`. */
enum http_chunk http_chunks_read(struct http_chunks *chunks, struct str in, size_t *used,
                                 struct str *piece) mustuse;

/* --- Requests --- */

/* Who moves a request on. The thread of its loop begins in HANDLING; see loop.c.
 *
 *     HANDLING ──handler keeps it──► PARKED ──http_answer()──► ANSWERED
 *         └───────────http_answer()──────────────────────────────^
 *     PARKED ──server stops──► FORCED (the client gets a 503; http_answer() only frees the request)
 */
enum request_state {
    REQUEST_HANDLING,
    REQUEST_PARKED,
    REQUEST_ANSWERED,
    REQUEST_FORCED,
};

struct http_request {
    atomic_int state; /* enum request_state */
    struct http_loop *loop;
    struct connection *connection;
    struct http_request *next; /* in a list of its loop: answered, or to be used again */

    /* arriving */
    bool is_timed;    /* the time for its head runs */
    bool has_head;    /* it is whole */
    bool is_chunked;  /* its body is */
    bool keeps_alive; /* the client wants to ask more */
    bool must_close;  /* whatever the client wants */
    bool expects;     /* our consent, before it sends its body */
    bool is_late;     /* it takes its answer slowly: that time runs */
    bool is_in_flight;
    enum http_error error; /* the server answers with it once the body is in */
    struct http_chunks chunks;
    uint64_t body_left;  /* of a body that is not chunked */
    uint64_t wire_bytes; /* of a chunked one, with all between the chunks */
    int64_t
        body_began_ns; /* without the server's standstills until then; 0: its time does not run */
    uint64_t body_received; /* kept or not */

    struct arena arena;
    enum http_method method;
    struct str target; /* as sent */
    struct str path;
    struct str query;
    struct str client;
    struct http_header *headers;
    uint32_t header_count;
    int64_t arrived_ms;
    struct buf body;     /* as sent */
    struct buf unzipped; /* used instead if is_zipped */
    bool is_zipped;

    /* leaving: the first lines of the answer, as its loop makes them, then the rest of it */
    char first[192];
    uint32_t first_bytes;
    uint32_t answer_status;
    struct buf answer;
    size_t answer_bytes; /* of the rest, to be sent */
    size_t sent;         /* of both */

    struct http_head head; /* large, and not cleared from one request to the next */
};

/* Writes the answer but for its first lines to r->answer. */
void http_answer_print(struct http_request *r, const struct http_reply *reply);

/* Ends its memory; it is in nobody's hands any more. */
void http_request_free(struct http_request *r);

/* --- What needs no socket (parse.c) --- */

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
                                   bool is_http_11, uint64_t *body_bytes, bool *is_zipped);

/* Whether the client wants to go on after this request: what Connection says, else what the version
 * means. */
bool http_keeps_alive(const struct http_header *headers, uint32_t count, bool is_http_11);

/* The value of the named field, or an empty str. */
struct str http_header_find(const struct http_header *headers, uint32_t count, struct str name);
