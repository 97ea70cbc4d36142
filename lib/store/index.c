/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index.h"

#include "base/mem.h"

void index_init(struct index *x)
{
    *x = (struct index){0};
}

void index_fini(struct index *x)
{
    mem_free(x->slots);
    *x = (struct index){0};
}

static uint32_t slot_of(const struct index *x, struct id128 key)
{
    uint32_t mask = x->slot_count - 1;
    uint32_t slot = (uint32_t)key.low & mask;
    while (id128_is_set(x->slots[slot].key) && !id128_equal(x->slots[slot].key, key))
        slot = (slot + 1) & mask;
    return slot;
}

struct index_entry *index_find(const struct index *x, struct id128 key)
{
    if (x->count == 0)
        return NULL;
    struct index_entry *e = &x->slots[slot_of(x, key)];
    return id128_is_set(e->key) ? e : NULL;
}

static void grow(struct index *x)
{
    struct index old = *x;
    x->slot_count = old.slot_count ? old.slot_count * 2 : 16;
    x->slots = mem_new(x->slot_count * sizeof(x->slots[0]));
    for (uint32_t i = 0; i < old.slot_count; i++)
        if (id128_is_set(old.slots[i].key))
            x->slots[slot_of(x, old.slots[i].key)] = old.slots[i];
    mem_free(old.slots);
}

struct index_entry *index_add(struct index *x, struct id128 key)
{
    must(id128_is_set(key));
    if (x->slot_count == 0 || (x->count + 1) * 4ull > x->slot_count * 3ull)
        grow(x);
    struct index_entry *e = &x->slots[slot_of(x, key)];
    if (!id128_is_set(e->key)) {
        *e = (struct index_entry){.key = key};
        x->count++;
    }
    return e;
}

bool index_drop(struct index *x, struct id128 key)
{
    struct index_entry *e = index_find(x, key);
    if (e == NULL)
        return false;
    uint32_t mask = x->slot_count - 1;
    uint32_t hole = (uint32_t)(e - x->slots);
    for (uint32_t next = (hole + 1) & mask; id128_is_set(x->slots[next].key);
         next = (next + 1) & mask) {
        uint32_t home = (uint32_t)x->slots[next].key.low & mask;
        /* May the entry at `next` stand in the hole? Yes unless its home lies after the hole. */
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            x->slots[hole] = x->slots[next];
            hole = next;
        }
    }
    x->slots[hole] = (struct index_entry){0};
    x->count--;
    return true;
}
