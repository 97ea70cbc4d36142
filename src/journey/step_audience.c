/* step_audience.c - puts the person into an ad audience, or takes them out. Takes no time: whether they
 * are let in, and what the provider is told, is the desk's (decide/listing.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"
#include "profile/wishes.h"

enum step_answer step_audience_run(struct step *s)
{
    const struct plan_step_audience *says = &s->means->audience;
    uint32_t name = s->plan->audiences[says->audience].name;
    if (says->removes)
        wishes_remove(s->who, s->at->id, name);
    else if (!wishes_add(s->who, s->at, name, (enum wish_until)says->until))
        person_result(s->who, (struct result){.kind = RESULT_ERROR,
                                              .step = s->at->step,
                                              .journey = s->at->journey,
                                              .id = s->at->id});
    return STEP_GO;
}
