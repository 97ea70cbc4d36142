/* person.h - a profile at hand: what the rooms above work on while one person's records and timers
 * are applied. Made by the engine for one profile at a time; nothing in it outlives the batch.
 *
 * Everything that happens to a person goes through here: results are noted, messages to later
 * stages are collected, and `changed` gathers the wake bits of what changed since the desk was asked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "expr/expr.h"
#include "model/action.h"
#include "model/control.h"
#include "model/instance.h"
#include "model/keep.h"
#include "model/names.h"
#include "model/rare.h"
#include "model/result.h"
#include "model/sent.h"
#include "model/state.h"
#include "when/zone.h"

/* The versions of the programme that people run under, by number. Versions are kept as long as
 * somebody may be in flight under them. */
struct plans {
    const struct plan **at; /* by number; index 0 is unused */
    uint32_t count;         /* highest number + 1 */
    uint32_t newest;        /* 0 = no programme yet */
};

/* Rows of the batch's result block, in order. */
struct results {
    struct result *rows;
    uint32_t count;
    uint32_t room;
};

/* From a profile to the later stages, in the order in which they were sent. */
enum stage_message_kind {
    TO_POOL_QUEUE = 1,   /* an intent that may go out until `until_ms` */
    TO_POOL_REVOKE,      /* take it back; answered by BACK_REVOKED or BACK_GRANTED */
    TO_POOL_DONE,        /* an attempt ended: its provider has a free connection again */
    TO_ADDRESS_SUPPRESS, /* never again to this address: `how` = enum suppression */
    TO_ADDRESS_CLEAR,    /* the person agreed again: lift an unsubscribe */
    BACK_GRANTED,        /* to the profile: the attempt is under way */
    BACK_REVOKED,        /* to the profile: it will not be granted */
    BACK_LAPSED,         /* to the profile: its `until` passed in the queue */
    BACK_REFUSED, /* to the profile: the address gate said no: `how`; at_ms = T or FOREVER_MS */
    BACK_EMPTY,   /* to the profile: its pool of vouchers has no code left */
    TO_VOUCHER_RETURN, /* the decision's message will not go out: its code is free again */
    TO_VOUCHER_SPEND,  /* it went out: its code is gone */
    TO_RECALL,         /* the attempt under way is not to be tried again */
    TO_BUDGET_RETURN, /* the decision's attempt was not sent: what budgets were charged comes back */
    TO_BUDGET_SPEND,  /* it was */
    TO_HOURS,         /* somebody read or came by: habit `how`, hour of the week `attempt` */
    TO_BUDGET_TAKE,   /* another release granted it: budgets are charged whatever is left */
};

enum suppression {
    SUPPRESSED_BAD_ADDRESS = 1, /* a provider says there is no such mailbox */
    SUPPRESSED_UNSUBSCRIBED,    /* marketing only */
    SUPPRESSED_COMPLAINT,       /* marketing only */
    SUPPRESSED_CAP,             /* the address has had enough for now */
    SUPPRESSED_DUPLICATE,       /* the same message went there for somebody else */
    SUPPRESSED_STOPPED,         /* STOP, or a block: every lane but otp */
};

/* Numbers are written to disk. */
enum message_about {
    ABOUT_MESSAGE,
    ABOUT_LISTING, /* an ad audience's (decide/listing.h) */
    ABOUT_ERRAND,  /* a call or task (decide/errand.h) */
};

