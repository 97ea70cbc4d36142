/* What values are to a template: equal, ordered, empty, properties, text, lists. The rules are those of
 * Liquid's Ruby implementation, which is its only definition.
 *
 * Values come from outside and may be nested as deep as JSON was; every walk has a floor.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/liquid_int.h"

#include <math.h>

#include "base/buf.h"
#include "when/span.h"
#include "when/zone.h"
#include "json/json_write.h"

#define DEPTH_MAX 40 /* lists in lists */

static bool is_number(struct value x)
{
    return x.type == VALUE_INT || x.type == VALUE_UINT || x.type == VALUE_DOUBLE;
}

/* What `empty` is equal to. */
static bool is_empty(struct value x)
{
    switch ((enum value_type)x.type) {
    case VALUE_TEXT: return x.text.len == 0;
    case VALUE_LIST: return x.list->count == 0;
    case VALUE_MAP: return x.map->count == 0;
    case VALUE_NONE:
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE:
    case VALUE_BYTES:
    case VALUE_TIME:
    case VALUE_DURATION:
    case VALUE_TYPE:
    case VALUE_ERROR: break;
    }
    return false;
}

static bool is_blank(struct value x)
{
    if (x.type == VALUE_TEXT)
        return text_is_blank(x.text);
    return !liquid_is_truthy(x) || is_empty(x);
}

static int compare_numbers(struct value a, struct value b)
{
    struct value x = liquid_to_number(a), y = liquid_to_number(b);
    if (x.type == VALUE_INT && y.type == VALUE_INT)
        return (x.integer > y.integer) - (x.integer < y.integer);
    double left = x.type == VALUE_INT ? (double)x.integer : x.number;
    double right = y.type == VALUE_INT ? (double)y.integer : y.number;
    return (left > right) - (left < right);
}

static bool equal_at(struct value a, struct value b, uint32_t depth);

static bool equal_lists(const struct value_list *a, const struct value_list *b, uint32_t depth)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!equal_at(a->items[i], b->items[i], depth))
            return false;
    return true;
}

static const struct value *member(const struct value_map *map, struct value key)
{
    for (uint32_t i = 0; i < map->count; i++)
        if (equal_at(map->pairs[i].key, key, 0))
            return &map->pairs[i].value;
    return NULL;
}

static bool equal_maps(const struct value_map *a, const struct value_map *b, uint32_t depth)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        /* Mostly the same keys in the same order. */
        bool is_beside = equal_at(a->pairs[i].key, b->pairs[i].key, DEPTH_MAX);
        const struct value *other = is_beside ? &b->pairs[i].value : member(b, a->pairs[i].key);
        if (!other || !equal_at(a->pairs[i].value, *other, depth))
            return false;
    }
    return true;
}

static bool equal_at(struct value a, struct value b, uint32_t depth)
{
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b) == 0;
    if (liquid_is_nil(a) || liquid_is_nil(b))
        return liquid_is_nil(a) && liquid_is_nil(b);
    if (a.type != b.type)
        return false;
    switch ((enum value_type)a.type) {
    case VALUE_BOOL: return a.boolean == b.boolean;
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_TYPE:
    case VALUE_ERROR: return str_equal(a.text, b.text);
    case VALUE_TIME:
    case VALUE_DURATION: return a.integer == b.integer && a.sub_ns == b.sub_ns;
    case VALUE_LIST: return depth < DEPTH_MAX && equal_lists(a.list, b.list, depth + 1);
    case VALUE_MAP: return depth < DEPTH_MAX && equal_maps(a.map, b.map, depth + 1);
    case VALUE_NONE:
    case VALUE_NULL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE: break;
    }
    return false;
}

bool liquid_equal(struct value a, struct value b)
{
    bool a_is_word = liquid_is_empty_word(a) || liquid_is_blank_word(a);
    bool b_is_word = liquid_is_empty_word(b) || liquid_is_blank_word(b);
    if (a_is_word && b_is_word)
        return str_equal(a.text, b.text);
    if (a_is_word)
        return liquid_is_empty_word(a) ? is_empty(b) : is_blank(b);
    if (b_is_word)
        return liquid_is_empty_word(b) ? is_empty(a) : is_blank(a);
    return equal_at(a, b, 0);
}

bool liquid_order(struct value a, struct value b, int *order)
{
    if (is_number(a) && is_number(b))
        *order = compare_numbers(a, b);
    else if (a.type == VALUE_TEXT && b.type == VALUE_TEXT)
        *order = str_order(a.text, b.text);
    else if ((a.type == VALUE_TIME && b.type == VALUE_TIME) ||
             (a.type == VALUE_DURATION && b.type == VALUE_DURATION))
        *order = a.integer != b.integer ? (a.integer > b.integer) - (a.integer < b.integer)
                                        : (a.sub_ns > b.sub_ns) - (a.sub_ns < b.sub_ns);
    else
        return false;
    return true;
}

