/* before.h - what the entries of a table were at a mark, kept before their first change since.
 *
 * A snapshot that is taken while work goes on needs each table as it was at one moment. Whoever is about to
 * change an entry tells the table's keeper first, once or many times; the first time counts:
 *
 *     mark ─── change a ─── change b ─── change a ─── the table's turn: what stands in it, but for a and b,
 *               keep a       keep b                   and a and b as they were kept
 *
 * So a change costs a look at a small table while a snapshot is under way and the table's turn has not
 * come, and nothing otherwise.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "store/index.h"

/* Told before the entry of `key` in that partition's table is made, changed or dropped. */
struct keeper {
    void *self;
    void (*keep)(void *self, uint32_t partition, struct id128 key);
};

/* `keeper` may be NULL: nobody wants to know. */
static inline void keep_before(const struct keeper *keeper, uint32_t partition, struct id128 key)
{
    if (unlikely(keeper != NULL))
        keeper->keep(keeper->self, partition, key);
}

/* The bytes of entries as they were. */
struct befores {
    struct index
        places; /* key -> where its bytes are + 1, and how many; first = 0: there was none */
    struct buf bytes;
    uint32_t count; /* entries that there were */
};

void befores_init(struct befores *b);
void befores_fini(struct befores *b);

/* Is the entry of `key` still as it was at the mark? */
static inline bool befores_lacks(const struct befores *b, struct id128 key)
{
    return index_find(&b->places, key) == NULL;
}

/* The entry was these bytes; nothing if it was not there. Requires befores_lacks(). */
void befores_put(struct befores *b, struct id128 key, struct str bytes);
