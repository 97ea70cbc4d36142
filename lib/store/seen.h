/* seen.h - which message ids came in during the last 24 hours: 8 bytes each.
 *
 * A slot holds 48 bits of the id's hash and the minute at which it was noted (16 bits, which wrap
 * after 45 days). Every addition also looks at a few slots further on and forgets those older than
 * the window, so that the set never grows beyond what the window holds. That alone could let an id come
 * back from the dead where few are added: so a set that is silent for longer than the window is empty, and
 * every two weeks an addition goes through the whole table. At `most` ids the oldest go early;
 * seen_window_ms() is the window in force.
 *
 * Two different ids are taken for one with a probability below count / 2^48 per lookup and
 * partition (256 partitions share the load: with 64 M ids in all about 1e-9).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "store/before.h"

#define SEEN_WINDOW_MS DAY_MS

struct seen {
    uint64_t *slots;     /* hash bits << 16 | minute; 0 = empty */
    uint32_t slot_count; /* a power of two, or 0 */
    uint32_t count;
    uint32_t cursor; /* where forgetting goes on */
    uint32_t most;
    int64_t
        newest; /* minute of the last addition; all minutes of slots are within weeks before it */
    int64_t swept;               /* minute at which the whole table was gone through */
    struct pages *pages;         /* where a large table comes from; NULL = by itself */
    const struct keeper *keeper; /* of ids, by seen_key(); NULL = none */
    uint32_t partition;          /* as the keeper calls it */
};

/* What the keeper is told of: the id, whenever it was noted. */
static inline struct id128 seen_key(uint64_t slot)
{
    return (struct id128){1, slot >> 16};
}

void seen_init(struct seen *s, uint32_t most);

/* The same, with a table out of `pages` (kept until seen_fini; may be NULL) once it is a block's size. */
void seen_init_in(struct seen *s, uint32_t most, struct pages *pages);
void seen_fini(struct seen *s);

/* True if `hash` was noted within the window before now_ms; else notes it and answers false.
 * now_ms never goes back between calls. */
bool seen_note(struct seen *s, uint64_t hash, int64_t now_ms) mustuse;

/* True if seen_note() would say so; notes nothing. */
bool seen_has(const struct seen *s, uint64_t hash, int64_t now_ms) mustuse;

/* The slot of the id that seen_key() gave, as it stands; 0 = it is not there. */
uint64_t seen_slot(const struct seen *s, struct id128 key) mustuse;

/* Is everything in it older than the window before now_ms? */
bool seen_is_silent(const struct seen *s, int64_t now_ms) mustuse;

/* Is what the slot (not 0) holds within the window before now_ms? */
bool seen_is_fresh(const struct seen *s, uint64_t slot, int64_t now_ms) mustuse;

/* Puts back a slot as it stood in `slots` (of a snapshot), in any order; it was fresh at now_ms. */
void seen_restore(struct seen *s, uint64_t slot, int64_t now_ms);

/* Makes an empty set large enough for `count` ids (or `most`). */
void seen_reserve(struct seen *s, uint32_t count);

/* Where the id of a slot belongs, whatever the table's size: as index_place(), below INDEX_END. */
static inline uint64_t seen_place(uint64_t slot)
{
    return (slot >> 16) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
}

/* A walk in pieces, as index_visit(): of the slots that stand there, fresh or not. */
void seen_visit(const struct seen *s, uint64_t *place, void *self,
                void (*one)(void *self, uint64_t slot));

static inline void seen_prefetch(const struct seen *s, uint64_t hash)
{
    if (s->slot_count) {
        uint32_t mask = s->slot_count - 1;
        uint32_t home = (uint32_t)(seen_place(hash) * s->slot_count >> 32);
        prefetch(&s->slots[home]);
        prefetch(&s->slots[(home + 8) & mask]);      /* a full table's search goes on there */
        prefetch(&s->slots[(s->cursor + 1) & mask]); /* to be swept */
    }
}
