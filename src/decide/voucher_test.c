/* Codes against a plain model: who holds which, what is free, across snapshots. */
#include "decide/voucher.h"

#include "test.h"

#include <stdio.h>

#define CODES     12
#define DECISIONS 20

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

/* What voucher_next() says, put into an empty table. */
static void restore(struct vouchers *v)
{
    struct vouchers copy;
    struct id128 code;
    uint64_t holder;
    vouchers_init(&copy);
    for (uint32_t place = 0; voucher_next(v, &place, &code, &holder);)
        voucher_restore(&copy, code, holder);
    for (uint32_t i = 0; i < v->stock_count; i++)
        for (uint32_t k = 0; k < v->stocks[i].count; k++)
            voucher_stock_add(&copy, v->stocks[i].pool, v->stocks[i].codes[k]);
    vouchers_fini(v);
    *v = copy;
}

static void codes_are_given_once(void **state)
{
    (void)state;
    char text[CODES][8];
    struct str list[CODES];
    for (uint32_t i = 0; i < CODES; i++) {
        int length = snprintf(text[i], sizeof(text[i]), "C%u", i);
        list[i] = (struct str){text[i], (size_t)length};
    }
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct plan_voucher pool = {.name = 70, .code_count = CODES, .codes = list};
        struct vouchers v;
        uint64_t owner[CODES] = {0}; /* UINT64_MAX: gone */
        uint64_t chance = seed;
        vouchers_init(&v);
        for (uint32_t step = 0; step < 200; step++) {
            uint64_t decision = 1 + next(&chance) % DECISIONS;
            uint32_t held = CODES, first = CODES, is_free = 0;
            for (uint32_t i = CODES; i-- > 0;) {
                held = owner[i] == decision ? i : held;
                first = owner[i] == 0 ? i : first;
                is_free += owner[i] == 0;
            }
            assert_int_equal(voucher_free(&v, &pool), is_free);
            if (next(&chance) % 3 != 0) {
                struct str code;
                uint32_t wanted = held < CODES ? held : first;
                bool has_code = voucher_look(&v, &pool, decision, &code);
                assert_int_equal(has_code, wanted < CODES);
                if (!has_code)
                    continue;
                assert_true(str_equal(code, list[wanted]));
                voucher_take(&v, &pool, decision, code);
                owner[wanted] = decision;
            } else {
                bool is_sent = next(&chance) % 4 == 0;
                voucher_settle(&v, pool.name, decision, is_sent);
                if (held < CODES)
                    owner[held] = is_sent ? UINT64_MAX : 0;
            }
            if (next(&chance) % 16 == 0)
                restore(&v);
        }
        vouchers_fini(&v);
    }
}

static void another_list_repeats_no_code(void **state)
{
    (void)state;
    const struct str old[] = {{"A", 1}, {"B", 1}}, fresh[] = {{"C", 1}, {"B", 1}, {"A", 1}};
    struct plan_voucher before = {.name = 70, .code_count = 2, .codes = old};
    struct plan_voucher after = {.name = 70, .code_count = 3, .codes = fresh};
    struct plan_voucher other = {.name = 71, .code_count = 2, .codes = old};
    struct vouchers v;
    struct str code;
    vouchers_init(&v);
    for (uint64_t decision = 1; decision <= 2; decision++) {
        assert_true(voucher_look(&v, &before, decision, &code));
        voucher_take(&v, &before, decision, code);
    }
    voucher_settle(&v, 70, 1, true); /* A is gone, B is held by 2 */
    assert_true(voucher_look(&v, &after, 3, &code));
    assert_true(str_is(code, "C"));
    voucher_take(&v, &after, 3, code);
    assert_false(voucher_look(&v, &after, 4, &code));
    assert_true(voucher_look(&v, &after, 2, &code));
    assert_true(str_is(code, "B"));
    assert_true(voucher_look(&v, &other, 4, &code)); /* another pool's A is another code */
    assert_true(str_is(code, "A"));
    vouchers_fini(&v);
}

