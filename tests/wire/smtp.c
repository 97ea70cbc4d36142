/* smtp.c - e-mail to a real SMTP server (aiosmtpd), and to one that breaks off where it is told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdatomic.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "channel/transport.h"
#include "liquid/liquid.h"
#include "os/clock.h"
#include "os/thread.h"
#include "outbox/outbox.h"
#include "peer.h"
#include "json/json_write.h"

#define PYTHON "/usr/bin/python3"

enum { PLAIN, BARE, STARTTLS, SMTPS, AUTH, RAW, PIPED, PORTS };

static struct {
    struct peer server;
    char folder[200];
    char cert[256];
    uint16_t ports[PORTS];
    struct arena plan;
    struct channel_template *message; /* one field: the name to greet */
} * world;

/* --- around the tests --- */

static int setup(void **state)
{
    (void)state;
    const char *const has_aiosmtpd[] = {PYTHON, "-c", "import aiosmtpd", NULL};
    if (peer_run(has_aiosmtpd) != 0) {
        printf("skipped: no aiosmtpd (Debian's python3-aiosmtpd)\n");
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    setenv("WEND_TEST_PASSWORD", "pass word", 1);
    setenv("WEND_TEST_WRONG", "wrong", 1);
    channel_global_init();
    world = mem_new(sizeof(*world));
    peer_folder(world->folder, sizeof(world->folder));
    char key[256];
    snprintf(world->cert, sizeof(world->cert), "%s/cert.pem", world->folder);
    snprintf(key, sizeof(key), "%s/key.pem", world->folder);
    const char *const certify[] = {"sh",
                                   "-c",
                                   "openssl req -x509 -newkey ec -pkeyopt "
                                   "ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
                                   "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "
                                   "\"$0\" -out \"$1\" -batch 2>/dev/null",
                                   key,
                                   world->cert,
                                   NULL};
    if (peer_run(certify) != 0)
        return -1;
    const char *const serve[] = {PYTHON,   "tests/wire/smtp/server.py",
                                 "--dir",  world->folder,
                                 "--cert", world->cert,
                                 "--key",  key,
                                 NULL};
    peer_start(&world->server, serve);
    char line[200];
    struct str ports = peer_line(&world->server, line, sizeof(line));
    if (!str_starts(ports, STR("ports ")))
        return -1;
    char *at = line + strlen("ports ");
    for (int i = 0; i < PORTS; i++)
        world->ports[i] = (uint16_t)strtol(at, &at, 10);

    arena_init(&world->plan, 4096);
    const struct channel_source sources[] = {
        {.name = STR("subject"),
         .text = STR("Gr\xc3\xbc\xc3\x9f"
                     "e an {{ person.name }}")},
        {.name = STR("html"), .text = STR("<p>Hello {{ person.name }}</p>"), .file = STR("h")},
    };
    struct fault f = {0};
    return channel_compile(CHANNEL_EMAIL, sources, 2, NULL, 0, &world->plan, &world->message, &f) ==
                   OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    if (world == NULL)
        return 0;
    peer_stop(&world->server);
    peer_folder_drop(world->folder);
    arena_fini(&world->plan);
    mem_free(world);
    channel_global_fini();
    return 0;
}

static void needs_server(void)
{
    if (world == NULL)
        skip();
}

#define OPTIONS_MAX 10

/* A provider at one of the ports; further settings in pairs, ended by NULL. */
static struct channel_provider *provider(int port, const char *const *more)
{
    struct channel_option options[OPTIONS_MAX];
    char url[100];
    snprintf(url, sizeof(url), "%s://localhost:%u", port == SMTPS ? "smtps" : "smtp",
             world->ports[port]);
    size_t count = 0;
    options[count++] = (struct channel_option){STR("url"), str_of(url), 1};
    options[count++] = (struct channel_option){STR("from"), STR("Northwind <hi@example.com>"), 2};
    for (; more != NULL && more[0] != NULL; more += 2) {
        assert_true(count < OPTIONS_MAX);
        options[count++] = (struct channel_option){str_of(more[0]), str_of(more[1]), 3};
    }
    struct channel_provider *p = NULL;
    struct fault f = {0};
    if (channel_provider_new(channel_kind_find(STR("smtp")), CHANNEL_EMAIL, STR("test"), options,
                             count, &p, &f) != OK)
        fail_msg("%s", f.text);
    return p;
}

static const char *const clear[] = {"security", "none", NULL};

static struct channel_message message_to(struct str to, const struct value *name)
{
    return (struct channel_message){
        .message = world->message,
        .id = STR("1f-9c0a1b2c3d4e5f60-1"),
        .to = to,
        .fields = name,
        .field_count = 1,
        .at_ms = INT64_C(1772452800000),
    };
}

/* Renders and sends one mail; `to` is the part before the @. */
static struct transmission deliver(struct channel_connection *c, const struct channel_provider *p,
                                   const char *to)
{
    char address[100];
    snprintf(address, sizeof(address), "%s@example.org", to);
    struct value name = value_text(STR("Ann"));
    struct channel_message m = message_to(str_of(address), &name);
    struct channel_payload payload;
    channel_payload_init(&payload);
    struct fault f = {0};
    if (channel_render(p, &m, &payload, &f) != OK)
        fail_msg("%s", f.text);
    struct transmission t;
    channel_send(c, &payload, m.at_ms, &t);
    channel_payload_fini(&payload);
    return t;
}

static void expect(const struct transmission *t, enum transmission_outcome outcome)
{
    if (t->outcome != outcome)
        fail_msg("%s (%d %d.%d.%d, %s), not %s", transmission_name(t->outcome), t->code,
                 t->enhanced[0], t->enhanced[1], t->enhanced[2], t->detail,
                 transmission_name(outcome));
}

/* One mail on a connection of its own. */
static struct transmission deliver_once(int port, const char *const *more, const char *to)
{
    struct channel_provider *p = provider(port, more);
    struct channel_connection *c = channel_connection_new(p);
    struct transmission t = deliver(c, p, to);
    channel_connection_free(c);
    channel_provider_free(p);
    return t;
}

static void read_log(struct buf *out)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/log", world->folder);
    FILE *file = fopen(path, "r");
    out->len = 0;
    for (int c; file != NULL && (c = fgetc(file)) != EOF;)
        buf_add_byte(out, (uint8_t)c);
    if (file != NULL)
        fclose(file);
}

