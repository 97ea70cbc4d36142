/* Recurrences: a period at a time.
 *
 *     first period + n * INTERVAL  -->  days of it that pass every BY... rule
 *                                       x hours x minutes x seconds
 *                                  -->  BYSETPOS: by number in that order
 *
 * RFC 5545 describes each BY... rule as one that expands or one that limits, depending on FREQ.
 * Both come to the same if one begins with all days of the period and lets each rule strike out
 * what it does not name, provided that a rule which the text leaves out is first filled in from the
 * start where the RFC says so. So there is one loop and one question per day, does_day_pass().
 *
 * The set is never laid out: days and clock readings are kept apart, and the n-th member is found
 * by division. A monthly rule with seventy thousand members costs what one with seven does.
 *
 * Periods shorter than a day leap: where a day (or an hour) does not pass, the next period is the
 * first that begins after it. What finds nothing in RECUR_BARREN_MAX periods is taken to find
 * nothing ever; that is more than all seconds of a day, and all days of five centuries.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/recur.h"

#include <stdlib.h>

#include "when/span.h"
#include "when/zone.h"

#define YEAR_MAX 9999

/* --- Sets of numbers from both ends ----------------------------------------------------------- */

static void ends_add(struct recur_ends *ends, int32_t number)
{
    uint32_t size = (uint32_t)(number < 0 ? -number : number);
    uint64_t *bits = number < 0 ? ends->back : ends->front;

    must(size / 64 < array_count(ends->front));
    bits[size / 64] |= UINT64_C(1) << size % 64;
}

/* Whether the `number`-th of `count` is named, from the front or from the back. */
static bool ends_has(const struct recur_ends *ends, uint32_t number, uint32_t count)
{
    uint32_t back = count - number + 1;

    must(number >= 1);
    must(number <= count);
    must(count / 64 < array_count(ends->front));
    return (ends->front[number / 64] >> number % 64 & 1) ||
           (ends->back[back / 64] >> back % 64 & 1);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static struct str take_until(struct str *text, char end)
{
    size_t at = 0;

    while (at < text->len && text->at[at] != end)
        at++;
    struct str part = str_part(*text, 0, at);
    *text = str_part(*text, at + 1, text->len);
    return part;
}

static const char *const weekday_names[] = {"MO", "TU", "WE", "TH", "FR", "SA", "SU"};
static const char *const unit_names[] = {
    [RECUR_SECONDLY] = "SECONDLY", [RECUR_MINUTELY] = "MINUTELY", [RECUR_HOURLY] = "HOURLY",
    [RECUR_DAILY] = "DAILY",       [RECUR_WEEKLY] = "WEEKLY",     [RECUR_MONTHLY] = "MONTHLY",
    [RECUR_YEARLY] = "YEARLY",
};

static int find_name(struct str name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_equal_nocase(name, str_of(names[i])))
            return (int)i;
    return -1;
}

static bool read_unit(struct str value, struct recur *out)
{
    int unit = find_name(value, unit_names, array_count(unit_names));

    out->unit = (enum recur_unit)max_of(unit, 0);
    return unit >= 0;
}

static bool read_number(struct str value, int64_t least, int64_t most, int64_t *out)
{
    return value.len <= 8 && str_to_int(value, out) && *out >= least && *out <= most;
}

static bool read_interval(struct str value, struct recur *out)
{
    int64_t number = 0;
    bool is_good = read_number(value, 1, RECUR_INTERVAL_MAX, &number);

    out->interval = (uint32_t)number;
    return is_good;
}

static bool read_count(struct str value, struct recur *out)
{
    int64_t number = 0;
    bool is_good = read_number(value, 1, RECUR_COUNT_MAX, &number);

    out->count = (uint32_t)number;
    return is_good;
}

