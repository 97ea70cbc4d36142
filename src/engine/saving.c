/* saving.c - the state of one moment as sections of a snapshot, while batches go on.
 *
 * engine_save_begin() is the mark: what is nobody's own (programmes, names, walks, what operators said,
 * counts) is small and is put into bytes at once, everything else is still to be saved. Each
 * engine_save_step() saves some more of it, as it was at the mark:
 *
 *     mark ── batch ── step ── batch ── batch ── step ── ... ── whole
 *      │        │ before somebody or an entry changes that is still to be saved,
 *      │        └ they are put into bytes: what they were at the mark
 *      └ meta, sweeps, controls, ... │ selectors │ pools, codes │ per partition: ids, addresses, gate │
 *        per partition: profiles
 *
 * People are kept one by one: engine_profile() is the one way to somebody who is to be changed, and
 * tells of it. Tables (identifiers, message ids, addresses, the gate's, voucher codes) are walked by their keys'
 * places (store/index.h), so that a walk may rest anywhere, and their rooms tell of each entry before they
 * change it (store/before.h). How many entries there are stands before them: as many as at the mark, for each
 * is either met by the walk or was kept. Entries of pools carry the mark at which they came. So a snapshot costs
 * the engine nothing but its own bytes, in pieces as small as its host likes, and each object that a batch changes is
 * written once more, at most.
 *
 * All partitions are saved as of one batch, not each as of its own: identity, the gate and the pools know all
 * of them within a batch (decision 10).
 *
 * The hash of the state at the mark is summed up on the way, so that nothing is walked twice.
 *
 * Two things are not kept but end it: another programme is prepared, activated or abandoned, and an index of
 * selectors is made anew. Its host begins again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "engine/persist.h"

/* Of a partition, in this order. */
enum saving_table {
    TABLE_IDS,
    TABLE_MESSAGES,
    TABLE_ADDRESSES,
    TABLE_GATE,
    TABLE_END,
};

enum saving_phase {
    SAVING_SHARED, /* what was put into bytes at the mark */
    SAVING_SELECTORS,
    SAVING_POOLS,
    SAVING_CODES,
    SAVING_TABLES,
    SAVING_PROFILES,
    SAVING_OVER,
};

/* People of a partition who have changed since the mark. */
struct early {
    uint32_t *at; /* by local number: where their bytes are + 1; NULL = nobody has */
    struct buf bytes;
};

struct saved_table {
    struct befores early; /* those that changed since the mark, as they were */
    uint32_t count;       /* entries at the mark */
};

struct saved_selector {
    struct buf head;
    struct saved_table values[PARTITIONS];
};

struct saved_pool {
    struct buf head, early;
    uint32_t left; /* entries that stood in it at the mark and are not saved */
};

struct saving {
    struct engine *engine;
    bool is_on, is_lost;
    int64_t now_ms;
    uint64_t hash;
    enum saving_phase phase;
    uint32_t partition; /* or pool, or selector */
    uint32_t local;     /* the next one; or partition of a selector, place in a pool, table */
    bool has_begun;     /* the partition, or table, at hand */
    uint64_t place;     /* in the table at hand: what is below it has been given */
    uint32_t given;     /* entries of it */
    size_t early_from;  /* bytes of those that changed are given up to here */
    uint32_t shared_count;
    struct buf shared[6];
    struct buf budgets;
    struct texts texts; /* kept from one snapshot to the next */
    uint32_t counts[PARTITIONS];
    struct early early[PARTITIONS];
    struct buf inboxes[PARTITIONS];
    uint32_t inbox_counts[PARTITIONS];
    struct saved_table ids[PARTITIONS];
    struct saved_table messages[PARTITIONS];
    struct saved_table addresses[PARTITIONS];
    struct saved_table gate[PARTITIONS];
    struct saved_table codes;
    struct saved_selector *selectors;
    uint32_t selector_count;
    struct saved_pool *pools;
    uint32_t pool_count;
    struct map_u64 merged; /* who was merged since the mark */
    struct keeper id_keeper, message_keeper, address_keeper, gate_keeper, code_keeper;
    struct buf bytes; /* at work */

    /* of the step at hand */
    struct buf out; /* of the section */
    uint64_t left;  /* work that it may still do */
    void *self;
    void (*put)(void *self, struct str section, uint32_t partition, struct str bytes);
};

/* ---- terms of the hash, and bytes ---------------------------------------------------------------- */

static uint64_t hash_of(const struct buf *b, size_t from, uint64_t seed)
{
    return hash_bytes(b->at + from, b->len - from, seed);
}

static uint64_t profile_term(const struct engine *e, uint32_t partition, uint32_t local,
                             const struct texts *texts, struct buf *b)
{
    const struct partition *p = &e->partitions[partition];
    must(local >= 1);
    must(local < p->count);
    const struct profile *profile = space_at(&p->space, p->profiles[local]);
    if (profile_forward(profile) == PROFILE_ERASED)
        return 0; /* who was erased leaves the hash */
    b->len = 0;
    persist_profile(e, partition, local, texts, b);
    return hash_of(b, 0, profile_number(partition, local));
}