/* How many lines of the server's log have this text in them. */
static uint32_t logged(const char *text)
{
    struct buf log;
    buf_init(&log);
    read_log(&log);
    uint32_t count = 0;
    for (size_t at = 0; (at = str_find(buf_str(&log), str_of(text), at)) != SIZE_MAX; at++)
        count++;
    buf_fini(&log);
    return count;
}

static void forget_mails(void)
{
    const char *const forget[] = {"sh", "-c", "rm -f \"$0\"/*.eml \"$0\"/log", world->folder, NULL};
    assert_int_equal(peer_run(forget), 0);
}

/* --- connections --- */

static void reuses(void **state)
{
    (void)state;
    needs_server();
    forget_mails();
    struct channel_provider *p = provider(PLAIN, clear);
    struct channel_connection *c = channel_connection_new(p);
    for (int i = 0; i < 5; i++) {
        struct transmission t = deliver(c, p, "ann+reuse");
        expect(&t, TRANSMISSION_ACCEPTED);
        assert_int_equal(t.code, 250);
        assert_non_null(strstr(t.detail, "queued as"));
        assert_int_equal(t.is_fresh, i == 0);
    }
    channel_connection_rest(c);
    struct transmission t = deliver(c, p, "ann+reuse");
    expect(&t, TRANSMISSION_ACCEPTED);
    assert_true(t.is_fresh);
    channel_connection_free(c);
    channel_provider_free(p);
    assert_int_equal(logged("tls=0 auth=- hi@example.com ann+reuse@example.org"), 6);
}

