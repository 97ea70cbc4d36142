/* What zone.h promises: against the system's own zone library for all zones, and against oracles
 * that look at every minute for the way back from the wall.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/zone.h"

#include <stdio.h>
#include <time.h>

#include "test.h"
#include "when/span.h"
#include "when/zone_int.h"
#include "when/zones_for_tests.h"

#define FOLDER "/usr/share/zoneinfo/"

/* --- Helpers ---------------------------------------------------------------------------------- */

static enum status read_path(void *context, struct str name, struct buf *out, struct fault *f)
{
    char path[256];
    size_t got;

    snprintf(path, sizeof(path), "%s%.*s", (const char *)context, STR_ARG(name));
    FILE *file = fopen(path, "rb");
    if (!file) {
        fault_set(f, "cannot open %s", path);
        return GIVE_UP;
    }
    do {
        got = fread(buf_reserve(out, 65536), 1, 65536, file);
        out->len += got;
    } while (got > 0);
    fclose(file);
    return OK;
}

/* The system's zones; skips the running test where the system has none. */
static struct zoneset *system_zones(struct buf *listing)
{
    struct zoneset *set;
    struct fault f = {0};
    static char folder[] = FOLDER;

    buf_init(listing);
    if (read_path(folder, STR("tzdata.zi"), listing, NULL) != OK) {
        printf("skipped: no " FOLDER "tzdata.zi (package tzdata)\n");
        skip();
    }
    if (zoneset_build_listed(buf_str(listing), read_path, folder, &set, &f) != OK)
        fail_msg("%s", f.text);
    return set;
}

static void same_instant(int64_t got_ms, const char *wanted)
{
    char text[TIMESTAMP_BYTES];

    if (got_ms != ms_of(wanted))
        fail_msg("wanted %s, got %s", wanted, timestamp_print(got_ms, text).at);
}

/* --- Against the system ----------------------------------------------------------------------- */

static void use_system_zone(struct str name)
{
    char text[ZONE_NAME_BYTES + 2];

    snprintf(text, sizeof(text), ":%.*s", STR_ARG(name));
    setenv("TZ", text, 1);
    tzset();
}

static void compare_at(const struct zone *zone, struct str name, int64_t at_ms)
{
    time_t second = (time_t)floor_div(at_ms, SECOND_MS);
    struct tm tm;
    struct local l = zone_local(zone, at_ms);

    localtime_r(&second, &tm);
    bool is_same = l.offset_ms == tm.tm_gmtoff * SECOND_MS && l.year == tm.tm_year + 1900 &&
                   l.month == tm.tm_mon + 1 && l.day == tm.tm_mday && l.hour == tm.tm_hour &&
                   l.minute == tm.tm_min && l.second == tm.tm_sec &&
                   (l.weekday + 1) % 7 == tm.tm_wday && l.ms == floor_mod(at_ms, SECOND_MS);
    if (!is_same) {
        char text[TIMESTAMP_BYTES];
        fail_msg("%.*s at %s: %04d-%02d-%02d %02d:%02d:%02d offset %d, the system says %ld",
                 STR_ARG(name), timestamp_print(at_ms, text).at, l.year, l.month, l.day, l.hour,
                 l.minute, l.second, l.offset_ms / 1000, tm.tm_gmtoff);
    }
}

/* At each change between two instants: a second, a millisecond before, at it, and after. */
static uint32_t compare_changes(const struct zone *zone, struct str name, int64_t from_ms,
                                int64_t to_ms)
{
    static const int64_t around[] = {-HOUR_MS,  -MINUTE_MS, -SECOND_MS, -1,    0,
                                     SECOND_MS, MINUTE_MS,  HOUR_MS,    DAY_MS};
    uint32_t changes = 0;

    for (struct zone_stretch s = zone_stretch(zone, from_ms); s.until_ms < to_ms;
         s = zone_stretch(zone, s.until_ms)) {
        changes++;
        for (size_t i = 0; i < array_count(around); i++)
            compare_at(zone, name, s.until_ms + around[i]);
    }
    return changes;
}

static void agrees_with_system(void **state)
{
    (void)state;
    struct buf listing;
    struct zoneset *set = system_zones(&listing);
    int64_t from_ms = ms_of("2020-01-01");
    int64_t to_ms = ms_of("2038-01-01");
    uint32_t changes = 0;

    zoneset_check(set);
    assert_true(zoneset_count(set) > 250);
    for (uint16_t i = 0; i < zoneset_count(set); i++) {
        const struct zone *zone = zoneset_zone(set, i);
        struct str name = zoneset_name(set, i);
        use_system_zone(name);
        for (int64_t at_ms = from_ms; at_ms < to_ms; at_ms += 11 * HOUR_MS + 1234567)
            compare_at(zone, name, at_ms);
        changes += compare_changes(zone, name, from_ms, to_ms);
    }
    assert_true(changes > 3000);
    zoneset_free(set);
    buf_fini(&listing);
}

