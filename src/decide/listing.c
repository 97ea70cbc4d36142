/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/listing.h"
#include "base/canary.h"
#include "base/hook.h"

#include "decide/desk_int.h"
#include "decide/operator.h"
#include "profile/consent.h"
#include "profile/wishes.h"

#define ATTEMPT_MS    DAY_MS           /* so long one attempt may be retried */
#define DOUBT_MS      (30 * SECOND_MS) /* before what is in doubt is made again ... */
#define FAILED_MS     MINUTE_MS        /* ... or what failed, doubling ... */
#define DOUBLINGS_MAX 8u               /* ... so often */
#define PHONE_LEAST   8u
#define PHONE_MOST    15u
#define ADDRESS_MOST  320u

/* ---- addresses ---------------------------------------------------------------------------------- */

static bool is_phone_stuffing(char c)
{
    return c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' || c == '/';
}

/* E.164 with its plus sign; 0 = it is none. */
static size_t phone_normal(struct str said, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < said.len; i++) {
        char c = said.at[i];
        if (is_phone_stuffing(c))
            continue;
        if (!(c >= '0' && c <= '9') && !(c == '+' && len == 0))
            return 0;
        if (len > PHONE_MOST + 2)
            return 0;
        must(len < ADDRESS_MOST);
        out[len++] = c;
    }
    if (len >= 2 && out[0] == '0' && out[1] == '0') {
        out[0] = '+';
        memmove(out + 1, out + 2, len - 2);
        len--;
    }
    bool is_one = len > PHONE_LEAST && len <= PHONE_MOST + 1 && out[0] == '+' && out[1] != '0';
    return is_one ? len : 0;
}

