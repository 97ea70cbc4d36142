/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index.h"

#include "base/mem.h"

#define AT_ONCE_SLOTS 2048 /* a smaller table is made anew in one go */
#define MOVED_SLOTS   4    /* of the old table, with each addition: more than come in meanwhile */

void index_init(struct index *x)
{
    index_init_in(x, NULL);
}

void index_init_in(struct index *x, struct pages *pages)
{
    *x = (struct index){.pages = pages, .moved = INDEX_END};
}

static size_t table_bytes(const struct index_table *t)
{
    return t->slot_count * sizeof(t->slots[0]);
}

static bool table_is_of_pages(const struct index *x, const struct index_table *t)
{
    return x->pages != NULL && table_bytes(t) >= PAGES_BLOCK_MIN;
}

static void table_make(struct index *x, struct index_table *t, uint32_t slot_count)
{
    t->slot_count = slot_count;
    t->slots =
        table_is_of_pages(x, t) ? pages_take(x->pages, table_bytes(t)) : mem_new(table_bytes(t));
}

static void table_free(struct index *x, struct index_table *t)
{
    if (table_is_of_pages(x, t))
        pages_give(x->pages, t->slots, table_bytes(t));
    else
        mem_free(t->slots);
    *t = (struct index_table){0};
}

void index_fini(struct index *x)
{
    table_free(x, &x->table);
    table_free(x, &x->old);
    *x = (struct index){.moved = INDEX_END};
}

static uint32_t home_of(const struct index_table *t, struct id128 key)
{
    return (uint32_t)(index_place(key) * t->slot_count >> 32);
}

/* Where the key's entry is, or would be. */
static struct index_entry *slot_of(const struct index_table *t, struct id128 key)
{
    uint32_t mask = t->slot_count - 1;
    uint32_t slot = home_of(t, key);
    while (id128_is_set(t->slots[slot].key) && !id128_equal(t->slots[slot].key, key))
        slot = (slot + 1) & mask;
    return &t->slots[slot];
}

static const struct index_table *table_of(const struct index *x, struct id128 key)
{
    return index_place(key) < x->moved ? &x->table : &x->old;
}

struct index_entry *index_find(const struct index *x, struct id128 key)
{
    if (x->count == 0)
        return NULL;
    struct index_entry *e = slot_of(table_of(x, key), key);
    return id128_is_set(e->key) ? e : NULL;
}

/* Empties a slot; what probing had moved over it moves back. */
static void vacate(const struct index_table *t, uint32_t hole)
{
    uint32_t mask = t->slot_count - 1;
    for (uint32_t next = (hole + 1) & mask; id128_is_set(t->slots[next].key);
         next = (next + 1) & mask) {
        uint32_t home = home_of(t, t->slots[next].key);
        /* May the entry at `next` stand in the hole? Yes unless its home lies after the hole. */
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            t->slots[hole] = t->slots[next];
            hole = next;
        }
    }
    t->slots[hole] = (struct index_entry){0};
}

/* The entries of the next few homes of the old table go to the new one. */
static void move_some(struct index *x, uint32_t homes)
{
    struct index_table *old = &x->old;
    uint32_t mask = old->slot_count - 1;
    for (; homes > 0 && x->moved < INDEX_END; homes--) {
        uint32_t home = (uint32_t)(x->moved * old->slot_count >> 32), at = home;
        while (id128_is_set(old->slots[at].key)) {
            if (home_of(old, old->slots[at].key) == home) {
                *slot_of(&x->table, old->slots[at].key) = old->slots[at];
                vacate(old, at);
            } else {
                at = (at + 1) & mask;
            }
        }
        x->moved = (home + UINT64_C(1)) * (INDEX_END / old->slot_count);
    }
    if (x->moved == INDEX_END)
        table_free(x, old);
}

static void grow(struct index *x)
{
    must(x->old.slot_count == 0); /* the last growth ended in time: see MOVED_SLOTS */
    must(x->table.slot_count <= INDEX_END / 4);
    x->old = x->table;
    table_make(x, &x->table, x->old.slot_count ? x->old.slot_count * 2 : 16);
    x->moved = x->old.slot_count == 0 ? INDEX_END : 0;
    if (x->old.slot_count < AT_ONCE_SLOTS)
        move_some(x, x->old.slot_count);
}

void index_reserve(struct index *x, uint32_t count)
{
    must(x->count == 0);
    uint64_t slot_count = 16;
    while (count * UINT64_C(4) > slot_count * 3)
        slot_count *= 2;
    must(slot_count <= INDEX_END / 2);
    if (count == 0 || x->table.slot_count >= slot_count)
        return;
    struct pages *pages = x->pages;
    index_fini(x);
    index_init_in(x, pages);
    table_make(x, &x->table, (uint32_t)slot_count);
}

struct index_entry *index_add(struct index *x, struct id128 key)
{
    must(id128_is_set(key));
    if (x->table.slot_count == 0 || (x->count + 1) * 4ull > x->table.slot_count * 3ull)
        grow(x);
    if (x->moved < INDEX_END)
        move_some(x, MOVED_SLOTS);
    struct index_entry *e = slot_of(table_of(x, key), key);
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
    const struct index_table *t = table_of(x, key);
    vacate(t, (uint32_t)(e - t->slots));
    x->count--;
    return true;
}

void index_visit(const struct index *x, uint64_t *place, void *self,
                 void (*one)(void *self, const struct index_entry *entry))
{
    must(*place < INDEX_END);
    const struct index_table *t = *place < x->moved ? &x->table : &x->old;
    if (t->slot_count == 0) {
        *place = INDEX_END;
        return;
    }
    uint32_t mask = t->slot_count - 1, home = (uint32_t)(*place * t->slot_count >> 32);
    uint64_t slot_places = INDEX_END / t->slot_count;
    must(*place % slot_places == 0);
    for (uint32_t at = home; id128_is_set(t->slots[at].key); at = (at + 1) & mask)
        if (home_of(t, t->slots[at].key) == home)
            one(self, &t->slots[at]);
    *place += slot_places;
}
