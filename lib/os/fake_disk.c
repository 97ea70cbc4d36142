/* A disk in memory with two versions of the truth: what programs see, and what a crash leaves.
 *
 *     node        a file's content: `now`, and `durable` as of its last sync
 *     names       path -> node as programs see it
 *     kept names  path -> node as of the last sync of the folder
 *     changes     what was done to names since, in order: a sync of the folder applies its changes
 *                 to the kept names, a crash applies a prefix of them
 *
 * Nodes are freed with the disk only: tests are short, and an unlinked file may still be open or
 * come back in a crash.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "os/fake_disk.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "os/file.h"
#include "os/thread.h"

#define SECTOR_BYTES 512

struct node {
    struct node *next;
    enum os_kind kind;
    struct buf now;
    struct buf durable;
    size_t changed_from, changed_until; /* outside of it `now` is as `durable`, as far as both go */
    const struct fake_file *locked_by;
};

struct name {
    struct name *next;
    const char *path;
    struct node *node;
};

/* A change of names not yet synced: `from` loses its node (if not NULL), `to` gets it (if not NULL). */
struct change {
    struct change *next;
    const char *from;
    const char *to;
    struct node *node;
};

struct fake_file {
    struct os_file file;
    struct node *node;
    uint32_t generation;
    bool is_writable;
};

struct fake_disk {
    struct os_disk disk;
    struct os_mutex mutex;
    struct arena arena; /* names, changes, paths */
    struct node *nodes;
    struct name *names;
    struct name *kept_names;
    struct change *changes; /* oldest first */
    struct change **end;    /* where the next one goes; NULL = not known */
    uint64_t seed;
    uint64_t draws;
    uint64_t calls;
    uint64_t fail_call;
    enum fake_fault fail_how;
    bool has_failed;
    bool is_short;
    bool is_down;
    uint64_t capacity_bytes;
    uint32_t generation; /* counts restarts */
};

static struct fake_disk *fake_of(struct os_disk *disk)
{
    return (struct fake_disk *)disk;
}

static uint64_t draw(struct fake_disk *fake)
{
    return hash_pair(fake->seed, ++fake->draws);
}

static enum status refuse(enum status what, struct fault *f, const char *path, const char *reason)
{
    fault_set(f, "%s", reason);
    fault_place(f, path, 0, 0);
    return what;
}

/* Counts a call and says what is to befall it. */
static enum fake_fault befalls(struct fake_disk *fake)
{
    fake->calls++;
    if (fake->is_down)
        return FAKE_CRASH;
    if (fake->fail_how == FAKE_NONE || fake->calls != fake->fail_call)
        return FAKE_NONE;
    fake->has_failed = true;
    if (fake->fail_how == FAKE_CRASH)
        fake->is_down = true;
    return fake->fail_how;
}

static enum status fail(enum fake_fault fault, struct fault *f, const char *path)
{
    if (fault == FAKE_FULL)
        return refuse(TRY_AGAIN, f, path, "No space left on device");
    return refuse(GIVE_UP, f, path, fault == FAKE_EIO ? "Input/output error" : "the disk is gone");
}

/* ---------------------------------------------------------------------------------------- names */

static struct name **find_name(struct name **list, const char *path)
{
    while (*list != NULL && strcmp((*list)->path, path) != 0)
        list = &(*list)->next;
    return list;
}

static struct node *node_at(struct fake_disk *fake, const char *path)
{
    struct name *name = *find_name(&fake->names, path);
    return name ? name->node : NULL;
}

static void set_name(struct fake_disk *fake, struct name **list, const char *path,
                     struct node *node)
{
    struct name **at = find_name(list, path);
    if (node == NULL) {
        if (*at != NULL)
            *at = (*at)->next;
        return;
    }
    if (*at == NULL) {
        *at = arena_new(&fake->arena, struct name);
        (*at)->path = arena_copy(&fake->arena, str_of(path)).at;
    }
    (*at)->node = node;
}

static void apply(struct fake_disk *fake, struct name **list, const struct change *c)
{
    if (c->from)
        set_name(fake, list, c->from, NULL);
    if (c->to)
        set_name(fake, list, c->to, c->node);
}

