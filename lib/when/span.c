/* Spans, times of day and weekdays, read and printed.
 *
 * Reading is generous until the end and strict then: parts are added up in whatever order, with
 * fractions, and only if the text is not in the one form that is allowed is it refused, with the
 * same span in that form as advice. So `12h1d` and `1.5d` are told to be `1d12h`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/span.h"

#include <stdio.h>

#include "when/zone.h"

#define SHOWN_BYTES_MAX 40 /* of a wrong text, in a sentence about it */

static struct str shown(struct str text)
{
    return str_part(text, 0, SHOWN_BYTES_MAX);
}

/* --- Tables ----------------------------------------------------------------------------------- */

// clang-format off
static const struct unit {
    const char *name;
    int64_t ms;
} fixed_units[] = { /* larger ones first */
    {"w",  7 * DAY_MS},
    {"d",  DAY_MS},
    {"h",  HOUR_MS},
    {"m",  MINUTE_MS},
    {"s",  SECOND_MS},
    {"ms", 1},
};

static const struct {
    const char *name;
    const char *plural;
} calendar_units[] = {
    [SPAN_DAY]   = {"day", "days"},
    [SPAN_WEEK]  = {"week", "weeks"},
    [SPAN_MONTH] = {"month", "months"},
};

/* What people write for a unit, and what they should. */
static const struct {
    const char *written;
    const char *meant;
} slips[] = {
    {"sec", "s"}, {"secs", "s"}, {"second", "s"}, {"seconds", "s"},
    {"min", "m"}, {"mins", "m"}, {"minute", "m"}, {"minutes", "m"},
    {"hr", "h"}, {"hrs", "h"}, {"hour", "h"}, {"hours", "h"},
    {"wk", "w"}, {"wks", "w"}, {"msec", "ms"}, {"millis", "ms"},
    {"mo", " months"}, {"mos", " months"}, {"mon", " months"},
};
// clang-format on

#define UNITS_HINT "units are ms, s, m, h, d, w, and day, week, month on the calendar"

/* --- Reading spans ---------------------------------------------------------------------------- */

