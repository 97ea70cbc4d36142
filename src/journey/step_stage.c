/* step_stage.c - says in which stage of the customer's life the person is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"
#include "profile/stage.h"

enum step_answer step_stage_run(struct step *s)
{
    stage_set(s->who, s->means->stage);
    return STEP_GO;
}
