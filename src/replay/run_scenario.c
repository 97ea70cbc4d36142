/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/run_scenario.h"

#include <stdio.h>

#include "base/mem.h"
#include "decide/rule.h"
#include "model/answer.h"
#include "model/errand.h"
#include "replay/world.h"
#include "when/zone.h"

#define TRIES_MAX \
    (256 * 200) /* profiles tried until one is in the control groups that are wanted */

#define TRY_AGAIN_MS      (5 * SECOND_MS) /* as outbox_retry_standard() without chance */
#define TRY_AGAIN_MOST_MS (30 * MINUTE_MS)

/* What is remembered of one person's fate. */
struct fate {
    struct id128 user;
    uint64_t profile;
    struct result *rows;
    uint32_t count, room;
    struct buf story;
};

struct stage {
    struct shelf *shelf;
    const struct plan *plan;
    const struct scenario *scenario;
    struct arena *arena;
    struct world *world;
    struct fate *fates;
    uint32_t *answers_used; /* by answer: attempts that it has answered */
    uint32_t locals[256];   /* profiles made so far, by partition */
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    struct fault *f;
};

/* ---- what happened ----------------------------------------------------------------------------- */

static void keep_results(void *self, uint64_t batch, int64_t now_ms, const struct result *rows,
                         uint32_t count)
{
    struct stage *s = self;
    (void)batch;
    (void)now_ms;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t p = 0; p < s->scenario->person_count; p++) {
            struct fate *fate = &s->fates[p];
            if (rows[i].profile == 0 || rows[i].profile != fate->profile)
                continue;
            if (fate->count == fate->room) {
                fate->room = fate->room ? fate->room * 2 : 64;
                fate->rows = mem_resize(fate->rows, fate->room * sizeof(fate->rows[0]));
            }
            fate->rows[fate->count++] = rows[i];
        }
    }
}

/* The line that answers the attempt, one that has uses left; NULL: it is accepted. */
static const struct scenario_answer *next_answer(struct stage *s, const struct action *a,
                                                 const struct plan_errand *errand)
{
    uint32_t step = NAME_NONE;
    if (errand != NULL) {
        struct person who;
        engine_look(world_engine(s->world), a->profile, &who);
        for (uint32_t i = 0; i < who.profile->errands.count; i++)
            if (person_errand(&who, i)->decision == a->decision)
                step = person_errand(&who, i)->name;
    }
    for (uint32_t i = 0; i < s->scenario->answer_count; i++) {
        const struct scenario_answer *x = &s->scenario->answers[i];
        bool is_meant = x->step == step &&
                        (x->message == NAME_NONE || x->message == a->message_name) &&
                        (x->person == UINT16_MAX || s->fates[x->person].profile == a->profile);
        if (!is_meant || s->answers_used[i] >= x->times)
            continue;
        s->answers_used[i]++;
        return x;
    }
    return NULL;
}

static bool is_tried_again(const struct plan_errand *errand, const struct scenario_answer *x)
{
    bool is_slow = x->code == 408 || x->code == 425 || x->code == 429 || x->code >= 500;
    return x->receipt == 0 && !x->is_late && is_slow && !errand->is_once;
}

/* What the outbox would report of a call in the end, and when. */
static void answer_call(struct stage *s, const struct action *a, const struct plan_errand *errand,
                        struct receipt *receipt, int64_t now_ms)
{
    struct buf saved;
    int64_t at_ms = now_ms, pause_ms = TRY_AGAIN_MS;
    const struct scenario_answer *x = next_answer(s, a, errand);
    for (; x != NULL && is_tried_again(errand, x) && at_ms < a->deadline_ms;
         x = next_answer(s, a, errand)) {
        at_ms += pause_ms;
        pause_ms = min_of(pause_ms * 2, TRY_AGAIN_MOST_MS);
    }
    struct str json = x != NULL && x->has_json ? x->json : errand->stub;
    buf_init(&saved);
    receipt->code = x == NULL || x->code == 0 ? 200 : x->code;
    if ((x != NULL && x->is_late) || at_ms >= a->deadline_ms) {
        receipt->kind = RECEIPT_GAVE_UP;
        at_ms = a->deadline_ms;
    } else if (x != NULL && x->receipt != 0) {
        receipt->kind = (enum receipt_kind)x->receipt;
    } else if (receipt->code / 100 != 2 ||
               answer_pick(errand, receipt->code, json, &saved, NULL) != OK) {
        receipt->kind = RECEIPT_REJECTED_MESSAGE;
    }
    receipt->saved = body_of(&saved);
    world_receipt_at(s->world, receipt, at_ms);
    buf_fini(&saved);
}

static void answer_attempt(void *self, const struct action *a, int64_t now_ms)
{
    struct stage *s = self;
    const struct plan_errand *errand = plan_errand_at(s->plan, a->message);
    struct receipt receipt = {
        .kind = RECEIPT_ACCEPTED,
        .profile = a->profile,
        .decision = a->decision,
        .attempt = a->attempt,
        .provider = s->plan->providers[a->provider].name,
    };
    if (errand != NULL && errand->kind == ERRAND_CALL) {
        answer_call(s, a, errand, &receipt, now_ms);
        return;
    }
    const struct scenario_answer *x = next_answer(s, a, errand);
    if (x != NULL) {
        receipt.code = x->code;
        if (x->receipt != 0)
            receipt.kind = (enum receipt_kind)x->receipt;
        else if (x->code / 100 != 2)
            receipt.kind = RECEIPT_REJECTED_MESSAGE;
    }
    world_receipt(s->world, &receipt);
}

