/* errand.h - what calls and tasks have in common in words: ids for whoever is asked, and how they end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"
#include "model/names.h"
#include "model/plan.h"
#include "model/state.h"

#define ERRAND_KEY_BYTES 40 /* with the NUL */

/* "PROFILE-DECISION" in hex: the same in every attempt, so the key by which a service knows a call that is
 * repeated, and the id of a task. NUL-terminated, into out. */
void errand_key_print(uint64_t profile, uint64_t decision, char out[ERRAND_KEY_BYTES]);

/* Reads such a key; false: it is none. */
bool errand_key_read(struct str key, uint64_t *profile, uint64_t *decision) mustuse;

/* How results, conditions and tests call the ending; "": it is pending. */
struct str errand_ending_text(enum errand_ending ending);

/* Can an errand of the kind end so? */
bool errand_can_end(enum errand_kind kind, enum errand_ending ending);

/* Which of its step's ways leads on from the ending. */
uint16_t errand_way(const struct plan_step *step, enum errand_ending ending);
