/* ingest.c - what it costs to turn a request into records, and to answer one over HTTP.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ingest/ingest_routes.h"
#include "os/clock.h"
#include "os/thread.h"

#define EVENTS  100
#define CLIENTS 4

static const uint8_t secret[IDENTIFIER_SECRET_BYTES] = {1};

/* An order as @segment/analytics-node sends it: about 600 bytes. */
static void add_event(struct buf *out, int i)
{
    buf_printf(out,
               "{\"timestamp\":\"2026-11-21T19:53:29.%03dZ\",\"integrations\":{},"
               "\"event\":\"Order Completed\",\"type\":\"track\",\"properties\":{"
               "\"order_id\":\"50314b%04d\",\"total\":27.5,\"currency\":\"USD\",\"tax\":2,"
               "\"coupon\":\"SPRING\",\"gift\":false,\"products\":[{\"product_id\":\"%d\","
               "\"sku\":\"45790\",\"price\":19,\"quantity\":1}]},\"context\":{\"library\":{"
               "\"name\":\"@segment/analytics-node\",\"version\":\"3.1.0\"},"
               "\"locale\":\"en-US\",\"timezone\":\"Europe/Berlin\"},\"userId\":\"user-%d\","
               "\"messageId\":\"node-next-1795290809629-c7f57ab1-8f48-464f-afd4-fc641b7f%04d\","
               "\"_metadata\":{\"nodeVersion\":\"v20.20.2\",\"jsRuntime\":\"node\"}}",
               i, i, i, i * 7, i);
}

static void add_batch(struct buf *out)
{
    buf_add_str(out, STR("{\"batch\":["));
    for (int i = 0; i < EVENTS; i++) {
        if (i != 0)
            buf_add_byte(out, ',');
        add_event(out, i);
    }
    buf_add_str(out, STR("],\"writeKey\":\"wk\",\"sentAt\":\"2026-11-21T19:53:29.999Z\"}"));
}

static void parse(struct ingest *in)
{
    struct ingest_worker *w = ingest_worker_new(in);
    struct ingest_batch batch;
    struct buf body, one;
    ingest_batch_init(&batch);
    buf_init(&body);
    buf_init(&one);
    add_batch(&body);
    add_event(&one, 7);
    struct ingest_request request = {.body = buf_str(&body), .arrival_ms = 1795290810000};
    int64_t least_ns = INT64_MAX; /* of several rounds: the machine is shared */
    for (int round = 0; round < 10; round++) {
        uint64_t count = bench_count(1000);
        int64_t start_ns = os_clock_thread_ns();
        for (uint64_t i = 0; i < count; i++)
            must(ingest_parse(w, &request, &batch) == INGEST_FINE);
        must(batch.record_count == EVENTS);
        least_ns = min_of(least_ns, (os_clock_thread_ns() - start_ns) / (int64_t)(count * EVENTS));
    }
    bench_print("ingest_parse_event", (double)least_ns, "ns");
    bench_print("ingest_event_json", (double)body.len / EVENTS, "bytes");
    bench_print("ingest_event_bodies", (double)batch.bytes.len / EVENTS, "bytes");
    request = (struct ingest_request){.route = INGEST_TRACK,
                                      .body = buf_str(&one),
                                      .has_auth_key = true,
                                      .auth_key = STR("wk"),
                                      .arrival_ms = 1795290810000};
    uint64_t count = bench_count(200000);
    int64_t start_ns = os_clock_thread_ns();
    for (uint64_t i = 0; i < count; i++)
        must(ingest_parse(w, &request, &batch) == INGEST_FINE);
    bench_print("ingest_parse_single", (double)(os_clock_thread_ns() - start_ns) / (double)count,
                "ns");
    buf_fini(&one);
    buf_fini(&body);
    ingest_batch_fini(&batch);
    ingest_worker_free(w);
}

/* --- Over HTTP, answered by a thread that stores nothing ------------------------------------------- */

struct site {
    struct ingest_routes *routes;
    struct os_queue *queue;
    uint16_t port;
    uint64_t count;  /* requests for each client */
    struct buf post; /* one request */
};

