/* SPDX-License-Identifier: Apache-2.0 */
#include "server/snapshots.h"

#include "base/mem.h"
#include "os/clock.h"
#include "server/server_int.h"

#define PARCELS_MAX      64
#define PARCEL_BYTES_MAX (32u << 20) /* on their way to the thread, together */
#define PIECE_WORK_MIN   10000       /* of engine_save_step() */
#define PIECE_WORK_MAX   (SNAPSHOT_PIECE_US * UINT64_C(1000))
/* Not more, also where a piece takes less than it says: in the next phase it may not. */

enum parcel_kind {
    PARCEL_BEGINS = 1, /* batch, now_ms, keep_ms */
    PARCEL_IS_BYTES,
    PARCEL_IS_LAST, /* hash, longest_ns */
    PARCEL_DROPS,   /* it does not become whole */
};

/* Moved through the queue. */
struct parcel {
    enum parcel_kind kind;
    uint64_t batch, hash;
    int64_t now_ms;
    int64_t keep_ms; /* the programme's */
    int64_t longest_ns;
    struct buf bytes; /* name's length, name, partition, length (u64), bytes; again and again */
};

struct snapshots {
    struct server *server;
    struct engine *engine;
    struct os_thread thread;
    struct os_queue *parcels;
    _Atomic uint64_t parcel_bytes;
    _Atomic uint64_t wanted, newest; /* batches */
    atomic_bool is_written;          /* one is under way, from its beginning to its name */
    atomic_bool has_failed;          /* the thread writes nothing more of the one under way */
    _Atomic int64_t again_ns;        /* none is begun before: the last one met a fault */
    _Atomic uint64_t failures;

    /* the engine's thread's */
    bool is_on;
    uint64_t batch, records; /* when the last one was begun */
    uint64_t piece_work;
    int64_t began_ns, longest_ns, spent_ns;
    struct parcel parcel; /* being filled */

    /* the other's */
    struct snapping *snapping;
    int64_t write_began_ns;
};

/* ---- the thread that writes ---------------------------------------------------------------------- */

static void fail(struct snapshots *x, const struct fault *f)
{
    snapping_abandon(x->snapping);
    x->snapping = NULL;
    atomic_store(&x->again_ns, os_clock_monotonic_ns() + SNAPSHOT_AGAIN_MS * INT64_C(1000000));
    atomic_store(&x->has_failed, true);
    atomic_store(&x->is_written, false);
    atomic_fetch_add(&x->failures, 1);
    journal_say(&x->server->journal, JOURNAL_WARNING, "snapshot", "no snapshot was written: %s",
                f->text);
}

static void write_parcel(struct snapshots *x, const struct parcel *p)
{
    struct fault f = {0};
    struct cursor c = cursor_of(p->bytes.at, p->bytes.len);
    enum status status = OK;
    while (status == OK && cursor_left(&c) > 0) {
        struct str section = cursor_take(&c, cursor_byte(&c));
        uint32_t partition = cursor_u32(&c);
        struct str bytes = cursor_take(&c, cursor_u64(&c));
        must(!c.is_bad);
        status = snapping_put(x->snapping, section, partition, bytes, &f);
    }
    if (status != OK)
        fail(x, &f);
}

static void finish(struct snapshots *x, const struct parcel *p)
{
    struct fault f = {0};
    struct snapping *s = x->snapping;
    x->snapping = NULL;
    if (snapping_commit(s, p->hash, &f) != OK) {
        fail(x, &f);
        return;
    }
    atomic_store(&x->newest, p->batch);
    atomic_store(&x->is_written, false);
    count_add(x->server, COUNTER_SNAPSHOTS, 1);
    journal_say(&x->server->journal, JOURNAL_INFO, "snapshot",
                "snapshot of batch %lu written in %ld ms, the engine stood still for %ld us at a "
                "time",
                p->batch, (os_clock_monotonic_ns() - x->write_began_ns) / 1000000,
                p->longest_ns / 1000);
}

static void run(void *context)
{
    struct snapshots *x = context;
    struct parcel p;
    while (os_queue_pop(x->parcels, &p, 1, FOREVER_MS) > 0) {
        struct fault f = {0};
        struct release here = release_here();
        if (p.kind == PARCEL_BEGINS) {
            x->write_began_ns = os_clock_monotonic_ns();
            if (snapping_begin(&x->server->directory, p.batch, p.now_ms, &here, &x->snapping, &f) !=
                OK)
                fail(x, &f);
            else
                snapping_keep(x->snapping, p.keep_ms);
        } else if (p.kind == PARCEL_DROPS) {
            snapping_abandon(x->snapping);
            x->snapping = NULL;
            atomic_store(&x->is_written, false);
        } else if (x->snapping != NULL && p.kind == PARCEL_IS_BYTES) {
            write_parcel(x, &p);
        } else if (x->snapping != NULL) {
            finish(x, &p);
        }
        atomic_fetch_sub(&x->parcel_bytes, p.bytes.len);
        buf_fini(&p.bytes);
    }
    snapping_abandon(x->snapping);
    x->snapping = NULL;
}

/* ---- the engine's thread ------------------------------------------------------------------------- */

static void send(struct snapshots *x, struct parcel *p)
{
    atomic_fetch_add(&x->parcel_bytes, p->bytes.len);
    must(os_queue_push_wait(x->parcels, p, FOREVER_MS) == OK); /* there was room: has_room() */
}

static bool has_room(const struct snapshots *x)
{
    return os_queue_count(x->parcels) < PARCELS_MAX - 2 &&
           atomic_load(&x->parcel_bytes) < PARCEL_BYTES_MAX;
}

