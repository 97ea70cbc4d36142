/* SPDX-License-Identifier: Apache-2.0 */
#include "server/story.h"

#include <stdatomic.h>
#include <stdio.h>

#include "api/journey_json.h"
#include "api/why_json.h"
#include "base/mem.h"
#include "http/server.h"
#include "model/identifier.h"
#include "os/thread.h"
#include "replay/forecast.h"
#include "replay/preview.h"
#include "replay/recount.h"
#include "replay/recover.h"
#include "server/server_int.h"
#include "when/civil.h"
#include "json/json_write.h"

#define STORY_AHEAD_MS (30 * DAY_MS)
#define PREVIEW_TRIES  3

struct asked {
    struct http_request *request;
    const struct why_question *question;
    uint64_t batch_last;
    struct str journey; /* of a funnel: since when */
    int64_t since_ms;
    bool is_funnel;
    const struct preview_question *preview;
};

struct stories {
    const struct directory *directory;
    struct core *const *core;
    struct os_queue *queue;
    struct os_thread thread;
    atomic_bool is_over;
};

/* The newest lines: a ring of texts. */
struct line {
    struct note note;
    struct buf text;
};

struct story {
    const struct directory *directory;
    const struct why_question *question;
    const struct names *names; /* the engine's */
    bool has_begun;
    struct witness witness;
    struct line lines[STORY_LINES_MAX];
    uint64_t count;
};

static void keep_line(void *self, const struct note *note)
{
    struct story *s = self;
    if (!why_wants(s->question, s->names, note))
        return;
    struct line *line = &s->lines[s->count++ % STORY_LINES_MAX];
    line->note = *note;
    line->text.len = 0;
    buf_add_str(&line->text, note->text);
    line->note.text = buf_str(&line->text);
}

static void begin(struct story *s, struct engine *e)
{
    const uint8_t *secret = s->directory->secret;
    struct str id = s->question->id;
    s->names = engine_names(e);
    if (s->has_begun)
        return;
    s->has_begun = true;
    if (id.len > 0)
        engine_watch_for(e, identifier_hash(IDENTIFIER_USER, id, secret),
                         identifier_hash(IDENTIFIER_ANONYMOUS, id, secret), &s->witness);
    else
        engine_watch(e, s->question->profile, &s->witness);
}

static void before(void *self, struct engine *e, const struct batch *batch)
{
    (void)batch;
    begin(self, e);
}

struct telling {
    struct json_writer w;
    const struct names *names;
    const struct why_question *question;
};

static void write_line(void *self, const struct note *note)
{
    struct telling *t = self;
    struct why_question all_times = *t->question;
    all_times.since_ms = INT64_MIN;
    all_times.until_ms = FOREVER_MS;
    if (why_wants(&all_times, t->names, note))
        why_json(&t->w, t->names, note);
}

static void write_past(const struct story *s, struct telling *t)
{
    struct json_writer *w = &t->w;

    uint64_t first = s->count > STORY_LINES_MAX ? s->count - STORY_LINES_MAX : 0;
    json_write_key_bool(w, "is_cut", first > 0);
    json_write_key(w, STR("past"));
    json_write_list(w);
    for (uint64_t i = first; i < s->count; i++)
        why_json(w, t->names, &s->lines[i % STORY_LINES_MAX].note);
    json_write_end(w);
}

static void write_story(const struct story *s, const struct recovered *r, struct buf *out)
{
    struct engine *e = r->engine;
    const struct why_question *q = s->question;
    struct telling telling = {.names = engine_names(e), .question = q};
    struct json_writer *w = &telling.w;
    struct witness witness = {&telling, write_line};
    char text[TIMESTAMP_BYTES];
    uint64_t profile = engine_find_person(e, q->id.len ? q->id : q->person);
    json_write_init(w, out, JSON_PRETTY);
    json_write_map(w);
    snprintf(text, sizeof(text), "%lx", q->profile);
    json_write_key_text(w, "profile", str_of(text));
    json_write_key_text(w, "as_of", timestamp_print(engine_now(e), text));
    if (r->differs_from > 0)
        json_write_key_int(w, "re_evaluated_from_batch", (int64_t)r->differs_from);
    if (why_is_cut(q, r->kept_since_ms))
        json_write_key_text(w, "kept_since", timestamp_print(r->kept_since_ms, text));
    write_past(s, &telling);
    if (profile != 0) { /* 0: they came later than the moment that is asked about */
        json_write_key(w, STR("pending"));
        why_json_pending(w, e, profile, q);
        json_write_key(w, STR("ahead"));
        json_write_list(w);
        (void)forecast(e, profile, STORY_AHEAD_MS, FORECAST_LINES_MAX, &witness);
        json_write_end(w);
    }
    json_write_end(w);
    buf_add_byte(out, '\n');
}

