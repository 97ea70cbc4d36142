/* table.h - rows and columns for people, the same as JSON for machines.
 *
 *     journey          entries     sent
 *     cart-recovery     12,345    9,876
 *     welcome            1,002    1,001
 *     ─────────────────────────────────
 *     all               13,347   10,877
 *
 * Texts stand left, numbers right with thousands separators. A table is built cell by cell, left to
 * right; a row is complete when its columns are filled. Everything lives in the arena.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"
#include "cli/term.h"

struct arena;
struct json_writer;

#define TABLE_COLUMNS_MAX 16

enum table_side {
    TABLE_LEFT,
    TABLE_RIGHT,
};

enum table_cell_kind {
    TABLE_NOTHING,
    TABLE_TEXT,
    TABLE_INT,
    TABLE_DECIMAL,
};

struct table_cell {
    enum table_cell_kind kind;
    enum term_style style;
    struct str shown;
    int64_t integer;
    double decimal;
};

struct table_row {
    bool is_rule;
    struct table_row *next;
    struct table_cell cells[TABLE_COLUMNS_MAX];
};

struct table_column {
    const char *name; /* heading and JSON key */
    enum table_side side;
    uint32_t width;
};

struct table {
    struct arena *arena;
    struct table_column columns[TABLE_COLUMNS_MAX];
    uint32_t column_count;
    uint32_t filled; /* cells of the last row */
    uint32_t row_count;
    struct table_row *first;
    struct table_row *last;
};

/* An empty table; keeps the arena. */
void table_init(struct table *t, struct arena *arena);

/* One more column to the right; keeps `name`. Before the first cell. */
void table_column(struct table *t, const char *name, enum table_side side);

/* The next cell. Texts are copied. */
void table_text(struct table *t, struct str text);
void table_styled(struct table *t, enum term_style style, struct str text);
void table_int(struct table *t, int64_t number);
void table_decimal(struct table *t, double number, int decimals); /* 3.1 */
void table_nothing(struct table *t);                              /* blank; null in JSON */

/* A line across, before the sums. The row before must be complete. */
void table_rule(struct table *t);

/* Prints heading and rows, each line after two spaces. The last row must be complete. */
void table_print(const struct table *t, struct term *term);

/* The same as a list of objects; rows after a rule are left out, since they are sums. */
void table_json(const struct table *t, struct json_writer *w);