static void change_names(struct fake_disk *fake, const char *from, const char *to,
                         struct node *node)
{
    struct change *c = arena_new(&fake->arena, struct change);
    c->from = from ? arena_copy(&fake->arena, str_of(from)).at : NULL;
    c->to = to ? arena_copy(&fake->arena, str_of(to)).at : NULL;
    c->node = node;
    struct change **end = fake->end ? fake->end : &fake->changes;
    while (*end != NULL)
        end = &(*end)->next;
    *end = c;
    fake->end = &c->next;
    apply(fake, &fake->names, c);
}

/* The folder that has to be synced for the change to last. */
static bool is_in(const struct change *c, const char *folder)
{
    char above[OS_PATH_BYTES];
    must(os_path_dir(above, sizeof(above), c->to ? c->to : c->from));
    return strcmp(above, folder) == 0;
}

static bool is_root(const char *path)
{
    return strcmp(path, ".") == 0 || strcmp(path, "/") == 0;
}

static bool has_folder(struct fake_disk *fake, const char *path)
{
    char above[OS_PATH_BYTES];
    must(os_path_dir(above, sizeof(above), path));
    if (is_root(above))
        return true;
    const struct node *node = node_at(fake, above);
    return node != NULL && node->kind == OS_DIRECTORY;
}

static struct node *node_new(struct fake_disk *fake, enum os_kind kind)
{
    struct node *node = mem_new(sizeof(*node));
    node->kind = kind;
    node->next = fake->nodes;
    fake->nodes = node;
    return node;
}

static uint64_t used_bytes(struct fake_disk *fake)
{
    uint64_t used = 0;
    for (const struct name *n = fake->names; n != NULL; n = n->next)
        used += n->node->now.len;
    return used;
}

/* --------------------------------------------------------------------------------------- content */

static void set_length(struct buf *b, size_t bytes)
{
    if (bytes > b->len)
        memset(buf_reserve(b, bytes - b->len), 0, bytes - b->len);
    b->len = bytes;
}

static void touch(struct node *node, size_t from, size_t until)
{
    bool is_first = node->changed_from == node->changed_until;
    node->changed_from = is_first ? from : min_of(node->changed_from, from);
    node->changed_until = is_first ? until : max_of(node->changed_until, until);
}

static void resize_content(struct node *node, size_t bytes)
{
    touch(node, min_of(bytes, node->now.len), max_of(bytes, node->now.len));
    set_length(&node->now, bytes);
}

/* What is there now is durable: a log is synced often, and little of it is new. */
static void keep_content(struct node *node)
{
    size_t from = node->changed_from, until = min_of(node->changed_until, node->now.len);
    set_length(&node->durable, node->now.len);
    if (from < until)
        memcpy(node->durable.at + from, node->now.at + from, until - from);
    node->changed_from = node->changed_until = 0;
    must_slow(node->now.len == 0 || memcmp(node->now.at, node->durable.at, node->now.len) == 0);
}

/* What a crash leaves of a file: each sector is as it was synced or as it is now. */
static void tear(struct fake_disk *fake, struct node *node)
{
    size_t low = min_of(node->now.len, node->durable.len);
    size_t high = max_of(node->now.len, node->durable.len);
    size_t bytes = node->now.len;
    switch (draw(fake) % 3) {
    case 0: bytes = node->durable.len; break;
    case 1: bytes = low + (size_t)(draw(fake) % (high - low + 1)); break;
    default: break;
    }
    set_length(&node->now, high);
    set_length(&node->durable, high);
    for (size_t at = 0; at < bytes; at += SECTOR_BYTES) {
        size_t sector = min_of(bytes - at, (size_t)SECTOR_BYTES);
        if (memcmp(node->now.at + at, node->durable.at + at, sector) == 0)
            continue;
        uint64_t lot = draw(fake) % 16;
        size_t fresh = lot == 0 ? (size_t)(draw(fake) % sector) : lot % 2 ? sector : 0;
        memcpy(node->durable.at + at, node->now.at + at, fresh);
    }
    set_length(&node->durable, bytes);
    node->now.len = 0;
    buf_add(&node->now, node->durable.at, bytes);
    node->changed_from = node->changed_until = 0;
}

