/* settings.c - programme.yaml: what holds for all journeys and messages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "base/hash.h"
#include "profile/holds.h"
#include "when/span.h"
#include "when/zone.h"

#include <stdlib.h>

static const struct yaml_node *root_value(struct compile *c, const char *key)
{
    return shape_value(c->settings->yaml.root, "", key);
}

/* Adds `count` items of a list with a bound; says so where there are more. */
static uint32_t bounded(struct compile *c, const struct yaml_node *list, uint32_t most,
                        const char *what)
{
    uint32_t count = list ? list->count : 0;
    if (count <= most)
        return count;
    findings_add(c->findings, FINDING_TOO_MANY, yaml_place(&c->settings->yaml, list),
                 "a programme has at most %u %s", most, what);
    return most;
}

/* ---- traits ---------------------------------------------------------------------------------- */

static enum value_type trait_type_of(struct str word)
{
    if (str_is(word, "int"))
        return VALUE_INT;
    if (str_is(word, "double"))
        return VALUE_DOUBLE;
    if (str_is(word, "bool"))
        return VALUE_BOOL;
    if (str_is(word, "time"))
        return VALUE_TIME;
    return VALUE_TEXT;
}

static const char *trait_type_word(enum value_type type)
{
    return type == VALUE_TEXT ? "string" : type == VALUE_TIME ? "time" : value_type_name(type);
}

static struct value trait_default(struct compile *c, const struct yaml_node *node,
                                  enum value_type type)
{
    struct timestamp when;
    if (!node || node->type == YAML_NULL)
        return value_none();
    if (type == VALUE_TEXT && node->type == YAML_TEXT)
        return value_text(arena_copy(c->arena, node->text));
    if (type == VALUE_INT && node->type == YAML_INT)
        return value_int(node->integer);
    if (type == VALUE_DOUBLE && node->type == YAML_INT)
        return value_double((double)node->integer);
    if (type == VALUE_DOUBLE && node->type == YAML_DOUBLE)
        return value_double(node->number);
    if (type == VALUE_BOOL && node->type == YAML_BOOL)
        return value_bool(node->boolean);
    if (type == VALUE_TIME && node->type == YAML_TEXT &&
        timestamp_parse(node->text, TIMESTAMP_LOOSE, &when, NULL) == OK)
        return value_time(when.at_ms);
    findings_add(c->findings, FINDING_WRONG_TYPE, yaml_place(&c->settings->yaml, node),
                 "the default is %s, but the trait is of type %s", yaml_type_words(node),
                 trait_type_word(type));
    if (type == VALUE_TEXT && node->type <= YAML_DOUBLE) {
        struct str line = yaml_line_with(&c->settings->yaml, node,
                                         yaml_quote(node->text, &c->scratch), &c->scratch);
        finding_advise(c->findings, "quotes make it a text");
        finding_fix(c->findings, "%.*s", STR_ARG(str_trim(line)));
    }
    return value_none();
}

/* `max: 90d`: the trait counts days, and as a window reaches back 90 of them at most. The unit is the
 * one that is written. */
