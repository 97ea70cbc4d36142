/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/ingest_routes.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "ingest/ingest_int.h"
#include "json/json_write.h"

#define SPARES_MAX      64           /* batches that wait to be used again */
#define SPARE_BYTES_MAX (256 * 1024) /* one that has grown beyond is given back */
#define RETRY_AFTER_MAX 300

/* A batch on its way, and whose it is. */
struct flight {
    struct ingest_batch batch; /* first: the batch's address is the flight's */
    struct ingest_routes *routes;
    struct http_request *request;
};

/* Tools that wait for a thread. There are as many as threads were ever inside at once. */
struct spare_worker {
    struct ingest_worker *worker;
    struct spare_worker *next;
};

struct ingest_routes {
    struct ingest *ingest;
    struct ingest_sink sink;
    struct arena arena;
    struct str public_url;
    char retry_after[16];

    struct os_mutex lock;
    struct spare_worker *workers;
    struct ingest_batch *batches; /* spare ones */
    uint32_t spare_count;

    atomic_uint_fast64_t request_count;
    atomic_uint_fast64_t event_count;
    atomic_uint_fast64_t rejected_count;
    atomic_uint_fast64_t refused_count;
    atomic_uint_fast64_t busy_count;
    atomic_uint_fast64_t full_count;
    atomic_uint_fast64_t junk_id_count;
    atomic_uint_fast64_t unnamed_count;
};

/* Any header may be asked for: analytics-next sends authorization, and x-retry-count from its second try
 * on, and what its next version adds must not stop it. It reads Retry-After where it may. */
static const struct http_cors cors = {
    .methods = {"GET, POST", 9},
    .exposed = {"Retry-After", 11},
    .max_age_s = 7200,
};

struct ingest_routes *ingest_routes_new(const struct ingest_routes_options *options)
{
    must(options->retry_after_s >= 1);
    must(options->retry_after_s <= RETRY_AFTER_MAX);
    must(options->sink.offer != NULL);
    struct ingest_routes *r = mem_new(sizeof(*r));
    r->ingest = options->ingest;
    r->sink = options->sink;
    arena_init(&r->arena, 512);
    r->public_url = arena_copy(&r->arena, options->public_url);
    while (str_ends(r->public_url, STR("/")))
        r->public_url.len--;
    snprintf(r->retry_after, sizeof(r->retry_after), "%u", options->retry_after_s);
    os_mutex_init(&r->lock);
    return r;
}

void ingest_routes_free(struct ingest_routes *r)
{
    if (r == NULL)
        return;
    while (r->workers != NULL) {
        struct spare_worker *spare = r->workers;
        r->workers = spare->next;
        ingest_worker_free(spare->worker);
        mem_free(spare);
    }
    while (r->batches != NULL) {
        struct ingest_batch *batch = r->batches;
        r->batches = batch->next;
        ingest_batch_fini(batch);
        mem_free(batch);
    }
    os_mutex_fini(&r->lock);
    arena_fini(&r->arena);
    mem_free(r);
}

/* --- Tools and batches, lent and given back --------------------------------------------------------- */

static struct spare_worker *borrow_worker(struct ingest_routes *r)
{
    os_mutex_lock(&r->lock);
    struct spare_worker *spare = r->workers;
    if (spare != NULL)
        r->workers = spare->next;
    os_mutex_unlock(&r->lock);
    if (spare != NULL)
        return spare;
    spare = mem_new(sizeof(*spare));
    spare->worker = ingest_worker_new(r->ingest);
    return spare;
}

static void return_worker(struct ingest_routes *r, struct spare_worker *spare)
{
    os_mutex_lock(&r->lock);
    spare->next = r->workers;
    r->workers = spare;
    os_mutex_unlock(&r->lock);
}

static struct flight *flight_new(struct ingest_routes *r, struct http_request *request)
{
    os_mutex_lock(&r->lock);
    struct ingest_batch *batch = r->batches;
    if (batch != NULL) {
        r->batches = batch->next;
        r->spare_count--;
    }
    os_mutex_unlock(&r->lock);
    struct flight *flight = (struct flight *)(void *)batch;
    if (flight == NULL) {
        flight = mem_new(sizeof(*flight));
        ingest_batch_init(&flight->batch);
    }
    flight->routes = r;
    flight->request = request;
    flight->batch.next = NULL;
    return flight;
}

