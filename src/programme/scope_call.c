/* scope_call.c - the functions of expressions: what they refer to, as a binding of the plan.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/scope_int.h"

#include "base/hash.h"
#include "base/mem.h"
#include "when/span.h"

static const struct scope_function functions[] = {
#define FUNCTION(name, kind, form, takes, needs, type, arguments, usage, doc) \
    {name, BINDING_##kind, FORM_##form, takes, needs, &expr_##type, arguments, usage, doc},
#define REWRITTEN(name, type, arguments, usage, doc)
#include "programme/functions.def"
#undef FUNCTION
#undef REWRITTEN
};

/* Functions of the design that this release refuses. */
static const char *const later_functions[] = {"catalog", "visited"};

const struct scope_function *scope_function_at(uint32_t index)
{
    return index < array_count(functions) ? &functions[index] : NULL;
}

static const struct scope_function *function_find(struct str name)
{
    for (size_t i = 0; i < array_count(functions); i++)
        if (str_is(name, functions[i].name))
            return &functions[i];
    return NULL;
}

static bool later_find(struct str name)
{
    for (size_t i = 0; i < array_count(later_functions); i++)
        if (str_is(name, later_functions[i]))
            return true;
    return false;
}

bool scope_window(const struct expr_argument *argument, struct plan_binding *out, struct fault *f)
{
    if (argument->is_constant && argument->value.type == VALUE_DURATION &&
        argument->value.integer > 0) {
        out->window_ms = argument->value.integer;
        return true;
    }
    if (!argument->is_constant || argument->value.type != VALUE_TEXT) {
        fault_set(f, "the window must be written out: \"3d\"");
        return false;
    }
    struct span span;
    struct fault why = {0};
    if (span_parse(argument->value.text, &span, &why) != OK) {
        fault_set(f, "the window \"%.*s\": %s", STR_ARG(argument->value.text), why.text);
        return false;
    }
    if (span.kind == SPAN_CALENDAR) {
        out->window_unit = (uint8_t)span.unit;
        out->window_count = (uint16_t)span.count;
        return true;
    }
    if (span.ms <= 0) {
        fault_set(f, "the window \"%.*s\" is empty", STR_ARG(argument->value.text));
        return false;
    }
    out->window_ms = span.ms;
    return true;
}

bool scope_past_window(struct scope *s, const struct expr_argument *argument,
                       struct plan_binding *out, struct fault *f)
{
    if (!argument->is_slot || SLOT_SPACE(argument->slot) != SLOT_TRAIT) {
        if (argument->is_constant)
            return scope_window(argument, out, f);
        fault_set(f, "the window must be written out, \"3d\", or be one trait with a maximum");
        return false;
    }
    const struct plan_trait *trait = plan_trait_find(s->c->plan, SLOT_NAME(argument->slot));
    must(trait != NULL);
    struct str name = names_text(s->c->names, trait->name);
    if (trait->type != VALUE_INT) {
        fault_set(f, "the trait \"%.*s\" can be no window: it is not of type int", STR_ARG(name));
        return false;
    }
    if (trait->window_unit_ms == 0) {
        fault_set(f,
                  "the trait \"%.*s\" can be no window: how far it may reach back is not declared; "
                  "write %.*s: {type: int, max: 90d} for a number of days",
                  STR_ARG(name), STR_ARG(name));
        return false;
    }
    out->window_unit_ms = trait->window_unit_ms;
    out->window_ms = trait->window_most_ms;
    return true;
}

/* ---- what else is named ------------------------------------------------------------------------- */

static void name_unknown(const char *what, struct str text, const struct str *known, size_t count,
                         struct fault *f)
{
    struct str near = str_nearest(text, known, count);
    if (near.len)
        fault_set(f, "there is no %s \"%.*s\"; did you mean \"%.*s\"?", what, STR_ARG(text),
                  STR_ARG(near));
    else
        fault_set(f, "there is no %s \"%.*s\"", what, STR_ARG(text));
}

/* The files of `kind` by name. */
static struct str *known_files(struct compile *c, enum file_kind kind, size_t *count)
{
    struct str *known = arena_array(&c->scratch, struct str, c->file_count + 1);
    *count = 0;
    for (uint32_t i = 0; i < c->file_count; i++)
        if (c->files[i].kind == kind && c->files[i].name_id)
            known[(*count)++] = c->files[i].name;
    return known;
}

static bool file_named(struct scope *s, enum file_kind kind, const char *what, struct str text,
                       uint32_t *name, struct fault *f)
{
    *name = names_find(s->c->names, text);
    if (build_find(s->c, kind, *name) != PLAN_NO_INDEX)
        return true;
    size_t count = 0;
    struct str *known = s->c->findings->dropped ? NULL : known_files(s->c, kind, &count);
    name_unknown(what, text, known, count, f);
    return false;
}

