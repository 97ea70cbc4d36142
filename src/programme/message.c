/* message.c - messages/NAME/: what is said, in parts that a channel puts together; providers/NAME.yaml:
 * who carries it.
 *
 * A part is a key of message.yaml under the channel's name, or a file beside it:
 *
 *     messages/welcome/message.yaml       category: lifecycle
 *                                         email: {subject: 'Hello'}
 *     messages/welcome/email.html.liquid
 *     messages/welcome/email.txt.liquid
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "channel/channel.h"
#include "when/span.h"

/* ---- providers ------------------------------------------------------------------------------- */

static const struct channel_kind *kind_of(struct compile *c, const struct yaml_file *file,
                                          const struct yaml_node *node)
{
    const struct channel_kind *kind = node ? channel_kind_find(node->text) : NULL;
    if (kind || !node)
        return kind;
    size_t count;
    const struct channel_kind *const *kinds = channel_kinds(&count);
    struct str *known = arena_array(&c->scratch, struct str, count);
    for (size_t i = 0; i < count; i++)
        known[i] = str_of(kinds[i]->name);
    build_unknown(c, file, node, "kind of provider", known, count);
    return NULL;
}

/* The channel that the provider carries: the one it names, else the first of its kind's. */
static enum channel provider_channel(struct compile *c, const struct yaml_file *file,
                                     const struct yaml_node *node, const struct channel_kind *kind)
{
    enum channel channel = CHANNEL_NONE;
    if (node && channel_find(node->text, &channel)) {
        if (!(kind->channels >> channel & 1))
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(file, node),
                         "a provider of the kind %s does not carry %.*s", kind->name,
                         STR_ARG(node->text));
        return channel;
    }
    if (str_is(str_of(kind->name), "webhook"))
        return CHANNEL_WEBHOOK;
    for (int i = CHANNEL_NONE + 1; i < CHANNEL_END; i++)
        if (kind->channels >> i & 1)
            return (enum channel)i;
    must(!"a kind that carries some channel");
    return CHANNEL_NONE;
}

static uint32_t option_add(struct channel_option *options, struct plan_setting *settings,
                           uint32_t count, struct str name, struct str value, uint32_t line)
{
    options[count] = (struct channel_option){name, value, line};
    settings[count] = (struct plan_setting){name, value};
    return count + 1;
}

/* Where a fault with the provider's settings stands: at the value of the setting that it begins with. */
static struct place setting_place(const struct yaml_file *yaml, const struct yaml_node *map,
                                  const struct fault *f)
{
    struct str text = str_of(f->text);
    for (uint32_t i = 0; map && i < map->count; i++) {
        struct str key = map->pairs[i].key->text;
        if (str_starts(text, key) && str_starts(str_part(text, key.len, text.len), STR(":")))
            return yaml_place(yaml, map->pairs[i].value);
    }
    return (struct place){yaml->path, f->line, 0};
}

static void rate_compile(struct compile *c, const struct yaml_file *yaml,
                         struct plan_provider *provider)
{
    const struct yaml_node *rate = shape_value(yaml->root, "", "rate");
    if (rate && !pace_parse(rate->text, &provider->rate))
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(yaml, rate),
                     "\"rate\" wants a number in a time, 100/min, not \"%.*s\"",
                     STR_ARG(str_part(rate->text, 0, 60)));
}

uint16_t build_provider(struct compile *c, const struct yaml_file *file,
                        const struct yaml_node *node)
{
    if (node == NULL || node->is_bad || node->type != YAML_TEXT)
        return PLAN_NO_INDEX;
    uint16_t index = plan_provider_find(c->plan, names_find(c->names, node->text));
    if (index != PLAN_NO_INDEX)
        return index;
    struct str *known = arena_array(&c->scratch, struct str, c->plan->provider_count);
    for (uint32_t k = 0; k < c->plan->provider_count; k++)
        known[k] = names_text(c->names, c->providers[k].name);
    build_unknown(c, file, node, "provider", known, c->plan->provider_count);
    return PLAN_NO_INDEX;
}

