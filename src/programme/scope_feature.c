/* scope_feature.c - functions about the past: which events count, and how much of them must be kept.
 *
 *     sum("Order*", "30d", e, e.total, e.currency == "EUR" && e.total > traits.limit)
 *           │         │         │        └─ reads the past event alone      └─ reads what is now
 *           │         │         │           a filter of the feature            a condition of the binding
 *           │         │         └─ kept of each item, as a number
 *           │         └─ of each question; the feature keeps what is younger
 *           └─ every event whose name begins so
 *
 * A filter is run once, when the event comes in; a condition whenever the question is asked, over the
 * items, of which the properties that it reads are kept for that. Nothing is shared between features
 * that differ in anything: so what somebody adds to a programme never takes away what another
 * expression has been remembering. The name of a feature is a hash of its definition, in words that do
 * not depend on the programme around it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/scope_int.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/hook.h"
#include "base/mem.h"
#include "when/span.h"

/* ---- arguments ---------------------------------------------------------------------------------- */

/* A call about the past, its arguments told apart. */
struct past_call {
    struct str event;
    const struct expr_argument *window;
    const struct expr_argument *property; /* "total" */
    const struct expr_argument *value;    /* e.total */
    const struct expr_argument *condition;
    struct str variable;
};

static bool is_text(const struct expr_argument *argument)
{
    return argument->is_constant && argument->value.type == VALUE_TEXT;
}

/* The argument that names the past event, UINT32_MAX if none does: the second, or the third behind a
 * window. A function with a value has that and perhaps a condition behind it, the others a condition. */
static uint32_t variable_of(const struct scope_function *function, const struct expr_call *call)
{
    uint32_t most = function->form == FORM_NUMBER ? 2 : 1;
    for (uint32_t i = 1; i <= 2 && i + 1 < call->count; i++)
        if (call->arguments[i].is_name && call->count <= i + 1 + most)
            return i;
    return UINT32_MAX;
}

static enum expr_found item_path(void *self, const struct expr_call *call,
                                 const struct expr_path *path, struct expr_slot *out,
                                 struct fault *f)
{
    struct scope *s = self;
    (void)call;
    if (path->count == 0) {
        fault_set(f, "the past event alone is no value; write one of its properties");
        return EXPR_REFUSED;
    }
    struct str text = scope_join(s->c, path->parts, 0, path->count);
    uint32_t name = names_add(s->c->names, text);
    if (name != NAME_NONE)
        slip_note(s->c, name, yaml_place(s->file, s->node));
    if (name == NAME_NONE) {
        fault_set(f, "the property's name \"%.*s\" is too long", STR_ARG(text));
        return EXPR_REFUSED;
    }
    *out = scope_property_slot(SLOT_ITEM, name, path->count);
    return EXPR_FOUND;
}

static bool refuse_usage(const struct scope_function *function, struct fault *f)
{
    const char *bound = function->form == FORM_NUMBER ? "(\"Event\", \"30d\", e, e.total, e.paid)"
                                                      : "(\"Event\", \"30d\", e, e.total > 5)";
    if (function->form == FORM_STEP)
        fault_set(f, "write step(\"Event\", e, e.total > 5)");
    else if (function->form == FORM_SEQUENCE)
        fault_set(f, "write %s, or sequence([\"First\"], \"2h\", [\"Then not\"], \"7d\")",
                  function->usage);
    else if (function->kind == BINDING_SINCE)
        fault_set(f, "write %s or since(\"Event\", e, e.total > 5)", function->usage);
    else
        fault_set(f, "write %s or %s%s%s", function->usage, function->name, bound,
                  function->form == FORM_ITEM ? ".property" : "");
    return false;
}

/* did("Order", e.total > 5): something is said of the past event, which has no name yet. */
static bool is_unbound(const struct expr_argument *argument)
{
    static const char *const known[] = {"traits", "person", "event", "entry"};
    for (size_t i = 0; i < array_count(known); i++)
        if (str_is(argument->root, known[i]))
            return false;
    return argument->is_condition || argument->root.len > 0;
}

