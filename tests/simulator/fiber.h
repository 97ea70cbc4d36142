/* fiber.h - what the server does on a thread of its own, on the simulator's: code that waits is left where it
 * waits, and gone on with when somebody thinks of it. So the product's own loops are run as they are, and who
 * does the next thing is drawn all the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

struct fiber;

/* Nothing of `run` is done yet. */
struct fiber *fiber_new(void (*run)(void *context), void *context) mustuse;

/* Goes on until it pauses or ends. False: it has ended. */
bool fiber_resume(struct fiber *f);

/* From inside: until somebody resumes it. */
void fiber_pause(struct fiber *f);

/* Whatever it was in the midst of is not done any more; what it holds is its caller's worry. NULL is fine. */
void fiber_free(struct fiber *f);
