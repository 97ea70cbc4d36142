/* serve.c - the whole server over real sockets, its clients beside it in this process.
 *
 *     serve_single_durable      CLIENTS keep-alive connections, one event a request
 *     serve_batch_durable       the same, 100 events a request
 *     serve_..._cpu             what a request costs, in microseconds of all threads together: server,
 *                               clients and the kernel for both
 *
 * Clients take their share of the same cores, about half. 100,000 people; the events start no journey.
 * How long a mail takes is in event_to_smtp.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "server/server.h"

#define CLIENTS      32
#define BATCH_EVENTS 100
#define REQUESTS_MAX 900 /* of one connection: the server closes it after 1,000 */
#define AUTH         "Authorization: Basic c2s6\r\n" /* sk: */

static const struct programme_file files[] = {
    {STR("programme.yaml"),
     STR("name: Bench\ncategories:\n  service: {lane: service, settle: 0s, purpose: contract}\n"
         "traits:\n  first_name: {type: string}\n")},
    {STR("journeys/order.yaml"),
     STR("journey: order\nowner: bench\nenter: {event: Ordered, key: event.order, again: always}\n"
         "steps:\n  - send: thanks\n")},
    {STR("messages/thanks/message.yaml"),
     STR("category: service\nemail: {subject: 'Thanks, {{ person.first_name }}'}\n")},
    {STR("messages/thanks/email.txt.liquid"),
     STR("Dear {{ person.first_name }}, your order {{ entry.order }} is on its way.\n")},
    {STR("providers/mail.yaml"),
     STR("kind: smtp\nchannel: email\nslots: 8\nsettings:\n  url: 'smtp://127.0.0.1:2525'\n"
         "  from: 'Shop <shop@example.com>'\n  security: none\n")},
    {STR("messages/thanks/email.html.liquid"),
     STR("<p>Dear {{ person.first_name }}, your order {{ entry.order }} is on its way.</p>\n")},
};

