/* fail.c - loaded before `wend` by the tests of tests/crash (LD_PRELOAD): one call to the system fails.
 *
 *     WEND_FAIL_BELOW   the folder: calls on what is below it are counted
 *     WEND_FAIL_TRACE   a file: gets a line "CALL PATH" for each counted call, PATH below the folder, and
 *                       "failed CALL PATH" for the one that fails
 *     WEND_FAIL_CALL    which call fails: open, pread, pwrite, truncate, reserve, sync, sync_dir, rename,
 *                       remove, make_dir
 *     WEND_FAIL_FILE    a pattern (fnmatch) of the paths that it fails for
 *     WEND_FAIL_NTH     the first, second, ... of them; -1, -2, ...: that one and all behind it
 *     WEND_FAIL_HOW     EIO, ENOSPC; short: a pwrite writes half and says so; torn: it writes half and fails;
 *                       lost: a sync fails with EIO, and what was written since the one before is gone
 *     WEND_FAIL_MEMORY  the number of the allocation that fails, from 1; with 0 they are only counted
 *     WEND_FAIL_SPARED  a function of a library: what is allocated below it does not fail; the next one
 *                       that is not does
 *
 * When the process exits in order, the trace gets a line "allocations N". What names of calls mean is what
 * lib/os/disk.c does: that is where all of Wend's come from. An allocation is one of malloc, calloc, realloc,
 * aligned_alloc and posix_memalign, by whichever library, and an anonymous mmap by Wend itself. Behind the
 * one that failed, and behind "failed signal N" where the process ends by a fault of memory, come lines
 * "by FILE OFFSET": who called, the innermost first (`addr2line -f -e FILE OFFSET`).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX  4096
#define PATH_BYTES 256
#define FRAMES_MAX 32

/* glibc's own: dlsym() allocates, and what is kept here is not counted. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);

#define next(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

enum how { NOT, EIO_NOW, ENOSPC_NOW, SHORT, TORN, LOST };

static struct {
    const char *below;
    size_t below_bytes;
    const char *call;
    const char *file;
    long nth;
    enum how how;
    int trace; /* -1: none */
    bool counts_memory;
    long memory_nth;
    const char *spared;
} orders = {.trace = -1};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long hits;                         /* under the lock */
static char paths[FILES_MAX][PATH_BYTES]; /* of open files below the folder; "" for others */
static atomic_long allocations;
static atomic_bool has_refused;

static void tell(const char *what, const char *call, const char *path)
{
    char line[PATH_BYTES + 64];
    int bytes = snprintf(line, sizeof(line), "%s%s %s\n", what, call, path);
    if (orders.trace >= 0 && bytes > 0)
        (void)!write(orders.trace, line, (size_t)bytes);
}

/* Who called the caller of this. Allocates nothing but the first time. */
static void tell_callers(void)
{
    void *frames[FRAMES_MAX];
    int n = backtrace(frames, FRAMES_MAX);
    for (int i = 2; i < n; i++) {
        Dl_info of;
        char offset[32];
        if (dladdr(frames[i], &of) == 0)
            continue;
        snprintf(offset, sizeof(offset), "%#lx",
                 (unsigned long)((char *)frames[i] - 1 - (char *)of.dli_fbase));
        tell("by ", of.dli_fname, offset);
    }
}

/* The signal is raised again when this returns, and then ends the process. */
static void tell_signal(int number)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", number);
    tell("failed ", "signal", text);
    tell_callers();
}

