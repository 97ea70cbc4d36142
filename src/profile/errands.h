/* errands.h - what instances of the person's ask of somebody outside: the steps begin them, the desk sees to
 * them (decide/errand.h), the journey hears how they ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

/* The step of the instance at `from` begins one: `errand` is its index in the instance's plan, `says` a
 * task's texts, as a body. False: the person has too many. */
bool errand_add(struct person *who, const struct instance *from, uint32_t step_name,
                uint16_t errand, struct str says) mustuse;

/* The place of the errand of that decision, or UINT32_MAX. */
uint32_t errand_find(const struct person *who, uint64_t decision);

/* Does an instance still wait for it? */
bool errand_is_wanted(const struct person *who, const struct errand *x);

/* It has ended so, with what is saved of it (a body; may be empty): its instance hears of it. */
void errand_end(struct person *who, uint32_t place, enum errand_ending ending, struct body saved);

/* Drops it, and what it holds. */
void errand_drop(struct person *who, uint32_t place);

/* What it asks for. */
const struct plan_errand *errand_means(const struct person *who, const struct errand *x);
