/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/errand.h"

#include "base/canary.h"
#include "base/hook.h"
#include "decide/desk_int.h"
#include "decide/operator.h"
#include "model/errand.h"
#include "profile/ask.h"
#include "profile/choices.h"
#include "profile/errands.h"
#include "when/civil.h"

#define WITHDRAW_MS   DAY_MS          /* so long a provider is told that a task is withdrawn */
#define DOUBT_MS      (5 * SECOND_MS) /* before what is in doubt is made again */
#define WITHDRAWS_MAX 8               /* and so many attempts are made of it */
#define UNWANTED_MS   (12 * HOUR_MS)  /* so long a test's other release holds one back */

static bool is_call(const struct errand *x)
{
    return x->kind == ERRAND_CALL;
}

static void note_news(struct person *who, const struct errand *x, enum errand_news news,
                      int64_t number)
{
    person_result(who, (struct result){.kind = RESULT_ERRAND,
                                       .how = (uint8_t)news,
                                       .step = x->step,
                                       .journey = x->journey,
                                       .version = x->plan,
                                       .id = x->instance,
                                       .number = number});
}

static void over(struct person *who, uint32_t place, enum errand_ending ending, int64_t number,
                 struct body saved)
{
    note_news(who, person_errand(who, place), ERRAND_IS_OVER, number);
    errand_end(who, place, ending, saved);
}

static void over_empty(struct person *who, uint32_t place, enum errand_ending ending)
{
    over(who, place, ending, 0, (struct body){0});
}

/* ---- the rules ----------------------------------------------------------------------------------- */

static uint16_t message_index(const struct person *who, const struct errand *x)
{
    const struct plan *plan = person_plan(who, x->plan);
    must(x->errand < plan->errand_count);
    return (uint16_t)(plan->message_count + plan->audience_count + x->errand);
}

static enum lane lane_of(const struct person *who, const struct errand *x)
{
    const struct plan_errand *means = errand_means(who, x);
    const struct plan *plan = person_plan(who, x->plan);
    if (means->request.category == PLAN_NO_INDEX)
        return LANE_MARKETING;
    must(means->request.category < plan->category_count);
    return (enum lane)plan->categories[means->request.category].lane;
}

static struct intent intent_of(const struct person *who, const struct errand *x)
{
    return (struct intent){
        .decision = x->decision,
        .instance = x->instance,
        .message = errand_means(who, x)->name,
        .message_index = message_index(who, x),
        .journey = x->journey,
        .plan = x->plan,
        .journey_index = plan_journey_find(who->plan, x->journey),
        .lane = (uint8_t)lane_of(who, x),
        .channel = CHANNEL_WEBHOOK,
        .is_ghost = x->is_ghost,
        .created_ms = x->began_ms,
        .deadline_ms = x->deadline_ms,
    };
}

/* The category as the newest programme has it. */
static uint16_t category_of(const struct person *who, const struct errand *x)
{
    uint16_t index = errand_means(who, x)->request.category;
    if (index == PLAN_NO_INDEX)
        return PLAN_NO_INDEX;
    must(index < person_plan(who, x->plan)->category_count);
    uint32_t name = person_plan(who, x->plan)->categories[index].name;
    for (uint32_t i = 0; i < who->plan->category_count; i++)
        if (who->plan->categories[i].name == name)
            return (uint16_t)i;
    return PLAN_NO_INDEX;
}

static struct question question_of(struct person *who, const struct errand *x,
                                   const struct intent *in)
{
    uint16_t journey = in->journey_index;
    must(journey == PLAN_NO_INDEX || journey < who->plan->journey_count);
    return (struct question){
        .who = who,
        .intent = in,
        .plan = who->plan,
        .message = &errand_means(who, x)->request,
        .category = category_of(who, x),
        .journey = journey,
        .group = journey == PLAN_NO_INDEX ? PLAN_NO_INDEX : who->plan->journeys[journey].group,
        .channel = CHANNEL_WEBHOOK,
        .lane_flags = lane_term((enum lane)in->lane)->flags,
        .at_ms = who->now_ms,
        .put_off_ms = INT64_MIN,
    };
}

