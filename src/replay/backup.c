/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/backup.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sha256.h"
#include "os/file.h"
#include "replay/retention.h"

#define TRIES_MAX      16 /* to take what the server drops or replaces meanwhile */
#define MANIFEST_BYTES (64u << 20)

static void join(char out[OS_PATH_BYTES], const char *dir, const char *name)
{
    must(os_path_join(out, OS_PATH_BYTES, dir, name));
}

/* The path of a content, in the backup. */
static bool content_path(char out[OS_PATH_BYTES], const char *dir, const char *hash)
{
    char files[OS_PATH_BYTES];
    return os_path_join(files, sizeof(files), dir, "files") &&
           os_path_join(out, OS_PATH_BYTES, files, hash);
}

static void hash_hex(struct str bytes, char hex[65])
{
    uint8_t hash[SHA256_BYTES];
    sha256(bytes, hash);
    sha256_print(hash, hex);
}

/* Is something there? What cannot be asked about is not taken for absent. */
static enum status look(struct os_disk *disk, const char *path, bool *is_there, struct fault *f)
{
    struct os_stat at = {.kind = OS_ABSENT};
    enum status status = os_stat(disk, path, &at, f);
    *is_there = status == OK && at.kind != OS_ABSENT;
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------- */

struct writing {
    const struct directory *d;
    struct os_disk *disk;
    const char *dir;
    struct backup *b;
};

/* Puts a content under its name, durably but for the folder. */
static enum status put_content(struct writing *w, const char *path, struct str bytes,
                               struct fault *f)
{
    struct backup *b = w->b;
    char at[OS_PATH_BYTES], temporary[OS_PATH_BYTES];
    struct os_stat stat;
    struct os_file *file;
    b->files = mem_resize(b->files, (b->count + 1) * sizeof(b->files[0]));
    struct backup_file *x = &b->files[b->count];
    *x = (struct backup_file){.bytes = bytes.len};
    if (!str_to_z(str_of(path), x->path, sizeof(x->path)) ||
        !os_path_join(temporary, sizeof(temporary), w->dir, "content.tmp")) {
        fault_set(f, "a path is too long: %s", path);
        return FIX_INPUT;
    }
    hash_hex(bytes, x->hash);
    if (!content_path(at, w->dir, x->hash))
        return FIX_INPUT;
    b->count++;
    b->bytes += bytes.len;
    enum status status = os_stat(w->disk, at, &stat, f);
    if (status != OK || (stat.kind == OS_REGULAR && stat.bytes == bytes.len))
        return status;
    status = os_file_open(w->disk, temporary, OS_CREATE, &file, f);
    if (status != OK)
        return status;
    status = os_file_write(file, 0, bytes.at, bytes.len, f);
    if (status == OK)
        status = os_file_sync(file, f);
    os_file_close(file);
    if (status == OK)
        status = os_rename(w->disk, temporary, at, f);
    b->new_count++;
    b->new_bytes += bytes.len;
    return status;
}

/* The first `bytes` of an open file (UINT64_MAX: all); ends the file. */
static enum status put_file(struct writing *w, const char *path, struct os_file *file,
                            uint64_t bytes, struct fault *f)
{
    const void *at = NULL;
    uint64_t size = 0;
    enum status status = os_file_size(file, &size, f);
    bytes = min_of(bytes, size);
    if (status == OK && bytes > 0)
        status = os_file_map(file, bytes, &at, f);
    if (status == OK)
        status = put_content(w, path, (struct str){at, bytes}, f);
    if (at != NULL)
        os_file_unmap(w->disk, at, bytes);
    os_file_close(file);
    return status;
}

/* The same for what changes in place or is small: it is read first. */
static enum status put_small(struct writing *w, const char *path, const char *from, struct fault *f)
{
    struct buf b;
    buf_init(&b);
    enum status status = os_read_whole(w->disk, from, SIZE_MAX / 2, &b, f);
    if (status == OK)
        status = put_content(w, path, buf_str(&b), f);
    buf_fini(&b);
    return status;
}

/* The newest whole snapshot, which the server may drop meanwhile: then there is a newer one. */
static enum status put_snapshot(struct writing *w, struct fault *f)
{
    struct snapshot_reader *reader = NULL;
    char path[OS_PATH_BYTES], name[64];
    struct os_file *file = NULL;
    bool is_there;
    enum status status = look(w->disk, w->d->snapshots, &is_there, f);
    if (!is_there)
        return status;
    for (uint32_t i = 0; i < TRIES_MAX && file == NULL; i++) {
        status = snapshot_latest(w->disk, w->d->snapshots, UINT64_MAX, NULL, NULL, &reader, f);
        if (status == GIVE_UP || (status == OK && reader == NULL)) {
            *f = (struct fault){0};
            return OK; /* the log has everything */
        }
        if (status != OK)
            continue;
        w->b->snapshot = snapshot_get_about(reader)->batch;
        status = snapping_hash(reader, &w->b->state_hash, f);
        snapshot_close(reader);
        must(snapshot_path(path, sizeof(path), w->d->snapshots, w->b->snapshot));
        if (status == OK)
            status = os_file_open(w->disk, path, OS_READ, &file, f);
    }
    if (file == NULL)
        return status;
    snprintf(name, sizeof(name), "snapshots/%016lu.snap", w->b->snapshot);
    return put_file(w, name, file, UINT64_MAX, f);
}

/* The oldest snapshot that a log goes on from which was cut: with it, what is restored reaches back as far. */
static enum status put_base(struct writing *w, struct fault *f)
{
    struct reach reach;
    struct os_file *file;
    char path[OS_PATH_BYTES], name[64];
    enum status status = reach_of(w->d, &reach, f);
    if (status != OK || reach.base == 0 || reach.base >= w->b->snapshot)
        return status;
    must(snapshot_path(path, sizeof(path), w->d->snapshots, reach.base));
    struct fault ignored = {0};
    if (os_file_open(w->disk, path, OS_READ, &file, &ignored) != OK)
        return OK; /* it was dropped just now, or it is damaged: the newest one is there */
    snprintf(name, sizeof(name), "snapshots/%016lu.snap", reach.base);
    return put_file(w, name, file, UINT64_MAX, f);
}

static enum status put_segment(struct writing *w, uint64_t segment, uint64_t bytes,
                               struct os_file *file, struct fault *f)
{
    char name[64], path[OS_PATH_BYTES];
    snprintf(name, sizeof(name), "log/%016lu.seg", segment);
    join(path, w->d->path, name);
    if (file == NULL && os_file_open(w->disk, path, OS_READ, &file, f) != OK)
        return GIVE_UP;
    return put_file(w, name, file, bytes, f);
}

/* Where the log ends, and that segment, open: it may be sealed meanwhile, which is another file. */
static enum status open_end(struct writing *w, struct evlog_end *end, struct os_file **file,
                            struct fault *f)
{
    char path[OS_PATH_BYTES], name[32];
    for (uint32_t i = 0; i < TRIES_MAX; i++) {
        struct evlog_end before;
        enum status status = evlog_find_end(w->disk, w->d->log, &before, f);
        if (status != OK || before.segment == 0) {
            *end = before;
            return status;
        }
        snprintf(name, sizeof(name), "%016lu.seg", before.segment);
        join(path, w->d->log, name);
        status = os_file_open(w->disk, path, OS_READ, file, f);
        if (status == OK)
            status = evlog_find_end(w->disk, w->d->log, end, f);
        if (status == OK && end->segment == before.segment)
            return OK;
        os_file_close(*file);
        *file = NULL;
        if (status != OK)
            return status;
    }
    fault_set(f, "%s: the log grows too fast", w->d->log);
    return TRY_AGAIN;
}

/* *is_gone: a segment was dropped while those before it were taken. */
static enum status put_segments(struct writing *w, bool *is_gone, struct fault *f)
{
    struct arena arena;
    struct os_entry *entries = NULL;
    uint32_t count = 0;
    struct evlog_end end;
    struct os_file *file = NULL;
    arena_init(&arena, 4096);
    enum status status = open_end(w, &end, &file, f);
    if (status == OK && end.segment != 0)
        status = os_list(w->disk, w->d->log, &arena, &entries, &count, f);
    for (uint32_t i = 0; i < count && status == OK; i++) {
        int64_t first;
        if (!str_ends(entries[i].name, STR(".seg")) ||
            !str_to_int(str_part(entries[i].name, 0, entries[i].name.len - 4), &first) ||
            (uint64_t)first >= end.segment)
            continue;
        char path[OS_PATH_BYTES];
        status = put_segment(w, (uint64_t)first, UINT64_MAX, NULL, f);
        join(path, w->d->log, entries[i].name.at);
        *is_gone = status != OK && !os_exists(w->disk, path);
    }
    if (status == OK && end.segment != 0)
        status = put_segment(w, end.segment, end.offset, file, f);
    else
        os_file_close(file);
    arena_fini(&arena);
    w->b->batch = end.batch;
    w->b->now_ms = end.now_ms;
    w->b->log_id = end.log_id;
    return status;
}

static enum status put_log(struct writing *w, struct fault *f)
{
    uint32_t before = w->b->count;
    enum status status;
    for (uint32_t i = 0;; i++) {
        bool is_gone = false;
        status = put_segments(w, &is_gone, f);
        if (!is_gone || i == TRIES_MAX)
            break;
        while (w->b->count > before)
            w->b->bytes -= w->b->files[--w->b->count].bytes;
        *f = (struct fault){0};
    }
    char keys[OS_PATH_BYTES];
    bool has_keys = false;
    join(keys, w->d->log, "keys"); /* behind the segments that name them */
    if (status == OK)
        status = look(w->disk, keys, &has_keys, f);
    if (has_keys)
        status = put_small(w, "log/keys", keys, f);
    return status;
}

/* A folder of files, and folders of them. */
static enum status put_folder(struct writing *w, const char *path, struct fault *f)
{
    char at[OS_PATH_BYTES], below[OS_PATH_BYTES];
    struct arena arena;
    struct os_entry *entries = NULL;
    uint32_t count = 0;
    bool is_there;
    join(at, w->d->path, path);
    enum status status = look(w->disk, at, &is_there, f);
    if (!is_there)
        return status;
    arena_init(&arena, 4096);
    status = os_list(w->disk, at, &arena, &entries, &count, f);
    for (uint32_t i = 0; i < count && status == OK; i++) {
        join(below, path, entries[i].name.at);
        join(at, w->d->path, below);
        if (entries[i].kind == OS_DIRECTORY)
            status = put_folder(w, below, f);
        else if (entries[i].kind == OS_REGULAR && !str_ends(entries[i].name, STR(".tmp")))
            status = put_small(w, below, at, f);
    }
    arena_fini(&arena);
    return status;
}

static enum status put_manifest(struct writing *w, struct fault *f)
{
    struct buf out;
    char path[OS_PATH_BYTES], hex[65];
    const struct backup *b = w->b;
    join(path, w->dir, "manifest");
    buf_init(&out);
    buf_printf(&out, "wend-backup %u\nrelease %s %s\nlog %016lx\nbatch %lu %ld\n", BACKUP_FORMAT,
               b->release.hash, b->release.version, b->log_id, b->batch, b->now_ms);
    buf_printf(&out, "snapshot %lu %016lx\n", b->snapshot, b->state_hash);
    for (uint32_t i = 0; i < b->count; i++)
        buf_printf(&out, "file %s %lu %s\n", b->files[i].hash, b->files[i].bytes, b->files[i].path);
    hash_hex(buf_str(&out), hex);
    buf_printf(&out, "end %s\n", hex);
    enum status status = os_write_whole(w->disk, path, buf_str(&out), f);
    buf_fini(&out);
    return status;
}

/* Contents that the manifest does not name any more. */
static enum status drop_rest(struct writing *w, struct fault *f)
{
    char files[OS_PATH_BYTES], at[OS_PATH_BYTES];
    struct arena arena;
    struct os_entry *entries = NULL;
    uint32_t count = 0;
    join(files, w->dir, "files");
    arena_init(&arena, 4096);
    enum status status = os_list(w->disk, files, &arena, &entries, &count, f);
    for (uint32_t i = 0; i < count && status == OK; i++) {
        bool is_named = false;
        for (uint32_t k = 0; k < w->b->count && !is_named; k++)
            is_named = str_is(entries[i].name, w->b->files[k].hash);
        join(at, files, entries[i].name.at);
        if (!is_named)
            status = os_remove(w->disk, at, f);
    }
    arena_fini(&arena);
    return status;
}

static bool is_empty(struct os_disk *disk, const char *path)
{
    struct arena arena;
    struct os_entry *entries = NULL;
    struct os_stat at;
    uint32_t count = 1;
    struct fault f = {0};
    if (os_stat(disk, path, &at, &f) == OK && at.kind == OS_ABSENT)
        return true;
    arena_init(&arena, 4096);
    enum status status = os_list(disk, path, &arena, &entries, &count, &f);
    arena_fini(&arena);
    return status == OK && count == 0;
}

static enum status read_manifest(struct os_disk *disk, const char *dir, struct backup *out,
                                 struct fault *f);

/* There is nothing, or a backup of the same log (or what is left of the first one, interrupted). */
static enum status check_place(struct writing *w, uint64_t log_id, struct fault *f)
{
    char manifest[OS_PATH_BYTES], files[OS_PATH_BYTES];
    struct backup old = {0};
    if (!content_path(files, w->dir, "") ||
        !os_path_join(manifest, sizeof(manifest), w->dir, "manifest")) {
        fault_set(f, "the path of the backup is too long: %s", w->dir);
        return FIX_INPUT;
    }
    bool is_there;
    enum status status = look(w->disk, manifest, &is_there, f);
    if (status != OK)
        return status;
    if (is_there) {
        status = read_manifest(w->disk, w->dir, &old, f);
        if (status == OK && log_id != 0 && old.log_id != log_id && old.log_id != 0) {
            fault_set(f, "%s holds a backup of another data directory", w->dir);
            status = FIX_INPUT;
        }
        backup_fini(&old);
        return status;
    }
    join(files, w->dir, "files");
    status = look(w->disk, files, &is_there, f);
    if (status == OK && !is_there && !is_empty(w->disk, w->dir)) {
        fault_set(f, "%s is neither empty nor a backup", w->dir);
        return FIX_INPUT;
    }
    return status;
}

enum status backup_write(const struct directory *d, const char *dir, struct backup *out,
                         struct fault *f)
{
    struct writing w = {.d = d, .disk = d->disk, .dir = dir, .b = out};
    char files[OS_PATH_BYTES], secret[OS_PATH_BYTES];
    struct evlog_end end = {0};
    *out = (struct backup){.release = release_here()};
    bool has_log;
    enum status status = look(d->disk, d->log, &has_log, f);
    if (has_log)
        status = evlog_find_end(d->disk, d->log, &end, f);
    if (status == OK)
        status = check_place(&w, end.log_id, f);
    if (status == OK) {
        join(files, dir, "files");
        status = os_make_dirs(d->disk, files, f);
    }
    if (status == OK)
        status = put_snapshot(&w, f);
    if (status == OK && has_log)
        status = put_base(&w, f);
    if (status == OK && has_log)
        status = put_log(&w, f);
    if (status == OK)
        status = put_folder(&w, "programmes", f);
    if (status == OK)
        status = put_folder(&w, "backfills", f);
    if (status == OK) {
        join(secret, d->path, "secret");
        status = put_small(&w, "secret", secret, f);
    }
    if (status == OK)
        status = os_sync_dir(d->disk, files, f);
    if (status == OK)
        status = put_manifest(&w, f);
    return status == OK ? drop_rest(&w, f) : status;
}

/* ---- reading ------------------------------------------------------------------------------------- */

/* The next word of the line, up to a space or its end. */
static struct str word(struct str *line)
{
    size_t i = 0;
    while (i < line->len && line->at[i] != ' ')
        i++;
    struct str x = str_part(*line, 0, i);
    *line = str_part(*line, min_of(i + 1, line->len), line->len);
    return x;
}

static bool hex_of(struct str text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) || text.len > 16)
            return false;
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return text.len > 0;
}

