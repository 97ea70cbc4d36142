/* monitor.c - what monitors count, and what they do.
 *
 *     records, receipts, answers ──► counts (measure/monitor.h)
 *                                      │ judged at the head of the next batch
 *     raised, cleared ◄────────────────┘
 *         ├──► what it pauses waits from that batch on (model/control.h), or goes on at its pace
 *         └──► who is to be told hears Monitor Raised, Monitor Cleared: an event of theirs, that a journey
 *              may answer with a message like any other
 *
 * So an alarm acts before anything else is decided in its batch; and where a batch has made one due, the
 * next one is wanted at once (engine_has_inbox).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "base/mem.h"
#include "engine/engine_int.h"
#include "when/civil.h"

static const struct plan *newest(const struct engine *e)
{
    return e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
}

static bool is_any(uint32_t wanted, uint32_t name)
{
    return wanted == NAME_NONE || wanted == name;
}

/* ---- events --------------------------------------------------------------------------------------- */

/* Has the property the type that it is to have? */
static bool fits(const struct record *r, const struct plan_property *p)
{
    struct value x = record_get(r, p->name, NULL);
    struct timestamp when;
    if (p->type == VALUE_NONE)
        return x.type != VALUE_NONE && x.type != VALUE_NULL;
    if (p->type == VALUE_DOUBLE)
        return x.type == VALUE_INT || x.type == VALUE_DOUBLE;
    if (p->type == VALUE_TIME && x.type == VALUE_TEXT)
        return timestamp_parse(x.text, TIMESTAMP_LOOSE, &when, NULL) == OK;
    return x.type == (enum value_type)p->type;
}

static bool is_malformed(const struct record *r, const struct plan_monitor *means)
{
    for (uint32_t i = 0; i < means->property_count; i++)
        if (!fits(r, &means->properties[i]))
            return true;
    return false;
}

static bool is_late(const struct record *r, const struct plan_monitor *means)
{
    return r->arrival_ms - r->event_ms > means->than_ms;
}

void monitors_event(struct engine *e, const struct record *r, enum event_news news)
{
    const struct plan *plan = newest(e);
    bool is_duplicate = news == EVENT_IS_DUPLICATE;
    if (r->flags & RECORD_IS_HISTORY && !planted("monitor-counts-history"))
        return;
    must(plan != NULL || e->monitors.count == 0);
    for (uint32_t i = 0; i < e->monitors.count; i++) {
        const struct plan_monitor *means = &plan->monitors[i];
        struct monitor *m = &e->monitors.at[i];
        if (watch_term((enum watch)means->watch)->about != WATCH_ABOUT_EVENTS ||
            !is_any(means->event, r->name) || !is_any(means->source, r->source))
            continue;
        if (is_duplicate && means->watch != WATCH_DUPLICATES)
            continue;
        bool counts = means->watch == WATCH_DUPLICATES  ? is_duplicate
                      : means->watch == WATCH_LATE      ? is_late(r, means)
                      : means->watch == WATCH_MALFORMED ? is_malformed(r, means)
                      : means->watch == WATCH_UNMATCHED ? news == EVENT_IS_UNMATCHED
                                                        : true;
        if (means->watch == WATCH_SILENCE)
            monitor_hear(m, e->now_ms);
        else
            monitor_add(m, means, e->now_ms, counts, 1);
    }
}

/* ---- messages ------------------------------------------------------------------------------------- */

static bool is_about(const struct plan_monitor *means, const struct sent *s, uint32_t journey,
                     uint8_t channel)
{
    if (means->channel != CHANNEL_NONE && means->channel != channel)
        return false;
    if (s == NULL) /* it is not known which */
        return means->category == NAME_NONE && means->journey == NAME_NONE &&
               means->message == NAME_NONE;
    return is_any(means->category, s->category) && is_any(means->journey, journey) &&
           is_any(means->message, s->message);
}

/* So many more of what `watch` counts, of so many more. `journey`: the line's, if it is known. */
static void add(struct engine *e, enum watch watch, const struct sent *s, uint32_t journey,
                uint8_t channel, uint64_t count, uint64_t of)
{
    const struct plan *plan = newest(e);
    must(plan != NULL || e->monitors.count == 0);
    for (uint32_t i = 0; i < e->monitors.count; i++) {
        const struct plan_monitor *means = &plan->monitors[i];
        if (means->watch == watch && is_about(means, s, journey, channel))
            monitor_add(&e->monitors.at[i], means, e->now_ms, count, of);
    }
}

