/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/ingest.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "ingest/describe.h"
#include "model/names.h"
#include "test.h"
#include "when/civil.h"
#include "json/json.h"

#define ARRIVAL INT64_C(1795290820000) /* 2026-11-21T19:53:40Z */

struct world {
    struct vocabulary *vocabulary;
    struct ingest *ingest;
    struct ingest_worker *worker;
    struct ingest_batch batch;
    struct arena arena;
    struct buf text;
    enum ingest_error error;
};

static const uint8_t secret[IDENTIFIER_SECRET_BYTES] = {7, 1, 9, 2, 8};

static int setup_with(void **state, uint32_t names_max)
{
    struct world *w = test_calloc(1, sizeof(*w));
    struct ingest_key keys[] = {
        {STR("wk_test"), STR("web"), 0},
        {STR("wk_other"), STR("app"), INGEST_KEY_BATCH},
        {STR("sk_server"), STR("shop"), INGEST_KEY_SERVER},
    };
    w->vocabulary = vocabulary_new(names_max);
    w->ingest = ingest_new(&(struct ingest_options){.vocabulary = w->vocabulary, .secret = secret});
    ingest_declare_public(w->ingest, STR("currency"));
    assert_int_equal(ingest_set_keys(w->ingest, keys, array_count(keys), NULL), OK);
    w->worker = ingest_worker_new(w->ingest);
    ingest_batch_init(&w->batch);
    arena_init(&w->arena, 65536);
    buf_init(&w->text);
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, VOCABULARY_PER_SOURCE_MAX);
}

static int setup_few_names(void **state)
{
    return setup_with(state, 4);
}

static int teardown(void **state)
{
    struct world *w = *state;
    buf_fini(&w->text);
    arena_fini(&w->arena);
    ingest_batch_fini(&w->batch);
    ingest_worker_free(w->worker);
    ingest_free(w->ingest);
    vocabulary_free(w->vocabulary);
    test_free(w);
    return 0;
}

static enum ingest_error parse(struct world *w, enum ingest_route route, struct str key,
                               struct str body)
{
    struct ingest_request request = {
        .route = route,
        .body = body,
        .has_auth_key = key.len != 0,
        .auth_key = key,
        .arrival_ms = ARRIVAL,
    };
    w->error = ingest_parse(w->worker, &request, &w->batch);
    for (uint32_t i = 0; i < w->batch.record_count; i++) {
        assert_true(body_check(w->batch.records[i].clear));
        assert_true(body_check(w->batch.records[i].personal));
    }
    return w->error;
}

/* One track event that is given by its members, e.g. "\"userId\":\"u\"". */
static enum ingest_error track(struct world *w, const char *members)
{
    w->text.len = 0;
    buf_printf(&w->text, "{\"event\":\"E\",%s}", members);
    return parse(w, INGEST_TRACK, STR("wk_test"), buf_str(&w->text));
}

/* The record as JSON, a parsed copy of which is easy to ask about. */
static struct str describe(struct world *w, uint32_t index)
{
    struct json_writer writer;
    must(index < w->batch.record_count);
    w->text.len = 0;
    json_write_init(&writer, &w->text, JSON_COMPACT);
    record_describe(&w->batch.records[index], w->vocabulary, &w->arena, &writer);
    return buf_str(&w->text);
}

static struct value field(struct world *w, uint32_t index, const char *name)
{
    must(index < w->batch.record_count);
    return record_get(&w->batch.records[index], vocabulary_find(w->vocabulary, str_of(name)),
                      &w->arena);
}

static bool has_text(struct world *w, uint32_t index, const char *name, const char *text)
{
    struct value x = field(w, index, name);
    return x.type == VALUE_TEXT && str_is(x.text, text);
}

static bool is_clear(struct world *w, uint32_t index, const char *name)
{
    struct body_field found;
    uint32_t number = vocabulary_find(w->vocabulary, str_of(name));
    return body_find(w->batch.records[index].clear, number, &found);
}

static bool is_personal(struct world *w, uint32_t index, const char *name)
{
    struct body_field found;
    uint32_t number = vocabulary_find(w->vocabulary, str_of(name));
    return body_find(w->batch.records[index].personal, number, &found);
}

/* --- What clients really send ------------------------------------------------------------------ */

/* Splits a captured request, unzips its body; false for a GET. */
static bool load_capture(const char *path, struct buf *raw, struct str *target, struct str *auth,
                         struct buf *body)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    raw->len = 0;
    for (;;) {
        size_t got = fread(buf_reserve(raw, 4096), 1, 4096, file);
        raw->len += got;
        if (got == 0)
            break;
    }
    fclose(file);
    struct str all = buf_str(raw);
    size_t end = str_find(all, STR("\r\n\r\n"), 0);
    assert_true(end != SIZE_MAX);
    struct str head = str_part(all, 0, end);
    struct str rest = str_part(all, end + 4, SIZE_MAX);
    size_t blank = str_find(head, STR(" "), 0);
    size_t second = str_find(head, STR(" "), blank + 1);
    *target = str_part(head, blank + 1, second - blank - 1);
    *auth = str_find(head, STR("Authorization: Basic d2tfdGVzdDo=\r\n"), 0) != SIZE_MAX
                ? STR("wk_test")
                : STR("");
    body->len = 0;
    if (str_find(head, STR("Content-Encoding: gzip"), 0) != SIZE_MAX) {
        z_stream z = {0};
        assert_int_equal(inflateInit2(&z, 31), Z_OK);
        z.next_in = (Bytef *)(uintptr_t)rest.at;
        z.avail_in = (uInt)rest.len;
        z.next_out = buf_reserve(body, 1 << 20);
        z.avail_out = 1 << 20;
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        body->len = z.total_out;
        inflateEnd(&z);
    } else {
        buf_add_str(body, rest);
    }
    return str_starts(head, STR("POST "));
}

static enum ingest_route route_of(struct str target)
{
    static const struct {
        const char *path;
        enum ingest_route route;
    } routes[] = {
        {"/v1/batch", INGEST_BATCH}, {"/v1/b", INGEST_BATCH},    {"/v1/import", INGEST_BATCH},
        {"/v1/t", INGEST_TRACK},     {"/v1/i", INGEST_IDENTIFY}, {"/v1/p", INGEST_PAGE},
        {"/v1/g", INGEST_GROUP},     {"/v1/a", INGEST_ALIAS},
    };
    for (size_t i = 0; i < array_count(routes); i++)
        if (str_is(target, routes[i].path))
            return routes[i].route;
    fail_msg("no route %.*s", STR_ARG(target));
    return INGEST_BATCH;
}

/* What the drivers of the captures asked their SDKs to send. */
static void check_captured_event(struct world *w, uint32_t i, struct str path)
{
    const struct record *r = &w->batch.records[i];
    bool is_browser = str_find(path, STR("browser"), 0) != SIZE_MAX;
    bool is_php = str_find(path, STR("-php-"), 0) != SIZE_MAX;
    assert_int_equal(r->type, RECORD_EVENT);
    assert_int_equal(r->arrival_ms, ARRIVAL);
    assert_true(r->message_hash != 0);
    assert_true(r->routing_hash != 0);
    assert_true(str_is(vocabulary_text(w->vocabulary, r->source), "web"));
    /* all were made and sent within a second or two */
    assert_in_range(r->event_ms, ARRIVAL - 2000, ARRIVAL);
    assert_true(r->sent_skew_ms != 0);
    if (!(str_starts(path, STR("analytics-go")) || is_browser || is_php))
        assert_true(field(w, i, "context.library.name").type == VALUE_TEXT);
    if (is_browser) {
        assert_true(has_text(w, i, "context.page.path", "/shop"));
        assert_true(has_text(w, i, "context.campaign.name", "spring"));
        assert_true(has_text(w, i, "context.timezone", "UTC"));
        assert_true(field(w, i, "$anonymous_id").type == VALUE_TEXT);
        assert_true(id128_is_set(r->anonymous));
        assert_true(field(w, i, "context.userAgentData.brands").type == VALUE_LIST);
    }
    switch ((enum event_kind)r->kind) {
    case EVENT_TRACK:
        if (is_browser) {
            assert_true(str_is(vocabulary_text(w->vocabulary, r->name), "Product Viewed"));
            assert_true(field(w, i, "price").number == 9.5);
            assert_true(has_text(w, i, "sku", "A1"));
        } else {
            struct value total = field(w, i, "total");
            if (total.type == VALUE_NONE)
                total = field(w, i, "revenue");
            assert_true(str_is(vocabulary_text(w->vocabulary, r->name), "Order Completed"));
            assert_true(total.type == VALUE_DOUBLE && total.number == 27.5);
        }
        break;
    case EVENT_IDENTIFY: assert_true(has_text(w, i, "email", "a@example.com")); break;
    case EVENT_PAGE:
        assert_int_equal(r->name, NAME_PAGE);
        assert_true(has_text(w, i, "name", "Home"));
        break;
    case EVENT_SCREEN:
        assert_int_equal(r->name, NAME_SCREEN);
        assert_true(has_text(w, i, "name", "Main"));
        break;
    case EVENT_GROUP: assert_true(has_text(w, i, "$group_id", "g1")); break;
    case EVENT_ALIAS:
        assert_true(id128_is_set(r->previous));
        assert_true(has_text(w, i, "$previous_id", is_browser ? "u1" : "anon1"));
        break;
    case EVENT_BUSINESS:
    case EVENT_ENTER:
    case EVENT_SCHEDULE:
    case EVENT_DATE:
    case EVENT_HANDOFF:
    case EVENT_RUN: fail_msg("no client sends this"); break;
    }
    bool is_anon_screen = r->kind == EVENT_SCREEN && field(w, i, "$user_id").type == VALUE_NONE;
    if (is_anon_screen)
        assert_true(has_text(w, i, "$anonymous_id", "anon1"));
    else
        assert_true(has_text(w, i, "$user_id", "u1")); /* analytics-next too, after alias("u2") */
}

