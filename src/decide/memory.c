/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/memory.h"

#include "profile/consent.h"

void memory_init(struct memory *m)
{
    m->known = m->known_days = 0;
    for (uint32_t i = 0; i < MEMORY_WINDOWS; i++)
        m->windows[i].window = NULL;
}

/* Where what is about that instant is kept: instants are most often a whole hour, so that the low bits of their
 * number say little. */
static uint32_t place_of(int64_t at_ms, uint32_t count)
{
    return (uint32_t)((uint64_t)at_ms * UINT64_C(0x9e3779b97f4a7c15) >> 32) % count;
}

static bool is_mail(struct str address)
{
    size_t at = str_find(address, STR("@"), 0);
    bool has_space =
        str_find(address, STR(" "), 0) != SIZE_MAX || str_find(address, STR("\n"), 0) != SIZE_MAX;
    return at != SIZE_MAX && at != 0 && at + 1 != address.len && !has_space;
}

const struct memory_address *memory_address(const struct question *q, struct memory_address *room)
{
    struct memory *m = q->who->memory;
    struct memory_address *address = m != NULL ? &m->addresses[q->channel] : room;
    if (m != NULL && m->known >> q->channel & 1)
        return address;
    struct str text = person_address(q->who, q->channel);
    *address = (struct memory_address){
        .hash = address_hash(q->who->secret, q->channel, text, q->who->id),
        .is_there = text.len > 0,
        .is_mail = is_mail(text),
    };
    if (m != NULL)
        m->known |= 1u << q->channel;
    return address;
}

const struct memory_day *memory_day(const struct question *q, struct memory_day *room)
{
    struct memory *m = q->who->memory;
    uint32_t place = place_of(q->at_ms, MEMORY_DAYS);
    struct memory_day *day = m != NULL ? &m->days[place] : room;
    if (m != NULL && m->known_days >> place & 1 && day->at_ms == q->at_ms)
        return day;
    const struct zone *zone = person_zone(q->who);
    *day = (struct memory_day){
        .at_ms = q->at_ms,
        .day_start_ms = zone_day_start(zone, q->at_ms),
        .day_end_ms = zone_next_day_start(zone, q->at_ms),
        .week_start_ms = zone_week_start(zone, q->at_ms),
        .week_end_ms = zone_next_week_start(zone, q->at_ms),
    };
    must(day->day_start_ms <= q->at_ms);
    must(day->day_end_ms > q->at_ms);
    must(day->week_start_ms <= day->day_start_ms);
    must(day->week_end_ms >= day->day_end_ms);
    if (m != NULL)
        m->known_days |= 1u << place;
    return day;
}

static struct memory_window *window_place(const struct question *q, const struct plan_window *w)
{
    uint64_t index = (uint64_t)(w - q->plan->windows);
    return &q->who->memory->windows[(place_of(q->at_ms, MEMORY_WINDOWS) + index) % MEMORY_WINDOWS];
}

const struct window_answer *memory_window(const struct question *q, const struct plan_window *w)
{
    if (q->who->memory == NULL)
        return NULL;
    const struct memory_window *kept = window_place(q, w);
    return kept->window == w && kept->at_ms == q->at_ms ? &kept->answer : NULL;
}

void memory_keep_window(const struct question *q, const struct plan_window *w,
                        struct window_answer answer)
{
    if (q->who->memory != NULL)
        *window_place(q, w) = (struct memory_window){q->at_ms, w, answer};
}