static void answer(const struct story *s, const struct recovered *r, struct http_request *request)
{
    struct http_header no_store = {STR("Cache-Control"), STR("no-store")};
    struct buf out;
    buf_init(&out);
    write_story(s, r, &out);
    http_answer(request, &(struct http_reply){.status = 200,
                                              .content_type = STR("application/json"),
                                              .headers = &no_store,
                                              .header_count = 1,
                                              .body = buf_str(&out)});
    buf_fini(&out);
}

static void tell(const struct directory *d, const struct asked *asked)
{
    struct story *s = mem_new(sizeof(*s));
    struct recovered r;
    struct fault f = {0};
    const struct why_question *q = asked->question;
    s->directory = d;
    s->question = q;
    s->witness = (struct witness){s, keep_line};
    struct recover_options options = {.is_tolerant = true,
                                      .snapshot_ms_max =
                                          max_of(max_of(q->since_ms, q->first_ms) - 1, (int64_t)1),
                                      .until_ms = q->at_ms == FOREVER_MS ? 0 : q->at_ms,
                                      .batch_last = asked->batch_last,
                                      .self = s,
                                      .before = before};
    enum status status = recover(d, &options, &r, &f);
    if (status == OK) {
        begin(s, r.engine);
        engine_watch(r.engine, 0, NULL);
        answer(s, &r, asked->request);
    } else if (status == FIX_INPUT) { /* of a moment before what is kept */
        http_answer_error(asked->request, 404, "not_kept", str_of(f.text));
    } else {
        http_answer_error(asked->request, 500, "no_story", STR("the log could not be read again"));
    }
    recovered_fini(&r);
    for (uint32_t i = 0; i < STORY_LINES_MAX; i++)
        buf_fini(&s->lines[i].text);
    mem_free(s);
}

/* ---- funnels since a moment ---------------------------------------------------------------------- */

struct counting {
    const struct asked *asked;
    int64_t since_ms;
    struct funnel funnel;
    struct buf out;
};

/* On the engine's thread, which has the plans. */
static void write_funnel(void *context, struct engine *e)
{
    struct counting *c = context;
    const struct plans *plans = engine_plans(e);
    uint32_t journey = names_find(engine_names(e), c->asked->journey);
    struct report report;
    struct arena arena;
    arena_init(&arena, 65536);
    report_funnel(&c->funnel, plans->at, plans->count, journey, &arena, &report);
    if (journey != NAME_NONE && report.version_count > 0) {
        funnel_json(&report, engine_names(e), engine_now(e), c->since_ms, &c->out);
        buf_add_byte(&c->out, '\n');
    }
    arena_fini(&arena);
}

static void count(const struct stories *s, const struct asked *asked)
{
    struct counting c = {.asked = asked};
    struct fault f = {0};
    struct recount about;
    funnel_init(&c.funnel);
    buf_init(&c.out);
    enum status status =
        funnel_recount(s->directory, asked->since_ms, asked->batch_last, &c.funnel, &about, &f);
    c.since_ms = max_of(asked->since_ms, about.from_ms); /* older segments may have been dropped */
    if (status == OK)
        core_call(*s->core, write_funnel, &c);
    if (status != OK)
        http_answer_error(asked->request, 500, "no_count", STR("the log could not be read again"));
    else if (c.out.len == 0)
        http_answer_error(asked->request, 404, "unknown_journey",
                          STR("no programme has had a journey of this name"));
    else
        http_answer(asked->request, &(struct http_reply){.status = 200,
                                                         .content_type = STR("application/json"),
                                                         .body = buf_str(&c.out)});
    buf_fini(&c.out);
    funnel_fini(&c.funnel);
}

/* ---- segments that nobody has saved -------------------------------------------------------------- */

struct looking {
    char programme[PROGRAMME_HASH_BYTES]; /* empty: there is none */
    uint64_t batches;
};

/* On the engine's thread. */
static void look_at(void *context, struct engine *e)
{
    struct looking *l = context;
    const struct plans *plans = engine_plans(e);
    l->batches = engine_batch(e);
    l->programme[0] = 0;
    if (plans->newest != 0)
        must(str_to_z(str_of(plans->at[plans->newest]->hash), l->programme, sizeof(l->programme)));
}

