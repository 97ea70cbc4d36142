/* spine.c - the product's main path: a request of the tracking API is parsed, made durable, and
 * decided.
 *
 * The fixture: 1,000,000 people (BENCH_PEOPLE), each known by a user id and with an e-mail trait and
 * consent; 50 journeys, ten of which listen to the events that come (two to each of five), the others
 * to events that do not; every person has done one of them before. A batch is 100 track events of about
 * 600 bytes by random people, the bodies as @segment/analytics-node writes them. They are made before
 * the clock starts, and come without HTTP (ingest.c has that part).
 *
 * Durable means as `wend serve` does it, with its feed and its committer:
 *
 *     64 requests under way ──► parsers ──► feed ──► committer ──► engine ──► results ──► committer
 *           ▲                  PARSERS threads     fdatasync │    a thread
 *           └──────────────────── answered ──────────────────┘
 *
 * What is counted:
 *
 *     ingest_batch_durable   requests of 100 events, 64 under way: events per second, by wall
 *     ingest_batch_cpu       what an event costs, in nanoseconds of all threads together, the kernel's
 *                            included; _parse and _apply are the parsers' and the engine's threads, the
 *                            rest is the committer's
 *     ingest_batch_per_core  what one core could do at that cost: a second over it
 *     ingest_single_durable  single posts, 256 under way; _cpu, _per_core as above
 *     ingest_batch_serial    one thread that parses, syncs and applies one batch after the other
 *     parse_event, apply_event   parts of that, by the thread's own time
 *     log_bytes_per_event    the log's batches; log_result_bytes_per_event: its result blocks
 *     replay_events          reading back and applying, on one thread
 *     seal_records           records a second of processor time that closed segments are sealed with
 *     log_bytes_per_event_sealed  what a record of the traffic takes then, result blocks and index included
 *     log_open_sealed        records a second that are read back with what is personal in all of them
 *     replay_events_sealed   as replay_events, from sealed segments
 *     profile_bytes          memory of the engine's live state for each person of the fixture: profile,
 *                            traits, consent, history, instances, identifiers, dedupe, timers
 *     engine_resident        memory of the whole process then
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <time.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "evlog/evlog.h"
#include "evlog/seal.h"
#include "ingest/ingest.h"
#include "model/identifier.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "programme/programme.h"
#include "replay/directory.h"
#include "server/server_int.h"

#define BATCH_EVENTS  100
#define BATCH_FLIGHT  64
#define SINGLE_FLIGHT 256
#define PARSERS       2 /* the machine that the figures are quoted for has two cores */
#define START_MS      INT64_C(1772409600000)

struct bench {
    uint64_t people;
    struct directory directory;
    struct vocabulary *vocabulary;
    struct names *names;
    struct ingest *ingest;
    struct ingest_worker *worker;
    struct ingest_batch batch;
    struct evlog *log;
    struct engine *engine;
    struct plan *plan;
    uint32_t names_told;
    uint64_t traffic_batch; /* the first of what is measured */
    int64_t now_ms;
    uint64_t seed;
    struct buf body, results;
    struct arena scratch;
    struct record *records;
    int64_t parse_ns, apply_ns; /* this thread's own time */
    int64_t wall_ns;            /* from the request's bytes to the results, making requests aside */
    uint64_t actions;
};

static void must_be(enum status status, const struct fault *f)
{
    if (status != OK) {
        fprintf(stderr, "bench: %s\n", f->text);
        exit(1);
    }
}

static uint64_t next(struct bench *b)
{
    b->seed = b->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return b->seed >> 16;
}

/* ---- the programme ------------------------------------------------------------------------------ */