/* The digits of `text` from `from` on, `count` of them. */
static bool read_digits(struct str text, size_t from, size_t count, uint32_t *out)
{
    *out = 0;
    for (size_t i = from; i < from + count; i++) {
        if (i >= text.len || text.at[i] < '0' || text.at[i] > '9')
            return false;
        *out = *out * 10 + (uint32_t)(text.at[i] - '0');
    }
    return true;
}

bool recur_start_parse(struct str text, struct recur_start *out)
{
    uint32_t year;
    uint32_t month;
    uint32_t day;
    uint32_t clock[3] = {0};

    if (str_ends(text, STR("Z")))
        text.len--;
    if (!read_digits(text, 0, 4, &year) || !read_digits(text, 4, 2, &month) ||
        !read_digits(text, 6, 2, &day))
        return false;
    struct date date = {(int32_t)year, (uint8_t)month, (uint8_t)day};
    if (!civil_is_date(date))
        return false;
    bool is_date_only = text.len == 8;
    if (!is_date_only) {
        if (text.len != 15 || text.at[8] != 'T')
            return false;
        for (size_t i = 0; i < 3; i++)
            if (!read_digits(text, 9 + 2 * i, 2, &clock[i]) || clock[i] > (i == 0 ? 23 : 59))
                return false;
    }
    *out = (struct recur_start){
        .wall_ms =
            civil_day(date) * DAY_MS + ((clock[0] * 60 + clock[1]) * 60 + clock[2]) * SECOND_MS,
        .is_date_only = is_date_only,
    };
    return true;
}

static bool read_until(struct str value, struct recur *out)
{
    struct recur_start until;

    if (!recur_start_parse(value, &until))
        return false;
    out->until_kind = str_ends(value, STR("Z")) ? RECUR_UNTIL_UTC : RECUR_UNTIL_WALL;
    out->until_ms = until.wall_ms + (until.is_date_only ? DAY_MS - 1 : 0);
    return true;
}

static bool read_week_start(struct str value, struct recur *out)
{
    int day = find_name(value, weekday_names, array_count(weekday_names));

    out->week_start = (enum weekday)max_of(day, 0);
    return day >= 0;
}

/* A list of numbers from `least` to `most` as bits. */
static bool read_bits(struct str list, int64_t least, int64_t most, uint64_t *out)
{
    int64_t number;

    do {
        if (!read_number(take_until(&list, ','), least, most, &number))
            return false;
        *out |= UINT64_C(1) << number;
    } while (list.len > 0);
    return true;
}

static bool read_seconds(struct str list, struct recur *out)
{
    /* 60 is allowed, for leap seconds. There are none here. */
    return read_bits(list, 0, 60, &out->seconds);
}

static bool read_minutes(struct str list, struct recur *out)
{
    return read_bits(list, 0, 59, &out->minutes);
}

static bool read_hours(struct str list, struct recur *out)
{
    uint64_t bits = 0;
    bool is_good = read_bits(list, 0, 23, &bits);

    out->hours = (uint32_t)bits;
    return is_good;
}

static bool read_months(struct str list, struct recur *out)
{
    uint64_t bits = 0;
    bool is_good = read_bits(list, 1, 12, &bits);

    out->months = (uint16_t)bits;
    return is_good;
}

/* A list of numbers but 0 from -most to most. */
static bool read_ends(struct str list, int32_t most, struct recur_ends *out)
{
    int64_t number;

    do {
        if (!read_number(take_until(&list, ','), -most, most, &number) || number == 0)
            return false;
        ends_add(out, (int32_t)number);
    } while (list.len > 0);
    return true;
}

static bool read_month_days(struct str list, struct recur *out)
{
    out->has_month_days = true;
    return read_ends(list, 31, &out->month_days);
}

static bool read_year_days(struct str list, struct recur *out)
{
    out->has_year_days = true;
    return read_ends(list, 366, &out->year_days);
}

static bool read_weeks(struct str list, struct recur *out)
{
    out->has_weeks = true;
    return read_ends(list, 53, &out->weeks);
}

