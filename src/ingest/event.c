/* event.c - an event's bodies: flat, typed, clear and personal apart.
 *
 * A JSON object is walked without recursion. Its leaves become fields:
 *
 *     {"total": 9.5, "cart": {"id": "c1", "items": [{"sku": "A"}]}, "$x": 1}
 *
 *     clear      total = 9.5                       (properties only)
 *     personal   cart.id = "c1", cart.items = [...]
 *     $rest      {"$x": 1}                         no name to be had: one map, personal
 *
 * An object that is empty leaves nothing. Where two members come to the same name ({"a.b": 1} beside
 * {"a": {"b": 2}}, or a key twice), the last one counts: the field of the first is cut out again, so
 * a body never has a name twice.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "ingest/ingest_int.h"
#include "when/civil.h"

#define VARINT_BYTES    10
#define RECORD_OVERHEAD 256 /* of a record's encoded head, generously */

/* --- Writing into a buffer that has room --------------------------------------------------------- */

static inline uint8_t *buf_room(struct buf *b, size_t bytes)
{
    return likely(b->room - b->len >= bytes) ? b->at + b->len : buf_reserve(b, bytes);
}

static inline uint8_t *put_varint(uint8_t *to, uint64_t x)
{
    while (x >= 0x80) {
        *to++ = (uint8_t)(x | 0x80);
        x >>= 7;
    }
    *to++ = (uint8_t)x;
    return to;
}

static inline uint64_t zigzag(int64_t x)
{
    return (uint64_t)x << 1 ^ (uint64_t)(x >> 63);
}

static inline void put_text(struct buf *b, struct str text)
{
    uint8_t *start = buf_room(b, VARINT_BYTES + text.len);
    uint8_t *to = put_varint(start, text.len);
    if (text.len != 0)
        memcpy(to, text.at, text.len);
    b->len += (size_t)(to - start) + text.len;
}

/* A scalar: its type byte and payload. Requires a node that is neither list nor map. */
static inline void put_scalar(struct buf *b, struct json_node node)
{
    uint8_t *start = buf_room(b, 1 + VARINT_BYTES);
    uint8_t *to = start;
    int64_t whole = 0;
    double number = 0;
    switch (json_type(node)) {
    case JSON_BOOL: *to++ = json_is_true(node) ? BODY_TRUE : BODY_FALSE; break;
    case JSON_INT:
        must(json_int(node, &whole));
        *to++ = BODY_INT;
        to = put_varint(to, zigzag(whole));
        break;
    case JSON_DOUBLE:
        must(json_double(node, &number));
        *to++ = BODY_DOUBLE;
        memcpy(to, &number, sizeof(number));
        to += sizeof(number);
        break;
    case JSON_TEXT:
        *to = BODY_TEXT;
        b->len++;
        put_text(b, json_text(node));
        return;
    case JSON_NONE:
    case JSON_NULL:
    case JSON_LIST:
    case JSON_MAP: *to++ = BODY_NULL; break;
    }
    b->len += (size_t)(to - start);
}

static inline bool is_container(struct json_node node)
{
    return json_is(node, JSON_LIST) || json_is(node, JSON_MAP);
}

/* --- Lists and maps kept whole -------------------------------------------------------------------- */

struct open_container {
    struct json_each each;
    size_t length_at; /* where its length will stand */
};

/* Begins a container in `b`: type, room for a length of one byte, count. */
static void container_open(struct buf *b, struct open_container *top, struct json_node node)
{
    uint8_t *to = buf_room(b, 2 + VARINT_BYTES);
    to[0] = json_is(node, JSON_LIST) ? BODY_LIST : BODY_MAP;
    top->length_at = b->len + 1;
    top->each = json_each(node);
    b->len += (size_t)(put_varint(to + 2, json_count(node)) - to);
}

static void container_close(struct buf *b, const struct open_container *top)
{
    size_t bytes = b->len - top->length_at - 1;
    uint8_t length[VARINT_BYTES];
    size_t length_bytes = (size_t)(put_varint(length, bytes) - length);
    if (length_bytes > 1) {
        buf_room(b, length_bytes);
        memmove(b->at + top->length_at + length_bytes, b->at + top->length_at + 1, bytes);
    }
    memcpy(b->at + top->length_at, length, length_bytes);
    b->len += length_bytes - 1;
}

