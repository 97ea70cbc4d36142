/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/scenario.h"

#include "programme/compile.h"

#include "model/errand.h"
#include "model/names.h"
#include "model/plan.h"
#include "model/result.h"
#include "programme/programme.h"
#include "programme/shape.h"
#include "when/span.h"
#include "when/zone.h"

#include <stdlib.h>

#define SCENARIOS_MAX   100000
#define VALUE_DEPTH_MAX YAML_DEPTH_MAX

struct reader {
    const struct programme_folder *folder;
    const struct plan *plan;
    struct names *names;
    struct arena *arena; /* what is given out */
    struct arena scratch;
    struct findings *findings;
    const struct yaml_file *file;
    struct shape_check check;
    const struct scenario *current; /* its people, while facts and expectations are read */
    struct scenario *list;
    uint32_t count;
    uint32_t room;
};

static struct place place_of(const struct reader *r, const struct yaml_node *node)
{
    struct place place = yaml_place(r->file, node);
    place.file = arena_copy(r->arena, place.file);
    return place;
}

/* An event that nothing hears is fine in a scenario, unless it is nearly one that something does. */
static void event_look(struct reader *r, const struct yaml_node *node, uint32_t event)
{
    if (node == NULL || event == NAME_NONE || plan_event_find(r->plan, event) != NULL)
        return;
    for (uint32_t i = 0; i < r->plan->event_count; i++) {
        struct str heard = names_text(r->names, r->plan->events[i].name);
        if (r->plan->events[i].is_ours || !slip_is_near(node->text, heard))
            continue;
        findings_add(r->findings, FINDING_NAME_SLIP, yaml_place(r->file, node),
                     "nothing in the programme hears the event \"%.*s\"", STR_ARG(node->text));
        finding_advise(r->findings, "did you mean \"%.*s\"?", STR_ARG(heard));
        return;
    }
}

/* ---- times ----------------------------------------------------------------------------------- */

/* A moment as written, on the wall of the programme's zone unless it has an offset. */
static int64_t moment_of(struct reader *r, const struct yaml_node *node)
{
    struct timestamp when;
    struct fault f = {0};
    if (!node)
        return SCENARIO_NO_TIME;
    if (timestamp_parse(node->text, TIMESTAMP_LOOSE, &when, &f) != OK) {
        findings_add(r->findings, FINDING_WRONG_VALUE, yaml_place(r->file, node), "%s", f.text);
        return SCENARIO_NO_TIME;
    }
    if (when.has_offset)
        return when.at_ms;
    return zone_utc(zoneset_zone(r->plan->zones, r->plan->zone), when.at_ms);
}

/* `at` or `after` of a line; `before_ms` is the line before (SCENARIO_NO_TIME: this is the first). */
static int64_t fact_moment(struct reader *r, const struct yaml_node *node, int64_t before_ms)
{
    const struct yaml_node *at = shape_value(node, "", "at");
    const struct yaml_node *after = shape_value(node, "", "after");
    if (at && after) {
        findings_add(r->findings, FINDING_CONFLICT, yaml_place(r->file, after),
                     "\"at\" and \"after\" stand together");
    } else if (after && before_ms == SCENARIO_NO_TIME) {
        findings_add(r->findings, FINDING_CONFLICT, yaml_place(r->file, after),
                     "there is no line before this one; write \"at\"");
    } else if (after) {
        return before_ms + shape_span_ms(after, 0);
    } else if (at) {
        return moment_of(r, at);
    } else if (node->type == YAML_MAP && !yaml_find_key(node, "at") &&
               !yaml_find_key(node, "after")) {
        findings_add(r->findings, FINDING_MISSING_KEY, yaml_place(r->file, node),
                     "the line does not say when");
        finding_advise(r->findings, "at: 2026-03-02T12:00, or after: 30m");
    }
    return SCENARIO_NO_TIME;
}

/* When a late event happened: not after it comes in. */
static int64_t happened_of(struct reader *r, const struct yaml_node *node, int64_t at_ms)
{
    int64_t happened_ms = moment_of(r, node);
    if (node && happened_ms != SCENARIO_NO_TIME && at_ms != SCENARIO_NO_TIME && happened_ms > at_ms)
        findings_add(r->findings, FINDING_WRONG_VALUE, yaml_place(r->file, node),
                     "it happens after it comes in");
    return happened_ms;
}

/* ---- values ---------------------------------------------------------------------------------- */

static struct value value_of(struct reader *r, const struct yaml_node *node);

static struct value list_of(struct reader *r, const struct yaml_node *node)
{
    struct value_list *list =
        arena_zalloc(r->arena, sizeof(*list) + node->count * sizeof(struct value));
    for (uint32_t i = 0; i < node->count; i++)
        list->items[list->count++] = value_of(r, node->items[i]);
    return (struct value){.type = VALUE_LIST, .list = list};
}

static struct value map_of(struct reader *r, const struct yaml_node *node)
{
    struct value_map *map =
        arena_zalloc(r->arena, sizeof(*map) + node->count * sizeof(struct value_pair));
    for (uint32_t i = 0; i < node->count; i++)
        map->pairs[map->count++] =
            (struct value_pair){value_text(arena_copy(r->arena, node->pairs[i].key->text)),
                                value_of(r, node->pairs[i].value)};
    return (struct value){.type = VALUE_MAP, .map = map};
}

/* Recursion is bounded by YAML_DEPTH_MAX. */
static struct value value_of(struct reader *r, const struct yaml_node *node)
{
    switch ((enum yaml_type)node->type) {
    case YAML_NULL: return (struct value){.type = VALUE_NULL};
    case YAML_BOOL: return value_bool(node->boolean);
    case YAML_INT: return value_int(node->integer);
    case YAML_DOUBLE: return value_double(node->number);
    case YAML_TEXT: return value_text(arena_copy(r->arena, node->text));
    case YAML_LIST: return list_of(r, node);
    case YAML_MAP: return map_of(r, node);
    }
    return value_none();
}

struct fields {
    struct scenario_field *list;
    uint32_t count;
    uint32_t room;
};

static void field_add(struct reader *r, struct fields *fields, uint32_t name, struct value value)
{
    if (fields->count == fields->room) {
        uint32_t room = fields->room ? fields->room * 2 : 8;
        struct scenario_field *grown = arena_array(r->arena, struct scenario_field, room);
        if (fields->count)
            memcpy(grown, fields->list, fields->count * sizeof(*grown));
        fields->list = grown;
        fields->room = room;
    }
    fields->list[fields->count++] = (struct scenario_field){name, value};
}

