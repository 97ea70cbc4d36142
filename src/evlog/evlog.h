/* evlog.h - the ordered, durable list of facts, and of what the engine made of them.
 *
 * A folder of segments, each a file of blocks: batches of records, result blocks, and a preamble
 * that repeats the names known so far, so that a reader may begin at any segment. One writer (a lock
 * says so); any number of readers, also while it is being written. docs/formats/log.md has the
 * bytes; evlog.c tells how a crash is recovered from.
 *
 *     writer:  append, append, append_results, commit ──► durable     (repeat)
 *     reader:  next ──► batch | results, in the order of the log
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "model/names.h"
#include "model/record.h"
#include "os/disk.h"

#define EVLOG_FORMAT            1           /* of blocks and records: docs/formats/log.md */
#define EVLOG_SEGMENT_BYTES     (64u << 20) /* a segment's size unless the options say otherwise */
#define EVLOG_SEGMENT_BYTES_MIN (4u << 10)
#define EVLOG_BLOCK_BYTES_MAX   (64u << 20) /* one batch or one result block, encoded */

struct evlog;

/* Called when a segment is finished and durable, on the thread that rolled: the place from which
 * sealing is set going. `path` is good for the call. */
typedef void evlog_segment_closed(void *context, const char *path, uint64_t batch_first,
                                  uint64_t batch_last);

/* Who prepares the segment to roll to. */
enum evlog_spare {
    EVLOG_SPARE_AT_ONCE = 0, /* the writer, when it begins a segment */
    EVLOG_SPARE_BY_CALLER,   /* whoever calls evlog_prepare() when evlog_wants_prepare() */
};

struct evlog_options {
    struct os_disk *disk;   /* required; outlives the log */
    uint64_t segment_bytes; /* 0 = EVLOG_SEGMENT_BYTES */
    uint64_t log_id;        /* for a new log: its identity; 0 = a random one */
    enum evlog_spare spare;
    evlog_segment_closed *closed; /* may be NULL */
    void *closed_context;
};

/* Opens the log in `dir` for writing, or begins an empty one (the folder is made). Recovers: finds the
 * tail, cuts what a crash tore. On OK the caller owns *log and ends it with evlog_close().
 * TRY_AGAIN: another process has it open, or the disk is full. GIVE_UP: damage, with segment and
 * offset in the fault; nothing was changed. */
enum status evlog_open(const char *dir, const struct evlog_options *options, struct evlog **log,
                       struct fault *f) mustuse;

/* Commits what is buffered, marks the end (so that later damage to the last batch is told from a torn
 * write), and frees the log, also on failure. */
enum status evlog_close(struct evlog *log, struct fault *f) mustuse;

/* Frees the log and drops what is buffered: as a crash would. NULL is fine. */
void evlog_free(struct evlog *log);

/* What the next appended batch must be numbered: 1 in an empty log. */
uint64_t evlog_batch_next(const struct evlog *log);

/* The newest batch that is durable; 0 = none. */
uint64_t evlog_batch_durable(const struct evlog *log);

/* The newest batch whose result block is in the log (durable or buffered); 0 = none. */
uint64_t evlog_results_newest(const struct evlog *log);

/* The time of the newest batch, buffered ones included; INT64_MIN in an empty log. */
int64_t evlog_now_ms(const struct evlog *log);

/* The names that the log's name records have defined so far, buffered ones included. Good until the
 * next append. */
const struct names *evlog_names(const struct evlog *log);

uint64_t evlog_id(const struct evlog *log);

/* How much is buffered and not committed yet, in bytes. */
size_t evlog_buffered_bytes(const struct evlog *log);

/* Buffers a batch. Its number must be evlog_batch_next(); its time not before evlog_now_ms(); the
 * records' times ascending, none after the batch's. `batch` is borrowed. May commit what is buffered
 * and begin a new segment.
 * TRY_AGAIN: the disk is too full for ordinary records. FIX_INPUT: a record is longer than
 * RECORD_BYTES_MAX, the whole longer than EVLOG_BLOCK_BYTES_MAX, a name record does not define the
 * next free number. Neither changes anything. GIVE_UP: the disk failed, the log is dead. */
enum status evlog_append(struct evlog *log, const struct batch *batch, struct fault *f) mustuse;

/* The same for records that must get in when the disk is full (unsubscribes, receipts, ticks): they
 * may use the segment held in reserve. */
enum status evlog_append_priority(struct evlog *log, const struct batch *batch,
                                  struct fault *f) mustuse;

/* After FIX_INPUT: the index of the record that the batch was refused for. */
uint32_t evlog_refused_record(const struct evlog *log);

/* False while the disk is too full for ordinary records. Tries again to make room when asked. */
bool evlog_admits_all(struct evlog *log);

/* Buffers the result block of a batch: opaque bytes, handed back by the reader. Blocks come in the
 * order of their batches, each at most once, none before its batch. May use the reserve. */
enum status evlog_append_results(struct evlog *log, uint64_t batch_number, struct str bytes,
                                 struct fault *f) mustuse;

/* Writes everything buffered in one go and makes it durable. On OK all batches appended so far are.
 * TRY_AGAIN: the disk is full; call again, or evlog_abandon(). GIVE_UP: nobody knows what is
 * durable; the log is dead and the process must stop. */
enum status evlog_commit(struct evlog *log, struct fault *f) mustuse;

