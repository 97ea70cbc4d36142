/* timers.h - who has to be woken next: at most one deadline per node.
 *
 * A node is a number below 2^32 whose upper 24 bits are dense: a profile's number. Many partitions share one structure, because
 * what comes due at one moment then lies side by side in memory. It is a tree over the bytes of the deadline, 256 branches at
 * each level, that is only as deep as somebody had to know more exactly:
 *
 *     level 7..4   [ . . * . ]                 inner: 256 slots, and a bit for each that is not empty
 *     level 3      [ . * l l l l ]             a slot of 4 h 40; most are leaves, in which nobody has sorted yet
 *     level 2      [ . l l l ]                 65 s
 *     level 1, 0   [ l l ]                     256 ms, 1 ms
 *
 *     leaf         chunks of 42 entries (due, node), only the first of them not full
 *     place        by node: where its entry is; NONE = no deadline
 *
 * A leaf is divided when it is the first of all, has more than LEAF_MAX entries, and it must be known which of them is first.
 * Entries all of one slot of the level below are handed down together. A deadline that moves later stays in its
 * leaf until that is the first; so setting one, moving it later and waking it touch the node's place and its
 * entry, and no others. So any entry is in a leaf that begins at or before its deadline.
 *
 * What is asked has one answer, whatever the order it was put in: the next deadline to the millisecond, and the set of
 * those that are due. In which order timers_take() names them does depend on it: who needs one sorts them (the engine
 * goes from person to person). Reasons: docs/decisions/0018-timers-are-sorted-when-they-come-near.md.
 *
 * Memory: 12 bytes per entry and 4 per node (few: up to twice as much, then a quarter), 2 KB for each leaf that was divided,
 * of which no more are kept than there ever were at once. Set, drop and due take O(1) steps; next and take share
 * O(8) per entry, spread over its life.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

#define TIMERS_NODE_END UINT32_C(0xffffffff) /* nodes are below this */
#define TIMERS_TAKE_MIN 512                  /* room that timers_take() wants */

struct timers;

/* No deadlines. The caller ends it with timers_free(). */
struct timers *timers_new(void) mustuse;
void timers_free(struct timers *t);

/* `node` is due at `due_ms`, instead of whenever it was due before. FOREVER_MS drops it. Requires
 * node < TIMERS_NODE_END; memory grows with the largest node >> 8 seen for each node & 255. */
void timers_set(struct timers *t, uint32_t node, int64_t due_ms);

/* `node` has no deadline any more. False if it had none. */
bool timers_drop(struct timers *t, uint32_t node);

/* When `node` is due; FOREVER_MS if it has no deadline. */
int64_t timers_due_ms(const struct timers *t, uint32_t node);

/* Fetches what timers_set() and timers_due_ms() will look at: first the place, some time later the entry. */
void timers_fetch_place(const struct timers *t, uint32_t node);
void timers_fetch_entry(const struct timers *t, uint32_t node);

/* When the first of all is due; FOREVER_MS if there is none. May put things in order, so no two threads at once. */
int64_t timers_next(struct timers *t);

/* Takes out entries that are due at or before `now_ms` and puts their nodes into `nodes`, which has `room` places (at least
 * TIMERS_TAKE_MIN). The number of them; 0 = no more are due. */
uint32_t timers_take(struct timers *t, int64_t now_ms, uint32_t *nodes, uint32_t room) mustuse;

/* Nodes that have a deadline. */
uint64_t timers_count(const struct timers *t);

/* Memory that is allocated for all this. */
uint64_t timers_bytes(const struct timers *t);

/* Faults an entry in a leaf later than itself, places that contradict it, wrong counts or a wrong next deadline (a programmer's
 * error: must()). Walks everything. */
void timers_check(const struct timers *t);