static void trait_window(struct compile *c, const struct yaml_node *node, struct plan_trait *trait)
{
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {
        {"w", 7 * DAY_MS}, {"d", DAY_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", SECOND_MS}};
    if (!node || node->is_bad)
        return;
    struct str text = str_trim(node->text);
    struct place place = yaml_place(&c->settings->yaml, node);
    int64_t most_ms = shape_span_ms(node, 0);
    for (size_t i = 0; i < array_count(units); i++) {
        if (!str_ends(text, str_of(units[i].suffix)))
            continue;
        if (trait->type != VALUE_INT) {
            findings_add(c->findings, FINDING_WRONG_TYPE, place,
                         "\"max\" is of traits of type int: they count %s",
                         units[i].ms == DAY_MS ? "days" : "hours or days");
        } else if (most_ms <= 0 || most_ms % units[i].ms != 0 ||
                   str_find(text, STR(" "), 0) != SIZE_MAX) {
            break;
        } else {
            trait->window_unit_ms = units[i].ms;
            trait->window_most_ms = most_ms;
        }
        return;
    }
    findings_add(
        c->findings, FINDING_WRONG_VALUE, place,
        "\"max\" is a number of one unit, and above 0: the unit says what the trait counts");
    finding_advise(c->findings, "for days: max: 90d; for hours: max: 72h");
}

static int trait_order(const void *a_, const void *b_)
{
    const struct plan_trait *a = a_;
    const struct plan_trait *b = b_;
    return a->name < b->name ? -1 : a->name > b->name;
}

#define TRAITS_MAX 1024

static void traits_compile(struct compile *c)
{
    static const uint32_t standard[] = {NAME_EMAIL,  NAME_PHONE,      NAME_TIMEZONE,
                                        NAME_LOCALE, NAME_PUSH_TOKEN, NAME_PREFERRED_CHANNEL};
    const struct yaml_node *map = root_value(c, "traits");
    uint32_t declared = bounded(c, map && map->type == YAML_MAP ? map : NULL, TRAITS_MAX, "traits");
    struct plan_trait *traits =
        arena_array(c->arena, struct plan_trait, declared + array_count(standard));
    uint32_t count = 0;
    for (uint32_t i = 0; i < declared; i++) {
        const struct yaml_node *node = map->pairs[i].value;
        struct str name = map->pairs[i].key->text;
        if (name.len == 0 || name.len > 200 || name.at[0] == '$') {
            findings_add(c->findings, FINDING_BAD_NAME,
                         yaml_place(&c->settings->yaml, map->pairs[i].key),
                         "a trait cannot be called \"%.*s\"", STR_ARG(name));
            continue;
        }
        enum value_type type =
            trait_type_of(shape_text(shape_value(node, "type", "type"), STR("string")));
        struct plan_trait *trait = &traits[count++];
        *trait = (struct plan_trait){
            .name = build_name(c, name),
            .type = (uint8_t)type,
            .is_public = shape_bool(shape_value(node, "type", "public"), false),
            .missing = trait_default(c, shape_value(node, "type", "default"), type),
        };
        trait_window(c, shape_value(node, "type", "max"), trait);
    }
    for (size_t i = 0; i < array_count(standard); i++) {
        bool is_declared = false;
        for (uint32_t k = 0; k < count; k++)
            is_declared |= traits[k].name == standard[i];
        if (!is_declared)
            traits[count++] = (struct plan_trait){.name = standard[i], .type = VALUE_TEXT};
    }
    qsort(traits, count, sizeof(*traits), trait_order);
    c->plan->traits = traits;
    c->plan->trait_count = count;
}

/* ---- zone ------------------------------------------------------------------------------------ */

void build_unknown_zone(struct compile *c, const struct yaml_node *node)
{
    findings_add(c->findings, FINDING_UNKNOWN_NAME, yaml_place(&c->settings->yaml, node),
                 "there is no time zone \"%.*s\"", STR_ARG(node->text));
    struct str near = zoneset_nearest(c->plan->zones, node->text);
    if (near.len)
        finding_advise(c->findings, "did you mean %.*s?", STR_ARG(near));
    else
        finding_advise(c->findings, "zones are named like Europe/London");
}

static void zone_compile(struct compile *c)
{
    const struct yaml_node *node = root_value(c, "timezone");
    c->plan->zone = zoneset_find(c->plan->zones, shape_text(node, STR("UTC")));
    if (c->plan->zone != ZONE_NONE)
        return;
    c->plan->zone = 0;
    if (node)
        build_unknown_zone(c, node);
    else
        findings_add(c->findings, FINDING_UNREADABLE, (struct place){STR("programme.yaml"), 0, 0},
                     "the zone data has no UTC");
}

static void unknown_zones_compile(struct compile *c)
{
    const struct yaml_node *list = root_value(c, "unknown_timezone");
    uint32_t count =
        bounded(c, list && list->type == YAML_LIST ? list : NULL, PLAN_UNKNOWN_ZONES_MAX, "zones");
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *node = shape_item(list, i);
        uint16_t zone = node->is_bad ? ZONE_NONE : zoneset_find(c->plan->zones, node->text);
        if (zone != ZONE_NONE)
            c->plan->unknown_zones[c->plan->unknown_zone_count++] = zone;
        else if (!node->is_bad)
            build_unknown_zone(c, node);
    }
}

/* ---- categories ------------------------------------------------------------------------------ */

static struct plan_category category_of(struct compile *c, struct str name,
                                        const struct yaml_node *node)
{
    enum lane lane = LANE_MARKETING;
    bool is_known = lane_find(shape_text(shape_value(node, "", "lane"), STR("marketing")), &lane);
    must(is_known || c->findings->error_count);
    const struct lane_term *term = lane_term(lane);
    bool is_offer = shape_bool(shape_value(node, "", "promotional"), false);
    int64_t valid_ms = lane == LANE_MARKETING && is_offer ? 3 * DAY_MS : term->deadline_ms;
    int64_t settle_ms = term->flags & LANE_SETTLE ? MINUTE_MS : 0;
    const struct yaml_node *purpose = shape_value(node, "", "purpose");
    const struct yaml_node *topic = shape_value(node, "", "topic");
    return (struct plan_category){
        .name = build_name(c, name),
        .lane = (uint8_t)lane,
        .priority = (int32_t)shape_int(shape_value(node, "", "priority"), 0),
        .valid_for_ms = shape_span_ms(shape_value(node, "", "valid_for"), valid_ms),
        .settle_ms = shape_span_ms(shape_value(node, "", "settle"), settle_ms),
        .is_opt_out =
            str_is(shape_text(shape_value(node, "", "consent"), STR("opt_in")), "opt_out"),
        .purpose = purpose                  ? build_name(c, purpose->text)
                   : lane == LANE_MARKETING ? NAME_MARKETING
                                            : NAME_NONE,
        .topic = topic ? build_name(c, topic->text) : NAME_NONE,
    };
}

static void categories_compile(struct compile *c)
{
    const struct yaml_node *map = root_value(c, "categories");
    if (!map) {
        struct plan_category *standard = arena_array(c->arena, struct plan_category, 3);
        standard[0] = (struct plan_category){.name = build_name(c, STR("service")),
                                             .lane = LANE_SERVICE,
                                             .purpose = build_name(c, STR("service")),
                                             .valid_for_ms = lane_term(LANE_SERVICE)->deadline_ms};
        standard[1] = (struct plan_category){.name = build_name(c, STR("lifecycle")),
                                             .lane = LANE_MARKETING,
                                             .priority = 500,
                                             .purpose = NAME_MARKETING,
                                             .valid_for_ms = 7 * DAY_MS,
                                             .settle_ms = MINUTE_MS};
        standard[2] = standard[1];
        standard[2].name = build_name(c, STR("offer"));
        standard[2].priority = 300;
        standard[2].valid_for_ms = 3 * DAY_MS;
        c->plan->categories = standard;
        c->plan->category_count = 3;
        return;
    }
    uint32_t count =
        bounded(c, map->type == YAML_MAP ? map : NULL, PLAN_CATEGORIES_MAX, "categories");
    struct plan_category *categories = arena_array(c->arena, struct plan_category, count);
    for (uint32_t i = 0; i < count; i++)
        categories[i] = category_of(c, map->pairs[i].key->text, map->pairs[i].value);
    c->plan->categories = categories;
    c->plan->category_count = count;
}

/* ---- calendars -------------------------------------------------------------------------------- */

static struct plan_calendar_part part_of(struct compile *c, struct str region,
                                         const struct yaml_node *node)
{
    struct plan_calendar_part part = {.region = arena_copy(c->arena, region)};
    uint32_t count = shape_count(node);
    if (count > PLAN_DAYS_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(&c->settings->yaml, node),
                     "%u days; at most %u are possible", count, PLAN_DAYS_MAX);
        return part;
    }
    struct calendar_days *days = arena_array(c->arena, struct calendar_days, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = shape_item(node, i);
        struct fault f = {0};
        if (item->is_bad)
            continue;
        if (calendar_days_parse(item->text, &days[part.day_count], &f) == OK)
            part.day_count++;
        else
            findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(&c->settings->yaml, item),
                         "%s", f.text);
    }
    part.days = days;
    return part;
}

