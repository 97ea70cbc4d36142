/* Walking along a segment: one block after the other, none shown before it is verified, and at the
 * end the question that matters after a crash: is what follows torn, or damaged?
 *
 * A write that a crash interrupted leaves bytes that were never promised to anybody; they are cut. The
 * same garbage in the middle of the log is damage; it must stop everything. The two are told apart by
 * what lies behind. Commit c + 1 is written only after the disk has confirmed commit c. So a whole
 * block of a later commit behind bytes that are not a block proves that those bytes were durable once:
 * damage. Blocks of the same commit behind it prove nothing: the disk may write the sectors of one
 * write in any order.
 *
 * Every block carries its commit, and the last one of a commit says so; hence the commit of the bytes
 * that are no block is known: that of the block before, or the next one.
 *
 * What somebody sends us may look like a block. Therefore blocks carry the log's salt, which nobody
 * outside knows, and begin at multiples of eight.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "base/hash.h"
#include "base/mem.h"
#include "evlog/sealed_int.h"

#define WINDOW_BYTES (1u << 20) /* read at once */

void walker_init(struct walker *w)
{
    *w = (struct walker){.ends_commit = true, .quiet_offset = UINT64_MAX};
    buf_init(&w->window);
}

void walker_fini(struct walker *w)
{
    walker_close(w);
    buf_fini(&w->window);
    mem_free(w->records);
    w->records = NULL;
}

enum status walker_open(struct walker *w, struct os_disk *disk, const char *dir, uint64_t segment,
                        struct fault *f)
{
    char path[OS_PATH_BYTES];
    enum status done = segment_path(path, sizeof(path), dir, segment, f);
    struct os_file *file = NULL;
    if (done == OK)
        done = os_file_open(disk, path, OS_READ, &file, f);
    if (done != OK)
        return done;
    walker_begin(w, disk, dir, file, segment);
    return OK;
}

void walker_begin(struct walker *w, struct os_disk *disk, const char *dir, struct os_file *file,
                  uint64_t segment)
{
    walker_close(w);
    w->disk = disk;
    must(str_to_z(str_of(dir), w->dir, sizeof(w->dir)));
    w->file = file;
    w->segment = segment;
    w->offset = 0;
    w->chain = 0;
    w->is_finished = false;
    w->has_jumped = false;
    w->quiet_offset = UINT64_MAX;
    walker_refresh(w);
}

void walker_close(struct walker *w)
{
    sealed_free(w->sealed);
    w->sealed = NULL;
    os_file_close(w->file);
    w->file = NULL;
}

void walker_refresh(struct walker *w)
{
    w->window.len = 0;
    w->window_offset = 0;
}

/* Makes `bytes` bytes from `offset` visible at *at, or as many as the file has. What was visible
 * before may be gone. */
static enum status show(struct walker *w, uint64_t offset, size_t bytes, const uint8_t **at,
                        size_t *got_bytes, struct fault *f)
{
    uint64_t window_end = w->window_offset + w->window.len;
    if (offset < w->window_offset || offset + bytes > window_end) {
        w->window.len = 0;
        w->window_offset = offset;
        size_t wanted = max_of(bytes, (size_t)WINDOW_BYTES);
        uint8_t *room = buf_reserve(&w->window, wanted);
        size_t got = 0;
        enum status done = os_file_read_some(w->file, offset, room, wanted, &got, f);
        if (done != OK)
            return done;
        w->window.len = got;
    }
    size_t skip = (size_t)(offset - w->window_offset);
    *at = w->window.at + skip;
    *got_bytes = min_of(bytes, w->window.len - skip);
    return OK;
}

