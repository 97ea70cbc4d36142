/* enter.c - ways into a journey that are more than an event of the person's own: schedules, dates,
 * business events, the API, and events that are collected.
 *
 * A `when` stands beside each and is compiled by journey.c; here is what the ways have of their own.
 * Dates and schedules are on the wall of a zone: the person's (an appointment for each) unless `zone`
 * says otherwise (a sweep over all at one moment).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "when/recur.h"
#include "when/span.h"
#include "when/zone.h"

#include <stdio.h>

#define CLOCK_STANDARD_MS (9 * HOUR_MS)
#define FIRST_MONDAY_MS   (11323 * DAY_MS) /* 2001-01-01: from where rules count that do not say */

struct ways {
    struct compile *c;
    const struct yaml_file *yaml;
    const struct yaml_node *node; /* enter, or one of enter.any */
    uint16_t journey;
    struct plan_way *list;
    uint32_t *count;
    struct plan_way spare; /* takes what there is no room for, or what is wrong */
};

static struct plan_way *way_add(struct ways *w, enum way_kind kind, uint32_t event)
{
    struct plan_way *way = &w->spare;
    if (*w->count == PLAN_WAYS_MAX)
        findings_add(w->c->findings, FINDING_TOO_MANY, yaml_place(w->yaml, w->node),
                     "a journey has at most %d ways in", PLAN_WAYS_MAX);
    else
        way = &w->list[(*w->count)++];
    *way = (struct plan_way){.kind = (uint8_t)kind,
                             .journey = w->journey,
                             .number = (uint16_t)(way == &w->spare ? 0 : *w->count - 1),
                             .event = event,
                             .zone = w->c->plan->zone,
                             .people = {.text = STR("")},
                             .clock_ms = -1};
    return way;
}

static void conflict(struct ways *w, const struct yaml_node *node, const char *text)
{
    findings_add(w->c->findings, FINDING_CONFLICT, yaml_place(w->yaml, node), "%s", text);
}

/* ---- pace -------------------------------------------------------------------------------------- */

bool pace_parse(struct str text, struct plan_pace *out)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"s", SECOND_MS}, {"min", MINUTE_MS}, {"m", MINUTE_MS},
                 {"h", HOUR_MS},   {"d", DAY_MS},      {"day", DAY_MS}};
    size_t slash = str_find(text, STR("/"), 0);
    int64_t count;
    if (slash == SIZE_MAX || !str_to_int(str_trim(str_part(text, 0, slash)), &count) || count < 1 ||
        count > 1000000000)
        return false;
    struct str unit = str_trim(str_part(text, slash + 1, SIZE_MAX));
    for (size_t i = 0; i < array_count(units); i++) {
        if (!str_is(unit, units[i].unit))
            continue;
        *out = (struct plan_pace){(uint32_t)count, units[i].ms};
        return true;
    }
    return false;
}

static void pace_read(struct ways *w, struct plan_way *way)
{
    const struct yaml_node *node = shape_value(w->node, "event", "pace");
    if (!node || node->is_bad)
        return;
    if (!pace_parse(node->text, &way->pace)) {
        findings_add(w->c->findings, FINDING_WRONG_VALUE, yaml_place(w->yaml, node),
                     "\"pace\" wants a number in a time, 50000/h, not \"%.*s\"",
                     STR_ARG(str_part(node->text, 0, 60)));
        finding_advise(w->c->findings, "the time is s, min, h or d");
    } else if (way->is_personal) {
        conflict(w, node, "people's own clocks cannot be paced: say zone: programme");
    }
}

/* ---- times ------------------------------------------------------------------------------------- */

/* The zone of a schedule or date: the person's unless it says another. */
static void zone_read(struct ways *w, const struct yaml_node *node, struct plan_way *way)
{
    way->is_personal = !node || str_is(node->text, "person");
    if (way->is_personal || node->is_bad || str_is(node->text, "programme"))
        return;
    uint16_t zone = zoneset_find(w->c->plan->zones, node->text);
    if (zone != ZONE_NONE) {
        way->zone = zone;
        return;
    }
    findings_add(w->c->findings, FINDING_UNKNOWN_NAME, yaml_place(w->yaml, node),
                 "\"zone\" wants person, programme or a zone, not \"%.*s\"",
                 STR_ARG(str_part(node->text, 0, 60)));
    struct str near = zoneset_nearest(w->c->plan->zones, node->text);
    if (near.len)
        finding_advise(w->c->findings, "did you mean %.*s?", STR_ARG(near));
}