/* Appends the node, whole, to `b`, type byte first. `depth` containers are around it. Sets *has_text
 * if there is a text in it. */
static enum ingest_error put_whole(struct buf *b, struct json_node node, uint32_t depth,
                                   bool *has_text)
{
    struct open_container stack[INGEST_DEPTH_MAX];
    uint32_t open = 0;
    for (;;) {
        if (is_container(node)) {
            if (depth + open >= INGEST_DEPTH_MAX)
                return INGEST_TOO_DEEP;
            container_open(b, &stack[open++], node);
        } else {
            if (json_is(node, JSON_TEXT)) {
                *has_text = true;
                if (json_text(node).len > INGEST_TEXT_MAX)
                    return INGEST_TEXT_TOO_LONG;
            }
            put_scalar(b, node);
        }
        while (open > 0 && !json_next(&stack[open - 1].each))
            container_close(b, &stack[--open]);
        if (open == 0)
            return INGEST_FINE;
        if (stack[open - 1].each.is_map) {
            *has_text = true; /* keys are texts, and may be a person's */
            put_text(b, stack[open - 1].each.key);
        }
        node = stack[open - 1].each.node;
    }
}

/* --- Fields ---------------------------------------------------------------------------------------- */

void field_set(char *field, struct str a, struct str b)
{
    size_t len = 0;
    for (int part = 0; part < 2; part++) {
        struct str s = part == 0 ? a : b;
        if (part == 1 && len != 0 && s.len != 0 && len < INGEST_FIELD_BYTES - 1)
            field[len++] = '.';
        for (size_t i = 0; i < s.len && len < INGEST_FIELD_BYTES - 1; i++)
            field[len++] = s.at[i] >= ' ' && s.at[i] <= '~' ? s.at[i] : '?';
    }
    field[len] = 0;
}

static const char *part_name(enum part part)
{
    switch (part) {
    case PART_PROPERTIES: return "properties";
    case PART_TRAITS: return "traits";
    case PART_CONTEXT: return "context";
    }
    return "";
}

/* Names the member `key` at `parent` as the place of an error. */
static enum ingest_error fail_at(struct event_draft *d, uint32_t parent, struct str key,
                                 enum ingest_error error)
{
    struct str path = d->w->places[parent].text;
    if (d->part == PART_CONTEXT) /* its path begins with the part's name */
        path = str_part(path, strlen("context."), SIZE_MAX);
    char inner[INGEST_FIELD_BYTES];
    field_set(inner, path, key);
    field_set(d->field, str_of(part_name(d->part)), str_of(inner));
    return error;
}

bool event_has(const struct event_draft *d, uint32_t name)
{
    return name < d->w->stamp_count && d->w->stamps[name] == d->w->serial;
}

/* Cuts the field `name` out of the bytes of `b` from `from` on, if it is there. */
static void cut_field(struct buf *b, size_t from, uint32_t name)
{
    if (b->len == from)
        return;
    struct body body = {b->at + from, (uint32_t)(b->len - from)};
    struct body_field field;
    while (body_next(&body, &field)) {
        if (field.name != name)
            continue;
        const uint8_t *end = body.at;
        uint8_t *start = b->at + (end - b->at) - field.whole_bytes;
        memmove(start, end, (size_t)(b->at + b->len - end));
        b->len -= field.whole_bytes;
        return;
    }
}

/* The name under which a leaf at `place` is to be written; NAME_NONE: into $rest. */
static inline uint32_t claim(struct event_draft *d, uint32_t place)
{
    struct ingest_worker *w = d->w;
    uint32_t name = place_name(w, place, d->source);
    if (unlikely(name == NAME_NONE))
        return name;
    if (unlikely(w->stamps[name] == w->serial)) {
        cut_field(&w->clear, 0, name);
        cut_field(&d->batch->bytes, d->personal_at, name);
        d->field_count--;
    }
    w->stamps[name] = w->serial;
    return name;
}

