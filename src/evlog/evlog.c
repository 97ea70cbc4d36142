/* The writer of the log.
 *
 * FOLDER
 *
 *     lock                    held by the one writer
 *     0000000000000001.seg    segments, named after the first batch in them
 *     0000000000041207.seg    the newest one: it is written to
 *     spare                   the next segment, its room reserved; also the reserve
 *
 * SEGMENT
 *
 *     head │ names │ batch 41207 │ batch 41208 │ results 41207 │ ... │ mark │ 0 0 0 0 ...
 *     └─ preamble ─┘
 *
 * A segment is made before it is needed: its room is reserved, so that a commit does not change its
 * size and cannot meet a full disk. Where it ends, zeros follow. It is a file of blocks, each a header
 * of 64 bytes and a payload; docs/formats/log.md has every byte.
 *
 * COMMIT
 *
 * Appending puts blocks into a buffer. A commit writes the buffer with one pwrite, waits for one
 * fdatasync, and only then is anything promised to anybody. The blocks of a commit carry its number,
 * and the last one a flag. Each block's header carries the checksum of the header before it, and so
 * vouches for all that came before it in the segment: a piece of an older, given up write can never
 * be taken for a continuation.
 *
 * What may go wrong:
 *
 *     the sync fails      Nobody knows what is on the disk, and the kernel may have forgotten what it
 *                         could not write. The log is dead, the process stops, recovery finds out.
 *     the disk is full    Within a prepared segment this does not happen (but on file systems that
 *                         copy on write, or when a batch is larger than a segment). The commit can be
 *                         tried again; it goes to the same place. Or it is abandoned: then its first
 *                         header is overwritten, so that a crash does not bring back what was refused.
 *     no room for a spare Ordinary batches are refused from then on. What is left of the segment is
 *                         the reserve: unsubscribes, receipts and ticks still get in.
 *
 * ROLL
 *
 *     1. the mark that ends the segment is written, together with what was buffered, and synced
 *     2. `spare` is renamed to the next segment's name and the folder synced
 *     3. head and names come with the first commit into the new segment
 *
 * A crash after 1 leaves a finished newest segment; after 2, a newest segment without a head. Both are
 * states that recovery goes on from. A segment that is not the newest always ends with its mark:
 * anything else is damage.
 *
 * RECOVERY
 *
 * The newest segment is walked block by block. Where no whole block follows, what lies behind is
 * searched: a whole block of a *later* commit proves that the bytes before it had been durable, so they
 * are damaged, and the log is refused with segment and offset, unchanged. Otherwise they are what a
 * crash left of the last commit, never promised, and are overwritten with zeros. Batches of that commit
 * that are whole stay: it is not known whether anybody was told, and keeping them is right either
 * way, as clients repeat what they got no answer to and message ids are deduplicated. But what was read may
 * be in the system's memory alone, if a process was killed before its sync or the sync failed; after a failed
 * one the system may even take it for written. So the last commit is written again, and synced with its
 * segment's name, before anything goes on from it: else a power cut would take it from under what was
 * built on it, and a segment that ended with it would be a hole in the log.
 *
 * One case cannot be told apart: damage within the very last commit looks like a torn write. An orderly
 * close therefore writes a mark, which is a later commit and makes it visible.
 *
 * What was tried and left: a length-prefixed stream without commit numbers cuts everything behind the
 * first damaged byte, acknowledged batches included. Truncating closed segments saves a few kilobytes
 * each and pulls the file away under readers that have it open. Filling the spare with zeros beforehand
 * makes a small commit a third faster (0.16 instead of 0.23 ms, ext4 on a virtual disk), but writes
 * everything twice: a microsecond of CPU for each record of 600 bytes, and half of the disk's rate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "evlog/evlog.h"

#include <stdatomic.h>

#include "base/canary.h"
#include "base/hash.h"
#include "base/mem.h"
#include "evlog/evlog_int.h"
#include "os/random.h"
#include "os/thread.h"

#define NAMES_BLOCK_BYTES (256u << 10) /* names are cut into blocks of about this size */
#define ZERO_BYTES        (1u << 20)   /* written at once when a segment is prepared */

enum spare_state {
    SPARE_NONE = 0, /* to be made */
    SPARE_READY,
    SPARE_NO_ROOM, /* making it met a full disk */
};

