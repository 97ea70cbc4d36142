/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/chores.h"

#include "base/mem.h"
#include "replay/owner.h"
#include "replay/snapping.h"
#include "simulator/fiber.h"
#include "simulator/load.h"
#include "simulator/oracle.h"

#define PARCELS_MAX   8
#define LOOK_MS       2
#define LOOK_MS_MAX   30000 /* of who waits for long */
#define OFFER_MS      2000  /* until what the log did not take is offered again */
#define AGAIN_MS      1000  /* after a snapshot that failed */
#define SEAL_AGAIN_MS 10000 /* after a full disk */
#define LEFT_AGAIN_MS 10000 /* until what could not be completed is gone on with */

enum parcel_kind { PARCEL_BEGINS = 1, PARCEL_IS_BYTES, PARCEL_IS_LAST, PARCEL_DROPS };

struct parcel {
    enum parcel_kind kind;
    uint64_t batch, hash;
    int64_t now_ms;
    struct buf bytes; /* as in src/server/snapshots.c */
};

struct chores {
    struct chores_host host;
    bool is_over;

    /* saving: the engine's side */
    bool is_saving, has_failed, is_written;
    uint64_t batch, wanted, newest;
    int64_t save_again_ms;
    /* and the writer's */
    struct parcel parcels[PARCELS_MAX];
    uint32_t parcel_count;
    struct snapping *snapping;

    /* sealing */
    struct keystore *keys;
    struct fiber *sealer;
    bool wants_seal, is_called;
    uint64_t held;
    int64_t seal_again_ms;

    /* erasing */
    struct fiber *eraser;
    bool has_stopped_erasing, is_erasing;
    bool is_left; /* `erasing` may be there */
    struct fact *asked;
    int64_t look_ms, rest_ms;
};

static struct sim *sim_of(const struct chores *c)
{
    return c->host.sim;
}

static uint64_t roll(struct chores *c, uint64_t sides)
{
    return draw_below(sim_of(c), STREAM_CHORES, sides);
}

/* ---- saving: who writes -------------------------------------------------------------------------- */

static void fail(struct chores *c, const struct fault *f)
{
    snapping_abandon(c->snapping);
    c->snapping = NULL;
    c->has_failed = true;
    c->is_written = false;
    c->save_again_ms = sim_of(c)->clock_ms + AGAIN_MS;
    if (!c->host.is_excused(c->host.machine))
        sim_fail(sim_of(c), "no snapshot can be written: %s", f->text);
    saw(sim_of(c), FAULT_SNAPSHOT_FAILED);
    sim_say(sim_of(c), "no snapshot: %s", f->text);
}

static void write_parcel(struct chores *c, const struct parcel *p)
{
    struct fault f = {0};
    struct cursor at = cursor_of(p->bytes.at, p->bytes.len);
    enum status status = OK;
    while (status == OK && cursor_left(&at) > 0) {
        struct str section = cursor_take(&at, cursor_byte(&at));
        uint32_t partition = cursor_u32(&at);
        struct str bytes = cursor_take(&at, cursor_u64(&at));
        must(!at.is_bad);
        status = snapping_put(c->snapping, section, partition, bytes, &f);
    }
    if (status != OK)
        fail(c, &f);
}

static void finish(struct chores *c, const struct parcel *p)
{
    struct fault f = {0};
    struct snapping *s = c->snapping;
    c->snapping = NULL;
    if (snapping_commit(s, p->hash, &f) != OK) {
        fail(c, &f);
        return;
    }
    c->newest = p->batch;
    c->is_written = false;
    oracle_saved(sim_of(c)->oracle, p->batch, p->hash);
    if (engine_batch(c->host.engine) > p->batch)
        saw(sim_of(c), FAULT_SAVED_BESIDE_BATCHES);
    sim_say(sim_of(c), "snapshot of batch %lu", p->batch);
}

