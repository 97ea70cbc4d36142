/* Writing a snapshot: front to back in one pass, nothing is ever changed in place.
 *
 *     header │ chunk chunk chunk │ chunk │ chunk chunk ... │ index │ trailer
 *              └─ a section ──┘
 *
 * The file has its temporary name until it is whole and durable; so whatever has the final name was
 * whole once, and what is not whole now is damaged.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <zstd.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "disk/snapshot_int.h"
#include "os/file.h"

#define OUT_BYTES         (1u << 20) /* written at once */
#define COMPRESSION_LEVEL -1         /* literals as they are: a restart waits for their decoding */

struct snapshot_writer {
    struct os_disk *disk;
    char dir[OS_PATH_BYTES];
    char temporary[OS_PATH_BYTES];
    uint64_t batch;
    struct os_file *file;
    uint64_t offset;  /* of the file, where `out` goes */
    uint32_t crc;     /* of what is written */
    struct buf out;   /* not written yet */
    struct buf chunk; /* the open section's bytes, less than a chunk */
    ZSTD_CCtx *zstd;
    struct arena arena;  /* names of sections, keys */
    struct map_str keys; /* name and partition -> index */
    struct section_entry *sections;
    uint32_t section_count;
    uint32_t section_room;
};

static enum status flush(struct snapshot_writer *w, struct fault *f)
{
    enum status done = os_file_write(w->file, w->offset, w->out.at, w->out.len, f);
    if (done != OK)
        return done;
    w->crc = hash_crc32c(w->crc, w->out.at, w->out.len);
    w->offset += w->out.len;
    w->out.len = 0;
    return OK;
}

static void put_header(struct snapshot_writer *w, const struct snapshot_about *about)
{
    size_t begin = w->out.len;
    static const uint8_t zeros[SNAPSHOT_HEADER_BYTES];
    buf_add_u32(&w->out, SNAPSHOT_MAGIC);
    buf_add_u32(&w->out, SNAPSHOT_VERSION);
    buf_add_u64(&w->out, about->batch);
    buf_add_u64(&w->out, (uint64_t)about->now_ms);
    buf_add_u64(&w->out, about->state_hash);
    buf_add_u32(&w->out, about->partition_count);
    buf_add_u32(&w->out, SNAPSHOT_CHUNK_BYTES);
    buf_add(&w->out, about->release, sizeof(about->release));
    buf_add(&w->out, zeros, SNAPSHOT_HEADER_BYTES - 4 - (w->out.len - begin));
    buf_add_u32(&w->out, hash_crc32c(0, w->out.at + begin, w->out.len - begin));
    must(w->out.len - begin == SNAPSHOT_HEADER_BYTES);
}

enum status snapshot_begin(struct os_disk *disk, const char *dir,
                           const struct snapshot_about *about, struct snapshot_writer **w,
                           struct fault *f)
{
    must(about->reserved == 0);
    struct snapshot_writer *x = mem_new(sizeof(*x));
    x->disk = disk;
    x->batch = about->batch;
    buf_init(&x->out);
    buf_init(&x->chunk);
    arena_init(&x->arena, 16384);
    map_str_init(&x->keys, &x->arena);
    x->zstd = ZSTD_createCCtx();
    must(x->zstd != NULL);
    enum status done = OK;
    if (!snapshot_temporary_path(x->temporary, sizeof(x->temporary), dir, about->batch)) {
        fault_set(f, "the path of the snapshot is too long");
        fault_place(f, dir, 0, 0);
        done = FIX_INPUT;
    } else {
        memcpy(x->dir, dir, strlen(dir));
        done = os_file_open(disk, x->temporary, OS_CREATE, &x->file, f);
    }
    if (done != OK) {
        snapshot_abandon(x);
        return done;
    }
    put_header(x, about);
    *w = x;
    return OK;
}

/* Puts up to a chunk's bytes of the newest section into `out`. */
static enum status put_chunk(struct snapshot_writer *w, const void *at, size_t bytes,
                             struct fault *f)
{
    must(bytes > 0);
    must(bytes <= SNAPSHOT_CHUNK_BYTES);
    struct section_entry *section = &w->sections[w->section_count - 1];
    if (section->chunk_count == 0)
        section->offset = w->offset + w->out.len;

    size_t room = ZSTD_compressBound(SNAPSHOT_CHUNK_BYTES);
    uint8_t *header = buf_reserve(&w->out, SNAPSHOT_CHUNK_HEADER_BYTES + room);
    uint8_t *stored = header + SNAPSHOT_CHUNK_HEADER_BYTES;
    uint8_t algorithm = SNAPSHOT_ZSTD;
    size_t stored_bytes = ZSTD_compressCCtx(w->zstd, stored, room, at, bytes, COMPRESSION_LEVEL);
    must(!ZSTD_isError(stored_bytes));       /* with that room it cannot fail */
    if (stored_bytes >= bytes - bytes / 8) { /* nearly all of it is hashes: not worth decoding */
        algorithm = SNAPSHOT_RAW;
        stored_bytes = bytes;
        memcpy(stored, at, bytes);
    }

