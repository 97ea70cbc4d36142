/* Loops while they run: the items they go through, what `forloop` knows, rows and cells of tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/render_int.h"

#include <stdio.h>

/* --- rounds ---------------------------------------------------------------------------------- */

uint32_t rounds_count(struct value items)
{
    if (items.type == VALUE_LIST)
        return items.list->count;
    if (items.type == VALUE_MAP)
        return items.map->count;
    return items.type == VALUE_TEXT && items.text.len;
}

bool rounds_load(struct render *r, struct rounds *rounds)
{
    uint32_t index = rounds->is_reversed ? rounds->count - 1 - rounds->index : rounds->index;
    index += rounds->from;
    if (++r->iterations > r->limits.iterations_max)
        return liquid_fail(r, "the loops take more than %u rounds", r->limits.iterations_max);
    if (rounds->items.type == VALUE_LIST) {
        rounds->current = liquid_plain(rounds->items.list->items[index]);
        return true;
    }
    if (rounds->items.type != VALUE_MAP) {
        rounds->current = rounds->items;
        return true;
    }
    struct value_list *pair = liquid_new_list(r, 2);
    if (!pair)
        return false;
    pair->items[0] = rounds->items.map->pairs[index].key;
    pair->items[1] = rounds->items.map->pairs[index].value;
    rounds->current = liquid_list(pair);
    return true;
}

/* --- forloop and tablerowloop ---------------------------------------------------------------- */

/* The loop that such a word means, from frame `below` downwards; NULL if there is none. */
static const struct frame *loop_find(const struct render *r, bool is_table, uint32_t below)
{
    while (below > r->scope.frames_from) {
        const struct frame *frame = &r->frames[--below];
        bool is_for =
            frame->kind == FRAME_LOOP || (frame->kind == FRAME_CALL && frame->call->is_isolated &&
                                          frame->call->binding == CALL_FOR);
        if (is_table ? frame->kind == FRAME_TABLE : is_for)
            return frame;
    }
    return NULL;
}

enum loop_field {
    FIELD_NAME,
    FIELD_LENGTH,
    FIELD_INDEX,
    FIELD_INDEX0,
    FIELD_RINDEX,
    FIELD_RINDEX0,
    FIELD_FIRST,
    FIELD_LAST,
    FIELD_COL,
    FIELD_COL0,
    FIELD_COL_FIRST,
    FIELD_COL_LAST,
    FIELD_ROW,
};

#define FIELDS_OF_TABLE FIELD_COL /* from here on only tablerowloop has them */

static const char *const loop_fields[] = {
    [FIELD_NAME] = "name",     [FIELD_LENGTH] = "length",       [FIELD_INDEX] = "index",
    [FIELD_INDEX0] = "index0", [FIELD_RINDEX] = "rindex",       [FIELD_RINDEX0] = "rindex0",
    [FIELD_FIRST] = "first",   [FIELD_LAST] = "last",           [FIELD_COL] = "col",
    [FIELD_COL0] = "col0",     [FIELD_COL_FIRST] = "col_first", [FIELD_COL_LAST] = "col_last",
    [FIELD_ROW] = "row",
};

static struct value loop_value(const struct render *r, const struct frame *frame,
                               enum loop_field field)
{
    const struct rounds *rounds = &frame->rounds;
    uint32_t columns = max_of(frame->columns, 1u);
    uint32_t column = rounds->index % columns;
    switch (field) {
    case FIELD_NAME: return frame->loop ? value_text(r->t->names[frame->loop->key]) : liquid_nil();
    case FIELD_LENGTH: return value_int(rounds->count);
    case FIELD_INDEX: return value_int((int64_t)rounds->index + 1);
    case FIELD_INDEX0: return value_int(rounds->index);
    case FIELD_RINDEX: return value_int((int64_t)rounds->count - rounds->index);
    case FIELD_RINDEX0: return value_int((int64_t)rounds->count - rounds->index - 1);
    case FIELD_FIRST: return value_bool(rounds->index == 0);
    case FIELD_LAST: return value_bool(rounds->index + 1 == rounds->count);
    case FIELD_COL: return value_int((int64_t)column + 1);
    case FIELD_COL0: return value_int(column);
    case FIELD_COL_FIRST: return value_bool(column == 0);
    case FIELD_COL_LAST: return value_bool(column + 1 == columns);
    case FIELD_ROW: return value_int((int64_t)(rounds->index / columns) + 1);
    }
    must(false);
    return liquid_nil();
}

/* All of a loop as a map, for templates that do more with it than ask for a field. */
static bool loop_map(struct render *r, const struct frame *frame, struct value *out)
{
    uint32_t count = frame->kind == FRAME_TABLE ? array_count(loop_fields) : FIELDS_OF_TABLE;
    struct value_map *map = liquid_alloc(r, sizeof(*map) + count * sizeof(map->pairs[0]));
    if (!map)
        return false;
    map->count = count;
    for (uint32_t i = 0; i < count; i++) {
        map->pairs[i].key = value_text(str_of(loop_fields[i]));
        map->pairs[i].value = loop_value(r, frame, (enum loop_field)i);
    }
    *out = (struct value){.type = VALUE_MAP, .map = map};
    return true;
}