/* No way out of the directory, and nothing but what a backup has. */
static bool is_fine_path(struct str path)
{
    if (path.len == 0 || path.at[0] == '/' || str_find(path, STR(".."), 0) != SIZE_MAX)
        return false;
    return str_is(path, "secret") || str_starts(path, STR("log/")) ||
           str_starts(path, STR("snapshots/")) || str_starts(path, STR("programmes/")) ||
           str_starts(path, STR("backfills/"));
}

static bool take_line(struct backup *b, struct str line)
{
    struct str what = word(&line);
    int64_t number;
    if (str_is(what, "release"))
        return str_to_z(word(&line), b->release.hash, sizeof(b->release.hash)) &&
               str_to_z(line, b->release.version, sizeof(b->release.version));
    if (str_is(what, "log"))
        return hex_of(line, &b->log_id);
    if (str_is(what, "batch")) {
        bool is_fine = str_to_int(word(&line), &number) && number >= 0;
        b->batch = (uint64_t)number;
        return is_fine && str_to_int(line, &b->now_ms);
    }
    if (str_is(what, "snapshot")) {
        bool is_fine = str_to_int(word(&line), &number) && number >= 0;
        b->snapshot = (uint64_t)number;
        return is_fine && hex_of(line, &b->state_hash);
    }
    if (!str_is(what, "file"))
        return false;
    struct backup_file x = {{0}, {0}, 0};
    struct str hash = word(&line);
    bool is_fine = hash.len == 64 && str_to_z(hash, x.hash, sizeof(x.hash)) &&
                   str_to_int(word(&line), &number) && number >= 0 && is_fine_path(line) &&
                   str_to_z(line, x.path, sizeof(x.path));
    if (!is_fine || str_find(hash, STR("/"), 0) != SIZE_MAX)
        return false;
    x.bytes = (uint64_t)number;
    b->files = mem_resize(b->files, (b->count + 1) * sizeof(b->files[0]));
    b->files[b->count++] = x;
    b->bytes += x.bytes;
    return true;
}