/* The place in the log behind which the next block goes. */
struct place {
    uint64_t batch;   /* newest batch; 0 = none */
    uint64_t results; /* newest batch with results */
    int64_t now_ms;   /* of the newest batch */
    uint32_t chain;   /* crc of the newest block's header */
    uint32_t name_count;
    bool is_marked; /* the newest block is a mark */
};

struct evlog {
    struct os_disk *disk;
    char dir[OS_PATH_BYTES];
    uint64_t segment_bytes;
    enum evlog_spare spare_policy;
    evlog_segment_closed *closed;
    void *closed_context;
    struct os_file *lock;
    uint64_t log_id;
    uint32_t salt;
    bool is_dead;

    struct os_file *file;    /* the newest segment; NULL: begun with the next block */
    uint64_t segment;        /* its first batch */
    uint64_t segment_before; /* the first batch of the one before it; 0 = none */
    uint64_t offset;         /* where the next commit goes */
    uint64_t commit;         /* its number */

    struct place durable;  /* as of the last commit */
    struct place appended; /* with what is buffered */
    struct names *names;   /* as appended */

    struct buf out;          /* blocks to be written */
    size_t last_header;      /* of the newest block in `out` */
    struct block last;       /* its fields */
    struct buf records;      /* a batch on its way into `out` */
    uint32_t refused_record; /* index, for evlog_refused_record() */

    struct os_mutex spare_mutex; /* held while the spare is made or taken */
    _Atomic int spare;           /* enum spare_state */
};

/* A full disk may be waited for; whatever else the disk says ends the log. */
static enum status die(struct evlog *log, enum status why)
{
    if (why == OK || why == TRY_AGAIN)
        return why;
    log->is_dead = true;
    return GIVE_UP;
}

/* ----------------------------------------------------------------------------------- the spare */

static void spare_path(const struct evlog *log, char *out, const char *name)
{
    must(os_path_join(out, OS_PATH_BYTES, log->dir, name)); /* the lock's path, as long, did fit */
}

static enum status write_zeros(struct os_file *file, uint64_t offset, uint64_t bytes,
                               struct fault *f)
{
    must(bytes > 0);
    must(offset % BLOCK_ALIGN == 0);
    void *zeros = mem_new((size_t)min_of(bytes, ZERO_BYTES));
    enum status done = OK;
    for (uint64_t at = 0; done == OK && at < bytes; at += ZERO_BYTES)
        done = os_file_write(file, offset + at, zeros, (size_t)min_of(bytes - at, ZERO_BYTES), f);
    mem_free(zeros);
    return done;
}

/* Under the spare's lock: makes it. */
static enum status make_spare(struct evlog *log, struct fault *f)
{
    char temporary[OS_PATH_BYTES], path[OS_PATH_BYTES];
    must(atomic_load(&log->spare) != SPARE_READY);
    must(log->segment_bytes >= EVLOG_SEGMENT_BYTES_MIN);
    spare_path(log, temporary, "spare.tmp");
    spare_path(log, path, "spare");
    struct os_file *file = NULL;
    enum status done = os_file_open(log->disk, temporary, OS_CREATE, &file, f);
    if (done == OK)
        done = os_file_preallocate(file, log->segment_bytes, f);
    if (done == OK)
        done = os_file_sync(file, f);
    os_file_close(file);
    if (done == OK)
        done = os_rename(log->disk, temporary, path, f);
    if (done == OK)
        done = os_sync_dir(log->disk, log->dir, f);
    if (done == TRY_AGAIN)
        (void)!os_remove(log->disk, temporary, NULL);
    atomic_store(&log->spare, done == OK ? SPARE_READY : SPARE_NO_ROOM);
    return done;
}

enum status evlog_prepare(struct evlog *log, struct fault *f)
{
    os_mutex_lock(&log->spare_mutex);
    enum status done = OK;
    if (atomic_load(&log->spare) != SPARE_READY)
        done = make_spare(log, f);
    os_mutex_unlock(&log->spare_mutex);
    return done;
}

bool evlog_wants_prepare(struct evlog *log)
{
    return atomic_load(&log->spare) != SPARE_READY;
}

bool evlog_admits_all(struct evlog *log)
{
    int spare = atomic_load(&log->spare);
    if (spare == SPARE_READY)
        return true;
    if (log->spare_policy == EVLOG_SPARE_BY_CALLER) {
        if (spare == SPARE_NO_ROOM)
            return false;
        /* Somebody is about to make it. But half a segment at least stays in reserve. */
        if (log->file == NULL || log->offset + log->out.len < log->segment_bytes / 2)
            return true;
    }
    enum status done = evlog_prepare(log, NULL);
    return die(log, done) == OK;
}