struct stage_message {
    uint8_t kind; /* enum stage_message_kind */
    uint8_t how;  /* QUEUE, of an errand: enum attempts, whatever its lane says */
    uint8_t channel;
    uint8_t lane;
    uint16_t attempt;
    uint16_t group_rank; /* competition: lower first */
    uint32_t provider;   /* name */
    uint32_t plan;
    uint16_t message_index;
    uint16_t provider_index;
    uint32_t message; /* name */
    uint32_t journey; /* name */
    int32_t journey_priority;
    int32_t priority;
    uint32_t voucher; /* name of the pool of codes; NAME_NONE = none */
    uint8_t empty;    /* enum voucher_empty */
    uint8_t about;    /* enum message_about; not a message: no address gate, no result of one */
    uint64_t profile;
    uint64_t decision;
    int64_t created_ms;
    int64_t deadline_ms;
    int64_t until_ms;
    int64_t at_ms;
    uint64_t content; /* a hash of what it says, for the address gate; 0 = no duplicate of any */
    struct id128 address; /* keyed hash of channel and address */
    struct str
        fields; /* QUEUE: the address and the frozen fields, encoded; in the batch's scratch */
};

struct messages {
    struct stage_message *at;
    uint32_t count;
    uint32_t room;
};

/* What a line of the answer to "why?" is about. */
enum note_kind {
    NOTE_EVENT,  /* something happened: a step, a change of segment, ... */
    NOTE_ENTRY,  /* who entered a journey, or did not */
    NOTE_RULE,   /* a rule of the desk refuses */
    NOTE_CHANGE, /* the one change that would have let a message go; or that none would have done */
    NOTE_RIVALS, /* what else competed */
    NOTE_TRY,    /* what became of a try at a provider */
    NOTE_OUTCOME,  /* how a message ended */
    NOTE_SCHEDULE, /* what is to come, and when */
};

/* A line of the answer to "why?", noted while a person that is watched is worked on. */
struct note {
    int64_t at_ms;
    struct str text;  /* good during the call */
    uint32_t journey; /* the names of what it is about; NAME_NONE: of none */
    uint32_t message;
    uint8_t kind;     /* enum note_kind */
    uint8_t channel;  /* enum channel; 0 = of none */
    const char *rule; /* the name of the desk's rule; NULL = of none */
    int64_t until_ms; /* RULE: it refuses until then, SCHEDULE: it comes then; FOREVER_MS: not
                             * known; 0: nothing is said */
    const struct zone *zone; /* whose clock times in the text are of; NULL = no programme yet */
    const struct plan *plan; /* the programme that was active; NULL = none */
};

struct witness {
    void *self;
    void (*note)(void *self, const struct note *note);
};

#define PERSON_WOKEN_MAX 8

struct budgets; /* decide/budget.h */
struct hours;   /* profile/habits.h */
struct memory;  /* decide/memory.h */

struct person {
    struct space *space;
    struct addresses *addresses; /* told of every address that comes and goes; NULL: nobody is */
    struct profile *profile;
    uint64_t id;
    const struct plans *plans;
    const struct plan *plan;         /* the newest, or NULL */
    const struct controls *controls; /* what operators have said; NULL = nothing */
    const struct budgets
        *budgets;              /* what the batch before has left in them; NULL = nobody counts */
    const struct hours *hours; /* when all people read, by the batch before; NULL = not known */
    const struct names *names;
    uint32_t names_end; /* numbers below this are known by now: what texts are looked up among */
    const uint8_t *secret;
    struct memory
        *memory; /* what the desk has found out about them in this settle; NULL outside of one */
    struct arena *scratch; /* reset after the batch */
    struct buf *bytes;     /* for putting bytes together; whoever uses it empties it first */

    int64_t now_ms; /* the batch's time */
    int64_t at_ms;  /* the moment being worked on: a record's engine time or a timer's due_ms */
    const struct record *event; /* being applied, or NULL */
    const struct plan_way *way; /* by which that event comes, if not by itself; else NULL */
    uint64_t changed;           /* wake bits of what changed since the desk was last asked */
    uint64_t stirred;           /* the same, since journeys were last asked */
    uint64_t woken_bits;        /* the same, since segments were last asked, but for these names */
    uint32_t woken_count;
    uint32_t woken[PERSON_WOKEN_MAX];
    bool is_asking_segments; /* they are being asked at this moment */
    bool is_desk_due;        /* the desk must be asked at the end of the batch */
    bool is_touched;         /* deadlines may have changed */
    bool has_ready;          /* instances have come to be READY, or to have their turn */
    uint32_t handed;         /* handoffs in this batch so far */

