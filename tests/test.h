/* test.h - cmocka with one macro, so that a test's name is a sentence.
 *
 *     static void waits(void **state) { ... assert_int_equal(...) ... }
 *
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = {
 *             TEST("the fourth message waits for the first to leave the window", waits),
 *         };
 *         return cmocka_run_group_tests_name("decide/cap", tests, NULL, NULL);
 *     }
 *
 * A test that needs data from outside the repository calls test_data("segment-sdk-captures"): the
 * folder under $WEND_TEST_DATA (default ../shared/data), or the test is skipped by name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

// clang-format off
#define TEST(sentence, function) {sentence, function, NULL, NULL, NULL}
// clang-format on

/* The folder of the named data set; skips the running test where there is none. */
static inline const char *test_data(const char *name)
{
    static char path[1024];
    const char *root = getenv("WEND_TEST_DATA");
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", root ? root : "../shared/data", name);
    if (stat(path, &st) != 0) {
        printf("skipped: no test data %s\n", path);
        skip();
    }
    return path;
}

/* Fills `path` with a template for mkdtemp() or mkstemp(), under $TMPDIR or /tmp; returns it. The
 * runner gives each program a $TMPDIR of its own and removes it, however the program ends. */
static inline char *test_path(char *path, size_t bytes, const char *name)
{
    const char *root = getenv("TMPDIR");
    int len = snprintf(path, bytes, "%s/wend-%s-XXXXXX", root ? root : "/tmp", name);
    assert_in_range(len, 1, bytes - 1);
    return path;
}