static uint64_t inbox_term(const struct engine *e, uint32_t partition, const struct texts *texts,
                           struct buf *b)
{
    const struct messages *inbox = &e->partitions[partition].inbox;
    uint64_t sum = 0;
    for (uint32_t k = 0; k < inbox->count; k++) {
        b->len = 0;
        persist_message(&inbox->at[k], texts, b);
        sum += hash_of(b, 0, hash_pair(partition, k));
    }
    return sum;
}

/* The profile that the number meant when nobody of `merged` (NULL: nobody) had been merged. */
static uint64_t follow(const struct engine *e, uint64_t number, const struct map_u64 *merged)
{
    for (;;) {
        const struct partition *p = &e->partitions[profile_partition(number)];
        must(profile_local(number) < p->count);
        const struct profile *x = space_at(&p->space, p->profiles[profile_local(number)]);
        if (profile_forward(x) == 0 || (merged != NULL && map_u64_find(merged, number) != MAP_NONE))
            return number;
        number = profile_forward(x);
    }
}

/* An entry may mean a profile directly or by its forward: the same thing. */
static uint64_t id_term(const struct engine *e, const struct index_entry *entry,
                        const struct map_u64 *merged)
{
    struct index_entry x = *entry;
    x.first = follow(e, x.first, merged);
    return hash_bytes(&x, sizeof(x), 1);
}

static uint64_t message_id_term(const struct seen *seen, uint64_t slot, uint32_t partition,
                                int64_t now_ms)
{
    return slot != 0 && seen_is_fresh(seen, slot, now_ms) ? hash_pair(slot, partition) : 0;
}

static uint64_t pool_term(const struct pool *pool, const struct texts *texts)
{
    return hash_pair(hash_pair(text_hash(texts, pool->provider), pool->in_flight), 3);
}

static uint64_t pool_entry_term(const struct pool *pool, const struct pool_entry *entry,
                                const struct texts *texts, struct buf *b)
{
    b->len = 0;
    persist_pool_entry(pool, entry, texts, b);
    return hash_of(b, 0, 4);
}

static uint64_t code_term(struct id128 code, uint64_t holder, const struct texts *texts)
{
    return hash_pair(hash_pair(hash_pair(text_hash(texts, (uint32_t)code.high), code.low), holder),
                     5);
}

static uint64_t which_term(const struct selector *s, const struct texts *texts)
{
    return hash_pair(text_hash(texts, s->event), text_hash(texts, s->property));
}

static uint64_t selector_term(const struct selector *s, const struct texts *texts, struct buf *b)
{
    b->len = 0;
    persist_selector(s, b);
    return hash_of(b, 0, hash_pair(which_term(s, texts), 12));
}

#define TERM_HELD 6
#define TERM_GATE 2

/* ---- the hash ------------------------------------------------------------------------------------ */

static uint64_t hash_partition(const struct engine *e, uint32_t i, const struct texts *texts,
                               struct buf *b)
{
    uint64_t sum = inbox_term(e, i, texts, b);
    for (uint32_t local = 1; local < e->partitions[i].count; local++)
        sum += profile_term(e, i, local, texts, b);
    const struct index *ids = &e->identity.ids[i];
    for (uint32_t k = 0; ids->count > 0 && k < index_slot_count(ids); k++)
        if (id128_is_set(index_slot(ids, k)->key))
            sum += id_term(e, index_slot(ids, k), NULL);
    const struct seen *seen = &e->identity.messages[i];
    for (uint32_t k = 0; seen->count > 0 && k < seen->slot_count; k++)
        sum += message_id_term(seen, seen->slots[k], i, e->now_ms);
    struct id128 address;
    for (uint32_t place = 0; addresses_next(&e->addresses, i, &place, &address);) {
        b->len = 0;
        persist_held_address(e, address, b);
        sum += hash_of(b, 0, TERM_HELD);
    }
    const struct index *addresses = &e->gate.addresses[i];
    for (uint32_t k = 0; addresses->count > 0 && k < index_slot_count(addresses); k++) {
        if (!id128_is_set(index_slot(addresses, k)->key))
            continue;
        b->len = 0;
        persist_gate(e, index_slot(addresses, k)->key, b);
        sum += hash_of(b, 0, TERM_GATE);
    }
    return sum;
}

/* What is no partition's. */
static uint64_t hash_shared(const struct engine *e, const struct texts *texts, struct buf *b)
{
    uint64_t sum = persist_hash_shared(e, texts);
    for (uint32_t i = 0; i < e->selector_count; i++) {
        const struct selector *s = e->selectors[i];
        sum += selector_term(s, texts, b);
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            const struct index *values = &s->values[p];
            for (uint32_t k = 0; values->count > 0 && k < index_slot_count(values); k++) {
                if (!id128_is_set(index_slot(&s->values[p], k)->key))
                    continue;
                b->len = 0;
                persist_value(s, index_slot(&s->values[p], k), b);
                sum += hash_of(b, 0, hash_pair(which_term(s, texts), p));
            }
        }
    }
    for (uint32_t i = 0; i < e->pools.count; i++) {
        const struct pool *pool = &e->pools.at[i];
        sum += pool_term(pool, texts);
        for (uint32_t k = 0; k < pool->count; k++)
            sum += pool_entry_term(pool, &pool->heap[k], texts, b);
    }
    struct id128 code;
    uint64_t holder;
    for (uint32_t place = 0; voucher_next(&e->vouchers, &place, &code, &holder);)
        sum += code_term(code, holder, texts);
    return sum;
}

