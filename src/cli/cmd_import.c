/* cmd_import.c - files of events into a data directory that nobody serves.
 *
 * While it is imported no time passes: events are applied at the moment at which the log ends (in a new
 * directory: now). So nothing falls due, nothing is sent, and the state that comes out depends on
 * the log and the files alone.
 *
 *     open log ──► recover ──► [programme] ──► batch, batch, ... ──► snapshot, close
 *                                                 │
 *                                 every 16:  commit ──► imports/HASH.json says how far
 *
 * The position is written after what it speaks of is durable. After a crash in between, or where a file
 * is read again from its beginning, events whose message ids the state remembers are left out before
 * they reach the log: importing twice adds nothing at all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <string.h>

#include "cli/common.h"
#include "cli/event_file.h"
#include "cli/progress.h"
#include "os/clock.h"
#include "os/file.h"
#include "replay/world.h"
#include "server/held.h"
#include "server/take.h"
#include "json/json.h"
#include "json/json_write.h"

#define EVENTS_A_BATCH   2048
#define BATCHES_A_COMMIT 16
#define POSITION_BYTES   4096 /* a position's file has at most */

struct importing {
    struct cli *cli;
    struct directory directory;
    struct evlog *log;
    struct recovered recovered;
    struct world *world;
    struct mapping mapping;
    struct intake intake;
    struct line_report report;
    struct held *held; /* granted and not with a provider */
    int64_t at_ms;     /* engine time of all of it */
    bool is_live;

    /* the file at hand */
    struct event_file file;
    char position_path[OS_PATH_BYTES];

    /* all files */
    struct import_position total; /* rows, good, bad, left_out of this run */
    uint64_t known;               /* events that were there already */
    uint64_t files_done;          /* had nothing new */
    int64_t began_ns;
};

/* ---- where a file is ------------------------------------------------------------------------- */

/* Two files are one if path, source, mapping and purpose are; whether it is still the file that it was
 * is told by its bytes at the beginning and before the position. */
struct bookmark {
    struct import_position at;
    uint64_t head_hash;
    uint64_t tail_hash;
};

static enum status hash_ends(struct importing *im, struct bookmark *b, struct fault *f)
{
    uint64_t bytes = min_of(b->at.byte, (uint64_t)EVENT_FILE_HASH_BYTES);
    enum status status = event_file_hash(&im->file, 0, bytes, &b->head_hash, f);
    if (status == OK)
        status = event_file_hash(&im->file, b->at.byte - bytes, bytes, &b->tail_hash, f);
    return status;
}

static enum status write_position(struct importing *im, struct fault *f)
{
    struct bookmark b = {.at = event_file_position(&im->file)};
    if (im->file.file == NULL)
        return OK;
    enum status status = hash_ends(im, &b, f);
    if (status != OK)
        return status;
    struct buf out;
    struct json_writer w;
    buf_init(&out);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_text(&w, "file", str_of(im->file.options.path));
    json_write_key_int(&w, "byte", (int64_t)b.at.byte);
    json_write_key_int(&w, "line", (int64_t)b.at.line);
    json_write_key_int(&w, "rows", (int64_t)b.at.rows);
    json_write_key_int(&w, "good", (int64_t)b.at.good);
    json_write_key_int(&w, "bad", (int64_t)b.at.bad);
    json_write_key_int(&w, "left_out", (int64_t)b.at.left_out);
    json_write_key_bool(&w, "is_in_long_row", b.at.is_in_long_row);
    json_write_key_int(&w, "head", (int64_t)b.head_hash);
    json_write_key_int(&w, "tail", (int64_t)b.tail_hash);
    json_write_end(&w);
    buf_add_byte(&out, '\n');
    status = os_write_whole(os_disk_real(), im->position_path, buf_str(&out), f);
    buf_fini(&out);
    return status;
}

