/* index.h - from a 128-bit key to two words: open addressing with linear probing, at most 13 sixteenths
 * full, deletion by moving back. The order of entries depends only on the keys, but for keys with equal
 * halves, never on addresses.
 *
 * Each key has a rank, 64 bits that are made of the key alone, and a place, the upper half of it: a number below
 * INDEX_END. Its home is the slot as far into the table as the place is into all places. Entries stand by
 * ascending ranks, each at its home or, where others are in the way, right behind them:
 *
 *     place   0 ................... INDEX_END
 *     homes   [ 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 ]  and a few slots more, for what those before have pushed on
 *     slots   [ . | a   b | . | . | c   d   e ]  a search ends at an empty slot, or at a larger rank
 *
 * A table grows by an eighth of its homes (a small one to twice), where it stands: its slots are in pages of 16
 * KiB, and more of them are put behind the last. With more homes each entry's home is the same or further on, so that
 * those of the last places go to their new homes first, into room that is empty, and so on down to the first ones. A
 * large table does so a little with each index_add(): from `moved` on places have the new homes, below it the old
 * ones. Homes ascend with places all the while, so that nothing else changes. No addition takes longer because
 * there are many entries, no more memory is taken than what stays, and a walk goes on where it was although the
 * table has grown meanwhile (index_visit).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/hash.h"
#include "store/pages.h"

struct index_entry {
    struct id128 key; /* all zero = empty */
    uint64_t first;
    uint64_t second;
};

#define INDEX_PAGE_BITS  9
#define INDEX_PAGE_SLOTS (1u << INDEX_PAGE_BITS)

struct index {
    struct index_entry *
        *list; /* the slots, INDEX_PAGE_SLOTS at each; at the first fewer if it is alone */
    uint32_t slot_count;   /* the last one is empty */
    uint32_t homes;        /* of places from `moved` on */
    uint32_t homes_before; /* of those below */
    uint32_t list_room;
    uint64_t moved; /* 0 unless it is growing */
    uint32_t count;
    struct pages *pages; /* where whole pages come from; NULL = by themselves */
};

#define INDEX_END (UINT64_C(1) << 32)

static inline uint64_t index_rank(struct id128 key)
{
    return key.low * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t index_place(struct id128 key)
{
    return index_rank(key) >> 32;
}

void index_init(struct index *x);

/* The same, with whole pages out of `pages` (kept until index_fini; may be NULL). */
void index_init_in(struct index *x, struct pages *pages);
void index_fini(struct index *x);

/* The entry of `key`, or NULL. Good until the next index_add or index_drop. */
struct index_entry *index_find(const struct index *x, struct id128 key);

/* The entry of `key`, made (with zeros) if there is none. `key` is set. */
struct index_entry *index_add(struct index *x, struct id128 key) mustuse;

/* Filling an index whose entries mostly come by ascending ranks, as a walk gives them. Zeros at first. */
struct index_filling {
    uint64_t behind; /* the slot behind the entry of the largest rank */
    uint64_t rank;   /* that one's */
};

/* index_add(), next to nothing where the key is the largest so far and room was reserved. Nothing else is put into the
 * index meanwhile, or taken out of it; there was nothing in it at first. */
struct index_entry *index_fill(struct index *x, struct index_filling *f, struct id128 key) mustuse;

/* False if there was none. */
bool index_drop(struct index *x, struct id128 key);

/* Makes an empty index large enough for `count` entries. */
void index_reserve(struct index *x, uint32_t count);

/* All entries, whatever their order: those of these slots whose key is set. index_drop() moves entries of later
 * slots to this one or between. */
static inline uint32_t index_slot_count(const struct index *x)
{
    return x->slot_count;
}

static inline struct index_entry *index_at(const struct index *x, uint64_t i)
{
    return &x->list[i >> INDEX_PAGE_BITS][i & (INDEX_PAGE_SLOTS - 1)];
}

static inline const struct index_entry *index_slot(const struct index *x, uint32_t i)
{
    must(i < x->slot_count);
    return index_at(x, i);
}

/* What it takes: slots, and the list of pages. */
static inline uint64_t index_bytes(const struct index *x)
{
    return (uint64_t)x->slot_count * sizeof(struct index_entry) + x->list_room * sizeof(x->list[0]);
}

static inline uint64_t index_home(const struct index *x, uint64_t place)
{
    return place * (place < x->moved ? x->homes_before : x->homes) >> 32;
}

/* A walk in pieces, between which entries come, change and go. *place is 0 at first, and INDEX_END at the end.
 * A call hands the entries of a slot's places to `one`, which does not change the index, and moves *place
 * behind them: an entry was visited if its index_place() is below *place, and its turn is still to come if
 * not. */
void index_visit(const struct index *x, uint64_t *place, void *self,
                 void (*one)(void *self, const struct index_entry *entry));

/* What may be visited `slots` slots behind `place`: to be asked for ahead. Never NULL if there are entries. */
static inline const struct index_entry *index_ahead(const struct index *x, uint64_t place,
                                                    uint32_t slots)
{
    return index_at(x, min_of(index_home(x, place) + slots, x->slot_count - UINT64_C(1)));
}

/* Asks the memory for the slot of `key`, so that a later find does not wait for it. */
static inline void index_prefetch(const struct index *x, struct id128 key)
{
    if (x->slot_count) {
        const struct index_entry *home = index_at(x, index_home(x, index_place(key)));
        prefetch(home);
        prefetch(home + 2); /* where the search goes on */
    }
}
