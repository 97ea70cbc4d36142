/* function.h - what expressions of a programme can call: one table for the checker's users, the
 * references, `wend help functions` and the console's editor.
 *
 * It holds the functions about the person (functions.def), then those of the language
 * (lib/expr/functions.def), each overload a row.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

struct function_row {
    struct str name;      /* "did", "startsWith", "_&&_" */
    bool is_about_person; /* from functions.def */
    bool is_method;       /* target.name(...): the target comes first in `arguments` */
    struct str arguments; /* "event [, window]"; of the language: types, "string, int" */
    struct str result;    /* its type: "bool" */
    struct str doc;
    struct str example; /* compiles */
    struct str same; /* of the language: another expression with the example's value; else empty */
};

/* The index-th row; false past the last. */
bool function_row_at(uint32_t index, struct function_row *out);

/* The table as a page of Markdown: docs/reference/functions.md. */
void functions_reference(struct buf *out);
