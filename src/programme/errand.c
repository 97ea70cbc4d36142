/* errand.c - the steps `call` and `task`: what is asked of a web service, or of people.
 *
 * What a provider is told is a webhook's message that is made here, and an action means it by a number behind
 * those of messages and audiences (plan_message_at). A call's is one JSON document around the programme's own
 * templates, each on lines of its own, so that the provider's kind (channel/call.c) has them apart:
 *
 *     {"key":"...","method":"POST","once":false,"timeout":5000,
 *     "path":
 *     "/customers/{{ person.id | url_encode | ... }}",
 *     "headers":{"X-Reason":
 *     "..."},
 *     "body":
 *     {"value": {{ entry.value }}}
 *     }
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

#include "channel/channel.h"
#include "model/answer.h"
#include "model/errand.h"
#include "json/json.h"

#define WITHIN_MS        HOUR_MS
#define WITHIN_LEAST_MS  SECOND_MS
#define WITHIN_MOST_MS   (30 * DAY_MS)
#define TIMEOUT_LEAST_MS 100
#define TIMEOUT_MOST_MS  MINUTE_MS
#define DUE_MS           (7 * DAY_MS)
#define DUE_LEAST_MS     MINUTE_MS
#define DUE_MOST_MS      (365 * DAY_MS)
#define HEADERS_MAX      16
#define PIECES_MAX       32
#define SAVED_NAME_MAX   64

/* ---- what both have -------------------------------------------------------------------------------- */

static void wrong(struct builder *b, const struct yaml_node *node, const char *text)
{
    findings_add(b->c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, node), "%s", text);
}

static int64_t span_in(struct builder *b, const struct yaml_node *node, int64_t standard_ms,
                       int64_t least_ms, int64_t most_ms, const char *text)
{
    int64_t ms = shape_span_ms(node, standard_ms);
    if (node != NULL && !node->is_bad && ms != 0 && (ms < least_ms || ms > most_ms))
        wrong(b, node, text);
    return ms;
}

/* A new errand of the plan; NULL, and a finding, where there are too many. */
static struct plan_errand *errand_new(struct builder *b, const struct yaml_node *node,
                                      struct plan_step *step, enum errand_kind kind)
{
    struct compile *c = b->c;
    if (c->plan->errand_count == PLAN_ERRANDS_MAX) {
        if (!c->has_all_errands)
            findings_add(c->findings, FINDING_TOO_MANY, yaml_place(b->yaml, node),
                         "a programme has at most %d steps that call or hand out a task",
                         PLAN_ERRANDS_MAX);
        c->has_all_errands = true;
        return NULL;
    }
    if (c->errands == NULL) {
        c->errands = arena_array(c->arena, struct plan_errand, PLAN_ERRANDS_MAX);
        c->plan->errands = c->errands;
    }
    struct plan_errand *e = &c->errands[c->plan->errand_count];
    step->errand = (struct plan_step_errand){
        .errand = (uint16_t)c->plan->errand_count,
        .if_failed = PLAN_NO_INDEX,
        .if_late = PLAN_NO_INDEX,
    };
    c->plan->errand_count++;
    *e = (struct plan_errand){
        .kind = (uint8_t)kind,
        .name = build_name(c, arena_printf(&c->scratch, "%.*s/%.*s", STR_ARG(b->file->name),
                                           STR_ARG(names_text(c->names, step->id)))),
        .within_ms = WITHIN_MS,
    };
    for (int i = ERRAND_PENDING + 1; i < ERRAND_ENDINGS; i++)
        e->endings[i] = build_name(c, errand_ending_text((enum errand_ending)i));
    e->request.name = e->name;
    e->request.category = PLAN_NO_INDEX;
    e->request.channel_mask = 1u << CHANNEL_WEBHOOK;
    for (int i = 0; i < CHANNEL_END; i++)
        e->request.providers[i] = PLAN_NO_INDEX;
    return e;
}

