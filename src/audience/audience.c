/* SPDX-License-Identifier: Apache-2.0 */
#include "audience/audience.h"
#include "base/canary.h"

#include "profile/ask.h"

#define MANUAL (MEMBERSHIP_WAS_ADDED | MEMBERSHIP_WAS_REMOVED)

/* How a transition comes about: what is added to `how` of its result row. */
enum cause {
    CAUSE_NOTHING = 0, /* something happened, or time passed */
    CAUSE_QUIET = 2,   /* another definition, or a merge: no event comes of it */
    CAUSE_HAND = 4,
};

/* Segments that are still to be asked: a bit per index. Who reads another stands behind it, so that
 * going through the bits in order asks each after all that it reads. */
struct wanted {
    uint64_t bits[PLAN_SEGMENTS_MAX / 64];
    uint64_t words; /* a bit for each of them that is not 0 */
    /* Of somebody who has just appeared all segments are asked, most of which read what nobody has said
     * yet: only the failures of those that something woke are worth noting. NULL: of all. */
    const struct wanted *woken;
};
_Static_assert(PLAN_SEGMENTS_MAX / 64 <= 64, "a word knows all of them");

static void want(struct wanted *w, uint32_t index)
{
    w->bits[index / 64] |= UINT64_C(1) << (index % 64);
    w->words |= UINT64_C(1) << (index / 64);
}

static void want_all(struct wanted *w, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->segment_count; i++)
        want(w, i);
}

static void want_readers(struct wanted *w, const struct plan_readers *readers)
{
    for (uint32_t i = 0; readers != NULL && i < readers->count; i++)
        want(w, readers->segments[i]);
}

/* ---- the list of memberships, by ascending segment ------------------------------------------------ */

static bool is_at(const struct person *who, uint32_t place, uint32_t segment)
{
    return place < who->profile->memberships.count &&
           person_membership(who, place)->segment == segment;
}

static void insert(struct person *who, uint32_t place, struct membership m)
{
    struct membership *last = person_push_membership(who);
    must(last != NULL); /* a programme has few enough segments for the list */
    struct membership *at = last - (who->profile->memberships.count - 1u) + place;
    memmove(at + 1, at, (size_t)(last - at) * sizeof(*at));
    *at = m;
    who->profile->audience_ms = min_of(who->profile->audience_ms, m.ask_ms);
}

/* ---- asking --------------------------------------------------------------------------------------- */

static void transit(struct person *who, const struct plan_segment *s, bool is_in, enum cause cause,
                    int64_t was_ms, struct wanted *w)
{
    want_readers(w, plan_readers_find(who->plan, s->name));
    who->changed |= plan_wake_bit(s->name);
    who->stirred |= plan_wake_bit(s->name);
    if (s->kind == SEGMENT_NAMED) {
        person_result(who, (struct result){.kind = RESULT_MEMBERSHIP,
                                           .how = (uint8_t)(cause + is_in),
                                           .id = (uint64_t)max_of(was_ms, (int64_t)0),
                                           .number = s->name});
        if (who->witness != NULL)
            person_note(who, "%s segment %.*s%s%s%.*s", is_in ? "enters" : "leaves",
                        STR_ARG(names_text(who->names, s->name)),
                        cause == CAUSE_QUIET  ? " (its definition is new, or a merge)"
                        : cause == CAUSE_HAND ? " (by hand)"
                                              : "",
                        cause == CAUSE_NOTHING ? ": " : "",
                        STR_ARG(cause == CAUSE_NOTHING
                                    ? ask_explain(who, who->plan, &s->when, (struct blob){0})
                                    : STR("")));
    }
    uint32_t event = is_in ? s->entered : s->left;
    if (event != NAME_NONE && cause != CAUSE_QUIET && who->entered != NULL)
        who->entered(who, event, s->name);
}

/* Takes over what came out: a transition if it differs from what is stored, at `place`. */
static void settle(struct person *who, const struct plan_segment *s, uint32_t place, bool is_in,
                   int64_t ask_ms, enum cause cause, struct wanted *w)
{
    bool is_there = is_at(who, place, s->name);
    struct membership was = {.segment = s->name, .since_ms = who->at_ms};
    if (is_there)
        was = *person_membership(who, place);
    bool was_in = was.flags & MEMBERSHIP_IS_IN;
    struct membership m = was;
    m.ask_ms = ask_ms;
    if (is_in != was_in) {
        m.flags = (was.flags & MANUAL) | (is_in ? MEMBERSHIP_IS_IN : 0);
        m.since_ms = who->at_ms;
    }
    bool stays = m.flags != 0 || ask_ms != FOREVER_MS;
    if (!is_there && stays)
        insert(who, place, m);
    else if (is_there && !stays)
        person_drop_membership(who, place);
    else if (is_there && (m.flags != was.flags || m.ask_ms != was.ask_ms))
        *person_touch_membership(who, place) = m;
    if (stays)
        who->profile->audience_ms = min_of(who->profile->audience_ms, ask_ms);
    if (is_there ? was.ask_ms != ask_ms : ask_ms != FOREVER_MS)
        who->is_touched = true;
    if (is_in != was_in)
        transit(who, s, is_in, cause, was_in ? who->at_ms - was.since_ms : 0, w);
}