/* ----------------------------------------------------------------------------------------- calls */

static enum status open_locked(struct fake_disk *fake, const char *path, enum os_open how,
                               struct os_file **file, struct fault *f)
{
    enum fake_fault fault = befalls(fake);
    bool may_make = how != OS_READ && how != OS_WRITE;
    struct node *node = node_at(fake, path);
    bool is_new = node == NULL && may_make;
    if (fault == FAKE_CRASH && fake->calls == fake->fail_call && is_new && has_folder(fake, path) &&
        draw(fake) % 2)
        change_names(fake, NULL, path, node_new(fake, OS_REGULAR));
    if (fault == FAKE_EIO || fault == FAKE_CRASH || (fault == FAKE_FULL && is_new))
        return fail(fault, f, path);
    if (node != NULL && how == OS_CREATE_NEW)
        return refuse(FIX_INPUT, f, path, "cannot open: File exists");
    if (node != NULL && node->kind == OS_DIRECTORY)
        return refuse(FIX_INPUT, f, path, "cannot open: Is a directory");
    if ((node == NULL && !may_make) || !has_folder(fake, path))
        return refuse(FIX_INPUT, f, path, "cannot open: No such file or directory");
    if (is_new) {
        node = node_new(fake, OS_REGULAR);
        change_names(fake, NULL, path, node);
    }
    if (how == OS_CREATE)
        resize_content(node, 0);

    struct fake_file *opened = mem_new(sizeof(*opened));
    opened->file.disk = &fake->disk;
    opened->file.path = mem_new(strlen(path) + 1);
    memcpy(opened->file.path, path, strlen(path));
    opened->node = node;
    opened->generation = fake->generation;
    opened->is_writable = how != OS_READ;
    *file = &opened->file;
    return OK;
}

static enum status fake_open(struct os_disk *disk, const char *path, enum os_open how,
                             struct os_file **file, struct fault *f)
{
    struct fake_disk *fake = fake_of(disk);
    os_mutex_lock(&fake->mutex);
    enum status done = open_locked(fake, path, how, file, f);
    os_mutex_unlock(&fake->mutex);
    return done;
}

static void fake_close(struct os_file *file)
{
    struct fake_disk *fake = fake_of(file->disk);
    struct fake_file *opened = (struct fake_file *)file;
    os_mutex_lock(&fake->mutex);
    if (opened->node->locked_by == opened)
        opened->node->locked_by = NULL;
    os_mutex_unlock(&fake->mutex);
    mem_free(file->path);
    mem_free(opened);
}

/* Begins a call on an open file: takes the lock, counts. */
static enum fake_fault enter(struct os_file *file)
{
    struct fake_disk *fake = fake_of(file->disk);
    os_mutex_lock(&fake->mutex);
    enum fake_fault fault = befalls(fake);
    if (((struct fake_file *)file)->generation != fake->generation)
        return FAKE_EIO;
    return fault;
}

static enum status leave(struct os_file *file, enum status done)
{
    os_mutex_unlock(&fake_of(file->disk)->mutex);
    return done;
}

static struct node *node_of(struct os_file *file)
{
    return ((struct fake_file *)file)->node;
}

static enum status fake_pread(struct os_file *file, uint64_t offset, void *at, size_t bytes,
                              size_t *got_bytes, struct fault *f)
{
    struct fake_disk *fake = fake_of(file->disk);
    enum fake_fault fault = enter(file);
    if (fault == FAKE_EIO || fault == FAKE_CRASH)
        return leave(file, fail(fault, f, file->path));
    const struct buf *now = &node_of(file)->now;
    size_t got = offset < now->len ? min_of(bytes, now->len - (size_t)offset) : 0;
    if (fake->is_short && got > 1 && draw(fake) % 2)
        got = 1 + (size_t)(draw(fake) % (got - 1));
    if (got > 0)
        memcpy(at, now->at + offset, got);
    *got_bytes = got;
    return leave(file, OK);
}

