/* The heap: a parent is never later than its four children.
 *
 *     children of i: 4i + 1 ... 4i + 4        parent of i: (i - 1) / 4
 *
 * Four children instead of two halve the height, and siblings lie beside each other (four entries
 * of 16 bytes are a cache line), so the extra comparisons on the way down cost less than the levels
 * they save. Moving is done with a hole: entries are shifted over it, and the one that moves is
 * written once at its place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/timers.h"

#include <string.h>

#include "base/mem.h"

#define CHILDREN  4
#define NONE      UINT32_MAX /* in `position`: the node has no deadline */
#define ROOM_FROM 16         /* the first allocation; doubled from there ... */
#define ROOM_MANY 1024       /* ... to here, and then a quarter more each time */

_Static_assert(sizeof(struct timer) == 16, "four siblings share a cache line");

static bool is_earlier(struct timer a, struct timer b)
{
    return a.due_ms != b.due_ms ? a.due_ms < b.due_ms : a.node < b.node;
}

static void put(struct timers *t, uint32_t index, struct timer timer)
{
    t->heap[index] = timer;
    t->position[timer.node] = index;
}

/* Puts `timer` at the hole `index` or above it, shifting later parents down. */
static void sift_up(struct timers *t, uint32_t index, struct timer timer)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / CHILDREN;
        if (!is_earlier(timer, t->heap[parent]))
            break;
        put(t, index, t->heap[parent]);
        index = parent;
    }
    put(t, index, timer);
}

/* The earliest child of `index`, or NONE if it has none. */
static uint32_t first_child(const struct timers *t, uint32_t index)
{
    uint32_t from = index * CHILDREN + 1;
    uint32_t to = min_of(from + CHILDREN, t->count);
    uint32_t first = NONE;

    for (uint32_t child = from; child < to; child++)
        if (first == NONE || is_earlier(t->heap[child], t->heap[first]))
            first = child;
    return first;
}

/* Puts `timer` at the hole `index` or below it, shifting earlier children up. */
static void sift_down(struct timers *t, uint32_t index, struct timer timer)
{
    for (;;) {
        uint32_t child = first_child(t, index);
        if (child == NONE || !is_earlier(t->heap[child], timer))
            break;
        put(t, index, t->heap[child]);
        index = child;
    }
    put(t, index, timer);
}

/* Puts `timer` where it belongs, starting from the hole `index`. */
static void settle(struct timers *t, uint32_t index, struct timer timer)
{
    if (index > 0 && is_earlier(timer, t->heap[(index - 1) / CHILDREN]))
        sift_up(t, index, timer);
    else
        sift_down(t, index, timer);
}

/* Takes the entry `index` out; the last one fills its place. */
static void take_out(struct timers *t, uint32_t index)
{
    must(index < t->count);

    t->position[t->heap[index].node] = NONE;
    struct timer last = t->heap[--t->count];
    if (index < t->count)
        settle(t, index, last);
}

static uint32_t room_for(uint32_t room, uint32_t wanted)
{
    if (room == 0)
        room = ROOM_FROM;
    while (room < wanted)
        room += room < ROOM_MANY ? room : room / 4;
    return room;
}

static void make_room(struct timers *t, uint32_t node)
{
    if (node >= t->node_room) {
        uint32_t room = room_for(t->node_room, node + 1);
        t->position = mem_resize(t->position, room * sizeof(t->position[0]));
        memset(&t->position[t->node_room], 0xff,
               (room - t->node_room) * sizeof(t->position[0])); /* NONE */
        t->node_room = room;
    }
    if (t->count == t->heap_room) {
        t->heap_room = room_for(t->heap_room, t->count + 1);
        t->heap = mem_resize(t->heap, t->heap_room * sizeof(t->heap[0]));
    }
}

void timers_init(struct timers *t)
{
    *t = (struct timers){0};
}

void timers_fini(struct timers *t)
{
    mem_free(t->heap);
    mem_free(t->position);
    *t = (struct timers){0};
}

void timers_reset(struct timers *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        t->position[t->heap[i].node] = NONE;
    t->count = 0;
}

void timers_set(struct timers *t, uint32_t node, int64_t due_ms)
{
    must(node < TIMERS_NODE_MAX);

    if (due_ms == FOREVER_MS) {
        timers_drop(t, node);
        return;
    }
    struct timer timer = {due_ms, node};
    if (node < t->node_room && t->position[node] != NONE) {
        settle(t, t->position[node], timer);
        return;
    }
    make_room(t, node);
    t->count++;
    sift_up(t, t->count - 1, timer);
}

bool timers_drop(struct timers *t, uint32_t node)
{
    if (node >= t->node_room || t->position[node] == NONE)
        return false;
    take_out(t, t->position[node]);
    return true;
}

int64_t timers_due_ms(const struct timers *t, uint32_t node)
{
    if (node >= t->node_room || t->position[node] == NONE)
        return FOREVER_MS;
    return t->heap[t->position[node]].due_ms;
}

bool timers_pop(struct timers *t, int64_t now_ms, struct timer *out)
{
    if (t->count == 0 || t->heap[0].due_ms > now_ms)
        return false;
    *out = t->heap[0];
    take_out(t, 0);
    return true;
}

void timers_check(const struct timers *t)
{
    uint32_t placed = 0;

    must(t->count <= t->heap_room);
    must(t->count <= t->node_room);
    for (uint32_t i = 0; i < t->count; i++) {
        must(t->heap[i].due_ms != FOREVER_MS);
        must(t->heap[i].node < t->node_room);
        must(t->position[t->heap[i].node] == i);
        must(i == 0 || is_earlier(t->heap[(i - 1) / CHILDREN], t->heap[i]));
    }
    for (uint32_t node = 0; node < t->node_room; node++)
        placed += t->position[node] != NONE;
    must(placed == t->count);
}
