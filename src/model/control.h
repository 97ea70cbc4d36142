/* control.h - what operators have said: which journeys run, and what must not go out.
 *
 *     command (a record) ──► controls ──► journeys: who may enter, whose time runs
 *                               │     ──► the desk: rule 4 (withdrawn), rule 6 (waits)
 *                               └──────► walks (engine/lifecycle.c): everybody whom it concerns
 *
 * A journey's *phase* is what its file says (`state:`), until a command says something else. The word
 * that came last counts: another programme changes a phase only where the journey's file says something
 * else than it did before.
 *
 *     phase       enters                    people in flight            pending messages
 *     active      yes                       go on                       go out
 *     draft       refused                   go on (there are none)      go out
 *     paused      held or refused           stand still                 wait
 *     draining    refused                   go on until they end        go out
 *     stopped     refused                   end `withdrawn`             end `withdrawn`
 *
 * A *kill* keeps messages from going out, of a journey, of one kind, of a category, of a channel, or all of
 * them, by an operator's word or as long as a monitor is raised (measure/monitor.h): they
 * wait until it is taken back, or (drop) end `withdrawn`. It is meant for marketing; otp, alert, legal,
 * opt_in and service go on unless it says all_lanes, or is about their channel.
 *
 * Controls are state of the whole house and not of a person: every partition sees the same, from the
 * beginning of the batch on that holds the command.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "model/record.h"
#include "model/terms.h"

struct names;
struct plan;

/* Numbers are written to disk: append only. */
enum command_kind {
    COMMAND_PHASE = 1, /* $journey goes into the phase `status` */
    COMMAND_KILL,
    COMMAND_UNKILL,
    COMMAND_VOUCHERS, /* codes that come into a pool: decide/voucher.h */
    COMMAND_KIND_END,
};

/* Numbers are written to disk: append only. */
enum journey_phase {
    PHASE_ACTIVE,
    PHASE_DRAFT,
    PHASE_PAUSED,
    PHASE_DRAINING,
    PHASE_STOPPED,
    PHASE_END,
};

enum phase_flag {
    PHASE_REFUSES = 1 << 0,    /* paused: entries are refused; else held until it goes on */
    PHASE_TIMERS_RUN = 1 << 1, /* paused: waits go on running; else they stand still */
};

/* Numbers are written to disk: append only. */
enum kill_scope {
    KILL_JOURNEY = 1,
    KILL_MESSAGE,
    KILL_CHANNEL,
    KILL_ALL,
    KILL_CATEGORY,
    KILL_SCOPE_END,
};

enum kill_flag {
    KILL_DROPS = 1 << 0,     /* what is pending ends `withdrawn`; else it waits */
    KILL_ALL_LANES = 1 << 1, /* also what no exit of a journey cancels: service, otp, ... */
};

#define PAUSES_MAX \
    16 /* of one journey that are remembered; a wait that an older one froze ends early */
#define KILLS_MAX             256 /* of operators, in force at once */
#define KILLS_BY_MONITORS_MAX 256 /* in a programme */

/* A stretch of time in which a journey's waits stood still. */
struct pause {
    int64_t from_ms;
    int64_t until_ms; /* FOREVER_MS: it lasts */
};

/* Where a journey stands that is not simply active, or was not. */
struct journey_control {
    uint32_t journey; /* name */
    uint8_t phase;    /* enum journey_phase */
    uint8_t said;     /* what its file says: enum journey_phase */
    uint8_t flags;    /* enum phase_flag */
    uint32_t by;      /* name of who said so; NAME_NONE = the file */
    int64_t since_ms;
    uint32_t pause_count;
    struct pause pauses[PAUSES_MAX]; /* oldest first; of those that freeze waits */
};

struct kill {
    uint32_t number;  /* 1, 2, ...: how it is named */
    uint8_t scope;    /* enum kill_scope */
    uint8_t channel;  /* CHANNEL */
    uint8_t flags;    /* enum kill_flag */
    uint32_t name;    /* JOURNEY, MESSAGE, CATEGORY */
    uint32_t by;      /* name of who said so; NAME_NONE = not known */
    uint32_t monitor; /* name of the monitor that did, as long as it is raised; NAME_NONE = none */
    int64_t since_ms;
};

struct controls {
    struct journey_control *journeys; /* by ascending name */
    uint32_t journey_count, journey_room;
    struct kill *kills; /* in the order in which they came */
    uint32_t kill_count, kill_room;
    uint32_t kills_ever;
};

