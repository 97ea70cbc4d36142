/* engine.h - the deterministic state machine: a batch of facts in, a list of things to do out.
 *
 *     batch ──► identity ──► profile ──► pool ──► address ──► actions, results
 *               rounds of    inbox       revokes  the last
 *               merges       timers and  grants   gate
 *                            records              │
 *                            one settle           │
 *                              ▲                  │
 *                              └── inbox of the next batch ◄┘
 *
 * Each stage runs once a batch, with a barrier between; within a partition in log order. A message to
 * a later stage is applied in the same batch; a message backward goes to the target's inbox, which is
 * state, and is applied first in the next batch (engine_output.has_inbox: the server writes an empty
 * batch at once). The engine knows no clock, disk, network or chance: time is the records', chance a
 * hash of stable ids. The same batches give the same actions, results and state hash, on any machine.
 *
 * A programme's activation takes effect at the beginning of the batch that holds its record.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "decide/placement.h"
#include "measure/funnel.h"
#include "measure/monitor.h"
#include "model/action.h"
#include "model/names.h"
#include "model/result.h"
#include "profile/person.h"

#define STATE_FORMAT 9 /* of what engine_save() writes: docs/formats/state.md */

struct engine;

/* How stages run apart, in tests: split.c tells what may come of it. Zeros: they do not. */
struct engine_split {
    uint64_t order; /* partitions work in an order drawn from it; 0: in that of their numbers */
    uint64_t delay; /* what is in an inbox waits, as drawn from this, ... */
    uint32_t delay_permille; /* ... with so much chance in each batch: below 1000 */
};

struct engine_options {
    const uint8_t *secret;        /* IDENTIFIER_SECRET_BYTES; copied */
    uint32_t messages_remembered; /* message ids for dedupe; 0 = 64 M */
    /* Asked by engine_load() for the programmes that a snapshot's people run under: the plan with
     * that hash, compiled with names that agree with `names`; NULL if it cannot be had. May be NULL:
     * then only what engine_prepare() handed in is known. */
    void *shelf;
    const struct plan *(*plan_of)(void *shelf, struct str hash, const struct names *names);
    /* A shadow: who people are, what is known of them, and what engine_keep() asks for; no journeys,
     * desk or timers. For backfills. */
    bool is_shadow;
    struct engine_split split;
};

/* What a batch led to. Everything is borrowed until the next call of engine_apply(). */
struct engine_output {
    const struct action *actions;
    uint32_t action_count;
    const struct recall *recalls; /* attempts before that are not to be tried again */
    uint32_t recall_count;
    const struct result *results;
    uint32_t result_count;
    int64_t next_ms; /* when a tick is needed; FOREVER_MS = nothing is due */
    bool has_inbox;  /* an empty batch is needed at once */
};

/* Counters since the engine was made. */
struct engine_counts {
    uint64_t batches;
    uint64_t records;
    uint64_t events;
    uint64_t duplicates;
    uint64_t unfound; /* events by address only that found nobody */
    uint64_t matched; /* events about somebody whose user id is known */
    uint64_t
        late_merges; /* merges of two people of whom the lesser one had been written to already */
    uint64_t timers;
    uint64_t settles;
    uint64_t saturated; /* past events that had to make room while a question could reach them */
    uint64_t errors;    /* expressions that failed; results.def has where */
    uint64_t segments;  /* times that a segment's condition was asked */
    uint64_t merges;
    uint64_t actions;
    uint64_t waits; /* of a partition's inbox, for another batch (struct engine_split) */
};

/* An empty engine. Ends with engine_free(). */
struct engine *engine_new(const struct engine_options *options) mustuse;
void engine_free(struct engine *e);

/* Hands in a compiled programme, which a later `activate` record names by its hash. The plan is kept
 * (not owned) as long as the engine; names in it are of engine_names() or of a table that agrees. */
void engine_prepare(struct engine *e, const struct plan *plan);

/* Applies one batch: number = the last one's + 1, now_ms not before the last one's. An `activate` of
 * a programme that was not prepared is a fault of the caller (must()): see engine_knows(). */
void engine_apply(struct engine *e, const struct batch *batch, struct engine_output *out);

/* Hands in names beyond those that the engine knows: of a log that was read ahead, of programmes that
 * were compiled. The numbers below agree. */
void engine_learn(struct engine *e, const struct names *names);

/* Was a programme with that hash (hex) handed in? */
bool engine_knows(const struct engine *e, struct str hash);

/* ---- a change of programme ---------------------------------------------------------------------
 *
 *     prepare ─────────────────────► unite ┄┄┄┄┄┄┄► activate     what the new features are made of:
 *        │ kept beside the active one's │ a piece                before `prepare`: the backfill, of a shadow
 *        │                              │ in each batch          since: what was kept
 *        └─ a shadow replays what was before ─ backfill
 *
 * Nobody asks for the new features before `activate`: so there is time to unite. change.c tells how it stays
 * exact. */