/* `MO`, `1FR`, `-2MO` and so on. */
static bool read_weekdays(struct str list, struct recur *out)
{
    do {
        struct str item = take_until(&list, ',');
        size_t number_len = item.len < 2 ? 0 : item.len - 2;
        int64_t number = 0;
        int day =
            find_name(str_part(item, number_len, 2), weekday_names, array_count(weekday_names));
        if (day < 0)
            return false;
        if (number_len == 0) {
            out->weekdays |= (uint8_t)(1 << day);
            continue;
        }
        if (!read_number(str_part(item, 0, number_len), -53, 53, &number) || number == 0)
            return false;
        ends_add(&out->numbered_weekdays[day], (int32_t)number);
        out->has_numbered_weekdays = true;
    } while (list.len > 0);
    return true;
}

static bool read_positions(struct str list, struct recur *out)
{
    int64_t number;

    do {
        if (!read_number(take_until(&list, ','), -9999999, 9999999, &number) || number == 0)
            return false;
        if (out->position_count == RECUR_POSITIONS_MAX)
            return false;
        out->positions[out->position_count++] = (int32_t)number;
    } while (list.len > 0);
    return true;
}

// clang-format off
static const struct part {
    const char *name;
    bool (*read)(struct str value, struct recur *out);
    const char *form;
} parts[] = {
    {"FREQ",       read_unit,
     "one of SECONDLY, MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY"},
    {"UNTIL",      read_until,      "a date or time like 20261231 or 20261231T090000Z"},
    {"COUNT",      read_count,      "a number from 1 to 100000"},
    {"INTERVAL",   read_interval,   "a number from 1 to 100000"},
    {"BYSECOND",   read_seconds,    "numbers from 0 to 60"},
    {"BYMINUTE",   read_minutes,    "numbers from 0 to 59"},
    {"BYHOUR",     read_hours,      "numbers from 0 to 23"},
    {"BYDAY",      read_weekdays,   "weekdays like MO, 1FR or -1SU"},
    {"BYMONTHDAY", read_month_days, "numbers from 1 to 31, or from -31 to -1"},
    {"BYYEARDAY",  read_year_days,  "numbers from 1 to 366, or from -366 to -1"},
    {"BYWEEKNO",   read_weeks,      "numbers from 1 to 53, or from -53 to -1"},
    {"BYMONTH",    read_months,     "numbers from 1 to 12"},
    {"BYSETPOS",   read_positions,  "at most 64 numbers from 1 up, or from -1 down"},
    {"WKST",       read_week_start, "one of MO, TU, WE, TH, FR, SA, SU"},
};
// clang-format on

static enum status refuse_part(struct str name, struct fault *f)
{
    struct str known[array_count(parts)];

    for (size_t i = 0; i < array_count(parts); i++)
        known[i] = str_of(parts[i].name);
    struct str near = str_nearest(name, known, array_count(known));
    if (near.len > 0)
        fault_set(f, "recurrence: unknown part \"%.*s\"; did you mean \"%.*s\"?",
                  STR_ARG(str_part(name, 0, 32)), STR_ARG(near));
    else
        fault_set(f, "recurrence: unknown part \"%.*s\"; it is like FREQ=WEEKLY;BYDAY=MO,WE",
                  STR_ARG(str_part(name, 0, 32)));
    return FIX_INPUT;
}

/* Reads `NAME=value`; `seen` has a bit for each part that was there before. */
static enum status read_part(struct str part, struct recur *out, uint32_t *seen, struct fault *f)
{
    struct str value = part;
    struct str name = take_until(&value, '=');
    size_t i = 0;

