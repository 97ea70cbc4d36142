/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/transport.h"

#include <stdio.h>

#include "base/mem.h"
#include "os/clock.h"
#include "os/thread.h"

#define REST_AFTER_MS (30 * SECOND_MS)

struct slot {
    struct transport *transport;
    uint32_t index;
    struct os_thread thread;
    struct channel_connection *connection; /* the thread's, but for channel_connection_abort() */
    struct channel_payload payload;        /* the thread's */

    struct os_mutex mutex; /* guards the rest */
    struct os_cond change;
    struct transport_job job;
    bool has_job; /* given and not reported */
    bool is_ending;
};

struct transport {
    struct transport_options options;
    uint32_t slot_count;
    struct slot slots[];
};

static int64_t now(const struct transport *t)
{
    return t->options.now != NULL ? t->options.now(t->options.context) : os_clock_utc_ms();
}

static void do_job(struct slot *s, const struct transport_job *job, struct transmission *result)
{
    const struct transport *t = s->transport;
    struct fault f = {0};
    if (channel_render(t->options.provider, &job->message, &s->payload, &f) == OK) {
        channel_send(s->connection, &s->payload, now(t), result);
        return;
    }
    *result = (struct transmission){.outcome = TRANSMISSION_ABORTED};
    snprintf(result->detail, sizeof(result->detail), "%.200s", f.text);
}

/* Waits for a job; false: the end. What has been idle for long is closed meanwhile. */
static bool wait_for_job(struct slot *s, struct transport_job *job)
{
    bool is_resting = false;
    os_mutex_lock(&s->mutex);
    while (!s->has_job && !s->is_ending) {
        if (is_resting) {
            os_cond_wait(&s->change, &s->mutex);
        } else if (!os_cond_wait_for(&s->change, &s->mutex, s->transport->options.rest_after_ms) &&
                   !s->has_job && !s->is_ending) {
            os_mutex_unlock(&s->mutex);
            channel_connection_rest(s->connection);
            is_resting = true;
            os_mutex_lock(&s->mutex);
        }
    }
    bool has_job = s->has_job;
    *job = s->job;
    os_mutex_unlock(&s->mutex);
    return has_job;
}

static void run(void *context)
{
    struct slot *s = context;
    struct transport_job job;
    while (wait_for_job(s, &job)) {
        struct transmission result;
        do_job(s, &job, &result);
        os_mutex_lock(&s->mutex);
        s->has_job = false;
        os_cond_wake_all(&s->change);
        os_mutex_unlock(&s->mutex);
        s->transport->options.done(s->transport->options.context, job.ticket, s->index, &result);
    }
}

enum status transport_new(const struct transport_options *options, struct transport **out,
                          struct fault *f)
{
    uint32_t count = channel_provider_slots(options->provider);
    struct transport *t = mem_new(sizeof(*t) + count * sizeof(t->slots[0]));
    t->options = *options;
    if (t->options.rest_after_ms == 0)
        t->options.rest_after_ms = REST_AFTER_MS;
    *out = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct slot *s = &t->slots[i];
        s->transport = t;
        s->index = i;
        os_mutex_init(&s->mutex);
        os_cond_init(&s->change);
        channel_payload_init(&s->payload);
        s->connection = channel_connection_new(options->provider);
        t->slot_count = i + 1;
        char name[16];
        snprintf(name, sizeof(name), "send-%u", i % 1000);
        enum status status = os_thread_start(&s->thread, name, run, s, f);
        if (status != OK) {
            channel_connection_free(s->connection);
            channel_payload_fini(&s->payload);
            t->slot_count = i;
            transport_free(t, 0);
            return status;
        }
    }
    *out = t;
    return OK;
}

uint32_t transport_slots(const struct transport *t)
{
    return t->slot_count;
}

void transport_start(struct transport *t, uint32_t slot, const struct transport_job *job)
{
    must(slot < t->slot_count);
    struct slot *s = &t->slots[slot];
    os_mutex_lock(&s->mutex);
    must(!s->has_job);
    must(!s->is_ending);
    s->job = *job;
    s->has_job = true;
    os_mutex_unlock(&s->mutex);
    os_cond_wake_all(&s->change); /* not before: it would be for the lock that it wakes */
}

/* Waits until the slot's job is over or `until_ns` has come. */
static void let_end(struct slot *s, int64_t until_ns)
{
    os_mutex_lock(&s->mutex);
    while (s->has_job) {
        int64_t left_ms = (until_ns - os_clock_monotonic_ns()) / 1000000;
        if (left_ms <= 0 || !os_cond_wait_for(&s->change, &s->mutex, left_ms))
            break;
    }
    os_mutex_unlock(&s->mutex);
}

void transport_free(struct transport *t, int64_t grace_ms)
{
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < t->slot_count; i++) {
        struct slot *s = &t->slots[i];
        os_mutex_lock(&s->mutex);
        s->is_ending = true;
        os_cond_wake_all(&s->change);
        os_mutex_unlock(&s->mutex);
    }
    int64_t until_ns = os_clock_monotonic_ns() + grace_ms * 1000000;
    for (uint32_t i = 0; i < t->slot_count; i++)
        let_end(&t->slots[i], until_ns);
    for (uint32_t i = 0; i < t->slot_count; i++)
        channel_connection_abort(t->slots[i].connection);
    for (uint32_t i = 0; i < t->slot_count; i++) {
        struct slot *s = &t->slots[i];
        os_thread_join(&s->thread);
        channel_connection_free(s->connection);
        channel_payload_fini(&s->payload);
        os_cond_fini(&s->change);
        os_mutex_fini(&s->mutex);
    }
    mem_free(t);
}
