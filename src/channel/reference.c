/* reference.c - the tables of this room as a page for people: docs/reference/providers.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "channel/channel_int.h"

#include "when/span.h"

static void add_span(struct buf *out, int64_t ms)
{
    char text[SPAN_BYTES];
    buf_add_str(out, span_print(span_of_ms(ms), text));
}

/* What may be written as the setting's value. */
static void add_value(struct buf *out, const struct channel_setting *s)
{
    switch (s->kind) {
    case CHANNEL_SETTING_TEXT: buf_add_str(out, STR("text")); break;
    case CHANNEL_SETTING_URL: buf_add_str(out, STR("URL")); break;
    case CHANNEL_SETTING_MAILBOX: buf_add_str(out, STR("`Name <address>` or an address")); break;
    case CHANNEL_SETTING_SECRET: buf_add_str(out, STR("`${ENV:NAME}` or `${FILE:path}`")); break;
    case CHANNEL_SETTING_INTEGER:
        buf_printf(out, "whole number %lld to %lld", (long long)s->least, (long long)s->most);
        break;
    case CHANNEL_SETTING_DURATION:
        buf_add_str(out, STR("time from "));
        add_span(out, s->least);
        buf_add_str(out, STR(" to "));
        add_span(out, s->most);
        break;
    case CHANNEL_SETTING_CHOICE:
        for (const char *c = s->choices; *c != '\0'; c++)
            if (*c == '|')
                buf_add_str(out, STR(", "));
            else
                buf_add_byte(out, (uint8_t)*c);
        break;
    case CHANNEL_SETTING_FLAG: buf_add_str(out, STR("true or false")); break;
    case CHANNEL_SETTING_NETWORKS: buf_add_str(out, STR("addresses or blocks")); break;
    case CHANNEL_SETTING_PORTS: buf_add_str(out, STR("ports")); break;
    }
}

static void add_settings(struct buf *out, const struct channel_setting *s)
{
    buf_add_str(out, STR("| setting | value | if absent | meaning |\n|---|---|---|---|\n"));
    for (; s->name != NULL; s++) {
        buf_printf(out, "| `%s` | ", s->name);
        add_value(out, s);
        buf_printf(out, " | %s | %s |\n",
                   s->is_required        ? "**required**"
                   : s->standard != NULL ? s->standard
                                         : "",
                   s->doc);
    }
}

static void add_retries(struct buf *out, const struct channel_kind *kind)
{
    if (kind->retry_delays_ms == NULL) {
        buf_add_str(out, STR("What is refused for now is tried again after a random part of 5 s, "
                             "which doubles with each try up to 30 min, until the message's "
                             "deadline.\n"));
        return;
    }
    buf_add_str(out, STR("What is refused for now is tried again after "));
    for (uint32_t i = 0; i < kind->retry_delays_count; i++) {
        if (i > 0)
            buf_add_str(out, i + 1 < kind->retry_delays_count ? STR(", ") : STR(" and "));
        add_span(out, kind->retry_delays_ms[i]);
    }
    buf_add_str(out, STR(" (each give or take a tenth), until the message's deadline.\n"));
}

static void add_kind(struct buf *out, const struct channel_kind *kind)
{
    buf_printf(out, "\n## `kind: %s`\n\nWhat it is: %s. Carries: ", kind->name, kind->doc);
    bool is_first = true;
    for (int channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++) {
        if (!(kind->channels >> channel & 1))
            continue;
        buf_printf(out, "%s%.*s", is_first ? "" : ", ",
                   STR_ARG(channel_name((enum channel)channel)));
        is_first = false;
    }
    buf_add_str(out, STR(". "));
    add_retries(out, kind);
    buf_add_str(out, STR("\nIts `settings`:\n\n"));
    add_settings(out, kind->settings);
}

static void add_parts(struct buf *out, enum channel channel)
{
    size_t count;
    const struct channel_part *parts = channel_parts(channel, &count);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "| %.*s | ", STR_ARG(channel_name(channel)));
        if (parts[i].file != NULL)
            buf_printf(out, "`%s`", parts[i].file);
        else
            buf_printf(out, "`%s` in `message.yaml`", parts[i].name);
        buf_printf(out, " | %s | %s |\n", parts[i].is_required ? "**required**" : "", parts[i].doc);
    }
}

void channel_reference(struct buf *out)
{
    buf_add_str(out,
                STR("# Providers, and what messages consist of\n\n"
                    "Generated from the tables of `src/channel`. A provider is a file "
                    "`providers/NAME.yaml` with `kind`, `channel`, `slots` and `settings`. Any "
                    "setting may be given as `${ENV:NAME}`, `${ENV:NAME:-otherwise}` or "
                    "`${FILE:path}`; secrets must be.\n"));
    size_t count;
    const struct channel_kind *const *list = channel_kinds(&count);
    for (size_t i = 0; i < count; i++)
        add_kind(out, list[i]);
    buf_add_str(out, STR("\n## Parts of a message\n\n"
                         "All are Liquid templates.\n\n"
                         "| channel | part | | what it is |\n|---|---|---|---|\n"));
    for (int channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++)
        add_parts(out, (enum channel)channel);
}