static enum status fake_pwrite(struct os_file *file, uint64_t offset, const void *at, size_t bytes,
                               size_t *put_bytes, struct fault *f)
{
    struct fake_disk *fake = fake_of(file->disk);
    enum fake_fault fault = enter(file);
    must(((struct fake_file *)file)->is_writable);
    struct buf *now = &node_of(file)->now;
    size_t put = bytes;
    if (fault == FAKE_EIO || fault == FAKE_FULL)
        put = bytes / 2;
    else if (fake->is_short && bytes > 1 && draw(fake) % 2)
        put = 1 + (size_t)(draw(fake) % (bytes - 1));
    uint64_t end = offset + put;
    uint64_t more = end > now->len ? end - now->len : 0;
    bool is_down_already = fault == FAKE_CRASH && fake->calls != fake->fail_call;
    bool is_full = more > 0 && used_bytes(fake) + more > fake->capacity_bytes;
    if (!is_down_already && !is_full) {
        if (more > 0)
            resize_content(node_of(file), (size_t)end);
        if (put > 0)
            memcpy(now->at + offset, at, put);
        touch(node_of(file), (size_t)offset, (size_t)end);
    }
    if (fault != FAKE_NONE)
        return leave(file, fail(fault, f, file->path));
    if (is_full)
        return leave(file, fail(FAKE_FULL, f, file->path));
    *put_bytes = put;
    return leave(file, OK);
}

static enum status fake_sync(struct os_file *file, struct fault *f)
{
    struct fake_disk *fake = fake_of(file->disk);
    enum fake_fault fault = enter(file);
    struct node *node = node_of(file);
    bool is_crash_now = fault == FAKE_CRASH && fake->calls == fake->fail_call;
    if (fault == FAKE_NONE || fault == FAKE_FULL || (is_crash_now && draw(fake) % 2))
        keep_content(node);
    if (fault == FAKE_EIO || fault == FAKE_CRASH)
        return leave(file, fail(fault, f, file->path));
    return leave(file, OK);
}

/* Makes the file `bytes` long if there is room. */
static enum status resize(struct os_file *file, uint64_t bytes, struct fault *f)
{
    struct fake_disk *fake = fake_of(file->disk);
    struct node *node = node_of(file);
    if (bytes > node->now.len && used_bytes(fake) + bytes - node->now.len > fake->capacity_bytes)
        return fail(FAKE_FULL, f, file->path);
    resize_content(node, (size_t)bytes);
    return OK;
}

static enum status fake_truncate(struct os_file *file, uint64_t bytes, struct fault *f)
{
    enum fake_fault fault = enter(file);
    if (fault == FAKE_EIO || fault == FAKE_CRASH ||
        (fault == FAKE_FULL && bytes > node_of(file)->now.len))
        return leave(file, fail(fault, f, file->path));
    return leave(file, resize(file, bytes, f));
}

static enum status fake_preallocate(struct os_file *file, uint64_t bytes, struct fault *f)
{
    enum fake_fault fault = enter(file);
    if (fault != FAKE_NONE)
        return leave(file, fail(fault, f, file->path));
    if (bytes <= node_of(file)->now.len)
        return leave(file, OK);
    return leave(file, resize(file, bytes, f));
}

static enum status fake_size(struct os_file *file, uint64_t *bytes, struct fault *f)
{
    enum fake_fault fault = enter(file);
    if (fault == FAKE_EIO || fault == FAKE_CRASH)
        return leave(file, fail(fault, f, file->path));
    *bytes = node_of(file)->now.len;
    return leave(file, OK);
}

static enum status fake_lock(struct os_file *file, struct fault *f)
{
    enum fake_fault fault = enter(file);
    if (fault == FAKE_EIO || fault == FAKE_CRASH)
        return leave(file, fail(fault, f, file->path));
    struct node *node = node_of(file);
    const struct fake_file *opened = (struct fake_file *)file;
    if (node->locked_by != NULL && node->locked_by != opened)
        return leave(file, refuse(TRY_AGAIN, f, file->path, "another process has it open"));
    node->locked_by = opened;
    return leave(file, OK);
}

