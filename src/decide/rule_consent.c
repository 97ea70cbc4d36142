/* rule_consent.c - (address, channel, purpose, topic) as last stated; addresses that are barred; and what
 * the person chose for themselves.
 *
 *     bad address                        every lane     never here: suppressed
 *     STOP, or a block                   all but otp    never here: suppressed
 *     not to be contacted                all but otp and legal     never: no_consent
 *     no consent, or refused             lanes that obey consent   never here: no_consent
 *     the topic is off                   the same                  never: no_consent
 *     snoozed until D                    the same                  not before D
 *     at most n a day, week, ...         the same                  not before: their own cap, which
 *                                                                  counts as caps do (rule 11)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/memory.h"
#include "decide/regulation.h"
#include "profile/choices.h"
#include "profile/consent.h"

static struct answer ask_address(const struct question *q, uint32_t purpose, uint32_t topic)
{
    struct answer suppressed = {.kind = NEVER_HERE, .outcome = OUTCOME_SUPPRESSED};
    struct answer no_consent = {.kind = NEVER_HERE, .outcome = OUTCOME_NO_CONSENT};
    bool obeys = (q->lane_flags & LANE_CONSENT) != 0;
    const struct consent *said;
    struct memory_address room;
    struct id128 address = memory_address(q, &room)->hash;
    struct str about = names_text(q->who->names, purpose);
    switch (consent_look(q->who, q->channel, address, purpose, topic, &said)) {
    case CONSENT_SUPPRESSED:
        say(q, "the address is on the suppression list: a provider said on %s that it is bad",
            moment(q, said->at_ms));
        blame(q, "the bad address");
        return suppressed;
    case CONSENT_STOPPED:
        if (q->lane_flags & LANE_TRIES_STOPPED)
            return ANSWER_ALLOW;
        say(q,
            "they said STOP on this channel, or blocked us, on %s, and did not agree again since",
            moment(q, said->at_ms));
        blame(q, "their STOP");
        return suppressed;
    case CONSENT_GIVEN: return ANSWER_ALLOW;
    case CONSENT_NONE: {
        const struct plan_regulation *law = NULL;
        int64_t until_ms = FOREVER_MS; /* when a law begins */
        bool is_opt_out =
            q->category != PLAN_NO_INDEX && q->plan->categories[q->category].is_opt_out;
        if (is_opt_out)
            law = regulation_demands_consent(q, &until_ms);
        if (!obeys)
            return ANSWER_ALLOW;
        if (is_opt_out && law == NULL)
            return (struct answer){.kind = ALLOW, .at_ms = until_ms};
        say(q, "they never agreed to %.*s messages on this channel%s%.*s", STR_ARG(about),
            law ? ", which the law of their place asks for: " : "",
            STR_ARG(law ? law->text : STR("")));
        blame(q, "the missing agreement to %.*s messages", STR_ARG(about));
        return no_consent;
    }
    case CONSENT_REFUSED:
        if (!obeys || (planted("consent-stale-at-release") && q->intent->state == INTENT_DEFERRED))
            return ANSWER_ALLOW;
        say(q, "they said no to %.*s messages%s%.*s on this channel on %s%s%.*s", STR_ARG(about),
            said->topic ? " about " : "", STR_ARG(names_text(q->who->names, said->topic)),
            moment(q, said->at_ms), said->source ? ", as told by " : "",
            STR_ARG(names_text(q->who->names, said->source)));
        blame(q, "their no to %.*s messages", STR_ARG(about));
        return no_consent;
    }
    return ANSWER_ALLOW;
}

/* Snooze, and their own caps. */
static struct answer ask_choices(const struct question *q, uint32_t topic)
{
    struct plan_cap caps[PROFILE_CHOICES_MAX];
    struct answer answer = ANSWER_ALLOW;
    int64_t until_ms = choices_snoozed_until(q->who, q->channel, topic, q->at_ms);
    if (until_ms > q->at_ms) {
        say(q, "they asked for nothing until %s", moment(q, until_ms));
        blame(q, "their snooze");
        answer = (struct answer){.kind = NOT_BEFORE, .at_ms = until_ms};
    }
    uint32_t count = choices_caps(q->who, q->channel, caps, array_count(caps));
    must(count <= array_count(caps));
    for (uint32_t i = 0; i < count && !q->is_listing; i++)
        answer_join(&answer, cap_ask(q, &caps[i]));
    return answer;
}

struct answer rule_consent_ask(const struct question *q)
{
    const struct plan_category *c =
        q->category != PLAN_NO_INDEX ? &q->plan->categories[q->category] : NULL;
    uint32_t purpose = c && c->purpose ? c->purpose : NAME_MARKETING;
    uint32_t topic = q->message->topic ? q->message->topic : c ? c->topic : NAME_NONE;
    struct answer never = {.kind = NEVER, .outcome = OUTCOME_NO_CONSENT};
    bool has_choices = q->who->profile->choices.count > 0;
    if (has_choices && !(q->lane_flags & LANE_MUST_CONTACT) && choices_no_contact(q->who)) {
        say(q, "they are not to be contacted");
        blame(q, "their wish not to be contacted");
        return never;
    }
    bool obeys = (q->lane_flags & LANE_CONSENT) != 0;
    if (has_choices && obeys && choices_topic_is_off(q->who, topic)) {
        say(q, "they turned the topic %.*s off", STR_ARG(names_text(q->who->names, topic)));
        blame(q, "the topic that they turned off");
        return never;
    }
    struct answer answer = ask_address(q, purpose, topic);
    if (answer.kind == ALLOW && has_choices && obeys)
        answer = ask_choices(q, topic);
    return answer;
}