/* Only what its provider refused for now may still be tried again: it is given up. */
static void recall_attempt(void *self, const struct recall *recall)
{
    struct stage *s = self;
    const struct result *granted = NULL;
    bool waits = false;
    for (uint32_t p = 0; p < s->scenario->person_count; p++) {
        for (uint32_t i = 0; i < s->fates[p].count; i++) {
            const struct result *row = &s->fates[p].rows[i];
            if (row->id != recall->decision || row->step != recall->attempt)
                continue;
            if (row->kind == RESULT_GRANTED)
                granted = row;
            else if (row->kind == RESULT_RECEIPT)
                waits = row->how == RECEIPT_TEMPORARY;
        }
    }
    if (granted != NULL && waits)
        world_receipt(s->world, &(struct receipt){
                                    .kind = RECEIPT_GAVE_UP,
                                    .profile = granted->profile,
                                    .decision = granted->id,
                                    .attempt = granted->step,
                                    .provider = (uint32_t)granted->number,
                                });
}

static struct str moment_text(struct stage *s, int64_t at_ms)
{
    const struct zone *zone = zoneset_zone(s->plan->zones, s->plan->zone);
    struct local l = zone_local(zone, at_ms);
    return arena_printf(s->arena, "%04d-%02d-%02d %02d:%02d:%02d", (int)l.year, l.month, l.day,
                        l.hour, l.minute, l.second);
}

struct teller {
    struct stage *stage;
    struct fate *fate;
};

static void tell(void *self, const struct note *note)
{
    struct teller *t = self;
    struct str when = moment_text(t->stage, note->at_ms);
    buf_printf(&t->fate->story, "%.*s  %.*s\n", STR_ARG(when), STR_ARG(note->text));
}

/* ---- people ------------------------------------------------------------------------------------ */

static bool is_in(uint32_t holdout, uint64_t salt, uint64_t profile)
{
    return holdout != 0 && hash_chance(salt, profile) < holdout;
}

/* Is the profile where the scenario wants the person: `holdout: true` in the programme's control group
 * (or, if it has none, in that of some journey), else in none, but for those that are of everybody. */
static bool has_luck(const struct plan *plan, uint64_t profile, bool is_held_out)
{
    bool is_in_one = false;
    if (is_held_out && plan->holdout)
        return is_in(plan->holdout, plan->holdout_salt, profile);
    is_in_one |= plan->holdout < 10000 && is_in(plan->holdout, plan->holdout_salt, profile);
    for (uint32_t i = 0; i < plan->journey_count; i++) {
        const struct plan_journey *j = &plan->journeys[i];
        if (j->holdout < 10000 || is_held_out)
            is_in_one |= is_in(j->holdout, j->salt, profile);
    }
    return is_in_one == is_held_out;
}

/* Does the profile take the arms that the scenario wants? */
static bool takes_arms(const struct plan *plan, uint64_t profile, const struct scenario_person *p)
{
    for (uint32_t i = 0; i < p->arm_count; i++) {
        for (uint32_t j = 0; j < plan->journey_count; j++) {
            for (uint32_t k = 0; k < plan->journeys[j].step_count; k++) {
                const struct plan_step *step = &plan->journeys[j].steps[k];
                if (step->kind != STEP_SPLIT || step->split.name != p->arms[i].split)
                    continue;
                const struct plan_arm *arm = plan_split_arm(&step->split, profile);
                if (arm == NULL || arm->name != p->arms[i].arm)
                    return false;
            }
        }
    }
    return true;
}

static struct id128 id_in(uint32_t partition, struct str text, uint32_t nth)
{
    return (struct id128){(hash_str(text, 77 + nth) & ~UINT64_C(255)) | partition,
                          hash_str(text, 1078 + nth) | 1};
}

/* Somebody without a name, so that the partition's next profile is another one. */
static enum status add_stranger(struct stage *s, uint32_t partition, struct str person,
                                uint32_t nth)
{
    int64_t now_ms = world_now(s->world);
    struct record r = {.type = RECORD_EVENT,
                       .kind = EVENT_IDENTIFY,
                       .schema = RECORD_SCHEMA,
                       .at_ms = now_ms,
                       .event_ms = now_ms,
                       .arrival_ms = now_ms,
                       .user = id_in(partition, person, nth)};
    s->locals[partition]++;
    return world_apply(s->world, &r, s->f);
}

/* Do monitors tell the person, whom they know by the user id? */
static bool is_told(const struct plan *plan, struct str id)
{
    for (uint32_t i = 0; i < plan->monitor_count; i++)
        for (uint32_t k = 0; k < plan->monitors[i].tell_count; k++)
            if (str_equal(plan->monitors[i].tells[k], id))
                return true;
    return false;
}

/* An identifier in a partition whose next profile has the luck that the scenario wants; if need be
 * after some strangers. */
static enum status choose_user(struct stage *s, uint32_t person)
{
    const struct scenario_person *p = &s->scenario->people[person];
    struct fate *fate = &s->fates[person];
    uint64_t hash = hash_str(p->id, 77);
    if (is_told(s->plan, p->id)) {
        fate->user = identifier_hash(IDENTIFIER_USER, p->id, s->secret);
        uint32_t own = (uint32_t)(fate->user.high & 255);
        fate->profile = profile_number(own, ++s->locals[own]);
        return OK;
    }
    for (uint32_t i = 0; i < TRIES_MAX; i++) {
        uint32_t partition = (uint32_t)(hash + i) & 255, strangers = i / 256;
        uint64_t number = profile_number(partition, s->locals[partition] + strangers + 1);
        if (!has_luck(s->plan, number, p->is_held_out) || !takes_arms(s->plan, number, p))
            continue;
        for (uint32_t k = 1; k <= strangers; k++) {
            enum status status = add_stranger(s, partition, p->id, k);
            if (status != OK)
                return status;
        }
        s->locals[partition]++;
        fate->user = id_in(partition, p->id, 0);
        fate->profile = number;
        return OK;
    }
    if (p->arm_count)
        fault_set(s->f, "nobody was found who takes the arms that %.*s shall take", STR_ARG(p->id));
    else if (p->is_held_out)
        fault_set(s->f, "%.*s cannot be held out: the programme holds out nobody", STR_ARG(p->id));
    else
        fault_set(s->f, "%.*s is always held out: the programme holds out nearly everybody",
                  STR_ARG(p->id));
    return FIX_INPUT;
}

