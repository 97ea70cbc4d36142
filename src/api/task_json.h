/* task_json.h - what people have to do: the open tasks of all journeys (decide/errand.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"
#include "model/errand.h"
#include "model/receipt.h"

#define TASKS_SCANNED_MAX 100000 /* people looked at for one answer */

/* An open task; texts are borrowed from the state, good until the next batch. */
struct task {
    char key[ERRAND_KEY_BYTES]; /* its id */
    struct str queue;
    struct str title;
    struct str details;
    struct str assignee;
    struct str journey;
    struct str person; /* user id, or anonymous id */
    int64_t since_ms;
    int64_t due_ms;
};

/* Where a walk over them stands. Zeroed but for `queue` it begins. */
struct task_walk {
    struct str queue; /* only of this one; empty = of all */
    uint64_t profile; /* the last person looked at */
    uint32_t place;
    uint32_t scanned;
    bool is_over; /* everybody has been looked at */
};

/* The next one; false: there is none, or TASKS_SCANNED_MAX people have been looked at (is_over tells). */
bool task_next(struct engine *e, struct task_walk *walk, struct task *out);

/* Up to `limit` people's tasks behind person `after` (0 = from the first), whole people. */
void tasks_json(struct engine *e, struct str queue, uint64_t after, uint32_t limit,
                struct buf *out);

/* What people say of a task. */
struct task_word {
    struct str key;         /* its id */
    enum receipt_kind kind; /* RECEIPT_TASK_... */
    struct str by;
    struct str values; /* JSON; may be empty */
};

/* The receipt that says that people have done the task of that id (or will not). FIX_INPUT: it is no id, or
 * no task of it is open: *is_there is false; or `values` are none that it saves (answer_said()). The fault says so.
 * out->saved borrows from `saved`. */
enum status task_receipt(struct engine *e, const struct task_word *word, struct buf *saved,
                         bool *is_there, struct receipt *out, struct fault *f) mustuse;
