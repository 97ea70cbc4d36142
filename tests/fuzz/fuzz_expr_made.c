/* The checker and the machine: bytes become a well-typed expression and a world, and what it comes out
 * as, at each moment, is compared with plain rules (lib/expr/oracle_for_tests.h).
 *
 * fuzz_expr feeds the parser with texts, most of which are none; here each input gets as far as the
 * machine. What is sound must compile as a rule, for once and unchecked; the values must be those of
 * the rules; and none may change before its until.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/oracle_for_tests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct choices choices = {.at = data, .left = size};
    struct made_seen seen = {0};
    arena_init(&arena, 65536);
    struct str wrong = made_check(&arena, &choices, &seen);
    if (wrong.len)
        fprintf(stderr, "%.*s\n", STR_ARG(wrong));
    must(wrong.len == 0);
    arena_fini(&arena);
    return 0;
}
