/* plan.h - a programme, compiled: read-only, shared, one piece of memory. What moves (profiles,
 * instances, intents) is small and points in here by number.
 *
 * src/programme builds a plan from a folder of files; the engine only reads it. Everything is found
 * by index or by one array lookup: nothing here is searched per event.
 *
 *     plan ── events[]   by event name: who enters, which holds open and close, which features it feeds
 *          ── features[] what is remembered of each person's past, and how much of it
 *          ── journeys[] ── steps[]   flat; `next` and targets are step numbers, PLAN_END = the end
 *          ── messages[] ── fields[]  what the templates read, frozen when an attempt is granted
 *          ── categories[], groups[], caps[], windows[], holds[], providers[], traits[]
 *          ── bindings[]  what did(), count(), sent() ... in expressions refer to
 *          ── segments[]  who belongs to what; woken by the names that they read
 *
 * Names are numbers of model/names.h, which are the same in every version of a programme; indices are
 * good within one plan only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/value.h"
#include "model/money.h"
#include "model/names.h"
#include "model/record.h"
#include "model/terms.h"
#include "model/watch.h"
#include "when/calendar.h"
#include "when/span.h"
#include "when/window.h"

struct recur;            /* when/recur.h */
struct expr;             /* expr/expr.h */
struct zoneset;          /* when/zone.h */
struct channel_template; /* channel/channel.h: how a message is rendered; opaque to the engine */

#define PLAN_END             UINT16_MAX /* step number: the journey is over */
#define PLAN_NO_INDEX        UINT16_MAX /* no group, no category, ... */
#define PLAN_JOURNEYS_MAX    4096
#define PLAN_STEPS_MAX       1024 /* in one journey */
#define PLAN_MESSAGES_MAX    8192
#define PLAN_CATEGORIES_MAX  64
#define PLAN_GROUPS_MAX      64
#define PLAN_CAPS_MAX        64
#define PLAN_HOLDS_MAX       32
#define PLAN_REGULATIONS_MAX 64
#define PLAN_WINDOWS_MAX     32
#define PLAN_BUDGETS_MAX     32
#define PLAN_CALENDARS_MAX   64
#define PLAN_DAYS_MAX        4096 /* of one part of a calendar */

#define PLAN_CONTENT_MS        (30 * DAY_MS) /* rule 9 looks back so far */
#define PLAN_ADDRESS_LIMIT     4 /* marketing attempts to one address in 24 h, unless said otherwise */
#define PLAN_ADDRESS_LIMIT_MAX 16
#define PLAN_MILESTONES_MAX    64 /* of one journey */
#define PLAN_INSTEADS_MAX      16 /* of one send */
#define PLAN_REACTIONS_MAX     64
#define PLAN_UNKNOWN_ZONES_MAX 16
#define PLAN_PROVIDERS_MAX     32
#define PLAN_CHANNELS_MAX      8   /* channels that one send may try in turn */
#define PLAN_FIELDS_MAX        128 /* that one message's templates read */
#define PLAN_WAYS_MAX          16  /* of one journey */
#define PLAN_PERSONAL_MAX      64  /* ways on people's own clocks, in all journeys together */
#define PLAN_FEATURES_MAX      4096
#define PLAN_ITEMS_MAX         4096 /* that one feature may keep of one person */
#define PLAN_ITEMS_DEFAULT     256
#define PLAN_KEPT_MAX          16 /* properties that one feature keeps of an item */
#define PLAN_SEQUENCE_MAX      8  /* steps of a sequence, and as many events that break it */
#define PLAN_STAGES_MAX        32
#define PLAN_AUDIENCES_MAX     64
#define PLAN_ERRANDS_MAX       256 /* steps call and task, in all journeys together */
#define PLAN_SAVES_MAX         16  /* values that one of them saves */
#define PLAN_PLACEMENTS_MAX    64
#define PLAN_OFFERS_MAX        64 /* of one placement */
#define PLAN_OFFER_FIELDS_MAX  32
#define PLAN_SEGMENTS_MAX      1024 /* those without a name of their own included */

/* ---- what expressions and templates may read --------------------------------------------------- */

/* A slot says where a value comes from: space in the top 4 bits, a name in the others. */
enum slot_space {
    SLOT_EVENT = 1, /* event.PATH: the event being applied (absent where there is none) */
    SLOT_ENTRY,     /* entry.PATH: the event with which the instance began */
    SLOT_TRAIT,     /* traits.PATH (person.PATH in templates): the profile's traits */
    SLOT_META,      /* enum slot_meta */
    SLOT_ITEM,      /* e.PATH: the past event that a condition inside count("E", e, ...) is about */
};

enum slot_meta {
    META_PERSON_ID = 1, /* the user id, or the anonymous id */
    META_JOURNEY,       /* the journey's name */
    META_MESSAGE,       /* the message's name */
    META_ATTEMPT_ID,    /* the idempotency key of the attempt, as text */
    META_EVENT_NAME,    /* event_name: the event's own name (event.name is its property "name") */
    META_VOUCHER, /* voucher.code: the code that goes out with the attempt; filled in at the grant */
};

#define SLOT(space, name) (((uint32_t)(space) << 28) | (name))
#define SLOT_SPACE(slot)  ((enum slot_space)((slot) >> 28))
#define SLOT_NAME(slot)   ((slot)&0x07ffffffu)

/* In a slot of a property: a text that is a number ("12.50") is read as one, because a number is wanted. */
#define SLOT_AS_NUMBER (1u << 27)

