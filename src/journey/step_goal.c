/* step_goal.c - says that the journey has reached its goal: counted as a conversion, and the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"

enum step_answer step_goal_run(struct step *s)
{
    person_result(s->who, (struct result){.kind = RESULT_CONVERTED,
                                          .journey = s->at->journey,
                                          .id = s->at->id,
                                          .number = s->who->at_ms - s->at->entered_ms});
    s->at->flags |= INSTANCE_CONVERTED;
    s->end = JOURNEY_GOAL_REACHED;
    return STEP_ENDS;
}
