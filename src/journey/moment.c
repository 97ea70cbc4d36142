/* SPDX-License-Identifier: Apache-2.0 */
#include "journey/moment.h"

#include "when/civil.h"

static bool of_number(double number, struct moment_date *out)
{
    if (!timestamp_from_number(number, &out->at_ms))
        return false;
    out->is_wall = false;
    out->is_day = floor_mod(out->at_ms, DAY_MS) == 0;
    return true;
}

static bool of_text(struct str text, struct moment_date *out)
{
    struct timestamp said;
    double number;
    text = str_trim(text);
    if (timestamp_parse(text, TIMESTAMP_LOOSE, &said, NULL) != OK)
        return str_to_double(text, &number) && of_number(number, out);
    out->at_ms = said.at_ms;
    out->is_wall = !said.has_offset;
    out->is_day = !said.has_time || (said.has_offset && floor_mod(said.at_ms, DAY_MS) == 0);
    return true;
}

bool moment_read(const struct value *value, struct moment_date *out)
{
    switch ((enum value_type)value->type) {
    case VALUE_TIME:
        *out = (struct moment_date){value->integer, false, floor_mod(value->integer, DAY_MS) == 0};
        return true;
    case VALUE_INT: return of_number((double)value->integer, out);
    case VALUE_UINT: return of_number((double)value->uinteger, out);
    case VALUE_DOUBLE: return of_number(value->number, out);
    case VALUE_TEXT: return of_text(value->text, out);
    case VALUE_NONE:
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_BYTES:
    case VALUE_DURATION:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_TYPE:
    case VALUE_ERROR: break;
    }
    return false;
}

struct moment_date moment_literal(const struct plan_moment *m)
{
    return (struct moment_date){m->date_ms, m->is_wall, m->is_day};
}

bool moment_length(const struct value *value, struct span *out)
{
    if (value->type == VALUE_DURATION) {
        int64_t ms = value->integer + (value->sub_ns != 0); /* not a nanosecond too early */
        *out = span_of_ms(max_of(ms, (int64_t)0));
        return true;
    }
    return value->type == VALUE_TEXT && span_parse(str_trim(value->text), out, NULL) == OK;
}

/* The first day from `day` on that `on` has, at the clock. */
static int64_t clock_of_day(const struct plan_moment *m, const struct zone *zone, int64_t day)
{
    while (!weekdays_has(m->weekdays, civil_weekday(day)))
        day++;
    return zone_utc(zone, day * DAY_MS + m->clock_ms);
}

int64_t moment_of_date(const struct plan_moment *m, struct moment_date date,
                       const struct zone *zone)
{
    bool has_clock = m->clock_ms != MOMENT_NO_CLOCK;
    bool is_calendar = has_clock || (date.is_day && date.is_wall);
    if (!is_calendar)
        return span_add(m->span, zone, date.is_wall ? zone_utc(zone, date.at_ms) : date.at_ms);
    int64_t wall_ms = date.at_ms;
    if (!date.is_wall && !date.is_day)
        wall_ms += zone_offset_ms(zone, date.at_ms);
    wall_ms = span_add(m->span, zone_of_utc(), wall_ms);
    if (has_clock)
        return clock_of_day(m, zone, floor_div(wall_ms, DAY_MS));
    return zone_utc(zone, wall_ms);
}

int64_t moment_of_base(const struct plan_moment *m, const struct zone *zone, int64_t base_ms,
                       bool is_of_day)
{
    if (base_ms == FOREVER_MS || m->clock_ms == MOMENT_NO_CLOCK)
        return base_ms;
    if (is_of_day)
        return clock_of_day(m, zone, zone_day(zone, base_ms));
    return zone_next_clock(zone, base_ms, m->clock_ms, m->weekdays);
}

int64_t moment_bend(const struct plan_moment *m, const struct zone *zone, int64_t at_ms)
{
    if (!m->has_window || at_ms == FOREVER_MS)
        return at_ms;
    return window_next_inside(&m->window, zone, at_ms);
}
