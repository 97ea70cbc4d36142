/* SPDX-License-Identifier: Apache-2.0 */
#include "os/random.h"

#include <errno.h>
#include <sys/random.h>

void os_random(void *at, size_t bytes)
{
    uint8_t *out = at;
    while (bytes > 0) {
        ssize_t got = getrandom(out, bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        must(got > 0);
        out += got;
        bytes -= (size_t)got;
    }
}

uint64_t os_random_u64(void)
{
    uint64_t x;
    os_random(&x, sizeof(x));
    return x;
}
