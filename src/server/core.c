/* core.c - the engine's thread: batches in, results and granted attempts out, questions between.
 *
 * One queue brings batches and questions in the order in which they came, so that who was told 200 and
 * then asks finds what they sent. The engine asks for time in two ways: an inbox that is not empty wants
 * a batch at once, a deadline wants one when it is due. Either is pushed to the committer like any
 * other entry, one at a time. Answers of later stages in the inbox (most often: an attempt is under way) may
 * wait a little, for the receipt that follows brings a batch of its own, and each batch waits for the disk.
 *
 * A batch has two owners, this thread and the committer's, which answers the clients meanwhile; the
 * last one gives its memory back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "server/decide.h"
#include "server/journeys.h"
#include "server/monitors.h"
#include "server/server_int.h"
#include "server/snapshots.h"
#include "server/story.h"

#include "api/audience_json.h"
#include "api/budget_json.h"
#include "api/journey_json.h"
#include "api/member_list.h"
#include "api/monitor_json.h"
#include "api/person_json.h"
#include "api/segment_json.h"
#include "api/task_json.h"
#include "api/voucher_json.h"
#include "api/why_json.h"
#include "base/map.h"
#include "base/mem.h"
#include "model/identifier.h"
#include "os/clock.h"
#include "profile/traits.h"
#include "replay/watch.h"
#include "server/operate.h"
#include "when/civil.h"
#include "json/json_write.h"

#define QUEUE_MAX     256
#define QUESTIONS_MAX 64 /* of them */
#define WAIT_MS_MAX   1000
#define RETRY_MS      20 /* a tick that the committer had no room for */
#define ANSWERS_MS    3  /* answers wait that long for a batch that comes anyway */

struct batch_ref {
    struct committed *batch;
    atomic_uint owners;
    int64_t committed_ns;
};

enum work_kind {
    WORK_BATCH = 1,
    WORK_QUESTION,
    WORK_SYNC,
    WORK_CALL,
};

/* Something that another thread wants done between batches, and waits for. */
struct call {
    void (*run)(void *context, struct engine *e);
    void *context;
    bool is_done; /* under the core's lock */
};

struct work {
    enum work_kind kind;
    enum question_kind question;
    struct batch_ref *ref;
    struct http_request *request;
    struct str person; /* the request's memory */
    struct call *call;
    const struct segment_question *segment; /* likewise; NULL: it is not about one */
    struct why_question *why;               /* likewise */
    bool wants_past;
    const struct operator_question *operator;
    const struct decide_question *decide;
};

struct core {
    struct server *server;
    struct engine *engine;
    struct invariants *watch; /* NULL: not asked for */
    struct os_queue *queue;
    struct os_thread thread;
    struct buf results;
    int64_t applied_ns; /* the last batch: what the inbox has is since then */
    struct snapshots *snapshots;
    atomic_bool has_tick; /* one is on its way */
    atomic_uint questions;
    struct os_mutex lock;
    struct os_cond change;
    bool is_synced; /* under the lock */
};

/* ---- batches ------------------------------------------------------------------------------------- */

static void release(struct server *s, struct batch_ref *ref)
{
    if (atomic_fetch_sub(&ref->owners, 1) != 1)
        return;
    struct committed *batch = ref->batch;
    for (uint32_t i = 0; i < batch->part_count; i++) {
        struct entry *e = batch->parts[i].token;
        if (e->kind == ENTRY_EVENTS)
            ingest_batch_release(e->events);
        entry_free(e);
    }
    committer_release(s->committer, batch);
    mem_free(ref);
}

void core_apply(struct core *c, struct committed *batch)
{
    struct batch_ref *ref = mem_new(sizeof(*ref));
    ref->batch = batch;
    ref->committed_ns = os_clock_monotonic_ns();
    atomic_init(&ref->owners, 2);
    struct work work = {.kind = WORK_BATCH, .ref = ref};
    must(os_queue_push_wait(c->queue, &work, FOREVER_MS) == OK);
    for (uint32_t i = 0; i < batch->part_count; i++) {
        struct entry *e = batch->parts[i].token;
        if (e->kind == ENTRY_EVENTS)
            ingest_batch_answer(e->events, INGEST_DURABLE);
    }
    release(c->server, ref);
}