static inline void put_name(struct buf *b, uint32_t name)
{
    uint8_t *start = buf_room(b, VARINT_BYTES);
    b->len += (size_t)(put_varint(start, name) - start);
}

/* The head of one more member of $rest. */
static void rest_key(struct event_draft *d, uint32_t parent, struct str key)
{
    struct ingest_worker *w = d->w;
    struct str path = w->places[parent].text;
    size_t len = path.len != 0 ? path.len + 1 + key.len : key.len;
    uint8_t *start = buf_room(&w->rest, VARINT_BYTES);
    w->rest.len += (size_t)(put_varint(start, len) - start);
    if (path.len != 0) {
        buf_add_str(&w->rest, path);
        buf_add_byte(&w->rest, '.');
    }
    buf_add_str(&w->rest, key);
    w->rest_count++;
}

/* What can have no name: the node, whole, under its path in $rest. */
static __attribute__((noinline)) enum ingest_error put_rest(struct event_draft *d, uint32_t parent,
                                                            struct str key, struct json_node node,
                                                            uint32_t depth)
{
    bool has_text = false;
    rest_key(d, parent, key);
    return put_whole(&d->w->rest, node, depth, &has_text);
}

static __attribute__((noinline)) enum ingest_error put_list(struct event_draft *d, uint32_t place,
                                                            uint32_t name, struct json_node node,
                                                            uint32_t depth)
{
    struct ingest_worker *w = d->w;
    bool has_text = false;
    w->list.len = 0;
    enum ingest_error error = put_whole(&w->list, node, depth, &has_text);
    bool is_clear = d->part == PART_PROPERTIES && (!has_text || w->places[place].is_public);
    struct buf *to = is_clear ? &w->clear : &d->batch->bytes;
    put_name(to, name);
    buf_add_str(to, buf_str(&w->list));
    return error;
}

/* Anything but an object that has a place: a field of its own, if its place can be named. */
static inline enum ingest_error put_leaf(struct event_draft *d, uint32_t place, uint32_t parent,
                                         struct str key, struct json_node node, uint32_t depth)
{
    struct ingest_worker *w = d->w;
    if (unlikely(++d->field_count > INGEST_FIELDS_MAX))
        return INGEST_TOO_MANY_FIELDS;
    enum json_type type = json_type(node);
    bool is_closed = place == PLACE_NONE || w->places[place].is_closed;
    uint32_t name = is_closed ? NAME_NONE : claim(d, place);
    if (unlikely(name == NAME_NONE))
        return put_rest(d, parent, key, node, depth);
    if (unlikely(type == JSON_LIST))
        return put_list(d, place, name, node, depth);
    if (type != JSON_TEXT) {
        struct buf *to = d->part == PART_PROPERTIES ? &w->clear : &d->batch->bytes;
        put_name(to, name);
        put_scalar(to, node);
        return INGEST_FINE;
    }
    struct str text = json_text(node);
    if (unlikely(text.len > INGEST_TEXT_MAX))
        return INGEST_TEXT_TOO_LONG;
    bool is_clear = d->part == PART_PROPERTIES && w->places[place].is_public;
    struct buf *to = is_clear ? &w->clear : &d->batch->bytes;
    uint8_t *start = buf_room(to, 2 * VARINT_BYTES + 1 + text.len);
    uint8_t *at = put_varint(start, name);
    *at++ = BODY_TEXT;
    at = put_varint(at, text.len);
    memcpy(at, text.at, text.len);
    to->len += (size_t)(at - start) + text.len;
    return INGEST_FINE;
}

#define QUICK_TEXT_MAX 127                   /* bytes: its length is one byte */
#define QUICK_ROOM     (QUICK_TEXT_MAX + 32) /* of a field: head, length, and what is copied too much */
#define QUICK_COPY     JSON_TEXT_PADDING     /* bytes copied at once */
#define RUN_FIELDS     16                    /* for which room is made at once */