static bool moment_read(struct ways *w, const struct yaml_node *node, struct timestamp *out)
{
    struct fault f = {0};
    if (!node || node->is_bad)
        return false;
    if (timestamp_parse(node->text, TIMESTAMP_LOOSE, out, &f) == OK)
        return true;
    findings_add(w->c->findings, FINDING_WRONG_VALUE, yaml_place(w->yaml, node), "%s", f.text);
    return false;
}

/* `at: '09:00'`; -1 if it is not said. */
static int32_t clock_read(const struct yaml_node *node)
{
    int32_t clock_ms;
    if (!node || node->is_bad || clock_parse(node->text, &clock_ms, NULL) != OK ||
        clock_ms == DAY_MS)
        return -1;
    return clock_ms;
}

/* ---- schedules --------------------------------------------------------------------------------- */

static void once_read(struct ways *w, const struct yaml_node *schedule,
                      const struct yaml_node *node, struct plan_way *way)
{
    static const char *const others[] = {"from", "until"};
    const struct yaml_node *at = shape_value(schedule, "every", "at");
    struct timestamp when;
    for (size_t i = 0; i < array_count(others); i++) {
        const struct yaml_node *other = shape_value(schedule, "every", others[i]);
        if (other && schedule->type == YAML_MAP)
            conflict(w, other, "what comes once neither begins nor ends: leave this out");
    }
    if (!moment_read(w, node, &when))
        return;
    if (at && when.has_time)
        conflict(w, at, "the time of the day stands here twice");
    int32_t clock_ms = at ? clock_read(at) : CLOCK_STANDARD_MS;
    way->start_ms = when.has_time ? when.at_ms : when.at_ms + max_of(clock_ms, 0);
    if (when.has_offset) {
        way->is_instant = true;
        way->is_personal = false;
    }
}

static void rule_read(struct ways *w, const struct yaml_node *schedule,
                      const struct yaml_node *node, struct plan_way *way)
{
    struct compile *c = w->c;
    struct recur *rule = arena_new(c->arena, struct recur);
    struct fault f = {0};
    struct timestamp when;
    const struct yaml_node *at = shape_value(schedule, "every", "at");
    const struct yaml_node *from = shape_value(schedule, "every", "from");
    const struct yaml_node *until = shape_value(schedule, "every", "until");
    int32_t said_ms = -1;
    if (schedule->type != YAML_MAP)
        at = from = until = NULL;
    bool is_rule = str_starts(node->text, STR("FREQ=")) || str_starts(node->text, STR("RRULE:"));
    enum status status = is_rule ? recur_parse(node->text, rule, &f)
                                 : recur_words_parse(node->text, rule, &said_ms, &f);
    if (status != OK) {
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(w->yaml, node), "%s", f.text);
        return;
    }
    way->rule = rule;
    if (rule->unit == RECUR_SECONDLY || rule->seconds & ~UINT64_C(1))
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(w->yaml, node),
                     "a schedule comes once a minute at most, at its beginning");
    int64_t start_ms = FIRST_MONDAY_MS;
    bool has_from = moment_read(w, from, &when);
    if (has_from)
        start_ms = when.at_ms;
    else if (!from && (rule->interval > 1 || rule->count) && rule->unit > RECUR_HOURLY) {
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(w->yaml, node),
                     "\"%.*s\" does not say from when it counts", STR_ARG(node->text));
        finding_advise(c->findings, "say the first day: from: 2026-03-02");
    }
    if (at && said_ms >= 0)
        conflict(w, at, "the time of the day stands here twice");
    int32_t clock_ms = at ? clock_read(at) : said_ms;
    if (clock_ms < 0 && !(has_from && when.has_time) && rule->unit > RECUR_HOURLY)
        clock_ms = CLOCK_STANDARD_MS;
    if (clock_ms >= 0)
        start_ms = floor_div(start_ms, DAY_MS) * DAY_MS + clock_ms;
    way->start_ms = start_ms;
    if (until && rule->until_kind != RECUR_UNTIL_NONE)
        conflict(w, until, "the rule has an UNTIL already");
    if (moment_read(w, until, &when)) {
        rule->until_kind = when.has_offset ? RECUR_UNTIL_UTC : RECUR_UNTIL_WALL;
        rule->until_ms = when.has_time ? when.at_ms : when.at_ms + DAY_MS - SECOND_MS;
    }
    struct recur_walk walk;
    int64_t first_ms;
    recur_walk_init(&walk, rule, (struct recur_start){.wall_ms = way->start_ms});
    if (!recur_walk_next(&walk, &first_ms)) {
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(w->yaml, node),
                     "\"%.*s\" never comes", STR_ARG(str_part(node->text, 0, 80)));
        finding_advise(c->findings, until ? "it ends before it begins: look at from and until"
                                          : "no day of any year is like that");
    }
}