static bool is_saved_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!scope_is_word(name.at[i]))
            return false;
    return name.len > 0 && name.len <= SAVED_NAME_MAX && !(name.at[0] >= '0' && name.at[0] <= '9');
}

static void saves_compile(struct builder *b, const struct yaml_node *map, struct plan_errand *e)
{
    struct compile *c = b->c;
    uint32_t count = map != NULL && map->type == YAML_MAP ? map->count : 0;
    if (count > PLAN_SAVES_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(b->yaml, map),
                     "at most %d values are saved", PLAN_SAVES_MAX);
        return;
    }
    struct plan_save *saves = arena_array(c->arena, struct plan_save, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *key = map->pairs[i].key, *value = map->pairs[i].value;
        struct plan_save *x = &saves[e->save_count];
        struct fault f = {0};
        if (value->is_bad)
            continue;
        if (!is_saved_name(key->text)) {
            wrong(b, key, "what is saved is called by letters, digits and _: saved.NAME");
            continue;
        }
        *x = (struct plan_save){
            .name = build_name(c, arena_printf(&c->scratch, "$saved:%.*s", STR_ARG(key->text))),
            .path = arena_copy(c->arena, value->text),
        };
        if (e->kind == ERRAND_TASK)
            x->source = build_name(c, value->text);
        else if (!answer_path_check(value->text, &f))
            findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, value),
                         "\"%.*s\" is %s", STR_ARG(str_part(value->text, 0, 60)), f.text);
        e->save_count++;
    }
    e->saves = saves;
}

static void category_compile(struct builder *b, const struct yaml_node *node, struct plan_errand *e)
{
    e->request.category = build_category(b->c, b->yaml, node);
}

static void ways_of(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                    const char *failed, const char *late, struct open_ends *ends,
                    uint16_t *last_message)
{
    const struct yaml_node *lists[] = {shape_value(node, "", failed), shape_value(node, "", late)};
    uint16_t *starts[] = {&step->errand.if_failed, &step->errand.if_late};
    uint16_t before = *last_message;
    for (size_t i = 0; i < array_count(lists); i++) {
        uint16_t inner_last = before;
        if (!shape_count(lists[i]))
            continue;
        inner_compile(b, lists[i], starts[i], ends, &inner_last);
        *last_message = last_of_two(*last_message, inner_last);
    }
    ends_open(b, ends, &step->next);
}

/* The provider, of one of two kinds (or NULL). */
static uint16_t provider_of(struct builder *b, const struct yaml_node *node, const char *kind,
                            const char *or_kind)
{
    struct compile *c = b->c;
    uint16_t index = build_provider(c, b->yaml, node);
    if (index == PLAN_NO_INDEX || c->providers[index].kind.len == 0)
        return index;
    const struct plan_provider *p = &c->providers[index];
    bool is_fine = p->channel == CHANNEL_WEBHOOK &&
                   (str_is(p->kind, kind) || (or_kind != NULL && str_is(p->kind, or_kind)));
    if (is_fine)
        return index;
    findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, node),
                 "the provider \"%.*s\" is of kind %.*s and carries %.*s", STR_ARG(node->text),
                 STR_ARG(p->kind), STR_ARG(channel_name((enum channel)p->channel)));
    finding_advise(c->findings,
                   or_kind != NULL ? "a provider with kind: %s or kind: %s"
                                   : "a provider with kind: %s",
                   kind, or_kind);
    return PLAN_NO_INDEX;
}

/* ---- a call's template ----------------------------------------------------------------------------- */

struct piece {
    uint32_t line; /* of the document, where it begins */
    const struct yaml_node *node;
    const char *what;
};

struct document {
    struct buf text;
    uint32_t line;
    struct piece pieces[HEADERS_MAX + 3];
    uint32_t piece_count;
};

