/* cmd_activate.c - another programme for a data directory, whether somebody serves it or not.
 *
 *     check the folder ──► store it in the directory ──► POST /v1/programme {hash} ──► ask until it is active
 *                      └─ nobody serves it: prepare, backfill, activate here
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "cli/common.h"
#include "cli/operate.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "http/call.h"
#include "os/clock.h"
#include "os/file.h"
#include "programme/diff.h"
#include "replay/erase.h"
#include "replay/world.h"
#include "server/held.h"
#include "server/take.h"
#include "json/json.h"
#include "json/json_write.h"

#define ASK_AGAIN_MS 100
#define ANSWER_BYTES ((size_t)16 << 20)

struct flight {
    struct str journey;
    int64_t version;
    bool is_newest;
    int64_t people;
};

/* People at a step, by texts: what they stand in was compiled elsewhere. */
struct stand {
    struct str journey, step, definition;
    int64_t version, people;
};

#define MAP_BYTES_MAX ((size_t)1 << 20)

struct activating {
    struct cli *cli;
    struct shelf wanted_shelf;
    const struct plan *wanted; /* compiled for itself: to say where people would go */
    struct stand *stands;
    uint32_t stand_count;
    struct directory directory;
    struct programme_folder folder;
    bool only_looks;
    const struct diff_row *rows;
    uint32_t row_count;
    struct flight *flights;
    uint32_t flight_count;
    bool is_active;

    /* where nobody serves the directory */
    struct evlog *log;
    struct recovered recovered;
    struct world *world;
    struct held *held;
    struct progress progress;
};

/* ---- what is said -------------------------------------------------------------------------------- */

static void print_rows(struct activating *a)
{
    struct cli *c = a->cli;
    struct table table;
    if (a->row_count == 0)
        return;
    table_init(&table, &c->arena);
    table_column(&table, "change", TABLE_LEFT);
    table_column(&table, "of", TABLE_LEFT);
    table_column(&table, "name", TABLE_LEFT);
    table_column(&table, "bytes a person", TABLE_RIGHT);
    for (uint32_t i = 0; i < a->row_count; i++) {
        const struct diff_row *row = &a->rows[i];
        table_text(&table, str_of(diff_how_name(row->how)));
        table_text(&table, str_of(diff_kind_name(row->kind)));
        table_text(&table, row->name);
        if (row->kind == DIFF_KEPT)
            table_int(&table, row->bytes);
        else
            table_text(&table, STR(""));
    }
    table_print(&table, &c->out);
}

static void print_flights(struct activating *a)
{
    struct cli *c = a->cli;
    struct table table;
    if (a->flight_count == 0)
        return;
    table_init(&table, &c->arena);
    table_column(&table, "journey", TABLE_LEFT);
    table_column(&table, "version", TABLE_RIGHT);
    table_column(&table, "people under way", TABLE_RIGHT);
    for (uint32_t i = 0; i < a->flight_count; i++) {
        table_text(&table, a->flights[i].journey);
        table_int(&table, a->flights[i].version);
        table_int(&table, a->flights[i].people);
    }
    table_print(&table, &c->out);
    term_text(&c->out, "  who is under way goes on with the steps of their version\n");
}

/* Where the people go when the programme becomes active. */
static struct str goes_to(struct activating *a, const struct stand *x)
{
    const struct names *names = a->wanted_shelf.names;
    struct arena *arena = &a->cli->arena;
    uint32_t name = names_find(names, x->journey);
    uint16_t index = name == NAME_NONE ? PLAN_NO_INDEX : plan_journey_find(a->wanted, name);
    if (index == PLAN_NO_INDEX)
        return STR("the end: withdrawn, the journey is gone");
    const struct plan_journey *j = &a->wanted->journeys[index];
    if (str_equal(arena_printf(arena, "%016lx", j->hash), x->definition))
        return STR("nowhere: it is the same version");
    uint16_t to = x->step.len ? plan_move_of(j, names_find(names, x->step)) : PLAN_NO_MOVE;
    if (to == PLAN_END)
        return STR("the end: exited");
    if (to == PLAN_NO_MOVE)
        return j->move_count || j->moves_others != MOVE_STAY
                   ? STR("nowhere: no place for them, they stay in their version")
                   : STR("nowhere: they stay in their version");
    return arena_printf(arena, "%.*s", STR_ARG(names_text(names, j->steps[to].id)));
}

