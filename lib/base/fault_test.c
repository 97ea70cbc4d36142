/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include <string.h>

#include "test.h"

static void first_notice(void **state)
{
    (void)state;
    struct fault f = {0};
    fault_set(&f, "unknown field \"%s\"", "emial");
    fault_set(&f, "something else");
    fault_place(&f, "a.yaml", 3, 7);
    fault_place(&f, "b.yaml", 4, 8);
    assert_string_equal(f.text, "unknown field \"emial\"");
    assert_string_equal(f.file, "a.yaml");
    assert_int_equal(f.line, 3);
    assert_int_equal(f.column, 7);
    fault_prefix(&f, "step \"%s\": ", "offer");
    fault_prefix(&f, "journey \"%s\": ", "cart");
    assert_string_equal(f.text, "journey \"cart\": step \"offer\": unknown field \"emial\"");
    fault_set(NULL, "nobody reads this");
    fault_place(NULL, "a", 1, 1);
    fault_prefix(NULL, "x");
}

static void place_comes_in_parts(void **state)
{
    (void)state;
    struct fault f = {0};
    fault_place(&f, NULL, 3, 7);
    fault_place(&f, "a.yaml", 9, 9);
    assert_string_equal(f.file, "a.yaml");
    assert_int_equal(f.line, 3);
    assert_int_equal(f.column, 7);
}

static void printed(void **state)
{
    (void)state;
    static const struct {
        struct fault fault;
        const char *line;
    } rows[] = {
        {{.text = "wrong", .file = "a", .line = 3, .column = 7}, "a:3:7: wrong"},
        {{.text = "wrong", .file = "a", .line = 3}, "a:3: wrong"},
        {{.text = "wrong", .file = "a"}, "a: wrong"},
        {{.text = "wrong", .line = 3, .column = 7}, "3:7: wrong"},
        {{.text = "wrong", .line = 3}, "3: wrong"},
        {{.text = "wrong"}, "wrong"},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        char out[64];
        fault_print(&rows[i].fault, out, sizeof(out));
        assert_string_equal(out, rows[i].line);
    }
    char small[8];
    fault_print(&rows[0].fault, small, sizeof(small));
    assert_string_equal(small, "a:3:7: ");
}

static void too_long(void **state)
{
    (void)state;
    struct fault f = {0};
    fault_set(&f, "%600d", 1);
    assert_int_equal(strlen(f.text), FAULT_TEXT_BYTES - 1);
    fault_prefix(&f, "%s", "context: ");
    assert_int_equal(strlen(f.text), FAULT_TEXT_BYTES - 1);
    assert_memory_equal(f.text, "context: ", 9);
    char path[400];
    memset(path, 'p', sizeof(path));
    path[399] = '\0';
    fault_place(&f, path, 1, 1);
    assert_int_equal(strlen(f.file), FAULT_FILE_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the first to notice fills the fault, callers put context before it", first_notice),
        TEST("a file that is learnt later joins the line that is known", place_comes_in_parts),
        TEST("a fault prints the place as far as it is known", printed),
        TEST("what is too long is cut, never written beyond", too_long),
    };
    return cmocka_run_group_tests_name("base/fault", tests, NULL, NULL);
}
