/* http.c - requests whose answers are wanted: the step `call`, and tasks for services that want no signed
 * webhook.
 *
 * What is rendered is one JSON document (programme/errand.c makes its template):
 *
 *     {"key": "...", "method": "POST", "once": false, "timeout": 5000, "path": "/customers/u1",
 *     "headers": {"X-Reason": "..."},"body": ...}
 *
 * What an answer means:
 *
 *     2xx                            accepted: its body goes back with what came of it
 *     401, 403                       our secret is refused: nothing passes until it is mended
 *     408, 425, 429, 502, 503, 504   slower; Retry-After counts
 *     5xx                            tried again
 *     all else                       refused for good: 3xx too, as nothing is followed
 *
 * `once` has one request written and no more: then every answer but 2xx is refused for good, and none is in
 * doubt. Without it a repetition carries the same Idempotency-Key, which is the errand's and not the
 * attempt's.
 *
 * Secrets stand in the provider's settings alone, and go nowhere but into the request's headers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "channel/request.h"

#include <stdio.h>

#include "base/mem.h"
#include "channel/base64.h"
#include "model/answer.h"
#include "json/json.h"

#define KEY_HEADER_MAX 64

// clang-format off
static const struct channel_setting settings[] = {
    {.name = "url", .kind = CHANNEL_SETTING_URL, .is_required = true,
     .doc = "where the service is, https://...; a call's path comes behind it"},
    {.name = "bearer", .kind = CHANNEL_SETTING_SECRET,
     .doc = "the token of the header Authorization: Bearer"},
    {.name = "user", .kind = CHANNEL_SETTING_TEXT, .doc = "the name for Authorization: Basic"},
    {.name = "password", .kind = CHANNEL_SETTING_SECRET, .doc = "its password"},
    {.name = "key_header", .kind = CHANNEL_SETTING_TEXT,
     .doc = "the name of a header that has a key: X-Api-Key"},
    {.name = "key", .kind = CHANNEL_SETTING_SECRET, .doc = "the key"},
    {.name = "timeout", .kind = CHANNEL_SETTING_DURATION, .standard = "15s", .least = 100,
     .most = MINUTE_MS, .doc = "longest wait for an answer"},
    {.name = "ca_file", .kind = CHANNEL_SETTING_TEXT,
     .doc = "certificates to trust (PEM), instead of the system's"},
    {.name = "allow_addresses", .kind = CHANNEL_SETTING_NETWORKS,
     .doc = "addresses inside a network that may be reached, such as 10.1.0.0/16"},
    {.name = "allow_ports", .kind = CHANNEL_SETTING_PORTS,
     .doc = "ports besides 80 and 443 that may be reached"},
    {0},
};
// clang-format on

/* --- checks ----------------------------------------------------------------------------------- */

static bool is_clean(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] < ' ' || text.at[i] == 0x7f)
            return false;
    return true;
}

static bool is_token(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_';
        if (!is_fine)
            return false;
    }
    return name.len > 0 && name.len <= KEY_HEADER_MAX;
}

static bool is_given(const struct channel_provider *p, const char *setting)
{
    return channel_provider_get(p, setting)->is_given;
}

static enum status provider_check(const struct channel_provider *p, struct fault *f)
{
    static const char *const secrets[] = {"bearer", "password", "key"};
    enum status status = request_check(p, f);
    struct str url = channel_provider_text(p, "url");
    struct str user = channel_provider_text(p, "user");
    struct str header = channel_provider_text(p, "key_header");
    bool has_secret = false;
    if (status != OK)
        return status;
    for (size_t i = 0; i < array_count(secrets); i++) {
        struct str secret = channel_provider_text(p, secrets[i]);
        has_secret |= is_given(p, secrets[i]);
        if (!is_clean(secret)) {
            fault_set(f, "%s: it has a line break or control character", secrets[i]);
            return FIX_INPUT;
        }
    }
    if (is_given(p, "bearer") && is_given(p, "password")) {
        fault_set(f, "bearer: there is one header Authorization, and user and password fill it");
        return FIX_INPUT;
    }
    if (is_given(p, "user") != is_given(p, "password") || !is_clean(user)) {
        fault_set(f, "user: user and password go together");
        return FIX_INPUT;
    }
    bool has_header = is_given(p, "key_header");
    if (has_header != is_given(p, "key") || (header.len > 0 && !is_token(header))) {
        fault_set(f, "key_header: the name of a header, and key its value");
        return FIX_INPUT;
    }
    if (has_secret && str_starts(url, STR("http:")) &&
        channel_provider_text(p, "allow_addresses").len == 0) {
        fault_set(f, "url: a secret goes over https://, or inside a network that allow_addresses "
                     "names");
        return FIX_INPUT;
    }
    return OK;
}