    uint32_t words[SNAPSHOT_CHUNK_HEADER_BYTES / 4] = {
        SNAPSHOT_CHUNK_MAGIC,   algorithm, w->section_count - 1, (uint32_t)bytes,
        (uint32_t)stored_bytes,
    };
    uint32_t crc = hash_crc32c(0, words, sizeof(words) - 4);
    words[5] = hash_crc32c(crc, stored, stored_bytes);
    memcpy(header, words, sizeof(words));
    w->out.len += SNAPSHOT_CHUNK_HEADER_BYTES + stored_bytes;
    section->chunk_count++;
    section->bytes += bytes;
    return w->out.len >= OUT_BYTES ? flush(w, f) : OK;
}

static enum status end_section(struct snapshot_writer *w, struct fault *f)
{
    if (w->chunk.len == 0)
        return OK;
    enum status done = put_chunk(w, w->chunk.at, w->chunk.len, f);
    w->chunk.len = 0;
    return done;
}

/* Opens a section that was not there before. */
static void begin_section(struct snapshot_writer *w, struct str name, uint32_t partition)
{
    char key[SNAPSHOT_SECTION_NAME_BYTES + sizeof(partition)];
    memcpy(key, name.at, name.len);
    memcpy(key + name.len, &partition, sizeof(partition));
    uint32_t index = map_str_intern(&w->keys, (struct str){key, name.len + sizeof(partition)});
    must(index == w->section_count); /* or it went back to an earlier section */
    must(w->section_count < SNAPSHOT_SECTIONS_MAX);
    if (w->section_count == w->section_room) {
        w->section_room = max_of(w->section_room * 2, 64);
        w->sections = mem_resize(w->sections, w->section_room * sizeof(*w->sections));
    }
    w->sections[w->section_count++] = (struct section_entry){
        .name = arena_copy(&w->arena, name),
        .partition = partition,
    };
}

enum status snapshot_put(struct snapshot_writer *w, struct str section, uint32_t partition,
                         const void *at, size_t bytes, struct fault *f)
{
    must(section.len >= 1);
    must(section.len <= SNAPSHOT_SECTION_NAME_BYTES);
    const struct section_entry *open = w->section_count ? &w->sections[w->section_count - 1] : NULL;
    if (open == NULL || open->partition != partition || !str_equal(open->name, section)) {
        enum status done = end_section(w, f);
        if (done != OK)
            return done;
        begin_section(w, section, partition);
    }

    const uint8_t *from = at;
    while (bytes > 0) {
        enum status done = OK;
        size_t part = min_of(bytes, SNAPSHOT_CHUNK_BYTES - w->chunk.len);
        if (part == SNAPSHOT_CHUNK_BYTES) {
            done = put_chunk(w, from, part, f);
        } else {
            buf_add(&w->chunk, from, part);
            if (w->chunk.len == SNAPSHOT_CHUNK_BYTES)
                done = end_section(w, f);
        }
        if (done != OK)
            return done;
        from += part;
        bytes -= part;
    }
    return OK;
}

static enum status put_index(struct snapshot_writer *w, struct fault *f)
{
    struct buf index;
    buf_init(&index);
    for (uint32_t i = 0; i < w->section_count; i++) {
        const struct section_entry *s = &w->sections[i];
        buf_add_varint(&index, s->name.len);
        buf_add_str(&index, s->name);
        buf_add_varint(&index, s->partition);
        buf_add_varint(&index, s->offset);
        buf_add_varint(&index, s->chunk_count);
        buf_add_varint(&index, s->bytes);
    }
    uint64_t offset = w->offset + w->out.len;
    uint32_t index_crc = hash_crc32c(0, index.at, index.len);
    buf_add(&w->out, index.at, index.len);
    buf_fini(&index);
    enum status done = flush(w, f); /* now w->crc is that of all before the trailer */
    if (done != OK)
        return done;
    buf_add_u32(&w->out, SNAPSHOT_END_MAGIC);
    buf_add_u32(&w->out, w->section_count);
    buf_add_u64(&w->out, offset);
    buf_add_u32(&w->out, index_crc);
    buf_add_u32(&w->out, w->crc);
    buf_add_u32(&w->out, 0);
    buf_add_u32(&w->out, hash_crc32c(0, w->out.at, w->out.len));
    must(w->out.len == SNAPSHOT_TRAILER_BYTES);
    return flush(w, f);
}

static void free_writer(struct snapshot_writer *w)
{
    os_file_close(w->file);
    ZSTD_freeCCtx(w->zstd);
    map_str_fini(&w->keys);
    arena_fini(&w->arena);
    mem_free(w->sections);
    buf_fini(&w->out);
    buf_fini(&w->chunk);
    mem_free(w);
}

enum status snapshot_commit(struct snapshot_writer *w, struct fault *f)
{
    char path[OS_PATH_BYTES];
    must(snapshot_path(path, sizeof(path), w->dir, w->batch)); /* the temporary one is longer */
    enum status done = end_section(w, f);
    if (done == OK)
        done = put_index(w, f);
    if (done == OK)
        done = os_file_sync(w->file, f);
    if (done == OK)
        done = os_rename(w->disk, w->temporary, path, f);
    if (done != OK) {
        snapshot_abandon(w);
        return done;
    }
    done = os_sync_dir(w->disk, w->dir, f);
    free_writer(w);
    return done;
}

void snapshot_abandon(struct snapshot_writer *w)
{
    if (w == NULL)
        return;
    if (w->file != NULL)
        (void)!os_remove(w->disk, w->temporary, NULL);
    free_writer(w);
}
