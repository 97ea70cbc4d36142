/* sim.c - a run: a phase in which everything may go wrong, then one in which nothing does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "simulator/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "decide/rule.h"
#include "model/terms.h"
#include "simulator/load.h"
#include "simulator/machine.h"
#include "simulator/oracle.h"
#include "simulator/world.h"

/* Of a run that never rests. Where snapshots go by single units half a million are needed. */
#define ROUNDS_MAX 1500000
#define CALM_MS    (25 * DAY_MS)

/* ---- chance -------------------------------------------------------------------------------------- */

uint64_t draw(struct sim *s, enum stream stream)
{
    uint64_t x = s->luck[stream] += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t draw_below(struct sim *s, enum stream stream, uint64_t count)
{
    must(count > 0);
    return draw(s, stream) % count;
}

bool draw_permille(struct sim *s, enum stream stream, uint64_t permille)
{
    return permille > 0 && draw_below(s, stream, 1000) < permille;
}

int64_t draw_power(struct sim *s, enum stream stream, uint64_t power)
{
    int64_t most = 1;
    for (uint64_t left = draw_below(s, stream, power + 1); left > 0; left--)
        most *= 10;
    return (int64_t)draw_below(s, stream, (uint64_t)most);
}

/* ---- options ------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint64_t least, most, rest;
} option_rows[] = {
#define OPTION(symbol, name, least, most, rest, doc) {name, least, most, rest},
#include "simulator/options.def"
#undef OPTION
};

void options_draw(struct sim *s)
{
    uint64_t luck = s->seed;
    for (uint32_t i = 0; i < OPTION_END; i++) {
        uint64_t x = luck = hash_pair(luck, i + 1);
        bool rests = x % 100 < option_rows[i].rest;
        uint64_t span = option_rows[i].most - option_rows[i].least + 1;
        s->options[i] = option_rows[i].least + (rests ? 0 : (x >> 8) % span);
    }
    for (uint32_t i = 0; i < STREAM_END; i++)
        s->luck[i] = hash_pair(s->seed, 1000 + i);
}

void options_print(const struct sim *s)
{
    printf("seed %lu:", s->seed);
    for (uint32_t i = 0; i < OPTION_END; i++)
        printf(" %s=%lu", option_rows[i].name, s->options[i]);
    printf("\n");
}

static const char *const fault_names[] = {
#define FAULT(symbol, name) name,
#include "simulator/faults.def"
#undef FAULT
};

const char *shown_name(uint32_t which, char out[64])
{
    if (which < FAULT_KIND_END)
        snprintf(out, 64, "%s", fault_names[which]);
    else if (which < SHOWN_OUTCOMES)
        snprintf(out, 64, "row %s", result_name((enum result_kind)(which - SHOWN_ROWS)));
    else if (which < SHOWN_RULES)
        snprintf(out, 64, "outcome %.*s",
                 STR_ARG(outcome_term((enum outcome)(which - SHOWN_OUTCOMES))->name));
    else
        snprintf(out, 64, "rule %u", which - SHOWN_RULES);
    return out;
}

/* ---- telling ------------------------------------------------------------------------------------- */

void sim_say(const struct sim *s, const char *format, ...)
{
    va_list args;
    if (!s->is_loud)
        return;
    printf("%10ld  ", s->clock_ms);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

void sim_fail(const struct sim *s, const char *format, ...)
{
    va_list args;
    options_print(s);
    printf("seed %lu fails at %ld ms%s%s: ", s->seed, s->clock_ms, s->is_calm ? " (calm)" : "",
           s->is_joined ? " (joined)" : "");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    _Exit(3);
}

/* ---- a run --------------------------------------------------------------------------------------- */

/* Somebody does something; who is drawn. False: nobody has anything to do before time passes. */
static bool turn(struct sim *s)
{
    uint64_t first = draw_below(s, STREAM_ORDER, 4);
    bool has_done = false;
    for (uint64_t i = 0; i < 3 && !has_done; i++) {
        switch ((first + i) % 4) {
        case 0:
        case 1: has_done = machine_turn(s->machine); break;
        case 2: has_done = world_turn(s->world); break;
        default: has_done = load_turn(s->load); break;
        }
        machine_look(s->machine);
    }
    if (!has_done)
        has_done = machine_turn(s->machine) || world_turn(s->world) || load_turn(s->load);
    machine_look(s->machine);
    return has_done;
}

static void pass_time(struct sim *s)
{
    int64_t wake_ms =
        min_of(machine_wake_ms(s->machine), min_of(world_wake_ms(s->world), load_wake_ms(s->load)));
    if (wake_ms == FOREVER_MS)
        wake_ms = s->clock_ms + MINUTE_MS;
    s->clock_ms = max_of(wake_ms, s->clock_ms + 1);
}

static void round_of(struct sim *s)
{
    machine_trouble(s->machine);
    world_trouble(s->world);
    if (!machine_is_up(s->machine)) {
        s->clock_ms += s->is_calm ? 10 : draw_power(s, STREAM_ORDER, 6);
        machine_start(s->machine);
        machine_look(s->machine);
    }
    if (!turn(s))
        pass_time(s);
    else if (draw_below(s, STREAM_ORDER, 8) == 0)
        s->clock_ms += (int64_t)draw_below(s, STREAM_ORDER, 4);
}

static bool is_at_rest(struct sim *s)
{
    return load_is_done(s->load) && world_is_idle(s->world) && !machine_is_busy(s->machine);
}

static void become_calm(struct sim *s)
{
    s->is_calm = true;
    sim_say(s, "calm from here on");
    machine_calm(s->machine);
    world_calm(s->world);
    load_calm(s->load);
}

static struct sim *sim_new(uint64_t seed, const char *const *folders, uint32_t folder_count,
                           enum sim_how how)
{
    struct sim *s = mem_new(sizeof(*s));
    s->seed = seed;
    s->folders = folders;
    s->folder_count = folder_count;
    s->is_loud = how == SIM_LOUD || how == SIM_JOINED_LOUD;
    s->is_light = how == SIM_LIGHT;
    s->is_joined = how == SIM_JOINED || how == SIM_JOINED_LOUD;
    options_draw(s);
    s->oracle = oracle_new(s);
    s->world = world_new(s);
    s->load = load_new(s);
    s->machine = machine_new(s);
    return s;
}

static void sim_free(struct sim *s)
{
    machine_free(s->machine);
    load_free(s->load);
    world_free(s->world);
    oracle_free(s->oracle);
    mem_free(s);
}

struct sim_digest sim_run(uint64_t seed, const char *const *folders, uint32_t folder_count,
                          enum sim_how how, uint8_t shown[SHOWN_END])
{
    struct sim *s = sim_new(seed, folders, folder_count, how);
    struct sim_digest digest = {0};
    uint32_t rounds = 0;
    if (s->is_loud)
        options_print(s);
    while (s->load->next_ms != FOREVER_MS && ++rounds < ROUNDS_MAX)
        round_of(s);
    become_calm(s);
    int64_t until_ms = s->clock_ms + CALM_MS;
    while ((s->clock_ms < until_ms || !is_at_rest(s)) && ++rounds < ROUNDS_MAX)
        round_of(s);
    if (rounds >= ROUNDS_MAX)
        sim_fail(s, "it never rests");
    oracle_end(s->oracle, machine_engine(s->machine), machine_directory(s->machine), &digest);
    digest.sent = world_digest(s->world);
    digest.transmissions = world_transmissions(s->world);
    digest.starts = machine_run(s->machine);
    sim_say(s, "%u rounds, %lu batches, %lu rows, %lu transmissions, %lu starts", rounds,
            digest.batches, digest.rows, digest.transmissions, digest.starts);
    for (uint32_t i = 0; shown != NULL && i < SHOWN_END; i++)
        shown[i] |= s->shown[i];
    sim_free(s);
    return digest;
}