static void agrees_with_system_ever(void **state)
{
    (void)state;
    struct buf listing;
    struct zoneset *set = system_zones(&listing);

    for (uint16_t i = 0; i < zoneset_count(set); i++) {
        const struct zone *zone = zoneset_zone(set, i);
        struct str name = zoneset_name(set, i);
        use_system_zone(name);
        compare_changes(zone, name, ms_of("1850-01-01"), ms_of("2020-01-01"));
        compare_changes(zone, name, ms_of("2038-01-01"), ms_of("2150-01-01"));
        for (int year = 1800; year < 2500; year += 3) {
            int64_t day = civil_day((struct date){year, 1, 1});
            compare_at(zone, name, day * DAY_MS);
            compare_at(zone, name, (day + 180) * DAY_MS);
        }
    }
    zoneset_free(set);
    buf_fini(&listing);
}

/* Each name of the listing, zone or link, reads the same clock as the file of that name. */
static void resolves_aliases(void **state)
{
    (void)state;
    struct buf listing;
    struct zoneset *set = system_zones(&listing);
    uint32_t links = 0;
    char *save = NULL;

    buf_add_byte(&listing, 0);
    for (char *line = strtok_r((char *)listing.at, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        char target[128];
        char name[128];
        if (sscanf(line, "L %127s %127s", target, name) != 2)
            continue;
        links++;
        uint16_t index = zoneset_find(set, str_of(name));
        assert_int_not_equal(index, ZONE_NONE);
        assert_int_equal(index, zoneset_find(set, str_of(target)));
        use_system_zone(str_of(name));
        for (int64_t month = 0; month < 18 * 12; month++)
            compare_at(zoneset_zone(set, index), str_of(name),
                       ms_of("2020-01-15") + month * 730 * HOUR_MS);
    }
    assert_true(links > 100);
    zoneset_free(set);
    buf_fini(&listing);
}

/* --- Sets ------------------------------------------------------------------------------------- */

static void finds_names(void **state)
{
    (void)state;
    const struct zone_file files[] = {
        {STR("Europe/London"), STR("GMT0BST,M3.5.0/1,M10.5.0")},
        {STR("America/New_York"), STR("EST5EDT,M3.2.0,M11.1.0")},
        {STR("GB"), STR("GMT0BST,M3.5.0/1,M10.5.0")},
        {STR("Etc/UTC"), STR("UTC0\n")},
        {STR("Iceland"), STR("GMT0")},
    };
    struct zoneset *set;
    struct fault f = {0};

    assert_int_equal(zoneset_build(STR("2026a"), files, array_count(files), &set, &f), OK);
    zoneset_check(set);
    assert_int_equal(zoneset_count(set), 3);
    assert_true(str_is(zoneset_release(set), "2026a"));
    uint16_t london = zoneset_find(set, STR("Europe/London"));
    assert_true(str_is(zoneset_name(set, london), "Europe/London"));
    assert_int_equal(zoneset_find(set, STR("GB")), london);
    assert_int_equal(zoneset_find(set, STR("europe/LONDON")), london);
    assert_int_equal(zoneset_find(set, STR("Iceland")), zoneset_find(set, STR("etc/utc")));
    assert_int_equal(zoneset_find(set, STR("Europe/Londo")), ZONE_NONE);
    assert_int_equal(zoneset_find(set, STR("Europe/London2")), ZONE_NONE);
    assert_int_equal(zoneset_find(set, STR("")), ZONE_NONE);
    assert_true(str_is(zoneset_nearest(set, STR("Europe/Lodnon")), "Europe/London"));
    assert_int_equal(zoneset_nearest(set, STR("Middle-earth/Shire")).len, 0);
    zoneset_free(set);
}

static void is_written_and_read(void **state)
{
    (void)state;
    struct buf listing;
    struct zoneset *set = system_zones(&listing);
    struct zoneset *again;
    struct buf first;
    struct buf second;

    buf_init(&first);
    buf_init(&second);
    zoneset_write(set, &first);
    assert_int_equal(zoneset_read(buf_str(&first), &again, NULL), OK);
    zoneset_write(again, &second);
    assert_true(str_equal(buf_str(&first), buf_str(&second)));
    assert_int_equal(zoneset_count(set), zoneset_count(again));
    assert_true(str_equal(zoneset_release(set), zoneset_release(again)));
    for (uint16_t i = 0; i < zoneset_count(set); i++) {
        assert_true(str_equal(zoneset_name(set, i), zoneset_name(again, i)));
        for (int64_t at_ms = -ms_of("1990-01-01"); at_ms < ms_of("2150-01-01");
             at_ms += 97 * DAY_MS)
            assert_int_equal(zone_offset_ms(zoneset_zone(set, i), at_ms),
                             zone_offset_ms(zoneset_zone(again, i), at_ms));
    }
    printf("%u zones, %zu bytes\n", zoneset_count(set), first.len);
    assert_true(first.len < 200000);

    /* Any damage is noticed. */
    for (size_t at = 0; at < first.len; at += 499) {
        first.at[at] ^= 0x10;
        struct fault f = {0};
        struct zoneset *none = NULL;
        assert_int_equal(zoneset_read(buf_str(&first), &none, &f), FIX_INPUT);
        assert_null(none);
        assert_true(f.text[0] != '\0');
        first.at[at] ^= 0x10;
    }
    struct zoneset *none = NULL;
    assert_int_equal(zoneset_read(str_part(buf_str(&first), 0, first.len - 1), &none, NULL),
                     FIX_INPUT);
    assert_int_equal(zoneset_read(STR(""), &none, NULL), FIX_INPUT);
    buf_fini(&first);
    buf_fini(&second);
    zoneset_free(set);
    zoneset_free(again);
    buf_fini(&listing);
}

static void refuses_bad_sets(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *bytes;
        const char *says;
    } rows[] = {
        {"", "UTC0", "no name"},
        {"../etc/passwd", "UTC0", "no name"},
        {"/etc/passwd", "UTC0", "no name"},
        {"Europe London", "UTC0", "no name"},
        {"A", "TZif", "its head is damaged"},
        {"A", "", "no rule"},
        {"A", "UTC", "no rule"},
        {"A", "EST5EDT", "no rule"},
        {"A", "EST5EDT,M3.2.0", "no rule"},
        {"A", "EST5EDT,M13.2.0,M11.1.0", "no rule"},
        {"A", "EST5EDT,M3.6.0,M11.1.0", "no rule"},
        {"A", "EST5EDT,M3.2.7,M11.1.0", "no rule"},
        {"A", "EST5EDT,J0,J60", "no rule"},
        {"A", "EST5EDT,J366,J60", "no rule"},
        {"A", "EST5EDT,M3.2.0/168,M11.1.0", "no rule"},
        {"A", "EST25", "no rule"},
        {"A", "<+3>-3", "no rule"},
        {"A", "EST5 ", NULL},
        {"A", "EST5 x", "no rule"},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct zone_file file = {str_of(rows[i].name), str_of(rows[i].bytes)};
        struct zoneset *set = NULL;
        struct fault f = {0};
        enum status status = zoneset_build(STR("x"), &file, 1, &set, &f);
        assert_int_equal(status, rows[i].says ? FIX_INPUT : OK);
        if (rows[i].says && !strstr(f.text, rows[i].says))
            fail_msg("row %zu: %s", i, f.text);
        zoneset_free(set);
    }

    struct zone_file twice[] = {{STR("A/b"), STR("UTC0")}, {STR("a/B"), STR("UTC0")}};
    struct zoneset *set = NULL;
    struct fault f = {0};
    assert_int_equal(zoneset_build(STR("x"), twice, 2, &set, &f), FIX_INPUT);
    assert_non_null(strstr(f.text, "there twice"));
    assert_int_equal(zoneset_build(STR("a release with a far too long name"), twice, 1, &set, NULL),
                     FIX_INPUT);
    assert_int_equal(zoneset_build(STR("x"), twice, 0, &set, NULL), OK);
    assert_int_equal(zoneset_count(set), 0);
    zoneset_free(set);
}