static bool write_some(struct chores *c)
{
    struct fault f = {0};
    struct release here = release_here();
    if (c->parcel_count == 0)
        return false;
    struct parcel p = c->parcels[0];
    memmove(&c->parcels[0], &c->parcels[1], --c->parcel_count * sizeof(p));
    if (p.kind == PARCEL_BEGINS) {
        if (snapping_begin(c->host.directory, p.batch, p.now_ms, &here, &c->snapping, &f) != OK)
            fail(c, &f);
    } else if (p.kind == PARCEL_DROPS) {
        snapping_abandon(c->snapping);
        c->snapping = NULL;
        c->is_written = false;
    } else if (c->snapping != NULL && p.kind == PARCEL_IS_BYTES) {
        write_parcel(c, &p);
    } else if (c->snapping != NULL) {
        finish(c, &p);
    }
    buf_fini(&p.bytes);
    return true;
}

/* ---- saving: the engine -------------------------------------------------------------------------- */

static bool is_due(const struct chores *c)
{
    uint64_t batch = engine_batch(c->host.engine), batches = batch - c->batch;
    if (c->is_written || sim_of(c)->clock_ms < c->save_again_ms)
        return false;
    if (c->wanted > c->newest && batch >= c->wanted)
        return true;
    return batches > 0 && batches >= sim_of(c)->options[OPTION_SNAPSHOTS];
}

static void add_parcel(struct chores *c, const struct parcel *p)
{
    must(c->parcel_count < PARCELS_MAX);
    c->parcels[c->parcel_count++] = *p;
}

static void add_piece(void *self, struct str section, uint32_t partition, struct str bytes)
{
    struct buf *b = self;
    buf_add_byte(b, (uint8_t)section.len);
    buf_add_str(b, section);
    buf_add_u32(b, partition);
    buf_add_u64(b, bytes.len);
    buf_add_str(b, bytes);
}

static void end_saving(struct chores *c, enum parcel_kind how)
{
    struct parcel p = {.kind = how, .batch = c->batch};
    if (how == PARCEL_IS_LAST)
        p.hash = engine_save_hash(c->host.engine);
    engine_save_end(c->host.engine);
    c->is_saving = false;
    add_parcel(c, &p);
}

static bool save_some(struct chores *c)
{
    struct engine *e = c->host.engine;
    struct sim *s = sim_of(c);
    if (c->parcel_count + 2 >= PARCELS_MAX)
        return false;
    if (!c->is_saving) {
        if (!is_due(c))
            return false;
        c->is_saving = true;
        c->has_failed = false;
        c->is_written = true;
        c->batch = engine_batch(e);
        engine_save_begin(e);
        add_parcel(
            c, &(struct parcel){.kind = PARCEL_BEGINS, .batch = c->batch, .now_ms = engine_now(e)});
        return true;
    }
    if (c->has_failed) {
        end_saving(c, PARCEL_DROPS);
        return true;
    }
    struct parcel p = {.kind = PARCEL_IS_BYTES};
    buf_init(&p.bytes);
    uint64_t work = 1 + roll(c, s->options[OPTION_PIECE]);
    enum save_state state = engine_save_step(e, work * work * work, &p.bytes, add_piece);
    add_parcel(c, &p);
    if (state == SAVE_GOES_ON)
        return true;
    end_saving(c, state == SAVE_IS_WHOLE ? PARCEL_IS_LAST : PARCEL_DROPS);
    if (state == SAVE_IS_LOST) {
        saw(s, FAULT_SNAPSHOT_LOST);
        c->batch = 0;
    }
    return true;
}

void chores_want_snapshot(struct chores *c, uint64_t batch)
{
    c->wanted = max_of(batch, UINT64_C(1));
}

/* ---- sealing ------------------------------------------------------------------------------------- */

static struct id128 owner(void *context, const struct record *r)
{
    const struct chores *c = context;
    return owner_by_address((struct directory *)(uintptr_t)c->host.directory, r);
}

static bool stops(void *context)
{
    struct chores *c = context;
    if (!c->is_over && !c->is_called && roll(c, 4) == 0)
        fiber_pause(c->sealer);
    if (c->is_called || c->is_over)
        saw(sim_of(c), FAULT_SEALING_LEFT);
    return c->is_called || c->is_over;
}

