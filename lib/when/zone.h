/* zone.h - time zones as data: what the clock on somebody's wall shows.
 *
 * A zone is a list of changes: from this instant on, local time is UTC plus this offset. A zoneset
 * holds all zones of one release of the IANA database, so that a programme can carry them with it
 * and a replay next year knows the same clocks as the first run did. Nothing here reads a file or
 * an environment variable: bytes are handed in.
 *
 *    local    |    /|    /        gap: 02:00 to 03:00 does not happen. What is asked for inside it
 *     time    |   / |   /              is the first instant after it.
 *             |  /  | |/          fold: 02:00 to 03:00 happens twice. What is asked for inside it
 *             | /  |/  |                is the first occurrence.
 *             |/   |   |
 *             +----+---+---- UTC
 *               March October
 *
 * All functions take any instant; one further than nine million years away is treated as that far.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/str.h"
#include "when/civil.h"

struct zone;
struct zoneset;

/* --- Sets of zones ---------------------------------------------------------------------------- */

#define ZONESET_FORMAT  1          /* of zoneset_write(): the digit behind "WENDZON" */
#define ZONE_NONE       UINT16_MAX /* no such zone */
#define ZONES_MAX       2048       /* names in a set; the IANA database has about 600 */
#define ZONE_NAME_BYTES 64         /* longest name */

struct zone_file {
    struct str name;  /* "Europe/London" */
    struct str bytes; /* a TZif file (RFC 8536, version 1 or later), or a POSIX TZ text such as
                       * "GMT0BST,M3.5.0/1,M10.5.0", which is handy in tests */
};

/* Builds a set from `count` files into *out, which the caller owns and ends with zoneset_free().
 * Files with equal clocks become one zone, named by the first of them; the others are its aliases.
 * The release ("2026a", at most 32 bytes) is kept as it is. FIX_INPUT (and no set) where a file is
 * damaged, a name is not of letters, digits and +-_/ or occurs twice, or there are too many. Reads
 * all arguments, keeps none. */
enum status zoneset_build(struct str release, const struct zone_file *files, size_t count,
                          struct zoneset **out, struct fault *f) mustuse;

/* Appends the bytes of the zone file `name` to `out`; anything but OK ends the build. */
typedef enum status (*zone_file_read)(void *context, struct str name, struct buf *out,
                                      struct fault *f);

/* The same for all zones that `listing`, the text of the database's tzdata.zi, names, in its order;
 * its links become aliases, its first line tells the release. `read_file` is called for each zone,
 * and may take the name for a path below the zones' folder: there is no ".." in it. */
enum status zoneset_build_listed(struct str listing, zone_file_read read_file, void *context,
                                 struct zoneset **out, struct fault *f) mustuse;

void zoneset_free(struct zoneset *set);

/* Appends the set to `out` in the form of docs/formats/zoneset.md: about 130 KB for the whole
 * database. Equal sets give equal bytes. */
void zoneset_write(const struct zoneset *set, struct buf *out);

/* Reads what zoneset_write() wrote from the whole of `bytes`, which are not kept. The caller owns
 * *out. FIX_INPUT (and no set) where they are damaged. */
enum status zoneset_read(struct str bytes, struct zoneset **out, struct fault *f) mustuse;

/* The index of the zone called `name`, an alias's being its zone's, or ZONE_NONE. The case of
 * letters does not matter. An index means something in its own set only: what outlives a set keeps
 * the name and asks again. */
uint16_t zoneset_find(const struct zoneset *set, struct str name);

/* The zone with that index, good as long as the set. Requires index < zoneset_count(set). */
const struct zone *zoneset_zone(const struct zoneset *set, uint16_t index);

/* Its name, good as long as the set. Requires index < zoneset_count(set). */
struct str zoneset_name(const struct zoneset *set, uint16_t index);

uint16_t zoneset_count(const struct zoneset *set);
struct str zoneset_release(const struct zoneset *set);

/* The known name nearest to `wanted`, for "did you mean"; empty if none is near. */
struct str zoneset_nearest(const struct zoneset *set, struct str wanted);

