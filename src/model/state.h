/* state.h - what is remembered about one person: the nouns that move.
 *
 * All of it lives in the space of the person's partition and is named by references, so that one
 * person is one small object and a few lists:
 *
 *     profile ─┬─ traits       bytes: what is known of them
 *              ├─ consents     what they agreed to and refused
 *              ├─ choices      what they chose: snooze, their own caps, topics
 *              ├─ histories    what they did, as far as the programme asks about it
 *              ├─ instances    where they are in each journey            (src/journey)
 *              ├─ pasts        journeys that they have been through      (src/journey)
 *              ├─ intents      what journeys would like to say to them   (src/decide)
 *              ├─ ledger       what they were sent                       (src/decide)
 *              ├─ holds        stretches of time in which they are left alone
 *              ├─ memberships  which segments they are in                (src/audience)
 *              ├─ wishes       who would have them in an ad audience
 *              ├─ listings     what is told to ad networks             (src/decide)
 *              ├─ habits       in which hours they open, click and come by
 *              ├─ errands      calls and tasks that instances wait for (src/decide)
 *              └─ appointments when journeys begin by their clock        (src/journey)
 *
 * Names are numbers of names.h and outlive programme versions; an index into a plan stands beside the
 * number of its plan. Everything here is written to snapshots field by field (engine/persist.c), in
 * an order that does not depend on the layout; the state hash is made of the same bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/hash.h"
#include "model/plan.h"
#include "store/space.h"

#define PROFILE_INSTANCES_MAX    64
#define PROFILE_PASTS_MAX        128
#define PROFILE_INTENTS_MAX      64
#define PROFILE_UNITED_MAX       128 /* intents after a merge: those under way stay */
#define PROFILE_LEDGER_MAX       256
#define PROFILE_HOLDS_MAX        64
#define PROFILE_APPOINTMENTS_MAX 128
#define PROFILE_CONSENTS_MAX     128
#define PROFILE_CHOICES_MAX      32
#define PROFILE_HISTORIES_MAX    1024
#define PROFILE_WISHES_MAX       64
#define PROFILE_ERRANDS_MAX      64
#define PROFILE_IDENTIFIERS_MAX  64
#define PROFILE_TRAITS_BYTES     16384 /* all traits of one person together */

/* A profile's number: which partition it lives in, and its place there. Never 0; a smaller number is
 * the older profile of the two where both are of one partition. */
static inline uint32_t profile_partition(uint64_t profile)
{
    return (uint32_t)(profile & 255);
}

static inline uint32_t profile_local(uint64_t profile)
{
    return (uint32_t)(profile >> 8);
}

static inline uint64_t profile_number(uint32_t partition, uint32_t local)
{
    return (uint64_t)local << 8 | partition;
}

enum profile_known {
    PROFILE_KNOWS_USER = 1 << 0,      /* the text of the user id is a trait */
    PROFILE_KNOWS_ANONYMOUS = 1 << 1, /* the text of an anonymous id is a trait */
    PROFILE_LOST_HISTORY = 1 << 3,    /* there was no room for one: what has none is unknown */
    PROFILE_IS_FRESH = 1 << 2,        /* no segment has been asked about them yet */
    PROFILE_IS_MERGED = 1 << 4,       /* profile_forward() says into which; not written */
    PROFILE_IS_ERASED = 1 << 5,       /* not written either */
};

/* Instead of a profile's forward: the person was erased. Nothing is left but the number. */
#define PROFILE_ERASED UINT64_MAX

/* Lists that few people have anything in: rare.h. */
enum rare_list {
    RARE_PASTS,
    RARE_HOLDS,
    RARE_APPOINTMENTS,
    RARE_CHOICES,
    RARE_WISHES,
    RARE_LISTINGS,
    RARE_ERRANDS,
    RARE_STANDINGS,
    RARE_END,
};

struct rare {
    uint16_t count;
};

/* Each person has one, and every byte of it is there a million times: in the order of sizes, so that
 * nothing lies idle between its parts. */
