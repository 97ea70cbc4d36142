/* change.h - another programme while the server runs: one thread that checks, prepares, fills in what
 * is past, and activates.
 *
 *     POST /v1/programme ─┐
 *     SIGHUP ─────────────┼─► check ─► store ─► PREPARE ─► backfill ─► UNITE ─► a piece a ─► ACTIVATE
 *     start with another ─┘     │                 │                             batch │
 *     folder                    └─ errors: told,  └───────────────────────────────────┴─ the old programme
 *                                  nothing done                                          goes on meanwhile
 *
 * One change at a time. A request that comes during a backfill is checked at once: the same programme
 * changes nothing about it, another one takes its place, the active one undoes it. What is prepared
 * stands in the log, so a restart goes on with it: a backfill that was finished is found again, one that
 * was not is begun again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "base/str.h"

struct changes;
struct http_request;
struct plan;
struct server;

/* What somebody wants of the thread. */
enum change_wish {
    CHANGE_LOOK,   /* what would change, without doing it */
    CHANGE_DO,     /* go over to it */
    CHANGE_PEOPLE, /* who is in flight under which version */
};

/* Starts the thread. `active` is the programme that counts (NULL: none yet); `wanted` (stored, and on
 * the shelf; NULL: none) is gone over to at once. The server's shelf is the thread's from now on. */
enum status changes_start(struct server *s, const struct plan *active, const struct plan *wanted,
                          struct changes **out, struct fault *f) mustuse;

/* Asks for something; `request` (NULL: nobody waits) is answered from the thread. `hash`: of a stored
 * programme; empty: the folder that the server was started with. False: too much is asked, nothing was
 * done. */
bool changes_ask(struct changes *c, enum change_wish wish, struct str hash,
                 struct http_request *request) mustuse;

/* GET /v1/programme, from any thread. */
void changes_answer(struct changes *c, struct http_request *request);

/* Is a change under way? And is it at what takes its time: its backfill, or an erasure that comes first? */
bool changes_is_busy(struct changes *c);
bool changes_takes_long(struct changes *c);

/* How the last change ended: OK, or its fault. */
enum status changes_outcome(struct changes *c, struct fault *f) mustuse;

/* Breaks off what is under way (it is gone on with after a restart) and ends the thread; requests that
 * wait are told so. */
void changes_stop(struct changes *c);
void changes_free(struct changes *c);
