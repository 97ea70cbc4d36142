/* journey_enter.c - who enters a journey, by which ways, and when again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

static void entry_add(struct builder *b, struct plan_listen listen)
{
    struct plan_journey *journey = b->journey;
    if (journey->entry_count == b->entry_room) {
        uint32_t room = b->entry_room ? b->entry_room * 2 : 4;
        struct plan_listen *grown = arena_array(b->c->arena, struct plan_listen, room);
        if (journey->entry_count)
            memcpy(grown, b->entries, journey->entry_count * sizeof(*grown));
        journey->entries = b->entries = grown;
        b->entry_room = room;
    }
    b->entries[journey->entry_count++] = listen;
}

/* The journey is one of those that the event may enter. */
static void entry_note(struct builder *b, struct compile_event *event)
{
    if (event->entry_count && event->entries[event->entry_count - 1] == b->file->index)
        return;
    if (event->entry_count == event->entry_room) {
        uint32_t room = event->entry_room ? event->entry_room * 2 : 4;
        uint16_t *grown = arena_array(b->c->arena, uint16_t, room);
        if (event->entry_count)
            memcpy(grown, event->entries, event->entry_count * sizeof(*grown));
        event->entries = grown;
        event->entry_room = room;
    }
    event->entries[event->entry_count++] = b->file->index;
}

/* existing: skip | enter | {pace: 5000/h} */
static bool takes_existing(struct builder *b, const struct yaml_node *enter, struct plan_pace *pace)
{
    struct compile *c = b->c;
    const struct yaml_node *node = shape_value(enter, "event", "existing");
    const struct yaml_node *text = shape_value(node, "then", "pace");
    *pace = (struct plan_pace){0};
    if (!node)
        return false;
    if (!yaml_find_key(enter, "segment") && !yaml_find_key(enter, "if"))
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, node),
                     "\"existing\" means nothing without \"segment\" or \"if\"");
    if (text && node->type == YAML_MAP && !pace_parse(text->text, pace))
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, text),
                     "\"pace\" wants a number in a time, 5000/h, not \"%.*s\"",
                     STR_ARG(str_part(text->text, 0, 60)));
    return !str_is(shape_text(shape_value(node, "then", "then"), STR("enter")), "skip");
}

static void existing_add(struct builder *b, const struct yaml_node *enter, uint32_t segment,
                         uint32_t event, struct plan_expr people)
{
    struct plan_journey *journey = b->journey;
    struct plan_pace pace;
    if (event == NAME_NONE || !takes_existing(b, enter, &pace))
        return;
    if (pace.count != 0) {
        way_add_existing(b->c, b->yaml, enter, b->file->index, b->ways, &journey->way_count, event,
                         people, pace);
        return;
    }
    struct plan_existing *grown =
        arena_array(b->c->arena, struct plan_existing, journey->existing_count + 1);
    if (journey->existing_count)
        memcpy(grown, journey->existing, journey->existing_count * sizeof(*grown));
    grown[journey->existing_count++] = (struct plan_existing){segment, event};
    journey->existing = grown;
    b->c->plan->has_existing = true;
}

static void entry_segment(struct builder *b, const struct yaml_node *node, uint32_t event,
                          const struct plan_expr *when)
{
    if (event == NAME_NONE)
        return;
    struct compile_event *heard = build_event(b->c, event, yaml_place(b->yaml, node));
    heard->is_ours = true;
    entry_note(b, heard);
    entry_add(b, (struct plan_listen){.event = event, .when = *when});
}

