/* The tree. A deadline is a key: its 64 bits with the sign turned over, so that keys compare as unsigned numbers. The slot
 * of a key at a level is its byte there (level 7 is the highest). An inner node's slots all share the bytes above it.
 *
 *     place       chunk << 6 | index in it            chunk       slab << 7 | index in it
 *     owner       inner << 8 | slot                   slot        (place of the last, count), or (inner, IS_INNER)
 *
 * The entries of a leaf are packed: whatever leaves is replaced by the last one. So a leaf of n
 * entries has n / 42 chunks, rounded up, and memory follows the number of deadlines, not of changes.
 *
 * `first_ms` is known as long as nothing was done to the entry that it came from; then it is looked for when
 * somebody asks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/timers.h"

#include <string.h>

#include "base/mem.h"

#define NONE         UINT32_MAX
#define GROUPS       256 /* nodes by their lower byte: what is worked on together lies side by side */
#define SLOTS        256
#define TOP          7 /* the root's level */
#define HOT          4 /* its nodes span 34 years: mostly there is one, and the way down begins there */
#define CHUNK        42
#define SLAB         128        /* chunks; 64 KiB */
#define SLABS_SMALL  64         /* allocated one by one; then 2 MiB at a time */
#define LEAF_MAX     512        /* entries that are looked through rather than divided */
#define AHEAD        12         /* entries between one whose place is fetched and its turn */
#define IS_INNER     UINT32_MAX /* as a slot's count */
#define CHUNKS_MAX   (UINT32_C(1) << 26) /* a place has 32 bits */
#define REGION_SLABS (MEM_REGION_BYTES / (SLAB * sizeof(struct chunk)))
#define ROOM_FROM    16   /* elements of a list at first; doubled from there ... */
#define ROOM_MANY    1024 /* ... to here, and then a quarter more each time */
#define RUN          2048 /* places that lie together; from the second on in regions */
#define REGION_RUNS  (MEM_REGION_BYTES / (RUN * sizeof(uint32_t)))

struct __attribute__((packed)) entry {
    int64_t due_ms;
    uint32_t node;
};

struct chunk {
    struct entry entries[CHUNK];
    uint32_t
        next; /* of the same leaf, full; NONE = the last. Of the free ones: the next free one */
    uint32_t owner; /* the leaf */
};

_Static_assert(sizeof(struct chunk) == 512, "eight cache lines");
_Static_assert(REGION_SLABS == 32, "a region holds whole slabs");
_Static_assert(LEAF_MAX <= TIMERS_TAKE_MIN, "a leaf that is looked through fits");
_Static_assert(CHUNK <= TIMERS_TAKE_MIN, "a chunk fits");
_Static_assert(MEM_REGION_BYTES % (RUN * sizeof(uint32_t)) == 0, "a region holds whole runs");

struct slot {
    uint32_t last; /* place of its last entry; NONE = empty. Or the inner node */
    uint32_t count;
};

struct inner {
    struct slot slots[SLOTS];
    uint64_t bits[SLOTS / 64]; /* slots that are not empty */
    uint64_t from;             /* the first key */
    uint32_t owner;            /* the slot that it is in; of the root: NONE */
    uint32_t level;
};

struct group {
    uint32_t **runs; /* the first as long as it has to be, the others of RUN places */
    uint32_t room;   /* places */
};

struct timers {
    struct group groups[GROUPS];
    uint32_t **regions;    /* huge pages, which runs are cut out of */
    uint32_t run_count;    /* so many */
    struct inner **inners; /* [0] is the root; those that are not in use are kept in `spares` */
    uint32_t *spares;
    uint32_t inner_count, inner_room, spare_count;
    struct chunk **slabs;
    uint32_t slab_count, slab_room;
    uint32_t chunk_count; /* ever used */
    uint32_t free_chunk;
    uint64_t count;
    uint64_t hot_prefix; /* upper bytes of the keys under `hot` */
    uint32_t hot;        /* an inner node of level HOT, or NONE */
    bool is_first_known;
    int64_t first_ms;
};

static uint64_t key_of(int64_t due_ms)
{
    return (uint64_t)due_ms ^ UINT64_C(1) << 63;
}

static int64_t due_of(uint64_t key)
{
    return (int64_t)(key ^ UINT64_C(1) << 63);
}