/* Codes of a file and loaded ones, some of them twice, against two plain lists. */
static void loaded_codes_come_behind_the_files(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        char text[CODES][8];
        struct str list[CODES];
        for (uint32_t i = 0; i < CODES; i++)
            list[i] = (struct str){text[i], (size_t)snprintf(text[i], sizeof(text[i]), "C%u", i)};
        struct plan_voucher pool = {.name = 70, .code_count = 4, .codes = list};
        uint32_t order[CODES] = {0, 1, 2, 3}, known = 4; /* in which they are given */
        uint64_t owner[CODES] = {0}, chance = seed;
        struct vouchers v;
        struct str code;
        vouchers_init(&v);
        for (uint32_t step = 0; step < 120; step++) {
            uint64_t decision = 1 + next(&chance) % DECISIONS;
            uint32_t held = CODES, first = CODES;
            for (uint32_t i = known; i-- > 0;) {
                held = owner[order[i]] == decision ? order[i] : held;
                first = owner[order[i]] == 0 ? order[i] : first;
            }
            uint64_t what = next(&chance) % 8;
            if (what == 0) {
                char part[64];
                uint32_t a = (uint32_t)(next(&chance) % CODES),
                         b = (uint32_t)(next(&chance) % CODES);
                int length = snprintf(part, sizeof(part), "C%u\n\nC%u\nC%u\n", a, b, a);
                uint32_t fresh = 0, two[2] = {a, b};
                for (uint32_t i = 0; i < 2; i++) {
                    bool is_new = true;
                    for (uint32_t k = 0; k < known; k++)
                        is_new &= order[k] != two[i];
                    if (is_new)
                        order[known++] = two[i];
                    fresh += is_new;
                }
                struct str lines = {part, (size_t)length};
                assert_int_equal(vouchers_load(&v, 70, &pool, lines), fresh);
                assert_int_equal(vouchers_load(&v, 70, &pool, lines), 0);
            } else if (what < 5) {
                uint32_t wanted = held < CODES ? held : first;
                bool has_code = voucher_look(&v, &pool, decision, &code);
                assert_int_equal(has_code, wanted < CODES);
                if (!has_code)
                    continue;
                assert_true(str_equal(code, list[wanted]));
                voucher_take(&v, &pool, decision, code);
                owner[wanted] = decision;
            } else if (what < 7) {
                bool is_sent = next(&chance) % 4 == 0;
                voucher_settle(&v, 70, decision, is_sent);
                if (held < CODES)
                    owner[held] = is_sent ? UINT64_MAX : 0;
            } else {
                restore(&v);
            }
            struct voucher_counts counts = voucher_count(&v, &pool);
            uint32_t is_free = 0, is_gone = 0;
            for (uint32_t i = 0; i < known; i++) {
                is_free += owner[order[i]] == 0;
                is_gone += owner[order[i]] == UINT64_MAX;
            }
            assert_int_equal(counts.free, is_free);
            assert_int_equal(counts.gone, is_gone);
            assert_int_equal(counts.held, known - is_free - is_gone);
            assert_int_equal(counts.loaded, known - 4);
        }
        vouchers_fini(&v);
    }
}

static void what_was_given_out_is_not_loaded(void **state)
{
    (void)state;
    const struct str old[] = {{"A", 1}};
    struct plan_voucher before = {.name = 70, .code_count = 1, .codes = old};
    struct plan_voucher after = {.name = 70};
    struct vouchers v;
    struct str code;
    vouchers_init(&v);
    assert_true(voucher_look(&v, &before, 1, &code));
    voucher_take(&v, &before, 1, code);
    voucher_settle(&v, 70, 1, true);
    assert_int_equal(vouchers_load(&v, 70, &after, STR("A\nB\nA,C\n")), 1);
    assert_true(voucher_look(&v, &after, 2, &code));
    assert_true(str_is(code, "B"));
    assert_int_equal(vouchers_load(&v, 71, NULL, STR("A\nB\n")), 2); /* another pool */
    vouchers_fini(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"codes are given once, taken back and restored as in a plain list", codes_are_given_once,
         NULL, NULL, NULL},
        {"another list of codes repeats none", another_list_repeats_no_code, NULL, NULL, NULL},
        {"loaded codes come behind the file's, each once", loaded_codes_come_behind_the_files, NULL,
         NULL, NULL},
        {"what was given out is not loaded again", what_was_given_out_is_not_loaded, NULL, NULL,
         NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
