/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/traits.h"

#include "profile/addresses.h"

#include <stdio.h>

static bool next_trait(struct traits_walk *w, struct body_field *field, int64_t *at_ms)
{
    bool is_there = traits_walk_next(w, field, at_ms);
    must(is_there || cursor_left(&w->in) == 0); /* we wrote it */
    return is_there;
}

static struct traits_walk traits_of(const struct person *who)
{
    return traits_walk_of(who->space, who->profile->traits);
}

bool traits_next(const struct person *who, uint32_t *place, struct body_field *field,
                 int64_t *at_ms)
{
    struct traits_walk w = traits_of(who);
    const uint8_t *start = w.in.at;
    must(*place <= cursor_left(&w.in));
    if (cursor_left(&w.in) == 0)
        return false;
    w.in.at += *place;
    do
        if (!next_trait(&w, field, at_ms))
            return false;
    while (field->type == BODY_NULL);
    *place = (uint32_t)(w.in.at - start);
    return true;
}

/* The trait as it is kept, a forgotten one too; false if it was never said. */
static bool find_trait(const struct person *who, uint32_t name, struct body_field *field,
                       int64_t *at_ms)
{
    struct traits_walk w = traits_of(who);
    while (next_trait(&w, field, at_ms))
        if (field->name == name)
            return true;
    return false;
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
static bool convert(const struct person *who, const struct plan_trait *declared, struct value *x)
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
    case VALUE_TEXT: /* phone and house numbers come as numbers too */
        if (x->type != VALUE_INT)
            return false;
        *x = value_text(arena_printf(who->scratch, "%ld", x->integer));
        return true;
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

struct value traits_get(const struct person *who, uint32_t name, struct arena *scratch)
{
    struct body_field field;
    int64_t at_ms;
    const struct plan_trait *declared = who->plan ? plan_trait_find(who->plan, name) : NULL;
    struct value missing = declared ? declared->missing : value_none();
    if (!find_trait(who, name, &field, &at_ms) || field.type == BODY_NULL)
        return missing;
    struct value x = body_value(&field, scratch);
    /* It may have been said before it was declared. */
    if (declared != NULL && !convert(who, declared, &x))
        return missing;
    return x;
}

/* By how much; it wraps, as traits_walk_next() does. */
static int64_t later(int64_t at_ms, int64_t base_ms)
{
    return (int64_t)((uint64_t)at_ms - (uint64_t)base_ms);
}

/* The same was said again, later: only the time of it moves. Most times are as long as the one before,
 * so that it is written over. */
static bool renew(struct person *who, size_t place, size_t time_bytes, int64_t later_ms)
{
    uint64_t folded = (uint64_t)later_ms << 1 ^ (uint64_t)(later_ms >> 63);
    uint8_t bytes[10];
    size_t count = 0;
    do {
        bytes[count] = (uint8_t)(folded & 0x7f) | (folded > 0x7f ? 0x80 : 0);
        folded >>= 7;
        count++;
    } while (folded != 0);
    if (count != time_bytes)
        return false;
    memcpy((uint8_t *)space_touch(who->space, who->profile->traits.ref) + place, bytes, count);
    return true;
}

/* ---- addresses ---------------------------------------------------------------------------------- */

struct id128 traits_address(const uint8_t *secret, enum channel channel, const struct value *x)
{
    char digits[24];
    struct str text = STR("");
    if (x->type == VALUE_TEXT)
        text = str_trim(x->text);
    else if (x->type == VALUE_INT) /* a phone number that came as a number */
        text = (struct str){
            digits, (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)x->integer)};
    if (text.len == 0 || text.len > ADDRESS_BYTES_MAX)
        return (struct id128){0, 0};
    return address_hash(secret, channel, text, 0);
}

/* The trait was `before` and is `after` from here on: whom its address finds changes with it. */
static void move_address(struct person *who, uint32_t name, const struct value *before,
                         const struct value *after)
{
    for (uint32_t i = CHANNEL_NONE + 1; i < CHANNEL_END; i++) {
        enum channel channel = (enum channel)i;
        if (channel_trait(channel) != name)
            continue;
        struct id128 from = traits_address(who->secret, channel, before);
        struct id128 to = traits_address(who->secret, channel, after);
        if (id128_equal(from, to))
            continue;
        if (id128_is_set(from))
            addresses_leave(who->addresses, from, who->id);
        if (id128_is_set(to))
            addresses_hold(who->addresses, to, who->id);
    }
}

int64_t traits_said_ms(const struct person *who, uint32_t name)
{
    struct body_field field;
    int64_t at_ms;
    return find_trait(who, name, &field, &at_ms) ? at_ms : INT64_MIN;
}

