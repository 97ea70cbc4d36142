/* SPDX-License-Identifier: Apache-2.0 */
#include "store/seen.h"

#include <string.h>

#include "base/canary.h"
#include "base/mem.h"

#define SWEEP_SLOTS    4 /* looked at per addition */
#define WINDOW_MINUTES ((uint16_t)(SEEN_WINDOW_MS / MINUTE_MS))
#define SWEEP_MINUTES  (14 * WINDOW_MINUTES)

void seen_init(struct seen *s, uint32_t most)
{
    seen_init_in(s, most, NULL);
}

void seen_init_in(struct seen *s, uint32_t most, struct pages *pages)
{
    must(most >= 16);
    *s = (struct seen){.most = most, .pages = pages};
}

static size_t slots_bytes(const struct seen *s)
{
    return s->slot_count * sizeof(s->slots[0]);
}

static bool slots_are_of_pages(const struct seen *s)
{
    return s->pages != NULL && slots_bytes(s) >= PAGES_BLOCK_MIN;
}

static void slots_free(struct seen *s)
{
    if (slots_are_of_pages(s))
        pages_give(s->pages, s->slots, slots_bytes(s));
    else
        mem_free(s->slots);
}

void seen_fini(struct seen *s)
{
    slots_free(s);
    *s = (struct seen){0};
}

static uint64_t tag_of(uint64_t hash)
{
    uint64_t tag = hash & ~UINT64_C(0xffff);
    return tag ? tag : UINT64_C(0x10000);
}

static uint32_t home_of(const struct seen *s, uint64_t slot)
{
    return (uint32_t)(seen_place(slot) * s->slot_count >> 32);
}

static uint16_t age_of(uint64_t slot, uint16_t minute)
{
    return (uint16_t)(minute - (uint16_t)slot);
}

static uint32_t find(const struct seen *s, uint64_t tag)
{
    uint32_t mask = s->slot_count - 1;
    uint32_t at = home_of(s, tag);
    while (s->slots[at] != 0 && (s->slots[at] & ~UINT64_C(0xffff)) != tag)
        at = (at + 1) & mask;
    return at;
}

uint64_t seen_slot(const struct seen *s, struct id128 key)
{
    return s->slot_count == 0 ? 0 : s->slots[find(s, key.low << 16)];
}

static void drop(struct seen *s, uint32_t hole)
{
    keep_before(s->keeper, s->partition, seen_key(s->slots[hole]));
    uint32_t mask = s->slot_count - 1;
    for (uint32_t next = (hole + 1) & mask; s->slots[next] != 0; next = (next + 1) & mask) {
        uint32_t home = home_of(s, s->slots[next]);
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            s->slots[hole] = s->slots[next];
            hole = next;
        }
    }
    s->slots[hole] = 0;
    s->count--;
}

/* The table anew, with so many slots, of those that are not older than the window. */
static void rebuild(struct seen *s, uint32_t slot_count, uint16_t minute)
{
    struct seen old = *s;
    for (uint32_t i = 0; i < old.slot_count; i++)
        if (old.slots[i] != 0 && age_of(old.slots[i], minute) > WINDOW_MINUTES)
            keep_before(s->keeper, s->partition, seen_key(old.slots[i]));
    s->slot_count = slot_count;
    s->slots =
        slots_are_of_pages(s) ? pages_take(s->pages, slots_bytes(s)) : mem_new(slots_bytes(s));
    s->cursor = 0;
    s->count = 0;
    for (uint32_t i = 0; i < old.slot_count; i++) {
        if (old.slots[i] == 0 || age_of(old.slots[i], minute) > WINDOW_MINUTES)
            continue;
        s->slots[find(s, old.slots[i] & ~UINT64_C(0xffff))] = old.slots[i];
        s->count++;
    }
    slots_free(&old);
}

static bool is_silent(const struct seen *s, int64_t minute)
{
    return minute - s->newest > WINDOW_MINUTES && !planted("store-ids-come-back");
}

/* Sees to it that no slot becomes so old that it looks young. */
static void keep_young(struct seen *s, int64_t minute)
{
    bool is_late = minute - s->swept > SWEEP_MINUTES;
    if (s->count > 0 && is_silent(s, minute)) {
        for (uint32_t i = 0; i < s->slot_count; i++)
            if (s->slots[i] != 0)
                keep_before(s->keeper, s->partition, seen_key(s->slots[i]));
        memset(s->slots, 0, slots_bytes(s));
        s->count = 0;
    } else if (s->count > 0 && is_late) {
        rebuild(s, s->slot_count, (uint16_t)minute);
    }
    if (is_late || s->count == 0)
        s->swept = minute;
    s->newest = minute;
}