static uint8_t ask_holdout(struct question *q, const struct errand *x, struct answer *out)
{
    uint8_t flags = x->is_ghost ? INSTANCE_IS_GHOST : 0;
    if (errand_means(q->who, x)->reads || planted("errand-ignores-holdout") ||
        !intent_is_ghost(q->who, (enum lane)q->intent->lane, flags))
        return RULE_NONE;
    say(q, "they are held out");
    *out = (struct answer){.kind = NEVER, .outcome = OUTCOME_HELD_OUT};
    return RULE_HOLDOUT;
}

/* People would get in touch with somebody who does not want that. */
static uint8_t ask_contact(struct question *q, struct answer *out)
{
    if (q->lane_flags & LANE_MUST_CONTACT || !choices_no_contact(q->who))
        return RULE_NONE;
    say(q, "they are not to be contacted");
    *out = (struct answer){.kind = NEVER, .outcome = OUTCOME_NO_CONSENT};
    return RULE_CONSENT;
}

/* The first rule that is against it, or RULE_NONE. */
static uint8_t ask_rules(struct question *q, const struct errand *x, struct answer *out)
{
    uint8_t rule = is_call(x) ? RULE_NONE : ask_contact(q, out);
    if (rule != RULE_NONE)
        return rule;
    *out = operator_wants(q);
    if (out->kind != ALLOW)
        return RULE_WANTED;
    rule = ask_holdout(q, x, out);
    if (rule != RULE_NONE)
        return rule;
    bool has_holds = !is_call(x) && !planted("task-ignores-holds");
    *out = has_holds ? rule_hold_ask(q) : operator_holds(q);
    if (out->kind != ALLOW)
        return RULE_HOLD;
    if (is_call(x))
        return RULE_NONE;
    *out = rule_group_ask(q);
    return out->kind != ALLOW ? RULE_GROUP : RULE_NONE;
}

/* Asks the rules, and notes what is against it. True: none. It may have ended. */
static bool is_allowed(struct person *who, uint32_t place)
{
    struct errand *x = person_touch_errand(who, place);
    struct intent in = intent_of(who, x);
    struct question q = question_of(who, x, &in);
    struct answer answer = ANSWER_ALLOW;
    struct buf words;
    uint8_t before = x->rule;
    buf_init(&words);
    q.words = who->witness != NULL ? &words : NULL;
    x->rule = ask_rules(&q, x, &answer);
    x->ask_ms = answer.kind == NOT_BEFORE ? answer.at_ms : FOREVER_MS;
    uint8_t rule = x->rule;
    must((rule == RULE_NONE) == (answer.kind == ALLOW));
    if (rule != RULE_NONE && rule != before) {
        note_news(who, x, ERRAND_IS_REFUSED, rule);
        person_note_about(who, x->journey, NAME_NONE, "%s %.*s: refused by rule %s: %.*s",
                          is_call(x) ? "call" : "task", STR_ARG(names_text(who->names, x->name)),
                          rule_name(rule), STR_ARG(buf_str(&words)));
    }
    buf_fini(&words);
    if (answer.kind == NEVER || answer.kind == NEVER_HERE)
        over_empty(who, place, rule == RULE_HOLDOUT ? ERRAND_HELD_OUT : ERRAND_WITHDRAWN);
    return rule == RULE_NONE;
}

/* ---- what the provider is told ------------------------------------------------------------------- */

static struct str said(const struct person *who, const struct errand *x, uint32_t name)
{
    return body_get_text((struct body){blob_at(who->space, x->says), x->says.bytes}, name);
}

static void put_task(struct person *who, const struct errand *x, struct str key, struct buf *b)
{
    const struct plan_errand *means = errand_means(who, x);
    must(!is_call(x));
    struct value person = ask_slot(who, SLOT(SLOT_META, META_PERSON_ID), (struct blob){0},
                                   x->journey, NAME_NONE, x->decision, x->attempt);
    char due[TIMESTAMP_BYTES] = "";
    if (x->deadline_ms != FOREVER_MS)
        (void)timestamp_print(x->deadline_ms, due);
    body_put_text(b, TASK_KEY + 1, key);
    body_put_text(b, TASK_ACTION + 1, x->withdraws ? STR("withdraw") : STR("open"));
    body_put_text(b, TASK_QUEUE + 1, names_text(who->names, means->queue));
    if (!x->withdraws) { /* its texts are forgotten when it has ended */
        body_put_text(b, TASK_TITLE + 1, said(who, x, NAME_TASK_TITLE));
        body_put_text(b, TASK_DETAILS + 1, said(who, x, NAME_TASK_DETAILS));
        body_put_text(b, TASK_ASSIGNEE + 1, said(who, x, NAME_TASK_ASSIGNEE));
    }
    body_put_text(b, TASK_DUE + 1, str_of(due));
    body_put(b, TASK_PERSON + 1, &person);
    body_put_text(b, TASK_JOURNEY + 1, names_text(who->names, x->journey));
}