    while (i < array_count(parts) && !str_equal_nocase(name, str_of(parts[i].name)))
        i++;
    if (i == array_count(parts))
        return refuse_part(name, f);
    if (*seen >> i & 1) {
        fault_set(f, "recurrence: %s is there twice", parts[i].name);
        return FIX_INPUT;
    }
    *seen |= UINT32_C(1) << i;
    bool ends_in_comma = str_ends(value, STR(","));
    if (ends_in_comma || !parts[i].read(value, out)) {
        fault_set(f, "recurrence: %s=%.*s; it should be %s", parts[i].name,
                  STR_ARG(str_part(value, 0, 64)), parts[i].form);
        return FIX_INPUT;
    }
    return OK;
}

/* What is wrong with the parts together, or NULL. */
static const char *contradiction(const struct recur *r)
{
    if (r->count > 0 && r->until_kind != RECUR_UNTIL_NONE)
        return "COUNT and UNTIL do not go together";
    if (r->has_weeks && r->unit != RECUR_YEARLY)
        return "BYWEEKNO goes with FREQ=YEARLY only";
    if (r->has_year_days && r->unit >= RECUR_DAILY && r->unit <= RECUR_MONTHLY)
        return "BYYEARDAY does not go with FREQ=DAILY, WEEKLY or MONTHLY";
    if (r->has_month_days && r->unit == RECUR_WEEKLY)
        return "BYMONTHDAY does not go with FREQ=WEEKLY";
    if (r->has_numbered_weekdays && (r->unit < RECUR_MONTHLY || r->has_weeks))
        return "BYDAY has numbers with FREQ=MONTHLY or YEARLY only, and without BYWEEKNO";
    return NULL;
}

enum status recur_parse(struct str text, struct recur *out, struct fault *f)
{
    struct recur r = {.interval = 1, .week_start = MONDAY};
    uint32_t seen = 0;

    if (str_starts(text, STR("RRULE:")))
        text = str_part(text, 6, text.len);
    while (text.len > 0)
        if (read_part(take_until(&text, ';'), &r, &seen, f) != OK)
            return FIX_INPUT;
    if (!(seen & 1)) { /* the first of the parts */
        fault_set(f, "recurrence: FREQ is missing; it is like FREQ=WEEKLY;BYDAY=MO,WE");
        return FIX_INPUT;
    }
    const char *wrong = contradiction(&r);
    if (wrong) {
        fault_set(f, "recurrence: %s", wrong);
        return FIX_INPUT;
    }
    *out = r;
    return OK;
}

/* --- Periods ---------------------------------------------------------------------------------- */

/* The first day of week 1 of `year`: of the first week with four days in it. */
static int64_t week_one(enum weekday week_start, int32_t year)
{
    int64_t fourth = civil_day((struct date){year, 1, 4});

    return fourth - floor_mod((int64_t)civil_weekday(fourth) - (int64_t)week_start, 7);
}

/* The year to whose weeks `day` belongs. */
static int32_t week_year(enum weekday week_start, int64_t day)
{
    int32_t year = civil_date(day).year;

    if (day < week_one(week_start, year))
        return year - 1;
    return day < week_one(week_start, year + 1) ? year : year + 1;
}

static int64_t week_first_day(enum weekday week_start, int64_t day)
{
    return day - floor_mod((int64_t)civil_weekday(day) - (int64_t)week_start, 7);
}

/* How long a period of an even unit is; 0 for months and years. */
static int64_t period_ms(enum recur_unit unit)
{
    switch (unit) {
    case RECUR_SECONDLY: return SECOND_MS;
    case RECUR_MINUTELY: return MINUTE_MS;
    case RECUR_HOURLY: return HOUR_MS;
    case RECUR_DAILY: return DAY_MS;
    case RECUR_WEEKLY: return 7 * DAY_MS;
    case RECUR_MONTHLY:
    case RECUR_YEARLY: return 0;
    }
    return 0;
}

/* The period in which the wall shows `wall_ms`: a year, a month since year 0, a number of seconds,
 * minutes, hours or days since 1970, or a week by the number of its first day. */
