/* Days, dates, and instants as text.
 *
 * The one trick: a year that begins in March has its odd day at the end, so that neither the leap
 * day nor the short February disturbs what comes before it. Counted so, the lengths of the months
 * (31 30 31 30 31 | 31 30 31 30 31 | 31 28) follow (153 * month + 2) / 5, and 400 years are always
 * 146,097 days. Day 0 of this count is 0000-03-01, which is day -719,468 of ours.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/civil.h"

#include <math.h>

#define DAYS_PER_400_YEARS INT64_C(146097)
#define DAY_OF_0000_03_01  INT64_C(-719468)

/* --- Days and dates --------------------------------------------------------------------------- */

int64_t civil_day(struct date date)
{
    must(date.month >= 1);
    must(date.month <= 12);

    int64_t year = (int64_t)date.year - (date.month <= 2);
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;                           /* 0..399 */
    int64_t month = date.month > 2 ? date.month - 3 : date.month + 9; /* March is 0 */
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * DAYS_PER_400_YEARS + day_of_era + DAY_OF_0000_03_01;
}

/* Any day, by plain division. */
static struct date date_far(int64_t day)
{
    int64_t since = day - DAY_OF_0000_03_01;
    int64_t era = floor_div(since, DAYS_PER_400_YEARS);
    uint32_t day_of_era = (uint32_t)(since - era * DAYS_PER_400_YEARS); /* 0..146096 */
    /* Take the leap days out (one in 1,460 days, but not one in 36,524, but one in 146,096): what
     * remains are years of 365 days. */
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t month = (5 * day_of_year + 2) / 153; /* March is 0 */
    bool is_next_year = month >= 10;              /* January and February */

    return (struct date){
        .year = (int32_t)(era * 400 + year_of_era + is_next_year),
        .month = (uint8_t)(is_next_year ? month - 9 : month + 3),
        .day = (uint8_t)(day_of_year - (153 * month + 2) / 5 + 1),
    };
}

/* The same for some 400,000 years before 1970 and 2 million after, in words of 32 bits: a century is
 * (4 * days + 3) / 146097, a year in it (4 * days + 3) / 1461, a month (2141 * days + 197913) / 2^16
 * (C. Neri and L. Schneider, Euclidean affine functions and their application to calendar
 * algorithms, 2022). The division by 1461 is a multiplication by 2^32 / 1461, whose lower half is
 * the remainder. */
struct date civil_date(int64_t day)
{
    const int64_t shift_years = 400000;
    const uint64_t at =
        (uint64_t)(day - DAY_OF_0000_03_01 + shift_years / 400 * DAYS_PER_400_YEARS);

    must(day > -(INT64_C(1) << 38));
    must(day < INT64_C(1) << 38);
    if (unlikely(at >= UINT64_C(1) << 30))
        return date_far(day);

    uint32_t quarters = 4 * (uint32_t)at + 3;
    uint32_t century = quarters / 146097;
    uint64_t year = (uint64_t)(quarters % 146097 | 3) * 2939745;
    uint32_t day_of_year = (uint32_t)year / 2939745 / 4;
    uint32_t month = 2141 * day_of_year + 197913; /* above 16 bits; March is 3 */
    bool is_next_year = day_of_year >= 306;       /* January and February */

    return (struct date){
        .year =
            (int32_t)(100 * century + (uint32_t)(year >> 32) + is_next_year) - (int32_t)shift_years,
        .month = (uint8_t)((month >> 16) - (is_next_year ? 12 : 0)),
        .day = (uint8_t)((month & 0xffff) / 2141 + 1),
    };
}

enum weekday civil_weekday(int64_t day)
{
    return (enum weekday)floor_mod(day + THURSDAY, 7);
}

bool civil_is_leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

uint32_t civil_month_days(int32_t year, uint32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    must(month >= 1);
    must(month <= 12);

    return days[month - 1] + (month == 2 && civil_is_leap(year));
}

uint32_t civil_day_of_year(struct date date)
{
    return (uint32_t)(civil_day(date) - civil_day((struct date){date.year, 1, 1}) + 1);
}

bool civil_is_date(struct date date)
{
    return date.month >= 1 && date.month <= 12 && date.day >= 1 &&
           date.day <= civil_month_days(date.year, date.month);
}

struct date civil_add_months(struct date date, int32_t months)
{
    int64_t month = (int64_t)date.year * 12 + (date.month - 1) + months;
    struct date to = {
        .year = (int32_t)floor_div(month, 12),
        .month = (uint8_t)(floor_mod(month, 12) + 1),
    };
    uint32_t days = civil_month_days(to.year, to.month);

