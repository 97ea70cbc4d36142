/* machine.c - the order in which things are done is what src/server/README.md says of a start, a life and an
 * end; only who does the next one is drawn.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "simulator/machine.h"

#include <string.h>

#include "base/mem.h"
#include "channel/channel.h"
#include "disk/snapshot.h"
#include "evlog/committer.h"
#include "os/file.h"
#include "outbox/outbox.h"
#include "replay/backfill.h"
#include "replay/recover.h"
#include "server/held.h"
#include "server/pace.h"
#include "server/take.h"
#include "simulator/chores.h"
#include "simulator/load.h"
#include "simulator/oracle.h"
#include "simulator/world.h"
#include "support/words.h"

#define DATA        "/data"
#define NS_PER_MS   INT64_C(1000000)
#define LOOK_MS     250
#define AGAIN_MS    500   /* what was refused */
#define GRACE_MS    10000 /* for transmissions when the server stops */
#define ROUNDS_MAX  100000
#define CHANGE_REST MINUTE_MS
#define FULL_MAX_MS (2 * MINUTE_MS) /* in all, but for the last spell: 3,000 rounds a second */
#define STARTS_MAX \
    200 /* in trouble: each reads the log, and one that has seen so many starts has seen all */
#define LOST_MAX 64 /* tries, until who stops on a full disk lets receipts be */

enum entry_kind {
    ENTRY_FACT = 1,
    ENTRY_NAMES,
    ENTRY_TICK,
    ENTRY_START,
    ENTRY_PROGRAMME,
    ENTRY_RECEIPT, /* the outbox's */
    ENTRY_REPORT,  /* a provider's */
    ENTRY_ERASE,
};

struct entry {
    enum entry_kind kind;
    struct record *records;
    uint32_t count;
    struct arena arena;
    struct fact *fact;
    uint32_t report;
    struct entry *next;
};

struct provider {
    uint32_t name;
    const struct plan_provider *plan;
    const struct channel_kind *kind;
};

enum phase {
    PHASE_REST,
    PHASE_BEGIN,
    PHASE_PREPARE,
    PHASE_FILL,
    PHASE_UNITE,
    PHASE_OVER,
    PHASE_ABANDON
};

/* Going over to another programme: src/server/change.c. */
struct going {
    enum phase phase;
    const struct plan *plan;
    struct loaded_backfill *backfill;
    bool is_asked; /* a record is on its way */
    int64_t rest_until_ms;
};

/* What may rest where the stages run split. */
enum stage { STAGE_LOG, STAGE_APPLY, STAGE_OUTBOX, STAGE_END };

/* What the engine has said and the outbox has not heard: in the server they are two threads. */
struct handed {
    struct held *held; /* NULL: a recall */
    uint64_t decision;
    uint32_t attempt;
    struct handed *next;
};

struct machine {
    struct sim *sim;
    struct fake_disk *fake;
    enum fake_fault ordered;
    uint64_t ordered_at;
    int64_t full_until_ms; /* by the clock; 0: there is room */
    int64_t full_ms;       /* how long it has been full, in all */
    uint32_t run;
    uint32_t wanted; /* the programme in the operator's folder */

    /* A run. */
    bool is_up;
    bool is_started; /* clients get in */
    bool has_failed;
    bool is_stopping;
    uint32_t lost; /* receipts that found no room while it stops */
    struct directory directory;
    char held_path[OS_PATH_BYTES];
    struct evlog *log;
    struct recovered recovered;
    struct committer *committer;
    struct outbox *outbox;
    struct pace pace;
    int64_t looked_ms;
    uint32_t names_in_log;
    struct committed *queue[COMMITTER_BATCHES_MAX]; /* durable, not applied */
    uint32_t queue_count;
    bool has_tick;
    int64_t next_ms;  /* when the engine wants a batch, as of the last one; INT64_MIN: at once */
    bool is_asleep;   /* the outbox has nothing to do before its wake */
    uint32_t refused; /* entries, by the committer */
    struct handed *handed, **handed_end;
    int64_t rest_until_ms[STAGE_END];
    struct chores *chores;
    struct provider providers[OUTBOX_PROVIDERS_MAX];
    uint32_t provider_count;
    struct held **helds; /* everything that the outbox has */
    uint32_t held_count, held_room;
    struct held *left; /* what it gave back */
    struct held *kept; /* of the run before */
    struct pending *pendings;
    uint32_t pending_count, pending_room;
    struct entry *receipts, **receipts_end;
    struct going going;
};

static struct engine *engine_of(const struct machine *m)
{
    return m->recovered.engine;
}

int64_t machine_now_ms(struct machine *m)
{
    return pace_now_ms(&m->pace, m->sim->clock_ms * NS_PER_MS);
}

/* ---- into the log -------------------------------------------------------------------------------- */

static struct entry *entry_new(enum entry_kind kind, uint32_t count)
{
    struct entry *e = mem_new(sizeof(*e));
    *e = (struct entry){.kind = kind, .count = count};
    arena_init(&e->arena, 512);
    if (count > 0)
        e->records = arena_array(&e->arena, struct record, count);
    for (uint32_t i = 0; i < count; i++)
        e->records[i].schema = RECORD_SCHEMA;
    return e;
}

static void entry_free(struct entry *e)
{
    arena_fini(&e->arena);
    mem_free(e);
}

