/* outbox.c - see outbox.h for what is decided and why.
 *
 * An attempt that is held stands in one place:
 *
 *     waiting   heap by due time        a retry's time has not come
 *     fresh     heap by order           may start: never transmitted yet
 *     retry     heap by order           may start, if the budget has a retry left
 *     in flight in a slot
 *
 * each heap one per provider; all that are not in flight stand besides in one heap by deadline. Heaps
 * hold indices into `held`, whose entries know their positions, so anything is taken out of anywhere
 * in O(log n). Orders that answer a call (reports, alarms) queue up in `orders` until outbox_next().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "outbox/outbox.h"

#include <stdio.h>

#include "base/canary.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#define TICKET_INDEX_BITS 17
#define NOWHERE           UINT32_MAX
#define BUDGET_UNIT       100 /* one retry, in the budget's small coin */

_Static_assert(OUTBOX_HELD_MAX <= 1u << TICKET_INDEX_BITS, "an index fits into a ticket");

enum place {
    PLACE_FREE = 0,
    PLACE_WAITING,
    PLACE_FRESH,
    PLACE_RETRY,
    PLACE_IN_FLIGHT,
};

struct held {
    struct outbox_attempt attempt;
    uint64_t order;  /* when it was taken: 1, 2, ... */
    uint64_t ticket; /* in flight */
    int64_t due_ms;  /* waiting */
    uint32_t tries;  /* transmissions started */
    uint32_t slot;   /* in flight */
    uint32_t queue_at;
    uint32_t deadline_at;
    uint8_t place; /* enum place */
    bool was_in_doubt;
    bool is_revoked;
    bool is_probe;
    int32_t code; /* of the last transmission */
};

typedef bool heap_before(const struct held *a, const struct held *b);

struct heap {
    uint32_t *items; /* indices of held */
    uint32_t count;
    uint32_t room;
};

struct provider {
    struct outbox_retry retry;
    uint32_t slots;
    uint32_t in_flight;
    uint64_t busy[OUTBOX_SLOTS_MAX / 64]; /* bit per slot */
    struct heap waiting, fresh, again;
    uint64_t budget;     /* in BUDGET_UNIT per retry */
    int64_t refilled_ms; /* until when time has filled the budget */
    enum outbox_breaker breaker;
    uint32_t failures; /* of the provider itself, in a row */
    int64_t open_ms;   /* how long it was opened last */
    int64_t open_until_ms;
    bool has_probe;   /* half open: one in flight */
    int64_t pause_ms; /* how long it was paused last */
    int64_t pause_until_ms;
};

struct outbox {
    struct held *held;
    uint32_t held_room; /* entries allocated */
    uint32_t held_count;
    uint32_t *free; /* stack of free entries */
    uint32_t free_count;
    struct map_u64 ids;    /* id of an attempt -> index */
    struct heap deadlines; /* all that are not in flight */
    struct provider providers[OUTBOX_PROVIDERS_MAX];
    uint32_t provider_count;
    uint32_t turn; /* provider that is asked first, so that none waits for another */
    uint64_t order;
    uint64_t ticket;
    struct outbox_order *orders; /* ring */
    uint32_t orders_first;
    uint32_t orders_count;
    uint32_t orders_room; /* a power of two */
    bool is_stopped;
};

/* --- heaps ------------------------------------------------------------------------------------ */

