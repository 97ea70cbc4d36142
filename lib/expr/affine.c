/* affine.c - times that move with now, and until when what is said about them holds.
 *
 * An affine value is what it is now, with a slope in milliseconds per millisecond of now: 1 for
 * `now` and `now - x`, -1 for `x - now`. The difference of two affine values is a straight line, so
 * the moment at which a comparison turns is solved, not searched:
 *
 *     difference
 *         |  \            a < b        at every whole millisecond of now; the first at which the
 *       0 +---\------     until here   comparison answers otherwise is its `until`, so a moment
 *         |    \                       between two milliseconds is rounded up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/expr_int.h"
#include "when/civil.h"

#define NS_PER_MS 1000000

__int128 value_ns(const struct value *v)
{
    return (__int128)v->integer * NS_PER_MS + v->sub_ns;
}

static void split_ns(__int128 ns, int64_t *ms, uint32_t *sub_ns)
{
    __int128 whole = ns / NS_PER_MS;
    int64_t rest = (int64_t)(ns % NS_PER_MS);
    if (rest < 0) {
        rest += NS_PER_MS;
        whole--;
    }
    *ms = (int64_t)whole;
    *sub_ns = (uint32_t)rest;
}

struct value value_time_ns(__int128 ns)
{
    struct value v = value_time(0);
    if (ns < (__int128)TIMESTAMP_MIN_MS * NS_PER_MS ||
        ns >= ((__int128)TIMESTAMP_MAX_MS + 1) * NS_PER_MS)
        return ERROR("range: a timestamp lies in the years 1 to 9999");
    split_ns(ns, &v.integer, &v.sub_ns);
    return v;
}

struct value value_duration_ns(__int128 ns)
{
    struct value v = value_duration(0);
    if (ns < INT64_MIN || ns > INT64_MAX)
        return ERROR("range: a duration is shorter than 292 years");
    split_ns(ns, &v.integer, &v.sub_ns);
    return v;
}

static bool is_time(const struct value *v)
{
    return v->type == VALUE_TIME || v->type == VALUE_DURATION;
}

/* a + sign * b in whole milliseconds and the rest; false if it does not fit. */
static bool add_parts(const struct value *a, const struct value *b, int sign, int64_t *ms,
                      uint32_t *sub_ns)
{
    int64_t rest = (int64_t)a->sub_ns + sign * (int64_t)b->sub_ns;
    int64_t carry = rest < 0 ? -1 : rest >= NS_PER_MS;
    *sub_ns = (uint32_t)(rest - carry * NS_PER_MS);
    bool is_over = sign > 0 ? __builtin_add_overflow(a->integer, b->integer, ms)
                            : __builtin_sub_overflow(a->integer, b->integer, ms);
    return !is_over && !__builtin_add_overflow(*ms, carry, ms);
}

/* The type of a + sign * b: VALUE_TIME, VALUE_DURATION, or VALUE_ERROR. */
static uint8_t sum_type(const struct value *a, const struct value *b, int sign)
{
    bool is_time_a = a->type == VALUE_TIME, is_time_b = b->type == VALUE_TIME;
    if (!is_time(a) || !is_time(b) || (is_time_b && (sign < 0) != is_time_a))
        return VALUE_ERROR;
    return is_time_a != is_time_b ? VALUE_TIME : VALUE_DURATION;
}

struct value time_sum(const struct value *a, const struct value *b, int sign)
{
    struct value v = {.type = sum_type(a, b, sign)};
    if (v.type == VALUE_ERROR)
        return no_such_overload();
    bool fits = add_parts(a, b, sign, &v.integer, &v.sub_ns);
    if (v.type == VALUE_TIME)
        return fits && v.integer >= TIMESTAMP_MIN_MS && v.integer <= TIMESTAMP_MAX_MS
                   ? v
                   : ERROR("range: a timestamp lies in the years 1 to 9999");
    if (fits && v.integer > INT64_MIN / NS_PER_MS && v.integer < INT64_MAX / NS_PER_MS)
        return v;
    return value_duration_ns(value_ns(a) + sign * value_ns(b));
}

