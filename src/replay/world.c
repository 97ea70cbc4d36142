/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/world.h"

#include <string.h>

#include "base/mem.h"
#include "model/answer.h"
#include "replay/watch.h"

#define COMMIT_BYTES (4u << 20) /* buffered for the log before it is written */
#define STILL_MAX    100000     /* batches of one instant that bring nothing and send nothing */

struct due_receipt {
    int64_t at_ms;
    struct receipt receipt;
    uint8_t *saved; /* its bytes, ours */
};

struct world {
    struct shelf *shelf;
    struct engine *engine;
    struct invariants *watch; /* NULL: not asked for */
    struct world_options options;
    int64_t now_ms;
    uint32_t still;      /* batches since something came, went or the time moved */
    uint32_t names_told; /* numbers below this are known to the engine */
    struct record *records;
    uint32_t record_count, record_room;
    struct arena bodies;          /* of the batch being put together */
    struct due_receipt *receipts; /* waiting for their moment; details are dropped */
    uint32_t receipt_count, receipt_room;
    struct buf results;
    struct loaded_backfill *backfill; /* the engine may borrow it */
};

static struct record *add_record(struct world *w)
{
    if (w->record_count == w->record_room) {
        w->record_room = w->record_room ? w->record_room * 2 : 64;
        w->records = mem_resize(w->records, w->record_room * sizeof(w->records[0]));
    }
    struct record *r = &w->records[w->record_count++];
    *r = (struct record){.schema = RECORD_SCHEMA};
    return r;
}

static struct body keep_body(struct world *w, struct buf *b)
{
    struct str kept = arena_copy(&w->bodies, buf_str(b));
    return (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
}

static void tell_names(struct world *w)
{
    struct buf b;
    buf_init(&b);
    for (; w->names_told < names_count(w->shelf->names); w->names_told++) {
        b.len = 0;
        body_put_text(&b, NAME_TEXT, names_text(w->shelf->names, w->names_told));
        struct record *r = add_record(w);
        r->type = RECORD_NAME;
        r->name = w->names_told;
        r->clear = keep_body(w, &b);
    }
    buf_fini(&b);
}

/* Those that have come by then, in their order. */
static void tell_receipts(struct world *w, int64_t now_ms)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->receipt_count; i++) {
        struct due_receipt *x = &w->receipts[i];
        struct buf clear, personal;
        if (x->at_ms > now_ms) {
            w->receipts[kept++] = *x;
            continue;
        }
        buf_init(&clear);
        buf_init(&personal);
        struct record *r = add_record(w);
        receipt_write(&x->receipt, now_ms, &clear, &personal, r);
        r->clear = keep_body(w, &clear);
        r->personal = keep_body(w, &personal);
        buf_fini(&clear);
        buf_fini(&personal);
        mem_free(x->saved);
    }
    w->receipt_count = kept;
}

/* When the next of them comes; FOREVER_MS if none does. */
static int64_t next_receipt(const struct world *w)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < w->receipt_count; i++)
        next_ms = min_of(next_ms, w->receipts[i].at_ms);
    return next_ms;
}

void world_accept(struct world *w, const struct action *a)
{
    const struct plan *plan = engine_plans(w->engine)->at[a->plan];
    const struct plan_errand *errand = plan_errand_at(plan, a->message);
    struct receipt receipt = {.kind = RECEIPT_ACCEPTED,
                              .profile = a->profile,
                              .decision = a->decision,
                              .attempt = a->attempt,
                              .provider = plan->providers[a->provider].name};
    struct buf saved;
    buf_init(&saved);
    if (errand != NULL && errand->kind == ERRAND_CALL) {
        receipt.code = 200;
        if (answer_pick(errand, receipt.code, errand->stub, &saved, NULL) == OK)
            receipt.saved = body_of(&saved);
    }
    world_receipt(w, &receipt);
    buf_fini(&saved);
}

static void accept_all(struct world *w, const struct engine_output *out)
{
    for (uint32_t i = 0; i < out->action_count; i++)
        world_accept(w, &out->actions[i]);
}

/* Is there an end to what goes on at this instant? Whoever waits for it would wait for ever otherwise, and
 * the log would fill the disk. */
static enum status check_progress(struct world *w, bool is_news, struct fault *f)
{
    w->still = is_news ? 0 : w->still + 1;
    if (w->still <= STILL_MAX)
        return OK;
    fault_set(f,
              "%d batches at one instant, of which none brings or sends anything: something goes "
              "back and forth; this is a fault of wend, please report it with the programme",
              STILL_MAX);
    return GIVE_UP;
}