/* A segment of the programme, or one that has_been() made (segment.c). */
static bool segment_named(struct scope *s, struct str text, struct plan_binding *out,
                          struct fault *f)
{
    uint32_t name = names_find(s->c->names, text);
    const struct compile_segment *segment = build_segment(s->c, name);
    bool is_own = segment != NULL && segment->is.kind == SEGMENT_HAS_BEEN;
    if (out->window_count) {
        fault_set(f, "how long is said by a fixed time, such as \"7d\"");
        return false;
    }
    if (!is_own && !file_named(s, FILE_SEGMENT, "segment", text, &name, f))
        return false;
    out->name = name;
    if (s->target.segments)
        name_set_add(s->c, s->target.segments, name);
    return true;
}

/* A send of the journey: whether there is one is known when its steps are (journey_send.c). */
static bool send_read(struct scope *s, struct str text, struct plan_binding *out, struct fault *f)
{
    struct compile *c = s->c;
    if (s->target.kept == NULL || !str_starts(s->file->path, STR("journeys/"))) {
        fault_set(f, "outcome() is known inside a journey only, behind its entry");
        return false;
    }
    struct compile_told *told = arena_new(&c->scratch, struct compile_told);
    *told = (struct compile_told){
        .next = c->told,
        .file = s->file,
        .step = arena_copy(&c->scratch, text),
        .place = yaml_place(s->file, s->node),
        .name = build_name(c, arena_printf(&c->scratch, "$outcome:%.*s", STR_ARG(text)))};
    c->told = told;
    out->name = told->name;
    return out->name != NAME_NONE;
}

static bool stage_read(struct scope *s, struct str text, struct plan_binding *out, struct fault *f)
{
    const struct plan *plan = s->c->plan;
    struct str known[PLAN_STAGES_MAX];
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        known[i] = names_text(s->c->names, plan->stages[i].name);
        if (!str_equal(known[i], text))
            continue;
        out->name = plan->stages[i].name;
        if (str_starts(s->file->path, STR("journeys/")))
            stage_cover(s->c, out->name);
        return true;
    }
    name_unknown("stage", text, known, plan->stage_count, f);
    return false;
}

static bool calendar_read(struct scope *s, struct str text, struct plan_binding *out,
                          struct fault *f)
{
    const struct plan *plan = s->c->plan;
    struct str known[PLAN_CALENDARS_MAX];
    for (uint32_t i = 0; i < plan->calendar_count; i++) {
        known[i] = names_text(s->c->names, plan->calendars[i].name);
        if (!str_equal(known[i], text))
            continue;
        out->calendar = (uint16_t)i;
        out->name = plan->calendars[i].region; /* may be none */
        return true;
    }
    name_unknown("calendar", text, known, plan->calendar_count, f);
    return false;
}

static bool hours_read(const struct scope_function *function, const struct expr_call *call,
                       struct plan_binding *out, struct fault *f)
{
    for (uint32_t i = 0; i < call->count; i++) {
        if (!call->arguments[i].is_constant || call->arguments[i].value.type != VALUE_TEXT) {
            fault_set(f, "write %s", function->usage);
            return false;
        }
    }
    struct str days = call->count > 2 ? call->arguments[2].value.text : STR("");
    return window_parse(call->arguments[0].value.text, call->arguments[1].value.text, days,
                        &out->hours, f) == OK;
}

/* Fills the binding from what is neither an event nor about the past. */
static bool subject_read(struct scope *s, const struct scope_function *function,
                         const struct expr_call *call, struct plan_binding *out, struct fault *f)
{
    struct compile *c = s->c;
    struct str text = call->arguments[0].value.text;
    enum channel channel = CHANNEL_NONE;
    bool has_window;
    switch (function->form) {
    case FORM_MESSAGE:
        if (out->window_count) {
            fault_set(f, "messages are looked back at by a fixed time, such as \"7d\"");
            return false;
        }
        has_window = out->window_ms != 0;
        if (!has_window)
            out->window_ms = LEDGER_EVER_MS;
        c->ledger_ms = max_of(c->ledger_ms, out->window_ms);
        if (!file_named(s, FILE_MESSAGE, "message", text, &out->name, f))
            return false;
        if (!has_window && function->kind == BINDING_SENT) {
            findings_add(c->findings, FINDING_NO_WINDOW, yaml_place(s->file, s->node),
                         "sent(\"%.*s\") looks back 90 days, not for ever", STR_ARG(text));
            finding_advise(c->findings, "say how far: %s", function->usage);
        }
        return true;
    case FORM_JOURNEY: return file_named(s, FILE_JOURNEY, "journey", text, &out->name, f);
    case FORM_CHANNEL:
        if (channel_find(text, &channel)) {
            out->channel = (uint8_t)channel;
            return true;
        }
        fault_set(f, "there is no channel \"%.*s\"", STR_ARG(text));
        return false;
    case FORM_SALT:
        out->salt = hash_str(arena_printf(&c->scratch, "bucket:%.*s", STR_ARG(text)), 0);
        return true;
    case FORM_SEGMENT: return segment_named(s, text, out, f);
    case FORM_SEND: return send_read(s, text, out, f);
    case FORM_STAGE: return stage_read(s, text, out, f);
    case FORM_CALENDAR: return calendar_read(s, text, out, f);
    case FORM_HOURS: return hours_read(function, call, out, f);
    case FORM_EVENT:
    case FORM_NUMBER:
    case FORM_ITEM:
    case FORM_SEQUENCE:
    case FORM_STEP: break;
    }
    must(!"a form");
    return false;
}

