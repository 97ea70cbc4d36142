/* Reading a snapshot. All of the file is verified before anything of it is used, so that a damaged one
 * is found while an older one can still take its place, and each chunk again when it is read; or only the latter,
 * where whoever reads it can still take an older one then. Every byte has a checksum besides that of the whole file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <zstd.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "disk/snapshot_int.h"
#include "os/file.h"

#define READ_BYTES (1u << 20)

struct snapshot_reader {
    struct os_file *file;
    struct snapshot_about about;
    struct section_entry *sections;
    uint32_t section_count;
    struct arena arena; /* sections and their names */
    struct map_str keys;
    struct snapshot_unpacker *unpacker;
    struct buf stored; /* chunks as they are in the file */
    struct buf chunk;  /* and as it was put: snapshot_next()'s */
    /* The walk of snapshot_next(): */
    uint32_t next_section;
    uint32_t next_chunk;
    uint64_t next_offset; /* in the file */
};

/* Before the bytes of each chunk. */
struct chunk_header {
    uint32_t magic;
    uint32_t how; /* SNAPSHOT_RAW or SNAPSHOT_ZSTD */
    uint32_t section;
    uint32_t bytes;
    uint32_t stored_bytes;
    uint32_t crc;
};

_Static_assert(sizeof(struct chunk_header) == SNAPSHOT_CHUNK_HEADER_BYTES, "as it is in the file");

static enum status damaged(struct snapshot_reader *r, struct fault *f, const char *what)
{
    fault_set(f, "damaged snapshot: %s", what);
    fault_place(f, r->file->path, 0, 0);
    return GIVE_UP;
}

/* The trailer's fields. */
struct trailer {
    uint64_t index_offset;
    uint32_t section_count;
    uint32_t index_crc;
    uint32_t file_crc;
};

static enum status read_trailer(struct snapshot_reader *r, uint64_t file_bytes, struct trailer *t,
                                struct fault *f)
{
    uint8_t bytes[SNAPSHOT_TRAILER_BYTES];
    if (file_bytes < SNAPSHOT_HEADER_BYTES + SNAPSHOT_TRAILER_BYTES)
        return damaged(r, f, "it is too short");
    enum status done = os_file_read(r->file, file_bytes - sizeof(bytes), bytes, sizeof(bytes), f);
    if (done != OK)
        return done;
    struct cursor c = cursor_of(bytes, sizeof(bytes));
    uint32_t magic = cursor_u32(&c);
    t->section_count = cursor_u32(&c);
    t->index_offset = cursor_u64(&c);
    t->index_crc = cursor_u32(&c);
    t->file_crc = cursor_u32(&c);
    uint32_t zero = cursor_u32(&c);
    if (magic != SNAPSHOT_END_MAGIC || cursor_u32(&c) != hash_crc32c(0, bytes, sizeof(bytes) - 4))
        return damaged(r, f, "its end is missing or changed");
    if (zero != 0 || t->section_count > SNAPSHOT_SECTIONS_MAX ||
        t->index_offset < SNAPSHOT_HEADER_BYTES ||
        t->index_offset > file_bytes - SNAPSHOT_TRAILER_BYTES)
        return damaged(r, f, "its end does not fit it");
    return OK;
}

static enum status check_file_crc(struct snapshot_reader *r, uint64_t bytes, uint32_t expected,
                                  struct fault *f)
{
    uint32_t crc = 0;
    uint8_t *room = mem_new(READ_BYTES);
    enum status done = OK;
    for (uint64_t at = 0; done == OK && at < bytes; at += READ_BYTES) {
        size_t part = (size_t)min_of(bytes - at, READ_BYTES);
        done = os_file_read(r->file, at, room, part, f);
        if (done == OK)
            crc = hash_crc32c(crc, room, part);
    }
    mem_free(room);
    if (done == OK && crc != expected)
        return damaged(r, f, "its checksum is wrong");
    return done;
}

