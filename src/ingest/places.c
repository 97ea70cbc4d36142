/* places.c - the cache that turns keys into names without asking anyone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "ingest/ingest_int.h"

static void slots_clear(struct ingest_worker *w, uint32_t slot_count)
{
    mem_free(w->slots);
    w->slots = mem_new(slot_count * sizeof(w->slots[0]));
    w->slot_count = slot_count;
}

static uint32_t slot_of(const struct ingest_worker *w, uint32_t parent, struct str key)
{
    uint32_t mask = w->slot_count - 1;
    uint32_t slot = (uint32_t)hash_str(key, parent) & mask;
    while (w->slots[slot] != 0) {
        const struct place *p = &w->places[w->slots[slot] - 1];
        if (p->parent == parent && str_equal(p->key, key))
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static uint32_t place_add(struct ingest_worker *w, const struct place *place)
{
    if (w->place_count == w->place_room) {
        w->place_room = max_of(w->place_room * 2, 256u);
        w->places = mem_resize(w->places, w->place_room * sizeof(w->places[0]));
    }
    w->places[w->place_count] = *place;
    return w->place_count++;
}

void places_reset(struct ingest_worker *w)
{
    arena_reset(&w->arena);
    w->place_count = 0;
    w->last_place = 0;
    memset(w->events, 0, sizeof(w->events));
    slots_clear(w, 1024);
    for (uint32_t root = 0; root < PLACE_ROOT_END; root++) {
        struct place place = {.parent = UINT32_MAX,
                              .run_parent = UINT32_MAX,
                              .text = root == PLACE_CONTEXT ? STR("context") : STR("")};
        must(place_add(w, &place) == root);
    }
}

static void slots_grow(struct ingest_worker *w)
{
    slots_clear(w, w->slot_count * 2);
    for (uint32_t i = PLACE_ROOT_END; i < w->place_count; i++)
        w->slots[slot_of(w, w->places[i].parent, w->places[i].key)] = i + 1;
}

/* Names that are not the customer's: ours begin with $, and what stood under context has its own. */
static bool is_reserved(uint32_t parent, struct str text)
{
    if (parent == PLACE_CONTEXT || text.len == 0)
        return text.len == 0;
    bool is_context = str_is(text, "context") || str_starts(text, STR("context."));
    return text.at[0] == '$' || (parent == PLACE_PROPERTIES && is_context);
}

static uint32_t place_make(struct ingest_worker *w, uint32_t parent, struct str key)
{
    struct place place = {.parent = parent, .run_parent = UINT32_MAX};
    struct str prefix = w->places[parent].text;
    char *text = arena_alloc(&w->arena, prefix.len + 1 + key.len);
    size_t len = prefix.len;
    memcpy(text, prefix.at, prefix.len);
    if (prefix.len != 0)
        text[len++] = '.';
    memcpy(text + len, key.at, key.len);
    place.key = (struct str){text + len, key.len};
    place.text = (struct str){text, len + key.len};
    place.quick = quick_key(place.key);
    place.is_closed = w->places[parent].is_closed || is_reserved(parent, place.text);
    place.is_public = map_str_find(&w->in->publics, place.text) != MAP_NONE;
    return place_add(w, &place);
}

uint32_t place_search(struct ingest_worker *w, uint32_t parent, struct str key)
{
    uint32_t found;
    size_t prefix_bytes = w->places[parent].text.len;
    if (prefix_bytes + (prefix_bytes != 0) + key.len > NAME_BYTES_MAX)
        return PLACE_NONE;
    uint32_t slot = slot_of(w, parent, key);
    if (w->slots[slot] == 0) {
        found = place_make(w, parent, key);
        w->slots[slot] = found + 1;
        if (w->place_count * 2 > w->slot_count)
            slots_grow(w);
    } else {
        found = w->slots[slot] - 1;
    }
    w->places[w->last_place].guess = found;
    w->last_place = found;
    return found;
}

/* The name as a varint, side by side in a word. */
static void place_set_head(struct place *place)
{
    uint32_t left = place->name;
    place->head = 0;
    place->head_bytes = 0;
    for (uint32_t i = 0; i < sizeof(place->head); i++) {
        bool is_last = left < 0x80;
        place->head |= ((left & 0x7f) | (is_last ? 0 : 0x80)) << (8 * i);
        left >>= 7;
        if (is_last) {
            place->head_bytes = (uint8_t)(i + 1);
            place->run_parent = place->parent;
            return;
        }
    }
}

uint32_t place_ask_name(struct ingest_worker *w, uint32_t index, uint32_t source)
{
    struct place *place = &w->places[index];
    if (place->is_closed)
        return NAME_NONE;
    /* not kept if it fails: another source may still have room, or the bound be raised */
    uint32_t name = vocabulary_add(w->in->vocabulary, place->text, source);
    place->name = name;
    if (name != NAME_NONE)
        place_set_head(place);
    if (name >= w->stamp_count) {
        uint32_t count = max_of(w->stamp_count * 2, (name | 1023) + 1);
        w->stamps = mem_resize(w->stamps, count * sizeof(w->stamps[0]));
        memset(w->stamps + w->stamp_count, 0, (count - w->stamp_count) * sizeof(w->stamps[0]));
        w->stamp_count = count;
    }
    return name;
}
