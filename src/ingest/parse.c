/* parse.c - from a request's body to events: what stands where in the tracking API.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ingest/ingest_int.h"
#include "when/civil.h"

#include "json/json_write.h"
#include <stdio.h>

#define PARSE_DEPTH      64 /* of a body; an event that is too deep is refused by itself */
#define NUMBER_BYTES_MAX 26 /* a long double and a comma */

/* The members of an event that mean something. */
enum member {
    MEMBER_OTHER,
    MEMBER_TYPE,
    MEMBER_EVENT,
    MEMBER_NAME,
    MEMBER_CATEGORY,
    MEMBER_USER,
    MEMBER_ANONYMOUS,
    MEMBER_PREVIOUS,
    MEMBER_GROUP,
    MEMBER_MESSAGE_ID,
    MEMBER_TIMESTAMP,
    MEMBER_ORIGINAL_TIMESTAMP,
    MEMBER_SENT_AT,
    MEMBER_PROPERTIES,
    MEMBER_PAYLOAD,
    MEMBER_JOURNEY,
    MEMBER_TRAITS,
    MEMBER_CONTEXT,
    MEMBER_WRITE_KEY,
    MEMBER_BATCH,
    MEMBER_END,
};

/* How many cells behind the event's each stands, 0 = absent. */
struct members {
    const struct json_cell *event;
    uint32_t at[MEMBER_END];
};

static inline struct json_node member(const struct members *m, enum member which)
{
    return (struct json_node){m->at[which] != 0 ? m->event + m->at[which] : NULL};
}

/* By length first: most keys differ in it, and a comparison of known length is one of words. */
static enum member member_of(struct str key)
{
#define IS(text) (memcmp(key.at, text, sizeof(text) - 1) == 0)
    switch (key.len) {
    case 4: return IS("type") ? MEMBER_TYPE : IS("name") ? MEMBER_NAME : MEMBER_OTHER;
    case 5: return IS("event") ? MEMBER_EVENT : IS("batch") ? MEMBER_BATCH : MEMBER_OTHER;
    case 6:
        return IS("userId")   ? MEMBER_USER
               : IS("traits") ? MEMBER_TRAITS
               : IS("sentAt") ? MEMBER_SENT_AT
                              : MEMBER_OTHER;
    case 7:
        return IS("context")   ? MEMBER_CONTEXT
               : IS("groupId") ? MEMBER_GROUP
               : IS("payload") ? MEMBER_PAYLOAD
               : IS("journey") ? MEMBER_JOURNEY
                               : MEMBER_OTHER;
    case 8:
        return IS("writeKey") ? MEMBER_WRITE_KEY : IS("category") ? MEMBER_CATEGORY : MEMBER_OTHER;
    case 9:
        return IS("messageId")   ? MEMBER_MESSAGE_ID
               : IS("timestamp") ? MEMBER_TIMESTAMP
                                 : MEMBER_OTHER;
    case 10:
        return IS("properties")   ? MEMBER_PROPERTIES
               : IS("previousId") ? MEMBER_PREVIOUS
                                  : MEMBER_OTHER;
    case 11: return IS("anonymousId") ? MEMBER_ANONYMOUS : MEMBER_OTHER;
    case 17: return IS("originalTimestamp") ? MEMBER_ORIGINAL_TIMESTAMP : MEMBER_OTHER;
    }
#undef IS
    return MEMBER_OTHER;
}

static void members_find(struct json_node node, struct members *m)
{
    *m = (struct members){.event = node.cell};
    struct json_each each = json_each(node);
    while (json_next(&each))
        m->at[member_of(each.key)] = (uint32_t)(each.node.cell - node.cell);
}

/* --- Sizes ------------------------------------------------------------------------------------------ */

/* Bytes of `text` as a JSON string. */
static size_t text_size(struct str text)
{
    size_t bytes = text.len + 2;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.at[i];
        if (c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t')
            bytes += 1;
        else if (c < 0x20)
            bytes += 5;
    }
    return bytes;
}

