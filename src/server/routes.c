/* SPDX-License-Identifier: Apache-2.0 */
#include "api/why_json.h"
#include "server/server_int.h"

#include "api/member_list.h"
#include "api/segment_json.h"
#include "os/process.h"
#include "replay/preview.h"
#include "server/change.h"
#include "server/decide.h"
#include "server/erase.h"
#include "server/journeys.h"
#include "server/monitors.h"
#include "server/operate.h"
#include "server/story.h"
#include "when/civil.h"
#include "json/json.h"
#include "json/json_write.h"
#include <string.h>

#define PERSON_BYTES_MAX 256
#define WISH_BYTES_MAX   4096 /* of the body of POST /v1/programme */

enum route_method {
    READ,
    POST,
};

enum access {
    OPEN,
    KEY,
};

typedef void route_answer(struct server *s, struct http_request *request);

static void answer_text(struct http_request *request, uint32_t status, struct str type,
                        struct str body)
{
    http_answer(request,
                &(struct http_reply){.status = status, .content_type = type, .body = body});
}

static void answer_health(struct server *s, struct http_request *request)
{
    if (atomic_load(&s->has_failed))
        answer_text(request, 503, STR("application/json"), STR("{\"status\":\"failed\"}\n"));
    else if (!atomic_load(&s->is_started) || atomic_load(&s->is_stopping))
        answer_text(request, 503, STR("application/json"), STR("{\"status\":\"stopping\"}\n"));
    else
        answer_text(request, 200, STR("application/json"), STR("{\"status\":\"ok\"}\n"));
}

/* ---- figures ------------------------------------------------------------------------------------- */

static void collect(struct server *s)
{
    struct ingest_counters in = ingest_routes_counters(s->routes);
    struct http_server *server = atomic_load(&s->http);
    struct http_counters http = {0};
    if (server != NULL)
        http = http_server_counters(server);
    count_set(s, COUNTER_REQUESTS, in.requests);
    count_set(s, COUNTER_EVENTS_TAKEN, in.events);
    count_set(s, COUNTER_EVENTS_REJECTED, in.rejected);
    count_set(s, COUNTER_REQUESTS_REFUSED, in.refused);
    count_set(s, COUNTER_REQUESTS_BUSY, in.busy);
    count_set(s, COUNTER_REQUESTS_FULL, in.full);
    count_set(s, COUNTER_JUNK_IDS, in.junk_ids);
    count_set(s, COUNTER_UNNAMED, in.unnamed);
    count_set(s, COUNTER_HTTP_CONNECTIONS, http.connections);
    count_set(s, COUNTER_HTTP_REQUESTS, http.requests);
    count_set(s, COUNTER_HTTP_OPEN, http.open);
    count_set(s, COUNTER_HTTP_SLOW_HEADERS, http.timeouts[HTTP_WAIT_HEADERS]);
    count_set(s, COUNTER_HTTP_SLOW_BODY, http.timeouts[HTTP_WAIT_BODY]);
    count_set(s, COUNTER_HTTP_SLOW_READER, http.timeouts[HTTP_WAIT_READER]);
    count_set(s, COUNTER_HTTP_IDLE, http.timeouts[HTTP_WAIT_IDLE]);
    count_set(s, COUNTER_HTTP_BROKEN, http.broken);
    count_set(s, COUNTER_HTTP_BEHIND, http.behind);
    count_set(s, COUNTER_HTTP_STANDSTILLS, http.standstills);
    count_set(s, COUNTER_NAMES, vocabulary_count(s->vocabulary));
    count_set(s, COUNTER_QUEUE_ENGINE, core_waiting(s->core));
    count_set(s, COUNTER_QUEUE_SENDER, sender_waiting(s->sender));
    count_set(s, COUNTER_RESIDENT_BYTES, os_process_resident_bytes());
}

