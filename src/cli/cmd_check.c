/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"

#include "cli/table.h"
#include "model/plan.h"
#include "programme/check.h"
#include "programme/scenario.h"
#include "json/json_write.h"

static void cost_json(struct json_writer *w, const struct programme_cost *cost)
{
    json_write_map(w);
    json_write_key_text(w, "what", cost->what);
    json_write_key_int(w, "items", cost->items);
    json_write_key_int(w, "bytes_max", (int64_t)cost->bytes);
    json_write_key_int(w, "bytes_typical", (int64_t)cost->typical_bytes);
    json_write_end(w);
}

/* `plan`: whose costs are wanted too; NULL: none. */
static void findings_json(struct cli *c, struct findings *findings, const struct plan *plan,
                          const struct names *names)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_int(&w, "errors", findings->error_count);
    json_write_key_int(&w, "warnings", findings->warning_count);
    json_write_key_int(&w, "advice", findings->advice_count);
    json_write_key(&w, STR("findings"));
    json_write_list(&w);
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct finding *x = &findings->list[i];
        json_write_map(&w);
        json_write_key_text(&w, "code", str_of(finding_code_name(x->code)));
        json_write_key_text(&w, "severity", str_of(finding_severity_name(x->severity)));
        json_write_key_text(&w, "file", x->place.file);
        json_write_key_int(&w, "line", x->place.line);
        json_write_key_int(&w, "column", x->place.column);
        json_write_key_text(&w, "text", x->text);
        json_write_key_text(&w, "advice", x->advice);
        json_write_key_text(&w, "fix", x->fix);
        json_write_end(&w);
    }
    json_write_end(&w);
    if (plan != NULL) {
        uint32_t count;
        struct programme_cost total;
        const struct programme_cost *costs = programme_cost(plan, names, &c->arena, &count, &total);
        json_write_key(&w, STR("cost"));
        json_write_list(&w);
        for (uint32_t i = 0; i < count; i++)
            cost_json(&w, &costs[i]);
        json_write_end(&w);
        json_write_key(&w, STR("cost_of_all"));
        cost_json(&w, &total);
    }
    json_write_end(&w);
    term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static void print_counts(struct cli *c, const struct findings *findings, const struct plan *plan)
{
    if (plan != NULL)
        term_text(&c->out, "%s: %u journey%s, %u message%s, %u event%s; ", c->arguments[0],
                  plan->journey_count, plural(plan->journey_count), plan->message_count,
                  plural(plan->message_count), plan->event_count, plural(plan->event_count));
    term_print(&c->out, findings->error_count ? TERM_RED : TERM_GREEN,
               "%u error%s, %u warning%s, %u piece%s of advice\n", findings->error_count,
               plural(findings->error_count), findings->warning_count,
               plural(findings->warning_count), findings->advice_count,
               plural(findings->advice_count));
}

static void print_cost(struct cli *c, const struct plan *plan, const struct names *names)
{
    uint32_t count;
    struct programme_cost total;
    struct table table;
    const struct programme_cost *costs = programme_cost(plan, names, &c->arena, &count, &total);
    table_init(&table, &c->arena);
    table_column(&table, "kept for each person", TABLE_LEFT);
    table_column(&table, "items", TABLE_RIGHT);
    table_column(&table, "bytes at most", TABLE_RIGHT);
    table_column(&table, "typically", TABLE_RIGHT);
    for (uint32_t i = 0; i < count; i++) {
        table_text(&table, costs[i].what);
        table_int(&table, costs[i].items);
        table_int(&table, (int64_t)costs[i].bytes);
        table_int(&table, (int64_t)costs[i].typical_bytes);
    }
    table_rule(&table);
    table_text(&table, total.what);
    table_text(&table, STR(""));
    table_int(&table, (int64_t)total.bytes);
    table_int(&table, (int64_t)total.typical_bytes);
    table_print(&table, &c->out);
}

int cmd_check(struct cli *c)
{
    struct findings findings;
    struct names *names = names_new();
    struct programme_folder folder;
    struct plan *plan = NULL;
    struct fault f = {0};
    struct buf zones;
    buf_init(&zones);
    findings_init(&findings);
    enum status status = programme_zones(os_disk_real(), NULL, &zones, &f);
    if (status == OK)
        status =
            programme_folder_read(os_disk_real(), c->arguments[0], buf_str(&zones), &folder, &f);
    buf_fini(&zones);
    if (status != OK) {
        names_free(names);
        findings_fini(&findings);
        return cli_fail(c, status, &f);
    }
    status = programme_compile(&folder, names, &plan, &findings);
    if (status == OK) {
        const struct scenario *scenarios;
        uint32_t scenario_count;
        status =
            scenarios_read(&folder, plan, names, &c->arena, &scenarios, &scenario_count, &findings);
    }
    if (c->is_json) {
        findings_sort(&findings);
        findings_json(c, &findings, status == OK && cli_flag(c, "cost") ? plan : NULL, names);
    } else {
        print_findings(c, &findings, true);
        print_counts(c, &findings, status == OK ? plan : NULL);
        if (status == OK && cli_flag(c, "cost"))
            print_cost(c, plan, names);
    }
    int code = findings.error_count ? CLI_FAILED : CLI_OK;
    programme_plan_free(plan);
    programme_folder_fini(&folder);
    findings_fini(&findings);
    names_free(names);
    return code;
}