static struct plan *compile(struct names *names, struct programme_folder *folder)
{
    struct programme_file files[64];
    static char texts[64][1400];
    uint32_t count = 0;
    struct fault f = {0};
    struct findings findings;
    struct plan *plan = NULL;
    struct buf zones;
    files[count++] = (struct programme_file){
        STR("programme.yaml"),
        STR("name: Bench\ntimezone: Europe/London\n"
            "traits:\n  first_name: {type: string}\n"
            "categories:\n  lifecycle: {lane: marketing, valid_for: 3d, priority: 500}\n")};
    files[count++] = (struct programme_file){
        STR("providers/mail.yaml"),
        STR("kind: smtp\nchannel: email\nslots: 64\n"
            "settings: {url: 'smtp://127.0.0.1:2525', from: 'Bench <bench@example.org>'}\n")};
    files[count++] = (struct programme_file){
        STR("messages/hello/message.yaml"),
        STR("category: lifecycle\nemail:\n  subject: 'Hello {{ person.first_name }}'\n"
            "  from: 'Bench <bench@example.org>'\n")};
    files[count++] = (struct programme_file){STR("messages/hello/email.txt.liquid"),
                                             STR("Hello {{ entry.sku }}\n")};
    for (uint32_t i = 0; i < 50; i++) {
        int len = snprintf(texts[i], sizeof(texts[i]),
                           "journey: j%u\nowner: bench\n"
                           "goal: {event: Bought %u, within: 7d}\n"
                           "enter:\n  event: Event %u\n"
                           "  when: 'event.value >= %u.0 && event.currency == \"GBP\"'\n"
                           "  again: {after: 30d, of: end, per: person}\n"
                           "steps:\n  - wait: {for: 90d}\n  - send: hello\n",
                           i, i, i < 10 ? i / 2 : 100 + i, 50 + i * 20);
        char *path = texts[i] + len + 1;
        snprintf(path, 40, "journeys/j%u.yaml", i);
        files[count++] = (struct programme_file){str_of(path), {texts[i], (size_t)len}};
    }
    buf_init(&zones);
    findings_init(&findings);
    must_be(programme_zones(os_disk_real(), NULL, &zones, &f), &f);
    must_be(programme_folder_of(files, count, buf_str(&zones), folder, &f), &f);
    if (programme_compile(folder, names, &plan, &findings) != OK) {
        for (uint32_t i = 0; i < findings.count; i++)
            fprintf(stderr, "bench: %.*s:%u: %.*s\n", STR_ARG(findings.list[i].place.file),
                    findings.list[i].place.line, STR_ARG(findings.list[i].text));
        exit(1);
    }
    findings_fini(&findings);
    buf_fini(&zones);
    return plan;
}

/* ---- requests ----------------------------------------------------------------------------------- */

static void add_event(struct bench *b, bool is_first)
{
    uint64_t person = next(b) % b->people;
    buf_printf(
        &b->body,
        "%s{\"timestamp\":\"2026-03-02T09:53:29.629Z\",\"integrations\":{},\"event\":\"Event "
        "%lu\",\"type\":\"track\",\"properties\":{\"order_id\":\"50314b8e\",\"value\":%lu.5,"
        "\"currency\":\"GBP\",\"sku\":\"s%lu\",\"name\":\"A product with a name of some "
        "length\",\"category\":\"outdoor\",\"quantity\":%lu,\"coupon\":null,"
        "\"url\":\"https://shop.example/products/s%lu?ref=home\"},\"context\":{\"library\":"
        "{\"name\":\"@segment/analytics-node\",\"version\":\"3.1.0\"},\"ip\":\"203.0.113.7\","
        "\"locale\":\"en-GB\"},\"userId\":\"user-%lu\",\"messageId\":\"node-next-"
        "1795290809629-%016lx%08lx\",\"_metadata\":{\"nodeVersion\":\"v20.20.2\","
        "\"jsRuntime\":\"node\"}}",
        is_first ? "" : ",", next(b) % 5, next(b) % 40, next(b) % 1000, 1 + next(b) % 4,
        next(b) % 1000, person, next(b), next(b) & 0xffffffff);
}

static void make_batch(struct bench *b)
{
    b->body.len = 0;
    buf_add_str(&b->body, STR("{\"batch\":["));
    for (uint32_t i = 0; i < BATCH_EVENTS; i++)
        add_event(b, i == 0);
    buf_add_str(&b->body, STR("],\"sentAt\":\"2026-03-02T09:53:30.000Z\"}"));
}

static void parse(struct bench *b)
{
    struct ingest_request request = {.route = INGEST_BATCH,
                                     .body = buf_str(&b->body),
                                     .has_auth_key = true,
                                     .auth_key = STR("wk_bench"),
                                     .arrival_ms = b->now_ms};
    int64_t start_ns = os_clock_thread_ns();
    if (ingest_parse(b->worker, &request, &b->batch) != INGEST_FINE) {
        fprintf(stderr, "bench: a request was refused\n");
        exit(1);
    }
    b->parse_ns += os_clock_thread_ns() - start_ns;
}