/* A field's payload that put_run() can write: its end, NULL for the others. */
static inline uint8_t *put_quick(uint8_t *out, const struct json_cell *value)
{
    switch ((enum json_type)value->type) {
    case JSON_INT: *out++ = BODY_INT; return put_varint(out, zigzag(value->integer));
    case JSON_DOUBLE:
        *out++ = BODY_DOUBLE;
        memcpy(out, &value->number, sizeof(double));
        return out + sizeof(double);
    case JSON_BOOL: *out++ = value->integer != 0 ? BODY_TRUE : BODY_FALSE; return out;
    case JSON_NULL: *out++ = BODY_NULL; return out;
    case JSON_NONE:
    case JSON_TEXT:
    case JSON_LIST:
    case JSON_MAP: break;
    }
    return NULL;
}

/* Members of an event look as those of the event before did. As long as each is where it was then, has
 * its name and is neither list, map nor long text, nothing is to be decided: it is written out of what is
 * known of its place. Stops at the first one for which this does not hold, or behind `end`. */
static const struct json_cell *put_run(struct event_draft *d, uint32_t parent,
                                       const struct json_cell *at, const struct json_cell *end)
{
    struct ingest_worker *w = d->w;
    const struct place *places = w->places, *p = &places[w->last_place];
    uint32_t *stamps = w->stamps, serial = w->serial;
    bool has_clear = d->part == PART_PROPERTIES;
    buf_room(&w->clear, RUN_FIELDS * QUICK_ROOM);
    buf_room(&d->batch->bytes, RUN_FIELDS * QUICK_ROOM);
    uint8_t *personal = d->batch->bytes.at + d->batch->bytes.len;
    uint8_t *clear = w->clear.at + w->clear.len;
    for (; at < end; at += 2) {
        const struct place *next = &places[p->guess];
        const struct json_cell *value = at + 1;
        if (unlikely(next->run_parent != parent || stamps[next->name] == serial ||
                     !place_has_key(next, (struct str){at->text, at->count})))
            break;
        if (value->type == JSON_TEXT) {
            bool is_personal = !has_clear || !next->is_public;
            uint8_t *out = is_personal ? personal : clear;
            uint32_t bytes = value->count;
            if (unlikely(bytes > QUICK_TEXT_MAX))
                break;
            memcpy(out, &next->head, sizeof(next->head));
            out += next->head_bytes;
            out[0] = BODY_TEXT;
            out[1] = (uint8_t)bytes;
            out += 2;
            memcpy(out, value->text, QUICK_COPY);
            for (uint32_t i = QUICK_COPY; i < bytes; i += QUICK_COPY)
                memcpy(out + i, value->text + i, QUICK_COPY);
            out += bytes;
            if (is_personal)
                personal = out;
            else
                clear = out;
        } else {
            uint8_t *out = has_clear ? clear : personal;
            memcpy(out, &next->head, sizeof(next->head));
            out = put_quick(out + next->head_bytes, value);
            if (unlikely(out == NULL))
                break;
            if (has_clear)
                clear = out;
            else
                personal = out;
        }
        stamps[next->name] = serial;
        p = next;
    }
    w->last_place = (uint32_t)(p - places);
    w->clear.len = (size_t)(clear - w->clear.at);
    d->batch->bytes.len = (size_t)(personal - d->batch->bytes.at);
    return at;
}

/* The same for all that stands at `each`, which it moves on; leaves the member where it stops to
 * event_put_members(). */
static void put_runs(struct event_draft *d, uint32_t parent, struct json_each *each)
{
    for (;;) {
        size_t left = (size_t)(each->end - each->next) / 2; /* or more than there are */
        size_t count = min_of(left, (size_t)(INGEST_FIELDS_MAX - d->field_count));
        count = min_of(count, (size_t)RUN_FIELDS);
        const struct json_cell *at = each->next, *end = at + 2 * count;
        each->next = put_run(d, parent, at, end);
        d->field_count += (uint32_t)(each->next - at) / 2;
        if (each->next != end || count < RUN_FIELDS)
            return;
    }
}

