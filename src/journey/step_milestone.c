/* step_milestone.c - where a person stands when the steps of a milestone are done and it is not reached yet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"

enum step_answer step_milestone_run(struct step *s)
{
    s->at->state = INSTANCE_STANDING;
    return STEP_STAYS;
}
