/* Habits against a plain list of all that ever happened: what is kept is its newest part, in whatever order it
 * came, and scores are what a slow count says. */
#include "profile/habits.h"

#include "base/mem.h"
#include "test.h"
#include "when/zone.h"

struct fixture {
    struct space space, other_space;
    struct profile profile, other_profile;
    struct plan plan;
    const struct plan *plans[2];
    struct plans versions;
    struct names *names;
    struct messages messages;
    struct arena scratch;
    struct zoneset *zones;
    struct hours hours;
    struct person who, other;
};

static struct fixture *fixture_new(void)
{
    static const struct zone_file files[] = {{{"UTC", 3}, {"UTC0", 4}}};
    struct fixture *f = mem_new(sizeof(*f));
    space_init(&f->space);
    space_init(&f->other_space);
    arena_init(&f->scratch, 4096);
    f->names = names_new();
    assert_int_equal(zoneset_build(STR("test"), files, 1, &f->zones, NULL), OK);
    f->plan.zones = f->zones;
    f->plan.has_best_times = true;
    f->plans[1] = &f->plan;
    f->versions = (struct plans){.at = f->plans, .count = 2, .newest = 1};
    f->who = (struct person){
        .space = &f->space,
        .profile = &f->profile,
        .plans = &f->versions,
        .plan = &f->plan,
        .names = f->names,
        .scratch = &f->scratch,
        .messages = &f->messages,
        .hours = &f->hours,
    };
    f->other = f->who;
    f->other.space = &f->other_space;
    f->other.profile = &f->other_profile;
    return f;
}

static void fixture_free(struct fixture *f)
{
    space_fini(&f->space);
    space_fini(&f->other_space);
    arena_fini(&f->scratch);
    names_free(f->names);
    zoneset_free(f->zones);
    mem_free(f->messages.at);
    mem_free(f);
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

#define FACTS 160

struct fact {
    int64_t at_ms;
    enum habit_kind kind;
    enum channel channel;
};

static uint32_t entry_of(const struct fact *f)
{
    return (uint32_t)(f->at_ms / (15 * MINUTE_MS)) << 8 | (uint32_t)f->kind << 4 |
           (uint32_t)f->channel;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The first of each hour, kind and channel; of opens and clicks, and of visits, the newest. */
static uint32_t plain_entries(const struct fact *facts, uint32_t count, uint32_t *out)
{
    uint32_t all[FACTS], found = 0, kept = 0, seen[2] = {0, 0};
    for (uint32_t i = 0; i < count; i++)
        all[found++] = entry_of(&facts[i]);
    qsort(all, found, sizeof(all[0]), ascending);
    uint32_t firsts[FACTS], first_count = 0;
    for (uint32_t i = 0; i < found; i++) {
        bool is_first = true;
        for (uint32_t k = 0; k < i; k++)
            is_first &= all[k] >> 10 != all[i] >> 10 || (all[k] & 255) != (all[i] & 255);
        if (is_first)
            firsts[first_count++] = all[i];
    }
    for (uint32_t i = first_count; i-- > 0;)
        if (seen[(firsts[i] >> 4 & 15) == HABIT_VISIT]++ < HABITS_MAX)
            out[kept++] = firsts[i];
    qsort(out, kept, sizeof(out[0]), ascending);
    return kept;
}

static void are_kept(const struct person *who, const uint32_t *wanted, uint32_t count)
{
    assert_int_equal(who->profile->habits.count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(*(const uint32_t *)vec_at(who->space, &who->profile->habits, i, 4),
                         wanted[i]);
}

static uint32_t make_facts(uint64_t *chance, struct fact *facts)
{
    uint32_t count = 20 + (uint32_t)(next(chance) % (FACTS - 20));
    for (uint32_t i = 0; i < count; i++) {
        bool is_visit = next(chance) % 2;
        facts[i] = (struct fact){.at_ms = INT64_C(1772409600000) -
                                          (int64_t)(next(chance) % (uint64_t)(9 * DAY_MS)),
                                 .kind = is_visit           ? HABIT_VISIT
                                         : next(chance) % 2 ? HABIT_OPEN
                                                            : HABIT_CLICK,
                                 .channel = is_visit           ? CHANNEL_NONE
                                            : next(chance) % 2 ? CHANNEL_EMAIL
                                                               : CHANNEL_SMS};
    }
    return count;
}

static void the_newest_are_kept_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct fixture *f = fixture_new();
        struct fact facts[FACTS];
        uint64_t chance = seed;
        uint32_t count = make_facts(&chance, facts), wanted[2 * HABITS_MAX];
        for (uint32_t i = 0; i < count; i++) {
            struct person *who = next(&chance) % 2 ? &f->who : &f->other;
            habits_note(who, facts[i].kind, facts[i].channel, facts[i].at_ms);
        }
        habits_unite(&f->who, &f->other);
        assert_int_equal(f->other_profile.habits.count, 0);
        are_kept(&f->who, wanted, plain_entries(facts, count, wanted));
        fixture_free(f);
    }
}

/* The same sums, fact by fact. */
static uint64_t plain_weight(enum habit_kind kind, int64_t weeks)
{
    static const uint64_t quarters[] = {65536, 55109, 46341, 38968};
    uint64_t weight = kind == HABIT_VISIT ? 256 : kind == HABIT_OPEN ? 512 : 1024;
    weight = weight * quarters[weeks % 4] >> 16;
    for (int64_t i = 0; i < weeks / 4; i++)
        weight /= 2;
    return weeks >= HABIT_WEEKS ? 0 : weight;
}

static void scores_are_what_a_slow_count_says(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct fixture *f = fixture_new();
        struct fact facts[FACTS];
        uint64_t chance = seed;
        uint32_t count = make_facts(&chance, facts), entries[2 * HABITS_MAX];
        f->who.now_ms = INT64_C(1772409600000) + (int64_t)(seed % 5) * 21 * DAY_MS;
        for (uint32_t i = 0; i < count; i++)
            habits_note(&f->who, facts[i].kind, facts[i].channel, facts[i].at_ms);
        uint32_t kept = plain_entries(facts, count, entries);
        struct habit_scores scores;
        habits_ask(&f->who, CHANNEL_EMAIL, &scores);
        uint64_t weights[7][24] = {{0}}, sum = 0;
        uint32_t own = 0;
        for (uint32_t i = 0; i < kept; i++) {
            enum channel channel = (enum channel)(entries[i] & 15);
            if (channel == CHANNEL_SMS)
                continue;
            int64_t at_ms = (int64_t)(entries[i] >> 8) * 15 * MINUTE_MS;
            int64_t weeks = f->who.now_ms / (7 * DAY_MS) - at_ms / (7 * DAY_MS);
            uint64_t weight = plain_weight((enum habit_kind)(entries[i] >> 4 & 15), weeks);
            weights[(at_ms / DAY_MS + 3) % 7][at_ms % DAY_MS / HOUR_MS] += weight;
            sum += weight;
            own++;
        }
        assert_int_equal(scores.own, own);
        assert_int_equal(scores.has_own, sum >= 4 * 256 && own >= 2);
        assert_false(scores.has_all);
        for (uint32_t hour = 0; hour < HOURS_OF_WEEK; hour++) {
            uint64_t wanted = 0;
            for (int step = -1; step <= 1; step++) {
                uint32_t near = (hour + HOURS_OF_WEEK + (uint32_t)step) % HOURS_OF_WEEK;
                uint64_t here = 3 * weights[near / 24][near % 24];
                for (uint32_t day = 0; day < 7; day++)
                    here += weights[day][near % 24];
                wanted += step == 0 ? 2 * here : here;
            }
            assert_true(scores.at[hour] == (scores.has_own ? wanted : 0));
        }
        fixture_free(f);
    }
}

