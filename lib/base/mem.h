/* mem.h - the only door to malloc. Allocation does not return NULL: inputs are bounded at the door,
 * and where memory does run out the process stops and replays its log.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

#define MEM_REGION_BYTES ((size_t)2 << 20)

/* Zeroed memory of `bytes` bytes (at least 1 is allocated). The caller owns it; mem_free() ends it. */
void *mem_new(size_t bytes) mustuse;

/* Resizes what mem_new() gave (or NULL); new bytes are not zeroed. */
void *mem_resize(void *old, size_t bytes) mustuse;

/* Zeroed memory aligned to `align` (a power of two, at least 16). Ends with mem_free(). */
void *mem_new_aligned(size_t align, size_t bytes) mustuse;

/* Ends what mem_new() gave; NULL is fine. */
void mem_free(void *at);

/* Zeroed memory of `bytes` bytes, a multiple of 2 MiB and aligned to it, for which the kernel is asked to
 * use huge pages. Ends with mem_free_region() of as many bytes. */
void *mem_new_region(size_t bytes) mustuse;
void mem_free_region(void *at, size_t bytes);
