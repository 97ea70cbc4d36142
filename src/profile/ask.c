/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/ask_int.h"

#include "profile/clock.h"
#include "profile/consent.h"
#include "profile/feature.h"
#include "profile/stage.h"
#include "profile/traits.h"

static struct value meta_value(struct person *who, uint32_t meta)
{
    if (meta == META_EVENT_NAME)
        return who->event ? value_text(names_text(who->names, who->event->name)) : value_none();
    if (meta == META_PERSON_ID) {
        struct value id = traits_get(who, NAME_USER_ID, NULL);
        return id.type == VALUE_TEXT ? id : traits_get(who, NAME_ANONYMOUS_ID, NULL);
    }
    return value_none();
}

static struct value slot_value(const struct asker *a, uint32_t slot)
{
    struct arena *scratch = a->who->scratch;
    uint32_t name = SLOT_NAME(slot);
    switch (SLOT_SPACE(slot)) {
    case SLOT_EVENT: return a->who->event ? record_get(a->who->event, name, scratch) : value_none();
    case SLOT_ENTRY: {
        struct body body = {blob_at(a->who->space, a->entry), a->entry.bytes};
        return body_get(body, name, scratch);
    }
    case SLOT_TRAIT: return traits_get(a->who, name, scratch);
    case SLOT_META: return meta_value(a->who, name);
    case SLOT_ITEM: return body_get(a->item, name, scratch);
    }
    return value_none();
}

static void load(void *self, uint32_t slot, struct value *out, int64_t *until_ms)
{
    (void)until_ms;
    *out = slot_value(self, slot);
    if (unlikely(slot & SLOT_AS_NUMBER))
        feature_read_number(out);
}

/* Was the message sent (or, with `flags`, engaged with) within the window? */
static bool was_sent(const struct asker *a, const struct plan_binding *b, uint8_t flags,
                     int64_t *until_ms)
{
    bool is_found = false;
    int64_t last_ms = INT64_MIN;
    for (uint32_t i = 0; i < a->who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(a->who, i);
        bool counts = s->state == SENT_GHOST ? flags == 0 : (s->flags & SENT_ACCEPTED) != 0;
        if (s->message != b->name || !counts || (flags && !(s->flags & flags)))
            continue;
        if (b->window_ms && s->at_ms <= a->at_ms - b->window_ms)
            continue;
        is_found = true;
        last_ms = max_of(last_ms, s->at_ms);
    }
    if (is_found && b->window_ms)
        *until_ms = min_of(*until_ms, last_ms + b->window_ms);
    return is_found;
}

/* What is stored holds for the newest programme until its moment comes. Where an older programme asks,
 * or the desk looks ahead, the segment's own condition is asked instead. */
static bool is_in_segment(struct asker *a, const struct plan_binding *b, int64_t *until_ms)
{
    struct person *who = a->who;
    bool is_newest = a->plan == who->plan && who->profile->audience_plan == who->plans->newest;
    if (is_newest && who->refresh != NULL)
        who->refresh(who);
    const struct membership *m = person_membership_find(who, b->name);
    bool is_in = m != NULL && (m->flags & MEMBERSHIP_IS_IN);
    bool is_by_hand = m != NULL && (m->flags & (MEMBERSHIP_WAS_ADDED | MEMBERSHIP_WAS_REMOVED));
    int64_t since_ms = is_in ? m->since_ms : a->at_ms;
    *until_ms = m != NULL ? m->ask_ms : FOREVER_MS;
    if (!is_by_hand && (!is_newest || *until_ms <= a->at_ms)) {
        uint16_t index = plan_segment_find(a->plan, b->name);
        must(index != PLAN_NO_INDEX);
        const struct plan_segment *s = &a->plan->segments[index];
        struct asked asked = {.is_true = false, .until_ms = FOREVER_MS};
        if (s->when.code != NULL)
            asked = ask_at(who, a->plan, &s->when, (struct blob){0}, a->at_ms);
        is_in = asked.is_true;
        *until_ms = asked.until_ms;
        int64_t known_ms;
        if (who->membership_since != NULL && b->window_ms != 0 &&
            who->membership_since(who->membership_self, who, b->name, &known_ms))
            since_ms = min_of(known_ms, a->at_ms);
    }
    if (!is_in || b->window_ms == 0)
        return is_in;
    if (a->at_ms >= since_ms + b->window_ms)
        return true;
    *until_ms = min_of(*until_ms, since_ms + b->window_ms);
    return false;
}