static void seal(void *context)
{
    struct chores *c = context;
    struct seal_options o = {.disk = c->host.directory->disk,
                             .dir = c->host.directory->log,
                             .keys = c->keys,
                             .owner = owner,
                             .context = c,
                             .batch_last = c->held,
                             .stops = stops};
    struct seal_counts counts;
    struct fault f = {0};
    enum status status = seal_segments(&o, &counts, &f);
    if (counts.segments > 0) {
        saw(sim_of(c), FAULT_SEALED);
        sim_say(sim_of(c), "%u segments sealed", counts.segments);
    }
    if (status == OK || c->is_called || c->is_over)
        return;
    sim_say(sim_of(c), "no segment sealed: %s", f.text);
    saw(sim_of(c), FAULT_SEALING_FAILED);
    if (!c->host.is_excused(c->host.machine))
        sim_fail(sim_of(c), "a segment cannot be sealed: %s", f.text);
    c->wants_seal |= status == TRY_AGAIN;
    c->seal_again_ms = sim_of(c)->clock_ms + SEAL_AGAIN_MS;
}

static bool seal_some(struct chores *c)
{
    if (c->sealer == NULL) {
        if (!c->wants_seal || sim_of(c)->clock_ms < c->seal_again_ms)
            return false;
        c->wants_seal = false;
        c->sealer = fiber_new(seal, c);
    }
    if (!fiber_resume(c->sealer)) {
        fiber_free(c->sealer);
        c->sealer = NULL;
    }
    return true;
}

void chores_seal(struct chores *c)
{
    c->wants_seal = true;
}

static void hold_sealing(struct chores *c, uint64_t batch)
{
    c->held = batch;
    if (batch == 0)
        c->wants_seal = true;
}

/* ---- erasing ------------------------------------------------------------------------------------- */

static bool has_stopped(const struct chores *c)
{
    return c->is_over || c->has_stopped_erasing;
}

/* Others go on. Who waits for long looks less often. */
static void wait_a_while(struct chores *c)
{
    c->look_ms = sim_of(c)->clock_ms + c->rest_ms;
    c->rest_ms = min_of(c->rest_ms * 2, (int64_t)LOOK_MS_MAX);
    if (!has_stopped(c))
        fiber_pause(c->eraser);
}

/* The engine's thread comes to what it is asked behind every batch that is durable now. */
static void reach_engine(struct chores *c)
{
    uint64_t batch = c->host.durable_batch(c->host.machine);
    c->rest_ms = LOOK_MS;
    while (engine_batch(c->host.engine) < batch && !has_stopped(c))
        wait_a_while(c);
}

static int64_t erase_now_ms(void *self)
{
    struct chores *c = self;
    return c->host.now_ms(c->host.machine);
}

static enum status give_up(struct fault *f)
{
    fault_set(f, "the server ends");
    return GIVE_UP;
}

static enum status drop(void *self, struct erasure *x, struct fault *f)
{
    struct chores *c = self;
    struct engine *e = c->host.engine;
    int64_t offered_ms = INT64_MIN;
    hold_sealing(c, max_of(engine_batch(e), UINT64_C(1)));
    c->rest_ms = LOOK_MS;
    while (!engine_is_erased(e, x->profile)) {
        if (has_stopped(c))
            return give_up(f);
        if (offered_ms == INT64_MIN || sim_of(c)->clock_ms - offered_ms > OFFER_MS) {
            offered_ms = sim_of(c)->clock_ms;
            if (c->host.log_erase(c->host.machine, x, ERASE_PERSON) == GIVE_UP)
                return give_up(f);
        }
        wait_a_while(c);
    }
    erasure_learn(x, e);
    x->batch = engine_batch(e);
    return OK;
}

static enum status roll_log(void *self, struct fault *f)
{
    struct chores *c = self;
    if (has_stopped(c))
        return give_up(f);
    enum status status = c->host.roll(c->host.machine);
    if (status != OK)
        fault_set(f, "the log does not take it now");
    return status;
}

static enum status wait_for_snapshot(void *self, uint64_t batch, struct fault *f)
{
    struct chores *c = self;
    c->wanted = batch;
    c->rest_ms = LOOK_MS;
    while (c->newest < batch) {
        if (has_stopped(c))
            return give_up(f);
        wait_a_while(c);
    }
    return OK;
}

