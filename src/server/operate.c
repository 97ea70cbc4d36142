/* SPDX-License-Identifier: Apache-2.0 */
#include "server/operate.h"

#include "api/task_json.h"
#include "decide/voucher.h"
#include "model/codes.h"
#include "model/plan.h"
#include "programme/programme.h"
#include "server/server_int.h"
#include "json/json_write.h"

#define TASK_BY_BYTES_MAX 200

/* ---- reading ------------------------------------------------------------------------------------- */

static bool says_yes(struct http_request *request, const char *name)
{
    struct str text;
    return http_request_parameter(request, str_of(name), &text) &&
           (text.len == 0 || str_is(text, "yes") || str_is(text, "true") || str_is(text, "1"));
}

static void refuse(struct http_request *request, const char *code, const char *text)
{
    http_answer_error(request, 400, code, str_of(text));
}

/* One of two words, the first being what holds where nothing is said. */
static bool read_choice(struct http_request *request, const char *name, const char *first,
                        const char *second, bool *is_second)
{
    struct str text = str_of(first);
    (void)http_request_parameter(request, str_of(name), &text);
    *is_second = str_is(text, second);
    return *is_second || str_is(text, first);
}

static bool read_pace(struct http_request *request, struct command_word *out)
{
    struct str text;
    struct plan_pace pace = {COMMAND_PACE_COUNT, COMMAND_PACE_MS};
    bool is_fine = true;
    if (http_request_parameter(request, STR("pace"), &text)) {
        if (str_is(text, "none"))
            pace = (struct plan_pace){0};
        else
            is_fine = pace_parse(text, &pace);
    }
    out->pace_count = pace.count;
    out->pace_ms = pace.per_ms;
    if (!is_fine)
        refuse(request, "bad_pace", "pace is a number of people in a time, 5000/h, or none");
    return is_fine;
}

static bool read_phase(struct http_request *request, struct str verb, struct command_word *out)
{
    enum journey_phase phase;
    bool refuses, runs;
    if (!phase_of_verb(verb, &phase)) {
        refuse(request, "bad_verb", "a journey is paused, resumed, started, drained or stopped");
        return false;
    }
    out->kind = COMMAND_PHASE;
    out->phase = (uint8_t)phase;
    if (!read_choice(request, "entries", "held", "refused", &refuses)) {
        refuse(request, "bad_entries", "entries are held or refused");
        return false;
    }
    if (!read_choice(request, "timers", "frozen", "running", &runs)) {
        refuse(request, "bad_timers", "timers are frozen or running");
        return false;
    }
    out->flags = (uint8_t)((refuses ? PHASE_REFUSES : 0) | (runs ? PHASE_TIMERS_RUN : 0));
    return out->phase != PHASE_ACTIVE || read_pace(request, out);
}

static bool read_scope(struct http_request *request, struct command_word *out)
{
    enum channel channel;
    uint32_t given = 0;
    if (http_request_parameter(request, STR("journey"), &out->name)) {
        out->scope = KILL_JOURNEY;
        given++;
    }
    if (http_request_parameter(request, STR("message"), &out->name)) {
        out->scope = KILL_MESSAGE;
        given++;
    }
    if (http_request_parameter(request, STR("category"), &out->name)) {
        out->scope = KILL_CATEGORY;
        given++;
    }
    if (http_request_parameter(request, STR("channel"), &out->name)) {
        out->scope = KILL_CHANNEL;
        given++;
    }
    if (says_yes(request, "all")) {
        out->scope = KILL_ALL;
        given++;
    }
    if (given != 1) {
        refuse(request, "no_scope",
               "say what: ?journey=, ?message=, ?category=, ?channel= or ?all=yes");
        return false;
    }
    if (out->scope != KILL_CHANNEL)
        return true;
    if (!channel_find(out->name, &channel)) {
        refuse(request, "unknown_channel", "there is no such channel");
        return false;
    }
    out->channel = (uint8_t)channel;
    return true;
}

