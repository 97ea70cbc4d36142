/* rule_hold.c - is the person left alone just now: an open ticket, a complaint? Or does an
 * operator hold the message: its journey is paused, or it is killed for now? Or does the message
 * need to know something first (needs.h)?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/needs.h"
#include "decide/operator.h"
#include "profile/holds.h"

/* Each hold in force, for people. */
static void say_holds(const struct question *q)
{
    uint32_t place = 0;
    uint16_t index;
    while ((index = holds_next(q->who, q->category, (enum lane)q->intent->lane, q->at_ms,
                               &place)) != PLAN_NO_INDEX) {
        must(place > 0);
        const struct hold *h = person_hold(q->who, place - 1);
        struct str name = names_text(q->who->names, h->name);
        if (index == HOLD_COMPLAINT) {
            say(q, "they complained about a message on %s; marketing rests until %s",
                moment(q, h->from_ms), moment(q, h->until_ms));
            blame(q, "the rest after their complaint");
            continue;
        }
        say(q, "hold %.*s, since %s%s%s%s", STR_ARG(name), moment(q, h->from_ms),
            h->is_open ? ", until it is lifted" : ", lingers until ",
            h->is_open ? "" : moment(q, h->until_ms),
            q->plan->holds[index].drops ? "; it drops messages" : "");
        blame(q, "the hold %.*s", STR_ARG(name));
    }
}

/* When the last of those is over whose end is known; 0 if there is none. */
static int64_t last_known(const struct question *q)
{
    int64_t last_ms = 0;
    uint32_t place = 0;
    while (holds_next(q->who, q->category, (enum lane)q->intent->lane, q->at_ms, &place) !=
           PLAN_NO_INDEX) {
        must(place > 0);
        const struct hold *h = person_hold(q->who, place - 1);
        if (!h->is_open)
            last_ms = max_of(last_ms, h->until_ms);
    }
    return last_ms;
}

struct answer rule_hold_ask(const struct question *q)
{
    struct answer operator= operator_holds(q);
    if (operator.kind != ALLOW)
        return operator;
    struct answer needs = needs_ask(q);
    if (q->who->profile->holds.count == 0 || q->category == PLAN_NO_INDEX)
        return needs;
    int64_t until_ms;
    uint16_t hold = holds_ask(q->who, q->category, (enum lane)q->intent->lane, q->at_ms, &until_ms);
    if (hold == PLAN_NO_INDEX)
        return needs;
    if (q->words != NULL || q->blamed != NULL)
        say_holds(q);
    if (hold != HOLD_COMPLAINT && q->plan->holds[hold].drops)
        return (struct answer){.kind = NEVER, .outcome = OUTCOME_HELD};
    must(until_ms > q->at_ms);
    answer_join(&needs,
                (struct answer){.kind = NOT_BEFORE, .at_ms = until_ms, .least_ms = last_known(q)});
    return needs;
}
