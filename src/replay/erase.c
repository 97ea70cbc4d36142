/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/erase.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "disk/snapshot.h"
#include "os/file.h"
#include "profile/traits.h"
#include "replay/backfill.h"
#include "replay/owner.h"
#include "replay/takeover.h"

#define HEAD       "wend-erased 1\n"
#define FILE_BYTES ((size_t)64 << 20)
#define SUM_DIGITS 8

void erasure_fini(struct erasure *x)
{
    mem_free(x->ids.at);
    *x = (struct erasure){0};
}

void erasure_learn(struct erasure *x, struct engine *e)
{
    engine_ids_of(e, x->profile, &x->ids);
}

void erasure_record(const struct erasure *x, enum erase_kind kind, struct buf *clear,
                    struct record *r)
{
    clear->len = 0;
    body_put_int(clear, NAME_PROFILE, (int64_t)x->profile);
    if (kind == ERASE_DONE) {
        body_put_int(clear, NAME_NUMBER, (int64_t)x->batch);
        body_put_int(clear, NAME_COUNT, x->keys);
    }
    *r = (struct record){.type = RECORD_ERASE,
                         .kind = (uint8_t)kind,
                         .schema = RECORD_SCHEMA,
                         .clear = body_of(clear)};
}

/* ---- the two files: a head, then a line each: batch, time, profile, keys, ids, checksum -------------- */

static enum status path_of(const struct directory *d, const char *name, char out[OS_PATH_BYTES],
                           struct fault *f)
{
    if (os_path_join(out, OS_PATH_BYTES, d->path, name))
        return OK;
    fault_set(f, "the path of the data directory is too long");
    return FIX_INPUT;
}

static void put_line(struct buf *out, const struct erasure *x)
{
    size_t from = out->len;
    buf_printf(out, "%lu %ld %lu %u", x->batch, x->at_ms, x->profile, x->keys);
    for (uint32_t i = 0; i < x->ids.count; i++)
        buf_printf(out, " %016lx%016lx", x->ids.at[i].high, x->ids.at[i].low);
    buf_printf(out, " %08x\n", hash_crc32c(0, out->at + from, out->len - from));
}

static enum status damaged(const char *path, uint32_t line, struct fault *f)
{
    fault_set(f, "this is no list of people who were erased; restore the file");
    fault_place(f, path, line, 0);
    return GIVE_UP;
}

/* The next word of the line. */
static struct str take_word(struct str *rest)
{
    *rest = str_trim(*rest);
    size_t end = min_of(str_find(*rest, STR(" "), 0), rest->len);
    struct str word = str_part(*rest, 0, end);
    *rest = str_part(*rest, end, SIZE_MAX);
    return word;
}

static bool read_hex(struct str word, size_t digits, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return word.len == digits;
}

static void add_id(struct engine_ids *ids, struct id128 id)
{
    if (ids->count == ids->room) {
        ids->room = max_of(ids->room * 2, 16u);
        ids->at = mem_resize(ids->at, ids->room * sizeof(*ids->at));
    }
    ids->at[ids->count++] = id;
}

static bool has_id(const struct engine_ids *ids, struct id128 id)
{
    for (uint32_t i = 0; i < ids->count; i++)
        if (id128_equal(ids->at[i], id))
            return true;
    return false;
}

static bool read_line(struct str line, struct erasure *x)
{
    int64_t batch, profile, keys;
    struct str whole = line;
    if (!str_to_int(take_word(&line), &batch) || !str_to_int(take_word(&line), &x->at_ms) ||
        !str_to_int(take_word(&line), &profile) || !str_to_int(take_word(&line), &keys))
        return false;
    x->batch = (uint64_t)batch;
    x->profile = (uint64_t)profile;
    x->keys = (uint32_t)keys;
    for (struct str word; (word = take_word(&line)).len > 0;) {
        struct id128 id;
        uint64_t sum;
        if (word.len == SUM_DIGITS && line.len == 0) /* earlier releases wrote none */
            return read_hex(word, SUM_DIGITS, &sum) &&
                   sum == hash_crc32c(0, whole.at, whole.len - SUM_DIGITS - 1);
        if (word.len != 32 || !read_hex(str_part(word, 0, 16), 16, &id.high) ||
            !read_hex(str_part(word, 16, 16), 16, &id.low))
            return false;
        add_id(&x->ids, id);
    }
    return true;
}