static void takes_as_many_as_stated(void **state)
{
    (void)state;
    static struct zone_file files[ZONES_MAX + 1];
    static char names[ZONES_MAX + 1][8];
    struct zoneset *set = NULL;
    struct fault f = {0};

    for (size_t i = 0; i <= ZONES_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "Z%zu", i);
        files[i] = (struct zone_file){str_of(names[i]), STR("UTC0")};
    }
    assert_int_equal(zoneset_build(STR("x"), files, ZONES_MAX, &set, &f), OK);
    assert_int_equal(zoneset_count(set), 1);
    assert_int_equal(zoneset_find(set, STR("Z2047")), 0);
    zoneset_free(set);
    assert_int_equal(zoneset_build(STR("x"), files, ZONES_MAX + 1, &set, &f), FIX_INPUT);
}

static enum status read_little(void *context, struct str name, struct buf *out, struct fault *f)
{
    (void)f;
    ++*(int *)context;
    buf_add_str(out, str_is(name, "Etc/UTC") ? STR("UTC0") : STR("CET-1CEST,M3.5.0,M10.5.0/3"));
    return OK;
}

static void follows_links(void **state)
{
    (void)state;
    struct zoneset *set;
    struct fault f = {0};
    int calls = 0;

    assert_int_equal(zoneset_build_listed(STR("# version 2026z\n"
                                              "R e 1977 o - Ap Su>=1 1u 1 S\n"
                                              "Z Etc/UTC 0 - UTC\n"
                                              "Z Europe/Berlin 0:53:28 - LMT 1893 Ap\n"
                                              "1 c CE%sT 1980\n"
                                              "L Berlin Mitte\n"
                                              "L Europe/Berlin Berlin\n"),
                                          read_little, &calls, &set, &f),
                     OK);
    assert_int_equal(calls, 2);
    assert_int_equal(zoneset_count(set), 2);
    assert_int_equal(zoneset_find(set, STR("Mitte")), zoneset_find(set, STR("Europe/Berlin")));
    assert_true(str_is(zoneset_name(set, zoneset_find(set, STR("Mitte"))), "Europe/Berlin"));
    assert_true(str_is(zoneset_release(set), "2026z"));
    zoneset_free(set);

    assert_int_equal(
        zoneset_build_listed(STR("# version x\nL B A\nL A B\n"), read_little, &calls, &set, &f),
        FIX_INPUT);
    assert_non_null(strstr(f.text, "leads to no zone"));
    assert_int_equal(
        zoneset_build_listed(STR("# version x\nL Nowhere A\n"), read_little, &calls, &set, NULL),
        FIX_INPUT);
    assert_int_equal(zoneset_build_listed(STR("# version x\nZ ../../etc/shadow 0\n"), read_little,
                                          &calls, &set, NULL),
                     FIX_INPUT);
    assert_int_equal(zoneset_build_listed(STR("Z A 0\n"), read_little, &calls, &set, NULL),
                     FIX_INPUT);
    assert_int_equal(calls, 2);
}

