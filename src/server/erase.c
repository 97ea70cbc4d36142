/* SPDX-License-Identifier: Apache-2.0 */
#include "server/erase.h"

#include <stdatomic.h>

#include "api/person_json.h"
#include "base/mem.h"
#include "os/clock.h"
#include "replay/erase.h"
#include "server/export.h"
#include "server/retain.h"
#include "server/server_int.h"

#define WAITING_MAX 16
#define LOOK_MS     2    /* how often the engine is asked whether it has got so far */
#define AGAIN_MS    2000 /* until what the log did not take is offered again */

#define LEFT_AGAIN_MS 10000 /* until what could not be completed is gone on with */

struct asked {
    struct str person;
    struct http_request *request;
    bool is_export;
};

struct eraser {
    struct server *server;
    struct os_queue *queue;
    struct os_thread thread;
    atomic_bool is_over;
    bool is_left;    /* the thread's: `erasing` may be there, and then the turn is ours */
    uint64_t pushed; /* the thread's: records that the log was asked to take */
};

/* What the engine's thread is asked. */
struct look {
    struct server *server;
    struct erasure *erasure;
    struct str person;
    bool is_erased;
    uint64_t batch;
    enum status status;
    struct fault fault;
    struct buf *out;
};

static void find_person(void *context, struct engine *e)
{
    struct look *l = context;
    l->erasure->profile = engine_find_person(e, l->person);
    if (l->erasure->profile != 0)
        erasure_learn(l->erasure, e);
}

static void ask_erased(void *context, struct engine *e)
{
    struct look *l = context;
    l->batch = engine_batch(e);
    must(engine_change(e).plan == NULL);
    l->is_erased = engine_is_erased(e, l->erasure->profile);
    if (l->is_erased)
        erasure_learn(l->erasure, e);
}

struct destroying {
    const struct directory *directory;
    struct erasure *erasure;
    enum status status;
    struct fault *fault;
};

static void destroy_now(void *self, struct keystore *keys)
{
    struct destroying *x = self;
    x->status = erasure_destroy(x->directory, keys, x->erasure, x->fault);
}

static bool is_over(const struct eraser *x)
{
    return atomic_load(&x->is_over) || atomic_load(&x->server->has_failed);
}

/* Puts the record into the log. */
static enum status push(struct eraser *x, const struct erasure *erasure, enum erase_kind kind)
{
    struct entry *entry = entry_new(ENTRY_ERASE, 1);
    struct buf clear;
    buf_init(&clear);
    erasure_record(erasure, kind, &clear, &entry->records[0]);
    entry->records[0].clear = entry_body(entry, &clear);
    entry->records[0].event_ms = entry->records[0].arrival_ms = server_now_ms(x->server);
    enum status status;
    while ((status = feed_push(x->server, entry)) == TRY_AGAIN && !is_over(x))
        os_clock_sleep_ms(LOOK_MS);
    if (status == OK)
        x->pushed++;
    else
        entry_free(entry);
    return status;
}

static void ask_batch(void *context, struct engine *e)
{
    *(uint64_t *)context = engine_batch(e);
}

/* The newest batch that is applied. Asking wakes the engine's thread. */
static uint64_t applied_batch(const struct eraser *x)
{
    uint64_t batch = 0;
    core_call(x->server->core, ask_batch, &batch);
    return batch;
}

/* Waits until every record that was pushed is applied, or refused. */
static bool wait_settled(struct eraser *x)
{
    while (atomic_load(&x->server->erasures_applied) + atomic_load(&x->server->erasures_refused) <
           x->pushed) {
        if (is_over(x))
            return false;
        (void)applied_batch(x);
        os_clock_sleep_ms(LOOK_MS);
    }
    return true;
}

static int64_t now_ms(void *self)
{
    struct eraser *x = self;
    return server_now_ms(x->server);
}

static enum status not_taken(struct fault *f)
{
    fault_set(f, "the log does not take it now; it is gone on with later");
    return GIVE_UP;
}

/* Waits until the engine has dropped the person. */
static enum status drop(void *self, struct erasure *erasure, struct fault *f)
{
    struct eraser *x = self;
    struct look look = {.server = x->server, .erasure = erasure};
    int64_t offered_ns = 0;
    for (;;) {
        core_call(x->server->core, ask_erased, &look);
        if (offered_ns == 0)
            sealer_hold(x->server->sealer, max_of(look.batch, 1u));
        if (look.is_erased)
            break;
        if (is_over(x))
            return not_taken(f);
        int64_t now_ns = os_clock_monotonic_ns();
        if (offered_ns == 0 || now_ns - offered_ns > AGAIN_MS * INT64_C(1000000)) {
            if (push(x, erasure, ERASE_PERSON) != OK)
                return not_taken(f);
            offered_ns = now_ns;
        }
        os_clock_sleep_ms(LOOK_MS);
    }
    erasure->batch = look.batch;
    return OK;
}

