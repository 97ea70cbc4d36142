/* The real disk: one Linux call each, and the translation of errno into what to do next.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "os/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct real_file {
    struct os_file file;
    int fd;
};

static int fd_of(const struct os_file *file)
{
    return ((const struct real_file *)file)->fd;
}

static enum status status_of(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EAGAIN: return TRY_AGAIN;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ENOTEMPTY:
    case ENAMETOOLONG:
    case EINVAL:
    case ELOOP: return FIX_INPUT;
    default: return GIVE_UP;
    }
}

/* Notes "cannot <what> <path>: <reason>" and says what to do about `error`. */
static enum status refuse(struct fault *f, const char *what, const char *path, int error)
{
    char reason[128];
    fault_set(f, "cannot %s: %s", what, strerror_r(error, reason, sizeof(reason)));
    fault_place(f, path, 0, 0);
    return status_of(error);
}

static enum status real_open(struct os_disk *disk, const char *path, enum os_open how,
                             struct os_file **file, struct fault *f)
{
    int flags = O_CLOEXEC;
    switch (how) {
    case OS_READ: flags |= O_RDONLY; break;
    case OS_WRITE: flags |= O_RDWR; break;
    case OS_CREATE: flags |= O_RDWR | O_CREAT | O_TRUNC; break;
    case OS_CREATE_NEW: flags |= O_RDWR | O_CREAT | O_EXCL; break;
    case OS_KEEP: flags |= O_RDWR | O_CREAT; break;
    }
    int fd;
    do {
        fd = open(path, flags, 0600);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return refuse(f, "open", path, errno);

    struct stat st;
    if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        close(fd);
        return refuse(f, "open", path, EISDIR);
    }
    struct real_file *real = mem_new(sizeof(*real));
    real->file.disk = disk;
    real->file.path = mem_new(strlen(path) + 1);
    memcpy(real->file.path, path, strlen(path));
    real->fd = fd;
    *file = &real->file;
    return OK;
}

static void real_close(struct os_file *file)
{
    close(fd_of(file));
    mem_free(file->path);
    mem_free(file);
}

static enum status real_pread(struct os_file *file, uint64_t offset, void *at, size_t bytes,
                              size_t *got_bytes, struct fault *f)
{
    ssize_t got;
    do {
        got = pread(fd_of(file), at, bytes, (off_t)offset);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return refuse(f, "read", file->path, errno);
    *got_bytes = (size_t)got;
    return OK;
}

static enum status real_pwrite(struct os_file *file, uint64_t offset, const void *at, size_t bytes,
                               size_t *put_bytes, struct fault *f)
{
    ssize_t put;
    do {
        put = pwrite(fd_of(file), at, bytes, (off_t)offset);
    } while (put < 0 && errno == EINTR);
    if (put < 0)
        return refuse(f, "write", file->path, errno);
    *put_bytes = (size_t)put;
    return OK;
}

static enum status real_sync(struct os_file *file, struct fault *f)
{
    if (fdatasync(fd_of(file)) == 0)
        return OK;
    /* Whatever the reason: the kernel may have dropped what it could not write. */
    refuse(f, "sync", file->path, errno);
    return GIVE_UP;
}

static enum status real_truncate(struct os_file *file, uint64_t bytes, struct fault *f)
{
    if (ftruncate(fd_of(file), (off_t)bytes) != 0)
        return refuse(f, "set the size of", file->path, errno);
    return OK;
}

static enum status real_size(struct os_file *file, uint64_t *bytes, struct fault *f)
{
    struct stat st;
    if (fstat(fd_of(file), &st) != 0)
        return refuse(f, "ask the size of", file->path, errno);
    *bytes = (uint64_t)st.st_size;
    return OK;
}

static enum status real_preallocate(struct os_file *file, uint64_t bytes, struct fault *f)
{
    if (bytes == 0)
        return OK;
    int error = posix_fallocate(fd_of(file), 0, (off_t)bytes);
    if (error != 0)
        return refuse(f, "reserve room for", file->path, error);
    return OK;
}

static enum status real_lock(struct os_file *file, struct fault *f)
{
    int done;
    do {
        done = flock(fd_of(file), LOCK_EX | LOCK_NB);
    } while (done != 0 && errno == EINTR);
    if (done == 0)
        return OK;
    if (errno == EWOULDBLOCK) {
        fault_set(f, "another process has it open");
        fault_place(f, file->path, 0, 0);
        return TRY_AGAIN;
    }
    return refuse(f, "lock", file->path, errno);
}

static enum status real_map(struct os_file *file, size_t bytes, const void **at, struct fault *f)
{
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd_of(file), 0);
    if (map == MAP_FAILED)
        return refuse(f, "map", file->path, errno);
    *at = map;
    return OK;
}

