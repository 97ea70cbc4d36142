/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/voucher.h"
#include "base/canary.h"

#include "base/canary.h"
#include "base/mem.h"
#include "model/codes.h"

struct voucher_hint {
    const struct plan_voucher *pool;
    uint32_t from; /* place in its list */
};

void vouchers_init(struct vouchers *v)
{
    *v = (struct vouchers){0};
    index_init(&v->codes);
    index_init(&v->holders);
    index_init(&v->loaded);
    arena_init(&v->text, 4096);
}

void vouchers_fini(struct vouchers *v)
{
    index_fini(&v->codes);
    index_fini(&v->holders);
    mem_free(v->hints);
    for (uint32_t i = 0; i < v->stock_count; i++)
        mem_free(v->stocks[i].codes);
    mem_free(v->stocks);
    index_fini(&v->loaded);
    arena_fini(&v->text);
    *v = (struct vouchers){0};
}

static struct id128 code_key(uint32_t pool, uint64_t hash)
{
    return (struct id128){pool, hash};
}

static struct id128 holder_key(uint32_t pool, uint64_t decision)
{
    return (struct id128){pool, decision};
}

static struct voucher_hint *hint_of(struct vouchers *v, const struct plan_voucher *pool)
{
    for (uint32_t i = 0; i < v->hint_count; i++)
        if (v->hints[i].pool == pool)
            return &v->hints[i];
    v->hints = mem_resize(v->hints, (v->hint_count + 1) * sizeof(v->hints[0]));
    v->hints[v->hint_count] = (struct voucher_hint){pool, 0};
    return &v->hints[v->hint_count++];
}

static struct voucher_stock *find_stock(const struct vouchers *v, uint32_t pool)
{
    for (uint32_t i = 0; i < v->stock_count; i++)
        if (v->stocks[i].pool == pool)
            return &v->stocks[i];
    return NULL;
}

bool voucher_look(struct vouchers *v, const struct plan_voucher *pool, uint64_t decision,
                  struct str *code)
{
    const struct index_entry *own = index_find(&v->holders, holder_key(pool->name, decision));
    for (uint32_t i = 0; own != NULL && i < pool->code_count; i++) {
        *code = pool->codes[i];
        if (hash_str(*code, 0) == own->first)
            return true;
    }
    const struct voucher_stock *known = find_stock(v, pool->name);
    for (uint32_t i = 0; own != NULL && known != NULL && i < known->count; i++) {
        *code = known->codes[i];
        if (hash_str(*code, 0) == own->first)
            return true;
    }
    struct voucher_hint *hint = hint_of(v, pool);
    must(hint->pool == pool);
    for (; hint->from < pool->code_count; hint->from++) {
        *code = pool->codes[hint->from];
        if (index_find(&v->codes, code_key(pool->name, hash_str(*code, 0))) == NULL)
            return true;
    }
    struct voucher_stock *stock = find_stock(v, pool->name);
    must(stock == NULL || stock->from <= stock->count);
    for (; stock != NULL && stock->from < stock->count; stock->from++) {
        *code = stock->codes[stock->from];
        if (index_find(&v->codes, code_key(pool->name, hash_str(*code, 0))) == NULL)
            return true;
    }
    return false;
}

void voucher_take(struct vouchers *v, const struct plan_voucher *pool, uint64_t decision,
                  struct str code)
{
    must(decision != 0);
    uint64_t hash = hash_str(code, 0);
    keep_before(v->keeper, 0, code_key(pool->name, hash));
    index_add(&v->codes, code_key(pool->name, hash))->first = decision;
    index_add(&v->holders, holder_key(pool->name, decision))->first = hash;
}

void voucher_settle(struct vouchers *v, uint32_t pool, uint64_t decision, bool is_sent)
{
    struct index_entry *own = index_find(&v->holders, holder_key(pool, decision));
    if (own == NULL)
        return;
    struct id128 code = code_key(pool, own->first);
    keep_before(v->keeper, 0, code);
    index_drop(&v->holders, holder_key(pool, decision));
    if (is_sent && !planted("code-twice")) {
        index_add(&v->codes, code)->first = 0;
        return;
    }
    if (!planted("code-kept"))
        index_drop(&v->codes, code);
    for (uint32_t i = 0; i < v->hint_count; i++)
        v->hints[i].from = 0;
    struct voucher_stock *stock = find_stock(v, pool);
    if (stock != NULL)
        stock->from = 0;
}