/* Maps are flattened to dotted names, as ingest does. Recursion is bounded by YAML_DEPTH_MAX. */
static void fields_add(struct reader *r, const struct yaml_node *map, struct str prefix,
                       struct fields *fields)
{
    for (uint32_t i = 0; map && map->type == YAML_MAP && i < map->count; i++) {
        const struct yaml_node *key = map->pairs[i].key;
        const struct yaml_node *node = map->pairs[i].value;
        struct str path =
            prefix.len ? arena_printf(&r->scratch, "%.*s.%.*s", STR_ARG(prefix), STR_ARG(key->text))
                       : key->text;
        if (node->type == YAML_MAP) {
            fields_add(r, node, path, fields);
            continue;
        }
        uint32_t name = names_add(r->names, path);
        if (name == NAME_NONE)
            findings_add(r->findings, FINDING_BAD_NAME, yaml_place(r->file, key),
                         "a property cannot be called \"%.*s\"", STR_ARG(str_part(path, 0, 100)));
        else
            field_add(r, fields, name, value_of(r, node));
    }
}

static enum value_type type_of_yaml(const struct value *value)
{
    return (enum value_type)value->type;
}

/* A text or a unix time as the moment that it means: a day alone begins in UTC, as it does for an event
 * that comes in; a time without an offset is on the wall of the programme's zone. */
static bool time_of(struct reader *r, const struct value *value, struct value *out)
{
    struct timestamp when;
    int64_t at_ms;
    if (value->type == VALUE_INT && timestamp_from_number((double)value->integer, &at_ms)) {
        *out = value_time(at_ms);
        return true;
    }
    if (value->type != VALUE_TEXT ||
        timestamp_parse(value->text, TIMESTAMP_LOOSE, &when, NULL) != OK)
        return false;
    bool is_wall = when.has_time && !when.has_offset;
    *out = value_time(is_wall ? zone_utc(zoneset_zone(r->plan->zones, r->plan->zone), when.at_ms)
                              : when.at_ms);
    return true;
}

/* Traits are what the programme declares them to be: a text that is a time becomes one. */
static struct fields traits_of(struct reader *r, const struct yaml_node *map)
{
    struct fields fields = {0};
    fields_add(r, map, STR(""), &fields);
    for (uint32_t i = 0; i < fields.count; i++) {
        struct scenario_field *field = &fields.list[i];
        const struct plan_trait *trait = plan_trait_find(r->plan, field->name);
        struct value moment;
        if (!trait)
            continue;
        if (trait->type == VALUE_DOUBLE && type_of_yaml(&field->value) == VALUE_INT)
            field->value = value_double((double)field->value.integer);
        else if (trait->type == VALUE_TIME && time_of(r, &field->value, &moment))
            field->value = moment;
        if (type_of_yaml(&field->value) != trait->type && field->value.type != VALUE_NULL)
            findings_add(r->findings, FINDING_WRONG_TYPE, yaml_place(r->file, map),
                         "the trait \"%.*s\" is of type %s, not %s",
                         STR_ARG(names_text(r->names, field->name)),
                         value_type_name((enum value_type)trait->type),
                         value_type_name(type_of_yaml(&field->value)));
    }
    return fields;
}

/* ---- names ----------------------------------------------------------------------------------- */

static void unknown_say(struct reader *r, const struct yaml_node *node, const char *what,
                        const struct str *known, uint32_t count)
{
    findings_add(r->findings, FINDING_UNKNOWN_NAME, yaml_place(r->file, node),
                 "there is no %s \"%.*s\"", what, STR_ARG(str_part(node->text, 0, 100)));
    struct str near = str_nearest(node->text, known, count);
    if (near.len)
        finding_advise(r->findings, "did you mean \"%.*s\"?", STR_ARG(near));
}

static uint16_t journey_of(struct reader *r, const struct yaml_node *node)
{
    if (!node)
        return PLAN_NO_INDEX;
    uint16_t index = plan_journey_find(r->plan, names_find(r->names, node->text));
    if (index != PLAN_NO_INDEX)
        return index;
    struct str *known = arena_array(&r->scratch, struct str, r->plan->journey_count);
    for (uint32_t i = 0; i < r->plan->journey_count; i++)
        known[i] = names_text(r->names, r->plan->journeys[i].name);
    unknown_say(r, node, "journey", known, r->plan->journey_count);
    return PLAN_NO_INDEX;
}

static uint32_t segment_of(struct reader *r, const struct yaml_node *node)
{
    uint32_t name = node ? names_find(r->names, node->text) : NAME_NONE;
    uint16_t index = name != NAME_NONE ? plan_segment_find(r->plan, name) : PLAN_NO_INDEX;
    if (!node)
        return NAME_NONE;
    if (index != PLAN_NO_INDEX && r->plan->segments[index].kind == SEGMENT_NAMED)
        return name;
    struct str *known = arena_array(&r->scratch, struct str, r->plan->segment_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->plan->segment_count; i++)
        if (r->plan->segments[i].kind == SEGMENT_NAMED)
            known[count++] = names_text(r->names, r->plan->segments[i].name);
    unknown_say(r, node, "segment", known, count);
    return NAME_NONE;
}

static uint32_t stage_of(struct reader *r, const struct yaml_node *node)
{
    struct str known[PLAN_STAGES_MAX];
    uint32_t name = node ? names_find(r->names, node->text) : NAME_NONE;
    for (uint32_t i = 0; i < r->plan->stage_count; i++) {
        known[i] = names_text(r->names, r->plan->stages[i].name);
        if (node && r->plan->stages[i].name == name)
            return name;
    }
    if (node)
        unknown_say(r, node, "stage", known, r->plan->stage_count);
    return NAME_NONE;
}

static uint32_t audience_of(struct reader *r, const struct yaml_node *node)
{
    struct str known[PLAN_AUDIENCES_MAX];
    uint32_t name = node ? names_find(r->names, node->text) : NAME_NONE;
    if (node && plan_audience_find(r->plan, name) != PLAN_NO_INDEX)
        return name;
    for (uint32_t i = 0; i < r->plan->audience_count; i++)
        known[i] = names_text(r->names, r->plan->audiences[i].name);
    if (node)
        unknown_say(r, node, "audience", known, r->plan->audience_count);
    return NAME_NONE;
}

