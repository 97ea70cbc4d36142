/* Filters on lists. Anything can stand for a list: nil is an empty one, a list in a list is flattened,
 * everything else is a list of one (liquid_to_list()).
 *
 * "The property of an item" is Ruby's item[property]: a map's member; of a text the property itself if
 * it is in the text; an error for a number; and where an item is nil or a boolean, the whole filter
 * gives nil.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/liquid_int.h"

enum answer {
    HAS_PROPERTY, /* *out is it, perhaps nil */
    HAS_NO_PROPERTIES,
    IS_MISTAKEN, /* faulted */
};

static enum answer property_of(struct call *c, struct value item, struct value property,
                               struct value *out)
{
    *out = liquid_nil();
    switch ((enum value_type)item.type) {
    case VALUE_MAP:
        if (!liquid_property(c->r, item, property, false, out))
            return IS_MISTAKEN;
        return HAS_PROPERTY;
    case VALUE_TEXT:
        if (liquid_is_nil(property))
            return HAS_NO_PROPERTIES;
        if (property.type != VALUE_TEXT)
            break;
        if (!liquid_step(c->r, item.text.len / 64))
            return IS_MISTAKEN;
        if (str_find(item.text, property.text, 0) != SIZE_MAX)
            *out = liquid_plain(property);
        return HAS_PROPERTY;
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_LIST: break;
    case VALUE_NONE:
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_DOUBLE:
    case VALUE_BYTES:
    case VALUE_TIME:
    case VALUE_DURATION:
    case VALUE_TYPE:
    case VALUE_ERROR: return HAS_NO_PROPERTIES;
    }
    struct str name;
    if (liquid_to_text(c->r, property, &name))
        liquid_fail(c->r, "cannot select the property \"%.*s\" of %s", (int)min_of(name.len, 64u),
                    name.at, value_type_name(item.type));
    return IS_MISTAKEN;
}

/* --- choosing by property -------------------------------------------------------------------- */

/* Whether the item's property is the second argument, or true if there is none. */
static enum answer matches(struct call *c, struct value item, bool *is_match)
{
    struct value property;
    enum answer answer = property_of(c, item, c->args[0], &property);
    *is_match =
        liquid_is_nil(c->args[1]) ? liquid_is_truthy(property) : liquid_equal(property, c->args[1]);
    return answer;
}

/* The items that do or do not match. */
static bool chosen(struct call *c, bool is_wanted)
{
    const struct value_list *from;
    c->result = liquid_nil();
    if (!liquid_to_list(c->r, c->input, &from))
        return false;
    struct value_list *list = liquid_new_list(c->r, from->count);
    if (!list)
        return false;
    list->count = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        bool is_match;
        enum answer answer = matches(c, from->items[i], &is_match);
        if (answer != HAS_PROPERTY)
            return answer == HAS_NO_PROPERTIES;
        if (is_match == is_wanted)
            list->items[list->count++] = from->items[i];
    }
    c->result = liquid_list(list);
    return true;
}

bool filter_where(struct call *c)
{
    return chosen(c, true);
}

bool filter_reject(struct call *c)
{
    return chosen(c, false);
}

/* The first item that matches: true with its place in *index (the count if none does), or with
 * *is_nil if the answer is nil. */
static bool first_match(struct call *c, const struct value_list **list, uint32_t *index,
                        bool *is_nil)
{
    *is_nil = false;
    *index = 0;
    if (!liquid_to_list(c->r, c->input, list))
        return false;
    for (; *index < (*list)->count; ++*index) {
        bool is_match;
        enum answer answer = matches(c, (*list)->items[*index], &is_match);
        if (answer != HAS_PROPERTY) {
            *is_nil = true;
            return answer == HAS_NO_PROPERTIES;
        }
        if (is_match)
            return true;
    }
    return true;
}

bool filter_find(struct call *c)
{
    const struct value_list *list;
    uint32_t index;
    bool is_nil;
    if (!first_match(c, &list, &index, &is_nil))
        return false;
    c->result = is_nil || index == list->count ? liquid_nil() : liquid_plain(list->items[index]);
    return true;
}

bool filter_find_index(struct call *c)
{
    const struct value_list *list;
    uint32_t index;
    bool is_nil;
    if (!first_match(c, &list, &index, &is_nil))
        return false;
    c->result = is_nil || index == list->count ? liquid_nil() : value_int(index);
    return true;
}

bool filter_has(struct call *c)
{
    const struct value_list *list;
    uint32_t index;
    bool is_nil;
    if (!first_match(c, &list, &index, &is_nil))
        return false;
    c->result = is_nil ? liquid_nil() : value_bool(index < list->count);
    return true;
}

/* --- one for one ----------------------------------------------------------------------------- */

bool filter_map(struct call *c)
{
    const struct value_list *from;
    if (!liquid_to_list(c->r, c->input, &from))
        return false;
    struct value_list *list = liquid_new_list(c->r, from->count);
    if (!list)
        return false;
    for (uint32_t i = 0; i < from->count; i++)
        if (property_of(c, from->items[i], c->args[0], &list->items[i]) == IS_MISTAKEN)
            return false;
    c->result = liquid_list(list);
    return true;
}

