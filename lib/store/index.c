/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index.h"

#include "base/mem.h"

#define PAGE_BYTES  (INDEX_PAGE_SLOTS * sizeof(struct index_entry))
#define SLOTS_LEAST 16u
#define SLOTS_MOST  (UINT32_C(1) << 31)

/* Homes whose entries move with each addition to a growing table: enough to end long before it is full. */
#define MOVED_HOMES 32

void index_init(struct index *x)
{
    index_init_in(x, NULL);
}

void index_init_in(struct index *x, struct pages *pages)
{
    *x = (struct index){.pages = pages};
}

/* ---- slots ------------------------------------------------------------------------------------- */

static bool is_full(const struct index_entry *e)
{
    return id128_is_set(e->key);
}

static bool is_of_pages(const struct index *x)
{
    return x->pages != NULL && x->slot_count >= INDEX_PAGE_SLOTS;
}

void index_fini(struct index *x)
{
    for (uint32_t i = 0; i < x->slot_count; i += INDEX_PAGE_SLOTS) {
        if (is_of_pages(x))
            pages_give(x->pages, x->list[i >> INDEX_PAGE_BITS], PAGE_BYTES);
        else
            mem_free(x->list[i >> INDEX_PAGE_BITS]);
    }
    mem_free(x->list);
    *x = (struct index){0};
}

static void add_page(struct index *x)
{
    uint32_t place = x->slot_count >> INDEX_PAGE_BITS;
    if (place == x->list_room) {
        x->list_room += max_of(x->list_room / 4, 1u);
        x->list = mem_resize(x->list, x->list_room * sizeof(x->list[0]));
    }
    x->list[place] = x->pages ? pages_take(x->pages, PAGE_BYTES) : mem_new(PAGE_BYTES);
    x->slot_count += INDEX_PAGE_SLOTS;
}

/* A table without entries, or one of less than a page, gets so many slots: a power of two, up to a page's. */
static void make_small(struct index *x, uint32_t slot_count)
{
    must(x->slot_count < slot_count);
    must(slot_count <= INDEX_PAGE_SLOTS);
    if (x->list_room == 0) {
        x->list = mem_new(sizeof(x->list[0]));
        x->list_room = 1;
    }
    struct index_entry *old = x->slot_count ? x->list[0] : NULL;
    uint32_t old_count = x->slot_count;
    if (slot_count == INDEX_PAGE_SLOTS) {
        x->slot_count = 0;
        add_page(x);
    } else {
        x->list[0] = mem_new(slot_count * sizeof(*old));
        x->slot_count = slot_count;
    }
    for (uint32_t i = 0; i < old_count; i++)
        x->list[0][i] = old[i];
    mem_free(old);
}

/* Sees to it that there are so many slots. */
static void make_slots(struct index *x, uint64_t slot_count)
{
    must(slot_count <= SLOTS_MOST);
    while (x->slot_count < slot_count) {
        if (x->slot_count >= INDEX_PAGE_SLOTS)
            add_page(x);
        else
            make_small(x, max_of(x->slot_count * 2, SLOTS_LEAST));
    }
}

/* How many homes so many slots are for: the last of them are for what is pushed on. */
static uint32_t homes_in(uint32_t slot_count)
{
    return slot_count - min_of(slot_count / 8, 32u);
}

static bool is_enough(uint32_t homes, uint64_t count)
{
    return count * 16 <= homes * UINT64_C(13);
}

/* ---- finding ----------------------------------------------------------------------------------- */

/* The first slot from the home of the rank's place on that is empty or has no smaller rank. */
static uint64_t find_rank(const struct index *x, uint64_t rank)
{
    uint64_t at = index_home(x, rank >> 32);
    for (;; at++) {
        const struct index_entry *e = index_at(x, at);
        if (!is_full(e) || index_rank(e->key) >= rank)
            return at;
    }
}

/* The slot of the key; false, and where it would have to stand, if there is none. */
static bool find(const struct index *x, struct id128 key, uint64_t *at)
{
    uint64_t rank = index_rank(key), i = index_home(x, rank >> 32);
    for (const struct index_entry *e = index_at(x, i);; e++) {
        if (e->key.low == key.low) {
            if (e->key.high == key.high || !is_full(e))
                break;
        } else if (index_rank(e->key) > rank || !is_full(e)) {
            break;
        }
        if ((++i & (INDEX_PAGE_SLOTS - 1)) == 0)
            e = index_at(x, i) - 1;
    }
    *at = i;
    return id128_equal(index_at(x, i)->key, key);
}

