/* event_file.h - a file of events (NDJSON, or CSV with a mapping), or standard input, read as batches of
 * records: what `wend import` and `wend run --events` have in common.
 *
 *     open ──► [go_on] ──► next, next, next ... ──► close
 *                             │
 *                             └── lines that are wrong ──► counted, the first shown, all of them written
 *                                                          to the file of --errors
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "cli/cli.h"
#include "cli/mapping.h"
#include "os/disk.h"

#define EVENT_FILE_HASH_BYTES 4096
#define LINES_SHOWN           10 /* of those that are wrong */

/* What turns bytes into records whose names are those of `names`. */
struct intake {
    struct names *names; /* the shelf's; grows with the vocabulary */
    struct vocabulary *vocabulary;
    struct ingest *ingest;
    struct ingest_worker *worker;
    struct ingest_source source;
    struct ingest_batch batch;
};

/* Prepares an intake for the source of that name. Borrows `names` until intake_fini(). */
void intake_init(struct intake *in, struct names *names, const uint8_t *secret, struct str source);
void intake_fini(struct intake *in);

/* Brings in->names up to date with what the batch at hand has brought. */
void intake_learn(struct intake *in);

/* Where reports about lines go; shared by all files of a command. */
struct line_report {
    struct cli *cli;
    const char *path; /* of the file at hand */
    uint32_t shown;   /* so far */
    uint32_t shown_max;
    uint64_t count;
    FILE *file;    /* --errors; NULL = none */
    bool is_muted; /* nothing is said or counted: the file is read again */
};

struct event_file_options {
    const char *path; /* "-" = standard input */
    bool is_csv;
    const struct import_mapping *mapping; /* CSV only; NULL = none was given */
    bool is_live;
    uint32_t events_max; /* in one batch */
    bool is_by_row;      /* batches are small and may end anywhere: bytes are moved seldom */
    struct intake *intake;
    struct line_report *report;
};

struct event_file {
    struct event_file_options options;
    struct os_file *file; /* NULL: standard input */
    uint64_t bytes;       /* the file's; 0 for standard input */
    uint64_t read_at;     /* byte of the file behind `window` */
    struct import *import;
    struct buf window; /* bytes read and not taken yet, from `from` on */
    size_t from;
    bool is_end; /* nothing comes behind the window */
};

/* Does the name say CSV? ".csv" and ".tsv", in any case. */
bool event_file_is_csv(const char *path);

/* Opens the file at its beginning. FIX_INPUT: no such file, or a mapping that contradicts itself. On OK
 * the caller ends *e with event_file_close(); options and what they point to are kept until then. */
enum status event_file_open(struct event_file *e, const struct event_file_options *options,
                            struct fault *f) mustuse;
void event_file_close(struct event_file *e);

/* Goes on at `position`. Requires a file that was just opened, and not standard input. */
enum status event_file_go_on(struct event_file *e, const struct import_position *position,
                             struct fault *f) mustuse;

/* The next records, in intake->batch; none only at the end. `now_ms` is when the events arrive. Where a
 * batch ends depends on where it begins and on nothing else, unless is_by_row. */
enum status event_file_next(struct event_file *e, int64_t now_ms, struct fault *f) mustuse;

/* The one record of the row that stands there (bytes as event_file_position() counts them before and
 * after it), in intake->batch. After event_file_go_on(). */
struct event_row {
    uint64_t byte;
    uint64_t line;
    uint32_t bytes;
};
enum status event_file_row(struct event_file *e, struct event_row row, int64_t now_ms,
                           struct fault *f) mustuse;

struct import_position event_file_position(const struct event_file *e);

/* A hash of the file's `bytes` bytes (at most EVENT_FILE_HASH_BYTES) from `from` on; 0 where it ends
 * before. Not for standard input. */
enum status event_file_hash(struct event_file *e, uint64_t from, uint64_t bytes, uint64_t *hash,
                            struct fault *f) mustuse;

/* Begins to report about lines of `path`. */
void line_report_file(struct line_report *r, const char *path);
