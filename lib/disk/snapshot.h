/* snapshot.h - the whole state after one batch, as a file that is either whole or refused.
 *
 * A snapshot is named after its batch ("0000000000000042.snap") and consists of sections: a name
 * ("profiles", "names") and a partition, then any number of bytes. The writer takes the sections one
 * after the other; the reader finds them by name and partition or walks them in written order. What
 * is in a section is the business of who wrote it. docs/formats/snapshot.md has the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "os/disk.h"

#define SNAPSHOT_FORMAT             1           /* docs/formats/snapshot.md */
#define SNAPSHOT_CHUNK_BYTES        (64 * 1024) /* a section is cut into pieces of this size */
#define SNAPSHOT_SECTION_NAME_BYTES 32          /* bytes in a section's name, at most */
#define SNAPSHOT_SECTIONS_MAX       (1u << 20)  /* sections in one file */
#define SNAPSHOT_RELEASE_BYTES      32

/* What a snapshot is of. */
struct snapshot_about {
    uint64_t batch;      /* it holds everything up to and including this batch */
    int64_t now_ms;      /* that batch's time */
    uint64_t state_hash; /* layout-free hash of the state; 0 = not stated */
    uint32_t partition_count;
    uint32_t reserved;                       /* 0 */
    uint8_t release[SNAPSHOT_RELEASE_BYTES]; /* content hash of the release that wrote it */
};

struct snapshot_writer;

/* Begins a snapshot in the existing folder `dir`, under a temporary name. On OK the caller owns *w
 * and ends it with snapshot_commit() or snapshot_abandon(). */
enum status snapshot_begin(struct os_disk *disk, const char *dir,
                           const struct snapshot_about *about, struct snapshot_writer **w,
                           struct fault *f) mustuse;

/* Appends bytes to the section. All bytes of one (section, partition) come one call after the other:
 * going back to an earlier section is a programmer's error. `bytes` may be 0 (an empty section).
 * `section` is 1 to SNAPSHOT_SECTION_NAME_BYTES bytes. */
enum status snapshot_put(struct snapshot_writer *w, struct str section, uint32_t partition,
                         const void *at, size_t bytes, struct fault *f) mustuse;

/* Writes the footer, makes the file durable and gives it its name, replacing one of the same batch.
 * Ends `w`, also on failure (then nothing is left under the final name that was not there). */
enum status snapshot_commit(struct snapshot_writer *w, struct fault *f) mustuse;

/* Ends `w` and removes what was written. NULL is fine. */
void snapshot_abandon(struct snapshot_writer *w);

struct snapshot_reader;

/* Opens a snapshot and verifies all of it: header, footer, index, and the file's CRC. GIVE_UP with
 * the path and the place where it is damaged or written by a newer format. The caller owns *r. */
enum status snapshot_open(struct os_disk *disk, const char *path, struct snapshot_reader **r,
                          struct fault *f) mustuse;

/* The same without a look at the sections: only header, trailer and index are verified. Each chunk is when it is read,
 * which is then GIVE_UP: for who reads all of them and can still take an older snapshot. */
enum status snapshot_open_unread(struct os_disk *disk, const char *path, struct snapshot_reader **r,
                                 struct fault *f) mustuse;

/* What the file's header says, without a look at the rest: it may be damaged all the same. GIVE_UP: the header is. */
enum status snapshot_peek(struct os_disk *disk, const char *path, struct snapshot_about *about,
                          struct fault *f) mustuse;

/* Called for each snapshot that was passed over, with the reason. */
typedef void snapshot_refused(void *context, const char *path, const struct fault *why);

/* Opens the newest whole snapshot of a batch not after `batch_max` in `dir`; damaged ones are told to
 * `refused` (may be NULL) and passed over. OK with *r NULL where there is no snapshot at all;
 * GIVE_UP where there are only damaged ones (the first one's fault). */
enum status snapshot_latest(struct os_disk *disk, const char *dir, uint64_t batch_max,
                            snapshot_refused *refused, void *context, struct snapshot_reader **r,
                            struct fault *f) mustuse;

/* The same with snapshot_open_unread(). */
enum status snapshot_latest_unread(struct os_disk *disk, const char *dir, uint64_t batch_max,
                                   snapshot_refused *refused, void *context,
                                   struct snapshot_reader **r, struct fault *f) mustuse;

/* NULL is fine. */
void snapshot_close(struct snapshot_reader *r);

/* Good until snapshot_close(). */
const struct snapshot_about *snapshot_get_about(const struct snapshot_reader *r);

struct snapshot_section {
    struct str name; /* good until snapshot_close() */
    uint32_t partition;
    uint32_t chunk_count;
    uint64_t bytes; /* as they were put, not as they are stored */
};

uint32_t snapshot_section_count(const struct snapshot_reader *r);

/* The section with that index, in written order. Requires index < count. */
struct snapshot_section snapshot_section_get(const struct snapshot_reader *r, uint32_t index);

/* The index of the section with that name and partition, or UINT32_MAX. */
uint32_t snapshot_section_find(const struct snapshot_reader *r, struct str name,
                               uint32_t partition);

/* Appends the whole section to `out`. */
enum status snapshot_get(struct snapshot_reader *r, uint32_t section, struct buf *out,
                         struct fault *f) mustuse;

/* The same in two steps, of which the second needs no reader and may be another thread's. snapshot_fetch() appends
 * the section's chunks as they are stored to `out`, verified; snapshot_unpack() appends what is in them. */
enum status snapshot_fetch(struct snapshot_reader *r, uint32_t section, struct buf *out,
                           struct fault *f) mustuse;

struct snapshot_unpacker;
struct snapshot_unpacker *snapshot_unpacker_new(void) mustuse;
void snapshot_unpacker_free(struct snapshot_unpacker *u);

/* GIVE_UP where a chunk cannot be decompressed. */
enum status snapshot_unpack(struct snapshot_unpacker *u, struct str stored, struct buf *out,
                            struct fault *f) mustuse;

/* A piece of a section as snapshot_next() gives it; good until the next call on the reader. */
struct snapshot_chunk {
    uint32_t section; /* index */
    bool is_last;     /* of its section */
    uint64_t offset;  /* of the first byte within the section */
    struct str bytes; /* SNAPSHOT_CHUNK_BYTES, fewer only at the end of a section */
};

/* The next chunk, walking all sections in written order; empty sections yield one empty chunk. At the
 * end *is_done is true (and *out untouched). */
enum status snapshot_next(struct snapshot_reader *r, struct snapshot_chunk *out, bool *is_done,
                          struct fault *f) mustuse;

/* The batches there are snapshots of, newest first; memory is the arena's. Does not open them. */
enum status snapshot_list(struct os_disk *disk, const char *dir, struct arena *a,
                          uint64_t **batches, uint32_t *count, struct fault *f) mustuse;

/* Removes what a crash left of snapshots on their way. None may be being written. */
enum status snapshot_drop_unfinished(struct os_disk *disk, const char *dir,
                                     struct fault *f) mustuse;

/* Removes all but the `keep_count` (at least 1) newest snapshots, and unfinished ones. No snapshot
 * may be being written. */
enum status snapshot_drop_old(struct os_disk *disk, const char *dir, uint32_t keep_count,
                              struct fault *f) mustuse;

/* "dir/0000000000000042.snap" into out; false when it does not fit. */
bool snapshot_path(char *out, size_t out_bytes, const char *dir, uint64_t batch) mustuse;
