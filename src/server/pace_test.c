/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pace.h"

#include "test.h"

#define START_MS INT64_C(1772452800000)
#define MS_NS    INT64_C(1000000)

static int64_t seconds_ns(int64_t s)
{
    return s * 1000 * MS_NS;
}

static void goes_on(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, START_MS, 5 * MS_NS, INT64_MIN);
    assert_int_equal(pace_now_ms(&p, 5 * MS_NS), START_MS);
    assert_int_equal(pace_now_ms(&p, 1005 * MS_NS), START_MS + 1000);
}

static void never_back(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, START_MS, 0, INT64_MIN);
    assert_int_equal(pace_now_ms(&p, 900 * MS_NS), START_MS + 900);
    assert_int_equal(pace_now_ms(&p, 800 * MS_NS), START_MS + 900);
    assert_int_equal(pace_now_ms(&p, 901 * MS_NS), START_MS + 901);
}

static void log_ahead(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, START_MS, 0, START_MS + 400);
    assert_int_equal(pace_now_ms(&p, 0), START_MS + 400);
    assert_false(p.has_jumped);
    pace_init(&p, START_MS, 0, START_MS + PACE_JUMP_MS + 1);
    assert_true(p.has_jumped);
}

static void slews(void **state)
{
    (void)state;
    struct pace p;
    for (int sign = -1; sign <= 1; sign += 2) {
        pace_init(&p, START_MS, 0, INT64_MIN);
        int64_t ahead_ms = sign * INT64_C(30000); /* the real clock's error against ours */
        int64_t last_ms = pace_now_ms(&p, 0);
        for (int64_t s = 1; s <= 1000; s++) {
            int64_t utc_ms = START_MS + s * 1000 + ahead_ms;
            int64_t before_ms = pace_difference_ms(&p, utc_ms, seconds_ns(s));
            assert_true(pace_check(&p, utc_ms, seconds_ns(s)));
            int64_t after_ms = pace_difference_ms(&p, utc_ms, seconds_ns(s));
            assert_true(after_ms * sign <= before_ms * sign);
            assert_true((before_ms - after_ms) * sign <= 51);
            int64_t now_ms = pace_now_ms(&p, seconds_ns(s));
            assert_true(now_ms - last_ms >= 949 && now_ms - last_ms <= 1051);
            last_ms = now_ms;
        }
        assert_int_equal(pace_difference_ms(&p, START_MS + 1000000 + ahead_ms, seconds_ns(1000)),
                         0);
    }
}

static void jumps(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, START_MS, 0, INT64_MIN);
    int64_t far_ms = START_MS + DAY_MS;
    assert_false(pace_check(&p, far_ms + 1000, seconds_ns(1)));
    assert_int_equal(pace_now_ms(&p, seconds_ns(1)), START_MS + 1000);
    assert_false(pace_check(&p, far_ms + 2000, seconds_ns(2)));
    pace_adopt(&p, far_ms + 3000, seconds_ns(3));
    assert_int_equal(pace_now_ms(&p, seconds_ns(3)), far_ms + 3000);
    assert_true(pace_check(&p, far_ms + 4000, seconds_ns(4)));
}

static void stands_still(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, START_MS, 0, INT64_MIN);
    assert_int_equal(pace_now_ms(&p, seconds_ns(10)), START_MS + 10000);
    assert_false(pace_check(&p, START_MS - HOUR_MS, seconds_ns(10)));
    pace_adopt(&p, START_MS - HOUR_MS, seconds_ns(10));
    assert_int_equal(pace_now_ms(&p, seconds_ns(20)), START_MS + 10000);
    int64_t caught_up_s = 10 + 3600 + 10;
    assert_int_equal(pace_now_ms(&p, seconds_ns(caught_up_s)), START_MS + 10000);
    assert_int_equal(pace_now_ms(&p, seconds_ns(caught_up_s + 1)), START_MS + 11000);
}

static void comes_right(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, START_MS, 0, INT64_MIN);
    assert_false(pace_check(&p, START_MS + HOUR_MS, seconds_ns(1)));
    assert_true(p.has_jumped);
    assert_true(pace_check(&p, START_MS + 2000, seconds_ns(2)));
    assert_false(p.has_jumped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("time goes on by the monotonic clock", goes_on),
        TEST("time never goes back, even where readings come out of order", never_back),
        TEST("a log that ends after the clock's time sets the beginning", log_ahead),
        TEST("a small difference is made up for by a twentieth of the time at most", slews),
        TEST("a jump is said, and changes nothing until it is adopted", jumps),
        TEST("a clock that was set back and adopted lets time stand still", stands_still),
        TEST("a clock that comes right again by itself needs nobody", comes_right),
    };
    return cmocka_run_group_tests_name("server/pace", tests, NULL, NULL);
}
