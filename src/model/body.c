/* SPDX-License-Identifier: Apache-2.0 */
#include "model/body.h"

static void put_head(struct buf *b, uint32_t name, enum body_type type)
{
    must(name != 0);
    buf_add_varint(b, name);
    buf_add_byte(b, (uint8_t)type);
}

void body_put_null(struct buf *b, uint32_t name)
{
    put_head(b, name, BODY_NULL);
}

void body_put_bool(struct buf *b, uint32_t name, bool x)
{
    put_head(b, name, x ? BODY_TRUE : BODY_FALSE);
}

void body_put_int(struct buf *b, uint32_t name, int64_t x)
{
    put_head(b, name, BODY_INT);
    buf_add_zigzag(b, x);
}

void body_put_double(struct buf *b, uint32_t name, double x)
{
    put_head(b, name, BODY_DOUBLE);
    buf_add(b, &x, sizeof(x));
}

void body_put_text(struct buf *b, uint32_t name, struct str x)
{
    put_head(b, name, BODY_TEXT);
    buf_add_varint(b, x.len);
    buf_add_str(b, x);
}

void body_put_time(struct buf *b, uint32_t name, int64_t at_ms)
{
    put_head(b, name, BODY_TIME);
    buf_add_zigzag(b, at_ms);
}

static bool put_typed(struct buf *b, const struct value *x, uint32_t depth);

static bool put_items(struct buf *b, const struct value *x, uint32_t depth)
{
    struct buf inner;
    bool is_fine = true;
    buf_init(&inner);
    if (x->type == VALUE_LIST) {
        buf_add_varint(&inner, x->list->count);
        for (uint32_t i = 0; i < x->list->count && is_fine; i++)
            is_fine = put_typed(&inner, &x->list->items[i], depth + 1);
    } else {
        buf_add_varint(&inner, x->map->count);
        for (uint32_t i = 0; i < x->map->count && is_fine; i++) {
            const struct value *key = &x->map->pairs[i].key;
            struct str text = key->type == VALUE_TEXT ? key->text : STR("");
            buf_add_varint(&inner, text.len);
            buf_add_str(&inner, text);
            is_fine = put_typed(&inner, &x->map->pairs[i].value, depth + 1);
        }
    }
    buf_add_byte(b, x->type == VALUE_LIST ? BODY_LIST : BODY_MAP);
    buf_add_varint(b, inner.len);
    buf_add_str(b, buf_str(&inner));
    buf_fini(&inner);
    return is_fine;
}

static bool put_typed(struct buf *b, const struct value *x, uint32_t depth)
{
    if (depth > BODY_DEPTH_MAX)
        return false;
    switch ((enum value_type)x->type) {
    case VALUE_BOOL: buf_add_byte(b, x->boolean ? BODY_TRUE : BODY_FALSE); return true;
    case VALUE_INT:
    case VALUE_DURATION:
        buf_add_byte(b, BODY_INT);
        buf_add_zigzag(b, x->integer);
        return true;
    case VALUE_UINT:
        if (x->uinteger <= INT64_MAX) {
            buf_add_byte(b, BODY_INT);
            buf_add_zigzag(b, (int64_t)x->uinteger);
            return true;
        } else {
            double number = (double)x->uinteger;
            buf_add_byte(b, BODY_DOUBLE);
            buf_add(b, &number, sizeof(number));
            return true;
        }
    case VALUE_DOUBLE:
        buf_add_byte(b, BODY_DOUBLE);
        buf_add(b, &x->number, sizeof(x->number));
        return true;
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_TYPE:
        buf_add_byte(b, BODY_TEXT);
        buf_add_varint(b, x->text.len);
        buf_add_str(b, x->text);
        return true;
    case VALUE_TIME:
        buf_add_byte(b, BODY_TIME);
        buf_add_zigzag(b, x->integer);
        return true;
    case VALUE_LIST:
    case VALUE_MAP: return put_items(b, x, depth);
    case VALUE_NONE:
    case VALUE_ERROR:
    case VALUE_NULL: break;
    }
    buf_add_byte(b, BODY_NULL);
    return true;
}

bool body_put(struct buf *b, uint32_t name, const struct value *x)
{
    must(name != 0);
    if (x->type == VALUE_NONE || x->type == VALUE_ERROR)
        return true;
    size_t before = b->len;
    buf_add_varint(b, name);
    if (put_typed(b, x, 0))
        return true;
    b->len = before;
    return false;
}

/* Moves past one payload; false if there is not enough. */
static bool skip(struct cursor *c, uint8_t type)
{
    switch ((enum body_type)type) {
    case BODY_NULL:
    case BODY_FALSE:
    case BODY_TRUE: return true;
    case BODY_INT:
    case BODY_TIME: cursor_varint(c); return !c->is_bad;
    case BODY_DOUBLE: cursor_take(c, 8); return !c->is_bad;
    case BODY_TEXT:
    case BODY_LIST:
    case BODY_MAP: {
        uint64_t bytes = cursor_varint(c);
        if (c->is_bad || bytes > cursor_left(c))
            return false;
        cursor_take(c, bytes);
        return true;
    }
    }
    return false;
}

