/* selector.c - who once did what a business event is about: did(E, w, e, e.P == event.P), answered by an
 * index instead of a look at everybody.
 *
 *     (E, P) ── partition ── hash of the value ── people, with the minute in which they did it last
 *
 * The index holds everybody to whom the selector might apply, and some to whom it does not any more: the
 * walk asks each. It learns from events as they come in, not from what profiles keep. So it is *complete*
 * once it has seen a whole window of them, or everything that ever happened; until then, and where a value
 * has more people in a partition than fit, the walk looks at everybody.
 *
 * The index is state, exactly as it stands: the people that a walk looks at in a batch depend on it.
 * Bounded: people of one value and partition by SPACE_OBJECT_MAX, all of a selector by POSTINGS_MAX. It
 * forgets what is older than the window whenever it has doubled; if that is not enough, it forgets
 * everything and begins to learn anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "engine/engine_int.h"
#include "profile/feature.h"

#include <stdlib.h>

#define POSTINGS_MAX   (16u << 20)
#define POSTINGS_SMALL 65536 /* not worth looking for what is too old */

struct posting {
    uint32_t local;
    uint32_t minute; /* when they did it last, by arrival */
};

static struct vec vec_of(const struct index_entry *entry)
{
    struct vec v;
    memcpy(&v, &entry->first, sizeof(v));
    return v;
}

static void vec_put(struct index_entry *entry, const struct vec *v)
{
    _Static_assert(sizeof(*v) == sizeof(entry->first), "a list is a word");
    memcpy(&entry->first, v, sizeof(*v));
}

static struct id128 key_of(uint64_t value)
{
    return (struct id128){value, hash_pair(value, 11) | 1};
}

static void empty(struct selector *s)
{
    for (uint32_t i = 0; i < PARTITIONS; i++)
        index_fini(&s->values[i]);
    space_fini(&s->space);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        index_init(&s->values[i]);
    space_init(&s->space);
    s->count = 0;
}

static struct selector *find(const struct engine *e, uint32_t event, uint32_t property)
{
    for (uint32_t i = 0; i < e->selector_count; i++)
        if (e->selectors[i]->event == event && e->selectors[i]->property == property)
            return e->selectors[i];
    return NULL;
}

struct selector *selectors_add(struct engine *e, uint32_t event, uint32_t property)
{
    struct selector *s = mem_new(sizeof(*s));
    s->event = event;
    s->property = property;
    for (uint32_t i = 0; i < PARTITIONS; i++)
        index_init(&s->values[i]);
    space_init(&s->space);
    e->selectors = mem_resize(e->selectors, (e->selector_count + 1) * sizeof(e->selectors[0]));
    e->selectors[e->selector_count++] = s;
    return s;
}

static void selector_free(struct selector *s)
{
    empty(s);
    space_fini(&s->space);
    mem_free(s);
}

void selectors_fini(struct engine *e)
{
    for (uint32_t i = 0; i < e->selector_count; i++)
        selector_free(e->selectors[i]);
    mem_free(e->selectors);
}

void selectors_activate(struct engine *e, bool is_restart)
{
    const struct plan *plan = e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
    for (uint32_t i = 0; i < e->selector_count; i++)
        e->selectors[i]->window_ms = 0;
    for (uint32_t i = 0; plan != NULL && !e->is_shadow && i < plan->journey_count; i++) {
        for (uint32_t k = 0; k < plan->journeys[i].way_count; k++) {
            const struct plan_way *way = &plan->journeys[i].ways[k];
            if (way->kind != WAY_BUSINESS || way->selects_ms == 0)
                continue;
            struct selector *s = find(e, way->selects_event, way->selects_by);
            if (s == NULL) {
                s = selectors_add(e, way->selects_event, way->selects_by);
                s->since_ms = engine_profile_count(e) == 0 ? INT64_MIN : e->now_ms;
            } else if (way->selects_ms > s->reach_ms && s->since_ms != INT64_MIN && !is_restart) {
                /* A longer window than before: what was forgotten is missing. */
                s->since_ms = max_of(s->since_ms, e->now_ms - s->reach_ms);
            }
            s->window_ms = max_of(s->window_ms, way->selects_ms);
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < e->selector_count; i++) {
        struct selector *s = e->selectors[i];
        if (s->window_ms == 0) {
            selector_free(s);
            continue;
        }
        if (!is_restart && s->since_ms == INT64_MIN && s->reach_ms != 0 &&
            s->window_ms > s->reach_ms)
            s->since_ms = e->now_ms - s->reach_ms; /* it may have forgotten older ones */
        s->reach_ms = max_of(s->reach_ms, s->window_ms);
        must(kept <= i);
        must(s->reach_ms >= s->window_ms);
        e->selectors[kept++] = s;
    }
    e->selector_count = kept;
}

static uint32_t oldest_minute(const struct engine *e, const struct selector *s)
{
    return (uint32_t)(max_of(e->now_ms - s->reach_ms, INT64_C(0)) / MINUTE_MS);
}

void selectors_restore(struct engine *e, struct selector *s, uint32_t partition, uint64_t value,
                       uint32_t local, uint32_t minute)
{
    if (unlikely(e->keeps_selectors))
        saving_keep_value(e, s, partition, key_of(value));
    must(partition < PARTITIONS);
    struct index_entry *entry = index_add(&s->values[partition], key_of(value));
    struct vec v = vec_of(entry);
    for (uint32_t i = v.count; i-- > 0;) {
        struct posting *p = vec_touch(&s->space, &v, i, sizeof(*p));
        if (p->local != local)
            continue;
        p->minute = max_of(p->minute, minute);
        return;
    }
    struct posting *p = vec_push(&s->space, &v, sizeof(*p));
    if (p == NULL) { /* everybody who does it more is unknown until a window has passed */
        entry->second = max_of(entry->second, (uint64_t)minute);
        return;
    }
    *p = (struct posting){local, minute};
    vec_put(entry, &v);
    s->count++;
}

/* Forgets what is older than the window. */
static void prune(struct engine *e, struct selector *s)
{
    struct selector old = *s;
    uint32_t oldest = oldest_minute(e, s);
    saving_lose_selectors(e);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        index_init(&s->values[i]);
    space_init(&s->space);
    s->count = 0;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        index_reserve(&s->values[i], old.values[i].count);
        for (uint32_t k = 0; k < index_slot_count(&old.values[i]); k++) {
            const struct index_entry *entry = index_slot(&old.values[i], k);
            struct vec v = vec_of(entry);
            if (!id128_is_set(entry->key))
                continue;
            for (uint32_t n = 0; n < v.count; n++) {
                const struct posting *p = vec_at(&old.space, &v, n, sizeof(*p));
                if (p->minute >= oldest)
                    selectors_restore(e, s, i, entry->key.high, p->local, p->minute);
            }
            if (entry->second >= oldest && entry->second != 0)
                index_add(&s->values[i], entry->key)->second = entry->second;
        }
        index_fini(&old.values[i]);
    }
    space_fini(&old.space);
    must(s->count <= old.count);
    s->pruned_count = s->count;
    if (s->count > POSTINGS_MAX) {
        empty(s);
        s->pruned_count = 0;
        s->since_ms = e->now_ms;
    }
}

