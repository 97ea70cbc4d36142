/* engine_int.h - the engine's own state.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "audience/audience.h"
#include "base/map.h"
#include "decide/budget.h"
#include "decide/desk.h"
#include "decide/errand.h"
#include "decide/gate.h"
#include "decide/listing.h"
#include "decide/pool.h"
#include "decide/voucher.h"
#include "engine/engine.h"
#include "journey/journey.h"
#include "measure/funnel.h"
#include "measure/monitor.h"
#include "model/identifier.h"
#include "model/receipt.h"
#include "profile/addresses.h"
#include "profile/habits.h"
#include "profile/identity.h"
#include "store/before.h"
#include "when/timers.h"

struct partition {
    struct space space;
    uint32_t *profiles; /* by local number, from 1: reference of a struct profile */
    uint32_t count;     /* local numbers given out + 1 */
    uint32_t room;
    struct messages inbox; /* applied first in the next batch */
};

/* An instance's message has settled; the instance goes on when its person is worked on. */
struct settled {
    uint64_t profile;
    uint64_t instance;
    uint64_t decision;
    uint32_t record; /* of a merge: the place of the one that merged them */
    uint16_t step;
    uint8_t outcome;
};

/* The person at hand has entered or left a segment that journeys listen to: they hear of it when what
 * caused it has been told to all. */
struct told {
    uint32_t event;   /* name */
    uint32_t segment; /* or stage */
};

#define TOLD_MAX 64 /* of one moment of one person: a circle of journeys and segments ends there */

/* Something for a profile to work on in this batch. ITEM_TOUCH: it was merged, or the programme has
 * changed; everything is to be asked again. ITEM_SWEEP: a walk over people has come to it.
 * ITEM_CONTROL: an operator's word has. ITEM_ALARM: they are told of a monitor. */
enum item_kind {
    ITEM_INBOX,
    ITEM_CONTROL,
    ITEM_TIMER,
    ITEM_RECORD,
    ITEM_TOUCH,
    ITEM_SWEEP,
    ITEM_ALARM,
};

/* What meant somebody who was erased. */
struct erased_id {
    uint64_t profile;
    struct id128 id;
};

#define ITEM_NOWHERE UINT32_MAX

struct item {
    uint64_t profile;
    uint32_t kind;
    uint32_t place; /* of the record, inbox message or walk; ITEM_NOWHERE = none */
};

/* A walk over all people for whom something has happened that is nobody's own: sweep.c. */
struct sweep {
    uint64_t id;
    uint32_t journey;          /* name */
    uint16_t way;              /* its number in the journey */
    uint8_t kind;              /* enum way_kind */
    uint8_t flags;             /* of the record */
    uint32_t partition, local; /* the last one that was looked at; PARTITIONS: it is over */
    uint64_t entered;          /* people that were let in so far */
    int64_t began_ms;
    struct str clear, personal; /* bodies of the record, owned */
    uint32_t name;              /* of the record, and so on */
    uint32_t source;
    int64_t event_ms;
    int64_t arrival_ms;
    bool has_people;  /* an index says whom it may concern: then `local` counts in the list */
    uint64_t *people; /* by place, owned */
    uint32_t people_count;

    /* of the batch at hand */
    const struct plan_way *means; /* NULL: the newest programme does not have it */
    const struct plan_listen *entry;
    uint64_t began_batch; /* 0 after a restart */
};

/* A walk over all people for whom an operator's word changes something: lifecycle.c. */
struct control_walk {
    struct kill what;    /* whose messages */
    bool is_phase;       /* the journey `what.name` has come into another phase */
    bool takes_existing; /* it was a draft: who is in its segment enters */
    uint32_t partition;  /* the next to be looked at */
    uint64_t let_go;     /* people for whom something was overdue, so far */
    int64_t began_ms;
    uint32_t pace_count; /* so many of them in pace_ms; 0 = all at once */
    int64_t pace_ms;
};

/* What such a word means to one person of this batch. */
struct control_touch {
    struct kill what;
    bool is_phase;
    bool takes_existing;
    int64_t release_ms;
};

/* A monitor has been raised or cleared in this batch. */
struct alarm {
    uint32_t monitor; /* index */
    struct monitor_view view;
};