static bool is_due_before(const struct held *a, const struct held *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static bool is_dead_before(const struct held *a, const struct held *b)
{
    int64_t x = a->attempt.deadline_ms, y = b->attempt.deadline_ms;
    return x != y ? x < y : a->order < b->order;
}

static bool is_started_before(const struct held *a, const struct held *b)
{
    if (a->attempt.priority != b->attempt.priority)
        return a->attempt.priority < b->attempt.priority;
    return is_dead_before(a, b);
}

/* Which heap an entry's `place` names, how it is ordered, and where the entry notes its position. */
struct shelf {
    struct heap *heap;
    heap_before *before;
    bool is_deadlines;
};

static struct shelf queue_of(struct outbox *o, const struct held *h)
{
    struct provider *p = &o->providers[h->attempt.provider];
    if (h->place == PLACE_WAITING)
        return (struct shelf){&p->waiting, is_due_before, false};
    must(h->place == PLACE_FRESH || h->place == PLACE_RETRY);
    return (struct shelf){h->place == PLACE_FRESH ? &p->fresh : &p->again, is_started_before,
                          false};
}

static struct shelf deadlines_of(struct outbox *o)
{
    return (struct shelf){&o->deadlines, is_dead_before, true};
}

static void set_at(struct outbox *o, struct shelf s, uint32_t at, uint32_t index)
{
    s.heap->items[at] = index;
    if (s.is_deadlines)
        o->held[index].deadline_at = at;
    else
        o->held[index].queue_at = at;
}

static void sift_up(struct outbox *o, struct shelf s, uint32_t at)
{
    uint32_t index = s.heap->items[at];
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (!s.before(&o->held[index], &o->held[s.heap->items[parent]]))
            break;
        set_at(o, s, at, s.heap->items[parent]);
        at = parent;
    }
    set_at(o, s, at, index);
}

static void sift_down(struct outbox *o, struct shelf s, uint32_t at)
{
    uint32_t index = s.heap->items[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= s.heap->count)
            break;
        if (child + 1 < s.heap->count &&
            s.before(&o->held[s.heap->items[child + 1]], &o->held[s.heap->items[child]]))
            child++;
        if (!s.before(&o->held[s.heap->items[child]], &o->held[index]))
            break;
        set_at(o, s, at, s.heap->items[child]);
        at = child;
    }
    set_at(o, s, at, index);
}

static void heap_add(struct outbox *o, struct shelf s, uint32_t index)
{
    if (s.heap->count == s.heap->room) {
        s.heap->room = s.heap->room ? s.heap->room * 2 : 16;
        s.heap->items = mem_resize(s.heap->items, s.heap->room * sizeof(s.heap->items[0]));
    }
    s.heap->items[s.heap->count++] = index;
    sift_up(o, s, s.heap->count - 1);
}

static void heap_drop(struct outbox *o, struct shelf s, uint32_t at)
{
    must(at < s.heap->count);
    uint32_t last = s.heap->items[--s.heap->count];
    if (at == s.heap->count)
        return;
    set_at(o, s, at, last);
    sift_down(o, s, at);
    sift_up(o, s, s.is_deadlines ? o->held[last].deadline_at : o->held[last].queue_at);
}

/* --- places ----------------------------------------------------------------------------------- */

static uint32_t index_of(const struct outbox *o, const struct held *h)
{
    return (uint32_t)(h - o->held);
}

/* The profile is not part of it: after a merge it is another one, and the attempt the same. */
static uint64_t id_of(uint64_t decision, uint32_t attempt)
{
    return hash_pair(decision, attempt);
}

/* Takes an entry out of its queue and the deadlines; nothing if it is in flight. */
static void unqueue(struct outbox *o, struct held *h)
{
    if (h->place == PLACE_IN_FLIGHT)
        return;
    heap_drop(o, queue_of(o, h), h->queue_at);
    heap_drop(o, deadlines_of(o), h->deadline_at);
}

static void enqueue(struct outbox *o, struct held *h, enum place place)
{
    h->place = (uint8_t)place;
    heap_add(o, queue_of(o, h), index_of(o, h));
    heap_add(o, deadlines_of(o), index_of(o, h));
}

static struct held *hold(struct outbox *o, const struct outbox_attempt *attempt)
{
    must(attempt->provider < o->provider_count);
    must(attempt->attempt >= 1);
    must(o->held_count < OUTBOX_HELD_MAX);
    uint64_t id = id_of(attempt->decision, attempt->attempt);
    must(map_u64_find(&o->ids, id) == MAP_NONE);

    if (o->free_count == 0) {
        uint32_t before = o->held_room;
        o->held_room = before ? before * 2 : 64;
        o->held = mem_resize(o->held, o->held_room * sizeof(o->held[0]));
        o->free = mem_resize(o->free, o->held_room * sizeof(o->free[0]));
        memset(&o->held[before], 0, (o->held_room - before) * sizeof(o->held[0]));
        for (uint32_t i = o->held_room; i > before; i--)
            o->free[o->free_count++] = i - 1;
    }
    uint32_t index = o->free[--o->free_count];
    struct held *h = &o->held[index];
    *h = (struct held){.attempt = *attempt, .order = ++o->order};
    map_u64_set(&o->ids, id, index);
    o->held_count++;
    return h;
}

