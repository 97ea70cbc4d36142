/* state.c - what live state weighs, what a snapshot of it costs while batches go on, and how long a restart takes.
 *
 * Two fixtures, of BENCH_PEOPLE people each (1,000,000; `_2x` below: twice as many):
 *
 *     full   3 identifiers (a user id, two anonymous ids), 8 traits with text, consent, 2 live journeys, a
 *            line of the ledger (an event that caps count), 2 features with events in them
 *     lean   1 identifier, 4 numeric traits
 *
 * Events are applied in batches of 100 by one thread, which also takes the snapshot's pieces between them, as
 * the server's engine does (800 us a piece); they are written by a thread of their own.
 *
 *     profile_bytes_full, _lean  live state for each person, all tables and indices counted
 *                                BENCH_ACCOUNT=1: by what, each line for each person, and nothing else
 *     snapshot_mark_ms           the moment that a snapshot is of
 *     snapshot_stall_ms          the longest that the engine stands still for a piece, the mark included: by
 *                                its thread's own time; _wall: by the clock, which on a machine with other
 *                                work counts that too
 *     snapshot_engine_ms         all pieces together
 *     snapshot_batch_p999_ms     a batch of 100 events while the snapshot is under way, pieces aside;
 *                                snapshot_batch_before_p999_ms: the same without one
 *     snapshot_s, snapshot_bytes from the mark to the file under its name; for each person
 *     recovery_s                 from that file to a state that is ready, all checks included; _cpu: by the
 *                                thread's own time
 *                                BENCH_RECOVERY=1: this one alone, nothing applied but the fixture
 *                                of 10,000,000 people it is called recovery_10m_s (and recovery_tail_10m_s)
 *     recovery_tail_s            with 1,000,000 events behind it: ten seconds of 100,000 a second
 *     apply_event_1x, _2x        an event, by the thread's own time; growth_1x_to_2x is their ratio
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"
#include "bench/programme.h"

#include "base/mem.h"
#include "engine/engine_int.h"
#include "evlog/evlog.h"
#include "model/identifier.h"
#include "os/clock.h"
#include "os/process.h"
#include "os/thread.h"
#include "replay/recover.h"

#define START_MS     INT64_C(1772409600000)
#define BATCH_EVENTS 100
#define PIECE_US     800
#define TAIL_EVENTS  1000000
#define TEN_MILLION  10000000

static const struct programme_file files[] = {
    {{"programme.yaml", 14},
     {"name: Bench\ntimezone: Europe/London\n"
      "categories:\n  lifecycle: {lane: marketing, valid_for: 3d, priority: 500}\n"
      "caps:\n  - {limit: 2, per: 30d, category: lifecycle, events: [Joined]}\n",
      0}},
    {{"providers/mail.yaml", 19},
     {"kind: smtp\nchannel: email\nslots: 64\n"
      "settings: {url: 'smtp://127.0.0.1:2525', from: 'Bench <bench@example.org>'}\n",
      0}},
    {{"messages/hello/message.yaml", 27}, {"category: lifecycle\nemail:\n  subject: 'Hello'\n", 0}},
    {{"messages/hello/email.txt.liquid", 31}, {"Hello\n", 0}},
    {{"journeys/one.yaml", 17},
     {"journey: one\nowner: x\ngoal: {event: Bought, within: 90d}\n"
      "enter: {event: Joined, again: {after: 30d, of: end, per: person}}\n"
      "steps:\n  - wait: {for: 90d}\n  - send: hello\n",
      0}},
    {{"journeys/two.yaml", 17},
     {"journey: two\nowner: x\n"
      "enter: {event: Joined, again: {after: 30d, of: end, per: person}}\n"
      "steps:\n  - wait: {for: 60d}\n  - send: hello\n",
      0}},
    {{"journeys/often.yaml", 19},
     {"journey: often\nowner: x\n"
      "enter: {if: 'count(\"Viewed\", \"30d\") >= 100 || sum(\"Viewed\", \"30d\", \"price\") >= "
      "1000000.0'}\n"
      "steps:\n  - send: hello\n",
      0}},
};

struct bench {
    struct directory directory;
    struct shelf shelf;
    struct plan *plan;
    struct evlog *log;
    struct engine *engine;
    uint64_t people, seed, batch;
    int64_t now_ms;
    struct record *records;
    struct buf *bodies;
    uint32_t count;
    uint32_t joined, viewed, price;
    uint32_t traits[8];
    int64_t apply_ns;
    uint64_t events;
};

static void need(enum status status, const struct fault *f)
{
    if (status == OK)
        return;
    fprintf(stderr, "bench: %s\n", f->text);
    exit(1);
}

static uint64_t next(struct bench *b)
{
    b->seed = b->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return b->seed >> 16;
}

/* ---- records ------------------------------------------------------------------------------------- */

