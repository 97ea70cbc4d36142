/* SPDX-License-Identifier: Apache-2.0 */
#include "store/space.h"

#include <string.h>

#include "base/mem.h"

#define CHUNK_UNITS ((uint32_t)SPACE_CHUNK_BYTES / SPACE_UNIT_BYTES)

_Static_assert(CHUNK_UNITS == 1u << SPACE_UNIT_BITS, "a reference names each unit of a chunk");

/* The first chunks have 4 KiB, 8 and 16. */
#define SMALL_CHUNKS      3
#define SMALL_CHUNK_UNITS (CHUNK_UNITS >> SMALL_CHUNKS)

/* Classes 0..31 are 1..32 units; then eight to a doubling. */
#define EXACT_BITS 5
#define EXACT      (1u << EXACT_BITS)

static uint32_t class_of(uint32_t units)
{
    if (units <= EXACT)
        return units - 1;
    uint32_t top = 31 - (uint32_t)__builtin_clz(units - 1); /* units-1 in [2^top, 2^(top+1)) */
    uint32_t eighth = (units - 1) >> (top - 3);             /* 8..15 */
    return EXACT + (top - EXACT_BITS) * 8 + (eighth - 8);
}

static uint32_t units_of(uint32_t class)
{
    if (class < EXACT)
        return class + 1;
    uint32_t top = EXACT_BITS + (class - EXACT) / 8;
    uint32_t eighth = 8 + (class - EXACT) % 8;
    return (eighth + 1) << (top - 3);
}

static uint32_t units_for(uint32_t bytes)
{
    must(bytes >= 1);
    must(bytes <= SPACE_OBJECT_MAX);
    return (bytes + SPACE_UNIT_BYTES - 1) / SPACE_UNIT_BYTES;
}

void space_init(struct space *s)
{
    space_init_in(s, NULL);
}

void space_init_in(struct space *s, struct pages *pages)
{
    *s = (struct space){.pages = pages};
}

static bool is_of_pages(const struct space *s, uint32_t units)
{
    return s->pages != NULL && units == CHUNK_UNITS;
}

void space_fini(struct space *s)
{
    for (uint32_t i = 0; i < s->chunk_count; i++) {
        if (is_of_pages(s, s->chunks[i].units))
            pages_give(s->pages, s->chunks[i].at, SPACE_CHUNK_BYTES);
        else
            mem_free(s->chunks[i].at);
    }
    mem_free(s->chunks);
    *s = (struct space){0};
}

void space_put(struct space *s, uint32_t *ref, const void *what, uint32_t bytes)
{
    if (what == NULL) {
        space_free(s, *ref, bytes);
        *ref = 0;
        return;
    }
    if (*ref == 0)
        *ref = space_alloc(s, bytes);
    memmove(space_touch(s, *ref), what, bytes);
}

uint32_t space_rounded(uint32_t bytes)
{
    return units_of(class_of(units_for(bytes))) * SPACE_UNIT_BYTES;
}

/* A chunk in which there is room for so many units. */
static void add_chunk(struct space *s, uint32_t wanted)
{
    uint32_t units = CHUNK_UNITS;
    if (s->chunk_count < SMALL_CHUNKS && wanted < SMALL_CHUNK_UNITS << s->chunk_count)
        units = SMALL_CHUNK_UNITS << s->chunk_count;

    if (s->chunk_count == s->chunk_room) {
        s->chunk_room = s->chunk_room ? s->chunk_room * 2 : 4;
        s->chunks = mem_resize(s->chunks, s->chunk_room * sizeof(s->chunks[0]));
    }
    must(s->chunk_count < UINT32_C(1) << (32 - SPACE_UNIT_BITS));
    size_t bytes = (size_t)units * SPACE_UNIT_BYTES;
    void *at = is_of_pages(s, units) ? pages_take(s->pages, bytes) : mem_new(bytes);
    s->chunks[s->chunk_count++] = (struct space_chunk){.at = at, .units = units};
    s->bytes += bytes;
    s->used_units = s->chunk_count == 1 ? 1 : 0; /* ref 0 means nothing */
}

/* Units of the newest chunk that nothing has been put into. */
static uint32_t units_left(const struct space *s)
{
    return s->chunk_count ? s->chunks[s->chunk_count - 1].units - s->used_units : 0;
}