static enum verdict check_header(struct walker *w, const struct block *b, const char **why)
{
    uint64_t commit = w->ends_commit ? w->commit + 1 : w->commit;
    *why = "it does not follow the block before it";
    if (b->previous != w->chain && !w->has_jumped)
        return BYTES_BAD;
    /* What is sealed is no commit any more; its last block has the number of the last one. */
    bool ends_sealed = w->sealed != NULL && b->kind == BLOCK_MARK && b->commit >= commit;
    if (w->knows_commit && b->commit != commit && !ends_sealed)
        return BYTES_BAD;
    *why = "it belongs to another log";
    if (w->knows_id && b->salt != block_salt(w->log_id))
        return BYTES_BAD;
    if (w->offset == 0) {
        *why = "the segment does not begin with its head";
        if (b->kind != BLOCK_SEGMENT || b->number != w->segment)
            return BYTES_BAD;
        if (b->length != SEGMENT_BODY_BYTES || b->salt != block_salt(b->hash))
            return BYTES_BAD;
        if (w->knows_id && b->hash != w->log_id)
            return BYTES_BAD;
    }
    return BYTES_GOOD;
}

static enum verdict check_batch(struct walker *w, const struct block *b, const char **why)
{
    *why = "its length does not fit its records";
    if (b->count > BATCH_RECORDS_MAX || b->count > b->length)
        return BYTES_STRANGE;
    if (b->count > w->record_room) {
        w->record_room = max_of(b->count, 256);
        w->records = mem_resize(w->records, w->record_room * sizeof(*w->records));
    }
    struct cursor in = cursor_of(b->payload, b->length);
    uint32_t sum = 0;
    enum verdict worst = BYTES_GOOD;
    const char *strange = NULL;
    for (uint32_t i = 0; i < b->count; i++) {
        enum verdict v = record_read(&in, b->now_ms, &w->records[i], &sum, why);
        if (v == BYTES_BAD)
            return v;
        if (v == BYTES_STRANGE) {
            worst = v;
            strange = *why;
        }
    }
    *why = "its length does not fit its records";
    if (cursor_left(&in) != 0 || sum != b->sum)
        return BYTES_BAD;
    if (worst != BYTES_GOOD)
        *why = strange;
    return worst;
}

static enum verdict check_payload(struct walker *w, const struct block *b, const char **why)
{
    const uint8_t *end = b->payload + b->length;
    *why = "the filling behind it is not zero";
    for (uint64_t i = 0; i < block_padded_bytes(b->length) - BLOCK_HEADER_BYTES - b->length; i++)
        if (end[i] != 0)
            return BYTES_BAD;
    if (b->kind == BLOCK_BATCH)
        return check_batch(w, b, why);
    *why = "its checksum is wrong";
    if (hash_crc32c(0, b->payload, b->length) != b->sum && !planted("log-torn-tail"))
        return BYTES_BAD;
    return BYTES_GOOD;
}

/* Looks at the block at w->offset. */
static enum status look(struct walker *w, struct block *b, enum verdict *verdict, const char **why,
                        struct fault *f)
{
    const uint8_t *at;
    size_t got;
    enum status done = show(w, w->offset, BLOCK_HEADER_BYTES, &at, &got, f);
    if (done != OK)
        return done;
    *verdict = BYTES_BAD;
    *why = "the file ends in the middle of a block";
    if (got < BLOCK_HEADER_BYTES)
        return OK;
    *verdict = block_read_header(at, b, why);
    if (*verdict != BYTES_GOOD)
        return OK;
    *verdict = check_header(w, b, why);
    if (*verdict != BYTES_GOOD)
        return OK;

    size_t whole = (size_t)block_padded_bytes(b->length);
    done = show(w, w->offset, whole, &at, &got, f);
    if (done != OK)
        return done;
    *verdict = BYTES_BAD;
    *why = "the file ends in the middle of a block";
    if (got < whole)
        return OK;
    b->payload = at + BLOCK_HEADER_BYTES;
    *verdict = check_payload(w, b, why);
    return OK;
}

/* Is a block of a commit after *commit at these bytes? Where it is not known yet which commit the
 * search is about (*commit is 0), the first block that is found says so. */
static bool is_later_block(const struct walker *w, const uint8_t *at, uint64_t *commit)
{
    struct block b = {0};
    const char *why;
    if (block_read_header(at, &b, &why) != BYTES_GOOD)
        return false;
    if (w->knows_id && b.salt != block_salt(w->log_id))
        return false;
    if (*commit == 0)
        *commit = b.commit;
    return b.commit > *commit;
}

