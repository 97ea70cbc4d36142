/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/retention.h"

#include "base/arena.h"
#include "disk/snapshot.h"
#include "evlog/evlog.h"
#include "os/file.h"
#include "replay/release.h"
#include "replay/snapping.h"
#include "replay/takeover.h"

/* The snapshots there are, newest first. */
struct list {
    struct arena arena;
    uint64_t *batches;
    struct snapshot_about *abouts;
    bool *is_known; /* its header could be read */
    uint32_t count;
};

static enum status list_make(struct list *l, const struct directory *d, struct fault *f)
{
    *l = (struct list){.count = 0};
    arena_init(&l->arena, 4096);
    bool has_any;
    enum status status = os_look(d->disk, d->snapshots, &has_any, f);
    if (status != OK || !has_any)
        return status;
    status = snapshot_list(d->disk, d->snapshots, &l->arena, &l->batches, &l->count, f);
    l->abouts = arena_array(&l->arena, struct snapshot_about, l->count + 1);
    l->is_known = arena_array(&l->arena, bool, l->count + 1);
    for (uint32_t i = 0; i < l->count && status == OK; i++) {
        char path[OS_PATH_BYTES];
        struct fault ignored = {0};
        must(snapshot_path(path, sizeof(path), d->snapshots, l->batches[i]));
        l->is_known[i] = snapshot_peek(d->disk, path, &l->abouts[i], &ignored) == OK;
    }
    return status;
}

static void list_fini(struct list *l)
{
    arena_fini(&l->arena);
}

static enum status first_of(const struct directory *d, uint64_t *first, struct fault *f)
{
    bool has_log;
    *first = 0;
    enum status status = os_look(d->disk, d->log, &has_log, f);
    return status == OK && has_log ? evlog_first_batch(d->disk, d->log, first, f) : status;
}

/* The oldest from which the log goes on; count if there is none. */
static uint32_t oldest_of(const struct list *l, uint64_t log_first)
{
    uint32_t i = l->count;
    while (i > 0 && (!l->is_known[i - 1] || l->batches[i - 1] + 1 < log_first))
        i--;
    return i > 0 ? i - 1 : l->count;
}

enum status reach_of(const struct directory *d, struct reach *out, struct fault *f)
{
    struct list l;
    *out = (struct reach){.since_ms = INT64_MIN};
    enum status status = first_of(d, &out->log_first, f);
    if (status != OK || out->log_first <= 1)
        return status;
    status = list_make(&l, d, f);
    uint32_t oldest = oldest_of(&l, out->log_first);
    if (status == OK && oldest < l.count) {
        out->base = l.batches[oldest];
        out->since_ms = l.abouts[oldest].now_ms;
    }
    list_fini(&l);
    return status;
}

int64_t retention_step_ms(int64_t keep_ms)
{
    return keep_ms > 0 ? max_of(keep_ms / RETENTION_PARTS, INT64_C(1)) : 0;
}

enum status retention_look(const struct directory *d, int64_t keep_ms, int64_t now_ms,
                           struct retention_due *out, struct fault *f)
{
    struct list l;
    uint64_t segment;
    int64_t began_ms, old_ms = now_ms - retention_step_ms(keep_ms);
    *out = (struct retention_due){0};
    enum status status = evlog_newest_segment(d->disk, d->log, &segment, &began_ms, f);
    if (status != OK || segment == 0)
        return status;
    out->segment = began_ms <= old_ms;
    status = list_make(&l, d, f);
    out->snapshot = l.count == 0 || !l.is_known[0] || l.abouts[0].now_ms <= old_ms;
    list_fini(&l);
    return status;
}

/* One that another thread has removed meanwhile is gone as well. */
static enum status drop_snapshot(const struct directory *d, uint64_t batch, struct fault *f)
{
    char path[OS_PATH_BYTES];
    must(snapshot_path(path, sizeof(path), d->snapshots, batch));
    enum status status = os_remove(d->disk, path, f);
    if (status == OK || os_exists(d->disk, path))
        return status;
    if (f != NULL)
        *f = (struct fault){0};
    return OK;
}