static void real_unmap(struct os_disk *disk, const void *at, size_t bytes)
{
    (void)disk;
    must(munmap((void *)(uintptr_t)at, bytes) == 0);
}

static enum os_kind kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return OS_REGULAR;
    return S_ISDIR(mode) ? OS_DIRECTORY : OS_OTHER;
}

/* Does not follow a link at the end of the path when `flags` says so. */
static enum status stat_at(int folder, const char *path, int flags, struct os_stat *out,
                           struct fault *f)
{
    struct stat st;
    *out = (struct os_stat){0};
    if (fstatat(folder, path, &st, flags) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return OK;
        return refuse(f, "look at", path, errno);
    }
    out->kind = kind_of(st.st_mode);
    out->bytes = out->kind == OS_REGULAR ? (uint64_t)st.st_size : 0;
    return OK;
}

static enum status real_stat(struct os_disk *disk, const char *path, struct os_stat *out,
                             struct fault *f)
{
    (void)disk;
    return stat_at(AT_FDCWD, path, 0, out, f);
}

static enum status real_rename(struct os_disk *disk, const char *from, const char *to,
                               struct fault *f)
{
    (void)disk;
    if (rename(from, to) == 0)
        return OK;
    int error = errno;
    char reason[128];
    fault_set(f, "cannot rename: %s (to %s)", strerror_r(error, reason, sizeof(reason)), to);
    fault_place(f, from, 0, 0);
    return status_of(error);
}

static enum status real_remove(struct os_disk *disk, const char *path, struct fault *f)
{
    (void)disk;
    if (unlink(path) == 0)
        return OK;
    if ((errno == EISDIR || errno == EPERM) && rmdir(path) == 0)
        return OK;
    return refuse(f, "remove", path, errno);
}

static enum status real_make_dir(struct os_disk *disk, const char *path, struct fault *f)
{
    (void)disk;
    if (mkdir(path, 0700) != 0)
        return refuse(f, "make the folder", path, errno);
    return OK;
}

static enum status real_sync_dir(struct os_disk *disk, const char *path, struct fault *f)
{
    (void)disk;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return refuse(f, "open the folder", path, errno);
    enum status done = OK;
    if (fsync(fd) != 0) {
        refuse(f, "sync the folder", path, errno);
        done = GIVE_UP;
    }
    close(fd);
    return done;
}

static enum status real_list(struct os_disk *disk, const char *path, os_each_name *each,
                             void *context, struct fault *f)
{
    (void)disk;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return refuse(f, "list the folder", path, errno);
    enum status done = OK;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            if (errno != 0)
                done = refuse(f, "list the folder", path, errno);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        /* A link is "other" here, so that nobody walks through one while removing a tree. */
        struct os_stat st;
        done = stat_at(dirfd(dir), entry->d_name, AT_SYMLINK_NOFOLLOW, &st, f);
        if (done != OK)
            break;
        if (st.kind != OS_ABSENT)
            each(context, entry->d_name, st.kind);
    }
    closedir(dir);
    return done;
}

static const struct os_disk_ops real_ops = {
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pwrite = real_pwrite,
    .sync = real_sync,
    .truncate = real_truncate,
    .preallocate = real_preallocate,
    .size = real_size,
    .lock = real_lock,
    .map = real_map,
    .unmap = real_unmap,
    .stat = real_stat,
    .rename = real_rename,
    .remove = real_remove,
    .make_dir = real_make_dir,
    .sync_dir = real_sync_dir,
    .list = real_list,
};

struct os_disk *os_disk_real(void)
{
    static struct os_disk disk = {.ops = &real_ops};
    return &disk;
}