static struct record *add(struct bench *b, uint8_t kind, uint32_t name, uint64_t person)
{
    char id[32];
    struct buf *body = &b->bodies[b->count];
    body->len = 0;
    snprintf(id, sizeof(id), "user-%lu", person);
    struct record *r = &b->records[b->count++];
    *r = (struct record){
        .type = RECORD_EVENT,
        .kind = kind,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .name = name,
        .event_ms = b->now_ms,
        .arrival_ms = b->now_ms,
        .message_hash = hash_pair(person, next(b)) | 1,
        .user = identifier_hash(IDENTIFIER_USER, str_of(id), b->directory.secret),
    };
    return r;
}

static void apply(struct bench *b)
{
    struct fault f = {0};
    struct engine_output out;
    struct buf results;
    buf_init(&results);
    for (uint32_t i = 0; i < b->count; i++)
        b->records[i].at_ms = b->now_ms;
    struct batch batch = {engine_batch(b->engine) + 1, b->now_ms, b->count, b->records};
    need(evlog_append(b->log, &batch, &f), &f);
    int64_t from_ns = os_clock_thread_ns();
    engine_apply(b->engine, &batch, &out);
    b->apply_ns += os_clock_thread_ns() - from_ns;
    b->events += b->count;
    results_write(out.results, out.result_count, b->now_ms, &results);
    need(evlog_append_results(b->log, batch.number, buf_str(&results), &f), &f);
    if (evlog_buffered_bytes(b->log) > 1 << 20)
        need(evlog_commit(b->log, &f), &f);
    buf_fini(&results);
    b->count = 0;
    b->now_ms++;
}

static void take_identity(struct bench *b, uint64_t person, uint32_t which)
{
    char id[32];
    struct record *r = add(b, EVENT_IDENTIFY, 0, person);
    snprintf(id, sizeof(id), "device-%lu-%u", person, which);
    r->anonymous = identifier_hash(IDENTIFIER_ANONYMOUS, str_of(id), b->directory.secret);
    struct buf *body = &b->bodies[b->count - 1];
    if (which == 1) {
        snprintf(id, sizeof(id), "user-%lu", person);
        body_put_text(body, NAME_USER_ID, str_of(id));
        for (uint32_t i = 0; i < array_count(b->traits); i++) {
            snprintf(id, sizeof(id), "%s of %lu", i % 2 ? "a word" : "what is known",
                     person % 1000);
            body_put_text(body, b->traits[i], str_of(id));
        }
        r->personal = body_of(body);
    }
}

static void make_full(struct bench *b)
{
    for (uint64_t person = 0; person < b->people; person++) {
        take_identity(b, person, 1);
        take_identity(b, person, 2);
        struct record *r = add(b, EVENT_TRACK, NAME_CONSENT_CHANGED, person);
        body_put_text(&b->bodies[b->count - 1], NAME_STATUS, STR("granted"));
        r->clear = body_of(&b->bodies[b->count - 1]);
        (void)add(b, EVENT_TRACK, b->joined, person);
        if (b->count >= 1000)
            apply(b);
    }
    apply(b);
}

