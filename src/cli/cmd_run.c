/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cli/common.h"
#include "cli/progress.h"
#include "cli/run_events.h"
#include "decide/rule.h"
#include "model/identifier.h"
#include "os/clock.h"
#include "os/file.h"
#include "profile/traits.h"
#include "replay/synth.h"
#include "replay/world.h"
#include "when/civil.h"
#include "when/zone.h"
#include "json/json_write.h"

/* A decision worth showing. */
struct example {
    uint64_t profile; /* 0 = none yet */
    uint64_t decision;
    uint32_t message; /* name */
};

/* A run of made-up customers, or of a file's events, through a programme. */
struct run {
    struct cli *cli;
    struct shelf shelf;
    struct directory directory;
    struct evlog *log;
    struct world *world;
    struct synth *synth;
    struct tally tally;
    const uint8_t *secret;
    uint8_t own_secret[IDENTIFIER_SECRET_BYTES]; /* where there is no directory */
    uint32_t source;
    struct arena bodies; /* of one event */
    uint64_t events;
    struct example sent, deferred, candidate; /* to be explained by `wend why` */
    FILE *sent_file;                          /* --sent; NULL: nobody asks */

    /* of a file's events */
    bool is_file;
    struct mapping mapping;
    struct intake intake;
    struct line_report lines;
    struct run_events file;
};

/* The person's user id, or anonymous id; empty if neither is known. Good until the next batch. */
static struct str id_of(struct run *r, uint64_t profile)
{
    struct person who;
    engine_look(world_engine(r->world), profile, &who);
    struct value id = traits_get(&who, NAME_USER_ID, NULL);
    if (id.type != VALUE_TEXT)
        id = traits_get(&who, NAME_ANONYMOUS_ID, NULL);
    return id.type == VALUE_TEXT ? id.text : STR("");
}

/* A line of --sent. */
static void write_sent(struct run *r, const struct result *row)
{
    struct buf out;
    struct json_writer w;
    char at[TIMESTAMP_BYTES];
    buf_init(&out);
    json_write_init(&w, &out, JSON_COMPACT);
    json_write_map(&w);
    json_write_key_text(&w, "at", timestamp_print(row->at_ms, at));
    json_write_key_text(&w, "person", id_of(r, row->profile));
    json_write_key_text(&w, "journey", names_text(r->shelf.names, row->journey));
    json_write_key_text(&w, "message", names_text(r->shelf.names, row->message));
    json_write_key_text(&w, "channel", channel_name((enum channel)row->how));
    json_write_end(&w);
    fprintf(r->sent_file, "%.*s\n", STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

static void act(void *self, const struct action *a, int64_t now_ms)
{
    struct run *r = self;
    uint32_t person = 0;
    const struct plan *plan = engine_plans(world_engine(r->world))->at[a->plan];
    if (plan_errand_at(plan, a->message) != NULL) { /* no message: nobody reads it */
        world_accept(r->world, a);
        return;
    }
    struct receipt receipt = {.kind = RECEIPT_ACCEPTED,
                              .profile = a->profile,
                              .decision = a->decision,
                              .attempt = a->attempt,
                              .provider = plan->providers[a->provider].name};
    if (!r->is_file && synth_person(id_of(r, a->profile), &person)) {
        char id[ATTEMPT_ID_BYTES];
        receipt.kind = synth_answer(r->synth, person);
        receipt.code = receipt.kind == RECEIPT_ACCEPTED ? 250 : 550;
        attempt_id_print(a->profile, a->decision, a->attempt, id);
        if (receipt.kind == RECEIPT_ACCEPTED)
            synth_sent(r->synth, person, names_text(r->shelf.names, a->message_name), a->decision,
                       str_of(id), now_ms);
    }
    world_receipt(r->world, &receipt);
}

/* The newest message that waited for a cap or a hold and went out, and the newest that did not wait. */
static void choose_example(struct run *r, const struct result *row)
{
    struct example x = {row->profile, row->id, row->message};
    if (row->how == OUTCOME_DEFERRED && (row->step == RULE_CAP || row->step == RULE_HOLD))
        r->candidate = x;
    if (row->how != OUTCOME_SENT)
        return;
    if (row->id == r->candidate.decision)
        r->deferred = x;
    else if (row->profile != r->deferred.profile)
        r->sent = x;
}

static void results(void *self, uint64_t batch, int64_t now_ms, const struct result *rows,
                    uint32_t count)
{
    struct run *r = self;
    (void)batch;
    (void)now_ms;
    tally_add(&r->tally, rows, count);
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].kind == RESULT_DECIDED)
            choose_example(r, &rows[i]);
        if (rows[i].kind == RESULT_GRANTED && r->sent_file != NULL)
            write_sent(r, &rows[i]);
    }
}