static size_t scalar_size(struct ingest_worker *w, struct json_node node)
{
    int64_t whole = 0;
    double number = 0;
    switch (json_type(node)) {
    case JSON_TEXT: return text_size(json_text(node));
    case JSON_BOOL: return json_is_true(node) ? 4 : 5;
    case JSON_INT:
        must(json_int(node, &whole));
        w->numbers.len = 0;
        buf_printf(&w->numbers, "%lld", (long long)whole);
        return w->numbers.len;
    case JSON_DOUBLE:
        must(json_double(node, &number));
        w->numbers.len = 0;
        json_add_double(&w->numbers, number);
        return w->numbers.len;
    case JSON_NONE:
    case JSON_NULL:
    case JSON_LIST:
    case JSON_MAP: break;
    }
    return 4;
}

/* Bytes that the node takes as JSON without white space. */
static size_t node_size(struct ingest_worker *w, struct json_node node)
{
    struct json_each stack[PARSE_DEPTH];
    uint32_t open = 0;
    size_t bytes = 0;
    for (;;) {
        if (json_is(node, JSON_MAP) || json_is(node, JSON_LIST)) {
            must(open < PARSE_DEPTH);
            stack[open++] = json_each(node);
            bytes += 2;
            /* one comma fewer than members */
            bytes -= json_has_members(node) ? 1 : 0;
        } else {
            bytes += scalar_size(w, node);
        }
        while (open > 0 && !json_next(&stack[open - 1]))
            open--;
        if (open == 0)
            return bytes;
        bytes += 1; /* comma */
        if (stack[open - 1].is_map)
            bytes += text_size(stack[open - 1].key) + 1;
        node = stack[open - 1].node;
    }
}

/* Whether the event has more than EVENT_JSON_MAX bytes. Measured as compact JSON, so that white space
 * does not count; but first guessed from where its first key and that of the next event stand, which is
 * exact enough for nearly every event: no text is longer as compact JSON than as it came. */
static bool is_too_large(struct ingest_worker *w, size_t body_bytes, struct json_node event,
                         struct json_node next)
{
    if (body_bytes <= EVENT_JSON_MAX || !json_has_members(event))
        return false;
    if (json_is(next, JSON_MAP) && json_has_members(next)) {
        size_t bytes = (size_t)(next.cell[1].text - event.cell[1].text);
        /* a number may have been shorter: 1e9 */
        if (bytes + event.cell->cells * NUMBER_BYTES_MAX <= EVENT_JSON_MAX)
            return false;
    }
    return node_size(w, event) > EVENT_JSON_MAX;
}

/* --- Members ---------------------------------------------------------------------------------------- */

/* An id: text, or a whole number that a double holds exactly, as digits in `digits`. */
static bool read_id(struct json_node node, char digits[24], struct str *out)
{
    int64_t whole = 0;
    double number = 0;
    *out = STR("");
    switch (json_type(node)) {
    case JSON_NONE:
    case JSON_NULL: return true;
    case JSON_TEXT: *out = json_text(node); return true;
    case JSON_INT: must(json_int(node, &whole)); break;
    case JSON_DOUBLE:
        must(json_double(node, &number));
        if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0))
            return false;
        whole = (int64_t)number;
        if ((double)whole != number)
            return false;
        break;
    case JSON_BOOL:
    case JSON_LIST:
    case JSON_MAP: return false;
    }
    int len = snprintf(digits, 24, "%lld", (long long)whole);
    *out = (struct str){digits, (size_t)len};
    return true;
}

static inline uint32_t digit(char c)
{
    return (uint8_t)(c - '0');
}

/* "2026-03-02T09:53:30.000Z" in the minute in which the last one was; false: read it as any other. */
static bool read_same_minute(const struct minute *minute, struct str text, int64_t *at_ms)
{
    if (text.len != MINUTE_BYTES + 7 || memcmp(text.at, minute->text, MINUTE_BYTES) != 0)
        return false;
    const char *at = text.at + MINUTE_BYTES;
    uint32_t tens = digit(at[0]), ones = digit(at[1]);
    uint32_t a = digit(at[3]), b = digit(at[4]), c = digit(at[5]);
    if (tens > 5 || ones > 9 || at[2] != '.' || a > 9 || b > 9 || c > 9 || at[6] != 'Z')
        return false;
    *at_ms = minute->at_ms + (tens * 10 + ones) * 1000 + a * 100 + b * 10 + c;
    return true;
}

