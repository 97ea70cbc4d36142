/* monitor.c - `monitors` of programme.yaml: what is watched of what comes in and goes out, where it is wrong,
 * and what happens then.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "base/hash.h"

#define OVER_LEAST_MS  MINUTE_MS
#define OVER_MOST_MS   (90 * DAY_MS)
#define AT_LEAST       100
#define MILLION        1000000
#define COUNT_MOST     INT64_C(1000000000000)
#define FRACTION_PLACE 4 /* digits behind the point of a percentage */

static const struct yaml_file *file_of(const struct compile *c)
{
    return &c->settings->yaml;
}

static void refuse(struct compile *c, enum finding_code code, const struct yaml_node *at,
                   const char *says)
{
    findings_add(c->findings, code, yaml_place(file_of(c), at), "%s", says);
}

/* ---- the limit ------------------------------------------------------------------------------------ */

/* "0.5%": millionths; without the sign: a number. False: neither. */
static bool limit_parse(struct str text, bool *is_share, int64_t *out)
{
    text = str_trim(text);
    *is_share = text.len > 0 && text.at[text.len - 1] == '%';
    if (!*is_share)
        return str_to_int(text, out) && *out >= 0 && *out <= COUNT_MOST;
    struct str number = str_trim(str_part(text, 0, text.len - 1));
    size_t point = str_find(number, STR("."), 0);
    struct str whole = str_part(number, 0, point), rest = STR("");
    if (point != SIZE_MAX)
        rest = str_part(number, point + 1, SIZE_MAX);
    int64_t high, low = 0, unit = MILLION / 100;
    if (!str_to_int(whole, &high) || high < 0 || high > 100000)
        return false;
    if (point != SIZE_MAX && (rest.len == 0 || rest.len > FRACTION_PLACE || rest.at[0] == '-' ||
                              rest.at[0] == '+' || !str_to_int(rest, &low)))
        return false;
    for (size_t i = rest.len; i < FRACTION_PLACE; i++)
        low *= 10;
    *out = high * unit + low;
    return true;
}

static void limit_read(struct compile *c, const struct yaml_node *node, struct plan_monitor *m)
{
    const struct yaml_node *above = shape_value(node, "", "above");
    const struct yaml_node *below = shape_value(node, "", "below");
    const struct yaml_node *limit = above ? above : below;
    bool is_share, is_of_events = watch_term((enum watch)m->watch)->measure == WATCH_BY_SHARE;
    if ((above != NULL) == (below != NULL)) {
        refuse(c, above ? FINDING_CONFLICT : FINDING_MISSING_KEY, node,
               "a monitor says above or below which limit it is raised");
        return;
    }
    m->is_below = below != NULL;
    if (limit->is_bad)
        return;
    if (!limit_parse(limit->text, &is_share, &m->limit)) {
        refuse(c, FINDING_WRONG_VALUE, limit, "the limit is a share or a number, 0.5% or 200");
    } else if (m->against_ms > 0 && !is_share) {
        refuse(c, FINDING_WRONG_VALUE, limit,
               "with \"against\" the limit is a share of what it was before: 70%");
    } else if (m->against_ms == 0 && is_of_events && !is_share) {
        refuse(c, FINDING_WRONG_VALUE, limit, "this watches a share: the limit is one too, 0.5%");
    } else if (m->against_ms == 0 && !is_of_events && is_share) {
        refuse(c, FINDING_WRONG_VALUE, limit,
               "this watches a number: the limit is one too, or a share with \"against\"");
    }
}

/* ---- what is watched ------------------------------------------------------------------------------ */

/* Keys that do not belong to what is watched. */
static void narrow_look(struct compile *c, const struct yaml_node *node, enum watch watch)
{
    static const struct {
        const char *key;
        bool of[3]; /* by enum watch_about */
    } keys[] = {
        {"event", {true, false, false}},   {"source", {true, false, false}},
        {"channel", {false, true, false}}, {"category", {false, true, false}},
        {"message", {false, true, false}}, {"journey", {false, true, true}},
    };
    const struct watch_term *term = watch_term(watch);
    for (size_t i = 0; i < array_count(keys); i++) {
        const struct yaml_node *value = shape_value(node, "", keys[i].key);
        if (value && !keys[i].of[term->about])
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(file_of(c), value),
                         "\"%s\" does not narrow \"%.*s\", which watches %s", keys[i].key,
                         STR_ARG(term->name),
                         term->about == WATCH_ABOUT_EVENTS     ? "events"
                         : term->about == WATCH_ABOUT_MESSAGES ? "messages"
                                                               : "entries of journeys");
    }
}