static bool refuse_unbound(const struct scope_function *function, const struct expr_call *call,
                           struct fault *f)
{
    bool has_window = call->count > 1 && call->arguments[1].is_constant;
    if (function->form == FORM_NUMBER)
        fault_set(f,
                  "the past event needs a name before what is said of it: "
                  "%s(\"Event\"%s, e, e.total, e.paid)",
                  function->name, has_window ? ", \"30d\"" : "");
    else
        fault_set(f,
                  "the past event needs a name before what is said of it: "
                  "%s(\"Event\"%s, e, e.total > 5)%s",
                  function->name, has_window ? ", \"3d\"" : "",
                  function->kind == BINDING_SINCE ? " > duration(\"3d\")"
                  : function->form == FORM_ITEM   ? ".property"
                                                  : "");
    return false;
}

enum expr_found feature_binder(const struct scope_function *function, const struct expr_call *call,
                               struct expr_binder *out, struct fault *f)
{
    if (function->form == FORM_SEQUENCE)
        return EXPR_UNKNOWN;
    uint32_t variable = variable_of(function, call);
    if (variable == UINT32_MAX) {
        for (uint32_t i = 1; i < call->count; i++)
            if ((call->arguments[i].is_name && !refuse_usage(function, f)) ||
                (is_unbound(&call->arguments[i]) && !refuse_unbound(function, call, f)))
                return EXPR_REFUSED;
        return EXPR_UNKNOWN;
    }
    *out = (struct expr_binder){.variable = variable, .item = item_path};
    for (uint32_t i = variable + 1; i < call->count; i++) {
        out->bodies[out->body_count].argument = i;
        out->bodies[out->body_count].is_value = function->form == FORM_NUMBER && i == variable + 1;
        out->body_count++;
    }
    return EXPR_FOUND;
}

static bool arguments_read(const struct scope_function *function, const struct expr_call *call,
                           struct past_call *out, struct fault *f)
{
    const struct expr_argument *arguments = call->arguments;
    uint32_t at = 1, bound = UINT32_MAX;
    *out = (struct past_call){0};
    if (call->count == 0 || !is_text(&arguments[0]))
        return refuse_usage(function, f);
    out->event = arguments[0].value.text;
    for (uint32_t i = 0; i < call->count; i++)
        if (arguments[i].variable.len)
            bound = i;
    uint32_t plain = bound == UINT32_MAX ? call->count : bound;
    uint32_t wanted = function->form == FORM_NUMBER && bound == UINT32_MAX;
    if (plain > at + wanted)
        out->window = &arguments[at++];
    if (wanted && at < plain)
        out->property = &arguments[at++];
    if (at != plain || (wanted && (!out->property || !is_text(out->property))))
        return refuse_usage(function, f);
    struct span span;
    if (out->property && !out->window &&
        span_parse(out->property->value.text, &span, &(struct fault){0}) == OK)
        return refuse_usage(function, f); /* a window, and the property is missing */
    if (out->window && !function->takes_window)
        return refuse_usage(function, f);
    if (!out->window && function->needs_window)
        return refuse_usage(function, f);
    if (bound == UINT32_MAX)
        return true;
    out->variable = arguments[bound].variable;
    at = bound + 1;
    if (function->form == FORM_NUMBER)
        out->value = &arguments[at++];
    if (at < call->count)
        out->condition = &arguments[at];
    return true;
}

/* ---- definitions -------------------------------------------------------------------------------- */

/* A feature on its way, with the words of its definition. */
struct definition {
    struct plan_feature feature;
    struct str *filters; /* their texts, in order */
    struct str value;
};

/* An expression's text without blanks and with the past event always called e: the same for whoever
 * means the same and wrote it alike. */
