/* step_branch.c - takes the first arm whose condition is true; if there is none, goes on.
 * A condition that fails to evaluate is false, and counted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"
#include "profile/ask.h"

enum step_answer step_branch_run(struct step *s)
{
    const struct plan_branch *b = &s->means->branch;
    for (uint32_t i = 0; i < b->arm_count; i++) {
        struct asked asked = ask(s->who, s->plan, &b->arms[i].when, step_more(s)->entry);
        if (asked.is_error)
            person_result(s->who, (struct result){.kind = RESULT_ERROR,
                                                  .how = ERROR_STEP,
                                                  .step = s->at->step,
                                                  .journey = s->at->journey,
                                                  .id = s->at->id});
        if (asked.is_true) {
            s->next = b->arms[i].target;
            return STEP_GO;
        }
    }
    return STEP_GO;
}