static void starttls(void **state)
{
    (void)state;
    needs_server();
    const char *const trusting[] = {"ca_file", world->cert, NULL};
    const char *const optional[] = {"security", "optional", NULL};
    forget_mails();
    struct transmission t = deliver_once(STARTTLS, trusting, "ann+tls");
    expect(&t, TRANSMISSION_ACCEPTED);
    t = deliver_once(SMTPS, trusting, "ann+tls");
    expect(&t, TRANSMISSION_ACCEPTED);
    assert_int_equal(logged("tls=1"), 2);

    /* A certificate that nobody vouches for; a server without TLS where it is required. */
    t = deliver_once(STARTTLS, NULL, "ann+tls");
    expect(&t, TRANSMISSION_NO_ACCESS);
    t = deliver_once(SMTPS, NULL, "ann+tls");
    expect(&t, TRANSMISSION_NO_ACCESS);
    t = deliver_once(PLAIN, trusting, "ann+tls");
    expect(&t, TRANSMISSION_NO_ACCESS);
    assert_int_equal(logged("ann+tls"), 2);

    t = deliver_once(PLAIN, optional, "ann+tls");
    expect(&t, TRANSMISSION_ACCEPTED);
    t = deliver_once(STARTTLS, clear, "ann+tls"); /* the server insists */
    expect(&t, TRANSMISSION_NO_ACCESS);
}

static void authentication(void **state)
{
    (void)state;
    needs_server();
    forget_mails();
    const char *const ways[] = {"any", "plain", "login"};
    for (size_t i = 0; i < array_count(ways); i++) {
        const char *const right[] = {"security", "none",     "username",
                                     "user",     "password", "${ENV:WEND_TEST_PASSWORD}",
                                     "auth",     ways[i],    NULL};
        const char *const wrong[] = {"security", "none",     "username",
                                     "user",     "password", "${ENV:WEND_TEST_WRONG}",
                                     "auth",     ways[i],    NULL};
        struct transmission t = deliver_once(AUTH, right, "ann+auth");
        expect(&t, TRANSMISSION_ACCEPTED);
        t = deliver_once(AUTH, wrong, "ann+auth");
        expect(&t, TRANSMISSION_NO_ACCESS);
        assert_int_equal(t.code, 535);
    }
    assert_int_equal(logged("auth=user"), 3);
    struct transmission t = deliver_once(AUTH, clear, "ann+auth");
    expect(&t, TRANSMISSION_NO_ACCESS);
    assert_int_equal(t.code, 530);
}

static void unreachable(void **state)
{
    (void)state;
    needs_server();
    struct channel_option options[] = {
        {STR("url"), STR("smtp://127.0.0.1:1"), 0},
        {STR("from"), STR("hi@example.com"), 0},
        {STR("security"), STR("none"), 0},
    };
    struct channel_provider *p = NULL;
    assert_int_equal(channel_provider_new(channel_kind_find(STR("smtp")), CHANNEL_EMAIL, STR("x"),
                                          options, 3, &p, NULL),
                     OK);
    struct channel_connection *c = channel_connection_new(p);
    struct transmission t = deliver(c, p, "ann");
    expect(&t, TRANSMISSION_UNREACHABLE);
    assert_true(strlen(t.detail) > 0);
    channel_connection_free(c);
    channel_provider_free(p);
}

/* --- answers --- */

