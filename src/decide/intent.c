/* intent.c - how an intent comes, goes to the provider, is taken back, and ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/budget.h"
#include "decide/desk_int.h"

#include "base/hook.h"
#include "profile/ask.h"
#include "profile/consent.h"
#include "profile/traits.h"

#define IN_DOUBT_LASTS_MS (72 * HOUR_MS) /* then nobody will tell us any more: unknown */

uint32_t intent_find(const struct person *who, uint64_t decision)
{
    for (uint32_t i = 0; i < who->profile->intents.count; i++)
        if (person_intent(who, i)->decision == decision)
            return i;
    return UINT32_MAX;
}

/* A message whose own condition did not come out true ends; where that is because the condition failed,
 * a row counts it, like failures elsewhere. */
static void note_failure(struct person *who, const struct intent *in)
{
    const struct plan *plan = person_plan(who, in->plan);
    must(in->message_index < plan->message_count);
    const struct plan_expr *only_if = &plan->messages[in->message_index].only_if;
    if (only_if->code != NULL && ask_at(who, plan, only_if, in->entry, who->now_ms).is_error)
        person_result(who, (struct result){.kind = RESULT_ERROR,
                                           .how = ERROR_ONLY_IF,
                                           .journey = in->journey,
                                           .message = in->message,
                                           .id = in->decision});
}

void intent_note(struct person *who, const struct intent *in, enum outcome outcome, uint32_t rule,
                 int64_t number)
{
    must(outcome != OUTCOME_NONE);
    must(in->decision != 0);
    if (outcome == OUTCOME_NOT_RELEVANT && rule == RULE_WANTED)
        note_failure(who, in);
    person_result(who, (struct result){.kind = RESULT_DECIDED,
                                       .how = (uint8_t)outcome,
                                       .step = (uint16_t)rule,
                                       .journey = in->journey,
                                       .message = in->message,
                                       .version = in->plan,
                                       .channel = in->channel,
                                       .id = in->decision,
                                       .number = number});
}

void intent_instance(const struct person *who, uint64_t instance, uint8_t *flags, uint64_t *key)
{
    *flags = 0;
    *key = 0;
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        if (in->id != instance)
            continue;
        *flags = in->flags;
        *key = person_more(who, in)->key;
        return;
    }
    for (uint32_t i = 0; i < who->profile->pasts.count; i++) {
        const struct past *p = person_past(who, i);
        if (p->id != instance)
            continue;
        *flags = p->flags;
        *key = p->key;
        return;
    }
}

static bool was_doubted(const struct person *who, const struct intent *in)
{
    uint32_t line = in->has_slot ? ledger_find(who, in->decision) : UINT32_MAX;
    return line != UINT32_MAX && (person_sent(who, line)->flags & SENT_DOUBTED);
}

/* An attempt may have taken a code: it is gone with a message that went out, or free again. */
static void settle_voucher(struct person *who, const struct intent *in, bool is_out)
{
    uint16_t pool = intent_send(who, in)->voucher;
    if (in->attempt == 0 || pool == PLAN_NO_INDEX)
        return;
    must(pool < person_plan(who, in->plan)->voucher_count);
    person_send(who, (struct stage_message){
                         .kind = is_out ? TO_VOUCHER_SPEND : TO_VOUCHER_RETURN,
                         .decision = in->decision,
                         .voucher = person_plan(who, in->plan)->vouchers[pool].name,
                     });
}

void intent_settle_charge(struct person *who, uint64_t decision, bool is_out)
{
    if (budgets_hold(who->budgets, decision))
        person_send(who, (struct stage_message){.kind = is_out ? TO_BUDGET_SPEND : TO_BUDGET_RETURN,
                                                .decision = decision});
}

void intent_settle_slot(struct person *who, struct intent *in, enum outcome outcome)
{
    must(outcome != OUTCOME_NONE);
    bool is_out = outcome == OUTCOME_SENT || outcome == OUTCOME_UNKNOWN || in->fallback != 0;
    bool is_doubted = was_doubted(who, in);
    if (!is_out && !is_doubted)
        ledger_return(who, in);
    else if (in->has_slot)
        ledger_keep(who, in);
    must(is_out || is_doubted || !in->has_slot); /* what never went out counts in no cap */
    settle_voucher(who, in, is_out || is_doubted);
    intent_settle_charge(who, in->decision, is_out || is_doubted);
}