/* Forgets an entry that is in no queue. */
static void release(struct outbox *o, struct held *h)
{
    uint64_t id = id_of(h->attempt.decision, h->attempt.attempt);
    must(map_u64_drop(&o->ids, id) == index_of(o, h));
    h->place = PLACE_FREE;
    o->free[o->free_count++] = index_of(o, h);
    o->held_count--;
}

/* --- orders ----------------------------------------------------------------------------------- */

static struct outbox_order *order_new(struct outbox *o, enum outbox_order_kind kind)
{
    if (o->orders_count == o->orders_room) {
        uint32_t room = o->orders_room ? o->orders_room * 2 : 16;
        struct outbox_order *ring = mem_new(room * sizeof(ring[0]));
        for (uint32_t i = 0; i < o->orders_count; i++)
            ring[i] = o->orders[(o->orders_first + i) & (o->orders_room - 1)];
        mem_free(o->orders);
        o->orders = ring;
        o->orders_first = 0;
        o->orders_room = room;
    }
    uint32_t at = (o->orders_first + o->orders_count++) & (o->orders_room - 1);
    o->orders[at] = (struct outbox_order){.kind = kind, .until_ms = FOREVER_MS};
    return &o->orders[at];
}

static struct outbox_order *report(struct outbox *o, const struct held *h,
                                   enum receipt_kind receipt, const char *detail)
{
    struct outbox_order *order = order_new(o, OUTBOX_REPORT);
    order->provider = h->attempt.provider;
    order->tries = h->tries;
    order->attempt = h->attempt;
    order->receipt = receipt;
    order->was_in_doubt = h->was_in_doubt;
    order->is_final = receipt != RECEIPT_TEMPORARY;
    order->code = h->code;
    snprintf(order->detail, sizeof(order->detail), "%s", detail);
    return order;
}

/* Ends an attempt that is in no queue. What may have been accepted does not end as "not accepted". */
static void end(struct outbox *o, struct held *h, enum receipt_kind receipt, const char *detail)
{
    bool is_known = receipt == RECEIPT_ACCEPTED || receipt == RECEIPT_REJECTED_ADDRESS;
    report(o, h, h->was_in_doubt && !is_known ? RECEIPT_IN_DOUBT : receipt, detail);
    release(o, h);
}

static void hand_back(struct outbox *o, struct held *h)
{
    struct outbox_order *order = order_new(o, OUTBOX_RETURN);
    order->provider = h->attempt.provider;
    order->tries = h->tries;
    order->attempt = h->attempt;
    order->was_in_doubt = h->was_in_doubt;
    order->is_final = true;
    release(o, h);
}

static void raise_alarm(struct outbox *o, uint32_t provider, int64_t until_ms, int32_t code,
                        const char *detail)
{
    struct outbox_order *order = order_new(o, OUTBOX_ALARM);
    order->provider = provider;
    order->breaker = o->providers[provider].breaker;
    order->until_ms = until_ms;
    order->code = code;
    snprintf(order->detail, sizeof(order->detail), "%s", detail);
}

/* --- back-off, budget, breaker, pause --------------------------------------------------------- */

/* x + y without passing the end of time. */
static int64_t later(int64_t x, int64_t y)
{
    return y > FOREVER_MS - x ? FOREVER_MS : x + y;
}

/* `first` doubled `times` times, at most `most`. */
static int64_t doubled(int64_t first, uint32_t times, int64_t most)
{
    while (times-- > 0 && first < most)
        first = first > most / 2 ? most : first * 2;
    return min_of(first, most);
}

/* How long to wait after try number `tries`; -1: the plan has no further try. */
static int64_t backoff_ms(const struct outbox_retry *retry, const struct held *h)
{
    uint64_t chance = hash_pair(id_of(h->attempt.decision, h->attempt.attempt), h->tries);
    if (retry->delays_ms == NULL) {
        int64_t most = doubled(retry->first_ms, h->tries - 1, retry->most_ms);
        return 1 + (int64_t)(chance % (uint64_t)most);
    }
    if (h->tries > retry->delays_count)
        return -1;
    int64_t delay = retry->delays_ms[h->tries - 1];
    int64_t spread = delay / 5;
    return delay - spread / 2 + (int64_t)(chance % (uint64_t)(spread + 1));
}