/* A message was accepted: that is what bounces, answers and engagement are counted of. */
static void add_sent(struct engine *e, const struct sent *s, uint32_t journey)
{
    const struct plan *plan = newest(e);
    add(e, WATCH_SENT, s, journey, s->channel, 1, 1);
    add(e, WATCH_FAILED, s, journey, s->channel, 0, 1);
    add(e, WATCH_BOUNCED, s, journey, s->channel, 0, 1);
    add(e, WATCH_COMPLAINED, s, journey, s->channel, 0, 1);
    add(e, WATCH_UNSUBSCRIBED, s, journey, s->channel, 0, 1);
    add(e, WATCH_ENGAGED, s, journey, s->channel, 0, 1);
    must(plan != NULL || e->monitors.count == 0);
    for (uint32_t i = 0; i < e->monitors.count; i++) {
        const struct plan_monitor *means = &plan->monitors[i];
        if (means->watch == WATCH_SLOW && is_about(means, s, journey, s->channel))
            monitor_add(&e->monitors.at[i], means, e->now_ms, e->now_ms - s->at_ms > means->than_ms,
                        1);
    }
}

static const struct sent *line_of(const struct person *who, uint64_t decision)
{
    for (uint32_t i = who->profile->ledger.count; decision != 0 && i-- > 0;)
        if (person_sent(who, i)->decision == decision)
            return person_sent(who, i);
    return NULL;
}

struct message_before monitors_before(const struct person *who, uint64_t decision)
{
    struct message_before b = {.decision = decision};
    const struct engine *e = who->engine;
    const struct sent *s = e->monitors.count == 0 ? NULL : line_of(who, decision);
    if (s != NULL) {
        b.has_line = true;
        b.line = *s;
        b.more = *person_sent_more(who, s);
    }
    return b;
}

void monitors_receipt(struct person *who, const struct message_before *b, enum receipt_kind kind)
{
    const struct sent *now = b->has_line ? line_of(who, b->decision) : NULL;
    bool was_accepted = b->has_line && brief_ms(b->more.accepted) != 0;
    if (now != NULL && !was_accepted && brief_ms(person_sent_more(who, now)->accepted) != 0)
        add_sent(who->engine, now, person_sent_more(who, now)->journey);
    if (!b->has_line)
        return;
    if (kind == RECEIPT_BOUNCED)
        add(who->engine, WATCH_BOUNCED, &b->line, b->more.journey, b->line.channel, 1, 0);
    if (kind == RECEIPT_REJECTED_ADDRESS || kind == RECEIPT_REJECTED_MESSAGE ||
        kind == RECEIPT_REJECTED_POLICY || kind == RECEIPT_GAVE_UP)
        add(who->engine, WATCH_FAILED, &b->line, b->more.journey, b->line.channel, 1, 1);
}

void monitors_answer(struct person *who, const struct message_before *b, enum watch watch,
                     uint8_t channel)
{
    const struct sent *now = b->has_line ? line_of(who, b->decision) : NULL;
    uint8_t seen = SENT_OPENED | SENT_CLICKED;
    if (watch != WATCH_ENGAGED)
        add(who->engine, watch, b->has_line ? &b->line : NULL, b->more.journey,
            b->has_line ? b->line.channel : channel, 1, 0);
    else if (now != NULL && !(b->line.flags & seen) && now->flags & seen)
        add(who->engine, watch, now, person_sent_more(who, now)->journey, now->channel, 1, 0);
}

/* ---- entries -------------------------------------------------------------------------------------- */

void monitors_results(struct engine *e)
{
    const struct plan *plan = newest(e);
    must(plan != NULL || e->monitors.count == 0);
    for (uint32_t i = 0; i < e->monitors.count; i++) {
        const struct plan_monitor *means = &plan->monitors[i];
        uint64_t count = 0;
        if (means->watch != WATCH_ENTRIES)
            continue;
        for (uint32_t k = 0; k < e->results.count; k++) {
            const struct result *row = &e->results.rows[k];
            count += row->kind == RESULT_ENTERED && is_any(means->journey, row->journey);
        }
        if (count > 0)
            monitor_add(&e->monitors.at[i], means, e->now_ms, count, count);
    }
}

