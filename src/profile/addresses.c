/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/addresses.h"
#include "base/canary.h"

#define IS_LIST (UINT64_C(1) << 63) /* in an entry's first word; profiles' numbers are below it */

static uint32_t partition_of(struct id128 address)
{
    return (uint32_t)(address.high & (PARTITIONS - 1));
}

static struct vec vec_of(const struct index_entry *e)
{
    struct vec v;
    _Static_assert(sizeof(v) == sizeof(e->second), "a list fits into a word");
    memcpy(&v, &e->second, sizeof(v));
    return v;
}

static void set_vec(struct index_entry *e, struct vec v)
{
    memcpy(&e->second, &v, sizeof(v));
}

void addresses_init(struct addresses *a, const struct identity_host *host)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        index_init(&a->index[i]);
        space_init(&a->spaces[i]);
    }
    a->host = host;
}

void addresses_fini(struct addresses *a)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        index_fini(&a->index[i]);
        space_fini(&a->spaces[i]);
    }
}

uint64_t addresses_choose(const struct addresses *a, uint64_t p, uint64_t q)
{
    if (p == 0 || q == 0)
        return p ? p : q;
    bool has_p = id128_is_set(a->host->profile(a->host->self, p)->user);
    bool has_q = id128_is_set(a->host->profile(a->host->self, q)->user);
    if (has_p != has_q)
        return has_p ? p : q;
    return min_of(p, q);
}

/* Puts the number where it belongs in the list, which has room. */
static void insert(struct space *s, struct vec *v, uint64_t profile)
{
    uint64_t *end = vec_push(s, v, sizeof(uint64_t));
    must(end != NULL);
    uint64_t *at = vec_touch(s, v, 0, sizeof(uint64_t));
    uint32_t i = v->count - 1u;
    for (; i > 0 && at[i - 1] > profile; i--)
        at[i] = at[i - 1];
    must(i == 0 || at[i - 1] < profile);
    at[i] = profile;
}

/* The list's last in the order of choice. */
static uint32_t worst_of(const struct addresses *a, const struct space *s, const struct vec *v)
{
    const uint64_t *at = vec_at(s, v, 0, sizeof(uint64_t));
    uint32_t worst = 0;
    for (uint32_t i = 1; i < v->count; i++)
        if (addresses_choose(a, at[worst], at[i]) == at[worst])
            worst = i;
    return worst;
}

void addresses_hold(struct addresses *a, struct id128 address, uint64_t profile)
{
    uint32_t partition = partition_of(address);
    struct space *s = &a->spaces[partition];
    keep_before(a->keeper, partition, address);
    struct index_entry *e = index_add(&a->index[partition], address);
    if (e->first == 0) {
        e->first = profile;
        return;
    }
    struct vec v = {0};
    if (e->first & IS_LIST) {
        v = vec_of(e);
    } else {
        must(e->first != profile);
        insert(s, &v, e->first);
        e->first = IS_LIST;
    }
    if (v.count == ADDRESS_HOLDERS_MAX) {
        uint32_t worst = worst_of(a, s, &v);
        uint64_t last = *(const uint64_t *)vec_at(s, &v, worst, sizeof(uint64_t));
        e->first++;
        if (addresses_choose(a, last, profile) == last)
            return;
        vec_drop(s, &v, worst, sizeof(uint64_t));
    }
    insert(s, &v, profile);
    set_vec(e, v);
}

void addresses_leave(struct addresses *a, struct id128 address, uint64_t profile)
{
    uint32_t partition = partition_of(address);
    struct space *s = &a->spaces[partition];
    struct index_entry *e = index_find(&a->index[partition], address);
    must(e != NULL);
    if (planted("address-not-let-go"))
        return;
    keep_before(a->keeper, partition, address);
    if (!(e->first & IS_LIST)) {
        must(e->first == profile);
        index_drop(&a->index[partition], address);
        return;
    }
    struct vec v = vec_of(e);
    uint32_t i = 0;
    while (i < v.count && *(const uint64_t *)vec_at(s, &v, i, sizeof(uint64_t)) != profile)
        i++;
    if (i < v.count) {
        vec_drop(s, &v, i, sizeof(uint64_t));
    } else { /* one of those that are only counted */
        must(e->first > IS_LIST);
        e->first--;
    }
    set_vec(e, v);
    if (e->first > IS_LIST || v.count > 1)
        return;
    if (v.count == 0) {
        index_drop(&a->index[partition], address);
        return;
    }
    e->first = *(const uint64_t *)vec_at(s, &v, 0, sizeof(uint64_t));
    vec_clear(s, &v, sizeof(uint64_t));
    set_vec(e, v);
}

uint32_t addresses_list(const struct addresses *a, struct id128 address,
                        uint64_t list[ADDRESS_HOLDERS_MAX], uint32_t *others)
{
    uint32_t partition = partition_of(address);
    const struct index_entry *e = index_find(&a->index[partition], address);
    *others = 0;
    if (e == NULL)
        return 0;
    if (!(e->first & IS_LIST)) {
        list[0] = e->first;
        return 1;
    }
    struct vec v = vec_of(e);
    must(v.count <= ADDRESS_HOLDERS_MAX);
    *others = (uint32_t)(e->first & ~IS_LIST);
    if (v.count != 0)
        memcpy(list, vec_at(&a->spaces[partition], &v, 0, sizeof(uint64_t)),
               v.count * sizeof(uint64_t));
    return v.count;
}

uint64_t addresses_find(const struct addresses *a, struct id128 address)
{
    uint64_t list[ADDRESS_HOLDERS_MAX], best = 0;
    uint32_t others, count = addresses_list(a, address, list, &others);
    for (uint32_t i = 0; i < count; i++)
        best = addresses_choose(a, best, list[i]);
    return best;
}

bool addresses_next(const struct addresses *a, uint32_t partition, uint32_t *place,
                    struct id128 *address)
{
    const struct index *x = &a->index[partition];
    while (*place < index_slot_count(x)) {
        *address = index_slot(x, (*place)++)->key;
        if (id128_is_set(*address))
            return true;
    }
    return false;
}

bool addresses_restore(struct addresses *a, struct id128 address, const uint64_t *list,
                       uint32_t count, uint32_t others)
{
    uint32_t partition = partition_of(address);
    struct space *s = &a->spaces[partition];
    if (!id128_is_set(address) || count > ADDRESS_HOLDERS_MAX || count + others == 0 ||
        index_find(&a->index[partition], address) != NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == 0 || list[i] & IS_LIST || (i > 0 && list[i - 1] >= list[i]))
            return false;
    struct index_entry *e = index_add(&a->index[partition], address);
    if (count == 1 && others == 0) {
        e->first = list[0];
        return true;
    }
    struct vec v = {0};
    for (uint32_t i = 0; i < count; i++)
        insert(s, &v, list[i]);
    e->first = IS_LIST | others;
    set_vec(e, v);
    return true;
}