struct id128 traits_held(const struct person *who, enum channel channel)
{
    struct body_field field;
    int64_t at_ms;
    uint32_t trait = channel_trait(channel);
    if (trait == NAME_NONE || !find_trait(who, trait, &field, &at_ms))
        return (struct id128){0, 0};
    struct value x = body_value(&field, NULL);
    return traits_address(who->secret, channel, &x);
}

void traits_forget(struct person *who)
{
    for (uint32_t i = CHANNEL_NONE + 1; i < CHANNEL_END && who->addresses != NULL; i++) {
        struct id128 address = traits_held(who, (enum channel)i);
        if (id128_is_set(address))
            addresses_leave(who->addresses, address, who->id);
    }
    blob_set(who->space, &who->profile->traits, NULL, 0);
}

/* ---- saying and uniting --------------------------------------------------------------------------- */

bool traits_set(struct person *who, uint32_t name, const struct value *value, int64_t at_ms)
{
    struct value x = *value;
    const struct plan_trait *declared = who->plan ? plan_trait_find(who->plan, name) : NULL;
    if (declared != NULL && !convert(who, declared, &x)) {
        person_result(who,
                      (struct result){.kind = RESULT_ERROR, .how = ERROR_TRAIT, .number = name});
        return false;
    }
    struct traits_walk w = traits_of(who);
    const uint8_t *start = w.in.at, *end = w.in.end, *from = end, *to = end;
    struct body_field field = {0};
    int64_t said_ms;
    bool is_known = false;
    while (!is_known && cursor_left(&w.in)) {
        from = w.in.at;
        next_trait(&w, &field, &said_ms);
        to = w.in.at;
        is_known = field.name == name;
    }
    if (is_known && said_ms > at_ms)
        return false;
    if (!is_known)
        from = to = end;
    bool is_null = x.type == VALUE_NULL || x.type == VALUE_NONE;
    if (is_null && !is_known)
        return false;
    bool is_alone = start == from && to == end;
    int64_t base_ms = is_alone ? at_ms : w.base_ms;
    struct buf *b = who->bytes;
    b->len = 0;
    buf_add_zigzag(b, base_ms);
    buf_add(b, start, (size_t)(from - start));
    buf_add(b, to, (size_t)(end - to));
    size_t rest_bytes = is_alone ? 0 : b->len;
    buf_add_zigzag(b, later(at_ms, base_ms));
    size_t said_at = b->len;
    /* What is forgotten leaves its time, so that older news does not bring it back. */
    if (is_null)
        body_put_null(b, name);
    else if (!body_put(b, name, &x))
        b->len = said_at;
    bool is_same = is_known && b->len - said_at == field.whole_bytes &&
                   memcmp(b->at + said_at, to - field.whole_bytes, field.whole_bytes) == 0;
    size_t time_bytes = is_known ? (size_t)(to - from) - field.whole_bytes : 0;
    const uint8_t *all = blob_at(who->space, who->profile->traits);
    if (is_same && renew(who, (size_t)(from - all), time_bytes, later(at_ms, w.base_ms)))
        return false;
    if (b->len == said_at)
        b->len = rest_bytes; /* it cannot be kept */
    if (b->len > PROFILE_TRAITS_BYTES) {
        person_result(who,
                      (struct result){.kind = RESULT_ERROR, .how = ERROR_TRAIT, .number = name});
        return false;
    }
    if (who->addresses != NULL && !is_same) {
        struct value before = is_known ? body_value(&field, NULL) : value_none();
        struct value after = b->len > said_at ? x : value_none();
        move_address(who, name, &before, &after);
    }
    blob_set(who->space, &who->profile->traits, b->at, (uint32_t)b->len);
    if (is_same)
        return false;
    person_changed_name(who, name);
    if (name == NAME_TIMEZONE)
        who->profile->zone_plan = 0;
    return true;
}

void traits_unite(struct person *who, const struct person *from)
{
    struct traits_walk w = traits_of(from);
    struct body_field theirs, mine;
    int64_t at_ms, mine_ms;
    while (next_trait(&w, &theirs, &at_ms)) {
        bool is_known = find_trait(who, theirs.name, &mine, &mine_ms);
        bool is_id = theirs.name == NAME_USER_ID || theirs.name == NAME_ANONYMOUS_ID;
        if (is_known && (is_id || mine_ms >= at_ms))
            continue;
        struct value x = body_value(&theirs, who->scratch);
        traits_set(who, theirs.name, &x, at_ms);
    }
}
