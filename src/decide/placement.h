/* placement.h - what a place on a page or in an app shows a person now. Nothing is sent and nothing waits:
 * whoever draws the page asks, and the answer is that of this moment, made of the same state as everything
 * else.
 *
 *     the person, what is known of the page ──► 1 session, 2 consent, 4 operators, 5 holdout, 6 holds, 8 role
 *                                                     │ one is against it: what it shows otherwise
 *                                                     ▼
 *                                           offers whose condition is true: the highest score
 *
 * Hours and caps of messages are not asked: who looks at the page has come by themselves. How often an
 * offer was seen is counted from the events "Offer Shown", which whoever drew it reports.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

/* Why an offer, or the whole placement, stands back. */
struct placement_reason {
    uint32_t offer; /* name; NAME_NONE = the placement */
    struct str says;
};

struct placement_answer {
    const struct plan_offer *offer; /* NULL: what it shows otherwise */
    int64_t until_ms;               /* nothing that it read changes before if nothing happens */
    uint8_t rule; /* the rule (decide/rule.h) that is against all offers; 0 = none */
    const struct placement_reason *reasons; /* in the person's scratch */
    uint32_t reason_count;
};

/* `who->event` may be a record with what is known of the page: event.* of the conditions. Changes nothing. */
void placement_decide(struct person *who, const struct plan_placement *placement,
                      struct placement_answer *out);
