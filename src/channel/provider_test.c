/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/channel.h"

#include <unistd.h>

#include "test.h"

struct row {
    const char *options; /* "name=value|name=value" */
    const char *word;    /* in the fault; NULL = fine */
};

static size_t split(const char *text, struct channel_option *out)
{
    size_t count = 0;
    for (struct str rest = str_of(text); rest.len > 0; count++) {
        size_t end = str_find(rest, STR("|"), 0);
        struct str pair = str_part(rest, 0, end);
        size_t equals = str_find(pair, STR("="), 0);
        out[count] = (struct channel_option){
            str_part(pair, 0, equals), str_part(pair, equals + 1, SIZE_MAX), (uint32_t)count + 10};
        rest = end == SIZE_MAX ? STR("") : str_part(rest, end + 1, SIZE_MAX);
    }
    return count;
}

static void judge(const char *kind, enum channel channel, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct channel_option options[16];
        size_t options_count = split(rows[i].options, options);
        struct fault f = {0}, g = {0};
        struct channel_provider *p;
        enum status status = channel_provider_new(channel_kind_find(str_of(kind)), channel,
                                                  STR("test"), options, options_count, &p, &f);
        enum status check =
            channel_options_check(channel_kind_find(str_of(kind)), options, options_count, &g);
        if ((status == OK) != (rows[i].word == NULL))
            fail_msg("%s: %s", rows[i].options, status == OK ? "taken" : f.text);
        if (status != OK && strstr(f.text, rows[i].word) == NULL)
            fail_msg("%s: \"%s\" does not speak of %s", rows[i].options, f.text, rows[i].word);
        /* `wend check` says the same, but for what only secrets can tell. */
        if (strstr(rows[i].options, "${") == NULL)
            assert_int_equal(status, check);
        channel_provider_free(p);
    }
}

#define U "url=smtp://mail.example.com:587|from=hi@example.com"

static void smtp(void **state)
{
    (void)state;
    setenv("WEND_TEST_PASSWORD", "secret word", 1);
    const struct row rows[] = {
        {U, NULL},
        {"url=smtps://mail.example.com|from=Northwind <hi@example.com>|slots=20", NULL},
        {"url=smtp://[::1]:25|from=hi@example.com|security=none", NULL},
        {U "|username=u|password=${ENV:WEND_TEST_PASSWORD}|auth=login|timeout=90s", NULL},
        {"from=hi@example.com", "\"url\" is missing"},
        {"url=smtp://mail.example.com", "\"from\" is missing"},
        {U "|slots=0", "slots"},
        {U "|slots=257", "256"},
        {U "|slot=3", "did you mean \"slots\"?"},
        {U "|zebra=3", "unknown setting"},
        {U "|from=a@example.com", "twice"},
        {U "|security=requird", "did you mean \"required\"?"},
        {U "|timeout=1", "timeout"},
        {U "|timeout=1d", "10m"},
        {U "|timeout=day", "timeout"},
        {U "|password=${ENV:WEND_TEST_PASSWORD}", "username is missing"},
        {U "|username=u|password=${ENV:WEND_TEST_ABSENT}", "no variable"},
        {U "|username=u|password=plain", "does not stand in this file"},
        {U "|username=u|security=none|password=${ENV:WEND_TEST_PASSWORD}", "unencrypted"},
        {"url=smtp://127.0.0.1|from=hi@example.com|username=u|security=none|"
         "password=${ENV:WEND_TEST_PASSWORD}",
         NULL},
        {"url=http://mail.example.com|from=hi@example.com", "smtp://"},
        {"url=smtp://u:p@mail.example.com|from=hi@example.com", "does not belong"},
        {"url=smtp://mail.example.com/x|from=hi@example.com", "helo"},
        {"url=smtp://mail.example.com?x|from=hi@example.com", "helo"},
        {"url=mail.example.com:x|from=hi@example.com", "url"},
        {U "|helo=a b", "helo"},
        {U "|helo=mx1.example.com", NULL},
        {"url=smtp://mail.example.com|from=hi", "from"},
        {U "|reply_to=Help <help@example>", "reply_to"},
    };
    judge("smtp", CHANNEL_EMAIL, rows, array_count(rows));
    struct channel_provider *p;
    struct fault f = {0};
    struct channel_option options[2];
    split(U, options);
    assert_int_equal(channel_provider_new(channel_kind_find(STR("smtp")), CHANNEL_SMS, STR("x"),
                                          options, 2, &p, &f),
                     FIX_INPUT);
    assert_non_null(strstr(f.text, "does not carry sms"));
    assert_int_equal(channel_provider_new(channel_kind_find(STR("smtp")), CHANNEL_EMAIL, STR("x"),
                                          options, 2, &p, &f),
                     OK);
    assert_int_equal(channel_provider_slots(p), 4);
    assert_int_equal(channel_provider_integer(p, "timeout"), MINUTE_MS);
    assert_true(str_is(channel_provider_text(p, "security"), "required"));
    assert_true(str_is(channel_provider_name(p), "x"));
    channel_provider_free(p);
}

