/* step_split.c - takes an arm by chance: the hash of the split's salt and the person, so the same
 * person takes the same arm whenever they come by, also after a restart or re-entry.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"

enum step_answer step_split_run(struct step *s)
{
    const struct plan_split *split = &s->means->split;
    if (split->weight_total == 0)
        return STEP_GO;
    uint64_t hash = hash_pair(split->salt, s->who->id);
    uint32_t point = (uint32_t)(((unsigned __int128)hash * split->weight_total) >> 64);
    for (uint32_t i = 0; i < split->arm_count; i++) {
        const struct plan_arm *arm = &split->arms[i];
        if (point >= arm->weight) {
            point -= arm->weight;
            continue;
        }
        person_result(s->who, (struct result){.kind = RESULT_ARM,
                                              .step = s->at->step,
                                              .journey = s->at->journey,
                                              .id = s->at->id,
                                              .number = arm->name});
        s->next = arm->target;
        return STEP_GO;
    }
    return STEP_GO;
}