/* Turns the spare into the segment at `path`. */
static enum status take_spare(struct evlog *log, const char *path, struct fault *f)
{
    char spare[OS_PATH_BYTES];
    spare_path(log, spare, "spare");
    os_mutex_lock(&log->spare_mutex);
    enum status done = OK;
    if (atomic_load(&log->spare) != SPARE_READY)
        done = make_spare(log, f);
    if (done == OK)
        done = os_rename(log->disk, spare, path, f);
    if (done == OK) {
        atomic_store(&log->spare, SPARE_NONE);
        done = os_sync_dir(log->disk, log->dir, f);
    }
    os_mutex_unlock(&log->spare_mutex);
    return done;
}

/* ---------------------------------------------------------------------------------- placing blocks */

/* Puts a block behind what is buffered. */
static void place_block(struct evlog *log, struct block *b, struct str payload)
{
    must(b->kind >= BLOCK_SEGMENT);
    must(b->kind <= BLOCK_MARK);
    must(payload.len <= block_bytes_max(b->kind));
    must(b->now_ms >= log->durable.now_ms);
    b->length = (uint32_t)payload.len;
    b->commit = log->commit;
    b->salt = log->salt;
    b->previous = log->appended.chain;
    log->last_header = log->out.len;
    uint64_t whole = block_padded_bytes(b->length);
    must(whole >= BLOCK_HEADER_BYTES + payload.len);
    uint8_t *at = buf_reserve(&log->out, (size_t)whole);
    block_write_header(b, at);
    if (payload.len > 0)
        memcpy(at + BLOCK_HEADER_BYTES, payload.at, payload.len);
    memset(at + BLOCK_HEADER_BYTES + payload.len, 0,
           (size_t)whole - BLOCK_HEADER_BYTES - payload.len);
    log->out.len += (size_t)whole;
    log->last = *b;
    log->appended.chain = b->crc;
    log->appended.is_marked = b->kind == BLOCK_MARK;
}

/* Head and names, at the beginning of a segment. */
static void place_preamble(struct evlog *log)
{
    must(log->file != NULL);
    must(log->offset == 0);
    must(log->out.len == 0);
    must(log->segment == log->appended.batch + 1);
    must(log->appended.name_count == names_count(log->names));
    struct buf body;
    buf_init(&body);
    log->appended.chain = 0;
    segment_body_write(&body, log->segment_before, log->appended.results);
    must(body.len == SEGMENT_BODY_BYTES);
    struct block head = {
        .kind = BLOCK_SEGMENT,
        .count = names_count(log->names),
        .number = log->segment,
        .now_ms = log->appended.now_ms,
        .hash = log->log_id,
        .sum = hash_crc32c(0, body.at, body.len),
    };
    place_block(log, &head, buf_str(&body));

    for (uint32_t name = NAME_FIXED_END; name < names_count(log->names);) {
        struct block b = {.kind = BLOCK_NAMES, .number = name, .now_ms = log->appended.now_ms};
        body.len = 0;
        while (name < names_count(log->names) && body.len < NAMES_BLOCK_BYTES) {
            struct str text = names_text(log->names, name++);
            buf_add_varint(&body, text.len);
            buf_add_str(&body, text);
            b.count++;
        }
        must(b.count > 0);
        b.sum = hash_crc32c(0, body.at, body.len);
        place_block(log, &b, buf_str(&body));
    }
    buf_fini(&body);
}

static void place_mark(struct evlog *log, uint8_t flags)
{
    must(log->appended.batch > 0);
    struct block b = {
        .kind = BLOCK_MARK,
        .flags = flags,
        .number = log->appended.batch,
        .now_ms = log->appended.now_ms,
    };
    place_block(log, &b, (struct str){0});
}

/* ------------------------------------------------------------------------------------------ commit */

static enum status refuse_dead(struct evlog *log, struct fault *f)
{
    fault_set(f, "the log cannot be written to after a failure of the disk");
    fault_place(f, log->dir, 0, 0);
    return GIVE_UP;
}