static void put_call(struct person *who, const struct errand *x, struct str key, struct buf *b)
{
    must(is_call(x));
    const struct plan_message *m = &errand_means(who, x)->request;
    struct blob entry = {0};
    for (uint32_t i = 0; i < who->profile->instances.count; i++)
        if (person_instance(who, i)->id == x->instance)
            entry = person_more(who, person_instance(who, i))->entry;
    body_put_text(b, ERRAND_KEY + 1, key);
    for (uint32_t i = CALL_OWN_FIELDS; i < m->field_count; i++) {
        struct value value =
            ask_slot(who, m->fields[i], entry, x->journey, NAME_NONE, x->decision, x->attempt);
        size_t before = b->len;
        body_put(b, i + 1, &value);
        if (b->len > SPACE_OBJECT_MAX)
            b->len = before; /* it would not fit into the queue: rendered as if it were missing */
    }
}

/* What the request's template reads, behind an address that it has not and the person's zone. */
static struct str freeze(struct person *who, const struct errand *x)
{
    char key[ERRAND_KEY_BYTES];
    struct buf *b = who->bytes;
    errand_key_print(x->key_profile, x->decision, key);
    b->len = 0;
    buf_add_varint(b, 0);
    buf_add_varint(b, 0);
    if (is_call(x))
        put_call(who, x, str_of(key), b);
    else
        put_task(who, x, str_of(key), b);
    return arena_copy(who->scratch, buf_str(b));
}

static void start(struct person *who, struct errand *x)
{
    must(x->state == ERRAND_WAITING || x->state == ERRAND_OPEN);
    const struct plan *plan = person_plan(who, x->plan);
    const struct plan_errand *means = errand_means(who, x);
    const struct plan_message *m = &means->request;
    uint16_t provider = m->providers[CHANNEL_WEBHOOK];
    int64_t deadline_ms = x->withdraws ? who->now_ms + WITHDRAW_MS : x->deadline_ms;
    must(provider < plan->provider_count);
    must(deadline_ms > who->now_ms);
    must(x->attempt < UINT16_MAX);
    x->state = ERRAND_QUEUED;
    x->attempt++;
    x->profile = who->id;
    x->provider = plan->providers[provider].name;
    x->rule = RULE_NONE;
    person_send(who, (struct stage_message){
                         .kind = TO_POOL_QUEUE,
                         .how = means->is_once ? AT_MOST_ONCE : AT_LEAST_ONCE,
                         .channel = CHANNEL_WEBHOOK,
                         .lane = (uint8_t)lane_of(who, x),
                         .attempt = x->attempt,
                         .group_rank = UINT16_MAX,
                         .provider = x->provider,
                         .plan = x->plan,
                         .message_index = message_index(who, x),
                         .provider_index = provider,
                         .message = means->name,
                         .journey = x->journey,
                         .decision = x->decision,
                         .created_ms = x->began_ms,
                         .deadline_ms = deadline_ms,
                         .until_ms = deadline_ms,
                         .about = ABOUT_ERRAND,
                         .fields = freeze(who, x),
                     });
}

static void take_back(struct person *who, struct errand *x)
{
    must(x->state == ERRAND_QUEUED);
    must(!x->withdraws);
    x->state = ERRAND_REVOKING;
    person_send(who, (struct stage_message){.kind = TO_POOL_REVOKE,
                                            .channel = CHANNEL_WEBHOOK,
                                            .provider = x->provider,
                                            .decision = x->decision,
                                            .about = ABOUT_ERRAND});
}

/* People have the task from here on. */
static void open_task(struct person *who, struct errand *x)
{
    must(!is_call(x));
    must(x->state != ERRAND_OPEN);
    x->state = ERRAND_OPEN;
    note_news(who, x, ERRAND_IS_OPEN, 0);
    person_note_about(who, x->journey, NAME_NONE, "task %.*s: open in queue %.*s",
                      STR_ARG(names_text(who->names, x->name)),
                      STR_ARG(names_text(who->names, errand_means(who, x)->queue)));
}

