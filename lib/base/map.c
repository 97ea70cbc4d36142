/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/mem.h"

#define SLOTS_MIN 16

/* A table of `slot_count` slots holds at most this many entries. */
static uint32_t entries_that_fit(uint32_t slot_count)
{
    return slot_count / 4 * 3;
}

/* The array of entries, grown so that one more fits. */
static void *grow_entries(void *entries, uint32_t count, uint32_t *entries_max, size_t entry_bytes)
{
    must(count < MAP_ENTRIES_MAX);
    if (count < *entries_max)
        return entries;
    *entries_max = *entries_max ? *entries_max * 2 : 12;
    return mem_resize(entries, *entries_max * entry_bytes);
}

/* A fresh table of twice as many slots, all free; the old one is gone. */
static uint32_t *grow_slots(uint32_t *slots, uint32_t *slot_count)
{
    mem_free(slots);
    *slot_count = *slot_count ? *slot_count * 2 : SLOTS_MIN;
    return mem_new((size_t)*slot_count * sizeof(uint32_t));
}

/* Notes entry `index` in the first free slot from where its hash points. */
static void slot_put(uint32_t *slots, uint32_t slot_count, uint32_t hash, uint32_t index)
{
    uint32_t mask = slot_count - 1;
    uint32_t at = hash & mask;
    while (slots[at] != 0)
        at = (at + 1) & mask;
    slots[at] = index + 1;
}

void map_str_init(struct map_str *m, struct arena *keys)
{
    *m = (struct map_str){.keys = keys};
}

void map_str_fini(struct map_str *m)
{
    mem_free(m->entries);
    mem_free(m->slots);
    *m = (struct map_str){.keys = m->keys};
}

void map_str_reset(struct map_str *m)
{
    if (m->count)
        memset(m->slots, 0, (size_t)m->slot_count * sizeof(uint32_t));
    m->count = 0;
}

static uint32_t hash_of_str(struct str key)
{
    return (uint32_t)hash_str(key, 0);
}

static struct map_str_entry *str_entry(const struct map_str *m, struct str key, uint32_t hash)
{
    if (m->count == 0)
        return NULL;
    uint32_t mask = m->slot_count - 1;
    for (uint32_t at = hash & mask; m->slots[at] != 0; at = (at + 1) & mask) {
        struct map_str_entry *e = &m->entries[m->slots[at] - 1];
        if (e->hash == hash && str_equal(e->key, key))
            return e;
    }
    return NULL;
}

static void str_add(struct map_str *m, struct str key, uint32_t hash, uint32_t value)
{
    if (m->count == entries_that_fit(m->slot_count)) {
        m->slots = grow_slots(m->slots, &m->slot_count);
        for (uint32_t i = 0; i < m->count; i++)
            slot_put(m->slots, m->slot_count, m->entries[i].hash, i);
    }
    m->entries = grow_entries(m->entries, m->count, &m->entries_max, sizeof(m->entries[0]));
    m->entries[m->count] =
        (struct map_str_entry){.key = arena_copy(m->keys, key), .hash = hash, .value = value};
    slot_put(m->slots, m->slot_count, hash, m->count);
    m->count++;
}

uint32_t map_str_find(const struct map_str *m, struct str key)
{
    const struct map_str_entry *e = str_entry(m, key, hash_of_str(key));
    return e ? e->value : MAP_NONE;
}

void map_str_set(struct map_str *m, struct str key, uint32_t value)
{
    must(value != MAP_NONE);
    uint32_t hash = hash_of_str(key);
    struct map_str_entry *e = str_entry(m, key, hash);
    if (e != NULL)
        e->value = value;
    else
        str_add(m, key, hash, value);
}

uint32_t map_str_intern(struct map_str *m, struct str key)
{
    uint32_t hash = hash_of_str(key);
    const struct map_str_entry *e = str_entry(m, key, hash);
    if (e != NULL)
        return e->value;
    str_add(m, key, hash, m->count);
    return m->count - 1;
}

/* The claims about slots that both maps share: a power of two, room to spare, each entry named by
 * exactly one slot. */
static void check_slots(const uint32_t *slots, uint32_t slot_count, uint32_t count)
{
    must((slot_count & (slot_count - 1)) == 0);
    must(count <= entries_that_fit(slot_count));
    uint32_t taken = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < slot_count; i++) {
        must(slots[i] <= count);
        taken += slots[i] != 0;
        sum += slots[i];
    }
    must(taken == count);
    must(sum == (uint64_t)count * ((uint64_t)count + 1) / 2);
}

