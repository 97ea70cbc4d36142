/* recur.h - what comes again and again: the recurrence rules of calendars (RFC 5545 section
 * 3.3.10).
 *
 *     FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1     the last working day of each month
 *     FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8
 *
 * A rule speaks of the wall: its occurrences are times on some wall (milliseconds since 1970-01-01
 * 00:00 on it, as in zone.h), counted from a start. Only at the end does a zone make instants of
 * them, so "every day at nine" is nine on both sides of a change of the clock.
 *
 *     start      the first occurrence if the rule agrees with it, and what the rule leaves open:
 *                the time of day, the weekday of a weekly rule, the day of a monthly one
 *     period     a year, month, week, ... of FREQ; each INTERVAL-th, counted from the start's
 *     set        what BY... choose in a period, in order of time; BYSETPOS picks from it by number
 *
 * Where RFC 5545 leaves room, this is as libical has it: a yearly BYMONTHDAY without BYMONTH stays
 * in the start's month, and with BYWEEKNO the years are those to which the weeks belong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/fault.h"
#include "base/str.h"
#include "when/civil.h"

struct zone;

#define RECUR_POSITIONS_MAX 64     /* numbers in a BYSETPOS */
#define RECUR_INTERVAL_MAX  100000 /* largest INTERVAL */
#define RECUR_COUNT_MAX     100000 /* largest COUNT */
#define RECUR_BARREN_MAX    200000 /* periods without an occurrence, after which a rule has ended */

enum recur_unit {
    RECUR_SECONDLY,
    RECUR_MINUTELY,
    RECUR_HOURLY,
    RECUR_DAILY,
    RECUR_WEEKLY,
    RECUR_MONTHLY,
    RECUR_YEARLY,
};

enum recur_until { RECUR_UNTIL_NONE, RECUR_UNTIL_WALL, RECUR_UNTIL_UTC };

/* A set of small numbers that count from the front (1, 2, ...) or from the back (-1, -2, ...). */
struct recur_ends {
    uint64_t front[6]; /* bit n: n is in it; up to 366 */
    uint64_t back[6];  /* bit n: -n is in it */
};

/* A rule as it was read; plain data, nothing to free. Empty sets: not said. */
struct recur {
    enum recur_unit unit; /* FREQ */
    uint32_t interval;
    uint32_t count;                         /* 0: no end by number */
    enum recur_until until_kind;            /* which clock until_ms is by */
    int64_t until_ms;                       /* the last moment that still counts */
    enum weekday week_start;                /* WKST */
    uint64_t seconds;                       /* bits 0..59 */
    uint64_t minutes;                       /* bits 0..59 */
    uint32_t hours;                         /* bits 0..23 */
    uint16_t months;                        /* bits 1..12 */
    uint8_t weekdays;                       /* span.h: each such day of the period */
    bool has_numbered_weekdays;             /* BYDAY with numbers: */
    struct recur_ends numbered_weekdays[7]; /* by weekday: the how manieth of month or year */
    struct recur_ends month_days;
    struct recur_ends year_days;
    struct recur_ends weeks;
    bool has_month_days;
    bool has_year_days;
    bool has_weeks;
    uint32_t position_count; /* BYSETPOS */
    int32_t positions[RECUR_POSITIONS_MAX];
};

/* Where a recurrence starts. */
struct recur_start {
    int64_t wall_ms;   /* whole seconds; what is below them is cut off */
    bool is_date_only; /* occurrences are days: BYHOUR, BYMINUTE and BYSECOND say nothing (to a rule
                        * of hours, minutes or seconds it is the day's midnight) */
};

/* Reads a rule such as "FREQ=WEEKLY;BYDAY=MO,WE;COUNT=10" ("RRULE:" before it and ';' after it do
 * no harm) from the whole of `text` into *out. An UNTIL without a time lasts to the end of that
 * day. FIX_INPUT (*out untouched) with a sentence; `f` may be NULL. */
enum status recur_parse(struct str text, struct recur *out, struct fault *f) mustuse;

/* Reads a rule as people say it: "every monday at 09:00", "every 2 weeks on tue", "every month on the
 * last day", "every year on 24 december", "every 15 minutes" (recur_words.c has them all). The time of
 * day into *clock_ms, -1 where none is said. What the words leave open the start says, but a week
 * begins on Monday and a month on its first. FIX_INPUT (*out untouched) with a sentence; `f` may be
 * NULL. */
enum status recur_words_parse(struct str text, struct recur *out, int32_t *clock_ms,
                              struct fault *f) mustuse;

/* Reads "20260302" or "20260302T090000" (a final 'Z' is passed over) as a start. False: it is none.
 * */
bool recur_start_parse(struct str text, struct recur_start *out) mustuse;

/* --- On the wall ------------------------------------------------------------------------------ */

#define RECUR_DAYS_MAX 371 /* in a year of 53 weeks */

/* A walk through the occurrences in order of time. Plain data of about 3 KB; its fields are its own
 * business. */
struct recur_walk {
    const struct recur *rule; /* kept */
    struct recur_start start;
    int64_t from_ms;      /* earlier ones are passed over */
    int64_t period;       /* the next to look at: its number, counted from the start's */
    int64_t first_period; /* what number 0 is: a year, a month, a day, ... */
    uint32_t given;       /* occurrences so far */
    bool is_over;
    uint16_t months; /* with what the start says where the rule does not: */
    uint8_t weekdays;
    uint8_t month_day;  /* 0: as the rule says */
    uint32_t set_at;    /* the set of the present period: the next one to give, */
    uint32_t set_count; /* of so many */
    uint32_t day_count;
    uint32_t clock_counts[3]; /* hours, minutes, seconds: how many of each */
    uint8_t clocks[3][60];    /* and which */
    uint32_t pick_count;      /* by BYSETPOS */
    uint32_t picks[RECUR_POSITIONS_MAX];
    int64_t days[RECUR_DAYS_MAX];
};

/* Before the first occurrence of `rule`, which must outlive the walk. */
void recur_walk_init(struct recur_walk *w, const struct recur *rule, struct recur_start start);

/* The next occurrence into *wall_ms. False if there is none: the rule has ended by COUNT or UNTIL
 * (read as if the wall showed UTC), or the year is after 9999, or nothing came in RECUR_BARREN_MAX
 * periods. */
bool recur_walk_next(struct recur_walk *w, int64_t *wall_ms) mustuse;

/* --- As instants ------------------------------------------------------------------------------ */

/* The first occurrence after `after_ms` on the wall of `zone`, as zone_utc() makes an instant of
 * it; FOREVER_MS if there is none. A rule with COUNT is walked from its start, any other one from
 * the period in which `after_ms` lies. */
int64_t recur_next_ms(const struct recur *rule, struct recur_start start, const struct zone *zone,
                      int64_t after_ms);
