/* count.c - rows of results for those who count: how long steps took, and what became of the arms of
 * splits (measure/funnel.h folds them).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "journey/journey_int.h"

void step_begun(struct person *who, struct instance *in)
{
    in->flags |= INSTANCE_IN_STEP;
    for (uint32_t times = planted("step-begins-twice") ? 2 : 1; times > 0; times--)
        person_result(who, (struct result){.kind = RESULT_STEP,
                                           .step = in->step,
                                           .journey = in->journey,
                                           .version = in->plan,
                                           .id = in->id});
}

void step_left(struct person *who, struct instance *in, enum step_left how)
{
    if (!(in->flags & INSTANCE_IN_STEP))
        return;
    in->flags &= (uint8_t)~INSTANCE_IN_STEP;
    int64_t began_ms =
        in->state == INSTANCE_WAITING ? instance_wait_ms(who->space, in) : in->step_ms;
    person_result(who, (struct result){.kind = RESULT_LEFT,
                                       .how = (uint8_t)how,
                                       .step = in->step,
                                       .journey = in->journey,
                                       .version = in->plan,
                                       .id = in->id,
                                       .number = max_of(who->at_ms - began_ms, (int64_t)0)});
}

uint64_t arms_bit(const struct plan_journey *j, uint16_t split)
{
    uint32_t place = 0;
    for (uint16_t i = 0; i < split; i++)
        place += j->steps[i].kind == STEP_SPLIT;
    return place < 64 ? UINT64_C(1) << place : 0;
}

static void note_arm(struct person *who, const struct instance *in, uint16_t split, uint32_t arm,
                     enum arm_news news)
{
    person_result(who, (struct result){.kind = RESULT_OF_ARM,
                                       .how = (uint8_t)news,
                                       .step = split,
                                       .journey = in->journey,
                                       .version = in->plan,
                                       .id = in->id,
                                       .number = arm});
}

void arms_note(struct person *who, const struct instance *in, uint64_t splits, enum arm_news news)
{
    if (splits == 0)
        return;
    const struct plan_journey *j = &person_plan(who, in->plan)->journeys[in->journey_index];
    uint64_t bit = 1;
    for (uint16_t i = 0; i < j->step_count && bit != 0; i++) {
        if (j->steps[i].kind != STEP_SPLIT)
            continue;
        const struct plan_arm *arm = plan_split_arm(&j->steps[i].split, who->id);
        if (splits & bit && arm != NULL)
            note_arm(who, in, i, arm->name, news);
        bit <<= 1;
    }
}

void arms_crossed(struct person *who, struct person *from, struct instance *in)
{
    const struct plan_journey *j = &person_plan(who, in->plan)->journeys[in->journey_index];
    uint64_t bit = 1, splits = person_more(who, in)->splits;
    for (uint16_t i = 0; splits != 0 && i < j->step_count && bit != 0; i++) {
        if (j->steps[i].kind != STEP_SPLIT)
            continue;
        const struct plan_arm *theirs = plan_split_arm(&j->steps[i].split, from->id);
        if (splits & bit && theirs != plan_split_arm(&j->steps[i].split, who->id)) {
            splits &= ~bit;
            note_arm(who, in, i, theirs->name, ARM_CROSSED);
        }
        bit <<= 1;
    }
    instance_set_splits(who->space, in, splits);
}
