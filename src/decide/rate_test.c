/* A provider's rate against a plain count of what went. */
#include "decide/pool.h"

#include "test.h"

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

#define SENDS 600

/* No stretch of `per` has more than `count`, and whoever always asks when told gets nearly as many. */
static void no_stretch_has_more(void **state)
{
    static const struct plan_pace rates[] = {
        {1, SECOND_MS},  {1, MINUTE_MS},   {2, MINUTE_MS},    {7, SECOND_MS},
        {50, SECOND_MS}, {100, MINUTE_MS}, {100000, HOUR_MS}, {3, DAY_MS},
    };
    (void)state;
    for (size_t r = 0; r < array_count(rates); r++) {
        for (uint64_t seed = 1; seed <= 8; seed++) {
            struct pool pool = {0};
            int64_t times[SENDS], now_ms = 1000000;
            uint64_t chance = seed;
            for (uint32_t i = 0; i < SENDS; i++) {
                int64_t free_ms = pool_rate_ms(&pool, rates[r]);
                now_ms = max_of(now_ms, free_ms);
                if (seed > 1 && next(&chance) % 8 == 0)
                    now_ms += (int64_t)(next(&chance) % (uint64_t)(2 * rates[r].per_ms));
                times[i] = now_ms;
                pool_rate_take(&pool, rates[r], now_ms);
                uint32_t inside = 0;
                for (uint32_t k = i + 1; k-- > 0 && times[k] > now_ms - rates[r].per_ms;)
                    inside++;
                assert_true(inside <= rates[r].count);
            }
            double share = (double)(SENDS - 1) * (double)rates[r].per_ms /
                           ((double)(times[SENDS - 1] - times[0] + 1) * rates[r].count);
            if (seed == 1) /* half a second's worth may be had at once; the rest comes slower */
                assert_true(share > 0.45);
        }
    }
}

static void without_a_rate_all_may_go(void **state)
{
    (void)state;
    struct pool pool = {0};
    pool_rate_take(&pool, (struct plan_pace){0}, 5);
    assert_true(pool_rate_ms(&pool, (struct plan_pace){0}) < 0);
    assert_int_equal(pool.busy_us, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"no stretch of the rate's time has more than the rate", no_stretch_has_more, NULL, NULL,
         NULL},
        {"without a rate all may go", without_a_rate_all_may_go, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
