/* rule_best_time.c - the best hour for this person on this channel, among those that are permitted.
 *
 *     asked first          chosen                      within       deadline
 *     |----quiet----|------*----------|----quiet----|----|------------|--->
 *                   the hour in which they open, click and come by most
 *
 * Chosen once per intent and channel, when it is asked about first: among all hours from now until `within`
 * is over, as far as quiet hours and the law allow them and they begin before the deadline, the one with the
 * highest score (profile/habits.h), of equals the first. From then on nothing comes before it; what other
 * rules hold back longer goes when they allow it. Where too little is known of this person and of all others,
 * the time that the programme says is the best, or, without one, there is nothing to wait for.
 *
 * The rule reads; desk.c writes down what it chose (intent_keep_best_time).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/desk_int.h"
#include "profile/habits.h"

#define STEPS_MAX 512 /* hours of a week, and moments at which a window ends */

/* The first permitted instant from at_ms on; FOREVER_MS if none is known. */
static int64_t permitted_from(const struct question *q, int64_t at_ms)
{
    struct question ahead = *q;
    ahead.words = NULL;
    ahead.blamed = NULL;
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        ahead.at_ms = at_ms;
        struct answer hours = rule_window_ask(&ahead), law = rule_regulation_ask(&ahead);
        int64_t next_ms = at_ms;
        if (hours.kind == NOT_BEFORE && !planted("best-time-in-quiet-hours"))
            next_ms = hours.at_ms;
        if (law.kind == NOT_BEFORE)
            next_ms = max_of(next_ms, law.at_ms);
        if (law.kind > NOT_BEFORE || next_ms == FOREVER_MS)
            return FOREVER_MS;
        if (next_ms == at_ms)
            return at_ms;
        must(next_ms > at_ms);
        at_ms = next_ms;
    }
    return FOREVER_MS;
}

/* The beginning of the next hour on the person's wall. */
static int64_t next_hour(struct person *who, int64_t at_ms)
{
    int64_t wall_ms = at_ms + zone_offset_ms(person_zone(who), at_ms);
    return at_ms + HOUR_MS - (wall_ms % HOUR_MS + HOUR_MS) % HOUR_MS;
}

/* Where nothing is known: the time of day that the programme says, or now. */
static int64_t otherwise_at(const struct question *q, const struct plan_send *send,
                            int64_t until_ms)
{
    if (send->best_otherwise_ms == MOMENT_NO_CLOCK)
        return q->who->now_ms;
    int64_t at_ms =
        zone_next_clock(person_zone(q->who), q->who->now_ms, send->best_otherwise_ms, WEEKDAYS_ALL);
    at_ms = permitted_from(q, at_ms);
    return at_ms < until_ms ? at_ms : q->who->now_ms;
}

int64_t best_time_choose(const struct question *q)
{
    const struct plan_send *send = intent_send(q->who, q->intent);
    const struct intent *in = q->intent;
    int64_t now_ms = q->who->now_ms, best_ms = now_ms;
    int64_t begin_ms = max_of(in->settle_ms, in->created_ms);
    int64_t until_ms = min_of(begin_ms + send->best_within_ms + 1, in->deadline_ms);
    uint64_t best = 0;
    struct habit_scores scores;
    habits_ask(q->who, q->channel, &scores);
    if (!scores.has_own && !scores.has_all)
        return otherwise_at(q, send, until_ms);
    for (int64_t at_ms = permitted_from(q, now_ms); at_ms < until_ms;
         at_ms = permitted_from(q, next_hour(q->who, at_ms))) {
        uint64_t score = scores.at[habit_hour(q->who, at_ms)];
        if (score > best) {
            best = score;
            best_ms = at_ms;
        }
    }
    must(best_ms >= now_ms);
    return best_ms;
}

/* By what it was chosen, for people. */
static void say_why(const struct question *q, int64_t chosen_ms)
{
    struct habit_scores scores;
    if (q->words == NULL)
        return;
    habits_ask(q->who, q->channel, &scores);
    const char *at = moment(q, chosen_ms);
    if (!scores.has_own && !scores.has_all)
        say(q, "best time: too little is known of when they and others read %.*s, so it is %s",
            STR_ARG(channel_name(q->channel)), at);
    else
        say(q, "best time: %s; of %u opens, clicks and visits of theirs %u were around that hour%s",
            at, scores.own, habits_near(q->who, q->channel, chosen_ms),
            !scores.has_all   ? ""
            : !scores.has_own ? ", too few to go by: it is by what all people do"
                              : ", and what all people do counts a little");
}

struct answer rule_best_time_ask(const struct question *q)
{
    struct answer answer = ANSWER_ALLOW;
    if (!q->plan->has_best_times || q->is_listing ||
        intent_send(q->who, q->intent)->best_within_ms == 0)
        return answer;
    bool is_chosen = q->intent->best_channel == q->channel;
    int64_t chosen_ms = is_chosen ? q->intent->best_ms : best_time_choose(q);
    if (chosen_ms <= q->at_ms)
        return answer;
    say_why(q, chosen_ms);
    blame(q, "the best time");
    return (struct answer){.kind = NOT_BEFORE, .at_ms = chosen_ms};
}

void intent_keep_best_time(struct person *who, uint32_t place, enum channel channel)
{
    const struct intent *in = person_intent(who, place);
    if (!who->plan->has_best_times || in->best_channel == channel || channel == CHANNEL_NONE ||
        intent_send(who, in)->best_within_ms == 0)
        return;
    struct question q = verdict_question(who, in);
    q.channel = channel;
    int64_t chosen_ms = best_time_choose(&q);
    must(chosen_ms >= who->now_ms);
    struct intent *kept = person_touch_intent(who, place);
    kept->best_channel = (uint8_t)channel;
    kept->best_ms = chosen_ms;
}