    struct results *results;
    struct messages *messages;
    const struct witness *witness; /* NULL: nobody asks why */
    const struct keep *kept;       /* attempts of another release, whoever they were to */
    uint32_t kept_count;

    /* Set by the engine so that rooms which do not know each other can meet. */
    void *engine;
    void (*propose)(struct person *who, const struct instance *from, uint16_t step);
    void (*cancel)(struct person *who, uint64_t instance, enum outcome outcome);
    void (*call_off)(
        struct person *who, uint64_t instance, uint16_t first, uint16_t last,
        enum outcome outcome); /* of these steps, whatever ends a send by its own condition */
    void (*settled)(struct person *who, uint64_t instance, uint64_t decision, uint16_t step,
                    enum outcome outcome);
    void (*engaged)(struct person *who, uint64_t instance, uint32_t message);
    void (*replaced)(struct person *who, uint64_t instance, uint64_t decision, uint64_t by);
    void (*entered)(struct person *who, uint32_t event, uint32_t segment); /* or left */
    /* So many more (or fewer) live instances of the journey, over all people; how many there are then.
     * NULL: nobody counts. */
    uint32_t (*count_live)(const struct person *who, uint32_t journey, int32_t more);
    /* What the address gate would say of a ghost's attempt (enum suppression, 0 = nothing against it);
     * NULL: nothing. It leaves no trace there. */
    uint8_t (*look_on)(const struct person *who, const struct stage_message *attempt);
    void (*refresh)(
        struct person *who); /* asks segments that are woken; NULL: they are up to date */
    uint64_t asked;          /* times that a segment's condition was asked */
    uint64_t saturated;      /* items that had to make room while a question could reach them */
    uint64_t errors;         /* expressions that failed */
    /* Since when the person has been in a segment that nothing keeps memberships of, FOREVER_MS: is out;
     * false: it is not known here. NULL: of none. Asked with `membership_self`. */
    bool (*membership_since)(void *membership_self, const struct person *who, uint32_t segment,
                             int64_t *since_ms);
    void *membership_self;
    /* The definition of a feature that is kept; NULL: it is looked for in `plans`. */
    const struct plan_feature *(*feature_of)(const struct person *who, uint32_t name);
};

/* Notes a row; `profile` and at_ms are filled in. */
void person_result(struct person *who, struct result row);

/* Puts a message on its way to a later stage; `profile` is filled in. */
void person_send(struct person *who, struct stage_message message);

/* What these wake bits stand for has changed: the desk, journeys and segments will ask again who read
 * it. */
static inline void person_changed(struct person *who, uint64_t bits)
{
    who->changed |= bits;
    who->stirred |= bits;
    who->woken_bits |= bits;
}

/* The same where the name is known: wakes the segments that read it and no others. */
static inline void person_changed_name(struct person *who, uint32_t name)
{
    uint64_t bit = plan_wake_bit(name);
    who->changed |= bit;
    who->stirred |= bit;
    if (who->woken_count < PERSON_WOKEN_MAX)
        who->woken[who->woken_count++] = name;
    else
        who->woken_bits |= bit;
}

/* Notes a line for whoever asked why; does nothing (and formats nothing) if nobody did. */
void person_note(struct person *who, const char *format, ...) printf_like(2, 3);

/* The same, of a line about a journey, or about a message that a journey asks for; NAME_NONE: no
 * message. Whoever asks about one of them gets the line and no others. */
void person_note_about(struct person *who, uint32_t journey, uint32_t message, const char *format,
                       ...) printf_like(4, 5);

/* The same of a line that says more: what `about` has besides time, text, zone and programme. */
void person_tell(struct person *who, const struct note *about, const char *format, ...)
    printf_like(3, 4);