void metrics_write(struct server *s, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
    } rows[] = {
#define COUNTER(symbol, name, type, help) {name, type, help},
#include "server/counters.def"
#undef COUNTER
    };
    collect(s);
    for (uint32_t i = 0; i < COUNTER_END; i++)
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %lu\n", rows[i].name, rows[i].help,
                   rows[i].name, rows[i].type, rows[i].name,
                   atomic_load_explicit(&s->counters[i], memory_order_relaxed));
    buf_printf(out, "# HELP wend_receipts_total Receipts written, by what became of the attempt.\n"
                    "# TYPE wend_receipts_total counter\n");
    for (uint32_t i = 1; i < RECEIPT_KIND_END; i++)
        buf_printf(out, "wend_receipts_total{kind=\"%s\"} %lu\n",
                   receipt_name((enum receipt_kind)i),
                   atomic_load_explicit(&s->receipts[i], memory_order_relaxed));
    monitor_board_read(s->monitors, out);
}

static void answer_metrics(struct server *s, struct http_request *request)
{
    struct buf out;
    buf_init(&out);
    metrics_write(s, &out);
    answer_text(request, 200, STR("text/plain; version=0.0.4"), buf_str(&out));
    buf_fini(&out);
}

/* ---- people -------------------------------------------------------------------------------------- */

/* The person meant; answers the request if nobody is. */
static bool read_person(struct http_request *request, struct str *person)
{
    if (http_request_parameter(request, STR("person"), person) && person->len > 0 &&
        person->len <= PERSON_BYTES_MAX)
        return true;
    http_answer_error(request, 400, "no_person",
                      STR("say whom you mean: ?person=a user id, an anonymous id or an address"));
    return false;
}

static void answer_busy(struct http_request *request)
{
    http_answer_error(request, 429, "too_busy", STR("too many questions wait; ask again later"));
}

static void answer_person(struct server *s, struct http_request *request)
{
    struct str person;
    if (read_person(request, &person) && !core_ask(s->core, QUESTION_PERSON, person, request))
        answer_busy(request);
}

static void answer_export(struct server *s, struct http_request *request)
{
    struct str person;
    if (read_person(request, &person) && !eraser_ask_export(s->eraser, person, request))
        answer_busy(request);
}

static void answer_erase(struct server *s, struct http_request *request)
{
    struct str person;
    if (read_person(request, &person) && !eraser_ask(s->eraser, person, request))
        answer_busy(request);
}

static void answer_why(struct server *s, struct http_request *request)
{
    struct why_question *q = arena_new(http_request_arena(request), struct why_question);
    struct str past;
    *q = (struct why_question){.journey = STR("")};
    if (!read_person(request, &q->person))
        return;
    (void)http_request_parameter(request, STR("journey"), &q->journey);
    (void)http_request_parameter(request, STR("message"), &q->message);
    (void)http_request_parameter(request, STR("since"), &q->since);
    (void)http_request_parameter(request, STR("until"), &q->until);
    (void)http_request_parameter(request, STR("at"), &q->at);
    bool wants_past = !http_request_parameter(request, STR("past"), &past) || !str_is(past, "no");
    if (!wants_past && q->at.len > 0)
        http_answer_error(request, 400, "only_now",
                          STR("past=no tells how things stand now: leave out at, or past"));
    else if (!core_ask_why(s->core, q, wants_past, request))
        answer_busy(request);
}

/* ---- the programme ------------------------------------------------------------------------------- */

static void answer_programme(struct server *s, struct http_request *request)
{
    struct str people;
    bool wants_people =
        http_request_parameter(request, STR("people"), &people) && str_is(people, "yes");
    if (!wants_people)
        changes_answer(s->changes, request);
    else if (!changes_ask(s->changes, CHANGE_PEOPLE, STR(""), request))
        answer_busy(request);
}

