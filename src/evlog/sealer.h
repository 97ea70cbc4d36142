/* sealer.h - a thread that seals segments as they are closed, and gives way to all others.
 *
 *     writer ──closed──► sealer_wake() ──► the sealer's thread: seal_segments()
 *
 * What else is to be done with keys (erasing) is done on the same thread, so that nothing is sealed
 * meanwhile: sealer_call().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "evlog/seal.h"

struct sealer;

struct sealer_options {
    struct os_disk *disk;
    const char *dir;   /* the log's; copied */
    seal_owner *owner; /* as in struct seal_options; called on the thread */
    void *context;
    /* Something was sealed, or could not be (`f` is not NULL): called on the thread. May be NULL. */
    void (*told)(void *context, const struct seal_counts *counts, const struct fault *f);
};

/* Opens the keys and starts the thread, which begins with what is plain. FIX_INPUT: the master key is not
 * the right one. */
enum status sealer_start(const struct sealer_options *options, struct sealer **out,
                         struct fault *f) mustuse;

/* A segment was closed. Any thread; does not wait. */
void sealer_wake(struct sealer *s);

/* Calls `run` on the thread, and waits for it. */
void sealer_call(struct sealer *s, void (*run)(void *self, struct keystore *keys), void *self);

/* Until further notice, segments that begin behind the batch stay plain (0: none do): while somebody's keys
 * are about to be destroyed, nothing that they say afterwards is sealed under them. Any thread. */
void sealer_hold(struct sealer *s, uint64_t batch);

/* Segments that were sealed since the start. Any thread. */
uint64_t sealer_count(const struct sealer *s);

/* Ends the thread soon, even in the middle of a segment, which stays plain then. NULL is fine. */
void sealer_stop(struct sealer *s);