bool filter_compact(struct call *c)
{
    const struct value_list *from;
    c->result = liquid_nil();
    if (!liquid_to_list(c->r, c->input, &from))
        return false;
    struct value_list *list = liquid_new_list(c->r, from->count);
    if (!list)
        return false;
    list->count = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        struct value kept = from->items[i];
        if (!liquid_is_nil(c->args[0])) {
            enum answer answer = property_of(c, from->items[i], c->args[0], &kept);
            if (answer != HAS_PROPERTY)
                return answer == HAS_NO_PROPERTIES;
        }
        if (!liquid_is_nil(kept))
            list->items[list->count++] = from->items[i];
    }
    c->result = liquid_list(list);
    return true;
}

/* The sum of a list that may have lists in it again. */
static bool sum_list(struct call *c, const struct value_list *list, struct value *sum)
{
    const struct value_list *flat;
    if (!liquid_to_list(c->r, liquid_list(list), &flat))
        return false;
    for (uint32_t i = 0; i < flat->count; i++)
        *sum = liquid_arithmetic(ADD, *sum, liquid_to_number(flat->items[i]));
    return true;
}

bool filter_sum(struct call *c)
{
    const struct value_list *list;
    c->result = value_int(0);
    if (!liquid_to_list(c->r, c->input, &list))
        return false;
    if (liquid_is_nil(c->args[0]))
        return sum_list(c, list, &c->result);
    struct value_list *values = liquid_new_list(c->r, list->count);
    if (!values)
        return false;
    for (uint32_t i = 0; i < list->count; i++)
        if (property_of(c, list->items[i], c->args[0], &values->items[i]) == IS_MISTAKEN)
            return false;
    return sum_list(c, values, &c->result);
}

bool filter_reverse(struct call *c)
{
    const struct value_list *from;
    if (!liquid_to_list(c->r, c->input, &from))
        return false;
    struct value_list *list = liquid_new_list(c->r, from->count);
    if (!list)
        return false;
    for (uint32_t i = 0; i < from->count; i++)
        list->items[i] = from->items[from->count - 1 - i];
    c->result = liquid_list(list);
    return true;
}

bool filter_concat(struct call *c)
{
    const struct value_list *first;
    if (c->args[0].type != VALUE_LIST)
        return liquid_fail(c->r, "concat wants a list, found %s", value_type_name(c->args[0].type));
    if (!liquid_to_list(c->r, c->input, &first))
        return false;
    const struct value_list *second = c->args[0].list;
    struct value_list *list = liquid_new_list(c->r, (size_t)first->count + second->count);
    if (!list)
        return false;
    memcpy(list->items, first->items, first->count * sizeof(struct value));
    memcpy(list->items + first->count, second->items, second->count * sizeof(struct value));
    c->result = liquid_list(list);
    return true;
}

/* --- equal ones and order -------------------------------------------------------------------- */

/* An item with what it is compared by, and its place. */
struct keyed {
    struct value key;
    struct value item;
};

/* The items with their properties, or with themselves where no property is asked for. */
static enum answer keyed_items(struct call *c, const struct value_list *list, struct keyed **out)
{
    *out = liquid_alloc(c->r, (size_t)list->count * sizeof(**out));
    if (!*out)
        return IS_MISTAKEN;
    for (uint32_t i = 0; i < list->count; i++) {
        (*out)[i] = (struct keyed){list->items[i], list->items[i]};
        if (liquid_is_nil(c->args[0]))
            continue;
        enum answer answer = property_of(c, list->items[i], c->args[0], &(*out)[i].key);
        if (answer != HAS_PROPERTY)
            return answer;
    }
    return HAS_PROPERTY;
}

bool filter_uniq(struct call *c)
{
    const struct value_list *from;
    struct keyed *keyed;
    c->result = liquid_nil();
    if (!liquid_to_list(c->r, c->input, &from))
        return false;
    enum answer answer = keyed_items(c, from, &keyed);
    if (answer != HAS_PROPERTY)
        return answer == HAS_NO_PROPERTIES;
    struct value_list *list = liquid_new_list(c->r, from->count);
    if (!list)
        return false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        uint32_t earlier = 0;
        while (earlier < kept && !liquid_equal(keyed[earlier].key, keyed[i].key))
            earlier++;
        if (!liquid_step(c->r, 1 + earlier / 4))
            return false;
        if (earlier == kept)
            keyed[kept++] = keyed[i];
    }
    for (uint32_t i = 0; i < kept; i++)
        list->items[i] = keyed[i].item;
    list->count = kept;
    c->result = liquid_list(list);
    return true;
}

/* Compares two keys, nil last; false (and a fault) if they cannot be. */
typedef bool order_keys(struct call *c, struct value a, struct value b, int *order);

static bool order_plain(struct call *c, struct value a, struct value b, int *order)
{
    if (liquid_is_nil(a) || liquid_is_nil(b)) {
        *order = (int)liquid_is_nil(a) - (int)liquid_is_nil(b);
        return true;
    }
    return liquid_order(a, b, order) ||
           liquid_fail(c->r, "cannot sort %s and %s together", value_type_name(a.type),
                       value_type_name(b.type));
}

