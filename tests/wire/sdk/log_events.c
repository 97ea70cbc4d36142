/* log_events.c - a log as lines of JSON, for the wire tests: `log_events DIR` prints the records of the log in
 * DIR as record_describe() has them. Takes no lock: may run beside the server, and after it was killed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "evlog/evlog.h"
#include "ingest/describe.h"

int main(int argc, char **argv)
{
    struct fault f = {0};
    struct evlog_reader *reader = NULL;
    struct evlog_item item;
    struct arena scratch;
    struct buf line;
    if (argc != 2) {
        fprintf(stderr, "usage: log_events DIR\n");
        return 2;
    }
    struct vocabulary *v = vocabulary_new(VOCABULARY_PER_SOURCE_MAX);
    enum status status = evlog_reader_open(os_disk_real(), argv[1], 0, &reader, &f);
    arena_init(&scratch, 65536);
    buf_init(&line);
    while (status == OK) {
        status = evlog_reader_next(reader, &item, &f);
        if (status != OK || item.kind == EVLOG_END)
            break;
        for (uint32_t i = 0; item.kind == EVLOG_BATCH && i < item.batch.count; i++) {
            const struct record *r = &item.batch.records[i];
            struct json_writer w;
            if (r->type == RECORD_NAME && !vocabulary_learn(v, r)) {
                fault_set(&f, "a name record is out of order");
                status = GIVE_UP;
                break;
            }
            line.len = 0;
            json_write_init(&w, &line, JSON_COMPACT);
            record_describe(r, v, &scratch, &w);
            buf_add_byte(&line, '\n');
            fwrite(line.at, 1, line.len, stdout);
            arena_reset(&scratch);
        }
    }
    if (status != OK)
        fprintf(stderr, "log_events: %s\n", f.text);
    buf_fini(&line);
    arena_fini(&scratch);
    evlog_reader_close(reader);
    vocabulary_free(v);
    return status == OK ? 0 : 1;
}