uint64_t engine_hash_share(const struct engine *e, uint32_t from, uint32_t to)
{
    struct texts texts = {0};
    struct buf b;
    must(from <= to);
    must(to <= PARTITIONS);
    buf_init(&b);
    texts_learn(&texts, e->names);
    uint64_t sum = from == 0 ? hash_shared(e, &texts, &b) : 0;
    for (uint32_t i = from; i < to; i++)
        sum += hash_partition(e, i, &texts, &b);
    texts_fini(&texts);
    buf_fini(&b);
    return sum;
}

uint64_t engine_hash(const struct engine *e)
{
    return engine_hash_share(e, 0, PARTITIONS);
}

/* ---- people and entries that are about to change ------------------------------------------------- */

static void keep_profile(struct saving *s, uint32_t partition, uint32_t local)
{
    must(partition < PARTITIONS);
    struct early *early = &s->early[partition];
    if (s->phase > SAVING_PROFILES || local >= s->counts[partition] ||
        (s->phase == SAVING_PROFILES &&
         (partition < s->partition || (partition == s->partition && local < s->local))))
        return;
    if (early->at == NULL)
        early->at = mem_new(s->counts[partition] * sizeof(early->at[0]));
    must(local < s->counts[partition]);
    if (early->at[local] != 0)
        return;
    s->hash += profile_term(s->engine, partition, local, &s->texts, &s->bytes);
    s->bytes.len = 0;
    persist_profile(s->engine, partition, local, NULL, &s->bytes);
    must(early->bytes.len < UINT32_MAX);
    early->at[local] = (uint32_t)early->bytes.len + 1;
    buf_add_varint(&early->bytes, s->bytes.len);
    buf_add_str(&early->bytes, buf_str(&s->bytes));
}

void saving_keep_profile(struct engine *e, uint64_t number)
{
    must(e->saving != NULL);
    must(e->saving->is_on);
    keep_profile(e->saving, profile_partition(number), profile_local(number));
}

void saving_note_merge(struct engine *e, uint64_t loser)
{
    if (e->saving != NULL && e->saving->is_on)
        map_u64_set(&e->saving->merged, loser, 1);
}

/* Is what has that place in the table still to be saved? */
static bool is_table_due(const struct saving *s, uint32_t partition, enum saving_table table,
                         uint64_t place)
{
    if (s->phase != SAVING_TABLES)
        return s->phase < SAVING_TABLES;
    if (partition != s->partition)
        return partition > s->partition;
    return table > s->local || (table == s->local && place >= s->place);
}

static void put_id(struct saving *s, const struct index_entry *entry, struct buf *out)
{
    s->hash += id_term(s->engine, entry, &s->merged);
    buf_add_u64(out, entry->key.high);
    buf_add_u64(out, entry->key.low);
    buf_add_varint(out, entry->first);
    buf_add_u64(out, entry->second);
}

static void keep_id(void *self, uint32_t partition, struct id128 key)
{
    struct saving *s = self;
    if (!is_table_due(s, partition, TABLE_IDS, index_place(key)) ||
        !befores_lacks(&s->ids[partition].early, key))
        return;
    const struct index_entry *entry = index_find(&s->engine->identity.ids[partition], key);
    s->bytes.len = 0;
    if (entry != NULL)
        put_id(s, entry, &s->bytes);
    befores_put(&s->ids[partition].early, key, buf_str(&s->bytes));
}

/* Also one that is too old: who loads it leaves it out. Of a set that is silent there are none. */
static void put_message_id(struct saving *s, uint32_t partition, uint64_t slot, struct buf *out)
{
    if (s->messages[partition].count == 0)
        return;
    s->hash +=
        message_id_term(&s->engine->identity.messages[partition], slot, partition, s->now_ms);
    buf_add_u64(out, slot);
}

static void keep_message_id(void *self, uint32_t partition, struct id128 key)
{
    struct saving *s = self;
    if (!is_table_due(s, partition, TABLE_MESSAGES, seen_place(key.low << 16)) ||
        !befores_lacks(&s->messages[partition].early, key))
        return;
    uint64_t slot = seen_slot(&s->engine->identity.messages[partition], key);
    s->bytes.len = 0;
    if (slot != 0)
        put_message_id(s, partition, slot, &s->bytes);
    befores_put(&s->messages[partition].early, key, buf_str(&s->bytes));
}

static void put_held(struct saving *s, struct id128 address, struct buf *out)
{
    size_t from = out->len;
    persist_held_address(s->engine, address, out);
    s->hash += hash_of(out, from, TERM_HELD);
}

