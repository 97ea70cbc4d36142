/* Amounts of money: what is read, what is not, and what is printed reads back. */
#include "model/money.h"

#include "test.h"

static void amounts_are_read_exactly(void **state)
{
    static const struct {
        const char *text;
        int64_t amount;
    } cases[] = {
        {"0", 0},        {"500", 500 * MONEY_ONE}, {"499.99", 499990000},        {"0.045", 45000},
        {"0.000001", 1}, {"1.10", 1100000},        {"1000000000000", MONEY_MAX},
    };
    (void)state;
    for (size_t i = 0; i < array_count(cases); i++) {
        int64_t amount = -7;
        assert_true(money_parse(str_of(cases[i].text), &amount));
        assert_true(amount == cases[i].amount);
    }
}

static void what_is_no_amount_is_not_read(void **state)
{
    static const char *const cases[] = {"",
                                        "-1",
                                        "+1",
                                        "1.",
                                        ".5",
                                        "1e3",
                                        "1,5",
                                        "1 ",
                                        "0x10",
                                        "0.0000001",
                                        "1.5.5",
                                        "EUR 5",
                                        "nan",
                                        "inf",
                                        "five",
                                        "1000000000000.000001",
                                        "99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < array_count(cases); i++) {
        int64_t amount = -7;
        assert_false(money_parse(str_of(cases[i]), &amount));
        assert_true(amount == -7);
    }
}

static void what_is_printed_reads_back(void **state)
{
    uint64_t chance = 5;
    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        char text[MONEY_BYTES];
        int64_t back;
        chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407u;
        int64_t amount =
            (int64_t)(chance >> 1) % (MONEY_MAX >> (chance >> 8) % 50) + (int64_t)(i % 3);
        assert_true(money_parse(money_print(amount, text), &back));
        assert_true(back == amount);
    }
    char text[MONEY_BYTES];
    assert_string_equal(money_print(500 * MONEY_ONE, text).at, "500.00");
    assert_string_equal(money_print(45000, text).at, "0.045");
    assert_string_equal(money_print(1, text).at, "0.000001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"amounts are read exactly", amounts_are_read_exactly, NULL, NULL, NULL},
        {"what is no amount is not read", what_is_no_amount_is_not_read, NULL, NULL, NULL},
        {"what is printed reads back as the same amount", what_is_printed_reads_back, NULL, NULL,
         NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