bool body_next(struct body *rest, struct body_field *out)
{
    if (rest->bytes == 0)
        return false;
    struct cursor c = cursor_of(rest->at, rest->bytes);
    uint64_t name = cursor_varint(&c);
    uint8_t type = cursor_byte(&c);
    const uint8_t *value = c.at;
    if (c.is_bad || name == 0 || name > UINT32_MAX || !skip(&c, type))
        return false;
    *out = (struct body_field){
        .name = (uint32_t)name,
        .type = type,
        .value = value,
        .value_bytes = (uint32_t)(c.at - value),
        .whole_bytes = (uint32_t)(c.at - rest->at),
    };
    rest->at += out->whole_bytes;
    rest->bytes -= out->whole_bytes;
    return true;
}

bool body_find(struct body body, uint32_t name, struct body_field *out)
{
    struct body_field field;
    while (body_next(&body, &field)) {
        if (field.name == name) {
            *out = field;
            return true;
        }
    }
    return false;
}

static struct value read_typed(struct cursor *c, uint8_t type, struct arena *scratch,
                               uint32_t depth)
{
    switch ((enum body_type)type) {
    case BODY_NULL: return (struct value){.type = VALUE_NULL};
    case BODY_FALSE: return value_bool(false);
    case BODY_TRUE: return value_bool(true);
    case BODY_INT: return value_int(cursor_zigzag(c));
    case BODY_TIME: return value_time(cursor_zigzag(c));
    case BODY_DOUBLE: {
        uint64_t bits = cursor_u64(c);
        double number;
        memcpy(&number, &bits, sizeof(number));
        return value_double(number);
    }
    case BODY_TEXT: return value_text(cursor_take(c, cursor_varint(c)));
    case BODY_LIST:
    case BODY_MAP: {
        struct str inner = cursor_take(c, cursor_varint(c));
        struct cursor in = cursor_of(inner.at, inner.len);
        uint64_t count = cursor_varint(&in);
        if (scratch == NULL || depth >= BODY_DEPTH_MAX || count > cursor_left(&in))
            return value_none();
        if (type == BODY_LIST) {
            struct value_list *list =
                arena_alloc(scratch, sizeof(*list) + count * sizeof(list->items[0]));
            list->count = (uint32_t)count;
            for (uint32_t i = 0; i < count; i++)
                list->items[i] = read_typed(&in, cursor_byte(&in), scratch, depth + 1);
            return (struct value){.type = VALUE_LIST, .list = list};
        }
        struct value_map *map = arena_alloc(scratch, sizeof(*map) + count * sizeof(map->pairs[0]));
        map->count = (uint32_t)count;
        for (uint32_t i = 0; i < count; i++) {
            map->pairs[i].key = value_text(cursor_take(&in, cursor_varint(&in)));
            map->pairs[i].value = read_typed(&in, cursor_byte(&in), scratch, depth + 1);
        }
        return (struct value){.type = VALUE_MAP, .map = map};
    }
    }
    c->is_bad = true;
    return value_none();
}

struct value body_value(const struct body_field *field, struct arena *scratch)
{
    struct cursor c = cursor_of(field->value, field->value_bytes);
    struct value x = read_typed(&c, field->type, scratch, 0);
    return c.is_bad ? value_none() : x;
}

struct value body_get(struct body body, uint32_t name, struct arena *scratch)
{
    struct body_field field;
    if (!body_find(body, name, &field))
        return value_none();
    return body_value(&field, scratch);
}

int64_t body_get_int(struct body body, uint32_t name, int64_t missing)
{
    struct value x = body_get(body, name, NULL);
    return x.type == VALUE_INT || x.type == VALUE_TIME ? x.integer : missing;
}

struct str body_get_text(struct body body, uint32_t name)
{
    struct value x = body_get(body, name, NULL);
    return x.type == VALUE_TEXT ? x.text : STR("");
}

/* Lists and maps one level at a time: an explicit stack of ends. */
bool body_check(struct body body)
{
    struct body_field field;
    while (body_next(&body, &field)) {
        if (field.type < BODY_LIST)
            continue;
        struct {
            uint64_t left;
            uint8_t type;
        } stack[BODY_DEPTH_MAX + 1];
        uint32_t depth = 0;
        struct cursor c = cursor_of(field.value, field.value_bytes);
        cursor_varint(&c);
        stack[0].left = cursor_varint(&c);
        stack[0].type = field.type;
        while (!c.is_bad) {
            if (stack[depth].left == 0) {
                if (depth == 0)
                    break;
                depth--;
                continue;
            }
            stack[depth].left--;
            if (stack[depth].type == BODY_MAP)
                cursor_take(&c, cursor_varint(&c));
            uint8_t type = cursor_byte(&c);
            if (c.is_bad)
                break;
            if (type == BODY_LIST || type == BODY_MAP) {
                uint64_t bytes = cursor_varint(&c);
                if (bytes > cursor_left(&c) || depth == BODY_DEPTH_MAX)
                    return false;
                depth++;
                stack[depth].left = cursor_varint(&c);
                stack[depth].type = type;
            } else if (!skip(&c, type)) {
                return false;
            }
        }
        if (c.is_bad || cursor_left(&c) != 0)
            return false;
    }
    return body.bytes == 0;
}