/* --- TZif by hand ------------------------------------------------------------------------------
 * */

static void put_be(struct buf *b, int64_t number, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        buf_add_byte(b, (uint8_t)((uint64_t)number >> (i * 8)));
}

struct hand_change {
    int64_t at_s;
    uint8_t type;
};

/* A version 2 file of standard (type 0) and summer (type 1) time. */
static void put_tzif(struct buf *b, const struct hand_change *changes, size_t count,
                     const char *rule)
{
    for (int part = 0; part < 2; part++) {
        size_t times = part == 0 ? 0 : count;
        buf_add_str(b, STR("TZif2"));
        put_be(b, 0, 8);
        put_be(b, 0, 7);
        put_be(b, 0, 4);
        put_be(b, 0, 4);
        put_be(b, 0, 4);
        put_be(b, (int64_t)times, 4);
        put_be(b, 2, 4);
        put_be(b, 4, 4);
        for (size_t i = 0; i < times; i++)
            put_be(b, changes[i].at_s, 8);
        for (size_t i = 0; i < times; i++)
            buf_add_byte(b, changes[i].type);
        for (int type = 0; type < 2; type++) {
            put_be(b, type * 3600, 4);
            put_be(b, type, 1);
            put_be(b, 0, 1);
        }
        buf_add(b, "ABC", 4);
    }
    buf_printf(b, "\n%s\n", rule);
}

static enum status build_one(const struct buf *b, struct zoneset **out, struct fault *f)
{
    struct zone_file file = {STR("Test"), buf_str(b)};

    return zoneset_build(STR("x"), &file, 1, out, f);
}

static void has_one_form(void **state)
{
    (void)state;
    /* One file spells out the changes of 2020 to 2022, one only the first, one repeats itself. */
    static const struct hand_change fat[] = {
        {1585443600, 1}, {1603587600, 0}, {1616893200, 1},
        {1635642000, 0}, {1648342800, 1}, {1667091600, 0},
    };
    static const struct hand_change wordy[] = {
        {-(INT64_C(1) << 59), 0},
        {1585443600, 1},
        {1590000000, 1},
        {1603587600, 0},
    };
    const char *rule = "GMT0BST,M3.5.0/1,M10.5.0";
    struct buf files[3];
    struct buf written[3];

    for (int i = 0; i < 3; i++) {
        struct zoneset *set;
        struct fault f = {0};
        buf_init(&files[i]);
        buf_init(&written[i]);
        if (i == 2)
            put_tzif(&files[i], wordy, array_count(wordy), rule);
        else
            put_tzif(&files[i], fat, i == 0 ? 6 : 1, rule);
        if (build_one(&files[i], &set, &f) != OK)
            fail_msg("file %d: %s", i, f.text);
        const struct zone *zone = zoneset_zone(set, 0);
        assert_int_equal(zone_offset_ms(zone, ms_of("2019-07-01")), 0);
        assert_int_equal(zone_offset_ms(zone, ms_of("2020-07-01")), HOUR_MS);
        assert_int_equal(zone_offset_ms(zone, ms_of("2021-01-01")), 0);
        assert_int_equal(zone_offset_ms(zone, ms_of("2090-07-01")), HOUR_MS);
        zoneset_write(set, &written[i]);
        zoneset_free(set);
    }
    assert_true(str_equal(buf_str(&written[0]), buf_str(&written[1])));
    assert_true(str_equal(buf_str(&written[0]), buf_str(&written[2])));
    for (int i = 0; i < 3; i++) {
        buf_fini(&files[i]);
        buf_fini(&written[i]);
    }
}