static void answers(void **state)
{
    (void)state;
    needs_server();
    const struct {
        int port;
        const char *to;
        enum transmission_outcome outcome;
        int32_t code;
        const char *enhanced;
    } rows[] = {
        {PLAIN, "unknown", TRANSMISSION_BAD_ADDRESS, 550, "5.1.1"},
        {PLAIN, "disabled", TRANSMISSION_BAD_ADDRESS, 550, "5.2.1"},
        {PLAIN, "policy", TRANSMISSION_POLICY, 554, "5.7.1"},
        {PLAIN, "full", TRANSMISSION_SOFT, 452, "4.2.2"},
        {PLAIN, "greylist", TRANSMISSION_SLOW_DOWN, 450, "4.7.1"},
        {PLAIN, "later", TRANSMISSION_UNREACHABLE, 451, "4.3.0"},
        {PLAIN, "busy", TRANSMISSION_SLOW_DOWN, 421, "4.7.0"},
        {PLAIN, "big", TRANSMISSION_BAD_MESSAGE, 552, "5.3.4"},
        {PLAIN, "spam", TRANSMISSION_POLICY, 554, "5.7.1"},
        {PLAIN, "once+answers", TRANSMISSION_SOFT, 451, "4.2.0"},
        {PLAIN, "once+answers", TRANSMISSION_ACCEPTED, 250, "2.0.0"},
        {RAW, "dot", TRANSMISSION_ACCEPTED, 250, "0.0.0"},
        {RAW, "talk", TRANSMISSION_ACCEPTED, 250, "0.0.0"},
    };
    struct channel_provider *providers[2] = {provider(PLAIN, clear), provider(RAW, clear)};
    struct channel_connection *connections[2] = {channel_connection_new(providers[0]),
                                                 channel_connection_new(providers[1])};
    for (size_t i = 0; i < array_count(rows); i++) {
        int at = rows[i].port == RAW;
        struct transmission t = deliver(connections[at], providers[at], rows[i].to);
        char enhanced[20];
        snprintf(enhanced, sizeof(enhanced), "%u.%u.%u", t.enhanced[0], t.enhanced[1],
                 t.enhanced[2]);
        expect(&t, rows[i].outcome);
        assert_int_equal(t.code, rows[i].code);
        assert_string_equal(enhanced, rows[i].enhanced);
    }
    for (int i = 0; i < 2; i++) {
        channel_connection_free(connections[i]);
        channel_provider_free(providers[i]);
    }
}

/* A message of some six megabytes, more than the sockets on both sides hold: something is left to send
 * when a server breaks off. */
static struct transmission deliver_large(const char *to, const char *timeout)
{
    const char *const more[] = {"security", "none", "timeout", timeout, NULL};
    struct channel_provider *p = provider(RAW, more);
    struct channel_connection *c = channel_connection_new(p);
    struct buf text;
    buf_init(&text);
    while (text.len < 1000000)
        buf_add_str(&text, STR("============================== three bytes each\n"));
    struct value name = {.type = VALUE_TEXT, .text = buf_str(&text)};
    struct arena plan;
    arena_init(&plan, 4096);
    const struct channel_source sources[] = {
        {.name = STR("subject"), .text = STR("Large")},
        {.name = STR("text"), .text = STR("{{ person.name }}")},
        {.name = STR("html"), .text = STR("{{ person.name }}")},
    };
    struct channel_template *large;
    assert_int_equal(channel_compile(CHANNEL_EMAIL, sources, 3, NULL, 0, &plan, &large, NULL), OK);
    char address[100];
    snprintf(address, sizeof(address), "%s@example.org", to);
    struct channel_message m = message_to(str_of(address), &name);
    m.message = large;
    struct channel_payload payload;
    channel_payload_init(&payload);
    assert_int_equal(channel_render(p, &m, &payload, NULL), OK);
    assert_true(payload.bytes.len > 4500000);
    struct transmission t;
    channel_send(c, &payload, m.at_ms, &t);
    channel_payload_fini(&payload);
    arena_fini(&plan);
    buf_fini(&text);
    channel_connection_free(c);
    channel_provider_free(p);
    return t;
}

static void doubt(void **state)
{
    (void)state;
    needs_server();
    struct transmission t = deliver_once(PLAIN, clear, "lost");
    expect(&t, TRANSMISSION_IN_DOUBT);
    const char *const hasty[] = {"security", "none", "timeout", "500ms", NULL};
    t = deliver_once(PLAIN, hasty, "mute");
    expect(&t, TRANSMISSION_IN_DOUBT);
    t = deliver_once(RAW, hasty, "noise"); /* an answer that is none */
    expect(&t, TRANSMISSION_IN_DOUBT);

    /* Broken off before the dot: known not accepted. */
    t = deliver_large("half", "5s");
    expect(&t, TRANSMISSION_UNREACHABLE);
    t = deliver_large("dot", "20s");
    expect(&t, TRANSMISSION_ACCEPTED);
    t = deliver_large("early", "5s");
    if (t.outcome != TRANSMISSION_UNREACHABLE) /* the refusal may or may not have been read */
        expect(&t, TRANSMISSION_BAD_MESSAGE);
}