static struct body body_in(struct arena *arena, struct buf *b)
{
    struct str kept = arena_copy(arena, buf_str(b));
    buf_fini(b);
    return (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
}

/* Who a record is about: a person, by id, or whoever an address finds. */
static void put_who(struct stage *s, struct buf *b, const struct scenario_fact *fact)
{
    if (fact->visitor.len > 0)
        body_put_text(b, NAME_ANONYMOUS_ID, fact->visitor);
    if (fact->address.len == 0 && fact->person == UINT16_MAX)
        return; /* it is nobody's, or a visitor's */
    if (fact->address.len == 0)
        body_put_text(b, NAME_USER_ID, s->scenario->people[fact->person].id);
    else
        body_put_text(b, channel_find_name((enum channel)fact->address_channel), fact->address);
}

static struct body fact_body(struct stage *s, const struct scenario_fact *fact)
{
    struct buf b;
    buf_init(&b);
    for (uint32_t i = 0; i < fact->field_count; i++)
        body_put(&b, fact->fields[i].name, &fact->fields[i].value);
    put_who(s, &b, fact);
    return body_in(s->arena, &b);
}

static struct body fields_body(struct stage *s, const struct scenario_field *fields, uint32_t count,
                               uint32_t person)
{
    struct buf b;
    buf_init(&b);
    for (uint32_t i = 0; i < count; i++)
        body_put(&b, fields[i].name, &fields[i].value);
    body_put_text(&b, NAME_USER_ID, s->scenario->people[person].id);
    return body_in(s->arena, &b);
}

static struct record record_of(struct stage *s, uint32_t person, enum event_kind kind,
                               uint32_t event, int64_t at_ms)
{
    return (struct record){
        .type = RECORD_EVENT,
        .kind = (uint8_t)kind,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .name = event,
        .at_ms = at_ms,
        .event_ms = at_ms,
        .arrival_ms = at_ms,
        .user = person == UINT16_MAX ? (struct id128){0, 0} : s->fates[person].user,
    };
}

static struct body consent_body(struct stage *s, const struct scenario_consent *c)
{
    struct buf b;
    buf_init(&b);
    body_put_text(&b, NAME_CHANNEL, channel_name((enum channel)c->channel));
    body_put_text(&b, NAME_STATUS, c->has_agreed ? STR("granted") : STR("denied"));
    if (c->purpose)
        body_put_text(&b, NAME_PURPOSE, names_text(s->shelf->names, c->purpose));
    if (c->topic)
        body_put_text(&b, NAME_TOPIC, names_text(s->shelf->names, c->topic));
    return body_in(s->arena, &b);
}

/* The newest decision of the message for the person that was granted; 0 if there is none. */
static const struct result *newest_grant(const struct fate *fate, uint32_t message)
{
    for (uint32_t i = fate->count; i-- > 0;)
        if (fate->rows[i].kind == RESULT_GRANTED && fate->rows[i].message == message)
            return &fate->rows[i];
    return NULL;
}

/* The id of the person's open task of that step, as an event names it. */
static enum status task_key(struct stage *s, const struct scenario_fact *fact, struct body *out)
{
    struct person who;
    engine_look(world_engine(s->world), s->fates[fact->person].profile, &who);
    for (uint32_t i = 0; i < who.profile->errands.count; i++) {
        const struct errand *x = person_errand(&who, i);
        if (x->state != ERRAND_OPEN || x->ending != ERRAND_PENDING || x->name != fact->step)
            continue;
        char key[ERRAND_KEY_BYTES];
        struct buf b;
        buf_init(&b);
        errand_key_print(x->key_profile, x->decision, key);
        body_put_text(&b, NAME_TASK, str_of(key));
        *out = body_in(s->arena, &b);
        return OK;
    }
    fault_set(s->f, "%.*s has no open task %.*s at this moment",
              STR_ARG(s->scenario->people[fact->person].id),
              STR_ARG(names_text(s->shelf->names, fact->step)));
    fault_place(s->f, NULL, fact->place.line, fact->place.column);
    return FIX_INPUT;
}

static enum status apply_command(struct stage *s, const struct scenario_fact *fact)
{
    struct buf clear;
    struct record r;
    buf_init(&clear);
    command_write(&fact->command, &clear, &r);
    r.at_ms = r.event_ms = r.arrival_ms = fact->at_ms;
    r.clear = body_in(s->arena, &clear);
    return world_apply(s->world, &r, s->f);
}

/* Somebody looks at a placement: it is to show what the line says. */
static enum status look(struct stage *s, const struct scenario_fact *fact)
{
    struct engine *e = world_engine(s->world);
    struct placement_answer answer;
    struct buf b;
    enum status status = world_wait(s->world, fact->at_ms, s->f);
    if (status != OK)
        return status;
    buf_init(&b);
    for (uint32_t i = 0; i < fact->field_count; i++)
        body_put(&b, fact->fields[i].name, &fact->fields[i].value);
    struct body page = body_in(s->arena, &b);
    const struct plan_placement *means = engine_decide(
        e, s->fates[fact->person].profile, fact->event, page, fact->at_ms, s->arena, &answer);
    must(means != NULL);
    uint32_t shown = answer.offer == NULL ? NAME_NONE : answer.offer->name;
    if (shown == fact->message)
        return OK;
    struct str reasons = STR("");
    for (uint32_t i = 0; i < answer.reason_count; i++)
        if (answer.reasons[i].offer == NAME_NONE || answer.reasons[i].offer == fact->message)
            reasons = answer.reasons[i].says;
    fault_set(s->f, "%.*s shows %.*s %s%.*s, not %.*s%s%.*s",
              STR_ARG(names_text(s->shelf->names, fact->event)),
              STR_ARG(s->scenario->people[fact->person].id),
              shown == NAME_NONE ? "none of its offers" : "",
              STR_ARG(names_text(s->shelf->names, shown)),
              STR_ARG(fact->message == NAME_NONE ? STR("what it shows otherwise")
                                                 : names_text(s->shelf->names, fact->message)),
              reasons.len ? ": " : "", STR_ARG(reasons));
    fault_place(s->f, NULL, fact->place.line, fact->place.column);
    return FIX_INPUT;
}

static enum status apply_fact(struct stage *s, const struct scenario_fact *fact, bool is_history)
{
    if (fact->kind == SCENARIO_COMMAND)
        return apply_command(s, fact);
    if (fact->kind == SCENARIO_LOOK)
        return look(s, fact);
    const struct fate *fate =
        fact->address.len || fact->person == UINT16_MAX ? NULL : &s->fates[fact->person];
    struct record r = record_of(s, fact->person, EVENT_TRACK, fact->event, fact->at_ms);
    const struct result *grant = NULL;
    if (fact->message != NAME_NONE) {
        grant = newest_grant(fate, fact->message);
        if (grant == NULL && fact->kind != SCENARIO_UNSUBSCRIBE) {
            fault_set(s->f, "%.*s was not sent %.*s at this moment",
                      STR_ARG(s->scenario->people[fact->person].id),
                      STR_ARG(names_text(s->shelf->names, fact->message)));
            fault_place(s->f, NULL, fact->place.line, fact->place.column);
            return FIX_INPUT;
        }
        r.cause = grant ? grant->id : 0;
    }
    r.personal = fact_body(s, fact);
    if (fact->happened_ms != SCENARIO_NO_TIME)
        r.event_ms = fact->happened_ms;
    r.source = fact->source;
    if (fact->message_id.len > 0)
        r.message_hash = hash_str(fact->message_id, 79) | 1;
    if (fact->visitor.len > 0) /* whoever they turn out to be was there before them, and stays */
        r.anonymous = id_in(255, fact->visitor, 0);
    switch (fact->kind) {
    case SCENARIO_EVENT:
    case SCENARIO_LOOK:
    case SCENARIO_COMMAND: break;
    case SCENARIO_BUSINESS: r.kind = EVENT_BUSINESS; break;
    case SCENARIO_ENTER: r.kind = EVENT_ENTER; break;
    case SCENARIO_TASK: {
        enum status status = task_key(s, fact, &r.clear);
        if (status != OK)
            return status;
        break;
    }
    case SCENARIO_IDENTIFY: r.kind = EVENT_IDENTIFY; break;
    case SCENARIO_CONSENT:
        r.name = NAME_CONSENT_CHANGED;
        r.clear = consent_body(s, &fact->consent);
        break;
    case SCENARIO_UNSUBSCRIBE:
        r.name = NAME_UNSUBSCRIBED;
        r.clear = consent_body(s, &fact->consent);
        break;
    case SCENARIO_OPEN:
    case SCENARIO_CLICK:
    case SCENARIO_COMPLAIN: {
        struct buf b;
        buf_init(&b);
        body_put_bool(&b, NAME_IS_MACHINE, fact->is_machine);
        r.clear = body_in(s->arena, &b);
        r.name = fact->kind == SCENARIO_OPEN    ? NAME_MESSAGE_OPENED
                 : fact->kind == SCENARIO_CLICK ? NAME_MESSAGE_CLICKED
                                                : NAME_MESSAGE_COMPLAINED;
        break;
    }
    case SCENARIO_RECEIPT: {
        enum status status = world_wait(s->world, fact->at_ms, s->f);
        if (status != OK)
            return status;
        world_receipt(s->world, &(struct receipt){
                                    .kind = (enum receipt_kind)fact->receipt,
                                    .profile = grant->profile,
                                    .decision = grant->id,
                                    .attempt = grant->step,
                                    .provider = (uint32_t)grant->number,
                                    .code = fact->code,
                                });
        return OK;
    }
    }
    if (is_history) {
        r.flags |= RECORD_IS_HISTORY;
        r.at_ms = r.arrival_ms = world_now(s->world);
    }
    return world_apply(s->world, &r, s->f);
}

static enum status introduce(struct stage *s, uint32_t person)
{
    const struct scenario_person *p = &s->scenario->people[person];
    int64_t at_ms = world_now(s->world);
    enum status status = choose_user(s, person);
    if (status != OK)
        return status;
    struct record r = record_of(s, person, EVENT_IDENTIFY, 0, at_ms);
    r.personal = fields_body(s, p->traits, p->trait_count, person);
    status = world_apply(s->world, &r, s->f);
    for (uint32_t i = 0; i < p->consent_count && status == OK; i++) {
        r = record_of(s, person, EVENT_TRACK, NAME_CONSENT_CHANGED, at_ms);
        r.clear = consent_body(s, &p->consents[i]);
        status = world_apply(s->world, &r, s->f);
    }
    for (uint32_t i = 0; i < p->history_count && status == OK; i++)
        status = apply_fact(s, &p->history[i], true);
    return status;
}

/* ---- expectations ------------------------------------------------------------------------------ */

/* How the decision ended: the last outcome that was noted. */
static enum outcome outcome_of(const struct fate *fate, uint64_t decision)
{
    enum outcome outcome = OUTCOME_NONE;
    for (uint32_t i = 0; i < fate->count; i++)
        if (fate->rows[i].kind == RESULT_DECIDED && fate->rows[i].id == decision)
            outcome = (enum outcome)fate->rows[i].how;
    return outcome;
}

static bool went_out(const struct fate *fate, uint64_t decision)
{
    enum outcome outcome = outcome_of(fate, decision);
    return outcome == OUTCOME_SENT || outcome == OUTCOME_UNKNOWN || outcome == OUTCOME_IN_DOUBT;
}

static struct str say_outcomes(struct stage *s, const struct fate *fate, uint32_t message)
{
    struct buf b;
    uint32_t shown = 0;
    buf_init(&b);
    for (uint32_t i = 0; i < fate->count; i++) {
        const struct result *row = &fate->rows[i];
        if (row->kind != RESULT_DECIDED || row->message != message)
            continue;
        bool is_last = true;
        for (uint32_t k = i + 1; k < fate->count; k++)
            is_last &= fate->rows[k].kind != RESULT_DECIDED || fate->rows[k].id != row->id;
        if (!is_last)
            continue;
        struct str when = moment_text(s, row->at_ms);
        buf_printf(&b, "%s%.*s at %.*s%s%s", shown++ ? "; " : "",
                   STR_ARG(outcome_term((enum outcome)row->how)->name), STR_ARG(when),
                   row->step ? ", rule " : "", rule_name(row->step));
    }
    if (shown == 0)
        buf_printf(&b, "no journey proposed it");
    struct str text = arena_copy(s->arena, buf_str(&b));
    buf_fini(&b);
    return text;
}

/* How many attempts of the message meet the time and channel that are expected. */
static int32_t count_sent(const struct fate *fate, const struct scenario_expect *x,
                          uint32_t message)
{
    int32_t count = 0;
    for (uint32_t i = 0; i < fate->count; i++) {
        const struct result *row = &fate->rows[i];
        if (row->kind != RESULT_GRANTED || row->message != message || !went_out(fate, row->id))
            continue;
        bool is_retried = false; /* a later attempt of the same message counts instead */
        for (uint32_t k = i + 1; k < fate->count; k++)
            is_retried |= fate->rows[k].kind == RESULT_GRANTED && fate->rows[k].id == row->id;
        bool fits = !is_retried && (x->channel == 0 || x->channel == row->how) &&
                    (x->at_ms == SCENARIO_NO_TIME || x->at_ms / 1000 == row->at_ms / 1000) &&
                    (x->before_ms == SCENARIO_NO_TIME || row->at_ms < x->before_ms) &&
                    (x->after_ms == SCENARIO_NO_TIME || row->at_ms >= x->after_ms);
        count += fits;
    }
    return count;
}

static bool has_times(int32_t wanted, int32_t count)
{
    return wanted < 0 ? count > 0 : count == wanted;
}

static struct str say_times(struct stage *s, const struct scenario_expect *x)
{
    struct buf b;
    buf_init(&b);
    if (x->times >= 0)
        buf_printf(&b, " %d times", (int)x->times);
    if (x->channel)
        buf_printf(&b, " on %.*s", STR_ARG(channel_name((enum channel)x->channel)));
    if (x->at_ms != SCENARIO_NO_TIME)
        buf_printf(&b, " at %.*s", STR_ARG(moment_text(s, x->at_ms)));
    if (x->after_ms != SCENARIO_NO_TIME)
        buf_printf(&b, " not before %.*s", STR_ARG(moment_text(s, x->after_ms)));
    if (x->before_ms != SCENARIO_NO_TIME)
        buf_printf(&b, " before %.*s", STR_ARG(moment_text(s, x->before_ms)));
    struct str text = arena_copy(s->arena, buf_str(&b));
    buf_fini(&b);
    return text;
}

static struct str say_journey(struct stage *s, const struct fate *fate, uint32_t journey)
{
    const struct result *last = NULL;
    for (uint32_t i = 0; i < fate->count; i++) {
        const struct result *row = &fate->rows[i];
        bool is_about =
            row->journey == journey && (row->kind == RESULT_ENTERED || row->kind == RESULT_ENDED ||
                                        row->kind == RESULT_REFUSED);
        if (is_about)
            last = row;
    }
    if (last == NULL)
        return STR("was never entered");
    if (last->kind == RESULT_REFUSED)
        return arena_printf(s->arena, "entry was refused: %s",
                            refusal_name((enum refusal)last->how));
    if (last->kind == RESULT_ENDED)
        return arena_printf(s->arena, "ended %.*s at %.*s",
                            STR_ARG(end_term((enum journey_end)last->how)->name),
                            STR_ARG(moment_text(s, last->at_ms)));
    struct person who;
    engine_look(world_engine(s->world), fate->profile, &who);
    for (uint32_t i = 0; i < who.profile->instances.count; i++) {
        const struct instance *in = person_instance(&who, i);
        if (in->journey != journey || in->step == PLAN_END)
            continue;
        const struct plan_journey *j = &s->plan->journeys[in->journey_index];
        return arena_printf(s->arena, "is live, in step %.*s",
                            STR_ARG(names_text(s->shelf->names, j->steps[in->step].id)));
    }
    return STR("was entered");
}

static uint32_t count_rows(const struct fate *fate, enum result_kind kind, uint32_t journey)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < fate->count; i++)
        count += fate->rows[i].kind == kind && fate->rows[i].journey == journey;
    return count;
}