/* What a function call in an expression refers to (its literal arguments, resolved). */
enum binding_kind {
    BINDING_DID,   /* did("E", "3d"): bool. Window 0 = ever */
    BINDING_COUNT, /* count("E", "3d"): int, "at least" when saturated */
    BINDING_IDLE, /* idle("E", "3d"): bool, no such event since the later of 3d ago and first seen */
    BINDING_SINCE,   /* since("E"), which is compiled as now minus this: time of the last one, or of
                    * first seen, whichever is later */
    BINDING_SENT,    /* sent("message", "7d"): bool: accepted, in doubt or ghost */
    BINDING_ENGAGED, /* engaged("message"): bool: human open, click or conversion */
    BINDING_CLICKED, /* clicked("message"): bool */
    BINDING_IN_JOURNEY,  /* in_journey("welcome"): bool */
    BINDING_CONSENT,     /* consent("email"): bool: marketing agreed on that channel */
    BINDING_BUCKET,      /* bucket("salt"): int 0..9999, sticky per person */
    BINDING_IN_SEGMENT,  /* in_segment("vip", "7d"): bool: is in; with a window, for so long */
    BINDING_SUM,         /* sum("E", "3d", e, e.total): double */
    BINDING_LEAST,       /* min(...) */
    BINDING_MOST,        /* max(...) */
    BINDING_AVERAGE,     /* avg(...) */
    BINDING_DISTINCT,    /* distinct(...): int */
    BINDING_FIRST,       /* first("E").total */
    BINDING_LAST,        /* last("E").total */
    BINDING_IN_CALENDAR, /* in_calendar("holidays"): bool */
    BINDING_IN_HOURS,    /* in_hours("09:00", "18:00", "mon-fri"): bool */
    BINDING_OUTCOME,     /* outcome("step"): what became of a send of the instance; "" = pending */
    BINDING_IN_STAGE,    /* in_stage("trial"): bool */
    BINDING_SEQUENCE,    /* sequence(["A", "B"], "2h", ["C"], "7d"): bool */
    BINDING_STEP,        /* step("A", e, e.total > 5): in such a list; never asked by itself */
};

struct plan_binding {
    uint8_t kind;          /* enum binding_kind */
    uint8_t channel;       /* CONSENT */
    bool as_number;        /* FIRST, LAST: a text that is a number is read as one */
    uint8_t window_unit;   /* enum span_unit of a calendar window */
    uint16_t window_count; /* calendar window: so many of them, with the current one; 0 = sliding */
    uint16_t feature;      /* DID to SINCE, SUM to LAST: what is asked; index in plan.features */
    uint32_t name;         /* event, message, journey or segment; FIRST and LAST: the property */
    int64_t window_ms;     /* sliding window; 0 = all time (or a calendar window) */
    int64_t window_unit_ms; /* > 0: a trait says the window when it is asked, so long for each 1 of
                             * its number, which is handed in; window_ms is the most */
    uint64_t salt;          /* BUCKET */
    uint32_t condition_count;
    const struct expr *const
        *conditions; /* that an item must meet, as far as they read what is now */
    const struct expr
        *value; /* SUM to DISTINCT: the item's value where it reads what is now too, else NULL:
                               * the feature keeps it */
    const struct plan_sequence *sequence; /* SEQUENCE */
    uint16_t calendar;   /* IN_CALENDAR: index in calendars; `name`: its region's trait */
    struct window hours; /* IN_HOURS */
};

/* Each step within within_ms of the first and none of `without` between the first and the last. One
 * step only: it happened, and none of `without` did within within_ms after it. */
struct plan_sequence {
    int64_t within_ms;
    uint16_t step_count;
    uint16_t without_count;
    uint16_t steps[PLAN_SEQUENCE_MAX]; /* features */
    uint16_t without[PLAN_SEQUENCE_MAX];
    /* Of each: the STEP whose conditions its items must meet when it is asked, an index in bindings plus
     * one; 0 = there are none. */
    uint32_t step_asks[PLAN_SEQUENCE_MAX];
    uint32_t without_asks[PLAN_SEQUENCE_MAX];
};

/* A compiled expression with what wakes it: one bit per name it reads (event names of bindings,
 * traits, messages), folded to 64 by plan_wake_bit(). Nothing it reads has changed while
 * (wake & changed) == 0 and its `until` has not come. NULL code = always true. */
struct plan_expr {
    const struct expr *code;
    uint64_t wake;
    struct str text; /* as written, for `why` */
};

static inline uint64_t plan_wake_bit(uint32_t name)
{
    return UINT64_C(1) << ((name * UINT32_C(2654435761)) >> 26);
}

/* ---- features ---------------------------------------------------------------------------------- */

/* How much of the past a feature keeps of each person. Numbers are written to disk. */
enum feature_kind {
    FEATURE_MARK = 1, /* how many there were, and when the last one was */
    FEATURE_TALLY,    /* and of a number that they carry: sum, least, most */
    FEATURE_FIRST,    /* and the first one's properties */
    FEATURE_LAST,     /* and the last one's */
    FEATURE_ITEMS,    /* and each of the last `keep`: when, its number, its properties */
    FEATURE_VALUES,   /* and of the last `keep` different values when each was there last */
};

/* What one call of an expression asks about the past: which events count, and what is kept of them. Two
 * plans that ask the same have the same feature, by its name. profile/feature.h. */
struct plan_feature {
    uint32_t name;  /* "$feature:" and a hash of everything below */
    uint8_t kind;   /* enum feature_kind */
    bool is_enough; /* no question can tell more items than `keep` from more still */
    bool is_prefix; /* "cart*": every event whose name begins with `prefix` */
    uint16_t keep;  /* items; 0 where the kind has none */
    uint32_t event; /* name; NAME_NONE with is_prefix */
    struct str prefix;
    int64_t keep_ms; /* items that are so old are of no use to any question; 0 = all are */
    uint32_t filter_count;
    const struct expr *const *filters; /* all of them true: the event counts. They read SLOT_ITEM */
    uint32_t property; /* its value: a number (TALLY, ITEMS) or anything (VALUES); NAME_NONE: */
    const struct expr *value; /* what this says of the event; NULL: no value is kept */
    uint32_t kept_count;
    const uint32_t *kept; /* properties that ITEMS, FIRST and LAST keep, ascending */
    struct str text;      /* for people: what it keeps, of which events */
};

/* ---- segments ---------------------------------------------------------------------------------- */

/* Who belongs to a segment: a condition over the person alone (no event.*, no entry.*), a list that
 * people are put on and taken off, or both: then the list overrules the condition for those on it.
 *
 * Segments without a name of their own stand in the same table: has_been(COND, "7d") reads the segment
 * "$has_been:..." of COND, and `enter: {if: COND}` listens to the segment "$enter:JOURNEY". */
