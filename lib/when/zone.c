/* From UTC to the wall and back.
 *
 * The way out is a look-up (zone_int.h). The way back has one rule for gaps, folds and all that
 * odder zones have come up with: *the first instant at which the wall shows the time asked for, or
 * a later one*. Stretches are walked in order of time, and the first whose end shows more than the
 * time asked for holds the answer:
 *
 *                      offset A              offset B
 *      UTC      -------------------------|-----------------------
 *      gap      ... 01:58 01:59 (02:00)  | 03:00 03:01 ...        asked 02:30: not before the bar;
 *                                                                  the first of B shows more
 *      fold     ... 02:58 02:59 (03:00)  | 02:00 02:01 ...        asked 02:30: before the bar,
 *                                                                  B is never looked at
 *
 * Since no offset is more than 26 hours, the walk begins 26 hours before the time asked for, read
 * as UTC, and takes one or two steps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/zone_int.h"

/* --- The table -------------------------------------------------------------------------------- */

void zone_index(struct zone *zone)
{
    uint32_t at = 0;

    for (int64_t bucket = 0; bucket < ZONE_BUCKETS; bucket++) {
        int64_t start_ms = bucket << ZONE_BUCKET_SHIFT;
        while (at + 1 < zone->count && zone->changes[at + 1].at_ms <= start_ms)
            at++;
        zone->hint[bucket] = (uint16_t)at;
    }
}

static bool is_offset(int64_t offset_ms)
{
    return offset_ms >= -ZONE_OFFSET_MAX_MS && offset_ms <= ZONE_OFFSET_MAX_MS;
}

void zone_check(const struct zone *zone)
{
    must(zone->count >= 1);
    must(zone->count <= UINT16_MAX);
    must(zone->changes[0].at_ms == INT64_MIN);
    must(zone->changes[zone->count].at_ms == INT64_MAX);
    must(is_offset(zone->changes[0].offset_ms));
    for (uint32_t i = 1; i < zone->count; i++) {
        must(zone->changes[i].at_ms > zone->changes[i - 1].at_ms);
        must(zone->changes[i].at_ms >= -ZONE_EDGE_MS);
        must(zone->changes[i].at_ms < ZONE_TABLE_END_MS);
        must(zone->changes[i].offset_ms != zone->changes[i - 1].offset_ms);
        must(is_offset(zone->changes[i].offset_ms));
    }
    for (int64_t bucket = 0; bucket < ZONE_BUCKETS; bucket++) {
        uint32_t at = zone->hint[bucket];
        must(at < zone->count);
        must(zone->changes[at].at_ms <= bucket << ZONE_BUCKET_SHIFT);
        must(zone->changes[at + 1].at_ms > bucket << ZONE_BUCKET_SHIFT);
    }
}

static const struct zone_change utc_changes[] = {{INT64_MIN, 0}, {INT64_MAX, 0}};
static const struct zone utc = {.changes = utc_changes, .count = 1};

const struct zone *zone_of_utc(void)
{
    return &utc;
}

/* The index of the last change not after `at_ms`, found by halves. */
static uint32_t search(const struct zone *zone, int64_t at_ms)
{
    uint32_t from = 0; /* not after it */
    uint32_t to = zone->count;

    while (to - from > 1) {
        uint32_t middle = from + (to - from) / 2;
        if (zone->changes[middle].at_ms <= at_ms)
            from = middle;
        else
            to = middle;
    }
    return from;
}

static inline bool is_in_buckets(int64_t at_ms)
{
    return (uint64_t)at_ms < (uint64_t)ZONE_TABLE_END_MS;
}

/* The same for an instant in the buckets. */
static inline const struct zone_change *look_up(const struct zone *zone, int64_t at_ms)
{
    const struct zone_change *change = &zone->changes[zone->hint[at_ms >> ZONE_BUCKET_SHIFT]];

    while (change[1].at_ms <= at_ms)
        change++;
    return change;
}

static int64_t clamp_to(int64_t at_ms, int64_t edge_ms)
{
    return max_of(-edge_ms, min_of(at_ms, edge_ms));
}

