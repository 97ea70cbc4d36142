/* rule_cap.c - at most so many messages to one person in a stretch of time, over all journeys.
 *
 *          oldest               newest
 *     ------x----------x---x------|------> time
 *           ^                     now
 *           with a cap of 3, this send must leave the window before a fourth message may go out
 *
 * What counts are the lines of the ledger that the cap matches: spent slots at the moment of their
 * grant, reserved ones as of now. A sliding window is (t - window, t]; a calendar one is the day or
 * week of the person's zone. Ghosts are checked against real and ghost lines, real intents against
 * real lines only. The intent's own line does not count against it.
 *
 * The lines of one `all_of` are one slot in a cap over all channels, at the time of the latest.
 *
 * Touches are events that a cap counts beside messages (`events`): a call, an ad that was shown. They fill
 * it, and wait for nothing.
 *
 * Slots may be kept for groups (`keep`): of a cap of 3 that keeps 1, messages of other groups find 2, or
 * 3 as soon as the groups that it is kept for have had theirs.
 *
 * A cap that is full because of reserved slots answers "not before, unknown": it is woken when they
 * are spent or returned.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/rule.h"

static bool is_of_category(const struct question *q, uint64_t categories, uint32_t name)
{
    for (uint32_t i = 0; i < q->plan->category_count; i++)
        if (q->plan->categories[i].name == name)
            return categories >> i & 1;
    return false;
}

static bool is_of_group(const struct question *q, uint64_t groups, uint32_t name)
{
    for (uint32_t i = 0; i < q->plan->group_count; i++)
        if (q->plan->groups[i].name == name)
            return groups >> i & 1;
    return false;
}

/* Is the message one of the cap's tags? */
static bool has_tag(const struct plan_cap *c, uint32_t message)
{
    uint32_t low = 0, high = c->message_count;
    if (c->messages == NULL)
        return true;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (c->messages[middle] < message)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->message_count && c->messages[low] == message;
}

static bool is_touch_of(const struct plan_cap *c, uint32_t event)
{
    for (uint32_t i = 0; i < c->touch_count; i++)
        if (c->touches[i] == event)
            return true;
    return false;
}

/* Does the cap speak about this intent? */
bool cap_is_meant(const struct question *q, const struct plan_cap *c)
{
    if (!(q->lane_flags & LANE_CAPS))
        return false;
    if (c->channels && !(c->channels >> q->channel & 1))
        return false;
    if (c->categories && (q->category == PLAN_NO_INDEX || !(c->categories >> q->category & 1)))
        return false;
    if (c->groups && (q->group == PLAN_NO_INDEX || !(c->groups >> q->group & 1)))
        return false;
    if (!has_tag(c, q->message->name))
        return false;
    return c->journey == PLAN_NO_INDEX || c->journey == q->journey;
}

/* Does this line count in the cap? */
static bool counts(const struct question *q, const struct plan_cap *c, const struct sent *s)
{
    if (s->decision == q->intent->decision)
        return false;
    if (s->state == SENT_TOUCH)
        return is_touch_of(c, s->message);
    if (s->state == SENT_GHOST && !q->intent->is_ghost && !planted("cap-counts-ghosts"))
        return false;
    if (c->after && is_of_category(q, c->after, s->category))
        return true;
    if (!(lane_term((enum lane)s->lane)->flags & LANE_CAPS))
        return false;
    if (c->channels && !(c->channels >> s->channel & 1))
        return false;
    if (c->categories && !is_of_category(q, c->categories, s->category))
        return false;
    if (c->groups && !is_of_group(q, c->groups, s->group))
        return false;
    if (!has_tag(c, s->message))
        return false;
    return c->journey == PLAN_NO_INDEX || q->plan->journeys[c->journey].name == s->journey;
}

/* Is it asked as if this slot had been given back? */
static bool is_yielded(const struct question *q, const struct sent *s)
{
    for (uint32_t i = 0; i < q->yield_count; i++)
        if (q->yields[i] == s->decision)
            return s->state == SENT_RESERVED;
    return false;
}

/* In a cap over all channels a set of all_of is one slot: the asker's own set is none, another counts by
 * its latest line. */
static bool is_companion(const struct question *q, const struct plan_cap *c, uint32_t place)
{
    const struct sent *s = person_sent(q->who, place);
    if (s->together == 0 || c->channels != 0)
        return false;
    if (s->together == q->intent->together)
        return true;
    for (uint32_t i = 0; i < q->who->profile->ledger.count; i++) {
        const struct sent *other = person_sent(q->who, i);
        if (i == place || other->together != s->together || !counts(q, c, other) ||
            is_yielded(q, other))
            continue;
        bool is_now = s->state == SENT_RESERVED, is_other_now = other->state == SENT_RESERVED;
        bool is_later = is_other_now != is_now                ? is_other_now
                        : other->at_ms != s->at_ms && !is_now ? other->at_ms > s->at_ms
                                                              : i > place;
        if (is_later)
            return true;
    }
    return false;
}

