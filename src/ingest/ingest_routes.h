/* ingest_routes.h - the tracking API over HTTP: from a request to the committer and back.
 *
 *     http_request ──► ingest_parse() ──► sink->offer() ··· fdatasync ··· ingest_batch_answer()
 *                          │                   │                               │
 *                          └─ 400 401 413      └─ 429 503               200 {"success":true}
 *
 * routes.def lists the paths.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "http/server.h"
#include "ingest/ingest.h"

struct ingest_routes;

/* Where batches go: the committer. */
struct ingest_sink {
    /* Takes a batch with at least one record. OK: it is taken, and ingest_batch_answer() and then
     * ingest_batch_release() will be called for it, from any thread. TRY_AGAIN: the queue is full;
     * GIVE_UP: the disk is full; the batch stays with the caller then. Called on HTTP threads,
     * several at a time; does not wait. */
    enum status (*offer)(void *context, struct ingest_batch *batch);
    void *context;
};

struct ingest_routes_options {
    struct ingest *ingest;   /* kept, not owned */
    struct ingest_sink sink; /* copied */
    struct str public_url;   /* "https://t.example.com", for the settings document; copied; empty =
                                as the client's Host header says */
    uint32_t retry_after_s;  /* with 429 and 503: 1..300 */
};

struct ingest_routes *ingest_routes_new(const struct ingest_routes_options *options) mustuse;

/* Frees it. All batches must have been released, the HTTP server stopped. */
void ingest_routes_free(struct ingest_routes *r);

/* Answers `request`, now or later, if its path is one of the tracking API; false (and nothing is
 * done) if it is not. Any thread. */
bool ingest_routes_handle(struct ingest_routes *r, struct http_request *request) mustuse;

/* The NAME in /v1/journeys/NAME/enter; false if the path is another. */
bool ingest_journey_name(struct str path, struct str *name);

/* Takes `body`, which the server made of the request, as if it had been posted to the route by the same
 * client with the same key; answers the request. Any thread. */
void ingest_routes_post(struct ingest_routes *r, struct http_request *request,
                        enum ingest_route route, struct str body);

/* How a batch ended. */
enum ingest_verdict {
    INGEST_DURABLE,     /* on the disk: 200 */
    INGEST_FULL,        /* the disk is full: 503 */
    INGEST_IS_STOPPING, /* the server ends before it was written: 503 */
    INGEST_FAILED,      /* 500 */
};

/* Answers the batch's request. Once for each batch that the sink took; any thread. */
void ingest_batch_answer(struct ingest_batch *batch, enum ingest_verdict verdict);

/* Gives the batch's memory back, after its answer, when nobody reads its records any more. */
void ingest_batch_release(struct ingest_batch *batch);

struct ingest_counters {
    uint64_t requests;
    uint64_t events;   /* good ones, handed to the sink */
    uint64_t rejected; /* events refused */
    uint64_t refused;  /* requests refused whole */
    uint64_t busy;     /* 429 */
    uint64_t full;     /* 503 */
    uint64_t junk_ids;
    uint64_t unnamed; /* fields beyond the bound on names */
};
struct ingest_counters ingest_routes_counters(struct ingest_routes *r);
