/* map.h - from a text or a number to a small index: how names become ids.
 *
 * Both maps keep their entries in one dense array in the order in which they were added, and beside
 * it a table of slots (open addressing, linear probing) that only says where in the array an entry
 * stands. So walking a map is walking an array, and the order of the walk depends on what was done
 * to the map, never on hashes or addresses:
 *
 *     entries   [ "email" 0 | "name" 1 | "plan" 2 |
 *     slots     [ . | 2 | . | . | 0 | 1 | . | . ]       at most 3/4 full, a power of two
 *                              ^ hash("email")
 *
 * An index that counts entries is the usual value: map_str_intern() gives every new text the next
 * one. Values are at most MAP_NONE - 1.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

struct arena;

#define MAP_NONE        UINT32_MAX          /* what a search for an absent key answers */
#define MAP_ENTRIES_MAX (UINT32_C(1) << 30) /* more are a programmer's error */

struct map_str_entry {
    struct str key; /* in the map's arena, NUL-terminated (not counted) */
    uint32_t hash;  /* the key's, kept so that growing reads no keys */
    uint32_t value;
};

/* From a text to an index. Texts compare by their bytes. */
struct map_str {
    struct arena *keys;            /* where keys are copied; lives as long as the map */
    struct map_str_entry *entries; /* `count` of them, oldest first; good until the next add */
    uint32_t count;
    uint32_t entries_max; /* allocated */
    uint32_t *slots;      /* entry index + 1; 0 = free */
    uint32_t slot_count;  /* 0 or a power of two */
};

/* An empty map that copies its keys into `keys`, which it keeps and does not own. */
void map_str_init(struct map_str *m, struct arena *keys);

/* Frees the tables; the keys stay with their arena. */
void map_str_fini(struct map_str *m);

/* Forgets all entries but keeps the tables. The keys stay with their arena. */
void map_str_reset(struct map_str *m);

/* The value of `key`, or MAP_NONE. */
uint32_t map_str_find(const struct map_str *m, struct str key) mustuse;

/* Sets the value of `key`, which is copied if it is new. Requires value != MAP_NONE. */
void map_str_set(struct map_str *m, struct str key, uint32_t value);

/* The value of `key`; if it is new, it is copied and its value is the count before the call. */
uint32_t map_str_intern(struct map_str *m, struct str key);

/* Holds every invariant of the drawing above, or ends the process. For tests and fuzzers. */
void map_str_check(const struct map_str *m);

struct map_u64_entry {
    uint64_t key;
    uint32_t value;
};

/* From a 64-bit number (an id, a hash) to an index. */
struct map_u64 {
    struct map_u64_entry *entries; /* `count` of them; good until the next change */
    uint32_t count;
    uint32_t entries_max;
    uint32_t *slots;
    uint32_t slot_count;
};

/* An empty map. */
void map_u64_init(struct map_u64 *m);

/* Frees it. */
void map_u64_fini(struct map_u64 *m);

/* Forgets all entries but keeps the tables. */
void map_u64_reset(struct map_u64 *m);

/* The value of `key`, or MAP_NONE. */
uint32_t map_u64_find(const struct map_u64 *m, uint64_t key) mustuse;

/* Sets the value of `key`. Requires value != MAP_NONE. */
void map_u64_set(struct map_u64 *m, uint64_t key, uint32_t value);

/* Forgets `key` and answers its value, or MAP_NONE if it was absent. The newest entry takes the
 * place of the one that goes, so the order of the walk changes there. */
uint32_t map_u64_drop(struct map_u64 *m, uint64_t key);

/* Holds every invariant, or ends the process. */
void map_u64_check(const struct map_u64 *m);