static void keep_address(void *self, uint32_t partition, struct id128 key)
{
    struct saving *s = self;
    if (!is_table_due(s, partition, TABLE_ADDRESSES, index_place(key)) ||
        !befores_lacks(&s->addresses[partition].early, key))
        return;
    s->bytes.len = 0;
    if (index_find(&s->engine->addresses.index[partition], key) != NULL)
        put_held(s, key, &s->bytes);
    befores_put(&s->addresses[partition].early, key, buf_str(&s->bytes));
}

static void put_gate(struct saving *s, struct id128 address, struct buf *out)
{
    size_t from = out->len;
    persist_gate(s->engine, address, out);
    s->hash += hash_of(out, from, TERM_GATE);
}

static void keep_gate(void *self, uint32_t partition, struct id128 key)
{
    struct saving *s = self;
    if (!is_table_due(s, partition, TABLE_GATE, index_place(key)) ||
        !befores_lacks(&s->gate[partition].early, key))
        return;
    s->bytes.len = 0;
    if (index_find(&s->engine->gate.addresses[partition], key) != NULL)
        put_gate(s, key, &s->bytes);
    befores_put(&s->gate[partition].early, key, buf_str(&s->bytes));
}

static void put_code(struct saving *s, struct id128 code, uint64_t holder, struct buf *out)
{
    s->hash += code_term(code, holder, &s->texts);
    buf_add_varint(out, code.high);
    buf_add_u64(out, code.low);
    buf_add_u64(out, holder);
}

static void keep_code(void *self, uint32_t partition, struct id128 key)
{
    struct saving *s = self;
    (void)partition;
    if (s->phase > SAVING_CODES || (s->phase == SAVING_CODES && index_place(key) < s->place) ||
        !befores_lacks(&s->codes.early, key))
        return;
    const struct index_entry *entry = index_find(&s->engine->vouchers.codes, key);
    s->bytes.len = 0;
    if (entry != NULL)
        put_code(s, key, entry->first, &s->bytes);
    befores_put(&s->codes.early, key, buf_str(&s->bytes));
}

static void put_value(struct saving *s, const struct selector *selector, uint32_t partition,
                      const struct index_entry *value, struct buf *out)
{
    size_t from = out->len;
    persist_value(selector, value, out);
    s->hash += hash_of(out, from, hash_pair(which_term(selector, &s->texts), partition));
}

void saving_keep_value(struct engine *e, const struct selector *selector, uint32_t partition,
                       struct id128 key)
{
    struct saving *s = e->saving;
    uint32_t i = 0;
    while (e->selectors[i] != selector)
        i++;
    bool is_due = s->phase < SAVING_SELECTORS || i > s->partition ||
                  (i == s->partition && (partition > s->local ||
                                         (partition == s->local && index_place(key) >= s->place)));
    must(i < s->selector_count);
    struct befores *b = &s->selectors[i].values[partition].early;
    if (!is_due || !befores_lacks(b, key))
        return;
    const struct index_entry *entry = index_find(&selector->values[partition], key);
    s->bytes.len = 0;
    if (entry != NULL)
        put_value(s, selector, partition, entry, &s->bytes);
    befores_put(b, key, buf_str(&s->bytes));
}

static void put_pool_entry(struct saving *s, const struct pool *pool,
                           const struct pool_entry *entry, struct buf *out)
{
    s->hash += pool_entry_term(pool, entry, &s->texts, &s->bytes);
    persist_pool_entry(pool, entry, NULL, out);
}

static void keep_pool_entry(void *self, const struct pool *pool, const struct pool_entry *entry)
{
    struct saving *s = self;
    uint32_t i = (uint32_t)(pool - s->engine->pools.at);
    must(i < s->pool_count);
    must(s->pools[i].left > 0);
    must(entry->mark != pool->mark);
    s->pools[i].left--;
    put_pool_entry(s, pool, entry, &s->pools[i].early);
}

/* ---- the mark ------------------------------------------------------------------------------------ */

static struct saving *saving_of(struct engine *e)
{
    if (e->saving != NULL)
        return e->saving;
    struct saving *s = mem_new(sizeof(*s));
    s->engine = e;
    s->id_keeper = (struct keeper){s, keep_id};
    s->message_keeper = (struct keeper){s, keep_message_id};
    s->address_keeper = (struct keeper){s, keep_address};
    s->gate_keeper = (struct keeper){s, keep_gate};
    s->code_keeper = (struct keeper){s, keep_code};
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        befores_init(&s->ids[i].early);
        befores_init(&s->messages[i].early);
        befores_init(&s->addresses[i].early);
        befores_init(&s->gate[i].early);
        buf_init(&s->early[i].bytes);
        buf_init(&s->inboxes[i]);
    }
    for (uint32_t i = 0; i < array_count(s->shared); i++)
        buf_init(&s->shared[i]);
    buf_init(&s->budgets);
    befores_init(&s->codes.early);
    map_u64_init(&s->merged);
    buf_init(&s->bytes);
    buf_init(&s->out);
    e->saving = s;
    return s;
}