static uint16_t message_of(struct reader *r, const struct yaml_node *node)
{
    if (!node)
        return PLAN_NO_INDEX;
    uint16_t index = plan_message_find(r->plan, names_find(r->names, node->text));
    if (index != PLAN_NO_INDEX)
        return index;
    struct str *known = arena_array(&r->scratch, struct str, r->plan->message_count);
    for (uint32_t i = 0; i < r->plan->message_count; i++)
        known[i] = names_text(r->names, r->plan->messages[i].name);
    unknown_say(r, node, "message", known, r->plan->message_count);
    return PLAN_NO_INDEX;
}

static void category_look(struct reader *r, const struct yaml_node *node)
{
    uint32_t name = names_find(r->names, node->text);
    struct str *known = arena_array(&r->scratch, struct str, r->plan->category_count);
    for (uint32_t i = 0; i < r->plan->category_count; i++) {
        if (r->plan->categories[i].name == name)
            return;
        known[i] = names_text(r->names, r->plan->categories[i].name);
    }
    unknown_say(r, node, "category", known, r->plan->category_count);
}

static uint32_t message_name(struct reader *r, const struct yaml_node *node)
{
    uint16_t index = message_of(r, node);
    return index == PLAN_NO_INDEX ? NAME_NONE : r->plan->messages[index].name;
}

static uint16_t person_of(struct reader *r, const struct yaml_node *node)
{
    if (!node)
        return UINT16_MAX;
    struct str *known = arena_array(&r->scratch, struct str, r->current->person_count);
    for (uint32_t i = 0; i < r->current->person_count; i++) {
        known[i] = r->current->people[i].id;
        if (str_equal(known[i], node->text))
            return (uint16_t)i;
    }
    unknown_say(r, node, "person", known, r->current->person_count);
    return UINT16_MAX;
}

static uint32_t step_of(struct reader *r, uint16_t journey, const struct yaml_node *node)
{
    if (!node || journey == PLAN_NO_INDEX)
        return NAME_NONE;
    const struct plan_journey *of = &r->plan->journeys[journey];
    struct str *known = arena_array(&r->scratch, struct str, of->step_count);
    for (uint32_t i = 0; i < of->step_count; i++) {
        known[i] = names_text(r->names, of->steps[i].id);
        if (str_equal(known[i], node->text))
            return of->steps[i].id;
    }
    unknown_say(r, node, "step", known, of->step_count);
    if (of->step_count && !str_nearest(node->text, known, of->step_count).len) {
        struct str all = STR("");
        for (uint32_t i = 0; i < of->step_count && i < 16; i++)
            all = arena_printf(&r->scratch, "%.*s%s%.*s", STR_ARG(all), i ? ", " : "",
                               STR_ARG(known[i]));
        finding_advise(r->findings, "the steps are: %.*s", STR_ARG(all));
    }
    return NAME_NONE;
}

/* The id of a step of these kinds (bits) in any journey. */
static uint32_t errand_step(struct reader *r, const struct yaml_node *node, uint32_t kinds)
{
    struct str *known = arena_array(&r->scratch, struct str, r->plan->errand_count + 1);
    uint32_t count = 0;
    if (!node || node->is_bad)
        return NAME_NONE;
    for (uint32_t i = 0; i < r->plan->journey_count; i++) {
        for (uint32_t k = 0; k < r->plan->journeys[i].step_count; k++) {
            const struct plan_step *step = &r->plan->journeys[i].steps[k];
            if (!(kinds >> step->kind & 1))
                continue;
            struct str id = names_text(r->names, step->id);
            if (str_equal(id, node->text))
                return step->id;
            if (count < r->plan->errand_count)
                known[count++] = id;
        }
    }
    unknown_say(r, node, kinds >> STEP_CALL & 1 ? "call" : "task", known, count);
    return NAME_NONE;
}

static uint8_t channel_of(const struct yaml_node *node)
{
    enum channel channel = CHANNEL_NONE;
    if (node && !channel_find(node->text, &channel))
        return CHANNEL_NONE;
    return (uint8_t)channel;
}

static uint8_t receipt_of(const struct yaml_node *node)
{
    for (int i = 1; node && i < RECEIPT_KIND_END; i++)
        if (str_is(node->text, receipt_name((enum receipt_kind)i)))
            return (uint8_t)i;
    return 0;
}

/* ---- people ---------------------------------------------------------------------------------- */

static uint32_t consents_of(struct reader *r, const struct yaml_node *node, uint32_t topic,
                            const struct scenario_consent **out)
{
    uint32_t count = !node ? 0 : node->type == YAML_MAP ? node->count : shape_count(node);
    struct scenario_consent *consents = arena_array(r->arena, struct scenario_consent, count);
    for (uint32_t i = 0; i < count; i++) {
        bool is_map = node->type == YAML_MAP;
        consents[i] = (struct scenario_consent){
            .channel = channel_of(is_map ? node->pairs[i].key : shape_item(node, i)),
            .has_agreed = !is_map || shape_bool(node->pairs[i].value, true),
            .purpose = NAME_MARKETING,
            .topic = topic,
        };
    }
    *out = consents;
    return count;
}

static int fact_order(const void *a_, const void *b_)
{
    const struct scenario_fact *a = a_;
    const struct scenario_fact *b = b_;
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    /* Equal times stay in the order of writing. */
    if (a->place.line != b->place.line)
        return a->place.line < b->place.line ? -1 : 1;
    return a->place.column < b->place.column ? -1 : a->place.column > b->place.column;
}

static void history_read(struct reader *r, const struct yaml_node *list, uint16_t person,
                         struct scenario_person *out)
{
    uint32_t count = shape_count(list);
    struct scenario_fact *facts = arena_array(r->arena, struct scenario_fact, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *node = shape_item(list, i);
        const struct yaml_node *event = shape_value(node, "", "event");
        struct fields fields = {0};
        fields_add(r, shape_value(node, "", "properties"), STR(""), &fields);
        facts[i] = (struct scenario_fact){
            .kind = SCENARIO_EVENT,
            .place = place_of(r, node),
            .at_ms = moment_of(r, shape_value(node, "", "at")),
            .happened_ms = SCENARIO_NO_TIME,
            .person = person,
            .event = event ? names_add(r->names, event->text) : NAME_NONE,
            .field_count = fields.count,
            .fields = fields.list,
        };
    }
    if (count)
        qsort(facts, count, sizeof(*facts), fact_order);
    out->history = facts;
    out->history_count = count;
}

