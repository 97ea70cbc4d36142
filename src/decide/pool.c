/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/pool.h"
#include "base/canary.h"

#include "base/mem.h"

void pools_init(struct pools *p)
{
    *p = (struct pools){0};
}

void pools_fini(struct pools *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        mem_free(p->at[i].heap);
        index_fini(&p->at[i].places);
        space_fini(&p->at[i].space);
    }
    mem_free(p->at);
    *p = (struct pools){0};
}

struct pool *pools_get(struct pools *p, uint32_t provider)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->at[i].provider == provider)
            return &p->at[i];
    p->at = mem_resize(p->at, (p->count + 1) * sizeof(p->at[0]));
    struct pool *fresh = &p->at[p->count++];
    *fresh = (struct pool){.provider = provider};
    index_init(&fresh->places);
    space_init(&fresh->space);
    return fresh;
}

static int order(const struct stage_message *a, const struct stage_message *b)
{
    if (a->lane != b->lane)
        return a->lane < b->lane ? -1 : 1;
    if (a->group_rank != b->group_rank)
        return a->group_rank < b->group_rank ? -1 : 1;
    if (a->journey_priority != b->journey_priority)
        return a->journey_priority > b->journey_priority ? -1 : 1;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    if (a->deadline_ms != b->deadline_ms)
        return a->deadline_ms < b->deadline_ms ? -1 : 1;
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms ? -1 : 1;
    if (a->decision != b->decision)
        return a->decision < b->decision ? -1 : 1;
    return a->profile < b->profile ? -1 : a->profile > b->profile;
}

static struct id128 key_of(const struct stage_message *m)
{
    /* Decisions are hashes: good home slots. Profiles may change by a merge, decisions do not. */
    return (struct id128){1, m->decision};
}

static void put(struct pool *pool, uint32_t place, struct pool_entry entry)
{
    must(place < pool->count);
    must(pool->count <= pool->room);
    pool->heap[place] = entry;
    index_add(&pool->places, key_of(&entry.message))->first = place;
}

static void sift_up(struct pool *pool, uint32_t place, struct pool_entry entry)
{
    while (place > 0) {
        uint32_t parent = (place - 1) / 2;
        if (order(&pool->heap[parent].message, &entry.message) <= 0)
            break;
        put(pool, place, pool->heap[parent]);
        place = parent;
    }
    put(pool, place, entry);
}

static void sift_down(struct pool *pool, uint32_t place, struct pool_entry entry)
{
    for (;;) {
        uint32_t child = place * 2 + 1;
        if (child >= pool->count)
            break;
        if (child + 1 < pool->count &&
            order(&pool->heap[child + 1].message, &pool->heap[child].message) < 0)
            child++;
        if (order(&entry.message, &pool->heap[child].message) <= 0)
            break;
        put(pool, place, pool->heap[child]);
        place = child;
    }
    put(pool, place, entry);
}

void pool_queue(struct pool *pool, const struct stage_message *m)
{
    must(index_find(&pool->places, key_of(m)) == NULL);
    if (pool->count == pool->room) {
        pool->room = pool->room ? pool->room * 2 : 64;
        pool->heap = mem_resize(pool->heap, pool->room * sizeof(pool->heap[0]));
    }
    must(pool->count < pool->room);
    struct pool_entry entry = {.message = *m, .mark = pool->mark};
    blob_set(&pool->space, &entry.fields, m->fields.at, (uint32_t)m->fields.len);
    entry.message.fields = (struct str){0};
    pool->count++;
    sift_up(pool, pool->count - 1, entry);
}

static struct pool_entry take(struct pool *pool, uint32_t place)
{
    must(place < pool->count);
    struct pool_entry entry = pool->heap[place];
    if (unlikely(pool->keep != NULL) && entry.mark != pool->mark)
        pool->keep(pool->keeper, pool, &entry);
    index_drop(&pool->places, key_of(&entry.message));
    pool->count--;
    if (place < pool->count) {
        struct pool_entry last = pool->heap[pool->count];
        bool goes_up = place > 0 && order(&last.message, &pool->heap[(place - 1) / 2].message) < 0;
        if (goes_up)
            sift_up(pool, place, last);
        else
            sift_down(pool, place, last);
    }
    return entry;
}

bool pool_revoke(struct pool *pool, const struct stage_message *m)
{
    const struct index_entry *e = index_find(&pool->places, key_of(m));
    if (e == NULL)
        return false;
    must(e->first < pool->count);
    struct pool_entry entry = take(pool, (uint32_t)e->first);
    must(entry.message.decision == m->decision);
    blob_set(&pool->space, &entry.fields, NULL, 0);
    return true;
}

void pool_done(struct pool *pool)
{
    if (pool->in_flight > 0)
        pool->in_flight--;
}

void pool_granted(struct pool *pool)
{
    pool->in_flight++;
}

bool pool_is_before(const struct pool *a, const struct pool *b)
{
    must(a->count > 0);
    must(b->count > 0);
    return order(&a->heap[0].message, &b->heap[0].message) < 0;
}

bool pool_can_move(const struct pool *pool, uint32_t slots, int64_t now_ms)
{
    return pool->count > 0 && (pool->heap[0].message.until_ms <= now_ms ||
                               pool->in_flight < slots + planted("pool-one-more"));
}

bool pool_next(struct pool *pool, uint32_t slots, int64_t now_ms, struct arena *scratch,
               struct stage_message *out)
{
    if (!pool_can_move(pool, slots, now_ms))
        return false;
    bool has_lapsed = pool->heap[0].message.until_ms <= now_ms;
    struct pool_entry entry = take(pool, 0);
    *out = entry.message;
    if (has_lapsed)
        out->kind = BACK_LAPSED;
    else
        out->fields =
            arena_copy(scratch, (struct str){(const char *)blob_at(&pool->space, entry.fields),
                                             entry.fields.bytes});
    blob_set(&pool->space, &entry.fields, NULL, 0);
    return true;
}

/* ---- the rate ------------------------------------------------------------------------------------ */

/* Each grant costs `each` microseconds, up to `burst` may be owed: of burst + (per - 1) / each grants, which
 * is the most in any half-open stretch of `per`, there are `count`. */
struct cost {
    int64_t each_us;
    int64_t burst;
};

static struct cost cost_of(struct plan_pace rate)
{
    must(rate.per_ms > 0);
    must(rate.count > 0);
    int64_t per_us = rate.per_ms * 1000;
    int64_t count = rate.count;
    int64_t burst = max_of(count * SECOND_MS / rate.per_ms / 2, INT64_C(1));
    int64_t room = count - burst + 1;
    must(room > 0);
    return (struct cost){(per_us + room - 1) / room, burst};
}

int64_t pool_rate_ms(const struct pool *pool, struct plan_pace rate)
{
    if (rate.count == 0)
        return INT64_MIN;
    struct cost cost = cost_of(rate);
    must(cost.each_us > 0);
    must(cost.burst >= 1);
    int64_t free_us = pool->busy_us - (cost.burst - 1) * cost.each_us;
    return free_us <= 0 ? 0 : (free_us + 999) / 1000;
}

void pool_rate_take(struct pool *pool, struct plan_pace rate, int64_t now_ms)
{
    if (rate.count == 0)
        return;
    pool->busy_us = max_of(pool->busy_us, now_ms * 1000) + cost_of(rate).each_us;
}