/* Any text that is a time. */
static bool read_time_text(struct minute *minute, struct str text, int64_t *at_ms)
{
    struct timestamp time;
    if (read_same_minute(minute, text, at_ms))
        return true;
    if (timestamp_parse(text, TIMESTAMP_LOOSE, &time, NULL) != OK)
        return false;
    *at_ms = time.at_ms;
    bool is_usual = text.len == MINUTE_BYTES + 7 && text.at[10] == 'T' && text.at[16] == ':' &&
                    text.at[17] < '6' && text.at[19] == '.' && text.at[23] == 'Z';
    if (is_usual && time.at_ms >= 0) { /* and no leap second, which is the next minute's */
        memcpy(minute->text, text.at, MINUTE_BYTES);
        minute->at_ms = time.at_ms - time.at_ms % 60000;
    }
    return true;
}

/* A time. False where there is something that is none. */
static bool read_time(struct ingest_worker *w, struct json_node node, bool *has_time,
                      int64_t *at_ms)
{
    double number = 0;
    *has_time = false;
    switch (json_type(node)) {
    case JSON_NONE:
    case JSON_NULL: return true;
    case JSON_TEXT:
        *has_time = read_time_text(&w->minute, json_text(node), at_ms);
        return *has_time;
    case JSON_INT:
    case JSON_DOUBLE:
        *has_time = json_double(node, &number) && timestamp_from_number(number, at_ms);
        return *has_time;
    case JSON_BOOL:
    case JSON_LIST:
    case JSON_MAP: break;
    }
    return false;
}

/* Of addresses that were written as numbers, by channel. */
struct digits {
    char of[CHANNEL_END][24];
};

static bool read_kind(struct json_node type, enum event_kind *out)
{
    struct str text = json_text(type);
    switch (text.len) {
    case 4: *out = EVENT_PAGE; return str_is(text, "page");
    case 5:
        *out = str_is(text, "track")   ? EVENT_TRACK
               : str_is(text, "group") ? EVENT_GROUP
               : str_is(text, "enter") ? EVENT_ENTER
                                       : EVENT_ALIAS;
        return *out != EVENT_ALIAS || str_is(text, "alias");
    case 6: *out = EVENT_SCREEN; return str_is(text, "screen");
    case 8:
        *out = str_is(text, "business") ? EVENT_BUSINESS : EVENT_IDENTIFY;
        return *out == EVENT_BUSINESS || str_is(text, "identify");
    }
    return false;
}

/* What all events of a request share. */
struct shared {
    bool has_source;
    struct ingest_source source;
    bool has_sent_at;
    int64_t sent_at_ms;
    struct json_node context;
    int64_t arrival_ms;
    size_t body_bytes;
    struct str journey; /* that the path names; empty: the event says which */
    bool is_file;       /* written long ago: its sentAt says nothing about a clock */
};

static enum ingest_error fail(char *field, const char *name, enum ingest_error error)
{
    field_set(field, str_of(name), STR(""));
    return error;
}

/* PHP writes an empty object as []. */
static bool is_map_or_none(struct json_node node)
{
    return !json_has_value(node) || json_is(node, JSON_MAP) ||
           (json_is(node, JSON_LIST) && json_count(node) == 0);
}

static enum ingest_error put_part(struct event_draft *d, enum part part, struct json_node node,
                                  struct str without)
{
    d->part = part;
    return event_put_members(d, part == PART_CONTEXT ? PLACE_CONTEXT : PLACE_PROPERTIES, node,
                             without);
}

/* `name` and `category` of a page or screen are properties, unless the properties have them. */
static enum ingest_error put_own_property(struct event_draft *d, struct str key,
                                          struct json_node node)
{
    if (!json_is(node, JSON_TEXT))
        return INGEST_FINE;
    uint32_t place = place_find(d->w, PLACE_PROPERTIES, key);
    if (event_has(d, place_name(d->w, place, d->source)))
        return INGEST_FINE;
    return event_put_text(d, PLACE_PROPERTIES, key, node);
}