struct index_entry *index_find(const struct index *x, struct id128 key)
{
    uint64_t at;
    return x->count > 0 && find(x, key, &at) ? index_at(x, at) : NULL;
}

/* ---- putting in and taking out ----------------------------------------------------------------- */

/* Empties a slot, which nothing behind it needs, by moving the entries behind it up to the next empty one. */
static struct index_entry *open_slot(struct index *x, uint64_t at)
{
    uint64_t end = at;
    while (is_full(index_at(x, end)))
        end++;
    if (end + 1 >= x->slot_count)
        make_slots(x, end + 2);
    for (; end > at; end--)
        *index_at(x, end) = *index_at(x, end - 1);
    return index_at(x, at);
}

/* Takes an entry out; those that it had pushed on move back. */
static void close_slot(struct index *x, uint64_t at)
{
    struct index_entry *hole = index_at(x, at);
    for (;; at++) {
        struct index_entry *next = index_at(x, at + 1);
        if (!is_full(next) || index_home(x, index_place(next->key)) > at)
            break;
        *hole = *next;
        hole = next;
    }
    *hole = (struct index_entry){0};
}

/* ---- growing ----------------------------------------------------------------------------------- */

/* The entry's home lies further on than it stands. */
static void move_on(struct index *x, uint64_t at, uint64_t home)
{
    struct index_entry e = *index_at(x, at);
    close_slot(x, at);
    if (is_full(index_at(x, home)))
        home = find_rank(x, index_rank(e.key));
    *open_slot(x, home) = e;
}

/* The entries from the place `from` on get new homes, one by one. They end before the slot `end`. */
static void move_each(struct index *x, uint64_t from, uint64_t end)
{
    x->moved = from;
    for (; end > 0; end--) {
        const struct index_entry *e = index_at(x, end - 1);
        uint64_t place = index_place(e->key), home = place * x->homes >> 32;
        if (is_full(e) && place < from)
            break;
        if (is_full(e) && end - 1 < home)
            move_on(x, end - 1, home);
    }
}

#define LIST_MOST (4 * MOVED_HOMES)

/* The same in one go: first where each has to stand, then the moves, the last one first. False, and nothing has
 * changed, if they are too many for that. */
static bool move_all(struct index *x, uint64_t from, uint64_t end)
{
    uint64_t slots[LIST_MOST],
        to[LIST_MOST]; /* from the middle down, and from there up what is pushed on */
    uint64_t low = from * x->homes_before >> 32;
    uint32_t first = LIST_MOST / 2, last = first;
    for (uint64_t at = end; at > low; at--) {
        const struct index_entry *e = index_at(x, at - 1);
        if (!is_full(e))
            continue;
        uint64_t place = index_place(e->key);
        if (place < from)
            break;
        if (first == 0)
            return false;
        slots[--first] = at - 1;
        to[first] = place * x->homes >> 32;
    }
    if (first < last) {
        uint64_t at = max_of(end, to[last - 1]), next = slots[first];
        for (uint32_t i = first; i < last; i++) {
            to[i] = max_of(to[i], next);
            next = to[i] + 1;
        }
        for (; at < min_of(next, x->slot_count - UINT64_C(1)); at++) {
            if (!is_full(index_at(x, at)))
                continue;
            if (last == LIST_MOST)
                return false;
            slots[last] = at;
            to[last++] = next++;
        }
        if (next >= x->slot_count)
            return false;
    }
    for (uint32_t i = last; i > first; i--) {
        if (to[i - 1] == slots[i - 1])
            continue;
        struct index_entry *e = index_at(x, slots[i - 1]);
        *index_at(x, to[i - 1]) = *e;
        *e = (struct index_entry){0};
    }
    x->moved = from;
    return true;
}

