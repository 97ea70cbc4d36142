/* SPDX-License-Identifier: Apache-2.0 */
#include "os/thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define THREAD_NAME_BYTES 16 /* Linux: with the final NUL */

struct start {
    os_thread_run *run;
    void *context;
    char name[THREAD_NAME_BYTES];
};

static void *thread_main(void *context)
{
    struct start start = *(struct start *)context;
    mem_free(context);
    pthread_setname_np(pthread_self(), start.name);
    start.run(start.context);
    return NULL;
}

enum status os_thread_start(struct os_thread *thread, const char *name, os_thread_run *run,
                            void *context, struct fault *f)
{
    must(strlen(name) < THREAD_NAME_BYTES);
    struct start *start = mem_new(sizeof(*start));
    start->run = run;
    start->context = context;
    memcpy(start->name, name, strlen(name));

    /* A thread inherits the mask: all signals are left to the thread that waits for them. */
    sigset_t all, before;
    sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int error = pthread_create(&thread->id, NULL, thread_main, start);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (error == 0)
        return OK;

    char reason[128];
    mem_free(start);
    fault_set(f, "cannot start thread \"%s\": %s", name, strerror_r(error, reason, sizeof(reason)));
    return error == EAGAIN ? TRY_AGAIN : GIVE_UP;
}

#define NICE 10