static void add_piece(void *self, struct str section, uint32_t partition, struct str bytes)
{
    struct snapshots *x = self;
    buf_add_byte(&x->parcel.bytes, (uint8_t)section.len);
    buf_add_str(&x->parcel.bytes, section);
    buf_add_u32(&x->parcel.bytes, partition);
    buf_add_u64(&x->parcel.bytes, bytes.len);
    buf_add_str(&x->parcel.bytes, bytes);
}

static bool is_due(const struct snapshots *x)
{
    const struct engine_counts *counts = engine_counts(x->engine);
    uint64_t batches = engine_batch(x->engine) - x->batch;
    uint64_t wanted = atomic_load(&x->wanted);
    if (atomic_load(&x->is_written) || os_clock_monotonic_ns() < atomic_load(&x->again_ns))
        return false;
    /* A batch that is wanted may be the one whose snapshot did not become whole. */
    if (wanted > atomic_load(&x->newest) && engine_batch(x->engine) >= wanted)
        return true;
    return batches > 0 && (batches >= x->server->options.snapshot_batches ||
                           counts->records - x->records >=
                               SNAPSHOT_RECORDS + SNAPSHOT_SHARE * engine_profile_count(x->engine));
}

void snapshots_want(struct snapshots *x, uint64_t batch)
{
    atomic_store(&x->wanted, batch);
}

uint64_t snapshots_failures(const struct snapshots *x)
{
    return atomic_load(&x->failures);
}

uint64_t snapshots_newest(const struct snapshots *x)
{
    return atomic_load(&x->newest);
}

static void note_time(struct snapshots *x, int64_t from_ns)
{
    int64_t took_ns = os_clock_monotonic_ns() - from_ns;
    x->spent_ns += took_ns;
    x->longest_ns = max_of(x->longest_ns, took_ns);
    count_set(x->server, COUNTER_SNAPSHOT_STALL, (uint64_t)x->longest_ns / 1000);
    if (took_ns > SNAPSHOT_PIECE_US * 1000)
        x->piece_work = max_of(x->piece_work / 2, (uint64_t)PIECE_WORK_MIN);
    else if (took_ns < SNAPSHOT_PIECE_US * 500)
        x->piece_work = min_of(x->piece_work + x->piece_work / 4, PIECE_WORK_MAX);
}

static void begin(struct snapshots *x)
{
    int64_t from_ns = os_clock_monotonic_ns();
    x->is_on = true;
    x->batch = engine_batch(x->engine);
    x->records = engine_counts(x->engine)->records;
    x->longest_ns = x->spent_ns = 0;
    x->piece_work = SNAPSHOT_PIECE_US * 500;
    atomic_store(&x->has_failed, false);
    atomic_store(&x->is_written, true);
    engine_save_begin(x->engine);
    const struct plans *plans = engine_plans(x->engine);
    send(x, &(struct parcel){.kind = PARCEL_BEGINS,
                             .batch = x->batch,
                             .now_ms = engine_now(x->engine),
                             .keep_ms =
                                 plans->newest != 0 ? plans->at[plans->newest]->keep_log_ms : 0});
    note_time(x, from_ns);
}

static void end(struct snapshots *x, enum parcel_kind how)
{
    uint64_t hash = how == PARCEL_IS_LAST ? engine_save_hash(x->engine) : 0;
    engine_save_end(x->engine);
    x->is_on = false;
    send(x, &(struct parcel){
                .kind = how, .batch = x->batch, .hash = hash, .longest_ns = x->longest_ns});
}

/* One piece more. */
static void go_on(struct snapshots *x)
{
    int64_t from_ns = os_clock_monotonic_ns();
    x->parcel = (struct parcel){.kind = PARCEL_IS_BYTES};
    buf_init(&x->parcel.bytes);
    enum save_state state = engine_save_step(x->engine, x->piece_work, x, add_piece);
    send(x, &x->parcel);
    note_time(x, from_ns);
    if (state == SAVE_GOES_ON)
        return;
    end(x, state == SAVE_IS_WHOLE ? PARCEL_IS_LAST : PARCEL_DROPS);
    if (state == SAVE_IS_LOST) { /* the programme changes: it is begun again */
        x->batch = 0;
        x->records = 0;
    }
}

bool snapshots_work(struct snapshots *x)
{
    if (!has_room(x))
        return x->is_on;
    if (!x->is_on) {
        if (is_due(x))
            begin(x);
    } else if (atomic_load(&x->has_failed)) {
        end(x, PARCEL_DROPS);
    } else {
        go_on(x);
    }
    return x->is_on;
}

enum status snapshots_start(struct server *s, struct engine *engine, struct snapshots **out,
                            struct fault *f)
{
    struct snapshots *x = mem_new(sizeof(*x));
    x->server = s;
    x->engine = engine;
    x->batch = engine_batch(engine);
    x->records = engine_counts(engine)->records;
    x->parcels = os_queue_new(sizeof(struct parcel), PARCELS_MAX);
    enum status status = os_thread_start(&x->thread, "snapshot", run, x, f);
    if (status != OK) {
        os_queue_free(x->parcels);
        mem_free(x);
        return status;
    }
    *out = x;
    return OK;
}

void snapshots_stop(struct snapshots *x)
{
    if (x == NULL)
        return;
    if (x->is_on)
        end(x, PARCEL_DROPS);
    os_queue_close(x->parcels);
    os_thread_join(&x->thread);
    os_queue_free(x->parcels);
    mem_free(x);
}