/* Calls `see` for each line. */
static enum status each_line(const struct directory *d, const char *name, bool *is_there,
                             void *self, void (*see)(void *self, struct erasure *x),
                             struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct os_stat at = {.kind = OS_ABSENT};
    struct buf b;
    enum status status = path_of(d, name, path, f);
    if (status == OK)
        status = os_stat(d->disk, path, &at, f);
    *is_there = status == OK && at.kind != OS_ABSENT;
    if (!*is_there)
        return status;
    buf_init(&b);
    status = os_read_whole(d->disk, path, FILE_BYTES, &b, f);
    struct str rest = buf_str(&b);
    if (status == OK && !str_starts(rest, STR(HEAD)))
        status = damaged(path, 1, f);
    rest = str_part(rest, strlen(HEAD), SIZE_MAX);
    for (uint32_t number = 2; status == OK && rest.len > 0; number++) {
        size_t end = str_find(rest, STR("\n"), 0);
        struct erasure x = {0};
        if (end == SIZE_MAX || !read_line(str_part(rest, 0, end), &x))
            status = damaged(path, number, f);
        else
            see(self, &x);
        erasure_fini(&x);
        rest = str_part(rest, end == SIZE_MAX ? rest.len : end + 1, SIZE_MAX);
    }
    buf_fini(&b);
    return status;
}

enum status erasing_write(const struct directory *d, const struct erasure *x, struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct buf b;
    buf_init(&b);
    buf_add_str(&b, STR(HEAD));
    put_line(&b, x);
    enum status status = path_of(d, "erasing", path, f);
    if (status == OK)
        status = os_write_whole(d->disk, path, buf_str(&b), f);
    buf_fini(&b);
    return status;
}

static void take_it(void *self, struct erasure *x)
{
    struct erasure *out = self;
    erasure_fini(out);
    *out = *x;
    *x = (struct erasure){0};
}

enum status erasing_read(const struct directory *d, struct erasure *x, bool *is_there,
                         struct fault *f)
{
    return each_line(d, "erasing", is_there, x, take_it, f);
}

static void take_batch(void *self, struct erasure *x)
{
    uint64_t *batch = self;
    *batch = max_of(*batch, x->batch);
}

enum status erased_batch(const struct directory *d, uint64_t *batch, struct fault *f)
{
    bool is_there;
    *batch = 0;
    return each_line(d, "erased", &is_there, batch, take_batch, f);
}

static void take_ids(void *self, struct erasure *x)
{
    for (uint32_t i = 0; i < x->ids.count; i++)
        add_id(self, x->ids.at[i]);
}

enum status erased_ids(const struct directory *d, struct engine_ids *ids, struct fault *f)
{
    bool is_there;
    return each_line(d, "erased", &is_there, ids, take_ids, f);
}

enum status erasure_finish(const struct directory *d, const struct erasure *x, struct fault *f)
{
    char path[OS_PATH_BYTES], erasing[OS_PATH_BYTES];
    struct os_stat at = {.kind = OS_ABSENT};
    struct buf b;
    buf_init(&b);
    enum status status = path_of(d, "erased", path, f);
    if (status == OK)
        status = path_of(d, "erasing", erasing, f);
    if (status == OK)
        status = os_stat(d->disk, path, &at, f);
    if (status == OK && at.kind != OS_ABSENT)
        status = os_read_whole(d->disk, path, FILE_BYTES, &b, f);
    else if (status == OK)
        buf_add_str(&b, STR(HEAD));
    put_line(&b, x);
    if (status == OK)
        status = os_write_whole(d->disk, path, buf_str(&b), f);
    if (status == OK)
        status = os_stat(d->disk, erasing, &at, f);
    if (status == OK && at.kind != OS_ABSENT)
        status = os_remove(d->disk, erasing, f);
    if (status == OK)
        status = os_sync_dir(d->disk, d->path, f);
    buf_fini(&b);
    return status;
}