void intent_say_end(struct person *who, const struct intent *in, enum outcome outcome,
                    uint32_t rule)
{
    intent_note(who, in, outcome, rule, in->created_ms);
    person_tell(who,
                &(struct note){.kind = NOTE_OUTCOME,
                               .journey = in->journey,
                               .message = in->message,
                               .channel = in->channel,
                               .rule = rule ? rule_name(rule) : NULL},
                "message %.*s: %.*s%s%s (%.*s)", STR_ARG(names_text(who->names, in->message)),
                STR_ARG(outcome_term(outcome)->name), rule ? ", by rule " : "",
                rule ? rule_name(rule) : "", STR_ARG(outcome_term(outcome)->doc));
}

void intent_finish(struct person *who, uint32_t place, enum outcome outcome, uint32_t rule)
{
    if (outcome == OUTCOME_REPLACED && instead_take(who, place, rule))
        return;
    struct intent in = *person_intent(who, place);
    must(outcome != OUTCOME_NONE);
    must(in.state != INTENT_WATCHED);
    must(in.state != INTENT_QUEUED);
    must(in.state != INTENT_REVOKING || outcome == OUTCOME_ERASED);
    if (was_doubted(who, &in) && outcome == OUTCOME_EXPIRED)
        outcome = OUTCOME_UNKNOWN;
    if (in.fallback == FALLBACK_TRIES) /* the outcome is the last attempt's */
        outcome = OUTCOME_BOUNCED;
    intent_settle_slot(who, &in, outcome);
    bool was_told = in.state == INTENT_IN_DOUBT; /* the journey went on when the doubt began */
    if (!planted("ends-without-a-word"))
        intent_say_end(who, &in, outcome, rule);
    blob_set(who->space, &in.entry, NULL, 0);
    put_off_forget(who->space, &in);
    person_drop_intent(who, place);
    person_changed_name(who, in.message);
    who->is_touched = true;
    if (!was_told || outcome != OUTCOME_UNKNOWN)
        intent_tell(who, &in, outcome);
}

void intent_forget(struct person *who, uint32_t place)
{
    struct blob entry = person_intent(who, place)->entry;
    must(person_intent(who, place)->state == INTENT_WATCHED);
    settle_voucher(who, person_intent(who, place), true);
    blob_set(who->space, &entry, NULL, 0);
    put_off_forget(who->space, person_touch_intent(who, place));
    person_drop_intent(who, place);
    who->is_touched = true;
}

bool intent_is_ghost(const struct person *who, enum lane lane, uint8_t instance_flags)
{
    return lane_term(lane)->flags & LANE_HOLDOUT && !planted("ghost-sends") &&
           (instance_flags & INSTANCE_IS_GHOST || person_is_held_out(who));
}

int64_t intent_valid_ms(const struct plan_send *send, const struct plan_message *m)
{
    return send->valid_for_ms ? send->valid_for_ms : m->valid_for_ms;
}

/* The channel that the person says they prefer, if the message has content for it. */
static enum channel preferred_channel(const struct person *who, const struct plan_message *m)
{
    struct value said = traits_get(who, NAME_PREFERRED_CHANNEL, who->scratch);
    enum channel channel;
    if (said.type != VALUE_TEXT || !channel_find(said.text, &channel) ||
        !(m->channel_mask >> channel & 1))
        return CHANNEL_NONE;
    return channel;
}

void intent_set_channels(const struct person *who, struct intent *in, const struct plan_send *send)
{
    const struct plan_message *m = &person_plan(who, in->plan)->messages[in->message_index];
    must(send->channel_count <= PLAN_CHANNELS_MAX);
    uint32_t seen = 1u << CHANNEL_NONE;
    in->channel_count = 0;
    for (uint32_t i = 0; i < send->channel_count; i++) {
        uint8_t channel = send->channels[i];
        if (channel == PLAN_CHANNEL_PREFERRED)
            channel = (uint8_t)preferred_channel(who, m);
        must(channel < 32);
        if (seen >> channel & 1)
            continue;
        seen |= 1u << channel;
        must(in->channel_count < PLAN_CHANNELS_MAX);
        in->channels[in->channel_count++] = channel;
    }
}

void intent_say_proposed(struct person *who, const struct intent *made)
{
    person_result(who, (struct result){.kind = RESULT_PROPOSED,
                                       .how = made->lane,
                                       .step = made->step,
                                       .journey = made->journey,
                                       .message = made->message,
                                       .version = made->plan,
                                       .id = made->decision,
                                       .number = made->is_ghost});
}

