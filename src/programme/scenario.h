/* scenario.h - tests/NAME.yaml: a few lines of virtual time and what shall come of them.
 *
 *     - it: does not remind someone who bought
 *       requirement: S108
 *       given:
 *         people: [{id: ann, traits: {email: ann@example.org}, consent: [email]}]
 *       when:
 *         - {at: 2026-03-02T12:00, person: ann, event: Cart Updated, properties: {cart_id: c1}}
 *         - {after: 30m, person: ann, event: Order Completed, properties: {cart_id: c1}}
 *       expect:
 *         - {person: ann, journey: cart-recovery, ends: goal_reached}
 *         - {person: ann, not_sent: cart-reminder}
 *
 * This file only reads them; src/replay runs them. Moments without an offset are on the wall of the
 * programme's zone. People are not held out unless the test says so.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/value.h"
#include "model/control.h"
#include "model/receipt.h"
#include "model/terms.h"
#include "programme/finding.h"

struct names;
struct plan;
struct programme_folder;

#define SCENARIO_RUN_MS  (30 * DAY_MS) /* how long virtual time goes on after the last line */
#define SCENARIO_NO_TIME INT64_MIN     /* a moment that was not given */

/* A property or trait; nested maps are flattened to dotted names, lists stay lists. */
struct scenario_field {
    uint32_t name;
    struct value value;
};

struct scenario_consent {
    uint8_t channel; /* enum channel */
    bool has_agreed;
    uint32_t purpose; /* name; NAME_MARKETING unless given */
    uint32_t topic;   /* name; NAME_NONE = all */
};

enum scenario_fact_kind {
    SCENARIO_EVENT = 1,   /* event, fields = properties */
    SCENARIO_IDENTIFY,    /* fields = traits */
    SCENARIO_CONSENT,     /* consent: agreed or refused */
    SCENARIO_OPEN,        /* of `message`, the newest of that person */
    SCENARIO_CLICK,       /* likewise */
    SCENARIO_COMPLAIN,    /* likewise */
    SCENARIO_UNSUBSCRIBE, /* from `consent.channel`; `message` (may be 0) in answer to which */
    SCENARIO_RECEIPT,     /* receipt for the newest attempt of `message` */
    SCENARIO_BUSINESS,    /* event, fields = properties; nobody's */
    SCENARIO_ENTER,       /* event = name of the journey, fields = payload */
    SCENARIO_COMMAND,     /* command: nobody's */
    SCENARIO_TASK, /* event = NAME_TASK_DONE or ..._DECLINED, of `step`; fields = properties */
    SCENARIO_LOOK, /* at the placement `event`: it shows `message`; NAME_NONE = none of its offers */
};

/* One line of `when`, or of a person's `history`. */
struct scenario_fact {
    enum scenario_fact_kind kind;
    struct place place;
    int64_t at_ms;
    int64_t happened_ms; /* EVENT that comes in late: when it happened; SCENARIO_NO_TIME = at_ms */
    uint16_t person;     /* index in scenario.people; UINT16_MAX: `address` says whom it means */
    struct str address;  /* EVENT, IDENTIFY, CONSENT, UNSUBSCRIBE without an id; empty = none */
    uint8_t address_channel; /* enum channel: what kind of address that is */
    bool is_machine;         /* OPEN, CLICK: by a machine, not the person */
    uint8_t receipt;         /* RECEIPT: enum receipt_kind */
    int32_t code;            /* RECEIPT: SMTP or HTTP status; 0 = none */
    uint32_t event;          /* EVENT: name */
    uint32_t message;
    uint32_t step; /* TASK: the step's id */
    struct scenario_consent consent;
    struct command_word command;
    uint32_t source;       /* EVENT: name; NAME_NONE = none */
    struct str message_id; /* EVENT: empty = one of its own */
    struct str visitor;    /* EVENT: the anonymous id; empty = none */
    uint32_t field_count;
    const struct scenario_field *fields;
};

/* An arm that a person takes: given.people[].arms. */
struct scenario_arm {
    uint32_t split; /* names */
    uint32_t arm;
};

struct scenario_person {
    struct place place;
    struct str id;    /* the user id */
    bool is_held_out; /* holdout: true; else the person is in no holdout */
    uint32_t arm_count;
    const struct scenario_arm *arms;
    uint32_t trait_count;
    const struct scenario_field *traits;
    uint32_t consent_count;
    const struct scenario_consent *consents;
    uint32_t history_count; /* events before `when`, by time; they fire no journey */
    const struct scenario_fact *history;
};

