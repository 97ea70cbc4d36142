/* sim.h - the whole house in one thread, driven by a number.
 *
 *     seed ──► options ──► load (facts) ──► machine ──► oracle
 *                            │   the server's parts:       ▲
 *                            │   committer, log, engine,   │ what was promised, what went out,
 *                            │   outbox, snapshots, held   │ what the rows say
 *                            │        │          ▲         │
 *                            └────────┼──── world (providers)
 *                              fake disk, fake clocks
 *
 * Nothing here asks the machine for time, chance or a file: the same seed is the same run, on any machine.
 * README.md tells what is simulated, what is claimed, and what to do with a seed that fails.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "model/record.h"
#include "model/result.h"
#include "model/terms.h"

enum option {
#define OPTION(symbol, name, least, most, rest, doc) OPTION_##symbol,
#include "simulator/options.def"
#undef OPTION
    OPTION_END,
};

enum fault_kind {
#define FAULT(symbol, name) FAULT_##symbol,
#include "simulator/faults.def"
#undef FAULT
    FAULT_KIND_END,
};

/* Streams of chance, so that a fault more does not change what the world says. */
enum stream {
    STREAM_LOAD,
    STREAM_DISK,
    STREAM_ORDER,
    STREAM_WORLD,
    STREAM_CHORES,
    STREAM_GUESTS,
    STREAM_PAGES,
    STREAM_STAGES,
    STREAM_SPLIT,
    STREAM_END,
};

/* What a run may show, for the report: faults, kinds of rows, outcomes, rules that spoke. */
enum {
    SHOWN_ROWS = FAULT_KIND_END,
    SHOWN_OUTCOMES = SHOWN_ROWS + RESULT_KIND_END,
    SHOWN_RULES = SHOWN_OUTCOMES + OUTCOME_END,
    SHOWN_END = SHOWN_RULES + 16,
};

struct fact;
struct load;
struct machine;
struct oracle;
struct world;

struct sim {
    uint64_t seed;
    uint64_t options[OPTION_END];
    uint64_t luck[STREAM_END];
    int64_t clock_ms;  /* monotonic, since the beginning */
    int64_t offset_ms; /* what the wall's clock shows more */
    bool is_calm;      /* the second phase: no faults any more */
    bool is_loud;      /* tells what happens */
    bool is_light;     /* the second run of a seed: only what it comes to is of interest */
    bool is_joined;    /* the third: what a batch leads to is done at once, stage by stage */
    const char *const *folders; /* programmes on the real disk that the storm may take */
    uint32_t folder_count;
    struct load *load;
    struct machine *machine;
    struct oracle *oracle;
    struct world *world;
    uint8_t shown[SHOWN_END];
};

#define SIM_START_MS INT64_C(1772409600000) /* 2026-03-02T00:00Z, a Monday */

struct sim_digest {
    uint64_t state, log, sent;
    uint64_t batches, rows, transmissions, starts;
};

enum sim_how { SIM_WHOLE, SIM_LOUD, SIM_LIGHT, SIM_JOINED, SIM_JOINED_LOUD };

/* Runs one seed once. What is wrong ends the process with code 3, told with the seed. */
struct sim_digest sim_run(uint64_t seed, const char *const *folders, uint32_t folder_count,
                          enum sim_how how, uint8_t shown[SHOWN_END]);

/* Prints the options that a seed expands to. */
void options_draw(struct sim *s);
void options_print(const struct sim *s);

_Noreturn void sim_fail(const struct sim *s, const char *format, ...) printf_like(2, 3);
void sim_say(const struct sim *s, const char *format, ...) printf_like(2, 3);

uint64_t draw(struct sim *s, enum stream stream);
/* 0 .. count-1 */
uint64_t draw_below(struct sim *s, enum stream stream, uint64_t count);
bool draw_permille(struct sim *s, enum stream stream, uint64_t permille);

/* Up to 10^power, most of them small. */
int64_t draw_power(struct sim *s, enum stream stream, uint64_t power);

static inline void saw(struct sim *s, enum fault_kind fault)
{
    s->shown[fault] = 1;
}

static inline int64_t sim_utc_ms(const struct sim *s)
{
    return SIM_START_MS + s->clock_ms + s->offset_ms;
}

const char *shown_name(uint32_t which, char out[64]);
