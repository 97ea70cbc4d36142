/* SPDX-License-Identifier: Apache-2.0 */
#include "model/result.h"

/* A row is: kind byte, a byte of which fields follow, then those fields. Most rows have few. */
enum {
    HAS_HOW = 1,
    HAS_STEP = 2,
    HAS_JOURNEY = 4,
    HAS_MESSAGE = 8,
    HAS_ID = 16,
    HAS_NUMBER = 32,
    HAS_AT = 64,
    HAS_VERSION = 128,
};

void results_write(const struct result *rows, uint32_t count, int64_t now_ms, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct result *r = &rows[i];
        must(r->kind != RESULT_NONE && r->kind < RESULT_KIND_END);
        uint8_t has = (uint8_t)((r->how ? HAS_HOW : 0) | (r->step ? HAS_STEP : 0) |
                                (r->journey ? HAS_JOURNEY : 0) | (r->message ? HAS_MESSAGE : 0) |
                                (r->id ? HAS_ID : 0) | (r->number ? HAS_NUMBER : 0) |
                                (r->at_ms != now_ms ? HAS_AT : 0) |
                                (r->version || r->channel ? HAS_VERSION : 0));
        buf_add_byte(out, r->kind);
        buf_add_byte(out, has);
        buf_add_varint(out, r->profile);
        if (has & HAS_HOW)
            buf_add_byte(out, r->how);
        if (has & HAS_STEP)
            buf_add_varint(out, r->step);
        if (has & HAS_JOURNEY)
            buf_add_varint(out, r->journey);
        if (has & HAS_MESSAGE)
            buf_add_varint(out, r->message);
        if (has & HAS_ID)
            buf_add_u64(out, r->id);
        if (has & HAS_NUMBER)
            buf_add_zigzag(out, r->number);
        if (has & HAS_AT)
            buf_add_zigzag(out, r->at_ms - now_ms);
        if (has & HAS_VERSION)
            buf_add_varint(out, (uint64_t)r->version << 4 | r->channel);
    }
}

static void results_version(struct cursor *c, struct result *out)
{
    uint64_t both = cursor_varint(c);
    out->version = (uint32_t)(both >> 4);
    out->channel = both & 15;
}

bool results_read(struct cursor *c, int64_t now_ms, struct result *out)
{
    if (cursor_left(c) == 0)
        return false;
    *out = (struct result){.kind = cursor_byte(c), .at_ms = now_ms};
    uint8_t has = cursor_byte(c);
    out->profile = cursor_varint(c);
    if (has & HAS_HOW)
        out->how = cursor_byte(c);
    if (has & HAS_STEP)
        out->step = (uint16_t)cursor_varint(c);
    if (has & HAS_JOURNEY)
        out->journey = (uint32_t)cursor_varint(c);
    if (has & HAS_MESSAGE)
        out->message = (uint32_t)cursor_varint(c);
    if (has & HAS_ID)
        out->id = cursor_u64(c);
    if (has & HAS_NUMBER)
        out->number = cursor_zigzag(c);
    if (has & HAS_AT)
        out->at_ms = now_ms + cursor_zigzag(c);
    if (has & HAS_VERSION)
        results_version(c, out);
    if (out->kind == RESULT_NONE || out->kind >= RESULT_KIND_END)
        c->is_bad = true;
    return !c->is_bad;
}

const char *result_name(enum result_kind kind)
{
    static const char *const names[] = {
        "",
#define RESULT(symbol, name, doc) name,
#include "model/results.def"
#undef RESULT
    };
    return (size_t)kind < array_count(names) ? names[kind] : "?";
}

const char *error_place_name(enum error_place place)
{
    static const char *const names[] = {
#define PLACE(symbol, name, doc) name,
#include "model/error_places.def"
#undef PLACE
    };
    return (uint32_t)place < array_count(names) ? names[place] : "?";
}

bool result_is_error(const struct result *row)
{
    return row->kind == RESULT_ERROR || (row->kind == RESULT_REFUSED && row->how == REFUSAL_ERROR);
}

const char *refusal_name(enum refusal refusal)
{
    switch (refusal) {
    case REFUSAL_AGAIN: return "again";
    case REFUSAL_AT_ONCE: return "at_once";
    case REFUSAL_LATE: return "late";
    case REFUSAL_CONSUMED: return "consumed";
    case REFUSAL_HISTORY: return "history";
    case REFUSAL_LIMIT: return "limit";
    case REFUSAL_REQUIRE: return "require";
    case REFUSAL_ERROR: return "error";
    case REFUSAL_GROUP: return "group";
    case REFUSAL_NO_WAY: return "no_way";
    case REFUSAL_DRAFT: return "draft";
    case REFUSAL_PAUSED: return "paused";
    case REFUSAL_DRAINING: return "draining";
    case REFUSAL_STOPPED: return "stopped";
    case REFUSAL_LOOP: return "loop";
    case REFUSAL_WHEN: return "when";
    case REFUSAL_QUEUED: return "queued";
    case REFUSAL_FULL: return "full";
    case REFUSAL_END: break;
    }
    return "?";
}