static void propose(struct person *who, struct blob from_entry, const struct intent *made)
{
    must(made->state == INTENT_SETTLING);
    must(made->decision != 0);
    intent_say_proposed(who, made);
    struct intent *in =
        who->profile->intents.count < PROFILE_INTENTS_MAX ? person_push_intent(who) : NULL;
    if (in == NULL) {
        intent_note(who, made, OUTCOME_ABORTED, RULE_NONE, who->at_ms);
        intent_tell(who, made, OUTCOME_ABORTED);
        return;
    }
    *in = *made;
    struct blob entry = {0};
    blob_set(who->space, &entry, blob_at(who->space, from_entry), from_entry.bytes);
    person_touch_intent(who, who->profile->intents.count - 1u)->entry = entry;
    const struct keep *kept = keep_find(who, made->decision);
    if (unlikely(kept != NULL))
        keep_now(who, who->profile->intents.count - 1u, kept);
}

void desk_propose(struct person *who, const struct instance *proposer, uint16_t step)
{
    const struct instance from = *proposer;
    const struct instance_more more = *person_more(who, proposer);
    const struct plan *plan = person_plan(who, from.plan);
    must(from.journey_index < plan->journey_count);
    const struct plan_journey *j = &plan->journeys[from.journey_index];
    must(step < j->step_count);
    const struct plan_send *send = &j->steps[step].send;
    must(send->message < plan->message_count);
    const struct plan_message *m = &plan->messages[send->message];
    must(m->category < plan->category_count);
    const struct plan_category *c = &plan->categories[m->category];
    uint32_t flags = lane_term((enum lane)c->lane)->flags;
    struct intent made = {
        .decision = more.decision,
        .instance = from.id,
        .message = m->name,
        .journey = j->name,
        .plan = from.plan,
        .message_index = send->message,
        .journey_index = from.journey_index,
        .step = step,
        .state = INTENT_SETTLING,
        .lane = c->lane,
        .is_ghost = intent_is_ghost(who, (enum lane)c->lane, from.flags),
        .goes_on = send->goes_on,
        .journey_priority = j->priority,
        .priority = m->priority,
        .created_ms = who->at_ms,
        .settle_ms =
            who->at_ms + (flags & LANE_SETTLE && !planted("settle-none") ? m->settle_ms : 0),
        .deadline_ms = who->at_ms + intent_valid_ms(send, m),
        .not_before_ms = FOREVER_MS,
        .reach_ms = who->at_ms + send->wait_address_ms,
    };
    must(made.settle_ms >= made.created_ms);
    must(made.deadline_ms >= made.created_ms);
    intent_set_channels(who, &made, send);
    supersede_older(who, &made);
    who->is_desk_due = true;
    who->is_touched = true;
    if (!send->is_all || made.channel_count < 2) {
        propose(who, more.entry, &made);
        return;
    }
    must(made.channel_count <= PLAN_CHANNELS_MAX);
    uint8_t channels[PLAN_CHANNELS_MAX];
    uint32_t count = made.channel_count;
    memcpy(channels, made.channels, sizeof(channels));
    memset(made.channels, 0, sizeof(made.channels));
    made.channel_count = 1;
    made.together = more.decision;
    for (uint32_t i = 0; i < count; i++) {
        made.channels[0] = channels[i];
        made.decision = i == 0 ? more.decision : hash_pair(more.decision, channels[i]) | 1;
        propose(who, more.entry, &made);
    }
}

uint16_t intent_provider_on(const struct person *who, const struct intent *in, enum channel channel)
{
    const struct plan *plan = person_plan(who, in->plan);
    uint16_t provider = plan->messages[in->message_index].providers[channel];
    uint16_t own = intent_send(who, in)->provider;
    if (own != PLAN_NO_INDEX && plan->providers[own].channel == channel)
        provider = own;
    for (uint32_t i = 0; i < in->detours && channel == in->channel && provider != PLAN_NO_INDEX;
         i++)
        provider = plan->providers[provider].fallback;
    must(provider == PLAN_NO_INDEX || provider < plan->provider_count);
    return provider;
}

uint32_t intent_provider(const struct person *who, const struct intent *in)
{
    const struct plan *plan = person_plan(who, in->plan);
    uint16_t provider = intent_provider_on(who, in, (enum channel)in->channel);
    must(provider != PLAN_NO_INDEX);
    must(provider < plan->provider_count);
    return plan->providers[provider].name;
}