/* The programme that was prepared and is not active yet. `batch` is the one from which its features are kept:
 * what came before is for the backfill. 0: they are not yet, as leftovers are dropped first; batches go on by
 * themselves until they are. */
struct engine_change {
    const struct plan *plan; /* NULL = none */
    uint64_t batch;
    uint32_t count; /* features that nothing kept before: those that a backfill is to have */
    const uint32_t *features; /* their names, ascending; good until the next batch */
    const char
        *backfill;   /* hash of what is or was united; good until the next batch; NULL: none yet */
    bool is_uniting; /* there is more of it, for which the engine borrows it */
    struct engine_split split; /* in tests: how batches were applied, and have to be again */
};

struct engine_change engine_change(const struct engine *e);

/* The pasts of features up to some batch, by profile: docs/formats/backfill.md. */
struct backfill {
    char hash[65];         /* hex, of its content: what `activate` names */
    struct str parts[256]; /* by partition, as engine_write_backfill() gave them */
};

/* Hands in what the next `unite` (or, without one before it, `activate`) names, or what the state that was
 * loaded is uniting: there it is needed before the next batch. Borrowed until that has been applied and
 * nothing of it is left (engine_change.is_uniting). NULL: none; not while one is being united. */
void engine_offer_backfill(struct engine *e, const struct backfill *backfill);

/* To be called on an empty engine: `plan` (kept) is no programme here, but its features are kept from
 * the first batch on, under the names `features_from` + their own, so that they are told from those of
 * programmes that are activated on the way. */
void engine_keep(struct engine *e, const struct plan *plan, uint32_t features_from);

/* Writes the pasts of these features (their own names, ascending) by partition, those that
 * engine_keep() asked for if it was called. Nothing is put into a partition without any. */
void engine_write_backfill(const struct engine *e, const uint32_t *features, uint32_t count,
                           void *self,
                           void (*put)(void *self, uint32_t partition, struct str bytes));

/* ---- looking in, between batches --------------------------------------------------------------- */

uint64_t engine_batch(const struct engine *e); /* number of the last batch applied; 0 = none */
int64_t engine_now(const struct engine *e);
int64_t engine_next(const struct engine *e);
bool engine_has_inbox(const struct engine *e);

/* Is that because of work in pieces (sweeps, walks), one a batch? Else only answers of later stages wait. */
bool engine_has_work(const struct engine *e);
const struct names *engine_names(const struct engine *e);
const struct plans *engine_plans(const struct engine *e);
const struct plan *engine_plan(const struct engine *e);         /* the newest programme, or NULL */
const struct controls *engine_controls(const struct engine *e); /* what operators have said */
const struct funnel *engine_funnel(const struct engine *e);     /* what came of it so far */
const struct vouchers *engine_vouchers(const struct engine *e);
const struct budgets *engine_budgets(const struct engine *e);   /* what they have come to */
const struct monitors *engine_monitors(const struct engine *e); /* as engine_plan()'s */
const struct engine_counts *engine_counts(const struct engine *e);
uint64_t engine_profile_count(const struct engine *e);
uint64_t engine_bytes(const struct engine *e); /* memory of live state */

/* A number that equal states have in common, whatever their layout in memory. Walks everything. */
uint64_t engine_hash(const struct engine *e);

/* Its share of the partitions from `from` up to `to`; that of 0 has what is nobody's own, too. Shares of all
 * partitions add up to it. Several threads may each sum up one at the same time, of different partitions,
 * while nobody changes the engine. */
uint64_t engine_hash_share(const struct engine *e, uint32_t from, uint32_t to);

/* The profile that the identifier means (forwards followed); 0 if unknown. */
uint64_t engine_find(const struct engine *e, struct id128 identifier);

/* The profile that is known as `text`: its user id, else an anonymous id, else whom the address finds
 * (e-mail, phone, push token, in this order); 0 if nobody. */
uint64_t engine_find_person(const struct engine *e, struct str text);

/* The text of the profile's user id, else of an anonymous id; empty if neither was ever told. Borrowed
 * until the next batch. */
struct str engine_person_id(struct engine *e, uint64_t profile);

/* Would an event with this message id be a duplicate if it came at `now_ms`? */
bool engine_has_seen(const struct engine *e, uint64_t message_hash, int64_t now_ms);

/* Identifiers of somebody, as hashes. */
struct engine_ids {
    struct id128 *at; /* the caller's to free */
    uint32_t count, room;
};

/* Adds what means the profile: its user id, anonymous ids, and the addresses that it has; of one that was
 * erased since the engine was made, what meant it. Looks at everybody's. */
void engine_ids_of(struct engine *e, uint64_t profile, struct engine_ids *ids);

/* Was the profile (or that which it was merged into) erased? False where there never was one. */
bool engine_is_erased(struct engine *e, uint64_t profile);

/* How many people are in the segment with that name. */
uint64_t engine_members(const struct engine *e, uint32_t segment);

/* What the placement of that name shows the profile (0: nobody whom we know) at the moment, on a page of which
 * that is known; *out and its texts are the arena's. NULL: the newest programme has no such placement. Changes
 * nothing. */