/* Whom a provider names for what it refuses: another of its channel, and no circle. */
static void fallback_compile(struct compile *c, struct compile_file *file)
{
    const struct yaml_node *node = shape_value(file->yaml.root, "", "fallback");
    struct plan_provider *provider = &c->providers[file->index];
    uint16_t index = build_provider(c, &file->yaml, node);
    if (index == PLAN_NO_INDEX)
        return;
    if (c->providers[index].channel != provider->channel) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(&file->yaml, node),
                     "\"%.*s\" carries another channel", STR_ARG(node->text));
        return;
    }
    for (uint16_t at = index; at != PLAN_NO_INDEX; at = c->providers[at].fallback) {
        if (at != file->index)
            continue;
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(&file->yaml, node),
                     "providers are each other's fallback in a circle");
        return;
    }
    provider->fallback = index;
}

static void provider_compile(struct compile *c, struct compile_file *file)
{
    const struct yaml_file *yaml = &file->yaml;
    struct plan_provider *provider = &c->providers[file->index];
    const struct yaml_node *kind_node = shape_value(yaml->root, "", "kind");
    const struct yaml_node *slots = shape_value(yaml->root, "", "slots");
    const struct yaml_node *map = shape_value(yaml->root, "", "settings");
    const struct channel_kind *kind = kind_of(c, yaml, kind_node);
    provider->name = file->name_id;
    provider->fallback = PLAN_NO_INDEX;
    rate_compile(c, yaml, provider);
    provider->slots = (uint32_t)shape_int(slots, 4);
    provider->cost = MONEY_NOT_SAID;
    const struct yaml_node *cost = shape_value(yaml->root, "", "cost");
    if (cost && !cost->is_bad && !money_parse(cost->text, &provider->cost))
        provider->cost = MONEY_NOT_SAID; /* said already */
    if (!kind)
        return;
    provider->kind = arena_copy(c->arena, str_of(kind->name));
    provider->channel =
        (uint8_t)provider_channel(c, yaml, shape_value(yaml->root, "", "channel"), kind);

    uint32_t most = (map ? map->count : 0) + 1;
    struct channel_option *options = arena_array(&c->scratch, struct channel_option, most);
    struct plan_setting *settings = arena_array(c->arena, struct plan_setting, most);
    uint32_t count = 0;
    for (uint32_t i = 0; map && i < map->count; i++) {
        const struct yaml_node *value = map->pairs[i].value;
        if (!value->is_bad)
            count =
                option_add(options, settings, count, arena_copy(c->arena, map->pairs[i].key->text),
                           arena_copy(c->arena, value->text), value->line);
    }
    if (!yaml_find(map, "slots"))
        count = option_add(options, settings, count, STR("slots"),
                           arena_printf(c->arena, "%u", provider->slots),
                           slots ? slots->line : yaml->root->line);
    else
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(yaml, yaml_find_key(map, "slots")),
                     "\"slots\" stands beside \"settings\", not in it");
    provider->settings = settings;
    provider->setting_count = count;
    struct fault f = {0};
    if (channel_options_check(kind, options, count, &f) != OK)
        findings_add(c->findings, FINDING_PROVIDER, setting_place(yaml, map, &f), "%s", f.text);
}

void providers_compile(struct compile *c)
{
    for (uint32_t i = 0; i < c->file_count; i++)
        if (c->files[i].kind == FILE_PROVIDER && c->files[i].yaml.root &&
            c->files[i].index != PLAN_NO_INDEX)
            provider_compile(c, &c->files[i]);
    for (uint32_t i = 0; i < c->file_count; i++)
        if (c->files[i].kind == FILE_PROVIDER && c->files[i].yaml.root &&
            c->files[i].index != PLAN_NO_INDEX)
            fallback_compile(c, &c->files[i]);
}

/* ---- parts ----------------------------------------------------------------------------------- */

struct parts {
    struct channel_source sources[CHANNEL_PARTS_MAX];
    const struct yaml_node *nodes[CHANNEL_PARTS_MAX]; /* parts that are keys */
    size_t count;
    bool is_bad;
};