static void budget_refill(struct provider *p, int64_t now_ms)
{
    uint64_t most = (uint64_t)p->retry.budget_reserve * BUDGET_UNIT;
    if (now_ms - p->refilled_ms >= p->retry.budget_refill_ms) {
        int64_t times = (now_ms - p->refilled_ms) / p->retry.budget_refill_ms;
        uint64_t more = (uint64_t)min_of(times, (int64_t)p->retry.budget_reserve) * BUDGET_UNIT;
        p->budget += more;
        p->refilled_ms += times * p->retry.budget_refill_ms;
    }
    p->budget = min_of(p->budget, most);
}

static void breaker_open(struct outbox *o, uint32_t provider, int64_t for_ms, int64_t now_ms,
                         const struct transmission *t)
{
    struct provider *p = &o->providers[provider];
    if (p->breaker == OUTBOX_OPEN && (for_ms == 0 || p->open_until_ms == FOREVER_MS))
        return; /* what was in flight when it opened is no news */
    if (for_ms == 0) {
        p->open_ms = p->open_ms == 0 ? p->retry.breaker_first_ms
                                     : doubled(p->open_ms, 1, p->retry.breaker_most_ms);
        for_ms = p->open_ms;
    }
    p->breaker = OUTBOX_OPEN;
    p->open_until_ms = later(now_ms, for_ms);
    raise_alarm(o, provider, p->open_until_ms, t->code, t->detail);
}

static void breaker_close(struct outbox *o, uint32_t provider, const char *detail)
{
    struct provider *p = &o->providers[provider];
    p->failures = 0;
    if (p->breaker == OUTBOX_CLOSED)
        return;
    p->breaker = OUTBOX_CLOSED;
    p->open_ms = 0;
    raise_alarm(o, provider, 0, 0, detail);
}

/* Nothing starts for a while, longer each time until something is accepted. What was in flight when
 * the pause began is no news. */
static void pause_provider(struct outbox *o, uint32_t provider, int64_t now_ms,
                           const struct transmission *t)
{
    struct provider *p = &o->providers[provider];
    bool is_news = now_ms >= p->pause_until_ms;
    if (is_news)
        p->pause_ms = p->pause_ms == 0 ? p->retry.pause_first_ms
                                       : doubled(p->pause_ms, 1, p->retry.pause_most_ms);
    int64_t until_ms = later(now_ms, max_of(p->pause_ms, t->retry_after_ms));
    p->pause_until_ms = max_of(p->pause_until_ms, until_ms);
    if (is_news)
        raise_alarm(o, provider, p->pause_until_ms, t->code, t->detail);
}

/* What a result says about the provider, whatever it says about the message. */
static void learn(struct outbox *o, uint32_t provider, const struct transmission *t, bool is_probe,
                  int64_t now_ms)
{
    struct provider *p = &o->providers[provider];
    switch (t->outcome) {
    case TRANSMISSION_ACCEPTED:
        p->pause_ms = 0;
        breaker_close(o, provider, "accepts messages again");
        break;
    case TRANSMISSION_SOFT:
    case TRANSMISSION_BAD_ADDRESS:
    case TRANSMISSION_BAD_MESSAGE: breaker_close(o, provider, "answers again"); break;
    case TRANSMISSION_SLOW_DOWN:
        pause_provider(o, provider, now_ms, t);
        breaker_close(o, provider, "answers again");
        break;
    case TRANSMISSION_POLICY:
        pause_provider(o, provider, now_ms, t);
        breaker_close(o, provider, "answers again");
        break;
    case TRANSMISSION_NO_ACCESS: breaker_open(o, provider, 0, now_ms, t); break;
    case TRANSMISSION_GONE: breaker_open(o, provider, FOREVER_MS, now_ms, t); break;
    case TRANSMISSION_UNREACHABLE:
    case TRANSMISSION_IN_DOUBT:
        p->failures++;
        if (p->failures >= p->retry.breaker_failures || is_probe)
            breaker_open(o, provider, 0, now_ms, t);
        break;
    case TRANSMISSION_ABORTED: /* the provider was not asked */
    case TRANSMISSION_OUTCOME_END: break;
    }
}

