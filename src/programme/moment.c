/* moment.c - when a wait is over, as the keys of a wait or of one of its ways tell it:
 *
 *     for | date and offset | (neither)     what it is reckoned from
 *     at | from and to | between, on        what bends it
 *     zone, missing, past                   on whose clock, and what if there is no such moment
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "when/civil.h"
#include "when/zone.h"

struct moment_reader {
    struct compile *c;
    const struct yaml_file *yaml;
    const struct yaml_node *node;
    struct scope_target target;
    struct plan_moment *out;
    bool is_computed;
};

static const struct yaml_node *value_of(const struct moment_reader *r, const char *key)
{
    return shape_value(r->node, "for", key);
}

static void conflict(struct moment_reader *r, const char *key, const char *sentence)
{
    findings_add(r->c->findings, FINDING_CONFLICT, yaml_place(r->yaml, value_of(r, key)), "%s",
                 sentence);
}

/* ---- what it is reckoned from ---------------------------------------------------------------- */

/* An expression that gives a date or length; what it gives is looked at when it is asked. */
static void computed(struct moment_reader *r, const struct yaml_node *node, const char *what,
                     uint32_t kinds)
{
    r->is_computed = true;
    if (!scope_compile(r->c, r->yaml, node, r->target, &r->out->value)) {
        if (str_find(node->text, STR("now"), 0) != SIZE_MAX)
            finding_advise(r->c->findings, "so long from now is \"for\"");
        return;
    }
    const struct expr_type *type = expr_type_of(r->out->value.code);
    if (!(kinds >> type->kind & 1))
        findings_add(r->c->findings, FINDING_EXPRESSION, yaml_place(r->yaml, node),
                     "the expression must give %s, not %.*s", what,
                     STR_ARG(expr_type_print(&r->c->scratch, type)));
    if (value_of(r, "missing"))
        return;
    findings_add(r->c->findings, FINDING_MISSING_KEY, yaml_place(r->yaml, node),
                 "\"missing\" must say what to do where this gives no %s",
                 r->out->kind == MOMENT_DATE ? "date" : "length");
    finding_advise(
        r->c->findings,
        "missing: skip (no wait), exit (the instance ends), or stay (wait until it does)");
}

static void for_read(struct moment_reader *r, const struct yaml_node *node)
{
    const uint32_t kinds = 1 << EXPR_DYN | 1 << EXPR_DURATION | 1 << EXPR_TEXT;
    r->out->kind = MOMENT_AFTER;
    if (node->type == YAML_TEXT && span_parse(node->text, &r->out->span, NULL) == OK)
        return;
    computed(r, node, "a duration, or a text such as 3d", kinds);
}

static void date_read(struct moment_reader *r, const struct yaml_node *node)
{
    const uint32_t kinds = 1 << EXPR_DYN | 1 << EXPR_TIME | 1 << EXPR_TEXT | 1 << EXPR_INT |
                           1 << EXPR_UINT | 1 << EXPR_DOUBLE;
    const struct yaml_node *offset = value_of(r, "offset");
    struct timestamp date;
    r->out->kind = MOMENT_DATE;
    r->out->span = span_of_ms(0);
    if (offset && span_parse_signed(offset->text, &r->out->span, NULL) != OK)
        must(r->c->findings->error_count);
    if (timestamp_parse(str_trim(node->text), TIMESTAMP_LOOSE, &date, NULL) == OK) {
        r->out->date_ms = date.at_ms;
        r->out->is_wall = !date.has_offset;
        r->out->is_day = !date.has_time;
        return;
    }
    computed(r, node, "a date", kinds);
}

/* ---- what bends it --------------------------------------------------------------------------- */

static int32_t clock_of(const struct yaml_node *node)
{
    int32_t clock_ms = 0;
    if (node && !node->is_bad && clock_parse(node->text, &clock_ms, NULL) != OK)
        return 0;
    return clock_ms;
}

static uint8_t weekdays_of(const struct yaml_node *node)
{
    uint8_t days = WEEKDAYS_NONE;
    uint8_t some;
    for (uint32_t i = 0; i < shape_count(node); i++) {
        const struct yaml_node *item = shape_item(node, i);
        if (!item->is_bad && weekdays_parse(item->text, &some, NULL) == OK)
            days |= some;
    }
    return node ? days : WEEKDAYS_ALL;
}

static void hours_read(struct moment_reader *r, const struct yaml_node *from,
                       const struct yaml_node *to)
{
    int32_t from_ms = clock_of(from);
    int32_t to_ms = clock_of(to);
    r->out->has_window = true;
    if (from && to && !from->is_bad && !to->is_bad && from_ms % DAY_MS == to_ms % DAY_MS)
        findings_add(r->c->findings, FINDING_WRONG_VALUE, yaml_place(r->yaml, to),
                     "the hours begin and end at the same time");
    r->out->window = (struct window){
        .from_ms = (int32_t)(from_ms % DAY_MS), .to_ms = to_ms, .weekdays = r->out->weekdays};
}

static void between_read(struct moment_reader *r, const struct yaml_node *between)
{
    if (shape_count(between) != 2) {
        findings_add(r->c->findings, FINDING_WRONG_VALUE, yaml_place(r->yaml, between),
                     "\"between\" wants two times");
        finding_advise(r->c->findings, "between: ['08:00', '10:00']");
        return;
    }
    const struct yaml_node *first = shape_item(between, 0);
    const struct yaml_node *second = shape_item(between, 1);
    if (clock_of(first) > clock_of(second))
        hours_read(r, second, first);
    else
        hours_read(r, first, second);
}

