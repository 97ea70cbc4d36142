/* erase.h - people are erased, one after the other, by a thread that asks the engine, the committer and the
 * sealer for their parts (replay/erase.h tells the order). Who asked is answered when it is done.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "base/str.h"

struct eraser;
struct http_request;
struct server;

/* Starts the thread; it goes on with what a run before this one left. */
enum status eraser_start(struct server *s, struct eraser **out, struct fault *f) mustuse;

/* Erases who is known as `person` (the request's memory), and answers. False: too many wait, nothing was
 * done. */
bool eraser_ask(struct eraser *e, struct str person, struct http_request *request) mustuse;

/* Everything that is known of the person, and their events from the log. */
bool eraser_ask_export(struct eraser *e, struct str person, struct http_request *request) mustuse;

/* Those that wait are answered 503; what is under way is left, and the next start goes on with it. NULL is fine. */
void eraser_stop(struct eraser *e);
