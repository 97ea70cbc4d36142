/* SPDX-License-Identifier: Apache-2.0 */
#include "server/change.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "os/clock.h"
#include "programme/diff.h"
#include "replay/backfill.h"
#include "replay/retention.h"
#include "server/server_int.h"
#include "when/civil.h"
#include "json/json_write.h"

#define ASKED_MAX       16
#define WAIT_MS         2
#define SAY_MS          10000 /* how often the journal is told how far it is */
#define REFUSED_REST_MS 500   /* the disk is full: tried again */

enum phase {
    PHASE_IDLE,
    PHASE_WAITING, /* for an erasure */
    PHASE_PREPARING,
    PHASE_FILLING,
    PHASE_UNITING,
    PHASE_ACTIVATING,
};

static const char *const phase_names[] = {"idle",        "waiting", "preparing",
                                          "backfilling", "uniting", "activating"};

struct asked {
    enum change_wish wish;
    char hash[PROGRAMME_HASH_BYTES]; /* "" = the server's folder */
    struct http_request *request;
};

/* What others may look at. */
struct report {
    enum phase phase;
    char active[PROGRAMME_HASH_BYTES];
    char active_name[128];
    char wanted[PROGRAMME_HASH_BYTES];
    uint32_t features; /* to be filled in */
    struct backfill_progress progress;
    char last[PROGRAMME_HASH_BYTES]; /* the change that ended last; "" = none did */
    enum status outcome;
    struct fault why;
    int64_t filled_ms; /* how long its backfill took */
};

struct changes {
    struct server *server;
    struct os_queue *queue;
    struct os_thread thread;
    bool has_thread;
    atomic_bool is_over;
    atomic_bool is_busy;
    const struct plan *active;
    const struct plan *begun; /* changes_start() */
    const struct plan *next;  /* takes the place of the change under way */
    struct os_mutex lock;
    struct report report; /* under the lock */
    int64_t said_ns;
};

/* Before anybody is told that it has begun. */
static void set_wanted(struct changes *c, const struct plan *plan)
{
    os_mutex_lock(&c->lock);
    c->report.phase = PHASE_PREPARING;
    c->report.features = 0;
    c->report.progress = (struct backfill_progress){0};
    memcpy(c->report.wanted, plan->hash, sizeof(c->report.wanted));
    os_mutex_unlock(&c->lock);
}

static void set_phase(struct changes *c, enum phase phase)
{
    os_mutex_lock(&c->lock);
    c->report.phase = phase;
    os_mutex_unlock(&c->lock);
}

static void set_active(struct changes *c, const struct plan *plan)
{
    c->active = plan;
    os_mutex_lock(&c->lock);
    c->report.active[0] = c->report.active_name[0] = 0;
    if (plan != NULL) {
        memcpy(c->report.active, plan->hash, sizeof(c->report.active));
        if (!str_to_z(plan->name, c->report.active_name, sizeof(c->report.active_name)))
            c->report.active_name[0] = 0;
    }
    os_mutex_unlock(&c->lock);
}

static bool is_over(struct changes *c)
{
    return atomic_load(&c->is_over) || atomic_load(&c->server->has_failed);
}

/* ---- compiling ----------------------------------------------------------------------------------- */

/* The shelf's names are those of the vocabulary, which other threads add to. */
static void learn_vocabulary(struct server *s)
{
    struct names *names = s->recovered.shelf.names;
    uint32_t count = vocabulary_count(s->vocabulary);
    for (uint32_t i = names_count(names); i < count; i++)
        must(names_add(names, vocabulary_text(s->vocabulary, i)) == i);
}

static struct names *names_copy(const struct names *from)
{
    struct names *names = names_new();
    for (uint32_t i = NAME_FIXED_END; i < names_count(from); i++)
        must(names_add(names, names_text(from, i)) == i);
    return names;
}

static const struct plan *on_shelf(const struct server *s, const char *hash)
{
    for (uint32_t i = 0; i < s->recovered.shelf.count; i++)
        if (strcmp(s->recovered.shelf.plans[i]->hash, hash) == 0)
            return s->recovered.shelf.plans[i];
    return NULL;
}

