/* folder.c - a programme's bytes: which files belong to it, and its content hash.
 *
 * The hash is SHA-256 over, for each file in bytewise order of path and then for the zone data,
 *
 *     u32 length of path, path, u64 length of text, text        (little-endian; zones: path "zones")
 *
 * Stored under ROOT/HASH: `files/` with the paths below it, and `zones`, written last: a folder
 * without it is the rest of an interrupted store and is written again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/programme.h"

#include "base/mem.h"
#include "os/file.h"
#include "when/zone.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define ZONES_BYTES_MAX ((size_t)16 << 20)
#define ZONE_FILE_BYTES ((size_t)64 << 10)

static const struct str folders[] = {
    {"journeys", 8}, {"segments", 8},  {"messages", 8}, {"partials", 8}, {"offers", 6},
    {"catalogs", 8}, {"providers", 9}, {"tests", 5},    {"vouchers", 8},
};

/* ---- collecting ------------------------------------------------------------------------------ */

struct collector {
    struct os_disk *disk;
    struct programme_folder *folder;
    uint32_t room;
    size_t bytes;
    struct fault *f;
};

static void folder_init(struct programme_folder *folder, struct str zones)
{
    *folder = (struct programme_folder){0};
    arena_init(&folder->arena, 64 * 1024);
    folder->zones = arena_copy(&folder->arena, zones);
}

void programme_folder_fini(struct programme_folder *folder)
{
    arena_fini(&folder->arena);
    *folder = (struct programme_folder){0};
}

static enum status file_add(struct collector *c, struct str path, struct str text)
{
    struct programme_folder *folder = c->folder;
    if (text.len > PROGRAMME_FILE_BYTES_MAX) {
        fault_set(c->f, "%.*s is larger than %zu bytes", STR_ARG(path), PROGRAMME_FILE_BYTES_MAX);
        return FIX_INPUT;
    }
    if (folder->file_count == PROGRAMME_FILES_MAX) {
        fault_set(c->f, "the programme has more than %d files", PROGRAMME_FILES_MAX);
        return FIX_INPUT;
    }
    c->bytes += text.len;
    if (c->bytes > PROGRAMME_BYTES_MAX) {
        fault_set(c->f, "the programme's files are larger than %zu bytes together",
                  PROGRAMME_BYTES_MAX);
        return FIX_INPUT;
    }
    if (folder->file_count == c->room) {
        uint32_t room = c->room ? c->room * 2 : 64;
        struct programme_file *files = arena_array(&folder->arena, struct programme_file, room);
        if (folder->file_count)
            memcpy(files, folder->files, folder->file_count * sizeof(*files));
        folder->files = files;
        c->room = room;
    }
    folder->files[folder->file_count++] = (struct programme_file){
        arena_copy(&folder->arena, path),
        arena_copy(&folder->arena, text),
    };
    return OK;
}

static enum status file_read(struct collector *c, const char *on_disk, struct str path)
{
    struct buf text;
    buf_init(&text);
    enum status status = os_read_whole(c->disk, on_disk, PROGRAMME_FILE_BYTES_MAX, &text, c->f);
    if (status == OK)
        status = file_add(c, path, buf_str(&text));
    buf_fini(&text);
    return status;
}

/* What editors and systems leave lying about is no part of a programme. */
static bool is_ignored(struct str name)
{
    return name.len == 0 || name.at[0] == '.' || name.at[name.len - 1] == '~' ||
           str_ends(name, STR(".swp")) || str_ends(name, STR(".orig"));
}

/* Recursion is bounded by PROGRAMME_FOLDER_DEPTH_MAX. */
static enum status folder_walk(struct collector *c, const char *on_disk, struct str path,
                               uint32_t depth)
{
    struct arena scratch;
    arena_init(&scratch, 4096);
    struct os_entry *entries = NULL;
    uint32_t count = 0;
    enum status status = os_list(c->disk, on_disk, &scratch, &entries, &count, c->f);
    for (uint32_t i = 0; i < count && status == OK; i++) {
        if (is_ignored(entries[i].name))
            continue;
        char child[OS_PATH_BYTES];
        if (!os_path_join(child, sizeof(child), on_disk, entries[i].name.at)) {
            fault_set(c->f, "the path %.*s/%.*s is too long", STR_ARG(path),
                      STR_ARG(entries[i].name));
            status = FIX_INPUT;
            break;
        }
        struct str name =
            path.len ? arena_printf(&scratch, "%.*s/%.*s", STR_ARG(path), STR_ARG(entries[i].name))
                     : entries[i].name;
        struct os_stat stat = {.kind = entries[i].kind};
        if (stat.kind == OS_OTHER) /* a link: what it leads to counts */
            status = os_stat(c->disk, child, &stat, c->f);
        if (status != OK)
            break;
        if (stat.kind == OS_REGULAR)
            status = file_read(c, child, name);
        else if (stat.kind == OS_DIRECTORY && depth < PROGRAMME_FOLDER_DEPTH_MAX)
            status = folder_walk(c, child, name, depth + 1);
    }
    arena_fini(&scratch);
    return status;
}

