/* explain.c - why a message does not go, for people: who refuses and by which facts, until when, and
 * what one change would have let it go.
 *
 *     channels ──► rules ──► refusals ──► lines:  held back on email until T by cap (rule 11): ...
 *                                │
 *                                └──► of each channel: how many things stand in the way?
 *                                       one, on some channel:  would go at once but for ...
 *                                       more, on every one:    no single change would be enough
 *
 * Rules are asked one by one, and refuse independently of each other: with the only thing that refuses
 * taken away, all of them allow. What stands in the way is counted in things (a cap, a hold, a pause by
 * a journey), not in rules: two full caps are two changes. The control group is one more. Where a cap is
 * full only because a rival has taken its last slot, the rival is asked away and named as well.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/desk_int.h"

#include <stdio.h>

#define REFUSALS_MAX (PLAN_CHANNELS_MAX * 16)

struct refusal_line {
    uint8_t channel;
    uint8_t rule;
    struct answer answer;
    uint32_t things;
    struct str facts;
    struct str names; /* of the things */
};

struct refusals {
    struct refusal_line at[REFUSALS_MAX];
    uint32_t count;
    uint32_t things[PLAN_CHANNELS_MAX]; /* by place of the channel in the intent */
};

static void add(struct refusals *all, uint32_t place, const struct refusal_line *line)
{
    must(place < PLAN_CHANNELS_MAX);
    must(line->things > 0);
    all->things[place] += line->things;
    if (all->count < REFUSALS_MAX)
        all->at[all->count++] = *line;
}

/* What the rules say about one channel. */
static void ask_channel(struct question *q, uint32_t place, struct refusals *all)
{
    struct arena *scratch = q->who->scratch;
    struct buf words;
    struct blamed blamed = {.count = 0};
    buf_init(&words);
    buf_init(&blamed.names);
    q->words = &words;
    q->blamed = &blamed;
    uint8_t number;
    struct answer answer;
    for (uint32_t i = 0;; i++) {
        words.len = blamed.names.len = blamed.count = 0;
        if (!rule_ask(i, q, &number, &answer))
            break;
        must(number != RULE_NONE);
        if (answer.kind == ALLOW)
            continue;
        struct str names = blamed.count ? buf_str(&blamed.names) : str_of(rule_name(number));
        add(all, place,
            &(struct refusal_line){.channel = (uint8_t)q->channel,
                                   .rule = number,
                                   .answer = answer,
                                   .things = max_of(blamed.count, 1u),
                                   .facts = arena_copy(scratch, buf_str(&words)),
                                   .names = arena_copy(scratch, names)});
    }
    q->words = NULL;
    q->blamed = NULL;
    buf_fini(&words);
    buf_fini(&blamed.names);
}

static const char *gate_words(enum suppression how)
{
    switch (how) {
    case SUPPRESSED_BAD_ADDRESS: return "a provider said that the address is bad";
    case SUPPRESSED_UNSUBSCRIBED: return "somebody with this address said no to marketing";
    case SUPPRESSED_COMPLAINT: return "somebody with this address complained";
    case SUPPRESSED_CAP: return "the address has had its share";
    case SUPPRESSED_DUPLICATE:
        return "the same went to this address within a day, for somebody else who has it too";
    case SUPPRESSED_STOPPED: return "the address is stopped";
    }
    return "the address may not be written to";
}

/* The pool of vouchers that it takes a code of, "" if it takes none. */
static struct str voucher_pool(const struct person *who, const struct intent *in)
{
    const struct plan *plan = person_plan(who, in->plan);
    uint16_t pool = intent_send(who, in)->voucher;
    must(pool == PLAN_NO_INDEX || pool < plan->voucher_count);
    return pool == PLAN_NO_INDEX ? STR("") : names_text(who->names, plan->vouchers[pool].name);
}