/* ---- judging -------------------------------------------------------------------------------------- */

static bool is_wanted(const struct engine *e, const struct kill *k)
{
    const struct plan *plan = newest(e);
    must(k->monitor != NAME_NONE);
    for (uint32_t i = 0; plan != NULL && i < e->monitors.count; i++) {
        const struct plan_monitor *means = &plan->monitors[i];
        if (!e->monitors.at[i].is_raised || means->name != k->monitor)
            continue;
        for (uint32_t p = 0; p < means->pause_count; p++)
            if (means->pauses[p].scope == k->scope && means->pauses[p].name == k->name &&
                means->pauses[p].channel == k->channel)
                return true;
    }
    return false;
}

static bool is_there(const struct controls *c, const struct kill *k)
{
    for (uint32_t i = 0; i < c->kill_count; i++)
        if (c->kills[i].scope == k->scope && c->kills[i].name == k->name &&
            c->kills[i].channel == k->channel && c->kills[i].monitor == k->monitor)
            return true;
    return false;
}

/* What is to wait is what raised monitors of the newest programme say, and nothing else. */
static void keep_pauses(struct engine *e)
{
    const struct plan *plan = newest(e);
    for (uint32_t i = e->controls.kill_count; i-- > 0;) {
        struct kill k = e->controls.kills[i];
        if (k.monitor == NAME_NONE || is_wanted(e, &k) || planted("monitor-pauses-for-good"))
            continue;
        uint32_t pace_count = COMMAND_PACE_COUNT;
        int64_t pace_ms = COMMAND_PACE_MS;
        for (uint32_t p = 0; plan != NULL && p < plan->monitor_count; p++)
            if (plan->monitors[p].name == k.monitor) {
                pace_count = plan->monitors[p].pace_count;
                pace_ms = plan->monitors[p].pace_ms;
            }
        lifecycle_go_on(e, i, pace_count, pace_ms);
    }
    must(plan == NULL || e->monitors.count == plan->monitor_count);
    for (uint32_t i = 0; i < e->monitors.count; i++) {
        const struct plan_monitor *means = &plan->monitors[i];
        for (uint32_t p = 0; e->monitors.at[i].is_raised && p < means->pause_count &&
                             !planted("monitor-pauses-nothing");
             p++) {
            struct kill k = means->pauses[p];
            k.monitor = means->name;
            k.since_ms = e->now_ms;
            if (!is_there(&e->controls, &k))
                lifecycle_wait(e, &k);
        }
    }
}

void monitors_activated(struct engine *e)
{
    if (e->is_shadow)
        return;
    monitors_set(&e->monitors, newest(e), e->now_ms);
    must(newest(e) != NULL);
    keep_pauses(e);
}

static void add_alarm(struct engine *e, uint32_t monitor, const struct monitor_view *view)
{
    if (e->alarm_count == e->alarm_room) {
        e->alarm_room = e->alarm_room ? e->alarm_room * 2 : 8;
        e->alarms = mem_resize(e->alarms, e->alarm_room * sizeof(e->alarms[0]));
    }
    must(e->alarm_count < e->alarm_room);
    must(monitor < e->monitors.count);
    e->alarms[e->alarm_count++] = (struct alarm){monitor, *view};
}

void monitors_step(struct engine *e)
{
    const struct plan *plan = newest(e);
    e->alarm_count = 0;
    must(plan != NULL || e->monitors.count == 0);
    for (uint32_t i = 0; i < e->monitors.count; i++) {
        const struct plan_monitor *means = &plan->monitors[i];
        struct monitor *m = &e->monitors.at[i];
        struct monitor_view view = monitor_view(m, means, e->now_ms);
        if (view.is_bad == m->is_raised)
            continue;
        must(m->changed_ms <= e->now_ms);
        m->is_raised = view.is_bad;
        m->changed_ms = e->now_ms;
        m->value = view.value;
        m->raised_times += view.is_bad;
        results_add(&e->results, (struct result){.kind = RESULT_MONITOR,
                                                 .how = view.is_bad,
                                                 .message = means->name,
                                                 .at_ms = e->now_ms,
                                                 .number = view.value});
        add_alarm(e, i, &view);
    }
    if (e->alarm_count > 0)
        keep_pauses(e);
}

