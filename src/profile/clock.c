/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/clock.h"

#include "profile/traits.h"

/* The zones in which they may live; how many. */
static size_t zones_of(struct person *who, const struct zone **zones)
{
    const struct plan *plan = who->plan;
    if (plan->unknown_zone_count > 0) {
        struct value said = traits_get(who, NAME_TIMEZONE, NULL);
        if (said.type != VALUE_TEXT || zoneset_find(plan->zones, said.text) == ZONE_NONE) {
            for (uint32_t i = 0; i < plan->unknown_zone_count; i++)
                zones[i] = zoneset_zone(plan->zones, plan->unknown_zones[i]);
            return plan->unknown_zone_count;
        }
    }
    zones[0] = person_zone(who);
    return 1;
}

struct window_answer clock_quiet(struct person *who, const struct window *window, int64_t at_ms)
{
    const struct zone *zones[PLAN_UNKNOWN_ZONES_MAX];
    size_t count = zones_of(who, zones);
    return window_ask_any(window, zones, count, at_ms);
}

struct window_answer clock_open(struct person *who, const struct window *window, int64_t at_ms)
{
    const struct zone *zones[PLAN_UNKNOWN_ZONES_MAX];
    size_t count = zones_of(who, zones);
    return window_ask_every(window, zones, count, at_ms);
}

/* Inside while any is: until the last of those that are, or the first moment at which one may be. */
static struct window_answer either(struct window_answer a, struct window_answer b)
{
    if (a.is_inside != b.is_inside)
        return a.is_inside ? a : b;
    a.until_ms = a.is_inside ? max_of(a.until_ms, b.until_ms) : min_of(a.until_ms, b.until_ms);
    return a;
}

struct window_answer clock_on_calendar(struct person *who, const struct plan_calendar *calendar,
                                       int64_t at_ms)
{
    const struct zone *zones[PLAN_UNKNOWN_ZONES_MAX];
    size_t count = zones_of(who, zones);
    struct window_answer out = {false, FOREVER_MS};
    struct value region = value_none();
    if (calendar->region != NAME_NONE)
        region = traits_get(who, calendar->region, NULL);
    bool is_known = region.type == VALUE_TEXT && region.text.len > 0;
    for (uint32_t i = 0; i < calendar->part_count; i++) {
        const struct plan_calendar_part *part = &calendar->parts[i];
        if (part->region.len > 0 && is_known && !str_equal_nocase(part->region, region.text))
            continue;
        for (size_t k = 0; k < count; k++)
            out = either(out, calendar_ask(part->days, part->day_count, zones[k], at_ms));
    }
    return out;
}
