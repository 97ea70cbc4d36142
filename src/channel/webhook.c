/* webhook.c - signed HTTP requests, as standard-webhooks has them, by libcurl.
 *
 * What an answer means:
 *
 *     2xx                  accepted
 *     3xx                  a failure (nothing is followed: a redirect could lead into a network)
 *     401, 403             our secret is refused: nothing passes until it is mended
 *     400, 413, 415, 422   this message is refused
 *     410                  the endpoint is gone for good
 *     429, 502, 503, 504   slower; Retry-After counts
 *     all else             tried again by the plan
 *
 * A request that was written whole and got no answer is in doubt, but the receiver knows each message
 * by its webhook-id, which is the same in each try: the kind is idempotent, so it is sent again
 * whatever the lane.
 *
 * The URL is somebody's input. Where it leads is asked at the socket (egress.h); names that give
 * themselves away are refused when the file is checked already. Of an answer at most 64 KiB are read,
 * and nothing of it is kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <curl/curl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "channel/channel_int.h"
#include "channel/egress.h"
#include "channel/sign.h"
#include "json/json.h"
#include "json/json_write.h"

#define ANSWER_BYTES_MAX   (64 * 1024)
#define RETRY_AFTER_MS_MAX DAY_MS

// clang-format off
static const struct channel_setting settings[] = {
    {.name = "url", .kind = CHANNEL_SETTING_URL, .is_required = true,
     .doc = "where messages are posted to, https://..."},
    {.name = "secret", .kind = CHANNEL_SETTING_SECRET, .is_required = true,
     .doc = "whsec_ and a key in base64; during a change the new one and the old one"},
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

/* standard-webhooks: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h after each other. */
static const int64_t retry_delays_ms[] = {
    5 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS,  5 * HOUR_MS,
    10 * HOUR_MS,  14 * HOUR_MS,  20 * HOUR_MS,   24 * HOUR_MS,
};

/* --- checks ----------------------------------------------------------------------------------- */

static enum status read_egress(const struct channel_provider *p, struct egress *out,
                               struct fault *f)
{
    *out = (struct egress){0};
    enum status status = egress_parse_blocks(channel_provider_text(p, "allow_addresses"), out, f);
    if (status == OK)
        status = egress_parse_ports(channel_provider_text(p, "allow_ports"), out, f);
    return status;
}

