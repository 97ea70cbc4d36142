/* evlog_int.h - blocks, the bytes of a record, and the walk along a segment; for this room alone.
 * docs/formats/log.md has the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "evlog/evlog.h"
#include "os/file.h"

#define BLOCK_MAGIC        0x4b4c4257u /* "WBLK" */
#define BLOCK_VERSION      EVLOG_FORMAT
#define BLOCK_HEADER_BYTES 64
#define BLOCK_ALIGN        8
#define SEGMENT_BODY_BYTES 16 /* payload of a BLOCK_SEGMENT */

enum block_kind {
    BLOCK_SEGMENT = 1, /* the first of a segment */
    BLOCK_NAMES,       /* some of the names known so far */
    BLOCK_BATCH,
    BLOCK_RESULTS,
    BLOCK_MARK,  /* an orderly end: of the process or of the segment */
    BLOCK_SEAL,  /* what follows is sealed, and how: sealed_int.h */
    BLOCK_PACK,  /* batches and results, sealed */
    BLOCK_INDEX, /* of a sealed segment */
    BLOCK_KIND_END,
};

enum block_flag {
    BLOCK_ENDS_COMMIT = 1 << 0,  /* the last block of one write */
    BLOCK_ENDS_SEGMENT = 1 << 1, /* the last block of the segment */
};

struct block {
    uint8_t kind;
    uint8_t flags;
    uint32_t length;   /* of the payload, padding left out */
    uint32_t count;    /* SEGMENT: names known; NAMES: names; BATCH: records */
    uint64_t number;   /* SEGMENT: its first batch; NAMES: first name; else the batch */
    int64_t now_ms;    /* of the newest batch so far, this one included */
    uint64_t commit;   /* which write it was part of: 1, 2, 3, ... in the whole log */
    uint64_t hash;     /* SEGMENT: the log's id; RESULTS: hash of the payload; else 0 */
    uint32_t previous; /* `crc` of the block before it in the segment; 0 for the first */
    uint32_t sum;      /* BATCH: CRC-32C over the records' CRCs; else over the payload */
    uint32_t salt; /* of the log: tells its blocks from what looks like one in somebody's data */
    uint32_t crc;  /* CRC-32C over the header before it */
    const uint8_t *payload;
};

/* Whether bytes are what they should be. */
enum verdict {
    BYTES_GOOD = 0,
    BYTES_BAD,     /* not whole: torn or damaged */
    BYTES_STRANGE, /* whole, but this release cannot read them */
};

/* What cannot be compressed gets longer by being sealed. */
static inline uint32_t block_bytes_max(uint8_t kind)
{
    return kind == BLOCK_PACK ? 2 * EVLOG_BLOCK_BYTES_MAX : EVLOG_BLOCK_BYTES_MAX;
}

static inline uint64_t block_padded_bytes(uint32_t length)
{
    return BLOCK_HEADER_BYTES +
           (((uint64_t)length + BLOCK_ALIGN - 1) & ~(uint64_t)(BLOCK_ALIGN - 1));
}

/* The salt of a log's blocks. */
uint32_t block_salt(uint64_t log_id);

/* Writes the header's BLOCK_HEADER_BYTES bytes to `out` and sets b->crc. */
void block_write_header(struct block *b, uint8_t *out);

/* Reads a header; payload is not set. *why says what is wrong. */
enum verdict block_read_header(const uint8_t *in, struct block *b, const char **why);

/* Appends a record to `out` and adds its CRC to *sum. `now_ms` is the batch's time. Returns false and
 * appends nothing if it would be longer than RECORD_BYTES_MAX. */
bool record_write(struct buf *out, const struct record *r, int64_t now_ms, uint32_t *sum) mustuse;

/* Reads a record from the front of `in`; its bodies point into it. */
enum verdict record_read(struct cursor *in, int64_t now_ms, struct record *r, uint32_t *sum,
                         const char **why);

/* ------------------------------------------------------------------------------ names and folders */

/* "dir/0000000000000001.seg"; FIX_INPUT when it is too long. */
enum status segment_path(char *out, size_t out_bytes, const char *dir, uint64_t batch_first,
                         struct fault *f);