enum segment_kind {
    SEGMENT_NAMED = 1, /* segments/NAME.yaml */
    SEGMENT_HAS_BEEN,
    SEGMENT_ENTRY,
    SEGMENT_STAGE,
};

struct plan_segment {
    uint32_t name;
    uint8_t kind;           /* enum segment_kind */
    bool is_list;           /* people are put on it and taken off it */
    struct str owner;       /* may be empty */
    struct plan_expr when;  /* code NULL: nobody but those on the list */
    uint64_t hash;          /* of what it means, nested segments included: equal = the same */
    uint64_t wakes;         /* plan_wake_bit of all that it reads, nested segments' included */
    uint32_t entered, left; /* names of the events that journeys hear; NAME_NONE = none listens */
};

/* A stage of the customer's life. People are in the furthest whose condition holds or that a step set. */
struct plan_stage {
    uint32_t name;
    uint32_t segment;    /* name of the segment that its condition is; NAME_NONE: steps set it */
    uint32_t suppressed; /* bit per channel that is not used for marketing meanwhile */
};

/* Segments that read a name. */
struct plan_readers {
    uint32_t name;
    uint32_t count;
    const uint16_t *segments; /* ascending */
};

/* ---- journeys ---------------------------------------------------------------------------------- */

enum step_kind {
    STEP_SEND = 1,
    STEP_WAIT,
    STEP_BRANCH,
    STEP_SPLIT,
    STEP_SET,
    STEP_EXIT,
    STEP_GOAL,
    STEP_CHOOSE,
    STEP_HANDOFF,
    STEP_RUN,
    STEP_MILESTONE, /* no step of a file: where a person stands until the milestone is reached */
    STEP_STAGE,
    STEP_AUDIENCE,
    STEP_CALL,
    STEP_TASK,
};

struct plan_way;

struct plan_listen {
    uint32_t event; /* name */
    struct plan_expr when;
    const struct plan_way *way; /* entries: NULL = the person's own event, and nothing special */
};

struct plan_arm {
    struct plan_expr when; /* branch */
    uint32_t name;         /* split */
    uint32_t weight;       /* split */
    uint16_t target;       /* first step of the arm */
};

/* In a send's channels: the one that the person prefers, if the message has content for it. */
#define PLAN_CHANNEL_PREFERRED UINT8_MAX

struct plan_instead;

struct plan_send {
    uint16_t message; /* index */
    uint8_t channel_count;
    uint8_t channels[PLAN_CHANNELS_MAX]; /* enum channel, in the order in which they are tried */
    bool goes_on;                        /* go_on: the instance does not wait for it to settle */
    bool is_all;                         /* all_of: on each of the channels */
    uint16_t if_not_sent;                /* step, or PLAN_NO_INDEX = go on as if sent */
    uint32_t told_as; /* name under which the instance keeps its outcome; NAME_NONE: nobody asks */
    int64_t valid_for_ms;       /* 0 = the message's */
    int64_t fallback_within_ms; /* a bounce so soon after acceptance tries the next channel */
    int64_t wait_address_ms;    /* if_unreachable: how long each channel's address is waited for */
    uint16_t provider;          /* index: instead of the message's on its channel; PLAN_NO_INDEX */
    uint16_t voucher;           /* index of the pool of codes, or PLAN_NO_INDEX */
    uint8_t voucher_empty;      /* enum voucher_empty */
    int64_t best_within_ms;     /* so long the best hour is waited for; 0 = none is */
    int32_t
        best_otherwise_ms; /* the time of day where nothing is known; MOMENT_NO_CLOCK = at once */
    uint32_t engaged_count;
    const uint32_t *engaged; /* names of messages: engagement with one of them cancels it */
    const struct plan_follow_up *follow_up; /* NULL = none */
    uint32_t instead_count;
    const struct plan_instead *insteads; /* the first whose condition is true takes its place */
};

enum voucher_empty {               /* where the pool has no code left */
                     VOUCHER_SKIP, /* it ends `no_voucher` */
                     VOUCHER_WITHOUT,
                     VOUCHER_WAIT,
};

/* What is sent for lack of engagement: an intent of its own, pending since the first went out. */
struct plan_follow_up {
    struct plan_send send;
    int64_t after_ms;
    bool is_sooner; /* sooner_if: ignored */
};

/* Another message in the place of a send's own. */
struct plan_instead {
    struct plan_expr when;
    struct plan_send send; /* what is sent instead; its channels, and how long it is valid */
};

/* What a moment is reckoned from. */
enum moment_kind {
    MOMENT_NONE,  /* there is none */
    MOMENT_AFTER, /* a time after the wait began: freezes under holds */
    MOMENT_DATE,  /* a date */
    MOMENT_NEXT,  /* the wait's beginning: the next such clock, hours or weekday */
};

/* What to do where a moment cannot be had, or lay behind already when the wait began. */
enum moment_otherwise {
    MOMENT_SKIP, /* there is no wait */
    MOMENT_EXIT, /* the instance ends `exited` */
    MOMENT_STAY, /* the wait goes on until there is one */
};

#define MOMENT_NO_CLOCK (-1)

/* A moment in somebody's life, as it is written: journey/moment.h makes an instant of it. */
struct plan_moment {
    uint8_t kind;           /* enum moment_kind */
    uint8_t missing;        /* enum moment_otherwise: the expression gives none */
    uint8_t past;           /* enum moment_otherwise: DATE, before the wait began */
    bool is_wall;           /* DATE, literal: date_ms is on the person's wall */
    bool is_day;            /* DATE, literal: a day alone */
    bool has_window;        /* bent to the next moment inside `window` */
    uint8_t weekdays;       /* with clock_ms: on which days; span.h */
    uint16_t zone;          /* index in the plan's zones, or PLAN_NO_INDEX = the person's */
    int32_t clock_ms;       /* bent to this time of day; MOMENT_NO_CLOCK = as it is */
    struct span span;       /* AFTER: how long; DATE: the offset */
    int64_t date_ms;        /* DATE, literal */
    struct plan_expr value; /* the length (AFTER) or the date, if computed; code NULL = literal */
    struct window window;
};

