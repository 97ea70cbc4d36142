/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/gate.h"

void gate_init(struct gate *g)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        index_init(&g->addresses[i]);
        space_init(&g->spaces[i]);
    }
}

void gate_fini(struct gate *g)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        index_fini(&g->addresses[i]);
        space_fini(&g->spaces[i]);
    }
}

static uint32_t partition_of(struct id128 address)
{
    return (uint32_t)(address.high & (PARTITIONS - 1));
}

struct address gate_look(const struct gate *g, struct id128 address)
{
    uint32_t p = partition_of(address);
    const struct index_entry *e = index_find(&g->addresses[p], address);
    if (e == NULL)
        return (struct address){0};
    return *(const struct address *)space_at(&g->spaces[p], (uint32_t)e->first);
}

void gate_put(struct gate *g, struct id128 address, const struct address *a)
{
    uint32_t p = partition_of(address);
    struct index_entry *e = index_add(&g->addresses[p], address);
    if (e->first == 0)
        e->first = space_alloc(&g->spaces[p], sizeof(struct address));
    *(struct address *)space_touch(&g->spaces[p], (uint32_t)e->first) = *a;
}

uint8_t gate_ask(struct gate *g, const struct stage_message *m, int64_t now_ms, int64_t *at_ms)
{
    struct address a = gate_look(g, m->address);
    uint32_t flags = lane_term((enum lane)m->lane)->flags;
    *at_ms = FOREVER_MS;
    if (a.is_bad)
        return SUPPRESSED_BAD_ADDRESS;
    if (a.is_unsubscribed && flags & LANE_CONSENT)
        return SUPPRESSED_UNSUBSCRIBED;
    if (!(flags & LANE_CAPS))
        return 0;
    if (a.attempt_count == ADDRESS_CAP) {
        int64_t free_ms = a.attempts_ms[0] + ADDRESS_CAP_MS;
        if (free_ms > now_ms) {
            *at_ms = free_ms;
            return SUPPRESSED_CAP;
        }
        memmove(&a.attempts_ms[0], &a.attempts_ms[1], (ADDRESS_CAP - 1) * sizeof(a.attempts_ms[0]));
        a.attempt_count--;
    }
    a.attempts_ms[a.attempt_count++] = now_ms;
    gate_put(g, m->address, &a);
    return 0;
}

void gate_apply(struct gate *g, const struct stage_message *m)
{
    struct address a = gate_look(g, m->address);
    if (m->kind == TO_ADDRESS_CLEAR && !a.is_unsubscribed)
        return; /* nothing to lift: addresses that nobody refused take no memory */
    if (m->kind == TO_ADDRESS_CLEAR)
        a.is_unsubscribed = false;
    else if (m->how == SUPPRESSED_BAD_ADDRESS)
        a.is_bad = true;
    else
        a.is_unsubscribed = true;
    gate_put(g, m->address, &a);
}
