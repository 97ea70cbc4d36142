/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/recover.h"

#include "base/arena.h"
#include "base/mem.h"
#include "disk/snapshot.h"
#include "os/file.h"
#include "replay/backfill.h"

#define RESULTS_LAG_MAX 4096 /* batches whose result block may still be on its way */
#define SNAPSHOTS_KEPT  2
#define GO_ON_BATCHES   64 /* batches after which somebody is asked whether to go on */

/* ---- snapshots --------------------------------------------------------------------------------- */

struct saving {
    struct snapshot_writer *writer;
    enum status status;
    struct fault *f;
};

static void put_section(void *self, struct str section, uint32_t partition, struct str bytes)
{
    struct saving *s = self;
    if (s->status == OK)
        s->status = snapshot_put(s->writer, section, partition, bytes.at, bytes.len, s->f);
}

enum status snapshot_engine(const struct directory *d, const struct engine *engine, struct fault *f)
{
    struct snapshot_about about = {
        .batch = engine_batch(engine),
        .now_ms = engine_now(engine),
        .state_hash = engine_hash(engine),
        .partition_count = 256,
    };
    struct saving saving = {.f = f};
    enum status status = os_make_dirs(d->disk, d->snapshots, f);
    if (status == OK)
        status = snapshot_begin(d->disk, d->snapshots, &about, &saving.writer, f);
    if (status != OK)
        return status;
    engine_save(engine, &saving, put_section);
    if (saving.status != OK) {
        snapshot_abandon(saving.writer);
        return saving.status;
    }
    status = snapshot_commit(saving.writer, f);
    return status == OK ? snapshot_drop_old(d->disk, d->snapshots, SNAPSHOTS_KEPT, f) : status;
}

static enum status load_snapshot(struct snapshot_reader *reader, struct recovered *r,
                                 struct fault *f)
{
    enum status status = OK;
    struct buf b;
    buf_init(&b);
    for (uint32_t i = 0; i < snapshot_section_count(reader) && status == OK; i++) {
        struct snapshot_section section = snapshot_section_get(reader, i);
        b.len = 0;
        status = snapshot_get(reader, i, &b, f);
        if (status == OK)
            status = engine_load(r->engine, section.name, section.partition, buf_str(&b), f);
    }
    buf_fini(&b);
    const struct snapshot_about *about = snapshot_get_about(reader);
    if (status == OK && about->state_hash && engine_hash(r->engine) != about->state_hash) {
        fault_set(f, "the snapshot of batch %lu does not have the state that it says it has",
                  about->batch);
        status = GIVE_UP;
    }
    if (status == OK) {
        r->snapshot_batch = about->batch;
        shelf_learn(&r->shelf, engine_names(r->engine));
    }
    return status;
}

static void count_refused(void *context, const char *path, const struct fault *why)
{
    struct recovered *r = context;
    r->snapshots_refused++;
    r->snapshot_fault = *why;
    fault_prefix(&r->snapshot_fault, "%s: ", path);
}

static struct engine *fresh_engine(const struct directory *d, const struct recover_options *o,
                                   struct recovered *r)
{
    struct engine_options options = {
        .secret = d->secret, .shelf = &r->shelf, .plan_of = shelf_find, .is_shadow = o->is_shadow};
    struct engine *e = engine_new(&options);
    if (o->keeps != NULL)
        engine_keep(e, o->keeps, o->keeps_from);
    return e;
}

static enum status start(const struct directory *d, const struct recover_options *options,
                         struct recovered *r, struct fault *f)
{
    struct snapshot_reader *reader = NULL;
    r->engine = fresh_engine(d, options, r);
    if (options->from_beginning || !os_exists(d->disk, d->snapshots))
        return OK;
    uint64_t batch_max = options->batch_last ? options->batch_last : UINT64_MAX;
    enum status status;
    for (;;) {
        status = snapshot_latest(d->disk, d->snapshots, batch_max, count_refused, r, &reader, f);
        if (status != OK || reader == NULL || options->snapshot_ms_max == 0 ||
            snapshot_get_about(reader)->now_ms <= options->snapshot_ms_max)
            break;
        batch_max = snapshot_get_about(reader)->batch - 1;
        snapshot_close(reader);
    }
    if (status == GIVE_UP) { /* only damaged ones: the log has everything */
        *f = (struct fault){0};
        return OK;
    }
    if (status != OK || reader == NULL)
        return status;
    status = load_snapshot(reader, r, f);
    snapshot_close(reader);
    if (status == FIX_INPUT) { /* a state that this release does not read: the log has everything */
        r->snapshots_refused++;
        r->snapshot_fault = *f;
        *f = (struct fault){0};
        engine_free(r->engine);
        shelf_fini(&r->shelf);
        shelf_init(&r->shelf, d);
        r->engine = fresh_engine(d, options, r);
        status = OK;
    }
    return status;
}

/* ---- the log's tail ---------------------------------------------------------------------------- */