static int64_t clamp(int64_t at_ms)
{
    return clamp_to(at_ms, ZONE_EDGE_MS);
}

struct zone_stretch zone_stretch(const struct zone *zone, int64_t at_ms)
{
    at_ms = clamp_to(at_ms, 2 * ZONE_EDGE_MS);
    const struct zone_change *change =
        is_in_buckets(at_ms) ? look_up(zone, at_ms) : &zone->changes[search(zone, at_ms)];
    struct zone_stretch out = {change->at_ms, change[1].at_ms, change->offset_ms};

    if (out.until_ms != INT64_MAX || !zone_rule_changes(&zone->rule))
        return out;
    /* After the table's last change: the rule knows when the next one comes. */
    if (at_ms < ZONE_TABLE_END_MS) {
        struct zone_stretch end = zone_rule_stretch(&zone->rule, ZONE_TABLE_END_MS);
        out.until_ms = end.from_ms < ZONE_TABLE_END_MS ? end.until_ms : ZONE_TABLE_END_MS;
        return out;
    }
    struct zone_stretch later = zone_rule_stretch(&zone->rule, at_ms);
    later.from_ms = max_of(later.from_ms, out.from_ms);
    return later;
}

static __attribute__((noinline)) int32_t offset_elsewhere(const struct zone *zone, int64_t at_ms)
{
    return zone_stretch(zone, at_ms).offset_ms;
}

int32_t zone_offset_ms(const struct zone *zone, int64_t at_ms)
{
    if (unlikely(!is_in_buckets(at_ms)))
        return offset_elsewhere(zone, at_ms);
    return look_up(zone, at_ms)->offset_ms;
}

/* --- From UTC to the wall --------------------------------------------------------------------- */

struct local local_at(int64_t at_ms, int32_t offset_ms)
{
    int64_t wall_ms = clamp(at_ms) + offset_ms;
    /* Counted from a Thursday a week of days before the edge, so that nothing is negative. */
    const int64_t shift_days = (ZONE_EDGE_MS / DAY_MS / 7 + 1) * 7;
    uint64_t days = (uint64_t)(wall_ms + shift_days * DAY_MS) / DAY_MS;
    int64_t day = (int64_t)days - shift_days;
    uint32_t clock_ms = (uint32_t)(wall_ms - day * DAY_MS);
    uint32_t second = clock_ms / 1000;
    struct date date = civil_date(day);

    return (struct local){
        .year = date.year,
        .month = date.month,
        .day = date.day,
        .weekday = (uint8_t)((days + THURSDAY) % 7),
        .hour = (uint8_t)(second / 3600),
        .minute = (uint8_t)(second / 60 % 60),
        .second = (uint8_t)(second % 60),
        .ms = (uint16_t)(clock_ms % 1000),
        .offset_ms = offset_ms,
    };
}

struct local zone_local(const struct zone *zone, int64_t at_ms)
{
    return local_at(at_ms, zone_offset_ms(zone, at_ms));
}

/* What the wall shows at `at_ms`, in milliseconds since 1970 on the wall. */
static int64_t wall_at(const struct zone *zone, int64_t at_ms)
{
    at_ms = clamp(at_ms);
    return at_ms + zone_offset_ms(zone, at_ms);
}

int64_t zone_day(const struct zone *zone, int64_t at_ms)
{
    return floor_div(wall_at(zone, at_ms), DAY_MS);
}

/* --- From the wall to UTC --------------------------------------------------------------------- */

/* The first instant not before `at_ms` at which the wall shows `wall_ms` or later. */
static int64_t first_showing(const struct zone *zone, int64_t at_ms, int64_t wall_ms)
{
    struct zone_stretch s = zone_stretch(zone, at_ms);

    while (s.until_ms != FOREVER_MS && s.until_ms + s.offset_ms <= wall_ms) {
        at_ms = s.until_ms;
        s = zone_stretch(zone, at_ms);
    }
    return max_of(at_ms, wall_ms - s.offset_ms);
}

