/* SPDX-License-Identifier: Apache-2.0 */
#include "model/names.h"

#include "base/arena.h"
#include "base/canary.h"
#include "base/hash.h"
#include "base/mem.h"

struct names {
    struct arena arena;
    struct str *texts; /* by number */
    uint32_t count;
    uint32_t room;
    uint32_t *slots; /* open addressing, linear: number or 0 */
    uint32_t slot_count;
};

static uint32_t slot_of(const struct names *n, struct str text)
{
    uint32_t mask = n->slot_count - 1;
    uint32_t slot = (uint32_t)hash_str(text, 0) & mask;
    while (n->slots[slot] != 0 && !str_equal(n->texts[n->slots[slot]], text))
        slot = (slot + 1) & mask;
    return slot;
}

static void grow(struct names *n)
{
    n->slot_count *= 2;
    mem_free(n->slots);
    n->slots = mem_new(n->slot_count * sizeof(n->slots[0]));
    for (uint32_t i = 1; i < n->count; i++)
        if (n->texts[i].len != 0) /* the reserved numbers have none */
            n->slots[slot_of(n, n->texts[i])] = i;
}

struct names *names_new(void)
{
    static const char *const fixed[] = {
#define NAME(symbol, text) text,
#include "model/names.def"
#undef NAME
    };
    struct names *n = mem_new(sizeof(*n));
    arena_init(&n->arena, 16384);
    n->room = NAME_FIXED_END * 2;
    n->texts = mem_new(n->room * sizeof(n->texts[0]));
    n->slot_count = NAME_FIXED_END * 4;
    n->slots = mem_new(n->slot_count * sizeof(n->slots[0]));
    n->count = 1;
    for (size_t i = 0; i < array_count(fixed); i++)
        must(names_add(n, str_of(fixed[i])) == i + 1);
    must(n->count == NAME_FIXED_COUNT);
    _Static_assert((uint32_t)NAME_FIXED_COUNT <= NAME_FIXED_END, "names.def has outgrown its room");
    memset(&n->texts[n->count], 0, (NAME_FIXED_END - n->count) * sizeof(n->texts[0]));
    n->count = NAME_FIXED_END;
    return n;
}

void names_free(struct names *n)
{
    if (n == NULL)
        return;
    arena_fini(&n->arena);
    mem_free(n->texts);
    mem_free(n->slots);
    mem_free(n);
}

uint32_t names_find(const struct names *n, struct str text)
{
    return n->slots[slot_of(n, text)];
}

uint32_t names_find_below(const struct names *n, struct str text, uint32_t end)
{
    uint32_t name = names_find(n, text);
    return name < end || planted("store-names-ahead") ? name : NAME_NONE;
}

uint32_t names_add(struct names *n, struct str text)
{
    if (text.len == 0 || text.len > NAME_BYTES_MAX)
        return NAME_NONE;
    uint32_t slot = slot_of(n, text);
    if (n->slots[slot] != 0)
        return n->slots[slot];
    if (n->count == NAMES_MAX || !str_is_utf8(text))
        return NAME_NONE;
    if (n->count == n->room) {
        n->room *= 2;
        n->texts = mem_resize(n->texts, n->room * sizeof(n->texts[0]));
    }
    n->texts[n->count] = arena_copy(&n->arena, text);
    n->slots[slot] = n->count++;
    if (n->count * 2 > n->slot_count)
        grow(n);
    return n->count - 1;
}

struct str names_text(const struct names *n, uint32_t name)
{
    if (name == NAME_NONE || name >= n->count)
        return STR("");
    return n->texts[name];
}

uint32_t names_count(const struct names *n)
{
    return n->count;
}
