/* template.c - what a message consists of on each channel, its parts compiled, and rendering.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "channel/channel_int.h"

#include "liquid/liquid.h"

/* --- parts ------------------------------------------------------------------------------------ */

// clang-format off
static const struct channel_part email_parts[] = {
    {"subject", NULL, CHANNEL_ESCAPE_HEADER, true, "the subject line"},
    {"html", "email.html.liquid", CHANNEL_ESCAPE_HTML, false, "the message as HTML"},
    {"text", "email.txt.liquid", CHANNEL_ESCAPE_NONE, false,
     "the message as plain text; made from the HTML where it is not given"},
    {"from", NULL, CHANNEL_ESCAPE_HEADER, false,
     "the sender, \"Name <address>\"; the provider's where it is not given"},
    {"reply_to", NULL, CHANNEL_ESCAPE_HEADER, false, "where answers go"},
};
static const struct channel_part sms_parts[] = {
    {"text", "sms.liquid", CHANNEL_ESCAPE_NONE, true, "the message"},
};
static const struct channel_part push_parts[] = {
    {"title", NULL, CHANNEL_ESCAPE_HEADER, true, "the line in bold"},
    {"text", "push.liquid", CHANNEL_ESCAPE_NONE, true, "the message"},
    {"url", NULL, CHANNEL_ESCAPE_HEADER, false, "what a tap opens"},
};
static const struct channel_part webhook_parts[] = {
    {"json", "webhook.json.liquid", CHANNEL_ESCAPE_JSON, true, "the body, a JSON document"},
};

static const struct {
    const struct channel_part *parts;
    size_t count;
} parts_of[CHANNEL_END] = {
    [CHANNEL_EMAIL] = {email_parts, array_count(email_parts)},
    [CHANNEL_SMS] = {sms_parts, array_count(sms_parts)},
    [CHANNEL_PUSH] = {push_parts, array_count(push_parts)},
    [CHANNEL_WEBHOOK] = {webhook_parts, array_count(webhook_parts)},
};
// clang-format on

const struct channel_part *channel_parts(enum channel channel, size_t *count)
{
    must(channel > CHANNEL_NONE);
    must(channel < CHANNEL_END);
    *count = parts_of[channel].count;
    return parts_of[channel].parts;
}

static size_t find_part(enum channel channel, struct str name)
{
    for (size_t i = 0; i < parts_of[channel].count; i++)
        if (str_is(name, parts_of[channel].parts[i].name))
            return i;
    return SIZE_MAX;
}

size_t channel_part_index(enum channel channel, const char *part)
{
    size_t at = find_part(channel, str_of(part));
    must(at != SIZE_MAX);
    return at;
}

/* --- compiling -------------------------------------------------------------------------------- */

struct compiled_part {
    const struct liquid_template *liquid; /* NULL = the message has no such part */
    uint32_t *fields;                     /* by number of read: which field of the template */
};

struct channel_template {
    enum channel channel;
    struct compiled_part parts[CHANNEL_PARTS_MAX];
    size_t field_count;
    struct channel_field *fields;
    uint32_t *bound; /* by field: where the message's values have it */
};

static enum liquid_kind liquid_kind_of(enum channel_escape escape)
{
    switch (escape) {
    case CHANNEL_ESCAPE_NONE: return LIQUID_TEXT;
    case CHANNEL_ESCAPE_HTML: return LIQUID_HTML;
    case CHANNEL_ESCAPE_JSON: return LIQUID_JSON;
    case CHANNEL_ESCAPE_HEADER: return LIQUID_HEADER;
    }
    return LIQUID_TEXT;
}

/* Places a fault that was found inside a source: its lines count from where the source begins. */
static void place(struct fault *f, const struct channel_source *source)
{
    if (f == NULL)
        return;
    bool is_partial =
        f->file[0] != '\0' && !str_is(source->file, f->file) && !str_is(source->name, f->file);
    if (is_partial)
        return;
    f->file[0] = '\0';
    uint32_t line = max_of(f->line, 1u) + max_of(source->line, 1u) - 1, column = f->column;
    f->line = 0;
    char file[FAULT_FILE_BYTES];
    if (!str_to_z(source->file, file, sizeof(file)))
        file[0] = '\0';
    fault_place(f, file[0] ? file : NULL, line, column);
}

static bool same_path(const struct channel_field *field, const struct liquid_read *read)
{
    if (field->part_count != read->part_count)
        return false;
    for (uint32_t i = 0; i < read->part_count; i++)
        if (!str_equal(field->parts[i], read->parts[i]))
            return false;
    return true;
}