enum ingest_error event_put_members(struct event_draft *d, uint32_t parent, struct json_node node,
                                    struct str without)
{
    struct {
        struct json_each each;
        uint32_t parent;
    } stack[INGEST_DEPTH_MAX]; /* what is around the object at hand */
    uint32_t open = 0;
    struct json_each each = json_each(node);
    for (;;) {
        if (each.is_map && without.len == 0)
            put_runs(d, parent, &each);
        if (!json_next(&each)) {
            if (open == 0)
                return INGEST_FINE;
            open--;
            each = stack[open].each;
            parent = stack[open].parent;
            continue;
        }
        if (unlikely(without.len != 0) && open == 0 && str_equal(each.key, without))
            continue;
        uint32_t place = place_find(d->w, parent, each.key);
        enum ingest_error error = INGEST_FINE;
        if (!json_is(each.node, JSON_MAP) || place == PLACE_NONE || d->w->places[place].is_closed) {
            error = put_leaf(d, place, parent, each.key, each.node, open + 2);
        } else if (open + 2 >= INGEST_DEPTH_MAX) { /* the event and its part are around */
            error = INGEST_TOO_DEEP;
        } else {
            stack[open].each = each;
            stack[open++].parent = parent;
            each = json_each(each.node);
            parent = place;
        }
        if (unlikely(error != INGEST_FINE))
            return fail_at(d, parent, each.key, error);
    }
}

enum ingest_error event_put_text(struct event_draft *d, uint32_t parent, struct str key,
                                 struct json_node node)
{
    must(json_is(node, JSON_TEXT));
    enum ingest_error error = put_leaf(d, place_find(d->w, parent, key), parent, key, node, 2);
    return error == INGEST_FINE ? error : fail_at(d, parent, key, error);
}

enum ingest_error event_put_value(struct event_draft *d, uint32_t parent, struct str key,
                                  const struct value *x)
{
    struct ingest_worker *w = d->w;
    enum ingest_error error =
        ++d->field_count > INGEST_FIELDS_MAX ? INGEST_TOO_MANY_FIELDS : INGEST_FINE;
    bool is_text = x->type == VALUE_TEXT;
    if (is_text && x->text.len > INGEST_TEXT_MAX)
        error = INGEST_TEXT_TOO_LONG;
    if (error != INGEST_FINE)
        return fail_at(d, parent, key, error);
    uint32_t place = place_find(w, parent, key);
    uint32_t name = NAME_NONE;
    if (place != PLACE_NONE && !w->places[place].is_closed)
        name = claim(d, place);
    if (name != NAME_NONE) {
        bool is_clear = d->part == PART_PROPERTIES && (!is_text || w->places[place].is_public);
        must(body_put(is_clear ? &w->clear : &d->batch->bytes, name, x));
        return INGEST_FINE;
    }
    /* a member of a map is written like a field, but for its key */
    rest_key(d, parent, key);
    w->list.len = 0;
    must(body_put(&w->list, NAME_REST, x));
    struct str field = buf_str(&w->list);
    struct cursor c = cursor_of(field.at, field.len);
    cursor_varint(&c);
    buf_add(&w->rest, c.at, cursor_left(&c));
    return INGEST_FINE;
}

/* --- The whole event -------------------------------------------------------------------------------- */

bool is_junk_id(struct str id)
{
    static const struct str junk[] = {
#define JUNK(text) {text, sizeof(text) - 1},
#include "ingest/junk_ids.def"
#undef JUNK
    };
    /* Which lengths and first letters occur together, and which lengths and last ones; the sum of both has
     * few bits enough to tell. */
#define BIT(bytes, letter) (UINT64_C(1) << (((bytes)*5 + ((letter)&31)) & 63))
    const uint64_t starts = 0
#define JUNK(text) | BIT(sizeof(text) - 1, (text)[0])
#include "ingest/junk_ids.def"
#undef JUNK
        ;
    const uint64_t ends = 0
#define JUNK(text) | BIT(sizeof(text) - 1, sizeof(text) > 1 ? (text)[sizeof(text) - 2] : 0)
#include "ingest/junk_ids.def"
#undef JUNK
        ;
    struct str trimmed = str_trim(id);
    if (trimmed.len != 0 && ((starts & BIT(trimmed.len, (uint8_t)trimmed.at[0])) == 0 ||
                             (ends & BIT(trimmed.len, (uint8_t)trimmed.at[trimmed.len - 1])) == 0))
        return false;
#undef BIT
    for (size_t i = 0; i < array_count(junk); i++)
        if (trimmed.len == junk[i].len && str_equal_nocase(trimmed, junk[i]))
            return true;
    return false;
}

