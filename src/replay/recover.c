/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/recover.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/hook.h"
#include "base/mem.h"
#include "os/file.h"
#include "os/last_words.h"
#include "os/thread.h"
#include "profile/identity.h"
#include "replay/backfill.h"
#include "replay/difference.h"
#include "replay/erase.h"
#include "replay/retention.h"
#include "replay/watch.h"
#include "when/civil.h"

#define RESULTS_LAG_MAX 4096 /* batches whose result block may still be on its way */
#define GO_ON_BATCHES   64   /* batches after which somebody is asked whether to go on */

/* ---- snapshots --------------------------------------------------------------------------------- */

/* The snapshot's names are the log's, with the same numbers. What programmes brought that the log does not
 * have yet, the engine knows from here on. */
static enum status check_names(struct recovered *r, struct fault *f)
{
    const struct names *names = engine_names(r->engine);
    for (uint32_t i = NAME_FIXED_END; i < names_count(names); i++) {
        if (str_equal(names_text(names, i), names_text(r->shelf.names, i)))
            continue;
        fault_set(f, "the snapshot numbers names otherwise than the log: it is of another one");
        return FIX_INPUT;
    }
    engine_learn(r->engine, r->shelf.names);
    return OK;
}

/* A section on its way to the thread that loads it. */
struct parcel {
    struct str name; /* the reader's */
    uint32_t partition;
    struct buf stored;
};

#define PARCELS_MAX 4

/* The other thread that loads: the upper half of the partitions. */
struct helper {
    struct load_share *share;
    struct os_queue *parcels;
    enum status status;
    struct fault fault;
};

static enum status load_parcel(struct helper *h, struct snapshot_unpacker *unpacker,
                               const struct parcel *p, struct buf *bytes)
{
    bytes->len = 0;
    enum status status = snapshot_unpack(unpacker, buf_str(&p->stored), bytes, &h->fault);
    return status == OK
               ? engine_load_share(h->share, p->name, p->partition, buf_str(bytes), &h->fault)
               : status;
}

static void run_helper(void *context)
{
    struct helper *h = context;
    struct snapshot_unpacker *unpacker = snapshot_unpacker_new();
    struct parcel p;
    struct buf bytes;
    buf_init(&bytes);
    while (os_queue_pop(h->parcels, &p, 1, FOREVER_MS) > 0) {
        if (h->status == OK)
            h->status = load_parcel(h, unpacker, &p, &bytes);
        buf_fini(&p.stored);
    }
    buf_fini(&bytes);
    snapshot_unpacker_free(unpacker);
}

static enum status hand_over(struct snapshot_reader *reader, uint32_t section, struct helper *h,
                             struct fault *f)
{
    struct snapshot_section at = snapshot_section_get(reader, section);
    struct parcel p = {.name = at.name, .partition = at.partition};
    buf_init(&p.stored);
    enum status status = snapshot_fetch(reader, section, &p.stored, f);
    if (status == OK)
        status = os_queue_push_wait(h->parcels, &p, FOREVER_MS);
    if (status != OK)
        buf_fini(&p.stored);
    return status;
}

static enum status load_section(struct snapshot_reader *reader, uint32_t section,
                                struct recovered *r, struct buf *bytes, struct fault *f)
{
    struct snapshot_section at = snapshot_section_get(reader, section);
    bytes->len = 0;
    enum status status = snapshot_get(reader, section, bytes, f);
    if (status == OK)
        status = engine_load(r->engine, at.name, at.partition, buf_str(bytes), f);
    if (status == OK && str_is(at.name, "meta"))
        status = check_names(r, f);
    return status;
}

/* The next section from `i` on that partitions have each, of the lower or the upper half of them. */
static uint32_t next_apart(const struct snapshot_reader *reader, uint32_t i, bool is_upper)
{
    for (; i < snapshot_section_count(reader); i++) {
        struct snapshot_section at = snapshot_section_get(reader, i);
        if (engine_loads_apart(at.name) && (at.partition >= PARTITIONS / 2) == is_upper)
            break;
    }
    return i;
}