static void publish(struct core *c, const struct batch_ref *ref)
{
    struct server *s = c->server;
    const struct engine_counts *counts = engine_counts(c->engine);
    journeys_post(s->journeys, c->engine);
    monitor_board_post(s->monitors, c->engine);
    count_set(s, COUNTER_BATCH, engine_batch(c->engine));
    count_set(s, COUNTER_BATCHES, counts->batches);
    count_set(s, COUNTER_RECORDS, counts->records);
    count_set(s, COUNTER_EVENTS, counts->events);
    count_set(s, COUNTER_DUPLICATES, counts->duplicates);
    count_set(s, COUNTER_UNFOUND, counts->unfound);
    count_set(s, COUNTER_TIMERS, counts->timers);
    count_set(s, COUNTER_MATCHED, counts->matched);
    count_set(s, COUNTER_MERGES, counts->merges);
    count_set(s, COUNTER_LATE_MERGES, counts->late_merges);
    count_set(s, COUNTER_SATURATED, counts->saturated);
    count_set(s, COUNTER_ERRORS, counts->errors);
    count_set(s, COUNTER_ACTIONS, counts->actions);
    count_set(s, COUNTER_KILLS, engine_controls(c->engine)->kill_count);
    count_set(s, COUNTER_JOURNEYS_NOT_ACTIVE, controls_not_active(engine_controls(c->engine)));
    count_set(s, COUNTER_PROFILES, engine_profile_count(c->engine));
    count_set(s, COUNTER_STATE_BYTES, engine_bytes(c->engine));
    if (ref != NULL)
        count_set(s, COUNTER_LAG_MS,
                  (uint64_t)(os_clock_monotonic_ns() - ref->committed_ns) / 1000000);
}

static void apply(struct core *c, struct batch_ref *ref)
{
    struct server *s = c->server;
    const struct committed *committed = ref->batch;
    struct engine_output out;
    engine_apply(c->engine, &committed->batch, &out);
    c->applied_ns = os_clock_monotonic_ns();
    /* Effects wait only for the batch, not for its results. */
    for (uint32_t i = 0; i < out.action_count; i++)
        sender_take(s->sender, &out.actions[i]);
    watch_batch(c->watch, &committed->batch);
    for (uint32_t i = 0; i < out.recall_count; i++)
        sender_recall(s->sender, &out.recalls[i]);
    c->results.len = 0;
    results_write(out.results, out.result_count, committed->batch.now_ms, &c->results);
    committer_results(s->committer, committed->batch.number, buf_str(&c->results));
    for (uint32_t i = 0; i < committed->part_count; i++) {
        const struct entry *e = committed->parts[i].token;
        if (e->kind == ENTRY_TICK)
            atomic_store(&c->has_tick, false);
        if (e->kind == ENTRY_START)
            atomic_store(&s->is_started, true);
        if (e->kind == ENTRY_PROGRAMME)
            atomic_fetch_add(&s->programmes_applied, 1);
        if (e->kind == ENTRY_ERASE)
            atomic_fetch_add(&s->erasures_applied, 1);
    }
    publish(c, ref);
    for (uint32_t i = 0; i < committed->part_count; i++) {
        const struct entry *e = committed->parts[i].token;
        if (e->kind == ENTRY_COMMAND)
            operator_answer(c->engine, e);
    }
    release(s, ref);
}

/* ---- time ---------------------------------------------------------------------------------------- */

void core_tick_refused(struct core *c)
{
    atomic_store(&c->has_tick, false);
}

static bool push_tick(struct core *c, uint32_t records)
{
    struct entry *e = entry_new(ENTRY_TICK, records);
    if (records > 0) {
        e->records[0].type = RECORD_TICK;
        e->records[0].event_ms = e->records[0].arrival_ms = server_now_ms(c->server);
    }
    atomic_store(&c->has_tick, true);
    if (feed_push(c->server, e) == OK)
        return true;
    atomic_store(&c->has_tick, false);
    entry_free(e);
    return false;
}

