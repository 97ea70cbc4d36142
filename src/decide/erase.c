/* The person is erased: what is pending is taken back from pools and the outbox, and ends.
 *
 * An attempt that is under way may still arrive: what its provider says of it finds nobody any more. So its
 * connection is free from here on, and a voucher's code counts as gone with it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/desk_int.h"
#include "decide/errand.h"
#include "decide/listing.h"
#include "profile/errands.h"

static void take_back(struct person *who, struct intent *in)
{
    switch ((enum intent_state)in->state) {
    case INTENT_QUEUED: intent_revoke(who, in, OUTCOME_ERASED); break;
    case INTENT_GRANTED:
        intent_recall(who, in, OUTCOME_ERASED);
        pool_free(who, in->channel, intent_provider(who, in), in->decision);
        intent_settle_charge(who, in->decision, true);
        break;
    case INTENT_SETTLING:
    case INTENT_PLANNED:
    case INTENT_DEFERRED:
    case INTENT_REVOKING: /* the pool's answer finds nobody */
    case INTENT_WATCHED:
    case INTENT_IN_DOUBT: break;
    }
}

void desk_erase(struct person *who)
{
    while (who->profile->intents.count > 0) {
        uint32_t place = who->profile->intents.count - 1;
        take_back(who, person_touch_intent(who, place));
        if (person_intent(who, place)->state == INTENT_WATCHED)
            intent_forget(who, place);
        else
            intent_finish(who, place, OUTCOME_ERASED, RULE_WANTED);
    }
}

/* What is at a pool or with a provider and is no message. */
static void take_back_other(struct person *who, struct stage_message m, bool is_queued,
                            bool is_granted)
{
    m.channel = CHANNEL_WEBHOOK;
    if (is_queued) {
        m.kind = TO_POOL_REVOKE;
        person_send(who, m);
    } else if (is_granted) {
        uint64_t profile = m.profile;
        m.kind = TO_POOL_DONE;
        person_send(who, m);
        m.kind = TO_RECALL;
        m.profile = profile; /* whose attempt it was: they may have been merged since */
        messages_add(who->messages, m);
    }
}

void listings_erase(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->listings.count; i++) {
        const struct listing *x = person_listing(who, i);
        struct stage_message m = {.provider = x->provider,
                                  .profile = x->profile,
                                  .decision = x->decision,
                                  .attempt = x->attempt,
                                  .about = ABOUT_LISTING};
        take_back_other(who, m, x->state == LISTING_QUEUED,
                        x->state == LISTING_GRANTED || x->state == LISTING_RECALLED);
        if (x->known == LISTING_IN)
            person_result(who, (struct result){.kind = RESULT_LISTED,
                                               .how = LISTED_IS_LOST,
                                               .number = x->audience});
    }
}

void errands_erase(struct person *who)
{
    while (who->profile->errands.count > 0) {
        uint32_t place = who->profile->errands.count - 1;
        const struct errand *x = person_errand(who, place);
        struct stage_message m = {.provider = x->provider,
                                  .profile = x->profile,
                                  .decision = x->decision,
                                  .attempt = x->attempt,
                                  .about = ABOUT_ERRAND};
        take_back_other(who, m, x->state == ERRAND_QUEUED,
                        x->state == ERRAND_GRANTED || x->state == ERRAND_RECALLED);
        errand_drop(who, place);
    }
}