/* Why a later stage sent it back. */
static struct str put_off_words(const struct person *who, const struct intent *in,
                                enum put_off_why why)
{
    switch (why) {
    case PUT_OFF_ADDRESS:
        return in->lane == LANE_OPT_IN
                   ? STR("the address has had its confirmations of a day or of 30 days")
                   : STR("the address has had its marketing messages of 24 hours, whoever they "
                         "were meant for");
    case PUT_OFF_VOUCHER:
        return arena_printf(who->scratch, "the pool of vouchers %.*s has no code left",
                            STR_ARG(voucher_pool(who, in)));
    case PUT_OFF_PACE:
        return STR("what operators held back goes on at a pace, and its turn comes then");
    case PUT_OFF_DOUBT:
        return STR("whether the last attempt arrived is not known: the next one is made after "
                   "a pause");
    }
    return STR("");
}

/* The same as one thing that would have to be otherwise. */
static struct str put_off_name(const struct person *who, const struct intent *in,
                               enum put_off_why why)
{
    switch (why) {
    case PUT_OFF_ADDRESS:
        return in->lane == LANE_OPT_IN ? STR("the limit of confirmations to one address")
                                       : STR("the limit of marketing messages to one address");
    case PUT_OFF_VOUCHER:
        return arena_printf(who->scratch, "the empty pool of vouchers %.*s",
                            STR_ARG(voucher_pool(who, in)));
    case PUT_OFF_PACE: return STR("the pace at which operators let it go on");
    case PUT_OFF_DOUBT: return STR("the pause after an attempt in doubt");
    }
    return STR("");
}

/* What a later stage said, and channels that are of no use any more. */
static void ask_later_stages(struct question *q, uint32_t place, struct refusals *all)
{
    const struct intent *in = q->intent;
    must(place < in->channel_count);
    struct refusal_line line = {.channel = (uint8_t)q->channel, .things = 1};
    const struct put_off *said = put_off_find(q->who, in, q->channel);
    if (in->refused >> place & 1) {
        line.rule = RULE_POOL;
        line.answer = (struct answer){.kind = NEVER_HERE, .outcome = in->reason};
        line.names = STR("that it was refused there before");
        line.facts = arena_printf(
            q->who->scratch, "it was refused there before%s%.*s", in->reason ? ": " : "",
            STR_ARG(in->reason ? outcome_term((enum outcome)in->reason)->doc : STR("")));
    } else if (said != NULL) {
        line.rule = put_off_rule(said);
        line.answer = (struct answer){.kind = NOT_BEFORE, .at_ms = said->until_ms};
        line.names = put_off_name(q->who, in, (enum put_off_why)said->why);
        line.facts = put_off_words(q->who, in, (enum put_off_why)said->why);
    } else {
        return;
    }
    add(all, place, &line);
}

static bool is_same(const struct refusal_line *a, const struct refusal_line *b)
{
    return a->rule == b->rule && a->answer.kind == b->answer.kind &&
           a->answer.at_ms == b->answer.at_ms && str_equal(a->facts, b->facts);
}

/* "email", "email and push": all channels of which the rule says the same. */
static struct str channels_of(struct arena *scratch, const struct refusals *all, uint32_t i)
{
    must(i < all->count);
    struct str list = channel_name((enum channel)all->at[i].channel);
    for (uint32_t k = i + 1; k < all->count; k++)
        if (is_same(&all->at[k], &all->at[i]))
            list = arena_printf(scratch, "%.*s and %.*s", STR_ARG(list),
                                STR_ARG(channel_name((enum channel)all->at[k].channel)));
    return list;
}

static bool was_told(const struct refusals *all, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (is_same(&all->at[k], &all->at[i]))
            return true;
    return false;
}