/* Compiles for good what compiled with `trial`: its names get their numbers from the vocabulary first. */
static enum status compile(struct server *s, const struct programme_folder *folder,
                           const struct names *trial, const struct plan **out, struct fault *f)
{
    struct findings findings;
    struct plan *plan = NULL;
    for (uint32_t i = names_count(s->recovered.shelf.names); i < names_count(trial); i++) {
        if (vocabulary_add(s->vocabulary, names_text(trial, i), 0) != NAME_NONE)
            continue;
        fault_set(f, "there are too many names in this data directory");
        return FIX_INPUT;
    }
    learn_vocabulary(s);
    uint32_t count = names_count(s->recovered.shelf.names);
    findings_init(&findings);
    enum status status = programme_compile(folder, s->recovered.shelf.names, &plan, &findings);
    findings_fini(&findings);
    must(status == OK);
    must(names_count(s->recovered.shelf.names) == count);
    shelf_add(&s->recovered.shelf, plan);
    *out = plan;
    return OK;
}

/* ---- answers ------------------------------------------------------------------------------------- */

static void reply(struct http_request *request, uint32_t status, struct buf *out)
{
    struct http_header no_store = {STR("Cache-Control"), STR("no-store")};
    buf_add_byte(out, '\n');
    http_answer(request, &(struct http_reply){.status = status,
                                              .content_type = STR("application/json"),
                                              .headers = &no_store,
                                              .header_count = 1,
                                              .body = buf_str(out)});
}

static void write_findings(struct json_writer *w, struct findings *findings)
{
    findings_sort(findings);
    json_write_key(w, STR("findings"));
    json_write_list(w);
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct finding *x = &findings->list[i];
        if (x->severity == FINDING_ADVICE)
            continue;
        json_write_map(w);
        json_write_key_text(w, "code", str_of(finding_code_name(x->code)));
        json_write_key_text(w, "severity", str_of(finding_severity_name(x->severity)));
        json_write_key_text(w, "file", x->place.file);
        json_write_key_int(w, "line", x->place.line);
        json_write_key_int(w, "column", x->place.column);
        json_write_key_text(w, "text", x->text);
        json_write_key_text(w, "advice", x->advice);
        json_write_end(w);
    }
    json_write_end(w);
}

static void answer_errors(struct changes *c, struct http_request *request,
                          struct findings *findings)
{
    struct buf out, line;
    struct json_writer w;
    uint32_t errors = findings->error_count;
    buf_init(&out);
    buf_init(&line);
    findings_sort(findings);
    for (uint32_t i = 0; i < findings->count && line.len == 0; i++)
        if (findings->list[i].severity == FINDING_ERROR)
            buf_printf(&line, "%.*s:%u: %.*s", STR_ARG(findings->list[i].place.file),
                       findings->list[i].place.line, STR_ARG(findings->list[i].text));
    journal_say(&c->server->journal, JOURNAL_ERROR, "programme",
                "the programme has %u error%s, nothing was changed: %.*s", errors,
                errors == 1 ? "" : "s", STR_ARG(buf_str(&line)));
    if (request != NULL) {
        json_write_init(&w, &out, JSON_PRETTY);
        json_write_map(&w);
        json_write_key_text(&w, "code", STR("programme_has_errors"));
        json_write_key_text(&w, "message", buf_str(&line));
        write_findings(&w, findings);
        json_write_end(&w);
        reply(request, 422, &out);
    }
    buf_fini(&line);
    buf_fini(&out);
}

static void write_rows(struct json_writer *w, const struct diff_row *rows, uint32_t count)
{
    json_write_key(w, STR("changes"));
    json_write_list(w);
    for (uint32_t i = 0; i < count; i++) {
        json_write_map(w);
        json_write_key_text(w, "kind", str_of(diff_kind_name(rows[i].kind)));
        json_write_key_text(w, "how", str_of(diff_how_name(rows[i].how)));
        json_write_key_text(w, "name", rows[i].name);
        if (rows[i].kind == DIFF_KEPT)
            json_write_key_int(w, "bytes", rows[i].bytes);
        json_write_end(w);
    }
    json_write_end(w);
}

struct answer {
    struct http_request *request;
    struct findings *findings;
    const struct plan *plan;               /* compiled with `names` */
    const struct programme_folder *folder; /* of it */
    const struct names *names;
    bool is_done; /* it is what counts already */
    bool is_begun;
};