static enum status parse_manifest(struct str text, const char *path, struct backup *b,
                                  struct fault *f)
{
    char hex[65];
    int64_t format;
    struct str first = str_part(text, 0, str_find(text, STR("\n"), 0));
    struct str magic = word(&first);
    fault_place(f, path, 0, 0);
    if (!str_is(magic, "wend-backup") || !str_to_int(first, &format)) {
        fault_set(f, "%s is not the manifest of a backup", path);
        return FIX_INPUT;
    }
    if (format > BACKUP_FORMAT) {
        fault_set(f, "%s has format %ld, this release reads %u: a newer release wrote it", path,
                  format, BACKUP_FORMAT);
        return FIX_INPUT;
    }
    size_t end = text.len > 69 ? text.len - 69 : 0; /* "end ", 64 digits, "\n" */
    hash_hex(str_part(text, 0, end), hex);
    bool is_fine = end > 0 && str_starts(str_part(text, end, text.len), STR("end ")) &&
                   str_is(str_part(text, end + 4, 64), hex) && text.at[text.len - 1] == '\n';
    size_t at = str_find(text, STR("\n"), 0) + 1;
    while (is_fine && at < end) {
        size_t next = str_find(text, STR("\n"), at);
        is_fine = next < end && take_line(b, str_part(text, at, next - at));
        at = next + 1;
    }
    if (is_fine)
        return OK;
    fault_set(f, "%s is damaged", path);
    return FIX_INPUT;
}