static int64_t period_of(const struct recur *rule, int64_t wall_ms)
{
    int64_t day = floor_div(wall_ms, DAY_MS);
    struct date date = civil_date(day);

    if (rule->unit == RECUR_YEARLY)
        return date.year;
    if (rule->unit == RECUR_MONTHLY)
        return (int64_t)date.year * 12 + date.month - 1;
    if (rule->unit == RECUR_WEEKLY)
        return week_first_day(rule->week_start, day);
    return floor_div(wall_ms, period_ms(rule->unit));
}

/* How far apart neighbouring periods are numbered. */
static int64_t period_step(const struct recur *rule)
{
    return rule->unit == RECUR_WEEKLY ? INT64_C(7) * rule->interval : rule->interval;
}

/* --- Days ------------------------------------------------------------------------------------- */

static bool has_day_rule(const struct recur *r)
{
    return r->weekdays || r->has_numbered_weekdays || r->has_month_days || r->has_year_days ||
           r->has_weeks;
}

static bool has_weekday_rule(const struct recur *r)
{
    return r->weekdays || r->has_numbered_weekdays;
}

/* What the rule leaves open, the start says. */
static void fill_in(struct recur_walk *w)
{
    const struct recur *r = w->rule;
    int64_t day = floor_div(w->start.wall_ms, DAY_MS);
    struct date date = civil_date(day);

    w->months = r->months;
    w->weekdays = r->weekdays;
    if (r->unit == RECUR_YEARLY) {
        bool is_by_month_day = r->has_month_days && !r->has_year_days && !r->has_weeks;
        if (!has_day_rule(r))
            w->month_day = date.day;
        if (!r->months && (!has_day_rule(r) || is_by_month_day))
            w->months = (uint16_t)(1 << date.month);
        if (r->has_weeks && !has_weekday_rule(r) && !r->has_month_days && !r->has_year_days)
            w->weekdays = (uint8_t)(1 << civil_weekday(day));
    }
    if (r->unit == RECUR_MONTHLY && !has_weekday_rule(r) && !r->has_month_days)
        w->month_day = date.day;
    if (r->unit == RECUR_WEEKLY && !has_weekday_rule(r))
        w->weekdays = (uint8_t)(1 << civil_weekday(day));
}

static uint32_t year_days(int32_t year)
{
    return civil_is_leap(year) ? 366 : 365;
}

/* Whether the weekday of `day` is asked for, any or by number in its month or year. */
static bool does_weekday_pass(const struct recur_walk *w, int64_t day, struct date date)
{
    const struct recur *r = w->rule;
    enum weekday weekday = civil_weekday(day);
    bool is_in_month = r->unit == RECUR_MONTHLY || r->months;
    uint32_t at = is_in_month ? date.day : civil_day_of_year(date);
    uint32_t length = is_in_month ? civil_month_days(date.year, date.month) : year_days(date.year);

    if (!w->weekdays && !r->has_numbered_weekdays)
        return true;
    if (weekdays_has(w->weekdays, weekday))
        return true;
    if (!r->has_numbered_weekdays)
        return false;
    uint32_t number = (at - 1) / 7 + 1;
    uint32_t number_from_back = (length - at) / 7 + 1;
    return ends_has(&r->numbered_weekdays[weekday], number, number + number_from_back - 1);
}

static bool does_week_pass(const struct recur *r, int64_t day)
{
    int32_t year = week_year(r->week_start, day);
    int64_t first = week_one(r->week_start, year);
    int64_t weeks = (week_one(r->week_start, year + 1) - first) / 7;

    return ends_has(&r->weeks, (uint32_t)((day - first) / 7 + 1), (uint32_t)weeks);
}

