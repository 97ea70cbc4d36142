/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "os/clock.h"
#include "os/thread.h"
#include "test.h"

#define BIG_BYTES (32u << 20) /* more than any socket's buffers hold */

/* --- A server whose handler tells what it saw --------------------------------------------------- */

struct site {
    struct http_server *server;
    atomic_int handled;
    struct os_queue *later; /* requests that another thread answers */
    struct os_thread thread;
    atomic_bool hold; /* leave them in the queue */
};

static void tell(struct http_request *r)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",    "PUT",
                                          "PATCH", "DELETE", "OPTIONS", "OTHER"};
    struct buf out;
    buf_init(&out);
    struct str path = http_request_path(r);
    struct str query = http_request_query(r);
    struct str body = http_request_body(r);
    struct str client = http_request_client(r);
    buf_printf(&out, "%s|%.*s|%.*s|%zu|%.*s|", methods[http_request_method(r)], STR_ARG(path),
               STR_ARG(query), body.len, STR_ARG(client));
    buf_add_str(&out, str_part(body, 0, 64));
    struct http_header headers[1 + HTTP_CORS_HEADERS] = {
        {STR("X-Seen"), http_request_header(r, "x-say")}};
    struct http_cors cors = {
        .methods = STR("GET, POST"), .headers = STR("authorization"), .max_age_s = 600};
    size_t count = 1 + http_cors_headers(r, &cors, headers + 1);
    http_answer(r, &(struct http_reply){
                       .status = 200,
                       .content_type = STR("text/plain"),
                       .headers = headers,
                       .header_count = count,
                       .body = buf_str(&out),
                   });
    buf_fini(&out);
}

static void answer_later(void *context)
{
    struct site *site = context;
    struct http_request *r;
    while (os_queue_pop(site->later, &r, 1, FOREVER_MS) == 1) {
        while (atomic_load(&site->hold))
            os_clock_sleep_ms(1);
        tell(r);
    }
}

/* What /usual/N?what answers: little that differs, and often the same. */
static void tell_usual(struct http_request *r)
{
    struct str what = http_request_query(r);
    struct http_header header = {STR("X-Of"), str_equal(what, STR("b")) ? STR("b") : STR("a")};
    http_answer(r, &(struct http_reply){
                       .status = str_equal(what, STR("c")) ? 202 : 200,
                       .content_type = str_equal(what, STR("d")) ? STR("") : STR("text/plain"),
                       .headers = &header,
                       .header_count = str_equal(what, STR("e")) ? 0 : 1,
                       .body = str_starts(what, STR("f")) ? what : STR("well"),
                   });
}

static void handle(void *context, struct http_request *r)
{
    struct site *site = context;
    atomic_fetch_add(&site->handled, 1);
    if (http_request_method(r) == HTTP_OPTIONS) {
        bool is_any = str_starts(http_request_path(r), STR("/any"));
        struct http_cors cors = {.methods = STR("GET, POST"),
                                 .headers = is_any ? STR("") : STR("authorization"),
                                 .exposed = STR("Retry-After"),
                                 .max_age_s = 600};
        http_answer_preflight(r, &cors);
    } else if (str_starts(http_request_path(r), STR("/later"))) {
        assert_int_equal(os_queue_push(site->later, &r), OK);
    } else if (str_starts(http_request_path(r), STR("/big"))) {
        struct buf body;
        buf_init(&body);
        memset(buf_reserve(&body, BIG_BYTES), 'b', BIG_BYTES);
        body.len = BIG_BYTES;
        http_answer(r, &(struct http_reply){.status = 200, .body = buf_str(&body)});
        buf_fini(&body);
    } else if (str_starts(http_request_path(r), STR("/hog"))) {
        memset(arena_alloc(http_request_arena(r), 4 << 20), 'h', 4 << 20);
        tell(r);
    } else if (str_starts(http_request_path(r), STR("/held"))) {
        char text[11];
        snprintf(text, sizeof(text), "%010zu", http_request_arena(r)->total_bytes);
        http_answer(r, &(struct http_reply){.status = 200, .body = str_of(text)});
    } else if (str_starts(http_request_path(r), STR("/sleep"))) {
        os_clock_sleep_ms(1500);
        tell(r);
    } else if (str_starts(http_request_path(r), STR("/usual"))) {
        tell_usual(r);
    } else if (str_starts(http_request_path(r), STR("/error"))) {
        http_answer_error(r, 418, "teapot", STR("no \"coffee\""));
    } else {
        tell(r);
    }
}

static void site_start_by(struct site *site, const struct http_limits *limits, uint32_t threads,
                          struct http_clock clock)
{
    struct fault f = {0};
    *site = (struct site){.later = os_queue_new(sizeof(struct http_request *), 4096)};
    assert_int_equal(os_thread_start(&site->thread, "later", answer_later, site, &f), OK);
    struct http_server_options options = {
        .address = STR("127.0.0.1"),
        .threads = threads,
        .limits = limits != NULL ? *limits : http_limits_default(),
        .handler = handle,
        .context = site,
        .clock = clock,
    };
    if (http_server_start(&options, &site->server, &f) != OK)
        fail_msg("%s", f.text);
    assert_true(http_server_port(site->server) != 0);
}

static void site_start(struct site *site, const struct http_limits *limits, uint32_t threads)
{
    site_start_by(site, limits, threads, (struct http_clock){0});
}

static void site_stop(struct site *site)
{
    http_server_stop(site->server, 5000);
    atomic_store(&site->hold, false);
    os_queue_close(site->later);
    os_thread_join(&site->thread);
    os_queue_free(site->later);
}

/* --- A client that says exactly what it is told to ----------------------------------------------- */

