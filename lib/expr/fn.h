/* fn.h - the functions' C names, from the list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "expr/expr_int.h"

#define PLAIN(name, arguments, result, code, doc, example, same) \
    struct value code(struct machine *m, const struct value *a, uint32_t count);
#define METHOD PLAIN
#define GETTER PLAIN
#define OPERATOR(name, arguments, result, doc, example, same)
#define MACRO OPERATOR
#include "expr/functions.def"
#undef PLAIN
#undef METHOD
#undef GETTER
#undef OPERATOR
#undef MACRO
