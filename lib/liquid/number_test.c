/* SPDX-License-Identifier: Apache-2.0 */
#include "liquid/liquid_int.h"

#include <inttypes.h>
#include <math.h>

#include "test.h"

__extension__ typedef __int128 wide;

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 11;
}

/* Between -10^9 and 10^9, mostly small. */
static int64_t random_amount(uint64_t *seed)
{
    uint64_t bits = next_random(seed) % 30 + 1;
    int64_t x = (int64_t)(next_random(seed) % (UINT64_C(1) << bits));
    return next_random(seed) % 2 ? x : -x;
}

/* What a number of 10^-digits is shown as. */
static void exact(int64_t amount, int digits, char *out, size_t room)
{
    uint64_t scale = 1;
    for (int i = 0; i < digits; i++)
        scale *= 10;
    uint64_t size = amount < 0 ? (uint64_t)-amount : (uint64_t)amount;
    int len = snprintf(out, room, "%s%" PRIu64 ".%0*" PRIu64, amount < 0 ? "-" : "", size / scale,
                       digits, size % scale);
    while (out[len - 1] == '0' && out[len - 2] != '.')
        out[--len] = '\0';
}

static void shows(struct value x, const char *wanted)
{
    char text[NUMBER_TEXT_BYTES];
    struct str shown = {text, liquid_print_number(x, text)};
    if (!str_is(shown, wanted))
        fail_msg("%.*s is not %s", STR_ARG(shown), wanted);
}

static struct value cents(int64_t amount)
{
    return value_double((double)amount / 100);
}

/* Amounts of money, as a shop's events carry them: results are those of the school book. */
static void money(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (unsigned round = 0; round < 20000; round++) {
        int64_t a = random_amount(&seed), b = random_amount(&seed);
        char wanted[64];
        exact(a + b, 2, wanted, sizeof(wanted));
        shows(liquid_arithmetic(ADD, cents(a), cents(b)), a + b ? wanted : "0.0");
        exact(a - b, 2, wanted, sizeof(wanted));
        shows(liquid_arithmetic(SUBTRACT, cents(a), cents(b)), a - b ? wanted : "0.0");
        int64_t c = a % 100000, d = b % 100000;
        exact(c * d, 4, wanted, sizeof(wanted));
        shows(liquid_arithmetic(MULTIPLY, cents(c), cents(d)), c && d ? wanted : "0.0");
        if (b == 0)
            continue;
        int64_t rest = a % b;
        rest += rest && (rest < 0) != (b < 0) ? b : 0;
        exact(rest, 2, wanted, sizeof(wanted));
        shows(liquid_arithmetic(MODULO, cents(a), cents(b)), rest ? wanted : "0.0");
        double quotient = liquid_arithmetic(DIVIDE, cents(a), cents(b)).number;
        assert_true(fabs(quotient - (double)a / (double)b) <= fabs(quotient) * 1e-15);
    }
}