void ingest_batch_release(struct ingest_batch *batch)
{
    struct flight *flight = (struct flight *)(void *)batch;
    struct ingest_routes *r = flight->routes;
    must(flight->request == NULL); /* answered before */
    bool is_small = batch->bytes.room <= SPARE_BYTES_MAX;
    ingest_batch_reset(batch);
    os_mutex_lock(&r->lock);
    bool is_kept = is_small && r->spare_count < SPARES_MAX;
    if (is_kept) {
        batch->next = r->batches;
        r->batches = batch;
        r->spare_count++;
    }
    os_mutex_unlock(&r->lock);
    if (!is_kept) {
        ingest_batch_fini(batch);
        mem_free(flight);
    }
}

/* --- Answers ---------------------------------------------------------------------------------------- */

static void count(atomic_uint_fast64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static void answer_with(struct ingest_routes *r, struct http_request *request,
                        enum ingest_error error, const struct ingest_batch *batch)
{
    struct http_header headers[HTTP_CORS_HEADERS + 2];
    size_t header_count = http_cors_headers(request, &cors, headers);
    struct buf body;
    buf_init(&body);
    uint32_t status = ingest_answer_write(error, batch, &body);
    if (status == 429 || status == 503)
        headers[header_count++] = (struct http_header){STR("Retry-After"), str_of(r->retry_after)};
    if (status == 405)
        headers[header_count++] = (struct http_header){STR("Allow"), STR("GET, POST, OPTIONS")};
    if (status == 401)
        headers[header_count++] =
            (struct http_header){STR("WWW-Authenticate"), STR("Basic realm=\"write key\"")};
    if (error != INGEST_FINE)
        count(&r->refused_count, 1);
    http_answer(request, &(struct http_reply){
                             .status = status,
                             .content_type = STR("application/json"),
                             .headers = headers,
                             .header_count = header_count,
                             .body = buf_str(&body),
                         });
    buf_fini(&body);
}

static void refuse(struct ingest_routes *r, struct http_request *request, enum ingest_error error)
{
    struct ingest_batch nothing;
    ingest_batch_init(&nothing);
    answer_with(r, request, error, &nothing);
}

/* Why nothing is stored though the request was fine: the problems in it are beside the point then. */
static void answer_unstored(struct flight *flight, enum ingest_error error)
{
    refuse(flight->routes, flight->request, error);
    flight->request = NULL;
}

void ingest_batch_answer(struct ingest_batch *batch, enum ingest_verdict verdict)
{
    struct flight *flight = (struct flight *)(void *)batch;
    struct ingest_routes *r = flight->routes;
    must(flight->request != NULL); /* once */
    switch (verdict) {
    case INGEST_DURABLE:
        count(&r->event_count, batch->record_count);
        answer_with(r, flight->request, INGEST_FINE, batch);
        flight->request = NULL;
        return;
    case INGEST_FULL:
        count(&r->full_count, 1);
        answer_unstored(flight, INGEST_DISK_FULL);
        return;
    case INGEST_IS_STOPPING: answer_unstored(flight, INGEST_STOPPING); return;
    case INGEST_FAILED: answer_unstored(flight, INGEST_NOT_STORED); return;
    }
}

/* --- Requests --------------------------------------------------------------------------------------- */

/* The key that the Authorization header names; false where it is malformed. A Bearer token that is no
 * key of ours belongs to an OAuth set-up that somebody else checks: then the body's key counts. */
static bool read_auth(struct ingest_routes *r, struct http_request *request,
                      struct ingest_request *out)
{
    struct str user, password;
    struct ingest_source source;
    switch (http_request_auth(request, &user, &password)) {
    case HTTP_AUTH_NONE: return true;
    case HTTP_AUTH_BASIC:
        if (str_find(password, STR(":"), 0) != SIZE_MAX || user.len == 0)
            return false;
        out->has_auth_key = true;
        out->auth_key = user;
        return true;
    case HTTP_AUTH_BEARER:
        out->has_auth_key = ingest_find_key(r->ingest, user, &source);
        out->auth_key = user;
        return true;
    case HTTP_AUTH_BAD: break;
    }
    return false;
}

static void handle_events(struct ingest_routes *r, struct http_request *request,
                          enum ingest_route route, struct str journey, struct str body)
{
    count(&r->request_count, 1);
    struct ingest_request in = {
        .route = route,
        .journey = journey,
        .body = body,
        .arrival_ms = http_request_arrived_ms(request),
    };
    if (!read_auth(r, request, &in)) {
        refuse(r, request, INGEST_BAD_AUTH);
        return;
    }
    struct flight *flight = flight_new(r, request);
    struct ingest_batch *batch = &flight->batch;
    struct spare_worker *spare = borrow_worker(r);
    enum ingest_error error = ingest_parse(spare->worker, &in, batch);
    return_worker(r, spare);
    count(&r->rejected_count, batch->rejected_count);
    count(&r->junk_id_count, batch->junk_id_count);
    count(&r->unnamed_count, batch->unnamed_count);

    if (error != INGEST_FINE || batch->record_count == 0) {
        answer_with(r, request, error, batch);
        flight->request = NULL;
        ingest_batch_release(batch);
        return;
    }
    switch (r->sink.offer(r->sink.context, batch)) {
    case OK: return; /* answered when it is durable */
    case TRY_AGAIN:
        count(&r->busy_count, 1);
        answer_unstored(flight, INGEST_BUSY);
        break;
    case GIVE_UP:
        count(&r->full_count, 1);
        answer_unstored(flight, INGEST_DISK_FULL);
        break;
    case FIX_INPUT: answer_unstored(flight, INGEST_NOT_STORED); break;
    }
    ingest_batch_release(batch);
}

void ingest_routes_post(struct ingest_routes *r, struct http_request *request,
                        enum ingest_route route, struct str body)
{
    handle_events(r, request, route, STR(""), body);
}

/* --- The settings document -------------------------------------------------------------------------- */

/* A Host header that is a host and perhaps a port. */
static bool is_host(struct str host)
{
    if (host.len == 0 || host.len > 255)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == ':' || c == '[' || c == ']' || c == '_';
        if (!is_fine)
            return false;
    }
    return true;
}