static void print_stands(struct activating *a)
{
    struct cli *c = a->cli;
    struct table table;
    if (a->stand_count == 0) {
        term_text(&c->out, "nobody is under way\n");
        return;
    }
    table_init(&table, &c->arena);
    table_column(&table, "journey", TABLE_LEFT);
    table_column(&table, "version", TABLE_RIGHT);
    table_column(&table, "step", TABLE_LEFT);
    table_column(&table, "people", TABLE_RIGHT);
    table_column(&table, "would go to", TABLE_LEFT);
    for (uint32_t i = 0; i < a->stand_count; i++) {
        const struct stand *x = &a->stands[i];
        table_text(&table, x->journey);
        table_int(&table, x->version);
        table_text(&table, x->step);
        table_int(&table, x->people);
        table_text(&table, goes_to(a, x));
    }
    table_print(&table, &c->out);
}

static struct stand *add_stand(struct activating *a)
{
    struct stand *stands = arena_array(&a->cli->arena, struct stand, a->stand_count + 1);
    for (uint32_t i = 0; i < a->stand_count; i++)
        stands[i] = a->stands[i];
    a->stands = stands;
    return &a->stands[a->stand_count++];
}

static void read_stands(struct activating *a, struct json_node answer)
{
    struct arena *arena = &a->cli->arena;
    for (struct json_each each = json_each(json_find(answer, STR("in_steps"))); json_next(&each);) {
        struct stand *x = add_stand(a);
        *x = (struct stand){
            .journey = arena_copy(arena, json_text(json_find(each.node, STR("journey")))),
            .step = arena_copy(arena, json_text(json_find(each.node, STR("step")))),
            .definition = arena_copy(arena, json_text(json_find(each.node, STR("definition"))))};
        (void)json_int(json_find(each.node, STR("version")), &x->version);
        (void)json_int(json_find(each.node, STR("people")), &x->people);
    }
}

static void write_stands(struct activating *a, struct json_writer *w)
{
    json_write_key(w, STR("in_steps"));
    json_write_list(w);
    for (uint32_t i = 0; i < a->stand_count; i++) {
        const struct stand *x = &a->stands[i];
        json_write_map(w);
        json_write_key_text(w, "journey", x->journey);
        json_write_key_int(w, "version", x->version);
        json_write_key_text(w, "step", x->step);
        json_write_key_int(w, "people", x->people);
        json_write_key_text(w, "goes_to", goes_to(a, x));
        json_write_end(w);
    }
    json_write_end(w);
}