static struct plan_calendar calendar_of(struct compile *c, struct str name,
                                        const struct yaml_node *node)
{
    const struct yaml_node *region = shape_value(node, "days", "region");
    const struct yaml_node *regions = shape_value(node, "days", "regions");
    struct plan_calendar calendar = {.name = build_name(c, name), .region = NAME_NONE};
    uint32_t room = 1;
    for (uint32_t i = 0; i < shape_count(regions); i++)
        room += shape_count(shape_value(shape_item(regions, i), "", "in"));
    struct plan_calendar_part *parts = arena_array(c->arena, struct plan_calendar_part, room);
    parts[calendar.part_count++] = part_of(c, STR(""), shape_value(node, "days", "days"));
    for (uint32_t i = 0; i < shape_count(regions); i++) {
        const struct yaml_node *item = shape_item(regions, i);
        const struct yaml_node *in = shape_value(item, "", "in");
        for (uint32_t k = 0; k < shape_count(in); k++)
            parts[calendar.part_count++] =
                part_of(c, shape_item(in, k)->text, shape_value(item, "", "days"));
    }
    calendar.parts = parts;
    if (region && !region->is_bad) {
        struct str text = str_starts(region->text, STR("traits."))
                              ? str_part(region->text, 7, region->text.len)
                              : region->text;
        uint32_t trait = names_find(c->names, text);
        const struct plan_trait *known = trait ? plan_trait_find(c->plan, trait) : NULL;
        if (known && known->type == VALUE_TEXT)
            calendar.region = trait;
        else
            findings_add(c->findings, FINDING_UNKNOWN_NAME, yaml_place(&c->settings->yaml, region),
                         known ? "the trait \"%.*s\" is no text" : "there is no trait \"%.*s\"",
                         STR_ARG(text));
    } else if (regions && !region) {
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(&c->settings->yaml, regions),
                     "regions need a trait that says who lives where");
        finding_advise(c->findings, "add region: country");
    }
    return calendar;
}

static void calendars_compile(struct compile *c)
{
    const struct yaml_node *map = root_value(c, "calendars");
    uint32_t count =
        bounded(c, map && map->type == YAML_MAP ? map : NULL, PLAN_CALENDARS_MAX, "calendars");
    struct plan_calendar *calendars = arena_array(c->arena, struct plan_calendar, count);
    for (uint32_t i = 0; i < count; i++)
        calendars[i] = calendar_of(c, map->pairs[i].key->text, map->pairs[i].value);
    c->plan->calendars = calendars;
    c->plan->calendar_count = count;
}

