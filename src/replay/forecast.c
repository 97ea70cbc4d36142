/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/forecast.h"

#include "base/mem.h"
#include "model/receipt.h"

struct going_on {
    struct engine *engine;
    struct arena bodies; /* of the receipts */
    struct record *records;
    uint32_t count, room;
    const struct witness *witness;
    uint32_t lines, lines_max;
};

static void count_line(void *self, const struct note *note)
{
    struct going_on *g = self;
    if (g->lines++ < g->lines_max)
        g->witness->note(g->witness->self, note);
}

static struct body keep(struct arena *bodies, struct buf *b)
{
    struct str kept = arena_copy(bodies, buf_str(b));
    buf_fini(b);
    return (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
}

/* Every attempt is accepted, in the next batch. */
static void accept(struct going_on *g, const struct engine_output *out)
{
    arena_reset(&g->bodies);
    g->count = 0;
    if (out->action_count > g->room) {
        g->room = out->action_count;
        g->records = mem_resize(g->records, g->room * sizeof(g->records[0]));
    }
    for (uint32_t i = 0; i < out->action_count; i++) {
        const struct action *a = &out->actions[i];
        const struct plan *plan = engine_plans(g->engine)->at[a->plan];
        struct receipt receipt = {.kind = RECEIPT_ACCEPTED,
                                  .profile = a->profile,
                                  .decision = a->decision,
                                  .attempt = a->attempt,
                                  .provider = plan->providers[a->provider].name};
        struct buf clear, personal;
        struct record *r = &g->records[g->count++];
        buf_init(&clear);
        buf_init(&personal);
        receipt_write(&receipt, engine_now(g->engine), &clear, &personal, r);
        r->clear = keep(&g->bodies, &clear);
        r->personal = keep(&g->bodies, &personal);
    }
}

bool forecast(struct engine *e, uint64_t profile, int64_t span_ms, uint32_t lines,
              const struct witness *witness)
{
    struct going_on g = {.engine = e, .witness = witness, .lines_max = lines};
    struct witness counting = {&g, count_line};
    const int64_t until_ms = engine_now(e) + span_ms;
    bool has_more = false;
    arena_init(&g.bodies, 4096);
    engine_watch(e, profile, &counting);
    for (uint32_t batches = 0;; batches++) {
        bool is_now = g.count > 0 || engine_has_inbox(e);
        int64_t due_ms = is_now ? engine_now(e) : engine_due(e, profile);
        if (due_ms == FOREVER_MS)
            break;
        if (due_ms > until_ms || g.lines >= lines || batches == FORECAST_BATCHES_MAX) {
            has_more = true;
            break;
        }
        int64_t now_ms = max_of(due_ms, engine_now(e) + !is_now);
        for (uint32_t i = 0; i < g.count; i++)
            g.records[i].at_ms = now_ms;
        struct batch batch = {engine_batch(e) + 1, now_ms, g.count, g.records};
        struct engine_output out;
        engine_apply(e, &batch, &out);
        accept(&g, &out);
    }
    engine_watch(e, 0, NULL);
    mem_free(g.records);
    arena_fini(&g.bodies);
    return has_more;
}
