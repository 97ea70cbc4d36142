/* pages.h - large blocks for what a store holds, out of memory that the kernel may map with huge pages.
 *
 * A store of a million people is read here and there, and with pages of 4 KiB nearly every reading
 * first has to find its page: a walk through tables that are not in the cache either. Pages of 2 MiB
 * save that, but the kernel gives them only to memory that is aligned, in one piece, and asked for. So
 * blocks of 16 KiB to 2 MiB are cut out of regions of 2 MiB:
 *
 *     region   [ 16 | 16 | 32 K | 64 K  | 128 K  | 256 K     | 512 K            | 1 M             ]
 *
 * A block is a power of two. It is taken from the list of its size, or else half of the next larger
 * block. What is given back goes to its list; halves are not joined again, for stores grow: when one
 * partition's table of message ids has doubled, the old one becomes a few chunks of others. Blocks above 2 MiB are
 * regions of their own.
 *
 * Nothing depends on whether there are huge pages: where the kernel has none to give (or none are
 * allowed: /sys/kernel/mm/transparent_hugepage/enabled) it is common memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/mem.h"

#define PAGES_BLOCK_MIN ((size_t)16 << 10)
#define PAGES_REGION    MEM_REGION_BYTES
#define PAGES_CLASSES   8 /* 16 KiB, 32 KiB, ... 2 MiB */

struct pages_block {
    struct pages_block *next;
    bool is_zeroed; /* but for this */
};

struct pages {
    struct pages_block *free[PAGES_CLASSES]; /* blocks of 16 KiB << class */
    void **regions;
    uint32_t region_count;
    uint32_t region_room;
    uint64_t free_bytes; /* of all blocks that are free */
};

void pages_init(struct pages *p);

/* Ends all blocks of up to 2 MiB; larger ones must have been given back. */
void pages_fini(struct pages *p);

/* A zeroed block of `bytes` bytes, rounded up to a power of two and to 16 KiB; aligned to its size up
 * to 2 MiB. It stays where it is until pages_give(). */
void *pages_take(struct pages *p, size_t bytes) mustuse;

/* Takes back what pages_take() gave for as many bytes. */
void pages_give(struct pages *p, void *at, size_t bytes);

/* Takes over all that `other` has, which is empty then. What `other` gave stays where it is, and is given back
 * here. For what is filled by more than one thread: each takes from its own. */
void pages_join(struct pages *p, struct pages *other);