/* "2026-03-02" and "2026-03-02T09:00" where words may stand too. */
static bool is_moment(struct str text)
{
    struct timestamp when;
    return timestamp_parse(text, TIMESTAMP_LOOSE, &when, NULL) == OK;
}

static void schedule_read(struct ways *w, const struct yaml_node *node)
{
    struct plan_way *way = way_add(w, WAY_SCHEDULE, NAME_SCHEDULE);
    const struct yaml_node *every = shape_value(node, "every", "every");
    const struct yaml_node *on = node->type == YAML_MAP ? shape_value(node, "every", "on") : NULL;
    zone_read(w, node->type == YAML_MAP ? shape_value(node, "every", "zone") : NULL, way);
    if (node->is_bad)
        return;
    if (every && on)
        conflict(w, on, "\"every\" and \"on\" stand together");
    else if (!every && !on) {
        findings_add(w->c->findings, FINDING_MISSING_KEY, yaml_place(w->yaml, node),
                     "the schedule does not say when");
        finding_advise(w->c->findings, "every: 'monday at 09:00' or on: 2026-03-02T09:00");
    } else if (on && !on->is_bad)
        once_read(w, node, on, way);
    else if (every && !every->is_bad && every->type == YAML_TEXT && is_moment(every->text))
        once_read(w, node, every, way);
    else if (every && !every->is_bad)
        rule_read(w, node, every, way);
    pace_read(w, way);
}

/* ---- dates ------------------------------------------------------------------------------------- */

static bool date_offset(struct ways *w, const struct yaml_node *node, struct str text,
                        struct span *out)
{
    struct fault f = {0};
    char joined[SPAN_BYTES];
    *out = span_of_ms(0);
    if (text.len == 0)
        return true;
    char sign = text.at[0];
    struct str rest = str_trim(str_part(text, 1, text.len));
    if ((sign != '-' && sign != '+') || rest.len == 0 || rest.len + 2 > sizeof(joined)) {
        findings_add(w->c->findings, FINDING_WRONG_VALUE, yaml_place(w->yaml, node),
                     "\"%.*s\" is no date", STR_ARG(str_part(node->text, 0, 80)));
        finding_advise(w->c->findings, "write a trait, and how far from it: 'renewal_date - 30d'");
        return false;
    }
    int len = snprintf(joined, sizeof(joined), "%c%.*s", sign, STR_ARG(rest));
    if (span_parse_signed((struct str){joined, (size_t)len}, out, &f) == OK)
        return true;
    findings_add(w->c->findings, FINDING_WRONG_VALUE, yaml_place(w->yaml, node), "%s", f.text);
    return false;
}

static const struct plan_trait *date_trait(struct ways *w, const struct yaml_node *node,
                                           struct str name)
{
    struct compile *c = w->c;
    uint32_t id = names_find(c->names, name);
    const struct plan_trait *trait = id ? plan_trait_find(c->plan, id) : NULL;
    if (trait && (trait->type == VALUE_TEXT || trait->type == VALUE_TIME))
        return trait;
    if (trait) {
        findings_add(c->findings, FINDING_WRONG_TYPE, yaml_place(w->yaml, node),
                     "the trait \"%.*s\" is of type %s: a date is a time, or a string such as "
                     "1990-05-17",
                     STR_ARG(name), value_type_name((enum value_type)trait->type));
        return NULL;
    }
    struct str *known = arena_array(&c->scratch, struct str, c->plan->trait_count);
    for (uint32_t i = 0; i < c->plan->trait_count; i++)
        known[i] = names_text(c->names, c->plan->traits[i].name);
    struct str near = str_nearest(name, known, c->plan->trait_count);
    findings_add(c->findings, FINDING_UNKNOWN_NAME, yaml_place(w->yaml, node),
                 "there is no trait \"%.*s\"", STR_ARG(str_part(name, 0, 100)));
    if (near.len)
        finding_advise(c->findings, "did you mean \"%.*s\"?", STR_ARG(near));
    return NULL;
}

