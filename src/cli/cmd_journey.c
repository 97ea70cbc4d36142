/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/journey_json.h"
#include "cli/common.h"
#include "cli/operate.h"
#include "cli/table.h"
#include "when/zone.h"

/* ---- ls ------------------------------------------------------------------------------------------ */

static struct str since_of(struct cli *c, const struct engine *e, uint32_t journey)
{
    const struct journey_control *x = controls_find(engine_controls(e), journey);
    return x == NULL || x->since_ms == 0 ? STR("")
                                         : print_moment(&c->arena, zone_of_utc(), x->since_ms);
}

static struct str by_of(const struct engine *e, uint32_t journey)
{
    const struct journey_control *x = controls_find(engine_controls(e), journey);
    if (x == NULL || x->since_ms == 0)
        return STR("");
    return x->by == NAME_NONE ? STR("its file") : names_text(engine_names(e), x->by);
}

static void print_kills(struct cli *c, const struct engine *e)
{
    const struct controls *controls = engine_controls(e);
    for (uint32_t i = 0; i < controls->kill_count; i++) {
        const struct kill *k = &controls->kills[i];
        struct str name = k->scope == KILL_CHANNEL ? channel_name((enum channel)k->channel)
                                                   : names_text(engine_names(e), k->name);
        term_print(&c->out, TERM_RED, "  killed: %.*s%s%.*s",
                   STR_ARG(kill_scope_name((enum kill_scope)k->scope)), name.len ? " " : "",
                   STR_ARG(name));
        term_text(
            &c->out, " since %.*s by %s%.*s%s%s\n",
            STR_ARG(print_moment(&c->arena, zone_of_utc(), k->since_ms)),
            k->monitor != NAME_NONE ? "monitor " : "",
            STR_ARG(names_text(engine_names(e), k->monitor != NAME_NONE ? k->monitor : k->by)),
            k->flags & KILL_DROPS ? ", what is pending is withdrawn" : "",
            k->flags & KILL_ALL_LANES ? ", in all lanes" : "");
    }
}

static void print_journeys(struct cli *c, struct engine *e)
{
    const struct plans *plans = engine_plans(e);
    const struct plan *plan = engine_plan(e);
    struct table table;
    table_init(&table, &c->arena);
    table_column(&table, "journey", TABLE_LEFT);
    table_column(&table, "state", TABLE_LEFT);
    table_column(&table, "since (UTC)", TABLE_LEFT);
    table_column(&table, "by", TABLE_LEFT);
    table_column(&table, "version", TABLE_RIGHT);
    table_column(&table, "entered", TABLE_RIGHT);
    table_column(&table, "under way", TABLE_RIGHT);
    table_column(&table, "in older versions", TABLE_RIGHT);
    for (uint32_t i = 0; plan != NULL && i < plan->journey_count; i++) {
        uint32_t name = plan->journeys[i].name;
        struct report report;
        uint64_t entered = 0, in_flight = 0, older = 0;
        uint32_t version = 0;
        report_funnel(engine_funnel(e), plans->at, plans->count, name, &c->arena, &report);
        for (uint32_t k = 0; k < report.version_count; k++) {
            entered += report.versions[k].entered;
            in_flight += report.versions[k].in_flight;
            if (report.versions[k].is_newest)
                version = report.versions[k].number;
            else
                older += report.versions[k].in_flight;
        }
        table_text(&table, names_text(engine_names(e), name));
        table_text(&table, phase_name(controls_phase(engine_controls(e), name)));
        table_text(&table, since_of(c, e, name));
        table_text(&table, by_of(e, name));
        table_int(&table, version);
        table_int(&table, (int64_t)entered);
        table_int(&table, (int64_t)in_flight);
        table_int(&table, (int64_t)older);
    }
    table_print(&table, &c->out);
    print_kills(c, e);
}

static void put_journeys(struct cli *c, struct engine *e, struct buf *out)
{
    (void)c;
    journeys_json(e, out);
}

static int list(struct cli *c)
{
    return show_state(c, print_journeys, put_journeys);
}

/* ---- pause, resume, drain, stop ------------------------------------------------------------------ */

static int change(struct cli *c, const char *verb, enum journey_phase phase)
{
    struct command_word word = {.kind = COMMAND_PHASE, .phase = (uint8_t)phase};
    struct buf request;
    int code = CLI_OK;
    if (c->argument_count < 3)
        return cli_usage(c, "say which journey: wend journey %s DIR JOURNEY", verb);
    word.name = str_of(c->arguments[2]);
    if (phase != PHASE_PAUSED && (cli_is_given(c, "entries") || cli_is_given(c, "timers")))
        return cli_usage(c, "--entries and --timers belong to wend journey pause");
    if (phase != PHASE_ACTIVE && cli_is_given(c, "pace"))
        return cli_usage(c, "--pace belongs to wend journey resume");
    if (phase == PHASE_ACTIVE && !read_pace(c, &word, &code))
        return code;
    buf_init(&request);
    buf_printf(&request, "/v1/journeys/%s/%s", c->arguments[2], verb);
    if (phase == PHASE_PAUSED) {
        word.flags =
            (uint8_t)((strcmp(cli_text(c, "entries"), "refused") == 0 ? PHASE_REFUSES : 0) |
                      (strcmp(cli_text(c, "timers"), "running") == 0 ? PHASE_TIMERS_RUN : 0));
        query_add(&request, "entries", str_of(cli_text(c, "entries")));
        query_add(&request, "timers", str_of(cli_text(c, "timers")));
    } else if (phase == PHASE_ACTIVE) {
        query_add(&request, "pace", str_of(cli_text(c, "pace")));
    }
    buf_add_byte(&request, 0);
    code = operate(c, c->arguments[1], &word, (const char *)request.at);
    buf_fini(&request);
    if (code == CLI_OK && !c->is_json)
        term_text(&c->out, "%s is %.*s\n", c->arguments[2], STR_ARG(phase_name(phase)));
    return code;
}

int cmd_journey(struct cli *c)
{
    enum journey_phase phase;
    if (strcmp(c->arguments[0], "ls") == 0)
        return list(c);
    if (phase_of_verb(str_of(c->arguments[0]), &phase))
        return change(c, c->arguments[0], phase);
    return cli_usage(c,
                     "\"%s\" is nothing that can be done with journeys: ls, pause, resume, "
                     "start, drain or stop",
                     c->arguments[0]);
}