struct bench {
    struct server *server;
    struct os_signals signals;
    const struct plan *plan;
    struct programme_folder folder;
    struct keys keys;
    uint16_t port;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static void need(enum status status, const struct fault *f)
{
    if (status != OK)
        fail(f->text);
}

/* ---- a client ----------------------------------------------------------------------------------- */

static int connect_to(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        fail("no connection");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* Posts and waits for the answer; false if it was not 200. */
static bool post_body(int fd, const char *path, const char *body, size_t body_len)
{
    char head[512], answer[4096];
    int head_len = snprintf(head, sizeof(head),
                            "POST %s HTTP/1.1\r\nHost: bench\r\n" AUTH
                            "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                            path, body_len);
    if (send(fd, head, (size_t)head_len, MSG_NOSIGNAL | MSG_MORE) < 0 ||
        send(fd, body, body_len, MSG_NOSIGNAL) < 0)
        return false;
    size_t len = 0;
    do {
        ssize_t got = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
        answer[len] = 0;
    } while (strstr(answer, "}") == NULL);
    return strncmp(answer, "HTTP/1.1 200", 12) == 0;
}

static size_t print_event(char *out, size_t room, const char *name, uint64_t person,
                          uint64_t number)
{
    int len = snprintf(
        out, room,
        "{\"type\":\"track\",\"event\":\"%s\",\"userId\":\"user-%lu\",\"messageId\":\"bench-%016lx\","
        "\"properties\":{\"order\":\"o-%lu\",\"total\":49.5,\"currency\":\"EUR\",\"items\":3,"
        "\"path\":\"/products/tents/ultralight-2-person\"},"
        "\"context\":{\"library\":{\"name\":\"bench\",\"version\":\"1.0.0\"},\"locale\":\"en-GB\","
        "\"page\":{\"url\":\"https://shop.example/products/tents\",\"title\":\"Tents\"}}}",
        name, person, number, number);
    return (size_t)len;
}

/* ---- the server --------------------------------------------------------------------------------- */

static void serve(void *context)
{
    struct bench *b = context;
    struct fault f = {0};
    need(server_run(b->server, b->plan, &b->folder, &b->signals, &f), &f);
}

/* The port is what the journal says. */
static uint16_t read_port(FILE *journal)
{
    char line[1024];
    while (fgets(line, sizeof(line), journal) != NULL) {
        const char *at = strstr(line, "listening on http://127.0.0.1:");
        if (at != NULL)
            return (uint16_t)strtoul(at + strlen("listening on http://127.0.0.1:"), NULL, 10);
    }
    fail("the server did not start");
    return 0;
}

static void compile(struct bench *b)
{
    struct findings findings;
    struct plan *plan;
    struct buf zones;
    struct fault f = {0};
    buf_init(&zones);
    findings_init(&findings);
    need(programme_zones(os_disk_real(), NULL, &zones, &f), &f);
    need(programme_folder_of(files, array_count(files), buf_str(&zones), &b->folder, &f), &f);
    if (programme_compile(&b->folder, server_shelf(b->server)->names, &plan, &findings) != OK) {
        fprintf(stderr, "%.*s\n", STR_ARG(findings.list[0].text));
        fail("the programme does not compile");
    }
    shelf_add(server_shelf(b->server), plan);
    b->plan = plan;
    findings_fini(&findings);
    buf_fini(&zones);
}

/* ---- figures ------------------------------------------------------------------------------------ */

struct client {
    struct bench *bench;
    struct os_thread thread;
    uint32_t number;
    uint32_t batch;
    uint64_t requests;
    const char *path;
};

static void run_client(void *context)
{
    struct client *c = context;
    char *body = malloc(BATCH_EVENTS * 2048);
    int fd = connect_to(c->bench->port);
    for (uint64_t i = 0; i < c->requests; i++) {
        size_t len = 0;
        if (i % REQUESTS_MAX == REQUESTS_MAX - 1) {
            close(fd);
            fd = connect_to(c->bench->port);
        }
        uint64_t number = ((uint64_t)c->batch << 56 | (uint64_t)c->number << 40) + i * c->batch;
        if (c->batch > 1)
            len = (size_t)snprintf(body, 64, "{\"batch\":[");
        for (uint32_t k = 0; k < c->batch; k++) {
            if (k > 0)
                body[len++] = ',';
            len +=
                print_event(body + len, 2000, "Looked", (number + k) * 7919 % 100000, number + k);
        }
        if (c->batch > 1)
            len += (size_t)snprintf(body + len, 64, "]}");
        if (!post_body(fd, c->path, body, len))
            fail("a request was refused");
    }
    close(fd);
    free(body);
}

static int64_t process_ns(void)
{
    struct timespec t;
    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void measure_rate(struct bench *b, const char *name, uint32_t batch, uint64_t requests)
{
    char text[64];
    struct client clients[CLIENTS];
    struct fault f = {0};
    int64_t began_ns = os_clock_monotonic_ns(), began_cpu_ns = process_ns();
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.bench = b,
                                     .number = i,
                                     .batch = batch,
                                     .requests = requests,
                                     .path = batch > 1 ? "/v1/batch" : "/v1/track"};
        need(os_thread_start(&clients[i].thread, "client", run_client, &clients[i], &f), &f);
    }
    for (uint32_t i = 0; i < CLIENTS; i++)
        os_thread_join(&clients[i].thread);
    int64_t wall_ns = os_clock_monotonic_ns() - began_ns, cpu_ns = process_ns() - began_cpu_ns;
    snprintf(text, sizeof(text), "%s_durable", name);
    bench_rate(text, CLIENTS * requests * batch, wall_ns);
    snprintf(text, sizeof(text), "%s_cpu", name);
    bench_print(text, (double)cpu_ns / 1e3 / (double)(CLIENTS * requests), "us");
}

int main(void)
{
    const char *dir = getenv("BENCH_DIR");
    char data[OS_PATH_BYTES];
    struct bench b = {0};
    struct fault f = {0};
    struct os_thread thread;
    int pipes[2];
    must(os_path_join(data, sizeof(data), dir ? dir : "build", "bench-serve"));
    need(os_remove_tree(os_disk_real(), data, &f), &f);
    if (pipe(pipes) != 0)
        fail("no pipe");
    FILE *journal_out = fdopen(pipes[1], "w"), *journal_in = fdopen(pipes[0], "r");
    need(os_signals_init(&b.signals, &f), &f);
    keys_init(&b.keys);
    need(keys_add(&b.keys, "sk=bench", INGEST_KEY_SERVER, &f), &f);
    struct server_options options = {.data = data,
                                     .listen = "127.0.0.1:0",
                                     .keys = &b.keys,
                                     .snapshot_batches = SERVER_SNAPSHOT_BATCHES,
                                     .journal = journal_out};
    need(server_open(&options, &b.server, &f), &f);
    compile(&b);
    need(os_thread_start(&thread, "server", serve, &b, &f), &f);
    b.port = read_port(journal_in);

    measure_rate(&b, "serve_single", 1, bench_count(2000));
    measure_rate(&b, "serve_batch", BATCH_EVENTS, bench_count(200));

    kill(getpid(), SIGTERM);
    os_thread_join(&thread);
    server_free(b.server);
    programme_folder_fini(&b.folder);
    keys_fini(&b.keys);
    os_signals_fini(&b.signals);
    need(os_remove_tree(os_disk_real(), data, &f), &f);
    fclose(journal_in);
    fclose(journal_out);
    return 0;
}