static bool does_day_pass(const struct recur_walk *w, int64_t day)
{
    const struct recur *r = w->rule;
    struct date date = civil_date(day);

    if (w->months && !(w->months >> date.month & 1))
        return false;
    if (w->month_day && date.day != w->month_day)
        return false;
    if (r->has_month_days &&
        !ends_has(&r->month_days, date.day, civil_month_days(date.year, date.month)))
        return false;
    if (r->has_year_days && !ends_has(&r->year_days, civil_day_of_year(date), year_days(date.year)))
        return false;
    if (r->has_weeks && !does_week_pass(r, day))
        return false;
    return does_weekday_pass(w, day, date);
}

/* The days of `period` that pass. */
static void choose_days(struct recur_walk *w, int64_t period)
{
    const struct recur *r = w->rule;
    int64_t from = period;
    int64_t to = period + 1;

    if (r->unit == RECUR_YEARLY && r->has_weeks) {
        from = week_one(r->week_start, (int32_t)period);
        to = week_one(r->week_start, (int32_t)period + 1);
    } else if (r->unit == RECUR_YEARLY) {
        from = civil_day((struct date){(int32_t)period, 1, 1});
        to = civil_day((struct date){(int32_t)period + 1, 1, 1});
    } else if (r->unit == RECUR_MONTHLY) {
        struct date date = {(int32_t)floor_div(period, 12), (uint8_t)(floor_mod(period, 12) + 1),
                            1};
        from = civil_day(date);
        to = from + civil_month_days(date.year, date.month);
    } else if (r->unit == RECUR_WEEKLY) {
        to = from + 7;
    }
    w->day_count = 0;
    for (int64_t day = from; day < to; day++) {
        if (!does_day_pass(w, day))
            continue;
        must(w->day_count < RECUR_DAYS_MAX);
        w->days[w->day_count++] = day;
    }
}

/* --- Clocks ----------------------------------------------------------------------------------- */

enum { HOURS, MINUTES, SECONDS };

static void choose_one(struct recur_walk *w, int which, int64_t value)
{
    w->clock_counts[which] = 1;
    w->clocks[which][0] = (uint8_t)value;
}

/* The values of `bits`; of none, the start's. */
static void choose_clock(struct recur_walk *w, int which, uint64_t bits, int64_t start)
{
    if (bits == 0) {
        choose_one(w, which, start);
        return;
    }
    w->clock_counts[which] = 0;
    for (uint8_t value = 0; value < 60; value++)
        if (bits >> value & 1)
            w->clocks[which][w->clock_counts[which]++] = value;
}

static void choose_clocks(struct recur_walk *w)
{
    int64_t second = floor_mod(w->start.wall_ms, DAY_MS) / SECOND_MS;

    if (w->start.is_date_only) {
        for (int which = HOURS; which <= SECONDS; which++)
            choose_one(w, which, 0);
        return;
    }
    choose_clock(w, HOURS, w->rule->hours, second / 3600);
    choose_clock(w, MINUTES, w->rule->minutes, second / 60 % 60);
    choose_clock(w, SECONDS, w->rule->seconds, second % 60);
}

/* --- A period's set --------------------------------------------------------------------------- */

/* The `index`-th member of all days and clock readings chosen, in order of time. */
static int64_t member(const struct recur_walk *w, uint32_t index)
{
    uint32_t seconds = w->clock_counts[SECONDS];
    uint32_t minutes = w->clock_counts[MINUTES];
    uint32_t hours = w->clock_counts[HOURS];
    int64_t second = w->clocks[SECONDS][index % seconds];
    int64_t minute = w->clocks[MINUTES][index / seconds % minutes];
    int64_t hour = w->clocks[HOURS][index / seconds / minutes % hours];
    int64_t day = w->days[index / seconds / minutes / hours];

    return day * DAY_MS + ((hour * 60 + minute) * 60 + second) * SECOND_MS;
}

