/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/fn.h"

#define ROW(kind_, is_method_, name_, arguments_, result_, code_, doc_, example_, same_) \
    {                                                                                    \
        .public =                                                                        \
            {                                                                            \
                .name = {name_, sizeof(name_) - 1},                                      \
                .is_method = is_method_,                                                 \
                .arguments = {arguments_, sizeof(arguments_) - 1},                       \
                .result = {result_, sizeof(result_) - 1},                                \
                .doc = {doc_, sizeof(doc_) - 1},                                         \
                .example = {example_, sizeof(example_) - 1},                             \
                .example_result = {same_, sizeof(same_) - 1},                            \
            },                                                                           \
        .code = code_,                                                                   \
        .kind = kind_,                                                                   \
    },

const struct function function_table[] = {
#define PLAIN(n, a, r, c, d, e, s)  ROW(FUNCTION_PLAIN, false, n, a, r, c, d, e, s)
#define METHOD(n, a, r, c, d, e, s) ROW(FUNCTION_METHOD, true, n, a, r, c, d, e, s)
#define GETTER(n, a, r, c, d, e, s) ROW(FUNCTION_GETTER, true, n, a, r, c, d, e, s)
#define OPERATOR(n, a, r, d, e, s)  ROW(FUNCTION_OPERATOR, false, n, a, r, NULL, d, e, s)
#define MACRO(n, a, r, d, e, s)     ROW(FUNCTION_MACRO, false, n, a, r, NULL, d, e, s)
#include "expr/functions.def"
};

const uint32_t function_count = array_count(function_table);

const struct expr_function *expr_function_at(uint32_t index)
{
    return index < function_count ? &function_table[index].public : NULL;
}
