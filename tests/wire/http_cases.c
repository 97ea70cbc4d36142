/* The HTTP cases of llhttp, each sent to the real server over loopback.
 *
 * A case is a message and the events that llhttp's parser reports for it. What it reads to the end must
 * reach our handler as the same requests: method, target, and bytes of body. What it refuses must not
 * reach the handler, and neither must a request that is sent behind it on the same connection: this is
 * what smuggling is made of. What only a lenient mode of it takes is refused here, and an answer that
 * arrives where a request should is refused too. Where we differ, `differences` says so and why.
 *
 * Most cases lack a Host, which HTTP/1.1 demands (RFC 9112 section 3.2): each is sent as it stands, and
 * must then be refused for that, and once more with a Host.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "http/client_test.h"
#include "http/http_int.h"
#include "os/thread.h"

#define ARCHIVE_BYTES_MAX ((size_t)4 << 20)
#define REQUESTS_MAX      16
#define BEHIND            "/behind"

/* --- The cases, out of the archive's Markdown ----------------------------------------------------- */

struct seen {
    char method[12];
    struct str target;
    size_t body_bytes;
};

enum verdict {
    TAKEN,      /* read to the end of a request */
    REFUSED,    /* found to be wrong */
    UNFINISHED, /* right so far, and more must come */
};

struct http_case {
    char name[160]; /* "request/uri: Schema" */
    struct buf sent;
    enum verdict verdict;
    struct seen requests[REQUESTS_MAX]; /* read whole, before the end or the error */
    size_t request_count;
    size_t begins[REQUESTS_MAX]; /* where in `sent` each message begins */
    size_t begin_count;
    bool lacks_host; /* the first that is HTTP/1.1 */
    bool is_strict;  /* neither an answer nor for a lenient parser: the requests are taken */
};

/* The escapes that the corpus writes, and its rule for line ends: each is CRLF, but where a backslash
 * stands before it there is none. */
static void unescape(struct str text, struct buf *out)
{
    out->len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        char next = i + 1 < text.len ? text.at[i + 1] : '\0';
        if (c == '\n') {
            buf_add_str(out, STR("\r\n"));
        } else if (c != '\\') {
            buf_add_byte(out, (uint8_t)c);
        } else if (next == '\n') {
            i++;
        } else if (next == 'r' || next == 'n' || next == 't' || next == 'f') {
            buf_add_byte(out, next == 'r' ? '\r' : next == 'n' ? '\n' : next == 't' ? '\t' : '\f');
            i++;
        } else if (next == 'x') {
            char digits[3] = {text.at[i + 2], text.at[i + 3], '\0'};
            /* the corpus is read as text: what is above 0x7f is a character, of two bytes */
            unsigned long c16 = strtoul(digits, NULL, 16);
            if (c16 < 0x80) {
                buf_add_byte(out, (uint8_t)c16);
            } else {
                buf_add_byte(out, (uint8_t)(0xc0 | c16 >> 6));
                buf_add_byte(out, (uint8_t)(0x80 | (c16 & 0x3f)));
            }
            i += 3;
        } else {
            buf_add_byte(out, (uint8_t)c);
        }
    }
}

static struct str line_at(struct str text, size_t *at)
{
    size_t end = str_find(text, STR("\n"), *at);
    if (end == SIZE_MAX)
        end = text.len;
    struct str line = str_part(text, *at, end - *at);
    *at = end + 1;
    return line;
}

static struct str span_text(struct str line)
{
    size_t from = str_find(line, STR("=\""), 0);
    return from == SIZE_MAX ? STR("") : str_part(line, from + 2, line.len - from - 3);
}

static size_t number_behind(struct str line, struct str word)
{
    size_t at = str_find(line, word, 0);
    return at == SIZE_MAX ? 0 : strtoul(line.at + at + word.len, NULL, 10);
}

static bool has(struct str text, struct str part)
{
    return str_find(text, part, 0) != SIZE_MAX;
}

/* What the events say. A pause is the parser's user's wish and no event of the message; an upgrade is
 * where the parser has read the whole request and leaves the rest to others. */