static enum status url_check(const char *z, const struct egress *egress, struct fault *f)
{
    CURLU *url = curl_url();
    must(url != NULL);
    char *scheme = NULL, *host = NULL, *port = NULL;
    bool is_read = curl_url_set(url, CURLUPART_URL, z, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
                   curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                   curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                   curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    enum status status = FIX_INPUT;
    int64_t number;
    if (scheme != NULL && strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0) {
        fault_set(f, "url: expected https://, found %s://", scheme);
    } else if (!is_read || !str_to_int(str_of(port), &number)) {
        fault_set(f, "url: not a URL with a host");
    } else {
        struct str name = str_of(host);
        if (str_starts(name, STR("[")) && str_ends(name, STR("]")))
            name = str_part(name, 1, name.len - 2);
        const char *why = egress_host_refusal(egress, name, (uint16_t)number);
        if (why == NULL)
            status = OK;
        else
            fault_set(f,
                      "url: %s:%s is %s, which is not connected to; allow_addresses and "
                      "allow_ports make exceptions",
                      host, port, why);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    return status;
}

static enum status provider_check(const struct channel_provider *p, struct fault *f)
{
    struct egress egress;
    enum status status = read_egress(p, &egress, f);
    struct str url = channel_provider_text(p, "url");
    struct str secret = channel_provider_text(p, "secret");
    if (status == OK && url.len > 0)
        status = url_check(url.at, &egress, f);
    if (status == OK && secret.len > 0) {
        status = sign_secrets_check(secret, f);
        if (status != OK)
            fault_prefix(f, "secret: ");
    }
    return status;
}

/* --- the message ------------------------------------------------------------------------------ */

/* Another channel through a webhook: its parts as a JSON document. */
static void write_envelope(const struct channel_message *m, enum channel channel,
                           const struct str *parts, struct buf *out)
{
    size_t count;
    const struct channel_part *list = channel_parts(channel, &count);
    struct json_writer w;
    json_write_init(&w, out, JSON_COMPACT);
    json_write_map(&w);
    json_write_key_text(&w, "id", m->id);
    json_write_key_text(&w, "channel", channel_name(channel));
    json_write_key_text(&w, "to", m->to);
    if (m->unsubscribe_url.len > 0)
        json_write_key_text(&w, "unsubscribe_url", m->unsubscribe_url);
    for (size_t i = 0; i < count; i++)
        if (parts[i].len > 0)
            json_write_key_text(&w, list[i].name, parts[i]);
    json_write_end(&w);
}

static enum status assemble(const struct channel_provider *p, const struct channel_message *m,
                            const struct str *parts, struct channel_payload *out, struct fault *f)
{
    for (size_t i = 0; i < m->id.len; i++) {
        if (m->id.at[i] <= ' ' || m->id.at[i] > '~' || m->id.at[i] == '.') {
            fault_set(f, "\"%.*s\" cannot be a webhook's id", STR_ARG(m->id));
            return FIX_INPUT;
        }
    }
    if (p->channel != CHANNEL_WEBHOOK) {
        write_envelope(m, p->channel, parts, &out->bytes);
    } else {
        struct str json = str_trim(parts[channel_part_index(CHANNEL_WEBHOOK, "json")]);
        size_t offset;
        enum status status = json_locate(json, JSON_DEPTH, &offset, f);
        if (status != OK) {
            fault_prefix(f, "what webhook.json.liquid rendered is not JSON: ");
            return FIX_INPUT;
        }
        buf_add_str(&out->bytes, json);
    }
    out->to = channel_provider_text(p, "url");
    return OK;
}

/* --- the connection --------------------------------------------------------------------------- */

struct webhook_connection {
    const struct channel_provider *provider;
    const struct channel_stop *stop;
    struct egress egress;
    CURL *easy; /* NULL until needed */
    char error[CURL_ERROR_SIZE];

    /* The send that is running. */
    const char *refusal; /* the guard's, if it refused an address */
    size_t answer_bytes;
    bool is_fresh;
};

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct webhook_connection *c = context;
    (void)purpose;
    const char *refusal = egress_refusal(&c->egress, &to->addr);
    if (refusal != NULL) {
        c->refusal = refusal;
        return CURL_SOCKET_BAD;
    }
    c->is_fresh = true;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t on_answer(char *at, size_t size, size_t count, void *context)
{
    struct webhook_connection *c = context;
    (void)at;
    c->answer_bytes += size * count;
    return c->answer_bytes <= ANSWER_BYTES_MAX ? size * count : 0;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    const struct webhook_connection *c = context;
    (void)down_total, (void)down, (void)up_total, (void)up;
    return channel_stop_is_asked(c->stop);
}

static void open_handle(struct webhook_connection *c)
{
    CURL *easy = curl_easy_init();
    must(easy != NULL);
    int64_t timeout_ms = channel_provider_integer(c->provider, "timeout");
    curl_easy_setopt(easy, CURLOPT_URL, channel_provider_text(c->provider, "url").at);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* nor what the environment says */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "wend");
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, c);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_answer);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, c);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    if (channel_provider_text(c->provider, "ca_file").len > 0)
        curl_easy_setopt(easy, CURLOPT_CAINFO, channel_provider_text(c->provider, "ca_file").at);
    c->easy = easy;
}

static void *connection_new(const struct channel_provider *p, const struct channel_stop *stop)
{
    struct webhook_connection *c = mem_new(sizeof(*c));
    c->provider = p;
    c->stop = stop;
    must(read_egress(p, &c->egress, NULL) == OK);
    return c;
}

static void connection_rest(void *connection)
{
    struct webhook_connection *c = connection;
    curl_easy_cleanup(c->easy);
    c->easy = NULL;
}

static void connection_free(void *connection)
{
    connection_rest(connection);
    mem_free(connection);
}

/* --- sending ---------------------------------------------------------------------------------- */