/* Asks for a batch if the engine needs one; how long the thread may sleep then. */
static int64_t ask_for_time(struct core *c)
{
    struct server *s = c->server;
    bool is_over = atomic_load(&s->is_stopping) || atomic_load(&s->has_failed);
    if (is_over || !atomic_load(&s->is_started) || atomic_load(&c->has_tick) ||
        os_queue_count(c->queue) > 0)
        return WAIT_MS_MAX;
    int64_t next_ms = engine_next(c->engine);
    int64_t now_ms = server_now_ms(s);
    bool has_inbox = engine_has_inbox(c->engine);
    if (!has_inbox && next_ms > now_ms)
        return min_of(next_ms - now_ms, WAIT_MS_MAX);
    int64_t rested_ms = (os_clock_monotonic_ns() - c->applied_ns) / 1000000;
    if (has_inbox && next_ms > now_ms && rested_ms < ANSWERS_MS && !engine_has_work(c->engine))
        return min_of(ANSWERS_MS - rested_ms, next_ms - now_ms);
    return push_tick(c, has_inbox ? 0 : 1) ? WAIT_MS_MAX : RETRY_MS;
}

/* ---- questions ----------------------------------------------------------------------------------- */

static void write_why(struct core *c, const struct why_question *q, struct buf *out)
{
    struct json_writer w;
    char text[TIMESTAMP_BYTES];
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    snprintf(text, sizeof(text), "%lx", q->profile);
    json_write_key_text(&w, "profile", str_of(text));
    json_write_key_text(&w, "as_of", timestamp_print(engine_now(c->engine), text));
    json_write_key_null(&w, "past");
    json_write_key(&w, STR("pending"));
    why_json_pending(&w, c->engine, q->profile, q);
    json_write_key(&w, STR("next"));
    why_json_next(&w, c->engine, q->profile);
    json_write_end(&w);
}

static void answer_with(const struct work *work, struct buf *out)
{
    buf_add_byte(out, '\n');
    struct http_header no_store = {STR("Cache-Control"), STR("no-store")};
    http_answer(work->request, &(struct http_reply){.status = 200,
                                                    .content_type = STR("application/json"),
                                                    .headers = &no_store,
                                                    .header_count = 1,
                                                    .body = buf_str(out)});
}

static void answer_person(struct core *c, const struct work *work, uint64_t profile)
{
    struct buf out;
    buf_init(&out);
    person_json(c->engine, profile, &out);
    answer_with(work, &out);
    buf_fini(&out);
}

/* Whom and what is meant is known here; the story is told elsewhere. */
static void answer_why(struct core *c, const struct work *work)
{
    struct why_refusal refusal;
    struct why_question *q = work->why;
    uint64_t batch = engine_batch(c->engine);
    if (!why_resolve(c->engine, q, http_request_arena(work->request), &refusal)) {
        http_answer_error(work->request, refusal.status, refusal.code, refusal.text);
        return;
    }
    if (work->wants_past && batch <= STORY_BATCHES_MAX) {
        if (!stories_ask(c->server->stories, q, batch, work->request))
            http_answer_error(work->request, 429, "too_busy",
                              STR("too many questions wait; ask again later"));
        return;
    }
    struct buf out;
    buf_init(&out);
    write_why(c, q, &out);
    answer_with(work, &out);
    buf_fini(&out);
}

/* Members of the list whom the file does not name, as what takes them off it; their number. */
static uint32_t list_rest(struct core *c, const struct segment_question *q, uint32_t segment,
                          struct buf *out, bool *has_any)
{
    struct map_u64 kept;
    uint32_t count = 0;
    map_u64_init(&kept);
    for (uint32_t i = 0; i < q->list->count; i++) {
        const struct member_row *row = &q->list->rows[i];
        struct id128 id = identifier_hash(row->kind, row->id, c->server->directory.secret);
        uint64_t profile = engine_find(c->engine, id);
        if (profile != 0)
            map_u64_set(&kept, profile, 1);
    }
    for (uint64_t n = engine_each(c->engine, 0); n != 0; n = engine_each(c->engine, n)) {
        struct person who;
        engine_look(c->engine, n, &who);
        const struct membership *m = person_membership_find(&who, segment);
        if (m == NULL || !(m->flags & MEMBERSHIP_WAS_ADDED) || map_u64_find(&kept, n) != MAP_NONE)
            continue;
        struct member_row row = {.kind = IDENTIFIER_USER};
        struct value id = traits_get(&who, NAME_USER_ID, NULL);
        if (id.type != VALUE_TEXT) {
            row.kind = IDENTIFIER_ANONYMOUS;
            id = traits_get(&who, NAME_ANONYMOUS_ID, NULL);
        }
        if (id.type != VALUE_TEXT)
            continue;
        row.id = id.text;
        if (++count <= LIST_ROWS_MAX)
            member_list_events(&row, 1, q->segment, false, out, has_any);
    }
    map_u64_fini(&kept);
    return count;
}