void map_str_check(const struct map_str *m)
{
    check_slots(m->slots, m->slot_count, m->count);
    must(m->count <= m->entries_max);
    for (uint32_t i = 0; i < m->count; i++) {
        must(m->entries[i].value != MAP_NONE);
        must(m->entries[i].hash == hash_of_str(m->entries[i].key));
        must(str_entry(m, m->entries[i].key, m->entries[i].hash) == &m->entries[i]);
    }
}

void map_u64_init(struct map_u64 *m)
{
    *m = (struct map_u64){0};
}

void map_u64_fini(struct map_u64 *m)
{
    mem_free(m->entries);
    mem_free(m->slots);
    *m = (struct map_u64){0};
}

void map_u64_reset(struct map_u64 *m)
{
    if (m->count)
        memset(m->slots, 0, (size_t)m->slot_count * sizeof(uint32_t));
    m->count = 0;
}

/* Ids are often consecutive or have their low bits alike: spread them. */
static uint32_t hash_of_u64(uint64_t key)
{
    key ^= key >> 32;
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(key >> 32);
}

/* The slot that names `key`, or the free one at which a search for it ends. Requires slots. */
static uint32_t u64_slot(const struct map_u64 *m, uint64_t key)
{
    uint32_t mask = m->slot_count - 1;
    uint32_t at = hash_of_u64(key) & mask;
    while (m->slots[at] != 0 && m->entries[m->slots[at] - 1].key != key)
        at = (at + 1) & mask;
    return at;
}

uint32_t map_u64_find(const struct map_u64 *m, uint64_t key)
{
    if (m->count == 0)
        return MAP_NONE;
    uint32_t at = u64_slot(m, key);
    return m->slots[at] ? m->entries[m->slots[at] - 1].value : MAP_NONE;
}

void map_u64_set(struct map_u64 *m, uint64_t key, uint32_t value)
{
    must(value != MAP_NONE);
    if (m->count > 0) {
        uint32_t at = u64_slot(m, key);
        if (m->slots[at] != 0) {
            m->entries[m->slots[at] - 1].value = value;
            return;
        }
    }
    if (m->count == entries_that_fit(m->slot_count)) {
        m->slots = grow_slots(m->slots, &m->slot_count);
        for (uint32_t i = 0; i < m->count; i++)
            slot_put(m->slots, m->slot_count, hash_of_u64(m->entries[i].key), i);
    }
    m->entries = grow_entries(m->entries, m->count, &m->entries_max, sizeof(m->entries[0]));
    m->entries[m->count] = (struct map_u64_entry){.key = key, .value = value};
    slot_put(m->slots, m->slot_count, hash_of_u64(key), m->count);
    m->count++;
}

/* Frees slot `hole` without breaking a search that passes over it: each later entry of the run that
 * may stand at the hole moves there and leaves a hole of its own. */
static void close_hole(struct map_u64 *m, uint32_t hole)
{
    uint32_t mask = m->slot_count - 1;
    for (uint32_t at = (hole + 1) & mask; m->slots[at] != 0; at = (at + 1) & mask) {
        uint32_t home = hash_of_u64(m->entries[m->slots[at] - 1].key) & mask;
        bool may_move = ((at - home) & mask) >= ((at - hole) & mask);
        if (may_move) {
            m->slots[hole] = m->slots[at];
            hole = at;
        }
    }
    m->slots[hole] = 0;
}

uint32_t map_u64_drop(struct map_u64 *m, uint64_t key)
{
    if (m->count == 0)
        return MAP_NONE;
    uint32_t at = u64_slot(m, key);
    if (m->slots[at] == 0)
        return MAP_NONE;
    uint32_t index = m->slots[at] - 1;
    uint32_t value = m->entries[index].value;
    uint32_t last = m->count - 1;
    /* The newest entry moves to `index`, so its slot must say so, before the hole moves slots. */
    m->slots[u64_slot(m, m->entries[last].key)] = index + 1;
    m->slots[at] = last + 1;
    struct map_u64_entry gone = m->entries[index];
    m->entries[index] = m->entries[last];
    m->entries[last] = gone;
    close_hole(m, at);
    m->count--;
    return value;
}

void map_u64_check(const struct map_u64 *m)
{
    check_slots(m->slots, m->slot_count, m->count);
    must(m->count <= m->entries_max);
    for (uint32_t i = 0; i < m->count; i++) {
        must(m->entries[i].value != MAP_NONE);
        must(m->slots[u64_slot(m, m->entries[i].key)] == i + 1);
    }
}