static void make_lean(struct bench *b)
{
    for (uint64_t person = 0; person < b->people; person++) {
        struct record *r = add(b, EVENT_IDENTIFY, 0, person);
        struct buf *body = &b->bodies[b->count - 1];
        for (uint32_t i = 0; i < 4; i++) {
            struct value x = value_int((int64_t)(person % 1000 * (i + 1)));
            body_put(body, b->traits[i], &x);
        }
        r->personal = body_of(body);
        if (b->count >= 1000)
            apply(b);
    }
    apply(b);
}

static void view(struct bench *b)
{
    for (uint32_t i = 0; i < BATCH_EVENTS; i++) {
        struct record *r = add(b, EVENT_TRACK, b->viewed, next(b) % b->people);
        struct value x = value_int((int64_t)(next(b) % 100));
        body_put(&b->bodies[b->count - 1], b->price, &x);
        r->clear = body_of(&b->bodies[b->count - 1]);
    }
}

/* ---- a directory --------------------------------------------------------------------------------- */

static void open_directory(struct bench *b, uint64_t people)
{
    struct fault f = {0};
    char path[OS_PATH_BYTES], name[32];
    const char *dir = getenv("BENCH_DIR");
    struct programme_folder folder;
    struct findings findings;
    struct buf zones, hash;
    struct programme_file list[array_count(files)];
    *b = (struct bench){.people = people, .seed = 1, .now_ms = START_MS};
    must(os_path_join(path, sizeof(path), dir ? dir : "build", "bench-state"));
    need(os_remove_tree(os_disk_real(), path, &f), &f);
    need(directory_make(os_disk_real(), path, NULL, &b->directory, &f), &f);
    shelf_init(&b->shelf, NULL);
    buf_init(&zones);
    findings_init(&findings);
    need(programme_zones(os_disk_real(), NULL, &zones, &f), &f);
    for (uint32_t i = 0; i < array_count(files); i++)
        list[i] = (struct programme_file){files[i].path, str_of(files[i].text.at)};
    need(programme_folder_of(list, array_count(files), buf_str(&zones), &folder, &f), &f);
    if (programme_compile(&folder, b->shelf.names, &b->plan, &findings) != OK) {
        fprintf(stderr, "bench: %.*s\n", STR_ARG(findings.list[0].text));
        exit(1);
    }
    shelf_add(&b->shelf, b->plan);
    need(programme_store(os_disk_real(), b->directory.programmes, &folder, &f), &f);
    programme_folder_fini(&folder);
    findings_fini(&findings);
    buf_fini(&zones);
    b->joined = names_add(b->shelf.names, STR("Joined"));
    b->viewed = names_add(b->shelf.names, STR("Viewed"));
    b->price = names_add(b->shelf.names, STR("price"));
    b->traits[0] = NAME_EMAIL;
    for (uint32_t i = 1; i < array_count(b->traits); i++) {
        snprintf(name, sizeof(name), "trait_%u", i);
        b->traits[i] = names_add(b->shelf.names, str_of(name));
    }
    b->records = mem_new(4096 * sizeof(b->records[0]));
    b->bodies = mem_new(4096 * sizeof(b->bodies[0]));
    struct engine_options options = {.secret = b->directory.secret};
    b->engine = engine_new(&options);
    engine_prepare(b->engine, b->plan);
    struct evlog_options log = {.disk = os_disk_real()};
    need(evlog_open(b->directory.log, &log, &b->log, &f), &f);
    for (uint32_t i = NAME_FIXED_END; i < names_count(b->shelf.names); i++) {
        struct buf *body = &b->bodies[b->count];
        body_put_text(body, NAME_TEXT, names_text(b->shelf.names, i));
        b->records[b->count++] = (struct record){.type = RECORD_NAME,
                                                 .schema = RECORD_SCHEMA,
                                                 .name = i,
                                                 .event_ms = b->now_ms,
                                                 .arrival_ms = b->now_ms,
                                                 .clear = body_of(body)};
    }
    buf_init(&hash);
    body_put_text(&hash, NAME_PROGRAMME, str_of(b->plan->hash));
    b->records[b->count++] = (struct record){.type = RECORD_PROGRAMME,
                                             .kind = PROGRAMME_ACTIVATE,
                                             .schema = RECORD_SCHEMA,
                                             .event_ms = b->now_ms,
                                             .arrival_ms = b->now_ms,
                                             .clear = body_of(&hash)};
    apply(b);
    buf_fini(&hash);
}