static enum value_type type_of(struct str word)
{
    if (str_is(word, "string"))
        return VALUE_TEXT;
    if (str_is(word, "number"))
        return VALUE_DOUBLE;
    if (str_is(word, "bool"))
        return VALUE_BOOL;
    return str_is(word, "time") ? VALUE_TIME : VALUE_NONE;
}

static void properties_read(struct compile *c, const struct yaml_node *map, struct plan_monitor *m)
{
    uint32_t count = map && map->type == YAML_MAP ? map->count : 0;
    if (count > MONITOR_PROPERTIES_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(file_of(c), map),
                     "a monitor looks at %d properties at most", MONITOR_PROPERTIES_MAX);
        return;
    }
    struct plan_property *properties = arena_array(c->arena, struct plan_property, count);
    for (uint32_t i = 0; i < count; i++)
        properties[i] = (struct plan_property){build_name(c, map->pairs[i].key->text),
                                               (uint8_t)type_of(map->pairs[i].value->text)};
    m->properties = properties;
    m->property_count = count;
}

/* A key that one kind of monitor must have, and others cannot. */
static void needs(struct compile *c, const struct yaml_node *node, const char *key, bool is_needed,
                  struct str watch)
{
    const struct yaml_node *value = shape_value(node, "", key);
    if (is_needed == (value != NULL))
        return;
    findings_add(c->findings, is_needed ? FINDING_MISSING_KEY : FINDING_CONFLICT,
                 yaml_place(file_of(c), value ? value : node),
                 is_needed ? "\"%.*s\" needs the key \"%s\"" : "\"%.*s\" has no key \"%s\"",
                 STR_ARG(watch), key);
}

static void window_read(struct compile *c, const struct yaml_node *node, struct plan_monitor *m)
{
    bool is_silence = watch_term((enum watch)m->watch)->measure == WATCH_BY_SILENCE;
    const struct yaml_node *over = shape_value(node, "", is_silence ? "for" : "over");
    const struct yaml_node *against = shape_value(node, "", "against");
    m->over_ms = shape_span_ms(over, DAY_MS);
    m->against_ms = shape_span_ms(against, 0);
    if (m->over_ms < OVER_LEAST_MS || m->over_ms > OVER_MOST_MS) {
        refuse(c, FINDING_WRONG_VALUE, over, "the time is between 1m and 90d");
        m->over_ms = DAY_MS;
    }
    if (against && !against->is_bad &&
        (m->against_ms < m->over_ms || m->against_ms / m->over_ms > MONITOR_AGAINST_MAX)) {
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(file_of(c), against),
                     "the time before is as long as \"over\", or up to %d times as long",
                     MONITOR_AGAINST_MAX);
        m->against_ms = 0;
    }
}

/* ---- what happens then ---------------------------------------------------------------------------- */

static void pauses_read(struct compile *c, const struct yaml_node *node, struct plan_monitor *m)
{
    static const struct {
        const char *key;
        enum kill_scope scope;
    } keys[] = {{"journeys", KILL_JOURNEY},
                {"messages", KILL_MESSAGE},
                {"categories", KILL_CATEGORY},
                {"channels", KILL_CHANNEL}};
    struct kill *pauses = arena_array(c->arena, struct kill, MONITOR_PAUSES_MAX);
    uint32_t said = 0;
    const struct yaml_file *file = file_of(c);
    m->pauses = pauses;
    if (!node || node->type != YAML_MAP)
        return;
    if (shape_bool(shape_value(node, "", "all"), false))
        pauses[m->pause_count++] = (struct kill){.scope = KILL_ALL};
    for (size_t i = 0; i < array_count(keys); i++) {
        const struct yaml_node *list = shape_value(node, "", keys[i].key);
        said += shape_count(list);
        for (uint32_t k = 0; k < shape_count(list); k++) {
            const struct yaml_node *item = shape_item(list, k);
            struct kill kill = {.scope = (uint8_t)keys[i].scope};
            enum channel channel;
            uint16_t index = 0;
            if (keys[i].scope == KILL_CHANNEL) {
                if (!item->is_bad && channel_find(item->text, &channel))
                    kill.channel = (uint8_t)channel;
            } else if (keys[i].scope == KILL_JOURNEY) {
                index = build_journey_index(c, file, item);
            } else if (keys[i].scope == KILL_MESSAGE) {
                index = build_message_index(c, file, item);
            } else {
                index = build_category(c, file, item);
            }
            if (index == PLAN_NO_INDEX)
                continue;
            if (keys[i].scope != KILL_CHANNEL)
                kill.name = build_name(c, item->text);
            if (m->pause_count == MONITOR_PAUSES_MAX) {
                findings_add(c->findings, FINDING_TOO_MANY, yaml_place(file, item),
                             "a monitor pauses %d things at most", MONITOR_PAUSES_MAX);
                return;
            }
            pauses[m->pause_count++] = kill;
        }
    }
    if (m->pause_count == 0 && said == 0)
        refuse(c, FINDING_MISSING_KEY, node,
               "\"pause\" says what waits: journeys, messages, categories, channels or all: true");
}