    to.day = (uint8_t)min_of(date.day, days);
    return to;
}

struct iso_week civil_iso_week(int64_t day)
{
    int64_t thursday = day - (int64_t)civil_weekday(day) + THURSDAY;
    int32_t year = civil_date(thursday).year;
    int64_t first = civil_day((struct date){year, 1, 1});

    return (struct iso_week){year, (uint32_t)((thursday - first) / 7 + 1)};
}

/* --- Reading ---------------------------------------------------------------------------------- */

#define SHOWN_BYTES_MAX 64 /* of a wrong text, in a sentence about it */

/* A text being read from left to right. */
struct reading {
    const char *at;
    const char *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_at_end(const struct reading *r)
{
    return r->at == r->end;
}

/* Steps over `c` if it is next. */
static bool take(struct reading *r, char c)
{
    if (is_at_end(r) || *r->at != c)
        return false;
    r->at++;
    return true;
}

/* Steps over exactly `count` digits (at most 9), the number they write into *out. */
static bool take_digits(struct reading *r, int count, uint32_t *out)
{
    uint32_t number = 0;

    if (r->end - r->at < count)
        return false;
    for (int i = 0; i < count; i++) {
        if (!is_digit(r->at[i]))
            return false;
        number = number * 10 + (uint32_t)(r->at[i] - '0');
    }
    r->at += count;
    *out = number;
    return true;
}

/* One to nine digits after the point, as nanoseconds. */
static bool take_fraction(struct reading *r, uint32_t *out_ns)
{
    uint32_t ns = 0;
    uint32_t scale = 100000000;

    if (is_at_end(r) || !is_digit(*r->at))
        return false;
    while (!is_at_end(r) && is_digit(*r->at)) {
        if (scale == 0)
            return false;
        ns += (uint32_t)(*r->at++ - '0') * scale;
        scale /= 10;
    }
    *out_ns = ns;
    return true;
}

enum offset_form { OFFSET_COLON, OFFSET_ANY };

/* "Z", "+01:00", and in OFFSET_ANY also "+0100" and "+01". */
static bool take_offset(struct reading *r, enum offset_form form, int32_t *out_ms)
{
    uint32_t hours;
    uint32_t minutes = 0;

    if (take(r, 'Z') || take(r, 'z')) {
        *out_ms = 0;
        return true;
    }
    bool is_west = take(r, '-');
    if (!is_west && !take(r, '+'))
        return false;
    if (!take_digits(r, 2, &hours))
        return false;
    bool has_colon = take(r, ':');
    bool has_minutes = take_digits(r, 2, &minutes);
    if (has_colon && !has_minutes)
        return false;
    if (form == OFFSET_COLON && !has_colon)
        return false;
    if (hours > 23 || minutes > 59)
        return false;
    int64_t ms = hours * HOUR_MS + minutes * MINUTE_MS;
    *out_ms = (int32_t)(is_west ? -ms : ms);
    return true;
}

bool offset_parse(struct str text, int32_t *offset_ms)
{
    struct reading r = {text.at, text.at + text.len};
    int32_t ms;

    if (!take_offset(&r, OFFSET_ANY, &ms) || !is_at_end(&r))
        return false;
    *offset_ms = ms;
    return true;
}

/* "12:00", "12:00:30", "12:00:30.5" as milliseconds since midnight and what is below them. */
static const char *take_clock(struct reading *r, enum timestamp_form form, int64_t *out_ms,
                              uint32_t *out_sub_ns)
{
    uint32_t hour;
    uint32_t minute;
    uint32_t second = 0;
    uint32_t ns = 0;

    if (!take_digits(r, 2, &hour) || !take(r, ':') || !take_digits(r, 2, &minute))
        return "the time is not written hh:mm:ss";
    if (take(r, ':')) {
        if (!take_digits(r, 2, &second))
            return "the time is not written hh:mm:ss";
        if (take(r, '.') && !take_fraction(r, &ns))
            return "the fraction of a second has no digits, or more than nine";
    } else if (form == TIMESTAMP_RFC3339) {
        return "the seconds are missing";
    }
    if (hour > 23)
        return "there is no such hour";
    if (minute > 59)
        return "there is no such minute";
    if (second > 60)
        return "there is no such second";
    *out_ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + ns / 1000000;
    *out_sub_ns = ns % 1000000;
    return NULL;
}

/* The zone of a loose text: nothing, or an offset or "UTC", a space before it or not. */
static const char *take_zone_loose(struct reading *r, struct timestamp *out)
{
    struct str rest;

    if (is_at_end(r))
        return NULL;
    take(r, ' ');
    rest = (struct str){r->at, (size_t)(r->end - r->at)};
    if (str_equal(rest, STR("UTC")))
        r->at = r->end;
    else if (!take_offset(r, OFFSET_ANY, &out->offset_ms))
        return "what follows the time is not an offset such as Z or +01:00";
    out->has_offset = true;
    return NULL;
}

/* What is wrong with the text, or NULL, and *out is filled. */
static const char *read_timestamp(struct reading *r, enum timestamp_form form,
                                  struct timestamp *out)
{
    uint32_t year;
    uint32_t month;
    uint32_t day;
    int64_t clock_ms = 0;
    const char *wrong;