/* Becomes events of the tracking API, by the same key: they are in the log before the answer. */
static void answer_list(struct core *c, const struct work *work, uint32_t segment)
{
    const struct segment_question *q = work->segment;
    struct buf out;
    bool has_any = false;
    uint32_t count = q->list->count;
    buf_init(&out);
    buf_printf(&out, "{\"batch\":[");
    if (q->change == LIST_REPLACE)
        count += list_rest(c, q, segment, &out, &has_any);
    if (count > LIST_ROWS_MAX) {
        http_answer_error(
            work->request, 413, "list_too_long",
            STR("one request changes 2,500 people at most: send the file in parts, or "
                "use `wend segment` while the server is stopped"));
    } else if (count == 0) {
        struct buf nothing;
        buf_init(&nothing);
        buf_printf(&nothing, "{\"success\":true}");
        answer_with(work, &nothing);
        buf_fini(&nothing);
    } else {
        member_list_events(q->list->rows, q->list->count, q->segment, q->change != LIST_REMOVE,
                           &out, &has_any);
        buf_printf(&out, "]}");
        ingest_routes_post(c->server->routes, work->request, INGEST_BATCH, buf_str(&out));
    }
    buf_fini(&out);
}

static void answer_segment(struct core *c, const struct work *work)
{
    const struct segment_question *q = work->segment;
    const struct plans *plans = engine_plans(c->engine);
    const struct plan *plan = plans->newest ? plans->at[plans->newest] : NULL;
    uint32_t name = names_find(engine_names(c->engine), q->segment);
    uint16_t index =
        plan != NULL && name != NAME_NONE ? plan_segment_find(plan, name) : PLAN_NO_INDEX;
    bool is_named = index != PLAN_NO_INDEX && plan->segments[index].kind == SEGMENT_NAMED;
    uint64_t profile = 0;
    if (work->question != QUESTION_SEGMENTS && !is_named) {
        http_answer_error(work->request, 404, "unknown_segment",
                          STR("the programme has no segment of this name"));
        return;
    }
    if (work->question == QUESTION_LIST && !plan->segments[index].is_list) {
        http_answer_error(
            work->request, 409, "not_a_list",
            STR("this segment follows its condition: give it `list: true` to put people "
                "on it by hand"));
        return;
    }
    if (work->question == QUESTION_LIST) {
        answer_list(c, work, name);
        return;
    }
    if (work->question == QUESTION_SEGMENT_WHY &&
        (profile = engine_find_person(c->engine, q->person)) == 0) {
        http_answer_error(work->request, 404, "unknown_person",
                          STR("nobody is known by this user id, anonymous id or address"));
        return;
    }
    struct buf out;
    buf_init(&out);
    if (work->question == QUESTION_SEGMENTS)
        segments_json(c->engine, &out);
    else if (work->question == QUESTION_MEMBERS)
        members_json(c->engine, name, q->after, q->limit, &out);
    else
        segment_why_json(c->engine, profile, index, &out);
    answer_with(work, &out);
    buf_fini(&out);
}

static void answer_funnel(struct core *c, const struct work *work)
{
    const struct plans *plans = engine_plans(c->engine);
    struct str text = work->operator->journey;
    uint32_t journey = text.len ? names_find(engine_names(c->engine), text) : NAME_NONE;
    struct report report;
    struct arena arena;
    struct buf out;
    arena_init(&arena, 65536);
    buf_init(&out);
    report_funnel(engine_funnel(c->engine), plans->at, plans->count, journey, &arena, &report);
    if (journey == NAME_NONE || report.version_count == 0) {
        http_answer_error(work->request, 404, "unknown_journey",
                          STR("no programme has had a journey of this name"));
    } else {
        funnel_json(&report, engine_names(c->engine), engine_now(c->engine), INT64_MIN, &out);
        answer_with(work, &out);
    }
    buf_fini(&out);
    arena_fini(&arena);
}

