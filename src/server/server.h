/* server.h - `wend serve`: the engine behind an HTTP server, with a log before it and providers after.
 *
 *     clients                                             this process
 *        │ HTTP                                                                      threads
 *        ▼
 *     routes ──► feed ──► committer ──► core (the engine) ──► sender ──► transports    http-N
 *        ▲         ▲          │            │   │                │  ▲        │          log-commit
 *        └─ 200 ───┼──────────┘ durable    │   └─ results ─► log│  └────────┘          core
 *                  └───── ticks ───────────┘                    │                      sender
 *                  └───── receipts ─────────────────────────────┘                      send-N
 *
 * README.md of this room tells how a start, a crash and a stop go.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>

#include "os/signal.h"
#include "replay/recover.h"
#include "server/keys.h"

#define SERVER_SNAPSHOT_BATCHES 200000 /* batches after which the state is saved while running */

struct server;

struct server_options {
    const char *data;      /* the data directory; made where there is none */
    const char *programme; /* the folder that is read again when a change is asked for */
    const char *listen;    /* "127.0.0.1:8080", "[::1]:0"; port 0 = the system picks one */
    const struct keys *keys;
    const char *public_url; /* how the world reaches the server; NULL = as clients' Host says */
    uint64_t snapshot_batches;
    FILE *journal; /* where lines for the operator go */
    bool is_json;
    bool is_quiet;
};

/* FIX_INPUT if `listen` is no address and port. */
enum status server_check_listen(const char *listen, struct fault *f) mustuse;

/* Opens the data directory and its log, recovers the state. To be called while there is one thread.
 * TRY_AGAIN: another process has the log open. GIVE_UP: damage, or a batch that gives other results than
 * when it was first applied; nothing was changed. On OK the caller owns *out; `options` and what it
 * points to are borrowed until server_free(). */
enum status server_open(const struct server_options *options, struct server **out,
                        struct fault *f) mustuse;

/* Where the programme is to be compiled with (programme_compile() with its names, then shelf_add()). */
struct shelf *server_shelf(struct server *s);

/* Makes the plan the active one, serves until a stop signal, and stops in order. The folder is
 * what the plan was compiled from. GIVE_UP: the log failed; nothing may go on. */
enum status server_run(struct server *s, const struct plan *plan,
                       const struct programme_folder *folder, struct os_signals *signals,
                       struct fault *f) mustuse;

void server_free(struct server *s);