/* An index of who did `event` with which `property`: selector.c. */
struct selector {
    uint32_t event, property; /* names */
    int64_t since_ms;         /* all that happened since then is in it; INT64_MIN = everything */
    int64_t window_ms;        /* the longest that the newest programme asks for */
    int64_t reach_ms;         /* older ones may have been forgotten */
    uint32_t count;           /* people of all values together */
    uint32_t pruned_count;    /* when old ones were last forgotten */
    struct index values[PARTITIONS];
    struct space space;
};

/* A schedule of the newest programme that comes for everybody at once. */
struct due_schedule {
    const struct plan_way *way;
    int64_t at_ms; /* FOREVER_MS: never again */
};

/* What this batch's identify events say about addresses: find.c. */
struct claims {
    struct claim *at;
    uint32_t count, room;
    struct index by_holder;  /* (profile, channel) -> place in `at` of its newest claim */
    struct index by_address; /* address -> place in `at` of the newest claim to it + 1 */
    uint32_t items_seen;     /* of the batch */
};

/* A plan whose features are kept: change.c. */
struct feed {
    const struct plan *plan;
    bool *skips;         /* by feature: a feed before it has the same one */
    uint32_t names_from; /* its features' histories are named by their own names + this */
};

/* The programme that is prepared. */
struct change {
    const struct plan *plan; /* NULL = none */
    uint64_t batch;          /* 0 = leftovers are dropped first */
    uint32_t *fresh;         /* names of features that nothing kept before, ascending */
    uint32_t fresh_count;
    char backfill[65];  /* hash of what is being united, or has been; empty = nothing yet */
    uint32_t partition; /* of the next of its people; PARTITIONS = all are united */
    uint32_t local;     /* the one before */
    uint64_t offset;    /* of the next in the partition's bytes */
};

struct engine {
    struct pages pages; /* what the partitions' spaces and tables are cut out of */
    struct partition partitions[PARTITIONS];
    struct timers *timers[2]; /* by profile number: the earliest deadline; of each half of the
                                 partitions apart, because two threads load them */
    struct identity identity;
    struct identity_host host;
    struct addresses addresses;
    struct pools pools;
    struct vouchers vouchers;
    struct budgets budgets;
    struct hours hours;
    struct gate gate;
    struct names *names;
    uint32_t
        names_told; /* by records so far: numbers below this; the table may have been read ahead */
    struct plans plans;
    const struct plan **prepared;
    uint32_t prepared_count;
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    void *shelf;
    const struct plan *(*plan_of)(void *shelf, struct str hash, const struct names *names);

    struct change change;
    struct feed *feeds;
    uint32_t feed_count;
    uint32_t *fed; /* names of the histories that they feed, ascending */
    uint32_t fed_count;
    const struct backfill *backfill; /* what the next `activate` names */
    const struct plan *kept;         /* engine_keep() */
    uint32_t kept_from;
    struct keep *kept_grants; /* attempts that another release granted: model/keep.h */
    uint32_t kept_grant_count;
    uint32_t plans_from;  /* nobody is in flight under a plan before this one */
    uint32_t tidy;        /* partition that the pass over leftovers is in; PARTITIONS = over */
    uint32_t tidy_local;  /* whom it has come to there; 0 = nobody yet */
    uint32_t tidy_oldest; /* the oldest plan that it met somebody under */
    bool is_shadow;

    uint64_t batch;
    int64_t now_ms;
    int64_t before_ms; /* the batch before's time */
    uint32_t inbox_count;
    uint32_t
        sweep; /* partition whose people are told of the new programme now; PARTITIONS = done */
    uint32_t sweep_local; /* whom it has come to there; 0 = nobody yet */

    int64_t activated_ms; /* when the newest programme became that */
    uint64_t sweeps_begun;
    struct sweep *sweeps; /* in the order in which they began */
    uint32_t sweep_count, sweep_room;
    struct selector **selectors;
    uint32_t selector_count;
    struct due_schedule *schedules; /* derived */
    uint32_t schedule_count;