static void make_room(struct seen *s, uint16_t minute)
{
    if (s->slot_count == 0 || (s->count + 1) * 4ull > s->slot_count * 3ull)
        rebuild(s, s->slot_count ? s->slot_count * 2 : 64, minute);
}

/* Forgets what is too old among the next few slots; under pressure the oldest of them. */
static void sweep(struct seen *s, uint16_t minute)
{
    uint32_t mask = s->slot_count - 1;
    for (uint32_t i = 0; i < SWEEP_SLOTS; i++) {
        s->cursor = (s->cursor + 1) & mask;
        if (s->slots[s->cursor] != 0 && age_of(s->slots[s->cursor], minute) > WINDOW_MINUTES)
            drop(s, s->cursor);
    }
    while (s->count >= s->most) {
        uint32_t oldest = UINT32_MAX;
        for (uint32_t i = 0; i < 64; i++) {
            s->cursor = (s->cursor + 1) & mask;
            if (s->slots[s->cursor] == 0)
                continue;
            if (oldest == UINT32_MAX ||
                age_of(s->slots[s->cursor], minute) > age_of(s->slots[oldest], minute))
                oldest = s->cursor;
        }
        if (oldest != UINT32_MAX)
            drop(s, oldest);
    }
}

bool seen_note(struct seen *s, uint64_t hash, int64_t now_ms)
{
    uint16_t minute = (uint16_t)(now_ms / MINUTE_MS);
    uint64_t tag = tag_of(hash);
    keep_young(s, now_ms / MINUTE_MS);
    if (s->slot_count != 0) {
        uint32_t at = find(s, tag);
        if (s->slots[at] != 0) {
            bool is_recent = age_of(s->slots[at], minute) <= WINDOW_MINUTES;
            if (!is_recent) {
                keep_before(s->keeper, s->partition, seen_key(tag));
                s->slots[at] = tag | minute;
            }
            return is_recent;
        }
        sweep(s, minute);
    }
    make_room(s, minute);
    keep_before(s->keeper, s->partition, seen_key(tag));
    s->slots[find(s, tag)] = tag | minute;
    s->count++;
    return false;
}

bool seen_is_silent(const struct seen *s, int64_t now_ms)
{
    return is_silent(s, now_ms / MINUTE_MS);
}

bool seen_is_fresh(const struct seen *s, uint64_t slot, int64_t now_ms)
{
    must(slot != 0);
    return !is_silent(s, now_ms / MINUTE_MS) &&
           age_of(slot, (uint16_t)(now_ms / MINUTE_MS)) <= WINDOW_MINUTES;
}

bool seen_has(const struct seen *s, uint64_t hash, int64_t now_ms)
{
    if (s->slot_count == 0)
        return false;
    uint64_t slot = s->slots[find(s, tag_of(hash))];
    return slot != 0 && seen_is_fresh(s, slot, now_ms);
}

void seen_reserve(struct seen *s, uint32_t count)
{
    must(s->count == 0);
    uint32_t slot_count = 64;
    count = min_of(count, s->most);
    while (count * UINT64_C(4) > slot_count * UINT64_C(3))
        slot_count *= 2;
    if (count > 0 && slot_count > s->slot_count)
        rebuild(s, slot_count, 0);
}

void seen_visit(const struct seen *s, uint64_t *place, void *self,
                void (*one)(void *self, uint64_t slot))
{
    must(*place < INDEX_END);
    if (s->slot_count == 0) {
        *place = INDEX_END;
        return;
    }
    uint32_t mask = s->slot_count - 1, home = (uint32_t)(*place * s->slot_count >> 32);
    for (uint32_t at = home; s->slots[at] != 0; at = (at + 1) & mask)
        if (home_of(s, s->slots[at]) == home)
            one(self, s->slots[at]);
    *place += INDEX_END / s->slot_count;
}

void seen_restore(struct seen *s, uint64_t slot, int64_t now_ms)
{
    must(slot > 0xffff);
    s->newest = s->swept = now_ms / MINUTE_MS;
    make_room(s, (uint16_t)s->newest);
    uint32_t at = find(s, slot & ~UINT64_C(0xffff));
    s->count += s->slots[at] == 0;
    s->slots[at] = slot;
}