void selectors_note(struct engine *e, const struct person *who, const struct record *r)
{
    for (uint32_t i = 0; i < e->selector_count; i++) {
        struct selector *s = e->selectors[i];
        uint64_t value;
        if (s->event != r->name)
            continue;
        struct value x = record_get(r, s->property, who->scratch);
        if (!feature_value_hash(&x, who->bytes, &value))
            continue;
        must(profile_local(who->id) >= 1);
        selectors_restore(e, s, profile_partition(who->id), value, profile_local(who->id),
                          (uint32_t)(e->now_ms / MINUTE_MS));
        if (s->count > 2 * s->pruned_count + POSTINGS_SMALL)
            prune(e, s);
    }
}

static int by_place(const void *a_, const void *b_)
{
    uint64_t a = *(const uint64_t *)a_, b = *(const uint64_t *)b_;
    uint64_t x = (uint64_t)profile_partition(a) << 32 | profile_local(a);
    uint64_t y = (uint64_t)profile_partition(b) << 32 | profile_local(b);
    return x < y ? -1 : x > y;
}

bool selectors_ask(struct engine *e, const struct plan_way *way, const struct record *r,
                   uint64_t **people, uint32_t *count)
{
    const struct selector *s = find(e, way->selects_event, way->selects_by);
    uint64_t value;
    uint32_t room = 0;
    *people = NULL;
    *count = 0;
    if (way->selects_ms == 0 || s == NULL ||
        (s->since_ms != INT64_MIN && e->now_ms - s->since_ms <= way->selects_ms))
        return false;
    struct value x = record_get(r, way->selects_value, &e->scratch);
    if (!feature_value_hash(&x, &e->bytes, &value))
        return true; /* nothing equals what is not there */
    uint32_t oldest = (uint32_t)(max_of(e->now_ms - way->selects_ms, INT64_C(0)) / MINUTE_MS);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        const struct index_entry *entry = index_find(&s->values[i], key_of(value));
        if (entry == NULL)
            continue;
        if (entry->second != 0 && entry->second >= oldest) {
            mem_free(*people);
            *people = NULL;
            *count = 0;
            return false;
        }
        struct vec v = vec_of(entry);
        for (uint32_t n = 0; n < v.count; n++) {
            const struct posting *p = vec_at(&s->space, &v, n, sizeof(*p));
            if (p->minute < oldest)
                continue;
            if (*count == room) {
                room = room ? room * 2 : 256;
                *people = mem_resize(*people, room * sizeof(**people));
            }
            must(*count < room);
            (*people)[(*count)++] = identity_follow(&e->host, profile_number(i, p->local));
        }
    }
    if (*count)
        qsort(*people, *count, sizeof(**people), by_place);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++)
        if (i == 0 || (*people)[i] != (*people)[kept - 1])
            (*people)[kept++] = (*people)[i];
    must(kept <= *count);
    *count = kept;
    return true;
}

void selectors_overflow(struct selector *s, uint32_t partition, uint64_t value, uint64_t minute)
{
    must(partition < PARTITIONS);
    index_add(&s->values[partition], key_of(value))->second = minute;
}

void selectors_posting(const struct selector *s, const struct vec *people, uint32_t i,
                       uint32_t *local, uint32_t *minute)
{
    must(i < people->count);
    const struct posting *p = vec_at(&s->space, people, i, sizeof(*p));
    *local = p->local;
    *minute = p->minute;
}
