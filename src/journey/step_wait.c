/* step_wait.c - waits for a moment, an event or a condition, whichever comes first.
 *
 * Nothing of a wait is stored but when it began: its end is reckoned anew from what is known whenever
 * that may have changed (a trait that a date comes from, the person's zone, a hold), so a date that
 * moves takes the wait with it, and a merge needs no care.
 *
 *     engaged, a condition that holds ───────► on to where that leads             wait_ask
 *         └─ no: due_ms, ask_ms
 *               └─ that moment has come, and whatever happens in it is done ─► on     wait_time
 *
 * A relative wait that a hold freezes is longer by what the freezing holds covered together
 * (holds_thawed). Holds keep their intervals. Dates, clocks, hours and weekdays do not freeze.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "journey/journey_int.h"
#include "journey/moment.h"
#include "profile/ask.h"
#include "profile/holds.h"

#define RECEIPT_PATIENCE_MS (15 * MINUTE_MS)

/* What the wait's lengths count from: its begin, or when the instance's message was accepted or
 * delivered. *least_ms: it cannot be over before, because the receipt may still come. */
static int64_t counts_from(const struct step *s, int64_t *least_ms)
{
    const struct plan_wait *w = &s->means->wait;
    int64_t from_ms = s->at->step_ms;
    *least_ms = INT64_MIN;
    if (likely(w->after_message == NAME_NONE))
        return from_ms;
    for (uint32_t i = 0; i < s->who->profile->ledger.count; i++) {
        const struct sent *line = person_sent(s->who, i);
        const struct sent_more *more = person_sent_more(s->who, line);
        int64_t accepted_ms = brief_ms(more->accepted), delivered_ms = brief_ms(more->delivered);
        if (more->instance != s->at->id || line->message != w->after_message || accepted_ms == 0)
            continue;
        from_ms = accepted_ms;
        *least_ms = INT64_MIN;
        if (w->is_after_delivered && delivered_ms != 0)
            from_ms = delivered_ms;
        else if (w->is_after_delivered)
            *least_ms = accepted_ms + RECEIPT_PATIENCE_MS;
    }
    return from_ms;
}

/* The end of the wait's own time (`for`, `at_most`) with what holds froze of it so far; FOREVER_MS if it
 * has none, or an open hold freezes it. */
static int64_t patience_ms(const struct step *s)
{
    const struct plan_wait *w = &s->means->wait;
    int64_t least_ms, from_ms = counts_from(s, &least_ms), end_ms = FOREVER_MS;
    if (w->for_days)
        end_ms = zone_add_days(person_zone(s->who), from_ms, (int32_t)w->for_days);
    else if (w->for_ms >= 0)
        end_ms = from_ms + w->for_ms;
    end_ms = max_of(end_ms, least_ms);
    if (w->at_most_ms)
        end_ms =
            max_of(min_of(end_ms, instance_wait_ms(s->who->space, s->at) + w->at_most_ms), from_ms);
    if (end_ms == FOREVER_MS)
        return FOREVER_MS;
    return holds_thawed(s->who, s->at->journey, from_ms, end_ms - from_ms);
}

/* What the moments of a wait come to at the moment. */
struct reckoning {
    int64_t due_ms;                 /* the earliest; FOREVER_MS: none is known to come */
    int64_t ask_ms;                 /* when an expression that one comes from must be asked again */
    const struct plan_ending *what; /* whose it is; NULL: the wait's own time */
    bool is_exit;                   /* the instance is to end instead */
    bool is_error;                  /* an expression gave something that is no date or length */
};

static int64_t otherwise(struct reckoning *r, uint8_t policy, int64_t from_ms)
{
    switch ((enum moment_otherwise)policy) {
    case MOMENT_SKIP: return from_ms;
    case MOMENT_EXIT: r->is_exit = true; return from_ms;
    case MOMENT_STAY: break;
    }
    return FOREVER_MS;
}

