/* regulation.c - `regulations` of programme.yaml: packs of the release (decide/regulations.def) and rules
 * of the programme's own become rows of one table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "decide/regulation.h"
#include "when/calendar.h"
#include "when/civil.h"
#include "when/span.h"
#include "when/zone.h"

#define PACKS_MAX 16

static const struct yaml_file *file_of(struct compile *c)
{
    return &c->settings->yaml;
}

/* ---- where people are ------------------------------------------------------------------------ */

/* The trait that the node names; where it names none, the first of `usual` that there is. */
static uint32_t trait_of(struct compile *c, const struct yaml_node *node, const char *const *usual)
{
    if (node && !node->is_bad) {
        struct str text = str_starts(node->text, STR("traits."))
                              ? str_part(node->text, 7, node->text.len)
                              : node->text;
        uint32_t name = names_find(c->names, text);
        const struct plan_trait *trait = name ? plan_trait_find(c->plan, name) : NULL;
        if (trait && trait->type == VALUE_TEXT)
            return name;
        findings_add(c->findings, FINDING_UNKNOWN_NAME, yaml_place(file_of(c), node),
                     trait ? "the trait \"%.*s\" is no text" : "there is no trait \"%.*s\"",
                     STR_ARG(text));
        return NAME_NONE;
    }
    for (; *usual; usual++) {
        uint32_t name = names_find(c->names, str_of(*usual));
        const struct plan_trait *trait = name ? plan_trait_find(c->plan, name) : NULL;
        if (trait && trait->type == VALUE_TEXT)
            return name;
    }
    return NAME_NONE;
}

static bool is_capital(char x)
{
    return x >= 'A' && x <= 'Z';
}

/* "GB", "US-FL", "EU"? */
static bool is_place(struct str text)
{
    if (text.len != 2 && (text.len < 5 || text.len > 6 || text.at[2] != '-'))
        return false;
    for (size_t i = 3; i < text.len; i++)
        if (!is_capital(text.at[i]) && !(text.at[i] >= '0' && text.at[i] <= '9'))
            return false;
    return is_capital(text.at[0]) && is_capital(text.at[1]);
}

static const struct str *places_of(struct compile *c, const struct yaml_node *node, uint32_t *count)
{
    struct str *places = arena_array(c->arena, struct str, shape_count(node) + 1);
    *count = 0;
    for (uint32_t i = 0; i < shape_count(node); i++) {
        const struct yaml_node *item = shape_item(node, i);
        if (item->is_bad)
            continue;
        if (is_place(item->text)) {
            places[(*count)++] = arena_copy(c->arena, item->text);
            continue;
        }
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(file_of(c), item),
                     "\"%.*s\" is no place: they are written GB, US-FL or EU",
                     STR_ARG(str_part(item->text, 0, 60)));
    }
    return places;
}

/* ---- packs ----------------------------------------------------------------------------------- */

static uint32_t pack_names(struct str *names)
{
    size_t count;
    const struct regulation_line *lines = regulation_lines(&count);
    uint32_t known = 0;
    for (size_t i = 0; i < count; i++) {
        if (known && str_is(names[known - 1], lines[i].pack))
            continue;
        must(known < PACKS_MAX);
        names[known++] = str_of(lines[i].pack);
    }
    return known;
}

/* Bit per pack that the programme takes. */
static uint32_t packs_of(struct compile *c, const struct yaml_node *map)
{
    struct str names[PACKS_MAX];
    uint32_t known = pack_names(names), packs = 0;
    const struct yaml_node *node = shape_value(map, "", "packs");
    if (!map || map->type != YAML_MAP || !yaml_find(map, "packs"))
        return (1u << known) - 1;
    for (uint32_t i = 0; i < shape_count(node); i++) {
        const struct yaml_node *item = shape_item(node, i);
        uint32_t pack = 0;
        while (pack < known && !item->is_bad && !str_equal(names[pack], item->text))
            pack++;
        if (item->is_bad)
            continue;
        if (pack < known)
            packs |= 1u << pack;
        else
            build_unknown(c, file_of(c), item, "pack of regulations", names, known);
    }
    return packs;
}

static uint32_t phone_channels(void)
{
    uint32_t channels = 0;
    for (int channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++)
        if (channel_trait((enum channel)channel) == NAME_PHONE)
            channels |= UINT32_C(1) << channel;
    return channels;
}

