/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/audience_json.h"
#include "api/budget_json.h"
#include "api/journey_json.h"
#include "cli/common.h"
#include "cli/table.h"
#include "decide/budget.h"
#include "decide/rule.h"
#include "measure/report.h"
#include "replay/recount.h"
#include "when/span.h"
#include "when/zone.h"

struct reporting {
    struct cli *cli;
    struct directory directory;
    struct recovered recovered;
    struct funnel recounted;
    int64_t since_ms;
    bool is_recount;
    uint64_t newest; /* batch that the recount came to */
};

typedef int report_print(struct reporting *r);

/* ---- the funnel ---------------------------------------------------------------------------------- */

/* "2d", "3h 20m": the two greatest units. */
static struct str length(struct cli *c, int64_t ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"d", DAY_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", SECOND_MS}};
    for (size_t i = 0; i < array_count(units); i++) {
        if (ms < units[i].ms)
            continue;
        int64_t rest = i + 1 < array_count(units) ? ms % units[i].ms / units[i + 1].ms : 0;
        if (rest == 0)
            return arena_printf(&c->arena, "%ld%s", ms / units[i].ms, units[i].unit);
        return arena_printf(&c->arena, "%ld%s %ld%s", ms / units[i].ms, units[i].unit, rest,
                            units[i + 1].unit);
    }
    return arena_printf(&c->arena, "%ldms", ms);
}

static struct str bounds(struct cli *c, struct report_bounds b)
{
    if (b.high_ms <= 4)
        return STR("");
    return arena_printf(&c->arena, "%.*s .. %.*s", STR_ARG(length(c, b.low_ms)),
                        STR_ARG(length(c, b.high_ms)));
}

static void print_steps(struct reporting *r, const struct report_version *v)
{
    struct cli *c = r->cli;
    const struct names *names = engine_names(r->recovered.engine);
    struct table table;
    table_init(&table, &c->arena);
    table_column(&table, "step", TABLE_LEFT);
    table_column(&table, "began", TABLE_RIGHT);
    table_column(&table, "went on", TABLE_RIGHT);
    table_column(&table, "ended here", TABLE_RIGHT);
    table_column(&table, "moved", TABLE_RIGHT);
    table_column(&table, "waiting now", TABLE_RIGHT);
    table_column(&table, "half took up to", TABLE_LEFT);
    table_column(&table, "9 of 10 up to", TABLE_LEFT);
    for (uint32_t i = 0; i < v->step_count; i++) {
        const struct report_step *s = &v->steps[i];
        table_text(&table, names_text(names, s->id));
        table_int(&table, (int64_t)s->began);
        table_int(&table, (int64_t)s->advanced);
        table_int(&table, (int64_t)s->ended);
        table_int(&table, (int64_t)s->moved);
        if (r->since_ms == INT64_MIN)
            table_int(&table, (int64_t)s->waiting);
        else
            table_text(&table, STR("-"));
        table_text(&table, bounds(c, s->median));
        table_text(&table, bounds(c, s->p90));
    }
    table_print(&table, &c->out);
}

static void print_ends(struct reporting *r, const struct report_version *v)
{
    struct cli *c = r->cli;
    if (v->ended == 0)
        return;
    term_text(&c->out, "  ended:");
    for (uint32_t i = 1; i < JOURNEY_END_END; i++)
        if (v->ended_by[i])
            term_text(&c->out, " %.*s %lu%s", STR_ARG(end_term((enum journey_end)i)->name),
                      v->ended_by[i],
                      end_term((enum journey_end)i)->is_by_design ? "" : " (abandoned)");
    term_text(&c->out, "\n");
}

static void print_arms(struct reporting *r, const struct report_version *v)
{
    struct cli *c = r->cli;
    const struct names *names = engine_names(r->recovered.engine);
    struct table table;
    if (v->arm_count == 0)
        return;
    table_init(&table, &c->arena);
    table_column(&table, "split", TABLE_LEFT);
    table_column(&table, "arm", TABLE_LEFT);
    table_column(&table, "took it", TABLE_RIGHT);
    table_column(&table, "converted", TABLE_RIGHT);
    table_column(&table, "sent", TABLE_RIGHT);
    table_column(&table, "ended", TABLE_RIGHT);
    table_column(&table, "abandoned", TABLE_RIGHT);
    table_column(&table, "out of the analysis", TABLE_RIGHT);
    for (uint32_t i = 0; i < v->arm_count; i++) {
        const struct report_arm *a = &v->arms[i];
        table_text(&table, names_text(names, a->split));
        table_text(&table, names_text(names, a->arm));
        table_int(&table, (int64_t)a->took);
        table_int(&table, (int64_t)a->news[ARM_CONVERTED]);
        table_int(&table, (int64_t)a->news[ARM_SENT]);
        table_int(&table, (int64_t)a->news[ARM_ENDED]);
        table_int(&table, (int64_t)a->news[ARM_ABANDONED]);
        table_int(&table, (int64_t)a->news[ARM_CROSSED]);
    }
    table_print(&table, &c->out);
}