/* What analytics.js and the mobile SDKs fetch before they send: where to, and that nothing else is to
 * be loaded. */
static void write_settings(struct buf *out, struct str key, struct str host, struct str protocol)
{
    struct json_writer w;
    struct buf api_host;
    buf_init(&api_host);
    buf_add_str(&api_host, host);
    buf_add_str(&api_host, STR("/v1"));
    json_write_init(&w, out, JSON_COMPACT);
    json_write_map(&w);
    json_write_key(&w, STR("integrations"));
    json_write_map(&w);
    json_write_key(&w, STR("Segment.io"));
    json_write_map(&w);
    json_write_key_text(&w, "apiKey", key);
    json_write_key_text(&w, "apiHost", buf_str(&api_host));
    json_write_key_text(&w, "protocol", protocol);
    json_write_key_text(&w, "bundlingStatus", STR("bundled"));
    json_write_key_text(&w, "type", STR("server"));
    json_write_key_bool(&w, "unbundledIntegrations", false);
    json_write_end(&w);
    json_write_end(&w);
    json_write_key(&w, STR("plan"));
    json_write_raw(&w, STR("{\"track\":{\"__default\":{\"enabled\":true,\"integrations\":{}}},"
                           "\"identify\":{\"__default\":{\"enabled\":true}},"
                           "\"group\":{\"__default\":{\"enabled\":true}}}"));
    json_write_key(&w, STR("edgeFunction"));
    json_write_raw(&w, STR("{}"));
    json_write_key_bool(&w, "legacyVideoPluginsEnabled", false);
    json_write_key(&w, STR("remotePlugins"));
    json_write_raw(&w, STR("[]"));
    json_write_end(&w);
    buf_fini(&api_host);
}

