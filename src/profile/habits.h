/* habits.h - in which hours of their week people open, click and come by: what best times are made of.
 *
 * Of each person the last HABITS_MAX opens and clicks and as many visits are kept, each as one number: the
 * quarter of an hour in which it was, the kind, the channel. One kind on one channel counts once an hour. What
 * is kept is the newest of a set, so that neither the order in which things become known nor a merge makes a
 * difference; and it is an instant, so that who moves takes their habits along to the new clock.
 *
 *     bits   31 .. 8                    7 .. 4    3 .. 0
 *            quarters since 1970 (UTC)  kind      channel (0 = a visit)
 *
 * Of all people together there is one sum for each hour of the week (on everybody's own clock) and channel.
 * In both a click weighs twice an open and an open twice a visit, and half of the weight is gone after four
 * weeks: in steps of a week, by whole numbers only, so that every machine says the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

#define HABITS_MAX    48 /* opens and clicks of one person, and as many visits */
#define HABIT_WEEKS   32 /* what is older weighs nothing */
#define HOURS_OF_WEEK 168
#define HABIT_UNIT    256 /* the weight of a visit today */

enum habit_kind { HABIT_VISIT = 1, HABIT_OPEN, HABIT_CLICK };

/* Of all people: weights by channel (0 = visits) and hour of their week, Monday 00:00 first. */
struct hours {
    int64_t week; /* as of that week since 1970 */
    uint64_t at[CHANNEL_END][HOURS_OF_WEEK];
};

/* The person did something of that kind at that time. Does nothing unless the newest programme has best
 * times. */
void habits_note(struct person *who, enum habit_kind kind, enum channel channel, int64_t at_ms);

/* TO_HOURS: the same for all people. */
void hours_note(struct hours *all, const struct stage_message *m, int64_t now_ms);

/* `who` comes to have the habits of `from` too; those of `from` are gone. */
void habits_unite(struct person *who, struct person *from);

/* What is known of the hours in which the channel is of use to the person. */
struct habit_scores {
    uint64_t at[HOURS_OF_WEEK]; /* higher is better; 0 everywhere: nothing is known */
    uint32_t own;               /* opens, clicks and visits of theirs that count */
    bool has_own;               /* they are enough to go by */
    bool has_all;               /* what all people do is */
};

void habits_ask(struct person *who, enum channel channel, struct habit_scores *out);

/* How many of the person's own opens, clicks and visits that count for the channel were in that hour of the
 * day or the ones beside it. */
uint32_t habits_near(struct person *who, enum channel channel, int64_t at_ms);

/* The hour of the person's week, 0 = Monday 00:00. */
uint32_t habit_hour(struct person *who, int64_t at_ms);