static void tell_refusal(struct question *q, const struct refusals *all, uint32_t i)
{
    struct person *who = q->who;
    must(i < all->count);
    const struct refusal_line *line = &all->at[i];
    const struct intent *in = q->intent;
    struct str name = names_text(who->names, in->message);
    struct str channels = channels_of(who->scratch, all, i);
    struct note about = {
        .kind = NOTE_RULE,
        .journey = in->journey,
        .message = in->message,
        .channel = line->channel,
        .rule = rule_name(line->rule),
        .until_ms = line->answer.kind == NOT_BEFORE ? line->answer.at_ms : 0,
    };
    const char *rule = rule_name(line->rule);
    unsigned number = line->rule;
    switch ((enum answer_kind)line->answer.kind) {
    case ALLOW: return;
    case NOT_BEFORE:
        if (line->answer.at_ms == FOREVER_MS)
            person_tell(who, &about,
                        "message %.*s: held back on %.*s by rule %u (%s) until that changes: %.*s",
                        STR_ARG(name), STR_ARG(channels), number, rule, STR_ARG(line->facts));
        else
            person_tell(who, &about,
                        "message %.*s: held back on %.*s by rule %u (%s) until %s: %.*s",
                        STR_ARG(name), STR_ARG(channels), number, rule,
                        moment(q, line->answer.at_ms), STR_ARG(line->facts));
        return;
    case NEVER_HERE:
        person_tell(who, &about, "message %.*s: refused on %.*s by rule %u (%s): %.*s",
                    STR_ARG(name), STR_ARG(channels), number, rule, STR_ARG(line->facts));
        return;
    case NEVER:
        person_tell(who, &about, "message %.*s: refused by rule %u (%s): %.*s", STR_ARG(name),
                    number, rule, STR_ARG(line->facts));
        return;
    }
}

/* The rival whose reserved slot alone fills the caps, or NULL: as if it had given it back. */
static const struct sent *slot_taker(struct question *q)
{
    for (uint32_t i = 0; i < q->who->profile->ledger.count; i++) {
        const struct sent *s = person_sent(q->who, i);
        if (s->state != SENT_RESERVED || s->decision == q->intent->decision)
            continue;
        struct question without = *q;
        without.yields = &s->decision;
        without.yield_count = 1;
        if (rule_cap_ask(&without).kind == ALLOW)
            return s;
    }
    return NULL;
}

/* The only thing that refuses on the channel, as words; a rival that took the slot with it. */
static struct str only_thing(struct question *q, const struct refusals *all, enum channel channel)
{
    struct person *who = q->who;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct refusal_line *line = &all->at[i];
        if (line->channel != channel)
            continue;
        q->channel = channel;
        const struct sent *rival = line->rule == RULE_CAP ? slot_taker(q) : NULL;
        if (rival == NULL)
            return line->names;
        return arena_printf(who->scratch,
                            "%.*s, or for %.*s (journey %.*s), which took its last slot",
                            STR_ARG(line->names), STR_ARG(names_text(who->names, rival->message)),
                            STR_ARG(names_text(who->names, person_sent_more(who, rival)->journey)));
    }
    return STR("the control group");
}

/* All that stands in the way, channel by channel. */
static struct str everything(struct question *q, const struct refusals *all)
{
    struct arena *scratch = q->who->scratch;
    struct str text = STR("");
    for (uint32_t i = 0; i < all->count; i++) {
        if (was_told(all, i))
            continue;
        const struct refusal_line *line = &all->at[i];
        text = line->answer.kind == NEVER
                   ? arena_printf(scratch, "%.*s%s%.*s", STR_ARG(text), text.len ? "; " : "",
                                  STR_ARG(line->names))
                   : arena_printf(scratch, "%.*s%s%.*s (%.*s)", STR_ARG(text), text.len ? "; " : "",
                                  STR_ARG(line->names), STR_ARG(channels_of(scratch, all, i)));
    }
    if (q->intent->is_ghost)
        text =
            arena_printf(scratch, "%.*s%sthe control group", STR_ARG(text), text.len ? "; " : "");
    return text;
}

