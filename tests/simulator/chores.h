/* chores.h - what the server does beside its batches: the state is saved in pieces, closed segments are sealed,
 * people are erased. Who of them does the next bit, and how large it is, is drawn.
 *
 * Saving mirrors src/server/snapshots.c; sealing and erasing are the product's own loops, each in a fiber that
 * is left at every block and wherever it waits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "evlog/seal.h"
#include "replay/directory.h"
#include "replay/erase.h"
#include "simulator/sim.h"

struct chores;
struct fact;

/* What they need of the machine. */
struct chores_host {
    struct sim *sim;
    struct machine *machine;
    const struct directory *directory;
    struct engine *engine;
    int64_t (*now_ms)(struct machine *m);
    enum status (*log_erase)(struct machine *m, const struct erasure *x, enum erase_kind kind);
    enum status (*roll)(struct machine *m);
    uint64_t (*durable_batch)(struct machine *m);
    void (*search)(struct machine *m);     /* oracle_search(), without faults */
    bool (*is_excused)(struct machine *m); /* the disk was told to fail at this */
};

/* Opens the keys; `host` is copied. */
enum status chores_new(const struct chores_host *host, struct chores **out,
                       struct fault *f) mustuse;

/* What a run before this one left of an erasure is gone on with from here on. */
void chores_begin(struct chores *c);

/* Does a bit of something. False: nothing is to be done now. */
bool chores_turn(struct chores *c);
int64_t chores_wake_ms(const struct chores *c);
bool chores_are_busy(const struct chores *c);

/* One of that batch or a later one. */
void chores_want_snapshot(struct chores *c, uint64_t batch);

/* A segment was closed. */
void chores_seal(struct chores *c);

/* The person is to be erased; load_answer() when that is done, or was not. */
void chores_erase(struct chores *c, struct fact *fact);

/* Whoever waits is told no; what is under way is left. */
void chores_stop_erasing(struct chores *c);

/* The end of the process; NULL is fine. */
void chores_free(struct chores *c);