bool listing_member(const struct person *who, enum channel channel, uint8_t out[SHA256_BYTES])
{
    char text[ADDRESS_MOST];
    struct str said = str_trim(person_address(who, channel));
    size_t len = 0;
    if (said.len == 0 || said.len > sizeof(text))
        return false;
    if (channel == CHANNEL_SMS) {
        len = phone_normal(said, text);
    } else {
        for (; len < said.len; len++) {
            char c = said.at[len];
            text[len] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
    }
    must(len <= sizeof(text));
    if (len > 0)
        sha256((struct str){text, len}, out);
    return len > 0;
}

/* ---- who is let in ------------------------------------------------------------------------------ */

static struct intent intent_of(const struct person *who, const struct wish *x,
                               const struct plan_audience *audience)
{
    must(audience->export.category < who->plan->category_count);
    return (struct intent){
        .decision = hash_pair(x->instance, x->audience) | 1,
        .instance = x->instance,
        .message = audience->name,
        .journey = x->journey,
        .plan = who->plans->newest,
        .journey_index = plan_journey_find(who->plan, x->journey),
        .lane = who->plan->categories[audience->export.category].lane,
        .channel = audience->identifier,
        .is_ghost = x->is_ghost,
        .created_ms = x->at_ms,
        .deadline_ms = FOREVER_MS,
    };
}

static struct question question_of(struct person *who, const struct intent *in,
                                   const struct plan_audience *audience)
{
    const struct plan *plan = who->plan;
    must(in->journey_index == PLAN_NO_INDEX || in->journey_index < plan->journey_count);
    return (struct question){
        .who = who,
        .intent = in,
        .plan = plan,
        .message = &audience->export,
        .category = audience->export.category,
        .journey = in->journey_index,
        .group = in->journey_index == PLAN_NO_INDEX ? PLAN_NO_INDEX
                                                    : plan->journeys[in->journey_index].group,
        .channel = (enum channel)audience->identifier,
        .lane_flags = lane_term((enum lane)in->lane)->flags,
        .is_listing = true,
        .at_ms = who->now_ms,
        .put_off_ms = INT64_MIN,
    };
}

static struct answer ask_holdout(struct question *q)
{
    uint8_t flags = q->intent->is_ghost ? INSTANCE_IS_GHOST : 0;
    if (!intent_is_ghost(q->who, (enum lane)q->intent->lane, flags) ||
        planted("audience-takes-ghosts"))
        return ANSWER_ALLOW;
    say(q, "they are held out");
    return (struct answer){.kind = NEVER, .outcome = OUTCOME_HELD_OUT};
}

static struct answer ask_role(struct question *q)
{
    q->channel = CHANNEL_WEBHOOK; /* that is how a provider is told */
    struct answer answer = rule_role_ask(q);
    q->channel = (enum channel)q->intent->channel;
    return answer;
}

/* The first rule that is against it, or RULE_NONE. */
static uint8_t ask_rules(struct question *q, bool is_in, struct answer *out)
{
    *out = rule_consent_ask(q);
    if (out->kind == NEVER || out->kind == NEVER_HERE || (out->kind != ALLOW && !is_in))
        return RULE_CONSENT;
    *out = ANSWER_ALLOW;
    if (is_in)
        return RULE_NONE;
    *out = operator_wants(q);
    if (out->kind != ALLOW)
        return RULE_WANTED;
    *out = ask_holdout(q);
    if (out->kind != ALLOW)
        return RULE_HOLDOUT;
    *out = rule_hold_ask(q);
    if (out->kind != ALLOW)
        return RULE_HOLD;
    *out = rule_group_ask(q);
    if (out->kind != ALLOW)
        return RULE_GROUP;
    *out = ask_role(q);
    if (out->kind != ALLOW)
        return RULE_ROLE;
    *out = rule_duplicate_ask(q);
    return out->kind != ALLOW ? RULE_DUPLICATE : RULE_NONE;
}

/* Asks whether the wish is let in; notes it where the answer is another than before. */
static void ask_wish(struct person *who, uint32_t place, const struct plan_audience *audience)
{
    struct wish *x = person_touch_wish(who, place);
    struct intent in = intent_of(who, x, audience);
    struct question q = question_of(who, &in, audience);
    struct answer answer = ANSWER_ALLOW;
    struct buf words;
    uint8_t before = x->rule;
    uint8_t member[SHA256_BYTES];
    buf_init(&words);
    q.words = who->witness != NULL ? &words : NULL;
    if (listing_member(who, (enum channel)audience->identifier, member)) {
        x->rule = ask_rules(&q, x->is_in, &answer);
    } else {
        x->rule = RULE_REACHABLE;
        say(&q, "they have no %.*s address that a network could know them by",
            STR_ARG(channel_name((enum channel)audience->identifier)));
    }
    uint64_t unwanted = hook(HOOK_DECISION);
    if (unlikely(unwanted != 0 && x->rule == RULE_NONE && x->instance % unwanted == 0))
        x->rule = RULE_POOL;
    x->is_in = x->rule == RULE_NONE;
    x->ask_ms = !x->is_in && answer.kind == NOT_BEFORE ? answer.at_ms : FOREVER_MS;
    must(x->ask_ms == FOREVER_MS || x->ask_ms > who->now_ms);
    if (x->rule != before && !x->is_in) {
        person_result(who, (struct result){.kind = RESULT_LISTED,
                                           .how = LISTED_IS_REFUSED,
                                           .step = x->rule,
                                           .journey = x->journey,
                                           .id = x->instance,
                                           .number = x->audience});
        person_note_about(who, x->journey, NAME_NONE, "audience %.*s: not let in by rule %s: %.*s",
                          STR_ARG(names_text(who->names, x->audience)), rule_name(x->rule),
                          STR_ARG(buf_str(&words)));
    }
    buf_fini(&words);
}

/* ---- what the provider is told ------------------------------------------------------------------ */

static uint32_t listing_find(const struct person *who, uint64_t decision)
{
    for (uint32_t i = 0; i < who->profile->listings.count; i++)
        if (person_listing(who, i)->decision == decision)
            return i;
    return UINT32_MAX;
}

static bool is_row(const struct listing *x, uint32_t audience, const uint8_t member[SHA256_BYTES])
{
    return x->audience == audience && memcmp(x->member, member, SHA256_BYTES) == 0;
}

/* Whom the address is to be listed for: the oldest wish for the audience that is let in; NULL: nobody. */
static const struct wish *wish_of(const struct person *who, const struct listing *x)
{
    const struct wish *oldest = NULL;
    uint8_t member[SHA256_BYTES];
    uint16_t index = plan_audience_find(who->plan, x->audience);
    if (index == PLAN_NO_INDEX ||
        !listing_member(who, (enum channel)who->plan->audiences[index].identifier, member) ||
        !is_row(x, x->audience, member))
        return NULL;
    for (uint32_t i = 0; i < who->profile->wishes.count; i++) {
        const struct wish *w = person_wish(who, i);
        if (w->audience == x->audience && w->is_in && (oldest == NULL || w->at_ms < oldest->at_ms))
            oldest = w;
    }
    return oldest;
}

/* What the export's template reads, behind an address and a zone that it has not. */
static struct str freeze(struct person *who, const struct listing *x)
{
    char hex[SHA256_HEX_BYTES];
    struct buf *b = who->bytes;
    sha256_print(x->member, hex);
    b->len = 0;
    buf_add_varint(b, 0);
    buf_add_varint(b, 0);
    body_put_text(b, AUDIENCE_ACTION + 1, x->adds ? STR("add") : STR("remove"));
    body_put_text(b, AUDIENCE_NAME + 1, names_text(who->names, x->audience));
    body_put_text(b, AUDIENCE_MEMBER + 1, str_of(hex));
    return arena_copy(who->scratch, buf_str(b));
}

/* Hands what is meant to the provider's pool. */
static void start(struct person *who, struct listing *x, bool adds)
{
    const struct plan *plan = who->plan;
    uint16_t index = plan_audience_find(plan, x->audience);
    must(index < plan->audience_count);
    must(x->state == LISTING_IDLE);
    const struct plan_message *m = &plan->audiences[index].export;
    must(m->providers[CHANNEL_WEBHOOK] < plan->provider_count);
    const struct plan_provider *provider = &plan->providers[m->providers[CHANNEL_WEBHOOK]];
    if (x->attempt == UINT16_MAX) { /* an id is never given out twice */
        x->decision = hash_pair(x->decision, 1) | 1;
        x->attempt = 0;
    }
    x->state = LISTING_QUEUED;
    x->adds = adds;
    const struct keep *kept = keep_find_listing(who, x->decision);
    if (unlikely(kept != NULL && x->attempt < kept->attempt))
        x->attempt = (uint16_t)min_of(kept->attempt, UINT16_MAX - 1u);
    x->attempt++;
    x->profile = who->id;
    x->provider = provider->name;
    x->plan = who->plans->newest;
    person_send(who, (struct stage_message){
                         .kind = TO_POOL_QUEUE,
                         .channel = CHANNEL_WEBHOOK,
                         .lane = LANE_SERVICE, /* at least once, whomever it is about */
                         .attempt = x->attempt,
                         .group_rank = UINT16_MAX,
                         .provider = x->provider,
                         .plan = x->plan,
                         .message_index = (uint16_t)(plan->message_count + index),
                         .provider_index = m->providers[CHANNEL_WEBHOOK],
                         .message = x->audience,
                         .priority = adds ? 0 : INT32_MAX, /* who has left is out first */
                         .decision = x->decision,
                         .created_ms = who->now_ms,
                         .deadline_ms = who->now_ms + ATTEMPT_MS,
                         .until_ms = FOREVER_MS,
                         .about = ABOUT_LISTING,
                         .fields = freeze(who, x),
                     });
}

static void note_news(struct person *who, const struct listing *x, enum listed_news news)
{
    person_result(
        who, (struct result){.kind = RESULT_LISTED, .how = (uint8_t)news, .number = x->audience});
}

static void take_back(struct person *who, struct listing *x)
{
    must(x->state == LISTING_QUEUED);
    x->state = LISTING_REVOKING;
    person_send(who, (struct stage_message){.kind = TO_POOL_REVOKE,
                                            .channel = CHANNEL_WEBHOOK,
                                            .provider = x->provider,
                                            .decision = x->decision,
                                            .about = ABOUT_LISTING});
}

/* Brings the listing nearer to what is meant. True: it is of no use any more. */
static bool reconcile(struct person *who, struct listing *x, bool is_wanted)
{
    switch ((enum listing_state)x->state) {
    case LISTING_IDLE:
        if (x->known == (is_wanted ? LISTING_IN : LISTING_OUT))
            return !is_wanted;
        if (plan_audience_find(who->plan, x->audience) == PLAN_NO_INDEX) {
            if (x->known == LISTING_IN)
                note_news(who, x, LISTED_IS_LOST);
            return true; /* the programme does not say any more whom to tell */
        }
        if (x->again_ms <= who->now_ms)
            start(who, x, is_wanted);
        return false;
    case LISTING_QUEUED:
        if (x->adds != is_wanted)
            take_back(who, x);
        return false;
    case LISTING_GRANTED:
        if (x->adds == is_wanted)
            return false;
        x->state = LISTING_RECALLED;
        messages_add(who->messages, (struct stage_message){.kind = TO_RECALL,
                                                           .profile = x->profile,
                                                           .decision = x->decision,
                                                           .attempt = x->attempt});
        return false;
    case LISTING_REVOKING:
    case LISTING_RECALLED: return false;
    }
    return false;
}

static void push_row(struct person *who, uint32_t audience, const uint8_t member[SHA256_BYTES],
                     uint64_t decision, enum listing_known known)
{
    struct listing made = {
        .decision = decision,
        .profile = who->id,
        .audience = audience,
        .plan = who->plans->newest,
        .known = (uint8_t)known,
        .since_ms = who->now_ms,
        .again_ms = INT64_MIN,
    };
    memcpy(made.member, member, sizeof(made.member));
    *person_push_listing(who) = made;
}

/* A listing for each address that a wish wants and that has none yet. */
static void add_rows(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->wishes.count; i++) {
        const struct wish *w = person_wish(who, i);
        uint8_t member[SHA256_BYTES];
        uint16_t index = w->is_in ? plan_audience_find(who->plan, w->audience) : PLAN_NO_INDEX;
        bool is_there = false;
        if (index == PLAN_NO_INDEX ||
            !listing_member(who, (enum channel)who->plan->audiences[index].identifier, member))
            continue;
        for (uint32_t k = 0; k < who->profile->listings.count; k++)
            is_there |= is_row(person_listing(who, k), w->audience, member);
        if (is_there)
            continue;
        uint64_t salt = hash_bytes(member, sizeof(member), (uint64_t)who->now_ms);
        push_row(who, w->audience, member, hash_pair(hash_pair(who->id, salt), w->instance) | 1,
                 LISTING_OUT);
    }
}

