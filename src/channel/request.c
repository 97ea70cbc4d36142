/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/request.h"

#include <stdio.h>
#include <sys/socket.h>

#define RETRY_AFTER_MS_MAX DAY_MS

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

enum status request_check(const struct channel_provider *p, struct fault *f)
{
    struct egress egress;
    enum status status = read_egress(p, &egress, f);
    struct str url = channel_provider_text(p, "url");
    if (status == OK && url.len > 0)
        status = url_check(url.at, &egress, f);
    return status;
}

/* --- the handle ------------------------------------------------------------------------------- */

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct request *r = context;
    (void)purpose;
    const char *refusal = egress_refusal(&r->egress, &to->addr);
    if (refusal != NULL) {
        r->refusal = refusal;
        return CURL_SOCKET_BAD;
    }
    r->is_fresh = true;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t on_header(char *at, size_t size, size_t count, void *context)
{
    struct request *r = context;
    (void)at;
    r->answer_bytes += size * count;
    return r->answer_bytes <= REQUEST_ANSWER_MAX ? size * count : 0;
}

static size_t on_answer(char *at, size_t size, size_t count, void *context)
{
    struct request *r = context;
    size_t taken = on_header(at, size, count, context);
    if (taken > 0 && r->answer != NULL)
        buf_add(r->answer, at, taken);
    return taken;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    const struct request *r = context;
    (void)down_total, (void)down, (void)up_total, (void)up;
    return channel_stop_is_asked(r->stop);
}

static void open_handle(struct request *r)
{
    CURL *easy = curl_easy_init();
    must(easy != NULL);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* nor what the environment says */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->error);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "wend");
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, r);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, r);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    if (channel_provider_text(r->provider, "ca_file").len > 0)
        curl_easy_setopt(easy, CURLOPT_CAINFO, channel_provider_text(r->provider, "ca_file").at);
    r->easy = easy;
}

void request_init(struct request *r, const struct channel_provider *p,
                  const struct channel_stop *stop)
{
    *r = (struct request){.provider = p, .stop = stop};
    must(read_egress(p, &r->egress, NULL) == OK);
}

void request_rest(struct request *r)
{
    curl_easy_cleanup(r->easy);
    r->easy = NULL;
}

void request_fini(struct request *r)
{
    request_rest(r);
}

CURL *request_begin(struct request *r)
{
    int64_t timeout_ms = channel_provider_integer(r->provider, "timeout");
    r->refusal = NULL;
    r->answer_bytes = 0;
    r->is_fresh = false;
    r->error[0] = '\0';
    if (r->answer != NULL)
        r->answer->len = 0;
    if (r->easy == NULL)
        open_handle(r);
    curl_easy_setopt(r->easy, CURLOPT_URL, channel_provider_text(r->provider, "url").at);
    curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    return r->easy;
}

/* --- what came of it -------------------------------------------------------------------------- */

enum transmission_outcome request_outcome(long status)
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

static enum transmission_outcome outcome_without_answer(struct request *r, CURLcode code,
                                                        size_t body_bytes)
{
    curl_off_t sent = 0;
    long head_bytes = 0;
    curl_easy_getinfo(r->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &head_bytes);
    if (head_bytes > 0 && (size_t)sent >= body_bytes)
        return TRANSMISSION_IN_DOUBT;
    switch ((int)code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return TRANSMISSION_NO_ACCESS;
    }
    return TRANSMISSION_UNREACHABLE;
}

static void judge(struct request *r, CURLcode code, size_t body_bytes, struct transmission *out)
{
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    out->is_fresh = r->is_fresh;
    out->code = (int32_t)status;
    if (status >= 200) {
        curl_off_t seconds = 0;
        out->outcome = request_outcome(status);
        if (curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
            out->retry_after_ms =
                min_of((int64_t)seconds, RETRY_AFTER_MS_MAX / SECOND_MS) * SECOND_MS;
        snprintf(out->detail, sizeof(out->detail), "HTTP %ld", status);
        return;
    }
    if (r->refusal != NULL && code == CURLE_COULDNT_CONNECT) {
        out->outcome = TRANSMISSION_NO_ACCESS;
        snprintf(out->detail, sizeof(out->detail), "the address is not connected to: %s",
                 r->refusal);
        return;
    }
    out->outcome = outcome_without_answer(r, code, body_bytes);
    const char *error = r->error[0] ? r->error : curl_easy_strerror(code);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        error = "stopped";
    snprintf(out->detail, sizeof(out->detail), "%.200s", error);
}

bool request_send(struct request *r, struct curl_slist *headers, size_t body_bytes,
                  struct transmission *out)
{
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(r->easy);
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    judge(r, code, body_bytes, out);
    return code == CURLE_OK;
}

struct curl_slist *request_header(struct curl_slist *list, const char *name, struct str value)
{
    struct buf line;
    buf_init(&line);
    buf_printf(&line, "%s: %.*s", name, STR_ARG(value));
    buf_add_byte(&line, 0);
    list = curl_slist_append(list, (char *)line.at);
    must(list != NULL);
    buf_fini(&line);
    return list;
}