static void new_piece(struct document *d, const struct yaml_node *node, const char *what)
{
    buf_add_byte(&d->text, '\n');
    d->line++;
    if (d->piece_count < array_count(d->pieces))
        d->pieces[d->piece_count++] = (struct piece){d->line, node, what};
}

/* The byte behind the tag that begins at `at`, or SIZE_MAX. */
static size_t tag_end(struct str text, size_t at)
{
    struct str close = text.at[at + 1] == '{' ? STR("}}") : STR("%}");
    size_t end = str_find(text, close, at);
    return end == SIZE_MAX ? SIZE_MAX : end + 2;
}

/* A template of text as one of a JSON text: what is written is escaped, values are by the template language.
 * Of a path, each value is encoded. */
static void add_text(struct builder *b, struct document *d, const struct yaml_node *node,
                     bool is_path)
{
    struct str text = node->text;
    buf_add_byte(&d->text, '"');
    for (size_t i = 0; i < text.len;) {
        bool is_tag = text.at[i] == '{' && i + 1 < text.len &&
                      (text.at[i + 1] == '{' || text.at[i + 1] == '%');
        size_t end = is_tag ? tag_end(text, i) : SIZE_MAX;
        if (is_tag && end != SIZE_MAX) {
            bool is_value = text.at[i + 1] == '{';
            size_t tail = end - 2 - (text.at[end - 3] == '-');
            buf_add_str(&d->text, str_part(text, i, tail - i));
            if (is_value && is_path)
                buf_add_str(&d->text, STR(" | url_encode | replace: '+', '%20' "));
            buf_add_str(&d->text, str_part(text, tail, end - tail));
            i = end;
            continue;
        }
        unsigned char byte = (unsigned char)text.at[i++];
        if (byte < ' ' || byte == 0x7f) {
            wrong(b, node, "one line of text, without control characters");
            break;
        }
        if (byte == '"' || byte == '\\')
            buf_add_byte(&d->text, '\\');
        buf_add_byte(&d->text, byte);
    }
    buf_add_byte(&d->text, '"');
}

static bool is_header_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!scope_is_word(name.at[i]) && name.at[i] != '-')
            return false;
    return name.len > 0 && name.len <= SAVED_NAME_MAX;
}

/* Some are the connection's or ours, and in some secrets stand. */
static void header_look(struct builder *b, const struct yaml_node *key)
{
    static const char *const ours[] = {"host",   "content-length",  "content-type",
                                       "expect", "connection",      "transfer-encoding",
                                       "te",     "idempotency-key", "upgrade"};
    static const char *const secret[] = {
        "authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"};
    if (!is_header_name(key->text)) {
        wrong(b, key, "a header's name has letters, digits, - and _");
        return;
    }
    for (size_t i = 0; i < array_count(ours); i++)
        if (str_equal_nocase(key->text, str_of(ours[i])))
            wrong(b, key, "this header is the connection's, or set by the call itself");
    for (size_t i = 0; i < array_count(secret); i++) {
        if (!str_equal_nocase(key->text, str_of(secret[i])))
            continue;
        wrong(b, key, "a secret has no place in a journey");
        finding_advise(b->c->findings,
                       "providers/NAME.yaml: settings: {bearer: '${ENV:NAME}'}, or key_header "
                       "and key");
    }
}

static void headers_add(struct builder *b, struct document *d, const struct yaml_node *map)
{
    uint32_t count = map != NULL && map->type == YAML_MAP ? map->count : 0;
    buf_add_str(&d->text, STR("\"headers\":{"));
    if (count > HEADERS_MAX) {
        findings_add(b->c->findings, FINDING_TOO_MANY, yaml_place(b->yaml, map),
                     "at most %d headers", HEADERS_MAX);
        count = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *key = map->pairs[i].key, *value = map->pairs[i].value;
        header_look(b, key);
        if (value->is_bad || !is_header_name(key->text))
            continue;
        buf_printf(&d->text, "%s\"%.*s\":", i ? "," : "", STR_ARG(key->text));
        new_piece(d, value, "header");
        add_text(b, d, value, false);
    }
    buf_add_str(&d->text, STR("},"));
}

