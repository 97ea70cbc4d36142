/* import.h - files of events become records: NDJSON, and CSV with a mapping.
 *
 * An import is fed a file's bytes in pieces of any size and fills batches; between two batches its
 * position says where to go on after an interruption. Lines that are wrong are reported, each with
 * its number, and left out; the rest goes on.
 *
 *     file ──pieces──► import_feed() ──► rows ──► events ──► batch   (full? import_feed stops)
 *                                          └────► report(line, column, sentence)
 *
 * NDJSON: one event of the tracking API per line, with "type"; empty lines are skipped.
 *
 * CSV: RFC 4180 (quotes, doubled quotes, line ends inside quotes), a header line first, any
 * delimiter, LF or CRLF, a UTF-8 byte order mark. A mapping says what the columns mean.
 *
 * Records carry RECORD_IS_HISTORY unless the import is `live`: they update people's history and fire
 * no journey.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "ingest/ingest.h"

struct zone; /* when/zone.h */

#define IMPORT_COLUMNS_MAX 256
#define IMPORT_ROW_MAX     (64 * 1024) /* bytes of one line or row; longer ones are reported */
#define IMPORT_PARTS_MAX   8           /* columns that make up one message id */

enum import_format {
    IMPORT_NDJSON,
    IMPORT_CSV,
};

/* What a column is. */
enum import_target {
    IMPORT_PROPERTY = 0, /* a property (track, page, screen) or trait (identify, group) */
    IMPORT_USER_ID,
    IMPORT_ANONYMOUS_ID,
    IMPORT_EVENT, /* the event's name */
    IMPORT_TIMESTAMP,
    IMPORT_MESSAGE_ID,
    IMPORT_GROUP_ID,
    IMPORT_CONTEXT, /* a field under context */
    IMPORT_SKIP,
    IMPORT_EMAIL, /* an address: finds the person where the row has no id; of identify rows also a trait */
    IMPORT_PHONE,
    IMPORT_PUSH_TOKEN,
};

/* The event's name by what a column holds: the first case whose column begins with `prefix`. */
struct import_case {
    struct str column; /* empty = whatever the row holds */
    struct str prefix; /* empty = always */
    struct str event;
};

enum import_type {
    IMPORT_TEXT = 0,
    IMPORT_INT,
    IMPORT_NUMBER,
    IMPORT_BOOL, /* true/false, yes/no, 1/0, t/f, y/n, without regard to case */
    IMPORT_TIME, /* ISO 8601 or a number of seconds or milliseconds; kept as a time */
    IMPORT_AUTO, /* int, number or true/false if it looks like one, else text */
};

/* One line of a mapping. */
struct import_column {
    struct str column;         /* the header's text; empty = a constant */
    struct str constant;       /* the value where `column` is empty */
    enum import_target target; /* */
    struct str path;           /* property's path: "order.total"; empty = the column's own name */
    enum import_type type;     /* of properties and context fields; of ids: IMPORT_INT makes "17" of
                                  "17.0" */
};

/* Where the mapping's file names a column. */
struct import_place {
    struct str column;
    uint32_t line; /* from 1 */
};

struct import_mapping {
    struct str file; /* that it was read from, for errors; empty: from none */
    const struct import_place *places;
    uint32_t place_count;
    enum event_kind kind; /* of all rows */
    const struct import_column *columns;
    uint32_t column_count;
    const struct str *message_id_columns; /* joined by ":" they make the message id; may be none */
    uint32_t message_id_count;            /* at most IMPORT_PARTS_MAX */
    struct str message_id_prefix;         /* in front of it, e.g. "shop1:" */
    const struct import_case *cases;      /* before a column of target IMPORT_EVENT; may be none */
    uint32_t case_count;
    const struct str *needed_columns; /* a row in which one of these is empty is left out */
    uint32_t needed_count;
    const struct zone *zone; /* on whose walls times without an offset were read; NULL: */
    int32_t offset_ms;       /* what the wall showed minus UTC */
    char delimiter;          /* 0 = "," */
    bool skip_empty;         /* an empty cell is absent (the usual); false: an empty text */
    bool ignore_unmapped; /* columns that the mapping does not name are left out; false: they become
                             properties of type IMPORT_AUTO */
};

struct import_options {
    enum import_format format;
    const struct import_mapping *mapping; /* CSV only; borrowed until import_free() */
    struct ingest_source source;
    bool is_live;        /* without RECORD_IS_HISTORY: journeys fire */
    uint32_t events_max; /* in one batch: 1..BATCH_RECORDS_MAX */
};

/* A line that was left out. `line` counts from 1 and is the row's first; `field` may be empty. */
typedef void import_report(void *context, uint64_t line, struct str field, struct str message);

struct import_position {
    uint64_t byte; /* where the next row begins: read the file from here to go on */
    uint64_t line; /* its line number, from 1 */
    uint64_t rows; /* rows seen, without the header */
    uint64_t good;
    uint64_t bad;
    uint64_t left_out; /* rows that lack what the mapping says they need */
    uint64_t row_byte; /* where the row that was read last begins */
    uint64_t row_line;
    bool is_in_long_row; /* the next bytes still belong to a row that was reported as too long */
};

struct import;

/* An import at the beginning of a file. FIX_INPUT where the mapping contradicts itself. `w` is kept
 * until import_free(). */
enum status import_new(const struct import_options *options, struct ingest_worker *w,
                       import_report *report, void *report_context, struct import **out,
                       struct fault *f) mustuse;
void import_free(struct import *im);

/* Goes on at `position` instead of the beginning. For CSV the header line must have been fed before, by
 * import_feed_header(), because what follows does not repeat it. */
void import_resume(struct import *im, const struct import_position *position);

/* Reads the CSV's header line from the file's first bytes and ties it to the mapping; gives how many
 * bytes it took, which the position counts. TRY_AGAIN: more bytes are needed. FIX_INPUT: a column that
 * the mapping names is not there. Only needed before import_resume(): import_feed() does it by itself
 * at the beginning of a file. */
enum status import_feed_header(struct import *im, struct str bytes, bool is_end, size_t *taken,
                               struct fault *f) mustuse;

/* Takes rows from the front of `bytes` (which continue where the last call stopped taking) and fills
 * `batch`, which is emptied first, with their events, until it is full or no whole row is left; its
 * records may be read then. *taken says how many bytes are done with: the caller hands in the rest
 * again, with more behind it (a buffer of twice IMPORT_ROW_MAX always suffices). `is_end`: nothing comes
 * after. OK, or FIX_INPUT for a file that cannot be understood at all (no header, unknown encoding).
 *
 * What a row says is the same however the bytes are cut. A row without a message id is known by what it
 * says and its line number, so importing a file twice doubles nothing. */
enum status import_feed(struct import *im, struct str bytes, bool is_end, int64_t now_ms,
                        struct ingest_batch *batch, size_t *taken, struct fault *f) mustuse;

/* After import_feed(): where the rows end that are in batches so far. */
struct import_position import_position(const struct import *im);