/* Those that are asked first whether somebody wants to know. */
static void set_keepers(struct engine *e, struct saving *s)
{
    e->keeps_profiles = e->keeps_selectors = s != NULL;
    e->identity.keeper = s ? &s->id_keeper : NULL;
    e->addresses.keeper = s ? &s->address_keeper : NULL;
    e->gate.keeper = s ? &s->gate_keeper : NULL;
    e->vouchers.keeper = s ? &s->code_keeper : NULL;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        e->identity.messages[i].keeper = s ? &s->message_keeper : NULL;
        e->identity.messages[i].partition = i;
    }
    for (uint32_t i = 0; i < e->pools.count; i++) {
        struct pool *pool = &e->pools.at[i];
        pool->mark += s != NULL;
        pool->keep = s ? keep_pool_entry : NULL;
        pool->keeper = s;
    }
}

static void mark_pools(struct engine *e, struct saving *s)
{
    s->pool_count = e->pools.count;
    must(s->pools == NULL);
    s->pools = mem_new((s->pool_count + 1) * sizeof(s->pools[0]));
    for (uint32_t i = 0; i < s->pool_count; i++) {
        const struct pool *pool = &e->pools.at[i];
        struct saved_pool *x = &s->pools[i];
        buf_init(&x->head);
        buf_init(&x->early);
        x->left = pool->count;
        s->hash += pool_term(pool, &s->texts);
        buf_add_varint(&x->head, pool->provider);
        buf_add_varint(&x->head, pool->in_flight);
        buf_add_zigzag(&x->head, pool->busy_us);
        buf_add_varint(&x->head, pool->count);
    }
}

static void mark_selectors(struct engine *e, struct saving *s)
{
    s->selector_count = e->selector_count;
    must(s->selectors == NULL);
    s->selectors = mem_new((s->selector_count + 1) * sizeof(s->selectors[0]));
    for (uint32_t i = 0; i < s->selector_count; i++) {
        struct saved_selector *x = &s->selectors[i];
        buf_init(&x->head);
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            befores_init(&x->values[p].early);
            x->values[p].count = e->selectors[i]->values[p].count;
        }
        buf_add_varint(&x->head, e->selectors[i]->event);
        buf_add_varint(&x->head, e->selectors[i]->property);
        persist_selector(e->selectors[i], &x->head);
        s->hash += selector_term(e->selectors[i], &s->texts, &s->bytes);
    }
}

static void mark_tables(const struct engine *e, struct saving *s)
{
    s->place = s->given = 0;
    s->early_from = 0;
    s->codes.count = e->vouchers.codes.count;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        const struct seen *seen = &e->identity.messages[i];
        s->ids[i].count = e->identity.ids[i].count;
        s->messages[i].count = seen_is_silent(seen, e->now_ms) ? 0 : seen->count;
        s->addresses[i].count = e->addresses.index[i].count;
        s->gate[i].count = e->gate.addresses[i].count;
    }
}

void engine_save_begin(struct engine *e)
{
    struct saving *s = saving_of(e);
    must(!s->is_on);
    s->is_on = true;
    s->is_lost = s->has_begun = false;
    s->now_ms = e->now_ms;
    s->phase = SAVING_SHARED;
    s->partition = s->local = s->shared_count = 0;
    texts_learn(&s->texts, e->names);
    s->hash = persist_hash_shared(e, &s->texts);
    must(s->out.len == 0);
    must(s->shared[0].len == 0);
    persist_meta(e, &s->shared[0]);
    persist_sweeps(e, &s->shared[1]);
    persist_controls(e, &s->shared[2]);
    persist_monitors(e, &s->shared[3]);
    persist_funnel(e, &s->shared[4]);
    persist_hours(e, &s->shared[5]);
    persist_budgets(e, &s->budgets);
    mark_selectors(e, s);
    mark_pools(e, s);
    mark_tables(e, s);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        const struct partition *p = &e->partitions[i];
        s->counts[i] = p->count;
        s->inbox_counts[i] = p->inbox.count;
        s->hash += inbox_term(e, i, &s->texts, &s->bytes);
        for (uint32_t k = 0; k < p->inbox.count; k++)
            persist_message(&p->inbox.at[k], NULL, &s->inboxes[i]);
    }
    set_keepers(e, s);
}

void saving_lose(struct engine *e)
{
    if (e->saving == NULL || !e->saving->is_on)
        return;
    e->saving->is_lost = true;
    set_keepers(e, NULL);
}

void saving_lose_selectors(struct engine *e)
{
    if (e->keeps_selectors)
        saving_lose(e);
}

/* Gives the memory back that a snapshot took. */
static void forget(struct saving *s)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        befores_fini(&s->ids[i].early);
        befores_fini(&s->messages[i].early);
        befores_fini(&s->addresses[i].early);
        befores_fini(&s->gate[i].early);
        mem_free(s->early[i].at);
        s->early[i].at = NULL;
        buf_fini(&s->early[i].bytes);
        buf_fini(&s->inboxes[i]);
    }
    for (uint32_t i = 0; i < array_count(s->shared); i++)
        buf_fini(&s->shared[i]);
    buf_fini(&s->budgets);
    befores_fini(&s->codes.early);
    for (uint32_t i = 0; i < s->selector_count; i++) {
        buf_fini(&s->selectors[i].head);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            befores_fini(&s->selectors[i].values[p].early);
    }
    mem_free(s->selectors);
    s->selectors = NULL;
    for (uint32_t i = 0; i < s->pool_count; i++) {
        buf_fini(&s->pools[i].head);
        buf_fini(&s->pools[i].early);
    }
    mem_free(s->pools);
    s->pools = NULL;
    s->selector_count = s->pool_count = 0;
    map_u64_fini(&s->merged);
    map_u64_init(&s->merged);
    s->out.len = 0; /* and the room of these is kept for the next one */
}

