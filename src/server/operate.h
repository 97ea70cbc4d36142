/* operate.h - what operators do over HTTP: journeys are paused, resumed, drained and stopped, messages
 * killed. A command is a record; the request is answered when it has been applied, so that what was at a
 * provider's pool is taken back before.
 *
 *     POST ──► understood? ──► engine's thread: is there such a journey? ──► log ──► applied ──► 200
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "api/task_json.h"
#include "model/control.h"

struct engine;
struct entry;
struct http_request;
struct server;

struct operator_question {
    struct command_word word;
    uint32_t source;    /* name of who asks */
    struct str journey; /* of what is asked about, if it is no command */
    struct str queue;   /* of tasks that are asked for */
    uint64_t after;
    uint32_t limit;
    struct task_word task; /* of one that is done or declined */
};

/* Reads POST /v1/journeys/NAME/VERB, /v1/kill and /v1/unkill; NULL: the request has been answered. */
struct operator_question *operator_read(struct http_request *request, uint32_t source);

/* Reads POST /v1/tasks/ID/done or .../declined. */
struct operator_question *task_read(struct http_request *request);

/* On the engine's thread: writes that the task is done, or answers why not. */
void task_do(struct server *s, struct engine *e, const struct operator_question *q,
             struct http_request *request);

/* On the engine's thread: writes the command, or answers why not. */
void operator_do(struct server *s, const struct engine *e, const struct operator_question *q,
                 struct http_request *request);

/* The command's entry was applied, or the log did not take it. */
void operator_answer(const struct engine *e, const struct entry *entry);
void operator_refused(const struct entry *entry);
