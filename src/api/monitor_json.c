/* SPDX-License-Identifier: Apache-2.0 */
#include "api/monitor_json.h"

#include "when/civil.h"
#include "json/json_write.h"

static enum watch_measure measure_of(const struct plan_monitor *means)
{
    return watch_term((enum watch)means->watch)->measure;
}

/* Is the value a share? With `against` a number is compared with a number. */
static bool is_share(const struct plan_monitor *means)
{
    return measure_of(means) == WATCH_BY_SHARE;
}

void monitor_value_print(const struct plan_monitor *means, int64_t value, struct buf *out)
{
    int64_t seconds = value / SECOND_MS;
    switch (measure_of(means)) {
    case WATCH_BY_SHARE: buf_printf(out, "%.2f %%", (double)value / 10000); return;
    case WATCH_BY_COUNT: buf_printf(out, "%ld", value); return;
    case WATCH_BY_SILENCE: break;
    }
    if (seconds >= 86400)
        buf_printf(out, "%ldd %ldh", seconds / 86400, seconds / 3600 % 24);
    else if (seconds >= 3600)
        buf_printf(out, "%ldh %ldm", seconds / 3600, seconds / 60 % 60);
    else
        buf_printf(out, "%ldm %lds", seconds / 60, seconds % 60);
}

/* The value as a number: percent, a count, seconds. */
static double number_of(const struct plan_monitor *means, int64_t value)
{
    return is_share(means)                         ? (double)value / 10000
           : measure_of(means) == WATCH_BY_SILENCE ? (double)value / SECOND_MS
                                                   : (double)value;
}

static void write_pauses(struct json_writer *w, const struct engine *e,
                         const struct plan_monitor *means)
{
    json_write_key(w, STR("pauses"));
    json_write_list(w);
    for (uint32_t i = 0; i < means->pause_count; i++) {
        const struct kill *k = &means->pauses[i];
        json_write_map(w);
        json_write_key_text(w, "scope", kill_scope_name((enum kill_scope)k->scope));
        if (k->scope == KILL_CHANNEL)
            json_write_key_text(w, "name", channel_name((enum channel)k->channel));
        else if (k->scope != KILL_ALL)
            json_write_key_text(w, "name", names_text(engine_names(e), k->name));
        json_write_end(w);
    }
    json_write_end(w);
}

static void write_monitor(struct json_writer *w, const struct engine *e,
                          const struct plan_monitor *means, const struct monitor *m)
{
    struct monitor_view view = monitor_view(m, means, engine_now(e));
    char text[TIMESTAMP_BYTES];
    json_write_map(w);
    json_write_key_text(w, "monitor", names_text(engine_names(e), means->name));
    json_write_key_text(w, "watch", watch_term((enum watch)means->watch)->name);
    json_write_key_text(w, "says", means->text);
    json_write_key_bool(w, "is_raised", m->is_raised);
    json_write_key_bool(w, "is_known", view.is_known);
    json_write_key_double(w, "value", number_of(means, view.value));
    json_write_key_double(w, "limit", number_of(means, view.limit));
    json_write_key_text(w, "unit",
                        is_share(means)                         ? STR("percent")
                        : measure_of(means) == WATCH_BY_SILENCE ? STR("seconds")
                                                                : STR("count"));
    if (m->cell_count > 0) {
        json_write_key_int(w, "count", (int64_t)view.count);
        json_write_key_int(w, "of", (int64_t)view.of);
    }
    if (m->changed_ms != 0)
        json_write_key_text(w, "since", timestamp_print(m->changed_ms, text));
    json_write_key_int(w, "raised_times", (int64_t)m->raised_times);
    write_pauses(w, e, means);
    json_write_end(w);
}

void monitors_json(const struct engine *e, struct buf *out)
{
    const struct plan *plan = engine_plan(e);
    const struct monitors *monitors = engine_monitors(e);
    struct json_writer w;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key(&w, STR("monitors"));
    json_write_list(&w);
    for (uint32_t i = 0; i < monitors->count; i++)
        write_monitor(&w, e, &plan->monitors[i], &monitors->at[i]);
    json_write_end(&w);
    json_write_end(&w);
}

void monitors_metrics(const struct engine *e, struct buf *out)
{
    static const struct {
        const char *name, *help;
    } gauges[] = {
        {"wend_monitor_raised", "1 while the monitor is raised."},
        {"wend_monitor_value", "What it says: percent, a number, or seconds of silence."},
        {"wend_monitor_limit", "Its limit, in the same unit."},
    };
    const struct plan *plan = engine_plan(e);
    const struct monitors *monitors = engine_monitors(e);
    for (size_t g = 0; g < array_count(gauges) && monitors->count > 0; g++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", gauges[g].name, gauges[g].help,
                   gauges[g].name);
        for (uint32_t i = 0; i < monitors->count; i++) {
            const struct plan_monitor *means = &plan->monitors[i];
            struct monitor_view view = monitor_view(&monitors->at[i], means, engine_now(e));
            double value = g == 0   ? (double)monitors->at[i].is_raised
                           : g == 1 ? number_of(means, view.value)
                                    : number_of(means, view.limit);
            buf_printf(out, "%s{monitor=\"%.*s\"} %.10g\n", gauges[g].name,
                       STR_ARG(names_text(engine_names(e), means->name)), value);
        }
    }
}
