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
 * The URL is somebody's input: request.h says what guards it. Nothing of an answer is kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "channel/request.h"

#include <stdio.h>

#include "base/mem.h"
#include "channel/sign.h"
#include "json/json.h"
#include "json/json_write.h"

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

static enum status provider_check(const struct channel_provider *p, struct fault *f)
{
    enum status status = request_check(p, f);
    struct str secret = channel_provider_text(p, "secret");
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

static void *connection_new(const struct channel_provider *p, const struct channel_stop *stop)
{
    struct request *r = mem_new(sizeof(*r));
    request_init(r, p, stop);
    return r;
}

static void connection_rest(void *connection)
{
    request_rest(connection);
}

static void connection_free(void *connection)
{
    request_fini(connection);
    mem_free(connection);
}

/* --- sending ---------------------------------------------------------------------------------- */

static struct curl_slist *headers_of(const struct request *r, const struct channel_payload *payload,
                                     int64_t now_ms)
{
    char seconds[24];
    struct buf signature;
    buf_init(&signature);
    snprintf(seconds, sizeof(seconds), "%lld", (long long)(now_ms / SECOND_MS));
    sign_write(&signature, channel_provider_text(r->provider, "secret"), payload->id,
               now_ms / SECOND_MS, buf_str(&payload->bytes));
    struct curl_slist *list = request_header(NULL, "Content-Type", STR("application/json"));
    list = curl_slist_append(list, "Expect:");
    list = request_header(list, "webhook-id", payload->id);
    list = request_header(list, "webhook-timestamp", str_of(seconds));
    list = request_header(list, "webhook-signature", buf_str(&signature));
    buf_fini(&signature);
    return list;
}

static void send_webhook(void *connection, const struct channel_payload *payload, int64_t now_ms,
                         struct transmission *out)
{
    struct request *r = connection;
    must(payload->bytes.len > 0);
    CURL *easy = request_begin(r);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)payload->bytes.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, payload->bytes.at);
    (void)request_send(r, headers_of(r, payload, now_ms), payload->bytes.len, out);
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