/* Forgets what is buffered: the log is as after the last commit. For when a commit met a full disk. */
enum status evlog_abandon(struct evlog *log, struct fault *f) mustuse;

/* Commits what is buffered, closes the segment and begins the next one; closes nothing where the segment
 * holds no batch yet. TRY_AGAIN: the disk is full; the next append tries again. */
enum status evlog_roll(struct evlog *log, struct fault *f) mustuse;

/* Prepares the segment to roll to, if there is none; some file systems take their time. The segment is
 * also the reserve: while it cannot be made, only priority batches are admitted. May be called
 * from another thread while the writer works. TRY_AGAIN: the disk is full. */
enum status evlog_prepare(struct evlog *log, struct fault *f) mustuse;

/* True when evlog_prepare() would have something to do. Any thread. */
bool evlog_wants_prepare(struct evlog *log);

/* -------------------------------------------------------------------------------------- reading */

struct evlog_reader;

enum evlog_item_kind {
    EVLOG_END = 0, /* the log ends here for now */
    EVLOG_BATCH,
    EVLOG_RESULTS,
};

/* What evlog_reader_next() gives; good until the next call on the reader. */
struct evlog_item {
    enum evlog_item_kind kind;
    struct batch batch;    /* EVLOG_BATCH: records point into the reader's bytes */
    uint64_t number;       /* EVLOG_RESULTS: of which batch; EVLOG_BATCH: batch.number */
    int64_t now_ms;        /* that batch's time: results count their times from it */
    struct str results;    /* EVLOG_RESULTS */
    uint64_t results_hash; /* EVLOG_RESULTS: hash_bytes(results, 0), as it is stored */
    uint64_t segment;      /* where: first batch of the segment (its file name), */
    uint64_t offset;       /* and the block's first byte in it */
};

/* Opens the log in `dir` for reading from batch `from_batch` on (0: from where it begins, which is batch 1
 * unless older segments were dropped). Takes no lock. Beside a writer it may see a batch that is written and not durable yet: see
 * evlog_batch_durable(). FIX_INPUT: no such log, or it begins after from_batch. On OK the caller owns *reader. */
enum status evlog_reader_open(struct os_disk *disk, const char *dir, uint64_t from_batch,
                              struct evlog_reader **reader, struct fault *f) mustuse;

/* The same, of some people alone, without results: batches in which one of these identifiers may be, and
 * others. Sealed segments are read only where their index says so, what is not sealed as a whole. Its
 * names are not known (evlog_read_names()). `owners` is copied. */
enum status evlog_history_open(struct os_disk *disk, const char *dir, const struct id128 *owners,
                               uint32_t count, struct evlog_reader **reader,
                               struct fault *f) mustuse;

/* NULL is fine. */
void evlog_reader_close(struct evlog_reader *reader);

/* The next batch or result block (none of a batch before from_batch). EVLOG_END at the tail; calling
 * again later finds what has been written since. GIVE_UP: damage, with segment and offset. */
enum status evlog_reader_next(struct evlog_reader *reader, struct evlog_item *item,
                              struct fault *f) mustuse;

/* The names as of the item that was given last, its own name records included. Good until the next
 * call on the reader. */
const struct names *evlog_reader_names(const struct evlog_reader *reader);

uint64_t evlog_reader_id(const struct evlog_reader *reader);

/* All names that the log in `dir` defines up to its end, added to `names` (names.def alone is in it);
 * *batch_last is its newest batch, 0 = none. Reads one segment, rarely two. Takes no lock. */
enum status evlog_read_names(struct os_disk *disk, const char *dir, struct names *names,
                             uint64_t *batch_last, struct fault *f) mustuse;

/* Where the log in `dir` ends for now: all before it is whole and does not change any more, whatever is
 * written meanwhile. */
struct evlog_end {
    uint64_t segment; /* first batch of the newest segment that has any; 0 = the log is empty */
    uint64_t offset;  /* in it: behind its last block */
    uint64_t batch;
    int64_t now_ms; /* of that batch */
    uint64_t log_id;
};

/* Reads one segment, rarely two. Takes no lock. */
enum status evlog_find_end(struct os_disk *disk, const char *dir, struct evlog_end *end,
                           struct fault *f) mustuse;

/* ------------------------------------------------------------------------------------- dropping */

/* The first batch of the oldest segment: 1 unless older ones were dropped; 0 = there is no segment. */
enum status evlog_first_batch(struct os_disk *disk, const char *dir, uint64_t *batch,
                              struct fault *f) mustuse;

/* How many segments hold no batch behind `batch_last`; the newest one does not count. */
enum status evlog_count_old(struct os_disk *disk, const char *dir, uint64_t batch_last,
                            uint32_t *count, struct fault *f) mustuse;

/* Where the newest segment that has a batch begins: its first batch (0 = there is none) and when that was. */
enum status evlog_newest_segment(struct os_disk *disk, const char *dir, uint64_t *batch,
                                 int64_t *now_ms, struct fault *f) mustuse;

/* Removes the oldest segments, as far as they hold no batch behind `batch_last` and the next one says what the log
 * is: names, number and time. The newest batch stays, whatever is asked for. The oldest goes first, durably, so a
 * crash leaves a log without gaps. Beside a writer; nobody may be sealing. *count: how many were removed. */
enum status evlog_drop(struct os_disk *disk, const char *dir, uint64_t batch_last, uint32_t *count,
                       struct fault *f) mustuse;