/* Index plus one of the calendar that the node names; 0 after saying that there is none. */
uint16_t build_calendar(struct compile *c, const struct yaml_node *node)
{
    struct str known[PLAN_CALENDARS_MAX];
    for (uint32_t i = 0; i < c->plan->calendar_count; i++) {
        known[i] = names_text(c->names, c->plan->calendars[i].name);
        if (str_equal(known[i], node->text))
            return (uint16_t)(i + 1);
    }
    findings_add(c->findings, FINDING_UNKNOWN_NAME, yaml_place(&c->settings->yaml, node),
                 "there is no calendar \"%.*s\"", STR_ARG(node->text));
    struct str near = str_nearest(node->text, known, c->plan->calendar_count);
    if (near.len)
        finding_advise(c->findings, "did you mean \"%.*s\"?", STR_ARG(near));
    else
        finding_advise(c->findings, "calendars are listed under calendars in programme.yaml");
    return 0;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void group_journeys(struct compile *c, const struct yaml_node *list,
                           struct compile_group *out)
{
    out->journey_count = list ? shape_count(list) : 0;
    out->journeys = arena_array(&c->scratch, uint32_t, out->journey_count);
    out->nodes = arena_array(&c->scratch, const struct yaml_node *, out->journey_count);
    for (uint32_t i = 0; i < out->journey_count; i++) {
        const struct yaml_node *node = shape_item(list, i);
        out->nodes[i] = node;
        out->journeys[i] = node->is_bad ? NAME_NONE : build_name(c, node->text);
    }
}

/* Bit per group that the node names; none of them may be the group itself. */
static uint64_t other_groups(struct compile *c, const struct yaml_node *list, uint32_t own,
                             const char *does)
{
    uint64_t groups = 0;
    for (uint32_t i = 0; i < shape_count(list); i++) {
        const struct yaml_node *node = shape_item(list, i);
        uint16_t other = build_group_index(c, &c->settings->yaml, node);
        if (other == own)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(&c->settings->yaml, node),
                         "a group cannot %s itself", does);
        else if (other != PLAN_NO_INDEX)
            groups |= UINT64_C(1) << other;
    }
    return groups;
}

static void groups_compile(struct compile *c)
{
    const struct yaml_node *list = root_value(c, "groups");
    uint32_t count =
        bounded(c, list && list->type == YAML_LIST ? list : NULL, PLAN_GROUPS_MAX, "groups");
    struct plan_group *groups = arena_array(c->arena, struct plan_group, count);
    c->groups = arena_array(&c->scratch, struct compile_group, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *node = list->items[i];
        const struct yaml_node *name = shape_value(node, "", "name");
        groups[i].name = name ? build_name(c, name->text) : NAME_NONE;
        groups[i].at_most = (uint32_t)shape_int(shape_value(node, "", "at_most"), 0);
        groups[i].waits = str_is(shape_text(shape_value(node, "", "then"), STR("refuse")), "wait");
        group_journeys(c, shape_value(node, "", "journeys"), &c->groups[i]);
        for (uint32_t k = 0; k < i && name; k++)
            if (groups[k].name == groups[i].name)
                findings_add(c->findings, FINDING_NAME_TWICE, yaml_place(&c->settings->yaml, name),
                             "there are two groups \"%.*s\"", STR_ARG(name->text));
    }
    c->plan->groups = groups;
    c->plan->group_count = count;
    for (uint32_t i = 0; i < count; i++) {
        groups[i].pauses = other_groups(c, shape_value(list->items[i], "", "pauses"), i, "pause");
        groups[i].preempts =
            other_groups(c, shape_value(list->items[i], "", "preempts"), i, "pre-empt");
    }
}

static void keep_compile(struct compile *c)
{
    const struct yaml_node *log = shape_value(root_value(c, "keep"), "", "log");
    c->plan->keep_log_ms = shape_span_ms(log, 0);
    if (log != NULL && c->plan->keep_log_ms <= 0) {
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(&c->settings->yaml, log),
                     "the log is kept for some time; without `log` it is kept for ever");
        c->plan->keep_log_ms = 0;
    } else if (log != NULL && c->plan->keep_log_ms < DAY_MS) {
        findings_add(c->findings, FINDING_SHORT_KEEP, yaml_place(&c->settings->yaml, log),
                     "the log is kept for less than a day: what is older is gone for good");
        finding_advise(c->findings, "log: 400d keeps a year and a month");
    }
}

void settings_compile(struct compile *c)
{
    const struct yaml_node *limits = root_value(c, "limits");
    c->plan->name = arena_copy(c->arena, shape_text(root_value(c, "name"), STR("programme")));
    c->history_max = (uint16_t)shape_int(shape_value(limits, "", "history"), PLAN_ITEMS_DEFAULT);
    if (c->history_max < 1 || c->history_max > PLAN_ITEMS_MAX)
        c->history_max = PLAN_ITEMS_DEFAULT; /* out of range: said already */
    c->plan->address_limit =
        (uint32_t)shape_int(shape_value(limits, "", "address"), PLAN_ADDRESS_LIMIT);
    if (c->plan->address_limit < 1 || c->plan->address_limit > PLAN_ADDRESS_LIMIT_MAX)
        c->plan->address_limit = PLAN_ADDRESS_LIMIT; /* out of range: said already */
    const struct yaml_node *reserve = root_value(c, "reserve");
    c->plan->reserve_ms = shape_span_ms(reserve, 0);
    if (c->plan->reserve_ms > DAY_MS || c->plan->reserve_ms < 0) {
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(&c->settings->yaml, reserve),
                     "slots are kept for 24h at most");
        c->plan->reserve_ms = 0;
    }
    keep_compile(c);
    zone_compile(c);
    unknown_zones_compile(c);
    traits_compile(c);
    calendars_compile(c);
    categories_compile(c);
    groups_compile(c);
}