/* The person's last change of the segment until at_ms; *entered counts how often they entered it. */
static const struct result *last_membership(const struct fate *fate, uint32_t segment,
                                            int64_t at_ms, int32_t *entered)
{
    const struct result *last = NULL;
    *entered = 0;
    for (uint32_t i = 0; i < fate->count; i++) {
        const struct result *row = &fate->rows[i];
        if (row->kind != RESULT_MEMBERSHIP || row->number != segment ||
            (at_ms != SCENARIO_NO_TIME && row->at_ms > at_ms))
            continue;
        last = row;
        *entered += row->how & 1;
    }
    return last;
}

static bool meets_segment(struct stage *s, const struct scenario_expect *x,
                          struct scenario_failure *failure)
{
    const struct fate *fate = &s->fates[x->person];
    bool wants_in = x->kind == EXPECT_IN_SEGMENT;
    int32_t entered;
    const struct result *last = last_membership(fate, x->segment, x->at_ms, &entered);
    bool is_in = last != NULL && last->how & 1;
    if (is_in == wants_in && (x->times < 0 || entered == x->times))
        return true;
    struct buf b;
    buf_init(&b);
    if (x->times >= 0)
        buf_printf(&b, ", having entered it %d times", (int)x->times);
    if (x->at_ms != SCENARIO_NO_TIME)
        buf_printf(&b, " at %.*s", STR_ARG(moment_text(s, x->at_ms)));
    failure->expect = x;
    failure->expected =
        arena_printf(s->arena, "%.*s: is %sin segment %.*s%.*s",
                     STR_ARG(s->scenario->people[x->person].id), wants_in ? "" : "not ",
                     STR_ARG(names_text(s->shelf->names, x->segment)), STR_ARG(buf_str(&b)));
    buf_fini(&b);
    if (last == NULL)
        failure->got = STR("was never in it");
    else
        failure->got = arena_printf(s->arena, "%s it at %.*s, having entered it %d times",
                                    is_in ? "entered" : "left",
                                    STR_ARG(moment_text(s, last->at_ms)), (int)entered);
    return false;
}