static struct body keep(struct run *r, struct buf *b)
{
    struct str kept = arena_copy(&r->bodies, buf_str(b));
    buf_fini(b);
    return (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
}

/* What ingest would have made of the event. */
static struct record record_of(struct run *r, const struct synth_event *e)
{
    struct buf clear, personal;
    struct names *names = r->shelf.names;
    buf_init(&clear);
    buf_init(&personal);
    arena_reset(&r->bodies);
    for (uint32_t i = 0; i < e->field_count; i++) {
        const struct synth_field *x = &e->fields[i];
        bool is_clear = x->value.type != VALUE_TEXT && e->kind != EVENT_IDENTIFY;
        body_put(is_clear ? &clear : &personal, names_add(names, x->path), &x->value);
    }
    body_put_text(&personal, NAME_ANONYMOUS_ID, e->anonymous_id);
    if (!e->is_anonymous)
        body_put_text(&personal, NAME_USER_ID, e->user_id);
    struct record record = {
        .type = RECORD_EVENT,
        .kind = e->kind,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .source = r->source,
        .name = e->kind == EVENT_TRACK  ? names_add(names, e->name)
                : e->kind == EVENT_PAGE ? (uint32_t)NAME_PAGE
                                        : (uint32_t)NAME_NONE,
        .at_ms = e->at_ms,
        .event_ms = e->at_ms,
        .arrival_ms = e->at_ms,
        .message_hash = hash_str(e->message_id, 3) | 1,
        .cause = e->decision,
        .anonymous = identifier_hash(IDENTIFIER_ANONYMOUS, e->anonymous_id, r->secret),
        .clear = keep(r, &clear),
        .personal = keep(r, &personal),
    };
    if (!e->is_anonymous)
        record.user = identifier_hash(IDENTIFIER_USER, e->user_id, r->secret);
    record.routing_hash = identifier_route(record.user, record.anonymous);
    return record;
}

static enum status run_all(struct run *r, int64_t start_ms, int64_t end_ms, struct fault *f)
{
    struct progress progress;
    enum status status = OK;
    progress_begin(&progress, r->cli, "running", "hours", (uint64_t)((end_ms - start_ms) / HOUR_MS),
                   os_clock_monotonic_ns() / 1000000);
    while (status == OK && synth_next_ms(r->synth) != FOREVER_MS) {
        /* What is due before may put something new on somebody's agenda. */
        int64_t next_ms = synth_next_ms(r->synth);
        status = world_wait(r->world, next_ms - 1, f);
        if (status != OK || synth_next_ms(r->synth) < next_ms)
            continue;
        struct synth_event e;
        synth_next(r->synth, &e);
        struct record record = record_of(r, &e);
        status = world_apply(r->world, &record, f);
        if ((++r->events & 255) == 0)
            progress_update(&progress, (uint64_t)((e.at_ms - start_ms) / HOUR_MS),
                            os_clock_monotonic_ns() / 1000000);
    }
    if (status == OK)
        status = world_wait(r->world, end_ms, f);
    progress_end(&progress);
    return status;
}

static void print_json(struct cli *c, const struct run *r, int64_t took_ns, uint64_t faults)
{
    struct buf out;
    struct json_writer w;
    const struct engine_counts *counts = engine_counts(world_engine(r->world));
    buf_init(&out);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_int(&w, "events", (int64_t)counts->events);
    json_write_key_int(&w, "duplicates", (int64_t)counts->duplicates);
    if (r->is_file) {
        json_write_key(&w, STR("file"));
        json_write_map(&w);
        json_write_key_int(&w, "rows", (int64_t)r->file.position.rows);
        json_write_key_int(&w, "left_out", (int64_t)r->file.position.left_out);
        json_write_key_int(&w, "bad", (int64_t)r->file.position.bad);
        json_write_key_int(&w, "untimed", (int64_t)r->file.untimed);
        json_write_key_int(&w, "people_assumed", (int64_t)r->file.people_assumed);
        json_write_end(&w);
    }
    json_write_key_int(&w, "batches", (int64_t)counts->batches);
    json_write_key_int(&w, "profiles", (int64_t)engine_profile_count(world_engine(r->world)));
    json_write_key_double(&w, "seconds", (double)took_ns / 1e9);
    json_write_key_int(&w, "audit_faults", (int64_t)faults);
    json_write_key(&w, STR("rows"));
    json_write_list(&w);
    for (uint32_t i = 0; i < r->tally.count; i++) {
        const struct tally_row *row = &r->tally.rows[i];
        json_write_map(&w);
        json_write_key_text(&w, "kind", str_of(result_name((enum result_kind)row->kind)));
        if (row->kind == RESULT_DECIDED)
            json_write_key_text(&w, "outcome", outcome_term((enum outcome)row->how)->name);
        else
            json_write_key_int(&w, "how", row->how);
        json_write_key_int(&w, "rule", row->rule);
        json_write_key_text(&w, "journey", names_text(r->shelf.names, row->journey));
        json_write_key_text(&w, "message", names_text(r->shelf.names, row->message));
        json_write_key_int(&w, "count", (int64_t)row->count);
        json_write_end(&w);
    }
    json_write_end(&w);
    json_write_end(&w);
    term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

static void print_fault(void *self, struct str line)
{
    struct cli *c = self;
    term_print(&c->err, TERM_RED, "  %.*s\n", STR_ARG(line));
}

/* A command that explains the example. */
static void print_why(struct run *r, const struct example *x, const char *what)
{
    const char *data = cli_text(r->cli, "data");
    if (x->profile == 0 || data == NULL)
        return;
    struct str id = id_of(r, x->profile);
    if (id.len > 0)
        term_text(&r->cli->out, "  %-24s wend why %s %.*s --message %.*s --ahead 0s\n", what, data,
                  STR_ARG(id), STR_ARG(names_text(r->shelf.names, x->message)));
}

static void print_file(struct run *r)
{
    struct term *out = &r->cli->out;
    const struct run_events *e = &r->file;
    char a[TERM_NUMBER_BYTES], b[TERM_NUMBER_BYTES], d[TERM_NUMBER_BYTES];
    term_text(out, "  of %s rows %s are left out and %s are wrong",
              term_number((int64_t)e->position.rows, a),
              term_number((int64_t)e->position.left_out, b),
              term_number((int64_t)e->position.bad, d));
    term_text(out, "; %s events came twice\n",
              term_number((int64_t)engine_counts(world_engine(r->world))->duplicates, a));
    if (e->untimed > 0)
        term_print(out, TERM_RED, "  %s events have no time and were not run\n",
                   term_number((int64_t)e->untimed, a));
    if (e->people_assumed > 0)
        term_print(out, TERM_YELLOW,
                   "  %s people were given an address and agreed to mail: that is assumed\n",
                   term_number((int64_t)e->people_assumed, a));
}

static int report(struct run *r, int64_t took_ns)
{
    struct cli *c = r->cli;
    struct engine *e = world_engine(r->world);
    const struct engine_counts *counts = engine_counts(e);
    uint64_t faults = engine_audit(e, c, print_fault);
    char a[TERM_NUMBER_BYTES], b[TERM_NUMBER_BYTES], d[TERM_NUMBER_BYTES], g[TERM_NUMBER_BYTES];
    if (c->is_json) {
        print_json(c, r, took_ns, faults);
        return faults ? CLI_FAILED : CLI_OK;
    }
    term_print(&c->out, TERM_BOLD, "  %s events of %s people",
               term_number((int64_t)counts->events, a),
               term_number((int64_t)engine_profile_count(e), b));
    term_text(&c->out, " in %.1f s: %s events and %s batches per second\n", (double)took_ns / 1e9,
              term_number((int64_t)((double)counts->events * 1e9 / (double)took_ns), d),
              term_number((int64_t)((double)counts->batches * 1e9 / (double)took_ns), g));
    if (r->is_file)
        print_file(r);
    print_tally(c, &r->tally, r->shelf.names);
    if (faults == 0)
        term_print(&c->out, TERM_GREEN, "  audit: no cap exceeded, no slot lost, no timer wrong\n");
    else
        term_print(&c->out, TERM_RED, "  audit: %lu faults\n", faults);
    print_why(r, &r->sent, "why one was sent:");
    print_why(r, &r->deferred, "why one had to wait:");
    return faults ? CLI_FAILED : CLI_OK;
}

static enum status open_log(struct run *r, const char *data, const struct programme_folder *folder,
                            const uint8_t *secret, struct fault *f)
{
    enum status status = directory_make(os_disk_real(), data, secret, &r->directory, f);
    if (status != OK)
        return status;
    bool is_other = memcmp(r->directory.secret, secret, sizeof(r->directory.secret)) != 0;
    if (is_other || os_exists(os_disk_real(), r->directory.log)) {
        fault_set(f, "%s is a data directory already; a run begins in a new one", data);
        return FIX_INPUT;
    }
    status = programme_store(os_disk_real(), r->directory.programmes, folder, f);
    struct evlog_options options = {.disk = os_disk_real()};
    return status == OK ? evlog_open(r->directory.log, &options, &r->log, f) : status;
}

static enum status close_log(struct run *r, struct fault *f)
{
    if (r->log == NULL)
        return OK;
    enum status status = world_commit(r->world, f);
    if (status == OK)
        status = snapshot_engine(&r->directory, world_engine(r->world), f);
    if (status == OK) {
        status = evlog_close(r->log, f);
        r->log = NULL;
    }
    return status;
}

/* The files of --data and --sent. */
static enum status begin(struct run *r, const struct programme_folder *folder, struct fault *f)
{
    const char *data = cli_text(r->cli, "data");
    const char *sent = cli_text(r->cli, "sent");
    enum status status = data != NULL ? open_log(r, data, folder, r->own_secret, f) : OK;
    if (status != OK || sent == NULL)
        return status;
    r->sent_file = fopen(sent, "w");
    if (r->sent_file != NULL)
        return OK;
    fault_set(f, "%s cannot be written: %s", sent, strerror(errno));
    return GIVE_UP;
}

static void make_world(struct run *r, int64_t start_ms)
{
    struct world_options world = {
        .secret = r->secret, .log = r->log, .host = {.self = r, .act = act, .results = results}};
    r->world = world_new(&r->shelf, &world, start_ms);
}

static enum status run_people(struct run *r, const struct plan *plan, int64_t start_ms,
                              struct fault *f)
{
    struct cli *c = r->cli;
    struct synth_options synth = {.seed = (uint64_t)cli_int(c, "seed"),
                                  .people = (uint32_t)cli_int(c, "people"),
                                  .start_ms = start_ms,
                                  .end_ms = start_ms + cli_int(c, "days") * DAY_MS};
    r->source = names_add(r->shelf.names, STR("synth"));
    r->synth = synth_new(&synth);
    make_world(r, start_ms);
    enum status status = world_activate(r->world, plan, f);
    return status == OK ? run_all(r, synth.start_ms, synth.end_ms, f) : status;
}

/* Is there something to run? Asked before a data directory is made of it. */
static enum status look_at_file(struct run *r, struct fault *f)
{
    struct cli *c = r->cli;
    const char *path = cli_text(c, "events");
    const char *format = cli_text(c, "format");
    r->lines = (struct line_report){.cli = c, .shown_max = LINES_SHOWN};
    r->file = (struct run_events){
        .cli = c,
        .assumes_consent = cli_text(c, "assume-consent") != NULL,
        .file = {.path = path,
                 .is_csv = format ? strcmp(format, "csv") == 0 : event_file_is_csv(path),
                 .mapping = cli_text(c, "mapping") ? &r->mapping.import : NULL,
                 .intake = &r->intake,
                 .report = &r->lines},
    };
    intake_init(&r->intake, r->shelf.names, r->secret, STR("file"));
    return run_events_look(&r->file, f);
}

static enum status run_file(struct run *r, const struct plan *plan, struct fault *f)
{
    struct cli *c = r->cli;
    make_world(r, r->file.first_ms);
    enum status status = world_activate(r->world, plan, f);
    if (status == OK)
        status = run_events_go(&r->file, r->world, f);
    if (status == OK)
        status = world_wait(r->world, r->file.last_ms + cli_span_ms(c, "after"), f);
    return status;
}

static enum status end(struct run *r, struct fault *f)
{
    FILE *sent = r->sent_file;
    enum status status = close_log(r, f);
    r->sent_file = NULL;
    if (sent == NULL)
        return status;
    bool is_written = ferror(sent) == 0;
    if ((fclose(sent) == 0 && is_written) || status != OK)
        return status;
    fault_set(f, "%s cannot be written: %s", cli_text(r->cli, "sent"), strerror(errno));
    return GIVE_UP;
}

static int run_under(struct run *r, const struct plan *plan, const struct programme_folder *folder,
                     int64_t start_ms)
{
    struct fault f = {0};
    int64_t began_ns = os_clock_monotonic_ns();
    directory_secret((uint64_t)cli_int(r->cli, "seed"), r->own_secret);
    r->secret = r->own_secret;
    enum status status = r->is_file ? look_at_file(r, &f) : OK;
    if (status == OK)
        status = begin(r, folder, &f);
    if (status == OK)
        status = r->is_file ? run_file(r, plan, &f) : run_people(r, plan, start_ms, &f);
    int64_t took_ns = os_clock_monotonic_ns() - began_ns;
    if (status == OK)
        status = end(r, &f);
    if (status != OK)
        return cli_fail(r->cli, status, &f);
    int code = report(r, max_of(took_ns, 1));
    bool is_wrong = r->file.position.bad + r->file.untimed > 0;
    return code == CLI_OK && is_wrong ? CLI_INPUT : code;
}

/* Options that mean nothing where customers are, or are not, made up. CLI_OK or CLI_USAGE. */
static int check_options(struct cli *c)
{
    static const char *const of_people[] = {"people", "days", "start"};
    static const char *const of_files[] = {"mapping", "format", "assume-consent", "after"};
    bool is_file = cli_text(c, "events") != NULL;
    for (size_t i = 0; i < array_count(of_people); i++)
        if (is_file && cli_is_given(c, of_people[i]))
            return cli_usage(c, "--%s is for made-up customers; those of --events are there",
                             of_people[i]);
    for (size_t i = 0; i < array_count(of_files); i++)
        if (!is_file && cli_is_given(c, of_files[i]))
            return cli_usage(c, "--%s goes with --events FILE", of_files[i]);
    return CLI_OK;
}

int cmd_run(struct cli *c)
{
    struct run r = {.cli = c, .is_file = cli_text(c, "events") != NULL};
    struct programme_folder folder;
    const struct plan *plan = NULL;
    int64_t start_ms = os_clock_utc_ms() - cli_int(c, "days") * DAY_MS;
    int code = check_options(c);
    if (code != CLI_OK)
        return code;
    if (cli_text(c, "start") != NULL && !read_moment(c, cli_text(c, "start"), &start_ms))
        return cli_usage(c, "--start wants a date such as 2026-03-02, not \"%s\"",
                         cli_text(c, "start"));
    shelf_init(&r.shelf, NULL);
    arena_init(&r.bodies, 16384);
    tally_init(&r.tally);
    map_u64_init(&r.file.met);
    code = read_mapping(c, &r.mapping)
               ? load_programme(c, c->arguments[0], &r.shelf, &folder, &plan)
               : CLI_INPUT;
    if (code == CLI_OK) {
        code = run_under(&r, plan, &folder, start_ms);
        programme_folder_fini(&folder);
    }
    if (r.sent_file != NULL)
        fclose(r.sent_file);
    evlog_free(r.log);
    world_free(r.world);
    synth_free(r.synth);
    run_events_fini(&r.file);
    intake_fini(&r.intake);
    mapping_fini(&r.mapping);
    tally_fini(&r.tally);
    arena_fini(&r.bodies);
    shelf_fini(&r.shelf);
    return code;
}
