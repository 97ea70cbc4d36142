/* step_goal.c - says that the journey has reached its goal: counted as a conversion (once), and the end
 * unless the journey's goal says `then: stay`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"

enum step_answer step_goal_run(struct step *s)
{
    if (!(s->at->flags & INSTANCE_CONVERTED))
        journey_convert(s->who, s->at, step_more(s)->splits, s->who->at_ms);
    s->at->flags |= INSTANCE_CONVERTED;
    s->end = JOURNEY_GOAL_REACHED;
    return s->journey->goal.stays ? STEP_GO : STEP_ENDS;
}