struct tally {
    uint32_t spent;    /* lines inside the window, whose time is known */
    uint32_t reserved; /* lines that count as of now */
    int64_t times[PROFILE_LEDGER_MAX];
};

static void tally(const struct question *q, const struct plan_cap *c, int64_t from_ms,
                  struct tally *t)
{
    t->spent = t->reserved = 0;
    for (uint32_t i = 0; i < q->who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(q->who, i);
        if (s->state != SENT_RESERVED && s->at_ms <= from_ms)
            continue; /* most lines; cheaper to see than what follows */
        if (!counts(q, c, s) || is_yielded(q, s) || is_companion(q, c, i))
            continue;
        if (s->state == SENT_RESERVED)
            t->reserved += q->who->now_ms > from_ms &&
                           !planted("cap-forgets-reserved"); /* counts as a send of now */
        else if (s->at_ms > from_ms + (planted("cap-edge") ? 1 : 0))
            t->times[t->spent++] = s->at_ms;
    }
    /* Newest first; the ledger is almost in order already. */
    for (uint32_t i = 1; i < t->spent; i++) {
        int64_t x = t->times[i];
        uint32_t k = i;
        for (; k > 0 && t->times[k - 1] < x; k--)
            t->times[k] = t->times[k - 1];
        t->times[k] = x;
    }
}

/* How many of the cap's slots are kept from this intent, where `from_ms` is the begin of its window: those
 * for groups that it is not of, as far as they have not had them. A reserved one has not gone yet, but
 * is had. */
static uint32_t kept_from(const struct question *q, const struct plan_cap *c, int64_t from_ms)
{
    uint32_t had = 0;
    if (c->kept == 0 || (q->group != PLAN_NO_INDEX && c->kept_for >> q->group & 1))
        return 0;
    for (uint32_t i = 0; i < q->who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(q->who, i);
        if (s->state != SENT_TOUCH && counts(q, c, s) && !is_yielded(q, s) &&
            is_of_group(q, c->kept_for, s->group) &&
            (s->state == SENT_RESERVED || s->at_ms > from_ms))
            had++;
    }
    return c->kept - min_of(had, c->kept);
}

/* A sliding cap that keeps slots from the intent: as messages leave the window, the kept ones may come
 * back, so that each such moment is asked about. */
static struct answer ask_keeping(const struct question *q, const struct plan_cap *c)
{
    struct tally t;
    int64_t at_ms = q->at_ms;
    for (uint32_t i = 0; i <= PROFILE_LEDGER_MAX; i++) {
        tally(q, c, at_ms - c->window_ms, &t);
        uint32_t room = c->limit - kept_from(q, c, at_ms - c->window_ms);
        if (t.spent + t.reserved < room) {
            if (at_ms == q->at_ms)
                break;
            return (struct answer){.kind = NOT_BEFORE, .at_ms = at_ms};
        }
        if (t.spent == 0) /* only what is on its way: it has to be spent or returned */
            return (struct answer){.kind = NOT_BEFORE, .at_ms = FOREVER_MS};
        at_ms = t.times[t.spent - 1] + c->window_ms;
    }
    /* It may be over before any message comes: when one that had a kept slot leaves the window. */
    int64_t until_ms = FOREVER_MS;
    if (t.spent > 0)
        until_ms = t.times[t.spent - 1] + c->window_ms;
    return (struct answer){.kind = ALLOW, .at_ms = until_ms};
}

#define USERS_MAX 5 /* messages that a full cap is said to be used by */

/* Who has the cap's slots, for people: the newest first. */
static void say_users(const struct question *q, const struct plan_cap *c, int64_t from_ms,
                      const struct tally *t)
{
    uint32_t told = 0;
    const uint32_t limit = c->kind == CAP_GAP ? 1 : c->limit;
    if (q->words == NULL)
        return;
    say(q, "cap %.*s: %u of %u used", STR_ARG(c->text), t->spent + t->reserved, limit);
    for (uint32_t i = q->who->profile->ledger.count; i-- > 0;) {
        const struct sent *s = person_sent(q->who, i);
        bool is_on_its_way = s->state == SENT_RESERVED;
        if (!counts(q, c, s) || is_yielded(q, s) || (!is_on_its_way && s->at_ms <= from_ms))
            continue;
        if (told == USERS_MAX) {
            buf_printf(q->words, " and others");
            break;
        }
        buf_printf(q->words, "%s%.*s (%s)", told++ ? ", " : ", by ",
                   STR_ARG(names_text(q->who->names, s->message)),
                   is_on_its_way ? "on its way" : moment(q, s->at_ms));
    }
}