static uint32_t byte_of(uint64_t key, uint32_t level)
{
    return key >> (8 * level) & 0xff;
}

/* The first and the last key of a slot. */
static uint64_t slot_from(const struct inner *x, uint32_t slot)
{
    return x->from + ((uint64_t)slot << (8 * x->level));
}

static uint64_t slot_last(const struct inner *x, uint32_t slot)
{
    return slot_from(x, slot) + ((UINT64_C(1) << (8 * x->level)) - 1);
}

static struct chunk *chunk_at(const struct timers *t, uint32_t chunk)
{
    return &t->slabs[chunk / SLAB][chunk % SLAB];
}

static struct entry *entry_at(const struct timers *t, uint32_t place)
{
    return &chunk_at(t, place >> 6)->entries[place & 63];
}

static uint32_t *place_of(const struct timers *t, uint32_t node)
{
    uint32_t at = node / GROUPS;
    return &t->groups[node % GROUPS].runs[at / RUN][at % RUN];
}

/* For writing: the place of a node that has one. */
static void fetch(const struct timers *t, uint32_t node)
{
    __builtin_prefetch(place_of(t, node), 1);
}

static bool has_place(const struct timers *t, uint32_t node)
{
    return node / GROUPS < t->groups[node % GROUPS].room;
}

/* The chunk of a leaf's last entries, which is the first of its list, and how many are in it. */
static uint32_t head_of(struct slot leaf)
{
    return leaf.last >> 6;
}

static uint32_t fill_of(struct slot leaf)
{
    return (leaf.last & 63) + 1;
}

static struct entry any_of(const struct timers *t, struct slot leaf)
{
    return *entry_at(t, leaf.last);
}

/* The leaf without its last entry, or without its first chunk. */
static uint32_t last_without(const struct timers *t, struct slot leaf, bool is_chunk)
{
    if (!is_chunk && (leaf.last & 63) > 0)
        return leaf.last - 1;
    uint32_t next = chunk_at(t, head_of(leaf))->next;
    return next == NONE ? NONE : next << 6 | (CHUNK - 1);
}

/* ---- memory ------------------------------------------------------------------------------------- */

static uint32_t room_for(uint32_t room, uint32_t wanted)
{
    if (room == 0)
        room = ROOM_FROM;
    while (room < wanted)
        room += room < ROOM_MANY ? room : room / 4;
    return room;
}

static uint32_t *new_run(struct timers *t)
{
    uint32_t region = t->run_count / REGION_RUNS;
    if (t->run_count % REGION_RUNS == 0) {
        t->regions = mem_resize(t->regions, (region + 1) * sizeof(t->regions[0]));
        t->regions[region] = mem_new_region(MEM_REGION_BYTES);
    }
    return t->regions[region] + (size_t)(t->run_count++ % REGION_RUNS) * RUN;
}

static void make_place(struct timers *t, uint32_t node)
{
    struct group *g = &t->groups[node % GROUPS];
    uint32_t wanted = node / GROUPS + 1;
    if (g->room < RUN) {
        uint32_t room = min_of(room_for(g->room, min_of(wanted, (uint32_t)RUN)), (uint32_t)RUN);
        if (g->room == 0)
            g->runs = mem_new(sizeof(g->runs[0]));
        g->runs[0] = mem_resize(g->runs[0], room * sizeof(uint32_t));
        memset(&g->runs[0][g->room], 0xff, (room - g->room) * sizeof(uint32_t)); /* NONE */
        g->room = room;
    }
    for (; g->room < wanted; g->room += RUN) {
        g->runs = mem_resize(g->runs, (g->room / RUN + 1) * sizeof(g->runs[0]));
        g->runs[g->room / RUN] = new_run(t);
        memset(g->runs[g->room / RUN], 0xff, RUN * sizeof(uint32_t));
    }
}

static void add_slabs(struct timers *t)
{
    bool is_small = t->slab_count < SLABS_SMALL;
    uint32_t more = is_small ? 1 : REGION_SLABS;
    if (t->slab_count + more > t->slab_room) {
        t->slab_room = room_for(t->slab_room, t->slab_count + more);
        t->slabs = mem_resize(t->slabs, t->slab_room * sizeof(t->slabs[0]));
    }
    struct chunk *chunks =
        is_small ? mem_new(SLAB * sizeof(*chunks)) : mem_new_region(MEM_REGION_BYTES);
    for (uint32_t i = 0; i < more; i++)
        t->slabs[t->slab_count++] = chunks + (size_t)i * SLAB;
}