/* --- life of an attempt ----------------------------------------------------------------------- */

/* After a transmission that may be repeated: when, or is this the end? `h` is in no queue. */
static void try_again(struct outbox *o, struct held *h, const struct transmission *t,
                      int64_t now_ms)
{
    struct provider *p = &o->providers[h->attempt.provider];
    if (h->is_revoked) {
        end(o, h, RECEIPT_GAVE_UP, t->detail);
        return;
    }
    int64_t delay_ms = backoff_ms(&p->retry, h);
    /* A refused credential is not this message's failure: the breaker times its next try. */
    if (t->outcome == TRANSMISSION_NO_ACCESS)
        delay_ms = 0;
    int64_t due_ms = later(now_ms, max_of(delay_ms, t->retry_after_ms));
    if (delay_ms < 0 || due_ms >= h->attempt.deadline_ms) {
        end(o, h, RECEIPT_GAVE_UP, t->detail);
        return;
    }
    report(o, h, RECEIPT_TEMPORARY, t->detail)->until_ms = due_ms;
    if (o->is_stopped) {
        hand_back(o, h);
        return;
    }
    h->due_ms = due_ms;
    enqueue(o, h, PLACE_WAITING);
}

void outbox_take(struct outbox *o, const struct outbox_attempt *attempt, int64_t now_ms)
{
    struct held *h = hold(o, attempt);
    if (attempt->deadline_ms <= now_ms)
        end(o, h, RECEIPT_GAVE_UP, "its deadline had passed");
    else if (o->is_stopped)
        hand_back(o, h);
    else
        enqueue(o, h, PLACE_FRESH);
}

static void in_doubt(struct outbox *o, struct held *h, const struct transmission *t, int64_t now_ms)
{
    h->was_in_doubt = true;
    if (h->attempt.lane == OUTBOX_AT_MOST_ONCE && !planted("outbox-doubt-sends-again"))
        end(o, h, RECEIPT_IN_DOUBT, t->detail);
    else
        try_again(o, h, t, now_ms);
}

void outbox_take_in_doubt(struct outbox *o, const struct outbox_attempt *attempt, int64_t now_ms)
{
    struct held *h = hold(o, attempt);
    h->tries = 1;
    const struct transmission t = {
        .outcome = TRANSMISSION_IN_DOUBT,
        .detail = "the process ended while it may have been in flight",
    };
    in_doubt(o, h, &t, now_ms);
}

void outbox_result(struct outbox *o, uint64_t ticket, const struct transmission *t, int64_t now_ms)
{
    uint32_t index = (uint32_t)(ticket & ((1u << TICKET_INDEX_BITS) - 1));
    must(index < o->held_room);
    struct held *h = &o->held[index];
    must(h->place == PLACE_IN_FLIGHT);
    must(h->ticket == ticket);
    uint32_t provider = h->attempt.provider;
    struct provider *p = &o->providers[provider];

    must(p->in_flight > 0);
    must(p->busy[h->slot / 64] >> h->slot % 64 & 1);
    p->in_flight--;
    p->busy[h->slot / 64] &= ~(UINT64_C(1) << h->slot % 64);
    bool is_probe = h->is_probe;
    if (is_probe)
        p->has_probe = h->is_probe = false;

    h->code = t->code;
    switch (t->outcome) {
    case TRANSMISSION_ACCEPTED: end(o, h, RECEIPT_ACCEPTED, t->detail); break;
    case TRANSMISSION_SOFT:
    case TRANSMISSION_SLOW_DOWN:
    case TRANSMISSION_UNREACHABLE:
    case TRANSMISSION_NO_ACCESS: try_again(o, h, t, now_ms); break;
    case TRANSMISSION_BAD_ADDRESS: end(o, h, RECEIPT_REJECTED_ADDRESS, t->detail); break;
    case TRANSMISSION_BAD_MESSAGE: end(o, h, RECEIPT_REJECTED_MESSAGE, t->detail); break;
    case TRANSMISSION_POLICY:
    case TRANSMISSION_GONE: end(o, h, RECEIPT_REJECTED_POLICY, t->detail); break;
    case TRANSMISSION_IN_DOUBT: in_doubt(o, h, t, now_ms); break;
    case TRANSMISSION_ABORTED: end(o, h, RECEIPT_ABORTED, t->detail); break;
    case TRANSMISSION_OUTCOME_END: must(!"an outcome");
    }
    learn(o, provider, t, is_probe, now_ms);
    must_slow((outbox_check(o), true));
}