static enum ingest_error put_parts(struct event_draft *d, enum event_kind kind,
                                   const struct members *m, struct json_node shared_context)
{
    enum ingest_error error = INGEST_FINE;
    struct json_node traits = member(m, MEMBER_TRAITS);
    struct str without = STR("");
    switch (kind) {
    case EVENT_TRACK:
    case EVENT_PAGE:
    case EVENT_SCREEN:
        error = put_part(d, PART_PROPERTIES, member(m, MEMBER_PROPERTIES), STR(""));
        if (error == INGEST_FINE && kind != EVENT_TRACK)
            error = put_own_property(d, STR("name"), member(m, MEMBER_NAME));
        if (error == INGEST_FINE && kind != EVENT_TRACK)
            error = put_own_property(d, STR("category"), member(m, MEMBER_CATEGORY));
        break;
    case EVENT_IDENTIFY:
        /* RudderStack repeats the traits in the context, its newer clients have them only there */
        without = STR("traits");
        if (!json_has_value(traits))
            traits = json_find(member(m, MEMBER_CONTEXT), STR("traits"));
        error = put_part(d, PART_TRAITS, traits, STR(""));
        break;
    case EVENT_GROUP: error = put_part(d, PART_TRAITS, traits, STR("")); break;
    case EVENT_BUSINESS:
        error = put_part(d, PART_PROPERTIES, member(m, MEMBER_PROPERTIES), STR(""));
        break;
    case EVENT_ENTER:
        error = put_part(d, PART_PROPERTIES, member(m, MEMBER_PAYLOAD), STR(""));
        break;
    case EVENT_ALIAS:
    case EVENT_SCHEDULE:
    case EVENT_HANDOFF:
    case EVENT_RUN:
    case EVENT_DATE: break;
    }
    /* what the batch says about all its events goes first: the event's own word is the last */
    if (error == INGEST_FINE)
        error = put_part(d, PART_CONTEXT, shared_context, without);
    if (error == INGEST_FINE)
        error = put_part(d, PART_CONTEXT, member(m, MEMBER_CONTEXT), without);
    return error;
}

/* --- Addresses of events without ids ------------------------------------------------------------------ */

/* Takes the text, or whole number, at `key` of the map. */
static void take_address(struct raw_event *raw, struct digits *digits, enum channel channel,
                         struct json_node map, struct str key)
{
    struct str text;
    if (read_id(json_find(map, key), digits->of[channel], &text))
        event_found_by(raw, channel, text);
}

/* The channel that an external id's type means: "email", "phone", "push_token", "ios.push_token". */
static enum channel channel_of_type(struct str type)
{
    if (str_is(type, "email"))
        return CHANNEL_EMAIL;
    if (str_is(type, "phone"))
        return CHANNEL_SMS;
    if (str_is(type, "push_token") || str_is(type, "device_token") ||
        str_ends(type, STR(".push_token")))
        return CHANNEL_PUSH;
    return CHANNEL_NONE;
}

/* [{"type": "email", "id": "ann@example.org"}, ...]: Segment's externalIds, RudderStack's externalId. */
static void take_external_ids(struct raw_event *raw, struct digits *digits, struct json_node list)
{
    if (!json_is(list, JSON_LIST))
        return;
    struct json_each each = json_each(list);
    while (json_next(&each)) {
        struct str encoding = json_text(json_find(each.node, STR("encoding")));
        struct str collection = json_text(json_find(each.node, STR("collection")));
        enum channel channel = channel_of_type(json_text(json_find(each.node, STR("type"))));
        bool is_plain = encoding.len == 0 || str_is(encoding, "none");
        bool is_user = collection.len == 0 || str_is(collection, "users");
        if (channel != CHANNEL_NONE && is_plain && is_user)
            take_address(raw, digits, channel, each.node, STR("id"));
    }
}

static void take_traits(struct raw_event *raw, struct digits *digits, struct json_node traits)
{
    take_address(raw, digits, CHANNEL_EMAIL, traits, STR("email"));
    take_address(raw, digits, CHANNEL_SMS, traits, STR("phone"));
    take_address(raw, digits, CHANNEL_PUSH, traits, STR("push_token"));
}