static bool meets_stage(struct stage *s, const struct scenario_expect *x,
                        struct scenario_failure *failure)
{
    const struct fate *fate = &s->fates[x->person];
    const struct result *last = NULL;
    for (uint32_t i = 0; i < fate->count; i++)
        if (fate->rows[i].kind == RESULT_STAGE &&
            (x->at_ms == SCENARIO_NO_TIME || fate->rows[i].at_ms <= x->at_ms))
            last = &fate->rows[i];
    if (last != NULL && last->how == 1 && last->number == x->segment)
        return true;
    failure->expect = x;
    failure->expected =
        arena_printf(s->arena, "%.*s: is in stage %.*s", STR_ARG(s->scenario->people[x->person].id),
                     STR_ARG(names_text(s->shelf->names, x->segment)));
    failure->got = STR("was never in any");
    if (last != NULL)
        failure->got = arena_printf(s->arena, "%s %.*s at %.*s", last->how ? "entered" : "left",
                                    STR_ARG(names_text(s->shelf->names, (uint32_t)last->number)),
                                    STR_ARG(moment_text(s, last->at_ms)));
    return false;
}

/* Rows tell what the provider has taken; that a rule is against it changes nothing there. */
static bool meets_audience(struct stage *s, const struct scenario_expect *x,
                           struct scenario_failure *failure)
{
    const struct fate *fate = &s->fates[x->person];
    const struct result *last = NULL, *against = NULL;
    bool wants_in = x->kind == EXPECT_IN_AUDIENCE;
    for (uint32_t i = 0; i < fate->count; i++) {
        const struct result *row = &fate->rows[i];
        if (row->kind != RESULT_LISTED || row->number != x->segment ||
            (x->at_ms != SCENARIO_NO_TIME && row->at_ms > x->at_ms))
            continue;
        if (row->how == LISTED_IS_REFUSED)
            against = row;
        else if (row->how == LISTED_IS_IN || row->how == LISTED_IS_OUT)
            last = row;
    }
    if ((last != NULL && last->how == LISTED_IS_IN) == wants_in)
        return true;
    failure->expect = x;
    failure->expected = arena_printf(
        s->arena, "%.*s: is %s audience %.*s", STR_ARG(s->scenario->people[x->person].id),
        wants_in ? "in" : "not in", STR_ARG(names_text(s->shelf->names, x->segment)));
    if (last != NULL)
        failure->got =
            arena_printf(s->arena, "%s at %.*s", last->how == LISTED_IS_IN ? "added" : "removed",
                         STR_ARG(moment_text(s, last->at_ms)));
    else if (against != NULL)
        failure->got =
            arena_printf(s->arena, "not let in by rule %s at %.*s", rule_name(against->step),
                         STR_ARG(moment_text(s, against->at_ms)));
    else
        failure->got = STR("was never added");
    return false;
}

