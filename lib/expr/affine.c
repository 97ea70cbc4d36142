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

struct value affine_add(const struct value *a, const struct value *b, int sign)
{
    if (!is_time(a) || !is_time(b))
        return no_such_overload();
    bool is_two_times = a->type == VALUE_TIME && b->type == VALUE_TIME;
    if ((is_two_times && sign > 0) || (sign < 0 && b->type == VALUE_TIME && !is_two_times))
        return no_such_overload();
    int slope = slope_of(a) + sign * slope_of(b);
    __int128 ns = value_ns(a) + sign * value_ns(b);
    bool is_point = !is_two_times && (a->type == VALUE_TIME || b->type == VALUE_TIME);
    if (slope == 0)
        return is_point ? value_time_ns(ns) : value_duration_ns(ns);
    /* A value on the move may pass through what a fixed one must not be, as long as it fits. */
    if (slope < INT8_MIN || slope > INT8_MAX || ns / NS_PER_MS > INT64_MAX / 4 ||
        ns / NS_PER_MS < INT64_MIN / 4)
        return ERROR("range: this time is too far away");
    struct value v = is_point ? value_time(0) : value_duration(0);
    split_ns(ns, &v.integer, &v.sub_ns);
    v.pad[0] = (uint8_t)(int8_t)slope;
    return v;
}

static int sign_of(__int128 x)
{
    return 1 + (x > 0) - (x < 0);
}

static int64_t clip_ms(__int128 ms)
{
    return ms >= FOREVER_MS ? FOREVER_MS : (int64_t)ms;
}

int affine_compare(const struct value *a, const struct value *b, int mask, int64_t *wait_ms)
{
    *wait_ms = FOREVER_MS;
    if (a->type != b->type || !is_time(a)) {
        bool is_equality = (mask & 1) == (mask >> 2 & 1);
        return is_equality && a->type != b->type ? mask & 1 : -1;
    }
    __int128 apart = value_ns(a) - value_ns(b);
    __int128 step = (__int128)(slope_of(a) - slope_of(b)) * NS_PER_MS;
    int is_true = mask >> sign_of(apart) & 1;
    if (step == 0)
        return is_true;
    /* Mirrored, so that the difference always grows. */
    bool is_falling = step < 0;
    __int128 x = is_falling ? -apart : apart;
    __int128 up = is_falling ? -step : step;
    /* It reaches zero or passes it after `reach` ms, and is above zero after `above` ms. */
    __int128 reach = x >= 0 ? 0 : (-x + up - 1) / up;
    __int128 above = x > 0 ? 0 : -x / up + 1;
    __int128 turns[2] = {reach, above};
    for (int i = 0; i < 2; i++) {
        if (turns[i] <= 0)
            continue;
        if ((mask >> sign_of(apart + step * turns[i]) & 1) != is_true) {
            *wait_ms = clip_ms(turns[i]);
            break;
        }
    }
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
