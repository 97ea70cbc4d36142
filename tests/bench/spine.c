/* spine.c - the product's main path, on one thread: a batch of the tracking API is parsed, made
 * durable, and decided.
 *
 * The fixture: 1,000,000 people (BENCH_PEOPLE), each known by a user id and with an e-mail trait and
 * consent; 50 journeys, ten of which listen to the events that come (two to each of five), the others
 * to events that do not; every person has done one of them before. A batch is 100 track events of about
 * 600 bytes by random people, the bodies as @segment/analytics-node writes them. What is counted:
 *
 *     ingest_batch_durable   parse, append, fdatasync, apply, append results: events per second, by wall
 *     ingest_single_durable  the same for single posts, committed as they come together: 32 at a time
 *     parse_event, apply_event   the parts, by this thread's own time, in nanoseconds
 *     replay_events          apply alone from decoded batches read back from the log
 *     profile_bytes          memory of the engine's live state for each person of the fixture: profile,
 *                            traits, consent, history, instances, identifiers, dedupe, timers
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include "base/mem.h"
#include "engine/engine.h"
#include "evlog/evlog.h"
#include "ingest/ingest.h"
#include "model/identifier.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "programme/programme.h"
#include "replay/directory.h"

#define BATCH_EVENTS 100
#define SINGLES      32
#define START_MS     INT64_C(1772409600000)

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
    int64_t now_ms;
    uint64_t seed;
    struct buf body, results;
    struct arena scratch;
    struct record *records;
    int64_t parse_ns, apply_ns; /* this thread's own time */
    int64_t wall_ns, busy_ns;   /* from the request's bytes to the results, making requests aside */
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

static void parse(struct bench *b, enum ingest_route route)
{
    struct ingest_request request = {.route = route,
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

/* One request of `events` events, parsed, made durable and applied. */
static void one_batch(struct bench *b, uint32_t events)
{
    b->body.len = 0;
    buf_add_str(&b->body, STR("{\"batch\":["));
    for (uint32_t i = 0; i < events; i++)
        add_event(b, i == 0);
    buf_add_str(&b->body, STR("],\"sentAt\":\"2026-03-02T09:53:30.000Z\"}"));
    b->now_ms += 1;
    int64_t start_ns = os_clock_monotonic_ns(), thread_ns = os_clock_thread_ns();
    parse(b, INGEST_BATCH);
    uint32_t count = tell_names(b);
    memcpy(&b->records[count], b->batch.records, b->batch.record_count * sizeof(b->records[0]));
    append_and_apply(b, count + b->batch.record_count);
    b->wall_ns += os_clock_monotonic_ns() - start_ns;
    b->busy_ns += os_clock_thread_ns() - thread_ns;
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

/* Each log is of one phase only, so that the disk holds little. */
static void open_log(struct bench *b)
{
    struct fault f = {0};
    struct evlog_options options = {.disk = os_disk_real()};
    must_be(evlog_open(b->directory.log, &options, &b->log, &f), &f);
}

static void replay(struct bench *b, struct programme_folder *folder, uint64_t events)
{
    struct fault f = {0};
    struct evlog_reader *reader;
    struct evlog_item item;
    struct engine_output out;
    struct engine_options options = {.secret = b->directory.secret};
    struct engine *again = engine_new(&options);
    (void)folder;
    engine_prepare(again, b->plan);
    must_be(evlog_close(b->log, &f), &f);
    b->log = NULL;
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
        if (item.kind == EVLOG_BATCH && engine_profile_count(again) >= b->people) {
            spent_ns += os_clock_thread_ns() - start_ns;
            seen += item.batch.count;
        }
    }
    evlog_reader_close(reader);
    if (engine_hash(again) != engine_hash(b->engine)) {
        fprintf(stderr, "bench: the replay has another state\n");
        exit(1);
    }
    bench_rate("replay_events", seen, spent_ns);
    (void)events;
    engine_free(again);
}

int main(void)
{
    struct bench b = {.now_ms = START_MS, .seed = 1};
    struct fault f = {0};
    struct programme_folder folder;
    char path[] = "build/bench-spine";
    const char *people = getenv("BENCH_PEOPLE");
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
    open_log(&b);

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
        one_batch(&b, BATCH_EVENTS);
    bench_print("profile_bytes", (double)engine_bytes(b.engine) / (double)b.people, "bytes");

    b.parse_ns = b.apply_ns = b.wall_ns = b.busy_ns = 0;
    for (uint64_t i = 0; i < batches; i++)
        one_batch(&b, BATCH_EVENTS);
    bench_rate("ingest_batch_durable", batches * BATCH_EVENTS, b.wall_ns);
    bench_rate("ingest_batch_cpu", batches * BATCH_EVENTS, b.busy_ns);
    bench_print("parse_event", (double)b.parse_ns / (double)(batches * BATCH_EVENTS), "ns");
    bench_print("apply_event", (double)b.apply_ns / (double)(batches * BATCH_EVENTS), "ns");

    b.wall_ns = 0;
    for (uint64_t i = 0; i < singles / SINGLES; i++) {
        uint32_t at = tell_names(&b);
        static struct buf keep[SINGLES];
        b.now_ms += 1;
        for (uint32_t k = 0; k < SINGLES; k++) {
            b.body.len = 0;
            add_event(&b, true);
            int64_t start_ns = os_clock_monotonic_ns();
            parse(&b, INGEST_TRACK);
            /* The next request uses the batch again: its bodies are kept aside. */
            struct record r = b.batch.records[0];
            keep[k].len = 0;
            buf_add(&keep[k], r.clear.at, r.clear.bytes);
            buf_add(&keep[k], r.personal.at, r.personal.bytes);
            r.clear.at = keep[k].at;
            r.personal.at = keep[k].at + r.clear.bytes;
            b.records[at++] = r;
            b.wall_ns += os_clock_monotonic_ns() - start_ns;
        }
        int64_t start_ns = os_clock_monotonic_ns();
        append_and_apply(&b, at);
        b.wall_ns += os_clock_monotonic_ns() - start_ns;
    }
    bench_rate("ingest_single_durable", singles / SINGLES * SINGLES, b.wall_ns);
    bench_print("engine_resident", (double)os_process_resident_bytes() / 1e6, "MB");
    replay(&b, &folder, 0);

    engine_free(b.engine);
    programme_plan_free(b.plan);
    programme_folder_fini(&folder);
    must_be(os_remove_tree(os_disk_real(), path, &f), &f);
    return 0;
}
