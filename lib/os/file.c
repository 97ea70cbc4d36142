/* SPDX-License-Identifier: Apache-2.0 */
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>

enum status os_file_open(struct os_disk *disk, const char *path, enum os_open how,
                         struct os_file **file, struct fault *f)
{
    return disk->ops->open(disk, path, how, file, f);
}

void os_file_close(struct os_file *file)
{
    if (file != NULL)
        file->disk->ops->close(file);
}

enum status os_file_read_some(struct os_file *file, uint64_t offset, void *at, size_t bytes,
                              size_t *got_bytes, struct fault *f)
{
    size_t have = 0;
    while (have < bytes) {
        size_t got = 0;
        enum status done =
            file->disk->ops->pread(file, offset + have, (char *)at + have, bytes - have, &got, f);
        if (done != OK)
            return done;
        must(got <= bytes - have);
        if (got == 0)
            break;
        have += got;
    }
    *got_bytes = have;
    return OK;
}

enum status os_file_read(struct os_file *file, uint64_t offset, void *at, size_t bytes,
                         struct fault *f)
{
    size_t got = 0;
    enum status done = os_file_read_some(file, offset, at, bytes, &got, f);
    if (done != OK)
        return done;
    if (got < bytes) {
        fault_set(f, "the file ends at byte %llu, %zu bytes were expected from %llu",
                  (unsigned long long)(offset + got), bytes, (unsigned long long)offset);
        fault_place(f, file->path, 0, 0);
        return GIVE_UP;
    }
    return OK;
}

enum status os_file_write(struct os_file *file, uint64_t offset, const void *at, size_t bytes,
                          struct fault *f)
{
    size_t have = 0;
    while (have < bytes) {
        size_t put = 0;
        enum status done = file->disk->ops->pwrite(file, offset + have, (const char *)at + have,
                                                   bytes - have, &put, f);
        if (done != OK)
            return done;
        must(put <= bytes - have);
        must(put > 0);
        have += put;
    }
    return OK;
}

enum status os_file_sync(struct os_file *file, struct fault *f)
{
    return file->disk->ops->sync(file, f);
}

enum status os_file_truncate(struct os_file *file, uint64_t bytes, struct fault *f)
{
    return file->disk->ops->truncate(file, bytes, f);
}

enum status os_file_preallocate(struct os_file *file, uint64_t bytes, struct fault *f)
{
    return file->disk->ops->preallocate(file, bytes, f);
}

enum status os_file_size(struct os_file *file, uint64_t *bytes, struct fault *f)
{
    return file->disk->ops->size(file, bytes, f);
}

enum status os_file_lock(struct os_file *file, struct fault *f)
{
    return file->disk->ops->lock(file, f);
}

enum status os_file_map(struct os_file *file, size_t bytes, const void **at, struct fault *f)
{
    must(bytes > 0);
    return file->disk->ops->map(file, bytes, at, f);
}

void os_file_unmap(struct os_disk *disk, const void *at, size_t bytes)
{
    disk->ops->unmap(disk, at, bytes);
}

enum status os_stat(struct os_disk *disk, const char *path, struct os_stat *out, struct fault *f)
{
    return disk->ops->stat(disk, path, out, f);
}

bool os_exists(struct os_disk *disk, const char *path)
{
    struct os_stat st;
    return os_stat(disk, path, &st, NULL) == OK && st.kind != OS_ABSENT;
}

enum status os_look(struct os_disk *disk, const char *path, bool *is_there, struct fault *f)
{
    struct os_stat st;
    enum status done = os_stat(disk, path, &st, f);
    *is_there = done == OK && st.kind != OS_ABSENT;
    return done;
}

enum status os_rename(struct os_disk *disk, const char *from, const char *to, struct fault *f)
{
    return disk->ops->rename(disk, from, to, f);
}

enum status os_remove(struct os_disk *disk, const char *path, struct fault *f)
{
    return disk->ops->remove(disk, path, f);
}

enum status os_sync_dir(struct os_disk *disk, const char *path, struct fault *f)
{
    return disk->ops->sync_dir(disk, path, f);
}

static enum status path_too_long(const char *path, struct fault *f)
{
    fault_set(f, "the path is longer than %d bytes", OS_PATH_BYTES - 1);
    fault_place(f, path, 0, 0);
    return FIX_INPUT;
}

/* Makes the folder if it is not there, and its name durable. */
static enum status make_one_dir(struct os_disk *disk, const char *path, struct fault *f)
{
    struct os_stat st;
    enum status done = os_stat(disk, path, &st, f);
    if (done != OK || st.kind == OS_DIRECTORY)
        return done;
    if (st.kind != OS_ABSENT) {
        fault_set(f, "this is a file, a folder is needed");
        fault_place(f, path, 0, 0);
        return FIX_INPUT;
    }

    /* Somebody else may make it at the same moment, which is as good. */
    struct fault why = {0};
    done = disk->ops->make_dir(disk, path, &why);
    if (done != OK && !os_exists(disk, path)) {
        fault_set(f, "%s", why.text);
        fault_place(f, path, 0, 0);
        return done;
    }
    char above[OS_PATH_BYTES];
    must(os_path_dir(above, sizeof(above), path));
    return os_sync_dir(disk, above, f);
}

enum status os_make_dirs(struct os_disk *disk, const char *path, struct fault *f)
{
    char part[OS_PATH_BYTES];
    size_t len = strlen(path);
    if (len >= sizeof(part))
        return path_too_long(path, f);
    memcpy(part, path, len + 1);

    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char kept = part[i];
        part[i] = '\0';
        enum status done = make_one_dir(disk, part, f);
        if (done != OK)
            return done;
        part[i] = kept;
    }
    return OK;
}

