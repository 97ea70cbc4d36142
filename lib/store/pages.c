/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pages.h"

#include <string.h>

void pages_init(struct pages *p)
{
    *p = (struct pages){0};
}

void pages_fini(struct pages *p)
{
    for (uint32_t i = 0; i < p->region_count; i++)
        mem_free_region(p->regions[i], PAGES_REGION);
    mem_free(p->regions);
    *p = (struct pages){0};
}

static size_t block_bytes(uint32_t class)
{
    return PAGES_BLOCK_MIN << class;
}

static uint32_t class_of(size_t bytes)
{
    uint32_t class = 0;
    while (block_bytes(class) < bytes)
        class ++;
    return class;
}

static size_t region_bytes(size_t bytes)
{
    return (bytes + PAGES_REGION - 1) & ~(PAGES_REGION - 1);
}

static void put(struct pages *p, uint32_t class, void *at, bool is_zeroed)
{
    struct pages_block *block = at;
    block->next = p->free[class];
    block->is_zeroed = is_zeroed;
    p->free[class] = block;
    p->free_bytes += block_bytes(class);
}

static void *pop(struct pages *p, uint32_t class, bool *is_zeroed)
{
    struct pages_block *block = p->free[class];
    p->free[class] = block->next;
    p->free_bytes -= block_bytes(class);
    *is_zeroed = block->is_zeroed;
    return block;
}

static void *keep_region(struct pages *p, void *region)
{
    if (p->region_count == p->region_room) {
        p->region_room = p->region_room ? p->region_room * 2 : 4;
        p->regions = mem_resize(p->regions, p->region_room * sizeof(p->regions[0]));
    }
    return p->regions[p->region_count++] = region;
}

/* Halves a block of class `from` until it is one of class `to`; the upper halves become free. */
static void *halve(struct pages *p, uint8_t *at, uint32_t from, uint32_t to, bool is_zeroed)
{
    while (from > to) {
        from--;
        put(p, from, at + block_bytes(from), is_zeroed);
    }
    return at;
}

void *pages_take(struct pages *p, size_t bytes)
{
    must(bytes >= 1);
    if (bytes > PAGES_REGION)
        return mem_new_region(region_bytes(bytes));
    uint32_t class = class_of(bytes), from = class;
    while (from < PAGES_CLASSES && p->free[from] == NULL)
        from++;
    bool is_zeroed = true;
    void *at = from < PAGES_CLASSES ? pop(p, from, &is_zeroed)
                                    : keep_region(p, mem_new_region(PAGES_REGION));
    at = halve(p, at, min_of(from, (uint32_t)PAGES_CLASSES - 1), class, is_zeroed);
    /* What the system has just given need not be gone through. */
    return memset(at, 0, is_zeroed ? sizeof(struct pages_block) : block_bytes(class));
}

void pages_give(struct pages *p, void *at, size_t bytes)
{
    if (bytes > PAGES_REGION)
        mem_free_region(at, region_bytes(bytes));
    else
        put(p, class_of(bytes), at, false);
}

void pages_join(struct pages *p, struct pages *other)
{
    for (uint32_t i = 0; i < other->region_count; i++)
        (void)keep_region(p, other->regions[i]);
    for (uint32_t class = 0; class < PAGES_CLASSES; class ++)
        while (other->free[class] != NULL) {
            bool is_zeroed;
            void *at = pop(other, class, &is_zeroed);
            put(p, class, at, is_zeroed);
        }
    must(other->free_bytes == 0);
    mem_free(other->regions);
    *other = (struct pages){0};
}
