/* index.h - from a 128-bit key to two words: open addressing with linear probing, at most three
 * quarters full, deletion by moving back. The order of entries depends only on what was put in and
 * in which order, never on addresses.
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

struct index {
    struct index_entry *slots;
    uint32_t slot_count; /* a power of two, or 0 */
    uint32_t count;
    struct pages *pages; /* where large tables come from; NULL = by themselves */
};

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

/* Asks the memory for the slot of `key`, so that a later find does not wait for it. */
static inline void index_prefetch(const struct index *x, struct id128 key)
{
    if (x->slot_count) {
        uint64_t mask = x->slot_count - 1;
        prefetch(&x->slots[key.low & mask]);
        prefetch(&x->slots[(key.low + 2) & mask]); /* where the search goes on */
    }
}