/* Segments that are entered or left, and a condition that turns true, which is a segment of its own. */
static void entries_of_segments(struct builder *b, const struct yaml_node *enter,
                                const struct plan_expr *when)
{
    static const char *const keys[] = {"segment", "segment_left"};
    struct compile *c = b->c;
    if (enter->type != YAML_MAP)
        return;
    if (!yaml_find_key(enter, "segment") && !yaml_find_key(enter, "if"))
        (void)takes_existing(b, enter, &(struct plan_pace){0});
    for (size_t k = 0; k < array_count(keys); k++) {
        const struct yaml_node *names = shape_value(enter, "event", keys[k]);
        for (uint32_t i = 0; i < shape_count(names); i++) {
            const struct yaml_node *node = shape_item(names, i);
            uint32_t event = segment_event(c, b->yaml, node, k == 1);
            entry_segment(b, node, event, when);
            struct plan_expr people = {.text = STR("")};
            struct str text =
                arena_printf(&c->scratch, "in_segment(\"%.*s\")", STR_ARG(node->text));
            if (k == 0 && event != NAME_NONE &&
                scope_compile_part(c, b->yaml, node, text, 0,
                                   (struct scope_target){.wanted = EXPR_WANT_BOOL}, &people))
                existing_add(b, enter, names_find(c->names, node->text), event, people);
        }
    }
    const struct yaml_node *condition = shape_value(enter, "event", "if");
    if (!condition)
        return;
    struct str own = arena_printf(&c->scratch, "$enter:%.*s", STR_ARG(b->file->name));
    if (b->condition_count++ > 0)
        own = arena_printf(&c->scratch, "%.*s:%u", STR_ARG(own), b->condition_count);
    uint32_t name = build_name(c, own);
    if (name == NAME_NONE ||
        !segment_of_condition(c, b->yaml, condition, condition->text, 0, SEGMENT_ENTRY, name))
        return;
    build_segment(c, name)->is.entered = name;
    entry_segment(b, condition, name, when);
    existing_add(b, enter, name, name, build_segment(c, name)->is.when);
}

/* Is it only the clock by which people enter there? Then no event comes with them. */
static bool is_of_clock(const struct yaml_node *enter)
{
    static const char *const events[] = {"event", "segment",        "segment_left",
                                         "if",    "business_event", "api"};
    if (enter->type != YAML_MAP ||
        (!yaml_find_key(enter, "schedule") && !yaml_find_key(enter, "date")))
        return false;
    for (size_t i = 0; i < array_count(events); i++)
        if (yaml_find_key(enter, events[i]))
            return false;
    return true;
}

/* The ways in of one node: `enter` itself, or an item of enter.any. */
static void entries_compile(struct builder *b, const struct yaml_node *enter)
{
    struct compile *c = b->c;
    const struct yaml_node *events = shape_value(enter, "event", "event");
    struct scope_target target = builder_target(b, SCOPE_EVENT | SCOPE_ONCE, EXPR_WANT_BOOL);
    struct plan_expr when;
    target.kept = NULL;
    if (is_of_clock(enter))
        target.flags |= SCOPE_CLOCK;
    scope_compile_when(c, b->yaml, enter->type == YAML_MAP ? enter : NULL, target, &when);
    uint32_t way_first = b->journey->way_count;
    const struct plan_way *collects =
        ways_compile(c, b->yaml, enter, b->file->index, b->ways, &b->journey->way_count);
    uint32_t own_first = b->journey->entry_count;
    for (uint32_t i = 0; i < shape_count(events); i++) {
        const struct yaml_node *node = shape_item(events, i);
        if (node->is_bad || node->type != YAML_TEXT)
            continue;
        uint32_t name = build_name(c, node->text);
        if (name == NAME_NONE)
            continue;
        bool is_twice = false;
        for (uint32_t k = own_first; k < b->journey->entry_count; k++)
            is_twice |= b->entries[k].event == name;
        if (is_twice) {
            findings_add(c->findings, FINDING_NAME_TWICE, yaml_place(b->yaml, node),
                         "the event \"%.*s\" stands here twice", STR_ARG(node->text));
            continue;
        }
        entry_note(b, build_event(c, name, yaml_place(b->yaml, node)));
        entry_add(b, (struct plan_listen){.event = name, .when = when, .way = collects});
    }
    entries_of_segments(b, enter, &when);
    for (uint32_t i = way_first; i < b->journey->way_count; i++)
        if (b->ways[i].kind != WAY_EVENT)
            entry_add(b, (struct plan_listen){
                             .event = b->ways[i].event, .when = when, .way = &b->ways[i]});
}

/* The ways move to where the plan is, and the entries that name them with them. */
static void ways_keep(struct builder *b)
{
    struct plan_journey *journey = b->journey;
    struct plan_way *ways = arena_array(b->c->arena, struct plan_way, journey->way_count);
    for (uint32_t i = 0; i < journey->way_count; i++)
        ways[i] = b->ways[i];
    for (uint32_t i = 0; i < journey->entry_count; i++)
        if (b->entries[i].way)
            b->entries[i].way = &ways[b->entries[i].way - b->ways];
    journey->ways = ways;
}