/* Does it take < and >? What does not is simply not less. */
static bool is_ordered(struct value x)
{
    return is_number(x) || x.type == VALUE_TEXT || x.type == VALUE_TIME || x.type == VALUE_DURATION;
}

static bool contains(struct render *r, struct value a, struct value b, bool *out)
{
    *out = false;
    if (!liquid_is_truthy(a) || !liquid_is_truthy(b))
        return true;
    if (a.type == VALUE_TEXT) {
        struct str needle;
        if (!liquid_to_text(r, b, &needle))
            return false;
        *out = str_find(a.text, needle, 0) != SIZE_MAX;
        return liquid_step(r, a.text.len / 64);
    } else if (a.type == VALUE_LIST) {
        for (uint32_t i = 0; i < a.list->count && !*out; i++)
            *out = liquid_equal(a.list->items[i], b);
        return liquid_step(r, a.list->count);
    } else if (a.type == VALUE_MAP) {
        *out = member(a.map, b) != NULL;
    }
    return true;
}

bool liquid_compare(struct render *r, enum op_code code, struct value a, struct value b, bool *out)
{
    if (code == OP_EQ || code == OP_NE) {
        *out = liquid_equal(a, b) == (code == OP_EQ);
        return true;
    }
    if (code == OP_CONTAINS)
        return contains(r, a, b, out);
    *out = false;
    int order = 0;
    if (!is_ordered(a) || !is_ordered(b))
        return true;
    if (!liquid_order(a, b, &order))
        return liquid_fail(r, "cannot compare %s with %s", value_type_name(a.type),
                           value_type_name(b.type));
    *out = (code == OP_LT && order < 0) || (code == OP_GT && order > 0) ||
           (code == OP_LE && order <= 0) || (code == OP_GE && order >= 0);
    return true;
}

static bool pair_list(struct render *r, const struct value_pair *pair, struct value *out)
{
    struct value_list *list = liquid_new_list(r, 2);
    if (!list)
        return false;
    list->items[0] = pair->key;
    list->items[1] = pair->value;
    *out = liquid_list(list);
    return true;
}

static bool map_property(struct render *r, const struct value_map *map, struct value key,
                         bool is_named, struct value *out)
{
    const struct value *found = member(map, key);
    if (!liquid_step(r, map->count / 8))
        return false;
    if (found)
        *out = liquid_plain(*found);
    else if (is_named && str_is(key.text, "size"))
        *out = value_int(map->count);
    else if (is_named && str_is(key.text, "first") && map->count)
        return pair_list(r, &map->pairs[0], out);
    return true;
}

static void list_property(const struct value_list *list, struct value key, bool is_named,
                          struct value *out)
{
    int64_t index = 0;
    if (is_named && str_is(key.text, "size"))
        *out = value_int(list->count);
    else if (is_named && str_is(key.text, "first") && list->count)
        *out = liquid_plain(list->items[0]);
    else if (is_named && str_is(key.text, "last") && list->count)
        *out = liquid_plain(list->items[list->count - 1]);
    if (is_named || !is_number(key) || !liquid_to_index(key, &index))
        return;
    if (index < 0)
        index += list->count;
    if (index >= 0 && index < list->count)
        *out = liquid_plain(list->items[index]);
}

static void text_property(struct str text, struct str key, struct value *out)
{
    if (str_is(key, "size")) {
        *out = value_int((int64_t)liquid_text_length(text));
    } else if (str_is(key, "first") && text.len) {
        *out = value_text(str_part(text, 0, text_character(text, 0)));
    } else if (str_is(key, "last") && text.len) {
        size_t last = text_offset(text, liquid_text_length(text) - 1);
        *out = value_text(str_part(text, last, text.len));
    }
}

bool liquid_property(struct render *r, struct value item, struct value key, bool is_named,
                     struct value *out)
{
    *out = value_none();
    if (item.type == VALUE_MAP)
        return map_property(r, item.map, key, is_named, out);
    if (item.type == VALUE_LIST)
        list_property(item.list, key, is_named, out);
    else if (item.type == VALUE_TEXT && is_named)
        text_property(item.text, key.text, out);
    return true;
}

/* --- text ------------------------------------------------------------------------------------ */

/* One text, number or word as JSON, by way of `part`. */
static void add_json_scalar(struct build *b, struct value x, struct buf *part)
{
    struct json_writer w;
    part->len = 0;
    json_write_init(&w, part, JSON_COMPACT);
    json_write_value(&w, x);
    build_add(b, buf_str(part));
}

