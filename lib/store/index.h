/* index.h - from a 128-bit key to two words: open addressing with linear probing, at most three
 * quarters full, deletion by moving back. The order of entries depends only on what was put in and
 * in which order, never on addresses.
 *
 * Each key has a place, a number below INDEX_END that is made of the key alone, and entries stand in a table
 * by ascending places, but for the few slots that probing moves them:
 *
 *     place   0 ............ INDEX_END          a table of 8 slots, and one of 16:
 *     slots   [ 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 ]
 *             [0|1|2|3|4|5|6|7|8|9| ...       ]
 *
 * So a table grows from its front to its end, and a walk goes on where it was although the table has grown
 * meanwhile (index_visit). A large one grows a little with each index_add(): below `moved` entries are in the
 * new table, from there on in the old one. No addition takes longer because there are many entries.
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

struct index_table {
    struct index_entry *slots;
    uint32_t slot_count; /* a power of two, or 0 */
};

struct index {
    struct index_table table;
    struct index_table old; /* which it is growing out of; none = it is not */
    uint64_t moved;         /* places below it are in `table`; INDEX_END unless it is growing */
    uint32_t count;
    struct pages *pages; /* where large tables come from; NULL = by themselves */
};

#define INDEX_END (UINT64_C(1) << 32)

static inline uint64_t index_place(struct id128 key)
{
    return key.low * UINT64_C(0x9e3779b97f4a7c15) >> 32;
}

void index_init(struct index *x);

/* The same, with a table out of `pages` (kept until index_fini; may be NULL) once it is a block's size. */
void index_init_in(struct index *x, struct pages *pages);
void index_fini(struct index *x);

/* The entry of `key`, or NULL. Good until the next index_add or index_drop. */
struct index_entry *index_find(const struct index *x, struct id128 key);

/* The entry of `key`, made (with zeros) if there is none. `key` is set. */
struct index_entry *index_add(struct index *x, struct id128 key) mustuse;

/* False if there was none. */
bool index_drop(struct index *x, struct id128 key);

/* Makes an empty index large enough for `count` entries. */
void index_reserve(struct index *x, uint32_t count);

/* All entries, whatever their order: those of these slots whose key is set. index_drop() moves entries of later
 * slots to this one or between, or from the table's first slots to its last ones. */
static inline uint32_t index_slot_count(const struct index *x)
{
    return x->table.slot_count + x->old.slot_count;
}

static inline const struct index_entry *index_slot(const struct index *x, uint32_t i)
{
    must(i < index_slot_count(x));
    return i < x->table.slot_count ? &x->table.slots[i] : &x->old.slots[i - x->table.slot_count];
}

/* A walk in pieces, between which entries come, change and go. *place is 0 at first, and INDEX_END at the end.
 * A call hands the entries of one slot's places to `one`, which does not change the index, and moves *place
 * behind them: an entry was visited if its index_place() is below *place, and its turn is still to come if
 * not. */
void index_visit(const struct index *x, uint64_t *place, void *self,
                 void (*one)(void *self, const struct index_entry *entry));

/* What may be visited `slots` slots behind `place`: to be asked for ahead. Never NULL if there are entries. */
static inline const struct index_entry *index_ahead(const struct index *x, uint64_t place,
                                                    uint32_t slots)
{
    const struct index_table *t = place < x->moved ? &x->table : &x->old;
    return &t->slots[min_of((place * t->slot_count >> 32) + slots, t->slot_count - UINT64_C(1))];
}

/* Asks the memory for the slot of `key`, so that a later find does not wait for it. */
static inline void index_prefetch(const struct index *x, struct id128 key)
{
    uint64_t place = index_place(key);
    const struct index_table *t = place < x->moved ? &x->table : &x->old;
    if (t->slot_count) {
        uint64_t mask = t->slot_count - 1, home = place * t->slot_count >> 32;
        prefetch(&t->slots[home]);
        prefetch(&t->slots[(home + 2) & mask]); /* where the search goes on */
    }
}
