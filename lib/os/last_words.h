/* last_words.h - what the process says if it aborts: where it was.
 *
 * A claim that does not hold (base.h) ends the process with the claim and its place in the source. Whoever
 * goes through somebody's data says here which piece of it is at hand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

/* If this thread aborts, "before NUMBER after" goes to standard error. The texts are kept, not copied; a
 * NULL `before` says nothing any more. Cheap enough for every batch. */
void os_last_words(const char *before, uint64_t number, const char *after);
