/* When somebody's date or schedule comes next, against a walk over every minute (schedules) or day (dates)
 * that knows nothing of zones but what the wall shows; and a person's appointments under random changes
 * of traits, zones and merges, against reckoning anew from nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/appointment.h"

#include "base/hash.h"
#include "base/mem.h"
#include "profile/traits.h"
#include "test.h"
#include "when/recur.h"

#define START_MS INT64_C(1772409600000) /* 2026-03-02T00:00Z */
#define BORN     300
#define RENEWAL  301

static const struct zone_file files[] = {
    {{"Europe/London", 13}, {"GMT0BST,M3.5.0/1,M10.5.0", 24}},
    {{"America/New_York", 16}, {"EST5EDT,M3.2.0,M11.1.0", 22}},
    {{"Asia/Tokyo", 10}, {"JST-9", 5}},
    {{"Pacific/Apia", 12}, {"<+13>-13", 8}},
    {{"Pacific/Niue", 12}, {"<-11>11", 7}},
};

static void cancel(struct person *who, uint64_t instance, enum outcome outcome)
{
    (void)who;
    (void)instance;
    (void)outcome;
}

struct fixture {
    struct space space, other_space;
    struct profile profile, other_profile;
    struct zoneset *zones;
    struct names *names;
    struct arena scratch;
    struct buf bytes;
    struct results results;
    struct recur daily;
    struct plan_trait traits[2];
    struct plan_way ways[4];
    const struct plan_way *appointments[4];
    struct plan_listen entries[4];
    struct plan_step step; /* the only one of each journey: it ends */
    struct plan_journey journeys[4];
    struct plan plan;
    const struct plan *plans[2];
    struct plans versions;
    struct person who, other;
    uint64_t chance;
};

static uint32_t draw(struct fixture *f, uint32_t most)
{
    f->chance = hash_pair(f->chance, 7);
    return (uint32_t)(f->chance % most);
}

static struct person person_of(struct fixture *f, struct space *space, struct profile *profile)
{
    return (struct person){.space = space,
                           .profile = profile,
                           .id = profile_number(3, 1),
                           .plans = &f->versions,
                           .plan = &f->plan,
                           .names = f->names,
                           .names_end = UINT32_MAX,
                           .scratch = &f->scratch,
                           .bytes = &f->bytes,
                           .results = &f->results,
                           .engine = f,
                           .cancel = cancel};
}

/* Four journeys that end at once: a yearly birthday, 30 days before a renewal, 09:00 each day, and 02:30 in
 * London. */
static struct fixture *fixture_new(void)
{
    struct fixture *f = mem_new(sizeof(*f));
    struct fault fault = {0};
    space_init(&f->space);
    space_init(&f->other_space);
    arena_init(&f->scratch, 4096);
    buf_init(&f->bytes);
    f->names = names_new();
    assert_int_equal(zoneset_build(STR("test"), files, array_count(files), &f->zones, &fault), OK);
    assert_int_equal(recur_parse(STR("FREQ=DAILY"), &f->daily, &fault), OK);
    f->traits[0] = (struct plan_trait){.name = BORN, .type = VALUE_TEXT};
    f->traits[1] = (struct plan_trait){.name = RENEWAL, .type = VALUE_TEXT};
    f->ways[0] = (struct plan_way){
        .kind = WAY_DATE, .is_personal = true, .trait = BORN, .clock_ms = -1, .is_yearly = true};
    f->ways[1] = (struct plan_way){.kind = WAY_DATE,
                                   .is_personal = true,
                                   .trait = RENEWAL,
                                   .clock_ms = 8 * 3600000,
                                   .offset = span_of_ms(-30 * DAY_MS)};
    f->ways[2] = (struct plan_way){
        .kind = WAY_SCHEDULE, .is_personal = true, .rule = &f->daily, .start_ms = 9 * HOUR_MS};
    f->ways[3] = (struct plan_way){.kind = WAY_SCHEDULE,
                                   .is_personal = true,
                                   .rule = &f->daily,
                                   .start_ms = 2 * HOUR_MS + 30 * MINUTE_MS};
    f->step = (struct plan_step){.kind = STEP_EXIT, .next = PLAN_END};
    for (uint16_t i = 0; i < 4; i++) {
        f->ways[i].journey = i;
        f->ways[i].event = f->ways[i].kind == WAY_DATE ? NAME_DATE : NAME_SCHEDULE;
        f->appointments[i] = &f->ways[i];
        f->entries[i] = (struct plan_listen){.event = f->ways[i].event, .way = &f->ways[i]};
        f->journeys[i] = (struct plan_journey){.name = 80u + i,
                                               .group = PLAN_NO_INDEX,
                                               .entry_count = 1,
                                               .entries = &f->entries[i],
                                               .way_count = 1,
                                               .ways = &f->ways[i],
                                               .again = AGAIN_ALWAYS,
                                               .at_once_max = 1,
                                               .step_count = 1,
                                               .steps = &f->step};
    }
    f->plan = (struct plan){.zones = f->zones,
                            .zone = zoneset_find(f->zones, STR("Europe/London")),
                            .traits = f->traits,
                            .trait_count = 2,
                            .journeys = f->journeys,
                            .journey_count = 4,
                            .appointments = f->appointments,
                            .appointment_count = 4};
    f->plans[1] = &f->plan;
    f->versions = (struct plans){.at = f->plans, .count = 2, .newest = 1};
    f->who = person_of(f, &f->space, &f->profile);
    f->other = person_of(f, &f->other_space, &f->other_profile);
    return f;
}

