/* SPDX-License-Identifier: Apache-2.0 */
#include "server/retain.h"

#include "os/clock.h"
#include "replay/backfill.h"
#include "replay/retention.h"
#include "replay/takeover.h"
#include "server/change.h"
#include "server/server_int.h"
#include "when/civil.h"

#define LOOK_MS      2 /* how often the engine is asked whether it has got so far */
#define WAIT_NS      (INT64_C(5) * 1000000000) /* for a batch that the log may have refused */
#define LOOKS_A_STEP 4
#define PAUSE_MS_MIN 50
#define PAUSE_MS_MAX (10 * MINUTE_MS)
#define PAUSE_MS_IDLE \
    (10 * SECOND_MS) /* until it is asked again whether anything is to be dropped at all */

/* What the engine's thread is asked. */
struct state {
    int64_t keep_ms;
    uint64_t batch;
    bool is_busy; /* a change of programme is under way */
};

static void ask(void *context, struct engine *e)
{
    struct state *x = context;
    const struct plans *plans = engine_plans(e);
    x->keep_ms = plans->newest != 0 ? plans->at[plans->newest]->keep_log_ms : 0;
    x->batch = engine_batch(e);
    x->is_busy = engine_change(e).plan != NULL;
}

struct dropping {
    struct server *server;
    int64_t keep_ms;
    struct retained retained;
    enum status status;
    struct fault fault;
};

static void drop(void *self, struct keystore *keys)
{
    struct dropping *x = self;
    (void)keys;
    x->status = retention_drop(&x->server->directory, x->keep_ms, server_now_ms(x->server),
                               &x->retained, &x->fault);
}

static void warn(struct server *s, const struct fault *f)
{
    journal_say(&s->journal, JOURNAL_WARNING, "keep", "old segments are not dropped yet: %s",
                f->text);
}

/* An empty batch behind that one: the first of the next segment. */
static bool open_next(struct server *s, uint64_t batch, bool (*is_over)(void *self), void *self)
{
    struct state x = {.batch = batch};
    struct entry *entry = entry_new(ENTRY_NEXT, 0);
    enum status status;
    while ((status = feed_push(s, entry)) == TRY_AGAIN && !is_over(self))
        os_clock_sleep_ms(LOOK_MS);
    if (status != OK) {
        entry_free(entry);
        return false;
    }
    int64_t until_ns = os_clock_monotonic_ns() + WAIT_NS;
    while (x.batch <= batch && !is_over(self) && os_clock_monotonic_ns() < until_ns) {
        core_call(s->core, ask, &x);
        os_clock_sleep_ms(LOOK_MS);
    }
    return x.batch > batch;
}

/* Makes what the next base may be. */
static void mark(struct server *s, const struct retention_due *due, bool (*is_over)(void *self),
                 void *self)
{
    struct state x = {0};
    core_call(s->core, ask, &x);
    if (due->segment &&
        (committer_roll(s->committer) != OK || !open_next(s, x.batch, is_over, self)))
        return; /* the disk is full, or it ends */
    take_over_stop(RETENTION_HAS_CLOSED);
    core_call(s->core, ask, &x);
    uint64_t failures = core_snapshot_failures(s->core);
    core_want_snapshot(s->core, x.batch);
    while (core_newest_snapshot(s->core) < x.batch) {
        struct state now;
        if (is_over(self) || core_snapshot_failures(s->core) != failures) {
            core_want_snapshot(s->core, 0); /* not again and again: another time */
            return;
        }
        core_call(s->core, ask, &now); /* wakes it */
        os_clock_sleep_ms(LOOK_MS);
    }
    take_over_stop(RETENTION_HAS_SNAPSHOT);
}

static void drop_old(struct server *s)
{
    struct state x = {0};
    os_mutex_lock(&s->past_lock);
    core_call(s->core, ask, &x);
    struct dropping dropping = {.server = s, .keep_ms = x.keep_ms};
    if (!x.is_busy && x.keep_ms > 0)
        sealer_call(s->sealer, drop, &dropping);
    os_mutex_unlock(&s->past_lock);
    count_add(s, COUNTER_DROPPED, dropping.retained.segments);
    if (dropping.status != OK) {
        warn(s, &dropping.fault);
    } else if (dropping.retained.segments + dropping.retained.snapshots > 0) {
        char text[TIMESTAMP_BYTES];
        journal_say(&s->journal, JOURNAL_INFO, "keep",
                    "%u segments of the log and %u snapshots were dropped: what is kept begins "
                    "with batch %lu, of %s",
                    dropping.retained.segments, dropping.retained.snapshots, dropping.retained.base,
                    timestamp_print(dropping.retained.base_ms, text).at);
    }
}

/* Backfills of which all has been united, and is in every snapshot. While one is made the lock is held. */
static void drop_backfills(struct server *s)
{
    uint32_t dropped = 0, left = 0;
    struct fault f = {0};
    enum status status = OK;
    if (atomic_load(&s->settled_batch) == UINT64_MAX)
        return;
    os_mutex_lock(&s->past_lock);
    uint64_t since = atomic_load(&s->settled_batch); /* a change may have begun */
    if (since != UINT64_MAX)
        status = backfill_drop(&s->directory, since, &dropped, &left, &f);
    os_mutex_unlock(&s->past_lock);
    if (status != OK)
        journal_say(&s->journal, JOURNAL_WARNING, "keep", "old backfills are not removed yet: %s",
                    f.text);
    else if (dropped > 0)
        journal_say(&s->journal, JOURNAL_INFO, "keep",
                    "%u backfill%s removed: what was in %s is in every snapshot", dropped,
                    dropped == 1 ? " was" : "s were", dropped == 1 ? "it" : "them");
}

int64_t retain_work(struct server *s, bool (*is_over)(void *self), void *self)
{
    struct state x = {0};
    struct retention_due due;
    struct fault f = {0};
    drop_backfills(s);
    core_call(s->core, ask, &x);
    if (x.keep_ms == 0)
        return PAUSE_MS_IDLE;
    int64_t pause_ms = retention_step_ms(x.keep_ms) / LOOKS_A_STEP;
    pause_ms = min_of(max_of(pause_ms, (int64_t)PAUSE_MS_MIN), (int64_t)PAUSE_MS_MAX);
    if (x.is_busy || changes_is_busy(s->changes) || !atomic_load(&s->is_started))
        return pause_ms;
    if (retention_look(&s->directory, x.keep_ms, server_now_ms(s), &due, &f) != OK)
        warn(s, &f);
    else if (due.segment || due.snapshot)
        mark(s, &due, is_over, self);
    drop_old(s);
    return pause_ms;
}