    struct funnel funnel;
    struct controls controls;
    struct control_walk *walks;
    uint32_t walk_count;
    struct monitors monitors;
    bool monitor_is_due; /* derived: the next batch raises or clears one */

    /* of the batch at hand */
    struct control_touch *touches;
    uint32_t touch_count, touch_room;
    struct alarm *alarms;
    uint32_t alarm_count, alarm_room;
    struct arena scratch;
    struct results results;
    struct messages messages;
    struct messages inbox; /* what the inboxes held when the batch began */
    struct item *items;
    uint64_t *keys, *spare_keys;
    uint32_t item_count, item_room;
    struct settled *settled; /* first those of merges, then those of the person at hand */
    uint32_t settled_count, settled_room, settled_merged;
    struct map_u64 live;    /* journey name -> live instances of all people; derived */
    struct map_u64 members; /* segment name -> how many are in it; derived */
    struct told told[TOLD_MAX];
    uint32_t told_count;
    uint8_t told_flags;     /* of the record that is being applied */
    uint64_t merges_before; /* counts.merges when it began */
    uint32_t resolving;     /* place of the record whose identity is being found out */
    struct buf bytes;       /* struct person's */
    struct claims claims;
    struct action *actions;
    uint32_t action_count, action_room;
    struct recall *recalls;
    uint32_t recall_count, recall_room;

    struct saving *saving; /* saving.c; NULL until the first snapshot */
    bool keeps_profiles;   /* people who are to be saved as they were are told to it first */
    bool keeps_selectors;

    struct erased_id *erased; /* since the engine was made */
    uint32_t erased_count, erased_room;

    struct split *split; /* NULL: the stages run joined, as they do outside of tests */

    uint64_t watched;
    struct id128 watched_ids[2]; /* user id and anonymous id of whom to watch; not set = nobody's */
    const struct witness *witness;
    struct engine_counts counts;
};

/* The profile is about to be changed: saving.c. */
void saving_keep_profile(struct engine *e, uint64_t number);

static inline struct profile *engine_profile(struct engine *e, uint64_t number)
{
    if (unlikely(e->keeps_profiles))
        saving_keep_profile(e, number);
    struct partition *p = &e->partitions[profile_partition(number)];
    uint32_t local = profile_local(number);
    must(local >= 1);
    must(local < p->count);
    return space_touch(&p->space, p->profiles[local]);
}

/* So many more, or fewer, people are in the segment. */
void engine_count_members(struct engine *e, uint32_t segment, int32_t more);

/* So many more live instances of the journey, or fewer; how many there are then. */
uint32_t engine_count_live(struct engine *e, uint32_t journey, int32_t more);

/* A person ready to be worked on. */
struct person engine_person(struct engine *e, uint64_t number);

/* Number of a new profile's place; its object is zeroed. (persist.c makes them too.) */
uint64_t engine_add_profile(struct engine *e, uint32_t partition);

/* So many numbers are to come, the one that is nobody's included. */
void engine_expect_profiles(struct engine *e, uint32_t partition, uint32_t count);

static inline struct timers *engine_timers(const struct engine *e, uint64_t number)
{
    return e->timers[profile_partition(number) / (PARTITIONS / 2)];
}

/* The profile is due at `due_ms`, instead of whenever it was due before; FOREVER_MS = never. */
void engine_arm(struct engine *e, uint64_t number, int64_t due_ms);

/* Another release granted the attempt: its id is not given out again. */
void engine_keep_grant(struct engine *e, const struct keep *k);

/* The record at `place` of the batch is for the profile to work on. */
void engine_add_record(struct engine *e, uint64_t profile, uint32_t place);

/* Finds out whom the record at `place`, which carries no id, means by an address: those work on it. False:
 * nobody. */
bool engine_find_record(struct engine *e, const struct batch *b, const struct record *r,
                        uint32_t place);

void claims_reset(struct claims *c); /* before each batch */
void claims_fini(struct claims *c);

/* What the loser has claimed the winner claims from here on; their traits are united already. */
void claims_merge(struct engine *e, uint64_t loser, uint64_t winner);

/* The earliest deadline of the person. */
int64_t engine_deadline(const struct person *who);

/* ---- change.c ---------------------------------------------------------------------------------- */