/* Says on the newest block whether it is the last of its commit. */
static void flag_last(struct evlog *log, bool ends_commit)
{
    must(log->last.kind != 0);
    must(log->out.len >= log->last_header + BLOCK_HEADER_BYTES);
    log->last.flags &= (uint8_t)~BLOCK_ENDS_COMMIT;
    log->last.flags |= ends_commit ? BLOCK_ENDS_COMMIT : 0;
    block_write_header(&log->last, log->out.at + log->last_header);
    log->appended.chain = log->last.crc;
}

enum status evlog_commit(struct evlog *log, struct fault *f)
{
    if (log->is_dead)
        return refuse_dead(log, f);
    if (log->out.len == 0)
        return OK;
    must(log->file != NULL);
    must(log->offset % BLOCK_ALIGN == 0);
    must(log->out.len % BLOCK_ALIGN == 0);
    must(log->appended.batch >= log->durable.batch);
    flag_last(log, true);
    enum status done = os_file_write(log->file, log->offset, log->out.at, log->out.len, f);
    if (done == OK && !planted("log-no-sync"))
        done = os_file_sync(log->file, f);
    if (done != OK) {
        flag_last(log, false); /* another block may come behind it */
        return die(log, done);
    }
    log->offset += log->out.len;
    log->commit++;
    log->out.len = 0;
    log->durable = log->appended;
    return OK;
}

/* Makes the table of names what it was when it had `count` of them. */
static void forget_names(struct evlog *log, uint32_t count)
{
    if (names_count(log->names) == count)
        return;
    must(count >= NAME_FIXED_END);
    must(count < names_count(log->names));
    struct names *kept = names_new();
    for (uint32_t name = NAME_FIXED_END; name < count; name++)
        must(names_add(kept, names_text(log->names, name)) == name);
    names_free(log->names);
    log->names = kept;
}

enum status evlog_abandon(struct evlog *log, struct fault *f)
{
    if (log->is_dead)
        return refuse_dead(log, f);
    if (log->out.len == 0)
        return OK;
    must(log->file != NULL);
    log->out.len = 0;
    log->appended = log->durable;
    forget_names(log, log->durable.name_count);
    enum status done = write_zeros(log->file, log->offset, BLOCK_HEADER_BYTES, f);
    if (done == OK)
        done = os_file_sync(log->file, f);
    /* A file that ends before the offset cannot hold a block there. */
    return done == TRY_AGAIN ? OK : die(log, done);
}

/* -------------------------------------------------------------------------------------------- roll */

static bool has_batch(const struct evlog *log)
{
    return log->file != NULL && log->appended.batch >= log->segment;
}

/* Ends the open segment, with everything buffered; it must hold a batch. */
static enum status finish_segment(struct evlog *log, struct fault *f)
{
    must(has_batch(log));
    struct place before = log->appended;
    struct block last = log->last;
    size_t last_header = log->last_header;
    size_t bytes = log->out.len;
    place_mark(log, BLOCK_ENDS_SEGMENT);
    enum status done = evlog_commit(log, f);
    if (done != OK) {
        log->out.len = bytes;
        log->appended = before;
        log->last = last;
        log->last_header = last_header;
        return done;
    }

    must(log->out.len == 0);
    must(log->durable.is_marked);
    must(log->durable.batch >= log->segment);
    char path[OS_PATH_BYTES];
    must(segment_path(path, sizeof(path), log->dir, log->segment, NULL) == OK);
    os_file_close(log->file);
    log->file = NULL;
    log->segment_before = log->segment;
    if (log->closed != NULL)
        log->closed(log->closed_context, path, log->segment, log->durable.batch);
    return OK;
}

/* Makes sure that a segment is open and that its preamble is in it, or buffered. */
static enum status begin_segment(struct evlog *log, struct fault *f)
{
    if (log->file == NULL) {
        char path[OS_PATH_BYTES];
        uint64_t first = log->appended.batch + 1;
        enum status done = segment_path(path, sizeof(path), log->dir, first, f);
        if (done == OK && !os_exists(log->disk, path))
            done = take_spare(log, path, f);
        if (done == OK)
            done = os_file_open(log->disk, path, OS_WRITE, &log->file, f);
        if (done != OK)
            return die(log, done);
        log->segment = first;
        log->offset = 0;
        if (log->spare_policy == EVLOG_SPARE_AT_ONCE) {
            /* No room for another one is no reason not to use this one. */
            struct fault why = {0};
            if (die(log, evlog_prepare(log, &why)) == GIVE_UP) {
                fault_set(f, "%s", why.text);
                fault_place(f, why.file, 0, 0);
                return GIVE_UP;
            }
        }
    }
    if (log->offset == 0 && log->out.len == 0)
        place_preamble(log);
    must(log->file != NULL);
    return OK;
}