/* ---- settling ------------------------------------------------------------------------------------ */

/* Whether the provider has heard of the attempt is not known: it is made again under the same key, or, where it may be
 * made once alone, that was it. */
static void in_doubt(struct person *who, uint32_t place, int64_t code)
{
    struct errand *x = person_touch_errand(who, place);
    must(x->state == ERRAND_WAITING);
    if (!errand_means(who, x)->is_once || planted("call-once-again")) {
        x->rule = RULE_POOL;
        x->ask_ms = who->now_ms + DOUBT_MS;
    } else {
        over(who, place, is_call(x) ? ERRAND_TIMED_OUT : ERRAND_FAILED, code, (struct body){0});
    }
}

/* Another release has handed an attempt over that this one has not, or not yet. */
static const struct keep *unheeded(const struct person *who, const struct errand *x)
{
    const struct keep *k = keep_find_errand(who, x);
    return k != NULL && x->attempt < k->attempt ? k : NULL;
}

/* No attempt is ever made under its id again. */
static void heed(struct person *who, uint32_t place, const struct keep *k)
{
    struct errand *x = person_touch_errand(who, place);
    must(x->state == ERRAND_WAITING);
    x->attempt = (uint16_t)k->attempt;
    person_note_about(who, x->journey, NAME_NONE,
                      "%s %.*s: another release handed attempt %u over; it is in doubt",
                      is_call(x) ? "call" : "task", STR_ARG(names_text(who->names, x->name)),
                      k->attempt);
    if (errand_is_wanted(who, x))
        in_doubt(who, place, 0);
    else if (!is_call(x))
        x->state = ERRAND_OPEN; /* to be withdrawn */
}

/* It waits to be handed over, and somebody waits for it. */
static void try_start(struct person *who, uint32_t place)
{
    const struct errand *x = person_errand(who, place);
    must(x->state == ERRAND_WAITING);
    if (x->deadline_ms <= who->now_ms) {
        over_empty(who, place, is_call(x) ? ERRAND_TIMED_OUT : ERRAND_OVERDUE);
        return;
    }
    uint64_t unwanted = hook(HOOK_DECISION);
    if (unlikely(unwanted != 0 && x->decision % unwanted == 0 &&
                 who->now_ms < x->began_ms + UNWANTED_MS)) {
        struct errand *y = person_touch_errand(who, place);
        y->rule = RULE_POOL;
        y->ask_ms = x->began_ms + UNWANTED_MS;
        return;
    }
    bool is_paced = x->rule == RULE_POOL && x->ask_ms > who->now_ms;
    if (is_paced || !is_allowed(who, place))
        return;
    struct errand *y = person_touch_errand(who, place);
    if (!is_call(y) && !errand_means(who, y)->is_told)
        open_task(who, y);
    else
        start(who, y);
}

/* Nobody waits for it any more: brings it to its end. True: it is of no use any more. */
static bool wind_up(struct person *who, struct errand *x)
{
    bool was_done = x->ending == ERRAND_DONE || x->ending == ERRAND_DECLINED;
    switch ((enum errand_state)x->state) {
    case ERRAND_WAITING: return true;
    case ERRAND_QUEUED:
        if (!x->withdraws)
            take_back(who, x);
        return false;
    case ERRAND_GRANTED:
        if (x->withdraws)
            return false;
        x->state = ERRAND_RECALLED;
        messages_add(who->messages, (struct stage_message){.kind = TO_RECALL,
                                                           .profile = x->profile,
                                                           .decision = x->decision,
                                                           .attempt = x->attempt});
        return false;
    case ERRAND_OPEN:
        if (was_done || !errand_means(who, x)->is_told || x->attempt > WITHDRAWS_MAX)
            return true;
        x->withdraws = true;
        start(who, x);
        return false;
    case ERRAND_REVOKING:
    case ERRAND_RECALLED: return false;
    }
    return false;
}

