/* SPDX-License-Identifier: Apache-2.0 */
#include "api/journey_json.h"

#include "when/civil.h"
#include "json/json_write.h"

static void write_moment(struct json_writer *w, const char *key, int64_t at_ms)
{
    char text[TIMESTAMP_BYTES];
    json_write_key_text(w, key, timestamp_print(at_ms, text));
}

static void write_count(struct json_writer *w, const char *key, uint64_t count)
{
    json_write_key_int(w, key, (int64_t)count);
}

static void write_name(struct json_writer *w, const char *key, const struct names *names,
                       uint32_t name)
{
    if (name == NAME_NONE)
        json_write_key_null(w, key);
    else
        json_write_key_text(w, key, names_text(names, name));
}

/* ---- how they stand ------------------------------------------------------------------------------ */

static void write_phase(struct json_writer *w, const struct engine *e, uint32_t journey)
{
    const struct journey_control *x = controls_find(engine_controls(e), journey);
    enum journey_phase phase = controls_phase(engine_controls(e), journey);
    json_write_key_text(w, "state", phase_name(phase));
    if (x == NULL || x->since_ms == 0)
        return;
    write_moment(w, "since", x->since_ms);
    write_name(w, "by", engine_names(e), x->by);
    if (phase != PHASE_PAUSED)
        return;
    json_write_key_text(w, "entries", x->flags & PHASE_REFUSES ? STR("refused") : STR("held"));
    json_write_key_text(w, "timers", x->flags & PHASE_TIMERS_RUN ? STR("running") : STR("frozen"));
}

static void write_standing(struct json_writer *w, const struct report *r)
{
    uint64_t in_flight = 0, entered = 0;
    json_write_key(w, STR("versions"));
    json_write_list(w);
    for (uint32_t i = 0; i < r->version_count; i++) {
        const struct report_version *v = &r->versions[i];
        in_flight += v->in_flight;
        entered += v->entered;
        if (v->in_flight == 0 && !v->is_newest)
            continue;
        json_write_map(w);
        write_count(w, "version", v->number);
        json_write_key_bool(w, "is_newest", v->is_newest);
        write_count(w, "entered", v->entered);
        write_count(w, "in_flight", v->in_flight);
        json_write_end(w);
    }
    json_write_end(w);
    write_count(w, "entered", entered);
    write_count(w, "in_flight", in_flight);
}

static void write_kills(struct json_writer *w, const struct engine *e)
{
    const struct controls *c = engine_controls(e);
    json_write_key(w, STR("kills"));
    json_write_list(w);
    for (uint32_t i = 0; i < c->kill_count; i++) {
        const struct kill *k = &c->kills[i];
        json_write_map(w);
        write_count(w, "number", k->number);
        json_write_key_text(w, "scope", kill_scope_name((enum kill_scope)k->scope));
        if (k->scope == KILL_CHANNEL)
            json_write_key_text(w, "name", channel_name((enum channel)k->channel));
        else
            write_name(w, "name", engine_names(e), k->name);
        json_write_key_bool(w, "drop", (k->flags & KILL_DROPS) != 0);
        json_write_key_bool(w, "all_lanes", (k->flags & KILL_ALL_LANES) != 0);
        write_moment(w, "since", k->since_ms);
        write_name(w, "by", engine_names(e), k->by);
        if (k->monitor != NAME_NONE)
            write_name(w, "monitor", engine_names(e), k->monitor);
        json_write_end(w);
    }
    json_write_end(w);
}

