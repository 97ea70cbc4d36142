/* report.h - the funnel of one journey, made of the counts (funnel.h) and the plans that they are of.
 *
 * Versions: plans in which the journey is defined alike are one version of it, named by the number of the
 * first. What is counted since a moment has no "now": who waits is only known of counts from the
 * beginning on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "measure/funnel.h"
#include "model/plan.h"

#define REPORT_RULES 32

/* A quantile lies in [low_ms, high_ms). */
struct report_bounds {
    int64_t low_ms, high_ms;
};

struct report_step {
    uint32_t id; /* name */
    uint64_t began;
    uint64_t advanced; /* went on to another step */
    uint64_t moved;    /* went over to another version */
    uint64_t ended;    /* the instance ended here */
    uint64_t waiting;  /* now */
    uint64_t ended_by[JOURNEY_END_END];
    int64_t total_ms; /* of those that are over */
    struct report_bounds median, p90;
};

struct report_arm {
    uint32_t split, arm; /* names */
    uint64_t took;
    uint64_t news[ARM_NEWS_END];
};

struct report_outcome {
    uint8_t outcome; /* enum outcome */
    uint8_t channel; /* enum channel, or 0 */
    uint8_t rule;
    uint64_t count;
};

struct report_message {
    uint32_t name, category; /* category: NAME_NONE if it is not known */
    uint8_t lane;
    uint64_t proposed, ghosts;
    uint64_t waiting; /* now */
    uint32_t outcome_count;
    struct report_outcome *outcomes;
    uint64_t deferred[REPORT_RULES]; /* by rule */
};

struct report_version {
    uint32_t number; /* of the first plan */
    const struct plan *plan;
    const struct plan_journey *means;
    bool is_newest;
    uint64_t entered, ghosts, converted;
    uint64_t ghosts_converted; /* of those that converted; whoever crossed is in neither group */
    uint64_t crossed_converted;
    uint64_t crossed_in, crossed_out; /* by a merge held out from there on, or no more */
    uint64_t moved_in, moved_out;     /* from and to other versions */
    uint64_t in_flight;               /* now */
    uint64_t ended, ended_by[JOURNEY_END_END];
    int64_t convert_ms; /* of all who converted, since they entered */
    uint32_t step_count;
    struct report_step *steps;
    uint32_t arm_count;
    struct report_arm *arms;
    uint32_t message_count;
    struct report_message *messages;
};

/* What came back of a message, whatever the version. */
struct report_reply {
    uint32_t message;
    uint64_t opened, clicked, complained, delivered, bounced;
};

struct report {
    uint32_t journey; /* name */
    uint64_t refused, refused_by[REFUSAL_END];
    uint64_t held_entries;
    uint32_t version_count;
    struct report_version *versions; /* oldest first */
    uint32_t reply_count;
    struct report_reply *replies;
};

/* What became of people in an ad audience. */
struct report_audience {
    uint32_t name;
    bool is_gone; /* the newest programme does not have it */
    uint64_t
        members; /* whom its provider is known to have, now; only of counts from the beginning on */
    uint64_t in_doubt; /* of whom it is not known any more: times that it came to that */
    uint64_t added, removed;
    uint64_t add_failed, remove_failed; /* attempts */
    uint64_t
        lost; /* were in, and nobody told the provider: the programme forgot it, or the person was erased */
    uint64_t refused, refused_by[REPORT_RULES];
};

/* Those of the newest plan (NULL: none) in its order, then others that were counted; in the arena. */
void report_audiences(const struct funnel *f, const struct plan *plan, struct arena *arena,
                      struct report_audience **out, uint32_t *count);

/* Fills *out, in the arena. `plans` by number, from 1; the last is the newest. */
void report_funnel(const struct funnel *f, const struct plan *const *plans, uint32_t plan_count,
                   uint32_t journey, struct arena *arena, struct report *out);

/* How many of a journey's instances of all versions are under way. */
uint64_t report_in_flight(const struct funnel *f, uint32_t journey);