void controls_init(struct controls *c);
void controls_fini(struct controls *c);

/* Where the journey stands; NULL (or `c` NULL): it is active, and always was. */
const struct journey_control *controls_find(const struct controls *c, uint32_t journey);

static inline enum journey_phase controls_phase(const struct controls *c, uint32_t journey)
{
    const struct journey_control *x =
        c == NULL || c->journey_count == 0 ? NULL : controls_find(c, journey);
    return x == NULL ? PHASE_ACTIVE : (enum journey_phase)x->phase;
}

/* How many journeys are not active. */
uint32_t controls_not_active(const struct controls *c);

/* Does the journey stand still: paused, or stopped and its people not told yet? */
static inline bool controls_is_still(const struct controls *c, uint32_t journey)
{
    enum journey_phase phase = controls_phase(c, journey);
    return phase == PHASE_PAUSED || phase == PHASE_STOPPED;
}

/* The journey goes into the phase, at at_ms. True if that is news. */
bool controls_set_phase(struct controls *c, uint32_t journey, enum journey_phase phase,
                        uint8_t flags, uint32_t by, int64_t at_ms);

/* The journey's file says `said`; where it said something else before, that becomes the phase. True
 * then. */
bool controls_file_says(struct controls *c, uint32_t journey, enum journey_phase said,
                        int64_t at_ms);

/* Makes an entry of a snapshot. */
void controls_restore(struct controls *c, const struct journey_control *x);

/* Forgets where the journey stands. */
void controls_forget(struct controls *c, uint32_t journey);

/* Adds a kill, or replaces one of the same scope. NULL: there are too many. */
struct kill *controls_kill(struct controls *c, const struct kill *kill);

/* The place of the operators' kill of that scope, or UINT32_MAX. */
uint32_t controls_kill_find(const struct controls *c, enum kill_scope scope, uint32_t name,
                            uint8_t channel);

/* How many are operators'. */
uint32_t controls_kill_count(const struct controls *c);

void controls_unkill(struct controls *c, uint32_t place);

/* A message, as kills ask about it. */
struct kill_subject {
    uint32_t journey; /* names */
    uint32_t message;
    uint32_t category;
    enum channel channel; /* CHANNEL_NONE: on any */
    enum lane lane;
};

/* Is that what the kill is about? */
bool kill_meets(const struct kill *k, const struct kill_subject *x);

/* The first kill that meets it, one that drops before one that does not; NULL if none does. */
const struct kill *controls_kill_of(const struct controls *c, const struct kill_subject *x);

/* "active", "paused", ... */
struct str phase_name(enum journey_phase phase);
bool phase_find(struct str name, enum journey_phase *out);

/* What an operator says so that a journey goes into a phase: "pause", "resume", "start", "drain", "stop". */
bool phase_of_verb(struct str verb, enum journey_phase *out);
struct str kill_scope_name(enum kill_scope scope);
bool kill_scope_find(struct str name, enum kill_scope *out);

/* ---- commands, as records ------------------------------------------------------------------------- */

#define COMMAND_NAME_BYTES 128

/* A command as an operator gives it. Texts are borrowed. */
struct command_word {
    enum command_kind kind;
    uint8_t phase;    /* PHASE: enum journey_phase */
    uint8_t flags;    /* enum phase_flag or kill_flag */
    uint8_t scope;    /* KILL, UNKILL: enum kill_scope */
    uint8_t channel;  /* enum channel */
    struct str codes; /* VOUCHERS: one a line (model/codes.h), CODES_BYTES_MAX at most */
    struct str name;  /* of the pool, journey or message */
    uint32_t
        pace_count; /* what waited goes on at a pace: so many people in pace_ms; 0 = all at once */
    int64_t pace_ms;
};

#define COMMAND_PACE_COUNT 10000 /* where nothing is said */
#define COMMAND_PACE_MS    HOUR_MS

/* Fills `out` (type, kind, clear), whose body is written to the buffer and borrowed from it. */
void command_write(const struct command_word *in, struct buf *clear, struct record *out);

/* Is there what the command is about in the programme (NULL: none), and would it change anything?
 * FIX_INPUT, with a sentence, if not. */
enum status command_check(const struct controls *c, const struct plan *plan,
                          const struct names *names, const struct command_word *word,
                          struct fault *f) mustuse;

/* Reads a RECORD_COMMAND; false if it is none that this release knows, or fields are out of range. */
bool command_read(const struct record *in, struct command_word *out) mustuse;