void errands_settle(struct person *who)
{
    for (uint32_t i = who->profile->errands.count; i-- > 0;) {
        const struct keep *kept = unheeded(who, person_errand(who, i));
        if (unlikely(kept != NULL && person_errand(who, i)->state == ERRAND_WAITING))
            heed(who, i, kept);
        const struct errand *x = person_errand(who, i);
        if (!errand_is_wanted(who, x)) {
            bool waits_to_be_heard = x->ending != ERRAND_PENDING && !x->is_heard;
            if (x->ending == ERRAND_PENDING && !x->is_heard) {
                note_news(who, x, ERRAND_IS_DROPPED, 0);
                person_touch_errand(who, i)->is_heard = true;
            }
            if (!waits_to_be_heard && wind_up(who, person_touch_errand(who, i)))
                errand_drop(who, i);
            continue;
        }
        if (x->state == ERRAND_WAITING)
            try_start(who, i);
        else if (x->state == ERRAND_QUEUED && !is_allowed(who, i) &&
                 person_errand(who, i)->ending == ERRAND_PENDING)
            take_back(who, person_touch_errand(who, i));
    }
}

/* Does its time end it at a moment? Of a call under way its receipt does. */
static bool is_timed(const struct errand *x)
{
    bool is_under_way = x->state == ERRAND_GRANTED || x->state == ERRAND_RECALLED;
    return x->ending == ERRAND_PENDING && !(is_under_way && is_call(x));
}

void errands_timer(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->errands.count; i++) {
        const struct errand *x = person_errand(who, i);
        if (is_timed(x) && x->deadline_ms <= who->at_ms && errand_is_wanted(who, x))
            over_empty(who, i, is_call(x) ? ERRAND_TIMED_OUT : ERRAND_OVERDUE);
    }
}

int64_t errands_due(const struct person *who)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < who->profile->errands.count; i++) {
        const struct errand *x = person_errand(who, i);
        if (is_timed(x) && errand_is_wanted(who, x))
            next_ms = min_of(next_ms, x->deadline_ms);
    }
    return next_ms;
}

int64_t errands_deadline(const struct person *who)
{
    int64_t next_ms = errands_due(who);
    for (uint32_t i = 0; i < who->profile->errands.count; i++) {
        const struct errand *x = person_errand(who, i);
        if (x->state == ERRAND_WAITING && x->ask_ms > who->now_ms)
            next_ms = min_of(next_ms, x->ask_ms);
    }
    return next_ms;
}

/* ---- answers ------------------------------------------------------------------------------------- */

void errands_answer(struct person *who, const struct stage_message *answer)
{
    uint32_t place = errand_find(who, answer->decision);
    must(place != UINT32_MAX);
    struct errand *x = person_touch_errand(who, place);
    must(x->state == ERRAND_QUEUED || x->state == ERRAND_REVOKING);
    must(x->attempt > 0);
    who->is_touched = true;
    if (answer->kind == BACK_GRANTED) {
        x->state = ERRAND_GRANTED;
        if (!x->withdraws)
            note_news(who, x, ERRAND_IS_HANDED, x->attempt);
        return;
    }
    x->state = x->withdraws ? ERRAND_OPEN : ERRAND_WAITING;
    const struct keep *kept = keep_find_errand(who, x);
    if (unlikely(kept != NULL && x->state == ERRAND_WAITING && x->attempt <= kept->attempt))
        heed(who, place, kept); /* this one's came to none */
}

static void explain_receipt(struct person *who, const struct errand *x, const struct receipt *r)
{
    if (who->witness == NULL)
        return;
    const struct note about = {.kind = NOTE_TRY, .journey = x->journey};
    person_tell(who, &about, "%s %.*s: %.*s: %s%s%.*s", is_call(x) ? "call" : "task",
                STR_ARG(names_text(who->names, x->name)),
                STR_ARG(names_text(who->names, r->provider)), receipt_name(r->kind),
                r->detail.len ? ": " : "", STR_ARG(r->detail));
}

