/* serve.c - the whole server over real sockets, its clients beside it in this process.
 *
 *     serve_single_durable      SINGLE_CLIENTS keep-alive connections, one event a request
 *     serve_batch_durable       BATCH_CLIENTS connections, 100 events a request
 *     serve_..._cpu             what a request costs, in microseconds of all threads together: server,
 *                               clients and the kernel for both
 *     serve_..._cpu_client      the clients' part of it
 *
 * All connections are one thread's, which takes its share of the same cores. 100,000 people; the events
 * start no journey. How long a mail takes is in event_to_smtp.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "server/server.h"

#define SINGLE_CLIENTS 256
#define BATCH_CLIENTS  32
#define BATCH_EVENTS   100
#define REQUESTS_MAX   900 /* of one connection: the server closes it after 1,000 */
#define AUTH           "Authorization: Basic c2s6\r\n" /* sk: */

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

/* ---- clients ------------------------------------------------------------------------------------ */

/* A request is made once; of each that follows only the digits are written over. */
struct connection {
    int fd;
    uint32_t asked;  /* requests on this socket so far */
    size_t head_len; /* of the request: everything but the body */
    size_t len;
    char *request;
    size_t heard;
    char answer[1024];
};

/* All connections of a figure, on one thread. */
struct client {
    struct os_thread thread;
    uint16_t port;
    uint32_t batch; /* events in a request */
    uint32_t count; /* connections */
    uint64_t left;  /* requests to be sent */
    uint64_t next;  /* number of the next event */
    int epoll;
    int64_t spent_ns;
    struct connection *connections;
};

#define EVENT_FORM                                                                              \
    "{\"type\":\"track\",\"event\":\"Looked\",\"userId\":\"user-%05lu\","                       \
    "\"messageId\":\"bench-%016lx\","                                                           \
    "\"properties\":{\"order\":\"o-%016lu\",\"total\":49.5,\"currency\":\"EUR\",\"items\":3,"   \
    "\"path\":\"/products/tents/ultralight-2-person\"},"                                        \
    "\"context\":{\"library\":{\"name\":\"bench\",\"version\":\"1.0.0\"},\"locale\":\"en-GB\"," \
    "\"page\":{\"url\":\"https://shop.example/products/tents\",\"title\":\"Tents\"}}}"
#define PERSON_AT  (sizeof("{\"type\":\"track\",\"event\":\"Looked\",\"userId\":\"user-") - 1)
#define MESSAGE_AT (PERSON_AT + 5 + sizeof("\",\"messageId\":\"bench-") - 1)
#define ORDER_AT   (MESSAGE_AT + 16 + sizeof("\",\"properties\":{\"order\":\"o-") - 1)

static void lost(const struct connection *c)
{
    fprintf(stderr, "bench: request %u of a connection: the server hung up: %s, after \"%.*s\"\n",
            c->asked, strerror(errno), (int)c->heard, c->answer);
    exit(1);
}