static void read_log(struct http_case *c, struct str log)
{
    struct seen now = {0};
    bool is_open = false, is_http_11 = false, has_host = false;
    c->verdict = UNFINISHED;
    for (size_t at = 0; at < log.len;) {
        struct str line = line_at(log, &at);
        if (has(line, STR(" message begin"))) {
            assert_true(c->begin_count < REQUESTS_MAX);
            c->begins[c->begin_count++] = number_behind(line, STR("off="));
            now = (struct seen){0};
            is_open = true;
            is_http_11 = has_host = false;
            c->verdict = UNFINISHED;
        } else if (has(line, STR("span[method]"))) {
            assert_true(str_to_z(span_text(line), now.method, sizeof(now.method)));
        } else if (has(line, STR("span[url]"))) {
            now.target = span_text(line);
        } else if (has(line, STR("span[version]=\"1.1\""))) {
            is_http_11 = true;
        } else if (has(line, STR("span[header_field]"))) {
            has_host |= str_equal_nocase(span_text(line), STR("host"));
        } else if (has(line, STR("span[body]"))) {
            now.body_bytes += number_behind(line, STR("len="));
        } else if (has(line, STR(" headers complete"))) {
            if (c->begin_count == 1)
                c->lacks_host = is_http_11 && !has_host;
        } else if (has(line, STR(" message complete"))) {
            assert_true(is_open && c->request_count < REQUESTS_MAX);
            c->requests[c->request_count++] = now;
            is_open = false;
            c->verdict = TAKEN;
        } else if (has(line, STR(" error code=")) && !has(line, STR("CONNECT/Upgrade"))) {
            c->verdict = REFUSED;
        }
    }
}

struct cases {
    struct http_case *at;
    size_t count;
    char *archive; /* everything points into it */
};

/* One Markdown file: a heading, what kind of parser, the message, its events; again and again. */
static void read_file(struct cases *all, struct str file, struct str text)
{
    struct str title = STR("");
    struct str meta = STR("");
    struct str message = STR("");
    for (size_t at = 0; at < text.len;) {
        struct str line = line_at(text, &at);
        if (str_starts(line, STR("#")))
            title = line;
        if (str_starts(line, STR("<!-- meta")))
            meta = line;
        if (!str_starts(line, STR("```")))
            continue;
        size_t from = at, end = at;
        while (end = at, !str_equal(line_at(text, &at), STR("```")))
            assert_true(at < text.len);
        struct str block = str_part(text, from, end > from ? end - 1 - from : 0);
        if (str_equal(line, STR("```http")))
            message = block;
        if (!str_equal(line, STR("```log")))
            continue;
        all->at = mem_resize(all->at, (all->count + 1) * sizeof(*all->at));
        struct http_case *c = &all->at[all->count++];
        *c = (struct http_case){0};
        while (str_starts(title, STR("#")))
            title = str_trim(str_part(title, 1, SIZE_MAX));
        snprintf(c->name, sizeof(c->name), "%.*s: %.*s", STR_ARG(file), STR_ARG(title));
        buf_init(&c->sent);
        unescape(message, &c->sent);
        read_log(c, block);
        bool is_answer = has(meta, STR("\"response"));
        bool is_lenient = has(meta, STR("-lenient"));
        if (is_answer || is_lenient)
            c->verdict = REFUSED;
        c->is_strict = !is_answer && !is_lenient;
        if (is_answer)
            c->begin_count = 0;
        c->lacks_host &= !is_answer;
    }
}

/* Reads the archive; false where there is no tar or xz. */
static bool read_archive(struct cases *all, const char *folder)
{
    char command[1400];
    snprintf(
        command, sizeof(command),
        "tar -xJf '%s/llhttp-md-tests.tar.xz' --to-command='echo; echo \"@@ $TAR_FILENAME\"; cat'",
        folder);
    all->archive = mem_new(ARCHIVE_BYTES_MAX);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    struct str text = {all->archive, fread(all->archive, 1, ARCHIVE_BYTES_MAX, pipe)};
    assert_true(text.len < ARCHIVE_BYTES_MAX);
    if (pclose(pipe) != 0)
        return false;
    for (size_t at = 0; at < text.len;) {
        struct str name = line_at(text, &at);
        size_t end = str_find(text, STR("\n@@ "), at);
        end = end == SIZE_MAX ? text.len : end + 1;
        size_t folder_end = str_find(name, STR("test/"), 0);
        if (str_ends(name, STR(".md")) && folder_end != SIZE_MAX)
            read_file(all, str_part(name, folder_end + 5, name.len - folder_end - 8),
                      str_part(text, at, end - at));
        at = end;
    }
    return true;
}