static void print_messages(struct reporting *r, const struct report_version *v)
{
    struct cli *c = r->cli;
    const struct names *names = engine_names(r->recovered.engine);
    struct table table;
    if (v->message_count == 0)
        return;
    table_init(&table, &c->arena);
    table_column(&table, "message", TABLE_LEFT);
    table_column(&table, "category", TABLE_LEFT);
    table_column(&table, "outcome", TABLE_LEFT);
    table_column(&table, "channel", TABLE_LEFT);
    table_column(&table, "rule", TABLE_LEFT);
    table_column(&table, "messages", TABLE_RIGHT);
    for (uint32_t i = 0; i < v->message_count; i++) {
        const struct report_message *m = &v->messages[i];
        for (uint32_t k = 0; k < m->outcome_count; k++) {
            const struct report_outcome *o = &m->outcomes[k];
            table_text(&table, names_text(names, m->name));
            table_text(&table, names_text(names, m->category));
            table_text(&table, outcome_term((enum outcome)o->outcome)->name);
            table_text(&table, o->channel ? channel_name((enum channel)o->channel) : STR(""));
            table_text(&table, str_of(rule_name(o->rule)));
            table_int(&table, (int64_t)o->count);
        }
        if (m->waiting == 0 || r->since_ms != INT64_MIN)
            continue;
        table_text(&table, names_text(names, m->name));
        table_text(&table, names_text(names, m->category));
        table_text(&table, STR("waiting now"));
        table_text(&table, STR(""));
        table_text(&table, STR(""));
        table_int(&table, (int64_t)m->waiting);
    }
    table_print(&table, &c->out);
}

static void print_refusals(struct reporting *r, const struct report *report)
{
    struct cli *c = r->cli;
    if (report->refused) {
        term_text(&c->out, "  refused:");
        for (uint32_t i = 1; i < REFUSAL_END; i++)
            if (report->refused_by[i])
                term_text(&c->out, " %s %lu", refusal_name((enum refusal)i), report->refused_by[i]);
        term_text(&c->out, "\n");
    }
    if (report->held_entries)
        term_text(&c->out, "  held while it was paused: %lu\n", report->held_entries);
}

static int unknown_journey(struct reporting *r, const char *text)
{
    const struct plan *plan = engine_plan(r->recovered.engine);
    struct str known[256];
    uint32_t count = plan ? min_of(plan->journey_count, (uint32_t)array_count(known)) : 0;
    struct fault f = {0};
    for (uint32_t i = 0; i < count; i++)
        known[i] = names_text(engine_names(r->recovered.engine), plan->journeys[i].name);
    struct str near = str_nearest(str_of(text), known, count);
    fault_set(&f, "there is no journey \"%s\"%s%.*s%s", text, near.len ? "; did you mean \"" : "",
              STR_ARG(near), near.len ? "\"?" : "");
    return cli_fail(r->cli, FIX_INPUT, &f);
}