/* Faults a set whose tables contradict each other (a programmer's error: must()). */
void zoneset_check(const struct zoneset *set);

/* The zone that is always UTC; belongs to nobody. */
const struct zone *zone_of_utc(void);

/* --- From UTC to the wall --------------------------------------------------------------------- */

/* A stretch of time in which the clock is not changed. */
struct zone_stretch {
    int64_t from_ms;   /* first instant; INT64_MIN if there was never another offset */
    int64_t until_ms;  /* first instant after it; FOREVER_MS if there is no further change */
    int32_t offset_ms; /* local time minus UTC */
};

/* The stretch around `at_ms`. */
struct zone_stretch zone_stretch(const struct zone *zone, int64_t at_ms);

/* Local time minus UTC at `at_ms`. A few nanoseconds between 1970 and 2109. */
int32_t zone_offset_ms(const struct zone *zone, int64_t at_ms);

/* What calendar and clock on the wall show. */
struct local {
    int32_t year;
    uint8_t month;   /* 1..12 */
    uint8_t day;     /* 1..31 */
    uint8_t weekday; /* enum weekday: 0 = Monday */
    uint8_t hour;
    uint8_t minute;
    uint8_t second;
    uint16_t ms;
    int32_t offset_ms;
};

struct local zone_local(const struct zone *zone, int64_t at_ms);

/* The same for a clock that is always `offset_ms` ahead of UTC. */
struct local local_at(int64_t at_ms, int32_t offset_ms);

/* The number of the local day (civil.h) at `at_ms`. */
int64_t zone_day(const struct zone *zone, int64_t at_ms);

/* --- From the wall to UTC --------------------------------------------------------------------- */

/* The first instant at which the wall shows `wall_ms` or later (milliseconds since 1970-01-01 00:00
 * on the wall: day number * DAY_MS + time of day). So in a fold it is the first occurrence, and in
 * a gap the first instant after it. Never decreases as `wall_ms` grows. */
int64_t zone_utc(const struct zone *zone, int64_t wall_ms);

/* The last instant at which the wall shows `wall_ms`: the second occurrence in a fold, otherwise
 * what zone_utc() says. */
int64_t zone_utc_last(const struct zone *zone, int64_t wall_ms);

/* The first instant of the local day number `day`. Where midnight is skipped, that is the end of
 * the gap; where the whole day is, the beginning of the next. */
int64_t zone_day_begin(const struct zone *zone, int64_t day);

/* The first instant of the local day in which `at_ms` lies. Not after `at_ms`. */
int64_t zone_day_start(const struct zone *zone, int64_t at_ms);

/* The first instant after `at_ms` with a later local day. Where the clock is put back over midnight
 * the new day begins twice; while the old one is resumed, this is the second beginning. */
int64_t zone_next_day_start(const struct zone *zone, int64_t at_ms);

/* The first instant of the local week (from Monday) or month in which `at_ms` lies, and of the next
 * one. The start is not after `at_ms`, the next start is after it. */
int64_t zone_week_start(const struct zone *zone, int64_t at_ms);
int64_t zone_next_week_start(const struct zone *zone, int64_t at_ms);
int64_t zone_month_start(const struct zone *zone, int64_t at_ms);
int64_t zone_next_month_start(const struct zone *zone, int64_t at_ms);

/* The same time on the wall `days` calendar days, or `months` calendar months, later (or earlier);
 * gaps and folds as for zone_utc(), short months as for civil_add_months(). 0 changes nothing. */
int64_t zone_add_days(const struct zone *zone, int64_t at_ms, int32_t days);
int64_t zone_add_months(const struct zone *zone, int64_t at_ms, int32_t months);

/* The first instant not before `at_ms` that some day of `weekdays` (span.h) offers for the time of
 * day `clock_ms`. A day offers one instant: zone_utc() of that day and time. Requires 0 <= clock_ms
 * < DAY_MS and at least one weekday. */
int64_t zone_next_clock(const struct zone *zone, int64_t at_ms, int32_t clock_ms, uint8_t weekdays);