static bool is_then(const struct scenario_expect *x, int64_t at_ms)
{
    return (x->at_ms == SCENARIO_NO_TIME || x->at_ms / 1000 == at_ms / 1000) &&
           (x->before_ms == SCENARIO_NO_TIME || at_ms < x->before_ms) &&
           (x->after_ms == SCENARIO_NO_TIME || at_ms >= x->after_ms);
}

/* Entries at the time that is expected. */
static uint32_t count_entries(const struct fate *fate, const struct scenario_expect *x,
                              uint32_t journey)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < fate->count; i++) {
        const struct result *row = &fate->rows[i];
        count += row->kind == RESULT_ENTERED && row->journey == journey && is_then(x, row->at_ms);
    }
    return count;
}

static bool is_of_step(const struct stage *s, const struct scenario_expect *x,
                       const struct result *row)
{
    const struct plan_journey *j = &s->plan->journeys[x->journey];
    return row->kind == RESULT_ERRAND && row->journey == j->name && row->step < j->step_count &&
           j->steps[row->step].id == x->step;
}

static const char *errand_news_words(const struct result *row)
{
    switch ((enum errand_news)row->how) {
    case ERRAND_IS_REFUSED: return "was refused by a rule";
    case ERRAND_IS_HANDED: return "went out";
    case ERRAND_IS_OPEN: return "came to be open";
    case ERRAND_IS_OVER: return "ended";
    case ERRAND_IS_DROPPED: return "was no longer wanted";
    }
    return "";
}