void results_add(struct results *r, struct result row);
void messages_add(struct messages *m, struct stage_message message);

static inline const struct plan *person_plan(const struct person *who, uint32_t number)
{
    must(number < who->plans->count);
    const struct plan *plan = who->plans->at[number];
    must(plan != NULL);
    return plan;
}

/* The person's zone: of the trait `timezone` if it names one, else the programme's. */
const struct zone *person_zone(struct person *who);

/* Is the person in the programme's control group? */
bool person_is_held_out(const struct person *who);

/* "2026-03-02 14:02:00" on the person's clock, in scratch. Requires a programme. */
const char *person_moment(struct person *who, int64_t at_ms);

/* ---- lists, with their types ------------------------------------------------------------------- */

#define PERSON_LIST_PART(noun, list)                                                     \
    static inline const struct noun *person_##noun(const struct person *who, uint32_t i) \
    {                                                                                    \
        return vec_at(who->space, &who->profile->list, i, sizeof(struct noun));          \
    }                                                                                    \
    static inline struct noun *person_touch_##noun(struct person *who, uint32_t i)       \
    {                                                                                    \
        return vec_touch(who->space, &who->profile->list, i, sizeof(struct noun));       \
    }                                                                                    \
    static inline struct noun *person_push_##noun(struct person *who)                    \
    {                                                                                    \
        return vec_push(who->space, &who->profile->list, sizeof(struct noun));           \
    }

#define PERSON_LIST(noun, list)                                            \
    PERSON_LIST_PART(noun, list)                                           \
    static inline void person_drop_##noun(struct person *who, uint32_t i)  \
    {                                                                      \
        vec_drop(who->space, &who->profile->list, i, sizeof(struct noun)); \
    }

#define PERSON_RARE(noun, which)                                                         \
    static inline const struct noun *person_##noun(const struct person *who, uint32_t i) \
    {                                                                                    \
        return rare_at(who->space, who->profile, which, i, sizeof(struct noun));         \
    }                                                                                    \
    static inline struct noun *person_touch_##noun(struct person *who, uint32_t i)       \
    {                                                                                    \
        return rare_touch(who->space, who->profile, which, i, sizeof(struct noun));      \
    }                                                                                    \
    static inline struct noun *person_push_##noun(struct person *who)                    \
    {                                                                                    \
        return rare_push(who->space, who->profile, which, sizeof(struct noun));          \
    }                                                                                    \
    static inline void person_drop_##noun(struct person *who, uint32_t i)                \
    {                                                                                    \
        rare_drop(who->space, who->profile, which, i, sizeof(struct noun));              \
    }

PERSON_LIST(consent, consents)
PERSON_RARE(choice, RARE_CHOICES)
PERSON_LIST(history, histories)
PERSON_LIST(instance, instances)

static inline const struct instance_more *person_more(const struct person *who,
                                                      const struct instance *in)
{
    return instance_more(who->space, in);
}

static inline const struct sent_more *person_sent_more(const struct person *who,
                                                       const struct sent *line)
{
    return sent_more(who->space, line);
}

static inline void person_drop_sent(struct person *who, uint32_t i)
{
    sent_drop(who->space, &who->profile->ledger, i);
}

PERSON_RARE(past, RARE_PASTS)
PERSON_LIST(intent, intents)
PERSON_LIST_PART(sent, ledger)
PERSON_RARE(hold, RARE_HOLDS)
PERSON_RARE(appointment, RARE_APPOINTMENTS)
PERSON_LIST(membership, memberships)
PERSON_RARE(wish, RARE_WISHES)
PERSON_RARE(listing, RARE_LISTINGS)
PERSON_RARE(errand, RARE_ERRANDS)

/* Where the membership in the segment with that name is in the list, or would be. */
uint32_t person_membership_place(const struct person *who, uint32_t segment);

/* The membership in the segment with that name, or NULL. */
const struct membership *person_membership_find(const struct person *who, uint32_t segment);