/* The attempt is over: the provider was told, or not. */
static void attempt_ended(struct person *who, uint32_t place, const struct receipt *r)
{
    struct errand *x = person_touch_errand(who, place);
    bool was_told = r->kind == RECEIPT_ACCEPTED || r->kind == RECEIPT_DELIVERED;
    bool is_wanted = errand_is_wanted(who, x);
    bool is_in_doubt = r->kind == RECEIPT_IN_DOUBT;
    must(x->state == ERRAND_GRANTED || x->state == ERRAND_RECALLED);
    x->state = ERRAND_WAITING;
    if (x->withdraws) {
        if (is_in_doubt)
            x->state = ERRAND_OPEN; /* told again */
        return;
    }
    if (!is_wanted) {
        if (!is_call(x) && (was_told || is_in_doubt))
            x->state = ERRAND_OPEN; /* to be withdrawn */
        return;
    }
    if (was_told && is_call(x)) {
        over(who, place, ERRAND_ANSWERED, r->code,
             planted("call-saves-nothing") ? (struct body){0} : r->saved);
        return;
    }
    if (was_told) {
        open_task(who, x);
        return;
    }
    if (is_in_doubt) {
        in_doubt(who, place, r->code);
        return;
    }
    bool is_late = r->kind == RECEIPT_GAVE_UP;
    if (!is_call(x))
        over(who, place, ERRAND_FAILED, r->code, (struct body){0});
    else
        over(who, place, is_late ? ERRAND_TIMED_OUT : ERRAND_FAILED, r->code, (struct body){0});
}

/* People have done it, or will not. */
static void task_ended(struct person *who, uint32_t place, enum errand_ending ending,
                       struct body saved)
{
    struct errand *x = person_touch_errand(who, place);
    if (is_call(x) || !errand_is_wanted(who, x))
        return; /* too late: the journey has gone on */
    if (x->state == ERRAND_OPEN || x->state == ERRAND_GRANTED)
        over(who, place, ending, 0, saved);
}

bool errands_receipt(struct person *who, const struct receipt *r)
{
    uint32_t place = errand_find(who, r->decision);
    bool is_by_people = r->kind == RECEIPT_TASK_DONE || r->kind == RECEIPT_TASK_DECLINED;
    if (place == UINT32_MAX)
        return is_by_people;
    const struct errand *x = person_errand(who, place);
    bool is_under_way = x->state == ERRAND_GRANTED || x->state == ERRAND_RECALLED;
    explain_receipt(who, x, r);
    if (is_by_people) {
        task_ended(who, place, r->kind == RECEIPT_TASK_DONE ? ERRAND_DONE : ERRAND_DECLINED,
                   r->saved);
        return true;
    }
    if (r->attempt != x->attempt || !is_under_way || r->kind == RECEIPT_TEMPORARY)
        return true;
    who->is_touched = true;
    pool_free(who, CHANNEL_WEBHOOK, x->provider, x->decision);
    attempt_ended(who, place, r);
    return true;
}

/* The event's properties that are to be saved, as a body in scratch. */
static struct body saved_of(struct person *who, const struct errand *x)
{
    must(who->event != NULL);
    const struct plan_errand *means = errand_means(who, x);
    struct buf *b = who->bytes;
    b->len = 0;
    for (uint32_t i = 0; i < means->save_count; i++) {
        struct value value = record_get(who->event, means->saves[i].source, who->scratch);
        if (value.type == VALUE_BOOL || value.type == VALUE_INT || value.type == VALUE_DOUBLE ||
            value.type == VALUE_TEXT || value.type == VALUE_TIME)
            body_put(b, means->saves[i].name, &value);
    }
    struct str bytes = arena_copy(who->scratch, buf_str(b));
    return (struct body){(const uint8_t *)bytes.at, (uint32_t)bytes.len};
}

void errands_event(struct person *who)
{
    uint64_t profile, decision;
    must(who->event != NULL);
    struct value id = record_get(who->event, NAME_TASK, NULL);
    if (!(who->event->flags & RECORD_IS_SERVER) || who->event->flags & RECORD_IS_HISTORY ||
        id.type != VALUE_TEXT || !errand_key_read(id.text, &profile, &decision))
        return;
    uint32_t place = errand_find(who, decision);
    if (place == UINT32_MAX)
        return;
    task_ended(who, place, who->event->name == NAME_TASK_DONE ? ERRAND_DONE : ERRAND_DECLINED,
               saved_of(who, person_errand(who, place)));
}

/* ---- operators ----------------------------------------------------------------------------------- */

static bool is_meant(const struct person *who, const struct errand *x, const struct kill *what)
{
    struct kill_subject subject = {
        .journey = x->journey,
        .message = errand_means(who, x)->name,
        .category = plan_category_of(person_plan(who, x->plan), message_index(who, x)),
        .channel = CHANNEL_WEBHOOK,
        .lane = lane_of(who, x),
    };
    return x->ending == ERRAND_PENDING && kill_meets(what, &subject);
}

