/* fuzz_sealed.c - any bytes as what a closed segment is sealed to, and as the file of keys: read to an end or
 * refused with a place.
 *
 * Random bytes do not get past checksums and compression. So most inputs are a recipe, made right around
 * its parts. The first byte says which it is.
 *
 *     'K' then bytes     the file of keys behind its header; every slot is asked for
 *     'I' then bytes     an index
 *     otherwise          packs: units, blocks (a byte each), and texts with a length before each: clear
 *                        stream, hashes, units
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/hash.h"
#include "evlog/sealed_int.h"
#include "os/fake_disk.h"

#define BYTES_MAX ((size_t)1 << 14)
#define LOG_ID    7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str take_some(struct cursor *c)
{
    size_t bytes = cursor_byte(c);
    bytes |= (size_t)(cursor_byte(c) & 3) << 8;
    return cursor_take(c, min_of(bytes, cursor_left(c)));
}

static void put_block(struct buf *out, struct block *b, uint32_t *chain, struct str payload)
{
    uint8_t header[BLOCK_HEADER_BYTES];
    b->commit = 1;
    b->previous = *chain;
    b->salt = block_salt(LOG_ID);
    b->length = (uint32_t)payload.len;
    b->sum = hash_crc32c(0, payload.at, payload.len);
    block_write_header(b, header);
    *chain = b->crc;
    buf_add(out, header, sizeof(header));
    buf_add_str(out, payload);
    while (out->len % BLOCK_ALIGN != 0)
        buf_add_byte(out, 0);
}

static void add_pack(struct buf *out, uint32_t *chain, struct cursor *c)
{
    struct buf payload;
    uint8_t packed[2048];
    buf_init(&payload);
    uint8_t units = cursor_byte(c), blocks = cursor_byte(c);
    struct str clear = take_some(c), hashes = take_some(c), rest = take_some(c);
    size_t bytes = ZSTD_compress(packed, sizeof(packed), clear.at, clear.len, 1);
    must(!ZSTD_isError(bytes));
    buf_add_varint(&payload, units);
    buf_add_varint(&payload, clear.len);
    buf_add_varint(&payload, bytes);
    buf_add(&payload, packed, bytes);
    buf_add_varint(&payload, hashes.len);
    buf_add_str(&payload, hashes);
    buf_add_str(&payload, rest);
    struct block b = {.kind = BLOCK_PACK, .count = blocks, .number = 1};
    put_block(out, &b, chain, buf_str(&payload));
    buf_fini(&payload);
}

static void read_segment(struct os_disk *disk)
{
    struct evlog_reader *r;
    struct evlog_item item;
    struct fault f = {0};
    uint64_t newest = 0;
    if (evlog_reader_open(disk, "log", 1, &r, &f) != OK)
        return;
    for (;;) {
        enum status status = evlog_reader_next(r, &item, &f);
        must(status == OK || status == GIVE_UP);
        must((status == GIVE_UP) == (f.text[0] != '\0'));
        if (status != OK || item.kind == EVLOG_END)
            break;
        if (item.kind != EVLOG_BATCH)
            continue;
        must(item.number == newest + 1);
        newest = item.number;
        for (uint32_t i = 0; i < item.batch.count; i++)
            (void)body_check(record_personal(&item.batch.records[i]));
    }
    evlog_reader_close(r);
}

static void fuzz_segment(struct os_disk *disk, const uint8_t *data, size_t size)
{
    struct buf segment, payload;
    struct cursor c = cursor_of(data, size);
    uint32_t chain = 0;
    uint8_t salt[SEAL_SALT_BYTES] = {1};
    buf_init(&segment);
    buf_init(&payload);
    segment_body_write(&payload, 0, 0);
    struct block head = {.kind = BLOCK_SEGMENT,
                         .count = NAME_FIXED_END,
                         .number = 1,
                         .now_ms = INT64_MIN,
                         .hash = LOG_ID};
    put_block(&segment, &head, &chain, buf_str(&payload));
    payload.len = 0;
    seal_body_write(&payload, salt, take_some(&c));
    struct block seal = {.kind = BLOCK_SEAL, .number = 1};
    put_block(&segment, &seal, &chain, buf_str(&payload));
    while (cursor_left(&c) > 0)
        add_pack(&segment, &chain, &c);
    must(os_write_whole(disk, "log/0000000000000001.seg", buf_str(&segment), NULL) == OK);
    read_segment(disk);
    buf_fini(&payload);
    buf_fini(&segment);
}

static void fuzz_keys(struct os_disk *disk, const uint8_t *data, size_t size)
{
    struct keystore *k;
    struct fault f = {0};
    uint8_t key[KEY_BYTES];
    uint32_t destroyed;
    must(keystore_open(disk, "log", NULL, &k, &f) == OK);
    must(keystore_load(k, &f) == OK);
    (void)keystore_take(k, (struct id128){1, 2}, key);
    must(keystore_commit(k, &f) == OK);
    keystore_close(k);
    struct buf b;
    buf_init(&b);
    must(os_read_whole(disk, "log/keys", 4096, &b, &f) == OK);
    b.len = 64;
    buf_add(&b, data, size);
    /* Checksums are made right in every second slot. */
    for (size_t at = 64; at + 64 <= b.len; at += 128) {
        uint32_t crc = hash_crc32c(0, b.at + at, 60);
        memcpy(b.at + at + 60, &crc, 4);
    }
    must(os_write_whole(disk, "log/keys", buf_str(&b), &f) == OK);
    must(keystore_open(disk, "log", NULL, &k, &f) == OK);
    must(keystore_load(k, &f) == OK);
    uint32_t count = keystore_count(k);
    must(count == size / 64);
    for (uint32_t i = 0; i < count + 2; i++) {
        struct id128 owner = {0, 0};
        if (i < count)
            memcpy(&owner, b.at + 64 + (size_t)i * 64, 16);
        (void)!keystore_get(k, i, owner, key);
        uint32_t slot = keystore_take(k, owner, key);
        must(slot < keystore_count(k));
        if (i % 3 == 0)
            must(keystore_destroy(k, &owner, 1, &destroyed, &f) == OK);
    }
    keystore_close(k);
    buf_fini(&b);
}

static void fuzz_index(const uint8_t *data, size_t size)
{
    struct person_index_reader r;
    struct arena a;
    arena_init(&a, 4096);
    if (person_index_open(&r, (struct str){(const char *)data, size}, &a)) {
        bool *packs = arena_array(&a, bool, r.pack_count + 1);
        for (uint64_t i = 0; i < 64; i++)
            person_index_find(&r, (struct id128){i, i}, packs);
    }
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > BYTES_MAX)
        return 0;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    must(os_make_dirs(disk, "log", NULL) == OK);
    if (data[0] == 'K')
        fuzz_keys(disk, data + 1, size - 1);
    else if (data[0] == 'I')
        fuzz_index(data + 1, size - 1);
    else
        fuzz_segment(disk, data + 1, size - 1);
    fake_disk_free(fake);
    return 0;
}