static void answer_changes(struct changes *c, const struct answer *a)
{
    struct programme_folder old;
    struct fault ignored = {0};
    struct arena arena;
    struct buf out;
    struct json_writer w;
    uint32_t count;
    if (a->request == NULL)
        return;
    bool has_old = c->active != NULL &&
                   programme_recall(c->server->directory.disk, c->server->directory.programmes,
                                    c->active->hash, &old, &ignored) == OK;
    arena_init(&arena, 16384);
    buf_init(&out);
    struct programme_version from = {c->active, has_old ? &old : NULL};
    struct programme_version to = {a->plan, a->folder};
    const struct diff_row *rows = programme_diff(&from, &to, a->names, &arena, &count);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_text(&w, "programme", str_of(a->folder->hash));
    json_write_key_bool(&w, "is_active", a->is_done);
    json_write_key_bool(&w, "is_begun", a->is_begun);
    write_rows(&w, rows, count);
    write_findings(&w, a->findings);
    json_write_end(&w);
    reply(a->request, a->is_begun ? 202 : 200, &out);
    buf_fini(&out);
    arena_fini(&arena);
    if (has_old)
        programme_folder_fini(&old);
}

static void write_change(struct json_writer *w, const struct report *r)
{
    json_write_map(w);
    json_write_key_text(w, "programme", str_of(r->wanted));
    json_write_key_text(w, "phase", str_of(phase_names[r->phase]));
    json_write_key_int(w, "features", r->features);
    json_write_key_int(w, "batches", (int64_t)r->progress.batches);
    json_write_key_int(w, "of", (int64_t)r->progress.batch_count);
    json_write_key_int(w, "records", (int64_t)r->progress.records);
    json_write_end(w);
}

static void write_last(struct json_writer *w, const struct report *r)
{
    json_write_map(w);
    json_write_key_text(w, "programme", str_of(r->last));
    json_write_key_bool(w, "is_active", r->outcome == OK);
    if (r->outcome != OK)
        json_write_key_text(w, "why", str_of(r->why.text));
    json_write_end(w);
}

static void write_report(struct json_writer *w, const struct report *r)
{
    json_write_key(w, STR("programme"));
    if (r->active[0]) {
        json_write_map(w);
        json_write_key_text(w, "name", str_of(r->active_name));
        json_write_key_text(w, "hash", str_of(r->active));
        json_write_end(w);
    } else {
        json_write_null(w);
    }
    json_write_key(w, STR("change"));
    if (r->phase != PHASE_IDLE)
        write_change(w, r);
    else
        json_write_null(w);
    json_write_key(w, STR("last_change"));
    if (r->last[0])
        write_last(w, r);
    else
        json_write_null(w);
}

/* Begins a map with the report as it is now; the caller ends both. */
static void begin_report(struct changes *c, struct buf *out, struct json_writer *w)
{
    os_mutex_lock(&c->lock);
    struct report r = c->report;
    os_mutex_unlock(&c->lock);
    buf_init(out);
    json_write_init(w, out, JSON_PRETTY);
    json_write_map(w);
    write_report(w, &r);
}

void changes_answer(struct changes *c, struct http_request *request)
{
    struct buf out;
    struct json_writer w;
    begin_report(c, &out, &w);
    json_write_end(&w);
    reply(request, 200, &out);
    buf_fini(&out);
}

/* ---- people in flight ---------------------------------------------------------------------------- */

struct flight {
    uint32_t plan;
    uint16_t journey_index;
    uint16_t step;
    uint64_t count;
};

struct flights {
    uint32_t partition;
    struct flight *list;
    uint32_t count, room;
    const struct plan **plans; /* by number */
    uint32_t plan_count;
};

static void note_instance(void *self, uint32_t plan, uint16_t journey_index, uint16_t step)
{
    struct flights *all = self;
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->list[i].plan == plan && all->list[i].journey_index == journey_index &&
            all->list[i].step == step) {
            all->list[i].count++;
            return;
        }
    }
    if (all->count == all->room) {
        all->room = all->room ? all->room * 2 : 32;
        all->list = mem_resize(all->list, all->room * sizeof(all->list[0]));
    }
    all->list[all->count++] = (struct flight){plan, journey_index, step, 1};
}

/* On the engine's thread, for one partition: it goes on with batches between two of them. */
static void count_partition(void *context, struct engine *e)
{
    struct flights *all = context;
    const struct plans *plans = engine_plans(e);
    all->plans = mem_resize(all->plans, plans->count * sizeof(all->plans[0]));
    all->plan_count = plans->count;
    memcpy(all->plans, plans->at, plans->count * sizeof(all->plans[0]));
    engine_each_instance(e, all->partition, all, note_instance);
}