static struct value value_of(struct step *s, const struct plan_moment *m, struct reckoning *r)
{
    int64_t until_ms;
    struct value value =
        ask_value_until(s->who, s->plan, &m->value, step_more(s)->entry, &until_ms);
    r->ask_ms = min_of(r->ask_ms, until_ms);
    return value;
}

static void note_bad(struct reckoning *r, const struct value *value)
{
    r->is_error |= value->type != VALUE_NONE && value->type != VALUE_NULL;
}

static int64_t after_ms(struct step *s, const struct plan_moment *m, const struct zone *zone,
                        struct reckoning *r)
{
    int64_t least_ms, from_ms = counts_from(s, &least_ms);
    struct span span = m->span;
    if (m->value.code != NULL) {
        struct value value = value_of(s, m, r);
        if (!moment_length(&value, &span)) {
            note_bad(r, &value);
            return moment_bend(m, zone, otherwise(r, m->missing, from_ms));
        }
    }
    int64_t end_ms = max_of(span_add(span, zone, from_ms), least_ms);
    end_ms = holds_thawed(s->who, s->at->journey, from_ms, end_ms - from_ms);
    end_ms = moment_of_base(m, zone, end_ms, span.kind == SPAN_CALENDAR);
    return moment_bend(m, zone, end_ms);
}

static int64_t date_ms(struct step *s, const struct plan_moment *m, const struct zone *zone,
                       struct reckoning *r)
{
    int64_t from_ms = s->at->step_ms;
    struct moment_date date = moment_literal(m);
    if (m->value.code != NULL) {
        struct value value = value_of(s, m, r);
        if (!moment_read(&value, &date)) {
            note_bad(r, &value);
            return moment_bend(m, zone, otherwise(r, m->missing, from_ms));
        }
    }
    int64_t at_ms = moment_of_date(m, date, zone);
    if (at_ms < instance_wait_ms(s->who->space, s->at))
        at_ms = otherwise(r, m->past, from_ms);
    return moment_bend(m, zone, at_ms);
}

static int64_t moment_ms(struct step *s, const struct plan_moment *m, struct reckoning *r)
{
    const struct zone *zone =
        m->zone == PLAN_NO_INDEX ? person_zone(s->who) : zoneset_zone(s->plan->zones, m->zone);
    int64_t from_ms = s->at->step_ms;
    switch ((enum moment_kind)m->kind) {
    case MOMENT_NONE: return FOREVER_MS;
    case MOMENT_AFTER: return after_ms(s, m, zone, r);
    case MOMENT_DATE: return date_ms(s, m, zone, r);
    case MOMENT_NEXT: return moment_bend(m, zone, moment_of_base(m, zone, from_ms, false));
    }
    must(!"a kind of moment");
    return FOREVER_MS;
}

/* Of moments at the same instant the first in the file counts, the wait's own time last. */
static struct reckoning reckon(struct step *s)
{
    const struct plan_wait *w = &s->means->wait;
    struct reckoning r = {.due_ms = FOREVER_MS, .ask_ms = FOREVER_MS};
    for (uint32_t i = 0; i < w->ending_count; i++) {
        int64_t at_ms = moment_ms(s, &w->endings[i].moment, &r);
        if (at_ms >= r.due_ms)
            continue;
        r.due_ms = at_ms;
        r.what = &w->endings[i];
    }
    int64_t patience = patience_ms(s);
    if (patience < r.due_ms) {
        r.due_ms = patience;
        r.what = NULL;
    }
    s->at = person_touch_instance(s->who, s->place); /* expressions may have moved the list */
    if (planted("timer-early") && r.due_ms != FOREVER_MS)
        r.due_ms--;
    return r;
}

int64_t wait_due(struct step *s)
{
    struct reckoning r = reckon(s);
    instance_ask_by(s->who->space, s->at, r.ask_ms);
    return r.is_exit ? s->who->at_ms : r.due_ms;
}

static void count_error(struct step *s)
{
    person_result(s->who, (struct result){.kind = RESULT_ERROR,
                                          .step = s->at->step,
                                          .journey = s->at->journey,
                                          .id = s->at->id});
}