static void call(void *self, uint32_t binding, const struct value *arguments, uint32_t count,
                 struct arena *scratch, struct value *out, int64_t *until_ms)
{
    struct asker *a = self;
    must(binding < a->plan->binding_count);
    const struct plan_binding *b = &a->plan->bindings[binding];
    switch ((enum binding_kind)b->kind) {
    case BINDING_DID:
    case BINDING_COUNT:
    case BINDING_IDLE:
    case BINDING_SINCE: /* the moment; the expression itself takes it from now */
    case BINDING_SUM:
    case BINDING_LEAST:
    case BINDING_MOST:
    case BINDING_AVERAGE:
    case BINDING_DISTINCT:
    case BINDING_FIRST:
    case BINDING_LAST:
    case BINDING_SEQUENCE: feature_ask(a, b, arguments, count, scratch, out, until_ms); return;
    case BINDING_STEP: break; /* its sequence asks it */
    case BINDING_SENT: *out = value_bool(was_sent(a, b, 0, until_ms)); return;
    case BINDING_ENGAGED:
        *out = value_bool(was_sent(a, b, SENT_OPENED | SENT_CLICKED, until_ms));
        return;
    case BINDING_CLICKED: *out = value_bool(was_sent(a, b, SENT_CLICKED, until_ms)); return;
    case BINDING_IN_JOURNEY:
        *out = value_bool(false);
        for (uint32_t i = 0; i < a->who->profile->instances.count; i++)
            if (person_instance(a->who, i)->journey == b->name &&
                person_instance(a->who, i)->state != INSTANCE_QUEUED)
                *out = value_bool(true);
        return;
    case BINDING_CONSENT:
        *out = value_bool(consent_ask(a->who, (enum channel)b->channel, NAME_MARKETING,
                                      NAME_NONE) == CONSENT_GIVEN);
        return;
    case BINDING_IN_SEGMENT: *out = value_bool(is_in_segment(a, b, until_ms)); return;
    case BINDING_OUTCOME: {
        struct body body = {blob_at(a->who->space, a->entry), a->entry.bytes};
        *out = value_text(body_get_text(body, b->name));
        return;
    }
    case BINDING_IN_STAGE: *out = value_bool(stage_of(a->who) == b->name); return;
    case BINDING_IN_CALENDAR: {
        struct window_answer days =
            clock_on_calendar(a->who, &a->plan->calendars[b->calendar], a->at_ms);
        *out = value_bool(days.is_inside);
        *until_ms = days.until_ms;
        return;
    }
    case BINDING_IN_HOURS: {
        struct window_answer hours = clock_open(a->who, &b->hours, a->at_ms);
        *out = value_bool(hours.is_inside);
        *until_ms = hours.until_ms;
        return;
    }
    case BINDING_BUCKET: *out = value_int(hash_chance(b->salt, a->who->id)); return;
    }
    *out = value_none();
}

bool ask_zone(const struct plan *plan, struct str zone, int64_t at_ms, int64_t *offset_ms,
              int64_t *from_ms, int64_t *until_ms)
{
    uint16_t index = zoneset_find(plan->zones, zone);
    if (index == ZONE_NONE)
        return false;
    struct zone_stretch s = zone_stretch(zoneset_zone(plan->zones, index), at_ms);
    *offset_ms = s.offset_ms;
    *from_ms = s.from_ms;
    *until_ms = s.until_ms;
    return true;
}

static bool zone_of(void *self, struct str zone, int64_t at_ms, int64_t *offset_ms,
                    int64_t *from_ms, int64_t *until_ms)
{
    const struct asker *a = self;
    return ask_zone(a->plan, zone, at_ms, offset_ms, from_ms, until_ms);
}

struct expr_host ask_host(struct asker *a)
{
    return (struct expr_host){
        .self = a, .now_ms = a->at_ms, .load = load, .call = call, .zone = zone_of};
}

struct asked ask_at(struct person *who, const struct plan *plan, const struct plan_expr *expr,
                    struct blob entry, int64_t at_ms)
{
    if (expr->code == NULL)
        return (struct asked){.is_true = true, .until_ms = FOREVER_MS};
    struct asker a = {.who = who, .plan = plan, .entry = entry, .at_ms = at_ms};
    struct expr_host host = ask_host(&a);
    struct expr_result result;
    expr_run(expr->code, &host, who->scratch, &result);
    return (struct asked){
        .is_true = expr_is_true(&result),
        .is_error = result.value.type != VALUE_BOOL,
        .until_ms = max_of(result.until_ms, at_ms + 1),
    };
}

struct asked ask(struct person *who, const struct plan *plan, const struct plan_expr *expr,
                 struct blob entry)
{
    return ask_at(who, plan, expr, entry, who->at_ms);
}

