/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/gate.h"
#include "base/canary.h"

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
    must(e->first != 0);
    return *(const struct address *)space_at(&g->spaces[p], (uint32_t)e->first);
}

void gate_put(struct gate *g, struct id128 address, const struct address *a)
{
    uint32_t p = partition_of(address);
    keep_before(g->keeper, p, address);
    struct index_entry *e = index_add(&g->addresses[p], address);
    if (e->first == 0)
        e->first = space_alloc(&g->spaces[p], sizeof(struct address));
    must(e->first != 0);
    *(struct address *)space_touch(&g->spaces[p], (uint32_t)e->first) = *a;
}

struct space *gate_space(struct gate *g, struct id128 address)
{
    return &g->spaces[partition_of(address)];
}

static uint64_t owner_of(const struct gate *g, uint64_t profile)
{
    return g->host == NULL ? profile : identity_follow(g->host, profile);
}

static const struct address_attempt *attempt_at(const struct space *s, const struct address *a,
                                                uint32_t i)
{
    return vec_at(s, &a->attempts, i, sizeof(struct address_attempt));
}

static int64_t opt_in_at(const struct space *s, const struct address *a, uint32_t i)
{
    return *(const int64_t *)vec_at(s, &a->opt_ins, i, sizeof(int64_t));
}

/* When one more attempt of a lane that obeys caps fits in; not after now_ms = at once. */
static int64_t attempts_free(const struct space *s, const struct address *a, uint32_t limit,
                             int64_t now_ms)
{
    uint32_t count = a->attempts.count;
    if (count < limit + planted("gate-one-more"))
        return now_ms;
    must(limit > 0);
    must(limit <= count);
    return attempt_at(s, a, count - limit)->at_ms + ADDRESS_WINDOW_MS;
}

/* The same for one more confirmation. */
static int64_t opt_ins_free(const struct space *s, const struct address *a, int64_t now_ms)
{
    uint32_t count = a->opt_ins.count;
    int64_t free_ms = now_ms;
    if (count > 0)
        free_ms = max_of(free_ms, opt_in_at(s, a, count - 1) + OPT_IN_DAY_MS);
    if (count >= OPT_IN_MONTH_MAX + planted("opt-in-one-more"))
        free_ms = max_of(free_ms, opt_in_at(s, a, count - OPT_IN_MONTH_MAX) + OPT_IN_MONTH_MS);
    return free_ms;
}

/* Has the same message gone here for somebody else? */
static bool is_duplicate(const struct gate *g, const struct space *s, const struct address *a,
                         const struct stage_message *m, int64_t now_ms)
{
    for (uint32_t i = 0; m->content != 0 && i < a->attempts.count; i++) {
        const struct address_attempt *x = attempt_at(s, a, i);
        if (!planted("gate-says-it-twice") && x->content == m->content &&
            x->at_ms > now_ms - ADDRESS_WINDOW_MS &&
            owner_of(g, x->profile) != owner_of(g, m->profile))
            return true;
    }
    return false;
}

uint8_t gate_look_on(const struct gate *g, const struct plan *plan, const struct stage_message *m,
                     int64_t now_ms, int64_t *at_ms)
{
    const struct space *s = &g->spaces[partition_of(m->address)];
    struct address a = gate_look(g, m->address);
    uint32_t flags = lane_term((enum lane)m->lane)->flags;
    *at_ms = FOREVER_MS;
    if (a.is_bad && !planted("gate-bad-address"))
        return SUPPRESSED_BAD_ADDRESS;
    if (a.is_stopped && !(flags & LANE_TRIES_STOPPED))
        return SUPPRESSED_STOPPED;
    if (a.is_unsubscribed && flags & LANE_CONSENT)
        return SUPPRESSED_UNSUBSCRIBED;
    if (flags & LANE_CAPS && is_duplicate(g, s, &a, m, now_ms))
        return SUPPRESSED_DUPLICATE;
    int64_t free_ms = now_ms;
    if (flags & LANE_CAPS)
        free_ms = attempts_free(
            s, &a, plan->address_limit ? plan->address_limit : PLAN_ADDRESS_LIMIT, now_ms);
    else if (flags & LANE_RATIONED)
        free_ms = opt_ins_free(s, &a, now_ms);
    if (free_ms <= now_ms)
        return 0;
    *at_ms = free_ms;
    return SUPPRESSED_CAP;
}

/* Notes the attempt; forgets those that no question reaches any more. */
static void note(struct gate *g, const struct stage_message *m, int64_t now_ms)
{
    keep_before(g->keeper, partition_of(m->address), m->address);
    struct space *s = gate_space(g, m->address);
    struct address a = gate_look(g, m->address);
    uint32_t flags = lane_term((enum lane)m->lane)->flags;
    if (flags & LANE_CAPS) {
        const uint32_t bytes = sizeof(struct address_attempt);
        while (a.attempts.count > 0 && (attempt_at(s, &a, 0)->at_ms <= now_ms - ADDRESS_WINDOW_MS ||
                                        a.attempts.count == PLAN_ADDRESS_LIMIT_MAX))
            vec_drop(s, &a.attempts, 0, bytes);
        must(a.attempts.count < PLAN_ADDRESS_LIMIT_MAX);
        struct address_attempt *x = vec_push(s, &a.attempts, bytes);
        must(x != NULL);
        *x = (struct address_attempt){now_ms, m->content, m->profile};
    } else if (flags & LANE_RATIONED) {
        while (a.opt_ins.count > 0 && (opt_in_at(s, &a, 0) <= now_ms - OPT_IN_MONTH_MS ||
                                       a.opt_ins.count == OPT_IN_MONTH_MAX))
            vec_drop(s, &a.opt_ins, 0, sizeof(int64_t));
        must(a.opt_ins.count < OPT_IN_MONTH_MAX);
        int64_t *x = vec_push(s, &a.opt_ins, sizeof(int64_t));
        must(x != NULL);
        *x = now_ms;
    } else {
        return;
    }
    gate_put(g, m->address, &a);
}

uint8_t gate_ask(struct gate *g, const struct plan *plan, const struct stage_message *m,
                 int64_t now_ms, int64_t *at_ms)
{
    uint8_t how = gate_look_on(g, plan, m, now_ms, at_ms);
    if (how == 0)
        note(g, m, now_ms);
    return how;
}

void gate_apply(struct gate *g, const struct stage_message *m)
{
    must(m->kind == TO_ADDRESS_CLEAR || m->kind == TO_ADDRESS_SUPPRESS);
    struct address a = gate_look(g, m->address);
    if (m->kind == TO_ADDRESS_CLEAR && !a.is_unsubscribed && !a.is_stopped)
        return; /* nothing to lift: addresses that nobody refused take no memory */
    if (m->kind == TO_ADDRESS_CLEAR && m->at_ms <= a.no_ms)
        return;
    bool is_no = m->kind == TO_ADDRESS_SUPPRESS && m->how != SUPPRESSED_BAD_ADDRESS;
    a.no_ms = is_no ? max_of(a.no_ms, m->at_ms) : m->kind == TO_ADDRESS_CLEAR ? 0 : a.no_ms;
    if (m->kind == TO_ADDRESS_CLEAR)
        a.is_unsubscribed = a.is_stopped = false;
    else if (m->how == SUPPRESSED_BAD_ADDRESS)
        a.is_bad = true;
    else if (m->how == SUPPRESSED_STOPPED)
        a.is_stopped = true;
    else
        a.is_unsubscribed = true;
    gate_put(g, m->address, &a);
}