static bool is_of_same(const struct flight *a, const struct flight *b)
{
    return a->plan == b->plan && a->journey_index == b->journey_index;
}

/* How many are in the version, if `place` is the first of it; else 0. */
static uint64_t people_of(const struct flights *all, uint32_t place)
{
    uint64_t people = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        if (!is_of_same(&all->list[i], &all->list[place]))
            continue;
        if (i < place)
            return 0;
        people += all->list[i].count;
    }
    return people;
}

static void write_version(struct changes *c, struct json_writer *w, const struct flights *all,
                          const struct flight *flight)
{
    const struct plan *plan = all->plans[flight->plan];
    const struct plan_journey *j = &plan->journeys[flight->journey_index];
    json_write_key_text(w, "journey", vocabulary_text(c->server->vocabulary, j->name));
    json_write_key_int(w, "version", flight->plan);
    json_write_key_text(w, "programme", str_of(plan->hash));
    json_write_key_bool(w, "is_newest", flight->plan + 1 == all->plan_count);
}

/* Who stands at which step, and what the journey's definition is told by. */
static void write_steps(struct changes *c, struct json_writer *w, const struct flights *all)
{
    char definition[24];
    json_write_key(w, STR("in_steps"));
    json_write_list(w);
    for (uint32_t i = 0; i < all->count; i++) {
        const struct flight *flight = &all->list[i];
        const struct plan_journey *j = &all->plans[flight->plan]->journeys[flight->journey_index];
        json_write_map(w);
        write_version(c, w, all, flight);
        snprintf(definition, sizeof(definition), "%016lx", j->hash);
        json_write_key_text(w, "definition", str_of(definition));
        if (flight->step < j->step_count)
            json_write_key_text(w, "step",
                                vocabulary_text(c->server->vocabulary, j->steps[flight->step].id));
        else
            json_write_key_null(w, "step");
        json_write_key_int(w, "people", (int64_t)flight->count);
        json_write_end(w);
    }
    json_write_end(w);
}

static void answer_people(struct changes *c, struct http_request *request)
{
    struct flights all = {0};
    struct buf out;
    struct json_writer w;
    for (; all.partition < 256 && !is_over(c); all.partition++)
        core_call(c->server->core, count_partition, &all);
    begin_report(c, &out, &w);
    json_write_key(&w, STR("in_flight"));
    json_write_list(&w);
    for (uint32_t i = 0; i < all.count; i++) {
        uint64_t people = people_of(&all, i);
        if (people == 0)
            continue;
        json_write_map(&w);
        write_version(c, &w, &all, &all.list[i]);
        json_write_key_int(&w, "people", (int64_t)people);
        json_write_end(&w);
    }
    json_write_end(&w);
    write_steps(c, &w, &all);
    json_write_end(&w);
    reply(request, 200, &out);
    buf_fini(&out);
    mem_free(all.list);
    mem_free(all.plans);
}

/* ---- what is asked ------------------------------------------------------------------------------- */

static enum status read_folder(struct changes *c, const struct asked *asked,
                               struct programme_folder *out, struct fault *f)
{
    const struct server *s = c->server;
    struct buf zones;
    if (asked->hash[0])
        return programme_recall(s->directory.disk, s->directory.programmes, asked->hash, out, f);
    buf_init(&zones);
    enum status status = programme_zones(s->directory.disk, NULL, &zones, f);
    if (status == OK)
        status =
            programme_folder_read(s->directory.disk, s->options.programme, buf_str(&zones), out, f);
    buf_fini(&zones);
    return status;
}

static void answer_fault(struct changes *c, struct http_request *request, const struct fault *f)
{
    journal_say(&c->server->journal, JOURNAL_ERROR, "programme",
                "the programme cannot be used, nothing was changed: %s", f->text);
    if (request != NULL)
        http_answer_error(request, 422, "no_programme", str_of(f->text));
}

static bool is_wanted(struct changes *c, const char *hash)
{
    os_mutex_lock(&c->lock);
    bool is_same = c->report.phase != PHASE_IDLE && strcmp(c->report.wanted, hash) == 0;
    os_mutex_unlock(&c->lock);
    return is_same;
}

