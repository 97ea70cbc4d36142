/* SPDX-License-Identifier: Apache-2.0 */
#include "store/space.h"

#include <string.h>

#include "base/mem.h"

#define CHUNK_UNITS (SPACE_CHUNK_BYTES / SPACE_UNIT_BYTES)

/* Classes 0..7 are 1..8 units; then four to a doubling. */
static uint32_t class_of(uint32_t units)
{
    if (units <= 8)
        return units - 1;
    uint32_t top = 31 - (uint32_t)__builtin_clz(units - 1); /* units-1 in [2^top, 2^(top+1)) */
    uint32_t quarter = (units - 1) >> (top - 2);            /* 4..7 */
    return 8 + (top - 3) * 4 + (quarter - 4);
}

static uint32_t units_of(uint32_t class)
{
    if (class < 8)
        return class + 1;
    uint32_t top = 3 + (class - 8) / 4;
    uint32_t quarter = 4 + (class - 8) % 4;
    return (quarter + 1) << (top - 2);
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
    *s = (struct space){.mark = 1, .pages = pages};
}

/* The first chunk is common memory, of which the kernel gives what is used. */
static bool is_of_pages(const struct space *s, uint32_t chunk)
{
    return s->pages != NULL && chunk > 0;
}

void space_fini(struct space *s)
{
    for (uint32_t i = 0; i < s->chunk_count; i++) {
        if (is_of_pages(s, i))
            pages_give(s->pages, s->chunks[i].at, SPACE_CHUNK_BYTES);
        else
            mem_free(s->chunks[i].at);
    }
    mem_free(s->chunks);
    *s = (struct space){0};
}

uint32_t space_rounded(uint32_t bytes)
{
    return units_of(class_of(units_for(bytes))) * SPACE_UNIT_BYTES;
}

static void add_chunk(struct space *s)
{
    if (s->chunk_count == s->chunk_room) {
        s->chunk_room = s->chunk_room ? s->chunk_room * 2 : 4;
        s->chunks = mem_resize(s->chunks, s->chunk_room * sizeof(s->chunks[0]));
    }
    must(s->chunk_count < (1u << 20));
    void *at = is_of_pages(s, s->chunk_count) ? pages_take(s->pages, SPACE_CHUNK_BYTES)
                                              : mem_new(SPACE_CHUNK_BYTES);
    s->chunks[s->chunk_count++] = (struct space_chunk){.at = at, .touched = s->mark};
    s->used_units = s->chunk_count == 1 ? 1 : 0; /* ref 0 means nothing */
}

/* What is left of the newest chunk becomes free objects, largest class first. */
static void spend_rest(struct space *s)
{
    uint32_t left = s->chunk_count ? CHUNK_UNITS - s->used_units : 0;
    while (left > 0) {
        uint32_t class = class_of(left);
        while (units_of(class) > left)
            class --;
        uint32_t ref = (s->chunk_count - 1) << 12 | s->used_units;
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
    if (s->chunk_count == 0 || CHUNK_UNITS - s->used_units < units) {
        spend_rest(s);
        add_chunk(s);
    }
    ref = (s->chunk_count - 1) << 12 | s->used_units;
    s->used_units += units;
    space_touch(s, ref);
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
    return (uint64_t)s->chunk_count * SPACE_CHUNK_BYTES;
}

void *vec_push(struct space *s, struct vec *v, uint32_t element_bytes)
{
    if (v->count == v->room) {
        uint64_t wanted = v->room ? (uint64_t)v->room * 2 : 1;
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