static int64_t utc_of(const struct zone *zone, int64_t wall_ms)
{
    return first_showing(zone, wall_ms - ZONE_OFFSET_MAX_MS, wall_ms);
}

int64_t zone_utc(const struct zone *zone, int64_t wall_ms)
{
    return utc_of(zone, clamp(wall_ms));
}

int64_t zone_utc_last(const struct zone *zone, int64_t wall_ms)
{
    wall_ms = clamp(wall_ms);
    int64_t last = zone_utc(zone, wall_ms);
    struct zone_stretch s = zone_stretch(zone, last);

    while (s.until_ms <= wall_ms + ZONE_OFFSET_MAX_MS) {
        s = zone_stretch(zone, s.until_ms);
        int64_t shown_ms = wall_ms - s.offset_ms;
        if (shown_ms >= s.from_ms && shown_ms < s.until_ms)
            last = shown_ms;
    }
    return last;
}

int64_t zone_day_begin(const struct zone *zone, int64_t day)
{
    const int64_t edge = ZONE_EDGE_MS / DAY_MS;

    return zone_utc(zone, max_of(-edge, min_of(day, edge)) * DAY_MS);
}

int64_t zone_day_start(const struct zone *zone, int64_t at_ms)
{
    return zone_day_begin(zone, zone_day(zone, at_ms));
}

int64_t zone_next_day_start(const struct zone *zone, int64_t at_ms)
{
    return first_showing(zone, clamp(at_ms), (zone_day(zone, at_ms) + 1) * DAY_MS);
}

/* The Monday of the week of `day`. */
static int64_t monday_of(int64_t day)
{
    return day - (int64_t)civil_weekday(day);
}

int64_t zone_week_start(const struct zone *zone, int64_t at_ms)
{
    return zone_day_begin(zone, monday_of(zone_day(zone, at_ms)));
}

int64_t zone_next_week_start(const struct zone *zone, int64_t at_ms)
{
    int64_t monday = monday_of(zone_day(zone, at_ms)) + 7;

    return first_showing(zone, clamp(at_ms), monday * DAY_MS);
}

/* The first day of the month of `day`, or of one `months` later. */
static int64_t month_of(int64_t day, int32_t months)
{
    struct date date = civil_date(day);

    date.day = 1;
    return civil_day(civil_add_months(date, months));
}

int64_t zone_month_start(const struct zone *zone, int64_t at_ms)
{
    return zone_day_begin(zone, month_of(zone_day(zone, at_ms), 0));
}

int64_t zone_next_month_start(const struct zone *zone, int64_t at_ms)
{
    int64_t first = month_of(zone_day(zone, at_ms), 1);

    return first_showing(zone, clamp(at_ms), first * DAY_MS);
}

int64_t zone_add_days(const struct zone *zone, int64_t at_ms, int32_t days)
{
    return days == 0 ? at_ms : zone_utc(zone, wall_at(zone, at_ms) + days * DAY_MS);
}

int64_t zone_add_months(const struct zone *zone, int64_t at_ms, int32_t months)
{
    int64_t wall_ms = wall_at(zone, at_ms);
    int64_t day = floor_div(wall_ms, DAY_MS);

    if (months == 0)
        return at_ms;
    int64_t to = civil_day(civil_add_months(civil_date(day), months));
    /* 2^31 months are 5.6 * 10^18 ms: past the edge, but the sum still fits. */
    return zone_utc(zone, (to - day) * DAY_MS + wall_ms);
}

int64_t zone_next_clock(const struct zone *zone, int64_t at_ms, int32_t clock_ms, uint8_t weekdays)
{
    must(clock_ms >= 0);
    must(clock_ms < DAY_MS);
    must((weekdays & 0x7f) != 0);

    at_ms = clamp(at_ms);
    /* One day back: where the clock is put back over midnight, tomorrow may have begun before. */
    int64_t day = zone_day(zone, at_ms) - 1;
    for (;; day++) {
        if (!(weekdays >> civil_weekday(day) & 1))
            continue;
        int64_t offered_ms = utc_of(zone, day * DAY_MS + clock_ms);
        if (offered_ms >= at_ms)
            return offered_ms;
    }
}