/* The condition failed and counts as false: a row says where. */
static void note_failure(struct person *who, const struct plan_segment *s)
{
    person_result(who,
                  (struct result){.kind = RESULT_ERROR, .how = ERROR_SEGMENT, .number = s->name});
    if (who->witness != NULL)
        person_note(who, "the condition of segment %.*s fails, and counts as false: %.*s",
                    STR_ARG(names_text(who->names, s->name)),
                    STR_ARG(ask_explain(who, who->plan, &s->when, (struct blob){0})));
}

static bool is_wanted(const struct wanted *w, uint32_t index)
{
    return w->bits[index / 64] >> (index % 64) & 1;
}

static void ask_one(struct person *who, uint32_t index, enum cause cause, struct wanted *w)
{
    const struct plan_segment *s = &who->plan->segments[index];
    /* Asking changes no membership: what is found once is good to the end. */
    uint32_t place = person_membership_place(who, s->name);
    uint32_t manual =
        is_at(who, place, s->name) ? person_membership(who, place)->flags & MANUAL : 0;
    struct asked asked = {.until_ms = FOREVER_MS};
    if (manual == 0 && s->when.code != NULL) {
        who->asked++;
        asked = ask(who, who->plan, &s->when, (struct blob){0});
        if (planted("member-not-asked"))
            asked.until_ms = FOREVER_MS;
        if (unlikely(asked.is_error) && cause == CAUSE_NOTHING &&
            (w->woken == NULL || is_wanted(w->woken, index)))
            note_failure(who, s);
    }
    bool is_in = manual ? (manual & MEMBERSHIP_WAS_ADDED) != 0 : asked.is_true;
    settle(who, s, place, is_in, asked.until_ms, cause, w);
}

/* Asks all that are wanted, and who reads them. */
static void ask_wanted(struct person *who, struct wanted *w, enum cause cause)
{
    must(!who->is_asking_segments);
    who->is_asking_segments = true;
    while (w->words != 0) { /* what a segment wakes stands behind it */
        uint32_t i = (uint32_t)__builtin_ctzll(w->words);
        if (w->bits[i] == 0) {
            w->words &= w->words - 1;
            continue;
        }
        uint32_t bit = (uint32_t)__builtin_ctzll(w->bits[i]);
        w->bits[i] &= w->bits[i] - 1;
        ask_one(who, i * 64 + bit, cause, w);
    }
    who->is_asking_segments = false;
}

void audience_changed(struct person *who)
{
    if (!audience_is_woken(who) || who->is_asking_segments)
        return;
    const struct plan *plan = who->plan;
    uint64_t bits = who->woken_bits;
    uint32_t count = who->woken_count;
    bool is_fresh = who->profile->known & PROFILE_IS_FRESH;
    who->woken_bits = 0;
    who->woken_count = 0;
    who->profile->known &= (uint8_t)~PROFILE_IS_FRESH;
    if (plan->segment_count == 0)
        return;
    struct wanted w = {0}, woken;
    for (uint32_t i = 0; i < count; i++)
        want_readers(&w, plan_readers_find(plan, who->woken[i]));
    if (is_fresh || bits == UINT64_MAX) {
        woken = w;
        w.woken = &woken;
        want_all(&w, plan);
    } else {
        for (uint32_t i = 0; bits != 0 && i < plan->reader_count; i++)
            if (bits & plan_wake_bit(plan->readers[i].name))
                want_readers(&w, &plan->readers[i]);
    }
    ask_wanted(who, &w, CAUSE_NOTHING);
}

/* ---- time ----------------------------------------------------------------------------------------- */

int64_t audience_deadline(const struct person *who)
{
    return who->profile->audience_ms;
}

/* Somebody may be in hundreds of segments: they are not looked over for each event. What is remembered
 * is a moment that is not too late; when it comes it is found out anew. */
static void look_over(struct person *who)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < who->profile->memberships.count; i++)
        next_ms = min_of(next_ms, person_membership(who, i)->ask_ms);
    who->profile->audience_ms = next_ms;
    who->is_touched = true;
}

