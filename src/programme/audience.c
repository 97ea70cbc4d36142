/* audience.c - `audiences` of programme.yaml: lists of people at ad networks; and the step that puts people
 * there.
 *
 * What the provider is told is a webhook's message that nobody writes: it is compiled here, and an action
 * means it by a number behind those of the messages (plan_message_at).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "channel/channel.h"

static const struct yaml_file *settings_file(const struct compile *c)
{
    return &c->settings->yaml;
}

/* The provider, which must be one of webhooks. */
static uint16_t provider_of(struct compile *c, const struct yaml_node *node)
{
    uint16_t index = build_provider(c, settings_file(c), node);
    if (index == PLAN_NO_INDEX || c->providers[index].channel == CHANNEL_WEBHOOK)
        return index;
    findings_add(c->findings, FINDING_CONFLICT, yaml_place(settings_file(c), node),
                 "an audience is told of by webhook; the provider \"%.*s\" carries %.*s",
                 STR_ARG(node->text),
                 STR_ARG(channel_name((enum channel)c->providers[index].channel)));
    finding_advise(c->findings, "a provider with kind: webhook and channel: webhook");
    return PLAN_NO_INDEX;
}

/* {"type":"audience","action":"add","audience":"NAME","identifier":"email_sha256","members":["..."]} */
static const struct channel_template *template_of(struct compile *c, enum channel identifier)
{
    static const char *const paths[AUDIENCE_FIELDS] = {"action", "audience", "member"};
    struct channel_template *template = NULL;
    struct fault f = {0};
    struct channel_source source = {
        .name = STR("json"),
        .text = arena_printf(&c->scratch,
                             "{\"type\":\"audience\",\"action\":\"{{ action }}\","
                             "\"audience\":\"{{ audience }}\",\"identifier\":\"%s_sha256\","
                             "\"members\":[\"{{ member }}\"]}",
                             identifier == CHANNEL_SMS ? "phone" : "email"),
        .file = STR("audience"),
        .line = 1,
    };
    must(channel_compile(CHANNEL_WEBHOOK, &source, 1, NULL, 0, c->arena, &template, &f) == OK);
    size_t count;
    const struct channel_field *fields = channel_template_fields(template, &count);
    must(count == AUDIENCE_FIELDS);
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < AUDIENCE_FIELDS; k++)
            if (str_is(fields[i].path, paths[k]))
                channel_template_bind(template, i, k);
    return template;
}

static void audience_compile(struct compile *c, const struct yaml_node *key,
                             const struct yaml_node *node, struct plan_audience *out)
{
    static const uint32_t no_slots[AUDIENCE_FIELDS] = {0}; /* frozen by decide/listing.c */
    const struct yaml_node *content_key = shape_value(node, "", "content_key");
    uint16_t category = build_category(c, settings_file(c), shape_value(node, "", "category"));
    struct plan_message *m = &out->export;
    out->name = build_name(c, key->text);
    out->identifier = str_is(shape_text(shape_value(node, "", "send"), STR("email")), "phone")
                          ? CHANNEL_SMS
                          : CHANNEL_EMAIL;
    m->name = out->name;
    m->category = category == PLAN_NO_INDEX ? 0 : category;
    m->content_key = content_key ? build_name(c, content_key->text) : m->name;
    m->has_content_key = content_key != NULL;
    if (category != PLAN_NO_INDEX) {
        m->topic = c->plan->categories[category].topic;
        m->valid_for_ms = c->plan->categories[category].valid_for_ms;
    }
    m->channel_mask = 1u << CHANNEL_WEBHOOK;
    m->field_count = AUDIENCE_FIELDS;
    m->fields = no_slots;
    m->templates[CHANNEL_WEBHOOK] = template_of(c, (enum channel)out->identifier);
    for (int i = 0; i < CHANNEL_END; i++)
        m->providers[i] = PLAN_NO_INDEX;
    m->providers[CHANNEL_WEBHOOK] = provider_of(c, shape_value(node, "", "provider"));
}

void audiences_compile(struct compile *c)
{
    const struct yaml_node *map = shape_value(c->settings->yaml.root, "", "audiences");
    uint32_t count = map != NULL && map->type == YAML_MAP ? map->count : 0;
    if (count > PLAN_AUDIENCES_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(settings_file(c), map),
                     "a programme has at most %d audiences", PLAN_AUDIENCES_MAX);
        return;
    }
    struct plan_audience *audiences = arena_array(c->arena, struct plan_audience, count);
    for (uint32_t i = 0; i < count; i++)
        audience_compile(c, map->pairs[i].key, map->pairs[i].value, &audiences[i]);
    c->plan->audiences = audiences;
    c->plan->audience_count = count;
}

static uint16_t audience_of(struct compile *c, const struct yaml_file *yaml,
                            const struct yaml_node *node)
{
    struct str *known = arena_array(&c->scratch, struct str, c->plan->audience_count + 1);
    for (uint32_t i = 0; i < c->plan->audience_count; i++) {
        known[i] = names_text(c->names, c->plan->audiences[i].name);
        if (str_equal(known[i], node->text))
            return (uint16_t)i;
    }
    build_unknown(c, yaml, node, "audience", known, c->plan->audience_count);
    if (c->plan->audience_count == 0)
        finding_advise(c->findings,
                       "programme.yaml names audiences: audiences: {%.*s: {provider: ..., "
                       "category: ...}}",
                       STR_ARG(str_part(node->text, 0, 60)));
    return PLAN_NO_INDEX;
}

void audience_step_compile(struct compile *c, const struct yaml_file *yaml,
                           const struct yaml_node *node, struct plan_step_audience *out)
{
    const struct yaml_node *value = shape_value(node, "", "audience");
    const struct yaml_node *add = shape_value(value, "add", "add");
    const struct yaml_node *remove = shape_value(value, "add", "remove");
    const struct yaml_node *until = shape_value(value, "add", "for");
    *out = (struct plan_step_audience){.until = WISH_INSTANCE, .removes = remove != NULL};
    if (value == NULL || value->is_bad)
        return;
    if ((add != NULL) == (remove != NULL)) {
        findings_add(c->findings, add ? FINDING_CONFLICT : FINDING_MISSING_KEY,
                     yaml_place(yaml, value), "the step says add: AUDIENCE or remove: AUDIENCE");
        return;
    }
    if (remove != NULL && until != NULL)
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(yaml, until),
                     "removing is at once and for good: \"for\" belongs to add");
    if (until != NULL && str_is(until->text, "stage"))
        out->until = WISH_STAGE;
    else if (until != NULL && str_is(until->text, "ever"))
        out->until = WISH_EVER;
    uint16_t index = audience_of(c, yaml, add ? add : remove);
    out->audience = index == PLAN_NO_INDEX ? 0 : index;
}
