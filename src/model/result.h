/* result.h - what a batch changed, as rows: the engine's own account, written with the next commit
 * as the result block of the batch. Recovery re-executes and compares; history, reports and `why`
 * fold over these rows. Ids and numbers only, no personal data.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "model/terms.h"

#define RESULT_FORMAT 1 /* of a result block: results_write() */

enum result_kind {
    RESULT_NONE = 0,
#define RESULT(symbol, name, doc) RESULT_##symbol,
#include "model/results.def"
#undef RESULT
    RESULT_KIND_END,
};

/* Why an entry was refused. Numbers are written to disk: append only. */
enum refusal {
    REFUSAL_AGAIN = 1, /* re-entry policy: never, or too soon */
    REFUSAL_AT_ONCE,   /* enough instances are live */
    REFUSAL_LATE,      /* the event is older than max_lateness */
    REFUSAL_CONSUMED,  /* a live instance with the same key used the event */
    REFUSAL_HISTORY,   /* imported history fires no journey */
    REFUSAL_LIMIT,     /* too many live instances in one profile */
    REFUSAL_REQUIRE,   /* `require` does not hold */
    REFUSAL_ERROR,     /* the entry condition failed to evaluate */
    REFUSAL_GROUP,     /* at_most of its group */
    REFUSAL_NO_WAY,    /* by the API: there is no such journey, or the API does not enter it */
    REFUSAL_DRAFT,     /* the journey is a draft */
    REFUSAL_PAUSED,    /* it is paused, and refuses who would enter meanwhile */
    REFUSAL_DRAINING,  /* it takes nobody in any more */
    REFUSAL_STOPPED,
    REFUSAL_LOOP,   /* handed from journey to journey too often at one moment */
    REFUSAL_WHEN,   /* by another journey: the entry's condition is false */
    REFUSAL_QUEUED, /* waited for its turn, and what it was about is over */
    REFUSAL_FULL,   /* as many people are in it as it takes */
    REFUSAL_END,
};

/* Where an expression failed. */
enum error_place {
#define PLACE(symbol, name, doc) ERROR_##symbol,
#include "model/error_places.def"
#undef PLACE
    ERROR_PLACES,
};

/* What became of an instance that took an arm of a split. Numbers are written to disk: append only. */
enum arm_news {
    ARM_CONVERTED = 1,
    ARM_ENDED,     /* by design */
    ARM_ABANDONED, /* it ended otherwise */
    ARM_SENT,      /* a message that it waited for went out (or would have, in a control group) */
    ARM_NOT_SENT,
    ARM_CROSSED, /* it became another person's, who takes another arm: out of the analysis */
    ARM_NEWS_END,
};

/* RESULT_CONVERTED: whose goal it was. Numbers are written to disk: append only. */
enum convert_group { CONVERTED_TREATED, CONVERTED_GHOST, CONVERTED_CROSSED };

/* What is new about a call or task. Numbers are written to disk: append only. */
/* What is new of somebody in an ad audience. Numbers are written to disk: append only. */
enum listed_news {
    LISTED_IS_OUT, /* the provider has removed them; step = 1: it was in doubt before whether they were in */
    LISTED_IS_IN,      /* it has added them */
    LISTED_IS_REFUSED, /* a rule is against it (step) */
    LISTED_ADD_FAILED, /* an attempt came to nothing; it is made again */
    LISTED_REMOVE_FAILED,
    LISTED_IS_IN_DOUBT, /* they were in; whether they still are is not known */
    LISTED_IS_LOST,   /* they were in, and nobody will tell the provider: the programme has no such
                           audience any more, or the person was erased */
    LISTED_IS_HANDED, /* attempt `step` of listing `id` is the provider's from here on */
    LISTED_NEWS_END,
};

enum errand_news {
    ERRAND_IS_REFUSED = 1, /* for now: a rule is against it */
    ERRAND_IS_HANDED,      /* an attempt is under way */
    ERRAND_IS_OPEN,        /* a task that people have now */
    ERRAND_IS_OVER,        /* its instance hears of it: `waited` says how it ended */
    ERRAND_IS_DROPPED, /* nobody waits for it any more: its instance has ended, or gone elsewhere */
};

enum step_left { LEFT_FOR_NEXT, LEFT_FOR_END, LEFT_FOR_VERSION };

struct result {
    uint8_t kind; /* enum result_kind; the others as results.def says */
    uint8_t how;
    uint16_t step;
    uint32_t journey; /* name, or 0 */
    uint32_t message; /* name, or 0 */
    uint32_t version; /* number of the plan that it was under, for what journeys do; or 0 */
    uint8_t channel;  /* DECIDED, PROPOSED: enum channel, or 0 */
    uint64_t profile;
    uint64_t id;
    int64_t at_ms; /* when it happened: due_ms for timers, else the record's engine time */
    int64_t number;
};

/* Appends `count` rows to `out` as bytes (times relative to now_ms). */
void results_write(const struct result *rows, uint32_t count, int64_t now_ms, struct buf *out);

/* Takes the next row off the front of the cursor; false at the end or on damage (c->is_bad). */
bool results_read(struct cursor *c, int64_t now_ms, struct result *out) mustuse;

const char *result_name(enum result_kind kind);
const char *refusal_name(enum refusal refusal);
const char *error_place_name(enum error_place place);

/* What `how` of the row says in a word ("sent", "goal_reached", "email"); "" where its kind has none. Any
 * value of `how` is fine. */
struct str result_how(const struct result *row);

/* Is `number` of the row a name? */
bool result_has_name(const struct result *row);

/* Is the row about an expression that failed? */
bool result_is_error(const struct result *row);