static enum status fake_map(struct os_file *file, size_t bytes, const void **at, struct fault *f)
{
    enum fake_fault fault = enter(file);
    if (fault == FAKE_EIO || fault == FAKE_CRASH)
        return leave(file, fail(fault, f, file->path));
    const struct buf *now = &node_of(file)->now;
    must(bytes <= now->len);
    void *copy = mem_new(bytes);
    memcpy(copy, now->at, bytes);
    *at = copy;
    return leave(file, OK);
}

static void fake_unmap(struct os_disk *disk, const void *at, size_t bytes)
{
    (void)disk;
    (void)bytes;
    mem_free((void *)(uintptr_t)at);
}

/* Begins a call on a path; *is_crash_now tells the call that meets the crash from those after. */
static enum fake_fault enter_path(struct os_disk *disk, bool *is_crash_now)
{
    struct fake_disk *fake = fake_of(disk);
    os_mutex_lock(&fake->mutex);
    enum fake_fault fault = befalls(fake);
    *is_crash_now = fault == FAKE_CRASH && fake->calls == fake->fail_call;
    return fault;
}

static enum status leave_path(struct os_disk *disk, enum status done)
{
    os_mutex_unlock(&fake_of(disk)->mutex);
    return done;
}

static enum status fake_stat(struct os_disk *disk, const char *path, struct os_stat *out,
                             struct fault *f)
{
    bool is_now;
    enum fake_fault fault = enter_path(disk, &is_now);
    if (fault == FAKE_EIO || fault == FAKE_CRASH)
        return leave_path(disk, fail(fault, f, path));
    const struct node *node = node_at(fake_of(disk), path);
    *out = (struct os_stat){0};
    if (is_root(path))
        out->kind = OS_DIRECTORY;
    else if (node != NULL)
        *out = (struct os_stat){node->kind, node->now.len};
    return leave_path(disk, OK);
}

static enum status rename_locked(struct fake_disk *fake, const char *from, const char *to,
                                 struct fault *f)
{
    struct node *node = node_at(fake, from);
    const struct node *target = node_at(fake, to);
    if (node == NULL || !has_folder(fake, to))
        return refuse(FIX_INPUT, f, from, "cannot rename: No such file or directory");
    if (target != NULL && target->kind != node->kind)
        return refuse(FIX_INPUT, f, from, "cannot rename: Is a directory");
    must(node->kind == OS_REGULAR); /* folders with what is in them: nobody needs it yet */
    change_names(fake, from, to, node);
    return OK;
}

static enum status fake_rename(struct os_disk *disk, const char *from, const char *to,
                               struct fault *f)
{
    struct fake_disk *fake = fake_of(disk);
    bool is_now;
    enum fake_fault fault = enter_path(disk, &is_now);
    if (is_now && draw(fake) % 2)
        (void)!rename_locked(fake, from, to, NULL);
    if (fault != FAKE_NONE)
        return leave_path(disk, fail(fault, f, from));
    return leave_path(disk, rename_locked(fake, from, to, f));
}

static bool is_empty_folder(struct fake_disk *fake, const char *path)
{
    size_t len = strlen(path);
    for (const struct name *n = fake->names; n != NULL; n = n->next)
        if (strncmp(n->path, path, len) == 0 && n->path[len] == '/')
            return false;
    return true;
}

static enum status remove_locked(struct fake_disk *fake, const char *path, struct fault *f)
{
    const struct node *node = node_at(fake, path);
    if (node == NULL)
        return refuse(FIX_INPUT, f, path, "cannot remove: No such file or directory");
    if (node->kind == OS_DIRECTORY && !is_empty_folder(fake, path))
        return refuse(FIX_INPUT, f, path, "cannot remove: Directory not empty");
    change_names(fake, path, NULL, NULL);
    return OK;
}