static void date_read(struct ways *w, const struct yaml_node *node)
{
    struct plan_way *way = way_add(w, WAY_DATE, NAME_DATE);
    const struct yaml_node *of = shape_value(node, "of", "of");
    bool is_map = node->type == YAML_MAP;
    const struct yaml_node *at = is_map ? shape_value(node, "of", "at") : NULL;
    const struct yaml_node *day_29 = is_map ? shape_value(node, "of", "feb_29") : NULL;
    zone_read(w, is_map ? shape_value(node, "of", "zone") : NULL, way);
    way->is_yearly = is_map && shape_value(node, "of", "every") != NULL;
    way->clock_ms = clock_read(at);
    struct str word = shape_text(day_29, STR("feb_28"));
    way->day_29 = str_is(word, "mar_1")  ? DAY_29_MAR_1
                  : str_is(word, "skip") ? DAY_29_SKIP
                                         : DAY_29_FEB_28;
    if (day_29 && !way->is_yearly)
        conflict(w, day_29, "\"feb_29\" means nothing without \"every: year\"");
    if (!of || of->is_bad || of->type != YAML_TEXT)
        return;
    struct str text = str_trim(of->text);
    size_t end = min_of(str_find(text, STR(" "), 0), text.len);
    struct str name = str_part(text, 0, end);
    if (str_starts(name, STR("traits.")))
        name = str_part(name, 7, name.len);
    const struct plan_trait *trait = date_trait(w, of, name);
    if (trait)
        way->trait = trait->name;
    if (date_offset(w, of, str_trim(str_part(text, end, text.len)), &way->offset) && at &&
        way->offset.kind == SPAN_FIXED && way->offset.ms % DAY_MS != 0)
        conflict(w, at, "a time of the day beside hours: count the offset in whole days");
    const struct yaml_node *pace = shape_value(w->node, "event", "pace");
    if (pace && !shape_value(w->node, "event", "schedule") &&
        !shape_value(w->node, "event", "business_event"))
        conflict(w, pace, "dates of people's own cannot be paced");
}

/* ---- events that are nobody's, or many ----------------------------------------------------------- */

static void collect_read(struct ways *w, const struct yaml_node *node, struct plan_way *way)
{
    way->collect_ms = shape_span_ms(shape_value(node, "for", "for"), 0);
    way->collect_max =
        node->type == YAML_MAP ? (uint32_t)shape_int(shape_value(node, "for", "max"), 20) : 20;
    if (way->collect_ms <= 0 && !node->is_bad && shape_value(node, "for", "for"))
        findings_add(w->c->findings, FINDING_WRONG_VALUE, yaml_place(w->yaml, node),
                     "nothing can be collected in no time");
}

/* ---- selectors that an index answers ------------------------------------------------------------- */

/* A look at the text of `people`: is it `A && did("E", "14d", e, e.sku == event.sku) && B`? Strict: what is
 * written in any other way is answered by a look at everybody. */
struct scan {
    struct str text;
    size_t at;
};

static void scan_space(struct scan *s)
{
    while (s->at < s->text.len && (s->text.at[s->at] == ' ' || s->text.at[s->at] == '\n'))
        s->at++;
}

static bool scan_take(struct scan *s, const char *mark)
{
    scan_space(s);
    if (!str_starts(str_part(s->text, s->at, s->text.len), str_of(mark)))
        return false;
    s->at += strlen(mark);
    return true;
}

static bool scan_text(struct scan *s, struct str *out)
{
    scan_space(s);
    char quote = s->at < s->text.len ? s->text.at[s->at] : 0;
    if (quote != '"' && quote != '\'')
        return false;
    size_t end = s->at + 1;
    while (end < s->text.len && s->text.at[end] != quote && s->text.at[end] != '\\')
        end++;
    if (end >= s->text.len || s->text.at[end] != quote)
        return false;
    *out = str_part(s->text, s->at + 1, end - s->at - 1);
    s->at = end + 1;
    return out->len > 0;
}

static bool scan_path(struct scan *s, struct str *out)
{
    scan_space(s);
    size_t start = s->at;
    while (s->at < s->text.len) {
        char c = s->text.at[s->at];
        bool is_path = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '.';
        if (!is_path)
            break;
        s->at++;
    }
    *out = str_part(s->text, start, s->at - start);
    return out->len > 0;
}

