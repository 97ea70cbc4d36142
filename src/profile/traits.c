/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/traits.h"

static bool next_trait(struct cursor *c, struct body_field *field, int64_t *at_ms)
{
    if (cursor_left(c) == 0)
        return false;
    *at_ms = cursor_zigzag(c);
    struct body rest = {c->at, (uint32_t)cursor_left(c)};
    bool is_there = body_next(&rest, field);
    must(is_there); /* we wrote it */
    c->at = rest.at;
    return true;
}

static struct cursor traits_of(const struct person *who)
{
    struct blob b = who->profile->traits;
    return cursor_of(blob_at(who->space, b), b.bytes);
}

bool traits_next(const struct person *who, uint32_t *place, struct body_field *field,
                 int64_t *at_ms)
{
    struct cursor c = traits_of(who);
    const uint8_t *start = c.at;
    must(*place <= cursor_left(&c));
    if (cursor_left(&c) == 0)
        return false;
    c.at += *place;
    if (!next_trait(&c, field, at_ms))
        return false;
    *place = (uint32_t)(c.at - start);
    return true;
}

struct value traits_get(const struct person *who, uint32_t name, struct arena *scratch)
{
    struct cursor c = traits_of(who);
    struct body_field field;
    int64_t at_ms;
    while (next_trait(&c, &field, &at_ms))
        if (field.name == name)
            return body_value(&field, scratch);
    const struct plan_trait *declared = who->plan ? plan_trait_find(who->plan, name) : NULL;
    return declared ? declared->missing : value_none();
}

static bool number_of(const struct value *x, double *out)
{
    if (x->type == VALUE_INT)
        *out = (double)x->integer;
    else if (x->type == VALUE_DOUBLE)
        *out = x->number;
    else if (x->type == VALUE_TEXT)
        return str_to_double(str_trim(x->text), out);
    else
        return false;
    return true;
}

/* Makes `x` what the declaration says; false if it cannot be that. */
static bool convert(const struct plan_trait *declared, struct value *x)
{
    double number;
    int64_t integer;
    if (x->type == declared->type || x->type == VALUE_NULL)
        return true;
    switch ((enum value_type)declared->type) {
    case VALUE_DOUBLE:
        if (!number_of(x, &number))
            return false;
        *x = value_double(number);
        return true;
    case VALUE_INT:
        if (x->type == VALUE_TEXT && str_to_int(str_trim(x->text), &integer)) {
            *x = value_int(integer);
            return true;
        }
        if (x->type != VALUE_DOUBLE || x->number != (double)(int64_t)x->number)
            return false;
        *x = value_int((int64_t)x->number);
        return true;
    case VALUE_BOOL:
        if (x->type != VALUE_TEXT || (!str_is(x->text, "true") && !str_is(x->text, "false")))
            return false;
        *x = value_bool(str_is(x->text, "true"));
        return true;
    case VALUE_TIME:
        if (x->type == VALUE_TEXT) {
            struct timestamp at;
            if (timestamp_parse(str_trim(x->text), TIMESTAMP_LOOSE, &at, NULL) != OK)
                return false;
            *x = value_time(at.at_ms);
            return true;
        }
        if (!number_of(x, &number) || !timestamp_from_number(number, &integer))
            return false;
        *x = value_time(integer);
        return true;
    case VALUE_TEXT:
    case VALUE_NONE:
    case VALUE_NULL:
    case VALUE_UINT:
    case VALUE_BYTES:
    case VALUE_DURATION:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_TYPE:
    case VALUE_ERROR: break;
    }
    return false;
}

bool traits_set(struct person *who, uint32_t name, const struct value *value, int64_t at_ms)
{
    struct value x = *value;
    const struct plan_trait *declared = who->plan ? plan_trait_find(who->plan, name) : NULL;
    if (declared != NULL && !convert(declared, &x)) {
        person_result(who, (struct result){.kind = RESULT_ERROR, .number = name});
        return false;
    }
    struct cursor c = traits_of(who);
    const uint8_t *start = c.at, *from = NULL, *to = NULL;
    struct body_field field;
    int64_t said_ms;
    while (cursor_left(&c)) {
        const uint8_t *before = c.at;
        next_trait(&c, &field, &said_ms);
        if (field.name != name)
            continue;
        if (said_ms > at_ms)
            return false;
        from = before;
        to = c.at;
        break;
    }
    struct buf b;
    buf_init(&b);
    if (from != NULL) {
        buf_add(&b, start, (size_t)(from - start));
        buf_add(&b, to, (size_t)(c.end - to));
    } else {
        buf_add(&b, start, (size_t)(c.end - c.at) + (size_t)(c.at - start));
    }
    size_t before_bytes = b.len;
    if (x.type != VALUE_NULL && x.type != VALUE_NONE) {
        buf_add_zigzag(&b, at_ms);
        size_t said_at = b.len;
        bool is_same = false;
        if (!body_put(&b, name, &x))
            b.len = before_bytes;
        else if (from != NULL)
            is_same = b.len - said_at == field.whole_bytes &&
                      memcmp(b.at + said_at, to - field.whole_bytes, field.whole_bytes) == 0;
        if (is_same || b.len > PROFILE_TRAITS_BYTES) {
            bool is_full = !is_same;
            buf_fini(&b);
            if (is_full)
                person_result(who, (struct result){.kind = RESULT_ERROR, .number = name});
            return false;
        }
    } else if (from == NULL) {
        buf_fini(&b);
        return false;
    }
    blob_set(who->space, &who->profile->traits, b.at, (uint32_t)b.len);
    buf_fini(&b);
    who->changed |= plan_wake_bit(name);
    if (name == NAME_TIMEZONE)
        who->profile->zone_plan = 0;
    return true;
}

static void apply_body(struct person *who, struct body body, int64_t at_ms)
{
    struct body_field field;
    while (body_next(&body, &field)) {
        struct value x = body_value(&field, who->scratch);
        traits_set(who, field.name, &x, at_ms);
    }
}

void traits_apply(struct person *who, const struct record *r)
{
    apply_body(who, r->clear, r->event_ms);
    apply_body(who, r->personal, r->event_ms);
}

void traits_unite(struct person *who, const struct person *from)
{
    uint32_t place = 0;
    struct body_field field;
    int64_t at_ms;
    while (traits_next(from, &place, &field, &at_ms)) {
        struct value x = body_value(&field, who->scratch);
        struct cursor c = traits_of(who);
        struct body_field mine;
        int64_t mine_ms = INT64_MIN;
        while (cursor_left(&c)) {
            next_trait(&c, &mine, &mine_ms);
            if (mine.name == field.name)
                break;
            mine_ms = INT64_MIN;
        }
        if (at_ms > mine_ms)
            traits_set(who, field.name, &x, at_ms);
    }
}
