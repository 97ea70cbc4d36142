/* ask.h - a compiled condition meets a person: where its names get their values.
 *
 * Errors and missing values have a direction, which the caller gives: in entry, branch and wait a
 * condition that fails is false. Each error is counted by place (a result row) and shown by `why`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

struct asked {
    bool is_true;
    bool is_error;    /* the expression failed; is_true is false then */
    int64_t until_ms; /* the answer holds until then if nothing new happens; after who->at_ms */
};

/* Asks at who->at_ms. `plan` is the one the expression was compiled in, `entry` the fields of
 * entry.* (may be empty). An expression without code is true for ever. */
struct asked ask(struct person *who, const struct plan *plan, const struct plan_expr *expr,
                 struct blob entry);

/* The same, at another moment: for the desk, which looks ahead. */
struct asked ask_at(struct person *who, const struct plan *plan, const struct plan_expr *expr,
                    struct blob entry, int64_t at_ms);

/* The value of an expression that is not a condition; VALUE_ERROR if it fails. Borrowed from the
 * plan, the person or the scratch arena. */
struct value ask_value(struct person *who, const struct plan *plan, const struct plan_expr *expr,
                       struct blob entry);

/* The same, and until when it stays so if nothing new happens; after who->at_ms. */
struct value ask_value_until(struct person *who, const struct plan *plan,
                             const struct plan_expr *expr, struct blob entry, int64_t *until_ms);

/* What a call of an expression (an index of plan->bindings), given its arguments that are not constant,
 * answers at that moment, and *until_ms until when if nothing new happens. */
struct value ask_binding(struct person *who, const struct plan *plan, uint32_t binding,
                         const struct value *arguments, uint32_t count, int64_t at_ms,
                         int64_t *until_ms);

/* The value of a slot as a template reads it: texts are borrowed. `message` and `attempt` fill
 * SLOT_META. */
struct value ask_slot(struct person *who, uint32_t slot, struct blob entry, uint32_t journey,
                      uint32_t message, uint64_t decision, uint32_t attempt);

/* Why the condition came out as it did, as a sentence in scratch. */
struct str ask_explain(struct person *who, const struct plan *plan, const struct plan_expr *expr,
                       struct blob entry);

/* How many parts of it (of a chain of "&&") are not true, and which, as a list in scratch. */
struct failing {
    uint32_t count;
    struct str parts;
};
struct failing ask_failing(struct person *who, const struct plan *plan,
                           const struct plan_expr *expr, struct blob entry);
