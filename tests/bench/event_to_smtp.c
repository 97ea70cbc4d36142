/* event_to_smtp.c - how long a mail takes when nothing else happens: from the moment at which a client
 * begins to send an event to the moment at which a mail server on this machine has read the whole
 * message, over `wend serve` as it is installed.
 *
 *     client ──POST /v1/track──► wend serve ──SMTP──► sink        everything on one machine, its
 *       clock starts              │                    clock stops   disk and loopback
 *                                 └──200──► client
 *
 *     event_to_ack_p50, _p99    until the client has its 200: the log's write and fdatasync are in it
 *     event_to_smtp_p50, _p99   until the mail's final dot has been read
 *     disk_p50, _p99            the disk alone, as the log asks for it: 4 KiB into reserved room and
 *                               fdatasync, in the same folder, once between each two of these events. An
 *                               event's 200 and its mail each wait for one such write, so that no tail of
 *                               theirs can be better than this one
 *     burst_10k_s               10,000 people enter at once, in posts of 100: from the first byte sent
 *                               until the last of 10,000 mails has been read
 *
 * The programme has one journey that sends one mail of the service lane at once, to a person who was
 * made known before. Twenty mails before the measured ones open the connection. Between two events the
 * server is left alone until everything is quiet, so each one finds it asleep; and before the first the disk
 * is left to finish what others have written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "os/file.h"
#include "sink.h"

#define BURST       10000
#define BURST_BATCH 100
#define WARM_UP     20
#define REST_MS     30
#define PROBE_BYTES (4u << 10)

struct fixture {
    char wend[OS_PATH_BYTES];
    char folder[OS_PATH_BYTES];
    struct sink sink;
    pid_t pid;
    FILE *journal;
    uint16_t port;
    int socket;
    struct os_file *probe; /* beside the log */
    uint64_t probes;
};

static const char *const files[][2] = {
    {"programme.yaml", "name: Bench\ntimezone: Europe/London\n"
                       "traits:\n  first_name: {type: string}\n"
                       "categories:\n  order-update: {lane: service, settle: 0s, "
                       "purpose: contract}\n"},
    {"providers/mail.yaml", "kind: smtp\nchannel: email\nslots: 64\n"
                            "settings:\n  url: '${ENV:WEND_SMTP_URL}'\n"
                            "  from: 'Bench <bench@example.org>'\n  security: none\n"},
    {"journeys/thanks.yaml", "journey: thanks\nowner: bench\n"
                             "enter: {event: Order Completed, again: always}\n"
                             "steps:\n  - send: thanks\n"},
    {"messages/thanks/message.yaml", "category: order-update\n"
                                     "email: {subject: 'Thank you for order "
                                     "{{ entry.order_id }}'}\n"},
    {"messages/thanks/email.txt.liquid", "Dear {{ person.first_name }}, thank you for order "
                                         "{{ entry.order_id }}. It is on its way.\n"},
};

static void give_up(const char *what, const struct fault *f)
{
    fprintf(stderr, "bench: %s %s\n", what, f != NULL ? f->text : "");
    exit(1);
}

/* ---- the server ------------------------------------------------------------------------------------ */

static void write_programme(const struct fixture *x)
{
    struct fault f = {0};
    struct os_disk *disk = os_disk_real();
    for (size_t i = 0; i < array_count(files); i++) {
        char name[256], path[OS_PATH_BYTES], dir[OS_PATH_BYTES];
        snprintf(name, sizeof(name), "programme/%s", files[i][0]);
        must(os_path_join(path, sizeof(path), x->folder, name));
        must(os_path_dir(dir, sizeof(dir), path));
        if (os_make_dirs(disk, dir, &f) != OK ||
            os_write_whole(disk, path, str_of(files[i][1]), &f) != OK)
            give_up("the programme:", &f);
    }
}

static void become_server(const struct fixture *x, int out)
{
    char programme[OS_PATH_BYTES], data[OS_PATH_BYTES], url[64];
    must(os_path_join(programme, sizeof(programme), x->folder, "programme"));
    must(os_path_join(data, sizeof(data), x->folder, "data"));
    snprintf(url, sizeof(url), "smtp://127.0.0.1:%u", x->sink.port);
    setenv("WEND_SMTP_URL", url, 1);
    dup2(out, STDOUT_FILENO);
    execl(x->wend, "wend", "serve", programme, "--data", data, "--listen", "127.0.0.1:0",
          "--server-key", "sk_bench=bench", (char *)NULL);
    _exit(127);
}

/* Starts it, and waits until it says where it listens. */
static void start_server(struct fixture *x)
{
    int out[2];
    char line[1024];
    must(pipe(out) == 0);
    x->pid = fork();
    must(x->pid >= 0);
    if (x->pid == 0)
        become_server(x, out[1]);
    close(out[1]);
    x->journal = fdopen(out[0], "r");
    must(x->journal != NULL);
    while (x->port == 0) {
        if (fgets(line, sizeof(line), x->journal) == NULL)
            give_up("wend serve did not start:", &(struct fault){.text = "see above"});
        const char *at = strstr(line, "listening on http://127.0.0.1:");
        if (at != NULL)
            x->port = (uint16_t)strtoul(strrchr(at, ':') + 1, NULL, 10);
    }
}