/* One reads the file, for both: what is read when does not depend on who is faster. */
static enum status load_halves(struct snapshot_reader *reader, struct recovered *r,
                               struct helper *h, struct buf *bytes, struct fault *f)
{
    uint32_t count = snapshot_section_count(reader);
    uint32_t lower = next_apart(reader, 0, false), upper = next_apart(reader, 0, true);
    enum status status = OK;
    while (status == OK && (lower < count || upper < count)) {
        if (upper < count)
            status = hand_over(reader, upper, h, f);
        if (status == OK && lower < count)
            status = load_section(reader, lower, r, bytes, f);
        lower = next_apart(reader, min_of(lower + 1, count), false);
        upper = next_apart(reader, min_of(upper + 1, count), true);
    }
    return status;
}

static enum status load_apart(struct snapshot_reader *reader, struct recovered *r,
                              struct buf *bytes, struct fault *f)
{
    struct os_thread thread;
    struct helper h = {.parcels = os_queue_new(sizeof(struct parcel), PARCELS_MAX)};
    h.share = engine_load_begin(r->engine, PARTITIONS / 2, PARTITIONS);
    enum status status = os_thread_start(&thread, "loads state", run_helper, &h, f);
    if (status == OK) {
        status = load_halves(reader, r, &h, bytes, f);
        os_queue_close(h.parcels);
        os_thread_join(&thread);
    }
    engine_load_end(h.share);
    os_queue_free(h.parcels);
    if (status != OK || h.status == OK)
        return status;
    if (f != NULL)
        *f = h.fault;
    return h.status;
}

/* What is nobody's own comes first: who people are is loaded by two threads, with nothing left to change. */
static enum status load_sections(struct snapshot_reader *reader, struct recovered *r,
                                 struct fault *f)
{
    struct buf b;
    enum status status = OK;
    buf_init(&b);
    for (uint32_t i = 0; i < snapshot_section_count(reader) && status == OK; i++) {
        struct str name = snapshot_section_get(reader, i).name;
        if (!snapping_is_own(name) && !engine_loads_apart(name))
            status = load_section(reader, i, r, &b, f);
    }
    if (status == OK)
        status = load_apart(reader, r, &b, f);
    buf_fini(&b);
    return status;
}

struct hashing {
    const struct engine *engine;
    uint64_t sum;
};

static void hash_upper_half(void *context)
{
    struct hashing *x = context;
    x->sum = engine_hash_share(x->engine, PARTITIONS / 2, PARTITIONS);
}

/* engine_hash(), by two threads. */
static enum status hash_state(const struct engine *e, uint64_t *hash, struct fault *f)
{
    struct hashing upper = {.engine = e};
    struct os_thread thread;
    enum status status = os_thread_start(&thread, "hashes state", hash_upper_half, &upper, f);
    if (status != OK)
        return status;
    *hash = engine_hash_share(e, 0, PARTITIONS / 2);
    os_thread_join(&thread);
    *hash += upper.sum;
    return OK;
}

/* Is the state's hash to be found out again? The file's checksums have said that these are the bytes that were written.
 * Where this very release wrote them and is to go on, it waits for nothing that it knows (decision 15). */
static bool is_to_hash(const struct snapshot_reader *reader, const struct recover_options *o)
{
    struct release by = release_of_bytes(snapshot_get_about(reader)->release, STR(""));
    struct release here = release_here();
    return !o->is_to_write || o->checks_hashes || !release_is_same(&by, &here);
}