static void part_unknown(struct compile *c, const struct yaml_file *file,
                         const struct yaml_node *key, enum channel channel)
{
    size_t count;
    const struct channel_part *parts = channel_parts(channel, &count);
    struct str channel_text = channel_name(channel);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].file && str_is(key->text, parts[i].name)) {
            findings_add(c->findings, FINDING_UNKNOWN_KEY, yaml_place(file, key),
                         "\"%.*s\" of %.*s is a file", STR_ARG(key->text), STR_ARG(channel_text));
            finding_advise(c->findings, "put it into %s beside message.yaml", parts[i].file);
            return;
        }
    }
    struct str known[CHANNEL_PARTS_MAX];
    size_t known_count = 0;
    for (size_t i = 0; i < count; i++)
        if (!parts[i].file)
            known[known_count++] = str_of(parts[i].name);
    struct str near = str_nearest(key->text, known, known_count);
    findings_add(c->findings, FINDING_UNKNOWN_KEY, yaml_place(file, key),
                 "%.*s has no part \"%.*s\"", STR_ARG(channel_text), STR_ARG(key->text));
    if (near.len)
        finding_advise(c->findings, "did you mean \"%.*s\"?", STR_ARG(near));
}

static const struct channel_part *part_of_key(enum channel channel, struct str name)
{
    size_t count;
    const struct channel_part *parts = channel_parts(channel, &count);
    for (size_t i = 0; i < count; i++)
        if (!parts[i].file && str_is(name, parts[i].name))
            return &parts[i];
    return NULL;
}

/* The parts under the channel's name in message.yaml. */
static void parts_of_yaml(struct compile *c, const struct yaml_file *file, enum channel channel,
                          struct parts *out)
{
    char key[16];
    must(str_to_z(channel_name(channel), key, sizeof(key)));
    const struct yaml_node *map = shape_value(file->root, "", key);
    for (uint32_t i = 0; map && i < map->count; i++) {
        const struct yaml_node *value = map->pairs[i].value;
        if (!part_of_key(channel, map->pairs[i].key->text)) {
            part_unknown(c, file, map->pairs[i].key, channel);
            out->is_bad = true;
        } else if (value->type == YAML_LIST || value->type == YAML_MAP ||
                   value->type == YAML_NULL) {
            findings_add(c->findings, FINDING_WRONG_TYPE, yaml_place(file, value),
                         "\"%.*s\" wants a text, not %s", STR_ARG(map->pairs[i].key->text),
                         yaml_type_words(value));
            out->is_bad = true;
        } else {
            out->nodes[out->count] = value;
            out->sources[out->count++] = (struct channel_source){
                .name = map->pairs[i].key->text,
                .text = value->text,
                .file = file->path,
                .line = value->line,
            };
        }
    }
}

/* The parts that are files beside message.yaml. */
static void parts_of_files(struct compile *c, struct str folder, enum channel channel,
                           struct parts *out)
{
    size_t count;
    const struct channel_part *parts = channel_parts(channel, &count);
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].file)
            continue;
        struct str path = arena_printf(&c->scratch, "%.*s/%s", STR_ARG(folder), parts[i].file);
        const struct programme_file *file = programme_folder_find(c->folder, path);
        if (!file)
            continue;
        must(out->count < CHANNEL_PARTS_MAX);
        out->nodes[out->count] = NULL;
        out->sources[out->count++] = (struct channel_source){
            .name = str_of(parts[i].name), .text = file->text, .file = file->path, .line = 1};
    }
}

static bool is_part_file(struct str name)
{
    for (int channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++) {
        size_t count;
        const struct channel_part *parts = channel_parts((enum channel)channel, &count);
        for (size_t i = 0; i < count; i++)
            if (parts[i].file && str_is(name, parts[i].file))
                return true;
    }
    return false;
}