/* ---- rules: who and what they are about ------------------------------------------------------- */

uint32_t build_channels(const struct yaml_node *node)
{
    uint32_t channels = 0;
    for (uint32_t i = 0; i < shape_count(node); i++) {
        enum channel channel;
        const struct yaml_node *item = shape_item(node, i);
        if (!item->is_bad && channel_find(item->text, &channel))
            channels |= UINT32_C(1) << channel;
    }
    return channels;
}

/* The categories, each of which must be in a lane that `lanes` (bit per lane) has. */
uint64_t build_categories(struct compile *c, const struct yaml_node *node, uint32_t lanes,
                          const char *rule)
{
    uint64_t categories = 0;
    for (uint32_t i = 0; i < shape_count(node); i++) {
        const struct yaml_node *item = shape_item(node, i);
        uint16_t index = build_category(c, &c->settings->yaml, item);
        if (index == PLAN_NO_INDEX)
            continue;
        enum lane lane = (enum lane)c->plan->categories[index].lane;
        if (lanes >> lane & 1) {
            categories |= UINT64_C(1) << index;
            continue;
        }
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(&c->settings->yaml, item),
                     "%s do not apply to \"%.*s\": messages of the lane %.*s do not obey them",
                     rule, STR_ARG(item->text), STR_ARG(lane_term(lane)->name));
    }
    return categories;
}

static uint64_t groups_of(struct compile *c, const struct yaml_node *node)
{
    uint64_t groups = 0;
    for (uint32_t i = 0; i < shape_count(node); i++) {
        uint16_t index = build_group_index(c, &c->settings->yaml, shape_item(node, i));
        if (index != PLAN_NO_INDEX)
            groups |= UINT64_C(1) << index;
    }
    return groups;
}

static uint32_t lanes_with(uint32_t flag)
{
    uint32_t lanes = 0;
    for (int lane = 0; lane < LANE_END; lane++)
        if (lane_term((enum lane)lane)->flags & flag)
            lanes |= UINT32_C(1) << lane;
    return lanes;
}

/* " on email, sms of offer" for a cap's text. */
static void words_add(struct buf *out, const struct yaml_node *node, const char *before)
{
    for (uint32_t i = 0; i < shape_count(node); i++)
        buf_printf(out, "%s%.*s", i ? ", " : before, STR_ARG(shape_item(node, i)->text));
}

static struct str rule_text(struct compile *c, struct buf *text)
{
    struct str copy = arena_copy(c->arena, buf_str(text));
    buf_fini(text);
    return copy;
}

/* ---- caps ------------------------------------------------------------------------------------ */

/* Names of the messages that have one of the tags, ascending; NULL where the node names none. */
static const uint32_t *messages_tagged(struct compile *c, const struct yaml_node *tags,
                                       uint32_t *count)
{
    *count = 0;
    if (!tags)
        return NULL;
    uint32_t *names = arena_array(c->arena, uint32_t, c->file_count + 1);
    for (uint32_t t = 0; t < shape_count(tags); t++) {
        const struct yaml_node *tag = shape_item(tags, t);
        bool is_found = tag->is_bad;
        for (uint32_t i = 0; i < c->file_count; i++) {
            const struct compile_file *file = &c->files[i];
            if (tag->is_bad || file->kind != FILE_MESSAGE || !file->yaml.root)
                continue;
            const struct yaml_node *own = shape_value(file->yaml.root, "", "tags");
            for (uint32_t k = 0; k < shape_count(own); k++) {
                if (shape_item(own, k)->is_bad || !str_equal(shape_item(own, k)->text, tag->text))
                    continue;
                is_found = true;
                uint32_t at = *count;
                while (at > 0 && names[at - 1] >= file->name_id)
                    at--;
                if (at < *count && names[at] == file->name_id)
                    break;
                for (uint32_t m = (*count)++; m > at; m--)
                    names[m] = names[m - 1];
                names[at] = file->name_id;
                break;
            }
        }
        if (!is_found)
            findings_add(c->findings, FINDING_UNKNOWN_NAME, yaml_place(&c->settings->yaml, tag),
                         "no message has the tag \"%.*s\"", STR_ARG(tag->text));
    }
    return names;
}

static void cap_events(struct compile *c, const struct yaml_node *events, struct plan_cap *cap)
{
    uint32_t *names = arena_array(c->arena, uint32_t, shape_count(events) + 1);
    for (uint32_t i = 0; i < shape_count(events); i++) {
        const struct yaml_node *node = shape_item(events, i);
        if (node->is_bad)
            continue;
        uint32_t name = build_name(c, node->text);
        build_event(c, name, yaml_place(&c->settings->yaml, node))->is_touch = true;
        names[cap->touch_count++] = name;
    }
    cap->touches = names;
}