static void print_json(struct activating *a)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_text(&w, "programme", str_of(a->folder.hash));
    json_write_key_bool(&w, "is_active", a->is_active);
    json_write_key(&w, STR("changes"));
    json_write_list(&w);
    for (uint32_t i = 0; i < a->row_count; i++) {
        json_write_map(&w);
        json_write_key_text(&w, "kind", str_of(diff_kind_name(a->rows[i].kind)));
        json_write_key_text(&w, "how", str_of(diff_how_name(a->rows[i].how)));
        json_write_key_text(&w, "name", a->rows[i].name);
        if (a->rows[i].kind == DIFF_KEPT)
            json_write_key_int(&w, "bytes", a->rows[i].bytes);
        json_write_end(&w);
    }
    json_write_end(&w);
    json_write_key(&w, STR("in_flight"));
    json_write_list(&w);
    for (uint32_t i = 0; i < a->flight_count; i++) {
        json_write_map(&w);
        json_write_key_text(&w, "journey", a->flights[i].journey);
        json_write_key_int(&w, "version", a->flights[i].version);
        json_write_key_bool(&w, "is_newest", a->flights[i].is_newest);
        json_write_key_int(&w, "people", a->flights[i].people);
        json_write_end(&w);
    }
    json_write_end(&w);
    write_stands(a, &w);
    json_write_end(&w);
    term_text(&a->cli->out, "%.*s\n", STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

static void say(struct activating *a)
{
    struct cli *c = a->cli;
    if (c->is_json) {
        print_json(a);
        return;
    }
    if (a->is_active)
        term_print(&c->out, TERM_GREEN, "programme %.12s is active\n", a->folder.hash);
    else
        term_text(&c->out, "programme %.12s is not active; nothing was changed\n", a->folder.hash);
}

/* What would change, before anything does. */
static void say_before(struct activating *a)
{
    if (a->cli->is_json)
        return;
    if (cli_flag(a->cli, "preview")) {
        print_stands(a);
        return;
    }
    if (a->row_count == 0)
        term_text(&a->cli->out, "nothing is different from the programme that is active\n");
    print_rows(a);
    print_flights(a);
}

static struct flight *add_flight(struct activating *a)
{
    struct flight *flights = arena_array(&a->cli->arena, struct flight, a->flight_count + 1);
    for (uint32_t i = 0; i < a->flight_count; i++)
        flights[i] = a->flights[i];
    a->flights = flights;
    return &a->flights[a->flight_count++];
}

/* ---- a server ------------------------------------------------------------------------------------ */

static void read_rows(struct activating *a, struct json_node answer)
{
    struct json_node list = json_find(answer, STR("changes"));
    uint32_t room = 0;
    for (struct json_each each = json_each(list); json_next(&each);)
        room++;
    struct diff_row *rows = arena_array(&a->cli->arena, struct diff_row, room + 1);
    a->row_count = 0;
    for (struct json_each each = json_each(list); json_next(&each);) {
        struct diff_row *row = &rows[a->row_count++];
        struct str kind = json_text(json_find(each.node, STR("kind")));
        struct str how = json_text(json_find(each.node, STR("how")));
        row->name = arena_copy(&a->cli->arena, json_text(json_find(each.node, STR("name"))));
        for (int k = 0; k < DIFF_KIND_END; k++)
            if (str_equal(kind, str_of(diff_kind_name((enum diff_kind)k))))
                row->kind = (enum diff_kind)k;
        for (int k = DIFF_NEW; k <= DIFF_REMOVED; k++)
            if (str_equal(how, str_of(diff_how_name((enum diff_how)k))))
                row->how = (enum diff_how)k;
        (void)json_int(json_find(each.node, STR("bytes")), &row->bytes);
    }
    a->rows = rows;
}

static void read_flights(struct activating *a, struct json_node answer)
{
    for (struct json_each each = json_each(json_find(answer, STR("in_flight")));
         json_next(&each);) {
        struct flight *flight = add_flight(a);
        flight->journey =
            arena_copy(&a->cli->arena, json_text(json_find(each.node, STR("journey"))));
        flight->is_newest = json_is_true(json_find(each.node, STR("is_newest")));
        (void)json_int(json_find(each.node, STR("version")), &flight->version);
        (void)json_int(json_find(each.node, STR("people")), &flight->people);
    }
}

/* Asks how far it is until the change is over. */
static enum status wait_for_change(struct activating *a, struct http_call *call,
                                   struct json_parser *parser, struct buf *body, struct fault *f)
{
    enum status status = OK;
    call->path = "/v1/programme";
    call->body = NULL;
    progress_begin(&a->progress, a->cli, "filling in the past", "batches", 0,
                   os_clock_monotonic_ns() / 1000000);
    for (;;) {
        struct json_node answer;
        int64_t batches = 0, of = 0;
        status = server_ask(call, parser, body, &answer, f);
        if (status != OK)
            break;
        struct json_node change = json_find(answer, STR("change"));
        if (json_type(change) != JSON_MAP) {
            struct json_node last = json_find(answer, STR("last_change"));
            struct str hash =
                json_text(json_find(json_find(answer, STR("programme")), STR("hash")));
            a->is_active = str_is(hash, a->folder.hash);
            if (!a->is_active) {
                fault_set(f, "the programme did not become active: %.*s",
                          STR_ARG(json_text(json_find(last, STR("why")))));
                status = GIVE_UP;
            }
            break;
        }
        (void)json_int(json_find(change, STR("batches")), &batches);
        (void)json_int(json_find(change, STR("of")), &of);
        a->progress.total = (uint64_t)of;
        progress_update(&a->progress, (uint64_t)batches, os_clock_monotonic_ns() / 1000000);
        os_clock_sleep_ms(ASK_AGAIN_MS);
    }
    progress_end(&a->progress);
    return status;
}

static enum status ask_server(struct activating *a, struct fault *f)
{
    struct json_parser *parser = json_parser_new(ANSWER_BYTES);
    struct buf body;
    struct json_node answer;
    struct str key;
    char wish[256];
    buf_init(&body);
    enum status status = server_key(a->cli, &a->directory, &key, f);
    if (status == OK)
        status = programme_store(os_disk_real(), a->directory.programmes, &a->folder, f);
    struct http_call call = {.url = cli_text(a->cli, "url")};
    if (status == OK) {
        call.key = key.at;
        call.path = "/v1/programme?people=yes";
        status = server_ask(&call, parser, &body, &answer, f);
    }
    if (status == OK) {
        read_flights(a, answer);
        read_stands(a, answer);
    }
    snprintf(wish, sizeof(wish), "{\"programme\":\"%s\",\"check\":%s}", a->folder.hash,
             a->only_looks ? "true" : "false");
    call.path = "/v1/programme";
    call.body = wish;
    if (status == OK)
        status = server_ask(&call, parser, &body, &answer, f);
    if (status == OK) {
        read_rows(a, answer);
        a->is_active = json_is_true(json_find(answer, STR("is_active")));
        say_before(a);
    }
    if (status == OK && !a->only_looks)
        status = wait_for_change(a, &call, parser, &body, f);
    buf_fini(&body);
    json_parser_free(parser);
    return status;
}

/* ---- a directory that nobody serves -------------------------------------------------------------- */

/* Nothing is sent from here: the next start of the server does. */
static void hold(void *self, const struct action *action, int64_t now_ms)
{
    struct activating *a = self;
    struct held *held = held_new(action, engine_plans(world_engine(a->world))->at[action->plan]);
    (void)now_ms;
    held->next = a->held;
    a->held = held;
}

struct counting {
    struct activating *a;
    const struct engine *engine;
};

static void count_stand(struct counting *counting, uint32_t plan, const struct plan_journey *j,
                        uint16_t step)
{
    struct activating *a = counting->a;
    const struct names *names = engine_names(counting->engine);
    struct str journey = names_text(names, j->name);
    struct str id = step < j->step_count ? names_text(names, j->steps[step].id) : STR("");
    for (uint32_t i = 0; i < a->stand_count; i++) {
        struct stand *x = &a->stands[i];
        if (x->version != plan || !str_equal(x->journey, journey) || !str_equal(x->step, id))
            continue;
        x->people++;
        return;
    }
    struct stand *x = add_stand(a);
    *x = (struct stand){arena_copy(&a->cli->arena, journey), arena_copy(&a->cli->arena, id),
                        arena_printf(&a->cli->arena, "%016lx", j->hash), plan, 1};
}

static void count_instance(void *self, uint32_t plan, uint16_t journey_index, uint16_t step)
{
    struct counting *counting = self;
    struct activating *a = counting->a;
    const struct plans *plans = engine_plans(counting->engine);
    count_stand(counting, plan, &plans->at[plan]->journeys[journey_index], step);
    struct str journey =
        names_text(engine_names(counting->engine), plans->at[plan]->journeys[journey_index].name);
    for (uint32_t i = 0; i < a->flight_count; i++) {
        if (a->flights[i].version == plan && str_equal(a->flights[i].journey, journey)) {
            a->flights[i].people++;
            return;
        }
    }
    *add_flight(a) =
        (struct flight){arena_copy(&a->cli->arena, journey), plan, plan == plans->newest, 1};
}

static bool note_progress(void *self, const struct backfill_progress *progress)
{
    struct activating *a = self;
    a->progress.total = progress->batch_count;
    progress_update(&a->progress, progress->batches, os_clock_monotonic_ns() / 1000000);
    return true;
}

static enum status compile(struct activating *a, const struct plan **out, struct fault *f)
{
    struct findings findings;
    struct plan *plan = NULL;
    findings_init(&findings);
    enum status status = programme_compile(&a->folder, a->recovered.shelf.names, &plan, &findings);
    if (status == OK)
        shelf_add(&a->recovered.shelf, plan);
    else
        fault_set(f, "the programme does not compile with the directory's names");
    findings_fini(&findings);
    *out = plan;
    return status;
}

static void compare(struct activating *a, const struct plan *plan)
{
    const struct plans *plans = engine_plans(world_engine(a->world));
    const struct plan *active = plans->newest ? plans->at[plans->newest] : NULL;
    struct programme_folder old;
    struct fault ignored = {0};
    bool has_old = active != NULL && programme_recall(os_disk_real(), a->directory.programmes,
                                                      active->hash, &old, &ignored) == OK;
    struct programme_version from = {active, has_old ? &old : NULL};
    struct programme_version to = {plan, &a->folder};
    a->rows = programme_diff(&from, &to, a->recovered.shelf.names, &a->cli->arena, &a->row_count);
    for (uint32_t i = 0; i < a->row_count; i++) {
        struct diff_row *row = (struct diff_row *)(uintptr_t)&a->rows[i]; /* of our arena */
        row->name = arena_copy(&a->cli->arena, row->name);
    }
    if (has_old)
        programme_folder_fini(&old);
    a->is_active = active != NULL && strcmp(active->hash, plan->hash) == 0;
}

/* Goes over to the plan, and leaves the directory as a server that stopped would. */
static enum status change(struct activating *a, const struct plan *plan, struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct backfill_host host = {a, note_progress};
    struct engine *e = world_engine(a->world);
    if (!os_path_join(path, sizeof(path), a->directory.path, "held")) {
        fault_set(f, "the path of the data directory is too long");
        return FIX_INPUT;
    }
    enum status status =
        held_read(os_disk_real(), path, engine_batch(e), engine_plans(e), &a->held, f);
    if (status == OK)
        status = programme_store(os_disk_real(), a->directory.programmes, &a->folder, f);
    progress_begin(&a->progress, a->cli, "filling in the past", "batches", 0,
                   os_clock_monotonic_ns() / 1000000);
    if (status == OK)
        status = world_change(a->world, &a->directory, plan, &host, f);
    progress_end(&a->progress);
    if (status == OK)
        status = world_wait(a->world, world_now(a->world), f); /* inboxes of this moment */
    if (status == OK)
        status = world_commit(a->world, f);
    if (status == OK)
        status = a->held != NULL ? held_write(os_disk_real(), path, engine_batch(e), a->held, f)
                                 : held_remove(os_disk_real(), path, f);
    if (status == OK)
        status = snapshot_engine(&a->directory, e, f);
    if (status == OK) {
        status = evlog_close(a->log, f);
        a->log = NULL;
    }
    a->is_active = status == OK;
    return status;
}

/* An erasure that was interrupted would remove the backfill under us. */
static enum status refuse_erasing(const struct activating *a, struct fault *f)
{
    struct erasure left = {0};
    bool is_there;
    enum status status = erasing_read(&a->directory, &left, &is_there, f);
    erasure_fini(&left);
    if (status != OK || !is_there || a->only_looks)
        return status;
    fault_set(
        f,
        "somebody was being erased from %s when that was interrupted: `wend erase` goes on with "
        "it, and so does a start of the server; then try again",
        a->directory.path);
    return FIX_INPUT;
}

static enum status change_here(struct activating *a, struct fault *f)
{
    struct world_options options = {
        .secret = a->directory.secret, .log = a->log, .host = {.self = a, .act = hold}};
    const struct plan *plan;
    enum status status = refuse_erasing(a, f);
    if (status == OK)
        status = recover_to_write(&a->directory, a->log, NULL, &a->recovered, f);
    bool is_changed;
    if (status == OK && !a->only_looks)
        status = directory_take(&a->directory,
                                &(struct taking){.log = a->log,
                                                 .recovered = &a->recovered,
                                                 .now_ms = os_clock_utc_ms()},
                                &is_changed, f);
    if (status == OK)
        status = compile(a, &plan, f);
    if (status != OK)
        return status;
    a->world = world_of(&a->recovered.shelf, a->recovered.engine, &options);
    a->recovered.engine = NULL; /* the world's now */
    struct counting counting = {a, world_engine(a->world)};
    for (uint32_t i = 0; i < 256; i++)
        engine_each_instance(counting.engine, i, &counting, count_instance);
    compare(a, plan);
    say_before(a);
    bool has_other = engine_change(counting.engine).plan != NULL;
    if (a->only_looks || (a->is_active && !has_other))
        return OK;
    if (a->is_active) {
        status = world_abandon(a->world, f);
        return status == OK ? world_commit(a->world, f) : status;
    }
    if (engine_batch(counting.engine) == 0)
        status = world_wait(a->world, os_clock_utc_ms(), f);
    return status == OK ? change(a, plan, f) : status;
}

/* ---- the command --------------------------------------------------------------------------------- */

/* Reads the folder and says what is wrong with it. CLI_OK or an exit code. */
static int check(struct activating *a)
{
    struct cli *c = a->cli;
    const char *map = cli_text(c, "map");
    struct fault f = {0};
    struct buf text;
    shelf_init(&a->wanted_shelf, NULL);
    if (map == NULL)
        return load_programme(c, c->arguments[1], &a->wanted_shelf, &a->folder, &a->wanted);
    buf_init(&text);
    enum status status = os_read_whole(os_disk_real(), map, MAP_BYTES_MAX, &text, &f);
    int code = status != OK
                   ? cli_fail(c, status, &f)
                   : load_programme_with(c, c->arguments[1], STR("migrate.yaml"), buf_str(&text),
                                         &a->wanted_shelf, &a->folder, &a->wanted);
    buf_fini(&text);
    return code;
}

int cmd_activate(struct cli *c)
{
    struct activating a = {.cli = c, .only_looks = cli_flag(c, "check") || cli_flag(c, "preview")};
    struct evlog_options log = {.disk = os_disk_real()};
    struct fault f = {0}, busy = {0};
    enum status status = directory_open(os_disk_real(), c->arguments[0], &a.directory, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    int code = check(&a);
    if (code != CLI_OK) {
        shelf_fini(&a.wanted_shelf);
        return code;
    }
    bool is_served = cli_is_given(c, "url");
    if (!is_served) {
        status = evlog_open(a.directory.log, &log, &a.log, &busy);
        is_served = status == TRY_AGAIN;
        f = busy;
    }
    if (is_served) {
        f = (struct fault){0};
        status = ask_server(&a, &f);
    } else if (status == OK) {
        status = change_here(&a, &f);
    }
    if (status == OK)
        say(&a);
    else
        code = cli_fail(c, status, &f);
    held_free_list(a.held);
    world_free(a.world);
    evlog_free(a.log);
    recovered_fini(&a.recovered);
    programme_folder_fini(&a.folder);
    shelf_fini(&a.wanted_shelf);
    return code;
}