struct profile {
    int64_t first_seen_ms;
    int64_t last_seen_ms;
    struct id128 user;      /* keyed hash of the user id; not set = only anonymous so far */
    int64_t audience_ms;    /* not after the earliest ask_ms of memberships: when to look */
    struct blob traits;     /* each with its event time: profile/traits.h */
    struct vec consents;    /* struct consent */
    struct vec histories;   /* struct history, by ascending feature */
    struct vec instances;   /* struct instance */
    struct vec intents;     /* struct intent */
    struct vec ledger;      /* struct sent */
    struct vec memberships; /* struct membership, by ascending segment */
    struct vec habits;      /* uint32_t, ascending: profile/habits.h */
    uint32_t rares; /* where the lists of `rare` are (rare.h); 0 = all are empty. MERGED: the local
                              * number of the profile that it was merged into */
    uint32_t instance_count; /* instances ever begun: makes their ids */
    uint32_t zone_plan;      /* 0 = not derived yet */
    uint32_t audience_plan;  /* number of the plan that memberships are of; 0 = none yet */
    uint32_t appointed_plan; /* the plan whose dates and schedules `appointments` has */
    union {
        struct {
            struct rare pasts;        /* struct past */
            struct rare holds;        /* struct hold */
            struct rare appointments; /* struct appointment */
            struct rare choices;      /* struct choice */
            struct rare wishes;       /* struct wish */
            struct rare listings;     /* struct listing */
            struct rare errands;      /* struct errand */
            struct rare standings;    /* struct standing: one, or none */
        };
        struct rare rare[RARE_END]; /* the same, by enum rare_list */
    };
    uint16_t zone; /* index in the zone set of plan `zone_plan`; derived, not hashed */
    union {
        uint8_t identifier_count;
        uint8_t forward_partition; /* MERGED: of the profile that it was merged into */
    };
    uint8_t known; /* enum profile_known */
};

_Static_assert(PROFILE_IDENTIFIERS_MAX <= UINT8_MAX, "an identifier_count holds it");
_Static_assert(sizeof(struct profile) <= 144, "docs/BENCH.md says what a person weighs");

/* The profile that it was merged into; 0 = it is alive, PROFILE_ERASED = it was erased. */
static inline uint64_t profile_forward(const struct profile *p)
{
    if (likely(!(p->known & (PROFILE_IS_MERGED | PROFILE_IS_ERASED))))
        return 0;
    return p->known & PROFILE_IS_ERASED ? PROFILE_ERASED
                                        : profile_number(p->forward_partition, p->rares);
}

/* It is alive no longer. Its rare lists are empty. */
static inline void profile_set_forward(struct profile *p, uint64_t forward)
{
    must(p->rares == 0 && profile_forward(p) == 0);
    must(forward != 0);
    if (forward == PROFILE_ERASED) {
        p->known |= PROFILE_IS_ERASED;
        return;
    }
    must(forward >> 40 == 0);
    p->known |= PROFILE_IS_MERGED;
    p->rares = profile_local(forward);
    p->forward_partition = (uint8_t)profile_partition(forward);
}

/* The stage that somebody is in. */
struct standing {
    uint32_t stage; /* name; NAME_NONE = in none */
    uint32_t set;   /* the one that a step set last */
    int64_t since_ms;
};

/* "May we write to this address on this channel for this purpose, about this topic?" as last stated. */
struct consent {
    uint8_t channel; /* enum channel */
    uint8_t is_given;
    uint8_t bar;          /* enum consent_bar: what is_given = 0 means for the address */
    uint32_t purpose;     /* name */
    uint32_t topic;       /* name; NAME_NONE = all topics */
    uint32_t source;      /* name of the source that said so */
    struct id128 address; /* of the address it was said about; not set = whatever the address is */
    int64_t at_ms;        /* event time */
};

/* Numbers are written to disk. */
enum consent_bar {
    BAR_NONE,    /* it is a statement about consent */
    BAR_BAD,     /* a provider says that the address is bad */
    BAR_STOPPED, /* STOP, or a block: every lane but otp, until they agree again */
};

/* What somebody chose for themselves: profile/choices.h. Numbers are written to disk. */
enum choice_kind {
    CHOICE_NO_CONTACT = 1, /* not to be contacted at all */
    CHOICE_TOPIC_OFF,      /* nothing on `topic` */
    CHOICE_SNOOZE,         /* nothing before until_ms */
    CHOICE_LIMIT,          /* at most `limit` per `per` */
};

