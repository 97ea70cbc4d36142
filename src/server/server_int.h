/* server_int.h - what the server's parts share.
 *
 * Each part is one file and one struct: feed (records to the committer), core (the engine's thread),
 * sender (the outbox's thread and the providers), routes (HTTP). They talk by queues of values;
 * what they share beside that is read-only or atomic.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdatomic.h>

#include "evlog/committer.h"
#include "evlog/sealer.h"
#include "http/server.h"
#include "ingest/ingest_routes.h"
#include "model/receipt.h"
#include "server/journal.h"
#include "server/pace.h"
#include "server/server.h"
#include "server/turn.h"

enum counter {
#define COUNTER(symbol, name, type, help) COUNTER_##symbol,
#include "server/counters.def"
#undef COUNTER
    COUNTER_END,
};

/* What belongs together in the log, and comes back as the token of its part. */
enum entry_kind {
    ENTRY_EVENTS = 1, /* of a request: to be answered */
    ENTRY_NAMES,
    ENTRY_TICK,      /* or an empty batch, for inboxes */
    ENTRY_START,     /* an empty batch, with which the server begins */
    ENTRY_NEXT,      /* an empty batch, with which a segment begins: retain.h */
    ENTRY_PROGRAMME, /* prepare, activate, abandon */
    ENTRY_COMMAND,   /* an operator's: `request` is answered when it is applied */
    ENTRY_ERASE,     /* a person is forgotten, or it is done */
    ENTRY_RECEIPT,   /* from the sender; comes again until the log takes it */
};

struct entry {
    enum entry_kind kind;
    struct ingest_batch *events; /* ENTRY_EVENTS */
    struct record *records;      /* in the arena, but for events */
    uint32_t count;
    struct arena arena;
    struct http_request *request; /* ENTRY_COMMAND */
    struct entry *next;
};

struct changes;
struct core;
struct eraser;
struct held;
struct sender;
struct journeys;
struct stories;

struct server {
    struct server_options options;
    struct directory directory;
    char held_path[OS_PATH_BYTES];
    struct recovered recovered;
    struct evlog *log;
    struct sealer *sealer; /* from before the first batch of this run on */
    struct pace pace;
    struct journal journal;

    struct vocabulary *vocabulary;
    struct os_mutex past_lock;  /* for who reads the log's beginning for long, or drops it */
    struct os_mutex names_lock; /* for whoever brings names into the log */
    _Atomic uint32_t
        names_in_log; /* numbers below this are in the log, or before us in the queue */
    struct committer *committer;
    struct core *core;
    struct sender *sender;
    struct stories *stories;
    struct eraser *eraser;
    struct journeys *journeys;      /* journeys.h */
    struct monitor_board *monitors; /* monitors.h */
    struct changes *changes;
    struct turns turns;               /* of changes and erasures */
    struct loaded_backfill *backfill; /* the engine may borrow it; or NULL */
    _Atomic uint64_t settled_batch;   /* no programme is prepared since then; UINT64_MAX: one is */
    struct ingest *ingest;
    struct ingest_routes *routes;
    struct http_server *_Atomic http; /* set only when the server listens already */

    _Atomic uint64_t newest_batch; /* durable */
    _Atomic uint64_t counters[COUNTER_END];
    _Atomic uint64_t receipts[RECEIPT_KIND_END];
    atomic_uint programmes_applied; /* ENTRY_PROGRAMME: by the engine, */
    atomic_uint programmes_refused; /* or by the log */
    atomic_uint erasures_applied;   /* ENTRY_ERASE, likewise */
    atomic_uint erasures_refused;
    atomic_bool is_started;  /* the first batch of this run is applied */
    atomic_bool has_failed;  /* the log is dead: `failure` says why */
    atomic_bool is_stopping; /* no ticks any more */
    struct os_mutex failure_lock;
    struct fault failure;
};

static inline void count_set(struct server *s, enum counter counter, uint64_t to)
{
    atomic_store_explicit(&s->counters[counter], to, memory_order_relaxed);
}

static inline void count_add(struct server *s, enum counter counter, uint64_t by)
{
    atomic_fetch_add_explicit(&s->counters[counter], by, memory_order_relaxed);
}

int64_t server_now_ms(struct server *s);

/* ---- feed.c: into the log ---------------------------------------------------------------------- */

/* Room for `count` records of our own, all zero but their schema. */
struct entry *entry_new(enum entry_kind kind, uint32_t count) mustuse;
void entry_free(struct entry *e);

/* Keeps a body's bytes in the entry. Ends the buffer. */
struct body entry_body(struct entry *e, struct buf *bytes);

/* Hands the entry to the committer, names before it. On anything but OK it stays the caller's. */
enum status feed_push(struct server *s, struct entry *e) mustuse;

/* The ingest's sink. */
enum status feed_offer(void *server, struct ingest_batch *batch);

/* ---- core.c: the engine's thread --------------------------------------------------------------- */

