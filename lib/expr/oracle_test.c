/* Random well-typed expressions come out as plain rules say, at each instant.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "expr/oracle_for_tests.h"
#include "test.h"

static void oracle(void **state)
{
    (void)state;
    struct made_seen seen = {0};
    uint64_t count = getenv("WEND_LONG") ? 400000 : 12000;
    for (uint64_t seed = 1; seed <= count; seed++) {
        struct arena arena;
        arena_init(&arena, 65536);
        struct choices choices = {.seed = seed};
        struct str wrong = made_check(&arena, &choices, &seen);
        if (wrong.len)
            fail_msg("seed %llu: %.*s", (unsigned long long)seed, STR_ARG(wrong));
        arena_fini(&arena);
    }
    printf("%llu values, %llu errors, %llu changes, %llu over the limit\n",
           (unsigned long long)seen.values, (unsigned long long)seen.errors,
           (unsigned long long)seen.changes, (unsigned long long)seen.over);
    /* The walks see something. */
    assert_true(seen.changes > count / 10);
    assert_true(seen.errors > seen.values / 100);
    assert_true(seen.errors < seen.values / 2);
    assert_true(seen.over < seen.values / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("random expressions come out as plain rules say, whenever they are asked", oracle),
    };
    return cmocka_run_group_tests_name("expr/oracle", tests, NULL, NULL);
}