struct choice {
    uint8_t kind;    /* enum choice_kind */
    uint8_t channel; /* SNOOZE, LIMIT: enum channel; 0 = all together */
    uint8_t per;     /* LIMIT: enum cap_kind: SLIDING, DAY or WEEK */
    uint8_t is_on;   /* 0 = it was lifted */
    uint32_t topic;  /* TOPIC_OFF, SNOOZE: name; NAME_NONE = all */
    uint16_t limit;
    uint8_t is_servers; /* a server's key said so: it may ask for more than was asked for before */
    uint32_t source;    /* name of the source that said so */
    int64_t at_ms;      /* event time */
    int64_t until_ms;   /* SNOOZE: until then; LIMIT: length of the window */
    int64_t since_ms;   /* LIMIT: what went out after that counts; earlier lines may be forgotten */
};

/* What one feature (plan.h) remembers of the person. */
struct history {
    uint32_t feature; /* name */
    uint32_t total;   /* ever; saturates */
    int64_t last_ms;  /* event time of the latest */
    uint32_t more;    /* struct history_tally or struct history_items; 0 = none (MARK) */
    uint8_t kind;     /* enum feature_kind */
};

/* TALLY: over all events that carry a number. Numbers are millionths. */
struct history_tally {
    uint64_t sum_low; /* of a 128-bit sum: it never overflows, so that no order of adding matters */
    int64_t sum_high;
    int64_t least;
    int64_t most;
    uint32_t count;     /* saturates */
    bool has_too_large; /* one was beyond what can be added */
};

/* FIRST, LAST, ITEMS, VALUES: lists side by side, ascending by time. */
struct history_items {
    int64_t forgot_ms; /* the latest that had to make room for others; INT64_MIN = none */
    struct vec times;  /* int64_t event times */
    struct vec
        numbers; /* int64_t: ITEMS, if there is a value: millionths or HISTORY_NO_NUMBER. VALUES:
                         * hashes of the values */
    struct vec bodies; /* struct blob: the kept properties, as in body.h */
};

#define HISTORY_NO_NUMBER INT64_MIN       /* the event carried none */
#define HISTORY_TOO_LARGE (INT64_MIN + 1) /* it was beyond what can be added */

struct hold {
    uint32_t name;
    uint8_t is_open;   /* not closed yet */
    uint8_t is_lifted; /* over, and noted as such */
    uint64_t key;      /* hash of the pairing property; 0 = none */
    int64_t from_ms;
    int64_t until_ms; /* FOREVER_MS while it is open without a bound; includes linger once closed */
};

enum membership_flag {
    MEMBERSHIP_IS_IN = 1 << 0,
    MEMBERSHIP_WAS_ADDED = 1 << 1,   /* by hand: in, whatever the condition says */
    MEMBERSHIP_WAS_REMOVED = 1 << 2, /* by hand: out */
};

/* Stands only where the person is in, was put in or out by hand, or time may change it: no membership
 * means out until something happens. */
struct membership {
    uint32_t segment; /* name */
    uint32_t flags;   /* enum membership_flag */
    int64_t since_ms; /* in, or known to be out, since then */
    int64_t ask_ms;   /* when time may change it; FOREVER_MS = it cannot */
};

#define APPOINTED_NEVER UINT32_MAX /* appointed_plan of somebody who has just appeared */

/* Numbers are written to disk. */
enum appointment_kind {
    APPOINTMENT_SCHEDULE = 1,
    APPOINTMENT_DATE,
    APPOINTMENT_COLLECT,
    APPOINTMENT_HELD, /* an entry that waits because its journey is paused */
};

/* A moment at which the person is to enter a journey (journey/appointment.h). */
struct appointment {
    uint32_t journey; /* name */
    uint16_t way;     /* its number in the journey */
    uint8_t kind;     /* enum appointment_kind */
    uint16_t count;   /* COLLECT: items so far; HELD: it is one of so many */
    int64_t at_ms;    /* FOREVER_MS: none is to come, but the last one is remembered */
    int64_t done_ms;  /* SCHEDULE, DATE: the last that came, on the wall; INT64_MIN = none */
    uint64_t key;     /* COLLECT, HELD: of the instance; 0 = none */
    struct blob
        items; /* COLLECT: bodies, each behind its length as a varint; the first comes first. HELD:
                * the properties of the entering event that the journey keeps */
};

