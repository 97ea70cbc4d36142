/* provider.c - a provider's file: which settings there are, what they say, whether they go together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "channel/settings.h"

// clang-format off
static const struct channel_setting common[] = {
    {.name = "slots", .kind = CHANNEL_SETTING_INTEGER, .standard = "4", .least = 1,
     .most = CHANNEL_SLOTS_MAX,
     .doc = "connections held to the provider, hence messages in flight at once"},
    {0},
};
// clang-format on

const struct channel_setting *channel_settings_common(void)
{
    return common;
}

static void add_settings(struct channel_provider *p, const struct channel_setting *settings)
{
    for (; settings->name != NULL; settings++) {
        must(p->settings_count < CHANNEL_SETTINGS_MAX);
        p->settings[p->settings_count++] = settings;
    }
}

static size_t find(const struct channel_provider *p, struct str name)
{
    for (size_t i = 0; i < p->settings_count; i++)
        if (str_is(name, p->settings[i]->name))
            return i;
    return SIZE_MAX;
}

static enum status unknown(const struct channel_provider *p, const struct channel_option *o,
                           struct fault *f)
{
    struct str names[CHANNEL_SETTINGS_MAX];
    for (size_t i = 0; i < p->settings_count; i++)
        names[i] = str_of(p->settings[i]->name);
    struct str near = str_nearest(o->name, names, p->settings_count);
    int len = (int)min_of(o->name.len, (size_t)60);
    if (near.len > 0)
        fault_set(f, "unknown setting \"%.*s\"; did you mean \"%.*s\"?", len, o->name.at,
                  STR_ARG(near));
    else
        fault_set(f, "unknown setting \"%.*s\" for a provider of kind %s", len, o->name.at,
                  p->kind->name);
    return FIX_INPUT;
}

/* Reads one option into its place. `is_check`: references are taken on trust. */
static enum status read_option(struct channel_provider *p, const struct channel_option *o,
                               bool is_check, bool *is_given, struct fault *f)
{
    size_t at = find(p, o->name);
    if (at == SIZE_MAX)
        return unknown(p, o, f);
    const struct channel_setting *s = p->settings[at];
    if (is_given[at]) {
        fault_set(f, "\"%s\" is given twice", s->name);
        return FIX_INPUT;
    }
    is_given[at] = true;

    char kind;
    struct str what, text;
    p->values[at].is_given = true;
    if (is_check && setting_reference(o->value, &kind, &what))
        return OK;
    enum status status = setting_resolve(s, o->value, &p->arena, &text, f);
    if (status == OK)
        status = setting_parse(s, text, &p->arena, &p->values[at], f);
    p->values[at].is_given = true;
    if (status != OK)
        fault_prefix(f, "%s: ", s->name);
    return status;
}

static enum status read_options(struct channel_provider *p, const struct channel_option *options,
                                size_t count, bool is_check, struct fault *f)
{
    bool is_given[CHANNEL_SETTINGS_MAX] = {false};
    for (size_t i = 0; i < count; i++) {
        enum status status = read_option(p, &options[i], is_check, is_given, f);
        if (status != OK) {
            fault_place(f, NULL, options[i].line, 0);
            return status;
        }
    }
    for (size_t i = 0; i < p->settings_count; i++) {
        const struct channel_setting *s = p->settings[i];
        if (is_given[i])
            continue;
        if (s->is_required) {
            fault_set(f, "\"%s\" is missing: %s", s->name, s->doc);
            return FIX_INPUT;
        }
        if (s->standard != NULL)
            must(setting_parse(s, str_of(s->standard), &p->arena, &p->values[i], NULL) == OK);
    }
    return p->kind->provider_check(p, f);
}

static void init(struct channel_provider *p, const struct channel_kind *kind, enum channel channel,
                 struct str name)
{
    *p = (struct channel_provider){.kind = kind, .channel = channel};
    arena_init(&p->arena, 2048);
    p->name = arena_copy(&p->arena, name);
    add_settings(p, common);
    add_settings(p, kind->settings);
}

enum status channel_options_check(const struct channel_kind *kind,
                                  const struct channel_option *options, size_t count,
                                  struct fault *f)
{
    struct channel_provider p;
    init(&p, kind, CHANNEL_NONE, STR(""));
    enum status status = read_options(&p, options, count, true, f);
    arena_fini(&p.arena);
    return status;
}

enum status channel_provider_new(const struct channel_kind *kind, enum channel channel,
                                 struct str name, const struct channel_option *options,
                                 size_t count, struct channel_provider **out, struct fault *f)
{
    must(channel > CHANNEL_NONE);
    must(channel < CHANNEL_END);
    *out = NULL;
    if (!(kind->channels >> channel & 1)) {
        fault_set(f, "a provider of kind %s does not carry %.*s", kind->name,
                  STR_ARG(channel_name(channel)));
        return FIX_INPUT;
    }
    struct channel_provider *p = mem_new(sizeof(*p));
    init(p, kind, channel, name);
    enum status status = read_options(p, options, count, false, f);
    if (status != OK) {
        channel_provider_free(p);
        return status;
    }
    *out = p;
    return OK;
}

void channel_provider_free(struct channel_provider *p)
{
    if (p == NULL)
        return;
    arena_fini(&p->arena);
    mem_free(p);
}

const struct channel_value *channel_provider_get(const struct channel_provider *p,
                                                 const char *setting)
{
    size_t at = find(p, str_of(setting));
    must(at != SIZE_MAX);
    return &p->values[at];
}

const struct channel_kind *channel_provider_kind(const struct channel_provider *p)
{
    return p->kind;
}

enum channel channel_provider_channel(const struct channel_provider *p)
{
    return p->channel;
}

struct str channel_provider_name(const struct channel_provider *p)
{
    return p->name;
}

uint32_t channel_provider_slots(const struct channel_provider *p)
{
    return (uint32_t)channel_provider_get(p, "slots")->integer;
}

struct str channel_provider_text(const struct channel_provider *p, const char *setting)
{
    return channel_provider_get(p, setting)->text;
}

int64_t channel_provider_integer(const struct channel_provider *p, const char *setting)
{
    return channel_provider_get(p, setting)->integer;
}
