/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pace.h"

#define NS_PER_MS  INT64_C(1000000)
#define SLEW_SHARE 20 /* a difference is made up for by at most 1/20 of the time that passes */

static int64_t offset_of(int64_t utc_ms, int64_t monotonic_ns)
{
    return utc_ms * NS_PER_MS - monotonic_ns;
}

void pace_init(struct pace *p, int64_t utc_ms, int64_t monotonic_ns, int64_t least_ms)
{
    *p = (struct pace){.checked_ns = monotonic_ns};
    atomic_store(&p->offset_ns, offset_of(max_of(utc_ms, least_ms), monotonic_ns));
    atomic_store(&p->newest_ms, INT64_MIN);
    p->has_jumped = least_ms > utc_ms && least_ms - utc_ms > PACE_JUMP_MS;
}

int64_t pace_now_ms(struct pace *p, int64_t monotonic_ns)
{
    int64_t now_ms = (atomic_load(&p->offset_ns) + monotonic_ns) / NS_PER_MS;
    int64_t newest_ms = atomic_load(&p->newest_ms);
    while (now_ms > newest_ms)
        if (atomic_compare_exchange_weak(&p->newest_ms, &newest_ms, now_ms))
            return now_ms;
    return newest_ms;
}

int64_t pace_difference_ms(const struct pace *p, int64_t utc_ms, int64_t monotonic_ns)
{
    return utc_ms - (atomic_load(&p->offset_ns) + monotonic_ns) / NS_PER_MS;
}

bool pace_check(struct pace *p, int64_t utc_ms, int64_t monotonic_ns)
{
    int64_t passed_ns = max_of(monotonic_ns - p->checked_ns, 0);
    int64_t difference_ms = pace_difference_ms(p, utc_ms, monotonic_ns);
    p->checked_ns = monotonic_ns;
    p->has_jumped = difference_ms > PACE_JUMP_MS || difference_ms < -PACE_JUMP_MS;
    if (p->has_jumped)
        return false;
    int64_t most_ns = passed_ns / SLEW_SHARE;
    int64_t step_ns = difference_ms * NS_PER_MS;
    step_ns = min_of(max_of(step_ns, -most_ns), most_ns);
    atomic_fetch_add(&p->offset_ns, step_ns);
    return true;
}

void pace_adopt(struct pace *p, int64_t utc_ms, int64_t monotonic_ns)
{
    p->checked_ns = monotonic_ns;
    p->has_jumped = false;
    atomic_store(&p->offset_ns, offset_of(utc_ms, monotonic_ns));
}