/* One way in which a wait may end: whichever of its parts comes first. */
struct plan_ending {
    uint32_t label;  /* name; NAME_NONE = it has none */
    uint16_t target; /* step that it leads to */
    uint32_t listen_count;
    const struct plan_listen *listens; /* any of these events */
    struct plan_expr condition;        /* code NULL = none */
    struct plan_moment moment;
};

struct plan_wait {
    int64_t for_ms;    /* -1 = no fixed time (until something happens) */
    uint32_t for_days; /* calendar days in the person's zone, instead of for_ms; 0 = none */
    uint32_t until_count;
    const struct plan_listen *until; /* any of these ends the wait; NAME_NONE: a condition */
    struct plan_expr until_if;       /* or this condition (code NULL = none) */
    uint32_t ending_count;
    const struct plan_ending *endings; /* or one of these */
    uint16_t on_timeout;    /* step when for_ms or at_most_ms runs out; PLAN_NO_INDEX = next */
    uint32_t reset_by;      /* event that starts the time again; NAME_NONE = none */
    bool refreshes_entry;   /* the resetting event replaces entry.* */
    uint32_t after_message; /* `for` counts from when it was ...; NAME_NONE = from the begin */
    bool
        is_after_delivered; /* ... delivered (accepted, if nothing came in 15 min); else accepted */
    int64_t at_most_ms; /* the wait is over so long after it began, resets aside; 0 = no bound */
    uint16_t
        engaged_message; /* `unless: engaged`: ends when the person engages with this message */
};

struct plan_branch {
    uint32_t arm_count;
    const struct plan_arm *arms; /* the first whose `when` is true; else `next` */
};

struct plan_split {
    uint64_t salt;
    uint32_t name; /* of the split: results name it */
    uint32_t weight_total;
    uint32_t arm_count;
    const struct plan_arm *arms;
};

struct plan_set {
    uint32_t trait;
    struct plan_expr to;
};

/* One of several that compete: the one with the highest score whose condition is true; of equals the
 * first. */
struct plan_candidate {
    uint32_t name;
    struct plan_expr when;  /* code NULL = always */
    struct plan_expr score; /* code NULL: `priority` */
    int32_t priority;
    uint16_t target;
};

struct plan_choose {
    uint32_t count;
    const struct plan_candidate *candidates; /* none of them fits: `next` */
};

/* A property of what another journey begins with. */
struct plan_given {
    uint32_t name;
    struct plan_expr value;
};

/* HANDOFF: this instance ends and one of another journey begins; refused: `next`. RUN: one of another
 * journey begins, and this one goes on behind it. */
struct plan_other {
    uint32_t journey; /* name */
    uint16_t index;   /* in this plan */
    uint32_t given_count;
    const struct plan_given *given;
};

enum wish_until {                    /* numbers are written to disk */
                  WISH_INSTANCE = 1, /* as long as the instance lives */
                  WISH_STAGE,        /* as long as the person is in the stage of then */
                  WISH_EVER,         /* until a step removes them */
};

/* Into an ad audience, or out of it. */
struct plan_step_audience {
    uint16_t audience; /* index */
    bool removes;
    uint8_t until; /* enum wish_until */
};

/* A call of a web service, or a task for people: the instance waits for what comes of it. */
struct plan_step_errand {
    uint16_t errand;    /* index */
    uint16_t if_failed; /* step, or PLAN_NO_INDEX = `next`: failed, declined */
    uint16_t if_late;   /* the same: timed out, overdue */
    uint32_t
        told_as; /* name under which the instance keeps what came of it; NAME_NONE: nobody asks */
};

/* The standing place of a milestone: everybody behind its steps waits here until it is reached. */
struct plan_stand {
    uint16_t milestone; /* its number; PLAN_NO_INDEX: before all of them, where nobody stays */
};

struct plan_step {
    uint8_t kind;  /* enum step_kind */
    uint16_t next; /* step number or PLAN_END */
    uint32_t id;   /* name, unique in the journey: given by `id:` or made from kind and place */
    uint32_t line; /* in the journey's file */
    union {
        struct plan_send send;
        struct plan_wait wait;
        struct plan_branch branch;
        struct plan_split split;
        struct plan_set set;
        struct plan_choose choose;
        struct plan_other other;
        struct plan_stand stand;
        uint32_t stage; /* name */
        struct plan_step_audience audience;
        struct plan_step_errand errand;
    };
};

/* What a person is led to, one after the other: as soon as its condition is true it is behind them. */
struct plan_milestone {
    uint32_t name;
    struct plan_expr done;
    uint16_t first; /* its steps: from here ... */
    uint16_t stand; /* ... to its standing place */
};

enum reaction_then {
    REACTION_STAYS, /* its steps are done on the side, in no time */
    REACTION_MOVES, /* the instance goes to `first` */
};

/* An event that acts at its time, whatever step the instance stands at. */
struct plan_reaction {
    uint32_t listen_count;
    const struct plan_listen *listens; /* any of these events */
    bool cancels;                      /* what the instance has pending is not sent */
    uint8_t then;                      /* enum reaction_then */
    uint16_t first;                    /* its steps; PLAN_END = none */
    uint16_t behind; /* MOVES: number behind its last step: inside, it does not act again */
};

/* A way into a journey that is more than an event of the person's own. It comes as a record that the
 * engine makes (or a business event, or a call of the API), so that everything behind it is the same.
 *
 *     on somebody's own clock    an appointment in the profile (state.h)      SCHEDULE, DATE
 *     for everybody at once      a sweep over profiles (engine)               SCHEDULE, BUSINESS
 *     for one person             a record                                     API, EVENT
 *     from another journey       a record of what it is given                 HANDOFF, RUN */
enum way_kind {
    WAY_EVENT = 1, /* an own event that is collected */
    WAY_SCHEDULE,
    WAY_DATE,
    WAY_BUSINESS,
    WAY_API,
    WAY_EXISTING, /* who is in a segment already, at a pace */
    WAY_HANDOFF,  /* from another journey, which ends */
    WAY_RUN,      /* from another journey, which waits for it */
};