/* What the body wishes; false if it is not understood. */
static bool read_wish(struct str body, enum change_wish *wish, char hash[PROGRAMME_HASH_BYTES],
                      struct fault *f)
{
    struct json_node map;
    *wish = CHANGE_DO;
    hash[0] = 0;
    if (str_trim(body).len == 0)
        return true;
    if (body.len > WISH_BYTES_MAX) {
        fault_set(f, "the body is too long");
        return false;
    }
    struct json_parser *parser = json_parser_new(WISH_BYTES_MAX);
    bool is_fine = json_parse(parser, body, 4, &map, f) == OK;
    if (is_fine && json_type(map) != JSON_MAP) {
        fault_set(f, "the body is to be an object");
        is_fine = false;
    }
    struct json_node programme = is_fine ? json_find(map, STR("programme")) : (struct json_node){0};
    if (json_type(programme) != JSON_NONE &&
        (json_type(programme) != JSON_TEXT || json_text(programme).len != 64 ||
         !str_to_z(json_text(programme), hash, PROGRAMME_HASH_BYTES) ||
         strspn(hash, "0123456789abcdef") != 64)) {
        fault_set(f, "\"programme\" is to be the hash of a programme: 64 hexadecimal digits");
        is_fine = false;
    }
    if (is_fine && json_is_true(json_find(map, STR("check"))))
        *wish = CHANGE_LOOK;
    json_parser_free(parser);
    return is_fine;
}

static void change_programme(struct server *s, struct http_request *request)
{
    char hash[PROGRAMME_HASH_BYTES];
    enum change_wish wish;
    struct fault f = {0};
    if (!read_wish(http_request_body(request), &wish, hash, &f))
        http_answer_error(request, 400, "not_understood", str_of(f.text));
    else if (!changes_ask(s->changes, wish, str_of(hash), request))
        answer_busy(request);
}

/* ---- segments ------------------------------------------------------------------------------------ */

static struct segment_question *read_segment(struct http_request *request)
{
    struct segment_question *q = arena_new(http_request_arena(request), struct segment_question);
    *q = (struct segment_question){.limit = 100};
    if (http_request_parameter(request, STR("segment"), &q->segment) && q->segment.len > 0)
        return q;
    http_answer_error(request, 400, "no_segment", STR("say which segment: ?segment=its name"));
    return NULL;
}

static void answer_segments(struct server *s, struct http_request *request)
{
    struct segment_question *q = arena_new(http_request_arena(request), struct segment_question);
    *q = (struct segment_question){.segment = STR("")};
    if (!core_ask_segment(s->core, QUESTION_SEGMENTS, q, request))
        answer_busy(request);
}

/* A profile's number as the answer before gave it. */
static bool read_after(struct str text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        char x = text.at[i];
        uint32_t digit = x >= '0' && x <= '9'   ? (uint32_t)(x - '0')
                         : x >= 'a' && x <= 'f' ? (uint32_t)(x - 'a') + 10
                                                : 16;
        if (digit == 16 || text.len > 10)
            return false;
        *out = *out * 16 + digit;
    }
    return true;
}

/* &limit= and &after=; answers the request if they are wrong. */
static bool read_page(struct http_request *request, uint32_t *limit, uint64_t *after)
{
    struct str text;
    int64_t number;
    if (http_request_parameter(request, STR("limit"), &text)) {
        if (!str_to_int(text, &number) || number < 1 || number > MEMBERS_LIMIT_MAX) {
            http_answer_error(request, 400, "bad_limit", STR("limit is a number from 1 to 1000"));
            return false;
        }
        *limit = (uint32_t)number;
    }
    if (http_request_parameter(request, STR("after"), &text) && !read_after(text, after)) {
        http_answer_error(request, 400, "bad_after",
                          STR("after is the \"next\" of the answer before"));
        return false;
    }
    return true;
}

static void answer_members(struct server *s, struct http_request *request)
{
    struct segment_question *q = read_segment(request);
    struct str text;
    if (q == NULL || !read_page(request, &q->limit, &q->after))
        return;
    if (http_request_parameter(request, STR("at"), &text)) {
        http_answer_error(
            request, 400, "only_now",
            STR("these are the members as they are now; `wend segment who DIR SEGMENT "
                "--at MOMENT` says who was in it"));
        return;
    }
    if (!core_ask_segment(s->core, QUESTION_MEMBERS, q, request))
        answer_busy(request);
}