static int report_print_funnel(struct reporting *r)
{
    struct cli *c = r->cli;
    const char *text = cli_text(c, "journey");
    struct engine *e = r->recovered.engine;
    const struct plans *plans = engine_plans(e);
    struct report report;
    if (text == NULL)
        return cli_usage(c, "say which journey: wend report funnel DIR --journey NAME");
    uint32_t journey = names_find(engine_names(e), str_of(text));
    report_funnel(r->is_recount ? &r->recounted : engine_funnel(e), plans->at, plans->count,
                  journey, &c->arena, &report);
    if (journey == NAME_NONE || report.version_count == 0)
        return unknown_journey(r, text);
    if (c->is_json) {
        struct buf out;
        buf_init(&out);
        funnel_json(&report, engine_names(e), engine_now(e), r->since_ms, &out);
        term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
        buf_fini(&out);
        return CLI_OK;
    }
    for (uint32_t i = 0; i < report.version_count; i++) {
        const struct report_version *v = &report.versions[i];
        if (v->entered == 0 && !v->is_newest)
            continue;
        term_print(&c->out, TERM_BOLD, "%s, version %u%s\n", text, v->number,
                   v->is_newest ? "" : " (not the newest)");
        term_text(&c->out, "  entered %lu, of them held out %lu; converted %lu", v->entered,
                  v->ghosts, v->converted);
        if (v->ghosts_converted > 0)
            term_text(&c->out, ", of them held out %lu", v->ghosts_converted);
        if (v->crossed_in + v->crossed_out > 0)
            term_text(&c->out, "; out of the analysis by a merge %lu",
                      v->crossed_in + v->crossed_out);
        if (r->since_ms == INT64_MIN)
            term_text(&c->out, "; under way %lu", v->in_flight);
        term_text(&c->out, "\n");
        print_ends(r, v);
        print_steps(r, v);
        print_arms(r, v);
        print_messages(r, v);
    }
    print_refusals(r, &report);
    return CLI_OK;
}

/* ---- budgets ------------------------------------------------------------------------------------- */

static struct str amount(struct cli *c, const struct plan_budget *budget, int64_t count)
{
    char text[MONEY_BYTES];
    if (budget->is_money)
        return arena_copy(&c->arena, money_print(count, text));
    return arena_printf(&c->arena, "%ld", count);
}

/* The period's bound on the clock of the budget's calendar. */
static struct str bound(struct cli *c, const struct plan *plan, const struct plan_budget *budget,
                        int64_t at_ms)
{
    if (at_ms == INT64_MIN || at_ms == FOREVER_MS)
        return STR("");
    return print_moment(&c->arena, zoneset_zone(plan->zones, budget->zone), at_ms);
}

static int report_print_budgets(struct reporting *r)
{
    struct cli *c = r->cli;
    struct engine *e = r->recovered.engine;
    const struct plan *plan = engine_plan(e);
    struct buf out;
    if (c->is_json) {
        buf_init(&out);
        budgets_json(e, &out);
        term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
        buf_fini(&out);
        return CLI_OK;
    }
    struct table table;
    table_init(&table, &c->arena);
    table_column(&table, "budget", TABLE_LEFT);
    table_column(&table, "is", TABLE_LEFT);
    table_column(&table, "from", TABLE_LEFT);
    table_column(&table, "until", TABLE_LEFT);
    table_column(&table, "used", TABLE_RIGHT);
    table_column(&table, "left", TABLE_RIGHT);
    table_column(&table, "messages", TABLE_RIGHT);
    for (uint32_t i = 0; plan != NULL && i < plan->budget_count; i++) {
        const struct plan_budget *budget = &plan->budgets[i];
        struct budget_period period = budget_period(plan, budget, engine_now(e));
        struct budget_account account = budget_look(engine_budgets(e), budget, period);
        table_text(&table, names_text(engine_names(e), budget->name));
        table_text(&table, budget->text);
        table_text(&table, bound(c, plan, budget, period.from_ms));
        table_text(&table, bound(c, plan, budget, period.until_ms));
        table_text(&table, amount(c, budget, account.used));
        table_text(&table, amount(c, budget, max_of(budget->limit - account.used, INT64_C(0))));
        table_int(&table, (int64_t)account.messages);
    }
    if (plan == NULL || plan->budget_count == 0)
        term_text(&c->out, "the programme has no budgets\n");
    else
        table_print(&table, &c->out);
    return CLI_OK;
}

/* ---- ad audiences -------------------------------------------------------------------------------- */

static struct str refusals(struct cli *c, const struct report_audience *x)
{
    struct str text = STR("");
    for (uint32_t rule = 1; rule < REPORT_RULES; rule++)
        if (x->refused_by[rule] > 0)
            text = arena_printf(&c->arena, "%.*s%s%s %lu", STR_ARG(text), text.len ? ", " : "",
                                rule_name(rule), x->refused_by[rule]);
    return text;
}

static void print_audience(struct reporting *r, struct table *table,
                           const struct report_audience *x)
{
    struct cli *c = r->cli;
    table_text(table, arena_printf(&c->arena, "%.*s%s",
                                   STR_ARG(names_text(engine_names(r->recovered.engine), x->name)),
                                   x->is_gone ? " (not in the programme)" : ""));
    if (r->since_ms == INT64_MIN)
        table_int(table, (int64_t)x->members);
    else
        table_text(table, STR("-"));
    table_int(table, (int64_t)x->added);
    table_int(table, (int64_t)x->removed);
    table_int(table, (int64_t)(x->add_failed + x->remove_failed));
    table_int(table, (int64_t)x->in_doubt);
    table_int(table, (int64_t)x->lost);
    table_int(table, (int64_t)x->refused);
    table_text(table, refusals(c, x));
}