static enum status destroy(void *self, struct erasure *x, struct fault *f)
{
    struct chores *c = self;
    c->is_called = true;
    c->rest_ms = LOOK_MS;
    while (c->sealer != NULL && !has_stopped(c))
        wait_a_while(c);
    enum status status =
        has_stopped(c) ? give_up(f) : erasure_destroy(c->host.directory, c->keys, x, f);
    c->is_called = false;
    hold_sealing(c, 0);
    return status;
}

static enum status prove(void *self, const struct erasure *x, uint64_t *batch, struct fault *f)
{
    struct chores *c = self;
    c->rest_ms = LOOK_MS;
    enum status status;
    while ((status = c->host.log_erase(c->host.machine, x, ERASE_DONE)) == TRY_AGAIN &&
           !has_stopped(c))
        wait_a_while(c);
    if (status != OK)
        return give_up(f);
    uint64_t newest = c->newest;
    do
        wait_a_while(c);
    while (engine_batch(c->host.engine) <= newest && !has_stopped(c));
    *batch = engine_batch(c->host.engine);
    return has_stopped(c) ? give_up(f) : OK;
}

/* True: they are erased, or there is nobody. */
static bool erase(struct chores *c, struct erasure *x)
{
    struct sim *s = sim_of(c);
    struct fault f = {0};
    struct erasure_hands hands = {.self = c,
                                  .now_ms = erase_now_ms,
                                  .drop = drop,
                                  .roll = roll_log,
                                  .snapshot = wait_for_snapshot,
                                  .destroy = destroy,
                                  .prove = prove};
    sim_say(s, "profile %lx is to be erased", x->profile);
    enum status status = erasure_run(c->host.directory, &hands, x, &f);
    c->is_left = status != OK;
    if (status != OK && !has_stopped(c)) {
        saw(s, FAULT_ERASURE_FAILED);
        if (!c->host.is_excused(c->host.machine))
            sim_fail(s, "nobody can be erased: %s", f.text);
    }
    sim_say(s, "profile %lx %s: %s", x->profile, status == OK ? "is erased" : "is not erased yet",
            f.text);
    hold_sealing(c, 0);
    if (status == OK) {
        saw(s, FAULT_ERASED);
        oracle_erased(s->oracle, x->batch);
    }
    return status == OK;
}

static bool is_changing(const struct chores *c)
{
    return engine_change(c->host.engine).plan != NULL;
}

/* What did not come to its end comes before anything else. */
static bool go_on_erasing(struct chores *c)
{
    struct erasure x = {0};
    struct fault f = {0};
    if (!c->is_left)
        return true;
    enum status status = erasing_read(c->host.directory, &x, &c->is_left, &f);
    if (status != OK && !c->host.is_excused(c->host.machine))
        sim_fail(sim_of(c), "what was left of an erasure cannot be read: %s", f.text);
    c->is_left |= status != OK;
    if (status != OK || !c->is_left)
        return status == OK;
    saw(sim_of(c), FAULT_ERASURE_RESUMED);
    c->rest_ms = LOOK_MS;
    while (is_changing(c) && !has_stopped(c))
        wait_a_while(c);
    bool is_done = !has_stopped(c) && erase(c, &x);
    erasure_fini(&x);
    return is_done;
}

/* The answer of the API: 200 and 404 end it, 409 and 503 are asked again. */
static bool answer_one(struct chores *c, const struct fact *fact)
{
    struct erasure x = {0};
    if (!go_on_erasing(c))
        return false;
    reach_engine(c);
    if (has_stopped(c))
        return false;
    x.profile = engine_find_person(c->host.engine, str_of(fact->who));
    if (x.profile == 0)
        return true;
    if (is_changing(c))
        return false;
    erasure_learn(&x, c->host.engine);
    bool is_done = erase(c, &x);
    erasure_fini(&x);
    return is_done;
}