static enum status load_snapshot(struct snapshot_reader *reader, const struct recover_options *o,
                                 struct recovered *r, struct fault *f)
{
    uint64_t hash = 0, own = 0, batch = snapshot_get_about(reader)->batch;
    struct release release;
    enum status status = snapping_owner(reader, &release, f);
    if (status == OK)
        status = snapping_hash(reader, &hash, f);
    if (status == OK)
        status = load_sections(reader, r, f);
    if (status == OK && engine_batch(r->engine) != batch) {
        fault_set(f, "the snapshot of batch %lu holds the state of batch %lu", batch,
                  engine_batch(r->engine));
        status = FIX_INPUT;
    }
    bool is_hashed = hash != 0 && is_to_hash(reader, o);
    if (status == OK && is_hashed)
        status = hash_state(r->engine, &own, f);
    if (status == OK && is_hashed && own != hash) {
        fault_set(f, "the snapshot of batch %lu does not have the state that it says it has",
                  batch);
        status = FIX_INPUT;
    }
    if (status == OK) {
        r->snapshot_batch = batch;
        r->release = release;
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
    struct engine_options options = {.secret = d->secret,
                                     .shelf = &r->shelf,
                                     .plan_of = shelf_find,
                                     .is_shadow = o->is_shadow,
                                     .split = o->split};
    struct engine *e = engine_new(&options);
    engine_learn(e, r->shelf.names);
    if (o->keeps != NULL)
        engine_keep(e, o->keeps, o->keeps_from);
    return e;
}

/* The newest snapshot up to `batch_max` that is whole: *is_done if its state is what the engine has now, or
 * if there is none; else it is refused, and *batch_max is before it. */
static enum status try_snapshot(const struct directory *d, const struct recover_options *options,
                                struct recovered *r, uint64_t *batch_max, bool *is_done,
                                struct fault *f)
{
    char path[OS_PATH_BYTES] = "";
    struct fault why = {0};
    struct snapshot_reader *reader = NULL;
    enum status status;
    for (;;) {
        status =
            snapshot_latest_unread(d->disk, d->snapshots, *batch_max, count_refused, r, &reader, f);
        if (status != OK || reader == NULL || options->snapshot_ms_max == 0 ||
            snapshot_get_about(reader)->now_ms <= options->snapshot_ms_max)
            break;
        *batch_max = snapshot_get_about(reader)->batch - 1;
        snapshot_close(reader);
    }
    *is_done = status != OK || reader == NULL;
    if (status == GIVE_UP) { /* only damaged ones: the log has everything */
        *f = (struct fault){0};
        return OK;
    }
    if (*is_done)
        return status;
    must(snapshot_path(path, sizeof(path), d->snapshots, snapshot_get_about(reader)->batch));
    *batch_max = snapshot_get_about(reader)->batch - 1;
    status = load_snapshot(reader, options, r, &why);
    snapshot_close(reader);
    *is_done = status == OK || status == TRY_AGAIN;
    if (status == TRY_AGAIN && f != NULL)
        *f = why;
    if (!*is_done) { /* it is damaged, or this release does not read its state */
        r->snapshots_refused++;
        r->snapshot_fault = why;
        if (status == GIVE_UP)
            fault_prefix(&r->snapshot_fault, "%s: ", path);
        engine_free(r->engine);
        r->engine = fresh_engine(d, options, r);
        status = OK;
    }
    return status;
}

/* Where an erasure is under way, its keys may be gone already, but not before older snapshots are: `oldest` is
 * the one from which on all can be decided again (0: nobody asks for it). */
static enum status heed_erasing(const struct directory *d, uint64_t oldest, struct recovered *r,
                                struct fault *f)
{
    struct erasure under_way = {0};
    bool is_there;
    enum status status = erasing_read(d, &under_way, &is_there, f);
    if (status == OK && is_there && under_way.batch != 0)
        r->erased_batch = max_of(r->erased_batch, oldest);
    if (status == OK && is_there && under_way.keys != 0)
        r->erased_batch = max_of(r->erased_batch, under_way.batch);
    erasure_fini(&under_way);
    return status;
}

/* Of which batches the oldest and the newest snapshot are; 0: there is none. */
static enum status find_ends(const struct directory *d, uint64_t *oldest, uint64_t *newest,
                             struct fault *f)
{
    struct arena a;
    uint64_t *batches;
    uint32_t count = 0;
    bool has_any;
    *oldest = *newest = 0;
    enum status status = os_look(d->disk, d->snapshots, &has_any, f);
    if (status != OK || !has_any)
        return status;
    arena_init(&a, 4096);
    status = snapshot_list(d->disk, d->snapshots, &a, &batches, &count, f);
    if (status == OK && count > 0) {
        *oldest = batches[count - 1];
        *newest = batches[0];
    }
    arena_fini(&a);
    return status;
}

/* A snapshot is of batches that were durable. One of a later batch than the log's last says that the log has lost its
 * end: what was confirmed is missing, and what was sent would be decided again. `newest` was found before the log's end. */
static enum status check_end(const struct directory *d, const struct recovered *r, uint64_t newest,
                             struct fault *f)
{
    if (newest <= r->log_batch)
        return OK;
    fault_set(
        f,
        "the log ends with batch %lu, but there is a snapshot of batch %lu: the end of the log "
        "is lost, and with it what was confirmed and sent since. Put the log's newest "
        "segments back, or restore a backup. To go on without them, knowing that messages "
        "may be sent again, remove the snapshots of later batches from %s",
        r->log_batch, newest, d->snapshots);
    return GIVE_UP;
}

/* The state before which nothing can be applied: an erasure (what erased people had said cannot be read any more,
 * so what was decided before cannot be decided again), or where the log begins. 0: the log has all. */
static enum status find_floor(const struct directory *d, const struct recover_options *o,
                              struct recovered *r, uint64_t *floor, struct fault *f)
{
    bool has_log = false;
    enum status status = erased_batch(d, &r->erased_batch, f);
    if (status == OK)
        status = os_look(d->disk, d->log, &has_log, f);
    if (status == OK && has_log)
        status = evlog_first_batch(d->disk, d->log, &r->log_first, f);
    bool is_strict = !o->is_tolerant && !o->is_shadow;
    uint64_t oldest = 0, newest;
    if (status == OK && is_strict && o->from_beginning)
        status = find_ends(d, &oldest, &newest, f);
    if (status == OK)
        status = heed_erasing(d, oldest, r, f);
    *floor = is_strict ? r->erased_batch : 0;
    if (r->log_first > 1)
        *floor = max_of(*floor, r->log_first - 1);
    return status;
}

/* Drops a state that nothing can be applied to. */
static void forget_before(const struct directory *d, const struct recover_options *options,
                          struct recovered *r, uint64_t floor)
{
    if (r->snapshot_batch == 0 || r->snapshot_batch >= floor)
        return;
    engine_free(r->engine);
    r->engine = fresh_engine(d, options, r);
    r->snapshot_batch = 0;
    r->release = (struct release){{0}, {0}};
}

/* The oldest snapshot at or behind the floor whose state can be had. */
static enum status start_from_oldest(const struct directory *d,
                                     const struct recover_options *options, struct recovered *r,
                                     uint64_t floor, uint64_t batch_max, struct fault *f)
{
    struct arena a;
    uint64_t *batches;
    uint32_t count = 0;
    bool is_done = false;
    struct recover_options any_time = *options;
    any_time.snapshot_ms_max = 0;
    arena_init(&a, 4096);
    enum status status = snapshot_list(d->disk, d->snapshots, &a, &batches, &count, f);
    while (status == OK && count > 0 && !is_done) {
        uint64_t batch = batches[--count];
        if (batch < floor || batch > batch_max)
            continue;
        status = try_snapshot(d, &any_time, r, &batch, &is_done, f);
        forget_before(d, options, r, floor);
        is_done = r->snapshot_batch > 0;
    }
    arena_fini(&a);
    return status;
}

static enum status refuse_start(const struct directory *d, const struct recover_options *o,
                                const struct recovered *r, uint64_t floor, struct fault *f)
{
    struct reach reach;
    enum status status = reach_of(d, &reach, f);
    if (status != OK)
        return status;
    if (o->batch_last != 0 && o->batch_last < reach.base) {
        fault_set(f, "batch %lu is beyond what is kept: nothing before batch %lu can be applied",
                  o->batch_last, reach.base + 1);
        return FIX_INPUT;
    }
    if (floor == r->erased_batch)
        fault_set(
            f,
            "somebody was erased up to batch %lu, and there is no whole snapshot from then on%s%s; "
            "`wend recover %s` says what can be done",
            r->erased_batch, r->snapshots_refused > 0 ? ": " : "", r->snapshot_fault.text, d->path);
    else
        fault_set(
            f,
            "the log begins with batch %lu, as older ones were dropped, and there is no whole "
            "snapshot from then on%s%.200s; restore a backup",
            r->log_first, r->snapshot_fault.text[0] ? ": " : "", r->snapshot_fault.text);
    return GIVE_UP;
}

/* Results that nothing can be begun from to make them. */
static void note_unmade(const struct recover_options *o, struct recovered *r)
{
    if (o->heeds_results && r->snapshot_batch > o->results_newest)
        r->results_lost = r->snapshot_batch - o->results_newest;
}

/* What is asked for may be before the oldest state there is. */
static enum status check_reach(const struct recover_options *o, struct recovered *r,
                               struct fault *f)
{
    char text[TIMESTAMP_BYTES];
    if (r->log_first <= 1)
        return OK;
    r->kept_since_ms = engine_now(r->engine);
    if (o->until_ms == 0 || o->until_ms >= r->kept_since_ms)
        return OK;
    fault_set(f, "what was before %s is not kept any more",
              timestamp_print(r->kept_since_ms, text).at);
    return FIX_INPUT;
}

static enum status start(const struct directory *d, const struct recover_options *options,
                         struct recovered *r, struct fault *f)
{
    uint64_t batch_max = options->batch_last ? options->batch_last : UINT64_MAX;
    uint64_t floor = 0, newest = batch_max, snapshot_oldest = 0, snapshot_newest = 0;
    bool has_any = false, has_log = false;
    enum status status = os_look(d->disk, d->snapshots, &has_any, f);
    bool is_done = options->from_beginning || !has_any;
    if (status == OK)
        status = find_ends(d, &snapshot_oldest, &snapshot_newest, f);
    if (status == OK)
        status = os_look(d->disk, d->log, &has_log, f);
    if (status == OK && has_log)
        status = evlog_read_names(d->disk, d->log, r->shelf.names, &r->log_batch, f);
    r->engine = fresh_engine(d, options, r);
    if (status == OK)
        status = check_end(d, r, snapshot_newest, f);
    if (status == OK)
        status = find_floor(d, options, r, &floor, f);
    if (status == OK && options->is_shadow && r->log_first > 1) {
        fault_set(f, "the log begins with batch %lu: who people were before is not known",
                  r->log_first);
        return GIVE_UP;
    }
    bool has_bound = options->heeds_results && options->results_newest < newest && !is_done;
    if (has_bound)
        newest = options->results_newest;
    for (;;) {
        while (status == OK && !is_done && newest >= max_of(floor, UINT64_C(1)))
            status = try_snapshot(d, options, r, &newest, &is_done, f);
        if (!has_bound || status != OK || r->snapshot_batch > 0)
            break;
        has_bound = false;
        if (floor == 0) /* the log has all: their results are made again */
            break;
        is_done = false; /* and here they cannot be */
        newest = batch_max;
    }
    forget_before(d, options, r, floor);
    if (status == OK && has_any && r->snapshot_batch < floor)
        status = start_from_oldest(d, options, r, floor, batch_max, f);
    if (status == OK && r->snapshot_batch < floor)
        return refuse_start(d, options, r, floor, f);
    note_unmade(options, r);
    return status == OK ? check_reach(options, r, f) : status;
}

/* ---- the log's tail ---------------------------------------------------------------------------- */

/* Results made here whose durable block has not come by yet: a ring by batch. */
struct ring {
    struct {
        uint64_t number;
        uint64_t hash;
        int64_t now_ms;
        struct buf bytes; /* empty for a shadow */
    } at[RESULTS_LAG_MAX];
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

/* The backfill that the record names, from its file, else made anew from the log. */
static enum status find_backfill(const struct directory *d, struct recovered *r,
                                 const struct record *record, const struct plan *plan,
                                 uint64_t batch, struct fault *f)
{
    struct value hash = record_get(record, NAME_BACKFILL, NULL);
    struct engine_change change = engine_change(r->engine);
    if (hash.type != VALUE_TEXT || change.plan != plan || change.count == 0 ||
        change.backfill != NULL)
        return OK;
    enum status status = backfill_restore(d, &change, hash.text, &r->backfill, f);
    if (status != OK) {
        fault_prefix(f, "batch %lu: ", batch);
        return GIVE_UP;
    }
    engine_offer_backfill(r->engine, backfill_of(r->backfill));
    return OK;
}

/* The snapshot is of a state that unites one: the rest of it. */
static enum status go_on_uniting(const struct directory *d, struct recovered *r, struct fault *f)
{
    struct engine_change change = engine_change(r->engine);
    if (!change.is_uniting)
        return OK;
    enum status status = backfill_restore(d, &change, str_of(change.backfill), &r->backfill, f);
    if (status != OK) {
        fault_prefix(f, "the snapshot of batch %lu: ", r->snapshot_batch);
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
        if (record->type != RECORD_PROGRAMME || record->kind == PROGRAMME_ABANDON ||
            (record->kind != PROGRAMME_ACTIVATE && o->is_shadow))
            continue;
        enum status status = find_programme(r, record, b->number, &plan, f);
        if (status == OK && record->kind != PROGRAMME_PREPARE && !o->is_shadow)
            status = find_backfill(d, r, record, plan, b->number, f);
        if (status != OK)
            return status;
    }
    engine_learn(r->engine, r->shelf.names);
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

/* The batch behind `batch` that has an operator's record by which its results may be others (0 = none), or
 * the first that says that another release took over. */
static enum status find_adoption(const struct directory *d, uint64_t batch, uint64_t *out,
                                 uint64_t *taken_over, struct fault *f)
{
    struct evlog_reader *reader;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    struct release_record said;
    *out = 0;
    enum status status = evlog_reader_open(d->disk, d->log, batch + 1, &reader, f);
    if (status != OK)
        return status;
    while (status == OK && *out == 0 && item.kind != EVLOG_END) {
        status = evlog_reader_next(reader, &item, f);
        for (uint32_t i = 0; status == OK && item.kind == EVLOG_BATCH && i < item.batch.count;
             i++) {
            if (!release_read(&item.batch.records[i], &said))
                continue;
            if (said.kind == RELEASE_ADOPTED && said.batch <= batch)
                *out = item.number;
            if (said.kind == RELEASE_TOOK_OVER && *taken_over == 0)
                *taken_over = item.number;
        }
    }
    evlog_reader_close(reader);
    return status;
}

static void refuse_difference(const struct directory *d, const struct recovered *r,
                              const struct difference *what, struct fault *f)
{
    struct release here = release_here();
    char by[RELEASE_TEXT_BYTES];
    release_print(&r->release, by);
    if (release_is_same(&here, &r->release))
        fault_set(f, "batch %lu gives other results than when it was first applied: %s. ",
                  what->batch, r->difference);
    else
        fault_set(f, "batch %lu was decided otherwise by the release that wrote it, %s: %s. ",
                  what->batch, by, r->difference);
    size_t used = strlen(f->text);
    snprintf(f->text + used, sizeof(f->text) - used,
             "Nothing was changed; `wend recover %s` says how much differs and what can be done",
             d->path);
}

static enum status note_difference(const struct directory *d, const struct recover_options *o,
                                   struct recovered *r, const struct difference *what,
                                   struct fault *f)
{
    enum status status;
    if (o->is_shadow && what->batch <= r->erased_batch)
        return OK;
    if (r->differences++ == 0) {
        r->differs_from = what->batch;
        difference_tell(what, r->shelf.names, r->difference);
    }
    if (r->adopted_batch < what->batch && !r->has_no_adoption) {
        uint64_t found;
        status = find_adoption(d, what->batch, &found, &r->taken_over_batch, f);
        if (status != OK)
            return status;
        r->has_no_adoption = found == 0;
        r->adopted_batch = max_of(r->adopted_batch, found);
    }
    if (o->differs != NULL)
        o->differs(o->self, r, what);
    if (o->is_tolerant || r->adopted_batch > what->batch)
        return OK;
    refuse_difference(d, r, what, f);
    return GIVE_UP;
}

static enum status compare(const struct directory *d, const struct recover_options *o,
                           struct recovered *r, struct ring *ring, const struct evlog_item *item,
                           struct fault *f)
{
    uint64_t place = item->number % RESULTS_LAG_MAX;
    if (item->number <= r->snapshot_batch || ring->at[place].number != item->number)
        return OK;
    uint64_t hash = o->is_shadow ? identity_of_bytes(item->results) : item->results_hash;
    ring->at[place].number = 0;
    if (ring->at[place].hash == hash) {
        r->results_compared++;
        return OK;
    }
    struct difference what = {item->number,  ring->at[place].now_ms,
                              item->results, buf_str(&ring->at[place].bytes),
                              item->segment, item->offset};
    if (!o->is_shadow)
        return note_difference(d, o, r, &what, f);
    r->is_astray = true;
    fault_set(f, "batch %lu has other people than when it was first applied", item->number);
    return GIVE_UP;
}

bool recover_same_people(const struct difference *what)
{
    return identity_of_bytes(what->stored) == identity_of_bytes(what->made);
}

/* Batches whose results no block tells. */
static void tell_unstored(const struct recover_options *o, struct recovered *r,
                          const struct ring *ring)
{
    if (!o->is_tolerant || o->differs == NULL)
        return;
    for (uint64_t n = engine_batch(r->engine) - min_of(engine_batch(r->engine), RESULTS_LAG_MAX);
         n++ < engine_batch(r->engine);)
        if (ring->at[n % RESULTS_LAG_MAX].number == n)
            o->differs(o->self, r,
                       &(struct difference){.batch = n,
                                            .now_ms = ring->at[n % RESULTS_LAG_MAX].now_ms,
                                            .made = buf_str(&ring->at[n % RESULTS_LAG_MAX].bytes)});
}

/* The batch tells of a change of release: it is behind a snapshot, or this release would decide again what
 * is not its own. */
static enum status note_release(const struct directory *d, const struct recover_options *o,
                                struct recovered *r, const struct batch *b, struct fault *f)
{
    struct release_record said;
    char by[RELEASE_TEXT_BYTES], then[RELEASE_TEXT_BYTES];
    for (uint32_t i = 0; i < b->count; i++) {
        if (!release_read(&b->records[i], &said) || said.kind != RELEASE_TOOK_OVER)
            continue;
        bool is_crossed = said.batch > r->snapshot_batch;
        release_print(&r->release, then);
        r->release = said.release;
        if (!is_crossed)
            continue;
        r->crossed_batch = b->number;
        if (!o->is_to_write || o->is_tolerant)
            continue;
        release_print(&said.release, by);
        fault_set(
            f,
            "up to batch %lu the log is of release %s, then of %s, and no snapshot from there on "
            "can be used%s%.200s; `wend recover %s` says what can be done",
            said.batch, then, by, r->snapshot_fault.text[0] ? ": " : "", r->snapshot_fault.text,
            d->path);
        return GIVE_UP;
    }
    return OK;
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
    struct release by = release_of_bytes(snapshot_get_about(reader)->release, STR(""));
    struct release here = release_here();
    uint64_t hash = 0;
    enum status status = snapping_hash(reader, &hash, f);
    snapshot_close(reader);
    if (status != OK || hash == 0 || !release_is_same(&by, &here)) /* it may reckon it otherwise */
        return status;
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
    struct invariants *watch = watch_new(r->engine);
    enum status status = OK;
    for (uint32_t i = 0; i < RESULTS_LAG_MAX; i++)
        buf_init(&ring->at[i].bytes);
    for (;;) {
        struct evlog_item item;
        status = evlog_reader_next(reader, &item, f);
        if (status != OK || item.kind == EVLOG_END)
            break;
        if (item.kind == EVLOG_RESULTS) {
            r->results_newest = item.number;
            status = compare(d, options, r, ring, &item, f);
            if (status != OK)
                break;
            continue;
        }
        if (item.batch.number <= engine_batch(r->engine))
            continue;
        uint64_t batch_last =
            options->batch_last ? min_of(options->batch_last, r->log_batch) : r->log_batch;
        if (item.batch.number > batch_last) {
            if (options->is_shadow && r->results_newest < batch_last)
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
        status = note_release(d, options, r, &item.batch, f);
        if (status == OK)
            status = prepare_programmes(d, options, r, &item.batch, f);
        if (status != OK)
            break;
        struct engine_output out;
        if (options->before)
            options->before(options->self, r->engine, &item.batch);
        os_last_words("wend: this happened while batch", item.number,
                      "of the log was applied again: the release that wrote it could");
        must(hook(HOOK_CLAIM) != item.number);
        engine_apply(r->engine, &item.batch, &out);
        watch_batch(watch, &item.batch);
        os_last_words(NULL, 0, NULL);
        if (r->backfill != NULL && !engine_change(r->engine).is_uniting) {
            backfill_free(r->backfill);
            r->backfill = NULL;
        }
        struct buf *made = &ring->at[item.number % RESULTS_LAG_MAX].bytes;
        made->len = 0;
        if (!options->is_shadow)
            results_write(out.results, out.result_count, item.batch.now_ms, made);
        ring->at[item.number % RESULTS_LAG_MAX].number = item.number;
        ring->at[item.number % RESULTS_LAG_MAX].now_ms = item.batch.now_ms;
        ring->at[item.number % RESULTS_LAG_MAX].hash =
            options->is_shadow ? identity_of_rows(out.results, out.result_count)
                               : hash_bytes(made->at, made->len, 0);
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
    r->results_missing = r->batches - min_of(r->results_compared + r->differences, r->batches);
    if (status == OK)
        tell_unstored(options, r, ring);
    for (uint32_t i = 0; i < RESULTS_LAG_MAX; i++)
        buf_fini(&ring->at[i].bytes);
    mem_free(ring);
    watch_end(watch);
    return status;
}

enum status recover(const struct directory *d, const struct recover_options *options,
                    struct recovered *out, struct fault *f)
{
    struct evlog_reader *reader;
    bool has_log = false;
    *out = (struct recovered){0};
    shelf_init(&out->shelf, d);
    enum status status = start(d, options, out, f);
    if (status == OK)
        status = go_on_uniting(d, out, f);
    if (status == OK)
        status = os_look(d->disk, d->log, &has_log, f);
    if (status != OK || !has_log)
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
    const struct recover_options *options; /* the caller's; NULL: none */
    enum status status;
    struct fault *f;
};

static void append_missing(void *self, struct engine *engine, const struct batch *batch,
                           const struct engine_output *out)
{
    struct missing *m = self;
    struct buf bytes;
    if (m->options != NULL && m->options->after != NULL)
        m->options->after(m->options->self, engine, batch, out);
    if (m->status != OK || batch->number <= evlog_results_newest(m->log))
        return;
    buf_init(&bytes);
    results_write(out->results, out->result_count, batch->now_ms, &bytes);
    m->status = evlog_append_results(m->log, batch->number, buf_str(&bytes), m->f);
    buf_fini(&bytes);
}

static void tell_difference(void *self, const struct recovered *so_far,
                            const struct difference *what)
{
    const struct missing *m = self;
    m->options->differs(m->options->self, so_far, what);
}

/* What was damaged would be kept as one of the two newest, and there would be none to fall back to. */
static enum status drop_damaged(const struct directory *d, const struct recovered *r,
                                struct fault *f)
{
    struct arena a;
    uint64_t *batches;
    uint32_t count = 0, dropped = 0;
    if (r->snapshots_refused == 0)
        return OK;
    arena_init(&a, 1024);
    enum status status = snapshot_list(d->disk, d->snapshots, &a, &batches, &count, f);
    for (uint32_t i = 0; i < count && status == OK && batches[i] > r->snapshot_batch; i++) {
        char path[OS_PATH_BYTES];
        struct snapshot_reader *reader = NULL;
        must(snapshot_path(path, sizeof(path), d->snapshots, batches[i]));
        if (snapshot_open(d->disk, path, &reader, NULL) != OK) {
            status = os_remove(d->disk, path, f);
            dropped++;
        }
        snapshot_close(reader);
    }
    if (status == OK && dropped > 0)
        status = os_sync_dir(d->disk, d->snapshots, f);
    arena_fini(&a);
    return status;
}

enum status recover_to_write(const struct directory *d, struct evlog *log,
                             const struct recover_options *options, struct recovered *out,
                             struct fault *f)
{
    struct missing missing = {.log = log, .options = options, .f = f};
    struct recover_options own = {.self = &missing,
                                  .after = append_missing,
                                  .is_to_write = true,
                                  .heeds_results = true,
                                  .results_newest = evlog_results_newest(log),
                                  .is_tolerant = options != NULL && options->is_tolerant};
    if (options != NULL && options->differs != NULL)
        own.differs = tell_difference;
    if (options != NULL)
        own.split = options->split;
    enum status status = recover(d, &own, out, f);
    if (status == OK)
        status = missing.status;
    if (status == OK)
        status = evlog_commit(log, f);
    if (status == OK && engine_batch(out->engine) + 1 != evlog_batch_next(log)) {
        fault_set(f, "the state ends with batch %lu, the log with %lu", engine_batch(out->engine),
                  evlog_batch_next(log) - 1);
        status = GIVE_UP;
    }
    return status == OK ? drop_damaged(d, out, f) : status;
}

void recovered_fini(struct recovered *r)
{
    engine_free(r->engine);
    backfill_free(r->backfill);
    shelf_fini(&r->shelf);
    *r = (struct recovered){0};
}