/* Whether the id may stand; takes placeholders away. */
static enum ingest_error id_settle(struct str *id, struct ingest_batch *batch)
{
    if (id->len > IDENTIFIER_BYTES_MAX)
        return INGEST_ID_TOO_LONG;
    if (id->len != 0 && is_junk_id(*id)) {
        batch->junk_id_count++;
        *id = STR("");
    }
    return INGEST_FINE;
}

enum ingest_error event_settle_ids(struct raw_event *raw, struct ingest_batch *batch, char *field)
{
    const struct {
        struct str *id;
        const char *name;
    } ids[] = {
        {&raw->user, "userId"},
        {&raw->anonymous, "anonymousId"},
        {&raw->previous, "previousId"},
        {&raw->group, "groupId"},
    };
    for (size_t i = 0; i < array_count(ids); i++) {
        enum ingest_error error = id_settle(ids[i].id, batch);
        if (error != INGEST_FINE) {
            field_set(field, str_of(ids[i].name), STR(""));
            return error;
        }
    }
    return INGEST_FINE;
}

void event_found_by(struct raw_event *raw, enum channel channel, struct str address)
{
    struct str text = str_trim(address);
    if (text.len == 0 || text.len > ADDRESS_BYTES_MAX || is_junk_id(text) ||
        raw->found_by[channel].len != 0 || channel_find_name(channel) == NAME_NONE)
        return;
    raw->found_by[channel] = text;
}

/* The first channel on which the event has an address; CHANNEL_NONE if it has none. */
static uint32_t first_address(const struct raw_event *raw)
{
    for (uint32_t i = CHANNEL_NONE + 1; i < CHANNEL_END; i++)
        if (raw->found_by[i].len != 0)
            return i;
    return CHANNEL_NONE;
}

/* The addresses go under names of their own: what the event says about itself stays what it is. The
 * record is routed, and later sealed, by the first. */
static void put_addresses(const struct raw_event *raw, uint32_t first, const uint8_t *secret,
                          struct buf *personal, struct record *record)
{
    for (uint32_t i = first; i < CHANNEL_END; i++)
        if (raw->found_by[i].len != 0)
            body_put_text(personal, channel_find_name((enum channel)i), raw->found_by[i]);
    struct id128 address = address_hash(secret, (enum channel)first, raw->found_by[first], 0);
    record->routing_hash = address.low != 0 ? address.low : 1;
}

/* When it happened, by our clock: as long before its arrival as the client's clock says it was before
 * it was sent. Never after its arrival, never before 1970. */
static int64_t event_time(const struct raw_event *raw, int32_t *skew_ms)
{
    *skew_ms = 0;
    int64_t at_ms = raw->has_time ? raw->time_ms : raw->arrival_ms;
    if (raw->has_sent_at) {
        int64_t skew = raw->arrival_ms - raw->sent_at_ms;
        *skew_ms = (int32_t)max_of(min_of(skew, (int64_t)INT32_MAX), (int64_t)INT32_MIN);
        if (raw->has_time)
            at_ms += skew;
    }
    return max_of(min_of(at_ms, raw->arrival_ms), INT64_C(0));
}

