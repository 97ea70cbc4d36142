/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operate.h"

#include <string.h>

#include "cli/common.h"
#include "http/call.h"
#include "os/clock.h"
#include "os/file.h"
#include "replay/world.h"
#include "server/held.h"
#include "server/keys.h"
#include "server/take.h"

#define ANSWER_BYTES ((size_t)1 << 20)

/* ---- a server ------------------------------------------------------------------------------------ */

enum status server_key(struct cli *c, const struct directory *d, struct str *key, struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct keys keys;
    const char *given = cli_text(c, "key");
    if (given != NULL) {
        *key = str_of(given);
        return OK;
    }
    if (!os_path_join(path, sizeof(path), d->path, "keys.json") ||
        !os_exists(os_disk_real(), path)) {
        fault_set(f, "the server was given its keys on its command line; give --key a server key");
        return FIX_INPUT;
    }
    keys_init(&keys);
    *key = (struct str){0};
    enum status status = keys_load(&keys, os_disk_real(), path, f);
    for (uint32_t i = 0; status == OK && i < keys.count; i++)
        if (keys.list[i].flags & INGEST_KEY_SERVER)
            *key = arena_copy(&c->arena, keys.list[i].key);
    keys_fini(&keys);
    if (status == OK && key->len == 0) {
        fault_set(f, "%s has no server key; give one with --key", path);
        status = FIX_INPUT;
    }
    return status;
}

enum status server_ask(const struct http_call *call, struct json_parser *parser, struct buf *body,
                       struct json_node *out, struct fault *f)
{
    long http_status = 0;
    struct fault ignored = {0};
    body->len = 0;
    enum status status = http_call(call, body, &http_status, f);
    if (status != OK)
        return status;
    bool is_json = json_parse(parser, buf_str(body), 8, out, &ignored) == OK;
    if (is_json && http_status < 300)
        return OK;
    struct str why = is_json ? json_text(json_find(*out, STR("message"))) : STR("no JSON");
    fault_set(f, "%s answers %ld: %.*s", call->url, http_status, STR_ARG(why));
    return http_status == 422 || http_status == 404 || http_status == 400 ? FIX_INPUT : GIVE_UP;
}