/* ---- the hash -------------------------------------------------------------------------------- */

static void hash_part(EVP_MD_CTX *context, struct str path, struct str text)
{
    struct buf head;
    buf_init(&head);
    buf_add_u32(&head, (uint32_t)path.len);
    buf_add_str(&head, path);
    buf_add_u64(&head, text.len);
    must(EVP_DigestUpdate(context, head.at, head.len) == 1);
    must(EVP_DigestUpdate(context, text.at, text.len) == 1);
    buf_fini(&head);
}

static void folder_hash(struct programme_folder *folder)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL);
    must(EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    for (uint32_t i = 0; i < folder->file_count; i++)
        hash_part(context, folder->files[i].path, folder->files[i].text);
    hash_part(context, STR("zones"), folder->zones);
    uint8_t digest[32];
    unsigned bytes = 0;
    must(EVP_DigestFinal_ex(context, digest, &bytes) == 1);
    must(bytes == sizeof(digest));
    EVP_MD_CTX_free(context);
    for (size_t i = 0; i < sizeof(digest); i++) {
        folder->hash[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        folder->hash[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    folder->hash[64] = 0;
}

static int file_order(const void *a, const void *b)
{
    return str_order(((const struct programme_file *)a)->path,
                     ((const struct programme_file *)b)->path);
}

static enum status folder_finish(struct programme_folder *folder, struct fault *f)
{
    if (folder->file_count)
        qsort(folder->files, folder->file_count, sizeof(*folder->files), file_order);
    for (uint32_t i = 1; i < folder->file_count; i++) {
        if (str_equal(folder->files[i - 1].path, folder->files[i].path)) {
            fault_set(f, "the file %.*s is there twice", STR_ARG(folder->files[i].path));
            return FIX_INPUT;
        }
    }
    if (!programme_folder_find(folder, STR("programme.yaml"))) {
        fault_set(f, "there is no programme.yaml: this folder is not a programme");
        return FIX_INPUT;
    }
    folder_hash(folder);
    return OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

enum status programme_folder_read(struct os_disk *disk, const char *path, struct str zones,
                                  struct programme_folder *out, struct fault *f)
{
    folder_init(out, zones);
    struct collector c = {.disk = disk, .folder = out, .f = f};
    struct os_stat stat;
    enum status status = os_stat(disk, path, &stat, f);
    if (status == OK && stat.kind != OS_DIRECTORY) {
        fault_set(f, "there is no folder %s", path);
        status = FIX_INPUT;
    }
    char child[OS_PATH_BYTES];
    if (status == OK && !os_path_join(child, sizeof(child), path, "programme.yaml")) {
        fault_set(f, "the path %s is too long", path);
        status = FIX_INPUT;
    }
    if (status == OK && os_exists(disk, child))
        status = file_read(&c, child, STR("programme.yaml"));
    if (status == OK && !os_path_join(child, sizeof(child), path, "migrate.yaml")) {
        fault_set(f, "the path %s is too long", path);
        status = FIX_INPUT;
    }
    if (status == OK && os_exists(disk, child))
        status = file_read(&c, child, STR("migrate.yaml"));
    for (size_t i = 0; i < array_count(folders) && status == OK; i++) {
        if (!os_path_join(child, sizeof(child), path, folders[i].at)) {
            fault_set(f, "the path %s is too long", path);
            status = FIX_INPUT;
            break;
        }
        status = os_stat(disk, child, &stat, f);
        if (status == OK && stat.kind == OS_DIRECTORY)
            status = folder_walk(&c, child, folders[i], 1);
    }
    if (status == OK)
        status = folder_finish(out, f);
    if (status != OK) {
        fault_place(f, path, 0, 0);
        programme_folder_fini(out);
    }
    return status;
}

enum status programme_folder_with(const struct programme_folder *folder, struct str path,
                                  struct str text, struct programme_folder *out, struct fault *f)
{
    struct programme_file *files = mem_new((folder->file_count + 1) * sizeof(*files));
    uint32_t count = 0;
    for (uint32_t i = 0; i < folder->file_count; i++)
        if (!str_equal(folder->files[i].path, path))
            files[count++] = folder->files[i];
    files[count++] = (struct programme_file){path, text};
    enum status status = programme_folder_of(files, count, folder->zones, out, f);
    mem_free(files);
    return status;
}

enum status programme_folder_of(const struct programme_file *files, uint32_t count,
                                struct str zones, struct programme_folder *out, struct fault *f)
{
    folder_init(out, zones);
    struct collector c = {.folder = out, .f = f};
    enum status status = OK;
    for (uint32_t i = 0; i < count && status == OK; i++)
        status = file_add(&c, files[i].path, files[i].text);
    if (status == OK)
        status = folder_finish(out, f);
    if (status != OK)
        programme_folder_fini(out);
    return status;
}

const struct programme_file *programme_folder_find(const struct programme_folder *folder,
                                                   struct str path)
{
    uint32_t low = 0, high = folder->file_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = str_order(folder->files[middle].path, path);
        if (order == 0)
            return &folder->files[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- storing --------------------------------------------------------------------------------- */

/* ROOT/HASH/NAME into out. */
static enum status stored_path(char *out, const char *root, const char *hash, const char *name,
                               struct fault *f)
{
    char folder[OS_PATH_BYTES];
    if (os_path_join(folder, sizeof(folder), root, hash) &&
        os_path_join(out, OS_PATH_BYTES, folder, name))
        return OK;
    fault_set(f, "the path %s/%s is too long", root, hash);
    return FIX_INPUT;
}

static enum status file_store(struct os_disk *disk, const char *files,
                              const struct programme_file *file, struct fault *f)
{
    char path[OS_PATH_BYTES];
    char folder[OS_PATH_BYTES];
    if (!os_path_join(path, sizeof(path), files, file->path.at) ||
        !os_path_dir(folder, sizeof(folder), path)) {
        fault_set(f, "the path %s/%.*s is too long", files, STR_ARG(file->path));
        return FIX_INPUT;
    }
    enum status status = os_make_dirs(disk, folder, f);
    return status == OK ? os_write_whole(disk, path, file->text, f) : status;
}

enum status programme_store(struct os_disk *disk, const char *root,
                            const struct programme_folder *folder, struct fault *f)
{
    char files[OS_PATH_BYTES];
    char zones[OS_PATH_BYTES];
    enum status status = stored_path(files, root, folder->hash, "files", f);
    if (status == OK)
        status = stored_path(zones, root, folder->hash, "zones", f);
    if (status != OK)
        return status;
    if (os_exists(disk, zones))
        return OK;
    status = os_make_dirs(disk, files, f);
    for (uint32_t i = 0; i < folder->file_count && status == OK; i++)
        status = file_store(disk, files, &folder->files[i], f);
    if (status == OK)
        status = os_write_whole(disk, zones, folder->zones, f);
    if (status == OK)
        status = os_sync_dir(disk, root, f);
    return status;
}

static enum status recall_parts(struct os_disk *disk, const char *root, const char *hash,
                                struct programme_folder *out, struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct buf zones;
    buf_init(&zones);
    enum status status = stored_path(path, root, hash, "zones", f);
    if (status == OK)
        status = os_read_whole(disk, path, ZONES_BYTES_MAX, &zones, f);
    folder_init(out, buf_str(&zones));
    buf_fini(&zones);
    if (status == OK)
        status = stored_path(path, root, hash, "files", f);
    struct collector c = {.disk = disk, .folder = out, .f = f};
    if (status == OK)
        status = folder_walk(&c, path, STR(""), 0);
    if (status == OK)
        status = folder_finish(out, f);
    return status;
}

enum status programme_recall(struct os_disk *disk, const char *root, const char *hash,
                             struct programme_folder *out, struct fault *f)
{
    enum status status = recall_parts(disk, root, hash, out, f);
    if (status == OK && strcmp(out->hash, hash) == 0)
        return OK;
    if (status == OK)
        fault_set(f, "the stored programme %s is damaged: its content is that of %s", hash,
                  out->hash);
    fault_prefix(f, "programme %s: ", hash);
    programme_folder_fini(out);
    return GIVE_UP;
}

/* ---- zone data ------------------------------------------------------------------------------- */

struct zoneinfo {
    struct os_disk *disk;
    const char *root;
};

static enum status zone_read(void *context, struct str name, struct buf *out, struct fault *f)
{
    const struct zoneinfo *info = context;
    char path[OS_PATH_BYTES];
    char relative[ZONE_NAME_BYTES + 1];
    if (!str_to_z(name, relative, sizeof(relative)) ||
        !os_path_join(path, sizeof(path), info->root, relative)) {
        fault_set(f, "the zone name %.*s is too long", STR_ARG(name));
        return FIX_INPUT;
    }
    return os_read_whole(info->disk, path, ZONE_FILE_BYTES, out, f);
}

enum status programme_zones(struct os_disk *disk, const char *zoneinfo, struct buf *out,
                            struct fault *f)
{
    struct zoneinfo info = {disk, zoneinfo ? zoneinfo : "/usr/share/zoneinfo"};
    char path[OS_PATH_BYTES];
    if (!os_path_join(path, sizeof(path), info.root, "tzdata.zi")) {
        fault_set(f, "the path %s is too long", info.root);
        return FIX_INPUT;
    }
    struct buf listing;
    buf_init(&listing);
    struct zoneset *set = NULL;
    enum status status = os_read_whole(disk, path, (size_t)1 << 20, &listing, f);
    if (status == OK)
        status = zoneset_build_listed(buf_str(&listing), zone_read, &info, &set, f);
    if (status == OK)
        zoneset_write(set, out);
    else
        fault_prefix(f, "zone data (install the package tzdata): ");
    zoneset_free(set);
    buf_fini(&listing);
    return status;
}