static void tell_change(struct question *q, const struct refusals *all, enum outcome ended)
{
    struct person *who = q->who;
    const struct intent *in = q->intent;
    struct note about = {.kind = NOTE_CHANGE, .journey = in->journey, .message = in->message};
    struct str name = names_text(who->names, in->message);
    const char *would = ended == OUTCOME_NONE ? "would go" : "would have gone";
    const char *now = moment(q, who->now_ms);
    struct str changes = STR("");
    for (uint32_t i = 0; i < in->channel_count; i++) {
        if (all->things[i] + in->is_ghost != 1)
            continue;
        enum channel channel = (enum channel)in->channels[i];
        changes = arena_printf(who->scratch, "%.*s%s on %.*s but for %.*s", STR_ARG(changes),
                               changes.len ? ";" : "", STR_ARG(channel_name(channel)),
                               STR_ARG(only_thing(q, all, channel)));
    }
    if (changes.len > 0)
        person_tell(who, &about, "message %.*s: %s at %s%.*s", STR_ARG(name), would, now,
                    STR_ARG(changes));
    else
        person_tell(who, &about, "message %.*s: no single change %s at %s; in the way: %.*s",
                    STR_ARG(name),
                    ended == OUTCOME_NONE ? "would let it go" : "would have let it go", now,
                    STR_ARG(everything(q, all)));
}

void explain_refusals(struct person *who, const struct intent *in, enum outcome ended)
{
    if (who->witness == NULL)
        return;
    struct question q = verdict_question(who, in);
    struct note about = {.kind = NOTE_RULE, .journey = in->journey, .message = in->message};
    if (q.category == PLAN_NO_INDEX || q.journey == PLAN_NO_INDEX) {
        person_tell(who, &about,
                    "message %.*s: the programme that is active has no such %s any more",
                    STR_ARG(names_text(who->names, in->message)),
                    q.journey == PLAN_NO_INDEX ? "journey" : "category");
        return;
    }
    struct refusals *all = arena_new(who->scratch, struct refusals);
    bool is_free = false; /* some channel is open: nothing stands in the way */
    must(in->channel_count <= PLAN_CHANNELS_MAX);
    for (uint32_t i = 0; i < in->channel_count; i++) {
        q.channel = (enum channel)in->channels[i];
        q.at_ms = who->now_ms;
        ask_later_stages(&q, i, all);
        if (!(in->refused >> i & 1))
            ask_channel(&q, i, all);
        is_free |= all->things[i] == 0;
    }
    must(all->count <= REFUSALS_MAX);
    for (uint32_t i = 0; i < all->count; i++)
        if (!was_told(all, i))
            tell_refusal(&q, all, i);
    if (!is_free || in->is_ghost)
        tell_change(&q, all, ended);
}

/* Every rule of the desk allowed it, and something behind the desk is against it: `rule` says so. */
static void tell_later(struct person *who, const struct intent *in, uint32_t rule, int64_t until_ms,
                       struct str facts)
{
    struct question q = {.who = who};
    struct str name = names_text(who->names, in->message);
    person_tell(who,
                &(struct note){.kind = NOTE_RULE,
                               .journey = in->journey,
                               .message = in->message,
                               .channel = in->channel,
                               .rule = rule_name(rule),
                               .until_ms = until_ms},
                "message %.*s: %s on %.*s by rule %u (%s)%s%s: %.*s", STR_ARG(name),
                until_ms != 0 ? "held back" : "refused",
                STR_ARG(channel_name((enum channel)in->channel)), rule, rule_name(rule),
                until_ms != 0 ? " until " : "", until_ms != 0 ? moment(&q, until_ms) : "",
                STR_ARG(facts));
}

static void tell_only_change(struct person *who, const struct intent *in)
{
    struct question q = {.who = who};
    if (in->is_ghost)
        return;
    person_tell(who,
                &(struct note){.kind = NOTE_CHANGE,
                               .journey = in->journey,
                               .message = in->message,
                               .channel = in->channel},
                "message %.*s: would have gone at %s on %.*s but for this: every other rule "
                "allowed it",
                STR_ARG(names_text(who->names, in->message)), moment(&q, who->now_ms),
                STR_ARG(channel_name((enum channel)in->channel)));
}

void explain_gate(struct person *who, const struct intent *in, enum suppression how)
{
    if (who->witness == NULL || in->ending != OUTCOME_NONE)
        return;
    tell_later(who, in, RULE_ADDRESS, 0, str_of(gate_words(how)));
    tell_only_change(who, in);
}

void explain_put_off(struct person *who, const struct intent *in, const struct put_off *said)
{
    if (who->witness == NULL || in->ending != OUTCOME_NONE)
        return;
    tell_later(who, in, put_off_rule(said), said->until_ms,
               put_off_words(who, in, (enum put_off_why)said->why));
    if (said->why == PUT_OFF_ADDRESS || said->why == PUT_OFF_VOUCHER)
        tell_only_change(who, in);
}

