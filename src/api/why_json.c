/* SPDX-License-Identifier: Apache-2.0 */
#include "api/why_json.h"

#include <stdio.h>

#include "when/civil.h"
#include "when/zone.h"

/* An event's own time may lie behind the engine's by as long as an import took. */
#define SEEN_BEFORE_MS DAY_MS

static const char *const kinds[] = {
    [NOTE_EVENT] = "event",     [NOTE_ENTRY] = "entry",       [NOTE_RULE] = "rule",
    [NOTE_CHANGE] = "change",   [NOTE_RIVALS] = "rivals",     [NOTE_TRY] = "try",
    [NOTE_OUTCOME] = "outcome", [NOTE_SCHEDULE] = "schedule",
};

/* ---- the question -------------------------------------------------------------------------------- */

static bool refuse(struct why_refusal *out, uint16_t status, const char *code, struct str text)
{
    *out = (struct why_refusal){status, code, text};
    return false;
}

static bool read_moment(const struct zone *zone, struct str text, int64_t fallback_ms,
                        const char *name, struct arena *arena, int64_t *at_ms,
                        struct why_refusal *out)
{
    struct timestamp at;
    *at_ms = fallback_ms;
    if (text.len == 0)
        return true;
    if (timestamp_parse(text, TIMESTAMP_LOOSE, &at, NULL) != OK)
        return refuse(out, 400, "bad_moment",
                      arena_printf(arena, "%s is a moment such as 2026-03-02T12:00, not \"%.*s\"",
                                   name, STR_ARG(text)));
    *at_ms = at.has_offset ? at.at_ms : zone_utc(zone, at.at_ms);
    return true;
}

static bool is_known(const struct plans *plans, uint32_t name, bool is_message)
{
    for (uint32_t i = 1; i < plans->count && name != NAME_NONE; i++)
        if (plans->at[i] != NULL &&
            (is_message ? plan_message_find(plans->at[i], name)
                        : plan_journey_find(plans->at[i], name)) != PLAN_NO_INDEX)
            return true;
    return false;
}

/* No programme of the directory ever had a journey or message of that name. */
static bool refuse_name(struct engine *e, struct str wanted, bool is_message, struct arena *arena,
                        struct why_refusal *out)
{
    const struct plans *plans = engine_plans(e);
    const struct plan *newest = plans->newest ? plans->at[plans->newest] : NULL;
    const char *kind = is_message ? "message" : "journey";
    uint32_t count = newest == NULL ? 0
                     : is_message   ? newest->message_count
                                    : newest->journey_count;
    struct str *known = arena_array(arena, struct str, count + 1);
    for (uint32_t i = 0; i < count; i++)
        known[i] = names_text(engine_names(e),
                              is_message ? newest->messages[i].name : newest->journeys[i].name);
    struct str near = str_nearest(wanted, known, count);
    return refuse(out, 404, is_message ? "unknown_message" : "unknown_journey",
                  near.len ? arena_printf(arena, "there is no %s \"%.*s\"; did you mean \"%.*s\"?",
                                          kind, STR_ARG(wanted), STR_ARG(near))
                           : arena_printf(arena, "there is no %s \"%.*s\"", kind, STR_ARG(wanted)));
}

bool why_resolve(struct engine *e, struct why_question *q, struct arena *arena,
                 struct why_refusal *out)
{
    const struct plans *plans = engine_plans(e);
    const struct names *names = engine_names(e);
    struct person who;
    q->profile = engine_find_person(e, q->person);
    if (q->profile == 0)
        return refuse(out, 404, "unknown_person",
                      arena_printf(arena,
                                   "nobody is known as \"%.*s\" (no user id, no anonymous id, no "
                                   "address)",
                                   STR_ARG(q->person)));
    engine_look(e, q->profile, &who);
    q->profile = who.id;
    q->id = arena_copy(arena, engine_person_id(e, q->profile));
    q->first_ms = who.profile->first_seen_ms - SEEN_BEFORE_MS;
    if (q->journey.len && !is_known(plans, names_find(names, q->journey), false))
        return refuse_name(e, q->journey, false, arena, out);
    if (q->message.len && !is_known(plans, names_find(names, q->message), true))
        return refuse_name(e, q->message, true, arena, out);
    const struct zone *zone = who.plan != NULL ? person_zone(&who) : zone_of_utc();
    return read_moment(zone, q->since, INT64_MIN, "since", arena, &q->since_ms, out) &&
           read_moment(zone, q->until, FOREVER_MS, "until", arena, &q->until_ms, out) &&
           read_moment(zone, q->at, FOREVER_MS, "at", arena, &q->at_ms, out);
}

