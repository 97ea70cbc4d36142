/* fuzz_evlog.c - any bytes as a segment of the log: read to an end or refused with a place; and what the
 * writer accepts, it can go on from.
 *
 * Random bytes do not get past a checksum. So most inputs are a recipe: blocks and records of any
 * content whose lengths and checksums are made right. The first byte says which it is.
 *
 *     'R' then bytes            the segment as it is
 *     otherwise                 blocks: kind, flags, count, number, time, payload length (a byte each),
 *                               payload; in a batch, records: length (a byte), bytes
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/hash.h"
#include "evlog/evlog_int.h"
#include "os/fake_disk.h"

#define BYTES_MAX     ((size_t)1 << 14)
#define SEGMENT_BYTES ((size_t)1 << 13)
#define LOG_ID        7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A length byte and as many bytes as it says, or as there are. */
static struct str take_some(struct cursor *c)
{
    size_t bytes = cursor_byte(c);
    return cursor_take(c, min_of(bytes, cursor_left(c)));
}

/* The input's bytes as records, each with its length and checksum. Returns the records' sum. */
static uint32_t add_records(struct buf *out, struct str bytes, uint32_t *count)
{
    uint32_t sum = 0;
    *count = 0;
    if (bytes.len == 0)
        return sum;
    struct cursor c = cursor_of(bytes.at, bytes.len);
    while (cursor_left(&c) > 0) {
        struct str fields = take_some(&c);
        size_t begin = out->len;
        buf_add_varint(out, fields.len + 4);
        buf_add_str(out, fields);
        uint32_t crc = hash_crc32c(0, out->at + begin, out->len - begin);
        buf_add_u32(out, crc);
        sum = hash_crc32c(sum, &crc, 4);
        (*count)++;
    }
    return sum;
}

static void add_block(struct buf *out, struct block *b, struct cursor *c)
{
    struct buf payload;
    buf_init(&payload);
    uint64_t commit = b->flags & BLOCK_ENDS_COMMIT ? b->commit + 1 : b->commit;
    *b = (struct block){.commit = commit, .previous = b->crc, .salt = block_salt(LOG_ID)};
    b->kind = cursor_byte(c);
    b->flags = cursor_byte(c);
    b->count = cursor_byte(c);
    b->number = cursor_byte(c);
    b->now_ms = cursor_byte(c);
    struct str bytes = take_some(c);
    if (b->kind == BLOCK_BATCH) {
        b->sum = add_records(&payload, bytes, &b->count);
    } else {
        buf_add_str(&payload, bytes);
        b->sum = hash_crc32c(0, payload.at, payload.len);
    }
    if (b->kind == BLOCK_SEGMENT) {
        b->hash = LOG_ID;
        b->count = max_of(b->count, NAME_FIXED_END);
    }
    if (b->kind == BLOCK_NAMES)
        b->number += NAME_FIXED_END;
    if (b->kind == BLOCK_RESULTS)
        b->hash = hash_bytes(payload.at, payload.len, 0);
    b->length = (uint32_t)payload.len;
    uint8_t header[BLOCK_HEADER_BYTES];
    block_write_header(b, header);
    buf_add(out, header, sizeof(header));
    buf_add_str(out, buf_str(&payload));
    while (out->len % BLOCK_ALIGN != 0)
        buf_add_byte(out, 0);
    buf_fini(&payload);
}

/* Reads to the end; true if there was no damage. What is shown is in order. */
static bool read_to_end(struct os_disk *disk, uint64_t *newest)
{
    struct evlog_reader *r;
    struct evlog_item item;
    struct fault f = {0};
    bool is_whole = false;
    *newest = 0;
    if (evlog_reader_open(disk, "log", 1, &r, &f) != OK)
        return false;
    for (;;) {
        enum status done = evlog_reader_next(r, &item, &f);
        must(done == OK || done == GIVE_UP);
        must((done == GIVE_UP) == (f.text[0] != '\0'));
        is_whole = done == OK;
        if (done != OK || item.kind == EVLOG_END)
            break;
        if (item.kind == EVLOG_BATCH) {
            must(item.number == *newest + 1);
            *newest = item.number;
            for (uint32_t i = 0; i < item.batch.count; i++)
                (void)body_check(item.batch.records[i].personal);
        } else {
            must(item.number <= *newest);
        }
    }
    evlog_reader_close(r);
    return is_whole;
}

/* The writer accepts what the reader accepts, and goes on from there. */
static void write_on(struct os_disk *disk, bool is_whole, uint64_t newest)
{
    struct evlog_options options = {.disk = disk, .segment_bytes = SEGMENT_BYTES, .log_id = LOG_ID};
    struct evlog *log;
    struct fault f = {0};
    enum status done = evlog_open("log", &options, &log, &f);
    must(done == OK || done == GIVE_UP);
    if (is_whole)
        must(done == OK);
    if (done != OK) {
        must(f.text[0] != '\0');
        return;
    }
    must(evlog_batch_durable(log) == newest);
    struct batch b = {.number = newest + 1, .now_ms = INT64_MAX};
    must(evlog_append(log, &b, NULL) == OK);
    must(evlog_close(log, NULL) == OK);
    uint64_t after;
    must(read_to_end(disk, &after));
    must(after == newest + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > BYTES_MAX)
        return 0;
    struct buf segment;
    buf_init(&segment);
    struct cursor c = cursor_of(data + 1, size - 1);
    if (data[0] == 'R') {
        buf_add(&segment, data + 1, size - 1);
    } else {
        struct block b = {.flags = BLOCK_ENDS_COMMIT};
        while (cursor_left(&c) > 0)
            add_block(&segment, &b, &c);
    }
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    must(os_make_dirs(disk, "log", NULL) == OK);
    must(os_write_whole(disk, "log/0000000000000001.seg", buf_str(&segment), NULL) == OK);
    uint64_t newest;
    bool is_whole = read_to_end(disk, &newest);
    write_on(disk, is_whole, newest);
    fake_disk_free(fake);
    buf_fini(&segment);
    return 0;
}