/* First batches of the segments in `dir`, ascending; memory is the arena's. */
enum status segment_list(struct os_disk *disk, const char *dir, struct arena *a, uint64_t **firsts,
                         uint32_t *count, struct fault *f);

/* ------------------------------------------------------------------------------- walking a segment */

/* Reads the blocks of one segment in order and verifies each before it is shown. */
struct walker {
    struct os_disk *disk; /* of the folder in which the keys are */
    char dir[OS_PATH_BYTES];
    struct os_file *file;
    uint64_t segment;       /* its name */
    uint64_t offset;        /* of the next block */
    uint32_t chain;         /* crc of the block before it */
    uint64_t commit;        /* of the block before it, in the whole log; 0 = none */
    uint64_t commit_offset; /* where in this segment that commit begins */
    bool ends_commit;       /* that block was the last of its commit */
    bool knows_commit;      /* a block has been seen, in this segment or the one before */
    bool knows_id;
    bool is_finished; /* the block that ends the segment has been seen */
    uint64_t log_id;
    struct buf window; /* bytes of the file from window_offset on */
    uint64_t window_offset;
    uint64_t quiet_offset; /* nothing but zeros was found from here on, the last time; UINT64_MAX */
    struct record *records;
    uint32_t record_room;
    struct sealed *sealed;    /* how the segment is sealed; NULL: it is plain */
    bool has_jumped;          /* over packs: what is before the next block is not known */
    const struct id128 *only; /* packs without any of these are left out; NULL: none are */
    uint32_t only_count;
};

enum walk {
    WALK_BLOCK,    /* a whole block */
    WALK_TAIL,     /* nothing more is here, or something torn */
    WALK_FINISHED, /* the segment ended with the block before */
};

/* What lies behind the last whole block. */
struct tail {
    uint64_t offset;     /* where a writer goes on */
    uint64_t bytes_torn; /* from there to the last byte that is not zero */
};

/* Whether the segment may end torn: only the newest one may. */
enum walk_place {
    WALK_NEWEST,
    WALK_OLDER,
};

/* A walker without a segment, at the beginning of a log. */
void walker_init(struct walker *w);
void walker_fini(struct walker *w);

/* Opens the segment and begins at its first block; commit numbers go on from the one before. */
enum status walker_open(struct walker *w, struct os_disk *disk, const char *dir, uint64_t segment,
                        struct fault *f) mustuse;
void walker_close(struct walker *w);

/* The same with a file that is open already, which it takes: a segment under another name. */
void walker_begin(struct walker *w, struct os_disk *disk, const char *dir, struct os_file *file,
                  uint64_t segment);

/* Forgets what was read ahead, so that what has been written since is seen. */
void walker_refresh(struct walker *w);

/* The next block; a batch's records are in w->records. Block and records are good until the next
 * call. `tail` is set for WALK_TAIL. GIVE_UP: damage. */
enum status walker_next(struct walker *w, enum walk_place place, enum walk *what, struct block *b,
                        struct tail *tail, struct fault *f) mustuse;

/* ---------------------------------------------------------------------------- following the content */

/* What a log says as a whole, up to some block. */
struct log_state {
    bool is_known;       /* a segment's head has been seen */
    uint64_t segment;    /* first batch of the segment */
    uint64_t batch;      /* newest batch; 0 = none */
    uint64_t results;    /* newest batch with results; 0 = none */
    int64_t now_ms;      /* of the newest batch; INT64_MIN = none */
    uint32_t name_count; /* what the segment's head promised its preamble holds */
    struct names *names;
};

void log_state_init(struct log_state *s);
void log_state_fini(struct log_state *s);

/* True if the preamble has been seen to its end. */
bool log_state_has_preamble(const struct log_state *s);

/* Takes note of a verified block (with its records if it is a batch); false and why where it does not
 * continue what came before. */
bool log_state_follow(struct log_state *s, const struct block *b, const struct record *records,
                      const char **why);

/* The payload of a segment's head. */
void segment_body_write(struct buf *out, uint64_t segment_before, uint64_t results);