static void tells_read(struct compile *c, const struct yaml_node *node, struct plan_monitor *m)
{
    uint32_t count = shape_count(node);
    if (count > MONITOR_TELLS_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(file_of(c), node),
                     "a monitor tells %d people at most", MONITOR_TELLS_MAX);
        return;
    }
    struct str *tells = arena_array(c->arena, struct str, count);
    for (uint32_t i = 0; i < count; i++)
        tells[i] = arena_copy(c->arena, shape_item(node, i)->text);
    m->tells = tells;
    m->tell_count = count;
}

static void pace_read(struct compile *c, const struct yaml_node *node, struct plan_monitor *m)
{
    struct plan_pace pace = {COMMAND_PACE_COUNT, COMMAND_PACE_MS};
    if (node && !node->is_bad && !pace_parse(node->text, &pace))
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(file_of(c), node),
                     "\"pace\" wants a number in a time, 5000/h, not \"%.*s\"",
                     STR_ARG(str_part(node->text, 0, 60)));
    m->pace_count = pace.count;
    m->pace_ms = pace.per_ms;
}

/* ---- one ------------------------------------------------------------------------------------------ */

static uint32_t name_of(struct compile *c, const struct yaml_node *node, uint16_t index)
{
    return node == NULL || index == PLAN_NO_INDEX ? NAME_NONE : build_name(c, node->text);
}

/* "unsubscribed of offer above 0.5% over 7d" */
static struct str words_of(struct compile *c, const struct yaml_node *node)
{
    static const char *const keys[][2] = {
        {"event", " "},       {"source", " from "}, {"channel", " on "},      {"category", " of "},
        {"journey", " in "},  {"message", " of "},  {"than", " than "},       {"for", " for "},
        {"above", " above "}, {"below", " below "}, {"against", " against "}, {"over", " over "},
    };
    struct buf text;
    buf_init(&text);
    buf_add_str(&text, shape_text(shape_value(node, "", "watch"), STR("")));
    for (size_t i = 0; i < array_count(keys); i++) {
        const struct yaml_node *value = shape_value(node, "", keys[i][0]);
        if (value)
            buf_printf(&text, "%s%.*s", keys[i][1], STR_ARG(value->text));
    }
    struct str out = arena_copy(c->arena, buf_str(&text));
    buf_fini(&text);
    return out;
}

/* Of what it counts, and not of where it is wrong and what happens then. */
static uint64_t hash_of(struct compile *c, const struct plan_monitor *m)
{
    uint64_t hash = hash_pair(hash_pair(m->watch, m->channel), 1);
    uint32_t names[] = {m->event, m->source, m->category, m->journey, m->message};
    for (size_t i = 0; i < array_count(names); i++)
        hash = hash_str(names_text(c->names, names[i]), hash);
    for (uint32_t i = 0; i < m->property_count; i++)
        hash = hash_str(names_text(c->names, m->properties[i].name),
                        hash_pair(hash, m->properties[i].type));
    hash = hash_pair(hash, (uint64_t)m->than_ms);
    return hash_pair(hash_pair(hash, (uint64_t)m->over_ms), (uint64_t)m->against_ms);
}

