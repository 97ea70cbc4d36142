/* SPDX-License-Identifier: Apache-2.0 */
#include "api/segment_json.h"

#include <stdio.h>

#include "audience/audience.h"
#include "profile/traits.h"
#include "when/civil.h"
#include "json/json_write.h"

static const struct plan *newest(const struct engine *e)
{
    const struct plans *plans = engine_plans(e);
    return plans->newest ? plans->at[plans->newest] : NULL;
}

static void write_moment(struct json_writer *w, const char *key, int64_t at_ms)
{
    char text[TIMESTAMP_BYTES];
    bool is_never = at_ms == FOREVER_MS;
    json_write_key_text(w, key, is_never ? STR("never") : timestamp_print(at_ms, text));
}

void segments_json(struct engine *e, struct buf *out)
{
    const struct plan *plan = newest(e);
    struct json_writer w;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    write_moment(&w, "as_of", engine_now(e));
    json_write_key(&w, STR("segments"));
    json_write_list(&w);
    for (uint32_t i = 0; plan != NULL && i < plan->segment_count; i++) {
        const struct plan_segment *s = &plan->segments[plan->segments_by_name[i]];
        if (s->kind != SEGMENT_NAMED)
            continue;
        char hash[20];
        snprintf(hash, sizeof(hash), "%016lx", s->hash);
        json_write_map(&w);
        json_write_key_text(&w, "segment", names_text(engine_names(e), s->name));
        json_write_key_int(&w, "people", (int64_t)engine_members(e, s->name));
        json_write_key_bool(&w, "is_list", s->is_list);
        json_write_key_text(&w, "when", s->when.text);
        json_write_key_text(&w, "owner", s->owner);
        json_write_key_text(&w, "version", str_of(hash));
        json_write_end(&w);
    }
    json_write_end(&w);
    json_write_end(&w);
}

static void write_id(struct json_writer *w, struct person *who, const char *key, uint32_t name)
{
    struct value id = traits_get(who, name, NULL);
    if (id.type == VALUE_TEXT)
        json_write_key_text(w, key, id.text);
}

void members_json(struct engine *e, uint32_t segment, uint64_t after, uint32_t limit,
                  struct buf *out)
{
    struct json_writer w;
    char number[20];
    uint32_t count = 0, scanned = 0;
    uint64_t profile = after;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_text(&w, "segment", names_text(engine_names(e), segment));
    write_moment(&w, "as_of", engine_now(e));
    json_write_key_int(&w, "people", (int64_t)engine_members(e, segment));
    json_write_key(&w, STR("members"));
    json_write_list(&w);
    while (count < limit && scanned < MEMBERS_SCANNED_MAX &&
           (profile = engine_each(e, profile)) != 0) {
        struct person who;
        scanned++;
        engine_look(e, profile, &who);
        const struct membership *m = person_membership_find(&who, segment);
        if (m == NULL || !(m->flags & MEMBERSHIP_IS_IN))
            continue;
        count++;
        json_write_map(&w);
        write_id(&w, &who, "user_id", NAME_USER_ID);
        write_id(&w, &who, "anonymous_id", NAME_ANONYMOUS_ID);
        write_moment(&w, "since", m->since_ms);
        write_moment(&w, "until", m->ask_ms);
        json_write_end(&w);
    }
    json_write_end(&w);
    if (profile != 0) {
        snprintf(number, sizeof(number), "%lx", profile);
        json_write_key_text(&w, "next", str_of(number));
    }
    json_write_end(&w);
}

void segment_why_json(struct engine *e, uint64_t profile, uint16_t segment, struct buf *out)
{
    struct person who;
    struct json_writer w;
    engine_look(e, profile, &who);
    struct audience_reason reason = audience_explain(&who, segment);
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_text(&w, "segment",
                        names_text(engine_names(e), who.plan->segments[segment].name));
    json_write_key_bool(&w, "is_in", reason.is_in);
    json_write_key_bool(&w, "is_by_hand", reason.is_by_hand);
    json_write_key_text(&w, "because", reason.clause);
    if (reason.has_since)
        write_moment(&w, "since", reason.since_ms);
    write_moment(&w, "until", reason.until_ms);
    write_moment(&w, "as_of", engine_now(e));
    json_write_end(&w);
}
