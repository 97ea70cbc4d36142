/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *mem_new(size_t bytes)
{
    void *at = calloc(1, bytes ? bytes : 1);
    must(at != NULL);
    return at;
}

void *mem_resize(void *old, size_t bytes)
{
    void *at = realloc(old, bytes ? bytes : 1);
    must(at != NULL);
    return at;
}

void *mem_new_aligned(size_t align, size_t bytes)
{
    must(align >= 16);
    must((align & (align - 1)) == 0);
    size_t rounded = (bytes + align - 1) & ~(align - 1);
    void *at = aligned_alloc(align, rounded ? rounded : align);
    must(at != NULL);
    memset(at, 0, rounded);
    return at;
}

void mem_free(void *at)
{
    free(at);
}

void *mem_new_region(size_t bytes)
{
    must(bytes > 0);
    must(bytes % MEM_REGION_BYTES == 0);
    /* One region more than wanted, so that an aligned one is in it; the rest goes back. */
    uint8_t *all = mmap(NULL, bytes + MEM_REGION_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(all != MAP_FAILED);
    size_t before = -(uintptr_t)all & (MEM_REGION_BYTES - 1);
    if (before > 0)
        must(munmap(all, before) == 0);
    must(munmap(all + before + bytes, MEM_REGION_BYTES - before) == 0);
    (void)madvise(all + before, bytes, MADV_HUGEPAGE); /* where there are none: common pages */
    return all + before;
}

void mem_free_region(void *at, size_t bytes)
{
    must(bytes % MEM_REGION_BYTES == 0);
    if (at != NULL)
        must(munmap(at, bytes) == 0);
}