/* Files in a message's folder that mean nothing. */
static void strays_look(struct compile *c, struct str folder)
{
    struct str prefix = arena_printf(&c->scratch, "%.*s/", STR_ARG(folder));
    for (uint32_t i = 0; i < c->folder->file_count; i++) {
        struct str path = c->folder->files[i].path;
        if (!str_starts(path, prefix))
            continue;
        struct str name = str_part(path, prefix.len, path.len);
        struct place place = {path, 0, 0};
        if (str_is(name, "message.yaml") || is_part_file(name))
            continue;
        if (str_find(name, STR("/"), 0) != SIZE_MAX) {
            findings_add(c->findings, FINDING_NOT_YET, place,
                         "folders inside a message's folder (languages) are not supported yet by "
                         "this release");
            continue;
        }
        findings_add(c->findings, FINDING_UNKNOWN_FILE, place,
                     "no channel has a part in a file of this name");
        struct str known[CHANNEL_END * CHANNEL_PARTS_MAX];
        size_t known_count = 0;
        for (int channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++) {
            size_t count;
            const struct channel_part *parts = channel_parts((enum channel)channel, &count);
            for (size_t k = 0; k < count; k++)
                if (parts[k].file)
                    known[known_count++] = str_of(parts[k].file);
        }
        struct str near = str_nearest(name, known, known_count);
        if (near.len)
            finding_advise(c->findings, "did you mean %.*s?", STR_ARG(near));
    }
}

/* ---- content --------------------------------------------------------------------------------- */

/* Places inside partials are named by the partial. */
static bool partial_place(struct compile *c, struct str name, uint32_t line, uint32_t column,
                          struct place *out)
{
    for (uint32_t i = 0; i < c->partial_count; i++) {
        if (!str_equal(c->partials[i].name, name))
            continue;
        *out = (struct place){arena_printf(&c->scratch, "partials/%.*s.liquid", STR_ARG(name)),
                              line, column};
        return true;
    }
    return false;
}

static struct place part_place(struct compile *c, const struct parts *parts,
                               const struct yaml_file *file, const struct fault *f)
{
    struct place place;
    if (partial_place(c, str_of(f->file), f->line, f->column, &place))
        return place;
    for (size_t i = 0; i < parts->count; i++) {
        const struct channel_source *source = &parts->sources[i];
        if (!parts->nodes[i]) {
            if (str_is(source->file, f->file))
                return (struct place){source->file, f->line, f->column};
        } else if (f->line == source->line && str_is(source->file, f->file)) {
            return yaml_place_in(file, parts->nodes[i], f->column ? f->column - 1 : 0);
        }
    }
    return (struct place){file->path, str_is(file->path, f->file) ? f->line : 0, 0};
}

/* Where a template first reads the field. */
static struct place field_place(struct compile *c, const struct parts *parts,
                                const struct yaml_file *file, const struct channel_field *field)
{
    struct place place;
    if (partial_place(c, field->file, field->line, field->column, &place))
        return place;
    for (size_t i = 0; i < parts->count; i++)
        if (parts->nodes[i] && str_equal(field->file, file->path) &&
            field->line == parts->sources[i].line)
            return yaml_place_in(file, parts->nodes[i], field->column ? field->column - 1 : 0);
    return (struct place){field->file, field->line, field->column};
}

struct fields {
    uint32_t slots[PLAN_FIELDS_MAX];
    uint32_t count;
    bool is_full;
};

/* The field's place among the message's, which it is given if it is new. */
static uint32_t field_add(struct fields *fields, uint32_t slot)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->slots[i] == slot)
            return i;
    if (fields->count == PLAN_FIELDS_MAX) {
        fields->is_full = true;
        return CHANNEL_FIELD_ABSENT;
    }
    fields->slots[fields->count] = slot;
    return fields->count++;
}

/* What the channel itself gives to templates. */
static bool is_given(struct str path)
{
    return str_is(path, "unsubscribe_url");
}

/* Does a template of the design read it that this release cannot answer? */
static bool is_later(struct str path)
{
    return str_starts(path, STR("catalog")) || str_starts(path, STR("offer"));
}

static uint32_t field_slot(struct compile *c, const struct yaml_file *file,
                           const struct parts *parts, const struct channel_field *field)
{
    struct fault f = {0};
    if (is_given(field->path))
        return 0;
    if (is_later(field->path) && !field->is_maybe_local) {
        findings_add(c->findings, FINDING_NOT_YET, field_place(c, parts, file, field),
                     "\"%.*s\" is not supported yet by this release", STR_ARG(field->path));
        return 0;
    }
    uint32_t slot = scope_template_slot(c, field->path, &f);
    if (!slot && !field->is_maybe_local)
        findings_add(c->findings, FINDING_TEMPLATE, field_place(c, parts, file, field), "%s",
                     f.text);
    return slot;
}