static void cap_keep(struct compile *c, const struct yaml_node *keep, struct plan_cap *cap)
{
    if (!keep)
        return;
    const struct yaml_node *slots = shape_value(keep, "", "slots");
    cap->kept = (uint32_t)shape_int(slots, 1);
    cap->kept_for = groups_of(c, shape_value(keep, "", "for"));
    if (cap->kept >= cap->limit)
        findings_add(c->findings, FINDING_CONFLICT,
                     yaml_place(&c->settings->yaml, slots ? slots : keep),
                     "a cap of %u cannot keep %u of its slots: nothing is left for others",
                     cap->limit, cap->kept);
    cap->kept = min_of(cap->kept, cap->limit - 1);
}

void build_scope(struct compile *c, const struct yaml_node *node, const char *rule,
                 struct plan_cap *cap, struct buf *text)
{
    const struct yaml_node *channel = shape_value(node, "", "channel");
    const struct yaml_node *category = shape_value(node, "", "category");
    const struct yaml_node *group = shape_value(node, "", "group");
    const struct yaml_node *journey = shape_value(node, "", "journey");
    cap->channels = build_channels(channel);
    cap->categories = build_categories(c, category, lanes_with(LANE_CAPS), rule);
    cap->groups = groups_of(c, group);
    cap->journey = build_journey_index(c, &c->settings->yaml, journey);
    const struct yaml_node *tag = shape_value(node, "", "tag");
    const struct yaml_node *events = shape_value(node, "", "events");
    cap->messages = messages_tagged(c, tag, &cap->message_count);
    cap_events(c, events, cap);
    words_add(text, tag, " tagged ");
    words_add(text, events, " with ");
    words_add(text, channel, " on ");
    words_add(text, category, " of ");
    words_add(text, group, " in the group ");
    words_add(text, journey, " in ");
}

/* min_gap: {after: [...]}: categories, or lanes for all their categories. */
static uint64_t gap_after(struct compile *c, const struct yaml_node *node)
{
    uint64_t after = 0;
    for (uint32_t i = 0; i < shape_count(node); i++) {
        const struct yaml_node *item = shape_item(node, i);
        enum lane lane;
        bool is_lane = false;
        if (!item->is_bad && lane_find(item->text, &lane)) {
            is_lane = true;
            for (uint32_t k = 0; k < c->plan->category_count; k++)
                if (c->plan->categories[k].lane == lane)
                    after |= UINT64_C(1) << k;
        }
        bool is_category = false;
        for (uint32_t k = 0; k < c->plan->category_count && !item->is_bad; k++) {
            if (str_equal(names_text(c->names, c->plan->categories[k].name), item->text)) {
                after |= UINT64_C(1) << k;
                is_category = true;
            }
        }
        if (!is_lane && !is_category && !item->is_bad)
            build_category(c, &c->settings->yaml, item); /* says what is wrong */
    }
    return after;
}

static struct plan_cap cap_of_gap(struct compile *c, const struct yaml_node *node)
{
    const struct yaml_node *gap = shape_value(node, "", "min_gap");
    const struct yaml_node *after = shape_value(gap, "for", "after");
    struct plan_cap cap = {.kind = CAP_GAP, .limit = 1};
    cap.window_ms = shape_span_ms(shape_value(gap, "for", "for"), 2 * HOUR_MS);
    cap.after = gap_after(c, after);
    struct buf text;
    char span[SPAN_BYTES];
    buf_init(&text);
    buf_printf(&text, "%s between two", span_print(span_of_ms(cap.window_ms), span).at);
    build_scope(c, node, "caps", &cap, &text);
    words_add(&text, after, ", also after ");
    cap.text = rule_text(c, &text);
    return cap;
}

static struct plan_cap cap_of_limit(struct compile *c, const struct yaml_node *node)
{
    const struct yaml_node *per = shape_value(node, "", "per");
    struct plan_cap cap = {
        .kind = CAP_SLIDING,
        .limit = (uint32_t)shape_int(shape_value(node, "", "limit"), 1),
        .window_ms = DAY_MS,
    };
    struct span span;
    if (per && span_parse(per->text, &span, NULL) == OK) {
        if (span.kind == SPAN_FIXED)
            cap.window_ms = span.ms;
        else if (span.unit == SPAN_WEEK)
            cap = (struct plan_cap){.kind = CAP_WEEK, .limit = cap.limit, .window_ms = 7 * DAY_MS};
        else
            cap.kind = CAP_DAY;
        if (span.kind == SPAN_FIXED && span.ms <= 0)
            findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(&c->settings->yaml, per),
                         "a cap needs a time above 0");
    }
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%u per %.*s", cap.limit, STR_ARG(shape_text(per, STR("day"))));
    build_scope(c, node, "caps", &cap, &text);
    cap_keep(c, shape_value(node, "", "keep"), &cap);
    cap.text = rule_text(c, &text);
    return cap;
}