void explain_empty(struct person *who, const struct intent *in)
{
    if (who->witness == NULL)
        return;
    tell_later(who, in, RULE_POOL, 0, put_off_words(who, in, PUT_OFF_VOUCHER));
    tell_only_change(who, in);
}

static const char *try_words(enum receipt_kind kind)
{
    switch (kind) {
    case RECEIPT_ACCEPTED: return "accepted";
    case RECEIPT_TEMPORARY: return "failed for now";
    case RECEIPT_REJECTED_ADDRESS: return "refused for its address";
    case RECEIPT_REJECTED_MESSAGE: return "refused for what it says";
    case RECEIPT_REJECTED_POLICY: return "refused by policy";
    case RECEIPT_IN_DOUBT: return "its answer was lost";
    case RECEIPT_GAVE_UP: return "given up: no time is left to try again";
    case RECEIPT_ABORTED: return "could not be rendered";
    case RECEIPT_DELIVERED: return "reported as delivered";
    case RECEIPT_BOUNCED: return "bounced";
    case RECEIPT_TASK_DONE:
    case RECEIPT_TASK_DECLINED: break; /* no message's */
    case RECEIPT_KIND_END: break;
    }
    return "";
}

void explain_try(struct person *who, const struct intent *in, const struct sent *line,
                 const struct receipt *r)
{
    if (who->witness == NULL || (in == NULL && line == NULL) || r->kind == RECEIPT_KIND_END)
        return;
    uint32_t message = in != NULL ? in->message : line->message;
    struct note about = {.kind = NOTE_TRY,
                         .journey = in != NULL ? in->journey : person_sent_more(who, line)->journey,
                         .message = message,
                         .channel = in != NULL ? in->channel : line->channel,
                         .until_ms = r->again_ms};
    struct arena *scratch = who->scratch;
    struct str tries = r->tries > 0 ? arena_printf(scratch, ", try %u", r->tries) : STR("");
    struct str code = r->code != 0 ? arena_printf(scratch, " (%d)", r->code) : STR("");
    struct str again = r->again_ms != 0 ? arena_printf(scratch, "; the next try is at %s",
                                                       person_moment(who, r->again_ms))
                                        : STR("");
    person_tell(who, &about, "message %.*s: attempt %u%.*s at provider %.*s: %s%.*s%s%.*s%.*s",
                STR_ARG(names_text(who->names, message)), r->attempt, STR_ARG(tries),
                STR_ARG(names_text(who->names, r->provider)), try_words(r->kind), STR_ARG(code),
                r->detail.len ? ": " : "", STR_ARG(r->detail), STR_ARG(again));
}

/* ---- what waits ---------------------------------------------------------------------------------- */