static struct body entry_body(struct entry *e, struct buf *bytes)
{
    struct str kept = arena_copy(&e->arena, buf_str(bytes));
    buf_fini(bytes);
    return (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
}

static enum status push_one(struct machine *m, struct entry *e)
{
    struct committer_entry entry = {.records = e->records,
                                    .count = e->count,
                                    .is_priority =
                                        e->kind != ENTRY_FACT || e->fact->what != FACT_EVENT,
                                    .token = e};
    return committer_push(m->committer, &entry);
}

/* Names go in front of what uses them. */
static enum status push_names(struct machine *m)
{
    struct names *names = m->recovered.shelf.names;
    uint32_t first = m->names_in_log, end = names_count(names);
    if (first >= end)
        return OK;
    struct entry *e = entry_new(ENTRY_NAMES, end - first);
    for (uint32_t name = first; name < end; name++) {
        struct buf b;
        struct record *r = &e->records[name - first];
        buf_init(&b);
        body_put_text(&b, NAME_TEXT, names_text(names, name));
        r->type = RECORD_NAME;
        r->name = name;
        r->event_ms = r->arrival_ms = machine_now_ms(m);
        r->clear = entry_body(e, &b);
    }
    enum status status = push_one(m, e);
    if (status == OK)
        m->names_in_log = end;
    else
        entry_free(e);
    return status;
}

/* On anything but OK the entry stays the caller's. */
static enum status push(struct machine *m, struct entry *e)
{
    enum status status = push_names(m);
    return status == OK ? push_one(m, e) : status;
}

/* ---- receipts ------------------------------------------------------------------------------------ */

static void fill_receipt(struct machine *m, struct entry *e, const struct receipt *receipt)
{
    struct buf clear, personal;
    buf_init(&clear);
    buf_init(&personal);
    receipt_write(receipt, machine_now_ms(m), &clear, &personal, &e->records[0]);
    e->records[0].clear = entry_body(e, &clear);
    e->records[0].personal = entry_body(e, &personal);
}

static void add_receipt(struct machine *m, struct entry *e)
{
    e->next = NULL;
    *m->receipts_end = e;
    m->receipts_end = &e->next;
}

static void write_receipt(struct machine *m, const struct receipt *receipt)
{
    struct entry *e = entry_new(ENTRY_RECEIPT, 1);
    fill_receipt(m, e, receipt);
    add_receipt(m, e);
}

static bool push_receipts(struct machine *m)
{
    bool has_done = false;
    while (m->receipts != NULL) {
        struct entry *e = m->receipts, *next = e->next;
        enum status status = push(m, e);
        if (status == TRY_AGAIN)
            break;
        if (status != OK)
            entry_free(e);
        m->receipts = next;
        if (next == NULL)
            m->receipts_end = &m->receipts;
        has_done = true;
    }
    return has_done;
}

/* HTTP is there once some programme is active. */
static bool is_open(const struct machine *m)
{
    return m->is_up && m->is_started && !m->is_stopping && !m->has_failed &&
           engine_plans(engine_of(m))->newest != 0;
}

bool machine_report(struct machine *m, const struct receipt *receipt, uint32_t report)
{
    if (!is_open(m))
        return false;
    struct entry *e = entry_new(ENTRY_REPORT, 1);
    fill_receipt(m, e, receipt);
    e->report = report;
    if (push(m, e) == OK)
        return true;
    entry_free(e);
    return false;
}

/* ---- the sender ---------------------------------------------------------------------------------- */

static void forget_held(struct machine *m, const struct held *h)
{
    for (uint32_t i = 0; i < m->held_count; i++) {
        if (m->helds[i] != h)
            continue;
        m->helds[i] = m->helds[--m->held_count];
        return;
    }
    sim_fail(m->sim, "the outbox gives back what it never had");
}

static uint32_t provider_find(const struct machine *m, uint32_t name)
{
    uint32_t i = m->provider_count;
    while (i-- > 0)
        if (m->providers[i].name == name)
            return i;
    return UINT32_MAX;
}

static void add_provider(struct machine *m, const struct plan_provider *p)
{
    struct provider *out = &m->providers[m->provider_count];
    *out = (struct provider){p->name, p, channel_kind_find(p->kind)};
    must(out->kind != NULL);
    struct outbox_retry retry;
    outbox_retry_standard(&retry);
    retry.delays_ms = out->kind->retry_delays_ms;
    retry.delays_count = out->kind->retry_delays_count;
    must(outbox_add_provider(m->outbox, p->slots, &retry) == m->provider_count);
    m->provider_count++;
}

/* Providers of the plan that are not there yet, or with other connections. */
static void adopt(struct machine *m, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->provider_count; i++) {
        const struct plan_provider *p = &plan->providers[i];
        uint32_t at = provider_find(m, p->name);
        if ((at == UINT32_MAX || m->providers[at].plan->slots != p->slots ||
             !str_equal(m->providers[at].plan->kind, p->kind)) &&
            m->provider_count < OUTBOX_PROVIDERS_MAX)
            add_provider(m, p);
    }
}

static void take(struct machine *m, struct held *held)
{
    uint32_t provider = provider_find(m, held->provider_name);
    if (m->is_stopping) {
        held->next = m->left;
        m->left = held;
        return;
    }
    if (provider == UINT32_MAX) {
        write_receipt(m, &(struct receipt){.kind = RECEIPT_GAVE_UP,
                                           .profile = held->profile,
                                           .decision = held->decision,
                                           .attempt = held->attempt,
                                           .provider = held->provider_name});
        held_free(held);
        return;
    }
    bool is_again = held->is_at_least_once || m->providers[provider].kind->is_idempotent;
    struct outbox_attempt attempt = {
        .profile = held->profile,
        .decision = held->decision,
        .attempt = held->attempt,
        .provider = provider,
        .context = held,
        .lane = is_again ? OUTBOX_AT_LEAST_ONCE : OUTBOX_AT_MOST_ONCE,
        .priority = held->lane,
        .deadline_ms = held->deadline_ms,
    };
    if (m->held_count == m->held_room) {
        m->held_room = m->held_room ? m->held_room * 2 : 32;
        m->helds = mem_resize(m->helds, m->held_room * sizeof(m->helds[0]));
    }
    m->helds[m->held_count++] = held;
    if (held->was_in_doubt)
        outbox_take_in_doubt(m->outbox, &attempt, machine_now_ms(m));
    else
        outbox_take(m->outbox, &attempt, machine_now_ms(m));
    m->is_asleep = false;
}

static void report(struct machine *m, const struct outbox_order *order)
{
    sim_say(m->sim, "  report of decision %lx attempt %u: %s", order->attempt.decision,
            order->attempt.attempt, receipt_name(order->receipt));
    write_receipt(m, &(struct receipt){
                         .kind = order->receipt,
                         .profile = order->attempt.profile,
                         .decision = order->attempt.decision,
                         .attempt = order->attempt.attempt,
                         .provider = m->providers[order->provider].name,
                         .code = order->code,
                         .tries = order->tries,
                         .again_ms = order->receipt == RECEIPT_TEMPORARY ? order->until_ms : 0,
                         .detail = str_of(order->detail),
                     });
    if (!order->is_final)
        return;
    forget_held(m, order->attempt.context);
    held_free(order->attempt.context);
}

static void start(struct machine *m, const struct outbox_order *order)
{
    const struct held *held = order->attempt.context;
    const struct provider *p = &m->providers[order->provider];
    if (held->deadline_ms <= machine_now_ms(m))
        sim_fail(m->sim, "a transmission begins after its deadline");
    world_send(m->sim->world, names_text(m->recovered.shelf.names, p->name), held, order->provider,
               p->plan->slots, p->kind->is_idempotent, order->ticket);
}

static bool send(struct machine *m)
{
    struct outbox_order order;
    if (m->pace.has_jumped && !m->is_stopping)
        return false;
    if (m->is_asleep && outbox_wake_ms(m->outbox) > machine_now_ms(m))
        return false;
    m->is_asleep = false;
    switch (outbox_next(m->outbox, machine_now_ms(m), &order)) {
    case OUTBOX_IDLE: m->is_asleep = true; return false;
    case OUTBOX_START: start(m, &order); break;
    case OUTBOX_REPORT: report(m, &order); break;
    case OUTBOX_RETURN: {
        struct held *held = order.attempt.context;
        forget_held(m, held);
        held->was_in_doubt |= order.was_in_doubt;
        held->next = m->left;
        m->left = held;
        break;
    }
    case OUTBOX_ALARM: break;
    }
    return true;
}

void machine_result(struct machine *m, uint32_t run, uint64_t ticket,
                    const struct transmission *result)
{
    if (!m->is_up || run != m->run)
        return;
    outbox_result(m->outbox, ticket, result, machine_now_ms(m));
    outbox_check(m->outbox);
    m->is_asleep = false;
}