static uint32_t new_chunk(struct timers *t)
{
    uint32_t chunk = t->free_chunk;
    if (chunk != NONE) {
        t->free_chunk = chunk_at(t, chunk)->next;
        return chunk;
    }
    if (t->chunk_count == t->slab_count * SLAB)
        add_slabs(t);
    must(t->chunk_count < CHUNKS_MAX);
    return t->chunk_count++;
}

static void free_chunk(struct timers *t, uint32_t chunk)
{
    chunk_at(t, chunk)->next = t->free_chunk;
    t->free_chunk = chunk;
}

/* An empty inner node in that slot, or the root. */
static uint32_t new_inner(struct timers *t, uint32_t owner)
{
    uint32_t inner;
    if (t->spare_count > 0) {
        inner = t->spares[--t->spare_count];
    } else {
        if (t->inner_count == t->inner_room) {
            t->inner_room = room_for(t->inner_room, t->inner_count + 1);
            t->inners = mem_resize(t->inners, t->inner_room * sizeof(struct inner *));
            t->spares = mem_resize(t->spares, t->inner_room * sizeof(uint32_t));
        }
        must(t->inner_count < UINT32_MAX / SLOTS);
        inner = t->inner_count++;
        t->inners[inner] = mem_new(sizeof(struct inner));
    }
    struct inner *x = t->inners[inner];
    for (uint32_t i = 0; i < SLOTS; i++)
        x->slots[i] = (struct slot){NONE, 0};
    memset(x->bits, 0, sizeof(x->bits));
    x->owner = owner;
    if (owner == NONE) {
        x->from = 0;
        x->level = TOP;
        return inner;
    }
    struct inner *above = t->inners[owner / SLOTS];
    must(above->level > 0);
    x->from = slot_from(above, owner % SLOTS);
    x->level = above->level - 1;
    above->slots[owner % SLOTS] = (struct slot){inner, IS_INNER};
    above->bits[owner % SLOTS / 64] |= UINT64_C(1) << owner % 64;
    return inner;
}

/* The slot has become empty; so may have the nodes above it. */
static void clear_slot(struct timers *t, uint32_t owner)
{
    for (;;) {
        uint32_t inner = owner / SLOTS;
        struct inner *x = t->inners[inner];
        x->slots[owner % SLOTS] = (struct slot){NONE, 0};
        x->bits[owner % SLOTS / 64] &= ~(UINT64_C(1) << owner % 64);
        if (inner == 0 || (x->bits[0] | x->bits[1] | x->bits[2] | x->bits[3]) != 0)
            return;
        if (inner == t->hot)
            t->hot = NONE;
        t->spares[t->spare_count++] = inner;
        owner = x->owner;
    }
}

/* ---- entries ------------------------------------------------------------------------------------ */

static void append(struct timers *t, uint32_t inner, uint32_t slot, struct entry entry)
{
    struct inner *x = t->inners[inner];
    struct slot *leaf = &x->slots[slot];
    uint32_t place = leaf->last + 1;
    if (fill_of(*leaf) >= CHUNK) { /* also if it is empty */
        uint32_t chunk = new_chunk(t);
        struct chunk *c = chunk_at(t, chunk);
        c->next = leaf->count == 0 ? NONE : head_of(*leaf);
        c->owner = inner * SLOTS + slot;
        x->bits[slot / 64] |= UINT64_C(1) << slot % 64;
        place = chunk << 6;
    }
    leaf->count++;
    leaf->last = place;
    *entry_at(t, place) = entry;
    *place_of(t, entry.node) = place;
}

/* Puts the entry into the leaf that its deadline is of. */
static void put(struct timers *t, struct entry entry)
{
    uint64_t key = key_of(entry.due_ms);
    uint32_t inner = t->hot != NONE && key >> (8 * (HOT + 1)) == t->hot_prefix ? t->hot : 0;
    for (;;) {
        const struct inner *x = t->inners[inner];
        uint32_t slot = byte_of(key, x->level);
        if (x->level == HOT) {
            t->hot = inner;
            t->hot_prefix = key >> (8 * (HOT + 1));
        }
        if (x->slots[slot].count != IS_INNER) {
            append(t, inner, slot, entry);
            return;
        }
        inner = x->slots[slot].last;
    }
}

