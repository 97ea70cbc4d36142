/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

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
