/* mischief.c - loaded before `wend serve` by run.py (LD_PRELOAD): the machine's clock jumps and its disk
 * fails when files in $WEND_MISCHIEF say so.
 *
 *     $WEND_MISCHIEF/clock   seconds that the real clock is ahead, as text
 *     $WEND_MISCHIEF/disk    while it is there, fdatasync() fails with EIO
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int open_order(const char *name)
{
    char path[1024];
    const char *folder = getenv("WEND_MISCHIEF");
    if (folder == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, out);
    int fd = clock == CLOCK_REALTIME ? open_order("clock") : -1;
    if (fd >= 0) {
        char text[32] = {0};
        if (read(fd, text, sizeof(text) - 1) > 0)
            out->tv_sec += atol(text);
        close(fd);
    }
    return result;
}

int fdatasync(int file)
{
    static int (*real)(int);
    if (real == NULL)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int fd = open_order("disk");
    if (fd < 0)
        return real(file);
    close(fd);
    errno = EIO;
    return -1;
}