/* Takes out what is at `place`, whose node then has none; the leaf's last entry takes its place. */
static void take_out(struct timers *t, uint32_t place)
{
    uint32_t owner = chunk_at(t, place >> 6)->owner;
    struct slot *leaf = &t->inners[owner / SLOTS]->slots[owner % SLOTS];
    must(leaf->count > 0);
    must(leaf->count != IS_INNER);
    struct entry *hole = entry_at(t, place);
    uint32_t last = leaf->last;
    *place_of(t, hole->node) = NONE;
    if (last != place) {
        *hole = *entry_at(t, last);
        *place_of(t, hole->node) = place;
    }
    leaf->count--;
    leaf->last = last_without(t, *leaf, false);
    if ((last & 63) == 0) {
        free_chunk(t, last >> 6);
        if (leaf->count == 0)
            clear_slot(t, owner);
    }
}

/* ---- order -------------------------------------------------------------------------------------- */

/* The first leaf of all; there is one. */
static uint32_t first_leaf(const struct timers *t)
{
    uint32_t inner = 0;
    for (;;) {
        const struct inner *x = t->inners[inner];
        uint32_t word = 0;
        while (word < SLOTS / 64 && x->bits[word] == 0)
            word++;
        must(word < SLOTS / 64);
        uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(x->bits[word]);
        if (x->slots[slot].count != IS_INNER)
            return inner * SLOTS + slot;
        inner = x->slots[slot].last;
    }
}

/* Looks through a leaf: takes out who is due at or before `now_ms` (into `nodes`, if given; the number of them), puts those
 * elsewhere who have moved on, and says when the first of the others is due (FOREVER_MS: nobody is left). */
static uint32_t look_through(struct timers *t, uint32_t owner, int64_t now_ms, uint32_t *nodes,
                             int64_t *first_ms)
{
    const struct inner *x = t->inners[owner / SLOTS];
    int64_t last_ms = due_of(slot_last(x, owner % SLOTS));
    struct slot leaf = x->slots[owner % SLOTS];
    uint32_t fill = fill_of(leaf), taken = 0;
    *first_ms = FOREVER_MS;
    /* From the end: what takes the place of another has been looked at. */
    for (uint32_t chunk = head_of(leaf), next; chunk != NONE; chunk = next, fill = CHUNK) {
        const struct chunk *c = chunk_at(t, chunk);
        next = c->next;
        for (uint32_t i = 0; nodes != NULL && i < fill; i++)
            if (c->entries[i].due_ms <= now_ms)
                fetch(t, c->entries[i].node);
        for (uint32_t i = fill; i-- > 0;) {
            struct entry entry = c->entries[i];
            if (nodes != NULL && entry.due_ms <= now_ms) {
                take_out(t, chunk << 6 | i);
                nodes[taken++] = entry.node;
            } else if (entry.due_ms > last_ms) {
                take_out(t, chunk << 6 | i);
                put(t, entry);
            } else {
                *first_ms = min_of(*first_ms, entry.due_ms);
            }
        }
    }
    return taken;
}

/* In which bits the deadlines of a leaf differ. */
static uint64_t differing(const struct timers *t, struct slot leaf)
{
    uint32_t fill = fill_of(leaf);
    uint64_t first = key_of(any_of(t, leaf).due_ms), bits = 0;
    for (uint32_t chunk = head_of(leaf); chunk != NONE; fill = CHUNK) {
        const struct chunk *c = chunk_at(t, chunk);
        if (c->next != NONE)
            prefetch(chunk_at(t, c->next));
        for (uint32_t i = 0; i < fill; i++)
            bits |= key_of(c->entries[i].due_ms) ^ first;
        chunk = c->next;
    }
    return bits;
}

/* All of a leaf are of one slot, so many levels below: it is put there as it is. Returns where. */
static uint32_t hand_down(struct timers *t, uint32_t owner, uint32_t levels)
{
    struct slot leaf = t->inners[owner / SLOTS]->slots[owner % SLOTS];
    uint64_t key = key_of(any_of(t, leaf).due_ms);
    for (; levels > 0; levels--) {
        uint32_t inner = new_inner(t, owner);
        struct inner *x = t->inners[inner];
        uint32_t slot = byte_of(key, x->level);
        x->slots[slot] = leaf;
        x->bits[slot / 64] |= UINT64_C(1) << slot % 64;
        owner = inner * SLOTS + slot;
    }
    for (uint32_t chunk = head_of(leaf); chunk != NONE; chunk = chunk_at(t, chunk)->next)
        chunk_at(t, chunk)->owner = owner;
    return owner;
}

