/* ingest.h - what the world says becomes records.
 *
 * A request of the tracking API (the one that Segment's and RudderStack's clients speak) is parsed
 * into one record for each event; what is wrong with an event is noted, and the good ones are kept.
 *
 *     body ──► json ──► event ──┬─ ids, times, name ──► struct record
 *                               ├─ numbers, booleans of properties ──► clear body
 *                               └─ texts, lists, traits, context   ──► personal body
 *                       └─ problem {index, code, field} when it is refused
 *
 * README.md of this room states every rule: which key counts, what a time is corrected by, which ids
 * are placeholders, what becomes of names beyond the bound.
 *
 * Threads: `struct ingest` is shared by all; a worker and a batch belong to one thread at a time.
 * Nothing here looks at a clock or touches the disk.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "ingest/vocabulary.h"
#include "model/identifier.h"
#include "model/record.h"

#define INGEST_BODY_MAX     (500 * 1024) /* bytes of one request's body, unzipped */
#define INGEST_EVENTS_MAX   10000        /* events in one request */
#define INGEST_FIELDS_MAX   1024         /* leaves of properties, traits and context of an event */
#define INGEST_TEXT_MAX     (16 * 1024)  /* bytes of one text */
#define INGEST_DEPTH_MAX    32           /* objects and lists within one event */
#define INGEST_PROBLEMS_MAX 100          /* problems that are described; all are counted */
#define INGEST_KEY_MAX      128          /* bytes of a write key */
#define INGEST_FIELD_BYTES  96           /* of a problem's field path, with its NUL */

enum ingest_error {
    INGEST_FINE = 0,
#define ERROR(symbol, code, status, sentence, advice) INGEST_##symbol,
#include "ingest/errors.def"
#undef ERROR
    INGEST_ERROR_END,
};

struct ingest_error_row {
    const char *code;     /* stable */
    uint32_t http_status; /* when the whole request is refused for it */
    const char *sentence; /* lower case, no full stop */
    const char *advice;
};

/* The row of `error` in errors.def. Requires 0 < error < INGEST_ERROR_END. */
const struct ingest_error_row *ingest_error_row(enum ingest_error error);

/* --- Who may send ----------------------------------------------------------------------------- */

enum ingest_key_flag {
    INGEST_KEY_SERVER = 1 << 0, /* secret: may alias users, set consent, find people by address */
    INGEST_KEY_BATCH = 1 << 1,  /* the source delivers in bulk: late by up to 36 h is normal */
};

struct ingest_key {
    struct str key;    /* the write key, 1..INGEST_KEY_MAX bytes */
    struct str source; /* the source's name */
    uint32_t flags;    /* enum ingest_key_flag */
};

/* Where events come from: what a write key stands for. */
struct ingest_source {
    uint32_t name; /* of the source, in the vocabulary */
    uint8_t flags; /* enum record_flag: IS_SERVER, IS_BATCH; import adds IS_HISTORY */
};

struct ingest_options {
    struct vocabulary *vocabulary; /* kept, not owned */
    const uint8_t *secret;         /* IDENTIFIER_SECRET_BYTES, copied */
};

struct ingest;

/* Gives an ingest that knows no key yet. Ends with ingest_free(). */
struct ingest *ingest_new(const struct ingest_options *options) mustuse;
void ingest_free(struct ingest *in);

/* Replaces all keys at once; any thread. FIX_INPUT with a fault for an empty, too long or repeated
 * key, or a source without a usable name; the old keys stay then. Borrows `keys`. */
enum status ingest_set_keys(struct ingest *in, const struct ingest_key *keys, size_t count,
                            struct fault *f) mustuse;

/* What `key` stands for; false if it is not known. Takes the same time for every key. */
bool ingest_find_key(struct ingest *in, struct str key, struct ingest_source *out) mustuse;

/* Declares the texts under property `path` (as in "currency") public: they go to the clear body of
 * track, page and screen events. Before the first worker is made. */
void ingest_declare_public(struct ingest *in, struct str path);

/* --- Parsing ---------------------------------------------------------------------------------- */