/* The event's own name as a number. */
static enum ingest_error name_settle(struct ingest_worker *w, const struct raw_event *raw,
                                     uint32_t *name, char *field)
{
    switch (raw->kind) {
    case EVENT_TRACK:
    case EVENT_BUSINESS:
    case EVENT_ENTER: break;
    case EVENT_PAGE: *name = NAME_PAGE; return INGEST_FINE;
    case EVENT_SCREEN: *name = NAME_SCREEN; return INGEST_FINE;
    case EVENT_IDENTIFY:
    case EVENT_GROUP:
    case EVENT_ALIAS:
    case EVENT_SCHEDULE:
    case EVENT_HANDOFF:
    case EVENT_RUN:
    case EVENT_DATE: *name = NAME_NONE; return INGEST_FINE;
    }
    bool is_call = raw->kind == EVENT_ENTER;
    enum ingest_error error = is_call ? INGEST_NO_JOURNEY : INGEST_NO_EVENT;
    if (raw->name.len != 0) {
        uint32_t place = place_find_event(w, raw->name);
        error = INGEST_BAD_EVENT;
        if (place != PLACE_NONE && !w->places[place].is_closed) {
            *name = place_name(w, place, raw->source.name);
            error = *name == NAME_NONE ? INGEST_TOO_MANY_NAMES : INGEST_FINE;
        }
    }
    if (unlikely(error != INGEST_FINE))
        field_set(field, is_call ? STR("journey") : STR("event"), STR(""));
    return error;
}

enum ingest_error event_begin(struct ingest_worker *w, struct raw_event *raw,
                              struct ingest_batch *batch, struct event_draft *draft, char *field)
{
    const uint8_t *secret = w->in->secret;
    if (w->place_count > PLACES_MAX)
        places_reset(w);
    if (++w->serial == 0) { /* once in four thousand million events */
        memset(w->stamps, 0, w->stamp_count * sizeof(w->stamps[0]));
        w->serial = 1;
    }
    w->clear.len = 0;
    w->rest.len = 0;
    w->rest_count = 0;
    *draft = (struct event_draft){.w = w,
                                  .batch = batch,
                                  .record = batch_record(batch),
                                  .personal_at = batch->bytes.len,
                                  .source = raw->source.name,
                                  .field = field};

    struct record *record = draft->record;
    *record = (struct record){
        .type = RECORD_EVENT,
        .kind = (uint8_t)raw->kind,
        .flags = raw->source.flags,
        .schema = RECORD_SCHEMA,
        .source = raw->source.name,
        .at_ms = raw->arrival_ms,
        .arrival_ms = raw->arrival_ms,
    };
    enum ingest_error error;
    uint32_t found_by = CHANNEL_NONE;
    bool is_nobodys = raw->kind == EVENT_BUSINESS;
    if (is_nobodys && (raw->user.len != 0 || raw->anonymous.len != 0)) {
        field_set(field, raw->user.len != 0 ? STR("userId") : STR("anonymousId"), STR(""));
        return INGEST_SOMEBODYS;
    }
    if (unlikely(raw->user.len == 0 && raw->anonymous.len == 0 && !is_nobodys)) {
        found_by = first_address(raw);
        field_set(field, STR("userId"), STR(""));
        if (found_by == CHANNEL_NONE)
            return INGEST_NO_IDENTITY;
        /* or strangers could act for each other with a key that stands in every page */
        if (!(raw->source.flags & RECORD_IS_SERVER))
            return INGEST_ADDRESS_ONLY;
    }
    if (raw->kind == EVENT_ALIAS && (raw->user.len == 0 || raw->previous.len == 0)) {
        field_set(field, raw->user.len == 0 ? STR("userId") : STR("previousId"), STR(""));
        return INGEST_NO_PREVIOUS;
    }
    if (raw->kind == EVENT_GROUP && raw->group.len == 0) {
        field_set(field, STR("groupId"), STR(""));
        return INGEST_NO_GROUP;
    }
    error = name_settle(w, raw, &record->name, field);
    if (error != INGEST_FINE)
        return error;
    if (raw->has_time && raw->time_ms < 0) {
        field_set(field, STR("timestamp"), STR(""));
        return INGEST_BAD_TIME;
    }
    record->event_ms = event_time(raw, &record->sent_skew_ms);

