/* host_for_tests.h - a small world for the room's tests: attributes with values, and functions.
 *
 * Attributes are a table; a value may have a moment until which it holds, and a later value after it.
 * Functions: did(name, window), count(name), twice(int), sum_of(list), item(map).total,
 * past(name, e, predicate), paid(name, e, value[, predicate]) and refused(), with constants folded into bindings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>

#include "expr/expr.h"

#define WORLD_BINDINGS_MAX 16
#define WORLD_NUMBER_SLOTS 500  /* the attributes once more, "41" read as 41 */
#define WORLD_ITEM_SLOTS   1000 /* slots of a past event's fields begin here */

struct attribute {
    const char *name; /* "event.value" */
    const struct expr_type *type;
    struct value value;
    int64_t until_ms;   /* 0 = for ever */
    struct value after; /* from until_ms on */
};

enum world_function {
    WORLD_DID,
    WORLD_COUNT,
    WORLD_TWICE,
    WORLD_TOTAL,
    WORLD_PAST,
    WORLD_PAID,
    WORLD_ECHO,
};

struct bound {
    enum world_function function;
    struct str event;
    uint32_t slot;                   /* of its second argument, or UINT32_MAX */
    const struct expr *const *parts; /* of the predicate */
    uint32_t part_count;
    const struct expr *paid;
    struct value constant; /* its first argument, where that is known at load */
    bool is_constant;
};

struct world {
    struct attribute *attributes;
    uint32_t count;
    struct bound bindings[WORLD_BINDINGS_MAX];
    uint32_t binding_count;
    int64_t now_ms;
    uint32_t loads, calls;    /* how often the host was asked */
    const struct value *past; /* maps: the past events of past() */
    uint32_t past_count;
};

static enum expr_found world_path(void *self, const struct expr_path *path, struct expr_slot *out,
                                  struct fault *f)
{
    const struct world *w = self;
    if (str_is(path->parts[0], "secret")) {
        fault_set(f, "\"secret\" is not available in conditions");
        return EXPR_REFUSED;
    }
    for (uint32_t parts = path->count; parts > 0; parts--) {
        char name[256];
        size_t len = 0;
        for (uint32_t i = 0; i < parts && len < sizeof(name); i++)
            len += (size_t)snprintf(name + len, sizeof(name) - len, "%s%.*s", i ? "." : "",
                                    STR_ARG(path->parts[i]));
        for (uint32_t i = 0; i < w->count; i++) {
            if (str_is(str_of(w->attributes[i].name), name)) {
                *out = (struct expr_slot){.slot = i,
                                          .parts = parts,
                                          .type = w->attributes[i].type,
                                          .has_number = true,
                                          .number = i + WORLD_NUMBER_SLOTS};
                return EXPR_FOUND;
            }
        }
    }
    return EXPR_UNKNOWN;
}

static enum expr_found world_item(void *self, const struct expr_call *call,
                                  const struct expr_path *path, struct expr_slot *out,
                                  struct fault *f)
{
    (void)self;
    (void)f;
    if ((!str_is(call->name, "past") && !str_is(call->name, "paid")) || path->count == 0)
        return EXPR_UNKNOWN;
    if (str_is(path->parts[0], "sku"))
        *out = (struct expr_slot){.slot = WORLD_ITEM_SLOTS, .parts = 1, .type = &expr_text};
    else if (str_is(path->parts[0], "price"))
        *out = (struct expr_slot){.slot = WORLD_ITEM_SLOTS + 1, .parts = 1, .type = &expr_int};
    else
        return EXPR_UNKNOWN;
    return EXPR_FOUND;
}

static enum expr_found world_binder(void *self, const struct expr_call *call,
                                    struct expr_binder *out, struct fault *f)
{
    (void)self;
    (void)f;
    if (str_is(call->name, "paid") && (call->count == 3 || call->count == 4)) {
        *out = (struct expr_binder){
            .variable = 1,
            .body_count = call->count - 2,
            .bodies = {{.argument = 2, .is_value = true}, {.argument = 3}},
            .item = world_item,
        };
        return EXPR_FOUND;
    }
    if (!str_is(call->name, "past") || call->count != 3)
        return EXPR_UNKNOWN;
    *out = (struct expr_binder){
        .variable = 1, .body_count = 1, .bodies = {{.argument = 2}}, .item = world_item};
    return EXPR_FOUND;
}

