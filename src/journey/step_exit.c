/* step_exit.c - leaves the journey: the instance ends `exited`, and what it had pending is cancelled.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"

enum step_answer step_exit_run(struct step *s)
{
    s->end = JOURNEY_EXITED;
    return STEP_ENDS;
}
