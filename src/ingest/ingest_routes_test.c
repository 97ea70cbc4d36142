/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/ingest_routes.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>

#include "http/client_test.h"
#include "os/clock.h"
#include "os/thread.h"
#include "test.h"
#include "json/json.h"

#define AUTH "Authorization: Basic d2tfdGVzdDo=\r\n"
#define PAGE "{\"userId\":\"u\",\"messageId\":\"m1\"}"

/* A committer that does what it is told. */
struct world {
    struct vocabulary *vocabulary;
    struct ingest *ingest;
    struct ingest_routes *routes;
    struct http_server *server;
    struct os_queue *queue; /* of batches */
    struct os_thread committer;
    struct buf heard;
    uint16_t port;
    atomic_int offer_status;
    atomic_int verdict;
    atomic_uint stored; /* records */
};

static const uint8_t secret[IDENTIFIER_SECRET_BYTES] = {1};

static enum status offer(void *context, struct ingest_batch *batch)
{
    struct world *w = context;
    assert_true(batch->record_count > 0);
    enum status status = (enum status)atomic_load(&w->offer_status);
    if (status != OK)
        return status;
    return os_queue_push(w->queue, &batch);
}

static void commit(void *context)
{
    struct world *w = context;
    struct ingest_batch *batch;
    while (os_queue_pop(w->queue, &batch, 1, FOREVER_MS) == 1) {
        enum ingest_verdict verdict = (enum ingest_verdict)atomic_load(&w->verdict);
        if (verdict == INGEST_DURABLE)
            atomic_fetch_add(&w->stored, batch->record_count);
        for (uint32_t i = 0; i < batch->record_count; i++)
            assert_true(body_check(batch->records[i].personal));
        ingest_batch_answer(batch, verdict);
        ingest_batch_release(batch);
    }
}

static void handle(void *context, struct http_request *request)
{
    struct world *w = context;
    if (!ingest_routes_handle(w->routes, request))
        http_answer_error(request, 404, "not_found", STR("nothing here"));
}

static int setup(void **state)
{
    struct world *w = test_calloc(1, sizeof(*w));
    struct fault f = {0};
    struct ingest_key keys[] = {{STR("wk_test"), STR("web"), 0},
                                {STR("sk_server"), STR("shop"), INGEST_KEY_SERVER}};
    w->vocabulary = vocabulary_new(1000);
    w->ingest = ingest_new(&(struct ingest_options){.vocabulary = w->vocabulary, .secret = secret});
    assert_int_equal(ingest_set_keys(w->ingest, keys, array_count(keys), &f), OK);
    w->routes = ingest_routes_new(&(struct ingest_routes_options){
        .ingest = w->ingest, .sink = {offer, w}, .retry_after_s = 7});
    w->queue = os_queue_new(sizeof(struct ingest_batch *), 100);
    assert_int_equal(os_thread_start(&w->committer, "commit", commit, w, &f), OK);
    struct http_server_options options = {
        .address = STR("127.0.0.1"),
        .threads = 2,
        .limits = http_limits_default(),
        .handler = handle,
        .context = w,
    };
    assert_int_equal(http_server_start(&options, &w->server, &f), OK);
    w->port = http_server_port(w->server);
    buf_init(&w->heard);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    http_server_stop(w->server, 5000);
    os_queue_close(w->queue);
    os_thread_join(&w->committer);
    os_queue_free(w->queue);
    ingest_routes_free(w->routes);
    ingest_free(w->ingest);
    vocabulary_free(w->vocabulary);
    buf_fini(&w->heard);
    test_free(w);
    return 0;
}

static int post(struct world *w, const char *path, const char *fields, const char *body)
{
    return client_post(w->port, path, fields, str_of(body), &w->heard);
}

static bool heard(struct world *w, const char *text)
{
    return client_heard(&w->heard, text);
}