const struct plan_placement *engine_decide(struct engine *e, uint64_t profile, uint32_t placement,
                                           struct body page, int64_t now_ms, struct arena *arena,
                                           struct placement_answer *out);

/* A value that goes along with its offer. */
struct value engine_offer_field(struct engine *e, uint64_t profile, const struct plan_expr *value,
                                struct body page, int64_t now_ms, struct arena *arena);

/* Goes through the living profiles by number: 0 starts; 0 comes back at the end. */
uint64_t engine_each(const struct engine *e, uint64_t profile);

/* Is there, or was there, a profile of that number? */
bool engine_has(const struct engine *e, uint64_t profile);

/* A view of the profile for reading (person_intent() and the like). Good until the next batch; only
 * functions that do not change the person may be called on it. */
void engine_look(struct engine *e, uint64_t profile, struct person *out);

/* Whose story is told to `witness` from now on (0 = nobody's). Both are kept until changed. */
void engine_watch(struct engine *e, uint64_t profile, const struct witness *witness);

/* The same for whoever has the user id or anonymous id, from the very batch in which they appear:
 * looked up in each batch, behind its identity stage. Ends with engine_watch(e, 0, NULL). */
void engine_watch_for(struct engine *e, struct id128 user, struct id128 anonymous,
                      const struct witness *witness);

/* When something is next to happen by time alone that may concern the person; FOREVER_MS = never. */
int64_t engine_due(struct engine *e, uint64_t profile);

/* How every pending intent of the person stands at the desk now, where they are in each journey and
 * until when, and which journeys begin for them: lines to the witness. */
void engine_explain(struct engine *e, uint64_t profile, const struct witness *witness);

/* Calls `note` for each live instance of the partition (0 to 255): its plan's number, its journey's place in
 * that plan, and the step at which it stands. */
void engine_each_instance(const struct engine *e, uint32_t partition, void *self,
                          void (*note)(void *self, uint32_t plan, uint16_t journey_index,
                                       uint16_t step));

/* Attempts that were granted and of which nothing was heard since: after a restart the server reports
 * them as in doubt. Calls `note` for each, by profile. */
struct pending {
    uint64_t profile;
    uint64_t decision;
    uint32_t attempt;
    uint32_t provider;  /* name */
    bool is_called_off; /* it is not to be tried again */
};
void engine_pending(struct engine *e, void *self, void (*note)(void *self, struct pending p));

/* Every mismatch between the state and what must hold of it (caps in every window, slots against
 * intents, deadlines against timers), as lines; the number of them. Walks everything. */
uint64_t engine_audit(struct engine *e, void *self, void (*note)(void *self, struct str line));

/* ---- snapshots --------------------------------------------------------------------------------- */

/* Writes the whole state as named sections ("meta", "ids", "profiles", "controls", "monitors", "funnel",
 * "pools", "gate", "addresses", "selectors", "sweeps"), by partition. docs/formats/state.md has the bytes. */
void engine_save(struct engine *e, void *self,
                 void (*put)(void *self, struct str section, uint32_t partition, struct str bytes));

/* The same in pieces, while batches are applied in between: what comes out is the state as it is at
 * engine_save_begin(). One at a time; it ends with engine_save_end(), whole or not. saving.c tells how. */
void engine_save_begin(struct engine *e);

enum save_state {
    SAVE_GOES_ON,
    SAVE_IS_WHOLE,
    SAVE_IS_LOST, /* the programme changes meanwhile: it is to be begun again */
};

/* Saves some more: what takes about `work` nanoseconds (its host learns how many these are here), but at
 * least one person or entry of a table. The pieces of a section come one behind the other. */
enum save_state engine_save_step(struct engine *e, uint64_t work, void *self,
                                 void (*put)(void *self, struct str section, uint32_t partition,
                                             struct str bytes)) mustuse;

/* What engine_hash() was at the beginning. Requires SAVE_IS_WHOLE. */
uint64_t engine_save_hash(const struct engine *e);
void engine_save_end(struct engine *e);

/* Takes one section of a snapshot into a fresh engine; "meta" first, the rest in any order. Plans
 * must be prepared. FIX_INPUT where the bytes are damaged or a programme is missing. */
enum status engine_load(struct engine *e, struct str section, uint32_t partition, struct str bytes,
                        struct fault *f) mustuse;

/* Is the section one of those that may be loaded by two threads at the same time, once all others are? Nearly all of
 * a snapshot is. */
bool engine_loads_apart(struct str section);

/* The sections of partitions from <= i < to, a half of them or all, are for the share, which one other thread at a time may load; here
 * engine_load() goes on with those of other partitions. */
struct load_share *engine_load_begin(struct engine *e, uint32_t from, uint32_t to) mustuse;
enum status engine_load_share(struct load_share *s, struct str section, uint32_t partition,
                              struct str bytes, struct fault *f) mustuse;

/* What the share has loaded becomes the engine's own, whether or not that was all. Nobody may be loading. */
void engine_load_end(struct load_share *s);
