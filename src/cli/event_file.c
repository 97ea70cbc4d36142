/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/event_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "os/file.h"

/* The window is full before each batch, so that where a batch ends depends on where it begins and on
 * nothing else: an import that was interrupted cuts the same batches as one that was not. */
#define WINDOW_BYTES (512 << 10)

_Static_assert(WINDOW_BYTES >= 2 * IMPORT_ROW_MAX, "a row must fit");

/* ---- reports --------------------------------------------------------------------------------- */

void line_report_file(struct line_report *r, const char *path)
{
    r->path = strcmp(path, "-") == 0 ? "standard input" : path;
}

static void note_line(void *context, uint64_t line, struct str field, struct str message)
{
    struct line_report *r = context;
    if (r->is_muted)
        return;
    r->count++;
    if (r->file != NULL)
        fprintf(r->file, "%s:%lu: %.*s%s%.*s\n", r->path, line, STR_ARG(field),
                field.len ? ": " : "", STR_ARG(message));
    if (r->shown == r->shown_max) {
        r->shown++;
        cli_say(r->cli, "... further lines are counted%s",
                r->file ? " and written to the file of --errors" : "; --errors FILE has them all");
    }
    if (r->shown >= r->shown_max || r->cli->is_quiet)
        return;
    r->shown++;
    term_print(&r->cli->err, TERM_YELLOW, "%s:%lu: ", r->path, line);
    term_text(&r->cli->err, "%.*s%s%.*s\n", STR_ARG(field), field.len ? ": " : "",
              STR_ARG(message));
}

/* ---- names ----------------------------------------------------------------------------------- */

void intake_init(struct intake *in, struct names *names, const uint8_t *secret, struct str source)
{
    *in = (struct intake){.names = names, .vocabulary = vocabulary_new(VOCABULARY_PER_SOURCE_MAX)};
    for (uint32_t i = NAME_FIXED_END; i < names_count(names); i++)
        must(vocabulary_add(in->vocabulary, names_text(names, i), 0) == i);
    in->ingest =
        ingest_new(&(struct ingest_options){.vocabulary = in->vocabulary, .secret = secret});
    in->worker = ingest_worker_new(in->ingest);
    in->source = (struct ingest_source){.name = vocabulary_add(in->vocabulary, source, 0),
                                        .flags = RECORD_IS_SERVER | RECORD_IS_BATCH};
    ingest_batch_init(&in->batch);
    intake_learn(in);
}

void intake_fini(struct intake *in)
{
    if (in->vocabulary == NULL)
        return;
    ingest_batch_fini(&in->batch);
    ingest_worker_free(in->worker);
    ingest_free(in->ingest);
    vocabulary_free(in->vocabulary);
    *in = (struct intake){0};
}