static void fields_of(struct compile *c, const struct yaml_file *file, const struct parts *parts,
                      struct channel_template *template, struct compile_message *info,
                      struct fields *fields)
{
    size_t count;
    const struct channel_field *list = channel_template_fields(template, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = field_slot(c, file, parts, &list[i]);
        channel_template_bind(template, i, slot ? field_add(fields, slot) : CHANNEL_FIELD_ABSENT);
        if (slot && SLOT_SPACE(slot) == SLOT_ENTRY)
            name_set_add(c, &info->entry_reads, SLOT_NAME(slot));
    }
}

static void channel_content(struct compile *c, struct compile_file *file, enum channel channel,
                            struct fields *fields)
{
    struct plan_message *message = &c->messages[file->index];
    struct compile_message *info = &c->message_infos[file->index];
    struct str folder = str_part(file->yaml.path, 0, file->yaml.path.len - strlen("/message.yaml"));
    struct parts parts = {.count = 0};
    parts_of_yaml(c, &file->yaml, channel, &parts);
    parts_of_files(c, folder, channel, &parts);
    if (parts.count == 0) {
        info->has_bad |= parts.is_bad;
        return;
    }
    message->channel_mask |= UINT32_C(1) << channel;
    if (parts.is_bad) {
        info->has_bad = true;
        return;
    }
    struct fault f = {0};
    struct channel_template *template = NULL;
    if (channel_compile(channel, parts.sources, parts.count, c->partials, c->partial_count,
                        c->arena, &template, &f) != OK) {
        findings_add(c->findings, FINDING_TEMPLATE, part_place(c, &parts, &file->yaml, &f), "%s",
                     f.text);
        info->has_bad = true;
        return;
    }
    message->templates[channel] = template;
    fields_of(c, &file->yaml, &parts, template, info, fields);
}

/* ---- messages -------------------------------------------------------------------------------- */

static uint16_t provider_for(struct compile *c, const struct yaml_file *file, enum channel channel)
{
    const struct yaml_node *named = shape_value(file->root, "", "provider");
    for (uint32_t i = 0; i < shape_count(named); i++) {
        const struct yaml_node *node = shape_item(named, i);
        uint16_t index = node->is_bad
                             ? PLAN_NO_INDEX
                             : plan_provider_find(c->plan, names_find(c->names, node->text));
        if (index != PLAN_NO_INDEX && c->providers[index].channel == channel &&
            !str_is(c->providers[index].kind, "http"))
            return index;
    }
    for (uint32_t i = 0; i < c->plan->provider_count; i++)
        if (c->providers[i].channel == channel && !str_is(c->providers[i].kind, "http"))
            return (uint16_t)i;
    return PLAN_NO_INDEX;
}

static void providers_look(struct compile *c, const struct yaml_file *file)
{
    const struct yaml_node *named = shape_value(file->root, "", "provider");
    for (uint32_t i = 0; i < shape_count(named); i++)
        (void)build_provider(c, file, shape_item(named, i));
}

static void message_deadline(struct compile *c, struct compile_file *file,
                             const struct plan_category *category)
{
    const struct yaml_file *yaml = &file->yaml;
    bool is_required = (lane_term((enum lane)category->lane)->flags & LANE_NEEDS_DEADLINE) != 0;
    if (!is_required || shape_value(yaml->root, "", "valid_for"))
        return;
    /* The category's deadline counts only where it was written; a lane's own is not enough here. */
    const struct yaml_node *categories = shape_value(c->settings->yaml.root, "", "categories");
    for (uint32_t i = 0; categories && i < categories->count; i++)
        if (str_equal(categories->pairs[i].key->text, names_text(c->names, category->name)) &&
            shape_value(categories->pairs[i].value, "", "valid_for"))
            return;
    findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(yaml, yaml->root),
                 "messages of the lane %.*s need a deadline",
                 STR_ARG(lane_term((enum lane)category->lane)->name));
    finding_advise(c->findings, "say valid_for, here or in the category");
}

