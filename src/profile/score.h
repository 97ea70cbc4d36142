/* score.h - how good a candidate is: a number, or a formula over the person, in whole millionths, so that no
 * order of adding and no compiler makes a difference.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

#define SCORE_ONE 1000000

/* *out is the formula's value (without code: `priority`). False: it fails, or is no number. */
bool score_ask(struct person *who, const struct plan *plan, const struct plan_expr *formula,
               int32_t priority, struct blob entry, int64_t *out) mustuse;