/* Looks at the folder that is asked for, and answers. The plan to go over to, or NULL. */
static const struct plan *consider(struct changes *c, const struct asked *asked)
{
    struct server *s = c->server;
    struct programme_folder folder;
    struct findings findings;
    struct fault f = {0};
    struct plan *trial = NULL;
    const struct plan *plan = NULL;
    if (read_folder(c, asked, &folder, &f) != OK) {
        answer_fault(c, asked->request, &f);
        return NULL;
    }
    learn_vocabulary(s);
    struct names *names = names_copy(s->recovered.shelf.names);
    findings_init(&findings);
    enum status status = programme_compile(&folder, names, &trial, &findings);
    bool is_fine = status == OK;
    if (!is_fine)
        answer_errors(c, asked->request, &findings);
    bool wants_it = is_fine && asked->wish == CHANGE_DO;
    if (wants_it)
        status = sender_check(s->sender, trial, &f);
    if (wants_it && status == OK)
        status = programme_store(s->directory.disk, s->directory.programmes, &folder, &f);
    if (wants_it && status == OK) {
        plan = on_shelf(s, folder.hash);
        if (plan == NULL)
            status = compile(s, &folder, names, &plan, &f);
    }
    if (is_fine && status != OK)
        answer_fault(c, asked->request, &f);
    if (is_fine && status == OK) {
        struct answer a = {.request = asked->request,
                           .findings = &findings,
                           .plan = trial,
                           .folder = &folder,
                           .names = names,
                           .is_done =
                               c->active != NULL && strcmp(c->active->hash, folder.hash) == 0};
        a.is_begun = wants_it && (!a.is_done || atomic_load(&c->is_busy));
        if (a.is_begun && !atomic_load(&c->is_busy))
            set_wanted(c, plan);
        answer_changes(c, &a);
    }
    programme_plan_free(trial);
    findings_fini(&findings);
    names_free(names);
    programme_folder_fini(&folder);
    return status == OK ? plan : NULL;
}

/* Serves who asks. A plan that is to take the place of what is under way is kept in `next`. */
static void serve(struct changes *c, const struct asked *asked)
{
    if (is_over(c)) {
        if (asked->request != NULL)
            http_answer_error(asked->request, 503, "stopping", STR("the server is stopping"));
        return;
    }
    if (asked->wish == CHANGE_PEOPLE) {
        answer_people(c, asked->request);
        return;
    }
    const struct plan *plan = consider(c, asked);
    if (plan != NULL && !(atomic_load(&c->is_busy) && is_wanted(c, plan->hash)))
        c->next = plan;
}

/* ---- going over ---------------------------------------------------------------------------------- */

struct moment {
    const struct plan *plan;
    struct engine_change change;
    uint64_t batch;         /* of the engine, when it said so */
    uint32_t *features;     /* copied */
    char backfill_hash[65]; /* copied */
    const struct backfill *backfill;
};

static void tell_plan(void *context, struct engine *e)
{
    const struct moment *m = context;
    if (!engine_knows(e, str_of(m->plan->hash)))
        engine_prepare(e, m->plan);
}

static void ask_change(void *context, struct engine *e)
{
    struct moment *m = context;
    m->batch = engine_batch(e);
    m->change = engine_change(e);
    m->features = mem_resize(m->features, (m->change.count + 1) * sizeof(m->features[0]));
    if (m->change.count > 0)
        memcpy(m->features, m->change.features, m->change.count * sizeof(m->features[0]));
    m->change.features = m->features;
    if (m->change.backfill != NULL) {
        memcpy(m->backfill_hash, m->change.backfill, sizeof(m->backfill_hash));
        m->change.backfill = m->backfill_hash;
    }
}

static void tell_backfill(void *context, struct engine *e)
{
    const struct moment *m = context;
    engine_offer_backfill(e, m->backfill);
}

