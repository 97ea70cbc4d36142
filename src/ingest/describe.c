/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/describe.h"

#include <stdio.h>

static const char *type_name(enum record_type type)
{
    switch (type) {
    case RECORD_NAME: return "name";
    case RECORD_EVENT: return "event";
    case RECORD_RECEIPT: return "receipt";
    case RECORD_TICK: return "tick";
    case RECORD_PROGRAMME: return "programme";
    case RECORD_COMMAND: return "command";
    case RECORD_RELEASE: return "release";
    case RECORD_ERASE: return "erase";
    case RECORD_TYPE_END: break;
    }
    return "?";
}

static const char *kind_name(enum event_kind kind)
{
    switch (kind) {
    case EVENT_TRACK: return "track";
    case EVENT_PAGE: return "page";
    case EVENT_SCREEN: return "screen";
    case EVENT_IDENTIFY: return "identify";
    case EVENT_GROUP: return "group";
    case EVENT_ALIAS: return "alias";
    case EVENT_BUSINESS: return "business";
    case EVENT_ENTER: return "enter";
    case EVENT_SCHEDULE: return "schedule";
    case EVENT_DATE: return "date";
    case EVENT_HANDOFF: return "handoff";
    case EVENT_RUN: return "run";
    }
    return "?";
}

static void write_body(struct json_writer *w, const char *key, struct body body,
                       struct vocabulary *v, struct arena *scratch)
{
    struct body_field field;
    json_write_key(w, str_of(key));
    json_write_map(w);
    while (body_next(&body, &field)) {
        json_write_key(w, vocabulary_text(v, field.name));
        json_write_value(w, body_value(&field, scratch));
    }
    json_write_end(w);
}

static void write_hash(struct json_writer *w, const char *key, uint64_t hash)
{
    char text[24];
    if (hash == 0)
        return;
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
    json_write_key_text(w, key, str_of(text));
}

void record_describe(const struct record *record, struct vocabulary *v, struct arena *scratch,
                     struct json_writer *w)
{
    json_write_map(w);
    json_write_key_text(w, "type", str_of(type_name((enum record_type)record->type)));
    if (record->type == RECORD_EVENT)
        json_write_key_text(w, "kind", str_of(kind_name((enum event_kind)record->kind)));
    if (record->name != NAME_NONE)
        json_write_key_text(w, "event", vocabulary_text(v, record->name));
    if (record->source != NAME_NONE)
        json_write_key_text(w, "source", vocabulary_text(v, record->source));
    json_write_key_int(w, "event_ms", record->event_ms);
    json_write_key_int(w, "arrival_ms", record->arrival_ms);
    json_write_key_int(w, "sent_skew_ms", record->sent_skew_ms);
    json_write_key_int(w, "flags", record->flags);
    write_hash(w, "message", record->message_hash);
    write_hash(w, "routing", record->routing_hash);
    write_body(w, "clear", record->clear, v, scratch);
    write_body(w, "personal", record_personal(record), v, scratch);
    json_write_end(w);
}
