/* From a node to a dynamic value: each container is counted, its value reserved in the arena, and then
 * filled, with the containers that are still being filled on an explicit stack.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "json/json.h"

#include <stdlib.h>

/* Up to here a doubled key is looked for by comparing all pairs. */
#define MAP_SMALL 16

struct filling {
    struct json_each each;
    struct value_list *list; /* one of the two */
    struct value_map *map;
    uint32_t count;
};

struct key_place {
    struct str key;
    uint32_t place;
};

static int key_place_order(const void *left, const void *right)
{
    const struct key_place *a = left;
    const struct key_place *b = right;
    int order = str_order(a->key, b->key);
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

/* Marks in `is_dropped` the pairs whose key was there before; the first gets the last one's value. */
static uint32_t mark_doubled(struct value_map *map, bool *is_dropped, struct key_place *sorted)
{
    uint32_t dropped_count = 0;
    for (uint32_t i = 0; i < map->count; i++)
        sorted[i] = (struct key_place){map->pairs[i].key.text, i};
    qsort(sorted, map->count, sizeof(*sorted), key_place_order);
    for (uint32_t first = 0, i = 1; i < map->count; i++) {
        if (!str_equal(sorted[i].key, sorted[first].key)) {
            first = i;
            continue;
        }
        map->pairs[sorted[first].place].value = map->pairs[sorted[i].place].value;
        is_dropped[sorted[i].place] = true;
        dropped_count++;
    }
    return dropped_count;
}

static bool has_doubled(const struct value_map *map)
{
    for (uint32_t i = 1; i < map->count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (str_equal(map->pairs[i].key.text, map->pairs[j].key.text))
                return true;
    return false;
}

/* A key given twice: the last value, at the first place. */
static void drop_doubled(struct value_map *map, struct arena *arena)
{
    if (map->count <= MAP_SMALL && !has_doubled(map))
        return;
    bool *is_dropped = arena_array(arena, bool, map->count);
    struct key_place *sorted = arena_array(arena, struct key_place, map->count);
    if (mark_doubled(map, is_dropped, sorted) == 0)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < map->count; i++)
        if (!is_dropped[i])
            map->pairs[kept++] = map->pairs[i];
    map->count = kept;
}

static struct value scalar_value(struct json_node node, struct arena *arena)
{
    int64_t integer = 0;
    double number = 0;
    switch (json_type(node)) {
    case JSON_NONE: return value_none();
    case JSON_NULL: return (struct value){.type = VALUE_NULL};
    case JSON_BOOL: return value_bool(json_is_true(node));
    case JSON_INT: (void)json_int(node, &integer); return value_int(integer);
    case JSON_DOUBLE: (void)json_double(node, &number); return value_double(number);
    case JSON_TEXT: return value_text(arena_copy(arena, json_text(node)));
    case JSON_LIST:
    case JSON_MAP: break;
    }
    must(false);
    return value_none();
}

static bool is_container(struct json_node node)
{
    return json_is(node, JSON_LIST) || json_is(node, JSON_MAP);
}

/* An empty container with room for the node's items, and how it is to be filled. */
static struct value container_value(struct json_node node, struct arena *arena,
                                    struct filling *fill)
{
    size_t count = json_count(node);
    *fill = (struct filling){.each = json_each(node)};
    if (json_is(node, JSON_LIST)) {
        fill->list = arena_alloc(arena, sizeof(*fill->list) + count * sizeof(fill->list->items[0]));
        fill->list->count = (uint32_t)count;
        return (struct value){.type = VALUE_LIST, .list = fill->list};
    }
    fill->map = arena_alloc(arena, sizeof(*fill->map) + count * sizeof(fill->map->pairs[0]));
    fill->map->count = (uint32_t)count;
    return (struct value){.type = VALUE_MAP, .map = fill->map};
}

struct value json_to_value(struct json_node node, struct arena *arena)
{
    if (!is_container(node))
        return scalar_value(node, arena);
    struct filling stack[JSON_DEPTH_MAX];
    uint32_t depth = 0;
    struct value whole = container_value(node, arena, &stack[depth++]);
    while (depth) {
        struct filling *top = &stack[depth - 1];
        if (!json_next(&top->each)) {
            if (top->map)
                drop_doubled(top->map, arena);
            depth--;
            continue;
        }
        struct value *slot;
        if (top->map) {
            struct value_pair *pair = &top->map->pairs[top->count++];
            pair->key = value_text(arena_copy(arena, top->each.key));
            slot = &pair->value;
        } else {
            slot = &top->list->items[top->count++];
        }
        if (is_container(top->each.node)) {
            must(depth < JSON_DEPTH_MAX);
            *slot = container_value(top->each.node, arena, &stack[depth++]);
        } else {
            *slot = scalar_value(top->each.node, arena);
        }
    }
    return whole;
}
