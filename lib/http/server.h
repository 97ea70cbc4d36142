/* server.h - an HTTP/1.1 server without routes.
 *
 * The server reads a request whole (headers, then a body up to a stated maximum, unzipped if it was
 * zipped), brings its path into one normal form, refuses what breaks a limit, and hands the rest to
 * one handler. The handler answers at once, or keeps the request and answers later from any thread:
 * whoever promises durability answers only after the disk did.
 *
 *     connection --> [limits, framing] --> [path, body, gzip] --> handler --> http_answer()
 *                          |                     |                  |            ^
 *                          +-- 400 413 414 415 --+                  +-- later ---+
 *                              431 503, as JSON                        any thread
 *
 * What the server itself refuses is listed in http_errors.def; bodies are {"code":…,"message":…}.
 *
 * Time limits are absolute, not per byte, so that a client that sends one byte every few seconds
 * does not hold a connection (see struct http_limits). They measure clients: time in which the server
 * was the slow side does not count.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/fault.h"
#include "base/str.h"

#define HTTP_HEADER_FIELDS_MAX 100 /* fields in one request; more is 431 */
#define HTTP_THREADS_MAX       64
#define HTTP_EXTRA_HEADERS_MAX 16 /* headers that one answer may add */

struct http_server;
struct http_request;

struct http_header {
    struct str name;
    struct str value;
};

struct http_limits {
    uint32_t header_bytes_max;       /* request line and fields together; more is 431 */
    uint32_t target_bytes_max;       /* path and query; more is 414 */
    uint32_t body_bytes_max;         /* body as sent and as unzipped; more is 413 */
    uint32_t unzip_ratio_max;        /* unzipped bytes per zipped byte ... */
    uint32_t unzip_free_bytes;       /* ... but this much is always allowed */
    uint32_t header_ms;              /* from connecting (or the first line) to the last header */
    uint32_t body_ms;                /* for a body, plus ... */
    uint32_t body_bytes_per_s;       /* ... its bytes at this rate; the same for reading answers */
    uint32_t idle_ms;                /* between two requests of one connection */
    uint32_t connections_max;        /* at the same time, all clients */
    uint32_t connections_per_ip_max; /* at the same time, one client; 0 = no limit */
    uint32_t requests_per_connection_max;
};

/* The limits that hold where a deployment does not say otherwise: headers 16 KiB in 100 fields,
 * target 8 KiB, body 500 KiB, 10 s for headers, 1 KB/s for bodies. */
struct http_limits http_limits_default(void);

/* One exchange, given to the handler. It stays good until http_answer() is called for it. */
typedef void http_handler(void *context, struct http_request *request);

/* The clock that time limits are measured by, where it is not the real one. */
struct http_clock {
    int64_t (*now_ns)(
        void *context); /* never goes back; called on any thread; NULL: the real clock */
    void *context;
};

struct http_server_options {
    struct str address;        /* IPv4 or IPv6 literal, e.g. "127.0.0.1" or "::" */
    uint16_t port;             /* 0 = the system picks one: http_server_port() */
    uint32_t threads;          /* 1..HTTP_THREADS_MAX; handlers run on them */
    struct http_limits limits; /* from http_limits_default() */
    http_handler *handler;     /* called on any of the threads, several at a time */
    void *context;             /* handed to the handler */
    struct http_clock clock;   /* all zero: the real one */
};

/* Listens and serves; gives the server in *out. GIVE_UP with a fault where the address cannot be
 * used. Borrows the options. */
enum status http_server_start(const struct http_server_options *options, struct http_server **out,
                              struct fault *f) mustuse;

/* The port that the server listens on. */
uint16_t http_server_port(const struct http_server *server);

/* Hangs up on whoever comes from now on, gives requests in flight up to `grace_ms` to be answered and
 * read, answers the rest with 503, and frees the server. Requests that are still kept by somebody may
 * be answered afterwards (to no effect). The handler is not called any more once this returns. */
void http_server_stop(struct http_server *server, uint32_t grace_ms);

/* What a time limit waits for. */
enum http_wait {
    HTTP_WAIT_HEADERS, /* a client that has connected, or begun, to say what it wants */
    HTTP_WAIT_BODY,
    HTTP_WAIT_READER, /* a client to take its answer */
    HTTP_WAIT_IDLE,   /* the next request */
    HTTP_WAIT_END,
};