static void fixture_free(struct fixture *f)
{
    space_fini(&f->space);
    space_fini(&f->other_space);
    arena_fini(&f->scratch);
    buf_fini(&f->bytes);
    names_free(f->names);
    zoneset_free(f->zones);
    mem_free(f->results.rows);
    mem_free(f);
}

/* ---- dates and schedules, day by day ---------------------------------------------------------------- */

/* The first minute from from_ms at which the wall shows the time of day or has just jumped over it. */
static int64_t naive_daily(const struct zone *zone, int64_t clock_ms, int64_t from_ms)
{
    for (int64_t at_ms = from_ms;; at_ms += MINUTE_MS) {
        int64_t wall_ms = at_ms + zone_offset_ms(zone, at_ms);
        int64_t before_ms = at_ms - 1 + zone_offset_ms(zone, at_ms - 1);
        int64_t day = floor_div(wall_ms, DAY_MS);
        bool is_first = zone_utc(zone, day * DAY_MS + clock_ms) == at_ms;
        if (is_first && wall_ms >= day * DAY_MS + clock_ms && before_ms < wall_ms)
            return at_ms;
    }
}

static void schedules_keep_to_the_wall(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    for (uint16_t z = 0; z < zoneset_count(f->zones); z++) {
        const struct zone *zone = zoneset_zone(f->zones, z);
        for (int64_t from_ms = START_MS; from_ms < START_MS + 300 * DAY_MS;
             from_ms += 19 * HOUR_MS + 7 * MINUTE_MS) {
            for (int w = 2; w < 4; w++) {
                int64_t at_ms, wall_ms;
                assert_true(schedule_next(&f->ways[w], zone, from_ms, INT64_MIN, &at_ms, &wall_ms));
                assert_int_equal(at_ms, naive_daily(zone, f->ways[w].start_ms, from_ms));
                assert_int_equal(wall_ms, at_ms + zone_offset_ms(zone, at_ms));
            }
        }
    }
    fixture_free(f);
}

/* Day by day: is it the day on which the birthday is kept? */
static int64_t naive_birthday(const struct plan_way *way, const struct zone *zone, struct date born,
                              int64_t from_ms)
{
    int64_t offset_days = way->offset.ms / DAY_MS;
    for (int64_t day = zone_day(zone, from_ms) - 1; day < 100000; day++) {
        struct date kept = civil_date(day - offset_days);
        bool is_it = kept.month == born.month && kept.day == born.day;
        if (born.month == 2 && born.day == 29 && !civil_is_leap(kept.year)) {
            is_it = (way->day_29 == DAY_29_FEB_28 && kept.month == 2 && kept.day == 28) ||
                    (way->day_29 == DAY_29_MAR_1 && kept.month == 3 && kept.day == 1);
        }
        int64_t at_ms = zone_utc(zone, day * DAY_MS + 9 * HOUR_MS);
        if (is_it && at_ms >= from_ms)
            return at_ms;
    }
    return FOREVER_MS;
}

static void birthdays_are_kept_on_their_day(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    static const int offsets[] = {0, -30, 7, 400, -400};
    char text[TIMESTAMP_BYTES];
    for (int i = 0; i < 1500; i++) {
        struct plan_way way = f->ways[0];
        way.day_29 = (uint8_t)draw(f, 3);
        way.offset = span_of_ms(offsets[draw(f, 5)] * DAY_MS);
        const struct zone *zone = zoneset_zone(f->zones, (uint16_t)draw(f, 5));
        int64_t born = draw(f, 3) ? (int64_t)draw(f, 20000) : civil_day((struct date){1996, 2, 29});
        struct value said = value_text(date_print(born, text));
        int64_t from_ms = START_MS + (int64_t)draw(f, 2000000) * MINUTE_MS;
        int64_t at_ms, wall_ms;
        assert_true(date_next(&way, &said, zone, from_ms, INT64_MIN, &at_ms, &wall_ms));
        assert_int_equal(at_ms, naive_birthday(&way, zone, civil_date(born), from_ms));
    }
    fixture_free(f);
}

/* ---- a person under change ------------------------------------------------------------------------- */

