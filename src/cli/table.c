/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "base/arena.h"
#include "json/json_write.h"

#define GAP 2 /* spaces between columns, and before the first */

void table_init(struct table *t, struct arena *arena)
{
    *t = (struct table){.arena = arena};
}

void table_column(struct table *t, const char *name, enum table_side side)
{
    must(t->column_count < TABLE_COLUMNS_MAX);
    must(t->first == NULL);
    t->columns[t->column_count++] =
        (struct table_column){.name = name, .side = side, .width = term_width(str_of(name))};
}

static struct table_row *add_row(struct table *t)
{
    struct table_row *row = arena_new(t->arena, struct table_row);
    if (t->last != NULL)
        t->last->next = row;
    else
        t->first = row;
    t->last = row;
    return row;
}

static void add_cell(struct table *t, struct table_cell cell)
{
    must(t->column_count > 0);
    if (t->last == NULL || t->last->is_rule || t->filled == t->column_count) {
        add_row(t);
        t->filled = 0;
        t->row_count++;
    }
    struct table_column *column = &t->columns[t->filled];
    column->width = max_of(column->width, term_width(cell.shown));
    t->last->cells[t->filled++] = cell;
}

void table_text(struct table *t, struct str text)
{
    table_styled(t, TERM_PLAIN, text);
}

void table_styled(struct table *t, enum term_style style, struct str text)
{
    add_cell(t, (struct table_cell){
                    .kind = TABLE_TEXT, .style = style, .shown = arena_copy(t->arena, text)});
}

void table_int(struct table *t, int64_t number)
{
    char shown[TERM_NUMBER_BYTES];
    add_cell(
        t, (struct table_cell){.kind = TABLE_INT,
                               .integer = number,
                               .shown = arena_copy(t->arena, str_of(term_number(number, shown)))});
}

void table_decimal(struct table *t, double number, int decimals)
{
    add_cell(t, (struct table_cell){.kind = TABLE_DECIMAL,
                                    .decimal = number,
                                    .shown = arena_printf(t->arena, "%.*f", decimals, number)});
}

void table_nothing(struct table *t)
{
    add_cell(t, (struct table_cell){.kind = TABLE_NOTHING});
}

static bool is_complete(const struct table *t)
{
    return t->last == NULL || t->last->is_rule || t->filled == t->column_count;
}

void table_rule(struct table *t)
{
    must(is_complete(t));
    add_row(t)->is_rule = true;
}

/* One cell. *gap spaces are owed before it; what is owed after it is paid by the next cell that shows
 * something, so that no line ends in spaces. */
static void print_cell(struct term *term, const struct table_column *column, enum term_style style,
                       struct str shown, uint32_t *gap)
{
    uint32_t room = column->width - term_width(shown);
    bool is_right = column->side == TABLE_RIGHT;
    *gap += GAP + (is_right ? room : 0);
    if (shown.len > 0) {
        term_text(term, "%*s", (int)*gap, "");
        term_print(term, style, "%.*s", STR_ARG(shown));
        *gap = 0;
    }
    *gap += is_right ? 0 : room;
}

static void print_rule(const struct table *t, struct term *term)
{
    uint32_t width = (t->column_count - 1) * GAP;
    for (uint32_t i = 0; i < t->column_count; i++)
        width += t->columns[i].width;
    term_text(term, "%*s", GAP, "");
    for (uint32_t i = 0; i < width; i++)
        term_text(term, "─");
    term_text(term, "\n");
}

void table_print(const struct table *t, struct term *term)
{
    must(is_complete(t));
    uint32_t gap = 0;
    for (uint32_t i = 0; i < t->column_count; i++)
        print_cell(term, &t->columns[i], TERM_DIM, str_of(t->columns[i].name), &gap);
    term_text(term, "\n");
    for (const struct table_row *row = t->first; row != NULL; row = row->next) {
        if (row->is_rule) {
            print_rule(t, term);
            continue;
        }
        gap = 0;
        for (uint32_t i = 0; i < t->column_count; i++)
            print_cell(term, &t->columns[i], row->cells[i].style, row->cells[i].shown, &gap);
        term_text(term, "\n");
    }
}

void table_json(const struct table *t, struct json_writer *w)
{
    must(is_complete(t));
    json_write_list(w);
    for (const struct table_row *row = t->first; row != NULL && !row->is_rule; row = row->next) {
        json_write_map(w);
        for (uint32_t i = 0; i < t->column_count; i++) {
            const struct table_cell *cell = &row->cells[i];
            json_write_key(w, str_of(t->columns[i].name));
            switch (cell->kind) {
            case TABLE_NOTHING: json_write_null(w); break;
            case TABLE_TEXT: json_write_text(w, cell->shown); break;
            case TABLE_INT: json_write_int(w, cell->integer); break;
            case TABLE_DECIMAL: json_write_double(w, cell->decimal); break;
            }
        }
        json_write_end(w);
    }
    json_write_end(w);
}