/* Which arms the person takes: of splits that there are, in any journey. */
static void arms_read(struct reader *r, const struct yaml_node *map, struct scenario_person *out)
{
    uint32_t count = map && map->type == YAML_MAP ? map->count : 0;
    struct scenario_arm *arms = arena_array(r->arena, struct scenario_arm, count);
    out->arms = arms;
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *split = map->pairs[i].key;
        const struct yaml_node *arm = map->pairs[i].value;
        uint32_t split_name = names_find(r->names, split->text);
        uint32_t arm_name = arm->is_bad ? NAME_NONE : names_find(r->names, arm->text);
        bool has_split = false;
        bool has_arm = false;
        for (uint32_t j = 0; j < r->plan->journey_count; j++) {
            const struct plan_journey *journey = &r->plan->journeys[j];
            for (uint32_t k = 0; k < journey->step_count; k++) {
                const struct plan_step *step = &journey->steps[k];
                if (step->kind != STEP_SPLIT || step->split.name != split_name)
                    continue;
                has_split = true;
                for (uint32_t n = 0; n < step->split.arm_count; n++)
                    has_arm |= step->split.arms[n].name == arm_name && step->split.arms[n].weight;
            }
        }
        if (!has_split)
            findings_add(r->findings, FINDING_UNKNOWN_NAME, yaml_place(r->file, split),
                         "there is no split \"%.*s\"", STR_ARG(split->text));
        else if (!has_arm && !arm->is_bad)
            findings_add(r->findings, FINDING_UNKNOWN_NAME, yaml_place(r->file, arm),
                         "nobody takes an arm \"%.*s\" of that split", STR_ARG(arm->text));
        else
            arms[out->arm_count++] = (struct scenario_arm){split_name, arm_name};
    }
}

static void people_read(struct reader *r, const struct yaml_node *list, struct scenario *out)
{
    uint32_t count = min_of(shape_count(list), (uint32_t)UINT16_MAX);
    struct scenario_person *people = arena_array(r->arena, struct scenario_person, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *node = shape_item(list, i);
        const struct yaml_node *id = shape_value(node, "", "id");
        struct fields traits = traits_of(r, shape_value(node, "", "traits"));
        people[i] = (struct scenario_person){
            .place = place_of(r, node),
            .id = arena_copy(r->arena, shape_text(id, STR(""))),
            .is_held_out = shape_bool(shape_value(node, "", "holdout"), false),
            .trait_count = traits.count,
            .traits = traits.list,
        };
        arms_read(r, shape_value(node, "", "arms"), &people[i]);
        people[i].consent_count =
            consents_of(r, shape_value(node, "", "consent"), NAME_NONE, &people[i].consents);
        history_read(r, shape_value(node, "", "history"), (uint16_t)i, &people[i]);
        for (uint32_t k = 0; k < i && id; k++)
            if (str_equal(people[k].id, people[i].id))
                findings_add(r->findings, FINDING_NAME_TWICE, yaml_place(r->file, id),
                             "there are two people \"%.*s\"", STR_ARG(id->text));
    }
    out->people = people;
    out->person_count = count;
}

/* What is said of an answer to a call, or to who is told of a task. */
static void call_answer_read(struct reader *r, const struct yaml_node *node,
                             struct scenario_answer *out)
{
    const struct yaml_node *call = shape_value(node, "", "call");
    const struct yaml_node *answer = shape_value(node, "", "answer");
    const struct yaml_node *status = shape_value(node, "", "status");
    const struct yaml_node *json = shape_value(node, "", "json");
    const struct yaml_node *stray = status ? status : json;
    out->is_late = answer && str_is(answer->text, "timed_out");
    if (!call) {
        if (stray || out->is_late)
            findings_add(r->findings, FINDING_CONFLICT, yaml_place(r->file, stray ? stray : answer),
                         "this belongs to a call: call: STEP");
        else if (!answer && !node->is_bad)
            findings_add(r->findings, FINDING_MISSING_KEY, yaml_place(r->file, node),
                         "the line does not say what is answered");
        return;
    }
    if (shape_value(node, "", "message"))
        findings_add(r->findings, FINDING_CONFLICT, yaml_place(r->file, call),
                     "\"message\" and \"call\" do not stand together");
    if (answer && stray)
        findings_add(r->findings, FINDING_CONFLICT, yaml_place(r->file, stray),
                     "\"answer\" says that there is no such answer");
    out->step = errand_step(r, call, 1u << STEP_CALL | 1u << STEP_TASK);
    out->has_json = json != NULL;
    out->json = arena_copy(r->arena, shape_text(json, STR("")));
    if (!answer)
        out->code = (int32_t)shape_int(status, 200);
    if (status && !status->is_bad && out->code < 200)
        findings_add(r->findings, FINDING_WRONG_VALUE, yaml_place(r->file, status),
                     "an answer has a status of 200 or more");
}

static void answers_read(struct reader *r, const struct yaml_node *list, struct scenario *out)
{
    uint32_t count = shape_count(list);
    struct scenario_answer *answers = arena_array(r->arena, struct scenario_answer, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *node = shape_item(list, i);
        answers[i] = (struct scenario_answer){
            .place = place_of(r, node),
            .message = message_name(r, shape_value(node, "", "message")),
            .person = person_of(r, shape_value(node, "", "person")),
            .receipt = receipt_of(shape_value(node, "", "answer")),
            .code = (int32_t)shape_int(shape_value(node, "", "code"), 0),
            .times = (uint32_t)shape_int(shape_value(node, "", "times"), UINT32_MAX),
        };
        call_answer_read(r, node, &answers[i]);
    }
    out->answers = answers;
    out->answer_count = count;
}

/* ---- commands -------------------------------------------------------------------------------- */

static void pace_read(struct reader *r, const struct yaml_node *node, struct command_word *out)
{
    struct plan_pace pace = {COMMAND_PACE_COUNT, COMMAND_PACE_MS};
    if (node && !pace_parse(node->text, &pace))
        findings_add(r->findings, FINDING_WRONG_VALUE, yaml_place(r->file, node),
                     "\"pace\" wants a number in a time, 5000/h, not \"%.*s\"",
                     STR_ARG(str_part(node->text, 0, 60)));
    out->pace_count = pace.count;
    out->pace_ms = pace.per_ms;
}

