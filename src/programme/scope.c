/* scope.c - what names in expressions and templates mean.
 *
 *     event.PATH      a property of the event that is being applied   SLOT_EVENT
 *     entry.PATH      a property of the event that began the instance SLOT_ENTRY
 *     saved.NAME      what a call or task of the journey has saved    SLOT_ENTRY, "$saved:NAME"
 *     traits.PATH     a declared trait (person.PATH is the same)      SLOT_TRAIT
 *     person.id, event_name, journey.name, message.name, message.id   SLOT_META
 *     did(...) ...    what is remembered about the person             a plan_binding
 *     has_been(...)   a segment of its own, in_segment(...): segment.c
 *
 * since("Login") is a time that grows while nothing happens. A binding's answer, however, stands
 * until something happens. So the text is rewritten before it is compiled: since(X) becomes
 * (now - since(X)), where the binding answers the moment from which is counted, and the language
 * solves the comparison by itself. scope_text keeps where each byte came from, so that messages point
 * into what was written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/scope_int.h"

#include "base/hash.h"
#include "base/mem.h"
#include "when/span.h"
#include "when/zone.h"

/* ---- names -------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t slot;
    const struct expr_type *type;
} metas[] = {
    {"person.id", SLOT(SLOT_META, META_PERSON_ID), &expr_text},
    {"event_name", SLOT(SLOT_META, META_EVENT_NAME), &expr_text},
    {"journey.name", SLOT(SLOT_META, META_JOURNEY), &expr_text},
    {"message.name", SLOT(SLOT_META, META_MESSAGE), &expr_text},
    {"message.id", SLOT(SLOT_META, META_ATTEMPT_ID), &expr_text},
};

/* ---- the text -------------------------------------------------------------------------------- */

struct scope_text {
    struct str text;
    const uint32_t *from; /* for each byte of text and its end: the byte of the original */
};

bool scope_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The byte behind the string literal that begins at `at`. */
size_t scope_literal_end(struct str s, size_t at)
{
    bool is_raw = at > 0 && (s.at[at - 1] == 'r' || s.at[at - 1] == 'R');
    char quote = s.at[at];
    bool is_triple = at + 2 < s.len && s.at[at + 1] == quote && s.at[at + 2] == quote;
    size_t i = at + (is_triple ? 3 : 1);
    for (; i < s.len; i++) {
        if (s.at[i] == '\\' && !is_raw)
            i++;
        else if (is_triple && i + 2 < s.len && s.at[i] == quote && s.at[i + 1] == quote &&
                 s.at[i + 2] == quote)
            return i + 3;
        else if (!is_triple && s.at[i] == quote)
            return i + 1;
    }
    return s.len;
}