/* A segment that is being written is followed by up to 64 MiB of zeros. */
#define QUIET_BYTES ((size_t)64)

static bool is_quiet_at(const uint8_t *at)
{
    uint64_t words[QUIET_BYTES / sizeof(uint64_t)], all = 0;
    memcpy(words, at, sizeof(words));
    for (uint32_t i = 0; i < array_count(words); i++)
        all |= words[i];
    return all == 0;
}

/* Searches what lies behind w->offset: the last byte that is not zero, and whether a block of a later
 * commit is there. */
static enum status search_tail(struct walker *w, uint64_t *bytes_torn, uint64_t *later_offset,
                               struct fault *f)
{
    uint64_t commit = !w->knows_commit ? 0 : w->ends_commit ? w->commit + 1 : w->commit;
    uint64_t offset = w->offset;
    *bytes_torn = 0;
    *later_offset = 0;
    for (;;) {
        const uint8_t *at;
        size_t got;
        enum status done = show(w, offset, WINDOW_BYTES, &at, &got, f);
        if (done != OK || got == 0)
            return done;
        size_t i = 0;
        for (; i + BLOCK_HEADER_BYTES <= got; i += BLOCK_ALIGN) {
            uint64_t word;
            while (i + QUIET_BYTES + BLOCK_HEADER_BYTES <= got && is_quiet_at(at + i))
                i += QUIET_BYTES;
            memcpy(&word, at + i, sizeof(word));
            if (word == 0)
                continue;
            *bytes_torn = offset + i + BLOCK_ALIGN - w->offset;
            if ((uint32_t)word == BLOCK_MAGIC && offset + i > w->offset &&
                is_later_block(w, at + i, &commit)) {
                *later_offset = offset + i;
                return OK;
            }
        }
        /* Fewer bytes than a header has are left: the next round begins with them, or ends. */
        if (got < WINDOW_BYTES) {
            for (; i < got; i++)
                if (at[i] != 0)
                    *bytes_torn = offset + i + 1 - w->offset;
            return OK;
        }
        offset += i;
    }
}

static enum status damaged(const struct walker *w, const char *why, struct fault *f)
{
    fault_set(f, "damaged block at byte %llu: %s", (unsigned long long)w->offset, why);
    fault_place(f, w->file->path, 0, 0);
    return GIVE_UP;
}

/* True if the bytes at w->offset are as quiet as they were when all behind them was searched. */
static enum status is_still_quiet(struct walker *w, bool *is_quiet, struct fault *f)
{
    static const uint8_t zeros[BLOCK_HEADER_BYTES];
    *is_quiet = false;
    if (w->quiet_offset != w->offset)
        return OK;
    uint8_t now[BLOCK_HEADER_BYTES];
    size_t got = 0;
    enum status done = os_file_read_some(w->file, w->offset, now, sizeof(now), &got, f);
    *is_quiet = done == OK && memcmp(now, zeros, got) == 0;
    return done;
}

/* There is no whole block at w->offset: is the log at its end? */
static enum status end_or_damage(struct walker *w, enum walk_place place, const char *why,
                                 struct tail *tail, struct fault *f)
{
    if (place == WALK_OLDER || w->sealed != NULL)
        return damaged(w, why, f);
    uint64_t later = 0;
    enum status done = search_tail(w, &tail->bytes_torn, &later, f);
    if (done != OK)
        return done;
    if (later != 0) {
        fault_set(f, "damaged block at byte %llu: %s, and whole blocks follow from byte %llu",
                  (unsigned long long)w->offset, why, (unsigned long long)later);
        fault_place(f, w->file->path, 0, 0);
        return GIVE_UP;
    }
    tail->offset = w->offset;
    w->quiet_offset = tail->bytes_torn == 0 ? w->offset : UINT64_MAX;
    return OK;
}