static void refuse_preview(struct http_request *request, enum status status,
                           const struct findings *findings, const struct fault *f)
{
    if (findings->count > 0)
        http_answer_error(request, 400, "wrong_condition", findings->list[0].text);
    else if (status == TRY_AGAIN)
        http_answer_error(request, 503, "again", str_of(f->text));
    else
        http_answer_error(request, 500, "no_preview", STR("the log could not be read again"));
}

static void preview(const struct stories *s, const struct asked *asked)
{
    struct looking looking = {.batches = 0};
    struct arena *arena = http_request_arena(asked->request);
    struct preview p = {.sample = {.arena = arena, .most = asked->preview->sample}};
    struct findings findings;
    struct fault f = {0};
    enum status status = TRY_AGAIN;
    core_call(*s->core, look_at, &looking);
    if (looking.programme[0] == 0 || looking.batches > STORY_BATCHES_MAX) {
        http_answer_error(asked->request, 409, looking.programme[0] ? "too_long" : "no_programme",
                          looking.programme[0]
                              ? STR("the log is too long for this; wend segment size --when can")
                              : STR("there is no programme yet"));
        return;
    }
    p.sample.ids = arena_array(arena, struct str, p.sample.most + 1);
    findings_init(&findings);
    for (uint32_t i = 0; status == TRY_AGAIN && i < PREVIEW_TRIES; i++) {
        p.sample.count = 0;
        f = (struct fault){0};
        status = preview_make(s->directory, str_of(looking.programme), asked->preview->when, &p,
                              &findings, &f);
    }
    if (status == OK) {
        struct http_header no_store = {STR("Cache-Control"), STR("no-store")};
        struct buf out;
        buf_init(&out);
        preview_json(&p, &out);
        buf_add_byte(&out, '\n');
        http_answer(asked->request, &(struct http_reply){.status = 200,
                                                         .content_type = STR("application/json"),
                                                         .headers = &no_store,
                                                         .header_count = 1,
                                                         .body = buf_str(&out)});
        buf_fini(&out);
    } else {
        refuse_preview(asked->request, status, &findings, &f);
    }
    findings_fini(&findings);
}

static void run(void *context)
{
    struct stories *s = context;
    struct asked asked;
    while (os_queue_pop(s->queue, &asked, 1, FOREVER_MS) > 0) {
        if (atomic_load(&s->is_over))
            http_answer_error(asked.request, 503, "stopping", STR("the server is stopping"));
        else if (asked.preview != NULL)
            preview(s, &asked);
        else if (asked.is_funnel)
            count(s, &asked);
        else
            tell(s->directory, &asked);
    }
}

enum status stories_start(const struct directory *d, struct core *const *core, struct stories **out,
                          struct fault *f)
{
    struct stories *s = mem_new(sizeof(*s));
    s->directory = d;
    s->core = core;
    s->queue = os_queue_new(sizeof(struct asked), STORY_WAITING_MAX);
    enum status status = os_thread_start(&s->thread, "story", run, s, f);
    if (status != OK) {
        os_queue_free(s->queue);
        mem_free(s);
        return status;
    }
    *out = s;
    return OK;
}

bool stories_ask(struct stories *s, const struct why_question *question, uint64_t batch_last,
                 struct http_request *request)
{
    struct asked asked = {.request = request, .question = question, .batch_last = batch_last};
    return os_queue_push(s->queue, &asked) == OK;
}

bool stories_ask_funnel(struct stories *s, struct str journey, int64_t since_ms,
                        uint64_t batch_last, struct http_request *request)
{
    struct asked asked = {.request = request,
                          .journey = journey,
                          .batch_last = batch_last,
                          .since_ms = since_ms,
                          .is_funnel = true};
    return os_queue_push(s->queue, &asked) == OK;
}

bool stories_ask_preview(struct stories *s, const struct preview_question *question,
                         struct http_request *request)
{
    struct asked asked = {.request = request, .preview = question};
    return os_queue_push(s->queue, &asked) == OK;
}

void stories_free(struct stories *s)
{
    if (s == NULL)
        return;
    atomic_store(&s->is_over, true);
    os_queue_close(s->queue);
    os_thread_join(&s->thread);
    os_queue_free(s->queue);
    mem_free(s);
}