static struct plan_regulation row_of_line(struct compile *c, const struct regulation_line *line)
{
    struct str *place = arena_array(c->arena, struct str, 1);
    *place = str_of(line->place);
    struct plan_regulation row = {
        .name = str_of(line->pack),
        .kind = line->kind,
        .place_count = 1,
        .places = place,
        .channels = line->is_texts ? phone_channels() : 0,
        .lanes = 1u << LANE_MARKETING,
        .zone = PLAN_NO_INDEX,
        .from_day = civil_day((struct date){.year = (int32_t)(line->since / 10000),
                                            .month = (uint8_t)(line->since / 100 % 100),
                                            .day = (uint8_t)(line->since % 100)}),
        .until_day = INT64_MAX,
        .text = str_of(line->law),
    };
    if (line->kind != REGULATION_HOURS)
        return row;
    row.quiet = (struct window){.from_ms = (int32_t)(line->from_hour * HOUR_MS),
                                .to_ms = (int32_t)(line->to_hour * HOUR_MS)};
    enum status status = weekdays_parse(str_of(line->starting_on), &row.quiet.weekdays, NULL);
    must(status == OK);
    if (line->zone[0] != '\0')
        row.zone = zoneset_find(c->plan->zones, str_of(line->zone));
    if (row.zone == ZONE_NONE)
        row.zone = PLAN_NO_INDEX; /* zone data without it: the person's own clock */
    return row;
}

/* ---- the programme's own --------------------------------------------------------------------- */

static int64_t day_of(struct compile *c, const struct yaml_node *node, int64_t otherwise)
{
    struct timestamp at;
    if (!node || node->is_bad)
        return otherwise;
    if (timestamp_parse(node->text, TIMESTAMP_LOOSE, &at, NULL) == OK && !at.has_time)
        return floor_div(at.at_ms, DAY_MS);
    findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(file_of(c), node),
                 "\"%.*s\" is no day; write 2026-04-01", STR_ARG(str_part(node->text, 0, 60)));
    return otherwise;
}

static struct window quiet_of(struct compile *c, const struct yaml_node *node, uint16_t *zone)
{
    const struct yaml_node *from = shape_value(node, "", "from");
    const struct yaml_node *to = shape_value(node, "", "to");
    const struct yaml_node *on = shape_value(node, "", "on");
    const struct yaml_node *named = shape_value(node, "", "zone");
    struct window quiet = {.from_ms = (int32_t)(20 * HOUR_MS), .to_ms = (int32_t)(8 * HOUR_MS)};
    if (from && clock_parse(from->text, &quiet.from_ms, NULL) == OK && quiet.from_ms == DAY_MS)
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(file_of(c), from),
                     "quiet hours cannot begin at 24:00; write '00:00'");
    if (to && clock_parse(to->text, &quiet.to_ms, NULL) != OK)
        return quiet; /* said already */
    if (quiet.from_ms == DAY_MS)
        quiet.from_ms = 0;
    if (from && to && quiet.from_ms == quiet.to_ms)
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(file_of(c), to),
                     "quiet hours that end when they begin leave no moment to send");
    for (uint32_t i = 0; i < shape_count(on); i++) {
        uint8_t days;
        if (weekdays_parse(shape_item(on, i)->text, &days, NULL) == OK)
            quiet.weekdays |= days;
    }
    if (!quiet.weekdays)
        quiet.weekdays = 0x7f;
    *zone = PLAN_NO_INDEX;
    if (named && !named->is_bad) {
        uint16_t index = zoneset_find(c->plan->zones, named->text);
        if (index != ZONE_NONE)
            *zone = index;
        else
            findings_add(c->findings, FINDING_UNKNOWN_NAME, yaml_place(file_of(c), named),
                         "there is no time zone \"%.*s\"", STR_ARG(named->text));
    }
    return quiet;
}

/* "quiet 20:00 to 08:00 (FCA, CONC 5)": what `why` says. */
static struct str text_of(struct compile *c, const struct yaml_node *node,
                          const struct plan_regulation *row)
{
    const struct yaml_node *quiet = shape_value(node, "", "quiet");
    struct str law = shape_text(shape_value(node, "", "law"), STR(""));
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%.*s", STR_ARG(row->name));
    if (row->kind == REGULATION_HOURS)
        buf_printf(&text, ": quiet %.*s to %.*s",
                   STR_ARG(shape_text(shape_value(quiet, "", "from"), STR(""))),
                   STR_ARG(shape_text(shape_value(quiet, "", "to"), STR(""))));
    if (row->calendar)
        buf_printf(&text, ": on days of %.*s",
                   STR_ARG(names_text(c->names, c->plan->calendars[row->calendar - 1].name)));
    if (row->condition.code)
        buf_printf(&text, ": while %.*s", STR_ARG(row->condition.text));
    if (law.len)
        buf_printf(&text, " (%.*s)", STR_ARG(law));
    struct str copy = arena_copy(c->arena, buf_str(&text));
    buf_fini(&text);
    return copy;
}

static uint32_t lanes_of(const struct yaml_node *node)
{
    uint32_t lanes = 0;
    for (uint32_t i = 0; i < shape_count(node); i++) {
        enum lane lane;
        const struct yaml_node *item = shape_item(node, i);
        if (!item->is_bad && lane_find(item->text, &lane))
            lanes |= 1u << lane;
    }
    return lanes ? lanes : 1u << LANE_MARKETING;
}