void audience_timer(struct person *who)
{
    struct wanted w = {0};
    bool is_due = false;
    if (who->plan == NULL || audience_is_stale(who) || who->profile->audience_ms > who->at_ms)
        return;
    for (uint32_t i = 0; i < who->profile->memberships.count; i++) {
        const struct membership *m = person_membership(who, i);
        if (m->ask_ms > who->at_ms)
            continue;
        uint16_t index = plan_segment_find(who->plan, m->segment);
        must(index != PLAN_NO_INDEX);
        want(&w, index);
        is_due = true;
    }
    if (is_due)
        ask_wanted(who, &w, CAUSE_NOTHING);
    look_over(who);
}

/* ---- programmes ----------------------------------------------------------------------------------- */

void audience_created(struct profile *profile, uint32_t plan)
{
    profile->audience_ms = FOREVER_MS;
    profile->audience_plan = plan;
    if (plan != 0)
        profile->known |= PROFILE_IS_FRESH;
}

/* Does the newest programme mean other segments than the one the profile's memberships are of? */
static bool is_other(const struct plans *plans, const struct profile *profile)
{
    const struct plan *newest = plans->at[plans->newest];
    if (profile->audience_plan == 0)
        return newest->segment_count != 0;
    return plans->at[profile->audience_plan]->segments_hash != newest->segments_hash;
}

bool audience_is_behind(const struct plans *plans, const struct profile *profile)
{
    return profile->audience_plan != plans->newest &&
           (is_other(plans, profile) || plans->at[plans->newest]->has_existing);
}

#define GONE_MAX 256
_Static_assert((PLAN_SEGMENTS_MAX + GONE_MAX) * sizeof(struct membership) <= SPACE_OBJECT_MAX,
               "the list has room for all");

/* Memberships in what the programme does not have any more. What was said by hand is kept, within
 * bounds: the list may come back. */
static void forget_gone(struct person *who)
{
    uint32_t gone = 0;
    for (uint32_t i = 0; i < who->profile->memberships.count;) {
        const struct membership *m = person_membership(who, i);
        uint16_t index = plan_segment_find(who->plan, m->segment);
        if (index != PLAN_NO_INDEX &&
            (who->plan->segments[index].is_list || !(m->flags & MANUAL))) {
            i++;
            continue;
        }
        if (m->flags & MEMBERSHIP_IS_IN && index == PLAN_NO_INDEX &&
            str_find(names_text(who->names, m->segment), STR("$"), 0) != 0)
            person_result(who, (struct result){.kind = RESULT_MEMBERSHIP,
                                               .how = CAUSE_QUIET,
                                               .id = (uint64_t)(who->at_ms - m->since_ms),
                                               .number = m->segment});
        if (m->flags & MANUAL && index == PLAN_NO_INDEX && gone < GONE_MAX) {
            gone++;
            struct membership *kept = person_touch_membership(who, i++);
            kept->flags &= MANUAL;
            kept->ask_ms = FOREVER_MS;
            kept->since_ms = who->at_ms;
        } else if (m->flags & MANUAL &&
                   index !=
                       PLAN_NO_INDEX) { /* it is no list any more: its condition alone counts */
            person_touch_membership(who, i++)->flags &= ~(uint32_t)MANUAL;
        } else {
            person_drop_membership(who, i);
        }
    }
}

bool audience_activated(struct person *who)
{
    struct profile *p = who->profile;
    struct wanted w = {0};
    bool is_behind = p->audience_plan != who->plans->newest && is_other(who->plans, p);
    const struct plan *old = p->audience_plan != 0 ? person_plan(who, p->audience_plan) : NULL;
    p->audience_plan = who->plans->newest;
    if (!is_behind || p->known & PROFILE_IS_FRESH)
        return false;
    for (uint32_t i = 0; i < who->plan->segment_count; i++) {
        const struct plan_segment *s = &who->plan->segments[i];
        uint16_t before = old != NULL ? plan_segment_find(old, s->name) : PLAN_NO_INDEX;
        if (before == PLAN_NO_INDEX || old->segments[before].hash != s->hash)
            want(&w, i);
    }
    forget_gone(who);
    ask_wanted(who, &w, CAUSE_QUIET);
    look_over(who);
    return true;
}

/* ---- lists ---------------------------------------------------------------------------------------- */