static void supersede_compile(struct compile *c, const struct yaml_file *yaml,
                              const struct yaml_node *node, enum lane lane,
                              struct plan_message *message)
{
    if (!node || node->is_bad)
        return;
    message->supersedes = str_is(node->text, "key") ? SUPERSEDE_KEY : SUPERSEDE_PERSON;
    if (lane_term(lane)->flags & LANE_SUPERSEDES)
        return;
    findings_add(c->findings, FINDING_CONFLICT, yaml_place(yaml, node),
                 "each message of the lane %.*s is sent: none takes the place of another",
                 STR_ARG(lane_term(lane)->name));
}

static void message_compile(struct compile *c, struct compile_file *file)
{
    const struct yaml_file *yaml = &file->yaml;
    const struct yaml_node *root = yaml->root;
    struct plan_message *message = &c->messages[file->index];
    struct compile_message *info = &c->message_infos[file->index];
    static const struct plan_category nothing = {.lane = LANE_MARKETING};

    uint16_t index = build_category(c, yaml, shape_value(root, "", "category"));
    const struct plan_category *category =
        index == PLAN_NO_INDEX ? &nothing : &c->plan->categories[index];
    const struct yaml_node *key = shape_value(root, "", "content_key");
    const struct yaml_node *topic = shape_value(root, "", "topic");
    message->name = file->name_id;
    message->category = index == PLAN_NO_INDEX ? 0 : index;
    message->content_key = key ? build_name(c, key->text) : message->name;
    message->has_content_key = key != NULL;
    message->topic = topic ? build_name(c, topic->text) : category->topic;
    message->valid_for_ms =
        shape_span_ms(shape_value(root, "", "valid_for"), category->valid_for_ms);
    message->settle_ms = shape_span_ms(shape_value(root, "", "settle"), category->settle_ms);
    message->priority = (int32_t)shape_int(shape_value(root, "", "priority"), category->priority);
    supersede_compile(c, yaml, shape_value(root, "", "supersedes"), (enum lane)category->lane,
                      message);
    scope_compile(c, yaml, shape_value(root, "", "only_if"),
                  (struct scope_target){
                      .flags = SCOPE_ENTRY, .wanted = EXPR_WANT_BOOL, .kept = &info->entry_reads},
                  &message->only_if);
    scope_compile(c, yaml, shape_value(root, "", "needs"),
                  (struct scope_target){
                      .flags = SCOPE_ENTRY, .wanted = EXPR_WANT_BOOL, .kept = &info->entry_reads},
                  &message->needs);
    if (index != PLAN_NO_INDEX)
        message_deadline(c, file, category);
    providers_look(c, yaml);

    struct fields fields = {.count = 0};
    for (int channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++) {
        channel_content(c, file, (enum channel)channel, &fields);
        message->providers[channel] = provider_for(c, yaml, (enum channel)channel);
    }
    message->providers[CHANNEL_NONE] = PLAN_NO_INDEX;
    if (fields.is_full)
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(yaml, root),
                     "the message's templates read more than %d different values", PLAN_FIELDS_MAX);
    uint32_t *slots = arena_array(c->arena, uint32_t, fields.count);
    for (uint32_t i = 0; i < fields.count; i++)
        slots[i] = fields.slots[i];
    message->fields = slots;
    message->field_count = fields.count;
    if (message->channel_mask == 0 && !info->has_bad) {
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(yaml, root),
                     "the message has nothing to say on any channel");
        finding_advise(c->findings, "for e-mail: email: {subject: '...'} and a file "
                                    "email.html.liquid or email.txt.liquid");
    }
    strays_look(c, str_part(yaml->path, 0, yaml->path.len - strlen("/message.yaml")));
}

void messages_compile(struct compile *c)
{
    for (uint32_t i = 0; i < c->file_count; i++) {
        struct compile_file *file = &c->files[i];
        if (file->kind != FILE_MESSAGE || file->index == PLAN_NO_INDEX)
            continue;
        c->message_infos[file->index].file = file;
        if (file->yaml.root && file->yaml.root->type == YAML_MAP)
            message_compile(c, file);
        else
            c->message_infos[file->index].has_bad = true;
    }
}