/* ---- what is removed ----------------------------------------------------------------------------- */

/* Removes the folder's files with that suffix, up to the name `last` if that is not NULL. */
static enum status drop_files(const struct directory *d, const char *dir, const char *suffix,
                              const char *last, struct fault *f)
{
    struct arena a;
    struct os_entry *entries;
    uint32_t count = 0;
    struct os_stat at = {.kind = OS_ABSENT};
    enum status status = os_stat(d->disk, dir, &at, f);
    if (status != OK || at.kind == OS_ABSENT)
        return status;
    arena_init(&a, 4096);
    status = os_list(d->disk, dir, &a, &entries, &count, f);
    for (uint32_t i = 0; i < count && status == OK; i++) {
        char path[OS_PATH_BYTES];
        if (entries[i].kind == OS_REGULAR && str_ends(entries[i].name, str_of(suffix)) &&
            (last == NULL || strcmp(entries[i].name.at, last) < 0) &&
            os_path_join(path, sizeof(path), dir, entries[i].name.at))
            status = os_remove(d->disk, path, f);
    }
    if (status == OK)
        status = os_sync_dir(d->disk, dir, f);
    arena_fini(&a);
    return status;
}

/* None is being made: changes of programme and erasures take turns. */
static enum status drop_backfills(const struct directory *d, struct fault *f)
{
    char making[OS_PATH_BYTES];
    if (!os_path_join(making, sizeof(making), d->backfills, BACKFILL_MAKING)) {
        fault_set(f, "the path of the data directory is too long");
        return FIX_INPUT;
    }
    enum status status = os_remove_tree(d->disk, making, f);
    return status == OK ? drop_files(d, d->backfills, "", NULL, f) : status;
}

enum status erasure_drop_old(const struct directory *d, uint64_t batch, struct fault *f)
{
    struct arena a;
    uint64_t *batches;
    uint32_t count = 0;
    arena_init(&a, 4096);
    char name[32];
    /* A server may be writing the next one: it has nothing of them. */
    snprintf(name, sizeof(name), "%016lu", batch);
    bool has_any = false;
    enum status status = drop_files(d, d->snapshots, ".tmp", name, f);
    if (status == OK)
        status = os_look(d->disk, d->snapshots, &has_any, f);
    if (status == OK && has_any)
        status = snapshot_list(d->disk, d->snapshots, &a, &batches, &count, f);
    for (uint32_t i = 0; i < count && status == OK; i++) {
        char path[OS_PATH_BYTES];
        if (batches[i] < batch && snapshot_path(path, sizeof(path), d->snapshots, batches[i]))
            status = os_remove(d->disk, path, f);
    }
    if (status == OK && count > 0)
        status = os_sync_dir(d->disk, d->snapshots, f);
    arena_fini(&a);
    return status == OK ? drop_backfills(d, f) : status;
}

/* ---- what the log has of them -------------------------------------------------------------------- */

bool erasure_concerns(const struct directory *d, const struct engine_ids *ids,
                      const struct record *r)
{
    if (id128_is_set(r->user) || id128_is_set(r->anonymous))
        return has_id(ids, r->user) || has_id(ids, r->anonymous) || has_id(ids, r->previous);
    struct id128 address = owner_by_address((struct directory *)(uintptr_t)d, r);
    return id128_is_set(address) && has_id(ids, address);
}

static void learn_addresses(const struct directory *d, const struct record *r,
                            struct engine_ids *ids)
{
    for (uint32_t i = CHANNEL_NONE + 1; i < CHANNEL_END; i++) {
        const uint32_t names[] = {channel_trait((enum channel)i),
                                  channel_find_name((enum channel)i)};
        for (uint32_t k = 0; k < array_count(names); k++) {
            struct value x = names[k] != NAME_NONE ? record_get(r, names[k], NULL) : value_none();
            struct id128 address = traits_address(d->secret, (enum channel)i, &x);
            if (id128_is_set(address) && !has_id(ids, address))
                add_id(ids, address);
        }
    }
}