static void answer_segment_why(struct server *s, struct http_request *request)
{
    struct segment_question *q = read_segment(request);
    if (q != NULL && read_person(request, &q->person) &&
        !core_ask_segment(s->core, QUESTION_SEGMENT_WHY, q, request))
        answer_busy(request);
}

static void answer_wrong_lines(struct http_request *request, const struct member_list *list)
{
    struct json_writer w;
    struct buf out;
    buf_init(&out);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_text(&w, "code", STR("wrong_lines"));
    json_write_key_text(
        &w, "message",
        list->is_refused
            ? STR("the body is no list of ids, so nothing was changed")
            : STR("some lines are wrong, so nothing was changed; &partial=yes takes the others"));
    json_write_key_int(&w, "wrong", list->wrong_count);
    json_write_key(&w, STR("lines"));
    json_write_list(&w);
    for (uint32_t i = 0; i < list->problem_count; i++) {
        json_write_map(&w);
        json_write_key_int(&w, "line", list->problems[i].line);
        json_write_key_text(&w, "problem", list->problems[i].text);
        json_write_end(&w);
    }
    json_write_end(&w);
    json_write_end(&w);
    buf_add_byte(&out, '\n');
    answer_text(request, 400, STR("application/json"), buf_str(&out));
    buf_fini(&out);
}

static void answer_list(struct server *s, struct http_request *request)
{
    struct segment_question *q = read_segment(request);
    struct arena *arena = http_request_arena(request);
    struct member_list *list = arena_new(arena, struct member_list);
    struct str mode = STR("add"), partial;
    if (q == NULL)
        return;
    (void)http_request_parameter(request, STR("mode"), &mode);
    bool takes_part = http_request_parameter(request, STR("partial"), &partial);
    if (!str_is(mode, "add") && !str_is(mode, "remove") && !str_is(mode, "replace")) {
        http_answer_error(request, 400, "bad_mode", STR("mode is add, remove or replace"));
        return;
    }
    q->change = str_is(mode, "add")      ? LIST_ADD
                : str_is(mode, "remove") ? LIST_REMOVE
                                         : LIST_REPLACE;
    member_list_read(http_request_body(request), arena, list);
    q->list = list;
    if (list->is_refused || (list->wrong_count > 0 && !takes_part))
        answer_wrong_lines(request, list);
    else if (!core_ask_segment(s->core, QUESTION_LIST, q, request))
        answer_busy(request);
}

#define PREVIEW_BYTES_MAX 65536
#define PREVIEW_SAMPLE    10 /* people, unless said otherwise */

static bool read_preview(struct str body, struct preview_question *q, struct arena *arena,
                         struct fault *f)
{
    struct json_node map;
    int64_t sample = PREVIEW_SAMPLE;
    if (body.len > PREVIEW_BYTES_MAX) {
        fault_set(f, "the body is too long");
        return false;
    }
    struct json_parser *parser = json_parser_new(PREVIEW_BYTES_MAX);
    bool is_fine = json_parse(parser, body, 4, &map, f) == OK;
    if (is_fine && json_type(map) != JSON_MAP) {
        fault_set(f, "the body is to be an object");
        is_fine = false;
    }
    if (is_fine && json_type(json_find(map, STR("when"))) != JSON_TEXT) {
        fault_set(f, "say which condition: {\"when\": \"did('Order Completed', '30d')\"}");
        is_fine = false;
    }
    struct json_node number = is_fine ? json_find(map, STR("sample")) : (struct json_node){0};
    if (is_fine && json_type(number) != JSON_NONE &&
        (!json_int(number, &sample) || sample < 0 || sample > PREVIEW_SAMPLE_MAX)) {
        fault_set(f, "\"sample\" is how many people to name: 0 to %d", PREVIEW_SAMPLE_MAX);
        is_fine = false;
    }
    if (is_fine)
        *q = (struct preview_question){arena_copy(arena, json_text(json_find(map, STR("when")))),
                                       (uint32_t)sample};
    json_parser_free(parser);
    return is_fine;
}