/* --- The server, which remembers what it was asked ------------------------------------------------ */

static struct {
    struct http_server *server;
    struct os_mutex lock;
    struct seen seen[REQUESTS_MAX * 2];
    size_t seen_count;
    struct arena arena;
    struct cases cases;
} world;

static void handle(void *context, struct http_request *r)
{
    static const char *const names[] = {"GET",   "HEAD",   "POST",    "PUT",
                                        "PATCH", "DELETE", "OPTIONS", "OTHER"};
    (void)context;
    os_mutex_lock(&world.lock);
    if (world.seen_count < array_count(world.seen)) {
        struct seen *s = &world.seen[world.seen_count++];
        snprintf(s->method, sizeof(s->method), "%s", names[http_request_method(r)]);
        s->target = arena_copy(&world.arena, r->target);
        s->body_bytes = http_request_body_bytes_sent(r);
    }
    os_mutex_unlock(&world.lock);
    http_answer(r, &(struct http_reply){
                       .status = http_request_method(r) == HTTP_OTHER ? 405 : 200,
                       .content_type = STR("text/plain"),
                       .body = STR("fine\n"),
                   });
}

/* Sends the case and what stands behind it, and reads until the server has closed the connection: then
 * nothing of it can reach the handler any more. Where the message is unfinished, so is what we say; the
 * requests before it are waited for, since an end may come sooner than they are answered. */