static struct str plain_text(struct compile *c, struct str text, struct str variable)
{
    struct buf out;
    buf_init(&out);
    for (size_t i = 0; i < text.len;) {
        char at = text.at[i];
        if (at == '"' || at == '\'') {
            size_t end = scope_literal_end(text, i);
            buf_add(&out, text.at + i, end - i);
            i = end;
        } else if (scope_is_word(at)) {
            size_t end = i;
            while (end < text.len && scope_is_word(text.at[end]))
                end++;
            struct str word = str_part(text, i, end - i);
            bool is_field = out.len && out.at[out.len - 1] == '.';
            if (out.len && scope_is_word((char)out.at[out.len - 1]))
                buf_add_byte(&out, ' '); /* two words, as in `x in y` */
            buf_add_str(&out, !is_field && str_equal(word, variable) ? STR("e") : word);
            i = end;
        } else {
            if (at != ' ' && at != '\t' && at != '\n' && at != '\r')
                buf_add_byte(&out, (uint8_t)at);
            i++;
        }
    }
    struct str plain = arena_copy(&c->scratch, buf_str(&out));
    buf_fini(&out);
    return plain;
}

/* Does it read the past event and nothing else? */
static bool is_of_event(const struct expr *expr)
{
    struct expr_reads reads = expr_reads(expr);
    if (reads.binding_count || reads.is_timed)
        return false;
    for (uint32_t i = 0; i < reads.slot_count; i++)
        if (SLOT_SPACE(reads.slots[i]) != SLOT_ITEM)
            return false;
    return true;
}

static bool keep_name(struct compile *c, struct definition *d, struct name_set *kept, uint32_t name,
                      struct fault *f)
{
    name_set_add(c, kept, name);
    d->feature.kept = kept->names;
    d->feature.kept_count = kept->count;
    if (kept->count <= PLAN_KEPT_MAX)
        return true;
    fault_set(f, "conditions on past events read more than %d of their properties", PLAN_KEPT_MAX);
    return false;
}

/* The properties that the expression reads of the past event are kept. */
static bool keep_reads(struct compile *c, struct definition *d, struct name_set *kept,
                       const struct expr *expr, struct fault *f)
{
    struct expr_reads reads = expr_reads(expr);
    for (uint32_t i = 0; i < reads.slot_count; i++)
        if (SLOT_SPACE(reads.slots[i]) == SLOT_ITEM &&
            !keep_name(c, d, kept, SLOT_NAME(reads.slots[i]), f))
            return false;
    return true;
}

static int text_order(const void *a, const void *b)
{
    return str_order(*(const struct str *)a, *(const struct str *)b);
}

static int number_order(const void *a_, const void *b_)
{
    const uint32_t *a = a_, *b = b_;
    return *a < *b ? -1 : *a > *b;
}

/* How far back a question with that window may ever reach; 0 = for ever. */
static int64_t reach_ms(const struct plan_binding *binding)
{
    if (binding->window_count == 0)
        return binding->window_ms;
    int64_t count = binding->window_count;
    switch ((enum span_unit)binding->window_unit) { /* a day more: zones change their clocks */
    case SPAN_DAY: return (count + 1) * DAY_MS;
    case SPAN_WEEK: return (count * 7 + 1) * DAY_MS;
    case SPAN_MONTH: return (count * 31 + 1) * DAY_MS;
    }
    return 0;
}

/* "30d", "2h30m". */
static struct str span_text(struct compile *c, int64_t ms)
{
    char text[SPAN_BYTES];
    return arena_copy(&c->scratch, span_print(span_of_ms(ms), text));
}

/* For people: `up to 256 "Order Completed" of 30d, with a number and total where e.total>5`. */
static struct str feature_text(struct compile *c, const struct definition *d, struct str event)
{
    const struct plan_feature *f = &d->feature;
    struct str text = STR("");
    switch ((enum feature_kind)f->kind) {
    case FEATURE_MARK: text = STR("the last"); break;
    case FEATURE_TALLY:
        text = arena_printf(&c->scratch, "the sum of %.*s of", STR_ARG(d->value));
        break;
    case FEATURE_FIRST: text = STR("the first"); break;
    case FEATURE_LAST: text = STR("the last"); break;
    case FEATURE_ITEMS: text = arena_printf(&c->scratch, "up to %u", f->keep); break;
    case FEATURE_VALUES:
        text = arena_printf(&c->scratch, "up to %u values of %.*s of", f->keep, STR_ARG(d->value));
        break;
    }
    text = arena_printf(&c->scratch, "%.*s \"%.*s\"", STR_ARG(text), STR_ARG(event));
    if (f->keep_ms)
        text = arena_printf(&c->scratch, "%.*s of %.*s", STR_ARG(text),
                            STR_ARG(span_text(c, f->keep_ms)));
    if (f->kind == FEATURE_ITEMS && d->value.len)
        text = arena_printf(&c->scratch, "%.*s with %.*s", STR_ARG(text), STR_ARG(d->value));
    for (uint32_t i = 0; i < f->kept_count; i++)
        text = arena_printf(&c->scratch, "%.*s%s%.*s", STR_ARG(text),
                            i || (f->kind == FEATURE_ITEMS && d->value.len) ? ", " : " with ",
                            STR_ARG(names_text(c->names, f->kept[i])));
    for (uint32_t i = 0; i < f->filter_count; i++)
        text = arena_printf(&c->scratch, "%.*s%s%.*s", STR_ARG(text), i ? " && " : " where ",
                            STR_ARG(d->filters[i]));
    return arena_copy(c->arena, text);
}