/* Which messages a kill is about. */
static void scope_read(struct reader *r, const struct yaml_node *node, const struct yaml_node *what,
                       struct command_word *out)
{
    const struct yaml_node *name = shape_value(node, "", "name");
    enum kill_scope scope = KILL_ALL;
    if (!what || !kill_scope_find(what->text, &scope))
        return;
    out->scope = (uint8_t)scope;
    if ((scope == KILL_ALL) == (name != NULL)) {
        findings_add(r->findings, scope == KILL_ALL ? FINDING_CONFLICT : FINDING_MISSING_KEY,
                     yaml_place(r->file, name ? name : node),
                     scope == KILL_ALL ? "\"all\" has no name" : "the line does not say which");
        if (scope != KILL_ALL)
            finding_advise(r->findings, "name: the %.*s's name", STR_ARG(what->text));
        return;
    }
    if (!name)
        return;
    out->name = arena_copy(r->arena, name->text);
    switch (scope) {
    case KILL_JOURNEY: (void)journey_of(r, name); break;
    case KILL_MESSAGE: (void)message_of(r, name); break;
    case KILL_CATEGORY: category_look(r, name); break;
    case KILL_CHANNEL:
        out->channel = channel_of(name);
        if (out->channel == CHANNEL_NONE)
            findings_add(r->findings, FINDING_UNKNOWN_NAME, yaml_place(r->file, name),
                         "there is no channel \"%.*s\"", STR_ARG(str_part(name->text, 0, 100)));
        break;
    case KILL_ALL:
    case KILL_SCOPE_END: break;
    }
}

static void command_of(struct reader *r, const struct yaml_node *node, const char *member,
                       struct command_word *out)
{
    static const struct {
        const char *key;
        enum command_kind kind;
        enum journey_phase phase;
    } kinds[] = {
        {"pause", COMMAND_PHASE, PHASE_PAUSED},   {"resume", COMMAND_PHASE, PHASE_ACTIVE},
        {"drain", COMMAND_PHASE, PHASE_DRAINING}, {"stop", COMMAND_PHASE, PHASE_STOPPED},
        {"kill", COMMAND_KILL, PHASE_ACTIVE},     {"unkill", COMMAND_UNKILL, PHASE_ACTIVE},
    };
    const struct yaml_node *value = shape_value(node, "", member);
    *out = (struct command_word){0};
    for (size_t i = 0; i < array_count(kinds); i++) {
        if (strcmp(kinds[i].key, member) != 0)
            continue;
        out->kind = kinds[i].kind;
        out->phase = (uint8_t)kinds[i].phase;
    }
    if (str_is(shape_text(shape_value(node, "", "entries"), STR("held")), "refused"))
        out->flags |= PHASE_REFUSES;
    if (str_is(shape_text(shape_value(node, "", "timers"), STR("frozen")), "running"))
        out->flags |= PHASE_TIMERS_RUN;
    if (shape_bool(shape_value(node, "", "drop"), false))
        out->flags |= KILL_DROPS;
    if (shape_bool(shape_value(node, "", "all_lanes"), false))
        out->flags |= KILL_ALL_LANES;
    if (out->kind == COMMAND_PHASE) {
        out->name = value ? arena_copy(r->arena, value->text) : STR("");
        (void)journey_of(r, value);
    } else {
        scope_read(r, node, value, out);
    }
    if (out->kind != COMMAND_KILL)
        pace_read(r, shape_value(node, "", "pace"), out);
}

/* ---- facts ----------------------------------------------------------------------------------- */

/* Where an event comes from. */
static void origin_read(struct reader *r, const struct yaml_node *node, struct scenario_fact *out)
{
    const struct yaml_node *source = shape_value(node, "", "source");
    const struct yaml_node *id = shape_value(node, "", "message_id");
    const struct yaml_node *visitor = shape_value(node, "", "visitor");
    out->source = source ? names_add(r->names, source->text) : NAME_NONE;
    out->message_id = id ? arena_copy(r->arena, id->text) : STR("");
    out->visitor = visitor ? arena_copy(r->arena, visitor->text) : STR("");
}

/* At which placement, and which of its offers is to be there. */
static void look_read(struct reader *r, const struct yaml_node *node, const struct yaml_node *value,
                      struct scenario_fact *out)
{
    const struct yaml_node *shows = shape_value(node, "", "shows");
    uint32_t count = r->plan->placement_count, offers = 0;
    const struct plan_placement *p = NULL;
    struct str *known = arena_array(&r->scratch, struct str, count + PLAN_OFFERS_MAX);
    if (!value || !shows)
        return;
    for (uint32_t i = 0; i < count; i++) {
        known[i] = names_text(r->names, r->plan->placements[i].name);
        if (str_equal(known[i], value->text))
            p = &r->plan->placements[i];
    }
    if (p == NULL) {
        unknown_say(r, value, "placement", known, count);
        return;
    }
    out->event = p->name;
    if (str_is(shows->text, "otherwise"))
        return;
    for (uint32_t i = 0; i < p->offer_count; i++) {
        known[offers++] = names_text(r->names, p->offers[i].name);
        if (str_equal(known[i], shows->text))
            out->message = p->offers[i].name;
    }
    if (out->message == NAME_NONE)
        unknown_say(r, shows, "offer", known, offers);
}

static void fact_read(struct reader *r, const struct yaml_node *node, const char *member,
                      struct scenario_fact *out)
{
    static const struct {
        const char *key;
        enum scenario_fact_kind kind;
    } kinds[] = {
        {"event", SCENARIO_EVENT},
        {"identify", SCENARIO_IDENTIFY},
        {"consent", SCENARIO_CONSENT},
        {"open", SCENARIO_OPEN},
        {"click", SCENARIO_CLICK},
        {"complain", SCENARIO_COMPLAIN},
        {"unsubscribe", SCENARIO_UNSUBSCRIBE},
        {"receipt", SCENARIO_RECEIPT},
        {"task", SCENARIO_TASK},
        {"business", SCENARIO_BUSINESS},
        {"enter", SCENARIO_ENTER},
        {"pause", SCENARIO_COMMAND},
        {"resume", SCENARIO_COMMAND},
        {"drain", SCENARIO_COMMAND},
        {"stop", SCENARIO_COMMAND},
        {"kill", SCENARIO_COMMAND},
        {"unkill", SCENARIO_COMMAND},
        {"placement", SCENARIO_LOOK},
    };
    for (size_t i = 0; i < array_count(kinds); i++)
        if (strcmp(kinds[i].key, member) == 0)
            out->kind = kinds[i].kind;
    const struct yaml_node *value = shape_value(node, "", member);
    struct fields fields = {0};
    switch (out->kind) {
    case SCENARIO_EVENT: origin_read(r, node, out); __attribute__((fallthrough));
    case SCENARIO_BUSINESS:
        out->event = value ? names_add(r->names, value->text) : NAME_NONE;
        event_look(r, value, out->event);
        fields_add(r, shape_value(node, "", "properties"), STR(""), &fields);
        out->happened_ms = happened_of(r, shape_value(node, "", "happened"), out->at_ms);
        break;
    case SCENARIO_ENTER:
        out->event = value ? names_add(r->names, value->text) : NAME_NONE;
        fields_add(r, shape_value(node, "", "payload"), STR(""), &fields);
        out->happened_ms = happened_of(r, shape_value(node, "", "happened"), out->at_ms);
        break;
    case SCENARIO_LOOK:
        look_read(r, node, value, out);
        fields_add(r, shape_value(node, "", "context"), STR(""), &fields);
        break;
    case SCENARIO_IDENTIFY: fields = traits_of(r, value); break;
    case SCENARIO_COMMAND: command_of(r, node, member, &out->command); break;
    case SCENARIO_TASK:
        out->event = value && str_is(value->text, "done") ? NAME_TASK_DONE : NAME_TASK_DECLINED;
        out->step = errand_step(r, shape_value(node, "", "of"), 1u << STEP_TASK);
        fields_add(r, shape_value(node, "", "properties"), STR(""), &fields);
        break;
    case SCENARIO_CONSENT: break; /* facts_read() makes one of each channel */
    case SCENARIO_OPEN:
    case SCENARIO_CLICK:
    case SCENARIO_COMPLAIN:
        out->message = message_name(r, value);
        out->is_machine = shape_bool(shape_value(node, "", "machine"), false);
        break;
    case SCENARIO_UNSUBSCRIBE:
        out->consent = (struct scenario_consent){channel_of(value), false, NAME_MARKETING, 0};
        out->message = message_name(r, shape_value(node, "", "of"));
        break;
    case SCENARIO_RECEIPT:
        out->receipt = receipt_of(value);
        out->message = message_name(r, shape_value(node, "", "of"));
        out->code = (int32_t)shape_int(shape_value(node, "", "code"), 0);
        break;
    }
    out->fields = fields.list;
    out->field_count = fields.count;
}