    if (!take_digits(r, 4, &year) || !take(r, '-') || !take_digits(r, 2, &month) || !take(r, '-') ||
        !take_digits(r, 2, &day))
        return "it does not begin with a date such as 2026-03-02";
    struct date date = {(int32_t)year, (uint8_t)month, (uint8_t)day};
    if (!civil_is_date(date))
        return "there is no such date";

    out->has_time = form == TIMESTAMP_RFC3339 || !is_at_end(r);
    if (out->has_time) {
        bool has_mark = take(r, 'T') || take(r, 't') || (form == TIMESTAMP_LOOSE && take(r, ' '));
        if (!has_mark)
            return "date and time are not joined by a T";
        wrong = take_clock(r, form, &clock_ms, &out->sub_ns);
        if (wrong)
            return wrong;
        if (form == TIMESTAMP_LOOSE) {
            wrong = take_zone_loose(r, out);
            if (wrong)
                return wrong;
        } else if (!(out->has_offset = take_offset(r, OFFSET_COLON, &out->offset_ms))) {
            return "the offset (Z or +01:00) is missing";
        }
    }
    if (!is_at_end(r))
        return "something follows it";
    out->at_ms = civil_day(date) * DAY_MS + clock_ms - out->offset_ms;
    if (out->at_ms < TIMESTAMP_MIN_MS || out->at_ms > TIMESTAMP_MAX_MS)
        return "it lies outside the years 1 to 9999";
    return NULL;
}

/* Eight bytes of "YYYY-MM-DDThh:mm:ss.mmmZ", the digits as numbers; false where another character stands.
 * `form` has a '0' for each digit; in `digits` each of them has its low nibble set. */
static inline bool take_word(const char *at, const char form[8], uint64_t digits, uint8_t out[8])
{
    uint64_t word, zeros;
    memcpy(&word, at, sizeof(word));
    memcpy(&zeros, form, sizeof(zeros));
    word ^= zeros; /* a digit becomes 0 to 9, what joins them 0 */
    uint64_t above_nine = (word + (digits & UINT64_C(0x0606060606060606))) & ~digits;
    memcpy(out, &word, sizeof(word));
    return ((word & ~digits) | above_nine) == 0;
}

/* What nearly every client writes; false: read it as any other. */
static bool read_usual(struct str text, struct timestamp *out)
{
    uint8_t a[8], b[8], c[8];

    if (text.len != 24 || !take_word(text.at, "0000-00-", UINT64_C(0x000f0f000f0f0f0f), a) ||
        !take_word(text.at + 8, "00T00:00", UINT64_C(0x0f0f000f0f000f0f), b) ||
        !take_word(text.at + 16, ":00.000Z", UINT64_C(0x000f0f0f000f0f00), c))
        return false;
    struct date date = {
        .year = a[0] * 1000 + a[1] * 100 + a[2] * 10 + a[3],
        .month = (uint8_t)(a[5] * 10 + a[6]),
        .day = (uint8_t)(b[0] * 10 + b[1]),
    };
    int64_t hour = b[3] * 10 + b[4], minute = b[6] * 10 + b[7], second = c[1] * 10 + c[2];
    if (date.year < 1 || !civil_is_date(date) || hour > 23 || minute > 59 || second > 59)
        return false;
    *out = (struct timestamp){
        .at_ms = civil_day(date) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS +
                 second * SECOND_MS + c[4] * 100 + c[5] * 10 + c[6],
        .has_time = true,
        .has_offset = true,
    };
    return true;
}

enum status timestamp_parse(struct str text, enum timestamp_form form, struct timestamp *out,
                            struct fault *f)
{
    struct reading r = {text.at, text.at + text.len};
    struct timestamp got = {0};
    if (read_usual(text, out))
        return OK;
    const char *wrong = read_timestamp(&r, form, &got);