static void caps_compile(struct compile *c)
{
    const struct yaml_node *key = yaml_find(c->settings->yaml.root, "caps");
    const struct yaml_node *list = root_value(c, "caps");
    if (!key) {
        static const struct plan_cap standard[] = {
            {.kind = CAP_DAY,
             .limit = 2,
             .window_ms = DAY_MS,
             .journey = PLAN_NO_INDEX,
             .text = {"2 per day", 9}},
            {.kind = CAP_SLIDING,
             .limit = 3,
             .window_ms = 7 * DAY_MS,
             .journey = PLAN_NO_INDEX,
             .text = {"3 per 7d", 8}},
            {.kind = CAP_GAP,
             .limit = 1,
             .window_ms = 2 * HOUR_MS,
             .journey = PLAN_NO_INDEX,
             .text = {"2h between two", 14}},
        };
        c->plan->caps = standard;
        c->plan->cap_count = array_count(standard);
        c->has_caps = true;
        return;
    }
    uint32_t count =
        bounded(c, list && list->type == YAML_LIST ? list : NULL, PLAN_CAPS_MAX, "caps");
    struct plan_cap *caps = arena_array(c->arena, struct plan_cap, count);
    for (uint32_t i = 0; i < count; i++) {
        const char *member = shape_member(list->items[i], shape_union_get("CAP"));
        bool is_gap = member && strcmp(member, "min_gap") == 0;
        caps[i] = is_gap ? cap_of_gap(c, list->items[i]) : cap_of_limit(c, list->items[i]);
        c->has_caps |= !is_gap;
    }
    c->plan->caps = caps;
    c->plan->cap_count = count;
}

/* ---- quiet hours ----------------------------------------------------------------------------- */

static uint32_t minute_of(const struct yaml_node *node)
{
    int32_t clock_ms = 0;
    if (!node || clock_parse(node->text, &clock_ms, NULL) != OK)
        return 0;
    return (uint32_t)(clock_ms / MINUTE_MS);
}

static struct plan_window window_of(struct compile *c, const struct yaml_node *node)
{
    const struct yaml_node *from = shape_value(node, "", "from");
    const struct yaml_node *to = shape_value(node, "", "to");
    const struct yaml_node *calendar = shape_value(node, "", "calendar");
    const struct yaml_node *on = shape_value(node, "", "on");
    const struct yaml_node *channels = shape_value(node, "", "channels");
    const struct yaml_node *categories = shape_value(node, "", "categories");
    uint32_t lanes = lanes_with(LANE_WINDOWS) | 1u << LANE_SERVICE | 1u << LANE_LEGAL;
    struct plan_window window = {
        .from_minute = minute_of(from),
        .until_minute = minute_of(to),
        .channels = build_channels(channels),
        .categories = build_categories(c, categories, lanes, "quiet hours"),
    };
    if (calendar && !calendar->is_bad)
        window.calendar = build_calendar(c, calendar);
    /* What is there but wrong is said already. */
    bool is_map = node->type == YAML_MAP;
    bool has_from = is_map && yaml_find(node, "from"), has_to = is_map && yaml_find(node, "to");
    bool has_calendar = is_map && yaml_find(node, "calendar");
    if (is_map && (has_from != has_to || (!has_from && !has_calendar)))
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(&c->settings->yaml, node),
                     "quiet hours need %s",
                     has_from ? "`to`"
                     : has_to ? "`from`"
                              : "from and to, or a calendar");
    if (!has_from && !has_to && has_calendar)
        window.until_minute = 24 * 60;
    if (from && to && window.from_minute == window.until_minute)
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(&c->settings->yaml, to),
                     "quiet hours that end when they begin leave no moment to send");
    if (from && window.from_minute == 24 * 60)
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(&c->settings->yaml, from),
                     "quiet hours cannot begin at 24:00; write '00:00'");
    if (to && window.until_minute == 24 * 60 && window.from_minute == 0 && !has_calendar)
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(&c->settings->yaml, to),
                     "quiet hours of the whole day leave no moment to send");
    for (uint32_t i = 0; i < shape_count(on); i++) {
        uint8_t days;
        if (weekdays_parse(shape_item(on, i)->text, &days, NULL) == OK)
            window.weekdays |= days;
    }
    struct buf text;
    buf_init(&text);
    if (from || to)
        buf_printf(&text, "%.*s to %.*s", STR_ARG(shape_text(from, STR(""))),
                   STR_ARG(shape_text(to, STR(""))));
    words_add(&text, calendar, from ? " on days of " : "on days of ");
    words_add(&text, on, " on ");
    words_add(&text, channels, ", ");
    words_add(&text, categories, " of ");
    window.text = rule_text(c, &text);
    return window;
}

static void quiet_hours_compile(struct compile *c)
{
    static const struct plan_window standard = {
        .from_minute = 21 * 60, .until_minute = 8 * 60, .text = {"21:00 to 08:00", 14}};
    const struct yaml_node *list = root_value(c, "quiet_hours");
    if (!yaml_find(c->settings->yaml.root, "quiet_hours")) {
        c->plan->windows = &standard;
        c->plan->window_count = 1;
        return;
    }
    uint32_t count =
        bounded(c, list && list->type == YAML_LIST ? list : NULL, PLAN_WINDOWS_MAX, "quiet hours");
    struct plan_window *windows = arena_array(c->arena, struct plan_window, count);
    for (uint32_t i = 0; i < count; i++)
        windows[i] = window_of(c, list->items[i]);
    c->plan->windows = windows;
    c->plan->window_count = count;
}

