/* SPDX-License-Identifier: Apache-2.0 */
#include "when/calendar.h"

#include "when/civil.h"
#include "when/zone.h"

#define WALK_DAYS 64 /* so far an answer looks ahead; then it has to be asked again */

/* --- Reading ---------------------------------------------------------------------------------- */

static bool number_of(struct str text, size_t digits, int64_t *out)
{
    if (text.len != digits)
        return false;
    for (size_t i = 0; i < digits; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return str_to_int(text, out);
}

/* "2026-12-25" or "12-25". */
static bool day_parse(struct str text, bool *is_yearly, int64_t *out)
{
    int64_t year = 2000, month, day; /* a leap year */
    *is_yearly = text.len == 5;
    size_t at = *is_yearly ? 0 : 5;
    if (text.len != at + 5 || text.at[at + 2] != '-' ||
        (!*is_yearly && (text.at[4] != '-' || !number_of(str_part(text, 0, 4), 4, &year))))
        return false;
    if (!number_of(str_part(text, at, 2), 2, &month) ||
        !number_of(str_part(text, at + 3, 2), 2, &day))
        return false;
    struct date date = {(int32_t)year, (uint8_t)month, (uint8_t)day};
    if (!civil_is_date(date))
        return false;
    *out = *is_yearly ? month * 32 + day : civil_day(date);
    return true;
}

enum status calendar_days_parse(struct str text, struct calendar_days *out, struct fault *f)
{
    text = str_trim(text);
    size_t middle = str_find(text, STR(" to "), 0);
    struct str first = str_trim(str_part(text, 0, min_of(middle, text.len)));
    struct str last = middle == SIZE_MAX ? first : str_trim(str_part(text, middle + 4, text.len));
    struct calendar_days days;
    bool is_yearly;

    if (!day_parse(first, &days.is_yearly, &days.from) || !day_parse(last, &is_yearly, &days.to)) {
        fault_set(f,
                  "\"%.*s\" is no day; write 2026-12-25, 12-25 (every year) or "
                  "2026-12-24 to 2026-12-27",
                  (int)min_of(text.len, (size_t)64), text.at);
        return FIX_INPUT;
    }
    if (days.is_yearly != is_yearly) {
        fault_set(f, "\"%.*s\": both days need a year, or neither", STR_ARG(text));
        return FIX_INPUT;
    }
    if (!is_yearly && days.to < days.from) {
        fault_set(f, "\"%.*s\" ends before it begins", STR_ARG(text));
        return FIX_INPUT;
    }
    *out = days;
    return OK;
}

/* --- Asking ----------------------------------------------------------------------------------- */

static bool has(const struct calendar_days *d, int64_t day, int64_t of_year)
{
    if (!d->is_yearly)
        return day >= d->from && day <= d->to;
    if (d->from <= d->to)
        return of_year >= d->from && of_year <= d->to;
    return of_year >= d->from || of_year <= d->to;
}

bool calendar_has(const struct calendar_days *days, size_t count, int64_t day)
{
    struct date date = civil_date(day);

    for (size_t i = 0; i < count; i++)
        if (has(&days[i], day, date.month * 32 + date.day))
            return true;
    return false;
}

/* Can there be a day after `day` on which the answer is another? */
static bool can_change(const struct calendar_days *days, size_t count, int64_t day)
{
    for (size_t i = 0; i < count; i++)
        if (days[i].is_yearly || days[i].to >= day)
            return true;
    return false;
}

struct window_answer calendar_ask(const struct calendar_days *days, size_t count,
                                  const struct zone *zone, int64_t at_ms)
{
    int64_t day = zone_day(zone, at_ms);
    struct window_answer out = {calendar_has(days, count, day), FOREVER_MS};

    for (int step = 0; step < WALK_DAYS; step++) {
        /* A day back: where the clock is put back over midnight, the old one comes once more. */
        if (!can_change(days, count, day - 1))
            return out;
        int64_t next_ms = zone_next_day_start(zone, at_ms);
        if (next_ms <= at_ms)
            return out; /* at the end of time */
        at_ms = next_ms;
        day = zone_day(zone, at_ms);
        out.until_ms = at_ms;
        if (calendar_has(days, count, day) != out.is_inside)
            return out;
    }
    return out;
}