enum status evlog_roll(struct evlog *log, struct fault *f)
{
    if (log->is_dead)
        return refuse_dead(log, f);
    enum status done = has_batch(log) ? finish_segment(log, f) : evlog_commit(log, f);
    if (done != OK || log->file != NULL)
        return done;
    return begin_segment(log, f);
}

/* Rolls if a block with that payload does not fit, and sees to it that it has a segment to go to. */
static enum status make_room(struct evlog *log, size_t payload_bytes, struct fault *f)
{
    must(payload_bytes <= EVLOG_BLOCK_BYTES_MAX);
    uint64_t end = log->offset + log->out.len + block_padded_bytes((uint32_t)payload_bytes) +
                   BLOCK_HEADER_BYTES; /* the mark */
    if (has_batch(log) && end > log->segment_bytes) {
        enum status done = finish_segment(log, f);
        if (done != OK)
            return done;
    }
    return begin_segment(log, f);
}

/* ------------------------------------------------------------------------------------------ append */

static enum status refuse_record(struct evlog *log, uint64_t batch, uint32_t index, const char *why,
                                 struct fault *f)
{
    fault_set(f, "record %u of batch %llu %s", index, (unsigned long long)batch, why);
    log->refused_record = index;
    return FIX_INPUT;
}

uint32_t evlog_refused_record(const struct evlog *log)
{
    return log->refused_record;
}

/* Are the batch's name records the next ones? Does not change the table. */
static enum status check_names(struct evlog *log, const struct batch *batch, struct fault *f)
{
    struct names *fresh = NULL; /* those of this batch */
    uint32_t fresh_count = 0;
    enum status done = OK;
    for (uint32_t i = 0; done == OK && i < batch->count; i++) {
        const struct record *r = &batch->records[i];
        if (likely(r->type != RECORD_NAME))
            continue;
        if (fresh == NULL)
            fresh = names_new();
        struct str text = body_get_text(r->clear, NAME_TEXT);
        uint32_t next = names_count(log->names) + fresh_count;
        bool is_new =
            names_find(log->names, text) == NAME_NONE && names_find(fresh, text) == NAME_NONE;
        if (r->name != next || next >= NAMES_MAX || !is_new || names_add(fresh, text) == NAME_NONE)
            done = refuse_record(log, batch->number, i, "does not define the next name", f);
        fresh_count++;
    }
    must(fresh_count <= batch->count);
    names_free(fresh);
    return done;
}

static void add_names(struct evlog *log, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct record *r = &batch->records[i];
        if (unlikely(r->type == RECORD_NAME))
            must(names_add(log->names, body_get_text(r->clear, NAME_TEXT)) == r->name);
    }
}

/* The batch's records as bytes, in log->records. */
static enum status encode(struct evlog *log, const struct batch *batch, uint32_t *sum,
                          struct fault *f)
{
    log->records.len = 0;
    *sum = 0;
    int64_t at_ms = INT64_MIN;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct record *r = &batch->records[i];
        must(r->at_ms >= at_ms);
        must(r->at_ms <= batch->now_ms);
        at_ms = r->at_ms;
        if (!record_write(&log->records, r, batch->now_ms, sum))
            return refuse_record(log, batch->number, i, "is longer than a record may be", f);
        if (log->records.len > EVLOG_BLOCK_BYTES_MAX)
            return refuse_record(log, batch->number, i, "makes it longer than a batch may be", f);
    }
    return OK;
}

enum status evlog_append_priority(struct evlog *log, const struct batch *batch, struct fault *f)
{
    must(batch->number == log->appended.batch + 1);
    must(batch->now_ms >= log->appended.now_ms);
    must(batch->count <= BATCH_RECORDS_MAX);
    if (log->is_dead)
        return refuse_dead(log, f);

    uint32_t sum;
    enum status done = check_names(log, batch, f);
    if (done == OK)
        done = encode(log, batch, &sum, f);
    if (done == OK)
        done = make_room(log, log->records.len, f);
    if (done != OK)
        return done;