/* The answer that came too late must not become the answer to the next mail. */
static void late_answer(void **state)
{
    (void)state;
    needs_server();
    const char *const hasty[] = {"security", "none", "timeout", "300ms", NULL};
    struct channel_provider *p = provider(PLAIN, hasty);
    struct channel_connection *c = channel_connection_new(p);
    struct transmission t =
        deliver(c, p, "slow"); /* answers after 400 ms: while the next one runs */
    expect(&t, TRANSMISSION_IN_DOUBT);
    t = deliver(c, p, "ann");
    expect(&t, TRANSMISSION_ACCEPTED);
    assert_true(t.is_fresh);
    t = deliver(c, p, "unknown");
    expect(&t, TRANSMISSION_BAD_ADDRESS);
    channel_connection_free(c);
    channel_provider_free(p);
}

static void idle(void **state)
{
    (void)state;
    needs_server();
    forget_mails();
    struct channel_provider *p = provider(PLAIN, clear);
    struct channel_connection *c = channel_connection_new(p);
    for (int i = 0; i < 3; i++) {
        struct transmission t = deliver(c, p, "bye");
        expect(&t, TRANSMISSION_ACCEPTED);
        assert_true(t.is_fresh);
        os_clock_sleep_ms(60); /* the server says good-bye meanwhile */
    }
    channel_connection_free(c);
    channel_provider_free(p);
    assert_int_equal(logged("bye@"), 3);
}

/* The server answers nothing before it has all three commands. */
static void together(void **state)
{
    (void)state;
    needs_server();
    forget_mails();
    const struct {
        const char *to;
        enum transmission_outcome outcome;
        int32_t code;
        bool is_fresh;
    } rows[] = {
        {"ann", TRANSMISSION_ACCEPTED, 250, true},
        {"slowly", TRANSMISSION_ACCEPTED, 250, false},
        {"ben", TRANSMISSION_ACCEPTED, 250, false},
        {"unknown", TRANSMISSION_BAD_ADDRESS, 550, false},
        {"ann", TRANSMISSION_ACCEPTED, 250, true}, /* after a refusal the connection is not kept */
        {"open", TRANSMISSION_BAD_ADDRESS, 550, false}, /* the server waits for a message */
        {"sender", TRANSMISSION_NO_ACCESS, 530, true},
        {"room", TRANSMISSION_UNREACHABLE, 452, true},
        {"ann", TRANSMISSION_ACCEPTED, 250, true},
        {"bye", TRANSMISSION_ACCEPTED, 250, true},    /* 421, and then on a new connection */
        {"extra", TRANSMISSION_ACCEPTED, 250, false}, /* a good-bye right behind the answer */
        {"ann", TRANSMISSION_ACCEPTED, 250, true},
    };
    const char *const hasty[] = {"security", "none", "timeout", "10s", NULL};
    struct channel_provider *p = provider(PIPED, hasty);
    struct channel_connection *c = channel_connection_new(p);
    for (size_t i = 0; i < array_count(rows); i++) {
        struct transmission t = deliver(c, p, rows[i].to);
        if (t.outcome != rows[i].outcome)
            print_error("%s:\n", rows[i].to);
        expect(&t, rows[i].outcome);
        assert_int_equal(t.code, rows[i].code);
        assert_int_equal(t.is_fresh, rows[i].is_fresh);
    }
    channel_connection_free(c);
    channel_provider_free(p);
    assert_int_equal(logged("piped "), 8);
    assert_int_equal(logged("piped ann@"), 4);
    assert_int_equal(logged("piped open@"), 0);
}

/* --- what Python reads --- */