struct listing {
    struct arena *arena;
    struct os_entry *entries;
    uint32_t count;
    uint32_t room;
};

static void list_one(void *context, const char *name, enum os_kind kind)
{
    struct listing *l = context;
    if (l->count == l->room) {
        uint32_t room = l->room ? l->room * 2 : 32;
        struct os_entry *bigger = arena_array(l->arena, struct os_entry, room);
        if (l->count)
            memcpy(bigger, l->entries, l->count * sizeof(*bigger));
        l->entries = bigger;
        l->room = room;
    }
    l->entries[l->count++] = (struct os_entry){arena_copy(l->arena, str_of(name)), kind};
}

static int entry_order(const void *a, const void *b)
{
    const struct os_entry *x = a;
    const struct os_entry *y = b;
    return str_order(x->name, y->name);
}

enum status os_list(struct os_disk *disk, const char *path, struct arena *a,
                    struct os_entry **entries, uint32_t *count, struct fault *f)
{
    struct listing l = {.arena = a};
    enum status done = disk->ops->list(disk, path, list_one, &l, f);
    if (done != OK)
        return done;
    if (l.count)
        qsort(l.entries, l.count, sizeof(*l.entries), entry_order);
    *entries = l.entries;
    *count = l.count;
    return OK;
}

/* Folders still to be emptied, deepest last. A folder is removed when it is met a second time. */
struct doomed {
    struct doomed *above;
    const char *path;
    bool is_emptied;
};

static enum status empty_dir(struct os_disk *disk, struct arena *a, struct doomed **stack,
                             struct fault *f)
{
    const char *folder = (*stack)->path;
    struct os_entry *entries;
    uint32_t count;
    enum status done = os_list(disk, folder, a, &entries, &count, f);
    for (uint32_t i = 0; done == OK && i < count; i++) {
        const char *path = arena_printf(a, "%s/%s", folder, entries[i].name.at).at;
        if (entries[i].kind != OS_DIRECTORY) {
            done = os_remove(disk, path, f);
            continue;
        }
        struct doomed *below = arena_new(a, struct doomed);
        *below = (struct doomed){*stack, path, false};
        *stack = below;
    }
    return done;
}

enum status os_remove_tree(struct os_disk *disk, const char *path, struct fault *f)
{
    struct os_stat st;
    enum status done = os_stat(disk, path, &st, f);
    if (done != OK || st.kind == OS_ABSENT)
        return done;
    if (st.kind != OS_DIRECTORY)
        return os_remove(disk, path, f);

    struct arena a;
    arena_init(&a, 4096);
    struct doomed root = {NULL, path, false};
    struct doomed *stack = &root;
    while (done == OK && stack != NULL) {
        if (stack->is_emptied) {
            done = os_remove(disk, stack->path, f);
            stack = stack->above;
        } else {
            stack->is_emptied = true;
            done = empty_dir(disk, &a, &stack, f);
        }
    }
    arena_fini(&a);
    return done;
}

enum status os_read_whole(struct os_disk *disk, const char *path, size_t bytes_max, struct buf *out,
                          struct fault *f)
{
    struct os_file *file;
    enum status done = os_file_open(disk, path, OS_READ, &file, f);
    if (done != OK)
        return done;
    uint64_t bytes = 0;
    done = os_file_size(file, &bytes, f);
    if (done != OK)
        goto out;
    if (bytes > bytes_max) {
        fault_set(f, "the file has %llu bytes, at most %zu are read", (unsigned long long)bytes,
                  bytes_max);
        fault_place(f, path, 0, 0);
        done = FIX_INPUT;
        goto out;
    }
    done = os_file_read(file, 0, buf_reserve(out, bytes + 1), bytes, f);
    if (done == OK)
        out->len += bytes;
out:
    os_file_close(file);
    return done;
}

static enum status write_and_sync(struct os_disk *disk, const char *path, struct str content,
                                  struct fault *f)
{
    struct os_file *file;
    enum status done = os_file_open(disk, path, OS_CREATE, &file, f);
    if (done != OK)
        return done;
    done = os_file_write(file, 0, content.at, content.len, f);
    if (done == OK)
        done = os_file_sync(file, f);
    os_file_close(file);
    return done;
}

enum status os_write_whole(struct os_disk *disk, const char *path, struct str content,
                           struct fault *f)
{
    char temporary[OS_PATH_BYTES];
    char folder[OS_PATH_BYTES];
    int len = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (len < 0 || (size_t)len >= sizeof(temporary) || !os_path_dir(folder, sizeof(folder), path))
        return path_too_long(path, f);

    enum status done = write_and_sync(disk, temporary, content, f);
    if (done == OK)
        done = os_rename(disk, temporary, path, f);
    if (done != OK) {
        /* What is left over is overwritten by the next attempt; removing it is a courtesy. */
        (void)!os_remove(disk, temporary, NULL);
        return done;
    }
    return os_sync_dir(disk, folder, f);
}

bool os_path_join(char *out, size_t out_bytes, const char *dir, const char *name)
{
    size_t len = strlen(dir);
    const char *slash = len > 0 && dir[len - 1] == '/' ? "" : "/";
    int put = snprintf(out, out_bytes, "%s%s%s", dir, slash, name);
    if (put >= 0 && (size_t)put < out_bytes)
        return true;
    out[0] = '\0';
    return false;
}

bool os_path_dir(char *out, size_t out_bytes, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str dir = slash == NULL   ? STR(".")
                     : slash == path ? STR("/")
                                     : (struct str){path, (size_t)(slash - path)};
    return str_to_z(dir, out, out_bytes);
}