/* Hashes of results made here whose durable block has not come by yet: a ring by batch. */
struct ring {
    uint64_t number[RESULTS_LAG_MAX];
    uint64_t hash[RESULTS_LAG_MAX];
};

/* The programme that the record names, compiled; the fault says which batch wants it. */
static enum status find_programme(struct recovered *r, const struct record *record, uint64_t batch,
                                  const struct plan **out, struct fault *f)
{
    struct value hash = record_get(record, NAME_PROGRAMME, NULL);
    *out = hash.type == VALUE_TEXT ? shelf_find(&r->shelf, hash.text, r->shelf.names) : NULL;
    if (*out != NULL) {
        if (!engine_knows(r->engine, hash.text))
            engine_prepare(r->engine, *out);
        return OK;
    }
    fault_set(f, "batch %lu needs a programme that cannot be had: %s", batch, r->shelf.fault.text);
    return GIVE_UP;
}

/* The backfill that the `activate` record names, from its file, else made anew from the log. */
static enum status find_backfill(const struct directory *d, struct recovered *r,
                                 const struct record *record, const struct plan *plan,
                                 uint64_t batch, struct fault *f)
{
    struct value hash = record_get(record, NAME_BACKFILL, NULL);
    struct engine_change change = engine_change(r->engine);
    if (hash.type != VALUE_TEXT || change.plan != plan || change.count == 0)
        return OK;
    enum status status = backfill_restore(d, &change, hash.text, &r->backfill, f);
    if (status != OK) {
        fault_prefix(f, "batch %lu: ", batch);
        return GIVE_UP;
    }
    engine_offer_backfill(r->engine, backfill_of(r->backfill));
    return OK;
}

static enum status prepare_programmes(const struct directory *d, const struct recover_options *o,
                                      struct recovered *r, const struct batch *b, struct fault *f)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const struct record *record = &b->records[i];
        const struct plan *plan;
        if (record->type == RECORD_NAME) {
            uint32_t name = names_add(r->shelf.names, body_get_text(record->clear, NAME_TEXT));
            if (name != record->name) {
                fault_set(f,
                          "batch %lu calls \"%.*s\" name %u, this release has another name there: "
                          "the log is of a release that compiles programmes otherwise",
                          b->number, STR_ARG(body_get_text(record->clear, NAME_TEXT)),
                          record->name);
                return GIVE_UP;
            }
        }
        if (record->type != RECORD_PROGRAMME || record->kind == PROGRAMME_ABANDON ||
            (record->kind == PROGRAMME_PREPARE && o->is_shadow))
            continue;
        enum status status = find_programme(r, record, b->number, &plan, f);
        if (status == OK && record->kind == PROGRAMME_ACTIVATE && !o->is_shadow)
            status = find_backfill(d, r, record, plan, b->number, f);
        if (status != OK)
            return status;
    }
    return OK;
}

/* ---- who people are ---------------------------------------------------------------------------- */

/* A shadow's rows are fewer; those that say who is who must be the log's. */
static bool is_about_identity(const struct result *row)
{
    return row->kind == RESULT_CREATED || row->kind == RESULT_MERGED ||
           row->kind == RESULT_SHARED || row->kind == RESULT_DUPLICATE ||
           row->kind == RESULT_UNFOUND;
}

static uint64_t add_identity(uint64_t hash, const struct result *row)
{
    if (!is_about_identity(row))
        return hash;
    return hash_pair(hash, hash_pair(row->kind, hash_pair(row->profile, row->id)));
}

static uint64_t identity_of_rows(const struct result *rows, uint32_t count)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < count; i++)
        hash = add_identity(hash, &rows[i]);
    return hash;
}

static uint64_t identity_of_bytes(struct str bytes)
{
    uint64_t hash = 0;
    struct cursor c = cursor_of(bytes.at, bytes.len);
    struct result row;
    while (results_read(&c, 0, &row))
        hash = add_identity(hash, &row);
    return hash;
}

static enum status compare(const struct recover_options *o, struct recovered *r,
                           const struct ring *ring, const struct evlog_item *item, struct fault *f)
{
    uint64_t place = item->number % RESULTS_LAG_MAX;
    if (item->number <= r->snapshot_batch || ring->number[place] != item->number)
        return OK;
    r->results_compared++;
    uint64_t hash = o->is_shadow ? identity_of_bytes(item->results) : item->results_hash;
    if (ring->hash[place] == hash)
        return OK;
    r->is_astray = o->is_shadow;
    fault_set(f,
              "batch %lu gives other results than when it was first applied (segment %lu, "
              "offset %lu); `wend replay --verify` says more, nothing was changed",
              item->number, item->segment, item->offset);
    return GIVE_UP;
}

static enum status compare_hash(const struct directory *d, struct recovered *r, struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct snapshot_reader *reader;
    uint64_t batch = engine_batch(r->engine);
    if (!snapshot_path(path, sizeof(path), d->snapshots, batch) || !os_exists(d->disk, path))
        return OK;
    if (snapshot_open(d->disk, path, &reader, f) != OK) {
        r->snapshots_refused++;
        *f = (struct fault){0};
        return OK;
    }
    uint64_t hash = snapshot_get_about(reader)->state_hash;
    snapshot_close(reader);
    r->hashes_compared++;
    if (hash == engine_hash(r->engine))
        return OK;
    fault_set(f, "the state after batch %lu is not that of its snapshot", batch);
    return GIVE_UP;
}

