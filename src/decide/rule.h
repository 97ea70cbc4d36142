/* rule.h - what a rule of the desk is asked and what it may answer. One file per rule: rule_NAME.c.
 *
 * A rule reads the person, never writes; it is asked about an instant, which may lie ahead (the desk
 * looks for the first at which all allow). Its answer says until when it holds if nothing new
 * happens.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "decide/desk.h"

enum answer_kind {
    ALLOW, /* until at_ms */
    NOT_BEFORE, /* at_ms, or FOREVER_MS = not known: something has to happen first, and least_ms must have
                 * come */
    NEVER_HERE, /* not on this channel: `outcome` says why */
    NEVER,      /* the intent ends with `outcome` */
};

struct answer {
    uint8_t kind;    /* enum answer_kind */
    uint8_t outcome; /* enum outcome, for NEVER_HERE and NEVER */
    int64_t at_ms;
    int64_t least_ms; /* with an at_ms that is not known; 0 = nothing is known of it */
};

/* What one thing would have to be otherwise for a rule to allow: one short name each, such as
 * `cap "3 per 7d"`, `hold ticket`. A rule that names nothing is one such thing. */
struct blamed {
    struct buf names;
    uint32_t count;
};

/* What need not be asked again: what allows for as long as nothing new happens, when one looks ahead to a later
 * instant; or what the caller has asked already. */
struct agreed {
    uint32_t rules; /* bit per place in rules.def */
    uint64_t caps;  /* bit per cap of the plan */
};

struct question {
    struct person *who;
    const struct intent *intent;
    const struct plan *plan;            /* the newest: desk rules are always the newest */
    const struct plan_message *message; /* in the intent's own plan version */
    uint16_t category;                  /* index in the newest plan, or PLAN_NO_INDEX */
    uint16_t journey;                   /* index in the newest plan, or PLAN_NO_INDEX */
    uint16_t group;                     /* index in the newest plan, or PLAN_NO_INDEX */
    enum channel channel;
    uint32_t lane_flags;
    bool is_listing;    /* it is about an ad audience, which no cap counts */
    int64_t at_ms;      /* the instant asked about; not before the batch's time */
    int64_t put_off_ms; /* a later stage said: not before; INT64_MIN = none did */
    uint8_t put_off_rule;
    const uint64_t *yields; /* caps: as if these decisions had given their reserved slots back */
    uint32_t yield_count;
    struct agreed
        *agreed;       /* is left out, and noted where it is found; NULL = everything is asked */
    struct buf *words; /* where the rule says its facts, for `why`; NULL = nobody asks */
    struct blamed *blamed; /* the same for what it refuses by; NULL = nobody asks */
};

#define ANSWER_ALLOW ((struct answer){.kind = ALLOW, .at_ms = FOREVER_MS})

static inline bool answer_is_agreed(struct answer a)
{
    return a.kind == ALLOW && a.at_ms == FOREVER_MS;
}

/* rule_NAME.c: one function each. */
#define RULE(number, symbol, name, doc) struct answer rule_##name##_ask(const struct question *q);
#include "decide/rules.def"
#undef RULE

enum rule_number {
    RULE_NONE = 0,
#define RULE(number, symbol, name, doc) RULE_##symbol = number,
#include "decide/rules.def"
#undef RULE
    RULE_HOLDOUT = 5,
    RULE_COMPETITION = 12,
    RULE_POOL = 13,
    RULE_ADDRESS = 14,
};

/* "cap", "hold", ...; "" for 0. */
const char *rule_name(uint32_t number);

/* Asks the rule at `place` of rules.def (from 0); *number is its number. False: there is none. */
bool rule_ask(uint32_t place, const struct question *q, uint8_t *number,
              struct answer *out) mustuse;

/* What all rules say at one instant. */
struct answers {
    struct answer
        gravest; /* allow: until the least; not before: the greatest, FOREVER_MS if any is unknown */
    uint8_t rule; /* the number of the one that gave it */
    int64_t
        known_ms; /* of those that say not before, the greatest that is known; q->at_ms if none is */
    int64_t until_ms; /* those that allow do so until then */
};

/* All rules for one channel at one instant, and what a later stage said of it before. */
struct answers rules_ask(const struct question *q);

/* Bits for struct agreed: of the rules whose answers depend on other messages' slots. */
uint32_t rules_of_slots(void);

/* Of two answers about the same channel that allow or say not before: both must allow. */
void answer_join(struct answer *both, struct answer one);

/* What one cap says, which is meant for this intent: for rules that have caps of their own. (rule_cap.c) */
struct answer cap_ask(const struct question *q, const struct plan_cap *cap);

/* Does the cap (or a budget's scope) speak about the message? Reads plan, lane_flags, channel, category, group,
 * journey and message of the question. (rule_cap.c) */
bool cap_is_meant(const struct question *q, const struct plan_cap *cap);

/* Like printf into q->words, if somebody asks; what several caps or windows say is told apart. */
#define say(q, ...)                                    \
    do {                                               \
        if ((q)->words != NULL && (q)->words->len > 0) \
            buf_add_str((q)->words, STR("; "));        \
        if ((q)->words != NULL)                        \
            buf_printf((q)->words, __VA_ARGS__);       \
    } while (0)

/* Like printf: one more thing that the rule refuses by, if somebody asks. */
#define blame(q, ...)                                        \
    do {                                                     \
        if ((q)->blamed != NULL && (q)->blamed->count++ > 0) \
            buf_add_str(&(q)->blamed->names, STR(" and "));  \
        if ((q)->blamed != NULL)                             \
            buf_printf(&(q)->blamed->names, __VA_ARGS__);    \
    } while (0)

/* "2026-03-02 14:02 Europe/London"-like text of an instant on the person's wall, in scratch. */
const char *moment(const struct question *q, int64_t at_ms);