/* Applies what has been put together as one batch at `now_ms`. */
static enum status step(struct world *w, int64_t now_ms, struct fault *f)
{
    struct engine_output out;
    must(now_ms >= w->now_ms);
    bool is_news = w->record_count > 0 || now_ms > w->now_ms;
    w->now_ms = now_ms;
    for (uint32_t i = 0; i < w->record_count; i++)
        w->records[i].at_ms = now_ms;
    struct batch batch = {engine_batch(w->engine) + 1, now_ms, w->record_count, w->records};
    if (w->options.log != NULL) {
        enum status status = evlog_append(w->options.log, &batch, f);
        if (status != OK)
            return status;
    }
    engine_apply(w->engine, &batch, &out);
    watch_batch(w->watch, &batch);
    w->record_count = 0;
    is_news |= out.action_count > 0 || out.recall_count > 0;
    is_news |= engine_change(w->engine).is_uniting; /* nearer to its end with each batch */
    enum status moves = check_progress(w, is_news, f);
    if (moves != OK)
        return moves;
    if (w->options.log != NULL) {
        w->results.len = 0;
        results_write(out.results, out.result_count, now_ms, &w->results);
        enum status status =
            evlog_append_results(w->options.log, batch.number, buf_str(&w->results), f);
        if (status == OK && evlog_buffered_bytes(w->options.log) > COMMIT_BYTES)
            status = evlog_commit(w->options.log, f);
        if (status != OK)
            return status;
    }
    if (w->options.host.results != NULL)
        w->options.host.results(w->options.host.self, batch.number, now_ms, out.results,
                                out.result_count);
    if (w->options.host.act == NULL)
        accept_all(w, &out);
    else
        for (uint32_t i = 0; i < out.action_count; i++)
            w->options.host.act(w->options.host.self, &out.actions[i], now_ms);
    for (uint32_t i = 0; i < out.recall_count && w->options.host.recall != NULL; i++)
        w->options.host.recall(w->options.host.self, &out.recalls[i]);
    arena_reset(&w->bodies);
    return OK;
}

/* Receipts and inboxes of this moment, then everything due up to until_ms. */
enum status world_wait(struct world *w, int64_t until_ms, struct fault *f)
{
    for (;;) {
        int64_t next_ms = min_of(engine_next(w->engine), next_receipt(w));
        if (engine_has_inbox(w->engine))
            next_ms = w->now_ms;
        if (next_ms > until_ms && next_ms > w->now_ms)
            break;
        tell_receipts(w, max_of(next_ms, w->now_ms));
        enum status status = step(w, max_of(next_ms, w->now_ms), f);
        if (status != OK)
            return status;
    }
    w->now_ms = max_of(w->now_ms, until_ms);
    return OK;
}

enum status world_apply_all(struct world *w, const struct record *records, uint32_t count,
                            struct fault *f)
{
    must(count > 0);
    /* What is due at the same instant comes after the records: records before timers. */
    enum status status = OK;
    if (!w->options.is_hasty)
        status = world_wait(w, max_of(records[0].at_ms - 1, w->now_ms), f);
    if (status != OK)
        return status;
    tell_names(w);
    for (uint32_t i = 0; i < count; i++)
        *add_record(w) = records[i];
    return step(w, max_of(records[0].at_ms, w->now_ms), f);
}

enum status world_apply(struct world *w, const struct record *record, struct fault *f)
{
    return world_apply_all(w, record, 1, f);
}

static enum status apply_programme(struct world *w, enum programme_kind kind, const char *hash,
                                   const char *backfill, struct fault *f)
{
    struct buf b;
    tell_names(w);
    buf_init(&b);
    if (hash != NULL)
        body_put_text(&b, NAME_PROGRAMME, str_of(hash));
    if (backfill != NULL)
        body_put_text(&b, NAME_BACKFILL, str_of(backfill));
    struct record *r = add_record(w);
    r->type = RECORD_PROGRAMME;
    r->kind = (uint8_t)kind;
    r->clear = keep_body(w, &b);
    buf_fini(&b);
    return step(w, w->now_ms, f);
}

enum status world_activate(struct world *w, const struct plan *plan, struct fault *f)
{
    if (!engine_knows(w->engine, str_of(plan->hash)))
        engine_prepare(w->engine, plan);
    return apply_programme(w, PROGRAMME_ACTIVATE, plan->hash, NULL, f);
}

enum status world_prepare(struct world *w, const struct plan *plan, struct fault *f)
{
    if (!engine_knows(w->engine, str_of(plan->hash)))
        engine_prepare(w->engine, plan);
    return apply_programme(w, PROGRAMME_PREPARE, plan->hash, NULL, f);
}