static void exchange(struct str sent, enum verdict verdict, size_t before, struct buf *heard)
{
    os_mutex_lock(&world.lock);
    world.seen_count = 0;
    os_mutex_unlock(&world.lock);
    heard->len = 0;
    int fd = client_dial(http_server_port(world.server));
    assert_true(fd >= 0);
    client_say(fd, sent.at, sent.len);
    if (verdict == UNFINISHED) {
        for (size_t answers = 0; answers < before; answers++)
            if (client_hear(fd, heard) == 0)
                break;
        shutdown(fd, SHUT_WR);
    } else {
        client_say(fd, STR("GET " BEHIND " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").at,
                   strlen("GET " BEHIND " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    }
    uint8_t bytes[4096];
    for (ssize_t got; (got = recv(fd, bytes, sizeof(bytes), 0)) > 0;)
        buf_add(heard, bytes, (size_t)got);
    close(fd);
}

static bool is_plain_method(const char *method)
{
    static const char *const plain[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < array_count(plain); i++)
        if (strcmp(plain[i], method) == 0)
            return true;
    return false;
}

static bool is_behind(const struct seen *s)
{
    return str_equal(s->target, STR(BEHIND));
}

static bool is_same(const struct seen *want, const struct seen *got)
{
    const char *method = is_plain_method(want->method) ? want->method : "OTHER";
    return strcmp(method, got->method) == 0 && str_equal(want->target, got->target) &&
           want->body_bytes == got->body_bytes;
}

/* Whether the server did with the last exchange what the verdict says: `count` requests, and then
 * whatever was sent behind it (TAKEN), or nothing more. A method that no route knows is refused by its
 * answer, 405, and what follows it has been read as it should be. */
static bool is_as(enum verdict verdict, const struct seen *requests, size_t count)
{
    if (world.seen_count < count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!is_same(&requests[i], &world.seen[i]))
            return false;
    const struct seen *more = world.seen + count;
    size_t more_count = world.seen_count - count;
    if (verdict == REFUSED && more_count != 0 && strcmp(more->method, "OTHER") == 0)
        more++, more_count--, verdict = TAKEN;
    if (verdict == TAKEN && more_count == 1)
        return is_behind(more);
    return more_count == 0;
}

struct difference {
    const char *name;
    enum verdict verdict; /* ours ... */
    size_t request_count; /* ... after so many requests */
    const char *why;
};

#define NO_PROXY   "CONNECT asks for a tunnel, and this server is no proxy"
#define OTHER_NAME "RTSP and ICE are other protocols"
#define ONE_CODING \
    "chunked is the one transfer coding that is understood: RFC 9112 section 6.1 says 501 or 400"
#define AFTER_CLOSE "what follows a request that ends the connection is not read at all"

static const struct difference differences[] = {
    {"request/connection: Resetting flags when keep-alive is off (1.0, lenient)", TAKEN, 1,
     AFTER_CLOSE},
    {"request/connection: CRLF between requests, explicit `close` (lenient)", TAKEN, 1,
     AFTER_CLOSE},
    {"request/content-length: Content-Length reset when no body is received", UNFINISHED, 0,
     "the parser was told to read no bodies; the server waits for the 123 bytes"},
    {"request/lenient-headers: Second request header value (lenient)", REFUSED, 1,
     "the first of the two requests is a plain one"},
    {"request/method: CONNECT request", REFUSED, 0, NO_PROXY},
    {"request/method: CONNECT request with CAPS", REFUSED, 0, NO_PROXY},
    {"request/method: CONNECT with body", REFUSED, 0, NO_PROXY},
    {"request/uri: Underscore in hostname", REFUSED, 0, NO_PROXY},
    {"request/method: SOURCE request with ICE", REFUSED, 0, OTHER_NAME},
    {"request/method: OPTIONS request with RTSP", REFUSED, 0, OTHER_NAME},
    {"request/method: ANNOUNCE request with RTSP", REFUSED, 0, OTHER_NAME},
    {"request/sample: No HTTP version", REFUSED, 0,
     "HTTP/0.9 has been no protocol of the web since 1996"},
    {"request/transfer-encoding: POST with `chunked` as last transfer-encoding", REFUSED, 0,
     ONE_CODING},
    {"request/transfer-encoding: POST with `chunked` as last transfer-encoding (multiple headers)",
     REFUSED, 0, ONE_CODING},
    {"request/uri: Disallow UTF-8 in URI path in strict mode", TAKEN, 1,
     "no byte of UTF-8 is a delimiter, so there is one way to read it; people type such queries"},
};

/* What we take and the events do not tell whole. */
static const struct {
    const char *name;
    struct seen request;
} untold[] = {
    {"request/uri: Disallow UTF-8 in URI path in strict mode",
     {"GET", STR("/\xce\xb4\xc2\xb6/\xce\xb4t/pope?q=1#narf"), 0}},
};

static const struct seen *requests_of(const struct http_case *c)
{
    for (size_t i = 0; i < array_count(untold); i++)
        if (strcmp(untold[i].name, c->name) == 0)
            return &untold[i].request;
    return c->requests;
}

static const struct difference *difference_of(const struct http_case *c)
{
    for (size_t i = 0; i < array_count(differences); i++)
        if (strcmp(differences[i].name, c->name) == 0)
            return &differences[i];
    return NULL;
}

static void describe(enum verdict verdict, size_t count, struct str sent, struct str heard)
{
    static const char *const verdicts[] = {"taken", "refused", "unfinished"};
    printf("--- should be %s, with %zu requests:\n%.*s\n--- seen:\n", verdicts[verdict], count,
           STR_ARG(sent));
    for (size_t i = 0; i < world.seen_count; i++)
        printf("%s %.*s, %zu bytes\n", world.seen[i].method, STR_ARG(world.seen[i].target),
               world.seen[i].body_bytes);
    printf("--- heard: %.*s\n", STR_ARG(str_part(heard, 0, 400)));
}

static bool has_host_line(struct str message)
{
    for (size_t at = 0; at < message.len;)
        if (str_equal_nocase(str_part(line_at(message, &at), 0, 5), STR("host:")))
            return true;
    return false;
}

/* The case with a Host behind the first line of each message that has none. */
static void add_hosts(const struct http_case *c, struct buf *out)
{
    struct str text = buf_str(&c->sent);
    size_t from = 0;
    for (size_t i = 0; i < c->begin_count; i++) {
        size_t begin = c->begins[i] > from ? c->begins[i] : from;
        size_t end = str_find(text, STR("\n"), begin);
        size_t next = i + 1 < c->begin_count ? c->begins[i + 1] : text.len;
        if (end == SIZE_MAX || end >= next || has_host_line(str_part(text, begin, next - begin)))
            continue;
        buf_add_str(out, str_part(text, from, end + 1 - from));
        buf_add_str(out, STR("Host: x\r\n"));
        from = end + 1;
    }
    buf_add_str(out, str_part(text, from, SIZE_MAX));
}

/* Sends it; whether the server did as it should, and if not, says what it did. */
static bool is_answered_as(const struct http_case *c, struct str sent, enum verdict verdict,
                           size_t count)
{
    struct buf heard;
    buf_init(&heard);
    exchange(sent, verdict, count, &heard);
    bool is_right = is_as(verdict, requests_of(c), count);
    if (!is_right)
        describe(verdict, count, sent, buf_str(&heard));
    arena_reset(&world.arena);
    buf_fini(&heard);
    return is_right;
}

static void one_case(void **state)
{
    const struct http_case *c = *state;
    const struct difference *d = difference_of(c);
    enum verdict verdict = d != NULL ? d->verdict : c->verdict;
    size_t count = d != NULL ? d->request_count : c->is_strict ? c->request_count : 0;
    struct buf hosted;
    buf_init(&hosted);
    bool is_right = true;
    if (c->lacks_host)
        is_right = is_answered_as(c, buf_str(&c->sent), REFUSED, 0);
    add_hosts(c, &hosted);
    is_right &= is_answered_as(c, buf_str(&hosted), verdict, count);
    buf_fini(&hosted);
    assert_true(is_right);
    /* a difference that has gone must leave the list */
    assert_true(d == NULL || verdict != c->verdict || count != c->request_count || !c->is_strict);
}

static void all_cases(void **state)
{
    (void)state;
    const struct cases *all = &world.cases;
    size_t found = 0, requests = 0;
    for (size_t i = 0; i < all->count; i++) {
        found += difference_of(&all->at[i]) != NULL;
        requests += str_starts(str_of(all->at[i].name), STR("request/"));
    }
    assert_int_equal(all->count, 251);
    assert_int_equal(requests, 166);
    assert_int_equal(found, array_count(differences));
}

static int start(void **state)
{
    (void)state;
    struct fault f = {0};
    os_mutex_init(&world.lock);
    arena_init(&world.arena, 4096);
    struct http_server_options options = {
        .address = STR("127.0.0.1"),
        .threads = 1,
        .limits = http_limits_default(),
        .handler = handle,
    };
    options.limits.header_ms = 1000; /* some are refused by this alone: they never end a line */
    return http_server_start(&options, &world.server, &f) == OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_server_stop(world.server, 5000);
    arena_fini(&world.arena);
    os_mutex_fini(&world.lock);
    return 0;
}

static void no_cases(void **state)
{
    (void)state;
    test_data("httpparse-llhttp"); /* skips, and says so, where there is none */
    printf("skipped: no tar or no xz to unpack with\n");
    skip();
}

static bool find_cases(struct cases *all)
{
    struct stat st;
    const char *root = getenv("WEND_TEST_DATA");
    char folder[1024];
    snprintf(folder, sizeof(folder), "%s/httpparse-llhttp", root ? root : "../shared/data");
    return stat(folder, &st) == 0 && read_archive(all, folder);
}

int main(void)
{
    struct cases *all = &world.cases;
    size_t count = 0;
    signal(SIGPIPE, SIG_IGN);
    bool is_here = find_cases(all);
    struct CMUnitTest *tests = mem_new((all->count + 1) * sizeof(*tests));
    tests[count++] = (struct CMUnitTest)TEST(
        "there are 251 cases, and each difference is one of them", is_here ? all_cases : no_cases);
    for (size_t i = 0; i < all->count; i++)
        tests[count++] = (struct CMUnitTest){all->at[i].name, one_case, NULL, NULL, &all->at[i]};
    int failed = _cmocka_run_group_tests("wire/http_cases", tests, count, start, stop);
    for (size_t i = 0; i < all->count; i++)
        buf_fini(&all->at[i].sent);
    mem_free(all->at);
    mem_free(all->archive);
    mem_free(tests);
    return failed;
}
