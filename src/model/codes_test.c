/* Lists of codes: which lines are codes, and how a list comes into records. */
#include "model/codes.h"

#include "base/mem.h"
#include "test.h"

#include <stdio.h>

static void lines_are_codes(void **state)
{
    static const char text[] = "code\n A1 \r\n\n\"B 2\"\ncode\nlast";
    static const struct {
        const char *code;
        uint32_t line;
    } wanted[] = {{"A1", 2}, {"B 2", 4}, {"code", 5}, {"last", 6}};
    struct str code;
    size_t from = 0;
    uint32_t line = 0;
    (void)state;
    for (size_t i = 0; i < array_count(wanted); i++) {
        assert_true(code_next(str_of(text), &from, &line, &code));
        assert_true(str_is(code, wanted[i].code));
        assert_int_equal(line, wanted[i].line);
    }
    assert_false(code_next(str_of(text), &from, &line, &code));
    from = 0;
    assert_false(code_next(STR("\n \n"), &from, &line, &code));
}

static void some_lines_are_none(void **state)
{
    char longest[CODE_BYTES_MAX + 2];
    (void)state;
    memset(longest, 'x', sizeof(longest));
    assert_true(code_is_fine((struct str){longest, CODE_BYTES_MAX}));
    assert_false(code_is_fine((struct str){longest, CODE_BYTES_MAX + 1}));
    assert_true(code_is_fine(STR("SPRING 10%")));
    assert_false(code_is_fine(STR("A,B")));
    assert_false(code_is_fine(STR("A\"B")));
    assert_false(code_is_fine(STR("")));
}

/* Parts are whole lines, fit into a record, and are the list when they are put together. */
static void parts_are_the_list(void **state)
{
    static char text[200 * 1024];
    (void)state;
    for (uint32_t round = 0; round < 40; round++) {
        size_t bytes = 0, from = 0, parts = 0;
        uint32_t count = round * 250;
        for (uint32_t i = 0; i < count; i++)
            bytes += (size_t)snprintf(text + bytes, sizeof(text) - bytes, "CODE-%0*u\n",
                                      (int)(1 + round % 9), i);
        if (bytes > 0 && round % 2)
            bytes--; /* the last line without its end */
        struct str all = {text, bytes};
        for (size_t before = 0; from < all.len; before = from, parts++) {
            struct str part = codes_part(all, &from);
            assert_ptr_equal(part.at, text + before);
            assert_true(part.len > 0 && part.len <= CODES_BYTES_MAX);
            assert_true(from == all.len || part.at[part.len - 1] == '\n');
        }
        assert_int_equal(from, all.len);
        assert_int_equal(codes_part(all, &from).len, 0);
        assert_true(parts <= bytes / (CODES_BYTES_MAX / 2) + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"lines are codes, whatever is around them", lines_are_codes, NULL, NULL, NULL},
        {"some lines are none", some_lines_are_none, NULL, NULL, NULL},
        {"parts of a list are the list", parts_are_the_list, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