/* A record of type RECORD_PROGRAMME. */
void change_apply(struct engine *e, const struct record *r);

/* Notes the event at hand in the histories that are kept of it. */
void change_note_event(struct engine *e, struct person *who);

/* The profile is about to become part of another. */
void change_note_merge(struct engine *e, uint64_t loser);

/* Drops some more of what nothing asks for any more. What waited for that begins then. */
void change_tidy(struct engine *e);

/* Unites some more of the backfill. */
void change_unite(struct engine *e);

/* Is there more of it? */
bool change_is_uniting(const struct engine *e);

/* The definition of a feature that is fed, or NULL. */
const struct plan_feature *change_feature(const struct person *who, uint32_t name);

/* What is fed, anew: plans or what is prepared have changed. */
void change_set_feeds(struct engine *e);

void change_fini(struct engine *e);

/* ---- sweep.c ----------------------------------------------------------------------------------- */

/* The schedules of the newest programme, from the moment on: a programme has become the newest, or a
 * snapshot was read. */
void sweeps_renew(struct engine *e, int64_t from_ms);

/* A business event: walks begin for the ways that it enters by. */
void sweeps_business(struct engine *e, const struct record *r);

/* Another programme is live than `old` (NULL: the first): who is in a segment already to which a journey
 * begins to listen enters it, at a pace. */
void sweeps_existing(struct engine *e, const struct plan *old);

/* Takes the walks some people further: items for those whom they concern. */
void sweeps_step(struct engine *e);

/* Schedules that have come begin to walk. */
void sweeps_schedules(struct engine *e);

/* Walks that are over are dropped. */
void sweeps_end(struct engine *e);

/* The walk has come to the person: tries to enter. */
void sweep_enter(struct person *who, const struct sweep *sweep);

/* `loser` is about to become part of `winner`: walks that would miss what was the loser's come to the
 * winner now. */
void sweeps_merge(struct engine *e, uint64_t loser, uint64_t winner);

/* Can any walk go on at once, and when must one at the latest? */
bool sweeps_are_ready(const struct engine *e);
int64_t sweeps_next(const struct engine *e);

/* Makes a walk of a snapshot; its bodies are copied. */
void sweeps_restore(struct engine *e, const struct sweep *sweep);

void sweeps_fini(struct engine *e);

/* A journey that was a draft is active: walks begin for those who are in its segments already. */
void sweeps_journey_opens(struct engine *e, uint32_t journey);

/* ---- lifecycle.c ------------------------------------------------------------------------------- */

/* A record of type RECORD_COMMAND. */
void lifecycle_command(struct engine *e, const struct record *r);

/* Another programme is live: what journeys' files say of their phase. */
void lifecycle_activated(struct engine *e);

/* Takes the walks some people further: items for those whom they concern. */
void lifecycle_step(struct engine *e);

/* A walk, or the word itself, has come to the person: e->touches[place]. */
void lifecycle_touch(struct person *who, uint32_t place);

/* `loser` is about to become part of `winner`. */
void lifecycle_merge(struct engine *e, uint64_t loser, uint64_t winner);

/* Makes a walk of a snapshot. */
void lifecycle_restore(struct engine *e, const struct control_walk *walk);

void lifecycle_fini(struct engine *e);

/* What the monitor's kill is about waits from this batch on; goes on, at a pace. */
void lifecycle_wait(struct engine *e, const struct kill *kill);
void lifecycle_go_on(struct engine *e, uint32_t place, uint32_t pace_count, int64_t pace_ms);

/* Is the person in a segment whose members the journey takes in (`existing: enter`)? */
bool engine_is_existing(struct person *who, uint32_t journey);

/* The person enters the journey if so. */
void engine_take_existing(struct engine *e, struct person *who, uint32_t journey);

/* ---- monitor.c --------------------------------------------------------------------------------- */

enum event_news { EVENT_IS_NEW, EVENT_IS_DUPLICATE, EVENT_IS_UNMATCHED };

/* An event has come in. */
void monitors_event(struct engine *e, const struct record *r, enum event_news news);

