/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/voucher.h"
#include "base/canary.h"

#include "base/mem.h"

struct voucher_hint {
    const struct plan_voucher *pool;
    uint32_t from; /* place in its list */
};

void vouchers_init(struct vouchers *v)
{
    *v = (struct vouchers){0};
    index_init(&v->codes);
    index_init(&v->holders);
}

void vouchers_fini(struct vouchers *v)
{
    index_fini(&v->codes);
    index_fini(&v->holders);
    mem_free(v->hints);
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

bool voucher_look(struct vouchers *v, const struct plan_voucher *pool, uint64_t decision,
                  struct str *code)
{
    const struct index_entry *own = index_find(&v->holders, holder_key(pool->name, decision));
    for (uint32_t i = 0; own != NULL && i < pool->code_count; i++) {
        *code = pool->codes[i];
        if (hash_str(*code, 0) == own->first)
            return true;
    }
    struct voucher_hint *hint = hint_of(v, pool);
    for (; hint->from < pool->code_count; hint->from++) {
        *code = pool->codes[hint->from];
        if (index_find(&v->codes, code_key(pool->name, hash_str(*code, 0))) == NULL)
            return true;
    }
    return false;
}

void voucher_take(struct vouchers *v, const struct plan_voucher *pool, uint64_t decision,
                  struct str code)
{
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
    index_drop(&v->codes, code);
    for (uint32_t i = 0; i < v->hint_count; i++)
        v->hints[i].from = 0;
}

uint32_t voucher_free(const struct vouchers *v, const struct plan_voucher *pool)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < pool->code_count; i++)
        count += index_find(&v->codes, code_key(pool->name, hash_str(pool->codes[i], 0))) == NULL;
    return count;
}

bool voucher_next(const struct vouchers *v, uint32_t *place, struct id128 *code, uint64_t *decision)
{
    for (; *place < v->codes.slot_count; (*place)++) {
        const struct index_entry *e = &v->codes.slots[*place];
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