    must(log->file != NULL);
    must(batch->number >= log->segment);
    log->appended.batch = batch->number;
    log->appended.now_ms = batch->now_ms;
    struct block b = {
        .kind = BLOCK_BATCH,
        .count = batch->count,
        .number = batch->number,
        .now_ms = batch->now_ms,
        .sum = sum,
    };
    place_block(log, &b, buf_str(&log->records));
    add_names(log, batch);
    must(names_count(log->names) >= log->appended.name_count);
    log->appended.name_count = names_count(log->names);
    return OK;
}

enum status evlog_append(struct evlog *log, const struct batch *batch, struct fault *f)
{
    if (log->is_dead)
        return refuse_dead(log, f);
    if (!evlog_admits_all(log)) {
        fault_set(f, "the disk is too full for another segment of the log");
        fault_place(f, log->dir, 0, 0);
        return TRY_AGAIN;
    }
    return evlog_append_priority(log, batch, f);
}

enum status evlog_append_results(struct evlog *log, uint64_t batch_number, struct str bytes,
                                 struct fault *f)
{
    must(batch_number > log->appended.results);
    must(batch_number <= log->appended.batch);
    if (log->is_dead)
        return refuse_dead(log, f);
    if (bytes.len > EVLOG_BLOCK_BYTES_MAX) {
        fault_set(f, "the results of batch %llu are longer than a block may be",
                  (unsigned long long)batch_number);
        return FIX_INPUT;
    }
    enum status done = make_room(log, bytes.len, f);
    if (done != OK)
        return done;
    must(log->file != NULL);
    log->appended.results = batch_number;
    struct block b = {
        .kind = BLOCK_RESULTS,
        .number = batch_number,
        .now_ms = log->appended.now_ms,
        .hash = hash_bytes(bytes.at, bytes.len, 0),
        .sum = hash_crc32c(0, bytes.at, bytes.len),
    };
    place_block(log, &b, bytes);
    return OK;
}

/* ------------------------------------------------------------------------------ opening and closing */

uint64_t evlog_batch_next(const struct evlog *log)
{
    return log->appended.batch + 1;
}

uint64_t evlog_batch_durable(const struct evlog *log)
{
    must(log->durable.batch <= log->appended.batch);
    return log->durable.batch;
}

uint64_t evlog_results_newest(const struct evlog *log)
{
    return log->appended.results;
}

int64_t evlog_now_ms(const struct evlog *log)
{
    return log->appended.now_ms;
}

const struct names *evlog_names(const struct evlog *log)
{
    return log->names;
}

uint64_t evlog_id(const struct evlog *log)
{
    return log->log_id;
}

size_t evlog_buffered_bytes(const struct evlog *log)
{
    return log->out.len;
}

void evlog_free(struct evlog *log)
{
    if (log == NULL)
        return;
    os_file_close(log->file);
    os_file_close(log->lock);
    os_mutex_fini(&log->spare_mutex);
    names_free(log->names);
    buf_fini(&log->out);
    buf_fini(&log->records);
    mem_free(log);
}

enum status evlog_close(struct evlog *log, struct fault *f)
{
    if (!log->is_dead && log->file != NULL && log->appended.batch > 0 && !log->appended.is_marked &&
        log->offset + log->out.len > 0)
        place_mark(log, 0);
    enum status done = evlog_commit(log, f);
    evlog_free(log);
    return done;
}

/* What the walk along the newest segments has found. */
struct recovery {
    struct walker walker;
    struct log_state state;
    struct tail tail;
    bool is_marked;   /* the last block is a mark */
    bool is_finished; /* the segment ended with its mark */
};

static void recovery_init(struct recovery *r)
{
    *r = (struct recovery){0};
    walker_init(&r->walker);
    log_state_init(&r->state);
}

static void recovery_fini(struct recovery *r)
{
    walker_fini(&r->walker);
    log_state_fini(&r->state);
}

/* Walks one segment to its end. */
static enum status walk_segment(struct evlog *log, struct recovery *r, uint64_t segment,
                                enum walk_place place, struct fault *f)
{
    enum status done = walker_open(&r->walker, log->disk, log->dir, segment, f);
    while (done == OK) {
        enum walk what;
        struct block b;
        uint64_t offset = r->walker.offset;
        done = walker_next(&r->walker, place, &what, &b, &r->tail, f);
        if (done != OK)
            return done;
        r->is_finished = what == WALK_FINISHED;
        if (what != WALK_BLOCK)
            return OK;
        const char *why;
        if (!log_state_follow(&r->state, &b, r->walker.records, &why)) {
            fault_set(f, "damaged block at byte %llu: %s", (unsigned long long)offset, why);
            fault_place(f, r->walker.file->path, 0, 0);
            return GIVE_UP;
        }
        r->is_marked = b.kind == BLOCK_MARK;
    }
    return done;
}