/* --- the request ------------------------------------------------------------------------------ */

struct call {
    struct str method;
    struct str url; /* ends with a NUL */
    int64_t timeout_ms;
    bool is_once;
    uint32_t header_count;
    struct str *header_names;
    struct str *header_values;
    struct str key;
};

/* What values could lead a path to: elsewhere in the service. */
static bool is_path(struct str path)
{
    struct str part = path;
    if (path.len == 0 || path.at[0] != '/')
        return false;
    for (size_t i = 0; i < path.len; i++)
        if (path.at[i] <= ' ' || path.at[i] >= 0x7f || path.at[i] == '\\' || path.at[i] == '#')
            return false;
    part = str_part(path, 0, min_of(str_find(path, STR("?"), 0), path.len));
    while (part.len > 0) {
        size_t end = min_of(str_find(part, STR("/"), 1), part.len);
        struct str segment = str_part(part, 1, end - 1);
        if (str_is(segment, ".") || str_is(segment, ".."))
            return false;
        part = str_part(part, end, SIZE_MAX);
    }
    return true;
}

static enum status read_headers(struct json_node map, struct arena *arena, struct call *out,
                                struct fault *f)
{
    struct json_each each = json_each(map);
    uint32_t room = 0;
    while (json_next(&each))
        room++;
    out->header_names = arena_array(arena, struct str, room + 1);
    out->header_values = arena_array(arena, struct str, room + 1);
    each = json_each(map);
    while (json_next(&each)) {
        struct str value = json_text(each.node);
        if (!is_clean(value)) {
            fault_set(f, "the header %.*s has a line break or control character",
                      STR_ARG(each.key));
            return FIX_INPUT;
        }
        out->header_names[out->header_count] = arena_copy(arena, each.key);
        out->header_values[out->header_count++] = arena_copy(arena, value);
    }
    return OK;
}

static enum status read_call(const struct channel_provider *p, struct json_node root,
                             struct arena *arena, struct call *out, struct fault *f)
{
    struct str url = channel_provider_text(p, "url");
    struct str path = json_text(json_find(root, STR("path")));
    if (path.len > 0 && !is_path(path)) {
        fault_set(f, "what the path rendered is no path");
        return FIX_INPUT;
    }
    while (path.len > 0 && url.len > 0 && url.at[url.len - 1] == '/')
        url.len--;
    out->method = arena_copy(arena, json_text(json_find(root, STR("method"))));
    out->key = arena_copy(arena, json_text(json_find(root, STR("key"))));
    out->is_once = json_is_true(json_find(root, STR("once")));
    if (!json_int(json_find(root, STR("timeout")), &out->timeout_ms))
        out->timeout_ms = channel_provider_integer(p, "timeout");
    out->url = arena_printf(arena, "%.*s%.*s", STR_ARG(url), STR_ARG(path));
    if (!is_token(out->method) || out->key.len == 0 || !is_clean(out->key)) {
        fault_set(f, "what the call's template rendered is no call");
        return FIX_INPUT;
    }
    return read_headers(json_find(root, STR("headers")), arena, out, f);
}

static enum status assemble(const struct channel_provider *p, const struct channel_message *m,
                            const struct str *parts, struct channel_payload *out, struct fault *f)
{
    static const struct str mark = {"},\"body\":", 9};
    struct str json = str_trim(parts[channel_part_index(CHANNEL_WEBHOOK, "json")]);
    struct json_parser *parser = json_parser_new(CHANNEL_JSON_BYTES_MAX);
    struct json_node root = {0};
    struct call *call = arena_new(&out->scratch, struct call);
    enum status status = json_parse(parser, json, JSON_DEPTH, &root, f);
    (void)m;
    *call = (struct call){0};
    if (status != OK)
        fault_prefix(f, "what the call's templates rendered is not JSON: ");
    else
        status = read_call(p, root, &out->scratch, call, f);
    bool has_body = !json_is(json_find(root, STR("body")), JSON_NULL);
    json_parser_free(parser);
    if (status != OK)
        return FIX_INPUT;
    /* Quotes in values are escaped, so the first mark is the template's; the body is sent as it was
     * written. */
    size_t at = str_find(json, mark, 0);
    must(at != SIZE_MAX);
    if (has_body)
        buf_add_str(&out->bytes,
                    str_trim(str_part(json, at + mark.len, json.len - at - mark.len - 1)));
    out->more = call;
    out->to = call->url;
    return OK;
}

/* --- the connection --------------------------------------------------------------------------- */

struct http_connection {
    struct request request;
    struct buf answer;
};

static void *connection_new(const struct channel_provider *p, const struct channel_stop *stop)
{
    struct http_connection *c = mem_new(sizeof(*c));
    request_init(&c->request, p, stop);
    buf_init(&c->answer);
    c->request.answer = &c->answer;
    return c;
}