enum status retention_thin(const struct directory *d, int64_t step_ms, struct fault *f)
{
    struct list l;
    uint64_t log_first;
    uint32_t dropped = 0;
    enum status status = first_of(d, &log_first, f);
    if (status == OK && log_first <= 1 && step_ms == 0)
        return snapshot_drop_old(d->disk, d->snapshots, SNAPSHOTS_KEPT, f);
    if (status != OK)
        return status;
    status = list_make(&l, d, f);
    uint32_t oldest = oldest_of(&l, log_first);
    int64_t last_ms = oldest < l.count ? l.abouts[oldest].now_ms : 0;
    for (uint32_t i = l.count; i-- > SNAPSHOTS_KEPT && status == OK;) {
        if (i == oldest)
            continue;
        if (i < oldest && l.is_known[i] && step_ms > 0 && l.abouts[i].now_ms - last_ms >= step_ms) {
            last_ms = l.abouts[i].now_ms;
            continue;
        }
        status = drop_snapshot(d, l.batches[i], f);
        dropped++;
    }
    if (status == OK && dropped > 0)
        status = os_sync_dir(d->disk, d->snapshots, f);
    if (status == OK)
        status = snapshot_drop_unfinished(d->disk, d->snapshots, f);
    list_fini(&l);
    return status;
}

static bool is_whole(const struct directory *d, uint64_t batch)
{
    char path[OS_PATH_BYTES];
    struct snapshot_reader *reader;
    struct fault ignored = {0};
    must(snapshot_path(path, sizeof(path), d->snapshots, batch));
    if (snapshot_open(d->disk, path, &reader, &ignored) != OK)
        return false;
    snapshot_close(reader);
    return true;
}

/* Would anything go if the log were to be applied from that one on? */
static enum status frees(const struct directory *d, const struct list *l, uint32_t base, bool *out,
                         struct fault *f)
{
    uint32_t segments = 0;
    enum status status =
        base < l->count ? evlog_count_old(d->disk, d->log, l->batches[base], &segments, f) : OK;
    *out = base < l->count && (base + 1 < l->count || segments > 0);
    return status;
}

/* The newest that is old enough; count if there is none. */
static uint32_t newest_before(const struct list *l, uint64_t log_first, int64_t before_ms)
{
    uint32_t base = 0;
    while (base < l->count && (!l->is_known[base] || l->abouts[base].now_ms > before_ms ||
                               l->batches[base] + 1 < log_first))
        base++;
    return base;
}

/* The first one from `base` on behind which there is enough for recovery; count if there is none. */
static uint32_t choose(const struct directory *d, const struct list *l, uint64_t log_first,
                       uint32_t base)
{
    uint32_t behind = 0;
    struct release here = release_here();
    for (uint32_t i = 0; i < l->count && behind < SNAPSHOTS_KEPT; i++) {
        struct release by = release_of_bytes(l->abouts[i].release, STR(""));
        if (!l->is_known[i] || !release_is_same(&by, &here) || !is_whole(d, l->batches[i]))
            continue;
        behind++;
        base = max_of(base, i);
    }
    while (base < l->count && !is_whole(d, l->batches[base]))
        base++;
    return behind == SNAPSHOTS_KEPT && base < l->count && l->batches[base] + 1 >= log_first
               ? base
               : l->count;
}

enum status retention_drop(const struct directory *d, int64_t keep_ms, int64_t now_ms,
                           struct retained *out, struct fault *f)
{
    struct list l;
    uint64_t log_first;
    must(keep_ms > 0);
    *out = (struct retained){0};
    enum status status = first_of(d, &log_first, f);
    if (status != OK || log_first == 0)
        return status;
    status = list_make(&l, d, f);
    uint32_t base = newest_before(&l, log_first, now_ms - keep_ms);
    bool is_worth_it = false;
    if (status == OK)
        status = frees(d, &l, base, &is_worth_it, f);
    base = is_worth_it ? choose(d, &l, log_first, base) : l.count;
    if (base < l.count) {
        out->base = l.batches[base];
        out->base_ms = l.abouts[base].now_ms;
    }
    for (uint32_t i = l.count; base < l.count && --i > base && status == OK;) {
        status = drop_snapshot(d, l.batches[i], f);
        out->snapshots += status == OK;
    }
    if (status == OK && out->snapshots > 0)
        status = os_sync_dir(d->disk, d->snapshots, f);
    take_over_stop(RETENTION_HAS_REMOVED);
    if (status == OK && out->base != 0)
        status = evlog_drop(d->disk, d->log, out->base, &out->segments, f);
    take_over_stop(RETENTION_HAS_DROPPED);
    list_fini(&l);
    return status;
}