void listings_settle(struct person *who)
{
    wishes_prune(who);
    for (uint32_t i = who->profile->wishes.count; i-- > 0;) {
        uint16_t index = plan_audience_find(who->plan, person_wish(who, i)->audience);
        if (index == PLAN_NO_INDEX)
            person_drop_wish(who, i);
        else
            ask_wish(who, i, &who->plan->audiences[index]);
    }
    add_rows(who);
    for (uint32_t i = who->profile->listings.count; i-- > 0;) {
        struct listing *x = person_touch_listing(who, i);
        if (reconcile(who, x, wish_of(who, x) != NULL))
            person_drop_listing(who, i);
    }
}

int64_t listings_deadline(const struct person *who)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < who->profile->wishes.count; i++)
        next_ms = min_of(next_ms, person_wish(who, i)->ask_ms);
    for (uint32_t i = 0; i < who->profile->listings.count; i++) {
        const struct listing *x = person_listing(who, i);
        if (x->state == LISTING_IDLE && x->again_ms > who->now_ms)
            next_ms = min_of(next_ms, x->again_ms);
    }
    return next_ms;
}

/* ---- answers ------------------------------------------------------------------------------------ */

void listings_answer(struct person *who, const struct stage_message *answer)
{
    uint32_t place = listing_find(who, answer->decision);
    must(place != UINT32_MAX);
    struct listing *x = person_touch_listing(who, place);
    must(x->state == LISTING_QUEUED || x->state == LISTING_REVOKING);
    must(x->attempt > 0);
    x->state = answer->kind == BACK_GRANTED ? LISTING_GRANTED : LISTING_IDLE;
    who->is_touched = true;
}