/* JSON writers that know no budget would write a list of a thousand times the same long text. */
static bool add_json_at(struct build *b, struct value x, struct buf *part, uint32_t depth)
{
    bool is_list = x.type == VALUE_LIST;
    if (!is_list && x.type != VALUE_MAP) {
        add_json_scalar(b, x, part);
        return !b->is_bad;
    }
    if (depth == DEPTH_MAX)
        return liquid_fail(b->r, "a value is nested more than %d deep", DEPTH_MAX);
    uint32_t count = is_list ? x.list->count : x.map->count;
    build_add_byte(b, is_list ? '[' : '{');
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            build_add_byte(b, ',');
        if (!is_list) {
            struct str key;
            if (!liquid_to_text(b->r, x.map->pairs[i].key, &key))
                return false;
            add_json_scalar(b, value_text(key), part);
            build_add_byte(b, ':');
        }
        struct value item = is_list ? x.list->items[i] : x.map->pairs[i].value;
        if (!add_json_at(b, item, part, depth + 1))
            return false;
    }
    build_add_byte(b, is_list ? ']' : '}');
    return liquid_step(b->r, count);
}

bool liquid_add_json(struct build *b, struct value x)
{
    struct buf part;
    buf_init(&part);
    bool is_fine = add_json_at(b, x, &part, 0);
    buf_fini(&part);
    return is_fine;
}

static void add_scalar(struct build *b, struct value x)
{
    char number[NUMBER_TEXT_BYTES];
    char stamp[TIMESTAMP_BYTES];
    char span[SPAN_BYTES];
    switch ((enum value_type)x.type) {
    case VALUE_BOOL: build_add(b, x.boolean ? STR("true") : STR("false")); return;
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE:
        build_add(b, (struct str){number, liquid_print_number(liquid_to_number(x), number)});
        return;
    case VALUE_TEXT: build_add(b, x.text); return;
    case VALUE_TIME:
        build_add(b, timestamp_print_exact(x.integer, x.sub_ns,
                                           zone_offset_ms(b->r->zone, x.integer), stamp));
        return;
    case VALUE_DURATION: build_add(b, span_print(span_of_ms(x.integer), span)); return;
    case VALUE_NONE:
    case VALUE_NULL:
    case VALUE_BYTES:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_TYPE:
    case VALUE_ERROR: return;
    }
}

static bool add_at(struct build *b, struct value x, uint32_t depth)
{
    if (x.type == VALUE_MAP)
        return liquid_add_json(b, x);
    if (x.type != VALUE_LIST) {
        add_scalar(b, x);
        return true;
    }
    if (depth == DEPTH_MAX)
        return liquid_fail(b->r, "a list is nested more than %d deep", DEPTH_MAX);
    for (uint32_t i = 0; i < x.list->count; i++)
        if (!add_at(b, x.list->items[i], depth + 1))
            return false;
    return liquid_step(b->r, x.list->count);
}

bool liquid_add_text(struct build *b, struct value x)
{
    if (x.type == VALUE_ERROR)
        return liquid_fail(b->r, "%.*s", STR_ARG(x.text));
    if (x.pad[0] == MARK_RANGE && x.list->count) {
        add_scalar(b, x.list->items[0]);
        build_add(b, STR(".."));
        add_scalar(b, x.list->items[x.list->count - 1]);
        return true;
    }
    return add_at(b, x, 0);
}

bool liquid_to_text(struct render *r, struct value x, struct str *out)
{
    if (x.type == VALUE_TEXT) {
        *out = x.text;
        return true;
    }
    struct build b = liquid_build(r);
    struct value text;
    bool is_container = x.type == VALUE_LIST && x.pad[0] != MARK_RANGE;
    if (!(is_container ? liquid_add_json(&b, x) : liquid_add_text(&b, x)) || !build_done(&b, &text))
        return false;
    *out = text.text;
    return true;
}

/* --- lists ----------------------------------------------------------------------------------- */

static size_t flat_count(const struct value_list *list, uint32_t depth)
{
    size_t count = 0;
    for (uint32_t i = 0; i < list->count; i++)
        count += list->items[i].type == VALUE_LIST && depth < DEPTH_MAX
                     ? flat_count(list->items[i].list, depth + 1)
                     : 1;
    return count;
}

static void flatten(const struct value_list *list, uint32_t depth, struct value_list *out)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].type == VALUE_LIST && depth < DEPTH_MAX)
            flatten(list->items[i].list, depth + 1, out);
        else
            out->items[out->count++] = list->items[i];
}

static bool is_flat(const struct value_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].type == VALUE_LIST)
            return false;
    return true;
}

bool liquid_to_list(struct render *r, struct value x, const struct value_list **out)
{
    if (x.type == VALUE_LIST) {
        *out = x.list;
        if (!liquid_step(r, x.list->count))
            return false;
        if (is_flat(x.list))
            return true;
        struct value_list *flat = liquid_new_list(r, flat_count(x.list, 0));
        if (!flat)
            return false;
        flat->count = 0;
        flatten(x.list, 0, flat);
        *out = flat;
        return true;
    }
    bool is_nothing = liquid_is_nil(x) || x.type == VALUE_TYPE;
    struct value_list *list = liquid_new_list(r, is_nothing ? 0 : 1);
    if (!list)
        return false;
    if (!is_nothing)
        list->items[0] = liquid_plain(x);
    *out = list;
    return true;
}