/* Divides a leaf among the slots of the level below; who has moved on goes where they belong. */
static void spread(struct timers *t, uint32_t owner)
{
    struct slot leaf = t->inners[owner / SLOTS]->slots[owner % SLOTS];
    uint64_t last = slot_last(t->inners[owner / SLOTS], owner % SLOTS);
    uint32_t inner = new_inner(t, owner), fill = fill_of(leaf);
    struct inner *x = t->inners[inner];
    for (uint32_t chunk = head_of(leaf), next; chunk != NONE; chunk = next, fill = CHUNK) {
        const struct chunk *c = chunk_at(t, chunk);
        next = c->next;
        if (next != NONE)
            prefetch(chunk_at(t, next));
        for (uint32_t i = 0; i < min_of(AHEAD, fill); i++)
            fetch(t, c->entries[i].node);
        for (uint32_t i = 0; i < fill; i++) {
            uint64_t key = key_of(c->entries[i].due_ms);
            if (i + AHEAD < fill)
                fetch(t, c->entries[i + AHEAD].node);
            if (key <= last)
                append(t, inner, byte_of(key, x->level), c->entries[i]);
            else
                put(t, c->entries[i]);
        }
        free_chunk(t, chunk);
    }
    if ((x->bits[0] | x->bits[1] | x->bits[2] | x->bits[3]) == 0) {
        t->spares[t->spare_count++] = inner; /* all have moved on */
        must(inner != t->hot);
        clear_slot(t, owner);
    }
}

static void divide(struct timers *t, uint32_t owner)
{
    const struct inner *x = t->inners[owner / SLOTS];
    uint32_t level = x->level;
    uint64_t bits = differing(t, x->slots[owner % SLOTS]);
    must(level > 0);
    if (bits >> (8 * level) == 0) { /* nobody has moved on */
        uint32_t below = bits == 0 ? 0 : (63 - (uint32_t)__builtin_clzll(bits)) / 8 + 1;
        owner = hand_down(t, owner, level - below);
        level = below;
    }
    if (level > 0)
        spread(t, owner);
}

/* Takes out who of a leaf's first chunk is due; the others have moved on. Returns the number of the former. */
static uint32_t take_chunk(struct timers *t, uint32_t owner, int64_t now_ms, uint32_t *nodes)
{
    struct slot *leaf = &t->inners[owner / SLOTS]->slots[owner % SLOTS];
    uint32_t chunk = head_of(*leaf), fill = fill_of(*leaf), taken = 0;
    const struct chunk *c = chunk_at(t, chunk);
    if (c->next != NONE)
        prefetch(chunk_at(t, c->next));
    leaf->last = last_without(t, *leaf, true);
    leaf->count -= fill;
    if (leaf->count == 0)
        clear_slot(t, owner);
    for (uint32_t i = 0; i < fill; i++)
        fetch(t, c->entries[i].node);
    for (uint32_t i = 0; i < fill; i++) {
        if (c->entries[i].due_ms > now_ms) {
            put(t, c->entries[i]);
            continue;
        }
        *place_of(t, c->entries[i].node) = NONE;
        nodes[taken++] = c->entries[i].node;
    }
    free_chunk(t, chunk);
    return taken;
}

/* ---- all ---------------------------------------------------------------------------------------- */

struct timers *timers_new(void)
{
    struct timers *t = mem_new(sizeof(*t));
    t->free_chunk = NONE;
    t->hot = NONE;
    must(new_inner(t, NONE) == 0);
    return t;
}

void timers_free(struct timers *t)
{
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < GROUPS; i++) {
        if (t->groups[i].room > 0)
            mem_free(t->groups[i].runs[0]);
        mem_free(t->groups[i].runs);
    }
    for (uint32_t i = 0; i < t->run_count; i += REGION_RUNS)
        mem_free_region(t->regions[i / REGION_RUNS], MEM_REGION_BYTES);
    mem_free(t->regions);
    for (uint32_t i = 0; i < t->inner_count; i++)
        mem_free(t->inners[i]);
    for (uint32_t i = 0; i < t->slab_count; i++) {
        if (i < SLABS_SMALL)
            mem_free(t->slabs[i]);
        else if ((i - SLABS_SMALL) % REGION_SLABS == 0)
            mem_free_region(t->slabs[i], MEM_REGION_BYTES);
    }
    mem_free(t->inners);
    mem_free(t->spares);
    mem_free(t->slabs);
    mem_free(t);
}