/* Appends and applies what is in b->records: names first. */
static void append_and_apply(struct bench *b, uint32_t count)
{
    struct fault f = {0};
    struct engine_output out;
    for (uint32_t i = 0; i < count; i++)
        b->records[i].at_ms = b->now_ms;
    struct batch batch = {engine_batch(b->engine) + 1, b->now_ms, count, b->records};
    if (b->log != NULL)
        must_be(evlog_append(b->log, &batch, &f), &f);
    if (b->log != NULL)
        must_be(evlog_commit(b->log, &f), &f);
    int64_t start_ns = os_clock_thread_ns();
    engine_apply(b->engine, &batch, &out);
    b->apply_ns += os_clock_thread_ns() - start_ns;
    b->actions += out.action_count;
    b->results.len = 0;
    results_write(out.results, out.result_count, b->now_ms, &b->results);
    if (b->log != NULL)
        must_be(evlog_append_results(b->log, batch.number, buf_str(&b->results), &f), &f);
}

static uint32_t tell_names(struct bench *b)
{
    uint32_t count = 0;
    arena_reset(&b->scratch);
    for (; b->names_told < vocabulary_count(b->vocabulary); b->names_told++)
        b->records[count++] =
            vocabulary_record(b->vocabulary, b->names_told, b->now_ms, &b->scratch);
    return count;
}

/* One request, parsed, made durable and applied. */
static void one_batch(struct bench *b)
{
    make_batch(b);
    b->now_ms += 1;
    int64_t start_ns = os_clock_monotonic_ns();
    parse(b);
    uint32_t count = tell_names(b);
    memcpy(&b->records[count], b->batch.records, b->batch.record_count * sizeof(b->records[0]));
    append_and_apply(b, count + b->batch.record_count);
    b->wall_ns += os_clock_monotonic_ns() - start_ns;
}

/* ---- the fixture -------------------------------------------------------------------------------- */

static void make_people(struct bench *b)
{
    struct buf clear;
    char id[32], email[48];
    buf_init(&clear);
    body_put_text(&clear, NAME_STATUS, STR("granted"));
    for (uint64_t first = 0; first < b->people; first += 1000) {
        uint32_t count = tell_names(b);
        static struct buf personal[1000];
        for (uint64_t i = first; i < min_of(first + 1000, b->people); i++) {
            struct buf *p = &personal[i - first];
            p->len = 0;
            snprintf(id, sizeof(id), "user-%lu", i);
            snprintf(email, sizeof(email), "user-%lu@customers.example", i);
            body_put_text(p, NAME_USER_ID, str_of(id));
            body_put_text(p, NAME_EMAIL, str_of(email));
            struct record r = {
                .type = RECORD_EVENT,
                .kind = EVENT_IDENTIFY,
                .flags = RECORD_IS_SERVER,
                .schema = RECORD_SCHEMA,
                .event_ms = b->now_ms,
                .arrival_ms = b->now_ms,
                .message_hash = hash_pair(i, 1) | 1,
                .user = identifier_hash(IDENTIFIER_USER, str_of(id), b->directory.secret),
                .personal = body_of(p),
            };
            b->records[count++] = r;
            r.kind = EVENT_TRACK;
            r.name = NAME_CONSENT_CHANGED;
            r.message_hash = hash_pair(i, 2) | 1;
            r.clear = body_of(&clear);
            b->records[count++] = r;
        }
        b->now_ms += 1;
        append_and_apply(b, count);
    }
    buf_fini(&clear);
}

static void open_log(struct bench *b, enum evlog_spare spare)
{
    struct fault f = {0};
    struct evlog_options options = {.disk = os_disk_real(), .spare = spare};
    if (b->log != NULL)
        must_be(evlog_close(b->log, &f), &f);
    must_be(evlog_open(b->directory.log, &options, &b->log, &f), &f);
}

/* ---- as the server does it ---------------------------------------------------------------------- */

struct request {
    struct ingest_batch batch; /* first: it is found by it */
    struct buf *body;
};