static enum status read_manifest(struct os_disk *disk, const char *dir, struct backup *out,
                                 struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct buf text;
    *out = (struct backup){0};
    if (!os_path_join(path, sizeof(path), dir, "manifest")) {
        fault_set(f, "the path is too long: %s", dir);
        return FIX_INPUT;
    }
    if (!os_exists(disk, path)) {
        fault_set(f, "%s is no backup: it has no file \"manifest\"", dir);
        return FIX_INPUT;
    }
    buf_init(&text);
    enum status status = os_read_whole(disk, path, MANIFEST_BYTES, &text, f);
    if (status == OK)
        status = parse_manifest(buf_str(&text), path, out, f);
    buf_fini(&text);
    return status;
}

/* The content as memory, which must be the one; the caller unmaps it and closes the file. */
static enum status open_content(struct os_disk *disk, const char *dir, const struct backup_file *x,
                                struct os_file **file, const void **at, struct fault *f)
{
    char path[OS_PATH_BYTES], hex[65];
    uint64_t size = 0;
    *at = NULL;
    *file = NULL;
    if (!content_path(path, dir, x->hash) || !os_exists(disk, path)) {
        fault_set(f, "the backup lacks %s (files/%.16s...)", x->path, x->hash);
        return FIX_INPUT;
    }
    enum status status = os_file_open(disk, path, OS_READ, file, f);
    if (status == OK)
        status = os_file_size(*file, &size, f);
    if (status == OK && size == x->bytes && size > 0)
        status = os_file_map(*file, size, at, f);
    if (status == OK)
        hash_hex((struct str){*at, min_of(size, x->bytes)}, hex);
    if (status == OK && (size != x->bytes || strcmp(hex, x->hash) != 0)) {
        fault_set(f, "%s of the backup is damaged (files/%.16s...)", x->path, x->hash);
        status = FIX_INPUT;
    }
    return status;
}