/* What is left of the newest chunk becomes free objects, largest class first. */
static void spend_rest(struct space *s)
{
    uint32_t left = units_left(s);
    while (left > 0) {
        uint32_t class = class_of(left);
        while (units_of(class) > left)
            class --;
        uint32_t ref = (s->chunk_count - 1) << SPACE_UNIT_BITS | s->used_units;
        *(uint32_t *)space_touch(s, ref) = s->free[class];
        s->free[class] = ref;
        s->used_units += units_of(class);
        left -= units_of(class);
    }
}

uint32_t space_alloc(struct space *s, uint32_t bytes)
{
    uint32_t class = class_of(units_for(bytes));
    must(class < SPACE_CLASSES);
    uint32_t units = units_of(class);
    s->live_bytes += units * SPACE_UNIT_BYTES;
    uint32_t ref = s->free[class];
    if (ref != 0) {
        uint32_t *object = space_touch(s, ref);
        s->free[class] = *object;
        memset(object, 0, (size_t)units * SPACE_UNIT_BYTES);
        return ref;
    }
    while (units_left(s) < units) { /* twice where the first chunk lacks its first unit */
        spend_rest(s);
        add_chunk(s, units);
    }
    ref = (s->chunk_count - 1) << SPACE_UNIT_BITS | s->used_units;
    s->used_units += units;
    return ref;
}

void space_free(struct space *s, uint32_t ref, uint32_t bytes)
{
    if (ref == 0)
        return;
    uint32_t class = class_of(units_for(bytes));
    uint64_t rounded = (uint64_t)units_of(class) * SPACE_UNIT_BYTES;
    must(s->live_bytes >= rounded);
    s->live_bytes -= rounded;
    *(uint32_t *)space_touch(s, ref) = s->free[class];
    s->free[class] = ref;
}

uint64_t space_bytes(const struct space *s)
{
    return s->bytes;
}

void vec_make(struct space *s, struct vec *v, uint32_t count, uint32_t element_bytes)
{
    must(v->ref == 0);
    must(count >= 1);
    must(count <= min_of(SPACE_OBJECT_MAX / element_bytes, (uint32_t)UINT16_MAX));
    uint32_t room = space_rounded(count * element_bytes) / element_bytes;
    v->room = (uint16_t)min_of(room, (uint32_t)UINT16_MAX);
    v->ref = space_alloc(s, v->room * element_bytes);
    v->count = (uint16_t)count;
}

void *vec_push(struct space *s, struct vec *v, uint32_t element_bytes)
{
    if (v->count == v->room) {
        uint64_t wanted = (uint64_t)v->room + v->room / 4 + 1;
        if (wanted * element_bytes > SPACE_OBJECT_MAX)
            wanted = SPACE_OBJECT_MAX / element_bytes;
        if (wanted > UINT16_MAX)
            wanted = UINT16_MAX;
        if (wanted <= v->room)
            return NULL;
        uint32_t bytes = space_rounded((uint32_t)wanted * element_bytes);
        uint32_t room = min_of(bytes / element_bytes, (uint32_t)UINT16_MAX);
        uint32_t ref = space_alloc(s, room * element_bytes);
        if (v->ref != 0) {
            memcpy(space_touch(s, ref), space_at(s, v->ref), (size_t)v->count * element_bytes);
            space_free(s, v->ref, (uint32_t)v->room * element_bytes);
        }
        v->ref = ref;
        v->room = (uint16_t)room;
    }
    v->count++;
    return memset(vec_touch(s, v, v->count - 1u, element_bytes), 0, element_bytes);
}

void vec_drop(struct space *s, struct vec *v, uint32_t i, uint32_t element_bytes)
{
    uint8_t *at = vec_touch(s, v, i, element_bytes);
    memmove(at, at + element_bytes, (size_t)(v->count - i - 1u) * element_bytes);
    v->count--;
    if (v->count == 0)
        vec_clear(s, v, element_bytes);
}

void vec_clear(struct space *s, struct vec *v, uint32_t element_bytes)
{
    if (v->ref != 0)
        space_free(s, v->ref, (uint32_t)v->room * element_bytes);
    *v = (struct vec){0};
}

void blob_set(struct space *s, struct blob *b, const void *at, uint32_t bytes)
{
    must(bytes <= SPACE_OBJECT_MAX);
    if (b->ref != 0 && (bytes == 0 || space_rounded(bytes) != space_rounded(b->bytes))) {
        space_free(s, b->ref, b->bytes);
        b->ref = 0;
    }
    if (bytes != 0) {
        if (b->ref == 0)
            b->ref = space_alloc(s, bytes);
        memcpy(space_touch(s, b->ref), at, bytes);
    }
    b->bytes = bytes;
}