void engine_save_end(struct engine *e)
{
    if (e->saving == NULL || !e->saving->is_on)
        return;
    e->saving->is_on = false;
    set_keepers(e, NULL);
    forget(e->saving);
}

void saving_fini(struct engine *e)
{
    if (e->saving == NULL)
        return;
    engine_save_end(e);
    map_u64_fini(&e->saving->merged);
    texts_fini(&e->saving->texts);
    buf_fini(&e->saving->bytes);
    buf_fini(&e->saving->out);
    mem_free(e->saving);
}

/* ---- a step -------------------------------------------------------------------------------------- */

/* What things cost, in nanoseconds, on the machine on which it was measured: what matters is that they are in
 * proportion, so that a host that learns how much fits into its piece is right in every phase. */
#define COST_BYTE   7    /* coded, and again for the hash */
#define COST_ENTRY  60   /* of a table: found, coded, hashed */
#define COST_SLOT   8    /* of a table: looked at, with those near it */
#define EARLY_BYTES 4096 /* of entries that were kept, handed on in one go */

static void spend(struct saving *s, uint64_t work)
{
    s->left -= min_of(s->left, work);
}

/* What the section has so far goes out; all of it, if the section is over. */
static void hand_on(struct saving *s, const char *section, uint32_t partition)
{
    if (s->out.len > 0)
        s->put(s->self, str_of(section), partition, buf_str(&s->out));
    s->out.len = 0;
}

/* The table at hand begins: with how many entries it has. */
static void begin_table(struct saving *s, const struct saved_table *t)
{
    must(s->phase < SAVING_OVER);
    if (!s->has_begun)
        buf_add_varint(&s->out, t->count);
    s->has_begun = true;
}

/* Behind those that stand in the table, those that changed; false if there are more. Then it is whole. */
static bool end_table(struct saving *s, struct saved_table *t)
{
    const struct buf *bytes = &t->early.bytes;
    if (s->place < INDEX_END)
        return false;
    while (s->early_from < bytes->len && s->left > 0) {
        size_t part = min_of(bytes->len - s->early_from, (size_t)EARLY_BYTES);
        buf_add(&s->out, bytes->at + s->early_from, part);
        s->early_from += part;
        spend(s, part);
    }
    if (s->early_from < bytes->len)
        return false;
    must(s->early_from == bytes->len);
    must(s->given + t->early.count == t->count);
    befores_fini(&t->early);
    befores_init(&t->early);
    s->has_begun = false;
    s->place = s->given = 0;
    s->early_from = 0;
    return true;
}

/* Whom an identifier means is anywhere in memory; so what is to be looked at is asked for ahead. */
#define AHEAD 16

static void fetch_meant(const struct engine *e, const struct index *ids, uint64_t place)
{
    must(place < INDEX_END);
    const struct index_entry *far = index_ahead(ids, place, 2 * AHEAD);
    const struct index_entry *near = index_ahead(ids, place, AHEAD);
    const struct partition *p = &e->partitions[profile_partition(far->first)];
    prefetch(&p->profiles[profile_local(far->first)]);
    if (near->first == 0)
        return;
    p = &e->partitions[profile_partition(near->first)];
    prefetch(space_at(&p->space, p->profiles[profile_local(near->first)]));
}

/* Goes on with the table at hand; true once it is whole. `one` puts an entry that has not been kept. */
static bool save_table(struct saving *s, struct saved_table *t, const struct index *x,
                       void (*one)(void *self, const struct index_entry *entry))
{
    bool is_of_ids = s->phase == SAVING_TABLES && s->local == TABLE_IDS;
    begin_table(s, t);
    while (s->place < INDEX_END && s->left > 0) {
        if (is_of_ids && x->count > 0)
            fetch_meant(s->engine, x, s->place);
        index_visit(x, &s->place, s, one);
        spend(s, COST_SLOT);
    }
    return end_table(s, t);
}

/* Is the entry of the table at hand to be put now? Then it counts. */
static bool is_to_give(struct saving *s, const struct saved_table *t, struct id128 key,
                       uint64_t cost)
{
    if (!befores_lacks(&t->early, key))
        return false;
    s->given++;
    spend(s, cost);
    return true;
}

static void save_shared(struct saving *s)
{
    static const char *const names[] = {"meta",     "sweeps", "controls",
                                        "monitors", "funnel", "hours"};
    must(s->phase == SAVING_SHARED);
    must(s->out.len == 0);
    for (uint32_t i = 0; i < array_count(s->shared); i++) {
        s->put(s->self, str_of(names[i]), 0, buf_str(&s->shared[i]));
        spend(s, s->shared[i].len);
        buf_fini(&s->shared[i]);
        buf_init(&s->shared[i]);
    }
    s->phase++;
    buf_add_varint(&s->out, s->selector_count);
}