static void captures(void **state)
{
    struct world *w = *state;
    const char *folder = test_data("segment-sdk-captures");
    struct buf raw, body;
    buf_init(&raw);
    buf_init(&body);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    uint32_t file_count = 0;
    uint32_t event_count = 0;
    uint32_t kinds = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (!str_ends(str_of(entry->d_name), STR(".http")))
            continue;
        char path[2048];
        struct str target, auth;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (!load_capture(path, &raw, &target, &auth, &body))
            continue;
        enum ingest_error error = parse(w, route_of(target), auth, buf_str(&body));
        if (error != INGEST_FINE || w->batch.rejected_count != 0)
            fail_msg("%s: %s", entry->d_name, ingest_error_row(w->batch.problems[0].error)->code);
        bool is_single = route_of(target) != INGEST_BATCH;
        bool is_browser = str_find(str_of(entry->d_name), STR("browser"), 0) != SIZE_MAX;
        assert_int_equal(w->batch.record_count, is_single ? 1 : is_browser ? 5 : 6);
        for (uint32_t i = 0; i < w->batch.record_count; i++) {
            check_captured_event(w, i, str_of(entry->d_name));
            kinds |= 1u << w->batch.records[i].kind;
        }
        file_count++;
        event_count += w->batch.record_count;
    }
    closedir(dir);
    buf_fini(&raw);
    buf_fini(&body);
    assert_int_equal(file_count, 14);
    assert_int_equal(event_count, 8 * 6 + 5 + 5);
    assert_int_equal(kinds, 0x7e); /* all six */
}

/* --- Business events and entries ----------------------------------------------------------------- */

static void business(struct world *w, const char *key, const char *body, enum ingest_error expected)
{
    assert_int_equal(parse(w, INGEST_BUSINESS, str_of(key), str_of(body)), expected);
}

static void business_events(void **state)
{
    struct world *w = *state;
    static const char fine[] = "{\"event\":\"Price Dropped\",\"messageId\":\"m1\","
                               "\"properties\":{\"sku\":\"s1\",\"price\":9.5}}";
    business(w, "sk_server", fine, INGEST_FINE);
    assert_int_equal(w->batch.record_count, 1);
    const struct record *r = &w->batch.records[0];
    assert_int_equal(r->type, RECORD_EVENT);
    assert_int_equal(r->kind, EVENT_BUSINESS);
    assert_true(str_is(vocabulary_text(w->vocabulary, r->name), "Price Dropped"));
    assert_false(id128_is_set(r->user));
    assert_false(id128_is_set(r->anonymous));
    assert_true(has_text(w, 0, "sku", "s1"));
    assert_true(field(w, 0, "price").number == 9.5);
    assert_true(r->message_hash != 0);

    business(w, "wk_test", fine, INGEST_SERVER_ONLY);
    assert_int_equal(w->batch.record_count, 0);
    business(w, "sk_server", "{\"event\":\"E\",\"userId\":\"u\"}", INGEST_SOMEBODYS);
    business(w, "sk_server", "{\"event\":\"E\",\"anonymousId\":\"u\"}", INGEST_SOMEBODYS);
    business(w, "sk_server", "{\"properties\":{}}", INGEST_NO_EVENT);
    business(w, "sk_server", "{\"event\":7}", INGEST_BAD_EVENT);
    business(w, "sk_server", "{\"event\":\"$x\"}", INGEST_BAD_EVENT);
    business(w, "sk_server", "{\"batch\":{}}", INGEST_NO_BATCH);
    business(w, "sk_server", "{\"batch\":[{\"event\":\"A\"},{\"event\":\"B\"},{\"event\":\"\"}]}",
             INGEST_FINE);
    assert_int_equal(w->batch.record_count, 2);
    assert_int_equal(w->batch.rejected_count, 1);
    assert_int_equal(w->batch.records[1].kind, EVENT_BUSINESS);

    /* among others, as in a file */
    struct str mixed = STR("{\"batch\":[{\"type\":\"business\",\"event\":\"A\"},"
                           "{\"type\":\"track\",\"event\":\"A\",\"userId\":\"u\"}]}");
    assert_int_equal(parse(w, INGEST_BATCH, STR("sk_server"), mixed), INGEST_FINE);
    assert_int_equal(w->batch.record_count, 2);
    assert_int_equal(parse(w, INGEST_BATCH, STR("wk_test"), mixed), INGEST_FINE);
    assert_int_equal(w->batch.record_count, 1);
    assert_int_equal(w->batch.problems[0].error, INGEST_SERVER_ONLY);
}

static enum ingest_error enter(struct world *w, const char *key, const char *journey,
                               const char *body)
{
    struct ingest_request request = {
        .route = INGEST_ENTER,
        .journey = str_of(journey),
        .body = str_of(body),
        .has_auth_key = true,
        .auth_key = str_of(key),
        .arrival_ms = ARRIVAL,
    };
    return ingest_parse(w->worker, &request, &w->batch);
}

static void entries(void **state)
{
    struct world *w = *state;
    static const char fine[] = "{\"userId\":\"u\",\"payload\":{\"order\":\"o1\",\"amount\":9.5}}";
    assert_int_equal(enter(w, "sk_server", "claim", fine), INGEST_FINE);
    const struct record *r = &w->batch.records[0];
    assert_int_equal(r->kind, EVENT_ENTER);
    assert_true(str_is(vocabulary_text(w->vocabulary, r->name), "claim"));
    assert_true(id128_is_set(r->user));
    assert_true(has_text(w, 0, "order", "o1"));
    assert_true(field(w, 0, "amount").number == 9.5);

    assert_int_equal(enter(w, "wk_test", "claim", fine), INGEST_SERVER_ONLY);
    assert_int_equal(enter(w, "sk_server", "claim", "{\"payload\":{}}"), INGEST_NO_IDENTITY);
    assert_int_equal(enter(w, "sk_server", "claim", "{\"userId\":\"u\",\"payload\":3}"),
                     INGEST_BAD_FIELD);
    assert_int_equal(enter(w, "sk_server", "claim", "{\"batch\":[{\"userId\":\"u\"},{}]}"),
                     INGEST_FINE);
    assert_int_equal(w->batch.record_count, 1);
    assert_int_equal(w->batch.rejected_count, 1);
    /* the path's word counts, whatever the body claims */
    assert_int_equal(enter(w, "sk_server", "claim", "{\"userId\":\"u\",\"journey\":\"other\"}"),
                     INGEST_FINE);
    assert_true(str_is(vocabulary_text(w->vocabulary, w->batch.records[0].name), "claim"));

    struct str named =
        STR("{\"batch\":[{\"type\":\"enter\",\"journey\":\"claim\",\"userId\":\"u\"},"
            "{\"type\":\"enter\",\"userId\":\"u\"}]}");
    assert_int_equal(parse(w, INGEST_BATCH, STR("sk_server"), named), INGEST_FINE);
    assert_int_equal(w->batch.record_count, 1);
    assert_int_equal(w->batch.problems[0].error, INGEST_NO_JOURNEY);
}

/* --- Whose, who, what, when --------------------------------------------------------------------- */

static void write_keys(void **state)
{
    struct world *w = *state;
    struct str none = STR("");
    static const char with_body_key[] =
        "{\"batch\":[{\"type\":\"track\",\"event\":\"E\",\"userId\":\"u\"}],\"writeKey\":\"%s\"}";
    char body[512];

    snprintf(body, sizeof(body), with_body_key, "wk_other");
    assert_int_equal(parse(w, INGEST_BATCH, none, str_of(body)), INGEST_FINE);
    assert_true(str_is(vocabulary_text(w->vocabulary, w->batch.records[0].source), "app"));
    assert_int_equal(w->batch.records[0].flags, RECORD_IS_BATCH);
    /* the header's word counts, whatever the body claims */
    assert_int_equal(parse(w, INGEST_BATCH, STR("sk_server"), str_of(body)), INGEST_FINE);
    assert_true(str_is(vocabulary_text(w->vocabulary, w->batch.records[0].source), "shop"));
    assert_int_equal(w->batch.records[0].flags, RECORD_IS_SERVER);
    assert_int_equal(parse(w, INGEST_BATCH, STR("wk_tess"), str_of(body)), INGEST_UNKNOWN_KEY);
    assert_int_equal(w->batch.record_count, 0);
    snprintf(body, sizeof(body), with_body_key, "wk_tes");
    assert_int_equal(parse(w, INGEST_BATCH, none, str_of(body)), INGEST_UNKNOWN_KEY);
    snprintf(body, sizeof(body), with_body_key, "");
    assert_int_equal(parse(w, INGEST_BATCH, none, str_of(body)), INGEST_NO_KEY);

    /* per event, where the request has none */
    struct str mixed = STR("{\"batch\":["
                           "{\"type\":\"track\",\"event\":\"E\",\"userId\":\"u\","
                           "\"writeKey\":\"wk_test\"},"
                           "{\"type\":\"track\",\"event\":\"E\",\"userId\":\"u\"},"
                           "{\"type\":\"track\",\"event\":\"E\",\"userId\":\"u\","
                           "\"writeKey\":\"nope\"},"
                           "{\"type\":\"track\",\"event\":\"E\",\"userId\":\"u\","
                           "\"writeKey\":\"wk_other\"}]}");
    assert_int_equal(parse(w, INGEST_BATCH, none, mixed), INGEST_FINE);
    assert_int_equal(w->batch.record_count, 2);
    assert_int_equal(w->batch.rejected_count, 2);
    assert_int_equal(w->batch.problems[0].error, INGEST_NO_KEY);
    assert_int_equal(w->batch.problems[0].index, 1);
    assert_int_equal(w->batch.problems[1].error, INGEST_UNKNOWN_KEY);
    assert_int_equal(w->batch.problems[1].index, 2);
    assert_true(w->batch.records[0].source != w->batch.records[1].source);
    assert_int_equal(parse(w, INGEST_TRACK, none, STR("{\"event\":\"E\",\"userId\":\"u\"}")),
                     INGEST_NO_KEY);
    assert_int_equal(parse(w, INGEST_TRACK, none,
                           STR("{\"event\":\"E\",\"userId\":\"u\",\"writeKey\":\"wk_test\"}")),
                     INGEST_FINE);
}