void intent_revoke(struct person *who, struct intent *in, enum outcome ending)
{
    if (in->state == INTENT_REVOKING) {
        if (in->ending == OUTCOME_NONE)
            in->ending = (uint8_t)ending;
        return;
    }
    must(in->state == INTENT_QUEUED);
    in->state = INTENT_REVOKING;
    in->ending = (uint8_t)ending;
    person_send(who, (struct stage_message){
                         .kind = TO_POOL_REVOKE,
                         .channel = in->channel,
                         .provider = intent_provider(who, in),
                         .decision = in->decision,
                     });
}

void pool_free(struct person *who, uint8_t channel, uint32_t provider, uint64_t decision)
{
    person_send(who, (struct stage_message){.kind = TO_POOL_DONE,
                                            .channel = channel,
                                            .provider = provider,
                                            .decision = decision});
}

bool intent_end(struct person *who, uint32_t place, enum outcome outcome)
{
    struct intent *in = person_touch_intent(who, place);
    switch ((enum intent_state)in->state) {
    case INTENT_SETTLING:
    case INTENT_DEFERRED: intent_finish(who, place, outcome, RULE_WANTED); return true;
    case INTENT_QUEUED:
    case INTENT_REVOKING: intent_revoke(who, in, outcome); return false;
    case INTENT_GRANTED: /* what is under way may still arrive; if it does not, it is over */
        intent_recall(who, in, outcome);
        return false;
    case INTENT_IN_DOUBT: return false;
    case INTENT_PLANNED: intent_finish(who, place, outcome, RULE_WANTED); return true;
    case INTENT_WATCHED: intent_forget(who, place); return true;
    }
    return false;
}

void desk_cancel(struct person *who, uint64_t instance, enum outcome outcome)
{
    for (uint32_t i = 0; i < who->profile->intents.count;) {
        const struct intent *in = person_intent(who, i);
        uint32_t flags = lane_term((enum lane)in->lane)->flags;
        bool is_ended =
            flags & LANE_EXITS || (outcome == OUTCOME_SUPERSEDED && flags & LANE_SUPERSEDES);
        bool is_meant = in->instance == instance && !planted("exit-leaves-pending") && is_ended;
        if (!is_meant || !intent_end(who, i, outcome))
            i++;
    }
}

void desk_call_off(struct person *who, uint64_t instance, uint16_t first, uint16_t last,
                   enum outcome outcome)
{
    for (uint32_t i = 0; i < who->profile->intents.count;) {
        const struct intent *in = person_intent(who, i);
        bool is_meant = in->instance == instance && in->step >= first && in->step <= last &&
                        in->lane != LANE_OTP && in->lane != LANE_LEGAL;
        if (!is_meant || !intent_end(who, i, outcome))
            i++;
    }
}

/* What the templates read, as it is now: the address, the name of the person's zone, then the fields by
 * place. */
static struct str freeze(struct person *who, const struct intent *in)
{
    const struct plan *plan = person_plan(who, in->plan);
    const struct plan_message *m = &plan->messages[in->message_index];
    struct str address = person_address(who, (enum channel)in->channel);
    struct buf *b = who->bytes;
    b->len = 0;
    buf_add_varint(b, address.len);
    buf_add_str(b, address);
    struct value zone = traits_get(who, NAME_TIMEZONE, NULL);
    bool is_zone = zone.type == VALUE_TEXT && zoneset_find(plan->zones, zone.text) != ZONE_NONE;
    buf_add_varint(b, is_zone ? zone.text.len : 0);
    buf_add_str(b, is_zone ? zone.text : STR(""));
    for (uint32_t i = 0; i < m->field_count; i++) {
        struct value x = ask_slot(who, m->fields[i], in->entry, in->journey, in->message,
                                  in->decision, in->attempt + 1u);
        size_t before = b->len;
        body_put(b, i + 1, &x);
        if (b->len > SPACE_OBJECT_MAX)
            b->len = before; /* it would not fit into the queue: rendered as if it were missing */
    }
    return arena_copy(who->scratch, buf_str(b));
}

struct id128 intent_address(const struct person *who, enum channel channel)
{
    return address_hash(who->secret, channel, person_address(who, channel), who->id);
}

bool intent_is_stale(const struct person *who, const struct intent *in)
{
    const struct plan_message *m = &person_plan(who, in->plan)->messages[in->message_index];
    for (uint32_t i = 0; i < m->field_count; i++)
        if (SLOT_SPACE(m->fields[i]) == SLOT_TRAIT &&
            who->changed & plan_wake_bit(SLOT_NAME(m->fields[i])))
            return true;
    if (who->changed & plan_wake_bit(NAME_TIMEZONE)) /* its times would be another's */
        return true;
    return !id128_equal(in->address, intent_address(who, (enum channel)in->channel));
}