/* What a statement about consent says is its address: {"channel": "sms", "address": "+44..."}. */
static void take_statement(struct raw_event *raw, struct digits *digits,
                           struct json_node properties)
{
    enum channel channel = CHANNEL_EMAIL;
    struct str text = json_text(json_find(properties, STR("channel")));
    bool is_statement = str_is(raw->name, "Unsubscribed") || str_is(raw->name, "Consent Changed") ||
                        str_is(raw->name, "Message Complained");
    if (is_statement && (text.len == 0 || channel_find(text, &channel)))
        take_address(raw, digits, channel, properties, STR("address"));
}

/* Where the addresses stand that an event without ids finds its person by; the first on each channel
 * counts. Properties say what the event is about, not whose it is, and a group's traits are the
 * group's. */
static void take_addresses(struct raw_event *raw, struct digits *digits, const struct members *m,
                           struct json_node shared_context)
{
    struct json_node contexts[] = {member(m, MEMBER_CONTEXT), shared_context};
    if (raw->kind == EVENT_TRACK)
        take_statement(raw, digits, member(m, MEMBER_PROPERTIES));
    for (size_t i = 0; i < array_count(contexts); i++) {
        take_external_ids(raw, digits, json_find(contexts[i], STR("externalIds")));
        take_external_ids(raw, digits, json_find(contexts[i], STR("externalId")));
    }
    if (raw->kind == EVENT_IDENTIFY)
        take_traits(raw, digits, member(m, MEMBER_TRAITS));
    for (size_t i = 0; i < array_count(contexts); i++) {
        take_traits(raw, digits, json_find(contexts[i], STR("traits")));
        take_address(raw, digits, CHANNEL_PUSH, json_find(contexts[i], STR("device")),
                     STR("token"));
    }
}

/* One event, from its members to its record. */
static enum ingest_error read_event(struct ingest_worker *w, const struct members *m,
                                    const struct shared *shared, struct raw_event *raw,
                                    struct ingest_batch *batch, char *field)
{
    char digits[5][24];
    raw->arrival_ms = shared->arrival_ms;
    raw->source = shared->source;
    if (!shared->has_source) {
        struct str key = json_text(member(m, MEMBER_WRITE_KEY));
        if (key.len == 0)
            return fail(field, "writeKey", INGEST_NO_KEY);
        if (!ingest_find_key(w->in, key, &raw->source))
            return fail(field, "writeKey", INGEST_UNKNOWN_KEY);
    }
    if (!read_id(member(m, MEMBER_USER), digits[0], &raw->user))
        return fail(field, "userId", INGEST_BAD_ID);
    if (!read_id(member(m, MEMBER_ANONYMOUS), digits[1], &raw->anonymous))
        return fail(field, "anonymousId", INGEST_BAD_ID);
    if (raw->kind == EVENT_ALIAS && !read_id(member(m, MEMBER_PREVIOUS), digits[2], &raw->previous))
        return fail(field, "previousId", INGEST_BAD_ID);
    if (raw->kind == EVENT_GROUP && !read_id(member(m, MEMBER_GROUP), digits[3], &raw->group))
        return fail(field, "groupId", INGEST_BAD_ID);
    if (!read_id(member(m, MEMBER_MESSAGE_ID), digits[4], &raw->message_id))
        raw->message_id = STR(""); /* of no use as an id: one is made */
    bool is_called = raw->kind == EVENT_BUSINESS || raw->kind == EVENT_ENTER;
    if (is_called && !(raw->source.flags & RECORD_IS_SERVER))
        return fail(field, "", INGEST_SERVER_ONLY);
    if (raw->kind == EVENT_ENTER)
        raw->name = shared->journey.len ? shared->journey : json_text(member(m, MEMBER_JOURNEY));
    if (raw->kind == EVENT_TRACK || raw->kind == EVENT_BUSINESS) {
        if (json_has_value(member(m, MEMBER_EVENT)) && !json_is(member(m, MEMBER_EVENT), JSON_TEXT))
            return fail(field, "event", INGEST_BAD_EVENT);
        raw->name = json_text(member(m, MEMBER_EVENT));
    }
    struct json_node time = json_has_value(member(m, MEMBER_TIMESTAMP))
                                ? member(m, MEMBER_TIMESTAMP)
                                : member(m, MEMBER_ORIGINAL_TIMESTAMP);
    if (!read_time(w, time, &raw->has_time, &raw->time_ms))
        return fail(field,
                    json_has_value(member(m, MEMBER_TIMESTAMP)) ? "timestamp" : "originalTimestamp",
                    INGEST_BAD_TIME);
    raw->has_sent_at = shared->has_sent_at;
    raw->sent_at_ms = shared->sent_at_ms;
    if (json_has_value(member(m, MEMBER_SENT_AT)) &&
        !shared->is_file) /* a malformed one corrects nothing, and refuses nothing */
        (void)!read_time(w, member(m, MEMBER_SENT_AT), &raw->has_sent_at, &raw->sent_at_ms);
    if (!is_map_or_none(member(m, MEMBER_PROPERTIES)))
        return fail(field, "properties", INGEST_BAD_FIELD);
    if (raw->kind == EVENT_ENTER && !is_map_or_none(member(m, MEMBER_PAYLOAD)))
        return fail(field, "payload", INGEST_BAD_FIELD);
    if (!is_map_or_none(member(m, MEMBER_TRAITS)))
        return fail(field, "traits", INGEST_BAD_FIELD);
    if (!is_map_or_none(member(m, MEMBER_CONTEXT)))
        return fail(field, "context", INGEST_BAD_FIELD);

