/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/backfill.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "disk/snapshot.h"
#include "os/file.h"
#include "replay/recover.h"
#include "replay/retention.h"

#define PARTITIONS    256
#define FEATURES_FROM (1u << 24)

struct loaded_backfill {
    struct backfill backfill;
    struct buf bytes[PARTITIONS];
    uint64_t file_bytes;
};

const struct backfill *backfill_of(const struct loaded_backfill *b)
{
    return &b->backfill;
}

uint64_t backfill_bytes(const struct loaded_backfill *b)
{
    return b->file_bytes;
}

void backfill_free(struct loaded_backfill *b)
{
    if (b == NULL)
        return;
    for (uint32_t i = 0; i < PARTITIONS; i++)
        buf_fini(&b->bytes[i]);
    mem_free(b);
}

/* ---- what it is of ------------------------------------------------------------------------------- */

static void write_about(const struct engine_change *change, struct buf *out)
{
    buf_add_varint(out, BACKFILL_FORMAT);
    buf_add(out, change->plan->hash, 64);
    buf_add_varint(out, change->batch);
    buf_add_varint(out, change->count);
    for (uint32_t i = 0; i < change->count; i++)
        buf_add_varint(out, change->features[i]);
}

/* SHA-256 over each section in turn: u64 length, bytes (little-endian; `about`, then the partitions). */
static void hash_all(struct str about, const struct loaded_backfill *b, char hash[65])
{
    uint8_t digest[32];
    unsigned bytes = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL);
    must(EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    for (uint32_t i = 0; i <= PARTITIONS; i++) {
        struct str part = i == 0 ? about : buf_str(&b->bytes[i - 1]);
        struct buf head;
        buf_init(&head);
        buf_add_u64(&head, part.len);
        must(EVP_DigestUpdate(context, head.at, head.len) == 1);
        must(EVP_DigestUpdate(context, part.at, part.len) == 1);
        buf_fini(&head);
    }
    must(EVP_DigestFinal_ex(context, digest, &bytes) == 1);
    must(bytes == sizeof(digest));
    EVP_MD_CTX_free(context);
    for (size_t i = 0; i < sizeof(digest); i++) {
        hash[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hash[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hash[64] = 0;
}

static void finish(struct str about, struct loaded_backfill *b)
{
    hash_all(about, b, b->backfill.hash);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        b->backfill.parts[i] = buf_str(&b->bytes[i]);
}

/* ---- the file ------------------------------------------------------------------------------------ */

static enum status put_all(struct snapshot_writer *w, struct str about,
                           const struct loaded_backfill *b, struct fault *f)
{
    enum status status = snapshot_put(w, STR("about"), 0, about.at, about.len, f);
    for (uint32_t i = 0; i < PARTITIONS && status == OK; i++)
        status = snapshot_put(w, STR("pasts"), i, b->bytes[i].at, b->bytes[i].len, f);
    return status;
}

static enum status store(const struct directory *d, const struct engine_change *change,
                         struct str about, const struct loaded_backfill *b, struct fault *f)
{
    char making[OS_PATH_BYTES], from[OS_PATH_BYTES], to[OS_PATH_BYTES];
    struct snapshot_about of = {.batch = change->batch - 1, .partition_count = PARTITIONS};
    struct snapshot_writer *w;
    if (!os_path_join(making, sizeof(making), d->backfills, BACKFILL_MAKING) ||
        !os_path_join(to, sizeof(to), d->backfills, b->backfill.hash) ||
        !snapshot_path(from, sizeof(from), making, of.batch)) {
        fault_set(f, "the path of the data directory is too long");
        return FIX_INPUT;
    }
    enum status status = os_remove_tree(d->disk, making, f);
    if (status == OK)
        status = os_make_dirs(d->disk, making, f);
    if (status == OK)
        status = snapshot_begin(d->disk, making, &of, &w, f);
    if (status != OK)
        return status;
    status = put_all(w, about, b, f);
    if (status != OK) {
        snapshot_abandon(w);
        return status;
    }
    status = snapshot_commit(w, f);
    if (status == OK)
        status = os_rename(d->disk, from, to, f);
    if (status == OK)
        status = os_sync_dir(d->disk, d->backfills, f);
    return status;
}

static enum status get_all(struct snapshot_reader *reader, struct buf *about,
                           struct loaded_backfill *b, struct fault *f)
{
    uint32_t place = snapshot_section_find(reader, STR("about"), 0);
    enum status status = place == UINT32_MAX ? GIVE_UP : snapshot_get(reader, place, about, f);
    for (uint32_t i = 0; i < PARTITIONS && status == OK; i++) {
        place = snapshot_section_find(reader, STR("pasts"), i);
        status = place == UINT32_MAX ? GIVE_UP : snapshot_get(reader, place, &b->bytes[i], f);
    }
    if (status == GIVE_UP && f->text[0] == 0)
        fault_set(f, "it is no backfill");
    return status;
}

/* Reads the file; its content must be that of its name, and of the change. */
static enum status load(const struct directory *d, const struct engine_change *change,
                        const char *name, struct loaded_backfill **out, struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct os_stat stat = {0};
    struct snapshot_reader *reader;
    if (!os_path_join(path, sizeof(path), d->backfills, name)) {
        fault_set(f, "the path of the data directory is too long");
        return FIX_INPUT;
    }
    enum status status = os_stat(d->disk, path, &stat, f);
    if (status == OK)
        status = snapshot_open(d->disk, path, &reader, f);
    if (status != OK)
        return status;
    struct loaded_backfill *b = mem_new(sizeof(*b));
    struct buf about, wanted;
    buf_init(&about);
    buf_init(&wanted);
    b->file_bytes = stat.bytes;
    status = get_all(reader, &about, b, f);
    snapshot_close(reader);
    write_about(change, &wanted);
    if (status == OK) {
        finish(buf_str(&about), b);
        if (strcmp(b->backfill.hash, name) != 0 || !str_equal(buf_str(&about), buf_str(&wanted))) {
            fault_set(f, "the backfill %s is damaged or of another change", name);
            status = GIVE_UP;
        }
    }
    buf_fini(&about);
    buf_fini(&wanted);
    if (status == OK)
        *out = b;
    else
        backfill_free(b);
    return status;
}

/* One that was stored for the same change: made before a crash. NULL: there is none. */
static struct loaded_backfill *find(const struct directory *d, const struct engine_change *change)
{
    struct loaded_backfill *found = NULL;
    struct os_entry *entries = NULL;
    struct arena scratch;
    uint32_t count = 0;
    struct fault f = {0};
    if (!os_exists(d->disk, d->backfills))
        return NULL;
    arena_init(&scratch, 4096);
    if (os_list(d->disk, d->backfills, &scratch, &entries, &count, &f) != OK)
        count = 0;
    for (uint32_t i = 0; i < count && found == NULL; i++) {
        struct fault ignored = {0};
        if (entries[i].name.len != 64 ||
            load(d, change, entries[i].name.at, &found, &ignored) != OK)
            found = NULL;
    }
    arena_fini(&scratch);
    return found;
}

/* ---- making one ---------------------------------------------------------------------------------- */

struct making {
    const struct engine_change *change;
    const struct backfill_host *host;
    bool is_astray; /* people are others */
};

static bool go_on(void *self, const struct recovered *so_far)
{
    const struct making *m = self;
    struct backfill_progress progress = {.batches = so_far->batches,
                                         .batch_count = m->change->batch - 1,
                                         .records = so_far->records};
    return m->host == NULL || m->host->go_on == NULL || m->host->go_on(m->host->self, &progress);
}

/* Can a step of the plan change how people are found? */
static bool sets_addresses(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->journey_count; i++) {
        const struct plan_journey *j = &plan->journeys[i];
        for (uint32_t k = 0; k < j->step_count; k++)
            if (j->steps[k].kind == STEP_SET &&
                (j->steps[k].set.trait == NAME_EMAIL || j->steps[k].set.trait == NAME_PHONE ||
                 j->steps[k].set.trait == NAME_PUSH_TOKEN))
                return true;
    }
    return false;
}

static bool is_reliable(const struct recovered *r)
{
    const struct plans *plans = engine_plans(r->engine);
    for (uint32_t i = 1; i < plans->count; i++)
        if (sets_addresses(plans->at[i]))
            return false;
    return true;
}

static enum status replay(const struct directory *d, struct making *m, bool is_shadow,
                          struct recovered *r, struct fault *f)
{
    struct recover_options options = {.from_beginning = true,
                                      .batch_last = m->change->batch - 1,
                                      .is_shadow = is_shadow,
                                      .keeps = m->change->plan,
                                      .split = m->change->split,
                                      .keeps_from = FEATURES_FROM,
                                      .self = m,
                                      .go_on = go_on};
    return recover(d, &options, r, f);
}

static void note_difference(void *self, const struct recovered *so_far,
                            const struct difference *what)
{
    struct making *m = self;
    (void)so_far;
    m->is_astray |= what->stored.len > 0 && !recover_same_people(what);
}

/* Of a log that was cut, the whole engine applies what is left. What another release decided otherwise is of no
 * matter, as long as people are the same. */
static enum status replay_kept(const struct directory *d, struct making *m, struct recovered *r,
                               struct fault *f)
{
    struct recover_options options = {.from_beginning = true,
                                      .batch_last = m->change->batch - 1,
                                      .is_tolerant = true,
                                      .differs = note_difference,
                                      .keeps = m->change->plan,
                                      .split = m->change->split,
                                      .keeps_from = FEATURES_FROM,
                                      .self = m,
                                      .go_on = go_on};
    enum status status = recover(d, &options, r, f);
    if (status == OK && m->is_astray) {
        fault_set(f, "the log has other people than this release makes of it");
        status = GIVE_UP;
    }
    return status;
}

static void keep_part(void *self, uint32_t partition, struct str bytes)
{
    struct loaded_backfill *b = self;
    buf_add_str(&b->bytes[partition], bytes);
}

static enum status make(const struct directory *d, const struct engine_change *change,
                        const struct backfill_host *host, bool stores, struct loaded_backfill **out,
                        struct fault *f)
{
    struct making m = {.change = change, .host = host};
    struct recovered r = {0};
    struct buf about;
    must(change->count > 0);
    struct reach reach;
    enum status status = reach_of(d, &reach, f);
    if (status == OK && reach.log_first > 1) {
        status = replay_kept(d, &m, &r, f);
    } else if (status == OK && change->batch > 1) {
        status = replay(d, &m, true, &r, f);
        if (r.is_astray || (status == OK && !is_reliable(&r))) {
            recovered_fini(&r);
            *f = (struct fault){0};
            status = replay(d, &m, false, &r, f);
        }
    }
    if (status != OK) {
        recovered_fini(&r);
        return status;
    }
    struct loaded_backfill *b = mem_new(sizeof(*b));
    if (r.engine != NULL)
        engine_write_backfill(r.engine, change->features, change->count, b, keep_part);
    recovered_fini(&r);
    buf_init(&about);
    write_about(change, &about);
    finish(buf_str(&about), b);
    if (stores)
        status = store(d, change, buf_str(&about), b, f);
    buf_fini(&about);
    if (status == OK)
        *out = b;
    else
        backfill_free(b);
    return status;
}

enum status backfill_make(const struct directory *d, const struct engine_change *change,
                          const struct backfill_host *host, struct loaded_backfill **out,
                          struct fault *f)
{
    *out = find(d, change);
    return *out != NULL ? OK : make(d, change, host, true, out, f);
}

enum status backfill_restore(const struct directory *d, const struct engine_change *change,
                             struct str hash, struct loaded_backfill **out, struct fault *f)
{
    char name[65];
    struct fault ignored = {0};
    if (str_to_z(hash, name, sizeof(name)) && hash.len == 64 &&
        load(d, change, name, out, &ignored) == OK)
        return OK;
    enum status status = make(d, change, NULL, false, out, f);
    if (status == OK && !str_is(hash, (*out)->backfill.hash)) {
        fault_set(f, "the backfill made from the log is not the one that was used (%.*s)",
                  STR_ARG(hash));
        backfill_free(*out);
        *out = NULL;
        status = GIVE_UP;
    }
    return status;
}

/* ---- removing ------------------------------------------------------------------------------------ */

static enum status oldest_snapshot(const struct directory *d, uint64_t *batch, struct fault *f)
{
    struct arena a;
    uint64_t *batches;
    uint32_t count = 0;
    *batch = 0;
    if (!os_exists(d->disk, d->snapshots))
        return OK;
    arena_init(&a, 4096);
    enum status status = snapshot_list(d->disk, d->snapshots, &a, &batches, &count, f);
    if (status == OK && count > 0)
        *batch = batches[count - 1];
    arena_fini(&a);
    return status;
}

static enum status drop_one(const struct directory *d, const char *name, struct fault *f)
{
    char path[OS_PATH_BYTES];
    if (!os_path_join(path, sizeof(path), d->backfills, name)) {
        fault_set(f, "the path of the data directory is too long");
        return FIX_INPUT;
    }
    return os_remove_tree(d->disk, path, f);
}

enum status backfill_drop(const struct directory *d, uint64_t since, uint32_t *dropped,
                          uint32_t *left, struct fault *f)
{
    struct arena a;
    struct os_entry *entries;
    uint32_t count = 0;
    uint64_t oldest = 0;
    *dropped = *left = 0;
    if (!os_exists(d->disk, d->backfills))
        return OK;
    arena_init(&a, 4096);
    enum status status = os_list(d->disk, d->backfills, &a, &entries, &count, f);
    if (status == OK && count > 0)
        status = oldest_snapshot(d, &oldest, f);
    bool goes = oldest >= max_of(since, UINT64_C(1));
    for (uint32_t i = 0; i < count && status == OK; i++) {
        bool is_one = entries[i].kind == OS_REGULAR; /* else it is BACKFILL_MAKING */
        if (goes)
            status = drop_one(d, entries[i].name.at, f);
        *dropped += goes && is_one && status == OK;
        *left += !goes && is_one;
    }
    if (status == OK && goes && count > 0)
        status = os_sync_dir(d->disk, d->backfills, f);
    arena_fini(&a);
    return status;
}