static enum status read_header(struct snapshot_reader *r, struct fault *f)
{
    uint8_t bytes[SNAPSHOT_HEADER_BYTES];
    enum status done = os_file_read(r->file, 0, bytes, sizeof(bytes), f);
    if (done != OK)
        return done;
    struct cursor c = cursor_of(bytes, sizeof(bytes));
    uint32_t magic = cursor_u32(&c);
    uint32_t version = cursor_u32(&c);
    r->about.batch = cursor_u64(&c);
    r->about.now_ms = (int64_t)cursor_u64(&c);
    r->about.state_hash = cursor_u64(&c);
    r->about.partition_count = cursor_u32(&c);
    uint32_t chunk_bytes = cursor_u32(&c);
    struct str release = cursor_take(&c, sizeof(r->about.release));
    memcpy(r->about.release, release.at, release.len);
    c.at = bytes + sizeof(bytes) - 4;
    if (magic != SNAPSHOT_MAGIC || cursor_u32(&c) != hash_crc32c(0, bytes, sizeof(bytes) - 4))
        return damaged(r, f, "its header is changed");
    if (version != SNAPSHOT_VERSION || chunk_bytes != SNAPSHOT_CHUNK_BYTES) {
        fault_set(f, "the snapshot has format version %u, this release reads version %u", version,
                  SNAPSHOT_VERSION);
        fault_place(f, r->file->path, 0, 0);
        return GIVE_UP;
    }
    return OK;
}

enum status snapshot_peek(struct os_disk *disk, const char *path, struct snapshot_about *about,
                          struct fault *f)
{
    struct snapshot_reader r = {0};
    enum status done = os_file_open(disk, path, OS_READ, &r.file, f);
    if (done != OK)
        return done;
    done = read_header(&r, f);
    os_file_close(r.file);
    *about = r.about;
    return done;
}

static struct str key_of(char *room, struct str name, uint32_t partition)
{
    memcpy(room, name.at, name.len);
    memcpy(room + name.len, &partition, sizeof(partition));
    return (struct str){room, name.len + sizeof(partition)};
}

#define KEY_BYTES (SNAPSHOT_SECTION_NAME_BYTES + sizeof(uint32_t))

/* Takes one section off the index; false where it cannot be one. */
static bool take_section(struct snapshot_reader *r, struct cursor *c, uint32_t index,
                         uint64_t index_offset)
{
    struct section_entry *s = &r->sections[index];
    struct str name = cursor_take(c, (size_t)cursor_varint(c));
    uint64_t partition = cursor_varint(c);
    s->offset = cursor_varint(c);
    uint64_t chunk_count = cursor_varint(c);
    s->bytes = cursor_varint(c);
    if (c->is_bad || name.len < 1 || name.len > SNAPSHOT_SECTION_NAME_BYTES ||
        partition > UINT32_MAX || s->offset > index_offset)
        return false;
    if (s->bytes > (uint64_t)UINT32_MAX * SNAPSHOT_CHUNK_BYTES ||
        chunk_count != (s->bytes + SNAPSHOT_CHUNK_BYTES - 1) / SNAPSHOT_CHUNK_BYTES)
        return false;
    char key[KEY_BYTES];
    s->name = arena_copy(&r->arena, name);
    s->partition = (uint32_t)partition;
    s->chunk_count = (uint32_t)chunk_count;
    return map_str_intern(&r->keys, key_of(key, name, s->partition)) == index;
}

static enum status read_index(struct snapshot_reader *r, const struct trailer *t,
                              uint64_t file_bytes, struct fault *f)
{
    struct buf b;
    buf_init(&b);
    size_t bytes = (size_t)(file_bytes - SNAPSHOT_TRAILER_BYTES - t->index_offset);
    enum status done = os_file_read(r->file, t->index_offset, buf_reserve(&b, bytes + 1), bytes, f);
    if (done == OK && hash_crc32c(0, b.at, bytes) != t->index_crc)
        done = damaged(r, f, "its index is changed");
    /* A section takes six bytes at least: no more room than the file vouches for. */
    if (done == OK && t->section_count > bytes / 6)
        done = damaged(r, f, "its index does not fit it");
    if (done == OK) {
        r->section_count = t->section_count;
        r->sections = arena_array(&r->arena, struct section_entry, r->section_count + 1);
        struct cursor c = cursor_of(b.at, bytes);
        for (uint32_t i = 0; done == OK && i < r->section_count; i++)
            if (!take_section(r, &c, i, t->index_offset))
                done = damaged(r, f, "its index does not fit it");
        if (done == OK && cursor_left(&c) != 0)
            done = damaged(r, f, "its index does not fit it");
    }
    buf_fini(&b);
    return done;
}