/* What an instance is doing. Numbers are written to disk. */
enum instance_state {
    INSTANCE_WAITING = 1, /* at a wait step */
    INSTANCE_SENDING,     /* at a send step, until the intent settles for good */
    INSTANCE_READY,       /* at the start of `step`: to be run at due_ms */
    INSTANCE_AWAY,        /* at a run step, until the instance that it called is over */
    INSTANCE_STANDING,    /* behind a milestone's steps, until it is reached */
    INSTANCE_QUEUED, /* not begun: waits for its turn (at_once: queue); asked again at due_ms */
    INSTANCE_ASKING, /* at a call or task step, until the errand `decision` is over */
};

enum instance_flag {
    INSTANCE_IS_GHOST = 1 << 0,   /* held out: what it would send ends held_out */
    INSTANCE_OPTED_OUT = 1 << 1,  /* marketing of it is over */
    INSTANCE_CONVERTED = 1 << 2,  /* the goal was reached and it stays */
    INSTANCE_IS_ENGAGED = 1 << 3, /* engaged with the message of its last send */
    INSTANCE_HAS_CROSSED =
        1 << 4,                  /* held out otherwise than it was, by a merge: in no comparison */
    INSTANCE_HAS_MOVED = 1 << 6, /* from another version */
    INSTANCE_IN_STEP = 1 << 7,   /* the step has begun, and is not over */
};

struct instance {
    uint64_t id;
    int64_t entered_ms;
    int64_t step_ms;        /* when the step (or the wait after a reset) began */
    int64_t due_ms;         /* when the step's time is over; FOREVER_MS = no such time */
    uint32_t journey;       /* name */
    uint32_t plan;          /* number of the plan version it runs under */
    uint32_t last_message;  /* name of the last message that it sent; for `unless: engaged` */
    uint32_t more;          /* struct instance_more (instance.h); 0 = nothing of it is set */
    uint16_t journey_index; /* in that plan */
    uint16_t step;
    uint16_t visits; /* sends so far: makes decision ids */
    uint8_t state;   /* enum instance_state */
    uint8_t flags;   /* enum instance_flag */
};

_Static_assert(sizeof(struct instance) <= 56, "docs/BENCH.md says what a person weighs");

/* A journey that the person has been through: for re-entry and late conversions. */
struct past {
    uint64_t id;
    uint32_t journey; /* name */
    uint32_t plan;
    uint16_t journey_index;
    uint8_t end;   /* enum journey_end */
    uint8_t flags; /* enum instance_flag */
    uint64_t key;
    int64_t entered_ms;
    int64_t ended_ms;
    int64_t goal_until_ms; /* a goal before this moment is still a conversion; 0 = no longer */
    uint64_t splits;       /* the instance's */
    struct blob entry;     /* kept as long as goal_until_ms, for the goal's condition */
};

/* Where an intent is on its way. Numbers are written to disk. */
enum intent_state {
    INTENT_SETTLING = 1, /* waits a little so that rivals of the same moment compete */
    INTENT_DEFERRED,     /* a rule said: not before */
    INTENT_QUEUED,       /* allowed, slot reserved, handed to the provider's pool */
    INTENT_REVOKING,     /* taken back from the pool; its answer is on the way */
    INTENT_GRANTED,      /* an attempt is under way */
    INTENT_IN_DOUBT,     /* the provider's answer was lost; never sent again (at-most-once) */
    INTENT_PLANNED, /* a follow-up before its time: engagement with what it follows cancels it */
    INTENT_WATCHED, /* accepted and told; a bounce until watch_ms tries the next channel */
};

enum intent_fallback {
    FALLBACK_TRIES = 1, /* it bounced, and other channels are asked about */
    FALLBACK_TRIED,     /* an attempt on another channel has been made */
};