/* ---- batches ------------------------------------------------------------------------------------- */

static int64_t host_now(void *context)
{
    return machine_now_ms(context);
}

static void host_committed(void *context, struct committed *batch)
{
    struct machine *m = context;
    must(m->queue_count < array_count(m->queue));
    m->queue[m->queue_count++] = batch;
    for (uint32_t i = 0; i < batch->part_count; i++) {
        struct entry *e = batch->parts[i].token;
        if (e->kind == ENTRY_FACT && e->fact->what == FACT_EVENT)
            load_answer(m->sim->load, e->fact, true);
        if (e->kind == ENTRY_REPORT)
            world_report_answer(m->sim->world, e->report, true);
    }
}

static void host_refused(void *context, void *token, enum status why, const struct fault *f)
{
    struct machine *m = context;
    struct entry *e = token;
    (void)f;
    must(why != FIX_INPUT);
    m->refused++;
    if (why == TRY_AGAIN && e->kind == ENTRY_FACT)
        saw(m->sim, FAULT_REFUSED_FULL);
    switch (e->kind) {
    case ENTRY_FACT: load_answer(m->sim->load, e->fact, false); break;
    case ENTRY_REPORT: world_report_answer(m->sim->world, e->report, false); break;
    case ENTRY_TICK: m->has_tick = false; break;
    case ENTRY_PROGRAMME:
        m->going.is_asked = false;
        m->going.rest_until_ms = m->sim->clock_ms + AGAIN_MS;
        break;
    case ENTRY_RECEIPT:
        if (why == TRY_AGAIN && m->lost < LOST_MAX) {
            m->lost += m->is_stopping;
            add_receipt(m, e);
            return;
        }
        break;
    case ENTRY_START:
        if (why == TRY_AGAIN)
            m->has_failed = true; /* the server does not start on a full disk */
        break;
    case ENTRY_ERASE:
    case ENTRY_NAMES: break;
    }
    entry_free(e);
}

static void host_failed(void *context, const struct fault *f)
{
    struct machine *m = context;
    sim_say(m->sim, "the log has failed: %s", f->text);
    m->has_failed = true;
}

static void settle_unreported(struct machine *m);

static void applied(struct machine *m, const struct entry *e)
{
    switch (e->kind) {
    case ENTRY_TICK: m->has_tick = false; break;
    case ENTRY_START: settle_unreported(m); break;
    case ENTRY_PROGRAMME:
        m->going.is_asked = false;
        m->going.phase = m->going.phase == PHASE_PREPARE ? PHASE_FILL
                         : m->going.phase == PHASE_UNITE ? PHASE_OVER
                                                         : PHASE_REST;
        break;
    case ENTRY_FACT:
        if (e->fact->what != FACT_EVENT)
            load_answer(m->sim->load, e->fact, true);
        break;
    case ENTRY_NAMES:
    case ENTRY_RECEIPT:
    case ENTRY_ERASE:
    case ENTRY_REPORT: break;
    }
}

/* ---- between the stages -------------------------------------------------------------------------- */

static bool rests(const struct machine *m, enum stage stage)
{
    return m->rest_until_ms[stage] > m->sim->clock_ms && !m->is_stopping;
}

/* The stage has done something. Now and then it does no more for a while. */
static bool may_rest(struct machine *m, enum stage stage)
{
    struct sim *s = m->sim;
    uint64_t power = s->is_joined ? 0 : s->options[OPTION_APART];
    if (power == 0 || draw_below(s, STREAM_STAGES, 8) != 0)
        return true;
    saw(s, FAULT_STAGE_RESTS);
    m->rest_until_ms[stage] = s->clock_ms + draw_power(s, STREAM_STAGES, s->is_calm ? 1 : power);
    return true;
}

static void hand(struct machine *m, struct handed what)
{
    struct handed *h = mem_new(sizeof(*h));
    *h = what;
    *m->handed_end = h;
    m->handed_end = &h->next;
}

static struct handed hand_take(struct machine *m)
{
    struct handed *first = m->handed, out = *first;
    m->handed = first->next;
    if (m->handed == NULL)
        m->handed_end = &m->handed;
    mem_free(first);
    return out;
}

static bool hand_over(struct machine *m)
{
    if (m->handed == NULL || rests(m, STAGE_OUTBOX))
        return false;
    struct handed h = hand_take(m);
    if (h.held != NULL)
        take(m, h.held);
    else if (!m->is_stopping)
        (void)outbox_revoke(m->outbox, h.decision, h.attempt);
    m->is_asleep = false;
    return may_rest(m, STAGE_OUTBOX);
}

static bool apply(struct machine *m)
{
    if (m->queue_count == 0 || rests(m, STAGE_APPLY))
        return false;
    struct committed *batch = m->queue[0];
    struct engine *engine = engine_of(m);
    struct engine_output out;
    memmove(&m->queue[0], &m->queue[1], --m->queue_count * sizeof(m->queue[0]));
    engine_apply(engine, &batch->batch, &out);
    for (uint32_t i = 0; i < out.action_count; i++)
        hand(m, (struct handed){.held = held_new(&out.actions[i],
                                                 engine_plans(engine)->at[out.actions[i].plan])});
    for (uint32_t i = 0; i < out.recall_count; i++)
        hand(m, (struct handed){.decision = out.recalls[i].decision,
                                .attempt = out.recalls[i].attempt});
    while (m->sim->options[OPTION_APART] == 0 && hand_over(m))
        ;
    struct buf results;
    buf_init(&results);
    results_write(out.results, out.result_count, batch->batch.now_ms, &results);
    committer_results(m->committer, batch->batch.number, buf_str(&results));
    buf_fini(&results);
    oracle_batch(m->sim->oracle, engine, &batch->batch, &out);
    for (uint32_t i = 0; i < batch->part_count; i++) {
        struct entry *e = batch->parts[i].token;
        applied(m, e);
        if (e->kind == ENTRY_PROGRAMME && m->going.phase == PHASE_REST) {
            engine_offer_backfill(engine, NULL);
            backfill_free(m->going.backfill);
            m->going.backfill = NULL;
        }
        entry_free(e);
    }
    committer_release(m->committer, batch);
    m->next_ms = out.has_inbox ? INT64_MIN : out.next_ms;
    if (engine_counts(engine)->waits > 0)
        saw(m->sim, FAULT_ANSWER_WAITS);
    return may_rest(m, STAGE_APPLY);
}

/* The engine may lag behind the log, as far as the options say. */
static bool apply_late(struct machine *m)
{
    bool waits =
        m->queue_count <= m->sim->options[OPTION_LAG] && draw_below(m->sim, STREAM_ORDER, 3) != 0;
    return !waits && apply(m);
}

static bool tick(struct machine *m)
{
    if (m->is_stopping || !m->is_started || m->has_tick || m->queue_count > 0)
        return false;
    bool has_inbox = m->next_ms == INT64_MIN;
    if (m->next_ms > machine_now_ms(m))
        return false;
    struct entry *e = entry_new(ENTRY_TICK, has_inbox ? 0 : 1);
    if (!has_inbox) {
        e->records[0].type = RECORD_TICK;
        e->records[0].event_ms = e->records[0].arrival_ms = machine_now_ms(m);
    }
    m->has_tick = push(m, e) == OK;
    if (!m->has_tick)
        entry_free(e);
    return m->has_tick;
}

