/* file.h - files and folders, on any disk (os/disk.h says what the statuses mean).
 *
 * Paths are NUL-terminated and at most OS_PATH_BYTES long. Nothing here is durable before a sync:
 * the content of a file by os_file_sync(), its name by os_sync_dir() of the folder it is in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "os/disk.h"

/* Opens `path`. On OK the caller owns *file and ends it with os_file_close(). */
enum status os_file_open(struct os_disk *disk, const char *path, enum os_open how,
                         struct os_file **file, struct fault *f) mustuse;

/* Gives the file (and its lock) back; NULL is fine. Does not sync. */
void os_file_close(struct os_file *file);

/* Reads exactly `bytes` bytes from `offset`; a file that ends before is GIVE_UP. */
enum status os_file_read(struct os_file *file, uint64_t offset, void *at, size_t bytes,
                         struct fault *f) mustuse;

/* Reads up to `bytes` bytes from `offset`; *got_bytes is less only at the end of the file. */
enum status os_file_read_some(struct os_file *file, uint64_t offset, void *at, size_t bytes,
                              size_t *got_bytes, struct fault *f) mustuse;

/* Writes all of the bytes at `offset`. After any failure some of them may be there. */
enum status os_file_write(struct os_file *file, uint64_t offset, const void *at, size_t bytes,
                          struct fault *f) mustuse;

/* Makes everything written to the file durable (fdatasync). After a failure nobody knows what is:
 * the status is GIVE_UP and the file must not be written on. */
enum status os_file_sync(struct os_file *file, struct fault *f) mustuse;

/* Makes the file exactly `bytes` bytes long; new bytes are zero. */
enum status os_file_truncate(struct os_file *file, uint64_t bytes, struct fault *f) mustuse;

/* Reserves room so that the file is at least `bytes` bytes long and writing within it cannot meet a
 * full disk; new bytes are zero. */
enum status os_file_preallocate(struct os_file *file, uint64_t bytes, struct fault *f) mustuse;

/* How long the file is now. */
enum status os_file_size(struct os_file *file, uint64_t *bytes, struct fault *f) mustuse;

/* Takes the exclusive lock of the file, until it is closed or the process ends. TRY_AGAIN when
 * another open file holds it. */
enum status os_file_lock(struct os_file *file, struct fault *f) mustuse;

/* The first `bytes` bytes (at least 1, at most the file's size) as read-only memory, good until
 * os_file_unmap() even after the file is closed. What is written later may or may not be seen; the
 * file must not be made shorter meanwhile. */
enum status os_file_map(struct os_file *file, size_t bytes, const void **at,
                        struct fault *f) mustuse;
void os_file_unmap(struct os_disk *disk, const void *at, size_t bytes);

/* What is at `path`; OS_ABSENT is an answer and not a failure. */
enum status os_stat(struct os_disk *disk, const char *path, struct os_stat *out,
                    struct fault *f) mustuse;

/* True if something is at `path` and could be asked about. Where "nothing" has consequences: os_look(). */
bool os_exists(struct os_disk *disk, const char *path);

/* Whether something is at `path`. What cannot be asked about is an error and not "nothing". */
enum status os_look(struct os_disk *disk, const char *path, bool *is_there,
                    struct fault *f) mustuse;

/* Gives `from` the name `to`, replacing a file of that name, atomically. */
enum status os_rename(struct os_disk *disk, const char *from, const char *to,
                      struct fault *f) mustuse;

/* Removes a file or an empty folder; FIX_INPUT if it is not there. */
enum status os_remove(struct os_disk *disk, const char *path, struct fault *f) mustuse;

/* Removes `path` and everything below it; OK if it is not there. Does not follow links. */
enum status os_remove_tree(struct os_disk *disk, const char *path, struct fault *f) mustuse;

/* Makes the folder and those above it, durably; OK if they are there. */
enum status os_make_dirs(struct os_disk *disk, const char *path, struct fault *f) mustuse;

/* Makes the names in the folder durable. */
enum status os_sync_dir(struct os_disk *disk, const char *path, struct fault *f) mustuse;

struct os_entry {
    struct str name; /* NUL-terminated beyond len */
    enum os_kind kind;
};

/* What is in the folder, by bytewise order of the names; memory is the arena's. */
enum status os_list(struct os_disk *disk, const char *path, struct arena *a,
                    struct os_entry **entries, uint32_t *count, struct fault *f) mustuse;

/* Appends the whole file to `out`. FIX_INPUT when it is not there or longer than `bytes_max`. */
enum status os_read_whole(struct os_disk *disk, const char *path, size_t bytes_max, struct buf *out,
                          struct fault *f) mustuse;

/* Replaces the file's content atomically and durably: "<path>.tmp" is written and synced, renamed
 * over `path`, and the folder synced. After a failure or a crash the old content or the new is
 * there, never a mixture. */
enum status os_write_whole(struct os_disk *disk, const char *path, struct str content,
                           struct fault *f) mustuse;

/* "dir/name" into out; false (out is empty then) when it does not fit. */
bool os_path_join(char *out, size_t out_bytes, const char *dir, const char *name) mustuse;

/* The folder part of `path` ("." if it has none, "/" for a name in the root); false as above. */
bool os_path_dir(char *out, size_t out_bytes, const char *path) mustuse;