static void note_known(struct person *who, struct listing *x, enum listing_known known)
{
    const struct wish *w = wish_of(who, x);
    enum listing_known before = (enum listing_known)x->known;
    if (before == known)
        return;
    x->since_ms = who->at_ms;
    x->known = (uint8_t)known;
    if (known == LISTING_DOUBT) {
        if (before == LISTING_IN)
            note_news(who, x, LISTED_IS_IN_DOUBT);
        return;
    }
    person_result(who, (struct result){.kind = RESULT_LISTED,
                                       .how = known == LISTING_IN ? LISTED_IS_IN : LISTED_IS_OUT,
                                       .step = known == LISTING_OUT && before == LISTING_DOUBT,
                                       .journey = w ? w->journey : NAME_NONE,
                                       .id = w ? w->instance : 0,
                                       .number = x->audience});
    person_note_about(who, w ? w->journey : NAME_NONE, NAME_NONE, "audience %.*s: %s",
                      STR_ARG(names_text(who->names, x->audience)),
                      known == LISTING_IN ? "the provider has added them"
                                          : "the provider has removed them");
}

/* Did it come to nothing? Then it is made again after a pause. */
static void fail(struct person *who, struct listing *x, int64_t pause_ms)
{
    must(pause_ms > 0);
    x->again_ms = who->now_ms + (pause_ms << min_of((uint32_t)x->failures, DOUBLINGS_MAX));
    if (x->failures < UINT8_MAX)
        x->failures++;
}