static void close_directory(struct bench *b)
{
    struct fault f = {0};
    evlog_free(b->log);
    engine_free(b->engine);
    shelf_fini(&b->shelf);
    for (uint32_t i = 0; i < 4096; i++)
        buf_fini(&b->bodies[i]);
    mem_free(b->bodies);
    mem_free(b->records);
    need(os_remove_tree(os_disk_real(), b->directory.path, &f), &f);
}

/* ---- snapshots ----------------------------------------------------------------------------------- */

struct parcel {
    char section[32];
    uint32_t partition;
    struct buf bytes;
};

struct writer {
    struct bench *bench;
    struct os_queue *parcels;
    struct snapping *snapping;
    struct os_thread thread;
};

static void run_writer(void *context)
{
    struct writer *w = context;
    struct parcel p;
    struct fault f = {0};
    while (os_queue_pop(w->parcels, &p, 1, FOREVER_MS) > 0) {
        need(snapping_put(w->snapping, str_of(p.section), p.partition, buf_str(&p.bytes), &f), &f);
        buf_fini(&p.bytes);
    }
}

static void hand_on(void *self, struct str section, uint32_t partition, struct str bytes)
{
    struct writer *w = self;
    struct parcel p = {.partition = partition};
    must(str_to_z(section, p.section, sizeof(p.section)));
    buf_init(&p.bytes);
    buf_add_str(&p.bytes, bytes);
    must(os_queue_push_wait(w->parcels, &p, FOREVER_MS) == OK);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The value that one of a thousand exceeds. */
static double p999_ms(int64_t *list, uint32_t count)
{
    if (count == 0)
        return 0;
    qsort(list, count, sizeof(list[0]), by_size);
    return (double)list[(uint64_t)count * 999 / 1000] / 1e6;
}

static int64_t one_batch(struct bench *b)
{
    view(b);
    int64_t before_ns = b->apply_ns;
    apply(b);
    return b->apply_ns - before_ns;
}

#define TIMES_MAX 100000

static void snapshot(struct bench *b)
{
    struct fault f = {0};
    struct writer w = {.bench = b, .parcels = os_queue_new(sizeof(struct parcel), 65536)};
    struct release here = release_here();
    int64_t *times = mem_new(TIMES_MAX * sizeof(times[0])), longest_ns, all_ns, own_longest_ns;
    uint32_t count = 0;
    for (; count < 5000; count++)
        times[count] = one_batch(b);
    bench_print("snapshot_batch_before_p999_ms", p999_ms(times, count), "ms");
    need(snapping_begin(&b->directory, engine_batch(b->engine), engine_now(b->engine), &here,
                        &w.snapping, &f),
         &f);
    need(os_thread_start(&w.thread, "writer", run_writer, &w, &f), &f);
    int64_t began_ns = os_clock_monotonic_ns(), own_ns = os_clock_thread_ns();
    engine_save_begin(b->engine);
    longest_ns = os_clock_monotonic_ns() - began_ns;
    own_longest_ns = all_ns = os_clock_thread_ns() - own_ns;
    bench_print("snapshot_mark_ms", (double)own_longest_ns / 1e6, "ms");
    enum save_state state = SAVE_GOES_ON;
    uint64_t work = PIECE_US * 500, pieces = 0;
    for (count = 0; state == SAVE_GOES_ON; pieces++) {
        int64_t took_ns = one_batch(b);
        if (count < TIMES_MAX)
            times[count++] = took_ns;
        int64_t from_ns = os_clock_monotonic_ns();
        own_ns = os_clock_thread_ns();
        state = engine_save_step(b->engine, work, &w, hand_on);
        longest_ns = max_of(longest_ns, os_clock_monotonic_ns() - from_ns);
        took_ns = os_clock_thread_ns() - own_ns;
        own_longest_ns = max_of(own_longest_ns, took_ns);
        all_ns += took_ns;
        if (took_ns > PIECE_US * 1000)
            work = max_of(work / 2, UINT64_C(10000));
        else if (took_ns < PIECE_US * 500)
            work = min_of(work + work / 4, UINT64_C(1000) * PIECE_US);
    }
    uint64_t hash = engine_save_hash(b->engine);
    own_ns = os_clock_thread_ns();
    engine_save_end(b->engine);
    own_longest_ns = max_of(own_longest_ns, os_clock_thread_ns() - own_ns);
    os_queue_close(w.parcels);
    os_thread_join(&w.thread);
    need(snapping_commit(w.snapping, hash, &f), &f);
    bench_print("snapshot_s", (double)(os_clock_monotonic_ns() - began_ns) / 1e9, "s");
    bench_print("snapshot_stall_ms", (double)own_longest_ns / 1e6, "ms");
    bench_print("snapshot_stall_wall_ms", (double)longest_ns / 1e6, "ms");
    bench_print("snapshot_engine_ms", (double)all_ns / 1e6, "ms");
    bench_print("snapshot_pieces", (double)pieces, "pieces");
    bench_print("snapshot_batch_p999_ms", p999_ms(times, count), "ms");
    os_queue_free(w.parcels);
    mem_free(times);
    struct snapshot_reader *reader;
    struct os_stat at;
    char path[OS_PATH_BYTES];
    need(snapshot_latest(os_disk_real(), b->directory.snapshots, UINT64_MAX, NULL, NULL, &reader,
                         &f),
         &f);
    must(reader != NULL);
    must(snapshot_path(path, sizeof(path), b->directory.snapshots,
                       snapshot_get_about(reader)->batch));
    snapshot_close(reader);
    need(os_stat(os_disk_real(), path, &at, &f), &f);
    bench_print("snapshot_bytes", (double)at.bytes / (double)b->people, "bytes");
}

static void recovery(struct bench *b, const char *name)
{
    struct fault f = {0};
    struct recovered r;
    struct recover_options options = {.is_to_write = true}; /* as the server does */
    char own[64];
    need(evlog_commit(b->log, &f), &f);
    int64_t from_ns = os_clock_monotonic_ns(), own_ns = os_clock_thread_ns();
    need(recover(&b->directory, &options, &r, &f), &f);
    bench_print(name, (double)(os_clock_monotonic_ns() - from_ns) / 1e9, "s");
    snprintf(own, sizeof(own), "%s_cpu", name);
    bench_print(own, (double)(os_clock_thread_ns() - own_ns) / 1e9, "s");
    if (r.snapshots_refused || r.snapshot_batch == 0 ||
        engine_hash(r.engine) != engine_hash(b->engine)) {
        fprintf(stderr, "bench: recovered another state: %s\n", r.snapshot_fault.text);
        exit(1);
    }
    recovered_fini(&r);
}

/* ---- what bytes are spent on ----------------------------------------------------------------------- */

enum weight {
    WEIGHT_PROFILES,
    WEIGHT_TRAITS,
    WEIGHT_INSTANCES,
    WEIGHT_LEDGER,
    WEIGHT_CONSENTS,
    WEIGHT_HISTORIES,
    WEIGHT_ITEMS,
    WEIGHT_OTHERS, /* other lists */
    WEIGHT_FREE,   /* of spaces: not allocated */
    WEIGHT_IDS,
    WEIGHT_MESSAGES,
    WEIGHT_TIMERS,
    WEIGHT_PLACES, /* the list of profiles */
    WEIGHT_ADDRESSES,
    WEIGHT_GATE,
    WEIGHT_END,
};

static const char *const weight_names[] = {
    "profiles", "traits", "instances", "ledger", "consents", "histories", "items", "others",
    "free",     "ids",    "messages",  "timers", "places",   "addresses", "gate",
};
_Static_assert(array_count(weight_names) == WEIGHT_END, "a name for each");

static uint64_t list_bytes(const struct vec *v, size_t element_bytes)
{
    return v->room ? space_rounded((uint32_t)(v->room * element_bytes)) : 0;
}

static uint64_t items_bytes(const struct space *s, const struct profile *x)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < x->histories.count; i++) {
        const struct history *h = vec_at(s, &x->histories, i, sizeof(*h));
        if (h->more == 0)
            continue;
        bytes += space_rounded(h->kind == FEATURE_TALLY ? sizeof(struct history_tally)
                                                        : sizeof(struct history_items));
        if (h->kind == FEATURE_TALLY)
            continue;
        const struct history_items *items = space_at(s, h->more);
        bytes += list_bytes(&items->times, 8) + list_bytes(&items->numbers, 8) +
                 list_bytes(&items->bodies, 8);
    }
    return bytes;
}