static void every_route(void **state)
{
    struct world *w = *state;
    static const char *const batches[] = {"/v1/batch", "/v1/b", "/v1/import", "/v1/import/", "/b"};
    static const char *const singles[] = {"/v1/track", "/v1/t", "/v1/identify", "/v1/i",
                                          "/v1/page",  "/v1/p", "/v1/screen",   "/v1/s",
                                          "/v1/group", "/v1/g", "/v1/alias",    "/v1/a"};
    for (size_t i = 0; i < array_count(batches); i++) {
        assert_int_equal(post(w, batches[i], AUTH "Content-Type: text/plain\r\n",
                              "{\"batch\":[{\"type\":\"page\",\"userId\":\"u\"}]}"),
                         200);
        assert_true(heard(w, "\r\n\r\n{\"success\":true}"));
        assert_true(heard(w, "Content-Type: application/json\r\n"));
    }
    for (size_t i = 0; i < array_count(singles); i++)
        assert_int_equal(post(w, singles[i], AUTH,
                              "{\"userId\":\"u\",\"event\":\"E\",\"groupId\":\"g\","
                              "\"previousId\":\"p\"}"),
                         200);
    assert_int_equal(atomic_load(&w->stored), array_count(batches) + array_count(singles));
    static const char *const others[] = {"/",
                                         "/v1",
                                         "/v1/batch/",
                                         "/v2/batch",
                                         "/v1/Batch",
                                         "/v1/projects//settings",
                                         "/v1/projects/a/b/settings",
                                         "/projects/settings"};
    for (size_t i = 0; i < array_count(others); i++) {
        int status = post(w, others[i], AUTH, PAGE);
        assert_true(status == 404 || status == 400);
    }
}

/* Each captured request, byte for byte, gets the answer that its SDK wants. */
static void captures(void **state)
{
    struct world *w = *state;
    const char *folder = test_data("segment-sdk-captures");
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int files = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (!str_ends(str_of(entry->d_name), STR(".http")))
            continue;
        char path[2048];
        struct buf raw;
        buf_init(&raw);
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        raw.len = fread(buf_reserve(&raw, 65536), 1, 65536, file);
        fclose(file);
        unsigned before = atomic_load(&w->stored);
        assert_int_equal(client_ask(w->port, buf_str(&raw), &w->heard), 200);
        if (str_starts(buf_str(&raw), STR("POST"))) {
            assert_true(heard(w, "\r\n\r\n{\"success\":true}"));
            assert_true(atomic_load(&w->stored) > before);
        } else {
            assert_true(heard(w, "\"apiKey\":\"wk_test\",\"apiHost\":\"127.0.0.1:9101/v1\","
                                 "\"protocol\":\"http\""));
        }
        if (str_starts(str_of(entry->d_name), STR("browser")))
            assert_true(heard(w, "Access-Control-Allow-Origin: http://127.0.0.1:9300\r\n") ||
                        str_starts(buf_str(&raw), STR("GET")));
        buf_fini(&raw);
        files++;
    }
    closedir(dir);
    assert_int_equal(files, 16);
    assert_int_equal(atomic_load(&w->stored), 58);
}

static void preflight(void **state)
{
    struct world *w = *state;
    assert_int_equal(
        client_ask(w->port,
                   STR("OPTIONS /v1/i HTTP/1.1\r\nHost: h\r\nOrigin: http://shop.example\r\n"
                       "Access-Control-Request-Method: POST\r\n"
                       "Access-Control-Request-Headers: authorization,x-retry-count\r\n\r\n"),
                   &w->heard),
        204);
    assert_true(heard(w, "Access-Control-Allow-Origin: http://shop.example\r\n"));
    assert_true(heard(w, "Access-Control-Allow-Headers: authorization,x-retry-count\r\n"));
    assert_true(heard(w, "Access-Control-Allow-Methods: GET, POST\r\n"));
    assert_int_equal(
        client_ask(w->port, STR("GET /v1/batch HTTP/1.1\r\nHost: h\r\n\r\n"), &w->heard), 405);
    assert_true(heard(w, "Allow: GET, POST, OPTIONS\r\n"));
    assert_true(heard(w, "\"code\":\"method_not_allowed\""));
    /* an error must be readable by the page's script, too */
    assert_int_equal(post(w, "/v1/t", "Origin: http://shop.example\r\n", "{}"), 401);
    assert_true(heard(w, "Access-Control-Allow-Origin: http://shop.example\r\n"));
    atomic_store(&w->offer_status, TRY_AGAIN);
    assert_int_equal(post(w, "/v1/p", "Origin: http://shop.example\r\n" AUTH, PAGE), 429);
    assert_true(heard(w, "Access-Control-Expose-Headers: Retry-After\r\n"));
}