/* The entries of the next few old homes, or of all, get new ones. */
static void move_some(struct index *x)
{
    uint64_t last = (x->moved - 1) * x->homes_before >> 32;
    uint64_t low = last - min_of(last, MOVED_HOMES - UINT64_C(1));
    uint64_t from =
        ((low << 32) + x->homes_before - 1) / x->homes_before; /* the first place of it */
    uint64_t end = last;
    for (; is_full(index_at(x, end)); end++)
        if (index_place(index_at(x, end)->key) >= x->moved)
            break;
    if (!move_all(x, from, end))
        move_each(x, from, end);
}

static void grow(struct index *x)
{
    must(x->moved == 0); /* the last growth ended in time: see MOVED_HOMES */
    uint32_t slot_count = max_of(x->slot_count, SLOTS_LEAST / 2) * 2;
    if (x->slot_count >= INDEX_PAGE_SLOTS) {
        uint32_t pages = (x->homes + INDEX_PAGE_SLOTS - 1) >> INDEX_PAGE_BITS;
        slot_count = (pages + max_of(pages / 8, 1u)) << INDEX_PAGE_BITS;
    }
    make_slots(x, slot_count);
    x->homes_before = x->homes;
    x->homes = homes_in(slot_count);
    x->moved = x->homes_before ? INDEX_END : 0;
    while (x->moved > 0 && x->homes_before <= 4 * INDEX_PAGE_SLOTS)
        move_some(x);
}

void index_reserve(struct index *x, uint32_t count)
{
    must(x->count == 0);
    uint32_t slot_count = SLOTS_LEAST;
    while (!is_enough(homes_in(slot_count), count))
        slot_count += min_of(slot_count, INDEX_PAGE_SLOTS);
    if (count == 0 || homes_in(slot_count) <= x->homes)
        return;
    make_slots(x, slot_count);
    x->homes = homes_in(slot_count);
    x->moved = 0;
}

struct index_entry *index_add(struct index *x, struct id128 key)
{
    must(id128_is_set(key));
    if (!is_enough(x->homes, x->count + UINT64_C(1)))
        grow(x);
    if (x->moved > 0)
        move_some(x);
    uint64_t at;
    if (find(x, key, &at))
        return index_at(x, at);
    struct index_entry *e = open_slot(x, at);
    *e = (struct index_entry){.key = key};
    x->count++;
    return e;
}

/* Where all that is there has smaller ranks, what is behind the last of them is empty. */
struct index_entry *index_fill(struct index *x, struct index_filling *f, struct id128 key)
{
    uint64_t rank = index_rank(key);
    must(id128_is_set(key));
    must((f->behind == 0) == (x->count == 0));
    bool is_last = x->count == 0 || rank > f->rank;
    if (is_last && x->moved == 0 && is_enough(x->homes, x->count + UINT64_C(1))) {
        uint64_t at = max_of(index_home(x, rank >> 32), f->behind);
        if (at + 1 >= x->slot_count)
            make_slots(x, at + 2);
        struct index_entry *e = index_at(x, at);
        must(!is_full(e));
        e->key = key;
        x->count++;
        *f = (struct index_filling){at + 1, rank};
        return e;
    }
    struct index_entry *e = index_add(x, key);
    f->rank = is_last ? rank : f->rank;
    /* Entries may have moved: the last one is in the run of its home. */
    f->behind = find_rank(x, f->rank) + 1;
    while (is_full(index_at(x, f->behind)))
        f->behind++;
    return e;
}

bool index_drop(struct index *x, struct id128 key)
{
    uint64_t at;
    if (x->count == 0 || !find(x, key, &at))
        return false;
    close_slot(x, at);
    x->count--;
    return true;
}

void index_visit(const struct index *x, uint64_t *place, void *self,
                 void (*one)(void *self, const struct index_entry *entry))
{
    must(*place < INDEX_END);
    if (x->homes == 0) {
        *place = INDEX_END;
        return;
    }
    uint64_t end = min_of(*place + INDEX_END / x->homes, INDEX_END);
    uint64_t last = index_home(x, end - 1);
    uint64_t at = find_rank(x, *place << 32);
    for (;; at++) {
        const struct index_entry *e = index_at(x, at);
        if (is_full(e) ? index_place(e->key) >= end : at >= last)
            break;
        if (is_full(e))
            one(self, e);
    }
    *place = end;
}