/* A durable batch: the committer's thread answers, the engine's applies, the last one gives it back. */
struct shared {
    struct committed *batch;
    atomic_uint owners;
};

struct host {
    struct bench *bench;
    struct server server; /* of it only what feed.c uses */
    enum ingest_route route;
    struct buf *bodies;
    uint64_t body_count;
    atomic_uint_fast64_t body_next;
    struct os_queue *clients; /* that have an answer and may send again */
    struct os_queue *free;    /* struct request * */
    struct os_queue *batches; /* struct shared * */
    atomic_int_fast64_t parse_ns, apply_ns;
};

static int64_t process_ns(void)
{
    struct timespec t;
    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t host_now(void *context)
{
    struct host *h = context;
    return server_now_ms(&h->server);
}

static void give_back(struct host *h, struct shared *shared)
{
    if (atomic_fetch_sub(&shared->owners, 1) != 1)
        return;
    for (uint32_t i = 0; i < shared->batch->part_count; i++) {
        struct entry *e = shared->batch->parts[i].token;
        if (e->kind == ENTRY_EVENTS) {
            struct request *r = (struct request *)(void *)e->events;
            must(os_queue_push(h->free, &r) == OK);
        }
        entry_free(e);
    }
    committer_release(h->server.committer, shared->batch);
    mem_free(shared);
}

static void host_committed(void *context, struct committed *batch)
{
    struct host *h = context;
    struct shared *shared = mem_new(sizeof(*shared));
    shared->batch = batch;
    atomic_init(&shared->owners, 2);
    must(os_queue_push(h->batches, &shared) == OK);
    for (uint32_t i = 0; i < batch->part_count; i++) {
        const struct entry *e = batch->parts[i].token;
        if (e->kind == ENTRY_EVENTS)
            must(os_queue_push(h->clients, &(char){0}) == OK);
    }
    give_back(h, shared);
}

static void host_refused(void *context, void *token, enum status why, const struct fault *f)
{
    (void)context, (void)token;
    must_be(why, f);
}

static void host_failed(void *context, const struct fault *f)
{
    (void)context;
    must_be(GIVE_UP, f);
}

static void run_parser(void *context)
{
    struct host *h = context;
    struct ingest_worker *worker = ingest_worker_new(h->bench->ingest);
    char client;
    while (os_queue_pop(h->clients, &client, 1, FOREVER_MS) > 0) {
        uint64_t i = atomic_fetch_add(&h->body_next, 1);
        if (i >= h->body_count) /* nothing more to send */
            continue;
        struct request *r;
        must(os_queue_pop(h->free, &r, 1, FOREVER_MS) == 1);
        struct ingest_request request = {.route = h->route,
                                         .body = buf_str(&h->bodies[i]),
                                         .has_auth_key = true,
                                         .auth_key = STR("wk_bench"),
                                         .arrival_ms = host_now(h)};
        if (ingest_parse(worker, &request, &r->batch) != INGEST_FINE ||
            feed_offer(&h->server, &r->batch) != OK) {
            fprintf(stderr, "bench: a request was refused\n");
            exit(1);
        }
    }
    ingest_worker_free(worker);
    atomic_fetch_add(&h->parse_ns, os_clock_thread_ns());
}

static void run_engine(void *context)
{
    struct host *h = context;
    struct bench *b = h->bench;
    struct shared *shared;
    while (os_queue_pop(h->batches, &shared, 1, FOREVER_MS) > 0) {
        const struct batch *batch = &shared->batch->batch;
        struct engine_output out;
        engine_apply(b->engine, batch, &out);
        b->actions += out.action_count;
        b->results.len = 0;
        results_write(out.results, out.result_count, batch->now_ms, &b->results);
        committer_results(h->server.committer, batch->number, buf_str(&b->results));
        give_back(h, shared);
    }
    atomic_fetch_add(&h->apply_ns, os_clock_thread_ns());
}

/* Has h->bodies sent, `flight` requests at a time; prints `name`_durable, _cpu and so on. */
static void serve(struct host *h, const char *name, uint32_t flight, uint64_t events)
{
    struct bench *b = h->bench;
    struct committer_host calls = {.context = h,
                                   .now_ms = host_now,
                                   .committed = host_committed,
                                   .refused = host_refused,
                                   .failed = host_failed};
    struct os_thread parsers[PARSERS], core;
    struct fault f = {0};
    /* An answered request's memory is used until the engine has applied it. */
    uint32_t request_count = flight * (COMMITTER_BATCHES_MAX + 1);
    struct request *requests = mem_new(request_count * sizeof(*requests));
    h->clients = os_queue_new(1, flight);
    h->free = os_queue_new(sizeof(struct request *), request_count);
    h->batches = os_queue_new(sizeof(struct shared *), COMMITTER_BATCHES_MAX);
    for (uint32_t i = 0; i < request_count; i++) {
        ingest_batch_init(&requests[i].batch);
        must(os_queue_push(h->free, &(struct request *){&requests[i]}) == OK);
    }
    open_log(b, EVLOG_SPARE_BY_CALLER);
    pace_init(&h->server.pace, b->now_ms + 1, os_clock_monotonic_ns(), 0);
    h->server.vocabulary = b->vocabulary;
    os_mutex_init(&h->server.names_lock);
    atomic_store(&h->server.names_in_log, b->names_told);
    must_be(committer_start(b->log, &calls, &h->server.committer, &f), &f);
    for (uint32_t i = 0; i < PARSERS; i++)
        must_be(os_thread_start(&parsers[i], "parser", run_parser, h, &f), &f);
    must_be(os_thread_start(&core, "core", run_engine, h, &f), &f);

    int64_t start_ns = os_clock_monotonic_ns(), start_cpu_ns = process_ns();
    for (uint32_t i = 0; i < flight; i++)
        must(os_queue_push(h->clients, &(char){0}) == OK);
    while (atomic_load(&h->body_next) < h->body_count + flight)
        os_clock_sleep_ms(1); /* until all are answered */
    os_queue_close(h->clients);
    for (uint32_t i = 0; i < PARSERS; i++)
        os_thread_join(&parsers[i]);
    committer_stop(h->server.committer); /* until all are applied, and the results written */
    int64_t wall_ns = os_clock_monotonic_ns() - start_ns, cpu_ns = process_ns() - start_cpu_ns;
    os_queue_close(h->batches);
    os_thread_join(&core);

    char text[64];
    snprintf(text, sizeof(text), "%s_durable", name);
    bench_rate(text, events, wall_ns);
    snprintf(text, sizeof(text), "%s_cpu", name);
    bench_print(text, (double)cpu_ns / (double)events, "ns");
    snprintf(text, sizeof(text), "%s_cpu_parse", name);
    bench_print(text, (double)atomic_load(&h->parse_ns) / (double)events, "ns");
    snprintf(text, sizeof(text), "%s_cpu_apply", name);
    bench_print(text, (double)atomic_load(&h->apply_ns) / (double)events, "ns");
    snprintf(text, sizeof(text), "%s_per_core", name);
    bench_rate(text, events, cpu_ns);

    b->now_ms = server_now_ms(&h->server);
    b->names_told = atomic_load(&h->server.names_in_log);
    os_mutex_fini(&h->server.names_lock);
    os_queue_free(h->clients);
    os_queue_free(h->free);
    os_queue_free(h->batches);
    for (uint32_t i = 0; i < request_count; i++)
        ingest_batch_fini(&requests[i].batch);
    mem_free(requests);
}

static void serve_requests(struct bench *b, enum ingest_route route, uint64_t count)
{
    bool is_batch = route == INGEST_BATCH;
    struct host *h = mem_new(sizeof(*h));
    h->bench = b;
    h->route = route;
    h->body_count = count;
    h->bodies = mem_new(count * sizeof(*h->bodies));
    for (uint64_t i = 0; i < count; i++) {
        b->body.len = 0;
        if (is_batch)
            make_batch(b);
        else
            add_event(b, true);
        buf_init(&h->bodies[i]);
        buf_add_str(&h->bodies[i], buf_str(&b->body));
    }
    serve(h, is_batch ? "ingest_batch" : "ingest_single", is_batch ? BATCH_FLIGHT : SINGLE_FLIGHT,
          is_batch ? count * BATCH_EVENTS : count);
    for (uint64_t i = 0; i < count; i++)
        buf_fini(&h->bodies[i]);
    mem_free(h->bodies);
    mem_free(h);
}

/* ---- and back ------------------------------------------------------------------------------------ */

/* What the log's blocks take, told by where the next one begins. */
struct sizes {
    uint64_t segment, offset, events;
    enum evlog_item_kind kind;
    uint64_t batch_bytes, batch_events, result_bytes;
};

static void note_size(struct sizes *s, const struct evlog_item *item)
{
    if (s->kind != EVLOG_END && s->segment == item->segment) {
        uint64_t bytes = item->offset - s->offset;
        if (s->kind == EVLOG_BATCH) {
            s->batch_bytes += bytes;
            s->batch_events += s->events;
        } else {
            s->result_bytes += bytes;
        }
    }
    s->segment = item->segment;
    s->offset = item->offset;
    s->kind = item->kind;
    s->events = item->batch.count;
}

static void replay(struct bench *b, bool is_sealed)
{
    struct fault f = {0};
    struct evlog_reader *reader;
    struct evlog_item item;
    struct engine_output out;
    struct engine_options options = {.secret = b->directory.secret};
    struct engine *again = engine_new(&options);
    struct sizes sizes = {0};
    engine_prepare(again, b->plan);
    must_be(evlog_reader_open(os_disk_real(), b->directory.log, 1, &reader, &f), &f);
    int64_t spent_ns = 0;
    uint64_t seen = 0;
    for (;;) {
        int64_t start_ns = os_clock_thread_ns();
        must_be(evlog_reader_next(reader, &item, &f), &f);
        if (item.kind == EVLOG_END)
            break;
        if (item.kind == EVLOG_BATCH)
            engine_apply(again, &item.batch, &out);
        /* The people are made first; what is measured is the traffic. */
        if (engine_profile_count(again) < b->people)
            continue;
        note_size(&sizes, &item);
        if (item.kind == EVLOG_BATCH) {
            spent_ns += os_clock_thread_ns() - start_ns;
            seen += item.batch.count;
        }
    }
    evlog_reader_close(reader);
    if (engine_hash(again) != engine_hash(b->engine)) {
        fprintf(stderr, "bench: the replay has another state\n");
        exit(1);
    }
    bench_rate(is_sealed ? "replay_events_sealed" : "replay_events", seen, spent_ns);
    engine_free(again);
    if (is_sealed)
        return;
    bench_print("log_bytes_per_event", (double)sizes.batch_bytes / (double)sizes.batch_events,
                "bytes");
    bench_print("log_result_bytes_per_event",
                (double)sizes.result_bytes / (double)sizes.batch_events, "bytes");
}

/* The segment that is open is closed, so that all can be sealed. */
static void close_log(struct bench *b)
{
    struct fault f = {0};
    must_be(evlog_roll(b->log, &f), &f);
    must_be(evlog_close(b->log, &f), &f);
    b->log = NULL;
}

static void seal(struct bench *b)
{
    struct fault f = {0};
    struct keystore *keys;
    struct seal_counts people, traffic;
    must_be(keystore_open(os_disk_real(), b->directory.log, NULL, &keys, &f), &f);
    struct seal_options o = {.disk = os_disk_real(),
                             .dir = b->directory.log,
                             .keys = keys,
                             .batch_last = b->traffic_batch - 1};
    must_be(seal_segments(&o, &people, &f), &f);
    o.batch_last = 0;
    int64_t start_ns = os_clock_thread_ns();
    must_be(seal_segments(&o, &traffic, &f), &f);
    bench_rate("seal_records", traffic.records, os_clock_thread_ns() - start_ns);
    bench_print("log_bytes_per_event_sealed",
                (double)traffic.bytes_after / (double)max_of(traffic.records, 1u), "bytes");
    keystore_close(keys);
}

static void open_all(struct bench *b)
{
    struct fault f = {0};
    struct evlog_reader *reader;
    struct evlog_item item;
    uint64_t count = 0, bytes = 0;
    must_be(evlog_reader_open(os_disk_real(), b->directory.log, b->traffic_batch, &reader, &f), &f);
    int64_t start_ns = os_clock_thread_ns();
    for (;;) {
        must_be(evlog_reader_next(reader, &item, &f), &f);
        if (item.kind == EVLOG_END)
            break;
        count += item.batch.count;
        for (uint32_t i = 0; i < item.batch.count; i++)
            bytes += record_personal(&item.batch.records[i]).bytes;
    }
    bench_rate("log_open_sealed", count, os_clock_thread_ns() - start_ns);
    bench_keep(bytes);
    evlog_reader_close(reader);
}

int main(void)
{
    struct bench b = {.now_ms = START_MS, .seed = 1};
    struct fault f = {0};
    struct programme_folder folder;
    char path[OS_PATH_BYTES];
    const char *people = getenv("BENCH_PEOPLE"), *dir = getenv("BENCH_DIR");
    must(os_path_join(path, sizeof(path), dir ? dir : "build", "bench-spine"));
    b.people = people ? strtoull(people, NULL, 10) : bench_count(1000000);
    uint64_t batches = bench_count(5000), singles = bench_count(100000);
    if (os_exists(os_disk_real(), path))
        must_be(os_remove_tree(os_disk_real(), path, &f), &f);
    must_be(directory_make(os_disk_real(), path, NULL, &b.directory, &f), &f);
    arena_init(&b.scratch, 65536);
    b.records = mem_new(8192 * sizeof(b.records[0]));
    b.names = names_new();
    b.plan = compile(b.names, &folder);
    b.vocabulary = vocabulary_new(VOCABULARY_PER_SOURCE_MAX);
    for (uint32_t i = NAME_FIXED_END; i < names_count(b.names); i++)
        if (vocabulary_add(b.vocabulary, names_text(b.names, i), 0) != i)
            exit(1);
    b.names_told = NAME_FIXED_END;
    struct ingest_options ingest = {.vocabulary = b.vocabulary, .secret = b.directory.secret};
    struct ingest_key key = {.key = STR("wk_bench"), .source = STR("bench")};
    b.ingest = ingest_new(&ingest);
    must_be(ingest_set_keys(b.ingest, &key, 1, &f), &f);
    b.worker = ingest_worker_new(b.ingest);
    ingest_batch_init(&b.batch);
    struct engine_options options = {.secret = b.directory.secret};
    b.engine = engine_new(&options);
    engine_prepare(b.engine, b.plan);
    open_log(&b, EVLOG_SPARE_AT_ONCE);

    struct buf hash;
    buf_init(&hash);
    body_put_text(&hash, NAME_PROGRAMME, str_of(b.plan->hash));
    uint32_t count = tell_names(&b);
    b.records[count++] = (struct record){
        .type = RECORD_PROGRAMME, .kind = PROGRAMME_ACTIVATE, .clear = body_of(&hash)};
    append_and_apply(&b, count);
    make_people(&b);
    /* Everybody has a past before anything is measured. */
    for (uint64_t i = 0; i < b.people / BATCH_EVENTS; i++)
        one_batch(&b);
    must_be(evlog_roll(b.log, &f), &f);
    b.traffic_batch = evlog_batch_next(b.log);
    bench_print("profile_bytes", (double)engine_bytes(b.engine) / (double)b.people, "bytes");

    serve_requests(&b, INGEST_BATCH, batches);
    serve_requests(&b, INGEST_TRACK, singles);

    open_log(&b, EVLOG_SPARE_AT_ONCE);
    b.parse_ns = b.apply_ns = b.wall_ns = 0;
    batches = max_of(batches / 5, 1);
    for (uint64_t i = 0; i < batches; i++)
        one_batch(&b);
    bench_rate("ingest_batch_serial", batches * BATCH_EVENTS, b.wall_ns);
    bench_print("parse_event", (double)b.parse_ns / (double)(batches * BATCH_EVENTS), "ns");
    bench_print("apply_event", (double)b.apply_ns / (double)(batches * BATCH_EVENTS), "ns");
    bench_print("engine_resident", (double)os_process_resident_bytes() / 1e6, "MB");
    close_log(&b);
    replay(&b, false);
    seal(&b);
    open_all(&b);
    replay(&b, true);

    engine_free(b.engine);
    programme_plan_free(b.plan);
    programme_folder_fini(&folder);
    must_be(os_remove_tree(os_disk_real(), path, &f), &f);
    return 0;
}