static bool read_count(struct json_node map, const char *key, uint64_t *out)
{
    int64_t number;
    if (!json_int(json_find(map, str_of(key)), &number))
        return false;
    *out = (uint64_t)number;
    return true;
}

static bool parse_bookmark(struct str text, struct bookmark *b)
{
    struct json_parser *parser = json_parser_new(POSITION_BYTES);
    struct json_node map;
    bool is_fine = json_parse(parser, text, 4, &map, NULL) == OK;
    is_fine = is_fine && read_count(map, "byte", &b->at.byte) &&
              read_count(map, "line", &b->at.line) && read_count(map, "rows", &b->at.rows) &&
              read_count(map, "good", &b->at.good) && read_count(map, "bad", &b->at.bad) &&
              read_count(map, "left_out", &b->at.left_out) &&
              read_count(map, "head", &b->head_hash) && read_count(map, "tail", &b->tail_hash);
    if (is_fine)
        b->at.is_in_long_row = json_is_true(json_find(map, STR("is_in_long_row")));
    json_parser_free(parser);
    return is_fine;
}

/* Goes on where an import of this file before this one has come to, if there was one. */
static enum status go_on(struct importing *im, struct fault *f)
{
    struct bookmark b, is = {0};
    struct buf text;
    if (im->file.file == NULL || cli_flag(im->cli, "again") ||
        !os_exists(os_disk_real(), im->position_path))
        return OK;
    buf_init(&text);
    enum status status = os_read_whole(os_disk_real(), im->position_path, POSITION_BYTES, &text, f);
    bool is_read = status == OK && parse_bookmark(buf_str(&text), &b);
    buf_fini(&text);
    if (status != OK)
        return status;
    if (is_read && b.at.byte <= im->file.bytes) {
        is.at = b.at;
        status = hash_ends(im, &is, f);
        if (status != OK)
            return status;
    }
    if (!is_read || is.head_hash != b.head_hash || is.tail_hash != b.tail_hash) {
        cli_say(im->cli,
                "%s is not the file that was imported under this name before: it is read from its "
                "beginning",
                im->file.options.path);
        return OK;
    }
    return event_file_go_on(&im->file, &b.at, f);
}

static enum status name_position(struct importing *im, const char *path, bool is_csv,
                                 struct fault *f)
{
    char folder[OS_PATH_BYTES], name[32];
    uint64_t hash = hash_str(str_of(path), 0);
    hash = hash_pair(hash, im->intake.source.name);
    hash = hash_pair(hash, im->mapping.hash);
    hash = hash_pair(hash, (uint64_t)is_csv << 1 | im->is_live);
    snprintf(name, sizeof(name), "%016lx.json", hash);
    if (!os_path_join(folder, sizeof(folder), im->directory.path, "imports") ||
        !os_path_join(im->position_path, sizeof(im->position_path), folder, name)) {
        fault_set(f, "the path of the data directory is too long");
        return FIX_INPUT;
    }
    return os_make_dirs(os_disk_real(), folder, f);
}

/* ---- one file -------------------------------------------------------------------------------- */

/* Takes away what the state knows already; the number that is left. */
static uint32_t drop_known(struct importing *im)
{
    struct ingest_batch *batch = &im->intake.batch;
    const struct engine *e = world_engine(im->world);
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        if (engine_has_seen(e, batch->records[i].message_hash, im->at_ms)) {
            im->known++;
            continue;
        }
        batch->records[count] = batch->records[i];
        batch->records[count++].at_ms = im->at_ms;
    }
    return count;
}

static enum status commit(struct importing *im, struct fault *f)
{
    enum status status = world_commit(im->world, f);
    return status == OK ? write_position(im, f) : status;
}