static bool is_name(const struct names *names, uint32_t name, struct str wanted)
{
    return wanted.len == 0 || (name != NAME_NONE && str_equal(names_text(names, name), wanted));
}

bool why_is_cut(const struct why_question *q, int64_t kept_since_ms)
{
    return kept_since_ms != 0 && max_of(q->since_ms, q->first_ms) < kept_since_ms;
}

bool why_wants(const struct why_question *q, const struct names *names, const struct note *note)
{
    return is_name(names, note->journey, q->journey) && is_name(names, note->message, q->message) &&
           note->at_ms >= q->since_ms && note->at_ms <= q->until_ms;
}

/* ---- the answer ---------------------------------------------------------------------------------- */

struct str why_zone_name(const struct note *note)
{
    const struct zoneset *set = note->plan != NULL ? note->plan->zones : NULL;
    for (uint16_t i = 0; set != NULL && i < zoneset_count(set); i++)
        if (zoneset_zone(set, i) == note->zone)
            return str_is(zoneset_name(set, i), "Etc/GMT") ? STR("UTC") : zoneset_name(set, i);
    return STR("UTC");
}

void why_json(struct json_writer *w, const struct names *names, const struct note *note)
{
    char text[TIMESTAMP_BYTES], local[64];
    struct local l = zone_local(note->zone != NULL ? note->zone : zone_of_utc(), note->at_ms);
    snprintf(local, sizeof(local), "%04d-%02d-%02d %02d:%02d:%02d", (int)l.year, l.month, l.day,
             l.hour, l.minute, l.second);
    json_write_map(w);
    json_write_key_text(w, "at", timestamp_print(note->at_ms, text));
    json_write_key_int(w, "at_ms", note->at_ms);
    json_write_key_text(w, "local", str_of(local));
    json_write_key_text(w, "zone", why_zone_name(note));
    must(note->kind < array_count(kinds));
    json_write_key_text(w, "kind", str_of(kinds[note->kind]));
    if (note->journey != NAME_NONE)
        json_write_key_text(w, "journey", names_text(names, note->journey));
    if (note->message != NAME_NONE)
        json_write_key_text(w, "message", names_text(names, note->message));
    if (note->rule != NULL)
        json_write_key_text(w, "rule", str_of(note->rule));
    if (note->channel != CHANNEL_NONE)
        json_write_key_text(w, "channel", channel_name((enum channel)note->channel));
    if (note->until_ms == FOREVER_MS)
        json_write_key_null(w, "until");
    else if (note->until_ms != 0)
        json_write_key_text(w, "until", timestamp_print(note->until_ms, text));
    if (note->plan != NULL)
        json_write_key_text(w, "programme", str_of(note->plan->hash));
    json_write_key_text(w, "text", note->text);
    json_write_end(w);
}

struct pending_lines {
    struct json_writer *w;
    const struct names *names;
    const struct why_question *question;
};

static void write_pending(void *self, const struct note *note)
{
    struct pending_lines *p = self;
    const struct why_question *q = p->question;
    if (q == NULL || (is_name(p->names, note->journey, q->journey) &&
                      is_name(p->names, note->message, q->message)))
        why_json(p->w, p->names, note);
}

void why_json_pending(struct json_writer *w, struct engine *e, uint64_t profile,
                      const struct why_question *q)
{
    struct pending_lines lines = {w, engine_names(e), q};
    struct witness witness = {&lines, write_pending};
    json_write_list(w);
    engine_explain(e, profile, &witness);
    json_write_end(w);
}

/* The line with the earliest time ahead. */
struct earliest {
    struct note note;
    char text[1024];
    size_t len;
};

static void keep_earliest(void *self, const struct note *note)
{
    struct earliest *x = self;
    bool is_ahead =
        note->kind == NOTE_SCHEDULE && note->until_ms != 0 && note->until_ms != FOREVER_MS;
    if (!is_ahead || (x->note.until_ms != 0 && x->note.until_ms <= note->until_ms))
        return;
    x->note = *note;
    x->len = min_of(note->text.len, sizeof(x->text));
    memcpy(x->text, note->text.at, x->len);
}

void why_json_next(struct json_writer *w, struct engine *e, uint64_t profile)
{
    struct earliest x = {.len = 0};
    struct witness witness = {&x, keep_earliest};
    engine_explain(e, profile, &witness);
    x.note.text = (struct str){x.text, x.len};
    if (x.len > 0)
        why_json(w, engine_names(e), &x.note);
    else
        json_write_null(w);
}
