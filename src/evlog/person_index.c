/* The index of a sealed segment: in which packs somebody is, and when each pack was.
 *
 *     payload   packs │ buckets │ entries
 *
 * An entry is the upper half of an identifier's (or a profile's) hash, and a pack; ordered, by the hash's
 * first bits in buckets of about 64. Two people may share a hash: who asks looks at the records.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/mem.h"
#include "evlog/sealed_int.h"

#define BUCKET_ENTRIES 64

struct entry {
    uint32_t hash;
    uint32_t pack;
};

struct person_index_writer {
    struct pack_place *packs;
    uint32_t pack_count, pack_room;
    struct entry *entries;
    uint32_t count, room;
};

struct person_index_writer *person_index_writer_new(void)
{
    return mem_new(sizeof(struct person_index_writer));
}

void person_index_writer_free(struct person_index_writer *w)
{
    if (w == NULL)
        return;
    mem_free(w->packs);
    mem_free(w->entries);
    mem_free(w);
}

void person_index_add_pack(struct person_index_writer *w, const struct pack_place *place)
{
    if (w->pack_count == w->pack_room) {
        w->pack_room = max_of(w->pack_room * 2, 64u);
        w->packs = mem_resize(w->packs, w->pack_room * sizeof(*w->packs));
    }
    w->packs[w->pack_count++] = *place;
}

static uint32_t hash_of(struct id128 owner)
{
    return (uint32_t)(hash_pair(owner.high, owner.low) >> 32);
}

struct id128 person_index_profile(uint64_t profile)
{
    return (struct id128){0, profile};
}

void person_index_add_owner(struct person_index_writer *w, struct id128 owner)
{
    if (w->count == w->room) {
        w->room = max_of(w->room * 2, 4096u);
        w->entries = mem_resize(w->entries, w->room * sizeof(*w->entries));
    }
    /* The pack is added behind its people, when it is known where it is. */
    w->entries[w->count++] = (struct entry){hash_of(owner), w->pack_count};
}

static int by_hash(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->pack < y->pack ? -1 : x->pack > y->pack;
}

static void put_packs(const struct person_index_writer *w, struct buf *out)
{
    struct pack_place before = {0};
    buf_add_varint(out, w->pack_count);
    for (uint32_t i = 0; i < w->pack_count; i++) {
        const struct pack_place *p = &w->packs[i];
        buf_add_varint(out, p->offset - before.offset);
        buf_add_varint(out, p->batch_first);
        buf_add_varint(out, p->batch_last - p->batch_first);
        buf_add_zigzag(out, (int64_t)((uint64_t)p->first_ms - (uint64_t)before.last_ms));
        buf_add_zigzag(out, (int64_t)((uint64_t)p->last_ms - (uint64_t)p->first_ms));
        before = *p;
    }
}

void person_index_finish(struct person_index_writer *w, struct buf *out)
{
    struct buf entries;
    uint32_t bits = 0, next = 0;
    put_packs(w, out);
    if (w->count > 0)
        qsort(w->entries, w->count, sizeof(*w->entries), by_hash);
    while (bits < 20 && (w->count >> bits) > BUCKET_ENTRIES)
        bits++;
    buf_add_byte(out, (uint8_t)bits);
    buf_init(&entries);
    for (uint64_t bucket = 0; bucket < UINT64_C(1) << bits; bucket++) {
        uint64_t end = (bucket + 1) << (32 - bits), hash = bucket << (32 - bits);
        buf_add_u32(out, (uint32_t)entries.len);
        for (; next < w->count && w->entries[next].hash < end; next++) {
            const struct entry *e = &w->entries[next];
            if (next > 0 && by_hash(e, e - 1) == 0)
                continue;
            buf_add_varint(&entries, e->hash - hash);
            buf_add_varint(&entries, e->pack);
            hash = e->hash;
        }
    }
    buf_add_u32(out, (uint32_t)entries.len);
    buf_add_str(out, buf_str(&entries));
    buf_fini(&entries);
}

bool person_index_open(struct person_index_reader *r, struct str payload, struct arena *a)
{
    struct cursor c = cursor_of(payload.at, payload.len);
    struct pack_place before = {0};
    *r = (struct person_index_reader){0};
    uint64_t count = cursor_varint(&c);
    if (c.is_bad || count > payload.len)
        return false;
    r->packs = arena_array(a, struct pack_place, count + 1);
    r->pack_count = (uint32_t)count;
    for (uint32_t i = 0; i < r->pack_count; i++) {
        struct pack_place *p = &r->packs[i];
        p->offset = before.offset + cursor_varint(&c);
        p->batch_first = cursor_varint(&c);
        p->batch_last = p->batch_first + cursor_varint(&c);
        p->first_ms = (int64_t)((uint64_t)before.last_ms + (uint64_t)cursor_zigzag(&c));
        p->last_ms = (int64_t)((uint64_t)p->first_ms + (uint64_t)cursor_zigzag(&c));
        before = *p;
    }
    r->bucket_bits = cursor_byte(&c);
    if (c.is_bad || r->bucket_bits > 20)
        return false;
    struct str buckets = cursor_take(&c, ((size_t)1 << r->bucket_bits) * 4 + 4);
    r->buckets = (const uint8_t *)buckets.at;
    r->entries = c.at;
    r->entry_bytes = cursor_left(&c);
    return !c.is_bad;
}

static uint32_t bucket_at(const struct person_index_reader *r, uint32_t bucket)
{
    uint32_t at;
    memcpy(&at, r->buckets + (size_t)bucket * 4, sizeof(at));
    return at;
}

void person_index_find(const struct person_index_reader *r, struct id128 owner, bool *packs)
{
    uint32_t wanted = hash_of(owner);
    uint32_t bucket = r->bucket_bits == 0 ? 0 : wanted >> (32 - r->bucket_bits);
    size_t from = bucket_at(r, bucket), end = bucket_at(r, bucket + 1);
    if (from > end || end > r->entry_bytes)
        return;
    struct cursor c = cursor_of(r->entries + from, end - from);
    uint64_t hash = r->bucket_bits == 0 ? 0 : (uint64_t)bucket << (32 - r->bucket_bits);
    while (cursor_left(&c) > 0 && hash <= wanted) {
        hash += cursor_varint(&c);
        uint64_t pack = cursor_varint(&c);
        if (c.is_bad)
            return;
        if (hash == wanted && pack < r->pack_count)
            packs[pack] = true;
    }
}
