/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/function.h"

#include "expr/expr.h"

#define LITERAL(text)             \
    {                             \
        "" text, sizeof(text) - 1 \
    }

static const struct function_row own[] = {
#define FUNCTION(name, kind, form, takes, needs, type, arguments, usage, doc) \
    {LITERAL(name),  true,         false,          LITERAL(arguments),        \
     LITERAL(#type), LITERAL(doc), LITERAL(usage), LITERAL("")},
#define REWRITTEN(name, type, arguments, usage, doc)                   \
    {LITERAL(name),  true,         false,          LITERAL(arguments), \
     LITERAL(#type), LITERAL(doc), LITERAL(usage), LITERAL("")},
#include "programme/functions.def"
#undef FUNCTION
#undef REWRITTEN
};

bool function_row_at(uint32_t index, struct function_row *out)
{
    if (index < array_count(own)) {
        *out = own[index];
        if (str_is(out->name, "since")) /* scope.c takes the moment from now */
            out->result = STR("duration");
        return true;
    }
    const struct expr_function *f = expr_function_at(index - (uint32_t)array_count(own));
    if (f == NULL)
        return false;
    *out = (struct function_row){
        .name = f->name,
        .is_method = f->is_method,
        .arguments = f->arguments,
        .result = f->result,
        .doc = f->doc,
        .example = f->example,
        .same = f->example_result,
    };
    return true;
}

/* A cell of a table: a bar would end it. */
static void cell(struct buf *out, struct str text, bool is_code)
{
    buf_add_str(out, is_code ? STR(" `") : STR(" "));
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '|')
            buf_add_byte(out, '\\');
        buf_add_byte(out, (uint8_t)text.at[i]);
    }
    buf_add_str(out, is_code ? STR("` |") : STR(" |"));
}

void functions_reference(struct buf *out)
{
    struct function_row row;
    buf_add_str(
        out, STR("# Functions of expressions\n\n"
                 "Generated from `src/programme/functions.def` and `lib/expr/functions.def`; `wend "
                 "help functions --json` prints the same for programs. Each example compiles, and "
                 "those of the language are run by the tests.\n\n"
                 "## About the person\n\n"
                 "`e` stands for a name of your choice for the past event, and the condition is "
                 "about it: `did(\"Product Viewed\", \"14d\", e, e.sku == event.sku)`.\n\n"
                 "| function | takes | gives | meaning |\n|---|---|---|---|\n"));
    bool is_about_person = true;
    for (uint32_t i = 0; function_row_at(i, &row); i++) {
        if (is_about_person && !row.is_about_person) {
            is_about_person = false;
            buf_add_str(out,
                        STR("\n## Of the language\n\n"
                            "A capital letter is any type, the same in one row. `.name` is written "
                            "behind what it is about: `'wend'.size()`; that comes first under "
                            "\"takes\".\n\n"
                            "| function | takes | gives | meaning | example | is |\n"
                            "|---|---|---|---|---|---|\n"));
        }
        buf_add_str(out, STR("| `"));
        if (row.is_about_person)
            buf_add_str(out, row.example);
        else
            buf_printf(out, "%s%.*s", row.is_method ? "." : "", STR_ARG(row.name));
        buf_add_str(out, STR("` |"));
        cell(out, row.arguments, false);
        cell(out, row.result, false);
        cell(out, row.doc, false);
        if (!row.is_about_person) {
            cell(out, row.example, true);
            cell(out, row.same, true);
        }
        buf_add_byte(out, '\n');
    }
}