/* One thread's tools: a JSON parser and a cache of names. Ends with ingest_worker_free(). */
struct ingest_worker;
struct ingest_worker *ingest_worker_new(struct ingest *in) mustuse;
void ingest_worker_free(struct ingest_worker *w);

enum ingest_route {
    INGEST_BATCH, /* {"batch": [...]} */
    INGEST_TRACK, /* one event, its kind told by the path */
    INGEST_IDENTIFY,
    INGEST_PAGE,
    INGEST_SCREEN,
    INGEST_GROUP,
    INGEST_ALIAS,
    INGEST_BUSINESS, /* an event that is nobody's own, or {"batch": [...]} of them; server keys only */
    INGEST_ENTER,    /* {userId, payload} enters `journey`, or {"batch": [...]}; server keys only */
};

struct ingest_request {
    enum ingest_route route;
    struct str journey;  /* ENTER: its name; borrowed during the call */
    struct str body;     /* unzipped; borrowed during the call */
    bool has_auth_key;   /* an Authorization header named a key: it alone counts */
    struct str auth_key; /* borrowed during the call */
    int64_t arrival_ms;  /* when it came in, UTC ms; > 0 */
};

struct ingest_problem {
    uint32_t index; /* of the event in the batch, from 0; UINT32_MAX: the request */
    enum ingest_error error;
    char field[INGEST_FIELD_BYTES]; /* "properties.total", printable ASCII; empty = none */
};

/* What one request became. */
struct ingest_batch {
    struct buf bytes;       /* what the records' bodies point into */
    struct record *records; /* `record_count` of them, in the order of the events; at_ms is
                                        arrival_ms until the committer sets it */
    uint32_t record_count;
    uint32_t record_room;
    uint32_t sealed_count;           /* records whose bodies are set */
    uint32_t event_count;            /* events in the request, good and bad */
    uint32_t rejected_count;         /* of them refused */
    uint32_t junk_id_count;          /* placeholders that were taken for no id */
    uint32_t unnamed_count;          /* fields that got no name and went to $rest */
    struct ingest_problem *problems; /* the first INGEST_PROBLEMS_MAX */
    uint32_t problem_count;
    char detail[200];          /* where the JSON is broken; empty = nothing to say */
    struct ingest_batch *next; /* for whoever keeps batches in a list */
    void *owner;               /* for whoever made the batch (ingest_routes.c) */
};

/* Prepares a batch for its first use; ingest_batch_fini() frees its memory. */
void ingest_batch_init(struct ingest_batch *batch);
void ingest_batch_fini(struct ingest_batch *batch);

/* Empties the batch and fills it from the request. INGEST_FINE: the records are to be stored (there
 * may be none: an empty batch is fine), and problems[] has what was refused beside them. Anything
 * else: nothing is to be stored, and the answer is that error (the first problem's where all events
 * were refused). Records are good until the batch is used again; their names are in the vocabulary. */
enum ingest_error ingest_parse(struct ingest_worker *w, const struct ingest_request *request,
                               struct ingest_batch *batch) mustuse;

/* Appends to the batch the one event in `text` (JSON), as for import: `source` says where from, and
 * `ordinal` (a line number) tells lines without a messageId apart. sentAt is not looked at, because the
 * file is older than its arrival. INGEST_FINE or why not, with the place in `field`
 * (INGEST_FIELD_BYTES). */
enum ingest_error ingest_parse_event(struct ingest_worker *w, struct str text,
                                     struct ingest_source source, int64_t arrival_ms,
                                     uint64_t ordinal, struct ingest_batch *batch,
                                     char *field) mustuse;

/* Sets the records' bodies after ingest_parse_event() calls; ingest_parse() does it by itself. To be
 * called once after the last event and before the records are read. */
void ingest_batch_seal(struct ingest_batch *batch);

/* Forgets what the batch holds but keeps its memory. */
void ingest_batch_reset(struct ingest_batch *batch);

/* The answer's JSON body, appended to `out`: {"success":true}, with "rejected" if there was any, for
 * INGEST_FINE; {"code","message"} (and "rejected") otherwise. Returns the HTTP status. */
uint32_t ingest_answer_write(enum ingest_error error, const struct ingest_batch *batch,
                             struct buf *out);
