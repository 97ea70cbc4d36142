/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

struct arena_block {
    struct arena_block *older;
    size_t bytes; /* room in data */
    size_t used;
    size_t pad; /* keeps data aligned to 16 */
    char data[];
};

struct arena_end {
    struct arena_end *older;
    void (*end)(void *what);
    void *what;
};

_Static_assert(sizeof(struct arena_block) % 16 == 0, "blocks hand out aligned memory");

void arena_init(struct arena *a, size_t block_bytes)
{
    must(block_bytes >= 256);
    *a = (struct arena){.block_bytes = block_bytes};
}

static void drop_blocks(struct arena *a, struct arena_block *keep)
{
    struct arena_block *b = a->block;
    while (b != NULL) {
        struct arena_block *older = b->older;
        if (b != keep) {
            a->total_bytes -= b->bytes;
            mem_free(b);
        }
        b = older;
    }
    a->block = keep;
}

static void run_ends(struct arena *a)
{
    while (a->ends != NULL) {
        struct arena_end *last = a->ends;
        a->ends = last->older;
        last->end(last->what);
    }
}

void arena_at_end(struct arena *a, void (*end)(void *what), void *what)
{
    struct arena_end *last = arena_new(a, struct arena_end);
    *last = (struct arena_end){a->ends, end, what};
    a->ends = last;
}

void arena_fini(struct arena *a)
{
    run_ends(a);
    drop_blocks(a, NULL);
}

void arena_reset(struct arena *a)
{
    run_ends(a);
    struct arena_block *largest = a->block;
    if (largest == NULL)
        return;
    if (largest->older != NULL) {
        for (struct arena_block *b = a->block; b != NULL; b = b->older)
            if (b->bytes > largest->bytes)
                largest = b;
        drop_blocks(a, largest);
        largest->older = NULL;
    }
    largest->used = 0;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    size_t rounded = (bytes + 15) & ~(size_t)15;
    must(rounded >= bytes);
    struct arena_block *b = a->block;
    if (b == NULL || b->bytes - b->used < rounded) {
        size_t room = max_of(a->block_bytes, rounded);
        b = mem_resize(NULL, sizeof(*b) + room);
        *b = (struct arena_block){.older = a->block, .bytes = room};
        a->block = b;
        a->total_bytes += room;
    }
    void *at = b->data + b->used;
    b->used += rounded;
    return at;
}

void *arena_zalloc(struct arena *a, size_t bytes)
{
    return memset(arena_alloc(a, bytes), 0, bytes);
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *at = arena_alloc(a, s.len + 1);
    if (s.len)
        memcpy(at, s.at, s.len);
    at[s.len] = '\0';
    return (struct str){at, s.len};
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    must(len >= 0);
    char *at = arena_alloc(a, (size_t)len + 1);
    vsnprintf(at, (size_t)len + 1, format, again);
    va_end(again);
    return (struct str){at, (size_t)len};
}