static void step(struct walker *w, const struct block *b)
{
    if (b->kind == BLOCK_SEGMENT) {
        w->knows_id = true;
        w->log_id = b->hash;
    }
    if (!w->knows_commit || b->commit != w->commit || w->offset == 0)
        w->commit_offset = w->offset;
    w->chain = b->crc;
    w->has_jumped = false;
    w->commit = b->commit;
    w->knows_commit = true;
    w->ends_commit = (b->flags & BLOCK_ENDS_COMMIT) != 0;
    w->is_finished = (b->flags & BLOCK_ENDS_SEGMENT) != 0;
    w->offset += block_padded_bytes(b->length);
}

/* The next block as it stands in the file. */
static enum status next_stored(struct walker *w, enum walk_place place, enum walk *what,
                               struct block *b, struct tail *tail, struct fault *f)
{
    if (w->is_finished) {
        *what = WALK_FINISHED;
        return OK;
    }
    enum status done;
    for (int attempt = 0;; attempt++) {
        bool is_quiet = false;
        done = place == WALK_NEWEST ? is_still_quiet(w, &is_quiet, f) : OK;
        if (done != OK)
            return done;
        if (is_quiet) {
            *what = WALK_TAIL;
            *tail = (struct tail){w->offset, 0};
            return OK;
        }
        enum verdict verdict;
        const char *why;
        done = look(w, b, &verdict, &why, f);
        if (done != OK)
            return done;
        if (verdict == BYTES_GOOD) {
            step(w, b);
            *what = WALK_BLOCK;
            return OK;
        }
        if (verdict == BYTES_STRANGE) {
            fault_set(f, "unreadable block at byte %llu: %s", (unsigned long long)w->offset, why);
            fault_place(f, w->file->path, 0, 0);
            return GIVE_UP;
        }
        /* A writer may be at work: what was read ahead may be older than what the search finds. Only
         * bytes read after the search can convict. */
        struct fault found = {0};
        *tail = (struct tail){0};
        done = end_or_damage(w, place, why, tail, attempt == 0 ? &found : f);
        walker_refresh(w);
        if (done == OK)
            break;
        if (attempt > 0)
            return done;
    }
    *what = WALK_TAIL;
    return OK;
}

/* The next block of the pack that is open. */
static enum status next_packed(struct walker *w, struct block *b, struct fault *f)
{
    struct sealed *s = w->sealed;
    bool is_end;
    const char *why = pack_fault(s->pack);
    if (why != NULL)
        return damaged(w, why, f);
    if (pack_next(s->pack, b, &w->records, &w->record_room, &is_end, &why) != BYTES_GOOD)
        return damaged(w, why, f);
    s->is_in_pack = !is_end;
    return OK;
}

static enum status begin_pack(struct walker *w, const struct block *b, struct fault *f)
{
    const char *why = "nothing says how it is sealed";
    if (w->sealed == NULL || !pack_open(w->sealed->pack, b, &why))
        return damaged(w, why, f);
    w->sealed->is_in_pack = true;
    return OK;
}

static enum status begin_sealed(struct walker *w, const struct block *b, struct fault *f)
{
    const char *why;
    enum verdict verdict;
    enum status status = sealed_begin(w, b, &verdict, &why, f);
    if (status != OK || verdict == BYTES_GOOD)
        return status;
    if (verdict == BYTES_BAD)
        return damaged(w, why, f);
    fault_set(f, "unreadable block before byte %llu: %s", (unsigned long long)w->offset, why);
    fault_place(f, w->file->path, 0, 0);
    return GIVE_UP;
}

enum status walker_next(struct walker *w, enum walk_place place, enum walk *what, struct block *b,
                        struct tail *tail, struct fault *f)
{
    for (;;) {
        enum status status;
        if (w->sealed != NULL && w->sealed->is_in_pack) {
            status = next_packed(w, b, f);
            *what = WALK_BLOCK;
            if (status != OK || w->sealed->is_in_pack)
                return status;
            sealed_jump(w);
        }
        status = next_stored(w, place, what, b, tail, f);
        if (status != OK || *what != WALK_BLOCK)
            return status;
        if (b->kind == BLOCK_SEAL)
            status = begin_sealed(w, b, f);
        else if (b->kind == BLOCK_PACK)
            status = begin_pack(w, b, f);
        else if (b->kind != BLOCK_INDEX)
            return OK;
        if (status != OK)
            return status;
    }
}