static void random_text(struct buf *out, uint64_t *seed, uint32_t len, bool has_lines)
{
    static const char *const letters[] = {"a",
                                          "e",
                                          "n",
                                          "T",
                                          " ",
                                          "\xc3\xa9",
                                          "\xe4\xb8\xad",
                                          "\xf0\x9f\x9b\x92",
                                          "=",
                                          "?",
                                          "_",
                                          ".",
                                          "\"",
                                          "<",
                                          ",",
                                          "(",
                                          "@",
                                          "x y",
                                          "ing ",
                                          "\n",
                                          "\n.\n",
                                          " \n"};
    out->len = 0;
    uint32_t exotic = (uint32_t)(*seed % 3);
    for (uint32_t i = 0; i < len; i++) {
        *seed = hash_pair(*seed, i);
        uint64_t x = *seed >> 20;
        size_t most = has_lines ? array_count(letters) : array_count(letters) - 3;
        const char *letter = letters[x % 7 < exotic ? x / 7 % most : x / 7 % 5];
        if (letter[0] == '\n' && !has_lines)
            continue;
        buf_add(out, letter, strlen(letter));
    }
    if (!has_lines && out->len > 0) { /* a header's value has no space around it */
        struct str trimmed = str_trim(buf_str(out));
        memmove(out->at, trimmed.at, trimmed.len);
        out->len = trimmed.len;
    }
}

static void read_back(void **state)
{
    (void)state;
    needs_server();
    forget_mails();
    struct channel_provider *p = provider(PLAIN, clear);
    struct channel_connection *c = channel_connection_new(p);
    struct arena plan;
    arena_init(&plan, 4096);
    const struct channel_source sources[] = {
        {.name = STR("subject"), .text = STR("{{ m.subject }}")},
        {.name = STR("text"), .text = STR("{{ m.text }}")},
        {.name = STR("html"), .text = STR("{{ m.html | raw }}")},
        {.name = STR("from"), .text = STR("Caf\xc3\xa9 \xe2\x98\x95 <cafe@example.com>")},
    };
    struct channel_template *mail;
    struct fault f = {0};
    if (channel_compile(CHANNEL_EMAIL, sources, 4, NULL, 0, &plan, &mail, &f) != OK)
        fail_msg("%s", f.text);

    struct buf expected, texts[4];
    buf_init(&expected);
    uint64_t seed = 4;
    for (size_t i = 0; i < 4; i++)
        buf_init(&texts[i]);
    for (uint32_t n = 0; n < 120; n++) {
        random_text(&texts[0], &seed, 1 + n % 90, false);
        random_text(&texts[1], &seed, 1 + n * 3, true);
        random_text(&texts[2], &seed, 1 + n * 5, true);
        random_text(&texts[3], &seed, n % 120, false);
        for (int i = 0; i < 3; i++)
            if (str_trim(buf_str(&texts[i])).len == 0)
                buf_add_byte(&texts[i], 'x');
        struct value fields[3];
        for (int i = 0; i < 3; i++)
            fields[i] = value_text(buf_str(&texts[i]));
        char id[64];
        snprintf(id, sizeof(id), "1f-%016x-1", n);
        struct channel_message m = message_to(STR("ann@example.org"), fields);
        m.message = mail;
        m.field_count = 3;
        m.id = str_of(id);
        m.to_name = buf_str(&texts[3]);
        m.unsubscribe_url = n % 2 ? STR("https://example.com/u/0123456789abcdef") : STR("");
        struct channel_payload payload;
        channel_payload_init(&payload);
        if (channel_render(p, &m, &payload, &f) != OK)
            fail_msg("%s", f.text);
        struct transmission t;
        channel_send(c, &payload, m.at_ms, &t);
        expect(&t, TRANSMISSION_ACCEPTED);
        channel_payload_fini(&payload);

        struct json_writer w;
        json_write_init(&w, &expected, JSON_COMPACT);
        json_write_map(&w);
        json_write_key_text(&w, "to", STR("ann@example.org"));
        json_write_key_text(&w, "to_name", buf_str(&texts[3]));
        json_write_key_text(&w, "from_name", STR("Caf\xc3\xa9 \xe2\x98\x95"));
        json_write_key_text(&w, "subject", buf_str(&texts[0]));
        json_write_key_text(&w, "text", buf_str(&texts[1]));
        json_write_key_text(&w, "html", buf_str(&texts[2]));
        json_write_key_text(&w, "unsubscribe",
                            n % 2 ? STR("<https://example.com/u/0123456789abcdef>") : STR(""));
        json_write_end(&w);
        buf_add_byte(&expected, '\n');
    }
    char path[256];
    snprintf(path, sizeof(path), "%s/expected", world->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(expected.at, 1, expected.len, file), expected.len);
    fclose(file);
    const char *const compare[] = {PYTHON, "tests/wire/smtp/read_back.py", world->folder, path,
                                   NULL};
    assert_int_equal(peer_run(compare), 0);
    for (size_t i = 0; i < 4; i++)
        buf_fini(&texts[i]);
    buf_fini(&expected);
    arena_fini(&plan);
    channel_connection_free(c);
    channel_provider_free(p);
}