static void settings(void **state)
{
    struct world *w = *state;
    static const char *const paths[] = {"/v1/projects/wk_test/settings",
                                        "/projects/wk_test/settings"};
    struct json_parser *parser = json_parser_new(10000);
    for (size_t i = 0; i < array_count(paths); i++) {
        char request[256];
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: t.example:8080\r\n\r\n",
                 paths[i]);
        assert_int_equal(client_ask(w->port, str_of(request), &w->heard), 200);
        size_t body = str_find(buf_str(&w->heard), STR("\r\n\r\n"), 0) + 4;
        struct json_node root;
        assert_int_equal(
            json_parse(parser, str_part(buf_str(&w->heard), body, SIZE_MAX), 8, &root, NULL), OK);
        struct json_node segment =
            json_find(json_find(root, STR("integrations")), STR("Segment.io"));
        assert_true(str_is(json_text(json_find(segment, STR("apiKey"))), "wk_test"));
        assert_true(str_is(json_text(json_find(segment, STR("apiHost"))), "t.example:8080/v1"));
        assert_true(str_is(json_text(json_find(segment, STR("protocol"))), "http"));
    }
    json_parser_free(parser);
    static const char *const refused[] = {
        "GET /v1/projects/nope/settings HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /v1/projects/sk_server/settings HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /v1/projects/wk_test/settings HTTP/1.1\r\nHost: a\"b\r\n\r\n",
    };
    for (size_t i = 0; i < array_count(refused); i++) {
        int status = client_ask(w->port, str_of(refused[i]), &w->heard);
        assert_true(status == 404 || status == 400);
    }
    /* behind a proxy, and where the operator says what the world calls us */
    assert_int_equal(client_ask(w->port,
                                STR("GET /v1/projects/wk_test/settings HTTP/1.1\r\nHost: h\r\n"
                                    "X-Forwarded-Proto: https\r\n\r\n"),
                                &w->heard),
                     200);
    assert_true(heard(w, "\"protocol\":\"https\""));
    ingest_routes_free(w->routes);
    w->routes = ingest_routes_new(
        &(struct ingest_routes_options){.ingest = w->ingest,
                                        .sink = {offer, w},
                                        .public_url = STR("https://t.shop.example/"),
                                        .retry_after_s = 1});
    assert_int_equal(
        client_ask(w->port, STR("GET /v1/projects/wk_test/settings HTTP/1.1\r\nHost: evil\r\n\r\n"),
                   &w->heard),
        200);
    assert_true(heard(w, "\"apiHost\":\"t.shop.example/v1\",\"protocol\":\"https\""));
}

static void authorization(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *fields;
        const char *body;
        int status;
    } rows[] = {
        {"", PAGE, 401},
        {"", "{\"userId\":\"u\",\"writeKey\":\"wk_test\"}", 200},
        {AUTH, PAGE, 200},
        {"Authorization: Basic bm9wZTo=\r\n", PAGE, 401}, /* nope: */
        {"Authorization: Basic bm9wZTo=\r\n", "{\"userId\":\"u\",\"writeKey\":\"wk_test\"}", 401},
        {"Authorization: Basic !!!\r\n", PAGE, 401},
        {"Authorization: Basic d2tfdGVzdDo6\r\n", PAGE, 401}, /* wk_test:: */
        {"Authorization: Basic d2tfAHRlc3Q6\r\n", PAGE, 401}, /* a NUL */
        {"Authorization: Digest x\r\n", PAGE, 401},
        {"Authorization: Bearer wk_test\r\n", PAGE, 200},
        {"Authorization: Bearer token\r\n", PAGE, 401},
        {"Authorization: Bearer token\r\n", "{\"userId\":\"u\",\"writeKey\":\"wk_test\"}", 200},
        {AUTH AUTH, PAGE, 400},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        int status = post(w, "/v1/p", rows[i].fields, rows[i].body);
        if (status != rows[i].status)
            fail_msg("%s%s: %d", rows[i].fields, rows[i].body, status);
        if (status == 401) {
            assert_true(heard(w, "WWW-Authenticate: Basic"));
            assert_false(heard(w, "nope")); /* what came in is not repeated */
        }
    }
    /* a key in the address would stand in every proxy's log: it does not count */
    assert_int_equal(post(w, "/v1/p?writeKey=wk_test", "", PAGE), 401);
}

