/* SPDX-License-Identifier: Apache-2.0 */
#include "evlog/sealer.h"

#include <openssl/crypto.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "os/thread.h"

#define RETRY_MS 10000 /* after a full disk */

struct call {
    void (*run)(void *self, struct keystore *keys);
    void *self;
    bool is_done;
};

struct sealer {
    struct sealer_options options;
    char dir[OS_PATH_BYTES];
    struct keystore *keys;
    struct os_thread thread;
    struct os_mutex lock;
    struct os_cond change;
    bool is_wanted; /* a segment was closed */
    struct call *call;
    atomic_bool is_stopping;
    atomic_bool is_called; /* somebody waits: what is under way is left */
    _Atomic uint64_t count;
    _Atomic uint64_t held; /* segments that begin behind this batch stay plain; 0 = none */
};

static bool stops(void *context)
{
    struct sealer *s = context;
    return atomic_load(&s->is_stopping) || atomic_load(&s->is_called);
}

static struct id128 owner(void *context, const struct record *r)
{
    struct sealer *s = context;
    return s->options.owner != NULL ? s->options.owner(s->options.context, r)
                                    : (struct id128){0, 0};
}

/* True if it is to be tried again by itself. */
static bool seal(struct sealer *s)
{
    struct seal_options o = {
        .disk = s->options.disk,
        .dir = s->dir,
        .keys = s->keys,
        .owner = owner,
        .context = s,
        .batch_last = atomic_load(&s->held),
        .stops = stops,
    };
    struct seal_counts counts;
    struct fault f = {0};
    enum status status = seal_segments(&o, &counts, &f);
    atomic_fetch_add(&s->count, counts.segments);
    bool is_told = status == OK ? counts.segments > 0 : !stops(s);
    if (is_told && s->options.told != NULL)
        s->options.told(s->options.context, &counts, status == OK ? NULL : &f);
    return status == TRY_AGAIN;
}

static void run(void *context)
{
    struct sealer *s = context;
    os_thread_give_way();
    os_mutex_lock(&s->lock);
    for (;;) {
        if (s->call != NULL) {
            struct call *call = s->call;
            os_mutex_unlock(&s->lock);
            call->run(call->self, s->keys);
            os_mutex_lock(&s->lock);
            call->is_done = true;
            s->call = NULL;
            atomic_store(&s->is_called, false);
            os_cond_wake_all(&s->change);
        } else if (atomic_load(&s->is_stopping)) {
            break;
        } else if (s->is_wanted) {
            s->is_wanted = false;
            os_mutex_unlock(&s->lock);
            bool again = seal(s);
            os_mutex_lock(&s->lock);
            if (again && s->call == NULL && !atomic_load(&s->is_stopping))
                (void)os_cond_wait_for(&s->change, &s->lock, RETRY_MS);
            s->is_wanted |= again;
        } else {
            os_cond_wait(&s->change, &s->lock);
        }
    }
    os_mutex_unlock(&s->lock);
}

enum status sealer_start(const struct sealer_options *options, struct sealer **out, struct fault *f)
{
    struct sealer *s = mem_new(sizeof(*s));
    struct master_key master;
    s->options = *options;
    s->is_wanted = true;
    enum status status = OK;
    if (!str_to_z(str_of(options->dir), s->dir, sizeof(s->dir))) {
        fault_set(f, "the path of the log is too long");
        status = FIX_INPUT;
    }
    if (status == OK)
        status = master_key_of_environment(options->disk, &master, f);
    if (status == OK)
        status = keystore_open(options->disk, s->dir, &master, &s->keys, f);
    OPENSSL_cleanse(&master, sizeof(master));
    os_mutex_init(&s->lock);
    os_cond_init(&s->change);
    if (status == OK)
        status = os_thread_start(&s->thread, "sealer", run, s, f);
    if (status != OK) {
        keystore_close(s->keys);
        os_cond_fini(&s->change);
        os_mutex_fini(&s->lock);
        mem_free(s);
        return status;
    }
    *out = s;
    return OK;
}

void sealer_wake(struct sealer *s)
{
    os_mutex_lock(&s->lock);
    s->is_wanted = true;
    os_cond_wake_all(&s->change);
    os_mutex_unlock(&s->lock);
}

void sealer_call(struct sealer *s, void (*what)(void *self, struct keystore *keys), void *self)
{
    struct call call = {what, self, false};
    os_mutex_lock(&s->lock);
    while (s->call != NULL)
        os_cond_wait(&s->change, &s->lock);
    s->call = &call;
    atomic_store(&s->is_called, true);
    os_cond_wake_all(&s->change);
    while (!call.is_done)
        os_cond_wait(&s->change, &s->lock);
    s->is_wanted = true; /* what was left */
    os_cond_wake_all(&s->change);
    os_mutex_unlock(&s->lock);
}

void sealer_hold(struct sealer *s, uint64_t batch)
{
    atomic_store(&s->held, batch);
    if (batch == 0)
        sealer_wake(s); /* what was left meanwhile */
}

uint64_t sealer_count(const struct sealer *s)
{
    return atomic_load(&s->count);
}

void sealer_stop(struct sealer *s)
{
    if (s == NULL)
        return;
    atomic_store(&s->is_stopping, true);
    os_mutex_lock(&s->lock);
    os_cond_wake_all(&s->change);
    os_mutex_unlock(&s->lock);
    os_thread_join(&s->thread);
    keystore_close(s->keys);
    os_cond_fini(&s->change);
    os_mutex_fini(&s->lock);
    mem_free(s);
}