static void keys_are_checked(void **state)
{
    struct world *w = *state;
    struct fault f = {0};
    char long_key[INGEST_KEY_MAX + 2];
    memset(long_key, 'k', sizeof(long_key));
    struct ingest_source source;
    struct ingest_key at_limit = {{long_key, INGEST_KEY_MAX}, STR("s"), 0};
    struct ingest_key past_limit = {{long_key, INGEST_KEY_MAX + 1}, STR("s"), 0};
    struct ingest_key twice[] = {{STR("a"), STR("s"), 0}, {STR("a"), STR("t"), 0}};
    struct ingest_key empty = {STR(""), STR("s"), 0};
    struct ingest_key nameless = {STR("a"), STR(""), 0};
    assert_int_equal(ingest_set_keys(w->ingest, &past_limit, 1, &f), FIX_INPUT);
    assert_int_equal(ingest_set_keys(w->ingest, twice, 2, &f), FIX_INPUT);
    assert_int_equal(ingest_set_keys(w->ingest, &empty, 1, &f), FIX_INPUT);
    assert_int_equal(ingest_set_keys(w->ingest, &nameless, 1, &f), FIX_INPUT);
    assert_true(ingest_find_key(w->ingest, STR("wk_test"), &source)); /* the old ones stay */
    assert_int_equal(ingest_set_keys(w->ingest, &at_limit, 1, &f), OK);
    assert_true(ingest_find_key(w->ingest, at_limit.key, &source));
    assert_false(ingest_find_key(w->ingest, past_limit.key, &source));
    assert_false(ingest_find_key(w->ingest, STR("wk_test"), &source));
    struct ingest_key many[1000];
    char texts[1000][16];
    for (size_t i = 0; i < array_count(many); i++) {
        snprintf(texts[i], sizeof(texts[i]), "key%zu", i);
        many[i] = (struct ingest_key){str_of(texts[i]), str_of(texts[i]), 0};
    }
    assert_int_equal(ingest_set_keys(w->ingest, many, array_count(many), &f), OK);
    for (size_t i = 0; i < array_count(many); i++) {
        assert_true(ingest_find_key(w->ingest, many[i].key, &source));
        assert_true(str_equal(vocabulary_text(w->vocabulary, source.name), many[i].source));
    }
    assert_false(ingest_find_key(w->ingest, STR("key1000"), &source));
}

static void ids(void **state)
{
    struct world *w = *state;
    const struct record *r = NULL;
    assert_int_equal(track(w, "\"userId\":\"17\""), INGEST_FINE);
    struct id128 seventeen = w->batch.records[0].user;
    assert_int_equal(track(w, "\"userId\":17"), INGEST_FINE);
    assert_true(id128_equal(w->batch.records[0].user, seventeen));
    assert_true(has_text(w, 0, "$user_id", "17"));
    assert_int_equal(track(w, "\"userId\":17.0"), INGEST_FINE);
    assert_true(id128_equal(w->batch.records[0].user, seventeen));
    assert_int_equal(track(w, "\"anonymousId\":17"), INGEST_FINE);
    r = &w->batch.records[0];
    assert_false(id128_is_set(r->user));
    assert_false(id128_equal(r->anonymous, seventeen)); /* another identifier */
    assert_int_equal(r->routing_hash, r->anonymous.low);
    assert_int_equal(track(w, "\"anonymousId\":\"a\",\"userId\":\"17\""), INGEST_FINE);
    r = &w->batch.records[0];
    assert_true(id128_equal(r->user, seventeen));
    assert_int_equal(r->routing_hash, seventeen.low);

    assert_int_equal(track(w, "\"userId\":17.5"), INGEST_BAD_ID);
    assert_int_equal(track(w, "\"userId\":1e300"), INGEST_BAD_ID);
    assert_int_equal(track(w, "\"userId\":9007199254740992.0"), INGEST_FINE);
    assert_int_equal(track(w, "\"userId\":18446744073709551615"), INGEST_BAD_ID);
    assert_int_equal(track(w, "\"userId\":9223372036854775807"), INGEST_FINE);
    assert_true(has_text(w, 0, "$user_id", "9223372036854775807"));
    assert_int_equal(track(w, "\"userId\":true"), INGEST_BAD_ID);
    assert_int_equal(track(w, "\"userId\":{}"), INGEST_BAD_ID);
    assert_int_equal(track(w, "\"userId\":\"u\",\"anonymousId\":[\"a\"]"), INGEST_BAD_ID);
    assert_string_equal(w->batch.problems[0].field, "anonymousId");
    assert_int_equal(track(w, "\"userId\":null,\"anonymousId\":null"), INGEST_NO_IDENTITY);
    assert_int_equal(track(w, "\"properties\":{}"), INGEST_NO_IDENTITY);
}

/* The error, or what the event finds its person by: e-mail, phone, push token, joined by |. */
static const char *found_by(struct world *w, const char *key, enum ingest_route route,
                            const char *members)
{
    static const char *const names[] = {"$find.email", "$find.phone", "$find.push_token"};
    w->text.len = 0;
    buf_printf(&w->text, "{\"event\":\"E\",%s}", members);
    struct str body = arena_copy(&w->arena, buf_str(&w->text));
    if (parse(w, route, str_of(key), body) != INGEST_FINE)
        return ingest_error_row(w->error)->code;
    w->text.len = 0;
    for (size_t i = 0; i < array_count(names); i++) {
        struct value x = field(w, 0, names[i]);
        buf_printf(&w->text, "%s%.*s", i ? "|" : "", x.type == VALUE_TEXT ? (int)x.text.len : 0,
                   x.type == VALUE_TEXT ? x.text.at : "");
    }
    return arena_copy(&w->arena, buf_str(&w->text)).at;
}