static void answer_operator(struct core *c, const struct work *work)
{
    struct buf out;
    if (work->question == QUESTION_COMMAND) {
        operator_do(c->server, c->engine, work->operator, work->request);
        return;
    }
    if (work->question == QUESTION_TASK_DONE) {
        task_do(c->server, c->engine, work->operator, work->request);
        return;
    }
    if (work->question == QUESTION_FUNNEL) {
        answer_funnel(c, work);
        return;
    }
    buf_init(&out);
    if (work->question == QUESTION_BUDGETS)
        budgets_json(c->engine, &out);
    else if (work->question == QUESTION_AUDIENCES)
        audiences_json(c->engine, engine_funnel(c->engine), INT64_MIN, &out);
    else if (work->question == QUESTION_TASKS)
        tasks_json(c->engine, work->operator->queue, work->operator->after, work->operator->limit,
                   &out);
    else if (work->question == QUESTION_MONITORS)
        monitors_json(c->engine, &out);
    else if (work->question == QUESTION_VOUCHERS)
        vouchers_json(c->engine, &out);
    else
        journeys_json(c->engine, &out);
    answer_with(work, &out);
    buf_fini(&out);
}

static void answer_decide(struct core *c, const struct work *work)
{
    struct buf out;
    buf_init(&out);
    if (decide_answer(c->engine, work->decide, server_now_ms(c->server), &out)) {
        count_add(c->server, COUNTER_DECISIONS, 1);
        answer_with(work, &out);
    } else {
        http_answer_error(work->request, 404, "unknown_placement",
                          STR("the programme has no placement of this name"));
    }
    buf_fini(&out);
}

static void answer(struct core *c, const struct work *work)
{
    atomic_fetch_sub(&c->questions, 1);
    if (work->decide != NULL) {
        answer_decide(c, work);
        return;
    }
    if (work->operator!= NULL) {
        answer_operator(c, work);
        return;
    }
    if (work->segment != NULL) {
        answer_segment(c, work);
        return;
    }
    if (work->why != NULL) {
        answer_why(c, work);
        return;
    }
    uint64_t profile = engine_find_person(c->engine, work->person);
    if (profile == 0)
        http_answer_error(work->request, 404, "unknown_person",
                          STR("nobody is known by this user id, anonymous id or address"));
    else
        answer_person(c, work, profile);
}

static bool ask(struct core *c, const struct work *work)
{
    if (atomic_fetch_add(&c->questions, 1) < QUESTIONS_MAX && os_queue_push(c->queue, work) == OK)
        return true;
    atomic_fetch_sub(&c->questions, 1);
    return false;
}

bool core_ask_segment(struct core *c, enum question_kind kind,
                      const struct segment_question *question, struct http_request *request)
{
    return ask(
        c, &(struct work){
               .kind = WORK_QUESTION, .question = kind, .segment = question, .request = request});
}

bool core_ask_why(struct core *c, struct why_question *question, bool wants_past,
                  struct http_request *request)
{
    return ask(c, &(struct work){.kind = WORK_QUESTION,
                                 .question = QUESTION_WHY,
                                 .why = question,
                                 .wants_past = wants_past,
                                 .request = request});
}

bool core_ask_decide(struct core *c, const struct decide_question *question,
                     struct http_request *request)
{
    return ask(c, &(struct work){.kind = WORK_QUESTION,
                                 .question = QUESTION_DECIDE,
                                 .decide = question,
                                 .request = request});
}

bool core_ask_operator(struct core *c, enum question_kind kind,
                       const struct operator_question *question, struct http_request *request)
{
    return ask(
        c, &(struct work){
               .kind = WORK_QUESTION, .question = kind, .operator= question, .request = request});
}

bool core_ask(struct core *c, enum question_kind kind, struct str person,
              struct http_request *request)
{
    return ask(c,
               &(struct work){
                   .kind = WORK_QUESTION, .question = kind, .person = person, .request = request});
}