static void refuses_damaged_files(void **state)
{
    (void)state;
    static const struct hand_change good[] = {{1585443600, 1}, {1603587600, 0}};
    static const struct hand_change backwards[] = {{1603587600, 0}, {1585443600, 1}};
    static const struct hand_change no_type[] = {{1585443600, 2}};
    static const struct hand_change too_far[] = {{INT64_C(1) << 40, 1}};
    static const struct {
        const struct hand_change *changes;
        size_t count;
        const char *rule;
        const char *says;
    } rows[] = {
        {good, 2, "GMT0BST,M3.5.0/1,M10.5.0", NULL},
        {good, 2, "", NULL},
        {good, 2, "CET-1", "contradict"},
        {good, 2, "garbage", "the rule at its end is damaged"},
        {backwards, 2, "GMT0", "not in order"},
        {no_type, 1, "GMT0", "names a type"},
        {too_far, 1, "ABC-1", "after 2108"},
    };
    struct buf b;
    struct zoneset *set;

    for (size_t i = 0; i < array_count(rows); i++) {
        struct fault f = {0};
        buf_init(&b);
        put_tzif(&b, rows[i].changes, rows[i].count, rows[i].rule);
        enum status status = build_one(&b, &set, &f);
        if (rows[i].says) {
            assert_int_equal(status, FIX_INPUT);
            if (!strstr(f.text, rows[i].says))
                fail_msg("row %zu: %s", i, f.text);
        } else {
            assert_int_equal(status, OK);
            zoneset_free(set);
        }
        buf_fini(&b);
    }

    /* Cut short anywhere, it is refused. */
    buf_init(&b);
    put_tzif(&b, good, 2, "GMT0BST,M3.5.0/1,M10.5.0");
    for (size_t len = 0; len < b.len; len++) {
        struct zone_file file = {STR("Test"), {(const char *)b.at, len}};
        assert_int_equal(zoneset_build(STR("x"), &file, 1, &set, NULL), FIX_INPUT);
    }
    buf_fini(&b);
}

static void takes_as_many_changes_as_stated(void **state)
{
    (void)state;
    static struct hand_change changes[ZONE_CHANGES_MAX];
    struct zoneset *set;
    struct fault f = {0};

    for (uint32_t i = 0; i < ZONE_CHANGES_MAX; i++)
        changes[i] = (struct hand_change){i * INT64_C(1000000) - 2000000000, (i + 1) % 2};
    for (uint32_t count = ZONE_CHANGES_MAX - 1; count <= ZONE_CHANGES_MAX; count++) {
        struct buf b;
        bool is_too_many = count == ZONE_CHANGES_MAX;
        buf_init(&b);
        put_tzif(&b, changes, count, "");
        assert_int_equal(build_one(&b, &set, &f), is_too_many ? FIX_INPUT : OK);
        buf_fini(&b);
        if (is_too_many)
            continue;
        /* More changes than buckets: each instant is still found. */
        zoneset_check(set);
        for (uint32_t i = 0; i < count; i++) {
            int64_t at_ms = changes[i].at_s * SECOND_MS;
            assert_int_equal(zone_offset_ms(zoneset_zone(set, 0), at_ms),
                             changes[i].type * HOUR_MS);
            assert_int_equal(zone_offset_ms(zoneset_zone(set, 0), at_ms - 1),
                             (1 - changes[i].type) * HOUR_MS);
        }
        zoneset_free(set);
    }
    assert_non_null(strstr(f.text, "too many changes"));
}

/* --- Rules ------------------------------------------------------------------------------------ */

static void knows_rules(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        const char *at;
        int32_t offset_minutes;
    } rows[] = {
        {"UTC0", "2026-07-01", 0},
        {"<+0545>-5:45", "2026-07-01", 345},
        {"<-03>3", "2026-07-01", -180},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T00:59:59.999", 60},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T01:00", 120},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T00:59:59.999", 120},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T01:00", 60},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2500-07-01", 120},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "1899-07-01", 60},
        /* Southern: summer over the turn of the year. */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-01", 660},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-07-01", 600},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2200-12-31T23:00", 660},
        /* Negative summer: Ireland's winter is the exception. */
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-01-01", 0},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-07-01", 60},
        /* Hours beyond a day, and below 0. */
        {"EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-27T23:59", 120},
        {"EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-28T00:00", 180},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59", -120},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00", -60},
        /* Day numbers, with and without 29 February: both are 1 March in a leap year ... */
        {"AAA0BBB,J60/0,J300", "2024-02-29T23:59", 0},
        {"AAA0BBB,J60/0,J300", "2024-03-01", 60},
        {"AAA0BBB,60/0,300", "2024-02-29T23:59", 0},
        {"AAA0BBB,60/0,300", "2024-03-01", 60},
        /* ... and otherwise the second is 2 March. */
        {"AAA0BBB,J60/0,J300", "2023-03-01", 60},
        {"AAA0BBB,60/0,300", "2023-03-01T23:59", 0},
        {"AAA0BBB,60/0,300", "2023-03-02", 60},
        /* Always summer. */
        {"EST5EDT,0/0,J365/25", "2026-01-01T04:59", -240},
        {"EST5EDT,0/0,J365/25", "2026-07-01", -240},
        {"EST5EDT,0/0,J365/25", "2200-12-31T23:30", -240},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct zoneset *set = one_zone(rows[i].rule);
        int32_t got = zone_offset_ms(zoneset_zone(set, 0), ms_of(rows[i].at)) / 60000;
        if (got != rows[i].offset_minutes)
            fail_msg("%s at %s: %d", rows[i].rule, rows[i].at, got);
        zoneset_free(set);
    }
}