/* The body's lines, each a code; copied without what is around them. */
static bool read_codes(struct http_request *request, struct str pool, struct command_word *out)
{
    struct arena *arena = http_request_arena(request);
    struct buf codes;
    struct str code;
    uint32_t line = 0;
    *out = (struct command_word){.kind = COMMAND_VOUCHERS, .name = pool};
    buf_init(&codes);
    for (size_t from = 0; code_next(http_request_body(request), &from, &line, &code);) {
        if (!code_is_fine(code)) {
            buf_fini(&codes);
            refuse(request, "bad_code",
                   arena_printf(arena, "line %u: one code of at most %d bytes, without commas",
                                line, CODE_BYTES_MAX)
                       .at);
            return false;
        }
        buf_printf(&codes, "%.*s\n", STR_ARG(code));
    }
    out->codes = arena_copy(arena, buf_str(&codes));
    buf_fini(&codes);
    if (out->codes.len == 0)
        refuse(request, "no_codes", "the body has no codes: one a line");
    return out->codes.len > 0;
}

struct operator_question *operator_read(struct http_request *request, uint32_t source)
{
    struct operator_question *q = arena_new(http_request_arena(request), struct operator_question);
    struct str path = http_request_path(request), before = STR("/v1/journeys/");
    *q = (struct operator_question){.source = source};
    bool is_fine;
    if (str_starts(path, STR("/v1/vouchers/"))) {
        is_fine = read_codes(request, str_part(path, 13, path.len), &q->word);
    } else if (str_starts(path, before)) {
        size_t slash = str_find(path, STR("/"), before.len);
        q->word.name = str_part(path, before.len, slash - before.len);
        is_fine = read_phase(request, str_part(path, slash + 1, path.len), &q->word);
    } else {
        q->word.kind = str_is(path, "/v1/kill") ? COMMAND_KILL : COMMAND_UNKILL;
        is_fine = read_scope(request, &q->word);
        if (is_fine && q->word.kind == COMMAND_KILL)
            q->word.flags = (uint8_t)((says_yes(request, "drop") ? KILL_DROPS : 0) |
                                      (says_yes(request, "all_lanes") ? KILL_ALL_LANES : 0));
        else if (is_fine)
            is_fine = read_pace(request, &q->word);
    }
    return is_fine ? q : NULL;
}

/* ---- doing --------------------------------------------------------------------------------------- */

void operator_do(struct server *s, const struct engine *e, const struct operator_question *q,
                 struct http_request *request)
{
    struct fault f = {0};
    if (command_check(engine_controls(e), engine_plan(e), engine_names(e), &q->word, &f) != OK) {
        http_answer_error(request, 404, "not_there", str_of(f.text));
        return;
    }
    uint32_t count = 1;
    size_t from = 0;
    if (q->word.kind == COMMAND_VOUCHERS) /* as many records as they take */
        for (count = 0; codes_part(q->word.codes, &from).len > 0;)
            count++;
    struct entry *entry = entry_new(ENTRY_COMMAND, count);
    from = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct record *r = &entry->records[i];
        struct command_word word = q->word;
        struct buf body;
        buf_init(&body);
        if (word.kind == COMMAND_VOUCHERS)
            word.codes = codes_part(q->word.codes, &from);
        command_write(&word, &body, r);
        r->clear = entry_body(entry, &body);
        r->source = q->source;
        r->event_ms = r->arrival_ms = server_now_ms(s);
    }
    entry->request = request;
    if (feed_push(s, entry) == OK)
        return;
    entry_free(entry);
    http_answer_error(request, 503, "too_busy", STR("the log takes no command now; try again"));
}

struct operator_question *task_read(struct http_request *request)
{
    struct operator_question *q = arena_new(http_request_arena(request), struct operator_question);
    struct str path = http_request_path(request), before = STR("/v1/tasks/");
    size_t slash = str_find(path, STR("/"), before.len);
    *q = (struct operator_question){
        .task = {.key = str_part(path, before.len, slash - before.len),
                 .kind = str_ends(path, STR("/done")) ? RECEIPT_TASK_DONE : RECEIPT_TASK_DECLINED,
                 .values = http_request_body(request)}};
    (void)http_request_parameter(request, STR("by"), &q->task.by);
    q->task.by = str_part(q->task.by, 0, TASK_BY_BYTES_MAX);
    return q;
}

