/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/snapping.h"

#include <stdio.h>

#include "base/canary.h"
#include "base/mem.h"
#include "os/file.h"
#include "replay/retention.h"

#define RELEASE_SECTION "release" /* whose the log was then: hash in hex, version */
#define HASH_SECTION    "hash"    /* of the state: a word */

struct snapping {
    const struct directory *directory;
    struct snapshot_writer *writer;
    int64_t step_ms; /* how far apart older ones stay; 0 = they go */
};

enum status snapping_begin(const struct directory *d, uint64_t batch, int64_t now_ms,
                           const struct release *owner, struct snapping **out, struct fault *f)
{
    char text[sizeof(owner->hash) + sizeof(owner->version)];
    struct snapshot_about about = {.batch = batch - (planted("store-snapshot-early") && batch > 1),
                                   .now_ms = now_ms,
                                   .partition_count = 256};
    struct release here = release_here();
    struct snapping *s = mem_new(sizeof(*s));
    s->directory = d;
    release_to_bytes(&here, about.release);
    snprintf(text, sizeof(text), "%.64s%.39s", owner->hash, owner->version);
    enum status status = os_make_dirs(d->disk, d->snapshots, f);
    if (status == OK)
        status = snapshot_begin(d->disk, d->snapshots, &about, &s->writer, f);
    if (status == OK)
        status = snapping_put(s, STR(RELEASE_SECTION), 0, str_of(text), f);
    if (status == OK)
        *out = s;
    else
        snapping_abandon(s);
    return status;
}

void snapping_keep(struct snapping *s, int64_t keep_ms)
{
    s->step_ms = retention_step_ms(keep_ms);
}

enum status snapping_put(struct snapping *s, struct str section, uint32_t partition,
                         struct str bytes, struct fault *f)
{
    return snapshot_put(s->writer, section, partition, bytes.at, bytes.len, f);
}

enum status snapping_commit(struct snapping *s, uint64_t state_hash, struct fault *f)
{
    const struct directory *d = s->directory;
    struct buf b;
    buf_init(&b);
    buf_add_u64(&b, state_hash);
    enum status status = snapping_put(s, STR(HASH_SECTION), 0, buf_str(&b), f);
    buf_fini(&b);
    if (status != OK) {
        snapping_abandon(s);
        return status;
    }
    int64_t step_ms = s->step_ms;
    status = snapshot_commit(s->writer, f);
    mem_free(s);
    return status == OK ? retention_thin(d, step_ms, f) : status;
}

void snapping_abandon(struct snapping *s)
{
    if (s == NULL)
        return;
    snapshot_abandon(s->writer);
    mem_free(s);
}

struct at_once {
    struct snapping *snapping;
    enum status status;
    struct fault *f;
};

static void put_section(void *self, struct str section, uint32_t partition, struct str bytes)
{
    struct at_once *a = self;
    if (a->status == OK)
        a->status = snapping_put(a->snapping, section, partition, bytes, a->f);
}

enum status snapshot_before_takeover(const struct directory *d, struct engine *engine,
                                     const struct release *owner, struct fault *f)
{
    struct at_once a = {.f = f};
    enum status status =
        snapping_begin(d, engine_batch(engine), engine_now(engine), owner, &a.snapping, f);
    if (status != OK)
        return status;
    const struct plans *plans = engine_plans(engine);
    if (plans->newest != 0)
        snapping_keep(a.snapping, plans->at[plans->newest]->keep_log_ms);
    engine_save_begin(engine);
    while (engine_save_step(engine, 10000000, &a, put_section) == SAVE_GOES_ON && a.status == OK)
        continue;
    uint64_t hash = a.status == OK ? engine_save_hash(engine) : 0;
    engine_save_end(engine);
    if (a.status == OK)
        return snapping_commit(a.snapping, hash, f);
    snapping_abandon(a.snapping);
    return a.status;
}

enum status snapshot_engine(const struct directory *d, struct engine *engine, struct fault *f)
{
    struct release here = release_here();
    return snapshot_before_takeover(d, engine, &here, f);
}

static enum status get_section(struct snapshot_reader *r, const char *name, struct buf *out,
                               struct fault *f)
{
    uint32_t section = snapshot_section_find(r, str_of(name), 0);
    return section == UINT32_MAX ? OK : snapshot_get(r, section, out, f);
}

enum status snapping_hash(struct snapshot_reader *r, uint64_t *hash, struct fault *f)
{
    struct buf b;
    buf_init(&b);
    *hash = snapshot_get_about(r)->state_hash; /* snapshots of earlier releases say it there */
    enum status status = get_section(r, HASH_SECTION, &b, f);
    struct cursor c = cursor_of(b.at, b.len);
    if (status == OK && b.len > 0)
        *hash = cursor_u64(&c);
    if (status == OK && (c.is_bad || cursor_left(&c) != 0)) {
        fault_set(f, "section \"" HASH_SECTION "\" is damaged");
        status = FIX_INPUT;
    }
    buf_fini(&b);
    return status;
}

enum status snapping_owner(struct snapshot_reader *r, struct release *owner, struct fault *f)
{
    struct buf b;
    struct release x = {{0}, {0}};
    buf_init(&b);
    enum status status = get_section(r, RELEASE_SECTION, &b, f);
    struct str text = buf_str(&b);
    if (status == OK && text.len >= sizeof(x.hash) - 1) {
        bool is_fine =
            str_to_z(str_part(text, 0, sizeof(x.hash) - 1), x.hash, sizeof(x.hash)) &&
            str_to_z(str_part(text, sizeof(x.hash) - 1, SIZE_MAX), x.version, sizeof(x.version));
        if (!is_fine)
            x = (struct release){{0}, {0}};
    }
    *owner = x;
    buf_fini(&b);
    return status;
}

bool snapping_is_own(struct str section)
{
    return str_is(section, RELEASE_SECTION) || str_is(section, HASH_SECTION);
}