/* The byte behind the parenthesis that closes the one at `at`; 0 if there is none. */
static size_t call_end(struct str s, size_t at)
{
    int depth = 0;
    for (size_t i = at; i < s.len; i++) {
        if (s.at[i] == '"' || s.at[i] == '\'') {
            i = scope_literal_end(s, i) - 1;
        } else if (s.at[i] == '(') {
            depth++;
        } else if (s.at[i] == ')' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

struct rewriter {
    struct str in;
    char *out;
    uint32_t *from;
    size_t len;
};

static void put(struct rewriter *w, struct str text, size_t from, bool is_original)
{
    for (size_t i = 0; i < text.len; i++) {
        w->out[w->len] = text.at[i];
        w->from[w->len++] = (uint32_t)(from + (is_original ? i : 0));
    }
}

/* The text as it is compiled: since(X) as (now - since(X)), and the whole turned round for `unless`. */
static bool text_rewrite(struct scope *s, struct str in, size_t offset, bool is_not,
                         struct scope_text *out)
{
    struct compile *c = s->c;
    /* "since(" grows by "(now - " and ")", eight bytes for six; "has_been(" by no more than forty. */
    size_t room = in.len * 5 + 16;
    struct rewriter w = {
        .in = in,
        .out = arena_alloc(&c->scratch, room),
        .from = arena_array(&c->scratch, uint32_t, room + 1),
    };
    if (is_not)
        put(&w, STR("!("), 0, false);
    size_t close_at[64];
    size_t closes = 0;
    for (size_t i = 0; i < in.len;) {
        while (closes && close_at[closes - 1] == i) {
            put(&w, STR(")"), i, false);
            closes--;
        }
        char before = i ? in.at[i - 1] : ' ';
        if (in.at[i] == '"' || in.at[i] == '\'') {
            size_t end = scope_literal_end(in, i);
            put(&w, str_part(in, i, end - i), i, true);
            i = end;
            continue;
        }
        if (in.at[i] == '/' && i + 1 < in.len && in.at[i + 1] == '/') { /* a comment */
            size_t end = min_of(str_find(in, STR("\n"), i), in.len);
            put(&w, str_part(in, i, end - i), i, true);
            i = end;
            continue;
        }
        size_t end = 0;
        if (str_starts(str_part(in, i, in.len), STR("has_been(")) && !scope_is_word(before) &&
            before != '.' && (end = call_end(in, i + 8)) != 0) {
            struct str call;
            if (!segment_has_been(c, s->file, s->node, str_part(in, i + 9, end - 1 - (i + 9)),
                                  offset + i + 9, &call))
                return false;
            put(&w, call, i, false);
            i = end;
            continue;
        }
        if (str_starts(str_part(in, i, in.len), STR("since(")) && !scope_is_word(before) &&
            before != '.' && closes < array_count(close_at))
            end = call_end(in, i + 5);
        if (end) {
            put(&w, STR("(now - "), i, false);
            close_at[closes++] = end;
            put(&w, STR("since"), i, true);
            i += 5;
            continue;
        }
        put(&w, str_part(in, i, 1), i, true);
        i++;
    }
    while (closes--)
        put(&w, STR(")"), in.len, false);
    if (is_not)
        put(&w, STR("\n)"), in.len, false); /* a comment at the end must not swallow it */
    w.from[w.len] = (uint32_t)in.len;
    must(w.len <= room);
    *out = (struct scope_text){{w.out, w.len}, w.from};
    return true;
}

/* ---- paths ----------------------------------------------------------------------------------- */

struct str scope_join(struct compile *c, const struct str *parts, uint32_t from, uint32_t count)
{
    struct str path = STR("");
    for (uint32_t i = from; i < count; i++)
        path = arena_printf(&c->scratch, "%.*s%s%.*s", STR_ARG(path), i > from ? "." : "",
                            STR_ARG(parts[i]));
    return path;
}

static const struct expr_type *trait_type(const struct plan_trait *trait)
{
    switch (trait->type) {
    case VALUE_TEXT: return &expr_text;
    case VALUE_INT: return &expr_int;
    case VALUE_DOUBLE: return &expr_double;
    case VALUE_BOOL: return &expr_bool;
    case VALUE_TIME: return &expr_time;
    default: must(!"a type of traits"); return NULL;
    }
}

/* The declared trait that the longest beginning of `path` (parts from 1) names. */
static const struct plan_trait *trait_find(struct compile *c, const struct str *parts,
                                           uint32_t count, uint32_t *used)
{
    for (uint32_t n = count; n > 1; n--) {
        uint32_t name = names_find(c->names, scope_join(c, parts, 1, n));
        const struct plan_trait *trait = name ? plan_trait_find(c->plan, name) : NULL;
        if (trait) {
            *used = n;
            return trait;
        }
    }
    return NULL;
}

static void trait_unknown(struct compile *c, struct str path, struct fault *f)
{
    struct str *known = arena_array(&c->scratch, struct str, c->plan->trait_count);
    for (uint32_t i = 0; i < c->plan->trait_count; i++)
        known[i] = names_text(c->names, c->plan->traits[i].name);
    struct str near = str_nearest(path, known, c->plan->trait_count);
    if (near.len)
        fault_set(f, "unknown trait \"%.*s\"; did you mean \"%.*s\"?", STR_ARG(path),
                  STR_ARG(near));
    else
        fault_set(f, "unknown trait \"%.*s\"; declare it under traits in programme.yaml",
                  STR_ARG(path));
}

struct expr_slot scope_property_slot(enum slot_space space, uint32_t name, uint32_t parts)
{
    return (struct expr_slot){
        .slot = SLOT(space, name),
        .parts = parts,
        .type = &expr_dyn,
        .has_number = true,
        .number = SLOT(space, name) | SLOT_AS_NUMBER,
    };
}

static enum expr_found property_path(struct scope *s, const struct expr_path *path,
                                     enum slot_space space, struct expr_slot *out, struct fault *f)
{
    struct compile *c = s->c;
    if (path->count == 1) {
        fault_set(f, "%.*s alone is no value; write %.*s.PROPERTY", STR_ARG(path->parts[0]),
                  STR_ARG(path->parts[0]));
        return EXPR_REFUSED;
    }
    uint32_t flag = space == SLOT_EVENT ? SCOPE_EVENT : SCOPE_ENTRY;
    if (!(s->target.flags & flag)) {
        if (space == SLOT_EVENT && !(s->target.flags & SCOPE_ENTRY))
            fault_set(f,
                      "there is no event here: this is asked of a person at any time; "
                      "last(\"Event\").%.*s is of the latest such event",
                      STR_ARG(scope_join(c, path->parts, 1, path->count)));
        else if (space == SLOT_EVENT)
            fault_set(f,
                      "there is no event here; entry.%.*s is of the event that began the journey",
                      STR_ARG(scope_join(c, path->parts, 1, path->count)));
        else
            fault_set(f, "there is no entry here%s",
                      s->target.flags & SCOPE_EVENT ? "; write event. for the event itself" : "");
        return EXPR_REFUSED;
    }
    struct str text = scope_join(c, path->parts, 1, path->count);
    if (space == SLOT_EVENT && s->target.flags & SCOPE_CLOCK && !str_is(text, "at")) {
        fault_set(f,
                  "there is no event here: the clock brings event.at alone, when it was; "
                  "last(\"Event\").%.*s is of the latest such event, traits.%.*s of the person",
                  STR_ARG(text), STR_ARG(text));
        return EXPR_REFUSED;
    }
    uint32_t name = names_add(c->names, text);
    if (name != NAME_NONE)
        slip_note(c, name, yaml_place(s->file, s->node));
    if (name == NAME_NONE) {
        fault_set(f, "the property's name \"%.*s\" is too long", STR_ARG(text));
        return EXPR_REFUSED;
    }
    if (space == SLOT_ENTRY && s->target.kept)
        name_set_add(c, s->target.kept, name);
    *out = scope_property_slot(space, name, path->count);
    return EXPR_FOUND;
}

/* What a call or task of the journey has saved: kept beside entry.*. */
static enum expr_found saved_path(struct scope *s, const struct expr_path *path,
                                  struct expr_slot *out, struct fault *f)
{
    uint32_t name = path->count > 1 ? saved_name(s->c, path->parts[1]) : NAME_NONE;
    if (name == NAME_NONE) {
        fault_set(f, "saved alone is no value; write saved.NAME");
        return EXPR_REFUSED;
    }
    if (!(s->target.flags & SCOPE_ENTRY) || s->target.kept == NULL) {
        fault_set(f, "saved.%.*s is known inside a journey only, behind its entry",
                  STR_ARG(path->parts[1]));
        return EXPR_REFUSED;
    }
    name_set_add(s->c, s->target.kept, name);
    if (str_starts(s->file->path, STR("journeys/")))
        saved_told(s->c, s->file, s->node, name);
    *out = scope_property_slot(SLOT_ENTRY, name, 2);
    return EXPR_FOUND;
}

static enum expr_found scope_path(void *self, const struct expr_path *path, struct expr_slot *out,
                                  struct fault *f)
{
    struct scope *s = self;
    struct str root = path->parts[0];
    if (str_is(root, "event"))
        return property_path(s, path, SLOT_EVENT, out, f);
    if (str_is(root, "entry"))
        return property_path(s, path, SLOT_ENTRY, out, f);
    if (str_is(root, "saved"))
        return saved_path(s, path, out, f);
    for (size_t i = 0; i < array_count(metas); i++) {
        uint32_t parts = strchr(metas[i].name, '.') ? 2 : 1;
        if (path->count < parts || !str_is(scope_join(s->c, path->parts, 0, parts), metas[i].name))
            continue;
        bool is_event = metas[i].slot == SLOT(SLOT_META, META_EVENT_NAME);
        bool is_message = str_is(root, "message");
        if ((is_event && !(s->target.flags & SCOPE_EVENT)) || is_message)
            break;
        *out = (struct expr_slot){.slot = metas[i].slot, .parts = parts, .type = metas[i].type};
        return EXPR_FOUND;
    }
    if (!str_is(root, "traits") && !str_is(root, "person"))
        return EXPR_UNKNOWN;
    if (path->count == 1) {
        fault_set(f, "%.*s alone is no value; write traits.NAME", STR_ARG(root));
        return EXPR_REFUSED;
    }
    uint32_t used = 0;
    const struct plan_trait *trait = trait_find(s->c, path->parts, path->count, &used);
    if (!trait) {
        trait_unknown(s->c, scope_join(s->c, path->parts, 1, path->count), f);
        return EXPR_REFUSED;
    }
    *out = (struct expr_slot){
        .slot = SLOT(SLOT_TRAIT, trait->name), .parts = used, .type = trait_type(trait)};
    return EXPR_FOUND;
}

/* ---- the language's questions ------------------------------------------------------------------- */

static bool scope_name(void *self, enum expr_name_kind kind, uint32_t index, struct str *name,
                       const struct expr_type **type)
{
    struct scope *s = self;
    if (kind == EXPR_NAME_FUNCTION) {
        const struct scope_function *function = scope_function_at(index);
        if (!function)
            return false;
        *name = str_of(function->name);
        *type = function->type;
        return true;
    }
    static const char *const roots[] = {"event",  "entry",      "traits",
                                        "person", "event_name", "saved"};
    *type = &expr_dyn;
    if (index < array_count(roots)) {
        *name = str_of(roots[index]);
        return true;
    }
    index -= array_count(roots);
    if (index >= s->c->plan->trait_count)
        return false;
    const struct plan_trait *trait = &s->c->plan->traits[index];
    *name =
        arena_printf(&s->c->scratch, "traits.%.*s", STR_ARG(names_text(s->c->names, trait->name)));
    *type = trait_type(trait);
    return true;
}

static bool scope_zone(void *self, struct str zone)
{
    struct scope *s = self;
    return zoneset_find(s->c->plan->zones, zone) != ZONE_NONE;
}

/* ---- compiling ------------------------------------------------------------------------------- */

static void binding_names(struct compile *c, const struct plan_binding *binding,
                          struct name_set *out)
{
    if (binding->window_count)
        name_set_add(c, out, NAME_TIMEZONE); /* where its days begin and end */
    switch ((enum binding_kind)binding->kind) {
    case BINDING_DID:
    case BINDING_COUNT:
    case BINDING_IDLE:
    case BINDING_SINCE:
    case BINDING_SUM:
    case BINDING_LEAST:
    case BINDING_MOST:
    case BINDING_AVERAGE:
    case BINDING_DISTINCT:
    case BINDING_FIRST:
    case BINDING_STEP:
    case BINDING_LAST: name_set_add(c, out, c->features[binding->feature].name); return;
    case BINDING_SEQUENCE:
        for (uint32_t i = 0; i < binding->sequence->step_count; i++)
            name_set_add(c, out, c->features[binding->sequence->steps[i]].name);
        for (uint32_t i = 0; i < binding->sequence->without_count; i++)
            name_set_add(c, out, c->features[binding->sequence->without[i]].name);
        return;
    case BINDING_SENT:
    case BINDING_ENGAGED:
    case BINDING_CLICKED:
    case BINDING_IN_JOURNEY:
    case BINDING_IN_SEGMENT: name_set_add(c, out, binding->name); return;
    case BINDING_CONSENT: /* for the address that they have */
        name_set_add(c, out, NAME_CONSENT_CHANGED);
        if (channel_trait((enum channel)binding->channel) != NAME_NONE)
            name_set_add(c, out, channel_trait((enum channel)binding->channel));
        return;
    case BINDING_IN_CALENDAR:
        name_set_add(c, out, NAME_TIMEZONE);
        if (binding->name != NAME_NONE)
            name_set_add(c, out, binding->name);
        return;
    case BINDING_IN_HOURS: name_set_add(c, out, NAME_TIMEZONE); return;
    case BINDING_OUTCOME: name_set_add(c, out, binding->name); return;
    case BINDING_IN_STAGE: name_set_add(c, out, NAME_IN_STAGE); return;
    case BINDING_BUCKET: return;
    }
}

void scope_names(struct compile *c, const struct expr *code, struct name_set *out)
{
    struct expr_reads reads = expr_reads(code);
    for (uint32_t i = 0; i < reads.slot_count; i++) {
        if (SLOT_SPACE(reads.slots[i]) == SLOT_TRAIT) {
            name_set_add(c, out, SLOT_NAME(reads.slots[i]));
        } else if (reads.slots[i] == SLOT(SLOT_META, META_PERSON_ID)) {
            name_set_add(c, out, NAME_USER_ID);
            name_set_add(c, out, NAME_ANONYMOUS_ID);
        }
    }
    for (uint32_t i = 0; i < reads.binding_count; i++)
        binding_names(c, &c->bindings[reads.bindings[i]], out);
}

/* Where a segment is read, what changes the segment wakes too: an older programme asks it anew. */
static uint64_t wake_of(struct scope *s, const struct expr *code)
{
    struct compile *c = s->c;
    struct expr_reads reads = expr_reads(code);
    struct name_set names = {0};
    uint64_t wake = 0;
    scope_names(c, code, &names);
    for (uint32_t i = 0; i < names.count; i++) {
        wake |= plan_wake_bit(names.names[i]);
        if (s->target.reads)
            name_set_add(c, s->target.reads, names.names[i]);
    }
    for (uint32_t i = 0; i < reads.binding_count; i++)
        if (c->bindings[reads.bindings[i]].kind == BINDING_IN_SEGMENT)
            wake |= segment_wakes(c, c->bindings[reads.bindings[i]].name);
    return wake;
}

/* Byte of the text that the fault's line and column mean. */
static size_t fault_offset(struct str text, const struct fault *f)
{
    size_t at = 0;
    for (uint32_t line = 1; line < f->line && at < text.len; at++)
        line += text.at[at] == '\n';
    return min_of(at + (f->column ? f->column - 1 : 0), text.len);
}

static void expression_say(struct scope *s, struct str text, size_t start,
                           const struct scope_text *rewritten, const struct fault *f)
{
    size_t offset = rewritten->from[fault_offset(rewritten->text, f)];
    struct place place = yaml_place_in(s->file, s->node, start + min_of(offset, text.len));
    bool is_later = strstr(f->text, "not supported yet by this release") != NULL;
    findings_add(s->c->findings, is_later ? FINDING_NOT_YET : FINDING_EXPRESSION, place, "%s",
                 f->text);
}

bool scope_compile_part(struct compile *c, const struct yaml_file *file,
                        const struct yaml_node *node, struct str part, size_t offset,
                        struct scope_target target, struct plan_expr *out)
{
    struct scope self = {c, file, node, target, NULL};
    *out = (struct plan_expr){.text = STR("")};
    const struct expr_scope scope = {
        .self = &self,
        .path = scope_path,
        .function = scope_function,
        .binder = scope_binder,
        .name = scope_name,
        .zone_is_known = scope_zone,
    };
    bool is_not = (target.flags & SCOPE_NOT) != 0;
    struct scope_text text;
    if (!text_rewrite(&self, part, offset, is_not, &text))
        return false;
    struct expr_options options = {
        .wanted = target.wanted,
        .mode = target.flags & SCOPE_ONCE ? EXPR_ONCE : EXPR_RULE,
        .refuses_failures = true,
    };
    struct fault f = {0};
    if (expr_compile(c->arena, text.text, &scope, options, &out->code, &f) != OK) {
        expression_say(&self, part, offset, &text, &f);
        out->code = NULL;
        return false;
    }
    out->wake = wake_of(&self, out->code);
    struct str written = str_trim(part);
    out->text = is_not ? arena_printf(c->arena, "not (%.*s)", STR_ARG(written))
                       : arena_copy(c->arena, written);
    return true;
}

bool scope_compile(struct compile *c, const struct yaml_file *file, const struct yaml_node *node,
                   struct scope_target target, struct plan_expr *out)
{
    *out = (struct plan_expr){.text = STR("")};
    if (!node || node->is_bad)
        return node == NULL;
    return scope_compile_part(c, file, node, node->text, 0, target, out);
}

bool scope_compile_when(struct compile *c, const struct yaml_file *file,
                        const struct yaml_node *map, struct scope_target target,
                        struct plan_expr *out)
{
    const struct yaml_node *when = shape_value(map, "", "when");
    const struct yaml_node *unless = shape_value(map, "", "unless");
    if (when && unless) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(file, unless),
                     "\"when\" and \"unless\" stand together");
        finding_advise(c->findings, "join them: when: '(...) && !(...)'");
        *out = (struct plan_expr){.text = STR("")};
        return false;
    }
    if (unless)
        target.flags |= SCOPE_NOT;
    return scope_compile(c, file, unless ? unless : when, target, out);
}

/* ---- templates ------------------------------------------------------------------------------- */

uint32_t scope_template_slot(struct compile *c, struct str path, struct fault *f)
{
    struct str parts[16];
    uint32_t count = 0;
    for (size_t from = 0; from <= path.len && count < array_count(parts);) {
        size_t dot = min_of(str_find(path, STR("."), from), path.len);
        parts[count++] = str_part(path, from, dot - from);
        from = dot + 1;
    }
    if (str_is(parts[0], "person") || str_is(parts[0], "traits")) {
        if (str_is(path, "person.id"))
            return SLOT(SLOT_META, META_PERSON_ID);
        uint32_t used = 0;
        const struct plan_trait *trait = trait_find(c, parts, count, &used);
        if (trait)
            return SLOT(SLOT_TRAIT, trait->name);
        if (count == 1)
            fault_set(f, "%.*s alone is no value; write person.NAME", STR_ARG(parts[0]));
        else
            trait_unknown(c, scope_join(c, parts, 1, count), f);
        return 0;
    }
    if (str_is(parts[0], "entry") || str_is(parts[0], "event")) {
        uint32_t name = count > 1 ? names_add(c->names, scope_join(c, parts, 1, count)) : NAME_NONE;
        if (name)
            return SLOT(SLOT_ENTRY, name);
        fault_set(f, "%.*s alone is no value; write entry.PROPERTY", STR_ARG(parts[0]));
        return 0;
    }
    if (str_is(parts[0], "saved")) {
        uint32_t name = count > 1 ? saved_name(c, parts[1]) : NAME_NONE;
        if (name)
            return SLOT(SLOT_ENTRY, name);
        fault_set(f, "saved alone is no value; write saved.NAME");
        return 0;
    }
    static const struct str known[] = {
        {"saved", 5},       {"person", 6},        {"traits", 6},
        {"entry", 5},       {"event", 5},         {"journey.name", 12},
        {"message.id", 10}, {"message.name", 12}, {"voucher.code", 12},
    };
    if (str_is(path, "journey.name"))
        return SLOT(SLOT_META, META_JOURNEY);
    if (str_is(path, "message.name"))
        return SLOT(SLOT_META, META_MESSAGE);
    if (str_is(path, "message.id"))
        return SLOT(SLOT_META, META_ATTEMPT_ID);
    if (str_is(path, "voucher.code") || str_is(path, "code"))
        return SLOT(SLOT_META, META_VOUCHER);
    struct str near = str_nearest(parts[0], known, array_count(known));
    if (near.len)
        fault_set(f, "a template knows no \"%.*s\"; did you mean \"%.*s\"?", STR_ARG(path),
                  STR_ARG(near));
    else
        fault_set(
            f,
            "a template knows no \"%.*s\"; it can read person.*, entry.*, voucher.code, message.id, "
            "message.name, journey.name and unsubscribe_url",
            STR_ARG(path));
    return 0;
}