/* The newest segment has no whole preamble: what the log is, is known by the segment before it. */
static enum status recover_headless(struct evlog *log, struct recovery *r, const uint64_t *firsts,
                                    uint32_t count, struct fault *f)
{
    must(count > 0);
    uint64_t newest = firsts[count - 1];
    recovery_fini(r);
    recovery_init(r);
    enum status done = OK;
    if (count > 1)
        done = walk_segment(log, r, firsts[count - 2], WALK_OLDER, f);
    if (done != OK)
        return done;
    if (r->state.batch + 1 != newest) {
        fault_set(f, "the segment before it is missing or another one");
        fault_place(f, log->dir, 0, 0);
        return GIVE_UP;
    }
    /* Again, with what is known now about commits: is it torn, or damaged? What there is of its
     * preamble is cut with the rest, so what it says is not taken over. */
    struct recovery again = {.walker = r->walker};
    log_state_init(&again.state);
    done = walk_segment(log, &again, newest, WALK_NEWEST, f);
    r->walker = again.walker;
    if (done == OK && (again.is_finished || log_state_has_preamble(&again.state))) {
        fault_set(f, "the segment changes while it is read");
        done = GIVE_UP;
    }
    log_state_fini(&again.state);
    r->tail.bytes_torn = again.tail.offset + again.tail.bytes_torn;
    r->tail.offset = 0;
    r->is_finished = false;
    return done;
}

/* Writes the bytes that stand there once more. */
static enum status rewrite(struct os_file *file, uint64_t from, uint64_t to, struct fault *f)
{
    must(from <= to);
    uint8_t *bytes = mem_new((size_t)min_of(to - from, ZERO_BYTES) + 1);
    enum status done = OK;
    for (uint64_t at = from; done == OK && at < to; at += ZERO_BYTES) {
        size_t count = (size_t)min_of(to - at, ZERO_BYTES);
        done = os_file_read(file, at, bytes, count, f);
        if (done == OK)
            done = os_file_write(file, at, bytes, count, f);
    }
    mem_free(bytes);
    return done;
}

/* Sees to it that the newest segment is on the disk as it was read, before anything is built on it: what a
 * crash tore is overwritten, and the last commit, which may be in memory alone, is written again. */
static enum status settle_tail(struct evlog *log, struct os_file *file, const struct recovery *r,
                               struct fault *f)
{
    if (planted("log-tail-trusted"))
        return OK;
    uint64_t end = r->is_finished ? r->walker.offset : r->tail.offset;
    enum status done = OK;
    if (r->walker.sealed == NULL) /* what is sealed was synced before it got its name */
        done = rewrite(file, min_of(r->walker.commit_offset, end), end, f);
    if (done == TRY_AGAIN) /* no room, on a disk that copies on write: then the sync must do */
        done = OK;
    if (done == OK && !r->is_finished && r->tail.bytes_torn > 0)
        done = write_zeros(file, r->tail.offset, r->tail.bytes_torn, f);
    if (done == OK)
        done = os_file_sync(file, f);
    if (done == OK) /* its name may be in memory alone, too */
        done = os_sync_dir(log->disk, log->dir, f);
    return done;
}

static enum status recover(struct evlog *log, const uint64_t *firsts, uint32_t count,
                           struct fault *f)
{
    must(count > 0);
    uint64_t newest = firsts[count - 1];
    uint64_t before = count > 1 ? firsts[count - 2] : 0;
    struct recovery r;
    recovery_init(&r);
    enum status done = walk_segment(log, &r, newest, WALK_NEWEST, f);
    if (done == OK && !r.is_finished && !log_state_has_preamble(&r.state))
        done = recover_headless(log, &r, firsts, count, f);
    if (done != OK)
        goto out;

