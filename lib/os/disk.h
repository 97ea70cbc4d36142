/* disk.h - the disk as a table of calls, so that a simulator can stand in for it.
 *
 * os_disk_real() is Linux; os/fake_disk.h is a disk in memory that fails, tears and crashes on
 * demand. Rooms above take a `struct os_disk *` and use the functions of os/file.h, which add what
 * the raw calls leave open: loops around short reads and writes, whole files, whole folders.
 *
 * What a status means, here and in os/file.h:
 *     TRY_AGAIN  the disk is full (or the quota, or the table of open files); someone else holds
 *                the lock. Making room helps.
 *     FIX_INPUT  no such file, it exists already, the path is not what was expected.
 *     GIVE_UP    the device failed, permission is missing, the file ends too early.
 * The fault names the path and the system's reason.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/fault.h"

#define OS_PATH_BYTES 1024 /* a path with its final NUL */

enum os_open {
    OS_READ,       /* must exist; reading only */
    OS_WRITE,      /* must exist; reading and writing */
    OS_CREATE,     /* reading and writing; made if absent, emptied if present */
    OS_CREATE_NEW, /* reading and writing; FIX_INPUT if present */
    OS_KEEP,       /* reading and writing; made if absent, content kept if present */
};

enum os_kind {
    OS_ABSENT = 0,
    OS_REGULAR,
    OS_DIRECTORY,
    OS_OTHER,
};

struct os_stat {
    enum os_kind kind;
    uint64_t bytes; /* of a regular file */
};

struct os_disk;

/* An open file. Each disk extends it; users see only this. */
struct os_file {
    struct os_disk *disk;
    char *path; /* for faults; lives as long as the file */
};

/* Called with each name in a directory ("." and ".." left out); the name is good for the call. */
typedef void os_each_name(void *context, const char *name, enum os_kind kind);

/* What a disk can do. Reads and writes may be short; os/file.h loops. */
struct os_disk_ops {
    enum status (*open)(struct os_disk *disk, const char *path, enum os_open how,
                        struct os_file **file, struct fault *f);
    void (*close)(struct os_file *file);
    enum status (*pread)(struct os_file *file, uint64_t offset, void *at, size_t bytes,
                         size_t *got_bytes, struct fault *f); /* 0 got = end of file */
    enum status (*pwrite)(struct os_file *file, uint64_t offset, const void *at, size_t bytes,
                          size_t *put_bytes, struct fault *f);
    enum status (*sync)(struct os_file *file, struct fault *f); /* fdatasync */
    enum status (*truncate)(struct os_file *file, uint64_t bytes, struct fault *f);
    enum status (*preallocate)(struct os_file *file, uint64_t bytes, struct fault *f);
    enum status (*size)(struct os_file *file, uint64_t *bytes, struct fault *f);
    enum status (*lock)(struct os_file *file, struct fault *f);
    enum status (*map)(struct os_file *file, size_t bytes, const void **at, struct fault *f);
    void (*unmap)(struct os_disk *disk, const void *at, size_t bytes);
    enum status (*stat)(struct os_disk *disk, const char *path, struct os_stat *out,
                        struct fault *f);
    enum status (*rename)(struct os_disk *disk, const char *from, const char *to, struct fault *f);
    enum status (*remove)(struct os_disk *disk, const char *path, struct fault *f);
    enum status (*make_dir)(struct os_disk *disk, const char *path, struct fault *f);
    enum status (*sync_dir)(struct os_disk *disk, const char *path, struct fault *f);
    enum status (*list)(struct os_disk *disk, const char *path, os_each_name *each, void *context,
                        struct fault *f);
};

struct os_disk {
    const struct os_disk_ops *ops;
};

/* The machine's own disk. Lives for ever; never written to. */
struct os_disk *os_disk_real(void);