static bool below(struct str path, struct str root, struct str *property)
{
    if (path.len < root.len + 2 || !str_starts(path, root) || path.at[root.len] != '.')
        return false;
    *property = str_part(path, root.len + 1, path.len);
    return true;
}

/* did("E", "14d", e, e.P == event.Q), and nothing else. */
static bool clause_read(struct compile *c, struct str text, struct plan_way *way)
{
    struct scan s = {str_trim(text), 0};
    struct str event, window, item, left, right, by, value;
    struct span span;
    if (!scan_take(&s, "did") || !scan_take(&s, "(") || !scan_text(&s, &event) ||
        !scan_take(&s, ",") || !scan_text(&s, &window) || !scan_take(&s, ",") ||
        !scan_path(&s, &item) || !scan_take(&s, ",") || !scan_path(&s, &left) ||
        !scan_take(&s, "==") || !scan_path(&s, &right) || !scan_take(&s, ")"))
        return false;
    scan_space(&s);
    bool is_fine = (below(left, item, &by) && below(right, STR("event"), &value)) ||
                   (below(right, item, &by) && below(left, STR("event"), &value));
    if (!is_fine || s.at != s.text.len || str_find(event, STR("*"), 0) != SIZE_MAX ||
        span_parse(window, &span, NULL) != OK || span.kind != SPAN_FIXED || span.ms <= 0)
        return false;
    way->selects_event = build_name(c, event);
    way->selects_by = build_name(c, by);
    way->selects_value = build_name(c, value);
    if (way->selects_event && way->selects_by && way->selects_value)
        way->selects_ms = span.ms;
    return way->selects_ms != 0;
}

/* Finds such a clause among those that && joins; an || or ?: on the same level makes it one of several. */
static void selector_read(struct compile *c, struct str text, struct plan_way *way)
{
    size_t start = 0;
    int depth = 0;
    char quote = 0;
    struct plan_way found = *way;
    for (size_t i = 0; i <= text.len; i++) {
        char at = i < text.len ? text.at[i] : 0;
        char next = i + 1 < text.len ? text.at[i + 1] : 0;
        if (quote != 0) {
            if (at == '\\' || at == '\n')
                return; /* not so simple */
            quote = at == quote ? 0 : quote;
        } else if (at == '"' || at == '\'') {
            quote = at;
        } else if (at == '(' || at == '[' || at == '{') {
            depth++;
        } else if (at == ')' || at == ']' || at == '}') {
            depth--;
        } else if ((at == '|' && next == '|') || at == '?' || (at == '/' && next == '/')) {
            if (depth == 0 || at == '/')
                return;
        } else if (depth == 0 && ((at == '&' && next == '&') || i == text.len)) {
            if (found.selects_ms == 0)
                (void)clause_read(c, str_part(text, start, i - start), &found);
            start = i + 2;
        }
    }
    *way = found;
}

/* People for whom nothing has to be looked up, one after the other. */
static void selector_say(struct ways *w, const struct yaml_node *people, const struct plan_way *way)
{
    if (way->selects_ms != 0 || str_is(str_trim(people->text), "true"))
        return;
    findings_add(w->c->findings, FINDING_NO_INDEX, yaml_place(w->yaml, people),
                 "no index answers \"people\": everybody is looked at for each such event");
    finding_advise(
        w->c->findings,
        "an index answers did(\"Product Viewed\", \"14d\", e, e.sku == event.sku), alone or "
        "with more behind &&");
}

static void business_read(struct ways *w, const struct yaml_node *events,
                          const struct yaml_node *collect)
{
    struct compile *c = w->c;
    const struct yaml_node *people = shape_value(w->node, "event", "people");
    struct plan_expr who;
    struct scope_target target = {.flags = SCOPE_EVENT | SCOPE_ONCE, .wanted = EXPR_WANT_BOOL};
    if (!people && !yaml_find_key(w->node, "people")) {
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(w->yaml, events),
                     "a business event is nobody's: \"people\" says whom it concerns");
        finding_advise(c->findings,
                       "people: 'did(\"Product Viewed\", \"14d\")', or 'true' for all");
    }
    bool is_fine = scope_compile(c, w->yaml, people, target, &who) && people != NULL;
    bool is_said = false;
    for (uint32_t i = 0; i < shape_count(events); i++) {
        const struct yaml_node *event = shape_item(events, i);
        uint32_t name =
            event->is_bad || event->type != YAML_TEXT ? NAME_NONE : build_name(c, event->text);
        if (name == NAME_NONE)
            continue;
        struct plan_way *way = way_add(w, WAY_BUSINESS, name);
        way->people = who;
        if (is_fine && people->type == YAML_TEXT)
            selector_read(c, people->text, way);
        if (is_fine && !is_said)
            selector_say(w, people, way);
        is_said = true;
        pace_read(w, way);
        if (collect)
            collect_read(w, collect, way);
    }
}