int32_t intent_journey_priority(struct person *who, const struct intent *in)
{
    const struct plan *plan = person_plan(who, in->plan);
    const struct plan_journey *j = &plan->journeys[in->journey_index];
    const double most = 1000000;
    if (j->priority_by.code == NULL)
        return j->priority;
    struct value x = ask_value(who, plan, &j->priority_by, in->entry);
    double number = x.type == VALUE_INT      ? (double)x.integer
                    : x.type == VALUE_UINT   ? (double)x.uinteger
                    : x.type == VALUE_DOUBLE ? x.number
                                             : 0;
    if (!(number >= -most)) /* what is no number is the least */
        return number < -most ? (int32_t)-most : 0;
    return (int32_t)min_of(number, most);
}

uint16_t intent_group(const struct person *who, const struct intent *in)
{
    uint16_t journey = in->plan == who->plans->newest ? in->journey_index
                                                      : plan_journey_find(who->plan, in->journey);
    return journey == PLAN_NO_INDEX ? PLAN_NO_INDEX : who->plan->journeys[journey].group;
}

/* What it says, to the address gate: the content, and in a journey with a key what it is about. */
static uint64_t content_of(const struct person *who, const struct intent *in)
{
    const struct plan_message *m = &person_plan(who, in->plan)->messages[in->message_index];
    uint8_t flags;
    uint64_t key;
    if (!(lane_term((enum lane)in->lane)->flags & LANE_CAPS))
        return 0;
    intent_instance(who, in->instance, &flags, &key);
    return hash_pair(m->content_key, key) | 1;
}

/* The address's suppression, looked at for a ghost; 0 = there is none. Caps are not: it takes no place. */
static enum suppression ghost_suppression(const struct person *who, const struct intent *in)
{
    if (who->look_on == NULL)
        return 0;
    uint8_t how = who->look_on(who, &(struct stage_message){.lane = in->lane,
                                                            .channel = in->channel,
                                                            .profile = who->id,
                                                            .content = content_of(who, in),
                                                            .address = in->address});
    return how == SUPPRESSED_CAP ? 0 : (enum suppression)how;
}

/* The last attempt, another release's included: its id is never given out again. */
static uint16_t attempt_before(const struct person *who, const struct intent *in)
{
    const struct keep *kept = keep_find(who, in->decision);
    return kept != NULL ? (uint16_t)max_of(kept->attempt, in->attempt) : in->attempt;
}

bool intent_hand_over(struct person *who, uint32_t place, const struct verdict *v)
{
    struct intent *in = person_touch_intent(who, place);
    must(v->kind == VERDICT_GO);
    must(in->state == INTENT_SETTLING || in->state == INTENT_DEFERRED);
    uint64_t unwanted = hook(HOOK_DECISION);
    if (unlikely(unwanted != 0 && in->decision % unwanted == 0)) {
        intent_finish(who, place, OUTCOME_CANCELLED, RULE_WANTED);
        return true;
    }
    const struct plan *plan = person_plan(who, in->plan);
    if (v->channel != in->channel)
        in->detours = 0;
    uint16_t provider = intent_provider_on(who, in, (enum channel)v->channel);
    const struct plan_send *send = intent_send(who, in);
    bool is_own = in->message_index == send->message; /* no other has taken its place */
    uint16_t voucher = is_own ? send->voucher : PLAN_NO_INDEX;
    must(provider != PLAN_NO_INDEX);
    must(provider < plan->provider_count);
    must(voucher == PLAN_NO_INDEX || voucher < plan->voucher_count);
    in->channel = v->channel;
    in->address = intent_address(who, (enum channel)v->channel);
    in->rule = RULE_NONE;
    in->not_before_ms = FOREVER_MS;
    if (in->is_ghost) {
        enum suppression how = ghost_suppression(who, in);
        uint64_t decision = in->decision;
        if (how != 0) {
            intent_suppress(who, place, how);
            return intent_find(who, decision) == UINT32_MAX;
        }
        ledger_take(who, in, SENT_GHOST);
        follow_plan(who, in);
        intent_finish(who, place, OUTCOME_HELD_OUT, RULE_HOLDOUT);
        return true;
    }
    ledger_take(who, in, SENT_RESERVED);
    must(in->has_slot);
    in->state = INTENT_QUEUED;
    in->ending = OUTCOME_NONE;
    in->until_ms = min_of(v->at_ms, in->deadline_ms);
    must(in->until_ms > who->now_ms); /* else the pool would send it straight back */
    person_note_about(who, in->journey, in->message,
                      "message %.*s: allowed by every rule, handed to provider %.*s",
                      STR_ARG(names_text(who->names, in->message)),
                      STR_ARG(names_text(who->names, plan->providers[provider].name)));
    person_send(who,
                (struct stage_message){
                    .kind = TO_POOL_QUEUE,
                    .channel = in->channel,
                    .lane = in->lane,
                    .attempt = (uint16_t)(attempt_before(who, in) + 1),
                    .group_rank = intent_group(who, in),
                    .provider = plan->providers[provider].name,
                    .plan = in->plan,
                    .message_index = in->message_index,
                    .provider_index = provider,
                    .message = in->message,
                    .journey = in->journey,
                    .journey_priority = in->journey_priority,
                    .priority = in->priority,
                    .decision = in->decision,
                    .created_ms = in->created_ms,
                    .deadline_ms = in->deadline_ms,
                    .until_ms = in->until_ms,
                    .content = content_of(who, in),
                    .address = in->address,
                    .voucher = voucher == PLAN_NO_INDEX ? NAME_NONE : plan->vouchers[voucher].name,
                    .empty = intent_send(who, in)->voucher_empty,
                    .fields = freeze(who, in),
                });
    return true;
}