/* Has `enter` no key that could enter anybody? */
static bool says_no_way(const struct yaml_node *enter)
{
    static const char *const others[] = {"when",         "unless",  "key",  "again",   "at_once",
                                         "max_lateness", "collect", "pace", "existing"};
    if (enter->type != YAML_MAP || enter->is_bad)
        return false;
    for (uint32_t i = 0; i < enter->count; i++) {
        bool is_other = false;
        for (size_t k = 0; k < array_count(others); k++)
            is_other |= str_is(enter->pairs[i].key->text, others[k]);
        if (!is_other)
            return false;
    }
    return true;
}

void enter_compile(struct builder *b, const struct yaml_node *enter)
{
    struct compile *c = b->c;
    struct plan_journey *journey = b->journey;
    journey->again = AGAIN_ALWAYS;
    journey->again_of_end = true;
    journey->at_once_max = 1;
    if (!enter)
        return;
    b->ways = arena_array(&c->scratch, struct plan_way, PLAN_WAYS_MAX);
    entries_compile(b, enter);
    const struct yaml_node *any =
        enter->type == YAML_MAP ? shape_value(enter, "event", "any") : NULL;
    for (uint32_t i = 0; i < shape_count(any); i++)
        entries_compile(b, shape_item(any, i));
    if (any && any->type == YAML_LIST && shape_count(any) == 0)
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, any),
                     "the list is empty, so that nothing enters the journey");
    ways_keep(b);
    if (says_no_way(enter)) {
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, enter),
                     "nothing enters the journey");
        finding_advise(
            c->findings,
            "say what does: event, segment, if, schedule, date, business_event, api, handoff, run");
    }
    const struct yaml_node *key = shape_value(enter, "event", "key");
    if (key) {
        struct str path = str_trim(key->text);
        if (str_starts(path, STR("event.")))
            path = str_part(path, 6, path.len);
        bool is_path =
            path.len > 0 && !str_starts(path, STR("entry.")) && !str_starts(path, STR("traits."));
        for (size_t i = 0; i < path.len; i++)
            is_path &= strchr("()[]+\"' ,", path.at[i]) == NULL;
        if (is_path)
            journey->key = build_name(c, path);
        else
            findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, key),
                         "the key is a property of the event, such as event.cart_id");
    }
    const struct yaml_node *again = shape_value(enter, "event", "again");
    struct str after = shape_text(shape_value(again, "after", "after"), STR("always"));
    if (str_is(after, "never"))
        journey->again = AGAIN_NEVER;
    else if (!str_is(after, "always"))
        journey->again = AGAIN_AFTER;
    journey->again_ms = shape_span_ms(shape_value(again, "after", "after"), 0);
    journey->again_of_end =
        !str_is(shape_text(shape_value(again, "after", "of"), STR("end")), "start");
    const struct yaml_node *per = shape_value(again, "after", "per");
    journey->again_per_key = str_is(shape_text(per, STR("person")), "key");
    const struct yaml_node *at_once = shape_value(enter, "event", "at_once");
    const struct yaml_node *once_per = shape_value(at_once, "max", "per");
    journey->at_once_max = (uint32_t)shape_int(shape_value(at_once, "max", "max"), 1);
    journey->at_once_per_key = once_per ? str_is(once_per->text, "key") : journey->key != NAME_NONE;
    const struct yaml_node *then = shape_value(at_once, "max", "then");
    if (str_is(shape_text(then, STR("ignore")), "restart"))
        journey->at_once_then = AT_ONCE_RESTART;
    if (then && str_is(then->text, "queue"))
        journey->at_once_then = AT_ONCE_QUEUE;
    const struct yaml_node *needs_key[] = {journey->again_per_key ? per : NULL,
                                           journey->at_once_per_key ? once_per : NULL};
    for (size_t i = 0; i < array_count(needs_key); i++)
        if (needs_key[i] && journey->key == NAME_NONE && !key)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, needs_key[i]),
                         "\"per: key\" needs a \"key\" in enter");
    journey->max_lateness_ms = shape_span_ms(shape_value(enter, "event", "max_lateness"), 0);
}