/* What the rule does, of which it must have one: hours, days or a condition, or consent. */
static void look_for_one_kind(struct compile *c, const struct yaml_node *node)
{
    bool has_quiet = yaml_find(node, "quiet") != NULL;
    bool has_days = yaml_find(node, "calendar") != NULL || yaml_find(node, "while") != NULL;
    bool has_consent = shape_bool(shape_value(node, "", "consent"), false);
    if (has_quiet + has_days + has_consent == 1)
        return;
    bool has_none = !has_quiet && !has_days && !has_consent;
    findings_add(c->findings, has_none ? FINDING_MISSING_KEY : FINDING_CONFLICT,
                 yaml_place(file_of(c), node),
                 has_none ? "the rule does not say what it forbids"
                          : "the rule says two things: write two rules");
    if (has_none)
        finding_advise(c->findings, "quiet: {from: '20:00', to: '08:00'}, or calendar, or while");
}

static struct plan_regulation row_of_rule(struct compile *c, const struct yaml_node *node)
{
    static const struct str everywhere = {"*", 1};
    const struct yaml_node *places = shape_value(node, "", "places");
    const struct yaml_node *quiet = shape_value(node, "", "quiet");
    const struct yaml_node *calendar = shape_value(node, "", "calendar");
    const struct yaml_node *condition = shape_value(node, "", "while");
    const uint32_t all_lanes = (1u << LANE_END) - 1;
    struct plan_regulation row = {
        .name = arena_copy(c->arena, shape_text(shape_value(node, "", "name"), STR(""))),
        .kind = shape_bool(shape_value(node, "", "consent"), false) ? REGULATION_CONSENT
                : quiet                                             ? REGULATION_HOURS
                                                                    : REGULATION_BLACKOUT,
        .channels = build_channels(shape_value(node, "", "channels")),
        .lanes = lanes_of(shape_value(node, "", "lanes")),
        .categories = build_categories(c, shape_value(node, "", "categories"), all_lanes, ""),
        .zone = PLAN_NO_INDEX,
        .from_day = day_of(c, shape_value(node, "", "from"), INT64_MIN),
        .until_day = day_of(c, shape_value(node, "", "until"), INT64_MAX),
    };
    row.places = places_of(c, places, &row.place_count);
    if (!places) {
        row.places = &everywhere;
        row.place_count = 1;
    }
    if (row.until_day < row.from_day)
        findings_add(c->findings, FINDING_CONFLICT,
                     yaml_place(file_of(c), shape_value(node, "", "until")),
                     "the rule ends before it begins");
    if (quiet)
        row.quiet = quiet_of(c, quiet, &row.zone);
    if (calendar && !calendar->is_bad)
        row.calendar = build_calendar(c, calendar);
    scope_compile(c, file_of(c), condition, (struct scope_target){.wanted = EXPR_WANT_BOOL},
                  &row.condition);
    if (node->type == YAML_MAP)
        look_for_one_kind(c, node);
    row.text = text_of(c, node, &row);
    return row;
}

void regulations_compile(struct compile *c)
{
    static const char *const countries[] = {"country", NULL};
    static const char *const regions[] = {"region", "state", NULL};
    const struct yaml_node *map = shape_value(file_of(c)->root, "", "regulations");
    const struct yaml_node *rules = shape_value(map, "", "rules");
    size_t line_count;
    const struct regulation_line *lines = regulation_lines(&line_count);
    struct str names[PACKS_MAX];
    uint32_t known = pack_names(names), packs = packs_of(c, map);
    uint32_t own = rules && rules->type == YAML_LIST ? rules->count : 0;
    if (own > PLAN_REGULATIONS_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(file_of(c), rules),
                     "a programme has at most %u rules of its own", PLAN_REGULATIONS_MAX);
        own = PLAN_REGULATIONS_MAX;
    }
    struct plan_regulation *rows = arena_array(c->arena, struct plan_regulation, line_count + own);
    uint32_t count = 0;
    c->plan->country = trait_of(c, shape_value(map, "", "country"), countries);
    c->plan->region = trait_of(c, shape_value(map, "", "region"), regions);
    c->plan->unknown_places =
        places_of(c, shape_value(map, "", "unknown"), &c->plan->unknown_place_count);
    for (size_t i = 0; i < line_count; i++)
        for (uint32_t pack = 0; pack < known; pack++)
            if (packs >> pack & 1 && str_is(names[pack], lines[i].pack))
                rows[count++] = row_of_line(c, &lines[i]);
    for (uint32_t i = 0; i < own; i++)
        rows[count++] = row_of_rule(c, rules->items[i]);
    c->plan->regulations = rows;
    c->plan->regulation_count = count;
}