static int dial(const struct site *site)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(site->server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {30, 0};
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static bool say(int fd, const void *at, size_t bytes)
{
    const char *from = at;
    while (bytes > 0) {
        ssize_t sent = send(fd, from, bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        from += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

static bool say_text(int fd, const char *text)
{
    return say(fd, text, strlen(text));
}

/* Reads one answer (by its Content-Length) into `out`; returns its status, 0 at the end of the
 * connection, -1 where nothing came for half a minute. */
static int hear(int fd, struct buf *out, bool is_head)
{
    out->len = 0;
    size_t head_len = SIZE_MAX;
    size_t whole = SIZE_MAX;
    while (out->len < whole) {
        char piece[1];
        ssize_t got = recv(fd, piece, sizeof(piece), 0);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return -1;
        if (got <= 0)
            break;
        buf_add(out, piece, (size_t)got);
        if (head_len != SIZE_MAX)
            continue;
        size_t end = str_find(buf_str(out), STR("\r\n\r\n"), 0);
        if (end == SIZE_MAX)
            continue;
        head_len = whole = end + 4;
        size_t field = str_find(buf_str(out), STR("Content-Length: "), 0);
        if (field != SIZE_MAX && !is_head)
            whole += (size_t)strtoul((const char *)out->at + field + 16, NULL, 10);
        if (str_starts(buf_str(out), STR("HTTP/1.1 100"))) {
            out->len = 0;
            head_len = whole = SIZE_MAX;
        }
    }
    return out->len < 12 ? 0 : (int)strtol((const char *)out->at + 9, NULL, 10);
}

static bool has(const struct buf *b, const char *text)
{
    return str_find(buf_str(b), str_of(text), 0) != SIZE_MAX;
}

/* One exchange on a connection of its own. */
static int ask(const struct site *site, const char *request, struct buf *out)
{
    int fd = dial(site);
    say_text(fd, request);
    int status = hear(fd, out, strncmp(request, "HEAD", 4) == 0);
    close(fd);
    return status;
}

static struct buf heard;

/* --- Tests ---------------------------------------------------------------------------------------- */

static void plain_exchange(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 2);
    assert_int_equal(ask(&site, "GET /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nX-Say: hi\r\n\r\n", &heard),
                     200);
    assert_true(has(&heard, "GET|/a b|x=1|0|127.0.0.1|"));
    assert_true(has(&heard, "X-Seen: hi\r\n"));
    assert_int_equal(
        ask(&site, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", &heard), 200);
    assert_true(has(&heard, "POST|/p||5|127.0.0.1|hello"));
    assert_int_equal(ask(&site, "HEAD /p HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 200);
    assert_true(has(&heard, "Content-Length: 21\r\n"));
    assert_false(has(&heard, "HEAD|"));
    assert_int_equal(ask(&site, "BREW /p HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 200);
    assert_true(has(&heard, "OTHER|"));
    assert_int_equal(ask(&site,
                         "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
                         &heard),
                     200);
    assert_true(has(&heard, "|7|127.0.0.1|abcdefg"));
    assert_int_equal(ask(&site, "GET /error HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 418);
    assert_true(has(&heard, "{\"code\":\"teapot\",\"message\":\"no \\\"coffee\\\"\"}"));
    assert_int_equal(ask(&site,
                         "POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                         "Content-Length: 2\r\n\r\nok",
                         &heard),
                     200);
    assert_true(has(&heard, "|2|127.0.0.1|ok"));
    site_stop(&site);
}

static void kept_alive(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.requests_per_connection_max = 50;
    site_start(&site, &limits, 1);
    int fd = dial(&site);
    for (int i = 1; i <= 50; i++) {
        char request[128];
        const char *where = i % 3 == 0 ? "/later" : "/now";
        snprintf(request, sizeof(request),
                 "POST %s/%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nn%02d", where, i, i);
        assert_true(say_text(fd, request));
        assert_int_equal(hear(fd, &heard, false), 200);
        snprintf(request, sizeof(request), "%s/%d||3|127.0.0.1|n%02d", where, i, i);
        assert_true(has(&heard, request));
        assert_int_equal(has(&heard, "Connection: close"), i == 50);
    }
    assert_int_equal(hear(fd, &heard, false), 0);
    close(fd);

    /* pipelined: answers in the order of the questions, though the first waits for a thread */
    fd = dial(&site);
    assert_true(say_text(fd, "GET /later/1 HTTP/1.1\r\nHost: h\r\n\r\n"
                             "GET /now/2 HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(hear(fd, &heard, false), 200);
    assert_true(has(&heard, "/later/1"));
    assert_int_equal(hear(fd, &heard, false), 200);
    assert_true(has(&heard, "/now/2"));
    close(fd);
    site_stop(&site);
}

static int post_sized(const struct site *site, size_t bytes, bool is_chunked)
{
    char head[160];
    char *body = test_calloc(1, bytes + 1);
    memset(body, 'x', bytes);
    int fd = dial(site);
    if (is_chunked) {
        say_text(fd, "POST /s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0; at < bytes;) {
            size_t piece = min_of(bytes - at, (size_t)1000);
            snprintf(head, sizeof(head), "%zx\r\n", piece);
            if (!say_text(fd, head) || !say(fd, body + at, piece) || !say_text(fd, "\r\n"))
                break;
            at += piece;
        }
        say_text(fd, "0\r\n\r\n");
    } else {
        snprintf(head, sizeof(head), "POST /s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n",
                 bytes);
        say_text(fd, head);
        say(fd, body, bytes);
    }
    int status = hear(fd, &heard, false);
    close(fd);
    test_free(body);
    return status;
}

static void body_limit(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.body_bytes_max = 10000;
    site_start(&site, &limits, 1);
    for (int is_chunked = 0; is_chunked < 2; is_chunked++) {
        assert_int_equal(post_sized(&site, 10000, is_chunked), 200);
        assert_true(has(&heard, "|10000|"));
        assert_int_equal(post_sized(&site, 10001, is_chunked), 413);
        assert_true(has(&heard, "body_too_large"));
        assert_int_equal(post_sized(&site, 80000, is_chunked), 413);
    }
    /* one that announces too much and waits for consent is told at once */
    assert_int_equal(ask(&site,
                         "POST /s HTTP/1.1\r\nHost: h\r\nContent-Length: 10001\r\n"
                         "Expect: 100-continue\r\n\r\n",
                         &heard),
                     413);
    assert_true(has(&heard, "Connection: close"));
    assert_int_equal(atomic_load(&site.handled), 2);
    site_stop(&site);
}

/* Short answers are made once and given again; each request gets its own all the same. */
static void usual_answers(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.requests_per_connection_max = 40;
    site_start(&site, &limits, 2);
    for (int round = 0; round < 3; round++) {
        int fd = dial(&site);
        for (int i = 1; i <= 40; i++) {
            static const char *const whats[] = {"a", "b", "c", "d", "e", "f"};
            const char *what = whats[i % 6];
            char request[128], many[16];
            snprintf(many, sizeof(many), "f%02d", i); /* more of them than are kept */
            snprintf(request, sizeof(request), "GET /usual?%s HTTP/1.1\r\nHost: h\r\n\r\n",
                     *what == 'f' ? many : what);
            assert_true(say_text(fd, request));
            assert_int_equal(hear(fd, &heard, false), *what == 'c' ? 202 : 200);
            assert_int_equal(has(&heard, "Content-Type: text/plain\r\n"), *what != 'd');
            assert_int_equal(has(&heard, "X-Of: a\r\n"), *what != 'b' && *what != 'e');
            assert_int_equal(has(&heard, "X-Of: b\r\n"), *what == 'b');
            assert_true(has(&heard, *what == 'f' ? many : "well"));
            assert_int_equal(has(&heard, "Connection: close\r\n"), i == 40);
        }
        assert_int_equal(hear(fd, &heard, false), 0);
        close(fd);
    }
    site_stop(&site);
}

static int ask_fields(const struct site *site, int count, size_t value_bytes)
{
    struct buf request;
    buf_init(&request);
    buf_printf(&request, "GET /f HTTP/1.1\r\nHost: h\r\n");
    for (int i = 1; i < count; i++) {
        buf_printf(&request, "X-%d: ", i);
        for (size_t k = 0; k < value_bytes; k++)
            buf_add_byte(&request, 'v');
        buf_add_str(&request, STR("\r\n"));
    }
    buf_add_str(&request, STR("\r\n"));
    int fd = dial(site);
    say(fd, request.at, request.len);
    int status = hear(fd, &heard, false);
    close(fd);
    buf_fini(&request);
    return status;
}

static void header_limits(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    assert_int_equal(ask_fields(&site, HTTP_HEADER_FIELDS_MAX, 1), 200);
    assert_int_equal(ask_fields(&site, HTTP_HEADER_FIELDS_MAX + 1, 1), 431);
    assert_int_equal(ask_fields(&site, 2, 16000), 200);
    assert_int_equal(ask_fields(&site, HTTP_HEADER_FIELDS_MAX, 156), 200);
    assert_int_equal(ask_fields(&site, HTTP_HEADER_FIELDS_MAX, 160), 431);
    assert_int_equal(ask_fields(&site, 2, 17000), 431);
    assert_true(has(&heard, "header_too_large"));
    assert_int_equal(ask_fields(&site, 50, 20000), 431); /* beyond what the library reads */

    for (size_t bytes = 8 * 1024; bytes <= 8 * 1024 + 1; bytes++) {
        struct buf request;
        buf_init(&request);
        buf_add_str(&request, STR("GET /"));
        for (size_t i = 1; i < bytes; i++)
            buf_add_byte(&request, 'p');
        buf_add_str(&request, STR(" HTTP/1.1\r\nHost: h\r\n\r\n"));
        buf_add_byte(&request, 0);
        assert_int_equal(ask(&site, (char *)request.at, &heard), bytes == 8 * 1024 ? 200 : 414);
        buf_fini(&request);
    }
    site_stop(&site);
}

/* Sends `request` and one behind it; the status of the first, and whether the second was handled. */
static int ask_with_another(const struct site *site, struct str request, bool *is_second_handled)
{
    int before = atomic_load(&site->handled);
    int fd = dial(site);
    say(fd, request.at, request.len);
    say_text(fd, "GET /second HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    int status = hear(fd, &heard, false);
    struct buf rest;
    buf_init(&rest);
    while (hear(fd, &rest, false) > 0)
        ;
    buf_fini(&rest);
    close(fd);
    *is_second_handled = atomic_load(&site->handled) - before > (status == 200);
    return status;
}

static void crooked_lines(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    static const struct str bad[] = {
        STR("GET /a HTTP/1.1\nHost: h\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\n\n"),
        STR("GET /a HTTP/1.1\rHost: h\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\rX-Say: a\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\nX-Say: a\nContent-Length: 5\r\n\r\nhello"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\nX-Say: a\n\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\nX-Say: a\r\n b\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\nX-Say : a\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\n Host: h\r\nHost: h\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\nX-Say: a\x01\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\nX-Say: a\0b\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\nX-S\xc3\xa4y: a\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\nX(Say): a\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n"),
        STR("GET  /a HTTP/1.1\r\nHost: h\r\n\r\n"),
        STR("GET /a  HTTP/1.1\r\nHost: h\r\n\r\n"),
        STR("GET\t/a HTTP/1.1\r\nHost: h\r\n\r\n"),
    };
    bool is_second_handled;
    for (size_t i = 0; i < array_count(bad); i++) {
        int status = ask_with_another(&site, bad[i], &is_second_handled);
        if (status == 200 || is_second_handled)
            fail_msg("status %d for %.*s", status, STR_ARG(bad[i]));
    }
    static const struct str good[] = {
        STR("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost:h\r\nX-Say:\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: \t h\r\nX-Say: a\tb \t\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\nX-!#$%&'*+-.^_`|~09: \xc3\xa4\r\n\r\n"),
        STR("GET /a HTTP/1.1\r\nHost: h\r\nCookie: a=b; c=d\r\nX-Say: ::\r\n\r\n"),
    };
    for (size_t i = 0; i < array_count(good); i++) {
        int status = ask_with_another(&site, good[i], &is_second_handled);
        if (status != 200 || !is_second_handled)
            fail_msg("status %d for %.*s", status, STR_ARG(good[i]));
    }
    /* a header that comes byte by byte is read as one that comes at once */
    int fd = dial(&site);
    for (const char *at = good[3].at; *at != '\0'; at++)
        assert_true(say(fd, at, 1));
    assert_int_equal(hear(fd, &heard, false), 200);
    close(fd);
    site_stop(&site);
}

/* A chunked body of one way to read it is followed by the next request, and of no other way by nothing. */
static void chunked_bodies(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    bool is_second_handled;
    static const char head[] = "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const char *const good[] = {
        "0\r\n\r\n",
        "2\r\nab\r\n0\r\n\r\n",
        "0002\r\nab\r\n000\r\n\r\n",
        "A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n",
        "2;a;b=c;d=\"\\\"e\\; \"\r\n\r\n\r\n0;x\r\n\r\n",
        "1\r\nx\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n",
    };
    for (size_t i = 0; i < array_count(good); i++) {
        struct buf request;
        buf_init(&request);
        buf_printf(&request, "%s%s", head, good[i]);
        int status = ask_with_another(&site, buf_str(&request), &is_second_handled);
        buf_fini(&request);
        if (status != 200 || !is_second_handled)
            fail_msg("status %d for %s", status, good[i]);
    }
    static const char *const bad[] = {
        "2\nab\r\n0\r\n\r\n",
        "2\r\nab\n0\r\n\r\n",
        "2\r\nab0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "2 \r\nab\r\n0\r\n\r\n",
        " 2\r\nab\r\n0\r\n\r\n",
        "2;\r\nab\r\n0\r\n\r\n",
        "2;=b\r\nab\r\n0\r\n\r\n",
        "2;a=\r\nab\r\n0\r\n\r\n",
        "2;a=\"b\r\nab\r\n0\r\n\r\n",
        "2;a\nab\r\n0\r\n\r\n",
        "+2\r\nab\r\n0\r\n\r\n",
        "0x2\r\nab\r\n0\r\n\r\n",
        "2\r\rab\r\n0\r\n\r\n",
        "2\r\nab\r\n0\r\n\n",
        "2\r\nab\r\n0\n\r\n",
        "0\r\n X: folded\r\n\r\n",
        "0\r\nX : 1\r\n\r\n",
        "0\r\nX: 1\n\r\n",
        "0\r\nX\r\n\r\n",
        "2\r\nab\r\n0\r\nX: \x01\r\n\r\n",
        "10000000000000002\r\nab\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < array_count(bad); i++) {
        struct buf request;
        buf_init(&request);
        buf_printf(&request, "%s%s", head, bad[i]);
        int status = ask_with_another(&site, buf_str(&request), &is_second_handled);
        buf_fini(&request);
        if (status != 400 || is_second_handled || !has(&heard, "bad_framing"))
            fail_msg("status %d for %s", status, bad[i]);
        assert_true(has(&heard, "Connection: close\r\n"));
    }
    site_stop(&site);
}

static void crooked_framing(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    static const char *const bad[] = {
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\nhello",
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello",
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YTo=\r\nAuthorization: Basic "
        "YjE6\r\n\r\n",
        "GET /api/../ui HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /%2e%2e HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET //a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: h, i\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: h i\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: h/b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: u@h\r\n\r\n",
        "GET /a HTTP/1.0\r\nHost: h?b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n",
        "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n",
    };
    static const char *const hosts[] = {"",         "h",           "127.0.0.1:8080",
                                        "[::1]:80", "a_b.example", "x%41-~"};
    for (size_t i = 0; i < array_count(hosts); i++) {
        char request[128];
        snprintf(request, sizeof(request), "BREW /a HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        assert_int_equal(ask(&site, request, &heard), 200);
    }
    atomic_store(&site.handled, 0);
    for (size_t i = 0; i < array_count(bad); i++) {
        int status = ask(&site, bad[i], &heard);
        if (status != 400)
            fail_msg("status %d for %s", status, bad[i]);
    }
    /* chunk sizes that are none: refused by the library, by 400, 413 or by hanging up */
    static const char *const chunks[] = {"ffffffffffffffff1\r\n", "-3\r\nabc\r\n", "0x10\r\n",
                                         "zz\r\n", "\r\n"};
    for (size_t i = 0; i < array_count(chunks); i++) {
        char request[256];
        snprintf(request, sizeof(request),
                 "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n",
                 chunks[i]);
        int status = ask(&site, request, &heard);
        if (status != 400 && status != 413 && status != 0)
            fail_msg("status %d for chunk %s", status, chunks[i]);
    }
    assert_int_equal(ask(&site, "rubbish\r\n\r\n", &heard) < 200 ||
                         ask(&site, "rubbish\r\n\r\n", &heard) >= 400,
                     1);
    assert_int_equal(atomic_load(&site.handled), 0);
    assert_int_equal(ask(&site, "GET /alive HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 200);
    site_stop(&site);
}

static int post_zipped(const struct site *site, size_t bytes, char fill, const char *coding)
{
    struct buf request;
    z_stream z = {0};
    uint8_t *plain = test_calloc(1, bytes + 1);
    uint8_t *zipped = test_calloc(1, bytes + 1000);
    uint32_t noise = 1;
    for (size_t i = 0; i < bytes; i++) {
        noise = noise * 1664525 + 1013904223;
        plain[i] = fill != 0 ? (uint8_t)fill : "0123456789abcdef"[noise >> 28];
    }
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = plain;
    z.avail_in = (uInt)bytes;
    z.next_out = zipped;
    z.avail_out = (uInt)bytes + 1000;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    buf_init(&request);
    buf_printf(&request,
               "POST /z HTTP/1.1\r\nHost: h\r\nContent-Encoding: %s\r\nContent-Length: %lu\r\n\r\n",
               coding, z.total_out);
    buf_add(&request, zipped, z.total_out);
    deflateEnd(&z);
    int fd = dial(site);
    say(fd, request.at, request.len);
    int status = hear(fd, &heard, false);
    close(fd);
    buf_fini(&request);
    test_free(plain);
    test_free(zipped);
    return status;
}

static void zipped_bodies(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.body_bytes_max = 300000;
    limits.unzip_free_bytes = 20000;
    site_start(&site, &limits, 1);
    assert_int_equal(post_zipped(&site, 300000, 0, "gzip"), 200);
    assert_true(has(&heard, "|300000|"));
    assert_int_equal(post_zipped(&site, 300001, 0, "gzip"), 413);
    /* a thousandfold: fine while it is small, a bomb beyond */
    assert_int_equal(post_zipped(&site, 20000, 'a', "gzip"), 200);
    assert_int_equal(post_zipped(&site, 20001, 'a', "gzip"), 413);
    assert_true(has(&heard, "unzipped_body_too_large"));
    assert_int_equal(post_zipped(&site, 100, 'a', "x-gzip"), 200);
    assert_int_equal(post_zipped(&site, 100, 'a', "gzip, gzip"), 415);
    assert_true(has(&heard, "Accept-Encoding: gzip"));
    assert_int_equal(post_zipped(&site, 100, 'a', "deflate"), 415);
    assert_int_equal(
        ask(&site,
            "POST /z HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"
            "hello",
            &heard),
        400);
    assert_true(has(&heard, "bad_gzip"));
    site_stop(&site);
}

static void cross_origin(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    assert_int_equal(ask(&site,
                         "OPTIONS /v1/i HTTP/1.1\r\nHost: h\r\nOrigin: http://shop.example\r\n"
                         "Access-Control-Request-Method: POST\r\n"
                         "Access-Control-Request-Headers: authorization\r\n\r\n",
                         &heard),
                     204);
    assert_true(has(&heard, "Access-Control-Allow-Origin: http://shop.example\r\n"));
    assert_true(has(&heard, "Access-Control-Allow-Headers: authorization\r\n"));
    assert_true(has(&heard, "Access-Control-Allow-Methods: GET, POST\r\n"));
    assert_true(has(&heard, "Access-Control-Max-Age: 600\r\n"));
    assert_true(has(&heard, "Vary: Origin\r\n"));
    assert_int_equal(ask(&site,
                         "OPTIONS /any HTTP/1.1\r\nHost: h\r\nOrigin: http://shop.example\r\n"
                         "Access-Control-Request-Headers: authorization,x-retry-count\r\n\r\n",
                         &heard),
                     204);
    assert_true(has(&heard, "Access-Control-Allow-Headers: authorization,x-retry-count\r\n"));
    assert_true(has(&heard, "Access-Control-Expose-Headers: Retry-After\r\n"));
    assert_int_equal(ask(&site,
                         "OPTIONS /any HTTP/1.1\r\nHost: h\r\nOrigin: http://shop.example\r\n"
                         "Access-Control-Request-Headers: a;b\r\n\r\n",
                         &heard),
                     204);
    assert_false(has(&heard, "Access-Control-Allow-Headers"));
    assert_int_equal(ask(&site, "OPTIONS /v1/i HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 204);
    assert_false(has(&heard, "Access-Control"));
    assert_true(has(&heard, "Allow: GET, POST\r\n"));
    assert_int_equal(
        ask(&site, "GET /x HTTP/1.1\r\nHost: h\r\nOrigin: http://shop.example\r\n\r\n", &heard),
        200);
    assert_true(has(&heard, "Access-Control-Allow-Origin: http://shop.example\r\n"));
    site_stop(&site);
}

/* A client that sends one byte every now and then never lets its connection fall silent. */
static void slow_headers(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.header_ms = 300;
    limits.body_ms = 300;
    limits.body_bytes_per_s = 1000000;
    limits.idle_ms = 300;
    site_start(&site, &limits, 2);
    static const char *const begins[] = {
        "GET /slow HTTP/1.1\r\nHost: h\r\nX-A: ",
        "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n",
        "POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    for (size_t i = 0; i < array_count(begins); i++) {
        int fd = dial(&site);
        assert_true(say_text(fd, begins[i]));
        int sent = 0;
        while (sent < 2000 && say_text(fd, i == 2 ? "1\r\nx\r\n" : "x")) {
            os_clock_sleep_ms(15);
            sent++;
        }
        assert_true(sent < 2000); /* it was shut down; half a minute would have passed else */
        close(fd);
    }
    /* one that says nothing at all, and one that has been answered and then says nothing */
    int fd = dial(&site);
    assert_int_equal(hear(fd, &heard, false), 0);
    close(fd);
    fd = dial(&site);
    assert_true(say_text(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(hear(fd, &heard, false), 200);
    assert_int_equal(hear(fd, &heard, false), 0);
    close(fd);
    assert_int_equal(atomic_load(&site.handled), 1);
    struct http_counters counters = http_server_counters(site.server);
    assert_int_equal(counters.timeouts[HTTP_WAIT_HEADERS], 2);
    assert_int_equal(counters.timeouts[HTTP_WAIT_BODY], 2);
    assert_int_equal(counters.timeouts[HTTP_WAIT_IDLE], 1);
    assert_int_equal(counters.timeouts[HTTP_WAIT_READER], 0);
    site_stop(&site);
}

/* While the handler thinks, no time limit runs against the client. */
static void slow_answer(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.header_ms = limits.body_ms = limits.idle_ms = 300;
    site_start(&site, &limits, 1);
    atomic_store(&site.hold, true);
    int fd = dial(&site);
    assert_true(say_text(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    os_clock_sleep_ms(900);
    atomic_store(&site.hold, false);
    assert_int_equal(hear(fd, &heard, false), 200);
    close(fd);
    site_stop(&site);
}

static void hear_one(int fd)
{
    assert_int_equal(hear(fd, &heard, false), 200);
}

/* A handler that keeps the thread holds up the other connections of it, and the time runs against
 * none of them: not those that wait to be read, and not the one that is handled. */
static void slow_thread(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.header_ms = limits.body_ms = limits.idle_ms = 500;
    limits.body_bytes_per_s = 0;
    site_start(&site, &limits, 1);
    int slow = dial(&site), kept = dial(&site);
    assert_true(say_text(kept, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear_one(kept);
    assert_true(say_text(slow, "GET /sleep HTTP/1.1\r\nHost: h\r\n\r\n"));
    while (atomic_load(&site.handled) < 2)
        os_clock_sleep_ms(1);
    int fresh = dial(&site);
    assert_true(say_text(kept, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_true(say_text(fresh, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"));
    hear_one(slow);
    hear_one(kept);
    hear_one(fresh);
    assert_true(http_server_counters(site.server).behind > 0);
    assert_int_equal(http_server_counters(site.server).broken, 0);
    close(slow);
    close(kept);
    close(fresh);
    site_stop(&site);
}

/* The real clock, and on top what the test has let go by. */
static int64_t ahead_now_ns(void *context)
{
    atomic_int_fast64_t *ahead_ns = context;
    return os_clock_monotonic_ns() + atomic_load(ahead_ns);
}

/* The whole process stands still for longer than any limit: no client is to blame. To the server it
 * is that between two of its looks at the clock far too much time has gone by. */
static void standstill(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.header_ms = limits.body_ms = limits.idle_ms = 3000;
    atomic_int_fast64_t ahead_ns = 0;
    site_start_by(&site, &limits, 2, (struct http_clock){ahead_now_ns, &ahead_ns});
    int idle = dial(&site), fresh = dial(&site);
    assert_true(say_text(idle, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear_one(idle);
    while (http_server_counters(site.server).open < 2)
        os_clock_sleep_ms(1);
    atomic_fetch_add(&ahead_ns, INT64_C(60000) * 1000000);
    for (int i = 0; i < 30000 && http_server_counters(site.server).standstills == 0; i++)
        os_clock_sleep_ms(1);
    assert_int_equal(http_server_counters(site.server).standstills, 1);
    assert_true(say_text(idle, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear_one(idle);
    assert_true(say_text(fresh, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear_one(fresh);
    for (int i = 0; i < HTTP_WAIT_END; i++)
        assert_int_equal(http_server_counters(site.server).timeouts[i], 0);
    close(idle);
    close(fresh);
    site_stop(&site);
}

static uint64_t answers_given_up(const struct site *site)
{
    return http_server_counters(site->server).timeouts[HTTP_WAIT_READER];
}

/* A client that does not read its answer holds no connection for ever, whatever else it says. */
static void slow_reader(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.body_ms = 300;
    limits.body_bytes_per_s = 1u << 30;
    site_start(&site, &limits, 1);
    int fd = dial(&site);
    assert_true(say_text(fd, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
    while (atomic_load(&site.handled) == 0)
        os_clock_sleep_ms(1);
    assert_true(say_text(fd, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
    for (int i = 0; i < 3000 && answers_given_up(&site) == 0; i++)
        os_clock_sleep_ms(10);
    assert_int_equal(answers_given_up(&site), 1);
    close(fd);
    site_stop(&site);
    site_start(&site, NULL, 1);
    fd = dial(&site);
    assert_true(say_text(fd, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
    static char piece[65536];
    size_t got = 0;
    for (ssize_t n; got < BIG_BYTES && (n = recv(fd, piece, sizeof(piece), 0)) > 0;)
        got += (size_t)n;
    assert_true(got >= BIG_BYTES); /* who reads gets it whole */
    close(fd);
    site_stop(&site);
}

static void too_many_connections(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.connections_per_ip_max = 3;
    site_start(&site, &limits, 1);
    int fds[3];
    for (size_t i = 0; i < array_count(fds); i++) {
        fds[i] = dial(&site);
        assert_true(say_text(fds[i], "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_int_equal(hear(fds[i], &heard, false), 200);
    }
    assert_int_equal(ask(&site, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 0);
    close(fds[0]);
    int status = 0;
    for (int i = 0; i < 1000 && status == 0; i++) { /* until the server has noticed */
        status = ask(&site, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", &heard);
        os_clock_sleep_ms(5);
    }
    assert_int_equal(status, 200);
    close(fds[1]);
    close(fds[2]);
    site_stop(&site);
}

static void ask_many(void *context)
{
    const struct site *site = context;
    struct buf out;
    buf_init(&out);
    for (int round = 0; round < 5; round++) {
        int fd = dial(site);
        for (int i = 0; i < 40; i++) {
            const char *where = (i + round) % 2 ? "/later" : "/now";
            char request[128];
            snprintf(request, sizeof(request),
                     "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nn%02d", where, i);
            assert_true(say_text(fd, request));
            if (i == 39 && round % 2)
                break; /* hang up without hearing the answer */
            assert_int_equal(hear(fd, &out, false), 200);
            snprintf(request, sizeof(request), "%s||3|127.0.0.1|n%02d", where, i);
            assert_true(has(&out, request));
        }
        close(fd);
    }
    buf_fini(&out);
}

static void many_clients(void **state)
{
    (void)state;
    struct site site;
    struct os_thread clients[8];
    site_start(&site, NULL, 2);
    for (size_t i = 0; i < array_count(clients); i++)
        assert_int_equal(os_thread_start(&clients[i], "client", ask_many, &site, NULL), OK);
    for (size_t i = 0; i < array_count(clients); i++)
        os_thread_join(&clients[i]);
    site_stop(&site);
    assert_in_range(atomic_load(&site.handled), 8 * (5 * 40 - 2), 8 * 5 * 40);
}

static void stop_waits(void *context)
{
    struct site *site = context;
    http_server_stop(site->server, 20000);
}

/* Stopping lets an answer in flight leave, and refuses what comes in meanwhile. */
static void gentle_stop(void **state)
{
    (void)state;
    struct site site;
    struct os_thread stopper;
    site_start(&site, NULL, 2);
    int idle = dial(&site);
    assert_true(say_text(idle, "GET /now HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(hear(idle, &heard, false), 200);
    atomic_store(&site.hold, true);
    int fd = dial(&site);
    assert_true(say_text(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    while (atomic_load(&site.handled) < 2)
        os_clock_sleep_ms(1);
    assert_int_equal(os_thread_start(&stopper, "stop", stop_waits, &site, NULL), OK);
    int status;
    do { /* until the stop has begun */
        assert_true(say_text(idle, "GET /now HTTP/1.1\r\nHost: h\r\n\r\n"));
        status = hear(idle, &heard, false);
    } while (status == 200 && !has(&heard, "Connection: close"));
    /* What was taken in just before the stop is answered, as the last on its connection. */
    assert_true(status == 200 || (status == 503 && has(&heard, "stopping")));
    int late = dial(&site);
    assert_int_equal(hear(late, &heard, false), 0);
    close(late);
    atomic_store(&site.hold, false);
    assert_int_equal(hear(fd, &heard, false), 200);
    assert_true(has(&heard, "Connection: close"));
    os_thread_join(&stopper);
    close(fd);
    close(idle);
    os_queue_close(site.later);
    os_thread_join(&site.thread);
    os_queue_free(site.later);
}

/* Stopping does not wait for ever, and a handler that answers afterwards does no harm. */
static void hard_stop(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 2);
    atomic_store(&site.hold, true);
    int fds[10];
    for (size_t i = 0; i < array_count(fds); i++) {
        fds[i] = dial(&site);
        assert_true(say_text(fds[i], "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    while (atomic_load(&site.handled) < (int)array_count(fds))
        os_clock_sleep_ms(1);
    http_server_stop(site.server, 50);
    for (size_t i = 0; i < array_count(fds); i++) {
        int status = hear(fds[i], &heard, false);
        assert_true(status == 503 || status == 0);
        close(fds[i]);
    }
    atomic_store(&site.hold, false);
    os_queue_close(site.later);
    os_thread_join(&site.thread);
    os_queue_free(site.later);
}

/* A server that is stopped the moment a client has its answer, again and again: stopping meets the
 * server's threads at every place of their loop. */
static void stopped_often(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 600; i++) {
        struct site site;
        site_start(&site, NULL, 1 + i % 3);
        int fd = dial(&site);
        assert_true(say_text(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
        hear_one(fd);
        close(fd);
        site_stop(&site);
    }
}

/* Every cut of two requests into two sends reads as the same two requests. */
static void cut_anywhere(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.requests_per_connection_max = 10000;
    site_start(&site, &limits, 1);
    static const char text[] =
        "POST /later HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2;x=\"y\"\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n"
        "\r\nPOST /now HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nde";
    int fd = dial(&site);
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        assert_true(say(fd, text, cut));
        if (cut % 3 == 0) /* else both may arrive as one */
            os_clock_sleep_ms(1);
        assert_true(say(fd, text + cut, sizeof(text) - 1 - cut));
        assert_int_equal(hear(fd, &heard, false), 200);
        assert_true(has(&heard, "POST|/later||3|127.0.0.1|abc"));
        assert_int_equal(hear(fd, &heard, false), 200);
        assert_true(has(&heard, "POST|/now||2|127.0.0.1|de"));
    }
    close(fd);
    site_stop(&site);
}

/* Three hundred requests at once on one connection, far more than its turn, some answered by another
 * thread; another client is served meanwhile. */
static void pipelined(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    struct buf all;
    buf_init(&all);
    for (int i = 0; i < 300; i++)
        buf_printf(&all, "POST %s?%d HTTP/1.1\r\nHost: h\r\nContent-Length: 500\r\n\r\n%0500d",
                   i % 7 == 3 ? "/later" : "/now", i, i);
    int fd = dial(&site), other = dial(&site);
    assert_true(say(fd, all.at, all.len));
    assert_true(say_text(other, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear_one(other);
    for (int i = 0; i < 300; i++) {
        char wanted[64];
        hear_one(fd);
        snprintf(wanted, sizeof(wanted), "%s|%d|500|", i % 7 == 3 ? "/later" : "/now", i);
        assert_true(has(&heard, wanted));
    }
    buf_fini(&all);
    close(fd);
    close(other);
    site_stop(&site);
}

/* A client that sends no more still hears the answers to all that it has asked whole. */
static void half_closed(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    atomic_store(&site.hold, true);
    int fd = dial(&site);
    assert_true(say_text(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"
                             "GET /second HTTP/1.1\r\nHost: h\r\n\r\nGET /third HTT"));
    shutdown(fd, SHUT_WR);
    while (atomic_load(&site.handled) == 0)
        os_clock_sleep_ms(1);
    atomic_store(&site.hold, false);
    hear_one(fd);
    assert_true(has(&heard, "GET|/later|"));
    hear_one(fd);
    assert_true(has(&heard, "GET|/second|"));
    assert_int_equal(hear(fd, &heard, false), 0);
    close(fd);
    assert_int_equal(http_server_counters(site.server).broken, 0);
    assert_int_equal(atomic_load(&site.handled), 2);
    site_stop(&site);
}

/* Who leaves before the answer costs nobody anything, and is counted. */
static void left_early(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 2);
    atomic_store(&site.hold, true);
    for (int i = 1; i <= 20; i++) {
        struct linger at_once = {1, 0}; /* a reset */
        int fd = dial(&site);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        assert_true(say_text(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
        while (atomic_load(&site.handled) < i)
            os_clock_sleep_ms(1);
        close(fd);
    }
    atomic_store(&site.hold, false);
    for (int i = 0; i < 30000 && http_server_counters(site.server).open != 0; i++)
        os_clock_sleep_ms(1);
    struct http_counters counters = http_server_counters(site.server);
    assert_int_equal(counters.open, 0);
    assert_int_equal(counters.in_flight, 0);
    assert_int_equal(counters.broken, 20);
    assert_int_equal(ask(&site, "GET /alive HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 200);
    site_stop(&site);
}

/* A thousand connections that say nothing do not hold up those that do, and each is served when it does. */
static void many_idle(void **state)
{
    (void)state;
    enum { IDLE = 1000 };
    struct site site;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < IDLE * 2 + 200) {
        limit.rlim_cur = min_of(limit.rlim_max, (rlim_t)(IDLE * 2 + 200));
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < IDLE * 2 + 200)
            skip();
    }
    site_start(&site, NULL, 3);
    static int fds[IDLE];
    for (int i = 0; i < IDLE; i++)
        fds[i] = dial(&site);
    assert_int_equal(ask(&site, "GET /alive HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 200);
    for (int i = 0; i < 30000 && http_server_counters(site.server).open != IDLE; i++)
        os_clock_sleep_ms(1);
    assert_int_equal(http_server_counters(site.server).open, IDLE);
    for (int i = 0; i < IDLE; i++) {
        assert_true(say_text(fds[i], "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
        hear_one(fds[i]);
    }
    for (int i = 0; i < IDLE; i++)
        close(fds[i]);
    site_stop(&site);
}

/* Without a descriptor for them, clients wait until there is one; the server does not ask in vain again
 * and again. */
static void no_descriptors(void **state)
{
    (void)state;
    struct site site;
    struct rlimit before, none;
    site_start(&site, NULL, 2);
    int served = dial(&site), waiting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(waiting >= 0);
    assert_true(say_text(served, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear_one(served);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3; /* all that are open are above it and stay */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(site.server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int connected = connect(waiting, (struct sockaddr *)&to, sizeof(to));
    bool is_sent = say_text(waiting, "GET /w HTTP/1.1\r\nHost: h\r\n\r\n");
    for (int i = 0; i < 30000 && http_server_counters(site.server).accept_failures < 3; i++)
        os_clock_sleep_ms(1);
    uint64_t failures = http_server_counters(site.server).accept_failures;
    os_clock_sleep_ms(300);
    uint64_t more = http_server_counters(site.server).accept_failures - failures;
    bool is_served = say_text(served, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n") &&
                     hear(served, &heard, false) == 200;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(connected, 0);
    assert_true(is_sent && is_served);
    assert_true(failures >= 3);
    assert_true(more < 1000); /* in vain without a pause: a hundred thousand */
    struct timeval patience = {30, 0};
    setsockopt(waiting, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    hear_one(waiting);
    close(waiting);
    close(served);
    site_stop(&site);
}

/* HTTP/1.0 ends after one answer unless it asks to stay; who says close is told so too. */
static void older_clients(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    bool is_second_handled;
    assert_int_equal(ask_with_another(&site, STR("GET /a HTTP/1.0\r\n\r\n"), &is_second_handled),
                     200);
    assert_false(is_second_handled);
    assert_true(has(&heard, "HTTP/1.1 200 OK\r\nDate: "));
    assert_true(has(&heard, "Connection: close\r\n"));
    assert_int_equal(ask_with_another(&site,
                                      STR("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
                                      &is_second_handled),
                     200);
    assert_true(is_second_handled);
    assert_true(has(&heard, "Connection: Keep-Alive\r\n"));
    assert_int_equal(
        ask_with_another(&site, STR("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
                         &is_second_handled),
        200);
    assert_false(is_second_handled);
    assert_true(has(&heard, "Connection: close\r\n"));
    assert_int_equal(ask(&site, "GET /a HTTP/1.1\r\n\r\n", &heard), 400);
    assert_true(has(&heard, "host_missing"));
    assert_int_equal(ask(&site, "GET /a HTTP/2.0\r\nHost: h\r\n\r\n", &heard), 400);
    site_stop(&site);
}

/* Consent comes before the body, once, and only to who asks for it and has not sent it yet. */
static void consent(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    static const char asks[] = "POST /c HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                               "Content-Length: 2\r\n\r\n";
    static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char got[sizeof(go)] = "";
    int fd = dial(&site);
    for (int round = 0; round < 3; round++) {
        assert_true(say_text(fd, asks));
        assert_int_equal(recv(fd, got, sizeof(go) - 1, MSG_WAITALL), sizeof(go) - 1);
        assert_string_equal(got, go);
        assert_true(say_text(fd, "o"));
        assert_true(say_text(fd, "k"));
        assert_int_equal(recv(fd, got, 12, MSG_WAITALL), 12);
        assert_memory_equal(got, "HTTP/1.1 200", 12);
        hear(fd, &heard, false);
        assert_true(has(&heard, "|2|127.0.0.1|ok"));
    }
    close(fd);
    /* HTTP/1.0 knows no such thing */
    fd = dial(&site);
    assert_true(say_text(fd, "POST /c HTTP/1.0\r\nExpect: 100-continue\r\n"
                             "Content-Length: 2\r\n\r\n"));
    os_clock_sleep_ms(20);
    assert_true(say_text(fd, "ok"));
    assert_int_equal(recv(fd, got, 12, MSG_WAITALL), 12);
    assert_memory_equal(got, "HTTP/1.1 200", 12);
    close(fd);
    site_stop(&site);
}

/* A client that is still sending far too much is told so all the same. */
static void refused_while_sending(void **state)
{
    (void)state;
    struct site site;
    struct http_limits limits = http_limits_default();
    limits.body_bytes_max = 100000;
    site_start(&site, &limits, 1);
    for (int round = 0; round < 20; round++) {
        int fd = dial(&site);
        struct buf request;
        buf_init(&request);
        buf_add_str(&request, STR("GET /a HTTP/1.1\r\nHost: h\r\nX-Big: "));
        memset(buf_reserve(&request, 400000), 'x', 400000);
        request.len += 400000;
        assert_true(say(fd, request.at, request.len));
        buf_fini(&request);
        assert_int_equal(hear(fd, &heard, false), 431);
        close(fd);
    }
    site_stop(&site);
}

static void stop_hard(void *context)
{
    struct site *site = context;
    http_server_stop(site->server, 1);
}

/* Answers that come while the server takes their requests away from who should give them. */
static void stopped_while_answering(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 60; round++) {
        struct site site;
        struct os_thread stopper;
        int fds[16];
        site_start(&site, NULL, 1 + round % 3);
        atomic_store(&site.hold, true);
        for (size_t i = 0; i < array_count(fds); i++) {
            fds[i] = dial(&site);
            assert_true(say_text(fds[i], "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
        }
        while (atomic_load(&site.handled) < (int)array_count(fds))
            os_clock_sleep_ms(1);
        assert_int_equal(os_thread_start(&stopper, "stop", stop_hard, &site, NULL), OK);
        os_clock_sleep_ms(round % 4);
        atomic_store(&site.hold, false);
        for (size_t i = 0; i < array_count(fds); i++) {
            int status = hear(fds[i], &heard, false);
            if (status != 200 && status != 503 && status != 0)
                fail_msg("status %d", status);
            close(fds[i]);
        }
        os_thread_join(&stopper);
        os_queue_close(site.later);
        os_thread_join(&site.thread);
        os_queue_free(site.later);
    }
}

/* --- Everything at once ---------------------------------------------------------------------------- */

#define CHURN_CLIENTS 4
#define CHURN_ROUNDS  150

struct churn {
    const struct site *site;
    struct os_thread thread;
    uint64_t seed;
    atomic_bool *is_over;
};

static uint32_t churn_roll(struct churn *churn, uint32_t sides)
{
    churn->seed = churn->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(churn->seed >> 33) % sides;
}

/* One connection: requests whole, cut or crooked, in pieces, read or not, left in one way or another. */
static void churn_once(struct churn *churn, struct buf *said)
{
    static const char *const parts[] = {
        "GET /now HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /later HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /later HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n0\r\n\r\n",
        "POST /now HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "POST /now HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\nabc",
        "POST /now HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        "GET /../x HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET /now HTTP/1.1\nHost: h\r\n\r\n",
        "GET /now HTT",
        "\r\n",
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(churn->site->server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return;
    }
    uint8_t unread[512];
    said->len = 0;
    for (uint32_t i = 0, count = churn_roll(churn, 40); i < count; i++)
        /* mostly of the first four, which are good */
        buf_add_str(said, str_of(parts[churn_roll(churn, churn_roll(churn, 4) == 0 ? 11 : 4)]));
    for (size_t at = 0; at < said->len;) {
        size_t most = 1 + churn_roll(churn, 700);
        size_t bytes = min_of(said->len - at, most);
        if (!say(fd, said->at + at, bytes))
            break;
        at += bytes;
        if (churn_roll(churn, 3) == 0)
            (void)!recv(fd, unread, sizeof(unread), MSG_DONTWAIT);
        if (churn_roll(churn, 20) == 0)
            os_clock_sleep_ms(churn_roll(churn, 40));
    }
    uint32_t way = churn_roll(churn, 4);
    if (way == 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    if (way == 1)
        shutdown(fd, SHUT_WR);
    while (way >= 2 && recv(fd, unread, sizeof(unread), 0) > 0)
        ; /* the server ends it: by a limit, if by nothing else */
    close(fd);
}

static void churn_on(void *context)
{
    struct churn *churn = context;
    struct buf said;
    buf_init(&said);
    for (int i = 0; i < CHURN_ROUNDS && !atomic_load(churn->is_over); i++)
        churn_once(churn, &said);
    buf_fini(&said);
}

/* Clients cut, break off, fall silent and reset while answers come from another thread and limits are
 * so short that they end connections in every state; the first server stays until all have gone, the
 * second is stopped among them. */
static void churned(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct site site;
        struct fault f = {0};
        struct churn churns[CHURN_CLIENTS];
        atomic_bool is_over = false;
        struct http_limits limits = http_limits_default();
        limits.header_ms = limits.body_ms = limits.idle_ms = 30;
        limits.requests_per_connection_max = 25;
        limits.connections_per_ip_max = 1000;
        site_start(&site, &limits, 3);
        for (uint64_t i = 0; i < CHURN_CLIENTS; i++) {
            churns[i] = (struct churn){.site = &site, .seed = i + 7, .is_over = &is_over};
            assert_int_equal(os_thread_start(&churns[i].thread, "churn", churn_on, &churns[i], &f),
                             OK);
        }
        if (round == 1) {
            while (atomic_load(&site.handled) < 200)
                os_clock_sleep_ms(1);
            atomic_store(&is_over, true);
            http_server_stop(site.server, 0);
        }
        for (size_t i = 0; i < CHURN_CLIENTS; i++)
            os_thread_join(&churns[i].thread);
        if (round == 0) {
            struct http_counters counters = http_server_counters(site.server);
            for (int i = 0; i < 30000 && counters.open != 0; i++) {
                os_clock_sleep_ms(1);
                counters = http_server_counters(site.server);
            }
            assert_int_equal(counters.open, 0);
            assert_int_equal(counters.in_flight, 0);
            assert_int_equal(ask(&site, "GET /now HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 200);
            http_server_stop(site.server, 5000);
        }
        site.server = NULL;
        site_stop(&site);
    }
}

/* A byte of TCP's urgent data ends a read early though more has come: that is read too. It stays what
 * it is, a byte of the stream. */
static void urgent(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    int fd = dial(&site), other = dial(&site);
    /* all of it comes while the only thread sleeps */
    assert_true(say_text(other, "GET /sleep HTTP/1.1\r\nHost: h\r\n\r\n"));
    while (atomic_load(&site.handled) == 0)
        os_clock_sleep_ms(1);
    assert_true(say_text(fd, "GET /urg"));
    assert_int_equal(send(fd, "e", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    assert_true(say_text(fd, "nt HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear_one(other);
    hear_one(fd);
    assert_true(has(&heard, "GET|/urgent|"));
    assert_int_equal(http_server_counters(site.server).behind, 0);
    close(fd);
    close(other);
    site_stop(&site);
}

/* What a handler has allocated for one request is not kept for the next ones, if it is much. */
static void given_back(void **state)
{
    (void)state;
    struct site site;
    site_start(&site, NULL, 1);
    assert_int_equal(ask(&site, "GET /hog HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 200);
    assert_int_equal(ask(&site, "GET /held HTTP/1.1\r\nHost: h\r\n\r\n", &heard), 200);
    size_t held = strtoul((const char *)heard.at + heard.len - 10, NULL, 10);
    assert_true(held > 0);
    assert_true(held <= 128 * 1024);
    site_stop(&site);
}

static void bad_addresses(void **state)
{
    (void)state;
    struct site site;
    struct fault f = {0};
    struct http_server *server = NULL;
    struct http_server_options options = {
        .address = STR("localhorst"),
        .threads = 1,
        .limits = http_limits_default(),
        .handler = handle,
    };
    assert_int_equal(http_server_start(&options, &server, &f), GIVE_UP);
    assert_non_null(strstr(f.text, "localhorst"));
    site_start(&site, NULL, 1);
    f = (struct fault){0};
    options.address = STR("203.0.113.9"); /* not ours */
    assert_int_equal(http_server_start(&options, &server, &f), GIVE_UP);
    assert_non_null(strstr(f.text, "203.0.113.9"));
    /* Two servers on one port would share its clients without a word. */
    f = (struct fault){0};
    options.address = STR("127.0.0.1");
    options.port = http_server_port(site.server);
    assert_int_equal(http_server_start(&options, &server, &f), GIVE_UP);
    assert_non_null(strstr(f.text, "cannot listen"));
    site_stop(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a request reaches the handler whole and its answer the client", plain_exchange),
        TEST("a connection serves its requests in order, now or later, to its limit", kept_alive),
        TEST("an answer that others had before is given again, and only that one", usual_answers),
        TEST("a body is taken at its limit and refused one byte past it", body_limit),
        TEST("headers and target are taken at their limits and refused past them", header_limits),
        TEST("what could be framed or routed in two ways is refused", crooked_framing),
        TEST("a header line is written as HTTP/1.1 says, or nothing of the connection is read",
             crooked_lines),
        TEST("a chunked body ends where it says, or the connection does", chunked_bodies),
        TEST("zipped bodies are unzipped within the limits", zipped_bodies),
        TEST("a preflight is answered, and origins are echoed", cross_origin),
        TEST("a client that dawdles is shut down though it never falls silent", slow_headers),
        TEST("a client that waits for the handler is not", slow_answer),
        TEST("nor are those that wait while a handler keeps their thread", slow_thread),
        TEST("nor is anybody because the process stood still", standstill),
        TEST("a client that does not read its answer is shut down", slow_reader),
        TEST("one address may hold so many connections and no more", too_many_connections),
        TEST("many clients at once get their own answers", many_clients),
        TEST("stopping waits for answers in flight", gentle_stop),
        TEST("stopping ends although nobody answers", hard_stop),
        TEST("a server can be stopped at any moment", stopped_often),
        TEST("and while its answers come", stopped_while_answering),
        TEST("a request reads the same wherever it is cut", cut_anywhere),
        TEST("many requests sent at once are answered in order", pipelined),
        TEST("who has stopped sending hears the answers to what was asked", half_closed),
        TEST("a client that has left before its answer is counted", left_early),
        TEST("a thousand silent connections are each served when they speak", many_idle),
        TEST("without descriptors clients wait, and the server does not spin", no_descriptors),
        TEST("a connection ends when the client says so, or is too old to say it", older_clients),
        TEST("who waits for consent to send a body gets it once", consent),
        TEST("who is still sending hears the refusal", refused_while_sending),
        TEST("urgent data neither holds a request up nor is lost", urgent),
        TEST("much memory of one request is given back", given_back),
        TEST("whatever clients do at once, all of it ends", churned),
        TEST("an address that cannot be used is named", bad_addresses),
    };
    buf_init(&heard);
    int failed = cmocka_run_group_tests_name("http/server", tests, NULL, NULL);
    buf_fini(&heard);
    return failed;
}