static enum status fake_remove(struct os_disk *disk, const char *path, struct fault *f)
{
    struct fake_disk *fake = fake_of(disk);
    bool is_now;
    enum fake_fault fault = enter_path(disk, &is_now);
    if (is_now && draw(fake) % 2)
        (void)!remove_locked(fake, path, NULL);
    if (fault == FAKE_EIO || fault == FAKE_CRASH)
        return leave_path(disk, fail(fault, f, path));
    return leave_path(disk, remove_locked(fake, path, f));
}

static enum status fake_make_dir(struct os_disk *disk, const char *path, struct fault *f)
{
    struct fake_disk *fake = fake_of(disk);
    bool is_now;
    enum fake_fault fault = enter_path(disk, &is_now);
    if (fault != FAKE_NONE)
        return leave_path(disk, fail(fault, f, path));
    if (node_at(fake, path) != NULL)
        return leave_path(disk, refuse(FIX_INPUT, f, path, "cannot make the folder: File exists"));
    if (!has_folder(fake, path))
        return leave_path(disk, refuse(FIX_INPUT, f, path, "No such file or directory"));
    change_names(fake, NULL, path, node_new(fake, OS_DIRECTORY));
    return leave_path(disk, OK);
}

/* Applies to the kept names the first `count` changes of the folder and forgets them. */
static void keep_changes(struct fake_disk *fake, const char *folder, uint64_t count)
{
    fake->end = NULL;
    for (struct change **at = &fake->changes; *at != NULL && count > 0;) {
        struct change *c = *at;
        if (!is_in(c, folder)) {
            at = &c->next;
            continue;
        }
        apply(fake, &fake->kept_names, c);
        *at = c->next;
        count--;
    }
}

static enum status fake_sync_dir(struct os_disk *disk, const char *path, struct fault *f)
{
    struct fake_disk *fake = fake_of(disk);
    bool is_now;
    enum fake_fault fault = enter_path(disk, &is_now);
    const struct node *node = node_at(fake, path);
    bool is_folder = is_root(path) || (node != NULL && node->kind == OS_DIRECTORY);
    if (fault == FAKE_NONE || fault == FAKE_FULL || (is_now && draw(fake) % 2))
        keep_changes(fake, path, UINT64_MAX);
    if (fault == FAKE_EIO || fault == FAKE_CRASH)
        return leave_path(disk, fail(fault, f, path));
    if (!is_folder)
        return leave_path(disk, refuse(FIX_INPUT, f, path, "No such file or directory"));
    return leave_path(disk, OK);
}

static enum status fake_list(struct os_disk *disk, const char *path, os_each_name *each,
                             void *context, struct fault *f)
{
    struct fake_disk *fake = fake_of(disk);
    bool is_now;
    enum fake_fault fault = enter_path(disk, &is_now);
    if (fault == FAKE_EIO || fault == FAKE_CRASH)
        return leave_path(disk, fail(fault, f, path));
    const struct node *node = node_at(fake, path);
    if (!is_root(path) && (node == NULL || node->kind != OS_DIRECTORY))
        return leave_path(disk, refuse(FIX_INPUT, f, path, "No such file or directory"));
    for (const struct name *n = fake->names; n != NULL; n = n->next) {
        char above[OS_PATH_BYTES];
        must(os_path_dir(above, sizeof(above), n->path));
        if (strcmp(above, path) == 0) {
            const char *slash = strrchr(n->path, '/');
            each(context, slash ? slash + 1 : n->path, n->node->kind);
        }
    }
    return leave_path(disk, OK);
}

static const struct os_disk_ops fake_ops = {
    .open = fake_open,
    .close = fake_close,
    .pread = fake_pread,
    .pwrite = fake_pwrite,
    .sync = fake_sync,
    .truncate = fake_truncate,
    .preallocate = fake_preallocate,
    .size = fake_size,
    .lock = fake_lock,
    .map = fake_map,
    .unmap = fake_unmap,
    .stat = fake_stat,
    .rename = fake_rename,
    .remove = fake_remove,
    .make_dir = fake_make_dir,
    .sync_dir = fake_sync_dir,
    .list = fake_list,
};

/* --------------------------------------------------------------------------------------- control */