void journeys_json(struct engine *e, struct buf *out)
{
    const struct plans *plans = engine_plans(e);
    const struct plan *plan = plans->newest ? plans->at[plans->newest] : NULL;
    struct json_writer w;
    struct arena arena;
    arena_init(&arena, 65536);
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    write_moment(&w, "as_of", engine_now(e));
    json_write_key(&w, STR("journeys"));
    json_write_list(&w);
    for (uint32_t i = 0; plan != NULL && i < plan->journey_count; i++) {
        const struct plan_journey *j = &plan->journeys[i];
        struct report report;
        arena_reset(&arena);
        report_funnel(engine_funnel(e), plans->at, plans->count, j->name, &arena, &report);
        json_write_map(&w);
        json_write_key_text(&w, "journey", names_text(engine_names(e), j->name));
        json_write_key_text(&w, "owner", j->owner);
        write_phase(&w, e, j->name);
        write_standing(&w, &report);
        json_write_end(&w);
    }
    json_write_end(&w);
    write_kills(&w, e);
    json_write_end(&w);
    arena_fini(&arena);
}

/* ---- how far people come ------------------------------------------------------------------------- */

static void write_ends(struct json_writer *w, const uint64_t *ended_by)
{
    json_write_key(w, STR("ended_by"));
    json_write_list(w);
    for (uint32_t i = 1; i < JOURNEY_END_END; i++) {
        if (ended_by[i] == 0)
            continue;
        const struct end_term *term = end_term((enum journey_end)i);
        json_write_map(w);
        json_write_key_text(w, "reason", term->name);
        json_write_key_bool(w, "by_design", term->is_by_design);
        write_count(w, "count", ended_by[i]);
        json_write_end(w);
    }
    json_write_end(w);
}

static void write_bounds(struct json_writer *w, const char *key, struct report_bounds bounds)
{
    json_write_key(w, str_of(key));
    json_write_list(w);
    json_write_int(w, bounds.low_ms);
    json_write_int(w, bounds.high_ms);
    json_write_end(w);
}

static void write_step(struct json_writer *w, const struct names *names,
                       const struct report_step *s, bool is_whole)
{
    json_write_map(w);
    write_name(w, "step", names, s->id);
    write_count(w, "began", s->began);
    write_count(w, "advanced", s->advanced);
    write_count(w, "moved", s->moved);
    write_count(w, "ended", s->ended);
    if (is_whole)
        write_count(w, "waiting", s->waiting);
    write_ends(w, s->ended_by);
    json_write_key_int(w, "total_ms", s->total_ms);
    write_bounds(w, "median_ms", s->median);
    write_bounds(w, "p90_ms", s->p90);
    json_write_end(w);
}

static void write_arm(struct json_writer *w, const struct names *names, const struct report_arm *a)
{
    static const char *const news[] = {NULL,   "converted", "ended",  "abandoned",
                                       "sent", "not_sent",  "crossed"};
    json_write_map(w);
    write_name(w, "split", names, a->split);
    write_name(w, "arm", names, a->arm);
    write_count(w, "took", a->took);
    for (uint32_t i = 1; i < ARM_NEWS_END; i++)
        write_count(w, news[i], a->news[i]);
    json_write_end(w);
}

static const char *class_name(enum outcome_class class)
{
    static const char *const names[] = {"waiting",    "out",      "not_allowed",
                                        "not_wanted", "too_late", "control"};
    return names[class];
}