void query_add(struct buf *out, const char *name, struct str text)
{
    buf_printf(out, "%c%s=", memchr(out->at, '?', out->len) ? '&' : '?', name);
    for (size_t i = 0; i < text.len; i++) {
        char x = text.at[i];
        bool is_plain = (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') ||
                        (x >= '0' && x <= '9') || x == '-' || x == '_' || x == '.' || x == '/';
        buf_printf(out, is_plain ? "%c" : "%%%02X", (unsigned)(uint8_t)x);
    }
}

bool read_pace(struct cli *c, struct command_word *out, int *code)
{
    const char *text = cli_text(c, "pace");
    struct plan_pace pace = {0};
    if (strcmp(text, "none") != 0 && !pace_parse(str_of(text), &pace)) {
        *code = cli_usage(
            c, "--pace wants a number of people in a time, 5000/h, or none, not \"%s\"", text);
        return false;
    }
    out->pace_count = pace.count;
    out->pace_ms = pace.per_ms;
    return true;
}

static enum status tell_all(struct cli *c, const struct directory *d, const struct operation *list,
                            uint32_t count, struct buf *out, struct fault *f)
{
    struct json_parser *parser = json_parser_new(ANSWER_BYTES);
    struct json_node answer;
    struct buf body;
    struct str key;
    buf_init(&body);
    enum status status = server_key(c, d, &key, f);
    for (uint32_t i = 0; status == OK && i < count; i++) {
        struct http_call call = {.url = cli_text(c, "url"),
                                 .path = list[i].request,
                                 .key = key.at,
                                 .body = list[i].body};
        status = server_ask(&call, parser, &body, &answer, f);
    }
    if (status == OK && out != NULL)
        buf_add_str(out, buf_str(&body));
    else if (status == OK && c->is_json)
        term_text(&c->out, "%.*s", STR_ARG(buf_str(&body)));
    buf_fini(&body);
    json_parser_free(parser);
    return status;
}

enum status tell_server(struct cli *c, const struct directory *d, const char *request,
                        struct buf *out, struct fault *f)
{
    const struct operation one = {.request = request, .body = ""};
    return tell_all(c, d, &one, 1, out, f);
}

/* ---- a directory that nobody serves -------------------------------------------------------------- */

struct offline {
    struct directory *directory;
    struct evlog *log;
    struct recovered recovered;
    struct world *world;
    struct held *held;
};

/* Nothing is sent from here: the next start of the server does. */
static void hold(void *self, const struct action *action, int64_t now_ms)
{
    struct offline *o = self;
    struct held *held = held_new(action, engine_plans(world_engine(o->world))->at[action->plan]);
    (void)now_ms;
    held->next = o->held;
    o->held = held;
}

static enum status make_command(struct engine *e, struct names *names, const void *what,
                                struct buf *clear, struct buf *personal, struct record *out,
                                struct fault *f)
{
    const struct command_word *word = what;
    (void)personal;
    enum status status = command_check(engine_controls(e), engine_plan(e), names, word, f);
    if (status != OK)
        return status;
    command_write(word, clear, out);
    out->source = names_add(names, STR("operator"));
    return OK;
}

static enum status apply(struct offline *o, const struct operation *x, struct fault *f)
{
    struct buf clear, personal;
    struct record r;
    operate_make *make = x->make != NULL ? x->make : make_command;
    const void *what = x->make != NULL ? x->what : &x->word;
    buf_init(&clear);
    buf_init(&personal);
    enum status status =
        make(world_engine(o->world), o->recovered.shelf.names, what, &clear, &personal, &r, f);
    if (status == OK) {
        r.at_ms = r.event_ms = r.arrival_ms = world_now(o->world);
        status = world_apply(o->world, &r, f);
    }
    if (status == OK)
        status = world_wait(o->world, world_now(o->world), f); /* what follows at this moment */
    buf_fini(&clear);
    buf_fini(&personal);
    return status;
}

/* Leaves the directory as a server that stopped would. */
static enum status leave(struct offline *o, const char *held, struct fault *f)
{
    struct engine *e = world_engine(o->world);
    enum status status = world_commit(o->world, f);
    if (status == OK)
        status = o->held != NULL ? held_write(os_disk_real(), held, engine_batch(e), o->held, f)
                                 : held_remove(os_disk_real(), held, f);
    if (status == OK)
        status = snapshot_engine(o->directory, e, f);
    if (status == OK) {
        status = evlog_close(o->log, f);
        o->log = NULL;
    }
    return status;
}

static enum status do_here(struct offline *o, const struct operation *list, uint32_t count,
                           struct fault *f)
{
    struct world_options options = {
        .secret = o->directory->secret, .log = o->log, .host = {.self = o, .act = hold}};
    char held[OS_PATH_BYTES];
    if (!os_path_join(held, sizeof(held), o->directory->path, "held")) {
        fault_set(f, "the path of the data directory is too long");
        return FIX_INPUT;
    }
    bool is_changed;
    enum status status = recover_to_write(o->directory, o->log, NULL, &o->recovered, f);
    if (status == OK)
        status = directory_take(o->directory,
                                &(struct taking){.log = o->log,
                                                 .recovered = &o->recovered,
                                                 .now_ms = os_clock_utc_ms()},
                                &is_changed, f);
    if (status != OK)
        return status;
    o->world = world_of(&o->recovered.shelf, o->recovered.engine, &options);
    o->recovered.engine = NULL; /* the world's now */
    const struct engine *e = world_engine(o->world);
    for (uint32_t i = 0; status == OK && i < count; i++) {
        if (i == 0)
            status = held_read(os_disk_real(), held, engine_batch(e), engine_plans(e), &o->held, f);
        if (status == OK)
            status = apply(o, &list[i], f);
    }
    return status == OK ? leave(o, held, f) : status;
}

int operate(struct cli *c, const char *path, const struct command_word *word, const char *request)
{
    const struct operation one = {.word = *word, .request = request, .body = ""};
    return operate_all(c, path, &one, 1);
}

int operate_all(struct cli *c, const char *path, const struct operation *list, uint32_t count)
{
    struct directory directory;
    struct offline o = {.directory = &directory};
    struct evlog_options log = {.disk = os_disk_real()};
    struct fault f = {0};
    enum status status = directory_open(os_disk_real(), path, &directory, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    bool is_served = cli_is_given(c, "url");
    if (!is_served) {
        status = evlog_open(directory.log, &log, &o.log, &f);
        is_served = status == TRY_AGAIN;
    }
    if (is_served) {
        f = (struct fault){0};
        status = tell_all(c, &directory, list, count, NULL, &f);
    } else if (status == OK) {
        status = do_here(&o, list, count, &f);
    }
    held_free_list(o.held);
    world_free(o.world);
    evlog_free(o.log);
    recovered_fini(&o.recovered);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}