/* True if there is anything. */
static bool bends_read(struct moment_reader *r)
{
    const struct yaml_node *at = value_of(r, "at");
    const struct yaml_node *from = value_of(r, "from");
    const struct yaml_node *to = value_of(r, "to");
    const struct yaml_node *between = value_of(r, "between");
    const struct yaml_node *on = value_of(r, "on");
    r->out->weekdays = weekdays_of(on);
    if (on && shape_count(on) == 0)
        findings_add(r->c->findings, FINDING_WRONG_VALUE, yaml_place(r->yaml, on),
                     "\"on\" names no weekday");
    if (at && (from || to || between))
        conflict(r,
                 from ? "from"
                 : to ? "to"
                      : "between",
                 "\"at\" is one time of the day; hours beside it mean nothing");
    else if (between && (from || to))
        conflict(r, from ? "from" : "to", "\"between\" says what \"from\" and \"to\" say");
    else if (from && !to)
        conflict(r, "from", "\"from\" means nothing without \"to\"");
    else if (to && !from)
        conflict(r, "to", "\"to\" means nothing without \"from\"");
    if (at) {
        r->out->clock_ms = clock_of(at);
        if (r->out->clock_ms == DAY_MS)
            conflict(r, "at", "24:00 is the end of a day; write 00:00");
        r->out->clock_ms %= DAY_MS;
    } else if (between) {
        between_read(r, between);
    } else if (from && to) {
        hours_read(r, from, to);
    } else if (on) {
        r->out->has_window = true;
        r->out->window =
            (struct window){.from_ms = 0, .to_ms = DAY_MS, .weekdays = r->out->weekdays};
    }
    return at || between || (from && to) || on;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static uint8_t policy_of(const struct yaml_node *node)
{
    struct str word = shape_text(node, STR("skip"));
    return str_is(word, "exit") ? MOMENT_EXIT : str_is(word, "stay") ? MOMENT_STAY : MOMENT_SKIP;
}

static void zone_read(struct moment_reader *r)
{
    const struct yaml_node *node = value_of(r, "zone");
    if (!node || str_is(node->text, "person"))
        return;
    if (str_is(node->text, "programme")) {
        r->out->zone = r->c->plan->zone;
        return;
    }
    r->out->zone = zoneset_find(r->c->plan->zones, node->text);
    if (r->out->zone != ZONE_NONE)
        return;
    findings_add(r->c->findings, FINDING_UNKNOWN_NAME, yaml_place(r->yaml, node),
                 "there is no time zone \"%.*s\"", STR_ARG(node->text));
    struct str near = zoneset_nearest(r->c->plan->zones, node->text);
    if (near.len)
        finding_advise(r->c->findings, "did you mean %.*s?", STR_ARG(near));
}

/* Keys that mean nothing as things are. */
static void idle_look(struct moment_reader *r)
{
    if (r->out->kind != MOMENT_DATE) {
        if (value_of(r, "offset"))
            conflict(r, "offset", "\"offset\" means nothing without \"date\"");
        if (value_of(r, "past"))
            conflict(r, "past", "\"past\" means nothing without \"date\"");
    }
    if (value_of(r, "missing") && !r->is_computed)
        conflict(r, "missing", "\"missing\" means nothing here: the moment is written out");
    if (value_of(r, "zone") && r->out->kind == MOMENT_NONE)
        conflict(r, "zone", "\"zone\" means nothing without a clock, a weekday or a date");
}

void moment_compile(struct compile *c, const struct yaml_file *yaml, const struct yaml_node *node,
                    struct scope_target target, enum moment_source source, struct plan_moment *out)
{
    struct moment_reader r = {c, yaml, node, target, out, false};
    _Static_assert(PLAN_NO_INDEX == ZONE_NONE, "no zone of its own");
    *out = (struct plan_moment){.zone = PLAN_NO_INDEX,
                                .clock_ms = MOMENT_NO_CLOCK,
                                .weekdays = WEEKDAYS_ALL,
                                .value.text = STR("")};
    r.target.wanted = EXPR_WANT_ANY;
    const struct yaml_node *length = value_of(&r, "for");
    const struct yaml_node *date = value_of(&r, "date");
    if (source == MOMENT_OF_FOR) {
        if (length)
            for_read(&r, length);
        return;
    }
    out->missing = policy_of(value_of(&r, "missing"));
    out->past = policy_of(value_of(&r, "past"));
    if (length && date && source == MOMENT_OF_ALL)
        conflict(&r, "for", "\"for\" and \"date\" are two moments");
    if (date)
        date_read(&r, date);
    else if (length && source == MOMENT_OF_ALL)
        for_read(&r, length);
    if (bends_read(&r) && out->kind == MOMENT_NONE)
        out->kind = MOMENT_NEXT;
    zone_read(&r);
    idle_look(&r);
}

bool moment_is_plain(const struct plan_moment *m)
{
    bool is_written = m->kind == MOMENT_AFTER && m->value.text.len == 0;
    bool is_bent = m->clock_ms != MOMENT_NO_CLOCK || m->has_window || m->zone != PLAN_NO_INDEX;
    return is_written && !is_bent && (m->span.kind == SPAN_FIXED || m->span.unit != SPAN_MONTH);
}
