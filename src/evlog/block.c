/* The header of a block, and the names of segments.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "evlog/evlog_int.h"

/* Where each field is; docs/formats/log.md repeats this table. */
enum {
    AT_MAGIC = 0,
    AT_KIND = 4,
    AT_VERSION = 5,
    AT_FLAGS = 6, /* and a byte that is 0 */
    AT_LENGTH = 8,
    AT_COUNT = 12,
    AT_NUMBER = 16,
    AT_NOW = 24,
    AT_COMMIT = 32,
    AT_HASH = 40,
    AT_PREVIOUS = 48,
    AT_SUM = 52,
    AT_SALT = 56,
    AT_CRC = 60,
};

_Static_assert(AT_CRC + 4 == BLOCK_HEADER_BYTES, "the CRC is the last of the header");

static void put_u32(uint8_t *out, uint32_t x)
{
    memcpy(out, &x, sizeof(x));
}

static void put_u64(uint8_t *out, uint64_t x)
{
    memcpy(out, &x, sizeof(x));
}

static uint32_t get_u32(const uint8_t *in)
{
    uint32_t x;
    memcpy(&x, in, sizeof(x));
    return x;
}

static uint64_t get_u64(const uint8_t *in)
{
    uint64_t x;
    memcpy(&x, in, sizeof(x));
    return x;
}

uint32_t block_salt(uint64_t log_id)
{
    return (uint32_t)(hash_pair(log_id, BLOCK_MAGIC) >> 32);
}

void block_write_header(struct block *b, uint8_t *out)
{
    must(b->length <= block_bytes_max(b->kind));
    put_u32(out + AT_MAGIC, BLOCK_MAGIC);
    out[AT_KIND] = b->kind;
    out[AT_VERSION] = BLOCK_VERSION;
    out[AT_FLAGS] = b->flags;
    out[AT_FLAGS + 1] = 0;
    put_u32(out + AT_LENGTH, b->length);
    put_u32(out + AT_COUNT, b->count);
    put_u64(out + AT_NUMBER, b->number);
    put_u64(out + AT_NOW, (uint64_t)b->now_ms);
    put_u64(out + AT_COMMIT, b->commit);
    put_u64(out + AT_HASH, b->hash);
    put_u32(out + AT_PREVIOUS, b->previous);
    put_u32(out + AT_SUM, b->sum);
    put_u32(out + AT_SALT, b->salt);
    b->crc = hash_crc32c(0, out, AT_CRC);
    put_u32(out + AT_CRC, b->crc);
}

enum verdict block_read_header(const uint8_t *in, struct block *b, const char **why)
{
    *why = "no block begins here";
    if (get_u32(in + AT_MAGIC) != BLOCK_MAGIC)
        return BYTES_BAD;
    *why = "the header's checksum is wrong";
    if (hash_crc32c(0, in, AT_CRC) != get_u32(in + AT_CRC))
        return BYTES_BAD;
    *b = (struct block){
        .kind = in[AT_KIND],
        .flags = in[AT_FLAGS],
        .length = get_u32(in + AT_LENGTH),
        .count = get_u32(in + AT_COUNT),
        .number = get_u64(in + AT_NUMBER),
        .now_ms = (int64_t)get_u64(in + AT_NOW),
        .commit = get_u64(in + AT_COMMIT),
        .hash = get_u64(in + AT_HASH),
        .previous = get_u32(in + AT_PREVIOUS),
        .sum = get_u32(in + AT_SUM),
        .salt = get_u32(in + AT_SALT),
        .crc = get_u32(in + AT_CRC),
    };
    *why = "it is written in a format that this release does not know";
    if (in[AT_VERSION] != BLOCK_VERSION)
        return BYTES_STRANGE;
    if (b->kind < BLOCK_SEGMENT || b->kind >= BLOCK_KIND_END || in[AT_FLAGS + 1] != 0)
        return BYTES_STRANGE;
    if ((b->flags & ~(BLOCK_ENDS_COMMIT | BLOCK_ENDS_SEGMENT)) != 0)
        return BYTES_STRANGE;
    if (b->length > block_bytes_max(b->kind))
        return BYTES_STRANGE;
    return BYTES_GOOD;
}

/* ---------------------------------------------------------------------------------- segment files */

#define SEGMENT_DIGITS 16
#define SEGMENT_SUFFIX ".seg"

enum status segment_path(char *out, size_t out_bytes, const char *dir, uint64_t batch_first,
                         struct fault *f)
{
    char name[64];
    snprintf(name, sizeof(name), "%0*llu" SEGMENT_SUFFIX, SEGMENT_DIGITS,
             (unsigned long long)batch_first);
    if (os_path_join(out, out_bytes, dir, name))
        return OK;
    fault_set(f, "the path of the log is too long");
    fault_place(f, dir, 0, 0);
    return FIX_INPUT;
}

/* The number in a segment's file name; 0 for any other name. */
static uint64_t number_of(struct str name)
{
    if (name.len != SEGMENT_DIGITS + strlen(SEGMENT_SUFFIX) || !str_ends(name, STR(SEGMENT_SUFFIX)))
        return 0;
    uint64_t number = 0;
    for (size_t i = 0; i < SEGMENT_DIGITS; i++) {
        if (name.at[i] < '0' || name.at[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(name.at[i] - '0');
    }
    return number;
}

enum status segment_list(struct os_disk *disk, const char *dir, struct arena *a, uint64_t **firsts,
                         uint32_t *count, struct fault *f)
{
    struct os_entry *entries;
    uint32_t entry_count;
    enum status done = os_list(disk, dir, a, &entries, &entry_count, f);
    if (done != OK)
        return done;
    *firsts = arena_array(a, uint64_t, entry_count + 1);
    *count = 0;
    /* As many digits in each: the order of the names is that of the numbers. */
    for (uint32_t i = 0; i < entry_count; i++) {
        uint64_t number = entries[i].kind == OS_REGULAR ? number_of(entries[i].name) : 0;
        if (number > 0)
            (*firsts)[(*count)++] = number;
    }
    return OK;
}