static void say(struct fixture *f, struct person *who, uint32_t trait, const char *text)
{
    struct value x = text[0] ? value_text(str_of(text)) : (struct value){.type = VALUE_NULL};
    (void)!traits_set(who, trait, &x, who->at_ms);
    who->profile->zone_plan = 0;
    (void)f;
}

static int64_t coming(const struct person *who, uint32_t journey)
{
    for (uint32_t i = 0; i < who->profile->appointments.count; i++)
        if (person_appointment(who, i)->journey == journey)
            return person_appointment(who, i)->at_ms;
    return FOREVER_MS;
}

/* The appointment of each way is what reckoning from nothing gives, but for what has come already: on the
 * wall, nothing comes at or before it. */
static void look(struct fixture *f, struct person *who, const int64_t *done_ms)
{
    for (uint32_t i = 0; i < 4; i++) {
        const struct plan_way *way = &f->ways[i];
        const struct zone *zone = person_zone(who);
        int64_t at_ms = FOREVER_MS, wall_ms;
        if (way->kind == WAY_DATE) {
            struct value said = traits_get(who, way->trait, who->scratch);
            if (!date_next(way, &said, zone, who->at_ms, done_ms[i], &at_ms, &wall_ms))
                at_ms = FOREVER_MS;
        } else {
            assert_true(schedule_next(way, zone, who->at_ms, done_ms[i], &at_ms, &wall_ms));
        }
        assert_int_equal(coming(who, f->journeys[i].name), at_ms);
    }
}

/* Lets time pass: what is due comes, once each. */
static void pass(struct fixture *f, struct person *who, int64_t until_ms, int64_t *done_ms)
{
    for (;;) {
        int64_t next_ms = appointments_deadline(who);
        if (next_ms > until_ms)
            break;
        assert_true(next_ms >= who->at_ms);
        who->at_ms = who->now_ms = next_ms;
        for (uint32_t i = 0; i < 4; i++) {
            if (coming(who, f->journeys[i].name) != next_ms)
                continue;
            int64_t wall_ms = next_ms + zone_offset_ms(person_zone(who), next_ms);
            assert_true(wall_ms > done_ms[i]); /* no occurrence of the wall comes twice */
            done_ms[i] = wall_ms;
        }
        appointments_timer(who);
        look(f, who, done_ms);
    }
    who->at_ms = who->now_ms = until_ms;
}

static void appointments_follow_what_they_are_made_of(void **state)
{
    (void)state;
    static const char *const dates[] = {"",           "2026-05-20", "2026-04-11", "1996-02-29",
                                        "2027-03-01", "1970-12-31", "no date"};
    static const char *const zones[] = {
        "", "America/New_York", "Asia/Tokyo", "Pacific/Apia", "Pacific/Niue", "Nowhere/Land"};
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct fixture *f = fixture_new();
        struct person *who = &f->who;
        int64_t done_ms[4] = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
        f->chance = seed;
        who->at_ms = who->now_ms = START_MS + (int64_t)seed * HOUR_MS;
        appointments_renew(who, UINT64_MAX, who->at_ms);
        look(f, who, done_ms);
        for (int step = 0; step < 60; step++) {
            pass(f, who, who->at_ms + (int64_t)draw(f, 5000) * MINUTE_MS, done_ms);
            uint32_t what = draw(f, 3);
            uint32_t trait = what == 0 ? BORN : what == 1 ? RENEWAL : NAME_TIMEZONE;
            say(f, who, trait, what == 2 ? zones[draw(f, 6)] : dates[draw(f, 7)]);
            appointments_renew(who, plan_wake_bit(trait), who->at_ms);
            look(f, who, done_ms);
            if (step % 20 ==
                19) { /* somebody else, who has had some of it already, turns out to be them */
                struct person *other = &f->other;
                int64_t theirs[4] = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
                other->at_ms = other->now_ms = who->at_ms - 2 * DAY_MS;
                say(f, other, BORN, dates[draw(f, 7)]);
                appointments_renew(other, UINT64_MAX, other->at_ms);
                pass(f, other, who->at_ms, theirs);
                appointments_unite(who, other);
                appointments_forget(other);
                appointments_renew(who, UINT64_MAX, who->at_ms);
                for (uint32_t i = 0; i < 4; i++)
                    done_ms[i] = max_of(done_ms[i], theirs[i]);
                look(f, who, done_ms);
                assert_int_equal(other->profile->appointments.count, 0);
            }
        }
        fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("schedules keep to the wall, minute by minute", schedules_keep_to_the_wall),
        TEST("birthdays are kept on their day, leap years and offsets too",
             birthdays_are_kept_on_their_day),
        TEST("appointments follow traits, zones and merges, and nothing comes twice",
             appointments_follow_what_they_are_made_of),
    };
    return cmocka_run_group_tests_name("journey/appointment", tests, NULL, NULL);
}