/* ---- another programme --------------------------------------------------------------------------- */

static const struct plan *on_shelf(const struct machine *m, const char *hash)
{
    for (uint32_t i = 0; i < m->recovered.shelf.count; i++)
        if (strcmp(m->recovered.shelf.plans[i]->hash, hash) == 0)
            return m->recovered.shelf.plans[i];
    return NULL;
}

static const struct plan *plan_of(struct machine *m, const struct programme_folder *folder)
{
    const struct plan *found = on_shelf(m, folder->hash);
    if (found != NULL)
        return found;
    struct findings findings;
    struct plan *plan = NULL;
    findings_init(&findings);
    if (programme_compile(folder, m->recovered.shelf.names, &plan, &findings) != OK)
        sim_fail(m->sim, "a programme of the load does not compile: %.*s: %.*s",
                 STR_ARG(findings.list[0].place.file), STR_ARG(findings.list[0].text));
    findings_fini(&findings);
    shelf_add(&m->recovered.shelf, plan);
    return plan;
}

static const struct plan *active_plan(const struct machine *m)
{
    const struct plans *plans = engine_plans(engine_of(m));
    return plans->newest ? plans->at[plans->newest] : NULL;
}

static bool ask(struct machine *m, enum programme_kind kind, const char *hash, const char *backfill)
{
    struct buf body;
    struct entry *e = entry_new(ENTRY_PROGRAMME, 1);
    buf_init(&body);
    if (hash != NULL)
        body_put_text(&body, NAME_PROGRAMME, str_of(hash));
    if (backfill != NULL)
        body_put_text(&body, NAME_BACKFILL, str_of(backfill));
    e->records[0].type = RECORD_PROGRAMME;
    e->records[0].kind = (uint8_t)kind;
    e->records[0].clear = entry_body(e, &body);
    e->records[0].event_ms = e->records[0].arrival_ms = machine_now_ms(m);
    m->going.is_asked = push(m, e) == OK;
    if (!m->going.is_asked) {
        entry_free(e);
        m->going.rest_until_ms = m->sim->clock_ms + AGAIN_MS;
    }
    return true;
}

static bool change(struct machine *m)
{
    struct going *g = &m->going;
    struct engine *e = engine_of(m);
    struct fault f = {0};
    if (g->phase == PHASE_REST || g->is_asked || !m->is_started || m->is_stopping ||
        m->queue_count > 0 || g->rest_until_ms > m->sim->clock_ms)
        return false;
    struct engine_change change = engine_change(e);
    switch (g->phase) {
    case PHASE_REST: return false;
    case PHASE_BEGIN:
        if (active_plan(m) == g->plan) {
            g->phase = change.plan != NULL ? PHASE_ABANDON : PHASE_REST;
            return true;
        }
        if (!engine_knows(e, str_of(g->plan->hash)))
            engine_prepare(e, g->plan);
        g->phase = change.plan == g->plan ? PHASE_FILL : PHASE_PREPARE;
        return true;
    case PHASE_PREPARE: return ask(m, PROGRAMME_PREPARE, g->plan->hash, NULL);
    case PHASE_ABANDON: return ask(m, PROGRAMME_ABANDON, NULL, NULL);
    case PHASE_FILL:
        if (change.batch == 0)
            return false; /* leftovers go first */
        adopt(m, g->plan);
        if (change.count == 0 || change.backfill != NULL) {
            g->phase = PHASE_OVER;
            return true;
        }
        if (backfill_make(&m->directory, &change, NULL, &g->backfill, &f) != OK) {
            sim_say(m->sim, "no backfill: %s", f.text);
            g->rest_until_ms = m->sim->clock_ms + CHANGE_REST;
            return true;
        }
        saw(m->sim, FAULT_BACKFILL);
        engine_offer_backfill(e, backfill_of(g->backfill));
        g->phase = PHASE_UNITE;
        return true;
    case PHASE_UNITE: return ask(m, PROGRAMME_UNITE, g->plan->hash, backfill_of(g->backfill)->hash);
    case PHASE_OVER:
        if (change.is_uniting)
            return false;
        return ask(m, PROGRAMME_ACTIVATE, g->plan->hash, change.backfill);
    }
    return false;
}

static void go_over(struct machine *m, uint32_t programme)
{
    struct fault f = {0};
    const struct programme_folder *folder = &m->sim->load->programmes[programme];
    if (m->going.phase != PHASE_REST)
        return;
    if (programme_store(m->directory.disk, m->directory.programmes, folder, &f) != OK) {
        sim_say(m->sim, "the programme is not stored: %s", f.text);
        return;
    }
    m->going = (struct going){.phase = PHASE_BEGIN, .plan = plan_of(m, folder)};
    if (world_flights(m->sim->world) > 0)
        saw(m->sim, FAULT_CHANGE_IN_FLIGHT);
}

/* ---- what clients tell --------------------------------------------------------------------------- */

static void fill_event(struct machine *m, struct entry *e, const struct fact *fact)
{
    struct names *names = m->recovered.shelf.names;
    struct record *r = &e->records[0];
    struct str user, anonymous;
    struct buf b;
    int64_t now_ms = machine_now_ms(m);
    r->type = RECORD_EVENT;
    r->kind = (uint8_t)fact->kind;
    r->flags = fact->flags;
    r->name = fact->event[0] ? names_add(names, str_of(fact->event)) : NAME_NONE;
    r->message_hash = fact->message;
    r->cause = fact->cause;
    r->arrival_ms = now_ms;
    r->event_ms = max_of(now_ms - (m->sim->clock_ms - fact->happened_ms), 0);
    words_ids(m->directory.secret, fact->who, &r->user, &r->anonymous, &user, &anonymous);
    r->routing_hash = user.len ? r->user.high : r->anonymous.high;
    buf_init(&b);
    if (user.len)
        body_put_text(&b, NAME_USER_ID, user);
    if (anonymous.len)
        body_put_text(&b, NAME_ANONYMOUS_ID, anonymous);
    if (fact->previous[0]) {
        r->previous = identifier_hash(IDENTIFIER_USER, str_of(fact->previous), m->directory.secret);
        body_put_text(&b, NAME_PREVIOUS_ID, str_of(fact->previous));
    }
    words_fields(names, fact->fields, &b);
    r->personal = entry_body(e, &b);
}

/* False: it would change nothing, or is about nothing that there is. */
static bool fill_command(struct machine *m, struct entry *e, const struct fact *fact)
{
    struct fault f = {0};
    struct buf body;
    struct command_word word = fact->word;
    const struct engine *engine = engine_of(m);
    word.name = str_of(fact->event);
    if (command_check(engine_controls(engine), engine_plan(engine), engine_names(engine), &word,
                      &f) != OK)
        return false;
    buf_init(&body);
    command_write(&word, &body, &e->records[0]);
    e->records[0].clear = entry_body(e, &body);
    e->records[0].event_ms = e->records[0].arrival_ms = machine_now_ms(m);
    saw(m->sim, word.kind == COMMAND_PHASE ? FAULT_COMMAND_PHASE : FAULT_COMMAND_KILL);
    return true;
}