struct voucher_counts voucher_count(const struct vouchers *v, const struct plan_voucher *pool)
{
    struct voucher_counts counts = {.file = pool->code_count};
    struct index file;
    index_init(&file);
    for (uint32_t i = 0; i < pool->code_count; i++) {
        struct id128 key = code_key(pool->name, hash_str(pool->codes[i], 0));
        counts.free += index_find(&v->codes, key) == NULL;
        index_add(&file, key)->first = 1;
    }
    const struct voucher_stock *stock = find_stock(v, pool->name);
    for (uint32_t i = 0; stock != NULL && i < stock->count; i++) {
        struct id128 key = code_key(pool->name, hash_str(stock->codes[i], 0));
        if (index_find(&file, key) != NULL)
            continue; /* a later version of the file has it too */
        counts.loaded++;
        counts.free += index_find(&v->codes, key) == NULL;
    }
    index_fini(&file);
    for (uint32_t i = 0; i < index_slot_count(&v->codes); i++) {
        const struct index_entry *e = index_slot(&v->codes, i);
        if (!id128_is_set(e->key) || e->key.high != pool->name)
            continue;
        counts.gone += e->first == 0;
        counts.held += e->first != 0;
    }
    must(counts.free <= counts.file + counts.loaded);
    return counts;
}

uint32_t voucher_free(const struct vouchers *v, const struct plan_voucher *pool)
{
    return (uint32_t)voucher_count(v, pool).free;
}

/* ---- codes that are loaded ------------------------------------------------------------------------ */

struct voucher_stock *voucher_stock(struct vouchers *v, uint32_t pool)
{
    struct voucher_stock *known = find_stock(v, pool);
    if (known != NULL)
        return known;
    v->stocks = mem_resize(v->stocks, (v->stock_count + 1) * sizeof(v->stocks[0]));
    v->stocks[v->stock_count] = (struct voucher_stock){.pool = pool};
    return &v->stocks[v->stock_count++];
}

void voucher_stock_add(struct vouchers *v, uint32_t pool, struct str code)
{
    struct voucher_stock *stock = voucher_stock(v, pool);
    if (stock->count == stock->room) {
        stock->room = stock->room ? stock->room * 2 : 64;
        stock->codes = mem_resize(stock->codes, stock->room * sizeof(stock->codes[0]));
    }
    must(stock->count < stock->room);
    stock->sum += hash_pair(stock->count, hash_str(code, 20));
    stock->codes[stock->count++] = arena_copy(&v->text, code);
    index_add(&v->loaded, code_key(pool, hash_str(code, 0)))->first = 1;
}

uint32_t vouchers_load(struct vouchers *v, uint32_t pool, const struct plan_voucher *file,
                       struct str codes)
{
    struct index known;
    struct str code;
    uint32_t line = 1, added = 0; /* a record has no heading */
    index_init(&known);
    for (uint32_t i = 0; file != NULL && i < file->code_count; i++)
        index_add(&known, code_key(pool, hash_str(file->codes[i], 0)))->first = 1;
    for (size_t from = 0; code_next(codes, &from, &line, &code);) {
        struct id128 key = code_key(pool, hash_str(code, 0));
        bool is_known = index_find(&known, key) != NULL || index_find(&v->loaded, key) != NULL ||
                        index_find(&v->codes, key) != NULL;
        if (!code_is_fine(code) || (is_known && !planted("voucher-loaded-twice")))
            continue;
        voucher_stock_add(v, pool, code);
        added++;
    }
    index_fini(&known);
    return added;
}

bool voucher_next(const struct vouchers *v, uint32_t *place, struct id128 *code, uint64_t *decision)
{
    for (; *place < index_slot_count(&v->codes); (*place)++) {
        const struct index_entry *e = index_slot(&v->codes, *place);
        if (!id128_is_set(e->key))
            continue;
        *code = e->key;
        *decision = e->first;
        (*place)++;
        return true;
    }
    return false;
}

void voucher_restore(struct vouchers *v, struct id128 code, uint64_t decision)
{
    index_add(&v->codes, code)->first = decision;
    if (decision != 0)
        index_add(&v->holders, holder_key((uint32_t)code.high, decision))->first = code.low;
}
