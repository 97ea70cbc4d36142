/* machine.h - the server, in one thread: what src/server does with four, done one thing at a time, in an
 * order that the seed chooses. The parts are the product's own: committer, log, recovery, engine, outbox,
 * snapshots, the file `held`, backfills, the clock's pace.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "model/receipt.h"
#include "model/transmission.h"
#include "os/fake_disk.h"
#include "replay/directory.h"
#include "simulator/sim.h"

struct held;
struct fact;

enum end_how {
    END_POWER,  /* what was not synced is lost or torn */
    END_KILLED, /* the process is gone, the disk is whole */
    END_STOPPED /* in order */
};

struct machine *machine_new(struct sim *s);
void machine_free(struct machine *m);

/* Starts the server, unless it is up. May end in a fault of the disk; then it is down as before. */
void machine_start(struct machine *m);
bool machine_is_up(const struct machine *m);

/* Does one of the things that there are to do. False: there is none now. */
bool machine_turn(struct machine *m);
int64_t machine_wake_ms(const struct machine *m);

/* If a power cut was met, or the log has died, the server ends. */
void machine_look(struct machine *m);
void machine_end(struct machine *m, enum end_how how);

/* Orders faults, as the options say. */
void machine_trouble(struct machine *m);
void machine_calm(struct machine *m);

/* A client tells; the answer comes by load_answer(), at once or later. */
void machine_tell(struct machine *m, struct fact *fact);

/* What a provider says, to the run that asked. */
void machine_result(struct machine *m, uint32_t run, uint64_t ticket,
                    const struct transmission *result);

/* A provider's report; false: nobody is there. Answered by world_report_answer(). */
bool machine_report(struct machine *m, const struct receipt *receipt, uint32_t report);

bool machine_is_paused(const struct machine *m);
uint32_t machine_run(const struct machine *m);
int64_t machine_now_ms(struct machine *m);        /* engine time */
struct engine *machine_engine(struct machine *m); /* NULL while it is down */
const struct names *machine_names(const struct machine *m);
struct directory *machine_directory(struct machine *m);

/* How its engine's stages are apart; the order of partitions aside, of which nothing may come. */
struct engine_split machine_split(const struct machine *m);

/* Is anything under way: entries, batches, attempts, a change? */
bool machine_is_busy(const struct machine *m);