void desk_explain(struct person *who, uint32_t place)
{
    const struct intent *in = person_intent(who, place);
    if (who->witness == NULL)
        return;
    struct question q = verdict_question(who, in);
    struct str name = names_text(who->names, in->message);
    const char *deadline = moment(&q, in->deadline_ms);
    struct note about = {.kind = NOTE_SCHEDULE, .journey = in->journey, .message = in->message};
    if (in->state <= INTENT_DEFERRED)
        explain_refusals(who, in, OUTCOME_NONE);
    switch ((enum intent_state)in->state) {
    case INTENT_SETTLING:
        about.until_ms = in->settle_ms;
        if (in->settle_ms > who->now_ms)
            person_tell(who, &about, "message %.*s: waits for rivals until %s; its deadline is %s",
                        STR_ARG(name), moment(&q, in->settle_ms), deadline);
        return;
    case INTENT_DEFERRED:
        about.until_ms = in->not_before_ms;
        if (in->not_before_ms == FOREVER_MS)
            person_tell(who, &about,
                        "message %.*s: asked again when that changes; its deadline is %s",
                        STR_ARG(name), deadline);
        else
            person_tell(who, &about, "message %.*s: asked again at %s; its deadline is %s",
                        STR_ARG(name), moment(&q, intent_asked_again_ms(in)), deadline);
        return;
    case INTENT_QUEUED:
        person_tell(who, &about,
                    "message %.*s: allowed on %.*s until %s; waits for its turn (a free "
                    "connection, the rate) at provider %.*s",
                    STR_ARG(name), STR_ARG(channel_name((enum channel)in->channel)),
                    moment(&q, in->until_ms),
                    STR_ARG(names_text(who->names, intent_provider(who, in))));
        return;
    case INTENT_REVOKING:
        person_tell(who, &about, "message %.*s: is being taken back from its provider's queue",
                    STR_ARG(name));
        return;
    case INTENT_GRANTED:
        about.until_ms = in->again_ms;
        person_tell(who, &about, "message %.*s: attempt %u on %.*s is under way at provider %.*s",
                    STR_ARG(name), in->attempt, STR_ARG(channel_name((enum channel)in->channel)),
                    STR_ARG(names_text(who->names, intent_provider(who, in))));
        if (in->tries > 0)
            person_tell(who, &about,
                        "message %.*s: %u %s failed for now, the last with code %d%s%s",
                        STR_ARG(name), in->tries, in->tries == 1 ? "try" : "tries", in->code,
                        in->again_ms ? "; the next is at " : "",
                        in->again_ms ? moment(&q, in->again_ms) : "");
        return;
    case INTENT_IN_DOUBT:
        person_tell(who, &about,
                    "message %.*s: handed to provider %.*s, whose answer was lost; it is not sent "
                    "again",
                    STR_ARG(name), STR_ARG(names_text(who->names, intent_provider(who, in))));
        return;
    case INTENT_PLANNED:
        about.until_ms = in->settle_ms;
        person_tell(who, &about,
                    "message %.*s: a follow-up, planned for %s unless they engage with what went "
                    "before",
                    STR_ARG(name), moment(&q, in->settle_ms));
        return;
    case INTENT_WATCHED:
        about.until_ms = in->watch_ms;
        person_tell(who, &about,
                    "message %.*s: went out on %.*s; a bounce until %s tries the next channel",
                    STR_ARG(name), STR_ARG(channel_name((enum channel)in->channel)),
                    moment(&q, in->watch_ms));
        return;
    }
}

/* ---- rivals -------------------------------------------------------------------------------------- */

static struct str group_name(const struct person *who, uint16_t group)
{
    return group == PLAN_NO_INDEX ? STR("none")
                                  : names_text(who->names, who->plan->groups[group].name);
}

const char *explain_order(struct person *who, const struct intent *a, const struct intent *b)
{
    must(a != b);
    uint16_t group_a = intent_group(who, a), group_b = intent_group(who, b);
    struct question q = {.who = who};
    struct str text;
    if (a->lane != b->lane)
        text = arena_printf(who->scratch, "by lane, %.*s before %.*s",
                            STR_ARG(lane_term((enum lane)a->lane)->name),
                            STR_ARG(lane_term((enum lane)b->lane)->name));
    else if (group_a != group_b)
        text = arena_printf(who->scratch, "by group, %.*s before %.*s",
                            STR_ARG(group_name(who, group_a)), STR_ARG(group_name(who, group_b)));
    else if (a->journey_priority != b->journey_priority)
        text = arena_printf(who->scratch, "by priority of the journey, %d before %d",
                            a->journey_priority, b->journey_priority);
    else if (a->priority != b->priority)
        text = arena_printf(who->scratch, "by priority, %d before %d", a->priority, b->priority);
    else if (a->deadline_ms != b->deadline_ms)
        text = arena_printf(who->scratch, "by deadline, %s before %s", moment(&q, a->deadline_ms),
                            moment(&q, b->deadline_ms));
    else if (a->created_ms != b->created_ms)
        text = arena_printf(who->scratch, "by age, %s before %s", moment(&q, a->created_ms),
                            moment(&q, b->created_ms));
    else
        text = STR("by chance: all else is equal");
    return arena_printf(who->scratch, "%.*s", STR_ARG(text)).at;
}