static void hang_on(const struct client *client, struct connection *c)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(client->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event listen = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(c->fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        fail("no connection");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    must(epoll_ctl(client->epoll, EPOLL_CTL_ADD, c->fd, &listen) == 0);
    c->asked = 0;
}

static void write_digits(char *at, uint32_t digits, uint64_t number, uint32_t base)
{
    while (digits-- > 0) {
        at[digits] = "0123456789abcdef"[number % base];
        number /= base;
    }
}

static void write_event(char *at, uint64_t number)
{
    write_digits(at + PERSON_AT, 5, number * 7919 % 100000, 10);
    write_digits(at + MESSAGE_AT, 16, number, 16);
    write_digits(at + ORDER_AT, 16, number, 10);
}

/* The request, with events that the numbers are yet to be written into. */
static void make_request(const struct client *client, struct connection *c)
{
    struct buf body, whole;
    buf_init(&body);
    buf_init(&whole);
    if (client->batch > 1)
        buf_add_str(&body, STR("{\"batch\":["));
    for (uint32_t i = 0; i < client->batch; i++) {
        if (i > 0)
            buf_add_byte(&body, ',');
        buf_printf(&body, EVENT_FORM, 0ul, 0ul, 0ul);
    }
    if (client->batch > 1)
        buf_add_str(&body, STR("]}"));
    buf_printf(&whole,
               "POST /v1/%s HTTP/1.1\r\nHost: bench\r\n" AUTH
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               client->batch > 1 ? "batch" : "track", body.len);
    c->head_len = whole.len;
    buf_add_str(&whole, buf_str(&body));
    buf_fini(&body);
    c->len = whole.len;
    c->request = (char *)whole.at;
}

static void ask(struct client *client, struct connection *c)
{
    char form[512];
    size_t event_len = (size_t)snprintf(form, sizeof(form), EVENT_FORM, 0ul, 0ul, 0ul);
    char *at = c->request + c->head_len + (client->batch > 1 ? sizeof("{\"batch\":[") - 1 : 0);
    if (c->asked++ == REQUESTS_MAX) {
        close(c->fd);
        hang_on(client, c);
    }
    for (uint32_t i = 0; i < client->batch; i++)
        write_event(at + i * (event_len + 1), client->next++);
    client->left--;
    c->heard = 0;
    for (size_t sent = 0; sent < c->len;) {
        ssize_t some = send(c->fd, c->request + sent, c->len - sent, MSG_NOSIGNAL);
        if (some <= 0)
            lost(c);
        sent += (size_t)some;
    }
}

/* Takes what has come; true once it is the whole answer. */
static bool hear(struct connection *c)
{
    ssize_t got = recv(c->fd, c->answer + c->heard, sizeof(c->answer) - 1 - c->heard, 0);
    if (got <= 0)
        lost(c);
    c->heard += (size_t)got;
    c->answer[c->heard] = 0;
    if (c->answer[c->heard - 1] != '}')
        return false;
    if (strncmp(c->answer, "HTTP/1.1 200", 12) != 0)
        fail(c->answer);
    return true;
}

static void run_client(void *context)
{
    struct client *client = context;
    struct epoll_event events[64];
    uint32_t waiting = 0;
    client->epoll = epoll_create1(EPOLL_CLOEXEC);
    client->connections = mem_new(client->count * sizeof(client->connections[0]));
    for (uint32_t i = 0; i < client->count; i++) {
        make_request(client, &client->connections[i]);
        hang_on(client, &client->connections[i]);
    }
    for (; waiting < client->count && client->left > 0; waiting++)
        ask(client, &client->connections[waiting]);
    while (waiting > 0) {
        int count = epoll_wait(client->epoll, events, array_count(events), -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (!hear(c))
                continue;
            if (client->left > 0)
                ask(client, c);
            else
                waiting--;
        }
    }
    for (uint32_t i = 0; i < client->count; i++) {
        close(client->connections[i].fd);
        mem_free(client->connections[i].request);
    }
    close(client->epoll);
    mem_free(client->connections);
    client->spent_ns = os_clock_thread_ns();
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

static int64_t process_ns(void)
{
    struct timespec t;
    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void measure_rate(struct bench *b, const char *name, uint32_t batch, uint32_t connections,
                         uint64_t requests)
{
    char text[64];
    struct fault f = {0};
    struct client client = {.port = b->port,
                            .batch = batch,
                            .count = connections,
                            .left = requests,
                            .next = (uint64_t)batch << 40};
    int64_t began_ns = os_clock_monotonic_ns(), began_cpu_ns = process_ns();
    need(os_thread_start(&client.thread, "client", run_client, &client, &f), &f);
    os_thread_join(&client.thread);
    int64_t wall_ns = os_clock_monotonic_ns() - began_ns, cpu_ns = process_ns() - began_cpu_ns;
    snprintf(text, sizeof(text), "%s_durable", name);
    bench_rate(text, requests * batch, wall_ns);
    snprintf(text, sizeof(text), "%s_cpu", name);
    bench_print(text, (double)cpu_ns / 1e3 / (double)requests, "us");
    snprintf(text, sizeof(text), "%s_cpu_client", name);
    bench_print(text, (double)client.spent_ns / 1e3 / (double)requests, "us");
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

    measure_rate(&b, "serve_single", 1, SINGLE_CLIENTS, bench_count(100000));
    measure_rate(&b, "serve_batch", BATCH_EVENTS, BATCH_CLIENTS, bench_count(6400));

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
