/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/directory.h"

#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "os/file.h"
#include "os/random.h"

#define SECRET_SUM_BYTES 4

void directory_secret(uint64_t seed, uint8_t secret[IDENTIFIER_SECRET_BYTES])
{
    for (uint32_t i = 0; i < IDENTIFIER_SECRET_BYTES; i++)
        secret[i] = (uint8_t)(hash_pair(seed, i) >> 13);
}

static enum status name_parts(struct os_disk *disk, const char *path, struct directory *d,
                              struct fault *f)
{
    *d = (struct directory){.disk = disk};
    if (!str_to_z(str_of(path), d->path, sizeof(d->path)) ||
        !os_path_join(d->log, sizeof(d->log), path, "log") ||
        !os_path_join(d->snapshots, sizeof(d->snapshots), path, "snapshots") ||
        !os_path_join(d->programmes, sizeof(d->programmes), path, "programmes") ||
        !os_path_join(d->backfills, sizeof(d->backfills), path, "backfills")) {
        fault_set(f, "the path of the data directory is too long: %s", path);
        return FIX_INPUT;
    }
    return OK;
}

/* The file `secret`: the bytes, and their checksum, which directories of earlier releases do not have. With
 * one bit of it changed everybody would be somebody new. */
static enum status read_secret(struct directory *d, struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct buf b;
    buf_init(&b);
    if (!os_path_join(path, sizeof(path), d->path, "secret"))
        return FIX_INPUT;
    enum status status = os_read_whole(d->disk, path, 4096, &b, f);
    if (status == OK && b.len != sizeof(d->secret) &&
        b.len != sizeof(d->secret) + SECRET_SUM_BYTES) {
        fault_set(f, "%s has %zu bytes instead of %zu: is this a data directory?", path, b.len,
                  sizeof(d->secret) + SECRET_SUM_BYTES);
        status = FIX_INPUT;
    }
    if (status == OK && b.len > sizeof(d->secret)) {
        struct cursor sum = cursor_of(b.at + sizeof(d->secret), SECRET_SUM_BYTES);
        if (cursor_u32(&sum) != hash_crc32c(0, b.at, sizeof(d->secret))) {
            fault_set(f, "%s is damaged: restore that file", path);
            status = GIVE_UP;
        }
    }
    if (status == OK)
        memcpy(d->secret, b.at, sizeof(d->secret));
    buf_fini(&b);
    return status;
}

enum status directory_open(struct os_disk *disk, const char *path, struct directory *out,
                           struct fault *f)
{
    enum status status = name_parts(disk, path, out, f);
    if (status != OK)
        return status;
    char secret[OS_PATH_BYTES];
    struct os_stat at = {.kind = OS_ABSENT};
    if (os_path_join(secret, sizeof(secret), path, "secret"))
        status = os_stat(disk, secret, &at, f);
    if (status != OK)
        return status;
    if (at.kind == OS_ABSENT) {
        fault_set(f,
                  "%s is not a data directory (it has no file \"secret\"); `wend serve` and "
                  "`wend run --data` make one",
                  path);
        return FIX_INPUT;
    }
    return read_secret(out, f);
}

/* Makes the folder's name durable: a run that failed may have made the folder, and not come to that. A folder above
 * that may not be looked into was not made by us. */
static enum status keep_name(struct os_disk *disk, const char *path, struct fault *f)
{
    char above[OS_PATH_BYTES];
    struct fault why = {0};
    must(os_path_dir(above, sizeof(above), path));
    enum status status = os_sync_dir(disk, above, &why);
    if (status == FIX_INPUT)
        return OK;
    if (status != OK)
        *f = why;
    return status;
}

enum status directory_make(struct os_disk *disk, const char *path, const uint8_t *secret,
                           struct directory *out, struct fault *f)
{
    char file[OS_PATH_BYTES];
    enum status status = name_parts(disk, path, out, f);
    if (status != OK)
        return status;
    if (!os_path_join(file, sizeof(file), path, "secret"))
        return FIX_INPUT;
    bool has_secret = false, has_log = false;
    status = os_look(disk, file, &has_secret, f);
    if (status == OK && has_secret)
        return read_secret(out, f);
    if (status == OK)
        status = os_look(disk, out->log, &has_log, f);
    if (status != OK)
        return status;
    if (has_log) {
        fault_set(f,
                  "%s has a log but no file \"secret\": restore that file, or choose another "
                  "directory",
                  path);
        return FIX_INPUT;
    }
    if (secret != NULL)
        memcpy(out->secret, secret, sizeof(out->secret));
    else
        os_random(out->secret, sizeof(out->secret));
    const char *const folders[] = {path, out->snapshots, out->programmes};
    for (uint32_t i = 0; i < array_count(folders); i++) {
        status = os_make_dirs(disk, folders[i], f);
        if (status != OK)
            return status;
    }
    status = keep_name(disk, path, f);
    if (status != OK)
        return status;
    struct buf b;
    buf_init(&b);
    buf_add(&b, out->secret, sizeof(out->secret));
    buf_add_u32(&b, hash_crc32c(0, out->secret, sizeof(out->secret)));
    status = os_write_whole(disk, file, buf_str(&b), f);
    buf_fini(&b);
    return status;
}