static enum status open_file(struct os_disk *disk, const char *path, bool is_to_read_all,
                             struct snapshot_reader **r, struct fault *f)
{
    struct os_file *file;
    enum status done = os_file_open(disk, path, OS_READ, &file, f);
    if (done != OK)
        return done;
    struct snapshot_reader *x = mem_new(sizeof(*x));
    x->file = file;
    buf_init(&x->stored);
    buf_init(&x->chunk);
    arena_init(&x->arena, 16384);
    map_str_init(&x->keys, &x->arena);
    x->unpacker = snapshot_unpacker_new();

    uint64_t bytes = 0;
    struct trailer t = {0};
    done = os_file_size(file, &bytes, f);
    if (done == OK)
        done = read_trailer(x, bytes, &t, f);
    if (done == OK && is_to_read_all)
        done = check_file_crc(x, bytes - SNAPSHOT_TRAILER_BYTES, t.file_crc, f);
    if (done == OK)
        done = read_header(x, f);
    if (done == OK)
        done = read_index(x, &t, bytes, f);
    if (done != OK) {
        snapshot_close(x);
        return done;
    }
    *r = x;
    return OK;
}

enum status snapshot_open(struct os_disk *disk, const char *path, struct snapshot_reader **r,
                          struct fault *f)
{
    return open_file(disk, path, true, r, f);
}

enum status snapshot_open_unread(struct os_disk *disk, const char *path, struct snapshot_reader **r,
                                 struct fault *f)
{
    return open_file(disk, path, false, r, f);
}

void snapshot_close(struct snapshot_reader *r)
{
    if (r == NULL)
        return;
    os_file_close(r->file);
    snapshot_unpacker_free(r->unpacker);
    map_str_fini(&r->keys);
    arena_fini(&r->arena);
    buf_fini(&r->stored);
    buf_fini(&r->chunk);
    mem_free(r);
}

const struct snapshot_about *snapshot_get_about(const struct snapshot_reader *r)
{
    return &r->about;
}

uint32_t snapshot_section_count(const struct snapshot_reader *r)
{
    return r->section_count;
}

struct snapshot_section snapshot_section_get(const struct snapshot_reader *r, uint32_t index)
{
    must(index < r->section_count);
    const struct section_entry *s = &r->sections[index];
    return (struct snapshot_section){s->name, s->partition, s->chunk_count, s->bytes};
}

uint32_t snapshot_section_find(const struct snapshot_reader *r, struct str name, uint32_t partition)
{
    char key[KEY_BYTES];
    if (name.len < 1 || name.len > SNAPSHOT_SECTION_NAME_BYTES)
        return UINT32_MAX;
    return map_str_find(&r->keys, key_of(key, name, partition));
}

/* How many bytes the section's chunk with that index holds. */
static uint32_t chunk_bytes_of(const struct section_entry *s, uint32_t chunk)
{
    uint64_t before = (uint64_t)chunk * SNAPSHOT_CHUNK_BYTES;
    return (uint32_t)min_of(s->bytes - before, SNAPSHOT_CHUNK_BYTES);
}

/* Appends one chunk as it is stored, its header first, and moves *offset behind it. */
static enum status fetch_chunk(struct snapshot_reader *r, uint32_t section, uint32_t chunk,
                               uint64_t *offset, struct buf *out, struct fault *f)
{
    struct chunk_header h;
    enum status done = os_file_read(r->file, *offset, &h, sizeof(h), f);
    if (done != OK)
        return done;
    uint32_t expected = chunk_bytes_of(&r->sections[section], chunk);
    if (h.magic != SNAPSHOT_CHUNK_MAGIC || h.how > SNAPSHOT_ZSTD || h.section != section ||
        h.bytes != expected || h.stored_bytes > expected)
        return damaged(r, f, "a chunk is not where it should be");
    uint8_t *at = buf_reserve(out, sizeof(h) + h.stored_bytes);
    memcpy(at, &h, sizeof(h));
    done = os_file_read(r->file, *offset + sizeof(h), at + sizeof(h), h.stored_bytes, f);
    if (done != OK)
        return done;
    uint32_t crc = hash_crc32c(0, &h, sizeof(h) - sizeof(h.crc));
    if (hash_crc32c(crc, at + sizeof(h), h.stored_bytes) != h.crc)
        return damaged(r, f, "a chunk's checksum is wrong");
    if (h.how == SNAPSHOT_RAW && h.stored_bytes != expected)
        return damaged(r, f, "a chunk's length is wrong");
    out->len += sizeof(h) + h.stored_bytes;
    *offset += sizeof(h) + h.stored_bytes;
    return OK;
}