bool listings_receipt(struct person *who, const struct receipt *r)
{
    uint32_t place = listing_find(who, r->decision);
    if (place == UINT32_MAX)
        return false;
    struct listing *x = person_touch_listing(who, place);
    bool is_under_way = x->state == LISTING_GRANTED || x->state == LISTING_RECALLED;
    bool was_recalled = x->state == LISTING_RECALLED;
    if (r->attempt != x->attempt || !is_under_way || r->kind == RECEIPT_TEMPORARY)
        return true;
    who->is_touched = true;
    x->state = LISTING_IDLE;
    x->again_ms = INT64_MIN;
    pool_free(who, CHANNEL_WEBHOOK, x->provider, x->decision);
    switch (r->kind) {
    case RECEIPT_ACCEPTED:
    case RECEIPT_DELIVERED:
        x->failures = 0;
        note_known(who, x, x->adds ? LISTING_IN : LISTING_OUT);
        return true;
    case RECEIPT_IN_DOUBT:
        note_known(who, x, LISTING_DOUBT);
        if (!was_recalled)
            fail(who, x, DOUBT_MS);
        return true;
    case RECEIPT_REJECTED_ADDRESS:
    case RECEIPT_REJECTED_MESSAGE:
    case RECEIPT_REJECTED_POLICY:
    case RECEIPT_GAVE_UP:
    case RECEIPT_ABORTED:
    case RECEIPT_BOUNCED:
        note_news(who, x, x->adds ? LISTED_ADD_FAILED : LISTED_REMOVE_FAILED);
        if (!was_recalled)
            fail(who, x, FAILED_MS);
        return true;
    case RECEIPT_TEMPORARY:
    case RECEIPT_TASK_DONE:
    case RECEIPT_TASK_DECLINED:
    case RECEIPT_KIND_END: break;
    }
    return true;
}