struct value affine_add(const struct value *a, const struct value *b, int sign)
{
    struct value v = {.type = sum_type(a, b, sign)};
    if (v.type == VALUE_ERROR)
        return no_such_overload();
    int slope = slope_of(a) + sign * slope_of(b);
    if (slope == 0)
        return time_sum(a, b, sign);
    /* A value on the move may pass through what a fixed one must not be, as long as it fits. */
    if (slope < INT8_MIN || slope > INT8_MAX || !add_parts(a, b, sign, &v.integer, &v.sub_ns) ||
        v.integer > INT64_MAX / 4 || v.integer < INT64_MIN / 4)
        return ERROR("range: this time is too far away");
    v.pad[0] = (uint8_t)(int8_t)slope;
    return v;
}

static int64_t clip_ms(__int128 ms)
{
    return ms >= FOREVER_MS ? FOREVER_MS : (int64_t)ms;
}

/* A difference that grows by `up` ms per ms: after how many ms it reaches zero or passes it, and
 * after how many it is above zero; 0 where it is already. */
static void solve(__int128 ns, __int128 up, int64_t *reach_ms, int64_t *above_ms)
{
    __int128 step = up * NS_PER_MS;
    *reach_ms = ns >= 0 ? 0 : clip_ms((-ns + step - 1) / step);
    *above_ms = ns > 0 ? 0 : clip_ms(-ns / step + 1);
}

/* The same for up = 1, without wide divisions. */
static void solve_plain(int64_t ms, uint32_t sub_ns, int64_t *reach_ms, int64_t *above_ms)
{
    *reach_ms = ms >= 0 ? 0 : -ms;
    *above_ms = ms > 0 || (ms == 0 && sub_ns > 0) ? 0 : -ms + (sub_ns == 0);
}

static int order_of(int64_t ms, uint32_t sub_ns)
{
    return ms < 0 ? 0 : 1 + (ms > 0 || sub_ns > 0);
}

int affine_compare(const struct value *a, const struct value *b, int mask, int64_t *wait_ms)
{
    *wait_ms = FOREVER_MS;
    if (a->type != b->type || !is_time(a)) {
        bool is_equality = (mask & 1) == (mask >> 2 & 1);
        return is_equality && a->type != b->type ? mask & 1 : -1;
    }
    int step = slope_of(a) - slope_of(b);
    /* Mirrored, so that the difference always grows. */
    bool is_falling = step < 0;
    struct value apart = {0};
    bool fits = is_falling ? add_parts(b, a, -1, &apart.integer, &apart.sub_ns)
                           : add_parts(a, b, -1, &apart.integer, &apart.sub_ns);
    if (!fits || apart.integer > INT64_MAX / 4 || apart.integer < INT64_MIN / 4)
        return -1;
    int mirrored = is_falling ? (mask & 10) | (mask & 1) << 2 | (mask >> 2 & 1) : mask;
    int is_true = mirrored >> order_of(apart.integer, apart.sub_ns) & 1;
    if (step == 0)
        return is_true;
    int64_t reach_ms, above_ms;
    if (step == 1 || step == -1)
        solve_plain(apart.integer, apart.sub_ns, &reach_ms, &above_ms);
    else
        solve(value_ns(&apart), is_falling ? -step : step, &reach_ms, &above_ms);
    /* At `reach_ms` it is zero if `above_ms` comes later, else above zero. */
    if (reach_ms > 0 && (mirrored >> (above_ms > reach_ms ? 1 : 2) & 1) != is_true)
        *wait_ms = reach_ms;
    else if (above_ms > 0 && (mirrored >> 2 & 1) != is_true)
        *wait_ms = above_ms;
    return is_true;
}

void machine_wait(struct machine *m, int64_t wait_ms)
{
    must(wait_ms >= 1);
    int64_t at_ms;
    if (__builtin_add_overflow(m->host->now_ms, wait_ms, &at_ms))
        return;
    m->until_ms = min_of(m->until_ms, at_ms);
}