static enum status read_file(struct importing *im, struct fault *f)
{
    struct progress progress;
    uint32_t uncommitted = 0;
    enum status status = OK;
    progress_begin(&progress, im->cli, "importing", im->file.bytes ? "KB" : "rows",
                   im->file.bytes / 1024, os_clock_monotonic_ns() / 1000000);
    for (;;) {
        status = event_file_next(&im->file, os_clock_utc_ms(), f);
        if (status != OK || im->intake.batch.record_count == 0)
            break;
        uint32_t count = drop_known(im);
        if (count > 0)
            status = world_apply_all(im->world, im->intake.batch.records, count, f);
        if (status == OK && ++uncommitted == BATCHES_A_COMMIT) {
            status = commit(im, f);
            uncommitted = 0;
        }
        if (status != OK)
            break;
        struct import_position at = event_file_position(&im->file);
        progress_update(&progress, im->file.bytes ? at.byte / 1024 : at.rows,
                        os_clock_monotonic_ns() / 1000000);
    }
    progress_end(&progress);
    return status == OK ? commit(im, f) : status;
}

static enum status import_one(struct importing *im, const char *path, struct fault *f)
{
    const char *format = cli_text(im->cli, "format");
    bool is_csv = format != NULL ? strcmp(format, "csv") == 0 : event_file_is_csv(path);
    struct event_file_options options = {
        .path = path,
        .is_csv = is_csv,
        .mapping = cli_text(im->cli, "mapping") ? &im->mapping.import : NULL,
        .is_live = im->is_live,
        .events_max = EVENTS_A_BATCH,
        .intake = &im->intake,
        .report = &im->report};
    enum status status = event_file_open(&im->file, &options, f);
    if (status != OK)
        return status;
    status = name_position(im, path, is_csv, f);
    if (status == OK)
        status = go_on(im, f);
    struct import_position from = event_file_position(&im->file);
    if (status == OK)
        status = read_file(im, f);
    struct import_position to = event_file_position(&im->file);
    im->total.rows += to.rows - from.rows;
    im->total.good += to.good - from.good;
    im->total.bad += to.bad - from.bad;
    im->total.left_out += to.left_out - from.left_out;
    im->files_done += from.byte > 0 && from.byte == to.byte;
    event_file_close(&im->file);
    return status;
}

/* ---- the directory --------------------------------------------------------------------------- */

/* Nothing is sent from here: the next start of the server does. */
static void hold(void *self, const struct action *a, int64_t now_ms)
{
    struct importing *im = self;
    struct held *held = held_new(a, engine_plans(world_engine(im->world))->at[a->plan]);
    (void)now_ms;
    held->next = im->held;
    im->held = held;
}

static enum status held_path(const struct importing *im, char path[OS_PATH_BYTES], struct fault *f)
{
    if (os_path_join(path, OS_PATH_BYTES, im->directory.path, "held"))
        return OK;
    fault_set(f, "the path of the data directory is too long");
    return FIX_INPUT;
}

/* What a server that stopped in order had not sent yet waits on, under the log's new end. */
static enum status read_held(struct importing *im, struct fault *f)
{
    char path[OS_PATH_BYTES];
    enum status status = held_path(im, path, f);
    const struct engine *e = world_engine(im->world);
    return status == OK
               ? held_read(os_disk_real(), path, engine_batch(e), engine_plans(e), &im->held, f)
               : status;
}

static enum status write_held(struct importing *im, struct fault *f)
{
    char path[OS_PATH_BYTES];
    enum status status = held_path(im, path, f);
    if (status != OK)
        return status;
    if (im->held == NULL)
        return held_remove(os_disk_real(), path, f);
    return held_write(os_disk_real(), path, engine_batch(world_engine(im->world)), im->held, f);
}