enum status erasure_look_back(const struct directory *d, struct erasure *x, struct fault *f)
{
    struct evlog_reader *reader;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    enum status status = evlog_history_open(d->disk, d->log, x->ids.at, x->ids.count, &reader, f);
    if (status != OK)
        return status;
    while (status == OK && item.kind != EVLOG_END) {
        status = evlog_reader_next(reader, &item, f);
        for (uint32_t i = 0; status == OK && item.kind == EVLOG_BATCH && i < item.batch.count; i++)
            if (erasure_concerns(d, &x->ids, &item.batch.records[i]))
                learn_addresses(d, &item.batch.records[i], &x->ids);
    }
    evlog_reader_close(reader);
    return status;
}

/* ---- keys ---------------------------------------------------------------------------------------- */

static struct id128 owner(void *context, const struct record *r)
{
    return owner_by_address((struct directory *)(uintptr_t)context, r);
}

enum status erasure_destroy(const struct directory *d, struct keystore *keys, struct erasure *x,
                            struct fault *f)
{
    struct seal_counts counts;
    struct seal_options o = {.disk = d->disk,
                             .dir = d->log,
                             .keys = keys,
                             .owner = owner,
                             .context = (struct directory *)(uintptr_t)d,
                             .batch_last = x->batch};
    enum status status = seal_segments(&o, &counts, f);
    uint32_t destroyed = 0;
    if (status == OK)
        status = keystore_destroy(keys, x->ids.at, x->ids.count, &destroyed, f);
    x->keys += destroyed;
    return status;
}

/* ---- all ----------------------------------------------------------------------------------------- */

enum status erasure_run(const struct directory *d, const struct erasure_hands *hands,
                        struct erasure *x, struct fault *f)
{
    void *self = hands->self;
    uint64_t behind = 0;
    uint64_t batch =
        x->batch; /* of the run that was interrupted: snapshots may be of no earlier one by now */
    bool was_destroying = batch != 0 && x->keys > 0;
    uint32_t mended = 0;
    x->at_ms = hands->now_ms(self);
    enum status status = erasing_write(d, x, f);
    take_over_stop(ERASURE_IS_NOTED);
    if (status == OK &&
        was_destroying) { /* a key may be torn: nothing that it sealed can be read until it is whole */
        x->keys = 0;
        status = hands->destroy(self, x, f);
        mended = x->keys;
        x->keys = 1;
    }
    if (status == OK)
        status = hands->drop(self, x, f);
    if (batch != 0)
        x->batch = batch;
    take_over_stop(ERASURE_HAS_DROPPED);
    if (status == OK)
        status = hands->roll(self, f);
    take_over_stop(ERASURE_HAS_CLOSED);
    if (status == OK)
        status = erasure_look_back(d, x, f);
    if (status == OK) /* with all that is known by now */
        status = erasing_write(d, x, f);
    if (status == OK)
        status = hands->snapshot(self, x->batch, f);
    take_over_stop(ERASURE_HAS_SNAPSHOT);
    if (status == OK)
        status = erasure_drop_old(d, x->batch, f);
    take_over_stop(ERASURE_HAS_REMOVED);
    x->keys = 1; /* from here on recovery does not begin before the batch */
    if (status == OK)
        status = erasing_write(d, x, f);
    x->keys = mended;
    if (status == OK)
        status = hands->destroy(self, x, f);
    take_over_stop(ERASURE_HAS_DESTROYED);
    if (status == OK)
        status = hands->prove(self, x, &behind, f);
    take_over_stop(ERASURE_IS_PROVEN);
    if (status == OK)
        status = hands->snapshot(self, behind, f);
    take_over_stop(ERASURE_HAS_FALLBACK);
    return status == OK ? erasure_finish(d, x, f) : status;
}