bool outbox_revoke(struct outbox *o, uint64_t decision, uint32_t attempt)
{
    uint32_t index = map_u64_find(&o->ids, id_of(decision, attempt));
    if (index == MAP_NONE)
        return false;
    struct held *h = &o->held[index];
    h->is_revoked = true;
    if (h->place != PLACE_IN_FLIGHT) {
        unqueue(o, h);
        end(o, h, RECEIPT_GAVE_UP, "revoked");
    }
    return true;
}

void outbox_reset_breaker(struct outbox *o, uint32_t provider, int64_t now_ms)
{
    must(provider < o->provider_count);
    struct provider *p = &o->providers[provider];
    p->pause_ms = 0;
    p->pause_until_ms = min_of(p->pause_until_ms, now_ms);
    breaker_close(o, provider, "reset by an operator");
}

void outbox_stop(struct outbox *o)
{
    o->is_stopped = true;
    while (o->deadlines.count > 0) {
        struct held *h = &o->held[o->deadlines.items[0]];
        unqueue(o, h);
        hand_back(o, h);
    }
}

/* --- choosing --------------------------------------------------------------------------------- */

static void expire(struct outbox *o, int64_t now_ms)
{
    while (o->deadlines.count > 0) {
        struct held *h = &o->held[o->deadlines.items[0]];
        if (h->attempt.deadline_ms > now_ms)
            break;
        unqueue(o, h);
        end(o, h, RECEIPT_GAVE_UP, "its deadline passed while it waited to be sent");
    }
}

static void ripen(struct outbox *o, struct provider *p, int64_t now_ms)
{
    while (p->waiting.count > 0) {
        struct held *h = &o->held[p->waiting.items[0]];
        if (h->due_ms > now_ms)
            break;
        heap_drop(o, queue_of(o, h), 0);
        h->place = PLACE_RETRY;
        heap_add(o, queue_of(o, h), index_of(o, h));
    }
}

/* The next one to start at this provider, or NULL. */
static struct held *choose(struct outbox *o, const struct provider *p)
{
    struct held *fresh = p->fresh.count > 0 ? &o->held[p->fresh.items[0]] : NULL;
    struct held *again = p->again.count > 0 ? &o->held[p->again.items[0]] : NULL;
    if (again != NULL && p->budget < BUDGET_UNIT)
        again = NULL;
    if (fresh == NULL || again == NULL)
        return fresh != NULL ? fresh : again;
    return is_started_before(again, fresh) ? again : fresh;
}

static uint32_t free_slot(const struct provider *p)
{
    for (uint32_t i = 0; i < p->slots; i++)
        if (!(p->busy[i / 64] >> i % 64 & 1))
            return i;
    must(!"fewer in flight than slots");
    return 0;
}

static bool may_start(const struct provider *p, int64_t now_ms)
{
    if (p->in_flight == p->slots || p->pause_until_ms > now_ms)
        return false;
    if (p->breaker == OUTBOX_CLOSED)
        return true;
    return p->open_until_ms <= now_ms && p->open_until_ms != FOREVER_MS && !p->has_probe;
}

static bool start_one(struct outbox *o, uint32_t provider, int64_t now_ms, struct outbox_order *out)
{
    struct provider *p = &o->providers[provider];
    ripen(o, p, now_ms);
    if (!may_start(p, now_ms))
        return false;
    budget_refill(p, now_ms);
    struct held *h = choose(o, p);
    if (h == NULL)
        return false;
    must(now_ms < h->attempt.deadline_ms);

    unqueue(o, h);
    if (h->place == PLACE_RETRY) {
        must(p->budget >= BUDGET_UNIT);
        p->budget -= BUDGET_UNIT;
    } else {
        uint64_t most = (uint64_t)p->retry.budget_reserve * BUDGET_UNIT;
        p->budget = min_of(p->budget + p->retry.budget_percent, most);
    }
    if (p->breaker != OUTBOX_CLOSED) {
        p->breaker = OUTBOX_HALF_OPEN;
        p->has_probe = h->is_probe = true;
    }
    h->place = PLACE_IN_FLIGHT;
    h->slot = free_slot(p);
    h->tries++;
    h->ticket = ++o->ticket << TICKET_INDEX_BITS | index_of(o, h);
    p->busy[h->slot / 64] |= UINT64_C(1) << h->slot % 64;
    p->in_flight++;
    *out = (struct outbox_order){
        .kind = OUTBOX_START,
        .provider = provider,
        .slot = h->slot,
        .tries = h->tries,
        .ticket = h->ticket,
        .attempt = h->attempt,
        .until_ms = FOREVER_MS,
    };
    return true;
}