enum way_day_29 { /* of a yearly 29 February where the year has none */
                  DAY_29_FEB_28,
                  DAY_29_MAR_1,
                  DAY_29_SKIP,
};

struct plan_pace {
    uint32_t count; /* at most so many in per_ms; 0 = no bound */
    int64_t per_ms;
};

struct plan_way {
    uint8_t kind;     /* enum way_kind */
    bool is_personal; /* SCHEDULE, DATE: on the clock of the person's zone */
    uint16_t zone;    /* where it is not: index in zones */
    uint16_t journey; /* index */
    uint16_t number;  /* among the journey's ways */
    uint32_t event;   /* name of the record that enters: the event's, or NAME_SCHEDULE, ... */
    struct plan_expr people; /* BUSINESS: who is concerned; event.* is the business event */
    /* BUSINESS: `people` is true only for who did selects_event within selects_ms (0 = nothing is known)
     * with a property selects_by that equals the business event's selects_value. */
    uint32_t selects_event, selects_by, selects_value;
    int64_t selects_ms;
    struct plan_pace pace;
    int64_t collect_ms; /* 0 = each enters by itself */
    uint32_t collect_max;

    const struct recur *rule; /* SCHEDULE: when again; NULL = once */
    int64_t start_ms; /* on the wall: the rule's start, or the once; an instant if is_instant */
    bool is_instant;  /* once, and the same moment for everybody */

    uint32_t trait; /* DATE: name of the trait with the date */
    struct span offset;
    int32_t clock_ms; /* time of that day; -1 = that of the trait's moment */
    bool is_yearly;
    uint8_t day_29; /* enum way_day_29 */
};

enum again_kind {
    AGAIN_NEVER,  /* once per scope, ever */
    AGAIN_AFTER,  /* after_ms since the start or end of the last one */
    AGAIN_ALWAYS, /* as soon as none is live (or more at once, if allowed) */
};

enum at_once_then {
    AT_ONCE_IGNORE,  /* the new entry is refused, counted */
    AT_ONCE_RESTART, /* the live instance ends `replaced` and a new one begins */
    AT_ONCE_QUEUE,   /* the new entry waits for its turn */
};

struct plan_goal {
    uint32_t event; /* NAME_NONE = the journey has none */
    struct plan_expr when;
    int64_t
        within_ms; /* conversions count this long after entry, also after the end; 0 = while live */
    bool stays;    /* then: stay */
};

/* People who are in the segment already when the journey begins to listen to it enter too. */
struct plan_existing {
    uint32_t segment; /* name */
    uint32_t event;   /* that of entering it */
};

/* People who stand at the step `from` (its id) of an older version go over to `to`; PLAN_END: they end. */
struct plan_move {
    uint32_t from;
    uint16_t to;
};

enum move_others { MOVE_STAY, MOVE_SAME, MOVE_EXIT };

#define PLAN_NO_MOVE (UINT16_MAX - 1) /* they stay in their version */

struct plan_journey {
    uint32_t name;
    struct str owner;
    uint16_t group;               /* index, or PLAN_NO_INDEX: after all groups */
    int32_t priority;             /* higher first; default 0 */
    struct plan_expr priority_by; /* instead; code NULL = it is a number */
    uint32_t preempt_count;
    const uint32_t *preempts; /* names of journeys that end when this one is entered */
    uint32_t capacity;        /* people who may be in it at once, all together; 0 = any number */
    uint64_t hash;            /* of its definition: equal = the same version */
    uint8_t phase;            /* enum journey_phase: what its file says of it */
    uint8_t moves_others;     /* enum move_others */
    uint32_t move_count;
    const struct plan_move *moves; /* of people in older versions */
    uint64_t salt;                 /* of its own holdout */
    uint32_t holdout;              /* of 10,000 */

    uint32_t entry_count;
    const struct plan_listen *entries; /* events that enter */
    uint32_t way_count;
    const struct plan_way *ways; /* by number */
    uint32_t existing_count;
    const struct plan_existing *existing;
    uint32_t key;       /* property path that names the instance; NAME_NONE = one per person */
    uint8_t again;      /* enum again_kind */
    bool again_of_end;  /* counted from the end of the last one; else from its start */
    bool again_per_key; /* else per person */
    int64_t again_ms;
    uint32_t at_once_max; /* live instances (per person, or per key) */
    bool at_once_per_key;
    uint8_t at_once_then;    /* enum at_once_then */
    int64_t max_lateness_ms; /* 0 = the default of the event's source */

    uint32_t kept_count;
    const uint32_t *kept; /* property paths of the entering event that entry.* or templates read */

    struct plan_goal goal;
    uint32_t exit_count;
    const struct plan_listen *exits; /* event (NAME_NONE = a bare condition) and `when` */
    struct plan_expr require;

    uint32_t reaction_count;
    const struct plan_reaction *reactions;
    uint32_t milestone_count;
    const struct plan_milestone *milestones;
    bool
        advances_furthest; /* of milestones the furthest that is reached counts; else the first unmet */

    uint32_t step_count;
    const struct plan_step *steps;
    uint64_t event_wake; /* plan_wake_bit of every event that a live instance may listen to */
};

/* ---- messages ---------------------------------------------------------------------------------- */

enum supersede {
    SUPERSEDE_NONE,   /* each is sent */
    SUPERSEDE_KEY,    /* a newer one about the same key takes the place of one that waits */
    SUPERSEDE_PERSON, /* a newer one does, whatever it is about */
};

struct plan_message {
    uint32_t name;
    uint16_t category; /* index */
    uint32_t
        content_key; /* name: the same content whatever the channel; its own name if not given */
    bool has_content_key; /* it was given, be it its own name: what has it comes once */
    uint32_t topic;       /* NAME_NONE = the category's */
    int64_t valid_for_ms; /* how long it may wait; from the category or lane if not given */
    int64_t settle_ms;    /* how long it waits so that rivals of one moment compete */
    int32_t priority;     /* the category's unless given */
    uint8_t supersedes;   /* enum supersede */
    struct plan_expr only_if;
    struct plan_expr needs; /* it waits until this is so */
    uint32_t channel_mask;  /* bit per enum channel that it has content for */
    uint32_t field_count;
    const uint32_t *fields; /* slots that its templates read; an action carries their values */
    const struct channel_template *templates[CHANNEL_END];
    uint16_t providers[CHANNEL_END]; /* index into providers, or PLAN_NO_INDEX */
};