    /* What is known of the log's id: none where its only segment has no head yet. */
    if (r.walker.knows_id)
        log->log_id = r.walker.log_id;
    log->commit = r.walker.ends_commit ? r.walker.commit + 1 : r.walker.commit;
    log->durable = (struct place){
        .batch = r.state.batch,
        .results = r.state.results,
        .now_ms = r.state.now_ms,
        .chain = r.is_finished || r.tail.offset == 0 ? 0 : r.walker.chain,
        .name_count = names_count(r.state.names),
        .is_marked = r.is_marked,
    };
    must(r.state.names != NULL);
    names_free(log->names);
    log->names = r.state.names;
    r.state.names = NULL;
    char path[OS_PATH_BYTES];
    struct os_file *file = NULL;
    must(segment_path(path, sizeof(path), log->dir, newest, NULL) == OK);
    done = os_file_open(log->disk, path, OS_WRITE, &file, f);
    if (done == OK)
        done = settle_tail(log, file, &r, f);
    if (r.is_finished) {
        log->segment_before = newest;
        os_file_close(file);
    } else {
        log->segment = newest;
        log->segment_before = before;
        log->offset = r.tail.offset;
        log->file = file;
    }
out:
    recovery_fini(&r);
    return done;
}

/* Is the spare that an earlier process left of use? */
static enum status find_spare(struct evlog *log, struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct os_stat st;
    spare_path(log, path, "spare.tmp");
    if (os_exists(log->disk, path)) {
        enum status done = os_remove(log->disk, path, f);
        if (done != OK)
            return done;
    }
    spare_path(log, path, "spare");
    enum status done = os_stat(log->disk, path, &st, f);
    if (done != OK || st.kind == OS_ABSENT)
        return done;
    if (st.kind == OS_REGULAR && st.bytes == log->segment_bytes) {
        atomic_store(&log->spare, SPARE_READY);
        return OK;
    }
    return os_remove(log->disk, path, f);
}

static enum status open_folder(struct evlog *log, struct fault *f)
{
    char path[OS_PATH_BYTES], above[OS_PATH_BYTES];
    if (!os_path_join(path, sizeof(path), log->dir, "0000000000000000.seg.tmp")) {
        fault_set(f, "the path of the log is too long");
        return FIX_INPUT;
    }
    must(os_path_join(path, sizeof(path), log->dir, "lock"));
    must(os_path_dir(above, sizeof(above), log->dir));
    enum status done = os_make_dirs(log->disk, log->dir, f);
    if (done == OK) /* a run that failed may have made it, and its name is not durable */
        done = os_sync_dir(log->disk, above, f);
    if (done == OK)
        done = os_file_open(log->disk, path, OS_KEEP, &log->lock, f);
    if (done == OK)
        done = os_file_lock(log->lock, f);
    return done;
}

enum status evlog_open(const char *dir, const struct evlog_options *options, struct evlog **log,
                       struct fault *f)
{
    must(options->disk != NULL);
    must(options->segment_bytes == 0 || options->segment_bytes >= EVLOG_SEGMENT_BYTES_MIN);
    if (strlen(dir) >= OS_PATH_BYTES) {
        fault_set(f, "the path of the log is too long");
        return FIX_INPUT;
    }
    struct evlog *l = mem_new(sizeof(*l));
    l->disk = options->disk;
    memcpy(l->dir, dir, strlen(dir));
    l->segment_bytes = options->segment_bytes ? options->segment_bytes : EVLOG_SEGMENT_BYTES;
    l->spare_policy = options->spare;
    l->closed = options->closed;
    l->closed_context = options->closed_context;
    l->commit = 1;
    l->log_id = options->log_id ? options->log_id : os_random_u64();
    l->names = names_new();
    l->durable = (struct place){.now_ms = INT64_MIN, .name_count = names_count(l->names)};
    os_mutex_init(&l->spare_mutex);

    struct arena a;
    arena_init(&a, 4096);
    uint64_t *firsts = NULL;
    uint32_t count = 0;
    enum status done = open_folder(l, f);
    if (done == OK)
        done = segment_list(l->disk, dir, &a, &firsts, &count, f);
    if (done == OK && count > 0)
        done = recover(l, firsts, count, f);
    if (done == OK)
        done = find_spare(l, f);
    arena_fini(&a);
    if (done != OK) {
        evlog_free(l);
        return done;
    }
    must(l->lock != NULL);
    must(l->names != NULL);
    must(l->offset % BLOCK_ALIGN == 0);
    must(l->durable.name_count == names_count(l->names));
    l->salt = block_salt(l->log_id);
    l->appended = l->durable;
    *log = l;
    return OK;
}
