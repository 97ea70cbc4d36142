/* transport.h - the threads that hold a provider's connections: one thread for each slot.
 *
 *     server's thread                      slot threads
 *       transport_start(slot, job) ──────►  render, send (blocking) ─┐
 *       ...                                                          │
 *       done(context, ticket, result)  ◄─────────────────────────────┘   in the slot's thread
 *
 * Why a thread for each slot and not one loop over all: what waits, waits plainly (smtp_wire.h,
 * libcurl while it connects), and a provider that thinks for 200 ms about each mail holds nobody else up.
 * Slots are few (a provider's connection limit), a thread waiting on a condition costs nothing and wakes in
 * tens of microseconds, and rendering runs in parallel for free.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "channel/channel.h"

/* One try. All that it points to is borrowed until `done` has been called for its ticket. */
struct transport_job {
    uint64_t ticket;
    struct channel_message message;
};

/* Called once for each job, in the slot's thread; the slot is free again when it is called. It must
 * not block for long and may call transport_start() for the same slot. */
typedef void transport_done(void *context, uint64_t ticket, uint32_t slot,
                            const struct transmission *result);

struct transport;

/* The current time, UTC ms; the server's clock. */
typedef int64_t transport_clock(void *context);

struct transport_options {
    const struct channel_provider *provider; /* borrowed until transport_free() */
    transport_done *done;
    transport_clock *now; /* NULL: the system's */
    void *context;
    int64_t rest_after_ms; /* a connection idle this long is closed; 0 = 30 s */
};

/* Starts the provider's slots. GIVE_UP where a thread cannot be made. The caller owns *out. */
enum status transport_new(const struct transport_options *options, struct transport **out,
                          struct fault *f) mustuse;

uint32_t transport_slots(const struct transport *t);

/* Hands a job to a slot, which must be free: no job that has not been reported. Any thread. */
void transport_start(struct transport *t, uint32_t slot, const struct transport_job *job);

/* Ends all threads; nothing may be started any more. Sends that are running get `grace_ms` to end by themselves, then are aborted and
 * reported like any other; when this returns, each job started has been reported. NULL is fine. */
void transport_free(struct transport *t, int64_t grace_ms);