void os_thread_give_way(void)
{
    /* Linux keeps this by thread. It cannot fail in a way that matters. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
}

void os_thread_join(struct os_thread *thread)
{
    must(pthread_join(thread->id, NULL) == 0);
}

void os_mutex_init(struct os_mutex *m)
{
    must(pthread_mutex_init(&m->mutex, NULL) == 0);
}

void os_mutex_fini(struct os_mutex *m)
{
    must(pthread_mutex_destroy(&m->mutex) == 0);
}

void os_mutex_lock(struct os_mutex *m)
{
    must(pthread_mutex_lock(&m->mutex) == 0);
}

void os_mutex_unlock(struct os_mutex *m)
{
    must(pthread_mutex_unlock(&m->mutex) == 0);
}

void os_cond_init(struct os_cond *c)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&c->cond, &attributes) == 0);
    must(pthread_condattr_destroy(&attributes) == 0);
}

void os_cond_fini(struct os_cond *c)
{
    must(pthread_cond_destroy(&c->cond) == 0);
}

void os_cond_wait(struct os_cond *c, struct os_mutex *m)
{
    must(pthread_cond_wait(&c->cond, &m->mutex) == 0);
}

/* The moment `timeout_ms` from now; far waits are cut to a year, which is as good. */
static struct timespec moment_after(int64_t timeout_ms)
{
    struct timespec t;
    must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    timeout_ms = min_of(max_of(timeout_ms, 0), 365 * DAY_MS);
    t.tv_sec += (time_t)(timeout_ms / 1000);
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

static bool wait_until(struct os_cond *c, struct os_mutex *m, const struct timespec *moment)
{
    int error = pthread_cond_timedwait(&c->cond, &m->mutex, moment);
    must(error == 0 || error == ETIMEDOUT);
    return error == 0;
}

bool os_cond_wait_for(struct os_cond *c, struct os_mutex *m, int64_t timeout_ms)
{
    struct timespec moment = moment_after(timeout_ms);
    return wait_until(c, m, &moment);
}

void os_cond_wake_one(struct os_cond *c)
{
    must(pthread_cond_signal(&c->cond) == 0);
}

void os_cond_wake_all(struct os_cond *c)
{
    must(pthread_cond_broadcast(&c->cond) == 0);
}

struct os_queue {
    struct os_mutex mutex;
    struct os_cond has_items;
    struct os_cond has_room;
    size_t item_bytes;
    uint32_t room;
    uint32_t first; /* index of the oldest */
    uint32_t count;
    bool is_closed;
    char *items;
};

struct os_queue *os_queue_new(size_t item_bytes, uint32_t item_count_max)
{
    must(item_bytes > 0);
    must(item_count_max > 0);
    struct os_queue *q = mem_new(sizeof(*q));
    os_mutex_init(&q->mutex);
    os_cond_init(&q->has_items);
    os_cond_init(&q->has_room);
    q->item_bytes = item_bytes;
    q->room = item_count_max;
    q->items = mem_new(item_bytes * item_count_max);
    return q;
}

void os_queue_free(struct os_queue *q)
{
    if (q == NULL)
        return;
    os_cond_fini(&q->has_room);
    os_cond_fini(&q->has_items);
    os_mutex_fini(&q->mutex);
    mem_free(q->items);
    mem_free(q);
}

static char *item_at(struct os_queue *q, uint32_t position)
{
    uint64_t index = ((uint64_t)q->first + position) % q->room;
    return q->items + index * q->item_bytes;
}

/* Under the lock, with room; true: readers may be asleep. They are woken after the lock is let go of: woken
 * before, the first thing they do is to fall asleep again, at the lock. */
static bool put(struct os_queue *q, const void *item)
{
    memcpy(item_at(q, q->count), item, q->item_bytes);
    q->count++;
    return q->count == 1;
}

enum status os_queue_push(struct os_queue *q, const void *item)
{
    return os_queue_push_wait(q, item, 0);
}

enum status os_queue_push_wait(struct os_queue *q, const void *item, int64_t timeout_ms)
{
    enum status done = OK;
    struct timespec moment = {0};
    bool has_moment = false, wakes = false;
    os_mutex_lock(&q->mutex);
    while (!q->is_closed && q->count == q->room && done == OK) {
        if (timeout_ms <= 0) {
            done = TRY_AGAIN;
        } else if (timeout_ms == FOREVER_MS) {
            os_cond_wait(&q->has_room, &q->mutex);
        } else {
            if (!has_moment)
                moment = moment_after(timeout_ms);
            has_moment = true;
            if (!wait_until(&q->has_room, &q->mutex, &moment) && q->count == q->room)
                done = TRY_AGAIN;
        }
    }
    if (q->is_closed)
        done = GIVE_UP;
    if (done == OK)
        wakes = put(q, item);
    os_mutex_unlock(&q->mutex);
    if (wakes)
        os_cond_wake_all(&q->has_items);
    return done;
}

uint32_t os_queue_pop(struct os_queue *q, void *items, uint32_t item_count_max, int64_t timeout_ms)
{
    struct timespec moment = {0};
    bool has_moment = false;
    bool has_time = timeout_ms > 0;
    os_mutex_lock(&q->mutex);
    while (q->count == 0 && !q->is_closed && has_time) {
        if (timeout_ms == FOREVER_MS) {
            os_cond_wait(&q->has_items, &q->mutex);
        } else {
            if (!has_moment)
                moment = moment_after(timeout_ms);
            has_moment = true;
            has_time = wait_until(&q->has_items, &q->mutex, &moment);
        }
    }
    uint32_t taken = min_of(q->count, item_count_max);
    for (uint32_t i = 0; i < taken; i++)
        memcpy((char *)items + i * q->item_bytes, item_at(q, i), q->item_bytes);
    q->first = (uint32_t)(((uint64_t)q->first + taken) % q->room);
    q->count -= taken;
    bool has_more = q->count > 0;
    os_mutex_unlock(&q->mutex);
    if (taken > 0)
        os_cond_wake_all(&q->has_room);
    if (has_more)
        os_cond_wake_one(&q->has_items); /* for another reader, who may have slept through put() */
    return taken;
}

void os_queue_close(struct os_queue *q)
{
    os_mutex_lock(&q->mutex);
    q->is_closed = true;
    os_cond_wake_all(&q->has_items);
    os_cond_wake_all(&q->has_room);
    os_mutex_unlock(&q->mutex);
}

bool os_queue_is_done(struct os_queue *q)
{
    os_mutex_lock(&q->mutex);
    bool is_done = q->is_closed && q->count == 0;
    os_mutex_unlock(&q->mutex);
    return is_done;
}

uint32_t os_queue_count(struct os_queue *q)
{
    os_mutex_lock(&q->mutex);
    uint32_t count = q->count;
    os_mutex_unlock(&q->mutex);
    return count;
}
