/* evlog.c - writing, committing and reading the log: records of about 600 bytes on the real disk, in
 * the folder $BENCH_DIR (build/ unless given).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "evlog/evlog.h"

#include "base/hash.h"
#include "base/mem.h"
#include "bench.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"

#define BODY_BYTES 520

static void fill(struct record *records, uint32_t count, const uint8_t *bytes, uint64_t batch,
                 int64_t now_ms)
{
    for (uint32_t i = 0; i < count; i++)
        records[i] = (struct record){
            .type = RECORD_EVENT,
            .kind = EVENT_TRACK,
            .schema = RECORD_SCHEMA,
            .source = 3,
            .name = 200,
            .at_ms = now_ms,
            .event_ms = now_ms - 1000,
            .arrival_ms = now_ms - 2,
            .message_hash = hash_pair(batch, i),
            .routing_hash = hash_pair(i, batch),
            .user = {hash_pair(batch, i), i},
            .anonymous = {hash_pair(i, i), batch},
            .clear = {bytes + i % 64, BODY_BYTES / 4},
            .personal = {bytes + i % 97, BODY_BYTES - BODY_BYTES / 4},
        };
}

enum how {
    COMMITTED, /* each batch its own commit */
    BUFFERED,  /* and thrown away: encoding alone */
};

/* Appends `batches` batches of `count` records. */
static void write_batches(struct evlog *log, uint64_t batches, uint32_t count, enum how how)
{
    struct fault f = {0};
    uint8_t *bytes = mem_new(BODY_BYTES + 128);
    for (size_t i = 0; i < BODY_BYTES + 128; i++)
        bytes[i] = (uint8_t)hash_pair(i, 1);
    struct record *records = mem_new(count * sizeof(*records));
    for (uint64_t i = 0; i < batches; i++) {
        struct batch b = {evlog_batch_next(log), 1700000000000 + (int64_t)i, count, records};
        b.now_ms = max_of(b.now_ms, evlog_now_ms(log));
        fill(records, count, bytes, b.number, b.now_ms);
        must(evlog_append(log, &b, &f) == OK);
        if (how == COMMITTED)
            must(evlog_commit(log, &f) == OK);
        else if (evlog_buffered_bytes(log) > (32u << 20))
            must(evlog_abandon(log, &f) == OK);
    }
    mem_free(records);
    mem_free(bytes);
}

static void write_all(const char *dir)
{
    struct fault f = {0};
    struct evlog_options options = {.disk = os_disk_real(), .segment_bytes = 64u << 20};
    struct evlog *log;
    must(evlog_open(dir, &options, &log, &f) == OK);

    write_batches(log, 1, 1, COMMITTED); /* the first segment is there */
    uint64_t count = bench_count(300000);
    int64_t start_ns = os_clock_thread_ns();
    write_batches(log, count / 1000, 1000, BUFFERED);
    bench_rate("log_encode", count / 1000 * 1000, os_clock_thread_ns() - start_ns);
    must(evlog_abandon(log, &f) == OK);

    uint64_t commits = bench_count(300);
    start_ns = os_clock_monotonic_ns();
    write_batches(log, commits, 10, COMMITTED);
    int64_t spent_ns = os_clock_monotonic_ns() - start_ns;
    bench_print("log_commit_10_records", (double)spent_ns * 1e-6 / (double)commits, "ms");

    count = bench_count(500000);
    start_ns = os_clock_monotonic_ns();
    write_batches(log, count / 2000, 2000, COMMITTED);
    bench_rate("log_write_durable", count, os_clock_monotonic_ns() - start_ns);
    must(evlog_close(log, &f) == OK);
}

static void read_all(const char *dir)
{
    struct fault f = {0};
    struct evlog_reader *r;
    struct evlog_item item;
    uint64_t count = 0;
    uint64_t sum = 0;
    must(evlog_reader_open(os_disk_real(), dir, 1, &r, &f) == OK);
    int64_t start_ns = os_clock_thread_ns();
    for (;;) {
        must(evlog_reader_next(r, &item, &f) == OK);
        if (item.kind == EVLOG_END)
            break;
        for (uint32_t i = 0; i < item.batch.count; i++)
            sum += item.batch.records[i].message_hash + item.batch.records[i].clear.at[0];
        count += item.batch.count;
    }
    bench_rate("log_read", count, os_clock_thread_ns() - start_ns);
    bench_keep(sum);
    evlog_reader_close(r);

    struct evlog_options options = {.disk = os_disk_real(), .segment_bytes = 64u << 20};
    struct evlog *log;
    start_ns = os_clock_monotonic_ns();
    must(evlog_open(dir, &options, &log, &f) == OK);
    bench_print("log_recover", (double)(os_clock_monotonic_ns() - start_ns) * 1e-6, "ms");
    must(evlog_close(log, &f) == OK);
}

int main(void)
{
    const char *root = getenv("BENCH_DIR") ? getenv("BENCH_DIR") : "build";
    char dir[OS_PATH_BYTES];
    char name[64];
    snprintf(name, sizeof(name), "bench-log-%u", os_process_id());
    must(os_path_join(dir, sizeof(dir), root, name));
    write_all(dir);
    read_all(dir);
    must(os_remove_tree(os_disk_real(), dir, NULL) == OK);
    return 0;
}
