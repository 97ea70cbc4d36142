/* fuzz_snapshot.c - any bytes as chunks and index of a snapshot whose header, checksums and trailer are
 * right: opened and read, or refused with a place.
 *
 *     two bytes: where the index begins; then the bytes
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/hash.h"
#include "disk/snapshot_int.h"
#include "os/fake_disk.h"
#include "os/file.h"

#define BYTES_MAX ((size_t)1 << 14)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void build(struct buf *out, const uint8_t *data, size_t size)
{
    size_t index = (size_t)(data[0] | data[1] << 8) % (size - 1);
    uint8_t header[SNAPSHOT_HEADER_BYTES] = {'W', 'S', 'N', 'P', SNAPSHOT_VERSION};
    header[38] = 1; /* chunks of 65536 bytes */
    uint32_t crc = hash_crc32c(0, header, sizeof(header) - 4);
    memcpy(header + sizeof(header) - 4, &crc, 4);
    buf_add(out, header, sizeof(header));
    buf_add(out, data + 2, size - 2);

    uint32_t file_crc = hash_crc32c(0, out->at, out->len);
    size_t begin = out->len;
    buf_add_u32(out, SNAPSHOT_END_MAGIC);
    buf_add_u32(out, data[size - 1] % 8); /* sections */
    buf_add_u64(out, SNAPSHOT_HEADER_BYTES + index);
    buf_add_u32(out, hash_crc32c(0, data + 2 + index, size - 2 - index));
    buf_add_u32(out, file_crc);
    buf_add_u32(out, 0);
    buf_add_u32(out, hash_crc32c(0, out->at + begin, out->len - begin));
}

static void read_all(struct snapshot_reader *r)
{
    struct buf b;
    struct fault f = {0};
    buf_init(&b);
    for (uint32_t i = 0; i < snapshot_section_count(r); i++) {
        struct snapshot_section s = snapshot_section_get(r, i);
        must(snapshot_section_find(r, s.name, s.partition) == i);
        b.len = 0;
        if (snapshot_get(r, i, &b, &f) == OK)
            must(b.len == s.bytes);
        else
            must(f.text[0] != '\0');
    }
    bool is_done = false;
    struct snapshot_chunk chunk;
    while (!is_done && snapshot_next(r, &chunk, &is_done, NULL) == OK)
        continue;
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > BYTES_MAX)
        return 0;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct buf file;
    struct fault f = {0};
    struct snapshot_reader *r;
    buf_init(&file);
    build(&file, data, size);
    must(os_write_whole(disk, "0000000000000001.snap", buf_str(&file), NULL) == OK);
    if (snapshot_open(disk, "0000000000000001.snap", &r, &f) == OK) {
        read_all(r);
        snapshot_close(r);
    } else {
        must(f.text[0] != '\0');
    }
    buf_fini(&file);
    fake_disk_free(fake);
    return 0;
}