/* Stretches follow each other without a hole, and the offset changes at each bound. */
static void joins_stretches(void **state)
{
    (void)state;
    static const char *const rules[] = {
        "GMT0BST,M3.5.0/1,M10.5.0", "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "AAA0BBB,59/0,J60/1", /* in leap years only */
    };

    for (size_t i = 0; i < array_count(rules); i++) {
        struct zoneset *set = one_zone(rules[i]);
        const struct zone *zone = zoneset_zone(set, 0);
        struct zone_stretch s = zone_stretch(zone, ms_of("1890-01-01"));
        uint32_t stretches = 0;
        assert_true(s.from_ms == INT64_MIN);
        while (s.until_ms < ms_of("2300-01-01")) {
            struct zone_stretch next = zone_stretch(zone, s.until_ms);
            assert_true(zone_stretch(zone, s.until_ms - 1).offset_ms == s.offset_ms);
            assert_true(next.from_ms <= s.until_ms);
            if (i < 3 || s.until_ms < ms_of("2100-01-01")) {
                assert_true(next.from_ms == s.until_ms);
                assert_true(next.offset_ms != s.offset_ms);
            }
            assert_true(next.until_ms > s.until_ms);
            s = next;
            stretches++;
        }
        assert_true(stretches > (i < 3 ? 790 : 104));
        zoneset_free(set);
    }
}

/* --- From the wall ---------------------------------------------------------------------------- */

/* The first minute from `from_ms` on at which the wall shows `wall_ms` or later. */
static int64_t first_minute_showing(const struct zone *zone, int64_t from_ms, int64_t wall_ms)
{
    while (from_ms + zone_offset_ms(zone, from_ms) < wall_ms)
        from_ms += MINUTE_MS;
    return from_ms;
}

/* Calls `probe` for instants every few minutes around both changes of 2026, and here and there. */
static void around_changes(const struct zone *zone, void (*probe)(const struct zone *, int64_t))
{
    struct zone_stretch s = zone_stretch(zone, ms_of("2026-01-01"));

    for (int change = 0; change < 2 && s.until_ms != FOREVER_MS; change++) {
        for (int64_t more_ms = -30 * HOUR_MS; more_ms <= 30 * HOUR_MS; more_ms += 15 * MINUTE_MS)
            probe(zone, s.until_ms + more_ms);
        s = zone_stretch(zone, s.until_ms);
    }
    for (int64_t day = 0; day < 365; day += 9)
        probe(zone, ms_of("2026-01-01T07:15") + day * (DAY_MS + 45 * MINUTE_MS));
}

static void for_odd_zones(void (*probe)(const struct zone *, int64_t))
{
    for (size_t i = 0; i < array_count(odd_rules); i++) {
        struct zoneset *set = one_zone(odd_rules[i]);
        around_changes(zoneset_zone(set, 0), probe);
        zoneset_free(set);
    }
}

static void probe_wall(const struct zone *zone, int64_t wall_ms)
{
    int64_t first_ms = first_minute_showing(zone, wall_ms - 30 * HOUR_MS, wall_ms);
    int64_t last_ms = first_ms;

    for (int64_t at_ms = first_ms; at_ms < wall_ms + 30 * HOUR_MS; at_ms += MINUTE_MS)
        if (at_ms + zone_offset_ms(zone, at_ms) == wall_ms)
            last_ms = at_ms;
    assert_true(zone_utc(zone, wall_ms) == first_ms);
    assert_true(zone_utc_last(zone, wall_ms) == last_ms);
}

static void finds_utc(void **state)
{
    (void)state;
    for_odd_zones(probe_wall);
}

static void probe_days(const struct zone *zone, int64_t at_ms)
{
    int64_t day = zone_day(zone, at_ms);
    struct local l = zone_local(zone, at_ms);
    int64_t start_ms = at_ms - 3 * DAY_MS;

    assert_true(civil_day((struct date){l.year, l.month, l.day}) == day);
    while (zone_day(zone, start_ms) < day)
        start_ms += MINUTE_MS;
    assert_true(zone_day_start(zone, at_ms) == start_ms);
    assert_true(zone_day_begin(zone, day) == start_ms);

    int64_t next_ms = at_ms;
    while (zone_day(zone, next_ms) <= day)
        next_ms += MINUTE_MS;
    assert_true(zone_next_day_start(zone, at_ms) == next_ms);
}

static void bounds_days(void **state)
{
    (void)state;
    for_odd_zones(probe_days);
}