static void close_content(struct os_disk *disk, const struct backup_file *x, struct os_file *file,
                          const void *at)
{
    if (at != NULL)
        os_file_unmap(disk, at, x->bytes);
    os_file_close(file);
}

enum status backup_read(struct os_disk *disk, const char *dir, struct backup *out, struct fault *f)
{
    enum status status = read_manifest(disk, dir, out, f);
    for (uint32_t i = 0; i < out->count && status == OK; i++) {
        struct os_file *file;
        const void *at;
        status = open_content(disk, dir, &out->files[i], &file, &at, f);
        close_content(disk, &out->files[i], file, at);
    }
    return status;
}

/* ---- restoring ----------------------------------------------------------------------------------- */

static enum status restore_file(struct os_disk *disk, const char *dir, const struct backup_file *x,
                                const char *path, struct fault *f)
{
    char to[OS_PATH_BYTES], folder[OS_PATH_BYTES];
    struct os_file *from, *file = NULL;
    const void *at;
    enum status status = open_content(disk, dir, x, &from, &at, f);
    if (status == OK && (!os_path_join(to, sizeof(to), path, x->path) ||
                         !os_path_dir(folder, sizeof(folder), to))) {
        fault_set(f, "the path is too long: %s", path);
        status = FIX_INPUT;
    }
    if (status == OK)
        status = os_make_dirs(disk, folder, f);
    if (status == OK)
        status = os_file_open(disk, to, OS_CREATE_NEW, &file, f);
    if (status == OK && x->bytes > 0)
        status = os_file_write(file, 0, at, x->bytes, f);
    if (status == OK)
        status = os_file_sync(file, f);
    os_file_close(file);
    close_content(disk, x, from, at);
    return status == OK ? os_sync_dir(disk, folder, f) : status;
}