static enum status begin_uniting(struct world *w, const struct directory *d,
                                 const struct backfill_host *host, struct fault *f)
{
    enum status status = world_commit(w, f);
    backfill_free(w->backfill); /* of a change that was given up */
    w->backfill = NULL;
    struct engine_change change = engine_change(w->engine);
    if (status == OK)
        status = backfill_make(d, &change, host, &w->backfill, f);
    if (status != OK)
        return status;
    engine_offer_backfill(w->engine, backfill_of(w->backfill));
    return apply_programme(w, PROGRAMME_UNITE, change.plan->hash, backfill_of(w->backfill)->hash,
                           f);
}

enum status world_unite(struct world *w, const struct directory *d,
                        const struct backfill_host *host, struct fault *f)
{
    enum status status = OK;
    must(engine_change(w->engine).plan != NULL);
    while (status == OK && engine_change(w->engine).batch == 0)
        status = step(w, w->now_ms, f);
    struct engine_change change = engine_change(w->engine);
    if (status != OK || change.count == 0 || change.backfill != NULL)
        return status;
    return begin_uniting(w, d, host, f);
}

enum status world_finish(struct world *w, const struct directory *d,
                         const struct backfill_host *host, struct fault *f)
{
    enum status status = world_unite(w, d, host, f);
    while (status == OK && engine_change(w->engine).is_uniting)
        status = step(w, w->now_ms, f);
    if (status != OK)
        return status;
    struct engine_change change = engine_change(w->engine);
    char backfill[65] = "";
    if (change.backfill != NULL)
        memcpy(backfill, change.backfill, sizeof(backfill));
    return apply_programme(w, PROGRAMME_ACTIVATE, change.plan->hash, backfill[0] ? backfill : NULL,
                           f);
}

enum status world_abandon(struct world *w, struct fault *f)
{
    return apply_programme(w, PROGRAMME_ABANDON, NULL, NULL, f);
}

enum status world_change(struct world *w, const struct directory *d, const struct plan *plan,
                         const struct backfill_host *host, struct fault *f)
{
    enum status status = OK;
    const struct plan *prepared = engine_change(w->engine).plan;
    if (prepared == NULL || strcmp(prepared->hash, plan->hash) != 0)
        status = world_prepare(w, plan, f);
    return status == OK ? world_finish(w, d, host, f) : status;
}

void world_receipt_at(struct world *w, const struct receipt *receipt, int64_t at_ms)
{
    if (w->receipt_count == w->receipt_room) {
        w->receipt_room = w->receipt_room ? w->receipt_room * 2 : 64;
        w->receipts = mem_resize(w->receipts, w->receipt_room * sizeof(w->receipts[0]));
    }
    struct due_receipt *x = &w->receipts[w->receipt_count++];
    *x = (struct due_receipt){.at_ms = at_ms, .receipt = *receipt};
    x->receipt.detail = (struct str){0};
    if (receipt->saved.bytes > 0) {
        x->saved = mem_new(receipt->saved.bytes);
        memcpy(x->saved, receipt->saved.at, receipt->saved.bytes);
    }
    x->receipt.saved.at = x->saved;
}

void world_receipt(struct world *w, const struct receipt *receipt)
{
    world_receipt_at(w, receipt, INT64_MIN);
}

struct world *world_of(struct shelf *shelf, struct engine *engine,
                       const struct world_options *options)
{
    struct world *w = mem_new(sizeof(*w));
    w->shelf = shelf;
    w->engine = engine;
    w->watch = watch_new(engine);
    w->options = *options;
    w->now_ms = engine_now(engine);
    w->names_told = names_count(engine_names(engine));
    arena_init(&w->bodies, 65536);
    return w;
}

struct world *world_new(struct shelf *shelf, const struct world_options *options, int64_t start_ms)
{
    struct engine_options engine = {
        .secret = options->secret, .shelf = shelf, .plan_of = shelf_find};
    struct world *w = world_of(shelf, engine_new(&engine), options);
    w->now_ms = start_ms;
    return w;
}

enum status world_commit(struct world *w, struct fault *f)
{
    return w->options.log != NULL ? evlog_commit(w->options.log, f) : OK;
}

void world_free(struct world *w)
{
    if (w == NULL)
        return;
    watch_end(w->watch);
    engine_free(w->engine);
    backfill_free(w->backfill);
    arena_fini(&w->bodies);
    mem_free(w->records);
    for (uint32_t i = 0; i < w->receipt_count; i++)
        mem_free(w->receipts[i].saved);
    mem_free(w->receipts);
    buf_fini(&w->results);
    mem_free(w);
}

int64_t world_now(const struct world *w)
{
    return w->now_ms;
}

struct engine *world_engine(struct world *w)
{
    return w->engine;
}