uint32_t core_waiting(struct core *c)
{
    return os_queue_count(c->queue);
}

/* ---- the thread ---------------------------------------------------------------------------------- */

static void sync(struct core *c)
{
    os_mutex_lock(&c->lock);
    c->is_synced = true;
    os_cond_wake_all(&c->change);
    os_mutex_unlock(&c->lock);
}

void core_sync(struct core *c)
{
    struct work work = {.kind = WORK_SYNC};
    c->is_synced = false;
    must(os_queue_push_wait(c->queue, &work, FOREVER_MS) == OK);
    os_mutex_lock(&c->lock);
    while (!c->is_synced)
        os_cond_wait(&c->change, &c->lock);
    os_mutex_unlock(&c->lock);
}

static void carry_out(struct core *c, struct call *call)
{
    call->run(call->context, c->engine);
    os_mutex_lock(&c->lock);
    call->is_done = true;
    os_cond_wake_all(&c->change);
    os_mutex_unlock(&c->lock);
}

void core_want_snapshot(struct core *c, uint64_t batch)
{
    snapshots_want(c->snapshots, batch);
}

uint64_t core_newest_snapshot(const struct core *c)
{
    return snapshots_newest(c->snapshots);
}

uint64_t core_snapshot_failures(const struct core *c)
{
    return snapshots_failures(c->snapshots);
}

void core_call(struct core *c, void (*run)(void *context, struct engine *e), void *context)
{
    struct call call = {.run = run, .context = context};
    struct work work = {.kind = WORK_CALL, .call = &call};
    must(os_queue_push_wait(c->queue, &work, FOREVER_MS) == OK);
    os_mutex_lock(&c->lock);
    while (!call.is_done)
        os_cond_wait(&c->change, &c->lock);
    os_mutex_unlock(&c->lock);
}

static void run(void *context)
{
    struct core *c = context;
    bool is_saving = false;
    while (!os_queue_is_done(c->queue)) {
        struct work work;
        int64_t wait_ms = ask_for_time(c);
        struct monitor_board *board = c->server->monitors;
        if (monitor_board_is_stale(board))
            wait_ms = min_of(wait_ms, (int64_t)BOARD_PAUSE_MS);
        bool has_work = os_queue_pop(c->queue, &work, 1, is_saving ? 1 : wait_ms) > 0;
        if (!has_work && monitor_board_is_stale(board))
            monitor_board_post(board, c->engine);
        if (!has_work || work.kind == WORK_BATCH)
            is_saving = snapshots_work(c->snapshots);
        if (!has_work)
            continue;
        switch (work.kind) {
        case WORK_BATCH: apply(c, work.ref); break;
        case WORK_QUESTION: answer(c, &work); break;
        case WORK_SYNC: sync(c); break;
        case WORK_CALL:
            carry_out(c, work.call);
            is_saving = true; /* it may have asked for a snapshot */
            break;
        }
    }
}

enum status core_start(struct server *s, struct core **out, struct fault *f)
{
    struct core *c = mem_new(sizeof(*c));
    c->server = s;
    c->engine = s->recovered.engine;
    c->watch = watch_new(c->engine);
    c->queue = os_queue_new(sizeof(struct work), QUEUE_MAX);
    buf_init(&c->results);
    os_mutex_init(&c->lock);
    os_cond_init(&c->change);
    publish(c, NULL);
    *out = c;
    enum status status = snapshots_start(s, c->engine, &c->snapshots, f);
    if (status == OK)
        status = os_thread_start(&c->thread, "core", run, c, f);
    if (status != OK) {
        core_free(c);
        *out = NULL;
    }
    return status;
}

void core_join(struct core *c)
{
    os_queue_close(c->queue);
    os_thread_join(&c->thread);
    snapshots_stop(c->snapshots);
    c->snapshots = NULL;
}

void core_free(struct core *c)
{
    if (c == NULL)
        return;
    snapshots_stop(c->snapshots);
    os_queue_free(c->queue);
    os_cond_fini(&c->change);
    os_mutex_fini(&c->lock);
    buf_fini(&c->results);
    watch_end(c->watch);
    mem_free(c);
}
