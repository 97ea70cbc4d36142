/* fuzz_when.c - any bytes as whatever lib/when reads: timestamps, spans, times of day, weekdays,
 * zone files and sets of zones. What is accepted prints back and reads back as the same; a zone
 * that is accepted passes its check and answers at every instant without contradicting itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buf.h"
#include "base/hash.h"
#include "when/civil.h"
#include "when/recur.h"
#include "when/span.h"
#include "when/window.h"
#include "when/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_timestamp(struct str text)
{
    char out[TIMESTAMP_BYTES];
    struct timestamp strict;
    struct timestamp loose;
    struct timestamp again;
    bool is_strict = timestamp_parse(text, TIMESTAMP_RFC3339, &strict, NULL) == OK;
    bool is_loose = timestamp_parse(text, TIMESTAMP_LOOSE, &loose, NULL) == OK;

    must(is_loose || !is_strict);
    if (!is_loose)
        return;
    must(!is_strict || strict.at_ms == loose.at_ms);
    must(timestamp_parse(timestamp_print(loose.at_ms, out), TIMESTAMP_RFC3339, &again, NULL) == OK);
    must(again.at_ms == loose.at_ms);
    if (loose.at_ms < TIMESTAMP_MIN_MS + DAY_MS || loose.at_ms > TIMESTAMP_MAX_MS - DAY_MS)
        return;
    struct str exact = timestamp_print_exact(loose.at_ms, loose.sub_ns, loose.offset_ms, out);
    must(timestamp_parse(exact, TIMESTAMP_RFC3339, &again, NULL) == OK);
    must(again.at_ms == loose.at_ms);
    must(again.sub_ns == loose.sub_ns);
    must(again.offset_ms == loose.offset_ms);
}

static void check_spans(struct str text)
{
    char out[SPAN_BYTES];
    char clock_out[CLOCK_BYTES];
    char weekdays_out[WEEKDAYS_BYTES];
    struct span span;
    struct span again;
    int32_t clock_ms;
    int32_t clock_again_ms;
    uint8_t weekdays;
    uint8_t weekdays_again;
    struct fault f = {0};

    if (span_parse_signed(text, &span, &f) == OK) {
        must(span_parse_signed(span_print(span, out), &again, NULL) == OK);
        must(span_equal(span, again));
    } else {
        must(f.text[0] != '\0');
    }
    if (clock_parse(text, &clock_ms, NULL) == OK) {
        must(clock_parse(clock_print(clock_ms, clock_out), &clock_again_ms, NULL) == OK);
        must(clock_ms == clock_again_ms);
    }
    if (weekdays_parse(text, &weekdays, NULL) == OK) {
        must(weekdays_parse(weekdays_print(weekdays, weekdays_out), &weekdays_again, NULL) == OK);
        must(weekdays == weekdays_again);
    }
}

/* Occurrences come in order of time, none before the start; asked from the middle, the next one is
 * the same. */
static void check_recurrence(struct str text)
{
    struct recur_start start = {20514 * DAY_MS + 9 * HOUR_MS, text.len % 7 == 0};
    struct recur rule;
    struct recur_walk w;
    int64_t before_ms = start.wall_ms - 1;
    int64_t wall_ms;

    if (recur_parse(text, &rule, NULL) != OK)
        return;
    if (start.is_date_only)
        before_ms = 20514 * DAY_MS - 1;
    recur_walk_init(&w, &rule, start);
    for (int i = 0; i < 20 && recur_walk_next(&w, &wall_ms); i++) {
        must(wall_ms > before_ms);
        must(i % 10 != 9 || rule.until_kind == RECUR_UNTIL_UTC ||
             recur_next_ms(&rule, start, zone_of_utc(), before_ms) == wall_ms);
        before_ms = wall_ms;
    }
}

static void check_instant(const struct zone *zone, int64_t at_ms)
{
    const struct window quiet = {21 * (int32_t)HOUR_MS, 8 * (int32_t)HOUR_MS, WEEKDAYS_ALL};
    struct zone_stretch s = zone_stretch(zone, at_ms);
    struct local l = zone_local(zone, at_ms);
    int64_t wall_ms = at_ms + l.offset_ms;

    must(s.from_ms <= at_ms);
    must(s.until_ms > at_ms);
    must(s.offset_ms == l.offset_ms);
    must(civil_is_date((struct date){l.year, l.month, l.day}));
    must(zone_utc(zone, wall_ms) <= at_ms);
    must(zone_utc_last(zone, wall_ms) >= at_ms);
    must(zone_day_start(zone, at_ms) <= at_ms);
    must(zone_next_day_start(zone, at_ms) > at_ms);
    must(zone_next_clock(zone, at_ms, 0, WEEKDAYS_WEEKEND) >= at_ms);
    must(window_ask(&quiet, zone, at_ms).until_ms > at_ms);
}

static void check_zone(const struct zone *zone)
{
    static const int64_t hundred_years_ms = 36525 * DAY_MS;

    for (int century = -20; century < 20; century++)
        check_instant(zone, century * hundred_years_ms + century);
    struct zone_stretch s = zone_stretch(zone, -2 * hundred_years_ms);
    for (int i = 0; i < 100 && s.until_ms != FOREVER_MS; i++) {
        check_instant(zone, s.until_ms - 1);
        check_instant(zone, s.until_ms);
        s = zone_stretch(zone, s.until_ms);
    }
}

/* Takes the set. */
static void check_set(struct zoneset *set)
{
    struct zoneset *again;
    struct buf first;
    struct buf second;

    zoneset_check(set);
    for (uint16_t i = 0; i < zoneset_count(set) && i < 4; i++) {
        must(zoneset_find(set, zoneset_name(set, i)) == i);
        check_zone(zoneset_zone(set, i));
    }
    buf_init(&first);
    buf_init(&second);
    zoneset_write(set, &first);
    must(zoneset_read(buf_str(&first), &again, NULL) == OK);
    zoneset_write(again, &second);
    must(str_equal(buf_str(&first), buf_str(&second)));
    buf_fini(&first);
    buf_fini(&second);
    zoneset_free(again);
    zoneset_free(set);
}

/* As a zone file, and as what lies between the first bytes and the checksum of a set. */
static void check_zones(struct str bytes)
{
    struct zone_file file = {STR("Test/zone"), bytes};
    struct zoneset *set;
    struct buf blob;

    if (zoneset_build(STR("fuzz"), &file, 1, &set, NULL) == OK)
        check_set(set);
    buf_init(&blob);
    buf_add_str(&blob, STR("WENDZON1"));
    buf_add_str(&blob, bytes);
    buf_add_u32(&blob, hash_crc32c(0, blob.at, blob.len));
    if (zoneset_read(buf_str(&blob), &set, NULL) == OK)
        check_set(set);
    buf_fini(&blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};

    check_timestamp(text);
    check_spans(text);
    check_recurrence(text);
    check_zones(text);
    return 0;
}