enum status backup_restore(struct os_disk *disk, const char *dir, const struct backup *b,
                           const char *path, struct fault *f)
{
    const struct backup_file *secret = NULL;
    if (!is_empty(disk, path)) {
        fault_set(f, "%s is not empty: a backup is restored into a new directory", path);
        return FIX_INPUT;
    }
    enum status status = os_make_dirs(disk, path, f);
    for (uint32_t i = 0; i < b->count && status == OK; i++) {
        if (strcmp(b->files[i].path, "secret") == 0)
            secret = &b->files[i];
        else
            status = restore_file(disk, dir, &b->files[i], path, f);
    }
    if (status == OK && secret == NULL) {
        fault_set(f, "the backup lacks the file \"secret\"");
        status = FIX_INPUT;
    }
    return status == OK ? restore_file(disk, dir, secret, path, f) : status;
}

static enum status try_restored(struct os_disk *disk, const struct backup *b, const char *scratch,
                                uint64_t *hash, struct fault *f)
{
    struct directory d;
    struct recovered r = {0};
    struct evlog *log = NULL;
    struct evlog_options options = {.disk = disk};
    struct recover_options how = {0};
    enum status status = directory_open(disk, scratch, &d, f);
    if (status == OK && b->batch > 0)
        status = evlog_open(d.log, &options, &log, f);
    if (status != OK)
        return status;
    status = recover(&d, &how, &r, f);
    if (status == OK && r.snapshot_batch != b->snapshot) {
        fault_set(f, "the backup's snapshot of batch %lu cannot be used: %s", b->snapshot,
                  r.snapshot_fault.text);
        status = GIVE_UP;
    }
    if (status == OK && engine_batch(r.engine) != b->batch) {
        fault_set(f, "what was restored ends with batch %lu, the backup with %lu",
                  engine_batch(r.engine), b->batch);
        status = GIVE_UP;
    }
    if (status == OK)
        *hash = engine_hash(r.engine);
    recovered_fini(&r);
    evlog_free(log);
    return status;
}

enum status backup_verify(struct os_disk *disk, const char *dir, const struct backup *b,
                          const char *scratch, uint64_t *hash, struct fault *f)
{
    enum status status = backup_restore(disk, dir, b, scratch, f);
    if (status == OK)
        status = try_restored(disk, b, scratch, hash, f);
    struct fault ignored = {0};
    enum status removed = os_remove_tree(disk, scratch, status == OK ? f : &ignored);
    return status == OK ? removed : status;
}

void backup_fini(struct backup *b)
{
    mem_free(b->files);
    *b = (struct backup){0};
}