enum status snapshot_fetch(struct snapshot_reader *r, uint32_t section, struct buf *out,
                           struct fault *f)
{
    must(section < r->section_count);
    const struct section_entry *s = &r->sections[section];
    uint64_t offset = s->offset;
    enum status done = OK;
    for (uint32_t i = 0; done == OK && i < s->chunk_count; i++)
        done = fetch_chunk(r, section, i, &offset, out, f);
    return done;
}

struct snapshot_unpacker {
    ZSTD_DCtx *zstd;
};

struct snapshot_unpacker *snapshot_unpacker_new(void)
{
    struct snapshot_unpacker *u = mem_new(sizeof(*u));
    u->zstd = ZSTD_createDCtx();
    must(u->zstd != NULL);
    return u;
}

void snapshot_unpacker_free(struct snapshot_unpacker *u)
{
    if (u == NULL)
        return;
    ZSTD_freeDCtx(u->zstd);
    mem_free(u);
}

enum status snapshot_unpack(struct snapshot_unpacker *u, struct str stored, struct buf *out,
                            struct fault *f)
{
    for (size_t at = 0; at < stored.len;) {
        struct chunk_header h;
        must(stored.len - at >= sizeof(h));
        memcpy(&h, stored.at + at, sizeof(h));
        at += sizeof(h);
        must(stored.len - at >= h.stored_bytes);
        must(h.bytes <= SNAPSHOT_CHUNK_BYTES);
        uint8_t *to = buf_reserve(out, h.bytes);
        if (h.how == SNAPSHOT_RAW) {
            memcpy(to, stored.at + at, h.bytes);
        } else if (ZSTD_decompressDCtx(u->zstd, to, h.bytes, stored.at + at, h.stored_bytes) !=
                   h.bytes) {
            fault_set(f, "damaged snapshot: a chunk cannot be decompressed");
            return GIVE_UP;
        }
        out->len += h.bytes;
        at += h.stored_bytes;
    }
    return OK;
}

static enum status unpack(struct snapshot_reader *r, struct buf *out, struct fault *f)
{
    enum status done = snapshot_unpack(r->unpacker, buf_str(&r->stored), out, f);
    if (done != OK)
        fault_place(f, r->file->path, 0, 0);
    return done;
}

enum status snapshot_get(struct snapshot_reader *r, uint32_t section, struct buf *out,
                         struct fault *f)
{
    r->stored.len = 0;
    enum status done = snapshot_fetch(r, section, &r->stored, f);
    return done == OK ? unpack(r, out, f) : done;
}

enum status snapshot_next(struct snapshot_reader *r, struct snapshot_chunk *out, bool *is_done,
                          struct fault *f)
{
    *is_done = r->next_section == r->section_count;
    if (*is_done)
        return OK;
    uint32_t section = r->next_section;
    uint32_t chunk = r->next_chunk;
    const struct section_entry *s = &r->sections[section];
    uint32_t bytes = 0;
    if (chunk == 0)
        r->next_offset = s->offset;
    if (s->chunk_count > 0) {
        r->stored.len = r->chunk.len = 0;
        enum status done = fetch_chunk(r, section, chunk, &r->next_offset, &r->stored, f);
        if (done == OK)
            done = unpack(r, &r->chunk, f);
        if (done != OK)
            return done;
        bytes = chunk_bytes_of(s, chunk);
        r->next_chunk++;
    }
    *out = (struct snapshot_chunk){
        .section = section,
        .is_last = r->next_chunk == s->chunk_count,
        .offset = (uint64_t)chunk * SNAPSHOT_CHUNK_BYTES,
        .bytes = {(const char *)r->chunk.at, bytes},
    };
    if (out->is_last) {
        r->next_section++;
        r->next_chunk = 0;
    }
    return OK;
}