static void give_value(void *self, const struct index_entry *entry)
{
    struct saving *s = self;
    size_t from = s->out.len;
    if (!is_to_give(s, &s->selectors[s->partition].values[s->local], entry->key, COST_ENTRY))
        return;
    put_value(s, s->engine->selectors[s->partition], s->local, entry, &s->out);
    spend(s, (s->out.len - from) * COST_BYTE);
}

static void save_selectors(struct saving *s)
{
    struct engine *e = s->engine;
    must(s->phase == SAVING_SELECTORS);
    must(s->selector_count == e->selector_count);
    while (s->partition < s->selector_count && s->left > 0) {
        const struct selector *selector = e->selectors[s->partition];
        if (s->local == 0 && !s->has_begun)
            buf_add_str(&s->out, buf_str(&s->selectors[s->partition].head));
        if (!save_table(s, &s->selectors[s->partition].values[s->local],
                        &selector->values[s->local], give_value))
            break;
        if (++s->local == PARTITIONS) {
            s->local = 0;
            s->partition++;
        }
    }
    hand_on(s, "selectors", 0);
    if (s->partition < s->selector_count)
        return;
    must(s->local == 0);
    e->keeps_selectors = false;
    s->phase++;
    s->partition = s->local = 0;
    buf_add_varint(&s->out, s->pool_count);
}

/* The heap moves between steps, so it may have to be gone through more than once. */
static void save_pools(struct saving *s)
{
    must(s->phase == SAVING_POOLS);
    must(s->pool_count <= s->engine->pools.count);
    while (s->partition < s->pool_count && s->left > 0) {
        struct saved_pool *x = &s->pools[s->partition];
        struct pool *pool = &s->engine->pools.at[s->partition];
        if (!s->has_begun)
            buf_add_str(&s->out, buf_str(&x->head));
        s->has_begun = true;
        for (; x->left > 0 && s->local < pool->count && s->left > 0; s->local++) {
            struct pool_entry *entry = &pool->heap[s->local];
            size_t from = s->out.len;
            if (entry->mark != pool->mark) {
                must(x->left > 0);
                put_pool_entry(s, pool, entry, &s->out);
                entry->mark = pool->mark;
                x->left--;
            }
            spend(s, (s->out.len - from) * COST_BYTE + COST_SLOT);
        }
        if (x->left == 0) {
            pool->keep = NULL;
            buf_add_str(&s->out, buf_str(&x->early));
            s->partition++;
            s->has_begun = false;
        }
        if (x->left == 0 || s->local >= pool->count)
            s->local = 0;
    }
    if (s->left == 0)
        hand_on(s, "pools", 0);
    s->phase += s->partition == s->pool_count;
}

static void give_code(void *self, const struct index_entry *entry)
{
    struct saving *s = self;
    if (is_to_give(s, &s->codes, entry->key, COST_ENTRY))
        put_code(s, entry->key, entry->first, &s->out);
}

static void save_codes(struct saving *s)
{
    struct engine *e = s->engine;
    bool is_whole = save_table(s, &s->codes, &e->vouchers.codes, give_code);
    if (is_whole)
        buf_add_str(&s->out, buf_str(&s->budgets));
    hand_on(s, "pools", 0);
    if (!is_whole)
        return;
    e->vouchers.keeper = NULL;
    s->phase++;
    s->partition = s->local = 0;
}

static void give_id(void *self, const struct index_entry *entry)
{
    struct saving *s = self;
    if (is_to_give(s, &s->ids[s->partition], entry->key, COST_ENTRY))
        put_id(s, entry, &s->out);
}

static void give_message_id(void *self, uint64_t slot)
{
    struct saving *s = self;
    const struct saved_table *t = &s->messages[s->partition];
    if (t->count > 0 && is_to_give(s, t, seen_key(slot), COST_ENTRY / 4))
        put_message_id(s, s->partition, slot, &s->out);
}

static bool save_message_ids(struct saving *s, uint32_t i)
{
    struct seen *seen = &s->engine->identity.messages[i];
    begin_table(s, &s->messages[i]);
    while (s->place < INDEX_END && s->left > 0) {
        seen_visit(seen, &s->place, s, give_message_id);
        spend(s, COST_SLOT);
    }
    if (!end_table(s, &s->messages[i]))
        return false;
    seen->keeper = NULL;
    return true;
}

static void give_address(void *self, const struct index_entry *entry)
{
    struct saving *s = self;
    if (is_to_give(s, &s->addresses[s->partition], entry->key, COST_ENTRY * 2))
        put_held(s, entry->key, &s->out);
}

static void give_gate(void *self, const struct index_entry *entry)
{
    struct saving *s = self;
    if (is_to_give(s, &s->gate[s->partition], entry->key, COST_ENTRY * 3))
        put_gate(s, entry->key, &s->out);
}