/* Calls that went out, and tasks that are open. */
static bool meets_errand(struct stage *s, const struct scenario_expect *x,
                         struct scenario_failure *failure)
{
    const struct fate *fate = &s->fates[x->person];
    const struct result *last = NULL;
    int32_t count = 0;
    bool is_open = false, holds = false;
    for (uint32_t i = 0; i < fate->count; i++) {
        const struct result *row = &fate->rows[i];
        if (!is_of_step(s, x, row))
            continue;
        last = row;
        count += row->how == ERRAND_IS_HANDED && is_then(x, row->at_ms) && row->number == 1;
        if (x->kind != EXPECT_CALLED && x->kind != EXPECT_NOT_CALLED &&
            (x->at_ms == SCENARIO_NO_TIME || row->at_ms <= x->at_ms))
            is_open = row->how == ERRAND_IS_OPEN;
    }
    const char *words = "";
    if (x->kind == EXPECT_CALLED) {
        holds = has_times(x->times, count);
        words = "is called";
    } else if (x->kind == EXPECT_NOT_CALLED) {
        holds = count == 0;
        words = "is not called";
    } else {
        holds = is_open == (x->kind == EXPECT_TASK_OPEN);
        words = x->kind == EXPECT_TASK_OPEN ? "is open" : "is closed";
    }
    if (holds)
        return true;
    failure->expect = x;
    failure->expected = arena_printf(
        s->arena, "%.*s: %.*s/%.*s %s%.*s", STR_ARG(s->scenario->people[x->person].id),
        STR_ARG(names_text(s->shelf->names, s->plan->journeys[x->journey].name)),
        STR_ARG(names_text(s->shelf->names, x->step)), words, STR_ARG(say_times(s, x)));
    failure->got = last == NULL ? STR("it was never begun, or nothing came of it yet")
                                : arena_printf(s->arena, "%s at %.*s", errand_news_words(last),
                                               STR_ARG(moment_text(s, last->at_ms)));
    return false;
}

/* Does it hold? Else *failure says what was expected and what came. */
static bool meets(struct stage *s, const struct scenario_expect *x,
                  struct scenario_failure *failure)
{
    if (x->kind == EXPECT_IN_SEGMENT || x->kind == EXPECT_NOT_IN_SEGMENT)
        return meets_segment(s, x, failure);
    if (x->kind == EXPECT_STAGE)
        return meets_stage(s, x, failure);
    if (x->kind == EXPECT_IN_AUDIENCE || x->kind == EXPECT_OUT_OF_AUDIENCE)
        return meets_audience(s, x, failure);
    if (x->kind >= EXPECT_CALLED && x->kind <= EXPECT_TASK_CLOSED)
        return meets_errand(s, x, failure);
    const struct fate *fate = &s->fates[x->person];
    struct str person = s->scenario->people[x->person].id;
    bool is_about_message = x->kind >= EXPECT_SENT;
    uint32_t journey = is_about_message ? 0 : s->plan->journeys[x->journey].name;
    uint32_t message = is_about_message ? s->plan->messages[x->message].name : 0;
    struct str name = names_text(s->shelf->names, is_about_message ? message : journey);
    struct str times = is_about_message ? say_times(s, x) : STR("");
    struct str reason = x->outcome ? outcome_term((enum outcome)x->outcome)->name : (struct str){0};
    bool holds = false;
    struct str words = {0};
    switch (x->kind) {
    case EXPECT_ENTERED:
        holds = has_times(x->times, (int32_t)count_entries(fate, x, journey));
        words = arena_printf(s->arena, "is entered%.*s", STR_ARG(say_times(s, x)));
        break;
    case EXPECT_REFUSED:
        for (uint32_t i = 0; i < fate->count; i++)
            holds |= fate->rows[i].kind == RESULT_REFUSED && fate->rows[i].journey == journey &&
                     fate->rows[i].how == x->refusal;
        words = arena_printf(s->arena, "is refused: %s", refusal_name((enum refusal)x->refusal));
        break;
    case EXPECT_NOT_ENTERED:
        holds = count_rows(fate, RESULT_ENTERED, journey) == 0;
        words = STR("is not entered");
        break;
    case EXPECT_ENDS:
        for (uint32_t i = 0; i < fate->count; i++)
            if (fate->rows[i].journey == journey && fate->rows[i].kind == RESULT_ENDED)
                holds = fate->rows[i].how == x->end;
            else if (fate->rows[i].journey == journey && fate->rows[i].kind == RESULT_ENTERED)
                holds = false;
        words =
            arena_printf(s->arena, "ends %.*s", STR_ARG(end_term((enum journey_end)x->end)->name));
        break;
    case EXPECT_IN_STEP: {
        struct person who;
        engine_look(world_engine(s->world), fate->profile, &who);
        for (uint32_t i = 0; i < who.profile->instances.count; i++) {
            const struct instance *in = person_instance(&who, i);
            if (in->journey == journey && in->step != PLAN_END)
                holds = s->plan->journeys[in->journey_index].steps[in->step].id == x->step;
        }
        words = arena_printf(s->arena, "is in step %.*s",
                             STR_ARG(names_text(s->shelf->names, x->step)));
        break;
    }
    case EXPECT_TOOK:
        for (uint32_t i = 0; i < fate->count; i++) {
            const struct result *row = &fate->rows[i];
            if (row->journey != journey)
                continue;
            if (row->kind == RESULT_ENTERED)
                holds = false;
            else if (row->kind == RESULT_ARM || row->kind == RESULT_WAITED ||
                     row->kind == RESULT_REACHED)
                holds |= row->number == x->arm;
        }
        words = arena_printf(s->arena, "takes %.*s", STR_ARG(names_text(s->shelf->names, x->arm)));
        break;
    case EXPECT_IN_SEGMENT:
    case EXPECT_IN_AUDIENCE:
    case EXPECT_OUT_OF_AUDIENCE:
    case EXPECT_STAGE:
    case EXPECT_CALLED:
    case EXPECT_NOT_CALLED:
    case EXPECT_TASK_OPEN:
    case EXPECT_TASK_CLOSED:
    case EXPECT_NOT_IN_SEGMENT: break;
    case EXPECT_SENT:
        holds = has_times(x->times, count_sent(fate, x, message));
        words = arena_printf(s->arena, "is sent%.*s", STR_ARG(times));
        break;
    case EXPECT_NOT_SENT:
        holds = count_sent(fate, x, message) == 0;
        if (x->outcome) {
            bool has_reason = false;
            for (uint32_t i = 0; i < fate->count; i++)
                has_reason |= fate->rows[i].kind == RESULT_DECIDED &&
                              fate->rows[i].message == message && fate->rows[i].how == x->outcome;
            holds = holds && has_reason;
        }
        words = arena_printf(s->arena, "is not sent%.*s%s%.*s", STR_ARG(times),
                             x->outcome ? ", reason " : "", STR_ARG(reason));
        break;
    case EXPECT_OUTCOME:
        for (uint32_t i = 0; i < fate->count; i++)
            holds |= fate->rows[i].kind == RESULT_DECIDED && fate->rows[i].message == message &&
                     outcome_of(fate, fate->rows[i].id) == (enum outcome)x->outcome;
        words = arena_printf(s->arena, "comes out as %.*s", STR_ARG(reason));
        break;
    }
    if (holds)
        return true;
    failure->expect = x;
    failure->expected =
        arena_printf(s->arena, "%.*s: %.*s %.*s", STR_ARG(person), STR_ARG(name), STR_ARG(words));
    failure->got =
        is_about_message ? say_outcomes(s, fate, message) : say_journey(s, fate, journey);
    return false;
}