/* A template's fault, where it stands in the programme. */
static void template_wrong(struct builder *b, const struct document *d,
                           const struct yaml_node *step, uint32_t line, const char *text)
{
    const struct piece *piece = NULL;
    for (uint32_t i = 0; i < d->piece_count; i++)
        if (d->pieces[i].line <= line)
            piece = &d->pieces[i];
    if (piece == NULL)
        findings_add(b->c->findings, FINDING_TEMPLATE, yaml_place(b->yaml, step), "%s", text);
    else if (strcmp(piece->what, "body") == 0)
        findings_add(b->c->findings, FINDING_TEMPLATE, yaml_place(b->yaml, piece->node),
                     "line %u of the body: %s", line - piece->line + 1, text);
    else
        findings_add(b->c->findings, FINDING_TEMPLATE, yaml_place(b->yaml, piece->node), "%s: %s",
                     piece->what, text);
}

/* What the template reads gets its place among the errand's fields. */
static void fields_compile(struct builder *b, const struct document *d,
                           const struct yaml_node *step, struct channel_template *template,
                           struct plan_errand *e)
{
    struct compile *c = b->c;
    size_t count;
    const struct channel_field *list = channel_template_fields(template, &count);
    uint32_t *slots = arena_array(c->arena, uint32_t, count + CALL_OWN_FIELDS);
    uint32_t slot_count = CALL_OWN_FIELDS;
    slots[ERRAND_KEY] = 0;
    for (size_t i = 0; i < count; i++) {
        struct fault f = {0};
        if (str_is(list[i].path, "wend_key")) {
            channel_template_bind(template, i, ERRAND_KEY);
            continue;
        }
        uint32_t slot = scope_template_slot(c, list[i].path, &f);
        enum slot_meta meta = slot && SLOT_SPACE(slot) == SLOT_META
                                  ? (enum slot_meta)SLOT_NAME(slot)
                                  : META_PERSON_ID;
        bool is_message = meta == META_MESSAGE || meta == META_ATTEMPT_ID || meta == META_VOUCHER;
        if ((!slot && !list[i].is_maybe_local) || is_message)
            template_wrong(b, d, step, list[i].line,
                           is_message ? "a call sends no message, and takes no voucher" : f.text);
        if (slot && SLOT_SPACE(slot) == SLOT_ENTRY)
            name_set_add(c, &b->info->kept, SLOT_NAME(slot));
        if (slot && SLOT_SPACE(slot) == SLOT_ENTRY)
            saved_told(c, b->yaml, step, SLOT_NAME(slot));
        channel_template_bind(template, i, slot ? slot_count : CHANNEL_FIELD_ABSENT);
        if (slot)
            slots[slot_count++] = slot;
    }
    if (slot_count > PLAN_FIELDS_MAX)
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(b->yaml, step),
                     "the call's templates read more than %d different values", PLAN_FIELDS_MAX);
    e->request.fields = slots;
    e->request.field_count = min_of(slot_count, (uint32_t)PLAN_FIELDS_MAX);
}

static void template_compile(struct builder *b, const struct document *d,
                             const struct yaml_node *step, struct plan_errand *e)
{
    struct channel_template *template = NULL;
    struct fault f = {0};
    struct channel_source source = {.name = STR("json"),
                                    .text = arena_copy(&b->c->scratch, buf_str(&d->text)),
                                    .file = STR("call"),
                                    .line = 1};
    if (channel_compile(CHANNEL_WEBHOOK, &source, 1, b->c->partials, b->c->partial_count,
                        b->c->arena, &template, &f) != OK) {
        template_wrong(b, d, step, f.line, f.text);
        return;
    }
    e->request.templates[CHANNEL_WEBHOOK] = template;
    fields_compile(b, d, step, template, e);
}