enum outbox_order_kind outbox_next(struct outbox *o, int64_t now_ms, struct outbox_order *out)
{
    expire(o, now_ms);
    if (o->orders_count > 0) {
        *out = o->orders[o->orders_first];
        o->orders_first = (o->orders_first + 1) & (o->orders_room - 1);
        o->orders_count--;
        return out->kind;
    }
    for (uint32_t i = 0; i < o->provider_count && !o->is_stopped; i++) {
        uint32_t provider = (o->turn + i) % o->provider_count;
        if (start_one(o, provider, now_ms, out)) {
            o->turn = (provider + 1) % o->provider_count;
            return OUTBOX_START;
        }
    }
    *out = (struct outbox_order){.kind = OUTBOX_IDLE};
    return OUTBOX_IDLE;
}

/* When this provider may start something, as things stand. */
static int64_t provider_wake_ms(const struct outbox *o, const struct provider *p)
{
    if (p->in_flight == p->slots || (p->has_probe && p->breaker != OUTBOX_CLOSED))
        return FOREVER_MS; /* a result will come first */
    int64_t at_ms = FOREVER_MS;
    if (p->waiting.count > 0)
        at_ms = o->held[p->waiting.items[0]].due_ms;
    if (p->again.count > 0) {
        int64_t budget_ms =
            p->budget >= BUDGET_UNIT ? 0 : later(p->refilled_ms, p->retry.budget_refill_ms);
        at_ms = min_of(at_ms, budget_ms);
    }
    if (p->fresh.count > 0)
        at_ms = 0;
    if (at_ms == FOREVER_MS)
        return FOREVER_MS;
    at_ms = max_of(at_ms, p->pause_until_ms);
    return p->breaker == OUTBOX_CLOSED ? at_ms : max_of(at_ms, p->open_until_ms);
}

int64_t outbox_wake_ms(const struct outbox *o)
{
    if (o->orders_count > 0)
        return 0;
    int64_t at_ms = FOREVER_MS;
    if (o->deadlines.count > 0)
        at_ms = o->held[o->deadlines.items[0]].attempt.deadline_ms;
    for (uint32_t i = 0; i < o->provider_count && !o->is_stopped; i++)
        at_ms = min_of(at_ms, provider_wake_ms(o, &o->providers[i]));
    return at_ms;
}

/* --- making and asking ------------------------------------------------------------------------ */

void outbox_retry_standard(struct outbox_retry *out)
{
    *out = (struct outbox_retry){
        .first_ms = 5 * SECOND_MS,
        .most_ms = 30 * MINUTE_MS,
        .budget_percent = 20,
        .budget_reserve = 100,
        .budget_refill_ms = SECOND_MS,
        .breaker_failures = 5,
        .breaker_first_ms = 10 * SECOND_MS,
        .breaker_most_ms = 5 * MINUTE_MS,
        .pause_first_ms = SECOND_MS,
        .pause_most_ms = 5 * MINUTE_MS,
    };
}

struct outbox *outbox_new(void)
{
    struct outbox *o = mem_new(sizeof(*o));
    map_u64_init(&o->ids);
    return o;
}

void outbox_free(struct outbox *o)
{
    if (o == NULL)
        return;
    for (uint32_t i = 0; i < o->provider_count; i++) {
        mem_free(o->providers[i].waiting.items);
        mem_free(o->providers[i].fresh.items);
        mem_free(o->providers[i].again.items);
    }
    map_u64_fini(&o->ids);
    mem_free(o->deadlines.items);
    mem_free(o->held);
    mem_free(o->free);
    mem_free(o->orders);
    mem_free(o);
}