void machine_tell(struct machine *m, struct fact *fact)
{
    if (fact->what == FACT_PROGRAMME) {
        m->wanted = fact->programme;
        if (m->is_up && m->is_started && !m->is_stopping)
            go_over(m, m->wanted);
        load_answer(m->sim->load, fact, true);
        return;
    }
    if (!is_open(m)) {
        load_answer(m->sim->load, fact, false);
        return;
    }
    if (fact->what == FACT_ERASE) {
        chores_erase(m->chores, fact);
        return;
    }
    struct entry *e = entry_new(ENTRY_FACT, 1);
    e->fact = fact;
    if (fact->what == FACT_EVENT) {
        fill_event(m, e, fact);
    } else if (!fill_command(m, e, fact)) {
        entry_free(e);
        load_answer(m->sim->load, fact, true);
        return;
    }
    if (push(m, e) == OK)
        return;
    entry_free(e);
    load_answer(m->sim->load, fact, false);
}

/* ---- a start ------------------------------------------------------------------------------------- */

static void note_pending(void *self, struct pending p)
{
    struct machine *m = self;
    if (m->pending_count == m->pending_room) {
        m->pending_room = m->pending_room ? m->pending_room * 2 : 32;
        m->pendings = mem_resize(m->pendings, m->pending_room * sizeof(m->pendings[0]));
    }
    m->pendings[m->pending_count++] = p;
}

/* What the last run kept goes on; what it had granted otherwise, and not reported, is in doubt. */
static void settle_unreported(struct machine *m)
{
    while (m->kept != NULL) {
        struct held *h = m->kept;
        uint32_t i = 0;
        m->kept = h->next;
        while (i < m->pending_count &&
               !(m->pendings[i].decision == h->decision && m->pendings[i].attempt == h->attempt))
            i++;
        if (i == m->pending_count) {
            held_free(h);
            continue;
        }
        saw(m->sim, FAULT_HELD_KEPT);
        struct pending p = m->pendings[i];
        m->pendings[i] = m->pendings[--m->pending_count];
        take(m, h);
        if (p.is_called_off)
            (void)outbox_revoke(m->outbox, p.decision, p.attempt);
    }
    for (uint32_t i = 0; i < m->pending_count; i++) {
        const struct pending *p = &m->pendings[i];
        saw(m->sim, FAULT_HELD_LOST);
        write_receipt(m, &(struct receipt){.kind = RECEIPT_IN_DOUBT,
                                           .profile = p->profile,
                                           .decision = p->decision,
                                           .attempt = p->attempt,
                                           .provider = p->provider});
    }
    m->pending_count = 0;
    m->is_started = true;
    chores_begin(m->chores);
    go_over(m, m->wanted);
    if (m->going.phase == PHASE_REST && active_plan(m) == NULL)
        m->has_failed = true; /* without any programme the server does not serve */
}

static void note_replayed(void *self, struct engine *e, const struct batch *batch,
                          const struct engine_output *out)
{
    struct machine *m = self;
    oracle_batch(m->sim->oracle, e, batch, out);
}

static void note_closed(void *context, const char *path, uint64_t batch_first, uint64_t batch_last)
{
    struct machine *m = context;
    (void)path, (void)batch_first, (void)batch_last;
    if (m->chores != NULL)
        chores_seal(m->chores);
}

/* How the engine's own stages run, other than joined: answers that wait have to wait again when a batch is applied
 * again; the order of partitions is another one in every run of the server. */
struct engine_split machine_split(const struct machine *m)
{
    const struct sim *s = m->sim;
    if (s->is_joined)
        return (struct engine_split){0};
    return (struct engine_split){.delay = s->seed,
                                 .delay_permille = (uint32_t)s->options[OPTION_ANSWERS]};
}

static enum status open_all(struct machine *m, struct fault *f)
{
    struct sim *s = m->sim;
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    struct os_disk *disk = fake_disk_of(m->fake);
    struct evlog_options log = {.disk = disk,
                                .segment_bytes = s->options[OPTION_SEGMENT] << 10,
                                .log_id = s->seed | 1,
                                .spare = EVLOG_SPARE_BY_CALLER,
                                .closed = note_closed,
                                .closed_context = m};
    struct recover_options recover = {.self = m, .after = note_replayed, .split = machine_split(m)};
    directory_secret(s->seed, secret);
    if (!s->is_joined)
        recover.split.order = draw(s, STREAM_SPLIT) | 1;
    enum status status = directory_make(disk, DATA, secret, &m->directory, f);
    if (status != OK)
        return status;
    must(os_path_join(m->held_path, sizeof(m->held_path), m->directory.path, "held"));
    status = evlog_open(m->directory.log, &log, &m->log, f);
    if (status == OK)
        status = recover_to_write(&m->directory, m->log, &recover, &m->recovered, f);
    if (status != OK)
        return status;
    bool is_changed;
    struct taking taking = {.log = m->log, .recovered = &m->recovered, .now_ms = sim_utc_ms(s)};
    status = directory_take(&m->directory, &taking, &is_changed, f);
    if (status == OK && m->recovered.snapshots_refused > 0)
        saw(s, FAULT_FELL_BACK);
    return status;
}

static bool has_met(const struct machine *m, enum fake_fault fault)
{
    return m->ordered == fault && fake_disk_has_failed(m->fake);
}

/* The oracle reads the disk, too: what was ordered for the server is not for it. */
static void ask_oracle(struct machine *m, void (*question)(struct machine *m))
{
    uint64_t calls = fake_disk_calls(m->fake);
    if (has_met(m, FAKE_CRASH))
        return;
    bool is_ordered = m->ordered != FAKE_NONE && !fake_disk_has_failed(m->fake);
    if (is_ordered)
        fake_disk_fail_at(m->fake, 0, FAKE_NONE);
    question(m);
    m->ordered_at += fake_disk_calls(m->fake) - calls;
    if (is_ordered)
        fake_disk_fail_at(m->fake, m->ordered_at, m->ordered);
}

static void search_disk(struct machine *m)
{
    oracle_search(m->sim, &m->directory);
}

static void look_at_start(struct machine *m)
{
    oracle_recovered(m->sim->oracle, engine_of(m), &m->directory);
    search_disk(m);
}

/* ---- what chores need ---------------------------------------------------------------------------- */

static void search_disk_now(struct machine *m)
{
    ask_oracle(m, search_disk);
}

static enum status log_erase(struct machine *m, const struct erasure *x, enum erase_kind kind)
{
    struct entry *e = entry_new(ENTRY_ERASE, 1);
    struct buf clear;
    buf_init(&clear);
    erasure_record(x, kind, &clear, &e->records[0]);
    e->records[0].clear = entry_body(e, &clear);
    e->records[0].event_ms = e->records[0].arrival_ms = machine_now_ms(m);
    enum status status = push(m, e);
    if (status != OK)
        entry_free(e);
    return status;
}