static void probe_weeks(const struct zone *zone, int64_t at_ms)
{
    int64_t day = zone_day(zone, at_ms);
    int64_t monday = day;
    int64_t first = day;

    while (civil_weekday(monday) != MONDAY)
        monday--;
    assert_true(zone_week_start(zone, at_ms) == zone_day_begin(zone, monday));
    assert_true(zone_week_start(zone, at_ms) <= at_ms);
    while (civil_date(first).day != 1)
        first--;
    assert_true(zone_month_start(zone, at_ms) == zone_day_begin(zone, first));
    assert_true(zone_month_start(zone, at_ms) <= at_ms);

    int64_t next_ms = at_ms;
    do
        next_ms = zone_next_day_start(zone, next_ms);
    while (civil_weekday(zone_day(zone, next_ms)) != MONDAY);
    assert_true(zone_next_week_start(zone, at_ms) == next_ms);
    next_ms = at_ms;
    do
        next_ms = zone_next_day_start(zone, next_ms);
    while (civil_date(zone_day(zone, next_ms)).day != 1);
    assert_true(zone_next_month_start(zone, at_ms) == next_ms);
}

static void bounds_weeks(void **state)
{
    (void)state;
    for_odd_zones(probe_weeks);
}

static void probe_clock(const struct zone *zone, int64_t at_ms)
{
    static const int32_t clocks[] = {0, 5, 1439, 90, 150, 1380};
    static const uint8_t sets[] = {WEEKDAYS_ALL, WEEKDAYS_WEEKEND, 1 << MONDAY};

    for (size_t i = 0; i < array_count(clocks); i++) {
        for (size_t j = 0; j < array_count(sets); j++) {
            int32_t clock_ms = clocks[i] * (int32_t)MINUTE_MS;
            int64_t best_ms = FOREVER_MS;
            for (int64_t day = zone_day(zone, at_ms) - 3; day < zone_day(zone, at_ms) + 12; day++) {
                int64_t offered_ms = zone_utc(zone, day * DAY_MS + clock_ms);
                if (weekdays_has(sets[j], civil_weekday(day)) && offered_ms >= at_ms)
                    best_ms = min_of(best_ms, offered_ms);
            }
            assert_true(zone_next_clock(zone, at_ms, clock_ms, sets[j]) == best_ms);
        }
    }
}

static void finds_clocks(void **state)
{
    (void)state;
    for_odd_zones(probe_clock);
}

static void tells_examples(void **state)
{
    (void)state;
    struct zoneset *set = one_zone("GMT0BST,M3.5.0/1,M10.5.0");
    const struct zone *london = zoneset_zone(set, 0);

    /* The last Sunday of March 2026: 01:00 to 02:00 does not happen. */
    same_instant(zone_utc(london, ms_of("2026-03-29T00:30")), "2026-03-29T00:30Z");
    same_instant(zone_utc(london, ms_of("2026-03-29T01:30")), "2026-03-29T01:00Z");
    same_instant(zone_utc(london, ms_of("2026-03-29T02:30")), "2026-03-29T01:30Z");
    /* The last Sunday of October: 01:00 to 02:00 happens twice. */
    same_instant(zone_utc(london, ms_of("2026-10-25T01:30")), "2026-10-25T00:30Z");
    same_instant(zone_utc_last(london, ms_of("2026-10-25T01:30")), "2026-10-25T01:30Z");

    same_instant(zone_add_days(london, ms_of("2026-03-28T12:00Z"), 1), "2026-03-29T11:00Z");
    same_instant(zone_add_days(london, ms_of("2026-03-28T01:30Z"), 1), "2026-03-29T01:00Z");
    same_instant(zone_add_days(london, ms_of("2026-10-24T11:00Z"), 1), "2026-10-25T12:00Z");
    same_instant(zone_add_days(london, ms_of("2026-10-25T12:00Z"), -1), "2026-10-24T11:00Z");
    same_instant(zone_add_days(london, ms_of("2026-10-25T01:30Z"), 0), "2026-10-25T01:30Z");
    same_instant(zone_add_months(london, ms_of("2026-01-31T09:00Z"), 1), "2026-02-28T09:00Z");
    same_instant(zone_add_months(london, ms_of("2026-01-31T09:00Z"), 3), "2026-04-30T08:00Z");
    same_instant(zone_add_months(london, ms_of("2026-01-31T09:00Z"), -11), "2025-02-28T09:00Z");
    same_instant(zone_week_start(london, ms_of("2026-04-01T00:00Z")), "2026-03-30T00:00+01:00");
    zoneset_free(set);
}