static uint64_t instances_bytes(const struct space *s, const struct profile *x)
{
    uint64_t bytes = list_bytes(&x->instances, sizeof(struct instance));
    for (uint32_t i = 0; i < x->instances.count; i++) {
        const struct instance *in = vec_at(s, &x->instances, i, sizeof(*in));
        bytes += in->more ? space_rounded(sizeof(struct instance_more)) : 0;
        if (instance_more(s, in)->entry.bytes)
            bytes += space_rounded(instance_more(s, in)->entry.bytes);
    }
    return bytes;
}

static uint64_t ledger_bytes(const struct space *s, const struct profile *x)
{
    uint64_t bytes = list_bytes(&x->ledger, sizeof(struct sent));
    for (uint32_t i = 0; i < x->ledger.count; i++) {
        const struct sent *line = vec_at(s, &x->ledger, i, sizeof(*line));
        bytes += line->more ? space_rounded(sizeof(struct sent_more)) : 0;
    }
    return bytes;
}

static void account(const struct bench *b, const char *fixture)
{
    uint64_t weights[WEIGHT_END] = {0}, sum = 0;
    if (getenv("BENCH_ACCOUNT") == NULL)
        return;
    weights[WEIGHT_FREE] = b->engine->pages.free_bytes;
    for (uint32_t half = 0; half < 2; half++)
        weights[WEIGHT_TIMERS] += timers_bytes(b->engine->timers[half]);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        const struct partition *p = &b->engine->partitions[i];
        const struct identity *identity = &b->engine->identity;
        const struct addresses *addresses = &b->engine->addresses;
        const struct gate *gate = &b->engine->gate;
        uint64_t lists = 0;
        for (uint32_t local = 1; local < p->count; local++) {
            const struct profile *x = space_at(&p->space, p->profiles[local]);
            uint64_t traits = x->traits.bytes ? space_rounded(x->traits.bytes) : 0;
            uint64_t instances = instances_bytes(&p->space, x);
            uint64_t ledger = ledger_bytes(&p->space, x);
            uint64_t consents = list_bytes(&x->consents, sizeof(struct consent));
            uint64_t histories = list_bytes(&x->histories, sizeof(struct history));
            uint64_t items = items_bytes(&p->space, x);
            weights[WEIGHT_PROFILES] += space_rounded(sizeof(*x));
            weights[WEIGHT_TRAITS] += traits;
            weights[WEIGHT_INSTANCES] += instances;
            weights[WEIGHT_LEDGER] += ledger;
            weights[WEIGHT_CONSENTS] += consents;
            weights[WEIGHT_HISTORIES] += histories;
            weights[WEIGHT_ITEMS] += items;
            lists += space_rounded(sizeof(*x)) + traits + instances + ledger + consents +
                     histories + items;
        }
        weights[WEIGHT_OTHERS] += p->space.live_bytes - lists;
        weights[WEIGHT_FREE] += space_bytes(&p->space) - p->space.live_bytes;
        weights[WEIGHT_IDS] += index_bytes(&identity->ids[i]);
        weights[WEIGHT_MESSAGES] += (uint64_t)identity->messages[i].slot_count * sizeof(uint64_t);
        weights[WEIGHT_PLACES] += p->room * sizeof(p->profiles[0]);
        weights[WEIGHT_ADDRESSES] +=
            space_bytes(&addresses->spaces[i]) + index_bytes(&addresses->index[i]);
        weights[WEIGHT_GATE] += space_bytes(&gate->spaces[i]) + index_bytes(&gate->addresses[i]);
    }
    for (uint32_t i = 0; i < WEIGHT_END; i++) {
        char name[64];
        snprintf(name, sizeof(name), "profile_bytes_%s_%s", fixture, weight_names[i]);
        bench_print(name, (double)weights[i] / (double)b->people, "bytes");
        sum += weights[i];
    }
    must(sum == engine_bytes(b->engine));
}