/* --- threads --- */

#define CROWD 120

struct crowd {
    struct outbox *outbox;
    struct transport *transport;
    struct os_queue *results;
    char to[CROWD][64];
    struct value name;
    uint32_t final_count[CROWD];
    enum receipt_kind receipts[CROWD];
};

struct landed {
    uint64_t ticket;
    struct transmission result;
};

static void on_done(void *context, uint64_t ticket, uint32_t slot,
                    const struct transmission *result)
{
    struct crowd *w = context;
    (void)slot;
    struct landed landed = {.ticket = ticket, .result = *result};
    assert_int_equal(os_queue_push_wait(w->results, &landed, FOREVER_MS), OK);
}

static void obey(struct crowd *w, int64_t now_ms)
{
    struct outbox_order order;
    while (outbox_next(w->outbox, now_ms, &order) != OUTBOX_IDLE) {
        if (order.kind == OUTBOX_ALARM)
            continue;
        size_t n = order.attempt.decision;
        if (order.kind == OUTBOX_START) {
            struct transport_job job = {
                .ticket = order.ticket,
                .message = message_to(str_of(w->to[n]), &w->name),
            };
            transport_start(w->transport, order.slot, &job);
        } else if (order.is_final) {
            w->final_count[n]++;
            w->receipts[n] = order.receipt;
        }
    }
}

/* The outbox and the transport together, against a server that refuses the first time, loses answers
 * and knows not everybody: each message once, whatever happens. */
static void crowd(void **state)
{
    (void)state;
    needs_server();
    forget_mails();
    struct crowd *w = mem_new(sizeof(*w));
    const char *const four[] = {"security", "none", "slots", "4", NULL};
    struct channel_provider *p = provider(PLAIN, four);
    const struct transport_options options = {.provider = p, .done = on_done, .context = w};
    struct outbox_retry retry;
    outbox_retry_standard(&retry);
    retry.first_ms = 20;
    retry.most_ms = 100;
    retry.budget_refill_ms = 1;
    retry.pause_first_ms = retry.pause_most_ms = 5;
    retry.breaker_first_ms = retry.breaker_most_ms = 10;
    w->name = value_text(STR("Ann"));
    w->results = os_queue_new(sizeof(struct landed), 16);
    w->outbox = outbox_new();
    assert_int_equal(transport_new(&options, &w->transport, NULL), OK);
    assert_int_equal(transport_slots(w->transport), 4);
    assert_int_equal(outbox_add_provider(w->outbox, 4, &retry), 0);

    int64_t now_ms = os_clock_monotonic_ns() / 1000000;
    for (uint32_t n = 0; n < CROWD; n++) {
        char local[40];
        snprintf(local, sizeof(local), "%.10s+%u",
                 n % 5 == 1   ? "once"
                 : n % 5 == 2 ? "unknown"
                 : n % 5 == 3 ? "lost"
                              : "ann",
                 n);
        snprintf(w->to[n], sizeof(w->to[n]), "%s@example.org", local);
        struct outbox_attempt a = {
            .profile = 1,
            .decision = n,
            .attempt = 1,
            .lane = OUTBOX_AT_MOST_ONCE,
            .deadline_ms = now_ms + MINUTE_MS,
        };
        outbox_take(w->outbox, &a, now_ms);
    }
    while (outbox_held(w->outbox) > 0) {
        now_ms = os_clock_monotonic_ns() / 1000000;
        obey(w, now_ms);
        int64_t wake_ms = outbox_wake_ms(w->outbox);
        struct landed landed;
        int64_t wait_ms = wake_ms == FOREVER_MS ? 10000 : max_of(wake_ms - now_ms, (int64_t)0);
        if (os_queue_pop(w->results, &landed, 1, wait_ms) == 1)
            outbox_result(w->outbox, landed.ticket, &landed.result,
                          os_clock_monotonic_ns() / 1000000);
    }
    obey(w, now_ms);
    transport_free(w->transport, 1000);
    for (uint32_t n = 0; n < CROWD; n++) {
        char needle[80];
        snprintf(needle, sizeof(needle), " %s\n", w->to[n]);
        assert_int_equal(w->final_count[n], 1);
        enum receipt_kind wanted = n % 5 == 2   ? RECEIPT_REJECTED_ADDRESS
                                   : n % 5 == 3 ? RECEIPT_IN_DOUBT
                                                : RECEIPT_ACCEPTED;
        assert_int_equal(w->receipts[n], wanted);
        assert_int_equal(logged(needle), wanted == RECEIPT_ACCEPTED);
    }
    outbox_free(w->outbox);
    os_queue_free(w->results);
    channel_provider_free(p);
    mem_free(w);
}