static enum transmission_outcome outcome_of_status(long status)
{
    if (status >= 200 && status < 300)
        return TRANSMISSION_ACCEPTED;
    switch (status) {
    case 401:
    case 403: return TRANSMISSION_NO_ACCESS;
    case 400:
    case 413:
    case 415:
    case 422: return TRANSMISSION_BAD_MESSAGE;
    case 410: return TRANSMISSION_GONE;
    case 429:
    case 502:
    case 503:
    case 504: return TRANSMISSION_SLOW_DOWN;
    }
    return TRANSMISSION_SOFT;
}

static enum transmission_outcome outcome_without_answer(struct webhook_connection *c, CURLcode code,
                                                        size_t body_bytes)
{
    curl_off_t sent = 0;
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    if ((size_t)sent >= body_bytes)
        return TRANSMISSION_IN_DOUBT;
    switch ((int)code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return TRANSMISSION_NO_ACCESS;
    }
    return TRANSMISSION_UNREACHABLE;
}

static void judge(struct webhook_connection *c, CURLcode code, size_t body_bytes,
                  struct transmission *out)
{
    long status = 0;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    out->is_fresh = c->is_fresh;
    out->code = (int32_t)status;
    if (status >= 200) {
        curl_off_t seconds = 0;
        out->outcome = outcome_of_status(status);
        if (curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
            out->retry_after_ms =
                min_of((int64_t)seconds, RETRY_AFTER_MS_MAX / SECOND_MS) * SECOND_MS;
        snprintf(out->detail, sizeof(out->detail), "HTTP %ld", status);
        return;
    }
    if (c->refusal != NULL && code == CURLE_COULDNT_CONNECT) {
        out->outcome = TRANSMISSION_NO_ACCESS;
        snprintf(out->detail, sizeof(out->detail), "the address is not connected to: %s",
                 c->refusal);
        return;
    }
    out->outcome = outcome_without_answer(c, code, body_bytes);
    const char *error = c->error[0] ? c->error : curl_easy_strerror(code);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        error = "stopped";
    snprintf(out->detail, sizeof(out->detail), "%.200s", error);
}

static struct curl_slist *headers_of(const struct webhook_connection *c,
                                     const struct channel_payload *payload, int64_t now_ms)
{
    struct buf line;
    buf_init(&line);
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    list = curl_slist_append(list, "Expect:");
    buf_printf(&line, "webhook-id: %.*s", STR_ARG(payload->id));
    buf_add_byte(&line, 0);
    list = curl_slist_append(list, (char *)line.at);
    line.len = 0;
    buf_printf(&line, "webhook-timestamp: %lld", (long long)(now_ms / SECOND_MS));
    buf_add_byte(&line, 0);
    list = curl_slist_append(list, (char *)line.at);
    line.len = 0;
    buf_add_str(&line, STR("webhook-signature: "));
    sign_write(&line, channel_provider_text(c->provider, "secret"), payload->id, now_ms / SECOND_MS,
               buf_str(&payload->bytes));
    buf_add_byte(&line, 0);
    list = curl_slist_append(list, (char *)line.at);
    must(list != NULL);
    buf_fini(&line);
    return list;
}

static void send_webhook(void *connection, const struct channel_payload *payload, int64_t now_ms,
                         struct transmission *out)
{
    struct webhook_connection *c = connection;
    must(payload->bytes.len > 0);
    c->refusal = NULL;
    c->answer_bytes = 0;
    c->is_fresh = false;
    c->error[0] = '\0';
    if (c->easy == NULL)
        open_handle(c);
    struct curl_slist *headers = headers_of(c, payload, now_ms);
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)payload->bytes.len);
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, payload->bytes.at);
    CURLcode code = curl_easy_perform(c->easy);
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    judge(c, code, payload->bytes.len, out);
}

const struct channel_kind channel_webhook = {
    .name = "webhook",
    .doc = "a signed HTTP request for each message (standard-webhooks)",
    .channels =
        1u << CHANNEL_EMAIL | 1u << CHANNEL_SMS | 1u << CHANNEL_PUSH | 1u << CHANNEL_WEBHOOK,
    .is_idempotent = true,
    .settings = settings,
    .retry_delays_ms = retry_delays_ms,
    .retry_delays_count = array_count(retry_delays_ms),
    .provider_check = provider_check,
    .assemble = assemble,
    .connection_new = connection_new,
    .connection_free = connection_free,
    .connection_rest = connection_rest,
    .send = send_webhook,
};
