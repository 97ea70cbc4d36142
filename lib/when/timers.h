/* timers.h - who has to be woken next: at most one deadline per node.
 *
 * A node is a dense small number (a profile's number within its partition). The structure is a heap
 * with four children per entry, and a second array that says where in the heap each node stands, so
 * that a deadline can be moved or dropped without a search:
 *
 *     heap       [ (due, node) | 4 children | 16 grandchildren ... ]      earliest first
 *                        ^
 *     position   [ node 0 | node 1 | node 2 ... ]                        NONE = no deadline
 *
 * The order is (due_ms, node), so what is due together comes out in the same order in every run, on
 * every machine, whatever order it was put in. Reasons: docs/decisions/0002-timers-are-a-heap.md.
 *
 * Memory: 16 bytes per entry and 4 per node, each up to a quarter more after growing (few: twice); nothing is given
 * back before _fini. Set, drop and pop take O(log count) steps; next takes one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

#define TIMERS_NODE_MAX (UINT32_C(1) << 30) /* nodes are below this */

struct timer {
    int64_t due_ms;
    uint32_t node;
};

struct timers {
    struct timer *heap;
    uint32_t *position; /* by node: index in the heap */
    uint32_t count;     /* entries in the heap */
    uint32_t heap_room; /* entries allocated */
    uint32_t node_room; /* positions allocated */
};

/* No deadlines, no memory. */
void timers_init(struct timers *t);

/* Gives the memory back; `t` may be initialised again. */
void timers_fini(struct timers *t);

/* Forgets all deadlines and keeps the memory. */
void timers_reset(struct timers *t);

/* `node` is due at `due_ms`, instead of whenever it was due before. FOREVER_MS drops it. Requires
 * node < TIMERS_NODE_MAX; memory grows with the largest node seen. */
void timers_set(struct timers *t, uint32_t node, int64_t due_ms);

/* `node` has no deadline any more. False if it had none. */
bool timers_drop(struct timers *t, uint32_t node);

/* When `node` is due; FOREVER_MS if it has no deadline. */
int64_t timers_due_ms(const struct timers *t, uint32_t node);

/* When the first of all is due; FOREVER_MS if there is none. */
static inline int64_t timers_next(const struct timers *t)
{
    return t->count > 0 ? t->heap[0].due_ms : FOREVER_MS;
}

/* Takes out the first entry if it is due at or before `now_ms`, and puts it into *out. False (and
 * *out untouched) if none is due. Calling it until false gives all in order of (due_ms, node). */
bool timers_pop(struct timers *t, int64_t now_ms, struct timer *out) mustuse;

/* Faults a heap out of order, or positions that contradict it (a programmer's error: must()). */
void timers_check(const struct timers *t);