/* Writes the record and waits until it has been applied. */
static enum status push(struct changes *c, enum programme_kind kind, const char *hash,
                        const char *backfill, struct fault *f)
{
    struct server *s = c->server;
    while (!is_over(c)) {
        struct buf body;
        struct entry *e = entry_new(ENTRY_PROGRAMME, 1);
        uint32_t applied = atomic_load(&s->programmes_applied);
        uint32_t refused = atomic_load(&s->programmes_refused);
        buf_init(&body);
        if (hash != NULL)
            body_put_text(&body, NAME_PROGRAMME, str_of(hash));
        if (backfill != NULL)
            body_put_text(&body, NAME_BACKFILL, str_of(backfill));
        e->records[0].type = RECORD_PROGRAMME;
        e->records[0].kind = (uint8_t)kind;
        e->records[0].clear = entry_body(e, &body);
        e->records[0].event_ms = e->records[0].arrival_ms = server_now_ms(s);
        bool is_pushed = feed_push(s, e) == OK;
        if (!is_pushed)
            entry_free(e);
        while (is_pushed && !is_over(c)) {
            if (atomic_load(&s->programmes_applied) != applied)
                return OK;
            if (atomic_load(&s->programmes_refused) != refused)
                break;
            os_clock_sleep_ms(WAIT_MS);
        }
        if (!is_over(c))
            os_clock_sleep_ms(REFUSED_REST_MS);
    }
    fault_set(f, "the server was stopped; the change goes on when it is started again");
    return TRY_AGAIN;
}

static bool note_progress(void *self, const struct backfill_progress *progress)
{
    struct changes *c = self;
    struct asked asked;
    os_mutex_lock(&c->lock);
    c->report.progress = *progress;
    os_mutex_unlock(&c->lock);
    count_set(c->server, COUNTER_BACKFILL_BATCHES, progress->batches);
    count_set(c->server, COUNTER_BACKFILL_OF, progress->batch_count);
    int64_t now_ns = os_clock_monotonic_ns();
    if (now_ns - c->said_ns > SAY_MS * INT64_C(1000000)) {
        c->said_ns = now_ns;
        journal_say(&c->server->journal, JOURNAL_INFO, "programme",
                    "backfill: batch %lu of %lu, %lu records", progress->batches,
                    progress->batch_count, progress->records);
    }
    while (c->next == NULL && !is_over(c) && os_queue_pop(c->queue, &asked, 1, 0) > 0)
        serve(c, &asked);
    return c->next == NULL && !is_over(c);
}

/* What is new begins with what is left. */
static void tell_reach(struct server *s)
{
    struct reach reach;
    struct fault ignored = {0};
    char text[TIMESTAMP_BYTES];
    if (reach_of(&s->directory, &reach, &ignored) == OK && reach.base != 0)
        journal_say(&s->journal, JOURNAL_INFO, "programme",
                    "the log reaches back to %s: what was before is not in it",
                    timestamp_print(reach.since_ms, text).at);
}

static enum status fill(struct changes *c, struct moment *m, struct loaded_backfill **out,
                        struct fault *f)
{
    struct server *s = c->server;
    struct backfill_host host = {c, note_progress};
    int64_t began_ns = c->said_ns = os_clock_monotonic_ns();
    journal_say(&s->journal, JOURNAL_INFO, "programme",
                "programme %.12s is prepared; the past of %u feature%s is made from %lu batches",
                m->plan->hash, m->change.count, m->change.count == 1 ? "" : "s",
                m->change.batch - 1);
    os_mutex_lock(&c->lock);
    c->report.phase = PHASE_FILLING;
    c->report.features = m->change.count;
    c->report.progress = (struct backfill_progress){.batch_count = m->change.batch - 1};
    os_mutex_unlock(&c->lock);
    os_mutex_lock(&s->past_lock);
    tell_reach(s);
    enum status status = backfill_make(&s->directory, &m->change, &host, out, f);
    os_mutex_unlock(&s->past_lock);
    os_mutex_lock(&c->lock);
    c->report.filled_ms = (os_clock_monotonic_ns() - began_ns) / 1000000;
    os_mutex_unlock(&c->lock);
    if (status == OK)
        journal_say(&s->journal, JOURNAL_INFO, "programme",
                    "backfill %.12s is made in %ld ms: %lu bytes", backfill_of(*out)->hash,
                    (os_clock_monotonic_ns() - began_ns) / 1000000, backfill_bytes(*out));
    return status;
}

static enum status abandon(struct changes *c, struct moment *m, struct fault *f)
{
    core_call(c->server->core, ask_change, m);
    if (m->change.plan == NULL)
        return OK;
    journal_say(&c->server->journal, JOURNAL_INFO, "programme",
                "programme %.12s, which was prepared, is given up", m->change.plan->hash);
    return push(c, PROGRAMME_ABANDON, NULL, NULL, f);
}