static enum status run_tail(const struct directory *d, const struct recover_options *options,
                            struct recovered *r, struct evlog_reader *reader, struct fault *f)
{
    struct ring *ring = mem_new(sizeof(*ring));
    struct buf results;
    enum status status = OK;
    buf_init(&results);
    for (;;) {
        struct evlog_item item;
        status = evlog_reader_next(reader, &item, f);
        if (status != OK || item.kind == EVLOG_END)
            break;
        if (item.kind == EVLOG_RESULTS) {
            r->results_newest = item.number;
            status = compare(options, r, ring, &item, f);
            if (status != OK)
                break;
            continue;
        }
        if (item.batch.number <= engine_batch(r->engine))
            continue;
        if (options->batch_last && item.batch.number > options->batch_last) {
            if (options->is_shadow && r->results_newest < options->batch_last)
                continue; /* result blocks of what was applied are still to come */
            break;
        }
        if (item.batch.number != engine_batch(r->engine) + 1) {
            fault_set(f, "the log goes on with batch %lu, the state ends with %lu",
                      item.batch.number, engine_batch(r->engine));
            status = GIVE_UP;
            break;
        }
        if (options->until_ms && item.batch.now_ms > options->until_ms)
            break;
        status = prepare_programmes(d, options, r, &item.batch, f);
        if (status != OK)
            break;
        struct engine_output out;
        if (options->before)
            options->before(options->self, r->engine, &item.batch);
        engine_apply(r->engine, &item.batch, &out);
        backfill_free(r->backfill);
        r->backfill = NULL;
        results.len = 0;
        if (!options->is_shadow)
            results_write(out.results, out.result_count, item.batch.now_ms, &results);
        ring->number[item.number % RESULTS_LAG_MAX] = item.number;
        ring->hash[item.number % RESULTS_LAG_MAX] =
            options->is_shadow ? identity_of_rows(out.results, out.result_count)
                               : hash_bytes(results.at, results.len, 0);
        r->batches++;
        r->records += item.batch.count;
        if (options->after)
            options->after(options->self, r->engine, &item.batch, &out);
        if (options->checks_hashes)
            status = compare_hash(d, r, f);
        if (status == OK && options->go_on && r->batches % GO_ON_BATCHES == 0 &&
            !options->go_on(options->self, r)) {
            fault_set(f, "told to stop at batch %lu", item.batch.number);
            status = TRY_AGAIN;
        }
        if (status != OK)
            break;
    }
    r->results_missing = r->batches - min_of(r->results_compared, r->batches);
    buf_fini(&results);
    mem_free(ring);
    return status;
}

enum status recover(const struct directory *d, const struct recover_options *options,
                    struct recovered *out, struct fault *f)
{
    struct evlog_reader *reader;
    *out = (struct recovered){0};
    shelf_init(&out->shelf, d);
    enum status status = start(d, options, out, f);
    if (status != OK || !os_exists(d->disk, d->log))
        return status;
    status = evlog_reader_open(d->disk, d->log, out->snapshot_batch + 1, &reader, f);
    if (status != OK)
        return status;
    status = run_tail(d, options, out, reader, f);
    evlog_reader_close(reader);
    return status;
}

struct missing {
    struct evlog *log;
    enum status status;
    struct fault *f;
};

static void append_missing(void *self, struct engine *engine, const struct batch *batch,
                           const struct engine_output *out)
{
    struct missing *m = self;
    struct buf bytes;
    (void)engine;
    if (m->status != OK || batch->number <= evlog_results_newest(m->log))
        return;
    buf_init(&bytes);
    results_write(out->results, out->result_count, batch->now_ms, &bytes);
    m->status = evlog_append_results(m->log, batch->number, buf_str(&bytes), m->f);
    buf_fini(&bytes);
}

enum status recover_to_write(const struct directory *d, struct evlog *log, struct recovered *out,
                             struct fault *f)
{
    struct missing missing = {.log = log, .f = f};
    struct recover_options options = {.self = &missing, .after = append_missing};
    enum status status = recover(d, &options, out, f);
    if (status == OK)
        status = missing.status;
    if (status == OK)
        status = evlog_commit(log, f);
    if (status == OK && engine_batch(out->engine) + 1 != evlog_batch_next(log)) {
        fault_set(f, "the state ends with batch %lu, the log with %lu", engine_batch(out->engine),
                  evlog_batch_next(log) - 1);
        status = GIVE_UP;
    }
    return status;
}

void recovered_fini(struct recovered *r)
{
    engine_free(r->engine);
    backfill_free(r->backfill);
    shelf_fini(&r->shelf);
    *r = (struct recovered){0};
}