static void connection_rest(void *connection)
{
    struct http_connection *c = connection;
    request_rest(&c->request);
}

static void connection_free(void *connection)
{
    struct http_connection *c = connection;
    request_fini(&c->request);
    buf_fini(&c->answer);
    mem_free(c);
}

/* --- sending ---------------------------------------------------------------------------------- */

static struct curl_slist *add_secrets(struct curl_slist *list, const struct channel_provider *p)
{
    struct str bearer = channel_provider_text(p, "bearer");
    struct str user = channel_provider_text(p, "user");
    struct str password = channel_provider_text(p, "password");
    struct str header = channel_provider_text(p, "key_header");
    struct buf text;
    char name[KEY_HEADER_MAX + 1];
    buf_init(&text);
    if (bearer.len > 0) {
        buf_printf(&text, "Bearer %.*s", STR_ARG(bearer));
        list = request_header(list, "Authorization", buf_str(&text));
    } else if (password.len > 0) {
        struct buf plain;
        buf_init(&plain);
        buf_printf(&plain, "%.*s:%.*s", STR_ARG(user), STR_ARG(password));
        buf_add_str(&text, STR("Basic "));
        base64_write(&text, buf_str(&plain));
        list = request_header(list, "Authorization", buf_str(&text));
        buf_fini(&plain);
    }
    if (header.len > 0 && str_to_z(header, name, sizeof(name)))
        list = request_header(list, name, channel_provider_text(p, "key"));
    buf_fini(&text);
    return list;
}

static struct curl_slist *headers_of(const struct channel_provider *p, const struct call *call,
                                     bool has_body)
{
    char name[KEY_HEADER_MAX + 1];
    struct curl_slist *list = request_header(NULL, "Accept", STR("application/json"));
    list = curl_slist_append(list, "Expect:");
    if (has_body)
        list = request_header(list, "Content-Type", STR("application/json"));
    list = request_header(list, "Idempotency-Key", call->key);
    for (uint32_t i = 0; i < call->header_count; i++)
        if (str_to_z(call->header_names[i], name, sizeof(name)))
            list = request_header(list, name, call->header_values[i]);
    return add_secrets(list, p);
}

static enum transmission_outcome outcome_of(const struct transmission *t, bool is_once)
{
    if (t->code < 200 || t->outcome == TRANSMISSION_ACCEPTED)
        return t->outcome;
    if (is_once)
        return TRANSMISSION_BAD_MESSAGE;
    switch (t->code) {
    case 401:
    case 403: return TRANSMISSION_NO_ACCESS;
    case 408:
    case 425:
    case 429:
    case 502:
    case 503:
    case 504: return TRANSMISSION_SLOW_DOWN;
    }
    return t->code >= 500 ? TRANSMISSION_SOFT : TRANSMISSION_BAD_MESSAGE;
}

static void send_http(void *connection, const struct channel_payload *payload, int64_t now_ms,
                      struct transmission *out)
{
    struct http_connection *c = connection;
    const struct call *call = payload->more;
    char method[KEY_HEADER_MAX + 1];
    bool has_body = payload->bytes.len > 0;
    (void)now_ms;
    must(str_to_z(call->method, method, sizeof(method)));
    CURL *easy = request_begin(&c->request);
    curl_easy_setopt(easy, CURLOPT_URL, call->url.at);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->timeout_ms);
    if (has_body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)payload->bytes.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, payload->bytes.at);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT,
                     call->is_once ? 1L : 0L); /* none is written again */
    bool is_whole = request_send(&c->request, headers_of(c->request.provider, call, has_body),
                                 payload->bytes.len, out);
    out->outcome = outcome_of(out, call->is_once);
    if (out->outcome != TRANSMISSION_ACCEPTED)
        return;
    out->answer = buf_str(&c->answer);
    if (c->request.answer_bytes > REQUEST_ANSWER_MAX) {
        out->outcome = TRANSMISSION_BAD_MESSAGE;
        snprintf(out->detail, sizeof(out->detail), "the answer is larger than %d KiB",
                 REQUEST_ANSWER_MAX / 1024);
    } else if (!is_whole) {
        out->outcome = TRANSMISSION_IN_DOUBT;
        snprintf(out->detail, sizeof(out->detail), "the answer broke off");
    }
}

const struct channel_kind channel_http = {
    .name = "http",
    .doc = "an HTTP request whose answer is wanted: the steps call and task",
    .channels = 1u << CHANNEL_WEBHOOK,
    .settings = settings,
    .provider_check = provider_check,
    .assemble = assemble,
    .connection_new = connection_new,
    .connection_free = connection_free,
    .connection_rest = connection_rest,
    .send = send_http,
};