static enum status roll_log(struct machine *m)
{
    return committer_roll_now(m->committer);
}

static uint64_t durable_batch(struct machine *m)
{
    return evlog_batch_durable(m->log);
}

/* The fault that was ordered has been met, or there is no room. */
static bool is_excused(struct machine *m)
{
    return has_met(m, FAKE_CRASH) || has_met(m, FAKE_EIO) || has_met(m, FAKE_FULL) ||
           m->full_until_ms > 0 || m->has_failed;
}

static enum status begin_chores(struct machine *m, struct fault *f)
{
    struct chores_host host = {.sim = m->sim,
                               .machine = m,
                               .directory = &m->directory,
                               .engine = engine_of(m),
                               .now_ms = machine_now_ms,
                               .log_erase = log_erase,
                               .roll = roll_log,
                               .durable_batch = durable_batch,
                               .search = search_disk_now,
                               .is_excused = is_excused};
    return chores_new(&host, &m->chores, f);
}

static enum status start_all(struct machine *m, struct fault *f)
{
    struct committer_host host = {.context = m,
                                  .now_ms = host_now,
                                  .committed = host_committed,
                                  .refused = host_refused,
                                  .failed = host_failed};
    enum status status = open_all(m, f);
    if (status != OK)
        return status;
    struct engine *e = engine_of(m);
    ask_oracle(m, look_at_start);
    int64_t least_ms = max_of(engine_now(e), evlog_now_ms(m->log));
    pace_init(&m->pace, sim_utc_ms(m->sim), m->sim->clock_ms * NS_PER_MS, least_ms);
    m->looked_ms = m->sim->clock_ms;
    m->names_in_log = names_count(engine_names(e));
    const struct plan *plan = plan_of(m, &m->sim->load->programmes[m->wanted]);
    engine_pending(e, m, note_pending);
    status =
        held_read(m->directory.disk, m->held_path, engine_batch(e), engine_plans(e), &m->kept, f);
    if (status != OK)
        return status;
    m->outbox = outbox_new();
    adopt(m, plan);
    if (active_plan(m) != NULL)
        adopt(m, active_plan(m));
    m->committer = committer_new(m->log, &host);
    status = begin_chores(m, f);
    if (status == OK && m->recovered.snapshots_refused > 0)
        chores_want_snapshot(m->chores, engine_batch(e));
    if (status != OK)
        return status;
    status = held_remove(m->directory.disk, m->held_path, f);
    if (status != OK)
        return status;
    struct entry *first = entry_new(ENTRY_START, 0);
    must(push(m, first) == OK);
    return OK;
}

/* One bit of the newest snapshot turns round, if there is an older one to fall back to. */
static void damage(struct machine *m)
{
    struct sim *s = m->sim;
    struct os_disk *disk = fake_disk_of(m->fake);
    char file[OS_PATH_BYTES];
    uint64_t *batches;
    uint32_t count = 0;
    struct arena arena;
    struct fault f = {0};
    struct os_stat at;
    struct snapshot_reader *older = NULL;
    arena_init(&arena, 1024);
    if (os_exists(disk, DATA "/snapshots") &&
        snapshot_list(disk, DATA "/snapshots", &arena, &batches, &count, &f) == OK && count > 1 &&
        snapshot_path(file, sizeof(file), DATA "/snapshots", batches[1]) &&
        snapshot_open(disk, file, &older, &f) == OK &&
        snapshot_path(file, sizeof(file), DATA "/snapshots", batches[0]) &&
        os_stat(disk, file, &at, &f) == OK && at.bytes > 0) {
        fake_disk_damage(m->fake, file, draw_below(s, STREAM_DISK, at.bytes),
                         (uint8_t)(1u << draw_below(s, STREAM_DISK, 8)));
        saw(s, FAULT_DAMAGED_SNAPSHOT);
    }
    snapshot_close(older);
    arena_fini(&arena);
}

static void order(struct machine *m, enum fake_fault fault, uint64_t within)
{
    m->ordered = fault;
    m->ordered_at = fake_disk_calls(m->fake) + 1 + draw_below(m->sim, STREAM_DISK, within);
    fake_disk_fail_at(m->fake, m->ordered_at, fault);
}

static void make_room(struct machine *m)
{
    m->full_until_ms = 0;
    fake_disk_set_capacity(m->fake, UINT64_MAX);
}

void machine_start(struct machine *m)
{
    struct sim *s = m->sim;
    struct fault f = {0};
    if (m->is_up)
        return;
    m->run++;
    m->is_up = true;
    m->receipts_end = &m->receipts;
    m->handed_end = &m->handed;
    memset(m->rest_until_ms, 0, sizeof(m->rest_until_ms));
    bool is_spared = s->is_calm || m->run > STARTS_MAX;
    if (!is_spared && draw_permille(s, STREAM_DISK, s->options[OPTION_DAMAGE]))
        damage(m);
    if (!is_spared && m->ordered == FAKE_NONE &&
        draw_permille(s, STREAM_DISK, s->options[OPTION_RELAPSE]))
        order(m, draw_below(s, STREAM_DISK, 3) ? FAKE_CRASH : FAKE_EIO, 60);
    if (s->options[OPTION_SHORT])
        fake_disk_be_short(m->fake);
    enum status status = start_all(m, &f);
    if (status == OK) {
        sim_say(s, "run %u starts: batch %lu, %u pending", m->run, engine_batch(engine_of(m)),
                m->pending_count);
        return;
    }
    sim_say(s, "run %u does not start: %s", m->run, f.text);
    bool is_excused = has_met(m, FAKE_CRASH) || has_met(m, FAKE_EIO) || has_met(m, FAKE_FULL) ||
                      (m->full_until_ms > 0 && status == TRY_AGAIN);
    if (!is_excused)
        sim_fail(s, "the server does not start: %s", f.text);
    if (has_met(m, FAKE_CRASH))
        saw(s, FAULT_CUT_AT_START);
    make_room(m);
    machine_end(m, has_met(m, FAKE_CRASH) ? END_POWER : END_KILLED);
}

/* ---- an end -------------------------------------------------------------------------------------- */

