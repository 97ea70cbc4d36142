/* space.h - one partition's memory: objects of any size in 32 KiB chunks, named by a 32-bit reference.
 *
 *     ref = chunk << 12 | unit        a unit is 8 bytes, a chunk has 4,096 of them; ref 0 = nothing
 *
 *     chunk 0  [ -- | profile     | traits  | instances | free 48 | profile ... ]
 *     chunk 1  [ ledger | traits      | ...                                     ]
 *
 * References, not pointers: they survive growth, are half the size, and mean the same after a
 * snapshot. Sizes are rounded up to classes (8 to 256 by 8, then eight to a doubling, a sixteenth is
 * lost on average); freed objects go to their class's list and are reused newest first.
 * The caller remembers an object's size and gives it back with it. The first chunks are smaller, so
 * that a small space stays small.
 *
 * Whoever writes to an object gets its address from space_touch(), whoever reads from space_at().
 * Chunks never move: an address is good until its object is freed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <string.h>

#include "store/pages.h"

#define SPACE_CHUNK_BYTES 32768
#define SPACE_OBJECT_MAX  32768 /* bytes in one object: a whole chunk, but the first */
#define SPACE_UNIT_BYTES  8
#define SPACE_UNIT_BITS   12 /* of a reference */
#define SPACE_CLASSES     88

struct space_chunk {
    uint8_t *at;
    uint32_t units;
};

struct space {
    struct space_chunk *chunks;
    uint32_t chunk_count;
    uint32_t chunk_room;
    uint32_t used_units;          /* of the newest chunk */
    uint32_t free[SPACE_CLASSES]; /* first free object of each class */
    uint64_t bytes;               /* taken from the system */
    uint64_t live_bytes;          /* allocated and not freed, rounded to classes */
    struct pages *pages;          /* where whole chunks come from; NULL = by themselves */
};

void space_init(struct space *s);

/* The same, with chunks of full size out of `pages` (kept until space_fini; may be NULL). */
void space_init_in(struct space *s, struct pages *pages);
void space_fini(struct space *s);

/* A zeroed object of `bytes` bytes, 1 to SPACE_OBJECT_MAX. Never 0. */
uint32_t space_alloc(struct space *s, uint32_t bytes) mustuse;

/* Ends the object. `bytes` is what it was allocated with; ref 0 is fine. */
void space_free(struct space *s, uint32_t ref, uint32_t bytes);

/* The object at *ref, of `bytes` bytes, becomes as `what`, which may be the object itself: made where *ref is 0. NULL:
 * it ends, and *ref is 0. */
void space_put(struct space *s, uint32_t *ref, const void *what, uint32_t bytes);

/* The size that `bytes` is rounded up to: growing within it costs nothing. */
uint32_t space_rounded(uint32_t bytes);

static inline const void *space_at(const struct space *s, uint32_t ref)
{
    must(ref >> SPACE_UNIT_BITS < s->chunk_count);
    return s->chunks[ref >> SPACE_UNIT_BITS].at +
           (size_t)(ref & ((1u << SPACE_UNIT_BITS) - 1)) * SPACE_UNIT_BYTES;
}

static inline void *space_touch(struct space *s, uint32_t ref)
{
    must(ref >> SPACE_UNIT_BITS < s->chunk_count);
    return s->chunks[ref >> SPACE_UNIT_BITS].at +
           (size_t)(ref & ((1u << SPACE_UNIT_BITS) - 1)) * SPACE_UNIT_BYTES;
}

/* Bytes taken from the system. */
uint64_t space_bytes(const struct space *s);

/* ---- a list of equal elements in a space ------------------------------------------------------- */

struct vec {
    uint32_t ref; /* 0 = empty */
    uint16_t count;
    uint16_t room;
};

/* An empty list with `count` zeroed elements, 1 or more that are at most UINT16_MAX and take at most SPACE_OBJECT_MAX
 * bytes: no larger than it has to be. */
void vec_make(struct space *s, struct vec *v, uint32_t count, uint32_t element_bytes);

/* Element i, which exists. */
static inline const void *vec_at(const struct space *s, const struct vec *v, uint32_t i,
                                 uint32_t element_bytes)
{
    must(i < v->count);
    return (const uint8_t *)space_at(s, v->ref) + (size_t)i * element_bytes;
}

static inline void *vec_touch(struct space *s, const struct vec *v, uint32_t i,
                              uint32_t element_bytes)
{
    must(i < v->count);
    return (uint8_t *)space_touch(s, v->ref) + (size_t)i * element_bytes;
}

/* A new zeroed element at the end; addresses of others are no longer good. NULL if the list would
 * exceed SPACE_OBJECT_MAX bytes. */
void *vec_push(struct space *s, struct vec *v, uint32_t element_bytes) mustuse;

/* Where the element with that key is, or would be, in a list by ascending keys: each element's first
 * four bytes. Nothing to foretell wrongly: the halves are chosen, not jumped to. */
static inline uint32_t vec_place(const struct space *s, const struct vec *v, uint32_t key,
                                 uint32_t element_bytes)
{
    if (v->count == 0)
        return 0;
    const uint8_t *const first = space_at(s, v->ref), *at = first;
    for (uint32_t count = v->count; count > 1;) {
        uint32_t half = count / 2, x;
        const uint8_t *middle = at + (size_t)half * element_bytes;
        memcpy(&x, middle - element_bytes, sizeof(x));
        at = x < key ? middle : at;
        count -= half;
    }
    uint32_t x;
    memcpy(&x, at, sizeof(x));
    return (uint32_t)((size_t)(at - first) / element_bytes) + (x < key);
}

/* Drops element i; later ones move down. */
void vec_drop(struct space *s, struct vec *v, uint32_t i, uint32_t element_bytes);

/* Drops all and gives the memory back. */
void vec_clear(struct space *s, struct vec *v, uint32_t element_bytes);

/* ---- bytes of varying length in a space -------------------------------------------------------- */

struct blob {
    uint32_t ref; /* 0 = empty */
    uint32_t bytes;
};

static inline const uint8_t *blob_at(const struct space *s, struct blob b)
{
    return b.ref ? (const uint8_t *)space_at(s, b.ref) : NULL;
}

/* Makes the blob a copy of `bytes` bytes at `at` (at most SPACE_OBJECT_MAX; 0 empties it). `at` may
 * not point into the blob. */
void blob_set(struct space *s, struct blob *b, const void *at, uint32_t bytes);