struct value ask_value_until(struct person *who, const struct plan *plan,
                             const struct plan_expr *expr, struct blob entry, int64_t *until_ms)
{
    struct asker a = {.who = who, .plan = plan, .entry = entry, .at_ms = who->at_ms};
    struct expr_host host = ask_host(&a);
    struct expr_result result;
    must(expr->code != NULL);
    expr_run(expr->code, &host, who->scratch, &result);
    *until_ms = max_of(result.until_ms, who->at_ms + 1);
    return result.value;
}

struct value ask_value(struct person *who, const struct plan *plan, const struct plan_expr *expr,
                       struct blob entry)
{
    int64_t until_ms;
    return ask_value_until(who, plan, expr, entry, &until_ms);
}

struct value ask_binding(struct person *who, const struct plan *plan, uint32_t binding,
                         const struct value *arguments, uint32_t count, int64_t at_ms,
                         int64_t *until_ms)
{
    struct asker a = {.who = who, .plan = plan, .at_ms = at_ms};
    struct value out = value_none();
    *until_ms = FOREVER_MS;
    call(&a, binding, arguments, count, who->scratch, &out, until_ms);
    return out;
}

struct value ask_slot(struct person *who, uint32_t slot, struct blob entry, uint32_t journey,
                      uint32_t message, uint64_t decision, uint32_t attempt)
{
    struct asker a = {.who = who, .plan = who->plan, .entry = entry, .at_ms = who->at_ms};
    if (SLOT_SPACE(slot) == SLOT_META) {
        switch ((enum slot_meta)SLOT_NAME(slot)) {
        case META_JOURNEY: return value_text(names_text(who->names, journey));
        case META_MESSAGE: return value_text(names_text(who->names, message));
        case META_ATTEMPT_ID: {
            char *text = arena_alloc(who->scratch, ATTEMPT_ID_BYTES);
            attempt_id_print(who->id, decision, attempt, text);
            return value_text(str_of(text));
        }
        case META_PERSON_ID:
        case META_EVENT_NAME:
        case META_VOUCHER: break; /* the grant fills it in */
        }
    }
    struct value out;
    int64_t until_ms = FOREVER_MS;
    load(&a, slot, &out, &until_ms);
    return out;
}

/* has_been(COND, "7d") stands in the compiled text as in_segment("$has_been:...", "7d"): as it was
 * written. A condition of ours is at most as long as its text, which is bounded, however nested. */
static struct str as_written(const struct person *who, const struct plan *plan, struct str text)
{
    const size_t before = sizeof("in_segment(\"") - 1;
    size_t at = str_find(text, STR("in_segment(\"$has_been:"), 0);
    if (at == SIZE_MAX)
        return text;
    struct str name = str_part(text, at + before, SIZE_MAX);
    size_t len = str_find(name, STR("\""), 0);
    if (len == SIZE_MAX)
        return text;
    struct str rest = as_written(who, plan, str_part(name, len + 1, SIZE_MAX));
    name = str_part(name, 0, len);
    for (uint32_t i = 0; i < plan->segment_count; i++)
        if (plan->segments[i].when.code &&
            str_equal(names_text(who->names, plan->segments[i].name), name))
            return arena_printf(
                who->scratch, "%.*shas_been(%.*s%.*s", STR_ARG(str_part(text, 0, at)),
                STR_ARG(
                    as_written(who, plan, str_trim(expr_part_text(plan->segments[i].when.code)))),
                STR_ARG(rest));
    return text;
}

/* The sentence about a condition, and if it has several false parts, the others behind it. */
struct str ask_explain(struct person *who, const struct plan *plan, const struct plan_expr *expr,
                       struct blob entry)
{
    struct asker a = {.who = who, .plan = plan, .entry = entry, .at_ms = who->at_ms};
    struct expr_host host = ask_host(&a);
    struct expr_explanation e;
    if (expr->code == NULL)
        return STR("always");
    expr_explain(expr->code, &host, who->scratch, &e);
    struct str text = expr_explanation_print(expr->code, &e, who->scratch);
    if (e.failing_count > 1)
        text = arena_printf(who->scratch, "%.*s; not true either: %.*s", STR_ARG(text),
                            STR_ARG(expr_failing_print(expr->code, &e, 1, who->scratch)));
    return as_written(who, plan, text);
}

struct failing ask_failing(struct person *who, const struct plan *plan,
                           const struct plan_expr *expr, struct blob entry)
{
    struct asker a = {.who = who, .plan = plan, .entry = entry, .at_ms = who->at_ms};
    struct expr_host host = ask_host(&a);
    struct expr_explanation e;
    if (expr->code == NULL)
        return (struct failing){0, STR("")};
    expr_explain(expr->code, &host, who->scratch, &e);
    return (struct failing){
        e.failing_count,
        as_written(who, plan, expr_failing_print(expr->code, &e, 0, who->scratch))};
}
