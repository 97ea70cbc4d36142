/* random.h - real randomness, for keys and ids. Outcomes never come from here: chance is a hash
 * (base/hash.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

/* Fills `at` with bytes nobody can foretell (getrandom). Cannot fail. */
void os_random(void *at, size_t bytes);

uint64_t os_random_u64(void);