void intake_learn(struct intake *in)
{
    for (uint32_t i = names_count(in->names); i < vocabulary_count(in->vocabulary); i++)
        must(names_add(in->names, vocabulary_text(in->vocabulary, i)) == i);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

bool event_file_is_csv(const char *path)
{
    struct str s = str_of(path);
    struct str end = s.len >= 4 ? str_part(s, s.len - 4, 4) : STR("");
    return str_equal_nocase(end, STR(".csv")) || str_equal_nocase(end, STR(".tsv"));
}

/* Reads up to `bytes` more bytes to `at`; fewer only at the end. */
static enum status read_more(struct event_file *e, uint8_t *at, size_t bytes, size_t *got,
                             struct fault *f)
{
    if (e->file != NULL) {
        enum status status = os_file_read_some(e->file, e->read_at, at, bytes, got, f);
        if (status == OK)
            e->read_at += *got;
        return status;
    }
    *got = fread(at, 1, bytes, stdin);
    if (*got < bytes && ferror(stdin)) {
        fault_set(f, "standard input cannot be read: %s", strerror(errno));
        return GIVE_UP;
    }
    return OK;
}

static enum status fill(struct event_file *e, struct fault *f)
{
    size_t got;
    if (e->from > 0) {
        memmove(e->window.at, e->window.at + e->from, e->window.len - e->from);
        e->window.len -= e->from;
        e->from = 0;
    }
    size_t bytes = WINDOW_BYTES - e->window.len;
    enum status status = read_more(e, buf_reserve(&e->window, bytes), bytes, &got, f);
    if (status != OK)
        return status;
    e->window.len += got;
    e->is_end = got < bytes;
    return OK;
}

static struct str waiting(const struct event_file *e)
{
    return str_part(buf_str(&e->window), e->from, SIZE_MAX);
}

/* ---- the file -------------------------------------------------------------------------------- */

static enum status open_path(struct event_file *e, struct fault *f)
{
    struct os_stat stat;
    const char *path = e->options.path;
    enum status status = os_stat(os_disk_real(), path, &stat, f);
    if (status != OK)
        return status;
    if (stat.kind != OS_REGULAR && stat.kind != OS_ABSENT) {
        fault_set(f, "%s is not a file; - reads standard input", path);
        return FIX_INPUT;
    }
    status = os_file_open(os_disk_real(), path, OS_READ, &e->file, f);
    return status == OK ? os_file_size(e->file, &e->bytes, f) : status;
}

enum status event_file_open(struct event_file *e, const struct event_file_options *options,
                            struct fault *f)
{
    *e = (struct event_file){.options = *options};
    struct import_options import = {
        .format = options->is_csv ? IMPORT_CSV : IMPORT_NDJSON,
        .mapping = options->mapping,
        .source = options->intake->source,
        .is_live = options->is_live,
        .events_max = options->events_max,
    };
    buf_init(&e->window);
    if (options->is_csv && options->mapping == NULL) {
        fault_set(f, "%s is CSV: --mapping FILE says what its columns are", options->path);
        return FIX_INPUT;
    }
    if (!options->is_csv && options->mapping != NULL) {
        fault_set(f, "%s is NDJSON, which needs no mapping; is it CSV? then --format csv",
                  options->path);
        return FIX_INPUT;
    }
    line_report_file(options->report, options->path);
    enum status status = strcmp(options->path, "-") != 0 ? open_path(e, f) : OK;
    if (status == OK)
        status =
            import_new(&import, options->intake->worker, note_line, options->report, &e->import, f);
    if (status != OK)
        event_file_close(e);
    return status;
}

void event_file_close(struct event_file *e)
{
    os_file_close(e->file);
    import_free(e->import);
    buf_fini(&e->window);
    *e = (struct event_file){0};
}

enum status event_file_go_on(struct event_file *e, const struct import_position *position,
                             struct fault *f)
{
    must(e->file != NULL);
    if (e->options.is_csv) {
        size_t taken;
        enum status status = fill(e, f);
        if (status == OK)
            status = import_feed_header(e->import, waiting(e), e->is_end, &taken, f);
        if (status == TRY_AGAIN) {
            fault_set(f, "the header line is longer than %d bytes", WINDOW_BYTES);
            status = FIX_INPUT;
        }
        if (status != OK) {
            fault_place(f, e->options.path, 1, 0);
            return status;
        }
    }
    e->window.len = e->from = 0;
    e->is_end = false;
    e->read_at = position->byte;
    import_resume(e->import, position);
    return OK;
}

enum status event_file_next(struct event_file *e, int64_t now_ms, struct fault *f)
{
    struct ingest_batch *batch = &e->options.intake->batch;
    for (;;) {
        size_t taken = 0;
        bool is_enough = e->options.is_by_row && waiting(e).len >= 2 * IMPORT_ROW_MAX;
        enum status status = e->is_end || is_enough ? OK : fill(e, f);
        if (status != OK)
            return status;
        status = import_feed(e->import, waiting(e), e->is_end, now_ms, batch, &taken, f);
        if (status != OK) {
            fault_place(f, e->options.report->path, 1, 0);
            return status;
        }
        e->from += taken;
        bool is_done = e->is_end && waiting(e).len == 0;
        if (batch->record_count > 0 || is_done) {
            intake_learn(e->options.intake);
            return OK;
        }
        must(taken > 0 || !e->is_end);
    }
}

enum status event_file_row(struct event_file *e, struct event_row row, int64_t now_ms,
                           struct fault *f)
{
    struct import_position at = {.byte = row.byte, .line = row.line};
    size_t got = 0, taken;
    must(row.bytes <= WINDOW_BYTES);
    e->window.len = e->from = 0;
    e->read_at = row.byte;
    enum status status = read_more(e, buf_reserve(&e->window, row.bytes), row.bytes, &got, f);
    if (status != OK)
        return status;
    e->window.len = got;
    import_resume(e->import, &at);
    return import_feed(e->import, buf_str(&e->window), true, now_ms, &e->options.intake->batch,
                       &taken, f);
}

struct import_position event_file_position(const struct event_file *e)
{
    return import_position(e->import);
}

enum status event_file_hash(struct event_file *e, uint64_t from, uint64_t bytes, uint64_t *hash,
                            struct fault *f)
{
    uint8_t part[EVENT_FILE_HASH_BYTES];
    size_t got = 0;
    must(bytes <= sizeof(part));
    must(e->file != NULL);
    enum status status = os_file_read_some(e->file, from, part, bytes, &got, f);
    *hash = got == bytes ? hash_bytes(part, got, 1) : 0;
    return status;
}