/* ---- the desk's rules -------------------------------------------------------------------------- */

struct plan_category {
    uint32_t name;
    struct plan_expr needs; /* its messages wait until this is so */
    uint8_t lane;           /* enum lane */
    int32_t priority;
    int64_t valid_for_ms;
    int64_t settle_ms;
    bool is_opt_out;  /* who said nothing agrees, where the law does not ask for more */
    uint32_t purpose; /* name; NAME_MARKETING for marketing unless given */
    uint32_t topic;   /* name; NAME_NONE = all */
};

struct plan_group {
    uint32_t name;     /* index = precedence inside a lane: lower first */
    uint64_t pauses;   /* bit per group index */
    uint64_t preempts; /* bit per group index: entering one of ours ends theirs */
    uint32_t at_most;  /* live instances of the group per person; 0 = no limit */
    bool waits;        /* one more may enter, but says nothing until there is room */
};

enum cap_kind {
    CAP_SLIDING, /* at most `limit` in any window_ms */
    CAP_DAY,     /* at most `limit` in a calendar day of the person's zone */
    CAP_WEEK,    /* ... in a calendar week, Monday first */
    CAP_GAP,     /* at least window_ms between two */
};

struct plan_cap {
    uint8_t kind; /* enum cap_kind */
    uint32_t limit;
    int64_t window_ms;
    int64_t since_ms;    /* a person's own: what went out up to then does not count; else 0 */
    uint32_t channels;   /* bit per channel that it matches; 0 = all together */
    uint64_t categories; /* bit per category index; 0 = every one whose lane obeys caps */
    uint64_t groups;     /* bit per group index; 0 = all */
    uint16_t journey;    /* index, or PLAN_NO_INDEX = all */
    uint32_t message_count;
    const uint32_t *messages; /* of these names, ascending: those with its tags; NULL = all */
    uint32_t touch_count;
    const uint32_t *touches; /* events that count in it beside messages: a call, an ad */
    uint32_t kept;           /* slots that only messages of kept_for may take */
    uint64_t kept_for;       /* bit per group index */
    uint64_t after;          /* CAP_GAP: categories that it also counts (min_gap: {after: ...}) */
    struct str text;         /* as written, for `why` and `check` */
};

/* Numbers are written to disk. */
enum budget_per { BUDGET_DAY = 1, BUDGET_WEEK, BUDGET_MONTH, BUDGET_EVER };

/* What may be spent on messages to all people together: decide/budget.h. */
struct plan_budget {
    uint32_t name;
    uint8_t per;           /* enum budget_per */
    bool is_money;         /* the limit is an amount; else a number of messages */
    bool refuses;          /* used up: the channel is refused; else it waits for the next period */
    uint16_t zone;         /* in whose calendar the periods are: index in zones */
    int64_t limit;         /* millionths, or messages */
    struct plan_cap scope; /* which messages it is for; kind, limit and window are not used */
    struct str text;
};

/* Days of a calendar that are of one region, or everybody's. */
struct plan_calendar_part {
    struct str region; /* empty: everybody's */
    uint32_t day_count;
    const struct calendar_days *days;
};

struct plan_calendar {
    uint32_t name;
    uint32_t region; /* trait that names a person's region; NAME_NONE = none */
    uint32_t part_count;
    const struct plan_calendar_part *parts;
};

struct plan_window {
    uint32_t from_minute;  /* of the local day; quiet from here ... */
    uint32_t until_minute; /* ... to before here; may be less than from: over midnight */
    uint8_t weekdays;      /* bit 0 = Monday; 0 = every day */
    uint32_t channels;     /* 0 = all */
    uint64_t categories;   /* 0 = every one whose lane obeys windows */
    uint16_t calendar;     /* only on its days: index in calendars plus one; 0 = on every day */
    struct str text;
};

enum regulation_kind {
    REGULATION_HOURS,    /* quiet from one time of day to another */
    REGULATION_BLACKOUT, /* days of a calendar, or while a condition holds */
    REGULATION_CONSENT,  /* an agreement must have been stated */
};

/* A row of the law, or of the house's own rules: decide/regulation.h. */
struct plan_regulation {
    struct str name; /* the pack's, or as written */
    uint8_t kind;    /* enum regulation_kind */
    uint32_t place_count;
    const struct str *places;   /* "US", "US-FL", "EU", "*" = everywhere */
    uint32_t channels;          /* bit per channel; 0 = all */
    uint32_t lanes;             /* bit per lane */
    uint64_t categories;        /* bit per category, instead of lanes; 0 = by lanes */
    struct window quiet;        /* HOURS */
    uint16_t zone;              /* HOURS: whose clock; PLAN_NO_INDEX = the person's */
    uint16_t calendar;          /* BLACKOUT: index in calendars plus one; 0 = none */
    struct plan_expr condition; /* BLACKOUT: while it is true; code NULL = none */
    int64_t from_day,
        until_day;   /* on the person's wall: the first and the last on which it holds */
    struct str text; /* for `why`: what it says, and where it stands */
};

struct plan_hold {
    uint32_t name;
    uint32_t from;       /* event name */
    uint32_t until;      /* event name */
    uint32_t key;        /* property path that pairs them; NAME_NONE = none */
    uint64_t categories; /* bit per category; 0 = every one whose lane obeys holds */
    int64_t linger_ms;
    int64_t at_most_ms; /* 0 = no bound */
    bool freezes;       /* waits: freeze */
    bool drops;         /* an intent under it ends `held` instead of waiting */
};

struct plan_setting {
    struct str key;
    struct str value;
};

/* Codes that are given to one person each, in this order. */
struct plan_voucher {
    uint32_t name;
    uint32_t code_count;
    const struct str *codes;
};

/* Fields of what tells a provider about an audience. */
enum audience_field { AUDIENCE_ACTION, AUDIENCE_NAME, AUDIENCE_MEMBER, AUDIENCE_FIELDS };