/* ---- bindings ----------------------------------------------------------------------------------- */

static bool binding_equal(const struct plan_binding *a, const struct plan_binding *b)
{
    return a->kind == b->kind && a->channel == b->channel && a->window_unit == b->window_unit &&
           a->window_count == b->window_count && a->feature == b->feature &&
           a->as_number == b->as_number && a->name == b->name && a->window_ms == b->window_ms &&
           a->window_unit_ms == b->window_unit_ms && a->salt == b->salt &&
           a->condition_count == 0 && b->condition_count == 0 && a->value == b->value &&
           a->sequence == b->sequence && a->calendar == b->calendar &&
           a->hours.from_ms == b->hours.from_ms && a->hours.to_ms == b->hours.to_ms &&
           a->hours.weekdays == b->hours.weekdays;
}

uint32_t scope_binding_add(struct compile *c, const struct plan_binding *binding)
{
    for (uint32_t i = 0; i < c->binding_count; i++)
        if (binding_equal(&c->bindings[i], binding))
            return i;
    if (c->binding_count == c->binding_room) {
        c->binding_room = c->binding_room ? c->binding_room * 2 : 32;
        c->bindings = mem_resize(c->bindings, c->binding_room * sizeof(*c->bindings));
    }
    c->bindings[c->binding_count] = *binding;
    return c->binding_count++;
}

static bool is_past(const struct scope_function *function)
{
    return function->form >= FORM_EVENT;
}

enum expr_found scope_function(void *self, const struct expr_call *call, struct expr_binding *out,
                               struct fault *f)
{
    struct scope *s = self;
    if (call->is_method)
        return EXPR_UNKNOWN;
    if (later_find(call->name)) {
        fault_set(f, "%.*s() is not supported yet by this release", STR_ARG(call->name));
        return EXPR_REFUSED;
    }
    const struct scope_function *function = function_find(call->name);
    if (!function)
        return EXPR_UNKNOWN;
    struct plan_binding binding = {.kind = (uint8_t)function->kind};
    uint32_t fields = 0;
    if (is_past(function)) {
        if (feature_call(s, function, call, &binding, &fields, f) != EXPR_FOUND)
            return EXPR_REFUSED;
    } else {
        bool is_hours = function->form == FORM_HOURS;
        uint32_t least = is_hours ? 2 : 1, most = is_hours ? 3 : function->takes_window ? 2 : 1;
        if (call->count < least || call->count > most || !call->arguments[0].is_constant ||
            call->arguments[0].value.type != VALUE_TEXT) {
            fault_set(f, "write %s", function->usage);
            return EXPR_REFUSED;
        }
        if (call->count > 1 && function->takes_window &&
            !scope_window(&call->arguments[1], &binding, f))
            return EXPR_REFUSED;
        if (!subject_read(s, function, call, &binding, f))
            return EXPR_REFUSED;
    }
    if (s->c->binding_count >= COMPILE_BINDINGS_MAX) {
        fault_set(f, "the programme asks for more than %d different facts", COMPILE_BINDINGS_MAX);
        return EXPR_REFUSED;
    }
    *out = (struct expr_binding){
        .binding = scope_binding_add(s->c, &binding),
        .fields = fields,
        .type = function->type,
        .is_part = function->form == FORM_STEP,
    };
    if (function->form == FORM_ITEM) {
        binding.as_number = true;
        out->has_number = true;
        out->number = scope_binding_add(s->c, &binding);
    }
    return EXPR_FOUND;
}

/* did("E", "14d", e, e.sku == ...): a condition on the events themselves. */
enum expr_found scope_binder(void *self, const struct expr_call *call, struct expr_binder *out,
                             struct fault *f)
{
    (void)self;
    const struct scope_function *function =
        call->is_method ? (const struct scope_function *)NULL : function_find(call->name);
    if (!function || !is_past(function))
        return EXPR_UNKNOWN;
    return feature_binder(function, call, out, f);
}
