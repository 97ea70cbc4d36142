/* span.h - stretches of time, times of day and weekdays as people write them.
 *
 * A span is one of two kinds. A *fixed* one is a number of milliseconds: `3d` is 72 hours, whatever
 * the clocks do. A *calendar* one counts days, weeks or months on the wall of some zone: `day` ends
 * at midnight, which may be 23 or 25 hours after it began.
 *
 *     fixed       500ms  90s  15m  2h  3d  2w  1d12h      each unit once, larger ones first
 *     calendar    day  week  month  2 days  3 weeks  6 months
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/fault.h"
#include "base/str.h"
#include "when/civil.h"

struct zone;

/* --- Spans ------------------------------------------------------------------------------------ */

#define SPAN_MAX_MS    (INT64_C(36500) * DAY_MS) /* longest fixed span: a hundred years */
#define SPAN_MAX_COUNT 1200                      /* largest count of a calendar span */
#define SPAN_BYTES     48                        /* room for any printed span and a NUL */

enum span_kind { SPAN_FIXED, SPAN_CALENDAR };
enum span_unit { SPAN_DAY, SPAN_WEEK, SPAN_MONTH };

struct span {
    enum span_kind kind;
    enum span_unit unit; /* calendar: of what */
    int32_t count;       /* calendar: how many; below 0 = earlier */
    int64_t ms;          /* fixed: how long; below 0 = earlier */
};

static inline struct span span_of_ms(int64_t ms)
{
    return (struct span){.kind = SPAN_FIXED, .ms = ms};
}

static inline struct span span_of_calendar(int32_t count, enum span_unit unit)
{
    return (struct span){.kind = SPAN_CALENDAR, .unit = unit, .count = count};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.kind == b.kind &&
           (a.kind == SPAN_FIXED ? a.ms == b.ms : a.unit == b.unit && a.count == b.count);
}

/* Reads a span from the whole of `text` into *out. One space may stand between the parts of a fixed
 * one; `0` needs no unit; a calendar one counts at least 1. FIX_INPUT (*out untouched) with a
 * sentence that says what to write instead. */
enum status span_parse(struct str text, struct span *out, struct fault *f) mustuse;

/* The same with a sign before it, for offsets: `-3d`, `+2h`, `-1 month`. */
enum status span_parse_signed(struct str text, struct span *out, struct fault *f) mustuse;

/* With the largest units that fit (`36h` is `1d12h`; weeks only where they come out even),
 * NUL-terminated into `out` (SPAN_BYTES or more); returns the text in it. Of a span within the
 * limits above, span_parse_signed() reads it back as an equal one. */
struct str span_print(struct span span, char *out);

/* The instant `span` after `at_ms`: a fixed one by its length, a calendar one at the same time on
 * the wall of `zone` (which may be NULL for a fixed one). FOREVER_MS stays what it is. */
int64_t span_add(struct span span, const struct zone *zone, int64_t at_ms);

/* The window of a count such as "3 per 7d" or "2 per day" which `at_ms` closes or lies in. */
struct span_window {
    int64_t from_ms; /* counted from here on */
    int64_t
        until_ms; /* a calendar one ends here, first instant after it; a sliding one: FOREVER_MS */
};

/* Fixed: the last `span` before `at_ms`; it slides, what happened at t has left it at t + span.ms:
 * from_ms is the first instant inside. Calendar: this day, week (from Monday) or month of `zone`,
 * with count - 1 before it. Requires a span above 0, and a zone for a calendar one. */
struct span_window span_window(struct span span, const struct zone *zone, int64_t at_ms);

/* --- Times of day ----------------------------------------------------------------------------- */

#define CLOCK_BYTES 16 /* room for any printed time of day and a NUL */

/* Reads `21:00`, `8:30` or `21:00:30` (also `24:00`, the end of the day: DAY_MS) from the whole of
 * `text` as milliseconds since midnight on the wall. FIX_INPUT: not one; *out untouched. */
enum status clock_parse(struct str text, int32_t *out, struct fault *f) mustuse;

/* `21:00`, with seconds only where there are some. Requires 0 <= clock_ms <= DAY_MS. */
struct str clock_print(int32_t clock_ms, char *out);

/* --- Weekdays --------------------------------------------------------------------------------- */

/* A set of weekdays is a byte: bit 0 Monday ... bit 6 Sunday. */
#define WEEKDAYS_NONE    UINT8_C(0)
#define WEEKDAYS_ALL     UINT8_C(0x7f)
#define WEEKDAYS_WORK    UINT8_C(0x1f)
#define WEEKDAYS_WEEKEND UINT8_C(0x60)
#define WEEKDAYS_BYTES   32 /* room for any printed set and a NUL */

static inline bool weekdays_has(uint8_t weekdays, enum weekday day)
{
    return (weekdays >> day & 1) != 0;
}

/* Reads `mon`, `Monday`, `weekday`, `weekend`, `daily`, a range `mon-fri` (it may pass Sunday), or
 * a list of these by commas, in brackets or not. FIX_INPUT: unknown name, empty list. */
enum status weekdays_parse(struct str text, uint8_t *out, struct fault *f) mustuse;

/* `daily`, `weekday`, `weekend`, else `mon, wed`; the empty set is `never`. */
struct str weekdays_print(uint8_t weekdays, char *out);
