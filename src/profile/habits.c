/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/habits.h"

#include "base/canary.h"

#define QUARTER_MS (15 * MINUTE_MS)
#define WEEK_MS    (7 * DAY_MS)
#define ALL_COUNTS 4 /* what all people do is worth as much as two opens, spread over the week */

#define OWN_ENOUGH (4 * HABIT_UNIT)  /* two opens of this week, or four of four weeks ago */
#define OWN_LEAST  2                 /* but no single click */
#define ALL_ENOUGH (32 * HABIT_UNIT) /* sixteen opens */

/* ---- entries -------------------------------------------------------------------------------------- */

static uint32_t entry_of(enum habit_kind kind, enum channel channel, int64_t at_ms)
{
    int64_t quarter = at_ms / QUARTER_MS;
    return (uint32_t)quarter << 8 | (uint32_t)kind << 4 | (uint32_t)channel;
}

static int64_t entry_ms(uint32_t entry)
{
    return (int64_t)(entry >> 8) * QUARTER_MS;
}

static enum habit_kind entry_kind(uint32_t entry)
{
    return (enum habit_kind)(entry >> 4 & 15);
}

static enum channel entry_channel(uint32_t entry)
{
    return (enum channel)(entry & 15);
}

static bool is_same_hour(uint32_t a, uint32_t b)
{
    return a >> 10 == b >> 10 && (a & 255) == (b & 255);
}

static uint32_t at(const struct person *who, uint32_t i)
{
    return *(const uint32_t *)vec_at(who->space, &who->profile->habits, i, sizeof(uint32_t));
}

static void drop(struct person *who, uint32_t i)
{
    vec_drop(who->space, &who->profile->habits, i, sizeof(uint32_t));
}

/* Puts the entry into the list, which ascends. False: it says nothing new. */
static bool put(struct person *who, uint32_t entry)
{
    bool is_visit = entry_kind(entry) == HABIT_VISIT;
    uint32_t count = 0, oldest = UINT32_MAX;
    bool is_known = false;
    for (uint32_t i = 0; i < who->profile->habits.count;) {
        uint32_t other = at(who, i);
        if (is_same_hour(other, entry)) {
            is_known = true; /* the first of the hour stands for it */
            entry = min_of(entry, other);
            drop(who, i);
            continue;
        }
        if ((entry_kind(other) == HABIT_VISIT) == is_visit) {
            count++;
            oldest = oldest == UINT32_MAX ? i : oldest;
        }
        i++;
    }
    if (count >= HABITS_MAX) {
        if (at(who, oldest) > entry)
            return false;
        drop(who, oldest);
    }
    uint32_t *fresh = vec_push(who->space, &who->profile->habits, sizeof(uint32_t));
    must(fresh != NULL);
    uint32_t place = who->profile->habits.count - 1u;
    for (; place > 0 && at(who, place - 1) > entry; place--) {
        uint32_t *to = vec_touch(who->space, &who->profile->habits, place, sizeof(uint32_t));
        *to = at(who, place - 1);
    }
    uint32_t *to = vec_touch(who->space, &who->profile->habits, place, sizeof(uint32_t));
    *to = entry;
    return !is_known;
}

void habits_note(struct person *who, enum habit_kind kind, enum channel channel, int64_t at_ms)
{
    if (who->plan == NULL || !who->plan->has_best_times || at_ms <= 0 ||
        at_ms >= (int64_t)(UINT32_MAX >> 8) * QUARTER_MS)
        return;
    if (!put(who, entry_of(kind, channel, at_ms)))
        return;
    who->is_touched = true;
    person_send(who, (struct stage_message){.kind = TO_HOURS,
                                            .how = (uint8_t)kind,
                                            .channel = (uint8_t)channel,
                                            .attempt = (uint16_t)habit_hour(who, at_ms),
                                            .at_ms = at_ms});
}

void habits_unite(struct person *who, struct person *from)
{
    for (uint32_t i = 0; i < from->profile->habits.count; i++)
        (void)put(who, at(from, i));
    vec_clear(from->space, &from->profile->habits, sizeof(uint32_t));
}

/* ---- weights -------------------------------------------------------------------------------------- */

static uint64_t weight_of(enum habit_kind kind)
{
    return (uint64_t)HABIT_UNIT << (kind - HABIT_VISIT);
}