/* ---- call ------------------------------------------------------------------------------------------ */

static void call_template(struct builder *b, const struct yaml_node *node, struct plan_errand *e)
{
    const struct yaml_node *path = shape_value(node, "", "path");
    const struct yaml_node *body = shape_value(node, "", "body");
    struct str method = shape_text(shape_value(node, "", "method"), STR("POST"));
    int64_t timeout_ms =
        span_in(b, shape_value(node, "", "timeout"), 0, TIMEOUT_LEAST_MS, TIMEOUT_MOST_MS,
                "an answer is waited for at least 100ms and at most 1m");
    bool has_body = !str_is(method, "GET") && !str_is(method, "DELETE");
    struct document d = {.line = 1};
    buf_init(&d.text);
    buf_printf(&d.text, "{\"key\":\"{{ wend_key }}\",\"method\":\"%.*s\",\"once\":%s,",
               STR_ARG(method), e->is_once ? "true" : "false");
    if (timeout_ms > 0)
        buf_printf(&d.text, "\"timeout\":%lld,", (long long)timeout_ms);
    if (path != NULL && !path->is_bad) {
        buf_add_str(&d.text, STR("\"path\":"));
        new_piece(&d, path, "path");
        add_text(b, &d, path, true);
        buf_add_str(&d.text, STR(","));
        if (path->text.len == 0 || path->text.at[0] != '/')
            wrong(b, path, "a path begins with /");
    }
    headers_add(b, &d, shape_value(node, "", "headers"));
    buf_add_str(&d.text, STR("\"body\":"));
    if (body != NULL && !has_body)
        findings_add(b->c->findings, FINDING_CONFLICT, yaml_place(b->yaml, body),
                     "a call with the method %.*s has no body", STR_ARG(method));
    if (body != NULL && !body->is_bad && has_body) {
        new_piece(&d, body, "body");
        buf_add_str(&d.text, body->text);
        buf_add_byte(&d.text, '\n');
    } else {
        buf_add_str(&d.text, has_body ? STR("{}") : STR("null"));
    }
    buf_add_byte(&d.text, '}');
    template_compile(b, &d, node, e);
    buf_fini(&d.text);
}

static void stub_compile(struct builder *b, const struct yaml_node *node, struct plan_errand *e)
{
    struct fault f = {0};
    size_t offset;
    e->stub = arena_copy(b->c->arena, shape_text(node, STR("{}")));
    if (node != NULL && !node->is_bad && json_locate(node->text, JSON_DEPTH, &offset, &f) != OK)
        findings_add(b->c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, node),
                     "the stub is not JSON: %s", f.text);
}

void call_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                  struct open_ends *ends, uint16_t *last_message)
{
    struct plan_errand *e = errand_new(b, node, step, ERRAND_CALL);
    if (e == NULL)
        return;
    e->is_once = str_is(shape_text(shape_value(node, "", "retry"), STR("safe")), "never");
    e->reads = str_is(shape_text(shape_value(node, "", "method"), STR("POST")), "GET");
    e->is_told = true;
    e->within_ms = span_in(b, shape_value(node, "", "within"), WITHIN_MS, WITHIN_LEAST_MS,
                           WITHIN_MOST_MS, "a call is tried for at least 1s and at most 30d");
    e->request.providers[CHANNEL_WEBHOOK] =
        provider_of(b, shape_value(node, "", "call"), "http", NULL);
    category_compile(b, shape_value(node, "", "category"), e);
    saves_compile(b, shape_value(node, "", "save"), e);
    stub_compile(b, shape_value(node, "", "stub"), e);
    call_template(b, node, e);
    ways_of(b, node, step, "if_failed", "if_timed_out", ends, last_message);
}

/* ---- task ------------------------------------------------------------------------------------------ */