static bool holds_now(struct step *s, const struct plan_expr *condition, int64_t *ask_ms)
{
    if (condition->code == NULL)
        return false;
    struct asked asked = ask(s->who, s->plan, condition, step_more(s)->entry);
    s->at = person_touch_instance(s->who, s->place);
    *ask_ms = min_of(*ask_ms, asked.until_ms);
    if (asked.is_error)
        count_error(s);
    return asked.is_true;
}

/* Does one of the conditions among them hold (segments that the person is in, or not)? */
static bool one_holds(struct step *s, const struct plan_listen *list, uint32_t count,
                      int64_t *ask_ms)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].event == NAME_NONE && holds_now(s, &list[i].when, ask_ms))
            return true;
    return false;
}

void wait_take(struct step *s, const struct plan_ending *what)
{
    s->next = what->target;
    if (what->label == NAME_NONE)
        return;
    person_result(s->who, (struct result){.kind = RESULT_WAITED,
                                          .step = s->at->step,
                                          .journey = s->at->journey,
                                          .version = s->at->plan,
                                          .id = s->at->id,
                                          .number = what->label});
    person_note_about(s->who, s->at->journey, NAME_NONE, "%.*s: %.*s ends the wait",
                      STR_ARG(names_text(s->who->names, s->at->journey)),
                      STR_ARG(names_text(s->who->names, what->label)));
}

enum step_answer wait_ask(struct step *s)
{
    const struct plan_wait *w = &s->means->wait;
    int64_t ask_ms = FOREVER_MS;
    s->next = s->means->next;
    if (w->engaged_message != PLAN_NO_INDEX && s->at->flags & INSTANCE_IS_ENGAGED &&
        s->at->last_message == s->plan->messages[w->engaged_message].name)
        return STEP_GO;
    if (holds_now(s, &w->until_if, &ask_ms) || one_holds(s, w->until, w->until_count, &ask_ms))
        return STEP_GO;
    for (uint32_t i = 0; i < w->ending_count; i++) {
        const struct plan_ending *what = &w->endings[i];
        if (!holds_now(s, &what->condition, &ask_ms) &&
            !one_holds(s, what->listens, what->listen_count, &ask_ms))
            continue;
        wait_take(s, what);
        return STEP_GO;
    }
    struct reckoning r = reckon(s);
    s->at->due_ms = r.is_exit ? s->who->at_ms : r.due_ms;
    instance_set_ask(s->who->space, s->at, min_of(ask_ms, r.ask_ms));
    if (r.is_error)
        count_error(s);
    return STEP_STAYS;
}

enum step_answer wait_time(struct step *s)
{
    const struct plan_wait *w = &s->means->wait;
    struct reckoning r = reckon(s);
    if (r.is_exit) {
        s->end = JOURNEY_EXITED;
        return STEP_ENDS;
    }
    if (r.due_ms > s->who->at_ms)
        return STEP_STAYS;
    s->next = s->means->next;
    if (r.what != NULL)
        wait_take(s, r.what);
    else if (w->on_timeout != PLAN_NO_INDEX)
        s->next = w->on_timeout;
    return STEP_GO;
}

enum step_answer step_wait_run(struct step *s)
{
    struct instance *in = s->at;
    in->state = INSTANCE_WAITING;
    enum step_answer answer = wait_ask(s);
    if (answer == STEP_STAYS && s->at->due_ms <= s->who->at_ms)
        answer = wait_time(s);
    if (answer == STEP_STAYS && s->who->witness != NULL && s->at->due_ms != FOREVER_MS)
        person_tell(s->who,
                    &(struct note){.kind = NOTE_SCHEDULE,
                                   .journey = s->at->journey,
                                   .until_ms = s->at->due_ms},
                    "%.*s: waits until %s", STR_ARG(names_text(s->who->names, s->at->journey)),
                    person_moment(s->who, s->at->due_ms));
    return answer;
}
