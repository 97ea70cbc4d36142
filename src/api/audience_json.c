/* SPDX-License-Identifier: Apache-2.0 */
#include "api/audience_json.h"

#include "decide/rule.h"
#include "measure/report.h"
#include "when/civil.h"
#include "json/json_write.h"

#define SCRATCH_BYTES 16384

static void write_refusals(struct json_writer *w, const struct report_audience *x)
{
    json_write_key_int(w, "refused", (int64_t)x->refused);
    json_write_key(w, STR("refused_by"));
    json_write_map(w);
    for (uint32_t rule = 1; rule < REPORT_RULES; rule++)
        if (x->refused_by[rule] > 0)
            json_write_key_int(w, rule_name(rule), (int64_t)x->refused_by[rule]);
    json_write_end(w);
}

static void write_one(struct json_writer *w, const struct engine *e,
                      const struct report_audience *x, bool is_whole)
{
    json_write_map(w);
    json_write_key_text(w, "audience", names_text(engine_names(e), x->name));
    json_write_key_bool(w, "is_gone", x->is_gone);
    if (is_whole)
        json_write_key_int(w, "members", (int64_t)x->members);
    else
        json_write_key_null(w, "members");
    json_write_key_int(w, "added", (int64_t)x->added);
    json_write_key_int(w, "removed", (int64_t)x->removed);
    json_write_key_int(w, "add_failed", (int64_t)x->add_failed);
    json_write_key_int(w, "remove_failed", (int64_t)x->remove_failed);
    json_write_key_int(w, "in_doubt", (int64_t)x->in_doubt);
    json_write_key_int(w, "lost", (int64_t)x->lost);
    write_refusals(w, x);
    json_write_end(w);
}

void audiences_json(const struct engine *e, const struct funnel *counts, int64_t since_ms,
                    struct buf *out)
{
    struct report_audience *list;
    struct json_writer w;
    struct arena arena;
    uint32_t count;
    char text[TIMESTAMP_BYTES];
    arena_init(&arena, SCRATCH_BYTES);
    report_audiences(counts, engine_plan(e), &arena, &list, &count);
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_text(&w, "as_of", timestamp_print(engine_now(e), text));
    if (since_ms == INT64_MIN)
        json_write_key_null(&w, "since");
    else
        json_write_key_text(&w, "since", timestamp_print(since_ms, text));
    json_write_key(&w, STR("audiences"));
    json_write_list(&w);
    for (uint32_t i = 0; i < count; i++)
        write_one(&w, e, &list[i], since_ms == INT64_MIN);
    json_write_end(&w);
    json_write_end(&w);
    arena_fini(&arena);
}

/* ---- metrics ------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *type, *help;
} figures[] = {
    {"wend_audience_members", "gauge", "People whom the audience's provider is known to have."},
    {"wend_audience_added_total", "counter", "Times that its provider has added somebody."},
    {"wend_audience_removed_total", "counter", "Times that it has removed somebody."},
    {"wend_audience_failed_total", "counter", "Attempts to add or remove that came to nothing."},
    {"wend_audience_refused_total", "counter", "Times that a rule was against adding somebody."},
    {"wend_audience_in_doubt_total", "counter",
     "Times that it was no longer known whether somebody is in it."},
};

static uint64_t figure_of(const struct report_audience *x, size_t figure)
{
    const uint64_t values[] = {x->members, x->added,   x->removed, x->add_failed + x->remove_failed,
                               x->refused, x->in_doubt};
    must(figure < array_count(values));
    return values[figure];
}

void audiences_metrics(const struct engine *e, struct buf *out)
{
    struct report_audience *list;
    struct arena arena;
    uint32_t count;
    arena_init(&arena, SCRATCH_BYTES);
    report_audiences(engine_funnel(e), engine_plan(e), &arena, &list, &count);
    for (size_t i = 0; i < array_count(figures) && count > 0; i++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", figures[i].name, figures[i].help,
                   figures[i].name, figures[i].type);
        for (uint32_t k = 0; k < count; k++)
            buf_printf(out, "%s{audience=\"%.*s\"} %lu\n", figures[i].name,
                       STR_ARG(names_text(engine_names(e), list[k].name)), figure_of(&list[k], i));
    }
    arena_fini(&arena);
}
