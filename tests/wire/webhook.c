/* webhook.c - signed webhooks to a receiver that checks them by its own code, and the guard before it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buf.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "liquid/liquid.h"
#include "os/clock.h"
#include "peer.h"
#include "json/json.h"

#define PYTHON "/usr/bin/python3"
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static struct {
    struct peer server;
    char folder[200];
    uint16_t port;
    struct arena plan;
    struct channel_template *message; /* fields: person.name, event.value */
} * world;

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    setenv("WEND_TEST_SECRET", SECRET, 1);
    setenv("WEND_TEST_SECRETS", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA " SECRET, 1);
    setenv("WEND_TEST_OTHER", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 1);
    channel_global_init();
    world = mem_new(sizeof(*world));
    peer_folder(world->folder, sizeof(world->folder));
    const char *const serve[] = {
        PYTHON, "tests/wire/webhook/server.py", "--dir", world->folder, "--secret", SECRET, NULL};
    peer_start(&world->server, serve);
    char line[100];
    if (!str_starts(peer_line(&world->server, line, sizeof(line)), STR("port ")))
        return -1;
    world->port = (uint16_t)strtol(line + 5, NULL, 10);
    arena_init(&world->plan, 4096);
    const struct channel_source json = {
        .name = STR("json"),
        .text = STR("{\"name\": \"{{ person.name }}\", \"value\": {{ event.value }}}"),
        .file = STR("webhook.json.liquid"),
    };
    struct fault f = {0};
    return channel_compile(CHANNEL_WEBHOOK, &json, 1, NULL, 0, &world->plan, &world->message, &f) ==
                   OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    peer_stop(&world->server);
    peer_folder_drop(world->folder);
    arena_fini(&world->plan);
    mem_free(world);
    channel_global_fini();
    return 0;
}

struct target {
    const char *host; /* NULL = 127.0.0.1 */
    const char *path;
    const char *secret; /* NULL = the right one */
    const char *allow;  /* NULL = this machine */
    const char *timeout;
};

static enum status provider_at(const struct target *t, struct channel_provider **out,
                               struct fault *f)
{
    char url[200], port[10];
    snprintf(port, sizeof(port), "%u", world->port);
    snprintf(url, sizeof(url), "http://%s:%s%s", t->host ? t->host : "127.0.0.1", port, t->path);
    const struct channel_option options[] = {
        {STR("url"), str_of(url), 0},
        {STR("secret"), t->secret ? str_of(t->secret) : STR("${ENV:WEND_TEST_SECRET}"), 0},
        {STR("allow_ports"), str_of(port), 0},
        {STR("timeout"), t->timeout ? str_of(t->timeout) : STR("10s"), 0},
        {STR("allow_addresses"), t->allow ? str_of(t->allow) : STR("127.0.0.1"), 0},
    };
    return channel_provider_new(channel_kind_find(STR("webhook")), CHANNEL_WEBHOOK, STR("test"),
                                options, array_count(options), out, f);
}

static struct transmission post(struct channel_connection *c, const struct channel_provider *p,
                                struct str id, struct value name)
{
    const struct value fields[] = {name, value_double(12.5)};
    const struct channel_message m = {
        .message = world->message,
        .id = id,
        .fields = fields,
        .field_count = array_count(fields),
    };
    struct channel_payload payload;
    channel_payload_init(&payload);
    struct fault f = {0};
    if (channel_render(p, &m, &payload, &f) != OK)
        fail_msg("%s", f.text);
    struct transmission t;
    channel_send(c, &payload, os_clock_utc_ms(), &t);
    channel_payload_fini(&payload);
    return t;
}

static struct transmission post_to(const struct target *target)
{
    struct channel_provider *p = NULL;
    struct fault f = {0};
    if (provider_at(target, &p, &f) != OK)
        fail_msg("%s", f.text);
    struct channel_connection *c = channel_connection_new(p);
    struct transmission t = post(c, p, STR("1f-02-1"), value_text(STR("Ann")));
    channel_connection_free(c);
    channel_provider_free(p);
    return t;
}

static void expect(const struct transmission *t, enum transmission_outcome outcome)
{
    if (t->outcome != outcome)
        fail_msg("%s (%d, %s), not %s", transmission_name(t->outcome), t->code, t->detail,
                 transmission_name(outcome));
}

/* The receiver's log; forgotten afterwards. */
static void take_log(struct buf *out)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/log", world->folder);
    FILE *file = fopen(path, "r");
    out->len = 0;
    for (int c; file != NULL && (c = fgetc(file)) != EOF;)
        buf_add_byte(out, (uint8_t)c);
    if (file != NULL)
        fclose(file);
    unlink(path);
}

static size_t count(struct str text, const char *needle)
{
    size_t n = 0;
    for (size_t at = 0; (at = str_find(text, str_of(needle), at)) != SIZE_MAX; at++)
        n++;
    return n;
}