static enum expr_found world_function(void *self, const struct expr_call *call,
                                      struct expr_binding *out, struct fault *f)
{
    struct world *w = self;
    struct bound bound = {.slot = UINT32_MAX};
    const struct expr_type *type = &expr_dyn;
    uint32_t fields = 0;
    if (w->binding_count == WORLD_BINDINGS_MAX) {
        fault_set(f, "this world has room for %d calls", WORLD_BINDINGS_MAX);
        return EXPR_REFUSED;
    }
    if (str_is(call->name, "refused")) {
        fault_set(f, "refused() needs a programme with refusals");
        return EXPR_REFUSED;
    }
    if (str_is(call->name, "did")) {
        if (call->count != 2 || !call->arguments[0].is_constant) {
            fault_set(f, "did() takes an event and a window: did(\"Login\", \"3d\")");
            return EXPR_REFUSED;
        }
        bound.function = WORLD_DID;
        type = &expr_bool;
    } else if (str_is(call->name, "count")) {
        bound.function = WORLD_COUNT;
        type = &expr_int;
        /* count("Login", traits.window): which attribute the window is */
        if (call->count > 1 && call->arguments[1].is_slot)
            bound.slot = call->arguments[1].slot;
    } else if (str_is(call->name, "twice")) {
        if (call->count != 1) {
            fault_set(f, "twice() takes one number");
            return EXPR_REFUSED;
        }
        bound.function = WORLD_TWICE;
        type = &expr_int;
    } else if (str_is(call->name, "last")) {
        /* last("Order").total: the field is folded in. */
        bound.function = WORLD_TOTAL;
        fields = call->field_count > 0 && str_is(call->fields[0], "total");
        type = fields ? &expr_double : &expr_map_dyn;
    } else if (str_is(call->name, "past")) {
        bound.function = WORLD_PAST;
        bound.parts = call->arguments[2].parts;
        bound.part_count = call->arguments[2].part_count;
        type = &expr_bool;
    } else if (str_is(call->name, "paid")) {
        bound.function = WORLD_PAID;
        bound.paid = call->arguments[2].parts[0];
        if (call->count == 4) {
            bound.parts = call->arguments[3].parts;
            bound.part_count = call->arguments[3].part_count;
        }
        type = call->arguments[2].type;
    } else if (str_is(call->name, "echo") && call->is_method && call->count == 1) {
        bound.function = WORLD_ECHO;
        type = call->arguments[0].type;
    } else {
        return EXPR_UNKNOWN;
    }
    if (call->count > 0 && call->arguments[0].is_constant &&
        call->arguments[0].value.type == VALUE_TEXT)
        bound.event = call->arguments[0].value.text;
    if (call->count > 0 && call->arguments[0].is_constant) {
        bound.is_constant = true;
        bound.constant = call->arguments[0].value;
    }
    *out = (struct expr_binding){.binding = w->binding_count, .fields = fields, .type = type};
    w->bindings[w->binding_count++] = bound;
    return EXPR_FOUND;
}

static bool world_name(void *self, enum expr_name_kind kind, uint32_t index, struct str *name,
                       const struct expr_type **type)
{
    static const char *const functions[] = {"did", "count", "twice", "last", "past"};
    const struct world *w = self;
    *type = NULL;
    if (kind == EXPR_NAME_FUNCTION) {
        if (index < array_count(functions))
            *name = str_of(functions[index]);
        return index < array_count(functions);
    }
    if (index >= w->count)
        return false;
    *name = str_of(w->attributes[index].name);
    *type = w->attributes[index].type;
    return true;
}

static bool world_zone_is_known(void *self, struct str zone)
{
    (void)self;
    return str_is(zone, "Test/Summer");
}

static struct expr_scope world_scope(struct world *w)
{
    return (struct expr_scope){
        .self = w,
        .path = world_path,
        .function = world_function,
        .binder = world_binder,
        .name = world_name,
        .zone_is_known = world_zone_is_known,
    };
}

static void world_load(void *self, uint32_t slot, struct value *out, int64_t *until_ms)
{
    struct world *w = self;
    bool as_number = slot >= WORLD_NUMBER_SLOTS && slot < WORLD_ITEM_SLOTS;
    slot -= as_number ? WORLD_NUMBER_SLOTS : 0;
    const struct attribute *a = &w->attributes[slot];
    must(slot < w->count);
    w->loads++;
    *out = a->value;
    if (a->until_ms != 0 && w->now_ms < a->until_ms)
        *until_ms = a->until_ms;
    if (a->until_ms != 0 && w->now_ms >= a->until_ms)
        *out = a->after;
    if (as_number && out->type == VALUE_TEXT && str_is(out->text, "41"))
        *out = value_int(41);
}