static char small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool order_natural(struct call *c, struct value a, struct value b, int *order)
{
    struct str left, right;
    if (liquid_is_nil(a) || liquid_is_nil(b)) {
        *order = (int)liquid_is_nil(a) - (int)liquid_is_nil(b);
        return true;
    }
    if (!liquid_to_text(c->r, a, &left) || !liquid_to_text(c->r, b, &right))
        return false;
    size_t shared = min_of(left.len, right.len);
    *order = (left.len > right.len) - (left.len < right.len);
    for (size_t i = 0; i < shared; i++) {
        unsigned char x = (unsigned char)small(left.at[i]), y = (unsigned char)small(right.at[i]);
        if (x != y) {
            *order = x < y ? -1 : 1;
            break;
        }
    }
    return true;
}

/* Merges from[first..middle) and from[middle..end) into to; what is equal keeps its order. */
static bool merge(struct call *c, order_keys *order_of, const struct keyed *from, struct keyed *to,
                  size_t first, size_t middle, size_t end)
{
    size_t left = first, right = middle;
    for (size_t i = first; i < end; i++) {
        int order = left == middle ? 1 : -1;
        if (left < middle && right < end && !order_of(c, from[left].key, from[right].key, &order))
            return false;
        to[i] = order <= 0 ? from[left++] : from[right++];
    }
    return liquid_step(c->r, end - first);
}

/* A merge sort from the bottom up: its order of comparisons depends on nothing but the count. */
static bool sorted(struct call *c, order_keys *order_of)
{
    const struct value_list *from;
    struct keyed *keyed;
    c->result = liquid_nil();
    if (!liquid_to_list(c->r, c->input, &from))
        return false;
    enum answer answer = keyed_items(c, from, &keyed);
    if (answer != HAS_PROPERTY)
        return answer == HAS_NO_PROPERTIES;
    size_t count = from->count;
    struct keyed *other = liquid_alloc(c->r, count * sizeof(*other));
    struct value_list *list = liquid_new_list(c->r, count);
    if (!other || !list)
        return false;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t first = 0; first < count; first += 2 * run)
            if (!merge(c, order_of, keyed, other, first, min_of(first + run, count),
                       min_of(first + 2 * run, count)))
                return false;
        struct keyed *swap = keyed;
        keyed = other;
        other = swap;
    }
    for (size_t i = 0; i < count; i++)
        list->items[i] = keyed[i].item;
    c->result = liquid_list(list);
    return true;
}

bool filter_sort(struct call *c)
{
    return sorted(c, order_plain);
}

bool filter_sort_natural(struct call *c)
{
    return sorted(c, order_natural);
}

/* --- ends and sizes -------------------------------------------------------------------------- */

bool filter_size(struct call *c)
{
    c->result = value_int(0);
    if (c->input.type == VALUE_TEXT)
        c->result = value_int((int64_t)liquid_text_length(c->input.text));
    else if (c->input.type == VALUE_LIST)
        c->result = value_int(c->input.list->count);
    else if (c->input.type == VALUE_MAP)
        c->result = value_int(c->input.map->count);
    return true;
}

/* A map may have a member called "first": the filter means the pair, not the member. */
bool filter_first(struct call *c)
{
    c->result = liquid_nil();
    if (c->input.type != VALUE_MAP)
        return liquid_property(c->r, c->input, value_text(STR("first")), true, &c->result);
    if (c->input.map->count == 0)
        return true;
    struct value_list *pair = liquid_new_list(c->r, 2);
    if (!pair)
        return false;
    pair->items[0] = c->input.map->pairs[0].key;
    pair->items[1] = c->input.map->pairs[0].value;
    c->result = liquid_list(pair);
    return true;
}

bool filter_last(struct call *c)
{
    c->result = liquid_nil();
    if (c->input.type == VALUE_MAP)
        return true;
    return liquid_property(c->r, c->input, value_text(STR("last")), true, &c->result);
}

bool filter_join(struct call *c)
{
    const struct value_list *list;
    struct str glue = STR(" ");
    if (!liquid_to_list(c->r, c->input, &list))
        return false;
    if (c->arg_count && !liquid_to_text(c->r, c->args[0], &glue))
        return false;
    struct build b = liquid_build(c->r);
    for (uint32_t i = 0; i < list->count && !b.is_bad; i++) {
        if (i)
            build_add(&b, glue);
        if (!liquid_add_text(&b, list->items[i]))
            return false;
    }
    return build_done(&b, &c->result);
}

bool filter_default(struct call *c)
{
    bool keeps_false = liquid_is_truthy(c->args[1]);
    bool is_missing = keeps_false ? liquid_is_nil(c->input) : !liquid_is_truthy(c->input);
    bool is_empty =
        liquid_equal(c->input, (struct value){.type = VALUE_TYPE, .text = STR("empty")});
    c->result = c->input;
    if (is_missing || is_empty)
        c->result = liquid_is_nil(c->args[0]) ? value_text(STR("")) : c->args[0];
    return true;
}