/* A list of people at an ad network, kept by journeys (decide/listing.h). */
struct plan_audience {
    uint32_t name;
    uint8_t identifier;         /* enum channel: the address by which the network knows people */
    struct plan_message export; /* what tells the provider; its fields are enum audience_field */
};

/* A value of the answer that the instance keeps. */
struct plan_save {
    uint32_t name;   /* of the value as saved.NAME is kept: "$saved:NAME" */
    uint32_t source; /* TASK: name of the event's property */
    struct str
        path; /* CALL: where the JSON answer has it: "customer.tier", "items[0].sku"; "$status" */
};

/* Fields that stand before those that a call's template reads, and are all of a task's. */
enum errand_field { ERRAND_KEY, CALL_OWN_FIELDS };
enum task_field {
    TASK_KEY,
    TASK_ACTION,
    TASK_QUEUE,
    TASK_TITLE,
    TASK_DETAILS,
    TASK_ASSIGNEE,
    TASK_DUE,
    TASK_PERSON,
    TASK_JOURNEY,
    TASK_FIELDS,
};

enum errand_kind { ERRAND_CALL = 1, ERRAND_TASK }; /* numbers are written to disk */

/* How an errand ended. Numbers are written to disk; names and arms: model/errand.h. */
enum errand_ending {
    ERRAND_PENDING,
    ERRAND_ANSWERED,  /* CALL: 2xx, and the answer could be read */
    ERRAND_DONE,      /* TASK */
    ERRAND_FAILED,    /* refused for good, or no answer that can be read */
    ERRAND_DECLINED,  /* TASK: by whoever had it */
    ERRAND_TIMED_OUT, /* CALL: no answer within its time */
    ERRAND_OVERDUE,   /* TASK */
    ERRAND_HELD_OUT,  /* not asked for: the person is in a control group */
    ERRAND_WITHDRAWN, /* an operator's kill that drops, or a stopped journey */
    ERRAND_ENDINGS,
};

/* A piece of a task's title: text, or the value of a slot. */
struct plan_piece {
    struct str text;
    uint32_t slot; /* 0 = text */
};

struct plan_phrase {
    uint32_t count;
    const struct plan_piece *pieces;
};

/* What a step call or task asks for (decide/errand.h). */
struct plan_errand {
    uint32_t name;     /* "JOURNEY/STEP" */
    uint8_t kind;      /* enum errand_kind */
    bool is_once;      /* CALL, retry: never */
    bool reads;        /* CALL, GET: nothing is changed by it */
    bool is_told;      /* TASK: a provider is; else it is listed only */
    struct str stub;   /* CALL: what is answered where nobody is asked: tests, forecasts; JSON */
    uint32_t queue;    /* TASK: name */
    int64_t within_ms; /* CALL: no transmission begins later; TASK: when it is overdue */
    uint32_t endings[ERRAND_ENDINGS];            /* names, as results and tests have them */
    struct plan_phrase title, details, assignee; /* TASK */
    uint32_t save_count;
    const struct plan_save *saves;
    struct plan_message
        request; /* what tells the provider; the first fields are enum errand_field, or
                                  * all of them enum task_field */
};

/* A value that goes along with an offer. */
struct plan_offer_field {
    struct str name;
    struct plan_expr value;
};

/* Something that a placement may show. */
struct plan_offer {
    uint32_t name;
    int32_t priority;
    struct plan_expr when;
    struct plan_expr seldom; /* it was not seen too often */
    struct plan_expr score;  /* code NULL: `priority` */
    struct str content;      /* JSON */
    uint32_t field_count;
    const struct plan_offer_field *fields;
};

/* A place on a page or in an app (decide/placement.h). */
struct plan_placement {
    uint32_t name;
    uint8_t channel;             /* enum channel: WEB or IN_APP */
    int64_t session_ms;          /* who was not heard of for so long is not there; 0 = always */
    struct plan_message message; /* its category and topic, for the rules */
    struct str otherwise;        /* JSON; "null" = nothing */
    uint32_t offer_count;
    const struct plan_offer *offers;
};

struct plan_provider {
    uint32_t name;
    struct str kind; /* "smtp", "webhook": channel/channels.def */
    uint8_t channel; /* enum channel that it carries */
    struct plan_pace
        rate; /* messages in a time at most; count 0 = as many as there are connections for */
    uint16_t
        fallback; /* index of the provider that has what this one refuses by policy, or PLAN_NO_INDEX */
    uint32_t slots; /* connections, hence attempts in flight at once */
    int64_t cost;   /* of one message; MONEY_NOT_SAID = what one on its channel costs */
    uint32_t setting_count;
    const struct plan_setting
        *settings; /* secrets appear as ${ENV:NAME} or ${FILE:path}, unresolved */
};

struct plan_trait {
    uint32_t name;
    uint8_t type;           /* enum value_type: TEXT, INT, DOUBLE, BOOL, TIME */
    bool is_public;         /* strings of it may stand in the clear part of records */
    int64_t window_unit_ms; /* INT: it counts these, and may say a window; 0 = it may not */
    int64_t window_most_ms; /* of at most so long */
    struct value missing;   /* default; VALUE_NONE = none */
};

/* What an event name means to this programme. */
struct plan_event {
    uint32_t name;
    uint32_t entry_count;
    const uint16_t *entries; /* journeys that it may enter, in order of index */
    bool is_touch;           /* a cap counts it */
    uint64_t holds_from;     /* bit per hold that it opens */
    uint64_t holds_until;    /* bit per hold that it closes */
    uint32_t feature_count;
    const uint16_t *features; /* that it feeds; those of prefixes are in plan.prefixes */
    uint64_t bit;             /* plan_wake_bit(name) if anything reads it, else 0 */
    bool is_ours;             /* only the engine says it: a segment entered or left */
};

struct plan {
    struct arena arena; /* holds everything below */
    struct str name;
    char hash[65]; /* hex content hash of the folder and the zone data: what `activate` names */
    uint16_t zone; /* default zone, index in zones */
    uint32_t unknown_zone_count; /* where people may live whose zone is not known; 0 = in `zone` */
    uint16_t unknown_zones[PLAN_UNKNOWN_ZONES_MAX];
    const struct zoneset *zones; /* owned by the plan */