/* Asks the engine again and again until the change is as far; false: something else is wanted. */
static bool wait_until(struct changes *c, struct moment *m, bool (*is_so)(const struct moment *m))
{
    struct asked asked;
    for (;;) {
        core_call(c->server->core, ask_change, m);
        if (m->change.plan == NULL || strcmp(m->change.plan->hash, m->plan->hash) != 0)
            return false;
        if (is_so(m))
            return true;
        while (c->next == NULL && !is_over(c) && os_queue_pop(c->queue, &asked, 1, 0) > 0)
            serve(c, &asked);
        if (c->next != NULL || is_over(c))
            return false;
        os_clock_sleep_ms(WAIT_MS);
    }
}

static bool has_begun(const struct moment *m)
{
    return m->change.batch != 0;
}

static bool has_united(const struct moment *m)
{
    return m->change.backfill != NULL && !m->change.is_uniting;
}

static enum status put_off(struct fault *f)
{
    fault_set(f, "it was broken off; the change goes on when the server is started again");
    return TRY_AGAIN;
}

/* The backfill is made and united, a piece in each batch, unless that was done before a restart. */
static enum status unite(struct changes *c, struct moment *m, struct loaded_backfill **backfill,
                         struct fault *f)
{
    struct server *s = c->server;
    enum status status = OK;
    if (m->change.backfill == NULL) {
        status = fill(c, m, backfill, f);
        if (status != OK)
            return status;
        m->backfill = backfill_of(*backfill);
        core_call(s->core, tell_backfill, m);
        set_phase(c, PHASE_UNITING);
        status = push(c, PROGRAMME_UNITE, m->plan->hash, m->backfill->hash, f);
    }
    set_phase(c, PHASE_UNITING);
    if (status == OK && !wait_until(c, m, has_united))
        status = put_off(f);
    return status;
}

static enum status activate(struct changes *c, struct moment *m, struct fault *f)
{
    struct server *s = c->server;
    set_phase(c, PHASE_ACTIVATING);
    sender_adopt(s->sender, m->plan);
    enum status status = push(c, PROGRAMME_ACTIVATE, m->plan->hash, m->change.backfill, f);
    if (status != OK)
        return status;
    set_active(c, m->plan);
    journal_say(&s->journal, JOURNAL_INFO, "programme", "programme %.12s becomes active",
                m->plan->hash);
    return OK;
}

/* Waits until no erasure is under way. */
static enum status wait_turn(struct changes *c, struct fault *f)
{
    struct asked asked;
    while (!turn_take(&c->server->turns, TURN_CHANGE)) {
        set_phase(c, PHASE_WAITING);
        while (c->next == NULL && !is_over(c) && os_queue_pop(c->queue, &asked, 1, 0) > 0)
            serve(c, &asked);
        if (c->next != NULL || is_over(c))
            return put_off(f);
        os_clock_sleep_ms(WAIT_MS);
    }
    set_phase(c, PHASE_PREPARING);
    return OK;
}

static enum status go_over(struct changes *c, struct moment *m, struct loaded_backfill **backfill,
                           struct fault *f)
{
    struct server *s = c->server;
    if (c->active != NULL && strcmp(c->active->hash, m->plan->hash) == 0)
        return abandon(c, m, f);
    enum status status = wait_turn(c, f);
    if (status != OK)
        return status;
    core_call(s->core, tell_plan, m);
    core_call(s->core, ask_change, m);
    if (m->change.plan == NULL || strcmp(m->change.plan->hash, m->plan->hash) != 0)
        status = push(c, PROGRAMME_PREPARE, m->plan->hash, NULL, f);
    if (status == OK && !wait_until(c, m, has_begun))
        status = put_off(f);
    if (status == OK && m->change.count > 0)
        status = unite(c, m, backfill, f);
    return status == OK ? activate(c, m, f) : status;
}

/* Keeps the backfill that the engine may borrow, until another is kept or the engine has ended; `made`: of
 * this change, or NULL. What was kept before is still lent where the state unites it, as long as no other
 * programme has been prepared. */
