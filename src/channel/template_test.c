/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/channel.h"

#include "liquid/liquid.h"
#include "test.h"
#include "json/json.h"

#define AT_MS INT64_C(1772452800000) /* 2026-03-02T12:00:00Z */

struct bench {
    struct arena plan;
    struct channel_template *t;
    struct fault f;
};

static int setup(void **state)
{
    static struct bench bench;
    bench = (struct bench){0};
    arena_init(&bench.plan, 4096);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    arena_fini(&b->plan);
    return 0;
}

static enum status compile(struct bench *b, enum channel channel,
                           const struct channel_source *sources, size_t count)
{
    b->f = (struct fault){0};
    return channel_compile(channel, sources, count, NULL, 0, &b->plan, &b->t, &b->f);
}

static void complains(struct bench *b, const char *text)
{
    char sentence[1200];
    fault_print(&b->f, sentence, sizeof(sentence));
    if (strstr(sentence, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, sentence);
}

static struct channel_provider *provider(const char *kind, enum channel channel)
{
    const struct channel_option smtp[] = {
        {STR("url"), STR("smtp://127.0.0.1:25"), 0},
        {STR("from"), STR("Northwind <hello@example.com>"), 0},
        {STR("reply_to"), STR("help@example.com"), 0},
        {STR("return_path"), STR("bounces@example.com"), 0},
    };
    setenv("WEND_TEST_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1);
    const struct channel_option webhook[] = {
        {STR("url"), STR("https://hooks.example.com/in"), 0},
        {STR("secret"), STR("${ENV:WEND_TEST_SECRET}"), 0},
    };
    struct channel_provider *p;
    struct fault f = {0};
    bool is_smtp = strcmp(kind, "smtp") == 0;
    if (channel_provider_new(channel_kind_find(str_of(kind)), channel, STR("test"),
                             is_smtp ? smtp : webhook,
                             is_smtp ? array_count(smtp) : array_count(webhook), &p, &f) != OK)
        fail_msg("%s", f.text);
    return p;
}

/* --- compiling --- */

static void fields(void **state)
{
    struct bench *b = *state;
    const struct channel_source sources[] = {
        {.name = STR("subject"),
         .text = STR("{{ person.name }}: {{ event.items.size }}"),
         .file = STR("message.yaml"),
         .line = 7},
        {.name = STR("html"),
         .text = STR("{{ person.name }}\n  {{ person.plan }}{% assign x = 1 %}{{ x }}"),
         .file = STR("email.html.liquid")},
    };
    assert_int_equal(compile(b, CHANNEL_EMAIL, sources, 2), OK);
    size_t count;
    const struct channel_field *list = channel_template_fields(b->t, &count);
    const char *const paths[] = {"person.name", "event.items.size", "person.plan"};
    const char *const files[] = {"message.yaml", "message.yaml", "email.html.liquid"};
    const uint32_t lines[] = {7, 7, 2};
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].is_maybe_local)
            continue;
        assert_true(found < array_count(paths));
        assert_true(str_is(list[i].path, paths[found]) ||
                    str_starts(str_of(paths[found]), list[i].path));
        assert_true(str_is(list[i].file, files[found]));
        assert_int_equal(list[i].line, lines[found]);
        found++;
    }
    assert_int_equal(found, array_count(paths));
    assert_true(channel_template_has(b->t, "html"));
    assert_false(channel_template_has(b->t, "text"));
    assert_int_equal(channel_template_channel(b->t), CHANNEL_EMAIL);
}

static void mistakes(void **state)
{
    struct bench *b = *state;
    struct channel_source s[3] = {
        {.name = STR("subject"), .text = STR("Hi"), .file = STR("message.yaml"), .line = 3},
        {.name = STR("html"), .text = STR("a\n{{ x | upcas }}"), .file = STR("email.html.liquid")},
        {.name = STR("html"), .text = STR("b"), .file = STR("twice.liquid")},
    };
    assert_int_equal(compile(b, CHANNEL_EMAIL, s, 2), FIX_INPUT);
    complains(b, "email.html.liquid:2:");
    complains(b, "upcase");
    s[1].text = STR("b");
    assert_int_equal(compile(b, CHANNEL_EMAIL, s, 3), FIX_INPUT);
    complains(b, "twice");
    assert_int_equal(compile(b, CHANNEL_EMAIL, s, 1), FIX_INPUT);
    complains(b, "email.html.liquid or email.txt.liquid");
    assert_int_equal(compile(b, CHANNEL_EMAIL, &s[1], 1), FIX_INPUT);
    complains(b, "subject");
    s[0].name = STR("subjekt");
    assert_int_equal(compile(b, CHANNEL_EMAIL, s, 2), FIX_INPUT);
    complains(b, "did you mean \"subject\"?");
    complains(b, "message.yaml:3:");
    s[0].name = STR("subject");
    s[0].text = STR("{% if %}");
    assert_int_equal(compile(b, CHANNEL_EMAIL, s, 2), FIX_INPUT);
    complains(b, "message.yaml:3:");
    s[0].text = STR("{{ [name] }}");
    assert_int_equal(compile(b, CHANNEL_EMAIL, s, 2), FIX_INPUT);
    complains(b, "computed");
    assert_int_equal(compile(b, CHANNEL_WEBHOOK, s, 0), FIX_INPUT);
    complains(b, "webhook.json.liquid");
}

