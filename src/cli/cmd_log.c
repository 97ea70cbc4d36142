/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "evlog/evlog.h"
#include "ingest/describe.h"

/* The log's records as lines of JSON. */
struct dump {
    struct cli *cli;
    struct vocabulary *vocabulary;
    struct arena scratch;
    struct buf line;
};

/* The names that the reader knows and we do not. */
static void learn(struct dump *d, const struct names *names)
{
    for (uint32_t name = vocabulary_count(d->vocabulary); name < names_count(names); name++)
        must(vocabulary_add(d->vocabulary, names_text(names, name), 0) == name);
}

static void print_batch(struct dump *d, const struct batch *batch, const char *source)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct record *record = &batch->records[i];
        struct json_writer w;
        if (source != NULL && !str_is(vocabulary_text(d->vocabulary, record->source), source))
            continue;
        d->line.len = 0;
        json_write_init(&w, &d->line, JSON_COMPACT);
        record_describe(record, d->vocabulary, &d->scratch, &w);
        buf_add_byte(&d->line, '\n');
        fwrite(d->line.at, 1, d->line.len, d->cli->out.file);
        arena_reset(&d->scratch);
    }
}

static enum status print_log(struct dump *d, struct evlog_reader *reader, struct fault *f)
{
    struct cli *c = d->cli;
    uint64_t last = (uint64_t)cli_int(c, "to");
    struct evlog_item item;
    for (;;) {
        enum status status = evlog_reader_next(reader, &item, f);
        if (status != OK || item.kind == EVLOG_END || (last && item.number > last))
            return status;
        if (item.kind != EVLOG_BATCH)
            continue;
        learn(d, evlog_reader_names(reader));
        print_batch(d, &item.batch, cli_text(c, "source"));
    }
}

int cmd_log(struct cli *c)
{
    struct directory directory;
    struct evlog_reader *reader;
    struct fault f = {0};
    enum status status = directory_open(os_disk_real(), c->arguments[0], &directory, &f);
    if (status == OK)
        status = evlog_reader_open(directory.disk, directory.log, (uint64_t)cli_int(c, "from"),
                                   &reader, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    struct dump dump = {.cli = c, .vocabulary = vocabulary_new(VOCABULARY_PER_SOURCE_MAX)};
    arena_init(&dump.scratch, 65536);
    buf_init(&dump.line);
    status = print_log(&dump, reader, &f);
    buf_fini(&dump.line);
    arena_fini(&dump.scratch);
    vocabulary_free(dump.vocabulary);
    evlog_reader_close(reader);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}