static enum status roll(void *self, struct fault *f)
{
    struct eraser *x = self;
    return committer_roll(x->server->committer) == OK ? OK : not_taken(f);
}

/* Waits until there is a durable snapshot of that batch or a later one. */
static enum status snapshot(void *self, uint64_t batch, struct fault *f)
{
    struct eraser *x = self;
    core_want_snapshot(x->server->core, batch);
    while (core_newest_snapshot(x->server->core) < batch) {
        if (is_over(x)) {
            fault_set(f, "no snapshot was written before the end");
            return GIVE_UP;
        }
        (void)applied_batch(x);
        os_clock_sleep_ms(LOOK_MS);
    }
    return OK;
}

static enum status destroy(void *self, struct erasure *erasure, struct fault *f)
{
    struct eraser *x = self;
    struct sealer *sealer = x->server->sealer;
    struct destroying destroying = {
        .directory = &x->server->directory, .erasure = erasure, .fault = f};
    sealer_call(sealer, destroy_now, &destroying);
    sealer_hold(sealer, 0);
    return destroying.status;
}

/* Waits until the proof is applied, and a batch behind the newest snapshot. */
static enum status prove(void *self, const struct erasure *erasure, uint64_t *batch,
                         struct fault *f)
{
    struct eraser *x = self;
    if (!wait_settled(x))
        return not_taken(f);
    uint64_t refused = atomic_load(&x->server->erasures_refused);
    if (push(x, erasure, ERASE_DONE) != OK || !wait_settled(x) ||
        atomic_load(&x->server->erasures_refused) != refused)
        return not_taken(f);
    uint64_t newest = core_newest_snapshot(x->server->core);
    do {
        os_clock_sleep_ms(LOOK_MS);
        *batch = applied_batch(x);
    } while (*batch <= newest && !is_over(x));
    return OK;
}

static enum status erase(struct eraser *x, struct erasure *erasure, struct fault *f)
{
    struct erasure_hands hands = {.self = x,
                                  .now_ms = now_ms,
                                  .drop = drop,
                                  .roll = roll,
                                  .snapshot = snapshot,
                                  .destroy = destroy,
                                  .prove = prove};
    return erasure_run(&x->server->directory, &hands, erasure, f);
}

/* ---- answers ------------------------------------------------------------------------------------- */

static void answer(struct http_request *request, struct buf *out)
{
    buf_add_byte(out, '\n');
    struct http_header no_store = {STR("Cache-Control"), STR("no-store")};
    http_answer(request, &(struct http_reply){.status = 200,
                                              .content_type = STR("application/json"),
                                              .headers = &no_store,
                                              .header_count = 1,
                                              .body = buf_str(out)});
}

static void answer_unknown(struct http_request *request)
{
    http_answer_error(request, 404, "unknown_person",
                      STR("nobody is known by this user id, anonymous id or address"));
}

/* Erases, and says what came of it. */
static enum status erase_and_tell(struct eraser *x, struct erasure *erasure)
{
    struct server *s = x->server;
    struct fault f = {0};
    enum status status = erase(x, erasure, &f);
    sealer_hold(s->sealer, 0);
    x->is_left = status != OK;
    if (!x->is_left)
        turn_leave(&s->turns, TURN_ERASURE);
    if (status == OK)
        journal_say(&s->journal, JOURNAL_INFO, "erase",
                    "profile %lx was erased: %u keys were destroyed, batch %lu", erasure->profile,
                    erasure->keys, erasure->batch);
    else
        journal_say(&s->journal, JOURNAL_ERROR, "erase",
                    "profile %lx is not erased yet, it is gone on with later: %s", erasure->profile,
                    f.text);
    return status;
}

/* What did not come to its end, here or in a run before, comes before anything else: there is one file that
 * says who is being erased. */
static enum status go_on(struct eraser *x)
{
    struct server *s = x->server;
    struct erasure erasure = {0};
    struct fault f = {0};
    if (!x->is_left)
        return OK;
    enum status status = erasing_read(&s->directory, &erasure, &x->is_left, &f);
    if (status != OK)
        journal_say(&s->journal, JOURNAL_ERROR, "erase",
                    "who is being erased cannot be read, it is tried again: %s", f.text);
    if (status != OK || !x->is_left) {
        x->is_left = status != OK;
        return status;
    }
    while (!turn_take(&s->turns, TURN_ERASURE) && !is_over(x))
        os_clock_sleep_ms(LOOK_MS);
    status = is_over(x) ? GIVE_UP : erase_and_tell(x, &erasure);
    erasure_fini(&erasure);
    return status;
}

