/* serve.c - the whole server over real sockets, clients and an SMTP server beside it in this process.
 *
 *     event_to_smtp_p50, _p99   one client, an idle server: from the first byte of the request to the
 *                               mail's first byte at the SMTP server (service lane, settle 0s; one
 *                               fdatasync for the event, rendering, one for its receipt behind it)
 *     event_to_200_p50, _p99    the same requests, to their answer
 *     serve_single_durable      CLIENTS keep-alive connections, one event a request
 *     serve_batch_durable       the same, 100 events a request
 *
 * Clients take their share of the same cores. The data directory is under TMPDIR.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "os/thread.h"
#include "server/server.h"

#define CLIENTS      32
#define BATCH_EVENTS 100
#define WARM_UP      20
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
    {STR("messages/thanks/email.html.liquid"),
     STR("<p>Dear {{ person.first_name }}, your order {{ entry.order }} is on its way.</p>\n")},
};

struct post {
    int listener;
    uint16_t port;
    _Atomic int64_t mail_ns; /* when the newest mail's first byte came */
    _Atomic uint64_t mails;
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

/* ---- the SMTP server ---------------------------------------------------------------------------- */

struct session {
    struct post *post;
    int fd;
};

static void say(int fd, const char *text)
{
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        return;
}

static void talk(void *context)
{
    struct session *s = context;
    char buffer[65536];
    size_t len = 0;
    bool is_data = false, is_first = false;
    say(s->fd, "220 bench\r\n");
    for (;;) {
        ssize_t got = recv(s->fd, buffer + len, sizeof(buffer) - 1 - len, 0);
        if (got <= 0)
            break;
        if (is_data && is_first) {
            atomic_store(&s->post->mail_ns, os_clock_monotonic_ns());
            is_first = false;
        }
        len += (size_t)got;
        buffer[len] = 0;
        if (is_data) {
            if (len < 5 || memcmp(buffer + len - 5, "\r\n.\r\n", 5) != 0)
                continue;
            is_data = false;
            atomic_fetch_add(&s->post->mails, 1);
            say(s->fd, "250 kept\r\n");
        } else if (memchr(buffer, '\n', len) == NULL) {
            continue;
        } else if (strncmp(buffer, "EHLO", 4) == 0) {
            say(s->fd, "250 bench\r\n");
        } else if (strncmp(buffer, "DATA", 4) == 0) {
            is_data = is_first = true;
            say(s->fd, "354 go on\r\n");
        } else if (strncmp(buffer, "QUIT", 4) == 0) {
            say(s->fd, "221 bye\r\n");
        } else {
            say(s->fd, "250 fine\r\n");
        }
        len = 0;
    }
    close(s->fd);
    free(s);
}

static void greet(void *context)
{
    struct post *post = context;
    for (;;) {
        int fd = accept(post->listener, NULL, NULL);
        if (fd < 0)
            return;
        struct session *s = malloc(sizeof(*s));
        struct os_thread thread;
        struct fault f = {0};
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        *s = (struct session){post, fd};
        need(os_thread_start(&thread, "post", talk, s, &f), &f);
        pthread_detach(thread.id);
    }
}

static void open_post(struct post *post)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    struct os_thread thread;
    struct fault f = {0};
    post->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(post->listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(post->listener, 64) != 0 ||
        getsockname(post->listener, (struct sockaddr *)&at, &len) != 0)
        fail("no socket");
    post->port = ntohs(at.sin_port);
    need(os_thread_start(&thread, "post", greet, post, &f), &f);
    pthread_detach(thread.id);
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