/* What is left of the weight after so many weeks: half after each four. */
static uint64_t faded(uint64_t weight, int64_t weeks)
{
    static const uint64_t quarters[] = {65536, 55109, 46341, 38968}; /* 2^16 * 2^(-n/4) */
    if (planted("habits-stay"))
        return weight;
    if (weeks >= HABIT_WEEKS)
        return 0;
    weeks = max_of(weeks, INT64_C(0));
    return (weight * quarters[weeks % 4] >> 16) >> (weeks / 4);
}

void hours_note(struct hours *all, const struct stage_message *m, int64_t now_ms)
{
    int64_t week = now_ms / WEEK_MS;
    must(m->channel < CHANNEL_END);
    must(m->attempt < HOURS_OF_WEEK);
    for (uint32_t c = 0; c < CHANNEL_END && all->week != week; c++)
        for (uint32_t h = 0; h < HOURS_OF_WEEK; h++)
            all->at[c][h] = faded(all->at[c][h], week - all->week);
    all->week = max_of(all->week, week);
    all->at[m->channel][m->attempt] +=
        faded(weight_of((enum habit_kind)m->how), week - m->at_ms / WEEK_MS);
}

uint32_t habit_hour(struct person *who, int64_t at_ms)
{
    struct local wall = zone_local(person_zone(who), at_ms);
    return wall.weekday * 24u + wall.hour;
}

/* The same hour of other days counts a quarter as much as the hour itself, and those beside it half. */
static void spread(const uint64_t *weights, uint64_t *out)
{
    uint64_t day[24] = {0};
    for (uint32_t h = 0; h < HOURS_OF_WEEK; h++)
        day[h % 24] += weights[h];
    for (uint32_t h = 0; h < HOURS_OF_WEEK; h++) {
        uint32_t before = (h + HOURS_OF_WEEK - 1) % HOURS_OF_WEEK, after = (h + 1) % HOURS_OF_WEEK;
        out[h] = 2 * (3 * weights[h] + day[h % 24]) + 3 * weights[before] + day[before % 24] +
                 3 * weights[after] + day[after % 24];
    }
}

static uint64_t sum_of(const uint64_t *weights)
{
    uint64_t sum = 0;
    for (uint32_t h = 0; h < HOURS_OF_WEEK; h++)
        sum += weights[h];
    return sum;
}

static bool counts(uint32_t entry, enum channel channel, int64_t now_ms)
{
    enum channel of = entry_channel(entry);
    return (of == channel || of == CHANNEL_NONE) &&
           now_ms / WEEK_MS - entry_ms(entry) / WEEK_MS < HABIT_WEEKS;
}

void habits_ask(struct person *who, enum channel channel, struct habit_scores *out)
{
    uint64_t own[HOURS_OF_WEEK] = {0}, all[HOURS_OF_WEEK] = {0}, shares[HOURS_OF_WEEK];
    *out = (struct habit_scores){.own = 0};
    for (uint32_t i = 0; i < who->profile->habits.count; i++) {
        uint32_t entry = at(who, i);
        if (!counts(entry, channel, who->now_ms))
            continue;
        int64_t weeks = who->now_ms / WEEK_MS - entry_ms(entry) / WEEK_MS;
        own[habit_hour(who, entry_ms(entry))] += faded(weight_of(entry_kind(entry)), weeks);
        out->own++;
    }
    for (uint32_t h = 0; who->hours != NULL && h < HOURS_OF_WEEK; h++)
        all[h] = faded(who->hours->at[channel][h] + who->hours->at[CHANNEL_NONE][h],
                       who->now_ms / WEEK_MS - who->hours->week);
    uint64_t own_sum = sum_of(own), all_sum = sum_of(all);
    out->has_own = own_sum >= OWN_ENOUGH && out->own >= OWN_LEAST;
    out->has_all = all_sum >= ALL_ENOUGH;
    if (!out->has_own && !out->has_all)
        return;
    spread(own, out->at);
    if (!out->has_all || planted("habits-without-others"))
        return;
    spread(all, shares);
    for (uint32_t h = 0; h < HOURS_OF_WEEK; h++)
        out->at[h] += shares[h] / (all_sum / HABIT_UNIT / ALL_COUNTS);
}

uint32_t habits_near(struct person *who, enum channel channel, int64_t at_ms)
{
    uint32_t near = 0, hour = habit_hour(who, at_ms) % 24;
    for (uint32_t i = 0; i < who->profile->habits.count; i++) {
        uint32_t entry = at(who, i);
        uint32_t distance = (habit_hour(who, entry_ms(entry)) % 24 + 24 - hour) % 24;
        near += counts(entry, channel, who->now_ms) && (distance <= 1 || distance == 23);
    }
    return near;
}