static void stop_server(struct fixture *x)
{
    int status = 0;
    close(x->socket);
    kill(x->pid, SIGTERM);
    fclose(x->journal);
    must(waitpid(x->pid, &status, 0) == x->pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        give_up("wend serve ended badly", NULL);
}

/* ---- the client ------------------------------------------------------------------------------------ */

static void hang_on(struct fixture *x)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(x->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    x->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(connect(x->socket, (struct sockaddr *)&to, sizeof(to)) == 0);
    setsockopt(x->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* A connection serves a thousand requests, and is closed with the last. */
static void hang_on_anew(struct fixture *x)
{
    close(x->socket);
    hang_on(x);
}

/* Posts, and waits for 200; both moments. */
static void post(struct fixture *x, const char *path, struct str body, int64_t *start_ns,
                 int64_t *end_ns)
{
    static const char success[] = "{\"success\":true}";
    char heard[2048];
    size_t len = 0;
    struct buf out;
    buf_init(&out);
    buf_printf(&out,
               "POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic c2tfYmVuY2g6\r\n"
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               path, body.len);
    buf_add_str(&out, body);
    *start_ns = os_clock_monotonic_ns();
    must(send(x->socket, out.at, out.len, MSG_NOSIGNAL) == (ssize_t)out.len);
    do {
        ssize_t got = recv(x->socket, heard + len, sizeof(heard) - 1 - len, 0);
        if (got <= 0)
            give_up("the server hung up", NULL);
        len += (size_t)got;
        heard[len] = '\0';
    } while (strstr(heard, success) == NULL && strstr(heard, "\"code\"") == NULL);
    *end_ns = os_clock_monotonic_ns();
    if (strstr(heard, success) == NULL)
        give_up(heard, NULL);
    buf_fini(&out);
}

static void make_people(struct fixture *x, uint64_t count)
{
    struct buf body;
    int64_t start_ns, end_ns;
    buf_init(&body);
    for (uint64_t i = 0; i < count; i++) {
        body.len = 0;
        buf_printf(&body,
                   "{\"userId\":\"u%lu\",\"messageId\":\"i%lu\",\"traits\":{\"first_name\":\"Ann\","
                   "\"email\":\"u%lu@customers.example\"}}",
                   i, i, i);
        post(x, "/v1/identify", buf_str(&body), &start_ns, &end_ns);
    }
    buf_fini(&body);
}

static void open_probe(struct fixture *x, uint64_t count)
{
    char path[OS_PATH_BYTES];
    struct fault f = {0};
    must(os_path_join(path, sizeof(path), x->folder, "probe"));
    if (os_file_open(os_disk_real(), path, OS_CREATE, &x->probe, &f) != OK ||
        os_file_preallocate(x->probe, count * PROBE_BYTES, &f) != OK ||
        os_file_sync(x->probe, &f) != OK)
        give_up("the probe:", &f);
}

/* How long the disk takes now. */
static int64_t probe_ns(struct fixture *x)
{
    uint8_t piece[PROBE_BYTES];
    struct fault f = {0};
    memset(piece, (int)(x->probes % 255) + 1, sizeof(piece));
    int64_t start_ns = os_clock_monotonic_ns();
    if (os_file_write(x->probe, x->probes * PROBE_BYTES, piece, PROBE_BYTES, &f) != OK ||
        os_file_sync(x->probe, &f) != OK)
        give_up("the probe:", &f);
    x->probes++;
    return os_clock_monotonic_ns() - start_ns;
}

static void measure(struct fixture *x, uint64_t person, int64_t *to_ack_ns, int64_t *to_smtp_ns)
{
    struct buf body;
    int64_t start_ns, ack_ns, mail_ns;
    buf_init(&body);
    buf_printf(&body,
               "{\"userId\":\"u%lu\",\"messageId\":\"e%lu\",\"event\":\"Order Completed\","
               "\"properties\":{\"order_id\":\"o-%lu\",\"total\":27.5,\"currency\":\"GBP\"}}",
               person, person, person);
    post(x, "/v1/track", buf_str(&body), &start_ns, &ack_ns);
    if (os_queue_pop(x->sink.mails, &mail_ns, 1, 10000) != 1)
        give_up("no mail came", NULL);
    *to_ack_ns = ack_ns - start_ns;
    *to_smtp_ns = mail_ns - start_ns;
    buf_fini(&body);
    os_clock_sleep_ms(REST_MS);
}

/* ---- many at once ----------------------------------------------------------------------------------- */

/* Posts an order, or what is known, of each of `count` people from `first` on, 100 at a time; returns when the first one left. */
static int64_t post_all(struct fixture *x, uint64_t first, uint64_t count, bool is_order)
{
    int64_t began_ns = 0, start_ns, end_ns;
    struct buf body;
    buf_init(&body);
    for (uint64_t i = 0; i < count;) {
        body.len = 0;
        buf_printf(&body, "{\"batch\":[");
        for (uint32_t k = 0; k < BURST_BATCH && i < count; k++, i++) {
            unsigned long n = first + i;
            buf_printf(&body, "%s{\"userId\":\"u%lu\",\"messageId\":\"%s%lu\",", k ? "," : "", n,
                       is_order ? "e" : "i", n);
            if (is_order)
                buf_printf(&body,
                           "\"type\":\"track\",\"event\":\"Order Completed\",\"properties\":"
                           "{\"order_id\":\"o-%lu\",\"total\":27.5,\"currency\":\"GBP\"}}",
                           n);
            else
                buf_printf(&body,
                           "\"type\":\"identify\",\"traits\":{\"first_name\":\"Ann\","
                           "\"email\":\"u%lu@customers.example\"}}",
                           n);
        }
        buf_printf(&body, "]}");
        post(x, "/v1/batch", buf_str(&body), &start_ns, &end_ns);
        if (began_ns == 0)
            began_ns = start_ns;
    }
    buf_fini(&body);
    return began_ns;
}

static void burst(struct fixture *x, uint64_t first)
{
    int64_t mails_ns[256], last_ns = 0;
    post_all(x, first, BURST, false);
    int64_t start_ns = post_all(x, first, BURST, true);
    for (uint64_t i = 0; i < BURST;) {
        uint32_t count = os_queue_pop(x->sink.mails, mails_ns, array_count(mails_ns), 30000);
        if (count == 0)
            give_up("not all mails came", NULL);
        for (uint32_t k = 0; k < count; k++)
            last_ns = max_of(last_ns, mails_ns[k]);
        i += count;
        os_clock_sleep_ms(1); /* not woken for each: the processors are the server's */
    }
    bench_print("burst_10k_s", (double)(last_ns - start_ns) * 1e-9, "s");
}

static int ascending(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print(const char *name, int64_t *times_ns, uint64_t count)
{
    char text[64];
    qsort(times_ns, count, sizeof(*times_ns), ascending);
    snprintf(text, sizeof(text), "%s_p50", name);
    bench_print(text, (double)times_ns[count / 2] * 1e-6, "ms");
    snprintf(text, sizeof(text), "%s_p99", name);
    bench_print(text, (double)times_ns[count * 99 / 100] * 1e-6, "ms");
}

int main(int argc, char **argv)
{
    struct fixture *x = mem_new(sizeof(*x));
    struct fault f = {0};
    uint64_t count = bench_count(800);
    (void)argc;
    /* build/release/tests/bench/event_to_smtp -> build/release/wend */
    char dir[OS_PATH_BYTES];
    must(os_path_dir(dir, sizeof(dir), argv[0]));
    must(os_path_join(x->wend, sizeof(x->wend), dir, "../../wend"));
    const char *root = getenv("BENCH_DIR") ? getenv("BENCH_DIR") : "build";
    must(os_path_join(x->folder, sizeof(x->folder), root, "bench-smtp"));
    if (os_remove_tree(os_disk_real(), x->folder, &f) != OK)
        give_up("the folder:", &f);
    x->sink.mails = os_queue_new(sizeof(int64_t), BURST);
    sink_start(&x->sink);
    write_programme(x);
    start_server(x);
    hang_on(x);
    make_people(x, WARM_UP + count);

    int64_t *to_ack_ns = mem_new(count * sizeof(*to_ack_ns));
    int64_t *to_smtp_ns = mem_new(count * sizeof(*to_smtp_ns));
    int64_t *disk_ns = mem_new(count * sizeof(*disk_ns));
    open_probe(x, count);
    sync(); /* what others have written, this build among it, is not this server's: it is to be idle */
    hang_on_anew(x);
    for (uint64_t i = 0; i < WARM_UP; i++)
        measure(x, i, to_ack_ns, to_smtp_ns);
    for (uint64_t i = 0; i < count; i++) {
        measure(x, WARM_UP + i, &to_ack_ns[i], &to_smtp_ns[i]);
        disk_ns[i] = probe_ns(x);
        os_clock_sleep_ms(REST_MS);
    }
    os_file_close(x->probe);
    print("event_to_ack", to_ack_ns, count);
    print("event_to_smtp", to_smtp_ns, count);
    print("disk", disk_ns, count);
    hang_on_anew(x);
    burst(x, WARM_UP + count);

    stop_server(x);
    sink_stop(&x->sink);
    os_queue_free(x->sink.mails);
    if (os_remove_tree(os_disk_real(), x->folder, &f) != OK)
        give_up("the folder:", &f);
    return 0;
}