static void handle_settings(struct ingest_routes *r, struct http_request *request, struct str key)
{
    struct ingest_source source;
    struct str host = http_request_header(request, "host");
    struct str protocol = STR("http");
    if (str_equal_nocase(http_request_header(request, "x-forwarded-proto"), STR("https")))
        protocol = STR("https");
    bool is_configured = r->public_url.len != 0;
    if (is_configured) {
        size_t mark = str_find(r->public_url, STR("://"), 0);
        protocol = mark == SIZE_MAX ? STR("https") : str_part(r->public_url, 0, mark);
        host = mark == SIZE_MAX ? r->public_url : str_part(r->public_url, mark + 3, SIZE_MAX);
    }
    if (!ingest_find_key(r->ingest, key, &source) || (source.flags & RECORD_IS_SERVER) != 0 ||
        (!is_configured && !is_host(host))) {
        refuse(r, request, INGEST_NOT_FOUND); /* a secret key is no browser's business */
        return;
    }
    struct http_header headers[HTTP_CORS_HEADERS + 1];
    size_t header_count = http_cors_headers(request, &cors, headers);
    headers[header_count++] = (struct http_header){
        STR("Cache-Control"), is_configured ? STR("public, max-age=300") : STR("no-store")};
    struct buf body;
    buf_init(&body);
    write_settings(&body, key, host, protocol);
    http_answer(request, &(struct http_reply){
                             .status = 200,
                             .content_type = STR("application/json"),
                             .headers = headers,
                             .header_count = header_count,
                             .body = buf_str(&body),
                         });
    buf_fini(&body);
}

/* The key in /v1/projects/KEY/settings or /projects/KEY/settings. */
static bool settings_key(struct str path, struct str *key)
{
    if (str_starts(path, STR("/v1/")))
        path = str_part(path, 3, SIZE_MAX);
    if (!str_starts(path, STR("/projects/")) || !str_ends(path, STR("/settings")))
        return false;
    size_t around = STR("/projects/").len + STR("/settings").len;
    if (path.len <= around)
        return false;
    *key = str_part(path, STR("/projects/").len, path.len - around);
    return str_find(*key, STR("/"), 0) == SIZE_MAX;
}

bool ingest_journey_name(struct str path, struct str *name)
{
    struct str before = STR("/v1/journeys/"), after = STR("/enter");
    if (!str_starts(path, before) || !str_ends(path, after) || path.len <= before.len + after.len)
        return false;
    *name = str_part(path, before.len, path.len - before.len - after.len);
    return str_find(*name, STR("/"), 0) == SIZE_MAX;
}

static bool find_route(struct str path, enum ingest_route *out, struct str *journey)
{
    static const struct {
        struct str path;
        enum ingest_route route;
    } routes[] = {
#define ROUTE(path, route) {{path, sizeof(path) - 1}, INGEST_##route},
#include "ingest/routes.def"
#undef ROUTE
    };
    for (size_t i = 0; i < array_count(routes); i++) {
        if (str_equal(routes[i].path, path)) {
            *out = routes[i].route;
            return true;
        }
    }
    *out = INGEST_ENTER;
    return ingest_journey_name(path, journey);
}

bool ingest_routes_handle(struct ingest_routes *r, struct http_request *request)
{
    enum ingest_route route;
    struct str key;
    struct str path = http_request_path(request);
    enum http_method method = http_request_method(request);
    struct str journey = STR("");
    bool is_events = find_route(path, &route, &journey);
    bool is_settings = !is_events && settings_key(path, &key);
    if (!is_events && !is_settings)
        return false;
    if (method == HTTP_OPTIONS)
        http_answer_preflight(request, &cors);
    else if (is_events && method == HTTP_POST)
        handle_events(r, request, route, journey, http_request_body(request));
    else if (is_settings && (method == HTTP_GET || method == HTTP_HEAD))
        handle_settings(r, request, key);
    else
        refuse(r, request, INGEST_METHOD);
    return true;
}

struct ingest_counters ingest_routes_counters(struct ingest_routes *r)
{
    return (struct ingest_counters){
        .requests = atomic_load(&r->request_count),
        .events = atomic_load(&r->event_count),
        .rejected = atomic_load(&r->rejected_count),
        .refused = atomic_load(&r->refused_count),
        .busy = atomic_load(&r->busy_count),
        .full = atomic_load(&r->full_count),
        .junk_ids = atomic_load(&r->junk_id_count),
        .unnamed = atomic_load(&r->unnamed_count),
    };
}
