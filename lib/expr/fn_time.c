/* fn_time.c - calendar fields, of times that stand still and of times that move with now.
 *
 * A field of a moving time is a step: it holds until the time leaves the year, day, hour ... that it
 * is in. Which way it moves is its slope. Time is counted in nanoseconds here, on the wall of the
 * zone: wall = UTC + offset. The wall's own changes (summer time) end a step too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/fn.h"
#include "when/civil.h"

#define NS_PER_MS INT64_C(1000000)

enum field { YEAR, MONTH, DAY, DAY_OF_MONTH, DAY_OF_WEEK, DAY_OF_YEAR, HOUR, MINUTE, SECOND, MS };

bool zone_fixed(struct str zone, int64_t *offset_ms)
{
    int32_t offset;
    if (zone.len == 0 || str_is(zone, "UTC") || str_is(zone, "Z") || str_is(zone, "Etc/UTC")) {
        *offset_ms = 0;
        return true;
    }
    if (offset_parse(zone, &offset)) {
        *offset_ms = offset;
        return true;
    }
    /* CEL also takes "02:00". */
    char signed_zone[8] = "+";
    if (zone.len == 5 && zone.at[2] == ':') {
        memcpy(signed_zone + 1, zone.at, 5);
        if (offset_parse((struct str){signed_zone, 6}, &offset)) {
            *offset_ms = offset;
            return true;
        }
    }
    return false;
}

struct wall {
    int64_t offset_ms;
    int64_t from_ms, until_ms; /* in which the offset holds */
};

static bool wall_at(struct machine *m, struct str zone, int64_t at_ms, struct wall *out)
{
    *out = (struct wall){0, INT64_MIN, FOREVER_MS};
    if (zone_fixed(zone, &out->offset_ms))
        return true;
    return m->host->zone != NULL && m->host->zone(m->host->self, zone, at_ms, &out->offset_ms,
                                                  &out->from_ms, &out->until_ms);
}

/* The stretch [*from, *until) of the wall, in ms, in which the field does not change. */
static void unit_around(enum field field, int64_t wall_ms, int64_t *from, int64_t *until)
{
    static const int64_t lengths[] = {
        [DAY] = DAY_MS,   [DAY_OF_MONTH] = DAY_MS, [DAY_OF_WEEK] = DAY_MS, [DAY_OF_YEAR] = DAY_MS,
        [HOUR] = HOUR_MS, [MINUTE] = MINUTE_MS,    [SECOND] = SECOND_MS,   [MS] = 1,
    };
    if (field == YEAR || field == MONTH) {
        struct date date = civil_date(floor_div(wall_ms, DAY_MS));
        date.day = 1;
        if (field == YEAR)
            date.month = 1;
        *from = civil_day(date) * DAY_MS;
        *until = civil_day(civil_add_months(date, field == YEAR ? 12 : 1)) * DAY_MS;
        return;
    }
    *from = floor_div(wall_ms, lengths[field]) * lengths[field];
    *until = *from + lengths[field];
}

static int64_t field_of(enum field field, int64_t wall_ms)
{
    int64_t day = floor_div(wall_ms, DAY_MS);
    int64_t ms = wall_ms - day * DAY_MS;
    switch (field) {
    case YEAR: return civil_date(day).year;
    case MONTH: return civil_date(day).month - 1;
    case DAY: return civil_date(day).day;
    case DAY_OF_MONTH: return civil_date(day).day - 1;
    case DAY_OF_WEEK: return (civil_weekday(day) + 1) % 7;
    case DAY_OF_YEAR: return civil_day_of_year(civil_date(day)) - 1;
    case HOUR: return ms / HOUR_MS;
    case MINUTE: return ms / MINUTE_MS % 60;
    case SECOND: return ms / SECOND_MS % 60;
    case MS: return ms % 1000;
    }
    return 0;
}

/* Milliseconds of now until a value at `ns`, moving by `slope`, leaves [from_ns, until_ns). */
static int64_t time_to_leave(__int128 ns, int slope, __int128 from_ns, __int128 until_ns)
{
    __int128 step = (__int128)slope * NS_PER_MS;
    __int128 wait;
    if (step > 0)
        wait = (until_ns - ns + step - 1) / step;
    else
        wait = (ns - from_ns) / -step + 1;
    if (wait < 1)
        wait = 1;
    return wait > FOREVER_MS ? FOREVER_MS : (int64_t)wait;
}

static struct value time_field(struct machine *m, enum field field, const struct value *a,
                               uint32_t count)
{
    struct str zone = STR("UTC");
    if (count == 2) {
        if (a[1].type != VALUE_TEXT)
            return no_such_overload();
        zone = a[1].text;
    }
    struct wall wall;
    if (!wall_at(m, zone, a->integer, &wall))
        return machine_error(m, "unknown time zone \"%.*s\"", (int)min_of(zone.len, (size_t)60),
                             zone.at);
    int64_t wall_ms = a->integer + wall.offset_ms;
    if (m->is_affine && slope_of(a) != 0) {
        int64_t from_ms, until_ms;
        unit_around(field, wall_ms, &from_ms, &until_ms);
        from_ms = max_of(from_ms - wall.offset_ms, wall.from_ms);
        until_ms = min_of(until_ms - wall.offset_ms, wall.until_ms);
        machine_wait(m, time_to_leave(value_ns(a), slope_of(a), (__int128)from_ms * NS_PER_MS,
                                      (__int128)until_ms * NS_PER_MS));
    }
    return value_int(field_of(field, wall_ms));
}

/* Whole units of a duration, cut towards zero. */
static struct value duration_field(struct machine *m, enum field field, const struct value *a)
{
    int64_t unit_ms = field == HOUR     ? HOUR_MS
                      : field == MINUTE ? MINUTE_MS
                      : field == SECOND ? SECOND_MS
                                        : 1;
    __int128 unit = (__int128)unit_ms * NS_PER_MS;
    __int128 ns = value_ns(a);
    __int128 whole = ns / unit;
    if (m->is_affine && slope_of(a) != 0) {
        /* Cut towards zero: the stretch around zero is two units long, those below it are closed
         * at the other end. */
        __int128 from = whole > 0 ? whole * unit : whole < 0 ? (whole - 1) * unit + 1 : 1 - unit;
        __int128 until = whole < 0 ? whole * unit + 1 : (whole + 1) * unit;
        machine_wait(m, time_to_leave(ns, slope_of(a), from, until));
    }
    if (field == MS)
        whole %= 1000;
    return value_int((int64_t)whole);
}

static struct value get(struct machine *m, enum field field, const struct value *a, uint32_t count)
{
    if (a->type == VALUE_TIME)
        return time_field(m, field, a, count);
    if (a->type == VALUE_DURATION && count == 1 && field >= HOUR)
        return duration_field(m, field, a);
    return no_such_overload();
}

#define GETTER(name, field)                                                     \
    struct value name(struct machine *m, const struct value *a, uint32_t count) \
    {                                                                           \
        return get(m, field, a, count);                                         \
    }

GETTER(fn_get_full_year, YEAR)
GETTER(fn_get_month, MONTH)
GETTER(fn_get_date, DAY)
GETTER(fn_get_day_of_month, DAY_OF_MONTH)
GETTER(fn_get_day_of_week, DAY_OF_WEEK)
GETTER(fn_get_day_of_year, DAY_OF_YEAR)
GETTER(fn_get_hours, HOUR)
GETTER(fn_get_minutes, MINUTE)
GETTER(fn_get_seconds, SECOND)
GETTER(fn_get_milliseconds, MS)
