/* SPDX-License-Identifier: Apache-2.0 */
#include "base/value.h"

#include <string.h>

#include "test.h"

static void makers(void **state)
{
    (void)state;
    assert_int_equal(value_none().type, VALUE_NONE);
    assert_int_equal(value_bool(true).type, VALUE_BOOL);
    assert_true(value_bool(true).boolean);
    assert_int_equal(value_int(INT64_MIN).type, VALUE_INT);
    assert_true(value_int(INT64_MIN).integer == INT64_MIN);
    assert_int_equal(value_double(0.5).type, VALUE_DOUBLE);
    assert_true(value_double(0.5).number == 0.5);
    assert_int_equal(value_text(STR("x")).type, VALUE_TEXT);
    assert_true(str_is(value_text(STR("x")).text, "x"));
    assert_int_equal(value_time(-5).type, VALUE_TIME);
    assert_int_equal(value_time(-5).integer, -5);
    assert_int_equal(value_time(-5).sub_ns, 0);
    assert_int_equal(value_duration(DAY_MS).type, VALUE_DURATION);
    assert_int_equal(value_duration(DAY_MS).integer, DAY_MS);
}

static void names(void **state)
{
    (void)state;
    for (int a = VALUE_NONE; a <= VALUE_ERROR; a++) {
        const char *name = value_type_name((enum value_type)a);
        assert_string_not_equal(name, "?");
        for (int b = a + 1; b <= VALUE_ERROR; b++)
            assert_string_not_equal(name, value_type_name((enum value_type)b));
    }
    assert_string_equal(value_type_name(VALUE_TIME), "timestamp");
}

static void nothing_is_zero(void **state)
{
    (void)state;
    struct value blank;
    memset(&blank, 0, sizeof(blank));
    assert_int_equal(blank.type, VALUE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a value says its type and keeps what it was made of", makers),
        TEST("every type has a name of its own", names),
        TEST("zeroed memory is an absent value", nothing_is_zero),
    };
    return cmocka_run_group_tests_name("base/value", tests, NULL, NULL);
}
