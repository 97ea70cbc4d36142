/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/takeover.h"

#include <signal.h>

#include "base/hook.h"
#include "base/mem.h"

#define NAMES_A_BATCH 4096

void take_over_stop(uint64_t place)
{
    if (hook(HOOK_STOP) == place)
        (void)raise(SIGKILL);
}

enum status take_over_batch(const struct takeover *t, struct record *records, uint32_t count,
                            struct fault *f)
{
    struct engine *e = t->recovered->engine;
    struct engine_output out;
    struct buf results;
    int64_t now_ms = engine_batch(e) == 0 ? t->now_ms : max_of(engine_now(e), evlog_now_ms(t->log));
    for (uint32_t i = 0; i < count; i++)
        records[i].at_ms = records[i].event_ms = records[i].arrival_ms = now_ms;
    struct batch batch = {evlog_batch_next(t->log), now_ms, count, records};
    enum status status = evlog_append_priority(t->log, &batch, f);
    if (status == OK)
        status = evlog_commit(t->log, f);
    if (status != OK)
        return status;
    engine_apply(e, &batch, &out);
    for (uint32_t i = 0; i < out.action_count && t->act != NULL; i++)
        t->act(t->self, e, &out.actions[i]);
    buf_init(&results);
    results_write(out.results, out.result_count, now_ms, &results);
    status = evlog_append_results(t->log, batch.number, buf_str(&results), f);
    buf_fini(&results);
    return status == OK ? evlog_commit(t->log, f) : status;
}

static enum status write_names(const struct takeover *t, uint32_t first, uint32_t end,
                               struct fault *f)
{
    struct arena arena;
    arena_init(&arena, 16384);
    struct record *records = arena_array(&arena, struct record, end - first);
    for (uint32_t name = first; name < end; name++) {
        struct buf b;
        buf_init(&b);
        body_put_text(&b, NAME_TEXT, names_text(t->recovered->shelf.names, name));
        struct str kept = arena_copy(&arena, buf_str(&b));
        buf_fini(&b);
        records[name - first] =
            (struct record){.type = RECORD_NAME,
                            .schema = RECORD_SCHEMA,
                            .name = name,
                            .clear = {(const uint8_t *)kept.at, (uint32_t)kept.len}};
    }
    enum status status = take_over_batch(t, records, end - first, f);
    arena_fini(&arena);
    return status;
}

static enum status write_record(const struct takeover *t, uint64_t snapshot, struct fault *f)
{
    struct release_record told = {
        .kind = RELEASE_TOOK_OVER, .release = release_here(), .batch = snapshot};
    struct record record;
    struct buf clear;
    buf_init(&clear);
    release_write(&told, &clear, &record);
    enum status status = take_over_batch(t, &record, 1, f);
    buf_fini(&clear);
    return status;
}

enum status take_over(const struct directory *d, const struct takeover *t, bool *is_changed,
                      struct fault *f)
{
    struct recovered *r = t->recovered;
    struct release here = release_here();
    uint32_t count = names_count(r->shelf.names);
    uint32_t next = names_count(evlog_names(t->log));
    bool is_new = !release_is_same(&r->release, &here) || t->is_forced;
    enum status status = OK;
    *is_changed = is_new || next < count;
    engine_learn(r->engine, r->shelf.names);
    while (status == OK && next < count) {
        uint32_t end = min_of(count, next + NAMES_A_BATCH);
        status = write_names(t, next, end, f);
        next = end;
    }
    take_over_stop(2);
    if (status != OK || !is_new)
        return status;
    uint64_t snapshot = engine_batch(r->engine);
    if (snapshot > 0)
        status = snapshot_before_takeover(d, r->engine, &r->release, f);
    take_over_stop(3);
    if (status == OK)
        status = write_record(t, snapshot, f);
    take_over_stop(4);
    if (status != OK)
        return status;
    r->release = here;
    r->snapshot_batch = snapshot;
    return OK;
}
