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
#include "decide/memory.h"

/* Is the message one of those with the cap's tags? Requires that it has some. */
static bool has_tag(const struct plan_cap *c, uint32_t message)
{
    uint32_t low = 0, high = c->message_count;
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

/* Does the cap speak about this intent, whose lane obeys caps? */
static inline bool is_meant(const struct question *q, const struct plan_cap *c)
{
    if (c->channels && !(c->channels >> q->channel & 1))
        return false;
    if (c->categories && (q->category == PLAN_NO_INDEX || !(c->categories >> q->category & 1)))
        return false;
    if (c->groups && (q->group == PLAN_NO_INDEX || !(c->groups >> q->group & 1)))
        return false;
    if (c->journey != PLAN_NO_INDEX && c->journey != q->journey)
        return false;
    return c->messages == NULL || has_tag(c, q->message->name);
}

bool cap_is_meant(const struct question *q, const struct plan_cap *c)
{
    return q->lane_flags & LANE_CAPS && is_meant(q, c);
}

/* A line of the ledger that may count in some cap, read once for all of them. */
struct line {
    int64_t at_ms;
    uint64_t category; /* its bit in the newest programme; 0 = gone */
    uint64_t group;
    uint64_t together;
    uint32_t message;
    uint32_t journey;
    uint8_t state;
    uint8_t channel;
    bool is_capped; /* its lane obeys caps */
};

/* What all caps of one question need. */
struct facts {
    bool has_lines;
    bool has_reserved;
    const struct memory_day *days; /* NULL = not looked at yet */
    struct memory_day room;
    int64_t newest_ms; /* of those that are not reserved */
    uint32_t count;
    struct line lines[PROFILE_LEDGER_MAX]; /* oldest first, as in the ledger */
};

/* Is it asked as if this slot had been given back? */
static bool is_yielded(const struct question *q, const struct sent *s)
{
    for (uint32_t i = 0; i < q->yield_count; i++)
        if (q->yields[i] == s->decision)
            return s->state == SENT_RESERVED;
    return false;
}

static uint64_t category_bit(const struct plan *plan, uint32_t name)
{
    for (uint32_t i = 0; i < plan->category_count; i++)
        if (plan->categories[i].name == name)
            return UINT64_C(1) << i;
    return 0;
}

static uint64_t group_bit(const struct plan *plan, uint32_t name)
{
    for (uint32_t i = 0; i < plan->group_count; i++)
        if (plan->groups[i].name == name)
            return UINT64_C(1) << i;
    return 0;
}

/* The lines that may count: not the intent's own, none that it is to be asked without, and ghosts for ghosts
 * only. */
static void gather(const struct question *q, struct facts *facts)
{
    if (facts->has_lines)
        return;
    must(facts->count == 0);
    facts->has_lines = true;
    must(q->who->profile->ledger.count <= PROFILE_LEDGER_MAX);
    for (uint32_t i = 0; i < q->who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(q->who, i);
        if (s->decision == q->intent->decision || is_yielded(q, s))
            continue;
        if (s->state == SENT_GHOST && !q->intent->is_ghost && !planted("cap-counts-ghosts"))
            continue;
        if (s->state == SENT_RESERVED)
            facts->has_reserved = true;
        else
            facts->newest_ms = max_of(facts->newest_ms, s->at_ms);
        const struct sent_more *more = person_sent_more(q->who, s);
        facts->lines[facts->count++] = (struct line){
            .at_ms = s->at_ms,
            .category = category_bit(q->plan, s->category),
            .group = group_bit(q->plan, more->group),
            .together = more->together,
            .message = s->message,
            .journey = more->journey,
            .state = s->state,
            .channel = s->channel,
            .is_capped = lane_term((enum lane)s->lane)->flags & LANE_CAPS,
        };
    }
}

/* Does this line count in the cap? */
static inline bool counts(const struct question *q, const struct plan_cap *c, const struct line *s)
{
    if (s->state == SENT_TOUCH)
        return is_touch_of(c, s->message);
    if (c->after & s->category)
        return true;
    if (!s->is_capped)
        return false;
    if (c->channels && !(c->channels >> s->channel & 1))
        return false;
    if (c->categories && !(c->categories & s->category))
        return false;
    if (c->groups && !(c->groups & s->group))
        return false;
    if (c->journey != PLAN_NO_INDEX && q->plan->journeys[c->journey].name != s->journey)
        return false;
    return c->messages == NULL || has_tag(c, s->message);
}

/* In a cap over all channels a set of all_of is one slot: the asker's own set is none, another counts by
 * its latest line. */
static bool is_companion(const struct question *q, const struct plan_cap *c,
                         const struct facts *facts, uint32_t place)
{
    const struct line *s = &facts->lines[place];
    if (s->together == 0 || c->channels != 0)
        return false;
    if (s->together == q->intent->together)
        return true;
    for (uint32_t i = 0; i < facts->count; i++) {
        const struct line *other = &facts->lines[i];
        if (i == place || other->together != s->together || !counts(q, c, other))
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

static void tally(const struct question *q, const struct plan_cap *c, struct facts *facts,
                  int64_t from_ms, struct tally *t)
{
    t->spent = t->reserved = 0;
    gather(q, facts);
    if (!facts->has_reserved && facts->newest_ms <= from_ms)
        return;
    for (uint32_t i = 0; i < facts->count; i++) {
        const struct line *s = &facts->lines[i];
        if (s->state != SENT_RESERVED && s->at_ms <= from_ms)
            continue; /* most lines; cheaper to see than what follows */
        if (!counts(q, c, s) || is_companion(q, c, facts, i))
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
static uint32_t kept_from(const struct question *q, const struct plan_cap *c, struct facts *facts,
                          int64_t from_ms)
{
    uint32_t had = 0;
    if (c->kept == 0 || (q->group != PLAN_NO_INDEX && c->kept_for >> q->group & 1))
        return 0;
    gather(q, facts);
    for (uint32_t i = 0; i < facts->count; i++) {
        const struct line *s = &facts->lines[i];
        if (s->state != SENT_TOUCH && c->kept_for & s->group && counts(q, c, s) &&
            (s->state == SENT_RESERVED || s->at_ms > from_ms))
            had++;
    }
    return c->kept - min_of(had, c->kept);
}

/* A sliding cap that keeps slots from the intent: as messages leave the window, the kept ones may come
 * back, so that each such moment is asked about. */
static struct answer ask_keeping(const struct question *q, const struct plan_cap *c,
                                 struct facts *facts)
{
    struct tally t;
    int64_t at_ms = q->at_ms;
    must(c->window_ms > 0);
    for (uint32_t i = 0; i <= PROFILE_LEDGER_MAX; i++) {
        tally(q, c, facts, at_ms - c->window_ms, &t);
        uint32_t room = c->limit - kept_from(q, c, facts, at_ms - c->window_ms);
        if (t.spent + t.reserved < room) {
            if (at_ms == q->at_ms)
                break;
            return (struct answer){.kind = NOT_BEFORE, .at_ms = at_ms};
        }
        if (t.spent == 0) /* only what is on its way: it has to be spent or returned */
            return (struct answer){.kind = NOT_BEFORE, .at_ms = FOREVER_MS};
        must(t.times[t.spent - 1] + c->window_ms > at_ms);
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
static void say_users(const struct question *q, const struct plan_cap *c, const struct facts *facts,
                      int64_t from_ms, const struct tally *t)
{
    uint32_t told = 0;
    const uint32_t limit = c->kind == CAP_GAP ? 1 : c->limit;
    if (q->words == NULL)
        return;
    say(q, "cap %.*s: %u of %u used", STR_ARG(c->text), t->spent + t->reserved, limit);
    for (uint32_t i = facts->count; i-- > 0;) {
        const struct line *s = &facts->lines[i];
        bool is_on_its_way = s->state == SENT_RESERVED;
        if (!counts(q, c, s) || (!is_on_its_way && s->at_ms <= from_ms))
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

/* The cap is full, or keeps what is left for others: for people. */
static __attribute__((noinline)) void tell(const struct question *q, const struct plan_cap *c,
                                           const struct facts *facts, int64_t from_ms,
                                           const struct tally *t, uint32_t kept, int64_t free_ms)
{
    bool is_day = c->kind == CAP_DAY;
    say_users(q, c, facts, from_ms, t);
    if (kept > 0)
        say_kept(q, kept, free_ms);
    else if (free_ms != FOREVER_MS && (is_day || c->kind == CAP_WEEK) && q->words != NULL)
        buf_printf(q->words, "; the next %s begins at %s", is_day ? "day" : "week",
                   moment(q, free_ms));
    else
        say_kept(q, 0, free_ms);
    blame(q, "the cap \"%.*s\"", STR_ARG(c->text));
}

static __attribute__((noinline)) struct answer ask_none_at_all(const struct question *q,
                                                               const struct plan_cap *c)
{
    say(q, "%.*s", STR_ARG(c->text));
    blame(q, "the cap \"%.*s\"", STR_ARG(c->text));
    return (struct answer){.kind = NOT_BEFORE, .at_ms = FOREVER_MS};
}

/* Slots of the cap are kept for groups, of which the intent is none. */
static __attribute__((noinline)) struct answer ask_kept(const struct question *q,
                                                        const struct plan_cap *c,
                                                        struct facts *facts, int64_t from_ms,
                                                        int64_t end_ms)
{
    struct tally t;
    tally(q, c, facts, from_ms, &t);
    uint32_t kept = kept_from(q, c, facts, from_ms);
    struct answer answer;
    if (c->kind == CAP_SLIDING) {
        answer = ask_keeping(q, c, facts);
    } else if (t.spent + t.reserved + kept < c->limit) {
        answer = (struct answer){.kind = ALLOW, .at_ms = end_ms};
    } else {
        bool is_for_others = t.spent + t.reserved < c->limit;
        kept = is_for_others ? kept : 0;
        bool is_known = is_for_others || t.spent >= c->limit;
        answer = (struct answer){.kind = NOT_BEFORE, .at_ms = is_known ? end_ms : FOREVER_MS};
    }
    if (answer.kind != ALLOW && (q->words != NULL || q->blamed != NULL))
        tell(q, c, facts, from_ms, &t, kept, answer.at_ms);
    return answer;
}

static inline __attribute__((always_inline)) struct answer
ask_one(const struct question *q, const struct plan_cap *c, struct facts *facts)
{
    struct tally t;
    bool is_sliding = c->kind == CAP_SLIDING || c->kind == CAP_GAP;
    uint32_t limit = c->kind == CAP_GAP ? 1 : c->limit;
    int64_t from_ms = q->at_ms - c->window_ms, end_ms = FOREVER_MS;
    if (unlikely(limit == 0)) /* a person may say: none at all */
        return ask_none_at_all(q, c);
    if (is_sliding && c->kept == 0 && q->who->profile->ledger.count < limit)
        return ANSWER_ALLOW;
    if (!is_sliding) {
        if (facts->days == NULL)
            facts->days = memory_day(q, &facts->room);
        bool is_day = c->kind == CAP_DAY;
        from_ms = (is_day ? facts->days->day_start_ms : facts->days->week_start_ms) - 1;
        end_ms = is_day ? facts->days->day_end_ms : facts->days->week_end_ms;
    }
    from_ms = max_of(from_ms, c->since_ms);
    if (unlikely(c->kept > 0 && c->kind != CAP_GAP &&
                 (q->group == PLAN_NO_INDEX || !(c->kept_for >> q->group & 1))))
        return ask_kept(q, c, facts, from_ms, end_ms);
    gather(q, facts);
    if (facts->count < limit) /* were each of them to count */
        return (struct answer){.kind = ALLOW, .at_ms = end_ms};
    tally(q, c, facts, from_ms, &t);
    uint32_t edge = is_sliding ? planted("cap-one-more") : planted("cap-one-more-a-day");
    if (t.spent + t.reserved < limit + edge)
        return (struct answer){.kind = ALLOW, .at_ms = end_ms};
    int64_t free_ms = FOREVER_MS; /* as long as those that are on their way have not gone */
    if (t.spent >= limit)         /* the send that has to leave the window before another fits in */
        free_ms = is_sliding ? t.times[limit - 1] + c->window_ms : end_ms;
    if (unlikely(q->words != NULL || q->blamed != NULL))
        tell(q, c, facts, from_ms, &t, 0, free_ms);
    return (struct answer){.kind = NOT_BEFORE, .at_ms = free_ms};
}

/* Not all of it is to be cleared: the lines are many. */
static void facts_init(struct facts *facts)
{
    facts->has_lines = facts->has_reserved = false;
    facts->days = NULL;
    facts->newest_ms = INT64_MIN;
    facts->count = 0;
}

struct answer cap_ask(const struct question *q, const struct plan_cap *c)
{
    struct facts facts;
    facts_init(&facts);
    return ask_one(q, c, &facts);
}

struct answer rule_cap_ask(const struct question *q)
{
    struct answer answer = ANSWER_ALLOW;
    struct facts facts;
    uint64_t agreed = q->agreed != NULL ? q->agreed->caps : 0;
    if (!(q->lane_flags & LANE_CAPS))
        return answer;
    facts_init(&facts);
    must(q->plan->cap_count <= PLAN_CAPS_MAX);
    for (uint32_t i = 0; i < q->plan->cap_count; i++) {
        const struct plan_cap *c = &q->plan->caps[i];
        if (agreed >> i & 1)
            continue;
        if (is_meant(q, c)) {
            struct answer one = ask_one(q, c, &facts);
            if (!answer_is_agreed(one)) {
                answer_join(&answer, one);
                continue;
            }
        }
        agreed |= UINT64_C(1) << i;
    }
    if (q->agreed != NULL)
        q->agreed->caps = agreed;
    return answer;
}