    struct digits address_digits;
    enum ingest_error error = event_settle_ids(raw, batch, field);
    if (error != INGEST_FINE)
        return error;
    if (unlikely(raw->user.len == 0 && raw->anonymous.len == 0))
        take_addresses(raw, &address_digits, m, shared->context);

    struct event_draft draft;
    error = event_begin(w, raw, batch, &draft, field);
    if (error == INGEST_FINE)
        error = put_parts(&draft, raw->kind, m, shared->context);
    if (error == INGEST_FINE)
        error = event_end(&draft, raw);
    if (error != INGEST_FINE)
        event_drop(&draft);
    return error;
}

static const enum event_kind route_kinds[] = {
    [INGEST_TRACK] = EVENT_TRACK,       [INGEST_IDENTIFY] = EVENT_IDENTIFY,
    [INGEST_PAGE] = EVENT_PAGE,         [INGEST_SCREEN] = EVENT_SCREEN,
    [INGEST_GROUP] = EVENT_GROUP,       [INGEST_ALIAS] = EVENT_ALIAS,
    [INGEST_BUSINESS] = EVENT_BUSINESS, [INGEST_ENTER] = EVENT_ENTER,
};

static void take_event(struct ingest_worker *w, struct json_node event, struct json_node next,
                       enum ingest_route route, const struct shared *shared,
                       struct ingest_batch *batch)
{
    char field[INGEST_FIELD_BYTES];
    struct members m;
    struct raw_event raw = {.ordinal = batch->event_count};
    enum ingest_error error;
    field[0] = 0;
    if (!json_is(event, JSON_MAP)) {
        error = INGEST_EVENT_NOT_OBJECT;
    } else if (is_too_large(w, shared->body_bytes, event, next)) {
        error = INGEST_EVENT_TOO_LARGE;
    } else {
        members_find(event, &m);
        bool is_known = true;
        if (route == INGEST_BATCH)
            is_known = read_kind(member(&m, MEMBER_TYPE), &raw.kind);
        else
            raw.kind = route_kinds[route];
        error = is_known ? read_event(w, &m, shared, &raw, batch, field)
                         : fail(field, "type", INGEST_BAD_TYPE);
    }
    if (error != INGEST_FINE) {
        batch->rejected_count++;
        batch_problem(batch, batch->event_count, error, field);
    }
    batch->event_count++;
}

static enum ingest_error refuse(struct ingest_batch *batch, enum ingest_error error,
                                const char *field)
{
    batch_problem(batch, UINT32_MAX, error, field);
    return error;
}

/* Whose events these are: the Authorization header's word, else the body's, else each event's. */
static enum ingest_error find_source(struct ingest_worker *w, const struct ingest_request *request,
                                     const struct members *outer, struct shared *shared)
{
    struct str key =
        request->has_auth_key ? request->auth_key : json_text(member(outer, MEMBER_WRITE_KEY));
    if (!request->has_auth_key && key.len == 0)
        return INGEST_FINE;
    shared->has_source = ingest_find_key(w->in, key, &shared->source);
    return shared->has_source ? INGEST_FINE : INGEST_UNKNOWN_KEY;
}

