/* civil.h - days and dates without a zone, and instants as text.
 *
 * The calendar is the proleptic Gregorian one: the rules of today, back and forth without end. A
 * day is a number, 0 = 1970-01-01; an instant is UTC milliseconds since that day began. Leap
 * seconds do not exist here, as they do not in POSIX.
 *
 *      day      -1            0            1
 *          -----|-------------|-------------|-----
 *      1969-12-31     1970-01-01    1970-01-02
 *         Wednesday      Thursday       Friday
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/fault.h"
#include "base/str.h"

/* Weeks begin on Monday, as ISO 8601 has it. (CEL's getDayOfWeek() counts from Sunday: it is
 * (weekday + 1) % 7.) */
enum weekday { MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY };

struct date {
    int32_t year;  /* 0 is 1 BC */
    uint8_t month; /* 1..12 */
    uint8_t day;   /* 1..31 */
};

/* The number of the day `date`. Requires a month of 1..12; a day outside its month counts on
 * (day 0 is the last of the month before, 32 January is 1 February). */
int64_t civil_day(struct date date);

/* The date of day number `day`. Requires |day| < 2^38 (a few hundred million years). */
struct date civil_date(int64_t day);

/* The weekday of day number `day`. */
enum weekday civil_weekday(int64_t day);

bool civil_is_leap(int32_t year);

/* 28..31. Requires a month of 1..12. */
uint32_t civil_month_days(int32_t year, uint32_t month);

/* 1..366: the how manieth day of its year `date` is. */
uint32_t civil_day_of_year(struct date date);

/* Whether the date exists: month 1..12, day within the month. */
bool civil_is_date(struct date date);

/* `date` moved by `months`; a day that the month lacks becomes its last one (31 January plus one
 * month is 28 or 29 February). */
struct date civil_add_months(struct date date, int32_t months);

struct iso_week {
    int32_t year;  /* the year that owns the week: that of its Thursday */
    uint32_t week; /* 1..53 */
};

/* The ISO 8601 week in which day number `day` lies. */
struct iso_week civil_iso_week(int64_t day);

/* Division that rounds towards minus infinity, so that the day before 1970 is -1 and not 0.
 * Requires by > 0. */
static inline int64_t floor_div(int64_t x, int64_t by)
{
    int64_t q = x / by;
    return q - (x % by < 0);
}

/* What floor_div() leaves: 0 <= result < by. Requires by > 0. */
static inline int64_t floor_mod(int64_t x, int64_t by)
{
    int64_t r = x % by;
    return r < 0 ? r + by : r;
}

/* --- Instants as text and as numbers ---------------------------------------------------------- */

/* The first and the last millisecond of the years 1 to 9999: what text can carry. */
#define TIMESTAMP_MIN_MS INT64_C(-62135596800000)
#define TIMESTAMP_MAX_MS INT64_C(253402300799999)

/* Room for any printed instant and a NUL: "2026-03-02T12:00:00.123456789+01:00". */
#define TIMESTAMP_BYTES 40

struct timestamp {
    int64_t at_ms;     /* UTC; without an offset in the text: the wall's, as if it stood in UTC */
    uint32_t sub_ns;   /* 0..999999, within the millisecond */
    int32_t offset_ms; /* what the text said; 0 for "Z" and for none */
    bool has_offset;   /* "Z" or "+01:00" was written; false: at_ms is the wall's, see zone_utc() */
    bool has_time;     /* false: a date alone; at_ms is its midnight */
};

/* How exact a text must be. */
enum timestamp_form {
    TIMESTAMP_RFC3339, /* 2026-03-02T12:00:00.5+01:00: RFC 3339 section 5.6 to the letter */
    TIMESTAMP_LOOSE,   /* also: a space for the T, no offset, +0100 or +01, UTC, a space before
                        * these, no seconds, a date alone */
};

/* Reads an instant from the whole of `text` into *out. Both forms take small letters for T and Z,
 * and a fraction of one to nine digits. A second of 60 is taken, and counts as the first of the
 * next minute. FIX_INPUT (*out untouched) where the text is none, the date does not exist, or the
 * instant lies outside years 1 to 9999. `f` may be NULL. */
enum status timestamp_parse(struct str text, enum timestamp_form form, struct timestamp *out,
                            struct fault *f) mustuse;

/* The instant that a bare number means, by its size: seconds up to 10^11 (the year 5138), above
 * that milliseconds up to 10^14, microseconds up to 10^17, then nanoseconds; negative ones alike.
 * So milliseconds before March 1973 are taken for seconds: nobody's event is that old. False (and
 * *at_ms untouched) if it is not finite or lies outside years 1 to 9999. */
bool timestamp_from_number(double number, int64_t *at_ms) mustuse;

/* "2026-03-02T12:00:00.000Z" into `out` (TIMESTAMP_BYTES or more, NUL-terminated); returns the
 * text in it. An instant outside years 1 to 9999 is printed as the nearest one inside. */
struct str timestamp_print(int64_t at_ms, char *out);

/* The same with as many digits of a fraction as needed (none to nine, no trailing zero), and the
 * clock of `offset_ms`: "2026-03-02T13:00:00.5+01:00"; an offset of 0 is "Z". Requires sub_ns <
 * 1000000; seconds of the offset are not shown, so the clock printed is that of the offset cut
 * down to minutes. */
struct str timestamp_print_exact(int64_t at_ms, uint32_t sub_ns, int32_t offset_ms, char *out);

/* "2026-03-02" of day number `day`, into `out` (TIMESTAMP_BYTES or more); clipped as above. */
struct str date_print(int64_t day, char *out);

/* Reads "Z", "+01:00", "-0330" or "+01" from the whole of `text`; at most 23:59 either way. False
 * (and *offset_ms untouched) if it is none. */
bool offset_parse(struct str text, int32_t *offset_ms) mustuse;