static void skips_a_day(void **state)
{
    (void)state;
    struct buf listing;
    struct zoneset *set = system_zones(&listing);
    const struct zone *apia = zoneset_zone(set, zoneset_find(set, STR("Pacific/Apia")));
    int64_t before = civil_day((struct date){2011, 12, 29});

    /* Samoa had no 30 December 2011. */
    same_instant(zone_day_begin(apia, before + 1), "2011-12-31T00:00+14:00");
    same_instant(zone_day_begin(apia, before + 2), "2011-12-31T00:00+14:00");
    same_instant(zone_next_day_start(apia, ms_of("2011-12-29T12:00-10:00")),
                 "2011-12-31T00:00+14:00");
    same_instant(zone_add_days(apia, ms_of("2011-12-29T12:00-10:00"), 1), "2011-12-31T00:00+14:00");
    same_instant(zone_add_days(apia, ms_of("2011-12-29T12:00-10:00"), 2), "2011-12-31T12:00+14:00");
    zoneset_free(set);
    buf_fini(&listing);
}

static void stands_the_edge_of_time(void **state)
{
    (void)state;
    static const int64_t far[] = {INT64_MIN,        INT64_MIN + 1,  -(INT64_C(1) << 58),
                                  INT64_C(1) << 58, FOREVER_MS - 1, FOREVER_MS};

    for (size_t i = 0; i < array_count(odd_rules); i++) {
        struct zoneset *set = one_zone(odd_rules[i]);
        const struct zone *zone = zoneset_zone(set, 0);
        for (size_t j = 0; j < array_count(far); j++) {
            int64_t at_ms = far[j];
            bool is_late = at_ms > 0;
            assert_int_equal(zone_local(zone, at_ms).year > 1000000, is_late);
            assert_int_equal(zone_utc(zone, at_ms) > 0, is_late);
            assert_int_equal(zone_utc_last(zone, at_ms) > 0, is_late);
            assert_int_equal(zone_day_start(zone, at_ms) > 0, is_late);
            assert_int_equal(zone_day_begin(zone, at_ms) > 0, is_late);
            assert_int_equal(zone_next_day_start(zone, at_ms) > 0, is_late);
            assert_int_equal(zone_next_week_start(zone, at_ms) > 0, is_late);
            assert_int_equal(zone_next_month_start(zone, at_ms) > 0, is_late);
            assert_int_equal(zone_next_clock(zone, at_ms, 0, WEEKDAYS_ALL) > 0, is_late);
            assert_int_equal(zone_add_days(zone, at_ms, is_late ? INT32_MAX : INT32_MIN) > 0,
                             is_late);
            assert_int_equal(zone_add_months(zone, at_ms, is_late ? INT32_MAX : INT32_MIN) > 0,
                             is_late);
        }
        zoneset_free(set);
    }
}

static void is_utc(void **state)
{
    (void)state;
    const struct zone *utc = zone_of_utc();
    struct local l = zone_local(utc, ms_of("2026-03-02T12:34:56.789Z"));

    assert_int_equal(l.year, 2026);
    assert_int_equal(l.month, 3);
    assert_int_equal(l.day, 2);
    assert_int_equal(l.weekday, MONDAY);
    assert_int_equal(l.hour, 12);
    assert_int_equal(l.minute, 34);
    assert_int_equal(l.second, 56);
    assert_int_equal(l.ms, 789);
    assert_int_equal(l.offset_ms, 0);
    assert_true(zone_utc(utc, 12345) == 12345);
    assert_true(zone_stretch(utc, 0).from_ms == INT64_MIN);
    assert_true(zone_stretch(utc, 0).until_ms == FOREVER_MS);
    assert_int_equal(local_at(0, -(int32_t)HOUR_MS).year, 1969);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("UTC shows UTC", is_utc),
        TEST("a rule is read as POSIX and RFC 8536 mean it", knows_rules),
        TEST("stretches follow each other without a hole, in the table and after it",
             joins_stretches),
        TEST("every zone of the system agrees with the system from 2020 to 2037",
             agrees_with_system),
        TEST("every zone of the system agrees with the system from 1800 to 2500",
             agrees_with_system_ever),
        TEST("an alias leads to the zone whose clock it shows", resolves_aliases),
        TEST("zones are found by name, however it is capitalised", finds_names),
        TEST("a set reads back as it was written, and damage is noticed", is_written_and_read),
        TEST("a set with a bad name or a bad rule is refused with a sentence", refuses_bad_sets),
        TEST("a set takes as many names as it states and not one more", takes_as_many_as_stated),
        TEST("a listing's links become aliases, and lead somewhere", follows_links),
        TEST("equal clocks are equal bytes, however far a file spells them out", has_one_form),
        TEST("a damaged file is refused, wherever it is cut", refuses_damaged_files),
        TEST("a file has as many changes as stated and not one more",
             takes_as_many_changes_as_stated),
        TEST("the wall's time leads to the first instant that shows it or a later one", finds_utc),
        TEST("a day begins at its first instant and ends where a later one begins", bounds_days),
        TEST("weeks begin on Monday, months on the first", bounds_weeks),
        TEST("a time of day is offered once a day", finds_clocks),
        TEST("gaps, folds and short months behave as the page says", tells_examples),
        TEST("a day that a country skipped begins where the next one does", skips_a_day),
        TEST("at the edge of time nothing breaks", stands_the_edge_of_time),
    };

    return cmocka_run_group_tests_name("when/zone", tests, NULL, NULL);
}