/* The message's line of the ledger before a receipt or an answer is applied. */
struct message_before {
    uint64_t decision;
    bool has_line;
    struct sent line; /* its `more` is not to be followed: it may have gone */
    struct sent_more more;
};

struct message_before monitors_before(const struct person *who, uint64_t decision);

/* It has been applied. `channel`: where it is not known which message was answered. */
void monitors_receipt(struct person *who, const struct message_before *b, enum receipt_kind kind);
void monitors_answer(struct person *who, const struct message_before *b, enum watch watch,
                     uint8_t channel);

/* The batch is done: its rows. */
void monitors_results(struct engine *e);

/* At the head of a batch: what has been counted is judged. */
void monitors_step(struct engine *e);

/* Who is to be told has something to work on; that has come to the person: e->alarms[place]. */
void monitors_tell(struct engine *e);
void monitors_hear(struct person *who, uint32_t place);

/* Another programme is live. */
void monitors_activated(struct engine *e);

bool monitors_are_due(const struct engine *e);
int64_t monitors_next(const struct engine *e);
void monitors_engine_fini(struct engine *e);

/* ---- selector.c -------------------------------------------------------------------------------- */

/* Indices of the newest programme's selectors: new ones begin to learn, unused ones are dropped. */
void selectors_activate(struct engine *e, bool is_restart);

/* The person's event is learned. */
void selectors_note(struct engine *e, const struct person *who, const struct record *r);

/* Whom the business event may concern, as a list in order of place that the caller frees; false: no index
 * knows, everybody is to be looked at. */
bool selectors_ask(struct engine *e, const struct plan_way *way, const struct record *r,
                   uint64_t **people, uint32_t *count) mustuse;

/* For snapshots: an empty index, and what is in one. */
struct selector *selectors_add(struct engine *e, uint32_t event, uint32_t property);
void selectors_restore(struct engine *e, struct selector *s, uint32_t partition, uint64_t value,
                       uint32_t local, uint32_t minute);
void selectors_overflow(struct selector *s, uint32_t partition, uint64_t value, uint64_t minute);
void selectors_posting(const struct selector *s, const struct vec *people, uint32_t i,
                       uint32_t *local, uint32_t *minute);

void selectors_fini(struct engine *e);

/* Something for a profile to work on in this batch. */
void engine_add_item(struct engine *e, uint64_t profile, enum item_kind kind, uint32_t place);

/* ---- saving.c ---------------------------------------------------------------------------------- */

/* `loser` is about to become part of another. */
void saving_note_merge(struct engine *e, uint64_t loser);

/* The value's people of the selector are about to change. */
void saving_keep_value(struct engine *e, const struct selector *s, uint32_t partition,
                       struct id128 key);

/* The snapshot under way cannot become whole: something that nobody keeps changes. */
void saving_lose(struct engine *e);
void saving_lose_selectors(struct engine *e); /* where these are not saved yet */

void saving_fini(struct engine *e);

/* ---- erase.c ----------------------------------------------------------------------------------- */

/* A record of type RECORD_ERASE is in the batch: nothing is left of the person then. */
void engine_erase(struct engine *e, struct person *who);

/* ---- split.c ----------------------------------------------------------------------------------- */

/* NULL: nothing is to be apart. Ends with mem_free(). */
struct split *split_new(const struct engine_split *how) mustuse;
struct engine_split split_how(const struct split *s); /* zeros of NULL */

/* Where there is one: at the head of the profile stage; whose turn the partition is; before it works, in that
 * order; behind the stage, where rows are put together by partition. */
void split_begin(struct engine *e);
uint32_t split_place(const struct split *s, uint32_t partition);
void split_turn(struct engine *e, uint32_t partition);
void split_end(struct engine *e);

/* Does what is in the partition's inbox wait for another batch? */
bool split_waits(const struct engine *e, const struct batch *b, uint32_t partition);

/* ---- persist.c --------------------------------------------------------------------------------- */

/* Appends a history's bytes, as in a snapshot. */
void persist_put_history(struct space *space, const struct history *h, struct buf *out);

/* Reads a list of them (count, histories) into the empty list; false if the bytes are damaged. */
bool persist_take_histories(struct space *space, struct cursor *in, struct vec *out);