void task_do(struct server *s, struct engine *e, const struct operator_question *q,
             struct http_request *request)
{
    struct fault f = {0};
    struct receipt receipt;
    struct buf clear, personal, saved;
    bool is_there;
    buf_init(&saved);
    if (task_receipt(e, &q->task, &saved, &is_there, &receipt, &f) != OK) {
        http_answer_error(request, is_there ? 400 : 404, is_there ? "bad_values" : "no_task",
                          str_of(f.text));
        buf_fini(&saved);
        return;
    }
    buf_init(&clear);
    buf_init(&personal);
    struct entry *entry = entry_new(ENTRY_COMMAND, 1);
    receipt_write(&receipt, server_now_ms(s), &clear, &personal, &entry->records[0]);
    buf_fini(&saved);
    entry->records[0].clear = entry_body(entry, &clear);
    entry->records[0].personal = entry_body(entry, &personal);
    entry->request = request;
    if (feed_push(s, entry) == OK)
        return;
    entry_free(entry);
    http_answer_error(request, 503, "too_busy", STR("the log takes nothing now; try again"));
}

/* It was done or declined, unless somebody was quicker in the same moment. */
static void task_answer(const struct entry *entry, const struct receipt *receipt)
{
    struct str body = receipt->kind == RECEIPT_TASK_DONE ? STR("{\"task\": \"done\"}\n")
                                                         : STR("{\"task\": \"declined\"}\n");
    http_answer(
        entry->request,
        &(struct http_reply){.status = 200, .content_type = STR("application/json"), .body = body});
}

static void write_pool(struct json_writer *w, const struct engine *e, struct str name)
{
    const struct plan *plan = engine_plan(e);
    json_write_key_text(w, "pool", name);
    for (uint32_t i = 0; plan != NULL && i < plan->voucher_count; i++) {
        if (!str_equal(names_text(engine_names(e), plan->vouchers[i].name), name))
            continue;
        struct voucher_counts counts = voucher_count(engine_vouchers(e), &plan->vouchers[i]);
        json_write_key_int(w, "loaded", (int64_t)counts.loaded);
        json_write_key_int(w, "free", (int64_t)counts.free);
        json_write_key_int(w, "held", (int64_t)counts.held);
        json_write_key_int(w, "gone", (int64_t)counts.gone);
    }
}

void operator_answer(const struct engine *e, const struct entry *entry)
{
    struct command_word word;
    struct json_writer w;
    struct buf out;
    struct receipt receipt;
    if (entry->request != NULL && receipt_read(&entry->records[0], &receipt)) {
        task_answer(entry, &receipt);
        return;
    }
    if (entry->request == NULL || !command_read(&entry->records[0], &word))
        return;
    buf_init(&out);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    if (word.kind == COMMAND_PHASE) {
        json_write_key_text(&w, "journey", word.name);
        json_write_key_text(
            &w, "state",
            phase_name(controls_phase(engine_controls(e), names_find(engine_names(e), word.name))));
    } else if (word.kind == COMMAND_VOUCHERS) {
        write_pool(&w, e, word.name);
    } else {
        json_write_key_text(&w, "scope", kill_scope_name((enum kill_scope)word.scope));
        if (word.scope == KILL_CHANNEL)
            json_write_key_text(&w, "name", channel_name((enum channel)word.channel));
        else if (word.scope != KILL_ALL)
            json_write_key_text(&w, "name", word.name);
        json_write_key_bool(&w, "is_killed", word.kind == COMMAND_KILL);
    }
    json_write_key_int(&w, "batch", (int64_t)engine_batch(e));
    json_write_end(&w);
    buf_add_byte(&out, '\n');
    http_answer(entry->request, &(struct http_reply){.status = 200,
                                                     .content_type = STR("application/json"),
                                                     .body = buf_str(&out)});
    buf_fini(&out);
}

void operator_refused(const struct entry *entry)
{
    if (entry->request != NULL)
        http_answer_error(entry->request, 503, "not_taken",
                          STR("the log did not take the command; nothing was changed"));
}