static void monitor_compile(struct compile *c, const struct yaml_node *node, struct plan_monitor *m)
{
    const struct yaml_file *file = file_of(c);
    const struct yaml_node *name = shape_value(node, "", "name");
    const struct yaml_node *watch = shape_value(node, "", "watch");
    const struct yaml_node *event = shape_value(node, "", "event");
    const struct yaml_node *source = shape_value(node, "", "source");
    const struct yaml_node *category = shape_value(node, "", "category");
    const struct yaml_node *journey = shape_value(node, "", "journey");
    const struct yaml_node *message = shape_value(node, "", "message");
    enum watch what = WATCH_SILENCE;
    if (!name || !watch || !watch_find(watch->text, &what))
        return;
    const struct watch_term *term = watch_term(what);
    bool is_silence = term->measure == WATCH_BY_SILENCE;
    *m = (struct plan_monitor){
        .name = build_name(c, name->text),
        .watch = (uint8_t)what,
        .channel = 0,
        .event = event ? build_name(c, event->text) : NAME_NONE,
        .source = source ? build_name(c, source->text) : NAME_NONE,
        .category = name_of(c, category, build_category(c, file, category)),
        .journey = name_of(c, journey, build_journey_index(c, file, journey)),
        .message = name_of(c, message, build_message_index(c, file, message)),
        .than_ms = shape_span_ms(shape_value(node, "", "than"), 0),
        .at_least = (uint64_t)shape_int(shape_value(node, "", "at_least"), AT_LEAST),
        .text = words_of(c, node),
    };
    enum channel channel;
    const struct yaml_node *on = shape_value(node, "", "channel");
    if (on && !on->is_bad && channel_find(on->text, &channel))
        m->channel = (uint8_t)channel;
    if (event)
        build_event(c, m->event, yaml_place(file, event));
    narrow_look(c, node, what);
    needs(c, node, "for", is_silence, term->name);
    needs(c, node, "than", what == WATCH_LATE || what == WATCH_SLOW, term->name);
    needs(c, node, "properties", what == WATCH_MALFORMED, term->name);
    if (what == WATCH_MALFORMED)
        needs(c, node, "event", true, term->name);
    if (is_silence) {
        static const char *const others[] = {"over", "against", "above", "below"};
        for (size_t i = 0; i < array_count(others); i++)
            needs(c, node, others[i], false, term->name);
    }
    if (term->measure != WATCH_BY_SHARE)
        needs(c, node, "at_least", false, term->name);
    window_read(c, node, m);
    if (!is_silence)
        limit_read(c, node, m);
    properties_read(c, shape_value(node, "", "properties"), m);
    tells_read(c, shape_value(node, "", "tell"), m);
    pauses_read(c, shape_value(node, "", "pause"), m);
    pace_read(c, shape_value(node, "", "pace"), m);
    m->hash = hash_of(c, m);
}

void monitors_compile(struct compile *c)
{
    const struct yaml_node *list = shape_value(c->settings->yaml.root, "", "monitors");
    uint32_t count = list != NULL && list->type == YAML_LIST ? list->count : 0, pauses = 0;
    if (count > MONITORS_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(file_of(c), list),
                     "a programme has at most %d monitors", MONITORS_MAX);
        return;
    }
    struct plan_monitor *monitors = arena_array(c->arena, struct plan_monitor, count);
    for (uint32_t i = 0; i < count; i++) {
        monitors[i].watch = WATCH_SILENCE; /* of one that is bad */
        monitors[i].over_ms = DAY_MS;
        monitor_compile(c, list->items[i], &monitors[i]);
        pauses += monitors[i].pause_count;
        for (uint32_t k = 0; k < i; k++)
            if (monitors[k].name == monitors[i].name && monitors[i].name != NAME_NONE)
                findings_add(c->findings, FINDING_NAME_TWICE,
                             yaml_place(file_of(c), list->items[i]),
                             "there are two monitors \"%.*s\"",
                             STR_ARG(names_text(c->names, monitors[i].name)));
    }
    if (pauses > KILLS_BY_MONITORS_MAX)
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(file_of(c), list),
                     "monitors pause %d things at most, all together", KILLS_BY_MONITORS_MAX);
    if (count > 0) {
        build_event(c, NAME_MONITOR_RAISED, yaml_place(file_of(c), list))->is_ours = true;
        build_event(c, NAME_MONITOR_CLEARED, yaml_place(file_of(c), list))->is_ours = true;
    }
    c->plan->monitors = monitors;
    c->plan->monitor_count = count;
}