__attribute__((constructor)) static void read_orders(void)
{
    const char *trace = getenv("WEND_FAIL_TRACE");
    const char *how = getenv("WEND_FAIL_HOW");
    const char *nth = getenv("WEND_FAIL_NTH");
    const char *memory = getenv("WEND_FAIL_MEMORY");
    if (trace != NULL)
        orders.trace = next(open)(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    orders.call = getenv("WEND_FAIL_CALL");
    orders.file = getenv("WEND_FAIL_FILE");
    orders.nth = nth == NULL ? 0 : atol(nth);
    if (how != NULL)
        orders.how = strcmp(how, "EIO") == 0      ? EIO_NOW
                     : strcmp(how, "ENOSPC") == 0 ? ENOSPC_NOW
                     : strcmp(how, "short") == 0  ? SHORT
                     : strcmp(how, "torn") == 0   ? TORN
                     : strcmp(how, "lost") == 0   ? LOST
                                                  : NOT;
    if (memory != NULL) {
        struct sigaction once = {.sa_handler = tell_signal, .sa_flags = (int)SA_RESETHAND};
        void *first[1];
        (void)backtrace(first, 1); /* loads what it needs */
        sigaction(SIGSEGV, &once, NULL);
        sigaction(SIGBUS, &once, NULL);
    }
    orders.spared = getenv("WEND_FAIL_SPARED");
    orders.counts_memory = memory != NULL;
    orders.memory_nth = memory == NULL ? 0 : atol(memory);
    const char *below = getenv("WEND_FAIL_BELOW");
    orders.below_bytes = below == NULL ? 0 : strlen(below);
    orders.below = below; /* last: from here on calls are counted */
}

__attribute__((destructor)) static void tell_allocations(void)
{
    char number[32];
    snprintf(number, sizeof(number), "%ld", atomic_load(&allocations));
    if (orders.counts_memory)
        tell("", "allocations", number);
}

/* What of the path is below the folder, or NULL. */
static const char *below(const char *path)
{
    if (orders.below == NULL || strncmp(path, orders.below, orders.below_bytes) != 0)
        return NULL;
    path += orders.below_bytes;
    while (*path == '/')
        path++;
    return *path == 0 ? "." : path;
}

static const char *path_of(int fd)
{
    return fd >= 0 && fd < FILES_MAX && paths[fd][0] != 0 ? paths[fd] : NULL;
}

/* Whether this call is the one; NULL paths are nobody's. */
static enum how is_due(const char *call, const char *path)
{
    if (path == NULL)
        return NOT;
    tell("", call, path);
    if (orders.how == NOT || orders.call == NULL || strcmp(orders.call, call) != 0 ||
        (orders.file != NULL && fnmatch(orders.file, path, 0) != 0))
        return NOT;
    pthread_mutex_lock(&lock);
    bool is_it = ++hits == orders.nth || (orders.nth < 0 && hits >= -orders.nth);
    pthread_mutex_unlock(&lock);
    if (is_it)
        tell("failed ", call, path);
    return is_it ? orders.how : NOT;
}

static int error_of(enum how how)
{
    return how == ENOSPC_NOW ? ENOSPC : EIO;
}

/* ---- what a sync that fails loses ---------------------------------------------------------------- */

struct overwritten {
    struct overwritten *before;
    int fd;
    off_t offset;
    size_t bytes;
    unsigned char was[];
};

static struct overwritten *newest; /* under the lock */

static void keep_what_was(int fd, size_t bytes, off_t offset)
{
    struct overwritten *o = __libc_calloc(1, sizeof(*o) + bytes);
    o->fd = fd;
    o->offset = offset;
    o->bytes = bytes;
    (void)!next(pread)(fd, o->was, bytes, offset);
    pthread_mutex_lock(&lock);
    o->before = newest;
    newest = o;
    pthread_mutex_unlock(&lock);
}

/* Ends what is kept of the file; puts it back if `is_lost`. */
static void forget_what_was(int fd, bool is_lost)
{
    pthread_mutex_lock(&lock);
    for (struct overwritten **at = &newest; *at != NULL;) {
        struct overwritten *o = *at;
        if (o->fd != fd) {
            at = &o->before;
            continue;
        }
        if (is_lost)
            (void)!next(pwrite)(fd, o->was, o->bytes, o->offset);
        *at = o->before;
        free(o);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- files --------------------------------------------------------------------------------------- */

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    const char *name = below(path);
    enum how how = is_due("open", name);
    if (how != NOT) {
        errno = error_of(how);
        return -1;
    }
    int fd = next(open)(path, flags, mode);
    if (fd >= 0 && fd < FILES_MAX)
        snprintf(paths[fd], PATH_BYTES, "%s", name == NULL ? "" : name);
    return fd;
}

int close(int fd)
{
    if (fd >= 0 && fd < FILES_MAX) {
        paths[fd][0] = 0;
        forget_what_was(fd, false);
    }
    return next(close)(fd);
}

ssize_t pread(int fd, void *at, size_t bytes, off_t offset)
{
    enum how how = is_due("pread", path_of(fd));
    if (how == NOT)
        return next(pread)(fd, at, bytes, offset);
    errno = error_of(how);
    return -1;
}

ssize_t pwrite(int fd, const void *at, size_t bytes, off_t offset)
{
    enum how how = is_due("pwrite", path_of(fd));
    if (how == NOT && orders.how == LOST && path_of(fd) != NULL)
        keep_what_was(fd, bytes, offset);
    if (how == NOT)
        return next(pwrite)(fd, at, bytes, offset);
    if ((how == SHORT || how == TORN) && bytes > 1) {
        ssize_t done = next(pwrite)(fd, at, bytes / 2, offset);
        if (how == SHORT)
            return done;
    }
    errno = error_of(how);
    return -1;
}

int ftruncate(int fd, off_t bytes)
{
    enum how how = is_due("truncate", path_of(fd));
    if (how == NOT)
        return next(ftruncate)(fd, bytes);
    errno = error_of(how);
    return -1;
}

int posix_fallocate(int fd, off_t offset, off_t bytes)
{
    enum how how = is_due("reserve", path_of(fd));
    return how == NOT ? next(posix_fallocate)(fd, offset, bytes) : error_of(how);
}

int fdatasync(int fd)
{
    enum how how = is_due("sync", path_of(fd));
    forget_what_was(fd, how == LOST);
    if (how == NOT)
        return next(fdatasync)(fd);
    errno = error_of(how);
    return -1;
}

int fsync(int fd)
{
    enum how how = is_due("sync_dir", path_of(fd));
    if (how == NOT)
        return next(fsync)(fd);
    errno = error_of(how);
    return -1;
}

int rename(const char *from, const char *to)
{
    enum how how = is_due("rename", below(to));
    if (how == NOT)
        return next(rename)(from, to);
    errno = error_of(how);
    return -1;
}

int unlink(const char *path)
{
    enum how how = is_due("remove", below(path));
    if (how == NOT)
        return next(unlink)(path);
    errno = error_of(how);
    return -1;
}

int mkdir(const char *path, mode_t mode)
{
    enum how how = is_due("make_dir", below(path));
    if (how == NOT)
        return next(mkdir)(path, mode);
    errno = error_of(how);
    return -1;
}

/* ---- memory -------------------------------------------------------------------------------------- */

/* Whether the caller of the caller is below the function that is spared. */
static bool is_spared(void)
{
    void *frames[FRAMES_MAX];
    Dl_info of;
    int n = orders.spared == NULL ? 0 : backtrace(frames, FRAMES_MAX);
    for (int i = 2; i < n; i++)
        if (dladdr(frames[i], &of) != 0 && of.dli_sname != NULL &&
            strcmp(of.dli_sname, orders.spared) == 0)
            return true;
    return false;
}

static bool is_refused(void)
{
    if (!orders.counts_memory || atomic_fetch_add(&allocations, 1) + 1 < orders.memory_nth ||
        orders.memory_nth == 0 || atomic_load(&has_refused))
        return false;
    if (is_spared() || atomic_exchange(&has_refused, true))
        return false;
    tell("failed ", "allocation", "");
    tell_callers();
    return true;
}

static void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t bytes)
{
    return is_refused() ? refuse() : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return is_refused() ? refuse() : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    return is_refused() ? refuse() : __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t align, size_t bytes)
{
    return is_refused() ? refuse() : __libc_memalign(align, bytes);
}

int posix_memalign(void **out, size_t align, size_t bytes)
{
    *out = is_refused() ? NULL : __libc_memalign(align, bytes);
    return *out == NULL ? ENOMEM : 0;
}

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if ((flags & MAP_ANONYMOUS) != 0 && is_refused()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return next(mmap)(at, bytes, protection, flags, fd, offset);
}
