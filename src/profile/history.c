/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/history.h"

static uint32_t find(const struct person *who, uint32_t event)
{
    for (uint32_t i = 0; i < who->profile->histories.count; i++)
        if (person_history(who, i)->event == event)
            return i;
    return UINT32_MAX;
}

static int64_t time_at(const struct person *who, const struct history *h, uint32_t i)
{
    return *(const int64_t *)vec_at(who->space, &h->times, i, sizeof(int64_t));
}

/* Puts at_ms into its place in the ascending list; the oldest goes if there are more than `keep`. */
static void insert(struct person *who, struct history *h, int64_t at_ms, uint32_t keep)
{
    struct vec times = h->times;
    if (times.count >= keep) {
        if (keep == 0 || at_ms <= time_at(who, h, 0))
            return;
        vec_drop(who->space, &times, 0, sizeof(int64_t));
    }
    int64_t *slot = vec_push(who->space, &times, sizeof(int64_t));
    must(slot != NULL);
    int64_t *first = slot - (times.count - 1);
    while (slot > first && slot[-1] > at_ms) {
        slot[0] = slot[-1];
        slot--;
    }
    *slot = at_ms;
    h->times = times;
}

void history_note(struct person *who, uint32_t event, int64_t at_ms, uint32_t keep)
{
    must(keep >= 1);
    uint32_t i = find(who, event);
    struct history *h;
    if (i == UINT32_MAX) {
        if (who->profile->histories.count == PROFILE_HISTORIES_MAX)
            return;
        h = person_push_history(who);
        must(h != NULL);
        h->event = event;
        h->last_ms = INT64_MIN;
    } else {
        h = person_touch_history(who, i);
    }
    if (h->total < UINT32_MAX)
        h->total++;
    if (at_ms > h->last_ms)
        h->last_ms = at_ms;
    if (keep > 1)
        insert(who, h, at_ms, keep);
    person_changed_name(who, event);
}

int64_t history_last(const struct person *who, uint32_t event)
{
    uint32_t i = find(who, event);
    return i == UINT32_MAX ? INT64_MIN : person_history(who, i)->last_ms;
}

uint32_t history_count(const struct person *who, uint32_t event, int64_t window_ms, int64_t at_ms,
                       int64_t *until_ms, bool *is_at_least)
{
    uint32_t i = find(who, event);
    *until_ms = FOREVER_MS;
    *is_at_least = false;
    if (i == UINT32_MAX)
        return 0;
    const struct history *h = person_history(who, i);
    if (window_ms == 0)
        return h->total;
    if (h->times.count == 0) {
        if (h->last_ms <= at_ms - window_ms)
            return 0;
        *until_ms = h->last_ms + window_ms;
        *is_at_least = h->total > 1;
        return 1;
    }
    uint32_t inside = 0;
    for (uint32_t k = h->times.count; k-- > 0;) {
        int64_t t = time_at(who, h, k);
        if (t <= at_ms - window_ms)
            break;
        inside++;
        *until_ms = t + window_ms;
    }
    *is_at_least = inside == h->times.count && h->total > inside;
    return inside;
}

void history_unite(struct person *who, const struct person *from)
{
    for (uint32_t i = 0; i < from->profile->histories.count; i++) {
        const struct history *theirs = person_history(from, i);
        const struct plan_event *e = who->plan ? plan_event_find(who->plan, theirs->event) : NULL;
        uint32_t keep = e && e->history ? e->history : max_of(1u, theirs->times.count);
        uint32_t place = find(who, theirs->event);
        if (place == UINT32_MAX) {
            if (who->profile->histories.count == PROFILE_HISTORIES_MAX)
                return;
            struct history *fresh = person_push_history(who);
            must(fresh != NULL);
            fresh->event = theirs->event;
            fresh->last_ms = INT64_MIN;
            place = who->profile->histories.count - 1u;
        }
        struct history *mine = person_touch_history(who, place);
        uint32_t total = mine->total + theirs->total;
        mine->total = total < mine->total ? UINT32_MAX : total;
        mine->last_ms = max_of(mine->last_ms, theirs->last_ms);
        for (uint32_t k = 0; k < theirs->times.count; k++)
            insert(who, mine, time_at(from, theirs, k), keep);
        person_changed_name(who, theirs->event);
    }
}