/* Whom the line is about: a person, or whoever an address finds. */
static void address_read(struct reader *r, const struct yaml_node *node, struct scenario_fact *out)
{
    const struct yaml_node *person = shape_value(node, "", "person");
    const struct yaml_node *address = shape_value(node, "", "address");
    const struct yaml_node *of = shape_value(node, "", "of");
    if (node->type != YAML_MAP)
        return;
    if (person && address) {
        findings_add(r->findings, FINDING_CONFLICT, yaml_place(r->file, address),
                     "\"person\" and \"address\" stand together");
    } else if (address && of) {
        findings_add(r->findings, FINDING_CONFLICT, yaml_place(r->file, of),
                     "only a person answers to a message; the line has an address");
    } else if (address) {
        out->address = arena_copy(r->arena, address->text);
        char first = address->text.len ? address->text.at[0] : ' ';
        bool is_phone = first == '+' || (first >= '0' && first <= '9');
        out->address_channel = str_find(address->text, STR("@"), 0) != SIZE_MAX ? CHANNEL_EMAIL
                               : is_phone                                       ? CHANNEL_SMS
                                                                                : CHANNEL_PUSH;
    } else if (!person && !yaml_find_key(node, "person") && !yaml_find_key(node, "address") &&
               out->visitor.len == 0 && !yaml_find_key(node, "business")) {
        findings_add(r->findings, FINDING_MISSING_KEY, yaml_place(r->file, node),
                     "the line does not say who");
        finding_advise(r->findings, "person: ID, or address: ann@example.org");
    }
}

/* How many facts a line is: a consent line is one for each channel. */
static uint32_t fact_count(const struct yaml_node *node, const char *member)
{
    if (!member)
        return 0;
    if (strcmp(member, "consent") != 0)
        return 1;
    const struct yaml_node *consent = shape_value(node, "", "consent");
    return !consent ? 0 : consent->type == YAML_MAP ? consent->count : shape_count(consent);
}

static void facts_read(struct reader *r, const struct yaml_node *list, struct scenario *out)
{
    uint32_t most = 0;
    const struct shape_union *u = shape_union_get("FACT");
    for (uint32_t i = 0; i < shape_count(list); i++)
        most += fact_count(shape_item(list, i), shape_member(shape_item(list, i), u));
    struct scenario_fact *facts = arena_array(r->arena, struct scenario_fact, most);
    uint32_t count = 0;
    int64_t before_ms = SCENARIO_NO_TIME;
    for (uint32_t i = 0; i < shape_count(list); i++) {
        const struct yaml_node *node = shape_item(list, i);
        const char *member = shape_member(node, u);
        if (!member)
            continue;
        struct scenario_fact fact = {
            .place = place_of(r, node),
            .at_ms = fact_moment(r, node, before_ms),
            .happened_ms = SCENARIO_NO_TIME,
            .person = person_of(r, shape_value(node, "", "person")),
        };
        before_ms = fact.at_ms;
        fact_read(r, node, member, &fact);
        if (fact.kind != SCENARIO_COMMAND)
            address_read(r, node, &fact);
        if (fact.kind != SCENARIO_CONSENT) {
            facts[count++] = fact;
            continue;
        }
        const struct yaml_node *topic = shape_value(node, "", "topic");
        const struct scenario_consent *consents;
        uint32_t channels =
            consents_of(r, shape_value(node, "", "consent"),
                        topic ? names_add(r->names, topic->text) : NAME_NONE, &consents);
        for (uint32_t k = 0; k < channels; k++) {
            fact.consent = consents[k];
            facts[count++] = fact;
        }
    }
    must(count <= most);
    if (count)
        qsort(facts, count, sizeof(*facts), fact_order);
    out->facts = facts;
    out->fact_count = count;
}

/* ---- expectations ---------------------------------------------------------------------------- */

/* The name of the step's way number k, which people may be expected to take; false: it has no more. */
static bool way_of_step(const struct plan *plan, const struct plan_step *step, uint32_t k,
                        uint32_t *name)
{
    bool is_there = false;
    *name = NAME_NONE;
    if (step->kind == STEP_SPLIT && (is_there = k < step->split.arm_count))
        *name = step->split.arms[k].name;
    else if (step->kind == STEP_WAIT && (is_there = k < step->wait.ending_count))
        *name = step->wait.endings[k].label;
    else if (step->kind == STEP_CHOOSE && (is_there = k < step->choose.count))
        *name = step->choose.candidates[k].name;
    else if ((step->kind == STEP_CALL || step->kind == STEP_TASK) &&
             (is_there = k + 1 < ERRAND_ENDINGS)) {
        const struct plan_errand *e = &plan->errands[step->errand.errand];
        if (errand_can_end((enum errand_kind)e->kind, (enum errand_ending)(k + 1)))
            *name = e->endings[k + 1];
    }
    return is_there;
}