static void weight_fades_and_is_gone(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct stage_message m = {.how = HABIT_CLICK, .channel = CHANNEL_EMAIL, .attempt = 30};
    int64_t week_ms = 7 * DAY_MS, now_ms = 2900 * week_ms;
    uint64_t before = UINT64_MAX;
    m.at_ms = now_ms;
    for (uint32_t i = 0; i < 1000; i++)
        hours_note(&f->hours, &m, now_ms);
    assert_true(f->hours.at[CHANNEL_EMAIL][30] == 1000 * 1024);
    for (int64_t week = 1; week <= HABIT_WEEKS; week++) {
        struct stage_message none = m;
        none.channel = CHANNEL_SMS;
        none.at_ms = now_ms + week * week_ms;
        hours_note(&f->hours, &none, none.at_ms); /* brings it up to the week */
        assert_true(f->hours.at[CHANNEL_EMAIL][30] < before);
        before = f->hours.at[CHANNEL_EMAIL][30];
        assert_true(before > 0);
    }
    m.channel = CHANNEL_SMS;
    m.at_ms = now_ms + 3 * HABIT_WEEKS * week_ms;
    hours_note(&f->hours, &m, m.at_ms);
    assert_int_equal(f->hours.at[CHANNEL_EMAIL][30], 0);
    struct habit_scores scores;
    f->who.now_ms = m.at_ms;
    habits_ask(&f->who, CHANNEL_EMAIL, &scores);
    assert_false(scores.has_all);
    fixture_free(f);
}

static void half_is_left_after_four_weeks(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct stage_message m = {.how = HABIT_CLICK, .channel = CHANNEL_EMAIL, .attempt = 30};
    struct stage_message later = {.how = HABIT_VISIT, .channel = CHANNEL_NONE, .attempt = 0};
    int64_t week_ms = 7 * DAY_MS, now_ms = 2900 * week_ms;
    m.at_ms = now_ms;
    for (uint32_t i = 0; i < 1000; i++)
        hours_note(&f->hours, &m, now_ms);
    later.at_ms = now_ms + 4 * week_ms;
    hours_note(&f->hours, &later, now_ms + 4 * week_ms);
    assert_true(f->hours.at[CHANNEL_EMAIL][30] == 1000 * 512);
    hours_note(&f->hours, &m,
               now_ms + 4 * week_ms); /* what comes in late weighs what it is worth now */
    assert_true(f->hours.at[CHANNEL_EMAIL][30] == 1001 * 512);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"the newest are kept, in whatever order they come", the_newest_are_kept_in_any_order, NULL,
         NULL, NULL},
        {"scores are what a slow count says", scores_are_what_a_slow_count_says, NULL, NULL, NULL},
        {"what all people did fades, and is gone", weight_fades_and_is_gone, NULL, NULL, NULL},
        {"half of it is left after four weeks", half_is_left_after_four_weeks, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