/* The definition in words, hashed. */
static struct str definition_name(struct compile *c, const struct definition *d, struct str event)
{
    const struct plan_feature *f = &d->feature;
    struct str *kept = arena_array(&c->scratch, struct str, f->kept_count + 1);
    struct buf words;
    buf_init(&words);
    if (hook(HOOK_FEATURES))
        buf_printf(&words, "other|");
    buf_printf(&words, "%u|%u|%u|%ld|", f->kind, f->keep, f->is_enough, f->keep_ms);
    buf_printf(&words, "%zu:%.*s|", event.len, STR_ARG(event));
    buf_printf(&words, "%zu:%.*s|", d->value.len, STR_ARG(d->value));
    for (uint32_t i = 0; i < f->kept_count; i++)
        kept[i] = names_text(c->names, f->kept[i]);
    if (f->kept_count)
        qsort(kept, f->kept_count, sizeof(*kept), text_order);
    for (uint32_t i = 0; i < f->kept_count; i++)
        buf_printf(&words, "%zu:%.*s,", kept[i].len, STR_ARG(kept[i]));
    for (uint32_t i = 0; i < f->filter_count; i++)
        buf_printf(&words, "|%zu:%.*s", d->filters[i].len, STR_ARG(d->filters[i]));
    struct str name = arena_printf(&c->scratch, "$feature:%016lx", hash_str(buf_str(&words), 0));
    buf_fini(&words);
    return name;
}

/* Gives the definition its event and name and finds it a place among the features. */
static bool feature_add(struct scope *s, struct definition *d, struct str event, uint16_t *out,
                        struct fault *f)
{
    struct compile *c = s->c;
    struct plan_feature *feature = &d->feature;
    feature->is_prefix = event.len > 0 && event.at[event.len - 1] == '*';
    if (feature->is_prefix) {
        feature->prefix = arena_copy(c->arena, str_part(event, 0, event.len - 1));
    } else {
        feature->event = event.len ? names_add(c->names, event) : NAME_NONE;
        if (feature->event == NAME_NONE) {
            fault_set(f, "the name of the event is empty or too long");
            return false;
        }
        build_event_hear(c, feature->event, yaml_place(s->file, s->node));
    }
    if (feature->kept_count) {
        uint32_t *kept = arena_array(c->arena, uint32_t, feature->kept_count);
        memcpy(kept, feature->kept, feature->kept_count * sizeof(*kept));
        qsort(kept, feature->kept_count, sizeof(*kept), number_order);
        feature->kept = kept;
    }
    feature->name = build_name(c, definition_name(c, d, event));
    for (uint32_t i = 0; i < c->feature_count; i++) {
        if (c->features[i].name == feature->name) {
            *out = (uint16_t)i;
            return true;
        }
    }
    if (c->feature_count == PLAN_FEATURES_MAX) {
        fault_set(f, "the programme asks for more than %d different things about the past",
                  PLAN_FEATURES_MAX);
        return false;
    }
    feature->text = feature_text(c, d, event);
    if (c->feature_count == c->feature_room) {
        c->feature_room = c->feature_room ? c->feature_room * 2 : 32;
        c->features = mem_resize(c->features, c->feature_room * sizeof(*c->features));
    }
    *out = (uint16_t)c->feature_count;
    c->features[c->feature_count++] = *feature;
    return true;
}