/* What the provider answers instead of accepting: given.answers. */
struct scenario_answer {
    struct place place;
    uint32_t message; /* name; NAME_NONE = every message */
    uint16_t person;  /* index, or UINT16_MAX = everyone */
    uint8_t receipt;  /* enum receipt_kind */
    int32_t code;
    uint32_t times; /* the first so many attempts; UINT32_MAX = all */
    uint32_t step;  /* of a call or task: its id; NAME_NONE: it is a message's */
    bool is_late;   /* CALL: none comes before its deadline */
    bool has_json;
    struct str json; /* CALL: the answer's body, instead of the stub */
};

enum scenario_expect_kind {
    EXPECT_ENTERED = 1, /* journey was entered: `times`, at, before, after */
    EXPECT_NOT_ENTERED,
    EXPECT_REFUSED,    /* entry was refused: `refusal` */
    EXPECT_ENDS,       /* the newest instance of journey ended as `end` */
    EXPECT_IN_STEP,    /* the newest instance of journey is live, in the step `step`, at the end */
    EXPECT_TOOK,       /* the newest instance of journey took `arm` */
    EXPECT_IN_SEGMENT, /* in `segment` at at_ms, or at the end; entered `times` until then */
    EXPECT_NOT_IN_SEGMENT,
    EXPECT_IN_AUDIENCE, /* the provider has them in the audience `segment` at at_ms, or at the end */
    EXPECT_OUT_OF_AUDIENCE,
    EXPECT_CALLED, /* the call `step` of journey went out: `times`, at, before, after */
    EXPECT_NOT_CALLED,
    EXPECT_TASK_OPEN, /* the task `step` of journey is open at at_ms, or at the end */
    EXPECT_TASK_CLOSED,
    EXPECT_STAGE,    /* in the stage `segment` at at_ms, or at the end */
    EXPECT_SENT,     /* message went out: outcome class OUT, `times`, at, before, after, channel */
    EXPECT_NOT_SENT, /* message did not go out at all; `outcome`, if given, is why (any intent) */
    EXPECT_OUTCOME,  /* an intent of message has `outcome` at the end */
};

struct scenario_expect {
    enum scenario_expect_kind kind;
    struct place place;
    uint16_t person;
    uint16_t journey; /* index in the plan */
    uint16_t message; /* index in the plan */
    uint8_t end;      /* ENDS: enum journey_end */
    uint8_t refusal;  /* REFUSED: enum refusal */
    uint8_t outcome;  /* OUTCOME, NOT_SENT with `reason`: enum outcome; 0 = not given */
    uint8_t channel;  /* enum channel; 0 = any */
    uint32_t step;    /* IN_STEP: plan_step.id */
    uint32_t arm;     /* TOOK: name of an arm or label */
    uint32_t segment; /* IN_SEGMENT, NOT_IN_SEGMENT: name */
    int32_t times;    /* exactly so often; -1 = at least once */
    int64_t at_ms; /* SENT: the moment of the attempt, to the second; SCENARIO_NO_TIME = any. Of a
                        * segment: SCENARIO_NO_TIME = the end */
    int64_t before_ms; /* strictly before */
    int64_t after_ms;  /* not before */
};

struct scenario {
    struct place place;
    struct str it;
    struct str requirement; /* may be empty */
    int64_t from_ms;  /* where virtual time begins; SCENARIO_NO_TIME = before the first fact */
    int64_t until_ms; /* where it ends */
    uint32_t person_count;
    const struct scenario_person *people;
    uint32_t answer_count;
    const struct scenario_answer *answers;
    uint32_t fact_count; /* by time; equal times in the order of writing */
    const struct scenario_fact *facts;
    uint32_t expect_count;
    const struct scenario_expect *expects;
};

/* Reads all tests/NAME.yaml of the folder against its plan, in the order of files and lines; memory is
 * the arena's, names go to `names`. FIX_INPUT: findings has one error or more (those scenarios that
 * are right are still in the list). */
enum status scenarios_read(const struct programme_folder *folder, const struct plan *plan,
                           struct names *names, struct arena *arena, const struct scenario **list,
                           uint32_t *count, struct findings *findings) mustuse;