static int order_numbers(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

/* What BYSETPOS picks of `count` members, in order, each once. */
static void pick_positions(struct recur_walk *w, uint32_t count)
{
    uint32_t kept = 0;

    w->pick_count = 0;
    for (uint32_t i = 0; i < w->rule->position_count; i++) {
        int64_t position = w->rule->positions[i];
        int64_t index = position > 0 ? position - 1 : count + position;
        if (index >= 0 && index < count)
            w->picks[w->pick_count++] = (uint32_t)index;
    }
    qsort(w->picks, w->pick_count, sizeof(w->picks[0]), order_numbers);
    for (uint32_t i = 0; i < w->pick_count; i++)
        if (i == 0 || w->picks[i] != w->picks[i - 1])
            w->picks[kept++] = w->picks[i];
    w->pick_count = kept;
}

/* The `index`-th of the period's occurrences. */
static int64_t chosen(const struct recur_walk *w, uint32_t index)
{
    return member(w, w->rule->position_count > 0 ? w->picks[index] : index);
}

/* The set of the days and clocks chosen; what lies before w->from_ms is passed over. */
static void open_set(struct recur_walk *w)
{
    uint32_t from = 0;

    w->set_count = w->day_count;
    for (int which = HOURS; which <= SECONDS; which++)
        w->set_count *= w->clock_counts[which];
    if (w->rule->position_count > 0) {
        pick_positions(w, w->set_count);
        w->set_count = w->pick_count;
    }
    uint32_t to = w->set_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (chosen(w, middle) < w->from_ms)
            from = middle + 1;
        else
            to = middle;
    }
    w->set_at = from;
}

/* Whether `value` is in a set of bits, where there is one. */
static bool does_clock_pass(uint64_t bits, int64_t value)
{
    return bits == 0 || (bits >> value & 1);
}

/* The number of the first period that begins at or after `wall_ms`. */
static int64_t period_from(const struct recur_walk *w, int64_t wall_ms)
{
    int64_t unit_ms = period_ms(w->rule->unit);
    int64_t first = floor_div(wall_ms + unit_ms - 1, unit_ms) - w->first_period;

    return floor_div(first + w->rule->interval - 1, w->rule->interval);
}

/* An hour, minute or second that begins at `begin_ms`: its set, or a leap beyond what does not
 * pass. */
static void open_clock_period(struct recur_walk *w, int64_t begin_ms)
{
    const struct recur *r = w->rule;
    int64_t day = floor_div(begin_ms, DAY_MS);
    int64_t second = floor_mod(begin_ms, DAY_MS) / SECOND_MS;

    w->set_count = 0;
    w->set_at = 0;
    if (!does_day_pass(w, day)) {
        w->period = period_from(w, (day + 1) * DAY_MS);
        return;
    }
    if (!does_clock_pass(r->hours, second / 3600)) {
        w->period = period_from(w, floor_div(begin_ms, HOUR_MS) * HOUR_MS + HOUR_MS);
        return;
    }
    w->period++;
    choose_one(w, HOURS, second / 3600);
    if (r->unit <= RECUR_MINUTELY) {
        if (!does_clock_pass(r->minutes, second / 60 % 60))
            return;
        choose_one(w, MINUTES, second / 60 % 60);
    }
    if (r->unit == RECUR_SECONDLY) {
        if (!does_clock_pass(r->seconds, second % 60))
            return;
        choose_one(w, SECONDS, second % 60);
    }
    w->day_count = 1;
    w->days[0] = day;
    open_set(w);
}

/* The set of the next period, which may be empty. */
static void open_period(struct recur_walk *w)
{
    int64_t period = w->first_period + w->period * period_step(w->rule);

    if (w->rule->unit < RECUR_DAILY) {
        int64_t unit_ms = period_ms(w->rule->unit);
        w->is_over = period * unit_ms > TIMESTAMP_MAX_MS;
        if (!w->is_over)
            open_clock_period(w, period * unit_ms);
        return;
    }
    w->period++;
    int64_t year = period;
    if (w->rule->unit == RECUR_MONTHLY)
        year = floor_div(period, 12);
    else if (w->rule->unit != RECUR_YEARLY)
        year = civil_date(period).year;
    w->is_over = year > YEAR_MAX;
    if (w->is_over)
        return;
    choose_days(w, period);
    open_set(w);
}

