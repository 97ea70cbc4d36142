/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index.h"

#include "base/mem.h"

void index_init(struct index *x)
{
    index_init_in(x, NULL);
}

void index_init_in(struct index *x, struct pages *pages)
{
    *x = (struct index){.pages = pages};
}

static size_t slots_bytes(const struct index *x)
{
    return x->slot_count * sizeof(x->slots[0]);
}

static bool slots_are_of_pages(const struct index *x)
{
    return x->pages != NULL && slots_bytes(x) >= PAGES_BLOCK_MIN;
}

static void slots_free(struct index *x)
{
    if (slots_are_of_pages(x))
        pages_give(x->pages, x->slots, slots_bytes(x));
    else
        mem_free(x->slots);
}

void index_fini(struct index *x)
{
    slots_free(x);
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
    x->slots =
        slots_are_of_pages(x) ? pages_take(x->pages, slots_bytes(x)) : mem_new(slots_bytes(x));
    for (uint32_t i = 0; i < old.slot_count; i++)
        if (id128_is_set(old.slots[i].key))
            x->slots[slot_of(x, old.slots[i].key)] = old.slots[i];
    slots_free(&old);
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