static struct str dotted(struct arena *plan, const struct liquid_read *read)
{
    struct str path = read->parts[0];
    for (uint32_t i = 1; i < read->part_count; i++)
        path = arena_printf(plan, "%.*s.%.*s", STR_ARG(path), STR_ARG(read->parts[i]));
    return path;
}

/* Gives each read of a part its field, adding those that no part read before. */
static enum status collect_fields(struct channel_template *t, struct compiled_part *part,
                                  const struct channel_source *source, struct arena *plan,
                                  struct fault *f)
{
    size_t count;
    const struct liquid_read *reads = liquid_reads(part->liquid, &count);
    struct channel_field *fields = arena_array(plan, struct channel_field, t->field_count + count);
    if (t->field_count > 0)
        memcpy(fields, t->fields, t->field_count * sizeof(fields[0]));
    t->fields = fields;
    part->fields = arena_array(plan, uint32_t, count);
    for (size_t i = 0; i < count; i++) {
        if (reads[i].part_count == 0) {
            fault_set(f, "the name of what is read here is computed; a message may only read what "
                         "is known before it is sent");
            fault_place(f, NULL, reads[i].line, reads[i].column);
            place(f, source);
            return FIX_INPUT;
        }
        size_t at = 0;
        while (at < t->field_count && !same_path(&t->fields[at], &reads[i]))
            at++;
        if (at == t->field_count) {
            bool is_own = str_equal(reads[i].source, source->file) ||
                          str_equal(reads[i].source, source->name);
            fields[t->field_count++] = (struct channel_field){
                .path = dotted(plan, &reads[i]),
                .parts = reads[i].parts,
                .part_count = reads[i].part_count,
                .is_maybe_local = reads[i].is_maybe_local,
                .file = is_own ? arena_copy(plan, source->file) : reads[i].source,
                .line = reads[i].line + (is_own ? max_of(source->line, 1u) - 1 : 0),
                .column = reads[i].column,
            };
        } else {
            fields[at].is_maybe_local = fields[at].is_maybe_local && reads[i].is_maybe_local;
        }
        part->fields[i] = (uint32_t)at;
    }
    return OK;
}

static enum status compile_part(struct channel_template *t, const struct channel_source *source,
                                const struct liquid_source *partials, size_t partials_count,
                                struct arena *plan, struct fault *f)
{
    size_t at = find_part(t->channel, source->name);
    if (at == SIZE_MAX) {
        struct str names[CHANNEL_PARTS_MAX];
        size_t count = parts_of[t->channel].count;
        for (size_t i = 0; i < count; i++)
            names[i] = str_of(parts_of[t->channel].parts[i].name);
        struct str near = str_nearest(source->name, names, count);
        int len = (int)min_of(source->name.len, (size_t)60);
        if (near.len > 0)
            fault_set(f, "unknown part \"%.*s\"; did you mean \"%.*s\"?", len, source->name.at,
                      STR_ARG(near));
        else
            fault_set(f, "a message for %.*s has no part \"%.*s\"",
                      STR_ARG(channel_name(t->channel)), len, source->name.at);
        place(f, source);
        return FIX_INPUT;
    }
    struct compiled_part *part = &t->parts[at];
    if (part->liquid != NULL) {
        fault_set(f, "the part \"%.*s\" is given twice", STR_ARG(source->name));
        place(f, source);
        return FIX_INPUT;
    }
    struct liquid_source text = {
        .name = source->file.len > 0 ? source->file : source->name,
        .text = source->text,
    };
    enum channel_escape escape = parts_of[t->channel].parts[at].escape;
    if (escape == CHANNEL_ESCAPE_HEADER) /* a block of YAML ends with a line break */
        while (text.text.len > 0 && strchr("\r\n \t", text.text.at[text.text.len - 1]) != NULL)
            text.text.len--;
    enum status status = liquid_compile(plan, &text, partials, partials_count,
                                        liquid_kind_of(escape), &part->liquid, f);
    if (status != OK) {
        place(f, source);
        return status;
    }
    return collect_fields(t, part, source, plan, f);
}

static enum status parts_check(const struct channel_template *t, struct fault *f)
{
    for (size_t i = 0; i < parts_of[t->channel].count; i++) {
        const struct channel_part *part = &parts_of[t->channel].parts[i];
        if (!part->is_required || t->parts[i].liquid != NULL)
            continue;
        fault_set(f, "a message for %.*s needs \"%s\" (%s)%s%s", STR_ARG(channel_name(t->channel)),
                  part->name, part->doc, part->file ? " in " : "", part->file ? part->file : "");
        return FIX_INPUT;
    }
    if (t->channel == CHANNEL_EMAIL && !channel_template_has(t, "html") &&
        !channel_template_has(t, "text")) {
        fault_set(f, "a message for email needs email.html.liquid or email.txt.liquid");
        return FIX_INPUT;
    }
    return OK;
}