static void keep_backfill(struct changes *c, struct moment *m, struct loaded_backfill *made)
{
    struct server *s = c->server;
    core_call(s->core, ask_change, m);
    if (m->change.plan == NULL) {
        atomic_store(&s->settled_batch, m->batch);
        backfill_free(made);
        made = NULL;
        turn_leave(&s->turns, TURN_CHANGE);
    }
    bool is_lent = s->backfill != NULL && m->change.is_uniting &&
                   strcmp(m->change.backfill, backfill_of(s->backfill)->hash) == 0;
    if (is_lent && made == NULL)
        return;
    must(!is_lent);
    backfill_free(s->backfill);
    s->backfill = made;
}

static void change_to(struct changes *c, const struct plan *plan)
{
    struct moment m = {.plan = plan};
    struct loaded_backfill *backfill = NULL;
    struct fault f = {0};
    set_wanted(c, plan);
    atomic_store(&c->server->settled_batch, UINT64_MAX);
    enum status status = go_over(c, &m, &backfill, &f);
    if (status != OK && c->next != NULL)
        fault_set(&f, "another programme took its place");
    if (status != OK && !is_over(c) && c->next == NULL) {
        struct fault ignored = {0};
        journal_say(&c->server->journal, JOURNAL_ERROR, "programme",
                    "programme %.12s does not become active: %s", plan->hash, f.text);
        if (abandon(c, &m, &ignored) != OK)
            journal_say(&c->server->journal, JOURNAL_WARNING, "programme", "%s", ignored.text);
    }
    os_mutex_lock(&c->lock);
    c->report.phase = c->next != NULL ? PHASE_PREPARING : PHASE_IDLE;
    memcpy(c->report.last, plan->hash, sizeof(c->report.last));
    c->report.outcome = status;
    c->report.why = f;
    os_mutex_unlock(&c->lock);
    keep_backfill(c, &m, backfill);
    mem_free(m.features);
}

/* ---- the thread ---------------------------------------------------------------------------------- */

static void run(void *context)
{
    struct changes *c = context;
    struct asked asked;
    os_thread_give_way();
    if (c->begun != NULL)
        c->next = c->begun;
    for (;;) {
        while (c->next != NULL && !is_over(c)) {
            const struct plan *plan = c->next;
            c->next = NULL;
            atomic_store(&c->is_busy, true);
            change_to(c, plan);
        }
        atomic_store(&c->is_busy, false);
        if (os_queue_pop(c->queue, &asked, 1, FOREVER_MS) == 0)
            return;
        serve(c, &asked);
    }
}

bool changes_ask(struct changes *c, enum change_wish wish, struct str hash,
                 struct http_request *request)
{
    struct asked asked = {.wish = wish, .request = request};
    return str_to_z(hash, asked.hash, sizeof(asked.hash)) && os_queue_push(c->queue, &asked) == OK;
}

bool changes_is_busy(struct changes *c)
{
    return atomic_load(&c->is_busy);
}

bool changes_takes_long(struct changes *c)
{
    os_mutex_lock(&c->lock);
    bool takes_long = c->report.phase == PHASE_FILLING || c->report.phase == PHASE_UNITING ||
                      c->report.phase == PHASE_WAITING;
    os_mutex_unlock(&c->lock);
    return takes_long;
}

enum status changes_outcome(struct changes *c, struct fault *f)
{
    os_mutex_lock(&c->lock);
    enum status status = c->report.last[0] ? c->report.outcome : OK;
    if (status != OK)
        *f = c->report.why;
    os_mutex_unlock(&c->lock);
    return status;
}

enum status changes_start(struct server *s, const struct plan *active, const struct plan *wanted,
                          struct changes **out, struct fault *f)
{
    struct changes *c = mem_new(sizeof(*c));
    c->server = s;
    c->queue = os_queue_new(sizeof(struct asked), ASKED_MAX);
    c->begun = wanted;
    atomic_store(&c->is_busy, wanted != NULL);
    os_mutex_init(&c->lock);
    set_active(c, active);
    enum status status = os_thread_start(&c->thread, "programme", run, c, f);
    c->has_thread = status == OK;
    if (status != OK) {
        changes_free(c);
        return status;
    }
    *out = c;
    return OK;
}

void changes_stop(struct changes *c)
{
    if (c == NULL || !c->has_thread)
        return;
    atomic_store(&c->is_over, true);
    os_queue_close(c->queue);
    os_thread_join(&c->thread);
    c->has_thread = false;
}

void changes_free(struct changes *c)
{
    if (c == NULL)
        return;
    must(!c->has_thread);
    os_queue_free(c->queue);
    os_mutex_fini(&c->lock);
    mem_free(c);
}