static void write_message(struct json_writer *w, const struct names *names,
                          const struct report_message *m, bool is_whole)
{
    json_write_map(w);
    write_name(w, "message", names, m->name);
    write_name(w, "category", names, m->category);
    json_write_key_text(w, "lane", lane_term((enum lane)m->lane)->name);
    write_count(w, "proposed", m->proposed);
    write_count(w, "ghosts", m->ghosts);
    if (is_whole)
        write_count(w, "waiting", m->waiting);
    json_write_key(w, STR("outcomes"));
    json_write_list(w);
    for (uint32_t i = 0; i < m->outcome_count; i++) {
        const struct report_outcome *o = &m->outcomes[i];
        const struct outcome_term *term = outcome_term((enum outcome)o->outcome);
        json_write_map(w);
        json_write_key_text(w, "outcome", term->name);
        json_write_key_text(w, "class", str_of(class_name(term->class)));
        if (o->channel)
            json_write_key_text(w, "channel", channel_name((enum channel)o->channel));
        else
            json_write_key_null(w, "channel");
        json_write_key_int(w, "rule", o->rule);
        write_count(w, "count", o->count);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("deferred"));
    json_write_list(w);
    for (uint32_t i = 0; i < REPORT_RULES; i++) {
        if (m->deferred[i] == 0)
            continue;
        json_write_map(w);
        json_write_key_int(w, "rule", i);
        write_count(w, "times", m->deferred[i]);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_end(w);
}

static void write_version(struct json_writer *w, const struct names *names,
                          const struct report_version *v, bool is_whole)
{
    json_write_map(w);
    write_count(w, "version", v->number);
    json_write_key_text(w, "programme", str_of(v->plan->hash));
    json_write_key_bool(w, "is_newest", v->is_newest);
    write_count(w, "entered", v->entered);
    write_count(w, "ghosts", v->ghosts);
    write_count(w, "moved_in", v->moved_in);
    write_count(w, "moved_out", v->moved_out);
    write_count(w, "converted", v->converted);
    write_count(w, "ghosts_converted", v->ghosts_converted);
    write_count(w, "crossed_converted", v->crossed_converted);
    write_count(w, "crossed_in", v->crossed_in);
    write_count(w, "crossed_out", v->crossed_out);
    json_write_key_int(w, "converted_total_ms", v->convert_ms);
    write_count(w, "ended", v->ended);
    if (is_whole)
        write_count(w, "in_flight", v->in_flight);
    write_ends(w, v->ended_by);
    json_write_key(w, STR("steps"));
    json_write_list(w);
    for (uint32_t i = 0; i < v->step_count; i++)
        write_step(w, names, &v->steps[i], is_whole);
    json_write_end(w);
    json_write_key(w, STR("arms"));
    json_write_list(w);
    for (uint32_t i = 0; i < v->arm_count; i++)
        write_arm(w, names, &v->arms[i]);
    json_write_end(w);
    json_write_key(w, STR("messages"));
    json_write_list(w);
    for (uint32_t i = 0; i < v->message_count; i++)
        write_message(w, names, &v->messages[i], is_whole);
    json_write_end(w);
    json_write_end(w);
}

static void write_refusals(struct json_writer *w, const struct report *r)
{
    json_write_key(w, STR("refused"));
    json_write_list(w);
    for (uint32_t i = 1; i < REFUSAL_END; i++) {
        if (r->refused_by[i] == 0)
            continue;
        json_write_map(w);
        json_write_key_text(w, "reason", str_of(refusal_name((enum refusal)i)));
        write_count(w, "count", r->refused_by[i]);
        json_write_end(w);
    }
    json_write_end(w);
}

void funnel_json(const struct report *report, const struct names *names, int64_t now_ms,
                 int64_t since_ms, struct buf *out)
{
    bool is_whole = since_ms == INT64_MIN;
    struct json_writer w;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    write_name(&w, "journey", names, report->journey);
    write_moment(&w, "as_of", now_ms);
    if (is_whole)
        json_write_key_null(&w, "since");
    else
        write_moment(&w, "since", since_ms);
    write_refusals(&w, report);
    write_count(&w, "held_entries", report->held_entries);
    json_write_key(&w, STR("versions"));
    json_write_list(&w);
    for (uint32_t i = 0; i < report->version_count; i++)
        write_version(&w, names, &report->versions[i], is_whole);
    json_write_end(&w);
    json_write_key(&w, STR("replies"));
    json_write_list(&w);
    for (uint32_t i = 0; i < report->reply_count; i++) {
        const struct report_reply *x = &report->replies[i];
        json_write_map(&w);
        write_name(&w, "message", names, x->message);
        write_count(&w, "delivered", x->delivered);
        write_count(&w, "bounced", x->bounced);
        write_count(&w, "opened", x->opened);
        write_count(&w, "clicked", x->clicked);
        write_count(&w, "complained", x->complained);
        json_write_end(&w);
    }
    json_write_end(&w);
    json_write_end(&w);
}