    if (wrong) {
        fault_set(f, "\"%.*s\" is no timestamp: %s; write it like 2026-03-02T12:00:00Z",
                  STR_ARG(str_part(text, 0, SHOWN_BYTES_MAX)), wrong);
        return FIX_INPUT;
    }
    *out = got;
    return OK;
}

bool timestamp_from_number(double number, int64_t *at_ms)
{
    double size = fabs(number);
    double ms;

    if (!isfinite(number))
        return false;
    if (size <= 1e11)
        ms = floor(number * 1e3 + 0.5); /* 1700000000.123 is just below that, written in binary */
    else if (size <= 1e14)
        ms = floor(number);
    else if (size <= 1e17)
        ms = floor(number / 1e3);
    else
        ms = floor(number / 1e6);
    if (ms < (double)TIMESTAMP_MIN_MS || ms > (double)TIMESTAMP_MAX_MS)
        return false;
    *at_ms = (int64_t)ms;
    return true;
}

/* --- Printing --------------------------------------------------------------------------------- */

/* The number's last `count` digits, and where to go on. */
static char *put_digits(char *at, uint32_t number, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + count;
}

static char *put_char(char *at, char c)
{
    *at = c;
    return at + 1;
}

static int64_t clip(int64_t x, int64_t least, int64_t most)
{
    return x < least ? least : x > most ? most : x;
}

/* "2026-03-02" */
static char *put_date(char *at, int64_t day)
{
    struct date date = civil_date(day);

    at = put_char(put_digits(at, (uint32_t)date.year, 4), '-');
    at = put_char(put_digits(at, date.month, 2), '-');
    return put_digits(at, date.day, 2);
}

/* "2026-03-02T12:00:00" */
static char *put_seconds(char *at, int64_t wall_ms)
{
    uint32_t second = (uint32_t)(floor_mod(wall_ms, DAY_MS) / SECOND_MS);

    at = put_char(put_date(at, floor_div(wall_ms, DAY_MS)), 'T');
    at = put_char(put_digits(at, second / 3600, 2), ':');
    at = put_char(put_digits(at, second / 60 % 60, 2), ':');
    return put_digits(at, second % 60, 2);
}

static struct str end_text(char *out, char *end)
{
    must(end - out < TIMESTAMP_BYTES);
    *end = '\0';
    return (struct str){out, (size_t)(end - out)};
}

struct str timestamp_print(int64_t at_ms, char *out)
{
    int64_t ms = clip(at_ms, TIMESTAMP_MIN_MS, TIMESTAMP_MAX_MS);
    char *at = put_char(put_seconds(out, ms), '.');

    at = put_digits(at, (uint32_t)floor_mod(ms, SECOND_MS), 3);
    return end_text(out, put_char(at, 'Z'));
}

struct str timestamp_print_exact(int64_t at_ms, uint32_t sub_ns, int32_t offset_ms, char *out)
{
    must(sub_ns < 1000000);
    must(offset_ms > -DAY_MS);
    must(offset_ms < DAY_MS);

    int32_t minutes = offset_ms / (int32_t)MINUTE_MS;
    uint32_t minutes_size = (uint32_t)(minutes < 0 ? -minutes : minutes);
    int64_t wall_ms = clip(at_ms, TIMESTAMP_MIN_MS, TIMESTAMP_MAX_MS) + minutes * MINUTE_MS;
    wall_ms = clip(wall_ms, TIMESTAMP_MIN_MS, TIMESTAMP_MAX_MS);
    uint32_t ns = (uint32_t)floor_mod(wall_ms, SECOND_MS) * 1000000 + sub_ns;
    char *at = put_seconds(out, wall_ms);

    if (ns > 0) {
        at = put_digits(put_char(at, '.'), ns, 9);
        while (at[-1] == '0')
            at--;
    }
    if (minutes == 0)
        return end_text(out, put_char(at, 'Z'));
    at = put_digits(put_char(at, minutes < 0 ? '-' : '+'), minutes_size / 60, 2);
    at = put_digits(put_char(at, ':'), minutes_size % 60, 2);
    return end_text(out, at);
}

struct str date_print(int64_t day, char *out)
{
    int64_t clipped = clip(day, TIMESTAMP_MIN_MS / DAY_MS, TIMESTAMP_MAX_MS / DAY_MS);

    return end_text(out, put_date(out, clipped));
}
