/* SPDX-License-Identifier: Apache-2.0 */
#include "server/story.h"

#include <stdatomic.h>
#include <stdio.h>

#include "api/why_json.h"
#include "base/mem.h"
#include "http/server.h"
#include "model/identifier.h"
#include "os/thread.h"
#include "replay/recover.h"
#include "when/civil.h"
#include "json/json_write.h"

struct asked {
    struct http_request *request;
    struct str person;
    uint64_t batch_last;
};

struct stories {
    const struct directory *directory;
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
    struct str person;
    uint64_t profile;
    struct witness witness;
    struct line lines[STORY_LINES_MAX];
    uint64_t count;
};

static void keep_line(void *self, const struct note *note)
{
    struct story *s = self;
    struct line *line = &s->lines[s->count++ % STORY_LINES_MAX];
    line->note = *note;
    line->text.len = 0;
    buf_add_str(&line->text, note->text);
    line->note.text = buf_str(&line->text);
}

/* Is the person known by an address only? Then the story is told again, by their id: whom the address
 * finds is known only at the end. */
static bool is_known_by_address(struct story *s, struct engine *e, struct buf *id)
{
    const uint8_t *secret = s->directory->secret;
    if (engine_find(e, identifier_hash(IDENTIFIER_USER, s->person, secret)) != 0 ||
        engine_find(e, identifier_hash(IDENTIFIER_ANONYMOUS, s->person, secret)) != 0)
        return false;
    uint64_t profile = engine_find_person(e, s->person);
    if (profile != 0)
        buf_add_str(id, engine_person_id(e, profile));
    s->person = buf_str(id);
    return id->len > 0;
}

static void begin(void *self, struct engine *e, const struct batch *batch)
{
    struct story *s = self;
    const uint8_t *secret = s->directory->secret;
    if (batch->number == 1)
        engine_watch_for(e, identifier_hash(IDENTIFIER_USER, s->person, secret),
                         identifier_hash(IDENTIFIER_ANONYMOUS, s->person, secret), &s->witness);
}

struct telling {
    struct json_writer w;
    const struct names *names;
};

static void write_line(void *self, const struct note *note)
{
    struct telling *t = self;
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
        write_line(t, &s->lines[i % STORY_LINES_MAX].note);
    json_write_end(w);
}

static void write_story(const struct story *s, struct engine *e, struct buf *out)
{
    struct telling telling = {.names = engine_names(e)};
    struct json_writer *w = &telling.w;
    struct witness witness = {&telling, write_line};
    char text[TIMESTAMP_BYTES];
    json_write_init(w, out, JSON_PRETTY);
    json_write_map(w);
    snprintf(text, sizeof(text), "%lx", s->profile);
    json_write_key_text(w, "profile", str_of(text));
    json_write_key_text(w, "as_of", timestamp_print(engine_now(e), text));
    write_past(s, &telling);
    json_write_key(w, STR("pending"));
    json_write_list(w);
    engine_explain(e, s->profile, &witness);
    json_write_end(w);
    json_write_end(w);
    buf_add_byte(out, '\n');
}

static void answer(const struct story *s, struct engine *e, struct http_request *request)
{
    struct http_header no_store = {STR("Cache-Control"), STR("no-store")};
    struct buf out;
    buf_init(&out);
    write_story(s, e, &out);
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
    s->directory = d;
    s->person = asked->person;
    s->witness = (struct witness){s, keep_line};
    struct recover_options options = {
        .from_beginning = true, .batch_last = asked->batch_last, .self = s, .before = begin};
    struct buf id;
    buf_init(&id);
    enum status status = recover(d, &options, &r, &f);
    if (status == OK && is_known_by_address(s, r.engine, &id)) {
        recovered_fini(&r);
        status = recover(d, &options, &r, &f);
    }
    if (status == OK) {
        engine_watch(r.engine, 0, NULL);
        s->profile = engine_find_person(r.engine, s->person);
    }
    if (status != OK)
        http_answer_error(asked->request, 500, "no_story", STR("the log could not be read again"));
    else if (s->profile == 0)
        http_answer_error(asked->request, 404, "unknown_person",
                          STR("nobody is known by this user id, anonymous id or address"));
    else
        answer(s, r.engine, asked->request);
    recovered_fini(&r);
    buf_fini(&id);
    for (uint32_t i = 0; i < STORY_LINES_MAX; i++)
        buf_fini(&s->lines[i].text);
    mem_free(s);
}

static void run(void *context)
{
    struct stories *s = context;
    struct asked asked;
    while (os_queue_pop(s->queue, &asked, 1, FOREVER_MS) > 0) {
        if (atomic_load(&s->is_over))
            http_answer_error(asked.request, 503, "stopping", STR("the server is stopping"));
        else
            tell(s->directory, &asked);
    }
}

enum status stories_start(const struct directory *d, struct stories **out, struct fault *f)
{
    struct stories *s = mem_new(sizeof(*s));
    s->directory = d;
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

bool stories_ask(struct stories *s, struct str person, uint64_t batch_last,
                 struct http_request *request)
{
    struct asked asked = {request, person, batch_last};
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