/* Gives its memory back; nothing is written. */
static void close_all(struct machine *m)
{
    if (m->queue_count > 0)
        saw(m->sim, FAULT_BATCH_UNAPPLIED);
    chores_free(m->chores);
    m->chores = NULL;
    while (m->queue_count > 0) {
        struct committed *batch = m->queue[--m->queue_count];
        for (uint32_t i = 0; i < batch->part_count; i++) {
            struct entry *e = batch->parts[i].token;
            if (e->kind == ENTRY_FACT && e->fact->what != FACT_EVENT)
                load_answer(m->sim->load, e->fact, false);
            entry_free(e);
        }
        committer_release(m->committer, batch);
    }
    if (m->going.phase != PHASE_REST)
        saw(m->sim, FAULT_CHANGE_CUT);
    if (m->is_up && m->recovered.engine != NULL && engine_change(engine_of(m)).is_uniting)
        saw(m->sim, FAULT_UNITING_CUT);
    if (m->committer != NULL)
        committer_drop(m->committer);
    while (m->receipts != NULL) {
        struct entry *e = m->receipts;
        m->receipts = e->next;
        entry_free(e);
    }
    if (m->handed != NULL)
        saw(m->sim, FAULT_CUT_UNHEARD);
    while (m->handed != NULL)
        held_free(hand_take(m).held);
    outbox_free(m->outbox);
    while (m->held_count > 0)
        held_free(m->helds[--m->held_count]);
    held_free_list(m->left);
    held_free_list(m->kept);
    evlog_free(m->log);
    recovered_fini(&m->recovered);
    backfill_free(m->going.backfill);
    m->committer = NULL;
    m->outbox = NULL;
    m->left = m->kept = NULL;
    m->log = NULL;
    m->going = (struct going){0};
    m->pending_count = m->provider_count = m->lost = 0;
    m->is_up = m->is_started = m->has_failed = m->is_stopping = m->has_tick = m->is_asleep = false;
}

/* Everything that was promised is applied, everything that was sent reported; what is known not to be sent
 * is kept. False: a fault of the disk was in the way. */
static bool stop(struct machine *m)
{
    struct fault f = {0};
    bool has_batches = m->is_started;
    chores_stop_erasing(m->chores);
    m->is_stopping = true;
    outbox_stop(m->outbox);
    m->is_asleep = false;
    world_grace(m->sim->world, GRACE_MS);
    for (int i = 0; i < ROUNDS_MAX && !m->has_failed; i++)
        if (!hand_over(m) && !send(m) && !push_receipts(m) && !apply(m) &&
            !committer_turn(m->committer))
            break;
    if (m->has_failed || !has_batches)
        return !m->has_failed;
    if (committer_turn(m->committer) || m->queue_count > 0)
        sim_fail(m->sim, "a stop does not end");
    chores_free(m->chores);
    m->chores = NULL;
    uint64_t batch = engine_batch(engine_of(m));
    enum status status = OK;
    if (m->left != NULL)
        status = held_write(m->directory.disk, m->held_path, batch, m->left, &f);
    if (status == OK && batch > m->recovered.snapshot_batch)
        status = snapshot_engine(&m->directory, engine_of(m), &f);
    if (status == OK) {
        status = evlog_close(m->log, &f);
        m->log = NULL;
    }
    if (status != OK)
        sim_say(m->sim, "a stop that fails: %s", f.text);
    return status == OK;
}

void machine_end(struct machine *m, enum end_how how)
{
    struct sim *s = m->sim;
    if (!m->is_up)
        return;
    if (how == END_STOPPED && m->chores != NULL) {
        saw(s, FAULT_STOPPED);
        (void)stop(m);
        if (has_met(m, FAKE_CRASH))
            how = END_POWER;
    }
    if (world_flights(s->world) > 0)
        saw(s, FAULT_CUT_IN_FLIGHT);
    world_hang_up(s->world);
    close_all(m);
    static const char *const words[] = {"power cut", "killed", "stopped"};
    sim_say(s, "run %u ends: %s", m->run, words[how]);
    if (how == END_POWER) {
        saw(s, FAULT_POWER_CUT);
        fake_disk_restart(m->fake);
        m->ordered = FAKE_NONE;
    } else if (how == END_KILLED) {
        saw(s, FAULT_KILLED);
    }
}

void machine_look(struct machine *m)
{
    if (m->is_up && has_met(m, FAKE_CRASH))
        machine_end(m, END_POWER);
    else if (m->is_up && m->has_failed)
        machine_end(m, END_KILLED);
    if (m->ordered != FAKE_NONE && m->ordered != FAKE_CRASH && fake_disk_has_failed(m->fake)) {
        saw(m->sim, m->ordered == FAKE_EIO ? FAULT_IO_ERROR : FAULT_NO_ROOM);
        m->ordered = FAKE_NONE;
    }
}

/* ---- pages ---------------------------------------------------------------------------------------- */

/* What a placement shows somebody now, as POST /v1/decide asks. It changes nothing, and stays so as long as it
 * says if nothing happens. */
static void draw_page(struct machine *m, const struct plan *plan, uint64_t profile)
{
    struct sim *s = m->sim;
    struct engine *e = engine_of(m);
    struct placement_answer now, later;
    struct arena arena;
    int64_t now_ms = machine_now_ms(m);
    uint32_t name = plan->placements[draw_below(s, STREAM_PAGES, plan->placement_count)].name;
    uint64_t state = s->is_light ? 0 : engine_hash(e);
    arena_init(&arena, 4096);
    must(engine_decide(e, profile, name, (struct body){0}, now_ms, &arena, &now) != NULL);
    saw(s, now.offer != NULL ? FAULT_PAGE_OFFER : FAULT_PAGE_NONE);
    if (now.until_ms <= now_ms)
        sim_fail(s, "what a placement shows profile %lx is over at once", profile);
    if (now.until_ms != FOREVER_MS) {
        must(engine_decide(e, profile, name, (struct body){0}, now.until_ms - 1, &arena, &later) !=
             NULL);
        if (later.offer != now.offer || later.rule != now.rule)
            sim_fail(s, "what a placement shows profile %lx changes before it says", profile);
    }
    if (!s->is_light && engine_hash(e) != state)
        sim_fail(s, "a placement that was asked for changes the state");
    arena_fini(&arena);
}

static void draw_pages(struct machine *m)
{
    struct sim *s = m->sim;
    const struct plan *plan = m->is_started ? active_plan(m) : NULL;
    if (plan == NULL || plan->placement_count == 0 || draw_below(s, STREAM_PAGES, 16) != 0)
        return;
    uint64_t profile = 0; /* a stranger */
    for (uint64_t steps = draw_below(s, STREAM_PAGES, 12); steps > 0; steps--)
        profile = engine_each(engine_of(m), profile);
    draw_page(m, plan, profile);
}

/* ---- a life -------------------------------------------------------------------------------------- */

static bool look_at_clock(struct machine *m)
{
    struct sim *s = m->sim;
    if (s->clock_ms - m->looked_ms < LOOK_MS)
        return false;
    m->looked_ms = s->clock_ms;
    if (!pace_check(&m->pace, sim_utc_ms(s), s->clock_ms * NS_PER_MS))
        saw(s, FAULT_CLOCK_JUMP);
    if (s->is_calm && machine_now_ms(m) != sim_utc_ms(s))
        pace_adopt(&m->pace, sim_utc_ms(s), s->clock_ms * NS_PER_MS);
    return false;
}

static bool commit(struct machine *m)
{
    return !rests(m, STAGE_LOG) && committer_turn(m->committer) && may_rest(m, STAGE_LOG);
}

/* Joined: what there is goes through all stages, one behind the other, before anybody else has a turn. What the
 * committer refuses is tried again when time has passed. */
static bool turn_joined(struct machine *m)
{
    uint32_t refused = m->refused;
    bool has_done = false;
    while (!m->has_failed && m->refused == refused &&
           (push_receipts(m) || commit(m) || apply(m) || hand_over(m) || send(m)))
        has_done = true;
    if (m->has_failed || m->refused != refused)
        return false;
    return has_done || tick(m) || change(m) || (m->is_started && chores_turn(m->chores));
}