/* --- rendering --- */

static struct channel_message message(const struct bench *b, const struct value *values,
                                      size_t count)
{
    return (struct channel_message){
        .message = b->t,
        .id = STR("1f-02-1"),
        .to = STR("ann@example.org"),
        .to_name = STR("Ann Lee"),
        .fields = values,
        .field_count = count,
        .at_ms = AT_MS,
    };
}

static bool has(const struct channel_payload *payload, const char *text)
{
    return str_find(buf_str(&payload->bytes), str_of(text), 0) != SIZE_MAX;
}

static void mail(void **state)
{
    struct bench *b = *state;
    const struct channel_source sources[] = {
        {.name = STR("subject"), .text = STR("For {{ person.name }}\n")},
        {.name = STR("html"), .text = STR("<p>{{ person.name }}, {{ 'now' | date: '%Y' }}</p>")},
    };
    assert_int_equal(compile(b, CHANNEL_EMAIL, sources, 2), OK);
    struct channel_provider *p = provider("smtp", CHANNEL_EMAIL);
    struct channel_payload payload;
    channel_payload_init(&payload);
    struct value name = value_text(STR("<Ann> & Co"));
    struct channel_message m = message(b, &name, 1);
    m.unsubscribe_url = STR("https://example.com/u/1");
    for (int i = 0; i < 2; i++) { /* the same bytes each time */
        assert_int_equal(channel_render(p, &m, &payload, &b->f), OK);
        assert_true(has(&payload, "\r\nSubject: For <Ann> & Co\r\n"));
        assert_true(has(&payload, "From: \"Northwind\" <hello@example.com>\r\n"));
        assert_true(has(&payload, "To: \"Ann Lee\" <ann@example.org>\r\n"));
        assert_true(has(&payload, "Reply-To: help@example.com\r\n"));
        assert_true(has(&payload, "Message-ID: <1f-02-1@example.com>\r\n"));
        assert_true(has(&payload, "List-Unsubscribe: <https://example.com/u/1>\r\n"));
        assert_true(has(&payload, "<p>&lt;Ann&gt; &amp; Co, 2026</p>\r\n"));
        assert_true(has(&payload, "\r\n\r\n<Ann> & Co, 2026\r\n")); /* text made from the HTML */
        assert_true(str_is(payload.to, "ann@example.org"));
        assert_true(str_is(payload.from, "bounces@example.com"));
        assert_true(str_is(payload.subject, "For <Ann> & Co"));
    }
    /* A name that would be a header. */
    name = value_text(STR("Ann\r\nBcc: all@example.org"));
    b->f = (struct fault){0};
    assert_int_equal(channel_render(p, &m, &payload, &b->f), FIX_INPUT);
    complains(b, "subject: ");
    channel_payload_fini(&payload);
    channel_provider_free(p);
}

static void aborts(void **state)
{
    struct bench *b = *state;
    const struct channel_source sources[] = {
        {.name = STR("subject"), .text = STR("Hi")},
        {.name = STR("text"),
         .text = STR("{% if x == nil %}{% abort \"no x\" %}{% endif %}{{ x }}")},
        {.name = STR("from"), .text = STR("{{ x }} <{{ x }}@example.com>")},
    };
    assert_int_equal(compile(b, CHANNEL_EMAIL, sources, 3), OK);
    struct channel_provider *p = provider("smtp", CHANNEL_EMAIL);
    struct channel_payload payload;
    channel_payload_init(&payload);
    struct value x = value_text(STR("ann"));
    struct channel_message m = message(b, &x, 1);
    assert_int_equal(channel_render(p, &m, &payload, &b->f), OK);
    assert_true(has(&payload, "From: \"ann\" <ann@example.com>\r\n"));
    x = value_none();
    assert_int_equal(channel_render(p, &m, &payload, &b->f), FIX_INPUT);
    assert_string_equal(b->f.text, "no x");
    x = value_text(STR("a b"));
    b->f = (struct fault){0};
    assert_int_equal(channel_render(p, &m, &payload, &b->f), FIX_INPUT);
    complains(b, "from: ");
    x = value_text(STR("ann"));
    m.to = STR("ann");
    b->f = (struct fault){0};
    assert_int_equal(channel_render(p, &m, &payload, &b->f), FIX_INPUT);
    complains(b, "To: the address has no @");
    channel_payload_fini(&payload);
    channel_provider_free(p);
}