/* ---- calls -------------------------------------------------------------------------------------- */

/* Tells a condition's parts apart: those that read the past event alone are filters. */
static bool condition_split(struct scope *s, const struct past_call *call, struct definition *d,
                            struct plan_binding *binding, struct name_set *kept, struct fault *f)
{
    struct compile *c = s->c;
    if (!call->condition)
        return true;
    uint32_t count = call->condition->part_count, filters = 0, conditions = 0;
    const struct expr **filter_list = arena_array(c->arena, const struct expr *, count);
    const struct expr **condition_list = arena_array(c->arena, const struct expr *, count);
    d->filters = arena_array(&c->scratch, struct str, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct expr *part = call->condition->parts[i];
        if (is_of_event(part)) {
            d->filters[filters] = plain_text(c, expr_part_text(part), call->variable);
            filter_list[filters++] = part;
            continue;
        }
        condition_list[conditions++] = part;
        if (!keep_reads(c, d, kept, part, f))
            return false;
    }
    if (filters)
        qsort(d->filters, filters, sizeof(*d->filters), text_order);
    d->feature.filters = filter_list;
    d->feature.filter_count = filters;
    binding->conditions = condition_list;
    binding->condition_count = conditions;
    return true;
}

/* The value of sum("E", "total") and sum("E", e, e.total): of the feature where the past event alone
 * says it, else of the binding. */
static bool value_read(struct scope *s, const struct scope_function *function,
                       const struct past_call *call, struct definition *d,
                       struct plan_binding *binding, struct name_set *kept, struct fault *f)
{
    struct compile *c = s->c;
    if (call->property) {
        struct str text = call->property->value.text;
        d->feature.property = text.len ? names_add(c->names, text) : NAME_NONE;
        if (d->feature.property == NAME_NONE) {
            fault_set(f, "the name of the property is empty or too long");
            return false;
        }
        d->value = text;
        return true;
    }
    const struct expr *value = call->value->parts[0];
    uint8_t type = call->value->type->kind;
    if (function->kind != BINDING_DISTINCT && type != EXPR_DYN && type != EXPR_INT &&
        type != EXPR_UINT && type != EXPR_DOUBLE) {
        struct str text = str_trim(expr_part_text(value));
        fault_set(f,
                  "%s() is of numbers, and \"%.*s\" is of type %.*s; a condition stands behind "
                  "the value: %s(\"Event\", e, e.total, e.paid)",
                  function->name, STR_ARG(text),
                  STR_ARG(expr_type_print(&c->scratch, call->value->type)), function->name);
        return false;
    }
    struct expr_reads reads = expr_reads(value);
    struct str text = plain_text(c, expr_part_text(value), call->variable);
    if (!is_of_event(value)) {
        binding->value = value;
        return keep_reads(c, d, kept, value, f);
    }
    struct str name =
        reads.slot_count == 1 ? names_text(c->names, SLOT_NAME(reads.slots[0])) : STR("");
    if (name.len && str_starts(text, STR("e.")) && str_equal(str_part(text, 2, text.len), name)) {
        d->feature.property = SLOT_NAME(reads.slots[0]);
        d->value = name;
        return true;
    }
    d->feature.value = value;
    d->value = text;
    return true;
}

/* A count that is compared with N says the same of N + 1 as of more: so many are enough. */
static void keep_compared(const struct value *number, struct plan_feature *f)
{
    if (number == NULL || number->type != VALUE_INT || number->integer >= f->keep)
        return;
    f->keep = (uint16_t)(max_of(number->integer, INT64_C(0)) + 1);
    f->is_enough = true;
}