bool errands_have(const struct person *who, const struct kill *what, bool *waits_for_it)
{
    bool has = false;
    for (uint32_t i = 0; i < who->profile->errands.count; i++) {
        const struct errand *x = person_errand(who, i);
        bool is_one = is_meant(who, x, what);
        has |= is_one;
        *waits_for_it |= is_one && x->state == ERRAND_WAITING && x->rule == RULE_HOLD;
    }
    return has;
}

void errands_controlled(struct person *who, const struct kill *what, int64_t release_ms)
{
    for (uint32_t i = 0; i < who->profile->errands.count && release_ms > who->now_ms; i++) {
        struct errand *x = person_touch_errand(who, i);
        if (!is_meant(who, x, what) || x->state != ERRAND_WAITING || x->rule != RULE_HOLD)
            continue;
        x->rule = RULE_POOL; /* the pace is a rate, as for messages */
        x->ask_ms = release_ms;
    }
    who->is_touched = true;
}

/* ---- another release ------------------------------------------------------------------------------ */

void errands_keep(struct person *who, const struct keep *k)
{
    uint32_t place = 0;
    must(k->is_errand);
    while (place < who->profile->errands.count &&
           (person_errand(who, place)->instance != k->decision ||
            person_errand(who, place)->name != k->message))
        place++;
    if (place == who->profile->errands.count)
        return; /* nobody wants it here, or not yet: what is kept is heeded then */
    who->is_touched = true;
    struct errand *x = person_touch_errand(who, place);
    if (x->withdraws)
        return;
    if (k->kind == RELEASE_KEPT) {
        if (x->state == ERRAND_QUEUED && x->attempt <= k->attempt)
            take_back(who, x); /* and heeded when the pool has answered */
        return;
    }
    bool is_under_way = x->state == ERRAND_GRANTED || x->state == ERRAND_RECALLED;
    if (!is_under_way || x->attempt != k->attempt)
        return;
    /* It was never given to a provider, and is asked again. */
    pool_free(who, CHANNEL_WEBHOOK, x->provider, x->decision);
    x->state = ERRAND_WAITING;
    x->rule = RULE_NONE;
    x->ask_ms = FOREVER_MS;
}

/* ---- merges, why --------------------------------------------------------------------------------- */

void errands_unite(struct person *who, struct person *from)
{
    must(who != from);
    for (uint32_t i = 0; i < from->profile->errands.count; i++) {
        struct errand x = *person_errand(from, i);
        struct blob says = {0};
        blob_set(who->space, &says, blob_at(from->space, x.says), x.says.bytes);
        x.says = says;
        *person_push_errand(who) = x;
    }
    while (from->profile->errands.count > 0)
        errand_drop(from, from->profile->errands.count - 1);
}

static const char *state_words(const struct errand *x)
{
    switch ((enum errand_state)x->state) {
    case ERRAND_WAITING: return "waits";
    case ERRAND_QUEUED: return "waits for a free connection of its provider";
    case ERRAND_REVOKING:
    case ERRAND_RECALLED: return "is taken back";
    case ERRAND_GRANTED: return is_call(x) ? "is being made" : "is handed to its provider";
    case ERRAND_OPEN: return "is open";
    }
    return "";
}

void errands_explain(struct person *who)
{
    for (uint32_t i = 0; who->witness != NULL && i < who->profile->errands.count; i++) {
        const struct errand *x = person_errand(who, i);
        if (!errand_is_wanted(who, x))
            continue;
        const struct note about = {
            .kind = NOTE_SCHEDULE, .journey = x->journey, .until_ms = x->deadline_ms};
        const char *verb = is_call(x) ? "times out" : "is overdue";
        person_tell(who, &about, "%.*s: %s %.*s %s since %s%s%s%s%s%s%s",
                    STR_ARG(names_text(who->names, x->journey)), is_call(x) ? "call" : "task",
                    STR_ARG(names_text(who->names, x->name)), state_words(x),
                    person_moment(who, x->began_ms),
                    x->state == ERRAND_WAITING && x->rule ? ", refused by rule " : "",
                    x->state == ERRAND_WAITING && x->rule ? rule_name(x->rule) : "",
                    x->deadline_ms != FOREVER_MS ? "; " : "",
                    x->deadline_ms != FOREVER_MS ? verb : "",
                    x->deadline_ms != FOREVER_MS ? " at " : "",
                    x->deadline_ms != FOREVER_MS ? person_moment(who, x->deadline_ms) : "");
    }
}