/* Why a later stage sent a message back, to come again. Numbers are written to disk. */
enum put_off_why {
    PUT_OFF_ADDRESS = 1, /* the address has had its share */
    PUT_OFF_VOUCHER,     /* its pool of vouchers has no code left */
    PUT_OFF_PACE,        /* operators let it go again, at a pace */
    PUT_OFF_DOUBT,       /* whether the last attempt arrived is not known */
};

/* What a later stage said of an intent on one channel: not before. */
struct put_off {
    int64_t until_ms;
    uint8_t channel;
    uint8_t why;    /* enum put_off_why */
    uint32_t about; /* ADDRESS: which one, the lower bits of its hash; else 0 */
};

struct intent {
    uint64_t decision;
    uint64_t instance;
    uint32_t message; /* name */
    uint32_t journey; /* name */
    uint32_t plan;    /* number of the plan version of the three indices below */
    uint16_t message_index;
    uint16_t journey_index;
    uint16_t step;
    uint8_t state; /* enum intent_state */
    uint8_t lane;  /* enum lane */
    uint8_t channel_count;
    uint8_t channels[PLAN_CHANNELS_MAX];
    uint8_t channel; /* enum channel it waits for or goes out on; 0 = none chosen yet */
    uint8_t is_ghost;
    uint8_t goes_on; /* no instance waits for it */
    uint8_t
        ending; /* enum outcome that it comes to unless the attempt under way is accepted; 0 = back
                 * to the desk. GRANTED: DEFERRED = it is not tried again, and back to the desk */
    uint8_t rule;     /* the rule that spoke last (number in rules.def); 0 = none */
    uint8_t reason;   /* enum outcome for the channel refused first; 0 = none */
    uint8_t has_slot; /* an entry of the ledger is its slot */
    uint8_t refused;  /* channels refused for good: bit per place in channels[] */
    uint16_t attempt; /* k of the attempt under way or the last one */
    int32_t journey_priority;
    int32_t priority;
    int64_t created_ms;
    int64_t settle_ms; /* until then it waits for rivals */
    int64_t deadline_ms;
    int64_t not_before_ms; /* T; FOREVER_MS = unknown */
    int64_t
        until_ms; /* QUEUED: the allow holds until then; DEFERRED: asked again (intent_asked_again_ms()) */
    int64_t granted_ms;
    struct id128 address; /* keyed hash of the address that it was handed over for */
    struct blob entry;    /* copy of the instance's entry fields: the instance may end first */
    uint64_t together;    /* decision that names the set of `all_of` that it is of; 0 = none */
    uint64_t follows;     /* a follow-up: what it follows (decision, or set); 0 = it is none */
    int64_t reach_ms;     /* until then a channel without an address is waited for */
    int64_t watch_ms;     /* WATCHED: until when a bounce counts */
    uint8_t fallback;     /* enum intent_fallback; 0 = it has not bounced */
    uint8_t detours;      /* providers of its channel that refused it by policy */
    uint16_t tries;       /* transmissions of the attempt that failed for now; 0 = none did */
    int32_t code;         /* what the provider said to the last of them; 0 = nothing */
    int64_t again_ms;     /* when the next one is made; 0 = not known */
    uint8_t best_channel; /* on which its best time has been chosen; 0 = on none */
    uint8_t instead; /* which of its send's `instead` it is, plus one; 0 = the send's own message */
    int64_t best_ms;
    struct vec put_offs; /* struct put_off, one for a channel at most; some may have passed */
};

enum sent_state {
    SENT_RESERVED = 1, /* counts as a send of now */
    SENT_SPENT,        /* granted: counts at at_ms, whatever became of it, unless returned */
    SENT_GHOST,        /* would have gone: counts against ghosts only */
    SENT_TOUCH,        /* no message: an event that caps count, whose name is `message` */
};

enum sent_flag {
    SENT_ACCEPTED = 1 << 0, /* accepted or in doubt: sent() */
    SENT_OPENED = 1 << 1,   /* by a human */
    SENT_CLICKED = 1 << 2,
    SENT_DELIVERED = 1 << 3,
    SENT_DOUBTED = 1 << 4, /* an attempt of it was in doubt: it may have arrived */
};