static void run_eraser(void *context)
{
    struct chores *c = context;
    c->is_left = true; /* perhaps */
    while (!has_stopped(c)) {
        c->is_erasing = true;
        (void)go_on_erasing(c);
        c->is_erasing = false;
        if (c->asked == NULL && !has_stopped(c)) {
            c->look_ms = c->is_left ? sim_of(c)->clock_ms + LEFT_AGAIN_MS : FOREVER_MS;
            fiber_pause(c->eraser);
        }
        if (c->asked == NULL || has_stopped(c))
            continue;
        c->is_erasing = true;
        struct fact *fact = c->asked;
        bool is_done = answer_one(c, fact);
        c->asked = NULL;
        c->is_erasing = false;
        load_answer(sim_of(c)->load, fact, is_done);
        if (is_done)
            c->host.search(c->host.machine);
    }
}

static void erase_some(struct chores *c)
{
    if (fiber_resume(c->eraser))
        return;
    fiber_free(c->eraser);
    c->eraser = NULL;
}

void chores_begin(struct chores *c)
{
    c->eraser = fiber_new(run_eraser, c);
    c->look_ms = 0;
}

void chores_erase(struct chores *c, struct fact *fact)
{
    if (c->eraser == NULL || c->asked != NULL) {
        load_answer(sim_of(c)->load, fact, false);
        return;
    }
    c->asked = fact;
    if (!c->is_erasing)
        c->look_ms = 0;
}

void chores_stop_erasing(struct chores *c)
{
    c->has_stopped_erasing = true;
    if (c->is_erasing)
        saw(sim_of(c), FAULT_ERASURE_CUT);
    for (int i = 0; c->eraser != NULL; i++) {
        must(i < 1000);
        erase_some(c);
    }
    if (c->asked != NULL)
        load_answer(sim_of(c)->load, c->asked, false);
    c->asked = NULL;
}

/* ---- all ----------------------------------------------------------------------------------------- */

enum status chores_new(const struct chores_host *host, struct chores **out, struct fault *f)
{
    struct chores *c = mem_new(sizeof(*c));
    c->host = *host;
    c->batch = engine_batch(host->engine);
    c->wants_seal = true;
    enum status status =
        keystore_open(host->directory->disk, host->directory->log, NULL, &c->keys, f);
    if (status == OK)
        *out = c;
    else
        mem_free(c);
    return status;
}

bool chores_turn(struct chores *c)
{
    uint64_t first = roll(c, 4);
    for (uint64_t i = 0; i < 4; i++) {
        switch ((first + i) % 4) {
        case 0:
            if (save_some(c))
                return true;
            break;
        case 1:
            if (write_some(c))
                return true;
            break;
        case 2:
            if (seal_some(c))
                return true;
            break;
        default:
            if (c->eraser != NULL && c->look_ms <= sim_of(c)->clock_ms) {
                erase_some(c);
                return true;
            }
            break;
        }
    }
    return false;
}

int64_t chores_wake_ms(const struct chores *c)
{
    int64_t clock_ms = sim_of(c)->clock_ms, wake_ms = FOREVER_MS;
    if (c->is_saving || c->parcel_count > 0 || c->sealer != NULL)
        return clock_ms + 1;
    if (c->wanted > c->newest && engine_batch(c->host.engine) >= c->wanted)
        wake_ms = max_of(c->save_again_ms, clock_ms + 1);
    if (c->wants_seal)
        wake_ms = min_of(wake_ms, max_of(c->seal_again_ms, clock_ms + 1));
    if (c->eraser != NULL && c->look_ms != FOREVER_MS)
        wake_ms = min_of(wake_ms, max_of(c->look_ms, clock_ms + 1));
    return wake_ms;
}

bool chores_are_busy(const struct chores *c)
{
    return c->is_erasing || c->is_left || c->asked != NULL;
}

void chores_free(struct chores *c)
{
    if (c == NULL)
        return;
    c->is_over = true;
    chores_stop_erasing(c);
    while (c->sealer != NULL)
        (void)seal_some(c);
    if (c->is_saving) {
        saw(sim_of(c), FAULT_SNAPSHOT_CUT);
        engine_save_end(c->host.engine);
    }
    snapping_abandon(c->snapping);
    while (c->parcel_count > 0)
        buf_fini(&c->parcels[--c->parcel_count].bytes);
    keystore_close(c->keys);
    mem_free(c);
}
