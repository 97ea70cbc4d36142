/* zone_int.h - what a zone is made of; for this room alone.
 *
 *     changes   [ -inf +0:00 | 1847 ... | 1972 +1:00 | ... | 2108 +0:00 | +inf ]
 *                    ^                        ^                    ^        ^
 *                 count of them           hint[i] = the last     from here on: the rule
 *                                         at or before i * 199 days
 *
 * What the database knows about the past, and what its rule says of the future until 2109, lies in
 * one table in order of time. The stretch from 1970 to 2109 is cut into 256 buckets of 2^34 ms (199
 * days); for each the table's index at its beginning is noted, so a look-up is a shift, a load and
 * one or two comparisons. Before 1970 the table is searched by halves; after 2109 the rule is
 * asked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/str.h"
#include "when/zone.h"

#define ZONE_CHANGES_MAX 4096 /* in a file; the database's longest list has about 250 */

#define ZONE_BUCKET_SHIFT 34
#define ZONE_BUCKETS      256
#define ZONE_TABLE_END_MS ((INT64_C(1) << ZONE_BUCKET_SHIFT) * ZONE_BUCKETS) /* in May 2109 */

/* Instants that callers hand in are brought within this distance, so that sums with offsets and
 * calendar days can neither overflow nor leave what zone_stretch() tells apart: twice as far. */
#define ZONE_EDGE_MS (INT64_C(1) << 58)

/* No offset is larger, either way (RFC 8536 section 3.2 asks for less). */
#define ZONE_OFFSET_MAX_S  INT64_C(93600)
#define ZONE_OFFSET_MAX_MS (ZONE_OFFSET_MAX_S * SECOND_MS)

/* From at_ms on, local time is UTC plus offset_ms. */
struct zone_change {
    int64_t at_ms;
    int32_t offset_ms;
};

/* --- zone_rule.c: how a zone goes on for ever ------------------------------------------------- */

enum rule_day_kind {
    RULE_DAY_JULIAN,  /* `day` 1..365; 29 February is not counted */
    RULE_DAY_COUNTED, /* `day` 0..365; 29 February is counted */
    RULE_DAY_WEEKDAY, /* the `week`th (5 = the last) `weekday` of `month` */
};

/* A moment that comes once a year. */
struct rule_day {
    enum rule_day_kind kind;
    uint16_t day;
    uint8_t month; /* 1..12 */
    uint8_t week;  /* 1..5 */
    uint8_t weekday;
    int32_t time_ms; /* after that day's midnight, by the clock in force until then; may be below 0
                      * or above a day, up to 167 hours */
};

struct zone_rule {
    int32_t standard_ms; /* offset */
    int32_t summer_ms;   /* offset; equal to standard_ms: the clock is never changed */
    struct rule_day summer_from;
    struct rule_day summer_to;
};

/* Reads a POSIX TZ text (POSIX.1-2017 section 8.3, with RFC 8536's wider hours). */
enum status zone_rule_parse(struct str text, struct zone_rule *out, struct fault *f) mustuse;

static inline bool zone_rule_changes(const struct zone_rule *rule)
{
    return rule->standard_ms != rule->summer_ms;
}

/* The stretch around `at_ms`, were the rule in force at all times. For a rule that changes the
 * clock in leap years only, or whose summer never ends (both can be written), it may be cut short:
 * the offset is the right one, but it may be the same before and after. */
struct zone_stretch zone_rule_stretch(const struct zone_rule *rule, int64_t at_ms);

void zone_rule_write(const struct zone_rule *rule, struct buf *out);

/* False if what is there is no rule that zone_rule_parse() could give. */
bool zone_rule_read(struct cursor *c, struct zone_rule *out) mustuse;

/* --- zone_file.c: one zone as the database and as our sets write it --------------------------- */

/* Reads a TZif file or a POSIX TZ text, and appends the zone in our own form: the same bytes for
 * equal clocks, however far the file itself spells its future out. */
enum status zone_file_compact(struct str file, struct buf *out, struct fault *f) mustuse;

/* --- zone.c ----------------------------------------------------------------------------------- */

struct zone {
    const struct zone_change *changes; /* `count`, the first at INT64_MIN; then one at INT64_MAX */
    uint32_t count;                    /* at least 1 */
    struct zone_rule rule;             /* in force from ZONE_TABLE_END_MS on */
    uint16_t hint[ZONE_BUCKETS];       /* by bucket: index of the last change not after its start */
};

/* Fills the hints from the changes. */
void zone_index(struct zone *zone);

/* Faults a zone whose parts contradict each other. */
void zone_check(const struct zone *zone);