bool machine_turn(struct machine *m)
{
    static bool (*const things[])(struct machine * m) = {apply_late,    commit, send,
                                                         push_receipts, tick,   change};
    if (!m->is_up)
        return false;
    (void)look_at_clock(m);
    draw_pages(m);
    if (m->is_started && !m->has_failed &&
        draw_below(m->sim, STREAM_CHORES, m->sim->options[OPTION_CHORES]) == 0 &&
        chores_turn(m->chores))
        return true;
    if (m->sim->is_joined)
        return turn_joined(m);
    if (m->handed != NULL && draw_below(m->sim, STREAM_STAGES, 3) == 0 && hand_over(m))
        return true;
    uint32_t first = (uint32_t)draw_below(m->sim, STREAM_ORDER, array_count(things));
    for (uint32_t i = 0; i < array_count(things) && !m->has_failed; i++)
        if (things[(first + i) % array_count(things)](m))
            return true;
    if (m->has_failed)
        return false;
    return apply(m) || hand_over(m) || (m->is_started && chores_turn(m->chores));
}

int64_t machine_wake_ms(const struct machine *m)
{
    struct machine *x = (struct machine *)(uintptr_t)m; /* pace only notes what it gave out */
    int64_t clock_ms = m->sim->clock_ms, wake_ms = FOREVER_MS;
    if (!m->is_up || !m->is_started)
        return FOREVER_MS;
    int64_t now_ms = machine_now_ms(x);
    if (!m->has_tick && m->next_ms != FOREVER_MS)
        wake_ms = clock_ms + max_of(max_of(m->next_ms, now_ms) - now_ms, 1);
    int64_t next_ms = outbox_wake_ms(m->outbox);
    if (next_ms != FOREVER_MS && !m->pace.has_jumped)
        wake_ms = min_of(wake_ms, clock_ms + max_of(next_ms - now_ms, 1));
    if (m->going.phase != PHASE_REST && !m->going.is_asked)
        wake_ms = min_of(wake_ms, max_of(m->going.rest_until_ms, clock_ms + 1));
    if (m->pace.has_jumped || now_ms != sim_utc_ms(m->sim))
        wake_ms = min_of(wake_ms, max_of(m->looked_ms + LOOK_MS * 40, clock_ms + 1));
    if (m->full_until_ms > 0)
        wake_ms = min_of(wake_ms, max_of(m->full_until_ms, clock_ms + 1));
    for (uint32_t i = 0; i < STAGE_END; i++)
        if (m->rest_until_ms[i] > clock_ms)
            wake_ms = min_of(wake_ms, m->rest_until_ms[i]);
    wake_ms = min_of(wake_ms, chores_wake_ms(m->chores));
    if (m->receipts != NULL || m->has_tick)
        wake_ms = min_of(wake_ms, clock_ms + 50);
    /* A clock that was set back and taken for true: time stands still until it has caught up. */
    if (m->sim->is_calm && now_ms > sim_utc_ms(m->sim))
        wake_ms = max_of(wake_ms, clock_ms + now_ms - sim_utc_ms(m->sim));
    return wake_ms;
}

void machine_trouble(struct machine *m)
{
    struct sim *s = m->sim;
    const uint64_t *o = s->options;
    if (m->full_until_ms > 0 && s->clock_ms >= m->full_until_ms)
        make_room(m);
    if (s->is_calm || m->run > STARTS_MAX)
        return;
    if (m->ordered == FAKE_NONE) {
        if (draw_permille(s, STREAM_DISK, o[OPTION_POWER]))
            order(m, FAKE_CRASH, 50);
        else if (draw_permille(s, STREAM_DISK, o[OPTION_BROKEN]))
            order(m, FAKE_EIO, 40);
        else if (draw_permille(s, STREAM_DISK, o[OPTION_NO_ROOM]))
            order(m, FAKE_FULL, 40);
    }
    if (m->full_until_ms == 0 && m->full_ms < FULL_MAX_MS &&
        draw_permille(s, STREAM_DISK, o[OPTION_FULL])) {
        saw(s, FAULT_FULL_DISK);
        m->full_until_ms = s->clock_ms + 1 + draw_power(s, STREAM_DISK, 5);
        m->full_ms += m->full_until_ms - s->clock_ms;
        fake_disk_set_capacity(m->fake, fake_disk_used_bytes(m->fake) +
                                            (uint64_t)draw_power(s, STREAM_DISK, 5));
    }
    if (draw_permille(s, STREAM_DISK, o[OPTION_KILLED]))
        machine_end(m, END_KILLED);
    else if (draw_permille(s, STREAM_DISK, o[OPTION_STOPPED]))
        machine_end(m, END_STOPPED);
    if (draw_permille(s, STREAM_DISK, o[OPTION_CLOCK])) {
        int64_t by_ms = draw_power(s, STREAM_DISK, 7);
        bool is_back = draw_below(s, STREAM_DISK, 2) != 0;
        saw(s, is_back ? FAULT_CLOCK_BACK : FAULT_CLOCK_FORWARD);
        s->offset_ms += is_back ? -by_ms : by_ms;
    }
}

void machine_calm(struct machine *m)
{
    make_room(m);
    fake_disk_fail_at(m->fake, 0, FAKE_NONE);
    m->ordered = FAKE_NONE;
    for (uint32_t i = 0; m->is_up && m->outbox != NULL && i < m->provider_count; i++)
        outbox_reset_breaker(m->outbox, i, machine_now_ms(m));
    m->is_asleep = false;
    memset(m->rest_until_ms, 0, sizeof(m->rest_until_ms));
    m->going.rest_until_ms = 0;
}

/* ---- for others ---------------------------------------------------------------------------------- */

struct machine *machine_new(struct sim *s)
{
    struct machine *m = mem_new(sizeof(*m));
    m->sim = s;
    m->fake = fake_disk_new(s->seed);
    m->receipts_end = &m->receipts;
    return m;
}

void machine_free(struct machine *m)
{
    if (m->is_up)
        close_all(m);
    fake_disk_free(m->fake);
    mem_free(m->helds);
    mem_free(m->pendings);
    mem_free(m);
}

bool machine_is_up(const struct machine *m)
{
    return m->is_up;
}

bool machine_is_paused(const struct machine *m)
{
    return m->pace.has_jumped;
}

uint32_t machine_run(const struct machine *m)
{
    return m->run;
}

struct engine *machine_engine(struct machine *m)
{
    return m->is_up ? engine_of(m) : NULL;
}

const struct names *machine_names(const struct machine *m)
{
    return m->recovered.shelf.names;
}

struct directory *machine_directory(struct machine *m)
{
    return &m->directory;
}

bool machine_is_busy(const struct machine *m)
{
    return !m->is_up || !m->is_started || m->queue_count > 0 || m->receipts != NULL ||
           m->handed != NULL || outbox_held(m->outbox) > 0 || chores_are_busy(m->chores) ||
           m->going.phase != PHASE_REST;
}