static void compile(struct bench *b, uint16_t smtp_port)
{
    struct programme_file all[array_count(files) + 1];
    struct findings findings;
    struct plan *plan;
    struct buf zones;
    struct fault f = {0};
    char provider[256];
    snprintf(provider, sizeof(provider),
             "kind: smtp\nchannel: email\nslots: 8\nsettings:\n  url: 'smtp://127.0.0.1:%u'\n"
             "  from: 'Shop <shop@example.com>'\n  security: none\n",
             smtp_port);
    memcpy(all, files, sizeof(files));
    all[array_count(files)] = (struct programme_file){STR("providers/mail.yaml"), str_of(provider)};
    buf_init(&zones);
    findings_init(&findings);
    need(programme_zones(os_disk_real(), NULL, &zones, &f), &f);
    need(programme_folder_of(all, array_count(all), buf_str(&zones), &b->folder, &f), &f);
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

static int order_of(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_percentiles(const char *name, int64_t *ns, uint64_t count)
{
    char text[64];
    qsort(ns, count, sizeof(ns[0]), order_of);
    snprintf(text, sizeof(text), "%s_p50", name);
    bench_print(text, (double)ns[count / 2] / 1e6, "ms");
    snprintf(text, sizeof(text), "%s_p99", name);
    bench_print(text, (double)ns[count * 99 / 100] / 1e6, "ms");
}

static void measure_latency(struct bench *b, struct post *post)
{
    uint64_t count = bench_count(300);
    int64_t *to_smtp = malloc(count * sizeof(int64_t)), *to_200 = malloc(count * sizeof(int64_t));
    char body[2048];
    int fd = connect_to(b->port);
    int len = snprintf(body, sizeof(body),
                       "{\"userId\":\"user-1\",\"traits\":{\"email\":\"u@example.org\","
                       "\"first_name\":\"Uma\"}}");
    if (!post_body(fd, "/v1/identify", body, (size_t)len))
        fail("identify was refused");
    for (uint64_t i = 0; i < count + WARM_UP; i++) {
        uint64_t mails = atomic_load(&post->mails);
        size_t bytes = print_event(body, sizeof(body), "Ordered", 1, i);
        int64_t began_ns = os_clock_monotonic_ns();
        if (!post_body(fd, "/v1/track", body, bytes))
            fail("an event was refused");
        int64_t answered_ns = os_clock_monotonic_ns();
        while (atomic_load(&post->mails) == mails)
            os_clock_sleep_ms(1);
        if (i >= WARM_UP) {
            to_smtp[i - WARM_UP] = atomic_load(&post->mail_ns) - began_ns;
            to_200[i - WARM_UP] = answered_ns - began_ns;
        }
        os_clock_sleep_ms(3);
    }
    print_percentiles("event_to_smtp", to_smtp, count);
    print_percentiles("event_to_200", to_200, count);
    close(fd);
    free(to_smtp);
    free(to_200);
}

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

static void measure_rate(struct bench *b, const char *name, uint32_t batch, uint64_t requests)
{
    struct client clients[CLIENTS];
    struct fault f = {0};
    int64_t began_ns = os_clock_monotonic_ns();
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
    bench_rate(name, CLIENTS * requests * batch, os_clock_monotonic_ns() - began_ns);
}

int main(void)
{
    const char *root = getenv("TMPDIR");
    char data[1024];
    struct bench b = {0};
    struct post post = {0};
    struct fault f = {0};
    struct os_thread thread;
    int pipes[2];
    snprintf(data, sizeof(data), "%s/wend-bench-%u", root ? root : "/tmp", os_process_id());
    if (pipe(pipes) != 0)
        fail("no pipe");
    FILE *journal_out = fdopen(pipes[1], "w"), *journal_in = fdopen(pipes[0], "r");
    need(os_signals_init(&b.signals, &f), &f);
    open_post(&post);
    keys_init(&b.keys);
    need(keys_add(&b.keys, "sk=bench", INGEST_KEY_SERVER, &f), &f);
    struct server_options options = {.data = data,
                                     .listen = "127.0.0.1:0",
                                     .keys = &b.keys,
                                     .snapshot_batches = SERVER_SNAPSHOT_BATCHES,
                                     .journal = journal_out};
    need(server_open(&options, &b.server, &f), &f);
    compile(&b, post.port);
    need(os_thread_start(&thread, "server", serve, &b, &f), &f);
    b.port = read_port(journal_in);

    measure_latency(&b, &post);
    measure_rate(&b, "serve_single_durable", 1, bench_count(2000));
    measure_rate(&b, "serve_batch_durable", BATCH_EVENTS, bench_count(200));

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