static struct plan_piece value_piece(struct builder *b, const struct yaml_node *node,
                                     struct str inside)
{
    struct compile *c = b->c;
    struct fault f = {0};
    struct str path = str_trim(inside);
    if (str_find(path, STR("|"), 0) != SIZE_MAX) {
        wrong(b, node, "a task's texts take values without filters");
        return (struct plan_piece){.text = STR("")};
    }
    uint32_t slot = scope_template_slot(c, path, &f);
    if (!slot) {
        findings_add(c->findings, FINDING_TEMPLATE, yaml_place(b->yaml, node), "%s", f.text);
        return (struct plan_piece){.text = STR("")};
    }
    if (SLOT_SPACE(slot) == SLOT_ENTRY) {
        name_set_add(c, &b->info->kept, SLOT_NAME(slot));
        saved_told(c, b->yaml, node, SLOT_NAME(slot));
    }
    return (struct plan_piece){.slot = slot};
}

static void phrase_compile(struct builder *b, const struct yaml_node *node, struct plan_phrase *out)
{
    struct str rest = shape_text(node, STR(""));
    struct plan_piece *pieces = arena_array(b->c->arena, struct plan_piece, PIECES_MAX);
    out->pieces = pieces;
    while (rest.len > 0) {
        size_t open = min_of(str_find(rest, STR("{{"), 0), rest.len);
        if (out->count + 2 > PIECES_MAX) {
            wrong(b, node, "the text has too many values");
            return;
        }
        if (open > 0)
            pieces[out->count++] =
                (struct plan_piece){.text = arena_copy(b->c->arena, str_part(rest, 0, open))};
        rest = str_part(rest, open, SIZE_MAX);
        if (rest.len == 0)
            return;
        size_t close = str_find(rest, STR("}}"), 0);
        if (close == SIZE_MAX) {
            wrong(b, node, "\"{{\" is not closed");
            return;
        }
        pieces[out->count++] = value_piece(b, node, str_part(rest, 2, close - 2));
        rest = str_part(rest, close + 2, SIZE_MAX);
    }
}

#define TASK_JSON                                                                              \
    "{\"type\":\"task\",\"action\":\"{{ action }}\",\"task\":\"{{ key }}\",\"queue\":\"{{ "    \
    "queue }}\",{% if title %}\"title\":\"{{ title }}\",\"details\":\"{{ details }}\","        \
    "\"assignee\":\"{{ assignee }}\",{% endif %}\"due\":\"{{ due }}\",\"person\":\"{{ person " \
    "}}\",\"journey\":\"{{ journey }}\"}"

static const struct channel_template *task_template(struct compile *c, bool is_wrapped)
{
    static const char *const paths[TASK_FIELDS] = {
        [TASK_KEY] = "key",     [TASK_ACTION] = "action",   [TASK_QUEUE] = "queue",
        [TASK_TITLE] = "title", [TASK_DETAILS] = "details", [TASK_ASSIGNEE] = "assignee",
        [TASK_DUE] = "due",     [TASK_PERSON] = "person",   [TASK_JOURNEY] = "journey",
    };
    struct channel_template *template = NULL;
    struct fault f = {0};
    struct channel_source source = {
        .name = STR("json"),
        .text = is_wrapped ? STR("{\"key\":\"{{ key }}-{{ action }}\",\"method\":\"POST\",\"once\":"
                                 "false,\"headers\":{},\"body\":" TASK_JSON "}")
                           : STR(TASK_JSON),
        .file = STR("task"),
        .line = 1,
    };
    must(channel_compile(CHANNEL_WEBHOOK, &source, 1, NULL, 0, c->arena, &template, &f) == OK);
    size_t count;
    const struct channel_field *fields = channel_template_fields(template, &count);
    must(count == TASK_FIELDS);
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < TASK_FIELDS; k++)
            if (str_is(fields[i].path, paths[k]))
                channel_template_bind(template, i, k);
    return template;
}

