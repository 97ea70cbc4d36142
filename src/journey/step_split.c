/* step_split.c - takes an arm by chance: the hash of the split's salt and the person, so the same
 * person takes the same arm whenever they come by, also after a restart or re-entry.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "journey/journey_int.h"

void arm_take(struct step *s, uint32_t name, uint16_t target)
{
    person_result(s->who, (struct result){.kind = RESULT_ARM,
                                          .step = s->at->step,
                                          .journey = s->at->journey,
                                          .version = s->at->plan,
                                          .id = s->at->id,
                                          .number = name});
    s->next = target;
}

enum step_answer step_split_run(struct step *s)
{
    const struct plan_arm *arm =
        plan_split_arm(&s->means->split, planted("lot-by-instance") ? s->at->id : s->who->id);
    if (arm == NULL)
        return STEP_GO;
    arm_take(s, arm->name, arm->target);
    instance_set_splits(s->who->space, s->at,
                        step_more(s)->splits | arms_bit(s->journey, s->at->step));
    return STEP_GO;
}