static void signs(void **state)
{
    (void)state;
    struct buf log;
    buf_init(&log);
    take_log(&log);
    struct channel_provider *p = NULL;
    assert_int_equal(provider_at(&(struct target){.path = "/ok"}, &p, NULL), OK);
    struct channel_connection *c = channel_connection_new(p);
    for (int i = 0; i < 3; i++) { /* the same id each time: a retry */
        struct transmission t =
            post(c, p, STR("1f-01-1"), value_text(STR("\"Ann\", \xe4\xb8\xad\n")));
        expect(&t, TRANSMISSION_ACCEPTED);
        assert_int_equal(t.code, 200);
        assert_int_equal(t.is_fresh, i == 0);
    }
    channel_connection_free(c);
    channel_provider_free(p);
    take_log(&log);
    assert_int_equal(count(buf_str(&log), "\"signed\": true"), 3);
    assert_int_equal(count(buf_str(&log), "\"id\": \"1f-01-1\""), 3);
    assert_int_equal(count(buf_str(&log), "\"type\": \"application/json\""), 3);
    assert_int_equal(count(buf_str(&log), "\\\"value\\\": 12.5"), 3);

    /* Two secrets while one replaces the other; and a wrong one is noticed. */
    struct transmission t =
        post_to(&(struct target){.path = "/ok", .secret = "${ENV:WEND_TEST_SECRETS}"});
    expect(&t, TRANSMISSION_ACCEPTED);
    take_log(&log);
    assert_int_equal(count(buf_str(&log), "\"signed\": true"), 1);
    t = post_to(&(struct target){.path = "/ok", .secret = "${ENV:WEND_TEST_OTHER}"});
    expect(&t, TRANSMISSION_ACCEPTED);
    take_log(&log);
    assert_int_equal(count(buf_str(&log), "\"signed\": false"), 1);
    buf_fini(&log);
}

static void answers(void **state)
{
    (void)state;
    const struct {
        struct target target;
        enum transmission_outcome outcome;
        int32_t code;
        int64_t retry_after_ms;
    } rows[] = {
        {{.path = "/status/204"}, TRANSMISSION_ACCEPTED, 204, 0},
        {{.path = "/redirect"}, TRANSMISSION_SOFT, 302, 0},
        {{.path = "/status/400"}, TRANSMISSION_BAD_MESSAGE, 400, 0},
        {{.path = "/status/401"}, TRANSMISSION_NO_ACCESS, 401, 0},
        {{.path = "/status/403"}, TRANSMISSION_NO_ACCESS, 403, 0},
        {{.path = "/status/404"}, TRANSMISSION_SOFT, 404, 0},
        {{.path = "/status/410"}, TRANSMISSION_GONE, 410, 0},
        {{.path = "/status/413"}, TRANSMISSION_BAD_MESSAGE, 413, 0},
        {{.path = "/status/429?retry=7"}, TRANSMISSION_SLOW_DOWN, 429, 7000},
        {{.path = "/status/500"}, TRANSMISSION_SOFT, 500, 0},
        {{.path = "/status/502"}, TRANSMISSION_SLOW_DOWN, 502, 0},
        {{.path = "/status/503?retry=999999999"}, TRANSMISSION_SLOW_DOWN, 503, DAY_MS},
        {{.path = "/status/504"}, TRANSMISSION_SLOW_DOWN, 504, 0},
        {{.path = "/big"}, TRANSMISSION_ACCEPTED, 200, 0},
        {{.path = "/lost"}, TRANSMISSION_IN_DOUBT, 0, 0},
        {{.path = "/slow", .timeout = "200ms"}, TRANSMISSION_IN_DOUBT, 0, 0},
        {{.path = "/slow"}, TRANSMISSION_ACCEPTED, 200, 0},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        struct transmission t = post_to(&rows[i].target);
        expect(&t, rows[i].outcome);
        assert_int_equal(t.code, rows[i].code);
        assert_int_equal(t.retry_after_ms, rows[i].retry_after_ms);
    }
    struct buf log;
    buf_init(&log);
    take_log(&log);
    assert_int_equal(count(buf_str(&log), "\"path\": \"/redirect\""), 1);
    assert_int_equal(count(buf_str(&log), "\"path\": \"/ok\""), 0); /* nobody followed it */
    buf_fini(&log);
}

static void guard(void **state)
{
    (void)state;
    struct buf log;
    buf_init(&log);
    take_log(&log);
    /* Refused when the file is read: what a URL says about itself. */
    const char *const hosts[] = {"127.0.0.1",  "localhost", "[::1]", "0.0.0.0",
                                 "2130706433", "0x7f.1",    "127.1", "[::ffff:127.0.0.1]"};
    for (size_t i = 0; i < array_count(hosts); i++) {
        struct channel_provider *p = NULL;
        struct fault f = {0};
        assert_int_equal(
            provider_at(&(struct target){.host = hosts[i], .path = "/ok", .allow = ""}, &p, &f),
            FIX_INPUT);
        assert_non_null(strstr(f.text, "not connected to"));
    }
    /* Refused at the socket: where a name leads in the end. With some block allowed, names pass the
     * first check, and this one leads to this machine, which is not in that block. */
    struct transmission t =
        post_to(&(struct target){.host = "localhost", .path = "/ok", .allow = "10.9.9.9"});
    expect(&t, TRANSMISSION_NO_ACCESS);
    assert_non_null(strstr(t.detail, "this machine"));
    take_log(&log);
    assert_int_equal(log.len, 0);
    t = post_to(&(struct target){.host = "localhost", .path = "/ok"});
    expect(&t, TRANSMISSION_ACCEPTED);
    buf_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a receiver's own code finds the signature right, and the id the same", signs),
        TEST("each answer means what the table says", answers),
        TEST("nothing inside the network is reached, whatever the URL looks like", guard),
    };
    return cmocka_run_group_tests_name("wire/webhook", tests, setup, teardown);
}
