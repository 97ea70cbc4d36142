/* fn_list.c - lists and optionals.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/fn.h"

struct value fn_size(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    switch (a->type) {
    case VALUE_TEXT:
        if (!machine_pay(m, a->text.len / 16))
            return over_budget();
        return value_int((int64_t)text_length(a->text));
    case VALUE_BYTES: return value_int((int64_t)a->text.len);
    case VALUE_LIST: return value_int(a->list->count);
    case VALUE_MAP: return value_int(a->map->count);
    default: return no_such_overload();
    }
}

/* Room for a list of `count` items, counted as empty; NULL beyond the limit. */
static struct value_list *list_new(struct machine *m, uint64_t count)
{
    if (count > UINT32_MAX / 2) {
        m->is_over = true;
        return NULL;
    }
    struct value_list *list = machine_alloc(m, sizeof(*list) + count * sizeof(struct value));
    if (list != NULL)
        list->count = 0;
    return list;
}

struct value fn_slice(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 3);
    if (a[0].type != VALUE_LIST || a[1].type != VALUE_INT || a[2].type != VALUE_INT)
        return no_such_overload();
    int64_t from = a[1].integer, to = a[2].integer;
    if (from < 0 || to < from || to > a->list->count)
        return machine_error(m, "cannot slice(%lld, %lld) of a list of %u items", (long long)from,
                             (long long)to, a->list->count);
    struct value_list *list = list_new(m, (uint64_t)(to - from));
    if (list == NULL)
        return over_budget();
    list->count = (uint32_t)(to - from);
    memcpy(list->items, a->list->items + from, list->count * sizeof(struct value));
    return value_list_of(list);
}

/* Methods of the same name: of texts and of lists. */
struct value fn_reverse(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type == VALUE_TEXT) {
        char *at = machine_alloc(m, a->text.len + 1);
        if (at == NULL)
            return over_budget();
        size_t to = a->text.len;
        for (size_t i = 0; i < a->text.len;) {
            size_t bytes = 1;
            while (i + bytes < a->text.len && ((unsigned char)a->text.at[i + bytes] & 0xc0) == 0x80)
                bytes++;
            to -= bytes;
            memcpy(at + to, a->text.at + i, bytes);
            i += bytes;
        }
        return value_text((struct str){at, a->text.len});
    }
    if (a->type != VALUE_LIST)
        return no_such_overload();
    struct value_list *list = list_new(m, a->list->count);
    if (list == NULL)
        return over_budget();
    for (uint32_t i = a->list->count; i > 0; i--)
        list->items[list->count++] = a->list->items[i - 1];
    return value_list_of(list);
}

struct value fn_distinct(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type != VALUE_LIST)
        return no_such_overload();
    struct value_list *list = list_new(m, a->list->count);
    for (uint32_t i = 0; list != NULL && i < a->list->count; i++) {
        struct value so_far = value_list_of(list);
        struct value is_known = value_in(m, &a->list->items[i], &so_far);
        if (is_known.type != VALUE_BOOL)
            return is_known;
        if (!is_known.boolean)
            list->items[list->count++] = a->list->items[i];
    }
    return list ? value_list_of(list) : over_budget();
}

struct value fn_flatten(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type != VALUE_LIST)
        return no_such_overload();
    uint64_t total = 0;
    for (uint32_t i = 0; i < a->list->count; i++)
        total += a->list->items[i].type == VALUE_LIST ? a->list->items[i].list->count : 1;
    struct value_list *list = list_new(m, total);
    for (uint32_t i = 0; list != NULL && i < a->list->count; i++) {
        const struct value *item = &a->list->items[i];
        bool is_list = item->type == VALUE_LIST;
        uint32_t items = is_list ? item->list->count : 1;
        memcpy(list->items + list->count, is_list ? item->list->items : item,
               items * sizeof(struct value));
        list->count += items;
    }
    return list ? value_list_of(list) : over_budget();
}

struct value fn_sort(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    return value_sort(m, a, a);
}

struct value fn_first(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type != VALUE_LIST)
        return no_such_overload();
    return a->list->count ? optional_of(m, &a->list->items[0]) : optional_none();
}

struct value fn_last(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type != VALUE_LIST)
        return no_such_overload();
    return a->list->count ? optional_of(m, &a->list->items[a->list->count - 1]) : optional_none();
}

struct value fn_range(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type != VALUE_INT)
        return no_such_overload();
    if (a->integer < 0)
        return ERROR("negative offset");
    struct value_list *list = list_new(m, (uint64_t)a->integer);
    if (list == NULL)
        return over_budget();
    for (int64_t i = 0; i < a->integer; i++)
        list->items[list->count++] = value_int(i);
    return value_list_of(list);
}

/* Optionals ------------------------------------------------------------------------------------- */

struct value fn_optional_of(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    return optional_of(m, a);
}

static bool is_zero(const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL: return true;
    case VALUE_BOOL: return !v->boolean;
    case VALUE_INT:
    case VALUE_UINT: return v->uinteger == 0;
    case VALUE_DOUBLE: return v->number == 0;
    case VALUE_TEXT:
    case VALUE_BYTES: return v->text.len == 0;
    case VALUE_TIME:
    case VALUE_DURATION: return v->integer == 0 && v->sub_ns == 0;
    case VALUE_LIST: return v->list->count == 0;
    case VALUE_MAP: return v->map->count == 0;
    case VALUE_OPTIONAL: return !optional_holds(v);
    default: return false;
    }
}

struct value fn_optional_non_zero(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    return is_zero(a) ? optional_none() : optional_of(m, a);
}

struct value fn_optional_none(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    (void)a;
    must(count == 0);
    return optional_none();
}

struct value fn_has_value(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 1);
    return a->type == VALUE_OPTIONAL ? value_bool(optional_holds(a)) : no_such_overload();
}

struct value fn_value(struct machine *m, const struct value *a, uint32_t count)
{
    (void)m;
    must(count == 1);
    if (a->type != VALUE_OPTIONAL)
        return no_such_overload();
    return optional_holds(a) ? a->list->items[0] : ERROR("optional.none() dereference");
}

struct value fn_unwrap(struct machine *m, const struct value *a, uint32_t count)
{
    must(count == 1);
    if (a->type != VALUE_LIST)
        return no_such_overload();
    struct value_list *list = list_new(m, a->list->count);
    for (uint32_t i = 0; list != NULL && i < a->list->count; i++) {
        const struct value *item = &a->list->items[i];
        if (item->type != VALUE_OPTIONAL)
            return no_such_overload();
        if (optional_holds(item))
            list->items[list->count++] = item->list->items[0];
    }
    return list ? value_list_of(list) : over_budget();
}