/* How much must be kept for the question? */
static void kind_choose(struct scope *s, const struct scope_function *function,
                        const struct expr_call *call, const struct plan_binding *binding,
                        struct definition *d)
{
    struct plan_feature *f = &d->feature;
    bool is_later = binding->condition_count || binding->value; /* asked over items */
    bool has_window = binding->window_ms || binding->window_count;
    f->kind = FEATURE_ITEMS;
    if (is_later) {
        must(function->kind != BINDING_DISTINCT || binding->value != NULL);
    } else if (function->form == FORM_EVENT) {
        if (function->kind != BINDING_COUNT || !has_window)
            f->kind = FEATURE_MARK;
    } else if (function->kind == BINDING_DISTINCT) {
        f->kind = FEATURE_VALUES;
    } else if (function->form == FORM_NUMBER) {
        if (!has_window)
            f->kind = FEATURE_TALLY;
    } else if (function->kind == BINDING_LAST) {
        f->kind = FEATURE_LAST;
    } else if (function->kind == BINDING_FIRST && !has_window) {
        f->kind = FEATURE_FIRST;
    }
    bool is_list = f->kind == FEATURE_ITEMS || f->kind == FEATURE_VALUES;
    f->keep = is_list ? s->c->history_max : f->kind >= FEATURE_FIRST ? 1 : 0;
    if (function->kind == BINDING_COUNT && f->kind == FEATURE_ITEMS && !is_later)
        keep_compared(call->compared, f);
    f->keep_ms = is_list || f->kind == FEATURE_LAST ? reach_ms(binding) : 0;
}

/* distinct() over items, because its condition reads what is now: the value is worked out then too. */
static bool distinct_later(struct scope *s, const struct past_call *call, struct definition *d,
                           struct plan_binding *binding, struct name_set *kept, struct fault *f)
{
    binding->value = call->value->parts[0];
    d->feature.value = NULL;
    d->feature.property = NAME_NONE;
    d->value = STR("");
    return keep_reads(s->c, d, kept, binding->value, f);
}

/* A call of step(): what it says waits for the sequence, whose window says how much is kept. */
struct scope_step {
    struct scope_step *before;
    uint64_t salt; /* its binding's, of its own */
    struct definition definition;
    struct str event;
};

static void step_note(struct scope *s, const struct definition *d, struct str event,
                      struct plan_binding *binding)
{
    struct scope_step *step = arena_new(&s->c->scratch, struct scope_step);
    binding->salt =
        s->c->binding_count + 1; /* no other step has the same: there are more by then */
    *step = (struct scope_step){s->steps, binding->salt, *d, event};
    s->steps = step;
}

static const struct scope_step *step_find(const struct scope *s, const struct plan_binding *binding)
{
    for (const struct scope_step *step = s->steps; step != NULL; step = step->before)
        if (binding->kind == BINDING_STEP && step->salt == binding->salt)
            return step;
    return NULL;
}

static bool is_list(const struct expr_argument *argument)
{
    return argument->items != NULL || (argument->is_constant && argument->value.type == VALUE_LIST);
}

/* The events of a list of names and steps, each a feature of its own. */
static bool sequence_list(struct scope *s, const struct expr_argument *argument,
                          const struct plan_binding *binding, uint16_t *features, uint32_t *asks,
                          uint16_t *count, struct fault *f)
{
    uint32_t items = !is_list(argument)        ? 0
                     : argument->items != NULL ? argument->item_count
                                               : argument->value.list->count;
    if (items == 0 || items > PLAN_SEQUENCE_MAX) {
        fault_set(f, "write a list of one to %d names of events, such as [\"Cart Updated\"]",
                  PLAN_SEQUENCE_MAX);
        return false;
    }
    for (uint32_t i = 0; i < items; i++) {
        struct definition d = {.value = STR("")};
        struct value text = value_none();
        struct plan_binding *part = NULL;
        if (argument->items == NULL)
            text = argument->value.list->items[i];
        else if (argument->items[i].is_constant)
            text = argument->items[i].value;
        else
            part = &s->c->bindings[argument->items[i].binding];
        const struct scope_step *step = part ? step_find(s, part) : NULL;
        if (step != NULL) {
            d = step->definition;
            text = value_text(step->event);
        }
        if (text.type != VALUE_TEXT) {
            fault_set(f, "write names of events in the list, such as \"Cart Updated\" or "
                         "step(\"Cart Updated\", e, e.total > 50)");
            return false;
        }
        d.feature.kind = FEATURE_ITEMS;
        d.feature.keep = s->c->history_max;
        d.feature.keep_ms = reach_ms(binding);
        if (!feature_add(s, &d, text.text, &features[i], f))
            return false;
        if (part != NULL) {
            part->feature = features[i];
            asks[i] = part->condition_count ? argument->items[i].binding + 1 : 0;
        }
    }
    *count = (uint16_t)items;
    return true;
}