struct reading {
    const char *at;
    const char *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool take(struct reading *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static struct str take_while(struct reading *r, bool (*is_one)(char c))
{
    const char *from = r->at;

    while (r->at < r->end && is_one(*r->at))
        r->at++;
    return (struct str){from, (size_t)(r->at - from)};
}

/* A number with a fraction perhaps, in thousandths; false if there is none or it is too large. */
static bool take_thousandths(struct reading *r, int64_t *out, bool *has_fraction)
{
    struct str whole = take_while(r, is_digit);
    struct str fraction = {r->at, 0};
    int64_t number = 0;

    *has_fraction = take(r, '.');
    if (*has_fraction)
        fraction = take_while(r, is_digit);
    if (whole.len < 1 || whole.len > 14 || (*has_fraction && fraction.len < 1) || fraction.len > 3)
        return false;
    for (size_t i = 0; i < whole.len; i++)
        number = number * 10 + (whole.at[i] - '0');
    for (size_t i = 0; i < 3; i++)
        number = number * 10 + (i < fraction.len ? fraction.at[i] - '0' : 0);
    *out = number;
    return true;
}

/* The index of the fixed unit `name`, or -1. */
static int find_fixed(struct str name)
{
    for (size_t i = 0; i < array_count(fixed_units); i++)
        if (str_is(name, fixed_units[i].name))
            return (int)i;
    return -1;
}

/* The index of the calendar unit `name`, or -1. */
static int find_calendar(struct str name)
{
    for (size_t i = 0; i < array_count(calendar_units); i++)
        if (str_is(name, calendar_units[i].name) || str_is(name, calendar_units[i].plural))
            return (int)i;
    return -1;
}

/* The unit that was probably meant, or NULL. */
static const char *meant_by(struct str unit)
{
    for (size_t i = 0; i < array_count(slips); i++)
        if (str_equal_nocase(unit, str_of(slips[i].written)))
            return slips[i].meant;
    for (size_t i = 0; i < array_count(fixed_units); i++)
        if (str_equal_nocase(unit, str_of(fixed_units[i].name)))
            return fixed_units[i].name;
    return NULL;
}

/* `number` is the text before the unit, for the advice; empty where there is none. */
static enum status refuse_unit(struct str text, struct str number, struct str unit, struct fault *f)
{
    struct str known[array_count(calendar_units)];
    const char *meant = number.len > 0 ? meant_by(unit) : NULL;
    size_t count = 0;

    if (meant) {
        fault_set(f, "\"%.*s\": unknown unit \"%.*s\"; did you mean \"%.*s%s\"?",
                  STR_ARG(shown(text)), STR_ARG(shown(unit)), STR_ARG(shown(number)), meant);
        return FIX_INPUT;
    }
    for (size_t i = 0; i < array_count(calendar_units); i++)
        known[count++] = str_of(number.len > 0 ? calendar_units[i].plural : calendar_units[i].name);
    struct str near = str_nearest(unit, known, count);
    if (near.len > 0)
        fault_set(f, "\"%.*s\": unknown unit \"%.*s\"; did you mean \"%.*s\"?",
                  STR_ARG(shown(text)), STR_ARG(shown(unit)), STR_ARG(near));
    else
        fault_set(f, "\"%.*s\": unknown unit \"%.*s\"; " UNITS_HINT, STR_ARG(shown(text)),
                  STR_ARG(shown(unit)));
    return FIX_INPUT;
}

static enum status refuse(struct str text, const char *why, struct fault *f)
{
    fault_set(f, "\"%.*s\" is no length of time: %s", STR_ARG(shown(text)), why);
    return FIX_INPUT;
}

/* `2 days`; number and unit have been read. */
static enum status finish_calendar(struct str text, int64_t thousandths, enum span_unit unit,
                                   struct span *out, struct fault *f)
{
    if (thousandths % 1000 != 0 || thousandths < 1000)
        return refuse(text, "days, weeks and months on the calendar are counted whole, from 1", f);
    if (thousandths > SPAN_MAX_COUNT * INT64_C(1000))
        return refuse(text, "that is more than can be counted; at most 1200", f);
    *out = span_of_calendar((int32_t)(thousandths / 1000), unit);
    return OK;
}

/* What has been read of a fixed span. */
struct sum {
    int64_t ms;
    int unit;       /* index of the last one; -1 before the first */
    bool is_proper; /* so far in the form that is allowed */
};

/* Adds so many thousandths of a unit. False if the sum leaves the limits, or whole milliseconds. */
static bool add_to_sum(struct sum *sum, int64_t thousandths, int unit)
{
    int64_t product;

    if (__builtin_mul_overflow(thousandths, fixed_units[unit].ms, &product) || product % 1000 != 0)
        return false;
    sum->ms += product / 1000;
    sum->is_proper = sum->is_proper && unit > sum->unit;
    sum->unit = unit;
    return sum->ms <= SPAN_MAX_MS;
}

static enum status read_span(struct str text, struct span *out, struct fault *f)
{
    struct reading r = {text.at, text.at + text.len};
    struct sum sum = {.unit = -1, .is_proper = true};
    char advice[SPAN_BYTES];

    if (text.len == 0)
        return refuse(text, "it is empty; write it like 90s, 15m, 2h, 3d, 2w or 1d12h", f);
    if (is_letter(*r.at)) {
        struct str word = take_while(&r, is_letter);
        int unit = find_calendar(word);
        bool is_one = unit >= 0 && str_is(word, calendar_units[unit].name) && r.at == r.end;
        if (!is_one)
            return refuse_unit(text, STR(""), text, f);
        *out = span_of_calendar(1, (enum span_unit)unit);
        return OK;
    }
    while (r.at < r.end) {
        const char *from = r.at;
        int64_t thousandths;
        bool has_fraction;
        if (!take_thousandths(&r, &thousandths, &has_fraction))
            return refuse(text, "write it like 90s, 15m, 2h, 3d, 2w or 1d12h", f);
        struct str number = {from, (size_t)(r.at - from)};
        bool has_space = take(&r, ' ');
        struct str word = take_while(&r, is_letter);
        int fixed = find_fixed(word);
        int calendar = find_calendar(word);
        if (word.len == 0) {
            if (str_is(text, "0"))
                break;
            return refuse(text, "it has no unit; " UNITS_HINT, f);
        }
        if (calendar >= 0 && sum.unit < 0 && r.at == r.end)
            return finish_calendar(text, thousandths, (enum span_unit)calendar, out, f);
        if (calendar >= 0)
            return refuse(text, "days, weeks and months on the calendar stand alone", f);
        if (fixed < 0)
            return refuse_unit(text, number, word, f);
        if (!add_to_sum(&sum, thousandths, fixed))
            return refuse(text, "it is longer than a hundred years, or finer than 1ms", f);
        sum.is_proper = sum.is_proper && !has_fraction && !has_space;
        if (take(&r, ' ') && r.at == r.end)
            sum.is_proper = false;
    }
    if (!sum.is_proper) {
        fault_set(f, "\"%.*s\": whole numbers, larger units first, each once; write \"%.*s\"",
                  STR_ARG(shown(text)), STR_ARG(span_print(span_of_ms(sum.ms), advice)));
        return FIX_INPUT;
    }
    *out = span_of_ms(sum.ms);
    return OK;
}

enum status span_parse(struct str text, struct span *out, struct fault *f)
{
    if (str_starts(text, STR("-")) || str_starts(text, STR("+")))
        return refuse(text, "it has a sign; write it without", f);
    return read_span(text, out, f);
}

enum status span_parse_signed(struct str text, struct span *out, struct fault *f)
{
    bool is_negative = str_starts(text, STR("-"));
    bool has_sign = is_negative || str_starts(text, STR("+"));
    struct span span;

    if (read_span(str_part(text, has_sign, text.len), &span, f) != OK)
        return FIX_INPUT;
    if (is_negative) {
        span.ms = -span.ms;
        span.count = -span.count;
    }
    *out = span;
    return OK;
}

/* --- Printing spans --------------------------------------------------------------------------- */

struct writing {
    char *at;
    size_t room;
    size_t len;
};

static void put(struct writing *w, uint64_t number, const char *after)
{
    int got =
        snprintf(w->at + w->len, w->room - w->len, "%llu%s", (unsigned long long)number, after);
    must(got > 0);
    must((size_t)got < w->room - w->len);
    w->len += (size_t)got;
}

static void put_text(struct writing *w, const char *text)
{
    size_t len = strlen(text);

    must(len < w->room - w->len);
    memcpy(w->at + w->len, text, len + 1);
    w->len += len;
}

static struct str written(const struct writing *w)
{
    return (struct str){w->at, w->len};
}

static void put_calendar(struct writing *w, struct span span)
{
    uint64_t size = (uint64_t)(span.count < 0 ? -(int64_t)span.count : span.count);

    must((size_t)span.unit < array_count(calendar_units));
    if (span.count == 1) {
        put_text(w, calendar_units[span.unit].name);
        return;
    }
    put(w, size, " ");
    put_text(w, size == 1 ? calendar_units[span.unit].name : calendar_units[span.unit].plural);
}

static void put_fixed(struct writing *w, uint64_t ms)
{
    for (size_t i = 0; i < array_count(fixed_units); i++) {
        uint64_t unit_ms = (uint64_t)fixed_units[i].ms;
        bool is_week = i == 0;
        if (ms < unit_ms || (is_week && ms % unit_ms != 0))
            continue;
        put(w, ms / unit_ms, fixed_units[i].name);
        ms %= unit_ms;
    }
}

struct str span_print(struct span span, char *out)
{
    struct writing w = {out, SPAN_BYTES, 0};
    bool is_fixed = span.kind == SPAN_FIXED;

    out[0] = '\0';
    if (is_fixed ? span.ms < 0 : span.count < 0)
        put_text(&w, "-");
    if (!is_fixed)
        put_calendar(&w, span);
    else if (span.ms == 0)
        put_text(&w, "0s");
    else
        put_fixed(&w, span.ms < 0 ? -(uint64_t)span.ms : (uint64_t)span.ms);
    return written(&w);
}

/* --- Counting with spans ---------------------------------------------------------------------- */

int64_t span_add(struct span span, const struct zone *zone, int64_t at_ms)
{
    int64_t sum;

    if (at_ms == FOREVER_MS)
        return FOREVER_MS;
    if (span.kind == SPAN_FIXED) {
        if (__builtin_add_overflow(at_ms, span.ms, &sum))
            return span.ms < 0 ? INT64_MIN : FOREVER_MS;
        return sum;
    }
    must(zone);
    must(span.count >= -SPAN_MAX_COUNT);
    must(span.count <= SPAN_MAX_COUNT);
    switch (span.unit) {
    case SPAN_DAY: return zone_add_days(zone, at_ms, span.count);
    case SPAN_WEEK: return zone_add_days(zone, at_ms, span.count * 7);
    case SPAN_MONTH: return zone_add_months(zone, at_ms, span.count);
    }
    must(!"a unit of the calendar");
    return at_ms;
}

/* The first day of the unit in which `day` lies. */
static int64_t unit_start(enum span_unit unit, int64_t day)
{
    struct date date = civil_date(day);

    if (unit == SPAN_WEEK)
        return day - (int64_t)civil_weekday(day);
    if (unit == SPAN_MONTH)
        return day - date.day + 1;
    return day;
}

struct span_window span_window(struct span span, const struct zone *zone, int64_t at_ms)
{
    if (span.kind == SPAN_FIXED) {
        must(span.ms > 0);
        int64_t from_ms = span_add(span_of_ms(1 - span.ms), NULL, at_ms);
        return (struct span_window){from_ms, FOREVER_MS};
    }
    must(zone);
    must(span.count > 0);
    must(span.count <= SPAN_MAX_COUNT);
    int64_t first = unit_start(span.unit, zone_day(zone, at_ms));
    int32_t before = span.count - 1;
    switch (span.unit) {
    case SPAN_DAY:
        return (struct span_window){zone_day_begin(zone, first - before),
                                    zone_next_day_start(zone, at_ms)};
    case SPAN_WEEK:
        return (struct span_window){zone_day_begin(zone, first - before * 7),
                                    zone_next_week_start(zone, at_ms)};
    case SPAN_MONTH:
        first = civil_day(civil_add_months(civil_date(first), -before));
        return (struct span_window){zone_day_begin(zone, first),
                                    zone_next_month_start(zone, at_ms)};
    }
    must(!"a unit of the calendar");
    return (struct span_window){at_ms, FOREVER_MS};
}

/* --- Times of day ----------------------------------------------------------------------------- */

/* One or two digits, or exactly two. */
static bool take_pair(struct reading *r, size_t least, int32_t most, int32_t *out)
{
    struct str digits = take_while(r, is_digit);

    if (digits.len < least || digits.len > 2)
        return false;
    *out = 0;
    for (size_t i = 0; i < digits.len; i++)
        *out = *out * 10 + (digits.at[i] - '0');
    return *out <= most;
}

static bool read_clock(struct reading *r, int32_t *out)
{
    int32_t hour;
    int32_t minute;
    int32_t second = 0;

    if (!take_pair(r, 1, 24, &hour) || !take(r, ':') || !take_pair(r, 2, 59, &minute))
        return false;
    if (take(r, ':') && !take_pair(r, 2, 59, &second))
        return false;
    *out = ((hour * 60 + minute) * 60 + second) * 1000;
    return r->at == r->end && *out <= DAY_MS;
}

enum status clock_parse(struct str text, int32_t *out, struct fault *f)
{
    struct reading r = {text.at, text.at + text.len};
    int32_t ms;

    if (!read_clock(&r, &ms)) {
        fault_set(f, "\"%.*s\" is no time of day; write it like 08:00 or 21:30, in quotes",
                  STR_ARG(shown(text)));
        return FIX_INPUT;
    }
    *out = ms;
    return OK;
}

struct str clock_print(int32_t clock_ms, char *out)
{
    int32_t second = clock_ms / 1000;

    must(clock_ms >= 0);
    must(clock_ms <= DAY_MS);
    int got = snprintf(out, CLOCK_BYTES, second % 60 ? "%02d:%02d:%02d" : "%02d:%02d",
                       second / 3600, second / 60 % 60, second % 60);
    must(got > 0);
    must(got < CLOCK_BYTES);
    return (struct str){out, (size_t)got};
}

/* --- Weekdays --------------------------------------------------------------------------------- */

// clang-format off
static const struct weekday_name {
    const char *name;
    uint8_t weekdays;
} weekday_names[] = {
    {"mon", 1 << MONDAY},     {"monday", 1 << MONDAY},
    {"tue", 1 << TUESDAY},    {"tuesday", 1 << TUESDAY},
    {"wed", 1 << WEDNESDAY},  {"wednesday", 1 << WEDNESDAY},
    {"thu", 1 << THURSDAY},   {"thursday", 1 << THURSDAY},
    {"fri", 1 << FRIDAY},     {"friday", 1 << FRIDAY},
    {"sat", 1 << SATURDAY},   {"saturday", 1 << SATURDAY},
    {"sun", 1 << SUNDAY},     {"sunday", 1 << SUNDAY},
    {"weekday", WEEKDAYS_WORK},    {"weekdays", WEEKDAYS_WORK},
    {"weekend", WEEKDAYS_WEEKEND}, {"weekends", WEEKDAYS_WEEKEND},
    {"daily", WEEKDAYS_ALL},       {"every day", WEEKDAYS_ALL},
};
// clang-format on

/* The part of `text` before the next `end`, trimmed; `text` becomes what comes after it. */
static struct str take_part(struct str *text, char end)
{
    size_t at = 0;

    while (at < text->len && text->at[at] != end)
        at++;
    struct str part = str_part(*text, 0, at);
    *text = str_part(*text, at + 1, text->len);
    return str_trim(part);
}

static enum status find_weekdays(struct str name, uint8_t *out, struct fault *f)
{
    struct str known[array_count(weekday_names)];

    for (size_t i = 0; i < array_count(weekday_names); i++) {
        known[i] = str_of(weekday_names[i].name);
        if (str_equal_nocase(name, known[i])) {
            *out = weekday_names[i].weekdays;
            return OK;
        }
    }
    struct str near = str_nearest(name, known, array_count(known));
    if (near.len > 0)
        fault_set(f, "unknown weekday \"%.*s\"; did you mean \"%.*s\"?", STR_ARG(shown(name)),
                  STR_ARG(near));
    else
        fault_set(f,
                  "unknown weekday \"%.*s\"; write mon, tue, wed, thu, fri, sat, sun, weekday, "
                  "weekend or daily",
                  STR_ARG(shown(name)));
    return FIX_INPUT;
}

static bool is_one_day(uint8_t weekdays)
{
    return (weekdays & (weekdays - 1)) == 0;
}

/* `mon` or `mon-fri`. */
static enum status read_part(struct str part, uint8_t *out, struct fault *f)
{
    struct str whole = part;
    struct str from_name = take_part(&part, '-');
    bool is_range = from_name.len < whole.len;
    uint8_t from;
    uint8_t to;

    if (find_weekdays(from_name, &from, f) != OK)
        return FIX_INPUT;
    *out = from;
    if (!is_range)
        return OK;
    if (find_weekdays(str_trim(part), &to, f) != OK)
        return FIX_INPUT;
    if (!is_one_day(from) || !is_one_day(to)) {
        fault_set(f, "\"%.*s\": a range goes from one day to another, like mon-fri",
                  STR_ARG(shown(whole)));
        return FIX_INPUT;
    }
    for (uint8_t day = from; day != to; *out |= day)
        day = day == 1 << SUNDAY ? 1 << MONDAY : (uint8_t)(day << 1);
    return OK;
}

enum status weekdays_parse(struct str text, uint8_t *out, struct fault *f)
{
    struct str list = str_trim(text);
    uint8_t all = WEEKDAYS_NONE;
    uint8_t some;

    if (str_starts(list, STR("[")) && str_ends(list, STR("]")))
        list = str_trim(str_part(list, 1, list.len - 2));
    if (list.len == 0) {
        fault_set(f, "the list of weekdays is empty; write daily, or leave it out");
        return FIX_INPUT;
    }
    for (bool is_last = false; !is_last;) {
        is_last = str_find(list, STR(","), 0) == SIZE_MAX;
        if (read_part(take_part(&list, ','), &some, f) != OK)
            return FIX_INPUT;
        all |= some;
    }
    *out = all;
    return OK;
}

struct str weekdays_print(uint8_t weekdays, char *out)
{
    static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    struct writing w = {out, WEEKDAYS_BYTES, 0};

    out[0] = '\0';
    weekdays &= WEEKDAYS_ALL;
    if (weekdays == WEEKDAYS_NONE)
        put_text(&w, "never");
    else if (weekdays == WEEKDAYS_ALL)
        put_text(&w, "daily");
    else if (weekdays == WEEKDAYS_WORK)
        put_text(&w, "weekday");
    else if (weekdays == WEEKDAYS_WEEKEND)
        put_text(&w, "weekend");
    else
        for (size_t i = 0; i < array_count(days); i++) {
            if (!weekdays_has(weekdays, (enum weekday)i))
                continue;
            if (w.len > 0)
                put_text(&w, ", ");
            put_text(&w, days[i]);
        }
    return written(&w);
}