    uint32_t trait_count;
    const struct plan_trait *traits; /* by ascending name */
    uint32_t category_count;
    const struct plan_category *categories;
    uint32_t group_count;
    const struct plan_group *groups;
    uint32_t cap_count;
    const struct plan_cap *caps;
    uint32_t window_count;
    const struct plan_window *windows; /* quiet hours */
    uint32_t budget_count;
    const struct plan_budget *budgets;
    int64_t costs[CHANNEL_END]; /* of one message; MONEY_NOT_SAID where nothing is said */
    uint32_t calendar_count;
    const struct plan_calendar *calendars;
    uint32_t regulation_count;
    const struct plan_regulation *regulations;
    uint32_t country, region;     /* traits that say where a person is; NAME_NONE = none does */
    uint32_t unknown_place_count; /* where people may be of whom that is not known; 0 = anywhere */
    const struct str *unknown_places;
    uint32_t hold_count;
    const struct plan_hold *holds;
    int64_t complaint_ms;          /* so long messages rest after a complaint; 0 = 30 days */
    uint64_t complaint_categories; /* that rest beside those that obey holds */
    uint32_t holdout;              /* of 10,000 */
    uint64_t holdout_salt;
    struct str holdout_text;

    uint32_t journey_count;
    const struct plan_journey *journeys;
    uint32_t message_count;
    const struct plan_message *messages;
    uint32_t voucher_count;
    const struct plan_voucher *vouchers;
    uint32_t audience_count;
    const struct plan_audience *audiences;
    uint32_t errand_count;
    const struct plan_errand *errands;
    uint32_t provider_count;
    const struct plan_provider *providers;
    uint32_t placement_count;
    const struct plan_placement *placements;
    uint32_t monitor_count;
    const struct plan_monitor *monitors;
    uint32_t binding_count;
    const struct plan_binding *bindings;
    uint32_t feature_count;
    const struct plan_feature *features; /* by ascending name */
    uint32_t prefix_count;
    const uint16_t *prefixes; /* features of name prefixes */
    uint64_t prefix_bytes[4]; /* bit per byte with which one of them begins */

    uint32_t stage_count;
    const struct plan_stage *stages; /* in their order */
    uint32_t segment_count;
    const struct plan_segment *segments; /* who reads another stands behind it */
    const uint16_t *segments_by_name;    /* indices by ascending name */
    uint32_t reader_count;
    const struct plan_readers *readers; /* by ascending name: whom a change of it wakes */
    uint64_t segments_hash;             /* of all of them: equal = nothing to bring up to date */
    bool has_best_times;                /* sends wait for the person's best hour */
    bool has_existing;                  /* journeys take in who is in a segment already */

    uint32_t event_count;
    const struct plan_event *events;
    uint32_t event_index_count;  /* names below this number may have an entry in event_index */
    const uint16_t *event_index; /* by name: index in events, or PLAN_NO_INDEX */

    uint32_t appointment_count; /* ways on people's own clocks */
    const struct plan_way *const *appointments;
    uint64_t appointment_wake; /* plan_wake_bit of each trait that moves an appointment */

    int64_t reserve_ms;     /* how far ahead a slot is kept for a higher intent; 0 = not at all */
    uint32_t address_limit; /* marketing attempts to one address in 24 h, whoever they are for; 0 =
                             * PLAN_ADDRESS_LIMIT */

    int64_t
        keep_log_ms; /* what is older is dropped from the log (replay/retention.h); 0 = nothing is */

    int64_t ledger_ms; /* how long a sent message matters to any cap or sent() */
};

/* What the event means here, or NULL if nothing reads it. One array access. */
static inline const struct plan_event *plan_event_find(const struct plan *p, uint32_t name)
{
    if (name >= p->event_index_count || p->event_index[name] == PLAN_NO_INDEX)
        return NULL;
    return &p->events[p->event_index[name]];
}

/* The declared trait, or NULL. */
const struct plan_trait *plan_trait_find(const struct plan *p, uint32_t name);

/* By name: the index, or PLAN_NO_INDEX. */
uint16_t plan_segment_find(const struct plan *p, uint32_t name);

/* Who reads the name, or NULL. */
const struct plan_readers *plan_readers_find(const struct plan *p, uint32_t name);

/* Index of the feature with that name, or PLAN_NO_INDEX. */
uint16_t plan_feature_find(const struct plan *p, uint32_t name);

/* The arm that the profile takes, by chance but always the same; NULL if no arm has any weight. */
const struct plan_arm *plan_split_arm(const struct plan_split *split, uint64_t profile);

/* By name: the index, or PLAN_NO_INDEX. For cold paths. */
uint16_t plan_journey_find(const struct plan *p, uint32_t name);
uint16_t plan_message_find(const struct plan *p, uint32_t name);
uint16_t plan_provider_find(const struct plan *p, uint32_t name);
uint16_t plan_audience_find(const struct plan *p, uint32_t name);

/* What an action's message index means: a message, behind them an audience's export, behind those what an
 * errand asks for. NULL: none of them. */
const struct plan_message *plan_message_at(const struct plan *p, uint32_t index);

/* The name of the category of what that index means; NAME_NONE: it has none. */
uint32_t plan_category_of(const struct plan *p, uint32_t message_index);

/* The errand that the message index means, or NULL. */
const struct plan_errand *plan_errand_at(const struct plan *p, uint32_t message_index);

/* Where somebody at a step with that id of an older version goes: a step, PLAN_END or PLAN_NO_MOVE. */
uint16_t plan_move_of(const struct plan_journey *j, uint32_t step_id);

/* Has the plan (NULL: none) a journey of that name that the event may enter? For cold paths. */
bool plan_journey_listens(const struct plan *p, uint32_t journey, uint32_t event);

/* A number that plans have in common in which everything that a state refers to by place or by a name that
 * the compiler made is the same: journeys and their steps and ways, messages, segments, what is remembered.
 * Does not depend on names' numbers. Two releases that compile a programme to plans of one layout can read
 * each other's states. */
uint64_t plan_layout(const struct plan *p, const struct names *names);