static void nowhere_to_put_it(void **state)
{
    struct world *w = *state;
    atomic_store(&w->offer_status, TRY_AGAIN);
    assert_int_equal(post(w, "/v1/p", AUTH, PAGE), 429);
    assert_true(heard(w, "Retry-After: 7\r\n"));
    assert_true(heard(w, "\"code\":\"too_busy\",\"message\":"));
    atomic_store(&w->offer_status, GIVE_UP);
    assert_int_equal(post(w, "/v1/p", AUTH, PAGE), 503);
    assert_true(heard(w, "\"code\":\"disk_full\""));
    assert_true(heard(w, "Retry-After: 7\r\n"));
    atomic_store(&w->offer_status, OK);
    atomic_store(&w->verdict, INGEST_FULL);
    assert_int_equal(post(w, "/v1/p", AUTH, PAGE), 503);
    assert_true(heard(w, "\"code\":\"disk_full\""));
    atomic_store(&w->verdict, INGEST_IS_STOPPING);
    assert_int_equal(post(w, "/v1/p", AUTH, PAGE), 503);
    assert_true(heard(w, "\"code\":\"stopping\""));
    atomic_store(&w->verdict, INGEST_FAILED);
    assert_int_equal(post(w, "/v1/p", AUTH, PAGE), 500);
    atomic_store(&w->verdict, INGEST_DURABLE);
    assert_int_equal(post(w, "/v1/p", AUTH, PAGE), 200);
    assert_int_equal(atomic_load(&w->stored), 1);
    struct ingest_counters counters = ingest_routes_counters(w->routes);
    assert_int_equal(counters.requests, 6);
    assert_int_equal(counters.events, 1);
    assert_int_equal(counters.busy, 1);
    assert_int_equal(counters.full, 2);
    assert_int_equal(counters.refused, 5);
}

static void partly_bad(void **state)
{
    struct world *w = *state;
    assert_int_equal(post(w, "/v1/batch", AUTH,
                          "{\"batch\":[{\"type\":\"page\",\"userId\":\"u\"},{\"type\":\"x\"}]}"),
                     200);
    assert_true(heard(w, "{\"success\":true,\"rejectedCount\":1,\"rejected\":[{\"index\":1,"
                         "\"code\":\"bad_type\",\"message\":"));
    assert_int_equal(atomic_load(&w->stored), 1);
    assert_int_equal(post(w, "/v1/batch", AUTH, "{\"batch\":[{\"type\":\"x\"}]}"), 400);
    assert_true(heard(w, "{\"code\":\"bad_type\",\"message\":"));
    assert_int_equal(post(w, "/v1/batch", AUTH, "{\"batch\":[]}"), 200);
    assert_int_equal(post(w, "/v1/batch", AUTH, ""), 400);
    assert_int_equal(atomic_load(&w->stored), 1);
}

static void send_many(void *context)
{
    struct world *w = context;
    struct buf out, request;
    buf_init(&out);
    buf_init(&request);
    int fd = client_dial(w->port);
    for (int i = 0; i < 100; i++) {
        char body[256];
        int len = snprintf(body, sizeof(body),
                           "{\"batch\":[{\"type\":\"track\",\"event\":\"E%d\",\"userId\":\"u\","
                           "\"properties\":{\"p%d\":%d}},7]}",
                           i % 7, i % 13, i);
        request.len = 0;
        buf_printf(&request,
                   "POST /v1/batch HTTP/1.1\r\nHost: h\r\n" AUTH "Content-Length: %d\r\n\r\n%s",
                   len, body);
        assert_true(client_say(fd, request.at, request.len));
        assert_int_equal(client_hear(fd, &out), 200);
    }
    close(fd);
    buf_fini(&request);
    buf_fini(&out);
}

static void many_clients(void **state)
{
    struct world *w = *state;
    struct os_thread clients[6];
    for (size_t i = 0; i < array_count(clients); i++)
        assert_int_equal(os_thread_start(&clients[i], "client", send_many, w, NULL), OK);
    for (size_t i = 0; i < array_count(clients); i++)
        os_thread_join(&clients[i]);
    assert_int_equal(atomic_load(&w->stored), 600);
    struct ingest_counters counters = ingest_routes_counters(w->routes);
    assert_int_equal(counters.events, 600);
    assert_int_equal(counters.rejected, 600);
    assert_int_equal(vocabulary_count(w->vocabulary), NAME_FIXED_END + 2 + 7 + 13);
}

#define WITH_WORLD(sentence, function)            \
    {                                             \
        sentence, function, setup, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD("every route takes its events", every_route),
        WITH_WORLD("every captured request is answered as its SDK needs it", captures),
        WITH_WORLD("a browser may send from any page", preflight),
        WITH_WORLD("the settings document says where to send", settings),
        WITH_WORLD("who has no known key is told so and nothing else", authorization),
        WITH_WORLD("what cannot be stored is answered so that it comes again", nowhere_to_put_it),
        WITH_WORLD("good events are stored beside bad ones", partly_bad),
        WITH_WORLD("many clients at once share the vocabulary", many_clients),
    };
    return cmocka_run_group_tests_name("ingest/routes", tests, NULL, NULL);
}
