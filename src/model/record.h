/* record.h - a fact, as the log keeps it and the engine applies it.
 *
 * One ordered, durable log of records; nothing else changes state. A record is read-only: its bodies
 * point into the log's or the ingest's bytes and are good until the batch has been applied.
 * docs/formats/log.md has the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/hash.h"
#include "model/body.h"

/* Numbers are written to disk: append only. */
enum record_type {
    RECORD_NAME = 1,  /* $text gets the number in `name`: the next free one */
    RECORD_EVENT,     /* something a customer did, or was told about them: kind says how */
    RECORD_RECEIPT,   /* what became of an attempt; receipt.h */
    RECORD_TICK,      /* time has passed: a deadline is due */
    RECORD_PROGRAMME, /* kind: enum programme_kind; $programme is the content hash in hex */
    RECORD_COMMAND,   /* an operator's: $command says which; command.h */
    RECORD_RELEASE,   /* kind: enum release_kind; replay/release.h */
    RECORD_ERASE,     /* a person is forgotten */
    RECORD_TYPE_END,
};

enum event_kind {
    EVENT_TRACK = 1, /* `name` is the event's name */
    EVENT_PAGE,      /* `name` is NAME_PAGE; the page's own name is the property "name" */
    EVENT_SCREEN,    /* `name` is NAME_SCREEN */
    EVENT_IDENTIFY,  /* the bodies are traits */
    EVENT_GROUP,     /* $group_id; the bodies are the group's traits */
    EVENT_ALIAS,     /* $previous_id becomes the same person as the user id */
    EVENT_BUSINESS, /* `name` happened to the business: nobody's, it concerns whom programmes say */
    EVENT_ENTER,    /* the journey `name` is to be entered; the bodies are the payload */
    /* Never in a log: what the engine makes itself when a moment has come. */
    EVENT_SCHEDULE,
    EVENT_DATE,
    EVENT_HANDOFF,
    EVENT_RUN,
};

enum programme_kind {
    PROGRAMME_PREPARE = 1, /* $programme: its features are kept from here on */
    PROGRAMME_ACTIVATE, /* $programme is the one that counts; $backfill covers its features' past */
    PROGRAMME_ABANDON,  /* what was prepared will not be activated */
    PROGRAMME_UNITE, /* $backfill is the past of what is prepared: united from here on, in pieces */
};

/* Kinds of RECORD_RELEASE. Of the others there is one a matter that two releases see otherwise, in the
 * batch of the ADOPTED record; model/keep.h. */
enum release_kind {
    RELEASE_TOOK_OVER = 1, /* $release writes from here on; $number is the batch of its snapshot */
    RELEASE_ADOPTED, /* an operator's: the results from batch $number on are those of $release */
    RELEASE_KEPT,    /* granted by the release before, and not by $release: it counts as in doubt */
    RELEASE_UNDONE,  /* granted by $release, and not by the release before: it was never sent */
    RELEASE_ERRAND_KEPT,   /* the same of a call or task: handed over by the release before, */
    RELEASE_ERRAND_UNDONE, /* or by $release and never before */
    RELEASE_LISTING_KEPT,  /* the same of an audience upload */
    RELEASE_LISTING_UNDONE,
    RELEASE_KIND_END,
};

/* Kinds of RECORD_ERASE. */
enum erase_kind {
    ERASE_PERSON = 1, /* $profile is forgotten from here on */
    ERASE_DONE, /* the proof: of $profile, erased in batch $number, nothing can be read any more; `total` keys
                   were destroyed */
};

enum record_flag {
    RECORD_IS_SERVER =
        1 << 0, /* came with a server key: may alias users, set consent, use addresses */
    RECORD_IS_HISTORY = 1 << 1, /* imported: updates history, fires no journey */
    RECORD_IS_BATCH = 1 << 2,   /* from a source declared `batch`: 36 h of lateness by default */
};

#define RECORD_SCHEMA     1           /* schema version of the bodies */
#define RECORD_BYTES_MAX  (64 * 1024) /* one record, encoded */
#define BATCH_RECORDS_MAX 16384       /* records in a batch */
#define EVENT_JSON_MAX    (32 * 1024) /* one event as it comes in */
#define MAX_LATENESS_MS   HOUR_MS     /* default of a live source */
#define BATCH_LATENESS_MS (36 * HOUR_MS)

/* A personal part that is still sealed. Whoever reads the log makes these; they are good as long as the
 * record. */
struct record_seal {
    /* The bytes that the part is in; NULL where nobody can read them any more (the key is destroyed). */
    const uint8_t *(*open)(struct record_seal *seal);
};

struct record {
    uint8_t type;          /* enum record_type */
    uint8_t kind;          /* enum event_kind, programme_kind, receipt_kind, command_kind; else 0 */
    uint8_t flags;         /* enum record_flag */
    uint8_t schema;        /* RECORD_SCHEMA */
    uint32_t source;       /* name of the source (its write key's name); 0 = wend itself */
    uint32_t name;         /* event name, or what a name record defines */
    int32_t sent_skew_ms;  /* arrival minus sentAt: what was added to the client's time stamps */
    int64_t at_ms;         /* engine time: never before that of the record before it */
    int64_t event_ms;      /* when it happened, corrected for the client's clock, at most arrival */
    int64_t arrival_ms;    /* when it came in */
    uint64_t message_hash; /* of the message id; 0 = not deduplicated (ticks, receipts, ...) */
    uint64_t routing_hash; /* of the routing identifier (user id before anonymous id); 0 = none */
    uint64_t cause;        /* decision that caused it (receipts, opens, clicks); 0 = none */
    struct id128 user;     /* keyed hash of the user id; not set = absent */
    struct id128 anonymous; /* keyed hash of the anonymous id */
    struct id128 previous;  /* alias: keyed hash of the previous id, as a user id */
    struct body clear;
    struct body personal;     /* read it by record_personal() */
    struct record_seal *seal; /* not NULL: `personal` has no bytes yet, but their number; */
    uint32_t seal_at;         /* and where they are in what the seal keeps */
};

/* The personal part; empty where its person was erased. */
static inline struct body record_personal(const struct record *r)
{
    if (likely(r->seal == NULL))
        return r->personal;
    const uint8_t *at = r->seal->open(r->seal);
    return at != NULL ? (struct body){at + r->seal_at, r->personal.bytes} : (struct body){NULL, 0};
}

/* What the engine applies at once; `count` may be 0 (an empty batch moves inboxes on). */
struct batch {
    uint64_t number; /* 1, 2, 3, ...: no gaps */
    int64_t now_ms;  /* batch time: not before the batch before it, nor before any record in it */
    uint32_t count;
    const struct record *records;
};

/* What a pairing property says (a cart's or a ticket's number), as a hash; 0 if the record lacks it or
 * `name` is NAME_NONE. A whole number is the same whether it was written as 5, as 5.0 or as the text
 * "5": sources differ. */
uint64_t record_key(const struct record *r, uint32_t name);

/* The field with that name, clear part first; VALUE_NONE if absent. */
static inline struct value record_get(const struct record *r, uint32_t name, struct arena *scratch)
{
    struct value x = body_get(r->clear, name, scratch);
    return x.type != VALUE_NONE ? x : body_get(record_personal(r), name, scratch);
}
