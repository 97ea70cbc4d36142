/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "evlog/evlog.h"
#include "ingest/describe.h"
#include "model/result.h"
#include "replay/erase.h"

/* The log's records as lines of JSON. */
struct dump {
    struct cli *cli;
    struct vocabulary *vocabulary;
    struct arena scratch;
    struct buf line;
    const struct directory *directory;
    struct erasure who; /* --person: what means them */
};

/* The names that the reader knows and we do not. */
static void learn(struct dump *d, const struct names *names)
{
    for (uint32_t name = vocabulary_count(d->vocabulary); name < names_count(names); name++)
        must(vocabulary_add(d->vocabulary, names_text(names, name), 0) == name);
}

static void print_line(struct dump *d)
{
    buf_add_byte(&d->line, '\n');
    fwrite(d->line.at, 1, d->line.len, d->cli->out.file);
}

static void print_batch(struct dump *d, const struct batch *batch, const char *source)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct record *record = &batch->records[i];
        struct json_writer w;
        if (source != NULL && !str_is(vocabulary_text(d->vocabulary, record->source), source))
            continue;
        if (d->who.profile != 0 &&
            (record->type != RECORD_EVENT || !erasure_concerns(d->directory, &d->who.ids, record)))
            continue;
        d->line.len = 0;
        json_write_init(&w, &d->line, JSON_COMPACT);
        record_describe(record, d->vocabulary, &d->scratch, &w);
        print_line(d);
        arena_reset(&d->scratch);
    }
}

static void write_name(struct dump *d, struct json_writer *w, const char *key, int64_t name)
{
    if (name > 0 && name < vocabulary_count(d->vocabulary))
        json_write_key_text(w, key, vocabulary_text(d->vocabulary, (uint32_t)name));
}

static void print_row(struct dump *d, uint64_t batch, const struct result *row)
{
    struct json_writer w;
    char id[24];
    d->line.len = 0;
    json_write_init(&w, &d->line, JSON_COMPACT);
    json_write_map(&w);
    json_write_key_text(&w, "type", STR("result"));
    json_write_key_int(&w, "batch", (int64_t)batch);
    json_write_key_int(&w, "at_ms", row->at_ms);
    json_write_key_text(&w, "result", str_of(result_name(row->kind)));
    if (result_how(row).len > 0)
        json_write_key_text(&w, "what", result_how(row));
    json_write_key_int(&w, "how", row->how);
    json_write_key_int(&w, "step", row->step);
    write_name(d, &w, "journey", row->journey);
    write_name(d, &w, "message", row->message);
    if (row->version)
        json_write_key_int(&w, "version", row->version);
    if (row->channel)
        json_write_key_text(&w, "channel", channel_name((enum channel)row->channel));
    json_write_key_int(&w, "profile", (int64_t)row->profile);
    snprintf(id, sizeof(id), "%016llx", (unsigned long long)row->id);
    json_write_key_text(&w, "id", str_of(id));
    json_write_key_int(&w, "number", row->number);
    if (result_has_name(row))
        write_name(d, &w, "name", row->number);
    json_write_end(&w);
    print_line(d);
}

static enum status print_results(struct dump *d, const struct evlog_item *item, struct fault *f)
{
    struct cursor c = cursor_of(item->results.at, item->results.len);
    struct result row;
    while (results_read(&c, item->now_ms, &row))
        print_row(d, item->number, &row);
    if (!c.is_bad)
        return OK;
    fault_set(f, "the results of batch %llu are damaged", (unsigned long long)item->number);
    return GIVE_UP;
}

static enum status print_log(struct dump *d, struct evlog_reader *reader, struct fault *f)
{
    struct cli *c = d->cli;
    uint64_t last = (uint64_t)cli_int(c, "to");
    bool with_results = cli_flag(c, "results");
    struct evlog_item item;
    for (;;) {
        enum status status = evlog_reader_next(reader, &item, f);
        bool is_past = last > 0 && item.number > last;
        if (status == OK && d->who.profile != 0 && item.kind == EVLOG_BATCH &&
            item.number < (uint64_t)cli_int(c, "from"))
            continue;
        if (status != OK || item.kind == EVLOG_END ||
            (is_past && (item.kind == EVLOG_RESULTS || !with_results)))
            return status;
        if (d->who.profile == 0)
            learn(d, evlog_reader_names(reader));
        if (item.kind == EVLOG_BATCH && !is_past)
            print_batch(d, &item.batch, cli_text(c, "source"));
        else if (item.kind == EVLOG_RESULTS && with_results)
            status = print_results(d, &item, f);
        if (status != OK)
            return status;
    }
}

/* Whom --person means, by the state at the log's end; and all names, as their history has gaps. */
static enum status find_person(struct dump *d, const char *person, struct fault *f)
{
    struct recovered r;
    struct recover_options options = {0};
    enum status status = recover(d->directory, &options, &r, f);
    if (status == OK)
        d->who.profile = engine_find_person(r.engine, str_of(person));
    if (status == OK && d->who.profile == 0) {
        fault_set(f, "nobody is known as \"%s\" (no user id, no anonymous id, no address)", person);
        status = FIX_INPUT;
    }
    if (status == OK) {
        erasure_learn(&d->who, r.engine);
        learn(d, r.shelf.names);
    }
    recovered_fini(&r);
    return status;
}

int cmd_log(struct cli *c)
{
    struct directory directory;
    struct evlog_reader *reader = NULL;
    struct fault f = {0};
    const char *person = cli_text(c, "person");
    enum status status = directory_open(os_disk_real(), c->arguments[0], &directory, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    struct dump dump = {
        .cli = c, .directory = &directory, .vocabulary = vocabulary_new(VOCABULARY_PER_SOURCE_MAX)};
    arena_init(&dump.scratch, 65536);
    buf_init(&dump.line);
    if (person != NULL)
        status = find_person(&dump, person, &f);
    if (status == OK && person != NULL)
        status = evlog_history_open(directory.disk, directory.log, dump.who.ids.at,
                                    dump.who.ids.count, &reader, &f);
    else if (status == OK)
        status = evlog_reader_open(directory.disk, directory.log, (uint64_t)cli_int(c, "from"),
                                   &reader, &f);
    if (status == OK)
        status = print_log(&dump, reader, &f);
    buf_fini(&dump.line);
    arena_fini(&dump.scratch);
    vocabulary_free(dump.vocabulary);
    evlog_reader_close(reader);
    erasure_fini(&dump.who);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}