static struct expr_host world_host(struct world *w);

/* Runs a predicate over one past event: its fields come from the map, the rest from the world. */
struct past_world {
    struct world *world;
    const struct value_map *item;
};

static void past_load(void *self, uint32_t slot, struct value *out, int64_t *until_ms)
{
    const struct past_world *p = self;
    if (slot < WORLD_ITEM_SLOTS) {
        world_load(p->world, slot, out, until_ms);
        return;
    }
    const char *name = slot == WORLD_ITEM_SLOTS ? "sku" : "price";
    for (uint32_t i = 0; i < p->item->count; i++)
        if (str_is(p->item->pairs[i].key.text, name))
            *out = p->item->pairs[i].value;
}

/* The body's value for one past event. */
static struct value past_value(struct world *w, const struct value_map *item,
                               const struct expr *body, struct arena *scratch)
{
    struct past_world p = {w, item};
    struct expr_host host = world_host(w);
    host.self = &p;
    host.load = past_load;
    struct expr_result result;
    expr_run(body, &host, scratch, &result);
    return result.value;
}

static bool past_meets(struct world *w, const struct value_map *item, const struct bound *b,
                       struct arena *scratch)
{
    for (uint32_t k = 0; k < b->part_count; k++) {
        struct value v = past_value(w, item, b->parts[k], scratch);
        if (v.type != VALUE_BOOL || !v.boolean)
            return false;
    }
    return true;
}

static bool has_past(struct world *w, const struct bound *b, struct arena *scratch)
{
    for (uint32_t i = 0; i < w->past_count; i++)
        if (past_meets(w, w->past[i].map, b, scratch))
            return true;
    return false;
}

static int64_t paid_past(struct world *w, const struct bound *b, struct arena *scratch)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < w->past_count; i++)
        if (past_meets(w, w->past[i].map, b, scratch))
            sum += past_value(w, w->past[i].map, b->paid, scratch).integer;
    return sum;
}

static void world_call(void *self, uint32_t binding, const struct value *arguments, uint32_t count,
                       struct arena *scratch, struct value *out, int64_t *until_ms)
{
    struct world *w = self;
    const struct bound *b = &w->bindings[binding];
    must(binding < w->binding_count);
    w->calls++;
    must(count == 1 || b->is_constant || (b->function != WORLD_TWICE && b->function != WORLD_ECHO));
    const struct value *first = b->is_constant ? &b->constant : arguments;
    switch (b->function) {
    case WORLD_DID:
        *out = value_bool(str_is(b->event, "Login"));
        *until_ms = w->now_ms + 500;
        break;
    case WORLD_COUNT:
        *out = value_int(3);
        *until_ms = w->now_ms + 700;
        break;
    case WORLD_TWICE:
        *out = first->type == VALUE_INT ? value_int((int64_t)((uint64_t)first->integer * 2))
                                        : value_none();
        break;
    case WORLD_TOTAL: *out = str_is(b->event, "Order") ? value_double(42.5) : value_none(); break;
    case WORLD_PAST: *out = value_bool(has_past(w, b, scratch)); break;
    case WORLD_PAID: *out = value_int(paid_past(w, b, scratch)); break;
    case WORLD_ECHO: *out = *first; break;
    }
}

/* Test/Summer is UTC until 1,000,000 s, and then an hour ahead. */
static bool world_zone(void *self, struct str zone, int64_t at_ms, int64_t *offset_ms,
                       int64_t *from_ms, int64_t *until_ms)
{
    (void)self;
    const int64_t change_ms = 1000000000;
    if (!str_is(zone, "Test/Summer"))
        return false;
    bool is_summer = at_ms >= change_ms;
    *offset_ms = is_summer ? HOUR_MS : 0;
    *from_ms = is_summer ? change_ms : INT64_MIN;
    *until_ms = is_summer ? FOREVER_MS : change_ms;
    return true;
}

static struct expr_host world_host(struct world *w)
{
    return (struct expr_host){
        .self = w,
        .now_ms = w->now_ms,
        .load = world_load,
        .call = world_call,
        .zone = world_zone,
    };
}