static bool sequence_call(struct scope *s, const struct scope_function *function,
                          const struct expr_call *call, struct plan_binding *binding,
                          struct fault *f)
{
    const struct expr_argument *arguments = call->arguments;
    struct plan_sequence *q = arena_new(s->c->arena, struct plan_sequence);
    struct plan_binding within = {0};
    bool has_without = call->count > 2 && is_list(&arguments[2]);
    uint32_t count = has_without ? 3 : 2;
    if (call->count < 2 || call->count > count + 1)
        return refuse_usage(function, f);
    if (!scope_window(&arguments[1], &within, f))
        return false;
    if (within.window_count) {
        fault_set(f, "steps follow within a fixed time, such as \"2h\"");
        return false;
    }
    if (call->count > count && !scope_past_window(s, &arguments[count], binding, f))
        return false;
    q->within_ms = within.window_ms;
    if (!sequence_list(s, &arguments[0], binding, q->steps, q->step_asks, &q->step_count, f))
        return false;
    if (has_without && !sequence_list(s, &arguments[2], binding, q->without, q->without_asks,
                                      &q->without_count, f))
        return false;
    if (q->step_count == 1 && !has_without) {
        fault_set(f, "a sequence has two steps or more, or one and what must not follow it: "
                     "sequence([\"Cart Updated\"], \"2h\", [\"Order Completed\"])");
        return false;
    }
    for (uint32_t i = 0; i < s->c->binding_count; i++) {
        const struct plan_sequence *other = s->c->bindings[i].sequence;
        if (other && memcmp(other, q, sizeof(*q)) == 0)
            binding->sequence = other;
    }
    if (!binding->sequence)
        binding->sequence = q;
    return true;
}

enum expr_found feature_call(struct scope *s, const struct scope_function *function,
                             const struct expr_call *call, struct plan_binding *binding,
                             uint32_t *fields, struct fault *f)
{
    struct definition d = {.value = STR("")};
    struct name_set kept = {0};
    struct past_call past;
    if (function->form == FORM_SEQUENCE)
        return sequence_call(s, function, call, binding, f) ? EXPR_FOUND : EXPR_REFUSED;
    if (!arguments_read(function, call, &past, f))
        return EXPR_REFUSED;
    if (past.window && !scope_past_window(s, past.window, binding, f))
        return EXPR_REFUSED;
    if (!condition_split(s, &past, &d, binding, &kept, f))
        return EXPR_REFUSED;
    if (function->form == FORM_STEP) {
        if (!past.condition) {
            refuse_usage(function, f);
            return EXPR_REFUSED;
        }
        step_note(s, &d, past.event, binding);
        return EXPR_FOUND;
    }
    if (function->form == FORM_NUMBER && !value_read(s, function, &past, &d, binding, &kept, f))
        return EXPR_REFUSED;
    if (function->kind == BINDING_DISTINCT && binding->condition_count && !binding->value &&
        !distinct_later(s, &past, &d, binding, &kept, f))
        return EXPR_REFUSED;
    if (function->form == FORM_ITEM) {
        struct str property = scope_join(s->c, call->fields, 0, call->field_count);
        binding->name = property.len ? names_add(s->c->names, property) : NAME_NONE;
        *fields = call->field_count;
        if (binding->name == NAME_NONE) {
            fault_set(f, "write which property of the event: %s", function->usage);
            return EXPR_REFUSED;
        }
        if (!keep_name(s->c, &d, &kept, binding->name, f))
            return EXPR_REFUSED;
    }
    kind_choose(s, function, call, binding, &d);
    if (!feature_add(s, &d, past.event, &binding->feature, f))
        return EXPR_REFUSED;
    if (function->form == FORM_EVENT)
        binding->name = d.feature.event;
    return EXPR_FOUND;
}