struct stopped {
    atomic_int count;
    struct transmission result;
};

static void on_stopped(void *context, uint64_t ticket, uint32_t slot,
                       const struct transmission *result)
{
    struct stopped *s = context;
    (void)ticket;
    (void)slot;
    s->result = *result;
    atomic_fetch_add(&s->count, 1);
}

static void stops(void **state)
{
    (void)state;
    needs_server();
    struct channel_provider *p = provider(PLAIN, clear);
    struct stopped s = {0};
    const struct transport_options options = {.provider = p, .done = on_stopped, .context = &s};
    struct transport *t;
    struct value name = value_text(STR("Ann"));

    /* A send that ends within the grace ends by itself. */
    assert_int_equal(transport_new(&options, &t, NULL), OK);
    struct transport_job job = {.ticket = 1, .message = message_to(STR("slow@example.org"), &name)};
    transport_start(t, 0, &job);
    transport_free(t, 10000);
    assert_int_equal(atomic_load(&s.count), 1);
    expect(&s.result, TRANSMISSION_ACCEPTED);

    /* One that does not is ended, and reported for what it is. */
    assert_int_equal(transport_new(&options, &t, NULL), OK);
    job.message.to = STR("mute@example.org");
    transport_start(t, 3, &job);
    transport_free(t, 300);
    assert_int_equal(atomic_load(&s.count), 2);
    expect(&s.result, TRANSMISSION_IN_DOUBT);

    /* What cannot be rendered is reported too. */
    assert_int_equal(transport_new(&options, &t, NULL), OK);
    job.message.to = STR("not an address");
    transport_start(t, 1, &job);
    transport_free(t, 10000);
    assert_int_equal(atomic_load(&s.count), 3);
    expect(&s.result, TRANSMISSION_ABORTED);
    assert_non_null(strstr(s.result.detail, "To"));
    channel_provider_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("one connection carries mail after mail", reuses),
        TEST("TLS is used where it is demanded, and only with a trusted server", starttls),
        TEST("a server gets the password it asks for, and says when it is wrong", authentication),
        TEST("a server that is not there is unreachable", unreachable),
        TEST("each answer of a real server is understood", answers),
        TEST("a mail is in doubt when it was sent whole and no answer came, never before", doubt),
        TEST("an answer that comes too late answers nothing else", late_answer),
        TEST("a server's good-bye between two mails costs nothing", idle),
        TEST("commands go together where the server says so, and the first refusal counts",
             together),
        TEST("Python's email module reads what was written", read_back),
        TEST("a crowd of mails meets a moody server, and each is sent once", crowd),
        TEST("a stop lets sends end, then ends them and says what became of them", stops),
    };
    return cmocka_run_group_tests_name("wire/smtp", tests, setup, teardown);
}