/* The channels of one message share one array of values, of which each reads its own. */
static void binds(void **state)
{
    struct bench *b = *state;
    const struct channel_source json = {
        .name = STR("json"),
        .text = STR(" {\"a\": \"{{ a }}\", \"b\": {{ b | json }}, \"c\": \"{{ c }}\"} \n"),
    };
    assert_int_equal(compile(b, CHANNEL_WEBHOOK, &json, 1), OK);
    size_t count;
    const struct channel_field *list = channel_template_fields(b->t, &count);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        if (str_is(list[i].path, "a"))
            channel_template_bind(b->t, i, 4);
        if (str_is(list[i].path, "b"))
            channel_template_bind(b->t, i, 0);
        if (str_is(list[i].path, "c"))
            channel_template_bind(b->t, i, CHANNEL_FIELD_ABSENT);
    }
    struct value values[5] = {value_int(7)};
    values[4] = value_text(STR("\", \"admin\": \"1"));
    struct channel_message m = message(b, values, array_count(values));
    struct channel_provider *p = provider("webhook", CHANNEL_WEBHOOK);
    struct channel_payload payload;
    channel_payload_init(&payload);
    assert_int_equal(channel_render(p, &m, &payload, &b->f), OK);
    assert_true(str_is(buf_str(&payload.bytes),
                       "{\"a\": \"\\\", \\\"admin\\\": \\\"1\", \"b\": 7, \"c\": \"\"}"));
    channel_payload_fini(&payload);
    channel_provider_free(p);
}

static void not_json(void **state)
{
    struct bench *b = *state;
    const struct channel_source json = {.name = STR("json"), .text = STR("{\"a\": {{ a }}}")};
    assert_int_equal(compile(b, CHANNEL_WEBHOOK, &json, 1), OK);
    struct channel_provider *p = provider("webhook", CHANNEL_WEBHOOK);
    struct channel_payload payload;
    channel_payload_init(&payload);
    struct value a = value_none();
    struct channel_message m = message(b, &a, 1);
    assert_int_equal(channel_render(p, &m, &payload, &b->f), FIX_INPUT);
    complains(b, "is not JSON");
    a = value_int(1);
    assert_int_equal(channel_render(p, &m, &payload, &b->f), OK);
    m.id = STR("1.2");
    b->f = (struct fault){0};
    assert_int_equal(channel_render(p, &m, &payload, &b->f), FIX_INPUT);
    channel_payload_fini(&payload);
    channel_provider_free(p);
}

static void envelope(void **state)
{
    struct bench *b = *state;
    const struct channel_source sms = {.name = STR("text"), .text = STR("Hi \"{{ name }}\"")};
    assert_int_equal(compile(b, CHANNEL_SMS, &sms, 1), OK);
    struct channel_provider *p = provider("webhook", CHANNEL_SMS);
    struct channel_payload payload;
    channel_payload_init(&payload);
    struct value name = value_text(STR("Ann"));
    struct channel_message m = message(b, &name, 1);
    m.to = STR("+491701234567");
    assert_int_equal(channel_render(p, &m, &payload, &b->f), OK);
    assert_true(str_is(buf_str(&payload.bytes),
                       "{\"id\":\"1f-02-1\",\"channel\":\"sms\",\"to\":\"+491701234567\","
                       "\"text\":\"Hi \\\"Ann\\\"\"}"));
    channel_payload_fini(&payload);
    channel_provider_free(p);
}

#define BENCHED(sentence, function)               \
    {                                             \
        sentence, function, setup, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCHED("a message knows what it reads, and where", fields),
        BENCHED("a mistake in a message is named with its file and line", mistakes),
        BENCHED("a mail is rendered whole, the same each time", mail),
        BENCHED("a template may refuse to be sent, and what is no mail is not", aborts),
        BENCHED("a template finds its values where the plan put them", binds),
        BENCHED("a webhook's body is JSON or is not sent", not_json),
        BENCHED("a webhook carries other channels too", envelope),
    };
    return cmocka_run_group_tests_name("channel/template", tests, NULL, NULL);
}