void audience_event(struct person *who)
{
    const struct record *r = who->event;
    struct value named = record_get(r, NAME_SEGMENT, NULL);
    if (!(r->flags & RECORD_IS_SERVER) || named.type != VALUE_TEXT || who->plan == NULL)
        return;
    uint32_t name = names_find_below(who->names, named.text, who->names_end);
    uint16_t index = name != NAME_NONE ? plan_segment_find(who->plan, name) : PLAN_NO_INDEX;
    if (index == PLAN_NO_INDEX || !who->plan->segments[index].is_list) {
        person_note(who, "there is no list \"%.*s\": nothing was changed", STR_ARG(named.text));
        return;
    }
    const struct plan_segment *s = &who->plan->segments[index];
    bool is_added = r->name == NAME_MEMBER_ADDED;
    uint32_t manual = is_added               ? MEMBERSHIP_WAS_ADDED
                      : s->when.code != NULL ? MEMBERSHIP_WAS_REMOVED
                                             : 0; /* off a mere list is out anyway */
    audience_changed(who);
    uint32_t place = person_membership_place(who, name);
    if (is_at(who, place, name)) {
        struct membership *m = person_touch_membership(who, place);
        m->flags = (m->flags & ~(uint32_t)MANUAL) | manual;
    } else if (manual != 0) {
        insert(who, place,
               (struct membership){
                   .segment = name, .flags = manual, .since_ms = who->at_ms, .ask_ms = FOREVER_MS});
    }
    struct wanted w = {0};
    must(!who->is_asking_segments);
    who->is_asking_segments = true;
    ask_one(who, index, CAUSE_HAND, &w);
    who->is_asking_segments = false;
    ask_wanted(who, &w, CAUSE_NOTHING);
}

/* ---- merges --------------------------------------------------------------------------------------- */

void audience_unite(struct person *who, const struct person *from)
{
    for (uint32_t i = 0; i < from->profile->memberships.count; i++) {
        struct membership theirs = *person_membership(from, i);
        uint32_t place = person_membership_place(who, theirs.segment);
        bool is_there = is_at(who, place, theirs.segment);
        struct membership m = is_there ? *person_membership(who, place) : theirs;
        bool was_in = is_there && m.flags & MEMBERSHIP_IS_IN;
        if (is_there) {
            /* What was said by hand about the one who stays counts. Of two who are in, the longer. */
            if (!(m.flags & MANUAL))
                m.flags |= theirs.flags & MANUAL;
            if (theirs.flags & MEMBERSHIP_IS_IN) {
                m.since_ms = was_in ? min_of(m.since_ms, theirs.since_ms) : theirs.since_ms;
                m.flags |= MEMBERSHIP_IS_IN;
            }
            m.ask_ms = min_of(m.ask_ms, theirs.ask_ms);
            *person_touch_membership(who, place) = m;
            who->profile->audience_ms = min_of(who->profile->audience_ms, m.ask_ms);
        } else {
            insert(who, place, m);
        }
        uint16_t index =
            who->plan != NULL ? plan_segment_find(who->plan, m.segment) : PLAN_NO_INDEX;
        bool is_named = index != PLAN_NO_INDEX && who->plan->segments[index].kind == SEGMENT_NAMED;
        if (is_named && !was_in && m.flags & MEMBERSHIP_IS_IN)
            person_result(who, (struct result){.kind = RESULT_MEMBERSHIP,
                                               .how = CAUSE_QUIET + 1,
                                               .number = m.segment});
    }
    who->is_touched = true;
}

/* ---- explaining ----------------------------------------------------------------------------------- */

struct audience_reason audience_explain(struct person *who, uint16_t segment)
{
    must(segment < who->plan->segment_count);
    const struct plan_segment *s = &who->plan->segments[segment];
    const struct membership *m = person_membership_find(who, s->name);
    uint32_t manual = m != NULL ? m->flags & MANUAL : 0;
    bool is_stored = !audience_is_stale(who);
    struct audience_reason reason = {.until_ms = FOREVER_MS};
    if (manual != 0) {
        reason.is_by_hand = true;
        reason.is_in = manual & MEMBERSHIP_WAS_ADDED;
        reason.clause = reason.is_in ? STR("put on the list") : STR("taken off the list");
    } else if (s->when.code == NULL) {
        reason.clause = STR("not on the list");
    } else {
        struct asked asked = ask(who, who->plan, &s->when, (struct blob){0});
        reason.is_in = asked.is_true;
        reason.until_ms = asked.until_ms;
        reason.clause = ask_explain(who, who->plan, &s->when, (struct blob){0});
    }
    if (is_stored && m != NULL && reason.is_in == ((m->flags & MEMBERSHIP_IS_IN) != 0)) {
        reason.has_since = true;
        reason.since_ms = m->since_ms;
    }
    return reason;
}