/* ---- time -------------------------------------------------------------------------------------- */

int64_t intent_asked_again_ms(const struct intent *in)
{
    must(in->state == INTENT_DEFERRED);
    return in->not_before_ms == FOREVER_MS || in->rule == RULE_COMPETITION
               ? min_of(in->not_before_ms, in->until_ms)
               : in->not_before_ms;
}

int64_t desk_deadline(const struct person *who)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        const struct intent *in = person_intent(who, i);
        switch ((enum intent_state)in->state) {
        case INTENT_SETTLING:
            next_ms = min_of(next_ms, min_of(in->settle_ms, in->deadline_ms));
            break;
        case INTENT_DEFERRED:
            next_ms = min_of(next_ms, min_of(intent_asked_again_ms(in), in->deadline_ms));
            break;
        case INTENT_QUEUED: next_ms = min_of(next_ms, min_of(in->until_ms, in->deadline_ms)); break;
        case INTENT_IN_DOUBT: next_ms = min_of(next_ms, in->granted_ms + IN_DOUBT_LASTS_MS); break;
        case INTENT_PLANNED: next_ms = min_of(next_ms, in->settle_ms); break;
        case INTENT_WATCHED: next_ms = min_of(next_ms, in->watch_ms); break;
        case INTENT_REVOKING:
        case INTENT_GRANTED: break;
        }
    }
    return next_ms;
}

void desk_timer(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->intents.count;) {
        const struct intent *in = person_intent(who, i);
        bool is_gone = false;
        switch ((enum intent_state)in->state) {
        case INTENT_SETTLING:
        case INTENT_DEFERRED:
            if (in->deadline_ms <= who->at_ms) {
                explain_refusals(who, in, OUTCOME_EXPIRED);
                intent_finish(who, i, OUTCOME_EXPIRED, in->rule);
                is_gone = true;
            } else if (in->settle_ms <= who->at_ms || in->not_before_ms <= who->at_ms) {
                who->is_desk_due = true;
            }
            break;
        case INTENT_QUEUED:
            if (in->deadline_ms <= who->at_ms)
                intent_revoke(who, person_touch_intent(who, i), OUTCOME_EXPIRED);
            else if (in->until_ms <= who->at_ms)
                who->is_desk_due = true;
            break;
        case INTENT_IN_DOUBT:
            if (in->granted_ms + IN_DOUBT_LASTS_MS <= who->at_ms) {
                intent_finish(who, i, OUTCOME_UNKNOWN, RULE_NONE);
                is_gone = true;
            }
            break;
        case INTENT_PLANNED:
            if (in->settle_ms <= who->at_ms)
                follow_begin(who, i);
            break;
        case INTENT_WATCHED:
            if (in->watch_ms <= who->at_ms) {
                intent_forget(who, i);
                is_gone = true;
            }
            break;
        case INTENT_REVOKING:
        case INTENT_GRANTED: break;
        }
        if (!is_gone)
            i++;
    }
}