/* Figures since the start. */
struct http_counters {
    uint64_t connections;             /* accepted */
    uint64_t requests;                /* with whole headers */
    uint64_t refused;                 /* answered by the server itself */
    uint64_t timeouts[HTTP_WAIT_END]; /* connections that a time limit closed */
    uint64_t broken;          /* requests whose connection ended before their answer had left */
    uint64_t behind;          /* times a limit was put off: the client's bytes lay unread */
    uint64_t standstills;     /* times all limits were put off: the process stood still */
    uint64_t accept_failures; /* times a client had to wait: the system had no descriptor */
    uint64_t in_flight;       /* requests being read, handled or answered now */
    uint64_t open;            /* connections open now */
};
struct http_counters http_server_counters(struct http_server *server);

/* --- What a request says. Everything returned is borrowed until http_answer(). --- */

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER,
};

enum http_method http_request_method(const struct http_request *request);

/* The path, percent-decoded once, beginning with "/"; or "*", the server as a whole. It has no "."
 * or ".." segments, no empty ones but at its end, no NUL, no control characters: those were
 * answered 400. */
struct str http_request_path(const struct http_request *request);

/* What follows "?", as sent; empty if there is none. */
struct str http_request_query(const struct http_request *request);

/* The value of a query parameter, decoded ("+" is a blank); false where there is none or it is
 * malformed. The first one counts. `out` is borrowed from the request. */
bool http_request_parameter(struct http_request *request, struct str name, struct str *out);

/* The value of a header field, its name without regard to case; an empty str where there is none. */
struct str http_request_header(const struct http_request *request, const char *name);

/* The body, whole and unzipped. */
struct str http_request_body(const struct http_request *request);

/* Bytes of the body as they came (before unzipping). */
size_t http_request_body_bytes_sent(const struct http_request *request);

/* The client's address without its port, e.g. "192.0.2.7"; the peer of the connection, whatever
 * headers claim. */
struct str http_request_client(const struct http_request *request);

/* When the request's headers were complete, by the wall clock, UTC ms. */
int64_t http_request_arrived_ms(const struct http_request *request);

/* Memory that lives as long as the request, for handlers that keep it. Not thread safe: one owner
 * at a time, as the request. */
struct arena;
struct arena *http_request_arena(struct http_request *request);

enum http_auth {
    HTTP_AUTH_NONE,   /* no Authorization header */
    HTTP_AUTH_BASIC,  /* user and password decoded */
    HTTP_AUTH_BEARER, /* token in `user` */
    HTTP_AUTH_BAD,    /* present, but malformed or of another scheme */
};

/* Reads the Authorization header. `user` and `password` live as long as the request. Two such
 * headers were answered 400 by the server. Basic credentials with a NUL, bytes that are not
 * base64, or a second colon in front of nothing sensible are HTTP_AUTH_BAD: a password may hold
 * colons, a user may not. */
enum http_auth http_request_auth(struct http_request *request, struct str *user,
                                 struct str *password);

/* --- Answering --- */

struct http_reply {
    uint32_t status;                   /* 200..599 */
    struct str content_type;           /* empty = none */
    const struct http_header *headers; /* more headers, without CR or LF; empty ones are left out */
    size_t header_count;               /* at most HTTP_EXTRA_HEADERS_MAX */
    struct str body;                   /* not sent for HEAD */
};

/* Answers; copies everything it is given. Exactly once per request, in the handler or later, on any
 * thread; the request is no longer good afterwards. */
void http_answer(struct http_request *request, const struct http_reply *reply);

/* http_answer() with {"code":code,"message":message} as its body; both are escaped. */
void http_answer_error(struct http_request *request, uint32_t status, const char *code,
                       struct str message);

/* --- Cross-origin requests (the Fetch standard's CORS protocol) --- */

struct http_cors {
    const struct str *origins; /* allowed origins, exact; NULL = every origin */
    size_t origin_count;
    struct str methods; /* "GET, POST" */
    struct str headers; /* "authorization, content-type"; empty = whatever the browser asks for */
    struct str exposed; /* headers of answers that scripts may read, "Retry-After"; empty = none */
    uint32_t max_age_s; /* how long a browser may remember the preflight */
};

#define HTTP_CORS_HEADERS 3

/* Headers for an answer to `request`: how many were written to `out` (room for HTTP_CORS_HEADERS).
 * None where the request has no Origin or one that is not allowed. What they point at lives as long
 * as the request. */
size_t http_cors_headers(const struct http_request *request, const struct http_cors *cors,
                         struct http_header out[HTTP_CORS_HEADERS]);

/* Answers a preflight (OPTIONS): 204 with what is allowed; without an allowed Origin a plain 204
 * with Allow. */
void http_answer_preflight(struct http_request *request, const struct http_cors *cors);