enum ingest_error ingest_parse(struct ingest_worker *w, const struct ingest_request *request,
                               struct ingest_batch *batch)
{
    must(request->arrival_ms > 0);
    struct json_node root;
    struct fault f = {0};
    ingest_batch_reset(batch);
    if (request->body.len > INGEST_BODY_MAX)
        return refuse(batch, INGEST_TOO_LARGE, "");
    if (request->body.len == 0)
        return refuse(batch, INGEST_EMPTY_BODY, "");
    if (json_parse(w->parser, request->body, PARSE_DEPTH, &root, &f) != OK) {
        snprintf(batch->detail, sizeof(batch->detail), "line %u, column %u: %.120s", f.line,
                 f.column, f.text);
        return refuse(batch, INGEST_BAD_JSON, "");
    }
    if (!json_is(root, JSON_MAP))
        return refuse(batch, INGEST_NOT_OBJECT, "");

    struct members outer;
    struct shared shared = {.arrival_ms = request->arrival_ms,
                            .body_bytes = request->body.len,
                            .journey = request->journey};
    members_find(root, &outer);
    enum ingest_error error = find_source(w, request, &outer, &shared);
    if (error != INGEST_FINE)
        return refuse(batch, error, request->has_auth_key ? "" : "writeKey");

    bool may_be_many = request->route == INGEST_BUSINESS || request->route == INGEST_ENTER;
    bool is_many = request->route == INGEST_BATCH ||
                   (may_be_many && json_has_value(member(&outer, MEMBER_BATCH)));
    if (!is_many) {
        take_event(w, root, (struct json_node){0}, request->route, &shared, batch);
    } else {
        if (!json_is(member(&outer, MEMBER_BATCH), JSON_LIST))
            return refuse(batch, INGEST_NO_BATCH, "batch");
        (void)!read_time(w, member(&outer, MEMBER_SENT_AT), &shared.has_sent_at,
                         &shared.sent_at_ms);
        shared.context = member(&outer, MEMBER_CONTEXT);
        struct json_each each = json_each(member(&outer, MEMBER_BATCH));
        bool has_more = json_next(&each);
        while (has_more) {
            if (batch->event_count == INGEST_EVENTS_MAX) {
                ingest_batch_reset(batch);
                return refuse(batch, INGEST_TOO_MANY, "batch");
            }
            struct json_node event = each.node;
            has_more = json_next(&each);
            struct json_node next = has_more ? each.node : (struct json_node){0};
            take_event(w, event, next, request->route, &shared, batch);
        }
    }
    ingest_batch_seal(batch);
    if (batch->record_count == 0 && batch->rejected_count != 0)
        return batch->problems[0].error;
    return INGEST_FINE;
}

enum ingest_error ingest_parse_event(struct ingest_worker *w, struct str text,
                                     struct ingest_source source, int64_t arrival_ms,
                                     uint64_t ordinal, struct ingest_batch *batch, char *field)
{
    struct json_node root;
    struct fault f = {0};
    struct members m;
    struct shared shared = {.has_source = true,
                            .source = source,
                            .arrival_ms = arrival_ms,
                            .body_bytes = text.len,
                            .is_file = true};
    struct raw_event raw = {.ordinal = ordinal};
    field[0] = 0;
    must(batch->sealed_count == 0);
    if (text.len == 0 || text.len > INGEST_BODY_MAX)
        return INGEST_EVENT_TOO_LARGE;
    if (json_parse(w->parser, text, PARSE_DEPTH, &root, &f) != OK) {
        snprintf(batch->detail, sizeof(batch->detail), "column %u: %.150s", f.column, f.text);
        return INGEST_BAD_JSON;
    }
    if (!json_is(root, JSON_MAP))
        return INGEST_EVENT_NOT_OBJECT;
    if (is_too_large(w, text.len, root, (struct json_node){0}))
        return INGEST_EVENT_TOO_LARGE;
    members_find(root, &m);
    if (!read_kind(member(&m, MEMBER_TYPE), &raw.kind))
        return fail(field, "type", INGEST_BAD_TYPE);
    return read_event(w, &m, &shared, &raw, batch, field);
}