bool loop_load(struct render *r, const struct variable *v, struct value *out, uint32_t *used)
{
    const struct part *parts = &r->t->parts[v->parts_first];
    bool is_table = str_is(parts[0].name, "tablerowloop");
    const struct frame *frame = loop_find(r, is_table, r->frame_count);
    *out = value_none();
    for (*used = 1; frame && *used < v->part_count && !parts[*used].is_computed; ++*used) {
        if (str_is(parts[*used].name, "parentloop") && !is_table) {
            frame = loop_find(r, is_table, (uint32_t)(frame - r->frames));
            continue;
        }
        uint32_t count = is_table ? array_count(loop_fields) : FIELDS_OF_TABLE;
        for (uint32_t i = 0; i < count; i++)
            if (str_is(parts[*used].name, loop_fields[i]))
                *out = loop_value(r, frame, (enum loop_field)i);
        ++*used;
        return true;
    }
    return !frame || loop_map(r, frame, out);
}

/* --- loops ----------------------------------------------------------------------------------- */

/* limit, offset: nil counts as not given. */
static bool loop_number(struct render *r, struct value x, const char *what, uint32_t absent,
                        uint32_t *out)
{
    int64_t number;
    *out = absent;
    if (liquid_is_nil(x))
        return true;
    if (!liquid_to_index(x, &number))
        return liquid_fail(r, "%s must be an integer, found %s", what, value_type_name(x.type));
    *out = (uint32_t)max_of(min_of(number, (int64_t)UINT32_MAX), INT64_C(0));
    return true;
}

static bool open_rounds(struct render *r, const struct loop_spec *loop, struct rounds *rounds,
                        uint32_t *columns)
{
    struct value columns_value = loop->has_columns ? render_pop(r) : liquid_nil();
    struct value offset = loop->has_offset ? render_pop(r) : liquid_nil();
    struct value limit = loop->has_limit ? render_pop(r) : liquid_nil();
    *rounds = (struct rounds){.items = render_pop(r), .is_reversed = loop->is_reversed};
    uint32_t limit_count;
    if (!loop_number(r, limit, "limit", UINT32_MAX, &limit_count) ||
        !loop_number(r, offset, "offset", 0, &rounds->from))
        return false;
    uint32_t all = rounds_count(rounds->items);
    if (loop->is_continued)
        rounds->from = r->continues[loop->key];
    rounds->from = min_of(rounds->from, all);
    rounds->count = min_of(all - rounds->from, limit_count);
    r->continues[loop->key] = rounds->from + rounds->count;
    int64_t wanted = liquid_is_nil(columns_value) ? rounds->count : liquid_to_whole(columns_value);
    *columns = (uint32_t)max_of(min_of(wanted, (int64_t)UINT32_MAX), INT64_C(1));
    return true;
}

bool loop_open(struct render *r, const struct op *op)
{
    const struct loop_spec *loop = &r->t->loops[op->a];
    struct rounds rounds;
    uint32_t columns;
    if (!open_rounds(r, loop, &rounds, &columns))
        return false;
    if (rounds.count == 0) {
        r->pc = op->b;
        return true;
    }
    struct frame *frame = render_push_frame(r, FRAME_LOOP);
    if (!frame)
        return false;
    frame->loop = loop;
    frame->rounds = rounds;
    return rounds_load(r, &frame->rounds);
}

bool loop_next(struct render *r)
{
    struct frame *frame = render_top_frame(r);
    must(frame->kind == FRAME_LOOP);
    if (++frame->rounds.index == frame->rounds.count) {
        render_pop_frame(r);
        return true;
    }
    r->pc = frame->loop->body;
    return rounds_load(r, &frame->rounds);
}

static bool write_numbered(struct render *r, const char *before, uint32_t number)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%s%u\">", before, number);
    return render_write(r, (struct str){text, (size_t)len});
}

static bool open_cell(struct render *r, struct frame *frame)
{
    uint32_t column = frame->rounds.index % frame->columns;
    return rounds_load(r, &frame->rounds) && write_numbered(r, "<td class=\"col", column + 1);
}

bool table_open(struct render *r, const struct op *op)
{
    const struct loop_spec *loop = &r->t->loops[op->a];
    struct rounds rounds;
    uint32_t columns;
    if (!open_rounds(r, loop, &rounds, &columns))
        return false;
    if (rounds.items.type != VALUE_LIST && rounds.items.type != VALUE_MAP && rounds.count == 0) {
        r->pc = op->b;
        return true;
    }
    if (!render_write(r, STR("<tr class=\"row1\">\n")))
        return false;
    if (rounds.count == 0) {
        r->pc = op->b;
        return render_write(r, STR("</tr>\n"));
    }
    struct frame *frame = render_push_frame(r, FRAME_TABLE);
    if (!frame)
        return false;
    frame->loop = loop;
    frame->rounds = rounds;
    frame->columns = columns;
    return open_cell(r, frame);
}

bool table_close(struct render *r)
{
    render_pop_frame(r);
    return render_write(r, STR("</td></tr>\n"));
}

bool table_next(struct render *r)
{
    struct frame *frame = render_top_frame(r);
    must(frame->kind == FRAME_TABLE);
    uint32_t index = ++frame->rounds.index;
    if (index == frame->rounds.count)
        return table_close(r);
    if (!render_write(r, STR("</td>")))
        return false;
    if (index % frame->columns == 0 &&
        !write_numbered(r, "</tr>\n<tr class=\"row", index / frame->columns + 1))
        return false;
    r->pc = frame->loop->body;
    return open_cell(r, frame);
}