/* Puts what is at `place` to another moment where it is, if its leaf does not begin later. */
static bool moves_in_place(struct timers *t, uint32_t place, int64_t due_ms)
{
    struct entry *entry = entry_at(t, place);
    int64_t old_ms = entry->due_ms;
    if (old_ms == t->first_ms && due_ms > old_ms)
        t->is_first_known = false;
    if (due_ms < old_ms) {
        uint32_t owner = chunk_at(t, place >> 6)->owner;
        if (slot_from(t->inners[owner / SLOTS], owner % SLOTS) > key_of(due_ms))
            return false;
    }
    entry->due_ms = due_ms;
    return true;
}

void timers_set(struct timers *t, uint32_t node, int64_t due_ms)
{
    must(node < TIMERS_NODE_END);
    if (due_ms == FOREVER_MS) {
        timers_drop(t, node);
        return;
    }
    if (!has_place(t, node))
        make_place(t, node);
    uint32_t place = *place_of(t, node);
    bool is_in_place = place != NONE && moves_in_place(t, place, due_ms);
    if (due_ms < t->first_ms)
        t->first_ms = due_ms;
    if (is_in_place)
        return;
    if (place != NONE)
        take_out(t, place);
    else
        t->count++;
    put(t, (struct entry){due_ms, node});
}

bool timers_drop(struct timers *t, uint32_t node)
{
    if (!has_place(t, node) || *place_of(t, node) == NONE)
        return false;
    uint32_t place = *place_of(t, node);
    if (entry_at(t, place)->due_ms == t->first_ms)
        t->is_first_known = false;
    take_out(t, place);
    must(t->count > 0);
    t->count--;
    return true;
}

int64_t timers_due_ms(const struct timers *t, uint32_t node)
{
    if (!has_place(t, node) || *place_of(t, node) == NONE)
        return FOREVER_MS;
    return entry_at(t, *place_of(t, node))->due_ms;
}

void timers_fetch_place(const struct timers *t, uint32_t node)
{
    if (has_place(t, node))
        prefetch(place_of(t, node));
}

void timers_fetch_entry(const struct timers *t, uint32_t node)
{
    if (has_place(t, node) && *place_of(t, node) != NONE)
        prefetch(entry_at(t, *place_of(t, node)));
}

static void know_first(struct timers *t, int64_t first_ms)
{
    t->first_ms = first_ms;
    t->is_first_known = true;
}

int64_t timers_next(struct timers *t)
{
    if (t->count == 0)
        know_first(t, FOREVER_MS);
    while (!t->is_first_known) {
        uint32_t owner = first_leaf(t);
        const struct inner *x = t->inners[owner / SLOTS];
        struct slot leaf = x->slots[owner % SLOTS];
        if (leaf.count <= LEAF_MAX) {
            int64_t first_ms;
            must(look_through(t, owner, 0, NULL, &first_ms) == 0);
            if (first_ms != FOREVER_MS)
                know_first(t, first_ms);
        } else if (x->level > 0) {
            divide(t, owner);
        } else {
            struct entry entry = any_of(t, leaf);
            if (key_of(entry.due_ms) == slot_from(x, owner % SLOTS)) {
                know_first(t, entry.due_ms);
            } else { /* has moved on */
                take_out(t, leaf.last);
                put(t, entry);
            }
        }
    }
    return t->first_ms;
}

