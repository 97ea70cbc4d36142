/* cmd_erase.c - `wend erase` and `wend export`: by the server that has the directory, or here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/person_json.h"
#include "base/mem.h"
#include "cli/common.h"
#include "cli/operate.h"
#include "evlog/sealer.h"
#include "os/clock.h"
#include "os/file.h"
#include "replay/erase.h"
#include "replay/snapping.h"
#include "replay/takeover.h"
#include "server/export.h"
#include "server/held.h"
#include "server/take.h"

struct erasing {
    const struct directory *directory;
    struct evlog *log;
    struct recovered recovered;
    struct held *held;
    struct erasure erasure;
    char held_path[OS_PATH_BYTES];
};

/* Nothing is sent from here: the next start of the server does. */
static void hold(void *self, const struct engine *e, const struct action *action)
{
    struct erasing *x = self;
    struct held *held = held_new(action, engine_plans(e)->at[action->plan]);
    held->next = x->held;
    x->held = held;
}

/* What waited to be sent to the person does not any more. */
static void drop_held(struct erasing *x)
{
    for (struct held **at = &x->held; *at != NULL;) {
        struct held *h = *at;
        if (h->profile != x->erasure.profile) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        held_free(h);
    }
}

static enum status write_held(struct erasing *x, struct fault *f)
{
    uint64_t batch = engine_batch(x->recovered.engine);
    return x->held != NULL ? held_write(x->directory->disk, x->held_path, batch, x->held, f)
                           : held_remove(x->directory->disk, x->held_path, f);
}

static enum status apply_record(struct erasing *x, struct record *r, struct fault *f)
{
    struct takeover t = {.log = x->log,
                         .recovered = &x->recovered,
                         .now_ms = os_clock_utc_ms(),
                         .self = x,
                         .act = hold};
    return take_over_batch(&t, r, 1, f);
}

static enum status apply(struct erasing *x, enum erase_kind kind, struct fault *f)
{
    struct record r;
    struct buf clear;
    buf_init(&clear);
    erasure_record(&x->erasure, kind, &clear, &r);
    enum status status = apply_record(x, &r, f);
    buf_fini(&clear);
    drop_held(x);
    return status == OK ? write_held(x, f) : status;
}

static int64_t now_ms(void *self)
{
    const struct erasing *x = self;
    return engine_now(x->recovered.engine);
}

static enum status drop(void *self, struct erasure *erasure, struct fault *f)
{
    struct erasing *x = self;
    struct engine *e = x->recovered.engine;
    enum status status = OK;
    if (!engine_is_erased(e, erasure->profile))
        status = apply(x, ERASE_PERSON, f);
    if (status != OK)
        return status;
    erasure->batch = engine_batch(e);
    erasure_learn(erasure, e);
    return OK;
}

static enum status roll(void *self, struct fault *f)
{
    struct erasing *x = self;
    return evlog_roll(x->log, f);
}

static enum status snapshot(void *self, uint64_t batch, struct fault *f)
{
    struct erasing *x = self;
    must(engine_batch(x->recovered.engine) >= batch);
    return snapshot_engine(x->directory, x->recovered.engine, f);
}

static enum status destroy(void *self, struct erasure *erasure, struct fault *f)
{
    struct erasing *x = self;
    struct master_key master;
    struct keystore *keys = NULL;
    enum status status = master_key_of_environment(x->directory->disk, &master, f);
    if (status == OK)
        status = keystore_open(x->directory->disk, x->directory->log, &master, &keys, f);
    if (status == OK)
        status = erasure_destroy(x->directory, keys, erasure, f);
    keystore_close(keys);
    return status;
}

static enum status prove(void *self, const struct erasure *erasure, uint64_t *batch,
                         struct fault *f)
{
    struct erasing *x = self;
    must(erasure == &x->erasure);
    enum status status = apply(x, ERASE_DONE, f);
    *batch = engine_batch(x->recovered.engine);
    return status;
}

/* A change of programme that a run before has left is given up: its backfill would have what is erased, and it could
 * not be made again from a log whose keys are destroyed. Whoever wants it begins it again. */
static enum status give_up_change(struct erasing *x, struct fault *f)
{
    struct record r = {
        .type = RECORD_PROGRAMME, .kind = PROGRAMME_ABANDON, .schema = RECORD_SCHEMA};
    if (engine_change(x->recovered.engine).plan == NULL)
        return OK;
    enum status status = apply_record(x, &r, f);
    must(status != OK || engine_change(x->recovered.engine).plan == NULL);
    return status == OK ? write_held(x, f) : status;
}

static enum status erase(struct erasing *x, struct fault *f)
{
    struct erasure_hands hands = {.self = x,
                                  .now_ms = now_ms,
                                  .drop = drop,
                                  .roll = roll,
                                  .snapshot = snapshot,
                                  .destroy = destroy,
                                  .prove = prove};
    enum status status = give_up_change(x, f);
    return status == OK ? erasure_run(x->directory, &hands, &x->erasure, f) : status;
}

/* What an erasure that was interrupted has left comes first. */
static enum status go_on(struct erasing *x, struct fault *f)
{
    bool is_there;
    struct erasure *left = &x->erasure;
    enum status status = erasing_read(x->directory, left, &is_there, f);
    if (status == OK && is_there)
        status = erase(x, f);
    erasure_fini(left);
    return status;
}