void task_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                  struct open_ends *ends, uint16_t *last_message)
{
    static const uint32_t no_slots[TASK_FIELDS] = {0}; /* frozen by decide/errand.c */
    struct plan_errand *e = errand_new(b, node, step, ERRAND_TASK);
    if (e == NULL)
        return;
    const struct yaml_node *queue = shape_value(node, "", "task");
    const struct yaml_node *provider = shape_value(node, "", "provider");
    uint16_t index = provider_of(b, provider, "webhook", "http");
    e->queue = queue != NULL ? build_name(b->c, queue->text) : NAME_NONE;
    e->is_told = provider != NULL;
    e->within_ms = span_in(b, shape_value(node, "", "due"), DUE_MS, DUE_LEAST_MS, DUE_MOST_MS,
                           "people have at least 1m and at most 365d");
    e->request.providers[CHANNEL_WEBHOOK] = index;
    category_compile(b, shape_value(node, "", "category"), e);
    phrase_compile(b, shape_value(node, "", "title"), &e->title);
    phrase_compile(b, shape_value(node, "", "details"), &e->details);
    phrase_compile(b, shape_value(node, "", "assignee"), &e->assignee);
    saves_compile(b, shape_value(node, "", "save"), e);
    e->request.field_count = TASK_FIELDS;
    e->request.fields = no_slots;
    e->request.templates[CHANNEL_WEBHOOK] =
        task_template(b->c, index != PLAN_NO_INDEX && str_is(b->c->providers[index].kind, "http"));
    ways_of(b, node, step, "if_declined", "if_overdue", ends, last_message);
}

/* ---- saved.NAME ------------------------------------------------------------------------------------ */

#define SAVED "$saved:"

bool saved_is(struct str name)
{
    return str_starts(name, STR(SAVED));
}

uint32_t saved_name(struct compile *c, struct str name)
{
    return is_saved_name(name)
               ? build_name(c, arena_printf(&c->scratch, SAVED "%.*s", STR_ARG(name)))
               : NAME_NONE;
}

void saved_told(struct compile *c, const struct yaml_file *yaml, const struct yaml_node *node,
                uint32_t name)
{
    struct str text = names_text(c->names, name);
    if (!saved_is(text))
        return;
    struct compile_told *told = arena_new(&c->scratch, struct compile_told);
    *told = (struct compile_told){.next = c->told,
                                  .file = yaml,
                                  .place = yaml_place(yaml, node),
                                  .name = name,
                                  .is_saved = true};
    c->told = told;
}

void saves_check(struct builder *b)
{
    struct compile *c = b->c;
    struct str *known = arena_array(&c->scratch, struct str, b->count * PLAN_SAVES_MAX + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        bool is_one = b->steps[i].kind == STEP_CALL || b->steps[i].kind == STEP_TASK;
        if (!is_one || c->errands == NULL)
            continue;
        const struct plan_errand *e = &c->errands[b->steps[i].errand.errand];
        for (uint32_t k = 0; k < e->save_count; k++)
            known[count++] =
                str_part(names_text(c->names, e->saves[k].name), strlen(SAVED), SIZE_MAX);
    }
    for (const struct compile_told *told = c->told; told != NULL; told = told->next) {
        if (told->file != b->yaml || !told->is_saved)
            continue;
        struct str name = str_part(names_text(c->names, told->name), strlen(SAVED), SIZE_MAX);
        bool is_known = false;
        for (uint32_t i = 0; i < count; i++)
            is_known |= str_equal(known[i], name);
        if (is_known)
            continue;
        struct str near = str_nearest(name, known, count);
        findings_add(c->findings, FINDING_UNKNOWN_NAME, told->place,
                     "no step of the journey saves \"%.*s\"", STR_ARG(name));
        if (near.len)
            finding_advise(c->findings, "did you mean saved.%.*s?", STR_ARG(near));
        else
            finding_advise(c->findings, "a call or task says save: {%.*s: ...}", STR_ARG(name));
    }
}