static void answer_preview(struct server *s, struct http_request *request)
{
    struct arena *arena = http_request_arena(request);
    struct preview_question *q = arena_new(arena, struct preview_question);
    struct fault f = {0};
    if (!read_preview(http_request_body(request), q, arena, &f))
        http_answer_error(request, 400, "not_understood", str_of(f.text));
    else if (!stories_ask_preview(s->stories, q, request))
        answer_busy(request);
}

/* ---- journeys ------------------------------------------------------------------------------------ */

static bool find_source(struct server *s, struct http_request *request,
                        struct ingest_source *source)
{
    struct str user, password;
    enum http_auth auth = http_request_auth(request, &user, &password);
    return (auth == HTTP_AUTH_BASIC || auth == HTTP_AUTH_BEARER) &&
           ingest_find_key(s->ingest, user, source);
}

static void answer_journeys(struct server *s, struct http_request *request)
{
    struct operator_question *q = arena_new(http_request_arena(request), struct operator_question);
    *q = (struct operator_question){0};
    if (!core_ask_operator(s->core, QUESTION_JOURNEYS, q, request))
        answer_busy(request);
}

static void answer_decision(struct server *s, struct http_request *request)
{
    const struct decide_question *q = decide_read(request, s->vocabulary, s->directory.secret);
    if (q != NULL && !core_ask_decide(s->core, q, request))
        answer_busy(request);
}

static void answer_monitors(struct server *s, struct http_request *request)
{
    struct operator_question *q = arena_new(http_request_arena(request), struct operator_question);
    *q = (struct operator_question){0};
    if (!core_ask_operator(s->core, QUESTION_MONITORS, q, request))
        answer_busy(request);
}

static void answer_command(struct server *s, struct http_request *request)
{
    struct ingest_source source = {0};
    (void)find_source(s, request, &source);
    const struct operator_question *q = operator_read(request, source.name);
    if (q != NULL && !core_ask_operator(s->core, QUESTION_COMMAND, q, request))
        answer_busy(request);
}

static void answer_tasks(struct server *s, struct http_request *request)
{
    struct operator_question *q = arena_new(http_request_arena(request), struct operator_question);
    *q = (struct operator_question){.limit = 100};
    (void)http_request_parameter(request, STR("queue"), &q->queue);
    if (read_page(request, &q->limit, &q->after) &&
        !core_ask_operator(s->core, QUESTION_TASKS, q, request))
        answer_busy(request);
}

static void answer_task(struct server *s, struct http_request *request)
{
    if (!core_ask_operator(s->core, QUESTION_TASK_DONE, task_read(request), request))
        answer_busy(request);
}

static void answer_funnel(struct server *s, struct http_request *request)
{
    struct operator_question *q = arena_new(http_request_arena(request), struct operator_question);
    struct str since;
    struct timestamp when = {0};
    *q = (struct operator_question){0};
    if (!http_request_parameter(request, STR("journey"), &q->journey) || q->journey.len == 0) {
        http_answer_error(request, 400, "no_journey", STR("say which journey: ?journey=its name"));
        return;
    }
    bool has_since = http_request_parameter(request, STR("since"), &since);
    if (has_since && timestamp_parse(since, TIMESTAMP_LOOSE, &when, NULL) != OK) {
        http_answer_error(request, 400, "bad_since",
                          STR("since is a moment such as 2026-03-02T12:00:00Z"));
        return;
    }
    bool is_asked = has_since ? stories_ask_funnel(s->stories, q->journey, when.at_ms,
                                                   atomic_load(&s->newest_batch), request)
                              : core_ask_operator(s->core, QUESTION_FUNNEL, q, request);
    if (!is_asked)
        answer_busy(request);
}

static void answer_vouchers(struct server *s, struct http_request *request)
{
    struct operator_question *q = arena_new(http_request_arena(request), struct operator_question);
    *q = (struct operator_question){0};
    if (!core_ask_operator(s->core, QUESTION_VOUCHERS, q, request))
        answer_busy(request);
}

