/* committer.h - group commit, back to back: a thread that writes what arrived during the last write.
 *
 *     producers ──push──► [ bounded queue ] ──► committer ──► evlog ──committed──► engine
 *                  │                              ▲  │                              │
 *                  └── TRY_AGAIN: full            │  └─refused─► producer           │
 *                                                 └────results, release─────────────┘
 *
 * A producer pushes an entry: records that belong together (one request) and a token. The committer
 * gives them their engine time and a place in a batch, writes as many batches as have come together,
 * waits for the disk once, and only then tells the host, batch by batch. While the host's engine works
 * on a batch, the next one is collected and written. Batches in the host's hands are bounded; when the
 * engine falls behind, the queue fills, and producers are told TRY_AGAIN.
 *
 * Patient entries come along with a write, or start one when the host has given back all batches (its engine
 * could not take them sooner), or after COMMITTER_PATIENCE_MS. So what trickles in costs fewer writes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "evlog/evlog.h"

#define COMMITTER_SPAN_MS     50          /* first to last record of a batch, in engine time */
#define COMMITTER_PATIENCE_MS 5           /* a patient entry waits that long for the host */
#define COMMITTER_ENTRIES_MAX 8192        /* entries in the queue */
#define COMMITTER_BYTES_MAX   (64u << 20) /* their bodies together */
#define COMMITTER_BATCHES_MAX 4           /* batches in the host's hands */
#define COMMITTER_BATCH_BYTES (8u << 20) /* bodies in a batch; a single larger entry stands alone */

struct committer;

/* Records that stay together and in this order. The records and their bodies belong to the committer
 * until `token` comes back (refused), or until the host releases the batch they are part of. */
struct committer_entry {
    struct record *records; /* at_ms is set by the committer */
    uint32_t count;         /* at most BATCH_RECORDS_MAX; 0 asks for a batch even if it is empty */
    bool is_priority;       /* unsubscribes, receipts, ticks: admitted even when the disk is full */
    void *token;
    bool is_patient; /* nobody waits for it: it starts no write while the host has a batch */
};

/* Where an entry came to lie in a batch. */
struct committer_part {
    void *token;
    uint32_t first; /* index of its first record in the batch */
    uint32_t count;
};

/* A durable batch in the host's hands, until committer_release(). Records that belong to no part are
 * names of entries that were refused. */
struct committed {
    struct batch batch;
    const struct committer_part *parts; /* in the order of the records */
    uint32_t part_count;
};

/* What the committer needs from the server. All calls come from the committer's thread, but now_ms(),
 * which also comes from those that push. */
struct committer_host {
    void *context;
    /* Engine time. May stand still; where it goes back, the committer stands still. */
    int64_t (*now_ms)(void *context);
    /* The batch is durable; answers may go out. To be handed on quickly: the next one waits. */
    void (*committed)(void *context, struct committed *batch);
    /* The entry is not in the log. TRY_AGAIN: the disk is full. FIX_INPUT: a record cannot be written
     * (its producer should have checked). GIVE_UP: the log is dead. */
    void (*refused)(void *context, void *token, enum status why, const struct fault *f);
    /* The log is dead: the process must stop. Called once; all entries are then refused. */
    void (*failed)(void *context, const struct fault *f);
};

/* Starts the threads (the committer's, and one that prepares segments: the log is best opened with
 * EVLOG_SPARE_BY_CALLER). The log is the committer's until committer_stop(). `host` is copied. The
 * caller owns *c. */
enum status committer_start(struct evlog *log, const struct committer_host *host,
                            struct committer **c, struct fault *f) mustuse;

/* Hands in an entry (copied; its records are not). Name records get into the log, in the order of their
 * numbers, even if their entry is refused later; but where push itself does not say OK, they are to be
 * pushed again before any later name. TRY_AGAIN: the queue is full; priority entries have
 * an eighth of it to themselves. GIVE_UP: stopping or dead. On both the records stay the caller's. */
enum status committer_push(struct committer *c, const struct committer_entry *entry) mustuse;

/* Hands in the result block of a batch (copied); written with the next commit, or soon if none comes.
 * In the order of the batches, each before its batch is released. */
void committer_results(struct committer *c, uint64_t batch_number, struct str bytes);

/* Closes the segment and begins the next one: every batch that is durable now is in a closed segment when it
 * comes back. Waits; not from the committer's thread, nor while it stops. TRY_AGAIN: the disk is full. GIVE_UP: the
 * log is dead. */
enum status committer_roll(struct committer *c) mustuse;

/* Gives a batch back: its tokens are free, its memory is used again. Any order, any thread. */
void committer_release(struct committer *c, struct committed *batch);

/* Commits what is queued, waits until the host has released every batch, commits the result blocks,
 * ends the threads and frees `c`. Nobody may push meanwhile. The log is the caller's again. */
void committer_stop(struct committer *c);

/* ---- by hand ------------------------------------------------------------------------------------
 *
 * The same without threads: it works when it is told to, and on the caller's thread. The simulator puts
 * its own order of events in the place of the machine's. */

/* Like committer_start(); nothing can fail. Ends with committer_drop(). */
struct committer *committer_new(struct evlog *log, const struct committer_host *host) mustuse;

/* One round of what both threads do, if there is anything to do: result blocks and entries are written
 * and committed, the host is told, the next segment is prepared. False: there was nothing. */
bool committer_turn(struct committer *c);

/* What committer_roll() does. Nothing may be in between a commit and its batch: not from the host's calls. */
enum status committer_roll_now(struct committer *c) mustuse;

/* Ends it as the end of the process would: what is queued comes back refused with GIVE_UP; nothing is
 * written any more. Batches in the host's hands must be back. */
void committer_drop(struct committer *c);
