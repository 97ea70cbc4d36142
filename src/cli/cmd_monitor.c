/* cmd_monitor.c - how monitors stand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "api/monitor_json.h"
#include "cli/common.h"
#include "cli/table.h"
#include "replay/recover.h"
#include "when/zone.h"

static struct str in_words(struct cli *c, const struct plan_monitor *means, int64_t value)
{
    struct buf b;
    buf_init(&b);
    monitor_value_print(means, value, &b);
    struct str text = arena_copy(&c->arena, buf_str(&b));
    buf_fini(&b);
    return text;
}

static void print_monitors(struct cli *c, struct engine *e)
{
    const struct plan *plan = engine_plan(e);
    const struct monitors *monitors = engine_monitors(e);
    struct table table;
    table_init(&table, &c->arena);
    table_column(&table, "monitor", TABLE_LEFT);
    table_column(&table, "state", TABLE_LEFT);
    table_column(&table, "since (UTC)", TABLE_LEFT);
    table_column(&table, "value", TABLE_RIGHT);
    table_column(&table, "limit", TABLE_RIGHT);
    table_column(&table, "watches", TABLE_LEFT);
    for (uint32_t i = 0; i < monitors->count; i++) {
        const struct plan_monitor *means = &plan->monitors[i];
        const struct monitor *m = &monitors->at[i];
        struct monitor_view view = monitor_view(m, means, engine_now(e));
        table_text(&table, names_text(engine_names(e), means->name));
        table_text(&table, m->is_raised    ? STR("raised")
                           : view.is_known ? STR("fine")
                                           : STR("too little to say"));
        table_text(&table, m->changed_ms == 0
                               ? STR("")
                               : print_moment(&c->arena, zone_of_utc(), m->changed_ms));
        table_text(&table, in_words(c, means, view.value));
        table_text(&table, in_words(c, means, view.limit));
        table_text(&table, means->text);
    }
    if (monitors->count == 0)
        term_text(&c->out, "the programme has no monitors\n");
    else
        table_print(&table, &c->out);
}

static void put_monitors(struct cli *c, struct engine *e, struct buf *out)
{
    (void)c;
    monitors_json(e, out);
}

int cmd_monitor(struct cli *c)
{
    if (strcmp(c->arguments[0], "ls") != 0)
        return cli_usage(c, "\"%s\" is nothing that can be done with monitors: ls",
                         c->arguments[0]);
    return show_state(c, print_monitors, put_monitors);
}