static void answer_budgets(struct server *s, struct http_request *request)
{
    struct operator_question *q = arena_new(http_request_arena(request), struct operator_question);
    *q = (struct operator_question){0};
    if (!core_ask_operator(s->core, QUESTION_BUDGETS, q, request))
        answer_busy(request);
}

static void answer_audiences(struct server *s, struct http_request *request)
{
    struct operator_question *q = arena_new(http_request_arena(request), struct operator_question);
    *q = (struct operator_question){0};
    if (!core_ask_operator(s->core, QUESTION_AUDIENCES, q, request))
        answer_busy(request);
}

/* ---- who may, and where -------------------------------------------------------------------------- */

/* A server calls for a journey that the active programme does not have: true, and it is answered. */
static bool is_unknown_journey(struct server *s, struct http_request *request)
{
    struct str name, nearest;
    struct ingest_source source;
    if (http_request_method(request) != HTTP_POST ||
        !ingest_journey_name(http_request_path(request), &name) ||
        !find_source(s, request, &source) || !(source.flags & RECORD_IS_SERVER) ||
        journeys_know(s->journeys, name, &nearest))
        return false;
    struct arena *arena = http_request_arena(request);
    http_answer_error(
        request, 404, "unknown_journey",
        nearest.len ? arena_printf(arena, "there is no journey \"%.*s\"; did you mean \"%.*s\"?",
                                   STR_ARG(name), STR_ARG(nearest))
                    : arena_printf(arena, "there is no journey \"%.*s\"", STR_ARG(name)));
    return true;
}

/* Does the request carry a server key? Answers it if not. */
static bool has_server_key(struct server *s, struct http_request *request)
{
    struct ingest_source source;
    bool is_known = find_source(s, request, &source);
    if (is_known && (source.flags & RECORD_IS_SERVER))
        return true;
    if (is_known)
        http_answer_error(request, 403, "not_a_server_key",
                          STR("a write key only writes; this needs a server key"));
    else
        http_answer_error(
            request, 401, "no_server_key",
            STR("send a server key as the user of Basic authorization, or as Bearer"));
    return false;
}

/* Is the path the pattern's, in which * is any one part? */
static bool is_path(struct str pattern, struct str path)
{
    size_t star = str_find(pattern, STR("*"), 0);
    if (star == SIZE_MAX)
        return str_equal(pattern, path);
    struct str before = str_part(pattern, 0, star);
    struct str after = str_part(pattern, star + 1, pattern.len);
    return path.len > before.len + after.len && str_starts(path, before) && str_ends(path, after) &&
           str_find(str_part(path, before.len, path.len - before.len - after.len), STR("/"), 0) ==
               SIZE_MAX;
}

void routes_handle(void *context, struct http_request *request)
{
    static const struct {
        enum route_method method;
        struct str path;
        enum access access;
        route_answer *answer;
    } routes[] = {
#define ROUTE(method, path, access, answer, doc) {method, {path, sizeof(path) - 1}, access, answer},
#include "server/routes.def"
#undef ROUTE
    };
    struct server *s = context;
    if (is_unknown_journey(s, request) || ingest_routes_handle(s->routes, request))
        return;
    struct str path = http_request_path(request);
    enum http_method method = http_request_method(request);
    bool is_read = method == HTTP_GET || method == HTTP_HEAD;
    bool is_known = false;
    for (size_t i = 0; i < array_count(routes); i++) {
        if (!is_path(routes[i].path, path))
            continue;
        is_known = true;
        if (routes[i].method == READ ? !is_read : method != HTTP_POST)
            continue;
        if (routes[i].access == OPEN || has_server_key(s, request))
            routes[i].answer(s, request);
        return;
    }
    if (is_known)
        http_answer_error(request, 405, "method_not_allowed", STR("this path has no such method"));
    else
        http_answer_error(request, 404, "not_found", STR("there is nothing at this path"));
}
