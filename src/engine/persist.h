/* persist.h - the parts of the state as bytes, one by one: for saving.c, which puts them together.
 *
 * Each function appends to `out`. Where it takes `texts`, NULL gives the bytes of a snapshot, else those
 * that are hashed: names as hashes of their texts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine_int.h"

/* Hashes of names' texts, by number. */
struct texts {
    uint64_t *hashes;
    uint32_t count;
};

/* Brings `t` (zeros at first) up to date with the names. */
void texts_learn(struct texts *t, const struct names *names);
void texts_fini(struct texts *t);
uint64_t text_hash(const struct texts *t, uint32_t name);

void persist_profile(const struct engine *e, uint32_t partition, uint32_t local,
                     const struct texts *texts, struct buf *out);
void persist_message(const struct stage_message *m, const struct texts *texts, struct buf *out);
void persist_pool_entry(const struct pool *pool, const struct pool_entry *entry,
                        const struct texts *texts, struct buf *out);

/* Who holds the address, and what the gate knows of it, which is there. */
void persist_held_address(const struct engine *e, struct id128 address, struct buf *out);
void persist_gate(const struct engine *e, struct id128 address, struct buf *out);

/* The people of one value of a selector. */
void persist_value(const struct selector *s, const struct index_entry *value, struct buf *out);
void persist_selector(const struct selector *s, struct buf *out);

/* What is nobody's own: section by section, and as a term of the hash. */
void persist_meta(const struct engine *e, struct buf *out);
void persist_sweeps(const struct engine *e, struct buf *out);
void persist_controls(const struct engine *e, struct buf *out);
void persist_monitors(const struct engine *e, struct buf *out);
void persist_funnel(const struct engine *e, struct buf *out);
void persist_hours(const struct engine *e, struct buf *out);
void persist_budgets(const struct engine *e, struct buf *out); /* the end of "pools" */
uint64_t persist_hash_shared(const struct engine *e, const struct texts *texts);

/* Is the message id one that a snapshot of that moment remembers? */
bool persist_remembers(uint64_t slot, int64_t now_ms);

/* ---- loading ------------------------------------------------------------------------------------- */

/* Who takes sections in: people of partitions that nobody else is loading, and counts that are its own. */
struct loading {
    struct engine *engine;
    struct map_u64 *live;    /* the engine's, or what is to be added to them */
    struct map_u64 *members; /* likewise */
    uint32_t *inbox_count;   /* likewise */
};

/* Has the section, of which each partition has one, nothing but what is that partition's? */
bool persist_is_of_partition(struct str section);

/* Takes a section in; of what is not a partition's, nothing may be loaded meanwhile. FIX_INPUT as engine_load(). */
enum status persist_load(struct loading *l, struct str section, uint32_t partition,
                         struct str bytes, struct fault *f) mustuse;