struct fake_disk *fake_disk_new(uint64_t seed)
{
    struct fake_disk *fake = mem_new(sizeof(*fake));
    fake->disk.ops = &fake_ops;
    os_mutex_init(&fake->mutex);
    arena_init(&fake->arena, 4096);
    fake->seed = seed;
    fake->capacity_bytes = UINT64_MAX;
    return fake;
}

void fake_disk_free(struct fake_disk *fake)
{
    if (fake == NULL)
        return;
    while (fake->nodes != NULL) {
        struct node *node = fake->nodes;
        fake->nodes = node->next;
        buf_fini(&node->now);
        buf_fini(&node->durable);
        mem_free(node);
    }
    arena_fini(&fake->arena);
    os_mutex_fini(&fake->mutex);
    mem_free(fake);
}

struct os_disk *fake_disk_of(struct fake_disk *fake)
{
    return &fake->disk;
}

void fake_disk_fail_at(struct fake_disk *fake, uint64_t call_number, enum fake_fault fault)
{
    os_mutex_lock(&fake->mutex);
    fake->fail_call = call_number;
    fake->fail_how = call_number == 0 ? FAKE_NONE : fault;
    fake->has_failed = false;
    os_mutex_unlock(&fake->mutex);
}

uint64_t fake_disk_calls(struct fake_disk *fake)
{
    os_mutex_lock(&fake->mutex);
    uint64_t calls = fake->calls;
    os_mutex_unlock(&fake->mutex);
    return calls;
}

bool fake_disk_has_failed(struct fake_disk *fake)
{
    os_mutex_lock(&fake->mutex);
    bool has_failed = fake->has_failed;
    os_mutex_unlock(&fake->mutex);
    return has_failed;
}

void fake_disk_be_short(struct fake_disk *fake)
{
    os_mutex_lock(&fake->mutex);
    fake->is_short = true;
    os_mutex_unlock(&fake->mutex);
}

void fake_disk_set_capacity(struct fake_disk *fake, uint64_t bytes)
{
    os_mutex_lock(&fake->mutex);
    fake->capacity_bytes = bytes;
    os_mutex_unlock(&fake->mutex);
}

void fake_disk_restart(struct fake_disk *fake)
{
    os_mutex_lock(&fake->mutex);
    fake->end = NULL;
    while (fake->changes != NULL) {
        /* All changes of the oldest one's folder: a prefix of them has made it. */
        char folder[OS_PATH_BYTES];
        const struct change *oldest = fake->changes;
        must(os_path_dir(folder, sizeof(folder), oldest->to ? oldest->to : oldest->from));
        uint64_t count = 0;
        for (const struct change *c = oldest; c != NULL; c = c->next)
            count += is_in(c, folder);
        keep_changes(fake, folder, draw(fake) % (count + 1));
        for (struct change **at = &fake->changes; *at != NULL;) {
            if (is_in(*at, folder))
                *at = (*at)->next;
            else
                at = &(*at)->next;
        }
    }
    fake->names = NULL;
    for (const struct name *n = fake->kept_names; n != NULL; n = n->next)
        set_name(fake, &fake->names, n->path, n->node);
    for (struct node *node = fake->nodes; node != NULL; node = node->next) {
        tear(fake, node);
        node->locked_by = NULL;
    }
    fake->generation++;
    fake->calls = 0;
    fake->fail_call = 0;
    fake->fail_how = FAKE_NONE;
    fake->has_failed = false;
    fake->is_down = false;
    os_mutex_unlock(&fake->mutex);
}

void fake_disk_damage(struct fake_disk *fake, const char *path, uint64_t offset, uint8_t mask)
{
    os_mutex_lock(&fake->mutex);
    struct node *node = node_at(fake, path);
    must(node != NULL);
    must(offset < node->now.len);
    node->now.at[offset] ^= mask;
    if (offset < node->durable.len)
        node->durable.at[offset] ^= mask;
    os_mutex_unlock(&fake->mutex);
}

uint64_t fake_disk_used_bytes(struct fake_disk *fake)
{
    os_mutex_lock(&fake->mutex);
    uint64_t used = used_bytes(fake);
    os_mutex_unlock(&fake->mutex);
    return used;
}