uint32_t outbox_add_provider(struct outbox *o, uint32_t slots, const struct outbox_retry *retry)
{
    must(o->provider_count < OUTBOX_PROVIDERS_MAX);
    must(slots >= 1);
    must(slots <= OUTBOX_SLOTS_MAX);
    must(retry->first_ms >= 1);
    must(retry->most_ms >= retry->first_ms);
    must(retry->budget_percent >= 1);
    must(retry->budget_percent <= 100);
    must(retry->budget_reserve >= 1);
    must(retry->budget_refill_ms >= 1);
    must(retry->breaker_failures >= 1);
    must(retry->breaker_first_ms >= 1);
    must(retry->pause_first_ms >= 1);
    struct provider *p = &o->providers[o->provider_count];
    *p = (struct provider){
        .retry = *retry,
        .slots = slots,
        .budget = (uint64_t)retry->budget_reserve * BUDGET_UNIT,
    };
    return o->provider_count++;
}

uint32_t outbox_held(const struct outbox *o)
{
    return o->held_count;
}

uint32_t outbox_retrying(const struct outbox *o)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < o->provider_count; i++)
        count += o->providers[i].waiting.count + o->providers[i].again.count;
    return count;
}

uint32_t outbox_in_flight(const struct outbox *o, uint32_t provider)
{
    must(provider < o->provider_count);
    return o->providers[provider].in_flight;
}

enum outbox_breaker outbox_breaker_state(const struct outbox *o, uint32_t provider)
{
    must(provider < o->provider_count);
    return o->providers[provider].breaker;
}

static void heap_check(const struct outbox *o, const struct heap *heap, heap_before *before,
                       enum place place, uint32_t provider)
{
    bool is_deadlines = place == PLACE_FREE;
    for (uint32_t i = 0; i < heap->count; i++) {
        must(heap->items[i] < o->held_room);
        const struct held *h = &o->held[heap->items[i]];
        must((is_deadlines ? h->deadline_at : h->queue_at) == i);
        must(is_deadlines || h->place == place);
        must(is_deadlines || h->attempt.provider == provider);
        if (i > 0)
            must(!before(h, &o->held[heap->items[(i - 1) / 2]]));
    }
}

void outbox_check(const struct outbox *o)
{
    uint32_t in_flight = 0, queued = 0, held = 0;
    for (uint32_t i = 0; i < o->provider_count; i++) {
        const struct provider *p = &o->providers[i];
        heap_check(o, &p->waiting, is_due_before, PLACE_WAITING, i);
        heap_check(o, &p->fresh, is_started_before, PLACE_FRESH, i);
        heap_check(o, &p->again, is_started_before, PLACE_RETRY, i);
        queued += p->waiting.count + p->fresh.count + p->again.count;
        uint32_t busy = 0;
        for (uint32_t k = 0; k < array_count(p->busy); k++)
            busy += (uint32_t)__builtin_popcountll(p->busy[k]);
        must(busy == p->in_flight);
        must(p->in_flight <= p->slots);
        in_flight += p->in_flight;
        must(p->budget <= (uint64_t)p->retry.budget_reserve * BUDGET_UNIT);
        must(!p->has_probe || p->in_flight > 0);
    }
    heap_check(o, &o->deadlines, is_dead_before, PLACE_FREE, 0);
    for (uint32_t i = 0; i < o->held_room; i++) {
        const struct held *h = &o->held[i];
        if (h->place == PLACE_FREE)
            continue;
        held++;
        must(map_u64_find(&o->ids, id_of(h->attempt.decision, h->attempt.attempt)) == i);
        must((h->place == PLACE_WAITING || h->place == PLACE_RETRY) ? h->tries > 0 : true);
        must(h->place == PLACE_FRESH ? h->tries == 0 : true);
        must(h->was_in_doubt && h->place != PLACE_IN_FLIGHT
                 ? h->attempt.lane == OUTBOX_AT_LEAST_ONCE
                 : true);
    }
    must(held == o->held_count);
    must(queued == o->deadlines.count);
    must(queued + in_flight == held);
    must(o->ids.count == held);
    must(held + o->free_count == o->held_room);
}