static int report_print_audiences(struct reporting *r)
{
    struct cli *c = r->cli;
    struct engine *e = r->recovered.engine;
    const struct funnel *counts = r->is_recount ? &r->recounted : engine_funnel(e);
    struct report_audience *list;
    uint32_t count;
    if (c->is_json) {
        struct buf out;
        buf_init(&out);
        audiences_json(e, counts, r->since_ms, &out);
        term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
        buf_fini(&out);
        return CLI_OK;
    }
    struct table table;
    report_audiences(counts, engine_plan(e), &c->arena, &list, &count);
    table_init(&table, &c->arena);
    table_column(&table, "audience", TABLE_LEFT);
    table_column(&table, "members now", TABLE_RIGHT);
    table_column(&table, "added", TABLE_RIGHT);
    table_column(&table, "removed", TABLE_RIGHT);
    table_column(&table, "failed", TABLE_RIGHT);
    table_column(&table, "in doubt", TABLE_RIGHT);
    table_column(&table, "lost", TABLE_RIGHT);
    table_column(&table, "refused", TABLE_RIGHT);
    table_column(&table, "by rule", TABLE_LEFT);
    for (uint32_t i = 0; i < count; i++)
        print_audience(r, &table, &list[i]);
    if (count == 0)
        term_text(&c->out, "the programme has no audiences\n");
    else
        table_print(&table, &c->out);
    return CLI_OK;
}

/* ---- which --------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    report_print *print;
    const char *doc;
} reports[] = {
#define REPORT(name, doc) {#name, report_print_##name, doc},
#include "measure/reports.def"
#undef REPORT
};

/* What is applied again because the log does not have its block yet is counted too. */
static void add_missing(void *self, struct engine *engine, const struct batch *batch,
                        const struct engine_output *out)
{
    struct reporting *r = self;
    (void)engine;
    if (r->is_recount && batch->number > r->newest)
        funnel_add_since(&r->recounted, out->results, out->result_count, r->since_ms);
}

/* Of a log that was cut only what is left can be counted. */
static void note_recount(struct reporting *r, const struct recount *about)
{
    char text[TIMESTAMP_BYTES];
    r->newest = about->newest;
    if (about->from_ms <= r->since_ms)
        return;
    r->since_ms = about->from_ms;
    cli_say(r->cli, "what was before %s is not in the log any more: counted from then on",
            timestamp_print(about->from_ms, text).at);
}

static int open_counts(struct reporting *r)
{
    struct cli *c = r->cli;
    struct recover_options options = {.self = r, .after = add_missing};
    struct recount about = {0};
    struct fault f = {0};
    r->since_ms = INT64_MIN;
    if (cli_text(c, "since") != NULL && !read_moment(c, cli_text(c, "since"), &r->since_ms))
        return cli_usage(c, "--since wants a moment such as 2026-03-02T12:00, not \"%s\"",
                         cli_text(c, "since"));
    r->is_recount = cli_flag(c, "recount") || r->since_ms != INT64_MIN;
    enum status status = directory_open(os_disk_real(), c->arguments[1], &r->directory, &f);
    if (status == OK && r->is_recount)
        status = funnel_recount(&r->directory, r->since_ms, 0, &r->recounted, &about, &f);
    if (status == OK && r->is_recount)
        note_recount(r, &about);
    if (status == OK)
        status = recover(&r->directory, &options, &r->recovered, &f);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}

int cmd_report(struct cli *c)
{
    struct reporting r = {.cli = c};
    const char *name = c->arguments[0];
    size_t place = 0;
    while (place < array_count(reports) && strcmp(reports[place].name, name) != 0)
        place++;
    if (place == array_count(reports))
        return cli_usage(c, "there is no report \"%s\"; there are: %s (%s), %s (%s) and %s (%s)",
                         name, reports[0].name, reports[0].doc, reports[1].name, reports[1].doc,
                         reports[2].name, reports[2].doc);
    funnel_init(&r.recounted);
    int code = open_counts(&r);
    if (code == CLI_OK)
        code = reports[place].print(&r);
    funnel_fini(&r.recounted);
    recovered_fini(&r.recovered);
    return code;
}