enum status channel_compile(enum channel channel, const struct channel_source *sources,
                            size_t count, const struct liquid_source *partials,
                            size_t partials_count, struct arena *plan,
                            struct channel_template **out, struct fault *f)
{
    must(channel > CHANNEL_NONE);
    must(channel < CHANNEL_END);
    *out = NULL;
    struct channel_template *t = arena_new(plan, struct channel_template);
    t->channel = channel;
    for (size_t i = 0; i < count; i++) {
        enum status status = compile_part(t, &sources[i], partials, partials_count, plan, f);
        if (status != OK)
            return status;
    }
    enum status status = parts_check(t, f);
    if (status != OK)
        return status;
    t->bound = arena_array(plan, uint32_t, t->field_count);
    for (uint32_t i = 0; i < t->field_count; i++)
        t->bound[i] = i;
    *out = t;
    return OK;
}

enum channel channel_template_channel(const struct channel_template *t)
{
    return t->channel;
}

bool channel_template_has(const struct channel_template *t, const char *part)
{
    return t->parts[channel_part_index(t->channel, part)].liquid != NULL;
}

const struct channel_field *channel_template_fields(const struct channel_template *t, size_t *count)
{
    *count = t->field_count;
    return t->fields;
}

void channel_template_bind(struct channel_template *t, size_t field, uint32_t at)
{
    must(field < t->field_count);
    t->bound[field] = at;
}

/* --- rendering -------------------------------------------------------------------------------- */

struct host {
    const struct channel_message *message;
    const struct compiled_part *part;
};

static struct value load(void *self, const struct liquid_read *read)
{
    const struct host *host = self;
    const struct channel_template *t = host->message->message;
    uint32_t field = host->part->fields[read->index], at = t->bound[field];
    if (at == CHANNEL_FIELD_ABSENT) {
        struct str url = host->message->unsubscribe_url;
        bool is_url = str_is(t->fields[field].path, "unsubscribe_url") && url.len > 0;
        return is_url ? value_text(url) : value_none();
    }
    must(at < host->message->field_count);
    return host->message->fields[at];
}

static size_t output_bytes_max(enum channel_escape escape)
{
    switch (escape) {
    case CHANNEL_ESCAPE_NONE:
    case CHANNEL_ESCAPE_HTML: return MIME_BODY_BYTES_MAX;
    case CHANNEL_ESCAPE_JSON: return CHANNEL_JSON_BYTES_MAX;
    case CHANNEL_ESCAPE_HEADER: return MIME_HEADER_BYTES_MAX;
    }
    return 0;
}

static enum status render_part(const struct channel_message *m, size_t at,
                               struct channel_payload *out, struct str *text, struct fault *f)
{
    const struct channel_template *t = m->message;
    const struct channel_part *part = &parts_of[t->channel].parts[at];
    struct host host = {.message = m, .part = &t->parts[at]};
    const struct liquid_run run = {
        .host = {.self = &host, .load = load},
        .scratch = &out->scratch,
        .zone = m->zone,
        .now_ms = m->at_ms,
        .limits = {.output_bytes_max = output_bytes_max(part->escape)},
    };
    out->text.len = 0;
    switch (liquid_render(t->parts[at].liquid, &run, &out->text, f)) {
    case LIQUID_DONE: break;
    case LIQUID_ABORTED: return FIX_INPUT;
    case LIQUID_FAILED: fault_prefix(f, "%s: ", part->name); return FIX_INPUT;
    }
    *text = arena_copy(&out->scratch, buf_str(&out->text));
    return OK;
}

enum status channel_render(const struct channel_provider *p, const struct channel_message *m,
                           struct channel_payload *out, struct fault *f)
{
    const struct channel_template *t = m->message;
    must(t->channel == p->channel);
    arena_reset(&out->scratch);
    out->bytes.len = 0;
    out->from = out->to = out->subject = STR("");
    out->id = arena_copy(&out->scratch, m->id);

    struct str parts[CHANNEL_PARTS_MAX] = {{0}};
    for (size_t i = 0; i < parts_of[t->channel].count; i++) {
        parts[i] = STR("");
        if (t->parts[i].liquid == NULL)
            continue;
        enum status status = render_part(m, i, out, &parts[i], f);
        if (status != OK)
            return status;
    }
    return p->kind->assemble(p, m, parts, out, f);
}

void channel_payload_init(struct channel_payload *out)
{
    *out = (struct channel_payload){0};
    buf_init(&out->bytes);
    buf_init(&out->text);
    arena_init(&out->scratch, 65536);
}

void channel_payload_fini(struct channel_payload *out)
{
    buf_fini(&out->bytes);
    buf_fini(&out->text);
    arena_fini(&out->scratch);
}