#define W "secret=${ENV:WEND_TEST_SECRET}|url="

static void webhook(void **state)
{
    (void)state;
    setenv("WEND_TEST_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1);
    setenv("WEND_TEST_BAD", "abc", 1);
    const struct row rows[] = {
        {W "https://hooks.example.com/in?x=1", NULL},
        {W "http://hooks.example.com", NULL},
        {W "ftp://hooks.example.com", "https://"},
        {W "https://hooks.example.com:8443", "port"},
        {W "https://hooks.example.com:8443|allow_ports=8443", NULL},
        {W "https://10.1.2.3/", "a private network"},
        {W "https://10.1.2.3/|allow_addresses=10.1.0.0/16", NULL},
        {W "https://10.2.2.3/|allow_addresses=10.1.0.0/16", "a private network"},
        {W "https://metadata.google.internal/", "this machine or network"},
        {W "https://hooks.example.com|allow_addresses=10.0.0.1/8", "allow_addresses"},
        {W "https://hooks.example.com|allow_ports=x", "allow_ports"},
        {"url=https://hooks.example.com", "\"secret\" is missing"},
        {"url=https://hooks.example.com|secret=${ENV:WEND_TEST_BAD}", "whsec_"},
        {"url=https://hooks.example.com|secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
         "does not stand"},
    };
    judge("webhook", CHANNEL_WEBHOOK, rows, array_count(rows));
}

/* What `wend check` says of a file whose secrets are not here. */
static void without_secrets(void **state)
{
    (void)state;
    struct channel_option options[8];
    struct fault f = {0};
    size_t count = split(U "|username=u|password=${ENV:NOT_HERE}", options);
    assert_int_equal(channel_options_check(channel_kind_find(STR("smtp")), options, count, &f), OK);
    count = split("secret=${FILE:/not/here}|url=${ENV:NOT_HERE}", options);
    assert_int_equal(channel_options_check(channel_kind_find(STR("webhook")), options, count, &f),
                     OK);
    count = split(U "|username=u|password=${ENV:NOT_HERE}|security=non", options);
    assert_int_equal(channel_options_check(channel_kind_find(STR("smtp")), options, count, &f),
                     FIX_INPUT);
    assert_int_equal(f.line, 14);
}

static void secret_file(void **state)
{
    (void)state;
    char path[64], reference[80];
    int fd = mkstemp(test_path(path, sizeof(path), "secret"));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 39), 39);
    close(fd);
    snprintf(reference, sizeof(reference), "${FILE:%s}", path);
    const struct channel_option options[] = {
        {STR("url"), STR("https://hooks.example.com/"), 0},
        {STR("secret"), str_of(reference), 0},
    };
    struct channel_provider *p;
    struct fault f = {0};
    assert_int_equal(channel_provider_new(channel_kind_find(STR("webhook")), CHANNEL_WEBHOOK,
                                          STR("x"), options, 2, &p, &f),
                     OK);
    channel_provider_free(p);
    unlink(path);
    assert_int_equal(channel_provider_new(channel_kind_find(STR("webhook")), CHANNEL_WEBHOOK,
                                          STR("x"), options, 2, &p, &f),
                     GIVE_UP);
    assert_non_null(strstr(f.text, "secret: "));
}

static void kinds(void **state)
{
    (void)state;
    size_t count;
    const struct channel_kind *const *list = channel_kinds(&count);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(channel_kind_find(str_of(list[i]->name)), list[i]);
        for (const struct channel_setting *s = list[i]->settings; s->name; s++)
            assert_true(s->doc != NULL && strlen(s->doc) > 0);
    }
    assert_null(channel_kind_find(STR("pigeon")));
    assert_true(channel_kind_find(STR("webhook"))->is_idempotent);
    assert_false(channel_kind_find(STR("smtp"))->is_idempotent);
}

/* The page must have just these bytes; WEND_UPDATE=1 writes it instead. */
static void reference(void **state)
{
    (void)state;
    static const char path[] = "docs/reference/providers.md";
    static char found[65536];
    struct buf wanted;
    buf_init(&wanted);
    channel_reference(&wanted);
    if (getenv("WEND_UPDATE")) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(wanted.at, 1, wanted.len, out), wanted.len);
        fclose(out);
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot open %s: tests run at the repository's root", path);
    size_t bytes = fread(found, 1, sizeof(found), file);
    fclose(file);
    if (!str_equal((struct str){found, bytes}, buf_str(&wanted)))
        fail_msg("%s is stale: run this test with WEND_UPDATE=1", path);
    buf_fini(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("an SMTP server's settings are read, and each mistake is named", smtp),
        TEST("a webhook's settings are read, and inner networks refused", webhook),
        TEST("a file is checked where its secrets are not", without_secrets),
        TEST("a secret is read from its file", secret_file),
        TEST("kinds of providers are found by name", kinds),
        TEST("the page about providers says what the tables say", reference),
    };
    return cmocka_run_group_tests_name("channel/provider", tests, NULL, NULL);
}