/* ---- holds ----------------------------------------------------------------------------------- */

/* `event.cart_id`, `entry.cart_id` and `cart_id` are the same property. */
static struct str property_of(struct str text)
{
    text = str_trim(text);
    if (str_starts(text, STR("event.")))
        return str_part(text, 6, text.len);
    return text;
}

static struct plan_hold hold_of(struct compile *c, const struct yaml_node *node, uint32_t index)
{
    const struct yaml_file *file = &c->settings->yaml;
    const struct yaml_node *name = shape_value(node, "", "name");
    const struct yaml_node *from = shape_value(node, "", "from");
    const struct yaml_node *until = shape_value(node, "", "until");
    const struct yaml_node *key = shape_value(node, "", "key");
    const struct yaml_node *categories = shape_value(node, "", "categories");
    uint32_t lanes = lanes_with(LANE_HOLDS) | 1u << LANE_SERVICE;
    struct plan_hold hold = {
        .name = name ? build_name(c, name->text) : NAME_NONE,
        .from = from ? build_name(c, from->text) : NAME_NONE,
        .until = until ? build_name(c, until->text) : NAME_NONE,
        .key = key ? build_name(c, property_of(key->text)) : NAME_NONE,
        .categories = build_categories(c, categories, lanes, "holds"),
        .linger_ms = shape_span_ms(shape_value(node, "", "linger"), DAY_MS),
        .at_most_ms = shape_span_ms(shape_value(node, "", "at_most"), 30 * DAY_MS),
        .freezes = str_is(shape_text(shape_value(node, "", "waits"), STR("run")), "freeze"),
        .drops = shape_bool(shape_value(node, "", "drop"), false),
    };
    if (hold.from != NAME_NONE && hold.from == hold.until)
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(file, until),
                     "the same event opens and closes the hold");
    if (hold.from != NAME_NONE)
        build_event(c, hold.from, yaml_place(file, from))->holds_from |= UINT64_C(1) << index;
    if (hold.until != NAME_NONE)
        build_event(c, hold.until, yaml_place(file, until))->holds_until |= UINT64_C(1) << index;
    return hold;
}

static void holds_compile(struct compile *c)
{
    const struct yaml_node *list = root_value(c, "holds");
    uint32_t count =
        bounded(c, list && list->type == YAML_LIST ? list : NULL, PLAN_HOLDS_MAX, "holds");
    struct plan_hold *holds = arena_array(c->arena, struct plan_hold, count);
    for (uint32_t i = 0; i < count; i++) {
        holds[i] = hold_of(c, list->items[i], i);
        for (uint32_t k = 0; k < i; k++)
            if (holds[k].name == holds[i].name && holds[i].name != NAME_NONE)
                findings_add(
                    c->findings, FINDING_NAME_TWICE, yaml_place(&c->settings->yaml, list->items[i]),
                    "there are two holds \"%.*s\"", STR_ARG(names_text(c->names, holds[i].name)));
    }
    c->plan->holds = holds;
    c->plan->hold_count = count;
}

static void complaint_compile(struct compile *c)
{
    const struct yaml_node *node = root_value(c, "complaint");
    const struct yaml_node *rests = shape_value(node, "rests", "rests");
    c->plan->complaint_ms = shape_span_ms(rests, COMPLAINT_RESTS_MS);
    uint32_t lanes = lanes_with(LANE_HOLDS) | 1u << LANE_SERVICE;
    c->plan->complaint_categories =
        build_categories(c, shape_value(node, "rests", "categories"), lanes, "complaints");
    if (c->plan->complaint_ms >= COMPLAINT_RESTS_MS)
        return;
    findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(&c->settings->yaml, rests),
                 "marketing rests for 30 days at least after a complaint");
    finding_advise(c->findings, "a longer time may stand here: 90d");
}

uint32_t build_holdout(struct compile *c, const struct yaml_node *node, const char *kind,
                       struct str salt, uint64_t *out_salt, struct str *out_text)
{
    const struct yaml_node *percent = shape_value(node, "percent", "percent");
    const struct yaml_node *given = shape_value(node, "percent", "salt");
    struct str text = given ? given->text : salt;
    *out_salt = hash_str(arena_printf(&c->scratch, "%s:%.*s", kind, STR_ARG(text)), 0);
    if (!percent)
        return 0;
    double share = percent->type == YAML_INT ? (double)percent->integer : percent->number;
    if (!(share >= 0 && share <= 100))
        return 0;
    *out_text = arena_printf(c->arena, "%.*s %%, salt %.*s", STR_ARG(percent->text), STR_ARG(text));
    return (uint32_t)(share * 100 + 0.5);
}

void settings_compile_rules(struct compile *c)
{
    caps_compile(c);
    budgets_compile(c);
    quiet_hours_compile(c);
    holds_compile(c);
    complaint_compile(c);
    c->plan->holdout_text = STR("");
    c->plan->holdout = build_holdout(c, root_value(c, "holdout"), "holdout", c->plan->name,
                                     &c->plan->holdout_salt, &c->plan->holdout_text);
}