static enum status offer(void *context, struct ingest_batch *batch)
{
    struct site *site = context;
    return os_queue_push(site->queue, &batch);
}

static void answer(void *context)
{
    struct site *site = context;
    struct ingest_batch *batches[64];
    uint32_t count;
    while ((count = os_queue_pop(site->queue, batches, array_count(batches), FOREVER_MS)) > 0) {
        for (uint32_t i = 0; i < count; i++) {
            ingest_batch_answer(batches[i], INGEST_DURABLE);
            ingest_batch_release(batches[i]);
        }
    }
}

static void handle(void *context, struct http_request *request)
{
    struct site *site = context;
    must(ingest_routes_handle(site->routes, request));
}

static void ask(void *context)
{
    struct site *site = context;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(site->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = -1;
    for (uint64_t i = 0; i < site->count; i++) {
        char heard[1024];
        if (i % 500 == 0) { /* a connection serves a thousand requests */
            if (fd >= 0)
                close(fd);
            fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            must(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
        }
        must(send(fd, site->post.at, site->post.len, MSG_NOSIGNAL) == (ssize_t)site->post.len);
        size_t len = 0;
        do {
            ssize_t got = recv(fd, heard + len, sizeof(heard) - len, 0);
            must(got > 0);
            len += (size_t)got;
        } while (len < 16 || memcmp(heard + len - 16, "{\"success\":true}", 16) != 0);
    }
    close(fd);
}

static void over_http(struct ingest *in, const char *name, bool is_batch, uint64_t requests)
{
    struct site site = {.count = bench_count(requests)};
    struct os_thread answerer, clients[CLIENTS];
    struct http_server *server = NULL;
    struct buf body;
    struct fault f = {0};
    buf_init(&body);
    buf_init(&site.post);
    if (is_batch)
        add_batch(&body);
    else
        add_event(&body, 7);
    buf_printf(&site.post,
               "POST /v1/%s HTTP/1.1\r\nHost: h\r\nAuthorization: Basic d2s6\r\n"
               "Content-Length: %zu\r\n\r\n",
               is_batch ? "batch" : "track", body.len);
    buf_add_str(&site.post, buf_str(&body));
    site.queue = os_queue_new(sizeof(struct ingest_batch *), 1024);
    site.routes = ingest_routes_new(
        &(struct ingest_routes_options){.ingest = in, .sink = {offer, &site}, .retry_after_s = 1});
    struct http_server_options options = {.address = STR("127.0.0.1"),
                                          .threads = 2,
                                          .limits = http_limits_default(),
                                          .handler = handle,
                                          .context = &site};
    must(http_server_start(&options, &server, &f) == OK);
    site.port = http_server_port(server);
    must(os_thread_start(&answerer, "answer", answer, &site, &f) == OK);
    int64_t start_ns = os_clock_monotonic_ns();
    for (int i = 0; i < CLIENTS; i++)
        must(os_thread_start(&clients[i], "client", ask, &site, &f) == OK);
    for (int i = 0; i < CLIENTS; i++)
        os_thread_join(&clients[i]);
    int64_t spent_ns = os_clock_monotonic_ns() - start_ns;
    bench_rate(name, site.count * CLIENTS * (is_batch ? EVENTS : 1), spent_ns);
    http_server_stop(server, 1000);
    os_queue_close(site.queue);
    os_thread_join(&answerer);
    os_queue_free(site.queue);
    ingest_routes_free(site.routes);
    buf_fini(&site.post);
    buf_fini(&body);
}

int main(void)
{
    struct vocabulary *v = vocabulary_new(VOCABULARY_PER_SOURCE_MAX);
    struct ingest *in = ingest_new(&(struct ingest_options){.vocabulary = v, .secret = secret});
    struct ingest_key key = {STR("wk"), STR("web"), 0};
    must(ingest_set_keys(in, &key, 1, NULL) == OK);
    parse(in);
    /* clients, server and answerer share the machine, so these are less than the server's best */
    over_http(in, "ingest_http_batch_events", true, 500);
    over_http(in, "ingest_http_single_events", false, 10000);
    ingest_free(in);
    vocabulary_free(v);
    return 0;
}