uint32_t timers_take(struct timers *t, int64_t now_ms, uint32_t *nodes, uint32_t room)
{
    uint32_t taken = 0;
    must(room >= TIMERS_TAKE_MIN);
    if (t->is_first_known && t->first_ms > now_ms)
        return 0;
    t->is_first_known = false;
    while (taken < t->count && room - taken >= CHUNK) {
        uint32_t owner = first_leaf(t);
        const struct inner *x = t->inners[owner / SLOTS];
        if (slot_from(x, owner % SLOTS) > key_of(now_ms))
            break;
        if (slot_last(x, owner % SLOTS) <= key_of(now_ms)) {
            taken += take_chunk(t, owner, now_ms, &nodes[taken]);
        } else if (x->slots[owner % SLOTS].count > LEAF_MAX) {
            divide(t, owner);
        } else if (x->slots[owner % SLOTS].count > room - taken) {
            break;
        } else {
            int64_t first_ms;
            taken += look_through(t, owner, now_ms, &nodes[taken], &first_ms);
            if (first_ms == FOREVER_MS)
                continue;
            know_first(t, first_ms); /* all others are later still */
            break;
        }
    }
    must(taken <= t->count);
    t->count -= taken;
    return taken;
}

uint64_t timers_count(const struct timers *t)
{
    return t->count;
}

uint64_t timers_bytes(const struct timers *t)
{
    uint64_t bytes = sizeof(*t) + t->inner_count * sizeof(struct inner) +
                     t->inner_room * (sizeof(t->inners[0]) + sizeof(t->spares[0])) +
                     t->slab_room * sizeof(t->slabs[0]) +
                     (uint64_t)t->slab_count * SLAB * sizeof(struct chunk);
    for (uint32_t i = 0; i < GROUPS; i++)
        bytes += min_of(t->groups[i].room, (uint32_t)RUN) * sizeof(uint32_t) +
                 (t->groups[i].room + RUN - 1) / RUN * sizeof(t->groups[i].runs[0]);
    bytes +=
        (t->run_count + REGION_RUNS - 1) / REGION_RUNS * (MEM_REGION_BYTES + sizeof(t->regions[0]));
    return bytes;
}

/* What is in a leaf, and when the first of them is due. */
static uint64_t check_leaf(const struct timers *t, uint32_t owner, int64_t *first_ms)
{
    const struct inner *x = t->inners[owner / SLOTS];
    struct slot leaf = x->slots[owner % SLOTS];
    uint32_t count = 0;
    for (uint32_t chunk = head_of(leaf); chunk != NONE; chunk = chunk_at(t, chunk)->next) {
        const struct chunk *c = chunk_at(t, chunk);
        uint32_t fill = chunk == head_of(leaf) ? fill_of(leaf) : CHUNK;
        must(c->owner == owner);
        for (uint32_t i = 0; i < fill; i++) {
            must(c->entries[i].due_ms != FOREVER_MS);
            must(key_of(c->entries[i].due_ms) >= slot_from(x, owner % SLOTS));
            must(has_place(t, c->entries[i].node));
            must(*place_of(t, c->entries[i].node) == (chunk << 6 | i));
            *first_ms = min_of(*first_ms, c->entries[i].due_ms);
        }
        count += fill;
    }
    must(count == leaf.count);
    return count;
}

void timers_check(const struct timers *t)
{
    uint64_t listed = 0, placed = 0, nodes_below = 0;
    int64_t first_ms = FOREVER_MS;
    must(t->spare_count < t->inner_count);
    for (uint32_t inner = 0; inner < t->inner_count; inner++) {
        const struct inner *x = t->inners[inner];
        bool is_spare = false;
        for (uint32_t i = 0; i < t->spare_count; i++)
            is_spare |= t->spares[i] == inner;
        must(!(is_spare && (inner == 0 || inner == t->hot)));
        for (uint32_t slot = 0; slot < SLOTS && !is_spare; slot++) {
            bool has_bit = (x->bits[slot / 64] >> slot % 64 & 1) != 0;
            must(has_bit == (x->slots[slot].count != 0));
            if (x->slots[slot].count == IS_INNER) {
                const struct inner *below = t->inners[x->slots[slot].last];
                must(below->owner == inner * SLOTS + slot);
                must(below->level + 1 == x->level);
                must(below->from == slot_from(x, slot));
                nodes_below++;
            } else if (has_bit) {
                listed += check_leaf(t, inner * SLOTS + slot, &first_ms);
            }
        }
    }
    must(nodes_below + 1 == t->inner_count - t->spare_count);
    for (uint32_t i = 0; i < GROUPS; i++)
        for (uint32_t k = 0; k < t->groups[i].room; k++)
            placed += t->groups[i].runs[k / RUN][k % RUN] != NONE;
    must(listed == t->count);
    must(placed == t->count);
    must(!t->is_first_known || t->first_ms == first_ms);
}
