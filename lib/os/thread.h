/* thread.h - threads, locks, and bounded queues of values between them.
 *
 * A lock is a last resort (style.md section 10): threads talk by struct os_queue. All functions
 * that can only fail by misuse or by an exhausted machine end the process instead of answering.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <pthread.h>

#include "base/base.h"
#include "base/fault.h"

struct os_thread {
    pthread_t id;
};

typedef void os_thread_run(void *context);

/* Starts a thread that calls run(context). `name` (at most 15 bytes) is what tools show. The thread
 * has no signals: they go to whoever waits for them (os/signal.h). End it with os_thread_join(). */
enum status os_thread_start(struct os_thread *thread, const char *name, os_thread_run *run,
                            void *context, struct fault *f) mustuse;

/* The calling thread gives way to all others from now on: for work that nobody waits for. */
void os_thread_give_way(void);

/* Waits until the thread's run() has returned. */
void os_thread_join(struct os_thread *thread);

struct os_mutex {
    pthread_mutex_t mutex;
};

void os_mutex_init(struct os_mutex *m);
void os_mutex_fini(struct os_mutex *m);
void os_mutex_lock(struct os_mutex *m);
void os_mutex_unlock(struct os_mutex *m);

/* A condition to wait for under a mutex. */
struct os_cond {
    pthread_cond_t cond;
};

void os_cond_init(struct os_cond *c);
void os_cond_fini(struct os_cond *c);

/* Releases the mutex, waits for a wake (or none: check the condition in a loop), takes it again. */
void os_cond_wait(struct os_cond *c, struct os_mutex *m);

/* The same, for at most `timeout_ms`; false when the time has passed. */
bool os_cond_wait_for(struct os_cond *c, struct os_mutex *m, int64_t timeout_ms);

void os_cond_wake_one(struct os_cond *c);
void os_cond_wake_all(struct os_cond *c);

/* A bounded first-in-first-out queue of values of one size, copied in and out; any number of
 * threads at both ends.
 *
 *     push ──► [ v ][ v ][ v ]...........│ ──► pop
 *              at most item_count_max    │
 */
struct os_queue;

/* A queue of at most `item_count_max` (at least 1) values of `item_bytes` bytes each. */
struct os_queue *os_queue_new(size_t item_bytes, uint32_t item_count_max) mustuse;

/* Nobody may be inside any more. What is still queued is dropped as bytes. NULL is fine. */
void os_queue_free(struct os_queue *q);

/* Copies *item to the end. TRY_AGAIN when full, GIVE_UP when closed; never waits. */
enum status os_queue_push(struct os_queue *q, const void *item) mustuse;

/* The same, waiting for room for at most `timeout_ms` (FOREVER_MS: as long as it takes). */
enum status os_queue_push_wait(struct os_queue *q, const void *item, int64_t timeout_ms) mustuse;

/* Moves up to `item_count_max` values into `items`, oldest first, waiting for the first one for at
 * most `timeout_ms` (0: not at all, FOREVER_MS: as long as it takes). Returns how many; 0 when none
 * came in time, or when the queue is closed and empty. */
uint32_t os_queue_pop(struct os_queue *q, void *items, uint32_t item_count_max, int64_t timeout_ms);

/* No more pushes; what is queued can still be popped. Wakes everyone who waits. */
void os_queue_close(struct os_queue *q);

/* Closed, and nothing left to pop. */
bool os_queue_is_done(struct os_queue *q);

/* How many values are queued at this moment (it may be another number at the next). */
uint32_t os_queue_count(struct os_queue *q);