/* ---- all of one node ---------------------------------------------------------------------------- */

const struct plan_way *ways_compile(struct compile *c, const struct yaml_file *yaml,
                                    const struct yaml_node *node, uint16_t journey,
                                    struct plan_way *list, uint32_t *count)
{
    struct ways w = {
        .c = c, .yaml = yaml, .node = node, .journey = journey, .list = list, .count = count};
    const struct plan_way *own = NULL;
    if (node->type != YAML_MAP || node->is_bad)
        return NULL;
    const struct yaml_node *event = shape_value(node, "event", "event");
    const struct yaml_node *schedule = shape_value(node, "event", "schedule");
    const struct yaml_node *date = shape_value(node, "event", "date");
    const struct yaml_node *business = shape_value(node, "event", "business_event");
    const struct yaml_node *collect = shape_value(node, "event", "collect");
    static const char *const of_business[] = {"people"};
    if (event && collect) {
        struct plan_way *way = way_add(&w, WAY_EVENT, NAME_NONE);
        collect_read(&w, collect, way);
        own = way == &w.spare ? NULL : way;
    }
    if (schedule)
        schedule_read(&w, schedule);
    if (date)
        date_read(&w, date);
    if (business)
        business_read(&w, business, collect);
    if (shape_bool(shape_value(node, "event", "api"), false))
        way_add(&w, WAY_API, NAME_API);
    if (shape_bool(shape_value(node, "event", "handoff"), false))
        way_add(&w, WAY_HANDOFF, NAME_HANDOFF);
    if (shape_bool(shape_value(node, "event", "run"), false))
        way_add(&w, WAY_RUN, NAME_RUN);
    for (size_t i = 0; i < array_count(of_business) && !business; i++) {
        const struct yaml_node *key = yaml_find_key(node, of_business[i]);
        if (key)
            conflict(&w, key, "\"people\" means nothing without \"business_event\"");
    }
    if (collect && !event && !business)
        conflict(&w, collect, "only events can be collected");
    const struct yaml_node *pace = shape_value(node, "event", "pace");
    if (pace && !schedule && !business && !date)
        conflict(&w, pace, "only schedules and business events can be paced");
    return own;
}

/* Everybody has their own of these: a date, or a schedule on the clock of the person's zone. */
static bool is_appointment(const struct plan_way *way)
{
    return way->kind == WAY_DATE || (way->kind == WAY_SCHEDULE && way->is_personal);
}

void way_add_existing(struct compile *c, const struct yaml_file *yaml, const struct yaml_node *node,
                      uint16_t journey, struct plan_way *list, uint32_t *count, uint32_t event,
                      struct plan_expr people, struct plan_pace pace)
{
    struct ways w = {
        .c = c, .yaml = yaml, .node = node, .journey = journey, .list = list, .count = count};
    struct plan_way *way = way_add(&w, WAY_EXISTING, event);
    way->people = people;
    way->pace = pace;
}

void ways_store(struct compile *c)
{
    struct plan *plan = c->plan;
    const struct plan_way **all = arena_array(c->arena, const struct plan_way *, PLAN_PERSONAL_MAX);
    for (uint32_t i = 0; i < plan->journey_count; i++) {
        for (uint32_t k = 0; k < plan->journeys[i].way_count; k++) {
            const struct plan_way *way = &plan->journeys[i].ways[k];
            if (!is_appointment(way))
                continue;
            if (plan->appointment_count == PLAN_PERSONAL_MAX) {
                findings_add(
                    c->findings, FINDING_TOO_MANY,
                    (struct place){c->journey_infos[i].file->yaml.path, 0, 0},
                    "a programme has at most %d dates and schedules on people's own clocks",
                    PLAN_PERSONAL_MAX);
                return;
            }
            all[plan->appointment_count++] = way;
            if (way->kind == WAY_DATE)
                plan->appointment_wake |= plan_wake_bit(way->trait);
            if (way->is_personal)
                plan->appointment_wake |= plan_wake_bit(NAME_TIMEZONE);
        }
    }
    plan->appointments = all;
}
