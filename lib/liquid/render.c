/* Running a compiled template: a stack for expressions, frames for what `break` must undo, budgets for
 * everything that can grow.
 *
 *     frames   ┌ loop ┐ ┌ capture ┐ ┌ call: include ┐ ┌ loop ┐ ...        stack   subject  0  false
 *              item, round  where the   arguments,        item, round              ▲
 *                           output was  where to return                            height that each
 *                                                                                  frame remembers
 *
 * A name is looked for in the frames from the top down (loop variables, arguments), then among what was
 * assigned, then among the counters, then at the host. `render` puts a floor under all of these but the
 * host.
 *
 * `break` closes frames until it has closed a loop: captures become what they hold so far, an included
 * partial is left with it, a rendered one is just ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/render_int.h"

#include <stdarg.h>
#include <stdio.h>

#include "when/zone.h"

#define STACK_MAX 512

struct cycle {
    struct str key;
    uint32_t next;
    struct cycle *before;
};

/* --- budgets and mistakes -------------------------------------------------------------------- */

static void place(struct render *r)
{
    const struct unit *unit = &r->t->units[r->unit];
    uint32_t at = r->t->ops[r->pc ? r->pc - 1 : 0].at;
    uint32_t line = 1, line_start = 0;
    char file[FAULT_FILE_BYTES];
    for (uint32_t i = 0; i < at; i++)
        if (unit->text.at[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    snprintf(file, sizeof(file), "%.*s", STR_ARG(unit->name));
    fault_place(r->fault, file, line, at - line_start + 1);
}

bool liquid_fail(struct render *r, const char *format, ...)
{
    char sentence[FAULT_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    fault_set(r->fault, "%s", sentence);
    place(r);
    return false;
}

void *liquid_alloc(struct render *r, size_t bytes)
{
    if (bytes > r->limits.memory_bytes_max - r->memory_bytes) {
        liquid_fail(r, "the template needs more than %zu bytes of memory",
                    r->limits.memory_bytes_max);
        return NULL;
    }
    r->memory_bytes += bytes;
    return arena_alloc(r->scratch, max_of(bytes, (size_t)1));
}

bool liquid_step(struct render *r, uint64_t steps)
{
    r->steps += steps;
    return r->steps <= r->limits.steps_max ||
           liquid_fail(r, "the template takes more than %u steps", r->limits.steps_max);
}

struct value_list *liquid_new_list(struct render *r, size_t count)
{
    struct value_list *list = NULL;
    if (count <= UINT32_MAX / sizeof(list->items[0]))
        list = liquid_alloc(r, sizeof(*list) + count * sizeof(list->items[0]));
    if (list)
        list->count = (uint32_t)count;
    return list;
}

/* --- output ---------------------------------------------------------------------------------- */

bool render_write(struct render *r, struct str text)
{
    if (text.len > r->limits.output_bytes_max - (r->out->len - r->out_start))
        return liquid_fail(r, "the output is longer than %zu bytes", r->limits.output_bytes_max);
    if (r->t->kind == LIQUID_HEADER)
        for (size_t i = 0; i < text.len; i++)
            if (text.at[i] == '\r' || text.at[i] == '\n' || text.at[i] == '\0')
                return liquid_fail(r,
                                   "a header cannot have a line break; strip_newlines removes it");
    buf_add_str(r->out, text);
    return true;
}

/* A link that begins with a scheme which nobody allowed could run a script. */
static bool is_link_allowed(const struct render *r, struct str link)
{
    static const char *const schemes[] = {"http", "https", "mailto", "tel", "sms"};
    char buffer[16];
    struct str scheme = text_scheme(link, buffer);
    bool is_allowed = scheme.len == 0;
    for (size_t i = 0; i < array_count(schemes); i++)
        is_allowed |= str_is(scheme, schemes[i]);
    for (size_t i = 0; i < r->run->scheme_count; i++)
        is_allowed |= str_equal(scheme, r->run->schemes[i]);
    return is_allowed;
}

static bool write_value(struct render *r, struct value x, bool is_link)
{
    struct value text = x;
    bool is_markup = x.type == VALUE_TEXT && x.pad[0] == MARK_SAFE;
    if (x.type != VALUE_TEXT) {
        struct build b = liquid_build(r);
        if (!liquid_add_text(&b, x) || !build_done(&b, &text))
            return false;
    }
    if (r->t->kind == LIQUID_JSON && !(x.type == VALUE_TEXT && x.pad[0] == MARK_JSON)) {
        struct build b = liquid_build(r);
        if (!liquid_add_json(&b, value_text(text.text)) || !build_done(&b, &text))
            return false;
        text.text = str_part(text.text, 1, text.text.len - 2); /* without the quotes */
    }
    if (r->t->kind == LIQUID_HTML && !is_markup) {
        if (is_link && !is_link_allowed(r, text.text))
            text = value_text(STR("#blocked"));
        struct build b = liquid_build(r);
        text_add_escaped(&b, text.text);
        if (!build_done(&b, &text))
            return false;
    }
    return liquid_step(r, text.text.len / 256) && render_write(r, text.text);
}

/* What was written since `from`, taken back. */
static bool take_output(struct render *r, size_t from, struct str *out)
{
    size_t bytes = r->out->len - from;
    char *copy = liquid_alloc(r, bytes);
    if (!copy)
        return false;
    if (bytes)
        memcpy(copy, r->out->at + from, bytes);
    r->out->len = from;
    *out = (struct str){copy, bytes};
    return true;
}

/* --- stack ----------------------------------------------------------------------------------- */

static bool push(struct render *r, struct value x)
{
    if (r->stack_count == STACK_MAX)
        return liquid_fail(r, "the expression is too large");
    r->stack[r->stack_count++] = x;
    return true;
}

struct value render_pop(struct render *r)
{
    must(r->stack_count > 0);
    return r->stack[--r->stack_count];
}

/* --- frames ---------------------------------------------------------------------------------- */

struct frame *render_push_frame(struct render *r, enum frame_kind kind)
{
    if (r->frame_count == r->limits.depth_max) {
        liquid_fail(r, "loops, captures and partials are nested more than %u deep",
                    r->limits.depth_max);
        return NULL;
    }
    struct frame *frame = &r->frames[r->frame_count++];
    *frame = (struct frame){.kind = kind, .stack_count = r->stack_count, .name = LIQUID_NONE};
    return frame;
}

struct frame *render_top_frame(struct render *r)
{
    must(r->frame_count > 0);
    return &r->frames[r->frame_count - 1];
}

void render_pop_frame(struct render *r)
{
    r->stack_count = render_top_frame(r)->stack_count;
    r->frame_count--;
}

/* --- names ----------------------------------------------------------------------------------- */

/* A name that the template defines; false if it does not, here. */
static bool find_local(const struct render *r, uint32_t name, struct value *out)
{
    for (uint32_t i = r->frame_count; i-- > r->scope.frames_from;) {
        const struct frame *frame = &r->frames[i];
        bool is_loop = frame->kind == FRAME_LOOP || frame->kind == FRAME_TABLE;
        bool is_call = frame->kind == FRAME_CALL && !frame->call->is_isolated;
        if ((is_loop && frame->loop->variable == name) || (is_call && frame->name == name)) {
            *out = frame->rounds.current;
            return true;
        }
        for (uint32_t arg = 0; is_call && arg < frame->call->arg_count; arg++)
            if (r->t->arg_names[frame->call->names_first + arg] == name) {
                *out = frame->args[arg];
                return true;
            }
    }
    *out = r->scope.locals[name];
    if (out->type == VALUE_NONE)
        *out = r->scope.counters[name];
    return out->type != VALUE_NONE;
}

static uint32_t find_name(const struct render *r, struct str name)
{
    for (uint32_t i = 0; i < r->t->name_count; i++)
        if (str_equal(r->t->names[i], name))
            return i;
    return LIQUID_NONE;
}

static struct value ask_host(struct render *r, uint32_t read)
{
    const struct liquid_host *host = &r->run->host;
    if (!host->load)
        return value_none();
    return liquid_plain(host->load(host->self, &r->t->reads[read]));
}

/* The value that a path begins with, and how many of its parts that took. */
static bool load_head(struct render *r, const struct variable *v, const struct value *computed,
                      struct value *out, uint32_t *used)
{
    const struct part *parts = &r->t->parts[v->parts_first];
    *used = 1;
    if (v->name == LIQUID_NONE) {
        uint32_t name =
            computed[0].type == VALUE_TEXT ? find_name(r, computed[0].text) : LIQUID_NONE;
        if (!liquid_step(r, 1 + r->t->name_count / 8))
            return false;
        if (name != LIQUID_NONE && find_local(r, name, out))
            return true;
        return liquid_property(r, ask_host(r, v->read), computed[0], false, out);
    }
    if (str_is(parts[0].name, "forloop") || str_is(parts[0].name, "tablerowloop"))
        return loop_load(r, v, out, used);
    *out = value_none();
    if (!find_local(r, v->name, out) && v->read != LIQUID_NONE) {
        *out = ask_host(r, v->read);
        *used = r->t->reads[v->read].part_count;
    }
    return true;
}

static bool run_var(struct render *r, const struct op *op)
{
    const struct variable *v = &r->t->variables[op->a];
    const struct part *parts = &r->t->parts[v->parts_first];
    must(r->stack_count >= v->computed_count);
    r->stack_count -= v->computed_count;
    const struct value *computed = &r->stack[r->stack_count];
    struct value x;
    uint32_t used;
    if (!load_head(r, v, computed, &x, &used))
        return false;
    for (uint32_t i = 0; i < used; i++)
        computed += parts[i].is_computed;
    for (uint32_t i = used; i < v->part_count; i++) {
        struct value key = parts[i].is_computed ? *computed++ : value_text(parts[i].name);
        struct value item = x;
        if (!liquid_property(r, item, key, !parts[i].is_computed, &x))
            return false;
    }
    return push(r, x);
}

/* --- expressions ----------------------------------------------------------------------------- */

static bool run_range(struct render *r)
{
    int64_t to = liquid_to_whole(render_pop(r));
    int64_t from = liquid_to_whole(render_pop(r));
    uint64_t count = to < from ? 0 : (uint64_t)to - (uint64_t)from + 1;
    if (to >= from && (count == 0 || count > r->limits.iterations_max))
        return liquid_fail(r, "the range has more than %u numbers", r->limits.iterations_max);
    struct value_list *list = liquid_new_list(r, count);
    if (!list || !liquid_step(r, count / 16))
        return false;
    for (uint64_t i = 0; i < count; i++)
        list->items[i] = value_int(from + (int64_t)i);
    struct value range = liquid_list(list);
    range.pad[0] = MARK_RANGE;
    return push(r, range);
}

static bool run_filter(struct render *r, const struct op *op)
{
    struct call c = {.r = r, .arg_count = op->count, .result = liquid_nil()};
    must(op->count <= FILTER_ARGS_MAX);
    for (uint32_t i = op->count; i-- > 0;)
        c.args[i] = render_pop(r);
    c.input = render_pop(r);
    return liquid_filter_table[op->a].run(&c) && push(r, c.result);
}

static bool run_compare(struct render *r, const struct op *op)
{
    bool is_so;
    struct value right = render_pop(r);
    struct value left = render_pop(r);
    return liquid_compare(r, (enum op_code)op->code, left, right, &is_so) &&
           push(r, value_bool(is_so));
}

/* `and` (decided by a falsy left side) and `or` (by a truthy one). */
static void run_junction(struct render *r, const struct op *op, bool decides)
{
    struct value left = render_pop(r);
    if (liquid_is_truthy(left) != decides)
        return;
    r->stack[r->stack_count++] = value_bool(decides);
    r->pc = op->a;
}

/* --- small tags ------------------------------------------------------------------------------ */

static bool run_count(struct render *r, const struct op *op)
{
    struct value *counter = &r->scope.counters[op->a];
    int64_t now = counter->type == VALUE_INT ? counter->integer : 0;
    int64_t shown = op->code == OP_INCREMENT ? now : now - 1;
    *counter = value_int(op->code == OP_INCREMENT ? now + 1 : now - 1);
    return write_value(r, value_int(shown), false);
}

static struct cycle *find_cycle(struct render *r, struct str key)
{
    struct cycle *cycle = r->cycles;
    uint32_t looked_at = 0;
    while (cycle && !str_equal(cycle->key, key)) {
        cycle = cycle->before;
        looked_at++;
    }
    if (!liquid_step(r, looked_at / 8))
        return NULL;
    if (cycle)
        return cycle;
    cycle = liquid_alloc(r, sizeof(*cycle));
    if (cycle) {
        *cycle = (struct cycle){.key = key, .before = r->cycles};
        r->cycles = cycle;
    }
    return cycle;
}

static bool run_cycle(struct render *r, const struct op *op)
{
    must(r->stack_count > op->count);
    r->stack_count -= op->count;
    const struct value *values = &r->stack[r->stack_count];
    struct value name = render_pop(r);
    struct str text;
    struct value key;
    struct build b = liquid_build(r);
    if (!liquid_to_text(r, name, &text))
        return false;
    /* A name and what is written without one must not meet. */
    build_add_byte(&b, op->flag ? ':' : ' ');
    build_add(&b, text);
    if (!build_done(&b, &key))
        return false;
    struct cycle *cycle = find_cycle(r, key.text);
    if (!cycle)
        return false;
    struct value chosen = cycle->next < op->count ? values[cycle->next] : liquid_nil();
    cycle->next = cycle->next + 1 >= op->count ? 0 : cycle->next + 1;
    return write_value(r, chosen, false);
}

static bool end_capture(struct render *r, const struct frame *frame)
{
    struct str text;
    if (!take_output(r, frame->out_from, &text))
        return false;
    struct value x = value_text(text);
    if (r->t->kind == LIQUID_HTML)
        x.pad[0] = MARK_SAFE;
    if (r->t->kind == LIQUID_JSON)
        x.pad[0] = MARK_JSON;
    r->scope.locals[frame->name] = x;
    return true;
}

static bool end_changed(struct render *r, const struct frame *frame)
{
    struct str text;
    if (!take_output(r, frame->out_from, &text))
        return false;
    if (r->has_changed && str_equal(text, r->last_changed))
        return true;
    r->has_changed = true;
    r->last_changed = text;
    return render_write(r, text);
}

static bool open_capture(struct render *r, const struct op *op)
{
    struct frame *frame =
        render_push_frame(r, op->code == OP_CAPTURE ? FRAME_CAPTURE : FRAME_CHANGED);
    if (!frame)
        return false;
    frame->out_from = r->out->len;
    frame->name = op->a;
    return true;
}

/* subject, runs, any */
static void run_when(struct render *r)
{
    struct value x = render_pop(r);
    must(r->stack_count >= 3);
    struct value *top = &r->stack[r->stack_count - 3];
    top[1].integer += liquid_equal(top[0], x);
}

static void run_when_run(struct render *r, const struct op *op)
{
    must(r->stack_count >= 3);
    struct value *top = &r->stack[r->stack_count - 3];
    if (top[1].integer == 0) {
        r->pc = op->a;
        return;
    }
    top[1].integer--;
    top[2].boolean = true;
}

/* --- partials -------------------------------------------------------------------------------- */

/* An empty scope; one that was left before is used again. */
static bool new_scope(struct render *r)
{
    size_t bytes = max_of(r->t->name_count, 1u) * sizeof(struct value);
    r->scope = r->spare_scope;
    r->spare_scope = (struct scope){0};
    r->scope.frames_from = r->frame_count;
    if (!r->scope.locals)
        r->scope.locals = liquid_alloc(r, bytes);
    if (!r->scope.counters)
        r->scope.counters = liquid_alloc(r, bytes);
    if (!r->scope.locals || !r->scope.counters)
        return false;
    memset(r->scope.locals, 0, bytes);
    memset(r->scope.counters, 0, bytes);
    return true;
}

static uint32_t find_unit(const struct render *r, struct str name)
{
    for (uint32_t i = 1; i < r->t->unit_count; i++)
        if (str_equal(r->t->units[i].name, name))
            return i;
    return LIQUID_NONE;
}

static struct str own_name(struct str partial)
{
    for (size_t i = partial.len; i > 0; i--)
        if (partial.at[i - 1] == '/')
            return str_part(partial, i, partial.len);
    return partial;
}

static bool called_unit(struct render *r, struct value name, uint32_t *unit)
{
    struct str text;
    if (!liquid_to_text(r, name, &text) || !liquid_step(r, r->t->unit_count / 8))
        return false;
    *unit = find_unit(r, text);
    return *unit != LIQUID_NONE ||
           liquid_fail(r, "unknown partial \"%.*s\"", (int)min_of(text.len, (size_t)64), text.at);
}

static void set_local(struct render *r, uint32_t name, struct value x)
{
    r->scope.locals[name] = x.type == VALUE_NONE ? liquid_nil() : x;
}

/* A scope of its own, in which the arguments are locals like any other. */
static bool isolate(struct render *r, const struct frame *frame)
{
    if (frame->rounds.index)
        r->spare_scope = r->scope;
    if (!new_scope(r))
        return false;
    r->scope.frames_from = r->frame_count - 1;
    if (frame->name != LIQUID_NONE)
        set_local(r, frame->name, frame->rounds.current);
    for (uint32_t i = 0; i < frame->call->arg_count; i++)
        set_local(r, r->t->arg_names[frame->call->names_first + i], frame->args[i]);
    return true;
}

/* Begins a round of the partial of the top frame. */
static bool begin_call(struct render *r, uint32_t unit)
{
    struct frame *frame = render_top_frame(r);
    r->stack_count = frame->stack_count;
    r->unit = unit;
    r->pc = r->t->units[unit].entry;
    return rounds_load(r, &frame->rounds) && (!frame->call->is_isolated || isolate(r, frame));
}

/* The value that is bound, and how often the partial runs: for each item, or once with the whole. */
static bool bind(struct render *r, const struct call_spec *call, struct value x,
                 struct rounds *rounds)
{
    bool is_each = (x.type == VALUE_LIST && (call->binding == CALL_FOR || !call->is_isolated)) ||
                   (x.type == VALUE_MAP && call->binding == CALL_FOR);
    *rounds = (struct rounds){.items = x, .count = is_each ? rounds_count(x) : 1};
    if (is_each || (x.type != VALUE_LIST && x.type != VALUE_MAP))
        return true;
    struct value_list *one = liquid_new_list(r, 1);
    if (!one)
        return false;
    one->items[0] = x;
    rounds->items = liquid_list(one);
    return true;
}

static bool run_call(struct render *r, const struct op *op)
{
    const struct call_spec *call = &r->t->calls[op->a];
    struct value *args = liquid_alloc(r, call->arg_count * sizeof(*args));
    if (!args)
        return false;
    for (uint32_t i = call->arg_count; i-- > 0;)
        args[i] = render_pop(r);
    struct rounds rounds;
    if (!bind(r, call, call->binding == CALL_PLAIN ? liquid_nil() : render_pop(r), &rounds))
        return false;
    uint32_t unit = call->unit;
    uint32_t alias = call->alias;
    if (unit == LIQUID_NONE && !called_unit(r, render_pop(r), &unit))
        return false;
    if (alias == LIQUID_NONE)
        alias = find_name(r, own_name(r->t->units[unit].name));
    if (rounds.count == 0)
        return true;
    struct frame *frame = render_push_frame(r, FRAME_CALL);
    if (!frame)
        return false;
    frame->rounds = rounds;
    frame->call = call;
    frame->args = args;
    frame->name = call->binding == CALL_PLAIN ? LIQUID_NONE : alias;
    frame->return_pc = r->pc;
    frame->return_unit = r->unit;
    frame->scope = r->scope;
    return begin_call(r, unit);
}

/* Back to the caller of the top frame. */
static void leave_call(struct render *r)
{
    const struct frame *frame = render_top_frame(r);
    r->pc = frame->return_pc;
    r->unit = frame->return_unit;
    if (frame->call->is_isolated)
        r->spare_scope = r->scope;
    r->scope = frame->scope;
    render_pop_frame(r);
}

/* The end of a source: the partial's next round, the caller, or the end of all. */
static bool run_return(struct render *r)
{
    if (r->frame_count == 0) {
        r->is_done = true;
        return true;
    }
    struct frame *frame = render_top_frame(r);
    must(frame->kind == FRAME_CALL);
    if (++frame->rounds.index < frame->rounds.count)
        return begin_call(r, r->unit);
    leave_call(r);
    return true;
}

/* --- break, continue ------------------------------------------------------------------------- */

static bool run_interrupt(struct render *r, bool is_break)
{
    while (r->frame_count) {
        const struct frame frame = *render_top_frame(r);
        switch (frame.kind) {
        case FRAME_LOOP:
        case FRAME_TABLE:
            r->stack_count = frame.stack_count;
            r->pc = is_break ? frame.loop->end : frame.loop->next;
            if (!is_break)
                return true;
            if (frame.kind == FRAME_TABLE)
                return table_close(r);
            render_pop_frame(r);
            return true;
        case FRAME_CAPTURE:
            render_pop_frame(r);
            if (!end_capture(r, &frame))
                return false;
            break;
        case FRAME_CHANGED:
            render_pop_frame(r);
            if (!end_changed(r, &frame))
                return false;
            break;
        case FRAME_CALL:
            if (frame.call->is_isolated)
                return run_return(r);
            leave_call(r);
            break;
        }
    }
    r->is_done = true; /* outside of any loop: nothing more is said */
    return true;
}

static bool run_abort(struct render *r)
{
    struct str reason;
    if (!liquid_to_text(r, render_pop(r), &reason))
        return false;
    r->is_aborted = true;
    fault_set(r->fault, "%.*s", (int)min_of(reason.len, (size_t)FAULT_TEXT_BYTES), reason.at);
    place(r);
    return false;
}

/* --- the machine ----------------------------------------------------------------------------- */

static bool close_capture(struct render *r)
{
    const struct frame frame = *render_top_frame(r);
    render_pop_frame(r);
    return frame.kind == FRAME_CAPTURE ? end_capture(r, &frame) : end_changed(r, &frame);
}

static bool run_op(struct render *r, const struct op *op)
{
    switch ((enum op_code)op->code) {
    case OP_TEXT: return render_write(r, str_part(r->t->units[r->unit].text, op->a, op->b));
    case OP_PUSH: return push(r, r->t->constants[op->a]);
    case OP_VAR: return run_var(r, op);
    case OP_RANGE: return run_range(r);
    case OP_FILTER: return run_filter(r, op);
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_GT:
    case OP_LE:
    case OP_GE:
    case OP_CONTAINS: return run_compare(r, op);
    case OP_AND: run_junction(r, op, false); return true;
    case OP_OR: run_junction(r, op, true); return true;
    case OP_JUMP: r->pc = op->a; return true;
    case OP_JUMP_FALSE:
    case OP_JUMP_TRUE:
        if (liquid_is_truthy(render_pop(r)) == (op->code == OP_JUMP_TRUE))
            r->pc = op->a;
        return true;
    case OP_EMIT: return write_value(r, render_pop(r), op->flag);
    case OP_ASSIGN: set_local(r, op->a, render_pop(r)); return true;
    case OP_CAPTURE:
    case OP_CHANGED: return open_capture(r, op);
    case OP_CAPTURE_END:
    case OP_CHANGED_END: return close_capture(r);
    case OP_INCREMENT:
    case OP_DECREMENT: return run_count(r, op);
    case OP_CYCLE: return run_cycle(r, op);
    case OP_CASE: return push(r, value_int(0)) && push(r, value_bool(false));
    case OP_WHEN: run_when(r); return true;
    case OP_WHEN_RUN: run_when_run(r, op); return true;
    case OP_CASE_ELSE:
        if (r->stack[r->stack_count - 1].boolean)
            r->pc = op->a;
        return true;
    case OP_CASE_END: r->stack_count -= 3; return true;
    case OP_FOR: return loop_open(r, op);
    case OP_FOR_NEXT: return loop_next(r);
    case OP_TABLEROW: return table_open(r, op);
    case OP_TABLEROW_NEXT: return table_next(r);
    case OP_BREAK: return run_interrupt(r, true);
    case OP_CONTINUE: return run_interrupt(r, false);
    case OP_CALL: return run_call(r, op);
    case OP_RETURN: return run_return(r);
    case OP_ABORT: return run_abort(r);
    }
    must(false);
    return false;
}

static struct liquid_limits with_defaults(struct liquid_limits l)
{
    l.steps_max = l.steps_max ? l.steps_max : LIQUID_STEPS;
    l.iterations_max = l.iterations_max ? l.iterations_max : LIQUID_ITERATIONS;
    l.depth_max = l.depth_max ? l.depth_max : LIQUID_DEPTH;
    l.output_bytes_max = l.output_bytes_max ? l.output_bytes_max : LIQUID_OUTPUT_BYTES;
    l.memory_bytes_max = l.memory_bytes_max ? l.memory_bytes_max : LIQUID_MEMORY_BYTES;
    return l;
}

enum liquid_outcome liquid_render(const struct liquid_template *t, const struct liquid_run *run,
                                  struct buf *out, struct fault *f)
{
    struct render r = {
        .t = t,
        .run = run,
        .limits = with_defaults(run->limits),
        .scratch = run->scratch,
        .zone = run->zone ? run->zone : zone_of_utc(),
        .out = out,
        .out_start = out->len,
        .fault = f,
    };
    must(r.limits.depth_max <= LIQUID_DEPTH_MAX);
    r.stack = arena_alloc(r.scratch, STACK_MAX * sizeof(*r.stack));
    r.frames = arena_alloc(r.scratch, r.limits.depth_max * sizeof(*r.frames));
    r.continues = arena_array(r.scratch, uint32_t, max_of(t->name_count, 1u));
    bool is_fine = new_scope(&r);
    while (is_fine && !r.is_done) {
        must(r.pc < t->op_count);
        const struct op *op = &t->ops[r.pc++];
        is_fine = liquid_step(&r, 1) && run_op(&r, op);
    }
    if (is_fine)
        return LIQUID_DONE;
    out->len = r.out_start;
    return r.is_aborted ? LIQUID_ABORTED : LIQUID_FAILED;
}