static int64_t floor_div_wide(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

static void rounding(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (unsigned round = 0; round < 20000; round++) {
        int64_t a = random_amount(&seed);
        int64_t size = a < 0 ? -a : a;
        int64_t nearest = (size + 50) / 100 * (a < 0 ? -1 : 1);
        struct value down = liquid_round(cents(a), ROUND_DOWN, 0);
        struct value up = liquid_round(cents(a), ROUND_UP, 0);
        struct value near = liquid_round(cents(a), ROUND_NEAREST, 0);
        assert_int_equal(down.type, VALUE_INT);
        assert_int_equal(down.integer, floor_div_wide(a, 100));
        assert_int_equal(up.integer, -floor_div_wide(-a, 100));
        assert_int_equal(near.integer, nearest);
        char wanted[64];
        exact((size + 5) / 10 * (a < 0 ? -1 : 1), 1, wanted, sizeof(wanted));
        shows(liquid_round(cents(a), ROUND_NEAREST, 1), size + 5 >= 10 ? wanted : "0.0");
    }
    shows(liquid_round(value_int(1250), ROUND_NEAREST, -2), "1300");
    shows(liquid_round(value_double(1e300), ROUND_NEAREST, 0), "1.0e+300");
    shows(liquid_round(value_double(1e-300), ROUND_UP, 0), "1");
    shows(liquid_round(value_double(-1e-300), ROUND_DOWN, 0), "-1");
    shows(liquid_round(value_double(2.5), ROUND_NEAREST, INT64_MAX), "2.5");
    shows(liquid_round(value_int(5), ROUND_NEAREST, INT64_MIN), "0");
}

/* Integers are exact as long as they fit, and become doubles when they do not. */
static void integers(void **state)
{
    static const int64_t edges[] = {0,  1,         -1,        2,         -2,           3, 10, 97,
                                    -7, INT32_MAX, INT64_MAX, INT64_MIN, INT64_MAX - 1};
    (void)state;
    for (size_t i = 0; i < array_count(edges); i++)
        for (size_t j = 0; j < array_count(edges); j++) {
            wide a = edges[i], b = edges[j];
            wide results[] = {a + b, a - b, a * b};
            for (enum arithmetic op = ADD; op <= MULTIPLY; op++) {
                struct value x = liquid_arithmetic(op, value_int(edges[i]), value_int(edges[j]));
                bool fits = results[op] >= INT64_MIN && results[op] <= INT64_MAX;
                assert_int_equal(x.type, fits ? VALUE_INT : VALUE_DOUBLE);
                if (fits)
                    assert_int_equal(x.integer, (int64_t)results[op]);
                else
                    assert_true(fabs(x.number / (double)results[op] - 1) < 1e-15);
            }
            if (b == 0)
                continue;
            struct value rest = liquid_arithmetic(MODULO, value_int(edges[i]), value_int(edges[j]));
            struct value whole =
                liquid_arithmetic(DIVIDE, value_int(edges[i]), value_int(edges[j]));
            assert_int_equal(rest.type, VALUE_INT);
            if (whole.type == VALUE_INT)
                assert_true((wide)whole.integer * b + rest.integer == a);
            assert_true(rest.integer == 0 || (rest.integer < 0) == (b < 0));
        }
}

/* Nothing that is read as a double breaks the arithmetic: any bits, any operation. */
static void any_doubles(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (unsigned round = 0; round < 40000; round++) {
        double x[2];
        for (int i = 0; i < 2; i++) {
            uint64_t bits = next_random(&seed) << 11 ^ next_random(&seed);
            memcpy(&x[i], &bits, sizeof(bits));
            x[i] = isfinite(x[i]) ? x[i] : 1.5;
        }
        char text[NUMBER_TEXT_BYTES];
        double back = 0;
        size_t len = liquid_print_number(value_double(x[0]), text);
        assert_true(str_to_double((struct str){text, len}, &back));
        assert_true(back == x[0]);
        for (enum arithmetic op = ADD; op <= MODULO; op++) {
            if (op >= DIVIDE && x[1] == 0)
                continue;
            struct value y = liquid_arithmetic(op, value_double(x[0]), value_double(x[1]));
            assert_true(y.type == VALUE_DOUBLE && isfinite(y.number));
        }
        (void)liquid_round(value_double(x[0]), ROUND_UP, (int64_t)(round % 70) - 35);
    }
}

static void from_text(void **state)
{
    static const struct {
        const char *text;
        const char *shown;
    } rows[] = {
        {"", "0"},       {"12", "12"},  {" 12 ", "12"},
        {"12abc", "12"}, {"-3", "-3"},  {"abc", "0"},
        {"1.5", "1.5"},  {"1.", "1"},   {".5", "0"},
        {"1.5x", "1"},   {"1e3", "1"},  {"-0.25", "-0.25"},
        {"+7", "7"},     {"0x10", "0"}, {"99999999999999999999", "9223372036854775807"},
    };
    (void)state;
    for (size_t i = 0; i < array_count(rows); i++)
        shows(liquid_to_number(value_text(str_of(rows[i].text))), rows[i].shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("amounts of money are calculated as on paper", money),
        TEST("halves are rounded away from zero", rounding),
        TEST("integers are exact as long as they fit", integers),
        TEST("no double breaks the arithmetic", any_doubles),
        TEST("texts are numbers as far as they begin like one", from_text),
    };
    return cmocka_run_group_tests_name("liquid/number", tests, NULL, NULL);
}