static enum status recover_here(struct erasing *x, struct fault *f)
{
    bool is_changed;
    const struct directory *d = x->directory;
    if (!os_path_join(x->held_path, sizeof(x->held_path), d->path, "held")) {
        fault_set(f, "the path of the data directory is too long");
        return FIX_INPUT;
    }
    enum status status = recover_to_write(d, x->log, NULL, &x->recovered, f);
    if (status == OK)
        status = directory_take(d,
                                &(struct taking){.log = x->log,
                                                 .recovered = &x->recovered,
                                                 .now_ms = os_clock_utc_ms()},
                                &is_changed, f);
    const struct engine *e = x->recovered.engine;
    if (status == OK)
        status = held_read(d->disk, x->held_path, engine_batch(e), engine_plans(e), &x->held, f);
    return status;
}

static enum status do_here(struct erasing *x, struct str person, struct buf *out, struct fault *f)
{
    enum status status = recover_here(x, f);
    if (status == OK)
        status = go_on(x, f);
    if (status != OK)
        return status;
    struct engine *e = x->recovered.engine;
    x->erasure.profile = engine_find_person(e, person);
    if (x->erasure.profile == 0) {
        fault_set(f, "nobody is known as \"%.*s\" (no user id, no anonymous id, no address)",
                  STR_ARG(person));
        return FIX_INPUT;
    }
    erasure_learn(&x->erasure, e);
    status = erase(x, f);
    if (status == OK) {
        status = evlog_close(x->log, f);
        x->log = NULL;
    }
    if (status == OK)
        erasure_json(&x->erasure, out);
    return status;
}

/* Whoever is known by one of the ids is erased; the keys of all of them are destroyed. */
static enum status erase_each(struct erasing *x, const struct engine_ids *ids, uint32_t *people,
                              struct fault *f)
{
    struct master_key master;
    struct keystore *keys = NULL;
    uint32_t destroyed;
    enum status status = recover_here(x, f);
    if (status == OK)
        status = go_on(x, f);
    for (uint32_t i = 0; i < ids->count && status == OK; i++) {
        uint64_t profile = engine_find(x->recovered.engine, ids->at[i]);
        if (profile == 0)
            continue;
        x->erasure.profile = profile;
        erasure_learn(&x->erasure, x->recovered.engine);
        status = erase(x, f);
        erasure_fini(&x->erasure);
        x->erasure = (struct erasure){0};
        ++*people;
    }
    if (status == OK)
        status = master_key_of_environment(x->directory->disk, &master, f);
    if (status == OK)
        status = keystore_open(x->directory->disk, x->directory->log, &master, &keys, f);
    if (status == OK)
        status = keystore_load(keys, f);
    if (status == OK)
        status = keystore_destroy(keys, ids->at, ids->count, &destroyed, f);
    keystore_close(keys);
    return status;
}

enum status erase_listed(const struct directory *d, const struct engine_ids *ids, uint32_t *people,
                         struct fault *f)
{
    struct erasing x = {.directory = d};
    struct evlog_options log = {.disk = d->disk};
    *people = 0;
    enum status status = evlog_open(d->log, &log, &x.log, f);
    if (status == OK)
        status = erase_each(&x, ids, people, f);
    if (status == OK) {
        status = evlog_close(x.log, f);
        x.log = NULL;
    }
    held_free_list(x.held);
    evlog_free(x.log);
    recovered_fini(&x.recovered);
    erasure_fini(&x.erasure);
    return status;
}

int cmd_erase(struct cli *c)
{
    struct directory directory;
    struct erasing x = {.directory = &directory};
    struct evlog_options log = {.disk = os_disk_real()};
    struct fault f = {0};
    struct buf out, request;
    struct str person = str_of(c->arguments[1]);
    buf_init(&out);
    buf_init(&request);
    enum status status = directory_open(os_disk_real(), c->arguments[0], &directory, &f);
    bool is_served = status == OK && cli_is_given(c, "url");
    if (status == OK && !is_served) {
        status = evlog_open(directory.log, &log, &x.log, &f);
        is_served = status == TRY_AGAIN;
    }
    if (is_served) {
        f = (struct fault){0};
        buf_add_str(&request, STR("/v1/person/erase"));
        query_add(&request, "person", person);
        buf_add_byte(&request, '\0');
        status = tell_server(c, &directory, (const char *)request.at, &out, &f);
    } else if (status == OK) {
        status = do_here(&x, person, &out, &f);
    }
    if (status == OK)
        term_text(&c->out, "%.*s\n", STR_ARG(str_trim(buf_str(&out))));
    held_free_list(x.held);
    evlog_free(x.log);
    recovered_fini(&x.recovered);
    erasure_fini(&x.erasure);
    buf_fini(&request);
    buf_fini(&out);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}

int cmd_export(struct cli *c)
{
    struct directory d;
    struct recovered r;
    struct fault f = {0};
    struct erasure who = {0};
    struct buf person, out;
    buf_init(&person);
    buf_init(&out);
    struct recover_options options = {0};
    enum status status = directory_open(os_disk_real(), c->arguments[0], &d, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    status = recover(&d, &options, &r, &f);
    if (status == OK) {
        who.profile = engine_find_person(r.engine, str_of(c->arguments[1]));
        if (who.profile == 0) {
            fault_set(&f, "nobody is known as \"%s\" (no user id, no anonymous id, no address)",
                      c->arguments[1]);
            status = FIX_INPUT;
        }
    }
    if (status == OK) {
        erasure_learn(&who, r.engine);
        person_json(r.engine, who.profile, &person);
        status = export_person(&d, &who, buf_str(&person), &out, &f);
    }
    if (status == OK)
        term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
    recovered_fini(&r);
    erasure_fini(&who);
    buf_fini(&person);
    buf_fini(&out);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}
