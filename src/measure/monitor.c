/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/monitor.h"

#include "base/canary.h"
#include "base/mem.h"
#include "model/plan.h"

#define MILLION 1000000

void monitors_init(struct monitors *m)
{
    *m = (struct monitors){0};
}

void monitors_fini(struct monitors *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        mem_free(m->at[i].cells);
    mem_free(m->at);
    *m = (struct monitors){0};
}

int64_t monitor_width(const struct plan_monitor *means)
{
    return max_of((means->over_ms + MONITOR_PARTS - 1) / MONITOR_PARTS, INT64_C(1));
}

uint32_t monitor_cells(const struct plan_monitor *means)
{
    if (watch_term((enum watch)means->watch)->measure == WATCH_BY_SILENCE)
        return 0;
    int64_t width = monitor_width(means);
    return MONITOR_PARTS + (uint32_t)((means->against_ms + width - 1) / width);
}

/* ---- which there are ------------------------------------------------------------------------------ */

static struct monitor begin(const struct plan_monitor *means, int64_t now_ms)
{
    uint32_t cells = monitor_cells(means);
    return (struct monitor){
        .name = means->name,
        .hash = means->hash,
        .since_ms = now_ms,
        .heard_ms = now_ms,
        .newest = now_ms / monitor_width(means),
        .cell_count = cells,
        .cells = cells == 0 ? NULL : mem_new(cells * sizeof(struct monitor_cell)),
    };
}

void monitors_set(struct monitors *m, const struct plan *plan, int64_t now_ms)
{
    struct monitors old = *m;
    uint32_t count = plan == NULL ? 0 : plan->monitor_count;
    m->count = count;
    m->at = count == 0 ? NULL : mem_new(count * sizeof(m->at[0]));
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_monitor *means = &plan->monitors[i];
        uint32_t k = 0;
        while (k < old.count && (old.at[k].name != means->name || old.at[k].hash != means->hash))
            k++;
        m->at[i] = k < old.count ? old.at[k] : begin(means, now_ms);
        if (k < old.count)
            old.at[k].cells = NULL;
    }
    monitors_fini(&old);
}

/* ---- counting ------------------------------------------------------------------------------------- */

/* Cells up to the moment's exist, those that come anew are empty. */
static void advance(struct monitor *m, int64_t number)
{
    if (number - m->newest >= m->cell_count)
        memset(m->cells, 0, m->cell_count * sizeof(m->cells[0]));
    else
        for (int64_t i = m->newest + 1; i <= number; i++)
            m->cells[i % m->cell_count] = (struct monitor_cell){0};
    m->newest = max_of(m->newest, number);
}

void monitor_add(struct monitor *m, const struct plan_monitor *means, int64_t now_ms,
                 uint64_t count, uint64_t of)
{
    must(m->cell_count > 0);
    advance(m, now_ms / monitor_width(means));
    struct monitor_cell *cell = &m->cells[m->newest % m->cell_count];
    cell->count += count;
    cell->of += of;
}

void monitor_hear(struct monitor *m, int64_t now_ms)
{
    m->heard_ms = max_of(m->heard_ms, now_ms);
}

/* Of the cells numbered (from, to], as far as they are kept. */
static struct monitor_cell sum(const struct monitor *m, int64_t from, int64_t to)
{
    struct monitor_cell all = {0};
    from = max_of(from, m->newest - m->cell_count);
    to = min_of(to, m->newest);
    for (int64_t i = max_of(from + 1, INT64_C(0)); i <= to; i++) {
        all.count += m->cells[i % m->cell_count].count;
        all.of += m->cells[i % m->cell_count].of;
    }
    return all;
}

/* ---- judging -------------------------------------------------------------------------------------- */

static int64_t share(uint64_t count, uint64_t of)
{
    return (int64_t)((unsigned __int128)count * MILLION / of);
}

static struct monitor_view silence(const struct monitor *m, const struct plan_monitor *means,
                                   int64_t now_ms)
{
    int64_t value = now_ms - m->heard_ms;
    return (struct monitor_view){.is_known = true,
                                 .is_bad = value >= means->over_ms + planted("monitor-hears-late"),
                                 .value = value,
                                 .limit = means->over_ms};
}

/* Has it counted for the whole of the time that it looks back? */
static bool is_full(const struct monitor *m, const struct plan_monitor *means, int64_t now_ms)
{
    return now_ms - m->since_ms >= means->over_ms + means->against_ms;
}

struct monitor_view monitor_view(const struct monitor *m, const struct plan_monitor *means,
                                 int64_t now_ms)
{
    bool is_share = watch_term((enum watch)means->watch)->measure == WATCH_BY_SHARE;
    if (m->cell_count == 0)
        return silence(m, means, now_ms);
    int64_t newest = now_ms / monitor_width(means), parts = MONITOR_PARTS;
    int64_t before_parts = m->cell_count - parts;
    struct monitor_cell is = sum(m, newest - parts, newest);
    struct monitor_cell was = sum(m, newest - m->cell_count, newest - parts);
    struct monitor_view view = {.limit = means->limit, .count = is.count, .of = is.of};
    if (is_share) {
        view.is_known =
            is.of >= max_of(means->at_least, UINT64_C(1)) - planted("monitor-of-too-few");
        view.value = is.of ? share(is.count, is.of) : 0;
        if (means->against_ms > 0) {
            view.is_known = view.is_known && was.of >= max_of(means->at_least, UINT64_C(1));
            view.limit = was.of ? (int64_t)((unsigned __int128)share(was.count, was.of) *
                                            (uint64_t)means->limit / MILLION)
                                : 0;
        }
    } else if (means->against_ms > 0) {
        /* as many as there were in so much of the time before */
        view.is_known = is_full(m, means, now_ms) && was.count > 0;
        view.value = (int64_t)is.count;
        view.limit = (int64_t)((unsigned __int128)was.count * (uint64_t)parts *
                               (uint64_t)means->limit / (uint64_t)before_parts / MILLION);
    } else {
        view.value = (int64_t)is.count;
        view.is_known = !means->is_below || is_full(m, means, now_ms);
    }
    view.is_bad =
        view.is_known && (means->is_below ? view.value < view.limit + planted("monitor-below-late")
                                          : view.value > view.limit - planted("monitor-at-limit"));
    return view;
}

int64_t monitor_next(const struct monitor *m, const struct plan_monitor *means, int64_t now_ms)
{
    if (m->cell_count == 0)
        return m->is_raised ? FOREVER_MS : m->heard_ms + means->over_ms;
    bool is_count = watch_term((enum watch)means->watch)->measure == WATCH_BY_COUNT;
    int64_t width = monitor_width(means), next_ms = (now_ms / width + 1) * width;
    if (m->is_raised)
        return next_ms; /* what made it so leaves the window */
    if (!is_count || !means->is_below)
        return FOREVER_MS; /* only something that happens raises it */
    return max_of(next_ms, m->since_ms + means->over_ms + means->against_ms);
}