/* ---- all ----------------------------------------------------------------------------------------- */

static double cost(struct bench *b, const char *name)
{
    for (uint32_t i = 0; i < 2000; i++)
        (void)one_batch(b);
    b->apply_ns = 0;
    b->events = 0;
    for (uint64_t i = bench_count(20000); i > 0; i--)
        (void)one_batch(b);
    double ns = (double)b->apply_ns / (double)b->events;
    bench_print(name, ns, "ns");
    return ns;
}

int main(void)
{
    struct bench b;
    struct fault f = {0};
    const char *given = getenv("BENCH_PEOPLE");
    uint64_t people = given ? strtoull(given, NULL, 10) : bench_count(1000000);

    if (getenv("BENCH_RECOVERY") != NULL) {
        open_directory(&b, people);
        make_full(&b);
        need(evlog_commit(b.log, &f), &f);
        need(snapshot_engine(&b.directory, b.engine, &f), &f);
        recovery(&b, people == TEN_MILLION ? "recovery_10m_s" : "recovery_s");
        close_directory(&b);
        return 0;
    }
    open_directory(&b, people);
    make_lean(&b);
    bench_print("profile_bytes_lean", (double)engine_bytes(b.engine) / (double)people, "bytes");
    account(&b, "lean");
    close_directory(&b);

    open_directory(&b, people);
    make_full(&b);
    for (uint64_t i = 0; i < people / BATCH_EVENTS; i++)
        (void)one_batch(&b);
    bench_print("profile_bytes_full", (double)engine_bytes(b.engine) / (double)people, "bytes");
    account(&b, "full");
    if (getenv("BENCH_ACCOUNT") != NULL) {
        close_directory(&b);
        return 0;
    }
    double once = cost(&b, "apply_event_1x");
    snapshot(&b);
    need(evlog_commit(b.log, &f), &f);
    need(snapshot_engine(&b.directory, b.engine, &f), &f);
    recovery(&b, people == TEN_MILLION ? "recovery_10m_s" : "recovery_s");
    for (uint64_t i = bench_count(TAIL_EVENTS) / BATCH_EVENTS; i > 0; i--)
        (void)one_batch(&b);
    recovery(&b, people == TEN_MILLION ? "recovery_tail_10m_s" : "recovery_tail_s");
    bench_print("state_resident", (double)os_process_resident_bytes() / 1e6, "MB");
    close_directory(&b);

    open_directory(&b, people * 2);
    make_full(&b);
    for (uint64_t i = 0; i < b.people / BATCH_EVENTS; i++)
        (void)one_batch(&b);
    double twice = cost(&b, "apply_event_2x");
    bench_print("growth_1x_to_2x", twice / once, "ratio");
    int64_t from_ns = os_clock_monotonic_ns();
    need(snapshot_engine(&b.directory, b.engine, &f), &f);
    bench_print("snapshot_at_once_2x_s", (double)(os_clock_monotonic_ns() - from_ns) / 1e9, "s");
    recovery(&b, "recovery_2x_s");
    close_directory(&b);
    return 0;
}