/* One line of the ledger: a cap slot and the memory of a message. */
struct sent {
    uint64_t decision;
    int64_t at_ms;
    uint32_t message; /* names */
    uint32_t category;
    uint32_t more; /* struct sent_more (sent.h); 0 = nothing of it is set */
    uint8_t channel;
    uint8_t lane;
    uint8_t state; /* enum sent_state */
    uint8_t flags; /* enum sent_flag */
};

_Static_assert(sizeof(struct sent) <= 32, "docs/BENCH.md says what a person weighs");

/* A journey would have the person in an ad audience (profile/wishes.h). */
struct wish {
    uint32_t audience; /* name */
    uint8_t until;     /* enum wish_until */
    uint8_t is_in;     /* the desk's rules have let it */
    uint8_t is_ghost;  /* of an instance that is held out */
    uint8_t rule;      /* the number of the one that is against it; 0 = none, or not asked yet */
    uint32_t journey;  /* name */
    uint32_t stage;    /* STAGE: name */
    uint64_t instance;
    int64_t at_ms;
    int64_t ask_ms; /* when the rules are asked again though nothing happens */
};

/* What the provider knows of a listing. Numbers are written to disk. */
enum listing_known { LISTING_OUT, LISTING_IN, LISTING_DOUBT };

enum listing_state {
    LISTING_IDLE,
    LISTING_QUEUED,   /* handed to the provider's pool */
    LISTING_REVOKING, /* taken back from it; its answer is on the way */
    LISTING_GRANTED,  /* an attempt is under way */
    LISTING_RECALLED, /* the same, and it is not to be tried again */
};

/* One address of the person in one audience, as far as the provider is or was to be told. */
struct listing {
    uint64_t decision;
    uint64_t profile;   /* the one whose attempt it is: it may have been merged since */
    uint32_t audience;  /* name */
    uint32_t provider;  /* name, of the attempt */
    uint32_t plan;      /* number, of the attempt */
    uint16_t attempt;   /* k of the attempt under way or the last one */
    uint8_t known;      /* enum listing_known */
    uint8_t state;      /* enum listing_state */
    uint8_t adds;       /* what the attempt under way says */
    uint8_t failures;   /* in a row; saturates */
    int64_t since_ms;   /* when `known` came to be */
    int64_t again_ms;   /* no other attempt before */
    uint8_t member[32]; /* SHA-256 of the address */
};

enum errand_state {                 /* numbers are written to disk */
                    ERRAND_WAITING, /* begun; not handed over yet: a rule, or nobody to tell, is in the way */
                    ERRAND_QUEUED,   /* handed to the provider's pool */
                    ERRAND_REVOKING, /* taken back from it; its answer is on the way */
                    ERRAND_GRANTED,  /* an attempt is under way */
                    ERRAND_RECALLED, /* the same, and it is not to be tried again */
                    ERRAND_OPEN,     /* TASK: people have it */
};

/* What an instance asks of somebody outside, and waits for (decide/errand.h). */
struct errand {
    uint64_t decision;    /* of the instance, the step and the visit */
    uint64_t key_profile; /* with `decision` its id for whoever is asked, whatever merges */
    uint64_t profile;     /* the one whose attempt it is: it may have been merged since */
    uint64_t instance;
    uint32_t journey;  /* name */
    uint32_t name;     /* the step's id */
    uint32_t plan;     /* number, under which it was begun */
    uint16_t errand;   /* index in that plan */
    uint16_t step;     /* in that plan */
    uint32_t provider; /* name, of the attempt; NAME_NONE = none yet */
    uint16_t attempt;  /* k of the attempt under way or the last one */
    uint8_t kind;      /* enum errand_kind */
    uint8_t state;     /* enum errand_state */
    uint8_t ending;    /* enum errand_ending */
    uint8_t is_ghost;  /* of an instance that is held out */
    uint8_t rule;      /* the number of the rule that is against it; 0 = none */
    uint8_t is_heard;  /* its instance knows how it ended */
    uint8_t withdraws; /* TASK: the attempt says that nobody need do it any more */
    int64_t began_ms;
    int64_t deadline_ms; /* timed out, or overdue */
    int64_t ask_ms;      /* WAITING: when the rules are asked again though nothing happens */
    struct blob says;    /* TASK: enum task_field + 1 to text; once it has ended, what is saved */
};