static enum status open_directory(struct importing *im, struct fault *f)
{
    struct evlog_options log = {.disk = os_disk_real()};
    struct world_options world = {.host = {.self = im, .act = hold}};
    const char *path = im->cli->arguments[0];
    bool is_changed;
    enum status status = directory_make(os_disk_real(), path, NULL, &im->directory, f);
    if (status != OK)
        return status;
    status = evlog_open(im->directory.log, &log, &im->log, f);
    if (status == TRY_AGAIN)
        fault_prefix(f, "%s is in use (a server takes the same events at POST /v1/batch): ", path);
    if (status == OK)
        status = recover_to_write(&im->directory, im->log, NULL, &im->recovered, f);
    if (status == OK)
        status = directory_take(&im->directory,
                                &(struct taking){.log = im->log,
                                                 .recovered = &im->recovered,
                                                 .now_ms = os_clock_utc_ms()},
                                &is_changed, f);
    if (status != OK)
        return status;
    world.secret = im->directory.secret;
    world.log = im->log;
    im->world = world_of(&im->recovered.shelf, im->recovered.engine, &world);
    im->recovered.engine = NULL; /* the world's now */
    bool is_new = engine_batch(world_engine(im->world)) == 0;
    im->at_ms = is_new ? os_clock_utc_ms() : world_now(im->world);
    status = world_wait(im->world, im->at_ms, f);
    return status == OK ? read_held(im, f) : status;
}

/* Makes the programme of --programme the live one. CLI_OK or an exit code. */
static int activate(struct importing *im)
{
    const char *path = cli_text(im->cli, "programme");
    const struct plans *plans = engine_plans(world_engine(im->world));
    struct programme_folder folder;
    const struct plan *plan;
    struct fault f = {0};
    if (path == NULL) {
        if (plans->newest == 0)
            cli_say(im->cli,
                    "%s has no programme yet, so nobody's history is kept, only what "
                    "is known of people; --programme FOLDER gives it one",
                    im->directory.path);
        return CLI_OK;
    }
    int code = load_programme(im->cli, path, &im->recovered.shelf, &folder, &plan);
    if (code != CLI_OK)
        return code;
    enum status status = OK;
    bool is_live = plans->newest && strcmp(plans->at[plans->newest]->hash, plan->hash) == 0;
    if (!is_live)
        status = programme_store(os_disk_real(), im->directory.programmes, &folder, &f);
    if (status == OK && !is_live)
        status = world_change(im->world, &im->directory, plan, NULL, &f);
    programme_folder_fini(&folder);
    return status == OK ? CLI_OK : cli_fail(im->cli, status, &f);
}

static enum status close_directory(struct importing *im, struct fault *f)
{
    /* inboxes of this moment */
    enum status status = world_wait(im->world, world_now(im->world), f);
    if (status == OK)
        status = world_commit(im->world, f);
    if (status == OK)
        status = write_held(im, f);
    if (status == OK)
        status = snapshot_engine(&im->directory, world_engine(im->world), f);
    if (status == OK) {
        status = evlog_close(im->log, f);
        im->log = NULL;
    }
    return status;
}

/* ---- what came of it ------------------------------------------------------------------------- */

static void say(struct importing *im)
{
    struct cli *c = im->cli;
    const struct engine *e = world_engine(im->world);
    uint64_t known = im->known + engine_counts(e)->duplicates;
    uint64_t added = im->total.good - known;
    double seconds = (double)(os_clock_monotonic_ns() - im->began_ns) / 1e9;
    char a[TERM_NUMBER_BYTES], b[TERM_NUMBER_BYTES];
    if (c->is_json) {
        struct buf out;
        struct json_writer w;
        buf_init(&out);
        json_write_init(&w, &out, JSON_PRETTY);
        json_write_map(&w);
        json_write_key_int(&w, "files", c->argument_count - 1);
        json_write_key_int(&w, "rows", (int64_t)im->total.rows);
        json_write_key_int(&w, "events", (int64_t)added);
        json_write_key_int(&w, "known", (int64_t)known);
        json_write_key_int(&w, "left_out", (int64_t)im->total.left_out);
        json_write_key_int(&w, "bad", (int64_t)im->total.bad);
        json_write_key_int(&w, "people", (int64_t)engine_profile_count(e));
        json_write_key_int(&w, "batch", (int64_t)engine_batch(e));
        json_write_key_double(&w, "seconds", seconds);
        json_write_end(&w);
        term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
        buf_fini(&out);
        return;
    }
    term_print(&c->out, TERM_BOLD, "  %s events", term_number((int64_t)added, a));
    term_text(&c->out, " of %s rows in %.1f s", term_number((int64_t)im->total.rows, b), seconds);
    if (known > 0)
        term_text(&c->out, "; %s were there already", term_number((int64_t)known, a));
    if (im->total.left_out > 0)
        term_text(&c->out, "; %s rows left out", term_number((int64_t)im->total.left_out, a));
    term_text(&c->out, "\n");
    if (im->files_done > 0)
        term_text(&c->out,
                  "  %lu file%s had nothing new since the last time; --again reads from the "
                  "beginning\n",
                  im->files_done, im->files_done == 1 ? "" : "s");
    if (im->total.bad > 0)
        term_print(&c->out, TERM_RED, "  %s lines are wrong and were left out\n",
                   term_number((int64_t)im->total.bad, a));
    if (im->held != NULL)
        term_text(&c->out, "  messages wait for `wend serve` to send them\n");
}

