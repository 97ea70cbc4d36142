/* operator.c - what operators have said about messages (model/control.h), as rules 4 and 6 ask it. What
 * was stopped for good is not wanted (4); what is to wait is held (6), without a known end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/operator.h"
#include "base/canary.h"
#include "decide/desk_int.h"

static struct kill_subject subject_of(const struct person *who, const struct intent *in,
                                      enum channel channel)
{
    return (struct kill_subject){
        .journey = in->journey,
        .message = in->message,
        .category = plan_category_of(who->plans->at[in->plan], in->message_index),
        .channel = channel,
        .lane = (enum lane)in->lane,
    };
}

static const struct kill *kill_of(const struct question *q)
{
    struct kill_subject x = subject_of(q->who, q->intent, q->channel);
    if (q->category != PLAN_NO_INDEX) /* an audience or placement has no message */
        x.category = q->plan->categories[q->category].name;
    return controls_kill_of(q->who->controls, &x);
}

static void say_kill(const struct question *q, const struct kill *k)
{
    const struct names *names = q->who->names;
    struct str what = k->scope == KILL_ALL       ? STR("everything")
                      : k->scope == KILL_CHANNEL ? channel_name((enum channel)k->channel)
                                                 : names_text(names, k->name);
    struct str by = names_text(names, k->by);
    if (k->monitor != NAME_NONE) {
        say(q, "monitor %.*s is raised since %s: %.*s%s%.*s waits",
            STR_ARG(names_text(names, k->monitor)), moment(q, k->since_ms),
            STR_ARG(kill_scope_name((enum kill_scope)k->scope)), k->scope == KILL_ALL ? ": " : " ",
            STR_ARG(what));
        return;
    }
    say(q, "kill %u (%.*s%s%.*s) since %s%s%.*s", k->number,
        STR_ARG(kill_scope_name((enum kill_scope)k->scope)), k->scope == KILL_ALL ? ": " : " ",
        STR_ARG(what), moment(q, k->since_ms), by.len ? ", by " : "", STR_ARG(by));
}

static void say_phase(const struct question *q, const struct journey_control *x)
{
    struct str by = names_text(q->who->names, x->by);
    say(q, "journey %.*s is %.*s since %s%s%.*s", STR_ARG(names_text(q->who->names, x->journey)),
        STR_ARG(phase_name((enum journey_phase)x->phase)), moment(q, x->since_ms),
        by.len ? ", by " : ", by its file", STR_ARG(by));
}

struct answer operator_wants(const struct question *q)
{
    const struct journey_control *x = controls_find(q->who->controls, q->intent->journey);
    if (x != NULL && x->phase == PHASE_STOPPED && !planted("stop-sends")) {
        say_phase(q, x);
        return (struct answer){.kind = NEVER, .outcome = OUTCOME_WITHDRAWN};
    }
    const struct kill *k = kill_of(q);
    if (k == NULL || !(k->flags & KILL_DROPS))
        return ANSWER_ALLOW;
    say_kill(q, k);
    return (struct answer){.kind = k->scope == KILL_CHANNEL ? NEVER_HERE : NEVER,
                           .outcome = OUTCOME_WITHDRAWN};
}

struct answer operator_holds(const struct question *q)
{
    const struct journey_control *x = controls_find(q->who->controls, q->intent->journey);
    const struct kill *k = kill_of(q);
    if (k != NULL && k->flags & KILL_DROPS)
        k = NULL; /* rule 4 has spoken */
    bool is_paused = x != NULL && x->phase == PHASE_PAUSED && !planted("pause-sends");
    if (is_paused)
        say_phase(q, x);
    if (k != NULL)
        say_kill(q, k);
    if (!is_paused && k == NULL)
        return ANSWER_ALLOW;
    return (struct answer){.kind = NOT_BEFORE, .at_ms = FOREVER_MS};
}

/* ---- when it is over ------------------------------------------------------------------------------ */

/* Does the intent wait for the operator, as far as is known? */
static bool waits(const struct person *who, const struct intent *in, const struct kill *what)
{
    struct kill_subject x = subject_of(who, in, CHANNEL_NONE);
    return kill_meets(what, &x) && in->state == INTENT_DEFERRED && in->rule == RULE_HOLD &&
           in->not_before_ms == FOREVER_MS;
}

bool desk_has(const struct person *who, const struct kill *what, bool *waits_for_it)
{
    bool has = false;
    *waits_for_it = false;
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        struct kill_subject x = subject_of(who, in, CHANNEL_NONE);
        has |= kill_meets(what, &x);
        *waits_for_it |= waits(who, in, what);
    }
    return has;
}

void desk_controlled(struct person *who, const struct kill *what, int64_t release_ms)
{
    for (uint32_t i = 0; i < who->profile->intents.count && release_ms > who->now_ms; i++) {
        struct intent *in = person_touch_intent(who, i);
        if (!waits(who, in, what))
            continue;
        /* The pace is a rate: what rule 13 says stands until its time. */
        struct put_off said = {.until_ms = release_ms, .why = PUT_OFF_PACE};
        for (uint32_t k = 0; k < in->channel_count; k++) {
            said.channel = in->channels[k];
            if (what->scope != KILL_CHANNEL || said.channel == what->channel)
                put_off_until(who, i, said);
        }
        explain_put_off(who, in, &said);
        in->rule = RULE_POOL;
        in->not_before_ms = release_ms;
        person_result(who, (struct result){.kind = RESULT_DECIDED,
                                           .how = OUTCOME_DEFERRED,
                                           .step = RULE_POOL,
                                           .journey = in->journey,
                                           .message = in->message,
                                           .version = in->plan,
                                           .channel = in->channel,
                                           .id = in->decision,
                                           .number = release_ms});
    }
    who->is_desk_due |= who->profile->intents.count != 0;
    who->is_touched = true;
}