static void save_tables(struct saving *s)
{
    static const char *const sections[] = {[TABLE_IDS] = "ids",
                                           [TABLE_MESSAGES] = "ids",
                                           [TABLE_ADDRESSES] = "addresses",
                                           [TABLE_GATE] = "gate"};
    struct engine *e = s->engine;
    must(s->phase == SAVING_TABLES);
    while (s->partition < PARTITIONS && s->left > 0) {
        uint32_t i = s->partition;
        const char *section = sections[s->local];
        bool is_whole = false;
        must(s->local < TABLE_END);
        switch ((enum saving_table)s->local) {
        case TABLE_IDS: is_whole = save_table(s, &s->ids[i], &e->identity.ids[i], give_id); break;
        case TABLE_MESSAGES: is_whole = save_message_ids(s, i); break;
        case TABLE_ADDRESSES:
            is_whole = save_table(s, &s->addresses[i], &e->addresses.index[i], give_address);
            break;
        case TABLE_GATE:
            is_whole = save_table(s, &s->gate[i], &e->gate.addresses[i], give_gate);
            break;
        case TABLE_END: break;
        }
        if (!is_whole || s->local != TABLE_IDS)
            hand_on(s, section, i);
        if (!is_whole)
            return;
        if (++s->local == TABLE_END) {
            s->local = TABLE_IDS;
            s->partition++;
        }
    }
    if (s->out.len > 0)
        hand_on(s, "ids", s->partition);
    if (s->partition < PARTITIONS)
        return;
    e->identity.keeper = NULL;
    e->addresses.keeper = e->gate.keeper = NULL;
    s->phase++;
    s->partition = 0;
    s->local = 1;
}

static void put_profile(struct saving *s, uint32_t partition, uint32_t local)
{
    must(partition < PARTITIONS);
    must(local >= 1);
    must(local < s->counts[partition]);
    const struct early *early = &s->early[partition];
    if (early->at != NULL && early->at[local] != 0) {
        must(early->at[local] <= early->bytes.len);
        struct cursor c = cursor_of(early->bytes.at + early->at[local] - 1,
                                    early->bytes.len - early->at[local] + 1);
        buf_add_str(&s->out, cursor_take(&c, cursor_varint(&c)));
        return;
    }
    s->hash += profile_term(s->engine, partition, local, &s->texts, &s->bytes);
    persist_profile(s->engine, partition, local, NULL, &s->out);
}

static void save_profiles(struct saving *s)
{
    must(s->phase == SAVING_PROFILES);
    while (s->partition < PARTITIONS && s->left > 0) {
        uint32_t i = s->partition;
        size_t from = s->out.len;
        if (!s->has_begun)
            buf_add_varint(&s->out, s->counts[i]);
        s->has_begun = true;
        for (; s->local < s->counts[i] && s->left > 0; s->local++) {
            put_profile(s, i, s->local);
            spend(s, (s->out.len - from + 32) * COST_BYTE);
            from = s->out.len;
        }
        if (s->local < s->counts[i]) {
            hand_on(s, "profiles", i);
            return;
        }
        buf_add_varint(&s->out, s->inbox_counts[i]);
        buf_add_str(&s->out, buf_str(&s->inboxes[i]));
        hand_on(s, "profiles", i);
        mem_free(s->early[i].at);
        s->early[i].at = NULL;
        buf_fini(&s->early[i].bytes);
        buf_init(&s->early[i].bytes);
        s->has_begun = false;
        s->local = 1;
        s->partition++;
    }
    if (s->partition < PARTITIONS)
        return;
    s->engine->keeps_profiles = false;
    s->phase++;
}

enum save_state engine_save_step(struct engine *e, uint64_t work, void *self,
                                 void (*put)(void *self, struct str section, uint32_t partition,
                                             struct str bytes))
{
    struct saving *s = e->saving;
    must(s != NULL && s->is_on);
    must(work > 0);
    s->left = work;
    s->self = self;
    s->put = put;
    while (s->left > 0 && !s->is_lost && s->phase < SAVING_OVER) {
        switch (s->phase) {
        case SAVING_SHARED: save_shared(s); break;
        case SAVING_SELECTORS: save_selectors(s); break;
        case SAVING_POOLS: save_pools(s); break;
        case SAVING_CODES: save_codes(s); break;
        case SAVING_TABLES: save_tables(s); break;
        case SAVING_PROFILES: save_profiles(s); break;
        case SAVING_OVER: break;
        }
    }
    must(s->phase != SAVING_OVER || !e->keeps_profiles);
    return s->is_lost ? SAVE_IS_LOST : s->phase == SAVING_OVER ? SAVE_IS_WHOLE : SAVE_GOES_ON;
}

uint64_t engine_save_hash(const struct engine *e)
{
    must(e->saving != NULL && e->saving->is_on);
    must(e->saving->phase == SAVING_OVER);
    return e->saving->hash;
}

void engine_save(struct engine *e, void *self,
                 void (*put)(void *self, struct str section, uint32_t partition, struct str bytes))
{
    engine_save_begin(e);
    must(engine_save_step(e, UINT64_MAX, self, put) == SAVE_IS_WHOLE);
    engine_save_end(e);
}