/* ---- the run ----------------------------------------------------------------------------------- */

/* Plays everything; `watched` is the person whose story is told, or UINT32_MAX. */
static enum status play(struct stage *s, uint32_t watched)
{
    const struct scenario *scenario = s->scenario;
    int64_t start_ms = scenario->until_ms;
    directory_secret(1, s->secret);
    if (scenario->from_ms != SCENARIO_NO_TIME)
        start_ms = scenario->from_ms + SECOND_MS;
    else if (scenario->fact_count)
        start_ms = scenario->facts[0].at_ms;
    /* People are introduced a second before anything happens to them. */
    struct world_options options = {
        .secret = s->secret,
        .host = {.self = s,
                 .act = answer_attempt,
                 .recall = recall_attempt,
                 .results = keep_results},
    };
    s->world = world_new(s->shelf, &options, start_ms - SECOND_MS);
    memset(s->locals, 0, sizeof(s->locals));
    enum status status = world_activate(s->world, s->plan, s->f);
    for (uint32_t i = 0; i < scenario->person_count && status == OK; i++)
        status = introduce(s, i);
    struct teller teller = {s, watched == UINT32_MAX ? NULL : &s->fates[watched]};
    struct witness witness = {&teller, tell};
    if (watched != UINT32_MAX)
        engine_watch(world_engine(s->world), s->fates[watched].profile, &witness);
    for (uint32_t i = 0; i < scenario->fact_count && status == OK; i++) {
        bool is_answer =
            scenario->facts[i].message != NAME_NONE && scenario->facts[i].kind != SCENARIO_LOOK;
        if (is_answer || scenario->facts[i].step != NAME_NONE)
            status = world_wait(s->world, scenario->facts[i].at_ms, s->f);
        if (status == OK)
            status = apply_fact(s, &scenario->facts[i], false);
    }
    if (status == OK)
        status = world_wait(s->world, scenario->until_ms, s->f);
    return status;
}

static void forget(struct stage *s)
{
    for (uint32_t i = 0; i < s->scenario->person_count; i++) {
        mem_free(s->fates[i].rows);
        buf_fini(&s->fates[i].story);
        s->fates[i] = (struct fate){0};
    }
    world_free(s->world);
    s->world = NULL;
    memset(s->answers_used, 0, s->scenario->answer_count * sizeof(s->answers_used[0]));
}

bool scenario_run(struct shelf *shelf, const struct plan *plan, const struct scenario *scenario,
                  struct arena *arena, struct scenario_result *out)
{
    *out = (struct scenario_result){0};
    struct stage s = {
        .shelf = shelf,
        .plan = plan,
        .scenario = scenario,
        .arena = arena,
        .fates = arena_array(arena, struct fate, scenario->person_count + 1),
        .answers_used = arena_array(arena, uint32_t, scenario->answer_count + 1),
        .f = &out->fault,
    };
    struct scenario_failure *failures =
        arena_array(arena, struct scenario_failure, scenario->expect_count + 1);
    bool is_fine = play(&s, UINT32_MAX) == OK;
    for (uint32_t i = 0; is_fine && i < scenario->expect_count; i++)
        if (!meets(&s, &scenario->expects[i], &failures[out->failure_count]))
            out->failure_count++;
    out->batches = engine_batch(world_engine(s.world));
    out->failures = failures;
    forget(&s);
    /* The stories of those whose expectations failed, by playing it again. */
    for (uint32_t i = 0; i < out->failure_count; i++) {
        uint32_t person = failures[i].expect->person;
        if (play(&s, person) == OK)
            failures[i].story = arena_copy(arena, buf_str(&s.fates[person].story));
        forget(&s);
    }
    return is_fine && out->failure_count == 0;
}