static bool open_errors(struct importing *im, struct fault *f)
{
    const char *path = cli_text(im->cli, "errors");
    if (path == NULL)
        return true;
    im->report.file = fopen(path, "w");
    if (im->report.file == NULL)
        fault_set(f, "%s cannot be written: %s", path, strerror(errno));
    return im->report.file != NULL;
}

/* All lines that are wrong are in the file, or it is said that they are not. */
static enum status close_errors(struct importing *im, struct fault *f)
{
    FILE *file = im->report.file;
    im->report.file = NULL;
    if (file == NULL)
        return OK;
    bool is_written = ferror(file) == 0;
    if (fclose(file) == 0 && is_written)
        return OK;
    fault_set(f, "%s cannot be written: %s", cli_text(im->cli, "errors"), strerror(errno));
    return GIVE_UP;
}

static int run(struct importing *im, struct fault *f)
{
    struct cli *c = im->cli;
    if (!read_mapping(c, &im->mapping))
        return CLI_INPUT;
    if (!open_errors(im, f))
        return cli_fail(c, GIVE_UP, f);
    enum status status = open_directory(im, f);
    if (status != OK)
        return cli_fail(c, status, f);
    int code = activate(im);
    if (code != CLI_OK)
        return code;
    intake_init(&im->intake, im->recovered.shelf.names, im->directory.secret,
                str_of(cli_text(c, "source")));
    if (!im->is_live)
        im->intake.source.flags &= (uint8_t)~RECORD_IS_BATCH;
    for (uint32_t i = 1; i < c->argument_count && status == OK; i++)
        status = import_one(im, c->arguments[i], f);
    enum status closed = close_directory(im, status == OK ? f : NULL);
    if (status == OK)
        status = closed;
    if (status == OK)
        status = close_errors(im, f);
    if (status != OK)
        return cli_fail(c, status, f);
    say(im);
    return im->total.bad > 0 ? CLI_INPUT : CLI_OK;
}

int cmd_import(struct cli *c)
{
    struct fault f = {0};
    struct importing im = {.cli = c,
                           .is_live = cli_flag(c, "live"),
                           .report = {.cli = c, .shown_max = LINES_SHOWN},
                           .began_ns = os_clock_monotonic_ns()};
    if (cli_text(c, "source")[0] == '\0' || strlen(cli_text(c, "source")) > NAME_BYTES_MAX)
        return cli_usage(c, "--source wants a name of 1 to %d bytes", NAME_BYTES_MAX);
    int code = run(&im, &f);
    held_free_list(im.held);
    intake_fini(&im.intake);
    world_free(im.world);
    evlog_free(im.log);
    recovered_fini(&im.recovered);
    mapping_fini(&im.mapping);
    if (im.report.file != NULL)
        fclose(im.report.file);
    return code;
}
