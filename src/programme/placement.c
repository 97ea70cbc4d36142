/* placement.c - `placements` of programme.yaml: places on pages and in apps, and what they may show.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "json/json_write.h"

#define SESSION_MS (30 * MINUTE_MS) /* of an app, unless said otherwise */

static const struct yaml_file *file_of(const struct compile *c)
{
    return &c->settings->yaml;
}

/* ---- content -------------------------------------------------------------------------------------- */

static void write_node(struct json_writer *w, const struct yaml_node *node)
{
    switch ((enum yaml_type)node->type) {
    case YAML_MAP:
        json_write_map(w);
        for (uint32_t i = 0; i < node->count; i++) {
            json_write_key(w, node->pairs[i].key->text);
            write_node(w, node->pairs[i].value);
        }
        json_write_end(w);
        return;
    case YAML_LIST:
        json_write_list(w);
        for (uint32_t i = 0; i < node->count; i++)
            write_node(w, node->items[i]);
        json_write_end(w);
        return;
    case YAML_NULL: json_write_null(w); return;
    case YAML_BOOL: json_write_bool(w, node->boolean); return;
    case YAML_INT: json_write_int(w, node->integer); return;
    case YAML_DOUBLE: json_write_double(w, node->number); return;
    case YAML_TEXT: json_write_text(w, node->text); return;
    }
}

/* As JSON; "null" where there is none. */
static struct str content_of(struct compile *c, const struct yaml_node *node)
{
    struct json_writer w;
    struct buf text;
    if (node == NULL)
        return STR("null");
    buf_init(&text);
    json_write_init(&w, &text, JSON_COMPACT);
    write_node(&w, node);
    struct str kept = arena_copy(c->arena, buf_str(&text));
    buf_fini(&text);
    return kept;
}

/* ---- offers --------------------------------------------------------------------------------------- */

static struct scope_target target(enum expr_wanted wanted)
{
    return (struct scope_target){.flags = SCOPE_EVENT | SCOPE_ONCE, .wanted = wanted};
}

static void with_read(struct compile *c, const struct yaml_node *map, struct plan_offer *x)
{
    uint32_t count = map && map->type == YAML_MAP ? map->count : 0;
    if (count > PLAN_OFFER_FIELDS_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(file_of(c), map),
                     "an offer has at most %d fields", PLAN_OFFER_FIELDS_MAX);
        return;
    }
    struct plan_offer_field *fields = arena_array(c->arena, struct plan_offer_field, count);
    for (uint32_t i = 0; i < count; i++) {
        fields[i].name = arena_copy(c->arena, map->pairs[i].key->text);
        scope_compile(c, file_of(c), map->pairs[i].value, target(EXPR_WANT_ANY), &fields[i].value);
    }
    x->fields = fields;
    x->field_count = count;
}

/* How often it was seen is asked as anybody could: of the events that say so. */
static void seldom_read(struct compile *c, const struct yaml_node *node, struct str placement,
                        struct plan_offer *x)
{
    const struct yaml_node *most = shape_value(node, "", "at_most");
    const struct yaml_node *per = shape_value(node, "", "per");
    if (per && !most)
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(file_of(c), per),
                     "\"per\" belongs to at_most");
    if (!most || most->is_bad || (per && per->is_bad))
        return;
    struct str text = arena_printf(
        c->arena,
        "count(\"Offer Shown\", \"%.*s\", e, e.placement == \"%.*s\" && e.offer == \"%.*s\") < %ld",
        STR_ARG(per ? per->text : STR("1d")), STR_ARG(placement),
        STR_ARG(names_text(c->names, x->name)), most->integer);
    scope_compile_part(c, file_of(c), most, text, 0, target(EXPR_WANT_BOOL), &x->seldom);
}

static void offer_compile(struct compile *c, const struct yaml_node *node, struct str placement,
                          struct plan_offer *x)
{
    const struct yaml_node *name = shape_value(node, "", "offer");
    const struct yaml_node *score = shape_value(node, "", "score");
    const struct yaml_node *when = shape_value(node, "", "if");
    const struct yaml_node *unless = shape_value(node, "", "unless");
    if (!name)
        return;
    *x = (struct plan_offer){
        .name = build_name(c, name->text),
        .priority = (int32_t)shape_int(shape_value(node, "", "priority"), 0),
        .content = content_of(c, shape_value(node, "", "content")),
    };
    if (when && unless)
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(file_of(c), unless),
                     "\"if\" and \"unless\" stand together");
    struct scope_target condition = target(EXPR_WANT_BOOL);
    condition.flags |= when ? 0 : SCOPE_NOT;
    scope_compile(c, file_of(c), when ? when : unless, condition, &x->when);
    scope_compile(c, file_of(c), score, target(EXPR_WANT_NUMBER), &x->score);
    if (score && shape_value(node, "", "priority"))
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(file_of(c), score),
                     "\"priority\" and \"score\" both say how good it is");
    seldom_read(c, node, placement, x);
    with_read(c, shape_value(node, "", "with"), x);
}

static void placement_compile(struct compile *c, const struct yaml_node *key,
                              const struct yaml_node *node, struct plan_placement *p)
{
    const struct yaml_node *list = shape_value(node, "", "offers");
    const struct yaml_node *on = shape_value(node, "", "channel");
    uint16_t category = build_category(c, file_of(c), shape_value(node, "", "category"));
    enum channel channel = CHANNEL_WEB;
    if (on && !on->is_bad)
        (void)channel_find(on->text, &channel);
    p->name = build_name(c, key->text);
    p->channel = (uint8_t)channel;
    p->session_ms =
        shape_span_ms(shape_value(node, "", "session"), channel == CHANNEL_IN_APP ? SESSION_MS : 0);
    p->message.name = p->message.content_key = p->name;
    p->message.category = category == PLAN_NO_INDEX ? 0 : category;
    if (category != PLAN_NO_INDEX)
        p->message.topic = c->plan->categories[category].topic;
    p->otherwise = content_of(c, shape_value(node, "", "otherwise"));
    uint32_t count = shape_count(list);
    if (count > PLAN_OFFERS_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(file_of(c), list),
                     "a placement has at most %d offers", PLAN_OFFERS_MAX);
        count = PLAN_OFFERS_MAX;
    }
    struct plan_offer *offers = arena_array(c->arena, struct plan_offer, count);
    for (uint32_t i = 0; i < count; i++) {
        offer_compile(c, shape_item(list, i), key->text, &offers[i]);
        for (uint32_t k = 0; k < i; k++)
            if (offers[k].name == offers[i].name && offers[i].name != NAME_NONE)
                findings_add(
                    c->findings, FINDING_NAME_TWICE, yaml_place(file_of(c), shape_item(list, i)),
                    "there are two offers \"%.*s\"", STR_ARG(names_text(c->names, offers[i].name)));
    }
    p->offers = offers;
    p->offer_count = count;
}

void placements_compile(struct compile *c)
{
    const struct yaml_node *map = shape_value(c->settings->yaml.root, "", "placements");
    uint32_t count = map != NULL && map->type == YAML_MAP ? map->count : 0;
    if (count > PLAN_PLACEMENTS_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(file_of(c), map),
                     "a programme has at most %d placements", PLAN_PLACEMENTS_MAX);
        return;
    }
    struct plan_placement *placements = arena_array(c->arena, struct plan_placement, count);
    for (uint32_t i = 0; i < count; i++)
        placement_compile(c, map->pairs[i].key, map->pairs[i].value, &placements[i]);
    c->plan->placements = placements;
    c->plan->placement_count = count;
}
