/* The folder of snapshots: names, which is the newest whole one, which may go.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "disk/snapshot.h"

#include <stdio.h>

#include "disk/snapshot_int.h"
#include "os/file.h"

#define BATCH_DIGITS     16
#define SUFFIX           ".snap"
#define TEMPORARY_SUFFIX ".snap.tmp"

static bool join_name(char *out, size_t out_bytes, const char *dir, uint64_t batch,
                      const char *suffix)
{
    char name[64];
    snprintf(name, sizeof(name), "%0*llu%s", BATCH_DIGITS, (unsigned long long)batch, suffix);
    return os_path_join(out, out_bytes, dir, name);
}

bool snapshot_path(char *out, size_t out_bytes, const char *dir, uint64_t batch)
{
    return join_name(out, out_bytes, dir, batch, SUFFIX);
}

bool snapshot_temporary_path(char *out, size_t out_bytes, const char *dir, uint64_t batch)
{
    return join_name(out, out_bytes, dir, batch, TEMPORARY_SUFFIX);
}

/* The batch in a file's name; false for a name of another kind. */
static bool batch_of(struct str name, uint64_t *batch)
{
    if (name.len != BATCH_DIGITS + strlen(SUFFIX) || !str_ends(name, STR(SUFFIX)))
        return false;
    *batch = 0;
    for (size_t i = 0; i < BATCH_DIGITS; i++) {
        if (name.at[i] < '0' || name.at[i] > '9')
            return false;
        *batch = *batch * 10 + (uint64_t)(name.at[i] - '0');
    }
    return true;
}

enum status snapshot_list(struct os_disk *disk, const char *dir, struct arena *a,
                          uint64_t **batches, uint32_t *count, struct fault *f)
{
    struct os_entry *entries;
    uint32_t entry_count;
    enum status done = os_list(disk, dir, a, &entries, &entry_count, f);
    if (done != OK)
        return done;
    *batches = arena_array(a, uint64_t, entry_count + 1);
    *count = 0;
    /* As many digits in each: from the last name to the first is from the newest to the oldest. */
    for (uint32_t i = entry_count; i-- > 0;) {
        uint64_t batch;
        if (entries[i].kind == OS_REGULAR && batch_of(entries[i].name, &batch))
            (*batches)[(*count)++] = batch;
    }
    return OK;
}

typedef enum status open_snapshot(struct os_disk *disk, const char *path,
                                  struct snapshot_reader **r, struct fault *f);

static enum status open_latest(struct os_disk *disk, const char *dir, uint64_t batch_max,
                               open_snapshot *open, snapshot_refused *refused, void *context,
                               struct snapshot_reader **r, struct fault *f)
{
    struct arena a;
    arena_init(&a, 4096);
    uint64_t *batches;
    uint32_t count;
    struct fault first = {0};
    *r = NULL;
    enum status done = snapshot_list(disk, dir, &a, &batches, &count, f);
    enum status worst = OK;
    for (uint32_t i = 0; done == OK && *r == NULL && i < count; i++) {
        if (batches[i] > batch_max)
            continue;
        char path[OS_PATH_BYTES];
        must(snapshot_path(path, sizeof(path), dir, batches[i])); /* it was listed */
        struct fault why = {0};
        if (open(disk, path, r, &why) == OK) {
            worst = OK;
            break;
        }
        if (refused != NULL)
            refused(context, path, &why);
        if (worst == OK)
            first = why;
        worst = GIVE_UP;
    }
    arena_fini(&a);
    if (done == OK && worst != OK) {
        fault_set(f, "%s", first.text);
        fault_place(f, first.file, 0, 0);
        return worst;
    }
    return done;
}

enum status snapshot_latest(struct os_disk *disk, const char *dir, uint64_t batch_max,
                            snapshot_refused *refused, void *context, struct snapshot_reader **r,
                            struct fault *f)
{
    return open_latest(disk, dir, batch_max, snapshot_open, refused, context, r, f);
}

enum status snapshot_latest_unread(struct os_disk *disk, const char *dir, uint64_t batch_max,
                                   snapshot_refused *refused, void *context,
                                   struct snapshot_reader **r, struct fault *f)
{
    return open_latest(disk, dir, batch_max, snapshot_open_unread, refused, context, r, f);
}

/* Removes unfinished ones, and those whose place from the newest is `keep_count` or more. */
static enum status drop_behind(struct os_disk *disk, const char *dir, uint32_t keep_count,
                               struct fault *f)
{
    struct arena a;
    arena_init(&a, 4096);
    struct os_entry *entries;
    uint32_t entry_count;
    uint32_t kept = 0;
    uint32_t dropped = 0;
    enum status done = os_list(disk, dir, &a, &entries, &entry_count, f);
    for (uint32_t i = done == OK ? entry_count : 0; done == OK && i-- > 0;) {
        uint64_t batch;
        bool is_snapshot = batch_of(entries[i].name, &batch);
        bool is_unfinished = str_ends(entries[i].name, STR(TEMPORARY_SUFFIX));
        if (entries[i].kind != OS_REGULAR || (!is_snapshot && !is_unfinished))
            continue;
        if (is_snapshot && kept++ < keep_count)
            continue;
        char path[OS_PATH_BYTES];
        must(os_path_join(path, sizeof(path), dir, entries[i].name.at));
        done = os_remove(disk, path, f);
        dropped++;
    }
    if (done == OK && dropped > 0)
        done = os_sync_dir(disk, dir, f);
    arena_fini(&a);
    return done;
}

enum status snapshot_drop_unfinished(struct os_disk *disk, const char *dir, struct fault *f)
{
    return drop_behind(disk, dir, UINT32_MAX, f);
}

enum status snapshot_drop_old(struct os_disk *disk, const char *dir, uint32_t keep_count,
                              struct fault *f)
{
    must(keep_count >= 1);
    return drop_behind(disk, dir, keep_count, f);
}