static void say_kept(const struct question *q, uint32_t kept, int64_t free_ms)
{
    if (q->words == NULL)
        return;
    if (kept > 0)
        buf_printf(q->words, "; %u kept for others", kept);
    if (free_ms != FOREVER_MS)
        buf_printf(q->words, "; free again at %s", moment(q, free_ms));
}

static struct answer ask_sliding(const struct question *q, const struct plan_cap *c)
{
    struct tally t;
    uint32_t limit = c->kind == CAP_GAP ? 1 : c->limit;
    if (c->kept == 0 && q->who->profile->ledger.count < limit)
        return ANSWER_ALLOW;
    tally(q, c, q->at_ms - c->window_ms, &t);
    if (c->kept && c->kind == CAP_SLIDING &&
        (q->group == PLAN_NO_INDEX || !(c->kept_for >> q->group & 1))) {
        struct answer answer = ask_keeping(q, c);
        if (answer.kind == ALLOW)
            return answer;
        say_users(q, c, q->at_ms - c->window_ms, &t);
        say_kept(q, kept_from(q, c, q->at_ms - c->window_ms), answer.at_ms);
        blame(q, "the cap \"%.*s\"", STR_ARG(c->text));
        return answer;
    }
    if (t.spent + t.reserved < limit + planted("cap-one-more"))
        return ANSWER_ALLOW;
    if (t.spent < limit) {
        say_users(q, c, q->at_ms - c->window_ms, &t);
        blame(q, "the cap \"%.*s\"", STR_ARG(c->text));
        return (struct answer){.kind = NOT_BEFORE, .at_ms = FOREVER_MS};
    }
    /* The send that has to leave the window before another fits in. */
    int64_t free_ms = t.times[limit - 1] + c->window_ms;
    say_users(q, c, q->at_ms - c->window_ms, &t);
    if (q->words != NULL)
        buf_printf(q->words, "; free again at %s", moment(q, free_ms));
    blame(q, "the cap \"%.*s\"", STR_ARG(c->text));
    return (struct answer){.kind = NOT_BEFORE, .at_ms = free_ms};
}

static struct answer ask_calendar(const struct question *q, const struct plan_cap *c)
{
    struct tally t;
    const struct zone *zone = person_zone(q->who);
    bool is_day = c->kind == CAP_DAY;
    int64_t start_ms = is_day ? zone_day_start(zone, q->at_ms) : zone_week_start(zone, q->at_ms);
    int64_t end_ms =
        is_day ? zone_next_day_start(zone, q->at_ms) : zone_next_week_start(zone, q->at_ms);
    tally(q, c, start_ms - 1, &t);
    uint32_t kept = kept_from(q, c, start_ms - 1);
    if (kept > 0 && t.spent + t.reserved < c->limit && t.spent + t.reserved + kept >= c->limit) {
        say_users(q, c, start_ms - 1, &t);
        say_kept(q, kept, end_ms);
        blame(q, "the cap \"%.*s\"", STR_ARG(c->text));
        return (struct answer){.kind = NOT_BEFORE, .at_ms = end_ms};
    }
    if (t.spent + t.reserved < c->limit + planted("cap-one-more-a-day"))
        return (struct answer){.kind = ALLOW, .at_ms = end_ms};
    if (t.spent < c->limit) {
        say_users(q, c, start_ms - 1, &t);
        blame(q, "the cap \"%.*s\"", STR_ARG(c->text));
        return (struct answer){.kind = NOT_BEFORE, .at_ms = FOREVER_MS};
    }
    say_users(q, c, start_ms - 1, &t);
    if (q->words != NULL)
        buf_printf(q->words, "; the next %s begins at %s", is_day ? "day" : "week",
                   moment(q, end_ms));
    blame(q, "the cap \"%.*s\"", STR_ARG(c->text));
    return (struct answer){.kind = NOT_BEFORE, .at_ms = end_ms};
}

struct answer cap_ask(const struct question *q, const struct plan_cap *c)
{
    if (c->limit == 0 && c->kind != CAP_GAP) { /* a person may say: none at all */
        say(q, "%.*s", STR_ARG(c->text));
        blame(q, "the cap \"%.*s\"", STR_ARG(c->text));
        return (struct answer){.kind = NOT_BEFORE, .at_ms = FOREVER_MS};
    }
    return c->kind == CAP_DAY || c->kind == CAP_WEEK ? ask_calendar(q, c) : ask_sliding(q, c);
}

struct answer rule_cap_ask(const struct question *q)
{
    struct answer answer = ANSWER_ALLOW;
    for (uint32_t i = 0; i < q->plan->cap_count; i++)
        if (cap_is_meant(q, &q->plan->caps[i]))
            answer_join(&answer, cap_ask(q, &q->plan->caps[i]));
    return answer;
}