    struct buf *personal = &batch->bytes;
    if (raw->user.len != 0) {
        record->user = identifier_hash(IDENTIFIER_USER, raw->user, secret);
        body_put_text(personal, NAME_USER_ID, raw->user);
    }
    /* people alias what was an anonymous id as often as what was a user's: it is tried as both */
    if (raw->anonymous.len == 0 && raw->kind == EVENT_ALIAS)
        record->anonymous = identifier_hash(IDENTIFIER_ANONYMOUS, raw->previous, secret);
    if (raw->anonymous.len != 0) {
        record->anonymous = identifier_hash(IDENTIFIER_ANONYMOUS, raw->anonymous, secret);
        body_put_text(personal, NAME_ANONYMOUS_ID, raw->anonymous);
    }
    if (raw->kind == EVENT_ALIAS) {
        record->previous = identifier_hash(IDENTIFIER_USER, raw->previous, secret);
        body_put_text(personal, NAME_PREVIOUS_ID, raw->previous);
    }
    if (raw->kind == EVENT_GROUP)
        body_put_text(personal, NAME_GROUP_ID, raw->group);
    record->routing_hash = identifier_route(record->user, record->anonymous);
    if (unlikely(found_by != CHANNEL_NONE))
        put_addresses(raw, found_by, secret, personal, record);
    field[0] = 0;
    return INGEST_FINE;
}

static uint64_t not_zero(uint64_t x)
{
    return x != 0 ? x : 1;
}

/* What tells this event from others: its message id within its source; without one, all that it says.
 * An event that does not even say when it happened is the same as nothing else, or one person's second
 * click would count as a repetition of the first. */
static uint64_t message_hash(const struct ingest_worker *w, const struct raw_event *raw,
                             const struct record *record, struct str personal)
{
    uint64_t source = record->source;
    if (raw->message_id.len != 0) {
        struct id128 id = hash_id(raw->message_id, w->in->secret, IDENTIFIER_SECRET_BYTES);
        return not_zero(hash_pair(id.low, source));
    }
    bool is_timed = raw->has_time || raw->has_sent_at;
    uint64_t when = (uint64_t)(raw->has_time      ? raw->time_ms
                               : raw->has_sent_at ? raw->sent_at_ms
                                                  : raw->arrival_ms);
    uint64_t hash = hash_pair((uint64_t)record->kind << 32 | record->name, source);
    hash = hash_pair(hash, when);
    hash = hash_pair(hash, raw->ordinal << 1 | is_timed);
    hash = hash_pair(hash, hash_bytes(w->clear.at, w->clear.len, 1));
    return not_zero(hash_pair(hash, hash_str(personal, 2)));
}

enum ingest_error event_end(struct event_draft *d, const struct raw_event *raw)
{
    struct ingest_worker *w = d->w;
    struct record *record = d->record;
    struct buf *bytes = &d->batch->bytes;
    if (w->rest_count != 0) {
        uint8_t count[VARINT_BYTES];
        size_t count_bytes = (size_t)(put_varint(count, w->rest_count) - count);
        put_name(bytes, NAME_REST);
        buf_add_byte(bytes, BODY_MAP);
        buf_add_varint(bytes, count_bytes + w->rest.len);
        buf_add(bytes, count, count_bytes);
        buf_add_str(bytes, buf_str(&w->rest));
        d->batch->unnamed_count += w->rest_count;
    }
    struct str personal = {(const char *)bytes->at + d->personal_at, bytes->len - d->personal_at};
    if (personal.len + w->clear.len > RECORD_BYTES_MAX - RECORD_OVERHEAD) {
        d->field[0] = 0;
        return INGEST_EVENT_TOO_LARGE;
    }
    record->message_hash = message_hash(w, raw, record, personal);
    /* the buffer may still move: places in it until ingest_batch_seal() */
    record->personal = (struct body){(const uint8_t *)d->personal_at, (uint32_t)personal.len};
    record->clear = (struct body){(const uint8_t *)bytes->len, (uint32_t)w->clear.len};
    buf_add_str(bytes, buf_str(&w->clear));
    return INGEST_FINE;
}

void event_drop(struct event_draft *d)
{
    d->batch->bytes.len = d->personal_at;
    d->batch->record_count--;
}