static void answer_not_yet(struct http_request *request)
{
    http_answer_error(request, 503, "not_yet",
                      STR("an erasure could not be completed; it is gone on with by itself"));
}

static void do_erase(struct eraser *x, const struct asked *asked)
{
    struct server *s = x->server;
    struct erasure erasure = {0};
    struct look look = {.server = s, .erasure = &erasure, .person = asked->person};
    if (go_on(x) != OK) {
        answer_not_yet(asked->request);
        return;
    }
    core_call(s->core, find_person, &look);
    if (erasure.profile == 0) {
        answer_unknown(asked->request);
    } else if (!turn_take(&s->turns, TURN_ERASURE)) {
        http_answer_error(asked->request, 409, "programme_changes",
                          STR("a change of programme is under way; try again when it is over"));
    } else if (erase_and_tell(x, &erasure) != OK) {
        answer_not_yet(asked->request);
    } else {
        struct buf out;
        buf_init(&out);
        erasure_json(&erasure, &out);
        answer(asked->request, &out);
        buf_fini(&out);
    }
    erasure_fini(&erasure);
}

static void find_for_export(void *context, struct engine *e)
{
    struct look *l = context;
    find_person(context, e);
    if (l->erasure->profile != 0)
        person_json(e, l->erasure->profile, l->out);
}

static void do_export(struct eraser *x, const struct asked *asked)
{
    struct erasure who = {0};
    struct buf person, out;
    struct fault f = {0};
    buf_init(&person);
    buf_init(&out);
    struct look look = {
        .server = x->server, .erasure = &who, .person = asked->person, .out = &person};
    core_call(x->server->core, find_for_export, &look);
    if (who.profile == 0)
        answer_unknown(asked->request);
    else if (export_person(&x->server->directory, &who, buf_str(&person), &out, &f) != OK)
        http_answer_error(asked->request, 500, "no_export", STR("the log could not be read"));
    else
        answer(asked->request, &out);
    erasure_fini(&who);
    buf_fini(&person);
    buf_fini(&out);
}

static bool retain_is_over(void *self)
{
    return is_over(self);
}

static void run(void *context)
{
    struct eraser *x = context;
    struct asked asked = {0};
    x->is_left = true; /* perhaps */
    int64_t pause_ms = 0;
    while (!os_queue_is_done(x->queue)) {
        if (!is_over(x))
            (void)go_on(x);
        if (os_queue_pop(x->queue, &asked, 1, x->is_left ? LEFT_AGAIN_MS : pause_ms) == 0) {
            if (is_over(x))
                pause_ms = AGAIN_MS;
            else if (!x->is_left && atomic_load(&x->server->http) != NULL)
                /* Else its snapshots are of an erasure, or the start is not over. */
                pause_ms = retain_work(x->server, retain_is_over, x);
            continue;
        }
        if (is_over(x))
            http_answer_error(asked.request, 503, "stopping", STR("the server is stopping"));
        else if (asked.is_export)
            do_export(x, &asked);
        else
            do_erase(x, &asked);
    }
}

enum status eraser_start(struct server *s, struct eraser **out, struct fault *f)
{
    struct eraser *x = mem_new(sizeof(*x));
    x->server = s;
    x->queue = os_queue_new(sizeof(struct asked), WAITING_MAX);
    enum status status = os_thread_start(&x->thread, "eraser", run, x, f);
    if (status != OK) {
        os_queue_free(x->queue);
        mem_free(x);
        return status;
    }
    *out = x;
    return OK;
}

bool eraser_ask(struct eraser *x, struct str person, struct http_request *request)
{
    struct asked asked = {.person = person, .request = request};
    return os_queue_push(x->queue, &asked) == OK;
}

bool eraser_ask_export(struct eraser *x, struct str person, struct http_request *request)
{
    struct asked asked = {.person = person, .request = request, .is_export = true};
    return os_queue_push(x->queue, &asked) == OK;
}

void eraser_stop(struct eraser *x)
{
    if (x == NULL)
        return;
    atomic_store(&x->is_over, true);
    os_queue_close(x->queue);
    os_thread_join(&x->thread);
    os_queue_free(x->queue);
    mem_free(x);
}
