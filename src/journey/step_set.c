/* step_set.c - sets a trait of the person. An expression that fails changes nothing, and is counted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"
#include "profile/ask.h"
#include "profile/traits.h"

enum step_answer step_set_run(struct step *s)
{
    const struct plan_set *set = &s->means->set;
    struct value to = ask_value(s->who, s->plan, &set->to, step_more(s)->entry);
    if (to.type == VALUE_ERROR || to.type == VALUE_NONE) {
        person_result(s->who, (struct result){.kind = RESULT_ERROR,
                                              .step = s->at->step,
                                              .journey = s->at->journey,
                                              .id = s->at->id});
        return STEP_GO;
    }
    traits_set(s->who, set->trait, &to, s->who->at_ms);
    return STEP_GO;
}