/* An arm or label of the journey. */
static uint32_t took_of(struct reader *r, uint16_t journey, const struct yaml_node *node)
{
    if (!node || journey == PLAN_NO_INDEX)
        return NAME_NONE;
    const struct plan_journey *j = &r->plan->journeys[journey];
    uint32_t name = names_find(r->names, node->text);
    struct str known[64];
    size_t count = 0;
    for (uint32_t i = 0; i < j->step_count; i++) {
        const struct plan_step *step = &j->steps[i];
        uint32_t own;
        for (uint32_t k = 0; way_of_step(r->plan, step, k, &own); k++) {
            if (own == name && name != NAME_NONE)
                return name;
            if (own != NAME_NONE && count < array_count(known))
                known[count++] = names_text(r->names, own);
        }
    }
    for (uint32_t i = 0; i < j->milestone_count; i++) {
        if (j->milestones[i].name == name && name != NAME_NONE)
            return name;
        if (count < array_count(known))
            known[count++] = names_text(r->names, j->milestones[i].name);
    }
    findings_add(r->findings, FINDING_UNKNOWN_NAME, yaml_place(r->file, node),
                 "the journey has no arm and no label \"%.*s\"", STR_ARG(node->text));
    struct str near = str_nearest(node->text, known, count);
    if (near.len)
        finding_advise(r->findings, "did you mean \"%.*s\"?", STR_ARG(near));
    return NAME_NONE;
}

static void expect_read(struct reader *r, const struct yaml_node *node, const char *member,
                        struct scenario_expect *out)
{
    static const struct {
        const char *key;
        enum scenario_expect_kind kind;
    } kinds[] = {
        {"entered", EXPECT_ENTERED},
        {"not_entered", EXPECT_NOT_ENTERED},
        {"ends", EXPECT_ENDS},
        {"in_step", EXPECT_IN_STEP},
        {"took", EXPECT_TOOK},
        {"sent", EXPECT_SENT},
        {"not_sent", EXPECT_NOT_SENT},
        {"outcome", EXPECT_OUTCOME},
        {"in_segment", EXPECT_IN_SEGMENT},
        {"not_in_segment", EXPECT_NOT_IN_SEGMENT},
        {"refused", EXPECT_REFUSED},
        {"stage", EXPECT_STAGE},
        {"audience", EXPECT_IN_AUDIENCE},
        {"called", EXPECT_CALLED},
        {"not_called", EXPECT_NOT_CALLED},
        {"task", EXPECT_TASK_OPEN},
    };
    const struct yaml_node *value = shape_value(node, "", member);
    const struct yaml_node *reason = shape_value(node, "", "reason");
    enum outcome outcome = OUTCOME_NONE;
    enum journey_end end = JOURNEY_RUNNING;
    *out = (struct scenario_expect){
        .place = place_of(r, node),
        .person = person_of(r, shape_value(node, "", "person")),
        .journey = journey_of(r, shape_value(node, "", "journey")),
        .message = PLAN_NO_INDEX,
        .channel = channel_of(shape_value(node, "", "channel")),
        .times = (int32_t)shape_int(shape_value(node, "", "times"), -1),
        .at_ms = SCENARIO_NO_TIME,
        .before_ms = SCENARIO_NO_TIME,
        .after_ms = SCENARIO_NO_TIME,
    };
    for (size_t i = 0; i < array_count(kinds); i++)
        if (strcmp(kinds[i].key, member) == 0)
            out->kind = kinds[i].kind;
    switch (out->kind) {
    case EXPECT_ENTERED:
        out->times = (int32_t)shape_int(value, -1);
        out->at_ms = moment_of(r, shape_value(node, "", "at"));
        out->before_ms = moment_of(r, shape_value(node, "", "before"));
        out->after_ms = moment_of(r, shape_value(node, "", "after"));
        return;
    case EXPECT_REFUSED:
        for (int i = 1; value && i < REFUSAL_END; i++)
            if (str_is(value->text, refusal_name((enum refusal)i)))
                out->refusal = (uint8_t)i;
        return;
    case EXPECT_NOT_ENTERED: return;
    case EXPECT_ENDS:
        if (value && end_find(value->text, &end))
            out->end = (uint8_t)end;
        return;
    case EXPECT_IN_STEP:
    case EXPECT_NOT_CALLED: out->step = step_of(r, out->journey, value); return;
    case EXPECT_CALLED:
        out->step = step_of(r, out->journey, value);
        out->at_ms = moment_of(r, shape_value(node, "", "at"));
        out->before_ms = moment_of(r, shape_value(node, "", "before"));
        out->after_ms = moment_of(r, shape_value(node, "", "after"));
        return;
    case EXPECT_TASK_CLOSED:
    case EXPECT_TASK_OPEN:
        if (str_is(shape_text(shape_value(node, "", "is"), STR("open")), "closed"))
            out->kind = EXPECT_TASK_CLOSED;
        out->step = step_of(r, out->journey, value);
        out->at_ms = moment_of(r, shape_value(node, "", "at"));
        return;
    case EXPECT_TOOK: out->arm = took_of(r, out->journey, value); return;
    case EXPECT_IN_SEGMENT:
    case EXPECT_NOT_IN_SEGMENT:
        out->segment = segment_of(r, value);
        out->at_ms = moment_of(r, shape_value(node, "", "at"));
        return;
    case EXPECT_OUT_OF_AUDIENCE:
    case EXPECT_IN_AUDIENCE:
        if (str_is(shape_text(shape_value(node, "", "is"), STR("in")), "out"))
            out->kind = EXPECT_OUT_OF_AUDIENCE;
        out->segment = audience_of(r, value);
        out->at_ms = moment_of(r, shape_value(node, "", "at"));
        return;
    case EXPECT_STAGE:
        out->segment = stage_of(r, value);
        out->at_ms = moment_of(r, shape_value(node, "", "at"));
        return;
    case EXPECT_SENT:
        out->message = message_of(r, value);
        out->at_ms = moment_of(r, shape_value(node, "", "at"));
        out->before_ms = moment_of(r, shape_value(node, "", "before"));
        out->after_ms = moment_of(r, shape_value(node, "", "after"));
        return;
    case EXPECT_NOT_SENT:
        out->message = message_of(r, value);
        if (reason && outcome_find(reason->text, &outcome))
            out->outcome = (uint8_t)outcome;
        return;
    case EXPECT_OUTCOME:
        out->message = message_of(r, shape_value(node, "", "of"));
        if (value && outcome_find(value->text, &outcome))
            out->outcome = (uint8_t)outcome;
        return;
    }
}

