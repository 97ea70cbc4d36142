/* audience.h - which segments a person is in, since when and until when.
 *
 *     what changed ──► plan.readers ──► the segments that read it ──► value, until ──► membership
 *                           ▲                                                             │
 *     time (ask_ms) ────────┼──────────────────────────────► that segment                 │
 *                           └────────────── a segment that others read has changed ◄──────┘
 *
 * Nothing scans all segments for an event: a name that changed leads to the segments that read it, in
 * an order in which nested ones come first, so that each is asked at most once for one change. What
 * time may change has a moment in the membership, and the profile is due then.
 *
 * A transition is noted once, as a result row, and (if a journey of the programme listens) handed to
 * who->entered(), which makes an event of it. When a segment's definition is new, those who were there
 * before are brought up to date without such events: by the sweep that follows an activation, or when
 * the profile is touched earlier.
 *
 * in_segment() in a step of a journey always reads memberships that are up to date: ask.c calls
 * who->refresh first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

/* Asks the segments that read what has changed since they were last asked, and those that read these.
 * Does nothing where nothing changed, and while it is running. */
void audience_changed(struct person *who);

/* Asks the segments whose moment has come at who->at_ms, and those that read them. */
void audience_timer(struct person *who);

/* The earliest moment at which audience_timer() may have something to do; FOREVER_MS if none. */
int64_t audience_deadline(const struct person *who);

/* A profile that has just come to be: at the next audience_changed() every segment is asked. */
void audience_created(struct profile *profile, uint32_t plan);

/* Are the memberships those of an older programme? Then audience_activated() must be called before
 * anything else happens to the person. */
static inline bool audience_is_stale(const struct person *who)
{
    return who->plan != NULL && who->profile->audience_plan != who->plans->newest;
}

/* Is anything woken that audience_changed() would ask now? Without a programme nothing can be. */
static inline bool audience_is_woken(const struct person *who)
{
    bool is_woken =
        who->woken_count != 0 || who->woken_bits != 0 || who->profile->known & PROFILE_IS_FRESH;
    return is_woken && who->plan != NULL && !audience_is_stale(who);
}

/* Would audience_activated() have anything to do for the profile? */
bool audience_is_behind(const struct plans *plans, const struct profile *profile);

/* Brings memberships up to date with the newest programme: asks segments that are new or mean something
 * else, drops those that are gone. No events come of it. Returns whether there was anything to do. */
bool audience_activated(struct person *who);

/* Puts the person on a list or takes them off, as a record says (NAME_MEMBER_ADDED, _REMOVED; the
 * property `segment` names it). Only records of a server key count. */
void audience_event(struct person *who);

/* Unites with the memberships of `from`, as of a merge; both are up to date with the newest programme.
 * All segments are to be asked again behind it. */
void audience_unite(struct person *who, const struct person *from);

/* Is the person in, by what is stored? */
static inline bool audience_is_in(const struct person *who, uint32_t segment)
{
    const struct membership *m = person_membership_find(who, segment);
    return m != NULL && (m->flags & MEMBERSHIP_IS_IN);
}

/* Why a person is in a segment of the newest programme, or is not. */
struct audience_reason {
    bool is_in;
    bool is_by_hand; /* because they were put on or taken off */
    bool has_since;  /* since_ms is known */
    int64_t since_ms;
    int64_t until_ms;  /* it cannot change before, if nothing new happens */
    struct str clause; /* what made the condition come out so, with the values; in scratch */
};
struct audience_reason audience_explain(struct person *who, uint16_t segment);