/* ---- another release ----------------------------------------------------------------------------- */

/* It was never given to a provider, and is asked again. */
static void undo(struct person *who, struct listing *x, const struct keep *k)
{
    bool is_under_way = x->state == LISTING_GRANTED || x->state == LISTING_RECALLED;
    if (!is_under_way || x->attempt != k->attempt)
        return;
    pool_free(who, CHANNEL_WEBHOOK, x->provider, x->decision);
    x->state = LISTING_IDLE;
    x->again_ms = INT64_MIN;
}

/* Under which address the other release told of them is not known where it is no listing of ours: the one that they
 * have. */
void listings_keep(struct person *who, const struct keep *k)
{
    uint16_t index = plan_audience_find(who->plan, k->message);
    uint32_t place = listing_find(who, k->decision);
    uint8_t member[SHA256_BYTES];
    must(k->is_listing);
    if (k->kind != RELEASE_KEPT) {
        if (place != UINT32_MAX)
            undo(who, person_touch_listing(who, place), k);
        return;
    }
    if (index == PLAN_NO_INDEX)
        return;
    bool has_member =
        listing_member(who, (enum channel)who->plan->audiences[index].identifier, member);
    for (uint32_t i = 0; i < who->profile->listings.count; i++) {
        struct listing *x = person_touch_listing(who, i);
        bool is_theirs =
            x->decision == k->decision || (has_member && is_row(x, k->message, member));
        if (!is_theirs)
            continue;
        place = i;
        x->again_ms = INT64_MIN;
        note_known(who, x, LISTING_DOUBT);
        if (x->state == LISTING_QUEUED && x->decision == k->decision && x->attempt <= k->attempt)
            take_back(who, x); /* no attempt is ever granted again under its id */
    }
    if (place == UINT32_MAX && has_member)
        push_row(who, k->message, member, k->decision, LISTING_DOUBT);
}

/* ---- merges, why -------------------------------------------------------------------------------- */

void listings_unite(struct person *who, const struct person *from)
{
    must(who != from);
    wishes_unite(who, from);
    for (uint32_t i = 0; i < from->profile->listings.count; i++) {
        struct listing x = *person_listing(from, i);
        *person_push_listing(who) = x;
    }
    for (uint32_t i = 0; i < who->profile->wishes.count; i++) {
        struct wish *w = person_touch_wish(who, i);
        for (uint32_t k = 0; k < who->profile->instances.count; k++)
            if (person_instance(who, k)->id == w->instance) /* which may have a new mark */
                w->is_ghost = (person_instance(who, k)->flags & INSTANCE_IS_GHOST) != 0;
    }
}

void listings_explain(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->wishes.count; i++) {
        struct wish *x = person_touch_wish(who, i);
        struct str name = names_text(who->names, x->audience);
        struct str journey = names_text(who->names, x->journey);
        if (x->is_in) {
            person_note_about(who, x->journey, NAME_NONE,
                              "audience %.*s: let in for journey %.*s%s", STR_ARG(name),
                              STR_ARG(journey),
                              x->until == WISH_EVER    ? ", for ever"
                              : x->until == WISH_STAGE ? ", while they are in this stage"
                                                       : ", while they are in it");
            continue;
        }
        uint16_t index = plan_audience_find(who->plan, x->audience);
        if (index == PLAN_NO_INDEX)
            continue;
        struct wish copy = *x;
        x->rule = RULE_NONE; /* so that it is told again; nothing of it stays */
        ask_wish(who, i, &who->plan->audiences[index]);
        *person_touch_wish(who, i) = copy;
    }
}
