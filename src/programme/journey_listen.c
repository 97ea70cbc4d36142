/* journey_listen.c - events, segments and conditions that exits, waits and reactions listen to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

/* Segments entered, or left. A wait asks whether the person is in it now; an exit is told of the change. */
static void listen_segments(struct builder *b, const struct yaml_node *names, bool is_left,
                            struct listens *out, bool is_exit)
{
    struct compile *c = b->c;
    for (uint32_t i = 0; i < shape_count(names); i++) {
        const struct yaml_node *node = shape_item(names, i);
        uint32_t event = segment_event(c, b->yaml, node, is_left);
        struct plan_expr when = {.text = STR("")};
        if (event == NAME_NONE)
            continue;
        if (is_exit) {
            b->journey->event_wake |= build_event_hear(c, event, yaml_place(b->yaml, node));
            out->list[out->count++] = (struct plan_listen){.event = event, .when = when};
            continue;
        }
        struct str text = arena_printf(&c->scratch, "%sin_segment(\"%.*s\")", is_left ? "!" : "",
                                       STR_ARG(node->text));
        scope_compile_part(c, b->yaml, node, text, 0,
                           builder_target(b, SCOPE_ENTRY, EXPR_WANT_BOOL), &when);
        out->list[out->count++] = (struct plan_listen){.event = NAME_NONE, .when = when};
    }
}

/* One item: an event (or several names, each of which becomes a listen of its own), or a condition. */
static void listen_add(struct builder *b, const struct yaml_node *item, struct listens *out,
                       bool keeps_conditions)
{
    struct compile *c = b->c;
    const char *member = shape_member(item, shape_union_get("LISTEN"));
    if (!member)
        return;
    struct plan_expr when;
    bool is_left = strcmp(member, "segment_left") == 0;
    if (is_left || strcmp(member, "segment") == 0) {
        listen_segments(b, shape_value(item, "", member), is_left, out, keeps_conditions);
        return;
    }
    if (strcmp(member, "event") != 0) {
        const struct yaml_node *node = shape_value(item, "", member);
        uint32_t flags = SCOPE_ENTRY | (strcmp(member, "unless") == 0 ? SCOPE_NOT : 0u);
        scope_compile(c, b->yaml, node, builder_target(b, flags, EXPR_WANT_BOOL), &when);
        out->condition_count++;
        if (keeps_conditions || out->condition_count > 1)
            out->list[out->count++] = (struct plan_listen){.event = NAME_NONE, .when = when};
        else
            out->condition = when;
        return;
    }
    scope_compile_when(c, b->yaml, item->type == YAML_MAP ? item : NULL,
                       builder_target(b, SCOPE_EVENT | SCOPE_ENTRY | SCOPE_ONCE, EXPR_WANT_BOOL),
                       &when);
    const struct yaml_node *events = shape_value(item, "event", "event");
    for (uint32_t i = 0; i < shape_count(events); i++) {
        const struct yaml_node *event = shape_item(events, i);
        if (event->is_bad || event->type != YAML_TEXT)
            continue;
        uint32_t name = build_name(c, event->text);
        if (name == NAME_NONE)
            continue;
        b->journey->event_wake |= build_event_hear(c, name, yaml_place(b->yaml, event));
        out->list[out->count++] = (struct plan_listen){.event = name, .when = when};
    }
}

struct listens listens_of(struct builder *b, const struct yaml_node *node, bool keeps_conditions)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < shape_count(node); i++) {
        const struct yaml_node *item = shape_item(node, i);
        uint32_t events = shape_count(shape_value(item, "event", "event"));
        most += 1 + events + shape_count(shape_value(item, "", "segment")) +
                shape_count(shape_value(item, "", "segment_left"));
    }
    struct listens out = {.list = arena_array(b->c->arena, struct plan_listen, most)};
    for (uint32_t i = 0; i < shape_count(node); i++)
        listen_add(b, shape_item(node, i), &out, keeps_conditions);
    must(out.count <= most);
    return out;
}