static void addresses_find_people_for_server_keys(void **state)
{
    struct world *w = *state;
    static const struct {
        enum ingest_route route;
        const char *members, *found;
    } cases[] = {
        {INGEST_IDENTIFY,
         "\"traits\":{\"email\":\" Ann@X.org\",\"phone\":\"+441\",\"push_token\":\"t\"}",
         "Ann@X.org|+441|t"},
        {INGEST_IDENTIFY, "\"traits\":{\"phone\":441}", "|441|"},
        {INGEST_TRACK, "\"context\":{\"traits\":{\"email\":\"a@x.org\"}}", "a@x.org||"},
        {INGEST_TRACK, "\"context\":{\"device\":{\"token\":\"t\"}}", "||t"},
        {INGEST_TRACK,
         "\"context\":{\"externalIds\":[{\"type\":\"email\",\"id\":\"b@x.org\",\"collection\":\"users\","
         "\"encoding\":\"none\"},{\"type\":\"ios.push_token\",\"id\":\"t\"}],"
         "\"traits\":{\"email\":\"a@x.org\"}}",
         "b@x.org||t"},
        {INGEST_TRACK, "\"context\":{\"externalId\":[{\"type\":\"phone\",\"id\":\"+1\"}]}", "|+1|"},
        {INGEST_TRACK,
         "\"context\":{\"externalIds\":[{\"type\":\"email\",\"id\":\"9f86\",\"encoding\":\"md5\"}]}",
         "no_identity"},
        {INGEST_TRACK,
         "\"context\":{\"externalIds\":[{\"type\":\"email\",\"id\":\"a@x\",\"collection\":\"accounts\"}]}",
         "no_identity"},
        {INGEST_TRACK, "\"context\":{\"externalIds\":[3,{\"type\":\"email\"}]}", "no_identity"},
        /* what an event is about is not whose it is, and a group's traits are the group's */
        {INGEST_TRACK, "\"properties\":{\"email\":\"a@x.org\"}", "no_identity"},
        {INGEST_TRACK, "\"traits\":{\"email\":\"a@x.org\"}", "no_identity"},
        {INGEST_GROUP, "\"groupId\":\"g\",\"traits\":{\"email\":\"a@x.org\"}", "no_identity"},
        {INGEST_TRACK, "\"context\":{\"traits\":{\"email\":\" undefined \"}}", "no_identity"},
        {INGEST_TRACK, "\"context\":{\"traits\":{\"email\":[\"a@x.org\"]}}", "no_identity"},
        {INGEST_TRACK, "\"userId\":\"null\",\"context\":{\"traits\":{\"email\":\"a@x.org\"}}",
         "a@x.org||"},
        /* with an id, addresses are nothing but what they are */
        {INGEST_TRACK, "\"userId\":\"u\",\"context\":{\"traits\":{\"email\":\"a@x.org\"}}", "||"},
        {INGEST_TRACK, "\"anonymousId\":\"u\",\"context\":{\"device\":{\"token\":\"t\"}}", "||"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        const char *found = found_by(w, "sk_server", cases[i].route, cases[i].members);
        if (strcmp(found, cases[i].found) != 0)
            fail_msg("%s: %s, not %s", cases[i].members, found, cases[i].found);
        bool has_address = strchr(found, '|') != NULL && strcmp(found, "||") != 0;
        if (has_address) {
            assert_false(id128_is_set(w->batch.records[0].user));
            assert_true(w->batch.records[0].routing_hash != 0);
        }
        /* and never for a key that stands in every page */
        found = found_by(w, "wk_test", cases[i].route, cases[i].members);
        assert_string_equal(found, has_address ? "address_needs_server_key" : cases[i].found);
    }
    char members[600];
    char word[ADDRESS_BYTES_MAX + 2];
    memset(word, 'a', sizeof(word));
    word[ADDRESS_BYTES_MAX + 1] = 0;
    snprintf(members, sizeof(members), "\"context\":{\"device\":{\"token\":\"%s\"}}", word);
    assert_string_equal(found_by(w, "sk_server", INGEST_TRACK, members), "no_identity");
}

static void statements_name_the_address_they_are_about(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *event, *properties, *found;
    } cases[] = {
        {"Unsubscribed", "\"address\":\"a@x.org\"", "a@x.org||"},
        {"Unsubscribed", "\"address\":\"+441\",\"channel\":\"sms\"", "|+441|"},
        {"Consent Changed", "\"address\":\"a@x.org\",\"status\":\"denied\"", "a@x.org||"},
        {"Message Complained", "\"address\":\"a@x.org\"", "a@x.org||"},
        {"Unsubscribed", "\"address\":\"a@x.org\",\"channel\":\"fax\"", "no_identity"},
        {"Order Completed", "\"address\":\"a@x.org\"", "no_identity"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        char members[200];
        snprintf(members, sizeof(members), "\"event\":\"%s\",\"properties\":{%s}", cases[i].event,
                 cases[i].properties);
        assert_string_equal(found_by(w, "sk_server", INGEST_TRACK, members), cases[i].found);
    }
}

static void junk_ids(void **state)
{
    struct world *w = *state;
    static const char *const junk[] = {
        "",        "null",   "undefined", "anonymous",       "0",
        "NULL",    " null ", "None",      "[object Object]", "undefined",
        "UNKNOWN", "   ",    "guest"};
    char members[128];
    for (size_t i = 0; i < array_count(junk); i++) {
        snprintf(members, sizeof(members), "\"userId\":\"%s\"", junk[i]);
        assert_int_equal(track(w, members), INGEST_NO_IDENTITY);
        snprintf(members, sizeof(members), "\"userId\":\"%s\",\"anonymousId\":\"a7\"", junk[i]);
        assert_int_equal(track(w, members), INGEST_FINE);
        assert_false(id128_is_set(w->batch.records[0].user));
        assert_false(is_personal(w, 0, "$user_id"));
        assert_int_equal(w->batch.junk_id_count, junk[i][0] != 0);
    }
    assert_int_equal(track(w, "\"userId\":0"), INGEST_NO_IDENTITY);
    static const char *const fine[] = {"00", "nullo", "user1", "anonymous@example.com", "\\u0000"};
    for (size_t i = 0; i < array_count(fine); i++) {
        snprintf(members, sizeof(members), "\"userId\":\"%s\"", fine[i]);
        assert_int_equal(track(w, members), INGEST_FINE);
    }
}

static struct str repeated(struct world *w, const char *format, char fill, size_t count)
{
    char *filled = arena_alloc(&w->arena, count + 1);
    memset(filled, fill, count);
    filled[count] = 0;
    struct buf out;
    buf_init(&out);
    const char *mark = strstr(format, "%s");
    buf_add(&out, format, (size_t)(mark - format));
    buf_add(&out, filled, count);
    buf_add_str(&out, str_of(mark + 2));
    struct str copy = arena_copy(&w->arena, buf_str(&out));
    buf_fini(&out);
    return copy;
}

static enum ingest_error track_filled(struct world *w, const char *format, char fill, size_t count)
{
    return parse(w, INGEST_TRACK, STR("wk_test"), repeated(w, format, fill, count));
}

static void lengths(void **state)
{
    struct world *w = *state;
    const char *id = "{\"event\":\"E\",\"userId\":\"%s\"}";
    assert_int_equal(track_filled(w, id, 'x', IDENTIFIER_BYTES_MAX), INGEST_FINE);
    assert_int_equal(track_filled(w, id, 'x', IDENTIFIER_BYTES_MAX + 1), INGEST_ID_TOO_LONG);
    assert_string_equal(w->batch.problems[0].field, "userId");
    const char *name = "{\"event\":\"%s\",\"userId\":\"u\"}";
    assert_int_equal(track_filled(w, name, 'x', NAME_BYTES_MAX), INGEST_FINE);
    assert_int_equal(track_filled(w, name, 'x', NAME_BYTES_MAX + 1), INGEST_BAD_EVENT);
    assert_int_equal(track_filled(w, name, 'x', 0), INGEST_NO_EVENT);
    const char *text = "{\"event\":\"E\",\"userId\":\"u\",\"properties\":{\"a\":{\"b\":\"%s\"}}}";
    assert_int_equal(track_filled(w, text, 'x', INGEST_TEXT_MAX), INGEST_FINE);
    assert_int_equal(track_filled(w, text, 'x', INGEST_TEXT_MAX + 1), INGEST_TEXT_TOO_LONG);
    assert_string_equal(w->batch.problems[0].field, "properties.a.b");
    const char *in_list =
        "{\"event\":\"E\",\"userId\":\"u\",\"context\":{\"a\":{\"b\":[{\"c\":\"%s\"}]}}}";
    assert_int_equal(track_filled(w, in_list, 'x', INGEST_TEXT_MAX), INGEST_FINE);
    assert_int_equal(track_filled(w, in_list, 'x', INGEST_TEXT_MAX + 1), INGEST_TEXT_TOO_LONG);
    assert_string_equal(w->batch.problems[0].field, "context.a.b");
    /* "key" alone takes 256 bytes, with its parent it is too long for a name, and is kept */
    const char *key = "{\"event\":\"E\",\"userId\":\"u\",\"properties\":{\"%s\":1}}";
    assert_int_equal(track_filled(w, key, 'k', NAME_BYTES_MAX - 1), INGEST_FINE);
    assert_int_equal(w->batch.unnamed_count, 0);
    assert_int_equal(track_filled(w, key, 'k', NAME_BYTES_MAX + 1), INGEST_FINE);
    assert_int_equal(w->batch.unnamed_count, 1);
    assert_int_equal(field(w, 0, "$rest").map->pairs[0].key.text.len, NAME_BYTES_MAX + 1);
}

static void deep(void **state)
{
    struct world *w = *state;
    for (int as_list = 0; as_list < 2; as_list++) {
        for (int depth = INGEST_DEPTH_MAX - 3; depth <= INGEST_DEPTH_MAX + 1; depth++) {
            struct buf body;
            buf_init(&body);
            buf_add_str(&body, STR("{\"event\":\"E\",\"userId\":\"u\",\"properties\":{\"p\":"));
            for (int i = 2; i < depth; i++)
                buf_add_str(&body, as_list ? STR("[") : STR("{\"p\":"));
            buf_add_str(&body, STR("1"));
            for (int i = 2; i < depth; i++)
                buf_add_byte(&body, as_list ? ']' : '}');
            buf_add_str(&body, STR("}}"));
            enum ingest_error error = parse(w, INGEST_TRACK, STR("wk_test"), buf_str(&body));
            assert_int_equal(error, depth <= INGEST_DEPTH_MAX ? INGEST_FINE : INGEST_TOO_DEEP);
            buf_fini(&body);
        }
    }
}

static void many_fields(void **state)
{
    struct world *w = *state;
    for (int count = INGEST_FIELDS_MAX - 1; count <= INGEST_FIELDS_MAX + 1; count++) {
        struct buf body;
        buf_init(&body);
        buf_add_str(&body, STR("{\"event\":\"E\",\"userId\":\"u\",\"context\":{\"z\":1},"
                               "\"properties\":{\"k\":0"));
        for (int i = 2; i < count; i++)
            buf_printf(&body, ",\"k%d\":%d", i, i);
        buf_add_str(&body, STR("}}"));
        enum ingest_error error = parse(w, INGEST_TRACK, STR("wk_test"), buf_str(&body));
        assert_int_equal(error, count <= INGEST_FIELDS_MAX ? INGEST_FINE : INGEST_TOO_MANY_FIELDS);
        buf_fini(&body);
    }
}

/* An event of exactly `bytes` bytes as compact JSON, made of texts that need `escapes`. */
static void add_event(struct buf *out, size_t bytes, bool escapes)
{
    size_t from = out->len;
    buf_add_str(out, STR("{\"type\":\"track\",\"event\":\"E\",\"userId\":\"u\",\"properties\":{"
                         "\"n\":-12.5,\"b\":[true,false,null,{}]"));
    size_t tail = 2;
    for (int i = 0; out->len - from + tail < bytes; i++) {
        size_t left = bytes - tail - (out->len - from);
        char key[16];
        int key_len = snprintf(key, sizeof(key), ",\"t%d\":\"", i);
        size_t want = min_of(left, (size_t)8000);
        if (left - want < 20 && left != want)
            want -= 20; /* the next one needs room for its key */
        assert_true(want > (size_t)key_len + 1);
        buf_add(out, key, (size_t)key_len);
        size_t text = want - (size_t)key_len - 1;
        for (size_t k = 0; k < text;) {
            if (escapes && text - k >= 6) {
                buf_add_str(out, STR("\\u0001"));
                k += 6;
            } else {
                buf_add_byte(out, 'x');
                k++;
            }
        }
        buf_add_byte(out, '"');
    }
    buf_add_str(out, STR("}}"));
    assert_int_equal(out->len - from, bytes);
}

static void event_size(void **state)
{
    struct world *w = *state;
    for (int escapes = 0; escapes < 2; escapes++) {
        for (size_t bytes = EVENT_JSON_MAX - 1; bytes <= EVENT_JSON_MAX + 1; bytes++) {
            bool fits = bytes <= EVENT_JSON_MAX;
            struct buf body;
            buf_init(&body);
            add_event(&body, bytes, escapes);
            enum ingest_error error = parse(w, INGEST_TRACK, STR("wk_test"), buf_str(&body));
            assert_int_equal(error, fits ? INGEST_FINE : INGEST_EVENT_TOO_LARGE);

            /* among others, at each place of a batch, with white space around it */
            for (uint32_t place = 0; place < 3; place++) {
                body.len = 0;
                buf_add_str(&body, STR("{\"batch\":[ "));
                for (uint32_t i = 0; i < 3; i++) {
                    buf_add_str(&body, i == 0 ? STR("  ") : STR(" ,\n "));
                    add_event(&body, i == place ? bytes : 300, escapes && i == place);
                }
                buf_add_str(&body, STR("\n ], \"writeKey\" : \"wk_test\" }"));
                assert_int_equal(parse(w, INGEST_BATCH, STR(""), buf_str(&body)), INGEST_FINE);
                assert_int_equal(w->batch.record_count, fits ? 3 : 2);
                if (!fits) {
                    assert_int_equal(w->batch.problems[0].error, INGEST_EVENT_TOO_LARGE);
                    assert_int_equal(w->batch.problems[0].index, place);
                }
            }
            buf_fini(&body);
        }
    }
    /* 32 KiB of short doubles would take more than a record may */
    struct buf body;
    buf_init(&body);
    buf_add_str(&body, STR("{\"event\":\"E\",\"userId\":\"u\",\"properties\":{\"l\":[1.5"));
    while (body.len < EVENT_JSON_MAX - 8)
        buf_add_str(&body, STR(",1.5"));
    buf_add_str(&body, STR("]}}"));
    assert_int_equal(parse(w, INGEST_TRACK, STR("wk_test"), buf_str(&body)),
                     INGEST_EVENT_TOO_LARGE);
    buf_fini(&body);
}

static void batch_size(void **state)
{
    struct world *w = *state;
    struct buf body;
    buf_init(&body);
    for (int count = INGEST_EVENTS_MAX; count <= INGEST_EVENTS_MAX + 1; count++) {
        body.len = 0;
        buf_add_str(&body, STR("{\"batch\":["));
        for (int i = 0; i < count; i++) /* half of them no events at all */
            buf_add_str(&body, i == 0  ? STR("{\"type\":\"page\",\"userId\":\"u\"}")
                               : i % 2 ? STR(",1")
                                       : STR(",{\"type\":\"page\",\"userId\":\"u\"}"));
        buf_add_str(&body, STR("],\"writeKey\":\"wk_test\"}"));
        enum ingest_error error = parse(w, INGEST_BATCH, STR(""), buf_str(&body));
        if (count == INGEST_EVENTS_MAX) {
            assert_int_equal(error, INGEST_FINE);
            assert_int_equal(w->batch.record_count, count / 2);
            assert_int_equal(w->batch.rejected_count, count / 2);
            assert_int_equal(w->batch.problem_count, INGEST_PROBLEMS_MAX);
        } else {
            assert_int_equal(error, INGEST_TOO_MANY);
            assert_int_equal(w->batch.record_count, 0);
        }
    }
    for (size_t bytes = INGEST_BODY_MAX; bytes <= INGEST_BODY_MAX + 1; bytes++) {
        body.len = 0;
        buf_add_str(&body, STR("{\"batch\":[{\"type\":\"page\",\"userId\":\"u\"}]"));
        while (body.len < bytes - 1)
            buf_add_byte(&body, ' ');
        buf_add_byte(&body, '}');
        enum ingest_error error = parse(w, INGEST_BATCH, STR("wk_test"), buf_str(&body));
        assert_int_equal(error, bytes == INGEST_BODY_MAX ? INGEST_FINE : INGEST_TOO_LARGE);
    }
    buf_fini(&body);
}

static void times(void **state)
{
    struct world *w = *state;
    const struct {
        const char *members;
        int64_t event_ms;
        int32_t skew_ms;
    } rows[] = {
        /* a right clock, ten seconds old */
        {"\"timestamp\":\"2026-11-21T19:53:30Z\",\"sentAt\":\"2026-11-21T19:53:40Z\"",
         ARRIVAL - 10000, 0},
        /* a clock one hour fast, and one in 1971 */
        {"\"timestamp\":\"2026-11-21T20:53:30Z\",\"sentAt\":\"2026-11-21T20:53:40Z\"",
         ARRIVAL - 10000, -3600000},
        {"\"timestamp\":\"1971-01-01T00:00:00Z\",\"sentAt\":\"1971-01-01T00:01:00Z\"",
         ARRIVAL - 60000, INT32_MAX},
        /* any fraction, any offset, none at all */
        {"\"timestamp\":\"2026-11-21T19:53:30.5Z\"", ARRIVAL - 9500, 0},
        {"\"timestamp\":\"2026-11-21T19:53:30.123456789Z\"", ARRIVAL - 9877, 0},
        {"\"timestamp\":\"2026-11-21T21:53:30+02:00\"", ARRIVAL - 10000, 0},
        {"\"timestamp\":\"2026-11-21T19:53:30\"", ARRIVAL - 10000, 0},
        {"\"timestamp\":1795290810", ARRIVAL - 10000, 0},
        {"\"timestamp\":1795290810000", ARRIVAL - 10000, 0},
        {"\"originalTimestamp\":\"2026-11-21T19:53:30Z\"", ARRIVAL - 10000, 0},
        {"\"timestamp\":null,\"originalTimestamp\":\"2026-11-21T19:53:30Z\"", ARRIVAL - 10000, 0},
        {"\"timestamp\":\"2026-11-21T19:53:35Z\",\"originalTimestamp\":\"x\"", ARRIVAL - 5000, 0},
        /* never later than it came; no time is the time it came */
        {"\"timestamp\":\"2027-01-01T00:00:00Z\"", ARRIVAL, 0},
        {"\"timestamp\":\"2026-11-21T19:53:41Z\",\"sentAt\":\"2026-11-21T19:53:40Z\"", ARRIVAL, 0},
        {"\"integrations\":{}", ARRIVAL, 0},
        {"\"sentAt\":\"2026-11-21T19:53:30Z\"", ARRIVAL, 10000},
        /* what is no sentAt corrects nothing */
        {"\"timestamp\":\"2026-11-21T19:53:30Z\",\"sentAt\":\"soon\"", ARRIVAL - 10000, 0},
        {"\"timestamp\":\"1970-01-01T00:00:00Z\"", 0, 0},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        char members[256];
        snprintf(members, sizeof(members), "\"userId\":\"u\",%s", rows[i].members);
        assert_int_equal(track(w, members), INGEST_FINE);
        if (w->batch.records[0].event_ms != rows[i].event_ms ||
            w->batch.records[0].sent_skew_ms != rows[i].skew_ms)
            fail_msg("%s gave %lld %d", members, (long long)w->batch.records[0].event_ms,
                     w->batch.records[0].sent_skew_ms);
    }
    static const char *const bad[] = {
        "\"yesterday\"",
        "\"2026-13-01T00:00:00Z\"",
        "true",
        "{}",
        "\"\"",
        "1e300",
        "\"2026-11-21T19:53:30.1234567890Z\"",
        "\"1969-12-31T23:59:59Z\"",
        "\"12:00\"",
    };
    for (size_t i = 0; i < array_count(bad); i++) {
        char members[256];
        snprintf(members, sizeof(members), "\"userId\":\"u\",\"timestamp\":%s", bad[i]);
        if (track(w, members) != INGEST_BAD_TIME)
            fail_msg("%s was taken", bad[i]);
        assert_string_equal(w->batch.problems[0].field, "timestamp");
    }
    /* the batch's sentAt holds for all that have none of their own */
    assert_int_equal(
        parse(w, INGEST_BATCH, STR("wk_test"),
              STR("{\"sentAt\":\"2026-11-21T19:54:40Z\",\"batch\":["
                  "{\"type\":\"page\",\"userId\":\"u\",\"timestamp\":\"2026-11-21T19:54:30Z\"},"
                  "{\"type\":\"page\",\"userId\":\"u\",\"timestamp\":\"2026-11-21T19:53:39Z\","
                  "\"sentAt\":\"2026-11-21T19:53:40Z\"}]}")),
        INGEST_FINE);
    assert_int_equal(w->batch.records[0].event_ms, ARRIVAL - 10000);
    assert_int_equal(w->batch.records[0].sent_skew_ms, -60000);
    assert_int_equal(w->batch.records[1].event_ms, ARRIVAL - 1000);
    assert_int_equal(w->batch.records[1].sent_skew_ms, 0);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Times of a few minutes in turn, leap seconds and damaged ones between them: what was in the minute
 * before never shows. */
static void times_in_turn(void **state)
{
    static const char *const minutes[] = {
        "1970-01-01T00:00:", "2026-11-21T19:53:", "2026-11-21T19:52:",
        "2026-11-21t19:53:", "2016-12-31T23:59:", "2026-11-21T19:60:"};
    struct world *w = *state;
    uint64_t seed = 7046029254386353131u;
    unsigned taken = 0;
    for (unsigned round = 0; round < 4000; round++) {
        char text[32], members[128];
        struct timestamp time;
        unsigned second = (unsigned)(next_random(&seed) % 62);
        snprintf(text, sizeof(text), "%s%02u.%03uZ",
                 minutes[next_random(&seed) % array_count(minutes)], second,
                 (unsigned)(next_random(&seed) % 1000));
        if (next_random(&seed) % 4 == 0)
            text[next_random(&seed) % 24] = "0:.Z-T 9"[next_random(&seed) % 8];
        enum status status = timestamp_parse(str_of(text), TIMESTAMP_LOOSE, &time, NULL);
        bool is_good = status == OK && time.at_ms >= 0;
        snprintf(members, sizeof(members), "\"userId\":\"u\",\"timestamp\":\"%s\"", text);
        enum ingest_error error = track(w, members);
        if (error != (is_good ? INGEST_FINE : INGEST_BAD_TIME))
            fail_msg("%s: %d", text, error);
        if (is_good && w->batch.records[0].event_ms != min_of(time.at_ms, (int64_t)ARRIVAL))
            fail_msg("%s gave %lld", text, (long long)w->batch.records[0].event_ms);
        taken += is_good;
    }
    assert_true(taken > 1000);
}

/* Members in another order each time, some missing, some unknown, some twice; and names of events that
 * look alike. */
static void members_in_any_order(void **state)
{
    static const char *const others[] = {"\"integrations\":{\"All\":true}",
                                         "\"originalTimestamp\":null",
                                         "\"anIdWithAVeryLongNameIndeed\":1",
                                         "\"anIdWithAVeryLongNameAgain\":1",
                                         "\"userIx\":\"x\"",
                                         "\"\":2",
                                         "\"channel\":\"server\"",
                                         "\"properties\":{}"};
    static const char *const names[] = {"Order Made", "Basket One", "Older Made", "Order", "e"};
    struct world *w = *state;
    uint64_t seed = 6364136223846793005u;
    uint32_t numbers[array_count(names)] = {0};
    for (unsigned round = 0; round < 2000; round++) {
        char parts[16][64], body[1100];
        size_t count = 0, len = 1;
        size_t name = next_random(&seed) % array_count(names);
        snprintf(parts[count++], 64, "\"userId\":\"u-1\"");
        snprintf(parts[count++], 64, "\"messageId\":\"m-1\"");
        snprintf(parts[count++], 64, "\"event\":\"%s\"", names[name]);
        snprintf(parts[count++], 64, "\"type\":\"track\"");
        for (size_t i = next_random(&seed) % 12; i > 0; i--)
            snprintf(parts[count++], 64, "%s", others[next_random(&seed) % array_count(others)]);
        body[0] = '{';
        while (count > 0) {
            size_t i = next_random(&seed) % (round % 2 ? count : 1);
            len += (size_t)snprintf(body + len, sizeof(body) - len, "%s%s", len > 1 ? "," : "",
                                    parts[i]);
            memmove(parts[i], parts[i + 1], (--count - i) * sizeof(parts[0]));
        }
        body[len++] = '}';
        assert_int_equal(parse(w, INGEST_TRACK, STR("wk_test"), (struct str){body, len}),
                         INGEST_FINE);
        const struct record *r = &w->batch.records[0];
        struct id128 user = identifier_hash(IDENTIFIER_USER, STR("u-1"), secret);
        assert_true(id128_equal(r->user, user));
        assert_int_not_equal(r->name, NAME_NONE);
        if (numbers[name] == 0)
            numbers[name] = r->name;
        assert_int_equal(r->name, numbers[name]);
        for (size_t i = 0; i < array_count(names); i++)
            assert_true(i == name || numbers[i] != r->name);
    }
}

static uint64_t hash_of(struct world *w, const char *members)
{
    assert_int_equal(track(w, members), INGEST_FINE);
    return w->batch.records[0].message_hash;
}

static void message_ids(void **state)
{
    struct world *w = *state;
    /* the id alone decides */
    uint64_t a = hash_of(w, "\"userId\":\"u\",\"messageId\":\"m1\"");
    assert_true(a == hash_of(w, "\"userId\":\"v\",\"messageId\":\"m1\",\"properties\":{\"x\":1}"));
    assert_true(a != hash_of(w, "\"userId\":\"u\",\"messageId\":\"m2\""));
    assert_true(hash_of(w, "\"userId\":\"u\",\"messageId\":7") ==
                hash_of(w, "\"userId\":\"u\",\"messageId\":\"7\""));
    /* but within a source: nobody silences another's events by guessing their ids */
    assert_int_equal(parse(w, INGEST_TRACK, STR("wk_other"),
                           STR("{\"event\":\"E\",\"userId\":\"u\",\"messageId\":\"m1\"}")),
                     INGEST_FINE);
    assert_true(a != w->batch.records[0].message_hash);
    /* without one, what the event says decides */
    const char *plain = "\"userId\":\"u\",\"timestamp\":\"2026-11-21T19:53:30Z\"";
    uint64_t b = hash_of(w, plain);
    assert_true(b == hash_of(w, plain));
    assert_true(b == hash_of(w, "\"timestamp\":\"2026-11-21T19:53:30.000Z\", \"userId\" : \"u\""));
    assert_true(b != hash_of(w, "\"userId\":\"u\",\"timestamp\":\"2026-11-21T19:53:31Z\""));
    assert_true(b != hash_of(w, "\"userId\":\"v\",\"timestamp\":\"2026-11-21T19:53:30Z\""));
    assert_true(b != hash_of(w, "\"userId\":\"u\",\"timestamp\":\"2026-11-21T19:53:30Z\","
                                "\"properties\":{\"x\":1}"));
    /* twice in one batch is twice; the same batch again is a repetition */
    struct str twice =
        STR("{\"batch\":[{\"type\":\"page\",\"userId\":\"u\",\"timestamp\":1795290810},"
            "{\"type\":\"page\",\"userId\":\"u\",\"timestamp\":1795290810}]}");
    assert_int_equal(parse(w, INGEST_BATCH, STR("wk_test"), twice), INGEST_FINE);
    uint64_t first = w->batch.records[0].message_hash;
    assert_true(first != w->batch.records[1].message_hash);
    assert_int_equal(parse(w, INGEST_BATCH, STR("wk_test"), twice), INGEST_FINE);
    assert_true(first == w->batch.records[0].message_hash);
}

static void names(void **state)
{
    struct world *w = *state;
    assert_int_equal(parse(w, INGEST_TRACK, STR("wk_test"), STR("{\"userId\":\"u\"}")),
                     INGEST_NO_EVENT);
    assert_int_equal(parse(w, INGEST_TRACK, STR("wk_test"), STR("{\"userId\":\"u\",\"event\":7}")),
                     INGEST_BAD_EVENT);
    assert_int_equal(
        parse(w, INGEST_TRACK, STR("wk_test"), STR("{\"userId\":\"u\",\"event\":\"$page\"}")),
        INGEST_BAD_EVENT);
    assert_string_equal(w->batch.problems[0].field, "event");
    static const char *const types[] = {"\"Track\"", "\"merge\"", "7", "null", "\"\"", "\"aliaz\""};
    for (size_t i = 0; i < array_count(types); i++) {
        char body[256];
        snprintf(body, sizeof(body), "{\"batch\":[{\"type\":%s,\"event\":\"E\",\"userId\":\"u\"}]}",
                 types[i]);
        assert_int_equal(parse(w, INGEST_BATCH, STR("wk_test"), str_of(body)), INGEST_BAD_TYPE);
    }
    assert_int_equal(parse(w, INGEST_GROUP, STR("wk_test"), STR("{\"userId\":\"u\"}")),
                     INGEST_NO_GROUP);
    assert_int_equal(parse(w, INGEST_ALIAS, STR("wk_test"), STR("{\"userId\":\"u\"}")),
                     INGEST_NO_PREVIOUS);
    assert_string_equal(w->batch.problems[0].field, "previousId");
    assert_int_equal(
        parse(w, INGEST_ALIAS, STR("wk_test"), STR("{\"anonymousId\":\"u\",\"previousId\":\"v\"}")),
        INGEST_NO_PREVIOUS);
    /* the path tells the kind, whatever the body says */
    assert_int_equal(parse(w, INGEST_PAGE, STR("wk_test"),
                           STR("{\"userId\":\"u\",\"type\":\"track\",\"event\":\"E\"}")),
                     INGEST_FINE);
    assert_int_equal(w->batch.records[0].kind, EVENT_PAGE);
    assert_int_equal(w->batch.records[0].name, NAME_PAGE);
}

static void bodies(void **state)
{
    struct world *w = *state;
    assert_int_equal(
        track(w, "\"userId\":\"u\",\"integrations\":{\"All\":true},\"_metadata\":{\"x\":\"y\"},"
                 "\"context\":{\"ip\":\"192.0.2.1\",\"active\":true,\"screen\":{\"width\":9}},"
                 "\"properties\":{\"total\":27.5,\"count\":3,\"first\":true,\"none\":null,"
                 "\"sku\":\"A\",\"currency\":\"EUR\",\"cart\":{\"id\":\"c\",\"size\":2,\"e\":{}},"
                 "\"tags\":[\"x\"],\"prices\":[1,2.5,null],\"empty\":[],"
                 "\"items\":[{\"p\":1}],\"when\":\"2026-01-01T00:00:00Z\"}"),
        INGEST_FINE);
    static const char *const clear[] = {"total",  "count", "first",    "none",
                                        "prices", "empty", "currency", "cart.size"};
    for (size_t i = 0; i < array_count(clear); i++) {
        assert_true(is_clear(w, 0, clear[i]));
        assert_false(is_personal(w, 0, clear[i]));
    }
    static const char *const personal[] = {"$user_id",
                                           "sku",
                                           "tags",
                                           "items",
                                           "cart.id",
                                           "when",
                                           "context.ip",
                                           "context.active",
                                           "context.screen.width"};
    for (size_t i = 0; i < array_count(personal); i++) {
        assert_true(is_personal(w, 0, personal[i]));
        assert_false(is_clear(w, 0, personal[i]));
    }
    static const char *const absent[] = {"integrations", "All", "x", "cart", "cart.e", "context"};
    for (size_t i = 0; i < array_count(absent); i++)
        assert_int_equal(vocabulary_find(w->vocabulary, str_of(absent[i])), NAME_NONE);
    assert_int_equal(field(w, 0, "count").integer, 3);
    assert_true(field(w, 0, "none").type == VALUE_NULL);
    assert_int_equal(field(w, 0, "prices").list->count, 3);
    assert_true(has_text(w, 0, "when", "2026-01-01T00:00:00Z"));
    assert_int_equal(w->batch.unnamed_count, 0);
}

static void traits(void **state)
{
    struct world *w = *state;
    assert_int_equal(parse(w, INGEST_IDENTIFY, STR("wk_test"),
                           STR("{\"userId\":\"u\",\"traits\":{\"email\":\"a@b.c\",\"age\":30},"
                               "\"context\":{\"traits\":{\"email\":\"x\"},\"ip\":\"i\"}}")),
                     INGEST_FINE);
    assert_true(has_text(w, 0, "email", "a@b.c"));
    assert_true(is_personal(w, 0, "age"));
    assert_false(is_clear(w, 0, "age"));
    assert_true(has_text(w, 0, "context.ip", "i"));
    assert_int_equal(vocabulary_find(w->vocabulary, STR("context.traits.email")), NAME_NONE);
    /* newer RudderStack clients have them in the context alone */
    assert_int_equal(parse(w, INGEST_IDENTIFY, STR("wk_test"),
                           STR("{\"userId\":\"u\",\"context\":{\"traits\":{\"email\":\"x\"}}}")),
                     INGEST_FINE);
    assert_true(has_text(w, 0, "email", "x"));
    /* PHP writes {} as [] */
    assert_int_equal(parse(w, INGEST_IDENTIFY, STR("wk_test"),
                           STR("{\"userId\":\"u\",\"traits\":[],\"context\":[]}")),
                     INGEST_FINE);
    assert_int_equal(
        parse(w, INGEST_IDENTIFY, STR("wk_test"), STR("{\"userId\":\"u\",\"traits\":[1]}")),
        INGEST_BAD_FIELD);
    assert_string_equal(w->batch.problems[0].field, "traits");
    assert_int_equal(track(w, "\"userId\":\"u\",\"properties\":\"p\""), INGEST_BAD_FIELD);
    assert_string_equal(w->batch.problems[0].field, "properties");
    assert_int_equal(track(w, "\"userId\":\"u\",\"context\":7"), INGEST_BAD_FIELD);
}

static void page_names(void **state)
{
    struct world *w = *state;
    assert_int_equal(parse(w, INGEST_PAGE, STR("wk_test"),
                           STR("{\"name\":\"Home\",\"category\":\"Shop\",\"userId\":\"u\","
                               "\"properties\":{\"category\":\"Own\",\"url\":\"x\"}}")),
                     INGEST_FINE);
    assert_true(has_text(w, 0, "name", "Home"));
    assert_true(has_text(w, 0, "category", "Own"));
    assert_int_equal(track(w, "\"userId\":\"u\",\"name\":\"Home\",\"category\":\"C\""),
                     INGEST_FINE);
    assert_false(is_personal(w, 0, "name"));
}

static void same_name_twice(void **state)
{
    struct world *w = *state;
    assert_int_equal(track(w, "\"userId\":\"u\",\"properties\":{\"a\":1,\"b\":\"x\",\"a\":\"y\","
                              "\"c\":{\"d\":1,\"e\":2},\"c.d\":3,\"b\":4}"),
                     INGEST_FINE);
    assert_true(has_text(w, 0, "a", "y"));
    assert_false(is_clear(w, 0, "a"));
    assert_int_equal(field(w, 0, "b").integer, 4);
    assert_false(is_personal(w, 0, "b"));
    assert_int_equal(field(w, 0, "c.d").integer, 3);
    assert_int_equal(field(w, 0, "c.e").integer, 2);
    uint32_t fields = 0;
    struct body rest = w->batch.records[0].clear;
    struct body_field one;
    while (body_next(&rest, &one))
        fields++;
    assert_int_equal(fields, 3);
    /* of a batch's context and an event's, the event's counts */
    assert_int_equal(
        parse(w, INGEST_BATCH, STR("wk_test"),
              STR("{\"context\":{\"locale\":\"en\",\"ip\":\"i\"},\"batch\":["
                  "{\"type\":\"page\",\"userId\":\"u\",\"context\":{\"locale\":\"de\"}},"
                  "{\"type\":\"page\",\"userId\":\"u\"}]}")),
        INGEST_FINE);
    assert_true(has_text(w, 0, "context.locale", "de"));
    assert_true(has_text(w, 0, "context.ip", "i"));
    assert_true(has_text(w, 1, "context.locale", "en"));
    assert_int_equal(track(w, "\"userId\":\"a\",\"userId\":\"b\""), INGEST_FINE);
    assert_true(has_text(w, 0, "$user_id", "b"));
}

/* What clients send cannot pass for what is ours. */
static void reserved_names(void **state)
{
    struct world *w = *state;
    assert_int_equal(track(w, "\"userId\":\"u\",\"properties\":{\"$user_id\":\"evil\",\"\":1,"
                              "\"$set\":{\"a\":[1]},\"context\":{\"ip\":\"evil\"},"
                              "\"context.ip\":\"evil\",\"ok\":1}"),
                     INGEST_FINE);
    assert_true(has_text(w, 0, "$user_id", "u"));
    assert_int_equal(vocabulary_find(w->vocabulary, STR("context.ip")), NAME_NONE);
    assert_int_equal(field(w, 0, "ok").integer, 1);
    struct value rest = field(w, 0, "$rest");
    assert_int_equal(rest.type, VALUE_MAP);
    assert_int_equal(rest.map->count, 5);
    assert_true(str_is(rest.map->pairs[0].key.text, "$user_id"));
    assert_true(str_is(rest.map->pairs[2].key.text, "$set"));
    assert_int_equal(rest.map->pairs[2].value.type, VALUE_MAP);
    assert_int_equal(w->batch.unnamed_count, 5);
    assert_false(is_clear(w, 0, "$rest"));
}

static void few_names(void **state)
{
    struct world *w = *state; /* a source may add four names */
    assert_int_equal(track(w, "\"userId\":\"u\",\"properties\":{\"a\":1,\"b\":{\"c\":2},\"d\":3,"
                              "\"e\":{\"f\":\"x\"},\"g\":[1]}"),
                     INGEST_FINE);
    assert_int_equal(field(w, 0, "a").integer, 1);
    assert_int_equal(field(w, 0, "d").integer, 3);
    struct value rest = field(w, 0, "$rest");
    assert_int_equal(rest.map->count, 2);
    assert_true(str_is(rest.map->pairs[0].key.text, "e.f"));
    assert_true(str_is(rest.map->pairs[1].key.text, "g"));
    assert_int_equal(
        parse(w, INGEST_TRACK, STR("wk_test"), STR("{\"event\":\"New\",\"userId\":\"u\"}")),
        INGEST_TOO_MANY_NAMES);
    /* what exists can be used, and another source has its own share */
    assert_int_equal(track(w, "\"userId\":\"u\",\"properties\":{\"email\":\"x\",\"b\":{\"c\":2}}"),
                     INGEST_FINE);
    assert_int_equal(w->batch.unnamed_count, 0);
    assert_int_equal(
        parse(w, INGEST_TRACK, STR("wk_other"), STR("{\"event\":\"New\",\"userId\":\"u\"}")),
        INGEST_FINE);
    assert_int_equal(
        parse(w, INGEST_TRACK, STR("wk_test"), STR("{\"event\":\"New\",\"userId\":\"u\"}")),
        INGEST_FINE);
}

static void vocabulary_is_logged(void **state)
{
    struct world *w = *state;
    assert_int_equal(track(w, "\"userId\":\"u\",\"properties\":{\"a\":1,\"b\":2}"), INGEST_FINE);
    struct vocabulary *copy = vocabulary_new(100);
    uint32_t count = vocabulary_count(w->vocabulary);
    for (int round = 0; round < 2; round++) { /* a segment repeats them at its head */
        for (uint32_t name = NAME_FIXED_END; name < count; name++) {
            struct record r = vocabulary_record(w->vocabulary, name, 5, &w->arena);
            assert_int_equal(r.type, RECORD_NAME);
            assert_int_equal(r.name, name);
            assert_true(vocabulary_learn(copy, &r));
        }
    }
    assert_int_equal(vocabulary_count(copy), count);
    for (uint32_t name = 1; name < count; name++)
        assert_true(str_equal(vocabulary_text(copy, name), vocabulary_text(w->vocabulary, name)));
    uint32_t web = vocabulary_find(copy, STR("web"));
    assert_int_equal(vocabulary_count_of(copy, web), 3); /* E, a, b */
    struct record gap = vocabulary_record(w->vocabulary, count - 1, 5, &w->arena);
    struct vocabulary *fresh = vocabulary_new(100);
    assert_false(vocabulary_learn(fresh, &gap));
    vocabulary_free(fresh);
    gap.name = NAME_FIXED_END;
    assert_false(vocabulary_learn(copy, &gap));
    vocabulary_free(copy);
}

/* --- Answers -------------------------------------------------------------------------------------- */

static struct json_node answer(struct world *w, struct json_parser *parser, uint32_t *status)
{
    struct json_node root;
    w->text.len = 0;
    *status = ingest_answer_write(w->error, &w->batch, &w->text);
    assert_int_equal(json_parse(parser, buf_str(&w->text), 8, &root, NULL), OK);
    return root;
}

static void answers(void **state)
{
    struct world *w = *state;
    struct json_parser *parser = json_parser_new(100000);
    uint32_t status;

    track(w, "\"userId\":\"u\"");
    answer(w, parser, &status);
    assert_int_equal(status, 200);
    assert_true(str_is(buf_str(&w->text), "{\"success\":true}"));
    assert_int_equal(parse(w, INGEST_BATCH, STR("wk_test"), STR("{\"batch\":[]}")), INGEST_FINE);
    answer(w, parser, &status);
    assert_true(str_is(buf_str(&w->text), "{\"success\":true}"));

    parse(w, INGEST_BATCH, STR("wk_test"),
          STR("{\"batch\":[{\"type\":\"page\",\"userId\":\"u\"},7,"
              "{\"type\":\"page\",\"userId\":\"u\",\"properties\":{\"\\u00e9\\n\":[[]],\"t\":1},"
              "\"timestamp\":\"never\"}]}"));
    struct json_node root = answer(w, parser, &status);
    assert_int_equal(status, 200);
    assert_true(json_is_true(json_find(root, STR("success"))));
    struct json_node rejected = json_find(root, STR("rejected"));
    assert_int_equal(json_count(rejected), 2);
    int64_t index = 0;
    assert_true(json_int(json_find(json_at(rejected, 0), STR("index")), &index));
    assert_int_equal(index, 1);
    assert_true(
        str_is(json_text(json_find(json_at(rejected, 0), STR("code"))), "event_not_an_object"));
    assert_true(str_is(json_text(json_find(json_at(rejected, 1), STR("code"))), "bad_time"));
    assert_true(str_is(json_text(json_find(json_at(rejected, 1), STR("field"))), "timestamp"));

    parse(w, INGEST_BATCH, STR("wk_test"), STR("{\"batch\":[{\"type\":\"page\"}]}"));
    root = answer(w, parser, &status);
    assert_int_equal(status, 400);
    assert_int_equal(json_type(json_find(root, STR("success"))), JSON_NONE);
    assert_true(str_is(json_text(json_find(root, STR("code"))), "no_identity"));
    struct str message = json_text(json_find(root, STR("message")));
    assert_true(str_find(message, STR("userId"), 0) != SIZE_MAX);

    parse(w, INGEST_BATCH, STR("nope"), STR("{\"batch\":[]}"));
    root = answer(w, parser, &status);
    assert_int_equal(status, 401);
    assert_true(str_is(json_text(json_find(root, STR("code"))), "unknown_write_key"));
    parse(w, INGEST_BATCH, STR("wk_test"), STR("{\"batch\":[}"));
    root = answer(w, parser, &status);
    assert_int_equal(status, 400);
    assert_true(str_is(json_text(json_find(root, STR("code"))), "bad_json"));
    assert_true(str_find(json_text(json_find(root, STR("message"))), STR("column 11"), 0) !=
                SIZE_MAX);
    json_parser_free(parser);
}

static void hostile_bodies(void **state)
{
    struct world *w = *state;
    const struct {
        const char *body;
        enum ingest_error error;
    } rows[] = {
        {"", INGEST_EMPTY_BODY},
        {" ", INGEST_BAD_JSON},
        {"null", INGEST_NOT_OBJECT},
        {"[]", INGEST_NOT_OBJECT},
        {"\"batch\"", INGEST_NOT_OBJECT},
        {"{}", INGEST_NO_BATCH},
        {"{\"batch\":{}}", INGEST_NO_BATCH},
        {"{\"batch\":null}", INGEST_NO_BATCH},
        {"{\"batch\":[]}", INGEST_FINE},
        {"{\"batch\":[]} x", INGEST_BAD_JSON},
        {"{\"batch\":[1e999]}", INGEST_BAD_JSON},
        {"{\"batch\":[\"\xff\"]}", INGEST_BAD_JSON},
        {"{\"batch\":[[]]}", INGEST_EVENT_NOT_OBJECT},
        {"{\"batch\":[{}]}", INGEST_BAD_TYPE},
        {"event=E&userId=u", INGEST_BAD_JSON},
        {"<xml/>", INGEST_BAD_JSON},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        enum ingest_error error = parse(w, INGEST_BATCH, STR("wk_test"), str_of(rows[i].body));
        if (error != rows[i].error)
            fail_msg("%s gave %d", rows[i].body, error);
    }
    struct buf deep_body;
    buf_init(&deep_body);
    for (int i = 0; i < 100000; i++)
        buf_add_byte(&deep_body, '[');
    assert_int_equal(parse(w, INGEST_BATCH, STR("wk_test"), buf_str(&deep_body)), INGEST_BAD_JSON);
    buf_fini(&deep_body);
}

/* --- Against the plain way to do it ------------------------------------------------------------------ */

static uint32_t noise(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

static void add_noise(struct buf *out, uint64_t *seed, int depth)
{
    static const char *const scalars[] = {
        "1",    "-7",  "2.5",          "true",           "false", "null", "\"t\"",
        "\"\"", "1e3", "123456789012", "\"\\u00e9\\n\"", "[]",    "{}",   "\"2026-01-01\"",
        "0"};
    uint32_t what = noise(seed, depth > 4 ? 6 : 10);
    if (what ==
        0) { /* a text around the lengths that are copied at once, or a number of any length */
        static const uint8_t lengths[] = {15, 16, 17, 31, 32, 33, 126, 127, 128, 200};
        if (noise(seed, 3) == 0) {
            buf_printf(out, "%" PRId64, (int64_t)hash_pair(*seed, 1) >> noise(seed, 64));
            return;
        }
        uint32_t bytes = lengths[noise(seed, array_count(lengths))];
        buf_add_byte(out, '"');
        for (uint32_t i = 0; i < bytes; i++)
            buf_add_byte(out, (uint8_t)('a' + noise(seed, 26)));
        buf_add_byte(out, '"');
        return;
    }
    if (what < 6) {
        buf_add_str(out, str_of(scalars[noise(seed, array_count(scalars))]));
        return;
    }
    bool is_list = what < 8;
    uint32_t count = noise(seed, 5);
    buf_add_byte(out, is_list ? '[' : '{');
    for (uint32_t i = 0; i < count; i++) {
        if (i != 0)
            buf_add_byte(out, ',');
        if (!is_list) /* keys that never meet, alone or as paths */
            buf_printf(out, "\"%c%u\":", 'a' + (char)noise(seed, 3), i);
        add_noise(out, seed, depth + 1);
    }
    buf_add_byte(out, is_list ? ']' : '}');
}

static bool is_all_clear(const struct value *x)
{
    if (x->type == VALUE_TEXT || (x->type == VALUE_MAP && x->map->count != 0))
        return false; /* keys are texts */
    for (uint32_t i = 0; x->type == VALUE_LIST && i < x->list->count; i++)
        if (!is_all_clear(&x->list->items[i]))
            return false;
    return true;
}

/* Flattens by recursion over values, and writes by body_put(). */
static void oracle(struct world *w, const struct value *map, const char *prefix, bool may_be_clear,
                   struct buf *clear, struct buf *personal)
{
    for (uint32_t i = 0; i < map->map->count; i++) {
        const struct value_pair *pair = &map->map->pairs[i];
        char path[300];
        snprintf(path, sizeof(path), "%s%s%.*s", prefix, prefix[0] ? "." : "",
                 STR_ARG(pair->key.text));
        if (pair->value.type == VALUE_MAP) {
            oracle(w, &pair->value, path, may_be_clear, clear, personal);
            continue;
        }
        uint32_t name = vocabulary_find(w->vocabulary, str_of(path));
        if (name == NAME_NONE)
            fail_msg("%s has no name", path);
        bool goes_clear = may_be_clear && is_all_clear(&pair->value);
        assert_true(body_put(goes_clear ? clear : personal, name, &pair->value));
    }
}

static void against_oracle(void **state)
{
    struct world *w = *state;
    struct json_parser *parser = json_parser_new(100000);
    uint64_t seed = 42;
    uint64_t fields = 0;
    for (int round = 0; round < 3000; round++) {
        struct buf body, clear, personal;
        struct json_node root;
        buf_init(&body);
        buf_init(&clear);
        buf_init(&personal);
        buf_add_str(&body, STR("{\"event\":\"E\",\"userId\":\"u\",\"properties\":{\"p\":"));
        add_noise(&body, &seed, 0);
        buf_add_str(&body, STR(",\"q\":"));
        add_noise(&body, &seed, 0);
        buf_add_str(&body, STR("},\"context\":{\"c\":"));
        add_noise(&body, &seed, 0);
        buf_add_str(&body, STR("}}"));
        /* the second time everything stands where it stood before */
        for (int time = 0; time < 1 + round % 2; time++)
            assert_int_equal(parse(w, INGEST_TRACK, STR("wk_test"), buf_str(&body)), INGEST_FINE);
        assert_int_equal(json_parse(parser, buf_str(&body), 64, &root, NULL), OK);
        struct value properties = json_to_value(json_find(root, STR("properties")), &w->arena);
        struct value context = json_to_value(json_find(root, STR("context")), &w->arena);
        body_put_text(&personal, NAME_USER_ID, STR("u"));
        oracle(w, &properties, "", true, &clear, &personal);
        oracle(w, &context, "context", false, &clear, &personal);
        const struct record *r = &w->batch.records[0];
        assert_int_equal(r->clear.bytes, clear.len);
        assert_int_equal(r->personal.bytes, personal.len);
        assert_true(clear.len == 0 || memcmp(r->clear.at, clear.at, clear.len) == 0);
        assert_memory_equal(r->personal.at, personal.at, personal.len);
        fields += clear.len + personal.len;
        arena_reset(&w->arena);
        buf_fini(&body);
        buf_fini(&clear);
        buf_fini(&personal);
    }
    assert_true(fields > 100000);
    json_parser_free(parser);
}

/* The cache of places begins anew when it is full, and nothing is lost by it. */
static void many_places(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 40000; i++) {
        char members[128];
        snprintf(members, sizeof(members), "\"userId\":\"u\",\"properties\":{\"$p%d\":1,\"x\":%d}",
                 i, i);
        assert_int_equal(track(w, members), INGEST_FINE);
        assert_int_equal(w->batch.unnamed_count, 1);
        assert_int_equal(field(w, 0, "x").integer, i);
    }
    assert_int_equal(vocabulary_count_of(w->vocabulary, w->batch.records[0].source), 2);
}

static void described(void **state)
{
    struct world *w = *state;
    assert_int_equal(track(w, "\"userId\":\"u\",\"properties\":{\"a\":1,\"b\":\"x\"}"),
                     INGEST_FINE);
    struct str line = describe(w, 0);
    assert_true(str_starts(line, STR("{\"type\":\"event\",\"kind\":\"track\",\"event\":\"E\","
                                     "\"source\":\"web\",\"event_ms\":1795290820000,")));
    assert_true(
        str_ends(line, STR("\"clear\":{\"a\":1},\"personal\":{\"$user_id\":\"u\",\"b\":\"x\"}}")));
}

#define WITH_WORLD(sentence, function)            \
    {                                             \
        sentence, function, setup, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD("every captured request of seven SDKs gives its events", captures),
        WITH_WORLD("the write key comes from header, body or event, in this order", write_keys),
        WITH_WORLD("keys are checked and replaced at once", keys_are_checked),
        WITH_WORLD("ids are text or whole numbers", ids),
        WITH_WORLD("placeholders are no ids", junk_ids),
        WITH_WORLD("ids, names, texts and keys are taken at their limits and no further", lengths),
        WITH_WORLD("events nest to the limit and no further", deep),
        WITH_WORLD("events have fields to the limit and no more", many_fields),
        WITH_WORLD("events are taken to 32 KiB wherever they stand", event_size),
        WITH_WORLD("batches are taken to 500 KiB and 10,000 events", batch_size),
        WITH_WORLD("business events are nobody's and come with a server key only", business_events),
        WITH_WORLD("entries name a journey and come with a server key only", entries),
        WITH_WORLD("an address finds a person for a server key only",
                   addresses_find_people_for_server_keys),
        WITH_WORLD("a statement is about the address that it names",
                   statements_name_the_address_they_are_about),
        WITH_WORLD("times are corrected by sentAt and never lie in the future", times),
        WITH_WORLD("times of one minute are read as all others", times_in_turn),
        WITH_WORLD("members are found in whatever order, and names that look alike told apart",
                   members_in_any_order),
        WITH_WORLD("a message is known by its id, else by all it says", message_ids),
        WITH_WORLD("kinds and names are checked", names),
        WITH_WORLD("numbers of properties are clear, the rest is personal", bodies),
        WITH_WORLD("traits are personal and may stand in the context", traits),
        WITH_WORLD("a page's name and category are properties", page_names),
        WITH_WORLD("of two fields with one name the last counts", same_name_twice),
        WITH_WORLD("reserved names are kept apart", reserved_names),
        {"beyond a source's names fields are kept without one", few_names, setup_few_names,
         teardown, NULL},
        WITH_WORLD("the vocabulary can be learned from its records", vocabulary_is_logged),
        WITH_WORLD("answers say what was wrong and where", answers),
        WITH_WORLD("hostile bodies are refused", hostile_bodies),
        WITH_WORLD("bodies equal those that plain recursion makes", against_oracle),
        WITH_WORLD("a full cache of places begins anew", many_places),
        WITH_WORLD("a record can be shown as a line of JSON", described),
    };
    return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