static void expects_read(struct reader *r, const struct yaml_node *node,
                         const struct yaml_node *list, struct scenario *out)
{
    const struct shape_union *u = shape_union_get("EXPECT");
    struct scenario_expect *expects =
        arena_array(r->arena, struct scenario_expect, shape_count(list));
    uint32_t count = 0;
    for (uint32_t i = 0; i < shape_count(list); i++) {
        const struct yaml_node *item = shape_item(list, i);
        const char *member = shape_member(item, u);
        if (member)
            expect_read(r, item, member, &expects[count++]);
    }
    out->expects = expects;
    out->expect_count = count;
    bool has_looks = false;
    for (uint32_t i = 0; i < out->fact_count; i++)
        has_looks |= out->facts[i].kind == SCENARIO_LOOK;
    if (shape_count(list) == 0 && !has_looks && !(list && list->is_bad))
        findings_add(r->findings, FINDING_MISSING_KEY, yaml_place(r->file, list ? list : node),
                     "the test expects nothing");
}

/* ---- files ----------------------------------------------------------------------------------- */

static void scenario_read(struct reader *r, const struct yaml_node *node, struct scenario *out)
{
    const struct yaml_node *given = shape_value(node, "", "given");
    const struct yaml_node *from = shape_value(node, "", "from");
    const struct yaml_node *until = shape_value(node, "", "until");
    *out = (struct scenario){
        .place = place_of(r, node),
        .it = arena_copy(r->arena, shape_text(shape_value(node, "", "it"), STR(""))),
        .requirement =
            arena_copy(r->arena, shape_text(shape_value(node, "", "requirement"), STR(""))),
    };
    r->current = out;
    people_read(r, shape_value(given, "", "people"), out);
    answers_read(r, shape_value(given, "", "answers"), out);
    facts_read(r, shape_value(node, "", "when"), out);
    expects_read(r, node, shape_value(node, "", "expect"), out);
    int64_t last_ms = out->fact_count ? out->facts[out->fact_count - 1].at_ms : SCENARIO_NO_TIME;
    for (uint32_t i = 0; i < out->person_count; i++) {
        const struct scenario_person *person = &out->people[i];
        if (person->history_count)
            last_ms = max_of(last_ms, person->history[person->history_count - 1].at_ms);
    }
    out->from_ms = moment_of(r, from);
    if (last_ms == SCENARIO_NO_TIME)
        last_ms = out->from_ms;
    if (out->from_ms != SCENARIO_NO_TIME && out->fact_count &&
        out->facts[0].at_ms <= out->from_ms) {
        findings_add(r->findings, FINDING_WRONG_VALUE, yaml_place(r->file, from),
                     "the test's time begins after its first line");
    }
    out->until_ms =
        until ? moment_of(r, until) : (last_ms == SCENARIO_NO_TIME ? 0 : last_ms) + SCENARIO_RUN_MS;
    if (until && out->until_ms != SCENARIO_NO_TIME && last_ms != SCENARIO_NO_TIME &&
        out->until_ms < last_ms)
        findings_add(r->findings, FINDING_WRONG_VALUE, yaml_place(r->file, until),
                     "the test's time ends before its last line");
}

static void file_read(struct reader *r, const struct programme_file *source)
{
    struct yaml_file *file = arena_new(&r->scratch, struct yaml_file);
    bool is_fine = yaml_read(source->path, source->text, &r->scratch, file, r->findings);
    if (!file->root) {
        if (is_fine)
            findings_add(r->findings, FINDING_MISSING_KEY, (struct place){source->path, 0, 0},
                         "the file is empty");
        return;
    }
    r->file = file;
    r->check.file = file;
    if (file->root->type != YAML_LIST) {
        shape_check_list(&r->check, shape_get("SCENARIO"), file->root);
        return;
    }
    for (uint32_t i = 0; i < file->root->count && r->count < SCENARIOS_MAX; i++) {
        if (r->count == r->room) {
            uint32_t room = r->room ? r->room * 2 : 32;
            struct scenario *grown = arena_array(r->arena, struct scenario, room);
            if (r->count)
                memcpy(grown, r->list, r->count * sizeof(*grown));
            r->list = grown;
            r->room = room;
        }
        uint32_t errors = r->findings->error_count;
        shape_check(&r->check, shape_get("SCENARIO"), file->root->items[i]);
        scenario_read(r, file->root->items[i], &r->list[r->count]);
        if (r->findings->error_count == errors) /* else it is left out */
            r->count++;
    }
}

/* Each not_sent has a twin that shows that the message is sent where its cause is absent: otherwise a
 * message that is never sent at all would pass every such test. */
static void twins_look(struct reader *r)
{
    bool *is_sent = arena_array(&r->scratch, bool, r->plan->message_count);
    for (uint32_t i = 0; i < r->count; i++)
        for (uint32_t k = 0; k < r->list[i].expect_count; k++)
            if (r->list[i].expects[k].kind == EXPECT_SENT)
                is_sent[r->list[i].expects[k].message] = true;
    for (uint32_t i = 0; i < r->count; i++) {
        for (uint32_t k = 0; k < r->list[i].expect_count; k++) {
            const struct scenario_expect *expect = &r->list[i].expects[k];
            if (expect->kind != EXPECT_NOT_SENT || is_sent[expect->message])
                continue;
            is_sent[expect->message] = true; /* once is enough */
            findings_add(r->findings, FINDING_NO_TWIN, expect->place,
                         "no test shows that \"%.*s\" is sent when nothing stands in its way",
                         STR_ARG(names_text(r->names, r->plan->messages[expect->message].name)));
            finding_advise(r->findings, "add a twin without the cause that expects \"sent\"");
        }
    }
}

enum status scenarios_read(const struct programme_folder *folder, const struct plan *plan,
                           struct names *names, struct arena *arena, const struct scenario **list,
                           uint32_t *count, struct findings *findings)
{
    uint32_t errors = findings->error_count;
    struct reader r = {
        .folder = folder,
        .plan = plan,
        .names = names,
        .arena = arena,
        .findings = findings,
    };
    arena_init(&r.scratch, 64 * 1024);
    r.check = (struct shape_check){.findings = findings, .scratch = &r.scratch};
    for (uint32_t i = 0; i < folder->file_count; i++)
        if (str_starts(folder->files[i].path, STR("tests/")) &&
            str_ends(folder->files[i].path, STR(".yaml")))
            file_read(&r, &folder->files[i]);
    twins_look(&r);
    arena_fini(&r.scratch);
    *list = r.list;
    *count = r.count;
    return findings->error_count == errors ? OK : FIX_INPUT;
}