void monitors_tell(struct engine *e)
{
    const struct plan *plan = newest(e);
    for (uint32_t i = 0; i < e->alarm_count; i++) {
        must(e->alarms[i].monitor < e->monitors.count);
        const struct plan_monitor *means = &plan->monitors[e->alarms[i].monitor];
        for (uint32_t k = 0; k < means->tell_count; k++) {
            uint64_t profile =
                engine_find(e, identifier_hash(IDENTIFIER_USER, means->tells[k], e->secret));
            if (profile != 0)
                for (uint32_t times = planted("monitor-tells-twice") ? 2 : 1; times > 0; times--)
                    engine_add_item(e, profile, ITEM_ALARM, i);
        }
    }
}

/* The value as people read it: a share in percent, silence in seconds. */
static double shown(const struct plan_monitor *means, int64_t value)
{
    switch (watch_term((enum watch)means->watch)->measure) {
    case WATCH_BY_SHARE: return (double)value / 10000;
    case WATCH_BY_SILENCE: return (double)value / SECOND_MS;
    case WATCH_BY_COUNT: break;
    }
    return (double)value;
}

void monitors_hear(struct person *who, uint32_t place)
{
    struct engine *e = who->engine;
    must(place < e->alarm_count);
    const struct alarm *a = &e->alarms[place];
    const struct plan_monitor *means = &newest(e)->monitors[a->monitor];
    must(a->monitor < e->monitors.count);
    bool is_raised = e->monitors.at[a->monitor].is_raised;
    struct buf clear;
    if (who->plan == NULL)
        return;
    buf_init(&clear);
    body_put_text(&clear, NAME_MONITOR, names_text(e->names, means->name));
    body_put_text(&clear, NAME_WATCH, watch_term((enum watch)means->watch)->name);
    body_put_double(&clear, NAME_VALUE, shown(means, a->view.value));
    body_put_double(&clear, NAME_LIMIT, shown(means, a->view.limit));
    body_put_int(&clear, NAME_COUNT, (int64_t)a->view.count);
    body_put_int(&clear, NAME_OF, (int64_t)a->view.of);
    body_put_text(&clear, NAME_SAYS, means->text);
    struct record record = {
        .type = RECORD_EVENT,
        .kind = EVENT_TRACK,
        .schema = RECORD_SCHEMA,
        .name = is_raised ? NAME_MONITOR_RAISED : NAME_MONITOR_CLEARED,
        .at_ms = who->at_ms,
        .event_ms = who->at_ms,
        .arrival_ms = who->at_ms,
        .clear = body_of(&clear),
    };
    must(who->event == NULL);
    who->event = &record;
    journey_event(who);
    who->event = NULL;
    buf_fini(&clear);
}

/* ---- when ----------------------------------------------------------------------------------------- */

bool monitors_are_due(const struct engine *e)
{
    const struct plan *plan = newest(e);
    must(plan != NULL || e->monitors.count == 0);
    for (uint32_t i = 0; i < e->monitors.count; i++)
        if (monitor_view(&e->monitors.at[i], &plan->monitors[i], e->now_ms).is_bad !=
            e->monitors.at[i].is_raised)
            return true;
    return false;
}

int64_t monitors_next(const struct engine *e)
{
    const struct plan *plan = newest(e);
    int64_t next_ms = FOREVER_MS;
    must(plan != NULL || e->monitors.count == 0);
    for (uint32_t i = 0; i < e->monitors.count; i++)
        next_ms = min_of(next_ms, monitor_next(&e->monitors.at[i], &plan->monitors[i], e->now_ms));
    return next_ms;
}

void monitors_engine_fini(struct engine *e)
{
    monitors_fini(&e->monitors);
    mem_free(e->alarms);
}

const struct monitors *engine_monitors(const struct engine *e)
{
    return &e->monitors;
}