enum question_kind {
    QUESTION_PERSON,
    QUESTION_WHY,
    QUESTION_SEGMENTS,
    QUESTION_MEMBERS,
    QUESTION_SEGMENT_WHY,
    QUESTION_JOURNEYS,
    QUESTION_MONITORS,
    QUESTION_DECIDE,
    QUESTION_FUNNEL,
    QUESTION_BUDGETS,
    QUESTION_AUDIENCES,
    QUESTION_VOUCHERS,
    QUESTION_TASKS,
    QUESTION_TASK_DONE, /* or declined */
    QUESTION_COMMAND,
    QUESTION_LIST, /* puts people on a list, takes them off, or replaces it */
};

enum status core_start(struct server *s, struct core **out, struct fault *f) mustuse;

/* A durable batch; waits for room (there are never more than COMMITTER_BATCHES_MAX). */
void core_apply(struct core *c, struct committed *batch);

/* The entry was refused: a tick may be asked for again. */
void core_tick_refused(struct core *c);

enum list_change { LIST_ADD, LIST_REMOVE, LIST_REPLACE };

#define LIST_ROWS_MAX 2500 /* people that one request puts on a list and takes off it */

/* What is asked about a segment; lives in the request's arena. */
struct segment_question {
    struct str segment;
    struct str person;
    uint64_t after;
    uint32_t limit;
    enum list_change change;
    const struct member_list *list;
};

/* The same about a segment. */
bool core_ask_segment(struct core *c, enum question_kind kind,
                      const struct segment_question *question, struct http_request *request);

struct decide_question;

/* What a placement shows somebody: decide.h. */
bool core_ask_decide(struct core *c, const struct decide_question *question,
                     struct http_request *request);

/* What is asked of "why?"; lives in the request's arena. The story is told by another thread, if it is
 * wanted and the log is not too long. */
struct why_question;
bool core_ask_why(struct core *c, struct why_question *question, bool wants_past,
                  struct http_request *request) mustuse;
/* The same about journeys, or a command. */
struct operator_question;
bool core_ask_operator(struct core *c, enum question_kind kind,
                       const struct operator_question *question,
                       struct http_request *request) mustuse;

/* Asks about a person between batches; the request is answered from the engine's thread. False: too
 * many questions wait, nothing was done. */
bool core_ask(struct core *c, enum question_kind kind, struct str person,
              struct http_request *request) mustuse;

uint32_t core_waiting(struct core *c);

/* Waits until the thread has seen that server.is_stopping is set: it pushes nothing more then. */
void core_sync(struct core *c);

/* Calls `run` on the engine's thread between two batches, and waits for it. Not from that thread, nor
 * when core_join() may have been called. */
void core_call(struct core *c, void (*run)(void *context, struct engine *e), void *context);

/* A snapshot of that batch or a later one is wanted; the batch of the newest that is durable (0 = none of
 * this run). Not when core_join() may have been called. */
void core_want_snapshot(struct core *c, uint64_t batch);
uint64_t core_newest_snapshot(const struct core *c);
uint64_t core_snapshot_failures(const struct core *c); /* that did not become whole */

/* No more batches come: applies what is queued and ends the thread. */
void core_join(struct core *c);
void core_free(struct core *c);

/* ---- sender.c: from grants to receipts --------------------------------------------------------- */

/* Makes the providers of `plan` and starts their threads; and those that only `older` (NULL: none) has,
 * as far as they can be made. FIX_INPUT: a provider's settings are wrong; GIVE_UP: a secret cannot be
 * read. */
enum status sender_start(struct server *s, const struct plan *plan, const struct plan *older,
                         struct sender **out, struct fault *f) mustuse;

/* Can the providers of `plan` be made, beside those that are there? FIX_INPUT and GIVE_UP as above. */
enum status sender_check(struct sender *sender, const struct plan *plan, struct fault *f) mustuse;

/* From now on the settings of `plan` count. A provider whose settings have changed gets new
 * connections; what was handed to the old ones ends there. To be called before anything is granted
 * under the plan. Does not wait. */
void sender_adopt(struct sender *sender, const struct plan *plan);

/* A granted attempt; copied. Does not wait. */
void sender_take(struct sender *sender, const struct action *action);

/* The attempt that was taken is not to be tried again. */
void sender_recall(struct sender *sender, const struct recall *recall);

/* An attempt that a run before this one had granted and kept. Takes it. */
void sender_take_held(struct sender *sender, struct held *held);

/* The log has no room for a receipt now: it is offered again. Takes the entry. */
void sender_receipt_refused(struct sender *sender, struct entry *e);

/* Starts nothing until told to go on; what is on its way ends as usual. */
void sender_pause(struct sender *sender, bool is_paused);

/* Closes the breakers of all providers: an operator says that they are mended. */
void sender_try_again(struct sender *sender);

uint32_t sender_waiting(struct sender *sender);

/* Starts nothing more, gives what is on its way `grace_ms`, then breaks it off. When it returns, all
 * receipts are with the committer (or can no longer be), and the sender pushes nothing more; it still
 * takes what the engine grants, without sending it. */
void sender_stop(struct sender *sender, int64_t grace_ms);

/* Ends the thread, behind sender_stop() and the engine's end. Gives what is known not to be with a
 * provider: the caller's list. */
struct held *sender_end(struct sender *sender) mustuse;

void sender_free(struct sender *sender);

/* ---- routes.c: HTTP ---------------------------------------------------------------------------- */

http_handler routes_handle;

/* Appends the text of GET /metrics. */
void metrics_write(struct server *s, struct buf *out);