/* --- Walking ---------------------------------------------------------------------------------- */

/* Passes over what is before `wall_ms`, where nothing needs to be counted. */
static void seek(struct recur_walk *w, int64_t wall_ms)
{
    int64_t back = w->rule->has_weeks ? 1 : 0; /* its week may belong to the year before */

    if (w->rule->count > 0 || wall_ms <= w->from_ms)
        return;
    int64_t periods = period_of(w->rule, wall_ms) - back - w->first_period;
    w->from_ms = wall_ms;
    w->period = max_of(w->period, floor_div(periods, period_step(w->rule)));
}

void recur_walk_init(struct recur_walk *w, const struct recur *rule, struct recur_start start)
{
    *w = (struct recur_walk){.rule = rule, .start = start};
    w->start.wall_ms = floor_div(start.wall_ms, SECOND_MS) * SECOND_MS;
    if (start.is_date_only)
        w->start.wall_ms = floor_div(start.wall_ms, DAY_MS) * DAY_MS;
    w->start.is_date_only = start.is_date_only && rule->unit >= RECUR_DAILY;
    w->is_over = start.wall_ms < TIMESTAMP_MIN_MS || start.wall_ms > TIMESTAMP_MAX_MS;
    if (w->is_over)
        return;
    w->from_ms = w->start.wall_ms;
    w->first_period = period_of(rule, w->start.wall_ms);
    fill_in(w);
    choose_clocks(w);

    /* Years of weeks are counted from the one to which the start's week belongs; but a start that
     * the rule does not name is not in any of its weeks, and its own year is counted from. */
    int64_t day = floor_div(w->start.wall_ms, DAY_MS);
    if (rule->has_weeks && (rule->interval == 1 || does_day_pass(w, day)))
        w->first_period = week_year(rule->week_start, day);
}

bool recur_walk_next(struct recur_walk *w, int64_t *wall_ms)
{
    const struct recur *r = w->rule;

    for (uint32_t barren = 0; !w->is_over && w->set_at == w->set_count; barren++) {
        if (barren == RECUR_BARREN_MAX)
            w->is_over = true;
        else
            open_period(w);
    }
    if (w->is_over)
        return false;
    int64_t next_ms = chosen(w, w->set_at++);
    w->given++;
    w->is_over = (r->until_kind != RECUR_UNTIL_NONE && next_ms > r->until_ms) ||
                 (r->count > 0 && w->given > r->count);
    if (w->is_over)
        return false;
    *wall_ms = next_ms;
    return true;
}

/* --- As instants ------------------------------------------------------------------------------ */

int64_t recur_next_ms(const struct recur *rule, struct recur_start start, const struct zone *zone,
                      int64_t after_ms)
{
    struct recur on_wall = *rule;
    struct recur_walk w;
    int64_t wall_ms;

    if (after_ms > TIMESTAMP_MAX_MS)
        return FOREVER_MS;
    if (on_wall.until_kind == RECUR_UNTIL_UTC) /* what is shown last, on this wall */
        on_wall.until_ms += zone_offset_ms(zone, on_wall.until_ms);
    recur_walk_init(&w, &on_wall, start);
    after_ms = max_of(after_ms, TIMESTAMP_MIN_MS);
    /* zone_utc() is the first instant that shows a time or a later one, so what is still to come is
     * later on the wall, too, than what it shows now. */
    if (!w.is_over)
        seek(&w, after_ms + zone_offset_ms(zone, after_ms));
    while (recur_walk_next(&w, &wall_ms)) {
        int64_t at_ms = zone_utc(zone, wall_ms);
        if (at_ms > after_ms)
            return at_ms;
    }
    return FOREVER_MS;
}
